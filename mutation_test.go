package davit_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/davit-wasm/davit"
	"github.com/davit-wasm/davit/internal/artifact"
	"github.com/davit-wasm/davit/internal/artifact/artifacttest"
)

// various is a module with something in all tables of an artifact: bodies that are
// inlined, traps of the hardware and of the host, data and element segments of all
// kinds, names, exports of all kinds.
const various = `(module $various
	(type $t (func (param i32) (result i32)))
	(import "host" "f" (func $f (type $t)))
	(memory (export "memory") 1 4)
	(memory $second i64 1)
	(table (export "table") 8 20 funcref)
	(table $refs 3 externref)
	(global (export "global") (mut i64) (i64.const -5))
	(global $n i32 (i32.add (i32.const 4) (i32.const 3)))
	(tag (export "tag") (param i32))
	(elem (i32.const 2) $load $f $div)
	(elem $passive func $load)
	(elem (table 0) (i32.const 5) funcref (ref.func $div) (ref.null func))
	(data (i32.const 16) "hello")
	(data $later "later")
	(data (memory $second) (i64.const 70) "second")
	(func $small (param i32) (result i32) (i32.add (local.get 0) (i32.const 3)))
	(func $div (type $t) (i32.div_s (i32.const 1000) (call $small (local.get 0))))
	(func $load (type $t) (i32.load offset=4 (call $small (local.get 0))))
	(func $call (type $t) (i32.add (call $f (local.get 0)) (call $small (local.get 0))))
	(func $loop (export "loop") (type $t) (local i32)
		(loop $l (local.set 1 (i32.add (local.get 1) (call $small (local.get 0))))
			(br_if $l (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))
		(local.get 1))
	(func (export "init") (memory.init $later (i32.const 100) (i32.const 0) (i32.const 5)) (table.init $passive (i32.const 0) (i32.const 0) (i32.const 1)))
	(func (export "div") (type $t) (call $div (local.get 0)))
	(func (export "load") (type $t) (call $load (local.get 0)))
	(func (export "call") (type $t) (call $call (local.get 0)))
	(func (export "indirect") (type $t) (call_indirect (type $t) (i32.const 7) (local.get 0))))`

// useVarious does with a module of various what can be done with it: results are
// what it computes, and places what it says of itself and of where it trapped.
func useVarious(t *testing.T, e *davit.Engine, m *davit.Module) (results, places string) {
	t.Helper()
	var r, p strings.Builder
	s := must(davit.NewStore(e, nil))
	defer s.Close()
	l := davit.NewLinker(e)
	err := l.Define("host", "f", davit.HostFunc1(func(_ context.Context, c *davit.Caller, x int32) (int32, error) {
		for _, f := range c.Frames() {
			fmt.Fprintln(&p, f, f.Sources())
		}
		if x < 0 {
			return 0, davit.TrapUnreachable
		}
		return x * 2, nil
	}))
	if err != nil {
		t.Fatal(err)
	}
	in, err := l.Instantiate(ctx, s, m)
	if err != nil {
		return err.Error(), ""
	}
	for _, c := range []struct {
		name string
		args []davit.Value
	}{
		{"loop", []davit.Value{davit.ValueI32(1000)}}, {"init", nil}, {"div", []davit.Value{davit.ValueI32(2)}}, {"div", []davit.Value{davit.ValueI32(-3)}},
		{"load", []davit.Value{davit.ValueI32(13)}}, {"load", []davit.Value{davit.ValueI32(65530)}}, {"call", []davit.Value{davit.ValueI32(4)}},
		{"call", []davit.Value{davit.ValueI32(-4)}}, {"indirect", []davit.Value{davit.ValueI32(1)}}, {"indirect", []davit.Value{davit.ValueI32(-2)}},
		{"indirect", []davit.Value{davit.ValueI32(6)}},
	} {
		x, err := in.Func(c.name).Call(ctx, c.args...)
		fmt.Fprintln(&r, c.name, x, err)
		var trap *davit.Trap
		if errors.As(err, &trap) {
			p.WriteString(trap.Backtrace())
		}
	}
	b, _ := in.Memory("memory").View(0, 200)
	r.Write(b)
	fmt.Fprintln(&r, in.Table("table").Len(), in.Global("global").Get())
	describe(&p, m)
	return r.String(), p.String()
}

// describe writes down what a module says of itself.
func describe(p *strings.Builder, m *davit.Module) {
	p.WriteString(m.Name())
	for _, x := range m.Imports() {
		fmt.Fprintf(p, "%+v\n", x)
		describeType(p, x.Type)
	}
	for _, x := range m.Exports() {
		fmt.Fprintf(p, "%s\n", x.Name)
		describeType(p, x.Type)
		if _, ok := m.Export(x.Name); !ok {
			fmt.Fprintf(p, "is not found\n")
		}
	}
	for name, content := range m.CustomSections() {
		fmt.Fprintf(p, "%q: %q\n", name, content)
	}
}

func describeType(p *strings.Builder, t davit.ExternType) {
	switch {
	case t.Func != nil:
		fmt.Fprintln(p, t.Func)
	case t.Memory != nil:
		fmt.Fprintf(p, "%+v\n", *t.Memory)
	case t.Table != nil:
		fmt.Fprintf(p, "%+v\n", *t.Table)
	case t.Global != nil:
		fmt.Fprintf(p, "%+v\n", *t.Global)
	}
}

// loads are the ways to load an artifact.
func loads(t *testing.T, e *davit.Engine, file string, data []byte) []func() (*davit.Module, error) {
	t.Helper()
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return []func() (*davit.Module, error){
		func() (*davit.Module, error) { return e.LoadModule(data) },
		func() (*davit.Module, error) { return e.LoadModuleFile(file) },
	}
}

// mutator is one of an artifact of various; parts of that of another module, and of
// the same with other settings, get into mutants.
func mutator(t *testing.T, seed uint64) (m *artifacttest.Mutator, data []byte) {
	t.Helper()
	text := various
	if seed == 3 { // data that is mapped from files
		text = strings.Replace(text, `"hello"`, `"`+strings.Repeat("hello, hello", 2000)+`"`, 1)
	}
	data = must(davit.Precompile(ctx, nil, "", assemble(t, text)))
	other := divider
	config := &davit.Config{}
	if seed%2 == 1 {
		other, config.QuickCompile = various, true
	}
	m, err := artifacttest.New(seed, data, must(davit.Precompile(ctx, config, "", assemble(t, other))))
	if err != nil {
		t.Fatal(err)
	}
	return m, data
}

// TestMutants: of an artifact that was changed in whatever way, an engine takes
// nothing.
func TestMutants(t *testing.T) {
	e := newEngine(t, nil)
	file := filepath.Join(t.TempDir(), "x.cwasm")
	for seed := range uint64(2) {
		m, data := mutator(t, seed)
		for i := range 500 {
			mutant, what := m.Any()
			if bytes.Equal(mutant, data) {
				continue
			}
			for _, load := range loads(t, e, file, mutant) {
				var refused *davit.ArtifactError
				if m, err := load(); !errors.As(err, &refused) {
					t.Fatalf("mutant %d (%s): %v, %v", i, what, m, err)
				}
			}
		}
	}
}

// TestSealedMutants: what tables tell of code, wherever it comes from, may be wrong
// in an artifact with good checksums. That leads to other places in backtraces, to
// other names and texts, or to a refusal, but not to other results, nor to any harm.
func TestSealedMutants(t *testing.T) {
	e := newEngine(t, nil)
	file := filepath.Join(t.TempDir(), "x.cwasm")
	m, data := mutator(t, 2)
	module, err := e.LoadModule(data)
	if err != nil {
		t.Fatal(err)
	}
	want, places := useVarious(t, e, module)
	for _, text := range []string{"loop [", "out of bounds memory access", "unreachable", "hello", "later"} {
		if !strings.Contains(want, text) {
			t.Fatalf("no %q in %s", text, want)
		}
	}
	taken, other := 0, 0
	for i := range 1000 {
		mutant, what := m.Sealed(".davit.bodies", ".davit.addresses", ".davit.unwind", ".davit.inlined", ".davit.sites", ".davit.customs", ".symtab", ".strtab", ".shstrtab")
		for _, load := range loads(t, e, file, mutant) {
			m, err := load()
			var refused *davit.ArtifactError
			if err != nil {
				if !errors.As(err, &refused) {
					t.Errorf("mutant %d (%s): %v", i, what, err)
				}
				continue
			}
			taken++
			have, havePlaces := useVarious(t, e, m)
			if have != want {
				t.Errorf("mutant %d (%s): have %s\nwant %s", i, what, have, want)
			}
			if havePlaces != places {
				other++
			}
			if _, err := m.Serialize(); err != nil {
				t.Errorf("mutant %d (%s): serialized again: %v", i, what, err)
			}
			m.Close()
		}
	}
	t.Logf("%d taken, %d of them tell of other places", taken, other)
	if other < 100 {
		t.Errorf("only %d mutants differ", other)
	}
}

// TestSealedStructure: an artifact with good checksums whose headers or metadata are
// wrong is refused, or can be asked for all that it says, and instances made of it, as
// long as nothing of its code runs: that may be called with what it was not made for.
func TestSealedStructure(t *testing.T) {
	e := newEngine(t, nil)
	file := filepath.Join(t.TempDir(), "x.cwasm")
	m, data := mutator(t, 3)
	taken := 0
	for i := range 2000 {
		var mutant []byte
		var what string
		if i%2 == 0 {
			mutant, what = m.Sealed()
		} else {
			mutant, what = m.Sealed(".note.davit", ".davit.meta", ".davit.functions", ".davit.types", ".davit.elements", ".davit.traps", ".davit.bounds", ".davit.data")
		}
		if bytes.Equal(mutant, data) {
			continue
		}
		for _, load := range loads(t, e, file, mutant) {
			m, err := load()
			if err != nil {
				var refused *davit.ArtifactError
				if !errors.As(err, &refused) {
					t.Errorf("mutant %d (%s): %v", i, what, err)
				}
				continue
			}
			taken++
			var b strings.Builder
			describe(&b, m)
			if _, _, im, err := artifact.Inspect(mutant); err != nil {
				t.Errorf("mutant %d (%s): it is loaded, but not inspected: %v", i, what, err)
			} else if !im.Module.HasStart {
				s := must(davit.NewStore(e, &davit.StoreConfig{MaxMemoryBytes: 1 << 24, MaxTableElements: 1 << 16}))
				l := davit.NewLinker(e)
				for _, x := range m.Imports() {
					if x.Type.Func != nil {
						_ = l.DefineFunc(x.Module, x.Name, *x.Type.Func, func(context.Context, *davit.Caller, []uint64) error { return nil })
					}
				}
				if in, err := l.Instantiate(ctx, s, m); err == nil {
					for _, x := range in.Exports() {
						if table, ok := x.(*davit.Table); ok {
							for i := range min(table.Len(), 100) {
								v, _ := table.Get(i)
								if f := v.Func(); f != nil {
									_ = f.Type().String()
								}
							}
						}
						_ = x.ExternType()
					}
				}
				s.Close()
			}
			if _, err := m.Serialize(); err != nil {
				t.Errorf("mutant %d (%s): serialized again: %v", i, what, err)
			}
			m.Close()
		}
	}
	t.Logf("%d taken", taken)
	if taken < 100 {
		t.Errorf("only %d are taken", taken)
	}
}

// TestMutantEntries: an entry of a cache that was changed in whatever way is made
// anew, and never an error.
func TestMutantEntries(t *testing.T) {
	for seed, compress := range []bool{false, true} {
		k := newCache(t, davit.CacheConfig{Compress: compress})
		e := newEngine(t, &davit.Config{Cache: k})
		code := assemble(t, various)
		compile := func() string {
			t.Helper()
			m, err := e.Compile(ctx, code)
			if err != nil {
				t.Fatal(err)
			}
			defer m.Close()
			results, places := useVarious(t, e, m)
			return results + places
		}
		want := compile()
		names, _ := entries(t, k)
		if len(names) != 1 {
			t.Fatalf("%d entries", len(names))
		}
		good, err := os.ReadFile(names[0])
		if err != nil {
			t.Fatal(err)
		}
		m, _ := mutator(t, uint64(seed))
		if compress {
			m = m.Of(good)
		}
		mutants := 500
		if testing.Short() {
			mutants = 100
		}
		for i := range mutants {
			mutant, what := m.Any()
			if err := os.WriteFile(names[0], mutant, 0o600); err != nil {
				t.Fatal(err)
			}
			before := k.Stats()
			if have := compile(); have != want {
				t.Fatalf("compress=%v, mutant %d (%s): have %s\nwant %s", compress, i, what, have, want)
			}
			after := k.Stats()
			if after.Err != nil {
				t.Fatalf("compress=%v, mutant %d (%s): %v", compress, i, what, after.Err)
			}
			now, err := os.ReadFile(names[0])
			if err != nil {
				t.Fatal(err)
			}
			switch hit := after.Hits > before.Hits; {
			case hit && !bytes.Equal(mutant, good) && !compress: // what packs it has bytes without meaning
				t.Errorf("mutant %d (%s): it was used", i, what)
			case !hit && (after.Misses != before.Misses+1 || !bytes.Equal(now, good)):
				t.Errorf("compress=%v, mutant %d (%s): not made anew", compress, i, what)
			}
		}
		if s := k.Stats(); s.Misses < mutants*4/5 {
			t.Errorf("compress=%v: %+v", compress, s)
		}

		// What cannot be replaced is no error either.
		if err := errors.Join(os.Remove(names[0]), os.Mkdir(names[0], 0o700)); err != nil {
			t.Fatal(err)
		}
		if have := compile(); have != want {
			t.Errorf("have %s\nwant %s", have, want)
		}
		if s := k.Stats(); s.Err == nil {
			t.Error("a folder was replaced by a file")
		}
	}
}
