package davit

import (
	"context"

	"github.com/davit-wasm/davit/internal/vm"
)

// Transition is a step over the border between Go and WebAssembly.
type Transition uint8

// Transitions.
const (
	EnterGuest Transition = iota // Go calls WebAssembly
	LeaveGuest                   // that call ends, in whatever way
	EnterHost                    // a host function is called
	LeaveHost                    // it ends, in whatever way
)

// String names t.
func (t Transition) String() string {
	return [...]string{"enter guest", "leave guest", "enter host", "leave host"}[t&3]
}

// CallHook is told of every transition in a store, with the context of the call.
// Transitions nest like brackets. An error of an Enter transition is that of the
// call, which does not take place then and has no Leave transition; one of a Leave
// transition makes a call fail that has not failed. A hook must not use the
// store. Stores without a hook pay nothing for there being one elsewhere.
type CallHook func(ctx context.Context, t Transition) error

// around is fn with its transitions.
func (hook CallHook) around(fn vm.HostFunc) vm.HostFunc {
	return func(ctx context.Context, c *vm.Caller, stack []uint64) (err error) {
		if err := hook(ctx, EnterHost); err != nil {
			return err
		}
		defer func() {
			if e := hook(ctx, LeaveHost); e != nil && err == nil {
				err = e
			}
		}()
		return fn(ctx, c, stack)
	}
}
