package filetest

import (
	"bufio"
	"fmt"
	"go/token"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/davit-wasm/davit/internal/testdata"
)

// Every rewrite rule of the optimizer, and every lowering rule for x86-64, applies
// in some .clif file beside the rules. The generated code names each rule in front of
// what it does, so that the coverage of statements says which have applied: a
// process that compiles the files runs under it, and the product has no counters.

// compileOnly is set in the environment of the process that compiles the files.
const compileOnly = "DAVIT_TEST_COMPILE_FILES"

// ruleCode is where generated rules and their tests are.
var ruleCode = []struct{ dir, generated string }{
	{"codegen/internal/opt", "rules_gen.go"},
	{"codegen/internal/x64", "lower_gen.go"},
}

// compileFiles compiles all functions of the files, whatever they are there to test,
// for all targets they name: what is covered does not depend on the machine.
func compileFiles(t *testing.T) {
	for _, c := range ruleCode {
		files, err := filepath.Glob(filepath.Join(testdata.Root(), c.dir, "testdata/*.clif"))
		if err != nil || len(files) == 0 {
			t.Fatal("no test files", err)
		}
		for _, f := range files {
			if _, err := File(f, Options{As: "compile"}); err != nil {
				t.Error(err)
			}
		}
	}
}

func TestRulesApply(t *testing.T) {
	if os.Getenv(compileOnly) != "" {
		compileFiles(t)
		return
	}
	profile := filepath.Join(t.TempDir(), "profile")
	var packages []string
	for _, c := range ruleCode {
		packages = append(packages, "./"+c.dir)
	}
	cmd := exec.Command("go", "test", "-count=1", "-run=^TestRulesApply$", "-covermode=set", "-coverpkg="+strings.Join(packages, ","),
		"-coverprofile="+profile, "./codegen/internal/filetest")
	cmd.Dir = testdata.Root()
	cmd.Env = append(os.Environ(), compileOnly+"=1")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	covered := readProfile(t, profile)
	for _, c := range ruleCode {
		applied := appliedRules(t, filepath.Join(testdata.Root(), c.dir, c.generated), covered[c.dir+"/"+c.generated])
		if len(applied) < 500 {
			t.Errorf("%s: only %d rules found", c.dir, len(applied))
		}
		for _, name := range slices.Sorted(maps.Keys(applied)) {
			if !applied[name] {
				t.Errorf("%s/%s: no .clif file makes this rule apply", c.dir, name)
			}
		}
		t.Logf("%s: %d rules", c.dir, len(applied))
	}
}

// block is a run of statements, and whether it has been entered.
type block struct {
	start, end token.Position
	entered    bool
}

// readProfile reads a profile of coverage: the blocks of each file, by its path in
// the module.
func readProfile(t *testing.T, path string) map[string][]block {
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	blocks := map[string][]block{}
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		name, rest, ok := strings.Cut(lines.Text(), ":")
		if !ok || name == "mode" {
			continue
		}
		var b block
		var statements, count int
		if _, err := fmt.Sscanf(rest, "%d.%d,%d.%d %d %d", &b.start.Line, &b.start.Column, &b.end.Line, &b.end.Column, &statements, &count); err != nil {
			t.Fatalf("%s: %v", lines.Text(), err)
		}
		if statements == 0 {
			continue
		}
		b.entered = count > 0
		name = strings.TrimPrefix(name, "github.com/davit-wasm/davit/")
		blocks[name] = append(blocks[name], b)
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	return blocks
}

var ruleComment = regexp.MustCompile(`^\s*// (\w+\.rules:\d+)\b`)

// appliedRules are the rules of a generated file: a rule has applied if the
// statements behind one of the comments that name it have been reached.
func appliedRules(t *testing.T, path string, blocks []block) map[string]bool {
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	slices.SortFunc(blocks, func(a, b block) int {
		if a.start.Line != b.start.Line {
			return a.start.Line - b.start.Line
		}
		return a.start.Column - b.start.Column
	})
	lines := strings.Split(string(text), "\n")
	applied := map[string]bool{}
	for i, line := range lines {
		m := ruleComment.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		at := i + 2 // the line behind the comment, from 1
		if strings.TrimSpace(lines[at-1]) == "{" {
			at++
		}
		column := 1 + len(lines[at-1]) - len(strings.TrimLeft(lines[at-1], "\t"))
		// The block is the last one that begins no later than the statement.
		k, _ := slices.BinarySearchFunc(blocks, block{}, func(b, _ block) int {
			if b.start.Line < at || b.start.Line == at && b.start.Column <= column {
				return -1
			}
			return 1
		})
		if k == 0 || blocks[k-1].end.Line < at {
			t.Fatalf("%s:%d: no coverage of the code of rule %s", path, at, m[1])
		}
		applied[m[1]] = applied[m[1]] || blocks[k-1].entered
	}
	return applied
}
