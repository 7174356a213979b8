package codegen_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/davit-wasm/davit/codegen"
	"github.com/davit-wasm/davit/codegen/clif"
	"github.com/davit-wasm/davit/codegen/ir"
	"github.com/davit-wasm/davit/internal/testdata"
)

// BenchmarkCompile compiles the functions of the run tests over and over. The
// passes change functions only in ways that compiling again does not mind.
func BenchmarkCompile(b *testing.B) {
	files, _ := filepath.Glob(filepath.Join(testdata.Conformance(b), "clif/filetests/runtests/*.clif"))
	isa := target(b)
	var ctx codegen.Context
	var funcs []*ir.Function
	bytes := 0
	for _, file := range files {
		src, err := os.ReadFile(file)
		if err != nil {
			b.Fatal(err)
		}
		if !strings.Contains(string(src), "target x86_64") || strings.Contains(string(src), "\nset ") {
			continue
		}
		parsed, err := clif.ParseFile(file, string(src))
		if err != nil {
			continue
		}
		for _, f := range parsed.Funcs {
			if code, err := ctx.Compile(f.Function, isa, codegen.Options{}); err == nil {
				funcs = append(funcs, f.Function)
				bytes += len(code.Text)
			}
		}
	}
	times := make([]time.Duration, len(codegen.Passes()))
	b.SetBytes(int64(bytes))
	b.ReportAllocs()
	for b.Loop() {
		for _, f := range funcs {
			if _, err := ctx.Compile(f, isa, codegen.Options{Times: times}); err != nil {
				b.Fatal(err)
			}
		}
	}
	for i, p := range codegen.Passes() {
		b.ReportMetric(float64(times[i].Nanoseconds())/float64(b.N*len(funcs)), p+"-ns/func")
	}
}
