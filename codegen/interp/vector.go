package interp

import "github.com/davit-wasm/davit/codegen/ir"

// reverse reverses the lanes of a vector.
func reverse(v Value, t ir.Type) Value {
	n, k := t.LaneBits(), t.Lanes()
	return each(t, func(i int) Value { return v.lane(k-1-i, n) })
}

// vectorOp runs operations that move lanes, and bitcasts.
func vectorOp(f *ir.Function, d *ir.InstData, from, to ir.Type, in [3]Value) (Value, bool) {
	n, lanes := from.LaneBits(), from.Lanes()
	ones := Value{^uint64(0), ^uint64(0)}
	switch d.Op {
	case ir.OpBitcast:
		if d.Flags&ir.MemBig != 0 && from.Lanes() != to.Lanes() {
			return reverse(reverse(in[0], from), to), true
		}
		return in[0], true
	case ir.OpScalarToVector:
		return in[0], true
	case ir.OpSplat:
		return each(to, func(int) Value { return in[0] }), true
	case ir.OpInsertlane:
		return in[0].withLane(int(d.Imm), n, in[1]), true
	case ir.OpExtractlane:
		return in[0].lane(int(d.Imm), n), true
	case ir.OpVanyTrue:
		return boolean(!in[0].zero()), true
	case ir.OpVallTrue:
		all := true
		for i := range lanes {
			all = all && !in[0].lane(i, n).zero()
		}
		return boolean(all), true
	case ir.OpVhighBits:
		var r Value
		for i := range lanes {
			r = or(r, in[0].lane(i, n).shr(n-1).shl(i))
		}
		return r, true
	case ir.OpBlendv:
		return each(to, func(i int) Value {
			if in[0].lane(i, n).shr(n - 1).zero() {
				return in[2].lane(i, n)
			}
			return in[1].lane(i, n)
		}), true
	case ir.OpShuffle:
		mask := f.Constant(ir.Constant(d.Ref))
		return each(to, func(i int) Value {
			switch k := int(mask[i]); {
			case k < 16:
				return in[0].lane(k, 8)
			case k < 32:
				return in[1].lane(k-16, 8)
			}
			return Value{}
		}), true
	case ir.OpSwizzle, ir.OpX86Pshufb:
		return each(to, func(i int) Value {
			k := int(in[1].lane(i, 8).Lo)
			if d.Op == ir.OpX86Pshufb && k < 128 {
				k &= 15
			}
			if k >= 16 {
				return Value{}
			}
			return in[0].lane(k, 8)
		}), true
	case ir.OpSnarrow, ir.OpUnarrow, ir.OpUunarrow:
		half := to.LaneBits()
		return each(to, func(i int) Value {
			x := in[0].lane(i%lanes, n)
			if i >= lanes {
				x = in[1].lane(i-lanes, n)
			}
			if d.Op == ir.OpUunarrow {
				if top := ones.mask(half); top.ult(x) {
					return top
				}
				return x
			}
			x = x.sext(n)
			lo, hi := word(1).shl(half-1).sext(half), word(1).shl(half-1).sub(word(1))
			if d.Op == ir.OpUnarrow {
				lo, hi = Value{}, ones.mask(half)
			}
			switch {
			case x.slt(lo):
				return lo
			case hi.slt(x):
				return hi
			}
			return x
		}), true
	case ir.OpSwidenLow, ir.OpUwidenLow, ir.OpSwidenHigh, ir.OpUwidenHigh:
		return each(to, func(i int) Value {
			if d.Op == ir.OpSwidenHigh || d.Op == ir.OpUwidenHigh {
				i += lanes / 2
			}
			x := in[0].lane(i, n)
			if d.Op == ir.OpSwidenLow || d.Op == ir.OpSwidenHigh {
				x = x.sext(n)
			}
			return x
		}), true
	case ir.OpIaddPairwise:
		return each(to, func(i int) Value {
			v := in[0]
			if i >= lanes/2 {
				v, i = in[1], i-lanes/2
			}
			return v.lane(2*i, n).add(v.lane(2*i+1, n))
		}), true
	case ir.OpX86Pmaddubsw:
		return each(to, func(i int) Value {
			product := func(k int) Value { return in[0].lane(k, 8).sext(8).mul(in[1].lane(k, 8)) }
			s := product(2 * i).add(product(2*i + 1))
			switch lo, hi := word(0x8000).sext(16), word(0x7fff); {
			case s.slt(lo):
				return lo
			case hi.slt(s):
				return hi
			}
			return s
		}), true
	}
	return Value{}, false
}
