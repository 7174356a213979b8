package codegen

import (
	"errors"

	"github.com/davit-wasm/davit/codegen/verifier"
)

var errNoBlocks = errors.New("the function has no blocks")

// verify checks the rules of the IR, if settings and options want it. All later
// passes rely on them.
func (c *Context) verify() error {
	if !c.target.Shared.Verifier || c.opts.SkipVerify {
		return nil
	}
	return c.verifier.Verify(c.f, verifier.Options{PointerType: c.target.PointerType()})
}
