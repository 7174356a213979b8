package wasmgen

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"github.com/davit-wasm/davit/wasm"
)

// TestValid: every module is valid, and the same for the same seed.
func TestValid(t *testing.T) {
	size := 0
	for seed := range uint64(300) {
		c := Config{SIMD: seed%2 == 0, TailCalls: seed%3 == 0}
		code := wasm.Encode(Module(rand.New(rand.NewPCG(seed, 0)), c))
		size += len(code)
		if !bytes.Equal(code, wasm.Encode(Module(rand.New(rand.NewPCG(seed, 0)), c))) {
			t.Fatalf("seed %d: two modules", seed)
		}
		m, err := wasm.Decode(code, nil)
		if err == nil {
			err = wasm.Validate(m, nil)
		}
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
	}
	if size < 300*1000 {
		t.Errorf("%d bytes for 300 modules: they hold little", size)
	}
}
