package asm

import (
	"encoding/binary"
	"fmt"
	"math"
)

// Op is an integer instruction that takes an operand size. Which methods of
// [Assembler] accept it depends on the opcodes that its row has; the operand
// order is always destination first.
type Op uint8

// Integer instructions. In comments: the shapes of operands they have, where r
// is a register, m memory, x either, i an immediate.
const (
	ADD     Op = iota // r,x  m,r  x,i
	OR                // r,x  m,r  x,i
	ADC               // r,x  m,r  x,i
	SBB               // r,x  m,r  x,i
	AND               // r,x  m,r  x,i
	SUB               // r,x  m,r  x,i
	XOR               // r,x  m,r  x,i
	CMP               // r,x  m,r  x,i
	MOV               // r,x  m,r  m,i; for registers and immediates see MovRI
	TEST              // r,r  m,r  x,i
	XCHG              // r,r  m,r; locked by itself with memory
	LEA               // r,m
	MOVZX8            // r,x  from 8 bits to the size
	MOVZX16           // r,x  from 16 bits
	MOVSX8            // r,x
	MOVSX16           // r,x
	MOVSX32           // r,x  movsxd
	IMUL              // r,x  two-operand; r,x,i through IMULI
	IMULI             // r,x,i
	NOT               // x
	NEG               // x
	MUL               // x    rdx:rax (ax for 8 bits) = rax * x
	IMUL1             // x    signed
	DIV               // x
	IDIV              // x
	INC               // x
	DEC               // x
	ROL               // x,i  x (by CL)
	ROR               // x,i  x (by CL)
	RCL               // x,i  x (by CL)
	RCR               // x,i  x (by CL)
	SHL               // x,i  x (by CL)
	SHR               // x,i  x (by CL)
	SAR               // x,i  x (by CL)
	SHLD              // r,r (by CL)  m,r (by CL)  x,r,i
	SHRD              // r,r (by CL)  m,r (by CL)  x,r,i
	BT                // r,r  m,r  x,i
	BTS               // r,r  m,r  x,i
	BTR               // r,r  m,r  x,i
	BTC               // r,r  m,r  x,i
	BSF               // r,x
	BSR               // r,x
	POPCNT            // r,x
	LZCNT             // r,x
	TZCNT             // r,x
	ADCX              // r,x
	ADOX              // r,x
	CMPXCHG           // r,r  m,r
	XADD              // r,r  m,r
	MOVBE             // r,m  m,r
	MOVNTI            // m,r
	CRC32             // r,x  size of the source; the destination has 32 bits (64 for S64)
	opCount
)

// intRow holds an instruction's opcodes for operands of 16 bits and more; the
// form for 8 bits, where there is one, is the same byte with bit 0 cleared.
// Zero means that the instruction has no such form.
type intRow struct {
	name  string
	pp    uint8 // mandatory prefix
	m     uint8 // opcode map
	rm    uint8 // reg ← r/m
	mr    uint8 // r/m ← reg
	unary uint8 // /ext on r/m
	imm   uint8 // /ext on r/m with an immediate, or reg,r/m,imm
	ext   uint8
	flags uint8
}

const (
	has8     = 1 << iota // has a form for 8 bits
	immShort             // imm has a sign-extended 8-bit twin at imm+2
	immByte              // imm is always one byte
	byteSrc              // r/m operand has 8 bits whatever the size
	mrImm                // imm operands are r/m,reg,imm8
	imm1                 // an immediate of 1 has a twin at imm+0x10 without it
)

var intRows = [opCount]intRow{
	ADD:     {"add", 0, 0, 0x03, 0x01, 0, 0x81, 0, has8 | immShort},
	OR:      {"or", 0, 0, 0x0B, 0x09, 0, 0x81, 1, has8 | immShort},
	ADC:     {"adc", 0, 0, 0x13, 0x11, 0, 0x81, 2, has8 | immShort},
	SBB:     {"sbb", 0, 0, 0x1B, 0x19, 0, 0x81, 3, has8 | immShort},
	AND:     {"and", 0, 0, 0x23, 0x21, 0, 0x81, 4, has8 | immShort},
	SUB:     {"sub", 0, 0, 0x2B, 0x29, 0, 0x81, 5, has8 | immShort},
	XOR:     {"xor", 0, 0, 0x33, 0x31, 0, 0x81, 6, has8 | immShort},
	CMP:     {"cmp", 0, 0, 0x3B, 0x39, 0, 0x81, 7, has8 | immShort},
	MOV:     {"mov", 0, 0, 0x8B, 0x89, 0, 0xC7, 0, has8},
	TEST:    {"test", 0, 0, 0, 0x85, 0, 0xF7, 0, has8},
	XCHG:    {"xchg", 0, 0, 0, 0x87, 0, 0, 0, has8},
	LEA:     {"lea", 0, 0, 0x8D, 0, 0, 0, 0, 0},
	MOVZX8:  {"movzx", 0, map0F, 0xB6, 0, 0, 0, 0, byteSrc},
	MOVZX16: {"movzx", 0, map0F, 0xB7, 0, 0, 0, 0, 0},
	MOVSX8:  {"movsx", 0, map0F, 0xBE, 0, 0, 0, 0, byteSrc},
	MOVSX16: {"movsx", 0, map0F, 0xBF, 0, 0, 0, 0, 0},
	MOVSX32: {"movsxd", 0, 0, 0x63, 0, 0, 0, 0, 0},
	IMUL:    {"imul", 0, map0F, 0xAF, 0, 0, 0, 0, 0},
	IMULI:   {"imul", 0, 0, 0, 0, 0, 0x69, 0, immShort},
	NOT:     {"not", 0, 0, 0, 0, 0xF7, 0, 2, has8},
	NEG:     {"neg", 0, 0, 0, 0, 0xF7, 0, 3, has8},
	MUL:     {"mul", 0, 0, 0, 0, 0xF7, 0, 4, has8},
	IMUL1:   {"imul", 0, 0, 0, 0, 0xF7, 0, 5, has8},
	DIV:     {"div", 0, 0, 0, 0, 0xF7, 0, 6, has8},
	IDIV:    {"idiv", 0, 0, 0, 0, 0xF7, 0, 7, has8},
	INC:     {"inc", 0, 0, 0, 0, 0xFF, 0, 0, has8},
	DEC:     {"dec", 0, 0, 0, 0, 0xFF, 0, 1, has8},
	ROL:     {"rol", 0, 0, 0, 0, 0xD3, 0xC1, 0, has8 | immByte | imm1},
	ROR:     {"ror", 0, 0, 0, 0, 0xD3, 0xC1, 1, has8 | immByte | imm1},
	RCL:     {"rcl", 0, 0, 0, 0, 0xD3, 0xC1, 2, has8 | immByte | imm1},
	RCR:     {"rcr", 0, 0, 0, 0, 0xD3, 0xC1, 3, has8 | immByte | imm1},
	SHL:     {"shl", 0, 0, 0, 0, 0xD3, 0xC1, 4, has8 | immByte | imm1},
	SHR:     {"shr", 0, 0, 0, 0, 0xD3, 0xC1, 5, has8 | immByte | imm1},
	SAR:     {"sar", 0, 0, 0, 0, 0xD3, 0xC1, 7, has8 | immByte | imm1},
	SHLD:    {"shld", 0, map0F, 0, 0xA5, 0, 0xA4, 0, mrImm},
	SHRD:    {"shrd", 0, map0F, 0, 0xAD, 0, 0xAC, 0, mrImm},
	BT:      {"bt", 0, map0F, 0, 0xA3, 0, 0xBA, 4, immByte},
	BTS:     {"bts", 0, map0F, 0, 0xAB, 0, 0xBA, 5, immByte},
	BTR:     {"btr", 0, map0F, 0, 0xB3, 0, 0xBA, 6, immByte},
	BTC:     {"btc", 0, map0F, 0, 0xBB, 0, 0xBA, 7, immByte},
	BSF:     {"bsf", 0, map0F, 0xBC, 0, 0, 0, 0, 0},
	BSR:     {"bsr", 0, map0F, 0xBD, 0, 0, 0, 0, 0},
	POPCNT:  {"popcnt", ppF3, map0F, 0xB8, 0, 0, 0, 0, 0},
	LZCNT:   {"lzcnt", ppF3, map0F, 0xBD, 0, 0, 0, 0, 0},
	TZCNT:   {"tzcnt", ppF3, map0F, 0xBC, 0, 0, 0, 0, 0},
	ADCX:    {"adcx", pp66, map0F38, 0xF6, 0, 0, 0, 0, 0},
	ADOX:    {"adox", ppF3, map0F38, 0xF6, 0, 0, 0, 0, 0},
	CMPXCHG: {"cmpxchg", 0, map0F, 0, 0xB1, 0, 0, 0, has8},
	XADD:    {"xadd", 0, map0F, 0, 0xC1, 0, 0, 0, has8},
	MOVBE:   {"movbe", 0, map0F38, 0xF0, 0xF1, 0, 0, 0, 0},
	MOVNTI:  {"movnti", 0, map0F, 0, 0xC3, 0, 0, 0, 0},
	CRC32:   {"crc32", ppF2, map0F38, 0xF1, 0, 0, 0, 0, has8},
}

// String returns the mnemonic.
func (o Op) String() string {
	if o < opCount {
		return intRows[o].name
	}
	return fmt.Sprintf("op%d", uint8(o))
}

func noForm(o Op, s Size, form string) {
	panic(fmt.Sprintf("asm: no %s form of %d-bit %v", form, s.Bits(), o))
}

// prefixes works out what the size asks of opcode op: the byte itself, REX.W
// or a forced REX, and whether a 16-bit prefix goes first.
func (r *intRow) prefixes(o Op, s Size, op uint8) (opcode, rex uint8, b16 bool) {
	switch s {
	case S8:
		if r.flags&has8 == 0 {
			noForm(o, s, "such")
		}
		return op &^ 1, 0, false
	case S16:
		return op, 0, true
	case S64:
		return op, rexW, false
	}
	return op, 0, false
}

// byteREX returns the empty REX prefix when r as an 8-bit register is SPL, BPL,
// SIL or DIL, whose numbers mean AH, CH, DH, BH without it.
func byteREX(r Reg) uint8 {
	if r >= RSP && r <= RDI {
		return rexEmpty
	}
	return 0
}

func (a *Assembler) intRR(o Op, s Size, op uint8, reg, rm Reg) {
	r := &intRows[o]
	op, rex, b16 := r.prefixes(o, s, op)
	if s == S8 {
		rex |= byteREX(rm)
		if o != CRC32 { // its register operand has 32 bits
			rex |= byteREX(reg)
		}
	} else if r.flags&byteSrc != 0 {
		rex |= byteREX(rm)
	}
	b := a.Buf
	if b16 {
		b = append(b, 0x66)
	}
	b = legacy(b, r.pp, r.m, op, rex, reg, rm, 0)
	a.Buf = append(b, modRR(reg, rm))
}

func (a *Assembler) intRM(o Op, s Size, op uint8, reg Reg, regIsOperand bool, m Mem) {
	r := &intRows[o]
	op, rex, b16 := r.prefixes(o, s, op)
	if s == S8 && regIsOperand && o != CRC32 {
		rex |= byteREX(reg)
	}
	checkIndex(&m)
	base, index := m.extension()
	b := m.segment(a.Buf)
	if b16 {
		b = append(b, 0x66)
	}
	b = legacy(b, r.pp, r.m, op, rex, reg, base, index)
	a.Buf = a.operand(b, reg, m, 0)
}

// RR appends o dst, src. For shifts of two registers (SHLD, SHRD) the count is
// in CL. 32-bit operations clear the upper half of dst.
func (a *Assembler) RR(o Op, s Size, dst, src Reg) {
	r := &intRows[o]
	switch {
	case o == LEA, o == MOVBE, o == MOVNTI:
		noForm(o, s, "register")
	case r.rm != 0:
		a.intRR(o, s, r.rm, dst, src)
	case r.mr != 0:
		a.intRR(o, s, r.mr, src, dst)
	default:
		noForm(o, s, "register")
	}
}

// RM appends o dst, m: a load, an operation with a loaded operand, or LEA.
func (a *Assembler) RM(o Op, s Size, dst Reg, m Mem) {
	r := &intRows[o]
	if r.rm == 0 {
		noForm(o, s, "register, memory")
	}
	a.intRM(o, s, r.rm, dst, true, m)
}

// MR appends o m, src: a store or a read-modify-write.
func (a *Assembler) MR(o Op, s Size, m Mem, src Reg) {
	r := &intRows[o]
	if r.mr == 0 {
		noForm(o, s, "memory, register")
	}
	a.intRM(o, s, r.mr, src, true, m)
}

// R appends o x for a register: unary operations, multiplications and
// divisions of rdx:rax, shifts by CL.
func (a *Assembler) R(o Op, s Size, x Reg) {
	r := &intRows[o]
	if r.unary == 0 {
		noForm(o, s, "unary")
	}
	a.intRR1(o, s, r.unary, x)
}

// M appends o m, like R in memory.
func (a *Assembler) M(o Op, s Size, m Mem) {
	r := &intRows[o]
	if r.unary == 0 {
		noForm(o, s, "unary")
	}
	a.intRM(o, s, r.unary, Reg(r.ext), false, m)
}

// intRR1 is intRR for a /ext opcode: ext is no register.
func (a *Assembler) intRR1(o Op, s Size, op uint8, rm Reg) {
	r := &intRows[o]
	op, rex, b16 := r.prefixes(o, s, op)
	if s == S8 {
		rex |= byteREX(rm)
	}
	b := a.Buf
	if b16 {
		b = append(b, 0x66)
	}
	b = legacy(b, r.pp, r.m, op, rex, 0, rm, 0)
	a.Buf = append(b, modRR(Reg(r.ext), rm))
}

// immediate chooses the opcode and the number of immediate bytes of an x,i
// form.
func (r *intRow) immediate(s Size, imm int32) (op uint8, n int) {
	switch {
	case r.flags&imm1 != 0 && imm == 1:
		return r.imm + 0x10, 0
	case r.flags&immByte != 0, s == S8:
		return r.imm, 1
	case r.flags&immShort != 0 && fits8(s, imm):
		return r.imm + 2, 1
	case s == S16:
		return r.imm, 2
	}
	return r.imm, 4
}

// fits8 tells whether imm is a sign-extended byte at size s. Only the low 16
// bits of a 16-bit immediate count.
func fits8(s Size, imm int32) bool {
	if s == S16 {
		return int16(int8(imm)) == int16(imm)
	}
	return int32(int8(imm)) == imm
}

func (a *Assembler) immBytes(n int, imm int32) {
	switch n {
	case 1:
		a.Buf = append(a.Buf, byte(imm))
	case 2:
		a.Buf = binary.LittleEndian.AppendUint16(a.Buf, uint16(imm))
	case 4:
		a.Buf = binary.LittleEndian.AppendUint32(a.Buf, uint32(imm))
	}
}

// RI appends o x, imm for a register. At size S64 imm is sign-extended; at the
// smaller sizes only its low bits count. Use [Assembler.MovRI] to load a
// constant.
func (a *Assembler) RI(o Op, s Size, x Reg, imm int32) {
	r := &intRows[o]
	if r.imm == 0 || r.flags&mrImm != 0 || o == IMULI {
		noForm(o, s, "register, immediate")
	}
	op, n := r.immediate(s, imm)
	// The accumulator has forms of its own that are a byte shorter.
	if x == RAX && (o <= CMP && op == r.imm || o == TEST) {
		short := r.mr + 4 // 05, 0D, … after 01, 09, …
		if o == TEST {
			short = 0xA9
		}
		opcode, rex, b16 := r.prefixes(o, s, short)
		if b16 {
			a.Buf = append(a.Buf, 0x66)
		}
		a.Buf = legacy(a.Buf, 0, mapOne, opcode, rex, 0, 0, 0)
		a.immBytes(n, imm)
		return
	}
	a.intRR1(o, s, op, x)
	a.immBytes(n, imm)
}

// MI appends o m, imm, like RI in memory.
func (a *Assembler) MI(o Op, s Size, m Mem, imm int32) {
	r := &intRows[o]
	if r.imm == 0 || r.flags&mrImm != 0 || o == IMULI {
		noForm(o, s, "memory, immediate")
	}
	op, n := r.immediate(s, imm)
	a.intRM(o, s, op, Reg(r.ext), false, m)
	a.immBytes(n, imm)
}

// RRI appends IMULI dst, src, imm; SHLD or SHRD dst, src, imm.
func (a *Assembler) RRI(o Op, s Size, dst, src Reg, imm int32) {
	r := &intRows[o]
	switch {
	case o == IMULI:
		op, n := r.immediate(s, imm)
		a.intRR(o, s, op, dst, src)
		a.immBytes(n, imm)
	case r.flags&mrImm != 0:
		a.intRR(o, s, r.imm, src, dst)
		a.immBytes(1, imm)
	default:
		noForm(o, s, "register, register, immediate")
	}
}

// RMI appends IMULI dst, m, imm.
func (a *Assembler) RMI(o Op, s Size, dst Reg, m Mem, imm int32) {
	if o != IMULI {
		noForm(o, s, "register, memory, immediate")
	}
	op, n := intRows[o].immediate(s, imm)
	a.intRM(o, s, op, dst, true, m)
	a.immBytes(n, imm)
}

// MRI appends SHLD or SHRD m, src, imm.
func (a *Assembler) MRI(o Op, s Size, m Mem, src Reg, imm uint8) {
	r := &intRows[o]
	if r.flags&mrImm == 0 {
		noForm(o, s, "memory, register, immediate")
	}
	a.intRM(o, s, r.imm, src, true, m)
	a.Buf = append(a.Buf, imm)
}

// MovRI loads a constant into a register by the shortest mov that leaves the
// flags alone; the whole 64 bits of dst are written (imm at size S32 and below
// is zero-extended).
func (a *Assembler) MovRI(s Size, dst Reg, imm int64) {
	switch s {
	case S8:
		imm = int64(uint8(imm))
	case S16:
		imm = int64(uint16(imm))
	case S32:
		imm = int64(uint32(imm))
	}
	switch {
	case imm >= 0 && imm <= math.MaxUint32:
		a.Buf = legacy(a.Buf, 0, mapOne, 0xB8|byte(dst&7), 0, 0, dst, 0)
		a.u32(uint32(imm))
	case int64(int32(imm)) == imm:
		a.Buf = append(a.Buf, 0x48|byte(dst>>3&1), 0xC7, 0xC0|byte(dst&7))
		a.u32(uint32(imm))
	default:
		a.MovRI64(dst, uint64(imm))
	}
}

// MovRI64 appends movabs dst, imm: always ten bytes, the last eight being the
// immediate, so that it can be patched.
func (a *Assembler) MovRI64(dst Reg, imm uint64) {
	a.Buf = append(a.Buf, 0x48|byte(dst>>3&1), 0xB8|byte(dst&7))
	a.Buf = binary.LittleEndian.AppendUint64(a.Buf, imm)
}

// Zero clears a register with xor, which changes the flags.
func (a *Assembler) Zero(dst Reg) { a.RR(XOR, S32, dst, dst) }

// Bswap reverses the bytes of a 32- or 64-bit register.
func (a *Assembler) Bswap(s Size, x Reg) {
	if s < S32 {
		panic("asm: bswap of less than 32 bits")
	}
	a.Buf = legacy(a.Buf, 0, map0F, 0xC8|byte(x&7), sizeW(s), 0, x, 0)
}

func sizeW(s Size) uint8 {
	if s == S64 {
		return rexW
	}
	return 0
}

// Cmov appends cmovcc dst, src at 16, 32 or 64 bits. At 32 bits the upper half
// of dst is cleared whether the condition holds or not.
func (a *Assembler) Cmov(c Cond, s Size, dst, src Reg) {
	a.Buf = append16(a.Buf, s)
	a.Buf = append(legacy(a.Buf, 0, map0F, 0x40|byte(c), sizeW(s), dst, src, 0), modRR(dst, src))
}

// CmovM appends cmovcc dst, m. The load happens, and may fault, either way.
func (a *Assembler) CmovM(c Cond, s Size, dst Reg, m Mem) {
	checkIndex(&m)
	base, index := m.extension()
	b := append16(m.segment(a.Buf), s)
	b = legacy(b, 0, map0F, 0x40|byte(c), sizeW(s), dst, base, index)
	a.Buf = a.operand(b, dst, m, 0)
}

func append16(b []byte, s Size) []byte {
	switch s {
	case S8:
		panic("asm: no 8-bit form")
	case S16:
		return append(b, 0x66)
	}
	return b
}

// Setcc sets the low byte of dst to 0 or 1 and leaves its other bits alone.
func (a *Assembler) Setcc(c Cond, dst Reg) {
	b := legacy(a.Buf, 0, map0F, 0x90|byte(c), byteREX(dst), 0, dst, 0)
	a.Buf = append(b, modRR(0, dst))
}

// SetccM sets a byte in memory to 0 or 1.
func (a *Assembler) SetccM(c Cond, m Mem) {
	checkIndex(&m)
	base, index := m.extension()
	b := legacy(m.segment(a.Buf), 0, map0F, 0x90|byte(c), 0, 0, base, index)
	a.Buf = a.operand(b, 0, m, 0)
}

// Cmpxchg16B compares rdx:rax with 16 aligned bytes of memory and, when equal,
// stores rcx:rbx. Without [Assembler.Lock] it is not atomic.
func (a *Assembler) Cmpxchg16B(m Mem) { a.cmpxchgWide(m, rexW) }

// Cmpxchg8B is the same with edx:eax and ecx:ebx.
func (a *Assembler) Cmpxchg8B(m Mem) { a.cmpxchgWide(m, 0) }

func (a *Assembler) cmpxchgWide(m Mem, rex uint8) {
	checkIndex(&m)
	base, index := m.extension()
	b := legacy(m.segment(a.Buf), 0, map0F, 0xC7, rex, 0, base, index)
	a.Buf = a.operand(b, 1, m, 0)
}

// BMIOp is an integer instruction in VEX encoding (BMI1, BMI2).
type BMIOp uint8

// BMI instructions with the order of operands that [Assembler.BMI] takes.
const (
	ANDN   BMIOp = iota // dst = ^src1 & x
	PDEP                // dst = deposit src1 under mask x
	PEXT                // dst = extract src1 under mask x
	MULX                // src1:dst (high:low is dst:src1) = rdx * x
	BEXTR               // dst = bits of x as src1 tells
	BZHI                // dst = x with the bits from src1 upward cleared
	SHLX                // dst = x << src1
	SHRX                // dst = x >> src1, unsigned
	SARX                // dst = x >> src1, signed
	BLSR                // dst = x with the lowest set bit cleared; src1 is NoReg
	BLSMSK              // dst = x up to the lowest set bit; src1 is NoReg
	BLSI                // dst = lowest set bit of x; src1 is NoReg
	bmiCount
)

var bmiRows = [bmiCount]struct {
	name        string
	pp, op, ext uint8
}{
	ANDN:   {"andn", ppNone, 0xF2, 0},
	PDEP:   {"pdep", ppF2, 0xF5, 0},
	PEXT:   {"pext", ppF3, 0xF5, 0},
	MULX:   {"mulx", ppF2, 0xF6, 0},
	BEXTR:  {"bextr", ppNone, 0xF7, 0},
	BZHI:   {"bzhi", ppNone, 0xF5, 0},
	SHLX:   {"shlx", pp66, 0xF7, 0},
	SHRX:   {"shrx", ppF2, 0xF7, 0},
	SARX:   {"sarx", ppF3, 0xF7, 0},
	BLSR:   {"blsr", ppNone, 0xF3, 1},
	BLSMSK: {"blsmsk", ppNone, 0xF3, 2},
	BLSI:   {"blsi", ppNone, 0xF3, 3},
}

// String returns the mnemonic.
func (o BMIOp) String() string {
	if o < bmiCount {
		return bmiRows[o].name
	}
	return fmt.Sprintf("bmi%d", uint8(o))
}

// bmiRegs maps operands to the reg and vvvv fields.
func bmiRegs(o BMIOp, dst, src1 Reg) (reg, vvvv Reg) {
	if ext := bmiRows[o].ext; ext != 0 {
		return Reg(ext), dst
	}
	return dst, src1
}

// BMI appends o dst, src1, x at 32 or 64 bits; the constants tell what src1
// and x are. For MULX dst gets the high half and src1 the low half.
func (a *Assembler) BMI(o BMIOp, s Size, dst, src1, x Reg) {
	row := &bmiRows[o]
	reg, vvvv := bmiRegs(o, dst, src1)
	b := vex(a.Buf, map0F38, row.pp, s == S64, 0, reg, vvvv, x, 0)
	a.Buf = append(b, row.op, modRR(reg, x))
}

// BMIM is BMI with x in memory.
func (a *Assembler) BMIM(o BMIOp, s Size, dst, src1 Reg, m Mem) {
	checkIndex(&m)
	row := &bmiRows[o]
	reg, vvvv := bmiRegs(o, dst, src1)
	base, index := m.extension()
	b := vex(m.segment(a.Buf), map0F38, row.pp, s == S64, 0, reg, vvvv, base, index)
	a.Buf = a.operand(append(b, row.op), reg, m, 0)
}

// Rorx appends rorx dst, src, imm: a rotation that leaves the flags alone.
func (a *Assembler) Rorx(s Size, dst, src Reg, imm uint8) {
	b := vex(a.Buf, map0F3A, ppF2, s == S64, 0, dst, NoReg, src, 0)
	a.Buf = append(b, 0xF0, modRR(dst, src), imm)
}

// RorxM is Rorx with its source in memory.
func (a *Assembler) RorxM(s Size, dst Reg, m Mem, imm uint8) {
	checkIndex(&m)
	base, index := m.extension()
	b := vex(m.segment(a.Buf), map0F3A, ppF2, s == S64, 0, dst, NoReg, base, index)
	a.Buf = append(a.operand(append(b, 0xF0), dst, m, 0), imm)
}
