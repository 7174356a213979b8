package opt_test

import (
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/davit-wasm/davit/codegen/clif"
	"github.com/davit-wasm/davit/codegen/internal/opt"
	"github.com/davit-wasm/davit/codegen/interp"
	"github.com/davit-wasm/davit/codegen/ir"
	"github.com/davit-wasm/davit/codegen/verifier"
	"github.com/davit-wasm/davit/internal/testdata"
)

// FuzzOptimize holds that the mid-end leaves a function that verifies, and that
// does what it did: by the interpreter, with the same results or the same trap.
func FuzzOptimize(f *testing.F) {
	root := filepath.Join(testdata.Root(), "..", "shared", "conformance")
	if env := os.Getenv("DAVIT_CONFORMANCE"); env != "" {
		root = env
	}
	for _, pattern := range []string{"testdata/*.clif", filepath.Join(root, "clif/filetests/egraph/*.clif"), filepath.Join(root, "clif/filetests/alias/*.clif"),
		filepath.Join(root, "clif/filetests/runtests/*.clif")} {
		files, _ := filepath.Glob(pattern)
		for _, path := range files {
			if src, err := os.ReadFile(path); err == nil && len(src) < 4000 {
				f.Add(string(src))
			}
		}
	}
	var o opt.Optimizer
	f.Fuzz(func(t *testing.T, src string) {
		file, err := clif.ParseFile("f", src)
		if err != nil {
			return
		}
		again, _ := clif.ParseFile("f", src)
		before, after := interp.Machine{Fuel: 20_000}, interp.Machine{Fuel: 20_000}
		for i, fn := range file.Funcs {
			g := again.Funcs[i].Function
			if verifier.Verify(g, verifier.Options{PointerType: ir.I64}) != nil || g.Entry() == ir.NoBlock {
				return
			}
			var cfg ir.CFG
			if cfg.Compute(g); len(cfg.Preds(g.Entry())) == 0 {
				o.Run(g, opt.Options{})
			}
			if err := verifier.Verify(g, verifier.Options{PointerType: ir.I64}); err != nil {
				t.Fatalf("%v\n%s\n%s", err, clif.Format(fn.Function), clif.Format(g))
			}
			before.Define(fn.Function)
			after.Define(g)
		}
		for i, fn := range file.Funcs {
			args := make([]interp.Value, len(fn.Sig.Params))
			for i := range args {
				args[i] = randomArg(rand.New(rand.NewPCG(uint64(len(src)), uint64(i))), fn.Sig.Params[i].Type)
			}
			x, err1 := before.Call(fn.Function.Name, args...)
			y, err2 := after.Call(fn.Function.Name, args...)
			var trap1, trap2 *interp.Trap
			switch {
			case err1 != nil && !errors.As(err1, &trap1):
				continue // not a program that the interpreter runs to an end
			case errors.As(err1, &trap1):
				if strings.Contains(src, "notrap") {
					continue // addresses are random: a promise may have been broken
				}
				if !errors.As(err2, &trap2) || trap1.Code != trap2.Code {
					t.Fatalf("%v became %v\n%s\n%s", err1, err2, clif.Format(fn.Function), clif.Format(again.Funcs[i].Function))
				}
			case err2 != nil:
				t.Fatalf("%v became %v\n%s\n%s", x, err2, clif.Format(fn.Function), clif.Format(again.Funcs[i].Function))
			default:
				for k, r := range fn.Sig.Returns {
					if !sameBits(r.Type, x[k], y[k]) && !r.Type.IsVector() {
						t.Fatalf("result %d: %x became %x\n%s\n%s", k, x[k], y[k], clif.Format(fn.Function), clif.Format(again.Funcs[i].Function))
					}
				}
			}
		}
	})
}
