package bugpoint_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/davit-wasm/davit/codegen/bugpoint"
	"github.com/davit-wasm/davit/codegen/clif"
	"github.com/davit-wasm/davit/codegen/ir"
	"github.com/davit-wasm/davit/codegen/verifier"
	"github.com/davit-wasm/davit/internal/testdata"
)

// has tells whether a function has an instruction that ok likes.
func has(f *ir.Function, ok func(d *ir.InstData) bool) bool {
	for b := f.Entry(); b != ir.NoBlock; b = f.NextBlock(b) {
		for i := f.FirstInst(b); i != ir.NoInst; i = f.NextInst(i) {
			if ok(f.Inst(i)) {
				return true
			}
		}
	}
	return false
}

func op(op ir.Opcode) func(*ir.Function) bool {
	return func(f *ir.Function) bool { return has(f, func(d *ir.InstData) bool { return d.Op == op }) }
}

func reduce(t *testing.T, src string, o bugpoint.Options) string {
	t.Helper()
	f, err := clif.ParseFunction(src)
	if err != nil {
		t.Fatal(err)
	}
	before := clif.Format(f)
	o.PointerType = ir.I64
	fails := o.Fails
	o.Fails = func(f *ir.Function) bool {
		if err := verifier.Verify(f, verifier.Options{PointerType: ir.I64}); err != nil && !o.AnyIR {
			t.Errorf("a candidate does not verify: %v\n%s", err, clif.Format(f))
		}
		return fails(f)
	}
	g, err := bugpoint.Reduce(context.Background(), f, o)
	if err != nil {
		t.Fatal(err)
	}
	if after := clif.Format(f); after != before {
		t.Errorf("the function was changed:\n%s", after)
	}
	text := clif.Format(g)
	if again, err := clif.ParseFunction(text); err != nil || !fails(again) {
		t.Errorf("what came out does not show the bug any more: %v\n%s", err, text)
	}
	return text
}

const loop = `function %sum(i64, i32, i128) -> i32, i64 fast {
    ss0 = explicit_slot 16
    ss1 = explicit_slot 16
    sig0 = (i32, f64) -> i32 fast
    sig1 = (i32) fast
    fn0 = %f sig0
    fn1 = %g sig1
block0(v0: i64, v1: i32, v2: i128):
    v3 = iconst.i32 7
    v4 = f64const 0x1.0p1
    jump block1(v3, v1)
block1(v5: i32, v6: i32):
    v7 = iadd v5, v6
    v8 = call fn0(v7, v4)
    v9 = icmp ult v8, v6
    brif v9, block2, block3(v8)
block2:
    v10 = load.i32 notrap aligned v0+8
    v11 = imul v10, v7
    v12 = stack_addr.i64 ss1+8
    store v11, v12
    call fn1(v11)
    jump block1(v11, v6)
block3(v13: i32):
    v14 = iadd v2, v2
    v15 = ireduce.i64 v14
    return v13, v15
}
`

func TestReduce(t *testing.T) {
	for _, c := range []struct {
		name  string
		fails func(*ir.Function) bool
		want  string
	}{
		{"anything", func(*ir.Function) bool { return true }, "function %sum() fast {\nblock0:\n    trap user1\n}\n"},
		{"an instruction with operands", op(ir.OpImul), `function %sum() fast {
block0:
    v0 = iconst.i32 0
    v1 = imul v0, v0  ; v0 = 0, v0 = 0
    trap user1
}
`},
		{"a call", op(ir.OpCall), `function %sum() fast {
    sig0 = () fast
    fn0 = %f sig0

block0:
    call fn0()
    trap user1
}
`},
		{"a wide value", func(f *ir.Function) bool {
			return has(f, func(d *ir.InstData) bool { return d.Op == ir.OpIreduce && d.Type == ir.I64 })
		}, `function %sum() fast {
block0:
    v0 = iconst.i64 0
    v1 = uextend.i128 v0  ; v0 = 0
    v2 = ireduce.i64 v1
    trap user1
}
`},
		{"a stack slot", op(ir.OpStackAddr), `function %sum() fast {
    ss0 = explicit_slot 16

block0:
    v0 = stack_addr.i64 ss0+8
    trap user1
}
`},
		{"a loop", func(f *ir.Function) bool {
			var cfg ir.CFG
			cfg.Compute(f)
			for b := f.Entry(); b != ir.NoBlock; b = f.NextBlock(b) {
				for _, p := range cfg.Preds(b) {
					if f.InstBlock(p.Inst) >= b {
						return true
					}
				}
			}
			return false
		}, `function %sum() fast {
block0:
    jump block1

block1:
    jump block1
}
`},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := reduce(t, loop, bugpoint.Options{Fails: c.fails}); got != c.want {
				t.Errorf("got\n%s\nwant\n%s", got, c.want)
			}
		})
	}
}

// TestInvalid reduces a function that the verifier refuses.
func TestInvalid(t *testing.T) {
	got := reduce(t, `function %f(i32, i64) -> i32 {
block0(v0: i32, v1: i64):
    v2 = iadd v0, v0
    v3 = iadd v2, v1
    return v3
}`, bugpoint.Options{AnyIR: true, Fails: func(f *ir.Function) bool {
		err := verifier.Verify(f, verifier.Options{PointerType: ir.I64})
		return err != nil && strings.Contains(err.Error(), "has type i64, expected i32")
	}})
	if strings.Count(got, "iadd") != 1 || strings.Contains(got, "return v") {
		t.Errorf("got\n%s", got)
	}
}

func TestNoBug(t *testing.T) {
	f, err := clif.ParseFunction(loop)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := bugpoint.Reduce(context.Background(), f, bugpoint.Options{Fails: func(*ir.Function) bool { return false }}); !errors.Is(err, bugpoint.ErrNoBug) {
		t.Error(err)
	}
}

// TestLimits: the number of trials, and the end of the context.
func TestLimits(t *testing.T) {
	f, err := clif.ParseFunction(loop)
	if err != nil {
		t.Fatal(err)
	}
	trials := 0
	o := bugpoint.Options{Trials: 3, Fails: func(*ir.Function) bool { trials++; return true }}
	if _, err := bugpoint.Reduce(context.Background(), f, o); err != nil || trials != 3 {
		t.Errorf("%d trials, %v", trials, err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	trials = 0
	if _, err := bugpoint.Reduce(ctx, f, o); err != nil || trials != 1 {
		t.Errorf("%d trials, %v", trials, err)
	}
}

// TestLarge reduces the suite's large function to the call that it makes 95 as,
// in a small part of the trials that one for each instruction would be.
func TestLarge(t *testing.T) {
	src, err := os.ReadFile(filepath.Join(testdata.Conformance(t), "clif/bugpoint/bugpoint_test.clif"))
	if err != nil {
		t.Fatal(err)
	}
	file, err := clif.ParseFile("bugpoint_test.clif", string(src))
	if err != nil {
		t.Fatal(err)
	}
	trials := 0
	g, err := bugpoint.Reduce(context.Background(), file.Funcs[0].Function, bugpoint.Options{PointerType: ir.I64, Fails: func(f *ir.Function) bool {
		trials++
		return has(f, func(d *ir.InstData) bool { return d.Op == ir.OpCall && f.ExtFuncs[d.Ref].Name == ir.UserName(0, 95) })
	}})
	if err != nil {
		t.Fatal(err)
	}
	want := "function u0:0() system_v {\n    sig0 = () system_v\n    fn0 = u0:95 sig0\n\nblock0:\n    call fn0()\n    trap user1\n}\n"
	if got := clif.Format(g); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	t.Logf("%d trials", trials)
}
