package wasip1_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/davit-wasm/davit"
	"github.com/davit-wasm/davit/internal/testdata"
	"github.com/davit-wasm/davit/wasi/wasip1"
)

// TestVectorPrograms runs the programs of the benchmark corpus that use vectors,
// and the cryptography beside them, as compiled for this processor and for older
// ones: what they print must be what is expected.
func TestVectorPrograms(t *testing.T) {
	root := filepath.Join(testdata.Bench(t), "sightglass")
	var files []string
	for _, pattern := range []string{"*-simd/*.wasm", "meshoptimizer/*.wasm", "libsodium/*.wasm"} {
		list, _ := filepath.Glob(filepath.Join(root, pattern))
		files = append(files, list...)
	}
	if len(files) < 13 {
		t.Fatalf("only %d programs", len(files))
	}
	nothing := func(context.Context, *davit.Caller, []uint64) error { return nil }
	bench := func(l *davit.Linker) error {
		if err := l.DefineFunc("bench", "start", davit.FuncType{}, nothing); err != nil {
			return err
		}
		return l.DefineFunc("bench", "end", davit.FuncType{}, nothing)
	}
	newEngine(t)
	for _, cpu := range []string{"", "x86-64-v2", "x86-64-v3"} {
		if cpu != "" && testing.Short() {
			continue
		}
		e, err := davit.NewEngine(&davit.Config{CPU: cpu})
		if err != nil {
			t.Logf("%s: %v", cpu, err)
			continue
		}
		for _, file := range files {
			folder, base := filepath.Split(file)
			base = strings.TrimSuffix(base, ".wasm")
			t.Run(cpu+"/"+filepath.Base(folder)+"/"+base, func(t *testing.T) {
				want := []byte("0\n") // of those without a file: their status
				for _, stem := range []string{base, "default"} {
					if b, err := os.ReadFile(folder + stem + ".stdout.expected"); err == nil {
						want = b
						break
					}
				}
				r := run(t, e, &program{file: file, more: bench, dirs: []wasip1.Mount{{Host: folder, Guest: ".", ReadOnly: true}}})
				if r.err != nil || r.code != 0 {
					t.Fatalf("exit code %d; %v\n%s", r.code, r.err, tail(r.stderr))
				}
				if r.stdout != string(want) {
					t.Errorf("unexpected output:\n%s\nwant:\n%s", tail(r.stdout), tail(string(want)))
				}
			})
		}
	}
}
