package reference

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/davit-wasm/davit/codegen/clif"
	"github.com/davit-wasm/davit/codegen/ir"
)

// byHand are the bodies of functions that show what needs more than operands:
// blocks, signatures, entities of the preamble. The line with the instruction is
// the example, with its declarations in front of it.
var byHand = map[ir.Opcode]string{
	ir.OpJump:                       "block0(v0: i32): jump block1(v0)\nblock1(v1: i32): return",
	ir.OpBrif:                       "block0(v0: i32): brif v0, block1(v0), block2\nblock1(v1: i32): return\nblock2: return",
	ir.OpBrTable:                    "block0(v0: i32): br_table v0, block2, [block1(v0), block2]\nblock1(v1: i32): return\nblock2: return",
	ir.OpReturn:                     "block0(v0: i32): return",
	ir.OpCall:                       "fn0 = %f(i32) -> i32\nblock0(v0: i32): v1 = call fn0(v0)\nreturn",
	ir.OpCallIndirect:               "sig0 = (i32) -> i32\nblock0(v0: i32, v1: i64): v2 = call_indirect sig0, v1(v0)\nreturn",
	ir.OpReturnCall:                 "fn0 = %f(i32) tail\nblock0(v0: i32): return_call fn0(v0)",
	ir.OpReturnCallIndirect:         "sig0 = (i32) tail\nblock0(v0: i32, v1: i64): return_call_indirect sig0, v1(v0)",
	ir.OpTryCall:                    "sig0 = (i32) -> i32 tail\nfn0 = %f sig0\nblock0(v0: i32): try_call fn0(v0), sig0, block1(ret0), [ tag1: block2(exn0, exn1), default: block3 ]\nblock1(v1: i32): return\nblock2(v2: i64, v3: i64): return\nblock3: return",
	ir.OpTryCallIndirect:            "sig0 = (i32) -> i32 tail\nblock0(v0: i32, v1: i64): try_call_indirect v1(v0), sig0, block1(ret0), [ default: block2 ]\nblock1(v2: i32): return\nblock2: return",
	ir.OpFuncAddr:                   "fn0 = %f(i32)\nblock0: v0 = func_addr.i64 fn0\nreturn",
	ir.OpTrap:                       "block0: trap user1",
	ir.OpGetExceptionHandlerAddress: "sig0 = () tail\nfn0 = %f sig0\nblock0: v0 = get_exception_handler_address.i64 block1, 0\njump block1\nblock1: try_call fn0(), sig0, block2, [ default: block3 ]\nblock2: return\nblock3: return",
	ir.OpDynamicStackAddr:           "gv0 = dyn_scale_target_const.i32x4\ndt0 = i32x4*gv0\ndss0 = explicit_dynamic_slot dt0\nblock0: v0 = dynamic_stack_addr.i64 dss0\nreturn",
	ir.OpSymbolValue:                "gv0 = symbol colocated %x\nblock0: v0 = symbol_value.i64 gv0\nreturn",
	ir.OpTlsValue:                   "gv0 = symbol tls %x\nblock0: v0 = tls_value.i64 gv0\nreturn",
	ir.OpGetCallReturnAddress:       "fn0 = %f(i64)\nblock0: v0 = get_call_return_address.i64\ncall fn0(v0)\nreturn",
	ir.OpExtractVector:              "gv0 = dyn_scale_target_const.i32x4\ndt0 = i32x4*gv0\nblock0(v0: i32x4xN): v1 = extract_vector v0, 1\nreturn",
}

// types that examples use, in the order of preference.
var exampleTypes = []ir.Type{ir.I32, ir.I64, ir.F32, ir.F64, ir.I8, ir.I16, ir.I128, ir.I32X4, ir.I8X16, ir.I16X8, ir.I64X2, ir.F32X4, ir.F64X2, ir.F16, ir.F128}

// exampleOf is a correct instruction with opcode o, as text.
func exampleOf(o ir.Opcode) (string, error) {
	if body, ok := byHand[o]; ok {
		return shown(o, body)
	}
	ctrls := exampleTypes
	if o.Info().Set.Contains(ir.I64) && !o.Info().Set.Contains(ir.I8) && !o.Info().Set.Contains(ir.I16) {
		ctrls = append([]ir.Type{ir.I64}, ctrls...) // addresses are i64
	}
	if o.Info().Ctrl == ir.CtrlNone {
		ctrls = []ir.Type{ir.Invalid}
	}
	err := errors.New("no types fit")
	for _, ctrl := range ctrls {
		if ctrl != ir.Invalid && !o.Info().Set.Contains(ctrl) {
			continue
		}
		n, _ := o.FixedOperands()
		var operands []ir.Type
		for i := range n {
			for _, t := range preferred(o, ctrl) {
				if ok, _ := o.OperandOK(i, ctrl, t); ok {
					operands = append(operands, t)
					break
				}
			}
		}
		if len(operands) < n {
			continue
		}
		f, inst := build(o, ctrl, operands)
		if err = check(f); err == nil {
			return signature(f) + strings.TrimSpace(clif.FormatInst(f, inst)), nil
		}
	}
	return "", err
}

// preferred are the types to try for operands: addresses are i64.
func preferred(o ir.Opcode, ctrl ir.Type) []ir.Type {
	if o.Flags()&(ir.FlagLoad|ir.FlagStore) != 0 {
		return append([]ir.Type{ir.I64, ctrl}, exampleTypes...)
	}
	return append([]ir.Type{ctrl}, exampleTypes...)
}

// signature declares the constant, and the operands in a comment.
func signature(f *ir.Function) string {
	text := ""
	if f.NumConstants() > 0 {
		text = fmt.Sprintf("const0 = 0x%x\n", reversed(f.Constant(0)))
	}
	if len(f.Params(f.Entry())) == 0 {
		return text
	}
	var s []string
	for _, v := range f.Params(f.Entry()) {
		s = append(s, v.String()+": "+f.ValueType(v).String())
	}
	return text + "; " + strings.Join(s, ", ") + "\n"
}

// reversed is a constant as it is written, the high byte first.
func reversed(b []byte) []byte {
	b = slices.Clone(b)
	slices.Reverse(b)
	return b
}

// build makes a function around an instruction.
func build(o ir.Opcode, ctrl ir.Type, operands []ir.Type) (*ir.Function, ir.Inst) {
	f := ir.NewFunction(ir.TestName("f"), ir.Signature{CallConv: ir.SystemV})
	b := f.AddBlock()
	f.AppendBlock(b)
	var args []ir.Value
	for _, t := range operands {
		f.Sig.Params = append(f.Sig.Params, ir.Param{Type: t})
		args = append(args, f.AddParam(b, t))
	}
	d := ir.InstData{Op: o, Type: ctrl}
	switch o.Format() {
	case ir.FormatCondTrap, ir.FormatIntAddTrap:
		d.Trap = 1
	case ir.FormatStackAddr:
		d.Ref = uint32(f.AddStackSlot(ir.StackSlotData{Size: 16}))
		d.Imm = 8
	case ir.FormatUnaryConst:
		d.Ref = uint32(f.AddConstant([]byte{15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0}))
	case ir.FormatShuffle:
		d.Ref = uint32(f.AddConstant([]byte{0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23}))
	case ir.FormatUnaryImm:
		d.Imm = 42
	case ir.FormatUnaryIeee16:
		d.Imm = 0x3e00
	case ir.FormatUnaryIeee32:
		d.Imm = 0x3fc00000
	case ir.FormatUnaryIeee64:
		d.Imm = 0x3ff8 << 48
	case ir.FormatBinaryImm8, ir.FormatTernaryImm8:
		d.Imm = 1
	case ir.FormatIntCompare:
		d.Cond = uint8(ir.SignedLessThan)
	case ir.FormatFloatCompare:
		d.Cond = uint8(ir.LessThan)
	case ir.FormatLoad, ir.FormatStore:
		d.Imm, d.Flags = 8, ir.MemTrusted
	case ir.FormatLoadNoOffset, ir.FormatStoreNoOffset, ir.FormatAtomicRmw, ir.FormatAtomicCas:
		d.Flags = ir.MemTrusted
	}
	inst := f.AddInst(d, args...)
	f.AppendInst(inst, b)
	f.AddResults(inst)
	f.AppendInst(f.AddInst(ir.InstData{Op: ir.OpReturn}), b)
	return f, inst
}

// shown is the example for o in a function that is written by hand: the
// preamble and the instruction.
func shown(o ir.Opcode, body string) (string, error) {
	sig := "()"
	if strings.Contains(body, "return_call") {
		sig = "() tail"
	}
	// The entry's parameters are the function's.
	if _, rest, ok := strings.Cut(body, "block0("); ok {
		params, _, _ := strings.Cut(rest, "):")
		var list []string
		for _, p := range strings.Split(params, ", ") {
			_, t, _ := strings.Cut(p, ": ")
			list = append(list, t)
		}
		sig = strings.Replace(sig, "()", "("+strings.Join(list, ", ")+")", 1)
	}
	f, err := clif.ParseFunction("function %f" + sig + " {\n" + body + "\n}")
	if err != nil {
		return "", err
	}
	if err := check(f); err != nil {
		return "", err
	}
	var lines []string
	for _, line := range strings.Split(body, "\n") {
		if !strings.HasPrefix(line, "block") {
			if strings.Contains(line, " = ") && !strings.HasPrefix(line, "v") {
				lines = append(lines, line)
			}
		}
	}
	for b := f.Entry(); b != ir.NoBlock; b = f.NextBlock(b) {
		for i := f.FirstInst(b); i != ir.NoInst; i = f.NextInst(i) {
			if f.Inst(i).Op == o {
				return strings.Join(append(lines, strings.TrimSpace(clif.FormatInst(f, i))), "\n"), nil
			}
		}
	}
	return "", errors.New("the example does not have the instruction")
}
