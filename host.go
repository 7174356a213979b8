package davit

import (
	"context"

	"github.com/davit-wasm/davit/internal/image"
	"github.com/davit-wasm/davit/internal/vm"
)

// HostFunc is a Go function that WebAssembly calls. On entry stack holds the
// arguments, on return it must hold the results: see [Func.CallRaw] for their
// form. Of an i32 or f32 argument the upper half of the slot is undefined.
//
// ctx is the context of the call into WebAssembly. The function may call back
// into the store; other goroutines may do so on its behalf if they use ctx, or a
// context derived from it: one at a time, others get [ErrBusy]. When the function
// returns with such a call still running, the guest waits for its end.
//
// An error ends the guest: the call into WebAssembly returns it, such that
// errors.Is and errors.As find it; a [TrapCode] as a [*Trap], as if the guest's
// call of the function had trapped. So does a panic, which goes on in the caller
// of WebAssembly as a [*HostPanic], and [runtime.Goexit]. The function may block;
// it is told by ctx when it should stop.
//
// [HostFunc2] and its like make host functions of Go functions with ordinary
// parameters.
type HostFunc func(ctx context.Context, c *Caller, stack []uint64) error

// Caller is where a host function was called from. It must not be used after
// the function has returned.
type Caller vm.Caller

func (c *Caller) vm() *vm.Caller { return (*vm.Caller)(c) }

// Store is the store in which the function was called.
func (c *Caller) Store() *Store { return c.vm().Store().Owner.(*Store) }

// Instance is the instance whose code called the function, or nil if Go code
// did.
func (c *Caller) Instance() *Instance {
	if in := c.vm().Instance(); in != nil {
		return in.Owner.(*Instance)
	}
	return nil
}

// Memory is the memory that the calling instance exports as "memory", or nil if
// there is none.
func (c *Caller) Memory() *Memory {
	in := c.Instance()
	if in == nil {
		return nil
	}
	m := in.memory.Load()
	if m == nil {
		m = in.Memory("memory")
		in.memory.Store(m)
	}
	return m
}

// View is the n bytes of [Caller.Memory] from offset, or false if not all of them are
// in bounds, or there is no memory. It is [Memory.View] for as long as the host function
// runs, and costs less: a view that cannot be used after the store is closed does
// not keep the memory from being used for another store.
func (c *Caller) View(offset, n uint64) ([]byte, bool) {
	m := c.Memory()
	if m == nil {
		return nil, false
	}
	return m.slice(m.vm.Bytes(), offset, n)
}

// Frames is the guest's calls in progress, innermost first: the one that called
// the function, and so on over all calls from Go to WebAssembly that are nested.
// The list is cut at 100; it is empty if Go called the function directly.
func (c *Caller) Frames() []Frame { return apiFrames(c.vm().Backtrace()) }

// newHostFunc is fn in s, with the store's hook around it.
func (s *Store) newHostFunc(g *GoFunc) (vm.Func, error) {
	fn := g.fn
	if s.hook != nil {
		fn = s.hook.around(fn)
	}
	f, err := s.vm.NewHostFunc(g.typ, fn)
	return f, apiError(err)
}

// embedder is a store as package vm sees it.
type embedder struct{ *Store }

func (s embedder) HostContext(ctx context.Context) context.Context {
	s.host.Store(vm.Goroutine())
	return s.hostContext(ctx)
}

func (s embedder) HostsEnd() {
	s.running.Store(nil)
	s.host.Store(0)
}

func (s embedder) HostError(err error) error {
	if code, ok := err.(TrapCode); ok {
		return &vm.Trap{Code: image.TrapCode(code)}
	}
	return err
}
