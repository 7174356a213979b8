package filetest

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/arch/x86/x86asm"

	"github.com/davit-wasm/davit/codegen/jit"
	"github.com/davit-wasm/davit/internal/testdata"
)

// suite runs a command of the files in a folder of the conformance suite. It
// fails for each file whose number of failures is not the known one.
func suite(t *testing.T, want int, command, folder string, settings ...string) {
	known := knownFailures(t, command)
	root := filepath.Join(testdata.Conformance(t), "clif", "filetests")
	var total Counts
	err := filepath.WalkDir(filepath.Join(root, folder), func(path string, d fs.DirEntry, err error) error {
		if err != nil || filepath.Ext(path) != ".clif" {
			return err
		}
		r, err := File(path, Options{Commands: map[string]bool{command: true}, Settings: settings, Disassemble: disassemble})
		if err != nil {
			return err
		}
		name, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		name = filepath.ToSlash(name)
		if n := known[name]; r.Failed != n && r.Skipped == 0 {
			t.Errorf("%s: %d failures, known are %d", name, r.Failed, n)
			for _, s := range r.Failures {
				t.Error(s)
			}
		}
		delete(known, name)
		total.Add(r.Counts)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for name := range known {
		t.Errorf("known_failures.txt names %s, which is not there", name)
	}
	if total.Passed < want {
		t.Errorf("only %d checks passed, want %d", total.Passed, want)
	}
	t.Logf("test %s: %d passed, %d failed, %d skipped", command, total.Passed, total.Failed, total.Skipped)
}

// knownFailures are the numbers of known failures by file.
func knownFailures(t *testing.T, command string) map[string]int {
	text, err := os.ReadFile("testdata/known_failures.txt")
	if err != nil {
		t.Fatal(err)
	}
	known := map[string]int{}
	for line := range strings.Lines(string(text)) {
		f := strings.Fields(line)
		if len(f) < 4 || f[0] != command {
			continue
		}
		if known[f[1]], err = strconv.Atoi(f[2]); err != nil {
			t.Fatal(err)
		}
	}
	return known
}

func TestVerifier(t *testing.T) { suite(t, 81, "verifier", "") }
func TestCat(t *testing.T)      { suite(t, 19, "cat", "") }
func TestDomtree(t *testing.T)  { suite(t, 5, "domtree", "") }
func TestPrintCFG(t *testing.T) { suite(t, 2, "print-cfg", "") }
func TestCompile(t *testing.T)  { suite(t, 1410, "compile", "") }
func TestOptimize(t *testing.T) { suite(t, 840, "optimize", "") }
func TestInline(t *testing.T)   { suite(t, 49, "inline", "") }
func TestAliasing(t *testing.T) { suite(t, 8, "alias-analysis", "") }

func TestRun(t *testing.T) {
	if err := jit.Supported(); err != nil {
		t.Skip(err)
	}
	suite(t, 9500, "run", "runtests")
}

// TestRunOptLevels runs them at the optimization levels that the files don't ask for.
func TestRunOptLevels(t *testing.T) {
	if err := jit.Supported(); err != nil {
		t.Skip(err)
	}
	for _, level := range []string{"speed", "speed_and_size"} {
		t.Run(level, func(t *testing.T) { suite(t, 9500, "run", "runtests", "opt_level="+level) })
	}
}

func TestRunSinglePass(t *testing.T) {
	if err := jit.Supported(); err != nil {
		t.Skip(err)
	}
	suite(t, 9500, "run", "runtests", "regalloc_algorithm=single_pass", "unwind_info=false", "bb_padding_log2_minus_one=4", "enable_table_access_spectre_mitigation=false")
}

func TestInterpret(t *testing.T) { suite(t, 9600, "interpret", "") }

// TestOwn runs our own files, in full.
func TestOwn(t *testing.T) {
	files, err := filepath.Glob("testdata/*.clif")
	if err != nil || len(files) == 0 {
		t.Fatal("no files", err)
	}
	for _, path := range files {
		r, err := File(path, Options{Exact: true, Disassemble: disassemble})
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range r.Failures {
			t.Error(s)
		}
		if r.Passed+r.Skipped == 0 {
			t.Errorf("%s checks nothing", path)
		}
	}
}

// disassemble is x86-64 code as text, an instruction on a line.
func disassemble(code []byte) string {
	var out strings.Builder
	for at := 0; at < len(code); {
		n, text := 1, fmt.Sprintf(".byte %#02x", code[at])
		if in, err := x86asm.Decode(code[at:], 64); err == nil {
			n, text = in.Len, strings.TrimSpace(x86asm.GNUSyntax(in, uint64(at), nil))
		}
		fmt.Fprintf(&out, "%5x:  %s\n", at, text)
		at += n
	}
	return out.String()
}
