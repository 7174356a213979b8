package regalloc

import (
	"cmp"
	"fmt"
	"slices"
)

// The global allocator decides, at each instruction, which values are in registers and which in memory, knowing when each will be
// needed next. It is Belady's rule, that the value whose next use is farthest should leave, carried from straight-line code to
// control-flow graphs as described by Braun and Hack, "Register Spilling and Live-Range Splitting for SSA-Form Programs" (2009),
// together with a choice of registers that looks ahead.
//
// Blocks are taken in the order of cfg.order: a block after at least one predecessor, hot code before cold code. The state at a
// point says which register holds which value. A value that is live and in no register is in memory, in its spill slot. The state at
// the start of a block is chosen once, from those at the ends of predecessors already done, and is binding: later, each edge gets
// the moves that turn the state at the end of its source into the state at the start of its target. So whatever is done first,
// which is the hot path, goes without moves, and cold code conforms.
//
//	     v1 = …            in r0
//	header:                in r0: used in the loop, and there is room
//	     … v1 …            r0
//	     brif → slow, next
//	next: …                v1 still in r0
//	     jump header
//	slow: call f           clobbers all: v1 is stored before it
//	     jump next         v1 is loaded on this edge; the hot path never stores or loads it
//
// In memory. A value's slot is its own as long as the value lives (only those that it is passed for, and that are passed for it, may
// share it). As the value never changes, one store on any way is enough for any number of evictions; the question is where. Either
// directly after the definition; or wherever the value first leaves its register for memory. The cheaper of the two, in estimated
// executions, is taken when all is known; stores.go has the details. In the example the cold block wins.
//
// At an instruction, the registers needed at Early and at Late are two sets, as in the fast allocator. Values that live through the
// instruction need theirs at both. Where an operand needs a register and none is free, a value that lives through is evicted; where
// fixed registers or clobbers are in the way, it moves to another register if one is free. All this happens before the instruction,
// as one parallel move. After it, there are only stores.
//
// Choice of registers. A value gets the register where it will be needed: of its next use if that is fixed, or tied to a
// definition that wants it; of the block parameter that it becomes. Otherwise it gets a register that no fixed operand or clobber needs
// during its life, if there is one, and of those the one needed soonest afterwards, to keep others for longer lives.
//
// Rematerializable values are never in memory and never stored. They come into registers where they are used first.
//
// The cost per instruction is linear in operands, and in the registers of a class where there is no free one. Next uses are found
// by binary search. Working memory is linear in instructions and in blocks times registers.

// globalAllocator is the state of the global allocator. Its slices are reused.
type globalAllocator struct {
	f   *Function
	env *Env
	out *Output

	cfg      cfg
	live     liveness
	loops    loopForest
	events   eventIndex
	resolver moveResolver

	safepoints safepointList

	allocatable PRegSet

	pressure []([NumClasses]int32) // by block
	through  []([NumClasses]int32) // by block: how many values are live at its first instruction, without its results
	delta    [][NumClasses]int32

	// The state at the current point.
	occupied PRegSet
	backed   PRegSet // of those, the registers whose values are in their memory, too, because they were loaded from it
	vregIn   [NumPRegs]VReg
	regOf    []PReg           // by value
	nextUse  [NumPRegs]uint32 // of the value in the register; recomputed when passed
	endOf    [NumPRegs]uint32 // end of the live range of the value in the register
	block    uint32           // current block
	blockEnd uint32           // position of its end
	loop     int32            // its innermost loop
	claimed  PRegSet          // registers of parameters of the loops around it

	// What blocks begin and end with.
	states []regState
	entry  []Range // by block, into states
	exit   []Range

	// Preferences, by value.
	want      []PReg // a register that a later use needs
	target    []target
	targetReg []PReg // by parameter: the register it has or a value passed for it has

	paramOf    []uint32 // by edge argument (index in Function.Args): the value it is passed for
	paramState []uint8  // by parameter: where it starts its block

	entered []uint32 // by value: 1 + the last connected block that has it in a register at its start

	moves       []pendingMove
	groups      []moveGroup
	transitions []transition
	spilled     []uint8 // by value: spill flags
	slotOf      []Allocation
	labels      labelLog

	inst instState
	cand candidates

	slots slotAssigner
}

// target is the block parameter that a value becomes, and how often the edge is taken on which it does.
type target struct {
	param  uint32 // 1 + VReg index, or 0
	weight uint32
}

// regState says that a register holds a value; and, at the end of a block, whether the value's memory holds it, too.
type regState struct {
	preg   PReg
	backed bool
	vreg   VReg
}

// pendingMove is a move of the group with the given key. Slots in it are named by values: SlotAlloc(v) is the memory of value v.
type pendingMove struct {
	key      uint32
	vreg     VReg
	from, to Allocation
}

// moveGroup tells the registers that hold something at a group's point.
type moveGroup struct {
	key      uint32
	occupied PRegSet
}

// transition is a place where a value leaves a register for memory.
type transition struct {
	key    uint32
	vreg   VReg
	from   PReg
	weight uint32
}

// A group's key is its ProgPoint, and two bits for the order of groups at one point: moves of the edge into a block, before those of
// the instruction, before those of the edge out of a block.
func edgeStartKey(inst uint32) uint32 { return uint32(Before(int(inst))) << 2 }
func beforeKey(inst uint32) uint32    { return uint32(Before(int(inst)))<<2 | 1 }
func edgeEndKey(inst uint32) uint32   { return uint32(Before(int(inst)))<<2 | 2 }
func afterKey(inst uint32) uint32     { return uint32(After(int(inst)))<<2 | 1 }

// The spill flags.
const (
	inMemory   uint8 = 1 << iota // something reads the value's memory
	bornThere                    // the value's definition, or for a rematerializable value each use, writes its memory
	storeEarly                   // its memory must be right even while it is in a register
	stored                       // its memory is right all its life, also at the end of it on edges
)

// Where a parameter starts its block, if that is decided.
const (
	paramInReg uint8 = iota + 1
	paramInMemory
)

// memory is the memory of value v in a pendingMove.
func memory(v VReg) Allocation { return SlotAlloc(uint32(v.Index())) }

// run allocates f.
func (g *globalAllocator) run(f *Function, env *Env, out *Output) error {
	g.f, g.env, g.out = f, env, out
	g.prepare()
	for _, b := range g.cfg.order {
		g.enterBlock(b)
		blk := &f.Blocks[b]
		for i := blk.Insts.Start; i < blk.Insts.End; i++ {
			if err := g.allocInst(i); err != nil {
				return fmt.Errorf("regalloc: block %d, inst %d: %w", b, i, err)
			}
		}
		g.leaveBlock()
	}
	g.connectBlocks()
	g.assignSlots()
	g.placeStores()
	g.writeEdits()
	g.safepoints.list(f, &g.live, out, func(v uint32) Allocation { return g.slotOf[v] })
	g.listDebugLocs()
	return nil
}

// prepare computes all that is known beforehand.
func (g *globalAllocator) prepare() {
	f, n := g.f, g.f.NumVRegs
	g.resolver.reset(g.env, &g.out.SpillUnits)
	g.cfg.compute(f, coldLast)
	g.cfg.estimate(f)
	g.live.compute(f, &g.cfg)
	g.allocatable = PRegSet{}
	for _, regs := range g.env.Allocatable {
		for _, p := range regs {
			g.allocatable.Add(p)
		}
	}
	g.occupied, g.backed = PRegSet{}, PRegSet{}
	g.regOf = resized(g.regOf, n)
	g.want = resized(g.want, n)
	g.target = resized(g.target, n)
	g.targetReg = resized(g.targetReg, n)
	g.spilled = resized(g.spilled, n)
	g.slotOf = resized(g.slotOf, n)
	g.entered = resized(g.entered, n)
	g.paramOf = resized(g.paramOf, len(f.Args))
	g.paramState = resized(g.paramState, n)
	for v := range n {
		g.regOf[v], g.want[v], g.targetReg[v] = NoPReg, NoPReg, NoPReg
	}
	g.entry = resized(g.entry, len(f.Blocks))
	g.exit = resized(g.exit, len(f.Blocks))
	g.states, g.moves, g.groups, g.transitions = g.states[:0], g.moves[:0], g.groups[:0], g.transitions[:0]
	g.slots.pairs = g.slots.pairs[:0]
	g.events.compute(f)
	g.findWants()
	g.measurePressure()
	g.loops.compute(f, &g.cfg)
	g.loops.measure(f, &g.live, g.pressure, func(c RegClass, set uint16) bool {
		return PRegSet(f.Clobbers[set])[c]&g.allocatable[c] == g.allocatable[c] && g.allocatable[c] != 0
	})
	g.labels.reset(f)
}

// measurePressure counts, for each block, the values that live at once, at the Late of its instructions.
func (g *globalAllocator) measurePressure() {
	f := g.f
	g.delta = resized(g.delta, len(f.Insts)+1)
	g.pressure = resized(g.pressure, len(f.Blocks))
	g.through = resized(g.through, len(f.Blocks))
	for i, o := range f.Operands {
		if o.Kind == Def && g.live.defOp[o.VReg.Index()] == uint32(i) {
			g.addPressure(o.VReg)
		}
	}
	for _, p := range f.Params {
		g.addPressure(p)
	}
	var now [NumClasses]int32
	for b := range f.Blocks {
		for i := f.Blocks[b].Insts.Start; i < f.Blocks[b].Insts.End; i++ {
			for c := range now {
				now[c] += g.delta[i][c]
				g.pressure[b][c] = max(g.pressure[b][c], now[c])
			}
			if i == f.Blocks[b].Insts.Start {
				g.through[b] = now
				for _, o := range f.InstOperands(int(i)) {
					if o.Kind == Def && !f.isRemat(o.VReg) {
						g.through[b][o.VReg.Class()]--
					}
				}
			}
		}
	}
}

func (g *globalAllocator) addPressure(v VReg) {
	if g.f.isRemat(v) {
		return
	}
	for _, r := range g.live.rangesOf(uint32(v.Index())) {
		g.delta[r.from/2][v.Class()]++
		g.delta[r.to/2][v.Class()]--
	}
}

// assign puts value v, which is live up to end, into p.
func (g *globalAllocator) assign(v VReg, p PReg, end uint32) {
	g.regOf[v.Index()] = p
	g.vregIn[p] = v
	g.occupied.Add(p)
	g.endOf[p] = end
	g.nextUse[p] = 0
	g.backed.Remove(p)
	if t := g.target[v.Index()].param; t != 0 && !g.targetReg[t-1].Valid() {
		g.targetReg[t-1] = p
	}
}

// release takes the value out of p.
func (g *globalAllocator) release(p PReg) {
	g.occupied.Remove(p)
	g.regOf[g.vregIn[p].Index()] = NoPReg
}

// leaveBlock records the state at the end of the current block and clears it.
func (g *globalAllocator) leaveBlock() {
	start := uint32(len(g.states))
	for p := range g.occupied.All {
		if g.endOf[p] >= g.blockEnd {
			g.states = append(g.states, regState{p, g.backed.Has(p), g.vregIn[p]})
		}
		g.regOf[g.vregIn[p].Index()] = NoPReg
	}
	g.occupied = PRegSet{}
	g.exit[g.block] = Range{start, uint32(len(g.states))}
}

func (g *globalAllocator) statesOf(r Range) []regState { return g.states[r.Start:r.End] }

// edgePlace returns the key of the group for the moves on edges into block b from block p.
func (g *globalAllocator) edgePlace(p, b uint32) uint32 {
	if len(g.cfg.predEdges(int(b))) == 1 {
		return edgeStartKey(g.f.Blocks[b].Insts.Start)
	}
	return edgeEndKey(g.f.Blocks[p].Insts.End - 1)
}

// connectBlocks makes the moves that belong to edges.
func (g *globalAllocator) connectBlocks() {
	f := g.f
	for b := range f.Blocks {
		preds := g.cfg.predEdges(b)
		start := 2 * f.Blocks[b].Insts.Start
		params := f.BlockParams(b)
		for _, s := range g.statesOf(g.entry[b]) {
			g.entered[s.vreg.Index()] = uint32(b) + 1
		}
		for _, e := range preds {
			p := g.cfg.source[e]
			args := f.EdgeArgs(f.Edges[e])
			if len(preds) == 1 && len(params) == 0 {
				continue // begins with what its predecessor ends with
			}
			key := g.edgePlace(p, uint32(b))
			for k, v := range params {
				if a := args[k]; a != v && !f.isRemat(a) {
					g.slots.pairs = append(g.slots.pairs, slotPair{uint32(a.Index()), uint32(v.Index()), g.cfg.freq[p]})
				}
			}
			first := len(g.moves)
			var occupied PRegSet
			for _, s := range g.statesOf(g.exit[p]) {
				g.regOf[s.vreg.Index()] = s.preg
				occupied.Add(s.preg)
			}
			for k, v := range params {
				g.target[v.Index()].param = uint32(k) // reused: which argument is for it
			}
			for _, s := range g.statesOf(g.entry[b]) {
				v := s.vreg
				occupied.Add(s.preg)
				if d := g.live.defOp[v.Index()]; d&edgeUse != 0 && g.live.defBlock[v.Index()] == uint32(b) {
					v = args[g.target[v.Index()].param]
				}
				g.addEdgeMove(key, v, s.vreg, RegAlloc(s.preg))
			}
			for k, v := range params {
				if g.isDead(uint32(b), k) || g.startsIn(b, v) {
					continue
				}
				g.spilled[v.Index()] |= bornThere
				g.addEdgeMove(key, args[k], v, memory(v))
			}
			for _, s := range g.statesOf(g.exit[p]) {
				if v := uint32(s.vreg.Index()); g.live.defBlock[v] != uint32(b) || g.live.defOp[v]&edgeUse == 0 {
					if !s.backed && g.live.rangeAt(v, start) != 0 && !g.startsIn(b, s.vreg) {
						g.transitions = append(g.transitions, transition{key, s.vreg, s.preg, g.cfg.freq[p]})
					}
				}
				g.regOf[s.vreg.Index()] = NoPReg
			}
			if len(g.moves) > first {
				g.groups = append(g.groups, moveGroup{key, occupied})
			}
		}
	}
}

// startsIn reports whether v is in a register at the start of block b, which is being connected.
func (g *globalAllocator) startsIn(b int, v VReg) bool { return g.entered[v.Index()] == uint32(b)+1 }

// addEdgeMove moves value v, at the end of an edge's source, to where the edge's target has it as value as.
func (g *globalAllocator) addEdgeMove(key uint32, v, as VReg, to Allocation) {
	from := memory(v)
	if r := g.regOf[v.Index()]; r.Valid() {
		from = RegAlloc(r)
	} else if p := g.definedOnStack(v, key); p.Valid() {
		from = RegAlloc(p)
	} else {
		g.spilled[v.Index()] |= inMemory
	}
	if from == to {
		return
	}
	g.moves = append(g.moves, pendingMove{key, v, from, to})
}

// definedOnStack returns the stack location, if any, in which the terminator before a group at the start of a block defines v. Its store
// to v's memory is in the same group.
func (g *globalAllocator) definedOnStack(v VReg, key uint32) PReg {
	op := g.live.defOp[v.Index()]
	if op&edgeUse != 0 || key&3 != 0 {
		return NoPReg
	}
	p := g.out.Allocs[op].PReg()
	if !p.Valid() || !g.env.StackPRegs.Has(p) || g.live.defPos[v.Index()]/2 != g.f.Blocks[g.live.defBlock[v.Index()]].Insts.End-1 {
		return NoPReg
	}
	to := blockAt(g.f.Blocks, 0, 2*(key>>3))
	if preds := g.cfg.predEdges(int(to)); len(preds) != 1 || g.cfg.source[preds[0]] != g.live.defBlock[v.Index()] {
		return NoPReg
	}
	return p
}

// place turns the memory of a value into a location.
func (g *globalAllocator) place(a Allocation, source bool) Allocation {
	if !a.IsSlot() {
		return a
	}
	v := a.Slot()
	if source && int(v) < len(g.f.Remat) && g.f.Remat[v] {
		return RematAlloc()
	}
	return g.slotOf[v]
}

// writeEdits puts all moves in order and allocations that name memory in their final form.
func (g *globalAllocator) writeEdits() {
	out := g.out
	for i, a := range out.Allocs {
		if a.IsSlot() {
			out.Allocs[i] = g.slotOf[a.Slot()]
		}
	}
	byKey := func(a, b pendingMove) int { return cmp.Compare(a.key, b.key) }
	if !slices.IsSortedFunc(g.moves, byKey) {
		slices.SortFunc(g.moves, byKey)
	}
	groupsByKey := func(a, b moveGroup) int { return cmp.Compare(a.key, b.key) }
	if !slices.IsSortedFunc(g.groups, groupsByKey) {
		slices.SortFunc(g.groups, groupsByKey)
	}
	group := 0
	for i := 0; i < len(g.moves); {
		key := g.moves[i].key
		for ; i < len(g.moves) && g.moves[i].key == key; i++ {
			m := &g.moves[i]
			to := g.place(m.to, false)
			if to == 0 || m.to.IsSlot() && m.to != memory(m.vreg) && g.slotOf[m.vreg.Index()] == to && g.spilled[m.vreg.Index()]&stored != 0 {
				continue // memory that nothing reads, or a parameter's, where the argument is already
			}
			g.resolver.add(m.vreg, g.place(m.from, true), to)
		}
		for group < len(g.groups) && g.groups[group].key < key {
			group++
		}
		out.Edits = g.resolver.resolve(ProgPoint(key>>2), out.Edits, func() PRegSet {
			free := PRegSet{}
			for k := group; k < len(g.groups) && g.groups[k].key == key; k++ {
				if k == group {
					free = g.allocatable
				}
				free = free.Minus(g.groups[k].occupied)
			}
			return free
		})
	}
}
