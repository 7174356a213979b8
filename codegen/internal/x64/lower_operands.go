package x64

import (
	"github.com/davit-wasm/davit/codegen/internal/machine"
	"github.com/davit-wasm/davit/codegen/internal/x64/asm"
	"github.com/davit-wasm/davit/codegen/ir"
)

// This file finds operands for the lowering rules: registers of values, constants, loads that move to their user, and
// addressing modes. The methods are the external terms of lower.rules and x64.rules.

// operandKind tells what an operand is.
type operandKind uint8

const (
	operandInReg operandKind = iota
	operandInMem
	operandConst
)

// operand is a register, memory, or a sign-extended 32-bit constant.
type operand struct {
	kind operandKind
	imm  int32
	reg  machine.Reg
	mem  Amode
}

func (c *lower) operandReg(r machine.Reg) operand { return operand{reg: r} }
func (c *lower) operandImm(k int32) operand       { return operand{kind: operandConst, imm: k} }
func (c *lower) operandMem(m Amode) operand       { return operand{kind: operandInMem, mem: m} }

// ---- The IR

func (c *lower) opcode(i ir.Inst) ir.Opcode           { return c.f.Inst(i).Op }
func (c *lower) arg0(i ir.Inst) ir.Value              { return c.f.Arg(i, 0) }
func (c *lower) arg1(i ir.Inst) ir.Value              { return c.f.Arg(i, 1) }
func (c *lower) arg2(i ir.Inst) ir.Value              { return c.f.Arg(i, 2) }
func (c *lower) imm(i ir.Inst) int64                  { return c.f.Inst(i).Imm }
func (c *lower) offset(i ir.Inst) int32               { return int32(c.f.Inst(i).Imm) }
func (c *lower) lane(i ir.Inst) uint8                 { return uint8(c.f.Inst(i).Imm) }
func (c *lower) memFlags(i ir.Inst) ir.MemFlags       { return c.f.Inst(i).Flags }
func (c *lower) trapCode(i ir.Inst) ir.TrapCode       { return c.f.Inst(i).Trap }
func (c *lower) intCc(i ir.Inst) ir.IntCC             { return c.f.Inst(i).IntCC() }
func (c *lower) floatCc(i ir.Inst) ir.FloatCC         { return c.f.Inst(i).FloatCC() }
func (c *lower) atomicOp(i ir.Inst) ir.AtomicOp       { return c.f.Inst(i).AtomicOp() }
func (c *lower) funcRef(i ir.Inst) ir.FuncRef         { return ir.FuncRef(c.f.Inst(i).Ref) }
func (c *lower) sigRef(i ir.Inst) ir.SigRef           { return ir.SigRef(c.f.Inst(i).Ref) }
func (c *lower) globalValue(i ir.Inst) ir.GlobalValue { return ir.GlobalValue(c.f.Inst(i).Ref) }
func (c *lower) constant(i ir.Inst) ir.Constant       { return ir.Constant(c.f.Inst(i).Ref) }
func (c *lower) stackSlot(i ir.Inst) ir.StackSlot     { return ir.StackSlot(c.f.Inst(i).Ref) }
func (c *lower) valueType(v ir.Value) ir.Type         { return c.f.ValueType(v) }
func (c *lower) ccInverse(cc ir.IntCC) ir.IntCC       { return cc.Inverse() }
func (c *lower) ccSwap(cc ir.IntCC) ir.IntCC          { return cc.Swap() }
func (c *lower) resultType(i ir.Inst) ir.Type {
	v := c.f.Result(i)
	if v == ir.NoValue {
		return ir.Invalid
	}
	return c.f.ValueType(v)
}

func (c *lower) defInst(v ir.Value) (ir.Inst, bool) {
	i, _ := c.l.Def(v)
	return i, i != ir.NoInst && c.f.NumResults(i) == 1
}

func (c *lower) sconst(v ir.Value) (int64, bool) { return c.l.Const(v) }

func (c *lower) uconst(v ir.Value) (int64, bool) {
	k, ok := c.l.Const(v)
	if !ok {
		return 0, false
	}
	unused := 64 - c.valueType(v).Bits()
	return int64(uint64(k) << unused >> unused), true
}

func (c *lower) simm32(v ir.Value) (int32, bool) {
	k, ok := c.l.Const(v)
	return int32(k), ok && k == int64(int32(k))
}

func (c *lower) negSimm32(v ir.Value) (int32, bool) {
	k, ok := c.l.Const(v)
	return int32(-k), ok && -k == int64(int32(-k))
}

func (c *lower) leaFactor(k int64) (uint8, bool)   { return uint8(k/4 + 1), k == 3 || k == 5 || k == 9 } // the scale: 1 + 2, 4, 8
func (c *lower) smallScale(k int64) (uint8, bool)  { return uint8(k), k >= 1 && k <= 3 }
func (c *lower) safeDivisor(k int64) (int64, bool) { return k, k != 0 && k != -1 }

// ---- Types

func (c *lower) fitsIn64(t ir.Type) (ir.Type, bool)      { return t, t >= ir.I8 && t <= ir.I64 }
func (c *lower) fitsIn32(t ir.Type) (ir.Type, bool)      { return t, t >= ir.I8 && t <= ir.I32 }
func (c *lower) ty8Or16(t ir.Type) (ir.Type, bool)       { return t, t == ir.I8 || t == ir.I16 }
func (c *lower) ty32Or64(t ir.Type) (ir.Type, bool)      { return t, t == ir.I32 || t == ir.I64 }
func (c *lower) tyScalarFloat(t ir.Type) (ir.Type, bool) { return t, t == ir.F32 || t == ir.F64 }
func (c *lower) tyVec128(t ir.Type) (ir.Type, bool) {
	return t, t.IsVector() && !t.IsDynamic() && t.Bits() == 128
}

func (c *lower) tyVec256(t ir.Type) (ir.Type, bool) { return t, c.backend().wide(t) }

func (c *lower) wideBytes(t ir.Type) (ir.Type, bool) {
	return t, t == ir.I8.Vector(32) && c.backend().wide(t)
}

func (c *lower) sizeOf(t ir.Type) asm.Size {
	switch t.Bits() {
	case 8:
		return asm.S8
	case 16:
		return asm.S16
	case 32:
		return asm.S32
	case 64:
		return asm.S64
	}
	panic("x64: no operand size for type " + t.String())
}

func (c *lower) size32(t ir.Type) asm.Size                      { return max(asm.S32, c.sizeOf(t)) }
func (c *lower) tyMask(t ir.Type) int32                         { return int32(t.Bits() - 1) }
func (c *lower) tyBitsU8(t ir.Type) uint8                       { return uint8(t.Bits()) }
func (c *lower) shiftAmount(t ir.Type, k int64) uint8           { return uint8(k) & uint8(t.Bits()-1) }
func (c *lower) oppositeAmount(t ir.Type, k int64) uint8        { return uint8(-k) & uint8(t.Bits()-1) }
func (c *lower) i32Of(k uint8) int32                            { return int32(k) }
func (c *lower) upperAmount(k int64) uint8                      { return uint8(32 + k&31) }
func (c *lower) maskImm(t ir.Type) int64                        { return int64(t.Bits() - 1) }
func (c *lower) bitsImm(t ir.Type) int64                        { return int64(t.Bits()) }
func (c *lower) bitAbove(t ir.Type) int32                       { return 1 << t.Bits() }
func (c *lower) narrowExcess(t ir.Type) int32                   { return int32(t.Bits() - 32) }
func (c *lower) sminImm(t ir.Type) int64                        { return -1 << (t.Bits() - 1) }
func (c *lower) smaxImm(t ir.Type) int64                        { return 1<<(t.Bits()-1) - 1 }
func (c *lower) umaxImm(t ir.Type) int64                        { return 1<<t.Bits() - 1 }
func (c *lower) bigEndian(f ir.MemFlags) (ir.MemFlags, bool)    { return f, f.BigEndian(false) }
func (c *lower) littleEndian(f ir.MemFlags) (ir.MemFlags, bool) { return f, !f.BigEndian(false) }

// ---- Registers of values

// testOperand is v as a constant or a register.
func (c *lower) testOperand(v ir.Value) operand {
	if k, ok := c.simm32(v); ok {
		return operand{kind: operandConst, imm: k}
	}
	return operand{reg: c.gpr(v)}
}

// rm is v in memory if it is a load that can be done here, of at least 32 bits: wider operations on narrower memory would read
// too much.
func (c *lower) rm(v ir.Value) operand {
	if c.valueType(v).Bits() >= 32 {
		if ld, ok := c.sinkableLoad(v); ok {
			return operand{kind: operandInMem, mem: c.sink(ld)}
		}
	}
	return operand{reg: c.gpr(v)}
}

func (c *lower) rmi(v ir.Value) operand {
	if k, ok := c.simm32(v); ok {
		return operand{kind: operandConst, imm: k}
	}
	return c.rm(v)
}

func (c *lower) rmiExact(v ir.Value) operand {
	if k, ok := c.simm32(v); ok {
		return operand{kind: operandConst, imm: k}
	}
	if ld, ok := c.sinkableLoad(v); ok {
		return operand{kind: operandInMem, mem: c.sink(ld)}
	}
	return operand{reg: c.gpr(v)}
}

// xm is v in memory if it is a constant, which lies in the constant pool anyway, or a load that can be done here. The using
// operation must read exactly as many bytes as v has.
func (c *lower) xm(v ir.Value) operand {
	if bits, ok := c.floatBits(v); ok {
		return operand{kind: operandInMem, mem: c.floatMem(c.valueType(v), bits)}
	}
	t := c.valueType(v)
	if _, ok := c.tyVec128(t); ok {
		return c.vectorOperand(v)
	}
	if t == ir.F32 || t == ir.F64 {
		if ld, ok := c.sinkableLoad(v); ok {
			return operand{kind: operandInMem, mem: c.sink(ld)}
		}
	}
	return operand{reg: c.xmm(v)}
}

// floatBits is the bits of constant v of type f32 or f64, unless that is +0, which is better made than loaded.
func (c *lower) floatBits(v ir.Value) (int64, bool) {
	i, ok := c.defInst(v)
	if !ok {
		return 0, false
	}
	d := c.f.Inst(i)
	return d.Imm, (d.Op == ir.OpF32const || d.Op == ir.OpF64const) && d.Imm != 0
}

// floatMem is the address of a constant in the pool.
func (c *lower) floatMem(t ir.Type, bits int64) Amode {
	if t == ir.F32 {
		return MemConstant(c.l.VC.AddConst(uint64(uint32(bits)), 0, 4))
	}
	return MemConstant(c.l.VC.AddConst(uint64(bits), 0, 8))
}

// zeroUpper32 matches values of 32 bits whose register has a clear upper half (see zext.go).
func (c *lower) zeroUpper32(v ir.Value) (ir.Value, bool) {
	return v, c.valueType(v) == ir.I32 && c.backend().zeroUpper(c.f.Resolve(v))
}

// zeroExtended reports whether the register of v has zeros above the value's own bits.
func (c *lower) zeroExtended(v ir.Value) bool {
	if c.valueType(v) == ir.I32 {
		_, ok := c.zeroUpper32(v)
		return ok
	}
	i, ok := c.defInst(v)
	if !ok || c.valueType(v) == ir.I64 {
		return false
	}
	d := c.f.Inst(i)
	return d.Op == ir.OpLoad && !d.Flags.BigEndian(false)
}

func (c *lower) zext32(v ir.Value) machine.Reg {
	if t := c.valueType(v); t == ir.I8 || t == ir.I16 {
		return c.zext64(v)
	}
	return c.gpr(v)
}

func (c *lower) zext64(v ir.Value) machine.Reg {
	t := c.valueType(v)
	if k, ok := c.uconst(v); ok {
		return c.immConst(ir.I64, k)
	}
	if t == ir.I64 {
		return c.gpr(v)
	}
	if ld, ok := c.sinkableLoad(v); ok {
		return c.movzx(c.sizeOf(t), operand{kind: operandInMem, mem: c.sink(ld)})
	}
	r := c.gpr(v)
	if c.zeroExtended(v) {
		return r
	}
	return c.movzx(c.sizeOf(t), operand{reg: r})
}

func (c *lower) sext32(v ir.Value) machine.Reg {
	if t := c.valueType(v); t == ir.I8 || t == ir.I16 {
		return c.sextTo(v, asm.S32)
	}
	return c.gpr(v)
}

func (c *lower) sext64(v ir.Value) machine.Reg { return c.sextTo(v, asm.S64) }

func (c *lower) sextTo(v ir.Value, to asm.Size) machine.Reg {
	from := c.sizeOf(c.valueType(v))
	if from >= to {
		return c.gpr(v)
	}
	if k, ok := c.sconst(v); ok {
		return c.immConst(ir.I64, k)
	}
	if ld, ok := c.sinkableLoad(v); ok {
		return c.movsx(from, to, operand{kind: operandInMem, mem: c.sink(ld)})
	}
	return c.movsx(from, to, operand{reg: c.gpr(v)})
}

// ---- Loads that move to their user

// sinkableLoad matches a plain, little-endian load that only the instruction being lowered needs, with nothing between the two
// that it may not pass.
func (c *lower) sinkableLoad(v ir.Value) (ir.Inst, bool) {
	i, ok := c.defInst(v)
	if !ok {
		return i, false
	}
	d := c.f.Inst(i)
	if d.Op != ir.OpLoad || d.Flags.BigEndian(false) {
		return i, false
	}
	_, ok = c.l.SinkableLoad(v)
	return i, ok
}

// sink moves load i to the instruction being lowered and returns its address.
func (c *lower) sink(i ir.Inst) Amode {
	c.l.Sink(i)
	d := c.f.Inst(i)
	return c.amode(d.Flags, c.f.Arg(i, 0), int32(d.Imm))
}

// sameAddress reports whether load i accesses what a store with the given flags, address and offset does.
func (c *lower) sameAddress(i ir.Inst, f ir.MemFlags, addr ir.Value, off int32) bool {
	d := c.f.Inst(i)
	return d.Flags == f && int32(d.Imm) == off && c.equal(c.f.Arg(i, 0), addr, 3)
}

// equal reports whether two values are equal for sure: the same value, or computed alike by the instructions that addresses
// are made of. A WebAssembly load and store of one local each compute their address.
func (c *lower) equal(v, w ir.Value, depth int) bool {
	if v == w {
		return true
	}
	i, ok := c.defInst(v)
	j, ok2 := c.defInst(w)
	if !ok || !ok2 || depth == 0 {
		return false
	}
	d, e := c.f.Inst(i), c.f.Inst(j)
	if d.Op != e.Op || c.valueType(v) != c.valueType(w) {
		return false
	}
	switch d.Op {
	case ir.OpIconst:
		return d.Imm == e.Imm
	case ir.OpStackAddr:
		return d.Ref == e.Ref && d.Imm == e.Imm
	case ir.OpUextend:
		return c.equal(c.arg0(i), c.arg0(j), depth-1)
	case ir.OpIadd, ir.OpIshl:
		return c.equal(c.arg0(i), c.arg0(j), depth-1) && c.equal(c.arg1(i), c.arg1(j), depth-1)
	}
	return false
}

// narrowLoad matches a zero-extending load that can be done here, and tells the type of what it loads.
func (c *lower) narrowLoad(v ir.Value) (ir.Type, ir.Inst, bool) {
	i, ok := c.defInst(v)
	if !ok {
		return ir.Invalid, i, false
	}
	t := ir.Invalid
	switch c.opcode(i) {
	case ir.OpUload8:
		t = ir.I8
	case ir.OpUload16:
		t = ir.I16
	default:
		return t, i, false
	}
	if c.memFlags(i).BigEndian(false) {
		return t, i, false
	}
	_, ok = c.l.SinkableLoad(v)
	return t, i, ok
}

// narrowImm is k as an immediate for operations on memory of type t: any byte, but of 16 bits only what takes one byte too,
// as decoders stumble over longer ones.
func (c *lower) narrowImm(t ir.Type, k int64) (int32, bool) {
	return int32(k), k >= 0 && (t == ir.I8 && k <= 0xff || k <= 0x7f)
}

// unsignedOf is the condition that compares zero-extended values as cc does.
func (c *lower) unsignedOf(cc ir.IntCC) ir.IntCC {
	switch cc {
	case ir.SignedLessThan:
		return ir.UnsignedLessThan
	case ir.SignedLessThanOrEqual:
		return ir.UnsignedLessThanOrEqual
	case ir.SignedGreaterThan:
		return ir.UnsignedGreaterThan
	case ir.SignedGreaterThanOrEqual:
		return ir.UnsignedGreaterThanOrEqual
	}
	return cc
}

// ---- Addresses

// maxAddressSteps bounds how many additions an address may fold.
const maxAddressSteps = 8

// amode finds the address addr+off for an access: base + index<<scale + displacement, by looking through additions of
// constants, one addition of two values, and a shift of one of those.
func (c *lower) amode(f ir.MemFlags, addr ir.Value, off int32) Amode {
	disp := int64(off)
	base, index, scale := addr, ir.NoValue, uint8(0)
	for range maxAddressSteps {
		i, ok := c.defInst(base)
		if !ok || c.opcode(i) != ir.OpIadd || c.valueType(base) != ir.I64 {
			break
		}
		x, y := c.arg0(i), c.arg1(i)
		if k, ok := c.wideConst(x); ok && fitsInt32(disp+k) {
			base, disp = y, disp+k
			continue
		}
		if k, ok := c.wideConst(y); ok && fitsInt32(disp+k) {
			base, disp = x, disp+k
			continue
		}
		if index != ir.NoValue {
			break
		}
		if v, s, ok := c.scaled(x); ok {
			base, index, scale = y, v, s
			continue
		}
		if v, s, ok := c.scaled(y); ok {
			base, index, scale = x, v, s
			continue
		}
		base, index = x, y
	}
	if index != ir.NoValue {
		// A constant added to the index moves out too.
		if i, ok := c.defInst(index); ok && c.opcode(i) == ir.OpIadd {
			if k, ok := c.sconst(c.arg1(i)); ok && fitsInt32(k) && fitsInt32(disp+k<<scale) {
				index, disp = c.arg0(i), disp+k<<scale
			}
		}
	}
	indexReg := machine.NoReg
	if index != ir.NoValue {
		t, ok := c.extendedTerm(index, scale, disp)
		if !ok && scale == 0 {
			// The sum may have its operands in the other order.
			if t, ok = c.extendedTerm(base, 0, disp); ok {
				base = index
			}
		}
		if ok {
			index, indexReg, disp = t.v, t.reg, disp+t.disp<<scale
			scale += t.scale
		}
	}
	m := Amode{Kind: machine.MemReg, Scale: scale, Base: machine.NoReg, Index: machine.NoReg, Disp: int32(disp)}
	if i, ok := c.defInst(base); ok && c.opcode(i) == ir.OpStackAddr && c.slotFits(i, disp) {
		m.Kind = machine.MemStackSlot
		m.Disp = int32(disp + int64(c.l.StackSlotOffset(c.stackSlot(i))) + c.imm(i))
	} else {
		m.Base = c.gpr(base)
	}
	switch {
	case indexReg != machine.NoReg:
		m.Index = indexReg
	case index != ir.NoValue:
		m.Index = c.gpr(index)
	}
	if code, ok := f.TrapCode(); ok {
		m.Trap = uint8(code)
	}
	return m
}

// wideConst is the value of v of 64 bits if it is a constant or a zero-extended one.
func (c *lower) wideConst(v ir.Value) (int64, bool) {
	if i, ok := c.defInst(v); ok && c.opcode(i) == ir.OpUextend {
		return c.uconst(c.arg0(i))
	}
	return c.sconst(v)
}

func fitsInt32(k int64) bool { return k == int64(int32(k)) }

// scaled matches a shift by a constant that an address can express.
func (c *lower) scaled(v ir.Value) (ir.Value, uint8, bool) {
	i, ok := c.defInst(v)
	if !ok || c.opcode(i) != ir.OpIshl {
		return v, 0, false
	}
	k, ok := c.uconst(c.arg1(i))
	if !ok || k < 1 || k > 3 {
		return v, 0, false
	}
	return c.arg0(i), uint8(k), true
}

func (c *lower) slotFits(i ir.Inst, disp int64) bool {
	return fitsInt32(disp + int64(c.l.StackSlotOffset(c.stackSlot(i))) + c.imm(i))
}

func (c *lower) amodeIndex(base, index machine.Reg, scale uint8, disp int32) Amode {
	return MemIndexed(base, index, scale, disp)
}

// amodeAdd is the address m+disp.
func (c *lower) amodeAdd(m Amode, disp int32) Amode {
	if !fitsInt32(int64(m.Disp) + int64(disp)) {
		m = MemAt(c.lea(asm.S64, m), 0)
	}
	m.Disp += disp
	return m
}

func (c *lower) amodeSlot(s ir.StackSlot, off int32) Amode {
	return MemOf(machine.MemStackSlot, c.l.StackSlotOffset(s)+off)
}

// signShift is the shift that spreads the sign, at the size that operations on t are done.
func (c *lower) signShift(t ir.Type) uint8 { return uint8(max(32, t.Bits()) - 1) }

// decremented matches a value that is another less one.
func (c *lower) decremented(v ir.Value) (ir.Value, bool) {
	inst, _ := c.l.Def(v)
	if inst == ir.NoInst {
		return v, false
	}
	d, args := c.f.Inst(inst), c.f.Args(inst)
	if d.Op != ir.OpIsub && d.Op != ir.OpIadd {
		return v, false
	}
	k, ok := c.l.Const(args[1])
	switch {
	case ok && (d.Op == ir.OpIsub && k == 1 || d.Op == ir.OpIadd && k == -1):
		return c.f.Resolve(args[0]), true
	case d.Op == ir.OpIadd:
		k, ok = c.l.Const(args[0])
		return c.f.Resolve(args[1]), ok && k == -1
	}
	return v, false
}

// onlyUse matches a value that nothing but its user at hand needs.
func (c *lower) onlyUse(v ir.Value) (ir.Value, bool) { return v, c.l.SingleUse(v) && !c.l.Used(v) }

func (c *lower) wideEnough16(t ir.Type) (ir.Type, bool) { return t, t >= ir.I16 && t <= ir.I64 }

func (c *lower) scalarInt(t ir.Type) (ir.Type, bool) { return t, t.IsInt() }

// floatImm32 matches float constants whose bits a store has as an immediate, which is sign-extended to 64 bits.
func (c *lower) floatImm32(v ir.Value) (int32, bool) {
	i, ok := c.defInst(v)
	if !ok {
		return 0, false
	}
	switch d := c.f.Inst(i); d.Op {
	case ir.OpF32const:
		return int32(d.Imm), true
	case ir.OpF64const:
		return int32(d.Imm), fitsInt32(d.Imm)
	}
	return 0, false
}
