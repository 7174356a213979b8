package opt

import (
	"math/bits"
	"slices"

	"github.com/davit-wasm/davit/codegen/ir"
)

// This file changes a loop in the way that induction.go has planned.

// replace does what has been planned.
func (o *Optimizer) replace() {
	d, f := &o.ind, o.f
	f.Loc = f.SourceLoc(d.back.Inst)
	front := f.AddBlock()
	f.InsertBlockAfter(front, d.entry.From)
	f.SetCold(front, f.Cold(d.entry.From))
	d.block = front
	tested := o.tested()
	if tested {
		o.copyLoop()
	}
	for _, b := range d.blocks {
		for _, e := range f.Dests(f.LastInst(b)) {
			if !o.inLoop(e.Block) {
				d.dirty[e.Block] = true
			}
		}
	}
	// The way in leads to the block in front.
	d.args = append(d.args[:0], f.DestArgs(d.entry.Inst, int(d.entry.Dest))...)
	o.clean.drop = filled(o.clean.drop, len(d.args), true)
	f.RemoveDestArgs(d.entry.Inst, int(d.entry.Dest), o.clean.drop)
	f.Dests(d.entry.Inst)[d.entry.Dest].Block = front
	start := len(d.args)

	// The number of trips.
	t := &d.trips
	counted := t.known && d.vars[t.variable].dead
	wrong := ir.NoValue // not zero if the loop as it was must run
	if t.known && !t.constant {
		v := &d.vars[t.variable]
		x, bound := o.plus(v.init, t.k), t.bound
		if bound == ir.NoValue {
			bound = o.iconst(ir.I32, t.limit)
		}
		if v.step > 0 {
			t.distance = o.minus(bound, x)
		} else {
			t.distance = o.minus(x, bound)
		}
		if tested {
			size := max(v.step, -v.step)
			most := int64(1)
			for i := range d.groups {
				g := &d.groups[i]
				most = max(most, (max(g.step, -g.step)+size-1)/size)
			}
			limit := int64(maxDistance) >> bits.Len64(uint64(most-1))
			wrong = o.binary(ir.OpBand, t.distance, o.iconst(ir.I32, -limit|size-1))
		}
		t.wide = o.front(ir.InstData{Op: ir.OpUextend, Type: ir.I64}, t.distance)
	}
	for i := range d.classes {
		c := &d.classes[i]
		begin := o.iconst(ir.I64, 0)
		if counted && t.constant {
			begin = o.iconst(ir.I64, -(t.back+1)*c.step)
		} else if counted {
			begin = o.timesTrips(-c.step)
		}
		d.args = append(d.args, begin)
	}

	// Where groups begin.
	high := ir.NoValue // what must be less than maxBegin
	need := func(v ir.Value) {
		if high != ir.NoValue {
			v = o.binary(ir.OpBor, high, v)
		}
		high = v
	}
	for i := range d.groups {
		g := &d.groups[i]
		at := g.base
		g.offset = g.begin
		begin := ir.NoValue
		if !g.constant {
			begin = o.begin(g)
			at, g.offset = begin, 0
		} else if g.step < 0 && !t.constant {
			begin = o.iconst(ir.I32, g.begin)
		}
		if g.extend && begin != ir.NoValue {
			if !g.constant {
				need(begin)
				at = o.binary(ir.OpIadd, g.base, o.front(ir.InstData{Op: ir.OpUextend, Type: ir.I64}, begin))
			}
			switch {
			case g.step > 0:
			case t.constant:
				need(o.plus(begin, t.back*g.step))
			default:
				need(o.binary(ir.OpIadd, begin, o.front(ir.InstData{Op: ir.OpIreduce, Type: ir.I32}, o.timesTrips(g.step))))
			}
		}
		if counted && t.constant {
			g.offset += (t.back + 1) * g.step
		} else if counted {
			at = o.binary(ir.OpIsub, at, o.times(d.args[start+g.class], g.ratio))
		}
		g.start = at
	}
	if high != ir.NoValue {
		high = o.binary(ir.OpBand, high, o.iconst(ir.I32, -maxBegin))
		if wrong != ir.NoValue {
			high = o.binary(ir.OpBor, wrong, high)
		}
		wrong = high
	}

	// What comes behind the loop.
	for i := range d.vars {
		if v := &d.vars[i]; v.dead && t.known {
			o.replaceExit(v)
		}
	}

	// Into the loop.
	last := ir.NoInst
	if tested {
		last = f.AddInst(ir.InstData{Op: ir.OpBrif, Type: ir.I32}, wrong)
		f.AddDest(last, d.twin[d.header], d.args[:start]...)
	} else {
		last = f.AddInst(ir.InstData{Op: ir.OpJump})
	}
	f.AddDest(last, d.header, d.args...)
	f.AppendInst(last, front)

	// Counting in the loop.
	for i := range d.classes {
		c := &d.classes[i]
		c.param = f.AddParam(d.header, ir.I64)
		k := o.before(d.back.Inst, ir.InstData{Op: ir.OpIconst, Type: ir.I64, Imm: c.step})
		next := o.before(d.back.Inst, ir.InstData{Op: ir.OpIadd, Type: ir.I64}, c.param, k)
		f.AddDestArg(d.back.Inst, int(d.back.Dest), next)
		if i == 0 && counted {
			f.Args(d.back.Inst)[0] = next
			f.Inst(d.back.Inst).Type = ir.I64
		}
	}
	if counted && d.back.Dest != 0 { // back if it is not zero
		dests := f.Dests(d.back.Inst)
		dests[0], dests[1] = dests[1], dests[0]
	}
	first := f.FirstInst(d.header)
	for i := range d.groups {
		g := &d.groups[i]
		w := d.classes[g.class].param
		if g.ratio > 1 {
			k := o.before(first, ir.InstData{Op: ir.OpIconst, Type: ir.I64, Imm: int64(bits.TrailingZeros64(uint64(g.ratio)))})
			w = o.before(first, ir.InstData{Op: ir.OpIshl, Type: ir.I64}, w, k)
		}
		g.address = o.before(first, ir.InstData{Op: ir.OpIadd, Type: ir.I64}, g.start, w)
	}
	for _, r := range d.refs {
		g := &d.groups[r.group]
		f.Args(r.inst)[r.arg] = g.address
		f.Inst(r.inst).Imm += r.k - g.form.k + g.offset
	}
}

// begin is the value of the affine form of g, with its least k, when the loop
// begins.
func (o *Optimizer) begin(g *group) ir.Value {
	init, k := o.ind.vars[g.variable].init, g.form.k
	if g.form.inv == ir.NoValue {
		return o.plus(o.times(init, g.form.scale), k)
	}
	if c, ok := o.signedConstant(init); ok {
		return o.plus(g.form.inv, c*g.form.scale+k)
	}
	return o.plus(o.binary(ir.OpIadd, o.times(init, g.form.scale), g.form.inv), k)
}

// replaceExit replaces variable v where the loop is left by the branch at its
// end: it is known what it is then.
func (o *Optimizer) replaceExit(v *inductionVar) {
	d, f := &o.ind, o.f
	exit := int(1 - d.back.Dest)
	for k, a := range f.DestArgs(d.back.Inst, exit) {
		if a = f.Resolve(a); a == v.param || a == v.next {
			x := o.last(v, a)
			f.DestArgs(d.back.Inst, exit)[k] = x
		}
	}
	if o.tested() {
		return // what is used outside has been among these
	}
	for _, a := range d.outside {
		if a == v.param || a == v.next {
			d.as[a] = o.last(v, a)
			d.escapes = append(d.escapes, a)
		}
	}
}

// last is what a, which is variable v or its next value, is at the end.
func (o *Optimizer) last(v *inductionVar, a ir.Value) (next ir.Value) {
	t := &o.ind.trips
	switch {
	case t.constant:
		next = o.plus(v.init, (t.back+1)*v.step)
	case v != &o.ind.vars[t.variable]:
		next = o.timesTrips(v.step)
		if o.f.ValueType(v.init) == ir.I32 {
			next = o.front(ir.InstData{Op: ir.OpIreduce, Type: ir.I32}, next)
		}
		next = o.binary(ir.OpIadd, v.init, next)
	case t.bound == ir.NoValue:
		next = o.iconst(ir.I32, t.limit-t.k+v.step)
	default:
		next = o.plus(t.bound, v.step-t.k)
	}
	if a == v.param {
		return o.plus(next, -v.step)
	}
	return next
}

// timesTrips is k times the number of trips, in 64 bits.
func (o *Optimizer) timesTrips(k int64) ir.Value {
	t := &o.ind.trips
	step := o.ind.vars[t.variable].step
	size := max(step, -step)
	if k%size == 0 {
		return o.times(o.plus(t.wide, size), k/size)
	}
	n := o.binary(ir.OpUshr, t.wide, o.iconst(ir.I64, int64(bits.TrailingZeros64(uint64(size)))))
	return o.times(o.plus(n, 1), k)
}

// front makes an instruction in front of the loop, and returns its result.
func (o *Optimizer) front(d ir.InstData, args ...ir.Value) ir.Value {
	inst := o.f.AddInst(d, args...)
	o.f.AppendInst(inst, o.ind.block)
	return o.f.AddResult(inst, d.Type)
}

// before makes an instruction before another.
func (o *Optimizer) before(at ir.Inst, d ir.InstData, args ...ir.Value) ir.Value {
	inst := o.f.AddInst(d, args...)
	o.f.InsertBefore(inst, at)
	return o.f.AddResult(inst, d.Type)
}

func (o *Optimizer) iconst(t ir.Type, k int64) ir.Value {
	return o.front(ir.InstData{Op: ir.OpIconst, Type: t, Imm: int64(uint64(k) & mask(t))})
}

func (o *Optimizer) binary(op ir.Opcode, x, y ir.Value) ir.Value {
	return o.front(ir.InstData{Op: op, Type: o.f.ValueType(x)}, x, y)
}

// plus is v plus k.
func (o *Optimizer) plus(v ir.Value, k int64) ir.Value {
	t := o.f.ValueType(v)
	if x, ok := o.signedConstant(v); ok {
		return o.iconst(t, x+k)
	}
	if k == 0 {
		return v
	}
	return o.binary(ir.OpIadd, v, o.iconst(t, k))
}

// minus is x minus y.
func (o *Optimizer) minus(x, y ir.Value) ir.Value {
	if k, ok := o.signedConstant(y); ok {
		return o.plus(x, -k)
	}
	return o.binary(ir.OpIsub, x, y)
}

// times is v times k.
func (o *Optimizer) times(v ir.Value, k int64) ir.Value {
	t := o.f.ValueType(v)
	if x, ok := o.signedConstant(v); ok {
		return o.iconst(t, x*k)
	}
	size := max(k, -k)
	switch {
	case size&(size-1) != 0:
		return o.binary(ir.OpImul, v, o.iconst(t, k))
	case size > 1:
		v = o.binary(ir.OpIshl, v, o.iconst(t, int64(bits.TrailingZeros64(uint64(size)))))
	}
	if k < 0 {
		v = o.front(ir.InstData{Op: ir.OpIneg, Type: t}, v)
	}
	return v
}

// copyLoop copies the loop as it is, to the end of the function: twin says which
// block became which. Values that are used outside become parameters of the block
// behind the loop, which both loops now lead to.
func (o *Optimizer) copyLoop() {
	d, f := &o.ind, o.f
	loc := f.Loc
	d.twin = slices.Grow(d.twin[:0], len(d.next))[:len(d.next)]
	for _, b := range d.blocks {
		c := f.AddBlock()
		f.AppendBlock(c)
		f.SetCold(c, true)
		d.twin[b] = c
		for _, p := range f.Params(b) {
			d.copy[p] = f.AddParam(c, f.ValueType(p))
		}
	}
	twin := func(v ir.Value) ir.Value {
		if v = f.Resolve(v); v.IsPlain() && int(v) < len(d.copy) && d.copy[v] != ir.NoValue {
			return d.copy[v]
		}
		return v
	}
	for _, b := range d.blocks {
		for inst := f.FirstInst(b); inst != ir.NoInst; inst = f.NextInst(inst) {
			f.Loc = f.SourceLoc(inst)
			d.args = append(d.args[:0], f.Args(inst)...)
			for i := range d.args {
				d.args[i] = twin(d.args[i])
			}
			c := f.AddInst(*f.Inst(inst), d.args...)
			for i := range f.Results(inst) {
				v := f.Results(inst)[i]
				d.copy[v] = f.AddResult(c, f.ValueType(v))
			}
			for i := range f.Dests(inst) {
				d.args = append(d.args[:0], f.DestArgs(inst, i)...)
				for k := range d.args {
					d.args[k] = twin(d.args[k])
				}
				to := f.Dests(inst)[i].Block
				if o.inLoop(to) {
					to = d.twin[to]
				}
				f.AddDest(c, to, d.args...)
			}
			f.AppendInst(c, d.twin[b])
		}
	}
	f.Loc = loc
	last := f.LastInst(d.twin[d.back.From])
	exit := int(1 - d.back.Dest)
	for _, v := range d.outside {
		d.as[v] = f.AddParam(o.exit(), f.ValueType(v))
		f.AddDestArg(d.back.Inst, exit, v)
		f.AddDestArg(last, exit, d.copy[v])
		d.escapes = append(d.escapes, v)
	}
}

// renameEscapes makes users outside of copied loops use what the values have become there.
func (o *Optimizer) renameEscapes() {
	d, f := &o.ind, o.f
	rename := func(b ir.Block, v *ir.Value) {
		x := f.Resolve(*v)
		if !x.IsPlain() || int(x) >= len(d.as) || d.as[x] == ir.NoValue {
			return
		}
		home, _ := f.ValueBlock(x)
		if inst, _ := f.ValueInst(x); inst != ir.NoInst {
			home = f.InstBlock(inst)
		}
		if int(b) >= len(d.next) || o.loops.Innermost(b) != o.loops.Innermost(home) {
			*v = d.as[x]
		}
	}
	for b := f.Entry(); b != ir.NoBlock; b = f.NextBlock(b) {
		for inst := f.FirstInst(b); inst != ir.NoInst; inst = f.NextInst(inst) {
			for i := range f.Args(inst) {
				rename(b, &f.Args(inst)[i])
			}
			for i := range f.Dests(inst) {
				for k := range f.DestArgs(inst, i) {
					rename(b, &f.DestArgs(inst, i)[k])
				}
			}
			if data := f.Inst(inst); data.Op == ir.OpTryCall || data.Op == ir.OpTryCallIndirect {
				for i := range f.ExceptionTables[data.Imm].Handlers {
					if h := &f.ExceptionTables[data.Imm].Handlers[i]; h.Kind == ir.HandlerContext {
						rename(b, &h.Context)
					}
				}
			}
		}
	}
}
