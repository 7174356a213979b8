package translate

import (
	"github.com/davit-wasm/davit/codegen/ir"
	"github.com/davit-wasm/davit/wasm"
)

// simpleOp says how an instruction without immediates becomes one IR
// instruction over the operands on the stack.
type simpleOp struct {
	op     ir.Opcode
	typ    ir.Type // controlling type
	cond   uint8
	n      uint8 // operands
	extend bool  // the result is an i8 truth value, wanted as i32
}

// simpleOps maps WebAssembly's instructions to IR; rows without an opcode are
// translated by code.
var simpleOps = func() (ops [wasm.NumOpcodes]simpleOp) {
	unary := func(w wasm.Opcode, op ir.Opcode, typ ir.Type) { ops[w] = simpleOp{op: op, typ: typ, n: 1} }
	binary := func(w wasm.Opcode, op ir.Opcode, typ ir.Type) { ops[w] = simpleOp{op: op, typ: typ, n: 2} }

	// Integer arithmetic: the rows of i64 follow those of i32 in the same order.
	for _, group := range []struct {
		first wasm.Opcode
		typ   ir.Type
	}{{wasm.OpI32Clz, ir.I32}, {wasm.OpI64Clz, ir.I64}} {
		for i, op := range []ir.Opcode{ir.OpClz, ir.OpCtz, ir.OpPopcnt, ir.OpIadd, ir.OpIsub, ir.OpImul, ir.OpSdiv, ir.OpUdiv, ir.OpSrem, ir.OpUrem,
			ir.OpBand, ir.OpBor, ir.OpBxor, ir.OpIshl, ir.OpSshr, ir.OpUshr, ir.OpRotl, ir.OpRotr} {
			w := group.first + wasm.Opcode(i)
			if i < 3 {
				unary(w, op, group.typ)
			} else {
				binary(w, op, group.typ)
			}
		}
	}
	for _, group := range []struct {
		first wasm.Opcode
		typ   ir.Type
	}{{wasm.OpI32Eq, ir.I32}, {wasm.OpI64Eq, ir.I64}} {
		for i, c := range []ir.IntCC{ir.Equal, ir.NotEqual, ir.SignedLessThan, ir.UnsignedLessThan, ir.SignedGreaterThan, ir.UnsignedGreaterThan,
			ir.SignedLessThanOrEqual, ir.UnsignedLessThanOrEqual, ir.SignedGreaterThanOrEqual, ir.UnsignedGreaterThanOrEqual} {
			ops[group.first+wasm.Opcode(i)] = simpleOp{op: ir.OpIcmp, typ: group.typ, cond: uint8(c), n: 2, extend: true}
		}
	}
	for _, group := range []struct {
		compare, arith wasm.Opcode
		typ            ir.Type
	}{{wasm.OpF32Eq, wasm.OpF32Abs, ir.F32}, {wasm.OpF64Eq, wasm.OpF64Abs, ir.F64}} {
		for i, c := range []ir.FloatCC{ir.FloatEqual, ir.FloatNotEqual, ir.LessThan, ir.GreaterThan, ir.LessThanOrEqual, ir.GreaterThanOrEqual} {
			ops[group.compare+wasm.Opcode(i)] = simpleOp{op: ir.OpFcmp, typ: group.typ, cond: uint8(c), n: 2, extend: true}
		}
		for i, op := range []ir.Opcode{ir.OpFabs, ir.OpFneg, ir.OpCeil, ir.OpFloor, ir.OpTrunc, ir.OpNearest, ir.OpSqrt,
			ir.OpFadd, ir.OpFsub, ir.OpFmul, ir.OpFdiv, ir.OpFmin, ir.OpFmax, ir.OpFcopysign} {
			w := group.arith + wasm.Opcode(i)
			if i < 7 {
				unary(w, op, group.typ)
			} else {
				binary(w, op, group.typ)
			}
		}
	}

	unary(wasm.OpI32WrapI64, ir.OpIreduce, ir.I32)
	unary(wasm.OpI64ExtendI32S, ir.OpSextend, ir.I64)
	unary(wasm.OpI64ExtendI32U, ir.OpUextend, ir.I64)
	for i, typ := range []ir.Type{ir.I32, ir.I64} {
		signed := []wasm.Opcode{wasm.OpI32TruncF32S, wasm.OpI64TruncF32S}[i] // F32S, F32U, F64S, F64U
		sat := []wasm.Opcode{wasm.OpI32TruncSatF32S, wasm.OpI64TruncSatF32S}[i]
		for k := range wasm.Opcode(2) {
			unary(signed+2*k, ir.OpFcvtToSint, typ)
			unary(signed+2*k+1, ir.OpFcvtToUint, typ)
			unary(sat+2*k, ir.OpFcvtToSintSat, typ)
			unary(sat+2*k+1, ir.OpFcvtToUintSat, typ)
		}
	}
	for i, typ := range []ir.Type{ir.F32, ir.F64} {
		first := []wasm.Opcode{wasm.OpF32ConvertI32S, wasm.OpF64ConvertI32S}[i] // I32S, I32U, I64S, I64U
		for k := range wasm.Opcode(2) {
			unary(first+2*k, ir.OpFcvtFromSint, typ)
			unary(first+2*k+1, ir.OpFcvtFromUint, typ)
		}
	}
	unary(wasm.OpF32DemoteF64, ir.OpFdemote, ir.F32)
	unary(wasm.OpF64PromoteF32, ir.OpFpromote, ir.F64)
	unary(wasm.OpI32ReinterpretF32, ir.OpBitcast, ir.I32)
	unary(wasm.OpI64ReinterpretF64, ir.OpBitcast, ir.I64)
	unary(wasm.OpF32ReinterpretI32, ir.OpBitcast, ir.F32)
	unary(wasm.OpF64ReinterpretI64, ir.OpBitcast, ir.F64)
	return ops
}()

func (t *Translator) simple(r *simpleOp) {
	d := ir.InstData{Op: r.op, Type: r.typ, Cond: r.cond}
	var v ir.Value
	if r.n == 1 {
		v = t.value(d, t.pop())
	} else {
		y := t.pop()
		v = t.value(d, t.pop(), y)
	}
	if r.extend {
		v = t.convert(ir.OpUextend, ir.I32, v)
	}
	t.push(v)
}

// conversion translates what remains of the numeric instructions.
func (t *Translator) conversion() bool {
	switch t.in.Op {
	case wasm.OpI32Eqz, wasm.OpI64Eqz:
		// The opposite of a comparison is a comparison, but for floats not with
		// operands swapped or ordered: so only the condition is inverted.
		c := t.popCond()
		if inst, _ := t.f.ValueInst(c); inst != ir.NoInst {
			switch d := *t.f.Inst(inst); d.Op {
			case ir.OpIcmp:
				d.Cond = uint8(d.IntCC().Inverse())
				args := t.f.Args(inst)
				t.pushTruth(t.value(ir.InstData{Op: d.Op, Type: d.Type, Cond: d.Cond}, args[0], args[1]))
				return true
			case ir.OpFcmp:
				d.Cond = uint8(d.FloatCC().Inverse())
				args := t.f.Args(inst)
				t.pushTruth(t.value(ir.InstData{Op: d.Op, Type: d.Type, Cond: d.Cond}, args[0], args[1]))
				return true
			}
		}
		t.pushTruth(t.compare(ir.Equal, c, t.iconst(t.f.ValueType(c), 0)))
	case wasm.OpI32Extend8S:
		t.extendFrom(ir.I8, ir.I32)
	case wasm.OpI32Extend16S:
		t.extendFrom(ir.I16, ir.I32)
	case wasm.OpI64Extend8S:
		t.extendFrom(ir.I8, ir.I64)
	case wasm.OpI64Extend16S:
		t.extendFrom(ir.I16, ir.I64)
	case wasm.OpI64Extend32S:
		t.extendFrom(ir.I32, ir.I64)
	case wasm.OpI64Add128, wasm.OpI64Sub128:
		op := ir.OpIadd
		if t.in.Op == wasm.OpI64Sub128 {
			op = ir.OpIsub
		}
		y := t.popWide()
		x := t.popWide()
		low, high := t.b.Isplit(t.binary(op, x, y))
		t.push(low)
		t.push(high)
	case wasm.OpI64MulWideS, wasm.OpI64MulWideU:
		op := ir.OpSmulhi
		if t.in.Op == wasm.OpI64MulWideU {
			op = ir.OpUmulhi
		}
		y := t.pop()
		x := t.pop()
		t.push(t.binary(ir.OpImul, x, y))
		t.push(t.binary(op, x, y))
	default:
		return false
	}
	return true
}

// popWide pops the two halves of a 128-bit number.
func (t *Translator) popWide() ir.Value {
	high := t.pop()
	return t.b.Iconcat(t.pop(), high)
}

func (t *Translator) extendFrom(from, to ir.Type) {
	t.push(t.convert(ir.OpSextend, to, t.convert(ir.OpIreduce, from, t.pop())))
}

// pushTruth pushes an i8 truth value as i32.
func (t *Translator) pushTruth(v ir.Value) { t.push(t.convert(ir.OpUextend, ir.I32, v)) }
