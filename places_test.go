package davit_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/davit-wasm/davit"
	"github.com/davit-wasm/davit/wasm"
	"github.com/davit-wasm/davit/wat"
)

// deep is a program in C++, compiled with debug information: run(n) calls functions n deep
// and divides by zero.
func deep(t *testing.T) []byte {
	t.Helper()
	code, err := os.ReadFile(filepath.Join("internal", "debuginfo", "testdata", "deep.wasm"))
	if err != nil {
		t.Fatal(err)
	}
	return code
}

// TestSources: each frame of a deep backtrace has its place in source code, inlined functions
// included; of a module that has been compiled, with and without inlining, and of one loaded from an artifact.
func TestSources(t *testing.T) {
	ctx := context.Background()
	for _, settings := range [][]string{nil, {"enable_inlining=false"}, {"opt_level=none"}} {
		e, err := davit.NewEngine(&davit.Config{Settings: settings, Demangle: func(name string) string { return "<" + name + ">" }})
		if err != nil {
			t.Skip(err)
		}
		m, err := e.Compile(ctx, deep(t))
		if err != nil {
			t.Fatal(err)
		}
		artifact, err := m.Serialize()
		if err != nil {
			t.Fatal(err)
		}
		loaded, err := e.LoadModule(artifact)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range []*davit.Module{m, loaded} {
			trap := trapOf(t, e, m)
			if !errors.Is(trap, davit.TrapIntegerDivideByZero) || len(trap.Frames) != 60 {
				t.Fatalf("%v: %v with %d frames:\n%s", settings, trap, len(trap.Frames), trap.Backtrace())
			}
			for i, f := range trap.Frames {
				want := "deep.cpp:22"
				switch {
				case i == len(trap.Frames)-1:
					want = "deep.cpp:35"
				case i == 0:
					want = "deep.cpp:20"
				case i%2 == 1:
					want = "deep.cpp:28"
				}
				sources := f.Sources()
				if len(sources) == 0 || !strings.HasPrefix(sources[len(sources)-1].String(), want+":") || sources[len(sources)-1].Func != "" {
					t.Fatalf("%v: frame %d (%v) is at %v, want %s", settings, i, f, sources, want)
				}
			}
			if s := trap.Frames[0].Sources(); len(s) != 2 || s[0].Line != 9 || s[0].Func != "<_ZN4deep7Counter4failEi>" {
				t.Errorf("%v: the trap is at %+v", settings, s)
			}
			text := trap.Backtrace()
			for _, want := range []string{"   0: <int deep::even<deep::Counter>(deep::Counter&)> at offset", "        deep.cpp:9:16 (in <_ZN4deep7Counter4failEi>, inlined)\n        deep.cpp:20:7\n", "  59: <run> at"} {
				if !strings.Contains(text, want) {
					t.Errorf("%v: no %q in\n%s", settings, want, text)
				}
			}
		}
	}
}

// TestSourcesNested: what a function of the host is told of its callers has places in source
// code for each frame, also of calls that wait below it for other functions of the host.
func TestSourcesNested(t *testing.T) {
	code, err := os.ReadFile(filepath.Join("internal", "debuginfo", "testdata", "nested.wasm"))
	if err != nil {
		t.Fatal(err)
	}
	for _, settings := range [][]string{nil, {"enable_inlining=false"}} {
		w := newWorld(t, &davit.Config{Settings: settings}, nil)
		const depth = 24 // guest functions of a level that call each other, with an even number of steps
		var frames []davit.Frame
		var in *davit.Instance
		w.define("go", "down", types(davit.I32), types(davit.I32), func(ctx context.Context, c *davit.Caller, stack []uint64) error {
			if level := int32(stack[0]); level > 0 {
				results, err := in.Func("run").Call(ctx, davit.ValueI32(depth-2), davit.ValueI32(level-1))
				if err == nil {
					stack[0] = uint64(uint32(results[0].I32()))
				}
				return err
			}
			frames = c.Frames()
			stack[0] = 0
			return nil
		})
		m, err := w.engine.Compile(ctx, code)
		if err != nil {
			t.Fatal(err)
		}
		defer m.Close()
		if in, err = w.linker.Instantiate(ctx, w.store, m); err != nil {
			t.Fatal(err)
		}
		const levels = 3
		if got := w.call(in, "run", davit.ValueI32(depth-2), davit.ValueI32(levels-1)); got[0].I32() != levels*depth {
			t.Errorf("%v: result %v", settings, got)
		}
		if len(frames) != levels*depth {
			t.Fatalf("%v: %d frames", settings, len(frames))
		}
		for i, f := range frames {
			want, name := "nested.cpp:20", "nested::left(nested::Walk&)"
			switch k := i % depth; {
			case k == depth-1:
				want, name = "nested.cpp:32", "run"
			case k == 0:
				want = "nested.cpp:18"
			case k%2 == 1:
				want, name = "nested.cpp:25", "nested::right(nested::Walk&)"
			}
			sources := f.Sources()
			if len(sources) == 0 || !strings.HasPrefix(sources[len(sources)-1].String(), want+":") || f.FuncName != name {
				t.Fatalf("%v: frame %d (%v) is at %v, want %s in %s", settings, i, f, sources, want, name)
			}
			if i%depth == 0 && (len(sources) != 2 || sources[0].Line != 10) {
				t.Errorf("%v: frame %d calls the host at %+v", settings, i, sources)
			}
		}
	}
}

func trapOf(t *testing.T, e *davit.Engine, m *davit.Module) *davit.Trap {
	t.Helper()
	s, err := davit.NewStore(e, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	in, err := davit.NewLinker(e).Instantiate(context.Background(), s, m)
	if err != nil {
		t.Fatal(err)
	}
	_, err = in.Func("run").Call(context.Background(), davit.ValueI32(58))
	trap, ok := errors.AsType[*davit.Trap](err)
	if !ok {
		t.Fatalf("error %v", err)
	}
	return trap
}

// TestSourceMap: a source map is loaded when a place is asked for, once.
func TestSourceMap(t *testing.T) {
	asked := 0
	e, err := davit.NewEngine(&davit.Config{SourceMap: func(url string) ([]byte, error) {
		if asked++; url != "x.map" {
			t.Errorf("asked for %q", url)
		}
		return []byte(`{"version":3,"sources":["a.ts"],"mappings":"AAEA"}`), nil
	}})
	if err != nil {
		t.Skip(err)
	}
	code, err := wat.Compile([]byte(`(module (@custom "sourceMappingURL" "\05x.map") (func (export "run") (param i32) (result i32) (unreachable)))`), nil)
	if err != nil {
		t.Fatal(err)
	}
	m, err := e.Compile(context.Background(), code)
	if err != nil {
		t.Fatal(err)
	}
	trap := trapOf(t, e, m)
	if asked != 0 {
		t.Error("the source map has been read before anybody asked for a place")
	}
	for range 2 {
		if s := trap.Frames[0].Sources(); len(s) != 1 || s[0] != (davit.Source{File: "a.ts", Line: 3, Column: 1}) {
			t.Errorf("%+v", s)
		}
	}
	if asked != 1 {
		t.Errorf("it has been read %d times", asked)
	}
}

// TestCoreDump reads a core dump back.
func TestCoreDump(t *testing.T) {
	ctx := context.Background()
	e := newEngine(t, nil)
	code := assemble(t, `(module $guest
		(memory (export "memory") 2) (global (mut i64) (i64.const 7)) (global (mut f32) (f32.const 1.5)) (global (mut funcref) (ref.func $f))
		(func $f (export "f") (param i32) (local i64 f64) (i32.store (i32.const 70000) (i32.const 0x01020304)) (global.set 0 (i64.const -5)) (unreachable)))`)
	m, err := e.Compile(ctx, code)
	if err != nil {
		t.Fatal(err)
	}
	s, err := davit.NewStore(e, nil)
	if err != nil {
		t.Fatal(err)
	}
	in, err := davit.NewLinker(e).Instantiate(ctx, s, m)
	if err != nil {
		t.Fatal(err)
	}
	_, err = in.Func("f").Call(ctx, davit.ValueI32(1))
	trap, ok := errors.AsType[*davit.Trap](err)
	if !ok {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := s.WriteCoreDump(&b, "program", trap.Frames); err != nil {
		t.Fatal(err)
	}
	c := &wasm.Config{Features: wasm.FeaturesAll}
	dump, err := wasm.Decode(b.Bytes(), c)
	if err == nil {
		err = wasm.Validate(dump, c)
	}
	if err != nil {
		t.Fatal(err)
	}
	custom := map[string]string{}
	for _, x := range dump.Customs {
		custom[x.Name] = string(x.Data)
	}
	stack := custom["corestack"]
	if custom["core"] != "\x00\x07program" || custom["coremodules"] != "\x01\x00\x05guest" || custom["coreinstances"] != "\x01\x00\x00\x01\x00\x03\x00\x01\x02" ||
		!strings.HasPrefix(stack, "\x00\x04main\x01\x00\x00\x00") || !strings.HasSuffix(stack, "\x03\x01\x01\x01\x00") {
		t.Errorf("%q", custom)
	}
	if len(dump.Globals) != 3 || !bytes.Equal(dump.Globals[0].Init.Code, []byte{0x42, 0x7b, 0x0b}) {
		t.Errorf("globals %+v", dump.Globals)
	}
	if len(dump.Memories) != 1 || dump.Memories[0].Min != 2 || len(dump.Datas) != 1 || !bytes.Equal(dump.Datas[0].Init, []byte{4, 3, 2, 1}) {
		t.Errorf("memories %+v, data %+v", dump.Memories, dump.Datas)
	}
	s.Close()
	if err := s.WriteCoreDump(&b, "", nil); !errors.Is(err, davit.ErrClosed) {
		t.Errorf("error %v", err)
	}
}

// dumpedStack is the instance and the function of each frame of a core dump, and how many
// memories each instance has.
func dumpedStack(t *testing.T, s *davit.Store, frames []davit.Frame) (stack [][2]uint32, memories []uint32) {
	t.Helper()
	var b bytes.Buffer
	if err := s.WriteCoreDump(&b, "program", frames); err != nil {
		t.Fatal(err)
	}
	dump, err := wasm.Decode(b.Bytes(), &wasm.Config{Features: wasm.FeaturesAll})
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range dump.Customs {
		data := x.Data
		number := func() uint32 {
			v, n := binary.Uvarint(data)
			if n <= 0 {
				t.Fatalf("section %s ends early", x.Name)
			}
			data = data[n:]
			return uint32(v)
		}
		list := func() uint32 {
			n := number()
			for range n {
				number()
			}
			return n
		}
		switch x.Name {
		case "coreinstances":
			for range number() {
				number() // of a kind
				number() // module
				memories = append(memories, list())
				list() // globals
			}
		case "corestack":
			number() // of a kind
			data = data[number():]
			for range number() {
				number() // of a kind
				stack = append(stack, [2]uint32{number(), number()})
				number()             // offset
				for range number() { // locals that are not known
					number()
				}
				list() // operands
			}
		}
	}
	return stack, memories
}

// TestCoreDumpInstances: each frame of a core dump is one of the instance that its function
// was called in, as far as that is known for certain; else of one that stands for that.
func TestCoreDumpInstances(t *testing.T) {
	library := assemble(t, `(module $library
		(import "go" "down" (func $down (param i32)))
		(table funcref (elem $inner))
		(memory (export "memory") 1)
		(type $t (func (param i32)))
		(func (export "f") (type $t) (call_indirect (type $t) (local.get 0) (i32.const 0)))
		(func $inner (type $t) (if (local.get 0) (then (call $down (local.get 0))) (else (unreachable)))))`)
	program := assemble(t, `(module $program
		(type $t (func (param i32)))
		(import "library" "f" (func $f (type $t)))
		(table (export "table") 2 funcref) (elem (i32.const 0) func $f)
		(memory 1)
		(func $call (type $t) (call_indirect (type $t) (local.get 0) (i32.const 0)))
		(func (export "run") (param i32) (call $call (local.get 0)))
		(func (export "leap") (param i32) (return_call_indirect (type $t) (local.get 0) (i32.const 1))))`)
	for _, load := range []func(e *davit.Engine, code []byte) (*davit.Module, error){
		func(e *davit.Engine, code []byte) (*davit.Module, error) { return e.Compile(ctx, code) },
		func(e *davit.Engine, code []byte) (*davit.Module, error) {
			artifact, err := davit.Precompile(ctx, nil, "", code)
			if err != nil {
				return nil, err
			}
			return e.LoadModule(artifact)
		},
	} {
		w := newWorld(t, nil, nil)
		// Instances are numbered: libraries 0 and 2, programs 1 and 3.
		var programs, libraries []*davit.Instance
		w.define("go", "down", types(davit.I32), nil, func(ctx context.Context, _ *davit.Caller, stack []uint64) error {
			_, err := programs[stack[0]-1].Func("run").Call(ctx, davit.ValueI32(0))
			return err
		})
		modules := []*davit.Module{must(load(w.engine, library)), must(load(w.engine, program))}
		for range 2 {
			in := must(w.linker.Instantiate(ctx, w.store, modules[0]))
			libraries = append(libraries, in)
			l := w.linker.Clone()
			l.AllowShadowing(true)
			if err := l.Define("library", "f", in.Func("f")); err != nil {
				t.Fatal(err)
			}
			programs = append(programs, must(l.Instantiate(ctx, w.store, modules[1])))
		}
		frames := func(name string, program, arg int32) []davit.Frame {
			t.Helper()
			_, err := programs[program].Func(name).Call(ctx, davit.ValueI32(arg))
			trap, ok := errors.AsType[*davit.Trap](err)
			if !ok {
				t.Fatal(err)
			}
			return trap.Frames
		}
		const inner, f, call, run = 2, 1, 1, 2 // functions
		check := func(what string, frames []davit.Frame, want ...[2]uint32) {
			t.Helper()
			got, memories := dumpedStack(t, w.store, frames)
			if !slices.Equal(got, want) {
				t.Errorf("%s: %v, want %v", what, got, want)
			}
			for i, n := range memories {
				if (n == 0) != (i >= 4) {
					t.Errorf("%s: instance %d of %d has %d memories", what, i, len(memories), n)
				}
			}
		}
		for k := range int32(2) {
			l, p := uint32(2*k), uint32(2*k+1)
			check("one program", frames("run", k, 0), [2]uint32{l, inner}, [2]uint32{l, f}, [2]uint32{p, call}, [2]uint32{p, run})
		}
		both := [][2]uint32{{2, inner}, {2, f}, {3, call}, {3, run}, {0, inner}, {0, f}, {1, call}, {1, run}}
		nested := frames("run", 0, 2)
		check("one program calls the other through Go", nested, both...)

		// The same modules in another store: its frames are not this one's.
		other := must(davit.NewStore(w.engine, nil))
		defer other.Close()
		if got, _ := dumpedStack(t, other, nested); got != nil {
			t.Errorf("a store has another's frames: %v", got)
		}

		// Go tells program 1 of library 2: now the first may have called it, even if another
		// function has come back in its place.
		if err := programs[0].Table("table").Set(1, davit.ValueFunc(libraries[1].Func("f"))); err != nil {
			t.Fatal(err)
		}
		check("a library that was lent", frames("leap", 0, 0), [2]uint32{4, inner}, [2]uint32{4, f})
		check("the program", frames("run", 0, 0), [2]uint32{4, inner}, [2]uint32{4, f}, [2]uint32{1, call}, [2]uint32{1, run})
	}
}
