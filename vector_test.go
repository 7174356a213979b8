package davit_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/davit-wasm/davit"
	"github.com/davit-wasm/davit/wasm"
)

// TestVectors passes vectors through everything that values pass through: host
// functions, globals, parameters, results, locals, blocks, tables of functions.
func TestVectors(t *testing.T) {
	w := newWorld(t, nil, nil)
	const module = `(module
		(type $f (func (param v128 i32 v128) (result v128 i64)))
		(import "host" "swap" (func $swap (type $f)))
		(import "host" "g" (global $in (mut v128)))
		(global $out (export "g") (mut v128) (v128.const i32x4 1 2 3 4))
		(table funcref (elem $swap $local))
		(func $local (type $f) (local v128)
			(if (result v128) (local.get 1)
				(then (i32x4.add (local.get 0) (local.get 2)))
				(else (local.get 3)))
			(i64x2.extract_lane 1 (local.get 2)))
		(func (export "call") (param i32 v128 i32 v128) (result v128 i64)
			(global.set $out (i8x16.add (global.get $in) (global.get $out)))
			(global.set $in (local.get 1))
			(call_indirect (type $f) (local.get 1) (local.get 2) (local.get 3) (local.get 0))))`
	typ := davit.FuncType{Params: []davit.ValType{davit.V128, davit.I32, davit.V128}, Results: []davit.ValType{davit.V128, davit.I64}}
	err := w.linker.DefineFunc("host", "swap", typ, func(_ context.Context, _ *davit.Caller, stack []uint64) error {
		// A v128 takes two slots: 0 and 1, then the i32, then 3 and 4.
		stack[0], stack[1], stack[2] = stack[4], stack[3], stack[0]+uint64(uint32(stack[2]))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	g, err := davit.NewGlobal(w.store, davit.GlobalType{Type: davit.V128, Mutable: true}, davit.ValueV128(0x0101010101010101, 0x0202020202020202))
	if err != nil {
		t.Fatal(err)
	}
	if err := w.linker.Define("host", "g", g); err != nil {
		t.Fatal(err)
	}
	in := w.instantiate(module)
	call := func(index, n int32) (low, high, last uint64) {
		t.Helper()
		r, err := in.Func("call").Call(ctx, davit.ValueI32(index), davit.ValueV128(10, 20), davit.ValueI32(n), davit.ValueV128(30, 40))
		if err != nil {
			t.Fatal(err)
		}
		low, high = r[0].V128()
		return low, high, uint64(r[1].I64())
	}
	if a, b, c := call(0, 7); a != 40 || b != 30 || c != 17 {
		t.Errorf("the host function gives %d, %d, %d", a, b, c)
	}
	if a, b, c := call(1, 1); a != 40 || b != 60 || c != 40 {
		t.Errorf("the sum is %d, %d, %d", a, b, c)
	}
	if a, b, _ := call(1, 0); a != 0 || b != 0 {
		t.Errorf("a local begins as %d, %d", a, b)
	}
	if a, b := g.Get().V128(); a != 10 || b != 20 {
		t.Errorf("the global that was set holds %d, %d", a, b)
	}
}

// TestConfigCPU: code for other processors and single settings, and what is
// refused.
func TestConfigCPU(t *testing.T) {
	newEngine(t, nil)
	for _, c := range []davit.Config{
		{CPU: "x86-64-v2"}, {Settings: []string{"opt_level=none"}}, {QuickCompile: true}, {CPU: "x86-64-v2", Settings: []string{"has_popcnt=false", "opt_level=speed_and_size"}},
	} {
		if _, err := davit.NewEngine(&c); err != nil {
			t.Errorf("%+v: %v", c, err)
		}
	}
	for _, c := range []davit.Config{{CPU: "pentium"}, {Settings: []string{"has_magic"}}, {CPU: "x86-64-v2", Settings: []string{"has_fma"}}} {
		if _, err := davit.NewEngine(&c); err == nil || !strings.HasPrefix(err.Error(), "davit: ") {
			t.Errorf("%+v: error %v", c, err)
		}
	}
}

// TestVectorLoadsTrap: every instruction on vectors with every operand loaded
// right before it. The last 16 bytes of a memory can be loaded, and what goes
// beyond them traps, also where the instruction does not need all bytes.
func TestVectorLoadsTrap(t *testing.T) {
	constant := map[wasm.ValType]string{
		wasm.I32: "(i32.const 3)", wasm.I64: "(i64.const 5)", wasm.F32: "(f32.const 1.5)", wasm.F64: "(f64.const 2.5)",
		wasm.V128: "(v128.const i32x4 1 2 3 4)",
	}
	var text strings.Builder
	text.WriteString("(module (memory 1)\n")
	n := 0
	for op := range wasm.Opcode(wasm.NumOpcodes) {
		info := op.Info()
		if info.Features&(wasm.FeatureSIMD|wasm.FeatureRelaxedSIMD) == 0 || info.Imm == wasm.ImmMemArg || info.Imm == wasm.ImmMemArgLane {
			continue
		}
		params := info.Sig.Params[:info.Sig.NumParams]
		for i, p := range params {
			if p != wasm.V128 {
				continue
			}
			imm := ""
			switch info.Imm {
			case wasm.ImmLane:
				imm = "1"
			case wasm.ImmShuffle:
				imm = "0 17 2 19 4 21 6 23 8 25 10 27 12 29 14 31"
			}
			fmt.Fprintf(&text, "(func (export \"%d\") (param i32) (result %v) (%s %s", n, info.Sig.Results[0], info.Name, imm)
			for k, q := range params {
				if k == i {
					text.WriteString(" (v128.load (local.get 0))")
				} else {
					text.WriteString(constant[q])
				}
			}
			text.WriteString("))\n")
			n++
		}
	}
	text.WriteString(")")
	if n < 300 {
		t.Fatalf("only %d functions", n)
	}
	for _, c := range []davit.Config{{}, {CPU: "x86-64-v2"}, {CPU: "x86-64-v3"}, {ExplicitBounds: true}} {
		if _, err := davit.NewEngine(&c); err != nil {
			t.Logf("%+v: %v", c, err)
			continue
		}
		in := newWorld(t, &c, nil).instantiate(text.String())
		for i := range n {
			f := in.Func(fmt.Sprint(i))
			if _, err := f.Call(ctx, davit.ValueI32(65520)); err != nil {
				t.Errorf("function %d: %v", i, err)
			}
			for _, at := range []int32{65521, 65535, 65536, -1} {
				var trap *davit.Trap
				if _, err := f.Call(ctx, davit.ValueI32(at)); !errors.As(err, &trap) {
					t.Errorf("function %d at %d: error %v, want a trap", i, at, err)
				}
			}
		}
	}
}
