package regalloc

import (
	"fmt"
	"math/bits"
)

// The fast allocator goes over each block once, backward, and over the blocks so that whatever a block leads to comes before it, but for
// loops. Going backward, the last use of a value (met first) gives it a register, which it keeps up to its definition:
//
//	v1 = load           v1 in r0; store r0 → home(v1), because of the call
//	call                (clobbers all)
//	                    load home(v1) → r1
//	v2 = add v1, v1     v1 in r1
//
// Each instruction is handled with two sets: the registers busy at Early and at Late. Values that live through the instruction are
// busy at both; those in the way of a fixed register or a clobber move to another register or home, and come back after the
// instruction. Since after comes first when going backward, that is simply a move in the group after it, and the value
// continues elsewhere before it. Both groups of moves are parallel. A value's home is a spill slot, or for a rematerializable value its
// definition. Everything that needs a value from its home has been met when its definition is reached, for it is dominated by it:
// only then, and only if there has been such a need, is the value stored, once.
//
// # Between blocks
//
// What a block wants in registers at its start is its entry list. Blocks that lead there, which come later, end with these registers
// where they can:
//
//	         b1: jump b3(v1)     b2: jump b3(v2)
//	b3(v3):  use v0, v3          wants v0 in r0, v3 in r1
//
// b1 ends with v0 in r0 and v1 in r1, b2 with v0 in r0 and v2 in r1, and no move is needed. A block with several ways in, which are all plain
// jumps, gets exactly what it wants. A block with one way in may have siblings that want something else: the first is obeyed, and for
// the others the difference is made up at their start. What only a colder or less nested block wants is not kept in a register for it:
// that would occupy it, or load it, more often than is needed.
//
// A loop's header comes after the end of its loop, so that nothing is known of its wishes there. The loop's end makes its list: registers
// for its parameters. All other values the header finds at home.
//
// The cost is linear in operands, and in blocks times registers, with small constants; the price is that values that a loop only uses
// are loaded each time around, and that nothing is known of the next use of what has to leave its register.

type fastAllocator struct {
	f   *Function
	env *Env
	out *Output

	cfg      cfg      // only for blocks in an order of their own, safepoints and debug labels
	live     liveness // only for safepoints and debug labels
	resolver moveResolver

	safepoints safepointList

	allocatable PRegSet

	values   []fastValue
	vregIn   [NumPRegs]VReg
	occupied PRegSet
	here     uint32 // the current block

	wanted []wantedReg // the entry lists, one after the other
	blocks []fastBlock

	freeSlots [256][]uint32 // by size: slots of values that live in one block
	released  []Edit        // slots (To) of the sizes of values (VReg) that are free before the instruction

	after, before []parallelMove
	scratchEdits  []Edit
	allEdits      []Edit // those of one block or one start of a block after the other

	// State of the current instruction.
	terminator   bool // whether it is one
	ops          []Operand
	allocs       []Allocation
	kinds        opKinds
	busyE, busyL PRegSet
	lateOwned    PRegSet // registers that late uses gave to their values
	pinned       PRegSet // registers that operands of the instruction occupy
	want         []PReg  // by operand: where a defined value is expected afterwards
	tied         []bool  // by operand: a definition reuses it; all false between instructions
}

// fastValue is what is known of a value.
type fastValue struct {
	home     Allocation // the slot, if it has one yet
	defBlock uint32
	param    uint32 // which parameter of its block it is, if it is one
	reg      PReg   // at the current point
	liked    PReg   // where a block would like to find it
	flags    valueFlags
}

type valueFlags uint8

const (
	valueUsed   valueFlags = 1 << iota // used at all
	valueStack                         // used in a slot and nowhere else
	valueParam                         // a block parameter
	valueLocal                         // its slot is its own in one block only
	valueWanted                        // a parameter that its block wants in a register
)

// wantedReg is an item of an entry list.
type wantedReg struct {
	v VReg
	r PReg
}

// fastBlock is what has been found out about a block.
type fastBlock struct {
	wanted   Range // into wanted: the entry list
	promised bool  // the list has been made before the block was reached
	done     bool
	preds    uint32 // edges into it
	start    Range  // into allEdits: what makes up for the way in
	edits    Range  // into allEdits: the block itself, backward
}

// run allocates f.
func (a *fastAllocator) run(f *Function, env *Env, out *Output) error {
	a.f, a.env, a.out = f, env, out
	a.resolver.reset(env, &out.SpillUnits)
	if a.prepare() {
		for b := len(f.Blocks) - 1; b >= 0; b-- {
			if err := a.block(b); err != nil {
				return err
			}
		}
	} else {
		a.cfg.compute(f, inOrder)
		for i := len(a.cfg.order) - 1; i >= 0; i-- {
			if err := a.block(int(a.cfg.order[i])); err != nil {
				return err
			}
		}
	}
	for i := range a.blocks {
		b := &a.blocks[i]
		out.Edits = append(out.Edits, a.allEdits[b.start.Start:b.start.End]...)
		for k := b.edits.End; k > b.edits.Start; k-- {
			out.Edits = append(out.Edits, a.allEdits[k-1])
		}
	}
	if len(f.Refs) > 0 || len(f.DebugLabels) > 0 {
		a.cfg.compute(f, inOrder)
		a.live.compute(f, &a.cfg)
		a.safepoints.list(f, &a.live, out, func(v uint32) Allocation { return a.values[v].home })
		a.listDebugLocs()
	}
	return nil
}

// prepare resets all state and goes over the operands once. It reports whether the blocks can be handled from the last to the first: if
// each follows one of its predecessors, and no cold block, which are last, leads back to another.
func (a *fastAllocator) prepare() (codeOrder bool) {
	f := a.f
	a.allocatable = PRegSet{}
	for _, regs := range a.env.Allocatable {
		for _, p := range regs {
			a.allocatable.Add(p)
		}
	}
	a.blocks = resized(a.blocks, len(f.Blocks))
	a.allEdits, a.wanted = a.allEdits[:0], a.wanted[:0]
	for i := range a.freeSlots {
		a.freeSlots[i] = a.freeSlots[i][:0]
	}
	a.values = resized(a.values, f.NumVRegs)
	values := a.values
	for i := range values {
		values[i].reg, values[i].liked = NoPReg, NoPReg
	}
	clear(a.tied)
	codeOrder = true
	for b := range f.Blocks {
		blk := &f.Blocks[b]
		codeOrder = codeOrder && (b == 0 || a.blocks[b].preds > 0)
		for _, e := range f.BlockEdges(b) {
			a.blocks[e.To].preds++
			codeOrder = codeOrder && !(blk.Cold && e.To < uint32(b) && !f.Blocks[e.To].Cold)
		}
		for k, p := range f.BlockParams(b) {
			v := &values[p.Index()]
			v.defBlock, v.param = uint32(b), uint32(k)
			v.flags |= valueParam
		}
		ops := f.Operands[f.Insts[blk.Insts.Start].Operands.Start:f.Insts[blk.Insts.End-1].Operands.End]
		for i := range ops {
			o := &ops[i]
			v := &values[o.VReg.Index()]
			switch {
			case o.Kind == Def:
				v.defBlock = uint32(b)
			case o.Constraint == Stack:
				v.flags |= valueUsed | valueStack
			default:
				v.flags |= valueUsed
			}
		}
	}
	for _, v := range f.Args {
		values[v.Index()].flags |= valueUsed
	}
	return codeOrder
}

// isRemat reports whether v is made again wherever it is needed.
func (a *fastAllocator) isRemat(v VReg) bool {
	return a.f.isRemat(v) && a.values[v.Index()].flags&valueStack == 0
}

// homeOf returns v's home, giving it a slot if it has none, for a need in the current block.
func (a *fastAllocator) homeOf(v VReg) Allocation {
	x := &a.values[v.Index()]
	if x.home != 0 {
		return x.home
	}
	if a.isRemat(v) {
		return RematAlloc()
	}
	a.out.Stats.Spilled++
	// Needs in blocks after this one have been met, but those that the terminator leaves to their start.
	local := x.defBlock == a.here && x.flags&valueParam == 0 && !a.terminator
	if local {
		x.flags |= valueLocal
	}
	x.home = a.newSlot(v, local)
	return x.home
}

// homeBetween is homeOf for a need between blocks.
func (a *fastAllocator) homeBetween(v VReg) Allocation {
	x := &a.values[v.Index()]
	if x.home == 0 && !a.isRemat(v) {
		a.out.Stats.Spilled++
		x.home = a.newSlot(v, false)
	}
	return a.homeOf(v)
}

// newSlot returns a slot for v, which may have been one of other values if v lives in one block only.
func (a *fastAllocator) newSlot(v VReg, local bool) Allocation {
	n := a.f.spillUnits(v, a.env)
	if free := a.freeSlots[n]; len(free) > 0 && local {
		a.freeSlots[n] = free[:len(free)-1]
		return SlotAlloc(free[len(free)-1])
	}
	return SlotAlloc(takeSlot(&a.out.SpillUnits, n))
}

// regOf is the register that v is in at the current point, or NoPReg.
func (a *fastAllocator) regOf(v VReg) PReg { return a.values[v.Index()].reg }

// hasSlot reports whether something has needed v from memory, where its definition has to store it.
func (a *fastAllocator) hasSlot(v VReg) bool { return a.values[v.Index()].home != 0 }

func (a *fastAllocator) assign(v VReg, p PReg) {
	a.values[v.Index()].reg = p
	a.vregIn[p] = v
	a.occupied.Add(p)
}

func (a *fastAllocator) unassign(v VReg) {
	x := &a.values[v.Index()]
	a.occupied.Remove(x.reg)
	x.reg = NoPReg
}

// flush resolves a group of moves at a point in front of everything the block has so far.
func (a *fastAllocator) flush(at ProgPoint, moves []parallelMove, free PRegSet) {
	if len(moves) == 0 {
		return
	}
	if len(moves) == 1 {
		if m := moves[0]; m.from.IsReg() && m.to.IsReg() && !a.resolver.isMemory(m.from) && !a.resolver.isMemory(m.to) {
			if m.from != m.to {
				a.allEdits = append(a.allEdits, Edit{at, m.vreg, m.from, m.to})
			}
			return
		}
	}
	for _, m := range moves {
		a.resolver.add(m.vreg, m.from, m.to)
	}
	a.scratchEdits = a.resolver.resolve(at, a.scratchEdits[:0], func() PRegSet { return free })
	for i := len(a.scratchEdits) - 1; i >= 0; i-- {
		a.allEdits = append(a.allEdits, a.scratchEdits[i])
	}
}

func (a *fastAllocator) block(b int) error {
	f := a.f
	blk := &f.Blocks[b]
	a.here = uint32(b)
	start := uint32(0)
	a.occupied = PRegSet{}
	last := int(blk.Insts.End) - 1
	for i := last; i >= int(blk.Insts.Start); i-- {
		a.terminator = i == last
		if !a.terminator && a.allocSimple(i) {
			continue
		}
		free := a.allocatable.Minus(a.occupied)
		a.after, a.before = a.after[:0], a.before[:0]
		if err := a.allocInst(i); err != nil {
			return fmt.Errorf("regalloc: block %d, inst %d: %w", b, i, err)
		}
		a.flush(After(i), a.after, free)
		if a.terminator {
			if len(a.after) > 0 {
				panic("regalloc: moves after the end of a block")
			}
			a.leave(b)
			start = uint32(len(a.allEdits)) // after what makes up for the ways into other blocks
		}
		if len(a.before) > 0 {
			a.flush(Before(i), a.before, a.allocatable.Minus(a.occupied).Minus(a.pinned))
		}
		for _, r := range a.released {
			n := f.spillUnits(r.VReg, a.env)
			a.freeSlots[n] = append(a.freeSlots[n], r.To.Slot())
		}
		a.released = a.released[:0]
	}
	a.enter(b)
	a.blocks[b].done = true
	a.blocks[b].edits = Range{start, uint32(len(a.allEdits))}
	return nil
}

// leave gives registers to what the blocks after b want, once b's terminator has got its own.
func (a *fastAllocator) leave(b int) {
	f := a.f
	edges := f.BlockEdges(b)
	if len(edges) == 1 && a.blocks[edges[0].To].preds > 1 {
		a.passArgs(edges[0])
		return
	}
	for _, e := range edges {
		from, to := &f.Blocks[b], &f.Blocks[e.To]
		if to.LoopDepth < from.LoopDepth || to.Cold && !from.Cold {
			continue
		}
		for _, w := range a.wantedBy(e.To) {
			v := a.source(&e, w.v)
			if a.regOf(v).Valid() || a.isRemat(v) || a.terminatorDef(v).Kind() != AllocNone {
				continue
			}
			c := v.Class()
			busy := a.busyE[c] | a.busyL[c] | a.pinned[c] | a.occupied[c]
			if busy>>w.r.HW()&1 != 0 {
				w.r = a.pick(v, busy, MaxHW)
			}
			if w.r.Valid() {
				a.assign(v, w.r)
			}
		}
	}
	for _, e := range edges {
		a.makeUp(e)
	}
}

// wantedBy is the entry list of a block.
func (a *fastAllocator) wantedBy(b uint32) []wantedReg {
	r := a.blocks[b].wanted
	return a.wanted[r.Start:r.End]
}

// wantedHome reports whether an edge to the block of parameter p, which has been handled, brings it home, given arg for it. Nothing may
// need it, or the block may store it itself. A reference is kept for safepoints even if it is only passed on to where nothing needs
// it.
func (a *fastAllocator) wantedHome(p, arg VReg) bool {
	x := &a.values[p.Index()]
	return x.flags&valueWanted == 0 && (x.home != 0 || a.f.isRef(arg) && x.flags&valueUsed != 0)
}

// source is the value that v, wanted by e's target, is before the edge: an argument if v is a parameter there.
func (a *fastAllocator) source(e *Edge, v VReg) VReg {
	if e.Args.Start == e.Args.End {
		return v
	}
	if x := &a.values[v.Index()]; x.flags&valueParam != 0 && x.defBlock == e.To {
		return a.f.Args[e.Args.Start+x.param]
	}
	return v
}

// terminatorDef is where the instruction at hand, a terminator, defines v, or nowhere.
func (a *fastAllocator) terminatorDef(v VReg) Allocation {
	if a.kinds&(hasDefEarly|hasDefLate) != 0 {
		for k := range a.ops {
			if o := &a.ops[k]; o.Kind == Def && o.VReg == v {
				return a.allocs[k]
			}
		}
	}
	return 0
}

// behind is where v is behind the instruction at hand, a terminator.
func (a *fastAllocator) behind(v VReg) Allocation {
	if d := a.terminatorDef(v); d.Kind() != AllocNone {
		return d
	}
	// A definition or a clobber may have overwritten what was in use at Early.
	if r := a.regOf(v); r.Valid() && !a.busyL.Has(r) {
		return RegAlloc(r)
	}
	return a.homeBetween(v)
}

// makeUp adds what is missing on e, the only way to its target, at the start of that.
func (a *fastAllocator) makeUp(e Edge) {
	f := a.f
	a.after = a.after[:0]
	move := func(v VReg, to Allocation, moved VReg) {
		x := a.behind(v)
		if x.Kind() == AllocRemat {
			moved = v
		}
		a.after = append(a.after, parallelMove{x, to, moved})
	}
	taken := PRegSet{}
	defines := a.kinds&(hasDefEarly|hasDefLate) != 0
	for _, w := range a.wantedBy(e.To) {
		taken.Add(w.r)
		v := a.source(&e, w.v)
		if !defines && a.regOf(v) == w.r && !a.busyL.Has(w.r) {
			continue // it is there
		}
		move(v, RegAlloc(w.r), w.v)
	}
	args := f.EdgeArgs(e)
	for k, p := range f.BlockParams(int(e.To)) {
		if a.wantedHome(p, args[k]) {
			move(args[k], a.homeBetween(p), p)
		}
	}
	if defines {
		for k := range a.ops {
			if o := &a.ops[k]; o.Kind == Def && a.hasSlot(o.VReg) {
				a.after = append(a.after, parallelMove{a.allocs[k], a.values[o.VReg.Index()].home, o.VReg})
			}
		}
	}
	start := uint32(len(a.allEdits))
	if len(a.after) > 0 {
		for _, m := range a.after {
			a.resolver.add(m.vreg, m.from, m.to)
		}
		at := Before(int(f.Blocks[e.To].Insts.Start))
		a.allEdits = a.resolver.resolve(at, a.allEdits, func() PRegSet { return a.allocatable.Minus(taken) })
	}
	a.blocks[e.To].start = Range{start, uint32(len(a.allEdits))}
}

// passArgs does what e, one of several ways to its target, needs before b's terminator, which is a jump and nothing else.
func (a *fastAllocator) passArgs(e Edge) {
	f := a.f
	to := &a.blocks[e.To]
	if !to.promised && !to.done {
		a.promise(e.To)
	}
	wanted := a.wantedBy(e.To)
	taken := PRegSet{}
	for _, w := range wanted {
		taken.Add(w.r)
		if v := a.source(&e, w.v); !a.regOf(v).Valid() {
			a.assign(v, w.r)
		}
	}
	for _, w := range wanted { // those that the same value is wanted for
		if v := a.source(&e, w.v); a.regOf(v) != w.r {
			a.before = append(a.before, parallelMove{RegAlloc(a.regOf(v)), RegAlloc(w.r), w.v})
		}
	}
	args := f.EdgeArgs(e)
	for k, p := range f.BlockParams(int(e.To)) {
		switch flags := a.values[p.Index()].flags; {
		case to.promised && flags&(valueUsed|valueWanted) != valueUsed, !to.promised && !a.wantedHome(p, args[k]):
			continue
		}
		v := args[k]
		from := Allocation(0)
		if r := a.regOf(v); r.Valid() {
			from = RegAlloc(r)
		} else if r := a.pick(v, a.occupied[v.Class()]|taken[v.Class()], MaxHW); r.Valid() && !a.isRemat(v) {
			a.assign(v, r)
			from = RegAlloc(r)
		} else {
			from = a.homeOf(v)
		}
		a.before = append(a.before, parallelMove{from, a.homeBetween(p), p})
		if from.Kind() == AllocRemat {
			a.before[len(a.before)-1].vreg = v
		}
	}
}

// promise makes the entry list of a block that has not been reached: registers for its parameters, but for some that remain for what
// else it needs.
func (a *fastAllocator) promise(b uint32) {
	const remain = 2
	to := &a.blocks[b]
	to.promised = true
	to.wanted.Start = uint32(len(a.wanted))
	taken := PRegSet{}
	for _, p := range a.f.BlockParams(int(b)) {
		x := &a.values[p.Index()]
		if c := p.Class(); x.flags&valueUsed == 0 || bits.OnesCount64(taken[c]) >= len(a.env.Allocatable[c])-remain {
			continue
		}
		r := a.pick(p, taken[p.Class()], MaxHW)
		taken.Add(r)
		x.flags |= valueWanted
		a.wanted = append(a.wanted, wantedReg{p, r})
	}
	to.wanted.End = uint32(len(a.wanted))
}

// enter makes b's entry list. If it has been made before, it brings what is expected in registers at b's start there.
func (a *fastAllocator) enter(b int) {
	if b == 0 {
		for r := range a.occupied.All {
			panic("regalloc: " + a.vregIn[r].String() + " is used but not defined on some path")
		}
	}
	a.before = a.before[:0]
	blk := &a.blocks[b]
	if blk.promised {
		for _, w := range a.wantedBy(uint32(b)) {
			x := &a.values[w.v.Index()]
			if x.reg.Valid() {
				a.before = append(a.before, parallelMove{RegAlloc(w.r), RegAlloc(x.reg), w.v})
			}
			if x.home != 0 {
				a.before = append(a.before, parallelMove{RegAlloc(w.r), x.home, w.v})
			}
		}
		for r := range a.occupied.All {
			v := a.vregIn[r]
			x := &a.values[v.Index()]
			x.reg = NoPReg
			if x.defBlock != uint32(b) || x.flags&valueWanted == 0 {
				a.before = append(a.before, parallelMove{a.homeBetween(v), RegAlloc(r), v})
			}
		}
	} else {
		blk.wanted = Range{uint32(len(a.wanted)), uint32(len(a.wanted))}
		for c, regs := range a.occupied {
			for ; regs != 0; regs &= regs - 1 {
				r := MakePReg(RegClass(c), uint8(bits.TrailingZeros64(regs)))
				v := a.vregIn[r]
				x := &a.values[v.Index()]
				x.reg, x.liked = NoPReg, r
				a.wanted = append(a.wanted, wantedReg{v, r})
				if x.flags&valueParam != 0 && x.defBlock == uint32(b) {
					x.flags |= valueWanted
					if x.home != 0 {
						a.before = append(a.before, parallelMove{RegAlloc(r), x.home, v})
					}
				}
			}
		}
		blk.wanted.End = uint32(len(a.wanted))
	}
	if len(a.before) > 0 {
		a.flush(Before(int(a.f.Blocks[b].Insts.Start)), a.before, a.allocatable.Minus(a.occupied))
	}
}

// pick returns a register of v's class outside of blocked, registers of that class, and below limit, or NoPReg.
func (a *fastAllocator) pick(v VReg, blocked uint64, limit uint8) PReg {
	c := v.Class()
	free := a.allocatable[c] &^ blocked & (1<<limit - 1)
	if free == 0 {
		return NoPReg
	}
	if p := a.f.hint(v); p.Valid() && p.Class() == c && free>>p.HW()&1 != 0 {
		return p
	}
	if p := a.values[v.Index()].liked; p.Valid() && free>>p.HW()&1 != 0 {
		return p
	}
	for _, p := range a.env.Allocatable[c] {
		if free>>p.HW()&1 != 0 {
			return p
		}
	}
	return NoPReg
}

// take is pick, but makes room if there is none: blocked holds, of the occupied registers, only those that must stay.
func (a *fastAllocator) take(v VReg, blocked uint64, limit uint8) (PReg, error) {
	c := v.Class()
	if p := a.pick(v, blocked|a.occupied[c], limit); p.Valid() {
		return p, nil
	}
	p := a.pick(v, blocked|a.pinned[c], limit)
	if !p.Valid() {
		return p, fmt.Errorf("more registers of class %v are needed at once than there are", v.Class())
	}
	a.evict(p)
	return p, nil
}

// evict sends the value in p home before the instruction; it comes back after it.
func (a *fastAllocator) evict(p PReg) {
	v := a.vregIn[p]
	a.unassign(v)
	a.out.Stats.Evictions++
	for k := range a.before {
		if m := &a.before[k]; m.from == RegAlloc(p) && m.vreg == v {
			m.from = a.homeOf(v)
		}
	}
	for k := range a.after {
		if m := &a.after[k]; m.from == RegAlloc(p) && m.vreg == v {
			m.from = a.homeOf(v) // it had moved here from a register that the instruction needs
			return
		}
	}
	a.after = append(a.after, parallelMove{a.homeOf(v), RegAlloc(p), v})
}

// fixedReg returns the register that operand k is fixed to, itself or through the input it reuses, or NoPReg.
func fixedReg(ops []Operand, k int) PReg {
	o := &ops[k]
	if o.Constraint == Reuse {
		o = &ops[o.Arg]
	}
	if o.Constraint == Fixed {
		return PReg(o.Arg)
	}
	return NoPReg
}

// limitOf returns the bound for operand k's hardware register, itself or through the input it reuses.
func limitOf(ops []Operand, k int) uint8 {
	o := &ops[k]
	if o.Constraint == Reuse {
		o = &ops[o.Arg]
	}
	if o.Constraint == Limit {
		return o.Arg
	}
	return MaxHW
}

// opKinds tells what operands there are in an instruction, so that it is not searched for others.
type opKinds uint8

const (
	hasDefEarly opKinds = 1 << iota // or one that reuses an input, which needs its register at both moments too
	hasDefLate
	hasReuse
	hasFixed // uses
	hasLimit
	hasReg
	hasAny
	hasLate
)

// allocSimple allocates instruction i if that is simple, and reports whether it is: if no other value has to move or to be stored for it.
// That is so for most instructions, which do not want a certain register and destroy none, whose result is expected in a register,
// and for whose arguments enough registers are free.
func (a *fastAllocator) allocSimple(i int) bool {
	f := a.f
	inst := &f.Insts[i]
	r := inst.Operands
	if inst.Clobbers != 0 || r.Len() > 64 {
		return false
	}
	ops, allocs := f.Operands[r.Start:r.End], a.out.Allocs[r.Start:r.End]
	def := -1
	need := uint32(0) // a byte for each class
	for k := range ops {
		o := &ops[k]
		x := &a.values[o.VReg.Index()]
		if o.Kind == Use {
			if o.Pos != Early || o.Constraint != Reg && o.Constraint != Any {
				return false
			}
			if !x.reg.Valid() {
				need += 1 << (8 * o.VReg.Class())
			}
			continue
		}
		if def >= 0 || o.Pos != Late || !x.reg.Valid() || x.home != 0 {
			return false
		}
		def = k
		switch o.Constraint {
		case Reg, Any:
		case Reuse:
			if a.regOf(ops[o.Arg].VReg).Valid() {
				return false // it lives on
			}
		default:
			return false
		}
	}
	for c := 0; need != 0; c, need = c+1, need>>8 {
		if bits.OnesCount64(a.allocatable[c]&^a.occupied[c]) < int(need&0xff) {
			return false
		}
	}
	if def >= 0 {
		o := &ops[def]
		p := a.regOf(o.VReg)
		allocs[def] = RegAlloc(p)
		a.unassign(o.VReg)
		if o.Constraint == Reuse {
			a.assign(ops[o.Arg].VReg, p)
		} else if inst.Flags&Move != 0 {
			if v := ops[1-def].VReg; !a.regOf(v).Valid() {
				a.assign(v, p) // nothing has to be done
			}
		}
	}
	for k := range ops {
		if o := &ops[k]; o.Kind == Use {
			p := a.regOf(o.VReg)
			if !p.Valid() {
				p = a.pick(o.VReg, a.occupied[o.VReg.Class()], MaxHW)
				a.assign(o.VReg, p)
			}
			allocs[k] = RegAlloc(p)
		}
	}
	return true
}

func (a *fastAllocator) allocInst(i int) error {
	f := a.f
	r := f.Insts[i].Operands
	a.ops, a.allocs = f.Operands[r.Start:r.End], a.out.Allocs[r.Start:r.End]
	a.busyE, a.busyL = PRegSet{}, f.InstClobbers(i)
	a.pinned, a.lateOwned = PRegSet{}, PRegSet{}
	a.kinds = 0
	if len(a.ops) == 0 && f.Insts[i].Clobbers == 0 {
		return nil
	}
	for len(a.want) < len(a.ops) {
		a.want, a.tied = append(a.want, NoPReg), append(a.tied, false)
	}

	kinds := opKinds(0)
	for k := range a.ops {
		o := &a.ops[k]
		fixed := o.Constraint == Fixed
		if o.Kind == Def {
			a.want[k] = a.regOf(o.VReg)
			if a.want[k].Valid() {
				a.unassign(o.VReg)
			}
			switch {
			case o.Constraint == Reuse:
				kinds |= hasDefEarly | hasReuse
				a.tied[o.Arg] = true
				fixed = a.ops[o.Arg].Constraint == Fixed
			case o.Pos == Early:
				kinds |= hasDefEarly
			default:
				kinds |= hasDefLate
			}
		} else {
			switch o.Constraint {
			case Fixed:
				kinds |= hasFixed
			case Limit:
				kinds |= hasLimit
			case Reg:
				kinds |= hasReg
			default:
				kinds |= hasAny
			}
			if o.Pos == Late {
				kinds |= hasLate
			}
		}
		if !fixed {
			continue
		}
		p := fixedReg(a.ops, k)
		if o.Pos == Early || o.Kind == Use {
			a.busyE.Add(p)
		}
		if o.Pos == Late || o.Kind == Def {
			a.busyL.Add(p)
		}
	}
	a.kinds = kinds
	a.clearConflicts()

	// What needs a register at both moments comes first.
	if kinds&hasDefEarly != 0 {
		for k := range a.ops {
			if o := &a.ops[k]; o.Kind == Def && (o.Pos == Early || o.Constraint == Reuse) {
				if err := a.define(k); err != nil {
					return err
				}
			}
		}
	}
	if kinds&hasLate != 0 {
		if err := a.useAt(Late); err != nil {
			return err
		}
	}
	if kinds&hasDefLate != 0 {
		for _, any := range [2]bool{false, true} {
			for k := range a.ops {
				if o := &a.ops[k]; o.Kind == Def && o.Pos == Late && o.Constraint != Reuse && (o.Constraint == Any) == any {
					if err := a.define(k); err != nil {
						return err
					}
				}
			}
		}
	}
	if kinds&hasReuse != 0 {
		// The input that a definition reuses has to be where the definition is.
		for k := range a.ops {
			if o := &a.ops[k]; o.Constraint == Reuse && !fixedReg(a.ops, k).Valid() {
				a.useIn(int(o.Arg), a.allocs[k].PReg(), true)
			}
		}
	}
	if err := a.useAt(Early); err != nil {
		return err
	}
	if kinds&hasAny != 0 {
		for k := range a.ops {
			if o := &a.ops[k]; o.Kind == Use && (o.Constraint == Any || o.Constraint == Stack) && !a.tied[k] {
				if err := a.useAny(k); err != nil {
					return err
				}
			}
		}
	}
	if kinds&hasReuse != 0 {
		clear(a.tied[:len(a.ops)])
	}
	return nil
}

// useAt allocates the uses at one moment that need a register, those with less choice first.
func (a *fastAllocator) useAt(pos OperandPos) error {
	if a.kinds&hasFixed != 0 {
		for k := range a.ops {
			if o := &a.ops[k]; o.Kind == Use && o.Pos == pos && o.Constraint == Fixed {
				a.useIn(k, PReg(o.Arg), !a.env.StackPRegs.Has(PReg(o.Arg)))
			}
		}
	}
	for _, c := range [2]Constraint{Limit, Reg} {
		if c == Limit && a.kinds&hasLimit == 0 || c == Reg && a.kinds&hasReg == 0 {
			continue
		}
		for k := range a.ops {
			if o := &a.ops[k]; o.Kind == Use && o.Pos == pos && o.Constraint == c && !a.tied[k] {
				if err := a.useReg(k); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// clearConflicts moves values that live through the instruction out of registers that it needs or clobbers.
func (a *fastAllocator) clearConflicts() {
	conflicts := PRegSet{}
	for c := range conflicts {
		conflicts[c] = a.occupied[c] & (a.busyE[c] | a.busyL[c])
	}
	if conflicts.Empty() {
		return
	}
	// A value may stay where the instruction wants it.
	for _, o := range a.ops {
		if p := PReg(o.Arg); o.Kind == Use && o.Constraint == Fixed && conflicts.Has(p) && a.vregIn[p] == o.VReg && (o.Pos == Late || !a.busyL.Has(p)) {
			conflicts.Remove(p)
		}
	}
	for p := range conflicts.All {
		v := a.vregIn[p]
		c := p.Class()
		q := a.pick(v, a.occupied[c]|a.busyE[c]|a.busyL[c], MaxHW)
		if !q.Valid() {
			a.evict(p)
			continue
		}
		a.unassign(v)
		a.assign(v, q)
		a.after = append(a.after, parallelMove{RegAlloc(q), RegAlloc(p), v})
	}
}

// define allocates the definition in operand k.
func (a *fastAllocator) define(k int) error {
	o := a.ops[k]
	v := o.VReg
	want := a.want[k]
	store := a.hasSlot(v) && !a.terminator
	c := v.Class()
	blocked := a.busyL[c]
	if o.Pos == Early || o.Constraint == Reuse {
		blocked |= a.busyE[c]
	}
	limit := limitOf(a.ops, k)
	loc := Allocation(0)
	switch fixed := fixedReg(a.ops, k); {
	case fixed.Valid():
		loc = RegAlloc(fixed)
	case o.Constraint == Stack:
		loc = a.homeOf(v)
	case !want.Valid() && a.isRemat(v):
		// Nothing in this block needs it, and other places make their own.
		a.allocs[k] = loc
		return nil
	default:
		p := NoPReg
		if want.Valid() && (blocked|a.occupied[c])>>want.HW()&1 == 0 && want.HW() < limit {
			p = want
		} else if o.Constraint != Any {
			var err error
			if p, err = a.take(v, blocked, limit); err != nil {
				return err
			}
		} else if want.Valid() || !a.hasSlot(v) || a.terminator {
			p = a.pick(v, blocked|a.occupied[c], limit)
		}
		if !p.Valid() {
			loc = a.homeOf(v)
			break
		}
		loc = RegAlloc(p)
		a.busyL.Add(p)
		if o.Pos == Early || o.Constraint == Reuse {
			a.busyE.Add(p)
		}
	}
	a.allocs[k] = loc
	if want.Valid() && loc != RegAlloc(want) {
		a.after = append(a.after, parallelMove{loc, RegAlloc(want), v})
	}
	x := &a.values[v.Index()]
	if store && loc != x.home {
		a.after = append(a.after, parallelMove{loc, x.home, v})
	}
	if x.flags&valueLocal != 0 {
		a.released = append(a.released, Edit{VReg: v, To: x.home})
	}
	return nil
}

// useIn puts the use in operand k into register p; the value may stay there if own is set.
func (a *fastAllocator) useIn(k int, p PReg, own bool) {
	v := a.ops[k].VReg
	a.allocs[k] = RegAlloc(p)
	if own {
		a.pinned.Add(p)
	}
	switch r := a.regOf(v); {
	case r == p:
	case r.Valid():
		a.before = append(a.before, parallelMove{RegAlloc(r), RegAlloc(p), v})
	case own:
		a.assign(v, p)
	default:
		a.before = append(a.before, parallelMove{a.homeOf(v), RegAlloc(p), v})
	}
	if a.ops[k].Pos == Late {
		a.lateOwned.Add(p)
	}
}

// stays reports whether the use in operand k can be where its value is already.
func (a *fastAllocator) stays(k int, limit uint8) bool {
	r := a.regOf(a.ops[k].VReg)
	return r.Valid() && r.HW() < limit && (a.ops[k].Pos == Early || !a.busyL.Has(r) || a.lateOwned.Has(r))
}

// useReg allocates the use in operand k to some register.
func (a *fastAllocator) useReg(k int) error {
	o := a.ops[k]
	limit := limitOf(a.ops, k)
	if a.stays(k, limit) {
		p := a.regOf(o.VReg)
		a.allocs[k] = RegAlloc(p)
		a.pinned.Add(p)
		if o.Pos == Late {
			a.lateOwned.Add(p)
			a.busyL.Add(p)
		}
		return nil
	}
	c := o.VReg.Class()
	blocked := a.busyE[c]
	if o.Pos == Late {
		blocked |= a.busyL[c]
	}
	p, err := a.take(o.VReg, blocked, limit)
	if err != nil {
		return err
	}
	a.busyE.Add(p)
	if o.Pos == Late {
		a.busyL.Add(p)
	}
	a.useIn(k, p, true)
	return nil
}

// useAny allocates the use in operand k to a register if there is one, or to a slot.
func (a *fastAllocator) useAny(k int) error {
	o := a.ops[k]
	if o.Constraint == Any {
		if a.stays(k, MaxHW) {
			return a.useReg(k)
		}
		if !a.regOf(o.VReg).Valid() {
			c := o.VReg.Class()
			blocked := a.busyE[c] | a.occupied[c]
			if o.Pos == Late {
				blocked |= a.busyL[c]
			}
			if p := a.pick(o.VReg, blocked, MaxHW); p.Valid() {
				return a.useReg(k)
			}
		}
	}
	home := a.homeOf(o.VReg)
	if home.Kind() == AllocRemat {
		home = a.newSlot(o.VReg, true)
		a.before = append(a.before, parallelMove{RematAlloc(), home, o.VReg})
		a.released = append(a.released, Edit{VReg: o.VReg, To: home})
	}
	a.allocs[k] = home
	return nil
}

// listDebugLocs reports the labelled values that have slots of their own. Registers change too often here to be worth reporting.
func (a *fastAllocator) listDebugLocs() {
	for _, d := range a.f.DebugLabels {
		v := uint32(d.VReg.Index())
		h := a.values[v].home
		if h == 0 || a.values[v].flags&valueLocal != 0 {
			continue // a slot that is needed in one block only is not the value's own for all of its life
		}
		for _, r := range a.live.rangesOf(v) {
			from := (r.from + 1) / 2
			if a.live.defOp[v]&edgeUse == 0 {
				from = max(from, a.live.defPos[v]/2+1)
			}
			from = max(d.From, from)
			a.out.addDebugLoc(a.f, &a.cfg, d.Label, from, min(d.To, r.to/2), h)
		}
	}
}
