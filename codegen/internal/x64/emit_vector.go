package x64

import (
	"github.com/davit-wasm/davit/codegen/internal/machine"
	"github.com/davit-wasm/davit/codegen/internal/x64/asm"
	"github.com/davit-wasm/davit/codegen/ir"
)

// Operations that only VEX or EVEX can encode. Both clear what is above the bits they write: 128, but for the few that move
// vectors of 256 bits. So a function without those never leaves an upper half in use, SSE code among it runs at full speed, and
// it needs no vzeroupper. One with them clears the upper halves before it calls or returns (see wide).

// wideUnits is the size of a spill slot for a vector of 256 bits.
const wideUnits = 4

// wide tells whether values of type t may be used as vectors of 256 bits in the function, and notes that they are. They
// may not together with calls that preserve vector registers, which are the low halves.
func (b *Backend) wide(t ir.Type) bool {
	if !isWide(t) || !b.isa.X64.HasAVX2 {
		return false
	}
	if b.usesWide {
		return true
	}
	for i := range b.f.Sigs {
		conv, err := b.convention(b.f.Sigs[i].CallConv)
		if err != nil || conv.CalleeSaved.Intersects(vectorRegs) {
			return false
		}
	}
	b.usesWide, b.env = true, b.envs[1]
	return true
}

func isWide(t ir.Type) bool { return t.IsVector() && !t.IsDynamic() && t.Bits() == 256 }

// clearUpper ends the use of upper halves.
func (b *Backend) clearUpper() {
	if b.usesWide {
		b.asm.Vzeroupper()
	}
}

// vex emits the operation of in on registers; src may be absent.
func (b *Backend) vex(in *machine.Inst, dst, src, rm asm.Reg) {
	a, op, l := &b.asm, asm.VecOp(in.Sub), wideBit(in)
	hasImm, imm := in.Flags&FlagImm != 0, uint8(in.Imm)
	switch evex := !op.HasVEX(); {
	case evex && hasImm:
		a.EVEXI(op, asm.EVEX{}, dst, src, rm, imm)
	case evex:
		a.EVEX(op, asm.EVEX{}, dst, src, rm)
	case hasImm:
		a.VEXI(op, l, dst, src, rm, imm)
	default:
		a.VEX(op, l, dst, src, rm)
	}
}

// vexMem is vex with a memory operand.
func (b *Backend) vexMem(e *machine.Emitter, in *machine.Inst, dst, src asm.Reg) {
	b.trapHere(e, in)
	a, op, l, m := &b.asm, asm.VecOp(in.Sub), wideBit(in), mem(e, in)
	hasImm, imm := in.Flags&FlagImm != 0, uint8(in.Imm)
	switch evex := !op.HasVEX(); {
	case evex && hasImm:
		a.EVEXMI(op, asm.EVEX{}, dst, src, m, imm)
	case evex:
		a.EVEXM(op, asm.EVEX{}, dst, src, m)
	case hasImm:
		a.VEXMI(op, l, dst, src, m, imm)
	default:
		a.VEXM(op, l, dst, src, m)
	}
	b.ripFixup(e, in)
}

// wideBit is the L bit of in's VEX prefix.
func wideBit(in *machine.Inst) uint8 {
	if in.Flags&FlagWide != 0 {
		return 1
	}
	return 0
}
