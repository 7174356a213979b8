// Package opt is the mid-end: it makes a function of the IR a better one,
// whatever the target.
//
// # The idea
//
// The instructions of a function are of two kinds. Those with effects, and
// those that could trap, are its skeleton: they stay where they are, or go. All
// others depend on nothing but their operands and float: what they compute may be
// found in a better form, once instead of twice, or elsewhere.
//
// One walk over the dominator tree sees every instruction after all that its
// operands come from. It numbers values: an instruction that has been seen with the
// same operands, in a place that dominates this one, is the same value
// (number.go). What is new is offered to the rewrite rules (rewrite.go, *.rules),
// which answer with other forms of the value. All forms that are known of a
// value are its class. Later rules look at every form in the class of an
// operand, and what is computed in the end is the form that costs least. This is
// the acyclic e-graph of Cranelift (C. Fallin, "ægraphs: Acyclic E-graphs for
// Efficient Optimization in a Production Compiler", EGRAPHS 2023), with one
// difference: as a class is complete before anything can refer to it, the
// cheapest form is known right then, and there is no extraction afterwards.
//
// The same walk forwards what is stored to what is loaded and finds loads that
// have been done (memory.go), and conditions that a branch has decided already
// (branch.go).
//
// A second walk puts the values in their places (place.go). Here too there is a
// difference: an instruction of the function that survives stays where it was, and
// only new ones are put before their first use. Code that arrives has been
// ordered by somebody who knew why; hash functions, thousands of instructions
// without a branch, suffer badly from being reordered. What is worth a register
// and does not change in a loop moves in front of it.
//
// Last, loops that walk through memory get by with fewer additions (induction.go).
//
// Before all that the graph is cleaned: blocks that cannot be reached, jumps to
// jumps, parameters that are always the same (clean.go).
//
// # Cost
//
// Every step is near-linear in the size of the function. Rewriting is bounded:
// by the depth of rules that apply to what rules have made, by the number of
// forms in a class, and by the number of new instructions. Working memory is kept
// from function to function.
package opt

import (
	"github.com/davit-wasm/davit/codegen/ir"
)

// Options say what to do.
type Options struct {
	// NoMemory leaves loads and stores alone.
	NoMemory bool
	// Small leaves out what makes code larger.
	Small bool
}

// Optimizer optimizes one function after the other. The zero value is ready. It is
// for one goroutine at a time.
type Optimizer struct {
	f    *ir.Function
	opts Options

	walk  ir.Walk
	cfg   ir.CFG
	dom   ir.DomTree
	loops ir.LoopForest

	clean    cleaner
	consts   constants
	threads  threading
	dispatch dispatching
	values   []value
	nums     numbering
	mem      memory
	facts    []fact // by value
	spans    []spanFact
	bits     []knownBits // by value
	rw       rewriter
	pl       placer
	ind      inducer
	circles  circles
	bounds   bounds

	block   ir.Block // being walked
	stack   []ir.Block
	calls   uint32 // how many calls have been walked over
	changed bool   // whether a branch has been folded
}

// value is what is known of a value.
type value struct {
	// rep is the value that stands for this one: it has the same number, or is the
	// cheapest form. It is its own representative.
	rep ir.Value
	// class is where in rewriter.classes the forms of the value are; forms is how many. A value
	// without other forms has none.
	class uint32
	forms uint8
	// new is set of results of instructions that rules have made.
	new bool
	// as is what users of the value use, if that is not rep but another value that
	// is the same: itself, or one that has been computed again too. Of rep, it is
	// the last such value.
	as ir.Value
	// calls is how many calls the walk had seen when it came to the value.
	calls uint32
	// uses is how many instructions of the function use the value, capped at 2.
	uses uint8
	// cost is what computing the value costs, with all that it needs.
	cost uint32
}

// Run optimizes f, which must be valid and without branches to the entry block.
func (o *Optimizer) Run(f *ir.Function, opts Options) {
	o.f, o.opts = f, opts
	o.cleanUp()
	if o.propagate() {
		o.cleanUp()
	}
	o.threadDispatchers()
	if o.threadJumps() {
		o.cleanUp()
	}
	o.analyze()
	o.number()
	if o.changed {
		o.cleanUp()
		o.analyze()
	}
	o.place()
	if o.induction() {
		o.sweep()
	}
	o.f.Loc = 0
}

// analyze finds dominators and loops.
func (o *Optimizer) analyze() {
	o.cfg.Compute(o.f)
	o.dom.Compute(o.f, &o.cfg)
	o.loops.Compute(o.f, &o.cfg, &o.dom)
}

// number walks the dominator tree and numbers, rewrites and forwards.
func (o *Optimizer) number() {
	f := o.f
	o.changed, o.calls = false, 0
	o.values, o.facts, o.spans, o.bits = o.values[:0], o.facts[:0], o.spans[:0], o.bits[:0]
	o.grow()
	o.countUses()
	o.nums.reset(f.NumInsts())
	o.rw.reset(f.NumInsts())
	o.startMemory()
	o.startBounds()
	o.stack = append(o.stack[:0], f.Entry())
	for len(o.stack) > 0 {
		b := o.stack[len(o.stack)-1]
		o.stack = o.stack[:len(o.stack)-1]
		o.numberBlock(b)
		// Children are in reverse post order, which the stack must give back.
		n := len(o.stack)
		for c := o.dom.FirstChild(b); c != ir.NoBlock; c = o.dom.NextSibling(c) {
			o.stack = append(o.stack, c)
		}
		for i, k := n, len(o.stack)-1; i < k; i, k = i+1, k-1 {
			o.stack[i], o.stack[k] = o.stack[k], o.stack[i]
		}
	}
}

// grow makes room for the values that have been added to the function.
func (o *Optimizer) grow() {
	n := o.f.NumValues()
	if n > cap(o.values) {
		room := n + n/2 // rewriting makes values
		o.values = append(make([]value, 0, room), o.values...)
		o.facts, o.bits = append(make([]fact, 0, room), o.facts...), append(make([]knownBits, 0, room), o.bits...)
	}
	for i := len(o.values); i < n; i++ {
		o.values = append(o.values, value{rep: ir.Value(i), as: ir.NoValue})
	}
	for i := len(o.facts); i < n; i++ {
		o.facts = append(o.facts, fact{block: ir.NoBlock})
		o.bits = append(o.bits, knownBits{})
	}
}

// countUses counts the uses of values.
func (o *Optimizer) countUses() {
	f := o.f
	use := func(v ir.Value) {
		if v.IsPlain() {
			x := &o.values[f.Resolve(v)]
			x.uses = min(x.uses+1, 2)
		}
	}
	for b := f.Entry(); b != ir.NoBlock; b = f.NextBlock(b) {
		for inst := f.FirstInst(b); inst != ir.NoInst; inst = f.NextInst(inst) {
			args := f.Args(inst)
			for i, v := range args {
				if i == 0 || v != args[i-1] { // x*x needs x once
					use(v)
				}
			}
		}
		last := f.LastInst(b)
		for i := range f.Dests(last) {
			for _, v := range f.DestArgs(last, i) {
				use(v)
			}
		}
	}
}

// rep is the value that stands for v.
func (o *Optimizer) rep(v ir.Value) ir.Value {
	if !v.IsPlain() {
		return v
	}
	return o.values[o.f.Resolve(v)].rep
}

func (o *Optimizer) numberBlock(b ir.Block) {
	f := o.f
	o.block = b
	o.enterMemory(b)
	o.closeBounds()
	o.enterFacts(b)
	for inst := f.FirstInst(b); inst != ir.NoInst; {
		next := f.NextInst(inst)
		f.Loc = f.SourceLoc(inst)
		d := f.Inst(inst)
		if d.Op.IsCall() {
			o.calls++
		}
		switch {
		case pure(d):
			o.numberPure(inst)
		case d.Op.IsTerminator():
			o.numberBranch(inst)
		default:
			o.learnBits(inst)
			o.numberSkeleton(inst)
		}
		inst = next
	}
}

// pure reports whether an instruction floats: it has no effect, cannot trap, and
// reads no memory that changes.
func pure(d *ir.InstData) bool {
	flags := d.Op.Flags()
	if flags == 0 {
		return d.Op != ir.OpNop
	}
	if flags == ir.FlagLoad|ir.FlagTrap {
		return d.Flags&(ir.MemReadonly|ir.MemNotrap) == ir.MemReadonly|ir.MemNotrap
	}
	return false
}

// deletable reports whether an instruction may go if its results are not used.
func deletable(d *ir.InstData) bool {
	flags := d.Op.Flags()
	switch flags {
	case 0:
		return true
	case ir.FlagLoad | ir.FlagTrap:
		return d.Flags&ir.MemNotrap != 0
	}
	return false
}

// numberPure finds what stands for the results of a pure instruction.
func (o *Optimizer) numberPure(inst ir.Inst) {
	f := o.f
	res := f.Results(inst)
	if len(res) != 1 {
		if same := o.nums.lookup(o, inst); same != ir.NoInst {
			for i, v := range f.Results(same) {
				o.values[res[i]].rep = o.values[v].rep
			}
		} else {
			o.splitResults(inst)
		}
		return
	}
	o.canonicalOrder(inst)
	v := res[0]
	o.values[v].calls = o.calls
	r := o.form(inst, v)
	o.values[v].rep = r
	if r == v || !o.cheaperAgain(inst, r) {
		return
	}
	again := o.values[r].as
	if again != ir.NoValue && o.values[again].calls == o.calls {
		if def, _ := f.ValueInst(again); o.dom.Dominates(f.InstBlock(def), o.block) {
			o.values[v].as = again
			return
		}
	}
	o.values[v].as, o.values[r].as = v, v
}

// cheaperAgain reports whether a value that inst computes had better be computed
// again than kept since r, which is the same, has been computed: calls keep no
// register, so that it would have to be loaded from the frame, and what is one
// cheap instruction, or becomes part of another, costs no more.
func (o *Optimizer) cheaperAgain(inst ir.Inst, r ir.Value) bool {
	f := o.f
	x := &o.values[r]
	def, _ := f.ValueInst(r)
	if x.new || def == ir.NoInst || x.calls == o.calls || f.Inst(def).Op != f.Inst(inst).Op {
		return false
	}
	switch f.Inst(inst).Op {
	case ir.OpUextend, ir.OpSextend, ir.OpIreduce, ir.OpStackAddr, ir.OpGetFramePointer, ir.OpGetStackPointer:
		return true
	case ir.OpIadd, ir.OpIsub, ir.OpBand, ir.OpBor, ir.OpBxor, ir.OpIshl, ir.OpUshr, ir.OpSshr, ir.OpIcmp:
		return o.isConst(o.rep(f.Args(inst)[1]))
	}
	return false
}

// numberSkeleton handles what has an effect or could trap.
func (o *Optimizer) numberSkeleton(inst ir.Inst) {
	f := o.f
	d := f.Inst(inst)
	flags := d.Op.Flags()
	if d.Op == ir.OpTrapz || d.Op == ir.OpTrapnz {
		o.numberTrap(inst)
		return
	}
	if format := d.Op.Format(); format == ir.FormatLoad || format == ir.FormatStore {
		o.accessBounds(inst)
	}
	o.seeBounds(inst)
	switch {
	case flags == ir.FlagTrap || d.Op == ir.OpSelectSpectreGuard || d.Op == ir.OpUaddOverflowTrap:
		// It stays, but once is enough: if the first one did not trap, this one does not.
		o.canonicalOrder(inst)
		if r, ok := o.withoutTrap(inst); ok {
			o.values[f.Result(inst)].rep = r
			if r != f.Result(inst) {
				f.RemoveInst(inst)
			}
			return
		}
		if same := o.nums.lookup(o, inst); same != ir.NoInst {
			o.values[f.Result(inst)].rep = o.rep(f.Result(same))
			f.RemoveInst(inst)
			return
		}
		if flags&ir.FlagTrap != 0 {
			o.looked()
		}
	case flags&(ir.FlagLoad|ir.FlagStore|ir.FlagCall) != 0 || d.Op == ir.OpFence:
		o.numberMemory(inst)
	}
}

// withoutTrap is what stands for the result of an instruction that could trap, but
// is seen not to.
func (o *Optimizer) withoutTrap(inst ir.Inst) (ir.Value, bool) {
	f := o.f
	v := f.Result(inst)
	args := f.Args(inst)
	switch op := f.Inst(inst).Op; {
	case op == ir.OpSelectSpectreGuard:
		// It must not become a select, but with a known condition there is nothing to guard.
		if zero, ok := o.known(o.rep(args[0])); ok && zero {
			return o.rep(args[2]), true
		} else if ok {
			return o.rep(args[1]), true
		}
		if r, ok := o.guarded(inst); ok {
			return r, true
		}
		return v, false
	case !o.trapsNever(inst):
		return v, false
	case op == ir.OpUaddOverflowTrap:
		return o.makeIadd(o.rep(args[0]), o.rep(args[1])), true
	}
	r := o.form(inst, v)
	if r == v {
		o.values[v].cost = 0 // it stays whoever needs it
	}
	return r, true
}
