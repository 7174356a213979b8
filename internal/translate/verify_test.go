package translate

import (
	"fmt"

	"github.com/davit-wasm/davit/codegen/ir"
)

// verify checks what translation could get wrong in the shape of a function.
func verify(f *ir.Function) error {
	for b := f.Entry(); b != ir.NoBlock; b = f.NextBlock(b) {
		last := f.LastInst(b)
		if last == ir.NoInst || !f.Inst(last).Op.IsTerminator() {
			return fmt.Errorf("%v has no terminator", b)
		}
		for i, d := range f.Dests(last) {
			args, params := f.DestArgs(last, i), f.Params(d.Block)
			if len(args) != len(params) {
				return fmt.Errorf("%v passes %d arguments to %v with %d parameters", b, len(args), d.Block, len(params))
			}
			for k := range args {
				if f.ValueType(args[k]) != f.ValueType(params[k]) {
					return fmt.Errorf("%v passes %v to %v of %v", b, f.ValueType(args[k]), f.ValueType(params[k]), d.Block)
				}
			}
		}
	}
	return nil
}
