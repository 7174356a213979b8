package x64

import (
	"github.com/davit-wasm/davit/codegen/internal/machine"
	"github.com/davit-wasm/davit/codegen/internal/x64/asm"
)

// Operations that only VEX or EVEX can encode. Both are used on 128 bits only, which clears the upper halves of the registers
// they write: so no code of ours ever leaves an upper half in use, SSE code among it runs at full speed, and no convention
// needs a vzeroupper.

// vex emits the operation of in on registers; src may be absent.
func (b *Backend) vex(in *machine.Inst, dst, src, rm asm.Reg) {
	a, op := &b.asm, asm.VecOp(in.Sub)
	hasImm, imm := in.Flags&FlagImm != 0, uint8(in.Imm)
	switch evex := !op.HasVEX(); {
	case evex && hasImm:
		a.EVEXI(op, asm.EVEX{}, dst, src, rm, imm)
	case evex:
		a.EVEX(op, asm.EVEX{}, dst, src, rm)
	case hasImm:
		a.VEXI(op, 0, dst, src, rm, imm)
	default:
		a.VEX(op, 0, dst, src, rm)
	}
}

// vexMem is vex with a memory operand.
func (b *Backend) vexMem(e *machine.Emitter, in *machine.Inst, dst, src asm.Reg) {
	b.trapHere(e, in)
	a, op, m := &b.asm, asm.VecOp(in.Sub), mem(e, in)
	hasImm, imm := in.Flags&FlagImm != 0, uint8(in.Imm)
	switch evex := !op.HasVEX(); {
	case evex && hasImm:
		a.EVEXMI(op, asm.EVEX{}, dst, src, m, imm)
	case evex:
		a.EVEXM(op, asm.EVEX{}, dst, src, m)
	case hasImm:
		a.VEXMI(op, 0, dst, src, m, imm)
	default:
		a.VEXM(op, 0, dst, src, m)
	}
	b.ripFixup(e, in)
}
