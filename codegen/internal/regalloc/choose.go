package regalloc

import "math/bits"

// eventIndex finds, for each register, when an instruction next needs it for something fixed: an operand or a clobber.
type eventIndex struct {
	fixed    [NumPRegs][]uint32 // by register: positions of Fixed operands, in code order
	clobbers [][]uint32         // by clobber set: positions
	sets     []PRegSet          // the clobber sets
	cursor   [NumPRegs]int
	at       []int // by clobber set: cursor
}

// compute fills x for f.
func (x *eventIndex) compute(f *Function) {
	for p := range x.fixed {
		x.fixed[p] = x.fixed[p][:0]
		x.cursor[p] = 0
	}
	for len(x.clobbers) < len(f.Clobbers) {
		x.clobbers = append(x.clobbers, nil)
	}
	for k := range x.clobbers {
		x.clobbers[k] = x.clobbers[k][:0]
	}
	x.sets = f.Clobbers
	x.at = resized(x.at, len(x.clobbers))
	for i := range f.Insts {
		if c := f.Insts[i].Clobbers; c != 0 {
			x.clobbers[c] = append(x.clobbers[c], latePos(uint32(i)))
		}
		for _, o := range f.InstOperands(i) {
			if o.Constraint == Fixed {
				x.fixed[o.Arg] = append(x.fixed[o.Arg], 2*uint32(i)+uint32(o.Pos))
			}
		}
	}
}

// advance moves a cursor, which is mostly right already, to the first of list that is not before pos.
func advance(list []uint32, at int, pos uint32) int {
	if at > 0 && list[at-1] >= pos || at+8 < len(list) && list[at+8] < pos {
		lo, hi := 0, len(list)
		for lo < hi {
			if m := int(uint(lo+hi) / 2); list[m] < pos {
				lo = m + 1
			} else {
				hi = m
			}
		}
		return lo
	}
	for at < len(list) && list[at] < pos {
		at++
	}
	return at
}

// next returns the position, not before pos, at which p is next needed, or noPos.
func (x *eventIndex) next(p PReg, pos uint32) uint32 {
	best := noPos
	if list := x.fixed[p]; len(list) > 0 {
		c := advance(list, x.cursor[p], pos)
		x.cursor[p] = c
		if c < len(list) {
			best = list[c]
		}
	}
	for k := 1; k < len(x.sets); k++ {
		list := x.clobbers[k]
		if len(list) == 0 || !x.sets[k].Has(p) {
			continue
		}
		c := advance(list, x.at[k], pos)
		x.at[k] = c
		if c < len(list) {
			best = min(best, list[c])
		}
	}
	return best
}

// nextAll returns the position, not before pos, of the next instruction that clobbers all registers in regs, or noPos.
func (x *eventIndex) nextAll(regs PRegSet, pos uint32) uint32 {
	best := noPos
	for k := 1; k < len(x.sets); k++ {
		list := x.clobbers[k]
		if len(list) == 0 || !regs.Minus(x.sets[k]).Empty() {
			continue
		}
		c := advance(list, x.at[k], pos)
		x.at[k] = c
		if c < len(list) {
			best = min(best, list[c])
		}
	}
	return best
}

// nextCall returns the position, not before pos, of the next instruction that clobbers all registers of class c, or noPos.
func (g *globalAllocator) nextCall(c RegClass, pos uint32) uint32 {
	var regs PRegSet
	regs[c] = g.allocatable[c]
	return g.events.nextAll(regs, pos)
}

// findWants finds, for each value, the register that a use of it needs, or of a value that takes its place; and the block
// parameter that it becomes. Going backward, the nearest use has the last word. If it becomes several, that on the most frequent
// edge counts: a loop's, so that the next round need not begin with moves.
func (g *globalAllocator) findWants() {
	f := g.f
	for b := len(f.Blocks) - 1; b >= 0; b-- {
		blk := &f.Blocks[b]
		for _, e := range f.BlockEdges(b) {
			params := f.BlockParams(int(e.To))
			weight := min(g.cfg.freq[b], g.cfg.freq[e.To])
			for k, v := range f.EdgeArgs(e) {
				g.paramOf[int(e.Args.Start)+k] = uint32(params[k].Index())
				if t := &g.target[v.Index()]; params[k] != v && (t.param == 0 || weight > t.weight) {
					*t = target{uint32(params[k].Index()) + 1, weight}
				}
			}
		}
		for i := int(blk.Insts.End) - 1; i >= int(blk.Insts.Start); i-- {
			ops := f.InstOperands(i)
			for _, o := range ops {
				switch {
				case o.Constraint == Fixed && o.Kind == Use && g.allocatable.Has(PReg(o.Arg)):
					g.want[o.VReg.Index()] = PReg(o.Arg)
				case o.Constraint == Reuse:
					g.inherit(ops[o.Arg].VReg, o.VReg)
				}
			}
			if f.Insts[i].Flags&Move != 0 {
				g.inherit(ops[0].VReg, ops[1].VReg)
			}
		}
	}
}

// inherit lets v want what w, which it turns into, wants.
func (g *globalAllocator) inherit(v, w VReg) {
	if p := g.want[w.Index()]; p.Valid() {
		g.want[v.Index()] = p
	}
	if t := g.target[w.Index()]; t.param != 0 && g.target[v.Index()].param == 0 {
		g.target[v.Index()] = t
	}
}

// far is added to a distance for each loop that a use is outside of.
const far = 1 << 20

// nextUseOf estimates when v is used next, at or after pos in the current block, as a position; it may be beyond the function.
// A use in a loop around pos that is not ahead is one loop iteration away. Uses outside of the loop are far, uses in cold blocks do not
// count.
func (g *globalAllocator) nextUseOf(v VReg, pos uint32) uint32 {
	f := g.f
	uses := g.live.usesOf(uint32(v.Index()))
	at := 0
	// Most values have few uses.
	if len(uses) > 8 {
		at = firstUse(uses, pos)
	} else {
		for at < len(uses) && uses[at].pos < pos {
			at++
		}
	}
	cold := f.Blocks[g.block].Cold
	next := noPos >> 2
	for tries := 0; at < len(uses) && tries < 6; at++ {
		u := uses[at].pos
		if uses[at].op&edgeUse != 0 {
			if u = g.edgeNeeds(v, uses[at]); u == noPos {
				continue
			}
		}
		if u < g.blockEnd {
			return u
		}
		tries++
		if !cold && f.Blocks[blockAt(f.Blocks, g.block, uses[at].pos)].Cold {
			continue
		}
		next = u
		break
	}
	penalty := uint32(0)
	for id := g.loop; id >= 0 && penalty < 16*far; id = g.loops.loops[id].parent {
		lp := &g.loops.loops[id]
		if next >= lp.from && next < lp.to {
			return next + penalty
		}
		if g.live.defPos[v.Index()] < lp.from || g.live.defPos[v.Index()] >= lp.to {
			for k := firstUse(uses, lp.from); k < len(uses) && uses[k].pos < pos; k++ {
				if uses[k].op&edgeUse == 0 || g.edgeNeeds(v, uses[k]) != noPos {
					return lp.to + (uses[k].pos - lp.from) + penalty
				}
			}
		}
		penalty += far
	}
	return next + penalty
}

// edgeNeeds returns the position at which v is needed in a register because of a use as an edge argument, or noPos. It depends on the
// parameter: one that starts its block in memory, and v itself, passed again and again, need no register; one that is not decided
// yet needs it when it is used itself.
func (g *globalAllocator) edgeNeeds(v VReg, u useRef) uint32 {
	e := u.op &^ edgeUse
	p := g.paramOf[e]
	if p == uint32(v.Index()) {
		return noPos
	}
	switch g.paramState[p] {
	case paramInReg:
		return u.pos
	case paramInMemory:
		return noPos
	}
	for _, use := range g.live.usesOf(p) {
		if use.op&edgeUse == 0 && use.pos >= g.live.defPos[p] {
			return u.pos + (use.pos - g.live.defPos[p])
		}
	}
	return noPos
}

// nextUseIn returns when the value in p is used next, at or after pos.
func (g *globalAllocator) nextUseIn(p PReg, pos uint32) uint32 {
	if g.nextUse[p] < pos {
		g.nextUse[p] = g.nextUseOf(g.vregIn[p], pos)
	}
	return g.nextUse[p]
}

// pick chooses a register for v, which is live from pos to end, among free, which is of its class and not empty.
func (g *globalAllocator) pick(v VReg, pos, end uint32, free uint64) PReg {
	class := v.Class()
	has := func(p PReg) bool { return p.Valid() && p.Class() == class && free>>(p&63)&1 != 0 }
	i := v.Index()
	for k := range 3 {
		var p PReg
		switch k {
		case 0:
			p = g.want[i]
		case 1:
			p = NoPReg
			if g.live.defOp[i]&edgeUse != 0 {
				p = g.targetReg[i]
			}
			if t := g.target[i].param; t != 0 && !has(p) {
				p = g.targetReg[t-1]
			}
		case 2:
			p = g.f.hint(v)
		}
		if !has(p) {
			continue
		}
		if ev := g.events.next(p, pos); ev >= end || g.isOwn(v, p, ev) {
			return p
		}
	}
	// The register needed soonest, but not during v's life, leaves others for longer lives; one that a loop's parameter had is only
	// taken if it is the only one.
	best, bestFit := NoPReg, uint64(0)
	for _, p := range g.env.Allocatable[class] {
		if !has(p) {
			continue
		}
		ev := g.events.next(p, pos)
		fit := uint64(ev) // too soon: the later, the better
		if ev >= end {
			fit = 1<<40 - uint64(ev)
			if !g.claimed.Has(p) {
				fit += 1 << 41
			}
		}
		if fit++; fit > bestFit {
			best, bestFit = p, fit
		}
	}
	return best
}

// isOwn reports whether what needs p at position ev is a use of v.
func (g *globalAllocator) isOwn(v VReg, p PReg, ev uint32) bool {
	uses := g.live.usesOf(uint32(v.Index()))
	for k := firstUse(uses, ev&^1); k < len(uses) && uses[k].pos <= ev; k++ {
		if op := uses[k].op; op&edgeUse == 0 && g.f.Operands[op].Constraint == Fixed && PReg(g.f.Operands[op].Arg) == p {
			return true
		}
	}
	return false
}

// farthest returns the register among candidates, of one class and not empty, whose value is needed last after pos.
func (g *globalAllocator) farthest(c RegClass, candidates uint64, pos uint32) (PReg, uint32) {
	best, bestUse := NoPReg, uint32(0)
	for w := candidates; w != 0; w &= w - 1 {
		p := MakePReg(c, uint8(bits.TrailingZeros64(w)))
		u := g.nextUseIn(p, pos)
		// A value that needs no store is a little cheaper to lose.
		v := g.vregIn[p]
		cheap := g.f.isRemat(v) || g.spilled[v.Index()]&(inMemory|bornThere) != 0
		if cheap {
			u += (u - pos) / 2
		}
		if u >= bestUse || !best.Valid() {
			best, bestUse = p, u
		}
	}
	return best, bestUse
}
