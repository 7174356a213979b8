package jit

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/davit-wasm/davit/codegen/clif"
	"github.com/davit-wasm/davit/codegen/ir"
	"github.com/davit-wasm/davit/codegen/isa"
)

func newModule(t testing.TB, text string) *Module {
	t.Helper()
	if err := Supported(); err != nil {
		t.Skip(err)
	}
	b, err := isa.Host()
	if err != nil {
		t.Skip(err)
	}
	target, err := b.Finish()
	if err != nil {
		t.Fatal(err)
	}
	m := New(target)
	t.Cleanup(m.Close)
	funcs, err := clif.ParseFunctions(text)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range funcs {
		if _, err := m.Define(f.Function); err != nil {
			t.Fatal(err)
		}
	}
	return m
}

func call(t *testing.T, m *Module, ctx context.Context, name string, args ...uint64) (uint64, error) {
	t.Helper()
	id, ok := m.Lookup(ir.TestName(name))
	if !ok {
		t.Fatalf("no function %%%s", name)
	}
	buf := make([]byte, SlotSize*max(1, len(args)))
	for i, a := range args {
		binary.LittleEndian.PutUint64(buf[i*SlotSize:], a)
	}
	err := m.Call(ctx, id, buf)
	return binary.LittleEndian.Uint64(buf), err
}

// TestCalls covers calls among functions of different conventions, by name and
// through an address, within a batch and to one finalized before.
func TestCalls(t *testing.T) {
	m := newModule(t, `
function %fib(i64) -> i64 system_v {
    fn0 = %fib(i64) -> i64 system_v
block0(v0: i64):
    v1 = iconst.i64 2
    v2 = icmp ult v0, v1
    brif v2, block1, block2
block1:
    return v0
block2:
    v3 = iconst.i64 1
    v4 = isub v0, v3
    v5 = call fn0(v4)
    v6 = isub v0, v1
    v7 = call fn0(v6)
    v8 = iadd v5, v7
    return v8
}
function %indirect(i64) -> i64 tail {
    sig0 = (i64) -> i64 system_v
    fn0 = %fib sig0
block0(v0: i64):
    v1 = func_addr.i64 fn0
    v2 = call_indirect sig0, v1(v0)
    return v2
}`)
	if err := m.Finalize(); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]uint64{"fib": 6765, "indirect": 6765} {
		if got, err := call(t, m, context.Background(), name, 20); err != nil || got != want {
			t.Errorf("%%%s(20) = %d, %v, want %d", name, got, err, want)
		}
	}
	later, err := clif.ParseFunction("function %later(i64) -> i64 fast {\n fn0 = %fib(i64) -> i64 system_v\nblock0(v0: i64):\n v1 = call fn0(v0)\n v2 = iadd v1, v1\n return v2\n}")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := m.Define(later); err != nil {
		t.Fatal(err)
	}
	if err := m.Finalize(); err != nil {
		t.Fatal(err)
	}
	if got, err := call(t, m, context.Background(), "later", 10); err != nil || got != 110 {
		t.Errorf("%%later(10) = %d, %v", got, err)
	}
}

func TestTraps(t *testing.T) {
	m := newModule(t, `
function %div(i32, i32) -> i32 {
block0(v0: i32, v1: i32):
    v2 = sdiv v0, v1
    return v2
}
function %null(i64) -> i64 {
block0(v0: i64):
    v2 = load.i64 v0
    return v2
}
function %user(i64) {
block0(v0: i64):
    trapnz v0, user7
    return
}`)
	if err := m.Finalize(); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		args []uint64
		want ir.TrapCode
	}{
		{"div", []uint64{7, 0}, ir.TrapIntegerDivideByZero},
		{"div", []uint64{1 << 31, 0xffffffff}, ir.TrapIntegerOverflow},
		{"null", []uint64{16}, ir.TrapHeapOutOfBounds},
		{"user", []uint64{1}, 7},
	} {
		_, err := call(t, m, context.Background(), c.name, c.args...)
		var trap *Trap
		if !errors.As(err, &trap) || trap.Code != c.want || trap.Func != ir.TestName(c.name) {
			t.Errorf("%%%s%v: error %v, want trap %v", c.name, c.args, err, c.want)
		}
	}
	if got, err := call(t, m, context.Background(), "div", 42, 6); err != nil || got != 7 {
		t.Errorf("after traps: %d, %v", got, err)
	}
}

// TestHost calls Go from compiled code, and compiled code from that again.
func TestHost(t *testing.T) {
	m := newModule(t, `
function %twice(i64, f64) -> i64, f64 {
    fn0 = %host(i64, f64) -> i64, f64
block0(v0: i64, v1: f64):
    v2, v3 = call fn0(v0, v1)
    v4, v5 = call fn0(v2, v3)
    return v4, v5
}
function %inc(i64) -> i64 {
block0(v0: i64):
    v1 = iconst.i64 1
    v2 = iadd v0, v1
    return v2
}`)
	i64, f64 := ir.Param{Type: ir.I64}, ir.Param{Type: ir.F64}
	stop := errors.New("stop")
	_, err := m.DefineHost(ir.TestName("host"), ir.Signature{Params: []ir.Param{i64, f64}, Returns: []ir.Param{i64, f64}}, func(ctx context.Context, slots []byte) error {
		x := binary.LittleEndian.Uint64(slots)
		if x == 99 {
			return stop
		}
		y, err := call(t, m, ctx, "inc", x)
		binary.LittleEndian.PutUint64(slots, y)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Finalize(); err != nil {
		t.Fatal(err)
	}
	if got, err := call(t, m, context.Background(), "twice", 40, 0); err != nil || got != 42 {
		t.Errorf("%d, %v", got, err)
	}
	if _, err := call(t, m, context.Background(), "twice", 98, 0); !errors.Is(err, stop) {
		t.Errorf("error %v", err)
	}
}

// TestInterrupt ends code that would run for ever.
func TestInterrupt(t *testing.T) {
	m := newModule(t, "function %loop() {\nblock0:\n jump block1\nblock1:\n jump block1\n}")
	if err := m.Finalize(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	if _, err := call(t, m, ctx, "loop"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error %v", err)
	}
}

func TestUndefined(t *testing.T) {
	m := newModule(t, "function %f() {\n fn0 = %nowhere()\nblock0:\n call fn0()\n return\n}")
	if err := m.Finalize(); !errors.Is(err, ErrUndefined) {
		t.Errorf("error %v", err)
	}
	f, err := clif.ParseFunction("function %f() {\nblock0:\n return\n}")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := m.Define(f); err == nil {
		t.Error("defined twice without an error")
	}
	if err := m.Call(context.Background(), 0, nil); !errors.Is(err, ErrNotCallable) {
		t.Errorf("error %v", err)
	}
}

// TestWideDivisionTraps divides 128 bits by what has no quotient: the library
// function is not called.
func TestWideDivisionTraps(t *testing.T) {
	wide := ir.Param{Type: ir.I128}
	for op, libcall := range map[string]string{"udiv": "UdivI128", "sdiv": "SdivI128", "urem": "UremI128", "srem": "SremI128"} {
		m := newModule(t, `
function %f(i64, i64, i64, i64) -> i64, i64 system_v {
block0(v0: i64, v1: i64, v2: i64, v3: i64):
    v4 = iconcat v0, v1
    v5 = iconcat v2, v3
    v6 = `+op+` v4, v5
    v7, v8 = isplit v6
    return v7, v8
}`)
		called := false
		_, err := m.DefineHost(ir.LibCallName(libcall), ir.Signature{Params: []ir.Param{wide, wide}, Returns: []ir.Param{wide}, CallConv: ir.SystemV}, func(context.Context, []byte) error {
			called = true
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := m.Finalize(); err != nil {
			t.Fatal(err)
		}
		const lowest, ones = 1 << 63, math.MaxUint64
		for _, c := range []struct {
			args []uint64
			want ir.TrapCode // 0 for none
		}{
			{[]uint64{5, 5, 0, 0}, ir.TrapIntegerDivideByZero},
			{[]uint64{0, lowest, ones, ones}, map[string]ir.TrapCode{"sdiv": ir.TrapIntegerOverflow}[op]},
			{[]uint64{1, lowest, ones, ones}, 0},
			{[]uint64{0, lowest, ones, ones - 1}, 0},
			{[]uint64{0, lowest, 0, 1}, 0},
			{[]uint64{0, 0, ones, ones}, 0},
		} {
			called = false
			_, err := call(t, m, context.Background(), "f", c.args...)
			var trap *Trap
			if errors.As(err, &trap) != (c.want != 0) || trap != nil && trap.Code != c.want || called != (c.want == 0) {
				t.Errorf("%s %x: error %v, want trap %v; called: %v", op, c.args, err, c.want, called)
			}
		}
	}
}

// TestCollection lets the collector stop the world while compiled code runs in
// a loop without end.
func TestCollection(t *testing.T) {
	m := newModule(t, "function %loop(i64) {\n fn0 = %started() system_v\nblock0(v0: i64):\n call fn0()\n jump block1\nblock1:\n jump block1\n}")
	started := make(chan bool)
	_, err := m.DefineHost(ir.TestName("started"), ir.Signature{CallConv: ir.SystemV}, func(context.Context, []byte) error {
		close(started)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Finalize(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() {
		_, err := call(t, m, ctx, "loop", 1)
		done <- err
	}()
	<-started
	for range 5 {
		runtime.GC()
	}
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
}

// TestTrapCallers looks at the stack that a trap reports.
func TestTrapCallers(t *testing.T) {
	m := newModule(t, `
function %top(i64) -> i64 tail {
    fn0 = %middle(i64) -> i64 system_v
block0(v0: i64):
@0011  v1 = call fn0(v0)
    v2 = iadd v1, v0
    return v2
}
function %middle(i64) -> i64 system_v {
    fn0 = %bottom(i64) -> i64 system_v
block0(v0: i64):
@0021  v1 = call fn0(v0)
    v2 = iadd v1, v0
    return v2
}
function %bottom(i64) -> i64 system_v {
block0(v0: i64):
@0031  v2 = iadd v0, v0
@0032  v1 = udiv v2, v0
    return v1
}`)
	if err := m.Finalize(); err != nil {
		t.Fatal(err)
	}
	_, err := call(t, m, context.Background(), "top", 0)
	var trap *Trap
	if !errors.As(err, &trap) || trap.Func != ir.TestName("bottom") || trap.Loc != 0x32 {
		t.Fatalf("error %+v", err)
	}
	var got []string
	for _, f := range trap.Callers {
		got = append(got, fmt.Sprintf("%v@%x", f.Func, f.Loc))
	}
	if want := []string{"%middle@21", "%top@11"}; !slices.Equal(got, want) {
		t.Errorf("callers %v, want %v", got, want)
	}
}

// TestStackOverflow recurses without end, in all conventions that check, with
// small frames and large ones.
func TestStackOverflow(t *testing.T) {
	for _, conv := range []string{"system_v", "fast", "tail", "windows_fastcall"} {
		for _, size := range []int{8, 4096, 100000} {
			m := newModule(t, fmt.Sprintf(`
function %%f(i64) -> i64 %[1]s {
    fn0 = colocated %%f(i64) -> i64 %[1]s
    ss0 = explicit_slot %[2]d
block0(v0: i64):
    v9 = stack_addr.i64 ss0
    store v0, v9
    v1 = call fn0(v0)
    v8 = stack_addr.i64 ss0
    v2 = load.i64 v8
    v3 = iadd v1, v2
    return v3
}`, conv, size))
			if err := m.Finalize(); err != nil {
				t.Fatal(err)
			}
			_, err := call(t, m, context.Background(), "f", 1)
			var trap *Trap
			if !errors.As(err, &trap) || trap.Code != ir.TrapStackOverflow || len(trap.Callers) == 0 {
				t.Errorf("%s, slots of %d bytes: error %v", conv, size, err)
			}
		}
	}
}

// BenchmarkCall measures the way into compiled code and back, and over a Go
// function.
func BenchmarkCall(b *testing.B) {
	m := newModule(b, `
function %add(i64, i64) -> i64 {
block0(v0: i64, v1: i64):
    v2 = iadd v0, v1
    return v2
}
function %over(i64, i64) -> i64 {
    fn0 = %host() system_v
block0(v0: i64, v1: i64):
    call fn0()
    v2 = iadd v0, v1
    return v2
}`)
	if _, err := m.DefineHost(ir.TestName("host"), ir.Signature{CallConv: ir.SystemV}, func(context.Context, []byte) error { return nil }); err != nil {
		b.Fatal(err)
	}
	if err := m.Finalize(); err != nil {
		b.Fatal(err)
	}
	for _, name := range []string{"add", "over"} {
		id, _ := m.Lookup(ir.TestName(name))
		f, err := Func2[int64, int64, int64](m, id)
		if err != nil {
			b.Fatal(err)
		}
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			ctx := context.Background()
			for b.Loop() {
				if _, err := f(ctx, 40, 2); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
