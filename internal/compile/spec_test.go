package compile

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/davit-wasm/davit/internal/image"
	"github.com/davit-wasm/davit/internal/testdata"
	"github.com/davit-wasm/davit/wasm"
)

// TestSpec compiles every binary of the specification's suites that is valid.
func TestSpec(t *testing.T) {
	root := filepath.Join(testdata.Conformance(t), "core", "prebuilt-json-wasm")
	files, _ := filepath.Glob(filepath.Join(root, "*", "*", "*.wasm"))
	compiled, unsupported, refused := 0, 0, 0
	settings := []image.Settings{{}, {ExplicitBounds: true}, {Epoch: true}}
	for i, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		im, err := Module(data, options(t, 1, settings[i%len(settings)]))
		var w *wasm.Error
		var u *UnsupportedError
		switch {
		case err == nil:
			compiled++
			checkImage(t, file, im)
		case errors.As(err, &u), errors.As(err, &w) && w.Kind == wasm.Unsupported:
			unsupported++
		case errors.As(err, &w):
			refused++
		default:
			t.Errorf("%s: %v", file, err)
		}
	}
	t.Logf("%d compiled, %d need what is not supported, %d refused", compiled, unsupported, refused)
	if compiled < 1700 {
		t.Errorf("too few")
	}
}
