package main

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/davit-wasm/davit/internal/testdata"
)

func TestGenerated(t *testing.T) {
	want, err := generate("linux", "amd64")
	if err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(filepath.Join(testdata.Root(), "internal/native/stubs_linux_amd64_gen.go"))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Error("internal/native/stubs_linux_amd64_gen.go is not what this package makes: run go generate in internal/native")
	}
	if _, err := generate("plan9", "mips"); err == nil {
		t.Error("stubs for plan9 on mips")
	}
}
