package jit

import (
	"context"
	"errors"
	"math"
	"testing"
	"unsafe"

	"github.com/davit-wasm/davit/codegen/ir"
	"github.com/davit-wasm/davit/codegen/module"
)

// TestTypedHost passes values of all types to Go functions and back, with
// results in fields that are out of the order of their sizes.
func TestTypedHost(t *testing.T) {
	ctx := context.Background()
	m := newWith(t, Config{})
	type seen struct {
		a int8
		b uint16
		c int32
		d float32
		e float64
		f int
	}
	type parts struct {
		Low  uint8
		F    float64
		I    int32
		Half float32
	}
	var got seen
	stop := errors.New("stop")
	_, err := Host6(m, ir.TestName("mix"), func(_ context.Context, a int8, b uint16, c int32, d float32, e float64, f int) (parts, error) {
		got = seen{a, b, c, d, e, f}
		if a == 0 {
			return parts{1, 2, 3, 4}, stop
		}
		return parts{200, -e, -c, d / 2}, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	ticks := 0
	if _, err := Host0(m, ir.TestName("tick"), func(context.Context) (struct{}, error) { ticks++; return struct{}{}, nil }); err != nil {
		t.Fatal(err)
	}
	id := define(t, m, `function %f(i8, i16, i32, f32, f64, i64) -> i8, f64, i32, f32 system_v {
    fn0 = %mix(i8, i16, i32, f32, f64, i64) -> i8, f64, i32, f32 system_v
    fn1 = %tick() system_v
block0(v0: i8, v1: i16, v2: i32, v3: f32, v4: f64, v5: i64):
    call fn1()
    v6, v7, v8, v9 = call fn0(v0, v1, v2, v3, v4, v5)
    return v6, v7, v8, v9
}`)[0]
	f, err := Func6[int8, uint16, int32, float32, float64, int, parts](m, id)
	if err != nil {
		t.Fatal(err)
	}
	r, err := f(ctx, -3, 65535, -7, 0.5, math.Pi, 1<<40)
	if want := (parts{200, -math.Pi, 7, 0.25}); err != nil || r != want {
		t.Errorf("results %v, %v, want %v", r, err, want)
	}
	if want := (seen{-3, 65535, -7, 0.5, math.Pi, 1 << 40}); got != want || ticks != 1 {
		t.Errorf("arguments %v, want %v; %d ticks", got, want, ticks)
	}
	if _, err := f(ctx, 0, 0, 0, 0, 0, 0); !errors.Is(err, stop) {
		t.Errorf("error %v, want %v", err, stop)
	}
	if raceEnabled {
		return
	}
	if n := testing.AllocsPerRun(1000, func() { _, _ = f(ctx, 1, 2, 3, 4, 5, 6) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// TestTypedHostDeclared defines what was declared, with the convention and the
// extensions of the declaration, each number of parameters once.
func TestTypedHostDeclared(t *testing.T) {
	m := newWith(t, Config{})
	param := ir.Param{Type: ir.I32, Ext: ir.SignExtend}
	s := ir.Signature{CallConv: ir.Tail, Returns: []ir.Param{param}}
	text := "function %all(i32) -> i32 {\n"
	body := "block0(v0: i32):\n"
	args, sum := "", "v0"
	names := []string{"h1", "h2", "h3", "h4", "h5"}
	for i, name := range names {
		s.Params = append(s.Params, param)
		if _, err := m.DeclareFunc(ir.TestName(name), module.Import, s); err != nil {
			t.Fatal(err)
		}
		fn := string(rune('0' + i))
		types := ""
		for k := range i + 1 {
			if k > 0 {
				types += ", "
			}
			types += "i32 sext"
		}
		text += "    fn" + fn + " = %" + name + "(" + types + ") -> i32 sext tail\n"
		if i > 0 {
			args += ", "
		}
		args += sum
		body += "    v1" + fn + " = call fn" + fn + "(" + args + ")\n"
		sum = "v1" + fn
	}
	_, err1 := Host1(m, ir.TestName("h1"), func(_ context.Context, a int32) (int32, error) { return a + 1, nil })
	_, err2 := Host2(m, ir.TestName("h2"), func(_ context.Context, a, b int32) (int32, error) { return a*10 + b, nil })
	_, err3 := Host3(m, ir.TestName("h3"), func(_ context.Context, a, b, c int32) (int32, error) { return a*100 + b*10 - c, nil })
	_, err4 := Host4(m, ir.TestName("h4"), func(_ context.Context, a, b, c, d int32) (int32, error) { return a + b - c*d, nil })
	_, err5 := Host5(m, ir.TestName("h5"), func(_ context.Context, a, b, c, d, e int32) (int32, error) { return a ^ b ^ c<<1 ^ d<<2 ^ e, nil })
	if err := errors.Join(err1, err2, err3, err4, err5); err != nil {
		t.Fatal(err)
	}
	f, err := Func1[int32, int32](m, define(t, m, text+body+"    return "+sum+"\n}")[0])
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range []int32{-5, 0, 12345} {
		a := x + 1
		b := x*10 + a
		c := x*100 + a*10 - b
		d := x + a - b*c
		want := x ^ a ^ b<<1 ^ c<<2 ^ d
		if got, err := f(context.Background(), x); err != nil || got != want {
			t.Errorf("all(%d) = %d, %v, want %d", x, got, err, want)
		}
	}
}

func TestTypedHostErrors(t *testing.T) {
	m := newWith(t, Config{})
	if _, err := m.DeclareFunc(ir.TestName("declared"), module.Import, ir.Signature{Params: []ir.Param{{Type: ir.I32}}}); err != nil {
		t.Fatal(err)
	}
	name := ir.TestName("new")
	for what, define := range map[string]func() error{
		"pointer": func() error {
			_, err := Host1(m, name, func(context.Context, unsafe.Pointer) (int64, error) { return 0, nil })
			return err
		},
		"result pointer": func() error {
			_, err := Host0(m, name, func(context.Context) (unsafe.Pointer, error) { return nil, nil })
			return err
		},
		"result text": func() error {
			_, err := Host0(m, name, func(context.Context) (struct{ S string }, error) { return struct{ S string }{}, nil })
			return err
		},
		"declared type": func() error {
			_, err := Host1(m, ir.TestName("declared"), func(context.Context, int64) (struct{}, error) { return struct{}{}, nil })
			return err
		},
		"declared count": func() error {
			_, err := Host0(m, ir.TestName("declared"), func(context.Context) (struct{}, error) { return struct{}{}, nil })
			return err
		},
	} {
		if err := define(); !errors.Is(err, ErrType) {
			t.Errorf("%s: error %v", what, err)
		}
	}
	if _, err := Host0(m, name, func(context.Context) (struct{}, error) { return struct{}{}, nil }); err != nil {
		t.Fatal(err)
	}
	if _, err := Host0(m, name, func(context.Context) (struct{}, error) { return struct{}{}, nil }); !errors.Is(err, module.ErrDefined) {
		t.Errorf("second definition: error %v", err)
	}
}
