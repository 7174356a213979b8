package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/davit-wasm/davit/internal/testdata"
)

// TestCgo runs the tests of this package in a program with cgo, where threads
// and signals are partly C's: a file that imports "C" is laid over the package.
func TestCgo(t *testing.T) {
	supported(t)
	if testing.Short() || os.Getenv("STUBS_TEST_CGO") != "" {
		t.Skip("builds a program")
	}
	if _, err := exec.LookPath("gcc"); err != nil {
		t.Skip(err)
	}
	dir := t.TempDir()
	file := filepath.Join(dir, "cgo.go")
	source := "package main\n\n// static int one(void) { return 1; }\nimport \"C\"\n\nvar _ = C.one()\n"
	if err := os.WriteFile(file, []byte(source), 0o600); err != nil {
		t.Fatal(err)
	}
	overlay, err := json.Marshal(map[string]any{
		"Replace": map[string]string{filepath.Join(testdata.Root(), "codegen/internal/stubs/cgo.go"): file},
	})
	if err != nil {
		t.Fatal(err)
	}
	overlayFile := filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(overlayFile, overlay, 0o600); err != nil {
		t.Fatal(err)
	}
	binary := filepath.Join(dir, "test")
	build := exec.Command("go", "test", "-c", "-overlay", overlayFile, "-o", binary, ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=1")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	run := exec.Command(binary, "-test.v", "-test.run", "Enter|Exit|Trap|Fault|Nested|Panic|Block|Coll|GiveUp|Yield|Reuse|Profile")
	run.Env = append(os.Environ(), "STUBS_TEST_CGO=1")
	out, err := run.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "PASS: TestCollection") {
		t.Fatalf("%v\n%s", err, out)
	}
}
