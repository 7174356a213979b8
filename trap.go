package davit

import (
	"errors"
	"fmt"
	"strings"

	"github.com/davit-wasm/davit/internal/image"
	"github.com/davit-wasm/davit/internal/vm"
)

// TrapCode says why WebAssembly code trapped. With errors.Is, a [*Trap] is its
// code.
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

// Error makes trap codes errors to compare with: errors.Is(err, TrapUnreachable).
func (c TrapCode) Error() string { return "wasm trap: " + c.String() }

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

	module *vm.Module
	call   vm.Call
}

// Source is a place in source code.
type Source struct {
	File   string // as the compiler names it; "" if it is not known
	Line   int    // from 1; 0 if it is not known
	Column int    // from 1; 0 if it is not known
	// Func is the function whose code this is, if the guest's compiler has inlined it into
	// the next source's; "" of the last one, which is the frame's own function.
	Func string
}

// String is the place as file:line:column, as far as that is known.
func (s Source) String() string {
	b := s.File
	if s.Line > 0 {
		b += fmt.Sprintf(":%d", s.Line)
		if s.Column > 0 {
			b += fmt.Sprintf(":%d", s.Column)
		}
	}
	return b
}

// Sources are the places in source code where f is, innermost first: the last one is in
// the frame's function, those before it are in functions that the guest's compiler has
// inlined there. They come from the module's debug information, DWARF or a source map (see
// Config.SourceMap); without any there are none. The first question about a module reads
// it, which takes time; the code of the module must not have been given up.
func (f Frame) Sources() []Source {
	if f.module == nil || f.Offset < 0 {
		return nil
	}
	places := f.module.Places(f.Offset)
	list := make([]Source, len(places))
	for i, p := range places {
		list[i] = Source{p.File, p.Line, p.Column, f.demangle(p.Func)}
	}
	return list
}

// demangle is a name as Config.Demangle makes it.
func (f Frame) demangle(name string) string {
	if name == "" || f.module == nil || f.module.Engine().Demangle == nil {
		return name
	}
	return f.module.Engine().Demangle(name)
}

// name is the function's name as readers want it.
func (f Frame) name() string {
	if f.FuncName != "" {
		return f.demangle(f.FuncName)
	}
	return fmt.Sprintf("func[%d]", f.Func)
}

// String describes f in one line.
func (f Frame) String() string {
	var b strings.Builder
	if f.Module != "" {
		b.WriteString(f.Module)
		b.WriteByte('!')
	}
	b.WriteString(f.name())
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

// Is reports whether target is the code of t.
func (t *Trap) Is(target error) bool { return target == t.Code }

// Backtrace is the list of frames as text, one in a line, and below it their places in
// source code, as far as they are known.
func (t *Trap) Backtrace() string { return backtrace(t.Frames) }

// line is the place, and what function is there if it has been inlined.
func (s Source) line() string {
	if s.Func == "" {
		return s.String()
	}
	return s.String() + " (in " + s.Func + ", inlined)"
}

func backtrace(frames []Frame) string {
	var b strings.Builder
	for i, f := range frames {
		fmt.Fprintf(&b, "%4d: %s\n", i, f)
		for _, s := range f.Sources() {
			fmt.Fprintf(&b, "        %s\n", s.line())
		}
	}
	return b.String()
}

// HostPanic is what the panic of a host function is turned into on its way
// through the guest that called it: the value to recover in the Go function that
// called the guest. Nested calls do not add to it.
type HostPanic struct {
	Value  any     // what the host function panicked with
	Frames []Frame // the guest's calls in progress, innermost first; the list is cut at 100
}

// hostPanic makes a HostPanic of a recovered value, unless it is one.
func hostPanic(value any, frames func() []vm.Frame) any {
	if p, ok := value.(*HostPanic); ok {
		return p
	}
	return &HostPanic{value, apiFrames(frames())}
}

// Error is the panic's value and the guest's backtrace.
func (p *HostPanic) Error() string {
	return fmt.Sprintf("panic in a host function: %v\nwasm backtrace:\n%s", p.Value, p.Backtrace())
}

// Unwrap is the panic's value if that is an error.
func (p *HostPanic) Unwrap() error {
	err, _ := p.Value.(error)
	return err
}

// Backtrace is the list of frames as text, one in a line.
func (p *HostPanic) Backtrace() string { return backtrace(p.Frames) }

// LinkError says why a module could not be given its imports.
type LinkError struct {
	Module, Name string // of the import
	Reason       string
}

// Error is the reason and the import.
func (e *LinkError) Error() string {
	hint := ""
	if e.Reason == unknownImport && (e.Module == "wasi_snapshot_preview1" || e.Module == "wasi_unstable") {
		hint = " (a function of WASI 0.1: package wasi/wasip1 defines it)"
	}
	return fmt.Sprintf("%s: %q %q%s", e.Reason, e.Module, e.Name, hint)
}

// unknownImport is the reason of a LinkError for what is not defined.
const unknownImport = "unknown import"

// LimitError says which limit of a store would have been exceeded.
type LimitError struct {
	What  string // what is limited
	Limit uint64 // the most that is allowed

	text string
}

// Error is the limit, and what met it.
func (e *LimitError) Error() string { return "davit: " + e.text }

// Errors that can be told apart with errors.Is.
var (
	// ErrClosed is the error of using what has been closed.
	ErrClosed = errors.New("davit: closed")
	// ErrBusy is the error of closing a store while a call runs in it, and of using
	// it where that is not allowed, as in a hook.
	ErrBusy = errors.New("davit: a call is running in the store")
	// ErrOtherStore is the error of using together what belongs to different stores.
	ErrOtherStore = errors.New("davit: it belongs to another store")
	// ErrOutOfBounds is the error of accesses by Go beyond the end of a memory or
	// table.
	ErrOutOfBounds = errors.New("davit: out of bounds")
	// ErrNoCompiler is the error of what needs the compiler in a program that was
	// built without it (build tag davit_nocompile).
	ErrNoCompiler = errors.New("davit: this program was built without the compiler (build tag davit_nocompile)")
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
	var limit *vm.LimitError
	switch {
	case errors.As(err, &limit):
		return &LimitError{limit.What, limit.Limit, err.Error()}
	case errors.Is(err, vm.ErrClosed):
		return ErrClosed
	case errors.Is(err, vm.ErrBusy):
		return ErrBusy
	}
	return err
}

func apiTrap(t *vm.Trap) *Trap {
	return &Trap{Code: TrapCode(t.Code), Cause: t.Cause, Frames: apiFrames(t.Frames)}
}

func apiFrames(list []vm.Frame) []Frame {
	frames := make([]Frame, len(list))
	for i := range list {
		f := &list[i]
		frames[i] = Frame{Module: f.Module.Name(), Func: f.Func, FuncName: f.FuncName, Offset: f.Offset, module: f.Module, call: f.Call}
	}
	return frames
}
