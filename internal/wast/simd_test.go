package wast_test

import (
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/davit-wasm/davit"
	"github.com/davit-wasm/davit/internal/testdata"
	"github.com/davit-wasm/davit/internal/wast"
	"github.com/davit-wasm/davit/internal/wast/engine"
)

// TestSIMDLevels runs the scripts about vectors as compiled for processors from
// the oldest on that code is made for to this one, at every optimization level
// and with both ways of checking bounds.
func TestSIMDLevels(t *testing.T) {
	if runtime.GOARCH != "amd64" {
		t.Skip("the levels are those of x86-64")
	}
	const avx512 = "has_avx512vbmi=false,has_avx512bitalg=false,has_avx512vnni=false"
	levels := []struct{ name, cpu, settings string }{
		{"sse42", "x86-64-v2", ""},
		{"avx", "sandybridge", ""},
		{"avx2", "haswell", "has_fma=false"},
		{"fma", "haswell", ""},
		{"avx512", "x86-64-v4", avx512},
		{"vbmi", "cannonlake", ""},
		{"icelake", "icelake-server", ""},
		{"host", "", ""},
	}
	for i, l := range levels {
		for k, opt := range []string{"none", "speed", "speed_and_size"} {
			t.Run(l.name+"/"+opt, func(t *testing.T) {
				config := davit.Config{CPU: l.cpu, Settings: []string{"opt_level=" + opt}}
				if l.settings != "" {
					config.Settings = append(config.Settings, strings.Split(l.settings, ",")...)
				}
				config.DeterministicRelaxedSIMD = k == 0
				both := opt == "speed" && !testing.Short()
				for _, explicit := range []bool{false, true} {
					if both || explicit == ((i+k)%2 == 1) {
						config.ExplicitBounds = explicit
						runSIMD(t, config)
					}
				}
			})
		}
	}
}

func runSIMD(t *testing.T, config davit.Config) {
	root := testdata.Conformance(t)
	if _, err := davit.NewEngine(&config); err != nil && strings.Contains(err.Error(), "does not have") {
		t.Skip(err)
	} else if err != nil {
		t.Fatal(err)
	}
	engines := engine.Engines{Config: config}
	r := wast.Runner{NewEngine: engines.New}
	for _, dir := range []string{"core/spec/simd", "core/spec/relaxed-simd", "wasmtime/misc_testsuite/simd"} {
		files, _ := filepath.Glob(filepath.Join(root, dir, "*.wast"))
		if len(files) == 0 {
			t.Fatalf("no scripts in %s", dir)
		}
		for _, f := range files {
			for _, failure := range r.RunFile(f).Failures {
				t.Errorf("%s:%d: %s", filepath.Base(f), failure.Line, failure.Msg)
			}
		}
	}
	t.Logf("explicit bounds %t: %s", config.ExplicitBounds, r.Summary())
}
