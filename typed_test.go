package davit_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/davit-wasm/davit"
)

type (
	meters  int32
	ratio   float64
	vector  [16]byte
	pointer uint32
)

const typed = `(module
	(import "go" "mix" (func $mix (param i32 i64 f32 f64 i32) (result f64)))
	(import "go" "swap" (func $swap (param i32 i64) (result i64 i32)))
	(import "go" "note" (func $note (param i32)))
	(import "go" "keep" (func $keep (param funcref externref) (result externref)))
	(import "go" "none" (func $none (result i32)))
	(func (export "mix") (param i32 i64 f32 f64 i32) (result f64)
		(call $mix (local.get 0) (local.get 1) (local.get 2) (local.get 3) (local.get 4)))
	(func (export "swap") (param i32 i64) (result i64 i32) (call $swap (local.get 0) (local.get 1)))
	(func (export "note") (param i32) (call $note (local.get 0)))
	(func (export "keep") (param funcref externref) (result externref) (call $keep (local.get 0) (local.get 1)))
	(func (export "none") (result i32) (call $none))
	(func (export "self") (result funcref) (ref.func $own))
	(func $own (export "own") (result i32) (i32.const 11))
	(func (export "many") (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32)
		(i32.sub (local.get 15) (local.get 0))))`

// newTyped is an instance of the module, whose imports are typed host functions.
func newTyped(t testing.TB, noted *[]uint32) *davit.Instance {
	w := newWorld(t, nil, nil)
	define := func(name string, f *davit.GoFunc) {
		t.Helper()
		if err := w.linker.Define("go", name, f); err != nil {
			t.Fatal(err)
		}
	}
	define("mix", davit.HostFunc5(func(_ context.Context, _ *davit.Caller, a meters, b uint64, c float32, d ratio, e int32) (float64, error) {
		return float64(a) + float64(b) + float64(c) + float64(d) + float64(e), nil
	}))
	define("swap", davit.HostFunc2x2(func(_ context.Context, c *davit.Caller, a int32, b int64) (int64, int32, error) {
		if a == -1 {
			return 0, 0, errors.New("refused")
		}
		return b, a, nil
	}))
	define("note", davit.HostProc1(func(_ context.Context, c *davit.Caller, p pointer) error {
		*noted = append(*noted, uint32(p))
		return nil
	}))
	define("keep", davit.HostFunc2(func(ctx context.Context, c *davit.Caller, f *davit.Func, x davit.External) (davit.External, error) {
		if f == nil {
			return davit.External{}, nil
		}
		r, err := f.Call(ctx)
		if err != nil {
			return davit.External{}, err
		}
		return davit.External{Value: fmt.Sprint(x.Value, r[0])}, nil
	}))
	define("none", davit.HostFunc0(func(_ context.Context, c *davit.Caller) (uint32, error) { return 1 << 31, nil }))
	return w.instantiate(typed)
}

// must is the first of the two, if there is no error.
func must[F any](f F, err error) F {
	if err != nil {
		panic(err)
	}
	return f
}

// TestTyped: values of all types pass through typed functions both ways.
func TestTyped(t *testing.T) {
	var noted []uint32
	in := newTyped(t, &noted)
	mix := must(davit.Func5[meters, int64, float32, float64, uint32, ratio](in.Func("mix")))
	if r, err := mix(ctx, -1, 1<<40, 0.5, 0.25, 7); err != nil || r != -1+1<<40+0.75+7 {
		t.Errorf("mix: %v, %v", r, err)
	}
	swap := must(davit.Func2x2[int32, uint64, uint64, int32](in.Func("swap")))
	if a, b, err := swap(ctx, -5, 1<<63); err != nil || a != 1<<63 || b != -5 {
		t.Errorf("swap: %v, %v, %v", a, b, err)
	}
	if _, _, err := swap(ctx, -1, 0); err == nil || err.Error() != "refused" {
		t.Errorf("swap: %v", err)
	}
	note := must(davit.Proc1[uint32](in.Func("note")))
	if err := note(ctx, 0xffff_ffff); err != nil || len(noted) != 1 || noted[0] != 0xffff_ffff {
		t.Errorf("note: %v, %v", noted, err)
	}
	self := must(davit.Func0[*davit.Func](in.Func("self")))
	f, err := self(ctx)
	if err != nil {
		t.Fatal(err)
	}
	keep := must(davit.Func2[*davit.Func, davit.External, davit.External](in.Func("keep")))
	if r, err := keep(ctx, f, davit.External{Value: "x"}); err != nil || r.Value != "x11" {
		t.Errorf("keep: %v, %v", r, err)
	}
	if r, err := keep(ctx, nil, davit.External{Value: "x"}); err != nil || r.Value != nil {
		t.Errorf("keep: %v, %v", r, err)
	}
	none := must(davit.Func0[int32](in.Func("none")))
	if r, err := none(ctx); err != nil || r != -1<<31 {
		t.Errorf("none: %v, %v", r, err)
	}
	many := must(davit.Func16[int32, int32, int32, int32, int32, int32, int32, int32, int32, int32, int32, int32, int32, int32, int32, int32, int32](in.Func("many")))
	if r, err := many(ctx, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16); err != nil || r != 15 {
		t.Errorf("many: %v, %v", r, err)
	}
	last, err := davit.HostFunc3(func(_ context.Context, _ *davit.Caller, _ vector, _ int32, v [16]byte) (vector, error) { return v, nil }).New(in.Store())
	if err != nil {
		t.Fatal(err)
	}
	v := vector{1, 2, 3, 15: 16}
	if r, err := must(davit.Func3[vector, int32, vector, [16]byte](last))(ctx, vector{}, 1, v); err != nil || r != v {
		t.Errorf("last: %v, %v", r, err)
	}

	// A typed function of the host, called from Go.
	double, err := davit.HostFunc1(func(_ context.Context, c *davit.Caller, x int64) (int64, error) {
		if c.Instance() != nil || len(c.Frames()) != 0 {
			return 0, errors.New("called by an instance?")
		}
		return 2 * x, nil
	}).New(in.Store())
	if err != nil {
		t.Fatal(err)
	}
	if r, err := must(davit.Func1[int64, int64](double))(ctx, 21); err != nil || r != 42 {
		t.Errorf("double: %v, %v", r, err)
	}

	// Vectors through a guest, in any place.
	w := newWorld(t, nil, nil)
	w.linker.Define("go", "add", davit.HostFunc3(func(_ context.Context, _ *davit.Caller, a [16]byte, n int32, b vector) (vector, error) {
		for i := range b {
			b[i] += a[i] + byte(n)
		}
		return b, nil
	}))
	in2 := w.instantiate(`(module (import "go" "add" (func $add (param v128 i32 v128) (result v128)))
		(func (export "add") (param i64 v128 i32 v128) (result v128 i64)
			(call $add (local.get 1) (local.get 2) (local.get 3)) (local.get 0)))`)
	add := must(davit.Func4x2[int64, vector, int32, [16]byte, [16]byte, uint64](in2.Func("add")))
	if r, n, err := add(ctx, 77, vector{0: 1, 15: 2}, 5, [16]byte{0: 100, 7: 50, 15: 200}); err != nil || n != 77 ||
		r != [16]byte{106, 5, 5, 5, 5, 5, 5, 55, 5, 5, 5, 5, 5, 5, 5, 207} {
		t.Errorf("vectors: %v, %v, %v", r, n, err)
	}
	if r, err := in2.Func("add").Call(ctx, davit.ValueI64(9), davit.ValueV128(1, 2), davit.ValueI32(0), davit.ValueV128(3, 4)); err != nil || r[1].I64() != 9 {
		t.Errorf("vectors: %v, %v", r, err)
	} else if low, high := r[0].V128(); low != 4 || high != 6 {
		t.Errorf("vectors: %v", r)
	}

	ended, cancel := context.WithCancel(ctx)
	cancel()
	if _, err := none(ended); !errors.Is(err, context.Canceled) || !errors.Is(err, davit.TrapInterrupt) {
		t.Errorf("with an ended context: %v", err)
	}
	other := newTyped(t, &noted)
	if _, err := keep(ctx, other.Func("own"), davit.External{}); !errors.Is(err, davit.ErrOtherStore) {
		t.Errorf("a function of another store: %v", err)
	}
	if _, err := none(ctx); err != nil { // the store is free
		t.Error(err)
	}
}

// arity is a host function of so many parameters and results, and a call of a
// guest's function like it.
type arity struct {
	params, results int
	host            *davit.GoFunc
	call            func(context.Context, *davit.Func) (sum float64, negative int32, err error)
}

// lastNoted is what functions without results were told.
var lastNoted float64

func noted(sum float64) error { lastNoted = sum; return nil }

// TestArities: functions of all numbers of parameters and results put each value
// in its place, from Go through a guest to Go and back.
func TestArities(t *testing.T) {
	w := newWorld(t, nil, nil)
	var imports, functions strings.Builder
	sum := map[davit.ValType]string{davit.I32: "(f64.convert_i32_s %s)", davit.I64: "(f64.convert_i64_s %s)", davit.F32: "(f64.promote_f32 %s)", davit.F64: "%s"}
	for i, a := range arities {
		if err := w.linker.Define("go", fmt.Sprint(i), a.host); err != nil {
			t.Fatal(err)
		}
		var typ, args strings.Builder
		own := "(f64.const 0)"
		for k, p := range a.host.Type().Params {
			fmt.Fprintf(&typ, " (param %v)", p)
			fmt.Fprintf(&args, " (local.get %d)", k)
			x := fmt.Sprintf(sum[p], fmt.Sprintf("(local.get %d)", k))
			own = fmt.Sprintf("(f64.add %s (f64.mul (f64.const %d) %s))", own, k+1, x)
		}
		for _, r := range a.host.Type().Results {
			fmt.Fprintf(&typ, " (result %v)", r)
		}
		fmt.Fprintf(&imports, "(import \"go\" \"%d\" (func $%d%s))\n", i, i, typ.String())
		fmt.Fprintf(&functions, "(func (export \"%d\")%s (call $%d%s))\n", i, typ.String(), i, args.String())
		// The same without the host, but for functions without results, whose sums are in a global.
		body := [...]string{"(global.set $sum " + own + ")", own, own + "(i32.trunc_f64_s (f64.neg " + own + "))"}[a.results]
		fmt.Fprintf(&functions, "(func (export \"own %d\")%s %s)\n", i, typ.String(), body)
	}
	in := w.instantiate("(module\n" + imports.String() + "(global $sum (export \"sum\") (mut f64) (f64.const 0))\n" + functions.String() + ")")
	for i, a := range arities {
		want := 0.0
		for k := range a.params {
			want += float64((k + 1) * (k + 1))
		}
		for _, name := range []string{"%d", "own %d"} {
			// The first call in a store goes another way than those after it.
			for range 2 {
				f := in.Func(fmt.Sprintf(name, i))
				sum, negative, err := a.call(ctx, f)
				if a.results == 0 && name != "%d" {
					sum = in.Global("sum").Get().F64()
				}
				if err != nil || sum != want || a.results == 2 && negative != -int32(want) {
					t.Errorf("%d parameters, %d results: %v, %v, %v, want %v", a.params, a.results, sum, negative, err, want)
				}
				if a.results == 0 {
					noted(0)
					in.Global("sum").Set(davit.ValueF64(0))
				}
			}
		}
	}
	if len(arities) != 3*17 {
		t.Errorf("%d arities", len(arities))
	}
}

// TestTypedMismatch: what does not fit is refused when the function is made.
func TestTypedMismatch(t *testing.T) {
	in := newTyped(t, new([]uint32))
	for _, c := range []struct {
		want string
		make func() error
	}{
		{"0 parameters, not 1", func() error { _, err := davit.Func1[int32, int32](in.Func("none")); return err }},
		{"1 results, not 0", func() error { _, err := davit.Proc0(in.Func("none")); return err }},
		{"1 results, not 2", func() error { _, err := davit.Func0x2[int32, int32](in.Func("none")); return err }},
		{"result 1 is of type i32, not i64", func() error { _, err := davit.Func0[uint64](in.Func("none")); return err }},
		{"parameter 2 is of type i64, not f64", func() error { _, err := davit.Func2x2[int32, float64, int64, int32](in.Func("swap")); return err }},
		{"parameter 1 is of type funcref, not externref", func() error {
			_, err := davit.Func2[davit.External, davit.External, davit.External](in.Func("keep"))
			return err
		}},
		{"nil", func() error { _, err := davit.Proc1[int32](in.Func("not there")); return err }},
	} {
		if err := c.make(); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v, want %s", err, c.want)
		}
	}
}

// TestTypedAllocations: typed calls allocate nothing, either way, nested or not,
// with and without a context that can end.
func TestTypedAllocations(t *testing.T) {
	noted := make([]uint32, 0, 1<<20)
	in := newTyped(t, &noted)
	cancellable, cancel := context.WithCancel(ctx)
	defer cancel()
	mix := must(davit.Func5[meters, int64, float32, float64, uint32, ratio](in.Func("mix")))
	swap := must(davit.Func2x2[int32, uint64, uint64, int32](in.Func("swap")))
	note := must(davit.Proc1[uint32](in.Func("note")))
	own := must(davit.Func0[int32](in.Func("own")))
	nested := must(davit.Func0[int32](must(davit.HostFunc0(func(ctx context.Context, _ *davit.Caller) (int32, error) { return own(ctx) }).New(in.Store()))))
	for _, c := range []context.Context{ctx, cancellable} {
		for name, call := range map[string]func() error{
			"mix":    func() error { _, err := mix(c, 1, 2, 3, 4, 5); return err },
			"swap":   func() error { _, _, err := swap(c, 1, 2); return err },
			"note":   func() error { return note(c, 1) },
			"own":    func() error { _, err := own(c); return err },
			"nested": func() error { _, err := nested(c); return err },
		} {
			n := testing.AllocsPerRun(100, func() {
				if err := call(); err != nil {
					t.Fatal(err)
				}
			})
			if n != 0 {
				t.Errorf("%s with %T: %v allocations", name, c, n)
			}
		}
	}
}

func BenchmarkTypedCalls(b *testing.B) {
	w := newWorld(b, nil, nil)
	w.define("raw", "add", types(davit.I32, davit.I32), types(davit.I32), func(_ context.Context, _ *davit.Caller, stack []uint64) error {
		stack[0] = uint64(uint32(stack[0]) + uint32(stack[1]))
		return nil
	})
	w.linker.Define("typed", "add", davit.HostFunc2(func(_ context.Context, _ *davit.Caller, x, y int32) (int32, error) { return x + y, nil }))
	in := w.instantiate(`(module
		(import "raw" "add" (func $raw (param i32 i32) (result i32)))
		(import "typed" "add" (func $typed (param i32 i32) (result i32)))
		(func (export "add") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1)))
		(func (export "raw") (param i32) (loop $l (drop (call $raw (local.get 0) (i32.const 2))) (br_if $l (local.tee 0 (i32.sub (local.get 0) (i32.const 1))))))
		(func (export "typed") (param i32) (loop $l (drop (call $typed (local.get 0) (i32.const 2))) (br_if $l (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))))`)
	cancellable, cancel := context.WithCancel(ctx)
	defer cancel()
	f := in.Func("add")
	for name, c := range map[string]context.Context{"background": ctx, "cancellable": cancellable} {
		b.Run("raw/"+name, func(b *testing.B) {
			b.ReportAllocs()
			stack := make([]uint64, 2)
			for b.Loop() {
				stack[0], stack[1] = 1, 2
				if err := f.CallRaw(c, stack); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run("typed/"+name, func(b *testing.B) {
			b.ReportAllocs()
			add := must(davit.Func2[int32, int32, int32](f))
			for b.Loop() {
				if _, err := add(c, 1, 2); err != nil {
					b.Fatal(err)
				}
			}
		})
		for _, host := range []string{"raw", "typed"} {
			b.Run("host/"+host+"/"+name, func(b *testing.B) {
				b.ReportAllocs()
				if err := must(davit.Proc1[int32](in.Func(host)))(c, int32(b.N)); err != nil {
					b.Fatal(err)
				}
			})
		}
	}
}

// TestRawIntegers: raw calls of functions that take and give integers only, which go a
// way of their own, have each argument in its place and clean results.
func TestRawIntegers(t *testing.T) {
	w := newWorld(t, nil, nil)
	w.define("go", "same", types(davit.I32), types(davit.I32), func(context.Context, *davit.Caller, []uint64) error { return nil })
	in := w.instantiate(`(module
		(import "go" "same" (func $same (param i32) (result i32)))
		(func (export "none") (if (i32.const 0) (then (unreachable))))
		(func (export "take") (param i32 i64 i32 i64) (if (i64.ne (local.get 3) (i64.const -4)) (then (unreachable))))
		(func (export "give") (result i64) (i64.const -1))
		(func (export "i32") (param i64 i64) (result i32) (i32.wrap_i64 (i64.sub (local.get 0) (local.get 1))))
		(func (export "i64") (param i32 i64 i32) (result i64)
			(i64.sub (i64.add (i64.extend_i32_s (local.get 0)) (local.get 1)) (i64.extend_i32_u (local.get 2))))
		(func (export "four") (param i32 i32 i32 i32) (result i32)
			(i32.sub (i32.mul (local.get 0) (local.get 1)) (i32.mul (local.get 2) (local.get 3))))
		(func (export "host") (param i32) (result i32) (call $same (local.get 0)))
		(func (export "five") (param i32 i32 i32 i32 i32) (result i32) (i32.sub (local.get 4) (local.get 0))))`)
	const junk = 0xdead_beef << 32 // above an i32, where it means nothing
	minus := func(n int64) uint64 { return uint64(-n) }
	for _, c := range []struct {
		name   string
		args   []uint64
		result []uint64
	}{
		{"none", nil, nil},
		{"take", []uint64{junk | 1, 2, 3, minus(4)}, nil},
		{"give", nil, []uint64{minus(1)}},
		{"i32", []uint64{1 << 40, 1<<40 + 1}, []uint64{0xffff_ffff}},
		{"i64", []uint64{junk | 0xffff_ffff, 1 << 40, junk | 0xffff_fffe}, []uint64{1<<40 - 1<<32 + 1}},
		{"four", []uint64{junk | 2, 3, 5, junk | 7}, []uint64{0xffff_ffff - 28}},
		{"host", []uint64{junk | 0xffff_fffe}, []uint64{0xffff_fffe}},
		{"five", []uint64{7, 0, 0, 0, junk | 5}, []uint64{0xffff_fffe}},
	} {
		f := in.Func(c.name)
		for range 3 { // the first call in a store goes another way
			stack := make([]uint64, max(len(c.args), len(c.result)))
			copy(stack, c.args)
			if err := f.CallRaw(ctx, stack); err != nil {
				t.Errorf("%s: %v", c.name, err)
			} else if len(c.result) > 0 && stack[0] != c.result[0] {
				t.Errorf("%s: %#x, want %#x", c.name, stack[0], c.result[0])
			}
		}
	}
	ended, cancel := context.WithCancel(ctx)
	cancel()
	if err := in.Func("none").CallRaw(ended, nil); !errors.Is(err, davit.TrapInterrupt) {
		t.Errorf("with an ended context: %v", err)
	}
	if err := in.Func("take").CallRaw(ctx, make([]uint64, 4)); !errors.Is(err, davit.TrapUnreachable) {
		t.Errorf("a trap: %v", err)
	}
	if err := in.Func("take").CallRaw(ctx, make([]uint64, 3)); err == nil {
		t.Error("a stack that is too short")
	}
}
