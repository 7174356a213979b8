package opt

import (
	"slices"

	"github.com/davit-wasm/davit/codegen/ir"
)

// Placement.
//
// First everything that is needed is marked, from the skeleton backward over
// representatives. Then a walk over the dominator tree rewrites operands to
// representatives. Instructions of the function stay where they were, are removed if nothing needs
// them, or move in front of a loop. Where an instruction is to be replaced by a new one, this
// one is put in its place, and what it needs before it. New instructions that are needed
// elsewhere are put before their users; where the place that they have been given
// does not dominate the user, they are made once more.

// placer is the working memory of placement.
type placer struct {
	needed []bool      // by value
	placed []placement // by value: of results of new instructions
	work   []ir.Value
	budget []int8 // by loop: how many values may still move in front of it
}

// placement is where a new value is available: as value, in the blocks that block
// dominates.
type placement struct {
	value ir.Value
	block ir.Block
}

// loopBudget is how many values may move in front of a loop. Each occupies a
// register, or costs a load from the frame where it was computed before.
const loopBudget = 8

func (o *Optimizer) place() {
	f, p := o.f, &o.pl
	o.grow()
	p.needed = zeroed(p.needed, f.NumValues())
	p.placed = filled(p.placed, f.NumValues(), placement{ir.NoValue, ir.NoBlock})
	p.budget = filled(p.budget, o.loops.NumLoops(), loopBudget)
	o.mark()
	o.removeParams(func(v ir.Value) bool { return !p.needed[v] }, nil)
	o.stack = append(o.stack[:0], f.Entry())
	for len(o.stack) > 0 {
		b := o.stack[len(o.stack)-1]
		o.stack = o.stack[:len(o.stack)-1]
		o.placeBlock(b)
		for c := o.dom.FirstChild(b); c != ir.NoBlock; c = o.dom.NextSibling(c) {
			o.stack = append(o.stack, c)
		}
	}
}

// root reports whether an instruction stays whether its results are used or not.
func root(d *ir.InstData) bool { return !deletable(d) }

// mark finds what is needed.
func (o *Optimizer) mark() {
	f, p := o.f, &o.pl
	p.work = p.work[:0]
	for _, v := range f.Params(f.Entry()) {
		p.needed[v] = true
	}
	for _, b := range o.dom.ReversePostOrder() {
		for inst := f.FirstInst(b); inst != ir.NoInst; inst = f.NextInst(inst) {
			d := f.Inst(inst)
			if !root(d) {
				continue
			}
			o.needArgs(inst)
			switch d.Op {
			case ir.OpTryCall, ir.OpTryCallIndirect:
				for _, h := range f.ExceptionTables[d.Imm].Handlers {
					if h.Kind == ir.HandlerContext {
						o.need(h.Context)
					}
				}
				for i, dest := range f.Dests(inst) { // what the call makes comes by parameters
					for k, a := range f.DestArgs(inst, i) {
						if !a.IsPlain() {
							o.need(f.Params(dest.Block)[k])
						}
					}
				}
			}
			o.spread()
		}
	}
}

func (o *Optimizer) needArgs(inst ir.Inst) {
	for _, a := range o.f.Args(inst) {
		o.need(a)
	}
}

func (o *Optimizer) need(v ir.Value) {
	v = o.stand(v)
	if p := &o.pl; !p.needed[v] {
		p.needed[v] = true
		p.work = append(p.work, v)
	}
}

// stand is what a user of v uses in the end. Constants of the function are not
// shared: each block that had its own keeps it.
func (o *Optimizer) stand(v ir.Value) ir.Value {
	v = o.f.Resolve(v)
	for {
		r := o.values[v].rep
		if r == v {
			return v
		}
		if as := o.values[v].as; as != ir.NoValue {
			return as
		}
		if inst, _ := o.f.ValueInst(v); inst != ir.NoInst && constOp(o.f.Inst(inst).Op) && !o.values[v].new {
			return v
		}
		v = o.f.Resolve(r) // r may have been a parameter that has gone since
	}
}

// spread marks what the marked values need.
func (o *Optimizer) spread() {
	f, p := o.f, &o.pl
	for len(p.work) > 0 {
		v := p.work[len(p.work)-1]
		p.work = p.work[:len(p.work)-1]
		if inst, _ := f.ValueInst(v); inst != ir.NoInst {
			if !root(f.Inst(inst)) {
				o.needArgs(inst)
			}
			continue
		}
		if b, k := f.ValueBlock(v); b != ir.NoBlock {
			for _, e := range o.cfg.Preds(b) {
				if a := f.DestArgs(e.Inst, int(e.Dest))[k]; a.IsPlain() && o.dom.Reachable(e.From) {
					o.need(a)
				}
			}
		}
	}
}

// sweep removes what nothing needs any more, after everything has been placed.
func (o *Optimizer) sweep() {
	f, p := o.f, &o.pl
	o.analyze()
	o.values = o.values[:0]
	o.grow()
	p.needed = zeroed(p.needed, f.NumValues())
	o.mark()
	o.removeParams(func(v ir.Value) bool { return !p.needed[v] }, nil)
	for b := f.Entry(); b != ir.NoBlock; b = f.NextBlock(b) {
		for inst := f.FirstInst(b); inst != ir.NoInst; {
			next := f.NextInst(inst)
			if !root(f.Inst(inst)) && !slices.ContainsFunc(f.Results(inst), func(v ir.Value) bool { return p.needed[v] }) {
				f.RemoveInst(inst)
			}
			inst = next
		}
	}
}

func (o *Optimizer) placeBlock(b ir.Block) {
	f, p := o.f, &o.pl
	o.block = b
	for inst := f.FirstInst(b); inst != ir.NoInst; {
		next := f.NextInst(inst)
		f.Loc = f.SourceLoc(inst)
		d := f.Inst(inst)
		if !root(d) {
			keep := false
			for _, v := range f.Results(inst) {
				switch r := o.stand(v); {
				case r == v:
					keep = keep || p.needed[v]
				case int(r) < len(p.needed) && p.needed[r]:
					o.available(r, inst)
				}
			}
			if !keep {
				f.RemoveInst(inst)
				inst = next
				continue
			}
		}
		o.placeArgs(inst)
		if d := f.Inst(inst); pure(d) || movable(d) && !o.opts.NoMemory {
			o.hoist(inst)
		}
		inst = next
	}
}

// placeArgs makes the operands of inst available and uses them.
func (o *Optimizer) placeArgs(inst ir.Inst) {
	f := o.f
	for i := range f.Args(inst) {
		v := o.available(o.stand(f.Args(inst)[i]), inst)
		f.Args(inst)[i] = v
	}
	for i := range f.Dests(inst) {
		for k := range f.DestArgs(inst, i) {
			if a := f.DestArgs(inst, i)[k]; a.IsPlain() {
				v := o.available(o.stand(a), inst)
				f.DestArgs(inst, i)[k] = v
			}
		}
	}
	if d := f.Inst(inst); d.Op == ir.OpTryCall || d.Op == ir.OpTryCallIndirect {
		table := d.Imm
		for i := range f.ExceptionTables[table].Handlers {
			if h := &f.ExceptionTables[table].Handlers[i]; h.Kind == ir.HandlerContext {
				h.Context = o.available(o.stand(h.Context), inst)
			}
		}
	}
}

// has reports whether v is available in the block at hand, and as what.
func (o *Optimizer) has(v ir.Value) (ir.Value, bool) {
	if int(v) >= len(o.values) || !o.values[v].new {
		return v, true
	}
	at := o.pl.placed[v]
	if at.block != ir.NoBlock && o.dom.Dominates(at.block, o.block) {
		return at.value, true
	}
	return v, false
}

// available makes v available before an instruction of the block at hand, and
// returns what it is there.
func (o *Optimizer) available(v ir.Value, before ir.Inst) ir.Value {
	if w, ok := o.has(v); ok {
		return w
	}
	f, p := o.f, &o.pl
	base := len(p.work)
	p.work = append(p.work, v)
	for len(p.work) > base {
		v := p.work[len(p.work)-1]
		if _, ok := o.has(v); ok {
			p.work = p.work[:len(p.work)-1]
			continue
		}
		inst, _ := f.ValueInst(v)
		ready := true
		for _, a := range f.Args(inst) {
			if a = o.stand(a); a != v {
				if _, ok := o.has(a); !ok {
					p.work = append(p.work, a)
					ready = false
				}
			}
		}
		if !ready {
			continue
		}
		p.work = p.work[:len(p.work)-1]
		// The first time the instruction itself is used. Its operands stay what they
		// are: it may have to be copied elsewhere, where others stand for them.
		d := *f.Inst(inst)
		var args [3]ir.Value
		n := copy(args[:], f.Args(inst))
		for i, a := range args[:n] {
			args[i], _ = o.has(o.stand(a))
		}
		c := f.AddInst(d, args[:n]...)
		w := f.AddResult(c, f.ValueType(v))
		f.InsertBefore(c, before)
		p.placed[v] = placement{w, o.block}
		if b := o.hoist(c); b != ir.NoBlock {
			p.placed[v].block = b
		}
	}
	w, _ := o.has(v)
	return w
}

// hoist moves a pure instruction, or a load, of the block at hand, whose operands
// are in place, in front of the outermost loop in which it does not change, if that
// pays. It returns the block it is in then, or NoBlock.
func (o *Optimizer) hoist(inst ir.Inst) ir.Block {
	f := o.f
	l := o.loops.Innermost(o.block)
	if l == ir.NoLoop || !o.worthHoisting(inst) {
		return ir.NoBlock
	}
	to, of := ir.NoBlock, ir.NoLoop
	for range maxNest {
		if l == ir.NoLoop || o.pl.budget[l] == 0 || o.changesIn(inst, o.loops.Header(l)) {
			break
		}
		before := o.preheader(o.loops.Header(l))
		if d := f.Inst(inst); f.Inst(f.LastInst(before)).Op.IsCall() && movable(d) && d.Flags&ir.MemReadonly == 0 {
			break // what would be loaded before the call may change in it
		}
		to, of = before, l
		l = o.loops.Parent(l)
	}
	if to == ir.NoBlock {
		return ir.NoBlock
	}
	for l := o.loops.Innermost(o.block); ; l = o.loops.Parent(l) {
		o.pl.budget[l]--
		if l == of {
			break
		}
	}
	f.RemoveInst(inst)
	f.InsertBefore(inst, f.LastInst(to))
	return to
}

// maxNest is how many loops an instruction leaves at once.
const maxNest = 8

// changesIn reports whether an operand of inst is computed in the loop with the given header,
// which the block at hand is in. What dominates the block and is in the loop is
// dominated by the header.
func (o *Optimizer) changesIn(inst ir.Inst, header ir.Block) bool {
	f := o.f
	if movable(f.Inst(inst)) && o.changesMemory(inst, header) {
		return true
	}
	for _, a := range f.Args(inst) {
		a = f.Resolve(a)
		b, _ := f.ValueBlock(a)
		if def, _ := f.ValueInst(a); def != ir.NoInst {
			b = f.InstBlock(def)
		}
		if o.dom.Dominates(header, b) {
			return true
		}
	}
	return false
}

// preheader is the block in front of a loop: the only way in, or what dominates
// all ways.
func (o *Optimizer) preheader(header ir.Block) ir.Block {
	return o.dom.Idom(header)
}

// worthHoisting reports whether an instruction is worth a register through a
// whole loop. What becomes part of its users, such as constants, addresses and
// comparisons, is not.
func (o *Optimizer) worthHoisting(inst ir.Inst) bool {
	d := o.f.Inst(inst)
	if d.Op.Flags()&ir.FlagLoad != 0 {
		return movable(d)
	}
	switch d.Op {
	case ir.OpIcmp, ir.OpFcmp, ir.OpIadd, ir.OpIsub, ir.OpIshl, ir.OpUextend, ir.OpSextend, ir.OpIreduce, ir.OpBand, ir.OpBor, ir.OpBxor, ir.OpIconcat, ir.OpIsplit:
		return false
	}
	return d.Op.Flags() == 0 && costs[d.Op] >= 3
}
