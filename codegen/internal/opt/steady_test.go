package opt_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/davit-wasm/davit/codegen/clif"
	"github.com/davit-wasm/davit/codegen/internal/opt"
	"github.com/davit-wasm/davit/codegen/ir"
)

// mixed is a function of n blocks with something for every part of the mid-end to
// do.
func mixed(n int) string {
	var b strings.Builder
	b.WriteString("function %f(i64, i32, i32) -> i32 {\n region0 = 0 \"heap\"\n region1 = 1 \"context\"\nblock0(v0: i64, v1: i32, v2: i32):\n jump block1(v1, v2)\n")
	v := 3
	def := func(format string, args ...any) int {
		fmt.Fprintf(&b, " v%d = "+format+"\n", append([]any{v}, args...)...)
		v++
		return v - 1
	}
	for i := 1; i <= n; i++ {
		x, y := v, v+1
		v += 2
		fmt.Fprintf(&b, "block%d(v%d: i32, v%d: i32):\n", i, x, y)
		k := def("iconst.i32 %d", i%7+1)
		s := def("imul v%d, v%d", x, k)
		t := def("iadd v%d, v%d", s, k)
		u := def("isub v%d, v%d", t, s)
		w := def("udiv v%d, v%d", u, k)
		l := def("load.i32 notrap aligned can_move region1 v0+%d", i%3*8)
		fmt.Fprintf(&b, " store region0 v%d, v0+%d\n", w, i%5*4)
		m := def("load.i32 region0 v0+%d", i%5*4)
		z := def("bxor v%d, v%d", l, m)
		c := def("icmp ult v%d, v%d", z, k)
		e := def("uextend.i32 v%d", c)
		back := max(1, i-i%4)
		fmt.Fprintf(&b, " brif v%d, block%d(v%d, v%d), block%d(v%d, v%d)\n", e, back, z, y, i+1, t, y)
	}
	fmt.Fprintf(&b, "block%d(v%d: i32, v%d: i32):\n return v%d\n}\n", n+1, v, v+1, v)
	return b.String()
}

func parse(t testing.TB, text string) *ir.Function {
	t.Helper()
	f, err := clif.ParseFunction(text)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// TestDeterministic: what came before a function makes no difference to it.
func TestDeterministic(t *testing.T) {
	var fresh, used opt.Optimizer
	for _, n := range []int{40, 3, 11} {
		used.Run(parse(t, mixed(n)), opt.Options{})
	}
	a, b := parse(t, mixed(20)), parse(t, mixed(20))
	fresh.Run(a, opt.Options{})
	used.Run(b, opt.Options{})
	if x, y := clif.Format(a), clif.Format(b); x != y {
		t.Errorf("a used optimizer makes\n%s\na fresh one\n%s", y, x)
	}
}

// TestAllocations: in steady state nothing is allocated. Functions are used
// again too, with the memory that they have got.
func TestAllocations(t *testing.T) {
	var o opt.Optimizer
	f := parse(t, mixed(100))
	for range 3 {
		o.Run(f, opt.Options{})
	}
	if n := testing.AllocsPerRun(10, func() { o.Run(f, opt.Options{}) }); n != 0 {
		t.Errorf("%v allocations per function", n)
	}
}

// TestLinear: four times the blocks take about four times the instructions and
// memory, not more.
func TestLinear(t *testing.T) {
	size := func(n int) int {
		var o opt.Optimizer
		f := parse(t, mixed(n))
		o.Run(f, opt.Options{})
		return f.NumInsts()
	}
	if a, b := size(300), size(1200); b > 5*a {
		t.Errorf("%d instructions for 300 blocks, %d for 1200", a, b)
	}
}

func BenchmarkOptimize(b *testing.B) {
	for _, n := range []int{1000, 10000, 40000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			text := mixed(n)
			var o opt.Optimizer
			b.ReportAllocs()
			for b.Loop() {
				b.StopTimer()
				f := parse(b, text)
				b.StartTimer()
				o.Run(f, opt.Options{})
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/block")
		})
	}
}
