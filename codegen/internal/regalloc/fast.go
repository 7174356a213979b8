package regalloc

import "fmt"

// The fast allocator goes over each block once, backward, and knows nothing of other blocks. Between blocks every value is in its
// home: a spill slot, or for a rematerializable value its definition. Going backward, the last use of a value in a block (met
// first) gives it a register, which it keeps up to its definition, or to the start of the block, where it is loaded from home. A
// value that is used in another block than its own, or had to leave its register, is stored home right after its definition.
//
//	v1 = load           v1 in r0; store r0 → home(v1), because of the call
//	call                (clobbers all)
//	                    load home(v1) → r1
//	v2 = add v1, v1     v1 in r1
//
// Each instruction is handled with two sets: the registers busy at Early and at Late. Values that live through the instruction are
// busy at both; those in the way of a fixed register or a clobber move to another register or home, and come back after the
// instruction. Since after comes first when going backward, that is simply a move in the group after it, and the value
// continues elsewhere before it. Both groups of moves are parallel.
//
// The cost is linear in operands, with small constants; the price is the traffic at block boundaries.

type fastAllocator struct {
	f   *Function
	env *Env
	out *Output

	cfg      cfg
	live     liveness // only for safepoints and debug labels
	resolver moveResolver

	safepoints safepointList

	allocatable PRegSet

	home     []Allocation // by value; 0 if it has none yet
	global   []bool       // by value: used in another block
	used     []bool       // by value: used at all
	defBlock []uint32     // by value
	regOf    []PReg       // by value, at the current point
	vregIn   [NumPRegs]VReg
	occupied PRegSet

	freeSlots [256][]uint32 // by size: slots of values that live in one block
	released  []Edit        // slots (To) of the sizes of values (VReg) that are free before the instruction

	after, before []parallelMove
	blockEdits    []Edit // of the current block, backward
	scratchEdits  []Edit
	allEdits      []Edit  // block by block, in the order of allocation
	editsOf       []Range // by block, into allEdits

	// State of the current instruction.
	inst         int
	ops          []Operand
	allocs       []Allocation
	busyE, busyL PRegSet
	lateOwned    PRegSet // registers that late uses gave to their values
	pinned       PRegSet // registers that operands of the instruction occupy
	want         []PReg  // by operand: where a defined value is expected afterwards
	tied         []bool  // by operand: a definition reuses it
}

// run allocates f.
func (a *fastAllocator) run(f *Function, env *Env, out *Output) error {
	a.f, a.env, a.out = f, env, out
	a.resolver.reset(env, &out.SpillUnits)
	a.prepare()
	for _, b := range a.cfg.order {
		start := uint32(len(a.allEdits))
		if err := a.block(int(b)); err != nil {
			return err
		}
		a.editsOf[b] = Range{start, uint32(len(a.allEdits))}
	}
	for _, r := range a.editsOf {
		out.Edits = append(out.Edits, a.allEdits[r.Start:r.End]...)
	}
	if len(f.Refs) > 0 || len(f.DebugLabels) > 0 {
		a.live.compute(f, &a.cfg)
		a.safepoints.list(f, &a.live, out, func(v uint32) Allocation { return a.home[v] })
		a.listDebugLocs()
	}
	return nil
}

// prepare resets all state and finds the values that need a home.
func (a *fastAllocator) prepare() {
	f := a.f
	a.cfg.compute(f)
	a.allocatable = PRegSet{}
	for _, regs := range a.env.Allocatable {
		for _, p := range regs {
			a.allocatable.Add(p)
		}
	}
	n := f.NumVRegs
	a.home = resized(a.home, n)
	a.global = resized(a.global, n)
	a.used = resized(a.used, n)
	a.defBlock = resized(a.defBlock, n)
	a.regOf = resized(a.regOf, n)
	a.editsOf = resized(a.editsOf, len(f.Blocks))
	a.allEdits = a.allEdits[:0]
	for i := range a.regOf {
		a.regOf[i] = NoPReg
	}
	for i := range a.freeSlots {
		a.freeSlots[i] = a.freeSlots[i][:0]
	}
	for b, blk := range f.Blocks {
		for _, p := range f.BlockParams(b) {
			a.defBlock[p.Index()] = uint32(b)
			if len(a.cfg.predEdges(b)) > 1 {
				a.global[p.Index()] = true // written by other blocks
			}
		}
		for i := blk.Insts.Start; i < blk.Insts.End; i++ {
			for _, o := range f.InstOperands(int(i)) {
				if o.Kind == Def {
					a.defBlock[o.VReg.Index()] = uint32(b)
					if f.isRemat(o.VReg) {
						a.home[o.VReg.Index()] = RematAlloc()
					}
				}
			}
		}
	}
	for b, blk := range f.Blocks {
		for i := blk.Insts.Start; i < blk.Insts.End; i++ {
			for _, o := range f.InstOperands(int(i)) {
				v := o.VReg.Index()
				if o.Kind == Def {
					continue
				}
				a.used[v] = true
				if a.defBlock[v] != uint32(b) {
					a.global[v] = true
				}
				if o.Constraint == Stack {
					a.home[v] = 0 // a slot, then, like everybody
				}
			}
		}
		for _, e := range f.BlockEdges(b) {
			for _, v := range f.EdgeArgs(e) {
				a.used[v.Index()] = true
				if a.defBlock[v.Index()] != uint32(b) || len(a.cfg.predEdges(int(e.To))) == 1 {
					a.global[v.Index()] = true
				}
			}
		}
	}
}

// homeOf returns v's home, giving it a slot if it has none.
func (a *fastAllocator) homeOf(v VReg) Allocation {
	h := a.home[v.Index()]
	if h != 0 {
		return h
	}
	a.out.Stats.Spilled++
	h = a.newSlot(v, !a.global[v.Index()])
	a.home[v.Index()] = h
	return h
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

// needsStore reports whether v's definition has to be stored home.
func (a *fastAllocator) needsStore(v VReg) bool {
	h := a.home[v.Index()]
	return h.Kind() != AllocRemat && (h != 0 || a.global[v.Index()])
}

func (a *fastAllocator) assign(v VReg, p PReg) {
	a.regOf[v.Index()] = p
	a.vregIn[p] = v
	a.occupied.Add(p)
}

func (a *fastAllocator) unassign(v VReg) {
	a.occupied.Remove(a.regOf[v.Index()])
	a.regOf[v.Index()] = NoPReg
}

// flush resolves a group of moves at a point in front of everything the block has so far.
func (a *fastAllocator) flush(at ProgPoint, moves []parallelMove, free PRegSet) {
	if len(moves) == 0 {
		return
	}
	for _, m := range moves {
		a.resolver.add(m.vreg, m.from, m.to)
	}
	a.scratchEdits = a.resolver.resolve(at, a.scratchEdits[:0], func() PRegSet { return free })
	for i := len(a.scratchEdits) - 1; i >= 0; i-- {
		a.blockEdits = append(a.blockEdits, a.scratchEdits[i])
	}
}

func (a *fastAllocator) block(b int) error {
	f := a.f
	blk := &f.Blocks[b]
	a.blockEdits = a.blockEdits[:0]
	a.occupied = PRegSet{}
	for i := int(blk.Insts.End) - 1; i >= int(blk.Insts.Start); i-- {
		terminator := i == int(blk.Insts.End)-1
		free := a.allocatable.Minus(a.occupied)
		a.after, a.before = a.after[:0], a.before[:0]
		if err := a.allocInst(i, terminator); err != nil {
			return fmt.Errorf("regalloc: block %d, inst %d: %w", b, i, err)
		}
		a.flush(After(i), a.after, free)
		if terminator {
			a.passArgs(b)
		}
		a.flush(Before(i), a.before, a.allocatable.Minus(a.occupied).Minus(a.pinned))
		for _, r := range a.released {
			n := f.spillUnits(r.VReg, a.env)
			a.freeSlots[n] = append(a.freeSlots[n], r.To.Slot())
		}
		a.released = a.released[:0]
	}
	a.enter(b)
	for i := len(a.blockEdits) - 1; i >= 0; i-- {
		a.allEdits = append(a.allEdits, a.blockEdits[i])
	}
	return nil
}

// passArgs moves edge arguments to the homes of parameters, if this is done before b's terminator.
func (a *fastAllocator) passArgs(b int) {
	f := a.f
	for _, e := range f.BlockEdges(b) {
		if len(a.cfg.predEdges(int(e.To))) == 1 {
			continue
		}
		params := f.BlockParams(int(e.To))
		for k, v := range f.EdgeArgs(e) {
			p := params[k]
			if !a.used[p.Index()] {
				continue
			}
			from := Allocation(0)
			if r := a.regOf[v.Index()]; r.Valid() {
				from = RegAlloc(r)
			} else if r := a.pick(v, a.occupied, MaxHW); r.Valid() && a.home[v.Index()].Kind() != AllocRemat {
				a.assign(v, r)
				from = RegAlloc(r)
			} else {
				from = a.homeOf(v)
			}
			a.before = append(a.before, parallelMove{from, a.homeOf(p), p})
			if from.Kind() == AllocRemat {
				a.before[len(a.before)-1].vreg = v
			}
		}
	}
}

// enter brings the values expected in registers at the start of b there, and what predecessors could not store home.
func (a *fastAllocator) enter(b int) {
	f := a.f
	preds := a.cfg.predEdges(b)
	a.before = a.before[:0]
	var fromTerminator []Operand
	var terminatorAllocs []Allocation
	if len(preds) == 1 {
		t := f.Blocks[a.cfg.source[preds[0]]].Insts.End - 1
		r := f.Insts[t].Operands
		fromTerminator, terminatorAllocs = f.Operands[r.Start:r.End], a.out.Allocs[r.Start:r.End]
	}
	source := func(v VReg) Allocation {
		for k, o := range fromTerminator {
			if o.Kind == Def && o.VReg == v && terminatorAllocs[k].Kind() != AllocNone {
				return terminatorAllocs[k]
			}
		}
		return a.homeOf(v)
	}
	for k, o := range fromTerminator {
		if o.Kind == Def && a.needsStore(o.VReg) && a.used[o.VReg.Index()] {
			a.before = append(a.before, parallelMove{terminatorAllocs[k], a.homeOf(o.VReg), o.VReg})
		}
	}
	if len(preds) == 1 {
		for k, v := range f.EdgeArgs(f.Edges[preds[0]]) {
			p := f.BlockParams(b)[k]
			from := source(v)
			moved := p
			if from.Kind() == AllocRemat {
				moved = v
			}
			if a.needsStore(p) && a.used[p.Index()] {
				a.before = append(a.before, parallelMove{from, a.homeOf(p), moved})
			}
			if r := a.regOf[p.Index()]; r.Valid() {
				a.before = append(a.before, parallelMove{from, RegAlloc(r), moved})
			}
		}
	}
	for r := range a.occupied.All {
		v := a.vregIn[r]
		a.regOf[v.Index()] = NoPReg
		if a.defBlock[v.Index()] == uint32(b) && len(preds) == 1 {
			continue // a parameter, done above
		}
		if b == 0 {
			panic("regalloc: " + v.String() + " is used but not defined on some path")
		}
		a.before = append(a.before, parallelMove{source(v), RegAlloc(r), v})
	}
	// The resolver drops moves from a location to itself, which is what a value still in the terminator's register needs.
	a.flush(Before(int(f.Blocks[b].Insts.Start)), a.before, a.allocatable.Minus(a.occupied))
}

// pick returns a register of v's class outside of blocked and below limit, or NoPReg.
func (a *fastAllocator) pick(v VReg, blocked PRegSet, limit uint8) PReg {
	if p := a.f.hint(v); p.Valid() && p.Class() == v.Class() && a.allocatable.Has(p) && !blocked.Has(p) && p.HW() < limit {
		return p
	}
	for _, p := range a.env.Allocatable[v.Class()] {
		if !blocked.Has(p) && p.HW() < limit {
			return p
		}
	}
	return NoPReg
}

// take is pick, but makes room if there is none: blocked holds, of the occupied registers, only those that must stay.
func (a *fastAllocator) take(v VReg, blocked PRegSet, limit uint8) (PReg, error) {
	if p := a.pick(v, blocked.Union(a.occupied), limit); p.Valid() {
		return p, nil
	}
	p := a.pick(v, blocked.Union(a.pinned), limit)
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

func (a *fastAllocator) allocInst(i int, terminator bool) error {
	f := a.f
	a.inst = i
	r := f.Insts[i].Operands
	a.ops, a.allocs = f.Operands[r.Start:r.End], a.out.Allocs[r.Start:r.End]
	a.busyE, a.busyL = PRegSet{}, f.InstClobbers(i)
	a.pinned, a.lateOwned = PRegSet{}, PRegSet{}
	a.want, a.tied = resized(a.want, len(a.ops)), resized(a.tied, len(a.ops))

	for k, o := range a.ops {
		if o.Constraint == Reuse {
			a.tied[o.Arg] = true
		}
		a.want[k] = NoPReg
		if o.Kind == Def {
			if p := a.regOf[o.VReg.Index()]; p.Valid() {
				a.want[k] = p
				a.unassign(o.VReg)
			}
		}
		p := fixedReg(a.ops, k)
		if !p.Valid() {
			continue
		}
		if o.Pos == Early || o.Kind == Use {
			a.busyE.Add(p)
		}
		if o.Pos == Late || o.Kind == Def {
			a.busyL.Add(p)
		}
	}
	a.clearConflicts()

	// What needs a register at both moments comes first.
	for k, o := range a.ops {
		if o.Kind == Def && (o.Pos == Early || o.Constraint == Reuse) {
			if err := a.define(k, terminator); err != nil {
				return err
			}
		}
	}
	for _, pos := range [2]OperandPos{Late, Early} {
		if pos == Early {
			for _, any := range [2]bool{false, true} {
				for k, o := range a.ops {
					if o.Kind == Def && o.Pos == Late && o.Constraint != Reuse && (o.Constraint == Any) == any {
						if err := a.define(k, terminator); err != nil {
							return err
						}
					}
				}
			}
			// The input that a definition reuses has to be where the definition is.
			for k, o := range a.ops {
				if o.Constraint == Reuse && !fixedReg(a.ops, k).Valid() {
					a.useIn(int(o.Arg), a.allocs[k].PReg(), true)
				}
			}
		}
		for k, o := range a.ops {
			if o.Kind == Use && o.Pos == pos && o.Constraint == Fixed {
				a.useIn(k, PReg(o.Arg), !a.env.StackPRegs.Has(PReg(o.Arg)))
			}
		}
		for _, constraint := range [2]Constraint{Limit, Reg} {
			for k, o := range a.ops {
				if o.Kind == Use && o.Pos == pos && o.Constraint == constraint && !a.tied[k] {
					if err := a.useReg(k); err != nil {
						return err
					}
				}
			}
		}
	}
	for k, o := range a.ops {
		if o.Kind == Use && (o.Constraint == Any || o.Constraint == Stack) && !a.tied[k] {
			if err := a.useAny(k); err != nil {
				return err
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
		q := a.pick(v, a.occupied.Union(a.busyE).Union(a.busyL), MaxHW)
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
func (a *fastAllocator) define(k int, terminator bool) error {
	o := a.ops[k]
	v := o.VReg
	want := a.want[k]
	store := a.needsStore(v) && !terminator
	blocked := a.busyL
	if o.Pos == Early || o.Constraint == Reuse {
		blocked = blocked.Union(a.busyE)
	}
	limit := limitOf(a.ops, k)
	loc := Allocation(0)
	switch fixed := fixedReg(a.ops, k); {
	case fixed.Valid():
		loc = RegAlloc(fixed)
	case o.Constraint == Stack:
		loc = a.homeOf(v)
	case a.f.isRemat(v) && !want.Valid() && a.home[v.Index()].Kind() == AllocRemat:
		// Nothing in this block needs it, and other places make their own.
		a.allocs[k] = loc
		return nil
	default:
		p := NoPReg
		if want.Valid() && !blocked.Has(want) && !a.occupied.Has(want) && want.HW() < limit {
			p = want
		} else if o.Constraint != Any {
			var err error
			if p, err = a.take(v, blocked, limit); err != nil {
				return err
			}
		} else if want.Valid() || !a.needsStore(v) || terminator {
			p = a.pick(v, blocked.Union(a.occupied), limit)
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
	if h := a.home[v.Index()]; store && loc != h {
		a.after = append(a.after, parallelMove{loc, a.homeOf(v), v})
	}
	if h := a.home[v.Index()]; h.IsSlot() && !a.global[v.Index()] {
		a.released = append(a.released, Edit{VReg: v, To: h})
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
	switch r := a.regOf[v.Index()]; {
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
	r := a.regOf[a.ops[k].VReg.Index()]
	return r.Valid() && r.HW() < limit && (a.ops[k].Pos == Early || !a.busyL.Has(r) || a.lateOwned.Has(r))
}

// useReg allocates the use in operand k to some register.
func (a *fastAllocator) useReg(k int) error {
	o := a.ops[k]
	limit := limitOf(a.ops, k)
	if a.stays(k, limit) {
		p := a.regOf[o.VReg.Index()]
		a.allocs[k] = RegAlloc(p)
		a.pinned.Add(p)
		if o.Pos == Late {
			a.lateOwned.Add(p)
			a.busyL.Add(p)
		}
		return nil
	}
	blocked := a.busyE
	if o.Pos == Late {
		blocked = blocked.Union(a.busyL)
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
		if !a.regOf[o.VReg.Index()].Valid() {
			blocked := a.busyE.Union(a.occupied)
			if o.Pos == Late {
				blocked = blocked.Union(a.busyL)
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
		h := a.home[v]
		if !h.IsSlot() || !a.global[v] {
			continue // the slot of a value that lives in one block is not its own for all of its life
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
