package asm

import "fmt"

// Cond is a condition of jcc, setcc and cmovcc.
type Cond uint8

// Conditions. Below and above compare unsigned, less and greater signed.
const (
	O  Cond = iota // overflow
	NO             // no overflow
	B              // below; carry
	AE             // above or equal; no carry
	E              // equal; zero
	NE             // not equal
	BE             // below or equal
	A              // above
	S              // sign
	NS             // no sign
	P              // parity even: unordered, after ucomis
	NP             // parity odd
	L              // less
	GE             // greater or equal
	LE             // less or equal
	G              // greater
)

var condNames = [16]string{"o", "no", "b", "ae", "e", "ne", "be", "a", "s", "ns", "p", "np", "l", "ge", "le", "g"}

// String returns the condition's suffix in mnemonics.
func (c Cond) String() string {
	if c < 16 {
		return condNames[c]
	}
	return fmt.Sprintf("cond%d", uint8(c))
}

// Invert returns the opposite condition.
func (c Cond) Invert() Cond { return c ^ 1 }

// Swap returns the condition that holds for cmp b, a when c holds for cmp a, b.
// It panics for conditions that are not comparisons.
func (c Cond) Swap() Cond {
	switch c {
	case E, NE:
		return c
	case B:
		return A
	case A:
		return B
	case AE:
		return BE
	case BE:
		return AE
	case L:
		return G
	case G:
		return L
	case LE:
		return GE
	case GE:
		return LE
	}
	panic("asm: no swapped condition of " + c.String())
}

// Jmp32 appends jmp rel32 with a zero displacement in its last four bytes.
func (a *Assembler) Jmp32() { a.Buf = append(a.Buf, 0xE9, 0, 0, 0, 0) }

// Jmp8 appends jmp rel8 with a zero displacement in its last byte.
func (a *Assembler) Jmp8() { a.Buf = append(a.Buf, 0xEB, 0) }

// Jcc32 appends jcc rel32 with a zero displacement in its last four bytes.
func (a *Assembler) Jcc32(c Cond) { a.Buf = append(a.Buf, 0x0F, 0x80|byte(c), 0, 0, 0, 0) }

// Jcc8 appends jcc rel8 with a zero displacement in its last byte.
func (a *Assembler) Jcc8(c Cond) { a.Buf = append(a.Buf, 0x70|byte(c), 0) }

// Call32 appends call rel32 with a zero displacement in its last four bytes.
func (a *Assembler) Call32() { a.Buf = append(a.Buf, 0xE8, 0, 0, 0, 0) }

// CallR appends an indirect call through a register.
func (a *Assembler) CallR(r Reg) { a.groupFF(2, r) }

// CallM appends an indirect call through memory.
func (a *Assembler) CallM(m Mem) { a.groupFFM(2, m) }

// JmpR appends an indirect jump through a register.
func (a *Assembler) JmpR(r Reg) { a.groupFF(4, r) }

// JmpM appends an indirect jump through memory.
func (a *Assembler) JmpM(m Mem) { a.groupFFM(4, m) }

func (a *Assembler) groupFF(ext, r Reg) {
	a.Buf = append(legacy(a.Buf, 0, mapOne, 0xFF, 0, 0, r, 0), modRR(ext, r))
}

func (a *Assembler) groupFFM(ext Reg, m Mem) {
	checkIndex(&m)
	base, index := m.extension()
	a.Buf = a.operand(legacy(m.segment(a.Buf), 0, mapOne, 0xFF, 0, 0, base, index), ext, m, 0)
}

// Ret appends a return that also pops the given number of argument bytes.
func (a *Assembler) Ret(pop uint16) {
	if pop == 0 {
		a.Buf = append(a.Buf, 0xC3)
		return
	}
	a.Buf = append(a.Buf, 0xC2, byte(pop), byte(pop>>8))
}

// Push pushes a 64-bit register.
func (a *Assembler) Push(r Reg) { a.Buf = legacy(a.Buf, 0, mapOne, 0x50|byte(r&7), 0, 0, r, 0) }

// Pop pops a 64-bit register.
func (a *Assembler) Pop(r Reg) { a.Buf = legacy(a.Buf, 0, mapOne, 0x58|byte(r&7), 0, 0, r, 0) }

// PushI pushes a sign-extended constant.
func (a *Assembler) PushI(imm int32) {
	if int32(int8(imm)) == imm {
		a.Buf = append(a.Buf, 0x6A, byte(imm))
		return
	}
	a.Buf = append(a.Buf, 0x68)
	a.u32(uint32(imm))
}

// PushM pushes 64 bits of memory.
func (a *Assembler) PushM(m Mem) { a.groupFFM(6, m) }

// PopM pops 64 bits into memory.
func (a *Assembler) PopM(m Mem) {
	checkIndex(&m)
	base, index := m.extension()
	a.Buf = a.operand(legacy(m.segment(a.Buf), 0, mapOne, 0x8F, 0, 0, base, index), 0, m, 0)
}

// Extend sign-extends rax into rdx:rax at the size (cwd, cdq, cqo); at S8 it
// extends al into ax (cbw).
func (a *Assembler) Extend(s Size) {
	switch s {
	case S8:
		a.Buf = append(a.Buf, 0x66, 0x98)
	case S16:
		a.Buf = append(a.Buf, 0x66, 0x99)
	case S32:
		a.Buf = append(a.Buf, 0x99)
	default:
		a.Buf = append(a.Buf, 0x48, 0x99)
	}
}

// Fixed is an instruction without operands.
type Fixed uint8

// Instructions without operands.
const (
	UD2      Fixed = iota // undefined instruction: raises SIGILL
	INT3                  // breakpoint
	HLT                   // privileged
	PAUSE                 // spin-loop hint
	MFENCE                // full barrier
	LFENCE                // load barrier; also stops speculation
	SFENCE                // store barrier
	SYSCALL               // system call; changes rcx and r11
	RDTSC                 // edx:eax = time-stamp counter
	RDTSCP                // also ecx = processor id
	CPUID                 // eax, ebx, ecx, edx
	XGETBV                // edx:eax = extended control register ecx
	CLD                   // string instructions go upward
	STD                   // string instructions go downward
	REPMOVSB              // copy rcx bytes from [rsi] to [rdi]
	REPMOVSQ              // copy rcx words
	REPSTOSB              // store al rcx times at [rdi]
	REPSTOSQ              // store rax rcx times
	LAHF                  // flags to ah
	SAHF                  // ah to flags
	CMC                   // complement carry
	STC                   // set carry
	CLC                   // clear carry
	PUSHF                 // push flags
	POPF                  // pop flags
	LEAVE                 // rsp = rbp; pop rbp
	ENDBR64               // target of an indirect branch
	fixedCount
)

var fixedRows = [fixedCount]struct{ name, bytes string }{
	UD2: {"ud2", "\x0f\x0b"}, INT3: {"int3", "\xcc"}, HLT: {"hlt", "\xf4"}, PAUSE: {"pause", "\xf3\x90"},
	MFENCE: {"mfence", "\x0f\xae\xf0"}, LFENCE: {"lfence", "\x0f\xae\xe8"}, SFENCE: {"sfence", "\x0f\xae\xf8"},
	SYSCALL: {"syscall", "\x0f\x05"}, RDTSC: {"rdtsc", "\x0f\x31"}, RDTSCP: {"rdtscp", "\x0f\x01\xf9"},
	CPUID: {"cpuid", "\x0f\xa2"}, XGETBV: {"xgetbv", "\x0f\x01\xd0"}, CLD: {"cld", "\xfc"}, STD: {"std", "\xfd"},
	REPMOVSB: {"rep movsb", "\xf3\xa4"}, REPMOVSQ: {"rep movsq", "\xf3\x48\xa5"},
	REPSTOSB: {"rep stosb", "\xf3\xaa"}, REPSTOSQ: {"rep stosq", "\xf3\x48\xab"},
	LAHF: {"lahf", "\x9f"}, SAHF: {"sahf", "\x9e"}, CMC: {"cmc", "\xf5"}, STC: {"stc", "\xf9"}, CLC: {"clc", "\xf8"},
	PUSHF: {"pushf", "\x9c"}, POPF: {"popf", "\x9d"}, LEAVE: {"leave", "\xc9"}, ENDBR64: {"endbr64", "\xf3\x0f\x1e\xfa"},
}

// String returns the mnemonic.
func (f Fixed) String() string {
	if f < fixedCount {
		return fixedRows[f].name
	}
	return fmt.Sprintf("fixed%d", uint8(f))
}

// Emit appends an instruction without operands.
func (a *Assembler) Emit(f Fixed) { a.Buf = append(a.Buf, fixedRows[f].bytes...) }

// Prefetch hints.
const (
	PrefetchNTA = 0
	PrefetchT0  = 1
	PrefetchT1  = 2
	PrefetchT2  = 3
)

// Prefetch appends a prefetch of the cache line at m with one of the hints.
func (a *Assembler) Prefetch(hint uint8, m Mem) { a.map0FExt(0x18, Reg(hint), m) }

// Clflush flushes the cache line at m.
func (a *Assembler) Clflush(m Mem) { a.map0FExt(0xAE, 7, m) }

// Ldmxcsr loads the control register of the floating-point unit; Stmxcsr
// stores it.
func (a *Assembler) Ldmxcsr(m Mem) { a.map0FExt(0xAE, 2, m) }

// Stmxcsr stores the control register of the floating-point unit.
func (a *Assembler) Stmxcsr(m Mem) { a.map0FExt(0xAE, 3, m) }

func (a *Assembler) map0FExt(op uint8, ext Reg, m Mem) {
	checkIndex(&m)
	base, index := m.extension()
	a.Buf = a.operand(legacy(m.segment(a.Buf), 0, map0F, op, 0, 0, base, index), ext, m, 0)
}

// RdFSBase, RdGSBase, WrFSBase and WrGSBase move a segment base to or from a
// 64-bit register. They need the FSGSBASE feature and the kernel's leave.
func (a *Assembler) RdFSBase(r Reg) { a.segBase(0, r) }

// RdGSBase reads the GS base.
func (a *Assembler) RdGSBase(r Reg) { a.segBase(1, r) }

// WrFSBase writes the FS base.
func (a *Assembler) WrFSBase(r Reg) { a.segBase(2, r) }

// WrGSBase writes the GS base.
func (a *Assembler) WrGSBase(r Reg) { a.segBase(3, r) }

func (a *Assembler) segBase(ext, r Reg) {
	a.Buf = append(legacy(a.Buf, ppF3, map0F, 0xAE, rexW, 0, r, 0), modRR(ext, r))
}

// nops holds the recommended instruction for each length (Intel SDM, NOP).
var nops = [10]string{
	"", "\x90", "\x66\x90", "\x0f\x1f\x00", "\x0f\x1f\x40\x00", "\x0f\x1f\x44\x00\x00",
	"\x66\x0f\x1f\x44\x00\x00", "\x0f\x1f\x80\x00\x00\x00\x00", "\x0f\x1f\x84\x00\x00\x00\x00\x00",
	"\x66\x0f\x1f\x84\x00\x00\x00\x00\x00",
}

// Nop appends n bytes that do nothing, in as few instructions as possible.
func (a *Assembler) Nop(n int) {
	for ; n > 9; n -= 9 {
		a.Buf = append(a.Buf, nops[9]...)
	}
	a.Buf = append(a.Buf, nops[n]...)
}
