package image

import "fmt"

// TrapCode says why WebAssembly code trapped.
type TrapCode uint8

// Trap codes. Compiled code and libcalls use the same ones.
const (
	TrapNone TrapCode = iota
	TrapUnreachable
	TrapMemoryOutOfBounds
	TrapTableOutOfBounds
	TrapUndefinedElement     // call_indirect beyond the table's end
	TrapUninitializedElement // call_indirect through null
	TrapIndirectCallType     // call_indirect of another type
	TrapIntegerOverflow
	TrapIntegerDivideByZero
	TrapInvalidConversion // float to integer
	TrapStackOverflow
	TrapNullFunction  // call_ref of null
	TrapNullReference // ref.as_non_null of null
	TrapNullStruct
	TrapNullArray
	TrapNullI31
	TrapNullException
	TrapArrayOutOfBounds
	TrapCastFailure
	TrapUnalignedAtomic
	TrapExpectedSharedMemory
	TrapAllocation // a GC heap or a table is full
	TrapInterrupt  // cancelled, or past its deadline
	TrapOutOfFuel
	numTraps
)

var trapMessages = [numTraps]string{
	TrapNone:                 "no trap",
	TrapUnreachable:          "unreachable",
	TrapMemoryOutOfBounds:    "out of bounds memory access",
	TrapTableOutOfBounds:     "out of bounds table access",
	TrapUndefinedElement:     "undefined element",
	TrapUninitializedElement: "uninitialized element",
	TrapIndirectCallType:     "indirect call type mismatch",
	TrapIntegerOverflow:      "integer overflow",
	TrapIntegerDivideByZero:  "integer divide by zero",
	TrapInvalidConversion:    "invalid conversion to integer",
	TrapStackOverflow:        "call stack exhausted",
	TrapNullFunction:         "null function reference",
	TrapNullReference:        "null reference",
	TrapNullStruct:           "null structure reference",
	TrapNullArray:            "null array reference",
	TrapNullI31:              "null i31 reference",
	TrapNullException:        "null exception reference",
	TrapArrayOutOfBounds:     "out of bounds array access",
	TrapCastFailure:          "cast failure",
	TrapUnalignedAtomic:      "unaligned atomic",
	TrapExpectedSharedMemory: "expected shared memory",
	TrapAllocation:           "allocation failure",
	TrapInterrupt:            "interrupted",
	TrapOutOfFuel:            "all fuel consumed",
}

// String returns the message of c, in the words of the specification's tests.
func (c TrapCode) String() string {
	if c < numTraps {
		return trapMessages[c]
	}
	return fmt.Sprintf("trap %d", uint8(c))
}

// AllowsNullPage reports whether a fault on the page at address 0 is a trap with
// this code: where compiled code lets a null reference fault.
func (c TrapCode) AllowsNullPage() bool {
	switch c {
	case TrapUninitializedElement, TrapNullFunction, TrapNullReference, TrapNullStruct,
		TrapNullArray, TrapNullI31, TrapNullException, TrapMemoryOutOfBounds, TrapTableOutOfBounds, TrapUndefinedElement:
		return true
	}
	return false
}
