package codegen_test

import (
	"errors"
	"testing"

	"github.com/davit-wasm/davit/codegen"
	"github.com/davit-wasm/davit/codegen/ir"
	"github.com/davit-wasm/davit/codegen/isa"
	"github.com/davit-wasm/davit/codegen/verifier"
)

// TestEveryOpcode compiles a function for every opcode, with every combination of types that the verifier accepts, for the
// least and the best processor. What has no rules must be refused as unsupported: a panic, or a rule that matches types it
// was not written for and then finds an operand in the wrong kind of register, is a bug.
func TestEveryOpcode(t *testing.T) {
	var types []ir.Type
	for lane := ir.I8; lane <= ir.F128; lane++ {
		for n := 1; n <= 32; n *= 2 {
			if v := lane.Vector(n); v != ir.Invalid && (n == 1 || v.Bits() == 64 || v.Bits() == 128 || v.Bits() == 256) {
				types = append(types, v)
			}
		}
	}
	var targets []*isa.TargetISA
	for _, settings := range [][]string{nil, {"has_avx", "has_avx2", "has_fma", "has_bmi1", "has_bmi2", "has_lzcnt", "has_cmpxchg16b"}} {
		b, err := isa.Lookup("x86_64-linux")
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range settings {
			if err := b.Set(s); err != nil {
				t.Fatal(err)
			}
		}
		target, err := b.Finish()
		if err != nil {
			t.Fatal(err)
		}
		targets = append(targets, target)
	}
	var ctx codegen.Context
	compiled, refused := 0, 0
	for op := ir.OpInvalid + 1; op < ir.NumOpcodes; op++ {
		if op.IsTerminator() || op.IsBranch() || op.IsCall() {
			continue
		}
		ctrls := types
		if op.Info().Ctrl == ir.CtrlNone {
			ctrls = []ir.Type{ir.Invalid}
		}
		once := false
		for _, ctrl := range ctrls {
			if ctrl != ir.Invalid && !op.Info().Set.Contains(ctrl) {
				continue
			}
			n, _ := op.FixedOperands()
			operands := make([]ir.Type, n)
			var try func(i int)
			try = func(i int) {
				if i < n {
					for _, typ := range types {
						if ok, _ := op.OperandOK(i, ctrl, typ); ok {
							operands[i] = typ
							try(i + 1)
						}
					}
					return
				}
				for _, target := range targets {
					f := opcodeFunction(op, ctrl, operands)
					if f == nil || verifier.Verify(f, verifier.Options{PointerType: ir.I64}) != nil {
						continue
					}
					_, err := ctx.Compile(f, target, codegen.Options{CheckRegalloc: true})
					switch {
					case err == nil:
						compiled++
						once = true
					case errors.Is(err, codegen.ErrUnsupported):
						refused++
					default:
						t.Errorf("%v.%v %v: %.600v", op, ctrl, operands, err)
					}
				}
			}
			try(0)
		}
		if !once {
			t.Logf("%v: for no types", op)
		}
	}
	t.Logf("%d functions compiled, %d refused", compiled, refused)
	if compiled < 1800 {
		t.Errorf("only %d functions compiled", compiled)
	}
}

// opcodeFunction is a function that returns what op makes of its parameters; nil if the opcode needs more than that.
func opcodeFunction(op ir.Opcode, ctrl ir.Type, operands []ir.Type) *ir.Function {
	f := ir.NewFunction(ir.TestName("f"), ir.Signature{CallConv: ir.SystemV})
	b := f.AddBlock()
	f.AppendBlock(b)
	var args []ir.Value
	for _, typ := range operands {
		f.Sig.Params = append(f.Sig.Params, ir.Param{Type: typ})
		args = append(args, f.AddParam(b, typ))
	}
	d := ir.InstData{Op: op, Type: ctrl}
	switch op.Format() {
	case ir.FormatTrap, ir.FormatCondTrap, ir.FormatIntAddTrap:
		d.Trap = 1
	case ir.FormatStackAddr:
		d.Ref = uint32(f.AddStackSlot(ir.StackSlotData{Size: 16}))
	case ir.FormatUnaryConst, ir.FormatShuffle:
		d.Ref = uint32(f.AddConstant([]byte{0, 17, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 31}[:max(1, ctrlBytes(op, ctrl))]))
	case ir.FormatUnaryGlobalValue, ir.FormatFuncAddr, ir.FormatExceptionHandlerAddress, ir.FormatDynamicStackAddr:
		return nil
	case ir.FormatUnaryImm:
		d.Imm = 3
	case ir.FormatUnaryIeee16, ir.FormatUnaryIeee32, ir.FormatUnaryIeee64:
		d.Imm = 0x3c00
	}
	inst := f.AddInst(d, args...)
	f.AppendInst(inst, b)
	f.AddResults(inst)
	for _, v := range f.Results(inst) {
		f.Sig.Returns = append(f.Sig.Returns, ir.Param{Type: f.ValueType(v)})
	}
	f.AppendInst(f.AddInst(ir.InstData{Op: ir.OpReturn}, f.Results(inst)...), b)
	return f
}

// ctrlBytes is the size of the constant that an instruction with one has.
func ctrlBytes(op ir.Opcode, ctrl ir.Type) int {
	if ctrl != ir.Invalid && op.Format() == ir.FormatUnaryConst {
		return min(16, ctrl.Bytes())
	}
	return 16
}
