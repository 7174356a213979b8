package wast

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/davit-wasm/davit/wasm"
)

func TestParseCommands(t *testing.T) {
	s, err := Parse([]byte(`;; a comment
;;! gc = true
;;! hogs_memory = false

(module $a (func))
(module definition $d (func)
  (memory 1))
(module instance $i $d)
(module binary "\00asm" "\01\00\00\00")
(assert_malformed (module quote "(func" ")") "why")
(register "m" $a)
(invoke $a "f" (i32.const -1) (f64.const nan:0x1) (ref.null func) (ref.extern 7))
(assert_return (get "g") (either (i64.const 1) (i64.const 2)) (f32.const nan:canonical) (ref.struct))
(assert_return (invoke "v") (v128.const f32x4 1 nan:arithmetic 0 0) (v128.const i8x16 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 -1))
(assert_trap (module (start 0)) "unreachable")
(thread $t (shared (module $m)) (wait $x))
(component definition (core module))
(assert_invalid (component) "no")
(func) (memory 1)
(assert_exhaustion (invoke "f") "call stack exhausted")
`))
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]Option{{"gc", "true", 2}, {"hogs_memory", "false", 3}}, s.Header); d != "" {
		t.Error(d)
	}
	var got []string
	for _, c := range s.Commands {
		got = append(got, fmt.Sprintf("%d %s", c.Line, c.Kind))
	}
	want := []string{"5 module", "6 module", "8 module instance", "9 module", "10 assert_malformed", "11 register",
		"12 action", "13 assert_return", "14 assert_return", "15 assert_trap", "16 thread", "17 unsupported",
		"18 unsupported", "19 module", "20 assert_exhaustion"}
	if d := cmp.Diff(want, got); d != "" {
		t.Fatal(d)
	}
	c := s.Commands
	if d := cmp.Diff(&Module{Line: 6, ID: "d", Definition: true, Source: []byte(" (func)\n  (memory 1)")}, c[1].Module, cmpopts.IgnoreFields(Module{}, "Script", "Offset")); d != "" {
		t.Error(d)
	}
	if c[2].Instance != "i" || c[2].Of != "d" {
		t.Errorf("instance %q of %q", c[2].Instance, c[2].Of)
	}
	if d := cmp.Diff(&Module{Line: 9, Form: FormBinary, Source: []byte("\x00asm\x01\x00\x00\x00")}, c[3].Module); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff(&Module{Line: 10, Form: FormQuote, Source: []byte("(func)")}, c[4].Module); d != "" || c[4].Message != "why" {
		t.Error(d, c[4].Message)
	}
	args := []Value{{Type: wasm.I32, Lo: 1<<32 - 1}, {Type: wasm.F64, Lo: 0x7ff0000000000001},
		{Type: wasm.FuncRef}, {Type: wasm.ExternRef, Ref: RefExtern, Lo: 7}}
	if d := cmp.Diff(&Action{Line: 12, Instance: "a", Name: "f", Args: args}, c[6].Action); d != "" {
		t.Error(d)
	}
	results := []Result{
		{Kind: ResultEither, Alternatives: []Result{{Value: Value{Type: wasm.I64, Lo: 1}}, {Value: Value{Type: wasm.I64, Lo: 2}}}},
		{Kind: ResultNaNCanonical, Value: Value{Type: wasm.F32}},
		{Kind: ResultRefKind, Value: Value{Ref: RefStruct}},
	}
	if d := cmp.Diff(results, c[7].Results); d != "" {
		t.Error(d)
	}
	if v := c[8].Results[1].Value; v.Lo != 0x0706050403020100 || v.Hi != 0xff0e0d0c0b0a0908 {
		t.Errorf("vector %#x %#x", v.Lo, v.Hi)
	}
	if th := c[10]; th.Name != "t" || th.Shared != "m" || len(th.Commands) != 1 || th.Commands[0].Kind != KindWait {
		t.Errorf("thread %+v", th)
	}
	if b, err := c[13].Module.Binary(); err != nil || !bytes.HasPrefix(b, []byte("\x00asm")) {
		t.Errorf("fields at top level: %v", err)
	}
}

func TestParseErrors(t *testing.T) {
	for _, c := range []struct{ src, want string }{
		{"(assert_return)", "1:15: unexpected token ), expected `(invoke …)` or `(get …)`"},
		{"(invoke \"f\" (f32.const nan:canonical))", "1:24: unexpected token nan:canonical, expected a number"},
		{"(invoke \"f\" (either))", "1:14: unexpected token either, expected a constant"},
		{"\n(frobnicate)", "2:2: unexpected token frobnicate, expected a command"},
		{"x", "1:1: unexpected token x, expected a command"},
		{"(module", "1:1: unexpected token: `(` is never closed"},
		{strings.Repeat("(thread ", 20) + strings.Repeat(")", 20), "1:73: more than 8 threads in each other"},
		{"(assert_return (invoke \"f\") (either (either)))", "1:37: unexpected token (, expected a result that is not an alternative itself"},
	} {
		if _, err := Parse([]byte(c.src)); err == nil || err.Error() != c.want {
			t.Errorf("%s: %v, want %s", c.src, err, c.want)
		}
	}
}

func TestMatch(t *testing.T) {
	pattern := func(s string) Result {
		script, err := Parse([]byte("(assert_return (invoke \"f\") " + s + ")"))
		if err != nil {
			t.Fatalf("%s: %v", s, err)
		}
		return script.Commands[0].Results[0]
	}
	f32 := func(bits uint64) Value { return Value{Type: wasm.F32, Lo: bits} }
	f64 := func(bits uint64) Value { return Value{Type: wasm.F64, Lo: bits} }
	ref := func(t wasm.ValType, k RefKind) Value { return Value{Type: t, Ref: k} }
	for _, c := range []struct {
		pattern string
		value   Value
		want    bool
	}{
		{"(i32.const 1)", Value{Type: wasm.I32, Lo: 1}, true},
		{"(i32.const 1)", Value{Type: wasm.I64, Lo: 1}, false},
		{"(i32.const -1)", Value{Type: wasm.I32, Lo: 1<<32 - 1}, true},
		{"(f32.const 0)", f32(1 << 31), false},
		{"(f32.const nan)", f32(0x7fc00000), true},
		{"(f32.const nan)", f32(0xffc00000), false},
		{"(f32.const nan:canonical)", f32(0x7fc00000), true},
		{"(f32.const nan:canonical)", f32(0xffc00000), true},
		{"(f32.const nan:canonical)", f32(0x7fc00001), false},
		{"(f32.const nan:arithmetic)", f32(0xffc00001), true},
		{"(f32.const nan:arithmetic)", f32(0x7fa00000), false},
		{"(f32.const nan:arithmetic)", f32(0x7f800000), false},
		{"(f64.const nan:canonical)", f64(0xfff8000000000000), true},
		{"(f64.const nan:canonical)", f64(0x7ff8000000000001), false},
		{"(f64.const nan:arithmetic)", f64(0x7ff8000000000001), true},
		{"(f64.const nan:arithmetic)", f64(0x7ff4000000000000), false},
		{"(f64.const nan:arithmetic)", f32(0x7fc00000), false},
		{"(v128.const f32x4 1 nan:canonical 0 nan:arithmetic)", Value{Type: wasm.V128, Lo: 0xffc000003f800000, Hi: 0x7fc0000100000000}, true},
		{"(v128.const f32x4 1 nan:canonical 0 nan:arithmetic)", Value{Type: wasm.V128, Lo: 0xffc000013f800000, Hi: 0x7fc0000100000000}, false},
		{"(v128.const f32x4 1 nan:canonical 0 nan:arithmetic)", Value{Type: wasm.V128, Lo: 0xffc000003f800000, Hi: 0x7fc0000100000001}, false},
		{"(v128.const f64x2 nan:canonical 1)", Value{Type: wasm.V128, Lo: 0x7ff8000000000000, Hi: 0x3ff0000000000000}, true},
		{"(v128.const f64x2 nan:canonical 1)", Value{Type: wasm.V128, Lo: 0x7ff8000000000000, Hi: 0x3ff0000000000001}, false},
		{"(either (i32.const 1) (i32.const 2))", Value{Type: wasm.I32, Lo: 2}, true},
		{"(either (i32.const 1) (i32.const 2))", Value{Type: wasm.I32, Lo: 3}, false},
		{"(ref.null)", ref(wasm.FuncRef, RefNull), true},
		{"(ref.null)", ref(wasm.FuncRef, RefFunc), false},
		{"(ref.null)", Value{Type: wasm.I32}, false},
		{"(ref.null func)", ref(wasm.Ref(true, wasm.HeapNoFunc), RefNull), true},
		{"(ref.null func)", ref(wasm.ExternRef, RefNull), false},
		{"(ref.null any)", ref(wasm.I31Ref, RefNull), true},
		{"(ref.func)", ref(wasm.FuncRef, RefFunc), true},
		{"(ref.func)", ref(wasm.FuncRef, RefNull), false},
		{"(ref.extern 3)", Value{Type: wasm.ExternRef, Ref: RefExtern, Lo: 3}, true},
		{"(ref.extern 3)", Value{Type: wasm.ExternRef, Ref: RefExtern, Lo: 4}, false},
		{"(ref.extern)", Value{Type: wasm.ExternRef, Ref: RefExtern, Lo: 4}, true},
		{"(ref.extern)", ref(wasm.ExternRef, RefNull), false},
		{"(ref)", ref(wasm.AnyRef, RefI31), true},
		{"(ref)", ref(wasm.AnyRef, RefNull), false},
		{"(ref.eq)", ref(wasm.AnyRef, RefStruct), true},
		{"(ref.eq)", ref(wasm.AnyRef, RefHost), false},
		{"(ref.any)", ref(wasm.AnyRef, RefHost), true},
		{"(ref.i31)", ref(wasm.AnyRef, RefStruct), false},
	} {
		p := pattern(c.pattern)
		if got := p.match(c.value); got != c.want {
			t.Errorf("%s matches %v: %v", c.pattern, c.value, got)
		}
	}
	if matchResults([]Result{pattern("(i32.const 1)")}, nil) {
		t.Error("no results match one")
	}
}

// fakeEngine accepts every module and answers calls by the name of the
// function.
type fakeEngine struct{ closed bool }

type fakeInstance struct{}

func (e *fakeEngine) Compile(binary []byte) (Compiled, error) {
	if len(binary) < 8 {
		return nil, errorf(ClassMalformed, "unexpected end")
	}
	m, err := wasm.Decode(binary, nil)
	if err == nil {
		err = wasm.Validate(m, nil)
	}
	return m, err
}

func (e *fakeEngine) HostFunc(wasm.FuncType, func([]Value)) Extern { return "host function" }

func (e *fakeEngine) Instantiate(m Compiled, resolve func(module, name string) (Extern, bool)) (Instance, error) {
	for _, im := range m.(*wasm.Module).Imports {
		if _, ok := resolve(im.Module, im.Name); !ok {
			return nil, errorf(ClassUnlinkable, "unknown import")
		}
	}
	return fakeInstance{}, nil
}

func (e *fakeEngine) Close() error {
	e.closed = true
	return nil
}

func (fakeInstance) Export(name string) (Extern, bool) { return name, name != "nothing" }

func (fakeInstance) Global(string) (Value, error) { return Value{Type: wasm.I32, Lo: 5}, nil }

func (fakeInstance) Call(name string, args []Value) ([]Value, error) {
	switch name {
	case "trap":
		return nil, errorf(ClassTrap, "unreachable")
	case "exhaust":
		return nil, errorf(ClassExhaustion, "call stack exhausted")
	case "panic":
		panic("a bug")
	}
	return args, nil
}

// TestRunner runs single commands, each alone and after a module, on an engine
// whose answers are known: what must pass passes, and what must fail fails.
func TestRunner(t *testing.T) {
	for _, c := range []struct {
		src  string
		fail string // part of the message; "" passes
	}{
		{`(assert_return (invoke "id" (i32.const 1)) (i32.const 1))`, ""},
		{`(assert_return (invoke "id" (i32.const 1)) (i32.const 2))`, "got [i32 1 (0x1)], want [i32 2 (0x2)]"},
		{`(assert_return (invoke "id" (i32.const 1)))`, "want []"},
		{`(assert_return (invoke "trap"))`, "trap: unreachable"},
		{`(assert_return (get "g") (i32.const 5))`, ""},
		{`(assert_return (get "g") (i32.const 6))`, "got [i32 5"},
		{`(invoke "trap")`, "unreachable"},
		{`(invoke "panic")`, "panic: a bug"},
		{`(assert_trap (invoke "trap") "unreachable")`, ""},
		{`(assert_trap (invoke "panic") "unreachable")`, "panic: a bug"},
		{`(assert_trap (invoke "id") "unreachable")`, "accepted"},
		{`(assert_trap (invoke "exhaust") "unreachable")`, "got exhaustion"},
		{`(assert_exhaustion (invoke "exhaust") "")`, ""},
		{`(assert_exhaustion (invoke "trap") "")`, "got trap"},
		{`(assert_exception (invoke "trap"))`, "got trap"},
		{`(assert_suspension (invoke "trap") "")`, "got trap"},
		{`(assert_invalid (module (func (result i32))) "type mismatch")`, ""},
		{`(assert_invalid (module (func)) "type mismatch")`, "accepted"},
		{`(assert_invalid (module binary "") "")`, "got malformed"},
		{`(assert_malformed (module binary "") "unexpected end")`, ""},
		{`(assert_malformed (module quote "(func") "")`, ""},
		{`(assert_malformed (module (func (result i32))) "")`, "got invalid"},
		{`(assert_unlinkable (module (import "no" "thing" (func))) "unknown import")`, ""},
		{`(assert_unlinkable (module (import "spectest" "print" (func))) "unknown import")`, "accepted"},
		{`(assert_unlinkable (module (func (result i32))) "")`, "got invalid"},
		{`(assert_trap (module (func)) "")`, "accepted"},
		{`(module (import "wasmtime" "gc" (func)))`, ""},
		{`(module (import "m" "nothing" (func)))`, "unknown import"},
		{`(module $x) (assert_return (get $x "g") (i32.const 5))`, ""},
		{`(invoke $y "id")`, "no instance $y"},
		{`(module binary "") (invoke "id")`, "since the last module failed"},
		{`(module definition $d (func)) (module instance $i $d) (invoke $i "id")`, ""},
		{`(module instance $i $nothing)`, "no definition $nothing"},
		{`(register "r" $nothing)`, "no instance $nothing"},
		{`(component)`, "component is not supported"},
		{`(assert_invalid (component) "")`, "component is not supported"},
		{`(assert_trap (component) "")`, "component is not supported"},
		{`(assert_return (invoke "f" (u8.const 1)) (list.const (u8.const 1)))`, "list.const is not supported"},
		{`(invoke "f" (str.const "x"))`, "str.const is not supported"},
		{`(thread $t)`, "threads are not supported"},
		{`(module (func (result i32)))`, "type mismatch"},
		{`(modul)`, "unexpected token modul"},
	} {
		var engine fakeEngine
		var out bytes.Buffer
		r := Runner{NewEngine: func(wasm.Features) (Engine, error) { return &engine, nil }, Out: &out}
		result := r.Run("test.wast", []byte(`(module $m (func)) (register "m" $m) `+c.src))
		var msgs []string
		for _, f := range result.Failures {
			msgs = append(msgs, f.Msg)
		}
		all := strings.Join(msgs, "; ")
		switch {
		case c.fail == "" && all != "":
			t.Errorf("%s: %s", c.src, all)
		case c.fail != "" && !strings.Contains(all, c.fail):
			t.Errorf("%s: %q, want %q", c.src, all, c.fail)
		case (c.fail == "") != (out.Len() == 0) || r.Failed != len(msgs) || r.Passed != result.Passed:
			t.Errorf("%s: printed %q; %s", c.src, out.String(), r.Summary())
		case !engine.closed && c.src != "(modul)":
			t.Errorf("%s: the engine was not closed", c.src)
		}
	}
}

func TestFeatures(t *testing.T) {
	for _, c := range []struct {
		path, src string
		want      wasm.Features
	}{
		{"core/spec/i32.wast", "", wasm.Features3},
		{"core/proposals/threads/atomic.wast", "", wasm.Features3 | wasm.FeatureThreads},
		{"a.wast", ";;! wide_arithmetic = true\n;;! simd = false", wasm.Features3 | wasm.FeatureWideArithmetic&^wasm.FeatureSIMD},
		{"a.wast", ";;! component_model_async = true\n;;! custom_page_sizes = yes", wasm.Features3 | wasm.FeatureCustomPageSizes},
	} {
		s, err := Parse([]byte(c.src))
		if err != nil {
			t.Fatal(err)
		}
		want := c.want
		if strings.Contains(c.src, "simd = false") {
			want &^= wasm.FeatureSIMD
		}
		if got := Features(c.path, s); got != want {
			t.Errorf("%s %q: %v, want %v", c.path, c.src, got, want)
		}
	}
}

// FuzzScript checks that a script gives an error or commands whose modules can
// be asked for.
func FuzzScript(f *testing.F) {
	f.Add([]byte(`(module $a (func)) (assert_return (invoke "f" (i32.const 1)) (either (ref) (v128.const i8x16 0)))`))
	f.Add([]byte(`;;! gc = true` + "\n" + `(module definition binary "\00") (thread $t (shared (module $m)) (wait $t))`))
	f.Add([]byte(`(func) (assert_malformed (module quote "(") "x") (component)`))
	f.Fuzz(func(t *testing.T, src []byte) {
		s, err := Parse(src)
		if err != nil {
			return
		}
		for i := range s.Commands {
			c := &s.Commands[i]
			if c.Line < 1 {
				t.Fatalf("command %d: line %d", i, c.Line)
			}
			if c.Module != nil {
				c.Module.Binary()
			}
		}
	})
}

// TestTextErrors checks that what is wrong with a text is shown in its line of
// the script, wherever the module begins in it.
func TestTextErrors(t *testing.T) {
	for _, test := range []struct {
		src, excerpt string
		line         int
	}{
		{"(module) (module\n  (func i32.cnst))", "  |\n2 |   (func i32.cnst))\n  |         ^\n", 2},
		{";; é\n(module) (module $m (func i32.cnst))", "  |\n2 | (module) (module $m (func i32.cnst))\n  |                           ^\n", 2},
		{"(func i32.cnst)", "  |\n1 | (func i32.cnst)\n  |       ^\n", 1},
		{"(module) (invoke x)", "  |\n1 | (module) (invoke x)\n  |                  ^\n", 1},
	} {
		var r Runner
		r.NewEngine = func(wasm.Features) (Engine, error) { return &fakeEngine{}, nil }
		got := r.Run("x.wast", []byte(test.src))
		if len(got.Failures) != 1 || got.Failures[0].Excerpt != test.excerpt {
			t.Errorf("%q: %v", test.src, got.Failures)
		}
	}
}
