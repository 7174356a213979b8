package wast_test

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/davit-wasm/davit"
	"github.com/davit-wasm/davit/internal/testdata"
	"github.com/davit-wasm/davit/internal/wast"
	"github.com/davit-wasm/davit/internal/wast/engine"
)

// TestFuel runs the suite for core modules with fuel, by engines that have next to
// nothing in common but what the code means. Each script consumes the same by all, and
// does what it does without fuel.
// Scripts that recurse until the stack is exhausted are left out: how soon that is
// depends on the size of frames.
func TestFuel(t *testing.T) {
	root := filepath.Join(testdata.Conformance(t), "core")
	if _, err := davit.NewEngine(nil); err != nil {
		t.Skipf("no native code here: %v", err)
	}
	configs := []struct {
		name string
		*engine.Engines
	}{
		{"speed", &engine.Engines{}},
		{"none", &engine.Engines{Config: davit.Config{Settings: []string{"opt_level=none"}}}},
		{"size", &engine.Engines{Config: davit.Config{Settings: []string{"opt_level=speed_and_size"}, ExplicitBounds: true}}},
		{"quick", &engine.Engines{Config: davit.Config{QuickCompile: true, ExplicitBounds: true, Interruption: davit.InterruptionEpoch}}},
		{"single pass, artifacts", &engine.Engines{Config: davit.Config{Settings: []string{"regalloc_algorithm=single_pass"}}, Artifacts: t.TempDir()}},
	}
	for _, c := range configs {
		c.Config.Fuel = true
		c.Config.Settings = append(c.Config.Settings, "regalloc_checker=true", "enable_verifier=true")
	}
	plain := &engine.Engines{}
	scripts, consumed := 0, uint64(0)
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || filepath.Ext(path) != ".wast" {
			return err
		}
		src, err := os.ReadFile(path)
		if err != nil || bytes.Contains(src, []byte("assert_exhaustion")) {
			return err
		}
		if scripts++; testing.Short() && scripts%8 != 0 {
			return nil
		}
		without := (&wast.Runner{NewEngine: plain.New}).Run(path, src)
		var want uint64
		for i, c := range configs {
			r := wast.Runner{NewEngine: c.New}
			before := c.FuelConsumed()
			if with := r.Run(path, src); with.Passed != without.Passed || len(with.Failures) != len(without.Failures) {
				t.Errorf("%s: %d assertions hold with fuel by %s, %d without: %v", path, with.Passed, c.name, without.Passed, with.Failures)
			}
			have := c.FuelConsumed() - before
			if i == 0 {
				want = have
			}
			if have != want {
				t.Errorf("%s: %d units are consumed by %s, %d by %s", path, have, c.name, want, configs[0].name)
			}
		}
		consumed += want
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d scripts, %d units", scripts, consumed)
	if consumed < 10_000 {
		t.Errorf("%d units are consumed by %d scripts", consumed, scripts)
	}
}
