package opt

import (
	"math"
	"slices"

	"github.com/davit-wasm/davit/codegen/ir"
)

// Recurrences.
//
// What an iteration of a loop needs from the one before limits how fast the loop
// can be, whatever else the processor does at the same time. In
//
//	loop(a, n): s = clz(a) + ctz(n); t = popcnt(n) + s; b = a + t; … loop(b, n-1)
//
// b waits for a by way of clz and three additions. But n does not depend on a: what
// comes of it can be added first, and a itself before clz(a) is known:
//
//	s = popcnt(n) + ctz(n); t = s + a; b = t + clz(a)
//
// So sums (and products, and, or, exclusive or) of integers are put in another
// order where that shortens the path from the parameters of the header to the
// values of the next iteration: operands that are outside of the circle come first,
// the others in the order in which they are ready, as a Huffman tree does it. The
// number of instructions stays the same.
//
// This is done in the loops that induction.go looks at, which are small: in long
// straight code, computing sums late keeps their operands in registers for longer.
// Cost: linear in the size of the loops, but for sums, of maxTerms.

const (
	maxTerms      = 12 // of a sum
	maxCircleVars = 32 // parameters of a header
)

// circles is the working memory of this file.
type circles struct {
	deps  []uint32 // by value of the loop: parameters of the header that it depends on
	feeds []uint32 // by value: those whose next values depend on it
	ready []uint16 // by value: the length of the longest path from a parameter
	reach [maxCircleVars]uint32

	inner []bool // by instruction: it is part of a sum that another one completes
	terms []term
	trial []term
	insts []ir.Inst
	root  ir.Inst // of the sum at hand
	set   uint32  // its circle
	ends  int     // when it is ready as it is
}

// term is an operand of a sum, or a sum of some.
type term struct {
	value    ir.Value
	ready    int // circleFree: it is no part of the circle
	constant bool
}

const circleFree = math.MinInt32

// latency is about how many cycles an instruction takes.
func latency(op ir.Opcode) uint16 {
	switch op {
	case ir.OpImul, ir.OpUmulhi, ir.OpSmulhi, ir.OpFadd, ir.OpFsub, ir.OpFmul, ir.OpFmin, ir.OpFmax:
		return 3
	case ir.OpUdiv, ir.OpSdiv, ir.OpUrem, ir.OpSrem, ir.OpFdiv, ir.OpSqrt:
		return 12
	}
	if op.Flags()&ir.FlagLoad != 0 {
		return 4
	}
	return 1
}

// associative reports whether inst is an addition or the like of integers.
func (o *Optimizer) associative(inst ir.Inst) bool {
	switch o.f.Inst(inst).Op {
	case ir.OpIadd, ir.OpImul, ir.OpBand, ir.OpBor, ir.OpBxor:
		t := o.f.ValueType(o.f.Result(inst))
		return t.IsIntLane() && t != ir.I128
	}
	return false
}

// shortenRecurrences reorders sums in the loop that findLoop has found.
func (o *Optimizer) shortenRecurrences() {
	d, c, f := &o.ind, &o.circles, o.f
	params := f.Params(d.header)
	if len(params) > maxCircleVars {
		return
	}
	sums, insts := 0, 0
	for _, b := range d.blocks {
		for inst := f.FirstInst(b); inst != ir.NoInst; inst = f.NextInst(inst) {
			insts++
			if o.associative(inst) {
				sums++
			}
		}
	}
	if sums < 3 || insts > maxInductionInsts { // the counter's, and two
		return
	}
	o.findDeps(params)
	o.findFeeds(params)
	o.findReach(params)
	for i := len(d.blocks) - 1; i >= 0; i-- {
		for inst := f.LastInst(d.blocks[i]); inst != ir.NoInst; {
			before := f.PrevInst(inst)
			if o.associative(inst) && !c.inner[inst] {
				o.shortenSum(inst)
			}
			inst = before
		}
	}
	for _, b := range d.blocks { // leave the tables clean
		for _, p := range f.Params(b) {
			c.forget(p)
		}
		for inst := f.FirstInst(b); inst != ir.NoInst; inst = f.NextInst(inst) {
			c.inner[inst] = false
			for _, v := range f.Results(inst) {
				c.forget(v)
			}
			for _, a := range f.Args(inst) {
				c.forget(f.Resolve(a))
			}
			for i := range f.Dests(inst) {
				for _, a := range f.DestArgs(inst, i) {
					if a.IsPlain() {
						c.forget(f.Resolve(a))
					}
				}
			}
		}
	}
}

// prepare makes the tables for a function of n values and insts instructions.
func (c *circles) prepare(n, insts int) {
	c.deps = zeroed(c.deps, n)
	c.feeds = zeroed(c.feeds, n)
	c.ready = zeroed(c.ready, n)
	c.inner = zeroed(c.inner, insts)
}

func (c *circles) forget(v ir.Value) { c.deps[v], c.feeds[v], c.ready[v] = 0, 0, 0 }

// findDeps finds what values of the loop depend on, and when they are ready. Counters are
// ready before all others: they run ahead.
func (o *Optimizer) findDeps(params []ir.Value) {
	d, c, f := &o.ind, &o.circles, o.f
	counters := uint32(0)
	for i, p := range params {
		c.deps[p] = 1 << i
	}
	for i := range d.vars {
		counters |= 1 << d.vars[i].arg
	}
	for _, b := range d.blocks {
		for inst := f.FirstInst(b); inst != ir.NoInst; inst = f.NextInst(inst) {
			deps, ready := uint32(0), uint16(0)
			for _, a := range f.Args(inst) {
				a = f.Resolve(a)
				deps |= c.deps[a]
				ready = max(ready, c.ready[a])
			}
			if deps&^counters != 0 {
				ready += latency(f.Inst(inst).Op)
			}
			for _, v := range f.Results(inst) {
				c.deps[v], c.ready[v] = deps, ready
			}
		}
		o.passed(b, func(a, p ir.Value) {
			c.deps[p] |= c.deps[a]
			c.ready[p] = max(c.ready[p], c.ready[a])
		})
	}
}

// findFeeds finds which parameters get their next values from what.
func (o *Optimizer) findFeeds(params []ir.Value) {
	d, c, f := &o.ind, &o.circles, o.f
	for i := range params {
		if a := f.DestArgs(d.back.Inst, int(d.back.Dest))[i]; a.IsPlain() {
			c.feeds[f.Resolve(a)] |= 1 << i
		}
	}
	for i := len(d.blocks) - 1; i >= 0; i-- {
		b := d.blocks[i]
		o.passed(b, func(a, p ir.Value) { c.feeds[a] |= c.feeds[p] })
		for inst := f.LastInst(b); inst != ir.NoInst; inst = f.PrevInst(inst) {
			feeds := uint32(0)
			for _, v := range f.Results(inst) {
				feeds |= c.feeds[v]
			}
			for _, a := range f.Args(inst) {
				c.feeds[f.Resolve(a)] |= feeds
			}
		}
	}
}

// passed calls visit for what block b passes on to parameters of other blocks of the loop, but
// the header.
func (o *Optimizer) passed(b ir.Block, visit func(a, p ir.Value)) {
	f := o.f
	last := f.LastInst(b)
	for i, e := range f.Dests(last) {
		if e.Block == o.ind.header || !o.inLoop(e.Block) {
			continue
		}
		for k, p := range f.Params(e.Block) {
			if a := f.DestArgs(last, i)[k]; a.IsPlain() {
				visit(f.Resolve(a), p)
			}
		}
	}
}

// findReach finds which parameters the later values of each depend on.
func (o *Optimizer) findReach(params []ir.Value) {
	d, c, f := &o.ind, &o.circles, o.f
	for i := range params {
		c.reach[i] = 0
		if a := f.DestArgs(d.back.Inst, int(d.back.Dest))[i]; a.IsPlain() {
			c.reach[i] = c.deps[f.Resolve(a)]
		}
	}
	for k := range params {
		for i := range params {
			if c.reach[i]>>k&1 != 0 {
				c.reach[i] |= c.reach[k]
			}
		}
	}
}

// circle is the parameters that v depends on and whose later values depend on v.
func (c *circles) circle(v ir.Value, n int) (set uint32) {
	for j := range n {
		if c.feeds[v]>>j&1 == 0 {
			continue
		}
		for i := range n {
			if c.reach[j]>>i&1 != 0 && c.reach[i]>>j&1 != 0 {
				set |= 1 << i
			}
		}
	}
	return set
}

// shortenSum puts the sum that root completes in the order that is ready first.
func (o *Optimizer) shortenSum(root ir.Inst) {
	c, f := &o.circles, o.f
	c.root, c.set = root, c.circle(f.Result(root), len(f.Params(o.ind.header)))
	c.terms, c.insts, c.ends = c.terms[:0], c.insts[:0], circleFree
	o.collectTerms(root, 0)
	if len(c.insts) == 0 || c.ends == circleFree {
		return
	}
	step := int(latency(f.Inst(root).Op))
	c.trial = append(c.trial[:0], c.terms...)
	if huffman(c.trial, step, nil) < c.ends {
		huffman(c.terms, step, o)
	}
}

// collectTerms finds the terms of the sum that inst is part of, depth before it is complete.
func (o *Optimizer) collectTerms(inst ir.Inst, depth int) {
	c, f := &o.circles, o.f
	op := f.Inst(inst).Op
	depth += int(latency(op))
	for _, a := range f.Args(inst) {
		a = f.Resolve(a)
		def, _ := f.ValueInst(a)
		if def != ir.NoInst && f.Inst(def).Op == op && f.InstBlock(def) == f.InstBlock(inst) && o.ind.uses[a] == 1 && len(c.terms)+len(c.insts) < maxTerms {
			c.inner[def] = true
			c.insts = append(c.insts, def)
			o.collectTerms(def, depth)
			continue
		}
		t := term{a, circleFree, false}
		if c.deps[a]&c.set != 0 {
			t.ready = int(c.ready[a])
			c.ends = max(c.ends, t.ready+depth)
		}
		_, t.constant = o.constant(a)
		c.terms = append(c.terms, t)
	}
}

// addTerms makes the next instruction of the sum at hand one that adds x and y. All stand where the last one
// stood.
func (o *Optimizer) addTerms(x, y term) ir.Value {
	c, f := &o.circles, o.f
	inst := c.root
	if len(c.insts) > 0 {
		inst = c.insts[len(c.insts)-1]
		c.insts = c.insts[:len(c.insts)-1]
		f.RemoveInst(inst)
		f.InsertBefore(inst, c.root)
	}
	if x.constant {
		x, y = y, x
	}
	f.Args(inst)[0], f.Args(inst)[1] = x.value, y.value
	return f.Result(inst)
}

// huffman combines the two terms that are ready first until one is left, and
// returns when that is ready. It changes terms; with an optimizer, it also makes the sums.
func huffman(terms []term, step int, o *Optimizer) int {
	for len(terms) > 1 {
		var pair [2]term
		for i := range pair {
			first := 0
			for k := range terms {
				if terms[k].ready < terms[first].ready {
					first = k
				}
			}
			pair[i] = terms[first]
			terms = slices.Delete(terms, first, first+1)
		}
		sum := term{ready: pair[1].ready}
		if sum.ready != circleFree {
			sum.ready += step
		}
		if o != nil {
			sum.value = o.addTerms(pair[0], pair[1])
		}
		terms = append(terms, sum)
	}
	return terms[0].ready
}
