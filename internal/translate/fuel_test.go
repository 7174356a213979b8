package translate

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/davit-wasm/davit/codegen/clif"
	"github.com/davit-wasm/davit/codegen/ir"
	"github.com/davit-wasm/davit/internal/image"
	"github.com/davit-wasm/davit/wasm"
	"github.com/google/go-cmp/cmp"
)

// TestFuelText shows what counting fuel adds to functions: testdata/fuel.wat in IR is
// testdata/fuel.clif. With DAVIT_UPDATE set it writes that.
func TestFuelText(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("testdata", "fuel.wat"))
	if err != nil {
		t.Fatal(err)
	}
	env := envOf(t, text)
	tm := NewModule(env, image.Settings{Fuel: true}, Relaxed{})
	var tr Translator
	f := ir.NewFunction(ir.Name{}, ir.Signature{})
	have := ""
	for i := range env.Code {
		if err := tr.Function(tm, uint32(env.NumImportedFuncs+i), f); err != nil {
			t.Fatal(err)
		}
		have += clif.Format(f) + "\n"
	}
	file := filepath.Join("testdata", "fuel.clif")
	if os.Getenv("DAVIT_UPDATE") != "" {
		if err := os.WriteFile(file, []byte(have), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), have); d != "" {
		t.Error(d)
	}
}

// TestFuelQuiet: instructions that may trap or leave the function are not taken for such
// as do neither, by what is known of them otherwise.
func TestFuelQuiet(t *testing.T) {
	for i := range fuelQuiet {
		op := wasm.Opcode(i)
		info := op.Info()
		if info.Name == "" || !fuelQuiet[op] || op == wasm.OpRefFunc {
			continue
		}
		switch info.Imm {
		case wasm.ImmMemArg, wasm.ImmMemArgLane, wasm.ImmFunc, wasm.ImmType, wasm.ImmTypeTable, wasm.ImmTag, wasm.ImmData, wasm.ImmDataMemory, wasm.ImmElem,
			wasm.ImmElemTable, wasm.ImmMemoryMemory, wasm.ImmTableTable, wasm.ImmTypeField, wasm.ImmTypeCount, wasm.ImmCast:
			t.Errorf("%v is taken for quiet", op)
		}
	}
	for _, op := range []wasm.Opcode{
		wasm.OpUnreachable, wasm.OpReturn, wasm.OpI32DivS, wasm.OpI32DivU, wasm.OpI32RemS, wasm.OpI32RemU, wasm.OpI64DivS, wasm.OpI64RemU,
		wasm.OpI32TruncF32S, wasm.OpI64TruncF64U, wasm.OpTableGet, wasm.OpTableSet, wasm.OpTableGrow, wasm.OpTableFill, wasm.OpMemoryGrow, wasm.OpMemoryFill,
		wasm.OpRefAsNonNull,
	} {
		if fuelQuiet[op] {
			t.Errorf("%v is taken for quiet", op)
		}
	}
	for _, op := range []wasm.Opcode{wasm.OpI32Add, wasm.OpF64Sqrt, wasm.OpI32TruncSatF32S, wasm.OpI8x16Shuffle, wasm.OpI32x4Add, wasm.OpF32x4Splat, wasm.OpV128Const} {
		if !fuelQuiet[op] {
			t.Errorf("%v is not taken for quiet", op)
		}
	}
}
