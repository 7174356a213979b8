package main

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/davit-wasm/davit"
	"github.com/davit-wasm/davit/internal/artifact"
	"github.com/davit-wasm/davit/internal/artifact/artifacttest"
	"github.com/davit-wasm/davit/wat"
)

// TestObjdumpDamaged: what is wrong in an artifact is printed or refused, whatever its
// checksums say, and does no harm.
func TestObjdumpDamaged(t *testing.T) {
	compile := func(text string) []byte {
		code, err := wat.Compile([]byte(text), nil)
		if err != nil {
			t.Fatal(err)
		}
		data, err := davit.Precompile(context.Background(), nil, "x86_64-linux", code)
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	data := compile(`(module $m (import "host" "f" (func $f (param i32))) (memory (export "memory") 1)
		(func $small (param i32) (result i32) (i32.load offset=5 (local.get 0)))
		(func $div (param i32) (result i32) (i32.div_u (i32.const 7) (call $small (local.get 0))))
		(func (export "run") (param i32) (call $f (call $div (local.get 0)))))`)
	m, err := artifacttest.New(1, data, compile(`(module (func (export "other") (result i64) (i64.const 1)))`))
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "x.cwasm")
	printed, refused := 0, 0
	for i := range 1000 {
		var mutant []byte
		var what string
		switch i % 3 {
		case 0:
			mutant, what = m.Any()
		case 1:
			mutant, what = m.Sealed()
		default:
			mutant, what = m.Sealed(".note.davit", ".davit.meta", ".davit.functions", ".davit.types", ".davit.bodies", ".text", ".davit.traps", ".davit.bounds",
				".davit.addresses", ".davit.unwind", ".davit.inlined", ".davit.sites", ".davit.customs")
		}
		if !davit.IsArtifact(mutant) {
			continue // it is taken for a module
		}
		if err := os.WriteFile(file, mutant, 0o600); err != nil {
			t.Fatal(err)
		}
		cmd := objdumpCommand()
		var out bytes.Buffer
		cmd.SetArgs([]string{file})
		cmd.SetOut(&out)
		cmd.SilenceErrors, cmd.SilenceUsage = true, true
		err := cmd.Execute()
		var bad *artifact.Error
		switch {
		case err == nil && out.Len() > 0:
			printed++
		case errors.As(err, &bad):
			refused++
		default:
			t.Errorf("mutant %d (%s): %v", i, what, err)
		}
	}
	t.Logf("%d printed, %d refused", printed, refused)
	if printed < 100 || refused < 100 {
		t.Errorf("%d printed, %d refused", printed, refused)
	}
}
