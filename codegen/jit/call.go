package jit

import (
	"context"
	"errors"
	"fmt"

	"github.com/davit-wasm/davit/codegen"
	"github.com/davit-wasm/davit/codegen/ir"
	"github.com/davit-wasm/davit/internal/layout"
	"github.com/davit-wasm/davit/internal/native"
)

// SlotSize is the size in bytes of an argument or result in a call's buffer.
// Values narrower than that lie at the slot's start in the machine's byte order.
const SlotSize = 16

// HostFunc is a Go function that compiled code calls. slots holds the arguments,
// [SlotSize] bytes each, and takes the results, in the same place; it is good
// until the function returns. An error gives up the native code:
// [Module.Call] returns it; but an [*Exception] may be handled there.
type HostFunc func(ctx context.Context, slots []byte) error

type host struct {
	name  ir.Name
	slots int
	call  HostFunc
}

// Trap is the error of a call whose code has trapped.
type Trap struct {
	Code   ir.TrapCode
	Func   ir.Name // where the instruction is
	Offset uint32  // of the instruction in the function
}

func (t *Trap) Error() string {
	return fmt.Sprintf("trap: %v in %v at %#x", t.Code, t.Func, t.Offset)
}

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

// entry is the entry trampoline for signature s, compiled if it is the first of
// its kind; -1 if there can be none. A trampoline takes execution context,
// code address, context and buffer in convention go.
func (m *Module) entry(s *ir.Signature) (int, error) {
	if !callable(s) {
		return -1, nil
	}
	key := signatureKey(s)
	if i, ok := m.entries[key]; ok {
		return i, nil
	}
	word := ir.Param{Type: ir.I64}
	f := ir.NewFunction(ir.TestName("entry"), ir.Signature{Params: []ir.Param{word, word, word, word}, CallConv: ir.Go})
	sig := f.AddSig(*s)
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
		return 0, err
	}
	compiled, err := m.ctx.Compile(f, m.target, codegen.Options{})
	if err != nil {
		return 0, fmt.Errorf("jit: entry trampoline: %w", err)
	}
	i := len(m.tramps)
	m.tramps = append(m.tramps, trampoline{})
	m.entries[key] = i
	m.pend(compiled, noFunc, i)
	return i, nil
}

// DefineHost makes a Go function callable by compiled code under a name. The
// code that calls it must run by way of [Module.Call].
func (m *Module) DefineHost(name ir.Name, s ir.Signature, call HostFunc) (FuncID, error) {
	if !callable(&s) {
		return 0, fmt.Errorf("jit: %v: %w", name, ErrNotCallable)
	}
	f := ir.NewFunction(name, cloneSignature(s))
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
	// The execution context lies at the base of the stack's aligned region. The
	// exit record names the frame and the return address of the exiting call.
	exec := b.Band(b.GetStackPointer(ir.I64), b.Iconst(ir.I64, -layout.StackRegionSize))
	set := func(field int32, v ir.Value) { b.Store(ir.MemTrusted, v, exec, field) }
	exit := b.Load(ir.I64, ir.MemTrusted, exec, layout.ExecExitStub)
	set(layout.ExecExitKind, b.Iconst(ir.I64, layout.ExitHost))
	set(layout.ExecExitData, b.Iconst(ir.I64, int64(len(m.hosts))))
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
	if err == nil {
		m.hosts = append(m.hosts, host{name, slots(&s), call})
	}
	return id, err
}

// Call calls a finalized function. buffer holds the arguments, [SlotSize]
// bytes each, and takes the results. The error is a [*Trap], that of a host
// function, or that of ctx, which is looked at when the code has been running
// for a while.
func (m *Module) Call(ctx context.Context, id FuncID, buffer []byte) error {
	f := &m.funcs[id]
	if f.addr == 0 || f.entry < 0 {
		return fmt.Errorf("%v: %w", f.name, ErrNotCallable)
	}
	n := slots(&f.sig) * SlotSize
	if len(buffer) < n {
		return fmt.Errorf("%v: the buffer has %d bytes, the call needs %d", f.name, len(buffer), n)
	}
	stack, err := native.AcquireStack(0)
	if err != nil {
		return err
	}
	defer stack.Release()
	at, err := stack.Push(n)
	if err != nil {
		return err
	}
	defer stack.Pop(n)
	shared := native.Bytes(at, n)
	copy(shared, buffer)
	err = stack.Call(m.tramps[f.entry].entry, f.addr, 0, at, &activation{m, ctx})
	var t *native.Trap
	if errors.As(err, &t) {
		return m.trap(t)
	}
	copy(buffer, shared)
	return err
}

// trap names the function that trapped.
func (m *Module) trap(t *native.Trap) error {
	if f, ok := m.functionAt(t.PC); ok {
		return &Trap{Code: ir.TrapCode(t.Code), Func: f.name, Offset: uint32(t.PC - f.addr)}
	}
	return t
}

// functionAt is the function whose code holds pc.
func (m *Module) functionAt(pc uintptr) (*function, bool) {
	for i := range m.funcs {
		if f := &m.funcs[i]; f.addr <= pc && pc < f.addr+uintptr(f.size) {
			return f, true
		}
	}
	return nil, false
}

// activation is the Go side of one call.
type activation struct {
	m   *Module
	ctx context.Context
}

// Exit serves a host function.
func (a *activation) Exit(s *native.Stack, e native.Exit) error {
	if e.Kind != layout.ExitHost || e.Data >= uintptr(len(a.m.hosts)) {
		return fmt.Errorf("jit: exit of kind %d, %#x", e.Kind, e.Data)
	}
	h := &a.m.hosts[e.Data]
	err := h.call(a.ctx, native.Bytes(e.Buffer, max(1, h.slots)*SlotSize))
	var x *Exception
	if errors.As(err, &x) && a.m.throw(s, x) {
		return nil
	}
	return err
}

// Yield lets code run on until the call's context is done.
func (a *activation) Yield(*native.Stack) error { return a.ctx.Err() }
