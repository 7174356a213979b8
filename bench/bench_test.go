package main

import "testing"

// TestFuzz: engines agree on random modules.
func TestFuzz(t *testing.T) {
	n := uint64(200)
	if testing.Short() {
		n = 20
	}
	if err := fuzz("davit,davit:opt_level=none,davit:bounds+epoch,davit:cpu=x86-64-v2,wasmtime,wazero", 1, n, t.TempDir()); err != nil {
		t.Error(err)
	}
}

// TestErrors: a corpus that is not there is an error, and so are unknown
// engines and options.
func TestErrors(t *testing.T) {
	if err := corpus(t.TempDir(), "davit", "", 1); err == nil {
		t.Error("an empty corpus runs")
	}
	for _, engines := range []string{"", "wasm3", "davit:fast", "wasmtime:fast", "wazero:fast"} {
		if _, err := newCorpusEngines(engines); err == nil {
			t.Errorf("engines %q are known", engines)
		}
	}
}
