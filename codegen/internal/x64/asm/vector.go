package asm

import "fmt"

//go:generate go run gen.go

// VecOp is an instruction on vector registers; the constants are generated
// from vector.txt. One VecOp stands for the SSE encoding, where there is one,
// and for the VEX and EVEX encodings of the same operation (those that the
// manual spells with a leading v).
type VecOp uint16

// vecRow is a line of vector.txt.
type vecRow struct {
	name  string // mnemonic of the SSE encoding, or of the VEX or EVEX encoding when there is none
	op    uint8
	ext   uint8 // opcode extension in ModRM.reg, when vecExt is set
	m     uint8 // opcode map
	pp    uint8
	tuple uint8
	flags uint32
}

const (
	vecSSE    = 1 << iota // has an SSE encoding
	vecVEX                // has a VEX encoding
	vecEVEX               // has an EVEX encoding
	vecNDS                // VEX and EVEX take a further source, in vvvv
	vecStore              // r/m is the destination
	vecI8                 // an immediate byte follows
	vecExt                // ModRM.reg extends the opcode; vvvv is the destination
	vecGR                 // the reg operand is a general-purpose register
	vecGM                 // the r/m operand is a general-purpose register
	vecW                  // REX.W, VEX.W, EVEX.W
	vecVW                 // VEX.W
	vecEW                 // EVEX.W
	vecIs4                // a register in the upper half of an immediate byte
	vecVSIB               // the index of the memory operand is a vector register
	vecMaskR              // the reg operand is a mask register
	vecMaskM              // the r/m operand is a mask register
	vecMaskV              // the vvvv operand is a mask register
	vecL1                 // VEX.L is 1
	vecMem                // r/m must be memory
	vecReg                // r/m must be a register
	vecImplX0             // SSE encoding reads xmm0 as a mask
)

// Tuple types: what one unit of an EVEX 8-bit displacement is (SDM volume 2,
// "Compressed Displacement").
const (
	tupleFull    = iota // the whole vector; one element when broadcast
	tupleHalf           // half a vector
	tupleQuarter        // a quarter
	tupleEighth         // an eighth
	tuple1              // 1 byte
	tuple2              // 2 bytes
	tuple4              // 4 bytes
	tuple8              // 8 bytes
	tuple16             // 16 bytes
	tuple32             // 32 bytes
	tupleDup            // 8 bytes at 128 bits, else the whole vector
)

// String returns the mnemonic, without the v of its VEX encoding.
func (o VecOp) String() string {
	if int(o) < len(vecRows) {
		return vecRows[o].name
	}
	return fmt.Sprintf("vec%d", uint16(o))
}

// HasSSE, HasVEX and HasEVEX tell which encodings the instruction has.
func (o VecOp) HasSSE() bool { return vecRows[o].flags&vecSSE != 0 }

// HasVEX tells whether the instruction has a VEX encoding.
func (o VecOp) HasVEX() bool { return vecRows[o].flags&vecVEX != 0 }

// HasEVEX tells whether the instruction has an EVEX encoding.
func (o VecOp) HasEVEX() bool { return vecRows[o].flags&vecEVEX != 0 }

// IsStore tells whether the r/m operand is the destination.
func (o VecOp) IsStore() bool { return vecRows[o].flags&vecStore != 0 }

// HasSecondSource tells whether the VEX and EVEX encodings take a further source.
func (o VecOp) HasSecondSource() bool { return vecRows[o].flags&vecNDS != 0 }

func (r *vecRow) need(flag uint32, encoding string) {
	if r.flags&flag == 0 {
		panic("asm: no " + encoding + " encoding of " + r.name)
	}
}

// In the methods below reg is the operand in ModRM.reg and rm the one in
// ModRM.rm. For most instructions reg is the destination; where IsStore says
// so rm is. For a shift by an immediate (PSLLWI and its like) rm is the shifted
// register and reg is ignored.

func (a *Assembler) sse(o VecOp, reg, rm Reg) []byte {
	r := &vecRows[o]
	r.need(vecSSE, "SSE")
	if r.flags&vecMem != 0 {
		panic("asm: " + r.name + " needs memory")
	}
	if r.flags&vecExt != 0 {
		reg = Reg(r.ext)
	}
	var rex uint8
	if r.flags&vecW != 0 {
		rex = rexW
	}
	return append(legacy(a.Buf, r.pp, r.m, r.op, rex, reg, rm, 0), modRR(reg, rm))
}

func (a *Assembler) sseM(o VecOp, reg Reg, m Mem) []byte {
	r := &vecRows[o]
	r.need(vecSSE, "SSE")
	if r.flags&(vecReg|vecExt) != 0 {
		panic("asm: " + r.name + " takes no memory")
	}
	checkIndex(&m)
	var rex uint8
	if r.flags&vecW != 0 {
		rex = rexW
	}
	base, index := m.extension()
	b := legacy(m.segment(a.Buf), r.pp, r.m, r.op, rex, reg, base, index)
	return a.operand(b, reg, m, 0)
}

// SSE appends the SSE encoding of o on two registers.
func (a *Assembler) SSE(o VecOp, reg, rm Reg) { a.Buf = a.sse(o, reg, rm) }

// SSEM appends the SSE encoding of o on a register and memory.
func (a *Assembler) SSEM(o VecOp, reg Reg, m Mem) { a.Buf = a.sseM(o, reg, m) }

// SSEI is SSE for an instruction with an immediate byte.
func (a *Assembler) SSEI(o VecOp, reg, rm Reg, imm uint8) { a.Buf = append(a.sse(o, reg, rm), imm) }

// SSEMI is SSEM for an instruction with an immediate byte.
func (a *Assembler) SSEMI(o VecOp, reg Reg, m Mem, imm uint8) {
	a.Buf = append(a.sseM(o, reg, m), imm)
}

// vex appends a VEX prefix, without the opcode. l is 0 for 128 bits and
// scalars, 1 for 256. The two-byte form serves whenever it can.
func vex(b []byte, opmap, pp uint8, w bool, l uint8, reg, vvvv, rm, index Reg) []byte {
	last := l<<2 | pp
	if vvvv == NoReg {
		vvvv = 0
	}
	last |= ^uint8(vvvv) & 15 << 3
	notR := ^uint8(reg) >> 3 & 1 << 7
	if opmap == map0F && !w && (rm|index)&8 == 0 {
		return append(b, 0xC5, notR|last)
	}
	if w {
		last |= 0x80
	}
	return append(b, 0xC4, notR|^uint8(index)>>3&1<<6|^uint8(rm)>>3&1<<5|opmap, last)
}

// vexFields resolves what the row and the operands say about the prefix.
func (r *vecRow) vexFields(reg, vvvv, rm Reg) (reg2, vvvv2 Reg, w bool) {
	r.need(vecVEX, "VEX")
	if (r.flags&(vecNDS|vecExt) != 0) != (vvvv != NoReg) {
		panic("asm: wrong number of operands for VEX-encoded " + r.name)
	}
	if r.flags&vecExt != 0 {
		reg = Reg(r.ext)
	}
	return reg, vvvv, r.flags&(vecW|vecVW) != 0
}

func (a *Assembler) vex(o VecOp, l uint8, reg, vvvv, rm Reg) []byte {
	r := &vecRows[o]
	reg, vvvv, w := r.vexFields(reg, vvvv, rm)
	if r.flags&vecMem != 0 {
		panic("asm: " + r.name + " needs memory")
	}
	if r.flags&vecL1 != 0 {
		l = 1
	}
	b := vex(a.Buf, r.m, r.pp, w, l, reg, vvvv, rm, 0)
	return append(b, r.op, modRR(reg, rm))
}

func (a *Assembler) vexM(o VecOp, l uint8, reg, vvvv Reg, m Mem) []byte {
	r := &vecRows[o]
	reg, vvvv, w := r.vexFields(reg, vvvv, m.Base)
	if r.flags&vecReg != 0 {
		panic("asm: " + r.name + " takes no memory")
	}
	if r.flags&vecVSIB == 0 {
		checkIndex(&m)
	}
	if r.flags&vecL1 != 0 {
		l = 1
	}
	base, index := m.extension()
	b := vex(m.segment(a.Buf), r.m, r.pp, w, l, reg, vvvv, base, index)
	return a.operand(append(b, r.op), reg, m, 0)
}

// Vzeroupper appends vzeroupper, which clears the upper halves of all vector
// registers, so that SSE code need not keep them.
func (a *Assembler) Vzeroupper() { a.Buf = append(a.Buf, 0xC5, 0xF8, 0x77) }

// VEX appends the VEX encoding of o. l is 0 for scalars and 128 bits, 1 for 256
// bits. vvvv is the first source, or NoReg where there is only one; for a
// shift by an immediate it is the destination.
func (a *Assembler) VEX(o VecOp, l uint8, reg, vvvv, rm Reg) { a.Buf = a.vex(o, l, reg, vvvv, rm) }

// VEXM is VEX with a memory operand.
func (a *Assembler) VEXM(o VecOp, l uint8, reg, vvvv Reg, m Mem) {
	a.Buf = a.vexM(o, l, reg, vvvv, m)
}

// VEXI is VEX for an instruction with an immediate byte, or with a fourth
// register r, for which imm is r<<4.
func (a *Assembler) VEXI(o VecOp, l uint8, reg, vvvv, rm Reg, imm uint8) {
	a.Buf = append(a.vex(o, l, reg, vvvv, rm), imm)
}

// VEXMI is VEXI with a memory operand.
func (a *Assembler) VEXMI(o VecOp, l uint8, reg, vvvv Reg, m Mem, imm uint8) {
	a.Buf = append(a.vexM(o, l, reg, vvvv, m), imm)
}

// EVEX says how an EVEX encoding applies its operation.
type EVEX struct {
	L     uint8 // 0: scalar or 128 bits, 1: 256, 2: 512; the rounding mode under Bcast on registers
	Mask  Reg   // mask register, 0 for none
	Zero  bool  // lanes outside the mask become 0 instead of keeping their value
	Bcast bool  // memory: one element for all lanes; registers: static rounding, or no exceptions
}

func evex(b []byte, r *vecRow, x EVEX, reg, vvvv, rm, index Reg, indexHigh bool) []byte {
	r.need(vecEVEX, "EVEX")
	if (r.flags&(vecNDS|vecExt) != 0) != (vvvv != NoReg) {
		panic("asm: wrong number of operands for EVEX-encoded " + r.name)
	}
	if vvvv == NoReg {
		vvvv = 0
	}
	high := vvvv >> 4 & 1
	if indexHigh {
		high = index >> 4 & 1
	}
	p0 := ^uint8(reg)>>3&1<<7 | ^uint8(index)>>3&1<<6 | ^uint8(rm)>>3&1<<5 | ^uint8(reg)>>4&1<<4 | r.m
	p1 := ^uint8(vvvv)&15<<3 | 4 | r.pp
	if r.flags&(vecW|vecEW) != 0 {
		p1 |= 0x80
	}
	p2 := x.L<<5 | (^uint8(high)&1)<<3 | uint8(x.Mask)&7
	if x.Zero {
		p2 |= 0x80
	}
	if x.Bcast {
		p2 |= 0x10
	}
	return append(b, 0x62, p0, p1, p2, r.op)
}

func (a *Assembler) evexR(o VecOp, x EVEX, reg, vvvv, rm Reg) []byte {
	r := &vecRows[o]
	if r.flags&vecExt != 0 {
		reg = Reg(r.ext)
	}
	// Bit 4 of a register in r/m sits where an index would have its bit 3.
	b := evex(a.Buf, r, x, reg, vvvv, rm, rm>>1&8, false)
	return append(b, modRR(reg, rm))
}

func (a *Assembler) evexM(o VecOp, x EVEX, reg, vvvv Reg, m Mem) []byte {
	r := &vecRows[o]
	if r.flags&vecExt != 0 {
		reg = Reg(r.ext)
	}
	vsib := r.flags&vecVSIB != 0
	if !vsib {
		checkIndex(&m)
	}
	base, index := m.extension()
	b := evex(m.segment(a.Buf), r, x, reg, vvvv, base, index, vsib)
	return a.operand(b, reg, m, r.disp8(x))
}

// disp8 returns the log2 of the unit of a one-byte displacement.
func (r *vecRow) disp8(x EVEX) uint8 {
	switch {
	case x.Bcast && r.flags&(vecW|vecEW) != 0:
		return 3
	case x.Bcast:
		return 2
	}
	switch r.tuple {
	case tupleFull:
		return 4 + x.L
	case tupleHalf:
		return 3 + x.L
	case tupleQuarter:
		return 2 + x.L
	case tupleEighth:
		return 1 + x.L
	case tupleDup:
		if x.L == 0 {
			return 3
		}
		return 4 + x.L
	}
	return r.tuple - tuple1
}

// EVEX appends the EVEX encoding of o; operands as for [Assembler.VEX].
func (a *Assembler) EVEX(o VecOp, x EVEX, reg, vvvv, rm Reg) { a.Buf = a.evexR(o, x, reg, vvvv, rm) }

// EVEXM is EVEX with a memory operand.
func (a *Assembler) EVEXM(o VecOp, x EVEX, reg, vvvv Reg, m Mem) {
	a.Buf = a.evexM(o, x, reg, vvvv, m)
}

// EVEXI is EVEX for an instruction with an immediate byte.
func (a *Assembler) EVEXI(o VecOp, x EVEX, reg, vvvv, rm Reg, imm uint8) {
	a.Buf = append(a.evexR(o, x, reg, vvvv, rm), imm)
}

// EVEXMI is EVEXM for an instruction with an immediate byte.
func (a *Assembler) EVEXMI(o VecOp, x EVEX, reg, vvvv Reg, m Mem, imm uint8) {
	a.Buf = append(a.evexM(o, x, reg, vvvv, m), imm)
}

// VZeroUpper clears the upper halves of all ymm registers, so that SSE code
// that follows runs at full speed.
func (a *Assembler) VZeroUpper() { a.Buf = append(a.Buf, 0xC5, 0xF8, 0x77) }
