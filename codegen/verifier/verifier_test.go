package verifier_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/davit-wasm/davit/codegen/clif"
	"github.com/davit-wasm/davit/codegen/ir"
	"github.com/davit-wasm/davit/codegen/verifier"
	"github.com/davit-wasm/davit/internal/testdata"
)

// TestAccepts holds that functions of the suite that are compiled or run verify.
func TestAccepts(t *testing.T) {
	root := filepath.Join(testdata.Conformance(t), "clif", "filetests")
	var v verifier.Verifier
	n := 0
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, ".clif") {
			return err
		}
		src, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		file, err := clif.ParseFile(path, string(src))
		if err != nil {
			return err
		}
		runs, wide, narrow := false, false, false
		for _, h := range file.Header {
			if h.Word == "test" && len(h.Args) > 0 {
				switch h.Args[0] {
				case "run", "interpret", "optimize", "inline", "alias-analysis":
					runs = true
				case "compile":
					runs = len(h.Args) < 2 || h.Args[1] != "expect-fail"
				}
			}
			if h.Word == "target" && !strings.Contains(h.Args[0], "32") {
				wide = true
			} else if h.Word == "target" && strings.HasPrefix(h.Args[0], "pulley32") {
				narrow = true
			}
		}
		// Two files write types behind stores that are not those of the operands.
		if base := filepath.Base(path); !runs || base == "zca.clif" || base == "zcd.clif" {
			return nil
		}
		ptr := ir.I64
		if strings.Contains(path, "isa/pulley32") {
			ptr = ir.I32
		} else if narrow && !wide {
			ptr = ir.Invalid
		}
		for _, fn := range file.Funcs {
			n++
			if err := v.Verify(fn.Function, verifier.Options{PointerType: ptr}); err != nil {
				t.Errorf("%s:%d: %v", path, fn.Line, err)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if n < 9000 {
		t.Errorf("only %d functions", n)
	}
}

// TestRejects has a function for each rule that the suite has none for.
func TestRejects(t *testing.T) {
	for _, c := range []struct{ src, want string }{
		{"() { block0: jump block1 block1: jump block0 }", "entry block block0 is a branch destination"},
		{"(i32) { block0: return }", "entry block parameters (0) must match function signature (1)"},
		{"(i32) { block0(v0: i64): return }", "expected to have type i32, got i64"},
		{"() { block0: nop }", "does not end in a terminator"},
		{"() { block0: }", "block0: block is empty"},
		{"(i32, i64) { block0(v0: i32, v1: i64): v2 = iadd v0, v1 return }", "arg 1 (v1) has type i64, expected i32"},
		{"(i8) { block0(v0: i8): v1 = ireduce.i32 v0 return }", "arg 0 (v0) has type i8, expected a type wider than i32"},
		{"(i32) -> i64 { block0(v0: i32): return v0 }", "arg 0 (v0) has type i32, must match function signature of i64"},
		{"() -> i64 { block0: return }", "arguments of return must match function signature: got 0, expected 1"},
		{"() { block0: v0 = iconst.i32 1 jump block1(v0) block1: return }", "mismatched argument count for block1: got 1, expected 0"},
		{"() { block0: v0 = iconst.i32 1 jump block1(v0) block1(v1: i64): return }", "arg v0 has type i32, expected i64"},
		{"() { fn0 = %g(i32) block0: call fn0() return }", "mismatched argument count for `call fn0()`: got 0, expected 1"},
		{"() { fn0 = %g(i32) block0: v0 = iconst.i8 1 call fn0(v0) return }", "arg 0 (v0) has type i8, expected i32"},
		{"() { block0: v0 = iconst.i128 1 return }", "expected an integer of at most 64 bits"},
		{"() { block0: v0 = get_call_return_address.i64 return }", "no call follows in block0"},
		{"() { fn0 = %g() block0: v0 = get_call_return_address.i64 jump block1 block1: call fn0() return }", "no call follows in block0"},
		{"() tail { fn0 = %g() tail block0: v0 = get_call_return_address.i64 nop return_call fn0() }", "the next call, inst2, is a return_call, which does not return here"},
		{"(i64) tail { sig0 = () tail block0(v0: i64): v1 = get_call_return_address.i64 return_call_indirect sig0, v0() }", "is a return_call_indirect, which does not return here"},
		{"(i64) { fn0 = %g() block0(v0: i64): v1 = get_call_return_address.i64 v2 = stack_switch v0, v0, v0 call fn0() return }", "is a stack_switch, which does not return here"},
		{"() { block0: <1> nop return }", "debug tags are only allowed"},
		{"() { ss0 = explicit_slot 4 fn0 = %g() block0: call fn0(), stack_map=[i64 @ ss0+0] return }", "beyond the slot's 4 bytes"},
		{"(i8) { block0(v0: i8): brif v0, block1, block2 block1: v1 = iconst.i8 1 jump block3 block2: jump block3 block3: trapz v1, user1 return }", "uses value v1 from non-dominating inst1"},
		{"() { gv0 = symbol %x block0: v0 = tls_value.i64 gv0 return }", "gv0 is not a thread-local symbol"},
		{"() -> i32 vmctx { block0: trap user1 }", "a purpose that only parameters have"},
	} {
		f, err := clif.ParseFunction("function %f" + c.src)
		if err != nil {
			t.Errorf("%s: %v", c.src, err)
			continue
		}
		err = verifier.Verify(f, verifier.Options{PointerType: ir.I64})
		var list verifier.Errors
		if !errors.As(err, &list) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want %s", c.src, err, c.want)
		}
	}
}

// TestAllocates holds that verifying allocates nothing once the Verifier has
// seen a function as large.
func TestAllocates(t *testing.T) {
	f, err := clif.ParseFunction(`function %f(i64 vmctx, i32) -> i32 {
    region0 = 1 "r"
    gv0 = vmctx
    gv1 = load.i64 notrap gv0+8
    sig0 = (i32) -> i32
    fn0 = %g sig0
block0(v0: i64, v1: i32):
    v2 = load.i32 region0 v0+8
    v3 = iadd v1, v2
    brif v3, block1(v2), block2(v3, v1)
block1(v4: i32):
    v5 = call fn0(v4)
    br_table v5, block2(v5, v4), [block1(v5), block2(v4, v4)]
block2(v6: i32, v7: i32):
    v8 = icmp ult v6, v7
    v9 = select v8, v6, v7
    return v9
}`)
	if err != nil {
		t.Fatal(err)
	}
	var v verifier.Verifier
	n := testing.AllocsPerRun(100, func() {
		if err := v.Verify(f, verifier.Options{PointerType: ir.I64}); err != nil {
			t.Fatal(err)
		}
	})
	if n > 0 {
		t.Errorf("%v allocations", n)
	}
}
