package verifier

import (
	"github.com/davit-wasm/davit/codegen/ir"
)

// inst checks one instruction of block b.
func (v *Verifier) inst(b ir.Block, inst ir.Inst) {
	if v.waiting != ir.NoInst {
		v.returnAddress(b, inst)
	}
	f := v.f
	d := f.Inst(inst)
	if d.Op == ir.OpInvalid || d.Op >= ir.NumOpcodes {
		v.failInst(inst, "invalid opcode")
		return
	}
	ok := true
	for _, a := range f.Args(inst) {
		ok = v.use(b, inst, a) && ok
	}
	for i := range f.Dests(inst) {
		for _, a := range f.DestArgs(inst, i) {
			if a.IsPlain() {
				ok = v.use(b, inst, a) && ok
			}
		}
	}
	if !ok || !v.entities(inst, d) {
		return
	}
	v.types(inst, d)
	v.immediates(b, inst, d)
	v.branch(inst, d)
	v.results(inst, d)
	switch {
	case d.Op == ir.OpReturn:
		v.returns(inst)
	case d.Op.IsCall() && d.Op != ir.OpStackSwitch:
		v.call(inst, d)
	}
	if len(f.DebugTags(inst)) > 0 {
		v.debugTags(inst, d)
	}
}

// use checks that a exists and dominates inst.
func (v *Verifier) use(b ir.Block, inst ir.Inst, a ir.Value) bool {
	f := v.f
	if !a.IsPlain() || !f.ValueExists(a) || !f.ValueExists(f.Resolve(a)) {
		v.failInst(inst, "uses value %v, which does not exist", a)
		return false
	}
	a = f.Resolve(a)
	if blk, _ := f.ValueBlock(a); blk != ir.NoBlock {
		if !f.InLayout(blk) {
			v.failInst(inst, "uses value %v of %v, which is not in the function", a, blk)
			return false
		}
		if v.dom.Reachable(b) && !v.dom.Dominates(blk, b) {
			v.failInst(inst, "uses value arg from non-dominating %v (%v)", blk, a)
			return false
		}
		return true
	}
	def, _ := f.ValueInst(a)
	db := f.InstBlock(def)
	switch {
	case db == ir.NoBlock || !f.InLayout(db):
		v.failInst(inst, "uses value %v of %v, which is not in the function", a, def)
		return false
	case def == inst:
		v.failInst(inst, "uses value %v from itself", a)
		return false
	case !v.dom.Reachable(b):
		return true
	case db == b && f.Before(def, inst), db != b && v.dom.Dominates(db, b):
		return true
	}
	v.failInst(inst, "uses value %v from non-dominating %v", a, def)
	return false
}

// entities checks that what the instruction refers to exists.
func (v *Verifier) entities(inst ir.Inst, d *ir.InstData) bool {
	f := v.f
	missing := func(what any) bool {
		v.failInst(inst, "undeclared %v", what)
		return false
	}
	switch d.Op.Format() {
	case ir.FormatCall, ir.FormatTryCall, ir.FormatFuncAddr:
		if int(d.Ref) >= len(f.ExtFuncs) {
			return missing(ir.FuncRef(d.Ref))
		}
	case ir.FormatCallIndirect, ir.FormatTryCallIndirect:
		if int(d.Ref) >= len(f.Sigs) {
			return missing(ir.SigRef(d.Ref))
		}
	case ir.FormatUnaryGlobalValue:
		if int(d.Ref) >= len(f.Globals) {
			return missing(ir.GlobalValue(d.Ref))
		}
	case ir.FormatStackAddr:
		if int(d.Ref) >= len(f.StackSlots) {
			return missing(ir.StackSlot(d.Ref))
		}
	case ir.FormatDynamicStackAddr:
		if int(d.Ref) >= len(f.DynamicSlots) {
			return missing(ir.DynamicStackSlot(d.Ref))
		}
	case ir.FormatUnaryConst, ir.FormatShuffle:
		if f.Constant(ir.Constant(d.Ref)) == nil {
			return missing(ir.Constant(d.Ref))
		}
	}
	if fm := d.Op.Format(); fm == ir.FormatTryCall || fm == ir.FormatTryCallIndirect {
		if uint64(d.Imm) >= uint64(len(f.ExceptionTables)) {
			v.failInst(inst, "undeclared exception table %d", d.Imm)
			return false
		}
	}
	for _, dest := range f.Dests(inst) {
		if !f.InLayout(dest.Block) {
			v.failInst(inst, "invalid block reference %v", dest.Block)
			return false
		}
	}
	if r, ok := d.Flags.Region(); ok && int(r) >= len(f.Regions) {
		v.failInst(inst, "undefined alias region %v", r)
		return false
	}
	return true
}

// types checks the controlling type and the fixed operands.
func (v *Verifier) types(inst ir.Inst, d *ir.InstData) {
	f := v.f
	info := d.Op.Info()
	if info.Ctrl == ir.CtrlNone {
		if d.Type != ir.Invalid {
			v.failInst(inst, "has a controlling type, %v, but takes none", d.Type)
		}
	} else if !info.Set.Contains(d.Type) {
		v.failInst(inst, "has an invalid controlling type %v, expected %v", d.Type, info.Set)
		return
	}
	args := f.Args(inst)
	n, more := d.Op.FixedOperands()
	if len(args) < n || len(args) > n && !more {
		v.failInst(inst, "mismatched argument count: got %d, expected %d", len(args), n)
		return
	}
	for i := range n {
		t := f.ValueType(f.Resolve(args[i]))
		if ok, want := d.Op.OperandOK(i, d.Type, t); !ok {
			v.failInst(inst, "arg %d (%v) has type %v, expected %s", i, args[i], t, want)
		}
	}
}

// results checks number and types of the results.
func (v *Verifier) results(inst ir.Inst, d *ir.InstData) {
	f := v.f
	results := f.Results(inst)
	n, more := d.Op.FixedResults()
	var want []ir.Param
	if sig := f.CallSignature(inst); more && sig != ir.NoSig {
		want = f.Sigs[sig].Returns
		n = len(want)
	}
	if len(results) != n {
		v.failInst(inst, "has %d results, expected %d", len(results), n)
		return
	}
	for i, r := range results {
		t := ir.Invalid
		if more {
			t = want[i].Type
		} else {
			t = d.Op.ResultType(i, d.Type)
		}
		if got := f.ValueType(r); got != t || t == ir.Invalid {
			v.failInst(inst, "result %d (%v) has type %v, expected %v", i, r, got, t)
		}
	}
}

// immediates checks the rules of single formats and opcodes.
func (v *Verifier) immediates(b ir.Block, inst ir.Inst, d *ir.InstData) {
	f := v.f
	args := f.Args(inst)
	switch d.Op.Format() {
	case ir.FormatUnaryImm:
		if bits := d.Type.Bits(); d.Type.IsVector() || bits > 64 {
			v.failInst(inst, "has an invalid controlling type %v, expected an integer of at most 64 bits", d.Type)
		} else if bits < 64 && uint64(d.Imm)>>bits != 0 {
			v.failInst(inst, "constant immediate is out of bounds: %#x does not fit %v", uint64(d.Imm), d.Type)
		}
	case ir.FormatUnaryConst:
		t := d.Type
		if d.Op == ir.OpF128const {
			t = ir.F128
		}
		if n := len(f.Constant(ir.Constant(d.Ref))); n != t.Bytes() {
			v.failInst(inst, "The instruction expects %v to have a size of %d bytes but it has %d", ir.Constant(d.Ref), t.Bytes(), n)
		}
	case ir.FormatShuffle:
		if n := len(f.Constant(ir.Constant(d.Ref))); n != 16 {
			v.failInst(inst, "The instruction expects %v to have a size of 16 bytes but it has %d", ir.Constant(d.Ref), n)
		}
	case ir.FormatBitCast:
		v.bitcast(inst, d)
	case ir.FormatBinaryImm8, ir.FormatTernaryImm8:
		if d.Imm < 0 || d.Op != ir.OpExtractVector && d.Imm >= int64(d.Type.Lanes()) {
			v.failInst(inst, "The lane %d does not index into the type %v", d.Imm, d.Type)
		}
	case ir.FormatUnaryGlobalValue:
		if t := v.globalType(ir.GlobalValue(d.Ref)); t != ir.Invalid && t != d.Type {
			v.failInst(inst, "global_value instruction with type %v references global value with type %v", d.Type, t)
		}
		if g := &f.Globals[d.Ref]; g.Kind != ir.GlobalSymbol && d.Op == ir.OpTlsValue || d.Op == ir.OpTlsValue && !g.TLS {
			v.failInst(inst, "%v is not a thread-local symbol", ir.GlobalValue(d.Ref))
		}
	case ir.FormatLoad, ir.FormatLoadNoOffset, ir.FormatAtomicRmw, ir.FormatAtomicCas:
		v.address(inst, args[0])
	case ir.FormatStore, ir.FormatStoreNoOffset:
		v.address(inst, args[1])
		if d.Flags&ir.MemReadonly != 0 {
			v.failInst(inst, "A store instruction cannot have the `readonly` MemFlag")
		}
	case ir.FormatTrap, ir.FormatCondTrap, ir.FormatIntAddTrap:
		if d.Trap == ir.NoTrap {
			v.failInst(inst, "a trap needs a trap code")
		}
	case ir.FormatExceptionHandlerAddress:
		v.handlerAddress(inst, d)
	}
	if d.Op == ir.OpGetCallReturnAddress {
		v.waiting = inst
	}
	if d.Flags&ir.MemLittle != 0 && d.Flags&ir.MemBig != 0 {
		v.failInst(inst, "is both little and big endian")
	}
	bad := false
	switch d.Op.Format() {
	case ir.FormatIntCompare:
		bad = d.IntCC() > ir.UnsignedLessThanOrEqual
	case ir.FormatFloatCompare:
		bad = d.FloatCC() > ir.UnorderedOrGreaterThanOrEqual
	case ir.FormatAtomicRmw:
		bad = d.AtomicOp() > ir.AtomicSmax
	}
	if bad {
		v.failInst(inst, "invalid condition or operation %d", d.Cond)
	}
}

// returnAddress looks for the call that the get_call_return_address before inst is
// about: the next one of the block, which must return to it.
func (v *Verifier) returnAddress(b ir.Block, inst ir.Inst) {
	switch op := v.f.Inst(inst).Op; {
	case op == ir.OpCall, op == ir.OpCallIndirect, op == ir.OpTryCall, op == ir.OpTryCallIndirect:
	case op.IsCall():
		v.failInst(v.waiting, "the next call, %v, is a %v, which does not return here", inst, op)
	case op.IsTerminator():
		v.failInst(v.waiting, "no call follows in %v", b)
	default:
		return
	}
	v.waiting = ir.NoInst
}

// address checks that an address has the pointer type.
func (v *Verifier) address(inst ir.Inst, a ir.Value) {
	want := v.o.PointerType
	if want == ir.Invalid {
		return
	}
	if t := v.f.ValueType(v.f.Resolve(a)); t != want && (t == ir.I32 || t == ir.I64) {
		v.failInst(inst, "invalid pointer width (got %d, expected %d) encountered %v", t.Bits(), want.Bits(), a)
	}
}

func (v *Verifier) bitcast(inst ir.Inst, d *ir.InstData) {
	arg := v.f.Args(inst)[0]
	t := v.f.ValueType(v.f.Resolve(arg))
	switch {
	case d.Flags&^(ir.MemLittle|ir.MemBig) != 0:
		v.failInst(inst, "The bitcast instruction only accepts the `big` or `little` memory flags")
	case d.Flags == 0 && t.Lanes() != d.Type.Lanes():
		v.failInst(inst, "Byte order specifier required for bitcast instruction changing lane count")
	}
	if t.Bits() != d.Type.Bits() {
		v.failInst(inst, "The bitcast argument %v has a type of %d bits, which doesn't match an expected type of %d bits", arg, t.Bits(), d.Type.Bits())
	}
}

func (v *Verifier) handlerAddress(inst ir.Inst, d *ir.InstData) {
	f := v.f
	b := ir.Block(d.Ref)
	if !f.InLayout(b) {
		v.failInst(inst, "invalid block reference %v", b)
		return
	}
	last := f.LastInst(b)
	if fm := f.Inst(last).Op.Format(); fm != ir.FormatTryCall && fm != ir.FormatTryCallIndirect {
		v.failInst(inst, "referenced block %v does not end in a try_call", b)
		return
	}
	switch n := len(f.Dests(last)) - 1; {
	case d.Imm < 0:
		v.failInst(inst, "exception handler index %d cannot be negative", d.Imm)
	case d.Imm >= int64(n):
		v.failInst(inst, "exception handler index %d is out-of-range", d.Imm)
	}
}

// branch checks the block calls of a branch, but for those of a try_call.
func (v *Verifier) branch(inst ir.Inst, d *ir.InstData) {
	f := v.f
	dests := f.Dests(inst)
	fm := d.Op.Format()
	try := fm == ir.FormatTryCall || fm == ir.FormatTryCallIndirect
	want := 0
	switch fm {
	case ir.FormatJump:
		want = 1
	case ir.FormatBrif:
		want = 2
	}
	switch {
	case !d.Op.IsBranch() && len(dests) > 0:
		v.failInst(inst, "has block calls but is no branch")
		return
	case want > 0 && len(dests) != want, d.Op.IsBranch() && len(dests) == 0:
		v.failInst(inst, "has %d block calls", len(dests))
		return
	}
	if try {
		return
	}
	for i := range dests {
		v.blockArgs(inst, i, func(a ir.Value) ir.Type {
			if a.IsPlain() {
				return f.ValueType(f.Resolve(a))
			}
			v.callArgOutside(inst, a)
			return ir.Invalid
		})
	}
}

func (v *Verifier) callArgOutside(inst ir.Inst, a ir.Value) {
	if _, ok := a.IsRetArg(); ok {
		v.failInst(inst, "`retN` block argument used outside normal-return target of `try_call`")
		return
	}
	v.failInst(inst, "`exnN` block argument used outside normal-return target of `try_call`")
}

// blockArgs checks the arguments of block call i, whose types typeOf gives;
// Invalid means that an error was reported.
func (v *Verifier) blockArgs(inst ir.Inst, i int, typeOf func(ir.Value) ir.Type) {
	f := v.f
	b := f.Dests(inst)[i].Block
	args, params := f.DestArgs(inst, i), f.Params(b)
	if len(args) != len(params) {
		v.failInst(inst, "mismatched argument count for %v: got %d, expected %d", b, len(args), len(params))
		return
	}
	for k, a := range args {
		t := typeOf(a)
		if want := f.ValueType(params[k]); t != ir.Invalid && t != want {
			v.failInst(inst, "arg %v has type %v, expected %v", a, t, want)
		}
	}
}

// returns checks a return against the function's signature.
func (v *Verifier) returns(inst ir.Inst) {
	f := v.f
	args := f.Args(inst)
	if len(args) != len(f.Sig.Returns) {
		v.failInst(inst, "arguments of return must match function signature: got %d, expected %d", len(args), len(f.Sig.Returns))
		return
	}
	for i, a := range args {
		if t, want := f.ValueType(f.Resolve(a)), f.Sig.Returns[i].Type; t != want {
			v.failInst(inst, "arg %d (%v) has type %v, must match function signature of %v", i, a, t, want)
		}
	}
}

// debugTags checks the tags of an instruction.
func (v *Verifier) debugTags(inst ir.Inst, d *ir.InstData) {
	if !d.Op.IsCall() && d.Op != ir.OpSequencePoint {
		v.failInst(inst, "debug tags are only allowed on calls and sequence points")
	}
	for _, t := range v.f.DebugTags(inst) {
		if t.Kind == ir.DebugStackSlot && int(t.Value) >= len(v.f.StackSlots) {
			v.failInst(inst, "undeclared %v in a debug tag", ir.StackSlot(t.Value))
		}
	}
}
