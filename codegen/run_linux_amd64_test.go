package codegen_test

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/davit-wasm/davit/codegen/ir"
)

func TestFib(t *testing.T) {
	m := build(t, `
function %fib(i32) -> i32 tail {
  fn0 = colocated %fib(i32) -> i32 tail
block0(v0: i32):
  v1 = iconst.i32 2
  v2 = icmp ult v0, v1
  brif v2, block1, block2
block1:
  return v0
block2:
  v3 = iconst.i32 -1
  v4 = iadd v0, v3
  v5 = call fn0(v4)
  v6 = iconst.i32 -2
  v7 = iadd v0, v6
  v8 = call fn0(v7)
  v9 = iadd v5, v8
  return v9
}`, "enable_native_stack_check")
	if got := uint32(m.call1("fib", 20)); got != 6765 {
		t.Errorf("fib(20) = %d", got)
	}
}

// params writes n parameters of types that take turns, from v<first>.
func params(n, first int, types ...string) (sig, block, args string) {
	var s, b, a []string
	for i := range n {
		ty := types[i%len(types)]
		s = append(s, ty)
		b = append(b, fmt.Sprintf("v%d: %s", first+i, ty))
		a = append(a, fmt.Sprintf("v%d", first+i))
	}
	return strings.Join(s, ", "), strings.Join(b, ", "), strings.Join(a, ", ")
}

// TestManyArguments passes more arguments and results than there are registers,
// through two calls, in every convention.
func TestManyArguments(t *testing.T) {
	for _, conv := range []string{"tail", "system_v", "fast", "windows_fastcall"} {
		for _, n := range []int{1, 2, 6, 7, 9, 11, 12, 17, 24, 40} {
			for _, types := range [][]string{{"i64"}, {"f64"}, {"i64", "f64"}, {"i32", "f32", "i64", "f64"}} {
				sig, block, args := params(n, 0, types...)
				_, _, res := params(n, 100, types...)
				// rotate returns its arguments; twice calls it twice.
				text := fmt.Sprintf(`
function %%same(%[1]s) -> %[1]s %[2]s {
block0(%[3]s):
  return %[4]s
}
function %%twice(%[1]s) -> %[1]s %[2]s {
  fn0 = colocated %%same(%[1]s) -> %[1]s %[2]s
  ss0 = explicit_slot 24
block0(%[3]s):
  v500 = iconst.i64 0x1122334455667788
  v501 = stack_addr.i64 ss0+8
  store notrap aligned v500, v501
  %[5]s = call fn0(%[4]s)
  v502 = load.i64 notrap aligned v501
  v503 = isub v502, v500
  trapnz v503, user1
  call fn0(%[5]s)
  return %[5]s
}`, sig, conv, block, args, res)
				text = strings.Replace(text, "  call fn0(", "  "+strings.ReplaceAll(res, "v1", "v2")+" = call fn0(", 1)
				m := build(t, text, "enable_native_stack_check")
				var in []uint64
				for i := range n {
					in = append(in, uint64(i)*0x0101010101010101&0x7fffffff)
				}
				out := m.call("twice", n, in...)
				for i := range out {
					got := out[i]
					if ty := types[i%len(types)]; strings.HasSuffix(ty, "32") {
						got = uint64(uint32(got))
					}
					if got != in[i] {
						t.Fatalf("%s, %d of %v: result %d is %#x, want %#x", conv, n, types, i, got, in[i])
					}
				}
			}
		}
	}
}

// TestTailCalls makes tail calls between functions with all combinations of
// numbers of stack arguments, direct and through a register. Each function adds
// its number to the last argument.
func TestTailCalls(t *testing.T) {
	counts := []int{1, 3, 10, 14, 21, 30}
	for _, indirect := range []bool{false, true} {
		for _, from := range counts {
			for _, to := range counts {
				fromSig, fromBlock, fromArgs := params(from, 0, "i64")
				toSig, toBlock, toArgs := params(to, 0, "i64")
				// The arguments of the last call: as many of the own as there are, the
				// rest their sum.
				var pass []string
				var sum strings.Builder
				fmt.Fprintf(&sum, "  v200 = iconst.i64 0\n")
				for i := range from {
					fmt.Fprintf(&sum, "  v%d = iadd v%d, v%d\n", 201+i, 200+i, i)
				}
				for i := range to {
					if i < from-1 {
						pass = append(pass, fmt.Sprintf("v%d", i))
					} else {
						pass = append(pass, fmt.Sprintf("v%d", 200+from))
					}
				}
				call := "return_call fn1(" + strings.Join(pass, ", ") + ")"
				if indirect {
					call = "v400 = func_addr.i64 fn1\n  return_call_indirect sig0, v400(" + strings.Join(pass, ", ") + ")"
				}
				text := fmt.Sprintf(`
function %%last(%[1]s) -> i64 tail {
  sig0 = (%[1]s) -> i64 tail
  ss0 = explicit_slot 40
block0(%[2]s):
  v200 = iconst.i64 0
%[3]s  return v%[4]d
}
function %%first(%[5]s) -> i64 tail {
  sig0 = (%[1]s) -> i64 tail
  fn1 = colocated %%last sig0
block0(%[6]s):
%[7]s  %[8]s
}
function %%main(%[5]s) -> i64 tail {
  fn0 = colocated %%first(%[5]s) -> i64 tail
  ss0 = explicit_slot 8
block0(%[6]s):
  v500 = iconst.i64 77
  v501 = stack_addr.i64 ss0
  store v500, v501
  v600 = call fn0(%[9]s)
  v601 = call fn0(%[9]s)
  v602 = isub v600, v601
  trapnz v602, user1
  v502 = load.i64 v501
  v503 = isub v502, v500
  v504 = iadd v600, v503
  return v504
}`, toSig, toBlock, sumOf(to), 200+to, fromSig, fromBlock, sum.String(), call, fromArgs)
				_ = toArgs
				m := build(t, text, "enable_native_stack_check")
				var in []uint64
				total := uint64(0)
				for i := range from {
					in = append(in, uint64(i*i+1))
					total += in[i]
				}
				want := uint64(0)
				for i := range to {
					if i < from-1 {
						want += in[i]
					} else {
						want += total
					}
				}
				if got := m.call1("main", in...); got != want {
					t.Fatalf("%d arguments to %d, indirect %v: %d, want %d", from, to, indirect, got, want)
				}
			}
		}
	}
}

func sumOf(n int) string {
	var w strings.Builder
	for i := range n {
		fmt.Fprintf(&w, "  v%d = iadd v%d, v%d\n", 201+i, 200+i, i)
	}
	return w.String()
}

// TestTailCallLoop shows that tail calls take no stack: a million of them, with
// more and fewer stack arguments in turn.
func TestTailCallLoop(t *testing.T) {
	sig, block, args := params(20, 1, "i64")
	m := build(t, fmt.Sprintf(`
function %%few(i64, i64) -> i64 tail {
  fn0 = colocated %%many(i64, %[1]s) -> i64 tail
block0(v0: i64, v1: i64):
  brif v0, block1, block2
block1:
  v50 = iconst.i64 -1
  v51 = iadd v0, v50
  return_call fn0(v51, v1, v1, v1, v1, v1, v1, v1, v1, v1, v1, v1, v1, v1, v1, v1, v1, v1, v1, v1, v1)
block2:
  return v1
}
function %%many(i64, %[1]s) -> i64 tail {
  fn0 = colocated %%few(i64, i64) -> i64 tail
block0(v0: i64, %[2]s):
  v50 = iconst.i64 1
  v51 = iadd v20, v50
  v52 = isub v20, v7
  trapnz v52, user1
  return_call fn0(v0, v51)
}`, sig, block), "enable_native_stack_check")
	_ = args
	if got := m.call1("few", 1000000, 5); got != 1000005 {
		t.Errorf("got %d", got)
	}
}

// TestStackArgumentsOfOtherSizes mixes vectors, 128-bit integers and narrow
// types among stack arguments.
func TestStackArgumentsOfOtherSizes(t *testing.T) {
	m := build(t, `
function %callee(i64, i64, i64, i64, i64, i64, i64, i64, i64, i8, i128, i16, f32, f64, f64, f64, f64, f64, f64, f64, f32, f64) -> i64, f64, i64 tail {
block0(v0: i64, v1: i64, v2: i64, v3: i64, v4: i64, v5: i64, v6: i64, v7: i64, v8: i64, v9: i8, v10: i128, v11: i16, v12: f32, v13: f64, v14: f64, v15: f64, v16: f64, v17: f64, v18: f64, v19: f64, v20: f32, v21: f64):
  v30, v31 = isplit v10
  v32 = sextend.i64 v9
  v33 = uextend.i64 v11
  v34 = iadd v31, v32
  v35 = iadd v34, v33
  v36 = fpromote.f64 v20
  v37 = fadd v36, v21
  return v35, v37, v30
}
function %main(i64, i64, f64) -> i64, f64, i64 tail {
  fn0 = colocated %callee(i64, i64, i64, i64, i64, i64, i64, i64, i64, i8, i128, i16, f32, f64, f64, f64, f64, f64, f64, f64, f32, f64) -> i64, f64, i64 tail
block0(v0: i64, v1: i64, v2: f64):
  v3 = iconcat v0, v1
  v4 = iconst.i8 -3
  v5 = iconst.i16 1000
  v6 = f32const 0x1.8p0
  v10, v11, v12 = call fn0(v0, v0, v0, v0, v0, v0, v0, v0, v0, v4, v3, v5, v6, v2, v2, v2, v2, v2, v2, v2, v6, v2)
  return v10, v11, v12
}`)
	out := m.call("main", 3, 7, 1<<40, math.Float64bits(2.25))
	if out[0] != 1<<40-3+1000 || math.Float64frombits(out[1]) != 3.75 || out[2] != 7 {
		t.Errorf("got %d, %v, %d", out[0], math.Float64frombits(out[1]), out[2])
	}
}

// TestSlotAlignment over-aligns stack slots.
func TestSlotAlignment(t *testing.T) {
	m := build(t, `
function %f(i64) -> i64, i64, i64 tail {
  ss0 = explicit_slot 3
  ss1 = explicit_slot 8, align = 256
  ss2 = explicit_slot 16, align = 32
block0(v0: i64):
  v1 = stack_addr.i64 ss0
  v2 = stack_addr.i64 ss1
  v3 = stack_addr.i64 ss2
  istore8 v0, v1+2
  store v0, v2
  store v0, v3+8
  v4 = load.i64 v2
  v5 = load.i64 v3+8
  v6 = uload8.i64 v1+2
  v7 = iadd v4, v5
  v8 = iadd v7, v6
  v9 = iconst.i64 255
  v10 = band v2, v9
  v11 = iconst.i64 31
  v12 = band v3, v11
  v13 = iadd v10, v12
  v14 = iconst.i64 3
  return v8, v13, v14
}`)
	out := m.call("f", 3, 1000)
	if out[0] != 2000+1000&255 || out[1] != 0 || out[2] != 3 {
		t.Errorf("got %v", out)
	}
}

// TestCallReturnAddress compares get_call_return_address with what the callee
// sees as its return address.
func TestCallReturnAddress(t *testing.T) {
	m := build(t, `
function %callee(i64) -> i64, i64 tail {
block0(v0: i64):
  v1 = get_return_address.i64
  v2 = get_frame_pointer.i64
  v3 = load.i64 v2
  return v1, v3
}
function %f(i64) -> i64, i64 tail {
  sig0 = (i64) -> i64, i64 tail
  fn0 = colocated %callee sig0
block0(v0: i64):
  v1 = get_call_return_address.i64
  v2, v3 = call fn0(v0)
  v4 = isub v1, v2
  v5 = get_call_return_address.i64
  v6 = func_addr.i64 fn0
  v7, v8 = call_indirect sig0, v6(v0)
  v9 = isub v5, v7
  v10 = bor v4, v9
  v11 = get_frame_pointer.i64
  v12 = isub v11, v3
  v13 = isub v11, v8
  v14 = bor v12, v13
  return v10, v14
}`)
	if out := m.call("f", 2, 0); out[0] != 0 || out[1] != 0 {
		t.Errorf("differences %#x", out)
	}
}

// TestStackLimit calls a function with a limit that is in its context, below
// and above where the stack is. The trap is a jump to a ud2, which a test can
// not survive, so only the code on the way is looked at where it would trap.
func TestStackLimit(t *testing.T) {
	m := build(t, `
function %limited(i64 vmctx, i64) -> i64 system_v {
  gv0 = vmctx
  gv1 = load.i64 notrap aligned gv0+8
  gv2 = iadd_imm.i64 gv1, 16
  stack_limit = gv2
  ss0 = explicit_slot 64
block0(v0: i64, v1: i64):
  v2 = stack_addr.i64 ss0
  store notrap v1, v2
  v3 = load.i64 notrap v2
  return v3
}
function %main(i64) -> i64, i64 system_v {
  fn0 = colocated %limited(i64 vmctx, i64) -> i64 system_v
  ss0 = explicit_slot 16
block0(v0: i64):
  v1 = stack_addr.i64 ss0
  v2 = get_stack_pointer.i64
  v3 = iconst.i64 -4096
  v4 = iadd v2, v3
  store v4, v1+8
  v5 = call fn0(v1, v0)
  return v5, v4
}`)
	if out := m.call("main", 2, 42); out[0] != 42 {
		t.Errorf("got %v", out)
	}
	traps := m.codes["limited"].Traps
	if len(traps) != 1 || traps[0].Code != ir.TrapStackOverflow {
		t.Errorf("traps %v, want one of stk_ovf", traps)
	}
}

// TestLargeFrame has probes, unrolled and in a loop, and slots far apart.
func TestLargeFrame(t *testing.T) {
	for _, size := range []int{100, 5000, 12288, 100000, 1 << 20} {
		m := build(t, fmt.Sprintf(`
function %%f(i64) -> i64 system_v {
  ss0 = explicit_slot %d
  ss1 = explicit_slot 16
  fn0 = colocated %%g(i64) -> i64 system_v
block0(v0: i64):
  v1 = stack_addr.i64 ss0
  v2 = stack_addr.i64 ss1
  v3 = iconst.i64 1
  v4 = iadd v0, v3
  store v0, v1
  store v4, v1+%d
  store v0, v2+8
  v5 = call fn0(v0)
  v6 = load.i64 v1
  v7 = load.i64 v1+%d
  v8 = load.i64 v2+8
  v9 = iadd v5, v6
  v10 = iadd v9, v7
  v11 = iadd v10, v8
  return v11
}
function %%g(i64) -> i64 system_v {
block0(v0: i64):
  return v0
}`, size, size-8, size-8), "enable_probestack=true", "probestack_strategy=inline")
		if got := m.call1("f", 1000); got != 4001 {
			t.Errorf("%d bytes: got %d", size, got)
		}
	}
}

// TestAlignedFrame has a slot with an alignment beyond that of the stack, below
// many frames of odd sizes, with and without probes.
func TestAlignedFrame(t *testing.T) {
	for _, settings := range [][]string{{"enable_probestack=false"}, {"enable_probestack=true", "probestack_strategy=inline"}} {
		for _, align := range []int{32, 64, 4096, 8192} {
			for _, size := range []int{48, 4000, 40000} {
				m := build(t, fmt.Sprintf(`
function %%f(i64, i64, i64, i64, i64, i64, i64, i64, i64) -> i64 tail {
  ss0 = explicit_slot %[2]d, align=%[1]d
  ss1 = explicit_slot 24
  fn0 = colocated %%f(i64, i64, i64, i64, i64, i64, i64, i64, i64) -> i64 tail
block0(v0: i64, v1: i64, v2: i64, v3: i64, v4: i64, v5: i64, v6: i64, v7: i64, v8: i64):
  v10 = stack_addr.i64 ss0
  v11 = stack_addr.i64 ss1
  v12 = iconst.i64 %[1]d
  v13 = urem v10, v12
  store v8, v10+%[3]d
  store v7, v10
  store v6, v11+16
  v14 = iconst.i64 1
  brif v0, block1, block2(v13)
block1:
  v15 = isub v0, v14
  v16 = iadd v8, v14
  v17 = call fn0(v15, v1, v2, v3, v4, v5, v6, v7, v16)
  v18 = bor v13, v17
  jump block2(v18)
block2(v19: i64):
  v20 = load.i64 v10+%[3]d
  v21 = load.i64 v10
  v22 = load.i64 v11+16
  v23 = bxor v20, v8
  v24 = bxor v21, v7
  v25 = bxor v22, v6
  v26 = bor v23, v24
  v27 = bor v25, v26
  v28 = bor v19, v27
  return v28
}
function %%main(i64) -> i64 system_v {
  fn0 = colocated %%f(i64, i64, i64, i64, i64, i64, i64, i64, i64) -> i64 tail
block0(v0: i64):
  v1 = call fn0(v0, v0, v0, v0, v0, v0, v0, v0, v0)
  return v1
}`, align, size, size-8), settings...)
				if got := m.call1("main", 5); got != 0 {
					t.Errorf("%d bytes aligned to %d: differences %#x", size, align, got)
				}
			}
		}
	}
}

// TestCanonicalNaN makes NaNs from NaNs with other bits.
func TestCanonicalNaN(t *testing.T) {
	m := build(t, `
function %f(f64, f64, f32) -> f64, f32, f64, f64 tail {
block0(v0: f64, v1: f64, v2: f32):
  v3 = fadd v0, v1
  v4 = fmul v2, v2
  v5 = fneg v0
  v6 = sqrt v1
  return v3, v4, v5, v6
}`, "enable_nan_canonicalization")
	nan := uint64(0xfff0_1234_5678_9abc)
	out := m.call("f", 4, nan, math.Float64bits(4), 0xff812345)
	if out[0] != 0x7ff8<<48 || uint32(out[1]) != 0x7fc00000 || out[2] != nan^1<<63 || math.Float64frombits(out[3]) != 2 {
		t.Errorf("got %#x", out)
	}
}

// TestCalleeSaved keeps values in registers over calls between conventions that
// save different ones.
func TestCalleeSaved(t *testing.T) {
	for _, outer := range []string{"system_v", "windows_fastcall", "tail", "fast"} {
		for _, inner := range []string{"system_v", "windows_fastcall", "tail", "fast"} {
			// The inner function needs all registers.
			var body strings.Builder
			sum, fsum := "v0", "v1"
			for i := range 30 {
				fmt.Fprintf(&body, "  v%d = load.i64 notrap aligned v2+%d\n  v%d = load.f64 notrap aligned v2+%d\n", 100+i, 8*i, 200+i, 8*i)
			}
			for i := range 30 {
				fmt.Fprintf(&body, "  v%d = imul %s, v%d\n  v%d = fadd %s, v%d\n", 300+i, sum, 100+i, 400+i, fsum, 200+i)
				sum, fsum = fmt.Sprintf("v%d", 300+i), fmt.Sprintf("v%d", 400+i)
			}
			for i := range 30 { // used again, so that all are alive at once
				fmt.Fprintf(&body, "  v%d = bxor %s, v%d\n  v%d = fmul %s, v%d\n", 600+i, sum, 129-i, 700+i, fsum, 229-i)
				sum, fsum = fmt.Sprintf("v%d", 600+i), fmt.Sprintf("v%d", 700+i)
			}
			var before, after strings.Builder
			sum, fsum = "v3", "v4"
			for i := range 20 {
				fmt.Fprintf(&before, "  v%d = iconst.i64 %d\n  v%d = iadd v0, v%d\n  v%d = f64const 0x1.%xp3\n  v%d = fadd v1, v%d\n", 10+i, i*i, 50+i, 10+i, 90+i, i, 130+i, 90+i)
				fmt.Fprintf(&after, "  v%d = iadd %s, v%d\n  v%d = fadd %s, v%d\n", 200+i, sum, 50+i, 250+i, fsum, 130+i)
				sum, fsum = fmt.Sprintf("v%d", 200+i), fmt.Sprintf("v%d", 250+i)
			}
			m := build(t, fmt.Sprintf(`
function %%inner(i64, f64, i64) -> i64 %[1]s {
block0(v0: i64, v1: f64, v2: i64):
%[2]s  v500 = bitcast.i64 v729
  v501 = bxor v629, v500
  return v501
}
function %%outer(i64, f64) -> i64, f64 %[3]s {
  fn0 = colocated %%inner(i64, f64, i64) -> i64 %[1]s
  ss0 = explicit_slot 240
block0(v0: i64, v1: f64):
  v2 = stack_addr.i64 ss0
%[4]s  v5 = call fn0(v0, v1, v2)
  v3 = iconst.i64 0
  v4 = f64const 0.0
%[5]s  return %[6]s, %[7]s
}
function %%thin(i64, f64, i64) -> i64 %[3]s {
  fn0 = colocated %%inner(i64, f64, i64) -> i64 %[1]s
block0(v0: i64, v1: f64, v2: i64):
  v3 = call fn0(v0, v1, v2)
  return v3
}
function %%keeper(i64, f64) -> i64, f64 %[3]s {
  fn0 = colocated %%outer(i64, f64) -> i64, f64 %[3]s
  fn1 = colocated %%thin(i64, f64, i64) -> i64 %[3]s
  ss0 = explicit_slot 240
block0(v0: i64, v1: f64):
%[4]s  v502 = stack_addr.i64 ss0
  v503 = call fn1(v0, v1, v502)
  v5, v6 = call fn0(v0, v1)
  v3 = iconst.i64 0
  v4 = f64const 0.0
%[5]s  v501 = isub v5, %[6]s
  trapnz v501, user1
  return %[6]s, %[7]s
}
function %%main(i64, f64) -> i64, f64 tail {
  fn0 = colocated %%keeper(i64, f64) -> i64, f64 %[3]s
block0(v0: i64, v1: f64):
  v2, v3 = call fn0(v0, v1)
  return v2, v3
}`, inner, body.String(), outer, before.String(), after.String(), sum, fsum))
			out := m.call("main", 2, 1000, math.Float64bits(0.5))
			want, fwant := uint64(0), 0.0
			for i := range 20 {
				want += 1000 + uint64(i*i)
				digits := 1 + float64(i)/16 // of 0x1.%x
				if i >= 16 {
					digits = 1 + float64(i)/256
				}
				fwant += 0.5 + digits*8
			}
			if out[0] != want || math.Float64frombits(out[1]) != fwant {
				t.Errorf("%s calls %s: %d, %v, want %d, %v", outer, inner, out[0], math.Float64frombits(out[1]), want, fwant)
			}
		}
	}
}

// TestExtensionOfUnknownUpperHalf extends 32-bit values whose register has
// something else above them, in all the ways they can come about.
func TestExtensionOfUnknownUpperHalf(t *testing.T) {
	m := build(t, `
function %pass(i32) -> i32 tail {
block0(v0: i32):
  return v0
}
function %sysv(i32) -> i32 system_v {
block0(v0: i32):
  return v0
}
function %f(i64, i32) -> i64, i64, i64, i64, i64, i64, i64 tail {
  fn0 = colocated %pass(i32) -> i32 tail
  fn1 = colocated %sysv(i32) -> i32 system_v
block0(v0: i64, v1: i32):
  v2 = ireduce.i32 v0
  v3 = uextend.i64 v2
  v4 = iconst.i32 0
  v5 = iadd v2, v4
  v6 = uextend.i64 v5
  v7 = iconst.i32 32
  v8 = ishl v2, v7
  v9 = uextend.i64 v8
  v10 = call fn0(v2)
  v11 = uextend.i64 v10
  v12 = call fn1(v2)
  v13 = uextend.i64 v12
  jump block1(v1, v4)
block1(v20: i32, v21: i32):
  v22 = uextend.i64 v20
  v23 = iconst.i32 1
  v24 = iadd v21, v23
  v25 = iconst.i32 3
  v26 = icmp eq v24, v25
  brif v26, block2, block1(v2, v24)
block2:
  v30 = select v1, v2, v24
  v31 = uextend.i64 v30
  return v3, v6, v9, v11, v13, v22, v31
}`)
	const x = 0xdead_beef_8765_4321
	for i, got := range m.call("f", 7, x, 5) {
		if got != x&0xffff_ffff {
			t.Errorf("result %d is %#x", i, got)
		}
	}
}

// TestPreserveAll calls a function that destroys all registers and must not show
// it.
func TestPreserveAll(t *testing.T) {
	var loads, stores, make, sum strings.Builder
	for i := range 30 {
		fmt.Fprintf(&loads, "  v%d = load.i64 notrap aligned v0+%d\n  v%d = load.f64 notrap aligned v0+%d\n", 10+i, 8*i, 50+i, 8*i)
		fmt.Fprintf(&stores, "  store notrap aligned v%d, v0+%d\n  store notrap aligned v%d, v0+%d\n", 39-i, 8*i, 79-i, 8*i)
	}
	for i := range 12 {
		fmt.Fprintf(&make, "  v%d = imul v0, v%d\n  v%d = fadd v1, v%d\n", 101+i, 100+i, 151+i, 150+i)
		fmt.Fprintf(&sum, "  v%d = isub v%d, v%d\n  v%d = fsub v%d, v%d\n", 201+i, 200+i, 101+i, 251+i, 250+i, 151+i)
	}
	body := func(call string) string {
		return "  v100 = iconst.i64 3\n  v150 = f64const 0x1.8p0\n  v200 = iconst.i64 0\n  v250 = f64const 0.0\n" +
			"  v5 = stack_addr.i64 ss0\n" + make.String() + call + sum.String() + "  return v212, v262\n}\n"
	}
	m := build(t, `
function %helper(i64) -> i64 tail {
block0(v0: i64):
`+loads.String()+stores.String()+`  return v0
}
function %hidden(i64) preserve_all {
  fn0 = colocated %helper(i64) -> i64 tail
block0(v0: i64):
`+loads.String()+stores.String()+`  v1 = call fn0(v0)
  return
}
function %with(i64, f64) -> i64, f64 tail {
  fn0 = colocated %hidden(i64) preserve_all
  ss0 = explicit_slot 240
block0(v0: i64, v1: f64):
`+body("  call fn0(v5)\n")+`
function %without(i64, f64) -> i64, f64 tail {
  ss0 = explicit_slot 240
block0(v0: i64, v1: f64):
`+body(""))
	args := []uint64{7, math.Float64bits(0.25)}
	got, want := m.call("with", 2, args...), m.call("without", 2, args...)
	if got[0] != want[0] || got[1] != want[1] || want[0] == 0 {
		t.Errorf("got %#x, want %#x", got, want)
	}
}
