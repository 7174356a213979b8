package davit

import (
	"errors"
	"fmt"
	"strings"

	"github.com/davit-wasm/davit/internal/image"
	"github.com/davit-wasm/davit/internal/vm"
)

// TrapCode says why WebAssembly code trapped.
type TrapCode uint8

// Trap codes.
const (
	TrapUnreachable          = TrapCode(image.TrapUnreachable)
	TrapMemoryOutOfBounds    = TrapCode(image.TrapMemoryOutOfBounds)
	TrapTableOutOfBounds     = TrapCode(image.TrapTableOutOfBounds)
	TrapUndefinedElement     = TrapCode(image.TrapUndefinedElement)     // call_indirect beyond the table's end
	TrapUninitializedElement = TrapCode(image.TrapUninitializedElement) // call_indirect of null
	TrapIndirectCallType     = TrapCode(image.TrapIndirectCallType)
	TrapIntegerOverflow      = TrapCode(image.TrapIntegerOverflow)
	TrapIntegerDivideByZero  = TrapCode(image.TrapIntegerDivideByZero)
	TrapInvalidConversion    = TrapCode(image.TrapInvalidConversion) // of a float to an integer
	TrapStackOverflow        = TrapCode(image.TrapStackOverflow)
	TrapNullFunction         = TrapCode(image.TrapNullFunction)
	TrapNullReference        = TrapCode(image.TrapNullReference)
	TrapNullStruct           = TrapCode(image.TrapNullStruct)
	TrapNullArray            = TrapCode(image.TrapNullArray)
	TrapNullI31              = TrapCode(image.TrapNullI31)
	TrapNullException        = TrapCode(image.TrapNullException)
	TrapArrayOutOfBounds     = TrapCode(image.TrapArrayOutOfBounds)
	TrapCastFailure          = TrapCode(image.TrapCastFailure)
	TrapUnalignedAtomic      = TrapCode(image.TrapUnalignedAtomic)
	TrapExpectedSharedMemory = TrapCode(image.TrapExpectedSharedMemory)
	TrapAllocation           = TrapCode(image.TrapAllocation)
	TrapInterrupt            = TrapCode(image.TrapInterrupt) // the context was cancelled or its deadline has passed
	TrapOutOfFuel            = TrapCode(image.TrapOutOfFuel)
)

// String returns the message of c, in the words of the specification's tests.
func (c TrapCode) String() string { return image.TrapCode(c).String() }

// Trap is the error of a call that WebAssembly code did not survive. The store
// and its instances can still be used; what the code did before it trapped
// remains done.
type Trap struct {
	Code   TrapCode
	Frames []Frame // the guest's calls in progress, innermost first; the list is cut at 100
	Cause  error   // of TrapInterrupt: the cause of the context's end; else nil
}

// Frame is a call in progress of a guest's function.
type Frame struct {
	Module   string // the name that the module gives itself, or ""
	Func     uint32 // index of the function in its module
	FuncName string // its name in the name section, or that of an export, or ""
	Offset   int    // of the instruction in the bytes of the module, or -1 if it is not known
}

// String describes f in one line.
func (f Frame) String() string {
	var b strings.Builder
	if f.Module != "" {
		b.WriteString(f.Module)
		b.WriteByte('!')
	}
	if f.FuncName != "" {
		b.WriteString(f.FuncName)
	} else {
		fmt.Fprintf(&b, "func[%d]", f.Func)
	}
	if f.Offset >= 0 {
		fmt.Fprintf(&b, " at offset %#x", f.Offset)
	}
	return b.String()
}

// Error is the reason, with the cause of an interruption.
func (t *Trap) Error() string {
	s := "wasm trap: " + t.Code.String()
	if t.Cause != nil {
		s += ": " + t.Cause.Error()
	}
	return s
}

// Unwrap returns the cause, so that errors.Is finds context.Canceled,
// context.DeadlineExceeded and causes of one's own.
func (t *Trap) Unwrap() error { return t.Cause }

// Backtrace is the list of frames as text, one in a line.
func (t *Trap) Backtrace() string {
	var b strings.Builder
	for i, f := range t.Frames {
		fmt.Fprintf(&b, "%4d: %s\n", i, f)
	}
	return b.String()
}

// LinkError says why a module could not be given its imports.
type LinkError struct {
	Module, Name string // of the import
	Reason       string
}

// Error is the reason and the import.
func (e *LinkError) Error() string { return fmt.Sprintf("%s: %q %q", e.Reason, e.Module, e.Name) }

// Errors that can be told apart with errors.Is.
var (
	// ErrClosed is the error of using what has been closed.
	ErrClosed = errors.New("davit: closed")
	// ErrBusy is the error of closing a store while a call runs in it.
	ErrBusy = errors.New("davit: a call is running in the store")
)

// apiError is an error of package vm as one of this package.
func apiError(err error) error {
	if err == nil {
		return nil
	}
	switch err := err.(type) {
	case *vm.Trap:
		return apiTrap(err)
	case *vm.LinkError:
		return &LinkError{err.Module, err.Name, err.Reason}
	}
	switch {
	case errors.Is(err, vm.ErrClosed):
		return ErrClosed
	case errors.Is(err, vm.ErrBusy):
		return ErrBusy
	}
	return err
}

func apiTrap(t *vm.Trap) *Trap {
	trap := &Trap{Code: TrapCode(t.Code), Cause: t.Cause, Frames: make([]Frame, len(t.Frames))}
	for i := range t.Frames {
		f := &t.Frames[i]
		trap.Frames[i] = Frame{Func: f.Func, FuncName: f.FuncName, Offset: f.Offset}
		if n := f.Module.Image.Module.Names; n != nil {
			trap.Frames[i].Module = n.Module
		}
	}
	return trap
}
