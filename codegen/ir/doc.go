// Package ir is the intermediate representation of the code generator: CLIF,
// the same instructions, semantics and text syntax as Cranelift's IR
// (https://cranelift.dev), plus what is marked here as an extension.
//
// # Shape
//
// A [Function] is a list of blocks, each a list of instructions that ends in a
// terminator. Values are in SSA form; instead of phi instructions, blocks have
// parameters, and every branch passes arguments to the blocks it names.
//
// Values, instructions, blocks and everything else a function owns are typed
// uint32 indexes into slices that the function holds. Lists (arguments,
// results, block parameters) live in one pool. Nothing here points, so a
// function of any size costs the collector nothing, and [Function.Clear] makes
// it ready for the next without giving memory back.
//
// # Ownership and concurrency
//
// A Function and everything reached through it belong to one goroutine at a
// time. Slices returned by accessors alias the function and are valid until
// the next call that adds to it.
//
// # Extensions
//
//   - get_call_return_address: the return address of the next call in the
//     block, known before the call.
//   - the calling convention "go": a function entered from Go code in its
//     internal convention, which runs on a native stack.
//   - the parameter purpose "caller_vmctx".
//   - the parameter purpose "pass", of the first parameter in convention "go", instead
//     of an execution context: the address of what leads to one, if the running
//     goroutine may have it. Else the function does nothing, and returns that it has not.
package ir
