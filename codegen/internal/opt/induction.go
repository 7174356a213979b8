package opt

import (
	"math/bits"
	"slices"

	"github.com/davit-wasm/davit/codegen/ir"
)

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

// trips says how often the way back is taken.
type trips struct {
	known    bool
	constant bool
	back     int64    // how often, if constant
	variable int      // else: the variable that is compared,
	k        int64    // plus k,
	bound    ir.Value // or
	limit    int64    // if that is NoValue
	through  ir.Value // the value compared, next or param of the variable
	distance ir.Value // m, if not constant
	wide     ir.Value // m in 64 bits
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
	for l := range ir.Loop(n) {
		if d.inner[l] && d.size[l] <= maxInductionBlocks && o.findLoop(l) {
			if len(d.uses) == 0 {
				d.prepare(f, values)
			}
			if o.linearize() {
				changed = true
			}
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
	if in != 1 || back != 1 || f.Inst(d.back.Inst).Op != ir.OpBrif || o.inLoop(f.Dests(d.back.Inst)[1-d.back.Dest].Block) {
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
	ok := !tested || !d.fixed && d.insts <= maxCopiedInsts
	escape := func(v ir.Value) {
		if d.uses[v] != d.left[v] {
			d.outside = append(d.outside, v)
		}
		d.left[v] = d.uses[v]
	}
	d.outside = d.outside[:0]
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

// countTrips finds out how often the way back is taken.
func (o *Optimizer) countTrips() {
	d, f := &o.ind, o.f
	t := &d.trips
	*t = trips{variable: -1}
	c := f.Arg(d.back.Inst, 0)
	variable := func(v ir.Value) (int, bool) {
		for i := range d.vars {
			if d.vars[i].next == v || d.vars[i].param == v {
				return i, true
			}
		}
		return 0, false
	}
	x, cc, bound, isConst := c, ir.NotEqual, int64(0), true
	i, ok := variable(c)
	if ok {
		if d.back.Dest != 0 {
			return
		}
	} else {
		inst, _ := f.ValueInst(c)
		if inst == ir.NoInst || f.Inst(inst).Op != ir.OpIcmp {
			return
		}
		cc = f.Inst(inst).IntCC()
		if d.back.Dest != 0 {
			cc = cc.Inverse()
		}
		x = f.Arg(inst, 0)
		y := f.Arg(inst, 1)
		if i, ok = variable(x); !ok {
			if i, ok = variable(y); !ok {
				return
			}
			x, y, cc = y, x, cc.Swap()
		}
		bound, isConst = o.signedConstant(y)
		if !isConst && !o.invariant(y) {
			return
		}
		t.bound = y
	}
	v := &d.vars[i]
	if x == v.next {
		t.k = v.step
	}
	t.variable, t.through = i, x
	typ := f.ValueType(x)
	if init, ok := o.signedConstant(v.init); ok && isConst {
		t.back, t.known = countBack(cc, typ, signed(typ, uint64(init+t.k)), v.step, bound)
		t.constant = t.known
		return
	}
	size := max(v.step, -v.step)
	t.known = cc == ir.NotEqual && typ == ir.I32 && size&(size-1) == 0
	if isConst {
		t.bound = ir.NoValue
		t.limit = bound
	}
}

// countBack is how often x, which grows by step, compares with bound in the way
// cc before it first does not.
func countBack(cc ir.IntCC, t ir.Type, x, step, bound int64) (n int64, ok bool) {
	size := max(step, -step)
	if cc == ir.NotEqual {
		m := uint64(bound - x)
		if step < 0 {
			m = -m
		}
		m &= mask(t)
		return int64(m / uint64(size)), m%uint64(size) == 0 && m < 1<<62
	}
	least, most := int64(-1<<31), int64(1<<31-1)
	switch cc {
	case ir.UnsignedLessThan, ir.UnsignedLessThanOrEqual, ir.UnsignedGreaterThan, ir.UnsignedGreaterThanOrEqual:
		least, most = 0, 1<<32-1
		if t == ir.I32 {
			x, bound = int64(uint32(x)), int64(uint32(bound))
		}
	}
	// Of 64 bits the same numbers are taken, and no others.
	if x < least || x > most || bound < least || bound > most {
		return 0, false
	}
	switch cc {
	case ir.UnsignedLessThan, ir.SignedLessThan:
	case ir.UnsignedLessThanOrEqual, ir.SignedLessThanOrEqual:
		bound++
	case ir.UnsignedGreaterThan, ir.SignedGreaterThan:
		x, bound, step = -x, -bound, -step
		least, most = -most, -least
	case ir.UnsignedGreaterThanOrEqual, ir.SignedGreaterThanOrEqual:
		x, bound, step = -x, 1-bound, -step
		least, most = -most, -least
	default:
		return 0, false
	}
	// Now it goes on while x < bound.
	if step < 0 {
		return 0, x >= bound
	}
	n = max(0, (bound-x+size-1)/size)
	return n, x+n*step <= most
}

// ---- Changing the loop

// replace does what has been planned.
func (o *Optimizer) replace() {
	d, f := &o.ind, o.f
	f.Loc = f.SourceLoc(d.back.Inst)
	front := f.AddBlock()
	f.InsertBlockAfter(front, d.entry.From)
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
	t := &d.trips
	exit := int(1 - d.back.Dest)
	for k, a := range f.DestArgs(d.back.Inst, exit) {
		a = f.Resolve(a)
		if a != v.param && a != v.next {
			continue
		}
		var x ir.Value // next
		switch {
		case t.constant:
			x = o.plus(v.init, (t.back+1)*v.step)
		case v != &d.vars[t.variable]:
			x = o.timesTrips(v.step)
			if f.ValueType(v.init) == ir.I32 {
				x = o.front(ir.InstData{Op: ir.OpIreduce, Type: ir.I32}, x)
			}
			x = o.binary(ir.OpIadd, v.init, x)
		case t.bound == ir.NoValue:
			x = o.iconst(ir.I32, t.limit-t.k+v.step)
		default:
			x = o.plus(t.bound, v.step-t.k)
		}
		if a == v.param {
			x = o.plus(x, -v.step)
		}
		f.DestArgs(d.back.Inst, exit)[k] = x
	}
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
