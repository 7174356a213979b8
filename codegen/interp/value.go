package interp

import (
	"math/big"
	"math/bits"

	"github.com/davit-wasm/davit/codegen/ir"
)

// Value is the bits of a value of at most 128 bits. The bits above its type's
// width are zero. Lane 0 of a vector is in the low bits.
type Value struct{ Lo, Hi uint64 }

// Bool is the value of a comparison of scalars.
func boolean(b bool) Value {
	if b {
		return Value{Lo: 1}
	}
	return Value{}
}

func word(x uint64) Value { return Value{Lo: x} }

// mask keeps the low n bits.
func (v Value) mask(n int) Value {
	switch {
	case n < 64:
		return Value{Lo: v.Lo & (1<<n - 1)}
	case n == 64:
		return Value{Lo: v.Lo}
	case n < 128:
		return Value{v.Lo, v.Hi & (1<<(n-64) - 1)}
	}
	return v
}

func (v Value) zero() bool { return v.Lo|v.Hi == 0 }

func (v Value) shl(n int) Value {
	switch {
	case n >= 128:
		return Value{}
	case n >= 64:
		return Value{0, v.Lo << (n - 64)}
	case n == 0:
		return v
	}
	return Value{v.Lo << n, v.Hi<<n | v.Lo>>(64-n)}
}

func (v Value) shr(n int) Value {
	switch {
	case n >= 128:
		return Value{}
	case n >= 64:
		return Value{Lo: v.Hi >> (n - 64)}
	case n == 0:
		return v
	}
	return Value{v.Lo>>n | v.Hi<<(64-n), v.Hi >> n}
}

// sext extends the sign of a number of n bits to 128.
func (v Value) sext(n int) Value {
	if n >= 128 {
		return v
	}
	v = v.shl(128 - n)
	return v.sar(128 - n)
}

// sar shifts right, filling with bit 127.
func (v Value) sar(n int) Value {
	sign := uint64(int64(v.Hi) >> 63)
	r := v.shr(n)
	if n > 0 && sign != 0 {
		f := Value{^uint64(0), ^uint64(0)}.shl(128 - n)
		r.Lo |= f.Lo
		r.Hi |= f.Hi
	}
	return r
}

func (v Value) add(w Value) Value {
	lo, c := bits.Add64(v.Lo, w.Lo, 0)
	hi, _ := bits.Add64(v.Hi, w.Hi, c)
	return Value{lo, hi}
}

func (v Value) sub(w Value) Value {
	lo, c := bits.Sub64(v.Lo, w.Lo, 0)
	hi, _ := bits.Sub64(v.Hi, w.Hi, c)
	return Value{lo, hi}
}

func (v Value) mul(w Value) Value {
	hi, lo := bits.Mul64(v.Lo, w.Lo)
	return Value{lo, hi + v.Lo*w.Hi + v.Hi*w.Lo}
}

func (v Value) not() Value { return Value{^v.Lo, ^v.Hi} }
func (v Value) neg() Value { return Value{}.sub(v) }

// ult compares as unsigned numbers, slt as signed ones of 128 bits.
func (v Value) ult(w Value) bool { return v.Hi < w.Hi || v.Hi == w.Hi && v.Lo < w.Lo }
func (v Value) slt(w Value) bool {
	return int64(v.Hi) < int64(w.Hi) || v.Hi == w.Hi && v.Lo < w.Lo
}

func (v Value) clz(n int) int {
	l := bits.Len64(v.Lo)
	if v.Hi != 0 {
		l = 64 + bits.Len64(v.Hi)
	}
	return n - l
}

func (v Value) ctz(n int) int {
	switch {
	case v.Lo != 0:
		return bits.TrailingZeros64(v.Lo)
	case v.Hi != 0:
		return 64 + bits.TrailingZeros64(v.Hi)
	}
	return n
}

// big is the value as a number, signed if it is of n bits and signed is set.
func (v Value) big(n int, signed bool) *big.Int {
	x := new(big.Int).SetUint64(v.Hi)
	x.Lsh(x, 64).Or(x, new(big.Int).SetUint64(v.Lo))
	if signed && v.shr(n-1).Lo&1 != 0 {
		x.Sub(x, new(big.Int).Lsh(big.NewInt(1), uint(n)))
	}
	return x
}

// fromBig is the low 128 bits of x in two's complement.
func fromBig(x *big.Int) Value {
	m := new(big.Int).And(x, new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 128), big.NewInt(1)))
	lo := new(big.Int).And(m, new(big.Int).SetUint64(^uint64(0)))
	return Value{lo.Uint64(), m.Rsh(m, 64).Uint64()}
}

// udivmod divides unsigned numbers; w is not zero.
func (v Value) udivmod(w Value) (q, r Value) {
	if v.Hi|w.Hi == 0 {
		return word(v.Lo / w.Lo), word(v.Lo % w.Lo)
	}
	if w.Hi == 0 {
		hi, rem := v.Hi/w.Lo, v.Hi%w.Lo
		lo, rem := bits.Div64(rem, v.Lo, w.Lo)
		return Value{lo, hi}, word(rem)
	}
	bq, br := new(big.Int).QuoRem(v.big(128, false), w.big(128, false), new(big.Int))
	return fromBig(bq), fromBig(br)
}

// sdivmod divides signed numbers of 128 bits towards zero; w is not zero.
func (v Value) sdivmod(w Value) (q, r Value) {
	a, b := v, w
	if int64(v.Hi) < 0 {
		a = v.neg()
	}
	if int64(w.Hi) < 0 {
		b = w.neg()
	}
	q, r = a.udivmod(b)
	if int64(v.Hi^w.Hi) < 0 {
		q = q.neg()
	}
	if int64(v.Hi) < 0 {
		r = r.neg()
	}
	return q, r
}

// lane is lane i of width n.
func (v Value) lane(i, n int) Value { return v.shr(i * n).mask(n) }

// withLane is v with lane i of width n replaced.
func (v Value) withLane(i, n int, x Value) Value {
	keep := Value{^uint64(0), ^uint64(0)}.mask(n).shl(i * n).not()
	x = x.mask(n).shl(i * n)
	return Value{v.Lo&keep.Lo | x.Lo, v.Hi&keep.Hi | x.Hi}
}

// each makes a vector of type t, or a scalar, from its lanes.
func each(t ir.Type, f func(i int) Value) (v Value) {
	n := t.LaneBits()
	for i := range t.Lanes() {
		v = v.withLane(i, n, f(i))
	}
	return v
}

// Evaluate is the result of an instruction that depends on nothing but its
// operands, whose values are args: what constant folding needs. from is the type
// of the first operand, to that of the only result. ok is false for other
// instructions, and for types wider than 128 bits.
func Evaluate(f *ir.Function, d *ir.InstData, from, to ir.Type, args [3]Value) (v Value, ok bool) {
	if from.Bits() > 128 || to.Bits() > 128 || from.IsDynamic() || to.IsDynamic() {
		return Value{}, false
	}
	if v, ok = pure(f, d, from, to, args); ok {
		v = v.mask(to.Bits())
	}
	return v, ok
}
