package regalloc

import (
	"fmt"
	"math/bits"
)

// instState is what is known while one instruction is allocated. Registers are bits of hardware numbers, by class.
type instState struct {
	inst   uint32
	ops    []Operand
	allocs []Allocation
	last   bool // it is a terminator

	// Registers that operands, or clobbers, have at the two moments. Values that live through are not in them.
	busyE, busyL PRegSet
	// Registers of values that live through the instruction and stay where they are.
	through PRegSet
	// Registers of values that live through the instruction but cannot stay.
	displaced PRegSet
	// Registers of values whose last use this is.
	dying PRegSet
	// Registers of values that operands of this instruction use.
	used PRegSet

	turns   uint16   // the turns that there are operands for
	end     []uint32 // by operand: end of the live range of the value it uses
	done    []bool
	movedTo []regState // values that live through and move to another register, or, with NoPReg, to memory
	loaded  []regState // values that were in memory and are in a register from here on
}

// livesOn reports whether a live range that ends at end goes on after the current instruction.
func (s *instState) livesOn(end uint32) bool {
	over := 2*s.inst + 2
	return end > over || end == over && s.last
}

// allocInst allocates instruction i.
func (g *globalAllocator) allocInst(i uint32) error {
	f := g.f
	s := &g.inst
	r := f.Insts[i].Operands
	s.inst, s.last = i, 2*i+2 == g.blockEnd
	s.ops, s.allocs = f.Operands[r.Start:r.End], g.out.Allocs[r.Start:r.End]
	if len(s.ops) == 0 && f.Insts[i].Clobbers == 0 {
		return nil
	}
	firstMove := len(g.moves)
	before := g.occupied
	g.begin()
	if err := g.allocOperands(); err != nil {
		return err
	}
	g.settle()
	if len(g.moves) > firstMove {
		g.groups = append(g.groups, moveGroup{beforeKey(i), before.Union(s.busyE).Union(g.occupied)})
	}
	g.apply()
	return nil
}

// begin sets up the sets.
func (g *globalAllocator) begin() {
	s := &g.inst
	s.busyE, s.busyL = PRegSet{}, g.f.InstClobbers(int(s.inst))
	s.through, s.displaced, s.dying, s.used = g.occupied, PRegSet{}, PRegSet{}, PRegSet{}
	s.movedTo, s.loaded = s.movedTo[:0], s.loaded[:0]
	s.end, s.done = resized(s.end, len(s.ops)), resized(s.done, len(s.ops))
	s.turns = 0
	for k := range s.ops {
		o := &s.ops[k]
		s.turns |= 1 << turnOf(o) &^ (1 << turnNone)
		if o.Kind == Use {
			if p := g.regOf[o.VReg.Index()]; p.Valid() {
				s.end[k] = g.endOf[p]
				s.used.Add(p)
				if !s.livesOn(s.end[k]) {
					s.dying.Add(p)
					s.through.Remove(p)
				}
			} else {
				s.end[k] = g.live.rangeAt(uint32(o.VReg.Index()), 2*s.inst)
			}
		}
		p := fixedReg(s.ops, k)
		if !p.Valid() {
			continue
		}
		if o.Pos == Early || o.Kind == Use {
			s.busyE.Add(p)
		}
		if o.Pos == Late || o.Kind == Def {
			s.busyL.Add(p)
		}
	}
	// Values in registers that fixed operands or clobbers need must go elsewhere, but for one that is wanted just there.
	conflicts := s.through.Minus(s.through.Minus(s.busyE.Union(s.busyL)))
	if conflicts.Empty() {
		return
	}
	for _, o := range s.ops {
		if p := PReg(o.Arg); o.Kind == Use && o.Constraint == Fixed && conflicts.Has(p) && g.vregIn[p] == o.VReg && (o.Pos == Late || !s.busyL.Has(p)) {
			conflicts.Remove(p)
		}
	}
	s.displaced = conflicts
	s.through = s.through.Minus(conflicts)
}

// The registers of class c that may be given out at both moments, at Late, or at Early. A register whose value lives through but is
// displaced can be had as soon as nothing of the instruction needs the value in it; that is, at Late always, and at Early if the
// value is not an operand.
func (s *instState) freeBoth(g *globalAllocator, c RegClass) uint64 {
	return s.freeEarly(g, c) & s.freeLate(g, c)
}

func (s *instState) freeLate(g *globalAllocator, c RegClass) uint64 {
	return g.allocatable[c] &^ (s.busyL[c] | s.through[c])
}

func (s *instState) freeEarly(g *globalAllocator, c RegClass) uint64 {
	return g.allocatable[c] &^ (s.busyE[c] | s.through[c] | (s.dying[c]|s.displaced[c])&s.used[c])
}

// notTaken returns the registers of class c that operands still to be allocated may have to leave at Early.
func (s *instState) notTaken(g *globalAllocator, c RegClass) uint64 {
	return g.allocatable[c] &^ (s.busyE[c] | s.through[c])
}

// limitBits returns the hardware registers below limit.
func limitBits(limit uint8) uint64 {
	if limit >= 64 {
		return ^uint64(0)
	}
	return 1<<limit - 1
}

// allocOperands finds a location for each operand.
func (g *globalAllocator) allocOperands() error {
	s := &g.inst
	for k := range s.ops {
		o := &s.ops[k]
		if p := fixedReg(s.ops, k); p.Valid() {
			if o.Kind == Def {
				s.allocs[k], s.done[k] = RegAlloc(p), true
			} else if o.Constraint == Fixed {
				g.useFixed(k, p)
			}
		} else if o.Constraint == Stack {
			if o.Kind == Def {
				g.defineInMemory(k)
			} else {
				g.useMemory(k)
			}
		} else if o.Kind == Def && g.f.isRemat(o.VReg) {
			s.allocs[k], s.done[k] = 0, true // it is made where it is needed
		}
	}
	for left := s.turns; left != 0; left &= left - 1 {
		turn := uint8(bits.TrailingZeros16(left))
		for k := range s.ops {
			o := &s.ops[k]
			if s.done[k] || turnOf(o) != turn {
				continue
			}
			var err error
			switch {
			case turn == turnReuse:
				err = g.defineReuse(k)
			case turn == turnUseAny:
				err = g.useAny(k)
			case turn == turnDefAny && s.freeDef(g, o) == 0:
				g.defineInMemory(k)
			case o.Kind == Def:
				err = g.define(k)
			default:
				err = g.use(k)
			}
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// The order in which an instruction's operands get their locations, after those that have no choice: what needs its register at both
// moments comes first, and of each kind the pickiest.
const (
	turnNone = iota
	turnReuse
	turnBothLimit
	turnBothReg
	turnDefLimit
	turnDefReg
	turnUseLimit
	turnUseReg
	turnUseAny
	turnDefAny
)

var turns = [...][2][2]uint8{
	Any:   {Use: {turnUseAny, turnUseAny}, Def: {turnDefAny, turnDefAny}},
	Reg:   {Use: {Early: turnUseReg, Late: turnBothReg}, Def: {Early: turnBothReg, Late: turnDefReg}},
	Stack: {},
	Fixed: {},
	Reuse: {Def: {Late: turnReuse}},
	Limit: {Use: {Early: turnUseLimit, Late: turnBothLimit}, Def: {Early: turnBothLimit, Late: turnDefLimit}},
}

func turnOf(o *Operand) uint8 { return turns[o.Constraint][o.Kind][o.Pos] }

// freeDef returns the registers that definition o may have.
func (s *instState) freeDef(g *globalAllocator, o *Operand) uint64 {
	if o.Pos == Early {
		return s.freeBoth(g, o.VReg.Class())
	}
	return s.freeLate(g, o.VReg.Class())
}

// evict makes room by sending a value that lives through the instruction to memory. late tells that the register is needed at Late
// only, so that the value may still be used in it. It returns the register, or NoPReg if nothing can leave.
func (g *globalAllocator) evict(c RegClass, among uint64, late bool) PReg {
	s := &g.inst
	all := s.through[c] & among
	if !late {
		// Operands of the instruction would have to be put elsewhere.
		if others := all &^ s.used[c]; others != 0 {
			all = others
		} else {
			all &^= s.busyE[c]
		}
	}
	all &^= s.busyL[c]
	if all == 0 {
		return NoPReg
	}
	p, _ := g.farthest(c, all, 2*s.inst+2)
	g.toMemory(p)
	return p
}

// toMemory lets the value in p, which lives through the instruction, leave its register.
func (g *globalAllocator) toMemory(p PReg) {
	s := &g.inst
	v := g.vregIn[p]
	s.through.Remove(p)
	s.displaced.Remove(p)
	if s.used.Has(p) {
		s.dying.Add(p) // its operands can still find it there at Early
	}
	s.movedTo = append(s.movedTo, regState{preg: NoPReg, vreg: v})
	g.leave(v, p)
	g.out.Stats.Evictions++
}

// leave records that v, in register p, has to be in memory before the instruction.
func (g *globalAllocator) leave(v VReg, p PReg) {
	if !g.f.isRemat(v) && !g.backed.Has(p) {
		g.transitions = append(g.transitions, transition{beforeKey(g.inst.inst), v, p, g.cfg.freq[g.block]})
		g.backed.Add(p)
	}
}

// where returns the location that v is in before the instruction.
func (g *globalAllocator) where(v VReg) Allocation {
	if p := g.regOf[v.Index()]; p.Valid() {
		return RegAlloc(p)
	}
	g.spilled[v.Index()] |= inMemory
	return memory(v)
}

// bring moves v to p before the instruction.
func (g *globalAllocator) bring(v VReg, p PReg) {
	if from := g.where(v); from != RegAlloc(p) {
		g.moves = append(g.moves, pendingMove{beforeKey(g.inst.inst), v, from, RegAlloc(p)})
	}
}

// keep lets v, which lives through the instruction and has been brought to p, stay there, if it is in no other register and p
// is not needed for something else.
func (g *globalAllocator) keep(v VReg, p PReg, end uint32) {
	s := &g.inst
	if !s.livesOn(end) || s.busyL.Has(p) || !g.allocatable.Has(p) {
		return
	}
	if r := g.regOf[v.Index()]; r.Valid() {
		if !s.displaced.Has(r) {
			return
		}
		s.displaced.Remove(r)
		s.dying.Add(r)
		s.movedTo = append(s.movedTo, regState{preg: p, vreg: v})
	} else {
		for _, x := range s.loaded {
			if x.vreg == v {
				return
			}
		}
		s.loaded = append(s.loaded, regState{preg: p, backed: true, vreg: v})
	}
	s.busyE.Add(p)
	s.busyL.Add(p)
}

// unkeep takes the register of a value that keep has let stay, for use at Late. The value is in memory, then.
func (g *globalAllocator) unkeep(c RegClass, among uint64) PReg {
	s := &g.inst
	for i, x := range s.loaded {
		if x.preg.Class() == c && among>>x.preg.HW()&1 != 0 {
			s.loaded = append(s.loaded[:i], s.loaded[i+1:]...)
			return x.preg
		}
	}
	for i, x := range s.movedTo {
		if x.preg.Valid() && x.preg.Class() == c && among>>x.preg.HW()&1 != 0 {
			s.movedTo[i].preg = NoPReg
			g.leave(x.vreg, g.regOf[x.vreg.Index()])
			return x.preg
		}
	}
	return NoPReg
}

// found returns a register where the instruction has brought v already, or NoPReg.
func (s *instState) found(v VReg) PReg {
	for _, x := range s.loaded {
		if x.vreg == v {
			return x.preg
		}
	}
	for _, x := range s.movedTo {
		if x.vreg == v && x.preg.Valid() {
			return x.preg
		}
	}
	return NoPReg
}

// useFixed puts the use in operand k into register p.
func (g *globalAllocator) useFixed(k int, p PReg) {
	s := &g.inst
	o := &s.ops[k]
	s.allocs[k], s.done[k] = RegAlloc(p), true
	g.bring(o.VReg, p)
	if g.regOf[o.VReg.Index()] != p && o.Pos == Early {
		g.keep(o.VReg, p, s.end[k])
	}
}

// useMemory puts the use in operand k into the value's memory.
func (g *globalAllocator) useMemory(k int) {
	s := &g.inst
	v := s.ops[k].VReg
	s.allocs[k], s.done[k] = memory(v), true
	flags := inMemory
	if g.f.isRemat(v) {
		flags |= bornThere
		g.moves = append(g.moves, pendingMove{beforeKey(s.inst), v, memory(v), memory(v)})
	} else if p := g.regOf[v.Index()]; p.Valid() {
		g.leave(v, p)
	}
	g.spilled[v.Index()] |= flags
}

// defineInMemory puts the definition in operand k into the value's memory.
func (g *globalAllocator) defineInMemory(k int) {
	s := &g.inst
	v := s.ops[k].VReg
	s.allocs[k], s.done[k] = memory(v), true
	g.spilled[v.Index()] |= inMemory | bornThere
}

// define finds a register for the definition in operand k.
func (g *globalAllocator) define(k int) error {
	s := &g.inst
	o := &s.ops[k]
	c := o.VReg.Class()
	limit := limitBits(limitOf(s.ops, k))
	p := NoPReg
	if o.Pos == Late {
		g.vacate(o.VReg, true)
	}
	if free := s.freeDef(g, o) & limit; free != 0 {
		if g.f.Insts[s.inst].Flags&Move != 0 {
			if r := g.regOf[s.ops[0].VReg.Index()]; r.Valid() && free>>r.HW()&1 != 0 {
				p = r // the move is for nothing, then
			}
		}
		if !p.Valid() {
			pos := latePos(s.inst) + 1
			p = g.pick(o.VReg, pos, max(g.defEnd(o.VReg), pos), free)
		}
	} else if p = g.evict(c, limit, o.Pos == Late); !p.Valid() {
		if o.Pos == Late {
			p = g.unkeep(c, limit)
		} else if free = s.notTaken(g, c) & s.freeLate(g, c) & limit; free != 0 {
			p = MakePReg(c, uint8(bits.TrailingZeros64(free)))
		}
		if !p.Valid() {
			return errNoRegister(c)
		}
	}
	if o.Pos == Early {
		s.busyE.Add(p)
	}
	s.busyL.Add(p)
	s.allocs[k], s.done[k] = RegAlloc(p), true
	return nil
}

// vacate sends the value in the register that v, defined by the current instruction, wants to memory, if that is where it has to go
// before its next use anyway: a call comes first, for which v is in that register. late tells that v needs the register at Late only.
//
//	v2 = sub v1, 1   v1 is in r0, and needed again after the call
//	call f(v2)       takes r0: v1 is stored before the sub, v2 is made in r0
func (g *globalAllocator) vacate(v VReg, late bool) {
	s := &g.inst
	p := g.want[v.Index()]
	if !p.Valid() || !s.through.Has(p) || p.Class() != v.Class() || s.busyL.Has(p) || !late && (s.used.Has(p) || s.busyE.Has(p)) {
		return
	}
	pos := latePos(s.inst) + 1
	call := g.nextCall(p.Class(), pos)
	if call >= g.blockEnd || g.nextUseIn(p, pos) <= call {
		return
	}
	if ev := g.events.next(p, pos); ev <= call && g.isOwn(v, p, ev) {
		g.toMemory(p)
	}
}

// defEnd returns the end of the first live range of v, which is defined by the current instruction.
func (g *globalAllocator) defEnd(v VReg) uint32 {
	return g.live.rangeAt(uint32(v.Index()), g.live.defPos[v.Index()])
}

func errNoRegister(c RegClass) error {
	return fmt.Errorf("more registers of class %v are needed at once than there are", c)
}

// defineReuse finds a register for the definition in operand k and the input that it reuses.
func (g *globalAllocator) defineReuse(k int) error {
	s := &g.inst
	o := &s.ops[k]
	in := int(o.Arg)
	u := s.ops[in].VReg
	c := o.VReg.Class()
	limit := limitBits(limitOf(s.ops, k))
	p := NoPReg
	r := g.regOf[u.Index()]
	switch {
	case r.Valid() && s.dying.Has(r) && !s.busyE.Has(r) && !s.busyL.Has(r) && limit>>r.HW()&1 != 0:
		p = r
	default:
		g.vacate(o.VReg, false)
		free := s.freeBoth(g, c) & limit
		pos := latePos(s.inst) + 1
		if free != 0 {
			p = g.pick(o.VReg, pos, max(g.defEnd(o.VReg), pos), free)
			break
		}
		// The input itself may be what should leave.
		if p = g.evict(c, limit, false); !p.Valid() {
			if free = s.notTaken(g, c) & s.freeLate(g, c) & limit; free == 0 {
				return errNoRegister(c)
			}
			p = MakePReg(c, uint8(bits.TrailingZeros64(free)))
		}
	}
	g.bring(u, p)
	s.busyE.Add(p)
	s.busyL.Add(p)
	s.allocs[k], s.done[k] = RegAlloc(p), true
	s.allocs[in], s.done[in] = RegAlloc(p), true
	return nil
}

// use finds a register for the use in operand k.
func (g *globalAllocator) use(k int) error {
	s := &g.inst
	o := &s.ops[k]
	v := o.VReg
	c := v.Class()
	limit := limitBits(limitOf(s.ops, k))
	late := o.Pos == Late
	ok := func(p PReg) bool { return p.Valid() && limit>>p.HW()&1 != 0 }
	give := func(p PReg) {
		s.busyE.Add(p)
		if late {
			s.busyL.Add(p)
		}
		s.allocs[k], s.done[k] = RegAlloc(p), true
	}
	if r := g.regOf[v.Index()]; ok(r) {
		switch {
		case s.through.Has(r), (s.dying.Has(r) || s.displaced.Has(r)) && g.mayRead(r, v) && !(late && s.busyL.Has(r)):
			give(r)
			return nil
		}
	}
	if p := s.found(v); ok(p) {
		s.allocs[k], s.done[k] = RegAlloc(p), true
		return nil
	}
	// The value has to be brought to a register; if it is needed again, to one where it may stay.
	stay := s.livesOn(s.end[k])
	free := s.freeEarly(g, c) & limit
	both := free & s.freeLate(g, c)
	p := NoPReg
	switch {
	case both != 0 && (stay || late):
		p = g.pick(v, 2*s.inst, s.end[k], both)
	case stay && !late && !g.regOf[v.Index()].Valid():
		// Is there a value that is needed later than this one?
		if victims := s.through[c] &^ s.used[c] & limit &^ s.busyL[c]; victims != 0 {
			q, next := g.farthest(c, victims, 2*s.inst+2)
			if free == 0 || !g.f.isRemat(v) && next > g.nextUseOf(v, 2*s.inst+2) {
				g.toMemory(q)
				p = q
				break
			}
		}
		if free != 0 {
			p = g.pick(v, 2*s.inst, s.end[k], free)
		}
	case free != 0 && !late:
		p = g.pick(v, 2*s.inst, min(s.end[k], 2*s.inst+1), free)
	}
	if !p.Valid() {
		if p = g.evict(c, limit, false); !p.Valid() {
			free = s.notTaken(g, c) & limit
			if late {
				free &= s.freeLate(g, c)
			}
			if free == 0 {
				return errNoRegister(c)
			}
			p = MakePReg(c, uint8(bits.TrailingZeros64(free)))
		}
	}
	g.bring(v, p)
	give(p)
	g.keep(v, p, s.end[k])
	return nil
}

// mayRead reports whether v can be read from r, its register before the instruction, at Early: no other operand is fixed to r.
func (g *globalAllocator) mayRead(r PReg, v VReg) bool {
	s := &g.inst
	if !s.busyE.Has(r) {
		return true
	}
	for k, a := range s.allocs {
		if o := &s.ops[k]; s.done[k] && a == RegAlloc(r) && !(o.Kind == Use && o.VReg == v) && !(o.Kind == Def && o.Pos == Late) {
			return false
		}
	}
	for k := range s.ops {
		if o := &s.ops[k]; fixedReg(s.ops, k) == r && !(o.Kind == Use && o.VReg == v) && !(o.Kind == Def && o.Pos == Late) {
			return false
		}
	}
	return true
}

// useAny finds a location for the use in operand k, which may be in memory.
func (g *globalAllocator) useAny(k int) error {
	s := &g.inst
	o := &s.ops[k]
	v := o.VReg
	late := o.Pos == Late
	if r := g.regOf[v.Index()]; r.Valid() && (s.through.Has(r) || (s.dying.Has(r) || s.displaced.Has(r)) && g.mayRead(r, v) && !(late && s.busyL.Has(r))) {
		return g.use(k)
	}
	if s.found(v).Valid() {
		return g.use(k)
	}
	inReg := g.regOf[v.Index()].Valid()
	free := s.freeEarly(g, v.Class())
	if late || s.livesOn(s.end[k]) {
		free &= s.freeLate(g, v.Class())
	}
	if free != 0 && (inReg || g.f.isRemat(v)) {
		return g.use(k)
	}
	c := v.Class()
	victims := s.through[c] &^ s.used[c] &^ s.busyL[c]
	switch {
	case g.f.isRemat(v):
		// It has no memory yet, and making it for one use is dearer than to lose another value.
		if victims != 0 || s.freeEarly(g, c) != 0 && !late {
			return g.use(k)
		}
	case late || inReg || !s.livesOn(s.end[k]):
	default:
		// Loading it pays if it is used again before a call, and before what it displaces.
		pos := 2*s.inst + 2
		next := g.nextUseOf(v, pos)
		if next > g.nextCall(c, pos-1) {
			break
		}
		if free != 0 && next < g.blockEnd {
			return g.use(k)
		}
		if victims != 0 {
			if _, other := g.farthest(c, victims, pos); other > next {
				return g.use(k)
			}
		}
	}
	g.useMemory(k)
	return nil
}

// settle finds a place for the values that live through the instruction but cannot stay where they are.
func (g *globalAllocator) settle() {
	s := &g.inst
	for p := range s.displaced.All {
		v := g.vregIn[p]
		free := s.freeBoth(g, p.Class())
		if free == 0 {
			// Perhaps another value can wait longer.
			if others := s.through[p.Class()] &^ s.used[p.Class()] &^ s.busyL[p.Class()]; others != 0 {
				if q, next := g.farthest(p.Class(), others, 2*s.inst+2); next > g.nextUseIn(p, 2*s.inst+2) {
					g.toMemory(q)
					free = 1 << q.HW()
				}
			}
		}
		if free == 0 {
			g.toMemory(p)
			continue
		}
		q := g.pick(v, 2*s.inst, g.endOf[p], free)
		g.bring(v, q)
		s.movedTo = append(s.movedTo, regState{preg: q, vreg: v})
		s.busyE.Add(q)
		s.busyL.Add(q)
		s.displaced.Remove(p)
		s.dying.Add(p)
	}
}

// apply makes the state that after the instruction.
func (g *globalAllocator) apply() {
	s := &g.inst
	// First everything leaves, then it arrives: registers are exchanged.
	for i := range s.movedTo {
		x := s.movedTo[i]
		p := g.regOf[x.vreg.Index()]
		x.backed = g.backed.Has(p)
		g.release(p)
		if x.preg.Valid() {
			s.loaded = append(s.loaded, x)
		}
	}
	for _, o := range s.ops {
		if o.Kind == Use {
			if p := g.regOf[o.VReg.Index()]; p.Valid() && s.dying.Has(p) && !s.livesOn(g.endOf[p]) {
				g.release(p)
			}
		}
	}
	for _, x := range s.loaded {
		g.assign(x.vreg, x.preg, g.live.rangeAt(uint32(x.vreg.Index()), 2*s.inst))
		if x.backed {
			g.backed.Add(x.preg)
		}
	}
	for k, o := range s.ops {
		if o.Kind != Def || !s.allocs[k].IsReg() {
			continue
		}
		v := uint32(o.VReg.Index())
		p := s.allocs[k].PReg()
		end := g.defEnd(o.VReg)
		if g.env.StackPRegs.Has(p) {
			g.fromStack(o.VReg, p, end)
			continue
		}
		if len(g.live.usesOf(v)) > 0 && s.livesOn(end) {
			g.assign(o.VReg, p, end)
		}
	}
	g.labels.record(g)
}

// fromStack continues value v, which the instruction defines in a stack location.
func (g *globalAllocator) fromStack(v VReg, p PReg, end uint32) {
	s := &g.inst
	if len(g.live.usesOf(uint32(v.Index()))) == 0 {
		return
	}
	if s.last {
		g.spilled[v.Index()] |= storeEarly
		return
	}
	key := afterKey(s.inst)
	occupied := g.occupied
	for _, a := range s.allocs {
		if a.IsReg() {
			occupied.Add(a.PReg())
		}
	}
	g.groups = append(g.groups, moveGroup{key, occupied})
	g.spilled[v.Index()] |= storeEarly
	if free := g.allocatable[v.Class()] &^ occupied[v.Class()]; free != 0 {
		q := g.pick(v, 2*s.inst+2, end, free)
		g.moves = append(g.moves, pendingMove{key, v, RegAlloc(p), RegAlloc(q)})
		g.assign(v, q, end)
	}
}
