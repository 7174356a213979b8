package wasm

// Instructions that are typed by rules of their own: control, variables,
// tables, memories and references. Aggregates are in validate_gc.go.

func (v *FuncValidator) special(in *Instr) {
	switch in.Op {
	case OpLocalGet:
		if v.local(in) {
			if int(in.Index) < len(v.unset) && v.unset[in.Index] {
				v.invalid(in, "uninitialized local %d", in.Index)
				return
			}
			v.push(v.locals[in.Index])
		}
	case OpLocalSet:
		if v.local(in) {
			v.pop(in, v.locals[in.Index])
			v.initialize(in.Index)
		}
	case OpLocalTee:
		if v.local(in) {
			v.pop(in, v.locals[in.Index])
			v.initialize(in.Index)
			v.push(v.locals[in.Index])
		}
	case OpEnd:
		v.end(in)
	case OpBr:
		if f := v.label(in, in.Index); f != nil {
			v.popTypes(in, f.LabelTypes())
			v.setUnreachable()
		}
	case OpBrIf:
		v.pop(in, I32)
		if f := v.label(in, in.Index); f != nil {
			v.popTypes(in, f.LabelTypes())
			v.pushTypes(f.LabelTypes())
		}
	case OpBrTable:
		v.brTable(in)
	case OpBlock, OpLoop:
		v.enter(in)
	case OpIf:
		v.pop(in, I32)
		v.enter(in)
	case OpElse:
		if f := &v.frames[len(v.frames)-1]; f.Op != OpIf {
			v.r.fail(Malformed, in.Offset, "END opcode expected")
			return
		}
		v.popFrame(in)
		if v.r.err == nil {
			v.push1Frame(OpElse, v.popped.Params, v.popped.Results)
		}
	case OpTryTable:
		v.tryTable(in)
	case OpUnreachable:
		v.setUnreachable()
	case OpReturn:
		v.popTypes(in, v.results)
		v.setUnreachable()
	case OpDrop:
		v.operand = v.popAny(in)
	case OpSelect:
		v.pop(in, I32)
		a := v.popAny(in)
		b := v.popAny(in)
		if a == Bottom {
			a = b
		}
		if a.IsRef() || b.IsRef() || b != Bottom && a != b {
			v.mismatch(in, "select without a type needs two numbers of the same type, not %v and %v", b, a)
			return
		}
		v.operand = a
		v.push(a)
	case OpSelectTyped:
		if len(in.Types) != 1 {
			v.invalid(in, "invalid result arity: select has %d types", len(in.Types))
			return
		}
		t := in.Types[0]
		v.checkValType(in, t)
		v.pop(in, I32)
		v.pop(in, t)
		v.pop(in, t)
		v.operand = t
		v.push(t)
	default:
		v.special2(in)
	}
}

func (v *FuncValidator) special2(in *Instr) {
	switch in.Op {
	case OpCall, OpReturnCall:
		if int64(in.Index) >= int64(len(v.env.Funcs)) {
			v.invalid(in, "unknown function %d", in.Index)
			return
		}
		v.call(in, v.env.FuncTypeOf(in.Index), in.Op == OpReturnCall)
	case OpCallIndirect, OpReturnCallIndirect:
		t := v.table(in, in.Index2)
		f := v.funcType(in, in.Index)
		if t == nil || f == nil {
			return
		}
		if !v.env.IsSub(t.Elem, FuncRef) {
			v.mismatch(in, "table %d of %v does not hold functions", in.Index2, t.Elem)
			return
		}
		v.pop(in, t.Address())
		v.call(in, f, in.Op == OpReturnCallIndirect)
	case OpCallRef, OpReturnCallRef:
		if f := v.funcType(in, in.Index); f != nil {
			v.operand = v.pop(in, Ref(true, HeapIndex(in.Index)))
			v.call(in, f, in.Op == OpReturnCallRef)
		}
	case OpThrow:
		if t := v.tag(in, in.Index); t != nil {
			v.popTypes(in, t.Params)
			v.setUnreachable()
		}
	case OpThrowRef:
		v.pop(in, ExnRef)
		v.setUnreachable()
	case OpGlobalGet:
		if int64(in.Index) >= int64(len(v.env.Globals)) {
			v.invalid(in, "unknown global %d", in.Index)
			return
		}
		v.push(v.env.Globals[in.Index].Type.Type)
	case OpGlobalSet:
		if int64(in.Index) >= int64(len(v.env.Globals)) {
			v.invalid(in, "unknown global %d", in.Index)
			return
		}
		if g := v.env.Globals[in.Index].Type; !g.Mutable {
			v.invalid(in, "immutable global %d", in.Index)
		} else {
			v.pop(in, g.Type)
		}
	case OpMemorySize, OpMemoryGrow, OpMemoryFill, OpMemoryCopy, OpMemoryInit:
		v.bulkMemory(in)
	case OpTableGet, OpTableSet, OpTableSize, OpTableGrow, OpTableFill, OpTableCopy, OpTableInit:
		v.bulkTable(in)
	case OpRefNull:
		t := Ref(true, in.Heap)
		v.checkValType(in, t)
		v.push(t)
	case OpRefIsNull:
		v.operand = v.popRef(in)
		v.push(I32)
	case OpRefFunc:
		if int64(in.Index) >= int64(len(v.env.Funcs)) {
			v.invalid(in, "unknown function %d", in.Index)
			return
		}
		if !v.isConst && !v.env.Declared(in.Index) {
			v.invalid(in, "undeclared function reference: function %d", in.Index)
			return
		}
		v.push(Ref(false, HeapIndex(v.env.Funcs[in.Index].Type)))
	case OpRefAsNonNull:
		v.operand = v.popRef(in)
		v.push(nonNull(v.operand))
	case OpBrOnNull:
		v.operand = v.popRef(in)
		if f := v.label(in, in.Index); f != nil {
			v.popTypes(in, f.LabelTypes())
			v.pushTypes(f.LabelTypes())
			v.push(nonNull(v.operand))
		}
	case OpBrOnNonNull:
		v.operand = v.popRef(in)
		if f := v.label(in, in.Index); f != nil {
			ts := f.LabelTypes()
			if len(ts) == 0 || !v.env.IsSub(nonNull(v.operand), ts[len(ts)-1]) {
				v.mismatch(in, "label %d takes %s, not a reference of type %v", in.Index, typeList(ts), v.operand)
				return
			}
			v.popTypes(in, ts[:len(ts)-1])
			v.pushTypes(ts[:len(ts)-1])
		}
	default:
		v.aggregate(in)
	}
}

func nonNull(t ValType) ValType {
	if t == Bottom {
		return Ref(false, HeapBottom)
	}
	return Ref(false, t.Heap())
}

func (v *FuncValidator) local(in *Instr) bool {
	if int64(in.Index) >= int64(len(v.locals)) {
		v.invalid(in, "unknown local %d", in.Index)
		return false
	}
	return true
}

func (v *FuncValidator) initialize(l uint32) {
	if int(l) < len(v.unset) && v.unset[l] {
		v.unset[l] = false
		v.initialized = append(v.initialized, l)
	}
}

// label finds the frame of a label.
func (v *FuncValidator) label(in *Instr, l uint32) *Frame {
	if int64(l) >= int64(len(v.frames)) {
		v.invalid(in, "unknown label %d", l)
		return nil
	}
	return &v.frames[len(v.frames)-1-int(l)]
}

func (v *FuncValidator) table(in *Instr, i uint32) *TableType {
	if int64(i) >= int64(len(v.env.Tables)) {
		v.invalid(in, "unknown table %d", i)
		return nil
	}
	return &v.env.Tables[i].Type
}

func (v *FuncValidator) memory(in *Instr, i uint32) *MemoryType {
	if int64(i) >= int64(len(v.env.Memories)) {
		v.invalid(in, "unknown memory %d", i)
		return nil
	}
	return &v.env.Memories[i]
}

func (v *FuncValidator) tag(in *Instr, i uint32) *FuncType {
	if int64(i) >= int64(len(v.env.Tags)) {
		v.invalid(in, "unknown tag %d", i)
		return nil
	}
	return &v.env.Types[v.env.Tags[i].Type].Func
}

func (v *FuncValidator) funcType(in *Instr, i uint32) *FuncType {
	if int64(i) >= int64(len(v.env.Types)) {
		v.invalid(in, "unknown type %d", i)
		return nil
	}
	if v.env.Types[i].Kind != CompositeFunc {
		v.mismatch(in, "type %d is not a function type", i)
		return nil
	}
	return &v.env.Types[i].Func
}

// dataSegment checks a data segment. Their number must be known before the
// code section, so only the data count section counts.
func (v *FuncValidator) dataSegment(in *Instr, i uint32) bool {
	if !v.env.HasDataCount {
		v.r.fail(Malformed, in.Offset, "data count section required")
		return false
	}
	if i >= v.env.DataCount {
		v.invalid(in, "unknown data segment %d", i)
		return false
	}
	return true
}

func (v *FuncValidator) elemSegment(in *Instr, i uint32) *Elem {
	if int64(i) >= int64(len(v.env.Elems)) {
		v.invalid(in, "unknown elem segment %d", i)
		return nil
	}
	return &v.env.Elems[i]
}

// checkValType checks a type that occurs in an immediate.
func (v *FuncValidator) checkValType(in *Instr, t ValType) {
	if f := typeFeatures(t); !v.env.features.Has(f) {
		v.r.fail(Unsupported, in.Offset, "type %v needs the feature %v, which is not enabled", t, f&^v.env.features)
	}
	v.checkHeapType(in, t.Heap(), t.IsRef())
}

func (v *FuncValidator) checkHeapType(in *Instr, h HeapType, isRef bool) {
	if isRef && h.IsIndex() && int64(h.Index()) >= int64(len(v.env.Types)) {
		v.invalid(in, "unknown type %d", h.Index())
	}
}

// blockType is the parameters and results of a block.
func (v *FuncValidator) blockType(in *Instr) (params, results []ValType) {
	switch {
	case in.Block.IsIndex:
		if f := v.funcType(in, in.Block.Index); f != nil {
			return f.Params, f.Results
		}
	case in.Block.Result != 0:
		v.checkValType(in, in.Block.Result)
		return nil, v.one(in.Block.Result)
	}
	return nil, nil
}

// enter opens a block. Nesting is bounded by the size of the body alone: a
// frame is a small struct in a slice.
func (v *FuncValidator) enter(in *Instr) {
	params, results := v.blockType(in)
	if v.r.err != nil {
		return
	}
	v.popTypes(in, params)
	v.push1Frame(in.Op, params, results)
}

func (v *FuncValidator) end(in *Instr) {
	f := &v.frames[len(v.frames)-1]
	if f.Op == OpIf && !v.env.isSubTypes(f.Params, f.Results) {
		v.mismatch(in, "if without else has the type %s -> %s", typeList(f.Params), typeList(f.Results))
		return
	}
	v.popFrame(in)
	if v.r.err != nil {
		return
	}
	if len(v.frames) > 0 {
		v.pushTypes(v.popped.Results)
		return
	}
	if v.r.left() > 0 {
		v.r.fail(Malformed, v.r.offset(), "END opcode expected: instructions after the end of the body")
	}
}

func (v *FuncValidator) call(in *Instr, f *FuncType, tail bool) {
	v.popTypes(in, f.Params)
	if !tail {
		v.pushTypes(f.Results)
		return
	}
	if !v.env.isSubTypes(f.Results, v.results) {
		v.mismatch(in, "the callee returns %s, this function %s", typeList(f.Results), typeList(v.results))
		return
	}
	v.setUnreachable()
}

// brTable validates a br_table. A label that occurs again, or whose types are
// those of the label before it, is not checked again, so that long tables cost
// time in proportion to their length.
func (v *FuncValidator) brTable(in *Instr) {
	v.pop(in, I32)
	n := len(in.Labels) - 1
	f := v.label(in, in.Labels[n])
	if f == nil {
		return
	}
	last := f.LabelTypes()
	arity := len(last)
	v.tables++
	for len(v.checked) < len(v.frames) {
		v.checked = append(v.checked, 0)
	}
	for _, l := range in.Labels[:n] {
		f := v.label(in, l)
		if f == nil {
			return
		}
		if v.checked[len(v.frames)-1-int(l)] == v.tables {
			continue
		}
		v.checked[len(v.frames)-1-int(l)] = v.tables
		ts := f.LabelTypes()
		if len(ts) != arity {
			v.mismatch(in, "labels take different numbers of operands: %s and %s", typeList(ts), typeList(last))
			return
		}
		if arity == 0 || &ts[0] == &last[0] {
			continue // the default label's types are checked below
		}
		v.peekTypes(in, ts)
		if v.r.err != nil {
			return
		}
	}
	v.popTypes(in, last)
	v.setUnreachable()
}

// peekTypes checks that operands of types want are on the stack and leaves them
// there.
func (v *FuncValidator) peekTypes(in *Instr, want []ValType) {
	n := len(v.stack)
	for i := range want {
		at := n - len(want) + i
		if at < v.height {
			if v.unreachable {
				continue
			}
		} else if v.env.IsSub(v.stack[at], want[i]) {
			continue
		}
		v.mismatchTypes(in, want, n)
		return
	}
}

func (v *FuncValidator) tryTable(in *Instr) {
	params, results := v.blockType(in)
	if v.r.err != nil {
		return
	}
	for i := range in.Catches {
		c := &in.Catches[i]
		var got []ValType
		if c.Kind == CatchTag || c.Kind == CatchTagRef {
			t := v.tag(in, c.Tag)
			if t == nil {
				return
			}
			got = t.Params
		}
		f := v.label(in, c.Label)
		if f == nil {
			return
		}
		want := f.LabelTypes()
		ref := c.Kind == CatchTagRef || c.Kind == CatchAllRef
		ok := true
		if ref {
			ok = len(want) > 0 && v.env.IsSub(Ref(false, HeapExn), want[len(want)-1])
			want = want[:max(0, len(want)-1)]
		}
		if !ok || !v.env.isSubTypes(got, want) {
			v.mismatch(in, "catch clause %d does not match label %d, which takes %s", i, c.Label, typeList(f.LabelTypes()))
			return
		}
	}
	v.popTypes(in, params)
	v.push1Frame(OpTryTable, params, results)
}

// narrower is the type of a length that must fit both of two address types.
func narrower(a, b ValType) ValType {
	if a == I32 || b == I32 {
		return I32
	}
	return I64
}

func (v *FuncValidator) bulkMemory(in *Instr) {
	index := in.Index
	if in.Op == OpMemoryInit {
		index = in.Index2
	}
	m := v.memory(in, index)
	if m == nil {
		return
	}
	a := m.Address()
	switch in.Op {
	case OpMemorySize:
		v.push(a)
	case OpMemoryGrow:
		v.pop(in, a)
		v.push(a)
	case OpMemoryFill:
		v.popTypes(in, v.list(a, I32, a))
	case OpMemoryCopy:
		if src := v.memory(in, in.Index2); src != nil {
			v.popTypes(in, v.list(a, src.Address(), narrower(a, src.Address())))
		}
	case OpMemoryInit:
		if v.dataSegment(in, in.Index) {
			v.popTypes(in, v.list(a, I32, I32))
		}
	}
}

func (v *FuncValidator) bulkTable(in *Instr) {
	index := in.Index
	if in.Op == OpTableInit {
		index = in.Index2
	}
	t := v.table(in, index)
	if t == nil {
		return
	}
	a := t.Address()
	switch in.Op {
	case OpTableGet:
		v.pop(in, a)
		v.push(t.Elem)
	case OpTableSet:
		v.popTypes(in, v.list(a, t.Elem))
	case OpTableSize:
		v.push(a)
	case OpTableGrow:
		v.popTypes(in, v.list(t.Elem, a))
		v.push(a)
	case OpTableFill:
		v.popTypes(in, v.list(a, t.Elem, a))
	case OpTableCopy:
		src := v.table(in, in.Index2)
		if src == nil {
			return
		}
		if !v.env.IsSub(src.Elem, t.Elem) {
			v.mismatch(in, "table %d of %v cannot be copied to table %d of %v", in.Index2, src.Elem, in.Index, t.Elem)
			return
		}
		v.popTypes(in, v.list(a, src.Address(), narrower(a, src.Address())))
	case OpTableInit:
		s := v.elemSegment(in, in.Index)
		if s == nil {
			return
		}
		if !v.env.IsSub(s.Type, t.Elem) {
			v.mismatch(in, "element segment %d of %v cannot be copied to table %d of %v", in.Index, s.Type, in.Index2, t.Elem)
			return
		}
		v.popTypes(in, v.list(a, I32, I32))
	}
}

// list is a short list of types, valid until the pool is next reset.
func (v *FuncValidator) list(ts ...ValType) []ValType {
	n := len(v.pool)
	v.pool = append(v.pool, ts...)
	l := v.pool[n:]
	v.pool = v.pool[:n] // used at once, and never kept
	return l
}
