package wasm

// Aggregates, casts and i31.

func (v *FuncValidator) aggregate(in *Instr) {
	switch in.Op {
	case OpStructNew, OpStructNewDefault, OpStructGet, OpStructGetS, OpStructGetU, OpStructSet:
		v.structOp(in)
	case OpRefTest, OpRefTestNull:
		v.checkValType(in, Ref(true, in.Heap))
		if v.r.err == nil {
			v.operand = v.pop(in, Ref(true, v.env.top(in.Heap)))
			v.push(I32)
		}
	case OpRefCast, OpRefCastNull:
		v.checkValType(in, Ref(true, in.Heap))
		if v.r.err == nil {
			v.operand = v.pop(in, Ref(true, v.env.top(in.Heap)))
			v.push(Ref(in.Op == OpRefCastNull, in.Heap))
		}
	case OpBrOnCast, OpBrOnCastFail:
		v.brOnCast(in)
	case OpAnyConvertExtern:
		v.push(convert(v.pop(in, ExternRef), HeapAny))
	case OpExternConvertAny:
		v.push(convert(v.pop(in, AnyRef), HeapExtern))
	case OpRefI31:
		v.pop(in, I32)
		v.push(Ref(false, HeapI31))
	case OpI31GetS, OpI31GetU:
		v.pop(in, I31Ref)
		v.push(I32)
	case OpRefEq:
		v.popTypes(in, v.list(EqRef, EqRef))
		v.push(I32)
	case OpArrayLen:
		v.pop(in, Ref(true, HeapArray))
		v.push(I32)
	default:
		v.arrayOp(in)
	}
}

// convert is the type of a reference of type t converted to hierarchy h: it
// keeps its nullability.
func convert(t ValType, h HeapType) ValType {
	return Ref(t != Bottom && t.Nullable(), h)
}

func (v *FuncValidator) composite(in *Instr, i uint32, kind CompositeKind, what string) *SubType {
	if int64(i) >= int64(len(v.env.Types)) {
		v.invalid(in, "unknown type %d", i)
		return nil
	}
	t := &v.env.Types[i]
	if t.Kind != kind {
		v.mismatch(in, "type %d is not %s type", i, what)
		return nil
	}
	return t
}

func (v *FuncValidator) structOp(in *Instr) {
	t := v.composite(in, in.Index, CompositeStruct, "a struct")
	if t == nil {
		return
	}
	ref := HeapIndex(in.Index)
	switch in.Op {
	case OpStructNew:
		for i := len(t.Fields) - 1; i >= 0 && v.r.err == nil; i-- {
			v.pop(in, t.Fields[i].Type.Unpacked())
		}
		v.push(Ref(false, ref))
		return
	case OpStructNewDefault:
		for i, f := range t.Fields {
			if !f.Type.Defaultable() {
				v.mismatch(in, "field %d of type %d has no default value", i, in.Index)
				return
			}
		}
		v.push(Ref(false, ref))
		return
	}
	if int64(in.Index2) >= int64(len(t.Fields)) {
		v.invalid(in, "unknown field %d", in.Index2)
		return
	}
	f := t.Fields[in.Index2]
	if in.Op == OpStructSet {
		if !f.Mutable {
			v.invalid(in, "immutable field %d of type %d", in.Index2, in.Index)
			return
		}
		v.popTypes(in, v.list(Ref(true, ref), f.Type.Unpacked()))
		return
	}
	if f.Type.IsPacked() != (in.Op != OpStructGet) {
		v.mismatch(in, "field %d of type %d has the storage type %v", in.Index2, in.Index, f.Type)
		return
	}
	v.pop(in, Ref(true, ref))
	v.push(f.Type.Unpacked())
}

func (v *FuncValidator) arrayOp(in *Instr) {
	t := v.composite(in, in.Index, CompositeArray, "an array")
	if t == nil {
		return
	}
	e := t.Fields[0]
	val := e.Type.Unpacked()
	ref := Ref(true, HeapIndex(in.Index))
	newRef := Ref(false, HeapIndex(in.Index))
	switch in.Op {
	case OpArraySet, OpArrayFill, OpArrayCopy, OpArrayInitData, OpArrayInitElem:
		if !e.Mutable {
			v.invalid(in, "immutable array: type %d", in.Index)
			return
		}
	}
	switch in.Op {
	case OpArrayNew:
		v.popTypes(in, v.list(val, I32))
		v.push(newRef)
	case OpArrayNewDefault:
		if !e.Type.Defaultable() {
			v.mismatch(in, "elements of type %d have no default value", in.Index)
			return
		}
		v.pop(in, I32)
		v.push(newRef)
	case OpArrayNewFixed:
		if int64(in.Index2) > int64(v.env.limits.NewFixed) {
			v.r.fail(LimitExceeded, in.Offset, "array too long: %d operands, the limit is %d", in.Index2, v.env.limits.NewFixed)
			return
		}
		for i := uint32(0); i < in.Index2 && v.r.err == nil; i++ {
			v.pop(in, val)
		}
		v.push(newRef)
	case OpArrayNewData:
		if v.numericArray(in, e.Type) && v.dataSegment(in, in.Index2) {
			v.popTypes(in, v.list(I32, I32))
			v.push(newRef)
		}
	case OpArrayNewElem:
		if v.elemMatches(in, e.Type) {
			v.popTypes(in, v.list(I32, I32))
			v.push(newRef)
		}
	case OpArrayGet, OpArrayGetS, OpArrayGetU:
		if e.Type.IsPacked() != (in.Op != OpArrayGet) {
			v.mismatch(in, "elements of type %d have the storage type %v", in.Index, e.Type)
			return
		}
		v.popTypes(in, v.list(ref, I32))
		v.push(val)
	case OpArraySet:
		v.popTypes(in, v.list(ref, I32, val))
	case OpArrayFill:
		v.popTypes(in, v.list(ref, I32, val, I32))
	case OpArrayCopy:
		src := v.composite(in, in.Index2, CompositeArray, "an array")
		if src == nil {
			return
		}
		if !v.env.IsSub(src.Fields[0].Type, e.Type) {
			v.invalid(in, "array types do not match: %v and %v", src.Fields[0].Type, e.Type)
			return
		}
		v.popTypes(in, v.list(ref, I32, Ref(true, HeapIndex(in.Index2)), I32, I32))
	case OpArrayInitData:
		if v.numericArray(in, e.Type) && v.dataSegment(in, in.Index2) {
			v.popTypes(in, v.list(ref, I32, I32, I32))
		}
	case OpArrayInitElem:
		if v.elemMatches(in, e.Type) {
			v.popTypes(in, v.list(ref, I32, I32, I32))
		}
	default:
		panic("wasm: no validation rule for " + in.Op.String())
	}
}

func (v *FuncValidator) numericArray(in *Instr, t ValType) bool {
	if t.IsRef() {
		v.invalid(in, "array type is not numeric or vector")
		return false
	}
	return true
}

func (v *FuncValidator) elemMatches(in *Instr, t ValType) bool {
	s := v.elemSegment(in, in.Index2)
	if s == nil {
		return false
	}
	if !v.env.IsSub(s.Type, t) {
		v.mismatch(in, "element segment %d of %v does not match elements of type %v", in.Index2, s.Type, t)
		return false
	}
	return true
}

func (v *FuncValidator) brOnCast(in *Instr) {
	from, to := Ref(in.Cast&1 != 0, in.Heap), Ref(in.Cast&2 != 0, in.Heap2)
	v.checkValType(in, from)
	v.checkValType(in, to)
	if v.r.err != nil {
		return
	}
	if !v.env.IsSub(to, from) {
		v.mismatch(in, "%v is no subtype of %v", to, from)
		return
	}
	f := v.label(in, in.Index)
	if f == nil {
		return
	}
	// A failed cast leaves what is not of the target type: not null either, if
	// null would have passed.
	rest := from
	if to.Nullable() {
		rest = Ref(false, from.Heap())
	}
	taken, passed := to, rest
	if in.Op == OpBrOnCastFail {
		taken, passed = rest, to
	}
	ts := f.LabelTypes()
	if len(ts) == 0 || !v.env.IsSub(taken, ts[len(ts)-1]) {
		v.mismatch(in, "label %d takes %s, not a reference of type %v", in.Index, typeList(ts), taken)
		return
	}
	v.operand = v.pop(in, from)
	v.popTypes(in, ts[:len(ts)-1])
	v.pushTypes(ts[:len(ts)-1])
	v.push(passed)
}
