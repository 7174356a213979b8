package davit_test

import (
	"context"
	"errors"
	"math"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/davit-wasm/davit"
	"github.com/davit-wasm/davit/wasm"
	"github.com/davit-wasm/davit/wat"
)

var ctx = context.Background()

// newEngine makes an engine, or skips the test where there is no native code.
func newEngine(t testing.TB, c *davit.Config) *davit.Engine {
	t.Helper()
	e, err := davit.NewEngine(c)
	if err != nil {
		t.Skip(err)
	}
	return e
}

// world is an engine with a store and a linker.
type world struct {
	t      testing.TB
	engine *davit.Engine
	store  *davit.Store
	linker *davit.Linker
}

func newWorld(t testing.TB, c *davit.Config, sc *davit.StoreConfig) *world {
	t.Helper()
	e := newEngine(t, c)
	s, err := davit.NewStore(e, sc)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return &world{t, e, s, davit.NewLinker(e)}
}

func (w *world) compile(text string) *davit.Module {
	w.t.Helper()
	code, err := wat.Compile([]byte(text), nil)
	if err != nil {
		w.t.Fatal(err)
	}
	m, err := w.engine.Compile(ctx, code)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { m.Close() })
	return m
}

func (w *world) instantiate(text string) *davit.Instance {
	w.t.Helper()
	in, err := w.linker.Instantiate(ctx, w.store, w.compile(text))
	if err != nil {
		w.t.Fatal(err)
	}
	return in
}

func (w *world) define(module, name string, params, results []davit.ValType, fn davit.HostFunc) {
	w.t.Helper()
	if err := w.linker.DefineFunc(module, name, davit.FuncType{Params: params, Results: results}, fn); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) call(in *davit.Instance, name string, args ...davit.Value) []davit.Value {
	w.t.Helper()
	r, err := in.Func(name).Call(ctx, args...)
	if err != nil {
		w.t.Fatalf("%s: %v", name, err)
	}
	return r
}

func types(t ...davit.ValType) []davit.ValType { return t }

func wantTrap(t testing.TB, err error, code davit.TrapCode) *davit.Trap {
	t.Helper()
	var trap *davit.Trap
	if !errors.As(err, &trap) || trap.Code != code {
		t.Fatalf("error is %v, want trap %q", err, code)
	}
	return trap
}

// TestValues passes a value of each type from Go through WebAssembly to Go and
// back.
func TestValues(t *testing.T) {
	w := newWorld(t, nil, nil)
	all := types(davit.I32, davit.I64, davit.F32, davit.F64, davit.FuncRef, davit.ExternRef)
	var seen []uint64
	w.define("go", "f", all, all, func(_ context.Context, c *davit.Caller, stack []uint64) error {
		seen = slices.Clone(stack)
		return nil
	})
	in := w.instantiate(`(module
		(type $t (func (param i32 i64 f32 f64 funcref externref) (result i32 i64 f32 f64 funcref externref)))
		(import "go" "f" (func $f (type $t)))
		(func (export "pass") (type $t)
			(call $f (local.get 0) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5)))
		(func $g (export "g") (result i32) (i32.const 7)))`)
	object := &struct{ x int }{1}
	args := []davit.Value{
		davit.ValueI32(-2), davit.ValueI64(math.MinInt64), davit.ValueF32Bits(0x7fa00001), davit.ValueF64(-0.5),
		davit.ValueFunc(in.Func("g")), davit.ValueExtern(object),
	}
	r := w.call(in, "pass", args...)
	if uint32(seen[0]) != 0xfffffffe || seen[1] != 1<<63 || uint32(seen[2]) != 0x7fa00001 || seen[3] != math.Float64bits(-0.5) {
		t.Errorf("the host got %x", seen)
	}
	for i := range 4 {
		if r[i] != args[i] {
			t.Errorf("result %d is %v, want %v", i, r[i], args[i])
		}
	}
	if got, err := r[4].Func().Call(ctx); err != nil || got[0].I32() != 7 {
		t.Errorf("called the function reference: %v, %v", got, err)
	}
	if r[5].Extern() != object {
		t.Errorf("the external reference holds %v", r[5].Extern())
	}
	args[4], args[5] = davit.ValueNull(davit.FuncRef), davit.ValueExtern(nil)
	r = w.call(in, "pass", args...)
	if !r[4].IsNull() || !r[5].IsNull() || seen[4] != 0 || seen[5] != 0 {
		t.Error("null is not null")
	}

	f := in.Func("pass")
	if _, err := f.Call(ctx); err == nil {
		t.Error("called without arguments")
	}
	args[0] = davit.ValueI64(1)
	if _, err := f.Call(ctx, args...); err == nil {
		t.Error("called with an argument of a wrong type")
	}
}

// TestHostFuncReference: a function of the host that gets into a table from Go
// can be called from there.
func TestHostFuncReference(t *testing.T) {
	w := newWorld(t, nil, nil)
	in := w.instantiate(`(module
		(type $t (func (param i32) (result i32)))
		(table (export "table") 2 funcref)
		(func (export "call") (param i32 i32) (result i32) (call_indirect (type $t) (local.get 1) (local.get 0)))
		(func $own (export "own") (type $t) (i32.add (local.get 0) (i32.const 1))))`)
	f, err := davit.NewFunc(w.store, davit.FuncType{Params: types(davit.I32), Results: types(davit.I32)},
		func(_ context.Context, _ *davit.Caller, stack []uint64) error {
			stack[0] = uint64(uint32(stack[0]) * 3)
			return nil
		})
	if err != nil {
		t.Fatal(err)
	}
	other, err := davit.NewFunc(w.store, davit.FuncType{Params: types(davit.F64, davit.F64, davit.I64)},
		func(context.Context, *davit.Caller, []uint64) error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	table := in.Table("table")
	if err := table.Set(0, davit.ValueFunc(f)); err != nil {
		t.Fatal(err)
	}
	if r := w.call(in, "call", davit.ValueI32(0), davit.ValueI32(14)); r[0].I32() != 42 {
		t.Errorf("call gives %v", r)
	}
	if r, err := f.Call(ctx, davit.ValueI32(5)); err != nil || r[0].I32() != 15 {
		t.Errorf("called from Go: %v, %v", r, err)
	}
	if err := table.Set(0, davit.ValueFunc(other)); err != nil {
		t.Fatal(err) // no module has its type
	}
	_, err = in.Func("call").Call(ctx, davit.ValueI32(0), davit.ValueI32(1))
	wantTrap(t, err, davit.TrapIndirectCallType)
	if err := table.Set(1, davit.ValueFunc(in.Func("own"))); err != nil {
		t.Fatal(err)
	}
	if v, ok := table.Get(1); !ok {
		t.Error("no element 1")
	} else if r, err := v.Func().Call(ctx, davit.ValueI32(1)); err != nil || r[0].I32() != 2 {
		t.Errorf("%v, %v", r, err)
	}
	if err := table.Set(2, davit.ValueFunc(f)); err == nil {
		t.Error("wrote beyond the table's end")
	}
}

func TestLinkErrors(t *testing.T) {
	w := newWorld(t, nil, nil)
	w.define("go", "f", types(davit.I32), nil, func(context.Context, *davit.Caller, []uint64) error { return nil })
	mem, err := davit.NewMemory(w.store, davit.MemoryType{Limits: davit.Limits{Min: 1, Max: 3, HasMax: true}})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.linker.Define("go", "m", mem); err != nil {
		t.Fatal(err)
	}
	if err := w.linker.Define("go", "m", mem); err == nil {
		t.Error("a name was defined twice")
	}
	for _, c := range []struct{ imports, reason string }{
		{`(import "go" "x" (func))`, "unknown import"},
		{`(import "x" "f" (func (param i32)))`, "unknown import"},
		{`(import "wasi_snapshot_preview1" "fd_write" (func))`, "unknown import"},
		{`(import "go" "f" (func))`, "incompatible import type"},
		{`(import "go" "f" (func (param i32) (result i32)))`, "incompatible import type"},
		{`(import "go" "f" (memory 1))`, "incompatible import type"},
		{`(import "go" "m" (memory 2))`, "incompatible import type"},
		{`(import "go" "m" (memory 1 2))`, "incompatible import type"},
		{`(import "go" "m" (table 1 funcref))`, "incompatible import type"},
	} {
		_, err := w.linker.Instantiate(ctx, w.store, w.compile("(module "+c.imports+")"))
		var link *davit.LinkError
		if !errors.As(err, &link) || !strings.HasPrefix(link.Reason, c.reason) {
			t.Errorf("%s: %v, want %s", c.imports, err, c.reason)
		}
	}
	other := newWorld(t, nil, nil)
	other.engine = w.engine
	s2, err := davit.NewStore(w.engine, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer s2.Close()
	if _, err := w.linker.Instantiate(ctx, s2, w.compile(`(module (import "go" "m" (memory 1)))`)); err == nil {
		t.Error("a memory was given to another store")
	}
}

// TestSharing: instances see each other's and the host's memories, globals and
// tables, and call each other.
func TestSharing(t *testing.T) {
	w := newWorld(t, nil, nil)
	mem, err := davit.NewMemory(w.store, davit.MemoryType{Limits: davit.Limits{Min: 1}})
	if err != nil {
		t.Fatal(err)
	}
	global, err := davit.NewGlobal(w.store, davit.GlobalType{Type: davit.I64, Mutable: true}, davit.ValueI64(5))
	if err != nil {
		t.Fatal(err)
	}
	w.linker.Define("host", "mem", mem)
	w.linker.Define("host", "g", global)
	a := w.instantiate(`(module
		(import "host" "mem" (memory 1))
		(import "host" "g" (global $g (mut i64)))
		(table (export "t") 1 funcref)
		(elem (i32.const 0) $poke)
		(func $poke (export "poke") (param i32) (i32.store (local.get 0) (i32.wrap_i64 (global.get $g)))))`)
	if err := w.linker.DefineInstance("a", a); err != nil {
		t.Fatal(err)
	}
	b := w.instantiate(`(module
		(import "host" "mem" (memory 1))
		(import "host" "g" (global $g (mut i64)))
		(import "a" "poke" (func $poke (param i32)))
		(import "a" "t" (table 1 funcref))
		(type $t (func (param i32)))
		(func (export "go") (param i32) (result i32)
			(global.set $g (i64.const 77))
			(call $poke (local.get 0))
			(call_indirect (type $t) (i32.add (local.get 0) (i32.const 4)) (i32.const 0))
			(i32.load (i32.add (local.get 0) (i32.const 4))))
		(func (export "grow") (result i32) (memory.grow (i32.const 2))))`)
	if r := w.call(b, "go", davit.ValueI32(16)); r[0].I32() != 77 {
		t.Errorf("go gives %v", r)
	}
	if got, ok := mem.View(16, 8); !ok || string(got) != "M\x00\x00\x00M\x00\x00\x00" {
		t.Errorf("memory holds %q", got)
	}
	if global.Get().I64() != 77 {
		t.Errorf("global is %v", global.Get())
	}
	if r := w.call(b, "grow"); r[0].I32() != 1 || mem.Size() != 3<<16 {
		t.Errorf("grow gives %v, size is %d", r, mem.Size())
	}
	if _, err := mem.WriteAt([]byte("x"), 3<<16-1); err != nil {
		t.Error(err)
	}
	if _, err := mem.WriteAt([]byte("xy"), 3<<16-1); err == nil {
		t.Error("wrote beyond the memory's end")
	}
	names := []string{}
	for name, x := range a.Exports() {
		names = append(names, name)
		if x.Store() != w.store {
			t.Error("export of another store")
		}
	}
	if !slices.Equal(names, []string{"t", "poke"}) {
		t.Errorf("exports are %q", names)
	}
}

// TestTraps: every trap has its code and the guest's frames, with names and
// places.
func TestTraps(t *testing.T) {
	for _, c := range []struct {
		name   string
		config *davit.Config
	}{{"guards", nil}, {"bounds", &davit.Config{ExplicitBounds: true}}, {"epochs", &davit.Config{Interruption: davit.InterruptionEpoch}}} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, c.config, nil)
			in := w.instantiate(`(module $m
				(memory 1)
				(table 3 funcref)
				(elem (i32.const 0) $other)
				(type $t (func))
				(func $other (param i32))
				(func $unreachable (export "unreachable") unreachable)
				(func (export "load") (param i32) (drop (i32.load (local.get 0))))
				(func (export "far") (param i32) (drop (i32.load offset=0xfffffffc (local.get 0))))
				(func (export "store") (param i32) (i64.store8 (local.get 0) (i64.const 1)))
				(func (export "div") (param i32) (drop (i32.div_s (i32.const 1) (local.get 0))))
				(func (export "rem") (param i32) (drop (i64.rem_u (i64.const 1) (i64.extend_i32_u (local.get 0)))))
				(func (export "overflow") (param i32) (drop (i32.div_s (i32.const 0x80000000) (local.get 0))))
				(func (export "trunc") (param i32) (drop (i32.trunc_f64_s (f64.div (f64.const 0) (f64.const 0)))))
				(func (export "big") (param i32) (drop (i32.trunc_f64_s (f64.const 1e10))))
				(func (export "indirect") (param i32) (call_indirect (type $t) (local.get 0)))
				(func $deep (export "deep") (param i32) (call $deep (i32.add (local.get 0) (i32.const 1))))
				(func (export "fill") (param i32) (memory.fill (local.get 0) (i32.const 0) (i32.const 10)))
				(func (export "table") (param i32) (drop (table.get (local.get 0)))))`)
			for _, c := range []struct {
				name string
				arg  int32
				code davit.TrapCode
			}{
				{"load", 1 << 16, davit.TrapMemoryOutOfBounds},
				{"load", 1<<16 - 3, davit.TrapMemoryOutOfBounds},
				{"load", -1, davit.TrapMemoryOutOfBounds},
				{"far", -1, davit.TrapMemoryOutOfBounds},
				{"far", 0, davit.TrapMemoryOutOfBounds},
				{"store", 1 << 16, davit.TrapMemoryOutOfBounds},
				{"div", 0, davit.TrapIntegerDivideByZero},
				{"rem", 0, davit.TrapIntegerDivideByZero},
				{"overflow", -1, davit.TrapIntegerOverflow},
				{"trunc", 0, davit.TrapInvalidConversion},
				{"big", 0, davit.TrapIntegerOverflow},
				{"indirect", 0, davit.TrapIndirectCallType},
				{"indirect", 1, davit.TrapUninitializedElement},
				{"indirect", 3, davit.TrapUndefinedElement},
				{"deep", 0, davit.TrapStackOverflow},
				{"fill", 1<<16 - 9, davit.TrapMemoryOutOfBounds},
				{"table", 3, davit.TrapTableOutOfBounds},
			} {
				_, err := in.Func(c.name).Call(ctx, davit.ValueI32(c.arg))
				trap := wantTrap(t, err, c.code)
				if len(trap.Frames) == 0 || trap.Frames[0].FuncName != c.name || trap.Frames[0].Module != "m" {
					t.Fatalf("%s(%d): frames are\n%s", c.name, c.arg, trap.Backtrace())
				}
				if trap.Frames[0].Offset <= 0 {
					t.Errorf("%s(%d): no offset", c.name, c.arg)
				}
				if c.name == "deep" && len(trap.Frames) != 100 {
					t.Errorf("%d frames", len(trap.Frames))
				}
			}
			_, err := in.Func("unreachable").Call(ctx)
			wantTrap(t, err, davit.TrapUnreachable)
			// What did not trap still works.
			w.call(in, "load", davit.ValueI32(1<<16-4))
			w.call(in, "overflow", davit.ValueI32(2))
		})
	}
}

// nesting is a module that calls the host n times, which calls it back.
const nesting = `(module
	(import "go" "back" (func $back (param i32) (result i32)))
	(memory (export "memory") 1)
	(func (export "down") (param i32) (result i32)
		(if (result i32) (i32.eqz (local.get 0))
			(then (call $back (i32.const -1)))
			(else (i32.add (i32.const 1) (call $back (i32.sub (local.get 0) (i32.const 1))))))))`

// TestNesting: hosts and guests call each other, 100 deep and more, up to the
// limit, which is a trap.
func TestNesting(t *testing.T) {
	w := newWorld(t, nil, &davit.StoreConfig{MaxNesting: 200})
	var in *davit.Instance
	w.define("go", "back", types(davit.I32), types(davit.I32), func(ctx context.Context, c *davit.Caller, stack []uint64) error {
		n := int32(stack[0])
		if n < 0 {
			stack[0] = 0
			return nil
		}
		if c.Memory() == nil || c.Instance() == nil || c.Store() != w.store {
			return errors.New("caller unknown")
		}
		runtime.GC() // moves nothing that matters
		r, err := in.Func("down").Call(ctx, davit.ValueI32(n))
		if err == nil {
			stack[0] = uint64(uint32(r[0].I32()))
		}
		return err
	})
	in = w.instantiate(nesting)
	for _, n := range []int32{0, 1, 100, 190} {
		if r := w.call(in, "down", davit.ValueI32(n)); r[0].I32() != n {
			t.Errorf("down(%d) = %v", n, r)
		}
	}
	_, err := in.Func("down").Call(ctx, davit.ValueI32(1000))
	trap := wantTrap(t, err, davit.TrapStackOverflow)
	if len(trap.Frames) != 100 {
		t.Errorf("%d frames", len(trap.Frames))
	}
	if r := w.call(in, "down", davit.ValueI32(5)); r[0].I32() != 5 {
		t.Errorf("afterwards: %v", r)
	}
}

// TestNestedContexts: a host function calls back with the context that it was
// given, with another one, and from another goroutine; the innermost call sees
// the values of the context it was made with.
func TestNestedContexts(t *testing.T) {
	type key struct{}
	w := newWorld(t, nil, nil)
	var in *davit.Instance
	var seen any
	w.define("go", "back", types(davit.I32), types(davit.I32), func(ctx context.Context, _ *davit.Caller, stack []uint64) error {
		n := int32(stack[0])
		stack[0] = 0
		if n <= 0 {
			seen = ctx.Value(key{})
			return nil
		}
		for i, c := range []context.Context{ctx, context.WithValue(ctx, key{}, 1), context.Background(), context.WithValue(context.Background(), key{}, 3), ctx} {
			if _, err := in.Func("down").Call(c, davit.ValueI32(n-1)); err != nil {
				return err
			}
			if n == 1 && seen != c.Value(key{}) {
				t.Errorf("call %d: the value is %v", i, seen)
			}
		}
		failed := make(chan error)
		go func() { _, err := in.Func("down").Call(ctx, davit.ValueI32(n-1)); failed <- err }()
		return <-failed
	})
	in = w.instantiate(nesting)
	limited, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	if _, err := in.Func("down").Call(limited, davit.ValueI32(4)); err != nil {
		t.Fatal(err)
	}
	w.call(in, "down", davit.ValueI32(2))
}

// TestHostFailures: a host function may fail, panic, end its goroutine or
// dereference nil, at any depth; the store works afterwards.
func TestHostFailures(t *testing.T) {
	w := newWorld(t, nil, nil)
	failure := errors.New("no")
	var fail func() error
	var in *davit.Instance
	w.define("go", "back", types(davit.I32), types(davit.I32), func(ctx context.Context, _ *davit.Caller, stack []uint64) error {
		if n := int32(stack[0]); n > 0 {
			r, err := in.Func("down").Call(ctx, davit.ValueI32(n))
			if err != nil {
				return err
			}
			stack[0] = uint64(uint32(r[0].I32()))
			return nil
		}
		stack[0] = 0
		return fail()
	})
	in = w.instantiate(nesting)
	works := func() {
		t.Helper()
		fail = func() error { return nil }
		if r := w.call(in, "down", davit.ValueI32(10)); r[0].I32() != 10 {
			t.Fatalf("afterwards: %v", r)
		}
	}
	for _, depth := range []int32{0, 1, 50} {
		arg := davit.ValueI32(depth)
		fail = func() error { return failure }
		if _, err := in.Func("down").Call(ctx, arg); !errors.Is(err, failure) {
			t.Errorf("depth %d: error is %v", depth, err)
		}
		works()

		fail = func() error { panic(failure) }
		func() {
			defer func() {
				if r := recover(); !isPanic(r, failure) {
					t.Errorf("depth %d: recovered %v", depth, r)
				}
			}()
			in.Func("down").Call(ctx, arg)
			t.Errorf("depth %d: no panic", depth)
		}()
		works()

		fail = func() error { var p *int; *p = 1; return nil }
		func() {
			defer func() {
				err, ok := errors.AsType[runtime.Error](recover().(*davit.HostPanic))
				if !ok || !strings.Contains(err.Error(), "nil pointer") {
					t.Errorf("depth %d: recovered %v", depth, err)
				}
			}()
			in.Func("down").Call(ctx, arg)
		}()
		works()

		fail = func() error { runtime.Goexit(); return nil }
		ended := make(chan bool)
		go func() {
			defer close(ended)
			in.Func("down").Call(ctx, arg)
			t.Errorf("depth %d: Goexit returned", depth)
		}()
		<-ended
		works()
	}
}

const loops = `(module
	(import "go" "tick" (func $tick))
	(memory (export "memory") 1)
	(func (export "forever") (call $tick) (loop $l (br $l)))
	(func (export "ticking") (loop $l (call $tick) (br $l)))
	(func (export "filling") (call $tick) (loop $l (memory.fill (i32.const 0) (i32.const 1) (i32.const 65536)) (br $l)))
	(func (export "copying") (call $tick) (loop $l (memory.copy (i32.const 0) (i32.const 32768) (i32.const 32768)) (br $l)))
	(func (export "count") (param i64) (result i64) (local $n i64)
		(loop $l
			(local.set $n (i64.add (local.get $n) (i64.const 1)))
			(br_if $l (i64.lt_u (local.get $n) (local.get 0))))
		(local.get $n)))`

func eachInterruption(t *testing.T, test func(t *testing.T, c *davit.Config)) {
	for name, i := range map[string]davit.Interruption{"signal": davit.InterruptionSignal, "epoch": davit.InterruptionEpoch} {
		t.Run(name, func(t *testing.T) { test(t, &davit.Config{Interruption: i}) })
	}
}

// TestCancellation: a call ends when its context does, whatever it does, and
// the error holds the cause.
func TestCancellation(t *testing.T) {
	eachInterruption(t, func(t *testing.T, c *davit.Config) {
		w := newWorld(t, c, nil)
		started := make(chan bool, 1)
		tick := func() {
			select {
			case started <- true:
			default:
			}
		}
		w.define("go", "tick", nil, nil, func(context.Context, *davit.Caller, []uint64) error { tick(); return nil })
		in := w.instantiate(loops)
		reason := errors.New("reason")
		for _, name := range []string{"forever", "ticking", "filling", "copying"} {
			cancellable, cancel := context.WithCancelCause(ctx)
			go func() { <-started; cancel(reason) }()
			_, err := in.Func(name).Call(cancellable)
			trap := wantTrap(t, err, davit.TrapInterrupt)
			if !errors.Is(err, reason) {
				t.Errorf("%s: cause is lost: %v", name, err)
			}
			if len(trap.Frames) != 1 || trap.Frames[0].FuncName != name {
				t.Errorf("%s: frames are\n%s", name, trap.Backtrace())
			}

			limited, cancel2 := context.WithTimeoutCause(ctx, 10*time.Millisecond, reason)
			_, err = in.Func(name).Call(limited)
			cancel2()
			wantTrap(t, err, davit.TrapInterrupt)
			if !errors.Is(err, reason) {
				t.Errorf("%s: cause of the deadline is lost: %v", name, err)
			}
			select { // what the call has left, if it began at all
			case <-started:
			default:
			}
		}
		// A context that has ended lets nothing begin.
		ended, cancel := context.WithCancel(ctx)
		cancel()
		_, err := in.Func("count").Call(ended, davit.ValueI64(1))
		if !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		if r := w.call(in, "count", davit.ValueI64(1000)); r[0].I64() != 1000 {
			t.Errorf("afterwards: %v", r)
		}
	})
}

// TestCancellationOfCalls: functions without loops end with their context, too, however they
// call each other, and so do those whose loops always come to an end.
func TestCancellationOfCalls(t *testing.T) {
	eachInterruption(t, func(t *testing.T, c *davit.Config) {
		w := newWorld(t, c, nil)
		in := w.instantiate(`(module
			(table funcref (elem $ping $pong))
			(type $f (func (param i32)))
			(func $tree (export "tree") (param i32) (result i32)
				(if (result i32) (local.get 0)
					(then (i32.add (call $tree (i32.sub (local.get 0) (i32.const 1))) (call $tree (i32.sub (local.get 0) (i32.const 1)))))
					(else (i32.const 1))))
			(func $same (export "same") (param i32) (return_call $same (i32.add (local.get 0) (i32.const 1))))
			(func $ping (export "ping") (param i32) (return_call_indirect (type $f) (i32.const 7) (i32.const 1)))
			(func $pong (param i32) (return_call_indirect (type $f) (local.get 0) (i32.const 0)))
			(func $count (param i32) (result i32)
				(loop $l (br_if $l (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))
				(local.get 0))
			(func (export "counting") (param i32) (loop $l (br_if $l (i32.eqz (call $count (local.get 0)))))))`)
		for name, arg := range map[string]int32{"tree": 100, "same": 0, "ping": 0, "counting": 10_000} {
			reason := errors.New("reason")
			limited, cancel := context.WithTimeoutCause(ctx, 10*time.Millisecond, reason)
			_, err := in.Func(name).Call(limited, davit.ValueI32(arg))
			cancel()
			wantTrap(t, err, davit.TrapInterrupt)
			if !errors.Is(err, reason) {
				t.Errorf("%s: cause is lost: %v", name, err)
			}
		}
	})
}

// TestTurns: goroutines that share a store take turns.
func TestTurns(t *testing.T) {
	w := newWorld(t, nil, nil)
	inside := 0
	w.define("go", "enter", nil, nil, func(context.Context, *davit.Caller, []uint64) error {
		inside++
		defer func() { inside-- }()
		if inside != 1 {
			return errors.New("two at a time")
		}
		runtime.Gosched()
		return nil
	})
	in := w.instantiate(`(module
		(import "go" "enter" (func $enter))
		(global $n (export "n") (mut i32) (i32.const 0))
		(func (export "f") (call $enter) (global.set $n (i32.add (global.get $n) (i32.const 1)))))`)
	f := in.Func("f")
	const goroutines, calls = 8, 200
	var wg sync.WaitGroup
	for range goroutines {
		wg.Go(func() {
			for range calls {
				if _, err := f.Call(ctx); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	if n := in.Global("n").Get().I32(); n != goroutines*calls {
		t.Errorf("%d calls, want %d", n, goroutines*calls)
	}
}

// TestWaitingForTurn: who waits for a store can be told to stop.
func TestWaitingForTurn(t *testing.T) {
	w := newWorld(t, nil, nil)
	entered, leave := make(chan bool), make(chan bool)
	w.define("go", "tick", nil, nil, func(context.Context, *davit.Caller, []uint64) error {
		entered <- true
		<-leave
		return errors.New("left")
	})
	in := w.instantiate(loops)
	done := make(chan bool)
	go func() { defer close(done); in.Func("ticking").Call(ctx) }()
	<-entered
	limited, cancel := context.WithTimeout(ctx, time.Millisecond)
	defer cancel()
	if _, err := in.Func("count").Call(limited, davit.ValueI64(1)); !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
	if err := w.store.Close(); !errors.Is(err, davit.ErrBusy) {
		t.Errorf("closing a running store: %v", err)
	}
	close(leave)
	<-done
}

func TestClose(t *testing.T) {
	w := newWorld(t, nil, nil)
	in := w.instantiate(`(module (memory (export "m") 1) (func (export "f")))`)
	m := in.Module()
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	w.call(in, "f") // instances outlive their module
	f := in.Func("f")
	if err := w.store.Close(); err != nil {
		t.Fatal(err)
	}
	if err := w.store.Close(); err != nil {
		t.Fatal("closing twice:", err)
	}
	if _, err := f.Call(ctx); !errors.Is(err, davit.ErrClosed) {
		t.Error(err)
	}
	if _, err := w.linker.Instantiate(ctx, w.store, m); !errors.Is(err, davit.ErrClosed) {
		t.Error(err)
	}
}

func TestStartAndSegments(t *testing.T) {
	w := newWorld(t, nil, nil)
	_, err := w.linker.Instantiate(ctx, w.store, w.compile(`(module $x (func $boom unreachable) (start $boom))`))
	trap := wantTrap(t, err, davit.TrapUnreachable)
	if len(trap.Frames) != 1 || trap.Frames[0].FuncName != "boom" {
		t.Errorf("frames are\n%s", trap.Backtrace())
	}
	_, err = w.linker.Instantiate(ctx, w.store, w.compile(`(module (memory 1) (data (i32.const 65536) "x"))`))
	wantTrap(t, err, davit.TrapMemoryOutOfBounds)
	_, err = w.linker.Instantiate(ctx, w.store, w.compile(`(module (table 1 funcref) (func $f) (elem (i32.const 1) $f))`))
	wantTrap(t, err, davit.TrapTableOutOfBounds)
}

// TestLimits: what a store may hold is bounded.
func TestLimits(t *testing.T) {
	w := newWorld(t, nil, &davit.StoreConfig{MaxInstances: 2, MaxMemoryBytes: 2 << 16, MaxTableElements: 10})
	in := w.instantiate(`(module (memory 1) (table $t 1 funcref)
		(func (export "grow") (result i32) (memory.grow (i32.const 1)))
		(func (export "widen") (param i32) (result i32) (table.grow $t (ref.null func) (local.get 0))))`)
	for i, want := range []int32{1, -1} {
		if r := w.call(in, "grow"); r[0].I32() != want {
			t.Errorf("growth %d gives %v", i, r)
		}
	}
	for arg, want := range map[int32]int32{10: -1, 1 << 30: -1, -1: -1} {
		if r := w.call(in, "widen", davit.ValueI32(arg)); r[0].I32() != want {
			t.Errorf("table.grow(%d) gives %v", arg, r)
		}
	}
	if _, err := w.linker.Instantiate(ctx, w.store, w.compile(`(module (memory 1))`)); err == nil {
		t.Error("the memory limit was exceeded")
	}
	for range 3 {
		_, err := w.linker.Instantiate(ctx, w.store, w.compile(`(module)`))
		if err != nil {
			return
		}
	}
	t.Error("the instance limit was exceeded")
}

// TestAllocations: calls in both directions do not allocate.
func TestAllocations(t *testing.T) {
	w := newWorld(t, nil, nil)
	w.define("go", "add", types(davit.I32, davit.I32), types(davit.I32), func(_ context.Context, _ *davit.Caller, stack []uint64) error {
		stack[0] = uint64(uint32(stack[0]) + uint32(stack[1]))
		return nil
	})
	in := w.instantiate(`(module
		(import "go" "add" (func $add (param i32 i32) (result i32)))
		(func (export "own") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1)))
		(func (export "host") (param i32 i32) (result i32) (call $add (local.get 0) (local.get 1))))`)
	cancellable, cancel := context.WithCancel(ctx)
	defer cancel()
	for _, c := range []context.Context{ctx, cancellable} {
		for _, name := range []string{"own", "host"} {
			f := in.Func(name)
			stack := make([]uint64, 2)
			n := testing.AllocsPerRun(100, func() {
				stack[0], stack[1] = 40, 2
				if err := f.CallRaw(c, stack); err != nil || uint32(stack[0]) != 42 {
					t.Fatalf("%s: %v, %v", name, stack, err)
				}
			})
			if n != 0 {
				t.Errorf("%s with %T: %v allocations for a call", name, c, n)
			}
		}
	}
}

// TestUnreachableModule: a module that is forgotten without Close is freed, even
// after it has had instances.
func TestUnreachableModule(t *testing.T) {
	e := newEngine(t, nil)
	code, err := wat.Compile([]byte(`(module (memory 1) (func (export "f")))`), nil)
	if err != nil {
		t.Fatal(err)
	}
	freed := make(chan bool, 1)
	func() {
		m, err := e.Compile(ctx, code)
		if err != nil {
			t.Fatal(err)
		}
		s := must(davit.NewStore(e, nil))
		in := must(davit.NewLinker(e).Instantiate(ctx, s, m))
		if _, err := in.Func("f").Call(ctx); err != nil || in.Module() != m {
			t.Fatal(err)
		}
		runtime.AddCleanup(m, func(ch chan bool) { ch <- true }, freed)
		s.Close()
	}()
	for range 10 {
		runtime.GC()
		select {
		case <-freed:
			return
		case <-time.After(10 * time.Millisecond):
		}
	}
	t.Error("the module is still reachable")
}

// TestUnreachableStore: a store that is forgotten without Close is freed.
func TestUnreachableStore(t *testing.T) {
	w := newWorld(t, nil, nil)
	m := w.compile(`(module (import "go" "f" (func $f)) (memory 1) (func (export "f") (call $f)))`)
	freed := make(chan bool, 1)
	func() {
		s, err := davit.NewStore(w.engine, nil)
		if err != nil {
			t.Fatal(err)
		}
		var in *davit.Instance
		linker := davit.NewLinker(w.engine)
		// A function that refers to its store.
		err = linker.DefineFunc("go", "f", davit.FuncType{}, func(context.Context, *davit.Caller, []uint64) error {
			if in.Store() != s {
				return errors.New("another store")
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if in, err = linker.Instantiate(ctx, s, m); err != nil {
			t.Fatal(err)
		}
		w.call(in, "f")
		runtime.AddCleanup(s, func(ch chan bool) { ch <- true }, freed)
	}()
	for range 10 {
		runtime.GC()
		select {
		case <-freed:
			return
		case <-time.After(10 * time.Millisecond):
		}
	}
	t.Error("the store is still reachable")
}

// isPanic reports whether r is the panic of a host function with value v.
func isPanic(r, v any) bool {
	p, ok := r.(*davit.HostPanic)
	return ok && p.Value == v
}

// TestNoSuchFunc: calling the function that is not exported is an error that says so.
func TestNoSuchFunc(t *testing.T) {
	var f *davit.Func
	_, err := f.Call(t.Context())
	for _, err := range []error{err, f.CallRaw(t.Context(), nil)} {
		if err == nil || !strings.Contains(err.Error(), "no export of its name") {
			t.Errorf("error %v", err)
		}
	}
}

// TestCompileText: a module in the text format is refused with a hint.
func TestCompileText(t *testing.T) {
	_, err := newEngine(t, nil).Compile(t.Context(), []byte(" (module)"))
	var invalid *wasm.Error
	if !errors.As(err, &invalid) || !strings.Contains(err.Error(), "package wat") {
		t.Errorf("error %v", err)
	}
}
