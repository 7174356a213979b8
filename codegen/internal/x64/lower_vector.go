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
	d := c.newVec()
	c.l.Emit(NewImm(OpXmmShift, uint16(op), 0, int64(n), d, x))
	return d
}

func (c *lower) vecInsert(op asm.VecOp, v, x machine.Reg, lane uint8) machine.Reg {
	return c.sseImm(op, v, x, lane)
}

func (c *lower) vecExtract(op asm.VecOp, v machine.Reg, lane uint8) machine.Reg {
	return c.xmmUnary(op, c.newGpr(), operand{reg: v}, FlagImm, int64(lane))
}

func (c *lower) vecZero() machine.Reg {
	d := c.newVec()
	c.l.Emit(New(OpXmmZero, 0, 0, d))
	return d
}

func (c *lower) vecOnes() machine.Reg { return c.vecConst(^uint64(0), ^uint64(0)) }

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

// shuffleMask is the pshufb mask that picks, of the bytes that k picks from two vectors, those from first on; the others become
// zero. With both set, the two vectors are the same one.
func (c *lower) shuffleMask(k ir.Constant, first byte, both bool) machine.Reg {
	var m [16]byte
	for i, x := range c.f.Constant(k) {
		switch {
		case both:
			m[i] = x & 15
		case x-first < 16:
			m[i] = x - first
		default:
			m[i] = 0x80
		}
	}
	return c.vecConst(binary.LittleEndian.Uint64(m[:]), binary.LittleEndian.Uint64(m[8:]))
}

func (c *lower) shuffleFirst(k ir.Constant) machine.Reg  { return c.shuffleMask(k, 0, false) }
func (c *lower) shuffleSecond(k ir.Constant) machine.Reg { return c.shuffleMask(k, 16, false) }
func (c *lower) shuffleSame(k ir.Constant) machine.Reg   { return c.shuffleMask(k, 0, true) }

// isSmall matches the types of values in vector registers that take n bits and have no arithmetic.
func isSmall(t ir.Type, n int) bool {
	return t.Bits() == n && !t.IsDynamic() && (t.IsVector() || t == ir.F16)
}

func (c *lower) tySmall16(t ir.Type) (ir.Type, bool) { return t, isSmall(t, 16) }
func (c *lower) tySmall32(t ir.Type) (ir.Type, bool) { return t, isSmall(t, 32) }
func (c *lower) tySmall64(t ir.Type) (ir.Type, bool) { return t, isSmall(t, 64) }
