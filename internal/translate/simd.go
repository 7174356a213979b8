package translate

import (
	"encoding/binary"
	"slices"

	"github.com/davit-wasm/davit/codegen/ir"
	"github.com/davit-wasm/davit/wasm"
)

// Vectors are i8x16 wherever values meet: in locals, parameters, block
// parameters, on the operand stack. An instruction on other lanes takes its
// operands through bitcasts, which cost nothing, and none is left between two
// instructions on the same lanes: see popVector.

// vectorOp says how an instruction on vectors without immediates becomes one IR
// instruction.
type vectorOp struct {
	op   ir.Opcode
	in   ir.Type // of the vector operands
	typ  ir.Type // controlling type
	cond uint8
	n    uint8 // vector operands
}

// Lanes, in the order in which most families of instructions have them.
var (
	intVectors   = [...]ir.Type{ir.I8X16, ir.I16X8, ir.I32X4, ir.I64X2}
	floatVectors = [...]ir.Type{ir.F32X4, ir.F64X2}

	allTrue = [...]wasm.Opcode{wasm.OpI8x16AllTrue, wasm.OpI16x8AllTrue, wasm.OpI32x4AllTrue, wasm.OpI64x2AllTrue}
	bitmask = [...]wasm.Opcode{wasm.OpI8x16Bitmask, wasm.OpI16x8Bitmask, wasm.OpI32x4Bitmask, wasm.OpI64x2Bitmask}
)

// vectorOps maps instructions to IR; rows without an opcode are translated by
// code.
var vectorOps = func() (ops [wasm.NumOpcodes]vectorOp) {
	set := func(w wasm.Opcode, op ir.Opcode, in, typ ir.Type, n uint8) {
		ops[w] = vectorOp{op: op, in: in, typ: typ, n: n}
	}
	// each maps instructions that differ by the type of their lanes only.
	each := func(types []ir.Type, op ir.Opcode, n uint8, list ...wasm.Opcode) {
		for i, w := range list {
			set(w, op, types[i], types[i], n)
		}
	}
	ints, floats := intVectors[:], floatVectors[:]

	// Bits.
	set(wasm.OpV128Not, ir.OpBnot, ir.I8X16, ir.I8X16, 1)
	set(wasm.OpV128And, ir.OpBand, ir.I8X16, ir.I8X16, 2)
	set(wasm.OpV128Andnot, ir.OpBandNot, ir.I8X16, ir.I8X16, 2)
	set(wasm.OpV128Or, ir.OpBor, ir.I8X16, ir.I8X16, 2)
	set(wasm.OpV128Xor, ir.OpBxor, ir.I8X16, ir.I8X16, 2)
	set(wasm.OpV128Bitselect, ir.OpBitselect, ir.I8X16, ir.I8X16, 3)
	set(wasm.OpI8x16Swizzle, ir.OpSwizzle, ir.I8X16, ir.Invalid, 2)

	// Integer comparisons: eq, ne, lt_s, lt_u, gt_s, gt_u, le_s, le_u, ge_s, ge_u.
	conds := []ir.IntCC{ir.Equal, ir.NotEqual, ir.SignedLessThan, ir.UnsignedLessThan, ir.SignedGreaterThan, ir.UnsignedGreaterThan,
		ir.SignedLessThanOrEqual, ir.UnsignedLessThanOrEqual, ir.SignedGreaterThanOrEqual, ir.UnsignedGreaterThanOrEqual}
	for i, first := range []wasm.Opcode{wasm.OpI8x16Eq, wasm.OpI16x8Eq, wasm.OpI32x4Eq} {
		for k, c := range conds {
			ops[first+wasm.Opcode(k)] = vectorOp{op: ir.OpIcmp, in: ints[i], typ: ints[i], cond: uint8(c), n: 2}
		}
	}
	for k, w := range []wasm.Opcode{wasm.OpI64x2Eq, wasm.OpI64x2Ne, wasm.OpI64x2LtS, wasm.OpI64x2GtS, wasm.OpI64x2LeS, wasm.OpI64x2GeS} {
		c := []ir.IntCC{ir.Equal, ir.NotEqual, ir.SignedLessThan, ir.SignedGreaterThan, ir.SignedLessThanOrEqual, ir.SignedGreaterThanOrEqual}[k]
		ops[w] = vectorOp{op: ir.OpIcmp, in: ir.I64X2, typ: ir.I64X2, cond: uint8(c), n: 2}
	}
	for i, first := range []wasm.Opcode{wasm.OpF32x4Eq, wasm.OpF64x2Eq} {
		for k, c := range []ir.FloatCC{ir.FloatEqual, ir.FloatNotEqual, ir.LessThan, ir.GreaterThan, ir.LessThanOrEqual, ir.GreaterThanOrEqual} {
			ops[first+wasm.Opcode(k)] = vectorOp{op: ir.OpFcmp, in: floats[i], typ: floats[i], cond: uint8(c), n: 2}
		}
	}

	// Integer arithmetic.
	each(ints, ir.OpIabs, 1, wasm.OpI8x16Abs, wasm.OpI16x8Abs, wasm.OpI32x4Abs, wasm.OpI64x2Abs)
	each(ints, ir.OpIneg, 1, wasm.OpI8x16Neg, wasm.OpI16x8Neg, wasm.OpI32x4Neg, wasm.OpI64x2Neg)
	each(ints, ir.OpPopcnt, 1, wasm.OpI8x16Popcnt)
	each(ints, ir.OpIadd, 2, wasm.OpI8x16Add, wasm.OpI16x8Add, wasm.OpI32x4Add, wasm.OpI64x2Add)
	each(ints, ir.OpIsub, 2, wasm.OpI8x16Sub, wasm.OpI16x8Sub, wasm.OpI32x4Sub, wasm.OpI64x2Sub)
	each(ints[1:], ir.OpImul, 2, wasm.OpI16x8Mul, wasm.OpI32x4Mul, wasm.OpI64x2Mul)
	each(ints, ir.OpSaddSat, 2, wasm.OpI8x16AddSatS, wasm.OpI16x8AddSatS)
	each(ints, ir.OpUaddSat, 2, wasm.OpI8x16AddSatU, wasm.OpI16x8AddSatU)
	each(ints, ir.OpSsubSat, 2, wasm.OpI8x16SubSatS, wasm.OpI16x8SubSatS)
	each(ints, ir.OpUsubSat, 2, wasm.OpI8x16SubSatU, wasm.OpI16x8SubSatU)
	each(ints, ir.OpSmin, 2, wasm.OpI8x16MinS, wasm.OpI16x8MinS, wasm.OpI32x4MinS)
	each(ints, ir.OpUmin, 2, wasm.OpI8x16MinU, wasm.OpI16x8MinU, wasm.OpI32x4MinU)
	each(ints, ir.OpSmax, 2, wasm.OpI8x16MaxS, wasm.OpI16x8MaxS, wasm.OpI32x4MaxS)
	each(ints, ir.OpUmax, 2, wasm.OpI8x16MaxU, wasm.OpI16x8MaxU, wasm.OpI32x4MaxU)
	each(ints, ir.OpAvgRound, 2, wasm.OpI8x16AvgrU, wasm.OpI16x8AvgrU)
	set(wasm.OpI16x8Q15mulrSatS, ir.OpSqmulRoundSat, ir.I16X8, ir.I16X8, 2)

	// Narrowing and widening.
	set(wasm.OpI8x16NarrowI16x8S, ir.OpSnarrow, ir.I16X8, ir.I16X8, 2)
	set(wasm.OpI8x16NarrowI16x8U, ir.OpUnarrow, ir.I16X8, ir.I16X8, 2)
	set(wasm.OpI16x8NarrowI32x4S, ir.OpSnarrow, ir.I32X4, ir.I32X4, 2)
	set(wasm.OpI16x8NarrowI32x4U, ir.OpUnarrow, ir.I32X4, ir.I32X4, 2)
	for i, first := range []wasm.Opcode{wasm.OpI16x8ExtendLowI8x16S, wasm.OpI32x4ExtendLowI16x8S, wasm.OpI64x2ExtendLowI32x4S} {
		for k, op := range []ir.Opcode{ir.OpSwidenLow, ir.OpSwidenHigh, ir.OpUwidenLow, ir.OpUwidenHigh} {
			set(first+wasm.Opcode(k), op, ints[i], ints[i], 1)
		}
	}

	// Floats.
	each(floats, ir.OpCeil, 1, wasm.OpF32x4Ceil, wasm.OpF64x2Ceil)
	each(floats, ir.OpFloor, 1, wasm.OpF32x4Floor, wasm.OpF64x2Floor)
	each(floats, ir.OpTrunc, 1, wasm.OpF32x4Trunc, wasm.OpF64x2Trunc)
	each(floats, ir.OpNearest, 1, wasm.OpF32x4Nearest, wasm.OpF64x2Nearest)
	each(floats, ir.OpFabs, 1, wasm.OpF32x4Abs, wasm.OpF64x2Abs)
	each(floats, ir.OpFneg, 1, wasm.OpF32x4Neg, wasm.OpF64x2Neg)
	each(floats, ir.OpSqrt, 1, wasm.OpF32x4Sqrt, wasm.OpF64x2Sqrt)
	each(floats, ir.OpFadd, 2, wasm.OpF32x4Add, wasm.OpF64x2Add)
	each(floats, ir.OpFsub, 2, wasm.OpF32x4Sub, wasm.OpF64x2Sub)
	each(floats, ir.OpFmul, 2, wasm.OpF32x4Mul, wasm.OpF64x2Mul)
	each(floats, ir.OpFdiv, 2, wasm.OpF32x4Div, wasm.OpF64x2Div)
	each(floats, ir.OpFmin, 2, wasm.OpF32x4Min, wasm.OpF64x2Min)
	each(floats, ir.OpFmax, 2, wasm.OpF32x4Max, wasm.OpF64x2Max)

	// Conversions.
	set(wasm.OpI32x4TruncSatF32x4S, ir.OpFcvtToSintSat, ir.F32X4, ir.I32X4, 1)
	set(wasm.OpI32x4TruncSatF32x4U, ir.OpFcvtToUintSat, ir.F32X4, ir.I32X4, 1)
	set(wasm.OpF32x4ConvertI32x4S, ir.OpFcvtFromSint, ir.I32X4, ir.F32X4, 1)
	set(wasm.OpF32x4ConvertI32x4U, ir.OpFcvtFromUint, ir.I32X4, ir.F32X4, 1)
	set(wasm.OpF32x4DemoteF64x2Zero, ir.OpFvdemote, ir.F64X2, ir.Invalid, 1)
	set(wasm.OpF64x2PromoteLowF32x4, ir.OpFvpromoteLow, ir.F32X4, ir.Invalid, 1)

	// Relaxed instructions whose strict twins are one of the results allowed.
	for relaxed, strict := range map[wasm.Opcode]wasm.Opcode{
		wasm.OpI8x16RelaxedSwizzle:     wasm.OpI8x16Swizzle,
		wasm.OpI32x4RelaxedTruncF32x4S: wasm.OpI32x4TruncSatF32x4S,
		wasm.OpI32x4RelaxedTruncF32x4U: wasm.OpI32x4TruncSatF32x4U,
		wasm.OpI8x16RelaxedLaneselect:  wasm.OpV128Bitselect,
		wasm.OpI16x8RelaxedLaneselect:  wasm.OpV128Bitselect,
		wasm.OpI32x4RelaxedLaneselect:  wasm.OpV128Bitselect,
		wasm.OpI64x2RelaxedLaneselect:  wasm.OpV128Bitselect,
		wasm.OpF32x4RelaxedMin:         wasm.OpF32x4Min,
		wasm.OpF32x4RelaxedMax:         wasm.OpF32x4Max,
		wasm.OpF64x2RelaxedMin:         wasm.OpF64x2Min,
		wasm.OpF64x2RelaxedMax:         wasm.OpF64x2Max,
		wasm.OpI16x8RelaxedQ15mulrS:    wasm.OpI16x8Q15mulrSatS,
	} {
		ops[relaxed] = ops[strict]
	}
	return ops
}()

// popVector pops a vector as one of the given type.
func (t *Translator) popVector(typ ir.Type) ir.Value { return t.asVector(t.pop(), typ) }

// asVector is v with other lanes. What a bitcast was made of is taken in its
// place, so that the bitcasts between instructions on the same lanes are not
// used.
func (t *Translator) asVector(v ir.Value, typ ir.Type) ir.Value {
	if inst, _ := t.f.ValueInst(v); inst != ir.NoInst && t.f.Inst(inst).Op == ir.OpBitcast {
		if x := t.f.Args(inst)[0]; t.f.ValueType(x).IsVector() {
			v = x
		}
	}
	if t.f.ValueType(v) == typ {
		return v
	}
	return t.b.Bitcast(typ, ir.MemLittle, v)
}

// pushVector pushes a vector of any lanes.
func (t *Translator) pushVector(v ir.Value) { t.push(t.asVector(v, ir.I8X16)) }

// vectorOp translates an instruction by its row.
func (t *Translator) vectorOp(r *vectorOp) {
	var args [3]ir.Value
	for i := int(r.n) - 1; i >= 0; i-- {
		args[i] = t.popVector(r.in)
	}
	if r.op == ir.OpBitselect { // the mask comes last in WebAssembly
		args[0], args[1], args[2] = args[2], args[0], args[1]
	}
	t.pushVector(t.value(ir.InstData{Op: r.op, Type: r.typ, Cond: r.cond}, args[:r.n]...))
}

// constant is the constant of sixteen bytes.
func (t *Translator) constant(low, high uint64) ir.Constant {
	var b [16]byte
	binary.LittleEndian.PutUint64(b[:], low)
	binary.LittleEndian.PutUint64(b[8:], high)
	return t.f.AddConstant(b[:])
}

func (t *Translator) zeroVector(typ ir.Type) ir.Value {
	return t.b.Vconst(typ, t.constant(0, 0))
}

// vector translates the instructions on vectors that have no row.
func (t *Translator) vector() bool {
	switch op := t.in.Op; op {
	case wasm.OpV128Const:
		t.push(t.b.Vconst(ir.I8X16, t.constant(t.in.Imm, t.in.Imm2)))
	case wasm.OpI8x16Shuffle:
		y := t.popVector(ir.I8X16)
		t.push(t.b.Shuffle(t.popVector(ir.I8X16), y, t.constant(t.in.Imm, t.in.Imm2)))

	// pmin(x, y) is y where y < x, else x: unlike min it takes x if one of them
	// is not a number or both are zeros.
	case wasm.OpF32x4Pmin, wasm.OpF64x2Pmin, wasm.OpF32x4Pmax, wasm.OpF64x2Pmax:
		typ := ir.F32X4
		if op == wasm.OpF64x2Pmin || op == wasm.OpF64x2Pmax {
			typ = ir.F64X2
		}
		cond := ir.LessThan
		if op == wasm.OpF32x4Pmax || op == wasm.OpF64x2Pmax {
			cond = ir.GreaterThan
		}
		y := t.popVector(typ)
		x := t.popVector(typ)
		mask := t.value(ir.InstData{Op: ir.OpFcmp, Type: typ, Cond: uint8(cond)}, y, x)
		t.pushVector(t.value(ir.InstData{Op: ir.OpBitselect, Type: typ}, t.asVector(mask, typ), y, x))

	case wasm.OpI32x4DotI16x8S:
		x, y := t.popPair(ir.I16X8)
		t.pushVector(t.dot(x, y))
	case wasm.OpI16x8RelaxedDotI8x16I7x16S:
		x, y := t.popPair(ir.I8X16)
		t.pushVector(t.dot(x, y))
	case wasm.OpI32x4RelaxedDotI8x16I7x16AddS:
		z := t.popVector(ir.I32X4)
		x, y := t.popPair(ir.I8X16)
		t.pushVector(t.binary(ir.OpIadd, t.pairSums(t.dot(x, y), ir.OpSwidenLow, ir.OpSwidenHigh), z))
	case wasm.OpI16x8ExtaddPairwiseI8x16S:
		t.pushVector(t.pairSums(t.popVector(ir.I8X16), ir.OpSwidenLow, ir.OpSwidenHigh))
	case wasm.OpI16x8ExtaddPairwiseI8x16U:
		t.pushVector(t.pairSums(t.popVector(ir.I8X16), ir.OpUwidenLow, ir.OpUwidenHigh))
	case wasm.OpI32x4ExtaddPairwiseI16x8S:
		t.pushVector(t.pairSums(t.popVector(ir.I16X8), ir.OpSwidenLow, ir.OpSwidenHigh))
	case wasm.OpI32x4ExtaddPairwiseI16x8U:
		t.pushVector(t.pairSums(t.popVector(ir.I16X8), ir.OpUwidenLow, ir.OpUwidenHigh))

	case wasm.OpF32x4RelaxedMadd, wasm.OpF32x4RelaxedNmadd, wasm.OpF64x2RelaxedMadd, wasm.OpF64x2RelaxedNmadd:
		typ := ir.F32X4
		if op == wasm.OpF64x2RelaxedMadd || op == wasm.OpF64x2RelaxedNmadd {
			typ = ir.F64X2
		}
		z := t.popVector(typ)
		x, y := t.popPair(typ)
		if op == wasm.OpF32x4RelaxedNmadd || op == wasm.OpF64x2RelaxedNmadd {
			x = t.value(ir.InstData{Op: ir.OpFneg, Type: typ}, x)
		}
		t.pushVector(t.value(ir.InstData{Op: ir.OpFma, Type: typ}, x, y, z))

	case wasm.OpF64x2ConvertLowI32x4S:
		t.convertLow(ir.OpSwidenLow, ir.OpFcvtFromSint)
	case wasm.OpF64x2ConvertLowI32x4U:
		t.convertLow(ir.OpUwidenLow, ir.OpFcvtFromUint)
	case wasm.OpI32x4TruncSatF64x2SZero, wasm.OpI32x4RelaxedTruncF64x2SZero:
		t.truncateZero(ir.OpFcvtToSintSat, ir.OpSnarrow)
	case wasm.OpI32x4TruncSatF64x2UZero, wasm.OpI32x4RelaxedTruncF64x2UZero:
		t.truncateZero(ir.OpFcvtToUintSat, ir.OpUunarrow)

	case wasm.OpV128AnyTrue:
		t.pushTruth(t.value(ir.InstData{Op: ir.OpVanyTrue, Type: ir.I8X16}, t.popVector(ir.I8X16)))
	case wasm.OpI8x16AllTrue, wasm.OpI16x8AllTrue, wasm.OpI32x4AllTrue, wasm.OpI64x2AllTrue:
		typ := intVectors[slices.Index(allTrue[:], op)]
		t.pushTruth(t.value(ir.InstData{Op: ir.OpVallTrue, Type: typ}, t.popVector(typ)))
	case wasm.OpI8x16Bitmask, wasm.OpI16x8Bitmask, wasm.OpI32x4Bitmask, wasm.OpI64x2Bitmask:
		typ := intVectors[slices.Index(bitmask[:], op)]
		t.push(t.value(ir.InstData{Op: ir.OpVhighBits, Type: ir.I32}, t.popVector(typ)))
	default:
		return t.vectorShift() || t.vectorLane() || t.vectorMemory()
	}
	return true
}

func (t *Translator) popPair(typ ir.Type) (x, y ir.Value) {
	y = t.popVector(typ)
	return t.popVector(typ), y
}

// wide is x with lanes of twice the width, one half of them.
func (t *Translator) wide(op ir.Opcode, x ir.Value) ir.Value {
	return t.value(ir.InstData{Op: op, Type: t.f.ValueType(x)}, x)
}

// dot multiplies signed lanes to products of twice the width and adds
// neighbours.
func (t *Translator) dot(x, y ir.Value) ir.Value {
	low := t.binary(ir.OpImul, t.wide(ir.OpSwidenLow, x), t.wide(ir.OpSwidenLow, y))
	high := t.binary(ir.OpImul, t.wide(ir.OpSwidenHigh, x), t.wide(ir.OpSwidenHigh, y))
	return t.binary(ir.OpIaddPairwise, low, high)
}

// pairSums adds neighbouring lanes to sums of twice the width.
func (t *Translator) pairSums(x ir.Value, low, high ir.Opcode) ir.Value {
	return t.binary(ir.OpIaddPairwise, t.wide(low, x), t.wide(high, x))
}

// convertLow converts the two low lanes of an i32x4 to an f64x2.
func (t *Translator) convertLow(widen, convert ir.Opcode) {
	x := t.wide(widen, t.popVector(ir.I32X4))
	t.pushVector(t.value(ir.InstData{Op: convert, Type: ir.F64X2}, x))
}

// truncateZero converts an f64x2 to the two low lanes of an i32x4; the others
// are zero.
func (t *Translator) truncateZero(convert, narrow ir.Opcode) {
	x := t.value(ir.InstData{Op: convert, Type: ir.I64X2}, t.popVector(ir.F64X2))
	t.pushVector(t.binary(narrow, x, t.zeroVector(ir.I64X2)))
}

// extmul translates a product of widened lanes, in order low_s, high_s, low_u,
// high_u from first on.
func (t *Translator) extmul(first wasm.Opcode, typ ir.Type) bool {
	k := int(t.in.Op) - int(first)
	if k < 0 || k > 3 {
		return false
	}
	op := [...]ir.Opcode{ir.OpSwidenLow, ir.OpSwidenHigh, ir.OpUwidenLow, ir.OpUwidenHigh}[k]
	x, y := t.popPair(typ)
	t.pushVector(t.binary(ir.OpImul, t.wide(op, x), t.wide(op, y)))
	return true
}

// vectorShift translates shifts and widening products.
func (t *Translator) vectorShift() bool {
	for i, first := range [...]wasm.Opcode{wasm.OpI8x16Shl, wasm.OpI16x8Shl, wasm.OpI32x4Shl, wasm.OpI64x2Shl} {
		if k := int(t.in.Op) - int(first); k >= 0 && k < 3 { // shl, shr_s, shr_u
			n := t.pop()
			x := t.popVector(intVectors[i])
			t.pushVector(t.binary([...]ir.Opcode{ir.OpIshl, ir.OpSshr, ir.OpUshr}[k], x, n))
			return true
		}
	}
	return t.extmul(wasm.OpI16x8ExtmulLowI8x16S, ir.I8X16) ||
		t.extmul(wasm.OpI32x4ExtmulLowI16x8S, ir.I16X8) ||
		t.extmul(wasm.OpI64x2ExtmulLowI32x4S, ir.I32X4)
}

// vectorLane translates what goes between vectors and their lanes.
func (t *Translator) vectorLane() bool {
	splat := func(typ ir.Type, v ir.Value) {
		t.pushVector(t.value(ir.InstData{Op: ir.OpSplat, Type: typ}, v))
	}
	extract := func(typ ir.Type) ir.Value { return t.b.Extractlane(t.popVector(typ), t.in.Lane) }
	replace := func(typ ir.Type, narrow bool) {
		v := t.pop()
		if narrow {
			v = t.convert(ir.OpIreduce, typ.Lane(), v)
		}
		t.pushVector(t.b.Insertlane(t.popVector(typ), v, t.in.Lane))
	}
	switch t.in.Op {
	case wasm.OpI8x16Splat:
		splat(ir.I8X16, t.convert(ir.OpIreduce, ir.I8, t.pop()))
	case wasm.OpI16x8Splat:
		splat(ir.I16X8, t.convert(ir.OpIreduce, ir.I16, t.pop()))
	case wasm.OpI32x4Splat:
		splat(ir.I32X4, t.pop())
	case wasm.OpI64x2Splat:
		splat(ir.I64X2, t.pop())
	case wasm.OpF32x4Splat:
		splat(ir.F32X4, t.pop())
	case wasm.OpF64x2Splat:
		splat(ir.F64X2, t.pop())
	case wasm.OpI8x16ExtractLaneS:
		t.push(t.convert(ir.OpSextend, ir.I32, extract(ir.I8X16)))
	case wasm.OpI8x16ExtractLaneU:
		t.push(t.convert(ir.OpUextend, ir.I32, extract(ir.I8X16)))
	case wasm.OpI16x8ExtractLaneS:
		t.push(t.convert(ir.OpSextend, ir.I32, extract(ir.I16X8)))
	case wasm.OpI16x8ExtractLaneU:
		t.push(t.convert(ir.OpUextend, ir.I32, extract(ir.I16X8)))
	case wasm.OpI32x4ExtractLane:
		t.push(extract(ir.I32X4))
	case wasm.OpI64x2ExtractLane:
		t.push(extract(ir.I64X2))
	case wasm.OpF32x4ExtractLane:
		t.push(extract(ir.F32X4))
	case wasm.OpF64x2ExtractLane:
		t.push(extract(ir.F64X2))
	case wasm.OpI8x16ReplaceLane:
		replace(ir.I8X16, true)
	case wasm.OpI16x8ReplaceLane:
		replace(ir.I16X8, true)
	case wasm.OpI32x4ReplaceLane:
		replace(ir.I32X4, false)
	case wasm.OpI64x2ReplaceLane:
		replace(ir.I64X2, false)
	case wasm.OpF32x4ReplaceLane:
		replace(ir.F32X4, false)
	case wasm.OpF64x2ReplaceLane:
		replace(ir.F64X2, false)
	default:
		return false
	}
	return true
}

// vectorMemory translates loads and stores of vectors and of lanes.
func (t *Translator) vectorMemory() bool {
	switch op := t.in.Op; op {
	case wasm.OpV128Load:
		t.push(t.loadMemory(ir.OpLoad, ir.I8X16, 16))
	case wasm.OpV128Store:
		v := t.popVector(ir.I8X16)
		t.storeMemory(v, 16)
	case wasm.OpV128Load8x8S, wasm.OpV128Load8x8U, wasm.OpV128Load16x4S, wasm.OpV128Load16x4U, wasm.OpV128Load32x2S, wasm.OpV128Load32x2U:
		wide := [...]ir.Opcode{ir.OpSload8x8, ir.OpUload8x8, ir.OpSload16x4, ir.OpUload16x4, ir.OpSload32x2, ir.OpUload32x2}
		t.pushVector(t.loadMemory(wide[op-wasm.OpV128Load8x8S], ir.I64, 8)) // typed by the address
	case wasm.OpV128Load8Splat, wasm.OpV128Load16Splat, wasm.OpV128Load32Splat, wasm.OpV128Load64Splat:
		typ := intVectors[op-wasm.OpV128Load8Splat]
		lane := typ.Lane()
		t.pushVector(t.value(ir.InstData{Op: ir.OpSplat, Type: typ}, t.loadMemory(ir.OpLoad, lane, int8(lane.Bytes()))))
	case wasm.OpV128Load32Zero:
		t.pushVector(t.b.ScalarToVector(ir.I32X4, t.loadMemory(ir.OpLoad, ir.I32, 4)))
	case wasm.OpV128Load64Zero:
		t.pushVector(t.b.ScalarToVector(ir.I64X2, t.loadMemory(ir.OpLoad, ir.I64, 8)))
	case wasm.OpV128Load8Lane, wasm.OpV128Load16Lane, wasm.OpV128Load32Lane, wasm.OpV128Load64Lane:
		typ := intVectors[op-wasm.OpV128Load8Lane]
		lane := typ.Lane()
		x := t.popVector(typ)
		t.pushVector(t.b.Insertlane(x, t.loadMemory(ir.OpLoad, lane, int8(lane.Bytes())), t.in.Lane))
	case wasm.OpV128Store8Lane, wasm.OpV128Store16Lane, wasm.OpV128Store32Lane, wasm.OpV128Store64Lane:
		typ := intVectors[op-wasm.OpV128Store8Lane]
		t.storeMemory(t.b.Extractlane(t.popVector(typ), t.in.Lane), int8(typ.Lane().Bytes()))
	default:
		return false
	}
	return true
}

// loadMemory loads from the address on the stack.
func (t *Translator) loadMemory(op ir.Opcode, typ ir.Type, size int8) ir.Value {
	addr, off := t.heapAddress(t.in.Index, t.pop(), t.in.Imm, size)
	return t.value(ir.InstData{Op: op, Type: typ, Flags: t.regions.heap, Imm: int64(off)}, addr)
}

// storeMemory stores v to the address on the stack.
func (t *Translator) storeMemory(v ir.Value, size int8) {
	addr, off := t.heapAddress(t.in.Index, t.pop(), t.in.Imm, size)
	t.store(t.regions.heap, v, addr, off)
}
