package translate

import (
	"testing"

	"github.com/davit-wasm/davit/codegen/ir"
	"github.com/davit-wasm/davit/internal/image"
	"github.com/davit-wasm/davit/wasm"
	"github.com/davit-wasm/davit/wat"
)

// TestChecks counts the instructions that checks of bounds consist of.
func TestChecks(t *testing.T) {
	type counts struct{ traps, guards, overflows int }
	for _, c := range []struct {
		name, text       string
		branches, hidden counts // with branches, and hidden from speculation
	}{
		{"index", `(memory 1) (func (param i32) (drop (i32.load offset=8 (local.get 0))))`, counts{1, 0, 0}, counts{0, 1, 0}},
		{"constant", `(memory 1) (func (drop (i64.load offset=8 (i32.const 65520))))`, counts{}, counts{}},
		{"constant beyond", `(memory 1) (func (drop (i64.load offset=8 (i32.const 65521))))`, counts{1, 0, 0}, counts{0, 1, 0}},
		{"no page", `(memory 0) (func (drop (i32.load8_u (i32.const 0))))`, counts{1, 0, 0}, counts{0, 1, 0}},
		{"masked", `(memory 1) (func (param i32) (drop (i32.load offset=64512 (i32.shl (i32.and (local.get 0) (i32.const 255)) (i32.const 2)))))`, counts{}, counts{}},
		{"masked beyond", `(memory 1) (func (param i32) (drop (i32.load offset=64513 (i32.shl (i32.and (local.get 0) (i32.const 255)) (i32.const 2)))))`, counts{1, 0, 0}, counts{0, 1, 0}},
		{"shifted out", `(memory 1) (func (param i32) (drop (i32.load (i32.shl (local.get 0) (i32.const 2)))))`, counts{1, 0, 0}, counts{0, 1, 0}},
		{"loaded", `(memory 1) (func (drop (i32.load (i32.shr_u (i32.load16_u (i32.const 0)) (i32.const 1)))))`, counts{}, counts{}},
		{"64 bits", `(memory i64 1) (func (param i64) (drop (i64.load offset=65528 (local.get 0))))`, counts{1, 0, 0}, counts{0, 1, 0}},
		{"64 bits, far", `(memory i64 1) (func (param i64) (drop (i64.load offset=65529 (local.get 0))))`, counts{1, 0, 1}, counts{0, 1, 1}},
		{"64 bits, never", `(memory i64 1) (func (param i64) (drop (i64.load offset=0xffffffffffffffff (local.get 0))))`, counts{1, 0, 0}, counts{0, 1, 0}},
		{"element", `(table 4 funcref) (func (param i32) (drop (table.get 0 (local.get 0))))`, counts{1, 0, 0}, counts{0, 1, 0}},
		{"element inside", `(table 4 funcref) (func (param i32) (drop (table.get 0 (i32.and (local.get 0) (i32.const 3)))))`, counts{}, counts{}},
	} {
		t.Run(c.name, func(t *testing.T) {
			env := envOf(t, []byte("(module "+c.text+")"))
			for _, branches := range []bool{true, false} {
				tm := NewModule(env, image.Settings{ExplicitBounds: true}, Relaxed{})
				tm.HeapBranches, tm.TableBranches = branches, branches
				var tr Translator
				f := ir.NewFunction(ir.Name{}, ir.Signature{})
				if err := tr.Function(tm, 0, f); err != nil {
					t.Fatal(err)
				}
				var got counts
				for b := f.Entry(); b != ir.NoBlock; b = f.NextBlock(b) {
					for i := f.FirstInst(b); i != ir.NoInst; i = f.NextInst(i) {
						switch f.Inst(i).Op {
						case ir.OpTrapnz:
							got.traps++
						case ir.OpSelectSpectreGuard:
							got.guards++
						case ir.OpUaddOverflowTrap:
							got.overflows++
						}
					}
				}
				want := c.hidden
				if branches {
					want = c.branches
				}
				if got != want {
					t.Errorf("branches %t: %+v, want %+v", branches, got, want)
				}
			}
		})
	}
}

// TestLengths checks that what has one size for all time is not asked for it.
func TestLengths(t *testing.T) {
	for _, c := range []struct {
		text  string
		loads int // of what may change
	}{
		{`(memory 1 2) (func (result i32) (memory.size))`, 1},
		{`(memory 2 2) (func (result i32) (memory.size))`, 0},
		{`(table 1 2 funcref) (func (result i32) (table.size))`, 1},
		{`(table 2 2 funcref) (func (result i32) (table.size))`, 0},
		{`(import "" "" (table 2 2 funcref)) (func (result i32) (table.size))`, 0},
		{`(import "" "" (memory 1)) (func (param i32) (i32.store (local.get 0) (local.get 0)))`, 2}, // length and base
		{`(memory 1) (func (param i32) (i32.store (local.get 0) (local.get 0)))`, 1},
	} {
		env := envOf(t, []byte("(module "+c.text+")"))
		var tr Translator
		f := ir.NewFunction(ir.Name{}, ir.Signature{})
		if err := tr.Function(NewModule(env, image.Settings{ExplicitBounds: true}, Relaxed{}), 0, f); err != nil {
			t.Fatal(err)
		}
		loads := 0
		for b := f.Entry(); b != ir.NoBlock; b = f.NextBlock(b) {
			for i := f.FirstInst(b); i != ir.NoInst; i = f.NextInst(i) {
				if d := f.Inst(i); d.Op == ir.OpLoad && d.Flags&ir.MemReadonly == 0 {
					loads++
				}
			}
		}
		if loads != c.loads {
			t.Errorf("%s: %d loads of what may change, want %d", c.text, loads, c.loads)
		}
	}
}

// envOf is what functions of the module with a text are validated against.
func envOf(t *testing.T, text []byte) *wasm.Env {
	t.Helper()
	b, err := wat.Compile(text, nil)
	if err != nil {
		t.Fatal(err)
	}
	m, err := wasm.Decode(b, nil)
	if err != nil {
		t.Fatal(err)
	}
	env, err := wasm.NewEnv(m, nil)
	if err != nil {
		t.Fatal(err)
	}
	return env
}
