package opt_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/davit-wasm/davit/codegen/internal/opt"
	"github.com/davit-wasm/davit/codegen/ir"
)

const inlineBody = `function %g(i64, i64) -> i64 {
 region1 = 1 "context"
 ss0 = explicit_slot 8
 fn0 = %h(i64) -> i64
block0(v0: i64, v1: i64):
 v2 = stack_addr.i64 ss0
 store notrap region1 v1, v2
 brif v0, block1, block2
block1:
 v3 = call fn0(v1)
 return v3
block2:
 v4 = load.i64 notrap region1 v2
 return v4
}`

// manyCalls is a function with n calls of %g in one block.
func manyCalls(n int) string {
	var b strings.Builder
	b.WriteString("function %f(i64) -> i64 {\n fn0 = %g(i64, i64) -> i64\nblock0(v0: i64):\n")
	for i := range n {
		fmt.Fprintf(&b, " v%d = call fn0(v0, v%d)\n", i+1, i)
	}
	fmt.Fprintf(&b, " return v%d\n}\n", n)
	return b.String()
}

// TestInlineSteady: from the second function on, inlining needs no memory of its
// own.
func TestInlineSteady(t *testing.T) {
	g, from := parse(t, inlineBody), parse(t, manyCalls(50))
	f := ir.NewFunction(ir.Name{}, ir.Signature{})
	var n opt.Inliner
	inline := func(c *opt.InlineCall) *ir.Function {
		if c.Callee == g.Name {
			return g
		}
		return nil
	}
	run := func() {
		f.CopyFrom(from)
		n.Run(f, inline)
	}
	run()
	if len(f.InlineSites()) != 50 {
		t.Fatalf("%d calls are replaced", len(f.InlineSites()))
	}
	if a := testing.AllocsPerRun(10, run); a > 0 {
		t.Errorf("%v allocations", a)
	}
}

// TestInlineEnds: an answer that never ends is cut off, and a long block with many
// calls is done in one go: what follows a call is moved once.
func TestInlineEnds(t *testing.T) {
	again := parse(t, "function %f(i64) -> i64 { fn0 = %f(i64) -> i64 block0(v0: i64): v1 = call fn0(v0) v2 = call fn0(v1) return v2 }")
	f := ir.NewFunction(ir.Name{}, ir.Signature{})
	f.CopyFrom(again)
	var n opt.Inliner
	n.Run(f, func(*opt.InlineCall) *ir.Function { return again })
	if f.NumInsts() > 1<<19 {
		t.Errorf("%d instructions", f.NumInsts())
	}
	g := parse(t, inlineBody)
	f = parse(t, manyCalls(20_000))
	n.Run(f, func(c *opt.InlineCall) *ir.Function {
		if c.Callee == g.Name {
			return g
		}
		return nil
	})
	if got := len(f.InlineSites()); got != 20_000 {
		t.Errorf("%d calls are replaced", got)
	}
}
