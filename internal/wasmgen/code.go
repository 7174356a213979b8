package wasmgen

import (
	"math"
	"strings"

	"github.com/davit-wasm/davit/wasm"
)

// Emission.

func (g *generator) op(op wasm.Opcode) {
	g.code = wasm.AppendOpcode(g.code, op)
	g.budget--
}

func (g *generator) index(op wasm.Opcode, i uint32) {
	g.op(op)
	g.code = wasm.AppendU32(g.code, i)
}

func (g *generator) i32(v int32) {
	g.op(wasm.OpI32Const)
	g.code = wasm.AppendS32(g.code, v)
}

// block opens a block without parameters and with the result t, if that is not
// 0.
func (g *generator) block(op wasm.Opcode, t wasm.ValType) {
	g.op(op)
	if t == 0 {
		g.code = append(g.code, 0x40)
	} else {
		g.code = wasm.AppendValType(g.code, t)
	}
}

// constant emits a constant, often one at the edge of something.
func (g *generator) constant(t wasm.ValType) {
	bits := func(n int) uint64 {
		switch g.n(6) {
		case 0:
			return uint64(g.n(5)) - 2
		case 1:
			return 1<<(n-1) - uint64(g.n(3)) + 1
		case 2:
			return uint64(1) << g.n(n)
		case 3:
			return uint64(g.n(256))
		}
		return g.r.Uint64()
	}
	float := func() float64 {
		list := []float64{0, math.Copysign(0, -1), 1, -1, 0.5, math.Inf(1), math.Inf(-1), math.NaN(), math.MaxFloat32, math.SmallestNonzeroFloat32,
			math.MaxFloat64, 1 << 31, -1 << 31, 1 << 32, 1 << 63, -1 << 63, 1 << 64, 1<<53 + 1, 2147483647.5, -2147483648.9, 1e-310}
		if g.one(3) {
			return g.r.NormFloat64() * math.Pow(2, float64(g.n(80)-40))
		}
		return pick(g, list)
	}
	le := func(v uint64, n int) {
		for range n {
			g.code = append(g.code, byte(v))
			v >>= 8
		}
	}
	switch t {
	case wasm.I32:
		g.i32(int32(bits(32)))
	case wasm.I64:
		g.op(wasm.OpI64Const)
		g.code = wasm.AppendS64(g.code, int64(bits(64)))
	case wasm.F32:
		g.op(wasm.OpF32Const)
		le(uint64(math.Float32bits(float32(float()))), 4)
	case wasm.F64:
		g.op(wasm.OpF64Const)
		le(math.Float64bits(float()), 8)
	case wasm.V128:
		g.op(wasm.OpV128Const)
		switch g.n(4) {
		case 0:
			le(math.Float64bits(float()), 8)
			le(math.Float64bits(float()), 8)
		case 1:
			for range 4 {
				le(uint64(math.Float32bits(float32(float()))), 4)
			}
		case 2:
			for range 4 {
				le(bits(32), 4)
			}
		default:
			le(bits(64), 8)
			le(bits(64), 8)
		}
	}
}

// localOf is a local of type t, or ok is false.
func (g *generator) localOf(t wasm.ValType) (i uint32, ok bool) {
	at := g.n(len(g.locals) + 1)
	for k := range g.locals {
		if i := (at + k) % len(g.locals); g.locals[i] == t {
			return uint32(i), true
		}
	}
	return 0, false
}

// globalOf is a global of type t other than the fuel, or ok is false.
func (g *generator) globalOf(t wasm.ValType) (i uint32, ok bool) {
	at := g.n(len(g.m.Globals))
	for k := range g.m.Globals {
		if i := (at + k) % len(g.m.Globals); i != fuelGlobal && g.m.Globals[i].Type.Type == t {
			return uint32(i), true
		}
	}
	return 0, false
}

// address emits the address of an access, mostly one within the memory.
func (g *generator) address(depth int) {
	g.value(wasm.I32, depth-1)
	if !g.one(20) {
		g.i32(int32(pick(g, []int{0xffff, 0xff, 0xfff8, 0x3ff0})))
		g.op(wasm.OpI32And)
	}
}

// memArg emits the immediates of an access.
func (g *generator) memArg(in *wasm.OpInfo) {
	offset := uint32(g.n(64))
	switch {
	case g.one(40):
		offset = g.r.Uint32()
	case g.one(4):
		offset = 0
	}
	g.code = wasm.AppendU32(g.code, uint32(g.n(int(in.Align)+1)))
	g.code = wasm.AppendU32(g.code, offset)
}

// instruction emits an instruction of fixed type with its operands.
func (g *generator) instruction(op wasm.Opcode, depth int) {
	in := op.Info()
	for _, p := range in.Sig.Params[:in.Sig.NumParams] {
		if p == addressType {
			g.address(depth)
		} else {
			g.value(p, depth-1)
		}
	}
	g.op(op)
	switch in.Imm {
	case wasm.ImmMemArg:
		g.memArg(in)
	case wasm.ImmMemArgLane:
		g.memArg(in)
		g.code = append(g.code, byte(g.n(16>>in.Align)))
	case wasm.ImmLane:
		g.code = append(g.code, byte(g.n(int(in.Lanes))))
	case wasm.ImmShuffle:
		g.shuffle()
	}
	if in.Sig.NumResults == 1 && nanOpen(in.Name) {
		g.canonical(in.Name)
	}
}

// shuffle emits lane numbers, of a known pattern half of the time.
func (g *generator) shuffle() {
	pattern, from := g.n(8), g.n(17)
	for i := range 16 {
		lane := g.n(32)
		switch pattern {
		case 0:
			lane = from + i // alignr
		case 1:
			lane = i/2 + i%2*16 // unpack
		case 2:
			lane = 8 + i/2 + i%2*16
		case 3:
			lane = from&^3 + i%4 // broadcast of a word
		case 4:
			lane = i + 16*(from>>(i/2&3)&1) // blend
		}
		g.code = append(g.code, byte(lane&31))
	}
}

// nanOpen reports whether the specification leaves open which NaN an
// instruction yields.
func nanOpen(name string) bool {
	shape, op, _ := strings.Cut(name, ".")
	switch shape {
	case "f32", "f64":
		switch op {
		case "add", "sub", "mul", "div", "sqrt", "min", "max", "ceil", "floor", "trunc", "nearest", "demote_f64", "promote_f32":
			return true
		}
	case "f32x4", "f64x2":
		switch op {
		case "add", "sub", "mul", "div", "sqrt", "min", "max", "ceil", "floor", "trunc", "nearest", "demote_f64x2_zero", "promote_low_f32x4":
			return true
		}
	}
	return false
}

// canonical puts the canonical NaN in place of any in the result of the
// instruction of that name.
func (g *generator) canonical(name string) {
	f32, f64 := uint64(0x7fc00000), uint64(0x7ff8)<<48
	lanes := func(lane uint64) {
		g.op(wasm.OpV128Const)
		for range 2 {
			for k := range 8 {
				g.code = append(g.code, byte(lane>>(8*k)))
			}
		}
	}
	var t wasm.ValType
	var eq wasm.Opcode
	shape, _, _ := strings.Cut(name, ".")
	switch shape {
	case "f32":
		t, eq = wasm.F32, wasm.OpF32Eq
	case "f64":
		t, eq = wasm.F64, wasm.OpF64Eq
	case "f32x4":
		t, eq = wasm.V128, wasm.OpF32x4Eq
	default:
		t, eq = wasm.V128, wasm.OpF64x2Eq
	}
	tmp := g.temps[t]
	g.index(wasm.OpLocalTee, tmp)
	switch shape {
	case "f32":
		g.op(wasm.OpF32Const)
		g.code = append(g.code, 0, 0, 0xc0, 0x7f)
	case "f64":
		g.op(wasm.OpF64Const)
		g.code = append(g.code, 0, 0, 0, 0, 0, 0, 0xf8, 0x7f)
	case "f32x4":
		lanes(f32<<32 | f32)
	default:
		lanes(f64)
	}
	g.index(wasm.OpLocalGet, tmp)
	g.index(wasm.OpLocalGet, tmp)
	g.op(eq)
	if t == wasm.V128 {
		g.op(wasm.OpV128Bitselect)
	} else {
		g.op(wasm.OpSelect)
	}
}

// value emits code that leaves a value of type t.
func (g *generator) value(t wasm.ValType, depth int) {
	if depth <= 0 || g.budget <= 0 {
		g.leaf(t)
		return
	}
	switch g.n(16) {
	case 0, 1:
		g.leaf(t)
	case 2:
		if i, ok := g.localOf(t); ok {
			g.value(t, depth-1)
			g.index(wasm.OpLocalTee, i)
			return
		}
		g.leaf(t)
	case 3:
		g.value(t, depth-1)
		g.value(t, depth-1)
		g.value(wasm.I32, depth-1)
		g.op(wasm.OpSelect)
	case 4:
		g.value(wasm.I32, depth-1)
		g.within(wasm.OpIf, t, func() {
			g.body(t, depth-1)
			g.op(wasm.OpElse)
			g.body(t, depth-1)
		})
	case 5:
		g.within(wasm.OpBlock, t, func() {
			g.body(t, depth-1)
			if g.one(2) { // leave early with this value
				g.value(wasm.I32, depth-1)
				g.index(wasm.OpBrIf, 0)
			}
		})
	case 6:
		g.loop(t, depth-1)
	case 7:
		g.call(t, depth-1)
	case 8:
		if t == wasm.I32 {
			g.special(depth)
			return
		}
		fallthrough
	default:
		g.instruction(pick(g, g.makers[t]), depth)
	}
}

// leaf emits a constant or a variable.
func (g *generator) leaf(t wasm.ValType) {
	switch g.n(3) {
	case 0:
		if i, ok := g.localOf(t); ok {
			g.index(wasm.OpLocalGet, i)
			return
		}
	case 1:
		if i, ok := g.globalOf(t); ok {
			g.index(wasm.OpGlobalGet, i)
			return
		}
	}
	g.constant(t)
}

// within emits a block around what f emits; branches to it carry t.
func (g *generator) within(op wasm.Opcode, t wasm.ValType, f func()) {
	g.block(op, t)
	var carried []wasm.ValType
	if t != 0 && op != wasm.OpLoop {
		carried = []wasm.ValType{t}
	}
	g.labels = append(g.labels, carried)
	f()
	g.labels = g.labels[:len(g.labels)-1]
	g.op(wasm.OpEnd)
}

// body emits a few statements and a value.
func (g *generator) body(t wasm.ValType, depth int) {
	for range g.n(3) {
		g.statement(depth)
	}
	if t != 0 {
		g.value(t, depth)
	}
}

// loop emits a loop that yields t, if that is not 0.
func (g *generator) loop(t wasm.ValType, depth int) {
	g.within(wasm.OpLoop, t, func() {
		g.spend()
		for range g.n(3) {
			g.statement(depth)
		}
		if g.one(2) { // a counted loop
			if i, ok := g.localOf(wasm.I32); ok {
				g.index(wasm.OpLocalGet, i)
				g.i32(1)
				g.op(wasm.OpI32Add)
				g.index(wasm.OpLocalTee, i)
				g.i32(int32(g.n(40)))
				g.op(wasm.OpI32LtU)
				g.index(wasm.OpBrIf, 0)
			}
		} else {
			g.value(wasm.I32, depth)
			g.index(wasm.OpBrIf, 0)
		}
		if t != 0 {
			g.value(t, depth)
		}
	})
}

// special emits an i32 that memories and tables have to do with.
func (g *generator) special(depth int) {
	switch g.n(5) {
	case 0:
		g.index(wasm.OpMemorySize, 0)
	case 1:
		g.value(wasm.I32, 0)
		if !g.one(4) {
			g.i32(1)
			g.op(wasm.OpI32And)
		}
		g.index(wasm.OpMemoryGrow, 0)
	case 2:
		g.index(wasm.OpTableSize, 0)
	case 3:
		g.tableIndex(depth)
		g.index(wasm.OpTableGet, 0)
		g.op(wasm.OpRefIsNull)
	case 4:
		g.reference(depth)
		g.i32(int32(g.n(3)))
		g.index(wasm.OpTableGrow, 0)
	}
}

// reference emits a reference to a function, or null.
func (g *generator) reference(depth int) {
	if g.one(3) {
		g.op(wasm.OpRefNull)
		g.code = append(g.code, 0x70)
		return
	}
	g.tableIndex(depth)
	g.index(wasm.OpTableGet, 0)
}

// tableIndex emits an index, mostly one within the table.
func (g *generator) tableIndex(depth int) {
	if g.one(10) {
		g.value(wasm.I32, depth-1)
		return
	}
	g.value(wasm.I32, depth-1)
	g.i32(int32(g.m.Tables[0].Type.Min))
	g.op(wasm.OpI32RemU)
}

// call emits a call of a function that yields t, alone or as the last of its
// results.
func (g *generator) call(t wasm.ValType, depth int) {
	at := g.n(len(g.m.Funcs))
	for k := range g.m.Funcs {
		i := (at + k) % len(g.m.Funcs)
		typ := g.m.FuncTypeOf(uint32(i))
		if i == refuelFunc || len(typ.Results) == 0 || typ.Results[0] != t {
			continue
		}
		g.arguments(typ, depth)
		g.invoke(uint32(i), typ, depth)
		for range typ.Results[1:] {
			g.op(wasm.OpDrop)
		}
		return
	}
	g.leaf(t)
}

func (g *generator) arguments(typ *wasm.FuncType, depth int) {
	for _, p := range typ.Params {
		g.value(p, depth-1)
	}
}

// invoke calls function i, which has the arguments, directly or through the
// table, where something else of the same type, or of another, may lie.
func (g *generator) invoke(i uint32, typ *wasm.FuncType, depth int) {
	if g.one(3) {
		g.tableIndex(depth)
		g.op(wasm.OpCallIndirect)
		g.code = wasm.AppendU32(wasm.AppendU32(g.code, g.m.Funcs[i].Type), 0)
		return
	}
	g.index(wasm.OpCall, i)
}

// statement emits code that leaves nothing.
func (g *generator) statement(depth int) {
	if g.budget <= 0 {
		return
	}
	t := pick(g, g.valueTypes)
	switch g.n(15) {
	case 0, 1:
		if i, ok := g.localOf(t); ok {
			g.value(t, depth)
			g.index(wasm.OpLocalSet, i)
		}
	case 2:
		if i, ok := g.globalOf(t); ok {
			g.value(t, depth)
			g.index(wasm.OpGlobalSet, i)
		}
	case 3, 4, 5:
		g.instruction(pick(g, g.stores), depth)
	case 6:
		g.value(wasm.I32, depth)
		g.within(wasm.OpIf, 0, func() {
			g.body(0, depth-1)
			if g.one(2) {
				g.op(wasm.OpElse)
				g.body(0, depth-1)
			}
		})
	case 7:
		g.within(wasm.OpBlock, 0, func() { g.body(0, depth-1) })
	case 8:
		g.loop(0, depth-1)
	case 9:
		g.branch(depth)
	case 10:
		i := uint32(1 + g.n(len(g.m.Funcs)-1))
		typ := g.m.FuncTypeOf(i)
		g.arguments(typ, depth-1)
		g.invoke(i, typ, depth)
		for range typ.Results {
			g.op(wasm.OpDrop)
		}
	case 11:
		g.bulk(depth)
	case 12:
		g.value(t, depth)
		g.op(wasm.OpDrop)
	case 13:
		g.tableIndex(depth)
		g.reference(depth)
		g.index(wasm.OpTableSet, 0)
	case 14:
		g.machine(depth - 1)
	}
}

// machine emits a loop around a table of jumps by a local, which says where to go on: what
// compilers make of loops with several ways in, and of state machines.
func (g *generator) machine(depth int) {
	state, ok := g.localOf(wasm.I32)
	if !ok || depth < 0 {
		return
	}
	n := 2 + g.n(3)
	if !g.one(4) {
		g.goOn(state, n)
	}
	g.within(wasm.OpLoop, 0, func() { g.states(state, n, n, depth) })
}

// goOn sets which of n states comes next; there is one more number, which the table has no entry for.
func (g *generator) goOn(state uint32, n int) {
	g.i32(int32(g.n(n + 1)))
	g.index(wasm.OpLocalSet, state)
}

// states emits the first k of n states of a machine, in a block each that leads to it, and the table of
// jumps in the innermost. Every state takes fuel, so that the loop ends.
func (g *generator) states(state uint32, k, n, depth int) {
	if k == 0 {
		g.index(wasm.OpLocalGet, state)
		g.op(wasm.OpBrTable)
		g.code = wasm.AppendU32(g.code, uint32(n))
		for i := range n {
			g.code = wasm.AppendU32(g.code, uint32(i))
		}
		g.code = wasm.AppendU32(g.code, uint32(g.n(n)))
		return
	}
	g.within(wasm.OpBlock, 0, func() { g.states(state, k-1, n, depth) })
	g.spend()
	for range g.n(3) {
		g.statement(depth)
	}
	loop := uint32(n - k)
	switch g.n(5) {
	case 0: // to the next state, or out of the loop
	case 1:
		g.value(wasm.I32, depth)
		g.within(wasm.OpIf, 0, func() {
			g.goOn(state, n)
			g.index(wasm.OpBr, loop+1)
		})
	case 2:
		g.value(wasm.I32, depth)
		g.within(wasm.OpIf, 0, func() {
			g.goOn(state, n)
			g.op(wasm.OpElse)
			g.goOn(state, n)
		})
		g.index(wasm.OpBr, loop)
	default:
		g.goOn(state, n)
		g.index(wasm.OpBr, loop)
	}
}

// branch emits a branch, conditional or within a condition, so that what comes
// after it can be reached.
func (g *generator) branch(depth int) {
	label := g.n(len(g.labels))
	carried := g.labels[len(g.labels)-1-label]
	switch g.n(4) {
	case 0:
		for _, t := range carried {
			g.value(t, depth-1)
		}
		g.value(wasm.I32, depth-1)
		g.index(wasm.OpBrIf, uint32(label))
		for range carried {
			g.op(wasm.OpDrop)
		}
	case 1:
		// A table of labels that carry the same.
		var list []uint32
		for l := range g.labels {
			if same(g.labels[len(g.labels)-1-l], carried) {
				list = append(list, uint32(l+1)) // from within the if
			}
		}
		g.value(wasm.I32, depth-1)
		g.within(wasm.OpIf, 0, func() {
			for _, t := range carried {
				g.value(t, depth-1)
			}
			g.value(wasm.I32, depth-1)
			g.op(wasm.OpBrTable)
			n := g.n(6)
			g.code = wasm.AppendU32(g.code, uint32(n))
			for range n + 1 {
				g.code = wasm.AppendU32(g.code, pick(g, list))
			}
		})
	case 2:
		g.value(wasm.I32, depth-1)
		g.within(wasm.OpIf, 0, func() {
			for _, t := range carried {
				g.value(t, depth-1)
			}
			g.index(wasm.OpBr, uint32(label+1))
		})
	case 3:
		g.value(wasm.I32, depth-1)
		g.within(wasm.OpIf, 0, func() {
			if g.c.TailCalls && g.one(2) {
				for i := 1; i < len(g.m.Funcs); i++ {
					typ := g.m.FuncTypeOf(uint32(i))
					if same(typ.Results, g.typ.Results) && g.one(2) {
						g.arguments(typ, depth-1)
						g.index(wasm.OpReturnCall, uint32(i))
						return
					}
				}
			}
			for _, t := range g.typ.Results {
				g.value(t, depth-1)
			}
			g.op(wasm.OpReturn)
		})
	}
}

func same(a, b []wasm.ValType) bool {
	x, y := wasm.FuncType{Params: a}, wasm.FuncType{Params: b}
	return x.Equal(&y)
}

// bulk emits a copy, fill or initialisation of memory, often of constant size.
func (g *generator) bulk(depth int) {
	size := func() {
		switch g.n(8) {
		case 0:
			g.value(wasm.I32, depth-1)
			g.i32(0xfff)
			g.op(wasm.OpI32And)
		case 1:
			g.i32(int32(g.n(5000)))
		default:
			g.i32(int32(g.n(80)))
		}
	}
	switch g.n(3) {
	case 0:
		g.address(depth)
		g.address(depth)
		size()
		g.op(wasm.OpMemoryCopy)
		g.code = append(g.code, 0, 0)
	case 1:
		g.address(depth)
		g.value(wasm.I32, depth-1)
		size()
		g.index(wasm.OpMemoryFill, 0)
	case 2:
		if len(g.m.Datas) == 0 {
			return
		}
		d := uint32(g.n(len(g.m.Datas)))
		if g.m.Datas[d].Mode == wasm.SegmentActive {
			return // it is dropped at instantiation, but by one engine
		}
		if g.one(10) {
			g.index(wasm.OpDataDrop, d)
			return
		}
		g.address(depth)
		g.i32(int32(g.n(20)))
		g.i32(int32(g.n(60)))
		g.index(wasm.OpMemoryInit, d)
		g.code = append(g.code, 0)
	}
}
