// Package machine holds what the back ends of all instruction sets share: the
// form of machine code before it is bytes, and the way from IR to bytes.
//
// # The path of a function
//
//   - [Order] finds the order of blocks: loops contiguous, cold blocks last,
//     critical edges split.
//   - [Lower] walks blocks and instructions backward and asks the instruction
//     set's [Backend] to select machine instructions for each IR instruction
//     that something needs. The result is a [VCode]: one flat slice of [Inst].
//   - The register allocator reads a [regalloc.Function] made from the VCode
//     through the instruction set's operand tables ([OpInfo]).
//   - [Emitter] walks the VCode forward, puts allocations and moves in place
//     and has the backend append bytes; a [Buffer] collects labels, fixups and
//     everything there is to say about offsets, and turns branches into their
//     shortest form at the end.
//
// What a backend writes: a table of operand descriptions, instruction
// selection, a function that appends the bytes of one Inst, a function that
// appends a move, prologue and epilogue, and the lists of registers of its
// calling conventions. It implements [Backend], whose methods are called once
// per instruction and never per operand.
//
// All state lives in structs that are used again for the next function, so
// that a compiler that has warmed up allocates nothing.
package machine
