package regalloc

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// copyOutput returns a copy of out that shares nothing with it.
func copyOutput(out *Output) *Output {
	c := *out
	c.Allocs = slices.Clone(out.Allocs)
	c.Edits = slices.Clone(out.Edits)
	c.Safepoints = slices.Clone(out.Safepoints)
	c.DebugLocs = slices.Clone(out.DebugLocs)
	return &c
}

// corrupt changes one thing in out and says what, or returns "" if there was nothing to change.
func corrupt(r *rand.Rand, env *Env, out *Output) string {
	other := func(a Allocation) Allocation {
		if a.IsReg() && !env.StackPRegs.Has(a.PReg()) {
			regs := env.Allocatable[a.PReg().Class()]
			for {
				if p := RegAlloc(regs[r.IntN(len(regs))]); p != a {
					return p
				}
			}
		}
		if a.IsSlot() && out.SpillUnits > 4 {
			return SlotAlloc(uint32(r.IntN(int(out.SpillUnits)-3)) &^ 1)
		}
		return a
	}
	switch k := r.IntN(6); {
	case k < 2 && len(out.Allocs) > 0:
		i := r.IntN(len(out.Allocs))
		out.Allocs[i] = other(out.Allocs[i])
		return "another allocation"
	case k == 2 && len(out.Edits) > 0:
		i := r.IntN(len(out.Edits))
		out.Edits = slices.Delete(out.Edits, i, i+1)
		return "a missing edit"
	case k == 3 && len(out.Edits) > 1:
		i := r.IntN(len(out.Edits) - 1)
		if out.Edits[i].At == out.Edits[i+1].At {
			out.Edits[i], out.Edits[i+1] = out.Edits[i+1], out.Edits[i]
			return "edits exchanged"
		}
	case k == 4 && len(out.Edits) > 0:
		e := &out.Edits[r.IntN(len(out.Edits))]
		e.To = other(e.To)
		return "another destination"
	case k == 5 && len(out.Edits) > 0:
		e := &out.Edits[r.IntN(len(out.Edits))]
		if e.From.Kind() != AllocRemat {
			e.From = other(e.From)
			return "another source"
		}
	}
	return ""
}

// TestCheckRefusesCorruption breaks correct allocations. Whatever a run of the function shows to be wrong, the checker has to find.
func TestCheckRefusesCorruption(t *testing.T) {
	var a Allocator
	shown, refused, tried := 0, 0, 0
	for _, env := range testEnvs() {
		for seed := range uint64(60) {
			c := &choices{rand: rand.New(rand.NewPCG(seed, 77))}
			f := generate(c, env, 1+int(seed)%8, 8)
			f.DebugLabels = nil
			good, err := a.Allocate(f, env, Options{Algorithm: Algorithm(seed % 2)})
			if err != nil {
				t.Fatal(err)
			}
			good = copyOutput(good)
			for range 40 {
				bad := copyOutput(good)
				what := corrupt(c.rand, env, bad)
				if what == "" {
					continue
				}
				tried++
				err := Check(f, env, bad)
				if err != nil {
					refused++
				}
				for range 4 {
					if wrong := simulate(f, env, bad, c.rand, 200); wrong != nil {
						shown++
						if err == nil {
							t.Fatalf("accepted %s, though %v:\n%s", what, wrong, dump(f, bad))
						}
						break
					}
				}
			}
		}
	}
	if shown < tried/4 || refused < shown {
		t.Errorf("of %d corruptions %d were shown to be wrong by running, %d refused", tried, shown, refused)
	}
}

// TestCheckErrors breaks single rules.
func TestCheckErrors(t *testing.T) {
	env := bigEnv()
	r := func(hw uint8) Allocation { return RegAlloc(MakePReg(Int, hw)) }
	// v0 = …; v1 = …; v2 = op v0, v1 reusing v0; call; use v1, v2.
	b := newBuilder()
	b.block()
	v0, v1 := b.def(), b.def()
	v2 := b.vreg(Int)
	b.inst(UseReg(v0), UseReg(v1), DefReuse(v2, 0))
	b.Clobbers = append(b.Clobbers, MakePRegSet(MakePReg(Int, 0), MakePReg(Int, 1)))
	b.NewInst(1, Safepoint)
	b.inst(UseReg(v1), UseFixed(v2, MakePReg(Int, 3)))
	b.inst()
	b.end()
	f := &b.Function
	f.Refs = make([]bool, f.NumVRegs)
	f.Refs[v1.Index()] = true
	good := Output{
		Allocs: []Allocation{r(2), r(1), r(2), r(1), r(2), r(4), r(3)},
		Edits: []Edit{
			{After(1), v1, r(1), SlotAlloc(0)},
			{Before(4), v1, SlotAlloc(0), r(4)},
			{Before(4), v2, r(2), r(3)},
		},
		SpillUnits: 1,
		Safepoints: []SafepointSlot{{3, v1, 0}},
		Used:       MakePRegSet(MakePReg(Int, 1), MakePReg(Int, 2), MakePReg(Int, 3), MakePReg(Int, 4)),
	}
	if err := Check(f, env, &good); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name  string
		spoil func(*Output)
		want  string
	}{
		{"reuse", func(o *Output) { o.Allocs[4] = r(5); o.Used.Add(MakePReg(Int, 5)) }, "inst 2: operand 2"},
		{"fixed", func(o *Output) { o.Allocs[6] = r(2) }, "inst 4: operand 1"},
		{"class", func(o *Output) { o.Allocs[5] = RegAlloc(MakePReg(Float, 1)) }, "not a register of class i"},
		{"no location", func(o *Output) { o.Allocs[5] = 0 }, "no location"},
		{"register in memory", func(o *Output) { o.Allocs[5] = SlotAlloc(0) }, "inst 4: operand 0"},
		{"not allocatable", func(o *Output) { o.Allocs[5] = r(20) }, "may be used"},
		{"missing load", func(o *Output) { o.Edits = slices.Delete(o.Edits, 1, 2) }, "v1i"},
		{"missing store", func(o *Output) { o.Edits = slices.Delete(o.Edits, 0, 1) }, "v1i"},
		{"clobbered", func(o *Output) { o.Edits[1].From = r(1) }, "clobbers v1i in p1i"},
		{"two memories", func(o *Output) { o.Edits[1].To = SlotAlloc(0) }, "no register"},
		{"slot out of range", func(o *Output) { o.Edits[0].To = SlotAlloc(1) }, "outside"},
		{"order", func(o *Output) { o.Edits[0], o.Edits[1] = o.Edits[1], o.Edits[0] }, "comes after"},
		{"not used", func(o *Output) { o.Used.Remove(MakePReg(Int, 4)) }, "not in Used"},
		{"not listed", func(o *Output) { o.Safepoints = nil }, "not listed"},
		{"not a safepoint", func(o *Output) { o.Safepoints[0].Inst = 2 }, "not a safepoint"},
		{"wrong reference", func(o *Output) { o.Safepoints = append(o.Safepoints, SafepointSlot{3, v0, 0}) }, "not a reference"},
		{"after terminator", func(o *Output) { o.Edits = append(o.Edits, Edit{After(5), v2, r(2), r(3)}) }, "after a terminator"},
		{"shared result", func(o *Output) { o.Allocs[2], o.Allocs[4] = r(1), r(1) }, "needs in p2i"},
	} {
		bad := copyOutput(&good)
		test.spoil(bad)
		err := Check(f, env, bad)
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: error %v does not say %q", test.name, err, test.want)
		}
	}
}

// TestValidateErrors breaks single rules of the input.
func TestValidateErrors(t *testing.T) {
	p0 := MakePReg(Int, 0)
	for _, test := range []struct {
		name string
		make func(b *builder)
		want string
	}{
		{"use before definition", func(b *builder) {
			b.block()
			v := b.vreg(Int)
			b.inst(UseReg(v))
			b.inst(DefReg(v))
			b.end()
		}, "before its definition"},
		{"two definitions", func(b *builder) {
			b.block()
			v := b.def()
			b.inst(DefReg(v))
			b.end()
		}, "defined twice"},
		{"no definition", func(b *builder) {
			b.block()
			b.inst(UseReg(b.vreg(Int)))
			b.end()
		}, "not defined"},
		{"one arm only", func(b *builder) {
			b.block()
			c := b.def()
			b.branch(c, 1, 2)
			b.block()
			v := b.def()
			b.jump(3)
			b.block()
			b.jump(3)
			b.block()
			b.inst(UseReg(v))
			b.end()
		}, "does not dominate"},
		{"critical edge", func(b *builder) {
			b.block()
			c := b.def()
			b.branch(c, 1, 2)
			b.block()
			b.jump(2)
			b.block()
			b.inst()
			b.end()
		}, "critical"},
		{"operands of a jump", func(b *builder) {
			b.block()
			c := b.def()
			b.branch(c, 1, 2)
			for range 2 {
				b.block()
				b.inst(UseReg(c))
				b.edge(3)
				b.end()
			}
			b.block()
			b.inst()
			b.end()
		}, "several predecessors"},
		{"unreachable", func(b *builder) {
			b.block()
			b.inst()
			b.end()
			b.block()
			b.inst()
			b.end()
		}, "cannot be reached"},
		{"arguments", func(b *builder) {
			b.block()
			b.jump(1)
			b.block(b.vreg(Int))
			b.inst()
			b.end()
		}, "0 arguments for 1"},
		{"classes", func(b *builder) {
			b.block()
			v := b.def()
			b.jump(1, v)
			b.block(b.vreg(Float))
			b.inst()
			b.end()
		}, "differ in class"},
		{"two values in one register", func(b *builder) {
			b.block()
			v, w := b.def(), b.def()
			b.inst(UseFixed(v, p0), UseFixed(w, p0))
			b.end()
		}, "same moment"},
		{"reuse of nothing", func(b *builder) {
			b.block()
			v := b.def()
			b.inst(UseReg(v), DefReuse(b.vreg(Int), 5))
			b.end()
		}, "does not exist"},
		{"entry with predecessor", func(b *builder) {
			b.block()
			b.jump(0)
		}, "entry block"},
		{"empty block", func(b *builder) {
			b.block()
			b.end()
		}, "empty"},
		{"edge to nowhere", func(b *builder) {
			b.block()
			b.jump(7)
		}, "block 7"},
	} {
		b := newBuilder()
		test.make(b)
		err := Validate(&b.Function, bigEnv())
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: error %v does not say %q", test.name, err, test.want)
		}
	}
}

// TestTooManyRegisters asks for more registers than there are.
func TestTooManyRegisters(t *testing.T) {
	env := testEnvs()[0]
	b := newBuilder()
	b.block()
	v, w, x := b.def(), b.def(), b.def()
	b.inst(UseReg(v), UseReg(w), UseReg(x))
	b.end()
	for _, algorithm := range algorithms {
		var a Allocator
		_, err := a.Allocate(&b.Function, env, Options{Algorithm: algorithm, Validate: true})
		if err == nil || !strings.Contains(err.Error(), "inst 3") {
			t.Errorf("algorithm %d: error %v does not name the instruction", algorithm, err)
		}
	}
}
