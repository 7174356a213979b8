package x64

import (
	"fmt"

	"github.com/davit-wasm/davit/codegen/internal/machine"
	"github.com/davit-wasm/davit/codegen/internal/x64/asm"
	"github.com/davit-wasm/davit/codegen/ir"
)

// rmw16 is an atomic read-modify-write of 16 bytes: what it makes of the old value is in rcx:rbx, where cmpxchg16b takes it
// from; the old value is in rdx:rax, where that expects it and puts what it finds instead.
func (b *Backend) rmw16(e *machine.Emitter, in *machine.Inst) {
	a := &b.asm
	base := hw(in.R[machine.SlotBase])
	lo, hi := hw(in.R[2]), hw(in.R[3])
	b.trapHere(e, in)
	a.RM(asm.MOV, asm.S64, asm.RAX, asm.At(base, in.Disp))
	b.trapHere(e, in)
	a.RM(asm.MOV, asm.S64, asm.RDX, asm.At(base, in.Disp+8))
	again := e.Buf.NewLabel()
	b.bind(e, again)
	both := func(first, second asm.Op) {
		a.RR(asm.MOV, asm.S64, asm.RBX, asm.RAX)
		a.RR(asm.MOV, asm.S64, asm.RCX, asm.RDX)
		a.RR(first, asm.S64, asm.RBX, lo)
		a.RR(second, asm.S64, asm.RCX, hi)
	}
	// keep takes the old value if it compares with the operand as the condition says.
	keep := func(c asm.Cond) {
		a.RR(asm.MOV, asm.S64, asm.RCX, asm.RDX)
		a.RR(asm.CMP, asm.S64, asm.RAX, lo)
		a.RR(asm.SBB, asm.S64, asm.RCX, hi)
		a.RR(asm.MOV, asm.S64, asm.RBX, lo)
		a.RR(asm.MOV, asm.S64, asm.RCX, hi)
		a.Cmov(c, asm.S64, asm.RBX, asm.RAX)
		a.Cmov(c, asm.S64, asm.RCX, asm.RDX)
	}
	switch op := ir.AtomicOp(in.Imm); op {
	case ir.AtomicAdd:
		both(asm.ADD, asm.ADC)
	case ir.AtomicSub:
		both(asm.SUB, asm.SBB)
	case ir.AtomicAnd:
		both(asm.AND, asm.AND)
	case ir.AtomicOr:
		both(asm.OR, asm.OR)
	case ir.AtomicXor:
		both(asm.XOR, asm.XOR)
	case ir.AtomicNand:
		both(asm.AND, asm.AND)
		a.R(asm.NOT, asm.S64, asm.RBX)
		a.R(asm.NOT, asm.S64, asm.RCX)
	case ir.AtomicXchg:
		a.RR(asm.MOV, asm.S64, asm.RBX, lo)
		a.RR(asm.MOV, asm.S64, asm.RCX, hi)
	case ir.AtomicUmin:
		keep(asm.B)
	case ir.AtomicUmax:
		keep(asm.AE)
	case ir.AtomicSmin:
		keep(asm.L)
	case ir.AtomicSmax:
		keep(asm.GE)
	default:
		panic(fmt.Sprintf("x64: atomic operation %v", op))
	}
	b.trapHere(e, in)
	a.Lock()
	a.Cmpxchg16B(asm.At(base, in.Disp))
	b.jcc(e, asm.NE, again)
}
