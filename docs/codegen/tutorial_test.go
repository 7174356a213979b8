// Package codegen tests the tutorial: what it shows of programs is in them, and
// what it says that they print is what they print.
//
// A comment <!--from NAME--> names the program in examples/tutorial, or the
// file, that the next block of Go is from. A block of kind output is all that
// the last such program prints; one of kind console is commands, run at the root
// of the repository, each after a $ and with its output below.
package codegen

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/davit-wasm/davit/codegen/jit"
	"github.com/davit-wasm/davit/internal/testdata"
)

var (
	fence = regexp.MustCompile("(?ms)(?:^<!--from (\\S+)-->\n)?^```(\\w*)\n(.*?)^```$")
	link  = regexp.MustCompile(`\]\(([^)#: ]+)(?:#[^)]*)?\)`)
)

func TestTutorial(t *testing.T) {
	if err := jit.Supported(); err != nil {
		t.Skip(err)
	}
	data, err := os.ReadFile("tutorial.md")
	if err != nil {
		t.Fatal(err)
	}
	const programs = "../../examples/tutorial"
	last, shown := "", map[string]bool{}
	for _, m := range fence.FindAllStringSubmatch(string(data), -1) {
		from, kind, text := m[1], m[2], m[3]
		switch kind {
		case "go":
			if from == "" {
				t.Errorf("this block of Go is from nowhere:\n%s", text)
				continue
			}
			file := filepath.Join(programs, from)
			if !strings.HasSuffix(from, ".go") {
				last, shown[from] = from, true
				file = filepath.Join(file, "main.go")
			}
			source, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(string(source), text) {
				t.Errorf("%s does not have:\n%s", from, text)
			}
		case "output":
			got, err := testdata.Output(exec.Command("go", "run", "./"+filepath.ToSlash(filepath.Join(programs, last))))
			if err != nil || got != text {
				t.Errorf("%s prints (%v):\n%s", last, err, got)
			}
		case "console":
			console(t, text)
		default:
			t.Errorf("a block of kind %q:\n%s", kind, text)
		}
	}
	// All programs are shown.
	dirs, err := filepath.Glob(filepath.Join(programs, "*", "main.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range dirs {
		if name := filepath.Base(filepath.Dir(file)); !shown[name] {
			t.Errorf("the tutorial does not show %s", name)
		}
	}
	if len(dirs) == 0 || len(shown) != len(dirs) {
		t.Errorf("%d programs, %d shown", len(dirs), len(shown))
	}
}

// console runs commands and compares what they print.
func console(t *testing.T, text string) {
	t.Helper()
	for _, part := range strings.Split("\n"+text, "\n$ ")[1:] {
		line, want, _ := strings.Cut(part, "\n")
		args := strings.Fields(strings.ReplaceAll(line, "/tmp", t.TempDir()))
		cmd := exec.Command(args[0], args[1:]...)
		cmd.Dir = "../.."
		got, err := testdata.Output(cmd)
		if err != nil || strings.TrimSpace(got) != strings.TrimSpace(want) {
			t.Errorf("%s: %v\n%s", line, err, got)
		}
	}
}

// TestLinks: the pages of this directory lead to what is there.
func TestLinks(t *testing.T) {
	pages, err := filepath.Glob("*.md")
	if err != nil || len(pages) == 0 {
		t.Fatal(err)
	}
	for _, page := range pages {
		data, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range link.FindAllStringSubmatch(fence.ReplaceAllString(string(data), ""), -1) {
			if _, err := os.Stat(m[1]); err != nil {
				t.Errorf("%s: %v", page, err)
			}
		}
	}
}
