package translate

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/davit-wasm/davit/codegen/ir"
	"github.com/davit-wasm/davit/internal/image"
	"github.com/davit-wasm/davit/internal/testdata"
	"github.com/davit-wasm/davit/wasm"
)

// translateAll translates every function of a module in every setting and
// gives each to check.
func translateAll(t *testing.T, bytes []byte, check func(f *ir.Function) error) {
	t.Helper()
	m, err := wasm.Decode(bytes, nil)
	if err != nil {
		t.Fatal(err)
	}
	env, err := wasm.NewEnv(m, nil)
	if err != nil {
		t.Fatal(err)
	}
	var tr Translator
	f := ir.NewFunction(ir.Name{}, ir.Signature{})
	relaxed := []Relaxed{{}, {X86: true}, {X86: true, AVX: true, FMA: true}}
	for i, s := range []image.Settings{{}, {ExplicitBounds: true}, {Epoch: true}, {Fuel: true, ExplicitBounds: true}} {
		tm := NewModule(env, s, relaxed[i%len(relaxed)])
		unsupported := 0
		for i := m.NumImportedFuncs; i < len(m.Funcs); i++ {
			err := tr.Function(tm, uint32(i), f)
			var u *UnsupportedError
			var w *wasm.Error
			if errors.As(err, &u) || errors.As(err, &w) && w.Kind == wasm.Unsupported {
				unsupported++
				if unsupported == 1 {
					t.Logf("%v", err)
				}
				continue
			}
			if err != nil {
				t.Fatalf("function %d: %v", i, err)
			}
			if err := check(f); err != nil {
				t.Fatalf("function %d, %+v: %v", i, s, err)
			}
		}
	}
}

func TestRealPrograms(t *testing.T) {
	dir := testdata.Real(t)
	files, _ := filepath.Glob(filepath.Join(dir, "*.wasm"))
	if len(files) == 0 {
		t.Fatal("no programs")
	}
	for _, file := range files {
		name := filepath.Base(file)
		if testing.Short() && name == "esbuild.wasm" {
			continue
		}
		t.Run(name, func(t *testing.T) {
			b, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if len(b) < 8 || b[6] != 0 { // layer 1: a component
				t.Skip("not a core module")
			}
			translateAll(t, b, func(f *ir.Function) error { return verify(f) })
		})
	}
}
