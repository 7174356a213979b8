package codegen_test

import (
	"errors"
	"testing"

	"github.com/davit-wasm/davit/codegen/isa"
)

// target is this machine with settings, or x86-64 where this machine is none
// that there is code for.
func target(t testing.TB, settings ...string) *isa.TargetISA {
	t.Helper()
	b, err := isa.Host()
	if errors.Is(err, isa.ErrNoBackend) {
		b, err = isa.Lookup("x86_64-linux")
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range settings {
		if err := b.Set(s); err != nil {
			t.Fatal(err)
		}
	}
	target, err := b.Finish()
	if err != nil {
		t.Fatal(err)
	}
	return target
}
