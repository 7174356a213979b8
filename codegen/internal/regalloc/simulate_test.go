package regalloc

import (
	"fmt"
	"math/rand/v2"
)

// simulate runs f twice at once along a random path, in terms of virtual registers and of locations, and compares what the operands
// read. It is a second opinion on the checker, which looks at all paths but shares more code with the allocators.
func simulate(f *Function, env *Env, out *Output, r *rand.Rand, steps int) error {
	values := make([]uint64, f.NumVRegs)
	locs := make([]uint64, NumPRegs+int(out.SpillUnits))
	next := uint64(1)
	constants := make(map[VReg]uint64)
	width := func(v VReg, class RegClass) int {
		if v == NoVReg {
			return int(max(env.SpillUnits[class], 1))
		}
		return int(f.spillUnits(v, env))
	}
	write := func(a Allocation, n int, x uint64) {
		i := locIndex(a)
		locs[i] = x
		for k := 1; a.IsSlot() && k < n; k++ {
			locs[i+k] = 1<<63 | uint64(k) // the rest of a wide slot
		}
	}
	edit := 0
	for edit < len(out.Edits) && out.Edits[edit].At < 0 {
		edit++
	}
	runEdits := func(at ProgPoint) {
		lo, hi := 0, len(out.Edits)
		for lo < hi {
			if m := (lo + hi) / 2; out.Edits[m].At < at {
				lo = m + 1
			} else {
				hi = m
			}
		}
		for ; lo < len(out.Edits) && out.Edits[lo].At == at; lo++ {
			e := out.Edits[lo]
			var x uint64
			if e.From.Kind() == AllocRemat {
				x = constants[e.VReg]
			} else {
				x = locs[locIndex(e.From)]
			}
			class := RegClass(0)
			if e.To.IsReg() {
				class = e.To.PReg().Class()
			} else {
				class = e.From.PReg().Class()
			}
			write(e.To, width(e.VReg, class), x)
		}
	}
	b := 0
	for {
		blk := &f.Blocks[b]
		for i := int(blk.Insts.Start); i < int(blk.Insts.End); i++ {
			if steps--; steps < 0 {
				return nil
			}
			runEdits(Before(i))
			ops := f.InstOperands(i)
			allocs := out.Allocs[f.Insts[i].Operands.Start:]
			for k, o := range ops {
				if o.Kind == Use && locs[locIndex(allocs[k])] != values[o.VReg.Index()] {
					return fmt.Errorf("inst %d operand %d (%v): wrong value in %v", i, k, o, allocs[k])
				}
			}
			for p := range f.InstClobbers(i).All {
				locs[p] = 1 << 62
			}
			for k, o := range ops {
				if o.Kind != Def {
					continue
				}
				x := next
				next++
				if f.isRemat(o.VReg) {
					if c, ok := constants[o.VReg]; ok {
						x = c
					}
					constants[o.VReg] = x
				}
				values[o.VReg.Index()] = x
				if allocs[k].Kind() != AllocNone {
					write(allocs[k], width(o.VReg, o.VReg.Class()), x)
				}
			}
			runEdits(After(i))
		}
		edges := f.BlockEdges(b)
		if len(edges) == 0 {
			return nil
		}
		e := edges[r.IntN(len(edges))]
		args := f.EdgeArgs(e)
		passed := make([]uint64, len(args))
		for k, v := range args {
			passed[k] = values[v.Index()]
		}
		for k, p := range f.BlockParams(int(e.To)) {
			values[p.Index()] = passed[k]
		}
		b = int(e.To)
	}
}

// dump formats f and, if it is not nil, out.
func dump(f *Function, out *Output) string {
	s := ""
	edit := 0
	for b, blk := range f.Blocks {
		s += fmt.Sprintf("block%d%v", b, f.BlockParams(b))
		if blk.Cold {
			s += " cold"
		}
		s += fmt.Sprintf(" depth %d\n", blk.LoopDepth)
		for i := int(blk.Insts.Start); i < int(blk.Insts.End); i++ {
			edits := func(at ProgPoint) {
				for out != nil && edit < len(out.Edits) && out.Edits[edit].At == at {
					s += fmt.Sprintf("            %v\n", out.Edits[edit])
					edit++
				}
			}
			edits(Before(i))
			s += fmt.Sprintf("    inst%d", i)
			if f.Insts[i].Flags&Move != 0 {
				s += " move"
			}
			if f.Insts[i].Flags&Safepoint != 0 {
				s += " safepoint"
			}
			for k, o := range f.InstOperands(i) {
				s += fmt.Sprintf(", %v", o)
				if out != nil {
					s += fmt.Sprintf(" => %v", out.Allocs[int(f.Insts[i].Operands.Start)+k])
				}
				if o.Kind == Def && f.isRemat(o.VReg) {
					s += " (remat)"
				}
			}
			if c := f.InstClobbers(i); !c.Empty() {
				s += fmt.Sprintf("; clobbers %v", c)
			}
			s += "\n"
			edits(After(i))
		}
		for _, e := range f.BlockEdges(b) {
			s += fmt.Sprintf("    -> block%d%v\n", e.To, f.EdgeArgs(e))
		}
	}
	if out != nil {
		s += fmt.Sprintf("debug %v -> %v, safepoints %v\n", f.DebugLabels, out.DebugLocs, out.Safepoints)
	}
	return s
}
