package x64

import (
	"math"
	"math/bits"

	"github.com/davit-wasm/davit/codegen/internal/machine"
	"github.com/davit-wasm/davit/codegen/internal/x64/asm"
	"github.com/davit-wasm/davit/codegen/ir"
)

// This file knows how large values can be, and folds into addresses what that allows.
//
// WebAssembly computes an address with 32 bits, wrapping around, and extends it. An addition or a shift before the extension
// may only become part of the addressing mode, which has 64 bits, if it does not wrap around: an index of a table has been masked,
// shifted right or loaded from a byte, and the shift by which it becomes an offset is free then.
//
//	v1 = band v0, 255           movzx ecx, al
//	v2 = ishl v1, 2             mov   ecx, [rsi+rcx*4+1024]
//	v3 = uextend.i64 v2
//	v4 = iadd base, v3
//	v5 = load.i32 v4+1024

// rangeSteps bounds how far most looks.
const rangeSteps = 4

// most is an upper bound of v as an unsigned number.
func (c *lower) most(v ir.Value) uint64 { return c.mostWithin(v, rangeSteps) }

// mostWithin looks through steps instructions. At most two of the operands of each are looked at, so it ends soon.
func (c *lower) mostWithin(v ir.Value, steps int) uint64 {
	t := c.valueType(v)
	if _, ok := c.fitsIn64(t); !ok {
		return math.MaxUint64
	}
	all := uint64(math.MaxUint64) >> (64 - t.Bits())
	if k, ok := c.uconst(v); ok {
		return uint64(k)
	}
	i, ok := c.defInst(v)
	if !ok || steps == 0 {
		return all
	}
	arg := func(k int) uint64 { return c.mostWithin(c.f.Arg(i, k), steps-1) }
	amount := func() (uint, bool) {
		k, ok := c.uconst(c.arg1(i))
		return uint(k) & uint(t.Bits()-1), ok
	}
	switch c.opcode(i) {
	case ir.OpUload8:
		return math.MaxUint8
	case ir.OpUload16:
		return math.MaxUint16
	case ir.OpUload32:
		return math.MaxUint32
	case ir.OpIcmp, ir.OpFcmp:
		return 1
	case ir.OpPopcnt, ir.OpClz, ir.OpCtz:
		return uint64(t.Bits())
	case ir.OpUextend:
		return arg(0)
	case ir.OpIreduce:
		if n := arg(0); n <= all {
			return n
		}
	case ir.OpBand, ir.OpUmin:
		return min(arg(0), arg(1))
	case ir.OpBor, ir.OpBxor:
		return 1<<bits.Len64(arg(0)|arg(1)) - 1
	case ir.OpSelect:
		return max(arg(1), arg(2))
	case ir.OpUrem:
		if k, ok := c.uconst(c.arg1(i)); ok && k != 0 {
			return uint64(k) - 1
		}
	case ir.OpUdiv:
		return arg(0)
	case ir.OpUshr:
		if k, ok := amount(); ok {
			return arg(0) >> k
		}
		return arg(0)
	case ir.OpIshl:
		if k, ok := amount(); ok {
			if n := arg(0); n <= all>>k {
				return n << k
			}
		}
	case ir.OpIadd:
		if sum, carry := bits.Add64(arg(0), arg(1), 0); carry == 0 && sum <= all {
			return sum
		}
	}
	return all
}

// inTable reports whether v is always the index of an entry of the jump table being lowered.
func (c *lower) inTable(v ir.Value) bool {
	return c.most(v) < uint64(len(c.f.Dests(c.l.Inst()))) // the default block is one behind the others
}

// below reports whether v is a shift amount that need not be taken modulo the bits of t.
func (c *lower) below(v ir.Value, t ir.Type) bool { return c.most(v) < uint64(t.Bits()) }

// A term is a part of an address: a register, scaled, and a constant.
type term struct {
	v     ir.Value
	reg   machine.Reg // instead of v, if that takes instructions
	scale uint8
	disp  int64
}

// extendedTerm takes apart a value that is extended from 32 bits, and to be scaled and added to disp. It is scaled here only if it
// is not yet.
func (c *lower) extendedTerm(v ir.Value, scale uint8, disp int64) (term, bool) {
	t := term{v: v, reg: machine.NoReg}
	i, ok := c.defInst(v)
	if !ok || c.opcode(i) != ir.OpUextend || c.valueType(c.arg0(i)) != ir.I32 || !c.l.SingleUse(v) {
		return t, false // what else needs it, such as a check of bounds, has it made anyway
	}
	t.v = c.arg0(i)
	for range maxAddressSteps {
		i, ok := c.defInst(t.v)
		if !ok || !c.l.SingleUse(t.v) || c.l.Used(t.v) {
			break
		}
		switch c.opcode(i) {
		case ir.OpIadd:
			x := c.arg0(i)
			if k, ok := c.uconst(c.arg1(i)); ok && c.most(x) <= math.MaxUint32-uint64(k) {
				if sum := t.disp + k<<t.scale; fitsInt32(disp + sum<<scale) {
					t.v, t.disp = x, sum
					continue
				}
			}
		case ir.OpIshl:
			x := c.arg0(i)
			k, ok := c.uconst(c.arg1(i))
			if ok = ok && k >= 1 && k <= 3 && t.scale+scale == 0; ok && c.most(x) <= math.MaxUint32>>k {
				t.v, t.scale = x, uint8(k)
				continue
			}
		case ir.OpBand:
			if t.scale+scale == 0 && c.maskedTerm(&t, i) {
				return t, true
			}
		}
		break
	}
	if t.v == c.arg0(i) {
		return t, false
	}
	// The register is used at 64 bits: it must be extended, by whatever makes the value.
	_, ok = c.zeroUpper32(t.v)
	return t, ok
}

// maskedTerm turns a mask around a shift, x<<2 & 0x3fc, which is how compilers put an index of a table, into a scaled
// (x & 0xff) << 2; and x>>22 & 0x3fc into (x>>24) << 2.
func (c *lower) maskedTerm(t *term, band ir.Inst) bool {
	m, ok := c.uconst(c.arg1(band))
	shift, isDef := c.defInst(c.arg0(band))
	if !ok || !isDef || m == 0 || !c.l.SingleUse(c.arg0(band)) || c.l.Used(c.arg0(band)) {
		return false
	}
	s := bits.TrailingZeros64(uint64(m))
	if s < 1 || s > 3 {
		return false
	}
	op := c.opcode(shift)
	if op != ir.OpIshl && op != ir.OpUshr {
		return false
	}
	k, ok := c.uconst(c.arg1(shift))
	k, mask := k&31, uint64(m)>>s
	if !ok || k == 0 {
		return false
	}
	x := c.arg0(shift)
	if op == ir.OpIshl {
		if int(k) != s {
			return false
		}
		t.reg = c.maskTo(c.gpr(x), mask)
	} else {
		k += int64(s)
		if k > 31 || uint64(math.MaxUint32)>>k > mask {
			return false // as many instructions as without
		}
		t.reg = c.shiftImm(asm.SHR, asm.S32, c.gpr(x), uint8(k))
	}
	t.scale = uint8(s)
	return true
}

// maskTo is the bits of r that are in mask, extended to 64 bits.
func (c *lower) maskTo(r machine.Reg, mask uint64) machine.Reg {
	switch mask {
	case math.MaxUint8:
		return c.movzx(asm.S8, operand{reg: r})
	case math.MaxUint16:
		return c.movzx(asm.S16, operand{reg: r})
	}
	return c.alu(asm.AND, asm.S32, r, c.operandImm(int32(mask)))
}
