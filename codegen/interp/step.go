package interp

import (
	"fmt"
	"math"
	"math/bits"

	"github.com/davit-wasm/davit/codegen/ir"
)

// resultType is the type of the first result of inst, or Invalid.
func resultType(f *ir.Function, inst ir.Inst) ir.Type {
	if r := f.Result(inst); r != ir.NoValue {
		return f.ValueType(r)
	}
	return ir.Invalid
}

// step runs one instruction that is neither branch nor call.
func (m *Machine) step(fr *frame, inst ir.Inst, d *ir.InstData) error {
	f := fr.f
	var in [3]Value
	args := f.Args(inst)
	for i := range min(len(args), len(in)) {
		t := f.ValueType(f.Resolve(args[i]))
		if t.Bits() > 128 || t.IsDynamic() {
			return m.fail(inst, fmt.Errorf("operand of type %v: %w", t, ErrUnsupported))
		}
		in[i] = m.get(fr, args[i])
	}
	to := resultType(f, inst)
	if to.Bits() > 128 || to.IsDynamic() {
		return m.fail(inst, fmt.Errorf("result of type %v: %w", to, ErrUnsupported))
	}
	from := ir.Invalid
	if len(args) > 0 {
		from = f.ValueType(f.Resolve(args[0]))
	}
	var r, second Value
	var err error
	flags := d.Op.Flags()
	switch d.Op {
	case ir.OpAtomicRmw, ir.OpAtomicCas:
		r, err = m.atomic(fr, inst, d)
	case ir.OpTrapz, ir.OpTrapnz:
		if in[0].zero() == (d.Op == ir.OpTrapz) {
			err = m.trap(inst, d.Trap)
		}
	case ir.OpNop, ir.OpFence, ir.OpSequencePoint, ir.OpDebugtrap:
	case ir.OpIconst, ir.OpF16const, ir.OpF32const, ir.OpF64const:
		r = word(uint64(d.Imm))
	case ir.OpF128const, ir.OpVconst:
		r = fromBytes(f.Constant(ir.Constant(d.Ref)))
	case ir.OpStackAddr:
		r = word(fr.slots[d.Ref] + uint64(d.Imm))
	case ir.OpFuncAddr:
		e := &f.ExtFuncs[d.Ref]
		r = word(funcAddress(m.find(e.Name, &f.Sigs[e.Sig])))
	case ir.OpSymbolValue:
		r, err = m.global(fr, inst, ir.GlobalValue(d.Ref))
	case ir.OpGetPinnedReg:
		r = m.pinned
	case ir.OpSetPinnedReg:
		m.pinned = in[0]
	case ir.OpGetFramePointer, ir.OpGetStackPointer:
		r = word(fr.sp)
	case ir.OpGetReturnAddress:
		r = word(codeBase - 16)
	case ir.OpGetCallReturnAddress:
		if r = word(m.CallReturnAddress); m.CallReturnAddress == 0 {
			err = m.fail(inst, ErrUnsupported)
		}
	case ir.OpX86RepMovsb:
		err = m.copyBytes(inst, d, in[0], in[1], in[2])
	case ir.OpUaddOverflowTrap:
		n := to.Bits()
		sum := in[0].add(in[1])
		r = sum.mask(n)
		if r != sum || r.ult(in[0]) {
			err = m.trap(inst, d.Trap)
		}
	case ir.OpUdiv, ir.OpUrem, ir.OpSdiv, ir.OpSrem:
		r, err = m.divide(inst, d.Op, to.Bits(), in[0], in[1])
	case ir.OpFcvtToUint, ir.OpFcvtToSint:
		r, err = m.toInt(inst, d.Op == ir.OpFcvtToSint, from, to, in[0])
	default:
		switch {
		case flags&(ir.FlagLoad|ir.FlagStore) != 0 && flags&ir.FlagCall == 0:
			r, err = m.loadStore(fr, inst, d)
		case len(f.Results(inst)) == 2:
			var ok bool
			if r, second, ok = twoResults(d.Op, from, in); !ok {
				err = m.fail(inst, ErrUnsupported)
			}
		default:
			var ok bool
			if r, ok = pure(f, d, from, to, in); !ok {
				err = m.fail(inst, ErrUnsupported)
			}
		}
	}
	if err != nil {
		return err
	}
	res := f.Results(inst)
	if len(res) > 0 {
		m.set(fr, res[0], r.mask(f.ValueType(res[0]).Bits()))
	}
	if len(res) > 1 {
		m.set(fr, res[1], second.mask(f.ValueType(res[1]).Bits()))
	}
	return nil
}

func fromBytes(b []byte) (v Value) {
	for i, x := range b {
		if i < 8 {
			v.Lo |= uint64(x) << (8 * i)
		} else if i < 16 {
			v.Hi |= uint64(x) << (8 * (i - 8))
		}
	}
	return v
}

// global is the value of a global value. Chains of them are short, and have no
// cycles.
func (m *Machine) global(fr *frame, inst ir.Inst, g ir.GlobalValue) (Value, error) {
	f := fr.f
	var path []*ir.GlobalData
	for {
		d := &f.Globals[g]
		path = append(path, d)
		if d.Kind != ir.GlobalLoad && d.Kind != ir.GlobalIAddImm {
			break
		}
		if len(path) > len(f.Globals) {
			return Value{}, m.fail(inst, fmt.Errorf("%v is its own base", g))
		}
		g = d.Base
	}
	var v Value
	for i := len(path) - 1; i >= 0; i-- {
		switch d := path[i]; d.Kind {
		case ir.GlobalVMContext:
			for k, p := range f.Sig.Params {
				if p.Purpose == ir.VMContext {
					v = m.get(fr, f.Params(f.Entry())[k])
				}
			}
		case ir.GlobalSymbol:
			i, ok := m.names[d.Name]
			if !ok {
				return v, m.fail(inst, fmt.Errorf("symbol %v: %w", d.Name, ErrUndefined))
			}
			v = word(funcAddress(i) + uint64(d.Offset))
		case ir.GlobalIAddImm:
			v = v.add(word(uint64(d.Offset))).mask(64)
		case ir.GlobalLoad:
			b, err := m.access(inst, &ir.InstData{Flags: d.Flags}, v, d.Offset, d.Type.Bytes(), false)
			if err != nil {
				return v, err
			}
			v = load(b, d.Type, d.Flags)
		default:
			return v, m.fail(inst, ErrUnsupported)
		}
	}
	return v, nil
}

func (m *Machine) divide(inst ir.Inst, op ir.Opcode, n int, x, y Value) (Value, error) {
	if y.zero() {
		return Value{}, m.trap(inst, ir.TrapIntegerDivideByZero)
	}
	switch op {
	case ir.OpUdiv, ir.OpUrem:
		q, r := x.udivmod(y)
		if op == ir.OpUdiv {
			return q, nil
		}
		return r, nil
	}
	minusOne := Value{^uint64(0), ^uint64(0)}
	x, y = x.sext(n), y.sext(n)
	if y == minusOne {
		if op == ir.OpSrem {
			return Value{}, nil
		}
		if x == word(1).shl(n-1).sext(n) {
			return Value{}, m.trap(inst, ir.TrapIntegerOverflow)
		}
	}
	q, r := x.sdivmod(y)
	if op == ir.OpSdiv {
		return q, nil
	}
	return r, nil
}

// toInt converts a scalar, trapping where the integer does not exist.
func (m *Machine) toInt(inst ir.Inst, signed bool, from, to ir.Type, x Value) (Value, error) {
	v, ok := floatOf(x, from)
	if !ok {
		return Value{}, m.fail(inst, ErrUnsupported)
	}
	if math.IsNaN(v) {
		return Value{}, m.trap(inst, ir.TrapBadConversionToInt)
	}
	v = math.Trunc(v)
	lo, hi := intRange(to.Bits(), signed)
	if v < lo || v >= hi {
		return Value{}, m.trap(inst, ir.TrapIntegerOverflow)
	}
	return integer(v), nil
}

// twoResults runs instructions with two results.
func twoResults(op ir.Opcode, t ir.Type, in [3]Value) (r, second Value, ok bool) {
	n := t.Bits()
	x, y, c := in[0], in[1], in[2]
	carry := boolean(!c.mask(8).zero())
	switch op {
	case ir.OpIsplit:
		return x.mask(n / 2), x.shr(n / 2), true
	case ir.OpUaddOverflow:
		carry = Value{}
		fallthrough
	case ir.OpUaddOverflowCin:
		s := x.add(y)
		over := s.mask(n) != s || s.ult(x)
		s = s.mask(n)
		t := s.add(carry)
		over = over || t.mask(n) != t || t.ult(s)
		return t, boolean(over), true
	case ir.OpUsubOverflow:
		carry = Value{}
		fallthrough
	case ir.OpUsubOverflowBin:
		s := x.sub(y)
		return s.sub(carry), boolean(x.ult(y) || s.mask(n).ult(carry)), true
	case ir.OpSaddOverflow, ir.OpSaddOverflowCin, ir.OpSsubOverflow, ir.OpSsubOverflowBin, ir.OpSmulOverflow, ir.OpUmulOverflow:
		signed := op != ir.OpUmulOverflow
		a, b, k := x.big(n, signed), y.big(n, signed), carry.big(64, false)
		switch op {
		case ir.OpSaddOverflow:
			a.Add(a, b)
		case ir.OpSaddOverflowCin:
			a.Add(a, b).Add(a, k)
		case ir.OpSsubOverflow:
			a.Sub(a, b)
		case ir.OpSsubOverflowBin:
			a.Sub(a, b).Sub(a, k)
		default:
			a.Mul(a, b)
		}
		r := fromBig(a).mask(n)
		return r, boolean(r.big(n, signed).Cmp(a) != 0), true
	}
	return r, second, false
}

// pure runs instructions that depend on nothing but their operands.
func pure(f *ir.Function, d *ir.InstData, from, to ir.Type, in [3]Value) (Value, bool) {
	if from == ir.Invalid || to == ir.Invalid {
		return Value{}, false // all that is left has an operand and a result
	}
	if r, ok := intOp(d, from, to, in); ok {
		return r, true
	}
	if r, ok := floatOp(d, from, to, in); ok {
		return r, true
	}
	return vectorOp(f, d, from, to, in)
}

// intOp runs integer and bit operations, lane by lane.
func intOp(d *ir.InstData, from, to ir.Type, in [3]Value) (Value, bool) {
	n := from.LaneBits()
	unary := func(f func(Value) Value) (Value, bool) {
		return each(to, func(i int) Value { return f(in[0].lane(i, n)) }), true
	}
	binary := func(f func(x, y Value) Value) (Value, bool) {
		return each(to, func(i int) Value { return f(in[0].lane(i, n), in[1].lane(i, n)) }), true
	}
	signed := func(f func(x, y Value) Value) (Value, bool) {
		return binary(func(x, y Value) Value { return f(x.sext(n), y.sext(n)) })
	}
	bitwise := func(f func(x, y uint64) uint64) (Value, bool) {
		return Value{f(in[0].Lo, in[1].Lo), f(in[0].Hi, in[1].Hi)}, true
	}
	shift := func(f func(x Value, k int) Value) (Value, bool) {
		k := int(in[1].Lo & uint64(n-1))
		return unary(func(x Value) Value { return f(x, k) })
	}
	clamp := func(x Value, lo, hi Value) Value { // of signed numbers
		switch {
		case x.slt(lo):
			return lo
		case hi.slt(x):
			return hi
		}
		return x
	}
	ones := Value{^uint64(0), ^uint64(0)}
	smin, smax := word(1).shl(n-1).sext(n), word(1).shl(n-1).sub(word(1))
	switch d.Op {
	case ir.OpIadd:
		return binary(Value.add)
	case ir.OpIsub:
		return binary(Value.sub)
	case ir.OpImul:
		return binary(Value.mul)
	case ir.OpIneg:
		return unary(Value.neg)
	case ir.OpIabs:
		return unary(func(x Value) Value {
			if s := x.sext(n); s.slt(Value{}) {
				return s.neg()
			}
			return x
		})
	case ir.OpUmulhi:
		return binary(func(x, y Value) Value {
			p := x.big(n, false)
			return fromBig(p.Mul(p, y.big(n, false)).Rsh(p, uint(n)))
		})
	case ir.OpSmulhi:
		return binary(func(x, y Value) Value { p := x.big(n, true); return fromBig(p.Mul(p, y.big(n, true)).Rsh(p, uint(n))) })
	case ir.OpSqmulRoundSat, ir.OpX86Pmulhrsw:
		return signed(func(x, y Value) Value {
			r := x.mul(y).add(word(1).shl(n - 2)).sar(n - 1)
			if d.Op == ir.OpSqmulRoundSat {
				r = clamp(r, smin, smax)
			}
			return r
		})
	case ir.OpSmin:
		return signed(func(x, y Value) Value {
			if y.slt(x) {
				return y
			}
			return x
		})
	case ir.OpSmax:
		return signed(func(x, y Value) Value {
			if x.slt(y) {
				return y
			}
			return x
		})
	case ir.OpUmin:
		return binary(func(x, y Value) Value {
			if y.ult(x) {
				return y
			}
			return x
		})
	case ir.OpUmax:
		return binary(func(x, y Value) Value {
			if x.ult(y) {
				return y
			}
			return x
		})
	case ir.OpAvgRound:
		return binary(func(x, y Value) Value { return x.add(y).add(word(1)).shr(1) })
	case ir.OpUaddSat:
		return binary(func(x, y Value) Value {
			if s := x.add(y); s == s.mask(n) {
				return s
			}
			return ones
		})
	case ir.OpUsubSat:
		return binary(func(x, y Value) Value {
			if x.ult(y) {
				return Value{}
			}
			return x.sub(y)
		})
	case ir.OpSaddSat:
		return signed(func(x, y Value) Value { return clamp(x.add(y), smin, smax) })
	case ir.OpSsubSat:
		return signed(func(x, y Value) Value { return clamp(x.sub(y), smin, smax) })
	case ir.OpBand:
		return bitwise(func(x, y uint64) uint64 { return x & y })
	case ir.OpBor:
		return bitwise(func(x, y uint64) uint64 { return x | y })
	case ir.OpBxor:
		return bitwise(func(x, y uint64) uint64 { return x ^ y })
	case ir.OpBandNot:
		return bitwise(func(x, y uint64) uint64 { return x &^ y })
	case ir.OpBorNot:
		return bitwise(func(x, y uint64) uint64 { return x | ^y })
	case ir.OpBxorNot:
		return bitwise(func(x, y uint64) uint64 { return x ^ ^y })
	case ir.OpBnot:
		return in[0].not(), true
	case ir.OpRotl:
		return shift(func(x Value, k int) Value { return or(x.shl(k), x.shr(n-k)) })
	case ir.OpRotr:
		return shift(func(x Value, k int) Value { return or(x.shr(k), x.shl(n-k)) })
	case ir.OpIshl:
		return shift(Value.shl)
	case ir.OpUshr:
		return shift(Value.shr)
	case ir.OpSshr:
		return shift(func(x Value, k int) Value { return x.sext(n).sar(k) })
	case ir.OpBitrev:
		return unary(func(x Value) Value { return Value{bits.Reverse64(x.Hi), bits.Reverse64(x.Lo)}.shr(128 - n) })
	case ir.OpBswap:
		return unary(func(x Value) Value { return Value{bits.ReverseBytes64(x.Hi), bits.ReverseBytes64(x.Lo)}.shr(128 - n) })
	case ir.OpClz:
		return unary(func(x Value) Value { return word(uint64(x.clz(n))) })
	case ir.OpCtz:
		return unary(func(x Value) Value { return word(uint64(x.ctz(n))) })
	case ir.OpCls:
		return unary(func(x Value) Value {
			s := x.sext(n)
			if s.slt(Value{}) {
				s = s.not()
			}
			return word(uint64(s.mask(n).clz(n) - 1))
		})
	case ir.OpPopcnt:
		return unary(func(x Value) Value { return word(uint64(bits.OnesCount64(x.Lo) + bits.OnesCount64(x.Hi))) })
	case ir.OpIcmp:
		truth := func(b bool) Value {
			if b && to.IsVector() {
				return ones
			}
			return boolean(b)
		}
		return binary(func(x, y Value) Value { return truth(compareInts(d.IntCC(), n, x, y)) })
	case ir.OpSelect, ir.OpSelectSpectreGuard:
		if in[0].zero() {
			return in[2], true
		}
		return in[1], true
	case ir.OpBitselect:
		c := in[0]
		return Value{in[1].Lo&c.Lo | in[2].Lo&^c.Lo, in[1].Hi&c.Hi | in[2].Hi&^c.Hi}, true
	case ir.OpBmask:
		if in[0].zero() {
			return Value{}, true
		}
		return ones, true
	case ir.OpIreduce, ir.OpUextend:
		return in[0], true
	case ir.OpSextend:
		return in[0].sext(n), true
	case ir.OpIconcat:
		return or(in[0], in[1].shl(n)), true
	}
	return Value{}, false
}

func or(x, y Value) Value { return Value{x.Lo | y.Lo, x.Hi | y.Hi} }

func compareInts(cc ir.IntCC, n int, x, y Value) bool {
	if cc.IsSigned() {
		x, y = x.sext(n), y.sext(n)
	}
	switch cc {
	case ir.Equal:
		return x == y
	case ir.NotEqual:
		return x != y
	case ir.SignedLessThan:
		return x.slt(y)
	case ir.SignedGreaterThanOrEqual:
		return !x.slt(y)
	case ir.SignedGreaterThan:
		return y.slt(x)
	case ir.SignedLessThanOrEqual:
		return !y.slt(x)
	case ir.UnsignedLessThan:
		return x.ult(y)
	case ir.UnsignedGreaterThanOrEqual:
		return !x.ult(y)
	case ir.UnsignedGreaterThan:
		return y.ult(x)
	}
	return !y.ult(x)
}
