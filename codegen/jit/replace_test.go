package jit

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/davit-wasm/davit/codegen"
	"github.com/davit-wasm/davit/codegen/clif"
	"github.com/davit-wasm/davit/codegen/ir"
	"github.com/davit-wasm/davit/codegen/isa"
	"github.com/davit-wasm/davit/codegen/module"
	"github.com/davit-wasm/davit/internal/native"
)

func newWith(t testing.TB, cfg Config) *Module {
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
	m := NewWith(target, cfg)
	t.Cleanup(m.Close)
	return m
}

func parse(t testing.TB, text string) *ir.Function {
	t.Helper()
	f, err := clif.ParseFunction(text)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// define compiles and links functions written as text.
func define(t testing.TB, m *Module, texts ...string) (ids []module.ID) {
	t.Helper()
	for _, text := range texts {
		id, err := m.Define(parse(t, text))
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, id)
	}
	if err := m.Finalize(); err != nil {
		t.Fatal(err)
	}
	return ids
}

// version is a function that returns n.
func version(n int) string {
	return fmt.Sprintf("function %%version() -> i64 tail {\nblock0:\n v0 = iconst.i64 %d\n return v0\n}", n)
}

const caller = "function %caller() -> i64 system_v {\n fn0 = colocated %version() -> i64 tail\nblock0:\n v0 = call fn0()\n return v0\n}"

func TestReplace(t *testing.T) {
	m := newWith(t, Config{})
	sig := ir.Signature{Returns: []ir.Param{{Type: ir.I64}}, CallConv: ir.Tail}
	id, err := m.DeclareFunc(ir.TestName("version"), module.Export, sig)
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Replaceable(id); err != nil {
		t.Fatal(err)
	}
	ids := define(t, m, version(1), caller,
		"function %address() -> i64 {\n fn0 = %version() -> i64 tail\nblock0:\n v0 = func_addr.i64 fn0\n return v0\n}",
		"function %indirect(i64) -> i64 {\n sig0 = () -> i64 tail\nblock0(v0: i64):\n v1 = call_indirect sig0, v0()\n return v1\n}")
	where, _ := call(t, m, context.Background(), "address")
	check := func(want uint64) {
		t.Helper()
		for _, name := range []string{"version", "caller"} {
			if got, err := call(t, m, context.Background(), name); err != nil || got != want {
				t.Errorf("%%%s() = %d, %v, want %d", name, got, err, want)
			}
		}
		// An address that was taken before is good.
		if got, err := call(t, m, context.Background(), "indirect", where); err != nil || got != want {
			t.Errorf("%%indirect = %d, %v, want %d", got, err, want)
		}
	}
	check(1)
	for n := 2; n < 50; n++ {
		if err := m.Replace(parse(t, version(n)), Options{}); err != nil {
			t.Fatal(err)
		}
		check(uint64(n - 1)) // until it is finalized
		if err := m.Finalize(); err != nil {
			t.Fatal(err)
		}
		check(uint64(n))
	}
	// All old code is gone: what is left are the first batch, which holds the
	// callers, the newest version, and the trampolines.
	if len(m.batches) != 3 || len(m.eras.list) != 1 {
		t.Errorf("%d batches, %d eras", len(m.batches), len(m.eras.list))
	}
	if err := m.Replace(parse(t, caller), Options{}); err == nil || !strings.Contains(err.Error(), "not declared replaceable") {
		t.Errorf("error %v", err)
	}
	if err := m.Replace(parse(t, "function %version() -> i32 tail {\nblock0:\n v0 = iconst.i32 1\n return v0\n}"), Options{}); !errors.Is(err, module.ErrConflict) {
		t.Errorf("error %v", err)
	}
	if err := m.Free(id); !errors.Is(err, ErrInUse) || !strings.Contains(err.Error(), "%version is used by %caller") && !strings.Contains(err.Error(), "%version is used by %address") {
		t.Errorf("error %v", err)
	}
	if err := m.Free(ids[0], ids[1], ids[2]); err != nil {
		t.Fatal(err)
	}
	if err := m.Call(context.Background(), id, nil); !errors.Is(err, ErrNotCallable) {
		t.Errorf("call of a freed function: %v", err)
	}
	_, err = call(t, m, context.Background(), "indirect", where)
	var trap *Trap
	if !errors.As(err, &trap) || trap.Code != TrapFreed {
		t.Errorf("call by an old address: %v", err)
	}
	// The name is free for something else.
	define(t, m, "function %version(i32) -> i32 {\nblock0(v0: i32):\n return v0\n}")
	if got, err := call(t, m, context.Background(), "version", 9); err != nil || got != 9 {
		t.Errorf("%d, %v", got, err)
	}
}

// TestReplaceRunning replaces and frees functions while other goroutines are
// in them: some in compiled code, some in Go functions called from there.
func TestReplaceRunning(t *testing.T) {
	m := newWith(t, Config{Replaceable: true})
	inside, outside := make(chan bool), make(chan bool)
	_, err := m.DefineHost(ir.TestName("wait"), ir.Signature{CallConv: ir.SystemV}, func(context.Context, []byte) error {
		inside <- true
		<-outside
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	version := func(n int) string {
		return fmt.Sprintf(`function %%work(i64) -> i64 system_v {
    fn0 = %%wait() system_v
block0(v0: i64):
    v9 = iconst.i64 0
    brif v0, block1, block2(v9)
block1:
    call fn0()
    v1 = iconst.i64 %d
    return v1
block2(v2: i64):
    v3 = iconst.i64 1
    v4 = iadd v2, v3
    v5 = iconst.i64 2000
    v6 = icmp ult v4, v5
    brif v6, block2(v4), block3
block3:
    v7 = iconst.i64 %d
    return v7
}`, n, n)
	}
	id := define(t, m, version(0))[0]
	work, err := Func1[int64, int64](m, id)
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	var newest atomic.Int64
	var freed atomic.Bool
	stop := make(chan bool)
	for range 2 {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				least := newest.Load()
				got, err := work(context.Background(), 0)
				if freed.Load() && errors.Is(err, ErrNotCallable) {
					return
				}
				if err != nil || got < least {
					t.Errorf("version %d, %v, want at least %d", got, err, least)
					return
				}
			}
		})
	}
	for n := 1; n <= 200; n++ {
		var old chan int64
		if n%20 == 0 { // somebody is in the old version while it is replaced
			old = make(chan int64)
			go func() {
				got, err := work(context.Background(), 1)
				if err != nil {
					t.Error(err)
				}
				old <- got
			}()
			<-inside
		}
		if err := m.Replace(parse(t, version(n)), codegen.Options{}); err != nil {
			t.Fatal(err)
		}
		if err := m.Finalize(); err != nil {
			t.Fatal(err)
		}
		newest.Store(int64(n))
		if old != nil {
			outside <- true
			if got := <-old; got != int64(n-1) {
				t.Errorf("the old version became %d, want %d", got, n-1)
			}
		}
	}
	freed.Store(true)
	if err := m.Free(id); err != nil {
		t.Fatal(err)
	}
	close(stop)
	wg.Wait()
}

// TestClose closes a module while a call is in it.
func TestClose(t *testing.T) {
	m := newWith(t, Config{Replaceable: true})
	inside, outside := make(chan bool), make(chan bool)
	_, err := m.DefineHost(ir.TestName("wait"), ir.Signature{CallConv: ir.SystemV}, func(context.Context, []byte) error {
		inside <- true
		<-outside
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	id := define(t, m, "function %f() -> i64 {\n fn0 = %wait() system_v\nblock0:\n call fn0()\n v0 = iconst.i64 42\n return v0\n}")[0]
	done := make(chan error)
	go func() {
		buf := make([]byte, SlotSize)
		err := m.Call(context.Background(), id, buf)
		if got := binary.LittleEndian.Uint64(buf); err == nil && got != 42 {
			err = fmt.Errorf("result %d", got)
		}
		done <- err
	}()
	<-inside
	at := m.Address(id)
	m.Close()
	if c, _ := native.FindCode(at); c == nil {
		t.Error("code is gone while a call is in it")
	}
	if err := m.Call(context.Background(), id, nil); err != ErrClosed {
		t.Errorf("call of a closed module: %v", err)
	}
	if _, err := m.Define(parse(t, version(1))); err != ErrClosed {
		t.Errorf("definition in a closed module: %v", err)
	}
	outside <- true
	if err := <-done; err != nil {
		t.Error(err)
	}
	if c, _ := native.FindCode(at); c != nil {
		t.Error("code is still there after the last call")
	}
}

// TestMemoryComesBack defines and frees more code than there is room for.
func TestMemoryComesBack(t *testing.T) {
	m := newWith(t, Config{})
	first := uintptr(0)
	for i := range 500 {
		id := define(t, m, version(i))[0]
		if first == 0 {
			first = m.Address(id)
		}
		if far := m.Address(id) - first + 1<<24; far > 1<<25 {
			t.Fatalf("after %d functions code is %#x away from the first", i, far)
		}
		if err := m.Free(id); err != nil {
			t.Fatal(err)
		}
	}
	if len(m.batches) != 1 || len(m.objects) != 1 {
		t.Errorf("%d batches, %d objects", len(m.batches), len(m.objects))
	}
}
