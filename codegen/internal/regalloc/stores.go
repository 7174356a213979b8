package regalloc

// Where to store. A value that is in memory somewhere, and whose definition does not write its memory, is stored either once,
// as early as possible, or wherever it leaves a register for memory. The first is the default; the second is for definitions that are
// executed more often than all those places together, as estimated.
//
// As early as possible is after the definition; for what a terminator defines, at the start of the successors where it lives;
// for a block parameter, at the start of its block, or on the edges into it. On an edge whose argument is in memory already, in a slot
// that it shares with the parameter, there is nothing to do, which often makes the edges better: at the header of a loop that passes
// a value on through memory, only the entry has to store.

// placeStores decides for each value, and adds the stores. The slots are known.
func (g *globalAllocator) placeStores() {
	f := g.f
	// cost is, by value, that of storing where the value leaves its register, then early or, if that is not wanted, 0.
	cost := resized(g.live.counts, f.NumVRegs)
	g.live.counts = cost
	for _, t := range g.transitions {
		c := &cost[t.vreg.Index()]
		*c = uint32(min(uint64(*c)+uint64(t.weight), 1<<31))
	}
	const early = noPos
	for v := range uint32(f.NumVRegs) {
		remat := int(v) < len(f.Remat) && f.Remat[v]
		switch s := g.spilled[v]; {
		case s&bornThere != 0 && !remat:
			g.spilled[v] |= stored
			cost[v] = 0
		case s&inMemory == 0 || remat || g.live.defPos[v] == noPos:
			cost[v] = 0
		case s&storeEarly != 0 || cost[v] >= g.defWeight(v):
			cost[v] = early
			if !g.definedByTerminator(v) { // on the edges out of its own block, it is in a register only
				g.spilled[v] |= stored
			}
		}
	}
	for v, c := range cost {
		if c == early {
			g.storeEarly(uint32(v))
		}
	}
	for _, t := range g.transitions {
		if c := cost[t.vreg.Index()]; c != 0 && c != early {
			g.moves = append(g.moves, pendingMove{t.key, t.vreg, RegAlloc(t.from), memory(t.vreg)})
		}
	}
}

// definedByTerminator reports whether the instruction that defines v is a terminator.
func (g *globalAllocator) definedByTerminator(v uint32) bool {
	return g.live.defOp[v]&edgeUse == 0 && g.live.defPos[v]/2 == g.f.Blocks[g.live.defBlock[v]].Insts.End-1
}

// defWeight estimates how often v would be stored if it were stored early.
func (g *globalAllocator) defWeight(v uint32) uint32 {
	b := g.live.defBlock[v]
	if !g.definedByTerminator(v) {
		return g.cfg.freq[b]
	}
	w := uint64(0)
	for _, e := range g.f.BlockEdges(int(b)) {
		w += uint64(g.cfg.freq[e.To])
	}
	return uint32(min(w, 1<<31))
}

// storeEarly adds the stores of v.
func (g *globalAllocator) storeEarly(v uint32) {
	f := g.f
	op, b := g.live.defOp[v], g.live.defBlock[v]
	switch {
	case op&edgeUse != 0:
		g.storeParam(f.Params[op&^edgeUse], b, int(op&^edgeUse-f.Blocks[b].Params.Start))
	case g.definedByTerminator(v):
		vreg := f.Operands[op].VReg
		for _, e := range f.BlockEdges(int(b)) {
			start := f.Blocks[e.To].Insts.Start
			if g.live.rangeAt(v, 2*start) != 0 { // arguments come from the register
				g.moves = append(g.moves, pendingMove{edgeStartKey(start), vreg, g.out.Allocs[op], memory(vreg)})
			}
		}
	default:
		vreg := f.Operands[op].VReg
		g.moves = append(g.moves, pendingMove{afterKey(g.live.defPos[v] / 2), vreg, g.out.Allocs[op], memory(vreg)})
	}
}

// storeParam adds the stores of p, parameter k of block b, which starts in a register.
func (g *globalAllocator) storeParam(p VReg, b uint32, k int) {
	f := g.f
	preds := g.cfg.predEdges(int(b))
	if len(preds) > 1 {
		onEdges := uint64(0)
		for _, e := range preds {
			if a := f.EdgeArgs(f.Edges[e])[k]; !g.isStoredFor(a, p) {
				onEdges += uint64(g.cfg.freq[g.cfg.source[e]])
				if _, ok := g.exitReg(e, a); !ok {
					onEdges = 1 << 63 // two moves, and a register for them
					break
				}
			}
		}
		if onEdges < uint64(g.cfg.freq[b]) {
			for _, e := range preds {
				if a := f.EdgeArgs(f.Edges[e])[k]; !g.isStoredFor(a, p) {
					r, _ := g.exitReg(e, a)
					g.moves = append(g.moves, pendingMove{g.edgePlace(g.cfg.source[e], b), a, RegAlloc(r), memory(p)})
				}
			}
			return
		}
	}
	for _, s := range g.statesOf(g.entry[b]) {
		if s.vreg == p {
			g.moves = append(g.moves, pendingMove{beforeKey(f.Blocks[b].Insts.Start), p, RegAlloc(s.preg), memory(p)})
		}
	}
}

// isStoredFor reports whether a, passed for p, is in p's memory already.
func (g *globalAllocator) isStoredFor(a, p VReg) bool {
	return g.spilled[a.Index()]&stored != 0 && g.slotOf[a.Index()] == g.slotOf[p.Index()] && g.slotOf[p.Index()] != 0
}

// exitReg returns the register that v is in at the end of edge e's source.
func (g *globalAllocator) exitReg(e uint32, v VReg) (PReg, bool) {
	for _, s := range g.statesOf(g.exit[g.cfg.source[e]]) {
		if s.vreg == v {
			return s.preg, true
		}
	}
	return NoPReg, false
}
