package x64

//go:generate go run ../rules/cmd/irops -o ../rules/lib/ir_gen.rules
//go:generate go run ../rules/cmd/rulesc -o lower_gen.go ../rules/lib/ir_gen.rules ../rules/lib/lower.rules x64.rules lower_int.rules lower_float.rules lower_mem.rules lower_control.rules lower_wide.rules lower_atomic.rules

import (
	"github.com/davit-wasm/davit/codegen/internal/machine"
	"github.com/davit-wasm/davit/codegen/ir"
	"github.com/davit-wasm/davit/codegen/isa"
)

// lower selects machine instructions: the rules in *.rules, compiled into lower_gen.go, are methods of it, and so is what they
// call.
//
// What depends on calling conventions is beside the rules, in the file for the ABI, as methods of lower that emit everything and
// return the registers of the results:
//
//	callDirect(ir.FuncRef) out, callRegister(ir.SigRef, ir.Value) out           calls; the instruction is c.l.Inst()
//	tailCallDirect(ir.FuncRef) out, tailCallRegister(ir.SigRef, ir.Value) out   tail calls
//	ret() out                                                                   return
//	libcall(ir.LibCall, …) …                                                    operations without instructions
type lower struct {
	l   *machine.Lower
	f   *ir.Function
	isa *isa.TargetISA
	// nextCall is one more than the index, in VCode.Calls, of the call lowered last: as lowering goes backward, the next call
	// of the block. It is 0 at the end of a block.
	nextCall uint32
	block    ir.Block
}

// inst lowers instruction i of l.
func (c *lower) inst(l *machine.Lower, i ir.Inst) error {
	c.l, c.f = l, l.F
	if b := c.f.InstBlock(i); b != c.block {
		c.block, c.nextCall = b, 0
	}
	r, ok := c.lower(i)
	if !ok {
		return machine.ErrUnsupported
	}
	k := uint8(0)
	for n, v := range c.f.Results(i) {
		if r.n == 0 {
			break // a call has defined its results
		}
		if c.valueType(v) == ir.I128 {
			l.DefinePair(n, r.r[k], r.r[k+1])
			k += 2
		} else {
			l.Define(n, r.r[k])
			k++
		}
	}
	if k != r.n {
		panic("x64: the rule for " + c.opcode(i).String() + " makes another number of results")
	}
	return nil
}

func (c *lower) hasBmi1() bool  { return c.isa.X64.HasBMI1 }
func (c *lower) hasBmi2() bool  { return c.isa.X64.HasBMI2 }
func (c *lower) hasLzcnt() bool { return c.isa.X64.HasLZCNT }
func (c *lower) hasFma() bool   { return c.isa.X64.HasFMA }
func (c *lower) hasAvx() bool   { return c.isa.X64.HasAVX }
