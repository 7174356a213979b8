package opt

import (
	"math/bits"

	"github.com/davit-wasm/davit/codegen/ir"
)

// Division by a constant is multiplication with its reciprocal, scaled by a
// power of two and rounded up, of which the high part is the quotient (T.
// Granlund and P. Montgomery, "Division by Invariant Integers using
// Multiplication", PLDI 1994).

// divisor and signedDivisor match constants that such a division is made for.
func (o *Optimizer) divisor(v ir.Value) bool {
	k, ok := o.constant(v)
	return ok && k > 1 && k&(k-1) != 0
}

func (o *Optimizer) signedDivisor(v ir.Value) bool {
	k, ok := o.sconst(v)
	return ok && (k > 1 || k < -1)
}

// unsignedQuotient is x / k for k neither 0, 1 nor a power of two, in n bits.
//
// With l = ⌈log2 k⌉ the multiplier m = ⌊2^(n+l) / k⌋ + 1 is exact for all x < 2^n. It has n+1 bits; the top
// bit is always set. If k is even, its trailing zeros can be shifted out of x
// first, and a shorter multiplier does for what is left of x. Otherwise
// the product with the top bit is added by hand, halved so as not to
// overflow: (x - h)/2 + h, with h the high part of the product without it.
func (o *Optimizer) unsignedQuotient(t ir.Type, x ir.Value, k uint64) ir.Value {
	n := uint(t.Bits())
	// Is a multiplier of n bits enough? The least shift s for which
	// m = ⌈2^(n+s) / k⌉ has an error m·k - 2^(n+s) of at most 2^s is. If x is known
	// to be shorter than its type there is room for more.
	slack := n - uint(o.maxBits(x))
	pre := uint(0)
	for {
		d := k >> pre
		l := uint(bits.Len64(d - 1))
		for s := uint(0); s <= l; s++ {
			m, e, ok := reciprocal(n, s, d)
			// x < 2^(n-pre) leaves room for an error that much greater.
			if room := s + pre + slack; !ok || room < 64 && e > 1<<room {
				continue
			}
			return o.shiftRight(o.highProduct(t, o.shiftRight(x, pre), m), s)
		}
		if k>>pre&1 == 0 && pre == 0 {
			pre = uint(bits.TrailingZeros64(k))
			continue
		}
		break
	}
	l := uint(bits.Len64(k - 1))
	m := addReciprocal(n, l, k)
	h := o.highProduct(t, x, m)
	return o.shiftRight(o.makeIadd(o.shiftRight(o.makeIsub(x, h), 1), h), l-1)
}

// reciprocal is m = ⌈2^(n+s) / d⌉ and e = m·d - 2^(n+s); ok is false if m has
// more than n bits.
func reciprocal(n, s uint, d uint64) (m, e uint64, ok bool) {
	var hi, lo uint64 // 2^(n+s)
	if n+s >= 64 {
		hi = 1 << (n + s - 64)
	} else {
		lo = 1 << (n + s)
	}
	if hi >= d {
		return 0, 0, false
	}
	m, r := bits.Div64(hi, lo, d)
	if r != 0 {
		m++
		e = d - r
	}
	return m, e, m != 0 && (n == 64 || m>>n == 0)
}

// addReciprocal is ⌊2^(n+l) / k⌋ + 1 without its bit n.
func addReciprocal(n, l uint, k uint64) uint64 {
	// 2^(n+l) - 2^n·k is what is left when bit n is taken away.
	if n == 64 {
		q, _ := bits.Div64(1<<l-k, 0, k) // l = 64 makes 1<<l zero, as it should
		return q + 1
	}
	return (1<<n)*(1<<l-k)/k + 1
}

// highProduct is the upper half of the product of x and m.
func (o *Optimizer) highProduct(t ir.Type, x ir.Value, m uint64) ir.Value {
	if t == ir.I32 {
		p := o.makeImul(o.makeUextend(ir.I64, x), o.makeConst(ir.I64, m))
		return o.makeIreduce(ir.I32, o.shiftRight(p, 32))
	}
	return o.makeUmulhi(x, o.makeConst(t, m))
}

func (o *Optimizer) shiftRight(x ir.Value, n uint) ir.Value {
	if n == 0 {
		return x
	}
	return o.makeUshr(x, o.makeConst(ir.I32, uint64(n)))
}

func (o *Optimizer) shiftSigned(x ir.Value, n uint) ir.Value {
	if n == 0 {
		return x
	}
	return o.makeSshr(x, o.makeConst(ir.I32, uint64(n)))
}

// signedQuotient is x / k, rounded towards zero, for k none of 0, 1 and -1.
func (o *Optimizer) signedQuotient(t ir.Type, x ir.Value, k int64) ir.Value {
	n := uint(t.Bits())
	d := uint64(k)
	if k < 0 {
		d = -d & mask(t)
	}
	var q ir.Value
	if d&(d-1) == 0 {
		// A power of two: a shift, after adding d-1 to negative numbers.
		s := uint(bits.TrailingZeros64(d))
		bias := o.shiftRight(o.shiftSigned(x, s-1), n-s)
		q = o.shiftSigned(o.makeIadd(x, bias), s)
	} else {
		// m = ⌊2^(n-1+l) / d⌋ + 1 has n bits; as a signed number it is 2^n too small, so that x is
		// added to the product. One is added to the quotients of negative numbers.
		l := uint(bits.Len64(d - 1))
		var m uint64
		if n == 64 {
			m, _ = bits.Div64(1<<(l-1), 0, d)
		} else {
			m = (1 << (n - 1 + l)) / d
		}
		m++
		sm := int64(m<<(64-n)) >> (64 - n)
		if t == ir.I32 {
			p := o.makeImul(o.makeSextend(ir.I64, x), o.makeConst(ir.I64, uint64(sm)))
			q = o.makeIreduce(ir.I32, o.shiftSigned(p, 32))
		} else {
			q = o.makeSmulhi(x, o.makeConst(t, m))
		}
		if sm < 0 {
			q = o.makeIadd(q, x)
		}
		q = o.shiftSigned(q, l-1)
		if k < 0 { // -(q + sign), where -sign is all ones or none
			return o.makeIsub(o.shiftSigned(x, n-1), q)
		}
		return o.makeIadd(q, o.shiftRight(x, n-1))
	}
	if k < 0 {
		q = o.makeIneg(q)
	}
	return q
}
