package x64

import (
	"fmt"
	"sort"

	"github.com/davit-wasm/davit/codegen/internal/machine"
	"github.com/davit-wasm/davit/codegen/internal/regalloc"
	"github.com/davit-wasm/davit/codegen/internal/x64/asm"
	"github.com/davit-wasm/davit/codegen/ir"
)

// This file lowers what is particular to try_call.
//
// A try_call ends its block. What it makes, results and the payload of an
// exception, exists at the beginning of the blocks it leads to, in registers that
// the terminator defines. The allocator wants one virtual register per physical
// one there, whatever the edge: the first result and the first word of the
// payload, both in rax, are one virtual register.
//
// Blocks are lowered backward, so its blocks ask for these registers
// (TryArg) before the try_call is reached. They are kept by block, in
// Backend.tryRegs: one for each part of a result, in the order of the layout,
// then two for the payload; NoReg for what nothing has asked for.
//
// The unwinder knows the frame pointer and nothing else. So a call with handlers
// destroys all registers, whatever its convention; the function then saves those
// of its own caller, which its returns restore.

// payloadRegs are where an exception's payload is at a landing place.
var payloadRegs = [2]regalloc.PReg{pRAX, pRDX}

// tryLayout is where the results of a try_call are, and its registers.
func (b *Backend) tryLayout(block ir.Block, inst ir.Inst) (locs []machine.ArgLoc, regs []machine.Reg) {
	d := b.f.Inst(inst)
	s := b.f.ExceptionTables[d.Imm].Sig
	conv, err := b.convention(b.f.Sigs[s].CallConv)
	if err != nil {
		b.err = err
		return nil, nil
	}
	sig, err := b.abi.Sig(b.f, s, conv)
	if err != nil {
		b.err = err
		return nil, nil
	}
	locs = b.abi.Locs[sig.Rets.Start:sig.Rets.End]
	n := uint32(len(locs) + len(payloadRegs))
	if b.tryAt[block] == none {
		b.tryAt[block] = uint32(len(b.tryRegs))
		for range n {
			b.tryRegs = append(b.tryRegs, machine.NoReg)
		}
	}
	at := b.tryAt[block]
	return locs, b.tryRegs[at : at+n]
}

// TryArg implements machine.Backend.
func (b *Backend) TryArg(l *machine.Lower, block ir.Block, inst ir.Inst, v ir.Value) (lo, hi machine.Reg) {
	locs, regs := b.tryLayout(block, inst)
	hi = machine.NoReg
	if k, ok := v.IsExnArg(); ok && b.err == nil {
		return tryReg(l, locs, regs, len(locs)+k), hi
	}
	k, _ := v.IsRetArg()
	i := sort.Search(len(locs), func(i int) bool { return int(locs[i].Value) >= k })
	if i < len(locs) && int(locs[i].Value) == k {
		if lo = tryReg(l, locs, regs, i); i+1 < len(locs) && int(locs[i+1].Value) == k {
			hi = tryReg(l, locs, regs, i+1)
		}
		return lo, hi
	}
	return l.NewReg(ir.I64), hi // after an error, which lowering the call finds again
}

// tryReg is register i of a try_call, made if it is not there yet.
func tryReg(l *machine.Lower, locs []machine.ArgLoc, regs []machine.Reg, i int) machine.Reg {
	if regs[i] != machine.NoReg {
		return regs[i]
	}
	t := ir.I64
	if i < len(locs) {
		t = locs[i].Type
	}
	if p := tryPlace(locs, i); p != regalloc.NoPReg {
		for k := range regs {
			if regs[k] != machine.NoReg && tryPlace(locs, k) == p {
				regs[i] = regs[k]
				return regs[i]
			}
		}
	}
	regs[i] = l.NewReg(t)
	return regs[i]
}

// tryPlace is the physical register of register i, NoPReg for a result in memory.
func tryPlace(locs []machine.ArgLoc, i int) regalloc.PReg {
	if i < len(locs) {
		return locs[i].Reg
	}
	return payloadRegs[i-len(locs)]
}

// LowerTryReturn implements machine.Backend.
func (b *Backend) LowerTryReturn(l *machine.Lower, block ir.Block, inst ir.Inst) {
	locs, regs := b.tryLayout(block, inst)
	for i := range locs {
		if locs[i].Reg == regalloc.NoPReg && regs[i] != machine.NoReg {
			l.Emit(loadPart(locs[i].Type, MemOf(machine.MemReturn, locs[i].Off), regs[i]))
		}
	}
}

// try adds to a call what makes it a try_call.
func (b *Backend) try(l *machine.Lower, info *machine.CallInfo, ops []regalloc.Operand, clobbers regalloc.PRegSet) ([]regalloc.Operand, regalloc.PRegSet) {
	f, vc := b.f, l.VC
	inst := l.Inst()
	locs, regs := b.tryLayout(l.Order.Blocks[l.Block()].IR, inst)
	for i, r := range regs {
		p := tryPlace(locs, i)
		if r == machine.NoReg || p == regalloc.NoPReg {
			continue
		}
		first := true
		for k := range i {
			first = first && (regs[k] == machine.NoReg || tryPlace(locs, k) != p)
		}
		if first {
			ops = append(ops, regalloc.DefFixed(r.VReg(), p))
		}
	}
	info.Return = l.Target(0)
	info.Handlers.Start = uint32(len(vc.Handlers))
	dest := 1
	for _, h := range f.ExceptionTables[f.Inst(inst).Imm].Handlers {
		x := machine.Handler{Kind: h.Kind, Tag: h.Tag}
		if h.Kind == ir.HandlerContext {
			// The unwinder reads it from the frame.
			x.Block = uint32(len(ops)) // in the call's operands
			ops = append(ops, regalloc.Operand{VReg: b.inFrame(l, h.Context).VReg(), Constraint: regalloc.Stack})
		} else {
			x.Block = l.Target(dest)
			dest++
			clobbers = clobbers.Union(allRegs)
		}
		vc.Handlers = append(vc.Handlers, x)
	}
	info.Handlers.End = uint32(len(vc.Handlers))
	if b.isa.Shared.PinnedReg {
		clobbers.Remove(pR15)
	}
	return ops, clobbers
}

// inFrame is v in a register that can be in the frame, which a constant, made
// again wherever it is used, would not be.
func (b *Backend) inFrame(l *machine.Lower, v ir.Value) machine.Reg {
	if t := b.f.ValueType(v); t.Bits() > 64 {
		b.err = fmt.Errorf("a context of type %v: %w", t, machine.ErrUnsupported)
		return l.NewReg(ir.I64)
	}
	r := l.Use(v)
	if _, isConst := l.Const(v); !isConst {
		return r
	}
	d := l.NewReg(ir.I64)
	l.Emit(New(OpMovsx, uint16(asm.MOV), asm.S64, d, r))
	return d
}

// handlerAddress lowers get_exception_handler_address.
func (c *lower) handlerAddress() machine.Reg {
	d := c.f.Inst(c.l.Inst())
	to, ok := c.l.Order.TargetOf(ir.Block(d.Ref), 1+int(d.Imm))
	if !ok {
		return c.immConst(ir.I64, 0) // of a call that is never made
	}
	r := c.newGpr()
	in := New(OpBlockAddr, 0, asm.S64, r)
	in.Aux = to
	c.l.Emit(in)
	return r
}
