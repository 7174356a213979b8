package x64

import (
	"github.com/davit-wasm/davit/codegen/internal/machine"
	"github.com/davit-wasm/davit/codegen/internal/x64/asm"
)

// This file saves instructions by knowing who reads and writes the flags.
// Selection emits what reads flags right behind what sets them, for one IR
// instruction at a time, so flags never live from block to block.

// flagResult says that the flags tell about the value that an instruction has
// just put into a register.
type flagResult struct {
	inst  uint32 // index of the instruction
	end   int    // offset of its end
	reg   machine.Reg
	size  asm.Size
	logic bool // as after test: no carry, no overflow
}

// noteFlags is called after instruction n, an arithmetic one with its result in
// slot 0.
func (b *Backend) noteFlags(e *machine.Emitter, n uint32, in *machine.Inst) {
	if e.InEdit() {
		return
	}
	logic := false
	switch asm.Op(in.Sub) {
	case asm.AND, asm.OR, asm.XOR:
		logic = true
	case asm.ADD, asm.SUB, asm.NEG, asm.INC, asm.DEC, asm.LEA:
	default:
		return
	}
	b.flags = flagResult{n, len(b.asm.Buf), in.R[0], asm.Size(in.Size), logic}
}

// redundantTest reports whether instruction n, a comparison of r with zero, can
// be left out because the instruction before has set the flags that the
// jump after it asks for.
func (b *Backend) redundantTest(e *machine.Emitter, n uint32, r machine.Reg, size asm.Size) bool {
	f := &b.flags
	if f.inst+1 != n || f.end != len(b.asm.Buf) || f.reg != r || f.size != size {
		return false
	}
	next := &e.VC.Insts[n+1]
	if next.Op != OpJcc {
		return false
	}
	switch asm.Cond(next.Cond) {
	case asm.E, asm.NE, asm.S, asm.NS:
		return true
	}
	return f.logic
}

// flagsDead reports whether nothing reads the flags that are there before
// instruction n+1.
func flagsDead(e *machine.Emitter, n uint32) bool {
	const look = 16
	for k := n + 1; k < n+1+look; k++ {
		in := &e.VC.Insts[k]
		switch in.Op {
		case OpSetcc, OpSetccIn, OpCmov, OpCmovM, OpCmovX, OpTrapIf, OpTrapIf2, OpJcc, OpJcc2:
			return false
		case OpAluRR, OpAluRI, OpAluRM, OpAluMR, OpAluMI:
			switch asm.Op(in.Sub) {
			case asm.ADC, asm.SBB:
				return false
			case asm.ADD, asm.SUB, asm.AND, asm.OR, asm.XOR, asm.IMUL:
				return true
			}
		case OpZero, OpCmpRR, OpCmpRI, OpCmpRM, OpCmpMR, OpCmpMI, OpXmmCmp, OpXmmCmpM, OpCall, OpCallR, OpCallM:
			return true
		}
		if Table[in.Op].Flags&machine.OpTerm != 0 {
			return true
		}
	}
	return false
}
