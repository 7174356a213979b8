package codegen_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/davit-wasm/davit/codegen"
	"github.com/davit-wasm/davit/codegen/clif"
	"github.com/davit-wasm/davit/internal/testdata"
)

// TestCompileRunTests compiles every function of the run tests with the
// register allocator's checker on. What the target does not support must say
// so; everything else must compile.
func TestCompileRunTests(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(testdata.Conformance(t), "clif/filetests/runtests/*.clif"))
	if err != nil || len(files) == 0 {
		t.Fatal("no run tests", err)
	}
	var ctx codegen.Context
	compiled, unsupported := 0, map[string]int{}
	for _, file := range files {
		src, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(src), "target x86_64") {
			continue
		}
		parsed, err := clif.ParseFile(filepath.Base(file), string(src))
		if err != nil {
			t.Error(err)
			continue
		}
		var settings []string
		for _, h := range parsed.Header {
			if h.Word == "set" {
				settings = append(settings, h.Args...)
			}
		}
		isa := target(t, settings...)
		for _, f := range parsed.Funcs {
			_, err := ctx.Compile(f.Function, isa, codegen.Options{CheckRegalloc: true})
			switch {
			case err == nil:
				compiled++
			case errors.Is(err, codegen.ErrUnsupported):
				what := err.Error()
				if i := strings.LastIndex(what, ": not supported"); i >= 0 {
					what = what[:i]
				}
				unsupported[what[strings.LastIndex(what, ": ")+2:]]++
			default:
				t.Errorf("%s: %.1500v", filepath.Base(file), err)
			}
		}
	}
	t.Logf("%d functions compiled", compiled)
	for what, n := range unsupported {
		t.Logf("unsupported: %s, in %d functions", what, n)
	}
	if compiled < 1000 {
		t.Errorf("only %d functions compiled", compiled)
	}
}
