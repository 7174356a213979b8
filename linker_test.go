package davit_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/davit-wasm/davit"
)

// answer is a host function that always gives n.
func answer(n int32) *davit.GoFunc {
	return davit.HostFunc0(func(context.Context, *davit.Caller) (int32, error) { return n, nil })
}

const asking = `(module (import "go" "answer" (func $answer (result i32))) (func (export "ask") (result i32) (call $answer)))`

// TestInstancePre: what was looked up once serves many stores at a time, and
// later definitions do not change it.
func TestInstancePre(t *testing.T) {
	w := newWorld(t, nil, nil)
	if _, err := w.linker.InstancePre(w.compile(asking)); err == nil {
		t.Fatal("an import is not defined")
	}
	if err := w.linker.Define("go", "answer", answer(42)); err != nil {
		t.Fatal(err)
	}
	pre, err := w.linker.InstancePre(w.compile(asking))
	if err != nil {
		t.Fatal(err)
	}
	w.linker.AllowShadowing(true)
	w.linker.Define("go", "answer", answer(43))
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 20 {
				s, err := davit.NewStore(w.engine, nil)
				if err != nil {
					t.Error(err)
					return
				}
				defer s.Close()
				for range 3 {
					in, err := pre.Instantiate(ctx, s)
					if err != nil {
						t.Error(err)
						return
					}
					if r, err := must(davit.Func0[int32](in.Func("ask")))(ctx); r != 42 || err != nil {
						t.Error(r, err)
					}
				}
			}
		})
	}
	wg.Wait()
}

// TestClone: a clone of a linker gives an instance imports of its own.
func TestClone(t *testing.T) {
	w := newWorld(t, nil, nil)
	w.linker.Define("go", "answer", answer(1))
	m := w.compile(asking)
	for n := range int32(3) {
		l := w.linker.Clone()
		if err := l.Define("go", "answer", answer(n+10)); err != nil {
			t.Fatal(err)
		}
		for linker, want := range map[*davit.Linker]int32{l: n + 10, w.linker: 1} {
			in, err := linker.Instantiate(ctx, w.store, m)
			if err != nil {
				t.Fatal(err)
			}
			if r := w.call(in, "ask"); r[0].I32() != want {
				t.Errorf("%v, want %d", r, want)
			}
		}
	}
}

// TestReflection: modules and instances tell all about their imports and exports.
func TestReflection(t *testing.T) {
	w := newWorld(t, nil, nil)
	m := w.compile(`(module $name
		(import "a" "f" (func (param i32 f64) (result i64)))
		(import "a" "t" (table 1 2 externref))
		(import "b" "m" (memory 1 100))
		(import "b" "g" (global (mut f32)))
		(import "b" "tag" (tag (param i32)))
		(memory i64 3)
		(func (export "f"))
		(table (export "t") 5 funcref)
		(export "m" (memory 1))
		(global (export "g") i32 (i32.const 1))
		(export "tag" (tag 0))
		(@custom "one" "first") (@custom "two" "second"))`)
	var got []string
	for _, im := range m.Imports() {
		got = append(got, fmt.Sprintf("%s.%s: %s", im.Module, im.Name, im.Type))
	}
	for _, x := range m.Exports() {
		got = append(got, fmt.Sprintf("%s: %s", x.Name, x.Type))
		if y, ok := m.Export(x.Name); !ok || y.String() != x.Type.String() || y.Kind() != x.Type.Kind() {
			t.Errorf("export %q is %v", x.Name, y)
		}
	}
	for name, data := range m.CustomSections() {
		if name != "name" {
			got = append(got, fmt.Sprintf("%s: %s", name, data))
		}
	}
	want := []string{
		"a.f: func [i32 f64] -> [i64]",
		"a.t: table 1 2 externref",
		"b.m: memory 1 100",
		"b.g: global (mut f32)",
		"b.tag: tag [i32] -> []",
		"f: func [] -> []",
		"t: table 5 funcref",
		"m: memory i64 3",
		"g: global i32",
		"tag: tag [i32] -> []",
		"one: first",
		"two: second",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if _, ok := m.Export("nothing"); ok || m.Name() != "name" || m.Engine() != w.engine {
		t.Error("name, engine, or an export that is not there")
	}

	// Exports of an instance have the types that the module says.
	in := w.instantiate(`(module (memory (export "m") 1 9) (table (export "t") 1 8 funcref) (global (export "g") (mut i64) (i64.const 1)) (func (export "f") (param f32)))`)
	in.Memory("m").Grow(2)
	for name, x := range in.Exports() {
		want := map[string]string{"m": "memory 3 9", "t": "table 1 8 funcref", "g": "global (mut i64)", "f": "func [f32] -> []"}[name]
		if got := x.ExternType().String(); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
}

// TestMaxima: limits are on by default, are told apart, and can be moved.
func TestMaxima(t *testing.T) {
	w := newWorld(t, nil, nil)
	for _, text := range []string{
		`(module (memory 65536) (memory 1))`,
		`(module (table 10000001 funcref))`,
	} {
		_, err := w.linker.Instantiate(ctx, w.store, w.compile(text))
		var limit *davit.LimitError
		if !errors.As(err, &limit) || limit.Limit == 0 || limit.What == "" {
			t.Errorf("%s: %v", text, err)
		}
	}
	var asked []string
	w = newWorld(t, nil, &davit.StoreConfig{MaxExternRefs: 100, Growing: func(g davit.Growth) bool {
		switch {
		case g.Memory != nil:
			asked = append(asked, fmt.Sprintf("memory %v %d→%d", g.Made, g.From, g.To))
		case g.Table != nil:
			asked = append(asked, fmt.Sprintf("table %v %d→%d", g.Made, g.From, g.To))
		}
		return g.To <= 3<<16
	}})
	in := w.instantiate(`(module (memory 1) (table $t 2 funcref)
		(func (export "memory") (param i32) (result i32) (memory.grow (local.get 0)))
		(func (export "table") (param i32) (result i32) (table.grow $t (ref.null func) (local.get 0))))`)
	for _, c := range []struct {
		name      string
		arg, want int32
	}{{"memory", 2, 1}, {"memory", 1, -1}, {"table", 10, 2}, {"table", 200000, -1}, {"table", 1, 12}} {
		if r := w.call(in, c.name, davit.ValueI32(c.arg)); r[0].I32() != c.want {
			t.Errorf("%s(%d) gives %v", c.name, c.arg, r)
		}
	}
	want := []string{"memory true 0→65536", "table true 0→2", "memory false 65536→196608", "memory false 196608→262144", "table false 2→12", "table false 12→200012", "table false 12→13"}
	if !slices.Equal(asked, want) {
		t.Errorf("asked\n%s", strings.Join(asked, "\n"))
	}
	if _, err := davit.NewMemory(w.store, davit.MemoryType{Limits: davit.Limits{Min: 4}}); err == nil {
		t.Error("the hook forbids this memory")
	}
}

// TestTableRoom: tables that grow and shrink in number do not use up memory.
func TestTableRoom(t *testing.T) {
	w := newWorld(t, nil, nil)
	in := w.instantiate(`(module (table $t (export "table") 0 externref) (table $u 0 externref)
		(func (export "t") (param externref) (result i32) (table.grow $t (local.get 0) (i32.const 1)))
		(func (export "u") (param externref) (result i32) (table.grow $u (local.get 0) (i32.const 1))))`)
	grow := []func(context.Context, davit.External) (int32, error){
		must(davit.Func1[davit.External, int32](in.Func("u"))),
		must(davit.Func1[davit.External, int32](in.Func("t"))),
	}
	const n = 5000
	for i := range n {
		for _, grow := range grow {
			if r, err := grow(ctx, davit.External{Value: i}); r != int32(i) || err != nil {
				t.Fatal(r, err)
			}
		}
	}
	for i := range uint64(n) {
		if v, ok := in.Table("table").Get(i); !ok || v.Extern() != int(i) {
			t.Fatalf("element %d is %v", i, v)
		}
	}
}

// TestExternRefs: Go values that no guest holds are forgotten; those in tables,
// globals, and frames of running functions are not.
func TestExternRefs(t *testing.T) {
	const limit = 3000
	w := newWorld(t, nil, &davit.StoreConfig{MaxExternRefs: limit})
	type object struct{ n int }
	made := 0
	w.linker.Define("go", "new", davit.HostFunc0(func(context.Context, *davit.Caller) (davit.External, error) {
		made++
		return davit.External{Value: &object{made}}, nil
	}))
	w.linker.Define("go", "number", davit.HostFunc1(func(_ context.Context, _ *davit.Caller, x davit.External) (int32, error) {
		o, ok := x.Value.(*object)
		if !ok {
			return 0, fmt.Errorf("a reference was lost: %v", x.Value)
		}
		return int32(o.n), nil
	}))
	in := w.instantiate(`(module
		(import "go" "new" (func $new (result externref)))
		(import "go" "number" (func $number (param externref) (result i32)))
		(table $t (export "t") 10 externref)
		(global $g (export "g") (mut externref) (ref.null extern))
		(func (export "loop") (param $n i32) (result i32) (local $x externref)
			(local.set $x (call $new))
			(global.set $g (call $new))
			(table.set $t (i32.const 3) (call $new))
			(loop $l
				(drop (call $new))
				(br_if $l (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
			(i32.add (call $number (local.get $x))
				(i32.add (call $number (global.get $g)) (call $number (table.get $t (i32.const 3))))))
		(func (export "pass") (param externref) (result externref) (local.get 0))
		(table $keep (export "keep") 0 externref)
		(func (export "hoard") (loop $l (drop (table.grow $keep (call $new) (i32.const 1))) (br $l))))`)
	loop := must(davit.Func1[int32, int32](in.Func("loop")))
	for range 3 {
		first := made + 1
		if r, err := loop(ctx, 20000); err != nil || int(r) != 3*first+3 {
			t.Fatalf("%v, %v", r, err)
		}
	}
	pass := must(davit.Func1[davit.External, davit.External](in.Func("pass")))
	for i := range 20000 {
		o := &object{i}
		if r, err := pass(ctx, davit.External{Value: o}); err != nil || r.Value != o {
			t.Fatalf("%v, %v", r, err)
		}
	}
	raw := in.Func("pass")
	stack := []uint64{0}
	v, _ := in.Table("t").Get(3)
	for i := range 5000 {
		in.Global("g").Set(davit.ValueExtern(&object{i})) // lowers without a call
		if err := raw.CallRaw(ctx, stack); err != nil {
			t.Fatal(err)
		}
		if err := in.Table("t").Set(3, v); err != nil {
			t.Fatal(err)
		}
		if r, err := raw.Call(ctx, v); err != nil || r[0].Extern() != v.Extern() {
			t.Fatal(r, err)
		}
	}
	_, err := in.Func("hoard").Call(ctx)
	var limited *davit.LimitError
	if !errors.As(err, &limited) || limited.Limit != limit {
		t.Errorf("hoarding: %v", err)
	}
	if v, ok := in.Table("keep").Get(100); !ok || v.IsNull() {
		t.Error("what is hoarded was forgotten")
	}
}
