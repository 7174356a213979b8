package x64

import (
	"github.com/davit-wasm/davit/codegen/internal/machine"
	"github.com/davit-wasm/davit/codegen/internal/x64/asm"
	"github.com/davit-wasm/davit/codegen/ir"
)

// symbol emits the address of a function or of data.
func (c *lower) symbol(t machine.RelocTarget, offset int64) machine.Reg {
	d := c.newGpr()
	in := NewImm(OpSymbol, 0, asm.S64, offset, d)
	in.Aux = uint32(len(c.l.VC.Calls))
	c.l.VC.Calls = append(c.l.VC.Calls, machine.CallInfo{Dest: t, Label: machine.NoLabel})
	c.l.Emit(in)
	return d
}

func (c *lower) funcAddress(f ir.FuncRef) machine.Reg {
	return c.symbol(machine.RelocTarget{Kind: machine.TargetFunc, Index: uint32(f)}, 0)
}

func (c *lower) symbolAddress(g ir.GlobalValue) machine.Reg {
	return c.symbol(machine.RelocTarget{Kind: machine.TargetGlobal, Index: uint32(g)}, 0)
}

// hasNextCall reports whether there is a call in the rest of the block.
func (c *lower) hasNextCall() bool { return c.nextCall != 0 }

// nextReturnAddress emits the address to which the next call of the block will return. Lowering goes backward, so that call is
// known already; it is given a label.
func (c *lower) nextReturnAddress() machine.Reg {
	call := &c.l.VC.Calls[c.nextCall-1]
	if call.Label == machine.NoLabel {
		call.Label = c.l.VC.NewLabel()
	}
	d := c.newGpr()
	in := New(OpRetAddr, 0, asm.S64, d)
	in.Aux = uint32(call.Label)
	c.l.Emit(in)
	return d
}
