package codegen_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/davit-wasm/davit/codegen"
	"github.com/davit-wasm/davit/codegen/clif"
)

// large are functions whose size is a parameter, of shapes that something
// quadratic or recursive would not survive.
var large = []struct {
	name string
	text func(w *strings.Builder, n int)
}{
	{"comparisons", func(w *strings.Builder, n int) { // each of the last
		w.WriteString("function %f(i64) -> i64 tail {\nblock0(v0: i64):\n v1 = iconst.i64 0\n")
		last := 0
		for i := range n {
			fmt.Fprintf(w, " v%d = icmp ne v%d, v1\n v%d = uextend.i64 v%d\n", 2*i+2, last, 2*i+3, 2*i+2)
			last = 2*i + 3
		}
		fmt.Fprintf(w, " return v%d\n}", last)
	}},
	{"additions", func(w *strings.Builder, n int) { // that make an address
		w.WriteString("function %f(i64) -> i64 tail {\nblock0(v0: i64):\n v1 = iconst.i64 8\n v2 = iadd v0, v1\n")
		for i := range n {
			fmt.Fprintf(w, " v%d = iadd v%d, v1\n", i+3, i+2)
		}
		fmt.Fprintf(w, " v%d = load.i64 v%d\n return v%d\n}", n+3, n+2, n+3)
	}},
	{"conditions", func(w *strings.Builder, n int) { // joined by band
		w.WriteString("function %f(i64, i64) -> i64 tail {\nblock0(v0: i64, v1: i64):\n v2 = icmp ult v0, v1\n")
		for i := range n {
			fmt.Fprintf(w, " v%d = band v%d, v2\n", i+3, i+2)
		}
		fmt.Fprintf(w, " brif v%d, block1, block2\nblock1:\n return v0\nblock2:\n return v1\n}", n+2)
	}},
	{"diamonds", func(w *strings.Builder, n int) {
		w.WriteString("function %f(i64) -> i64 tail {\nblock0(v0: i64):\n jump block1(v0)\n")
		for i := range n {
			b := 3*i + 1
			fmt.Fprintf(w, "block%d(v%d: i64):\n brif v%d, block%d, block%d\nblock%d:\n jump block%d(v0)\nblock%d:\n jump block%d(v%d)\n",
				b, i+1, i+1, b+1, b+2, b+1, b+3, b+2, b+3, i+1)
		}
		fmt.Fprintf(w, "block%d(v%d: i64):\n return v%d\n}", 3*n+1, n+1, n+1)
	}},
	{"table", func(w *strings.Builder, n int) { // with two entries for each block
		w.WriteString("function %f(i32) -> i32 tail {\nblock0(v0: i32):\n br_table v0, block1(v0), [")
		for i := range 2 * n {
			if i > 0 {
				w.WriteString(", ")
			}
			fmt.Fprintf(w, "block%d(v0)", 1+i%n)
		}
		w.WriteString("]\n")
		for i := range n {
			fmt.Fprintf(w, "block%d(v%d: i32):\n return v%d\n", i+1, i+1, i+1)
		}
		w.WriteString("}")
	}},
	{"loops", func(w *strings.Builder, n int) { // one in the other
		w.WriteString("function %f(i64) -> i64 tail {\nblock0(v0: i64):\n jump block1\n")
		for i := 1; i <= n+1; i++ {
			fmt.Fprintf(w, "block%d:\n jump block%d\n", i, i+1)
		}
		for i := n; i >= 1; i-- {
			fmt.Fprintf(w, "block%d:\n brif v0, block%d, block%d\n", 2*n+2-i, i, 2*n+3-i)
		}
		fmt.Fprintf(w, "block%d:\n return v0\n}", 2*n+2)
	}},
	{"values", func(w *strings.Builder, n int) { // all alive at once
		w.WriteString("function %f(i64) -> i64 tail {\nblock0(v0: i64):\n")
		for i := range n {
			fmt.Fprintf(w, " v%d = imul v%d, v0\n", i+1, i)
		}
		for i := range n {
			fmt.Fprintf(w, " v%d = bxor v%d, v%d\n", n+i+1, n+i, n-i)
		}
		fmt.Fprintf(w, " return v%d\n}", 2*n)
	}},
}

func BenchmarkLarge(b *testing.B) {
	isa := target(b)
	for _, l := range large {
		for _, n := range []int{1000, 10_000, 50_000} {
			b.Run(fmt.Sprintf("%s/%d", l.name, n), func(b *testing.B) {
				var w strings.Builder
				l.text(&w, n)
				f, err := clif.ParseFunction(w.String())
				if err != nil {
					b.Fatal(err)
				}
				var ctx codegen.Context
				b.ReportAllocs()
				for b.Loop() {
					if _, err := ctx.Compile(f, isa, codegen.Options{}); err != nil {
						b.Fatal(err)
					}
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/item")
			})
		}
	}
}

// TestLarge compiles them under the checker.
func TestLarge(t *testing.T) {
	isa := target(t, "machine_code_cfg_info")
	for _, l := range large {
		var w strings.Builder
		l.text(&w, 3000)
		f, err := clif.ParseFunction(w.String())
		if err != nil {
			t.Fatal(l.name, err)
		}
		var ctx codegen.Context
		code, err := ctx.Compile(f, isa, codegen.Options{CheckRegalloc: true, KeepPanics: true})
		if err != nil {
			t.Errorf("%s: %.500v", l.name, err)
			continue
		}
		starts := map[uint32]bool{}
		for i, off := range code.Blocks {
			if off >= code.CodeSize || i > 0 && off < code.Blocks[i-1] {
				t.Errorf("%s: block %d at %d of %d", l.name, i, off, code.CodeSize)
			}
			starts[off] = true
		}
		for _, e := range code.Edges {
			if !starts[e.From] || !starts[e.To] {
				t.Errorf("%s: edge %v between no blocks", l.name, e)
			}
		}
		if len(code.Blocks) == 0 || len(code.Blocks) > 1 && len(code.Edges) == 0 {
			t.Errorf("%s: %d blocks and %d edges", l.name, len(code.Blocks), len(code.Edges))
		}
	}
}
