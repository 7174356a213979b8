package opt_test

import (
	"path/filepath"
	"testing"

	"github.com/davit-wasm/davit/codegen/internal/filetest"
)

// TestFiles runs the .clif files of testdata: what the mid-end makes of functions.
func TestFiles(t *testing.T) {
	files, err := filepath.Glob("testdata/*.clif")
	if err != nil || len(files) == 0 {
		t.Fatal("no test files", err)
	}
	for _, f := range files {
		t.Run(filepath.Base(f), func(t *testing.T) {
			r, err := filetest.File(f, filetest.Options{Exact: true})
			if err != nil {
				t.Fatal(err)
			}
			for _, s := range r.Failures {
				t.Error(s)
			}
			if r.Passed == 0 {
				t.Error("the file checks nothing")
			}
		})
	}
}
