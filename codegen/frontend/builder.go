// Package frontend builds functions in CLIF from a language with variables.
//
// A [Builder] appends instructions to a current block: one method per opcode
// (see ins_gen.go), named as the instruction is. Variables are declared with a
// type, assigned with [Builder.DefVar] and read with [Builder.UseVar] in any
// block; the builder turns them into SSA values, adding block parameters and
// branch arguments where definitions meet.
//
// # Order
//
// A block is filled from [Builder.SwitchTo] to its terminator. It must be
// sealed, with [Builder.Seal], once every branch to it has been made; the
// earlier, the fewer parameters have to be guessed. [Builder.Finish] checks
// both.
//
// # Cost
//
// A Builder is used again from function to function with [Builder.Begin], and
// then allocates nothing. Reading a variable costs a comparison if the current
// block defines it; else a walk up the chain of blocks with one predecessor,
// which leaves the value behind. Blocks that are filled right after their only
// predecessor are one with it in this.
package frontend

//go:generate go run gen.go

import (
	"errors"

	"github.com/davit-wasm/davit/codegen/ir"
)

// Dest is a branch destination with the arguments for its parameters.
type Dest struct {
	Block ir.Block
	Args  []ir.Value
}

// Builder builds one function after another. The zero value is ready for
// [Builder.Begin]. It belongs to one goroutine at a time.
type Builder struct {
	fn      *ir.Function
	block   ir.Block // current block, or NoBlock
	ssa     ssa
	scratch []ir.Value
	cases   []Case
	ranges  []switchRange
	work    []switchNode
}

// Begin makes b build f, which is empty but for its name, signature and
// preamble.
func (b *Builder) Begin(f *ir.Function) {
	b.fn = f
	b.block = ir.NoBlock
	b.ssa.begin(f)
}

// Func is the function being built.
func (b *Builder) Func() *ir.Function { return b.fn }

// ErrTooLarge is the error of a function whose variables would need too many
// block parameters.
var ErrTooLarge = errors.New("function too large: its variables live through too many blocks")

// Finish ends the function: all blocks in the layout must be filled, and all
// blocks sealed. Values that were replaced while variables became SSA values
// are gone from all arguments afterwards. If it returns [ErrTooLarge] the
// function must not be used.
func (b *Builder) Finish() error {
	f := b.fn
	if b.ssa.work > maxWork {
		b.block, b.fn = ir.NoBlock, nil
		return ErrTooLarge
	}
	for blk := f.Entry(); blk != ir.NoBlock; blk = f.NextBlock(blk) {
		if !b.ssa.blocks[blk].filled {
			panic("frontend: " + blk.String() + " has no terminator")
		}
		if !b.ssa.blocks[blk].sealed {
			panic("frontend: " + blk.String() + " is not sealed")
		}
	}
	for blk := range b.ssa.blocks {
		if b.ssa.blocks[blk].npreds > 0 && !f.InLayout(ir.Block(blk)) {
			panic("frontend: " + ir.Block(blk).String() + " is branched to, but was never switched to")
		}
	}
	if b.ssa.aliases {
		f.ResolveAll()
	}
	b.block = ir.NoBlock
	b.fn = nil
	return nil
}

// CreateBlock makes a block. It enters the layout when it is first switched
// to, or by [Builder.InsertBlockAfter].
func (b *Builder) CreateBlock() ir.Block {
	blk := b.fn.AddBlock()
	b.ssa.declareBlock(blk)
	return blk
}

// InsertBlockAfter puts a block behind another in the layout.
func (b *Builder) InsertBlockAfter(blk, after ir.Block) { b.fn.InsertBlockAfter(blk, after) }

// SwitchTo makes blk the current block, at the end of the layout if it has no
// place yet. The block left must be filled or untouched.
func (b *Builder) SwitchTo(blk ir.Block) {
	if b.block != ir.NoBlock && b.block != blk && !b.ssa.blocks[b.block].filled && (b.ssa.defined || b.fn.FirstInst(b.block) != ir.NoInst) {
		panic("frontend: " + b.block.String() + " is left without a terminator")
	}
	if b.ssa.blocks[blk].filled {
		panic("frontend: " + blk.String() + " is filled already")
	}
	if !b.fn.InLayout(blk) {
		b.fn.AppendBlock(blk)
	}
	if blk != b.block {
		b.ssa.enter(blk)
	}
	b.block = blk
}

// Current is the block that instructions are appended to, or [ir.NoBlock].
func (b *Builder) Current() ir.Block { return b.block }

// Filled reports whether the current block has its terminator.
func (b *Builder) Filled() bool { return b.block == ir.NoBlock || b.ssa.blocks[b.block].filled }

// Unreachable reports whether it is known that nothing branches to the current
// block, so that what follows in it will never run.
func (b *Builder) Unreachable() bool {
	if b.block == ir.NoBlock || b.block == b.fn.Entry() {
		return false
	}
	s := &b.ssa.blocks[b.block]
	return s.sealed && s.npreds == 0
}

// SetDominator says that every way to blk leads through block by, so that what is
// not assigned on the ways from by to blk has one value in both. All blocks on them
// (blk among them if it leads back to itself, but not by) must be switched to after
// by, and before blk is sealed. So it is with the block in which a statement of a
// structured language begins and the one where it ends, and with the block before a
// loop and the one where the loop begins. It has no effect but that variables need
// less work and fewer block parameters.
func (b *Builder) SetDominator(blk, by ir.Block) {
	if b.ssa.blocks[blk].sealed {
		panic("frontend: the dominator of " + blk.String() + ", which is sealed")
	}
	if b.ssa.blocks[by].number == 0 {
		panic("frontend: " + by.String() + ", the dominator of " + blk.String() + ", was never switched to")
	}
	b.ssa.blocks[blk].dominator = by
}

// Seal says that every branch to blk has been made.
func (b *Builder) Seal(blk ir.Block) { b.ssa.seal(blk) }

// SealAll seals every block that is not sealed yet.
func (b *Builder) SealAll() {
	for blk := range b.ssa.blocks {
		if !b.ssa.blocks[blk].sealed {
			b.ssa.seal(ir.Block(blk))
		}
	}
}

// AppendParam appends a parameter to a block. No variable may have been read
// in the block before.
func (b *Builder) AppendParam(blk ir.Block, t ir.Type) ir.Value {
	if b.ssa.blocks[blk].varParams {
		panic("frontend: " + blk.String() + " has parameters for variables already")
	}
	return b.fn.AddParam(blk, t)
}

// AppendFunctionParams gives the entry block the parameters of the function's
// signature.
func (b *Builder) AppendFunctionParams(blk ir.Block) {
	for i := range b.fn.Sig.Params {
		b.AppendParam(blk, b.fn.Sig.Params[i].Type)
	}
}

// SetSourceLoc sets the source location of the instructions that follow.
func (b *Builder) SetSourceLoc(l ir.SourceLoc) { b.fn.Loc = l }

// DeclareVar makes a variable of type t. A read that no assignment reaches
// yields zero.
func (b *Builder) DeclareVar(t ir.Type) Variable { return b.ssa.declareVar(t) }

// DefVar assigns val, of the variable's type, in the current block.
func (b *Builder) DefVar(v Variable, val ir.Value) {
	if t := b.fn.ValueType(val); t != b.ssa.vars[v].typ {
		panic("frontend: " + val.String() + " is " + t.String() + ", its variable " + b.ssa.vars[v].typ.String())
	}
	b.ssa.define(v, val)
}

// UseVar is the value that a variable has at the end of the current block as
// it is now.
func (b *Builder) UseVar(v Variable) ir.Value { return b.ssa.use(v) }

// emit appends an instruction with its results to the current block.
func (b *Builder) emit(d *ir.InstData, args ...ir.Value) ir.Inst {
	if b.block == ir.NoBlock {
		panic("frontend: " + d.Op.String() + " before SwitchTo has said in which block")
	}
	blk := &b.ssa.blocks[b.block]
	if blk.filled {
		panic("frontend: " + d.Op.String() + " after the end of " + b.block.String())
	}
	blk.filled = d.Op.IsTerminator()
	return b.fn.AppendNew(d, b.block, args...)
}

// Insert appends an instruction that is not a branch, given as data, with the
// results its opcode or signature says: for front ends that are driven by
// tables. The methods named after instructions are the usual way.
func (b *Builder) Insert(d ir.InstData, args ...ir.Value) ir.Inst { return b.emit(&d, args...) }

func (b *Builder) one(d *ir.InstData, args ...ir.Value) ir.Value {
	return b.fn.Result(b.emit(d, args...))
}

func (b *Builder) two(d *ir.InstData, args ...ir.Value) (ir.Value, ir.Value) {
	r := b.fn.Results(b.emit(d, args...))
	return r[0], r[1]
}

// to adds a block call to the terminator inst.
func (b *Builder) to(inst ir.Inst, blk ir.Block, args []ir.Value) {
	n := len(b.fn.Dests(inst))
	b.fn.AddDest(inst, blk, args...)
	b.ssa.addPred(blk, edge{b.block, inst, uint32(n)})
}

// Iconst appends an integer constant; v is truncated to the type.
func (b *Builder) Iconst(t ir.Type, v int64) ir.Value {
	return b.one(&ir.InstData{Op: ir.OpIconst, Type: t, Imm: truncate(t, v)})
}

// truncate leaves the bits of v that a value of type t has, zero-extended, as
// iconst carries them.
func truncate(t ir.Type, v int64) int64 {
	if bits := t.Bits(); bits < 64 {
		v &= 1<<bits - 1
	}
	return v
}

// Jump appends a jump.
func (b *Builder) Jump(blk ir.Block, args ...ir.Value) ir.Inst {
	inst := b.emit(&ir.InstData{Op: ir.OpJump})
	b.to(inst, blk, args)
	return inst
}

// Brif appends a branch to then if c is not zero, else to otherwise.
func (b *Builder) Brif(c ir.Value, then ir.Block, thenArgs []ir.Value, otherwise ir.Block, otherwiseArgs []ir.Value) ir.Inst {
	inst := b.emit(&ir.InstData{Op: ir.OpBrif, Type: b.fn.ValueType(c)}, c)
	b.to(inst, then, thenArgs)
	b.to(inst, otherwise, otherwiseArgs)
	return inst
}

// BrTable appends a branch to table[index], or to otherwise if the index, an
// i32, is beyond the table.
func (b *Builder) BrTable(index ir.Value, otherwise Dest, table []Dest) ir.Inst {
	inst := b.emit(&ir.InstData{Op: ir.OpBrTable}, index)
	b.to(inst, otherwise.Block, otherwise.Args)
	for _, d := range table {
		b.to(inst, d.Block, d.Args)
	}
	return inst
}

// Return appends a return.
func (b *Builder) Return(values ...ir.Value) ir.Inst {
	return b.emit(&ir.InstData{Op: ir.OpReturn}, values...)
}

// Call appends a call. Its results are those of the instruction.
func (b *Builder) Call(fn ir.FuncRef, args ...ir.Value) ir.Inst {
	return b.emit(&ir.InstData{Op: ir.OpCall, Ref: uint32(fn)}, args...)
}

// CallIndirect appends a call of the function at an address. Its results are
// those of the instruction.
func (b *Builder) CallIndirect(sig ir.SigRef, callee ir.Value, args ...ir.Value) ir.Inst {
	b.scratch = append(append(b.scratch[:0], callee), args...)
	return b.emit(&ir.InstData{Op: ir.OpCallIndirect, Type: b.fn.ValueType(callee), Ref: uint32(sig)}, b.scratch...)
}

// ReturnCall appends a tail call.
func (b *Builder) ReturnCall(fn ir.FuncRef, args ...ir.Value) ir.Inst {
	return b.emit(&ir.InstData{Op: ir.OpReturnCall, Ref: uint32(fn)}, args...)
}

// ReturnCallIndirect appends a tail call of the function at an address.
func (b *Builder) ReturnCallIndirect(sig ir.SigRef, callee ir.Value, args ...ir.Value) ir.Inst {
	b.scratch = append(append(b.scratch[:0], callee), args...)
	return b.emit(&ir.InstData{Op: ir.OpReturnCallIndirect, Type: b.fn.ValueType(callee), Ref: uint32(sig)}, b.scratch...)
}

// TryCall appends a call that continues in normal, or in one of handlers: one
// for each handler of the exception table that names a block, in order. The
// destinations' arguments may be [ir.RetArg] and [ir.ExnArg].
func (b *Builder) TryCall(fn ir.FuncRef, args []ir.Value, table ir.ExceptionTable, normal Dest, handlers []Dest) ir.Inst {
	inst := b.emit(&ir.InstData{Op: ir.OpTryCall, Ref: uint32(fn), Imm: int64(table)}, args...)
	b.to(inst, normal.Block, normal.Args)
	for _, d := range handlers {
		b.to(inst, d.Block, d.Args)
	}
	return inst
}

// TryCallIndirect is [Builder.TryCall] of the function at an address.
func (b *Builder) TryCallIndirect(sig ir.SigRef, callee ir.Value, args []ir.Value, table ir.ExceptionTable, normal Dest, handlers []Dest) ir.Inst {
	b.scratch = append(append(b.scratch[:0], callee), args...)
	inst := b.emit(&ir.InstData{Op: ir.OpTryCallIndirect, Type: b.fn.ValueType(callee), Ref: uint32(sig), Imm: int64(table)}, b.scratch...)
	b.to(inst, normal.Block, normal.Args)
	for _, d := range handlers {
		b.to(inst, d.Block, d.Args)
	}
	return inst
}
