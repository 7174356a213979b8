package opt

import (
	"math"
	"math/bits"

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
func (o *Optimizer) ccSwap(c ir.IntCC) ir.IntCC             { return c.Swap() }
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
	b, t, ok := o.pattern(v)
	return ok && b == lanesOf(t, 1<<(t.LaneBits()-1))
}

func (o *Optimizer) greatest(v ir.Value) bool {
	b, t, ok := o.pattern(v)
	return ok && b == lanesOf(t, 1<<(t.LaneBits()-1)-1)
}

// lanesOf is an integer or vector of at most 128 bits with k in each lane.
func lanesOf(t ir.Type, k uint64) (b interp.Value) {
	for at := 0; at < t.Bits(); at += t.LaneBits() {
		if at < 64 {
			b.Lo |= k << at
		} else {
			b.Hi |= k << (at - 64)
		}
	}
	return b
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
func (o *Optimizer) floatLanes(t ir.Type) (ir.Type, bool) {
	return t, t == ir.F32 || t == ir.F64 || t.IsVector() && !t.IsDynamic() && t.IsFloatLane() && t.Bits() <= 128
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
func (o *Optimizer) u64Shl(a, b uint64) uint64 { return a << b }
func (o *Optimizer) u64Shr(a, b uint64) uint64 { return a >> b }
func (o *Optimizer) u64Min(a, b uint64) uint64 { return min(a, b) }
func (o *Optimizer) u64Lt(a, b uint64) bool    { return a < b }
func (o *Optimizer) u64Le(a, b uint64) bool    { return a <= b }
func (o *Optimizer) u64Product(a, b uint64) (uint64, bool) {
	hi, lo := bits.Mul64(a, b)
	return lo, hi == 0
}
func (o *Optimizer) u64Eq(a, b uint64) bool { return a == b }

// ---- Comparisons

func (o *Optimizer) boolean(v ir.Value) bool { return o.isScalar(v) && o.maxBits(v) <= 1 }

func (o *Optimizer) truthy(v ir.Value) (ir.Value, bool) {
	w := o.simplerTruth(v)
	return w, w != v
}

// orders are the orders of two operands that a condition holds for: less 1, equal
// 2, greater 4.
func orders(c ir.IntCC) uint64 {
	switch c {
	case ir.Equal:
		return 2
	case ir.NotEqual:
		return 5
	case ir.SignedLessThan, ir.UnsignedLessThan:
		return 1
	case ir.SignedLessThanOrEqual, ir.UnsignedLessThanOrEqual:
		return 3
	case ir.SignedGreaterThan, ir.UnsignedGreaterThan:
		return 4
	}
	return 6
}

// sameOrder reports whether two conditions order numbers in the same way.
func (o *Optimizer) sameOrder(a, b ir.IntCC) bool {
	return o.equality(a) || o.equality(b) || a.IsSigned() == b.IsSigned()
}

func (o *Optimizer) ccAnd(a, b ir.IntCC) uint64 {
	if !o.sameOrder(a, b) {
		return 8
	}
	return orders(a) & orders(b)
}

func (o *Optimizer) ccOr(a, b ir.IntCC) uint64 {
	if !o.sameOrder(a, b) {
		return 8
	}
	return orders(a) | orders(b)
}

func (o *Optimizer) ccXor(a, b ir.IntCC) uint64 {
	if !o.sameOrder(a, b) {
		return 8
	}
	return orders(a) ^ orders(b)
}

func (o *Optimizer) ccOf(set uint64, a, b ir.IntCC) (ir.IntCC, bool) {
	signed := a.IsSigned() || b.IsSigned()
	pick := func(s, u ir.IntCC) (ir.IntCC, bool) {
		if signed {
			return s, true
		}
		return u, true
	}
	switch set {
	case 1:
		return pick(ir.SignedLessThan, ir.UnsignedLessThan)
	case 2:
		return ir.Equal, true
	case 3:
		return pick(ir.SignedLessThanOrEqual, ir.UnsignedLessThanOrEqual)
	case 4:
		return pick(ir.SignedGreaterThan, ir.UnsignedGreaterThan)
	case 5:
		return ir.NotEqual, true
	case 6:
		return pick(ir.SignedGreaterThanOrEqual, ir.UnsignedGreaterThanOrEqual)
	}
	return 0, false
}

// floatOrders are the orders of two numbers that a condition holds for: less 1,
// equal 2, greater 4, none 8.
var floatOrders = [...]uint8{
	ir.Ordered: 7, ir.Unordered: 8, ir.FloatEqual: 2, ir.FloatNotEqual: 13, ir.OrderedNotEqual: 5, ir.UnorderedOrEqual: 10,
	ir.LessThan: 1, ir.LessThanOrEqual: 3, ir.GreaterThan: 4, ir.GreaterThanOrEqual: 6,
	ir.UnorderedOrLessThan: 9, ir.UnorderedOrLessThanOrEqual: 11, ir.UnorderedOrGreaterThan: 12, ir.UnorderedOrGreaterThanOrEqual: 14,
}

func floatCCOf(orders uint8) (ir.FloatCC, bool) {
	for c, s := range floatOrders {
		if s == orders {
			return ir.FloatCC(c), true
		}
	}
	return 0, false
}

func (o *Optimizer) floatCcBoth(a, b ir.FloatCC) (ir.FloatCC, bool) {
	return floatCCOf(floatOrders[a] & floatOrders[b])
}

func (o *Optimizer) floatCcEither(a, b ir.FloatCC) (ir.FloatCC, bool) {
	return floatCCOf(floatOrders[a] | floatOrders[b])
}

// An arc is the numbers from start on, n of them, round the circle of a type's
// numbers. It is neither empty nor all of them.
type arc struct{ start, n uint64 }

// arcOf is the numbers for which a comparison with k holds; ok is false if
// it is none or all.
func arcOf(t ir.Type, c ir.IntCC, k uint64) (a arc, ok bool) {
	m := mask(t)
	least := uint64(0)
	if c.IsSigned() {
		least = m>>1 + 1
	}
	below := (k - least) & m // how many numbers are less than k
	switch orders(c) {
	case 1:
		a = arc{least, below}
	case 2:
		a = arc{k, 1}
	case 3:
		a = arc{least, (below + 1) & m}
	case 4:
		a = arc{(k + 1) & m, m - below}
	case 5:
		a = arc{(k + 1) & m, m}
	default:
		a = arc{k, (m - below + 1) & m}
	}
	return a, a.n != 0
}

// meet is what is in both arcs, if that is one arc.
func (a arc) meet(b arc, m uint64) (arc, bool) {
	ahead, behind := (b.start-a.start)&m, (a.start-b.start)&m
	switch inA, inB := ahead < a.n, behind < b.n; {
	case inA && inB && ahead != 0:
		return arc{}, false // each begins in the other: two pieces
	case inA:
		return arc{b.start, min(a.n-ahead, b.n)}, true
	case inB:
		return arc{a.start, min(b.n-behind, a.n)}, true
	}
	return arc{}, false
}

// rest is what is not in an arc.
func (a arc) rest(m uint64) arc { return arc{(a.start + a.n) & m, -a.n & m} }

func (o *Optimizer) rangeBoth(t ir.Type, a ir.IntCC, j uint64, b ir.IntCC, k uint64) (arc, bool) {
	x, ok1 := arcOf(t, a, j)
	y, ok2 := arcOf(t, b, k)
	if !ok1 || !ok2 {
		return arc{}, false
	}
	return x.meet(y, mask(t))
}

func (o *Optimizer) rangeEither(t ir.Type, a ir.IntCC, j uint64, b ir.IntCC, k uint64) (arc, bool) {
	r, ok := o.rangeBoth(t, a.Inverse(), j, b.Inverse(), k)
	return r.rest(mask(t)), ok
}

// neverBoth and alwaysEither report whether no number is in both of two ranges,
// and whether each is in one.
func (o *Optimizer) neverBoth(t ir.Type, a ir.IntCC, j uint64, b ir.IntCC, k uint64) bool {
	x, ok1 := arcOf(t, a, j)
	y, ok2 := arcOf(t, b, k)
	m := mask(t)
	return ok1 && ok2 && (y.start-x.start)&m >= x.n && (x.start-y.start)&m >= y.n
}

func (o *Optimizer) alwaysEither(t ir.Type, a ir.IntCC, j uint64, b ir.IntCC, k uint64) bool {
	return o.neverBoth(t, a.Inverse(), j, b.Inverse(), k)
}

func (o *Optimizer) inRange(v ir.Value, r arc) ir.Value {
	t := o.f.ValueType(v)
	m := mask(t)
	compare := func(c ir.IntCC, x ir.Value, k uint64) ir.Value {
		return o.make(ir.InstData{Op: ir.OpIcmp, Type: t, Cond: uint8(c)}, x, o.makeConst(t, k))
	}
	switch {
	case r.n == 1:
		return compare(ir.Equal, v, r.start)
	case r.n == m:
		return compare(ir.NotEqual, v, (r.start-1)&m)
	case r.start == m>>1+1 && r.n != m>>1+1:
		return compare(ir.SignedLessThan, v, (r.start+r.n)&m)
	case (r.start+r.n)&m == m>>1+1:
		return compare(ir.SignedGreaterThanOrEqual, v, r.start)
	case (r.start+r.n)&m == 0:
		return compare(ir.UnsignedGreaterThanOrEqual, v, r.start)
	case r.start != 0:
		v = o.makeIadd(v, o.makeConst(t, -r.start&m))
	}
	return compare(ir.UnsignedLessThan, v, r.n)
}

// atMost and atMostSigned report whether x is never greater than y; less, whether it is
// always less, unsigned.
func (o *Optimizer) atMost(x, y ir.Value) bool { return o.spanOf(x).hi <= o.spanOf(y).lo }

func (o *Optimizer) atMostSigned(x, y ir.Value) bool { return o.spanOf(x).shi <= o.spanOf(y).slo }

func (o *Optimizer) less(x, y ir.Value) bool { return o.spanOf(x).hi < o.spanOf(y).lo }

// covers reports whether all bits that x may have are set in y.
func (o *Optimizer) covers(x, y ir.Value) bool {
	return (o.bits[x].zero|o.bits[y].one)&mask(o.f.ValueType(x)) == mask(o.f.ValueType(x))
}

func (o *Optimizer) spanFits(t ir.Type, v ir.Value) bool {
	s, full := o.spanOf(v), fullSpan(t)
	return s.slo >= full.slo && s.shi <= full.shi
}

func (o *Optimizer) equality(c ir.IntCC) bool { return c <= ir.NotEqual }

func (o *Optimizer) reflexive(c ir.IntCC) bool {
	switch c {
	case ir.Equal, ir.SignedLessThanOrEqual, ir.SignedGreaterThanOrEqual, ir.UnsignedLessThanOrEqual, ir.UnsignedGreaterThanOrEqual:
		return true
	}
	return false
}

func (o *Optimizer) irreflexive(c ir.IntCC) bool { return !o.reflexive(c) }

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

// exactIn reports whether all numbers of an integer type are numbers of a
// floating-point type.
func (o *Optimizer) exactIn(float, integer ir.Type) bool {
	return integer.IsInt() && (float == ir.F64 && integer.Bits() <= 32 || float == ir.F32 && integer.Bits() <= 16)
}

func (o *Optimizer) floatSign(v ir.Value) (negative, ok bool) {
	inst, _ := o.f.ValueInst(v)
	if inst == ir.NoInst {
		return false, false
	}
	switch d := o.f.Inst(inst); d.Op {
	case ir.OpF32const:
		return uint32(d.Imm)>>31 != 0, true
	case ir.OpF64const:
		return d.Imm < 0, true
	}
	return false, false
}

func (o *Optimizer) floatPositive(v ir.Value) bool {
	negative, ok := o.floatSign(v)
	return ok && !negative
}

func (o *Optimizer) floatNegative(v ir.Value) bool {
	negative, ok := o.floatSign(v)
	return ok && negative
}

// ---- Vectors

func (o *Optimizer) differ(a, b uint8) bool     { return a != b }
func (o *Optimizer) laneType(t ir.Type) ir.Type { return t.Lane() }

func (o *Optimizer) makeExtractlane(v ir.Value, lane uint8) ir.Value {
	return o.make(ir.InstData{Op: ir.OpExtractlane, Type: o.f.ValueType(v), Imm: int64(lane)}, v)
}

func (o *Optimizer) makeInsertlane(v, x ir.Value, lane uint8) ir.Value {
	return o.make(ir.InstData{Op: ir.OpInsertlane, Type: o.f.ValueType(v), Imm: int64(lane)}, v, x)
}

// ---- Bytes in reverse

// bytesOf is where the bytes of a value come from: byte i is byte from[i] of
// source, or zero if that is negative.
type bytesOf struct {
	source ir.Value
	from   [8]int8
}

// maxBytesDepth is how many instructions back bytes are followed: enough for 64
// bits, which take three steps to reverse by halves, with a mask and a shift each.
const maxBytesDepth = 7

// reversed is the value whose bytes are those of x | y in reverse, if there is
// one.
func (o *Optimizer) reversed(x, y ir.Value) (ir.Value, bool) {
	t := o.f.ValueType(x)
	n := t.Bits() / 8
	if n < 2 || (o.bits[x].zero|o.bits[y].zero) == 0 || o.bits[x].zero&o.bits[y].zero != 0 {
		return x, false
	}
	a, ok := o.bytes(x, maxBytesDepth)
	if !ok {
		return x, false
	}
	b, ok := o.bytes(y, maxBytesDepth)
	if !ok || !a.merge(b, n) || o.f.ValueType(a.source) != t {
		return x, false
	}
	for i := range n {
		if a.from[i] != int8(n-1-i) {
			return x, false
		}
	}
	return a.source, true
}

// merge puts the bytes of b where a has zeros; it fails if both have one.
func (a *bytesOf) merge(b bytesOf, n int) bool {
	for i := range n {
		switch {
		case b.from[i] < 0:
		case a.from[i] >= 0 || a.source != b.source:
			return false
		default:
			a.from[i] = b.from[i]
		}
	}
	return true
}

// shift moves bytes up, or down if k is negative.
func (a *bytesOf) shift(k, n int) {
	was := a.from
	for i := range n {
		a.from[i] = -1
		if from := i - k; from >= 0 && from < n {
			a.from[i] = was[from]
		}
	}
}

// bytes finds where the bytes of v come from. The recursion is bounded by depth.
func (o *Optimizer) bytes(v ir.Value, depth int) (bytesOf, bool) {
	f := o.f
	n := f.ValueType(v).Bits() / 8
	leaf := bytesOf{v, [8]int8{0, 1, 2, 3, 4, 5, 6, 7}}
	inst, _ := f.ValueInst(v)
	if inst == ir.NoInst || depth == 0 {
		return leaf, true
	}
	d := f.Inst(inst)
	args := f.Args(inst)
	switch d.Op {
	case ir.OpBor:
		a, ok := o.bytes(o.rep(args[0]), depth-1)
		if !ok {
			return leaf, false
		}
		b, ok := o.bytes(o.rep(args[1]), depth-1)
		return a, ok && a.merge(b, n)
	case ir.OpBand, ir.OpIshl, ir.OpUshr, ir.OpRotl, ir.OpRotr:
		k, ok := o.constant(o.rep(args[1]))
		if !ok || d.Op != ir.OpBand && k%8 != 0 {
			return leaf, true
		}
		a, ok := o.bytes(o.rep(args[0]), depth-1)
		if !ok {
			return leaf, false
		}
		bytes := int(k) & (8*n - 1) / 8
		switch d.Op {
		case ir.OpIshl:
			a.shift(bytes, n)
		case ir.OpUshr:
			a.shift(-bytes, n)
		case ir.OpRotl, ir.OpRotr:
			if d.Op == ir.OpRotr {
				bytes = n - bytes
			}
			low := a
			a.shift(bytes, n)
			low.shift(bytes-n, n)
			return a, a.merge(low, n)
		default:
			for i := range n {
				switch byte(k >> (8 * i)) {
				case 0:
					a.from[i] = -1
				case 0xff:
				default:
					return leaf, false
				}
			}
		}
		return a, true
	}
	return leaf, true
}
