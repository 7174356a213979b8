// Package x64 is the x86-64 back end: instruction selection (lower*.go and
// *.rules), calling conventions (calls.go), emission (emit.go, emit_seq.go).
package x64

import (
	"fmt"

	"github.com/davit-wasm/davit/codegen/internal/machine"
	"github.com/davit-wasm/davit/codegen/internal/regalloc"
	"github.com/davit-wasm/davit/codegen/internal/x64/asm"
	"github.com/davit-wasm/davit/codegen/ir"
	"github.com/davit-wasm/davit/codegen/isa"
)

// Backend compiles for x86-64. It is used for one function after the other, by
// one goroutine at a time.
type Backend struct {
	isa  *isa.TargetISA
	env  *regalloc.Env    // one of:
	envs [2]*regalloc.Env // by usesWide
	asm  asm.Assembler
	abi  machine.ABI
	low  lower

	// Of the function being compiled.
	f          *ir.Function
	conv       *machine.Convention
	sig        machine.SigLayout
	retPtr     machine.Reg // address of the result area, if something needs it
	sret       ir.Value    // parameter that is returned, or NoValue
	err        error       // of lowering a call
	nextCall   uint32      // CallInfo of the next call in block nextBlock, none if there is none
	nextBlock  int
	outgoing   uint32 // most bytes of outgoing arguments
	retArea    uint32 // largest result area of a callee
	tailRoom   uint32
	makesCalls bool
	deepens    bool             // there are calls of functions that may use any amount of stack
	usesWide   bool             // there are values of 256 bits
	left       uint32           // emitting: the newest call whose return address was taken, none if there is none; see hasLeft
	clobbered  regalloc.PRegSet // registers that callees may write
	traps      []outOfLineTrap
	cold       []coldPart
	refusals   [2]machine.Label // see claim: the lease was not taken, it was; NoLabel if there is no claim
	tryAt      []uint32         // by ir.Block that ends in a try_call: where its registers begin in tryRegs, or none
	tryRegs    []machine.Reg    // see try
	zext       []bool           // by value: a block parameter, an i32 whose register has a clear upper half
	flags      flagResult
	saved      []regalloc.PReg
	runs       []uint32
	loc        uint32 // source location of the instruction being emitted
}

const none = ^uint32(0)

// NewBackend makes a back end for a target.
func NewBackend(t *isa.TargetISA) *Backend {
	b := &Backend{isa: t, envs: [2]*regalloc.Env{regEnv(t.Shared.PinnedReg), regEnv(t.Shared.PinnedReg)}}
	b.envs[1].SpillUnits[regalloc.Float] = wideUnits
	b.env = b.envs[0]
	return b
}

// For reports whether b compiles for t.
func (b *Backend) For(t *isa.TargetISA) bool { return b.isa == t }

// Env is the allocator's view of the registers.
func (b *Backend) Env() *regalloc.Env { return b.env }

// Table is the operand table.
func (b *Backend) Table() []machine.OpInfo { return Table }

// Alignment is how functions are aligned in the text.
func (b *Backend) Alignment() uint32 {
	return max(16, uint32(1)<<b.isa.Shared.FunctionAlign)
}

// Begin prepares for function f.
func (b *Backend) Begin(f *ir.Function, l *machine.Lower) error {
	b.f = f
	b.abi.Reset(f)
	b.retPtr, b.err = machine.NoReg, nil
	b.nextCall, b.nextBlock = none, -1
	b.outgoing, b.retArea, b.tailRoom, b.makesCalls, b.deepens = 0, 0, 0, false, false
	b.left = none
	b.usesWide, b.env = false, b.envs[0]
	b.clobbered = regalloc.PRegSet{}
	b.tryRegs = b.tryRegs[:0]
	if b.tryAt = b.tryAt[:0]; len(f.ExceptionTables) != 0 {
		for range f.NumBlocks() {
			b.tryAt = append(b.tryAt, none)
		}
	}
	b.low = lower{l: l, f: f}
	var err error
	if b.conv, err = b.convention(f.Sig.CallConv); err != nil {
		return err
	}
	if b.sig, err = b.abi.Layout(&f.Sig, b.conv); err != nil {
		return err
	}
	b.sret = b.structReturn()
	return b.checkLimit()
}

// Class implements machine.Backend.
func (b *Backend) Class(t ir.Type) (regalloc.RegClass, uint8) {
	switch {
	case t.IsInt() && t != ir.I128:
		return regalloc.Int, 1
	case t == ir.F16 || t == ir.F32 || t == ir.F64:
		return regalloc.Float, 1
	case t.Bits() <= 128 && t != ir.I128:
		return regalloc.Float, 2
	case b.wide(t):
		return regalloc.Float, wideUnits
	}
	panic(fmt.Sprintf("x64: a value of type %v does not fit a register", t))
}

// LowerInst implements machine.Backend.
func (b *Backend) LowerInst(l *machine.Lower, inst ir.Inst) error {
	for _, v := range b.f.Results(inst) {
		if t := b.f.ValueType(v); t.IsVector() && (t.IsDynamic() || t.Bits() > 128 && !b.wide(t)) {
			return fmt.Errorf("a value of type %v: %w", t, machine.ErrUnsupported)
		}
	}
	o, ok := b.low.lower(inst)
	if b.err != nil {
		return b.err
	}
	if !ok {
		return machine.ErrUnsupported
	}
	if o.n == 0 {
		return nil
	}
	k := 0
	for i, v := range b.f.Results(inst) {
		if b.f.ValueType(v) == ir.I128 {
			l.DefinePair(i, o.r[k], o.r[k+1])
			k += 2
		} else {
			l.Define(i, o.r[k])
			k++
		}
	}
	return nil
}

// LowerJump implements machine.Backend.
func (b *Backend) LowerJump(l *machine.Lower, to uint32) {
	in := inst(OpJmp)
	in.Aux = to
	l.Emit(in)
}

// Constant implements machine.Backend.
func (b *Backend) Constant(l *machine.Lower, t ir.Type, value int64) machine.Reg {
	r := l.NewReg(t)
	size := asm.S64
	switch t {
	case ir.I8:
		size, value = asm.S32, int64(uint8(value))
	case ir.I16:
		size, value = asm.S32, int64(uint16(value))
	case ir.I32:
		size, value = asm.S32, int64(uint32(value))
	}
	l.Emit(NewImm(OpMovImm, 0, size, value, r))
	return r
}

// Frame is what the function needs of its stack frame, but for spill slots and
// saved registers.
func (b *Backend) Frame(l *machine.Lower, out *regalloc.Output) machine.Frame {
	f := machine.Frame{
		Outgoing: b.outgoing, RetArea: b.retArea, Slots: l.StackSlotSize, Align: l.StackSlotAlign,
		Spill: out.SpillUnits * 8, TailRoom: b.tailRoom, Incoming: b.sig.StackArgs,
	}
	b.saved = b.saved[:0]
	for p := range b.conv.CalleeSaved.All {
		if out.Used.Has(p) || b.clobbered.Has(p) {
			b.saved = append(b.saved, p)
		}
	}
	f.Saved = b.saved
	return f
}
