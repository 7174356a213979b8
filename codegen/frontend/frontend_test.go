package frontend

import (
	"errors"
	"math/rand/v2"
	"testing"

	"github.com/davit-wasm/davit/codegen/ir"
)

// step is a statement of the little language that the tests build: an
// assignment vars[dst] = vars[a] + vars[b] + k.
type step struct {
	dst, a, b int
	k         int64
}

// node is a block of it: steps, then a branch on an odd variable.
type node struct {
	steps []step
	cond  int
	succ  []int // none: return vars[cond]
}

func finish(t testing.TB, b *Builder) {
	t.Helper()
	if err := b.Finish(); err != nil {
		t.Fatal(err)
	}
}

func randomGraph(rng *rand.Rand, nblocks, nvars int) []node {
	g := make([]node, nblocks)
	for i := range g {
		for range rng.IntN(4) {
			g[i].steps = append(g[i].steps, step{rng.IntN(nvars), rng.IntN(nvars), rng.IntN(nvars), int64(rng.IntN(10))})
		}
		g[i].cond = rng.IntN(nvars)
		for range rng.IntN(3) {
			g[i].succ = append(g[i].succ, 1+rng.IntN(nblocks-1)) // nothing branches to the entry
		}
	}
	return g
}

// dominators are the blocks of g that [Builder.SetDominator] may be told for block
// i, given the place of each block in the order of filling so far, or -1.
func dominators(g []node, i int, place []int) (ok []int) {
	// reach marks the blocks that the successors of a block lead to, without one.
	reach := func(seen []bool, from, without int) {
		work := append([]int(nil), g[from].succ...)
		for len(work) > 0 {
			x := work[len(work)-1]
			work = work[:len(work)-1]
			if x != without && !seen[x] {
				seen[x] = true
				work = append(work, g[x].succ...)
			}
		}
	}
	for d := range g {
		if d == i || place[d] < 0 {
			continue
		}
		around := make([]bool, len(g))
		if d != 0 {
			around[0] = true
			reach(around, 0, d)
		}
		after := make([]bool, len(g))
		reach(after, d, d)
		good := !around[i]
		for x := range g {
			before := make([]bool, len(g))
			reach(before, x, d)
			if after[x] && before[i] && place[x] < place[d] {
				good = false
			}
		}
		if good {
			ok = append(ok, d)
		}
	}
	return ok
}

// build turns g into a function, sealing blocks as early as possible or late. With
// rng it tells the dominators of some.
func build(t testing.TB, b *Builder, f *ir.Function, g []node, nvars int, late bool, order []int, rng *rand.Rand) {
	b.Begin(f)
	blocks := make([]ir.Block, len(g))
	vars := make([]Variable, nvars)
	for i := range blocks {
		blocks[i] = b.CreateBlock()
	}
	for i := range vars {
		vars[i] = b.DeclareVar(ir.I64)
	}
	left := make([]int, len(g))
	for _, n := range g {
		for _, s := range n.succ {
			left[s]++
		}
	}
	place := make([]int, len(g))
	for i := range place {
		place[i] = -1
	}
	setDominator := func(i int) {
		if rng == nil {
			return
		}
		if d := dominators(g, i, place); len(d) > 0 && rng.IntN(4) > 0 {
			b.SetDominator(blocks[i], blocks[d[rng.IntN(len(d))]])
		}
	}
	sealIf := func(i int) {
		if !late && left[i] == 0 {
			setDominator(i)
			b.Seal(blocks[i])
		}
	}
	for i := range g {
		sealIf(i)
	}
	for k, i := range order {
		n := g[i]
		b.SwitchTo(blocks[i])
		place[i] = k
		for _, s := range n.steps {
			sum := b.Iadd(b.UseVar(vars[s.a]), b.UseVar(vars[s.b]))
			b.DefVar(vars[s.dst], b.Iadd(sum, b.Iconst(ir.I64, s.k)))
		}
		c := b.UseVar(vars[n.cond])
		switch len(n.succ) {
		case 0:
			b.Return(c)
		case 1:
			b.Jump(blocks[n.succ[0]])
		case 2:
			odd := b.Band(c, b.Iconst(ir.I64, 1))
			b.Brif(odd, blocks[n.succ[0]], nil, blocks[n.succ[1]], nil)
		}
		for _, s := range n.succ {
			left[s]--
		}
		for k, s := range n.succ {
			if k == 0 || s != n.succ[0] {
				sealIf(s)
			}
		}
	}
	if late {
		for i := range g {
			setDominator(i)
		}
		b.SealAll()
	}
	finish(t, b)
}

// direct runs g as the language says, for at most a number of blocks.
func direct(g []node, nvars, fuel int) (result int64, ok bool) {
	vars := make([]int64, nvars)
	for i := 0; fuel > 0; fuel-- {
		for _, s := range g[i].steps {
			vars[s.dst] = vars[s.a] + vars[s.b] + s.k
		}
		c := vars[g[i].cond]
		switch len(g[i].succ) {
		case 0:
			return c, true
		case 1:
			i = g[i].succ[0]
		case 2:
			i = g[i].succ[1-c&1]
		}
	}
	return 0, false
}

// execute runs the function, for at most a number of blocks.
func execute(t *testing.T, f *ir.Function, fuel int) (int64, bool) {
	vals := make(map[ir.Value]int64)
	get := func(v ir.Value) int64 {
		x, ok := vals[v]
		if !ok {
			t.Fatalf("%v is read before it is made", v)
		}
		return x
	}
	for b := f.Entry(); fuel > 0; fuel-- {
		for i := f.FirstInst(b); i != ir.NoInst; i = f.NextInst(i) {
			a := f.Args(i)
			dest := 0
			switch f.Inst(i).Op {
			case ir.OpIconst:
				vals[f.Result(i)] = f.Inst(i).Imm
				continue
			case ir.OpIadd:
				vals[f.Result(i)] = get(a[0]) + get(a[1])
				continue
			case ir.OpBand:
				vals[f.Result(i)] = get(a[0]) & get(a[1])
				continue
			case ir.OpReturn:
				return get(a[0]), true
			case ir.OpBrif:
				if get(a[0]) == 0 {
					dest = 1
				}
			case ir.OpJump:
			default:
				t.Fatalf("unexpected %v", f.Inst(i).Op)
			}
			args := f.DestArgs(i, dest)
			in := make([]int64, len(args))
			for k, v := range args {
				in[k] = get(v)
			}
			b = f.Dests(i)[dest].Block
			params := f.Params(b)
			if len(params) != len(in) {
				t.Fatalf("%v has %d parameters and gets %d arguments", b, len(params), len(in))
			}
			for k, v := range params {
				vals[v] = in[k]
			}
			break
		}
	}
	return 0, false
}

// checkDominance fails unless every use is dominated by its definition, in
// code that can be reached.
func checkDominance(t *testing.T, f *ir.Function) {
	var c ir.CFG
	var d ir.DomTree
	c.Compute(f)
	d.Compute(f, &c)
	check := func(v ir.Value, at ir.Inst) {
		if _, ok := f.Alias(v); ok {
			t.Fatalf("%v in %v is an alias", v, at)
		}
		if b, _ := f.ValueBlock(v); b != ir.NoBlock {
			if !d.Dominates(b, f.InstBlock(at)) {
				t.Fatalf("parameter %v does not dominate its use in %v", v, at)
			}
			return
		}
		def, _ := f.ValueInst(v)
		if def == ir.NoInst {
			t.Fatalf("%v in %v has no definition", v, at)
		}
		db, ub := f.InstBlock(def), f.InstBlock(at)
		if db == ub && !f.Before(def, at) || !d.Dominates(db, ub) {
			t.Fatalf("%v does not dominate its use in %v", v, at)
		}
	}
	for b := f.Entry(); b != ir.NoBlock; b = f.NextBlock(b) {
		if !d.Reachable(b) {
			continue
		}
		for i := f.FirstInst(b); i != ir.NoInst; i = f.NextInst(i) {
			for _, v := range f.Args(i) {
				check(v, i)
			}
			for k := range f.Dests(i) {
				for _, v := range f.DestArgs(i, k) {
					check(v, i)
				}
			}
		}
	}
}

// TestVariables builds random programs, filling and sealing blocks in
// different orders, and compares what they compute with what they mean.
func TestVariables(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	var b Builder
	ran := 0
	f := ir.NewFunction(ir.TestName("f"), ir.Signature{})
	for round := range 6000 {
		n, nvars := 2+rng.IntN(10), 1+rng.IntN(4)
		g := randomGraph(rng, n, nvars)
		order := append([]int{0}, rng.Perm(n-1)...)
		for i := range order[1:] {
			order[1+i]++
		}
		f.Clear()
		dominators := rng
		if round%4 < 2 {
			dominators = nil
		}
		build(t, &b, f, g, nvars, round%2 == 0, order, dominators)
		checkDominance(t, f)
		want, ok := direct(g, nvars, 200)
		got, ok2 := execute(t, f, 200)
		if ok != ok2 || got != want {
			t.Fatalf("round %d: got %d %v, want %d %v\n%+v", round, got, ok2, want, ok, g)
		}
		if ok {
			ran++
		}
	}
	if ran < 1000 {
		t.Fatalf("only %d programs came to an end", ran)
	}
}

// TestDominators holds that knowing dominators saves parameters and never costs any.
func TestDominators(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	var b Builder
	f := ir.NewFunction(ir.TestName("f"), ir.Signature{})
	saved := 0
	for range 1000 {
		n, nvars := 2+rng.IntN(10), 1+rng.IntN(4)
		g := randomGraph(rng, n, nvars)
		order := make([]int, n)
		for i := range order {
			order[i] = i
		}
		params := func(rng *rand.Rand) (n int) {
			f.Clear()
			build(t, &b, f, g, nvars, false, order, rng)
			for blk := f.Entry(); blk != ir.NoBlock; blk = f.NextBlock(blk) {
				n += len(f.Params(blk))
			}
			return n
		}
		without, with := params(nil), params(rng)
		if with > without {
			t.Fatalf("%d parameters with dominators, %d without\n%+v", with, without, g)
		}
		saved += without - with
	}
	if saved == 0 {
		t.Error("dominators have saved nothing")
	}
}

// TestTraces reads a variable where the ways out of every block of a long trace
// meet; some of them assign it.
func TestTraces(t *testing.T) {
	var b Builder
	f := ir.NewFunction(ir.TestName("f"), ir.Signature{})
	b.Begin(f)
	x := b.DeclareVar(ir.I64)
	entry, exit := b.CreateBlock(), b.CreateBlock()
	b.SwitchTo(entry)
	b.Seal(entry)
	cond := b.Iconst(ir.I32, 1)
	var now ir.Value
	var branches []ir.Inst
	var want []ir.Value
	for i := range 2000 {
		if i%3 != 1 {
			now = b.Iconst(ir.I64, int64(i))
			b.DefVar(x, now)
		}
		next := b.CreateBlock()
		branches = append(branches, b.Brif(cond, exit, nil, next, nil))
		want = append(want, now)
		b.Seal(next)
		b.SwitchTo(next)
	}
	branches = append(branches, b.Jump(exit))
	want = append(want, now)
	b.Seal(exit)
	b.SwitchTo(exit)
	b.Return(b.UseVar(x))
	finish(t, &b)
	for i, inst := range branches {
		if args := f.DestArgs(inst, 0); len(args) != 1 || args[0] != want[i] {
			t.Fatalf("branch %d passes %v, want %v", i, args, want[i])
		}
	}
}

// TestMinimal holds that structured code gets no parameter that it does not
// need: a variable that a loop leaves alone.
func TestMinimal(t *testing.T) {
	var b Builder
	f := ir.NewFunction(ir.TestName("f"), ir.Signature{})
	b.Begin(f)
	entry, loop, exit := b.CreateBlock(), b.CreateBlock(), b.CreateBlock()
	x, y := b.DeclareVar(ir.I32), b.DeclareVar(ir.I32)
	b.SwitchTo(entry)
	b.Seal(entry)
	seven := b.Iconst(ir.I32, 7)
	b.DefVar(x, seven)
	b.DefVar(y, seven)
	b.Jump(loop)
	b.SwitchTo(loop)
	b.DefVar(y, b.Iadd(b.UseVar(y), b.UseVar(x)))
	b.Brif(b.UseVar(y), loop, nil, exit, nil)
	b.Seal(loop)
	b.Seal(exit)
	b.SwitchTo(exit)
	ret := b.Return(b.UseVar(x), b.UseVar(y))
	finish(t, &b)
	if n := len(f.Params(loop)); n != 1 {
		t.Errorf("the loop has %d parameters, want 1", n)
	}
	if f.Args(ret)[0] != seven {
		t.Errorf("the unchanged variable is %v, want %v", f.Args(ret)[0], seven)
	}
}

// TestLongChains reads variables through as many blocks as a large function
// has, sealed and not: what recursion would not survive.
func TestLongChains(t *testing.T) {
	const n = 200_000
	for _, diamond := range []bool{false, true} {
		var b Builder
		f := ir.NewFunction(ir.TestName("f"), ir.Signature{})
		b.Begin(f)
		cur := b.CreateBlock()
		v := b.DeclareVar(ir.I32)
		b.SwitchTo(cur)
		b.Seal(cur)
		one := b.Iconst(ir.I32, 1)
		b.DefVar(v, one)
		for range n {
			next := b.CreateBlock()
			if diamond {
				b.Brif(one, next, nil, next, nil)
			} else {
				b.Jump(next)
			}
			b.Seal(next)
			b.SwitchTo(next)
		}
		ret := b.Return(b.UseVar(v))
		finish(t, &b)
		if f.Args(ret)[0] != one {
			t.Fatalf("read %v, want %v", f.Args(ret)[0], one)
		}
	}
}

// TestTooLarge nests so many loops around so many variables that the result
// would take gigabytes. The next function is not affected.
func TestTooLarge(t *testing.T) {
	const n = 8000
	var b Builder
	f := ir.NewFunction(ir.TestName("f"), ir.Signature{})
	b.Begin(f)
	entry := b.CreateBlock()
	b.SwitchTo(entry)
	b.Seal(entry)
	one := b.Iconst(ir.I32, 1)
	vars := make([]Variable, n)
	for i := range vars {
		vars[i] = b.DeclareVar(ir.I32)
		b.DefVar(vars[i], one)
	}
	loops := make([]ir.Block, n)
	for i := range loops {
		loops[i] = b.CreateBlock()
		b.Jump(loops[i])
		b.SwitchTo(loops[i])
	}
	for _, v := range vars {
		b.DefVar(v, b.Iadd(b.UseVar(v), one))
	}
	for i := range loops {
		next := b.CreateBlock()
		b.Brif(one, loops[n-1-i], nil, next, nil)
		b.Seal(loops[n-1-i])
		b.Seal(next)
		b.SwitchTo(next)
	}
	b.Return()
	if err := b.Finish(); !errors.Is(err, ErrTooLarge) {
		t.Errorf("error %v", err)
	}
	f.Clear()
	b.Begin(f)
	entry = b.CreateBlock()
	b.SwitchTo(entry)
	b.Seal(entry)
	v := b.DeclareVar(ir.I32)
	ret := b.Return(b.UseVar(v))
	if err := b.Finish(); err != nil || len(f.Args(ret)) != 1 {
		t.Errorf("the next function: %v", err)
	}
}

func TestSwitch(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	var b Builder
	for round := range 500 {
		typ := []ir.Type{ir.I8, ir.I16, ir.I32, ir.I64}[rng.IntN(4)]
		var cases []Case
		seen := map[uint64]bool{}
		for range rng.IntN(40) {
			x := rng.Uint64() >> (64 - typ.Bits())
			if rng.IntN(4) > 0 {
				x = uint64(rng.IntN(60))
			}
			for range 1 + rng.IntN(6) {
				if x &= 1<<(typ.Bits()-1)<<1 - 1; !seen[x] {
					seen[x] = true
					cases = append(cases, Case{Value: x})
				}
				x++
			}
		}
		probe := []uint64{0, 1<<(typ.Bits()-1)<<1 - 1, rng.Uint64() & (1<<(typ.Bits()-1)<<1 - 1)}
		for _, c := range cases {
			probe = append(probe, c.Value, (c.Value+1)&(1<<(typ.Bits()-1)<<1-1), (c.Value-1)&(1<<(typ.Bits()-1)<<1-1))
		}
		f := ir.NewFunction(ir.TestName("f"), ir.Signature{Params: []ir.Param{{Type: typ}}})
		b.Begin(f)
		entry, otherwise := b.CreateBlock(), b.CreateBlock()
		b.AppendFunctionParams(entry)
		b.SwitchTo(entry)
		param := f.Params(entry)[0]
		want := map[uint64]ir.Block{}
		for i := range cases {
			cases[i].Block = b.CreateBlock()
			want[cases[i].Value] = cases[i].Block
		}
		b.Switch(param, otherwise, cases)
		b.SwitchTo(otherwise)
		b.Return()
		for _, c := range cases {
			b.SwitchTo(c.Block)
			b.Return()
		}
		b.Seal(entry)
		b.Seal(otherwise)
		for _, c := range cases {
			b.Seal(c.Block)
		}
		finish(t, &b)
		for _, x := range probe {
			w, ok := want[x]
			if !ok {
				w = otherwise
			}
			if got := runSwitch(t, f, param, x); got != w {
				t.Fatalf("round %d: %v value %#x goes to %v, want %v", round, typ, x, got, w)
			}
		}
	}
}

// runSwitch follows the search for x to the block it returns from.
func runSwitch(t *testing.T, f *ir.Function, param ir.Value, x uint64) ir.Block {
	vals := map[ir.Value]uint64{param: x}
	mask := func(typ ir.Type) uint64 { return 1<<(typ.Bits()-1)<<1 - 1 }
	for b := f.Entry(); ; {
		next := ir.NoBlock
		for i := f.FirstInst(b); i != ir.NoInst; i = f.NextInst(i) {
			d, a, r := f.Inst(i), f.Args(i), f.Result(i)
			switch d.Op {
			case ir.OpIconst:
				vals[r] = uint64(d.Imm)
			case ir.OpIsub:
				vals[r] = (vals[a[0]] - vals[a[1]]) & mask(d.Type)
			case ir.OpUextend, ir.OpIreduce:
				vals[r] = vals[a[0]] & mask(d.Type)
			case ir.OpIcmp:
				l, r2 := vals[a[0]], vals[a[1]]
				ok := map[ir.IntCC]bool{ir.Equal: l == r2, ir.UnsignedGreaterThan: l > r2, ir.UnsignedGreaterThanOrEqual: l >= r2}[d.IntCC()]
				vals[r] = 0
				if ok {
					vals[r] = 1
				}
			case ir.OpBrif:
				next = f.Dests(i)[1].Block
				if vals[a[0]] != 0 {
					next = f.Dests(i)[0].Block
				}
			case ir.OpBrTable:
				if f.ValueType(a[0]) != ir.I32 {
					t.Fatalf("index of type %v", f.ValueType(a[0]))
				}
				k := vals[a[0]] + 1
				if k >= uint64(len(f.Dests(i))) {
					k = 0
				}
				next = f.Dests(i)[k].Block
			case ir.OpJump:
				next = f.Dests(i)[0].Block
			case ir.OpReturn:
				return b
			default:
				t.Fatalf("unexpected %v", d.Op)
			}
		}
		b = next
	}
}

// TestGenerated holds that ins_gen.go's instructions are formed as the opcode
// table wants: one of each kind of operand order.
func TestGenerated(t *testing.T) {
	var b Builder
	f := ir.NewFunction(ir.TestName("f"), ir.Signature{})
	slot := f.AddStackSlot(ir.StackSlotData{Size: 16})
	b.Begin(f)
	blk := b.CreateBlock()
	b.SwitchTo(blk)
	addr := b.StackAddr(ir.I64, slot, 8)
	x := b.Iconst(ir.I32, -1)
	st := b.Store(ir.MemTrusted, x, addr, 4)
	rmw := b.AtomicRmw(ir.I32, 0, ir.AtomicXor, addr, x)
	sum, carry := b.UaddOverflow(rmw, x)
	sel := b.Select(carry, sum, x)
	vec := b.Splat(ir.I32X4, sel)
	lane := b.Extractlane(vec, 3)
	cmp := b.Fcmp(ir.LessThan, b.Fneg(b.F64const(0)), b.F64const(1))
	b.Trapz(cmp, ir.TrapHeapOutOfBounds)
	b.Return(lane)
	b.Seal(blk)
	finish(t, &b)
	if d := f.Inst(st); d.Type != ir.I32 || f.Args(st)[0] != x || f.Args(st)[1] != addr || d.Imm != 4 || d.Flags != ir.MemTrusted {
		t.Errorf("store: %+v", d)
	}
	for v, want := range map[ir.Value]ir.Type{addr: ir.I64, rmw: ir.I32, sum: ir.I32, carry: ir.I8, sel: ir.I32, vec: ir.I32X4, lane: ir.I32, cmp: ir.I8} {
		if got := f.ValueType(v); got != want {
			t.Errorf("%v has type %v, want %v", v, got, want)
		}
	}
	i, _ := f.ValueInst(x)
	if imm := f.Inst(i).Imm; imm != 0xffffffff {
		t.Errorf("iconst.i32 -1 carries %#x", imm)
	}
	for i := f.FirstInst(blk); i != ir.NoInst; i = f.NextInst(i) {
		d := f.Inst(i)
		if n, _ := d.Op.FixedOperands(); d.Op.Info().Ctrl != ir.CtrlNone {
			for k := range n {
				if ok, want := d.Op.OperandOK(k, d.Type, f.ValueType(f.Args(i)[k])); !ok {
					t.Errorf("operand %d of %v is not %s", k, d.Op, want)
				}
			}
		}
	}
}

func BenchmarkBuilder(b *testing.B) {
	rng := rand.New(rand.NewPCG(7, 8))
	g := randomGraph(rng, 300, 20)
	order := make([]int, len(g))
	for i := range order {
		order[i] = i
	}
	var bld Builder
	f := ir.NewFunction(ir.TestName("f"), ir.Signature{})
	blocks, vars := make([]ir.Block, 300), make([]Variable, 20)
	b.ReportAllocs()
	for b.Loop() {
		f.Clear()
		bld.Begin(f)
		for i := range blocks {
			blocks[i] = bld.CreateBlock()
		}
		for i := range vars {
			vars[i] = bld.DeclareVar(ir.I64)
		}
		for _, i := range order {
			bld.SwitchTo(blocks[i])
			for _, s := range g[i].steps {
				bld.DefVar(vars[s.dst], bld.Iadd(bld.UseVar(vars[s.a]), bld.UseVar(vars[s.b])))
			}
			c := bld.UseVar(vars[g[i].cond])
			switch len(g[i].succ) {
			case 0:
				bld.Return(c)
			case 1:
				bld.Jump(blocks[g[i].succ[0]])
			case 2:
				bld.Brif(c, blocks[g[i].succ[0]], nil, blocks[g[i].succ[1]], nil)
			}
		}
		bld.SealAll()
		if err := bld.Finish(); err != nil {
			b.Fatal(err)
		}
	}
}
