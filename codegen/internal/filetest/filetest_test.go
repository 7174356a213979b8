package filetest

import (
	"io/fs"
	"path/filepath"
	"testing"

	"github.com/davit-wasm/davit/internal/testdata"
)

// suite runs the files of the conformance suite's folders for some commands,
// and fails for each failure.
func suite(t *testing.T, want int, commands string, folders ...string) Result {
	root := filepath.Join(testdata.Conformance(t), "clif", "filetests")
	var total Result
	for _, dir := range folders {
		err := filepath.WalkDir(filepath.Join(root, dir), func(path string, d fs.DirEntry, err error) error {
			if err != nil || filepath.Ext(path) != ".clif" {
				return err
			}
			r, err := File(path, Options{Commands: map[string]bool{commands: true}})
			if err != nil {
				return err
			}
			for _, s := range r.Failures {
				t.Error(s)
			}
			total.Passed += r.Passed
			total.Failed += r.Failed
			total.Skipped += r.Skipped
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if total.Passed < want {
		t.Errorf("only %d checks passed, want %d", total.Passed, want)
	}
	t.Logf("test %s: %d passed, %d failed, %d skipped", commands, total.Passed, total.Failed, total.Skipped)
	return total
}

func TestVerifier(t *testing.T) { suite(t, 81, "verifier", "") }
func TestCat(t *testing.T)      { suite(t, 15, "cat", "") }
func TestDomtree(t *testing.T)  { suite(t, 5, "domtree", "") }
func TestPrintCFG(t *testing.T) { suite(t, 2, "print-cfg", "") }
