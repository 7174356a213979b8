package regalloc

import "fmt"

// The checker proves an allocation right without knowing how it came about. It works backward with requirements of the form
// "this location must hold this value here". Each operand that is used requires its value in its location before the instruction.
// Going backward, a move turns a requirement on its destination into one on its source; an edge turns one on a block parameter into
// one on the argument; the definition of the value in that very location fulfils it; and anything else that writes the location, or
// arrival at the function's entry, is an error. Requirements spread over the control-flow graph until nothing new turns up.
//
// Because a requirement is dropped only where the value is defined, and every path backward ends at the entry, nothing that is
// required can stay unproved, on any path. The work is proportional to the live values at block boundaries, as sets of pairs.

// Check proves that out is a correct allocation of the valid function f. The error tells the first requirement that is not met.
func Check(f *Function, env *Env, out *Output) error {
	c := checker{f: f, env: env, out: out}
	if err := c.run(); err != nil {
		return fmt.Errorf("regalloc: wrong allocation: %w", err)
	}
	return nil
}

// requirement says that a location must hold vreg. origin is the instruction that needs it, for messages.
type requirement struct {
	vreg   VReg
	next   int32 // index of the next requirement on the location, or -1
	origin uint32
}

type pendingRequirement struct {
	loc    uint32
	vreg   VReg
	origin uint32
}

type checker struct {
	f   *Function
	env *Env
	out *Output
	cfg cfg

	allocatable, writable PRegSet

	head     []int32 // by location: its requirements at the current point, or -1
	pool     []requirement
	freeList int32
	active   []uint32 // locations that may have requirements
	inActive []bool
	count    []uint32 // by value: number of requirements

	editEnd    []uint32 // by block: end of its edits
	paramOf    []uint32 // by value: 1 + index in Params
	fresh      [][]pendingRequirement
	seen       map[uint64]map[uint32]struct{} // (block, location) → values required at the block's end
	safepoints map[uint32][]SafepointSlot
	debug      map[uint32][]pendingRequirement
	maxUnits   uint32
}

func (c *checker) run() error {
	f, out := c.f, c.out
	if len(out.Allocs) != len(f.Operands) {
		return fmt.Errorf("%d allocations for %d operands", len(out.Allocs), len(f.Operands))
	}
	for _, regs := range c.env.Allocatable {
		for _, p := range regs {
			c.allocatable.Add(p)
		}
	}
	c.writable = c.allocatable.Union(c.env.Scratch).Union(c.env.StackPRegs)
	c.cfg.compute(f, coldLast)
	n := NumPRegs + int(out.SpillUnits)
	c.head = make([]int32, n)
	for i := range c.head {
		c.head[i] = -1
	}
	c.inActive = make([]bool, n)
	c.freeList = -1
	c.count = make([]uint32, f.NumVRegs)
	c.paramOf = make([]uint32, f.NumVRegs)
	for i, p := range f.Params {
		c.paramOf[p.Index()] = uint32(i) + 1
	}
	c.maxUnits = 1
	for _, u := range c.env.SpillUnits {
		c.maxUnits = max(c.maxUnits, uint32(u))
	}
	for _, u := range f.SpillUnits {
		c.maxUnits = max(c.maxUnits, uint32(u))
	}
	if err := c.checkEdits(); err != nil {
		return err
	}
	c.safepoints = make(map[uint32][]SafepointSlot)
	for _, s := range out.Safepoints {
		if int(s.Inst) >= len(f.Insts) || f.Insts[s.Inst].Flags&Safepoint == 0 || !f.isRef(s.VReg) {
			return fmt.Errorf("reference %v listed at inst %d, which is not a safepoint, or it is not a reference", s.VReg, s.Inst)
		}
		c.safepoints[s.Inst] = append(c.safepoints[s.Inst], s)
	}
	c.debug = make(map[uint32][]pendingRequirement)
	for _, d := range out.DebugLocs {
		label := NoVReg
		for _, l := range f.DebugLabels {
			if l.Label == d.Label && l.From <= d.From && d.To <= l.To {
				label = l.VReg
			}
		}
		if label == NoVReg {
			return fmt.Errorf("location for label %d at [%d, %d), where nothing asked for it", d.Label, d.From, d.To)
		}
		if d.Alloc.Kind() == AllocRemat && f.isRemat(label) {
			continue
		}
		if d.Alloc.Kind() != AllocReg && d.Alloc.Kind() != AllocSlot || locIndex(d.Alloc) >= len(c.head) {
			return fmt.Errorf("label %d has the location %v", d.Label, d.Alloc)
		}
		for i := d.From; i < d.To; i++ {
			c.debug[i] = append(c.debug[i], pendingRequirement{uint32(locIndex(d.Alloc)), label, i})
		}
	}
	for i := range f.Insts {
		if err := c.checkConstraints(i); err != nil {
			return fmt.Errorf("inst %d: %w", i, err)
		}
	}

	c.fresh = make([][]pendingRequirement, len(f.Blocks))
	c.seen = make(map[uint64]map[uint32]struct{})
	for k := len(c.cfg.order) - 1; k >= 0; k-- {
		if err := c.block(int(c.cfg.order[k]), true); err != nil {
			return err
		}
	}
	for again := true; again; {
		again = false
		for k := len(c.cfg.order) - 1; k >= 0; k-- {
			if b := int(c.cfg.order[k]); len(c.fresh[b]) > 0 {
				again = true
				if err := c.block(b, false); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// units returns the size of what an edit moves.
func (c *checker) units(v VReg, class RegClass) uint32 {
	if v == NoVReg {
		return uint32(max(c.env.SpillUnits[class], 1))
	}
	return uint32(c.f.spillUnits(v, c.env))
}

// checkEdits checks each edit alone and finds those of each block.
func (c *checker) checkEdits() error {
	f, out := c.f, c.out
	c.editEnd = make([]uint32, len(f.Blocks))
	b := 0
	for k, e := range out.Edits {
		if k > 0 && e.At < out.Edits[k-1].At {
			return fmt.Errorf("edit %d (%v) comes after edit %d (%v)", k, e, k-1, out.Edits[k-1])
		}
		if e.At.Inst() >= len(f.Insts) {
			return fmt.Errorf("edit %d (%v) is outside of the function", k, e)
		}
		for uint32(e.At.Inst()) >= f.Blocks[b].Insts.End {
			c.editEnd[b] = uint32(k)
			b++
		}
		if e.At.IsAfter() && uint32(e.At.Inst()) == f.Blocks[b].Insts.End-1 {
			return fmt.Errorf("edit %d (%v) is after a terminator", k, e)
		}
		class := NoPReg.Class()
		reg := func(a Allocation) bool { return a.IsReg() && !c.env.StackPRegs.Has(a.PReg()) }
		switch {
		case reg(e.From):
			class = e.From.PReg().Class()
		case reg(e.To):
			class = e.To.PReg().Class()
		default:
			return fmt.Errorf("edit %d (%v) has no register", k, e)
		}
		if e.VReg != NoVReg && (e.VReg.Index() >= f.NumVRegs || e.VReg.Class() != class) {
			return fmt.Errorf("edit %d (%v) is of another class", k, e)
		}
		if e.From.Kind() == AllocRemat {
			if !reg(e.To) || e.VReg == NoVReg || !f.isRemat(e.VReg) {
				return fmt.Errorf("edit %d (%v) cannot be rematerialized", k, e)
			}
		} else if err := c.checkLoc(e.From, class, c.units(e.VReg, class)); err != nil {
			return fmt.Errorf("edit %d (%v): source: %w", k, e, err)
		}
		if err := c.checkLoc(e.To, class, c.units(e.VReg, class)); err != nil {
			return fmt.Errorf("edit %d (%v): destination: %w", k, e, err)
		}
		if e.To.IsReg() && c.allocatable.Has(e.To.PReg()) && !out.Used.Has(e.To.PReg()) {
			return fmt.Errorf("edit %d (%v) writes a register that is not in Used", k, e)
		}
	}
	for ; b < len(f.Blocks); b++ {
		c.editEnd[b] = uint32(len(out.Edits))
	}
	return nil
}

// checkLoc checks that a is a location for a value of the class and size.
func (c *checker) checkLoc(a Allocation, class RegClass, units uint32) error {
	switch a.Kind() {
	case AllocReg:
		if p := a.PReg(); !p.Valid() || p.Class() != class || !c.writable.Has(p) {
			return fmt.Errorf("%v is not a register of class %v that may be used", a, class)
		}
	case AllocSlot:
		align := uint32(1)
		for align < units {
			align *= 2
		}
		if a.Slot()+units > c.out.SpillUnits || a.Slot()%align != 0 {
			return fmt.Errorf("%v for %d units is outside of the %d units or not aligned", a, units, c.out.SpillUnits)
		}
	default:
		return fmt.Errorf("%v is no location", a)
	}
	return nil
}

// checkConstraints checks instruction i's operands against their constraints and each other.
func (c *checker) checkConstraints(i int) error {
	f := c.f
	ops := f.InstOperands(i)
	allocs := c.out.Allocs[f.Insts[i].Operands.Start:f.Insts[i].Operands.End]
	clobbers := f.InstClobbers(i)
	for k, o := range ops {
		a := allocs[k]
		if a.Kind() == AllocNone && o.Kind == Def && f.isRemat(o.VReg) {
			continue
		}
		if err := c.checkLoc(a, o.VReg.Class(), uint32(f.spillUnits(o.VReg, c.env))); err != nil {
			return fmt.Errorf("operand %d (%v): %w", k, o, err)
		}
		ok := true
		reg := a.IsReg() && c.allocatable.Has(a.PReg())
		switch o.Constraint {
		case Any:
			ok = reg || a.IsSlot()
		case Reg:
			ok = reg
		case Stack:
			ok = a.IsSlot()
		case Fixed:
			ok = a.IsReg() && a.PReg() == PReg(o.Arg)
		case Reuse:
			ok = a == allocs[o.Arg]
		case Limit:
			ok = reg && a.PReg().HW() < o.Arg
		}
		if !ok {
			return fmt.Errorf("operand %d (%v) is in %v", k, o, a)
		}
		if a.IsReg() && o.Kind == Def && reg && !c.out.Used.Has(a.PReg()) {
			return fmt.Errorf("operand %d (%v) writes %v, which is not in Used", k, o, a)
		}
		if a.IsReg() && clobbers.Has(a.PReg()) && (o.Pos == Late || o.Kind == Def) &&
			!(o.Kind == Def && o.Pos == Late && (o.Constraint == Fixed || o.Constraint == Reuse && ops[o.Arg].Constraint == Fixed)) {
			return fmt.Errorf("operand %d (%v) is in %v, which is clobbered", k, o, a)
		}
		if o.Kind == Use {
			continue
		}
		for m, p := range ops {
			if m == k || !c.overlap(a, o.VReg, allocs[m], p.VReg) {
				continue
			}
			if p.Kind == Def || o.Pos == Early || p.Pos == Late {
				return fmt.Errorf("operands %d (%v) and %d (%v) share %v", k, o, m, p, a)
			}
		}
	}
	return nil
}

// overlap reports whether two locations have something in common.
func (c *checker) overlap(a Allocation, v VReg, b Allocation, w VReg) bool {
	if a.IsSlot() && b.IsSlot() {
		return a.Slot() < b.Slot()+uint32(c.f.spillUnits(w, c.env)) && b.Slot() < a.Slot()+uint32(c.f.spillUnits(v, c.env))
	}
	return a == b && a.Kind() != AllocNone
}

// require adds a requirement at the current point.
func (c *checker) require(loc uint32, v VReg, origin uint32) {
	for r := c.head[loc]; r >= 0; r = c.pool[r].next {
		if c.pool[r].vreg == v {
			return
		}
	}
	r := c.freeList
	if r >= 0 {
		c.freeList = c.pool[r].next
	} else {
		r = int32(len(c.pool))
		c.pool = append(c.pool, requirement{})
	}
	c.pool[r] = requirement{v, c.head[loc], origin}
	c.head[loc] = r
	c.count[v.Index()]++
	if !c.inActive[loc] {
		c.inActive[loc] = true
		c.active = append(c.active, loc)
	}
}

// take removes all requirements on loc and calls each for them.
func (c *checker) take(loc uint32, each func(requirement) error) error {
	r := c.head[loc]
	c.head[loc] = -1
	for r >= 0 {
		q := c.pool[r]
		c.count[q.vreg.Index()]--
		c.pool[r].next = c.freeList
		c.freeList = r
		if err := each(q); err != nil {
			return err
		}
		r = q.next
	}
	return nil
}

// write handles that [loc, loc+units) is overwritten with something that fulfils or passes on the requirements exactly on loc by means
// of each.
func (c *checker) write(a Allocation, units uint32, each func(requirement) error) error {
	loc := uint32(locIndex(a))
	if a.IsSlot() {
		lo := loc
		for lo > NumPRegs && loc-lo < c.maxUnits-1 {
			lo--
		}
		for l := lo; l < loc+units && int(l) < len(c.head); l++ {
			if l == loc {
				continue
			}
			for r := c.head[l]; r >= 0; r = c.pool[r].next {
				if q := c.pool[r]; l+uint32(c.f.spillUnits(q.vreg, c.env)) > loc {
					return fmt.Errorf("a write to %v destroys %v in slot%d, needed by inst %d", a, q.vreg, l-NumPRegs, q.origin)
				}
			}
		}
	}
	return c.take(loc, func(q requirement) error {
		if n := uint32(c.f.spillUnits(q.vreg, c.env)); n > units {
			return fmt.Errorf("%v in %v, needed by inst %d, has %d units, of which %d are written", q.vreg, a, q.origin, n, units)
		}
		return each(q)
	})
}

// block carries the fresh requirements at the end of b, and if own is set those of its instructions, to its predecessors.
func (c *checker) block(b int, own bool) error {
	f := c.f
	for _, q := range c.fresh[b] {
		c.require(q.loc, q.vreg, q.origin)
	}
	c.fresh[b] = c.fresh[b][:0]
	blk := &f.Blocks[b]
	edit := c.editEnd[b]
	first := uint32(0)
	if b > 0 {
		first = c.editEnd[b-1]
	}
	for i := int(blk.Insts.End) - 1; i >= int(blk.Insts.Start); i-- {
		for ; edit > first && c.out.Edits[edit-1].At == After(i); edit-- {
			if err := c.edit(b, &c.out.Edits[edit-1]); err != nil {
				return err
			}
		}
		if err := c.inst(i, own); err != nil {
			return fmt.Errorf("block %d, inst %d: %w", b, i, err)
		}
		for ; edit > first && c.out.Edits[edit-1].At == Before(i); edit-- {
			if err := c.edit(b, &c.out.Edits[edit-1]); err != nil {
				return err
			}
		}
	}
	return c.enter(b)
}

// edit takes the requirements back over a move in block b.
func (c *checker) edit(b int, e *Edit) error {
	class := RegClass(0)
	if e.From.IsReg() {
		class = e.From.PReg().Class()
	} else {
		class = e.To.PReg().Class()
	}
	var moved []requirement
	err := c.write(e.To, c.units(e.VReg, class), func(q requirement) error {
		if e.From.Kind() == AllocRemat {
			if q.vreg != e.VReg && !c.passes(b, e, q.vreg) {
				return fmt.Errorf("%v produces %v where inst %d needs %v", e.At, e.VReg, q.origin, q.vreg)
			}
			return nil
		}
		moved = append(moved, q)
		return nil
	})
	if err != nil {
		return fmt.Errorf("edit (%v): %w", *e, err)
	}
	for _, q := range moved {
		c.require(uint32(locIndex(e.From)), q.vreg, q.origin)
	}
	return nil
}

// passes reports whether e, at the start of block b, produces the argument for b's parameter p.
func (c *checker) passes(b int, e *Edit, p VReg) bool {
	preds := c.cfg.predEdges(b)
	at := c.paramOf[p.Index()] - 1
	params := c.f.Blocks[b].Params
	return len(preds) == 1 && e.At == Before(int(c.f.Blocks[b].Insts.Start)) && at >= params.Start && at < params.End &&
		c.f.EdgeArgs(c.f.Edges[preds[0]])[at-params.Start] == e.VReg
}

// inst takes the requirements back over instruction i, and adds its own.
func (c *checker) inst(i int, own bool) error {
	f := c.f
	ops := f.InstOperands(i)
	allocs := c.out.Allocs[f.Insts[i].Operands.Start:f.Insts[i].Operands.End]
	for k, o := range ops {
		if o.Kind != Def || allocs[k].Kind() == AllocNone {
			continue
		}
		err := c.write(allocs[k], uint32(f.spillUnits(o.VReg, c.env)), func(q requirement) error {
			if q.vreg != o.VReg {
				return fmt.Errorf("operand %d (%v) overwrites %v in %v, needed by inst %d", k, o, q.vreg, allocs[k], q.origin)
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	for k, o := range ops {
		if o.Kind == Def && c.count[o.VReg.Index()] != 0 {
			for _, loc := range c.active {
				for r := c.head[loc]; r >= 0; r = c.pool[r].next {
					if q := c.pool[r]; q.vreg == o.VReg {
						return fmt.Errorf("operand %d (%v) defines in %v what inst %d needs in %s", k, o, allocs[k], q.origin, locName(loc))
					}
				}
			}
		}
	}
	for p := range f.InstClobbers(i).All {
		if r := c.head[p]; r >= 0 {
			return fmt.Errorf("clobbers %v in %v, needed by inst %d", c.pool[r].vreg, p, c.pool[r].origin)
		}
	}
	if f.Insts[i].Flags&Safepoint != 0 {
		if err := c.safepoint(i, own); err != nil {
			return err
		}
	}
	if own {
		for k, o := range ops {
			if o.Kind == Use {
				c.require(uint32(locIndex(allocs[k])), o.VReg, uint32(i))
			}
		}
		for _, q := range c.debug[uint32(i)] {
			c.require(q.loc, q.vreg, q.origin)
		}
	}
	return nil
}

// safepoint checks that all references that must survive are listed, and requires that all listed are there.
func (c *checker) safepoint(i int, own bool) error {
	slots := c.safepoints[uint32(i)]
	for _, loc := range c.active {
	next:
		for r := c.head[loc]; r >= 0; r = c.pool[r].next {
			q := c.pool[r]
			if !c.f.isRef(q.vreg) {
				continue
			}
			for _, s := range slots {
				if s.VReg == q.vreg && s.Slot+NumPRegs == loc {
					continue next
				}
			}
			return fmt.Errorf("reference %v in %s, needed by inst %d, is not listed", q.vreg, locName(loc), q.origin)
		}
	}
	if own {
		for _, s := range slots {
			if s.Slot >= c.out.SpillUnits {
				return fmt.Errorf("reference %v listed in slot%d, which does not exist", s.VReg, s.Slot)
			}
			c.require(NumPRegs+s.Slot, s.VReg, uint32(i))
		}
	}
	return nil
}

func locName(loc uint32) string {
	if loc < NumPRegs {
		return PReg(loc).String()
	}
	return SlotAlloc(loc - NumPRegs).String()
}

// enter passes the requirements at the start of b on to its predecessors.
func (c *checker) enter(b int) error {
	f := c.f
	params := f.Blocks[b].Params
	preds := c.cfg.predEdges(b)
	for _, loc := range c.active {
		c.inActive[loc] = false
		err := c.take(loc, func(q requirement) error {
			if b == 0 {
				return fmt.Errorf("%v is needed in %s by inst %d, but nothing puts it there on some path", q.vreg, locName(loc), q.origin)
			}
			at := c.paramOf[q.vreg.Index()] - 1
			isParam := at >= params.Start && at < params.End
			for _, e := range preds {
				v := q.vreg
				if isParam {
					v = f.EdgeArgs(f.Edges[e])[at-params.Start]
				}
				p := c.cfg.source[e]
				key := uint64(p)<<32 | uint64(loc)
				set := c.seen[key]
				if set == nil {
					set = make(map[uint32]struct{})
					c.seen[key] = set
				}
				if _, ok := set[uint32(v)]; !ok {
					set[uint32(v)] = struct{}{}
					c.fresh[p] = append(c.fresh[p], pendingRequirement{loc, v, q.origin})
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	c.active = c.active[:0]
	return nil
}
