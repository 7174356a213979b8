package x64

import (
	"github.com/davit-wasm/davit/codegen/internal/machine"
	"github.com/davit-wasm/davit/codegen/internal/regalloc"
	"github.com/davit-wasm/davit/codegen/internal/x64/asm"
	"github.com/davit-wasm/davit/codegen/ir"
)

// This file makes the machine instructions of the lowering rules: the external constructors of x64.rules. Each method emits
// and returns the register of the result.

func (c *lower) newGpr() machine.Reg           { return c.l.NewReg(ir.I64) }
func (c *lower) newXmm(t ir.Type) machine.Reg  { return c.l.NewReg(t) }
func (c *lower) gpr(v ir.Value) machine.Reg    { return c.l.Use(v) }
func (c *lower) xmm(v ir.Value) machine.Reg    { return c.l.Use(v) }
func (c *lower) gprLow(v ir.Value) machine.Reg { lo, _ := c.l.UsePair(v); return lo }
func (c *lower) immConst(t ir.Type, k int64) machine.Reg {
	return c.l.B.Constant(c.l, t, k)
}

// ---- Results

// out is the registers of an instruction's results, in order; an i128 has two.
type out struct {
	n uint8
	r [4]machine.Reg
}

func (c *lower) outNone() out                 { return out{} }
func (c *lower) out1(r machine.Reg) out       { return out{1, [4]machine.Reg{r}} }
func (c *lower) out2(a, b machine.Reg) out    { return out{2, [4]machine.Reg{a, b}} }
func (c *lower) out3(a, b, d machine.Reg) out { return out{3, [4]machine.Reg{a, b, d}} }
func (c *lower) nothing()                     {}

// pair is the two registers that an instruction writes.
type pair struct{ a, b machine.Reg }

func (c *lower) first(p pair) machine.Reg  { return p.a }
func (c *lower) second(p pair) machine.Reg { return p.b }

// ---- Integer arithmetic

// alu emits a op b: the result takes the place of a.
func (c *lower) alu(op asm.Op, size asm.Size, a machine.Reg, b operand) machine.Reg {
	d := c.newGpr()
	switch b.kind {
	case operandInReg:
		c.l.Emit(New(OpAluRR, uint16(op), size, d, a, b.reg))
	case operandConst:
		c.l.Emit(NewImm(OpAluRI, uint16(op), size, int64(b.imm), d, a))
	case operandInMem:
		c.l.Emit(NewMem(OpAluRM, uint16(op), size, b.mem, d, a))
	}
	return d
}

// commute emits x op y for an operation that does not care for the order of its operands. The result takes the place of one of
// them. If the other is not needed any more, taking its place saves a copy; what is made in this block, rather than before it, is
// the likelier of two to be at its end here.
func (c *lower) commute(op asm.Op, size asm.Size, x, y ir.Value) machine.Reg {
	_, isImm := c.simm32(y)
	_, isLoad := c.sinkableLoad(y)
	usedX, usedY := c.l.Used(x), c.l.Used(y)
	if !isImm && !isLoad && (usedX && !usedY || usedX == usedY && !c.made(x) && c.made(y)) {
		x, y = y, x
	}
	a := c.gpr(x)
	return c.alu(op, size, a, c.rmi(y))
}

// made reports whether v is the result of an instruction of the block being lowered.
func (c *lower) made(v ir.Value) bool {
	i, _ := c.l.Def(v)
	return i != ir.NoInst && c.f.InstBlock(i) == c.f.InstBlock(c.l.Inst())
}

func (c *lower) aluStore(op asm.Op, size asm.Size, m Amode, x operand) {
	if x.kind == operandConst {
		in := NewMem(OpAluMI, uint16(op), size, m)
		in.Imm = int64(x.imm)
		c.l.Emit(in)
		return
	}
	c.l.Emit(NewMem(OpAluMR, uint16(op), size, m, x.reg))
}

func (c *lower) unary(op asm.Op, size asm.Size, a machine.Reg) machine.Reg {
	d := c.newGpr()
	c.l.Emit(New(OpUnaryR, uint16(op), size, d, a))
	return d
}

func (c *lower) unaryStore(op asm.Op, size asm.Size, m Amode) {
	c.l.Emit(NewMem(OpUnaryM, uint16(op), size, m))
}

// fromRM emits an operation with a result and one operand in a register or memory.
func (c *lower) fromRM(op asm.Op, size asm.Size, x operand) machine.Reg {
	d := c.newGpr()
	if x.kind == operandInMem {
		c.l.Emit(NewMem(OpLoad, uint16(op), size, x.mem, d))
	} else {
		c.l.Emit(New(OpMovsx, uint16(op), size, d, x.reg))
	}
	return d
}

func (c *lower) bitCount(op asm.Op, size asm.Size, x operand) machine.Reg {
	return c.fromRM(op, size, x)
}

func (c *lower) mulLow(size asm.Size, a machine.Reg, b operand) machine.Reg {
	return c.alu(asm.IMUL, size, a, b)
}

func (c *lower) imulImm(size asm.Size, x operand, k int32) machine.Reg {
	d := c.newGpr()
	if x.kind == operandInMem {
		in := NewMem(OpImulMI, uint16(asm.IMULI), size, x.mem, d)
		in.Imm = int64(k)
		c.l.Emit(in)
	} else {
		c.l.Emit(NewImm(OpImulRI, uint16(asm.IMULI), size, int64(k), d, x.reg))
	}
	return d
}

// same is the result of an operation that changes nothing. What writes 32 bits clears the upper half of the register, which
// zeroUpper32 relies on, so that must be done here too.
func (c *lower) same(size asm.Size, a machine.Reg) machine.Reg {
	if size == asm.S32 {
		return c.movzx(size, operand{reg: a})
	}
	return a
}

func (c *lower) shiftImm(op asm.Op, size asm.Size, a machine.Reg, n uint8) machine.Reg {
	if n == 0 {
		return c.same(size, a)
	}
	d := c.newGpr()
	c.l.Emit(NewImm(OpAluRI, uint16(op), size, int64(n), d, a))
	return d
}

func (c *lower) shiftCl(op asm.Op, size asm.Size, a, n machine.Reg) machine.Reg {
	d := c.newGpr()
	c.l.Emit(New(OpShiftCL, uint16(op), size, d, a, n))
	return d
}

func (c *lower) rotateRight(size asm.Size, a machine.Reg, n uint8) machine.Reg {
	if n == 0 {
		return c.same(size, a)
	}
	d := c.newGpr()
	c.l.Emit(NewImm(OpRorx, 0, size, int64(n), d, a))
	return d
}

// bitOp sets, clears or complements bit n of a.
func (c *lower) bitOp(op asm.Op, size asm.Size, a, n machine.Reg) machine.Reg {
	d := c.newGpr()
	c.l.Emit(New(OpBitOp, uint16(op), size, d, a, n))
	return d
}

func (c *lower) bmi(op asm.BMIOp, size asm.Size, a machine.Reg, b operand) machine.Reg {
	d := c.newGpr()
	if b.kind == operandInMem {
		c.l.Emit(NewMem(OpBMIM, uint16(op), size, b.mem, d, a))
	} else {
		c.l.Emit(New(OpBMI, uint16(op), size, d, a, b.reg))
	}
	return d
}

func (c *lower) bmiUnary(op asm.BMIOp, size asm.Size, x operand) machine.Reg {
	return c.bmi(op, size, machine.NoReg, x)
}

// shiftx takes the amount where [asm.Assembler.BMI] has its src1.
func (c *lower) shiftx(op asm.BMIOp, size asm.Size, x operand, n machine.Reg) machine.Reg {
	return c.bmi(op, size, n, x)
}

func (c *lower) byteSwap(size asm.Size, a machine.Reg) machine.Reg {
	d := c.newGpr()
	c.l.Emit(New(OpBswap, 0, size, d, a))
	return d
}

func (c *lower) lea(size asm.Size, m Amode) machine.Reg {
	d := c.newGpr()
	c.l.Emit(NewMem(OpLoad, uint16(asm.LEA), size, m, d))
	return d
}

// add is lea, which needs no copy of an operand that lives on; where the result shares a register with an operand, emission
// makes it an add.
func (c *lower) add(size asm.Size, a, b machine.Reg) machine.Reg {
	return c.lea(size, MemIndexed(a, b, 0, 0))
}

func (c *lower) addImm(size asm.Size, a machine.Reg, k int32) machine.Reg {
	if k == 0 {
		return c.same(size, a)
	}
	return c.lea(size, MemAt(a, k))
}

func (c *lower) movzx(from asm.Size, x operand) machine.Reg {
	switch from {
	case asm.S8:
		return c.fromRM(asm.MOVZX8, asm.S32, x)
	case asm.S16:
		return c.fromRM(asm.MOVZX16, asm.S32, x)
	}
	return c.fromRM(asm.MOV, from, x)
}

func (c *lower) movsx(from, to asm.Size, x operand) machine.Reg {
	switch {
	case from >= to:
		return c.fromRM(asm.MOV, from, x)
	case from == asm.S8:
		return c.fromRM(asm.MOVSX8, to, x)
	case from == asm.S16:
		return c.fromRM(asm.MOVSX16, to, x)
	}
	return c.fromRM(asm.MOVSX32, to, x)
}

func (c *lower) mulWide(signed bool, size asm.Size, a machine.Reg, b operand) pair {
	op := asm.MUL
	if signed {
		op = asm.IMUL1
	}
	p := pair{c.newGpr(), c.newGpr()}
	if b.kind == operandInMem {
		c.l.Emit(NewMem(OpMulM, uint16(op), size, b.mem, p.a, p.b, a))
	} else {
		c.l.Emit(New(OpMul, uint16(op), size, p.a, p.b, a, b.reg))
	}
	return p
}

func (c *lower) divWide(signed bool, size asm.Size, lo, hi machine.Reg, d operand, code ir.TrapCode) pair {
	op := asm.DIV
	if signed {
		op = asm.IDIV
	}
	p := pair{c.newGpr(), c.newGpr()}
	in := New(OpDiv, uint16(op), size, p.a, p.b, lo, hi, d.reg)
	in.Trap = uint8(code)
	c.l.Emit(in)
	return p
}

// remainder is the signed remainder of hi:lo, for any divisor but 0.
func (c *lower) remainder(size asm.Size, lo, hi, d machine.Reg, code ir.TrapCode) machine.Reg {
	r := c.newGpr()
	in := New(OpSrem, uint16(asm.IDIV), size, c.newGpr(), r, lo, hi, d)
	in.Trap = uint8(code)
	c.l.Emit(in)
	return r
}

func (c *lower) signBits(size asm.Size, a machine.Reg) machine.Reg {
	d := c.newGpr()
	c.l.Emit(New(OpSignA, 0, size, d, a))
	return d
}

// ---- Memory

func (c *lower) loadGpr(t ir.Type, m Amode) machine.Reg {
	return c.movzx(c.sizeOf(t), operand{kind: operandInMem, mem: m})
}

func (c *lower) storeGpr(size asm.Size, m Amode, r machine.Reg) {
	c.l.Emit(NewMem(OpStore, uint16(asm.MOV), size, m, r))
}

func (c *lower) storeImm(size asm.Size, m Amode, k int32) {
	in := NewMem(OpStoreI, uint16(asm.MOV), size, m)
	in.Imm = int64(k)
	c.l.Emit(in)
}

func (c *lower) loadXmm(t ir.Type, m Amode) machine.Reg {
	d := c.newXmm(t)
	c.l.Emit(NewMem(OpXmmLoad, uint16(xmmMove(t)), 0, m, d))
	return d
}

func (c *lower) storeXmm(t ir.Type, m Amode, r machine.Reg) {
	c.l.Emit(NewMem(OpXmmStore, uint16(xmmStore(t)), 0, m, r))
}

func (c *lower) loadWide(t ir.Type, m Amode) machine.Reg {
	d := c.newXmm(t)
	in := NewMem(OpVexLoad, uint16(asm.MOVUPS), 0, m, d)
	in.Flags |= FlagWide
	c.l.Emit(in)
	return d
}

func (c *lower) storeWide(m Amode, r machine.Reg) {
	in := NewMem(OpVexStore, uint16(asm.MOVUPS_ST), 0, m, r)
	in.Flags |= FlagWide
	c.l.Emit(in)
}

func (c *lower) splatWide(t ir.Type, x machine.Reg) machine.Reg {
	d := c.newXmm(t)
	in := New(OpVexUn, uint16(asm.VPBROADCASTB), 0, d, x)
	in.Flags |= FlagWide
	c.l.Emit(in)
	return d
}

// xmmMove is the load of a value of type t into a vector register. What takes less than 32 bits has 64 in memory that the
// back end lays out itself, and is loaded otherwise elsewhere.
func xmmMove(t ir.Type) asm.VecOp {
	switch bits := t.Bits(); {
	case bits <= 32:
		return asm.MOVSS
	case bits == 64:
		return asm.MOVSD
	}
	return asm.MOVUPS
}

// xmmStore is the store that goes with xmmMove.
func xmmStore(t ir.Type) asm.VecOp {
	switch bits := t.Bits(); {
	case bits <= 32:
		return asm.MOVSS_ST
	case bits == 64:
		return asm.MOVSD_ST
	}
	return asm.MOVUPS_ST
}

// ---- Vector registers

func (c *lower) sse(op asm.VecOp, a machine.Reg, b operand) machine.Reg {
	return c.xmmBinary(op, c.newXmm(ir.F64), a, b)
}

// xmmBinary emits d = a op b.
func (c *lower) xmmBinary(op asm.VecOp, d, a machine.Reg, b operand) machine.Reg {
	rr, rm := OpXmmRR, OpXmmRM
	if c.hasAvx() {
		rr, rm = OpVexRR, OpVexRM
	}
	if b.kind == operandInMem {
		c.l.Emit(NewMem(rm, uint16(op), 0, b.mem, d, a))
	} else {
		c.l.Emit(New(rr, uint16(op), 0, d, a, b.reg))
	}
	return d
}

// xmmUnary emits an operation with one operand, which is in either kind of register or in memory.
func (c *lower) xmmUnary(op asm.VecOp, d machine.Reg, x operand, flags uint8, imm int64) machine.Reg {
	var in machine.Inst
	load, un := OpXmmLoad, OpXmmUn
	if !op.HasSSE() {
		load, un = OpVexLoad, OpVexUn
	} else if c.hasAvx() && op.HasVEX() && !op.HasSecondSource() {
		load = OpVexLoad // memory that is not aligned
	}
	if x.kind == operandInMem {
		in = NewMem(load, uint16(op), 0, x.mem, d)
	} else if flags&FlagBreak != 0 && x.reg.Class() == regalloc.Float && c.hasAvx() && op.HasVEX() && op.HasSecondSource() {
		// What is kept of a register is kept of the operand, which is there anyway.
		in = New(OpVexRR, uint16(op), 0, d, x.reg, x.reg)
		flags &^= FlagBreak
	} else {
		in = New(un, uint16(op), 0, d, x.reg)
	}
	in.Flags, in.Imm = flags, imm
	c.l.Emit(in)
	return d
}

func (c *lower) cvtMerged(op asm.VecOp, a, x machine.Reg) machine.Reg {
	return c.xmmBinary(op, c.newXmm(ir.F64), a, operand{reg: x})
}

func (c *lower) sseUnary(op asm.VecOp, x operand) machine.Reg {
	return c.xmmUnary(op, c.newXmm(ir.F64), x, FlagBreak, 0)
}

func (c *lower) sseRound(op asm.VecOp, mode uint8, x operand) machine.Reg {
	return c.xmmUnary(op, c.newXmm(ir.F64), x, FlagBreak|FlagImm, int64(mode))
}

func (c *lower) sseFromGpr(op asm.VecOp, x operand) machine.Reg {
	flags := uint8(FlagBreak)
	if op == asm.MOVD || op == asm.MOVQ {
		flags = 0 // these write the whole register
	}
	return c.xmmUnary(op, c.newXmm(ir.F64), x, flags, 0)
}

func (c *lower) sseToGpr(op asm.VecOp, x machine.Reg) machine.Reg {
	return c.xmmUnary(op, c.newGpr(), operand{reg: x}, 0, 0)
}

func (c *lower) fma3(op asm.VecOp, x, y machine.Reg, z operand) machine.Reg {
	d := c.newXmm(ir.F64)
	if z.kind == operandInMem {
		c.l.Emit(NewMem(OpFmaM, uint16(op), 0, z.mem, d, x, y))
	} else {
		c.l.Emit(New(OpFma, uint16(op), 0, d, x, y, z.reg))
	}
	return d
}

func (c *lower) callFma(t ir.Type, x, y, z machine.Reg) machine.Reg {
	name := ir.LibCallName("FmaF64")
	if t == ir.F32 {
		name = ir.LibCallName("FmaF32")
	}
	return c.backend().libcall(c.l, name, t, x, y, z)
}

func (c *lower) minMax(t ir.Type, greater bool, x, y machine.Reg) machine.Reg {
	d := c.newXmm(t)
	in := New(OpXmmMinMax, 0, c.sizeOf(t), d, x, y)
	if greater {
		in.Cond = 1
	}
	c.l.Emit(in)
	return d
}

func (c *lower) cvtU64(t ir.Type, x machine.Reg) machine.Reg {
	d := c.newXmm(t)
	c.l.Emit(New(OpCvtU64ToF, 0, c.sizeOf(t), d, x, c.newGpr(), c.newGpr()))
	return d
}

func (c *lower) cvtToInt(signed bool, from, to ir.Type, x machine.Reg) machine.Reg {
	return c.cvtInt(signed, OpCvtFToS, OpCvtFToU, from, to, x)
}

func (c *lower) cvtToIntSat(signed bool, from, to ir.Type, x machine.Reg) machine.Reg {
	return c.cvtInt(signed, OpCvtFToSSat, OpCvtFToUSat, from, to, x)
}

func (c *lower) cvtInt(signed bool, s, u Op, from, to ir.Type, x machine.Reg) machine.Reg {
	d := c.newGpr()
	t := c.newXmm(from)
	var in machine.Inst
	if signed {
		in = New(s, 0, c.sizeOf(to), d, x, t)
	} else {
		in = New(u, 0, c.sizeOf(to), d, x, t, c.newGpr())
	}
	in.Cond = uint8(c.sizeOf(from))
	c.l.Emit(in)
	return d
}

func (c *lower) floatConst(t ir.Type, bits int64) machine.Reg {
	d := c.newXmm(t)
	if bits == 0 {
		c.l.Emit(New(OpXmmZero, 0, 0, d))
		return d
	}
	in := New(OpXmmConst, 0, c.sizeOf(t), d)
	in.Aux = c.floatMem(t, bits).Aux
	c.l.Emit(in)
	return d
}

// mask128 is the address of a constant with the same 64 bits in both halves.
func (c *lower) mask128(t ir.Type, f32, f64 uint64) Amode {
	k := f64
	if t.Lane() == ir.F32 {
		k = f32 | f32<<32
	}
	return MemConstant(c.l.VC.AddConst(k, k, 16))
}

func (c *lower) signMask(t ir.Type) Amode      { return c.mask128(t, 1<<31, 1<<63) }
func (c *lower) magnitudeMask(t ir.Type) Amode { return c.mask128(t, 1<<31-1, 1<<63-1) }
func (c *lower) onesMask() Amode               { return MemConstant(c.l.VC.AddConst(^uint64(0), ^uint64(0), 16)) }

func (c *lower) loadMask(m Amode) machine.Reg {
	d := c.newXmm(ir.I64X2)
	in := New(OpXmmConst, 0, asm.S8, d)
	in.Aux = m.Aux
	c.l.Emit(in)
	return d
}
