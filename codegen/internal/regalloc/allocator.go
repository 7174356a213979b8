package regalloc

import (
	"cmp"
	"fmt"
	"slices"
)

// Allocator allocates registers. It owns the Output and all working memory, and reuses both, so that an Allocator that has seen a
// function as large as the next one allocates no memory. The zero value is ready. It is for one goroutine at a time.
type Allocator struct {
	out    Output
	fast   fastAllocator
	global globalAllocator
}

// Allocate finds a location for every operand of f. The error is of f: a broken rule if o.Validate is set, or an instruction that
// needs more registers at once than there are. The result is valid until the next call.
func (a *Allocator) Allocate(f *Function, env *Env, o Options) (*Output, error) {
	if o.Validate {
		if err := Validate(f, env); err != nil {
			return nil, err
		}
	}
	out := &a.out
	*out = Output{
		Allocs: resized(out.Allocs, len(f.Operands)), Edits: out.Edits[:0],
		Safepoints: out.Safepoints[:0], DebugLocs: out.DebugLocs[:0],
	}
	var err error
	switch o.Algorithm {
	case Fast:
		err = a.fast.run(f, env, out)
	case Global:
		err = a.global.run(f, env, out)
	default:
		err = fmt.Errorf("regalloc: algorithm %d does not exist", o.Algorithm)
	}
	if err != nil {
		return nil, err
	}
	out.finish(f, env)
	if o.Check {
		if err := Check(f, env, out); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// finish sorts what has been listed in another order, and derives Used and the counters from operands and edits.
func (out *Output) finish(f *Function, env *Env) {
	slices.SortStableFunc(out.DebugLocs, func(a, b DebugLoc) int {
		return cmp.Or(cmp.Compare(a.Label, b.Label), cmp.Compare(a.From, b.From))
	})
	var written PRegSet
	allocs := out.Allocs[:len(f.Operands)]
	for i := range f.Operands {
		if f.Operands[i].Kind == Def {
			if a := allocs[i]; a.IsReg() {
				written.Add(a.PReg())
			}
		}
	}
	stack := &env.StackPRegs
	isMemory := func(a Allocation) bool { return !a.IsReg() || stack.Has(a.PReg()) }
	for i := range out.Edits {
		e := &out.Edits[i]
		if e.To.IsReg() {
			written.Add(e.To.PReg())
		}
		switch {
		case e.From.Kind() == AllocRemat:
			out.Stats.Remats++
		case isMemory(e.To):
			out.Stats.Stores++
		case isMemory(e.From):
			out.Stats.Loads++
		default:
			out.Stats.Moves++
		}
	}
	for _, regs := range env.Allocatable {
		for _, p := range regs {
			if written.Has(p) {
				out.Used.Add(p)
			}
		}
	}
}

// safepointList holds the safepoints of a function. Its slice is reused.
type safepointList struct{ insts []safepoint }

// safepoint is an instruction that is one, and whether it is a terminator.
type safepoint struct {
	inst uint32
	last bool
}

// list fills out.Safepoints: the slots, told by home, of references that live over each safepoint.
func (a *safepointList) list(f *Function, l *liveness, out *Output, home func(v uint32) Allocation) {
	if len(f.Refs) == 0 {
		return
	}
	a.insts = a.insts[:0]
	for b := range f.Blocks {
		blk := &f.Blocks[b]
		for i := blk.Insts.Start; i < blk.Insts.End; i++ {
			if f.Insts[i].Flags&Safepoint != 0 {
				a.insts = append(a.insts, safepoint{i, i == blk.Insts.End-1})
			}
		}
	}
	for v := range f.Refs {
		if !f.Refs[v] || v >= f.NumVRegs || l.defPos[v] == noPos || !home(uint32(v)).IsSlot() {
			continue
		}
		for _, r := range l.rangesOf(uint32(v)) {
			from := (r.from + 1) / 2
			k, _ := slices.BinarySearchFunc(a.insts, from, func(s safepoint, i uint32) int { return cmp.Compare(s.inst, i) })
			for ; k < len(a.insts); k++ {
				// Live over it: defined before it and needed after its Late.
				i := a.insts[k].inst
				if over := 2*i + 2; r.to < over || r.to == over && !a.insts[k].last {
					break
				}
				if l.defPos[v]/2 != i || l.defOp[v]&edgeUse != 0 {
					out.Safepoints = append(out.Safepoints, SafepointSlot{i, MakeVReg(Int, v), home(uint32(v)).Slot()})
				}
			}
		}
	}
	slices.SortFunc(out.Safepoints, func(a, b SafepointSlot) int {
		return cmp.Or(cmp.Compare(a.Inst, b.Inst), cmp.Compare(a.Slot, b.Slot))
	})
}

// addDebugLoc appends a location for the instructions [from, to), but for jumps before which edge arguments move, perhaps over
// the value.
func (out *Output) addDebugLoc(f *Function, c *cfg, label, from, to uint32, loc Allocation) {
	for from < to {
		b := blockAt(f.Blocks, 0, 2*from)
		end := f.Blocks[b].Insts.End
		if s := f.Blocks[b].Succs; s.Len() == 1 && len(c.predEdges(int(f.Edges[s.Start].To))) > 1 {
			end--
		}
		if last := len(out.DebugLocs) - 1; from < min(end, to) {
			if last >= 0 && out.DebugLocs[last].Label == label && out.DebugLocs[last].To == from && out.DebugLocs[last].Alloc == loc {
				out.DebugLocs[last].To = min(end, to)
			} else {
				out.DebugLocs = append(out.DebugLocs, DebugLoc{label, from, min(end, to), loc})
			}
		}
		from = f.Blocks[b].Insts.End
	}
}
