package davit_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/davit-wasm/davit/wat"
)

// TestSize: a stripped program that embeds davit is small, and runs; so is one
// without the compiler, which says what it lacks.
func TestSize(t *testing.T) {
	if testing.Short() {
		t.Skip("builds programs")
	}
	newEngine(t, nil) // or there is nothing to run
	code, err := wat.Compile([]byte(`(module (import "go" "print" (func $print (param i32)))
		(func (export "main") (call $print (i32.const 42))))`), nil)
	if err != nil {
		t.Fatal(err)
	}
	module := filepath.Join(t.TempDir(), "main.wasm")
	if err := os.WriteFile(module, code, 0o666); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, tags string
		megabytes  int64
		output     string
	}{
		{"full", "", 8, "hello, 42"},
		{"without compiler", "davit_nocompile", 4, "davit_nocompile"},
	} {
		t.Run(c.name, func(t *testing.T) {
			program := filepath.Join(t.TempDir(), "hello")
			build := exec.Command("go", "build", "-tags", c.tags, "-ldflags", "-s -w", "-o", program, "./testdata/hello")
			if out, err := build.CombinedOutput(); err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			info, err := os.Stat(program)
			if err != nil {
				t.Fatal(err)
			}
			t.Logf("%d bytes", info.Size())
			if info.Size() > c.megabytes<<20 {
				t.Errorf("%d bytes, more than %d MB", info.Size(), c.megabytes)
			}
			if out, _ := exec.Command(program, module).CombinedOutput(); !strings.Contains(string(out), c.output) {
				t.Errorf("it says %q, want %q", out, c.output)
			}
		})
	}
}
