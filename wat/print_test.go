package wat_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/davit-wasm/davit/wasm"
	"github.com/davit-wasm/davit/wat"
)

// roundTrip prints a module and parses the text: the result must be the same
// module, and print the same. It returns the text.
func roundTrip(t *testing.T, name string, m *wasm.Module, opts *wat.PrintOptions) []byte {
	t.Helper()
	text, err := wat.Print(m, opts)
	if err != nil {
		t.Errorf("%s: %v", name, err)
		return nil
	}
	again, err := wat.Parse(text, nil)
	if err != nil {
		t.Errorf("%s: parsing what was printed: %v\n%.2000s", name, err, text)
		return nil
	}
	if x, y := plainEncoding(m), plainEncoding(again); !bytes.Equal(x, y) {
		t.Errorf("%s: what was printed says something else\n%.2000s", name, text)
		return nil
	}
	twice, err := wat.Print(again, opts)
	if err != nil || !bytes.Equal(text, twice) {
		t.Errorf("%s: printed again it differs (%v): %s", name, err, cmp.Diff(first(text, twice), first(twice, text)))
	}
	return text
}

// first returns the surroundings of the first difference of a from b.
func first(a, b []byte) string {
	i := 0
	for i < len(a) && i < len(b) && a[i] == b[i] {
		i++
	}
	return string(a[max(0, i-100):min(len(a), i+200)])
}

// plainEncoding encodes m without custom sections and without a count of data
// segments that nothing needs, re-encoded so that numbers are in short form.
func plainEncoding(m *wasm.Module) []byte {
	c := *m
	c.Customs, c.Names, c.HasDataCount = nil, nil, false
	var in wasm.Instr
	var r wasm.InstrReader
	config := &wasm.Config{Features: wasm.FeaturesAll}
	for i := range c.Code {
		for r.Reset(c.Code[i].Body, 0, config); ; {
			more, err := r.Next(&in)
			if err != nil || !more {
				break
			}
			switch in.Op.Info().Imm {
			case wasm.ImmData, wasm.ImmDataMemory, wasm.ImmTypeData:
				c.HasDataCount, c.DataCount = true, uint32(len(c.Datas))
			}
		}
	}
	return wasm.Encode(&c)
}

func TestPrint(t *testing.T) {
	src := `(module $m
  (type $t (;0;) (func (param i32) (result i32)))
  (rec
    (type $a (;1;) (sub (struct (field $x (mut i8)) (field (ref null $b)))))
    (type $b (;2;) (sub final $a (struct (field (mut i8)) (field (ref null $b)) (field f64)))))
  (import "a\"b" "\00λ" (func $f (;0;) (type $t) (param i32) (result i32)))
  (table $tab (;0;) i64 1 2 (ref null $t) ref.func $f)
  (memory (;0;) 1 1 shared (pagesize 1))
  (tag $e (;0;) (type $t) (param i32) (result i32))
  (global $"g h" (;0;) (mut f32) f32.const nan:0x1)
  (global (@name "g h") (;1;) f64 f64.const -inf)
  (export "x" (func $f))
  (start 0)
  (elem (;0;) (offset i64.const 0) func $f $f)
  (elem $p (;1;) (ref null $t) (item ref.func $f))
  (elem (;2;) declare func)
  (func $g (;1;) (type $t) (param $n i32) (result i32)
    (local i32 i64) (local $n2 f32) (local (@name "n") i32)
    block $l (result i32)
      local.get $n
      if (type $t) (param i32) (result i32)
        br $l
      else
        i32.const -5
        i32.load offset=4 align=1
        call_indirect (type $t)
        br_table $l $l 0
      end
    end
    loop $l
      block $l
        br $l
        br 1
      end
    end
    struct.get $a $x
    ref.cast (ref null $b)
    try_table (catch $e 0) (catch_all 0)
    end)
  (data (;0;) (offset i32.const 0) "a\ff")
  (@custom "c" (after func) "\01"))
`
	m, err := wat.Parse([]byte(src), nil)
	if err != nil {
		t.Fatal(err)
	}
	got, err := wat.Print(m, nil)
	if err != nil {
		t.Fatal(err)
	}
	want := strings.Replace(src, "(start 0)", "(start $f)", 1)
	if d := cmp.Diff(strings.Split(want, "\n"), strings.Split(string(got), "\n")); d != "" {
		t.Error(d)
	}
	roundTrip(t, "example", m, nil)
}

func TestPrintFolded(t *testing.T) {
	src := `(module
  (type (;0;) (func (param i32 i32) (result i32)))
  (func (;0;) (type 0) (param i32 i32) (result i32)
    (local.set 0
      (i32.add
        (local.get 0)
        (i32.mul (local.get 1) (i32.const 3))))
    (block $b (result i32)
      (if $i (result i32)
        (block $c (result i32)
          (i32.eqz (local.get 0)))
        (then
          (call 0 (i32.const 1) (i32.const 2)))
        (else
          (br $b (i32.const 1)))))
    (local.get 0)
    (nop)
    (drop (i32.add))
    (if
      (then))))
`
	m, err := wat.Parse([]byte(src), nil)
	if err != nil {
		t.Fatal(err)
	}
	got, err := wat.Print(m, &wat.PrintOptions{Folded: true})
	if err != nil {
		t.Fatal(err)
	}
	want := strings.Replace(src, "(br $b (i32.const 1))", "(i32.const 1)\n          (br $b)", 1) // what br takes is not looked up
	if d := cmp.Diff(strings.Split(want, "\n"), strings.Split(string(got), "\n")); d != "" {
		t.Error(d)
	}
	roundTrip(t, "example", m, &wat.PrintOptions{Folded: true})
}
