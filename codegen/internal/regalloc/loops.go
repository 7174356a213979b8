package regalloc

// loopForest holds the natural loops of a function, inner before outer. Its slices are reused.
type loopForest struct {
	loops  []loop
	loopOf []int32 // by block: innermost loop, or -1
	header []int32 // by block: the loop it is the header of, or -1

	uses     []loopUse // values defined outside and used inside, grouped by loop
	usesFrom []uint32  // by loop, into uses; one more than there are loops

	blockCalls []uint8 // by block: a bit for each class of which an instruction clobbers all registers

	members []uint32
	top     []int32 // by loop: a loop around it, towards the outermost so far
	seen    []uint32
	last    []uint32
	pending []pendingLoopUse
}

// loop is a natural loop.
type loop struct {
	header uint32
	parent int32
	depth  uint32
	// from and to bound the positions of the loop's blocks, without cold ones if the header is not cold.
	from, to uint32
	// firstCall is the position of the first instruction that clobbers all registers of a class, among the blocks that from and
	// to count; noPos if there is none.
	firstCall [NumClasses]uint32
	// calls tells, per class, that every iteration executes such an instruction.
	calls [NumClasses]bool
	// pressure is the largest number of values live at once, per class, among the same blocks.
	pressure [NumClasses]int32
	// claimed are the registers of the parameters of its header and of those of the loops around it, once it has been entered.
	claimed PRegSet
}

type loopUse struct {
	vreg  uint32
	first uint32 // position of the first use in code order
}

type pendingLoopUse struct {
	loop int32
	use  loopUse
}

// compute finds the loops of f.
//
// An edge to a block that is not later in c.order is a back edge if its target dominates its source, that is if the walk back from the
// source stays behind the target. Edges from cold blocks back into the hot part look the same but do not pass this test.
func (lf *loopForest) compute(f *Function, c *cfg) {
	nb := len(f.Blocks)
	lf.loops = lf.loops[:0]
	lf.loopOf = resized(lf.loopOf, nb)
	lf.header = resized(lf.header, nb)
	lf.seen = resized(lf.seen, nb)
	lf.top = lf.top[:0]
	for b := range nb {
		lf.loopOf[b], lf.header[b] = -1, -1
	}
	budget := 16*nb + 64 // for walks that find no loop: irreducible graphs must not cost more
	for k := len(c.order) - 1; k >= 0; k-- {
		h := c.order[k]
		lf.members = lf.members[:0]
		escaped := false
		for _, e := range c.predEdges(int(h)) {
			if p := c.source[e]; c.index[p] >= uint32(k) {
				lf.add(p)
			}
		}
		if len(lf.members) == 0 || budget < 0 {
			continue
		}
		for i := 0; i < len(lf.members) && !escaped; i++ {
			m := lf.members[i]
			if m == h {
				continue
			}
			for _, e := range c.predEdges(int(m)) {
				p := c.source[e]
				if c.index[p] < uint32(k) {
					escaped = true
					break
				}
				lf.add(p)
			}
		}
		if escaped {
			budget -= len(lf.members)
			for _, m := range lf.members {
				lf.seen[m] = 0
			}
			continue
		}
		id := int32(len(lf.loops))
		lf.loops = append(lf.loops, loop{header: h, parent: -1})
		lf.top = append(lf.top, id)
		lf.header[h] = id
		lf.members = append(lf.members, h)
		for _, m := range lf.members {
			lf.seen[m] = 0
			if o := lf.outermost(m); o < 0 {
				lf.loopOf[m] = id
			} else if o != id {
				lf.loops[o].parent = id
				lf.top[o] = id
			}
		}
	}
	for i := len(lf.loops) - 1; i >= 0; i-- {
		if p := lf.loops[i].parent; p >= 0 {
			lf.loops[i].depth = lf.loops[p].depth + 1
		}
	}
}

// outermost returns the outermost loop around b so far, or -1.
func (lf *loopForest) outermost(b uint32) int32 {
	o := lf.loopOf[b]
	if o < 0 {
		return o
	}
	for lf.top[o] != o {
		lf.top[o] = lf.top[lf.top[o]]
		o = lf.top[o]
	}
	return o
}

// add puts b, or the header of the outermost loop around it, into the members of the loop being collected.
func (lf *loopForest) add(b uint32) {
	if o := lf.outermost(b); o >= 0 {
		b = lf.loops[o].header
	}
	if lf.seen[b] == 0 {
		lf.seen[b] = 1
		lf.members = append(lf.members, b)
	}
}

// contains reports whether b is in loop l.
func (lf *loopForest) contains(l int32, b uint32) bool {
	x := lf.loopOf[b]
	for x >= 0 && lf.loops[x].depth > lf.loops[l].depth {
		x = lf.loops[x].parent
	}
	return x == l
}

// measure fills in what is summed up over each loop's blocks.
func (lf *loopForest) measure(f *Function, l *liveness, pressure [][NumClasses]int32, clobbersAll func(c RegClass, set uint16) bool) {
	if len(lf.loops) == 0 {
		return
	}
	lf.blockCalls = resized(lf.blockCalls, len(f.Blocks))
	for i := range lf.loops {
		lp := &lf.loops[i]
		lp.from = noPos
		for c := range lp.firstCall {
			lp.firstCall[c] = noPos
		}
	}
	for b := range f.Blocks {
		id := lf.loopOf[b]
		if id < 0 || f.Blocks[b].Cold && !f.Blocks[lf.loops[id].header].Cold {
			continue
		}
		blk := &f.Blocks[b]
		lp := &lf.loops[id]
		lp.from = min(lp.from, 2*blk.Insts.Start)
		lp.to = max(lp.to, 2*blk.Insts.End)
		for c := range RegClass(NumClasses) {
			lp.pressure[c] = max(lp.pressure[c], pressure[b][c])
		}
		for i := blk.Insts.Start; i < blk.Insts.End; i++ {
			if set := f.Insts[i].Clobbers; set != 0 {
				for c := range RegClass(NumClasses) {
					if clobbersAll(c, set) {
						lp.firstCall[c] = min(lp.firstCall[c], 2*i)
						lf.blockCalls[b] |= 1 << c
					}
				}
			}
		}
	}
	for i := range lf.loops {
		lp := &lf.loops[i]
		if lp.parent < 0 || f.Blocks[lp.header].Cold {
			continue
		}
		out := &lf.loops[lp.parent]
		out.from, out.to = min(out.from, lp.from), max(out.to, lp.to)
		for c := range lp.pressure {
			out.pressure[c] = max(out.pressure[c], lp.pressure[c])
			out.firstCall[c] = min(out.firstCall[c], lp.firstCall[c])
		}
	}
	lf.findCalls(f)
	lf.collectUses(f, l)
}

// findCalls finds the loops in which every way from the header back to it executes an instruction that clobbers all registers of a
// class.
func (lf *loopForest) findCalls(f *Function) {
	budget := 16 * len(f.Blocks) // deep nests are not worth more
	for i := range lf.loops {
		lp := &lf.loops[i]
		for class := range lp.calls {
			if lp.firstCall[class] == noPos {
				continue
			}
			// Is there a way without?
			lf.members = append(lf.members[:0], lp.header)
			lf.seen[lp.header] = 1
			lp.calls[class] = true
			for k := 0; k < len(lf.members) && lp.calls[class]; k++ {
				m := lf.members[k]
				budget--
				if budget < 0 {
					lp.calls[class] = false
					break
				}
				if lf.blockCalls[m]>>class&1 != 0 {
					continue
				}
				for _, e := range f.BlockEdges(int(m)) {
					if e.To == lp.header {
						lp.calls[class] = false
					} else if lf.seen[e.To] == 0 && lf.contains(int32(i), e.To) {
						lf.seen[e.To] = 1
						lf.members = append(lf.members, e.To)
					}
				}
			}
			for _, m := range lf.members {
				lf.seen[m] = 0
			}
		}
	}
}

// collectUses lists, for each loop, the values that come in from outside and are used in its hot blocks.
func (lf *loopForest) collectUses(f *Function, l *liveness) {
	n := len(lf.loops)
	lf.last = resized(lf.last, n)
	lf.usesFrom = resized(lf.usesFrom, n+1)
	lf.pending = lf.pending[:0]
	for _, v := range l.globals {
		b := uint32(0)
		for _, u := range l.usesOf(v) {
			if u.pos >= 2*f.Blocks[b].Insts.End {
				b = blockAt(f.Blocks, b, u.pos)
			}
			if f.Blocks[b].Cold {
				continue
			}
			levels := 0
			for id := lf.loopOf[b]; id >= 0 && lf.last[id] != v+1 && !lf.contains(id, l.defBlock[v]) && levels < 32; id = lf.loops[id].parent {
				levels++
				lf.last[id] = v + 1
				lf.pending = append(lf.pending, pendingLoopUse{id, loopUse{v, u.pos}})
				lf.usesFrom[id]++
			}
		}
	}
	sum := uint32(0)
	for i := range lf.usesFrom {
		sum += lf.usesFrom[i]
		lf.usesFrom[i] = sum
	}
	lf.uses = resized(lf.uses, len(lf.pending))
	for i := len(lf.pending) - 1; i >= 0; i-- {
		p := lf.pending[i]
		lf.usesFrom[p.loop]--
		lf.uses[lf.usesFrom[p.loop]] = p.use
	}
}

// usesIn returns the values that come into loop id from outside and are used in it.
func (lf *loopForest) usesIn(id int32) []loopUse { return lf.uses[lf.usesFrom[id]:lf.usesFrom[id+1]] }

// firstUse returns the index of the first of uses that is not before pos.
func firstUse(uses []useRef, pos uint32) int {
	lo, hi := 0, len(uses)
	for lo < hi {
		if m := int(uint(lo+hi) / 2); uses[m].pos < pos {
			lo = m + 1
		} else {
			hi = m
		}
	}
	return lo
}
