package x64

import (
	"fmt"
	"strings"

	"github.com/davit-wasm/davit/codegen/internal/machine"
	"github.com/davit-wasm/davit/codegen/internal/regalloc"
	"github.com/davit-wasm/davit/codegen/internal/x64/asm"
	"github.com/davit-wasm/davit/codegen/ir"
)

// Text prints the machine instructions of a function: each with its operation
// and size, its results, "=", its operands. If out is not nil and
// the code has been allocated, the allocator's moves stand where they are made.
func Text(vc *machine.VCode, out *regalloc.Output, f *ir.Function) string {
	var w strings.Builder
	fmt.Fprintf(&w, "function %v\n", f.Name)
	var edits []regalloc.Edit
	if out != nil && allocated(vc) {
		edits = out.Edits
	}
	for i := range vc.Blocks {
		b := &vc.Blocks[i]
		fmt.Fprintf(&w, "b%d", i)
		sep, end := "(", ""
		for _, v := range vc.RA.BlockParams(i) {
			fmt.Fprintf(&w, "%s%v", sep, vc.Resolve(machine.VReg(v)))
			sep, end = ", ", ")"
		}
		fmt.Fprintf(&w, "%s:", end)
		if b.IR != ir.None {
			fmt.Fprintf(&w, "  ; %v", ir.Block(b.IR))
		}
		if rb := &vc.RA.Blocks[i]; rb.LoopDepth > 0 {
			fmt.Fprintf(&w, "  ; loop depth %d", rb.LoopDepth)
		}
		w.WriteByte('\n')
		for n := b.Insts.Start; n < b.Insts.End; n++ {
			for len(edits) > 0 && edits[0].At <= regalloc.Before(int(n)) {
				printEdit(&w, edits[0])
				edits = edits[1:]
			}
			w.WriteString("    ")
			printInst(&w, vc, &vc.Insts[n])
			if n == b.Insts.End-1 {
				for _, e := range vc.RA.BlockEdges(i) {
					fmt.Fprintf(&w, " → b%d", e.To)
					sep, end = "(", ""
					for _, v := range vc.RA.EdgeArgs(e) {
						fmt.Fprintf(&w, "%s%v", sep, v)
						sep, end = ", ", ")"
					}
					w.WriteString(end)
				}
			}
			w.WriteByte('\n')
			for len(edits) > 0 && edits[0].At <= regalloc.After(int(n)) {
				printEdit(&w, edits[0])
				edits = edits[1:]
			}
		}
	}
	return w.String()
}

func allocated(vc *machine.VCode) bool {
	for i := range vc.Insts {
		for _, r := range vc.Insts[i].R {
			if r.IsVirtual() {
				return false
			}
		}
	}
	return true
}

func printEdit(w *strings.Builder, e regalloc.Edit) {
	name := func(a regalloc.Allocation) string {
		if a.Kind() == regalloc.AllocRemat {
			return "again"
		}
		return regName(machine.AllocReg(a), asm.S64)
	}
	fmt.Fprintf(w, "    move %s = %s\n", name(e.To), name(e.From))
}

// subName is the name of the operation, for shapes that have several.
func subName(in *machine.Inst) string {
	switch op := in.Op; {
	case op == OpMovsx, op >= OpAluRR && op <= OpShldCL, op == OpLoad, op == OpStore, op == OpStoreI, op >= OpMul && op <= OpDiv8,
		op == OpLock, op >= OpCmpRR && op <= OpCmpMI:
		return asm.Op(in.Sub).String()
	case op == OpBMI, op == OpBMIM:
		return asm.BMIOp(in.Sub).String()
	case op >= OpXmmRR && op <= OpFmaM:
		return asm.VecOp(in.Sub).String()
	}
	return Table[in.Op].Name
}

func printInst(w *strings.Builder, vc *machine.VCode, in *machine.Inst) {
	info := &Table[in.Op]
	size := asm.Size(in.Size)
	w.WriteString(subName(in))
	switch in.Op {
	case OpSetcc, OpSetccIn, OpCmov, OpCmovM, OpCmovX, OpTrapIf, OpTrapIf2, OpJcc, OpJcc2:
		fmt.Fprintf(w, ".%v", asm.Cond(in.Cond))
	}
	if in.Flags&FlagWide != 0 {
		w.WriteString(".256")
	}
	sep := " "
	item := func(format string, args ...any) {
		w.WriteString(sep)
		fmt.Fprintf(w, format, args...)
		sep = ", "
	}
	list := func(kind machine.SlotKind) {
		for s, r := range in.R {
			isMem := s >= machine.SlotBase && info.Flags&machine.OpMem != 0
			k := info.Slots[s].Kind
			if k == machine.SlotNone && r != machine.NoReg && kind == machine.SlotUse {
				k = machine.SlotUse
			}
			if k == kind && !isMem && r != machine.NoReg {
				item("%s", regName(r, size))
			}
		}
		if info.Flags&machine.OpCall != 0 {
			call := &vc.Calls[in.CallIndex()]
			for _, o := range vc.CallOperands[call.Operands.Start:call.Operands.End] {
				if (o.Kind == regalloc.Def) != (kind == machine.SlotDef) {
					continue
				}
				if o.Constraint == regalloc.Stack {
					item("frame:%v", o.VReg)
				} else {
					item("%s:%v", regName(machine.PReg(regalloc.PReg(o.Arg)), asm.S64), o.VReg)
				}
			}
		}
	}
	list(machine.SlotDef)
	if sep != " " {
		sep = " = "
	}
	list(machine.SlotUse)
	if in.Mem != machine.MemNone {
		item("%s", memText(in))
	}
	switch in.Op {
	case OpMovImm, OpAluRI, OpAluMI, OpCmpRI, OpCmpMI, OpStoreI, OpImulRI, OpImulMI, OpShldRI, OpRorx:
		item("%d", in.Imm)
	case OpJmpTable, OpJmpTableChk, OpJmpTree:
		item("table %d", in.Aux)
	case OpXmmConst:
		item("const %d", in.Aux)
	case OpXmmShift:
		item("%d", in.Imm)
	default:
		if in.Op >= OpXmmRR && in.Op <= OpFmaM && in.Flags&FlagImm != 0 {
			item("%d", in.Imm)
		}
	}
	if in.Trap != 0 {
		fmt.Fprintf(w, " ; %v", ir.TrapCode(in.Trap))
	}
}

func memText(in *machine.Inst) string {
	base, index := in.R[machine.SlotBase], in.R[machine.SlotIndex]
	var s string
	switch in.Mem {
	case machine.MemReg:
		if base != machine.NoReg {
			s = regName(base, asm.S64)
		}
	case machine.MemStackSlot:
		s = "slots"
	case machine.MemOutgoing:
		s = "out"
	case machine.MemIncoming:
		s = "in"
	case machine.MemReturn:
		s = "results"
	case machine.MemConst:
		return fmt.Sprintf("[const %d]", in.Aux)
	case machine.MemLabel:
		return fmt.Sprintf("[label %d]", in.Aux)
	}
	if index != machine.NoReg {
		s += fmt.Sprintf("+%s*%d", regName(index, asm.S64), 1<<in.Scale)
	}
	if in.Disp != 0 || s == "" {
		s += fmt.Sprintf("%+d", in.Disp)
	}
	return "[" + s + "]"
}
