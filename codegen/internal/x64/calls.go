package x64

import (
	"fmt"

	"github.com/davit-wasm/davit/codegen/internal/machine"
	"github.com/davit-wasm/davit/codegen/internal/regalloc"
	"github.com/davit-wasm/davit/codegen/internal/x64/asm"
	"github.com/davit-wasm/davit/codegen/ir"
	"github.com/davit-wasm/davit/codegen/isa"
)

func gprs(r ...asm.Reg) (list []regalloc.PReg) {
	for _, x := range r {
		list = append(list, gpr(x))
	}
	return list
}

func xmms(n asm.Reg) (list []regalloc.PReg) {
	for x := range n {
		list = append(list, xmm(x))
	}
	return list
}

var allRegs = func() (s regalloc.PRegSet) {
	for _, r := range gprOrder {
		s.Add(gpr(r))
	}
	for _, r := range xmmOrder {
		s.Add(xmm(r))
	}
	return s
}()

// System V Application Binary Interface, AMD64 Architecture Processor
// Supplement, section 3.2.3.
var systemV = func() machine.Convention {
	c := machine.Convention{
		Name: "system_v", VMContext: regalloc.NoPReg, CallerContext: regalloc.NoPReg, VariadicCount: pRAX, StructReturnInResult: true,
		CalleeSaved: regalloc.MakePRegSet(gprs(asm.RBX, asm.R12, asm.R13, asm.R14, asm.R15)...),
	}
	c.Args[regalloc.Int] = gprs(asm.RDI, asm.RSI, asm.RDX, asm.RCX, asm.R8, asm.R9)
	c.Args[regalloc.Float] = xmms(8)
	c.Rets[regalloc.Int] = gprs(asm.RAX, asm.RDX)
	c.Rets[regalloc.Float] = xmms(2)
	c.WholePairs = true
	c.Clobbers = allRegs.Minus(c.CalleeSaved)
	return c
}()

// systemVLLVM is System V's with the further result registers that LLVM uses
// (llvm/lib/Target/X86/X86CallingConv.td), under enable_llvm_abi_extensions.
var systemVLLVM = func() machine.Convention {
	c := systemV
	c.Rets[regalloc.Int] = gprs(asm.RAX, asm.RDX, asm.RCX)
	c.Rets[regalloc.Float] = xmms(4)
	return c
}()

// Microsoft's x64 calling convention (docs.microsoft.com, "x64 calling
// convention"). An i128 is returned in rax and rdx.
var windowsFastcall = func() machine.Convention {
	c := machine.Convention{
		Name: "windows_fastcall", VMContext: regalloc.NoPReg, CallerContext: regalloc.NoPReg, VariadicCount: regalloc.NoPReg, StructReturnInResult: true,
		SharedPositions: true, StackArgsAt: 32, WideByReference: true,
		CalleeSaved: regalloc.MakePRegSet(gprs(asm.RBX, asm.RSI, asm.RDI, asm.R12, asm.R13, asm.R14, asm.R15)...),
	}
	for _, p := range xmms(16)[6:] {
		c.CalleeSaved.Add(p)
	}
	c.Args[regalloc.Int] = gprs(asm.RCX, asm.RDX, asm.R8, asm.R9)
	c.Args[regalloc.Float] = xmms(4)
	c.Rets[regalloc.Int] = gprs(asm.RAX, asm.RDX)
	c.Rets[regalloc.Float] = xmms(1)
	c.Clobbers = allRegs.Minus(c.CalleeSaved)
	return c
}()

// preserveAll passes arguments as System V does, has no results, and saves every
// register in the callee.
var preserveAll = func() machine.Convention {
	c := internalSystemV
	c.Name = "preserve_all"
	c.Rets = [regalloc.NumClasses][]regalloc.PReg{}
	c.CalleeSaved, c.Clobbers = allRegs, regalloc.PRegSet{}
	return c
}()

// internalSystemV is System V's without what only C needs.
var internalSystemV = func() machine.Convention {
	c := systemV
	c.VariadicCount, c.StructReturnInResult = regalloc.NoPReg, false
	return c
}()

// probestack is that of the function that outlined stack probes call: the size
// of the frame in rax, and every register is saved in the callee.
var probestack = func() machine.Convention {
	c := preserveAll
	c.Name = "probestack"
	c.Args = [regalloc.NumClasses][]regalloc.PReg{regalloc.Int: {pRAX}}
	return c
}()

// fast is System V's with more registers for results.
var fast = func() machine.Convention {
	c := internalSystemV
	c.Name = "fast"
	c.Rets[regalloc.Int] = gprs(asm.RAX, asm.RDX, asm.RCX, asm.RSI, asm.RDI, asm.R8, asm.R9, asm.R10)
	c.Rets[regalloc.Float] = xmms(8)
	return c
}()

// tail is ours: nothing is saved by the callee, which also removes stack
// arguments; 32-bit integers are passed zero-extended (zext.go). Arguments and results begin with the same registers, so that a
// result that is passed on stays where it is. r10 and r11 are free at calls and
// at entry: for the address of an indirect call, for what a tail call moves,
// and for the stack check. r15 is left out for the pinned register.
var tail = func() machine.Convention {
	c := machine.Convention{Name: "tail", VMContext: gpr(asm.RDI), CallerContext: gpr(asm.R14), VariadicCount: regalloc.NoPReg, CalleePops: true, Extends32: true, Clobbers: allRegs}
	c.Args[regalloc.Int] = gprs(asm.RAX, asm.RCX, asm.RDX, asm.RSI, asm.R8, asm.R9, asm.RBX, asm.R12, asm.R13)
	c.Args[regalloc.Float] = xmms(8)
	c.Rets[regalloc.Int] = gprs(asm.RAX, asm.RCX, asm.RDX, asm.RSI, asm.RDI, asm.R8, asm.R9, asm.RBX, asm.R12, asm.R13)
	c.Rets[regalloc.Float] = xmms(8)
	return c
}()

// tailPinned is tail when r15 is the pinned register, which calls don't touch
// unless told to.
var tailPinned = func() machine.Convention {
	c := tail
	c.Clobbers.Remove(pR15)
	return c
}()

// goConv is the convention go, in which Go code enters: arguments as in Go's
// internal convention (Go's source, src/cmd/compile/abi-internal.md), the first
// being the execution context or a pass. The first result register takes the status,
// which the epilogue adds.
var goConv = func() machine.Convention {
	c := machine.Convention{Name: "go", VMContext: regalloc.NoPReg, CallerContext: regalloc.NoPReg, VariadicCount: regalloc.NoPReg, NoStackArgs: true, Clobbers: allRegs}
	c.Args[regalloc.Int] = gprs(asm.RAX, asm.RBX, asm.RCX, asm.RDI, asm.RSI, asm.R8, asm.R9, asm.R10, asm.R11)
	c.Args[regalloc.Float] = xmms(15)
	c.Rets[regalloc.Int] = gprs(asm.RBX, asm.RCX, asm.RDI, asm.RSI, asm.R8, asm.R9, asm.R10, asm.R11)
	c.Rets[regalloc.Float] = xmms(15)
	return c
}()

// winch is that of a baseline compiler, which keeps nothing in registers across
// calls: System V's parameters, one result in a register and the others in
// memory, no saved registers.
var winch = func() machine.Convention {
	c := internalSystemV
	c.Name = "winch"
	c.Rets[regalloc.Int] = gprs(asm.RAX)
	c.Rets[regalloc.Float] = xmms(1)
	c.CalleeSaved, c.Clobbers = regalloc.PRegSet{}, allRegs
	return c
}()

func (b *Backend) convention(c ir.CallConv) (*machine.Convention, error) {
	switch c {
	case ir.SystemV:
		if b.isa.Shared.LLVMABIExtensions {
			return &systemVLLVM, nil
		}
		return &systemV, nil
	case ir.Fast:
		return &fast, nil
	case ir.PreserveAll:
		return &preserveAll, nil
	case ir.Probestack:
		return &probestack, nil
	case ir.WindowsFastcall:
		return &windowsFastcall, nil
	case ir.Tail:
		if b.isa.Shared.PinnedReg {
			return &tailPinned, nil
		}
		return &tail, nil
	case ir.Winch:
		return &winch, nil
	case ir.Go:
		return &goConv, nil
	}
	return nil, fmt.Errorf("calling convention %v: %w", c, machine.ErrUnsupported)
}

func (c *lower) backend() *Backend { return c.l.B.(*Backend) }

// ---- Arguments of the function

// LowerArgs implements machine.Backend.
func (b *Backend) LowerArgs(l *machine.Lower) error {
	vc := l.VC
	params := b.f.Params(b.f.Entry())
	start := uint32(len(vc.CallOperands))
	// Loads follow the instruction that defines the registers, so they are
	// collected first.
	type incoming struct {
		loc machine.ArgLoc
		r   machine.Reg
	}
	var stack []incoming
	part := 0
	locs := b.abi.Locs[b.sig.Args.Start:b.sig.Args.End]
	for i, loc := range locs {
		var r machine.Reg
		if loc.Value == machine.RetPtr {
			if r = b.retPtr; r == machine.NoReg {
				continue
			}
		} else {
			if int(loc.Value) >= len(params) {
				return fmt.Errorf("parameter %d of the signature is none of the entry block", loc.Value)
			}
			if part = 0; i > 0 && locs[i-1].Value == loc.Value {
				part = 1
			}
			lo, hi, used := l.ParamRegs(params[loc.Value])
			if !used {
				continue
			}
			if r = lo; part == 1 {
				r = hi
			}
		}
		if loc.ByRef && loc.Reg != regalloc.NoPReg {
			at := l.NewReg(ir.I64)
			vc.CallOperands = append(vc.CallOperands, regalloc.DefFixed(at.VReg(), loc.Reg))
			stack = append(stack, incoming{loc, at})
			continue
		}
		if loc.Reg == regalloc.NoPReg {
			stack = append(stack, incoming{loc, r})
			continue
		}
		vc.CallOperands = append(vc.CallOperands, regalloc.DefFixed(r.VReg(), loc.Reg))
	}
	in := inst(OpArgs)
	in.Aux = uint32(len(vc.Calls))
	vc.Calls = append(vc.Calls, machine.CallInfo{Operands: machine.Range{Start: start, End: uint32(len(vc.CallOperands))}, Label: machine.NoLabel})
	l.Emit(in)
	for _, s := range stack {
		if s.loc.Size != 0 { // a struct lies in the caller's frame
			l.Emit(NewMem(OpLoad, uint16(asm.LEA), asm.S64, MemOf(machine.MemIncoming, s.loc.Off), s.r))
			continue
		}
		if s.loc.ByRef {
			at := s.r
			if s.loc.Reg == regalloc.NoPReg {
				at = l.NewReg(ir.I64)
				l.Emit(loadPart(ir.I64, MemOf(machine.MemIncoming, s.loc.Off), at))
			}
			lo, hi, _ := l.ParamRegs(params[s.loc.Value])
			if hi == machine.NoReg {
				l.Emit(loadPart(b.f.ValueType(params[s.loc.Value]), MemAt(at, 0), lo))
			} else {
				l.Emit(loadPart(ir.I64, MemAt(at, 0), lo))
				l.Emit(loadPart(ir.I64, MemAt(at, 8), hi))
			}
			continue
		}
		l.Emit(loadPart(s.loc.Type, MemOf(machine.MemIncoming, s.loc.Off), s.r))
	}
	return nil
}

// loadPart loads an argument or result from memory, and storePart stores it.
// Integers always take all 8 bytes of their place.
func loadPart(t ir.Type, m Amode, r machine.Reg) machine.Inst {
	if t.IsInt() {
		return NewMem(OpLoad, uint16(asm.MOV), asm.S64, m, r)
	}
	return NewMem(OpXmmLoad, uint16(xmmMove(t)), 0, m, r)
}

func storePart(t ir.Type, m Amode, r machine.Reg) machine.Inst {
	if t.IsInt() {
		return NewMem(OpStore, uint16(asm.MOV), asm.S64, m, r)
	}
	return NewMem(OpXmmStore, uint16(xmmStore(t)), 0, m, r)
}

// extended is r, which holds v, extended as the signature and the convention say.
func (b *Backend) extended(l *machine.Lower, c *machine.Convention, loc machine.ArgLoc, v ir.Value, r machine.Reg) machine.Reg {
	if c.Extends32 && loc.Type == ir.I32 {
		if b.zeroUpper(b.f.Resolve(v)) {
			return r
		}
		loc.Ext = ir.ZeroExtend
	}
	if loc.Ext == ir.NoExtension || !loc.Type.IsInt() || loc.Type.Bits() >= 64 {
		return r
	}
	op, size := asm.MOV, asm.S32 // zero-extends
	signed := loc.Ext == ir.SignExtend
	switch loc.Type {
	case ir.I8:
		op = asm.MOVZX8
		if signed {
			op, size = asm.MOVSX8, asm.S64
		}
	case ir.I16:
		op = asm.MOVZX16
		if signed {
			op, size = asm.MOVSX16, asm.S64
		}
	case ir.I32:
		if signed {
			op, size = asm.MOVSX32, asm.S64
		}
	}
	d := l.NewReg(ir.I64)
	l.Emit(New(OpMovsx, uint16(op), size, d, r))
	return d
}

// ---- Return

// ret lowers return.
func (c *lower) ret() out {
	b, l := c.backend(), c.l
	vc := l.VC
	inst0 := l.Inst()
	args := b.f.Args(inst0)
	locs := b.abi.Locs[b.sig.Rets.Start:b.sig.Rets.End]
	var ops [32]regalloc.Operand
	uses := ops[:0]
	for i, loc := range locs {
		lo, hi := l.UsePair(args[loc.Value])
		r := lo
		if i > 0 && locs[i-1].Value == loc.Value {
			r = hi
		}
		r = b.extended(l, b.conv, loc, args[loc.Value], r)
		if loc.Reg == regalloc.NoPReg {
			l.Emit(storePart(loc.Type, MemAt(b.resultArea(), loc.Off), r))
			continue
		}
		uses = append(uses, regalloc.UseFixed(r.VReg(), loc.Reg))
	}
	if b.sret != ir.NoValue {
		uses = append(uses, regalloc.UseFixed(l.Use(b.sret).VReg(), b.conv.Rets[regalloc.Int][0]))
	}
	start := uint32(len(vc.CallOperands))
	vc.CallOperands = append(vc.CallOperands, uses...)
	in := inst(OpRet)
	in.Aux = uint32(len(vc.Calls))
	vc.Calls = append(vc.Calls, machine.CallInfo{Operands: machine.Range{Start: start, End: uint32(len(vc.CallOperands))}, Label: machine.NoLabel})
	l.Emit(in)
	return out{}
}

// structReturn is the parameter of purpose sret, if the convention wants its value
// returned, and no result is in that place.
func (b *Backend) structReturn() ir.Value {
	if !b.conv.StructReturnInResult {
		return ir.NoValue
	}
	first := b.conv.Rets[regalloc.Int][0]
	for _, loc := range b.abi.Locs[b.sig.Rets.Start:b.sig.Rets.End] {
		if loc.Reg == first {
			return ir.NoValue
		}
	}
	params := b.f.Params(b.f.Entry())
	for i := range b.f.Sig.Params {
		if b.f.Sig.Params[i].Purpose == ir.StructReturn && i < len(params) {
			return params[i]
		}
	}
	return ir.NoValue
}

// resultArea is the register that holds the address for results in memory.
func (b *Backend) resultArea() machine.Reg {
	if b.retPtr == machine.NoReg {
		b.retPtr = b.low.l.NewReg(ir.I64)
	}
	return b.retPtr
}

// ---- Calls

func (c *lower) callDirect(f ir.FuncRef) out {
	c.backend().call(c.l, c.f.ExtFuncs[f].Sig, f, ir.NoValue, plainCall)
	return out{}
}

func (c *lower) callRegister(s ir.SigRef, callee ir.Value) out {
	c.backend().call(c.l, s, ir.NoFuncRef, callee, plainCall)
	return out{}
}

func (c *lower) tailCallDirect(f ir.FuncRef) out {
	c.backend().call(c.l, c.f.ExtFuncs[f].Sig, f, ir.NoValue, tailCall)
	return out{}
}

func (c *lower) tailCallRegister(s ir.SigRef, callee ir.Value) out {
	c.backend().call(c.l, s, ir.NoFuncRef, callee, tailCall)
	return out{}
}

func (c *lower) tryCallDirect(f ir.FuncRef) out {
	c.backend().call(c.l, c.f.ExtFuncs[f].Sig, f, ir.NoValue, tryCall)
	return out{}
}

func (c *lower) tryCallRegister(s ir.SigRef, callee ir.Value) out {
	c.backend().call(c.l, s, ir.NoFuncRef, callee, tryCall)
	return out{}
}

// callKind is what a call does when the callee returns.
type callKind uint8

const (
	plainCall callKind = iota
	tailCall           // returns what the callee returns
	tryCall            // goes on in a block, or after an exception in another
)

// call lowers a call of function f, or of the address callee. It defines the
// results itself.
func (b *Backend) call(l *machine.Lower, s ir.SigRef, f ir.FuncRef, callee ir.Value, kind callKind) {
	vc := l.VC
	isTail := kind == tailCall
	args := b.f.Args(l.Inst())
	if callee != ir.NoValue {
		args = args[1:]
	}
	conv, err := b.convention(b.f.Sigs[s].CallConv)
	if err != nil {
		b.err = err
		return
	}
	sig, err := b.abi.Sig(b.f, s, conv)
	if err != nil {
		b.err = err
		return
	}
	switch {
	case conv == &goConv:
		b.err = fmt.Errorf("a call in convention go")
	case isTail && (!conv.CalleePops || !b.conv.CalleePops):
		b.err = fmt.Errorf("a tail call from convention %s to %s: %w", b.conv.Name, conv.Name, machine.ErrUnsupported)
	case isTail && sig.RetArea != b.sig.RetArea:
		b.err = fmt.Errorf("a tail call of a function with other results")
	}
	if b.err != nil {
		return
	}
	info := machine.CallInfo{Label: machine.NoLabel, StackBytes: sig.StackArgs}
	if conv.CalleePops {
		info.Pop = sig.StackArgs
	}
	b.outgoing = max(b.outgoing, sig.Outgoing)

	// The callee first, so that it needs no register that arguments are in.
	var in machine.Inst
	direct := callee == ir.NoValue && b.f.ExtFuncs[f].Colocated
	switch {
	case direct:
		in = inst([...]Op{plainCall: OpCall, tailCall: OpTailCall, tryCall: OpTryCall}[kind])
	default:
		in = inst([...]Op{plainCall: OpCallR, tailCall: OpTailCallR, tryCall: OpTryCallR}[kind])
	}
	if callee != ir.NoValue {
		in.R[0] = l.Use(callee)
	} else {
		info.Dest = machine.RelocTarget{Kind: machine.TargetFunc, Index: uint32(f)}
		if !direct {
			in.R[0] = b.symbol(l, info.Dest, false, 0)
		}
	}

	var buf [64]regalloc.Operand
	ops := buf[:0]
	locs := b.abi.Locs[sig.Args.Start:sig.Args.End]
	for i, loc := range locs {
		var r machine.Reg
		switch {
		case loc.Value == machine.RetPtr && isTail:
			r = b.resultArea() // results go where ours would have
		case loc.Value == machine.RetPtr:
			r = l.NewReg(ir.I64)
			l.Emit(NewMem(OpLoad, uint16(asm.LEA), asm.S64, MemOf(machine.MemReturn, 0), r))
			b.retArea = max(b.retArea, sig.RetArea)
		case loc.Size != 0:
			b.copyStruct(l, loc, l.Use(args[loc.Value]))
			continue
		case loc.ByRef:
			at := MemOf(machine.MemOutgoing, loc.Copy)
			if lo, hi := l.UsePair(args[loc.Value]); hi == machine.NoReg {
				l.Emit(storePart(b.f.ValueType(args[loc.Value]), at, lo))
			} else {
				l.Emit(storePart(ir.I64, at, lo))
				l.Emit(storePart(ir.I64, MemOf(machine.MemOutgoing, loc.Copy+8), hi))
			}
			r = l.NewReg(ir.I64)
			l.Emit(NewMem(OpLoad, uint16(asm.LEA), asm.S64, at, r))
		default:
			lo, hi := l.UsePair(args[loc.Value])
			if r = lo; i > 0 && locs[i-1].Value == loc.Value {
				r = hi
			}
			r = b.extended(l, conv, loc, args[loc.Value], r)
		}
		if loc.Reg == regalloc.NoPReg {
			l.Emit(storePart(loc.Type, MemOf(machine.MemOutgoing, loc.Off), r))
		} else {
			ops = append(ops, regalloc.UseFixed(r.VReg(), loc.Reg))
		}
	}

	// A callee in C may be variadic unless it is one of ours.
	if conv.VariadicCount != regalloc.NoPReg && !direct {
		floats := int64(0)
		for _, o := range ops {
			if o.VReg.Class() == regalloc.Float {
				floats++
			}
		}
		r := l.NewReg(ir.I64)
		l.Emit(NewImm(OpMovImm, 0, asm.S32, floats, r))
		ops = append(ops, regalloc.UseFixed(r.VReg(), conv.VariadicCount))
	}

	index := uint32(len(vc.Calls))
	in.Aux = index
	if isTail {
		if in.R[0] != machine.NoReg {
			// What moves the stack arguments leaves r11 alone.
			ops = append(ops, regalloc.UseFixed(in.R[0].VReg(), gpr(asm.R11)))
			in.R[0] = machine.PReg(gpr(asm.R11))
		}
		if sig.StackArgs > b.sig.StackArgs {
			b.tailRoom = max(b.tailRoom, sig.StackArgs-b.sig.StackArgs)
		}
		info.Operands.Start = uint32(len(vc.CallOperands))
		vc.CallOperands = append(vc.CallOperands, ops...)
		info.Operands.End = uint32(len(vc.CallOperands))
		vc.Calls = append(vc.Calls, info)
		l.Emit(in)
		return
	}

	b.makesCalls = true
	b.deepens = b.deepens || conv != &preserveAll
	b.nextCall, b.nextBlock = index, l.Block()
	clobbers := conv.Clobbers
	if b.isa.Shared.PinnedReg {
		clobbers.Remove(pR15)
	}
	if kind == tryCall {
		ops, clobbers = b.try(l, &info, ops, clobbers)
	}
	// Results. Those of a try_call are for its blocks.
	results := b.f.Results(l.Inst())
	var loads [16]machine.Inst
	after := loads[:0]
	locs = b.abi.Locs[sig.Rets.Start:sig.Rets.End]
	if kind == tryCall {
		locs = nil
	}
	for i := 0; i < len(locs); i++ {
		loc := locs[i]
		n := int(loc.Value)
		v := results[n]
		wide := b.f.ValueType(v) == ir.I128
		if l.Used(v) {
			var r [2]machine.Reg
			r[1] = machine.NoReg
			parts := 1
			if wide {
				parts = 2
			}
			for k := range parts {
				r[k] = l.NewReg(loc.Type)
				if p := locs[i+k]; p.Reg == regalloc.NoPReg {
					after = append(after, loadPart(p.Type, MemOf(machine.MemReturn, p.Off), r[k]))
				} else {
					ops = append(ops, regalloc.DefFixed(r[k].VReg(), p.Reg))
				}
			}
			l.DefinePair(n, r[0], r[1])
		}
		if wide {
			i++
		}
	}
	info.Clobbers = vc.Clobbers(clobbers)
	b.clobbered = b.clobbered.Union(clobbers)
	info.Operands.Start = uint32(len(vc.CallOperands))
	vc.CallOperands = append(vc.CallOperands, ops...)
	info.Operands.End = uint32(len(vc.CallOperands))
	for i := range vc.Handlers[info.Handlers.Start:info.Handlers.End] {
		if h := &vc.Handlers[info.Handlers.Start+uint32(i)]; h.Kind == ir.HandlerContext {
			h.Block += info.Operands.Start
		}
	}
	vc.Calls = append(vc.Calls, info)
	l.Emit(in)
	for _, a := range after {
		l.Emit(a)
	}
}

// copyStruct copies a struct argument to its place among the stack arguments.
func (b *Backend) copyStruct(l *machine.Lower, loc machine.ArgLoc, from machine.Reg) {
	off := int32(0)
	for size := asm.S64; ; size-- {
		step := int32(1) << size
		for int32(loc.Size)-off >= step {
			t := l.NewReg(ir.I64)
			op, at := asm.MOV, size
			switch size {
			case asm.S8:
				op, at = asm.MOVZX8, asm.S32
			case asm.S16:
				op, at = asm.MOVZX16, asm.S32
			}
			l.Emit(NewMem(OpLoad, uint16(op), at, MemAt(from, off), t))
			l.Emit(NewMem(OpStore, uint16(asm.MOV), size, MemOf(machine.MemOutgoing, loc.Off+off), t))
			off += step
		}
		if size == asm.S8 {
			return
		}
	}
}

// libcallConvention is the convention of library functions: what the setting
// libcall_call_conv says, or the system's.
func (b *Backend) libcallConvention() (*machine.Convention, error) {
	switch b.isa.Shared.LibcallCallConv {
	case isa.LibcallFast:
		return b.convention(ir.Fast)
	case isa.LibcallSystemV:
		return b.convention(ir.SystemV)
	case isa.LibcallWindowsFastcall:
		return b.convention(ir.WindowsFastcall)
	case isa.LibcallISADefault:
		if b.isa.Triple.OS == "windows" {
			return b.convention(ir.WindowsFastcall)
		}
		return b.convention(ir.SystemV)
	}
	return nil, fmt.Errorf("library functions in the convention that libcall_call_conv says: %w", machine.ErrUnsupported)
}

// libcall emits a call of a library function, whose arguments and result are in
// registers.
func (b *Backend) libcall(l *machine.Lower, name ir.Name, ret ir.Type, args ...machine.Reg) machine.Reg {
	d := l.NewReg(ret)
	b.libcallTo(l, name, [2]machine.Reg{d, machine.NoReg}, args...)
	return d
}

// libcallTo is libcall with registers for the result: both of them for an i128.
func (b *Backend) libcallTo(l *machine.Lower, name ir.Name, ret [2]machine.Reg, args ...machine.Reg) {
	vc := l.VC
	conv, err := b.libcallConvention()
	if err == nil && ret[1] != machine.NoReg && conv.WideByReference {
		err = fmt.Errorf("a library function with values of 128 bits in convention %s: %w", conv.Name, machine.ErrUnsupported)
	}
	if err != nil {
		b.err = err
		return
	}
	info := machine.CallInfo{Label: machine.NoLabel, Dest: machine.RelocTarget{Kind: machine.TargetLibcall, Index: vc.Libcall(name)}}
	in := inst(OpCall)
	if !b.isa.Shared.ColocatedLibcalls {
		in = inst(OpCallR)
		in.R[0] = b.symbol(l, info.Dest, false, 0)
	}
	info.Operands.Start = uint32(len(vc.CallOperands))
	next := [regalloc.NumClasses]int{}
	for i, r := range args {
		class := r.Class()
		k := next[class]
		if next[class]++; conv.SharedPositions {
			k = i
		}
		vc.CallOperands = append(vc.CallOperands, regalloc.UseFixed(r.VReg(), conv.Args[class][k]))
	}
	info.StackBytes = uint32(conv.StackArgsAt)
	b.outgoing = max(b.outgoing, info.StackBytes)
	for i, d := range ret {
		if d != machine.NoReg {
			vc.CallOperands = append(vc.CallOperands, regalloc.DefFixed(d.VReg(), conv.Rets[d.Class()][i]))
		}
	}
	info.Operands.End = uint32(len(vc.CallOperands))
	info.Clobbers = vc.Clobbers(conv.Clobbers)
	b.clobbered = b.clobbered.Union(conv.Clobbers)
	in.Aux = uint32(len(vc.Calls))
	vc.Calls = append(vc.Calls, info)
	b.makesCalls, b.deepens = true, true
	l.Emit(in)
}

// ---- Addresses

// How OpSymbol makes an address (Inst.Flags).
const (
	symbolNear = iota // relative to the instruction
	symbolGOT         // from a cell near by
	symbolFar         // absolute
)

// symbolForm is how the address of something is made that is near or not.
func (b *Backend) symbolForm(near bool) uint8 {
	switch {
	case near:
		return symbolNear
	case b.isa.Shared.PIC:
		return symbolGOT
	}
	return symbolFar
}

// symbol emits the address of something outside of the function, plus offset.
func (b *Backend) symbol(l *machine.Lower, t machine.RelocTarget, near bool, offset int64) machine.Reg {
	d := l.NewReg(ir.I64)
	in := inst(OpSymbol)
	in.R[0] = d
	in.Imm = offset
	in.Aux = uint32(len(l.VC.Calls))
	l.VC.Calls = append(l.VC.Calls, machine.CallInfo{Label: machine.NoLabel, Dest: t})
	if in.Flags = b.symbolForm(near); in.Flags == symbolGOT {
		in.Imm = 0
	}
	l.Emit(in)
	if in.Imm != offset {
		return b.plusOffset(l, d, offset)
	}
	return d
}

// plusOffset is an address plus offset.
func (b *Backend) plusOffset(l *machine.Lower, r machine.Reg, offset int64) machine.Reg {
	sum := l.NewReg(ir.I64)
	if offset == int64(int32(offset)) {
		l.Emit(NewMem(OpLoad, uint16(asm.LEA), asm.S64, MemAt(r, int32(offset)), sum))
		return sum
	}
	k := l.NewReg(ir.I64)
	l.Emit(NewImm(OpMovImm, 0, asm.S64, offset, k))
	l.Emit(NewMem(OpLoad, uint16(asm.LEA), asm.S64, MemIndexed(r, k, 0, 0), sum))
	return sum
}

func (c *lower) funcAddress(f ir.FuncRef) machine.Reg {
	return c.backend().symbol(c.l, machine.RelocTarget{Kind: machine.TargetFunc, Index: uint32(f)}, c.f.ExtFuncs[f].Colocated, 0)
}

func (c *lower) symbolAddress(g ir.GlobalValue) machine.Reg {
	d := &c.f.Globals[g]
	return c.backend().symbol(c.l, machine.RelocTarget{Kind: machine.TargetGlobal, Index: uint32(g)}, d.Colocated, d.Offset)
}

// nextReturnAddress lowers get_call_return_address. The next call of the block
// has been lowered already.
func (c *lower) nextReturnAddress() machine.Reg {
	b := c.backend()
	d := c.newGpr()
	if b.nextCall == none || b.nextBlock != c.l.Block() {
		b.err = fmt.Errorf("no call follows in the block")
		return d
	}
	info := &c.l.VC.Calls[b.nextCall]
	if info.Label == machine.NoLabel {
		info.Label = c.l.VC.NewLabel()
	}
	in := New(OpRetAddr, 0, asm.S64, d)
	in.Aux = uint32(info.Label)
	c.l.Emit(in)
	return d
}
