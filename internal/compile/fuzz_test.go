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

// FuzzModule: whatever validates compiles, or is refused by name.
func FuzzModule(f *testing.F) {
	f.Add([]byte("\x00asm\x01\x00\x00\x00"), uint8(0))
	dir := os.Getenv("DAVIT_CONFORMANCE")
	if dir == "" {
		dir = filepath.Join(testdata.Root(), "..", "shared", "conformance")
	}
	for _, pattern := range []string{"core/fuzzcases-wazero/*.wasm", "core/prebuilt-json-wasm/wasm-3.0/*/*.0.wasm"} {
		files, _ := filepath.Glob(filepath.Join(dir, filepath.FromSlash(pattern)))
		for i, file := range files {
			if data, err := os.ReadFile(file); err == nil && len(data) < 4096 {
				f.Add(data, uint8(i))
			}
		}
	}
	target, err := Target("enable_verifier=true", "regalloc_checker=true")
	if err != nil {
		f.Skipf("no code generator: %v", err)
	}
	f.Fuzz(func(t *testing.T, data []byte, setting uint8) {
		s := image.Settings{ExplicitBounds: setting&1 != 0, Epoch: setting&2 != 0}
		_, err := Module(data, &Options{Target: target, Workers: 1, Settings: s})
		var w *wasm.Error
		var u *UnsupportedError
		if err != nil && !errors.As(err, &w) && !errors.As(err, &u) {
			t.Fatalf("%v", err)
		}
	})
}
