package davit_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/davit-wasm/davit"
	"github.com/davit-wasm/davit/internal/artifact"
	"github.com/davit-wasm/davit/internal/compile"
	"github.com/davit-wasm/davit/internal/testdata"
	"github.com/davit-wasm/davit/internal/wasmgen"
	"github.com/davit-wasm/davit/wasm"
	"github.com/davit-wasm/davit/wat"
)

// errEnough ends a program that has called hosts often enough.
var errEnough = errors.New("enough")

// visible is what can be seen of a program from outside: its host calls with their
// callers, the results of its functions, and its traps with their frames.
type visible struct {
	lines []string
	limit int // of lines, if it is not 0
}

func (tr *visible) add(what string, frames []davit.Frame) {
	var b strings.Builder
	b.WriteString(what)
	for _, f := range frames {
		fmt.Fprintf(&b, "\n  %d %s %#x", f.Func, f.FuncName, f.Offset)
	}
	tr.lines = append(tr.lines, b.String())
}

// end adds how a call ended.
func (tr *visible) end(name string, results []uint64, err error) {
	var trap *davit.Trap
	switch {
	case errors.As(err, &trap) && trap.Code == davit.TrapStackOverflow:
		// How deep the stack is when it is full depends on the frames.
		f := trap.Frames[0]
		tr.add(fmt.Sprintf("%s: %v in %d %s, one of %d", name, trap.Code, f.Func, f.FuncName, len(trap.Frames)), nil)
	case errors.As(err, &trap):
		tr.add(fmt.Sprintf("%s: %v", name, trap.Code), trap.Frames)
	case err != nil:
		tr.add(fmt.Sprintf("%s: %v", name, err), nil)
	default:
		tr.add(fmt.Sprintf("%s: %x", name, results), nil)
	}
}

// instantiate instantiates a module whose imports are functions that note who
// calls them, and otherwise answer 0: what is known of WASI is that there are no
// directories, and an end. It returns nil if that is not enough for the module.
func (tr *visible) instantiate(t *testing.T, e *davit.Engine, m *davit.Module) *davit.Instance {
	t.Helper()
	s, err := davit.NewStore(e, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	l := davit.NewLinker(e)
	defined := map[string]bool{}
	for _, x := range m.Imports() {
		if x.Type.Func == nil || defined[x.Module+" "+x.Name] {
			continue
		}
		defined[x.Module+" "+x.Name] = true
		n := len(x.Type.Func.Results)
		if err := l.DefineFunc(x.Module, x.Name, *x.Type.Func, func(_ context.Context, c *davit.Caller, stack []uint64) error {
			tr.add(x.Name, c.Frames())
			if tr.limit != 0 && len(tr.lines) >= tr.limit || x.Name == "proc_exit" {
				return errEnough
			}
			clear(stack[:n])
			if x.Name == "fd_prestat_get" {
				stack[0] = 8 // EBADF
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	in, err := l.Instantiate(ctx, s, m)
	var link *davit.LinkError
	if errors.As(err, &link) {
		return nil
	}
	if err != nil {
		tr.end("start", nil, err)
		return nil
	}
	return in
}

// inlineSites is how many calls in m have been replaced by bodies.
func inlineSites(t *testing.T, m *davit.Module) int {
	t.Helper()
	data, err := m.Serialize()
	if err != nil {
		t.Fatal(err)
	}
	_, _, im, err := artifact.Inspect(data)
	if err != nil {
		t.Fatal(err)
	}
	return len(im.InlineSites)
}

// everything compiles a module with whatever can be inlined inlined.
func everything(t *testing.T, e *davit.Engine, code []byte) *davit.Module {
	t.Helper()
	im, err := compile.Module(code, &compile.Options{InlineEverything: true})
	if err != nil {
		t.Fatal(err)
	}
	data, err := artifact.Encode(im, nil)
	if err != nil {
		t.Fatal(err)
	}
	m, err := e.LoadModule(data)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// threeWays runs a module without inlining, with it, and with everything inlined,
// and compares what can be seen. It returns how many calls have been replaced in
// the two ways.
func threeWays(t *testing.T, code []byte, limit int, run func(*visible, *davit.Instance)) (sites, most int) {
	t.Helper()
	var want []string
	for i := range 3 {
		c := &davit.Config{}
		if i == 0 {
			c.Settings = []string{"enable_inlining=false"}
		}
		e := newEngine(t, c)
		var m *davit.Module
		var err error
		if i == 2 {
			m = everything(t, e, code)
		} else if m, err = e.Compile(ctx, code); err != nil {
			t.Fatal(err)
		}
		switch n := inlineSites(t, m); i {
		case 0:
			if n != 0 {
				t.Errorf("%d calls are replaced without inlining", n)
			}
		case 1:
			sites = n
		case 2:
			most = n
		}
		tr := visible{limit: limit}
		if in := tr.instantiate(t, e, m); in != nil {
			run(&tr, in)
		}
		m.Close()
		if i == 0 {
			want = tr.lines
			continue
		}
		if len(tr.lines) != len(want) {
			t.Fatalf("%d lines with inlining, %d without", len(tr.lines), len(want))
		}
		for k := range want {
			if tr.lines[k] != want[k] {
				t.Fatalf("line %d is with inlining (%d)\n%s\nwithout\n%s", k, i, tr.lines[k], want[k])
			}
		}
	}
	return sites, most
}

// framesModule is a module whose functions trap and call the host at all depths, through
// calls that are in loops, tail calls, recursive, or have constant arguments.
const framesModule = `(module $m
  (import "go" "host" (func $host (param i32) (result i32)))
  (memory 1)
  (global $n (mut i32) (i32.const 0))
  (func $div (param i32 i32) (result i32) (i32.div_s (local.get 0) (local.get 1)))
  (func $load (param i32) (result i32) (i32.load offset=4 (local.get 0)))
  (func $never (param i32) (if (local.get 0) (then unreachable)))
  (func $ask (param i32) (result i32) (i32.add (call $host (local.get 0)) (i32.const 1)))
  (func $either (param i32) (result i32)
    (if (result i32) (i32.eq (local.get 0) (i32.const 1)) (then (call $div (i32.const 7) (i32.const 0)))
      (else (if (result i32) (i32.eq (local.get 0) (i32.const 2)) (then (call $load (i32.const -8)))
        (else (call $never (i32.eq (local.get 0) (i32.const 3))) (call $ask (local.get 0)))))))
  (func $tail (param i32) (result i32) (return_call $either (local.get 0)))
  (func $tailtail (param i32) (result i32) (return_call $tail (local.get 0)))
  (func $middle (param i32) (result i32) (i32.add (call $tail (local.get 0)) (call $either (i32.const 4))))
  (func $looped (export "looped") (param i32) (result i32) (local i32 i32)
    (loop $l
      (local.set 2 (i32.add (local.get 2) (call $middle (i32.const 5))))
      (local.set 2 (i32.add (local.get 2) (call $tailtail (local.get 0))))
      (br_if $l (i32.lt_u (local.tee 1 (i32.add (local.get 1) (i32.const 1))) (i32.const 3))))
    (local.get 2))
  (func (export "straight") (param i32) (result i32) (i32.add (call $tailtail (local.get 0)) (call $middle (local.get 0))))
  (func (export "tails") (param i32) (result i32)
    (if (i32.ge_u (local.get 0) (i32.const 4)) (then (return_call $tailtail (i32.sub (local.get 0) (i32.const 4)))))
    (return_call $middle (local.get 0)))
  (func $down (export "down") (param i32 i32) (result i32)
    (if (i32.eqz (local.get 0)) (then (return (call $either (local.get 1)))))
    (i32.add (i32.const 1) (call $down (i32.sub (local.get 0) (i32.const 1)) (local.get 1))))
  (func $tree (export "tree") (param i32 i32) (result i32)
    (if (i32.eqz (local.get 0)) (then (return (call $either (local.get 1)))))
    (i32.add (call $tree (i32.sub (local.get 0) (i32.const 1)) (local.get 1)) (call $tree (i32.sub (local.get 0) (i32.const 1)) (i32.const 6))))
  (func $around (export "around") (param i32 i32) (result i32)
    (if (i32.eqz (local.get 0)) (then (return_call $either (local.get 1))))
    (return_call $around (i32.sub (local.get 0) (i32.const 1)) (local.get 1)))
)`

// TestInlinedFrames: traps and host calls have the same frames with and without
// inlining.
func TestInlinedFrames(t *testing.T) {
	code, err := wat.Compile([]byte(framesModule), nil)
	if err != nil {
		t.Fatal(err)
	}
	lines := 0
	sites, most := threeWays(t, code, 0, func(tr *visible, in *davit.Instance) {
		for _, name := range []string{"looped", "straight", "tails", "down", "tree", "around"} {
			f := in.Func(name)
			for what := range uint64(9) {
				for depth := range uint64(9) {
					stack := []uint64{what, what}
					if len(f.Type().Params) == 2 {
						stack[0] = depth
					}
					err := f.CallRaw(ctx, stack)
					tr.end(name, stack[:1], err)
				}
			}
		}
		stack := []uint64{1 << 30, 0}
		tr.end("down", nil, in.Func("down").CallRaw(ctx, stack))
		lines += len(tr.lines)
	})
	if sites < 20 || most <= sites || lines < 1000 {
		t.Errorf("%d and %d calls are replaced, %d lines", sites, most, lines)
	}
}

// TestInlinedRandom: random modules do the same with and without inlining.
func TestInlinedRandom(t *testing.T) {
	sites, traps := 0, 0
	for seed := range uint64(130) {
		r := rand.New(rand.NewPCG(seed, 2))
		m := wasmgen.Module(r, wasmgen.Config{SIMD: seed%2 == 0, TailCalls: seed%3 != 0, Size: 20 + int(seed%5)*30, Fuel: 60})
		_, most := threeWays(t, wasm.Encode(m), 0, func(tr *visible, in *davit.Instance) {
			var stack [16]uint64
			for _, x := range m.Exports {
				if x.Kind != wasm.KindFunc || x.Name == "refuel" {
					continue
				}
				for n := range uint64(3) {
					if err := in.Func("refuel").CallRaw(ctx, nil); err != nil {
						t.Fatal(err)
					}
					for i := range stack {
						stack[i] = n * 0x3f81_0003
					}
					err := in.Func(x.Name).CallRaw(ctx, stack[:])
					if err != nil {
						traps++
					}
					tr.end(x.Name, stack[:len(m.FuncTypeOf(x.Index).Results)], err)
				}
			}
			mem := in.Memory("memory")
			view, _ := mem.View(0, mem.Size())
			tr.add(fmt.Sprintf("memory %d", len(view)), nil)
		})
		sites += most
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
	if sites < 1000 || traps < 100 {
		t.Errorf("%d calls are replaced, %d traps", sites, traps)
	}
}

// TestInlinedPrograms: real programs, of C++, Rust and others, make the same calls to
// the host by the same ways with and without inlining, and end in the same way.
func TestInlinedPrograms(t *testing.T) {
	real := testdata.Real(t)
	bench := filepath.Join(testdata.Bench(t), "sightglass")
	ran := 0
	for _, path := range []string{
		filepath.Join(real, "hello-c.wasm"), filepath.Join(real, "bzip2.wasm"), filepath.Join(real, "rust-calc.wasm"),
		filepath.Join(bench, "meshoptimizer", "benchmark.wasm"), filepath.Join(bench, "pulldown-cmark", "benchmark.wasm"),
		filepath.Join(bench, "quicksort", "benchmark.wasm"),
	} {
		t.Run(filepath.Base(filepath.Dir(path))+"-"+filepath.Base(path), func(t *testing.T) {
			code, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			sites, most := threeWays(t, code, 300, func(tr *visible, in *davit.Instance) {
				if f := in.Func("_start"); f != nil {
					tr.end("_start", nil, f.CallRaw(ctx, nil))
				}
				if !slices.ContainsFunc(tr.lines, func(s string) bool { return strings.Count(s, "\n") > 1 }) {
					t.Error("nothing was called")
				}
				ran++
			})
			t.Log(sites, most, "calls are replaced")
		})
	}
	if ran != 3*6 {
		t.Errorf("%d runs", ran)
	}
}
