// Package regalloc maps the virtual registers of a function's machine code to physical registers and spill slots.
//
// It knows nothing of any instruction set. [Function] describes instructions by their operands, as a struct of slices that the
// client fills while it lowers; [Env] describes the register file; the [Output] is one location per operand and a list of moves to
// insert. What an operand may ask for is in [Constraint] and [OperandPos]; what a function has to look like, in [Function].
//
//	var a regalloc.Allocator // keep it: it holds all working memory, and after a while allocates none
//	out, err := a.Allocate(&f, &env, regalloc.Options{})
//	for i := range f.Insts {
//		// the edits Before(i); the instruction, with out.Allocs of its operands; the edits After(i)
//	}
//
// # An example
//
// A two-address machine with the registers p0 and p1, of which a shift wants its count in p1. Before:
//
//	inst0  def v0 reg; def v1 reg
//	inst1  use v0 reg; use v1 fixed(p1); def v2 reuse(0)      v2 = v0 << v1
//	inst2  use v2 reg; use v0 any                             v0 lives over the shift
//
// and after:
//
//	inst0  p0, p1                v1 is where it will be needed
//	       p0 -> slot0           both registers are needed, and v0 may be in memory when it is used next
//	inst1  p0, p1, p0
//	inst2  p0, slot0
//
// # Two allocators, one checker
//
// [Global], the default, follows Belady's rule over the whole function: evict what is needed last. It splits live ranges where they are
// evicted and loaded, keeps hot paths free of what cold paths cause, stores a value at most once on any way unless that is
// dearer, and looks ahead when it chooses a register. globalAllocator tells how. [Fast] is for quick compilation: one backward
// pass over blocks and instructions, each block ending with what the next ones want in registers; see fastAllocator.
//
// Both are linear in the size of the function but for logarithms and for the liveness analysis, whose bit sets are blocks times
// values that live in several blocks, over 64. Nothing is recursive. The output depends on the input alone.
//
// [Check] proves an output right, for all paths, by working backward from each use to the definition of its value. It shares
// nothing with the allocators but the types, and no allocation is trusted in tests that it has not seen. [Validate] checks the input.
//
// # Files
//
//	regalloc.go   the interface            allocator.go  the entrance, and what both allocators share
//	validate.go   rules of the input       fast.go       the fast allocator
//	check.go      rules of the output      global.go     the global allocator: state, edges, stores, edits
//	cfg.go        order of blocks          enter.go      … where blocks begin
//	loops.go      loops                    inst.go       … one instruction
//	liveness.go   uses and live ranges     choose.go     … next uses and choice of registers
//	parallel.go   parallel moves           slots.go      … spill slots
//	                                       stores.go     … where to store
//	                                       labels.go     … debug labels
package regalloc
