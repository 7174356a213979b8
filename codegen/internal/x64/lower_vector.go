package x64

import (
	"encoding/binary"

	"github.com/davit-wasm/davit/codegen/internal/machine"
	"github.com/davit-wasm/davit/codegen/internal/x64/asm"
	"github.com/davit-wasm/davit/codegen/ir"
)

// This file has the external terms of lower_vector.rules.

func (c *lower) intVec(t ir.Type) (ir.Type, bool) {
	return t, t == ir.I8X16 || t == ir.I16X8 || t == ir.I32X4 || t == ir.I64X2
}

func (c *lower) floatVec(t ir.Type) (ir.Type, bool) { return t, t == ir.F32X4 || t == ir.F64X2 }

func (c *lower) tyLane32(t ir.Type) (ir.Type, bool) { return t, t.LaneBits() <= 32 }

func (c *lower) newVec() machine.Reg { return c.l.NewReg(ir.I8X16) }

func (c *lower) sseImm(op asm.VecOp, a, b machine.Reg, imm uint8) machine.Reg {
	d := c.newVec()
	shape := OpXmmRR
	if c.hasAvx() {
		shape = OpVexRR
	}
	in := NewImm(shape, uint16(op), 0, int64(imm), d, a, b)
	in.Flags = FlagImm
	c.l.Emit(in)
	return d
}

// vec is for operations whose memory operand has no alignment (the widening moves) or is a register.
func (c *lower) vec(op asm.VecOp, x operand) machine.Reg { return c.xmmUnary(op, c.newVec(), x, 0, 0) }

func (c *lower) vecImm(op asm.VecOp, x machine.Reg, imm uint8) machine.Reg {
	return c.xmmUnary(op, c.newVec(), operand{reg: x}, FlagImm, int64(imm))
}

// lowLane is the low lane of x, a scalar of type t.
func (c *lower) lowLane(t ir.Type, x machine.Reg) machine.Reg {
	return c.xmmUnary(asm.MOVAPS, c.l.NewReg(t), operand{reg: x}, 0, 0)
}

func (c *lower) vecShift(op asm.VecOp, x machine.Reg, n uint8) machine.Reg {
	if n == 0 {
		return x
	}
	d := c.newVec()
	shape := OpXmmShift
	if c.hasAvx() {
		shape = OpVexShift
	}
	in := NewImm(shape, uint16(op), 0, int64(n), d, x)
	in.Flags = FlagImm
	c.l.Emit(in)
	return d
}

// vecInsert puts a lane from a register, or from memory: exactly its bytes.
func (c *lower) vecInsert(op asm.VecOp, v machine.Reg, x operand, lane uint8) machine.Reg {
	if x.kind != operandInMem {
		return c.sseImm(op, v, x.reg, lane)
	}
	d := c.newVec()
	if lane == 1 && op == asm.PINSRQ { // without the shuffle
		return c.xmmBinary(asm.MOVHPS, d, v, x)
	}
	shape := OpXmmRM
	if c.hasAvx() {
		shape = OpVexRM
	}
	in := NewMem(shape, uint16(op), 0, x.mem, d, v)
	in.Flags, in.Imm = FlagImm, int64(lane)
	c.l.Emit(in)
	return d
}

// storeLane stores a lane: exactly its bytes.
func (c *lower) storeLane(op asm.VecOp, m Amode, v machine.Reg, lane uint8) {
	in := NewMem(OpXmmStore, uint16(op), 0, m, v)
	in.Flags, in.Imm = FlagImm, int64(lane)
	c.l.Emit(in)
}

func (c *lower) storeHalf(m Amode, v machine.Reg) {
	c.l.Emit(NewMem(OpXmmStore, uint16(asm.MOVHPS_ST), 0, m, v))
}

func (c *lower) vecExtract(op asm.VecOp, v machine.Reg, lane uint8) machine.Reg {
	return c.xmmUnary(op, c.newGpr(), operand{reg: v}, FlagImm, int64(lane))
}

func (c *lower) vecZero() machine.Reg {
	d := c.newVec()
	c.l.Emit(New(OpXmmZero, 0, 0, d))
	return d
}

func (c *lower) vecConst(lo, hi uint64) machine.Reg {
	if lo|hi == 0 {
		return c.vecZero()
	}
	return c.loadMask(MemConstant(c.l.VC.AddConst(lo, hi, 16)))
}

func (c *lower) vecPool(k ir.Constant) machine.Reg {
	var b [16]byte
	copy(b[:], c.f.Constant(k))
	return c.vecConst(binary.LittleEndian.Uint64(b[:]), binary.LittleEndian.Uint64(b[8:]))
}

func (c *lower) ptest(cc asm.Cond, a, b machine.Reg) cond {
	return cond{kind: condXmm, cc: cc, op: uint16(asm.PTEST), a: a, b: operand{reg: b}}
}

func (c *lower) laneU8(n uint8) uint8       { return n }
func (c *lower) laneInsertps(n uint8) uint8 { return n << 4 }

// isSmall matches the types of values in vector registers that take n bits and have no arithmetic.
func isSmall(t ir.Type, n int) bool {
	return t.Bits() == n && !t.IsDynamic() && (t.IsVector() || t == ir.F16)
}

func (c *lower) tySmall16(t ir.Type) (ir.Type, bool) { return t, isSmall(t, 16) }
func (c *lower) tySmall32(t ir.Type) (ir.Type, bool) { return t, isSmall(t, 32) }
func (c *lower) tySmall64(t ir.Type) (ir.Type, bool) { return t, isSmall(t, 64) }

// ---- Operands

// bits looks through casts between vectors that nothing else needs, down to the value that has the bytes of v.
func (c *lower) bits(v ir.Value) ir.Value {
	for c.l.SingleUse(v) && !c.l.Used(v) {
		w, ok := c.castOf(v)
		if !ok {
			break
		}
		v = w
	}
	return v
}

// castOf is the vector that v has the bytes of, if v is a cast.
func (c *lower) castOf(v ir.Value) (ir.Value, bool) {
	i, ok := c.defInst(v)
	if !ok || c.opcode(i) != ir.OpBitcast || c.memFlags(i).BigEndian(false) {
		return v, false
	}
	_, from := c.tyVec128(c.valueType(c.arg0(i)))
	_, to := c.tyVec128(c.valueType(v))
	return c.arg0(i), from && to
}

// source is the value that has the bytes of v, through any casts.
func (c *lower) source(v ir.Value) ir.Value {
	for {
		w, ok := c.castOf(v)
		if !ok {
			return c.f.Resolve(v)
		}
		v = w
	}
}

// vectorOperand is v in memory if it is a constant, which is aligned in the pool, or a load that can be done here. SSE's memory
// operands must be aligned, so that without AVX loads stay by themselves.
func (c *lower) vectorOperand(v ir.Value) operand {
	if lo, hi, ok := c.vectorConst(v); ok && lo|hi != 0 {
		return operand{kind: operandInMem, mem: c.constPool128(lo, hi)}
	}
	if c.hasAvx() {
		if ld, ok := c.sinkableLoad(c.bits(v)); ok {
			return operand{kind: operandInMem, mem: c.sink(ld)}
		}
	}
	return operand{reg: c.xmm(v)}
}

// vectorConst is the bytes of a constant vector.
func (c *lower) vectorConst(v ir.Value) (lo, hi uint64, ok bool) {
	i, ok := c.defInst(c.source(v))
	if !ok || c.opcode(i) != ir.OpVconst {
		return 0, 0, false
	}
	var b [16]byte
	copy(b[:], c.f.Constant(c.constant(i)))
	return binary.LittleEndian.Uint64(b[:]), binary.LittleEndian.Uint64(b[8:]), true
}

func (c *lower) constPool128(lo, hi uint64) Amode { return MemConstant(c.l.VC.AddConst(lo, hi, 16)) }

func (c *lower) zeroConstant(k ir.Constant) (ir.Constant, bool) {
	for _, b := range c.f.Constant(k) {
		if b != 0 {
			return k, false
		}
	}
	return k, true
}

// laneMask matches comparisons.
func (c *lower) laneMask(v ir.Value) (ir.Value, bool) {
	i, ok := c.defInst(c.source(v))
	if !ok {
		return v, false
	}
	op := c.opcode(i)
	return v, op == ir.OpIcmp || op == ir.OpFcmp
}

func (c *lower) narrowLanes(t ir.Type) (ir.Type, bool) {
	return t, t == ir.I8X16 || t == ir.I16X8 || t == ir.I32X4
}

// ---- Instructions

func (c *lower) vop(op asm.VecOp, a machine.Reg, b operand) machine.Reg {
	return c.xmmBinary(op, c.newVec(), a, b)
}

func (c *lower) vcomm(op asm.VecOp, x, y ir.Value) machine.Reg {
	b := c.vectorOperand(y)
	if b.kind == operandInReg {
		if a := c.vectorOperand(x); a.kind == operandInMem {
			return c.vop(op, b.reg, a)
		}
	}
	return c.vop(op, c.xmm(x), b)
}

func (c *lower) ternary(f uint8, x, y machine.Reg, z operand) machine.Reg {
	return c.ternaryOp(asm.VPTERNLOGD, x, y, z, FlagImm, f)
}

func (c *lower) ternaryOp(op asm.VecOp, x, y machine.Reg, z operand, flags, imm uint8) machine.Reg {
	d := c.newVec()
	var in machine.Inst
	if z.kind == operandInMem {
		in = NewMem(OpTernaryM, uint16(op), 0, z.mem, d, x, y)
	} else {
		in = New(OpTernary, uint16(op), 0, d, x, y, z.reg)
	}
	in.Flags, in.Imm = flags, int64(imm)
	c.l.Emit(in)
	return d
}

func (c *lower) blend(op asm.VecOp, m, x, y machine.Reg) machine.Reg {
	d := c.newVec()
	c.l.Emit(New(OpVexBlend, uint16(op), 0, d, y, x, m))
	return d
}

// ---- Shifts and rotations

func (c *lower) laneAmount(t ir.Type, k int64) uint8 { return uint8(k) & uint8(t.LaneBits()-1) }

func (c *lower) bytesKept(left bool, n uint8) Amode {
	b := uint8(0xff) >> n
	if left {
		b = 0xff << n
	}
	k := uint64(b) * 0x0101010101010101
	return c.constPool128(k, k)
}

func (c *lower) signShifted(t ir.Type, n uint8) Amode {
	k := uint64(1) << 63 >> n
	if t == ir.I8X16 {
		k = uint64(0x80>>n) * 0x0101010101010101
	}
	return c.constPool128(k, k)
}

// rotationOf finds in x and y the shifts of one vector by constants that add up to the width of its lanes: what is shifted,
// its type, and how far to the left.
func (c *lower) rotationOf(x, y ir.Value) (v ir.Value, t ir.Type, left uint8, ok bool) {
	i, ok1 := c.defInst(c.source(x))
	j, ok2 := c.defInst(c.source(y))
	if !ok1 || !ok2 {
		return
	}
	if c.opcode(i) == ir.OpUshr {
		i, j = j, i
	}
	if c.opcode(i) != ir.OpIshl || c.opcode(j) != ir.OpUshr {
		return
	}
	v, t = c.arg0(i), c.resultType(i)
	if _, vector := c.intVec(t); !vector || t != c.resultType(j) || c.source(v) != c.source(c.arg0(j)) {
		return
	}
	n, ok1 := c.uconst(c.arg1(i))
	m, ok2 := c.uconst(c.arg1(j))
	if !ok1 || !ok2 {
		return
	}
	left = c.laneAmount(t, n)
	return v, t, left, left != 0 && int(left)+int(c.laneAmount(t, m)) == t.LaneBits()
}

func (c *lower) rotation(x, y ir.Value) bool {
	_, t, left, ok := c.rotationOf(x, y)
	return ok && (left%8 == 0 || c.hasAvx512() && t.LaneBits() >= 32)
}

func (c *lower) rotate(x, y ir.Value) machine.Reg {
	v, t, left, _ := c.rotationOf(x, y)
	if c.hasAvx512() && t.LaneBits() >= 32 {
		op := asm.VPROLD
		if t == ir.I64X2 {
			op = asm.VPROLQ
		}
		return c.vecShift(op, c.xmm(v), left)
	}
	var m [16]byte
	size := t.LaneBits() / 8
	for i := range m {
		lane := i &^ (size - 1)
		m[i] = byte(lane + (i-int(left)/8)&(size-1))
	}
	return c.permute(c.xmm(v), &m)
}

// ---- Copies of a lane

// splatsLoads: with SSE, 8 bytes can be; with AVX, 4 too; with AVX2, all.
func (c *lower) splatsLoads(t ir.Type) bool {
	bits := t.LaneBits()
	return bits == 64 || bits == 32 && c.hasAvx() || c.hasAvx2()
}

func (c *lower) splatLoad(t ir.Type, ld ir.Inst) machine.Reg {
	m := operand{kind: operandInMem, mem: c.sink(ld)}
	op := asm.MOVDDUP
	switch t.LaneBits() {
	case 8:
		op = asm.VPBROADCASTB
	case 16:
		op = asm.VPBROADCASTW
	case 32:
		op = asm.VBROADCASTSS
	}
	return c.vec(op, m)
}

func (c *lower) splatReg(t ir.Type, x machine.Reg) machine.Reg {
	op := asm.MOVDDUP
	switch {
	case t.LaneBits() == 8:
		op = asm.VPBROADCASTB
	case t.LaneBits() == 16:
		op = asm.VPBROADCASTW
	case t == ir.I32X4:
		op = asm.VPBROADCASTD
	case t == ir.F32X4:
		op = asm.VBROADCASTSS
	case t == ir.I64X2:
		op = asm.VPBROADCASTQ
	}
	return c.vec(op, operand{reg: x})
}

// ---- Halves of lanes of 64 bits

// lowMask finds a mask of the lanes of v with zeros in their upper halves: what it is applied to, and whether it keeps the lower
// halves whole.
func (c *lower) lowMask(v ir.Value) (masked ir.Value, whole, ok bool) {
	i, ok := c.defInst(c.source(v))
	if !ok || c.opcode(i) != ir.OpBand {
		return v, false, false
	}
	masked = c.arg0(i)
	lo, hi, ok := c.vectorConst(c.arg1(i))
	if !ok {
		masked = c.arg1(i)
		lo, hi, ok = c.vectorConst(c.arg0(i))
	}
	return masked, lo == 1<<32-1 && hi == 1<<32-1, ok && lo>>32 == 0 && hi>>32 == 0
}

// highZero matches vectors of 64-bit lanes whose upper halves are zero.
func (c *lower) highZero(v ir.Value) (ir.Value, bool) {
	if _, _, ok := c.lowMask(v); ok {
		return v, true
	}
	if lo, hi, ok := c.vectorConst(v); ok {
		return v, lo>>32 == 0 && hi>>32 == 0
	}
	i, ok := c.defInst(c.source(v))
	if !ok {
		return v, false
	}
	switch c.opcode(i) {
	case ir.OpUwidenLow, ir.OpUwidenHigh:
		return v, c.resultType(i) == ir.I64X2
	case ir.OpUshr:
		k, ok := c.uconst(c.arg1(i))
		return v, ok && c.resultType(i) == ir.I64X2 && k&63 >= 32
	}
	return v, false
}

func (c *lower) bothHighZero(x, y ir.Value) bool {
	_, a := c.highZero(x)
	_, b := c.highZero(y)
	return a && b
}

// lowPart is a vector with the same lower halves of 64-bit lanes as v: what v masks, if it does that.
func (c *lower) lowPart(v ir.Value) ir.Value {
	if w, whole, ok := c.lowMask(v); ok && whole {
		return w
	}
	return v
}
