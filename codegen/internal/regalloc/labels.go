package regalloc

import (
	"cmp"
	"slices"
)

// labelLog follows values that have debug labels.
type labelLog struct {
	any      bool
	labelled []bool // by value
	changes  []labelChange
}

// labelChange says that from instruction inst on value vreg is in preg, or with NoPReg in memory.
type labelChange struct {
	inst, vreg uint32
	preg       PReg
}

func (l *labelLog) reset(f *Function) {
	l.any = len(f.DebugLabels) > 0
	l.changes = l.changes[:0]
	if !l.any {
		return
	}
	l.labelled = resized(l.labelled, f.NumVRegs)
	for _, d := range f.DebugLabels {
		l.labelled[d.VReg.Index()] = true
	}
}

// record notes what the current instruction changes.
func (l *labelLog) record(g *globalAllocator) {
	if !l.any {
		return
	}
	s := &g.inst
	for _, x := range s.movedTo {
		if l.labelled[x.vreg.Index()] {
			l.changes = append(l.changes, labelChange{s.inst, uint32(x.vreg.Index()), x.preg})
		}
	}
	for _, x := range s.loaded {
		if l.labelled[x.vreg.Index()] {
			l.changes = append(l.changes, labelChange{s.inst, uint32(x.vreg.Index()), x.preg})
		}
	}
	for k, o := range s.ops {
		if v := uint32(o.VReg.Index()); o.Kind == Use && l.labelled[v] && !s.livesOn(s.end[k]) {
			l.changes = append(l.changes, labelChange{s.inst, v, s.allocs[k].PReg()}) // it may have moved for its last use
		}
		if o.Kind == Def && l.labelled[o.VReg.Index()] && !s.last {
			l.changes = append(l.changes, labelChange{s.inst + 1, uint32(o.VReg.Index()), g.regOf[o.VReg.Index()]})
		}
	}
}

// listDebugLocs answers the debug labels.
func (g *globalAllocator) listDebugLocs() {
	l := &g.labels
	if !l.any {
		return
	}
	f := g.f
	byValue := func(a, b labelChange) int {
		return cmp.Or(cmp.Compare(a.vreg, b.vreg), cmp.Compare(a.inst, b.inst))
	}
	slices.SortStableFunc(l.changes, byValue)
	for _, d := range f.DebugLabels {
		v := uint32(d.VReg.Index())
		if g.live.defPos[v] == noPos {
			continue
		}
		for _, r := range g.live.rangesOf(v) {
			from := (r.from + 1) / 2
			if g.live.defOp[v]&edgeUse == 0 && g.live.defPos[v]/2 >= from && g.live.defPos[v] < r.to && g.live.defPos[v] >= r.from {
				from = g.live.defPos[v]/2 + 1
			}
			from = max(from, d.From)
			to := min(r.to/2, d.To)
			for from < to {
				b := blockAt(f.Blocks, 0, 2*from)
				end := min(to, f.Blocks[b].Insts.End)
				g.labelInBlock(d.Label, d.VReg, b, from, end)
				from = end
			}
		}
	}
}

// labelInBlock answers a label for instructions [from, to) of block b.
func (g *globalAllocator) labelInBlock(label uint32, v VReg, b, from, to uint32) {
	p := NoPReg
	for _, s := range g.statesOf(g.entry[b]) {
		if s.vreg == v {
			p = s.preg
		}
	}
	l := &g.labels
	start := g.f.Blocks[b].Insts.Start
	at, _ := slices.BinarySearchFunc(l.changes, labelChange{inst: start, vreg: uint32(v.Index())}, func(a, b labelChange) int {
		return cmp.Or(cmp.Compare(a.vreg, b.vreg), cmp.Compare(a.inst, b.inst))
	})
	for from < to {
		for at < len(l.changes) && l.changes[at].vreg == uint32(v.Index()) && l.changes[at].inst <= from {
			p = l.changes[at].preg
			at++
		}
		next := to
		if at < len(l.changes) && l.changes[at].vreg == uint32(v.Index()) {
			next = min(to, l.changes[at].inst)
		}
		loc := Allocation(0)
		switch {
		case p.Valid():
			loc = RegAlloc(p)
		case g.f.isRemat(v):
			loc = RematAlloc()
		default:
			loc = g.slotOf[v.Index()]
		}
		if loc != 0 {
			g.out.addDebugLoc(g.f, &g.cfg, label, from, next, loc)
		}
		from = next
	}
}
