package x64

import (
	"fmt"

	"github.com/davit-wasm/davit/codegen/internal/machine"
	"github.com/davit-wasm/davit/codegen/internal/regalloc"
	"github.com/davit-wasm/davit/codegen/internal/x64/asm"
	"github.com/davit-wasm/davit/codegen/ir"
	"github.com/davit-wasm/davit/codegen/isa"
)

// This file reaches thread-local variables and other stacks.

// tlsAddress is the address of thread-local variable g, by the model that the
// setting tls_model names.
func (c *lower) tlsAddress(g ir.GlobalValue) machine.Reg {
	b, l := c.backend(), c.l
	d := &c.f.Globals[g]
	info := machine.CallInfo{Label: machine.NoLabel, Dest: machine.RelocTarget{Kind: machine.TargetGlobal, Index: uint32(g)}}
	r := c.newGpr()
	var in machine.Inst
	switch model := b.isa.Shared.TLSModel; model {
	case isa.TLSElfGD, isa.TLSMachO:
		start := uint32(len(l.VC.CallOperands))
		l.VC.CallOperands = append(l.VC.CallOperands, regalloc.DefFixed(r.VReg(), pRAX))
		info.Operands = machine.Range{Start: start, End: start + 1}
		info.Clobbers = l.VC.Clobbers(systemV.Clobbers)
		b.clobbered = b.clobbered.Union(systemV.Clobbers)
		b.makesCalls, b.deepens = true, true
		in = inst(OpTLSCall)
		in.Flags = uint8(model)
	case isa.TLSCOFF:
		in = New(OpTLSCOFF, 0, asm.S64, r, c.newGpr())
	default:
		b.err = fmt.Errorf("a thread-local variable without the setting tls_model: %w", machine.ErrUnsupported)
		return r
	}
	in.Aux = uint32(len(l.VC.Calls))
	l.VC.Calls = append(l.VC.Calls, info)
	l.Emit(in)
	if d.Offset == 0 {
		return r
	}
	return b.plusOffset(l, r, d.Offset)
}

// emitTLS emits the sequences of the three systems.
//
// ELF: "ELF Handling For Thread-Local Storage" (Drepper), section 4.1.6. The
// general dynamic sequence has prefixes without meaning that bring it to 16
// bytes, because linkers replace it by those of other models.
//
// Mach-O: the variable's descriptor begins with the address of a function that takes the
// descriptor in rdi and returns the variable's address in rax.
//
// COFF ("Thread Local Storage" in Microsoft's PE format): the thread's block of
// this module, from the array at gs:0x58 by the module's _tls_index, plus the
// variable's offset in the section.
func (b *Backend) emitTLS(e *machine.Emitter, in *machine.Inst) {
	a := &b.asm
	dest := e.VC.Calls[in.Aux].Dest
	libcall := func(name string) machine.RelocTarget {
		return machine.RelocTarget{Kind: machine.TargetLibcall, Index: e.VC.Libcall(ir.LibCallName(name))}
	}
	switch {
	case in.Op == OpTLSCOFF:
		r, t := hw(in.R[0]), hw(in.R[1])
		a.RM(asm.MOV, asm.S32, r, asm.RIPRel(0))
		e.Buf.Reloc(a.DispAt, machine.RelocPCRel32, libcall("CoffTlsIndex"), -4)
		block := asm.Mem{Base: asm.NoReg, Index: asm.NoReg, Disp: 0x58, Seg: asm.SegGS}
		a.RM(asm.MOV, asm.S64, t, block)
		a.RM(asm.MOV, asm.S64, r, asm.Indexed(t, r, 3, 0))
		a.RI(asm.ADD, asm.S64, r, 1<<30) // a field of 32 bits
		e.Buf.Reloc(len(a.Buf)-4, machine.RelocSecRel32, dest, 0)
		clear(a.Buf[len(a.Buf)-4:])
	case isa.TLSModel(in.Flags) == isa.TLSMachO:
		a.RM(asm.MOV, asm.S64, asm.RDI, asm.RIPRel(0))
		e.Buf.Reloc(a.DispAt, machine.RelocTLV32, dest, -4)
		a.CallM(asm.At(asm.RDI, 0))
	default:
		a.Buf = append(a.Buf, 0x66)
		a.RM(asm.LEA, asm.S64, asm.RDI, asm.RIPRel(0))
		e.Buf.Reloc(a.DispAt, machine.RelocTLSGD32, dest, -4)
		a.Buf = append(a.Buf, 0x66, 0x66, 0x48)
		a.Call32()
		e.Buf.Reloc(len(a.Buf)-4, machine.RelocCall32, libcall("ElfTlsGetAddr"), -4)
	}
}

// Control contexts of stack_switch, in bytes: what is saved of a stack that is
// not running.
const (
	contextSP = 0
	contextFP = 8
	contextPC = 16
)

// switchStack lowers stack_switch: it saves into one control context, loads
// another, and hands over the payload, in rdi. Whoever switches back finds no
// register as it was.
func (c *lower) switchStack(save, load, payload machine.Reg) machine.Reg {
	b := c.backend()
	d := c.newGpr()
	if b.isa.Shared.StackSwitchModel != isa.StackSwitchBasic {
		b.err = fmt.Errorf("stack_switch by another model than basic: %w", machine.ErrUnsupported)
		return d
	}
	b.clobbered = b.clobbered.Union(allRegs)
	b.makesCalls, b.deepens = true, true
	c.l.Emit(New(OpSwitch, 0, asm.S64, d, save, load, payload))
	return d
}

// emitSwitch reads each word before it writes it, because both contexts may be
// the same.
func (b *Backend) emitSwitch(e *machine.Emitter) {
	a := &b.asm
	save, load := asm.RSI, asm.RDX
	back := e.Buf.NewLabel()
	swap := func(off int32, r asm.Reg) {
		a.RM(asm.MOV, asm.S64, asm.RAX, asm.At(load, off))
		a.MR(asm.MOV, asm.S64, asm.At(save, off), r)
		a.RR(asm.MOV, asm.S64, r, asm.RAX)
	}
	swap(contextSP, asm.RSP)
	swap(contextFP, asm.RBP)
	a.RM(asm.MOV, asm.S64, asm.RAX, asm.At(load, contextPC))
	a.RM(asm.LEA, asm.S64, asm.RCX, asm.RIPRel(0))
	b.relative(e, back)
	a.MR(asm.MOV, asm.S64, asm.At(save, contextPC), asm.RCX)
	a.JmpR(asm.RAX)
	b.bind(e, back)
}
