package native

import (
	"errors"
	"fmt"
	"sync"
	"unsafe"

	"github.com/davit-wasm/davit/internal/layout"
)

const stackRegionLog2 = 24

const _ = uint(layout.StackRegionSize - 1<<stackRegionLog2) // they are
const _ = uint(1<<stackRegionLog2 - layout.StackRegionSize) // equal

const (
	// DefaultStackSize is what native code can use of a stack unless told
	// otherwise.
	DefaultStackSize = 1 << 20
	// MaxStackSize is the most that native code can use of a stack.
	MaxStackSize = layout.StackRegionSize - 4*stackUnit - stackReserve
	// DefaultNesting is how deeply native code and Go can call each other on one
	// stack unless told otherwise. Go's own stack limit is fatal, so this one
	// must come first.
	DefaultNesting = 1000

	// stackReserve is the room below the limit that prologues accept, for what
	// does not check: small frames (layout.StackSlack), stubs, entry trampolines, calls of leaf functions, and a
	// signal frame with all the vector state there is.
	stackReserve = 64 << 10
	// stackUnit is the unit of a stack's size.
	stackUnit = 1 << layout.MemoryUnitLog2
	// stackSlab is the number of stack regions that are reserved at a time.
	stackSlab = 32
	// hotStacks is the number of free stacks that keep their memory, and warmStacks
	// that of those that keep the pages of shallow calls, up to warmSize from the top.
	// Of others the region of address space is kept, which takes no mapping.
	hotStacks  = 16
	warmStacks = 1000
	warmSize   = 32 << 10
)

// A signal frame and stubs need less than half of the reserve.
const _ = uint(stackReserve/2 - layout.StackSlack)

// ErrStackExhausted is returned when Go and native code call each other too
// deeply.
var ErrStackExhausted = errors.New("native: call stack exhausted")

// Stack is a native stack with the execution context at its base. It serves
// one goroutine at a time; what runs on it can call Go, which can call native
// code on the same stack again, below the suspended frames. Get one from
// [AcquireStack].
type Stack struct {
	exec uintptr // the base of the region, which stands for the execution context
	low  uintptr // lowest mapped byte
	// Nesting is the deepest nesting of calls that Call allows.
	Nesting int
	// inHost says that native code waits for a host function that has not used
	// the stack; the records in the execution context are that code's.
	inHost bool
	// suspended are the other exits to Go that have not been resumed yet, innermost
	// last.
	suspended []suspension
}

// suspension is the state of native code that waits for Go: what the exit and
// entry records said, and what a nested call overwrites.
type suspension struct {
	entrySP, entryFP, resumeSP, exitFP, exitPC, store uintptr
}

// stacks is the pool of stacks.
var stacks struct {
	sync.Mutex
	hot, warm []*Stack
	regions   []uintptr // without a stack, but in a slab
	slab      uintptr   // next region that was never used
	slabLeft  int
}

// AcquireStack returns a stack of which native code can use at least size
// bytes; 0 stands for DefaultStackSize. Give it back with [Stack.Release].
func AcquireStack(size int) (*Stack, error) {
	if size == 0 {
		size = DefaultStackSize
	}
	if size < 0 || size > MaxStackSize {
		return nil, fmt.Errorf("native: stack of %d bytes; at most %d are possible", size, MaxStackSize)
	}
	if err := Supported(); err != nil {
		return nil, err
	}
	s, err := takeStack()
	if err != nil {
		return nil, err
	}
	need := (uintptr(size) + stackReserve + stackUnit - 1) &^ (stackUnit - 1)
	if err := s.grow(s.top() - need); err != nil {
		s.Release()
		return nil, err
	}
	s.Nesting = DefaultNesting
	// The limit is what was asked for, even if more is mapped from earlier use.
	*s.word(layout.ExecStackLimit) = s.top() - uintptr(size)
	*s.word(layout.ExecEntrySP) = s.top()
	*s.word(layout.ExecEntryFP) = 0
	*s.word(layout.ExecStore) = 0
	return s, nil
}

func takeStack() (*Stack, error) {
	stacks.Lock()
	defer stacks.Unlock()
	for _, list := range [...]*[]*Stack{&stacks.hot, &stacks.warm} {
		if n := len(*list); n > 0 {
			s := (*list)[n-1]
			(*list)[n-1] = nil
			*list = (*list)[:n-1]
			return s, nil
		}
	}
	if stacks.slabLeft == 0 && len(stacks.regions) == 0 {
		base, err := mapAligned(stackSlab*layout.StackRegionSize, layout.StackRegionSize, protNone)
		if err != nil {
			return nil, err
		}
		stacks.slab, stacks.slabLeft = base, stackSlab
	}
	if err := takeMappings(mappingsPerStack); err != nil {
		return nil, err
	}
	s := &Stack{exec: stacks.slab}
	last := len(stacks.regions) - 1
	if last >= 0 {
		s.exec = stacks.regions[last]
	}
	end := s.exec + layout.StackRegionSize
	if err := protect(end-stackUnit, stackUnit, protReadWrite); err != nil {
		giveMappings(mappingsPerStack)
		return nil, err
	}
	if last >= 0 {
		stacks.regions = stacks.regions[:last]
	} else {
		stacks.slab += layout.StackRegionSize
		stacks.slabLeft--
	}
	s.low = end - stackUnit
	*s.word(layout.ExecStackLow) = s.low
	*s.word(layout.ExecExitStub) = process.stubs + stubExit
	process.memory.set(s.exec, end, true) // what is not guard does not fault
	process.stacks.set(s.exec, end, true)
	return s, nil
}

// grow maps the stack down to low.
func (s *Stack) grow(low uintptr) error {
	low &^= stackUnit - 1
	if low >= s.low {
		return nil
	}
	if err := protect(low, s.low-low, protReadWrite); err != nil {
		return err
	}
	s.low = low
	*s.word(layout.ExecStackLow) = low
	return nil
}

// Release gives the stack back to the pool. No native code may be suspended on
// it.
func (s *Stack) Release() {
	if len(s.suspended) != 0 || s.inHost {
		panic("native: stack released with native code suspended on it")
	}
	stacks.Lock()
	defer stacks.Unlock()
	if len(stacks.hot) < hotStacks {
		stacks.hot = append(stacks.hot, s)
		return
	}
	if len(stacks.warm) < warmStacks {
		if end := s.exec + layout.StackRegionSize - warmSize; s.low < end {
			_ = discard(s.low, end-s.low) // else the memory just stays in use
		}
		stacks.warm = append(stacks.warm, s)
		return
	}
	// Mapped anew, neighbours become one mapping; protected, what was used stays one.
	if mapZeros(s.exec, layout.StackRegionSize, protNone) != nil {
		stacks.warm = append(stacks.warm, s) // one more
		return
	}
	giveMappings(mappingsPerStack)
	stacks.regions = append(stacks.regions, s.exec)
}

// top is where the outermost entry starts, 16-byte aligned and inside the
// region, as must be every stack pointer.
func (s *Stack) top() uintptr { return s.exec + layout.ExecBase }

func (s *Stack) word(offset uintptr) *uintptr { return wordAt(s.exec + offset) }

// Exec returns the execution context: the first argument of entry trampolines.
func (s *Stack) Exec() unsafe.Pointer { return pointer(s.exec) }

// SetStore sets the store context that compiled code finds, and returns the one
// before. The field is set back when Go returns into native code that was
// suspended.
func (s *Stack) SetStore(store uintptr) (old uintptr) {
	s.nest()
	old = *s.word(layout.ExecStore)
	*s.word(layout.ExecStore) = store
	return old
}

// Push takes n bytes of the stack, 16-byte aligned, below which the next entry
// starts: room for arguments and results, which must not lie in the Go heap.
// [Stack.Pop] gives them back. The contents are undefined.
func (s *Stack) Push(n int) (addr uintptr, err error) {
	s.nest()
	sp := *s.word(layout.ExecEntrySP)
	if limit := *s.word(layout.ExecStackLimit); n < 0 || sp < limit || sp-limit < uintptr(n) {
		return 0, ErrStackExhausted
	}
	addr = (sp - uintptr(n)) &^ 15
	*s.word(layout.ExecEntrySP) = addr
	return addr, nil
}

// Pop gives back what Push took: n is the same.
func (s *Stack) Pop(n int) {
	*s.word(layout.ExecEntrySP) += (uintptr(n) + 15) &^ 15
}

// Bytes returns n bytes of memory at addr that native code also sees, such as
// what [Stack.Push] returned or the buffer of an exit. The slice is good as long
// as that memory is.
func Bytes(addr uintptr, n int) []byte { return bytesAt(addr, n) }

// Live is the part of the stack that holds what suspended native code and its
// callers keep: its lowest address and its size, both multiples of 8. It is for
// use while native code waits for a [Host].
func (s *Stack) Live() (low uintptr, size int) {
	low = *s.word(layout.ExecEntrySP)
	if s.inHost {
		low = *s.word(layout.ExecResumeSP)
	}
	low &^= 7
	return low, int(s.top() - low)
}
