package verifier

import (
	"slices"

	"github.com/davit-wasm/davit/codegen/ir"
)

// call checks a call of any kind against its signature.
func (v *Verifier) call(inst ir.Inst, d *ir.InstData) {
	f := v.f
	sig := &f.Sigs[f.CallSignature(inst)]
	args := f.Args(inst)
	if fm := d.Op.Format(); fm == ir.FormatCallIndirect || fm == ir.FormatTryCallIndirect {
		args = args[1:]
	}
	if try := d.Op == ir.OpTryCall || d.Op == ir.OpTryCallIndirect; try && !v.tableSignature(inst, d, sig) {
		return
	}
	if len(args) != len(sig.Params) {
		v.failInst(inst, "mismatched argument count for `%s`: got %d, expected %d", v.callText(inst, d), len(args), len(sig.Params))
		return
	}
	for i, a := range args {
		if t, want := f.ValueType(f.Resolve(a)), sig.Params[i].Type; t != want {
			v.failInst(inst, "arg %d (%v) has type %v, expected %v", i, a, t, want)
		}
	}
	switch d.Op {
	case ir.OpReturnCall, ir.OpReturnCallIndirect:
		v.tailCall(inst, sig)
	case ir.OpTryCall, ir.OpTryCallIndirect:
		v.tryCall(inst, d, sig)
	}
	if d.Op.Format() == ir.FormatCall || d.Op.Format() == ir.FormatTryCall {
		if e := &f.ExtFuncs[d.Ref]; e.Patchable {
			switch {
			case len(sig.Returns) > 0:
				v.failInst(inst, "patchable call cannot occur to a function with return values")
			case !e.Colocated:
				v.failInst(inst, "patchable call to non-colocated function")
			}
		}
	}
	for _, e := range f.StackMap(inst) {
		if int(e.Slot) >= len(f.StackSlots) {
			v.failInst(inst, "undeclared %v in a stack map", e.Slot)
		} else if size := f.StackSlots[e.Slot].Size; uint64(e.Offset)+uint64(e.Type.Bytes()) > uint64(size) {
			v.failInst(inst, "stack map entry %v @ %v+%d is beyond the slot's %d bytes", e.Type, e.Slot, e.Offset, size)
		}
	}
}

// callText is the instruction as far as an error about its arguments needs it.
func (v *Verifier) callText(inst ir.Inst, d *ir.InstData) string {
	s := d.Op.String() + " "
	args := v.f.Args(inst)
	switch d.Op.Format() {
	case ir.FormatCall, ir.FormatTryCall:
		s += ir.FuncRef(d.Ref).String()
	default:
		s += ir.SigRef(d.Ref).String() + ", " + args[0].String()
		args = args[1:]
	}
	s += "("
	for i, a := range args {
		if i > 0 {
			s += ", "
		}
		if i == 8 {
			s += "…"
			break
		}
		s += a.String()
	}
	return s + ")"
}

// supportsTailCalls tells whether a function of convention c may be called in
// tail position.
func supportsTailCalls(c ir.CallConv) bool { return c == ir.Tail }

func (v *Verifier) tailCall(inst ir.Inst, sig *ir.Signature) {
	own := &v.f.Sig
	if !supportsTailCalls(sig.CallConv) {
		v.failInst(inst, "calling convention `%v` does not support tail calls", sig.CallConv)
	}
	if sig.CallConv != own.CallConv {
		v.failInst(inst, "callee's calling convention must match caller")
	}
	if len(sig.Returns) != len(own.Returns) {
		v.failInst(inst, "results of callee must match caller")
		return
	}
	for i := range sig.Returns {
		if t, want := sig.Returns[i].Type, own.Returns[i].Type; t != want {
			v.failInst(inst, "result %d has type %v, must match function signature of %v", i, t, want)
		}
	}
}

// payloads is how many values an exception hands to a handler when it passes
// through a call of convention c; 0 if the convention has no exceptions.
func payloads(c ir.CallConv) int {
	switch c {
	case ir.Tail, ir.SystemV, ir.Fast, ir.Winch, ir.PreserveAll, ir.AppleAarch64:
		return 2
	}
	return 0
}

// tableSignature checks that the exception table of a try_call is for
// functions of signature sig.
func (v *Verifier) tableSignature(inst ir.Inst, d *ir.InstData, sig *ir.Signature) bool {
	f := v.f
	table := &f.ExceptionTables[d.Imm]
	if int(table.Sig) >= len(f.Sigs) {
		v.failInst(inst, "undeclared %v in the exception table", table.Sig)
		return false
	}
	if t := &f.Sigs[table.Sig]; !sameSignature(t, sig) {
		if d.Op == ir.OpTryCall {
			v.failInst(inst, "exception table signature %v did not match function %v's signature %v", table.Sig, ir.FuncRef(d.Ref), f.CallSignature(inst))
		} else {
			v.failInst(inst, "exception table signature %v did not match the callee's signature %v", table.Sig, f.CallSignature(inst))
		}
		return false
	}
	return true
}

func (v *Verifier) tryCall(inst ir.Inst, d *ir.InstData, sig *ir.Signature) {
	f := v.f
	table := &f.ExceptionTables[d.Imm]
	handlers := 0
	for _, h := range table.Handlers {
		if h.Kind != ir.HandlerContext {
			handlers++
		} else if !v.use(f.InstBlock(inst), inst, h.Context) {
			return
		}
	}
	if handlers != len(f.Dests(inst))-1 {
		v.failInst(inst, "the exception table has %d handlers, the call %d blocks for them", handlers, len(f.Dests(inst))-1)
		return
	}
	n := payloads(sig.CallConv)
	if n == 0 {
		v.failInst(inst, "calling convention `%v` of callee does not support exceptions", sig.CallConv)
		return
	}
	exn := v.o.PointerType
	if exn == ir.Invalid {
		exn = ir.I64
	}
	for i := range f.Dests(inst) {
		v.blockArgs(inst, i, func(a ir.Value) ir.Type {
			if a.IsPlain() {
				return f.ValueType(f.Resolve(a))
			}
			if k, ok := a.IsRetArg(); ok && i == 0 {
				if k >= len(sig.Returns) {
					v.failInst(inst, "out-of-bounds `retN` block argument")
					return ir.Invalid
				}
				return sig.Returns[k].Type
			}
			if k, ok := a.IsExnArg(); ok && i > 0 {
				if k >= n {
					v.failInst(inst, "out-of-bounds `exnN` block argument")
					return ir.Invalid
				}
				return exn
			}
			v.callArgOutside(inst, a)
			return ir.Invalid
		})
	}
}

func sameSignature(a, b *ir.Signature) bool {
	return a == b || a.CallConv == b.CallConv && slices.Equal(a.Params, b.Params) && slices.Equal(a.Returns, b.Returns)
}
