package x64

import (
	"encoding/binary"
	"math"

	"github.com/davit-wasm/davit/codegen/internal/machine"
	"github.com/davit-wasm/davit/codegen/internal/regalloc"
	"github.com/davit-wasm/davit/codegen/internal/x64/asm"
	"github.com/davit-wasm/davit/codegen/ir"
)

// Kinds of fixups.
const (
	fixJcc   machine.FixupKind = iota // jcc rel32, or rel8
	fixJmp                            // jmp rel32, or rel8
	fixRel32                          // a 32-bit field relative to the end of its instruction (through the addend)
)

// Fixups is the table of fixup kinds.
var Fixups = []machine.FixupInfo{
	fixJcc: {
		Name: "jcc", Size: 6, Short: 2, ShortMin: -128, ShortMax: 127, Min: math.MinInt32, Max: math.MaxInt32,
		Patch: func(code []byte, d int64, short bool) {
			if short {
				code[0], code[1] = 0x70|code[1]&15, byte(d)
				return
			}
			binary.LittleEndian.PutUint32(code[2:], uint32(d-6))
		},
	},
	fixJmp: {
		Name: "jmp", Size: 5, Short: 2, ShortMin: -128, ShortMax: 127, Min: math.MinInt32, Max: math.MaxInt32,
		Patch: func(code []byte, d int64, short bool) {
			if short {
				code[0], code[1] = 0xEB, byte(d)
				return
			}
			binary.LittleEndian.PutUint32(code[1:], uint32(d-5))
		},
	},
	fixRel32: {
		Name: "relative address", Min: math.MinInt32, Max: math.MaxInt32,
		Patch: func(code []byte, d int64, _ bool) { binary.LittleEndian.PutUint32(code, uint32(d)) },
	},
}

// Padding fills gaps between functions and their data: int3.
const Padding = 0xCC

// Nops fills code with instructions that do nothing.
func Nops(code []byte) {
	a := asm.Assembler{Buf: code[:0]}
	a.Nop(len(code))
}

// outOfLineTrap is a trap that a conditional jump goes to.
type outOfLineTrap struct {
	label machine.Label
	code  uint8
	loc   uint32
}

// StartCode gives the back end the slice to append the function to, and
// EndCode takes it back.
func (b *Backend) StartCode(code []byte) {
	b.asm.Buf, b.traps, b.cold, b.flags = code, b.traps[:0], b.cold[:0], flagResult{inst: none}
	b.refusals = [...]machine.Label{machine.NoLabel, machine.NoLabel}
}

// EndCode returns the code.
func (b *Backend) EndCode() []byte { return b.asm.Buf }

// Offset implements machine.EmitBackend.
func (b *Backend) Offset() int { return len(b.asm.Buf) }

// Pad implements machine.EmitBackend.
func (b *Backend) Pad(n int) {
	for range n {
		b.asm.Buf = append(b.asm.Buf, Padding)
	}
}

func hw(r machine.Reg) asm.Reg { return asm.Reg(r.HW()) }

// slot is the memory of a spill slot.
func slot(e *machine.Emitter, r machine.Reg) asm.Mem {
	return asm.At(asm.RBP, -int32(e.Frame.SpillAt(r.Slot())))
}

// mem is the memory operand of in. Where it is relative to the instruction
// pointer, ripFixup must follow the instruction.
func mem(e *machine.Emitter, in *machine.Inst) asm.Mem {
	m := asm.Mem{Base: asm.NoReg, Index: asm.NoReg, Scale: in.Scale, Disp: in.Disp}
	if r := in.R[machine.SlotIndex]; r != machine.NoReg {
		m.Index = hw(r)
	}
	switch in.Mem {
	case machine.MemReg:
		if r := in.R[machine.SlotBase]; r != machine.NoReg {
			m.Base = hw(r)
		}
	case machine.MemStackSlot:
		m.Base = asm.RSP
		m.Disp += int32(e.Frame.SlotsAt())
	case machine.MemOutgoing:
		m.Base = asm.RSP
	case machine.MemReturn:
		m.Base = asm.RSP
		m.Disp += int32(e.Frame.RetAreaAt())
	case machine.MemIncoming:
		m.Base = asm.RBP
		m.Disp += 16
	case machine.MemConst, machine.MemLabel:
		m = asm.RIPRel(0)
	default:
		panic("x64: " + Table[in.Op].Name + " without a memory operand")
	}
	return m
}

// ripFixup records what a memory operand relative to the instruction pointer
// refers to. It is called right after the instruction.
func (b *Backend) ripFixup(e *machine.Emitter, in *machine.Inst) {
	switch in.Mem {
	case machine.MemConst:
		b.relative(e, e.Const(in.Aux))
	case machine.MemLabel:
		b.relative(e, e.Label(machine.Label(in.Aux)))
	}
}

func (b *Backend) relative(e *machine.Emitter, l machine.Label) {
	at := b.asm.DispAt
	e.Buf.Fixup(at, fixRel32, l, int32(at-len(b.asm.Buf)))
}

// trapHere records that the instruction that follows may fault.
func (b *Backend) trapHere(e *machine.Emitter, in *machine.Inst) {
	if in.Trap != 0 {
		e.Buf.Trap(len(b.asm.Buf), in.Trap)
	}
}

func (b *Backend) jcc(e *machine.Emitter, c asm.Cond, l machine.Label) {
	e.Buf.Fixup(len(b.asm.Buf), fixJcc, l, 0)
	b.asm.Jcc32(c)
}

func (b *Backend) jmp(e *machine.Emitter, l machine.Label) {
	e.Buf.Fixup(len(b.asm.Buf), fixJmp, l, 0)
	b.asm.Jmp32()
}

func (b *Backend) bind(e *machine.Emitter, l machine.Label) { e.Buf.Bind(l, len(b.asm.Buf)) }

// trapLabel is the label of a trap out of line.
func (b *Backend) trapLabel(e *machine.Emitter, code uint8, loc uint32) machine.Label {
	if n := len(b.traps); n > 0 && b.traps[n-1].code == code && b.traps[n-1].loc == loc {
		return b.traps[n-1].label
	}
	l := e.Buf.NewLabel()
	b.traps = append(b.traps, outOfLineTrap{l, code, loc})
	return l
}

// ud2 emits a trap.
func (b *Backend) ud2(e *machine.Emitter, code ir.TrapCode) {
	e.Buf.Trap(len(b.asm.Buf), uint8(code))
	b.asm.Emit(asm.UD2)
}

// Epilogue implements machine.EmitBackend.
func (b *Backend) Epilogue(e *machine.Emitter) {
	for i := range b.cold {
		b.emitCold(e, &b.cold[i])
	}
	b.refuse(e)
	for _, t := range b.traps {
		b.bind(e, t.label)
		e.Buf.Source(len(b.asm.Buf), t.loc)
		b.ud2(e, ir.TrapCode(t.code))
	}
}

// Move implements machine.EmitBackend.
func (b *Backend) Move(e *machine.Emitter, v regalloc.VReg, from, to regalloc.Allocation) {
	a := &b.asm
	src, dst := machine.AllocReg(from), machine.AllocReg(to)
	class := regalloc.Int
	if dst.IsPhysical() {
		class = dst.Class()
	} else {
		class = src.Class()
	}
	if class == regalloc.Int {
		switch {
		case src.IsSlot():
			a.RM(asm.MOV, asm.S64, hw(dst), slot(e, src))
		case dst.IsSlot():
			a.MR(asm.MOV, asm.S64, slot(e, dst), hw(src))
		default:
			a.RR(asm.MOV, asm.S64, hw(dst), hw(src))
		}
		return
	}
	load, store := asm.MOVUPS, asm.MOVUPS_ST
	switch e.SpillUnits(v, class, b.env) {
	case 1:
		load, store = asm.MOVSD, asm.MOVSD_ST
	case wideUnits:
		switch {
		case src.IsSlot():
			a.VEXM(load, 1, hw(dst), asm.NoReg, slot(e, src))
		case dst.IsSlot():
			a.VEXM(store, 1, hw(src), asm.NoReg, slot(e, dst))
		default:
			a.VEX(asm.MOVAPS, 1, hw(dst), asm.NoReg, hw(src))
		}
		return
	}
	switch {
	case src.IsSlot():
		a.SSEM(load, hw(dst), slot(e, src))
	case dst.IsSlot():
		a.SSEM(store, hw(src), slot(e, dst))
	default:
		a.SSE(asm.MOVAPS, hw(dst), hw(src))
	}
}

// Inst implements machine.EmitBackend.
func (b *Backend) Inst(e *machine.Emitter, n uint32, in *machine.Inst) {
	a := &b.asm
	b.loc = e.VC.Locs[n]
	op := asm.Op(in.Sub)
	vec := asm.VecOp(in.Sub)
	size := asm.Size(in.Size)
	cc := asm.Cond(in.Cond)
	r := &in.R
	const base = machine.SlotBase
	switch in.Op {
	case OpMov:
		b.mov(hw(r[0]), hw(r[1]), r[0].Class())
	case OpMovP, OpMovToP:
		a.RR(asm.MOV, asm.S64, hw(r[0]), hw(r[1]))
	case OpMovImm:
		if in.Imm == 0 && !e.InEdit() && flagsDead(e, n) {
			a.Zero(hw(r[0]))
		} else {
			a.MovRI(size, hw(r[0]), in.Imm)
		}
	case OpXmmZero:
		a.SSE(asm.XORPS, hw(r[0]), hw(r[0]))
	case OpXmmConst:
		load := asm.MOVUPS
		switch size {
		case asm.S32:
			load = asm.MOVSS
		case asm.S64:
			load = asm.MOVSD
		}
		a.SSEM(load, hw(r[0]), asm.RIPRel(0))
		b.relative(e, e.Const(in.Aux))
	case OpMovsx:
		if op == asm.MOV && size < asm.S32 {
			size = asm.S32
		}
		if r[1].IsSlot() {
			a.RM(op, size, hw(r[0]), slot(e, r[1]))
		} else {
			a.RR(op, size, hw(r[0]), hw(r[1]))
		}

	case OpAluRR:
		if r[2].IsSlot() {
			a.RM(op, size, hw(r[0]), slot(e, r[2]))
		} else {
			a.RR(op, size, hw(r[0]), hw(r[2]))
		}
		b.noteFlags(e, n, in)
	case OpAluRI:
		a.RI(op, size, hw(r[0]), int32(in.Imm))
		b.noteFlags(e, n, in)
	case OpAluRM:
		b.trapHere(e, in)
		a.RM(op, size, hw(r[0]), mem(e, in))
		b.ripFixup(e, in)
		b.noteFlags(e, n, in)
	case OpAluMR, OpCmpMR, OpStore:
		b.trapHere(e, in)
		b.lock(in)
		a.MR(op, size, mem(e, in), hw(r[0]))
		b.ripFixup(e, in)
	case OpAluMI, OpCmpMI, OpStoreI:
		b.trapHere(e, in)
		b.lock(in)
		a.MI(op, size, mem(e, in), int32(in.Imm))
		b.ripFixup(e, in)
	case OpUnaryR:
		a.R(op, size, hw(r[0]))
		b.noteFlags(e, n, in)
	case OpUnaryM, OpShiftMC:
		b.trapHere(e, in)
		b.lock(in)
		a.M(op, size, mem(e, in))
		b.ripFixup(e, in)
	case OpShiftCL:
		a.R(op, size, hw(r[0]))
	case OpShldRI:
		a.RRI(op, size, hw(r[0]), hw(r[2]), int32(in.Imm))
	case OpShldCL:
		a.RR(op, size, hw(r[0]), hw(r[2]))
	case OpImulRI:
		if r[1].IsSlot() {
			a.RMI(asm.IMULI, size, hw(r[0]), slot(e, r[1]), int32(in.Imm))
		} else {
			a.RRI(asm.IMULI, size, hw(r[0]), hw(r[1]), int32(in.Imm))
		}
	case OpImulMI:
		b.trapHere(e, in)
		a.RMI(asm.IMULI, size, hw(r[0]), mem(e, in), int32(in.Imm))
		b.ripFixup(e, in)
	case OpBswap:
		a.Bswap(size, hw(r[0]))
	case OpLoad:
		if op == asm.LEA && b.addForLea(size, in) {
			if in.R[machine.SlotIndex] != machine.NoReg || in.Disp != 0 {
				b.noteFlags(e, n, in)
			}
			return
		}
		b.trapHere(e, in)
		a.RM(op, size, hw(r[0]), mem(e, in))
		b.ripFixup(e, in)
	case OpMul:
		b.unary(e, op, size, r[3])
	case OpMulM:
		b.trapHere(e, in)
		a.M(op, size, mem(e, in))
		b.ripFixup(e, in)
	case OpMul8:
		b.unary(e, op, asm.S8, r[2])
	case OpDiv:
		b.trapHere(e, in)
		b.unary(e, op, size, r[4])
	case OpDiv8:
		b.trapHere(e, in)
		b.unary(e, op, asm.S8, r[2])
	case OpSrem:
		b.srem(e, in)
	case OpSignA:
		a.Extend(size)
	case OpSignA8:
		a.Extend(asm.S8)
	case OpBMI:
		src1 := asm.NoReg
		if r[1] != machine.NoReg {
			src1 = hw(r[1])
		}
		a.BMI(asm.BMIOp(in.Sub), size, hw(r[0]), src1, hw(r[2]))
	case OpBMIM:
		src1 := asm.NoReg
		if r[1] != machine.NoReg {
			src1 = hw(r[1])
		}
		b.trapHere(e, in)
		a.BMIM(asm.BMIOp(in.Sub), size, hw(r[0]), src1, mem(e, in))
		b.ripFixup(e, in)
	case OpMulx:
		a.BMI(asm.MULX, size, hw(r[0]), hw(r[1]), hw(r[3]))
	case OpRorx:
		if hw(r[0]) == hw(r[1]) {
			a.RI(asm.ROR, size, hw(r[0]), int32(in.Imm)) // half as many bytes
		} else {
			a.Rorx(size, hw(r[0]), hw(r[1]), uint8(in.Imm))
		}
	case OpLock:
		b.trapHere(e, in)
		a.Lock()
		a.MR(op, size, mem(e, in), hw(r[0]))
	case OpXadd:
		b.trapHere(e, in)
		a.Lock()
		a.MR(asm.XADD, size, mem(e, in), hw(r[0]))
	case OpXchg:
		b.trapHere(e, in)
		a.MR(asm.XCHG, size, mem(e, in), hw(r[0]))
	case OpCmpxchg:
		b.trapHere(e, in)
		a.Lock()
		a.MR(asm.CMPXCHG, size, mem(e, in), hw(r[2]))
	case OpRmwLoop:
		b.rmwLoop(e, in)
	case OpRmw16:
		b.rmw16(e, in)
	case OpCmpxchg16:
		b.trapHere(e, in)
		a.Lock()
		a.Cmpxchg16B(asm.At(hw(r[base]), in.Disp))
	case OpFence:
		a.Emit(asm.MFENCE)

	case OpCmpRR:
		if op == asm.TEST && r[0] == r[1] && b.redundantTest(e, n, r[0], size) {
			return
		}
		if r[1].IsSlot() {
			if op == asm.CMP {
				a.RM(op, size, hw(r[0]), slot(e, r[1]))
			} else {
				a.MR(op, size, slot(e, r[1]), hw(r[0])) // test is symmetric
			}
		} else {
			a.RR(op, size, hw(r[0]), hw(r[1]))
		}
	case OpBitTest:
		a.RR(op, size, hw(r[0]), hw(r[1]))
	case OpBitOp:
		a.RR(op, size, hw(r[0]), hw(r[2]))
	case OpCmpRI:
		switch {
		case r[0].IsSlot():
			a.MI(op, size, slot(e, r[0]), int32(in.Imm))
		case op == asm.CMP && in.Imm == 0 && b.redundantTest(e, n, r[0], size):
		case op == asm.CMP && in.Imm == 0:
			a.RR(asm.TEST, size, hw(r[0]), hw(r[0])) // the same flags in fewer bytes
		default:
			a.RI(op, size, hw(r[0]), int32(in.Imm))
		}
	case OpCmpRM:
		b.trapHere(e, in)
		if op == asm.CMP {
			a.RM(op, size, hw(r[0]), mem(e, in))
		} else {
			a.MR(op, size, mem(e, in), hw(r[0]))
		}
		b.ripFixup(e, in)
	case OpZero:
		a.Zero(hw(r[0]))
	case OpSetcc, OpSetccIn:
		a.Setcc(cc, hw(r[0]))
	case OpCmov:
		if r[2].IsSlot() {
			a.CmovM(cc, max(size, asm.S32), hw(r[0]), slot(e, r[2]))
		} else {
			a.Cmov(cc, max(size, asm.S32), hw(r[0]), hw(r[2]))
		}
	case OpCmovM:
		b.trapHere(e, in)
		a.CmovM(cc, size, hw(r[0]), mem(e, in))
		b.ripFixup(e, in)
	case OpCmovX:
		done := e.Buf.NewLabel()
		b.jcc(e, cc.Invert(), done)
		a.SSE(asm.MOVAPS, hw(r[0]), hw(r[2]))
		b.bind(e, done)
	case OpTrapIf:
		b.jcc(e, cc, b.trapLabel(e, in.Trap, b.loc))
	case OpTrapIf2:
		l := b.trapLabel(e, in.Trap, b.loc)
		b.jcc(e, cc, l)
		b.jcc(e, asm.Cond(in.Sub), l)

	case OpXmmRR:
		if in.Flags&FlagImm != 0 {
			a.SSEI(vec, hw(r[0]), hw(r[2]), uint8(in.Imm))
		} else {
			a.SSE(vec, hw(r[0]), hw(r[2]))
		}
	case OpXmmRM:
		b.trapHere(e, in)
		if in.Flags&FlagImm != 0 {
			a.SSEMI(vec, hw(r[0]), mem(e, in), uint8(in.Imm))
		} else {
			a.SSEM(vec, hw(r[0]), mem(e, in))
		}
		b.ripFixup(e, in)
	case OpXmmUn:
		reg, rm := hw(r[0]), hw(r[1])
		if in.Flags&FlagBreak != 0 && (r[0].Class() != r[1].Class() || reg != rm) {
			b.breakDependency(r[0])
		}
		if vec.IsStore() {
			reg, rm = rm, reg
		}
		if in.Flags&FlagImm != 0 {
			a.SSEI(vec, reg, rm, uint8(in.Imm))
		} else {
			a.SSE(vec, reg, rm)
		}
	case OpXmmLoad:
		if in.Flags&FlagBreak != 0 {
			b.breakDependency(r[0])
		}
		b.trapHere(e, in)
		if in.Flags&FlagImm != 0 {
			a.SSEMI(vec, hw(r[0]), mem(e, in), uint8(in.Imm))
		} else {
			a.SSEM(vec, hw(r[0]), mem(e, in))
		}
		b.ripFixup(e, in)
	case OpXmmShift:
		a.SSEI(vec, 0, hw(r[0]), uint8(in.Imm))
	case OpXmmStore, OpXmmCmpM:
		b.trapHere(e, in)
		if in.Flags&FlagImm != 0 {
			a.SSEMI(vec, hw(r[0]), mem(e, in), uint8(in.Imm))
		} else {
			a.SSEM(vec, hw(r[0]), mem(e, in))
		}
		b.ripFixup(e, in)
	case OpXmmCmp:
		a.SSE(vec, hw(r[0]), hw(r[1]))
	case OpVexRR:
		b.vex(in, hw(r[0]), hw(r[1]), hw(r[2]))
	case OpVexRM:
		b.vexMem(e, in, hw(r[0]), hw(r[1]))
	case OpVexUn:
		b.vex(in, hw(r[0]), asm.NoReg, hw(r[1]))
	case OpVexLoad, OpVexStore:
		b.vexMem(e, in, hw(r[0]), asm.NoReg)
	case OpVexShift: // the destination is where others have a source
		b.vex(in, 0, hw(r[0]), hw(r[1]))
	case OpVexBlend:
		a.VEXI(vec, 0, hw(r[0]), hw(r[1]), hw(r[2]), uint8(hw(r[3]))<<4)
	case OpTernary:
		b.vex(in, hw(r[0]), hw(r[2]), hw(r[3]))
	case OpTernaryM:
		b.vexMem(e, in, hw(r[0]), hw(r[2]))
	case OpFma:
		a.VEX(vec, 0, hw(r[0]), hw(r[2]), hw(r[3]))
	case OpFmaM:
		b.trapHere(e, in)
		a.VEXM(vec, 0, hw(r[0]), hw(r[2]), mem(e, in))
		b.ripFixup(e, in)
	case OpXmmMinMax:
		b.minMax(e, in)
	case OpCvtU64ToF:
		b.cvtU64ToF(e, in)
	case OpCvtFToS, OpCvtFToSSat:
		b.cvtFToS(e, in)
	case OpCvtFToU, OpCvtFToUSat:
		b.cvtFToU(e, in)

	case OpJmp:
		if to := e.Dest(in.Aux); !e.Falls(to) {
			b.jmp(e, machine.Label(to))
		}
	case OpJcc:
		yes, no := e.Dest(in.Aux), e.Dest(uint32(in.Imm))
		switch {
		case yes == no:
			if !e.Falls(yes) {
				b.jmp(e, machine.Label(yes))
			}
		case e.Falls(no):
			b.jcc(e, cc, machine.Label(yes))
		case e.Falls(yes):
			b.jcc(e, cc.Invert(), machine.Label(no))
		case e.Oftener(no, yes):
			b.jcc(e, cc.Invert(), machine.Label(no))
			b.jmp(e, machine.Label(yes))
		default:
			b.jcc(e, cc, machine.Label(yes))
			b.jmp(e, machine.Label(no))
		}
	case OpJcc2:
		yes, no := e.Dest(in.Aux), e.Dest(uint32(in.Imm))
		if yes != no {
			b.jcc(e, cc, machine.Label(yes))
			if other := asm.Cond(in.Sub); e.Falls(yes) {
				b.jcc(e, other.Invert(), machine.Label(no))
				return
			} else {
				b.jcc(e, other, machine.Label(yes))
			}
		}
		if !e.Falls(no) {
			b.jmp(e, machine.Label(no))
		}
	case OpJmpTable, OpJmpTableChk:
		if in.Op == OpJmpTableChk {
			entries := e.VC.JumpTables[in.Aux]
			a.RI(asm.CMP, asm.S32, hw(r[0]), int32(entries.End-entries.Start-1))
			b.jcc(e, asm.AE, machine.Label(e.Dest(e.VC.TableBlocks[entries.End-1])))
		}
		b.jumpTable(e, in)
	case OpJmpTree:
		b.jumpTree(e, in)
	case OpUd2:
		b.ud2(e, ir.TrapCode(in.Trap))
	case OpDebug:
		a.Emit(asm.INT3)
	case OpCall, OpCallR, OpCallM:
		b.emitCall(e, n, in)
	case OpTryCall, OpTryCallR:
		b.emitCall(e, n, in)
		if to := e.Dest(e.VC.Calls[in.Aux].Return); !e.Falls(to) {
			b.jmp(e, machine.Label(to))
		}
	case OpTailCall, OpTailCallR:
		b.emitTailCall(e, n, in)
	case OpRet:
		b.emitReturn(e, n)
	case OpArgs, OpNop:
	case OpSymbol:
		b.emitSymbol(e, in)
	case OpRetAddr:
		a.RM(asm.LEA, asm.S64, hw(r[0]), asm.RIPRel(0))
		b.relative(e, e.Label(machine.Label(in.Aux)))
	case OpTLSCall, OpTLSCOFF:
		b.emitTLS(e, in)
	case OpRepMovs:
		a.Emit(asm.REPMOVSB)
	case OpSwitch:
		b.emitSwitch(e)
	case OpBlockAddr:
		a.RM(asm.LEA, asm.S64, hw(r[0]), asm.RIPRel(0))
		b.relative(e, machine.Label(e.Dest(in.Aux)))
	default:
		panic("x64: no code for " + Table[in.Op].Name)
	}
}

func (b *Backend) lock(in *machine.Inst) {
	if in.Flags&FlagLock != 0 {
		b.asm.Lock()
	}
}

func (b *Backend) mov(dst, src asm.Reg, class regalloc.RegClass) {
	if class == regalloc.Int {
		b.asm.RR(asm.MOV, asm.S64, dst, src)
	} else {
		b.asm.SSE(asm.MOVAPS, dst, src)
	}
}

func (b *Backend) unary(e *machine.Emitter, op asm.Op, size asm.Size, r machine.Reg) {
	if r.IsSlot() {
		b.asm.M(op, size, slot(e, r))
	} else {
		b.asm.R(op, size, hw(r))
	}
}

// breakDependency clears r, so that an instruction that keeps its upper part
// need not wait for what was there.
func (b *Backend) breakDependency(r machine.Reg) {
	if r.Class() == regalloc.Float {
		b.asm.SSE(asm.XORPS, hw(r), hw(r))
	}
}
