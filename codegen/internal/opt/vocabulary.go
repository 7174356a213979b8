package opt

import (
	"math"

	"github.com/davit-wasm/davit/codegen/interp"
	"github.com/davit-wasm/davit/codegen/ir"
)

// The Go side of opt.rules: what the rules see of instructions, constants and
// types, and what they make. An Inst of the rules is a value that is the only
// result of its instruction.

func (o *Optimizer) def(v ir.Value) *ir.InstData {
	inst, _ := o.f.ValueInst(v)
	return o.f.Inst(inst)
}

func (o *Optimizer) arg(v ir.Value, i int) ir.Value {
	inst, _ := o.f.ValueInst(v)
	return o.rep(o.f.Args(inst)[i])
}

func (o *Optimizer) opcode(v ir.Value) ir.Opcode            { return o.def(v).Op }
func (o *Optimizer) arg0(v ir.Value) ir.Value               { return o.arg(v, 0) }
func (o *Optimizer) arg1(v ir.Value) ir.Value               { return o.arg(v, 1) }
func (o *Optimizer) arg2(v ir.Value) ir.Value               { return o.arg(v, 2) }
func (o *Optimizer) intCc(v ir.Value) ir.IntCC              { return o.def(v).IntCC() }
func (o *Optimizer) floatCc(v ir.Value) ir.FloatCC          { return o.def(v).FloatCC() }
func (o *Optimizer) memFlags(v ir.Value) ir.MemFlags        { return o.def(v).Flags }
func (o *Optimizer) lane(v ir.Value) uint8                  { return uint8(o.def(v).Imm) }
func (o *Optimizer) valueType(v ir.Value) ir.Type           { return o.f.ValueType(v) }
func (o *Optimizer) instValue(v ir.Value) ir.Value          { return v }
func (o *Optimizer) ccInverse(c ir.IntCC) ir.IntCC          { return c.Inverse() }
func (o *Optimizer) floatCcInverse(c ir.FloatCC) ir.FloatCC { return c.Inverse() }
func (o *Optimizer) floatCcSwap(c ir.FloatCC) ir.FloatCC    { return c.Swap() }

// ---- Constants

func (o *Optimizer) konst(v ir.Value) bool { return o.isConst(v) }

func (o *Optimizer) uconst(v ir.Value) (uint64, bool) { return o.constant(v) }

func (o *Optimizer) sconst(v ir.Value) (int64, bool) {
	k, ok := o.constant(v)
	shift := 64 - o.f.ValueType(v).Bits()
	return int64(k<<(shift&63)) >> (shift & 63), ok
}

// pattern is the bits of an integer constant, scalar or vector, and of its type.
func (o *Optimizer) pattern(v ir.Value) (b interp.Value, t ir.Type, ok bool) {
	if t = o.f.ValueType(v); !t.IsIntLane() || !o.isConst(v) {
		return b, t, false
	}
	b, ok = o.constantBits(v)
	return b, t, ok
}

func (o *Optimizer) zero(v ir.Value) bool {
	b, _, ok := o.pattern(v)
	return ok && b.Lo|b.Hi == 0
}

func (o *Optimizer) ones(v ir.Value) bool {
	b, t, ok := o.pattern(v)
	switch {
	case !ok:
		return false
	case t.Bits() <= 64:
		return b.Lo == mask(t)
	}
	return t.Bits() == 128 && b.Lo&b.Hi == ^uint64(0)
}

func (o *Optimizer) powerOfTwo(v ir.Value) (uint64, bool) {
	k, ok := o.constant(v)
	if !ok || k < 2 || k&(k-1) != 0 {
		return 0, false
	}
	n := uint64(0)
	for k > 1 {
		k >>= 1
		n++
	}
	return n, true
}

func (o *Optimizer) least(v ir.Value) bool {
	k, ok := o.constant(v)
	return ok && k == 1<<(o.f.ValueType(v).Bits()-1)
}

func (o *Optimizer) greatest(v ir.Value) bool {
	k, ok := o.constant(v)
	return ok && k == mask(o.f.ValueType(v))>>1
}

// zeroOf and onesOf are for the types of intLanes. There are no constants of i128;
// constants of i64 are extended instead.
func (o *Optimizer) zeroOf(t ir.Type) ir.Value {
	if t == ir.I128 {
		return o.makeUextend(t, o.makeConst(ir.I64, 0))
	}
	v, _ := o.constantOf(t, interp.Value{})
	return v
}

func (o *Optimizer) onesOf(t ir.Type) ir.Value {
	if t == ir.I128 {
		return o.makeSextend(t, o.makeConst(ir.I64, ^uint64(0)))
	}
	v, _ := o.constantOf(t, interp.Value{Lo: ^uint64(0), Hi: ^uint64(0)})
	return v
}

func (o *Optimizer) truthOf(t ir.Type) ir.Value {
	if t.IsVector() {
		return o.onesOf(t)
	}
	return o.makeConst(t, 1)
}

func (o *Optimizer) makeConst(t ir.Type, k uint64) ir.Value {
	return o.make(ir.InstData{Op: ir.OpIconst, Type: t, Imm: int64(k)})
}

func (o *Optimizer) constSigned(t ir.Type, k int64) ir.Value { return o.makeConst(t, uint64(k)) }

// ---- Types and numbers

// intLanes is the types of integers that zeroOf and onesOf are for.
func (o *Optimizer) intLanes(t ir.Type) (ir.Type, bool) {
	return t, t.IsInt() || t.IsVector() && !t.IsDynamic() && t.IsIntLane() && t.Bits() == 128
}
func (o *Optimizer) fitsIn64(t ir.Type) (ir.Type, bool)      { return t, t >= ir.I8 && t <= ir.I64 }
func (o *Optimizer) ty32Or64(t ir.Type) (ir.Type, bool)      { return t, t == ir.I32 || t == ir.I64 }
func (o *Optimizer) tyScalarFloat(t ir.Type) (ir.Type, bool) { return t, t == ir.F32 || t == ir.F64 }

func (o *Optimizer) laneBits(t ir.Type) uint64         { return uint64(t.LaneBits()) }
func (o *Optimizer) typeMask(t ir.Type) uint64         { return mask(t) }
func (o *Optimizer) amount(t ir.Type, k uint64) uint64 { return k & uint64(t.LaneBits()-1) }
func (o *Optimizer) coversAmount(t ir.Type, k uint64) bool {
	m := uint64(t.LaneBits() - 1)
	return k&m == m
}
func (o *Optimizer) narrowWidth(n uint64) bool { return n == 8 || n == 16 || n == 32 }
func (o *Optimizer) intType(n uint64) ir.Type  { return ir.IntType(int(n)) }
func (o *Optimizer) wider(a, b ir.Type) bool   { return a.Bits() > b.Bits() }
func (o *Optimizer) isVector(t ir.Type) bool   { return t.IsVector() }
func (o *Optimizer) isScalar(v ir.Value) bool {
	t := o.f.ValueType(v)
	return t >= ir.I8 && t <= ir.I64
}
func (o *Optimizer) isScalarInt(v ir.Value) bool  { return o.isScalar(v) }
func (o *Optimizer) sameType(v, w ir.Value) bool  { return o.f.ValueType(v) == o.f.ValueType(w) }
func (o *Optimizer) maxBitsU64(v ir.Value) uint64 { return uint64(o.maxBits(v)) }
func (o *Optimizer) fitsSigned(t ir.Type, k int64) bool {
	shift := 64 - t.Bits()
	return k<<shift>>shift == k
}

func (o *Optimizer) u64Add(a, b uint64) uint64 { return a + b }
func (o *Optimizer) u64Sub(a, b uint64) uint64 { return a - b }
func (o *Optimizer) u64And(a, b uint64) uint64 { return a & b }
func (o *Optimizer) u64Or(a, b uint64) uint64  { return a | b }
func (o *Optimizer) u64Not(a uint64) uint64    { return ^a }
func (o *Optimizer) u64Shl(a, b uint64) uint64 { return a << b }
func (o *Optimizer) u64Shr(a, b uint64) uint64 { return a >> b }
func (o *Optimizer) u64Min(a, b uint64) uint64 { return min(a, b) }
func (o *Optimizer) u64Lt(a, b uint64) bool    { return a < b }
func (o *Optimizer) u64Le(a, b uint64) bool    { return a <= b }
func (o *Optimizer) u64Eq(a, b uint64) bool    { return a == b }

// ---- Comparisons

func (o *Optimizer) boolean(v ir.Value) bool { return o.isScalar(v) && o.maxBits(v) <= 1 }

func (o *Optimizer) equality(c ir.IntCC) bool { return c <= ir.NotEqual }

func (o *Optimizer) reflexive(c ir.IntCC) bool {
	switch c {
	case ir.Equal, ir.SignedLessThanOrEqual, ir.SignedGreaterThanOrEqual, ir.UnsignedLessThanOrEqual, ir.UnsignedGreaterThanOrEqual:
		return true
	}
	return false
}

func (o *Optimizer) irreflexive(c ir.IntCC) bool { return !o.reflexive(c) }

// lessOrUnequal and greaterOrEqual are the conditions that hold, and don't hold, of a
// number and a greater one, unsigned.
func (o *Optimizer) lessOrUnequal(c ir.IntCC) bool {
	return c == ir.UnsignedLessThan || c == ir.UnsignedLessThanOrEqual || c == ir.NotEqual
}

func (o *Optimizer) greaterOrEqual(c ir.IntCC) bool {
	return c == ir.UnsignedGreaterThan || c == ir.UnsignedGreaterThanOrEqual || c == ir.Equal
}

// ccUnsigned is the condition for numbers that have been zero-extended.
func (o *Optimizer) ccUnsigned(c ir.IntCC) ir.IntCC {
	if c.IsSigned() {
		return c + ir.UnsignedLessThan - ir.SignedLessThan
	}
	return c
}

// extendBool is v, which is 0 or 1, in type t.
func (o *Optimizer) extendBool(t ir.Type, v ir.Value) ir.Value {
	switch from := o.f.ValueType(v); {
	case from == t:
		return v
	case from.Bits() > t.Bits():
		return o.makeIreduce(t, v)
	}
	return o.makeUextend(t, v)
}

// worthNarrowing reports whether operands get simpler by being reduced.
func (o *Optimizer) worthNarrowing(x, y ir.Value) bool { return o.reduces(x) && o.reduces(y) }

func (o *Optimizer) reduces(v ir.Value) bool {
	if o.isConst(v) {
		return o.isScalar(v)
	}
	for w, next, ok := o.defInst(v, 0); ok; w, next, ok = o.defInst(v, next) {
		if op := o.opcode(w); op == ir.OpUextend || op == ir.OpSextend {
			return true
		}
	}
	return false
}

// ---- Floating point

func (o *Optimizer) floatTwo(v ir.Value) bool {
	inst, _ := o.f.ValueInst(v)
	if inst == ir.NoInst {
		return false
	}
	d := o.f.Inst(inst)
	return d.Op == ir.OpF32const && uint32(d.Imm) == math.Float32bits(2) || d.Op == ir.OpF64const && uint64(d.Imm) == math.Float64bits(2)
}

func (o *Optimizer) exactReciprocal(v ir.Value) (uint64, bool) {
	inst, _ := o.f.ValueInst(v)
	if inst == ir.NoInst {
		return 0, false
	}
	switch d := o.f.Inst(inst); d.Op {
	case ir.OpF32const:
		k := uint32(d.Imm)
		if e := k >> 23 & 0xff; k<<9 == 0 && e > 1 && e < 253 {
			return uint64(k&(1<<31) | (254-e)<<23), true
		}
	case ir.OpF64const:
		k := uint64(d.Imm)
		if e := k >> 52 & 0x7ff; k<<12 == 0 && e > 1 && e < 2045 {
			return k&(1<<63) | (2046-e)<<52, true
		}
	}
	return 0, false
}

func (o *Optimizer) floatConst(t ir.Type, bits uint64) ir.Value {
	if t == ir.F32 {
		return o.make(ir.InstData{Op: ir.OpF32const, Imm: int64(bits)})
	}
	return o.make(ir.InstData{Op: ir.OpF64const, Imm: int64(bits)})
}
