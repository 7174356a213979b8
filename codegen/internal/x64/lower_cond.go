package x64

import (
	"github.com/davit-wasm/davit/codegen/internal/machine"
	"github.com/davit-wasm/davit/codegen/internal/x64/asm"
	"github.com/davit-wasm/davit/codegen/ir"
)

// A cond is a condition that has not been computed yet: an instruction that sets the flags, with its operands in registers
// already, and which flags to look at. Whoever consumes it emits the comparison right before the instruction that reads the
// flags, so nothing comes between the two.
type cond struct {
	kind  condKind
	cc    asm.Cond
	join  condJoin
	other asm.Cond // second condition on the same flags
	size  asm.Size
	op    uint16 // asm.Op or asm.VecOp
	a     machine.Reg
	b     operand
	lo    [2]machine.Reg // of 128-bit comparisons: the low halves
	mem   Amode
}

type condKind uint8

const (
	condNow     condKind = iota // the flags are set already
	condInt                     // a op b
	condMem                     // mem op b
	condBitTest                 // bit b of a
	condXmm                     // ucomis a, b
	condWide                    // cmp lo[0], lo[1]; sbb a, b
)

type condJoin uint8

const (
	joinNone condJoin = iota
	joinBoth
	joinEither
)

func (c *lower) condCmp(cc asm.Cond, size asm.Size, a machine.Reg, b operand) cond {
	return cond{kind: condInt, cc: cc, size: size, op: uint16(asm.CMP), a: a, b: b}
}

func (c *lower) condCmpMem(cc asm.Cond, size asm.Size, m Amode, b operand) cond {
	return cond{kind: condMem, cc: cc, size: size, op: uint16(asm.CMP), mem: m, b: b}
}

func (c *lower) condTestMem(cc asm.Cond, size asm.Size, m Amode, b operand) cond {
	return cond{kind: condMem, cc: cc, size: size, op: uint16(asm.TEST), mem: m, b: b}
}

func (c *lower) condTest(cc asm.Cond, size asm.Size, a machine.Reg, b operand) cond {
	return cond{kind: condInt, cc: cc, size: size, op: uint16(asm.TEST), a: a, b: b}
}

func (c *lower) condBit(cc asm.Cond, size asm.Size, a, n machine.Reg) cond {
	return cond{kind: condBitTest, cc: cc, size: size, a: a, b: operand{reg: n}}
}

func (c *lower) zeroTestBit(cc ir.IntCC) (asm.Cond, bool) {
	if cc == ir.NotEqual {
		return asm.B, true
	}
	return asm.AE, cc == ir.Equal
}

func (c *lower) condUcomis(cc asm.Cond, t ir.Type, a machine.Reg, b operand) cond {
	op := asm.UCOMISD
	if t == ir.F32 {
		op = asm.UCOMISS
	}
	return cond{kind: condXmm, cc: cc, op: uint16(op), a: a, b: b}
}

func (c *lower) condFlags(cc asm.Cond) cond { return cond{cc: cc} }

func (c *lower) condBoth(k cond, cc asm.Cond) cond {
	k.join, k.other = joinBoth, cc
	return k
}

func (c *lower) condEither(k cond, cc asm.Cond) cond {
	k.join, k.other = joinEither, cc
	return k
}

func (c *lower) condInvert(k cond) cond {
	k.cc, k.other = k.cc.Invert(), k.other.Invert()
	switch k.join {
	case joinBoth:
		k.join = joinEither
	case joinEither:
		k.join = joinBoth
	}
	return k
}

var intConds = [...]asm.Cond{
	ir.Equal: asm.E, ir.NotEqual: asm.NE,
	ir.SignedLessThan: asm.L, ir.SignedGreaterThanOrEqual: asm.GE, ir.SignedGreaterThan: asm.G, ir.SignedLessThanOrEqual: asm.LE,
	ir.UnsignedLessThan: asm.B, ir.UnsignedGreaterThanOrEqual: asm.AE, ir.UnsignedGreaterThan: asm.A, ir.UnsignedLessThanOrEqual: asm.BE,
}

func (c *lower) ccOf(cc ir.IntCC) asm.Cond { return intConds[cc] }

func (c *lower) zeroTest(cc ir.IntCC) (asm.Cond, bool) {
	return intConds[cc], cc == ir.Equal || cc == ir.NotEqual
}

func (c *lower) signOrZero(cc ir.IntCC) (asm.Cond, bool) {
	switch cc {
	case ir.Equal, ir.NotEqual, ir.SignedGreaterThan, ir.SignedLessThanOrEqual:
		// test clears the overflow flag, so signed conditions hold as they do after cmp with 0.
		return intConds[cc], true
	case ir.SignedLessThan:
		return asm.S, true
	case ir.SignedGreaterThanOrEqual:
		return asm.NS, true
	}
	return 0, false
}

// setFlags emits the comparison.
func (c *lower) setFlags(k *cond) {
	switch k.kind {
	case condNow:
	case condInt:
		switch k.b.kind {
		case operandInReg:
			c.l.Emit(New(OpCmpRR, k.op, k.size, k.a, k.b.reg))
		case operandConst:
			c.l.Emit(NewImm(OpCmpRI, k.op, k.size, int64(k.b.imm), k.a))
		case operandInMem:
			c.l.Emit(NewMem(OpCmpRM, k.op, k.size, k.b.mem, k.a))
		}
	case condMem:
		if k.b.kind == operandConst {
			in := NewMem(OpCmpMI, k.op, k.size, k.mem)
			in.Imm = int64(k.b.imm)
			c.l.Emit(in)
		} else {
			c.l.Emit(NewMem(OpCmpMR, k.op, k.size, k.mem, k.b.reg))
		}
	case condBitTest:
		c.l.Emit(New(OpBitTest, uint16(asm.BT), k.size, k.a, k.b.reg))
	case condXmm:
		if k.b.kind == operandInMem {
			c.l.Emit(NewMem(OpXmmCmpM, k.op, 0, k.b.mem, k.a))
		} else {
			c.l.Emit(New(OpXmmCmp, k.op, 0, k.a, k.b.reg))
		}
	case condWide:
		c.l.Emit(New(OpCmpRR, uint16(asm.CMP), asm.S64, k.lo[0], k.lo[1]))
		c.l.Emit(New(OpAluRR, uint16(asm.SBB), asm.S64, c.newGpr(), k.a, k.b.reg))
	}
}

func (c *lower) emitCond(op Op, size asm.Size, cc asm.Cond, regs ...machine.Reg) {
	in := New(op, 0, size, regs...)
	in.Cond = uint8(cc)
	c.l.Emit(in)
}

// setcc makes the condition a byte, 0 or 1.
func (c *lower) setcc(k cond) machine.Reg {
	c.setFlags(&k)
	d := c.newGpr()
	c.emitCond(OpSetcc, asm.S8, k.cc, d)
	if k.join == joinNone {
		return d
	}
	e := c.newGpr()
	c.emitCond(OpSetcc, asm.S8, k.other, e)
	op := asm.AND
	if k.join == joinEither {
		op = asm.OR
	}
	return c.alu(op, asm.S32, d, operand{reg: e})
}

// setccZero makes the condition 0 or 1 in all 64 bits. The register is cleared before the comparison: that costs no execution
// (AMD, Software Optimization Guide for the Zen 5 Microarchitecture, "Zeroing idioms"), keeps set from waiting for what was in the
// register before, and leaves nothing to extend.
func (c *lower) setccZero(k cond) machine.Reg {
	if k.join != joinNone || k.kind == condNow {
		return c.movzx(asm.S8, operand{reg: c.setcc(k)})
	}
	z := c.newGpr()
	c.l.Emit(New(OpZero, 0, asm.S32, z))
	c.setFlags(&k)
	d := c.newGpr()
	c.emitCond(OpSetccIn, asm.S8, k.cc, d, z)
	return d
}

// A carry is a comparison whose outcome, 0 or 1, the carry flag is after subtracting y, or the constant k, from x; or one less
// that outcome if inverted is set.
type carry struct {
	x, y     ir.Value
	k        int32
	isConst  bool
	inverted bool
}

// carryOf matches an extended comparison that can be had as a carry and that nothing else needs.
func (c *lower) carryOf(v ir.Value) (carry, bool) {
	if !c.l.SingleUse(v) || c.l.Used(v) {
		return carry{}, false
	}
	i, ok := c.defInst(v)
	if !ok || c.opcode(i) != ir.OpUextend {
		return carry{}, false
	}
	if i, ok = c.defInst(c.arg0(i)); !ok || c.opcode(i) != ir.OpIcmp {
		return carry{}, false
	}
	k := carry{x: c.arg0(i), y: c.arg1(i)}
	t := c.valueType(k.x)
	if _, ok := c.fitsIn64(t); !ok {
		return k, false
	}
	n, isConst := c.sconst(k.y)
	switch cc := c.intCc(i); cc {
	case ir.Equal, ir.NotEqual:
		// Zero is what is less than one.
		k.inverted, k.isConst, k.k = cc == ir.NotEqual, true, 1
		return k, isConst && n == 0
	case ir.UnsignedLessThan, ir.UnsignedGreaterThanOrEqual:
		k.inverted = cc == ir.UnsignedGreaterThanOrEqual
	case ir.UnsignedGreaterThan, ir.UnsignedLessThanOrEqual:
		if !isConst {
			k.x, k.y, k.inverted = k.y, k.x, cc == ir.UnsignedLessThanOrEqual
			return k, true
		}
		// At most n is less than n+1.
		if n == -1 {
			return k, false
		}
		unused := 64 - t.Bits()
		n = (n + 1) << unused >> unused
		k.inverted = cc == ir.UnsignedGreaterThan
	default:
		return k, false
	}
	k.k, k.isConst = int32(n), isConst
	return k, !isConst || fitsInt32(n)
}

// setCarry emits the comparison.
func (c *lower) setCarry(k *carry) {
	b := operand{kind: operandConst, imm: k.k}
	if !k.isConst {
		b = c.rmiExact(k.y)
	}
	cmp := c.condCmp(asm.B, c.sizeOf(c.valueType(k.x)), c.gpr(k.x), b)
	c.setFlags(&cmp)
}

// addCarry is a and the outcome of the comparison, subCarry a less that.
func (c *lower) addCarry(size asm.Size, a machine.Reg, k carry) machine.Reg {
	c.setCarry(&k)
	if k.inverted {
		return c.alu(asm.SBB, size, a, c.operandImm(-1))
	}
	return c.alu(asm.ADC, size, a, c.operandImm(0))
}

func (c *lower) subCarry(size asm.Size, a machine.Reg, k carry) machine.Reg {
	c.setCarry(&k)
	if k.inverted {
		return c.alu(asm.ADC, size, a, c.operandImm(-1))
	}
	return c.alu(asm.SBB, size, a, c.operandImm(0))
}

// add3 is a+b and the outcome of the comparison, and sub3 a-b less that; of comparisons that are not inverted.
func (c *lower) add3(size asm.Size, a, b machine.Reg, k carry) machine.Reg {
	c.setCarry(&k)
	return c.alu(asm.ADC, size, a, operand{reg: b})
}

func (c *lower) sub3(size asm.Size, a, b machine.Reg, k carry) machine.Reg {
	c.setCarry(&k)
	return c.alu(asm.SBB, size, a, operand{reg: b})
}

func (c *lower) direct(k carry) bool { return !k.inverted }

func (c *lower) selectGpr(size asm.Size, k cond, yes, no machine.Reg) machine.Reg {
	return c.choose(OpCmov, size, ir.I64, k, yes, no)
}

func (c *lower) selectXmm(t ir.Type, k cond, yes, no machine.Reg) machine.Reg {
	return c.choose(OpCmovX, 0, t, k, yes, no)
}

func (c *lower) choose(op Op, size asm.Size, t ir.Type, k cond, yes, no machine.Reg) machine.Reg {
	if k.join == joinBoth {
		// Unless either is false.
		k = c.condInvert(k)
		yes, no = no, yes
	}
	c.setFlags(&k)
	d := c.l.NewReg(t)
	c.emitCond(op, size, k.cc, d, no, yes)
	if k.join == joinEither {
		e := c.l.NewReg(t)
		c.emitCond(op, size, k.other, e, d, yes)
		d = e
	}
	return d
}

func (c *lower) trapIf(k cond, code ir.TrapCode) {
	if k.join == joinBoth {
		r := c.setcc(k)
		k = c.condTest(asm.NE, asm.S8, r, operand{reg: r})
	}
	c.setFlags(&k)
	op := OpTrapIf
	if k.join == joinEither {
		op = OpTrapIf2
	}
	in := New(op, uint16(k.other), 0)
	if op == OpTrapIf {
		in.Sub = 0
	}
	in.Cond, in.Trap = uint8(k.cc), uint8(code)
	c.l.Emit(in)
}

// branch ends a block: to block yes if the condition holds, else to block no.
func (c *lower) branch(k cond, yes, no uint32) {
	if k.join == joinBoth {
		k = c.condInvert(k)
		yes, no = no, yes
	}
	c.setFlags(&k)
	op := OpJcc
	if k.join == joinEither {
		op = OpJcc2
	}
	in := New(op, uint16(k.other), 0)
	if op == OpJcc {
		in.Sub = 0
	}
	in.Cond, in.Aux, in.Imm = uint8(k.cc), yes, int64(no)
	c.l.Emit(in)
}

// byteMask matches the bits of the lowest byte: tests of them need no more of the register.
func (c *lower) byteMask(k int64) (int32, bool) { return int32(k), k > 0 && k <= 0xff }

func (c *lower) isConst(v ir.Value) bool {
	_, ok := c.l.Const(v)
	return ok
}
