package wasm

import (
	"fmt"
	"sync"
)

//go:generate go run gen.go

// Opcode numbers an instruction. Instructions of one byte have that byte as
// their number; a prefixed instruction has the number that follows the prefix
// plus a base per prefix, so that all of them index one dense table.
type Opcode uint16

// Bases of the prefixed instructions.
const (
	opBaseFB   = 0x100 // aggregates and casts
	opBaseFC   = 0x200 // saturating conversions, bulk operations, wide arithmetic
	opBaseFE   = 0x300 // atomics
	opBaseFD   = 0x400 // vectors; numbers go beyond one byte
	numOpcodes = 0x520
)

// NumOpcodes is one more than the largest [Opcode]: the size of a table by
// opcode.
const NumOpcodes = numOpcodes

// ImmKind says which immediates follow an opcode.
type ImmKind uint8

// Kinds of immediates, in the order in which they are encoded. All indexes,
// counts and offsets are LEB128.
const (
	ImmNone         ImmKind = iota
	ImmBlockType            // block type
	ImmLabel                // label
	ImmLabels               // vector of labels, default label
	ImmFunc                 // function
	ImmTypeTable            // type, table (the text has them the other way round)
	ImmType                 // type
	ImmTypes                // vector of value types
	ImmLocal                // local
	ImmGlobal               // global
	ImmTable                // table
	ImmTag                  // tag
	ImmTryTable             // block type, vector of catch clauses
	ImmMemArg               // alignment and flags, memory if flagged, offset
	ImmMemory               // memory
	ImmI32                  // signed LEB128
	ImmI64                  // signed LEB128
	ImmF32                  // 4 bytes
	ImmF64                  // 8 bytes
	ImmV128                 // 16 bytes
	ImmShuffle              // 16 lane numbers below 32, one byte each
	ImmLane                 // lane number, one byte
	ImmMemArgLane           // memory argument, lane number
	ImmHeapType             // heap type
	ImmTypeField            // type, field
	ImmTypeCount            // type, number of operands
	ImmTypeData             // type, data segment
	ImmTypeElem             // type, element segment
	ImmTypeType             // type, type
	ImmCast                 // flags (bit 0: source nullable, bit 1: target nullable), label, source heap type, target heap type
	ImmData                 // data segment
	ImmDataMemory           // data segment, memory (the text has them the other way round)
	ImmMemoryMemory         // destination memory, source memory
	ImmElem                 // element segment
	ImmElemTable            // element segment, table (the text has them the other way round)
	ImmTableTable           // destination table, source table
	ImmFence                // one zero byte
)

// addressType stands in a signature for the address type of the memory that
// the instruction accesses.
const addressType = ValType(0xff)

// Sig is the type of an instruction whose type depends on nothing but the
// address type of its memory.
type Sig struct {
	Fixed      bool // false: the instruction is typed by a rule of its own
	NumParams  uint8
	NumResults uint8
	Params     [4]ValType
	Results    [2]ValType
}

// OpInfo describes an instruction.
type OpInfo struct {
	Name     string  // text name
	Imm      ImmKind // immediates
	Align    uint8   // memory accesses: logarithm of the natural alignment
	Lanes    uint8   // lane instructions: number of lanes
	Features Features
	Sig      Sig
	variant  bool // another instruction with the same text name is the one that LookupOp finds
}

// Info describes op; the result has an empty name if there is no such
// instruction. It must not be written to.
func (op Opcode) Info() *OpInfo {
	if int(op) >= len(opcodes) {
		return &opcodes[0xff] // never assigned
	}
	return &opcodes[op]
}

// String returns the text name of op.
func (op Opcode) String() string {
	if n := op.Info().Name; n != "" {
		return n
	}
	p, n := op.Encoding()
	if p < 0 {
		return fmt.Sprintf("opcode(0x%02x)", n)
	}
	return fmt.Sprintf("opcode(0x%02x %d)", p, n)
}

// Encoding returns the prefix byte of op, or -1 if it has none, and the byte or
// number that names it in the binary format.
func (op Opcode) Encoding() (prefix int, number uint32) {
	switch {
	case op < opBaseFB:
		return -1, uint32(op)
	case op < opBaseFC:
		return 0xfb, uint32(op - opBaseFB)
	case op < opBaseFE:
		return 0xfc, uint32(op - opBaseFC)
	case op < opBaseFD:
		return 0xfe, uint32(op - opBaseFE)
	}
	return 0xfd, uint32(op - opBaseFD)
}

// prefixed returns the opcode that number names after prefix.
func prefixed(prefix byte, number uint32) (Opcode, bool) {
	var base, limit uint32
	switch prefix {
	case 0xfb:
		base, limit = opBaseFB, opBaseFC
	case 0xfc:
		base, limit = opBaseFC, opBaseFE
	case 0xfe:
		base, limit = opBaseFE, opBaseFD
	case 0xfd:
		base, limit = opBaseFD, numOpcodes
	}
	if number >= limit-base {
		return 0, false
	}
	op := Opcode(base + number)
	return op, opcodes[op].Name != ""
}

// AppendOpcode appends the binary encoding of op, without immediates.
func AppendOpcode(b []byte, op Opcode) []byte {
	p, n := op.Encoding()
	if p < 0 {
		return append(b, byte(n))
	}
	return AppendU32(append(b, byte(p)), n)
}

// LookupOp finds the instruction of a text name. Of `select`, `ref.test` and
// `ref.cast`, which have two encodings each, it finds [OpSelect] and the one
// for non-null targets.
func LookupOp(name string) (Opcode, bool) {
	op, ok := opByName()[name]
	return op, ok
}

var opByName = sync.OnceValue(func() map[string]Opcode {
	m := make(map[string]Opcode, 640)
	for i := range opcodes {
		if o := &opcodes[i]; o.Name != "" && !o.variant {
			m[o.Name] = Opcode(i)
		}
	}
	return m
})
