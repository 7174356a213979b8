// Package wasmgen makes random modules that are valid, that always end, and
// whose results do not depend on the engine, for differential tests.
//
// They end because a global counts down at each call and each turn of a loop,
// and traps at zero. Where the specification leaves the bits of a NaN open, the
// canonical one is put in place of the result. Memories and tables have small
// maximums, so that growing succeeds or fails everywhere alike.
package wasmgen

import (
	"fmt"
	"math/rand/v2"

	"github.com/davit-wasm/davit/wasm"
)

// Config says what modules may use. The zero value is WebAssembly 2.0 without
// vectors.
type Config struct {
	SIMD      bool
	TailCalls bool
	// Size is about how many instructions a function has; 0 means 200.
	Size int
	// Fuel is how many calls and turns of loops a call may make; 0 means 1000.
	Fuel int32
}

// MemoryPages is the maximum size of a module's memory, which is exported as
// "memory".
const MemoryPages = 3

// Module is a random module. Its exports are its memory; the functions f0, f1,
// …, whose types have numbers only; the globals g0, g1, … of types of numbers;
// and refuel, which must be called before each call of another function.
func Module(r *rand.Rand, c Config) *wasm.Module {
	if c.Size == 0 {
		c.Size = 200
	}
	if c.Fuel == 0 {
		c.Fuel = 1000
	}
	g := &generator{r: r, c: c, m: &wasm.Module{}}
	g.valueTypes = []wasm.ValType{wasm.I32, wasm.I64, wasm.F32, wasm.F64}
	if c.SIMD {
		g.valueTypes = append(g.valueTypes, wasm.V128)
	}
	g.collect()
	g.declare()
	for i := 1; i < len(g.m.Funcs); i++ {
		g.function(uint32(i))
	}
	return g.m
}

type generator struct {
	r          *rand.Rand
	c          Config
	m          *wasm.Module
	valueTypes []wasm.ValType

	makers map[wasm.ValType][]wasm.Opcode // instructions by their result
	stores []wasm.Opcode

	// The function being made.
	code   []byte
	locals []wasm.ValType
	temps  map[wasm.ValType]uint32 // locals for the canonical NaN
	labels [][]wasm.ValType        // what branches carry, innermost last
	typ    *wasm.FuncType
	budget int
}

// Indexes of globals and functions with a role.
const (
	fuelGlobal = 0
	refuelFunc = 0
)

const addressType = wasm.ValType(0xff) // in a signature: the address type of the memory

// collect finds the instructions whose types are fixed.
func (g *generator) collect() {
	g.makers = map[wasm.ValType][]wasm.Opcode{}
	features := wasm.Features2 &^ wasm.FeatureSIMD
	if g.c.SIMD {
		features |= wasm.FeatureSIMD
	}
	for op := range wasm.Opcode(wasm.NumOpcodes) {
		in := op.Info()
		if in.Name == "" || !in.Sig.Fixed || in.Features&^features != 0 {
			continue
		}
		switch in.Imm {
		case wasm.ImmNone, wasm.ImmLane, wasm.ImmShuffle, wasm.ImmMemArg, wasm.ImmMemArgLane:
		default:
			continue
		}
		switch {
		case in.Sig.NumResults == 1:
			t := in.Sig.Results[0]
			g.makers[t] = append(g.makers[t], op)
		case in.Sig.NumResults == 0 && (in.Imm == wasm.ImmMemArg || in.Imm == wasm.ImmMemArgLane):
			g.stores = append(g.stores, op)
		}
	}
}

// n is a number below limit.
func (g *generator) n(limit int) int { return g.r.IntN(limit) }

// one reports whether something that happens once in n times happens.
func (g *generator) one(n int) bool { return g.r.IntN(n) == 0 }

func pick[T any](g *generator, list []T) T { return list[g.n(len(list))] }

func (g *generator) types(max int) []wasm.ValType {
	list := make([]wasm.ValType, g.n(max+1))
	for i := range list {
		list[i] = pick(g, g.valueTypes)
	}
	return list
}

// declare makes everything but function bodies.
func (g *generator) declare() {
	m := g.m
	addType := func(t wasm.FuncType) uint32 {
		m.RecGroups = append(m.RecGroups, wasm.RecGroup{Start: uint32(len(m.Types)), Len: 1})
		m.Types = append(m.Types, wasm.SubType{Final: true, CompositeType: wasm.CompositeType{Kind: wasm.CompositeFunc, Func: t}})
		return uint32(len(m.Types) - 1)
	}
	addType(wasm.FuncType{})
	for range 2 + g.n(5) {
		addType(wasm.FuncType{Params: g.types(4), Results: g.types(3)})
	}
	m.Funcs = append(m.Funcs, wasm.Func{Type: 0})
	for range 2 + g.n(6) {
		m.Funcs = append(m.Funcs, wasm.Func{Type: uint32(g.n(len(m.Types)))})
	}

	m.Memories = []wasm.MemoryType{{Limits: wasm.Limits{Min: uint64(g.n(2)) + 1, Max: MemoryPages, HasMax: true}, PageBits: 16}}
	m.Exports = append(m.Exports, wasm.Export{Name: "memory", Kind: wasm.KindMemory})
	for range g.n(4) {
		init := make([]byte, g.n(200))
		for i := range init {
			init[i] = byte(g.r.Uint32())
		}
		d := wasm.Data{Mode: wasm.SegmentPassive, Init: init}
		if g.one(2) {
			d.Mode, d.Offset = wasm.SegmentActive, i32Expr(int32(g.n(1<<16-200)))
		}
		m.Datas = append(m.Datas, d)
	}
	m.HasDataCount, m.DataCount = true, uint32(len(m.Datas))

	elems := make([]uint32, 1+g.n(12))
	for i := range elems {
		elems[i] = uint32(1 + g.n(len(m.Funcs)-1))
	}
	size := uint64(len(elems) + g.n(4))
	funcRefs := wasm.Elem{Mode: wasm.SegmentActive, Offset: i32Expr(int32(g.n(int(size) - len(elems) + 1))), Type: wasm.FuncRef, Funcs: elems}
	m.Tables = []wasm.Table{{Type: wasm.TableType{Elem: wasm.FuncRef, Limits: wasm.Limits{Min: size, Max: size + 4, HasMax: true}}}}
	m.Elems = []wasm.Elem{funcRefs}

	m.Globals = []wasm.Global{{Type: wasm.GlobalType{Type: wasm.I32, Mutable: true}, Init: i32Expr(0)}}
	for range g.n(7) {
		t := pick(g, g.valueTypes)
		g.code = nil
		g.constant(t)
		if t != wasm.V128 {
			m.Exports = append(m.Exports, wasm.Export{Name: fmt.Sprint("g", len(m.Globals)), Kind: wasm.KindGlobal, Index: uint32(len(m.Globals))})
		}
		m.Globals = append(m.Globals, wasm.Global{Type: wasm.GlobalType{Type: t, Mutable: true}, Init: wasm.ConstExpr{Code: append(g.code, byte(wasm.OpEnd))}})
	}
	for i := range m.Funcs {
		t := m.FuncTypeOf(uint32(i))
		if i != refuelFunc && !hasVector(t.Params) && !hasVector(t.Results) {
			m.Exports = append(m.Exports, wasm.Export{Name: fmt.Sprint("f", i), Kind: wasm.KindFunc, Index: uint32(i)})
		}
	}
	m.Exports = append(m.Exports, wasm.Export{Name: "refuel", Kind: wasm.KindFunc, Index: refuelFunc})
	g.code = nil
	g.i32(g.c.Fuel)
	g.index(wasm.OpGlobalSet, fuelGlobal)
	g.op(wasm.OpEnd)
	m.Code = append(m.Code, wasm.Code{Body: g.code})
}

func hasVector(list []wasm.ValType) bool {
	for _, t := range list {
		if t == wasm.V128 {
			return true
		}
	}
	return false
}

func i32Expr(v int32) wasm.ConstExpr {
	return wasm.ConstExpr{Code: append(wasm.AppendS32([]byte{byte(wasm.OpI32Const)}, v), byte(wasm.OpEnd))}
}

// function makes the body of function i.
func (g *generator) function(i uint32) {
	g.typ = g.m.FuncTypeOf(i)
	g.code, g.labels, g.temps = nil, [][]wasm.ValType{g.typ.Results}, map[wasm.ValType]uint32{}
	g.budget = g.c.Size/2 + g.n(g.c.Size)
	declared := g.types(6)
	declared = append(declared, wasm.F32, wasm.F64)
	if g.c.SIMD {
		declared = append(declared, wasm.V128)
	}
	g.locals = append(append([]wasm.ValType{}, g.typ.Params...), declared...)
	// The last locals are temporary.
	n := uint32(len(g.locals))
	if g.c.SIMD {
		n--
		g.temps[wasm.V128] = n
	}
	g.temps[wasm.F64], g.temps[wasm.F32] = n-1, n-2
	g.locals = g.locals[:n-2]

	g.spend()
	for range g.n(6) {
		g.statement(4)
	}
	for _, t := range g.typ.Results {
		g.value(t, 5)
	}
	g.op(wasm.OpEnd)
	code := wasm.Code{Body: g.code}
	for _, t := range declared {
		code.Locals = append(code.Locals, wasm.LocalGroup{Count: 1, Type: t})
	}
	g.m.Code = append(g.m.Code, code)
}

// spend traps without fuel, and takes one unit.
func (g *generator) spend() {
	g.index(wasm.OpGlobalGet, fuelGlobal)
	g.op(wasm.OpI32Eqz)
	g.block(wasm.OpIf, 0)
	g.op(wasm.OpUnreachable)
	g.op(wasm.OpEnd)
	g.index(wasm.OpGlobalGet, fuelGlobal)
	g.i32(1)
	g.op(wasm.OpI32Sub)
	g.index(wasm.OpGlobalSet, fuelGlobal)
}
