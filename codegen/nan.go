package codegen

import (
	"bytes"
	"encoding/binary"
	"slices"

	"github.com/davit-wasm/davit/codegen/ir"
)

// canonicalizeNaN makes every NaN that floating-point arithmetic returns the
// canonical one, if the settings want it, so that results don't depend on the
// processor. The result of each such instruction is replaced by
//
//	v1 = select (fcmp uno v0, v0), NaN, v0
//
// Instructions that only move bits (loads, copies, fneg, fabs, fcopysign) keep
// the NaN they have.
func (c *Context) canonicalizeNaN() error {
	if !c.target.Shared.NaNCanonical {
		return nil
	}
	f := c.f
	for b := f.Entry(); b != ir.NoBlock; b = f.NextBlock(b) {
		for inst := f.FirstInst(b); inst != ir.NoInst; {
			next := f.NextInst(inst)
			if makesNaN(f.Inst(inst).Op) {
				c.canonicalize(inst)
			}
			inst = next
		}
	}
	return nil
}

func makesNaN(op ir.Opcode) bool {
	switch op {
	case ir.OpFadd, ir.OpFsub, ir.OpFmul, ir.OpFdiv, ir.OpSqrt, ir.OpFma, ir.OpFmin, ir.OpFmax,
		ir.OpCeil, ir.OpFloor, ir.OpTrunc, ir.OpNearest, ir.OpFpromote, ir.OpFdemote, ir.OpFvpromoteLow, ir.OpFvdemote:
		return true
	}
	return false
}

func (c *Context) canonicalize(inst ir.Inst) {
	f := c.f
	f.Loc = f.SourceLoc(inst)
	old := f.Result(inst)
	t := f.ValueType(old)
	if !slices.Contains([]ir.Type{ir.F32, ir.F64}, t.Lane()) {
		return
	}
	f.DetachResults(inst)
	v := f.AddResult(inst, t)
	at := inst
	add := func(d ir.InstData, t ir.Type, args ...ir.Value) ir.Value {
		i := f.AddInst(d, args...)
		f.InsertAfter(i, at)
		at = i
		if t == ir.Invalid {
			f.AddResultAs(i, f.ValueType(v), old)
			return old
		}
		return f.AddResult(i, t)
	}
	unordered := add(ir.InstData{Op: ir.OpFcmp, Type: t, Cond: uint8(ir.Unordered)}, t.AsTruthy(), v, v)
	switch {
	case t.IsVector():
		lane := binary.LittleEndian.AppendUint64(nil, 0x7ff8<<48)
		if t.Lane() == ir.F32 {
			lane = binary.LittleEndian.AppendUint32(nil, 0x7fc0_0000)
		}
		k := f.AddConstant(bytes.Repeat(lane, t.Lanes()))
		nan := add(ir.InstData{Op: ir.OpVconst, Type: t, Ref: uint32(k)}, t)
		mask := add(ir.InstData{Op: ir.OpBitcast, Type: t, Flags: ir.MemLittle}, t, unordered)
		add(ir.InstData{Op: ir.OpBitselect, Type: t}, ir.Invalid, mask, nan, v)
	case t == ir.F32:
		nan := add(ir.InstData{Op: ir.OpF32const, Imm: 0x7fc0_0000}, t)
		add(ir.InstData{Op: ir.OpSelect, Type: t}, ir.Invalid, unordered, nan, v)
	default:
		nan := add(ir.InstData{Op: ir.OpF64const, Imm: 0x7ff8 << 48}, t)
		add(ir.InstData{Op: ir.OpSelect, Type: t}, ir.Invalid, unordered, nan, v)
	}
	f.Loc = 0
}
