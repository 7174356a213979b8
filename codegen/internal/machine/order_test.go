package machine

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/davit-wasm/davit/codegen/ir"
)

// randomCFG makes a function of n blocks with random branches.
func randomCFG(r *rand.Rand, n int) *ir.Function {
	f := ir.NewFunction(ir.TestName("f"), ir.Signature{CallConv: ir.Tail})
	blocks := make([]ir.Block, n)
	for i := range blocks {
		blocks[i] = f.AddBlock()
		f.AppendBlock(blocks[i])
		f.SetCold(blocks[i], r.IntN(6) == 0)
	}
	target := func() ir.Block { return blocks[1+r.IntN(n-1)] }
	for _, b := range blocks {
		k := f.AddInst(ir.InstData{Op: ir.OpIconst, Type: ir.I32, Imm: int64(r.IntN(9))})
		f.AppendInst(k, b)
		v := f.AddResult(k, ir.I32)
		var last ir.Inst
		switch r.IntN(10) {
		case 0:
			last = f.AddInst(ir.InstData{Op: ir.OpReturn})
		case 1, 2, 3:
			last = f.AddInst(ir.InstData{Op: ir.OpJump})
			f.AddDest(last, target())
		case 4:
			last = f.AddInst(ir.InstData{Op: ir.OpBrTable, Type: ir.I32}, v)
			for range 1 + r.IntN(6) {
				f.AddDest(last, target())
			}
		default:
			last = f.AddInst(ir.InstData{Op: ir.OpBrif, Type: ir.I32}, v)
			f.AddDest(last, target())
			f.AddDest(last, target())
		}
		f.AppendInst(last, b)
	}
	return f
}

// TestOrder checks what the rest of the compiler relies on, over random graphs.
func TestOrder(t *testing.T) {
	var o Order
	kept := 0
	for seed := range uint64(600) {
		r := rand.New(rand.NewPCG(seed, 2))
		n := 2 + r.IntN(40)
		if seed%2 != 0 {
			n = 2 + r.IntN(8)
		}
		f := randomCFG(r, n)
		if seed%2 != 0 && f.InOrder(new(ir.Walk)) {
			kept++
			o.Keep(f)
		} else {
			o.Compute(f)
		}

		place := map[ir.Block]int{}
		preds := make([]int, len(o.Blocks))
		cold := false
		for i := range o.Blocks {
			b := &o.Blocks[i]
			if b.Dest < 0 {
				if _, twice := place[b.IR]; twice {
					t.Fatalf("seed %d: %v is there twice", seed, b.IR)
				}
				place[b.IR] = i
			}
			if cold && !b.Cold {
				t.Fatalf("seed %d: block %d is not cold, but behind cold ones", seed, i)
			}
			cold = cold || b.Cold
			after := i == 0 || b.Dest >= 0
			for k := range o.Blocks[:i] {
				after = after || slices.Contains(o.Succs(k), uint32(i))
			}
			if !after {
				t.Fatalf("seed %d: %v follows none of its predecessors", seed, b.IR)
			}
			for _, to := range o.Succs(i) {
				preds[to]++
			}
		}
		if o.Blocks[0].IR != f.Entry() {
			t.Fatalf("seed %d: the entry is not first", seed)
		}
		var walk ir.Walk
		reachable := len(f.PostOrder(&walk))
		if len(place) != reachable {
			t.Fatalf("seed %d: %d blocks, %d can be reached", seed, len(place), reachable)
		}
		for i := range o.Blocks {
			b := &o.Blocks[i]
			succs := o.Succs(i)
			if len(succs) > 1 {
				for _, to := range succs {
					if preds[to] != 1 {
						t.Fatalf("seed %d: the edge from block %d to %d is critical", seed, i, to)
					}
				}
			}
			if b.Dest >= 0 {
				continue
			}
			// Every block call leads, perhaps by a split edge, to its block.
			for d, call := range f.Dests(f.LastInst(b.IR)) {
				to := int(o.Target(i, d))
				if e := &o.Blocks[to]; e.Dest >= 0 {
					to = int(o.Succs(to)[0])
				}
				if o.Blocks[to].IR != call.Block {
					t.Fatalf("seed %d: call %d of %v leads to %v, want %v", seed, d, b.IR, o.Blocks[to].IR, call.Block)
				}
			}
		}
	}
	if kept == 0 {
		t.Error("no layout has been kept")
	}
}

// TestKeep: loops have their depths, up to the last branch back.
func TestKeep(t *testing.T) {
	f := ir.NewFunction(ir.TestName("f"), ir.Signature{CallConv: ir.Tail})
	var b [7]ir.Block
	for i := range b {
		b[i] = f.AddBlock()
		f.AppendBlock(b[i])
	}
	for from, to := range [][]int{{1}, {2, 6}, {3}, {2, 4}, {4, 5}, {1, 6}, {}} {
		op := ir.InstData{Op: ir.OpReturn}
		var args []ir.Value
		switch len(to) {
		case 1:
			op = ir.InstData{Op: ir.OpJump}
		case 2:
			op = ir.InstData{Op: ir.OpBrif, Type: ir.I32}
			k := f.AppendNew(&ir.InstData{Op: ir.OpIconst, Type: ir.I32}, b[from])
			args = append(args, f.Result(k))
		}
		last := f.AppendNew(&op, b[from], args...)
		for _, x := range to {
			f.AddDest(last, b[x])
		}
	}
	var o Order
	o.Keep(f)
	var got []uint8
	for i := range o.Blocks {
		if o.Blocks[i].Dest < 0 {
			if o.Blocks[i].IR != b[len(got)] {
				t.Errorf("%v comes out of order", o.Blocks[i].IR)
			}
			got = append(got, o.Blocks[i].Depth)
		}
	}
	if want := []uint8{0, 1, 2, 2, 2, 1, 0}; !slices.Equal(got, want) {
		t.Errorf("depths %v, want %v", got, want)
	}
}

// TestOrderKeepsLoopsTogether nests loops whose exits come first in the text.
func TestOrderKeepsLoopsTogether(t *testing.T) {
	f := ir.NewFunction(ir.TestName("f"), ir.Signature{CallConv: ir.Tail})
	var b [6]ir.Block
	for i := range b {
		b[i] = f.AddBlock()
		f.AppendBlock(b[i])
	}
	branch := func(from int, to ...int) {
		var last ir.Inst
		if len(to) == 1 {
			last = f.AddInst(ir.InstData{Op: ir.OpJump})
		} else {
			k := f.AddInst(ir.InstData{Op: ir.OpIconst, Type: ir.I32})
			f.AppendInst(k, b[from])
			last = f.AddInst(ir.InstData{Op: ir.OpBrif, Type: ir.I32}, f.AddResult(k, ir.I32))
		}
		for _, x := range to {
			f.AddDest(last, b[x])
		}
		f.AppendInst(last, b[from])
	}
	branch(0, 2)
	f.AppendInst(f.AddInst(ir.InstData{Op: ir.OpReturn}), b[1])
	branch(2, 1, 3) // outer header: exit first
	branch(3, 4, 5) // inner header: exit first
	branch(4, 2)    // outer latch
	branch(5, 3)    // inner latch
	var o Order
	o.Compute(f)
	var got []ir.Block
	depth := map[ir.Block]uint8{}
	for i := range o.Blocks {
		got = append(got, o.Blocks[i].IR)
		depth[o.Blocks[i].IR] = o.Blocks[i].Depth
	}
	place := func(x ir.Block) int {
		for i, y := range got {
			if x == y {
				return i
			}
		}
		return -1
	}
	if place(b[5]) != place(b[3])+1 {
		t.Errorf("the inner loop is not together: %v", got)
	}
	if place(b[1]) != len(got)-1 {
		t.Errorf("the outer loop is not together: %v", got)
	}
	for i, want := range []uint8{0, 0, 1, 2, 1, 2} {
		if depth[b[i]] != want {
			t.Errorf("%v has depth %d, want %d", b[i], depth[b[i]], want)
		}
	}
}
