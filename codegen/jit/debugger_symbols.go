//go:build !davit_nodebugger

package jit

import _ "unsafe" // for go:linkname

// debugList and debugChanged have the names that debuggers look for.

//go:linkname debugList __jit_debug_descriptor
var debugList = debugDescriptor{version: 1}

// debugChanged must not be inlined, and must not be empty, so that it is called
// after what was stored.
//
//go:linkname debugChanged __jit_debug_register_code
//go:noinline
func debugChanged() { debugCalls++ }

var debugCalls uint64
