package filetest

import (
	"testing"

	"github.com/davit-wasm/davit/codegen/isa"
	"github.com/davit-wasm/davit/codegen/jit"
)

// TestRunLevels runs the suite as compiled for x86-64 processors from the
// oldest that there is code for to the newest.
func TestRunLevels(t *testing.T) {
	if err := jit.Supported(); err != nil {
		t.Skip(err)
	}
	if isa.HostTriple().Arch != isa.X86_64 {
		t.Skip("the levels are those of x86-64")
	}
	// Below AVX nothing can be taken away by a level: files turn extensions on.
	none := []string{
		"has_avx=false", "has_avx2=false", "has_fma=false", "has_f16c=false", "has_bmi1=false", "has_bmi2=false", "has_lzcnt=false",
		"has_avx512f=false", "has_avx512dq=false", "has_avx512bw=false", "has_avx512vl=false", "has_avx512vbmi=false", "has_avx512bitalg=false",
	}
	for _, level := range [][]string{none, {"sandybridge"}, {"haswell"}, {"x86-64-v4"}, {"icelake-server"}} {
		name := level[0]
		if len(level) > 1 {
			name = "baseline"
		}
		t.Run(name, func(t *testing.T) {
			if name != "baseline" {
				b, err := isa.Lookup(isa.HostTriple().String())
				if err == nil {
					err = b.Set(name)
				}
				if err != nil {
					t.Fatal(err)
				}
				if target, err := b.Finish(); err != nil || len(target.MissingOnHost()) > 0 {
					t.Skip("this machine is older", err)
				}
			}
			suite(t, 9000, "run", "runtests", level...)
		})
	}
}
