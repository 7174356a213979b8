// Package translate turns WebAssembly function bodies into the code
// generator's IR, in the same pass that validates them, and makes the
// trampolines between Go and compiled code.
//
// A function of type (p…) → (r…) becomes an IR function of convention `tail`
// with signature (vmctx, p…) → (r…): references are i64, everything else has
// its own type. What compiled code touches besides its parameters is reached
// from vmctx, the instance context, as package layout fixes it.
//
// Two signatures are in use for one type. A function of the same module is
// called directly, with vmctx. Any other (an import, a table's element, a
// reference) is called through its function record with the record's context
// as vmctx and, in a register that ordinary functions ignore, the caller's
// context, which host functions need.
package translate

import (
	"fmt"

	"github.com/davit-wasm/davit/codegen/frontend"
	"github.com/davit-wasm/davit/codegen/ir"
	"github.com/davit-wasm/davit/internal/image"
	"github.com/davit-wasm/davit/internal/layout"
	"github.com/davit-wasm/davit/wasm"
)

// FunctionNamespace is the namespace of the names of wasm functions in IR; the
// index is the function's in the module.
const FunctionNamespace = 0

// Module is what the translation of all functions of a module shares. It is
// read-only once made, and may be used by many translators at once.
type Module struct {
	Wasm     *wasm.Env
	Layout   layout.InstanceLayout
	Settings image.Settings
	Relaxed  Relaxed
	// HeapBranches and TableBranches make bounds checks of memories and tables
	// branches, which speculation may pass, rather than guards that it cannot.
	HeapBranches, TableBranches bool
	// WideVectors says that the target loads, stores and splats i8x32.
	WideVectors bool
	// RepMovsb says that the target has x86_rep_movsb, and copies fast by it.
	RepMovsb bool

	direct []ir.Signature // by type: calls within the module
	record []ir.Signature // by type: calls through function records

	routines []Routine
}

// NewModule prepares the translation of m.
func NewModule(m *wasm.Env, s image.Settings, r Relaxed) *Module {
	t := &Module{Wasm: m, Settings: s, Relaxed: r, Layout: image.LayoutOf(m.Module)}
	t.findRoutines()
	t.direct = make([]ir.Signature, len(m.Types))
	t.record = make([]ir.Signature, len(m.Types))
	for i := range m.Types {
		if m.Types[i].Kind != wasm.CompositeFunc {
			continue
		}
		ft := &m.Types[i].Func
		params := make([]ir.Param, 0, len(ft.Params)+2)
		params = append(params, ir.Param{Type: ir.I64, Purpose: ir.VMContext}, ir.Param{Type: ir.I64, Purpose: ir.CallerContext})
		for _, p := range ft.Params {
			params = append(params, ir.Param{Type: Type(p)})
		}
		results := make([]ir.Param, len(ft.Results))
		for k, r := range ft.Results {
			results[k] = ir.Param{Type: Type(r)}
		}
		t.record[i] = ir.Signature{Params: params, Returns: results, CallConv: ir.Tail}
		direct := append([]ir.Param{params[0]}, params[2:]...)
		t.direct[i] = ir.Signature{Params: direct, Returns: results, CallConv: ir.Tail}
	}
	return t
}

// Type is the IR type of a value of type t.
func Type(t wasm.ValType) ir.Type {
	switch t {
	case wasm.I32:
		return ir.I32
	case wasm.I64:
		return ir.I64
	case wasm.F32:
		return ir.F32
	case wasm.F64:
		return ir.F64
	case wasm.V128:
		return ir.I8X16
	}
	return ir.I64
}

// Trap codes in IR: those that WebAssembly's checks need are user codes with
// the number of the image's code; the code generator's own are translated.

func trap(c image.TrapCode) ir.TrapCode { return ir.TrapCode(c) }

// TrapCode is the code in an image for a trap with code c in IR.
func TrapCode(c ir.TrapCode) image.TrapCode {
	switch c {
	case ir.TrapHeapOutOfBounds:
		return image.TrapMemoryOutOfBounds
	case ir.TrapIntegerOverflow:
		return image.TrapIntegerOverflow
	case ir.TrapIntegerDivideByZero:
		return image.TrapIntegerDivideByZero
	case ir.TrapBadConversionToInt:
		return image.TrapInvalidConversion
	case ir.TrapStackOverflow:
		return image.TrapStackOverflow
	}
	return image.TrapCode(c)
}

// Translator translates functions, one at a time; its memory is used again
// for the next. It belongs to one goroutine.
type Translator struct {
	m  *Module
	f  *ir.Function
	b  frontend.Builder
	fv wasm.FuncValidator
	in wasm.Instr

	vmctx  ir.Value
	base0  ir.Value // base of the first memory, loaded at the function's entry, or NoValue
	away0  ir.Value // its negative, if guards need it
	locals []frontend.Variable
	stack  []ir.Value
	frames []frame
	args   []ir.Value
	dests  []frontend.Dest

	// dead counts the blocks opened in code that cannot be reached; 0 in code
	// that can, 1 right after the instruction that ended it.
	dead int

	vectors bool // vectors may be on the operand stack

	loops    uint32 // open ones
	looping  bool   // there has been one
	calls    []Call
	inlined  bool // it is a body to be inlined
	fuel     fuel
	epoch    counter
	counting int // instructions made to count fuel or checks for interruption, that may become code

	directSigs, recordSigs []ir.SigRef // by type, NoSig until used
	funcs                  []ir.FuncRef
	usedTypes, usedFuncs   []uint32 // indexes of those that are in use
	stubSig                ir.SigRef
	routines               [numRoutines]ir.FuncRef
	buffer                 ir.StackSlot
	regions                regions
}

// regions are the disjoint parts of memory that accesses say they are in.
type regions struct{ heap, context, table, global, count ir.MemFlags }

// UnsupportedError reports an instruction that is valid but that the
// translator does not support.
type UnsupportedError struct {
	Op     wasm.Opcode
	Func   uint32
	Offset int // in the bytes of the module
}

func (e *UnsupportedError) Error() string {
	return fmt.Sprintf("function %d, offset %#x: instruction %v is not supported by this compiler", e.Func, e.Offset, e.Op)
}

// Function validates and translates function index of the index space, which
// must not be imported, into f, whose former content is lost. The error is a
// *wasm.Error for an invalid body, an *UnsupportedError, or one that wraps
// frontend.ErrTooLarge.
func (t *Translator) Function(m *Module, index uint32, f *ir.Function) error {
	t.inlined = false
	return t.function(m, index, f)
}

func (t *Translator) function(m *Module, index uint32, f *ir.Function) error {
	t.start(m, index, f)
	if err := t.fv.Reset(m.Wasm, index); err != nil {
		return err
	}
	for {
		more, err := t.fv.Next(&t.in)
		if err != nil {
			return err
		}
		if !more {
			break
		}
		f.Loc = ir.SourceLoc(t.in.Offset)
		if t.dead > 0 {
			t.skip()
			continue
		}
		if t.fuel.on {
			t.spendFuel()
		}
		if !t.instruction() {
			return &UnsupportedError{t.in.Op, index, t.in.Offset}
		}
	}
	if err := t.b.Finish(); err != nil {
		return fmt.Errorf("function %d: %w", index, err)
	}
	return nil
}

func (t *Translator) start(m *Module, index uint32, f *ir.Function) {
	typ := m.Wasm.Funcs[index].Type
	ft := &m.Wasm.Types[typ].Func
	t.reset(m, f, ir.UserName(FunctionNamespace, index), m.direct[typ])
	body := m.Wasm.Body(index)
	if !t.inlined { // else it is small, and one of many
		f.Reserve(len(body.Body)*3/4 + 16) // one instruction of two bytes, as a rule, and what optimization adds
	}
	f.Loc = ir.SourceLoc(body.Offset)
	entry := t.b.CreateBlock()
	t.b.SwitchTo(entry)
	t.vmctx = f.AddParam(entry, ir.I64)
	for _, p := range ft.Params {
		v := t.b.DeclareVar(Type(p))
		t.b.DefVar(v, f.AddParam(entry, Type(p)))
		t.locals = append(t.locals, v)
	}
	t.b.Seal(entry)
	for _, g := range body.Locals {
		for range g.Count { // a variable without an assignment is zero
			t.locals = append(t.locals, t.b.DeclareVar(Type(g.Type)))
		}
	}
	t.loadBases()
	if m.Settings.Fuel {
		t.startFuel()
	}
	if m.Settings.Epoch {
		t.startEpoch()
	}
	exit := t.b.CreateBlock()
	for _, r := range ft.Results {
		f.AddParam(exit, Type(r))
	}
	t.frames = append(t.frames, frame{kind: frameFunction, target: exit, exit: exit, results: ft.Results})
}

// reset begins a function of m.
func (t *Translator) reset(m *Module, f *ir.Function, name ir.Name, sig ir.Signature) {
	f.Clear()
	f.Name, f.Sig = name, sig
	t.f = f
	t.b.Begin(f)
	t.stack, t.frames, t.locals = t.stack[:0], t.frames[:0], t.locals[:0]
	t.dead, t.vectors = 0, false
	t.fuel, t.epoch, t.counting = fuel{cost: ir.NoInst}, counter{}, 0
	t.loops, t.looping, t.calls = 0, false, t.calls[:0]
	t.forget(t.m != m, m)
	t.m = m
	t.stubSig, t.buffer = ir.NoSig, ir.NoStackSlot
	for i := range t.routines {
		t.routines[i] = ir.NoFuncRef
	}
	regions := [...]*ir.MemFlags{&t.regions.heap, &t.regions.context, &t.regions.table, &t.regions.global, &t.regions.count}
	n := len(regions)
	if !m.Settings.Fuel && !m.Settings.Epoch {
		n--
	}
	for i, r := range regions[:n] {
		reg, _ := f.AddRegion(ir.RegionData{ID: uint32(i), Description: [...]string{"memory", "context", "table", "global", "count"}[i]})
		*r = ir.MemLittle.WithRegion(reg)
	}
}

// Release makes t forget its module. It keeps its working memory.
func (t *Translator) Release() { t.m, t.f, t.calls = nil, nil, t.calls[:0] }

// forget makes the function's references to signatures and functions unknown
// again: those that the last function used, so that a module of many functions
// costs no time in proportion to its number of functions for each of them.
func (t *Translator) forget(all bool, m *Module) {
	if all {
		t.directSigs = fill(t.directSigs, len(m.Wasm.Types), ir.NoSig)
		t.recordSigs = fill(t.recordSigs, len(m.Wasm.Types), ir.NoSig)
		t.funcs = fill(t.funcs, len(m.Wasm.Funcs), ir.NoFuncRef)
	} else {
		for _, typ := range t.usedTypes {
			t.directSigs[typ], t.recordSigs[typ] = ir.NoSig, ir.NoSig
		}
		for _, fn := range t.usedFuncs {
			t.funcs[fn] = ir.NoFuncRef
		}
	}
	t.usedTypes, t.usedFuncs = t.usedTypes[:0], t.usedFuncs[:0]
}

// fill is s with n elements, all v.
func fill[T any](s []T, n int, v T) []T {
	s = s[:0]
	for range n {
		s = append(s, v)
	}
	return s
}

// instruction translates t.in in code that can be reached. It reports whether
// it could.
func (t *Translator) instruction() bool {
	op := t.in.Op
	if r := &simpleOps[op]; r.op != ir.OpInvalid {
		t.simple(r)
		return true
	}
	if r := &vectorOps[op]; r.op != ir.OpInvalid {
		t.patterned(r)
		return true
	}
	switch t.in.Op {
	case wasm.OpNop:
	case wasm.OpDrop:
		t.pop()
	case wasm.OpSelect, wasm.OpSelectTyped:
		c := t.popCond()
		v := t.popN(2)
		t.push(t.value(ir.InstData{Op: ir.OpSelect, Type: t.f.ValueType(v[0])}, c, v[0], v[1]))
	case wasm.OpLocalGet:
		t.push(t.b.UseVar(t.locals[t.in.Index]))
	case wasm.OpLocalSet:
		t.b.DefVar(t.locals[t.in.Index], t.popN(1)[0])
	case wasm.OpLocalTee:
		t.b.DefVar(t.locals[t.in.Index], t.topN(1)[0])
	case wasm.OpI32Const:
		t.push(t.iconst(ir.I32, int64(int32(t.in.Imm))))
	case wasm.OpI64Const:
		t.push(t.iconst(ir.I64, int64(t.in.Imm)))
	case wasm.OpF32Const:
		t.push(t.value(ir.InstData{Op: ir.OpF32const, Imm: int64(uint32(t.in.Imm))}))
	case wasm.OpF64Const:
		t.push(t.value(ir.InstData{Op: ir.OpF64const, Imm: int64(t.in.Imm)}))
	default:
		return t.control() || t.call() || t.memory() || t.table() || t.reference() || t.conversion() || t.vector()
	}
	return true
}

// Operand stack.

func (t *Translator) push(v ir.Value) { t.stack = append(t.stack, v) }

func (t *Translator) pop() ir.Value {
	v := t.stack[len(t.stack)-1]
	t.stack = t.stack[:len(t.stack)-1]
	return v
}

func (t *Translator) top() ir.Value { return t.stack[len(t.stack)-1] }

// topN is the top n values, to go where values from several places meet. The
// slice is valid until the next push or pop.
func (t *Translator) topN(n int) []ir.Value { return t.canonical(t.stack[len(t.stack)-n:]) }

// popN pops what topN is.
func (t *Translator) popN(n int) []ir.Value {
	v := t.topN(n)
	t.stack = t.stack[:len(t.stack)-n]
	return v
}

// popCond pops an i32 that is only compared with zero. Comparisons yield i8 in
// IR, so that the extension to i32 is taken off again.
func (t *Translator) popCond() ir.Value {
	v := t.pop()
	if inst, _ := t.f.ValueInst(v); inst != ir.NoInst {
		if d := t.f.Inst(inst); d.Op == ir.OpUextend && t.f.ValueType(t.f.Args(inst)[0]) == ir.I8 {
			return t.f.Args(inst)[0]
		}
	}
	return v
}

// Emission.

// emit appends an instruction to the current block and makes its results.
func (t *Translator) emit(d ir.InstData, args ...ir.Value) ir.Inst {
	return t.b.Insert(d, args...)
}

// value emits an instruction and is its only result.
func (t *Translator) value(d ir.InstData, args ...ir.Value) ir.Value {
	return t.f.Result(t.b.Insert(d, args...))
}

func (t *Translator) iconst(typ ir.Type, v int64) ir.Value { return t.b.Iconst(typ, v) }

func (t *Translator) binary(op ir.Opcode, x, y ir.Value) ir.Value {
	return t.value(ir.InstData{Op: op, Type: t.f.ValueType(x)}, x, y)
}

func (t *Translator) compare(c ir.IntCC, x, y ir.Value) ir.Value {
	return t.value(ir.InstData{Op: ir.OpIcmp, Cond: uint8(c), Type: t.f.ValueType(x)}, x, y)
}

// convert extends or reduces v to typ.
func (t *Translator) convert(op ir.Opcode, typ ir.Type, v ir.Value) ir.Value {
	return t.value(ir.InstData{Op: op, Type: typ}, v)
}

// offset is v plus a constant.
func (t *Translator) offset(v ir.Value, n int64) ir.Value {
	if n == 0 {
		return v
	}
	return t.binary(ir.OpIadd, v, t.iconst(ir.I64, n))
}

func (t *Translator) load(typ ir.Type, flags ir.MemFlags, base ir.Value, offset int32) ir.Value {
	return t.value(ir.InstData{Op: ir.OpLoad, Type: typ, Flags: flags, Imm: int64(offset)}, base)
}

func (t *Translator) store(flags ir.MemFlags, v, base ir.Value, offset int32) {
	t.emit(ir.InstData{Op: ir.OpStore, Type: t.f.ValueType(v), Flags: flags, Imm: int64(offset)}, v, base)
}

// trusted are the flags of an access to a context, which never faults.
func (t *Translator) trusted() ir.MemFlags { return t.regions.context | ir.MemTrusted }

// descriptor are the flags of a load from the descriptor of a memory or table:
// it is always there, and stays as it is but for calls.
func (t *Translator) descriptor() ir.MemFlags { return t.trusted() | ir.MemCanMove }

// fixed are the flags of an access to a part of a context that never changes
// while the instance lives.
func (t *Translator) fixed() ir.MemFlags {
	return t.regions.context | ir.MemTrusted | ir.MemReadonly | ir.MemCanMove
}

func (t *Translator) trapIf(c image.TrapCode, cond ir.Value) { t.trapIfCode(trap(c), cond) }

func (t *Translator) trapIfCode(c ir.TrapCode, cond ir.Value) {
	t.emit(ir.InstData{Op: ir.OpTrapnz, Type: t.f.ValueType(cond), Trap: c}, cond)
}
