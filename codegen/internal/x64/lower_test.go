package x64

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/davit-wasm/davit/codegen/internal/rules"
)

// ruleFiles reads the go:generate line, so that the test compiles what go generate does.
func ruleFiles(t *testing.T) []string {
	src, err := os.ReadFile("lower.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range strings.Split(string(src), "\n") {
		if _, files, ok := strings.Cut(line, "rulesc -o lower_gen.go "); ok {
			return strings.Fields(files)
		}
	}
	t.Fatal("lower.go has no go:generate line for rulesc")
	return nil
}

func TestGeneratedRulesAreUpToDate(t *testing.T) {
	want, err := rules.CompileFiles(ruleFiles(t))
	if err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile("lower_gen.go")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Error("lower_gen.go is not what the rules generate: run go generate")
	}
}

func TestGeneratedOpcodesAreUpToDate(t *testing.T) {
	out := filepath.Join(t.TempDir(), "ir_gen.rules")
	cmd := exec.Command("go", "run", "../rules/cmd/irops", "-o", out)
	if b, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("irops: %v\n%s", err, b)
	}
	want, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile("../rules/lib/ir_gen.rules")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Error("ir_gen.rules is not what the opcode table generates: run go generate")
	}
}
