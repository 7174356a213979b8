// Package arch holds the tests that keep the house in order: which package may
// import which, what library packages may depend on, no cgo and no assembly.
package arch

import (
	"bufio"
	"bytes"
	"encoding/json"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/davit-wasm/davit/internal/testdata"
)

const module = "github.com/davit-wasm/davit"

type pkg struct {
	ImportPath string
	Imports    []string
	CgoFiles   []string
	SFiles     []string
	Name       string
	Standard   bool
}

// packages lists every package of the module as it is built for one platform.
func packages(t *testing.T, goos, goarch string) []pkg {
	t.Helper()
	cmd := exec.Command("go", "list", "-json=ImportPath,Imports,CgoFiles,SFiles,Name,Standard", "./...")
	cmd.Dir = testdata.Root()
	cmd.Env = append(os.Environ(), "GOOS="+goos, "GOARCH="+goarch)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, stderr.Bytes())
	}
	var list []pkg
	for dec := json.NewDecoder(bytes.NewReader(out)); dec.More(); {
		var p pkg
		if err := dec.Decode(&p); err != nil {
			t.Fatal(err)
		}
		list = append(list, p)
	}
	return list
}

// under reports whether path is root or a package below it.
func under(path, root string) bool {
	return path == root || strings.HasPrefix(path, root+"/")
}

// forbidden arrows: no package at or below from may import one at or below to.
var forbidden = []struct{ from, to, except string }{
	{from: "codegen", to: "wasm"},
	{from: "codegen", to: "wat"},
	{from: "codegen", to: "wit"},
	{from: "codegen", to: "internal/vm"},
	{from: "codegen", to: "internal/translate"},
	{from: "codegen", to: "internal/compile"},
	{from: "codegen", to: "internal/image"},
	{from: "codegen", to: "internal/native", except: "codegen/jit codegen/internal/stubs codegen/internal/filetest"},
	{from: "codegen", to: "."},
	{from: "wasm", to: "codegen"},
	{from: "wasm", to: "internal"},
	{from: "wat", to: "codegen"},
	{from: "wit", to: "codegen"},
	{from: "internal/native", to: "codegen"},
	{from: "internal/native", to: "wasm"},
	{from: "internal/vm", to: "codegen"},
	{from: "internal/vm", to: "internal/translate"},
	{from: "internal/vm", to: "internal/compile"},
	{from: "internal/translate", to: "internal/vm"},
	{from: "internal/translate", to: "internal/native"},
	{from: "internal/compile", to: "internal/vm"},
	{from: "internal/compile", to: "internal/native"},
	{from: "internal/layout", to: "."},
	{from: "internal/perf", to: "."},
	{from: "internal/pprof", to: "."},
	{from: ".", to: "wasi"},
	{from: "wasi", to: "internal"},
	{from: "wasi", to: "codegen"},
}

func TestArrows(t *testing.T) {
	rel := func(path string) (string, bool) {
		if path == module {
			return ".", true
		}
		return strings.CutPrefix(path, module+"/")
	}
	matches := func(path, pattern string) bool {
		return path == pattern || pattern != "." && under(path, pattern)
	}
	for _, p := range packages(t, "linux", "amd64") {
		from, _ := rel(p.ImportPath)
		for _, imp := range p.Imports {
			to, ours := rel(imp)
			if !ours {
				continue
			}
			for _, f := range forbidden {
				excepted := false
				for _, e := range strings.Fields(f.except) {
					excepted = excepted || under(from, e)
				}
				if matches(from, f.from) && matches(to, f.to) && !excepted {
					t.Errorf("%s imports %s", from, to)
				}
			}
			if under(to, "cmd") || strings.Contains(to, "testdata") && p.Name != "main" {
				t.Errorf("%s imports %s", from, to)
			}
		}
	}
}

// TestLibraryImports: library packages use the standard library and
// golang.org/x/sys only. Commands, examples and tests may use more.
func TestLibraryImports(t *testing.T) {
	for _, p := range packages(t, "linux", "amd64") {
		if p.Name == "main" {
			continue
		}
		for _, imp := range p.Imports {
			first, _, _ := strings.Cut(imp, "/")
			if strings.Contains(first, ".") && !under(imp, module) && !under(imp, "golang.org/x/sys") && !strings.HasPrefix(p.ImportPath, module+"/cmd/") {
				t.Errorf("%s imports %s", p.ImportPath, imp)
			}
		}
	}
}

// walk calls f for every file of the root module.
func walk(t *testing.T, f func(path string)) {
	t.Helper()
	root := testdata.Root()
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if path != root {
				if _, err := os.Stat(filepath.Join(path, "go.mod")); err == nil || d.Name() == ".git" {
					return filepath.SkipDir // a module of its own
				}
			}
			return nil
		}
		f(path)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestNoCgoNoAssembly(t *testing.T) {
	walk(t, func(path string) {
		switch filepath.Ext(path) {
		case ".s", ".S", ".c", ".h", ".cc", ".syso":
			// The source of an example's guest is no part of the module's packages.
			if goFiles, _ := filepath.Glob(filepath.Join(filepath.Dir(path), "*.go")); len(goFiles) == 0 &&
				strings.Contains(filepath.ToSlash(path), "/examples/") {
				return
			}
			t.Errorf("%s: assembly and C files do not belong in this module", path)
		case ".go":
			file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
			if err != nil {
				t.Error(err)
				return
			}
			for _, imp := range file.Imports {
				if imp.Path.Value == `"C"` {
					t.Errorf("%s uses cgo", path)
				}
			}
		}
	})
}

// generatedLine is the form that Go's tools recognise.
var generatedLine = regexp.MustCompile(`^// Code generated .* DO NOT EDIT\.$`)

func TestFiles(t *testing.T) {
	walk(t, func(path string) {
		if filepath.Ext(path) != ".go" {
			return
		}
		file, err := os.Open(path)
		if err != nil {
			t.Error(err)
			return
		}
		defer file.Close()
		lines, first := 0, ""
		s := bufio.NewScanner(file)
		s.Buffer(nil, 16<<20)
		for s.Scan() {
			if lines == 0 {
				first = s.Text()
			}
			lines++
		}
		generated := strings.HasSuffix(path, "_gen.go") || strings.HasSuffix(path, "_gen_test.go")
		if generated != generatedLine.MatchString(first) {
			t.Errorf("%s: a file is named _gen.go or _gen_test.go exactly if its first line says what generated it", path)
		}
		if !generated && lines > 1800 {
			t.Errorf("%s has %d lines: too many to read in one sitting", path, lines)
		}
	})
}

// TestBuilds: what only some platforms have stays behind build tags, so
// that everything builds everywhere.
func TestBuilds(t *testing.T) {
	if testing.Short() {
		t.Skip("builds for other platforms take long")
	}
	for _, target := range []string{"darwin/arm64", "windows/amd64", "freebsd/amd64", "linux/riscv64", "linux/s390x"} {
		goos, goarch, _ := strings.Cut(target, "/")
		cmd := exec.Command("go", "build", "./...")
		cmd.Dir = testdata.Root()
		cmd.Env = append(os.Environ(), "GOOS="+goos, "GOARCH="+goarch, "CGO_ENABLED=0")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", target, err, out)
		}
	}
}
