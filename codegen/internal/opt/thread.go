package opt

import (
	"github.com/davit-wasm/davit/codegen/interp"
	"github.com/davit-wasm/davit/codegen/ir"
)

// Jump threading.
//
// A block that does nothing but branch on one of its parameters need not be gone
// through by a jump that passes a constant: the jump can go straight to where
// the branch goes. `a && b` is compiled to such a thing:
//
//	    brif v1, block1, block2(0)
//	block1:
//	    jump block2(v2)
//	block2(v3):
//	    brif v3, block3, block4
//
// becomes a branch on v1 to block1 or block4. The block may compute a few things,
// which are computed in front of the jump instead; nothing else may use what it
// defines. The header of a loop is left alone: a jump past it would be a second way in.
//
// Two more shapes are seen to here. A branch to a block that only traps becomes a
// conditional trap, so that what follows is in one block with what was before. And a branch both
// of whose ways lead to the same block, with constants, becomes a selection
// of these, which often is the condition itself.

const (
	// maxThreaded is how many instructions a block may have, beside its branch, that is
	// jumped past.
	maxThreaded = 4
	// maxSelected is how many constants a branch may choose from, to become
	// selections.
	maxSelected = 2
)

// threading is the working memory of jump threading.
type threading struct {
	position []uint32 // by block: in reverse post order
	escapes  []bool   // by value: used outside of its block
	known    []constantOr
	subst    []ir.Value
	args     []ir.Value
	drop     []bool
	budget   int
}

// threadJumps simplifies branches, and reports whether there were any.
func (o *Optimizer) threadJumps() bool {
	f := o.f
	any := false
	for b := f.Entry(); b != ir.NoBlock; b = f.NextBlock(b) {
		if last := f.LastInst(b); f.Inst(last).Op == ir.OpBrif && (o.branchToTrap(last) || o.branchToSelect(last)) {
			any = true
		}
	}
	if any {
		o.cfg.Compute(f)
	}
	t := &o.threads
	t.budget = 2*f.NumBlocks() + 16
	ready := false
	for _, b := range o.clean.order {
		if !f.InLayout(b) || !o.threadable(b) {
			continue
		}
		if !ready {
			if !o.mayThread(b) {
				continue
			}
			o.findEscapes()
			ready = true
		}
		if o.threadBlock(b) {
			any = true
		}
	}
	return any
}

// branchToTrap makes a conditional trap of a branch to a block that only traps.
func (o *Optimizer) branchToTrap(last ir.Inst) bool {
	f := o.f
	for i := range f.Dests(last) {
		b := f.Dests(last)[i].Block
		trap := f.LastInst(b)
		if f.Inst(trap).Op != ir.OpTrap {
			continue
		}
		only := true
		for inst := f.FirstInst(b); inst != trap && only; inst = f.NextInst(inst) {
			only = deletable(f.Inst(inst))
		}
		if !only {
			continue
		}
		op := ir.OpTrapnz
		if i == 1 {
			op = ir.OpTrapz
		}
		c := f.Args(last)[0]
		f.Loc = f.SourceLoc(trap)
		inst := f.AddInst(ir.InstData{Op: op, Type: f.ValueType(c), Trap: f.Inst(trap).Trap}, c)
		f.InsertBefore(inst, last)
		makeJump(f, last, 1-i)
		return true
	}
	return false
}

// branchToSelect makes selections of a branch that leads to one block only, and
// passes it different constants.
func (o *Optimizer) branchToSelect(last ir.Inst) bool {
	f := o.f
	if f.Dests(last)[0].Block != f.Dests(last)[1].Block {
		return false
	}
	differ := 0
	for k, x := range f.DestArgs(last, 0) {
		y := f.DestArgs(last, 1)[k]
		if x = f.Resolve(x); x == f.Resolve(y) {
			continue
		}
		_, ok1 := o.constant(x)
		_, ok2 := o.constant(f.Resolve(y))
		if differ++; !ok1 || !ok2 || differ > maxSelected {
			return false
		}
	}
	c := f.Args(last)[0]
	f.Loc = f.SourceLoc(last)
	for k := range f.DestArgs(last, 0) {
		x, y := f.DestArgs(last, 0)[k], f.DestArgs(last, 1)[k]
		if f.Resolve(x) == f.Resolve(y) {
			continue
		}
		inst := f.AddInst(ir.InstData{Op: ir.OpSelect, Type: f.ValueType(x)}, c, x, y)
		v := f.AddResult(inst, f.ValueType(x))
		f.InsertBefore(inst, last)
		f.DestArgs(last, 0)[k] = v
	}
	makeJump(f, last, 0)
	return true
}

// threadable reports whether a block consists of a branch and few pure
// instructions.
func (o *Optimizer) threadable(b ir.Block) bool {
	f := o.f
	last := f.LastInst(b)
	if op := f.Inst(last).Op; op != ir.OpBrif && op != ir.OpBrTable || b == f.Entry() {
		return false
	}
	n := 0
	for inst := f.FirstInst(b); inst != last; inst = f.NextInst(inst) {
		if n++; n > maxThreaded || f.Inst(inst).Op.Flags() != 0 || len(f.Results(inst)) != 1 {
			return false
		}
	}
	return true
}

// mayThread reports whether some way into b passes a constant or has decided the
// condition of its branch.
func (o *Optimizer) mayThread(b ir.Block) bool {
	f := o.f
	c := f.Resolve(f.Args(f.LastInst(b))[0])
	for _, e := range o.cfg.Preds(b) {
		if f.Inst(e.Inst).Op == ir.OpBrif && f.Resolve(f.Args(e.Inst)[0]) == c {
			return true
		}
		for k, a := range f.DestArgs(e.Inst, int(e.Dest)) {
			if a.IsPlain() {
				if _, ok := o.constant(f.Resolve(a)); ok && (f.Params(b)[k] == c || o.computesFrom(b, f.Params(b)[k])) {
					return true
				}
			}
		}
	}
	return false
}

// computesFrom reports whether an instruction of b, but for its branch, uses v.
func (o *Optimizer) computesFrom(b ir.Block, v ir.Value) bool {
	f := o.f
	last := f.LastInst(b)
	for inst := f.FirstInst(b); inst != last; inst = f.NextInst(inst) {
		for _, a := range f.Args(inst) {
			if f.Resolve(a) == v {
				return true
			}
		}
	}
	return false
}

// findEscapes finds the values that are used outside of their blocks, and the
// order of blocks.
func (o *Optimizer) findEscapes() {
	f, t := o.f, &o.threads
	t.position = zeroed(t.position, f.NumBlocks())
	for i, b := range o.clean.order {
		t.position[b] = uint32(i)
	}
	t.escapes = zeroed(t.escapes, f.NumValues())
	t.known = zeroed(t.known, f.NumValues())
	t.subst = zeroed(t.subst, f.NumValues())
	for b := f.Entry(); b != ir.NoBlock; b = f.NextBlock(b) {
		use := func(v ir.Value) {
			if v.IsPlain() {
				if v = f.Resolve(v); o.definedIn(v) != b {
					t.escapes[v] = true
				}
			}
		}
		for inst := f.FirstInst(b); inst != ir.NoInst; inst = f.NextInst(inst) {
			for _, v := range f.Args(inst) {
				use(v)
			}
		}
		last := f.LastInst(b)
		for i := range f.Dests(last) {
			for _, v := range f.DestArgs(last, i) {
				use(v)
			}
		}
	}
	for i := range f.ExceptionTables {
		for _, h := range f.ExceptionTables[i].Handlers {
			if h.Kind == ir.HandlerContext {
				t.escapes[f.Resolve(h.Context)] = true
			}
		}
	}
}

// definedIn is the block that defines v.
func (o *Optimizer) definedIn(v ir.Value) ir.Block {
	if inst, _ := o.f.ValueInst(v); inst != ir.NoInst {
		return o.f.InstBlock(inst)
	}
	b, _ := o.f.ValueBlock(v)
	return b
}

// threadBlock redirects the ways into b whose way out is known.
func (o *Optimizer) threadBlock(b ir.Block) bool {
	f, t := o.f, &o.threads
	for _, p := range f.Params(b) {
		if t.escapes[p] {
			return false
		}
	}
	last := f.LastInst(b)
	for inst := f.FirstInst(b); inst != last; inst = f.NextInst(inst) {
		if v := f.Result(inst); int(v) >= len(t.escapes) || t.escapes[v] {
			return false
		}
	}
	for _, e := range o.cfg.Preds(b) {
		if t.position[e.From] >= t.position[b] || f.Inst(e.Inst).Op.IsCall() {
			return false // the header of a loop, or behind a call that may throw
		}
	}
	any := false
	for _, e := range o.cfg.Preds(b) {
		if i := int(e.Dest); t.budget > 0 && i < len(f.Dests(e.Inst)) && f.Dests(e.Inst)[i].Block == b && o.threadEdge(e.Inst, i, b) {
			t.budget--
			any = true
		}
	}
	return any
}

// threadEdge redirects destination i of from, which is b, if what it passes decides
// the branch at the end of b.
func (o *Optimizer) threadEdge(from ir.Inst, i int, b ir.Block) bool {
	f, t := o.f, &o.threads
	last := f.LastInst(b)
	for k, a := range f.DestArgs(from, i) {
		p := f.Params(b)[k]
		t.subst[p], t.known[p] = a, constantOr{state: varies}
		if a.IsPlain() {
			if x, ok := o.constant(f.Resolve(a)); ok {
				t.known[p] = constantOr{fixed, x}
			}
		}
	}
	for inst := f.FirstInst(b); inst != last; inst = f.NextInst(inst) {
		v := f.Result(inst)
		t.subst[v], t.known[v] = ir.NoValue, o.evaluateWith(inst)
	}
	c := f.Args(last)[0]
	dest := -1
	if x := o.knownIn(b, c); x.state == fixed {
		dest = chosen(f, last, x.bits)
	} else if f.Inst(from).Op == ir.OpBrif && f.Inst(last).Op == ir.OpBrif && f.Resolve(f.Args(from)[0]) == o.outside(b, c) && f.Dests(from)[0].Block != f.Dests(from)[1].Block {
		dest = i
	}
	to := ir.NoBlock
	if dest >= 0 {
		to = f.Dests(last)[dest].Block
	}
	if to == ir.NoBlock || to == b || f.Cold(to) != f.Cold(b) {
		return false
	}
	// What is passed on must be there, or can be made where the jump is.
	alone := f.Inst(from).Op == ir.OpJump
	for _, a := range f.DestArgs(last, dest) {
		if !a.IsPlain() {
			return false
		}
		if v := f.Resolve(a); o.definedIn(v) == b && t.known[v].state != fixed && t.subst[v] == ir.NoValue && !alone {
			return false
		}
	}
	f.Loc = f.SourceLoc(last)
	t.args = t.args[:0]
	for k := range f.DestArgs(last, dest) {
		t.args = append(t.args, o.carryPast(f.DestArgs(last, dest)[k], b, from))
	}
	t.drop = filled(t.drop, len(f.DestArgs(from, i)), true)
	f.RemoveDestArgs(from, i, t.drop)
	f.Dests(from)[i].Block = to
	for _, a := range t.args {
		f.AddDestArg(from, i, a)
	}
	return true
}

// evaluateWith computes an instruction of a block for what is passed to the block.
func (o *Optimizer) evaluateWith(inst ir.Inst) constantOr {
	f := o.f
	d := f.Inst(inst)
	args := f.Args(inst)
	to := f.ValueType(f.Result(inst))
	none := constantOr{state: varies}
	if !narrow(to) || len(args) > 3 {
		return none
	}
	if d.Op == ir.OpIconst {
		return constantOr{fixed, uint64(d.Imm) & mask(to)}
	}
	if len(args) == 0 {
		return none
	}
	var in [3]interp.Value
	for i, a := range args {
		x := o.knownIn(f.InstBlock(inst), a)
		if x.state != fixed {
			return none
		}
		in[i].Lo = x.bits
	}
	v, ok := interp.Evaluate(f, d, f.ValueType(args[0]), to, in)
	if !ok {
		return none
	}
	return constantOr{fixed, v.Lo}
}

// knownIn is what is known of a value in b for what is passed to b.
func (o *Optimizer) knownIn(b ir.Block, v ir.Value) constantOr {
	v = o.f.Resolve(v)
	if o.definedIn(v) == b {
		return o.threads.known[v]
	}
	if x, ok := o.constant(v); ok {
		return constantOr{fixed, x}
	}
	return constantOr{state: varies}
}

// outside is what stands for v, of block b, before b: what is passed for it, or
// itself.
func (o *Optimizer) outside(b ir.Block, v ir.Value) ir.Value {
	v = o.f.Resolve(v)
	if o.definedIn(v) != b {
		return v
	}
	if s := o.threads.subst[v]; s != ir.NoValue && s.IsPlain() {
		return o.f.Resolve(s)
	}
	return ir.NoValue
}

// carryPast makes v, of block b, available before a jump that goes past b.
func (o *Optimizer) carryPast(v ir.Value, b ir.Block, from ir.Inst) ir.Value {
	f, t := o.f, &o.threads
	v = f.Resolve(v)
	if o.definedIn(v) != b {
		return v
	}
	if t.subst[v] != ir.NoValue {
		return t.subst[v]
	}
	if x := t.known[v]; x.state == fixed {
		inst := f.AddInst(ir.InstData{Op: ir.OpIconst, Type: f.ValueType(v), Imm: int64(x.bits)})
		t.subst[v] = f.AddResult(inst, f.ValueType(v))
		f.InsertBefore(inst, from)
		return t.subst[v]
	}
	// All instructions up to the one that makes v; there are few.
	def, _ := f.ValueInst(v)
	for inst := f.FirstInst(b); ; inst = f.NextInst(inst) {
		if w := f.Result(inst); t.subst[w] == ir.NoValue {
			d := *f.Inst(inst)
			var args [3]ir.Value
			n := copy(args[:], f.Args(inst))
			for i, a := range args[:n] {
				if a = f.Resolve(a); o.definedIn(a) == b {
					a = t.subst[a]
				}
				args[i] = a
			}
			c := f.AddInst(d, args[:n]...)
			t.subst[w] = f.AddResult(c, f.ValueType(w))
			f.InsertBefore(c, from)
		}
		if inst == def {
			return t.subst[v]
		}
	}
}
