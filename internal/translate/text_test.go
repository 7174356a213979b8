package translate

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/davit-wasm/davit/codegen/clif"
	"github.com/davit-wasm/davit/codegen/ir"
	"github.com/davit-wasm/davit/internal/image"
	"github.com/google/go-cmp/cmp"
)

// sameText checks that testdata/NAME.wat in IR is testdata/NAME.clif. With DAVIT_UPDATE
// set it writes that.
func sameText(t *testing.T, name string, s image.Settings) {
	text, err := os.ReadFile(filepath.Join("testdata", name+".wat"))
	if err != nil {
		t.Fatal(err)
	}
	env := envOf(t, text)
	tm := NewModule(env, s, Relaxed{})
	var tr Translator
	f := ir.NewFunction(ir.Name{}, ir.Signature{})
	have := ""
	for i := range env.Code {
		if err := tr.Function(tm, uint32(env.NumImportedFuncs+i), f); err != nil {
			t.Fatal(err)
		}
		have += clif.Format(f) + "\n"
	}
	file := filepath.Join("testdata", name+".clif")
	if os.Getenv("DAVIT_UPDATE") != "" {
		if err := os.WriteFile(file, []byte(have), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), have); d != "" {
		t.Error(d)
	}
}

// TestAccessText shows accesses to memory, copies and calls, with guard pages and without.
func TestAccessText(t *testing.T) {
	sameText(t, "access", image.Settings{})
	sameText(t, "checks", image.Settings{ExplicitBounds: true})
}

// TestEpochText shows what checking for interruption adds to functions.
func TestEpochText(t *testing.T) { sameText(t, "epoch", image.Settings{Epoch: true}) }
