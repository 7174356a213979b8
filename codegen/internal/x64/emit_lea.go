package x64

import (
	"github.com/davit-wasm/davit/codegen/internal/machine"
	"github.com/davit-wasm/davit/codegen/internal/x64/asm"
)

// addForLea emits an add instead of a lea where that does the same in fewer bytes and on more ports: where the result has
// got the register of an operand. Selection writes additions as lea because that needs no copy of an operand that lives on, and
// only now is it known which those are. An add changes the flags; selection never puts a lea between a comparison and what
// reads its flags.
func (b *Backend) addForLea(size asm.Size, in *machine.Inst) bool {
	if in.Mem != machine.MemReg || in.R[machine.SlotBase] == machine.NoReg {
		return false
	}
	a := &b.asm
	dst, base := hw(in.R[0]), hw(in.R[machine.SlotBase])
	if in.R[machine.SlotIndex] == machine.NoReg {
		switch {
		case in.Disp == 0:
			a.RR(asm.MOV, size, dst, base)
		case dst != base:
			return false
		case in.Disp == 1:
			a.R(asm.INC, size, dst) // joined with a jump as an add is, in fewer bytes
		case in.Disp == -1:
			a.R(asm.DEC, size, dst)
		case in.Disp == 128: // its negation fits a byte
			a.RI(asm.SUB, size, dst, -128)
		default:
			a.RI(asm.ADD, size, dst, in.Disp)
		}
		return true
	}
	if in.Disp != 0 || in.Scale != 0 {
		return false
	}
	switch index := hw(in.R[machine.SlotIndex]); dst {
	case base:
		a.RR(asm.ADD, size, dst, index)
	case index:
		a.RR(asm.ADD, size, dst, base)
	default:
		return false
	}
	return true
}
