package jit

import (
	"context"
	"errors"
	"math"
	"runtime"
	"testing"
	"unsafe"

	"github.com/davit-wasm/davit/codegen"
	"github.com/davit-wasm/davit/codegen/ir"
	"github.com/davit-wasm/davit/codegen/module"
)

func TestTyped(t *testing.T) {
	ctx := context.Background()
	m := newWith(t, Config{})
	ids := define(t, m,
		"function %mix(i8, i16, i32, f32, f64, i64) -> f64 {\nblock0(v0: i8, v1: i16, v2: i32, v3: f32, v4: f64, v5: i64):\n v6 = sextend.i64 v0\n v7 = uextend.i64 v1\n v8 = sextend.i64 v2\n v9 = fpromote.f64 v3\n v10 = iadd v6, v7\n v11 = iadd v10, v8\n v12 = iadd v11, v5\n v13 = fcvt_from_sint.f64 v12\n v14 = fadd v9, v4\n v15 = fadd v13, v14\n return v15\n}",
		"function %divmod(i64, i64) -> i64, i32 {\nblock0(v0: i64, v1: i64):\n v2 = udiv v0, v1\n v3 = urem v0, v1\n v4 = ireduce.i32 v3\n return v2, v4\n}",
		"function %nothing() {\nblock0:\n return\n}",
		"function %sum(i64, i64) -> i64 {\nblock0(v0: i64, v1: i64):\n v9 = iconst.i64 0\n jump block1(v0, v1, v9)\nblock1(v2: i64, v3: i64, v4: i64):\n brif v3, block2, block3\nblock2:\n v5 = load.i64 v2\n v6 = iadd v4, v5\n v10 = iconst.i64 8\n v7 = iadd v2, v10\n v11 = iconst.i64 -1\n v8 = iadd v3, v11\n jump block1(v7, v8, v6)\nblock3:\n return v4\n}",
	)
	mix, err := Func6[int8, uint16, int32, float32, float64, int, float64](m, ids[0])
	if err != nil {
		t.Fatal(err)
	}
	want := float64(65535-3-7+(1<<40)) + (0.5 + math.Pi)
	if got, err := mix(ctx, -3, 65535, -7, 0.5, math.Pi, 1<<40); err != nil || got != want {
		t.Errorf("mix: %v, %v, want %v", got, err, want)
	}
	type quotient struct {
		Q uint64
		R int32
	}
	divmod, err := Func2[uint64, uint64, quotient](m, ids[1])
	if err != nil {
		t.Fatal(err)
	}
	if got, err := divmod(ctx, 1<<50+5, 10); err != nil || got != (quotient{(1<<50 + 5) / 10, (1<<50 + 5) % 10}) {
		t.Errorf("divmod: %v, %v", got, err)
	}
	var trap *Trap
	if _, err := divmod(ctx, 1, 0); !errors.As(err, &trap) || trap.Code != ir.TrapIntegerDivideByZero {
		t.Errorf("divmod by 0: %v", err)
	}
	nothing, err := Func0[struct{}](m, ids[2])
	if err != nil {
		t.Fatal(err)
	}
	if _, err := nothing(ctx); err != nil {
		t.Error(err)
	}
	// A slice that nothing but the call keeps alive.
	sum, err := Func2[unsafe.Pointer, int, int64](m, ids[3])
	if err != nil {
		t.Fatal(err)
	}
	numbers := func() unsafe.Pointer {
		s := make([]int64, 1000)
		for i := range s {
			s[i] = int64(i)
		}
		return unsafe.Pointer(&s[0])
	}
	for range 100 {
		p := numbers()
		runtime.GC()
		if got, err := sum(ctx, p, 1000); err != nil || got != 1000*999/2 {
			t.Errorf("sum: %d, %v", got, err)
		}
	}

	for _, f := range []func() error{
		func() error { _, err := Func1[int64, int64](m, ids[1]); return err },
		func() error { _, err := Func2[int64, int32, quotient](m, ids[1]); return err },
		func() error { _, err := Func2[int64, float64, quotient](m, ids[1]); return err },
		func() error { _, err := Func2[int64, int64, int64](m, ids[1]); return err },
		func() error { _, err := Func2[int64, int64, unsafe.Pointer](m, ids[3]); return err },
		func() error { _, err := Func0[string](m, ids[2]); return err },
		func() error { _, err := Func0[struct{}](m, 99); return err },
	} {
		if err := f(); !errors.Is(err, ErrNotCallable) {
			t.Errorf("types that do not fit: error %v", err)
		}
	}
}

func TestAllocations(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	ctx := context.Background()
	m := newWith(t, Config{})
	hits := 0
	if _, err := m.DefineHost(ir.TestName("hit"), ir.Signature{CallConv: ir.SystemV}, func(context.Context, []byte) error { hits++; return nil }); err != nil {
		t.Fatal(err)
	}
	ids := define(t, m, "function %add(i64, i64) -> i64 {\n fn0 = %hit() system_v\nblock0(v0: i64, v1: i64):\n call fn0()\n v2 = iadd v0, v1\n return v2\n}")
	add, err := Func2[int64, int64, int64](m, ids[0])
	if err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 2*SlotSize)
	for name, f := range map[string]func(){
		"typed": func() {
			if got, err := add(ctx, 40, 2); got != 42 || err != nil {
				t.Errorf("%d, %v", got, err)
			}
		},
		"Call": func() {
			if err := m.Call(ctx, ids[0], buf); err != nil {
				t.Error(err)
			}
		},
	} {
		if n := testing.AllocsPerRun(1000, f); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
	if hits != 2*1001 {
		t.Errorf("%d calls of the Go function", hits)
	}
}

// TestHostPanics lets a panic and a Goexit out of a Go function through compiled
// code; the module can be used afterwards.
func TestHostPanics(t *testing.T) {
	ctx := context.Background()
	m := newWith(t, Config{})
	end := func() {}
	if _, err := m.DefineHost(ir.TestName("end"), ir.Signature{CallConv: ir.SystemV}, func(context.Context, []byte) error { end(); return nil }); err != nil {
		t.Fatal(err)
	}
	id := define(t, m, "function %f() {\n fn0 = %end() system_v\nblock0:\n call fn0()\n return\n}")[0]
	f, err := Func0[struct{}](m, id)
	if err != nil {
		t.Fatal(err)
	}
	for range 50 {
		end = func() { panic("out") }
		func() {
			defer func() {
				if r := recover(); r != "out" {
					t.Errorf("recovered %v", r)
				}
			}()
			_, _ = f(ctx)
		}()
		end = runtime.Goexit
		done := make(chan bool)
		go func() {
			defer close(done)
			_, _ = f(ctx)
		}()
		<-done
	}
	end = func() { growStack(1000) }
	if _, err := f(ctx); err != nil {
		t.Error(err)
	}
	if n := m.eras.now.Load().calls.Load(); n != 0 {
		t.Errorf("%d calls are still counted", n)
	}
}

//go:noinline
func growStack(n int) byte {
	var room [1024]byte
	room[n%1024] = 1
	if n > 0 {
		room[0] += growStack(n - 1)
	}
	return room[n%1024]
}

func TestData(t *testing.T) {
	ctx := context.Background()
	m := newWith(t, Config{})
	data := func(name string, a module.DataAttr, d *module.Data) module.ID {
		t.Helper()
		id, err := m.DeclareData(ir.TestName(name), module.Local, a)
		if err == nil {
			err = m.DefineData(id, d)
		}
		if err != nil {
			t.Fatal(err)
		}
		return id
	}
	counter := data("counter", module.DataAttr{Writable: true}, &module.Data{Size: 100000, Align: 4096})
	data("step", module.DataAttr{}, &module.Data{Bytes: []byte{5, 0, 0, 0, 0, 0, 0, 0}})
	data("pointers", module.DataAttr{}, &module.Data{Size: 16, Relocs: []module.DataReloc{
		{Offset: 0, Name: ir.TestName("step")}, {Offset: 8, Name: ir.TestName("seven")}}})
	ids := define(t, m, `function %bump() -> i64 {
    gv0 = symbol colocated %counter
    gv1 = symbol %pointers
    sig0 = () -> i64 tail
block0:
    v0 = symbol_value.i64 gv0
    v1 = load.i64 v0
    v2 = symbol_value.i64 gv1
    v3 = load.i64 v2
    v4 = load.i64 v3
    v5 = iadd v1, v4
    v6 = load.i64 v2+8
    v7 = call_indirect sig0, v6()
    v8 = iadd v5, v7
    store v8, v0
    return v8
}`, "function %seven() -> i64 tail {\nblock0:\n v0 = iconst.i64 7\n return v0\n}")
	bump, err := Func0[int64](m, ids[0])
	if err != nil {
		t.Fatal(err)
	}
	for i := int64(1); i <= 3; i++ {
		if got, err := bump(ctx); err != nil || got != 12*i {
			t.Errorf("%d, %v", got, err)
		}
	}
	if b := m.Bytes(counter); len(b) != 100000 || b[0] != 36 || m.Address(counter)%4096 != 0 {
		t.Errorf("counter: %d bytes, %d, at %#x", len(b), b[0], m.Address(counter))
	}
	// Later code reaches the data too, and it stays until that is freed.
	again := define(t, m, "function %again() -> i64 {\n gv0 = symbol colocated %counter\nblock0:\n v0 = symbol_value.i64 gv0\n v1 = load.i64 v0\n return v1\n}")[0]
	if got, err := call(t, m, ctx, "again"); err != nil || got != 36 {
		t.Errorf("%d, %v", got, err)
	}
	if err := m.Free(counter); !errors.Is(err, ErrInUse) {
		t.Errorf("error %v", err)
	}
	if err := m.Free(again); err != nil {
		t.Error(err)
	}
	tls, err := m.DeclareData(ir.TestName("tls"), module.Local, module.DataAttr{TLS: true})
	if err != nil {
		t.Fatal(err)
	}
	if err := m.DefineData(tls, &module.Data{Size: 8}); !errors.Is(err, codegen.ErrUnsupported) {
		t.Errorf("thread-local data: %v", err)
	}
}

// TestLinkErrors: what cannot be linked is said, and can be put right.
func TestLinkErrors(t *testing.T) {
	ctx := context.Background()
	m := newWith(t, Config{})
	_, err := m.Define(parse(t, "function %f() -> i64 {\n gv0 = symbol colocated %far\nblock0:\n v0 = symbol_value.i64 gv0\n return v0\n}"))
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if err := m.Finalize(); !errors.Is(err, ErrUndefined) {
			t.Errorf("error %v", err)
		}
	}
	m.DefineSymbol(ir.TestName("far"), 16)
	if err := m.Finalize(); err == nil || errors.Is(err, ErrUndefined) {
		t.Errorf("error %v", err)
	}
	near := someCode(t)
	m.DefineSymbol(ir.TestName("far"), near)
	if err := m.Finalize(); err != nil {
		t.Fatal(err)
	}
	if got, err := call(t, m, ctx, "f"); err != nil || uintptr(got) != near {
		t.Errorf("%#x, %v", got, err)
	}
	// A definition that gives way.
	other := newWith(t, Config{})
	_, err = other.DeclareFunc(ir.TestName("version"), module.Preemptible, ir.Signature{Returns: []ir.Param{{Type: ir.I64}}, CallConv: ir.Tail})
	if err != nil {
		t.Fatal(err)
	}
	strong := newWith(t, Config{})
	other.DefineSymbol(ir.TestName("version"), strong.Address(define(t, strong, version(2))[0]))
	define(t, other, version(1), caller)
	if got, err := call(t, other, ctx, "caller"); err != nil || got != 2 {
		t.Errorf("version %d, %v", got, err)
	}
}

// someCode is the address of code of another module.
func someCode(t *testing.T) uintptr {
	t.Helper()
	other := newWith(t, Config{})
	return other.Address(define(t, other, version(1))[0])
}

// TestPointersAndCollector: where arguments are put, stale pointers of earlier
// calls lie. The collector must not hear of them.
func TestPointersAndCollector(t *testing.T) {
	m := newWith(t, Config{})
	ids := define(t, m, "function %first(i64) -> i8 {\nblock0(v0: i64):\n v1 = load.i8 v0\n return v1\n}")
	first, err := Func1[unsafe.Pointer, uint8](m, ids[0])
	if err != nil {
		t.Fatal(err)
	}
	// Much to mark, so that collections take most of the time.
	live := make([]*[2]*byte, 200_000)
	for i := range live {
		live[i] = new([2]*byte)
	}
	stop, stopped := make(chan bool), make(chan bool)
	go func() {
		defer close(stopped)
		for {
			select {
			case <-stop:
				return
			default:
				runtime.GC()
			}
		}
	}()
	for i := range 30 {
		block := make([]byte, 1<<16) // has pages of its own, which a collection gives back
		block[0] = byte(i)
		got, err := first(context.Background(), unsafe.Pointer(&block[0]))
		block = nil
		runtime.GC()
		if err != nil || got != byte(i) {
			t.Errorf("%d, %v; want %d", got, err, byte(i))
			break
		}
	}
	close(stop)
	<-stopped
	runtime.KeepAlive(live)
}

// TestTypedPlaces: each argument of four and of five comes to its place.
func TestTypedPlaces(t *testing.T) {
	ctx := context.Background()
	m := newWith(t, Config{})
	ids := define(t, m,
		"function %four(i64, i64, i64, i64) -> i64 {\nblock0(v0: i64, v1: i64, v2: i64, v3: i64):\n v4 = iconst.i64 10\n v5 = imul v0, v4\n v6 = iadd v5, v1\n v7 = imul v6, v4\n v8 = iadd v7, v2\n v9 = imul v8, v4\n v10 = iadd v9, v3\n return v10\n}",
		"function %five(i64, i64, i64, i64, i64) -> i64 {\nblock0(v0: i64, v1: i64, v2: i64, v3: i64, v11: i64):\n v4 = iconst.i64 10\n v5 = imul v0, v4\n v6 = iadd v5, v1\n v7 = imul v6, v4\n v8 = iadd v7, v2\n v9 = imul v8, v4\n v10 = iadd v9, v3\n v12 = imul v10, v4\n v13 = iadd v12, v11\n return v13\n}",
	)
	four, err := Func4[int64, int64, int64, int64, int64](m, ids[0])
	if err != nil {
		t.Fatal(err)
	}
	if got, err := four(ctx, 1, 2, 3, 4); err != nil || got != 1234 {
		t.Errorf("four: %v, %v, want 1234", got, err)
	}
	five, err := Func5[int64, int64, int64, int64, int64, int64](m, ids[1])
	if err != nil {
		t.Fatal(err)
	}
	if got, err := five(ctx, 1, 2, 3, 4, 5); err != nil || got != 12345 {
		t.Errorf("five: %v, %v, want 12345", got, err)
	}
}
