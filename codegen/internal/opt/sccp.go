package opt

import (
	"github.com/davit-wasm/davit/codegen/interp"
	"github.com/davit-wasm/davit/codegen/ir"
)

// Conditional constant propagation.
//
// Numbering folds what it finds to be constant on its way, but it comes to a
// block parameter before it has seen all that is passed to it. This pass is for those: it
// takes every value for a constant, and every block for one that is never
// reached, until shown otherwise. A flag that is 0 at the start of a loop, and stays 0
// unless it is 1, is 0:
//
//	jump block1(0)
//	block1(v1):
//	    brif v1, block2, block3
//	block2:              never reached
//	    jump block1(1)
//
// (M. N. Wegman and F. K. Zadeck, "Constant Propagation with Conditional
// Branches", TOPLAS 1991.) Here the function is walked in reverse post order until
// nothing changes, which takes as many rounds as loops are nested, and one more; from
// the second round on only what may still be a constant is looked at. Each value changes at most twice. Functions that pass no constants to blocks are left at
// once.

// constants is the working memory of constant propagation.
type constants struct {
	values  []constantOr // by value
	reached []bool       // by block
	visited []bool       // by block: its instructions have been seen
	open    []ir.Inst    // of these blocks, those whose results may still change
}

// constantOr is what is known of a value: nothing yet, a constant, or that it
// varies.
type constantOr struct {
	state uint8
	bits  uint64
}

const (
	undecided = iota
	fixed
	varies
)

// propagate finds block parameters and branches that are constant, and reports
// whether there were any.
func (o *Optimizer) propagate() bool {
	f, c := o.f, &o.consts
	if !o.passesConstants() {
		return false
	}
	c.values = zeroed(c.values, f.NumValues())
	c.reached = zeroed(c.reached, f.NumBlocks())
	c.visited = zeroed(c.visited, f.NumBlocks())
	c.open = c.open[:0]
	entry := f.Entry()
	c.reached[entry] = true
	for _, p := range f.Params(entry) {
		c.values[p].state = varies
	}
	for round := 0; ; round++ {
		if round == maxRounds {
			return false // what is known is not proven yet
		}
		changed := false
		open := c.open[:0]
		for _, inst := range c.open {
			if o.evaluate(inst) {
				changed = true
			}
			if c.values[f.Result(inst)].state != varies {
				open = append(open, inst)
			}
		}
		c.open = open
		for _, b := range o.clean.order {
			if !f.InLayout(b) || !c.reached[b] {
				continue
			}
			if !c.visited[b] {
				c.visited[b] = true
				changed = true
				for inst := f.FirstInst(b); inst != ir.NoInst; inst = f.NextInst(inst) {
					o.evaluate(inst)
					if res := f.Results(inst); len(res) == 1 && c.values[res[0]].state != varies {
						c.open = append(c.open, inst)
					}
				}
			}
			if o.flow(f.LastInst(b)) {
				changed = true
			}
		}
		if !changed {
			break
		}
	}
	return o.applyConstants()
}

// passesConstants reports whether a constant is passed to a block that has
// several ways in.
func (o *Optimizer) passesConstants() bool {
	f := o.f
	for b := f.Entry(); b != ir.NoBlock; b = f.NextBlock(b) {
		last := f.LastInst(b)
		for i := range f.Dests(last) {
			for _, a := range f.DestArgs(last, i) {
				if a.IsPlain() {
					if _, ok := o.constant(f.Resolve(a)); ok {
						return true
					}
				}
			}
		}
	}
	return false
}

// evaluate computes the results of an instruction, as far as they are known, and
// reports whether that has changed.
func (o *Optimizer) evaluate(inst ir.Inst) bool {
	f, c := o.f, &o.consts
	res := f.Results(inst)
	if len(res) == 0 || c.values[res[0]].state == varies {
		return false
	}
	d := f.Inst(inst)
	args := f.Args(inst)
	to := f.ValueType(res[0])
	r := constantOr{state: varies}
	switch {
	case len(res) != 1 || !narrow(to) || d.Op.Flags() != 0 || len(args) > 3:
	case d.Op == ir.OpIconst:
		r = constantOr{fixed, uint64(d.Imm) & mask(to)}
	case len(args) > 0:
		var in [3]interp.Value
		r.state = fixed
		for i, a := range args {
			x := c.values[f.Resolve(a)]
			r.state = max(r.state, x.state) // varies is greatest
			if x.state == undecided && r.state != varies {
				return false
			}
			in[i].Lo = x.bits
		}
		if r.state == fixed {
			if c.values[res[0]].state == fixed {
				return false // of the same constants
			}
			if v, ok := interp.Evaluate(f, d, f.ValueType(args[0]), to, in); ok {
				r.bits = v.Lo
			} else {
				r.state = varies
			}
		}
	}
	if r.state == varies {
		for _, v := range res {
			c.values[v].state = varies
		}
		return true
	}
	if c.values[res[0]] == r {
		return false
	}
	c.values[res[0]] = r
	return true
}

// of is what is known of v.
func (c *constants) of(f *ir.Function, v ir.Value) constantOr {
	if !v.IsPlain() {
		return constantOr{state: varies}
	}
	return c.values[f.Resolve(v)]
}

// taken is the destination that a branch goes to, if that is known; ok is false if it
// may go to any. A branch whose condition is not known yet goes nowhere, -1.
func (c *constants) taken(f *ir.Function, last ir.Inst) (dest int, ok bool) {
	switch f.Inst(last).Op {
	case ir.OpBrif, ir.OpBrTable:
		switch x := c.of(f, f.Args(last)[0]); x.state {
		case undecided:
			return -1, true
		case fixed:
			return chosen(f, last, x.bits), true
		}
	}
	return 0, false
}

// chosen is the destination of a branch for a condition or index.
func chosen(f *ir.Function, last ir.Inst, k uint64) int {
	switch f.Inst(last).Op {
	case ir.OpBrif:
		if k == 0 {
			return 1
		}
		return 0
	}
	if n := len(f.Dests(last)) - 1; uint64(uint32(k)) < uint64(n) {
		return int(uint32(k)) + 1
	}
	return 0
}

// flow goes where a branch may go, with what it passes, and reports whether that
// is new.
func (o *Optimizer) flow(last ir.Inst) bool {
	f, c := o.f, &o.consts
	only, known := c.taken(f, last)
	changed := false
	for i, d := range f.Dests(last) {
		if known && i != only {
			continue
		}
		if !c.reached[d.Block] {
			c.reached[d.Block] = true
			changed = true
		}
		params := f.Params(d.Block)
		for k, a := range f.DestArgs(last, i) {
			p := &c.values[params[k]]
			x := c.of(f, a)
			switch {
			case p.state == varies || x.state == undecided || *p == x:
			case p.state == undecided:
				*p = x
				changed = true
			default:
				p.state = varies
				changed = true
			}
		}
	}
	return changed
}

// applyConstants puts constants in the place of parameters and jumps in that of
// branches, and reports whether there were any.
func (o *Optimizer) applyConstants() bool {
	f, c := o.f, &o.consts
	any := false
	same := &o.clean.same
	*same = zeroed(*same, f.NumValues())
	n := f.NumValues()
	for _, b := range o.clean.order {
		if !f.InLayout(b) || !c.reached[b] {
			continue
		}
		if b != f.Entry() {
			for _, p := range f.Params(b) {
				if x := c.values[p]; x.state == fixed {
					first := f.FirstInst(b)
					f.Loc = f.SourceLoc(first)
					inst := f.AddInst(ir.InstData{Op: ir.OpIconst, Type: f.ValueType(p), Imm: int64(x.bits)})
					(*same)[p] = f.AddResult(inst, f.ValueType(p))
					f.InsertBefore(inst, first)
					any = true
				}
			}
		}
		last := f.LastInst(b)
		if dest, ok := c.taken(f, last); ok && dest >= 0 {
			makeJump(f, last, dest)
			any = true
		}
	}
	if !any {
		return false
	}
	o.cfg.Compute(f)
	o.removeParams(func(p ir.Value) bool { return int(p) < n && c.values[p].state == fixed }, *same)
	return true
}
