package davit_test

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/davit-wasm/davit"
)

// heap is a storage in the Go heap, which moves when it grows.
type heap struct {
	bytes  []byte
	limit  uint64
	closed int
}

func (h *heap) Grow(size uint64) ([]byte, error) {
	if size > h.limit {
		return nil, errors.New("full")
	}
	b := make([]byte, size)
	copy(b, h.bytes)
	h.bytes = b
	return b, nil
}

func (h *heap) Close() { h.closed++ }

const stored = `(module
	(import "host" "memory" (memory 1 10))
	(func (export "load") (param i32) (result i32) (i32.load (local.get 0)))
	(func (export "store") (param i32 i32) (i32.store (local.get 0) (local.get 1)))
	(func (export "grow") (param i32) (result i32) (memory.grow (local.get 0)))
	(func (export "fill") (memory.fill (i32.const 0) (i32.const 7) (i32.const 65536)))
	(func (export "growload") (param i32) (result i32) (local i32)
		(local.set 1 (i32.load (local.get 0)))
		(drop (memory.grow (i32.const 1)))
		(i32.store (local.get 0) (i32.const 5))
		(i32.add (local.get 1) (i32.load (local.get 0)))))`

// TestMemoryStorage: a memory may be the embedder's; what would need guard pages
// is refused.
func TestMemoryStorage(t *testing.T) {
	w := newWorld(t, &davit.Config{ExplicitBounds: true}, nil)
	h := &heap{limit: 4 << 16}
	mem, err := davit.NewMemoryWithStorage(w.store, davit.MemoryType{Limits: davit.Limits{Min: 1, Max: 8, HasMax: true}}, h)
	if err != nil {
		t.Fatal(err)
	}
	w.linker.Define("host", "memory", mem)
	in := w.instantiate(stored)
	w.call(in, "store", davit.ValueI32(100), davit.ValueI32(0x01020304))
	if h.bytes[100] != 4 || h.bytes[103] != 1 {
		t.Error("the storage does not hold what was stored")
	}
	h.bytes[100] = 9
	if r := w.call(in, "load", davit.ValueI32(100)); r[0].I32() != 0x01020309 {
		t.Errorf("load gives %v", r)
	}
	for _, at := range []int32{65533, -1} {
		_, err := in.Func("load").Call(ctx, davit.ValueI32(at))
		wantTrap(t, err, davit.TrapMemoryOutOfBounds)
	}
	if r := w.call(in, "growload", davit.ValueI32(100)); r[0].I32() != 0x01020309+5 || len(h.bytes) != 2<<16 || h.bytes[100] != 5 {
		t.Errorf("growload gives %v, storage is of %d bytes", r, len(h.bytes))
	}
	if r := w.call(in, "grow", davit.ValueI32(3)); r[0].I32() != -1 {
		t.Errorf("grow beyond the storage gives %v", r)
	}
	if old, ok := mem.Grow(2); !ok || old != 2 || mem.Size() != 4<<16 {
		t.Errorf("Grow gives %d, %v", old, ok)
	}
	w.call(in, "fill")
	if v, ok := mem.View(65535, 2); !ok || v[0] != 7 || v[1] != 0 {
		t.Errorf("view is %v", v)
	}
	w.store.Close()
	if h.closed != 1 {
		t.Errorf("closed %d times", h.closed)
	}

	guarded := newWorld(t, nil, nil)
	mem, err = davit.NewMemoryWithStorage(guarded.store, davit.MemoryType{Limits: davit.Limits{Min: 1, Max: 8, HasMax: true}}, &heap{limit: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	guarded.linker.Define("host", "memory", mem)
	_, err = guarded.linker.Instantiate(ctx, guarded.store, guarded.compile(stored))
	var link *davit.LinkError
	if !errors.As(err, &link) || !strings.Contains(link.Reason, "Config.ExplicitBounds") {
		t.Errorf("a module with guards: %v", err)
	}
	if _, err := davit.NewMemoryWithStorage(guarded.store, davit.MemoryType{Limits: davit.Limits{Min: 100}}, &heap{limit: 10}); err == nil {
		t.Error("a memory without room")
	}
}

// TestCallerView: host functions see their caller's memory, and leave it to the next store
// when this one is closed; a view that may last does not.
func TestCallerView(t *testing.T) {
	e := newEngine(t, nil)
	w := &world{t: t, engine: e}
	module := w.compile(`(module (import "host" "look" (func $look (param i32 i32) (result i32)))
		(memory (export "memory") 2) (data (i32.const 5) "abc")
		(func (export "look") (param i32 i32) (result i32) (call $look (local.get 0) (local.get 1))))`)
	bare := w.compile(`(module (import "host" "look" (func $look (param i32 i32) (result i32)))
		(func (export "look") (param i32 i32) (result i32) (call $look (local.get 0) (local.get 1))))`)
	// run gives the address of the memory, and closes the store.
	run := func(lasting bool) (at *byte) {
		w := &world{t: t, engine: e, linker: davit.NewLinker(e)}
		var err error
		if w.store, err = davit.NewStore(e, nil); err != nil {
			t.Fatal(err)
		}
		defer w.store.Close()
		var got []byte
		w.linker.Define("host", "look", davit.HostFunc2(func(_ context.Context, c *davit.Caller, at, n uint32) (int32, error) {
			var ok bool
			if got, ok = c.View(uint64(at), uint64(n)); !ok {
				return -1, nil
			}
			return int32(len(got)), nil
		}))
		in, err := w.linker.Instantiate(ctx, w.store, module)
		if err != nil {
			t.Fatal(err)
		}
		look := must(davit.Func2[uint32, uint32, int32](in.Func("look")))
		for _, c := range []struct {
			at, n uint32
			want  int32
		}{{5, 3, 3}, {0, 2 << 16, 2 << 16}, {2 << 16, 0, 0}, {1, 2 << 16, -1}, {2<<16 + 1, 0, -1}, {1<<32 - 1, 1<<32 - 1, -1}} {
			if n, err := look(ctx, c.at, c.n); n != c.want || err != nil {
				t.Errorf("view of %d bytes at %d: %d, %v", c.n, c.at, n, err)
			}
		}
		if look(ctx, 5, 3); string(got) != "abc" || cap(got) != 3 {
			t.Errorf("the view is %q, with room for %d", got, cap(got))
		}
		got[0] = 'x'
		if text, _ := in.Memory("memory").ReadString(5, 3); text != "xbc" {
			t.Errorf("the memory is %q", text)
		}
		look(ctx, 0, 1)
		if lasting {
			in.Memory("memory").View(0, 1)
		}
		none, err := w.linker.Instantiate(ctx, w.store, bare)
		if err != nil {
			t.Fatal(err)
		}
		at = &got[0]
		if n, err := must(davit.Func2[uint32, uint32, int32](none.Func("look")))(ctx, 0, 0); n != -1 || err != nil {
			t.Errorf("a view without a memory: %d, %v", n, err)
		}
		return at
	}
	first := run(false)
	if run(true) != first {
		t.Error("a memory with views for calls only is not used again")
	}
	if run(false) == first {
		t.Error("a memory with a view that may last is used again")
	}
}

// TestAfterClose: whatever belongs to a closed store gives errors, or is empty,
// and views of its memories are not faults.
func TestAfterClose(t *testing.T) {
	w := newWorld(t, nil, nil)
	in := w.instantiate(`(module (memory (export "m") 2) (table (export "t") 3 funcref)
		(global (export "g") (mut i32) (i32.const 5)) (func (export "f")) (tag (export "tag") (param i32)))`)
	mem, table, global, f := in.Memory("m"), in.Table("t"), in.Global("g"), in.Func("f")
	view, ok := mem.View(0, 2<<16)
	if !ok {
		t.Fatal("no view")
	}
	view[100], view[1<<17-1] = 1, 2
	pre, err := w.linker.InstancePre(in.Module())
	if err != nil {
		t.Fatal(err)
	}
	typed := must(davit.Proc0(f))
	goFunc := davit.HostProc0(func(context.Context, *davit.Caller) error { return nil })
	w.store.Close()

	if view[100] != 0 || view[1<<17-1] != 0 {
		t.Error("a view shows what has been freed")
	}
	view[100] = 3 // nothing holds this
	if _, ok := mem.View(0, 0); ok || mem.Size() != 0 {
		t.Error("the memory is still there")
	}
	if _, ok := mem.Grow(1); ok {
		t.Error("the memory grew")
	}
	if _, ok := mem.ReadString(0, 1); ok {
		t.Error("read a string")
	}
	if _, ok := table.Get(0); ok || table.Len() != 0 {
		t.Error("the table is still there")
	}
	if _, ok := table.Grow(1, davit.ValueNull(davit.FuncRef)); ok {
		t.Error("the table grew")
	}
	if v := global.Get(); v.I32() != 0 {
		t.Errorf("global is %v", v)
	}
	if in.Func("f") == nil || in.Tag("tag") == nil || in.Memory("m").Size() != 0 || in.Global("nothing") != nil {
		t.Error("exports")
	}
	for what, do := range map[string]func() error{
		"Call":    func() error { _, err := f.Call(ctx); return err },
		"CallRaw": func() error { return f.CallRaw(ctx, nil) },
		"typed":   func() error { return typed(ctx) },
		"ReadAt":  func() error { _, err := mem.ReadAt(make([]byte, 1), 0); return err },
		"WriteAt": func() error { _, err := mem.WriteAt(make([]byte, 1), 0); return err },
		"Set":     func() error { return table.Set(0, davit.ValueFunc(f)) },
		"global":  func() error { return global.Set(davit.ValueI32(1)) },
		"pre":     func() error { _, err := pre.Instantiate(ctx, w.store); return err },
		"NewFunc": func() error { _, err := goFunc.New(w.store); return err },
		"NewGlobal": func() error {
			_, err := davit.NewGlobal(w.store, davit.GlobalType{Type: davit.I32}, davit.ValueI32(1))
			return err
		},
		"NewTable": func() error {
			_, err := davit.NewTable(w.store, davit.TableType{Elem: davit.FuncRef}, davit.ValueNull(davit.FuncRef))
			return err
		},
		"NewMemory":  func() error { _, err := davit.NewMemory(w.store, davit.MemoryType{}); return err },
		"in a table": func() error { return table.Set(0, davit.ValueExtern(1)) },
	} {
		if err := do(); !errors.Is(err, davit.ErrClosed) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// TestMemoryAccess: ends of memories.
func TestMemoryAccess(t *testing.T) {
	w := newWorld(t, nil, nil)
	mem, err := davit.NewMemory(w.store, davit.MemoryType{Limits: davit.Limits{Min: 1, Max: 2, HasMax: true}})
	if err != nil {
		t.Fatal(err)
	}
	const end = 1 << 16
	if n, err := mem.WriteAt([]byte("abc"), end-3); n != 3 || err != nil {
		t.Error(n, err)
	}
	for _, at := range []int64{-1, end - 2, end + 1, 1<<63 - 1} {
		if n, err := mem.WriteAt([]byte("xyz"), at); n != 0 || !errors.Is(err, davit.ErrOutOfBounds) {
			t.Errorf("at %d: %d, %v", at, n, err)
		}
	}
	b := make([]byte, 4)
	if n, err := mem.ReadAt(b, end-3); n != 3 || err != io.EOF || string(b[:3]) != "abc" {
		t.Error(n, err, b)
	}
	for _, at := range []int64{-1, end + 1} {
		if n, err := mem.ReadAt(b, at); n != 0 || !errors.Is(err, davit.ErrOutOfBounds) {
			t.Errorf("at %d: %d, %v", at, n, err)
		}
	}
	if s, ok := mem.ReadString(end-3, 3); !ok || s != "abc" {
		t.Error(s, ok)
	}
	for _, c := range [][2]uint64{{end - 2, 3}, {end + 1, 0}, {1, 1<<64 - 1}} {
		if _, ok := mem.View(c[0], c[1]); ok {
			t.Error("a view", c)
		}
		if _, ok := mem.ReadString(c[0], c[1]); ok {
			t.Error("a string", c)
		}
	}
	if v, ok := mem.View(end, 0); !ok || len(v) != 0 {
		t.Error("no empty view at the end")
	}
}
