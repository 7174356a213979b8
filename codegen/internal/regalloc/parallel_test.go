package regalloc

import (
	"math/rand/v2"
	"testing"
)

// TestParallelMoves resolves random sets of parallel moves with few or no registers free, executes the result, and compares it with
// all moves done at once.
func TestParallelMoves(t *testing.T) {
	const regs, slots = 6, 8
	r := rand.New(rand.NewPCG(3, 4))
	var resolver moveResolver
	for trial := range 20000 {
		env := &Env{SpillUnits: [NumClasses]uint8{1, 1, 1}}
		for hw := range regs {
			env.Allocatable[Int] = append(env.Allocatable[Int], MakePReg(Int, uint8(hw)))
		}
		stack := MakePReg(Int, 60)
		env.StackPRegs = MakePRegSet(stack)
		if trial%3 == 0 {
			env.Scratch = MakePRegSet(MakePReg(Int, 40))
		}
		size := uint32(slots)
		resolver.reset(env, &size)
		loc := func() Allocation {
			switch k := r.IntN(regs + slots + 1); {
			case k < regs:
				return RegAlloc(MakePReg(Int, uint8(k)))
			case k < regs+slots:
				return SlotAlloc(uint32(k - regs))
			default:
				return RegAlloc(stack)
			}
		}
		before := make([]int, NumPRegs+64)
		for i := range before {
			before[i] = i + 1
		}
		want := make([]int, len(before))
		copy(want, before)
		written := map[Allocation]bool{}
		var free PRegSet
		for hw := range regs {
			if r.IntN(6) == 0 {
				free.Add(MakePReg(Int, uint8(hw)))
			}
		}
		v := MakeVReg(Int, 7)
		for range r.IntN(12) {
			from, to := loc(), loc()
			if written[to] || from == to {
				continue
			}
			written[to] = true
			if r.IntN(10) == 0 {
				from = RematAlloc()
				want[locIndex(to)] = -1
			} else {
				want[locIndex(to)] = before[locIndex(from)]
			}
			resolver.add(v, from, to)
		}
		moves := append([]parallelMove(nil), resolver.moves...)
		after := make([]int, len(before))
		copy(after, before)
		edits := resolver.resolve(Before(0), nil, func() PRegSet { return free })
		for _, e := range edits {
			if resolver.isMemory(e.To) && (e.From.Kind() == AllocRemat || resolver.isMemory(e.From)) {
				t.Fatalf("trial %d: %v has no register", trial, e)
			}
			x := -1
			if e.From.Kind() != AllocRemat {
				x = after[locIndex(e.From)]
			}
			after[locIndex(e.To)] = x
		}
		for i := range want {
			if i == 40 || i >= NumPRegs+slots || i < regs && free.Has(PReg(i)) && !written[RegAlloc(PReg(i))] {
				continue // scratch, emergency slots and free registers may be anything
			}
			if after[i] != want[i] {
				t.Fatalf("trial %d: location %d holds %d, not %d: %v with %v free gave %v", trial, i, after[i], want[i], moves, free, edits)
			}
		}
	}
}
