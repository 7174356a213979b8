package jit

import (
	"context"
	"errors"
	"fmt"

	"github.com/davit-wasm/davit/codegen/ir"
	"github.com/davit-wasm/davit/codegen/module"
	"github.com/davit-wasm/davit/internal/layout"
	"github.com/davit-wasm/davit/internal/native"
)

// HostFunc is a Go function that compiled code calls. slots holds the arguments,
// [SlotSize] bytes each, and takes the results, in the same place; it is good
// until the function returns. An error gives up the native code: the call from
// Go returns it; but an [*Exception] may be handled there. The function
// may block, panic, end its goroutine, and call compiled code.
type HostFunc func(ctx context.Context, slots []byte) error

// Trap is the error of a call whose code has trapped.
type Trap struct {
	Code   ir.TrapCode
	Func   ir.Name      // where the instruction is
	Offset uint32       // of the instruction in the function
	Loc    ir.SourceLoc // of the instruction
	// Callers are the calls that lead there, innermost first, as far as
	// they are in functions of modules; at most native's MaxCallers.
	Callers []Frame
}

// Frame is a call in a function.
type Frame struct {
	Func   ir.Name
	Offset uint32 // of the instruction after the call
	Loc    ir.SourceLoc
}

func (t *Trap) Error() string {
	return fmt.Sprintf("trap: %v in %v at %#x", t.Code, t.Func, t.Offset)
}

// Call calls a finalized function. buffer holds the arguments, [SlotSize]
// bytes each, and takes the results. The error is a [*Trap], that of a host
// function, or that of ctx, which is looked at when the code has been running
// for a while.
func (m *Module) Call(ctx context.Context, id module.ID, buffer []byte) error {
	e := m.eras.enter()
	defer m.eras.leave(e)
	f, err := m.callee(id)
	if err != nil {
		return err
	}
	n := f.slots * SlotSize
	if len(buffer) < n {
		return fmt.Errorf("%v: the buffer has %d bytes, the call needs %d", f.name, len(buffer), n)
	}
	a, err := m.take(ctx)
	if err != nil {
		return err
	}
	defer m.give(a)
	at, err := a.stack.Push(n)
	if err != nil {
		return err
	}
	defer a.stack.Pop(n)
	shared := native.Bytes(at, n)
	copy(shared, buffer)
	err = a.run(f, at)
	copy(buffer, shared)
	return err
}

// callee is the function of an ID, for a call in the current era.
func (m *Module) callee(id module.ID) (*callee, error) {
	if list := *m.callees.Load(); int(id) < len(list) {
		if f := list[id].Load(); f != nil {
			return f, nil
		}
	}
	if m.closed.Load() {
		return nil, ErrClosed
	}
	return nil, fmt.Errorf("function %d is not finalized, or has parameters that do not fit slots: %w", id, ErrNotCallable)
}

// take is the Go side of a new call, with a stack. One is kept from call to call:
// mostly one goroutine calls at a time.
func (m *Module) take(ctx context.Context) (*activation, error) {
	a := m.idle.Swap(nil)
	if a == nil {
		a = m.calls.Get().(*activation)
		var err error
		if a.stack, err = native.AcquireStack(m.cfg.StackSize); err != nil {
			return nil, err
		}
	}
	a.m, a.ctx = m, ctx
	return a, nil
}

// give ends the call.
func (m *Module) give(a *activation) {
	a.ctx = nil
	if !m.idle.CompareAndSwap(nil, a) {
		a.stack.Release()
		a.stack = nil
		m.calls.Put(a)
	}
	if m.closed.Load() {
		m.dropIdle()
	}
}

func (m *Module) dropIdle() {
	if a := m.idle.Swap(nil); a != nil {
		a.stack.Release()
	}
}

// run calls f with arguments and results at an address on the stack.
func (a *activation) run(f *callee, at uintptr) error {
	if err := a.stack.Call(f.entry, f.addr, 0, at, a); err != nil {
		return apiError(err)
	}
	return nil
}

// apiError names the function that trapped.
func apiError(err error) error {
	var t *native.Trap
	if !errors.As(err, &t) {
		return err
	}
	trap := &Trap{Code: ir.TrapCode(t.Code)}
	if f, start, ok := functionAt(t.PC); ok {
		trap.Func, trap.Offset = f.name, uint32(t.PC-start)
		trap.Loc = f.source(trap.Offset)
	}
	for _, pc := range t.Callers {
		if f, start, ok := functionAt(pc - 1); ok && f.id != noID {
			off := uint32(pc - start)
			trap.Callers = append(trap.Callers, Frame{f.name, off, f.source(off - 1)})
		}
	}
	return trap
}

// source is the source location of the instruction at an offset.
func (f *placed) source(off uint32) (loc ir.SourceLoc) {
	for _, s := range f.sources {
		if s.Offset > off {
			break
		}
		loc = s.Loc
	}
	return loc
}

// activation is the Go side of one call.
type activation struct {
	m     *Module
	ctx   context.Context
	stack *native.Stack
}

// Exit serves a host function.
func (a *activation) Exit(s *native.Stack, e native.Exit) error {
	hosts := *a.m.hosts.Load()
	if e.Kind != layout.ExitHost || e.Data >= uintptr(len(hosts)) {
		return fmt.Errorf("jit: exit of kind %d, %#x", e.Kind, e.Data)
	}
	h := &hosts[e.Data]
	err := h.call(a.ctx, native.Bytes(e.Buffer, max(1, h.slots)*SlotSize))
	if err != nil {
		return thrown(s, err)
	}
	return nil
}

// thrown lets an exception be handled; other errors stay.
func thrown(s *native.Stack, err error) error {
	var x *Exception
	if errors.As(err, &x) && throw(s, x) {
		return nil
	}
	return err
}

// Yield lets code run on until the call's context is done.
func (a *activation) Yield(*native.Stack) error { return a.ctx.Err() }
