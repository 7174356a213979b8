package opt

import (
	"math/bits"

	"github.com/davit-wasm/davit/codegen/ir"
)

// Known bits and spans.
//
// Of every scalar integer it is recorded which bits are always zero and which
// always one, found from the operands when the walk comes to the instruction: a
// byte that is loaded and extended has zeros at the top, an address that has been
// masked zeros at the bottom. What has all of its bits known is a constant. A
// mask that clears zeros, a sign extension of what has no sign, a signed division
// of two such numbers are found to be less than they seem.
//
// Bits hold wherever the value is. What a branch has decided holds only behind
// it: after `x < 10` the span of x is [0, 9], in the blocks that are dominated by the edge. Such
// facts are chained per value, latest first; as the walk goes over the dominator
// tree, a fact whose block does not dominate the one at hand will never be needed
// again and is dropped. The span of a value is found when a comparison asks for
// it, from its bits, its facts and, a few steps deep, the spans of its operands.

// knownBits are the bits of an integer of at most 64 bits that are known: always
// zero, always one. Those above its type are in neither.
type knownBits struct{ zero, one uint64 }

// span is the least and the greatest that a number may be, unsigned and signed.
type span struct {
	lo, hi   uint64
	slo, shi int64
}

// spanFact is what is known of a value in the blocks that block dominates.
type spanFact struct {
	span
	block ir.Block
	next  uint32 // index + 1 of the fact before, of the same value
}

// maxSpanDepth is how many instructions back a span is looked for.
const maxSpanDepth = 3

// narrow reports whether known bits are recorded of a type.
func narrow(t ir.Type) bool { return t >= ir.I8 && t <= ir.I64 }

// learnBits records what is known of the results of inst.
func (o *Optimizer) learnBits(inst ir.Inst) {
	f := o.f
	res := f.Results(inst)
	d := f.Inst(inst)
	switch d.Op {
	case ir.OpUaddOverflow, ir.OpSaddOverflow, ir.OpUsubOverflow, ir.OpSsubOverflow, ir.OpUmulOverflow, ir.OpSmulOverflow:
		o.bits[res[1]] = knownBits{zero: mask(ir.I8) &^ 1}
		return
	}
	if len(res) != 1 {
		return
	}
	if t := f.ValueType(res[0]); narrow(t) {
		o.bits[res[0]] = o.resultBits(inst, t)
	}
}

// below is what is known of a number of which only the low n bits may be set.
func below(t ir.Type, n int) knownBits {
	return knownBits{zero: mask(t) &^ (1<<n - 1)}
}

// resultBits is what is known of the result of inst, of type t.
func (o *Optimizer) resultBits(inst ir.Inst, t ir.Type) knownBits {
	f := o.f
	d := f.Inst(inst)
	m, n := mask(t), t.Bits()
	switch d.Op {
	case ir.OpIconst:
		return knownBits{^uint64(d.Imm) & m, uint64(d.Imm) & m}
	case ir.OpIcmp, ir.OpFcmp, ir.OpVanyTrue, ir.OpVallTrue:
		return below(t, 1)
	case ir.OpUload8:
		return below(t, 8)
	case ir.OpUload16:
		return below(t, 16)
	case ir.OpUload32:
		return below(t, 32)
	case ir.OpVhighBits:
		return below(t, f.ValueType(f.Args(inst)[0]).Lanes())
	}
	args := f.Args(inst)
	if len(args) == 0 || len(args) > 3 {
		return knownBits{}
	}
	for _, a := range args {
		if !narrow(f.ValueType(a)) {
			return knownBits{}
		}
	}
	var in [3]knownBits
	for i, a := range args {
		in[i] = o.bits[o.rep(a)]
	}
	x, y := in[0], in[1]
	from := f.ValueType(args[0])
	switch d.Op {
	case ir.OpUextend:
		x.zero |= m &^ mask(from)
		return x
	case ir.OpSextend:
		sign, top := uint64(1)<<(from.Bits()-1), m&^mask(from)
		if x.zero&sign != 0 {
			x.zero |= top
		} else if x.one&sign != 0 {
			x.one |= top
		}
		return x
	case ir.OpIreduce:
		return knownBits{x.zero & m, x.one & m}
	case ir.OpBand:
		return knownBits{x.zero | y.zero, x.one & y.one}
	case ir.OpBor:
		return knownBits{x.zero & y.zero, x.one | y.one}
	case ir.OpBxor:
		return knownBits{x.zero&y.zero | x.one&y.one, x.zero&y.one | x.one&y.zero}
	case ir.OpBnot:
		return knownBits{x.one, x.zero}
	case ir.OpBandNot:
		return knownBits{x.zero | y.one, x.one & y.zero}
	case ir.OpBorNot:
		return knownBits{x.zero & y.one, x.one | y.zero}
	case ir.OpIadd:
		return addBits(x, y, false, m)
	case ir.OpIsub:
		return addBits(x, knownBits{y.one, y.zero}, true, m)
	case ir.OpIneg:
		return addBits(knownBits{zero: m}, knownBits{x.one, x.zero}, true, m)
	case ir.OpImul:
		// Zeros at the bottom add up, and so do the lengths.
		low := bits.TrailingZeros64(^x.zero) + bits.TrailingZeros64(^y.zero)
		high := bits.Len64(^x.zero&m) + bits.Len64(^y.zero&m)
		var k knownBits
		if high < n {
			k = below(t, high)
		}
		k.zero |= (1<<min(low, n) - 1) & m
		return k
	case ir.OpUdiv:
		return below(t, bits.Len64(^x.zero&m))
	case ir.OpUrem:
		return below(t, min(bits.Len64(^x.zero&m), bits.Len64(^y.zero&m)))
	case ir.OpIshl, ir.OpUshr, ir.OpSshr, ir.OpRotl, ir.OpRotr:
		return o.shiftBits(d.Op, t, x, o.rep(args[1]))
	case ir.OpSelect, ir.OpSelectSpectreGuard:
		return knownBits{in[1].zero & in[2].zero, in[1].one & in[2].one}
	case ir.OpBitselect:
		return knownBits{(x.zero | y.zero) & (x.one | in[2].zero), (x.zero | y.one) & (x.one | in[2].one)}
	case ir.OpSmin, ir.OpSmax, ir.OpUmin, ir.OpUmax:
		k := knownBits{x.zero & y.zero, x.one & y.one}
		if d.Op == ir.OpUmin {
			k.zero |= below(t, min(bits.Len64(^x.zero&m), bits.Len64(^y.zero&m))).zero
		}
		return k
	case ir.OpClz, ir.OpCtz, ir.OpCls, ir.OpPopcnt:
		return below(t, bits.Len(uint(n)))
	case ir.OpBswap:
		return knownBits{bits.ReverseBytes64(x.zero) >> (64 - n), bits.ReverseBytes64(x.one) >> (64 - n)}
	case ir.OpBitrev:
		return knownBits{bits.Reverse64(x.zero) >> (64 - n), bits.Reverse64(x.one) >> (64 - n)}
	}
	return knownBits{}
}

// addBits is what is known of x + y, plus 1 with carry, under mask m. A bit of
// the sum is known where both bits and the carry into it are; the carries are
// between those of the least and of the greatest sum.
func addBits(x, y knownBits, carry bool, m uint64) knownBits {
	c := uint64(0)
	if carry {
		c = 1
	}
	most := ^x.zero&m + ^y.zero&m + c
	least := x.one + y.one + c
	noCarry := ^(most ^ x.zero ^ y.zero)
	carries := least ^ x.one ^ y.one
	k := (x.zero | x.one) & (y.zero | y.one) & (noCarry | carries) & m
	return knownBits{^most & k, least & k}
}

// shiftBits is what is known of x shifted or rotated by amount.
func (o *Optimizer) shiftBits(op ir.Opcode, t ir.Type, x knownBits, amount ir.Value) knownBits {
	m, n := mask(t), t.Bits()
	sign := uint64(1) << (n - 1)
	c, ok := o.constant(amount)
	if !ok { // zeros at the end that bits move away from stay
		switch {
		case op == ir.OpIshl:
			return knownBits{zero: (1<<min(bits.TrailingZeros64(^x.zero), n) - 1) & m}
		case op == ir.OpUshr || op == ir.OpSshr && x.zero&sign != 0:
			return below(t, bits.Len64(^x.zero&m))
		}
		return knownBits{}
	}
	k := int(c) & (n - 1)
	if k == 0 {
		return x
	}
	if op == ir.OpRotr {
		k = n - k
	}
	switch op {
	case ir.OpIshl:
		return knownBits{(x.zero<<k | (1<<k - 1)) & m, x.one << k & m}
	case ir.OpRotl, ir.OpRotr:
		rotate := func(x uint64) uint64 { return (x<<k | x>>(n-k)) & m }
		return knownBits{rotate(x.zero), rotate(x.one)}
	}
	top := m &^ (m >> k)
	r := knownBits{x.zero >> k, x.one >> k}
	if op == ir.OpUshr || x.zero&sign != 0 {
		r.zero |= top
	} else if x.one&sign != 0 {
		r.one |= top
	}
	return r
}

// maxBits bounds the number of low bits of v that may be set.
func (o *Optimizer) maxBits(v ir.Value) int {
	t := o.f.ValueType(v)
	if !narrow(t) {
		return t.Bits()
	}
	return bits.Len64(^o.bits[v].zero & mask(t))
}

// ---- Spans

// signed is x as a signed number of type t.
func signed(t ir.Type, x uint64) int64 {
	shift := 64 - t.Bits()
	return int64(x<<shift) >> shift
}

// fullSpan is that of a type.
func fullSpan(t ir.Type) span {
	m := mask(t)
	return span{0, m, signed(t, m>>1+1), int64(m >> 1)}
}

// agree takes into each half of a span what follows from the other.
func (s span) agree(t ir.Type) span {
	m := mask(t)
	switch {
	case s.hi <= m>>1:
		s.slo, s.shi = max(s.slo, int64(s.lo)), min(s.shi, int64(s.hi))
	case s.lo > m>>1:
		s.slo, s.shi = max(s.slo, signed(t, s.lo)), min(s.shi, signed(t, s.hi))
	}
	switch {
	case s.slo >= 0:
		s.lo, s.hi = max(s.lo, uint64(s.slo)), min(s.hi, uint64(s.shi))
	case s.shi < 0:
		s.lo, s.hi = max(s.lo, uint64(s.slo)&m), min(s.hi, uint64(s.shi)&m)
	}
	return s
}

// meet is what is in both spans.
func (s span) meet(u span) span {
	return span{max(s.lo, u.lo), min(s.hi, u.hi), max(s.slo, u.slo), min(s.shi, u.shi)}
}

// empty reports whether there is no such number: no way leads here.
func (s span) empty() bool { return s.lo > s.hi || s.slo > s.shi }

// spanOf is the span of v in the block at hand. That of other values than
// integers of at most 64 bits is that of 64 bits.
func (o *Optimizer) spanOf(v ir.Value) span { return o.spanWithin(v, maxSpanDepth) }

func (o *Optimizer) spanWithin(v ir.Value, depth int) span {
	f := o.f
	t := f.ValueType(v)
	if !narrow(t) {
		return fullSpan(ir.I64)
	}
	m := mask(t)
	k := o.bits[v]
	sign := m>>1 + 1
	s := span{k.one, ^k.zero & m, signed(t, k.one|sign&^k.zero), int64(^k.zero & m &^ sign)}
	if k.one&sign != 0 {
		s.shi = signed(t, ^k.zero&m)
	}
	if fact := o.spanFact(v); fact != nil {
		s = s.meet(fact.span)
	}
	if inst, _ := f.ValueInst(v); inst != ir.NoInst && depth > 0 {
		s = s.meet(o.spanOfResult(inst, t, depth))
	}
	if s = s.agree(t); s.empty() {
		return fullSpan(t)
	}
	return s
}

// spanOfResult is the span of an instruction's result by those of its operands.
func (o *Optimizer) spanOfResult(inst ir.Inst, t ir.Type, depth int) span {
	f := o.f
	full := fullSpan(t)
	d := f.Inst(inst)
	args := f.Args(inst)
	arg := func(i int) span { return o.spanWithin(o.rep(args[i]), depth-1) }
	switch d.Op {
	case ir.OpUextend:
		if narrow(f.ValueType(args[0])) {
			x := arg(0)
			return span{x.lo, x.hi, int64(x.lo), int64(x.hi)}
		}
	case ir.OpSextend:
		if narrow(f.ValueType(args[0])) {
			x := arg(0)
			full.slo, full.shi = x.slo, x.shi
		}
	case ir.OpIreduce:
		if narrow(f.ValueType(args[0])) {
			if x := arg(0); x.hi <= full.hi {
				full.lo, full.hi = x.lo, x.hi
			} else if x.slo >= full.slo && x.shi <= full.shi {
				full.slo, full.shi = x.slo, x.shi
			}
		}
	case ir.OpIadd:
		if k, ok := o.constant(o.rep(args[1])); ok {
			return arg(0).plus(t, k)
		}
	case ir.OpBand:
		full.hi = min(arg(0).hi, arg(1).hi)
	case ir.OpUshr:
		if k, ok := o.constant(o.rep(args[1])); ok {
			x := arg(0)
			k &= uint64(t.Bits() - 1)
			full.lo, full.hi = x.lo>>k, x.hi>>k
		}
	case ir.OpSshr:
		if k, ok := o.constant(o.rep(args[1])); ok {
			x := arg(0)
			k &= uint64(t.Bits() - 1)
			full.slo, full.shi = x.slo>>k, x.shi>>k
		}
	case ir.OpUrem:
		if y := arg(1); y.hi > 0 {
			full.hi = min(arg(0).hi, y.hi-1)
		}
	case ir.OpUdiv:
		if x, y := arg(0), arg(1); y.lo > 0 {
			full.lo, full.hi = x.lo/y.hi, x.hi/y.lo
		}
	case ir.OpSelect:
		x, y := arg(1), arg(2)
		return span{min(x.lo, y.lo), max(x.hi, y.hi), min(x.slo, y.slo), max(x.shi, y.shi)}
	case ir.OpUmin:
		x, y := arg(0), arg(1)
		full.lo, full.hi = min(x.lo, y.lo), min(x.hi, y.hi)
	case ir.OpUmax:
		x, y := arg(0), arg(1)
		full.lo, full.hi = max(x.lo, y.lo), max(x.hi, y.hi)
	case ir.OpSmin:
		x, y := arg(0), arg(1)
		full.slo, full.shi = min(x.slo, y.slo), min(x.shi, y.shi)
	case ir.OpSmax:
		x, y := arg(0), arg(1)
		full.slo, full.shi = max(x.slo, y.slo), max(x.shi, y.shi)
	}
	return full
}

// plus is the span of a number plus k: where both ends wrap round, or none does.
func (s span) plus(t ir.Type, k uint64) span {
	r := fullSpan(t)
	if lo, hi := (s.lo+k)&r.hi, (s.hi+k)&r.hi; lo <= hi && (hi-lo) == s.hi-s.lo {
		r.lo, r.hi = lo, hi
	}
	if lo, hi := signed(t, uint64(s.slo)+k), signed(t, uint64(s.shi)+k); lo <= hi && uint64(hi-lo) == uint64(s.shi-s.slo) {
		r.slo, r.shi = lo, hi
	}
	return r
}

// spanFact is the latest fact of v that holds in the block at hand.
func (o *Optimizer) spanFact(v ir.Value) *spanFact {
	f := &o.facts[v]
	for f.span != 0 {
		s := &o.spans[f.span-1]
		if o.dom.Dominates(s.block, o.block) {
			return s
		}
		f.span = s.next
	}
	return nil
}

// learnSpan records that v is in s from here on.
func (o *Optimizer) learnSpan(v ir.Value, s span) {
	t := o.f.ValueType(v)
	if o.isConst(v) {
		return
	}
	before := o.spanFact(v)
	if before != nil {
		s = s.meet(before.span)
	}
	if s = s.agree(t); s.empty() || s == fullSpan(t) || before != nil && s == before.span {
		return
	}
	o.spans = append(o.spans, spanFact{s, o.block, o.facts[v].span})
	o.facts[v].span = uint32(len(o.spans))
}

// learnCondition records what follows from v's being zero, or not, for what v has
// been computed from.
func (o *Optimizer) learnCondition(v ir.Value, zero bool, depth int) {
	f := o.f
	if depth == 0 {
		return
	}
	for w, next, ok := o.defInst(v, 0); ok; w, next, ok = o.defInst(v, next) {
		inst, _ := f.ValueInst(w)
		d := f.Inst(inst)
		args := f.Args(inst)
		switch {
		case d.Op == ir.OpIcmp:
			x, y := o.rep(args[0]), o.rep(args[1])
			if !narrow(f.ValueType(x)) {
				continue
			}
			cc := d.IntCC()
			if zero {
				cc = cc.Inverse()
			}
			o.learnCompare(cc, x, y)
			o.learnCompare(cc.Swap(), y, x)
		case d.Op == ir.OpBand && !zero && f.ValueType(w) == ir.I8 || d.Op == ir.OpBor && zero:
			for _, a := range args {
				if a = o.rep(a); zero || o.boolean(a) {
					o.learn(a, zero)
					o.learnCondition(a, zero, depth-1)
				}
			}
		case d.Op == ir.OpUextend:
			o.learn(o.rep(args[0]), zero)
			o.learnCondition(o.rep(args[0]), zero, depth-1)
		}
	}
	if t := f.ValueType(v); narrow(t) && !zero {
		s := fullSpan(t)
		s.lo = 1
		o.learnSpan(v, s)
	}
}

// learnCompare records what x must be for `x cc y` to hold.
func (o *Optimizer) learnCompare(cc ir.IntCC, x, y ir.Value) {
	t := o.f.ValueType(x)
	s, b := fullSpan(t), o.spanOf(y)
	switch cc {
	case ir.Equal:
		s = b
	case ir.NotEqual:
		if a := o.spanOf(x); b.lo == b.hi { // only an end can be cut off
			if a.lo == b.lo && a.lo < a.hi {
				s.lo = a.lo + 1
			}
			if a.hi == b.lo && a.lo < a.hi {
				s.hi = a.hi - 1
			}
			if a.slo == b.slo && a.slo < a.shi {
				s.slo = a.slo + 1
			}
			if a.shi == b.slo && a.slo < a.shi {
				s.shi = a.shi - 1
			}
		}
	case ir.UnsignedLessThan:
		if b.hi > 0 {
			s.hi = b.hi - 1
		}
	case ir.UnsignedLessThanOrEqual:
		s.hi = b.hi
	case ir.UnsignedGreaterThan:
		if b.lo < s.hi {
			s.lo = b.lo + 1
		}
	case ir.UnsignedGreaterThanOrEqual:
		s.lo = b.lo
	case ir.SignedLessThan:
		if b.shi > s.slo {
			s.shi = b.shi - 1
		}
	case ir.SignedLessThanOrEqual:
		s.shi = b.shi
	case ir.SignedGreaterThan:
		if b.slo < s.shi {
			s.slo = b.slo + 1
		}
	case ir.SignedGreaterThanOrEqual:
		s.slo = b.slo
	}
	o.learnSpan(x, s)
	// What x has been made of is bounded too.
	for range maxSpanDepth {
		inst, _ := o.f.ValueInst(x)
		if inst == ir.NoInst {
			return
		}
		args := o.f.Args(inst)
		switch o.f.Inst(inst).Op {
		case ir.OpUextend:
			x = o.rep(args[0])
			if t = o.f.ValueType(x); !narrow(t) {
				return
			}
			full := fullSpan(t)
			s = s.agree(o.f.ValueType(o.f.Result(inst)))
			s = span{s.lo, min(s.hi, full.hi), full.slo, full.shi}
		case ir.OpSextend:
			x = o.rep(args[0])
			if t = o.f.ValueType(x); !narrow(t) {
				return
			}
			full := fullSpan(t)
			s = s.agree(o.f.ValueType(o.f.Result(inst)))
			s = span{full.lo, full.hi, max(s.slo, full.slo), min(s.shi, full.shi)}
		case ir.OpIadd:
			k, ok := o.constant(o.rep(args[1]))
			if !ok {
				return
			}
			x = o.rep(args[0])
			s = s.plus(t, -k&mask(t))
		default:
			return
		}
		if s.empty() {
			return
		}
		o.learnSpan(x, s)
	}
}

// decide is what a comparison yields, if the spans of its operands tell.
func (o *Optimizer) decide(cc ir.IntCC, x, y ir.Value) (holds, ok bool) {
	a, b := o.spanOf(x), o.spanOf(y)
	switch cc {
	case ir.Equal, ir.NotEqual:
		if a.hi < b.lo || b.hi < a.lo || a.shi < b.slo || b.shi < a.slo {
			return cc == ir.NotEqual, true
		}
		k, l := o.bits[x], o.bits[y]
		if k.zero&l.one|k.one&l.zero != 0 {
			return cc == ir.NotEqual, true
		}
		return cc == ir.Equal, a.lo == a.hi && a.lo == b.lo && b.lo == b.hi
	case ir.UnsignedLessThan, ir.UnsignedGreaterThanOrEqual:
		return (a.hi < b.lo) == (cc == ir.UnsignedLessThan), a.hi < b.lo || b.hi <= a.lo
	case ir.UnsignedGreaterThan, ir.UnsignedLessThanOrEqual:
		return (b.hi < a.lo) == (cc == ir.UnsignedGreaterThan), b.hi < a.lo || a.hi <= b.lo
	case ir.SignedLessThan, ir.SignedGreaterThanOrEqual:
		return (a.shi < b.slo) == (cc == ir.SignedLessThan), a.shi < b.slo || b.shi <= a.slo
	case ir.SignedGreaterThan, ir.SignedLessThanOrEqual:
		return (b.shi < a.slo) == (cc == ir.SignedGreaterThan), b.shi < a.slo || a.shi <= b.slo
	}
	return false, false
}
