// Package regalloc maps the virtual registers of a function's machine code to physical registers and spill slots.
//
// It knows nothing of any instruction set: Function describes instructions by their operands, Env the register file, and the
// Output is one location per operand and a list of moves to insert.
//
//	var a regalloc.Allocator // keep it: it holds all working memory
//	out, err := a.Allocate(&f, &env, regalloc.Options{})
package regalloc
