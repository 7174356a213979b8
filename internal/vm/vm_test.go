package vm_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/davit-wasm/davit/internal/compile"
	"github.com/davit-wasm/davit/internal/image"
	"github.com/davit-wasm/davit/internal/native"
	"github.com/davit-wasm/davit/internal/vm"
	"github.com/davit-wasm/davit/wasm"
	"github.com/davit-wasm/davit/wat"
)

// settings are those under which every test runs.
var settings = []struct {
	name string
	image.Settings
}{{"guards", image.Settings{}}, {"bounds", image.Settings{ExplicitBounds: true}}, {"epochs", image.Settings{Epoch: true}}}

// inEverySetting compiles a module and gives it to test with an empty store.
func inEverySetting(t *testing.T, text string, test func(t *testing.T, s *vm.Store, m *vm.Module)) {
	t.Helper()
	b, err := wat.Compile([]byte(text), nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, set := range settings {
		t.Run(set.name, func(t *testing.T) {
			img, err := compile.Module(b, &compile.Options{Settings: set.Settings})
			if err != nil {
				t.Fatal(err)
			}
			e, err := vm.NewEngine(0)
			if err != nil {
				t.Skip(err)
			}
			m, err := e.Load(img)
			if err != nil {
				t.Fatal(err)
			}
			defer m.Close()
			s, err := e.NewStore(vm.Limits{})
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			test(t, s, m)
		})
	}
}

// instantiate makes an instance.
func instantiate(s *vm.Store, m *vm.Module, imports []vm.Extern) (*vm.Instance, error) {
	in := new(vm.Instance)
	return in, s.Instantiate(context.Background(), in, m, imports)
}

func call(t *testing.T, in *vm.Instance, name string, args ...uint64) (uint64, error) {
	t.Helper()
	return callContext(t, context.Background(), in, name, args...)
}

func callContext(t *testing.T, ctx context.Context, in *vm.Instance, name string, args ...uint64) (uint64, error) {
	t.Helper()
	x, ok := in.Export(name)
	if !ok {
		t.Fatalf("no export %q", name)
	}
	buf := make([]uint64, max(1, x.Func.BufferWords()))
	copy(buf, args)
	err := in.Store().Call(ctx, &x.Func, buf)
	return buf[0], err
}

func wantTrap(t *testing.T, err error, code image.TrapCode) *vm.Trap {
	t.Helper()
	var trap *vm.Trap
	if !errors.As(err, &trap) || trap.Code != code {
		t.Fatalf("error is %v, want trap %v", err, code)
	}
	return trap
}

const arithmetic = `(module
  (func (export "add") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1)))
  (func $fac (export "fac") (param i64) (result i64)
    (if (result i64) (i64.eqz (local.get 0)) (then (i64.const 1))
      (else (i64.mul (local.get 0) (call $fac (i64.sub (local.get 0) (i64.const 1)))))))
  (func (export "div") (param i32 i32) (result i32) (i32.div_s (local.get 0) (local.get 1)))
  (func (export "deep") (param i32) (result i32) (call $deep (local.get 0)))
  (func $deep (param i32) (result i32) (i32.add (i32.const 1) (call $deep (i32.add (local.get 0) (i32.const 1)))))
  (func (export "spin") (loop $l (br $l)))
  (memory 1 3)
  (func (export "load") (param i32) (result i32) (i32.load offset=4 (local.get 0)))
  (func (export "grow") (param i32) (result i32) (memory.grow (local.get 0)))
  (func (export "size") (result i32) (memory.size))
  (func (export "fill") (param i32 i32 i32) (memory.fill (local.get 0) (local.get 1) (local.get 2))))`

// TestDirect: the direct way into native code is open to the goroutine that uses the
// store, while that is neither used nor closed, and to no other.
func TestDirect(t *testing.T) {
	inEverySetting(t, arithmetic, func(t *testing.T, s *vm.Store, m *vm.Module) {
		in, err := instantiate(s, m, nil)
		if err != nil {
			t.Fatal(err)
		}
		x, _ := in.Export("add")
		enter, pass := vm.Direct(&x.Func, func(*vm.Pass, int32, int32) (uintptr, int32) { t.Fatal("there is no direct way"); return 0, 0 })
		refused := func(when string) {
			t.Helper()
			if status, _ := enter(pass, 1, 2); status != vm.Refused {
				t.Errorf("%s: status %d", when, status)
			}
		}
		refused("before the first call")
		s.Turn.Try()
		if r, err := call(t, in, "add", 40, 2); err != nil || r != 42 {
			t.Fatal(r, err)
		}
		refused("while the turn is taken")
		s.Turn.Give()
		if m.Image.Settings.Epoch || !native.CanBias() {
			refused("when epochs must begin, or turns cannot be let")
			return
		}
		for range 2 {
			if status, r := enter(pass, -40, -2); status != vm.Done || r != -42 {
				t.Fatalf("status %d, result %d", status, r)
			}
			refused("before the turn is given back")
			s.Turn.Give()
		}
		done := make(chan bool)
		go func() {
			refused("in another goroutine")
			done <- true
		}()
		<-done
		go func() {
			if s.Turn.Try() {
				s.Turn.Give()
			}
			done <- true
		}()
		<-done
		refused("when the lease is revoked")
		s.Close()
		refused("when the store is closed")
	})
}

func TestCalls(t *testing.T) {
	inEverySetting(t, arithmetic, func(t *testing.T, s *vm.Store, m *vm.Module) {
		in, err := instantiate(s, m, nil)
		if err != nil {
			t.Fatal(err)
		}
		if r, err := call(t, in, "add", 40, 2); err != nil || uint32(r) != 42 {
			t.Errorf("add: %d, %v", r, err)
		}
		if r, err := call(t, in, "fac", 20); err != nil || r != 2432902008176640000 {
			t.Errorf("fac: %d, %v", r, err)
		}
		_, err = call(t, in, "div", 1, 0)
		trap := wantTrap(t, err, image.TrapIntegerDivideByZero)
		if len(trap.Frames) != 1 || trap.Frames[0].FuncName != "div" || trap.Frames[0].Offset <= 0 {
			t.Errorf("backtrace is %v", trap.Frames)
		}
		_, err = call(t, in, "div", 1<<31, 0xffffffff)
		wantTrap(t, err, image.TrapIntegerOverflow)
		for range 3 {
			_, err = call(t, in, "deep", 1)
			if trap := wantTrap(t, err, image.TrapStackOverflow); len(trap.Frames) != vm.MaxFrames {
				t.Errorf("backtrace of %d frames", len(trap.Frames))
			}
		}
		_, err = call(t, in, "load", 65536-4)
		wantTrap(t, err, image.TrapMemoryOutOfBounds)
		_, err = call(t, in, "load", 0xffffffff)
		wantTrap(t, err, image.TrapMemoryOutOfBounds)
		if r, err := call(t, in, "grow", 2); err != nil || uint32(r) != 1 {
			t.Errorf("grow: %d, %v", int32(r), err)
		}
		if r, err := call(t, in, "grow", 1); err != nil || int32(r) != -1 {
			t.Errorf("grow beyond the maximum: %d, %v", int32(r), err)
		}
		if r, err := call(t, in, "size"); err != nil || uint32(r) != 3 {
			t.Errorf("size: %d, %v", r, err)
		}
		if _, err := call(t, in, "fill", 65536, 7, 65536); err != nil {
			t.Error(err)
		}
		if r, err := call(t, in, "load", 65532); err != nil || uint32(r) != 0x07070707 {
			t.Errorf("load: %#x, %v", r, err)
		}
	})
}

func TestInterruption(t *testing.T) {
	const text = `(module (import "go" "started" (func $started))
	  (func (export "spin") (call $started) (loop $l (br $l)))
	  (func (export "add") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1))))`
	inEverySetting(t, text, func(t *testing.T, s *vm.Store, m *vm.Module) {
		started := func() {}
		f, err := s.NewHostFunc(wasm.FuncType{}, func(context.Context, *vm.Caller, []uint64) error { started(); return nil })
		if err != nil {
			t.Fatal(err)
		}
		in, err := instantiate(s, m, []vm.Extern{{Kind: wasm.KindFunc, Func: f}})
		if err != nil {
			t.Fatal(err)
		}
		cause := errors.New("enough")
		ctx, cancel := context.WithCancelCause(context.Background())
		started = func() { time.AfterFunc(5*time.Millisecond, func() { cancel(cause) }) }
		_, err = callContext(t, ctx, in, "spin")
		trap := wantTrap(t, err, image.TrapInterrupt)
		if !errors.Is(err, cause) || len(trap.Frames) != 1 || trap.Frames[0].FuncName != "spin" {
			t.Errorf("error is %v with frames %v", err, trap.Frames)
		}
		// A deadline may have passed before the code is entered.
		limited, done := context.WithTimeout(context.Background(), 20*time.Millisecond)
		defer done()
		started = func() {}
		_, err = callContext(t, limited, in, "spin")
		if wantTrap(t, err, image.TrapInterrupt); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("error is %v", err)
		}
		if r, err := call(t, in, "add", 1, 2); err != nil || uint32(r) != 3 {
			t.Errorf("after an interruption: %d, %v", r, err)
		}
	})
}

func TestHostFunctions(t *testing.T) {
	const text = `(module
	  (import "env" "f" (func $f (param i32 i64 f32 f64 externref) (result f64 i32)))
	  (func (export "run") (param i32) (result i32) (local $i i32)
	    (call $f (local.get 0) (i64.const -5) (f32.const 1.5) (f64.const 2.5) (ref.null extern))
	    (local.set $i)
	    (i32.trunc_f64_s)
	    (i32.add (local.get $i))))`
	inEverySetting(t, text, func(t *testing.T, s *vm.Store, m *vm.Module) {
		ft := wasm.FuncType{Params: []wasm.ValType{wasm.I32, wasm.I64, wasm.F32, wasm.F64, wasm.ExternRef}, Results: []wasm.ValType{wasm.F64, wasm.I32}}
		var in *vm.Instance
		deepest := 0
		boom := errors.New("boom")
		f, err := s.NewHostFunc(ft, func(_ context.Context, c *vm.Caller, buf []uint64) error {
			n := uint32(buf[0])
			deepest = max(deepest, int(n))
			if int64(buf[1]) != -5 || uint32(buf[2]) != 0x3fc00000 || buf[3] != 0x4004000000000000 || buf[4] != 0 {
				t.Errorf("arguments %#x", buf)
			}
			if c.Instance() != in {
				t.Error("wrong caller")
			}
			switch {
			case n == 1000:
				return boom
			case n == 1001:
				panic("host")
			case n > 0 && n <= 100:
				r, err := callContext(t, c.Context(), in, "run", uint64(n-1))
				if err != nil {
					return err
				}
				buf[0], buf[1] = 0x3ff0000000000000, r // 1.0
				return nil
			}
			if got := len(c.Backtrace()); got != vm.MaxFrames && n == 0 && deepest == 100 {
				t.Errorf("backtrace of %d frames", got)
			}
			buf[0], buf[1] = 0x4008000000000000, 4 // 3.0
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		in, err = instantiate(s, m, []vm.Extern{{Kind: wasm.KindFunc, Func: f}})
		if err != nil {
			t.Fatal(err)
		}
		if r, err := call(t, in, "run", 0); err != nil || uint32(r) != 7 {
			t.Errorf("run: %d, %v", r, err)
		}
		if r, err := call(t, in, "run", 100); err != nil || uint32(r) != 107 {
			t.Errorf("100 deep: %d, %v", r, err)
		}
		if _, err := call(t, in, "run", 1000); err != boom {
			t.Errorf("error is %v", err)
		}
		func() {
			defer func() {
				if recover() != "host" {
					t.Error("the panic is lost")
				}
			}()
			call(t, in, "run", 1001)
		}()
		if r, err := call(t, in, "run", 0); err != nil || uint32(r) != 7 {
			t.Errorf("after all that: %d, %v", r, err)
		}
	})
}

// TestClosed: nothing runs in a store that is closed.
func TestClosed(t *testing.T) {
	inEverySetting(t, arithmetic, func(t *testing.T, s *vm.Store, m *vm.Module) {
		in, err := instantiate(s, m, nil)
		if err != nil {
			t.Fatal(err)
		}
		x, _ := in.Export("add")
		buf := []uint64{1, 2}
		if err := s.Call(context.Background(), &x.Func, buf); err != nil || buf[0] != 3 {
			t.Fatalf("add: %d, %v", buf[0], err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		if err := s.Call(context.Background(), &x.Func, buf); !errors.Is(err, vm.ErrClosed) {
			t.Errorf("error is %v, want ErrClosed", err)
		}
	})
}

// TestUnreachable: a reference to a host function of a type that no module has
// can be made without a compiler, and is called by the first module that can.
func TestUnreachable(t *testing.T) {
	e, err := vm.NewEngine(0)
	if err != nil {
		t.Skip(err)
	}
	load := func(text string) *vm.Module {
		t.Helper()
		b, err := wat.Compile([]byte(text), nil)
		if err != nil {
			t.Fatal(err)
		}
		img, err := compile.Module(b, nil)
		if err != nil {
			t.Fatal(err)
		}
		m, err := e.Load(img)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(m.Close)
		return m
	}
	s, err := e.NewStore(vm.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	types := []wasm.ValType{wasm.I64, wasm.F32, wasm.I64}
	f, err := s.NewHostFunc(wasm.FuncType{Params: types, Results: types[:1]}, func(_ context.Context, _ *vm.Caller, buffer []uint64) error {
		buffer[0] += buffer[2]
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	ref, err := f.Ref()
	if err != nil {
		t.Fatal(err)
	}
	table, err := s.NewTable(wasm.TableType{Elem: wasm.FuncRef, Limits: wasm.Limits{Min: 3}}, ref)
	if err != nil {
		t.Fatal(err)
	}
	imports := []vm.Extern{{Kind: wasm.KindTable, Table: table}}
	// This one can only find out that it cannot call the function.
	other, err := instantiate(s, load(`(module (import "" "t" (table 3 funcref))
		(func (export "f") (param i64) (result i64) (call_indirect (result i64) (i32.const 1))))`), imports)
	if err != nil {
		t.Fatal(err)
	}
	var trap *vm.Trap
	if _, err := call(t, other, "f", 1); !errors.As(err, &trap) || trap.Code != image.TrapIndirectCallType {
		t.Errorf("called with another type: %v", err)
	}
	in, err := instantiate(s, load(`(module (import "" "t" (table 3 funcref))
		(func (export "f") (param i64) (result i64)
			(call_indirect (param i64 f32 i64) (result i64) (i64.const 40) (f32.const 1) (local.get 0) (i32.const 1))))`), imports)
	if err != nil {
		t.Fatal(err)
	}
	if sum, err := call(t, in, "f", 2); err != nil || sum != 42 {
		t.Errorf("%d, %v", sum, err)
	}
	if have := s.FuncOf(ref); !have.IsHost() {
		t.Error("the reference is of another function")
	}
}
