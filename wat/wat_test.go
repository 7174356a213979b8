package wat_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/davit-wasm/davit/internal/testdata"
	"github.com/davit-wasm/davit/wasm"
	"github.com/davit-wasm/davit/wat"
)

// body parses a function's body and returns its encoding in hexadecimal.
func body(t *testing.T, src string) string {
	t.Helper()
	m, err := wat.Parse([]byte(src), nil)
	if err != nil {
		t.Fatalf("%s: %v", src, err)
	}
	return fmt.Sprintf("%x", m.Code[0].Body)
}

func TestFoldedEqualsPlain(t *testing.T) {
	for _, c := range []struct{ folded, plain string }{
		{"(i32.add (i32.const 1) (i32.mul (i32.const 2) (i32.const 3)))", "i32.const 1 i32.const 2 i32.const 3 i32.mul i32.add"},
		{"(if (i32.const 1) (then nop) (else unreachable))", "i32.const 1 if nop else unreachable end"},
		{"(if $l (i32.const 1) (then (br $l)))", "i32.const 1 if $l br $l end $l"},
		{"(if (if (result i32) (i32.const 1) (then i32.const 2) (else i32.const 3)) (then))",
			"i32.const 1 if (result i32) i32.const 2 else i32.const 3 end if end"},
		{"(block $a (loop $b (br $a) (br_if $b (i32.const 0))))", "block $a loop $b br $a i32.const 0 br_if $b end end"},
		{"(drop (select (result i32) (i32.const 1) (i32.const 2) (i32.const 3)))",
			"i32.const 1 i32.const 2 i32.const 3 select (result i32) drop"},
		{"(drop (block (result i32) (i32.const 7)))", "block (result i32) i32.const 7 end drop"},
		{"(try_table (catch_all 0) (nop))", "try_table (catch_all 0) nop end"},
		{"(i32.const 0) (br_table 0 0 0 (i32.const 1))", "i32.const 0 i32.const 1 br_table 0 0 0"},
	} {
		f, p := body(t, "(func "+c.folded+")"), body(t, "(func "+c.plain+")")
		if f != p {
			t.Errorf("%s: %s, but %s: %s", c.folded, f, c.plain, p)
		}
	}
}

func TestEncoding(t *testing.T) {
	for _, c := range []struct{ src, want string }{
		{"i32.const -1", "417f0b"},
		{"i32.const 0xffff_ffff", "417f0b"},
		{"i64.const -9223372036854775808", "42808080808080808080" + "7f0b"},
		{"f32.const nan:0x200000", "430000a07f0b"},
		{"f64.const -0x1p-1074", "4401000000000000800b"},
		{"f32.const 0x1.fffffep127", "43ffff7f7f0b"},
		{"i32.load offset=5 align=1", "2800050b"},
		{"i32.load 1 offset=5", "284201050b"},
		{"i64.store", "3703000b"},
		{"memory.copy 1 2", "fc0a01020b"},
		{"memory.init 1 2", "fc0802010b"},
		{"memory.init 2", "fc0802000b"},
		{"table.init 1 2", "fc0c02010b"},
		{"v128.load8_lane 3", "fd540000030b"},
		{"v128.load8_lane 1 3", "fd544001" + "00030b"},
		{"v128.load8_lane offset=4 3", "fd540004030b"},
		{"v128.load8_lane 1 align=1 3", "fd54400100030b"},
		{"v128.const i16x8 0 1 2 3 4 5 6 -1", "fd0c0000010002000300040005000600ffff0b"},
		{"ref.test (ref null any)", "fb156e0b"},
		{"ref.cast (ref i31)", "fb166c0b"},
		{"br_on_cast 0 anyref (ref i31)", "fb1801006e6c0b"},
		{"call_indirect 1 (type 0)", "1100010b"},
		{"select", "1b0b"},
		{"atomic.fence", "fe03000b"},
	} {
		if got := body(t, "(func "+c.src+")"); got != c.want {
			t.Errorf("%s: %s, want %s", c.src, got, c.want)
		}
	}
}

func TestErrors(t *testing.T) {
	for _, c := range []struct{ src, want string }{
		{"(module\n  (func\n    i32.cosnt 1))", "3:5: unknown operator i32.cosnt, expected an instruction"},
		{"(func (br $x))", "1:11: unknown label $x"},
		{"(func call $f)", "1:12: unknown func $f"},
		{"(func block $a end $b)", "1:20: mismatching label $b"},
		{"(func block)", "1:12: unexpected token ), expected an instruction or `end`"},
		{"(func (if (i32.const 1)))", "1:24: unexpected token ), expected a folded instruction or `(then …)`"},
		{"(func (i32.add nop))", "1:16: unexpected token nop, expected a folded instruction or `)`"},
		{"(func) (func", "1:8: unexpected token: `(` is never closed"},
		{"(func))", "1:7: unexpected token: `)` without `(`"},
		{"(func $f) (func $f)", "1:17: duplicate func $f"},
		{"(func (param $x i32) (local $x i32))", "1:29: duplicate local $x"},
		{"(type (struct (field $x i32) (field $x i32)))", "1:37: duplicate field $x"},
		{"(type $t (func)) (func (type $t) (param i32))", "1:24: inline function type differs from type 0"},
		{"(func (i32.load align=3))", "1:17: alignment must be a power of two"},
		{"(func (i32.const 0x1_0000_0000))", "1:18: constant out of range: 0x1_0000_0000"},
		{"(func try end)", "1:7: unknown operator try: exceptions with try and catch are not supported, use try_table"},
		{"(func) (import \"a\" \"b\" (func))", "1:16: import after function"},
		{"(module) (module)", "1:10: unexpected token (, expected the end of the text"},
		{"(start 0) (start 0)", "1:18: multiple start sections"},
		{"é", "1:1: illegal character 'é'"},
		{"\xff", "1:1: malformed UTF-8 encoding"},
		{"(; é (; ;)", "1:1: unclosed comment"},
		{"(data \"a", "1:7: unclosed string"},
		{"(data \"\\zz\")", "1:8: illegal escape"},
		{"(type (func (param (ref 8388608))))", "1:25: unknown type 8388608"},
		{"(import \"a\" (item \"b\" (func)))", "1:13: unexpected token item: compact import sections are not supported"},
		{"(func (resume 0))", "1:8: unknown operator resume: stack switching is not supported"},
	} {
		_, err := wat.Parse([]byte(c.src), nil)
		var e *wat.Error
		if !errors.As(err, &e) || err.Error() != c.want {
			t.Errorf("%s: %v, want %s", c.src, err, c.want)
		}
	}
}

// TestImplicitTypes checks the order in which type uses append types: those of
// declarations first, then those of bodies.
func TestImplicitTypes(t *testing.T) {
	m, err := wat.Parse([]byte(`
		(func (param i32) (block (param i64) drop))
		(type $last (func))
		(func (type 2) (local $x i32) (local.get $x))
		(func (param f32 f32))`), nil)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for i := range m.Types {
		got = append(got, m.Types[i].Func.String())
	}
	want := []string{"[] -> []", "[i32] -> []", "[f32 f32] -> []", "[i64] -> []"}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	if got := fmt.Sprintf("%x", m.Code[1].Body); got != "20020b" {
		t.Errorf("a local after the parameters of a type that a later function adds: %s", got)
	}
}

func TestNames(t *testing.T) {
	src := `(module $m (type $t (struct (field $x i32) (field i32) (field $y i32)))
		(func $f (@name "long name") (param $p i32) (param f32) (local $q i32) block $b end)
		(table $tab 1 funcref) (memory $mem 1) (global $g i32 (i32.const 0)) (tag $tag)
		(elem $e func) (data $d))`
	m, err := wat.Parse([]byte(src), nil)
	if err != nil {
		t.Fatal(err)
	}
	one := func(s string) wasm.NameMap { return wasm.NameMap{{Name: s}} }
	want := &wasm.Names{
		Module: "m", Funcs: one("long name"), Types: one("t"), Tables: one("tab"), Memories: one("mem"),
		Globals: one("g"), Tags: one("tag"), Elems: one("e"), Datas: one("d"),
		Locals: []wasm.IndirectName{{Names: wasm.NameMap{{Index: 0, Name: "p"}, {Index: 2, Name: "q"}}}},
		Labels: []wasm.IndirectName{{Names: one("b")}},
		Fields: []wasm.IndirectName{{Names: wasm.NameMap{{Index: 0, Name: "x"}, {Index: 2, Name: "y"}}}},
	}
	if d := cmp.Diff(want, m.Names); d != "" {
		t.Error(d)
	}
	decoded, err := wasm.Decode(wasm.Encode(m), nil)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want, decoded.Names); d != "" {
		t.Errorf("through the binary format: %s", d)
	}
	if m, err = wat.Parse([]byte(src), &wat.Options{NoNames: true}); err != nil || m.Names != nil {
		t.Errorf("NoNames: %v, %v", m.Names, err)
	}
}

func TestAnnotations(t *testing.T) {
	m, err := wat.Parse([]byte(`(module (@custom "a" (before code) "x" "y") (@custom "b")
		(func (local i32) (@metadata.code.branch_hint "\01") (if (i32.const 0) (then))
			i32.const 0 (@metadata.code.branch_hint "\00") br_if 0))`), nil)
	if err != nil {
		t.Fatal(err)
	}
	want := []wasm.Custom{
		{Name: "a", Data: []byte("xy"), After: wasm.SectionDataCount},
		{Name: "b", After: wasm.SectionData},
		// Function 0 has two hints. Its locals take 3 bytes; if lies behind i32.const 0.
		{Name: "metadata.code.branch_hint", Data: []byte{1, 0, 2, 5, 1, 1, 10, 1, 0}, After: wasm.SectionDataCount},
	}
	if d := cmp.Diff(want, m.Customs); d != "" {
		t.Error(d)
	}
}

// TestHostile gives texts made to exhaust a parser: each must end soon, in an
// error or a module.
func TestHostile(t *testing.T) {
	n := 300_000 // what is quadratic in it does not end in the time that tests have
	rep := strings.Repeat
	for name, src := range map[string]string{
		"open parentheses":      rep("(", n),
		"close parentheses":     rep(")", n),
		"nested lists":          "(func " + rep("(", n) + rep(")", n) + ")",
		"folded blocks":         "(func " + rep("(block ", n) + rep(")", n) + ")",
		"folded blocks, open":   "(func " + rep("(block ", n),
		"folded operators":      "(func " + rep("(drop ", n) + rep(")", n) + ")",
		"folded ifs":            "(func " + rep("(if ", n) + rep(")", n) + ")",
		"plain blocks":          "(func " + rep("block ", n) + rep("end ", n) + ")",
		"same labels":           "(func " + rep("block $l br $l ", n) + rep("end ", n) + ")",
		"outermost label":       "(func block $o " + rep("block br $o ", n) + rep("end ", n) + "end)",
		"comments":              rep("(;", n),
		"annotations":           rep("(@a ", n),
		"annotations in fields": "(func " + rep("(@a)", n) + ")",
		"names in one place":    "(func " + rep("(@name \"a\")", n/10) + ")",
		"hints in one place":    "(func " + rep("(@metadata.code.branch_hint \"\\00\")", n/10) + "nop)",
		"customs in one place":  rep("(@custom \"a\")", n/2),
		"long number":           "(func (i32.const " + rep("9", n) + "))",
		"long float":            "(func (f64.const " + rep("9", n) + "." + rep("9", n) + "e" + rep("9", n) + "))",
		"long hexadecimal":      "(func (f32.const 0x" + rep("f", n) + "p" + rep("9", n) + "))",
		"long identifier":       "(func $" + rep("x", n) + ")",
		"long string":           "(data \"" + rep("\\00", n) + "\")",
		"long keyword":          "(func " + rep("x", n) + ")",
		"functions":             rep("(func)", n/4),
		"signatures":            rep("(func (param i32 i64))", n/10),
		"huge indexes":          "(func (param (ref 4294967295)))",
		"huge limits":           "(memory 18446744073709551615) (table 18446744073709551615 funcref)",
		"locals":                "(func (local " + rep("i32 f32 ", n/4) + "))",
		"supertypes":            "(type (sub " + rep("0 ", n) + "(func)))",
		"empty":                 "",
	} {
		_, err := wat.Compile([]byte(src), nil)
		if err != nil && len(err.Error()) > 500 {
			t.Errorf("%s: message of %d bytes", name, len(err.Error()))
		}
	}
}

// TestTruncated cuts and changes a module at every place.
func TestTruncated(t *testing.T) {
	src, err := os.ReadFile(filepath.Join(testdata.Conformance(t), "core/fuzzcases-wazero/1797a.wat"))
	if err != nil {
		t.Fatal(err)
	}
	src = bytes.TrimSpace(src[:min(len(src), 4000)])
	for i := range src {
		if _, err := wat.Compile(src[:i], nil); err == nil && i > 0 {
			t.Errorf("cut at %d: accepted", i)
		}
		for _, c := range []byte("()\"$;\\0 ") {
			changed := bytes.Clone(src)
			changed[i] = c
			wat.Compile(changed, nil)
		}
	}
}
