package clif

import (
	"errors"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/davit-wasm/davit/codegen/ir"
	"github.com/davit-wasm/davit/internal/testdata"
)

// TestConformance reads every file of the suite, prints each function, and
// holds that what is printed reads as an equal function and prints the same again.
func TestConformance(t *testing.T) {
	root := filepath.Join(testdata.Conformance(t), "clif")
	files, funcs := 0, 0
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".clif") {
			return err
		}
		src, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		file, err := ParseFile(path, string(src))
		if err != nil {
			t.Error(err)
			return nil
		}
		files++
		for _, f := range file.Funcs {
			funcs++
			first := Format(f.Function)
			again, err := ParseFunction(first)
			if err != nil {
				t.Errorf("%s:%d: printed text does not parse: %v\n%s", path, f.Line, err, first)
				continue
			}
			if second := Format(again); second != first {
				t.Errorf("%s:%d: printed text prints differently:\n%s\n%s", path, f.Line, first, second)
			}
			if why := difference(f.Function, again); why != "" {
				t.Errorf("%s:%d: printed text is another function: %s", path, f.Line, why)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if files < 900 || funcs < 9000 {
		t.Errorf("only %d files with %d functions", files, funcs)
	}
	t.Logf("%d files, %d functions", files, funcs)
}

// everything is one of each kind of syntax, as it is printed.
const everything = `function u0:7(i64 vmctx, i32 uext, i8 sext, f64, i64 caller_vmctx, i64 sarg(24)) -> i32 sext, i64 tail {
    ss0 = explicit_slot 16
    ss1 = explicit_slot 8, align = 16, key = 12345
    region0 = 3 "heap"
    gv0 = vmctx
    gv1 = load.i64 notrap aligned readonly can_move gv0+8
    gv2 = iadd_imm.i64 gv1, -16
    gv3 = symbol colocated tls %sym+4
    gv4 = dyn_scale_target_const.i32x4
    dt0 = i32x4*gv4
    dss0 = explicit_dynamic_slot dt0
    sig0 = () system_v
    sig1 = (i64) -> i32 tail
    fn0 = %foo sig1
    fn1 = colocated patchable u1:2 sig0
    const0 = 0x0f0e0d0c0b0a09080706050403020100
    const1 = 0x3fff0000000000000000000000000000
    stack_limit = gv1

                                block0(v0: i64, v1: i32, v2: i8, v3: f64, v4: i64, v5: i64):
                                    v60 -> v1
@0010                               v6 = iconst.i32 -1
@00aa <ss0, 1, ss1, 2>              sequence_point
                                    v7 = iconst.i64 0x0001_86a0
                                    v8 = f32const 0x1.800000p-3
                                    v9 = f64const -NaN:0x8001
                                    v10 = vconst.i8x16 const0
                                    v11 = f128const const1
                                    v12 = f16const +Inf
                                    v13 = load.i32 notrap aligned little region0 v0+8
                                    store user3 big v13, v0-4
                                    v14 = atomic_rmw.i32 notrap xchg v0, v13
                                    v15 = atomic_cas v0, v13, v14
                                    v16 = icmp ult v13, v14
                                    v17 = fcmp uno v3, v9  ; v9 = -NaN:0x8001
                                    v18 = shuffle v10, v10, const0  ; v10 = const0, v10 = const0
                                    v19 = extractlane v10, 3  ; v10 = const0
                                    v20 = insertlane v10, v19, 4  ; v10 = const0
                                    v21 = bitcast.i64x2 little v10  ; v10 = const0
                                    v22, v23 = uadd_overflow v13, v14
                                    v24 = uadd_overflow_trap v22, v60, int_ovf
                                    v25 = stack_addr.i64 ss1+4
                                    v26 = dynamic_stack_addr.i64 dss0
                                    v27 = func_addr.i64 fn1
                                    v28 = symbol_value.i64 gv3
                                    v29 = call fn0(v7), stack_map=[i32 @ ss0+0, i64 @ ss1+8]  ; v7 = 0x0001_86a0
                                    call_indirect sig0, v27()
                                    v30 = get_exception_handler_address.i64 block3, 0
                                    trapz v16, heap_oob
                                    brif v16, block1(v13, v14), block2

                                block1(v31: i32, v32: i32):
                                    br_table v31, block2, [block1(v32, v31), block2]

                                block2 cold:
                                    trap user1

                                block3:
                                    try_call fn0(v7), sig1, block4(ret0), [ context v7, tag5: block5(exn0, exn1), default: block2 ]  ; v7 = 0x0001_86a0

                                block4(v33: i32):
                                    try_call_indirect.i64 v27(v7), sig1, block2, [ ]  ; v7 = 0x0001_86a0

                                block5(v34: i64, v35: i64):
                                    return_call fn0(v34)
}
`

func TestEverything(t *testing.T) {
	f, err := ParseFunction(everything)
	if err != nil {
		t.Fatal(err)
	}
	if got := Format(f); got != everything {
		a, b := strings.Split(got, "\n"), strings.Split(everything, "\n")
		for i := range a {
			if i >= len(b) || a[i] != b[i] {
				t.Fatalf("line %d:\n%s\nwant\n%s", i+1, a[i], b[min(i, len(b)-1)])
			}
		}
		t.Fatal("text is missing at the end")
	}
}

func TestErrors(t *testing.T) {
	for _, c := range []struct{ src, want string }{
		{"func", "1:1: expected `function`, found `func`"},
		{"function %f() {\nblock0:\n  v1 = iadd v2, v3\n}", "3:8: the type of v2 is not known here"},
		{"function %f() {\nblock0:\n  v1 = iadd.i32 v2, v3\n}", "3:17: v2 is not defined"},
		{"function %f() {\nblock0:\n  v1 = frob v2\n}", "3:8: `frob` is not an instruction"},
		{"function %f() {\nblock0:\n  v1 = iconst.i8 256\n}", "3:18: `256` is not an integer of 8 bits"},
		{"function %f() {\nblock0:\n  v1 = iconst.f32 2\n}", "3:8: f32 is not a type for iconst"},
		{"function %f() {\nblock0:\n  v1, v2 = iconst.i32 2\n}", "3:3: iconst has 1 results, not 2"},
		{"function %f() {\nblock0(v1: i32):\n  v1 = iconst.i32 2\n}", "3:3: v1 is defined twice"},
		{"function %f() {\nblock0:\n  v4000000 = iconst.i32 2\n}", "3:3: the number of v4000000 is too large for a text of this size"},
		{"function %f() {\n  ss0 = explicit_slot 8, align = 3\n}", "2:34: the alignment 3 is not a power of two"},
		{"function %f() {\n  fn0 = %g sig3\n}", "2:12: sig3 is not declared"},
		{"function %f() {\nblock0:\n  jump block1\n", "4:1: expected an instruction, found the end"},
		{"function %f() {\nblock0:\n  trap user0\n}", "3:8: expected a trap code"},
		{"function %f(\x80) {}", `1:13: expected a type, found the character "\x80"`},
		{"function %f() {\nblock0:\n v0 = f32const 0x1.0000001p0\n}", "3:16: `0x1.0000001p0` is not a number of type f32"},
	} {
		_, err := ParseFunctions(c.src)
		var e *Error
		if !errors.As(err, &e) || !strings.HasPrefix(err.Error(), c.want) {
			t.Errorf("%q: error %v, want %s", c.src, err, c.want)
		}
	}
	if _, err := ParseFile("dir/x.clif", "test cat\n\n; comment\nfunction %f() {\nblock0:\n!"); err == nil || !strings.HasPrefix(err.Error(), "dir/x.clif:6:1: ") {
		t.Errorf("error %v", err)
	}
}

// TestFloats compares with the formats that Go has, and reads what is printed.
func TestFloats(t *testing.T) {
	for _, x := range []float64{0, 1, -1.5, 0.1, math.Pi, math.MaxFloat64, math.SmallestNonzeroFloat64, 0x1p-1022, 0x1p-1023, -0x1.8p-1050, math.Inf(1), math.NaN(), math.Copysign(0, -1)} {
		bits := uint128{0, math.Float64bits(x)}
		s := string(appendFloat(nil, bits, ir.F64))
		if got, ok := parseFloat(s, ir.F64); !ok || got != bits {
			t.Errorf("%v prints as %s, which reads as %#x %v", x, s, got, ok)
		}
		f32 := uint128{0, uint64(math.Float32bits(float32(x)))}
		s = string(appendFloat(nil, f32, ir.F32))
		if got, ok := parseFloat(s, ir.F32); !ok || got != f32 {
			t.Errorf("%v prints as %s, which reads as %#x %v", float32(x), s, got, ok)
		}
	}
	for s, want := range map[string]uint128{
		"0x1.0p0": {0, 0x3c00}, "-0x1.8p-15": {0, 0x8300}, "0x1.ffcp15": {0, 0x7bff}, "0x0.004p-14": {0, 1}, "sNaN:0x1": {0, 0x7c01}, "-NaN": {0, 0xfe00}, "0.0": {},
	} {
		if got, ok := parseFloat(s, ir.F16); !ok || got != want {
			t.Errorf("f16 %s is %#x %v, want %#x", s, got, ok, want)
		}
	}
	for _, s := range []string{"0x1.0p16", "0x1.004p-14x", "0x1.001p0", "0x0.002p-14", "1", "Inf:0x1", "NaN:0x400", "sNaN", "0x", "0x.p1", "0x1.0p", ""} {
		if got, ok := parseFloat(s, ir.F16); ok {
			t.Errorf("f16 %s is read as %#x", s, got)
		}
	}
	q := uint128{0x3fff_8000_0000_0000, 1}
	if s := string(appendFloat(nil, q, ir.F128)); s != "0x1.8000000000000000000000000001p0" {
		t.Errorf("f128 prints as %s", s)
	}
}

// TestSparse holds that a text cannot ask for more memory than it deserves by
// large numbers in many functions.
func TestSparse(t *testing.T) {
	one := "function %f() {\nblock200000:\n v600000 = iconst.i8 0\n return\n}\n"
	if _, err := ParseFunctions(strings.Replace(one, "block200000", "block2", 1)); err != nil {
		t.Error(err)
	}
	if _, err := ParseFunctions(strings.Repeat(one, 1000)); err == nil || !strings.Contains(err.Error(), "too large") {
		t.Errorf("error %v", err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add(everything)
	f.Add("test run\nfunction %f(i32) -> i32 {\nblock0(v0: i32):\n return v0 ; x\n}\n; run: %f(1) == 1\n")
	f.Fuzz(func(t *testing.T, src string) {
		file, err := ParseFile("f", src)
		if err != nil {
			return
		}
		for _, fn := range file.Funcs {
			first := Format(fn.Function)
			again, err := ParseFunction(first)
			if err != nil {
				t.Fatalf("%v\n%s", err, first)
			}
			if second := Format(again); second != first {
				t.Fatalf("%s\nprints as\n%s", first, second)
			}
		}
	})
}
