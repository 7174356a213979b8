package codegen_test

import (
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/davit-wasm/davit/codegen"
	"github.com/davit-wasm/davit/codegen/clif"
	"github.com/davit-wasm/davit/codegen/isa"
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
	{"over blocks", func(w *strings.Builder, n int) { // values that live over all of as many blocks
		w.WriteString("function %f(i64) -> i64 tail {\nblock0(v0: i64):\n")
		for i := range n {
			fmt.Fprintf(w, " v%d = imul v%d, v0\n", i+1, i)
		}
		w.WriteString(" jump block1\n")
		for i := range n {
			b := 3*i + 1
			fmt.Fprintf(w, "block%d:\n brif v%d, block%d, block%d\nblock%d:\n jump block%d\nblock%d:\n jump block%d\n",
				b, i+1, b+1, b+2, b+1, b+3, b+2, b+3)
		}
		fmt.Fprintf(w, "block%d:\n", 3*n+1)
		for i := range n {
			fmt.Fprintf(w, " v%d = bxor v%d, v%d\n", n+i+1, n+i, n-i)
		}
		fmt.Fprintf(w, " return v%d\n}", 2*n)
	}},
	{"over calls", func(w *strings.Builder, n int) { // values that live over as many calls
		w.WriteString("function %f(i64) -> i64 tail {\n fn0 = colocated %g(i64) -> i64 tail\nblock0(v0: i64):\n")
		for i := range n {
			fmt.Fprintf(w, " v%d = call fn0(v%d)\n", i+1, i)
		}
		for i := range n {
			fmt.Fprintf(w, " v%d = bxor v%d, v%d\n", n+i+1, n+i, n-i)
		}
		fmt.Fprintf(w, " return v%d\n}", 2*n)
	}},
	{"tries", func(w *strings.Builder, n int) { // with a handler and a context each
		w.WriteString("function %f(i64) -> i64 tail {\n sig0 = (i64) -> i64 tail\n fn0 = colocated %g(i64) -> i64 tail\nblock0(v0: i64):\n jump block2(v0)\nblock1(v1: i64):\n return v1\n")
		for i := range n {
			fmt.Fprintf(w, "block%d(v%d: i64):\n try_call fn0(v%d), sig0, block%d(ret0), [ context v0, tag1: block1(exn0), default: block1(v%d) ]\n", i+2, i+2, i+2, i+3, i+2)
		}
		fmt.Fprintf(w, "block%d(v%d: i64):\n return v%d\n}", n+2, n+2, n+2)
	}},
	{"handlers", func(w *strings.Builder, n int) { // of one try_call
		w.WriteString("function %f(i64) -> i64 tail {\n sig0 = (i64) -> i64 tail\n fn0 = colocated %g(i64) -> i64 tail\nblock0(v0: i64):\n try_call fn0(v0), sig0, block1(ret0), [ ")
		for i := range n {
			fmt.Fprintf(w, "tag%d: block%d(exn0, v0), ", i, i+2)
		}
		w.WriteString("default: block1(exn1) ]\nblock1(v1: i64):\n return v1\n")
		for i := range n {
			fmt.Fprintf(w, "block%d(v%d: i64, v%d: i64):\n v%d = iadd v%d, v%d\n return v%d\n", i+2, 3*i+2, 3*i+3, 3*i+4, 3*i+2, 3*i+3, 3*i+4)
		}
		w.WriteString("}")
	}},
	{"stores", func(w *strings.Builder, n int) { // straight-line code with 20 bytes an item
		w.WriteString("function %f(i64) -> i64 tail {\nblock0(v0: i64):\n")
		for i := range n {
			fmt.Fprintf(w, " v%d = load.i64 v0+%d\n v%d = rotl v%d, v0\n store v%d, v0+%d\n", 2*i+1, 8*i, 2*i+2, 2*i+1, 2*i+2, 8*i+8)
		}
		w.WriteString(" return v0\n}")
	}},
}

// TestLargeMemory compares what is allocated for functions of one shape and
// twice and four times the size, by fresh contexts.
func TestLargeMemory(t *testing.T) {
	isa := target(t)
	for _, l := range large {
		bytes := func(n int) uint64 {
			var w strings.Builder
			l.text(&w, n)
			f, err := clif.ParseFunction(w.String())
			if err != nil {
				t.Fatal(l.name, err)
			}
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			var ctx codegen.Context
			if _, err := ctx.Compile(f, isa, codegen.Options{}); err != nil {
				t.Fatal(l.name, err)
			}
			runtime.ReadMemStats(&after)
			return after.TotalAlloc - before.TotalAlloc
		}
		small, large := bytes(1500), bytes(6000)
		t.Logf("%s: %d and %d KiB", l.name, small>>10, large>>10)
		// Slices grow in steps, so more than four times as much.
		if large > 6*small {
			t.Errorf("%s: %d bytes for 1500, %d for 6000", l.name, small, large)
		}
	}
}

func BenchmarkLarge(b *testing.B) {
	isa := target(b)
	for _, l := range large {
		for _, n := range []int{1000, 4000, 16000, 64000} {
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

// TestLarge compiles them under the checker with both register allocators.
func TestLarge(t *testing.T) {
	for _, algorithm := range []string{"backtracking", "single_pass"} {
		isa := target(t, "machine_code_cfg_info", "regalloc_algorithm="+algorithm)
		for _, l := range large {
			t.Run(algorithm+"/"+l.name, func(t *testing.T) { compileLarge(t, isa, l.text) })
		}
	}
}

func compileLarge(t *testing.T, isa *isa.TargetISA, text func(w *strings.Builder, n int)) {
	var w strings.Builder
	text(&w, 600)
	f, err := clif.ParseFunction(w.String())
	if err != nil {
		t.Fatal(err)
	}
	var ctx codegen.Context
	code, err := ctx.Compile(f, isa, codegen.Options{CheckRegalloc: true, KeepPanics: true})
	if err != nil {
		t.Fatalf("%.500v", err)
	}
	starts := map[uint32]bool{}
	for i, off := range code.Blocks {
		if off >= code.CodeSize || i > 0 && off < code.Blocks[i-1] {
			t.Errorf("block %d at %d of %d", i, off, code.CodeSize)
		}
		starts[off] = true
	}
	for _, e := range code.Edges {
		if !starts[e.From] || !starts[e.To] {
			t.Errorf("edge %v between no blocks", e)
		}
	}
	if len(code.Blocks) == 0 || len(code.Blocks) > 1 && len(code.Edges) == 0 {
		t.Errorf("%d blocks and %d edges", len(code.Blocks), len(code.Edges))
	}
}
