package translate

import (
	"encoding/binary"

	"github.com/davit-wasm/davit/codegen/ir"
	"github.com/davit-wasm/davit/wasm"
)

// A v128 has no lanes of its own; in IR every value has a type. On the operand
// stack a vector keeps the type that the instruction which made it has given
// it, so that instructions which work on the same lanes follow each other
// without a cast. Wherever values meet (locals, parameters of blocks and
// functions, results) they are vectors of bytes: see canonical.

// Relaxed says which of the allowed results the relaxed vector instructions
// give. The zero value is the deterministic profile of the specification:
// results are the same on every machine.
type Relaxed struct {
	X86 bool // what SSE's instructions give
	AVX bool // lanes are selected by their top bits
	FMA bool // multiplications and additions are fused
}

// bytesType is the type that vectors have where they meet.
const bytesType = ir.I8X16

// vectorOp says how an instruction on vectors becomes one IR instruction.
type vectorOp struct {
	op   ir.Opcode
	arg  ir.Type // operands are cast to it
	typ  ir.Type // controlling type
	cond uint8
	n    uint8 // operands
	kind vectorKind
}

// vectorKind is what else an instruction needs besides operands that are
// vectors of one type.
type vectorKind uint8

const (
	vectorPlain   vectorKind = iota
	vectorTruth              // the result is an i8 truth value, wanted as i32
	vectorShift              // the second operand is an i32
	vectorProduct            // op widens the operands, which are then multiplied
	vectorSum                // neighbours of the operand, widened by op and its twin for the high half, are added
	vectorPick               // the first operand where comparing the operands as floats says so, else the second
)

// vectorOps maps the instructions that follow a pattern; the others are
// translated by code.
var vectorOps = func() (ops [wasm.NumOpcodes]vectorOp) {
	const i8x16, i16x8, i32x4, i64x2, f32x4, f64x2 = ir.I8X16, ir.I16X8, ir.I32X4, ir.I64X2, ir.F32X4, ir.F64X2
	ints := []ir.Type{i8x16, i16x8, i32x4, i64x2}
	floats := []ir.Type{f32x4, f64x2}

	set := func(w wasm.Opcode, r vectorOp) { ops[w] = r }
	// The operand and the controlling type are the same.
	unary := func(w wasm.Opcode, op ir.Opcode, t ir.Type) { set(w, vectorOp{op: op, arg: t, typ: t, n: 1}) }
	binary := func(w wasm.Opcode, op ir.Opcode, t ir.Type) { set(w, vectorOp{op: op, arg: t, typ: t, n: 2}) }
	// The type of the result is the controlling one.
	convert := func(w wasm.Opcode, op ir.Opcode, from, to ir.Type) {
		set(w, vectorOp{op: op, arg: from, typ: to, n: 1})
	}
	each := func(op ir.Opcode, def func(wasm.Opcode, ir.Opcode, ir.Type), types []ir.Type, first ...wasm.Opcode) {
		for i, w := range first {
			def(w, op, types[i])
		}
	}

	// Comparisons.
	for i, first := range []wasm.Opcode{wasm.OpI8x16Eq, wasm.OpI16x8Eq, wasm.OpI32x4Eq} {
		for k, c := range []ir.IntCC{ir.Equal, ir.NotEqual, ir.SignedLessThan, ir.UnsignedLessThan, ir.SignedGreaterThan, ir.UnsignedGreaterThan,
			ir.SignedLessThanOrEqual, ir.UnsignedLessThanOrEqual, ir.SignedGreaterThanOrEqual, ir.UnsignedGreaterThanOrEqual} {
			set(first+wasm.Opcode(k), vectorOp{op: ir.OpIcmp, arg: ints[i], typ: ints[i], cond: uint8(c), n: 2})
		}
	}
	for k, c := range []ir.IntCC{ir.Equal, ir.NotEqual, ir.SignedLessThan, ir.SignedGreaterThan, ir.SignedLessThanOrEqual, ir.SignedGreaterThanOrEqual} {
		set(wasm.OpI64x2Eq+wasm.Opcode(k), vectorOp{op: ir.OpIcmp, arg: i64x2, typ: i64x2, cond: uint8(c), n: 2})
	}
	for i, first := range []wasm.Opcode{wasm.OpF32x4Eq, wasm.OpF64x2Eq} {
		for k, c := range []ir.FloatCC{ir.FloatEqual, ir.FloatNotEqual, ir.LessThan, ir.GreaterThan, ir.LessThanOrEqual, ir.GreaterThanOrEqual} {
			set(first+wasm.Opcode(k), vectorOp{op: ir.OpFcmp, arg: floats[i], typ: floats[i], cond: uint8(c), n: 2})
		}
	}

	// Bits.
	unary(wasm.OpV128Not, ir.OpBnot, i8x16)
	binary(wasm.OpV128And, ir.OpBand, i8x16)
	binary(wasm.OpV128Andnot, ir.OpBandNot, i8x16)
	binary(wasm.OpV128Or, ir.OpBor, i8x16)
	binary(wasm.OpV128Xor, ir.OpBxor, i8x16)

	// Truth and masks.
	set(wasm.OpV128AnyTrue, vectorOp{op: ir.OpVanyTrue, arg: i8x16, typ: i8x16, n: 1, kind: vectorTruth})
	for i, w := range []wasm.Opcode{wasm.OpI8x16AllTrue, wasm.OpI16x8AllTrue, wasm.OpI32x4AllTrue, wasm.OpI64x2AllTrue} {
		set(w, vectorOp{op: ir.OpVallTrue, arg: ints[i], typ: ints[i], n: 1, kind: vectorTruth})
	}
	for i, w := range []wasm.Opcode{wasm.OpI8x16Bitmask, wasm.OpI16x8Bitmask, wasm.OpI32x4Bitmask, wasm.OpI64x2Bitmask} {
		convert(w, ir.OpVhighBits, ints[i], ir.I32)
	}

	// Integer arithmetic.
	each(ir.OpIabs, unary, ints, wasm.OpI8x16Abs, wasm.OpI16x8Abs, wasm.OpI32x4Abs, wasm.OpI64x2Abs)
	each(ir.OpIneg, unary, ints, wasm.OpI8x16Neg, wasm.OpI16x8Neg, wasm.OpI32x4Neg, wasm.OpI64x2Neg)
	each(ir.OpPopcnt, unary, ints, wasm.OpI8x16Popcnt)
	each(ir.OpIadd, binary, ints, wasm.OpI8x16Add, wasm.OpI16x8Add, wasm.OpI32x4Add, wasm.OpI64x2Add)
	each(ir.OpIsub, binary, ints, wasm.OpI8x16Sub, wasm.OpI16x8Sub, wasm.OpI32x4Sub, wasm.OpI64x2Sub)
	each(ir.OpImul, binary, ints[1:], wasm.OpI16x8Mul, wasm.OpI32x4Mul, wasm.OpI64x2Mul)
	each(ir.OpSaddSat, binary, ints, wasm.OpI8x16AddSatS, wasm.OpI16x8AddSatS)
	each(ir.OpUaddSat, binary, ints, wasm.OpI8x16AddSatU, wasm.OpI16x8AddSatU)
	each(ir.OpSsubSat, binary, ints, wasm.OpI8x16SubSatS, wasm.OpI16x8SubSatS)
	each(ir.OpUsubSat, binary, ints, wasm.OpI8x16SubSatU, wasm.OpI16x8SubSatU)
	each(ir.OpSmin, binary, ints, wasm.OpI8x16MinS, wasm.OpI16x8MinS, wasm.OpI32x4MinS)
	each(ir.OpUmin, binary, ints, wasm.OpI8x16MinU, wasm.OpI16x8MinU, wasm.OpI32x4MinU)
	each(ir.OpSmax, binary, ints, wasm.OpI8x16MaxS, wasm.OpI16x8MaxS, wasm.OpI32x4MaxS)
	each(ir.OpUmax, binary, ints, wasm.OpI8x16MaxU, wasm.OpI16x8MaxU, wasm.OpI32x4MaxU)
	each(ir.OpAvgRound, binary, ints, wasm.OpI8x16AvgrU, wasm.OpI16x8AvgrU)
	binary(wasm.OpI16x8Q15mulrSatS, ir.OpSqmulRoundSat, i16x8)
	for i, group := range [][3]wasm.Opcode{
		{wasm.OpI8x16Shl, wasm.OpI8x16ShrS, wasm.OpI8x16ShrU}, {wasm.OpI16x8Shl, wasm.OpI16x8ShrS, wasm.OpI16x8ShrU},
		{wasm.OpI32x4Shl, wasm.OpI32x4ShrS, wasm.OpI32x4ShrU}, {wasm.OpI64x2Shl, wasm.OpI64x2ShrS, wasm.OpI64x2ShrU},
	} {
		for k, op := range []ir.Opcode{ir.OpIshl, ir.OpSshr, ir.OpUshr} {
			set(group[k], vectorOp{op: op, arg: ints[i], typ: ints[i], n: 2, kind: vectorShift})
		}
	}

	// From narrow lanes to wide ones and back. The rows of a type are in the
	// order low signed, high signed, low unsigned, high unsigned.
	widen := []ir.Opcode{ir.OpSwidenLow, ir.OpSwidenHigh, ir.OpUwidenLow, ir.OpUwidenHigh}
	for i, first := range []wasm.Opcode{wasm.OpI16x8ExtendLowI8x16S, wasm.OpI32x4ExtendLowI16x8S, wasm.OpI64x2ExtendLowI32x4S} {
		for k, op := range widen {
			unary(first+wasm.Opcode(k), op, ints[i])
		}
	}
	for i, first := range []wasm.Opcode{wasm.OpI16x8ExtmulLowI8x16S, wasm.OpI32x4ExtmulLowI16x8S, wasm.OpI64x2ExtmulLowI32x4S} {
		for k, op := range widen {
			set(first+wasm.Opcode(k), vectorOp{op: op, arg: ints[i], typ: ints[i], n: 2, kind: vectorProduct})
		}
	}
	for i, first := range []wasm.Opcode{wasm.OpI16x8ExtaddPairwiseI8x16S, wasm.OpI32x4ExtaddPairwiseI16x8S} {
		for k, op := range []ir.Opcode{ir.OpSwidenLow, ir.OpUwidenLow} {
			set(first+wasm.Opcode(k), vectorOp{op: op, arg: ints[i], typ: ints[i], n: 1, kind: vectorSum})
		}
	}
	each(ir.OpSnarrow, binary, ints[1:], wasm.OpI8x16NarrowI16x8S, wasm.OpI16x8NarrowI32x4S)
	each(ir.OpUnarrow, binary, ints[1:], wasm.OpI8x16NarrowI16x8U, wasm.OpI16x8NarrowI32x4U)

	// Floats.
	each(ir.OpFabs, unary, floats, wasm.OpF32x4Abs, wasm.OpF64x2Abs)
	each(ir.OpFneg, unary, floats, wasm.OpF32x4Neg, wasm.OpF64x2Neg)
	each(ir.OpSqrt, unary, floats, wasm.OpF32x4Sqrt, wasm.OpF64x2Sqrt)
	each(ir.OpCeil, unary, floats, wasm.OpF32x4Ceil, wasm.OpF64x2Ceil)
	each(ir.OpFloor, unary, floats, wasm.OpF32x4Floor, wasm.OpF64x2Floor)
	each(ir.OpTrunc, unary, floats, wasm.OpF32x4Trunc, wasm.OpF64x2Trunc)
	each(ir.OpNearest, unary, floats, wasm.OpF32x4Nearest, wasm.OpF64x2Nearest)
	each(ir.OpFadd, binary, floats, wasm.OpF32x4Add, wasm.OpF64x2Add)
	each(ir.OpFsub, binary, floats, wasm.OpF32x4Sub, wasm.OpF64x2Sub)
	each(ir.OpFmul, binary, floats, wasm.OpF32x4Mul, wasm.OpF64x2Mul)
	each(ir.OpFdiv, binary, floats, wasm.OpF32x4Div, wasm.OpF64x2Div)
	each(ir.OpFmin, binary, floats, wasm.OpF32x4Min, wasm.OpF64x2Min)
	each(ir.OpFmax, binary, floats, wasm.OpF32x4Max, wasm.OpF64x2Max)

	// Conversions.
	convert(wasm.OpF32x4ConvertI32x4S, ir.OpFcvtFromSint, i32x4, f32x4)
	convert(wasm.OpF32x4ConvertI32x4U, ir.OpFcvtFromUint, i32x4, f32x4)
	convert(wasm.OpI32x4TruncSatF32x4S, ir.OpFcvtToSintSat, f32x4, i32x4)
	convert(wasm.OpI32x4TruncSatF32x4U, ir.OpFcvtToUintSat, f32x4, i32x4)
	// Instructions on one type only have no controlling one.
	set(wasm.OpF64x2PromoteLowF32x4, vectorOp{op: ir.OpFvpromoteLow, arg: f32x4, n: 1})
	set(wasm.OpF32x4DemoteF64x2Zero, vectorOp{op: ir.OpFvdemote, arg: f64x2, n: 1})
	set(wasm.OpI8x16Swizzle, vectorOp{op: ir.OpSwizzle, arg: i8x16, n: 2})

	// pmin(x, y) is y if that is less than x, else x.
	for w, r := range map[wasm.Opcode]vectorOp{
		wasm.OpF32x4Pmin: {arg: f32x4, cond: uint8(ir.LessThan)}, wasm.OpF32x4Pmax: {arg: f32x4, cond: uint8(ir.GreaterThan)},
		wasm.OpF64x2Pmin: {arg: f64x2, cond: uint8(ir.LessThan)}, wasm.OpF64x2Pmax: {arg: f64x2, cond: uint8(ir.GreaterThan)},
	} {
		r.op, r.n, r.kind = ir.OpFcmp, 2, vectorPick
		set(w, r)
	}
	return ops
}()

// relaxedOps maps the relaxed instructions to those without a prefix that give
// the results of the deterministic profile; those that there are none for are
// translated by code.
var relaxedOps = map[wasm.Opcode]wasm.Opcode{
	wasm.OpI8x16RelaxedSwizzle:         wasm.OpI8x16Swizzle,
	wasm.OpI32x4RelaxedTruncF32x4S:     wasm.OpI32x4TruncSatF32x4S,
	wasm.OpI32x4RelaxedTruncF32x4U:     wasm.OpI32x4TruncSatF32x4U,
	wasm.OpI32x4RelaxedTruncF64x2SZero: wasm.OpI32x4TruncSatF64x2SZero,
	wasm.OpI32x4RelaxedTruncF64x2UZero: wasm.OpI32x4TruncSatF64x2UZero,
	wasm.OpI8x16RelaxedLaneselect:      wasm.OpV128Bitselect,
	wasm.OpI16x8RelaxedLaneselect:      wasm.OpV128Bitselect,
	wasm.OpI32x4RelaxedLaneselect:      wasm.OpV128Bitselect,
	wasm.OpI64x2RelaxedLaneselect:      wasm.OpV128Bitselect,
	wasm.OpF32x4RelaxedMin:             wasm.OpF32x4Min,
	wasm.OpF32x4RelaxedMax:             wasm.OpF32x4Max,
	wasm.OpF64x2RelaxedMin:             wasm.OpF64x2Min,
	wasm.OpF64x2RelaxedMax:             wasm.OpF64x2Max,
	wasm.OpI16x8RelaxedQ15mulrS:        wasm.OpI16x8Q15mulrSatS,
}

// Operands.

// cast is v as a vector of type typ: the same bytes, lane 0 first.
func (t *Translator) cast(typ ir.Type, v ir.Value) ir.Value {
	if t.f.ValueType(v) == typ {
		return v
	}
	if inst, _ := t.f.ValueInst(v); inst != ir.NoInst && t.f.Inst(inst).Op == ir.OpBitcast {
		if x := t.f.Args(inst)[0]; t.f.ValueType(x) == typ {
			return x
		}
	}
	return t.value(ir.InstData{Op: ir.OpBitcast, Type: typ, Flags: ir.MemLittle}, v)
}

// canonical makes vectors among values, which are on the operand stack, such as
// they are where they meet.
func (t *Translator) canonical(values []ir.Value) []ir.Value {
	if t.vectors {
		for i, v := range values {
			if typ := t.f.ValueType(v); typ.IsVector() && typ != bytesType {
				values[i] = t.cast(bytesType, v)
			}
		}
	}
	return values
}

// popVector pops a vector of type typ.
func (t *Translator) popVector(typ ir.Type) ir.Value { return t.cast(typ, t.pop()) }

// pushVector pushes a value that may be a vector.
func (t *Translator) pushVector(v ir.Value) {
	t.vectors = true
	t.push(v)
}

func (t *Translator) vconst(typ ir.Type, low, high uint64) ir.Value {
	var b [16]byte
	binary.LittleEndian.PutUint64(b[:], low)
	binary.LittleEndian.PutUint64(b[8:], high)
	return t.b.Vconst(typ, t.f.AddConstant(b[:]))
}

// vectorInst emits an instruction with a controlling type, or Invalid if it
// takes none, and is its result.
func (t *Translator) vectorInst(op ir.Opcode, typ ir.Type, args ...ir.Value) ir.Value {
	return t.value(ir.InstData{Op: op, Type: typ}, args...)
}

// Instructions.

// vector translates the instructions on v128 that have no row.
func (t *Translator) vector() bool {
	switch t.in.Op {
	case wasm.OpV128Const:
		t.pushVector(t.vconst(bytesType, t.in.Imm, t.in.Imm2))
	case wasm.OpV128Bitselect:
		m := t.popVector(bytesType)
		y := t.popVector(bytesType)
		t.pushVector(t.vectorInst(ir.OpBitselect, bytesType, m, t.popVector(bytesType), y))
	case wasm.OpI8x16Shuffle:
		var b [16]byte
		binary.LittleEndian.PutUint64(b[:], t.in.Imm)
		binary.LittleEndian.PutUint64(b[8:], t.in.Imm2)
		y := t.popVector(ir.I8X16)
		t.pushVector(t.b.Shuffle(t.popVector(ir.I8X16), y, t.f.AddConstant(b[:])))
	case wasm.OpI32x4DotI16x8S:
		y, x := t.popVector(ir.I16X8), t.popVector(ir.I16X8)
		low := t.binary(ir.OpImul, t.vectorInst(ir.OpSwidenLow, ir.I16X8, x), t.vectorInst(ir.OpSwidenLow, ir.I16X8, y))
		high := t.binary(ir.OpImul, t.vectorInst(ir.OpSwidenHigh, ir.I16X8, x), t.vectorInst(ir.OpSwidenHigh, ir.I16X8, y))
		t.pushVector(t.binary(ir.OpIaddPairwise, low, high))
	case wasm.OpI32x4TruncSatF64x2SZero:
		t.truncateZero(ir.OpFcvtToSintSat, ir.OpSnarrow)
	case wasm.OpI32x4TruncSatF64x2UZero:
		t.truncateZero(ir.OpFcvtToUintSat, ir.OpUunarrow)
	case wasm.OpF64x2ConvertLowI32x4S:
		t.pushVector(t.vectorInst(ir.OpFcvtFromSint, ir.F64X2, t.vectorInst(ir.OpSwidenLow, ir.I32X4, t.popVector(ir.I32X4))))
	case wasm.OpF64x2ConvertLowI32x4U:
		t.pushVector(t.vectorInst(ir.OpFcvtFromUint, ir.F64X2, t.vectorInst(ir.OpUwidenLow, ir.I32X4, t.popVector(ir.I32X4))))
	default:
		return t.lane() || t.vectorMemory() || t.relaxed()
	}
	return true
}

// patterned translates an instruction of vectorOps.
func (t *Translator) patterned(r *vectorOp) {
	d := ir.InstData{Op: r.op, Type: r.typ, Cond: r.cond}
	var v ir.Value
	switch {
	case r.kind == vectorShift:
		n := t.pop()
		v = t.value(d, t.popVector(r.arg), n)
	case r.kind == vectorProduct:
		y := t.value(d, t.popVector(r.arg))
		v = t.binary(ir.OpImul, t.value(d, t.popVector(r.arg)), y)
	case r.kind == vectorSum:
		x := t.popVector(r.arg)
		high := ir.OpSwidenHigh
		if r.op == ir.OpUwidenLow {
			high = ir.OpUwidenHigh
		}
		v = t.binary(ir.OpIaddPairwise, t.value(d, x), t.vectorInst(high, r.arg, x))
	case r.kind == vectorPick:
		y, x := t.popVector(r.arg), t.popVector(r.arg)
		v = t.pick(ir.FloatCC(r.cond), y, x)
	case r.n == 1:
		v = t.value(d, t.popVector(r.arg))
	default:
		y := t.popVector(r.arg)
		v = t.value(d, t.popVector(r.arg), y)
	}
	if r.kind == vectorTruth {
		v = t.convert(ir.OpUextend, ir.I32, v)
	}
	t.pushVector(v)
}

// pick is x in the lanes where cond holds for x and y, else y.
func (t *Translator) pick(cond ir.FloatCC, x, y ir.Value) ir.Value {
	typ := t.f.ValueType(x)
	m := t.value(ir.InstData{Op: ir.OpFcmp, Type: typ, Cond: uint8(cond)}, x, y)
	return t.vectorInst(ir.OpBitselect, typ, t.cast(typ, m), x, y)
}

// truncateZero converts two floats of 64 bits into the low two of four integers.
func (t *Translator) truncateZero(convert, narrow ir.Opcode) {
	wide := t.vectorInst(convert, ir.I64X2, t.popVector(ir.F64X2))
	t.pushVector(t.vectorInst(narrow, ir.I64X2, wide, t.vconst(ir.I64X2, 0, 0)))
}

// lane translates what has to do with a single lane.
func (t *Translator) lane() bool {
	splat := func(typ ir.Type) {
		t.pushVector(t.vectorInst(ir.OpSplat, typ, t.narrowed(typ.Lane(), t.pop())))
	}
	extract := func(typ ir.Type, extend ir.Opcode) {
		v := t.value(ir.InstData{Op: ir.OpExtractlane, Type: typ, Imm: int64(t.in.Lane)}, t.popVector(typ))
		if extend != ir.OpInvalid {
			v = t.convert(extend, ir.I32, v)
		}
		t.push(v)
	}
	replace := func(typ ir.Type) {
		x := t.narrowed(typ.Lane(), t.pop())
		t.pushVector(t.value(ir.InstData{Op: ir.OpInsertlane, Type: typ, Imm: int64(t.in.Lane)}, t.popVector(typ), x))
	}
	switch t.in.Op {
	case wasm.OpI8x16Splat:
		splat(ir.I8X16)
	case wasm.OpI16x8Splat:
		splat(ir.I16X8)
	case wasm.OpI32x4Splat:
		splat(ir.I32X4)
	case wasm.OpI64x2Splat:
		splat(ir.I64X2)
	case wasm.OpF32x4Splat:
		splat(ir.F32X4)
	case wasm.OpF64x2Splat:
		splat(ir.F64X2)
	case wasm.OpI8x16ExtractLaneS:
		extract(ir.I8X16, ir.OpSextend)
	case wasm.OpI8x16ExtractLaneU:
		extract(ir.I8X16, ir.OpUextend)
	case wasm.OpI16x8ExtractLaneS:
		extract(ir.I16X8, ir.OpSextend)
	case wasm.OpI16x8ExtractLaneU:
		extract(ir.I16X8, ir.OpUextend)
	case wasm.OpI32x4ExtractLane:
		extract(ir.I32X4, ir.OpInvalid)
	case wasm.OpI64x2ExtractLane:
		extract(ir.I64X2, ir.OpInvalid)
	case wasm.OpF32x4ExtractLane:
		extract(ir.F32X4, ir.OpInvalid)
	case wasm.OpF64x2ExtractLane:
		extract(ir.F64X2, ir.OpInvalid)
	case wasm.OpI8x16ReplaceLane:
		replace(ir.I8X16)
	case wasm.OpI16x8ReplaceLane:
		replace(ir.I16X8)
	case wasm.OpI32x4ReplaceLane:
		replace(ir.I32X4)
	case wasm.OpI64x2ReplaceLane:
		replace(ir.I64X2)
	case wasm.OpF32x4ReplaceLane:
		replace(ir.F32X4)
	case wasm.OpF64x2ReplaceLane:
		replace(ir.F64X2)
	default:
		return false
	}
	return true
}

// narrowed is v, an i32 if typ is a narrower integer, as a value of type typ.
func (t *Translator) narrowed(typ ir.Type, v ir.Value) ir.Value {
	if typ == ir.I8 || typ == ir.I16 {
		return t.convert(ir.OpIreduce, typ, v)
	}
	return v
}

// vectorMemory translates loads and stores.
func (t *Translator) vectorMemory() bool {
	// load reads a value of size bytes.
	load := func(op ir.Opcode, typ ir.Type, size int8) ir.Value {
		addr, off := t.heapAddress(t.in.Index, t.pop(), t.in.Imm, size)
		return t.value(ir.InstData{Op: op, Type: typ, Flags: t.regions.heap, Imm: int64(off)}, addr)
	}
	widen := func(op ir.Opcode) { t.pushVector(load(op, ir.I64, 8)) } // their controlling type is the address's
	splat := func(typ ir.Type) {
		x := load(ir.OpLoad, typ.Lane(), int8(typ.LaneBits()/8))
		t.pushVector(t.vectorInst(ir.OpSplat, typ, x))
	}
	loadZero := func(typ ir.Type) {
		x := load(ir.OpLoad, typ.Lane(), int8(typ.LaneBits()/8))
		t.pushVector(t.vectorInst(ir.OpScalarToVector, typ, x))
	}
	loadLane := func(typ ir.Type) {
		v := t.popVector(typ)
		x := load(ir.OpLoad, typ.Lane(), int8(typ.LaneBits()/8))
		t.pushVector(t.value(ir.InstData{Op: ir.OpInsertlane, Type: typ, Imm: int64(t.in.Lane)}, v, x))
	}
	store := func(v ir.Value, size int8) {
		addr, off := t.heapAddress(t.in.Index, t.pop(), t.in.Imm, size)
		t.store(t.regions.heap, v, addr, off)
	}
	storeLane := func(typ ir.Type) {
		x := t.value(ir.InstData{Op: ir.OpExtractlane, Type: typ, Imm: int64(t.in.Lane)}, t.popVector(typ))
		store(x, int8(typ.LaneBits()/8))
	}
	switch t.in.Op {
	case wasm.OpV128Load:
		t.pushVector(load(ir.OpLoad, bytesType, 16))
	case wasm.OpV128Store:
		store(t.pop(), 16)
	case wasm.OpV128Load8x8S:
		widen(ir.OpSload8x8)
	case wasm.OpV128Load8x8U:
		widen(ir.OpUload8x8)
	case wasm.OpV128Load16x4S:
		widen(ir.OpSload16x4)
	case wasm.OpV128Load16x4U:
		widen(ir.OpUload16x4)
	case wasm.OpV128Load32x2S:
		widen(ir.OpSload32x2)
	case wasm.OpV128Load32x2U:
		widen(ir.OpUload32x2)
	case wasm.OpV128Load8Splat:
		splat(ir.I8X16)
	case wasm.OpV128Load16Splat:
		splat(ir.I16X8)
	case wasm.OpV128Load32Splat:
		splat(ir.I32X4)
	case wasm.OpV128Load64Splat:
		splat(ir.I64X2)
	case wasm.OpV128Load32Zero:
		loadZero(ir.I32X4)
	case wasm.OpV128Load64Zero:
		loadZero(ir.I64X2)
	case wasm.OpV128Load8Lane:
		loadLane(ir.I8X16)
	case wasm.OpV128Load16Lane:
		loadLane(ir.I16X8)
	case wasm.OpV128Load32Lane:
		loadLane(ir.I32X4)
	case wasm.OpV128Load64Lane:
		loadLane(ir.I64X2)
	case wasm.OpV128Store8Lane:
		storeLane(ir.I8X16)
	case wasm.OpV128Store16Lane:
		storeLane(ir.I16X8)
	case wasm.OpV128Store32Lane:
		storeLane(ir.I32X4)
	case wasm.OpV128Store64Lane:
		storeLane(ir.I64X2)
	default:
		return false
	}
	return true
}

// relaxed translates the relaxed instructions.
func (t *Translator) relaxed() bool {
	switch op := t.in.Op; op {
	case wasm.OpF32x4RelaxedMadd, wasm.OpF32x4RelaxedNmadd:
		t.multiplyAdd(ir.F32X4, op == wasm.OpF32x4RelaxedNmadd)
		return true
	case wasm.OpF64x2RelaxedMadd, wasm.OpF64x2RelaxedNmadd:
		t.multiplyAdd(ir.F64X2, op == wasm.OpF64x2RelaxedNmadd)
		return true
	case wasm.OpI16x8RelaxedDotI8x16I7x16S:
		t.pushVector(t.dotBytes())
		return true
	case wasm.OpI32x4RelaxedDotI8x16I7x16AddS:
		sum := t.popVector(ir.I32X4)
		dot := t.dotBytes()
		pairs := t.binary(ir.OpIaddPairwise, t.vectorInst(ir.OpSwidenLow, ir.I16X8, dot), t.vectorInst(ir.OpSwidenHigh, ir.I16X8, dot))
		t.pushVector(t.binary(ir.OpIadd, pairs, sum))
		return true
	}
	if t.m.Relaxed.X86 && t.relaxedX86() {
		return true
	}
	same, ok := relaxedOps[t.in.Op]
	if !ok {
		return false
	}
	t.in.Op = same
	return t.instruction()
}

// relaxedX86 translates those that an SSE instruction does as it is.
func (t *Translator) relaxedX86() bool {
	pick := func(typ ir.Type, cond ir.FloatCC) {
		y, x := t.popVector(typ), t.popVector(typ)
		t.pushVector(t.pick(cond, x, y))
	}
	blend := func(typ ir.Type) bool {
		if !t.m.Relaxed.AVX {
			return false
		}
		m := t.popVector(typ)
		y := t.popVector(typ)
		t.pushVector(t.vectorInst(ir.OpBlendv, typ, m, t.popVector(typ), y))
		return true
	}
	switch t.in.Op {
	case wasm.OpI8x16RelaxedSwizzle:
		y := t.popVector(ir.I8X16)
		t.pushVector(t.vectorInst(ir.OpX86Pshufb, ir.Invalid, t.popVector(ir.I8X16), y))
	case wasm.OpI32x4RelaxedTruncF32x4S:
		t.pushVector(t.vectorInst(ir.OpX86Cvtt2dq, ir.I32X4, t.popVector(ir.F32X4)))
	case wasm.OpF32x4RelaxedMin:
		pick(ir.F32X4, ir.LessThan)
	case wasm.OpF32x4RelaxedMax:
		pick(ir.F32X4, ir.GreaterThan)
	case wasm.OpF64x2RelaxedMin:
		pick(ir.F64X2, ir.LessThan)
	case wasm.OpF64x2RelaxedMax:
		pick(ir.F64X2, ir.GreaterThan)
	case wasm.OpI8x16RelaxedLaneselect:
		return blend(ir.I8X16)
	case wasm.OpI32x4RelaxedLaneselect:
		return blend(ir.I32X4)
	case wasm.OpI64x2RelaxedLaneselect:
		return blend(ir.I64X2)
	case wasm.OpI16x8RelaxedQ15mulrS:
		y := t.popVector(ir.I16X8)
		t.pushVector(t.vectorInst(ir.OpX86Pmulhrsw, ir.I16X8, t.popVector(ir.I16X8), y))
	default:
		return false
	}
	return true
}

// multiplyAdd is a·b + c, or c − a·b.
func (t *Translator) multiplyAdd(typ ir.Type, negate bool) {
	c := t.popVector(typ)
	b := t.popVector(typ)
	a := t.popVector(typ)
	switch {
	case t.m.Relaxed.FMA:
		if negate {
			a = t.vectorInst(ir.OpFneg, typ, a)
		}
		t.pushVector(t.vectorInst(ir.OpFma, typ, a, b, c))
	case negate: // the same as adding the negated product
		t.pushVector(t.binary(ir.OpFsub, c, t.binary(ir.OpFmul, a, b)))
	default:
		t.pushVector(t.binary(ir.OpFadd, t.binary(ir.OpFmul, a, b), c))
	}
}

// dotBytes pops two vectors of bytes and is the sums of products of
// neighbouring bytes.
func (t *Translator) dotBytes() ir.Value {
	y, x := t.popVector(ir.I8X16), t.popVector(ir.I8X16)
	if t.m.Relaxed.X86 {
		return t.vectorInst(ir.OpX86Pmaddubsw, ir.Invalid, x, y)
	}
	low := t.binary(ir.OpImul, t.vectorInst(ir.OpSwidenLow, ir.I8X16, x), t.vectorInst(ir.OpSwidenLow, ir.I8X16, y))
	high := t.binary(ir.OpImul, t.vectorInst(ir.OpSwidenHigh, ir.I8X16, x), t.vectorInst(ir.OpSwidenHigh, ir.I8X16, y))
	return t.binary(ir.OpIaddPairwise, low, high)
}
