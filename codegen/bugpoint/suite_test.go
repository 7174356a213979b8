package bugpoint_test

import (
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/davit-wasm/davit/codegen/bugpoint"
	"github.com/davit-wasm/davit/codegen/clif"
	"github.com/davit-wasm/davit/codegen/ir"
	"github.com/davit-wasm/davit/codegen/verifier"
	"github.com/davit-wasm/davit/internal/testdata"
)

// TestSuite reduces functions of the suite to what one of their instructions
// needs: every kind of instruction must be copied, replaced and kept.
func TestSuite(t *testing.T) {
	root := filepath.Join(testdata.Conformance(t), "clif", "filetests")
	seen := map[ir.Opcode]int{}
	n, trials := 0, 0
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || filepath.Ext(path) != ".clif" {
			return err
		}
		src, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		file, err := clif.ParseFile(path, string(src))
		if err != nil {
			return err
		}
		for _, fn := range file.Funcs {
			f := fn.Function
			if verifier.Verify(f, verifier.Options{PointerType: ir.I64}) != nil {
				continue
			}
			for b := f.Entry(); b != ir.NoBlock; b = f.NextBlock(b) {
				for i := f.FirstInst(b); i != ir.NoInst; i = f.NextInst(i) {
					want := f.Inst(i).Op
					if seen[want]++; seen[want] > 6 {
						continue
					}
					n++
					fails := func(g *ir.Function) bool {
						trials++
						return op(want)(g)
					}
					g, err := bugpoint.Reduce(context.Background(), f, bugpoint.Options{PointerType: ir.I64, Fails: fails})
					if err == bugpoint.ErrNoBug {
						continue // the instruction cannot be reached, or is a constant without use
					}
					if err != nil {
						t.Fatal(err)
					}
					again, err := clif.ParseFunction(clif.Format(g))
					if err != nil || !op(want)(again) || verifier.Verify(again, verifier.Options{PointerType: ir.I64}) != nil {
						t.Errorf("%s:%d: %v: %v\n%s", path, fn.Line, want, err, clif.Format(g))
					}
				}
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(seen) < 140 {
		t.Errorf("only %d opcodes", len(seen))
	}
	t.Logf("%d reductions for %d opcodes, %d trials", n, len(seen), trials)
}
