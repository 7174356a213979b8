package wasm_test

import (
	"bytes"
	"math/rand"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/davit-wasm/davit/internal/testdata"
	"github.com/davit-wasm/davit/wasm"
)

// TestReal validates programs that other people's toolchains made.
func TestReal(t *testing.T) {
	files, _ := filepath.Glob(filepath.Join(testdata.Real(t), "*.wasm"))
	n := 0
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		base := filepath.Base(file)
		m, err := load(data, nil)
		switch {
		case data[6] == 1: // a component
			if err == nil || !strings.Contains(err.Error(), "component") {
				t.Errorf("%s: error %v does not say that this is a component", base, err)
			}
		case strings.HasSuffix(base, "-legacy.wasm"), strings.HasSuffix(base, "-leg.wasm"):
			if e, ok := err.(*wasm.Error); !ok || e.Kind != wasm.Unsupported || !strings.Contains(e.Msg, "legacy exception handling") {
				t.Errorf("%s: error %v does not name the legacy proposal", base, err)
			}
		case err != nil:
			t.Errorf("%s: %v", base, err)
		default:
			n++
			if len(data) < 70_000 { // the comparison is slow
				roundTrip(t, base, m, nil)
			}
		}
	}
	if n < 15 {
		t.Errorf("only %d programs found", n)
	}
}

// TestFuzzCases loads modules that once broke another engine.
func TestFuzzCases(t *testing.T) {
	files, _ := filepath.Glob(filepath.Join(testdata.Conformance(t), "core", "fuzzcases-wazero", "*.wasm"))
	if len(files) < 48 {
		t.Fatalf("only %d files", len(files))
	}
	all := &wasm.Config{Features: wasm.FeaturesAll}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if m, err := load(data, all); err != nil {
			t.Errorf("%s: %v", filepath.Base(file), err)
		} else {
			roundTrip(t, filepath.Base(file), m, all)
		}
	}
}

// TestMutations feeds truncated and bit-flipped programs, which must be
// refused or accepted, whatever they are.
func TestMutations(t *testing.T) {
	rnd := rand.New(rand.NewSource(1))
	total := 10_000
	if testing.Short() {
		total = 1_000
	}
	var seeds [][]byte
	for _, name := range []string{"hello-c.wasm", "w3-mandel.wasm", "assemblyscript.wasm", "simd-c.wasm", "w3-mandel_dd.wasm", "w3-smallpt-ex-mv.wasm"} {
		data, err := os.ReadFile(filepath.Join(testdata.Real(t), name))
		if err != nil {
			t.Fatal(err)
		}
		seeds = append(seeds, data)
	}
	refused := 0
	for i := range total {
		data := bytes.Clone(seeds[i%len(seeds)])
		if i%3 == 0 {
			data = data[:rnd.Intn(len(data))]
		}
		for range 1 + rnd.Intn(3) {
			if len(data) > 0 {
				// Most of a module is code; half of the flips hit what comes before.
				at := rnd.Intn(len(data))
				if rnd.Intn(2) == 0 {
					at = rnd.Intn(min(len(data), 2048))
				}
				data[at] ^= 1 << rnd.Intn(8)
			}
		}
		if _, err := load(data, nil); err != nil {
			refused++
			if _, ok := err.(*wasm.Error); !ok {
				t.Fatalf("error is a %T", err)
			}
		}
	}
	t.Logf("%d of %d refused", refused, total)
}

// TestGenerated checks that the opcode table is what gen.go makes of
// opcodes.txt.
func TestGenerated(t *testing.T) {
	out := filepath.Join(t.TempDir(), "out")
	gen := exec.Command("go", "run", "gen.go", out)
	gen.Env = append(os.Environ(), "GOOS=", "GOARCH=") // for this machine, whatever the test was built for
	if msg, err := gen.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, msg)
	}
	want, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	have, err := os.ReadFile("opcode_gen.go")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(want, have) {
		t.Error("opcode_gen.go is out of date: run go generate")
	}
}

func BenchmarkValidate(b *testing.B) {
	for _, name := range []string{"esbuild.wasm", "sqlite3.wasm"} {
		b.Run(name, func(b *testing.B) {
			data, err := os.ReadFile(filepath.Join(testdata.Real(b), name))
			if err != nil {
				b.Fatal(err)
			}
			b.Run("decode", func(b *testing.B) {
				b.SetBytes(int64(len(data)))
				b.ReportAllocs()
				for b.Loop() {
					if _, err := wasm.Decode(data, nil); err != nil {
						b.Fatal(err)
					}
				}
			})
			for _, workers := range []int{1, 2} {
				b.Run([]string{"", "bodies-1", "bodies-2"}[workers], func(b *testing.B) {
					m, err := wasm.Decode(data, nil)
					if err != nil {
						b.Fatal(err)
					}
					env, err := wasm.NewEnv(m, nil)
					if err != nil {
						b.Fatal(err)
					}
					b.SetBytes(int64(m.CodeSize))
					b.ReportAllocs()
					for b.Loop() {
						if err := env.ValidateBodies(workers); err != nil {
							b.Fatal(err)
						}
					}
				})
			}
		})
	}
}
