package vm

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"time"
	"unsafe"

	"github.com/davit-wasm/davit/internal/image"
	"github.com/davit-wasm/davit/internal/layout"
	"github.com/davit-wasm/davit/internal/native"
)

// activation is a call from Go into a store, and the Go side of the native code
// that it runs. Calls nest: a host function of one may make another.
type activation struct {
	store    *Store
	outer    *activation
	ctx      context.Context
	done     <-chan struct{}
	deadline time.Time // zero if there is none

	// Of host functions:
	level   int             // how many activations of the store there are with this one
	entered uintptr         // the instance context with which native code was entered; 0 if it was not
	hostCtx context.Context // nil before the first is called
	caller  Caller
	// The last one that native code called: see [activation.meet]. A loop mostly calls the
	// same one, and the processor goes ahead as if it was, without waiting for the loads
	// that lead to it.
	from uint64 // the instance context that caller is of
	data uint64 // the host function's context; 0: none, or there is more to do before the next
	host *host
	out  bool // one is running, and others may nest calls

	// Of profiles:
	mark    int           // of the native stack, when the activation began
	watched *watchedCalls // nil if the activation is not watched
	ticks   *uintptr      // how many ticks are noted; nil if it is not
	below   *activation   // the one that is watched outside of it, of the same goroutine
	profile *Profile      // the profile that was taken when it was watched
}

// Caller is what a host function knows of the call it serves. It is valid until
// the host function returns.
type Caller struct {
	a        *activation
	stack    *native.Stack // nil if Go calls the host function directly
	instance *Instance
}

// Context is the context of the call into the store.
func (c *Caller) Context() context.Context { return c.a.ctx }

// Store is the store that the host function belongs to.
func (c *Caller) Store() *Store { return c.a.store }

// Instance is the calling instance; nil if Go calls the host function directly.
func (c *Caller) Instance() *Instance { return c.instance }

// Backtrace is the guest's frames, innermost first.
func (c *Caller) Backtrace() []Frame {
	if c.stack == nil {
		return nil
	}
	return c.a.store.suspendedFrames()
}

// BufferWords is the size of the buffer that a call of f needs, in 8-byte words.
func (f *Func) BufferWords() int { return f.words }

// A call from Go has these steps, so that who calls can write arguments to where
// compiled code reads them, and read results from where it leaves them:
//
//   - [Func.Begin] makes room for arguments and results;
//   - [Func.Enter] runs the function as far as it gets without the Go side;
//   - [Func.Finish] does the rest, if there is one;
//   - [Func.End] gives the room back; an error or panic of Finish has done so.
//
// A call around which nothing else is under way, and that comes back without
// having left for Go, touches little more than the native stack: what the Go
// side of native code needs is made when native code first asks for it.

// Call does all of these with a buffer of [Func.BufferWords] words, arguments at
// first, results afterwards. The error is a *[Trap], or what a host function
// returned.
func (s *Store) Call(ctx context.Context, f *Func, buffer []uint64) error {
	if f.store != s {
		return errors.New("the function belongs to another store")
	}
	if s.depth > 0 {
		if !s.Nest() {
			return ErrBusy
		}
		defer s.Unnest()
	}
	return s.call(ctx, f, buffer)
}

// call is Call, for who has seen to that it may be nested.
func (s *Store) call(ctx context.Context, f *Func, buffer []uint64) error {
	p, err := f.Begin(ctx, buffer)
	if err != nil {
		return err
	}
	copy(unsafe.Slice((*uint64)(p), f.words), buffer)
	if status := f.Enter(p); status != Done {
		if err := f.Finish(ctx, p, status); err != nil {
			return err
		}
	}
	copy(buffer[:f.words], unsafe.Slice((*uint64)(p), f.words))
	f.End(p)
	return nil
}

// Begin makes room for a call of f: f.BufferWords() words, with undefined
// contents. Raw is arguments that have been lowered already: the external
// references among them stay alive.
//
// Where [Func.Room] is not nil, Begin returns it.
func (f *Func) Begin(ctx context.Context, raw []uint64) (unsafe.Pointer, error) {
	if p := f.Room(); p != nil {
		return p, nil
	}
	return f.store.begin(ctx, f, raw)
}

// Room is the room for a call that needs nothing else to begin, or nil. It is
// small enough to be inlined, as a call of Begin would be a good part of what
// such a call costs.
func (f *Func) Room() unsafe.Pointer {
	if !f.simple || f.store.Turn.exec == nil {
		return nil
	}
	return f.store.scratch
}

// begin is Begin in general: the room is on the native stack, and the call has
// an activation from now on.
func (s *Store) begin(ctx context.Context, f *Func, raw []uint64) (unsafe.Pointer, error) {
	if s.closed {
		return nil, errStoreClosed
	}
	if s.stack == nil {
		if err := s.makeStack(); err != nil {
			return nil, err
		}
		if p := f.Room(); p != nil {
			return p, nil
		}
	}
	if s.externs.due() {
		s.sweepExterns(raw)
	}
	a := s.push(ctx)
	if a.done != nil {
		if err := a.interrupted(); err != nil {
			s.pop(a)
			return nil, err
		}
	}
	at, err := s.stack.Push(8 * f.words)
	if err != nil {
		s.pop(a)
		return nil, s.convert(err)
	}
	if s.epochs {
		s.startEpochs()
	}
	return pointer(uint64(at)), nil
}

// Enter runs f on the arguments at p, which [Func.Begin] returned, and tells how
// it stands: with [Done] it has ended well, else [Func.Finish] must bring it to
// its end: [Refused] if Enter has not begun it. No code of the host runs in Enter, so
// that it neither panics nor ends the goroutine.
func (f *Func) Enter(p unsafe.Pointer) (status uintptr) {
	if p != f.store.scratch {
		return Refused
	}
	return (*f.entry)(f.store.exec, f.pass.code, f.pass.vmctx, uintptr(p))
}

// Pass is what a direct entry trampoline is called with: see [layout.PassGate].
type Pass struct {
	gate        *gate
	code, vmctx uintptr
}

const (
	_ = uint(unsafe.Offsetof(Pass{}.gate)-layout.PassGate) + uint(layout.PassGate-unsafe.Offsetof(Pass{}.gate))
	_ = uint(unsafe.Offsetof(Pass{}.code)-layout.PassCode) + uint(layout.PassCode-unsafe.Offsetof(Pass{}.code))
	_ = uint(unsafe.Offsetof(Pass{}.vmctx)-layout.PassVMCtx) + uint(layout.PassVMCtx-unsafe.Offsetof(Pass{}.vmctx))
)

// Direct is a way to call f that takes the place of taking the store's turn,
// [Func.Begin] and [Func.Enter], if the turn is let to the running goroutine, and the
// call needs nothing else to begin; else it returns [Refused]. The turn is the caller's
// then, unless the status is Refused; with any other status than [Done] the call goes on
// in [Func.Finish], with the room at [Func.Scratch].
//
// F is the type func(pass *Pass, params…) (status uintptr, results…) with the numbers
// that f takes and gives; integers may be uint64 instead of uint32, then the upper half
// of results is undefined. Where there is no direct way, Direct returns none. What it
// returns refers to f.
func Direct[F any](f *Func, none F) (enter F, pass *Pass) {
	if f.direct == 0 {
		return none, nil
	}
	code := &f.direct
	return *(*F)(unsafe.Pointer(&code)), &f.pass
}

// Pass is what the direct way into f is called with.
func (f *Func) Pass() *Pass { return &f.pass }

// Scratch is the room of a call that was begun by a direct way.
func (f *Func) Scratch() unsafe.Pointer { return f.store.scratch }

// What entering native code may return at once.
const (
	Done    = layout.ExitDone // the call has ended well
	Refused = ^uintptr(0)     // nothing has begun
)

const _ = uint(layout.ExitRefused+1) + uint(-1-layout.ExitRefused) // they are the same

// Finish brings a call to its end that Enter has left with a status other than
// Done. If it fails, the call has ended as by [Func.End]. So it has
// if a host function panics.
//
// It is one function with one deferred call, because after an exit from native
// code the processor mispredicts every return to a caller that was there before.
func (f *Func) Finish(ctx context.Context, p unsafe.Pointer, status uintptr) error {
	s := f.store
	var a *activation
	mark := 0 // of the native stack; a call that Enter began was the outermost
	if status == Refused {
		a = s.activations[s.depth-1]
		mark = s.stack.Mark()
	} else {
		a = s.push(ctx)
		a.entered = f.pass.vmctx
	}
	a.mark = mark
	if profiling.Load() {
		a.watch()
	}
	done := false
	defer func() {
		if done {
			return
		}
		if a.watched != nil && f.host == nil {
			a.tickedHost(layout.ExitHost) // a host function has panicked, or ends the goroutine
		}
		if a.out { // a host function has panicked, or ends the goroutine
			a.out = false
			s.inner.Back(&s.inner.none)
			a.waitForInner()
		}
		var r any
		if f.host == nil {
			// Native code may be suspended. A panic of a host function gets the guest's
			// frames, which are still there.
			if r = recover(); r != nil && s.WrapPanic != nil {
				r = s.WrapPanic(r, s.suspendedFrames)
			}
			s.stack.Unwind(mark)
		}
		if p == s.scratch {
			s.pop(a)
		} else {
			f.End(p)
		}
		if r != nil {
			panic(r)
		}
	}()
	if f.host != nil {
		if err := a.callHost(f.host, p); err != nil {
			return err
		}
		done = true
		return nil
	}
	a.caller.stack = s.stack
	if status == Refused {
		if err := s.stack.Ready(); err != nil {
			return s.convert(err)
		}
		a.entered = f.pass.vmctx
		status = (*f.entry)(s.exec, f.pass.code, f.pass.vmctx, uintptr(p))
	}
	act, stack, exec, resume := a, s.stack, s.exec, s.resume
	for status != Done {
		a := act // the variable, which the deferred function shares, is in memory
		var err error
		if status == layout.ExitHost {
			suspended := stack.EnterHost()
			from, data := *word(exec, layout.ExecExitCaller), *word(exec, layout.ExecExitData)
			if from != a.from || data != a.data {
				a.meet(from, data)
			}
			a.out = true
			lease := s.inner.current
			s.inner.Give()
			err = a.host.fn(a.hostCtx, &a.caller, a.host.buffer(pointer(*word(exec, layout.ExecExitArg))))
			if !a.comeBack(lease) {
				a.comeBackLate(lease)
			}
			if err != nil || a.done != nil {
				err = a.hostEnded(err)
			}
			stack.LeaveHost(suspended)
		} else {
			err = stack.Serve(status, a)
		}
		if a.ticks != nil && *a.ticks != 0 { // without a call, as long as there is no tick
			a.tickedHost(status)
		}
		if err != nil {
			return s.convert(err)
		}
		status = resume(exec)
	}
	done = true
	if p == s.scratch {
		s.pop(a)
	}
	return nil
}

// End ends a call that was begun and has not failed. Its results are lost.
func (f *Func) End(p unsafe.Pointer) {
	if s := f.store; p != s.scratch {
		s.stack.Pop(8 * f.words)
		s.pop(s.activations[s.depth-1])
	}
}

// Plain reports whether the call with room at p was all in [Func.Enter]'s hands,
// unless it left for Go: it needs no [Func.End].
func (f *Func) Plain(p unsafe.Pointer) bool { return p == f.store.scratch }

// maxWords is more than any buffer has.
const maxWords = 1 << 20

// push makes the activation for a call; activations are kept for the next.
func (s *Store) push(ctx context.Context) *activation {
	if s.depth == len(s.activations) {
		a := &activation{store: s, level: s.depth + 1}
		a.caller.a = a
		s.activations = append(s.activations, a)
	}
	a := s.activations[s.depth]
	s.depth++
	s.Turn.exec = nil
	if s.depth > 1 {
		a.outer = s.activations[s.depth-2]
	}
	a.ctx, a.done = ctx, ctx.Done()
	if a.done != nil {
		a.deadline, _ = ctx.Deadline()
	}
	return a
}

func (s *Store) pop(a *activation) {
	if a.watched != nil {
		a.unwatch()
	}
	s.depth--
	if s.ended != nil {
		close(s.ended)
		s.ended = nil
	}
	if s.depth == 0 && a.hostCtx != nil {
		if s.Embedder != nil {
			s.Embedder.HostsEnd()
		}
		s.inner.Give()
	}
	a.outer, a.ctx, a.done, a.hostCtx, a.caller.stack, a.caller.instance = nil, nil, nil, nil, nil, nil
	a.from, a.data, a.host, a.entered = 0, 0, nil, 0
	a.deadline = time.Time{}
	s.setReady()
}

// Nested calls. While a host function runs, the store's guests wait, and calls
// into the store by the host function, or by other goroutines on its behalf, may
// take place, one at a time. Who lets code of the store run has the inner turn:
// the outermost call takes it when it first calls a host function, gives it back
// as long as that runs, and takes it again before the guest goes on. A nested call
// has it in between. It mostly stays with one goroutine, to which a [Turn] costs
// next to nothing.

// Nest takes the right to call into the store while a host function runs; false
// if there is another nested call. That a host function runs, and goes on running
// until [Store.Unnest], the caller must know: having the right, it may look. It is
// for use before [Func.Begin] and [Store.Instantiate].
func (s *Store) Nest() bool { return s.inner.Try() }

// Unnest gives back what Nest has taken.
func (s *Store) Unnest() { s.inner.Give() }

// Embedder is told of host functions.
type Embedder interface {
	// HostContext is the context for the host functions of a call with context ctx.
	// It is asked before the first of them, by the goroutine that will run them.
	HostContext(ctx context.Context) context.Context
	// HostsEnd is called when an outermost call ends that has called host functions.
	HostsEnd()
	// HostError is what a guest's call ends with, given the error that a host
	// function has returned.
	HostError(err error) error
}

// beginHost prepares for the first host function of the activation.
func (a *activation) beginHost() {
	s := a.store
	if s.depth == 1 {
		s.inner.Back(&s.inner.none)
	}
	a.hostCtx = a.ctx
	if s.Embedder != nil {
		a.hostCtx = s.Embedder.HostContext(a.ctx)
	}
}

// callHost calls a host function for Go.
func (a *activation) callHost(h *host, p unsafe.Pointer) error {
	if a.hostCtx == nil {
		a.beginHost()
	}
	a.out = true
	lease := a.store.inner.current
	a.store.inner.Give()
	err := h.fn(a.hostCtx, &a.caller, h.buffer(p))
	if !a.comeBack(lease) {
		a.comeBackLate(lease)
	}
	if err != nil {
		err = a.store.hostError(err)
	}
	return err
}

// buffer is the buffer at p for arguments and results.
func (h *host) buffer(p unsafe.Pointer) []uint64 { return (*[maxWords]uint64)(p)[:h.words:h.words] }

// comeBack ends the time in which others may nest calls, because a host function runs.
// It began with a.out and the inner turn being given back, which lease was for. If
// comeBack returns false, comeBackLate must be called.
func (a *activation) comeBack(lease *native.Lease) bool {
	if !a.store.inner.reclaim(lease) {
		return false
	}
	a.out = false
	return a.store.depth == a.level
}

//go:noinline
func (a *activation) comeBackLate(lease *native.Lease) {
	if a.out {
		a.store.inner.back(lease)
	}
	a.out = true
	if a.store.depth != a.level {
		a.waitForInner()
	}
	a.out = false
}

// meet prepares for another host function than the last one, with context data, and
// called by another instance, with context from, or for a call before which external
// references must be swept.
//
//go:noinline
func (a *activation) meet(from, data uint64) {
	s := a.store
	if s.externs.due() {
		s.sweepExterns(nil)
	}
	if a.hostCtx == nil {
		a.beginHost()
	}
	if from != a.from {
		a.from, a.caller.instance = from, nil
		if from != 0 {
			a.caller.instance = s.instances[*word(pointer(from), layout.InstIndex)]
		}
	}
	a.data, a.host = data, s.hosts[*word(pointer(data), layout.HostContextIndex)]
}

// waitForInner waits for nested calls that have begun while a's host function ran and are
// still on the native stack, above a's frames: they are in host functions of their own,
// having given the inner turn back.
func (a *activation) waitForInner() {
	s := a.store
	for s.depth != a.level {
		if s.ended == nil {
			s.ended = make(chan struct{})
		}
		ended, lease := s.ended, s.inner.current
		s.inner.Give()
		<-ended
		s.inner.Back(lease)
	}
}

// hostEnded is the error that a call ends with after a host function has returned
// err.
func (a *activation) hostEnded(err error) error {
	s := a.store
	if err != nil {
		return a.withFrames(s.hostError(err))
	}
	return a.ended()
}

func (s *Store) hostError(err error) error {
	if s.Embedder == nil {
		return err
	}
	return s.Embedder.HostError(err)
}

// ended is the trap that ends the call if its context has ended.
func (a *activation) ended() error {
	select {
	case <-a.done:
		return a.withFrames(a.interrupted())
	default:
		return nil
	}
}

// makeStack gets the store its native stack.
func (s *Store) makeStack() error {
	stack, err := native.AcquireStack(int(s.limits.StackBytes))
	if err != nil {
		return err
	}
	stack.Nesting = s.limits.Nesting
	stack.SetStore(uintptr(s.ctx))
	s.stack, s.exec, s.resume = stack, stack.Exec(), resume()
	s.scratch = unsafe.Add(s.exec, layout.ExecScratch)
	s.setReady()
	return nil
}

// resume is native's resume stub.
var resume = sync.OnceValue(native.Resume[func(unsafe.Pointer) uintptr])

// setReady works out whether the next call may need no more than [Store.Enter].
func (s *Store) setReady() {
	if s.depth > 0 || s.epochs || s.Observed || s.closed || s.externs.due() {
		s.Turn.exec = nil
	} else {
		s.Turn.exec = s.exec
	}
}

// convert makes this package's errors of package native's.
func (s *Store) convert(err error) error {
	if err == nil {
		return nil
	}
	if t, ok := err.(*native.Trap); ok {
		return s.trapOf(t)
	}
	if err == native.ErrStackExhausted {
		return &Trap{Code: image.TrapStackOverflow, Frames: s.suspendedFrames()}
	}
	return err
}

// suspendedFrames is the guest's frames that wait for Go.
func (s *Store) suspendedFrames() []Frame {
	t := s.trace()
	for pc := range s.stack.Callers() {
		t.add(uint64(pc))
	}
	return t.frames
}

// Exit implements native.Host: it does what native code asks for, other than
// calling host functions. Code that spends its time in the services of the Go side
// is rarely met by a signal itself, so the end of the context is looked for here
// too, as it is after host functions.
func (a *activation) Exit(stack *native.Stack, e native.Exit) error {
	if e.Kind != layout.ExitLibcall {
		panic(fmt.Sprintf("vm: native code has left for reason %d", e.Kind))
	}
	err := a.libcall(uint64(e.Data), unsafe.Slice((*uint64)(pointer(uint64(e.Buffer))), libcallWords))
	if err == nil && a.done != nil {
		return a.ended()
	}
	return a.withFrames(err)
}

// libcallWords is how many arguments a libcall has at most, with the context.
const libcallWords = 8

// withFrames gives a trap that the Go side raised the frames it happened in.
func (a *activation) withFrames(err error) error {
	if t, ok := err.(*Trap); ok && t.Frames == nil {
		t.Frames = a.store.suspendedFrames()
	}
	return err
}

// Yield implements native.Host: native code was interrupted.
func (a *activation) Yield(stack *native.Stack) error {
	err := a.interrupted()
	if t, ok := err.(*Trap); ok {
		first, trace := true, a.store.trace()
		for pc := range stack.YieldCallers() {
			if first {
				pc++ // the interrupted instruction itself, not a return address
			}
			trace.add(uint64(pc))
			if first {
				if pc := frameless(stack); pc != 0 {
					trace.add(uint64(pc))
				}
				first = false
			}
		}
		t.Frames = trace.frames
	}
	return err
}

// frameless is the return address of interrupted code that has not set up its
// frame, or has given it up; else 0.
func frameless(stack *native.Stack) uintptr {
	pc, _, _, words := stack.Interrupted()
	if m, off, ok := findCode(uint64(pc)); ok {
		switch m.Image.FrameAt(off) {
		case image.FrameNone:
			return words[0]
		case image.FramePushed:
			return words[1]
		}
	}
	return 0
}

// interrupted is the trap that ends the call if its context has ended. The
// deadline is compared with the clock itself, because the timer that ends the
// context may be late where all processors are busy.
func (a *activation) interrupted() error {
	if a.store.epochs {
		runtime.Gosched()
		a.store.nextEpoch()
	}
	return a.overdue()
}

// overdue is interrupted for who has looked after other goroutines and epochs.
func (a *activation) overdue() error {
	for x := a; x != nil; x = x.outer {
		if x.done == nil {
			continue
		}
		select {
		case <-x.done:
			return &Trap{Code: image.TrapInterrupt, Cause: context.Cause(x.ctx)}
		default:
		}
		if !x.deadline.IsZero() && !time.Now().Before(x.deadline) {
			return &Trap{Code: image.TrapInterrupt, Cause: x.deadlineCause()}
		}
	}
	return nil
}

// deadlineCause is the cause of the end of a's context, whose deadline has
// passed. Its timer fires now at the latest, as this goroutine waits; should
// the context be one without a timer, the wait is short.
func (a *activation) deadlineCause() error {
	t := time.NewTimer(50 * time.Millisecond)
	defer t.Stop()
	select {
	case <-a.done:
		return context.Cause(a.ctx)
	case <-t.C:
		return context.DeadlineExceeded
	}
}

// Epochs. Code that checks for interruption itself counts its checks down in the
// store context, and leaves when it has come to the epoch's end. Nothing but
// the code moves the count, because nothing else can be relied on: a timer of
// Go's cannot fire while Go's collector stops the world, which waits for this
// very code. How many checks an epoch has follows from how long the last one
// took.

const (
	epochTime   = 2 * time.Millisecond
	firstChecks = 1 << 14
	minChecks   = 1 << 8
	maxChecks   = 1 << 22
)

// startEpochs sets up the first epoch of a call.
func (s *Store) startEpochs() {
	if s.epochChecks == 0 {
		s.epochChecks = firstChecks
	}
	s.epochStart = time.Time{} // what is between calls is not measured
	s.setEpoch()
}

// nextEpoch sets up the next epoch, when one has ended.
func (s *Store) nextEpoch() {
	now := time.Now()
	if !s.epochStart.IsZero() {
		factor := float64(epochTime) / float64(max(now.Sub(s.epochStart), time.Microsecond))
		s.epochChecks = uint64(min(max(float64(s.epochChecks)*min(max(factor, 0.1), 4), minChecks), maxChecks))
	}
	s.epochStart = now
	s.setEpoch()
}

func (s *Store) setEpoch() {
	*word(s.ctx, layout.StoreEpoch) = s.epochChecks
}
