package translate

import (
	"testing"

	"github.com/davit-wasm/davit/internal/image"
	"github.com/davit-wasm/davit/wasm"
)

// TestFuelText shows what counting fuel adds to functions.
func TestFuelText(t *testing.T) { sameText(t, "fuel", image.Settings{Fuel: true}) }

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
