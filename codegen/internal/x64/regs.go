package x64

import (
	"github.com/davit-wasm/davit/codegen/internal/machine"
	"github.com/davit-wasm/davit/codegen/internal/regalloc"
	"github.com/davit-wasm/davit/codegen/internal/x64/asm"
)

// Physical registers of the allocator: class Int for the general-purpose
// registers, class Float for xmm registers, whatever is in them.

func gpr(r asm.Reg) regalloc.PReg { return regalloc.MakePReg(regalloc.Int, uint8(r)) }
func xmm(r asm.Reg) regalloc.PReg { return regalloc.MakePReg(regalloc.Float, uint8(r)) }

// Registers that instructions name.
var (
	pRAX = gpr(asm.RAX)
	pRCX = gpr(asm.RCX)
	pRDX = gpr(asm.RDX)
	pRBX = gpr(asm.RBX)
	pRSI = gpr(asm.RSI)
	pRDI = gpr(asm.RDI)
	pRSP = gpr(asm.RSP)
	pRBP = gpr(asm.RBP)
	pR15 = gpr(asm.R15)
)

// The stack pointer, the frame pointer and the pinned register as operands.
var (
	RSP    = machine.PReg(pRSP)
	RBP    = machine.PReg(pRBP)
	Pinned = machine.PReg(pR15)
)

var gprNames = [4][16]string{
	{"al", "cl", "dl", "bl", "spl", "bpl", "sil", "dil", "r8b", "r9b", "r10b", "r11b", "r12b", "r13b", "r14b", "r15b"},
	{"ax", "cx", "dx", "bx", "sp", "bp", "si", "di", "r8w", "r9w", "r10w", "r11w", "r12w", "r13w", "r14w", "r15w"},
	{"eax", "ecx", "edx", "ebx", "esp", "ebp", "esi", "edi", "r8d", "r9d", "r10d", "r11d", "r12d", "r13d", "r14d", "r15d"},
	{"rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15"},
}

var xmmNames = [16]string{"xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15"}

// regName is r in text; size matters for general-purpose registers.
func regName(r machine.Reg, size asm.Size) string {
	if !r.IsPhysical() {
		return r.String()
	}
	if r.Class() == regalloc.Int {
		return gprNames[size][r.HW()]
	}
	return xmmNames[r.HW()]
}

// allocatable registers, cheapest first: those without a REX prefix before the
// others, and those that a convention makes the callee save last. rcx, rdx and
// rax come late among the cheap ones because fixed operands want them.
var (
	gprOrder = []asm.Reg{asm.RSI, asm.RDI, asm.RAX, asm.RCX, asm.RDX, asm.R8, asm.R9, asm.R10, asm.R11, asm.RBX, asm.R12, asm.R13, asm.R14, asm.R15}
	xmmOrder = []asm.Reg{asm.X0, asm.X1, asm.X2, asm.X3, asm.X4, asm.X5, asm.X6, asm.X7, asm.X8, asm.X9, asm.X10, asm.X11, asm.X12, asm.X13, asm.X14, asm.X15}
)

// vectorRegs are all vector registers.
var vectorRegs = func() (s regalloc.PRegSet) {
	for _, r := range xmmOrder {
		s.Add(xmm(r))
	}
	return s
}()

// regEnv is the allocator's view of the registers.
func regEnv(pinned bool) *regalloc.Env {
	env := &regalloc.Env{SpillUnits: [regalloc.NumClasses]uint8{regalloc.Int: 1, regalloc.Float: 2}}
	for _, r := range gprOrder {
		if pinned && r == asm.R15 {
			continue
		}
		env.Allocatable[regalloc.Int] = append(env.Allocatable[regalloc.Int], gpr(r))
	}
	for _, r := range xmmOrder {
		env.Allocatable[regalloc.Float] = append(env.Allocatable[regalloc.Float], xmm(r))
	}
	return env
}
