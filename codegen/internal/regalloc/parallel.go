package regalloc

// Moves that belong to one program point happen in parallel: all sources are read before any destination is written. The machine
// executes them one after the other, so they have to be put into an order, and cycles have to be broken.
//
// The graph has an edge from each move's source to its destination. A location has at most one incoming edge, so every connected
// part is a tree, or a cycle with trees hanging off it. A move may go as soon as nobody needs to read its destination any more;
// going on like this from the leaves executes all trees and leaves pure cycles. A cycle is opened by saving one location to a
// temporary from which its only reader is served at the end.
//
// Neither that temporary nor the one for a move from memory to memory has to be reserved: the caller tells which registers are
// free at the point. If there is none, a register is saved to an emergency slot around the move. That is slow and so rare
// that it needs no better answer.

// tempAlloc stands for a cycle's temporary until it is chosen.
const tempAlloc = Allocation(0x3fffffff)

// parallelMove is one of the moves of a point.
type parallelMove struct {
	from, to Allocation
	vreg     VReg
}

// moveResolver puts parallel moves in order. Its slices are reused.
type moveResolver struct {
	env *Env

	moves  []parallelMove // the input, filled by the caller
	seq    []parallelMove // moves in order, with tempAlloc in them
	ready  []uint32
	byDest []uint32 // by location: 1 + index of the pending move to it
	reads  []uint32 // by location: number of pending moves from it

	// Emergency slots: one for a cycle's temporary, one per class for a register that makes room. They are allocated at the end of
	// the spill area on first use.
	slots      *uint32 // size of the spill area
	cycleSlot  [NumClasses]Allocation
	victimSlot [NumClasses]Allocation
}

// reset prepares the resolver for a function. slots is the size of the spill area, which grows when an emergency slot is needed.
func (r *moveResolver) reset(env *Env, slots *uint32) {
	r.env, r.slots = env, slots
	r.cycleSlot, r.victimSlot = [NumClasses]Allocation{}, [NumClasses]Allocation{}
	r.moves = r.moves[:0]
}

// add puts a move into the set for the current point.
func (r *moveResolver) add(v VReg, from, to Allocation) {
	if from != to {
		r.moves = append(r.moves, parallelMove{from, to, v})
	}
}

// locIndex numbers all locations but Remat.
func locIndex(a Allocation) int {
	if a.IsReg() {
		return int(a.PReg())
	}
	return NumPRegs + int(a.Slot())
}

// isMemory reports whether a is a spill slot or one of the client's stack locations.
func (r *moveResolver) isMemory(a Allocation) bool {
	return a.IsSlot() || a.IsReg() && r.env.StackPRegs.Has(a.PReg())
}

// resolve appends the collected moves, in an order that has the effect of executing them at once, to edits. free is called at
// most once, and tells the allocatable registers that hold nothing at the point; the moves' own registers need not be left out.
func (r *moveResolver) resolve(at ProgPoint, edits []Edit, free func() PRegSet) []Edit {
	switch len(r.moves) {
	case 0:
		return edits
	case 1:
		if m := r.moves[0]; !r.isMemory(m.to) || !r.isMemory(m.from) && m.from.Kind() != AllocRemat {
			r.moves = r.moves[:0]
			return append(edits, Edit{at, m.vreg, m.from, m.to})
		}
	}
	if r.independent() {
		for i := len(r.moves) - 1; i >= 0; i-- {
			m := &r.moves[i]
			edits = append(edits, Edit{at, m.vreg, m.from, m.to})
		}
		r.moves = r.moves[:0]
		return edits
	}
	r.order()
	edits = r.emit(at, edits, free)
	r.moves, r.seq = r.moves[:0], r.seq[:0]
	return edits
}

// independent reports whether no move overwrites what another reads, and none needs a temporary: then any order will do. It may
// miss that. Most moves are so: values that come back from their slots, or go there.
func (r *moveResolver) independent() bool {
	var read, written PRegSet
	slotRead, slotWritten := false, false
	stack := !r.env.StackPRegs.Empty()
	for i := range r.moves {
		m := &r.moves[i]
		if stack && (m.to.IsReg() && r.isMemory(m.to) || m.from.IsReg() && r.isMemory(m.from)) {
			return false
		}
		if m.to.IsReg() {
			p := m.to.PReg()
			if written.Has(p) {
				return false
			}
			written.Add(p)
		} else if slotWritten = true; !m.from.IsReg() {
			return false
		}
		if m.from.IsReg() {
			read.Add(m.from.PReg())
		} else if m.from.IsSlot() {
			slotRead = true
		}
	}
	return !read.Intersects(written) && !(slotRead && slotWritten)
}

// order fills seq from moves.
func (r *moveResolver) order() {
	limit := 0
	for _, m := range r.moves {
		limit = max(limit, locIndex(m.to)+1)
		if m.from.Kind() != AllocRemat {
			limit = max(limit, locIndex(m.from)+1)
		}
	}
	for len(r.byDest) < limit {
		r.byDest = append(r.byDest, 0)
		r.reads = append(r.reads, 0)
	}
	pending := 0
	for i, m := range r.moves {
		d := locIndex(m.to)
		if j := r.byDest[d]; j != 0 {
			if o := r.moves[j-1]; o.from != m.from {
				panic("regalloc: two values moved to " + m.to.String() + " at once: " + o.vreg.String() + " and " + m.vreg.String())
			}
			r.moves[i].to = r.moves[i].from // said twice
			continue
		}
		r.byDest[d] = uint32(i) + 1
		if m.from.Kind() != AllocRemat {
			r.reads[locIndex(m.from)]++
		}
		pending++
	}
	for i, m := range r.moves {
		if m.to != m.from && r.reads[locIndex(m.to)] == 0 {
			r.ready = append(r.ready, uint32(i))
		}
	}
	next := 0
	for {
		for len(r.ready) > 0 {
			i := r.ready[len(r.ready)-1]
			r.ready = r.ready[:len(r.ready)-1]
			m := r.moves[i]
			r.seq = append(r.seq, m)
			r.byDest[locIndex(m.to)] = 0
			pending--
			if m.from.Kind() == AllocRemat || m.from == tempAlloc {
				continue
			}
			s := locIndex(m.from)
			if r.reads[s]--; r.reads[s] == 0 && r.byDest[s] != 0 {
				r.ready = append(r.ready, r.byDest[s]-1)
			}
		}
		if pending == 0 {
			break
		}
		// Only cycles are left. Save what the next pending move would overwrite, and give the saved value to its reader.
		for r.moves[next].to == r.moves[next].from || r.byDest[locIndex(r.moves[next].to)] != uint32(next)+1 {
			next++
		}
		saved := r.moves[next].to
		reader := next
		for r.moves[reader].from != saved {
			reader = int(r.byDest[locIndex(r.moves[reader].from)]) - 1
		}
		r.seq = append(r.seq, parallelMove{saved, tempAlloc, r.moves[reader].vreg})
		r.moves[reader].from = tempAlloc
		r.reads[locIndex(saved)] = 0
		r.ready = append(r.ready, uint32(next))
	}
}

// emit turns seq into edits.
func (r *moveResolver) emit(at ProgPoint, edits []Edit, free func() PRegSet) []Edit {
	var avail PRegSet
	known := false
	// findFree takes a free register that no move of this point uses.
	findFree := func(c RegClass) PReg {
		if !known {
			known = true
			avail = free().Union(r.env.Scratch)
			for _, m := range r.seq {
				if m.from.IsReg() {
					avail.Remove(m.from.PReg())
				}
				if m.to.IsReg() {
					avail.Remove(m.to.PReg())
				}
			}
		}
		for p := range r.env.Scratch.All {
			if p.Class() == c && avail.Has(p) {
				return p
			}
		}
		for _, p := range r.env.Allocatable[c] {
			if avail.Has(p) {
				return p
			}
		}
		return NoPReg
	}
	temp := Allocation(0)
	for _, m := range r.seq {
		c := m.vreg.Class()
		if m.to == tempAlloc {
			if p := findFree(c); p.Valid() {
				avail.Remove(p)
				temp = RegAlloc(p)
			} else {
				if r.cycleSlot[c] == 0 {
					r.cycleSlot[c] = r.newSlot(c)
				}
				temp = r.cycleSlot[c]
			}
			m.to = temp
		} else if m.from == tempAlloc {
			m.from = temp
			if temp.IsReg() {
				avail.Add(temp.PReg()) // free again once this move is done: it needs no other register
			}
		}
		if !r.isMemory(m.to) || !r.isMemory(m.from) && m.from.Kind() != AllocRemat {
			edits = append(edits, Edit{at, m.vreg, m.from, m.to})
			continue
		}
		if p := findFree(c); p.Valid() {
			edits = append(edits, Edit{at, m.vreg, m.from, RegAlloc(p)}, Edit{at, m.vreg, RegAlloc(p), m.to})
			continue
		}
		if r.victimSlot[c] == 0 {
			r.victimSlot[c] = r.newSlot(c)
		}
		victim := RegAlloc(r.env.Allocatable[c][0])
		edits = append(edits,
			Edit{at, NoVReg, victim, r.victimSlot[c]},
			Edit{at, m.vreg, m.from, victim},
			Edit{at, m.vreg, victim, m.to},
			Edit{at, NoVReg, r.victimSlot[c], victim})
	}
	return edits
}

// newSlot extends the spill area by a slot for a whole register of class c.
func (r *moveResolver) newSlot(c RegClass) Allocation {
	return SlotAlloc(takeSlot(r.slots, max(r.env.SpillUnits[c], 1)))
}

// takeSlot extends a spill area of *size units by an aligned slot of n units and returns its first unit.
func takeSlot(size *uint32, n uint8) uint32 {
	align := uint32(1)
	for align < uint32(n) {
		align *= 2
	}
	slot := (*size + align - 1) &^ (align - 1)
	*size = slot + uint32(n)
	return slot
}
