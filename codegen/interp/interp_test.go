package interp

import (
	"errors"
	"math/rand/v2"
	"testing"

	"github.com/davit-wasm/davit/codegen/clif"
	"github.com/davit-wasm/davit/codegen/ir"
)

func machine(t *testing.T, text string) *Machine {
	t.Helper()
	funcs, err := clif.ParseFunctions(text)
	if err != nil {
		t.Fatal(err)
	}
	m := &Machine{}
	for _, f := range funcs {
		m.Define(f.Function)
	}
	return m
}

func TestCalls(t *testing.T) {
	m := machine(t, `
function %fib(i64) -> i64 {
    sig0 = (i64) -> i64
    fn0 = %fib sig0
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
    v7 = func_addr.i64 fn0
    v8 = call_indirect sig0, v7(v6)
    v9 = iadd v5, v8
    return v9
}
function %loop(i64, i64) -> i64 tail {
    fn0 = %loop(i64, i64) -> i64 tail
block0(v0: i64, v1: i64):
    v2 = iadd v0, v1
    v3 = iconst.i64 1
    v4 = isub v1, v3
    brif v4, block1, block2
block1:
    return_call fn0(v2, v4)
block2:
    return v2
}
function %deep(i64) -> i64 {
    fn0 = %deep(i64) -> i64
block0(v0: i64):
    v1 = call fn0(v0)
    return v1
}
function %forever() {
block0:
    jump block1
block1:
    jump block1
}
function %wild(i64) -> i64 {
    sig0 = (i64) -> i64
block0(v0: i64):
    v1 = call_indirect sig0, v0(v0)
    return v1
}
function %try(i64) -> i64 {
    sig0 = (i64) -> i64
    fn0 = %fib sig0
block0(v0: i64):
    try_call fn0(v0), sig0, block1(ret0, v0), [ default: block2 ]
block1(v1: i64, v2: i64):
    v3 = isub v1, v2
    return v3
block2:
    trap user1
}`)
	for _, c := range []struct {
		name string
		args []Value
		want uint64
	}{
		{"fib", []Value{{Lo: 15}}, 610},
		{"loop", []Value{{}, {Lo: 50_000}}, 1_250_025_000},
		{"try", []Value{{Lo: 10}}, 45},
	} {
		got, err := m.Call(ir.TestName(c.name), c.args...)
		if err != nil || len(got) != 1 || got[0].Lo != c.want {
			t.Errorf("%%%s: %v, %v, want %d", c.name, got, err, c.want)
		}
	}
	var trap *Trap
	if _, err := m.Call(ir.TestName("deep"), Value{}); !errors.As(err, &trap) || trap.Code != ir.TrapStackOverflow {
		t.Errorf("endless recursion: %v", err)
	}
	m.Fuel = 1000
	if _, err := m.Call(ir.TestName("forever")); !errors.Is(err, ErrFuel) {
		t.Errorf("endless loop: %v", err)
	}
	if _, err := m.Call(ir.TestName("wild"), Value{Lo: 12345}); err == nil {
		t.Error("a call of no function is no error")
	}
	if _, err := m.Call(ir.TestName("nowhere")); !errors.Is(err, ErrUndefined) {
		t.Errorf("undefined: %v", err)
	}
}

// TestArithmetic compares 128-bit arithmetic with math/big.
func TestArithmetic(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	num := func() Value {
		v := Value{rng.Uint64(), rng.Uint64()}
		return v.shr(rng.IntN(129)).shl(rng.IntN(8))
	}
	for range 20_000 {
		a, b := num(), num()
		x, y := a.big(128, false), b.big(128, false)
		if got, want := a.mul(b), fromBig(x.Mul(x, y)); got != want {
			t.Fatalf("%v * %v = %v, want %v", a, b, got, want)
		}
		if b.zero() {
			continue
		}
		q, r := a.udivmod(b)
		if q.mul(b).add(r) != a || !r.ult(b) {
			t.Fatalf("%v / %v = %v, %v", a, b, q, r)
		}
		q, r = a.sdivmod(b)
		if q.mul(b).add(r) != a {
			t.Fatalf("%v / %v = %v, %v (signed)", a, b, q, r)
		}
		n := 1 + rng.IntN(127)
		if got, want := a.mask(n).sext(n), fromBig(a.mask(n).big(n, true)); got != want {
			t.Fatalf("%v as a signed number of %d bits is %v, want %v", a, n, got, want)
		}
	}
}

func TestMemory(t *testing.T) {
	m := machine(t, `
function %sum(i64 vmctx) -> i32 {
    gv0 = vmctx
    gv1 = load.i64 notrap aligned gv0+8
block0(v0: i64):
    v1 = symbol_value.i64 gv1
    v2 = load.i32 v1
    v3 = load.i32 big v1
    v4 = iadd v2, v3
    return v4
}
function %out(i64) {
block0(v0: i64):
    v1 = iconst.i8 1
    store user9 v1, v0+4
    return
}`)
	ctx := make([]byte, 16)
	ctx[8], ctx[9] = 0, 0x20 // a pointer to 0x2000
	m.Map(0x1000, ctx)
	m.Map(0x2000, []byte{1, 0, 0, 0})
	got, err := m.Call(ir.TestName("sum"), Value{Lo: 0x1000})
	if err != nil || got[0].Lo != 0x0100_0001 {
		t.Errorf("%v, %v", got, err)
	}
	var trap *Trap
	if _, err := m.Call(ir.TestName("out"), Value{Lo: 0x2000}); !errors.As(err, &trap) || trap.Code != 9 {
		t.Errorf("a store beyond memory: %v", err)
	}
}
