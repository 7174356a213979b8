package frontend

import (
	"testing"

	"github.com/davit-wasm/davit/codegen/ir"
)

// TestOrder: what a Builder says when it is used out of order.
func TestOrder(t *testing.T) {
	for _, test := range []struct {
		build func(f *ir.Function, b *Builder)
		want  string
	}{
		{func(f *ir.Function, b *Builder) { b.Iconst(ir.I64, 1) }, "frontend: iconst before SwitchTo has said in which block"},
		{func(f *ir.Function, b *Builder) {
			b.SwitchTo(b.CreateBlock())
			b.Return()
			b.Nop()
		}, "frontend: nop after the end of block0"},
		{func(f *ir.Function, b *Builder) {
			b.SwitchTo(b.CreateBlock())
			b.Nop()
			b.SwitchTo(b.CreateBlock())
		}, "frontend: block0 is left without a terminator"},
		{func(f *ir.Function, b *Builder) {
			blk := b.CreateBlock()
			b.SwitchTo(blk)
			b.Return()
			b.SwitchTo(blk)
		}, "frontend: block0 is filled already"},
		{func(f *ir.Function, b *Builder) {
			b.SwitchTo(b.CreateBlock())
			b.SealAll()
			b.Nop()
			b.Finish()
		}, "frontend: block0 has no terminator"},
		{func(f *ir.Function, b *Builder) {
			b.SwitchTo(b.CreateBlock())
			b.Return()
			b.Finish()
		}, "frontend: block0 is not sealed"},
		{func(f *ir.Function, b *Builder) {
			b.SwitchTo(b.CreateBlock())
			b.Jump(b.CreateBlock())
			b.SealAll()
			b.Finish()
		}, "frontend: block1 is branched to, but was never switched to"},
		{func(f *ir.Function, b *Builder) {
			x := b.DeclareVar(ir.I64)
			entry, next := b.CreateBlock(), b.CreateBlock()
			b.AppendParam(entry, ir.I64)
			b.SwitchTo(entry)
			b.DefVar(x, f.Params(entry)[0])
			b.SwitchTo(next)
		}, "frontend: block0 is left without a terminator"},
		{func(f *ir.Function, b *Builder) {
			entry, next := b.CreateBlock(), b.CreateBlock()
			b.SwitchTo(entry)
			b.Jump(next)
			b.Seal(next)
			b.SetDominator(next, entry)
		}, "frontend: the dominator of block1, which is sealed"},
		{func(f *ir.Function, b *Builder) {
			blk, by := b.CreateBlock(), b.CreateBlock()
			b.SetDominator(blk, by)
		}, "frontend: block1, the dominator of block0, was never switched to"},
		{func(f *ir.Function, b *Builder) {
			blk := b.CreateBlock()
			b.SwitchTo(blk)
			b.Seal(blk)
			b.Jump(blk)
		}, "frontend: a branch to block0, which is sealed"},
		{func(f *ir.Function, b *Builder) {
			b.SwitchTo(b.CreateBlock())
			b.DefVar(b.DeclareVar(ir.I64), b.Iconst(ir.I32, 1))
		}, "frontend: v0 is i32, its variable i64"},
	} {
		func() {
			defer func() {
				if got := recover(); got != test.want {
					t.Errorf("%v, want %s", got, test.want)
				}
			}()
			f := ir.NewFunction(ir.TestName("f"), ir.Signature{})
			var b Builder
			b.Begin(f)
			test.build(f, &b)
		}()
	}
}
