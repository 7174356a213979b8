package jit

import (
	"errors"
	"fmt"

	"github.com/davit-wasm/davit/codegen"
	"github.com/davit-wasm/davit/codegen/ir"
	"github.com/davit-wasm/davit/codegen/module"
	"github.com/davit-wasm/davit/internal/layout"
)

// SlotSize is the size in bytes of an argument or result in a call's buffer.
// Values narrower than that lie at the slot's start in the machine's byte order.
const SlotSize = 16

// ErrNotCallable is wrapped by the error of a call to a function that is not
// finalized, or whose parameters do not fit slots.
var ErrNotCallable = errors.New("jit: function cannot be called from Go")

// callable tells whether all values of a signature fit slots.
func callable(s *ir.Signature) bool {
	for _, list := range [...][]ir.Param{s.Params, s.Returns} {
		for _, p := range list {
			if p.Type.Bytes() > SlotSize || p.Type.IsDynamic() || p.Purpose == ir.StructArg {
				return false
			}
		}
	}
	return true
}

// slots is how many slots a call of s needs.
func slots(s *ir.Signature) int { return max(len(s.Params), len(s.Returns)) }

// signatureKey names a signature: functions with the same key share their
// trampolines.
func signatureKey(s *ir.Signature) string {
	key := []byte{byte(s.CallConv), byte(len(s.Params) >> 8), byte(len(s.Params))}
	for _, list := range [...][]ir.Param{s.Params, s.Returns} {
		for _, p := range list {
			key = append(key, byte(p.Type>>8), byte(p.Type), byte(p.Purpose), byte(p.Ext))
		}
	}
	return string(key)
}

// bufferFlags are the flags of accesses to a buffer: in the machine's own order.
const bufferFlags = ir.MemTrusted

// needEntry compiles the entry trampoline for a function, if it is the first with
// its signature. A trampoline takes execution context, code address, context and
// buffer in convention go.
func (m *Module) needEntry(id module.ID) error {
	s := module.CloneSignature(&m.table.At(id).Sig)
	if s.CallConv == ir.Go || !callable(&s) {
		return nil
	}
	key := signatureKey(&s)
	if _, ok := m.entries[key]; ok {
		return nil
	}
	word := ir.Param{Type: ir.I64}
	f := ir.NewFunction(ir.TestName("entry from Go"), ir.Signature{Params: []ir.Param{word, word, word, word}, CallConv: ir.Go})
	sig := f.AddSig(s)
	b := &m.builder
	b.Begin(f)
	blk := b.CreateBlock()
	b.AppendFunctionParams(blk)
	b.SwitchTo(blk)
	b.Seal(blk)
	code, buffer := f.Params(blk)[1], f.Params(blk)[3]
	args := make([]ir.Value, len(s.Params))
	for i, p := range s.Params {
		args[i] = b.Load(p.Type, bufferFlags, buffer, int32(i*SlotSize))
	}
	call := b.CallIndirect(sig, code, args...)
	for i := range s.Returns {
		b.Store(bufferFlags, f.Results(call)[i], buffer, int32(i*SlotSize))
	}
	b.Return()
	if err := b.Finish(); err != nil {
		return err
	}
	compiled, err := m.ctx.Compile(f, m.target, codegen.Options{})
	if err != nil {
		return fmt.Errorf("jit: entry trampoline: %w", err)
	}
	t, err := m.blob(noID, f, compiled)
	if err != nil {
		return err
	}
	t.tramp, t.body = len(m.tramps), false
	m.tramps = append(m.tramps, &trampoline{})
	m.entries[key] = t.tramp
	m.pending = append(m.pending, t)
	return nil
}

// DefineHost makes a Go function callable by compiled code under a name. The
// code that calls it must run by way of calls from Go through this package.
func (m *Module) DefineHost(name ir.Name, s ir.Signature, call HostFunc) (module.ID, error) {
	if !callable(&s) {
		return 0, fmt.Errorf("jit: %v: %w", name, ErrNotCallable)
	}
	f := ir.NewFunction(name, module.CloneSignature(&s))
	stub := f.AddSig(ir.Signature{CallConv: ir.Tail})
	buf := f.AddStackSlot(ir.StackSlotData{Size: uint32(max(1, slots(&s)) * SlotSize), AlignLog2: 4})
	b := &m.builder
	b.Begin(f)
	blk := b.CreateBlock()
	b.AppendFunctionParams(blk)
	b.SwitchTo(blk)
	b.Seal(blk)
	buffer := b.StackAddr(ir.I64, buf, 0)
	for i, p := range f.Params(blk) {
		b.Store(bufferFlags, p, buffer, int32(i*SlotSize))
	}
	// The execution context lies in the stack's aligned region, in a fixed place. The
	// exit record names the frame and the return address of the exiting call.
	hosts := *m.hosts.Load()
	exec := b.Band(b.GetStackPointer(ir.I64), b.Iconst(ir.I64, -layout.StackRegionSize))
	set := func(field int32, v ir.Value) { b.Store(ir.MemTrusted, v, exec, field) }
	exit := b.Load(ir.I64, ir.MemTrusted, exec, layout.ExecExitStub)
	set(layout.ExecExitKind, b.Iconst(ir.I64, layout.ExitHost))
	set(layout.ExecExitData, b.Iconst(ir.I64, int64(len(hosts))))
	set(layout.ExecExitArg, buffer)
	set(layout.ExecExitFP, b.GetFramePointer(ir.I64))
	set(layout.ExecExitPC, b.GetCallReturnAddress(ir.I64))
	b.CallIndirect(stub, exit)
	results := make([]ir.Value, len(s.Returns))
	for i, r := range s.Returns {
		results[i] = b.Load(r.Type, bufferFlags, buffer, int32(i*SlotSize))
	}
	b.Return(results...)
	if err := b.Finish(); err != nil {
		return 0, err
	}
	id, err := m.Define(f)
	if err != nil {
		return 0, err
	}
	// Calls read the list that they have found; what is appended lies behind its
	// end.
	hosts = append(hosts, host{name, slots(&s), call})
	m.hosts.Store(&hosts)
	return id, nil
}
