// Package examples tests the examples.
package examples

import (
	"bytes"
	"os"
	"os/exec"
	"testing"

	"github.com/davit-wasm/davit"
)

func TestExamples(t *testing.T) {
	if _, err := davit.NewEngine(nil); err != nil {
		t.Skip(err)
	}
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"run", "../cmd/davit", "run", "hello/hello.wat"}, "Hello from WebAssembly!\n"},
		{[]string{"run", "./embed"}, "the module says: 5050\nsum(100) = 5050\n"},
	} {
		out, err := exec.Command("go", c.args...).CombinedOutput()
		if err != nil || string(out) != c.want {
			t.Errorf("go %v: %v\n%s", c.args, err, out)
		}
	}
}

// TestReadme: the program in README.md is the example.
func TestReadme(t *testing.T) {
	readme, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	program, err := os.ReadFile("embed/main.go")
	if err != nil {
		t.Fatal(err)
	}
	_, code, _ := bytes.Cut(program, []byte("package main\n"))
	if !bytes.Contains(readme, bytes.TrimSpace(code)) {
		t.Error("README.md shows another program than examples/embed")
	}
}
