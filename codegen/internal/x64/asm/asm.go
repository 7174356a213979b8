// Package asm encodes x86-64 machine instructions.
//
// An [Assembler] appends instructions to a byte slice. It knows nothing of
// labels, sections or relocations: relative fields are written as zero and
// whoever owns the bytes patches them. A branch's rel32 is the last four bytes
// of the instruction; for a RIP-relative memory operand the place is in
// [Assembler.DispAt].
//
// Instructions come in three families, each with a table of rows that hold the
// opcode bytes and few methods, one per shape of operands:
//
//   - integer instructions ([Op], integer.go) take an operand [Size];
//   - instructions on vector registers ([VecOp], vector.txt) have one row for
//     their SSE, VEX and EVEX encodings; a new instruction is a new line there;
//   - control flow and one-of-a-kind instructions (control.go) are methods.
//
// Encodings are those of the Intel 64 and IA-32 Architectures Software
// Developer's Manual, volume 2. The shortest encoding is chosen wherever two
// mean the same. A request that the architecture can't encode is a bug of the
// caller and panics with the instruction's name.
package asm

import (
	"encoding/binary"
	"fmt"
)

// Reg is the hardware number of a register: 0–15 for general-purpose
// registers, 0–31 for vector registers, 0–7 for mask registers.
type Reg uint8

// General-purpose registers.
const (
	RAX Reg = iota
	RCX
	RDX
	RBX
	RSP
	RBP
	RSI
	RDI
	R8
	R9
	R10
	R11
	R12
	R13
	R14
	R15
)

// Vector registers; the numbers above 15 exist in EVEX encodings only.
const (
	X0 Reg = iota
	X1
	X2
	X3
	X4
	X5
	X6
	X7
	X8
	X9
	X10
	X11
	X12
	X13
	X14
	X15
)

// NoReg stands for an absent base, index or vvvv operand; RIP as the base of a
// [Mem] makes it relative to the end of its instruction.
const (
	NoReg Reg = 0xFF
	RIP   Reg = 0xFE
)

// Size is the width of an integer operation.
type Size uint8

// Operand sizes, as powers of two of bytes.
const (
	S8 Size = iota
	S16
	S32
	S64
)

// Bits returns the size in bits.
func (s Size) Bits() int { return 8 << s }

// Segment is a segment override of a memory operand.
type Segment uint8

// Segments.
const (
	SegNone Segment = iota
	SegFS
	SegGS
)

// Mem is a memory operand: Base + Index<<Scale + Disp. Index may be any
// register but RSP. With neither base nor index it is the address Disp.
type Mem struct {
	Base  Reg
	Index Reg
	Scale uint8 // log2 of the factor: 0–3
	Seg   Segment
	Disp  int32
}

// At is the memory operand [base+disp].
func At(base Reg, disp int32) Mem { return Mem{Base: base, Index: NoReg, Disp: disp} }

// Indexed is the memory operand [base+index<<scale+disp].
func Indexed(base, index Reg, scale uint8, disp int32) Mem {
	return Mem{Base: base, Index: index, Scale: scale, Disp: disp}
}

// RIPRel is a memory operand relative to the end of its instruction. The
// displacement is written as given; see [Assembler.DispAt] to patch it.
func RIPRel(disp int32) Mem { return Mem{Base: RIP, Index: NoReg, Disp: disp} }

// Assembler appends encoded instructions to Buf. Its zero value is ready. The
// owner may read, patch, cut and replace Buf between instructions.
type Assembler struct {
	Buf []byte
	// DispAt is the offset in Buf of the 4-byte displacement of the last
	// RIP-relative operand. The displacement counts from the end of the
	// instruction, which is len(Buf) right after the emitting call and not
	// always DispAt+4: an immediate may follow.
	DispAt int
}

// Prefix and map selectors of opcodes, numbered as in VEX.
const (
	ppNone = 0
	pp66   = 1
	ppF3   = 2
	ppF2   = 3

	mapOne  = 0 // one-byte opcodes
	map0F   = 1
	map0F38 = 2
	map0F3A = 3
	map5    = 5
	map6    = 6
)

var ppBytes = [4]byte{0, 0x66, 0xF3, 0xF2}

// legacy appends prefixes, REX and opcode for an instruction whose ModRM.reg
// is reg and whose r/m, base and index registers are rm and index (index 0
// when there is none). rex is the REX bits already known (W), or 0x40 to force
// an empty one.
func legacy(b []byte, pp, opmap, op, rex uint8, reg, rm, index Reg) []byte {
	if pp != 0 {
		b = append(b, ppBytes[pp])
	}
	rex |= uint8(reg>>3&1)<<2 | uint8(index>>3&1)<<1 | uint8(rm>>3&1)
	if rex != 0 {
		b = append(b, 0x40|rex)
	}
	switch opmap {
	case map0F:
		b = append(b, 0x0F)
	case map0F38:
		b = append(b, 0x0F, 0x38)
	case map0F3A:
		b = append(b, 0x0F, 0x3A)
	}
	return append(b, op)
}

const (
	rexW     = 0x08
	rexEmpty = 0x40
)

func modRR(reg, rm Reg) byte { return 0xC0 | byte(reg&7)<<3 | byte(rm&7) }

// extension returns the base and index registers as far as prefixes care.
func (m *Mem) extension() (base, index Reg) {
	if m.Base < 32 {
		base = m.Base
	}
	if m.Index < 32 {
		index = m.Index
	}
	return base, index
}

// segment appends the operand's segment override, which precedes all other
// prefixes here.
func (m *Mem) segment(b []byte) []byte {
	switch m.Seg {
	case SegFS:
		return append(b, 0x64)
	case SegGS:
		return append(b, 0x65)
	}
	return b
}

// operand appends ModRM, SIB and displacement. disp8 is the log2 of the unit
// in which a one-byte displacement counts: 0 but for EVEX.
func (a *Assembler) operand(b []byte, reg Reg, m Mem, disp8 uint8) []byte {
	field := byte(reg&7) << 3
	if m.Base == RIP {
		if m.Index != NoReg {
			panic("asm: index in a RIP-relative operand")
		}
		b = append(b, field|5)
		a.DispAt = len(b)
		return binary.LittleEndian.AppendUint32(b, uint32(m.Disp))
	}
	if m.Scale > 3 {
		panic(fmt.Sprintf("asm: scale %d in a memory operand", m.Scale))
	}
	index := byte(4) // none
	if m.Index != NoReg {
		index = byte(m.Index & 7)
	}
	if m.Base == NoReg {
		// No base: SIB with base 5 under mod 0. Without a SIB byte mod 0
		// rm 5 would mean RIP.
		b = append(b, field|4, m.Scale<<6|index<<3|5)
		return binary.LittleEndian.AppendUint32(b, uint32(m.Disp))
	}
	base := byte(m.Base & 7)
	short := m.Disp >> disp8
	mod := byte(0x80)
	switch {
	case m.Disp == 0 && base != 5: // base 5 (RBP, R13) under mod 0 means something else
		mod = 0
	case short<<disp8 == m.Disp && int32(int8(short)) == short:
		mod = 0x40
	}
	if m.Index != NoReg || base == 4 { // RSP and R12 as base need a SIB byte
		b = append(b, mod|field|4, m.Scale<<6|index<<3|base)
	} else {
		b = append(b, mod|field|base)
	}
	switch mod {
	case 0x40:
		b = append(b, byte(short))
	case 0x80:
		b = binary.LittleEndian.AppendUint32(b, uint32(m.Disp))
	}
	return b
}

// checkIndex panics for an index that general addressing can't express. Vector
// indexes (gathers) may be number 4.
func checkIndex(m *Mem) {
	if m.Index == RSP {
		panic("asm: RSP as index")
	}
}

// Lock appends a LOCK prefix for the next instruction.
func (a *Assembler) Lock() { a.Buf = append(a.Buf, 0xF0) }

func (a *Assembler) u32(v uint32) { a.Buf = binary.LittleEndian.AppendUint32(a.Buf, v) }
