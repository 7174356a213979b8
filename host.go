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
type Caller struct {
	store    *Store
	instance *Instance // nil: called from Go
	last     *vm.Instance
	memory   *Memory
	vm       *vm.Caller
}

// Store is the store in which the function was called.
func (c *Caller) Store() *Store { return c.store }

// Instance is the instance whose code called the function, or nil if Go code
// did.
func (c *Caller) Instance() *Instance { return c.instance }

// Memory is the memory that the calling instance exports as "memory", or nil if
// there is none.
func (c *Caller) Memory() *Memory {
	if c.memory == nil && c.instance != nil {
		c.memory = c.instance.Memory("memory")
	}
	return c.memory
}

// Frames is the guest's calls in progress, innermost first: the one that called
// the function, and so on over all calls from Go to WebAssembly that are nested.
// The list is cut at 100; it is empty if Go called the function directly.
func (c *Caller) Frames() []Frame { return apiFrames(c.vm.Backtrace()) }

// set makes c the caller of a function that in has called. What was found out
// about the last one is kept: it is mostly the same.
func (c *Caller) set(in *vm.Instance) {
	if c.last == in {
		return
	}
	c.last, c.instance, c.memory = in, nil, nil
	if in != nil {
		c.instance = &Instance{store: c.store, vm: in}
	}
}

// goFunc is g in s.
func (s *Store) goFunc(g *GoFunc) (vm.Func, error) {
	if f, ok := s.goFuncs[g]; ok {
		return f, nil
	}
	f, err := s.newHostFunc(g.typ, g.fn)
	if err == nil {
		s.goFuncs[g] = f
	}
	return f, err
}

func (s *Store) newHostFunc(t FuncType, fn HostFunc) (vm.Func, error) {
	if hook := s.hook; hook != nil {
		fn = hook.around(fn)
	}
	f, err := s.vm.NewHostFunc(t, func(vc *vm.Caller, buffer []uint64) error {
		a, ok := vc.Data().(*hostActivation)
		if !ok {
			a = s.hostActivation(vc.Context())
			a.caller.vm = vc
			vc.SetData(a)
		}
		a.caller.set(vc.Instance())
		s.host.Store(a.goroutine)
		defer s.leaveHost(a.goroutine)
		err := fn(a.ctx, &a.caller, buffer)
		if code, ok := err.(TrapCode); ok {
			return &vm.Trap{Code: image.TrapCode(code)}
		}
		return err
	})
	return f, apiError(err)
}

// hostActivation is what all host functions get that one call into a store
// calls.
type hostActivation struct {
	ctx       context.Context
	caller    Caller
	goroutine uintptr
}

// hostActivation is that of the call under way, whose context is ctx. They are
// used again, one for each depth of nesting.
func (s *Store) hostActivation(ctx context.Context) *hostActivation {
	for len(s.activations) <= s.depth {
		s.activations = append(s.activations, &hostActivation{caller: Caller{store: s}})
	}
	a := s.activations[s.depth]
	a.ctx, a.goroutine = s.hostContext(ctx), vm.Goroutine()
	return a
}
