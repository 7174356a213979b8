package opt

import "github.com/davit-wasm/davit/codegen/ir"

// Addresses in loops.
//
// A loop that walks through arrays has induction variables: parameters of its
// header to which every iteration adds a constant. In
//
//	loop(p: i32): store(base + uextend(p + 400)) … load(base + uextend(p + 800)) …
//	              q = p + 4; brif q != n, loop(q), exit
//
// addresses are linear in p, but as the sums wrap at 32 bits they have to be
// computed each by itself: an addressing mode adds 64 bits. If no sum wraps while
// the loop runs, all addresses are one 64-bit variable plus constants. That one
// counts up to zero, so that the addition also tells whether the loop is done:
//
//	loop(w: i64): store(start + w) … load(start + w + 400) …
//	              v = w + 4; brif v, loop(v), exit
//
// Addresses that begin elsewhere, or advance by 2, 4 or 8 times as much, have a
// start of their own, but share w: start + w·4 is an addressing mode. Induction
// variables that nothing else needs go.
//
// That nothing wraps is seen at once if the variable begins and ends with
// constants. Else it is tested when the program comes to the loop: all addresses must begin in the
// first 2³⁰ bytes, and not move by more than 2²⁸. If that does not hold, which is
// rare, a copy of the loop runs as it was. Addresses computed in 64 bits need no
// proof.
//
// How often the loop runs is known if its only way back is taken as long as an
// induction variable has not reached a bound; other exits may leave it earlier. With m the
// distance from the first comparison to the bound, in either direction, and step
// s, the loop runs m/s + 1 times, provided that s divides m. For that s must be a
// power of two if m is not a constant, and the test at the loop looks at m's low bits too.
//
// This is done to innermost loops without calls, if what an iteration saves is
// worth what is done in front of the loop. Cost: linear in the size of the loops.

const (
	maxInductionBlocks = 16 // of a loop
	maxInductionInsts  = 96 // of a loop
	maxCopiedInsts     = 48 // of a loop that is copied
	maxInductionVars   = 8  // of a loop
	maxGroups          = 6  // of a loop: starts of addresses, each in a register
	maxStep            = 1 << 12
	maxDistance        = 1 << 28 // between addresses of a group, and that they move
	maxBegin           = 1 << 30 // where a group begins
	maxPressure        = 10      // variables and starts, which take registers
	// assumedTrips is how often a loop is taken to run if that is not known.
	assumedTrips = 8
)

// inducer is the working memory of this pass.
type inducer struct {
	head  []ir.Block // by loop: its blocks are linked in reverse post order
	tail  []ir.Block
	next  []ir.Block // by block
	size  []uint32   // by loop: number of blocks
	inner []bool     // by loop: it has no other inside
	uses  []uint32   // by value: uses in the function
	left  []uint32   // by value: uses in the loop at hand, less those that go
	forms []affine   // by value, of the loop at hand
	copy  []ir.Value // by value: what it is in the copy of the loop
	as    []ir.Value // by value of a loop that has been copied: what it is outside
	twin  []ir.Block // by block: its copy
	work  []ir.Value

	loop    ir.Loop
	blocks  []ir.Block
	header  ir.Block
	entry   ir.Edge // the way in
	back    ir.Edge // the way back
	exits   int     // edges out of the loop
	calls   bool
	fixed   bool // the loop cannot be copied
	insts   int
	vars    []inductionVar
	refs    []reference
	groups  []group
	classes []class
	outside []ir.Value // values of the loop that are used outside
	out     []uint32   // how often
	escapes []ir.Value // values that have other names outside of their loops
	dirty   []bool     // by block: an edge that leads to it has changed
	trips   trips
	block   ir.Block // where code in front of the loop is put
	args    []ir.Value
}

// affine is a value that is scale·param + inv + k.
type affine struct {
	param ir.Value // NoValue: not of this form
	inv   ir.Value // does not change in the loop; NoValue for none
	scale int64
	k     int64
}

// inductionVar is a parameter of the header to which each iteration adds step.
type inductionVar struct {
	param, next, init ir.Value
	arg               int // which parameter
	step              int64
	dead              bool // nothing else will need it
}

// reference is a load or store whose address is of group g, plus k.
type reference struct {
	inst  ir.Inst
	arg   int // which argument is the address
	group int
	k     int64
}

// group is addresses that differ by constants. If extend is set, the affine form has
// 32 bits, and the address is base plus its zero-extension.
type group struct {
	form     affine // with the least k
	base     ir.Value
	extend   bool
	variable int
	most     int64 // the greatest k
	step     int64
	constant bool // where it begins is a constant
	begin    int64
	class    int
	ratio    int64    // of step to that of the class
	start    ir.Value // what is added to the class's variable
	address  ir.Value // the sum
	offset   int64    // what a reference adds to address, beside k
}

// class is a variable that counts in steps.
type class struct {
	step  int64
	param ir.Value
}

// induction improves addresses in loops; it reports whether it has changed
// anything.
func (o *Optimizer) induction() bool {
	d, f := &o.ind, o.f
	n := o.loops.NumLoops()
	if n == 0 {
		return false
	}
	d.inner = filled(d.inner, n, true)
	for l := range n {
		if p := o.loops.Parent(ir.Loop(l)); p != ir.NoLoop {
			d.inner[p] = false
		}
	}
	d.head = filled(d.head, n, ir.NoBlock)
	d.tail = filled(d.tail, n, ir.NoBlock)
	d.size = zeroed(d.size, n)
	d.next = filled(d.next, f.NumBlocks(), ir.NoBlock)
	for _, b := range o.dom.ReversePostOrder() {
		l := o.loops.Innermost(b)
		if l == ir.NoLoop || !d.inner[l] {
			continue
		}
		if d.head[l] == ir.NoBlock {
			d.head[l] = b
		} else {
			d.next[d.tail[l]] = b
		}
		d.tail[l] = b
		d.size[l]++
	}
	d.uses = d.uses[:0]
	d.dirty = zeroed(d.dirty, f.NumBlocks())
	changed := false
	values := f.NumValues()
	for l := range ir.Loop(n) { // before there are new values
		if d.inner[l] && d.size[l] <= maxInductionBlocks && o.findLoop(l) {
			if len(d.uses) == 0 {
				d.prepare(f, values)
				o.circles.prepare(values, f.NumInsts())
			}
			o.shortenRecurrences()
		}
	}
	if len(d.uses) == 0 {
		return false
	}
	for l := range ir.Loop(n) {
		if d.inner[l] && d.size[l] <= maxInductionBlocks && o.findLoop(l) && o.linearize() {
			changed = true
		}
	}
	if len(d.escapes) > 0 {
		o.renameEscapes()
	}
	d.escapes = d.escapes[:0]
	return changed
}

// prepare counts uses, when there is the first loop that could be improved.
func (d *inducer) prepare(f *ir.Function, n int) {
	d.uses = zeroed(d.uses, n)
	d.left = zeroed(d.left, n)
	d.forms = filled(d.forms, n, affine{param: ir.NoValue})
	d.copy = filled(d.copy, n, ir.NoValue)
	d.as = filled(d.as, n, ir.NoValue)
	for b := f.Entry(); b != ir.NoBlock; b = f.NextBlock(b) {
		count(f, b, d.uses)
	}
}

// count adds the uses of values in block b.
func count(f *ir.Function, b ir.Block, uses []uint32) {
	for inst := f.FirstInst(b); inst != ir.NoInst; inst = f.NextInst(inst) {
		for _, a := range f.Args(inst) {
			uses[f.Resolve(a)]++
		}
		for i := range f.Dests(inst) {
			for _, a := range f.DestArgs(inst, i) {
				if a.IsPlain() {
					uses[f.Resolve(a)]++
				}
			}
		}
		if d := f.Inst(inst); d.Op == ir.OpTryCall || d.Op == ir.OpTryCallIndirect {
			for _, h := range f.ExceptionTables[d.Imm].Handlers {
				if h.Kind == ir.HandlerContext {
					uses[f.Resolve(h.Context)]++
				}
			}
		}
	}
}

// inLoop reports whether b is a block of the loop at hand.
func (o *Optimizer) inLoop(b ir.Block) bool {
	return int(b) < len(o.ind.next) && o.loops.Innermost(b) == o.ind.loop
}

// invariant reports whether v is computed outside of the loop at hand.
func (o *Optimizer) invariant(v ir.Value) bool {
	b, _ := o.f.ValueBlock(v)
	if inst, _ := o.f.ValueInst(v); inst != ir.NoInst {
		b = o.f.InstBlock(inst)
	}
	return !o.inLoop(b)
}

// findLoop looks whether loop l is of the kind that is improved: one way in, one
// way back, from a branch that may also leave, and induction variables.
func (o *Optimizer) findLoop(l ir.Loop) bool {
	d, f := &o.ind, o.f
	d.loop, d.header = l, o.loops.Header(l)
	d.blocks = d.blocks[:0]
	for b := d.head[l]; b != ir.NoBlock; b = d.next[b] {
		d.blocks = append(d.blocks, b)
	}
	if f.Cold(d.header) || d.dirty[d.header] {
		return false
	}
	in, back := 0, 0
	for _, e := range o.cfg.Preds(d.header) {
		switch {
		case o.inLoop(e.From):
			d.back = e
			back++
		case o.dom.Reachable(e.From):
			d.entry = e
			in++
		}
	}
	if in != 1 || back != 1 || f.Inst(d.entry.Inst).Op.IsCall() || f.Inst(d.back.Inst).Op != ir.OpBrif || o.inLoop(f.Dests(d.back.Inst)[1-d.back.Dest].Block) {
		return false
	}
	d.vars = d.vars[:0]
	for k, p := range f.Params(d.header) {
		if t := f.ValueType(p); t != ir.I32 && t != ir.I64 || len(d.vars) == maxInductionVars {
			continue
		}
		init := f.DestArgs(d.entry.Inst, int(d.entry.Dest))[k]
		next := f.Resolve(f.DestArgs(d.back.Inst, int(d.back.Dest))[k])
		if step, ok := o.stepOf(next, p); ok && init.IsPlain() {
			d.vars = append(d.vars, inductionVar{param: p, next: next, init: f.Resolve(init), arg: k, step: step})
		}
	}
	return len(d.vars) > 0
}

// stepOf is k if v is p+k.
func (o *Optimizer) stepOf(v, p ir.Value) (int64, bool) {
	f := o.f
	inst, _ := f.ValueInst(v)
	if inst == ir.NoInst {
		return 0, false
	}
	op := f.Inst(inst).Op
	if op != ir.OpIadd && op != ir.OpIsub || f.Arg(inst, 0) != p {
		return 0, false
	}
	k, ok := o.signedConstant(f.Arg(inst, 1))
	if op == ir.OpIsub {
		k = -k
	}
	return k, ok && k != 0 && -maxStep <= k && k <= maxStep
}

// signedConstant is the value of v if it is a constant, sign-extended.
func (o *Optimizer) signedConstant(v ir.Value) (int64, bool) {
	k, ok := o.constant(v)
	return signed(o.f.ValueType(v), k), ok
}

// linearize improves the loop that findLoop has found, if that pays.
func (o *Optimizer) linearize() bool {
	d, f := &o.ind, o.f
	for i := range d.vars {
		d.forms[d.vars[i].param] = affine{d.vars[i].param, ir.NoValue, 1, 0}
	}
	d.refs, d.groups, d.classes = d.refs[:0], d.groups[:0], d.classes[:0]
	d.insts, d.exits, d.calls, d.fixed = 0, 0, false, false
	for _, b := range d.blocks {
		for inst := f.FirstInst(b); inst != ir.NoInst; inst = f.NextInst(inst) {
			d.insts++
			switch data := f.Inst(inst); data.Op.Format() {
			case ir.FormatLoad:
				o.refer(inst, 0)
			case ir.FormatStore:
				o.refer(inst, 1)
			default:
				if data.Op.IsCall() || data.Op == ir.OpSequencePoint || data.Op == ir.OpGetExceptionHandlerAddress {
					d.calls = d.calls || !f.Cold(b)
					d.fixed = true
				}
				o.findForm(inst)
			}
		}
		for _, e := range f.Dests(f.LastInst(b)) {
			if !o.inLoop(e.Block) {
				d.exits++
			}
		}
	}
	ok := len(d.refs) > 0 && !d.calls && d.insts <= maxInductionInsts && o.plan()
	if ok {
		o.replace()
	}
	for _, b := range d.blocks { // leave the tables clean
		for _, p := range f.Params(b) {
			d.forget(p)
		}
		for inst := f.FirstInst(b); inst != ir.NoInst; inst = f.NextInst(inst) {
			for _, v := range f.Results(inst) {
				d.forget(v)
			}
		}
	}
	return ok
}

func (d *inducer) forget(v ir.Value) {
	if int(v) < len(d.forms) {
		d.forms[v].param = ir.NoValue
		d.copy[v] = ir.NoValue
	}
}

// formOf is the affine form of v.
func (o *Optimizer) formOf(v ir.Value) (affine, bool) {
	a := o.ind.forms[v]
	return a, a.param != ir.NoValue
}

// findForm finds the form of the result of an instruction.
func (o *Optimizer) findForm(inst ir.Inst) {
	f := o.f
	data := f.Inst(inst)
	switch data.Op {
	case ir.OpIadd, ir.OpIsub, ir.OpIshl, ir.OpImul:
	default:
		return
	}
	t := f.ValueType(f.Result(inst))
	if t != ir.I32 && t != ir.I64 {
		return
	}
	x, y := f.Arg(inst, 0), f.Arg(inst, 1)
	a, ok := o.formOf(x)
	if !ok {
		if data.Op != ir.OpIadd {
			return
		}
		if a, ok = o.formOf(y); !ok {
			return
		}
		y = x
	}
	k, isConst := o.signedConstant(y)
	const small = 1 << 16
	switch data.Op {
	case ir.OpIadd:
		if !isConst {
			if a.inv != ir.NoValue || !o.invariant(y) {
				return
			}
			a.inv = y
		}
		a.k += k
	case ir.OpIsub:
		if !isConst {
			return
		}
		a.k -= k
	case ir.OpIshl, ir.OpImul:
		if !isConst || a.inv != ir.NoValue {
			return
		}
		if data.Op == ir.OpIshl {
			if k < 0 || k > 16 {
				return
			}
			k = 1 << k
		}
		if k == 0 || k < -small || k > small || a.scale < -small || a.scale > small || a.k < -1<<40 || a.k > 1<<40 {
			return
		}
		a.scale *= k
		a.k *= k
	}
	a.k = signed(t, uint64(a.k))
	o.ind.forms[f.Result(inst)] = a
}

// refer notes a load or store if its address is linear.
func (o *Optimizer) refer(inst ir.Inst, arg int) {
	d, f := &o.ind, o.f
	v := f.Arg(inst, arg)
	if f.ValueType(v) != ir.I64 {
		return
	}
	g := group{base: ir.NoValue}
	a, ok := o.formOf(v)
	if !ok {
		add, _ := f.ValueInst(v)
		if add == ir.NoInst || f.Inst(add).Op != ir.OpIadd {
			return
		}
		x, y := f.Arg(add, 0), f.Arg(add, 1)
		if a, ok = o.extendedForm(y); !ok {
			if a, ok = o.extendedForm(x); !ok {
				return
			}
			x = y
		}
		if !o.invariant(x) {
			return
		}
		g.base, g.extend = x, true
	}
	offset := f.Inst(inst).Imm
	if offset < -maxDistance || offset > maxDistance {
		return
	}
	k := a.k
	a.k = 0
	for i := range d.groups {
		h := &d.groups[i]
		if h.base != g.base || h.form.param != a.param || h.form.inv != a.inv || h.form.scale != a.scale {
			continue
		}
		lo, hi := min(h.form.k, k), max(h.most, k)
		if hi-lo > maxDistance {
			continue
		}
		h.form.k, h.most = lo, hi
		d.refs = append(d.refs, reference{inst, arg, i, k})
		return
	}
	if len(d.groups) == maxGroups {
		return
	}
	for i := range d.vars {
		if d.vars[i].param == a.param {
			g.variable = i
		}
	}
	g.form, g.most, g.step = a, k, a.scale*d.vars[g.variable].step
	g.form.k = k
	if g.step < -maxStep || g.step > maxStep {
		return
	}
	d.refs = append(d.refs, reference{inst, arg, len(d.groups), k})
	d.groups = append(d.groups, g)
}

// extendedForm is the form of what v is the zero-extension of.
func (o *Optimizer) extendedForm(v ir.Value) (affine, bool) {
	f := o.f
	inst, _ := f.ValueInst(v)
	if inst == ir.NoInst || f.Inst(inst).Op != ir.OpUextend || f.ValueType(f.Arg(inst, 0)) != ir.I32 {
		return affine{}, false
	}
	return o.formOf(f.Arg(inst, 0))
}

// plan decides what becomes of the loop: whether it is worth it, and which
// variables go.
func (o *Optimizer) plan() bool {
	d, f := &o.ind, o.f
	o.countTrips()
	t := &d.trips
	for i := range d.groups {
		g := &d.groups[i]
		size := max(g.step, -g.step)
		if t.constant && t.back >= maxDistance/size {
			return false
		}
		if !g.extend {
			continue
		}
		if !t.known {
			return false // nothing is known of 32 bits
		}
		if k, ok := o.signedConstant(d.vars[g.variable].init); ok && g.form.inv == ir.NoValue {
			g.constant, g.begin = true, int64(uint32(g.form.scale*k+g.form.k))
			if g.begin >= maxBegin || t.constant && g.begin+t.back*g.step < 0 {
				return false
			}
		}
	}
	if !o.countLoopUses() {
		return false
	}
	gain := 0
	for _, r := range d.refs {
		gain += o.drop(f.Arg(r.inst, r.arg))
	}
	pressure, setup := len(f.Params(d.header)), 0
	for i := range d.vars {
		if o.removable(i) {
			d.vars[i].dead = true
			gain++
			pressure--
		}
	}
	o.classify()
	gain -= len(d.classes)
	pressure += len(d.classes)
	for i := range d.groups {
		if !d.groups[i].constant {
			setup += 3
			pressure++
		}
	}
	n := int64(assumedTrips)
	if t.constant {
		n = t.back + 1
	} else if t.known {
		setup += 4
	}
	if o.tested() {
		setup += 2
	}
	return gain > 0 && pressure <= maxPressure && n*int64(gain) > int64(setup)
}

// tested reports whether it has to be tested in front of the loop that no
// address wraps.
func (o *Optimizer) tested() bool {
	for i := range o.ind.groups {
		if g := &o.ind.groups[i]; g.extend && !(g.constant && o.ind.trips.constant) {
			return true
		}
	}
	return false
}

// countLoopUses counts uses of the loop's values, and reports whether the loop can be copied, if it must be: what is
// computed in it and used outside needs a block that is entered by its only exit alone.
func (o *Optimizer) countLoopUses() bool {
	d, f := &o.ind, o.f
	for _, b := range d.blocks {
		count(f, b, d.left)
	}
	tested := o.tested()
	ok := !tested || !o.opts.Small && !d.fixed && d.insts <= maxCopiedInsts
	escape := func(v ir.Value) {
		if d.uses[v] != d.left[v] {
			d.outside = append(d.outside, v)
			d.out = append(d.out, d.uses[v]-d.left[v])
		}
		d.left[v] = d.uses[v]
	}
	d.outside, d.out = d.outside[:0], d.out[:0]
	for _, b := range d.blocks {
		for _, p := range f.Params(b) {
			escape(p)
		}
		for inst := f.FirstInst(b); inst != ir.NoInst; inst = f.NextInst(inst) {
			for _, v := range f.Results(inst) {
				escape(v)
			}
		}
	}
	return ok && (!tested || len(d.outside) == 0 || d.exits == 1 && len(o.cfg.Preds(o.exit())) == 1)
}

// exit is where the branch that leads back leads else.
func (o *Optimizer) exit() ir.Block {
	e := o.ind.back
	return o.f.Dests(e.Inst)[1-e.Dest].Block
}

// drop forgets a use of v, and all that is computed for it alone. It returns how
// many additions go.
func (o *Optimizer) drop(v ir.Value) (additions int) {
	d, f := &o.ind, o.f
	d.work = append(d.work[:0], v)
	for len(d.work) > 0 {
		v := d.work[len(d.work)-1]
		d.work = d.work[:len(d.work)-1]
		inst, _ := f.ValueInst(v)
		if o.invariant(v) {
			continue
		}
		if d.left[v]--; d.left[v] > 0 || inst == ir.NoInst || !pure(f.Inst(inst)) {
			continue
		}
		if f.ValueType(v) == ir.I32 && !o.isConst(v) {
			additions++
		}
		for i := range f.Args(inst) {
			d.work = append(d.work, f.Arg(inst, i))
		}
	}
	return additions
}

// removable reports whether nothing needs variable i but its next value, the
// comparison at the end, and what comes behind it.
func (o *Optimizer) removable(i int) bool {
	d, f := &o.ind, o.f
	v := &d.vars[i]
	p, next := d.left[v.param], d.left[v.next]
	if d.trips.known {
		for _, a := range f.DestArgs(d.back.Inst, int(1-d.back.Dest)) {
			switch f.Resolve(a) {
			case v.param:
				p--
			case v.next:
				next--
			}
		}
		for k, n := range d.out {
			switch {
			case d.exits > 1: // by another exit it may be anything
			case d.outside[k] == v.param:
				p -= n
			case d.outside[k] == v.next:
				next -= n
			}
		}
		if c := f.Arg(d.back.Inst, 0); d.trips.variable == i && (c == d.trips.through || d.left[c] == 1) {
			if d.trips.through == v.param {
				p--
			} else {
				next--
			}
		}
	}
	return p == 1 && next == 1
}

// classify finds a class for each group, the smallest steps first.
func (o *Optimizer) classify() {
	d := &o.ind
	for step := int64(1); ; {
		least := int64(maxStep + 1)
		for i := range d.groups {
			g := &d.groups[i]
			size := max(g.step, -g.step)
			if size > step {
				least = min(least, size)
			}
			if size != step {
				continue
			}
			g.class = -1
			for c := range d.classes {
				if r := g.step / d.classes[c].step; g.step == r*d.classes[c].step && (r == 1 || r == 2 || r == 4 || r == 8) {
					g.class, g.ratio = c, r
					break
				}
			}
			if g.class < 0 {
				g.class, g.ratio = len(d.classes), 1
				d.classes = append(d.classes, class{step: g.step})
			}
		}
		if least > maxStep {
			return
		}
		step = least
	}
}
