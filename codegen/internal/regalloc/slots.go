package regalloc

import (
	"cmp"
	"slices"
)

// Spill slots. Every value that is in memory somewhere gets a slot for all of its life. A block parameter and the values passed for it
// should share one, so that nothing has to move when both are in memory; they may if they do not live at the same time. Pairs of
// values that are passed on are looked at from the most to the least frequently executed, and their sets of live ranges united
// if they do not overlap. What is left are sets of values, each with an interval from the start of its first live range to the end of its
// last, to which slots are given like registers in a linear scan, but without end.

// slotPair is a value with a parameter that it is passed for, and how often that is.
type slotPair struct{ value, param, weight uint32 }

// slotSet is a set of values that share a slot. It is kept with one of them, the leader.
type slotSet struct {
	ranges Range // into slotAssigner.ranges
	from   uint32
	to     uint32
}

// slotInterval is a set to be given a slot.
type slotInterval struct {
	from, to uint32
	leader   uint32
	units    uint8
}

// slotEnd is a slot in use.
type slotEnd struct {
	to, slot uint32
	units    uint8
}

// slotAssigner gives slots to values. Its slices are reused.
type slotAssigner struct {
	pairs     []slotPair
	leader    []uint32 // by value: its leader, or one closer to it
	sets      []slotSet
	ranges    []liveRange
	intervals []slotInterval
	heap      []slotEnd
	free      [256][]uint32
}

// maxSetRanges bounds the live ranges of a set, and so the work of uniting it with others.
const maxSetRanges = 512

func (s *slotAssigner) find(v uint32) uint32 {
	for s.leader[v] != v {
		s.leader[v] = s.leader[s.leader[v]]
		v = s.leader[v]
	}
	return v
}

// needsSlot reports whether v is in memory somewhere.
func (g *globalAllocator) needsSlot(v uint32) bool {
	s := g.spilled[v]
	return s&inMemory != 0 && (s&bornThere != 0 || int(v) >= len(g.f.Remat) || !g.f.Remat[v])
}

// assignSlots gives each value that is in memory somewhere a slot.
func (g *globalAllocator) assignSlots() {
	f, s := g.f, &g.slots
	s.leader = resized(s.leader, f.NumVRegs)
	s.sets = resized(s.sets, f.NumVRegs)
	s.ranges = s.ranges[:0]
	for v := range uint32(f.NumVRegs) {
		if !g.needsSlot(v) {
			continue
		}
		s.leader[v] = v
		rs := g.live.rangesOf(v)
		start := uint32(len(s.ranges))
		s.ranges = append(s.ranges, rs...)
		s.sets[v] = slotSet{Range{start, uint32(len(s.ranges))}, rs[0].from, rs[len(rs)-1].to}
		g.out.Stats.Spilled++
	}
	s.pairs = slices.DeleteFunc(s.pairs, func(p slotPair) bool { return !g.needsSlot(p.value) || !g.needsSlot(p.param) })
	slices.SortFunc(s.pairs, func(a, b slotPair) int {
		return cmp.Or(cmp.Compare(b.weight, a.weight), cmp.Compare(a.param, b.param), cmp.Compare(a.value, b.value))
	})
	for _, p := range s.pairs {
		s.unite(s.find(p.value), s.find(p.param))
	}

	s.intervals = s.intervals[:0]
	add := func(v VReg) {
		if i := uint32(v.Index()); g.needsSlot(i) && s.leader[i] == i {
			s.intervals = append(s.intervals, slotInterval{s.sets[i].from, s.sets[i].to, i, f.spillUnits(v, g.env)})
		}
	}
	for i, o := range f.Operands {
		if o.Kind == Def && g.live.defOp[o.VReg.Index()] == uint32(i) {
			add(o.VReg)
		}
	}
	for _, p := range f.Params {
		add(p)
	}
	slices.SortFunc(s.intervals, func(a, b slotInterval) int {
		return cmp.Or(cmp.Compare(a.from, b.from), cmp.Compare(a.leader, b.leader))
	})
	for i := range s.free {
		s.free[i] = s.free[i][:0]
	}
	s.heap = s.heap[:0]
	for _, iv := range s.intervals {
		for len(s.heap) > 0 && s.heap[0].to <= iv.from {
			e := s.pop()
			s.free[e.units] = append(s.free[e.units], e.slot)
		}
		var slot uint32
		if free := s.free[iv.units]; len(free) > 0 {
			slot = free[len(free)-1]
			s.free[iv.units] = free[:len(free)-1]
		} else {
			slot = takeSlot(&g.out.SpillUnits, iv.units)
		}
		s.push(slotEnd{iv.to, slot, iv.units})
		g.slotOf[iv.leader] = SlotAlloc(slot)
	}
	for v := range uint32(f.NumVRegs) {
		if g.needsSlot(v) {
			g.slotOf[v] = g.slotOf[s.find(v)]
		}
	}
}

// unite makes one set of those of leaders a and b, unless they live at the same time.
func (s *slotAssigner) unite(a, b uint32) {
	x, y := &s.sets[a], &s.sets[b]
	if a == b || x.ranges.Len()+y.ranges.Len() > maxSetRanges {
		return
	}
	if n := x.ranges.Len() + y.ranges.Len(); n > cap(s.ranges)-len(s.ranges) {
		s.ranges = slices.Grow(s.ranges, max(n, len(s.ranges)))
	}
	start := uint32(len(s.ranges))
	i, j := x.ranges.Start, y.ranges.Start
	for i < x.ranges.End || j < y.ranges.End {
		var next liveRange
		if j >= y.ranges.End || i < x.ranges.End && s.ranges[i].from < s.ranges[j].from {
			next = s.ranges[i]
			i++
		} else {
			next = s.ranges[j]
			j++
		}
		if last := len(s.ranges) - 1; uint32(last) >= start && last >= 0 {
			if s.ranges[last].to > next.from {
				s.ranges = s.ranges[:start]
				return
			}
			if s.ranges[last].to == next.from {
				s.ranges[last].to = next.to
				continue
			}
		}
		s.ranges = append(s.ranges, next)
	}
	s.leader[b] = a
	*x = slotSet{Range{start, uint32(len(s.ranges))}, min(x.from, y.from), max(x.to, y.to)}
}

func (s *slotAssigner) push(e slotEnd) {
	s.heap = append(s.heap, e)
	h := s.heap
	for i := len(h) - 1; i > 0; {
		p := (i - 1) / 2
		if h[p].to <= h[i].to {
			break
		}
		h[p], h[i] = h[i], h[p]
		i = p
	}
}

func (s *slotAssigner) pop() slotEnd {
	h := s.heap
	top, n := h[0], len(h)-1
	h[0] = h[n]
	h = h[:n]
	s.heap = h
	for i := 0; ; {
		c := 2*i + 1
		if c >= n {
			return top
		}
		if c+1 < n && h[c+1].to < h[c].to {
			c++
		}
		if h[i].to <= h[c].to {
			return top
		}
		h[i], h[c] = h[c], h[i]
		i = c
	}
}
