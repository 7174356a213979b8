package translate

import (
	"github.com/davit-wasm/davit/codegen/ir"
	"github.com/davit-wasm/davit/internal/image"
	"github.com/davit-wasm/davit/internal/layout"
	"github.com/davit-wasm/davit/wasm"
)

func (t *Translator) call() bool {
	m := t.m.Wasm
	switch t.in.Op {
	case wasm.OpCall, wasm.OpReturnCall:
		typ := m.Funcs[t.in.Index].Type
		tail := t.in.Op == wasm.OpReturnCall
		if int(t.in.Index) < m.NumImportedFuncs {
			record := t.m.Layout.ImportedFunc(t.in.Index)
			code := t.load(ir.I64, t.fixed(), t.vmctx, record+layout.FuncRecordCode)
			ctx := t.load(ir.I64, t.fixed(), t.vmctx, record+layout.FuncRecordVMCtx)
			t.callRecord(typ, code, ctx, tail)
			return true
		}
		t.callDirect(t.in.Index, typ, tail)
	case wasm.OpCallIndirect, wasm.OpReturnCallIndirect:
		typ, index := t.in.Index, t.in.Index2
		record := t.callee(typ, index)
		t.callReference(typ, record, t.in.Op == wasm.OpReturnCallIndirect)
	case wasm.OpCallRef, wasm.OpReturnCallRef:
		// A null reference faults when its record is read.
		typ := t.in.Index
		record := t.pop()
		flags := t.regions.context | ir.MemAligned | ir.MemReadonly
		code := t.load(ir.I64, flags.WithTrap(trap(image.TrapNullFunction)), record, layout.FuncRecordCode)
		ctx := t.load(ir.I64, t.trusted()|ir.MemReadonly, record, layout.FuncRecordVMCtx)
		t.callRecord(typ, code, ctx, t.in.Op == wasm.OpReturnCallRef)
	default:
		return false
	}
	return true
}

// callDirect calls a function of the same module.
func (t *Translator) callDirect(index, typ uint32, tail bool) {
	if t.directSigs[typ] == ir.NoSig {
		t.directSigs[typ] = t.f.AddSig(t.m.direct[typ])
		t.usedTypes = append(t.usedTypes, typ)
	}
	if t.funcs[index] == ir.NoFuncRef {
		t.funcs[index] = t.f.AddExtFunc(ir.ExtFunc{Name: ir.UserName(FunctionNamespace, index), Sig: t.directSigs[typ], Colocated: true})
		t.usedFuncs = append(t.usedFuncs, index)
	}
	t.suspend()
	t.args = append(t.args[:0], t.vmctx)
	t.args = append(t.args, t.popN(len(t.m.Wasm.Types[typ].Func.Params))...)
	if tail {
		t.b.ReturnCall(t.funcs[index], t.args...)
		t.noteCall(index)
		t.dead = 1
		return
	}
	inst := t.b.Call(t.funcs[index], t.args...)
	t.noteCall(index)
	t.stack = append(t.stack, t.f.Results(inst)...)
	t.resume()
}

// callRecord calls code with the context of its record.
func (t *Translator) callRecord(typ uint32, code, ctx ir.Value, tail bool) {
	if t.recordSigs[typ] == ir.NoSig {
		t.recordSigs[typ] = t.f.AddSig(t.m.record[typ])
		t.usedTypes = append(t.usedTypes, typ)
	}
	t.suspend()
	t.args = append(t.args[:0], ctx, t.vmctx)
	t.args = append(t.args, t.popN(len(t.m.Wasm.Types[typ].Func.Params))...)
	if tail {
		t.b.ReturnCallIndirect(t.recordSigs[typ], code, t.args...)
		t.dead = 1
		return
	}
	inst := t.b.CallIndirect(t.recordSigs[typ], code, t.args...)
	t.stack = append(t.stack, t.f.Results(inst)...)
	t.resume()
}

// callReference calls through a record that has been checked.
func (t *Translator) callReference(typ uint32, record ir.Value, tail bool) {
	flags := t.trusted() | ir.MemReadonly
	code := t.load(ir.I64, flags, record, layout.FuncRecordCode)
	ctx := t.load(ir.I64, flags, record, layout.FuncRecordVMCtx)
	t.callRecord(typ, code, ctx, tail)
}

// callee is the function record of an indirect call: the table's element, if
// it is there, is not null, and has the right type. Being null is found by the
// fault when its type is read.
func (t *Translator) callee(typ, table uint32) ir.Value {
	record := t.load(ir.I64, t.regions.table|ir.MemAligned.WithTrap(trap(image.TrapUndefinedElement)), t.element(table, t.pop(), image.TrapUndefinedElement), 0)
	flags := t.regions.context | ir.MemAligned | ir.MemReadonly
	id := t.load(ir.I32, flags.WithTrap(trap(image.TrapUninitializedElement)), record, layout.FuncRecordTypeID)
	want := t.load(ir.I32, t.fixed(), t.vmctx, t.m.Layout.TypeID(typ))
	differs := t.compare(ir.NotEqual, id, want)
	if t.m.Wasm.Types[typ].Final {
		t.trapIf(image.TrapIndirectCallType, differs)
		return record
	}
	// The function may be of a type derived from the wanted one. That is rare
	// enough to ask the runtime.
	ask, next := t.b.CreateBlock(), t.b.CreateBlock()
	t.f.SetCold(ask, true)
	t.b.Brif(differs, ask, nil, next, nil)
	t.b.Seal(ask)
	t.b.SwitchTo(ask)
	derived := t.libcallResult(ir.I64, t.libcall(layout.LibSubtype, id, want))
	t.emit(ir.InstData{Op: ir.OpTrapz, Type: ir.I64, Trap: trap(image.TrapIndirectCallType)}, derived)
	t.b.Jump(next)
	t.b.Seal(next)
	t.b.SwitchTo(next)
	return record
}
