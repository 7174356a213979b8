package regalloc

import (
	"cmp"
	"slices"
)

// candidate is a value that may start a block in a register.
type candidate struct {
	vreg VReg
	arg  int32 // its index among the block's parameters, or -1
	// have is the weight of the predecessors that have it in a register, and vote the register that the heaviest of them has it in.
	have       uint64
	voteWeight uint32
	vote       PReg
	unbacked   bool   // a predecessor has it in a register only
	end, use   uint32 // end of its live range, and next use
	drop       bool
}

type candidates struct {
	list  []candidate
	index []uint32 // by value: 1 + index in list
}

// enterBlock decides which values are in registers at the start of b, and in which.
func (g *globalAllocator) enterBlock(b uint32) {
	f := g.f
	blk := &f.Blocks[b]
	g.block, g.blockEnd = b, 2*blk.Insts.End
	g.loop = g.loops.loopOf[b]
	g.claimed = PRegSet{}
	if g.loop >= 0 {
		g.claimed = g.loops.loops[g.loop].claimed
	}
	preds := g.cfg.predEdges(int(b))
	switch len(preds) {
	case 0:
	case 1:
		g.enterFromOne(b, preds[0])
	default:
		g.enterFromMany(b, preds)
	}
	start := uint32(len(g.states))
	for p := range g.occupied.All {
		g.states = append(g.states, regState{preg: p, vreg: g.vregIn[p]})
	}
	g.entry[b] = Range{start, uint32(len(g.states))}
	id := g.loops.header[b]
	if id >= 0 && g.loops.loops[id].parent >= 0 {
		g.loops.loops[id].claimed = g.loops.loops[g.loops.loops[id].parent].claimed
	}
	for _, v := range f.BlockParams(int(b)) {
		p := g.regOf[v.Index()]
		if !p.Valid() {
			g.paramState[v.Index()] = paramInMemory
			continue
		}
		g.paramState[v.Index()] = paramInReg
		g.targetReg[v.Index()] = p
		if id >= 0 {
			g.loops.loops[id].claimed.Add(p)
		}
	}
	if id >= 0 {
		g.claimed = g.loops.loops[id].claimed
	}
}

// enterFromOne starts block b with what its only predecessor ends with.
func (g *globalAllocator) enterFromOne(b, e uint32) {
	f := g.f
	start := 2 * f.Blocks[b].Insts.Start
	exit := g.statesOf(g.exit[g.cfg.source[e]])
	for _, s := range exit {
		if end := g.live.rangeAt(uint32(s.vreg.Index()), start); end != 0 {
			g.assign(s.vreg, s.preg, end)
			if s.backed {
				g.backed.Add(s.preg)
			}
		}
	}
	params := f.BlockParams(int(b))
	if len(params) == 0 {
		return
	}
	// A parameter takes the register of an argument that is not needed any more, or a free one.
	args := f.EdgeArgs(f.Edges[e])
	for pass := range 2 {
		for k, p := range params {
			if g.isDead(b, k) || g.regOf[p.Index()].Valid() {
				continue
			}
			end := g.live.rangeAt(uint32(p.Index()), start)
			if pass == 0 {
				for _, s := range exit {
					if s.vreg == args[k] && !g.occupied.Has(s.preg) {
						g.assign(p, s.preg, end)
						break
					}
				}
				continue
			}
			if free := g.freeIn(p.Class()); free != 0 {
				g.assign(p, g.pick(p, start, end, free), end)
			}
		}
	}
}

// isDead reports whether nothing uses parameter k of block b.
func (g *globalAllocator) isDead(b uint32, k int) bool {
	return g.live.deadParam[int(g.f.Blocks[b].Params.Start)+k]
}

// freeIn returns the allocatable registers of class c that hold nothing, as bits of hardware numbers.
func (g *globalAllocator) freeIn(c RegClass) uint64 { return g.allocatable[c] &^ g.occupied[c] }

// enterFromMany starts block b, which has several predecessors, of which some may not have been done yet.
func (g *globalAllocator) enterFromMany(b uint32, preds []uint32) {
	f := g.f
	c := &g.cand
	if len(c.index) < f.NumVRegs {
		c.index = resized(c.index, f.NumVRegs)
	}
	c.list = c.list[:0]
	start := 2 * f.Blocks[b].Insts.Start
	params := f.BlockParams(int(b))
	known := uint64(0) // weight of the predecessors that are done
	for _, e := range preds {
		src := g.cfg.source[e]
		if g.cfg.index[src] >= g.cfg.index[b] {
			continue
		}
		w := g.cfg.freq[src]
		known += uint64(w)
		exit := g.statesOf(g.exit[src])
		for _, s := range exit {
			v := uint32(s.vreg.Index())
			if g.live.defBlock[v] == b && g.live.defOp[v]&edgeUse != 0 {
				continue // the previous value of a parameter
			}
			c.vote(g, s.vreg, -1, s.preg, w, start)
			if !s.backed {
				c.list[c.index[v]-1].unbacked = true
			}
			g.regOf[v] = s.preg
		}
		for k, a := range f.EdgeArgs(f.Edges[e]) {
			if p := params[k]; !g.isDead(b, k) {
				if r := g.regOf[a.Index()]; r.Valid() {
					c.vote(g, p, int32(k), r, w, start)
				} else if f.isRemat(a) {
					c.vote(g, p, int32(k), NoPReg, w, start)
				} else {
					c.vote(g, p, int32(k), NoPReg, 0, start)
				}
			}
		}
		for _, s := range exit {
			g.regOf[s.vreg.Index()] = NoPReg
		}
	}
	id := g.loops.header[b]
	if id >= 0 {
		for _, u := range g.loops.usesIn(id) {
			v := NoVReg
			if op := g.live.defOp[u.vreg]; op&edgeUse != 0 {
				v = f.Params[op&^edgeUse]
			} else {
				v = f.Operands[op].VReg
			}
			c.vote(g, v, -1, NoPReg, 0, start)
		}
	}
	for i := range c.list {
		x := &c.list[i]
		c.index[x.vreg.Index()] = 0
		if !x.drop {
			x.use = g.nextUseOf(x.vreg, start)
			x.drop = !g.wantsRegister(x, b, id, known, start)
		}
	}
	if id >= 0 {
		g.makeRoomInLoop(b, &g.loops.loops[id])
	}
	// Those needed soonest get registers; among equals, in the order in which they were found.
	slices.SortStableFunc(c.list, func(x, y candidate) int { return cmp.Compare(x.use, y.use) })
	var left [NumClasses]int
	for k, regs := range g.env.Allocatable {
		left[k] = len(regs)
	}
	for i := range c.list {
		if x := &c.list[i]; !x.drop {
			if n := &left[x.vreg.Class()]; *n > 0 {
				*n--
			} else {
				x.drop = true
			}
		}
	}
	// A register where predecessors have the value is best, unless it is needed during the value's life for something else.
	for pass := range 3 {
		for i := range c.list {
			x := &c.list[i]
			if x.drop || g.regOf[x.vreg.Index()].Valid() {
				continue
			}
			if pass < 2 {
				if x.vote.Valid() && !g.occupied.Has(x.vote) && (pass == 1 || g.events.next(x.vote, start) >= g.horizon(x, id)) {
					g.assign(x.vreg, x.vote, x.end)
				} else if pass == 0 && x.vote.Valid() && id >= 0 {
					// In a loop, a move on the way in is better than moves inside.
					if p := g.pick(x.vreg, start, g.horizon(x, id), g.freeUnclaimed(x.vreg.Class())); p.Valid() && g.events.next(p, start) >= g.horizon(x, id) {
						g.assign(x.vreg, p, x.end)
					}
				}
				continue
			}
			g.assign(x.vreg, g.pick(x.vreg, start, x.end, g.freeIn(x.vreg.Class())), x.end)
		}
	}
	if g.othersComeBack(b, preds) {
		for i := range c.list {
			if x := &c.list[i]; !x.drop && !x.unbacked && x.arg < 0 {
				g.backed.Add(g.regOf[x.vreg.Index()])
			}
		}
	}
}

// othersComeBack reports whether the predecessors of block b that are not done yet are in a loop of which it is the header. What has
// been stored on all ways into the loop is stored on all ways back, too.
func (g *globalAllocator) othersComeBack(b uint32, preds []uint32) bool {
	id := g.loops.header[b]
	for _, e := range preds {
		if p := g.cfg.source[e]; g.cfg.index[p] >= g.cfg.index[b] && (id < 0 || !g.loops.contains(id, p)) {
			return false
		}
	}
	return true
}

// horizon is the position up to which candidate x, at the header of loop id or of none, should have a register to itself.
func (g *globalAllocator) horizon(x *candidate, id int32) uint32 {
	if id >= 0 {
		return min(x.end, g.loops.loops[id].to)
	}
	return x.end
}

// freeUnclaimed returns the free registers of class c that no candidate votes for.
func (g *globalAllocator) freeUnclaimed(c RegClass) uint64 {
	free := g.freeIn(c)
	for i := range g.cand.list {
		if x := &g.cand.list[i]; !x.drop && x.vote.Valid() && x.vote.Class() == c {
			free &^= 1 << x.vote.HW()
		}
	}
	return free
}

// vote adds that a predecessor of weight w has v in p to the candidates, or with w 0 that v is one.
func (c *candidates) vote(g *globalAllocator, v VReg, arg int32, p PReg, w, start uint32) {
	at := c.index[v.Index()]
	if at == 0 {
		c.list = append(c.list, candidate{vreg: v, arg: arg, vote: NoPReg})
		at = uint32(len(c.list))
		c.index[v.Index()] = at
		x := &c.list[at-1]
		x.end = g.live.rangeAt(uint32(v.Index()), start)
		x.drop = x.end == 0
	}
	x := &c.list[at-1]
	x.have += uint64(w)
	if p.Valid() && w > x.voteWeight {
		x.vote, x.voteWeight = p, w
	}
}

// wantsRegister decides whether candidate x of block b, the header of loop id if that is not -1, should be in a register.
func (g *globalAllocator) wantsRegister(x *candidate, b uint32, id int32, known uint64, start uint32) bool {
	f := g.f
	here := uint64(g.cfg.freq[b])
	class := x.vreg.Class()
	if id >= 0 {
		lp := &g.loops.loops[id]
		if lp.calls[class] {
			// Every iteration empties the registers, and what the loop starts with in one has to be loaded at its end. That pays
			// for parameters that are used before, as their new values may come in registers; for others it is no better than
			// loading them where they are used.
			return x.arg >= 0 && x.use <= lp.firstCall[class]
		}
		if lp.firstCall[class] != noPos && x.arg < 0 && x.use >= lp.to {
			return false // it would be loaded again after each call, and not be used
		}
		if x.have > 0 {
			return true // as far as there is room
		}
		return x.arg >= 0 || x.use < lp.to
	}
	if x.have == known {
		return true
	}
	missing := known - min(x.have, known)
	if x.arg >= 0 {
		// In memory, it would have to be stored by those that have it in a register.
		return x.have > 0 || x.use < g.blockEnd && missing <= here
	}
	if f.isRemat(x.vreg) {
		return false
	}
	if x.have == 0 || missing > here || x.use >= start+far {
		return false
	}
	return x.use < g.blockEnd || 2*missing < known && x.use < g.nextCall(class, start)
}

// near is the distance, in positions, of uses for which a value should be in a register already at the header of a loop that has
// not enough of them. It has been found by trying.
const near = 100

// makeRoomInLoop drops candidates for block b, the header of a loop whose pressure does not fit the registers. If it would not fit
// even without the values that only live through the loop, those that are not needed soon: they would probably be evicted before,
// only to be loaded again for the next iteration. And of the others, those that are not used in the loop, from the last needed, until
// the rest fits.
func (g *globalAllocator) makeRoomInLoop(b uint32, lp *loop) {
	c := &g.cand
	for class := range RegClass(NumClasses) {
		over := int(lp.pressure[class]) - len(g.env.Allocatable[class])
		if over <= 0 {
			continue
		}
		idle := int(g.through[b][class]) // values that nothing in the loop uses
		for i := range c.list {
			if x := &c.list[i]; x.vreg.Class() == class && x.end != 0 && (x.arg >= 0 || x.use < lp.to) && !g.f.isRemat(x.vreg) {
				idle--
			}
		}
		if over > max(idle, 0) {
			for i := range c.list {
				if x := &c.list[i]; x.vreg.Class() == class && x.use > lp.from+near {
					x.drop = true
				}
			}
		}
		for over > 0 {
			worst := -1
			for i := range c.list {
				if x := &c.list[i]; !x.drop && x.vreg.Class() == class && x.use >= lp.to {
					if worst < 0 || x.use > c.list[worst].use {
						worst = i
					}
				}
			}
			if worst < 0 {
				break
			}
			c.list[worst].drop = true
			over--
		}
	}
}
