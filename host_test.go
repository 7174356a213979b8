package davit_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/davit-wasm/davit"
)

// outerInner is a module with two functions on the stack when it calls the host.
const outerInner = `(module $m
	(import "go" "host" (func $host (param i32)))
	(func $inner (param i32) (call $host (local.get 0)))
	(func (export "outer") (param i32) (call $inner (local.get 0))))`

func frameNames(frames []davit.Frame) (names []string) {
	for _, f := range frames {
		names = append(names, f.Module+"."+f.FuncName)
		if f.Offset <= 0 {
			names = append(names, "no offset")
		}
	}
	return names
}

// TestHostPanic: a panic of a host function arrives with the guest's frames, from
// however deep it comes, and as one.
func TestHostPanic(t *testing.T) {
	w := newWorld(t, nil, nil)
	failure := errors.New("failure")
	var in *davit.Instance
	w.define("go", "host", types(davit.I32), nil, func(ctx context.Context, c *davit.Caller, stack []uint64) error {
		if n := int32(stack[0]); n > 0 {
			return must(davit.Proc1[int32](in.Func("outer")))(ctx, n-1)
		} else if n < 0 {
			panic("a string")
		}
		panic(failure)
	})
	in = w.instantiate(outerInner)
	outer := must(davit.Proc1[int32](in.Func("outer")))
	recovered := func(n int32) (p *davit.HostPanic) {
		defer func() { p, _ = recover().(*davit.HostPanic) }()
		outer(ctx, n)
		return nil
	}
	for depth := range int32(3) {
		p := recovered(depth)
		if p == nil || p.Value != failure || !errors.Is(p, failure) {
			t.Fatalf("depth %d: %v", depth, p)
		}
		want := slices.Repeat([]string{"m.inner", "m.outer"}, int(depth)+1)
		if got := frameNames(p.Frames); !slices.Equal(got, want) {
			t.Errorf("depth %d: frames are %q", depth, got)
		}
	}
	p := recovered(-1)
	if p == nil || p.Value != "a string" || p.Unwrap() != nil || !strings.Contains(p.Error(), "a string") || !strings.Contains(p.Error(), "m!inner at offset") {
		t.Errorf("panic is %v", p)
	}
}

// TestCallerFrames: a host function sees who called it.
func TestCallerFrames(t *testing.T) {
	w := newWorld(t, nil, nil)
	var got []string
	w.define("go", "host", types(davit.I32), nil, func(_ context.Context, c *davit.Caller, _ []uint64) error {
		got = frameNames(c.Frames())
		if c.Instance().Module().Name() != "m" {
			t.Errorf("called by %q", c.Instance().Module().Name())
		}
		return nil
	})
	in := w.instantiate(outerInner)
	w.call(in, "outer", davit.ValueI32(0))
	if !slices.Equal(got, []string{"m.inner", "m.outer"}) {
		t.Errorf("frames are %q", got)
	}
	// A start function has an instance with a module already.
	if _, err := w.linker.Instantiate(ctx, w.store, w.compile(`(module $m
		(import "go" "host" (func $host (param i32)))
		(func $start (call $host (i32.const 1))) (start $start))`)); err != nil {
		t.Error(err)
	}
	if !slices.Equal(got, []string{"m.start"}) {
		t.Errorf("frames are %q", got)
	}
}

// TestCallHook: transitions nest like brackets, whatever ends a call, and the
// hook's errors are the call's.
func TestCallHook(t *testing.T) {
	var seen strings.Builder
	var refuse davit.Transition = 99
	refused := errors.New("refused")
	panics := false
	var store *davit.Store
	w := newWorld(t, nil, &davit.StoreConfig{CallHook: func(_ context.Context, tr davit.Transition) error {
		seen.WriteString([]string{"(", ")", "[", "]"}[tr])
		if tr == refuse {
			if panics {
				panic(refused)
			}
			return refused
		}
		return nil
	}})
	store = w.store
	var in *davit.Instance
	w.define("go", "host", types(davit.I32), nil, func(ctx context.Context, _ *davit.Caller, stack []uint64) error {
		switch int32(stack[0]) {
		case 1:
			return errors.New("failure")
		case 2:
			panic("panic")
		case 3:
			_, err := in.Func("outer").Call(ctx, davit.ValueI32(0))
			return err
		}
		return nil
	})
	in = w.instantiate(`(module (import "go" "host" (func $host (param i32)))
		(func (export "outer") (param i32)
			(if (i32.eq (local.get 0) (i32.const 4)) (then unreachable))
			(if (i32.eq (local.get 0) (i32.const 5)) (then return))
			(call $host (local.get 0))))`)
	if store.Engine() != w.engine {
		t.Error("wrong engine")
	}
	run := func(n int32) (err error) {
		seen.Reset()
		defer func() {
			if p := recover(); p != nil {
				err = fmt.Errorf("recovered: %v", p)
			}
		}()
		return must(davit.Proc1[int32](in.Func("outer")))(ctx, n)
	}
	for n, want := range []string{"([])", "([])", "([])", "([([])])", "()", "()"} {
		err := run(int32(n))
		if got := seen.String(); got != want || (err != nil) != (n == 1 || n == 2 || n == 4) {
			t.Errorf("call %d: %s, want %s; %v", n, got, want, err)
		}
	}
	for tr, want := range map[davit.Transition]string{davit.EnterGuest: "(", davit.LeaveGuest: "([])", davit.EnterHost: "([)", davit.LeaveHost: "([])"} {
		refuse = tr
		if err := run(0); !errors.Is(err, refused) || seen.String() != want {
			t.Errorf("refused to %v: %v, %s", tr, err, seen.String())
		}
	}
	refuse = 99
	panics = true
	for _, tr := range []davit.Transition{davit.EnterGuest, davit.LeaveGuest, davit.EnterHost, davit.LeaveHost} {
		refuse = tr
		for _, n := range []int32{0, 2, 3} {
			if err := run(n); err == nil {
				t.Errorf("a panic to %v is lost", tr)
			}
		}
	}
	refuse = 99
	if err := run(3); err != nil || seen.String() != "([([])])" {
		t.Error(err, seen.String())
	}
}

// TestHookUsesStore: a hook that uses its store gets an error instead of waiting
// for itself for ever.
func TestHookUsesStore(t *testing.T) {
	var f *davit.Func
	var hookErr error
	w := newWorld(t, nil, &davit.StoreConfig{CallHook: func(context.Context, davit.Transition) error {
		if f != nil {
			_, hookErr = f.Call(ctx)
		}
		return nil
	}})
	in := w.instantiate(`(module (func (export "f")))`)
	f = in.Func("f")
	w.call(in, "f")
	if !errors.Is(hookErr, davit.ErrBusy) {
		t.Errorf("the hook's call: %v", hookErr)
	}
}

// TestHostTrap: a host function can trap as guests do.
func TestHostTrap(t *testing.T) {
	w := newWorld(t, nil, nil)
	w.define("go", "host", types(davit.I32), nil, func(context.Context, *davit.Caller, []uint64) error { return davit.TrapMemoryOutOfBounds })
	_, err := w.instantiate(outerInner).Func("outer").Call(ctx, davit.ValueI32(0))
	if trap := wantTrap(t, err, davit.TrapMemoryOutOfBounds); !slices.Equal(frameNames(trap.Frames), []string{"m.inner", "m.outer"}) {
		t.Errorf("frames are\n%s", trap.Backtrace())
	}
}

// TestTrapSentinels: codes of traps are errors to look for.
func TestTrapSentinels(t *testing.T) {
	w := newWorld(t, nil, nil)
	in := w.instantiate(`(module (func (export "f") unreachable))`)
	_, err := in.Func("f").Call(ctx)
	err = fmt.Errorf("wrapped: %w", err)
	if !errors.Is(err, davit.TrapUnreachable) || errors.Is(err, davit.TrapStackOverflow) {
		t.Errorf("%v", err)
	}
	if davit.TrapUnreachable.Error() != "wasm trap: unreachable" {
		t.Error(davit.TrapUnreachable.Error())
	}
}
