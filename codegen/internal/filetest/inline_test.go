package filetest

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
)

// randomCalls is a file of functions that call those before them in all ways, with
// what has to be copied right around that: loops, stack slots, constants, tables of
// branches, traps, tail calls.
func randomCalls(r *rand.Rand) string {
	var b strings.Builder
	b.WriteString("test inline\nset opt_level=speed\ntarget x86_64\n\n")
	for n := range 3 + r.IntN(5) {
		g := callGenerator{r: r, w: &b, v: 2, earlier: n}
		fmt.Fprintf(&b, "function %%f%d(i64, i64) -> i64, i64 tail {\n    ss0 = explicit_slot 16\n    region0 = %d \"r\"\n", n, r.IntN(3))
		b.WriteString("    sig0 = (i64, i64) -> i64, i64 tail\n")
		for k := range n {
			fmt.Fprintf(&b, "    fn%d = %%f%d sig0\n", k, k)
		}
		b.WriteString("block0(v0: i64, v1: i64):\n")
		g.values = []string{"v0", "v1"}
		g.function()
		b.WriteString("}\n")
		for range 3 {
			fmt.Fprintf(&b, "; run: %%f%d(%d, %d) == [0, 0]\n", n, r.IntN(7)-3, r.Int64()>>r.IntN(64))
		}
		b.WriteByte('\n')
	}
	return b.String()
}

type callGenerator struct {
	r        *rand.Rand
	w        *strings.Builder
	values   []string
	v, block int
	earlier  int
}

func (g *callGenerator) def(format string, args ...any) {
	name := fmt.Sprintf("v%d", g.v)
	g.v++
	fmt.Fprintf(g.w, "    %s = %s\n", name, fmt.Sprintf(format, args...))
	g.values = append(g.values, name)
}

func (g *callGenerator) use() string { return g.values[g.r.IntN(len(g.values))] }

func (g *callGenerator) newBlock() int {
	g.block++
	return g.block
}

// begin begins a block with two parameters.
func (g *callGenerator) begin(b int) {
	fmt.Fprintf(g.w, "block%d(v%d: i64, v%d: i64):\n", b, g.v, g.v+1)
	g.values = append(g.values, fmt.Sprintf("v%d", g.v), fmt.Sprintf("v%d", g.v+1))
	g.v += 2
}

func (g *callGenerator) function() {
	for range 1 + g.r.IntN(3) {
		g.straight()
		keep := len(g.values)
		switch g.r.IntN(5) {
		case 0: // a diamond
			yes, no, end := g.newBlock(), g.newBlock(), g.newBlock()
			fmt.Fprintf(g.w, "    brif %s, block%d(%s, %s), block%d\n", g.use(), yes, g.use(), g.use(), no)
			g.begin(yes)
			g.straight()
			fmt.Fprintf(g.w, "    jump block%d(%s, %s)\n", end, g.use(), g.use())
			g.values = g.values[:keep]
			fmt.Fprintf(g.w, "block%d:\n", no)
			g.straight()
			if g.r.IntN(3) == 0 {
				g.leave()
			} else {
				fmt.Fprintf(g.w, "    jump block%d(%s, %s)\n", end, g.use(), g.use())
			}
			g.values = g.values[:keep]
			g.begin(end)
		case 1: // a loop of a few turns
			head, end := g.newBlock(), g.newBlock()
			g.def("iconst.i64 %d", 1+g.r.IntN(3))
			count := g.values[len(g.values)-1]
			fmt.Fprintf(g.w, "    jump block%d(%s, %s)\n", head, count, g.use())
			g.begin(head)
			turn := fmt.Sprintf("v%d", g.v-2)
			g.straight()
			g.def("iconst.i64 -1")
			g.def("iadd %s, v%d", turn, g.v-1)
			left := g.values[len(g.values)-1]
			fmt.Fprintf(g.w, "    brif %s, block%d(%s, %s), block%d(%s, %s)\n", left, head, left, g.use(), end, g.use(), g.use())
			g.values = g.values[:keep]
			g.begin(end)
		case 2: // a table
			end, other := g.newBlock(), g.newBlock()
			g.def("ireduce.i32 %s", g.use())
			index := g.values[len(g.values)-1]
			g.values = g.values[:len(g.values)-1]
			fmt.Fprintf(g.w, "    br_table %s, block%d(%s, %s), [block%d, block%d(%s, %s)]\n", index, end, g.use(), g.use(), other, end, g.use(), g.use())
			fmt.Fprintf(g.w, "block%d:\n", other)
			g.leave()
			g.values = g.values[:keep]
			g.begin(end)
		}
	}
	g.leave()
}

// straight writes a few instructions without branches.
func (g *callGenerator) straight() {
	for range 1 + g.r.IntN(4) {
		switch g.r.IntN(8) {
		case 0:
			g.def("iconst.i64 %d", g.r.Int64()>>g.r.IntN(64))
		case 1:
			g.def("stack_addr.i64 ss0+%d", g.r.IntN(2)*8)
			addr := g.values[len(g.values)-1]
			g.values = g.values[:len(g.values)-1]
			fmt.Fprintf(g.w, "    store notrap region0 %s, %s\n", g.use(), addr)
			g.def("load.i64 notrap region0 %s", addr)
		case 2, 3, 4:
			if g.earlier > 0 {
				fmt.Fprintf(g.w, "    v%d, v%d = call fn%d(%s, %s)\n", g.v, g.v+1, g.r.IntN(g.earlier), g.use(), g.use())
				g.values = append(g.values, fmt.Sprintf("v%d", g.v), fmt.Sprintf("v%d", g.v+1))
				g.v += 2
			}
		case 5:
			if g.r.IntN(4) == 0 {
				fmt.Fprintf(g.w, "    trapz %s, user%d\n", g.use(), 1+g.r.IntN(3))
			}
		default:
			g.def("%s %s, %s", []string{"iadd", "isub", "imul", "bxor", "band"}[g.r.IntN(5)], g.use(), g.use())
		}
	}
}

// leave ends the function.
func (g *callGenerator) leave() {
	if g.earlier > 0 && g.r.IntN(3) == 0 {
		fmt.Fprintf(g.w, "    return_call fn%d(%s, %s)\n", g.r.IntN(g.earlier), g.use(), g.use())
		return
	}
	fmt.Fprintf(g.w, "    return %s, %s\n", g.use(), g.use())
}

// TestInlineRandom: functions with everything inlined do what they do in the
// interpreter, which inlines nothing.
func TestInlineRandom(t *testing.T) {
	ran := 0
	for seed := range uint64(120) {
		src := randomCalls(rand.New(rand.NewPCG(seed, 1)))
		r := Source(fmt.Sprintf("seed %d", seed), src, Options{Settings: []string{"opt_level=" + []string{"none", "speed"}[seed%2]}})
		if r.Failed > 0 {
			t.Fatalf("%s\n%s", strings.Join(r.Failures, "\n"), src)
		}
		ran += r.Passed
	}
	if ran < 120*9 {
		t.Errorf("%d checks", ran)
	}
}
