// Package examples tests the examples.
package examples

import (
	"bytes"
	"os"
	"os/exec"
	"testing"

	"github.com/davit-wasm/davit"
	"github.com/davit-wasm/davit/internal/testdata"
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
		{[]string{"run", "./hostfuncs"}, "diagonal, squared: 25\nSTRINGS LIE IN MEMORY\n0 1 4 9 16 \ncode 7: refused - is it ours? true\n"},
		{[]string{"run", "./plugin"}, "reverse(\"Hello, plugin!\") = \"!nigulp ,olleH\"\nreverse(\"\") = \"\"\nreverse(\"naïve café\") = \"éfac evïan\"\n"},
		{[]string{"run", "./middleware"}, "/             200 x-guard=wasm \"hello from /\"\n" +
			"/admin/users  403 x-guard=wasm \"Forbidden\\n\"\n/administer   403 x-guard=wasm \"Forbidden\\n\"\n/about        200 x-guard=wasm \"hello from /about\"\n"},
		{[]string{"run", "./quickjs"}, "longest: quick\nundefined undefined\n=> [3,5,5,3,5,4,3,4,3]\n"},
		{[]string{"run", "./sqlite"}, "name=Earth moons=1\nname=Mars moons=2\nname=Neptune moons=16\n"},
	} {
		out, err := testdata.Output(exec.Command("go", c.args...))
		if err != nil || out != c.want {
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
