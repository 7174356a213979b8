package regalloc

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// builder makes functions for tests by hand.
type builder struct {
	Function
}

func newBuilder() *builder {
	b := &builder{}
	b.Clobbers = []PRegSet{{}}
	return b
}

func (b *builder) vreg(c RegClass) VReg {
	b.NumVRegs++
	return MakeVReg(c, b.NumVRegs-1)
}

func (b *builder) inst(ops ...Operand) {
	b.Operands = append(b.Operands, ops...)
	b.NewInst(0, 0)
}

// op appends an instruction that computes a value from others.
func (b *builder) op(uses ...VReg) VReg {
	d := b.vreg(uses[0].Class())
	for _, u := range uses {
		b.Operands = append(b.Operands, UseReg(u))
	}
	b.inst(DefReg(d))
	return d
}

// binary appends a two-address instruction.
func (b *builder) binary(x, y VReg) VReg {
	d := b.vreg(x.Class())
	b.inst(UseReg(x), Operand{VReg: y}, DefReuse(d, 0))
	return d
}

func (b *builder) block(params ...VReg) {
	b.Params = append(b.Params, params...)
	start := uint32(len(b.Insts))
	b.Blocks = append(b.Blocks, Block{
		Insts: Range{start, start}, Succs: Range{uint32(len(b.Edges)), uint32(len(b.Edges))},
		Params: Range{uint32(len(b.Params) - len(params)), uint32(len(b.Params))},
	})
}

func (b *builder) cur() *Block { return &b.Blocks[len(b.Blocks)-1] }

func (b *builder) edge(to int, args ...VReg) {
	b.Args = append(b.Args, args...)
	b.Edges = append(b.Edges, Edge{uint32(to), Range{uint32(len(b.Args) - len(args)), uint32(len(b.Args))}})
}

// end finishes the current block, after its terminator and edges.
func (b *builder) end() {
	b.cur().Insts.End = uint32(len(b.Insts))
	b.cur().Succs.End = uint32(len(b.Edges))
}

// straightLine is n instructions over about live values.
func straightLine(n, live int) *Function {
	b := newBuilder()
	r := rand.New(rand.NewPCG(1, 2))
	b.block()
	var vs []VReg
	for range live {
		v := b.vreg(Int)
		b.inst(DefReg(v))
		vs = append(vs, v)
	}
	for range n {
		x, y := r.IntN(live), r.IntN(live)
		vs[x] = b.binary(vs[x], vs[y])
	}
	for _, v := range vs {
		b.inst(UseReg(v))
	}
	b.inst()
	b.end()
	return &b.Function
}

// manyBlocks is a chain of n diamonds in a loop, with values that live across.
func manyBlocks(n, live int) *Function {
	b := newBuilder()
	r := rand.New(rand.NewPCG(1, 2))
	b.block()
	var vs []VReg
	for range live {
		v := b.vreg(Int)
		b.inst(DefReg(v))
		vs = append(vs, v)
	}
	b.inst()
	b.edge(1)
	b.end()
	for i := range n {
		at := 1 + 4*i
		v := vs[r.IntN(len(vs))]
		b.block()
		b.cur().LoopDepth = 1
		b.inst(UseReg(v))
		b.inst()
		b.edge(at + 1)
		b.edge(at + 2)
		b.end()
		for range 2 {
			b.block()
			b.cur().LoopDepth = 1
			d := b.op(vs[r.IntN(len(vs))])
			b.inst()
			b.edge(at+3, d)
			b.end()
		}
		p := b.vreg(Int)
		b.block(p)
		b.cur().LoopDepth = 1
		b.inst(UseReg(p))
		vs[r.IntN(len(vs))] = p
		b.inst()
		b.edge(at + 4)
		b.end()
	}
	b.block()
	b.inst(UseReg(vs[0]))
	b.inst()
	b.end()
	return &b.Function
}

// nested is n loops within each other, each with a counter.
func nested(n int) *Function {
	b := newBuilder()
	b.block()
	x := b.vreg(Int)
	b.inst(DefReg(x))
	b.inst()
	b.edge(1, x)
	b.end()
	var ps []VReg
	for i := range n {
		p := b.vreg(Int)
		ps = append(ps, p)
		b.block(p)
		b.cur().LoopDepth = uint8(min(i+1, 255))
		b.inst(UseReg(x))
		b.inst()
		b.edge(2+i, p)
		if i == n-1 {
			b.Edges[len(b.Edges)-1].Args.End = b.Edges[len(b.Edges)-1].Args.Start
		}
		b.end()
	}
	// The latches: each either goes back to its header or on to the next outer latch.
	for i := n - 1; i >= 0; i-- {
		at := 1 + n + 3*(n-1-i)
		b.block()
		b.cur().LoopDepth = uint8(min(i+1, 255))
		y := b.binary(ps[i], x)
		b.inst(UseReg(y))
		b.edge(at + 1)
		b.edge(at + 2)
		b.end()
		b.block()
		b.inst()
		b.edge(1+i, y)
		b.end()
		b.block()
		b.inst()
		if i > 0 {
			b.edge(at + 3)
		}
		b.end()
	}
	return &b.Function
}

func bigEnv() *Env {
	env := &Env{SpillUnits: [NumClasses]uint8{1, 2, 2}}
	for hw := range 14 {
		env.Allocatable[Int] = append(env.Allocatable[Int], MakePReg(Int, uint8(hw)))
	}
	for hw := range 16 {
		env.Allocatable[Float] = append(env.Allocatable[Float], MakePReg(Float, uint8(hw)))
	}
	return env
}

// benchFunctions are functions whose size is a parameter, to see that time grows as they do.
var benchFunctions = []struct {
	name string
	make func(n int) *Function
	size []int
}{
	{"straight10", func(n int) *Function { return straightLine(n, 10) }, []int{10_000, 100_000, 1_000_000}},
	{"straight40", func(n int) *Function { return straightLine(n, 40) }, []int{10_000, 100_000, 1_000_000}},
	{"live", func(n int) *Function { return straightLine(n, n) }, []int{10_000, 100_000}},
	{"blocks", func(n int) *Function { return manyBlocks(n/4, 30) }, []int{10_000, 100_000}},
	{"blocks-live", func(n int) *Function { return manyBlocks(n/4, n/10) }, []int{10_000, 100_000}},
	{"nested", nested, []int{100, 1_000, 10_000}},
}

func BenchmarkAllocate(b *testing.B) {
	env := bigEnv()
	for _, algorithm := range []Algorithm{Fast, Global} {
		name := [...]string{Fast: "fast", Global: "global"}[algorithm]
		for _, bf := range benchFunctions {
			for _, n := range bf.size {
				b.Run(fmt.Sprintf("%s/%s/%d", name, bf.name, n), func(b *testing.B) {
					f := bf.make(n)
					if err := Validate(f, env); err != nil {
						b.Fatal(err)
					}
					var a Allocator
					if _, err := a.Allocate(f, env, Options{Algorithm: algorithm}); err != nil {
						b.Fatal(err)
					}
					b.ReportAllocs()
					b.ResetTimer()
					for range b.N {
						if _, err := a.Allocate(f, env, Options{Algorithm: algorithm}); err != nil {
							b.Fatal(err)
						}
					}
					b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(len(f.Insts)), "ns/inst")
				})
			}
		}
	}
}

// TestNoAllocations checks that an allocator that has seen a function allocates nothing for it again.
func TestNoAllocations(t *testing.T) {
	env := bigEnv()
	for _, algorithm := range algorithms {
		for _, bf := range benchFunctions {
			f := bf.make(500)
			var a Allocator
			n := testing.AllocsPerRun(3, func() {
				if _, err := a.Allocate(f, env, Options{Algorithm: algorithm}); err != nil {
					t.Fatal(err)
				}
			})
			if n != 0 {
				t.Errorf("algorithm %d, %s: %v allocations", algorithm, bf.name, n)
			}
		}
	}
}

// TestDeterministic checks that a fresh allocator and one that has seen much agree.
func TestDeterministic(t *testing.T) {
	var used Allocator
	for seed := range uint64(300) {
		env := testEnvs()[seed%4]
		f := generate(&choices{rand: rand.New(rand.NewPCG(seed, 5))}, env, 15, 15)
		for _, algorithm := range algorithms {
			var fresh Allocator
			x, err := fresh.Allocate(f, env, Options{Algorithm: algorithm})
			if err != nil {
				t.Fatal(err)
			}
			y, err := used.Allocate(f, env, Options{Algorithm: algorithm})
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(x, y, cmpopts.EquateEmpty()); d != "" {
				t.Fatalf("seed %d, algorithm %d: %s", seed, algorithm, d)
			}
		}
	}
}
