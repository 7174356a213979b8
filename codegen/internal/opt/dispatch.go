package opt

import (
	"fmt"
	"slices"

	"github.com/davit-wasm/davit/codegen/ir"
)

// Dispatchers.
//
// A format without goto, such as WebAssembly, has no loops with several ways in. Compilers write a
// loop around a table of jumps for them, and say by a number where to go on:
//
//	block1(v1, v2):                 ; the dispatcher
//	    br_table v1, block2, [block3, block4]
//	…
//	block7:
//	    v9 = iconst.i32 1
//	    jump block1(v9, v8)         ; to block4, that is
//
// State machines look the same. If all ways back to the dispatcher pass a number that is known,
// each can go right to where the number leads:
//
//	block7:
//	    jump block8(v9, v8)
//	block8(v11, v12):               ; a copy of the dispatcher for all that goes to block4
//	    jump block4
//
// where the copy is joined with what is around it. Blocks that only lead to the dispatcher, and hand
// on a number that is passed to them, are copied likewise. The ways into the loop need no dispatcher
// either if all of them lead to the same place; otherwise it stays for them, in front of what was
// its loop. Without it, the values that they bring, which change no more, would have to be brought
// together wherever what comes from one way in meets what comes from another.
//
// This is jump threading, but the other one (thread.go) keeps to blocks whose values are used
// nowhere else, and to blocks that are no headers of loops. The values of a dispatcher are used all
// over: what v2 was is v2, v12, or what the other copies have, and where copies meet, a new parameter.
// That is the reconstruction of SSA form. For a block that has been copied, walks along the edges
// find which copy, or which meeting of copies, comes to the beginning of each block, as memory.go
// finds it for stores; uses are then renamed, and parameters are made where a use asks for one.
//
// What is left may be a loop with several ways in, which is no natural loop and not optimized as
// one: the loop around the dispatcher was one by name only. It is left alone if any way back is not
// decided: an interpreter's loop is a loop.
//
// Cost: that of one walk over the function, and of a few walks over its edges for each block
// copied, of which there are at most maxCopied in each round.

const (
	// maxCopied is how many blocks of a function are copied, in one round.
	maxCopied = 32
	// maxForwarders is how many blocks that lead to a dispatcher are copied with it.
	maxForwarders = 8
	// maxDispatchRounds is how often dispatchers are looked for, for those that lead to others.
	maxDispatchRounds = 4
)

// dispatching is the working memory of threading through dispatchers.
type dispatching struct {
	group   []ir.Block // the dispatcher being looked at, and what leads to it and is copied with it
	next    []int      // by element of group: the one that it leads to
	ways    []way
	stale   []bool  // by block: the edges to it have changed since they have been listed
	copyFor []int32 // by element of group and destination: 1 + the copy; 0 if there is none
	stays   bool    // the dispatcher stays, for ways into the loop
	room    int     // how many values copies may still define

	copied []copied
	copies []blockCopy
	values []ir.Value // of copied blocks and their copies

	variables []variable
	isVar     []uint32 // by value: 1 + the variable; 0 if it has one version only
	uses      []variableUse
	in        []uint32   // by block: the version that comes to its beginning
	defines   []uint32   // by block: the version that it defines, unknown for none
	param     []ir.Value // by block: what stands for a variable where versions meet
	meetings  []ir.Block // that have an element of param
}

// way is an edge to a group of blocks from outside.
type way struct {
	from ir.Inst
	dest int
	to   int // element of group
	out  int // destination of the dispatcher that it comes to
}

// copied is a block with copies.
type copied struct {
	block               ir.Block
	firstCopy, endCopy  int // in dispatching.copies
	firstValue, nValues int // in dispatching.values
}

// blockCopy is a copy of a block; it defines as many values.
type blockCopy struct {
	block      ir.Block
	firstValue int
}

// variable is a value of a copied block.
type variable struct {
	typ      ir.Type
	copied   uint32 // of which block
	k        uint32 // which value of it
	firstUse uint32 // in dispatching.uses, plus 1
}

// variableUse is a use of a variable, as operand arg of inst or of its destination dest.
type variableUse struct {
	inst ir.Inst
	dest int32 // -1 for an operand of the instruction
	arg  int32
	next uint32 // the next use, plus 1
}

// threadDispatchers lets what a dispatcher sends somewhere go there by itself. The graph is clean
// before and behind it.
func (o *Optimizer) threadDispatchers() {
	for range maxDispatchRounds {
		if !o.copyDispatchers() {
			return
		}
		o.reachable()
		o.cfg.Compute(o.f)
		o.renameCopied()
		o.params() // before blocks with parameters that are always the same are taken for more than jumps
		o.cleanUp()
	}
}

// copyDispatchers makes the copies of all dispatchers that their loops can do without, and reports
// whether there are any.
func (o *Optimizer) copyDispatchers() bool {
	f, d := o.f, &o.dispatch
	d.copied, d.copies, d.values = d.copied[:0], d.copies[:0], d.values[:0]
	ready, dominators := false, false
	for _, b := range o.clean.order {
		if !f.InLayout(b) || len(f.Params(b)) == 0 || !o.threadable(b) {
			continue
		}
		if c := f.Args(f.LastInst(b))[0]; o.definedIn(f.Resolve(c)) != b {
			continue
		}
		if !ready {
			d.stale = zeroed(d.stale, f.NumBlocks())
			d.room = f.NumValues() + 64
			o.threads.known = zeroed(o.threads.known, f.NumValues())
			o.threads.subst = zeroed(o.threads.subst, f.NumValues())
			ready = true
		}
		if !o.mayDispatch(b) {
			continue
		}
		if !dominators {
			o.dom.Compute(f, &o.cfg)
			dominators = true
		}
		if o.findWays(b) {
			o.copyGroup()
		}
	}
	return len(d.copied) > 0
}

// mayDispatch reports whether b is worth a closer look: edges to it are decided, or come from blocks to
// which edges may be. This is cheap; many loops begin with a branch.
func (o *Optimizer) mayDispatch(b ir.Block) bool {
	d := &o.dispatch
	d.group, d.next = append(d.group[:0], b), append(d.next[:0], -1)
	preds := o.cfg.Preds(b)
	if len(preds) < 2 {
		return false
	}
	for _, e := range preds {
		if o.forwards(e.From, e.Inst) || o.sentTo(e.Inst, int(e.Dest), 0) >= 0 {
			return true
		}
	}
	return false
}

// forwards reports whether block b does nothing but hand on what is passed to it, by its last
// instruction.
func (o *Optimizer) forwards(b ir.Block, last ir.Inst) bool {
	f := o.f
	return f.Inst(last).Op == ir.OpJump && f.FirstInst(b) == last && len(f.Params(b)) > 0
}

// findWays finds the ways to dispatcher b that can do without it, and reports whether all that come
// from the loop that it is the header of are among them.
func (o *Optimizer) findWays(b ir.Block) bool {
	f, d := o.f, &o.dispatch
	d.group, d.next, d.ways = append(d.group[:0], b), append(d.next[:0], -1), d.ways[:0]
	if d.stale[b] {
		return false
	}
	header := false
	into := -2 // where the ways into the loop lead; -1 if that is not one place
	for _, e := range o.cfg.Preds(b) {
		if f.Inst(e.Inst).Op.IsCall() {
			return false
		}
		if o.dom.Dominates(b, e.From) {
			header = true
			continue
		}
		if out := o.sentTo(e.Inst, int(e.Dest), 0); into == -2 {
			into = out
		} else if into != out {
			into = -1
		}
	}
	for g := 0; g < len(d.group); g++ {
		for _, e := range o.cfg.Preds(d.group[g]) {
			j := e.From
			switch out := o.sentTo(e.Inst, int(e.Dest), g); {
			case !o.dom.Dominates(b, j):
				if into >= 0 {
					d.ways = append(d.ways, way{e.Inst, int(e.Dest), g, out})
				}
				continue
			case out >= 0:
				d.ways = append(d.ways, way{e.Inst, int(e.Dest), g, out})
				continue
			}
			if !o.forwards(j, e.Inst) || d.stale[j] || f.Cold(j) != f.Cold(b) || len(d.group) > maxForwarders || slices.Contains(d.group, j) {
				return false
			}
			for _, e := range o.cfg.Preds(j) {
				if f.Inst(e.Inst).Op.IsCall() {
					return false
				}
			}
			d.group, d.next = append(d.group, j), append(d.next, g)
		}
	}
	d.stays = into < 0
	if !header || len(d.copied)+len(d.group) > maxCopied {
		return false
	}
	last := f.LastInst(b)
	for _, w := range d.ways {
		if slices.Contains(d.group, f.Dests(last)[w.out].Block) {
			return false
		}
		for _, a := range f.DestArgs(last, w.out) {
			if !a.IsPlain() {
				return false
			}
		}
	}
	for i := range f.ExceptionTables {
		for _, h := range f.ExceptionTables[i].Handlers {
			if h.Kind == ir.HandlerContext && slices.Contains(d.group, o.definedIn(f.Resolve(h.Context))) {
				return false // no operand that could be renamed
			}
		}
	}
	return o.roomForCopies()
}

// sentTo is the destination of the dispatcher that an edge to element g of the group comes to, or
// -1 if that is not known.
func (o *Optimizer) sentTo(from ir.Inst, dest, g int) int {
	f, d, t := o.f, &o.dispatch, &o.threads
	before := ir.NoBlock // the block of the group that the edge leaves
	for {
		b := d.group[g]
		for k, a := range f.DestArgs(from, dest) {
			x := constantOr{state: varies}
			if a.IsPlain() {
				a = f.Resolve(a)
				if c, ok := o.constant(a); ok {
					x = constantOr{fixed, c}
				} else if before != ir.NoBlock && o.definedIn(a) == before {
					x = t.known[a]
				}
			}
			t.known[f.Params(b)[k]] = x
		}
		last := f.LastInst(b)
		if g > 0 {
			from, dest, g, before = last, 0, d.next[g], b
			continue
		}
		for inst := f.FirstInst(b); inst != last; inst = f.NextInst(inst) {
			t.known[f.Result(inst)] = o.evaluateWith(inst)
		}
		if x := o.knownIn(b, f.Args(last)[0]); x.state == fixed {
			return chosen(f, last, x.bits)
		}
		return -1
	}
}

// roomForCopies finds which copies are needed, and reports whether there is room for them.
func (o *Optimizer) roomForCopies() bool {
	f, d := o.f, &o.dispatch
	n := len(f.Dests(f.LastInst(d.group[0])))
	d.copyFor = zeroed(d.copyFor, len(d.group)*n)
	room := d.room
	for _, w := range d.ways {
		for g := w.to; g >= 0 && d.copyFor[g*n+w.out] == 0; g = d.next[g] {
			d.copyFor[g*n+w.out] = -1
			room -= len(f.Params(d.group[g])) + maxThreaded
		}
	}
	if room < 0 {
		return false
	}
	d.room = room
	return true
}

// copyGroup copies the blocks of a group for each destination that is gone to by way of them, and
// redirects the ways to the copies.
func (o *Optimizer) copyGroup() {
	f, d := o.f, &o.dispatch
	last := f.LastInst(d.group[0])
	n := len(f.Dests(last))
	for g, b := range d.group {
		c := copied{block: b, firstCopy: len(d.copies), firstValue: len(d.values)}
		d.values = append(d.values, f.Params(b)...)
		for inst := f.FirstInst(b); inst != f.LastInst(b); inst = f.NextInst(inst) {
			d.values = append(d.values, f.Result(inst))
		}
		c.nValues = len(d.values) - c.firstValue
		for out := range n {
			if d.copyFor[g*n+out] == 0 {
				continue
			}
			if g == 0 {
				o.copyBlock(&c, f.Dests(last)[out].Block, out)
			} else {
				o.copyBlock(&c, d.copies[d.copyFor[d.next[g]*n+out]-1].block, 0)
			}
			d.copyFor[g*n+out] = int32(len(d.copies))
		}
		if g == 0 && d.stays {
			d.copies = append(d.copies, blockCopy{b, c.firstValue}) // it has a version of its own
		}
		c.endCopy = len(d.copies)
		d.copied = append(d.copied, c)
		d.stale[b] = true
	}
	for _, w := range d.ways {
		f.Dests(w.from)[w.dest].Block = d.copies[d.copyFor[w.to*n+w.out]-1].block
		d.stale[f.Dests(last)[w.out].Block] = true
	}
}

// copyBlock copies a block, with a jump to another block that gets what it passes to its destination
// out.
func (o *Optimizer) copyBlock(c *copied, to ir.Block, out int) {
	f, d := o.f, &o.dispatch
	b := f.AddBlock()
	d.stale = append(d.stale, true)
	f.InsertBlockAfter(b, c.block)
	f.SetCold(b, f.Cold(c.block))
	first := len(d.values)
	subst := o.threads.subst
	mapped := func(v ir.Value) ir.Value {
		v = f.Resolve(v)
		if o.definedIn(v) == c.block {
			return subst[v]
		}
		return v
	}
	for _, p := range f.Params(c.block) {
		subst[p] = f.AddParam(b, f.ValueType(p))
		d.values = append(d.values, subst[p])
	}
	last := f.LastInst(c.block)
	for inst := f.FirstInst(c.block); inst != last; inst = f.NextInst(inst) {
		var args [3]ir.Value
		n := copy(args[:], f.Args(inst))
		for i, a := range args[:n] {
			args[i] = mapped(a)
		}
		f.Loc = f.SourceLoc(inst)
		i := f.AddInst(*f.Inst(inst), args[:n]...)
		subst[f.Result(inst)] = f.AddResult(i, f.ValueType(f.Result(inst)))
		d.values = append(d.values, subst[f.Result(inst)])
		f.AppendInst(i, b)
	}
	f.Loc = f.SourceLoc(last)
	jump := f.AddInst(ir.InstData{Op: ir.OpJump})
	f.AddDest(jump, to)
	for k := range f.DestArgs(last, out) {
		f.AddDestArg(jump, 0, mapped(f.DestArgs(last, out)[k]))
	}
	f.AppendInst(jump, b)
	d.copies = append(d.copies, blockCopy{b, first})
}

// renameCopied gives every use of a value of a copied block the version that comes to it.
func (o *Optimizer) renameCopied() {
	f, d := o.f, &o.dispatch
	d.isVar = zeroed(d.isVar, f.NumValues())
	d.variables, d.uses = d.variables[:0], d.uses[:0]
	for i := range d.copied {
		c := &d.copied[i]
		for k, v := range d.values[c.firstValue : c.firstValue+c.nValues] {
			d.variables = append(d.variables, variable{f.ValueType(v), uint32(i), uint32(k), 0})
			d.isVar[v] = uint32(len(d.variables))
		}
	}
	for _, b := range o.clean.order {
		for inst := f.FirstInst(b); inst != ir.NoInst; inst = f.NextInst(inst) {
			for k, a := range f.Args(inst) {
				o.useOf(a, variableUse{inst: inst, dest: -1, arg: int32(k)})
			}
		}
		last := f.LastInst(b)
		for i := range f.Dests(last) {
			for k, a := range f.DestArgs(last, i) {
				o.useOf(a, variableUse{inst: last, dest: int32(i), arg: int32(k)})
			}
		}
	}
	d.param = filled(d.param, f.NumBlocks(), ir.NoValue)
	at := ^uint32(0)
	for i := range d.variables {
		v := &d.variables[i]
		if v.firstUse == 0 {
			continue
		}
		if at != v.copied {
			at = v.copied
			o.findVersions(&d.copied[at])
		}
		for u := v.firstUse; u != 0; u = d.uses[u-1].next {
			use := &d.uses[u-1]
			r := o.versionOf(v, o.versionAt(f.InstBlock(use.inst)))
			if use.dest < 0 {
				f.Args(use.inst)[use.arg] = r
			} else {
				f.DestArgs(use.inst, int(use.dest))[use.arg] = r
			}
		}
		for k := 0; k < len(d.meetings); k++ {
			for _, e := range o.cfg.Preds(d.meetings[k]) {
				f.AddDestArg(e.Inst, int(e.Dest), o.versionOf(v, o.versionAt(e.From)))
			}
		}
		for _, b := range d.meetings {
			d.param[b] = ir.NoValue
		}
		d.meetings = d.meetings[:0]
	}
}

// useOf lists a use of a, if that is a variable.
func (o *Optimizer) useOf(a ir.Value, u variableUse) {
	d := &o.dispatch
	if !a.IsPlain() {
		return
	}
	if i := d.isVar[o.f.Resolve(a)]; i != 0 {
		v := &d.variables[i-1]
		u.next = v.firstUse
		d.uses = append(d.uses, u)
		v.firstUse = uint32(len(d.uses))
	}
}

// findVersions finds which version of a copied block's values comes to each block. A version is the
// number of a copy, or merged and a block at whose beginning several meet.
func (o *Optimizer) findVersions(c *copied) {
	f, d := o.f, &o.dispatch
	d.in = filled(d.in, f.NumBlocks(), unknown)
	d.defines = filled(d.defines, f.NumBlocks(), unknown)
	for i := c.firstCopy; i < c.endCopy; i++ {
		d.defines[d.copies[i].block] = uint32(i)
	}
	for round := 0; o.meetVersions(); round++ {
		if round < maxRounds {
			continue
		}
		// Contrived nests of loops: take it that versions meet wherever edges do.
		for _, b := range o.clean.order {
			if len(o.cfg.Preds(b)) > 1 {
				d.in[b] = merged | uint32(b)
			}
		}
		for o.meetVersions() {
			// Once more for the blocks with one predecessor.
		}
		return
	}
}

// meetVersions hands versions along all edges, and reports whether anything has changed.
func (o *Optimizer) meetVersions() (changed bool) {
	d := &o.dispatch
	for _, b := range o.clean.order {
		preds := o.cfg.Preds(b)
		here := merged | uint32(b)
		for _, e := range preds {
			switch v := o.versionAt(e.From); {
			case v == unknown || d.in[b] == v || d.in[b] == here:
			case d.in[b] == unknown || len(preds) == 1:
				d.in[b], changed = v, true
			default:
				d.in[b], changed = here, true
			}
		}
	}
	return changed
}

// versionAt is the version of the values of a copied block that a block has, once it has defined
// its own.
func (o *Optimizer) versionAt(b ir.Block) uint32 {
	if v := o.dispatch.defines[b]; v != unknown {
		return v
	}
	return o.dispatch.in[b]
}

// versionOf is a version of a variable.
func (o *Optimizer) versionOf(v *variable, version uint32) ir.Value {
	f, d := o.f, &o.dispatch
	switch {
	case version == unknown:
		panic(fmt.Sprintf("opt: value %d of %v is used where it is not defined", v.k, d.copied[v.copied].block))
	case version&merged == 0:
		return d.values[d.copies[version].firstValue+int(v.k)]
	}
	b := ir.Block(version &^ merged)
	if d.param[b] == ir.NoValue {
		d.param[b] = f.AddParam(b, v.typ)
		d.meetings = append(d.meetings, b)
	}
	return d.param[b]
}
