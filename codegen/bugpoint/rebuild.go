package bugpoint

import "github.com/davit-wasm/davit/codegen/ir"

// rebuilder copies a function into a new one without what is not used: aliases,
// constants, entities of the preamble, and blocks that cannot be reached unless
// those are wanted. Values, instructions and blocks are numbered anew in the
// order of the layout.
type rebuilder struct {
	from, to *ir.Function
	values   []ir.Value // by old value
	blocks   []ir.Block // by old block
	used     []bool     // by old value: in an argument
	sigs     []uint32   // by old reference; none where it is not used
	funcs    []uint32
	slots    []uint32
	globals  []uint32
	regions  bool
	ok       bool
}

const unused = ir.None

// rebuild is a copy of f; ok is false if something is used that is not there.
func rebuild(f *ir.Function, unreachable bool) (g *ir.Function, ok bool) {
	if f.Entry() == ir.NoBlock {
		return nil, false
	}
	r := rebuilder{from: f, to: ir.NewFunction(f.Name, f.Sig), ok: true}
	r.blocks = make([]ir.Block, f.NumBlocks())
	for b := range r.blocks {
		r.blocks[b] = ir.NoBlock
	}
	var walk ir.Walk
	reached := make([]bool, f.NumBlocks())
	for _, b := range f.PostOrder(&walk) {
		reached[b] = true
	}
	for b := f.Entry(); b != ir.NoBlock; b = f.NextBlock(b) {
		if reached[b] || unreachable {
			n := r.to.AddBlock()
			r.to.AppendBlock(n)
			r.to.SetCold(n, f.Cold(b))
			r.blocks[b] = n
		}
	}
	r.find()
	r.preamble()
	r.body()
	return r.to, r.ok
}

// each calls do for every instruction that is kept.
func (r *rebuilder) each(do func(b ir.Block, inst ir.Inst)) {
	for b := r.from.Entry(); b != ir.NoBlock; b = r.from.NextBlock(b) {
		if r.blocks[b] == ir.NoBlock {
			continue
		}
		for i := r.from.FirstInst(b); i != ir.NoInst; i = r.from.NextInst(i) {
			do(b, i)
		}
	}
}

func marks(n int) []uint32 {
	m := make([]uint32, n)
	for i := range m {
		m[i] = unused
	}
	return m
}

// need marks an entity as used.
func (r *rebuilder) need(m []uint32, i uint32) {
	if int(i) >= len(m) {
		r.ok = false
		return
	}
	m[i] = 0
}

// find marks what is used.
func (r *rebuilder) find() {
	f := r.from
	r.used = make([]bool, f.NumValues())
	r.sigs, r.funcs = marks(len(f.Sigs)), marks(len(f.ExtFuncs))
	r.slots, r.globals = marks(len(f.StackSlots)), marks(len(f.Globals))
	use := func(v ir.Value) {
		if v = f.Resolve(v); int(v) < len(r.used) {
			r.used[v] = true
		}
	}
	r.each(func(_ ir.Block, i ir.Inst) {
		d := f.Inst(i)
		for _, v := range f.Args(i) {
			use(v)
		}
		for k := range f.Dests(i) {
			for _, v := range f.DestArgs(i, k) {
				use(v)
			}
		}
		if _, ok := d.Flags.Region(); ok {
			r.regions = true
		}
		switch d.Op.Format() {
		case ir.FormatCall, ir.FormatFuncAddr:
			r.need(r.funcs, d.Ref)
		case ir.FormatCallIndirect:
			r.need(r.sigs, d.Ref)
		case ir.FormatTryCall, ir.FormatTryCallIndirect:
			if d.Op == ir.OpTryCall {
				r.need(r.funcs, d.Ref)
			} else {
				r.need(r.sigs, d.Ref)
			}
			t := &f.ExceptionTables[d.Imm]
			r.need(r.sigs, uint32(t.Sig))
			for _, h := range t.Handlers {
				if h.Kind == ir.HandlerContext {
					use(h.Context)
				}
			}
		case ir.FormatStackAddr:
			r.need(r.slots, d.Ref)
		case ir.FormatUnaryGlobalValue:
			r.need(r.globals, d.Ref)
		}
		for _, e := range f.StackMap(i) {
			r.need(r.slots, uint32(e.Slot))
		}
		for _, t := range f.DebugTags(i) {
			if t.Kind == ir.DebugStackSlot {
				r.need(r.slots, t.Value)
			}
		}
	})
	for i := range r.funcs {
		if r.funcs[i] != unused {
			r.need(r.sigs, uint32(f.ExtFuncs[i].Sig))
		}
	}
	if f.StackLimit != ir.NoGlobal {
		r.need(r.globals, uint32(f.StackLimit))
	}
	for _, t := range f.DynamicTypes {
		r.need(r.globals, uint32(t.Scale))
	}
	// A base may come before or after what needs it, and chains have no cycles
	// that matter: everything is marked once.
	for again := true; again; {
		again = false
		for i := range f.Globals {
			g := &f.Globals[i]
			if r.globals[i] == unused || g.Kind != ir.GlobalLoad && g.Kind != ir.GlobalIAddImm {
				continue
			}
			if _, ok := g.Flags.Region(); ok {
				r.regions = true
			}
			if int(g.Base) < len(r.globals) && r.globals[g.Base] == unused {
				r.globals[g.Base], again = 0, true
			}
		}
	}
}

// preamble copies what is marked.
func (r *rebuilder) preamble() {
	f, g := r.from, r.to
	if r.regions {
		g.Regions = append(g.Regions, f.Regions...)
	}
	for i := range r.sigs {
		if r.sigs[i] != unused {
			r.sigs[i] = uint32(g.AddSig(f.Sigs[i]))
		}
	}
	for i := range r.funcs {
		if r.funcs[i] != unused {
			e := f.ExtFuncs[i]
			e.Sig = ir.SigRef(r.sigs[e.Sig])
			r.funcs[i] = uint32(g.AddExtFunc(e))
		}
	}
	for i := range r.slots {
		if r.slots[i] != unused {
			r.slots[i] = uint32(g.AddStackSlot(f.StackSlots[i]))
		}
	}
	n := uint32(0)
	for i := range r.globals {
		if r.globals[i] != unused {
			r.globals[i] = n
			n++
		}
	}
	for i := range r.globals {
		if r.globals[i] == unused {
			continue
		}
		d := f.Globals[i]
		if (d.Kind == ir.GlobalLoad || d.Kind == ir.GlobalIAddImm) && int(d.Base) < len(r.globals) {
			d.Base = ir.GlobalValue(r.globals[d.Base])
		}
		g.AddGlobal(d)
	}
	if f.StackLimit != ir.NoGlobal && r.ok {
		g.StackLimit = ir.GlobalValue(r.globals[f.StackLimit])
	}
	for _, t := range f.DynamicTypes {
		if r.ok {
			t.Scale = ir.GlobalValue(r.globals[t.Scale])
		}
		g.DynamicTypes = append(g.DynamicTypes, t)
	}
	g.DynamicSlots = append(g.DynamicSlots, f.DynamicSlots...)
}

// body copies blocks and instructions: first all of them with their results,
// then the arguments, which may name any.
func (r *rebuilder) body() {
	f, g := r.from, r.to
	r.values = make([]ir.Value, f.NumValues())
	for i := range r.values {
		r.values[i] = ir.NoValue
	}
	for b := f.Entry(); b != ir.NoBlock; b = f.NextBlock(b) {
		if n := r.blocks[b]; n != ir.NoBlock {
			for _, v := range f.Params(b) {
				r.values[v] = g.AddParam(n, f.ValueType(v))
			}
		}
	}
	var old []ir.Inst
	r.each(func(b ir.Block, i ir.Inst) {
		d := *f.Inst(i)
		if r.idle(i, &d) || !r.ok {
			return
		}
		r.refs(&d)
		n := g.AddInst(ir.InstData{Op: ir.OpNop})
		g.Replace(n, d)
		g.AppendInst(n, r.blocks[b])
		for _, v := range f.Results(i) {
			r.values[v] = g.AddResult(n, f.ValueType(v))
		}
		if tags := f.DebugTags(i); len(tags) > 0 {
			tags = append([]ir.DebugTag(nil), tags...)
			for k := range tags {
				if tags[k].Kind == ir.DebugStackSlot {
					tags[k].Value = r.slots[tags[k].Value]
				}
			}
			g.SetDebugTags(n, tags)
		}
		for _, e := range f.StackMap(i) {
			e.Slot = ir.StackSlot(r.slots[e.Slot])
			g.AddStackMapEntry(n, e)
		}
		old = append(old, i)
	})
	for n, i := range old {
		inst := ir.Inst(n)
		g.SetArgs(inst, r.list(f.Args(i)))
		for k, d := range f.Dests(i) {
			to := r.blocks[d.Block]
			r.ok = r.ok && to != ir.NoBlock
			g.AddDest(inst, to, r.list(f.DestArgs(i, k))...)
		}
		if d := g.Inst(inst); r.ok && d.Op.Format() == ir.FormatTryCall || d.Op.Format() == ir.FormatTryCallIndirect {
			t := &g.ExceptionTables[d.Imm]
			for k := range t.Handlers {
				if h := &t.Handlers[k]; h.Kind == ir.HandlerContext {
					h.Context = r.value(h.Context)
				}
			}
		}
	}
}

// idle tells whether an instruction is a constant that nothing uses.
func (r *rebuilder) idle(i ir.Inst, d *ir.InstData) bool {
	switch d.Op {
	case ir.OpIconst, ir.OpF16const, ir.OpF32const, ir.OpF64const, ir.OpF128const, ir.OpVconst:
		return !r.used[r.from.Result(i)]
	case ir.OpNop:
		return true
	}
	return false
}

// refs replaces the references to entities in d by the new ones.
func (r *rebuilder) refs(d *ir.InstData) {
	f, g := r.from, r.to
	switch d.Op.Format() {
	case ir.FormatCall, ir.FormatFuncAddr:
		d.Ref = r.funcs[d.Ref]
	case ir.FormatCallIndirect:
		d.Ref = r.sigs[d.Ref]
	case ir.FormatTryCall, ir.FormatTryCallIndirect:
		if d.Op == ir.OpTryCall {
			d.Ref = r.funcs[d.Ref]
		} else {
			d.Ref = r.sigs[d.Ref]
		}
		t := f.ExceptionTables[d.Imm]
		t.Sig = ir.SigRef(r.sigs[t.Sig])
		t.Handlers = append([]ir.Handler(nil), t.Handlers...)
		d.Imm = int64(g.AddExceptionTable(t))
	case ir.FormatStackAddr:
		d.Ref = r.slots[d.Ref]
	case ir.FormatUnaryGlobalValue:
		d.Ref = r.globals[d.Ref]
	case ir.FormatUnaryConst, ir.FormatShuffle:
		d.Ref = uint32(g.AddConstant(f.Constant(ir.Constant(d.Ref))))
	case ir.FormatExceptionHandlerAddress:
		if int(d.Ref) >= len(r.blocks) || r.blocks[d.Ref] == ir.NoBlock {
			r.ok = false
			return
		}
		d.Ref = uint32(r.blocks[d.Ref])
	}
}

func (r *rebuilder) value(v ir.Value) ir.Value {
	if !v.IsPlain() {
		return v
	}
	v = r.from.Resolve(v)
	if int(v) >= len(r.values) || r.values[v] == ir.NoValue {
		r.ok = false
		return ir.NoValue
	}
	return r.values[v]
}

func (r *rebuilder) list(from []ir.Value) []ir.Value {
	to := make([]ir.Value, len(from))
	for i, v := range from {
		to[i] = r.value(v)
	}
	return to
}
