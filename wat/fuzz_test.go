package wat_test

import (
	"errors"
	"testing"

	"github.com/davit-wasm/davit/wasm"
	"github.com/davit-wasm/davit/wat"
)

var seeds = []string{
	"",
	"(module)",
	`(module $m (import "a" "b" (func $f (param i32) (result i64))) (export "x" (func $f)))`,
	`(func $f (export "f") (param $x i32) (local f32 f64) (if (local.get $x) (then (call $f (i32.const -1))) (else nop)))`,
	`(func block $l loop $k br $l br_table $k $l 0 end end)`,
	`(rec (type $a (sub (struct (field $x (mut i8)) (field (ref null $a))))) (type (sub final $a (array i16))))`,
	`(table $t 1 2 funcref (ref.null func)) (elem (table $t) (offset i32.const 0) funcref (item ref.func 0) (ref.null func)) (func)`,
	`(memory i64 1) (data (i64.const 0) "a\00\u{1f600}" "b") (memory (data "x")) (memory 1 1 shared (pagesize 1))`,
	`(func (drop (v128.const f32x4 nan:0x1 -inf 0x1p-3 1e9)) (i8x16.shuffle 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15))`,
	`(tag $e (param i32)) (func (block $l (result i32) (try_table (catch $e $l) (throw $e (i32.const 1))) unreachable))`,
	`(func (v128.load8_lane 0 offset=1 align=1 3) (i32.atomic.rmw.add 1) (memory.copy 0 1) (call_indirect 0 (type 0)))`,
	`(@custom "n" (after func) "d") (func (@name "x") (@metadata.code.branch_hint "\00") if end) (; (; ;) ;) ;; x`,
	`(module (@producers (language "a" "1") (sdk "b" "")) (func (@metadata.code.branch_hint "\01") (if (i32.const 0) (then)) (@custom "x" (before code) "y")))`,
	`(module (@producers (language "a" "1")) (@custom "x" (before code) "y") (func (@metadata.code.branch_hint "\01") (if (i32.const 0) (then))))`,
	`(global $"a b" (mut (ref null i31)) (ref.i31 (i32.const 0x7_f)))`,
}

// FuzzParse checks that a text gives either an error that names a place, or a
// module whose encoding decodes to itself and which survives being printed.
func FuzzParse(f *testing.F) {
	for _, s := range seeds {
		f.Add([]byte(s))
	}
	config := &wasm.Config{Features: wasm.FeaturesAll}
	f.Fuzz(func(t *testing.T, src []byte) {
		m, err := wat.Parse(src, nil)
		if err != nil {
			var e *wat.Error
			if !errors.As(err, &e) || e.Line < 1 || e.Column < 1 || e.Msg == "" {
				t.Fatalf("error without place or message: %v", err)
			}
			return
		}
		b := wasm.Encode(m)
		again, err := wasm.Decode(b, config)
		if err != nil {
			return // the text can say what the binary format cannot
		}
		if string(wasm.Encode(again)) != string(b) {
			t.Fatalf("encoding of what was decoded differs")
		}
		for _, opts := range []*wat.PrintOptions{nil, {Folded: true}} {
			roundTrip(t, "fuzz", again, opts)
		}
		if wasm.Validate(again, config) == nil {
			if err := fixedPoint("fuzz", b); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := wat.Print(again, &wat.PrintOptions{Skeleton: true}); err != nil {
			t.Fatal(err)
		}
	})
}

// FuzzPrint checks that whatever binary decodes can be printed, or is refused
// with an error, and that the text of a valid one is a fixed point: from it come
// back, after one pass that shortens numbers, the same bytes again and again.
func FuzzPrint(f *testing.F) {
	for _, s := range seeds {
		if b, err := wat.Compile([]byte(s), nil); err == nil {
			f.Add(b)
		}
	}
	config := &wasm.Config{Features: wasm.FeaturesAll}
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := wasm.Decode(b, config)
		if err != nil {
			return
		}
		text, err := wat.Print(m, nil)
		if wasm.Validate(m, config) != nil {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		short, err := wat.Compile(text, nil)
		if err != nil {
			t.Fatalf("%v\n%s", err, text)
		}
		if err := fixedPoint("fuzz", short); err != nil {
			t.Fatal(err)
		}
	})
}
