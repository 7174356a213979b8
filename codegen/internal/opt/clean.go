package opt

import (
	"slices"

	"github.com/davit-wasm/davit/codegen/ir"
)

// cleaner is the working memory of cleaning the control-flow graph.
type cleaner struct {
	seen  []bool
	preds []uint32   // by block: number of edges
	same  []ir.Value // by value: what a block parameter always is; NoValue if nothing is known yet
	drop  []bool
	dead  []ir.Value
	order []ir.Block
}

// maxThread is how many jumps to jumps are followed from one branch.
const maxThread = 8

// maxThreadArgs is how many arguments a jump may have that is followed: each
// branch gets a copy.
const maxThreadArgs = 32

// cleanUp removes blocks that cannot be reached, follows jumps to blocks that do
// nothing but jump on, joins blocks that follow each other in any case, and
// removes block parameters that are always the same value.
func (o *Optimizer) cleanUp() {
	o.reachable()
	o.thread()
	o.reachable()
	o.join()
	o.cfg.Compute(o.f)
	o.params()
}

// reachable removes blocks that cannot be reached, and counts edges into the
// others.
func (o *Optimizer) reachable() {
	f, c := o.f, &o.clean
	post := f.PostOrder(&o.walk)
	c.order = append(c.order[:0], post...)
	slices.Reverse(c.order)
	c.seen = zeroed(c.seen, f.NumBlocks())
	c.preds = zeroed(c.preds, f.NumBlocks())
	for _, b := range c.order {
		c.seen[b] = true
		for _, d := range f.Dests(f.LastInst(b)) {
			c.preds[d.Block]++
		}
	}
	KeepBlocks(f, c.seen)
	if len(f.ExceptionTables) == 0 {
		return
	}
	for _, b := range c.order {
		for inst := f.FirstInst(b); inst != ir.NoInst; inst = f.NextInst(inst) {
			if d := f.Inst(inst); d.Op == ir.OpGetExceptionHandlerAddress {
				c.preds[d.Ref]++ // it names the block, which must keep its name
			}
		}
	}
}

// KeepBlocks removes all blocks but those whose element of keep is set, which is
// to be so for all that can be reached. The address of a handler of a call that
// goes is 0: nothing can be thrown there.
func KeepBlocks(f *ir.Function, keep []bool) {
	for b := f.Entry(); b != ir.NoBlock; {
		next := f.NextBlock(b)
		if !keep[b] {
			f.RemoveBlock(b)
		}
		b = next
	}
	if len(f.ExceptionTables) == 0 {
		return
	}
	for b := f.Entry(); b != ir.NoBlock; b = f.NextBlock(b) {
		for inst := f.FirstInst(b); inst != ir.NoInst; inst = f.NextInst(inst) {
			if d := f.Inst(inst); d.Op == ir.OpGetExceptionHandlerAddress && !keep[d.Ref] {
				d.Op, d.Ref, d.Imm = ir.OpIconst, 0, 0
			}
		}
	}
}

// thread redirects edges that lead to a block with nothing but a jump. Such a
// block has no parameters; the arguments of its jump come from blocks that
// dominate it, and so all that lead to it.
func (o *Optimizer) thread() {
	f := o.f
	for _, b := range o.clean.order {
		last := f.LastInst(b)
		for i := range f.Dests(last) {
			for range maxThread {
				to := f.Dests(last)[i].Block
				jump := f.FirstInst(to)
				if len(f.Params(to)) > 0 || f.Inst(jump).Op != ir.OpJump || f.Cold(to) != f.Cold(b) || len(f.DestArgs(jump, 0)) > maxThreadArgs {
					break
				}
				next := f.Dests(jump)[0].Block
				if next == to {
					break
				}
				f.Dests(last)[i].Block = next
				for k := range f.DestArgs(jump, 0) {
					f.AddDestArg(last, i, f.DestArgs(jump, 0)[k])
				}
				if len(f.DestArgs(jump, 0)) > 0 {
					break // the edge has arguments now, and next has parameters
				}
			}
		}
		if d := f.Inst(last); d.Op == ir.OpBrif {
			dests := f.Dests(last)
			if dests[0].Block == dests[1].Block && slices.Equal(f.DestArgs(last, 0), f.DestArgs(last, 1)) {
				makeJump(f, last, 0)
			}
		}
	}
}

// join appends blocks to the only block that leads to them, if that leads nowhere
// else.
func (o *Optimizer) join() {
	f, c := o.f, &o.clean
	for _, b := range c.order {
		if !f.InLayout(b) {
			continue // has been appended
		}
		for {
			last := f.LastInst(b)
			if f.Inst(last).Op != ir.OpJump {
				break
			}
			to := f.Dests(last)[0].Block
			if c.preds[to] != 1 || to == b || to == f.Entry() || f.Cold(to) != f.Cold(b) {
				break
			}
			args := f.DestArgs(last, 0)
			params := f.Params(to)
			c.drop = filled(c.drop, len(params), true)
			f.RemoveParams(to, c.drop)
			for i, p := range params[:len(args)] {
				f.SetAlias(p, f.Resolve(args[i]))
			}
			f.RemoveInst(last)
			f.MergeBlock(b, to)
		}
	}
}

// params removes block parameters that are the same value whichever way the
// block is entered.
//
// This is constant propagation of a kind: a parameter is unknown, then some value, then itself if
// two different values meet. As all start unknown, parameters of loops that
// are only handed round are found too. Each changes at most twice.
func (o *Optimizer) params() {
	f, c := o.f, &o.clean
	any := false
	for _, b := range c.order {
		if f.InLayout(b) && b != f.Entry() && len(f.Params(b)) > 0 {
			any = true
			break
		}
	}
	if !any {
		return
	}
	c.same = c.same[:0]
	for v := range f.NumValues() {
		c.same = append(c.same, ir.Value(v))
	}
	for _, b := range c.order {
		if f.InLayout(b) && b != f.Entry() {
			for _, p := range f.Params(b) {
				c.same[p] = ir.NoValue
			}
		}
	}
	for round := 0; ; round++ {
		if round == maxRounds {
			return // what is known is not proven yet
		}
		changed := false
		for _, b := range c.order {
			if !f.InLayout(b) {
				continue
			}
			last := f.LastInst(b)
			for i, d := range f.Dests(last) {
				params := f.Params(d.Block)
				for k, a := range f.DestArgs(last, i) {
					p := params[k]
					if c.same[p] == p {
						continue
					}
					if a.IsPlain() {
						a = c.same[f.Resolve(a)]
					} else {
						a = p
					}
					switch {
					case a == ir.NoValue || a == c.same[p]:
					case c.same[p] == ir.NoValue:
						c.same[p] = a
						changed = true
					default:
						c.same[p] = p
						changed = true
					}
				}
			}
		}
		if !changed {
			break
		}
	}
	o.removeParams(func(p ir.Value) bool { return c.same[p] != p && c.same[p] != ir.NoValue }, c.same)
}

// maxRounds bounds how often the graph is walked for a fixed point, which takes
// a few rounds for all but contrived nests of loops.
const maxRounds = 32

// removeParams removes block parameters, with the arguments for them. If same is
// not nil they become aliases of what it says.
func (o *Optimizer) removeParams(gone func(ir.Value) bool, same []ir.Value) {
	f, c := o.f, &o.clean
	for b := f.Entry(); b != ir.NoBlock; b = f.NextBlock(b) {
		if b == f.Entry() {
			continue
		}
		params := f.Params(b)
		c.drop = c.drop[:0]
		any := false
		for _, p := range params {
			g := gone(p)
			any = any || g
			c.drop = append(c.drop, g)
		}
		if !any {
			continue
		}
		for _, e := range o.cfg.Preds(b) {
			f.RemoveDestArgs(e.Inst, int(e.Dest), c.drop)
		}
		if same == nil {
			f.RemoveParams(b, c.drop)
			continue
		}
		first := len(c.dead)
		for k, p := range params {
			if c.drop[k] {
				c.dead = append(c.dead, p)
			}
		}
		f.RemoveParams(b, c.drop)
		for _, p := range c.dead[first:] {
			f.SetAlias(p, same[p])
		}
	}
	c.dead = c.dead[:0]
}

func zeroed[T any](s []T, n int) []T {
	s = slices.Grow(s[:0], n)[:n]
	clear(s)
	return s
}

func filled[T any](s []T, n int, v T) []T {
	s = slices.Grow(s[:0], n)[:n]
	for i := range s {
		s[i] = v
	}
	return s
}
