package oracle_test

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/davit-wasm/davit"
	"github.com/davit-wasm/davit/codegen/interp"
	"github.com/davit-wasm/davit/internal/image"
	"github.com/davit-wasm/davit/internal/oracle"
	"github.com/davit-wasm/davit/internal/wasmgen"
	"github.com/davit-wasm/davit/wasm"
	"github.com/davit-wasm/davit/wat"
)

// TestNative runs random modules by the interpreter, as they are translated and as
// they are optimized, and natively. All must do the same.
func TestNative(t *testing.T) {
	engine, err := davit.NewEngine(nil)
	if err != nil {
		t.Skip(err)
	}
	modules := uint64(200)
	if testing.Short() {
		modules = 20
	}
	calls, traps := 0, 0
	for seed := range modules {
		r := rand.New(rand.NewPCG(seed, 1))
		m := wasmgen.Module(r, wasmgen.Config{SIMD: seed%2 == 0, TailCalls: seed%3 == 0, Size: 50 << (seed % 3), Fuel: 50})
		code := wasm.Encode(m)
		all := []*oracle.Instance{}
		for _, o := range []oracle.Options{{}, {Optimized: true}, {Settings: image.Settings{ExplicitBounds: true}}, {Settings: image.Settings{ExplicitBounds: true}, Optimized: true}} {
			in, err := oracle.New(code, &o)
			if err != nil {
				t.Fatalf("seed %d, %+v: %v", seed, o, err)
			}
			all = append(all, in)
		}
		native, store := instantiate(t, engine, code)
		for _, x := range m.Exports {
			if x.Kind != wasm.KindFunc || x.Name == "refuel" {
				continue
			}
			typ := m.FuncTypeOf(x.Index)
			args := make([]uint64, len(typ.Params))
			for i, p := range typ.Params {
				args[i] = number(r, p)
			}
			stack := make([]uint64, max(len(typ.Params), len(typ.Results)))
			copy(stack, args)
			if err := native.Func("refuel").CallRaw(context.Background(), nil); err != nil {
				t.Fatal(err)
			}
			err := native.Func(x.Name).CallRaw(context.Background(), stack)
			var want davit.TrapCode
			if trap, ok := errors.AsType[*davit.Trap](err); ok {
				want = trap.Code
				traps++
			} else if err != nil {
				t.Fatalf("seed %d: %v", seed, err)
			}
			calls++
			for i, in := range all {
				if _, err := in.Call("refuel"); err != nil {
					t.Fatal(err)
				}
				got, err := in.Call(x.Name, args...)
				var code davit.TrapCode
				if trap, ok := errors.AsType[*oracle.Trap](err); ok {
					code = davit.TrapCode(trap.Code)
				} else if err != nil {
					t.Fatalf("seed %d, oracle %d: %s%x: %v", seed, i, x.Name, args, err)
				}
				if code != want {
					t.Fatalf("seed %d, oracle %d: %s%x: trap %v, want %v", seed, i, x.Name, args, code, want)
				}
				for k, typ := range typ.Results {
					if code == 0 && !same(typ, got[k], stack[k]) {
						t.Fatalf("seed %d, oracle %d: %s%x: result %d is %#x, want %#x", seed, i, x.Name, args, k, got[k], stack[k])
					}
				}
				view, _ := native.Memory("memory").View(0, native.Memory("memory").Size())
				if !slices.Equal(view, in.Memory(0)) {
					t.Fatalf("seed %d, oracle %d: %s%x: memories differ", seed, i, x.Name, args)
				}
			}
		}
		store.Close()
	}
	t.Logf("%d calls, %d traps", calls, traps)
	if traps == 0 || traps == calls {
		t.Errorf("%d of %d calls trap: the modules test little", traps, calls)
	}
}

func instantiate(t *testing.T, e *davit.Engine, code []byte) (*davit.Instance, *davit.Store) {
	t.Helper()
	m, err := e.Compile(context.Background(), code)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	s, err := davit.NewStore(e, nil)
	if err != nil {
		t.Fatal(err)
	}
	in, err := davit.NewLinker(e).Instantiate(context.Background(), s, m)
	if err != nil {
		t.Fatal(err)
	}
	return in, s
}

func number(r *rand.Rand, t wasm.ValType) uint64 {
	list := []uint64{0, 1, 7, 0x7fffffff, 0x80000000, 0xffffffff, 1 << 63, 1<<63 - 1}
	v := list[r.IntN(len(list))]
	switch t {
	case wasm.I32:
		return uint64(uint32(v))
	case wasm.F32:
		return uint64(math.Float32bits(float32(int32(v))))
	case wasm.F64:
		return math.Float64bits(float64(int64(v)))
	}
	return v
}

func same(t wasm.ValType, a, b uint64) bool {
	switch t {
	case wasm.I32, wasm.F32:
		return uint32(a) == uint32(b)
	}
	return a == b
}

// TestOracle checks the oracle itself: what is asked of the oracle is
// not what native code happens to do, but what the text says.
func TestOracle(t *testing.T) {
	code, err := wat.Compile([]byte(`(module
		(memory (export "memory") 1 2) (table 2 4 funcref) (elem (i32.const 0) $three)
		(global (export "g") (mut i64) (i64.const 40))
		(func $three (result i32) (i32.const 3))
		(func (export "indirect") (param i32) (result i32) (call_indirect (result i32) (local.get 0)))
		(func (export "grow") (param i32) (result i32) (memory.grow (local.get 0)))
		(func (export "load") (param i32) (result i32) (i32.load offset=4 (local.get 0)))
		(func (export "fill") (param i32 i32) (memory.fill (local.get 0) (i32.const 7) (local.get 1)))
		(func (export "add") (param i64) (result i64) (global.set 0 (i64.add (global.get 0) (local.get 0))) (global.get 0))
		(func (export "div") (param i32 i32) (result i32) (i32.div_s (local.get 0) (local.get 1)))
		(func $forever (export "forever") (call $forever)))`), nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, optimized := range []bool{false, true} {
		in, err := oracle.New(code, &oracle.Options{Optimized: optimized, Fuel: 1_000_000})
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range []struct {
			name   string
			args   []uint64
			result uint64
			trap   image.TrapCode
		}{
			{"indirect", []uint64{0}, 3, 0},
			{"indirect", []uint64{1}, 0, image.TrapUninitializedElement},
			{"indirect", []uint64{2}, 0, image.TrapUndefinedElement},
			{"load", []uint64{65532}, 0, image.TrapMemoryOutOfBounds},
			{"grow", []uint64{1}, 1, 0},
			{"grow", []uint64{1}, 0xffffffff, 0},
			{"load", []uint64{65532}, 0, 0},
			{"fill", []uint64{65530, 300}, 0, 0},
			{"load", []uint64{65532}, 0x07070707, 0},
			{"fill", []uint64{2<<16 - 3, 4}, 0, image.TrapMemoryOutOfBounds},
			{"load", []uint64{0xffffffff}, 0, image.TrapMemoryOutOfBounds},
			{"add", []uint64{2}, 42, 0},
			{"div", []uint64{7, 0}, 0, image.TrapIntegerDivideByZero},
			{"div", []uint64{0x80000000, 0xffffffff}, 0, image.TrapIntegerOverflow},
			{"forever", nil, 0, image.TrapStackOverflow},
		} {
			got, err := in.Call(c.name, c.args...)
			if c.trap != 0 {
				if trap, ok := errors.AsType[*oracle.Trap](err); !ok || trap.Code != c.trap {
					t.Errorf("%s%v: %v, want the trap %v", c.name, c.args, err, c.trap)
				}
			} else if err != nil || len(got) > 0 && got[0] != c.result {
				t.Errorf("%s%v = %v, %v, want %d", c.name, c.args, got, err, c.result)
			}
		}
		if g, typ, ok := in.Global("g"); g != 42 || typ != wasm.I64 || !ok {
			t.Errorf("g = %d %v %v", g, typ, ok)
		}
	}
}

// TestFuel checks that a call ends that runs for too long.
func TestFuel(t *testing.T) {
	code, err := wat.Compile([]byte(`(module (func (export "f") (loop (br 0))))`), nil)
	if err != nil {
		t.Fatal(err)
	}
	in, err := oracle.New(code, &oracle.Options{Fuel: 1000})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := in.Call("f"); !errors.Is(err, interp.ErrFuel) {
		t.Errorf("error %v", err)
	}
}

// TestUnsupported checks that what cannot be run is refused by name.
func TestUnsupported(t *testing.T) {
	for _, text := range []string{`(module (import "a" "b" (func)))`, `(module (type (struct)))`, `(module (memory i64 0x1000000))`, `(module (table 2000000 funcref))`} {
		code, err := wat.Compile([]byte(text), nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := oracle.New(code, nil); !errors.Is(err, oracle.ErrUnsupported) {
			t.Errorf("%s: error %v", text, err)
		}
	}
}
