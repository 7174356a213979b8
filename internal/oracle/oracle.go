// Package oracle runs WebAssembly modules by the IR interpreter: each function
// is translated as it is for the compiler, optimized if that is wanted, and then
// interpreted, with contexts, memories and tables laid out as compiled code
// expects them. What it does is therefore what translation (and the mid-end)
// mean, whatever instruction selection, register allocation and the runtime make of
// it; where it differs from native code, one of these is wrong.
//
// It is for tests: slow, and for modules without imports, whose types are function
// types.
package oracle

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"github.com/davit-wasm/davit/codegen"
	"github.com/davit-wasm/davit/codegen/interp"
	"github.com/davit-wasm/davit/codegen/ir"
	"github.com/davit-wasm/davit/internal/compile"
	"github.com/davit-wasm/davit/internal/image"
	"github.com/davit-wasm/davit/internal/layout"
	"github.com/davit-wasm/davit/internal/translate"
	"github.com/davit-wasm/davit/wasm"
)

// Options say what is interpreted. The zero value is what the translator makes.
type Options struct {
	Settings image.Settings
	// Optimized interprets what the mid-end makes of a function, for this machine.
	Optimized bool
	// Fuel is how many IR instructions a call may run; 0 means the interpreter's
	// default.
	Fuel uint64
}

// Trap is the error of a call that ends abnormally.
type Trap struct{ Code image.TrapCode }

func (t *Trap) Error() string { return "wasm trap: " + t.Code.String() }

// ErrUnsupported is wrapped by the error for a module that cannot be run here.
var ErrUnsupported = errors.New("not supported by the oracle")

// Where things lie in the interpreter's memory. Stacks begin at an address that the
// interpreter fixes; its lowest bytes are the execution context.
const (
	contextAt = 0x10_0000_0000
	storeAt   = 0x12_0000_0000
	memoryAt  = 0x1000_0000_0000
	tableAt   = 0x2000_0000_0000
	spacing   = 0x10_0000_0000 // between memories, and between tables
	// tablesMax and memoryMax are how far tables and memories grow, in elements and bytes.
	tablesMax = 1 << 20
	memoryMax = 1 << 30
)

// Instance is an instantiated module. It is for one goroutine at a time.
type Instance struct {
	m        *wasm.Module
	layout   layout.InstanceLayout
	machine  interp.Machine
	context  []byte
	memories [][]byte
	tables   [][]byte
	dropped  []bool
	elements [][]uint64
}

// New translates and instantiates a module, and runs its start function.
func New(code []byte, o *Options) (*Instance, error) {
	if o == nil {
		o = &Options{}
	}
	m, err := wasm.Decode(code, &wasm.Config{Features: compile.Features})
	if err != nil {
		return nil, err
	}
	if len(m.Imports) > 0 {
		return nil, fmt.Errorf("%w: imports", ErrUnsupported)
	}
	in := &Instance{m: m, layout: image.LayoutOf(m)}
	in.machine.Fuel, in.machine.CallReturnAddress = o.Fuel, 1 // nobody goes there
	in.machine.StackRoom = layout.StackRegionSize - layout.ExecBase
	if err := in.define(code, o); err != nil {
		return nil, err
	}
	if err := in.initialize(); err != nil {
		return nil, err
	}
	if m.HasStart {
		if _, err := in.call(m.Start, nil); err != nil {
			return nil, err
		}
	}
	return in, nil
}

// define gives the interpreter the module's functions.
func (in *Instance) define(code []byte, o *Options) error {
	target, err := compile.Target("has_avx2=false") // the interpreter has no vectors of 256 bits
	if err != nil {
		return err
	}
	co := &compile.Options{Target: target, Settings: o.Settings}
	add := func(f *ir.Function, inline func(*codegen.InlineCall) *ir.Function) error {
		kept := ir.NewFunction(ir.Name{}, ir.Signature{})
		if !o.Optimized {
			kept.CopyFrom(f)
			in.machine.Define(kept)
			return nil
		}
		var ctx codegen.Context
		_, err := ctx.Compile(f, target, codegen.Options{Inline: inline, After: func(pass string, _ *codegen.Context) {
			if pass == "optimize" {
				kept.CopyFrom(f)
			}
		}})
		in.machine.Define(kept)
		return err
	}
	if err := compile.Functions(code, co, add); err != nil {
		return err
	}
	return compile.Routines(code, co, func(f *ir.Function) error { return add(f, nil) })
}

// initialize lays out the instance and applies its segments.
func (in *Instance) initialize() error {
	m, l := in.m, &in.layout
	in.context = make([]byte, int(l.TypeID(uint32(len(m.Types)))))
	in.machine.Map(contextAt, in.context)
	in.machine.Map(storeAt, make([]byte, layout.StoreSize))
	in.set(layout.InstMagic, layout.InstanceMagic)
	in.set(layout.InstStore, storeAt)
	store := in.machine.Bytes(storeAt, layout.StoreSize)
	binary.LittleEndian.PutUint64(store[layout.StoreEpoch:], math.MaxInt64)
	binary.LittleEndian.PutUint64(store[layout.StoreFuel:], plentyOfFuel)

	ids, err := typeIDs(m)
	if err != nil {
		return err
	}
	copy(in.context[l.TypeID(0):], ids)
	for i := range m.Code {
		at := l.Func(uint32(i))
		in.set(at+layout.FuncRecordCode, in.machine.Address(ir.UserName(translate.FunctionNamespace, uint32(i))))
		in.set(at+layout.FuncRecordVMCtx, contextAt)
		copy(in.context[at+layout.FuncRecordTypeID:], ids[4*m.Funcs[i].Type:][:4])
	}
	stub := in.machine.DefineHost(ir.UserName(translate.ExitNamespace, 0), in.leave)
	binary.LittleEndian.PutUint64(in.execution()[layout.ExecExitStub:], stub)

	for i := range m.Memories {
		t := &m.Memories[i]
		if t.Min > memoryMax>>t.PageBits {
			return fmt.Errorf("%w: a memory of %d pages", ErrUnsupported, t.Min)
		}
		in.memories = append(in.memories, nil)
		in.resizeMemory(i, t.Min<<t.PageBits)
	}
	for i := range m.Globals {
		v, err := in.eval(m.Globals[i].Init)
		if err != nil {
			return err
		}
		at := l.Global(uint32(i))
		in.set(at, v.Lo)
		in.set(at+8, v.Hi)
	}
	for i := range m.Tables {
		t := &m.Tables[i]
		if t.Type.Min > tablesMax {
			return fmt.Errorf("%w: a table of %d elements", ErrUnsupported, t.Type.Min)
		}
		var init interp.Value
		if len(t.Init.Code) > 0 {
			if init, err = in.eval(t.Init); err != nil {
				return err
			}
		}
		in.tables = append(in.tables, nil)
		in.resizeTable(i, t.Type.Min, init.Lo)
	}
	return in.segments()
}

// segments applies active segments.
func (in *Instance) segments() error {
	m := in.m
	in.dropped, in.elements = make([]bool, len(m.Datas)), make([][]uint64, len(m.Elems))
	for i := range m.Elems {
		e := &m.Elems[i]
		var refs []uint64
		for _, f := range e.Funcs {
			refs = append(refs, contextAt+uint64(in.layout.Func(f)))
		}
		for _, x := range e.Exprs {
			v, err := in.eval(x)
			if err != nil {
				return err
			}
			refs = append(refs, v.Lo)
		}
		if e.Mode != wasm.SegmentDeclarative {
			in.elements[i] = refs
		}
		if e.Mode != wasm.SegmentActive {
			continue
		}
		at, err := in.eval(e.Offset)
		if err != nil {
			return err
		}
		if err := in.tableInit(uint64(e.Table), uint64(i), at.Lo, 0, uint64(len(refs))); err != nil {
			return err
		}
		in.elements[i] = nil
	}
	for i := range m.Datas {
		d := &m.Datas[i]
		if d.Mode != wasm.SegmentActive {
			continue
		}
		at, err := in.eval(d.Offset)
		if err != nil {
			return err
		}
		if err := in.memoryInit(uint64(d.Memory), uint64(i), at.Lo, 0, uint64(len(d.Init))); err != nil {
			return err
		}
		in.dropped[i] = true
	}
	return nil
}

// typeIDs numbers the module's types, equal ones alike.
func typeIDs(m *wasm.Module) ([]byte, error) {
	ids := make([]byte, 0, 4*len(m.Types))
	seen := map[string]int{}
	for i := range m.Types {
		t := &m.Types[i]
		if t.Kind != wasm.CompositeFunc || !t.Final {
			return nil, fmt.Errorf("%w: type %d", ErrUnsupported, i)
		}
		key := fmt.Sprint(t.Func.Params, t.Func.Results)
		id, ok := seen[key]
		if !ok {
			id = len(seen) + 1
			seen[key] = id
		}
		ids = binary.LittleEndian.AppendUint32(ids, uint32(id))
	}
	return ids, nil
}

// eval is the value of a constant expression.
func (in *Instance) eval(x wasm.ConstExpr) (v interp.Value, err error) {
	var r wasm.InstrReader
	var op wasm.Instr
	r.Reset(x.Code, x.Offset, &wasm.Config{Features: compile.Features})
	for {
		more, err := r.Next(&op)
		if err != nil || !more {
			return v, err
		}
		switch op.Op {
		case wasm.OpEnd:
		case wasm.OpI32Const:
			v = interp.Value{Lo: uint64(uint32(op.Imm))}
		case wasm.OpI64Const, wasm.OpF32Const, wasm.OpF64Const:
			v = interp.Value{Lo: op.Imm}
		case wasm.OpV128Const:
			v = interp.Value{Lo: op.Imm, Hi: op.Imm2}
		case wasm.OpRefNull:
			v = interp.Value{}
		case wasm.OpRefFunc:
			v = interp.Value{Lo: contextAt + uint64(in.layout.Func(op.Index))}
		case wasm.OpGlobalGet:
			at := in.layout.Global(op.Index)
			v = interp.Value{Lo: in.get(at), Hi: in.get(at + 8)}
		default:
			return v, fmt.Errorf("%w: %v in a constant expression", ErrUnsupported, op.Op)
		}
	}
}

func (in *Instance) get(at int32) uint64    { return binary.LittleEndian.Uint64(in.context[at:]) }
func (in *Instance) set(at int32, v uint64) { binary.LittleEndian.PutUint64(in.context[at:], v) }

// execution is the execution context.
func (in *Instance) execution() []byte {
	return in.machine.Bytes(interp.StackBase, layout.StackRegionSize)
}

// Call calls an exported function. Arguments and results are values as bits, one for
// each; vectors are not passed. The error is a [*Trap] if the guest trapped.
func (in *Instance) Call(name string, args ...uint64) ([]uint64, error) {
	for _, x := range in.m.Exports {
		if x.Kind == wasm.KindFunc && x.Name == name {
			return in.call(x.Index, args)
		}
	}
	return nil, fmt.Errorf("no function is exported as %q", name)
}

func (in *Instance) call(f uint32, args []uint64) ([]uint64, error) {
	values := []interp.Value{{Lo: contextAt}}
	for _, a := range args {
		values = append(values, interp.Value{Lo: a})
	}
	got, err := in.machine.Call(ir.UserName(translate.FunctionNamespace, f), values...)
	if trap, ok := errors.AsType[*interp.Trap](err); ok {
		return nil, &Trap{translate.TrapCode(trap.Code)}
	}
	if trap, ok := errors.AsType[*Trap](err); ok {
		return nil, trap
	}
	if err != nil {
		return nil, err
	}
	results := make([]uint64, len(got))
	for i := range got {
		results[i] = got[i].Lo
	}
	return results, nil
}

// plentyOfFuel is the fuel that there is at first.
const plentyOfFuel = 1 << 62

// FuelConsumed is what has been consumed so far, if Settings.Fuel is set.
func (in *Instance) FuelConsumed() uint64 {
	store := in.machine.Bytes(storeAt, layout.StoreSize)
	return plentyOfFuel - binary.LittleEndian.Uint64(store[layout.StoreFuel:])
}

// Memory is the contents of memory i, valid until the next call.
func (in *Instance) Memory(i int) []byte { return in.memories[i] }

// Global is the value of an exported global as bits, and its type.
func (in *Instance) Global(name string) (bits uint64, t wasm.ValType, ok bool) {
	for _, x := range in.m.Exports {
		if x.Kind == wasm.KindGlobal && x.Name == name {
			return in.get(in.layout.Global(x.Index)), in.m.Globals[x.Index].Type.Type, true
		}
	}
	return 0, 0, false
}
