package x64

import (
	"fmt"
	"slices"

	"github.com/davit-wasm/davit/codegen/internal/machine"
	"github.com/davit-wasm/davit/codegen/internal/regalloc"
	"github.com/davit-wasm/davit/codegen/internal/x64/asm"
	"github.com/davit-wasm/davit/codegen/ir"
	"github.com/davit-wasm/davit/codegen/isa"
	"github.com/davit-wasm/davit/internal/layout"
)

// smallFrame is the largest frame, with return address and saved frame pointer,
// whose function compares the stack pointer as it is at entry, or not at all if
// it calls nothing: the limit leaves room for two of them.
const smallFrame = layout.StackSlack / 2

// Prologue implements machine.EmitBackend.
func (b *Backend) Prologue(e *machine.Emitter) {
	a := &b.asm
	f := &e.Frame
	if b.conv == &goConv {
		b.goPrologue(e)
		return
	}
	a.Push(asm.RBP)
	e.Buf.Frame(len(a.Buf), machine.UnwindPushed)
	a.RR(asm.MOV, asm.S64, asm.RBP, asm.RSP)
	e.Buf.Frame(len(a.Buf), machine.UnwindFrame)
	// The check needs r10 and r11, which conventions that keep all registers do not
	// give away.
	native := b.isa.Shared.NativeStackCheck && b.conv.Clobbers.Has(gpr(asm.R10)) && b.conv.Clobbers.Has(gpr(asm.R11))
	if native {
		b.stackCheck(e)
	}
	if b.f.StackLimit != ir.NoGlobal && (f.Size != 0 || b.makesCalls) {
		b.limitCheck(e)
	}
	size := f.Size
	if b.isa.Shared.Probestack && !native {
		size -= b.probe(e)
	}
	if size != 0 {
		a.RI(asm.SUB, asm.S64, asm.RSP, int32(size))
	}
	if f.Align > 16 {
		a.RI(asm.AND, asm.S64, asm.RSP, -int32(f.Align))
	}
	if len(f.Saved) == 0 {
		return
	}
	e.Buf.Frame(len(a.Buf), machine.UnwindMade)
	for i, p := range f.Saved {
		b.save(f, i, p)
	}
	e.Buf.Frame(len(a.Buf), machine.UnwindSaved)
}

// body records that the body goes on behind code that takes the frame down.
func (b *Backend) body(e *machine.Emitter) {
	state := machine.UnwindFrame
	if len(e.Frame.Saved) != 0 {
		state = machine.UnwindSaved
	}
	e.Buf.Frame(len(b.asm.Buf), state)
}

func (b *Backend) save(f *machine.Frame, i int, p regalloc.PReg) {
	m, r := asm.At(asm.RBP, -int32(f.SavedAt(i))), asm.Reg(p.HW())
	if p.Class() == regalloc.Int {
		b.asm.MR(asm.MOV, asm.S64, m, r)
	} else {
		b.asm.SSEM(asm.MOVUPS_ST, r, m)
	}
}

func (b *Backend) restoreSaved(e *machine.Emitter) {
	f := &e.Frame
	if len(f.Saved) == 0 {
		return
	}
	for i, p := range f.Saved {
		m, r := asm.At(asm.RBP, -int32(f.SavedAt(i))), asm.Reg(p.HW())
		if p.Class() == regalloc.Int {
			b.asm.RM(asm.MOV, asm.S64, r, m)
		} else {
			b.asm.SSEM(asm.MOVUPS, r, m)
		}
	}
	e.Buf.Frame(len(b.asm.Buf), machine.UnwindFrame)
}

// stackCheck traps if the frame would reach too far below the limit in the
// execution context, which is found from the end of the stack's region. The frame
// pointer is set up already, so that the trap finds the caller. r10 and r11
// carry no arguments.
func (b *Backend) stackCheck(e *machine.Emitter) {
	a := &b.asm
	f := &e.Frame
	size := f.Size
	if f.Align > 16 {
		size += f.Align
	}
	small := size+16 <= smallFrame
	// A tail call that moves the frame down counts as a call, because a chain of
	// them could go on.
	if small && !b.deepens && f.TailRoom == 0 {
		return
	}
	top := asm.RSP
	if !small {
		top = asm.R10
		a.RM(asm.LEA, asm.S64, asm.R10, asm.At(asm.RSP, -int32(size)))
	}
	a.RR(asm.MOV, asm.S64, asm.R11, asm.RSP)
	const last = layout.StackRegionSize - 1
	a.RI(asm.OR, asm.S64, asm.R11, last)
	a.RM(asm.CMP, asm.S64, top, asm.At(asm.R11, layout.ExecStackLimit-last))
	b.jcc(e, asm.B, b.trapLabel(e, uint8(ir.TrapStackOverflow), 0))
}

// limitCheck traps if the frame would reach below the function's own stack
// limit, a global value: the address of the instance context with additions and
// loads applied. r10 and r11 carry no arguments in any convention.
func (b *Backend) limitCheck(e *machine.Emitter) {
	a := &b.asm
	// From the limit back to the context; the verifier excludes cycles.
	var chain []ir.GlobalValue
	g := b.f.StackLimit
	for ; b.f.Globals[g].Kind == ir.GlobalLoad || b.f.Globals[g].Kind == ir.GlobalIAddImm; g = b.f.Globals[g].Base {
		chain = append(chain, g)
	}
	at := asm.R10
	for _, loc := range b.abi.Locs[b.sig.Args.Start:b.sig.Args.End] {
		if loc.Value == machine.RetPtr || b.f.Sig.Params[loc.Value].Purpose != ir.VMContext {
			continue
		}
		if loc.Reg != regalloc.NoPReg {
			at = asm.Reg(loc.Reg.HW())
		} else {
			a.RM(asm.MOV, asm.S64, at, asm.At(asm.RBP, 16+loc.Off))
		}
	}
	for i := len(chain) - 1; i >= 0; i-- {
		d := &b.f.Globals[chain[i]]
		off := asm.At(at, int32(d.Offset))
		if d.Kind == ir.GlobalLoad {
			if code, traps := d.Flags.TrapCode(); traps {
				e.Buf.Trap(len(a.Buf), uint8(code))
			}
			a.RM(asm.MOV, asm.S64, asm.R10, off)
		} else {
			a.RM(asm.LEA, asm.S64, asm.R10, off)
		}
		at = asm.R10
	}
	top, size := asm.RSP, e.Frame.Size
	if e.Frame.Align > 16 {
		size += e.Frame.Align
	}
	if size != 0 {
		top = asm.R11
		a.RM(asm.LEA, asm.S64, top, asm.At(asm.RSP, -int32(size)))
	}
	a.RR(asm.CMP, asm.S64, top, at)
	b.jcc(e, asm.B, b.trapLabel(e, uint8(ir.TrapStackOverflow), 0))
}

// checkLimit reports what limitCheck cannot do.
func (b *Backend) checkLimit() error {
	g := b.f.StackLimit
	if g == ir.NoGlobal {
		return nil
	}
	for range len(b.f.Globals) + 1 {
		d := &b.f.Globals[g]
		switch {
		case d.Kind == ir.GlobalVMContext:
			for _, p := range b.f.Sig.Params {
				if p.Purpose == ir.VMContext {
					return nil
				}
			}
			return fmt.Errorf("the stack limit needs a parameter vmctx")
		case d.Kind != ir.GlobalLoad && d.Kind != ir.GlobalIAddImm, d.Offset != int64(int32(d.Offset)):
			return fmt.Errorf("a stack limit from %v: %w", g, machine.ErrUnsupported)
		}
		g = d.Base
	}
	return fmt.Errorf("the stack limit %v depends on itself", b.f.StackLimit)
}

// probe touches every guard-sized step of a frame that is larger than that, in
// order, so that a guard page is not jumped over: itself, or by calling the
// library function Probestack in the convention of that name. It returns how far
// the stack pointer has been moved.
//
// A frame that will be aligned further may come to lie lower by nearly the
// alignment. That is probed too, and the stack pointer then goes back up.
func (b *Backend) probe(e *machine.Emitter) uint32 {
	a := &b.asm
	size := e.Frame.Size
	if e.Frame.Align > 16 {
		size += e.Frame.Align
	}
	step := uint64(1) << b.isa.Shared.ProbestackSize
	if uint64(size) < step {
		return 0
	}
	moved := b.probeSize(e, size, uint32(step))
	if size != e.Frame.Size && moved != 0 {
		a.RM(asm.LEA, asm.S64, asm.RSP, asm.At(asm.RBP, -int32(e.Frame.Size)))
		return e.Frame.Size
	}
	return moved
}

func (b *Backend) probeSize(e *machine.Emitter, size, step uint32) (moved uint32) {
	a := &b.asm
	if b.isa.Shared.ProbestackStrategy == isa.ProbestackOutline {
		t := machine.RelocTarget{Kind: machine.TargetLibcall, Index: e.VC.Libcall(ir.LibCallName("Probestack"))}
		takesRAX := slices.Contains(b.conv.Args[regalloc.Int], pRAX)
		if takesRAX {
			a.RR(asm.MOV, asm.S64, asm.R10, asm.RAX)
		}
		a.MovRI(asm.S32, asm.RAX, int64(size))
		if b.isa.Shared.ColocatedLibcalls {
			a.Call32()
			e.Buf.Reloc(len(a.Buf)-4, machine.RelocCall32, t, -4)
		} else {
			// r10 and r11 carry no arguments.
			b.loadSymbol(e, asm.R11, b.symbolForm(false), t, 0)
			a.CallR(asm.R11)
		}
		if takesRAX {
			a.RR(asm.MOV, asm.S64, asm.RAX, asm.R10)
		}
		if b.isa.Shared.ProbestackAdjusts {
			return size
		}
		return 0
	}
	n := size / step
	const unrolled = 4
	if n <= unrolled {
		for range n {
			a.RI(asm.SUB, asm.S64, asm.RSP, int32(step))
			a.MR(asm.MOV, asm.S32, asm.At(asm.RSP, 0), asm.RSP)
		}
		return n * step
	}
	again := e.Buf.NewLabel()
	a.RM(asm.LEA, asm.S64, asm.R11, asm.At(asm.RSP, -int32(n*step)))
	b.bind(e, again)
	a.RI(asm.SUB, asm.S64, asm.RSP, int32(step))
	a.MR(asm.MOV, asm.S32, asm.At(asm.RSP, 0), asm.RSP)
	a.RR(asm.CMP, asm.S64, asm.RSP, asm.R11)
	b.jcc(e, asm.NE, again)
	return n * step
}

// goPrologue enters from Go: it leaves a saved frame pointer on Go's stack,
// stores Go's stack pointer and g in the execution context, and makes the
// first frame of the native stack, with a return address and a frame pointer of
// zero above it. The execution context is the first argument, or what a pass leads
// to.
func (b *Backend) goPrologue(e *machine.Emitter) {
	a := &b.asm
	exec := asm.RAX
	if b.takesPass() {
		exec = b.claim(e)
	}
	a.Push(asm.RBP)
	e.Buf.Frame(len(a.Buf), machine.UnwindPushed)
	a.MR(asm.MOV, asm.S64, asm.At(exec, layout.ExecGoSP), asm.RSP)
	a.MR(asm.MOV, asm.S64, asm.At(exec, layout.ExecGoG), asm.R14)
	a.RM(asm.MOV, asm.S64, asm.RSP, asm.At(exec, layout.ExecEntrySP))
	a.PushI(0)
	a.Zero(asm.RBP)
	a.Push(asm.RBP)
	a.RR(asm.MOV, asm.S64, asm.RBP, asm.RSP)
	e.Buf.Frame(len(a.Buf), machine.UnwindFrame)
	a.MR(asm.MOV, asm.S64, asm.At(exec, layout.ExecEntryFP), asm.RBP)
	if e.Frame.Size != 0 {
		a.RI(asm.SUB, asm.S64, asm.RSP, int32(e.Frame.Size))
	}
	if e.Frame.Align > 16 {
		a.RI(asm.AND, asm.S64, asm.RSP, -int32(e.Frame.Align))
	}
}

func (b *Backend) takesPass() bool {
	p := b.f.Sig.Params
	return len(p) > 0 && p[0].Purpose == ir.Pass
}

// claimedLease has the lease where claim fails.
const claimedLease = asm.R13

// claim claims the lease of the gate that the pass in rax leads to, as native.Claim
// does, and finds the execution context there. If the lease cannot be had, or the gate
// is closed, the function returns at once. It changes rdx and r13, which carry no
// arguments in Go's convention.
func (b *Backend) claim(e *machine.Emitter) (exec asm.Reg) {
	const gate, lease = asm.RDX, claimedLease
	exec = asm.RDX // in the end
	a := &b.asm
	busy := asm.At(lease, layout.LeaseBusy)
	for i := range b.refusals {
		b.refusals[i] = e.Buf.NewLabel()
	}
	untaken, taken := b.refusals[0], b.refusals[1]
	a.RM(asm.MOV, asm.S64, gate, asm.At(asm.RAX, layout.PassGate))
	a.RM(asm.MOV, asm.S64, lease, asm.At(gate, layout.GateLease))
	a.MR(asm.CMP, asm.S64, asm.At(lease, layout.LeaseOwner), asm.R14)
	b.jcc(e, asm.NE, untaken)
	a.MI(asm.CMP, asm.S32, asm.At(lease, layout.LeaseRevoked), 0)
	b.jcc(e, asm.NE, untaken)
	a.MI(asm.CMP, asm.S32, busy, 0)
	b.jcc(e, asm.NE, untaken)
	a.MI(asm.MOV, asm.S32, busy, 1)
	a.MI(asm.CMP, asm.S32, asm.At(lease, layout.LeaseRevoked), 0)
	b.jcc(e, asm.NE, taken)
	a.RM(asm.MOV, asm.S64, exec, asm.At(gate, layout.GateExec))
	a.RR(asm.TEST, asm.S64, exec, exec)
	b.jcc(e, asm.E, taken)
	return exec
}

// refuse is where claim goes when it fails.
func (b *Backend) refuse(e *machine.Emitter) {
	if b.refusals[0] == machine.NoLabel {
		return
	}
	a := &b.asm
	e.Buf.Frame(len(a.Buf), machine.UnwindEntry)
	b.bind(e, b.refusals[1])
	a.MI(asm.MOV, asm.S32, asm.At(claimedLease, layout.LeaseBusy), 0)
	b.bind(e, b.refusals[0])
	a.MovRI(asm.S64, asm.RAX, layout.ExitRefused)
	a.Ret(0)
}

// goEpilogue leaves to Go. rdx, r12 and r13 carry no results in Go's
// convention; Go expects xmm15 to be zero.
func (b *Backend) goEpilogue(e *machine.Emitter) {
	a := &b.asm
	a.RR(asm.MOV, asm.S64, asm.RDX, asm.RSP)
	a.RI(asm.AND, asm.S64, asm.RDX, -layout.StackRegionSize)
	a.RM(asm.MOV, asm.S64, asm.RSP, asm.At(asm.RDX, layout.ExecGoSP))
	e.Buf.Frame(len(a.Buf), machine.UnwindPushed)
	a.RM(asm.MOV, asm.S64, asm.R14, asm.At(asm.RDX, layout.ExecGoG))
	if b.isa.X64.HasAVX {
		a.VZeroUpper()
	}
	a.SSE(asm.XORPS, asm.X15, asm.X15)
	a.MovRI(asm.S32, asm.RAX, layout.ExitDone)
	a.Pop(asm.RBP)
	e.Buf.Frame(len(a.Buf), machine.UnwindEntry)
	a.Ret(0)
	b.body(e)
}

// leave takes the frame down. The stack pointer, which a body moves only around
// calls, is computed from itself where that is possible: taken from the frame
// pointer, it would wait for the load that restored that in the callee, and a
// row of returns would be a chain of loads.
func (b *Backend) leave(e *machine.Emitter) {
	a := &b.asm
	b.restoreSaved(e)
	switch {
	case e.Frame.Align > 16:
		a.RR(asm.MOV, asm.S64, asm.RSP, asm.RBP)
	case e.Frame.Size != 0:
		a.RI(asm.ADD, asm.S64, asm.RSP, int32(e.Frame.Size))
	}
	a.Pop(asm.RBP)
	e.Buf.Frame(len(a.Buf), machine.UnwindEntry)
}

func (b *Backend) emitReturn(e *machine.Emitter, n uint32) {
	a := &b.asm
	if b.conv == &goConv {
		b.clearUpper()
		b.goEpilogue(e)
		return
	}
	b.clearUpper()
	b.leave(e)
	pop := uint32(0)
	if b.conv.CalleePops {
		pop = e.Frame.Incoming
	}
	if pop <= 0xffff && (!b.hasLeft(e, n) || b.conv.CalleeSaved.Has(gpr(asm.R11))) {
		a.Ret(uint16(pop))
	} else {
		// More than the instruction can say, or it would be mispredicted. r11 carries
		// no result, and nothing of the caller's.
		a.Pop(asm.R11)
		if pop != 0 {
			a.RI(asm.ADD, asm.S64, asm.RSP, int32(pop))
		}
		a.JmpR(asm.R11)
	}
	b.body(e)
}

// hasLeft reports whether instruction n, a return, comes after a call in its
// block that left for another stack: one whose return address was taken. The
// processor predicts a return by the last call it saw, which then was the other
// side's call that resumed this code, so that the prediction is always wrong.
// An indirect jump is predicted by where it went before, which in a loop is
// mostly right.
func (b *Backend) hasLeft(e *machine.Emitter, n uint32) bool {
	if b.left == none {
		return false
	}
	for i := b.left + 1; i < n; i++ {
		if Table[e.VC.Insts[i].Op].Flags&machine.OpTerm != 0 {
			b.left = none // so that each instruction is looked at once
			return false
		}
	}
	return true
}

func (b *Backend) emitCall(e *machine.Emitter, n uint32, in *machine.Inst) {
	a := &b.asm
	info := &e.VC.Calls[in.CallIndex()]
	b.clearUpper()
	switch in.Op {
	case OpCall, OpTryCall:
		a.Call32()
		e.Buf.Reloc(len(a.Buf)-4, machine.RelocCall32, info.Dest, -4)
	case OpCallR, OpTryCallR:
		b.trapHere(e, in)
		a.CallR(hw(in.R[0]))
	case OpCallM:
		b.trapHere(e, in)
		a.CallM(mem(e, in))
		b.ripFixup(e, in)
	}
	e.Buf.Call(len(a.Buf), n)
	if info.Label != machine.NoLabel {
		b.bind(e, e.Label(info.Label))
		b.left = n
	}
	if info.Pop != 0 {
		a.RI(asm.SUB, asm.S64, asm.RSP, int32(info.Pop))
	}
}

// emitTailCall replaces the frame by that of the callee. The stack arguments of
// the new callee lie in the outgoing area, and go where the function's own are,
// ending at the same place, with the return address and the saved frame
// pointer below them. If there are more of them than own ones, these two move
// down into room that the frame has for it (Frame.TailRoom). At every
// instruction the frame pointer points at a saved frame pointer with the return
// address above it.
func (b *Backend) emitTailCall(e *machine.Emitter, n uint32, in *machine.Inst) {
	a := &b.asm
	info := &e.VC.Calls[in.CallIndex()]
	args := int32(info.StackBytes)
	delta := int32(e.Frame.Incoming) - args
	const t = asm.R10
	b.clearUpper()
	copyArgs := func(to int32) {
		for i := int32(0); i < args; i += 8 {
			a.RM(asm.MOV, asm.S64, t, asm.At(asm.RSP, i))
			a.MR(asm.MOV, asm.S64, asm.At(asm.RBP, to+i), t)
		}
	}
	move := func() {
		for _, i := range [...]int32{0, 8} {
			a.RM(asm.MOV, asm.S64, t, asm.At(asm.RBP, i))
			a.MR(asm.MOV, asm.S64, asm.At(asm.RBP, delta+i), t)
		}
		a.RM(asm.LEA, asm.S64, asm.RBP, asm.At(asm.RBP, delta))
	}
	b.restoreSaved(e)
	switch {
	case delta == 0:
		copyArgs(16)
	case delta > 0:
		copyArgs(16 + delta)
		move()
	default:
		move()
		copyArgs(16)
	}
	if e.Frame.Size != 0 || e.Frame.Align > 16 || delta != 0 {
		a.RR(asm.MOV, asm.S64, asm.RSP, asm.RBP)
	}
	a.Pop(asm.RBP)
	e.Buf.Frame(len(a.Buf), machine.UnwindEntry)
	if in.Op == OpTailCall {
		a.Jmp32()
		e.Buf.Reloc(len(a.Buf)-4, machine.RelocCall32, info.Dest, -4)
	} else {
		b.trapHere(e, in)
		a.JmpR(hw(in.R[0]))
	}
	b.body(e)
}

func (b *Backend) emitSymbol(e *machine.Emitter, in *machine.Inst) {
	b.loadSymbol(e, hw(in.R[0]), in.Flags, e.VC.Calls[in.Aux].Dest, in.Imm)
}

func (b *Backend) loadSymbol(e *machine.Emitter, r asm.Reg, form uint8, t machine.RelocTarget, offset int64) {
	a := &b.asm
	switch form {
	case symbolNear:
		a.RM(asm.LEA, asm.S64, r, asm.RIPRel(0))
		e.Buf.Reloc(a.DispAt, machine.RelocPCRel32, t, offset-4)
	case symbolGOT:
		a.RM(asm.MOV, asm.S64, r, asm.RIPRel(0))
		e.Buf.Reloc(a.DispAt, machine.RelocGOTPCRel32, t, -4)
	default:
		a.MovRI64(r, 0)
		e.Buf.Reloc(len(a.Buf)-8, machine.RelocAbs64, t, offset)
	}
}
