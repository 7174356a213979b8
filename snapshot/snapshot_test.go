package snapshot_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/davit-wasm/davit"
	"github.com/davit-wasm/davit/snapshot"
	"github.com/davit-wasm/davit/wasm"
	"github.com/davit-wasm/davit/wat"
)

func compile(t *testing.T, text string) []byte {
	t.Helper()
	code, err := wat.Compile([]byte(text), nil)
	if err != nil {
		t.Fatal(err)
	}
	return code
}

func engine(t *testing.T) *davit.Engine {
	t.Helper()
	e, err := davit.NewEngine(nil)
	if err != nil {
		t.Skip(err)
	}
	return e
}

// run instantiates a module and calls one of its functions.
func run(t *testing.T, e *davit.Engine, code []byte, name string, args ...davit.Value) ([]davit.Value, error) {
	t.Helper()
	ctx := context.Background()
	m, err := e.Compile(ctx, code)
	if err != nil {
		t.Fatal(err)
	}
	s, err := davit.NewStore(e, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	in, err := davit.NewLinker(e).Instantiate(ctx, s, m)
	if err != nil {
		t.Fatal(err)
	}
	f := in.Func(name)
	if f == nil {
		t.Fatalf("no function %s", name)
	}
	return f.Call(ctx, args...)
}

const program = `(module
	(memory $m (export "memory") 1 10) (memory $second i64 1)
	(global $i32 (mut i32) (i32.const 1)) (global $i64 (mut i64) (i64.const 1)) (global $f32 (mut f32) (f32.const 0)) (global $f64 (mut f64) (f64.const 0))
	(global $v128 (mut v128) (v128.const i32x4 0 0 0 0)) (global $fixed i32 (i32.const 7)) (global $ref (mut funcref) (ref.func $seven))
	(table 3 funcref) (elem (i32.const 1) $seven)
	(data $hello (i32.const 100) "hello") (data $later "later")
	(func $seven (result i32) (i32.const 7))
	(func (export "_initialize") (global.set $i32 (i32.add (global.get $i32) (i32.const 1))))
	(func $start (global.set $i32 (i32.mul (global.get $i32) (i32.const 10))))
	(start $start)
	(func (export "wizer-initialize")
		(drop (memory.grow $m (i32.const 2)))
		(i32.store8 (i32.const 104) (i32.const 0x21))
		(i64.store offset=3 (i32.const 196590) (i64.const 0x0102030405060708))
		(i32.store8 $second (i64.const 65535) (i32.const 9))
		(global.set $i32 (i32.add (global.get $i32) (i32.const 100)))
		(global.set $i64 (i64.const 0x8000000000000000))
		(global.set $f32 (f32.const nan:0x200001))
		(global.set $f64 (f64.const -0.0))
		(global.set $v128 (v128.const i64x2 5 -6))
		(global.set $ref (ref.null func)))
	(func (export "byte") (param i32) (result i32) (i32.load8_u (local.get 0)))
	(func (export "second") (param i64) (result i32) (i32.load8_u $second (local.get 0)))
	(func (export "pages") (result i32) (memory.size $m))
	(func (export "i32") (result i32) (global.get $i32))
	(func (export "i64") (result i64) (global.get $i64))
	(func (export "f32") (result i32) (i32.reinterpret_f32 (global.get $f32)))
	(func (export "f64") (result f64) (global.get $f64))
	(func (export "v128") (result i64) (i64x2.extract_lane 1 (global.get $v128)))
	(func (export "ref") (result i32) (ref.is_null (global.get $ref)))
	(func (export "fixed") (result i32) (global.get $fixed))
	(func (export "call") (param i32) (result i32) (call_indirect (result i32) (local.get 0)))
	(func (export "again") (memory.init $m $hello (i32.const 0) (i32.const 0) (i32.const 1)))
	(func (export "late") (result i32) (memory.init $m $later (i32.const 0) (i32.const 0) (i32.const 5)) (i32.load8_u (i32.const 4)))
	(func (export "new main") (result i32) (i32.const 2)) (func (export "main") (result i32) (i32.const 1)))`

// TestState checks every part of the state in an instance of the new module, in
// which no initialization runs again.
func TestState(t *testing.T) {
	e := engine(t)
	before := compile(t, program)
	after, err := snapshot.Take(context.Background(), davit.NewLinker(e), e, before, &snapshot.Config{Rename: map[string]string{"main": "new main"}})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		args []davit.Value
		want string
	}{
		{"i32", nil, "[111]"}, {"i64", nil, "[-9223372036854775808]"}, {"f32", nil, "[2141192193]"}, {"f64", nil, "[-0]"}, {"v128", nil, "[-6]"},
		{"ref", nil, "[1]"}, {"fixed", nil, "[7]"}, {"pages", nil, "[3]"},
		{"byte", []davit.Value{davit.ValueI32(100)}, "[104]"}, {"byte", []davit.Value{davit.ValueI32(104)}, "[33]"},
		{"byte", []davit.Value{davit.ValueI32(196600)}, "[1]"}, {"byte", []davit.Value{davit.ValueI32(196601)}, "[0]"},
		{"second", []davit.Value{davit.ValueI64(65535)}, "[9]"}, {"second", []davit.Value{davit.ValueI64(65534)}, "[0]"},
		{"call", []davit.Value{davit.ValueI32(1)}, "[7]"}, {"late", nil, "[114]"}, {"main", nil, "[2]"},
	} {
		got, err := run(t, e, after, c.name, c.args...)
		if fmt.Sprint(got) != c.want || err != nil {
			t.Errorf("%s%v = %v, %v, want %s", c.name, c.args, got, err, c.want)
		}
	}
	if _, err := run(t, e, after, "again"); !errors.Is(err, davit.TrapMemoryOutOfBounds) {
		t.Errorf("a segment that had been dropped can be used: %v", err)
	}
	m, err := wasm.Decode(after, &wasm.Config{Features: wasm.FeaturesAll})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"wizer-initialize", "_initialize", "new main"} {
		if _, ok := m.FindExport(name); ok {
			t.Errorf("%s is still exported", name)
		}
	}
	if m.HasStart {
		t.Error("the start function is still there")
	}
}

// TestAgain takes a snapshot of a snapshot.
func TestAgain(t *testing.T) {
	e := engine(t)
	code := compile(t, program)
	for range 2 {
		var err error
		if code, err = snapshot.Take(context.Background(), davit.NewLinker(e), e, code, &snapshot.Config{KeepInit: true}); err != nil {
			t.Fatal(err)
		}
	}
	got, err := run(t, e, code, "i32")
	if fmt.Sprint(got) != "[211]" || err != nil {
		t.Errorf("i32 = %v, %v", got, err)
	}
}

// TestSections checks that what the state has no influence on is copied as it is: code
// whose sizes are written with more bytes than they need, and custom sections in their
// places.
func TestSections(t *testing.T) {
	e := engine(t)
	plain := compile(t, `(module (@custom "one" (before type) "1") (@custom "two" (after data) "2") (@custom "three" "3")
		(memory 1) (func $init (export "wizer-initialize") (i32.store (i32.const 4) (i32.const 1))))`)
	list, err := wasm.Sections(plain)
	if err != nil {
		t.Fatal(err)
	}
	var padded, code []byte
	at := 0
	for _, s := range list {
		if s.ID == wasm.SectionCode {
			code = []byte{0x81, 0x80, 0x00} // one function
			body := plain[s.Offset+2 : s.Offset+s.Size]
			code = append(code, byte(len(body))|0x80, 0)
			code = append(code, body...)
			padded = append(padded, plain[:at]...)
			padded = append(append(padded, byte(wasm.SectionCode), byte(len(code))), code...)
			padded = append(padded, plain[s.Offset+s.Size:]...)
		}
		at = s.Offset + s.Size
	}
	after, err := snapshot.Take(context.Background(), davit.NewLinker(e), e, padded, &snapshot.Config{KeepInit: true})
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(after, code) {
		t.Errorf("the code section is another:\n%x\nwant in it %x", after, code)
	}
	names := func(module []byte) (s string) {
		list, err := wasm.Sections(module)
		if err != nil {
			t.Fatal(err)
		}
		for _, x := range list {
			s += fmt.Sprint(x.ID, x.Name, " ")
		}
		return s
	}
	if have, want := names(after), strings.Replace(names(padded), "code ", "code data ", 1); !strings.HasPrefix(have, "customone ") || have != want {
		t.Errorf("sections %s, want %s", have, want)
	}
}

// TestImports: an import that the initialization does not call need not exist.
func TestImports(t *testing.T) {
	e := engine(t)
	text := `(module (import "a" "b" (func $b (param i32) (result i32)))
		(func (export "wizer-initialize")) (func (export "other") (drop (call $b (i32.const 1)))))`
	l := davit.NewLinker(e)
	if _, err := snapshot.Take(context.Background(), l, e, compile(t, text), nil); err != nil {
		t.Fatal(err)
	}
	if _, ok := l.Lookup("a", "b"); ok {
		t.Error("the linker has been changed")
	}
	_, err := snapshot.Take(context.Background(), l, e, compile(t, text), &snapshot.Config{Init: "other"})
	if err == nil || !strings.Contains(err.Error(), `"a" "b" is not defined`) {
		t.Errorf("error %v", err)
	}
}

// TestRefused: what no snapshot can be taken of is refused, with the reason.
func TestRefused(t *testing.T) {
	e := engine(t)
	for _, c := range []struct{ text, want string }{
		{`(module)`, `no function is exported as "wizer-initialize"`},
		{`(module (memory (export "wizer-initialize") 1))`, `no function is exported as "wizer-initialize"`},
		{`(module (func (export "wizer-initialize") (param i32)))`, "without parameters and results"},
		{`(module (import "a" "m" (memory 1)) (func (export "wizer-initialize")))`, `memory "a" "m" is imported`},
		{`(module (import "a" "g" (global i32)) (func (export "wizer-initialize")))`, `global "a" "g" is imported`},
		{`(module (table 1 funcref) (func (export "wizer-initialize") (table.set (i32.const 0) (ref.null func))))`, "table.set"},
		{`(module (memory 1) (data $d "x") (func (export "wizer-initialize") (data.drop $d)))`, "data.drop"},
		{`(module (global $g (mut funcref) (ref.null func)) (func $f (export "wizer-initialize") (global.set $g (ref.func $f))))`, "global 0: no snapshot can be taken: it holds a reference"},
		{`(module (func (export "wizer-initialize") unreachable))`, "unreachable"},
	} {
		_, err := snapshot.Take(context.Background(), davit.NewLinker(e), e, compile(t, c.text), nil)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want %q", c.text, err, c.want)
		}
	}
	ok := compile(t, `(module (func (export "a")) (func (export "wizer-initialize")))`)
	for _, r := range []map[string]string{{"x": "b"}, {"x": "a", "y": "a"}} {
		if _, err := snapshot.Take(context.Background(), davit.NewLinker(e), e, ok, &snapshot.Config{Rename: r}); err == nil {
			t.Errorf("renaming %v is no error", r)
		}
	}
	if _, err := snapshot.Take(context.Background(), davit.NewLinker(e), e, ok[:len(ok)-1], nil); err == nil {
		t.Error("a truncated module is no error")
	}
}

// TestContext: a context ends the initialization.
func TestContext(t *testing.T) {
	e := engine(t)
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel()
	_, err := snapshot.Take(ctx, davit.NewLinker(e), e, compile(t, `(module (func (export "wizer-initialize") (loop (br 0))))`), nil)
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error %v", err)
	}
}

// TestScattered: memory with very many small pieces becomes no more segments than engines
// accept.
func TestScattered(t *testing.T) {
	e := engine(t)
	code := compile(t, `(module (memory (export "memory") 64) (func (export "wizer-initialize") (local $i i32)
		(loop $l
			(i32.store8 (local.get $i) (i32.const 1))
			(local.set $i (i32.add (local.get $i) (i32.const 40)))
			(br_if $l (i32.lt_u (local.get $i) (i32.const 4194304)))))
		(func (export "sum") (result i32) (local $i i32) (local $s i32)
			(loop $l
				(local.set $s (i32.add (local.get $s) (i32.load8_u (local.get $i))))
				(local.set $i (i32.add (local.get $i) (i32.const 1)))
				(br_if $l (i32.lt_u (local.get $i) (i32.const 4194304))))
			(local.get $s)))`)
	after, err := snapshot.Take(context.Background(), davit.NewLinker(e), e, code, nil)
	if err != nil {
		t.Fatal(err)
	}
	m, err := wasm.Decode(after, nil)
	if err != nil {
		t.Fatal(err)
	}
	if n := len(m.Datas); n > 50_000 {
		t.Errorf("%d segments", n)
	}
	got, err := run(t, e, after, "sum")
	if want := fmt.Sprint([]int{(4194304 + 39) / 40}); fmt.Sprint(got) != want || err != nil {
		t.Errorf("sum = %v, %v, want %s", got, err, want)
	}
}
