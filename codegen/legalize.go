package codegen

import (
	"slices"

	"github.com/davit-wasm/davit/codegen/internal/opt"
	"github.com/davit-wasm/davit/codegen/ir"
)

// legalize rewrites what back ends rely on not to see: a branch to the entry
// block. Such a function gets a new entry block in front.
func (c *Context) legalize() error {
	f := c.f
	entry := f.Entry()
	if entry == ir.NoBlock {
		return errNoBlocks
	}
	if !f.BranchesTo(entry) {
		return nil
	}
	first := f.AddBlock()
	f.InsertBlockAfter(first, ir.NoBlock)
	c.args = c.args[:0]
	for i := range f.Params(entry) {
		c.args = append(c.args, f.AddParam(first, f.ValueType(f.Params(entry)[i])))
	}
	jump := f.AddInst(ir.InstData{Op: ir.OpJump})
	f.AddDest(jump, entry, c.args...)
	f.AppendInst(jump, first)
	return nil
}

// unreachable removes blocks that the entry does not lead to.
func (c *Context) unreachable() error {
	f := c.f
	if c.inOrder = f.InOrder(&c.walk); c.inOrder && len(f.ExceptionTables) == 0 {
		return nil // all can be reached
	}
	c.seen = slices.Grow(c.seen[:0], f.NumBlocks())[:f.NumBlocks()]
	clear(c.seen)
	for _, b := range f.PostOrder(&c.walk) {
		c.seen[b] = true
	}
	opt.KeepBlocks(f, c.seen)
	return nil
}
