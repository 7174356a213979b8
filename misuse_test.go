package davit_test

import (
	"context"
	"errors"
	"math"
	"runtime"
	"sync"
	"testing"

	"github.com/davit-wasm/davit"
)

// TestConcurrentNesting: of the calls that goroutines make on behalf of one host
// function one runs, and others are refused; one that is left behind ends before
// the guest goes on.
func TestConcurrentNesting(t *testing.T) {
	w := newWorld(t, nil, nil)
	var wg sync.WaitGroup
	nest := func(ctx context.Context, c *davit.Caller) {
		quick := must(davit.Func1[int32, int32](c.Instance().Func("quick")))
		back := must(davit.Proc0(c.Instance().Func("back")))
		for range 4 {
			wg.Go(func() {
				for i := range int32(300) {
					if r, err := quick(ctx, i); err != nil && !errors.Is(err, davit.ErrBusy) || err == nil && r != i+1 {
						t.Errorf("quick gives %d, %v", r, err)
					}
					if err := back(ctx); err != nil && !errors.Is(err, davit.ErrBusy) {
						t.Errorf("back gives %v", err)
					}
				}
			})
		}
	}
	w.define("go", "nothing", nil, nil, func(context.Context, *davit.Caller, []uint64) error { return nil })
	w.define("go", "wait", nil, nil, func(ctx context.Context, c *davit.Caller, _ []uint64) error {
		nest(ctx, c)
		wg.Wait()
		return nil
	})
	w.define("go", "leave", nil, nil, func(ctx context.Context, c *davit.Caller, _ []uint64) error {
		nest(ctx, c)
		return nil
	})
	in := w.instantiate(`(module
		(import "go" "nothing" (func $nothing))
		(import "go" "wait" (func $wait))
		(import "go" "leave" (func $leave))
		(func (export "quick") (param i32) (result i32) (i32.add (local.get 0) (i32.const 1)))
		(func (export "back") call $nothing)
		(func (export "wait") call $wait)
		(func (export "leave") (local i32) call $leave
			(loop call $nothing
				(br_if 0 (i32.lt_u (local.tee 0 (i32.add (local.get 0) (i32.const 1))) (i32.const 10000))))))`)
	for range 3 {
		w.call(in, "wait")
		w.call(in, "leave")
		wg.Wait()
	}
	if r := w.call(in, "quick", davit.ValueI32(1)); r[0].I32() != 2 {
		t.Errorf("quick gives %v", r)
	}
}

// TestNestingOrder: of two nested calls that are in host functions at the same time, the one
// that began last ends first, whichever host function returns first: its frames are above
// the other's.
func TestNestingOrder(t *testing.T) {
	w := newWorld(t, nil, nil)
	var in *davit.Instance
	entered, leave := make(chan int32), map[int32]chan struct{}{1: make(chan struct{}), 2: make(chan struct{})}
	w.define("go", "gate", []davit.ValType{davit.I32}, nil, func(_ context.Context, _ *davit.Caller, stack []uint64) error {
		n := int32(stack[0])
		entered <- n
		<-leave[n]
		return nil
	})
	w.define("go", "both", nil, nil, func(ctx context.Context, _ *davit.Caller, _ []uint64) error {
		f := must(davit.Func1[int32, int32](in.Func("nested")))
		var wg sync.WaitGroup
		for n := int32(1); n <= 2; n++ {
			wg.Go(func() {
				if r, err := f(ctx, n); err != nil || r != 1000+n {
					t.Errorf("nested call %d gives %d, %v", n, r, err)
				}
			})
			<-entered
		}
		close(leave[1])
		for range 1000 {
			runtime.Gosched() // time for a mistake
		}
		close(leave[2])
		wg.Wait()
		return nil
	})
	in = w.instantiate(`(module
		(import "go" "gate" (func $gate (param i32)))
		(import "go" "both" (func $both))
		(func $deep (param i32 i32) (result i32)
			(if (result i32) (local.get 1)
				(then (i32.add (call $deep (local.get 0) (i32.sub (local.get 1) (i32.const 1))) (i32.const 10)))
				(else (call $gate (local.get 0)) (local.get 0))))
		(func (export "nested") (param i32) (result i32) (call $deep (local.get 0) (i32.const 100)))
		(func (export "both") call $both))`)
	for range 20 {
		leave[1], leave[2] = make(chan struct{}), make(chan struct{})
		w.call(in, "both")
	}
}

// TestNothingDefined: what is nil is refused when it gets a name.
func TestNothingDefined(t *testing.T) {
	w := newWorld(t, nil, nil)
	in := w.instantiate(`(module)`)
	for name, x := range map[string]davit.Definition{
		"nil": nil, "func": in.Func("x"), "memory": in.Memory("x"), "table": in.Table("x"), "global": in.Global("x"),
		"tag": in.Tag("x"), "export": in.Export("x"), "host": (*davit.GoFunc)(nil), "no Go": davit.NewGoFunc(davit.FuncType{}, nil),
	} {
		if err := w.linker.Define("m", name, x); err == nil {
			t.Errorf("%s was defined", name)
		}
	}
}

// TestNoSuchThings: types and limits that make no sense are errors.
func TestNoSuchThings(t *testing.T) {
	w := newWorld(t, nil, nil)
	null := davit.ValueNull(davit.FuncRef)
	for _, typ := range []davit.TableType{
		{}, {Elem: davit.I32}, {Elem: davit.ValType(12345)},
		{Elem: davit.FuncRef, Limits: davit.Limits{Min: 5, Max: 2, HasMax: true}},
		{Elem: davit.FuncRef, Limits: davit.Limits{Min: math.MaxUint64}},
	} {
		init := null
		if typ.Elem == davit.I32 {
			init = davit.ValueI32(1)
		}
		if _, err := davit.NewTable(w.store, typ, init); err == nil {
			t.Errorf("table of type %+v", typ)
		}
	}
	for _, typ := range []davit.MemoryType{{PageBits: 5}, {PageBits: 17}, {Shared: true}, {Limits: davit.Limits{Min: 2, Max: 1, HasMax: true}}} {
		if _, err := davit.NewMemory(w.store, typ); err == nil {
			t.Errorf("memory of type %+v", typ)
		}
	}
	if _, err := davit.NewGlobal(w.store, davit.GlobalType{}, davit.Value{}); err == nil {
		t.Error("global of no type")
	}
	for _, c := range []davit.StoreConfig{{MaxInstances: -1}, {MaxNesting: -1}, {MaxExternRefs: -1}, {StackBytes: math.MaxUint64}} {
		if _, err := davit.NewStore(w.engine, &c); err == nil {
			t.Errorf("store with %+v", c)
		}
	}
	m := w.compile(`(module)`)
	if _, err := w.linker.Instantiate(ctx, w.store, m); err != nil {
		t.Fatal(err)
	}
	m.Close()
	if _, err := w.linker.Instantiate(ctx, w.store, m); !errors.Is(err, davit.ErrClosed) {
		t.Errorf("instance of a closed module: %v", err)
	}
}
