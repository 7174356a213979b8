package wast_test

import (
	"testing"

	"github.com/davit-wasm/davit"
	"github.com/davit-wasm/davit/internal/wast"
	"github.com/davit-wasm/davit/internal/wast/engine"
)

// TestBounds runs a script in all ways in which bounds are checked.
func TestBounds(t *testing.T) {
	if _, err := davit.NewEngine(nil); err != nil {
		t.Skipf("no native code here: %v", err)
	}
	branches := []string{"enable_heap_access_spectre_mitigation=false", "enable_table_access_spectre_mitigation=false"}
	for _, opt := range []string{"none", "speed"} {
		for name, c := range map[string]davit.Config{
			"hardware":                 {},
			"hardware, table branches": {Settings: branches},
			"hidden from speculation":  {ExplicitBounds: true},
			"branches":                 {ExplicitBounds: true, Settings: branches},
		} {
			t.Run(opt+", "+name, func(t *testing.T) {
				c.Settings = append([]string{"opt_level=" + opt}, c.Settings...)
				engines := engine.Engines{Config: c}
				r := wast.Runner{NewEngine: engines.New}
				result := r.RunFile("testdata/bounds.wast")
				for _, f := range result.Failures {
					t.Error(f)
				}
				if result.Passed == 0 {
					t.Error("nothing has been run")
				}
			})
		}
	}
}
