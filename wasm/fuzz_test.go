package wasm_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/davit-wasm/davit/internal/testdata"
	"github.com/davit-wasm/davit/wasm"
)

// seed adds small modules of the conformance suites, where they are present.
func seed(f *testing.F) {
	f.Add([]byte("\x00asm\x01\x00\x00\x00"))
	dir := os.Getenv("DAVIT_CONFORMANCE")
	if dir == "" {
		dir = filepath.Join(testdata.Root(), "..", "shared", "conformance")
	}
	for _, pattern := range []string{"core/fuzzcases-wazero/*.wasm", "core/prebuilt-json-wasm/wasm-3.0/b*/*.1.wasm",
		"core/prebuilt-json-wasm/wasm-3.0-gc/*/*.0.wasm", "core/prebuilt-json-wasm/wasm-3.0-exceptions/*/*.0.wasm",
		"core/prebuilt-json-wasm/wasm-3.0-simd/*/*.0.wasm"} {
		files, _ := filepath.Glob(filepath.Join(dir, filepath.FromSlash(pattern)))
		for _, file := range files {
			if data, err := os.ReadFile(file); err == nil && len(data) < 4096 {
				f.Add(data)
			}
		}
	}
}

// FuzzDecode: whatever is decoded can be encoded, and means the same then.
func FuzzDecode(f *testing.F) {
	seed(f)
	c := &wasm.Config{Features: wasm.FeaturesAll}
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := wasm.Decode(data, c)
		if err != nil {
			return
		}
		m2, err := wasm.Decode(wasm.Encode(m), c)
		if err != nil {
			t.Fatalf("encoded module: %v", err)
		}
		if d := diff(m, m2); d != "" {
			t.Fatalf("encoding changes the module:\n%s", d)
		}
	})
}

// FuzzValidate: validation ends with a verdict, the same one with any number
// of workers.
func FuzzValidate(f *testing.F) {
	seed(f)
	c := &wasm.Config{Features: wasm.FeaturesAll}
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := wasm.Decode(data, c)
		if err != nil {
			return
		}
		env, err := wasm.NewEnv(m, c)
		if err != nil {
			return
		}
		one, two := env.ValidateBodies(1), env.ValidateBodies(2)
		if (one == nil) != (two == nil) || one != nil && one.Error() != two.Error() {
			t.Fatalf("verdicts differ: %v and %v", one, two)
		}
	})
}
