// Package docs tests the guides: what they show is run, what they name exists,
// and where they lead is there.
//
// The Go blocks of a guide make one program: declarations go to its top level,
// statements into one function, one block after the other, where ctx is a
// context and an error may be returned. A comment <!--go … --> adds what readers
// need not see. Modules are blocks too: text format that begins with the line
// ";; NAME.wat", or a Go program for WASI that begins with "// NAME.go", becomes
// the file NAME.wasm. The blocks of kind output are what the program
// prints.
package docs

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/davit-wasm/davit"
	"github.com/davit-wasm/davit/wat"
)

// block is a fenced block or a comment with code.
type block struct {
	kind string // its language; "go" for comments
	text string
	line int // of its first line in the file
}

// blocks are the blocks of a Markdown file.
func blocks(t *testing.T, file string) []block {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var list []block
	var open *block
	end := ""
	for i, line := range strings.Split(string(data), "\n") {
		switch {
		case open != nil && strings.TrimSpace(line) == end:
			list, open = append(list, *open), nil
		case open != nil:
			open.text += line + "\n"
		case strings.HasPrefix(line, "```"):
			open, end = &block{kind: line[3:], line: i + 2}, "```"
		case line == "<!--go":
			open, end = &block{kind: "go", line: i + 2}, "-->"
		case strings.HasPrefix(line, "<!--go ") && strings.HasSuffix(line, "-->"):
			list = append(list, block{"go", line[len("<!--go ") : len(line)-len("-->")], i + 1})
		}
	}
	if open != nil {
		t.Errorf("%s:%d: this block has no end", file, open.line)
	}
	return list
}

func guides(t *testing.T) []string {
	t.Helper()
	list, err := filepath.Glob("*.md")
	if err != nil || len(list) == 0 {
		t.Fatal(list, err)
	}
	return append(list, "../README.md")
}

// TestGuides runs the programs of all guides.
func TestGuides(t *testing.T) {
	if _, err := davit.NewEngine(nil); err != nil {
		t.Skip(err)
	}
	for _, file := range guides(t) {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".md"), func(t *testing.T) {
			t.Parallel()
			runGuide(t, file)
		})
	}
}

func runGuide(t *testing.T, file string) {
	dir := t.TempDir()
	var top, body, want strings.Builder
	for _, b := range blocks(t, file) {
		place := fmt.Sprintf("%s:%d", file, b.line)
		name, _, _ := strings.Cut(b.text, "\n")
		switch {
		case b.kind == "output":
			want.WriteString(b.text)
		case b.kind == "wat" && strings.HasPrefix(name, ";; "):
			code, err := wat.Compile([]byte(b.text), &wat.Options{})
			if err != nil {
				t.Fatalf("%s: %v", place, err)
			}
			write(t, filepath.Join(dir, strings.TrimSuffix(name[3:], ".wat")+".wasm"), code)
		case b.kind == "go" && strings.Contains(b.text, "\npackage main\n"):
			source := filepath.Join(dir, "guest", strings.TrimPrefix(name, "// "))
			write(t, source, []byte(b.text))
			mode := "default"
			if strings.Contains(b.text, "//go:wasmexport") {
				mode = "c-shared"
			}
			build := exec.Command("go", "build", "-buildmode="+mode, "-o", filepath.Join(dir, strings.TrimSuffix(filepath.Base(source), ".go")+".wasm"), source)
			build.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm")
			if out, err := build.CombinedOutput(); err != nil {
				t.Fatalf("%s: %v\n%s", place, err, out)
			}
		case b.kind == "go" && strings.HasPrefix(b.text, "package main\n"):
			// A whole program that is an example, which TestReadme compares.
		case b.kind == "go":
			to := &body
			if _, err := parser.ParseFile(token.NewFileSet(), "", "package p\n"+b.text, parser.SkipObjectResolution); err == nil {
				to = &top
			}
			path, err := filepath.Abs(file)
			if err != nil {
				t.Fatal(err)
			}
			fmt.Fprintf(to, "//line %s:%d\n%s\n", path, b.line, b.text)
		}
	}
	if top.Len()+body.Len() == 0 {
		return
	}
	program := top.String() + `
func run(ctx context.Context) error {
` + body.String() + `
return nil
}

func main() {
	if err := run(context.Background()); err != nil {
		fmt.Println("error:", err)
		os.Exit(1)
	}
}
`
	source := filepath.Join(dir, "main", "main.go")
	write(t, source, []byte("package main\n"+imports(t, program)+program))
	binary := filepath.Join(dir, "main", "main")
	if out, err := exec.Command("go", "build", "-o", binary, source).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	run := exec.Command(binary)
	run.Dir = dir
	out, err := run.CombinedOutput()
	if err != nil || string(out) != want.String() {
		t.Errorf("%v; it prints\n%s\nand should print\n%s", err, out, want.String())
	}
}

// TestOtherLanguages: what guides show of C and Rust are valid programs, as far
// as compilers for this machine can tell.
func TestOtherLanguages(t *testing.T) {
	for kind, compiler := range map[string][]string{
		"c":    {"gcc", "-fsyntax-only", "-Wall", "-Wno-attributes"},
		"rust": {"rustc", "--edition=2021", "--crate-type=lib", "--emit=metadata", "-o", filepath.Join(t.TempDir(), "x.rmeta")},
	} {
		t.Run(kind, func(t *testing.T) {
			extension := map[string]string{"c": ".c", "rust": ".rs"}[kind]
			compile := func(source string) error {
				path := filepath.Join(t.TempDir(), "guide"+extension)
				write(t, path, []byte(source))
				out, err := exec.Command(compiler[0], append(compiler[1:], path)...).CombinedOutput()
				if err != nil {
					return fmt.Errorf("%w\n%s", err, out)
				}
				return nil
			}
			// Older compilers of Rust do not know unsafe attributes.
			if err := compile(map[string]string{"c": "int x;", "rust": "#[unsafe(no_mangle)] pub static X: i32 = 0;"}[kind]); err != nil {
				t.Skip(err)
			}
			for _, file := range guides(t) {
				source := ""
				for _, b := range blocks(t, file) {
					if b.kind == kind {
						source += b.text
					}
				}
				if source == "" {
					continue
				}
				if err := compile(source); err != nil {
					t.Errorf("%s: %v", file, err)
				}
			}
		})
	}
}

func write(t *testing.T, file string, data []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(file), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, data, 0o666); err != nil {
		t.Fatal(err)
	}
}

// packages are those that guides may use.
var packages = map[string]string{}

func init() {
	for _, path := range []string{
		"bytes", "context", "crypto/ed25519", "crypto/rand", "embed", "encoding/binary", "errors", "fmt", "io", "io/fs", "log", "math", "net", "net/http", "os", "path/filepath", "runtime",
		"slices", "strings", "sync", "testing/fstest", "time",
		module, module + "/snapshot", module + "/wasi/vfs", module + "/wasi/wasip1", module + "/wasm", module + "/wat",
	} {
		packages[path[strings.LastIndex(path, "/")+1:]] = path
	}
}

const module = "github.com/davit-wasm/davit"

// imports is the import declaration of a program.
func imports(t *testing.T, program string) string {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "", "package main\n"+program, 0)
	if err != nil {
		t.Fatal(err)
	}
	text := "import (\n"
	seen := map[string]bool{}
	for _, id := range file.Unresolved {
		if path := packages[id.Name]; path != "" && !seen[id.Name] {
			seen[id.Name] = true
			text += fmt.Sprintf("%q\n", path)
		}
	}
	return text + ")\n"
}

// TestNames: the identifiers of this module that guides name, in code and in
// running text, exist.
func TestNames(t *testing.T) {
	known := map[string]bool{}
	for name, path := range packages {
		if path, ours := strings.CutPrefix(path, module); ours {
			exported(t, name, filepath.Join("..", path), known)
		}
	}
	qualified := regexp.MustCompile(`\b(davit|snapshot|wasip1|vfs|wasm|wat)\.([A-Z]\w*)(?:\.([A-Z]\w*))?`)
	for _, file := range append(guides(t), "../CHANGELOG.md", "../RATIONALE.md", "llms.txt") {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		for _, m := range qualified.FindAllString(string(data), -1) {
			n++
			if !known[m] {
				t.Errorf("%s: there is no %s", file, m)
			}
		}
		if strings.HasPrefix(file, "migrating") && n < 30 {
			t.Errorf("%s names %d identifiers only", file, n)
		}
	}
}

// exported adds what the package in dir exports to known: NAME.Name, and
// NAME.Type.Name for methods and fields.
func exported(t *testing.T, name, dir string, known map[string]bool) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil || len(files) == 0 {
		t.Fatal(dir, err)
	}
	add := func(of string, ids ...*ast.Ident) {
		for _, id := range ids {
			known[name+"."+of+id.Name] = true
		}
	}
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range f.Decls {
			if d, ok := d.(*ast.FuncDecl); ok {
				of := ""
				if d.Recv != nil {
					of = strings.TrimLeft(types(d.Recv.List[0].Type), "*") + "."
				}
				add(of, d.Name)
				continue
			}
			for _, s := range d.(*ast.GenDecl).Specs {
				switch s := s.(type) {
				case *ast.ValueSpec:
					add("", s.Names...)
				case *ast.TypeSpec:
					add("", s.Name)
					var fields *ast.FieldList
					switch x := s.Type.(type) {
					case *ast.StructType:
						fields = x.Fields
					case *ast.InterfaceType:
						fields = x.Methods
					default:
						continue
					}
					for _, field := range fields.List {
						add(s.Name.Name+".", field.Names...)
					}
				}
			}
		}
	}
}

// types is the source of a type without type parameters.
func types(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.StarExpr:
		return "*" + types(e.X)
	case *ast.Ident:
		return e.Name
	}
	return ""
}

// TestLinks: relative links lead to files, and anchors to headings.
func TestLinks(t *testing.T) {
	link := regexp.MustCompile(`\]\(([^)\s]+)\)`)
	fenced := regexp.MustCompile("(?ms)^```.*?^```$")
	files := append(guides(t), "../CHANGELOG.md", "../RATIONALE.md", "../CONTRIBUTING.md", "../SECURITY.md", "../examples/README.md")
	more, err := filepath.Glob("../examples/*/README.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range append(files, more...) {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range link.FindAllSubmatch(fenced.ReplaceAll(data, nil), -1) {
			target := string(m[1])
			if strings.Contains(target, "://") {
				continue
			}
			path, anchor, _ := strings.Cut(target, "#")
			if path = filepath.Join(filepath.Dir(file), path); strings.HasPrefix(target, "#") {
				path = file
			}
			text, err := os.ReadFile(path)
			if anchor == "" {
				_, err = os.Stat(path)
			}
			if err != nil {
				t.Errorf("%s: %v", file, err)
			} else if anchor != "" && !slices.Contains(anchors(text), anchor) {
				t.Errorf("%s: no heading #%s in %s", file, anchor, path)
			}
		}
	}
}

// anchors are those of the headings, as code hosts make them.
func anchors(markdown []byte) (list []string) {
	drop := regexp.MustCompile(`[^\p{L}\p{N} _-]`)
	for line := range bytes.Lines(markdown) {
		if text := bytes.TrimLeft(line, "#"); len(text) < len(line) {
			text = drop.ReplaceAll(bytes.ToLower(bytes.TrimSpace(text)), nil)
			list = append(list, strings.ReplaceAll(string(text), " ", "-"))
		}
	}
	return list
}
