package davit_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"runtime"
	"sync"
	"testing"

	"github.com/davit-wasm/davit"
)

// held is what a process holds of the system.
type held struct{ mappings, descriptors, goroutines, resident int }

func holds(t *testing.T) held {
	t.Helper()
	runtime.GC()
	runtime.GC() // the first one runs cleanups, the second frees what they held
	maps, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		t.Skip("needs /proc: ", err)
	}
	fds, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	statm, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		t.Fatal(err)
	}
	resident := 0
	for _, c := range bytes.Fields(statm)[1] {
		resident = 10*resident + int(c-'0')
	}
	return held{bytes.Count(maps, []byte("\n")), len(fds), runtime.NumGoroutine(), resident * os.Getpagesize()}
}

// TestLeaks makes, uses and closes stores in every way that calls can end.
// Afterwards the process holds no more of the system than before.
func TestLeaks(t *testing.T) {
	e := newEngine(t, nil)
	w := &world{t: t, engine: e, linker: davit.NewLinker(e)}
	failure := errors.New("no")
	w.define("go", "f", types(davit.I32), nil, func(ctx context.Context, _ *davit.Caller, stack []uint64) error {
		switch uint32(stack[0]) {
		case 1:
			return failure
		case 2:
			panic(failure)
		case 3:
			runtime.Goexit()
		}
		return nil
	})
	m := w.compile(`(module
		(import "go" "f" (func $f (param i32)))
		(memory (export "memory") 1)
		(table 100 funcref)
		(func (export "f") (param i32) (call $f (local.get 0)))
		(func (export "trap") (drop (i32.load (i32.const -1))))
		(func (export "spin") (loop $l (br $l)))
		(func $deep (export "deep") (call $deep)))`)
	cycle := func(i int) {
		s, err := davit.NewStore(e, nil)
		if err != nil {
			t.Error(err)
			return
		}
		in, err := w.linker.Instantiate(ctx, s, m)
		if err != nil {
			t.Error(err)
			return
		}
		memory, _ := in.Memory("memory").View(0, 1<<16)
		memory[1000] = 1
		in.Memory("memory").Grow(1)
		switch i % 7 {
		case 0:
			in.Func("trap").Call(ctx)
		case 1:
			in.Func("deep").Call(ctx)
		case 2:
			func() {
				defer func() { recover() }()
				in.Func("f").Call(ctx, davit.ValueI32(2))
			}()
		case 3:
			var wg sync.WaitGroup
			wg.Go(func() { in.Func("f").Call(ctx, davit.ValueI32(3)) })
			wg.Wait()
		case 4:
			in.Func("f").Call(ctx, davit.ValueI32(1))
		case 5:
			if i%100 == 5 {
				cancellable, cancel := context.WithCancel(ctx)
				go cancel()
				in.Func("spin").Call(cancellable)
			}
		case 6:
			in.Func("f").Call(ctx, davit.ValueI32(0))
		}
		if i%5 != 0 { // the others are left to the collector
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		}
	}
	cycles := 5000
	if testing.Short() {
		cycles = 700
	}
	for i := range 1100 { // pools fill, and the list of memories that were looked at
		cycle(i)
		if i%50 == 0 {
			runtime.GC()
		}
	}
	before := holds(t)
	for i := range cycles {
		cycle(i)
		if i%50 == 0 {
			runtime.GC()
		}
	}
	after := holds(t)
	t.Logf("before: %+v, after: %+v", before, after)
	if after.mappings > before.mappings+20 || after.descriptors > before.descriptors+2 ||
		after.goroutines > before.goroutines+2 || after.resident > before.resident+16<<20 {
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
