package regalloc

import (
	"slices"
	"testing"
)

// allocateWell has f allocated by the global allocator and checks the result.
func allocateWell(t *testing.T, f *Function, env *Env) *Output {
	t.Helper()
	var a Allocator
	out, err := a.Allocate(f, env, Options{Validate: true, Check: true})
	if err != nil {
		t.Fatalf("%v\n%s", err, dump(f, nil))
	}
	return out
}

// editsIn counts the edits in block b.
func editsIn(f *Function, out *Output, b int) int {
	n := 0
	for _, e := range out.Edits {
		if i := uint32(e.At.Inst()); i >= f.Blocks[b].Insts.Start && i < f.Blocks[b].Insts.End {
			n++
		}
	}
	return n
}

func (b *builder) setDepth(depth uint8) { b.cur().LoopDepth = depth }

// jump ends the current block with a jump.
func (b *builder) jump(to int, args ...VReg) {
	b.inst()
	b.edge(to, args...)
	b.end()
}

// branch ends the current block with a two-way branch on a value.
func (b *builder) branch(on VReg, to, other int) {
	b.inst(UseReg(on))
	b.edge(to)
	b.edge(other)
	b.end()
}

// call appends a call that clobbers all registers of env, takes an argument in register 0 and defines its result there.
func (b *builder) call(env *Env, arg VReg) VReg {
	var s PRegSet
	for _, regs := range env.Allocatable {
		for _, p := range regs {
			s.Add(p)
		}
	}
	b.Clobbers = append(b.Clobbers, s)
	d := b.vreg(Int)
	b.Operands = append(b.Operands, UseFixed(arg, MakePReg(Int, 0)), DefFixed(d, MakePReg(Int, 0)))
	b.NewInst(uint16(len(b.Clobbers)-1), 0)
	return d
}

func (b *builder) def() VReg {
	v := b.vreg(Int)
	b.inst(DefReg(v))
	return v
}

// TestCountedLoop has a loop whose three parameters are each changed by a two-address instruction: no move should be left.
func TestCountedLoop(t *testing.T) {
	b := newBuilder()
	b.block()
	n, p, acc := b.def(), b.def(), b.def()
	step := b.def()
	b.jump(1, n, p, acc)
	i, q, sum := b.vreg(Int), b.vreg(Int), b.vreg(Int)
	b.block(i, q, sum)
	b.setDepth(1)
	x := b.op(q)
	sum2 := b.binary(sum, x)
	q2 := b.binary(q, step)
	i2 := b.binary(i, step)
	b.branch(i2, 2, 3)
	b.block()
	b.setDepth(1)
	b.jump(1, i2, q2, sum2)
	b.block()
	b.inst(UseReg(sum2))
	b.inst()
	b.end()
	out := allocateWell(t, &b.Function, bigEnv())
	if len(out.Edits) != 0 {
		t.Errorf("edits left:\n%s", dump(&b.Function, out))
	}
}

// TestFixedInLoop has a loop with a shift count in a fixed register: values that live through must keep out of it.
func TestFixedInLoop(t *testing.T) {
	b := newBuilder()
	b.block()
	var vs []VReg
	for range 6 {
		vs = append(vs, b.def())
	}
	b.jump(1, vs...)
	var ps []VReg
	for range vs {
		ps = append(ps, b.vreg(Int))
	}
	b.block(ps...)
	b.setDepth(1)
	rcx := MakePReg(Int, 1)
	count := b.op(ps[5])
	d := b.vreg(Int)
	b.inst(UseReg(ps[0]), UseFixed(count, rcx), DefReuse(d, 0))
	next := []VReg{d}
	for _, p := range ps[1:] {
		next = append(next, b.binary(p, d))
	}
	b.branch(d, 2, 3)
	b.block()
	b.setDepth(1)
	b.jump(1, next...)
	b.block()
	b.inst(UseReg(next[1]))
	b.inst()
	b.end()
	out := allocateWell(t, &b.Function, bigEnv())
	if n := editsIn(&b.Function, out, 1) + editsIn(&b.Function, out, 2); n != 0 {
		t.Errorf("%d edits in the loop:\n%s", n, dump(&b.Function, out))
	}
}

// TestColdCall has a call in a cold block of a loop: the hot blocks should have no edits.
func TestColdCall(t *testing.T) {
	env := bigEnv()
	b := newBuilder()
	b.block()
	n, step := b.def(), b.def()
	b.jump(1, n)
	i := b.vreg(Int)
	b.block(i)
	b.setDepth(1)
	b.branch(i, 2, 5)
	b.block() // 2
	b.setDepth(1)
	b.jump(3)
	b.block() // 3
	b.setDepth(1)
	i2 := b.binary(i, step)
	b.branch(i2, 4, 6)
	b.block() // 4
	b.setDepth(1)
	b.jump(1, i2)
	b.block() // 5: cold
	b.setDepth(1)
	b.cur().Cold = true
	b.call(env, step)
	b.jump(3)
	b.block() // 6
	b.inst(UseReg(i2))
	b.inst()
	b.end()
	out := allocateWell(t, &b.Function, env)
	for _, blk := range []int{1, 2, 3, 4} {
		if n := editsIn(&b.Function, out, blk); n != 0 {
			t.Errorf("%d edits in block %d:\n%s", n, blk, dump(&b.Function, out))
		}
	}
}

// TestCallsInSequence has values that live over many calls: each is stored once and loaded only where it is used.
func TestCallsInSequence(t *testing.T) {
	env := bigEnv()
	b := newBuilder()
	b.block()
	var vs []VReg
	for range 5 {
		vs = append(vs, b.def())
	}
	x := vs[0]
	for range 10 {
		x = b.call(env, x)
	}
	for _, v := range vs {
		b.inst(UseReg(v), UseReg(x))
	}
	b.inst()
	b.end()
	out := allocateWell(t, &b.Function, env)
	if out.Stats.Stores != 5 || out.Stats.Loads != 5 || out.Stats.Moves > 1 {
		t.Errorf("%+v:\n%s", out.Stats, dump(&b.Function, out))
	}
}

// TestLoopWithCall has a loop around a call: what is used after it is loaded there, and the loop's parameter moves no more than
// it must.
func TestLoopWithCall(t *testing.T) {
	env := bigEnv()
	b := newBuilder()
	b.block()
	n, step, k := b.def(), b.def(), b.def()
	b.jump(1, n)
	i := b.vreg(Int)
	b.block(i)
	b.setDepth(1)
	r := b.call(env, k)
	i2 := b.binary(i, step)
	i3 := b.binary(i2, r)
	b.branch(i3, 2, 3)
	b.block()
	b.setDepth(1)
	b.jump(1, i3)
	b.block()
	b.inst(UseReg(i3))
	b.inst()
	b.end()
	out := allocateWell(t, &b.Function, env)
	// k and i and step have to be loaded, and i stored, or moved and stored.
	if n := editsIn(&b.Function, out, 1) + editsIn(&b.Function, out, 2); n > 4 {
		t.Errorf("%d edits in the loop:\n%s", n, dump(&b.Function, out))
	}
}

// TestRotation has a loop in which two values change places; one move through a third register is all that it takes.
func TestRotation(t *testing.T) {
	b := newBuilder()
	b.block()
	x, y := b.def(), b.def()
	b.jump(1, x, y)
	p, q := b.vreg(Int), b.vreg(Int)
	b.block(p, q)
	b.setDepth(1)
	s := b.binary(p, q)
	b.branch(s, 2, 3)
	b.block()
	b.setDepth(1)
	b.jump(1, q, s)
	b.block()
	b.inst(UseReg(s))
	b.inst()
	b.end()
	out := allocateWell(t, &b.Function, bigEnv())
	if n := editsIn(&b.Function, out, 1) + editsIn(&b.Function, out, 2); n > 3 {
		t.Errorf("%d edits in the loop:\n%s", n, dump(&b.Function, out))
	}
}

// TestRemat has a constant that is used in a loop with room, and one that is used after calls: neither is ever stored.
func TestRemat(t *testing.T) {
	env := bigEnv()
	b := newBuilder()
	b.block()
	c := b.def()
	k := b.def()
	n := b.def()
	b.Remat = make([]bool, 100)
	b.Remat[c.Index()], b.Remat[k.Index()] = true, true
	r := b.call(env, k)
	r = b.call(env, b.binary(r, k))
	b.jump(1, n)
	i := b.vreg(Int)
	b.block(i)
	b.setDepth(1)
	i2 := b.binary(i, c)
	b.branch(i2, 2, 3)
	b.block()
	b.setDepth(1)
	b.jump(1, i2)
	b.block()
	b.inst(UseReg(i2), UseReg(r))
	b.inst()
	b.end()
	b.Remat = b.Remat[:b.NumVRegs]
	out := allocateWell(t, &b.Function, env)
	if out.Stats.Stores != 1 || out.Stats.Remats > 3 { // of n
		t.Errorf("%+v:\n%s", out.Stats, dump(&b.Function, out))
	}
	if n := editsIn(&b.Function, out, 1) + editsIn(&b.Function, out, 2); n != 0 {
		t.Errorf("%d edits in the loop:\n%s", n, dump(&b.Function, out))
	}
}

// TestDocExample holds the example of the package documentation to its word.
func TestDocExample(t *testing.T) {
	env := testEnvs()[0]
	b := newBuilder()
	b.block()
	v0, v1, v2 := b.vreg(Int), b.vreg(Int), b.vreg(Int)
	b.inst(DefReg(v0), DefReg(v1))
	b.inst(UseReg(v0), UseFixed(v1, MakePReg(Int, 1)), DefReuse(v2, 0))
	b.inst(UseReg(v2), UseAny(v0))
	b.inst()
	b.end()
	out := allocateWell(t, &b.Function, env)
	p0, p1, slot := RegAlloc(MakePReg(Int, 0)), RegAlloc(MakePReg(Int, 1)), SlotAlloc(0)
	want := []Allocation{p0, p1, p0, p1, p0, p0, slot}
	if !slices.Equal(out.Allocs, want) || len(out.Edits) != 1 || out.Edits[0] != (Edit{After(0), v0, p0, slot}) {
		t.Errorf("not as documented:\n%s", dump(&b.Function, out))
	}
}

// TestArgumentRegister has a value that a call's argument is made of, and that is needed after the call: as it has to leave its
// register for the call, the argument is made right there, without a move.
func TestArgumentRegister(t *testing.T) {
	env := bigEnv()
	b := newBuilder()
	b.block()
	v := b.call(env, b.def())
	w := b.vreg(Int)
	b.inst(DefReg(w), UseReg(v))
	r := b.call(env, w)
	b.inst(UseReg(v), UseReg(r))
	b.end()
	out := allocateWell(t, &b.Function, env)
	if n := editsIn(&b.Function, out, 0); n != 2 {
		t.Errorf("%d edits, want a store and a load:\n%s", n, dump(&b.Function, out))
	}
}

// TestIdleValues has a long loop around which more values live than there are registers. It uses few of them, all late: those and its
// parameters should stay in registers, at the expense of the others.
func TestIdleValues(t *testing.T) {
	env := bigEnv()
	b := newBuilder()
	b.block()
	var idle []VReg
	for range len(env.Allocatable[Int]) {
		idle = append(idle, b.def())
	}
	n, step := b.def(), b.def()
	b.jump(1, n)
	i := b.vreg(Int)
	b.block(i)
	b.setDepth(1)
	x := b.def()
	for range 2 * near {
		x = b.op(x)
	}
	i2 := b.binary(i, step)
	i3 := b.binary(i2, x)
	b.branch(i3, 2, 3)
	b.block()
	b.setDepth(1)
	b.jump(1, i3)
	b.block()
	for _, v := range idle {
		b.inst(UseReg(v))
	}
	b.inst()
	b.end()
	out := allocateWell(t, &b.Function, env)
	if n := editsIn(&b.Function, out, 1) + editsIn(&b.Function, out, 2); n != 0 {
		t.Errorf("%d edits in the loop:\n%s", n, dump(&b.Function, out))
	}
}
