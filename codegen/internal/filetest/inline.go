package filetest

import (
	"github.com/davit-wasm/davit/codegen"
	"github.com/davit-wasm/davit/codegen/ir"
)

// inlineFunc answers which body takes the place of a call.
type inlineFunc = func(*codegen.InlineCall) *ir.Function

// inline is `test inline`: every function is compiled with calls of functions that
// the file defines before it replaced by their bodies, in bodies too. If there are
// run lines, what comes out must behave as it does in the interpreter, which
// replaces nothing.
func (f *file) inline(args []string) {
	f.inlining = true
	defer func() { f.inlining = false }()
	f.compile(args, true, f.checkIR)
	if len(f.runLines()) > 0 {
		f.agree()
	}
}

// earlier answers, in `test inline`, with functions before function k of the file;
// in their bodies with those before them. That comes to an end.
func (f *file) earlier(k int) inlineFunc {
	if !f.inlining {
		return nil
	}
	return func(c *codegen.InlineCall) *ir.Function {
		end := k
		for i := range k {
			if c.Body == f.Funcs[i].Function {
				end = i
			}
		}
		for i := range end {
			if f.Funcs[i].Function.Name == c.Callee {
				return f.Funcs[i].Function
			}
		}
		return nil
	}
}
