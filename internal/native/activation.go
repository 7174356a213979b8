package native

import (
	"fmt"
	"iter"
	"runtime"
	"unsafe"

	"github.com/davit-wasm/davit/internal/layout"
)

// Entry is an untyped entry trampoline, as [Func] makes one of its address: it
// calls code with a context and a buffer of arguments and results.
type Entry = func(exec unsafe.Pointer, code, vmctx, buffer uintptr) (status uintptr)

// Exit is a request of native code to the Go side.
type Exit struct {
	Kind   int     // layout.ExitHost or layout.ExitLibcall
	Data   uintptr // the host function's context, or the number of the libcall
	Buffer uintptr // arguments, and results afterwards; see [Bytes]
	Caller uintptr // ExitHost: the instance context of the caller, or 0
}

// Host is the Go side of native code.
type Host interface {
	// Exit does what native code asks for. It may call native code on the same
	// stack, block, panic, or end the goroutine. An error gives up the native
	// code: Call returns it.
	Exit(s *Stack, e Exit) error
	// Yield is called when native code has been interrupted, after other
	// goroutines had their turn. An error gives up the native code. It must not
	// call native code on s.
	Yield(s *Stack) error
}

// Trap is the error of native code that has faulted.
type Trap struct {
	PC, SP, FP uintptr // of the faulting instruction
	Addr       uintptr // faulting address, where the fault has one
	Signal     int
	Object     *Code // the code that holds PC
	Offset     uint32
	Code       uint16 // of the trap site
	// Words are the two words at SP: the return address is among them when the
	// trap came before the function had set up its frame.
	Words [2]uintptr
	// Callers are return addresses, innermost first: of the function that
	// trapped, of its caller, and so on over all native code on the stack, up to
	// MaxCallers.
	Callers []uintptr
}

// MaxCallers is the largest number of callers in a Trap.
const MaxCallers = 256

// Error says where the trap was.
func (t *Trap) Error() string {
	return fmt.Sprintf("native: trap %d at %#x (signal %d, address %#x)", t.Code, t.PC, t.Signal, t.Addr)
}

// Call enters native code through f and serves it until the function that was
// called returns, traps, or is given up by h. Except through h it does not
// allocate. If h panics or ends the goroutine, the stack is as it was before
// the call.
func (s *Stack) Call(f Entry, code, vmctx, buffer uintptr, h Host) error {
	if err := s.Ready(); err != nil {
		return err
	}
	status := f(pointer(s.exec), code, vmctx, buffer)
	if status == layout.ExitDone {
		return nil
	}
	defer s.Unwind(s.Mark())
	for {
		if err := s.Serve(status, h); err != nil {
			return err
		}
		status = Func[func(unsafe.Pointer) uintptr](process.stubs + stubResume)(pointer(s.exec))
		if status == layout.ExitDone {
			return nil
		}
	}
}

// Mark tells how much native code is suspended on the stack, for [Stack.Unwind].
func (s *Stack) Mark() int { return len(s.suspended) }

// Unwind puts the stack into the state it had at mark. Who serves exits of
// native code defers it, because a [Host] may panic or end the goroutine; else
// it has nothing to do.
func (s *Stack) Unwind(mark int) {
	if len(s.suspended) > mark {
		s.restore(mark)
	}
	s.inHost = false
}

// Ready returns an error if the stack has no room for another call. Callers of
// typed entry trampolines ask first; Call does so itself.
func (s *Stack) Ready() error {
	s.nest()
	if len(s.suspended) >= s.Nesting || *s.word(layout.ExecEntrySP) < *s.word(layout.ExecStackLimit) {
		return ErrStackExhausted
	}
	return nil
}

// Resume returns the resume stub as a function of type F:
// func(exec unsafe.Pointer) (status uintptr, …) with the results of the entry
// trampoline by which the native code was entered, for typed trampolines.
func Resume[F any]() F { return Func[F](process.stubs + stubResume) }

// Serve does what native code left for, given the status that an entry
// trampoline or resume returned, other than layout.ExitDone. If it returns nil
// the native code must be resumed.
func (s *Stack) Serve(status uintptr, h Host) error {
	switch status {
	case layout.ExitHost, layout.ExitLibcall:
		return s.serveExit(h)
	case layout.ExitYield:
		return s.serveYield(h)
	case layout.ExitTrap:
		return s.trap()
	}
	panic(fmt.Sprintf("native: left with status %d", status))
}

// EnterHost says that a host function begins, for which native code has left, and
// LeaveHost, with what EnterHost has returned, that it has ended. [Stack.Serve]
// calls both around [Host.Exit]; who does without it calls them itself.
func (s *Stack) EnterHost() (mark int) {
	s.inHost = true
	return len(s.suspended)
}

// LeaveHost ends what EnterHost began.
func (s *Stack) LeaveHost(mark int) {
	s.inHost = false
	if len(s.suspended) > mark {
		s.restore(mark)
	}
}

func (s *Stack) serveExit(h Host) error {
	e := Exit{
		Kind:   int(*s.word(layout.ExecExitKind)),
		Data:   *s.word(layout.ExecExitData),
		Buffer: *s.word(layout.ExecExitArg),
		Caller: *s.word(layout.ExecExitCaller),
	}
	mark := s.EnterHost()
	err := h.Exit(s, e)
	s.LeaveHost(mark)
	return err
}

// nest makes room for a call out of a host function, if one is running for
// which that has not been done: the records of the suspended code are saved, and
// entries begin below its frames. They are put back when the host function ends.
// Most host functions do not call back, and then nothing needs to be saved.
func (s *Stack) nest() {
	if !s.inHost {
		return
	}
	s.inHost = false
	sus := s.current()
	s.suspended = append(s.suspended, sus)
	*s.word(layout.ExecEntrySP) = sus.resumeSP &^ 15
}

// current is what the records say of the code that is suspended in a host
// function.
func (s *Stack) current() suspension {
	return suspension{
		entrySP:  *s.word(layout.ExecEntrySP),
		entryFP:  *s.word(layout.ExecEntryFP),
		resumeSP: *s.word(layout.ExecResumeSP),
		exitFP:   *s.word(layout.ExecExitFP),
		exitPC:   *s.word(layout.ExecExitPC),
		store:    *s.word(layout.ExecStore),
	}
}

// restore puts the records back as they were when the code at mark, and what
// came after it, was suspended.
func (s *Stack) restore(mark int) {
	sus := &s.suspended[mark]
	*s.word(layout.ExecEntrySP) = sus.entrySP
	*s.word(layout.ExecEntryFP) = sus.entryFP
	*s.word(layout.ExecResumeSP) = sus.resumeSP
	*s.word(layout.ExecExitFP) = sus.exitFP
	*s.word(layout.ExecExitPC) = sus.exitPC
	*s.word(layout.ExecStore) = sus.store
	s.suspended = s.suspended[:mark]
}

func (s *Stack) serveYield(h Host) error {
	frame := *s.word(layout.ExecYieldFrame)
	if !s.tick(h) { // else nobody has asked for the processor
		runtime.Gosched()
	}
	if err := h.Yield(s); err != nil {
		return err
	}
	// Below the copied signal frame the handler has put what a resume pops.
	*s.word(layout.ExecResumeSP) = frame - 16
	return nil
}

func (s *Stack) trap() *Trap {
	t := &Trap{
		PC:     *s.word(layout.ExecTrapPC),
		SP:     *s.word(layout.ExecTrapSP),
		FP:     *s.word(layout.ExecTrapFP),
		Addr:   *s.word(layout.ExecTrapAddr),
		Signal: int(*s.word(layout.ExecTrapSignal)),
	}
	t.Object, t.Offset = FindCode(t.PC)
	if t.Object != nil {
		t.Code, _ = t.Object.TrapAt(t.Offset)
	}
	if s.holds(t.SP) {
		t.Words = [2]uintptr{*wordAt(t.SP), *wordAt(t.SP + 8)}
	}
	for pc := range s.callers(t.FP) {
		if t.Callers = append(t.Callers, pc); len(t.Callers) == MaxCallers {
			break
		}
	}
	return t
}

// Callers yields the program counters of the native code that is suspended on
// the stack, innermost first: first the return address of the exiting call,
// then those of its callers. It is for use in [Host.Exit].
func (s *Stack) Callers() iter.Seq[uintptr] {
	return func(yield func(uintptr) bool) { s.walkSuspended(yield) }
}

// YieldCallers is Callers for use in [Host.Yield]: it begins with the
// interrupted instruction.
func (s *Stack) YieldCallers() iter.Seq[uintptr] {
	return func(yield func(uintptr) bool) {
		if !yield(*s.word(layout.ExecYieldPC)) {
			return
		}
		s.callers(*s.word(layout.ExecYieldFP))(yield)
	}
}

// callers yields the return addresses of running native code whose frame
// pointer is fp, then those of the code suspended on the stack.
func (s *Stack) callers(fp uintptr) iter.Seq[uintptr] {
	return func(yield func(uintptr) bool) {
		if s.walk(fp, *s.word(layout.ExecEntryFP), yield) {
			s.walkSuspended(yield)
		}
	}
}

func (s *Stack) walkSuspended(yield func(uintptr) bool) {
	if s.inHost {
		sus := s.current()
		if !yield(sus.exitPC) || !s.walk(sus.exitFP, sus.entryFP, yield) {
			return
		}
	}
	for i := len(s.suspended) - 1; i >= 0; i-- {
		sus := &s.suspended[i]
		if !yield(sus.exitPC) || !s.walk(sus.exitFP, sus.entryFP, yield) {
			return
		}
	}
}

// walk yields the return addresses in the chain of frame pointers from fp up to
// the entry's frame, and tells whether yield wants more.
func (s *Stack) walk(fp, entryFP uintptr, yield func(uintptr) bool) bool {
	for fp != entryFP && s.holds(fp) {
		if !yield(*wordAt(fp + 8)) {
			return false
		}
		next := *wordAt(fp)
		if next <= fp {
			break // not a chain; frames of callers lie above
		}
		fp = next
	}
	return true
}

// holds tells whether the two words at addr are on the stack.
func (s *Stack) holds(addr uintptr) bool {
	return addr >= s.low && addr <= s.top()-16 && addr%8 == 0
}
