package ir

import (
	"math/rand/v2"
	"testing"
)

func TestTypes(t *testing.T) {
	for _, name := range []string{"i8", "i128", "f16", "f128", "i8x16", "f64x2", "i32x4xN", "i8x2"} {
		typ, ok := ParseType(name)
		if !ok || typ.String() != name {
			t.Errorf("ParseType(%q) = %v, %v", name, typ, ok)
		}
	}
	for _, name := range []string{"", "i7", "i8x", "i8x3", "i8x1", "i8x512", "i8x016", "xN", "i8x16xNxN"} {
		if typ, ok := ParseType(name); ok {
			t.Errorf("ParseType(%q) = %v, want failure", name, typ)
		}
	}
	if I16X8.Merge() != I32X4 || I16X8.Split() != I8X16 || F32X4.AsTruthy() != I32X4 || F64.AsTruthy() != I8 || I8.HalfWidth() != Invalid || I128.DoubleWidth() != Invalid {
		t.Error("derived types are wrong")
	}
}

func TestConditions(t *testing.T) {
	for c := IntCC(0); c < numIntCC; c++ {
		if c.Inverse().Inverse() != c || c.Swap().Swap() != c || c.Inverse() == c {
			t.Errorf("%v: inverse %v, swap %v", c, c.Inverse(), c.Swap())
		}
		if p, ok := ParseIntCC(c.String()); !ok || p != c {
			t.Errorf("%v does not parse", c)
		}
	}
	for c := FloatCC(0); c < numFloatCC; c++ {
		if c.Inverse().Inverse() != c || c.Swap().Swap() != c || c.Inverse() == c {
			t.Errorf("%v: inverse %v, swap %v", c, c.Inverse(), c.Swap())
		}
	}
	m := MemFlags(0).WithTrap(7).WithRegion(3)
	if c, ok := m.TrapCode(); c != 7 || !ok {
		t.Error("trap code lost")
	}
	if r, ok := m.Region(); r != 3 || !ok {
		t.Error("region lost")
	}
}

func TestOpcodeTable(t *testing.T) {
	for o := OpInvalid + 1; o < NumOpcodes; o++ {
		info := o.Info()
		if info.Name == "" || info.Doc == "" || info.Format == FormatInvalid {
			t.Errorf("opcode %d is incomplete: %+v", o, info)
		}
		if p, ok := ParseOpcode(info.Name); !ok || p != o {
			t.Errorf("%s does not parse", info.Name)
		}
		if (info.Ctrl == CtrlNone) != (info.Set == setNone) {
			t.Errorf("%s: type set and controlling operand disagree", info.Name)
		}
		if n, _ := o.FixedOperands(); int(info.Ctrl) >= n {
			t.Errorf("%s: controlling operand %d of %d", info.Name, info.Ctrl, n)
		}
	}
}

// graph makes a function with n blocks whose block i branches to edges[i].
func graph(n int, edges [][]int) *Function {
	f := NewFunction(TestName("g"), Signature{})
	for range n {
		f.AppendBlock(f.AddBlock())
	}
	for i, to := range edges {
		op := OpBrTable
		if len(to) == 0 {
			op = OpReturn
		}
		inst := f.AddInst(InstData{Op: op})
		for _, b := range to {
			f.AddDest(inst, Block(b))
		}
		f.AppendInst(inst, Block(i))
	}
	return f
}

// TestDominators compares with the definition: a dominates b if b cannot be
// reached without a.
func TestDominators(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	var c CFG
	var d DomTree
	var l LoopForest
	for range 500 {
		n := 1 + rng.IntN(12)
		edges := make([][]int, n)
		for i := range edges {
			for range rng.IntN(4) {
				edges[i] = append(edges[i], rng.IntN(n))
			}
		}
		f := graph(n, edges)
		c.Compute(f)
		d.Compute(f, &c)
		l.Compute(f, &c, &d)
		reach := func(without int) []bool {
			seen := make([]bool, n)
			var visit func(int)
			visit = func(b int) {
				if b == without || seen[b] {
					return
				}
				seen[b] = true
				for _, to := range edges[b] {
					visit(to)
				}
			}
			visit(0)
			return seen
		}
		all := reach(-1)
		for a := range n {
			cut := reach(a)
			for b := range n {
				want := all[a] && all[b] && !cut[b]
				if got := d.Dominates(Block(a), Block(b)); got != want {
					t.Fatalf("%v: Dominates(%d, %d) = %v", edges, a, b, got)
				}
			}
		}
		preds := 0
		for b := range n {
			preds += len(c.Preds(Block(b)))
			for _, e := range c.Preds(Block(b)) {
				if f.Dests(e.Inst)[e.Dest].Block != Block(b) {
					t.Fatalf("wrong edge %v into %d", e, b)
				}
			}
			// A block is in the loop of h if h dominates it and it reaches a
			// source of a back edge to h without passing h.
			depth := 0
			for h := range n {
				if !d.Dominates(Block(h), Block(b)) {
					continue
				}
				seen := make([]bool, n)
				var visit func(int) bool
				visit = func(x int) bool {
					if seen[x] {
						return false
					}
					seen[x] = true
					for _, to := range edges[x] {
						if to == h && d.Dominates(Block(h), Block(x)) {
							return true
						}
						if to != h && visit(to) {
							return true
						}
					}
					return false
				}
				if visit(b) {
					depth++
				}
			}
			if all[b] && l.Depth(Block(b)) != depth {
				t.Fatalf("%v: depth of %d is %d, want %d", edges, b, l.Depth(Block(b)), depth)
			}
		}
		total := 0
		for _, e := range edges {
			total += len(e)
		}
		if preds != total {
			t.Fatalf("%d edges, want %d", preds, total)
		}
	}
}

func TestListsAndLayout(t *testing.T) {
	f := NewFunction(TestName("f"), Signature{})
	for round := range 2 { // the second on reused memory
		b := f.AddBlock()
		f.AppendBlock(b)
		var params []Value
		for range 20 {
			params = append(params, f.AddParam(b, I32))
		}
		for i, p := range f.Params(b) {
			if p != params[i] {
				t.Fatalf("round %d: parameter %d is %v, want %v", round, i, p, params[i])
			}
			if blk, n := f.ValueBlock(p); blk != b || n != i {
				t.Fatalf("%v is parameter %d of %v", p, n, blk)
			}
		}
		f.RemoveParam(b, 3)
		if blk, n := f.ValueBlock(params[4]); blk != b || n != 3 {
			t.Fatalf("after removal %v is parameter %d", params[4], n)
		}
		call := f.AddInst(InstData{Op: OpReturn}, params[4:10]...)
		add := f.AddInst(InstData{Op: OpIadd, Type: I32}, params[0], params[1])
		f.AddResults(add)
		f.AppendInst(call, b)
		f.InsertBefore(add, call)
		if got := f.Args(call); len(got) != 6 || got[5] != params[9] {
			t.Fatalf("arguments %v", got)
		}
		if !f.Before(add, call) || f.Before(call, add) {
			t.Fatal("order is wrong")
		}
		nb := f.AddBlock()
		f.InsertBlockAfter(nb, b)
		f.SplitBlock(call, nb)
		if f.LastInst(b) != add || f.FirstInst(nb) != call || f.InstBlock(call) != nb {
			t.Fatal("split is wrong")
		}
		v := f.Result(add)
		f.DetachResults(add)
		f.SetAlias(v, params[0])
		if f.Resolve(v) != params[0] {
			t.Fatal("alias is lost")
		}
		c1, c2 := f.AddConstant([]byte{1, 2}), f.AddConstant([]byte{1, 2})
		if c1 != c2 {
			t.Fatal("constant is there twice")
		}
		f.Clear()
	}
	j := f.AddInst(InstData{Op: OpJump})
	k := f.AddInst(InstData{Op: OpBrif})
	f.EnsureBlock(3)
	f.AddDest(j, 1, 7)
	f.AddDest(k, 2)
	f.AddDest(k, 3, 8, 9)
	f.AddDestArg(j, 0, 10)
	if a := f.DestArgs(j, 0); len(a) != 2 || a[1] != 10 {
		t.Fatalf("arguments %v", a)
	}
	if a := f.DestArgs(k, 1); len(a) != 2 || a[0] != 8 || len(f.Dests(k)) != 2 {
		t.Fatalf("arguments %v", a)
	}
	if i, ok := RetArg(3).IsRetArg(); !ok || i != 3 || ExnArg(1).String() != "exn1" || NoValue.IsPlain() {
		t.Fatal("call arguments")
	}
}
