package x64

//go:generate go run ../rules/cmd/irops -o ../rules/lib/ir_gen.rules
//go:generate go run ../rules/cmd/rulesc -o lower_gen.go ../rules/lib/ir_gen.rules ../rules/lib/ir.rules ../rules/lib/lower.rules x64.rules lower_int.rules lower_float.rules lower_mem.rules lower_control.rules lower_wide.rules lower_atomic.rules lower_vector.rules lower_small.rules

import (
	"github.com/davit-wasm/davit/codegen/internal/machine"
	"github.com/davit-wasm/davit/codegen/ir"
)

// lower selects machine instructions: the rules in *.rules, compiled into lower_gen.go, are methods of it, and so is what they
// call. Its method lower returns the registers of the results of an instruction; false if there is no rule for it.
//
//   - lower_operands.go looks at the IR and finds operands: registers, constants, memory.
//   - lower_range.go knows how large values can be, for addresses and jump tables.
//   - lower_emit.go makes the instructions of the rules.
//   - lower_cond.go has conditions: comparisons on their way to whoever consumes their flags.
//   - lower_control.go makes branches, the instructions on the frame, on 128 bits, and atomic ones.
//   - calls.go has calls and returns.
type lower struct {
	l *machine.Lower
	f *ir.Function
}

func (c *lower) hasBmi1() bool  { return c.backend().isa.X64.HasBMI1 }
func (c *lower) hasBmi2() bool  { return c.backend().isa.X64.HasBMI2 }
func (c *lower) hasLzcnt() bool { return c.backend().isa.X64.HasLZCNT }
func (c *lower) hasF16c() bool  { return c.backend().isa.X64.HasF16C && c.hasAvx() }
func (c *lower) hasFma() bool   { return c.backend().isa.X64.HasFMA }
func (c *lower) hasAvx() bool   { return c.backend().isa.X64.HasAVX }
func (c *lower) hasAvx2() bool  { return c.backend().isa.X64.HasAVX2 }

// hasAvx512 is the vector length extension, which brings AVX-512 to vectors of 128 bits.
func (c *lower) hasAvx512() bool {
	x := &c.backend().isa.X64
	return x.HasAVX512F && x.HasAVX512VL && x.HasAVX2
}
func (c *lower) hasAvx512dq() bool     { return c.hasAvx512() && c.backend().isa.X64.HasAVX512DQ }
func (c *lower) hasAvx512bw() bool     { return c.hasAvx512() && c.backend().isa.X64.HasAVX512BW }
func (c *lower) hasAvx512bitalg() bool { return c.hasAvx512() && c.backend().isa.X64.HasAVX512BITALG }
func (c *lower) hasAvx512vbmi() bool   { return c.hasAvx512() && c.backend().isa.X64.HasAVX512VBMI }
