package translate

import (
	"github.com/davit-wasm/davit/codegen/ir"
	"github.com/davit-wasm/davit/internal/layout"
)

// bufferSlots is the size of the buffer for a libcall's arguments in 8-byte
// slots; no libcall has more.
const bufferSlots = 8

// libcall calls a service of the runtime. Arguments narrower than 64 bits are
// zero-extended; a libcall's first argument, the instance context, is added.
// It yields the address of the buffer, in which the results lie. A service
// that fails does not return.
func (t *Translator) libcall(number int64, args ...ir.Value) (buffer ir.Value) {
	buffer = t.libcallBuffer()
	t.store(ir.MemTrusted, t.vmctx, buffer, 0)
	for i, a := range args {
		if t.f.ValueType(a) == ir.I32 {
			a = t.convert(ir.OpUextend, ir.I64, a)
		}
		t.store(ir.MemTrusted, a, buffer, int32(8+8*i))
	}
	t.leaveFor(number, buffer)
	return buffer
}

// libcallBuffer is the address of the function's buffer for libcalls.
func (t *Translator) libcallBuffer() ir.Value {
	if t.buffer == ir.NoStackSlot {
		t.buffer = t.f.AddStackSlot(ir.StackSlotData{Size: 8 * bufferSlots, AlignLog2: 4})
	}
	return t.b.StackAddr(ir.I64, t.buffer, 0)
}

// leaveFor leaves for a service of the runtime, whose arguments are in the buffer.
func (t *Translator) leaveFor(number int64, buffer ir.Value) {
	if t.stubSig == ir.NoSig {
		t.stubSig = t.f.AddSig(stubSignature)
	}
	e := exit{b: t, sig: t.stubSig}
	e.leave(layout.ExitLibcall, t.iconst(ir.I64, number), buffer, ir.NoValue)
}

// libcallResult is the first result of the libcall that yielded buffer.
func (t *Translator) libcallResult(typ ir.Type, buffer ir.Value) ir.Value {
	return t.load(typ, ir.MemTrusted|ir.MemLittle, buffer, 0)
}

// stubSignature is the signature of the exit stub.
var stubSignature = ir.Signature{CallConv: ir.Tail}

// emitter is what exits are emitted through: a translator or a trampoline.
type emitter interface {
	value(d ir.InstData, args ...ir.Value) ir.Value
	emit(d ir.InstData, args ...ir.Value) ir.Inst
	iconst(t ir.Type, v int64) ir.Value
}

// exit emits the way out of native code: the exit record is written, then the
// exit stub is called, which comes back when the Go side resumes.
type exit struct {
	b   emitter
	sig ir.SigRef
}

// leave exits for a reason with the data that goes with it. The record holds
// the frame pointer and the return address of this very call, so that a
// backtrace begins in the function that makes it. caller is [ir.NoValue] for
// libcalls.
func (e *exit) leave(kind int64, data, buffer, caller ir.Value) {
	const flags = ir.MemTrusted | ir.MemLittle
	store := func(v, base ir.Value, offset int32) {
		e.b.emit(ir.InstData{Op: ir.OpStore, Type: ir.I64, Flags: flags, Imm: int64(offset)}, v, base)
	}
	sp := e.b.value(ir.InstData{Op: ir.OpGetStackPointer, Type: ir.I64})
	exec := e.b.value(ir.InstData{Op: ir.OpBand, Type: ir.I64}, sp, e.b.iconst(ir.I64, -layout.StackRegionSize))
	stub := e.b.value(ir.InstData{Op: ir.OpLoad, Type: ir.I64, Flags: flags, Imm: layout.ExecExitStub}, exec)
	store(e.b.iconst(ir.I64, kind), exec, layout.ExecExitKind)
	store(data, exec, layout.ExecExitData)
	store(buffer, exec, layout.ExecExitArg)
	if caller != ir.NoValue {
		store(caller, exec, layout.ExecExitCaller)
	}
	store(e.b.value(ir.InstData{Op: ir.OpGetFramePointer, Type: ir.I64}), exec, layout.ExecExitFP)
	store(e.b.value(ir.InstData{Op: ir.OpGetCallReturnAddress, Type: ir.I64}), exec, layout.ExecExitPC)
	e.b.emit(ir.InstData{Op: ir.OpCallIndirect, Type: ir.I64, Ref: uint32(e.sig)}, stub)
}
