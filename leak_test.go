package davit_test

import (
	"context"
	"errors"
	"flag"
	"runtime"
	"sync"
	"testing"

	"github.com/davit-wasm/davit"
	"github.com/davit-wasm/davit/internal/testdata"
)

var leakCycles = flag.Int("leak.cycles", 20_000, "stores that TestLeaks makes; 100,000 is the full measure")

// TestLeaks makes, uses and closes many stores, a fifth of which are left to the
// collector instead, in every way that calls can end. Afterwards the process
// holds no more of the system than before.
func TestLeaks(t *testing.T) {
	e := newEngine(t, nil)
	w := &world{t: t, engine: e, linker: davit.NewLinker(e)}
	failure := errors.New("no")
	type cancelKey struct{}
	err := w.linker.Define("go", "f", davit.HostFunc2(func(ctx context.Context, _ *davit.Caller, how int32, x davit.External) (davit.External, error) {
		switch how {
		case 1:
			return x, failure
		case 2:
			panic(failure)
		case 3:
			runtime.Goexit()
		case 4:
			ctx.Value(cancelKey{}).(context.CancelFunc)()
		}
		return davit.External{Value: &how}, nil
	}))
	if err != nil {
		t.Fatal(err)
	}
	m := w.compile(`(module
		(import "go" "f" (func $f (param i32 externref) (result externref)))
		(memory (export "memory") 1)
		(table $t 100 externref)
		(func (export "f") (param i32 externref)
			(drop (table.grow $t (local.get 1) (i32.const 100)))
			(table.set $t (i32.const 1) (call $f (local.get 0) (local.get 1))))
		(func (export "trap") (drop (i32.load (i32.const -1))))
		(func (export "spin") (loop $l (br $l)))
		(func $deep (export "deep") (call $deep)))`)
	pre, err := w.linker.InstancePre(m)
	if err != nil {
		t.Fatal(err)
	}
	cycle := func(i int) {
		s, err := davit.NewStore(e, nil)
		if err != nil {
			t.Error(err)
			return
		}
		in, err := pre.Instantiate(ctx, s)
		if err != nil {
			t.Error(err)
			return
		}
		memory, _ := in.Memory("memory").View(0, 1<<16)
		memory[1000] = 1
		in.Memory("memory").Grow(1)
		f := func(ctx context.Context, how int32) {
			must(davit.Proc2[int32, davit.External](in.Func("f")))(ctx, how, davit.External{Value: s})
		}
		switch i % 9 {
		case 0:
			in.Func("trap").Call(ctx)
		case 1:
			in.Func("deep").Call(ctx)
		case 2:
			func() {
				defer func() { recover() }()
				f(ctx, 2)
			}()
		case 3:
			var wg sync.WaitGroup
			wg.Go(func() { f(ctx, 3) })
			wg.Wait()
		case 4:
			f(ctx, 1)
		case 5:
			cancellable, cancel := context.WithCancel(ctx)
			f(context.WithValue(cancellable, cancelKey{}, cancel), 4)
		case 6:
			if i%900 == 6 { // takes a while
				cancellable, cancel := context.WithCancel(ctx)
				go cancel()
				in.Func("spin").Call(cancellable)
			}
		case 7:
			f(ctx, 0)
		}
		if i%5 != 0 { // the others are left to the collector
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		}
	}
	cycles := *leakCycles
	if testing.Short() {
		cycles = 1000
	}
	run := func(n int) {
		for i := range n {
			cycle(i)
			if i%100 == 0 {
				runtime.GC() // a store that is left to it seems small to Go's collector
			}
		}
	}
	// Pools fill, to the largest number of stores that wait for the collector at a
	// time, and so does the list of memories that were looked at.
	run(max(1500, cycles/5))
	before := testdata.Holds(t)
	run(cycles)
	after := testdata.Holds(t)
	t.Logf("before: %+v, after: %+v", before, after)
	if after.Mappings > before.Mappings+300 || after.Descriptors > before.Descriptors+2 ||
		after.Goroutines > before.Goroutines+2 || after.Resident > before.Resident+16<<20 {
		t.Errorf("before: %+v, after: %+v", before, after)
	}
}

// TestManyStores: goroutines with stores of their own share an engine and a
// module, and compile and close modules meanwhile.
func TestManyStores(t *testing.T) {
	e := newEngine(t, nil)
	m := (&world{t: t, engine: e}).compile(`(module (memory (export "m") 1)
		(func (export "f") (param i32) (result i32)
			(i32.store (i32.const 0) (local.get 0)) (i32.load (i32.const 0))))`)
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for i := range 20 {
				s, err := davit.NewStore(e, nil)
				if err != nil {
					t.Error(err)
					return
				}
				in, err := davit.NewLinker(e).Instantiate(ctx, s, m)
				if err != nil {
					t.Error(err)
					return
				}
				n := int32(g*1000 + i)
				if r, err := in.Func("f").Call(ctx, davit.ValueI32(n)); err != nil || r[0].I32() != n {
					t.Errorf("f(%d) = %v, %v", n, r, err)
				}
				other, err := e.Compile(ctx, []byte("\x00asm\x01\x00\x00\x00"))
				if err != nil {
					t.Error(err)
					return
				}
				other.Close()
				s.Close()
			}
		})
	}
	wg.Wait()
	// Many at a time.
	stores := make([]*davit.Store, 500)
	for i := range stores {
		s, err := davit.NewStore(e, nil)
		if err != nil {
			t.Fatal(err)
		}
		stores[i] = s
		in, err := davit.NewLinker(e).Instantiate(ctx, s, m)
		if err != nil {
			t.Fatalf("store %d: %v", i, err)
		}
		if _, err := in.Func("f").Call(ctx, davit.ValueI32(1)); err != nil {
			t.Fatalf("store %d: %v", i, err)
		}
	}
	for _, s := range stores {
		s.Close()
	}
}
