package translate

import (
	"github.com/davit-wasm/davit/codegen/frontend"
	"github.com/davit-wasm/davit/codegen/ir"
	"github.com/davit-wasm/davit/internal/image"
	"github.com/davit-wasm/davit/internal/layout"
)

// Namespaces of the names of trampolines in IR; the index is the signature's.
const (
	EntryNamespace  = 1
	ExitNamespace   = 2
	DirectNamespace = 3
)

// Trampolines makes the functions between Go and compiled code: one of each
// kind for a signature. Its memory is used again; it belongs to one goroutine.
type Trampolines struct {
	b    frontend.Builder
	args []ir.Value
}

func (t *Trampolines) value(d ir.InstData, args ...ir.Value) ir.Value {
	return t.b.Func().Result(t.b.Insert(d, args...))
}

func (t *Trampolines) emit(d ir.InstData, args ...ir.Value) ir.Inst { return t.b.Insert(d, args...) }

func (t *Trampolines) iconst(typ ir.Type, v int64) ir.Value { return t.b.Iconst(typ, v) }

// SlotType is the IR type of a slot.
func SlotType(s image.Slot) ir.Type {
	return [...]ir.Type{image.SlotI32: ir.I32, image.SlotI64: ir.I64, image.SlotF32: ir.F32, image.SlotF64: ir.F64, image.SlotV128: ir.I8X16, image.SlotRef: ir.I64}[s]
}

// recordSignature is the signature of code called through a function record.
func recordSignature(sig *image.Signature) ir.Signature {
	s := ir.Signature{CallConv: ir.Tail}
	s.Params = append(s.Params, ir.Param{Type: ir.I64, Purpose: ir.VMContext}, ir.Param{Type: ir.I64, Purpose: ir.CallerContext})
	for _, p := range sig.Params {
		s.Params = append(s.Params, ir.Param{Type: SlotType(p)})
	}
	for _, r := range sig.Results {
		s.Returns = append(s.Returns, ir.Param{Type: SlotType(r)})
	}
	return s
}

// bufferFlags are the flags of accesses to an argument buffer.
const bufferFlags = ir.MemTrusted | ir.MemLittle

func (t *Trampolines) loadSlots(slots []image.Slot, buffer ir.Value) {
	off := int64(0)
	for _, s := range slots {
		t.args = append(t.args, t.value(ir.InstData{Op: ir.OpLoad, Type: SlotType(s), Flags: bufferFlags, Imm: off}, buffer))
		off += int64(s.Size())
	}
}

// storeSlots stores values. Integers fill their slots, because Go may read all of
// one: a load of more than has just been stored waits until that is in the cache.
func (t *Trampolines) storeSlots(slots []image.Slot, values []ir.Value, buffer ir.Value, off int64) {
	for i, s := range slots {
		v, typ := values[i], SlotType(s)
		if typ == ir.I32 {
			typ = ir.I64
			v = t.value(ir.InstData{Op: ir.OpUextend, Type: typ}, v)
		}
		t.emit(ir.InstData{Op: ir.OpStore, Type: typ, Flags: bufferFlags, Imm: off}, v, buffer)
		off += int64(s.Size())
	}
}

// begin starts a function that is one block.
func (t *Trampolines) begin(f *ir.Function, name ir.Name, sig ir.Signature) []ir.Value {
	f.Clear()
	f.Name, f.Sig = name, sig
	t.b.Begin(f)
	b := t.b.CreateBlock()
	t.b.AppendFunctionParams(b)
	t.b.SwitchTo(b)
	t.b.Seal(b)
	return f.Params(b)
}

// finish ends the function. It has no variables, which is what fails for others.
func (t *Trampolines) finish() {
	if err := t.b.Finish(); err != nil {
		panic(err)
	}
}

// Entry makes the entry trampoline of sig, number index, in f: see
// [image.Signature].
func (t *Trampolines) Entry(f *ir.Function, sig *image.Signature, index uint32) {
	word := ir.Param{Type: ir.I64}
	p := t.begin(f, ir.UserName(EntryNamespace, index), ir.Signature{Params: []ir.Param{word, word, word, word}, CallConv: ir.Go})
	code, vmctx, buffer := p[1], p[2], p[3]
	t.args = append(t.args[:0], vmctx, t.iconst(ir.I64, 0))
	t.loadSlots(sig.Params, buffer)
	call := t.b.CallIndirect(f.AddSig(recordSignature(sig)), code, t.args...)
	t.storeSlots(sig.Results, f.Results(call), buffer, 0)
	t.b.Return()
	t.finish()
}

// maxDirect is how many integers, and how many floats, Go's convention has registers for,
// besides the pass.
var maxDirect = [2]int{8, 15}

// HasDirect reports whether there is a direct entry trampoline of sig: if Go's convention
// passes everything in registers, and typed functions have so many results.
func HasDirect(sig *image.Signature) bool {
	var n [2]int
	for _, s := range sig.Params {
		class := 0
		switch s {
		case image.SlotV128, image.SlotRef:
			return false
		case image.SlotF32, image.SlotF64:
			class = 1
		}
		n[class]++
	}
	for _, s := range sig.Results {
		if s == image.SlotV128 || s == image.SlotRef {
			return false
		}
	}
	return n[0] <= maxDirect[0] && n[1] <= maxDirect[1] && len(sig.Results) <= 2
}

// Direct makes the direct entry trampoline of sig, number index, in f: see
// [image.Signature].
func (t *Trampolines) Direct(f *ir.Function, sig *image.Signature, index uint32) {
	record := recordSignature(sig)
	const contexts = 2
	s := ir.Signature{Params: []ir.Param{{Type: ir.I64, Purpose: ir.Pass}}, Returns: record.Returns, CallConv: ir.Go}
	s.Params = append(s.Params, record.Params[contexts:]...)
	p := t.begin(f, ir.UserName(DirectNamespace, index), s)
	word := func(off int64) ir.Value {
		return t.value(ir.InstData{Op: ir.OpLoad, Type: ir.I64, Flags: bufferFlags, Imm: off}, p[0])
	}
	t.args = append(t.args[:0], word(layout.PassVMCtx), t.iconst(ir.I64, 0))
	t.args = append(t.args, p[1:]...)
	call := t.b.CallIndirect(f.AddSig(record), word(layout.PassCode), t.args...)
	results := f.Results(call)
	if len(results) > 0 {
		// A call that has left for Go comes back by a resume, which knows nothing of registers.
		sp := t.value(ir.InstData{Op: ir.OpGetStackPointer, Type: ir.I64})
		exec := t.value(ir.InstData{Op: ir.OpBand, Type: ir.I64}, sp, t.iconst(ir.I64, -layout.StackRegionSize))
		t.storeSlots(sig.Results, results, exec, layout.ExecScratch)
	}
	t.b.Return(results...)
	t.finish()
}

// Exit makes the exit trampoline of sig, number index, in f: see
// [image.Signature].
func (t *Trampolines) Exit(f *ir.Function, sig *image.Signature, index uint32) {
	p := t.begin(f, ir.UserName(ExitNamespace, index), recordSignature(sig))
	host, caller, params := p[0], p[1], p[2:]
	size := max(16, (sig.BufferSize()+15)&^15)
	slot := f.AddStackSlot(ir.StackSlotData{Size: uint32(size), AlignLog2: 4})
	buffer := t.b.StackAddr(ir.I64, slot, 0)
	t.storeSlots(sig.Params, params, buffer, 0)
	e := exit{b: t, sig: f.AddSig(stubSignature)}
	e.leave(layout.ExitHost, host, buffer, caller)
	t.args = t.args[:0]
	t.loadSlots(sig.Results, buffer)
	t.b.Return(t.args...)
	t.finish()
}
