package interp

import (
	"math"
	"math/big"

	"github.com/davit-wasm/davit/codegen/ir"
)

// floatOf is the number that the bits of an f16, f32 or f64 mean, exactly.
func floatOf(v Value, t ir.Type) (float64, bool) {
	switch t.Lane() {
	case ir.F16:
		return halfOf(uint16(v.Lo)), true
	case ir.F32:
		return float64(math.Float32frombits(uint32(v.Lo))), true
	case ir.F64:
		return math.Float64frombits(v.Lo), true
	}
	return 0, false
}

// bitsOf is the bits of a number of type t, rounded if need be.
func bitsOf(x float64, t ir.Type) Value {
	switch t.Lane() {
	case ir.F16:
		return word(uint64(halfBits(x)))
	case ir.F32:
		return word(uint64(math.Float32bits(float32(x))))
	}
	return word(math.Float64bits(x))
}

// halfOf is the number that the bits of an f16 mean.
func halfOf(h uint16) float64 {
	sign, exp, frac := uint64(h>>15)<<63, int(h>>10&31), uint64(h&0x3ff)
	var x float64
	switch exp {
	case 0:
		x = math.Ldexp(float64(frac), -24)
	case 31:
		bits := uint64(0x7ff)<<52 | frac<<42
		if frac != 0 {
			bits |= 1 << 51 // quiet
		}
		x = math.Float64frombits(bits)
	default:
		x = math.Ldexp(float64(frac|0x400), exp-25)
	}
	return math.Float64frombits(math.Float64bits(x) | sign)
}

// halfBits is the bits of x as an f16, rounded once. NaN is quiet and keeps the
// top of its payload.
func halfBits(x float64) uint16 {
	b := math.Float64bits(x)
	sign, a := uint16(b>>48)&0x8000, math.Abs(x)
	switch {
	case a != a:
		return sign | 0x7e00 | uint16(b>>42)&0x3ff
	case a >= 65520: // halfway from the greatest to the next
		return sign | 0x7c00
	case a < 0x1p-14: // in units of the least; 1024 of them are the first that is normal
		return sign | uint16(math.RoundToEven(a*0x1p24))
	}
	m, e := math.Frexp(a)
	return sign | (uint16(e+14)<<10 + uint16(math.RoundToEven(m*2048)) - 1024)
}

// intRange is the range of integers of n bits: lo is the least, hi the first
// that is too large.
func intRange(n int, signed bool) (lo, hi float64) {
	if signed {
		return -math.Ldexp(1, n-1), math.Ldexp(1, n-1)
	}
	return 0, math.Ldexp(1, n)
}

// integer is an integral number of less than 128 bits in two's complement.
func integer(x float64) Value {
	i, _ := big.NewFloat(x).Int(nil)
	return fromBig(i)
}

// toIntSat converts with saturation; NaN is zero.
func toIntSat(x float64, n int, signed bool) Value {
	if math.IsNaN(x) {
		return Value{}
	}
	x = math.Trunc(x)
	lo, hi := intRange(n, signed)
	switch {
	case x < lo:
		return integer(lo)
	case x >= hi && signed:
		return word(1).shl(n - 1).sub(word(1))
	case x >= hi:
		return Value{^uint64(0), ^uint64(0)}
	}
	return integer(x)
}

// fromInt converts an integer of n bits to t, rounded once.
func fromInt(v Value, n int, signed bool, t ir.Type) Value {
	x := new(big.Float).SetInt(v.big(n, signed)) // precise
	if t.Lane() == ir.F32 {
		f, _ := x.Float32()
		return word(uint64(math.Float32bits(f)))
	}
	f, _ := x.Float64()
	return word(math.Float64bits(f))
}

// round32 makes the f16, f32 or f64 result of an operation on two numbers of that
// type that was carried out in 64 bits; for the shorter ones that rounds twice,
// which is the same as once for +, −, ×, ÷ and the square root.
func round32(x float64, t ir.Type) Value { return bitsOf(x, t) }

func compareFloats(cc ir.FloatCC, x, y float64) bool {
	lt, eq, gt := x < y, x == y, x > y
	uno := !lt && !eq && !gt
	switch cc {
	case ir.Ordered:
		return !uno
	case ir.Unordered:
		return uno
	case ir.FloatEqual:
		return eq
	case ir.FloatNotEqual:
		return !eq
	case ir.OrderedNotEqual:
		return lt || gt
	case ir.UnorderedOrEqual:
		return uno || eq
	case ir.LessThan:
		return lt
	case ir.LessThanOrEqual:
		return lt || eq
	case ir.GreaterThan:
		return gt
	case ir.GreaterThanOrEqual:
		return gt || eq
	case ir.UnorderedOrLessThan:
		return uno || lt
	case ir.UnorderedOrLessThanOrEqual:
		return uno || lt || eq
	case ir.UnorderedOrGreaterThan:
		return uno || gt
	}
	return uno || gt || eq
}

// fma is x*y+z rounded once to t.
func fma(x, y, z float64, t ir.Type) Value {
	if t.Lane() == ir.F64 {
		return word(math.Float64bits(math.FMA(x, y, z)))
	}
	// The product of two numbers of at most 32 bits is exact in 64 bits. Round the sum to odd, so that
	// the second rounding is right.
	p := x * y
	s := p + z
	if math.IsNaN(s) || math.IsInf(s, 0) {
		return bitsOf(s, t)
	}
	u := s - p
	if e := (p - (s - u)) + (z - u); e != 0 && math.Float64bits(s)&1 == 0 {
		if (e > 0) == (s > 0) {
			s = math.Float64frombits(math.Float64bits(s) + 1)
		} else {
			s = math.Float64frombits(math.Float64bits(s) - 1)
		}
	}
	return bitsOf(s, t)
}

// quiet is the bits of a NaN with its quiet bit set.
func quiet(v Value, t ir.Type) Value {
	switch t.Lane() {
	case ir.F16:
		v.Lo |= 1 << 9
	case ir.F32:
		v.Lo |= 1 << 22
	default:
		v.Lo |= 1 << 51
	}
	return v
}

// floatOp runs floating-point operations, lane by lane.
func floatOp(d *ir.InstData, from, to ir.Type, in [3]Value) (Value, bool) {
	n := from.LaneBits()
	ok := true
	get := func(v Value, i int) float64 {
		x, fine := floatOf(v.lane(i, n), from)
		ok = ok && fine
		return x
	}
	unary := func(f func(float64) float64) (Value, bool) {
		r := each(to, func(i int) Value {
			x := get(in[0], i)
			if math.IsNaN(x) {
				return quiet(in[0].lane(i, n), from)
			}
			return bitsOf(f(x), to)
		})
		return r, ok
	}
	// binary yields the first operand that is NaN, made quiet.
	binary := func(f func(x, y float64) float64) (Value, bool) {
		r := each(to, func(i int) Value {
			x, y := get(in[0], i), get(in[1], i)
			switch {
			case math.IsNaN(x):
				return quiet(in[0].lane(i, n), from)
			case math.IsNaN(y):
				return quiet(in[1].lane(i, n), from)
			}
			v := f(x, y)
			if math.IsNaN(v) {
				return quiet(bitsOf(math.Inf(1), from), from)
			}
			return round32(v, to)
		})
		return r, ok
	}
	sign := word(1).shl(n - 1)
	switch d.Op {
	case ir.OpFneg:
		return each(to, func(i int) Value { x := in[0].lane(i, n); return Value{x.Lo ^ sign.Lo, x.Hi ^ sign.Hi} }), true
	case ir.OpFabs:
		return each(to, func(i int) Value { x := in[0].lane(i, n); return Value{x.Lo &^ sign.Lo, x.Hi &^ sign.Hi} }), true
	case ir.OpFcopysign:
		return each(to, func(i int) Value {
			x, y := in[0].lane(i, n), in[1].lane(i, n)
			return Value{x.Lo&^sign.Lo | y.Lo&sign.Lo, x.Hi&^sign.Hi | y.Hi&sign.Hi}
		}), true
	case ir.OpFadd:
		return binary(func(x, y float64) float64 { return x + y })
	case ir.OpFsub:
		return binary(func(x, y float64) float64 { return x - y })
	case ir.OpFmul:
		return binary(func(x, y float64) float64 { return x * y })
	case ir.OpFdiv:
		return binary(func(x, y float64) float64 { return x / y })
	case ir.OpFmin:
		return binary(math.Min)
	case ir.OpFmax:
		return binary(math.Max)
	case ir.OpSqrt:
		return unary(math.Sqrt)
	case ir.OpCeil:
		return unary(math.Ceil)
	case ir.OpFloor:
		return unary(math.Floor)
	case ir.OpTrunc:
		return unary(math.Trunc)
	case ir.OpNearest:
		return unary(math.RoundToEven)
	case ir.OpFma:
		r := each(to, func(i int) Value { return fma(get(in[0], i), get(in[1], i), get(in[2], i), to) })
		return r, ok
	case ir.OpFcmp:
		r := each(to, func(i int) Value {
			if !compareFloats(d.FloatCC(), get(in[0], i), get(in[1], i)) {
				return Value{}
			}
			if to.IsVector() {
				return Value{^uint64(0), ^uint64(0)}
			}
			return word(1)
		})
		return r, ok
	case ir.OpFpromote, ir.OpFdemote:
		if to == ir.F128 || from == ir.F128 {
			return Value{}, false
		}
		return bitsOf(get(in[0], 0), to), ok
	case ir.OpFvpromoteLow:
		r := each(to, func(i int) Value { return bitsOf(get(in[0], i), to) })
		return r, ok
	case ir.OpFvdemote:
		r := each(to, func(i int) Value {
			if i >= from.Lanes() {
				return Value{}
			}
			return bitsOf(get(in[0], i), to)
		})
		return r, ok
	case ir.OpFcvtToUintSat, ir.OpFcvtToSintSat:
		r := each(to, func(i int) Value { return toIntSat(get(in[0], i), to.LaneBits(), d.Op == ir.OpFcvtToSintSat) })
		return r, ok
	case ir.OpX86Cvtt2dq:
		r := each(to, func(i int) Value {
			x := math.Trunc(get(in[0], i))
			if lo, hi := intRange(to.LaneBits(), true); !(x >= lo && x < hi) {
				return word(1).shl(to.LaneBits() - 1)
			}
			return integer(x)
		})
		return r, ok
	case ir.OpFcvtFromUint, ir.OpFcvtFromSint:
		if to.LaneBits() != 32 && to.LaneBits() != 64 {
			return Value{}, false
		}
		return each(to, func(i int) Value { return fromInt(in[0].lane(i, n), n, d.Op == ir.OpFcvtFromSint, to) }), true
	}
	return Value{}, false
}
