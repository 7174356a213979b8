package translate

import (
	"github.com/davit-wasm/davit/codegen/ir"
	"github.com/davit-wasm/davit/internal/image"
	"github.com/davit-wasm/davit/internal/layout"
)

// Copies and fills within the first memory do not leave compiled code unless
// they are large. What is short and of known size is a few loads and stores in
// place; the rest calls a routine, a function that each module with a memory
// has. A routine checks bounds, and for each range of sizes up to eight vectors
// does the same few moves, from both ends of the range so that they meet or
// overlap in the middle: all loads come before all stores, so that it does not
// matter how source and destination lie. Above, a loop moves four vectors at a
// time, from the end that the overlap allows, to aligned addresses: a store that
// crosses a cache line costs twice. Vectors have 32 bytes where the target can
// move them, which is nearly twice as fast while all is in the first caches, or
// else 16. Where the processor is made for it, one instruction takes the place of
// the loop that copies much forward. Large sizes go to the runtime, which looks at
// interruptions in between.

// Routine is a function of a module that stands for an instruction.
type Routine uint32

// Routines.
const (
	RoutineCopy      Routine = iota // (vmctx, dst, src, n), on the first memory; traps
	RoutineFill                     // (vmctx, dst, byte i32, n), on the first memory; traps
	RoutineFuel                     // (): nothing is left; does not come back unless there is more
	RoutineInterrupt                // (): the epoch has ended; does not come back if the call is to end
	numRoutines
)

// asks reports whether r does nothing but ask the runtime whether to go on, by what libcall.
func (r Routine) asks() (libcall int64, ok bool) {
	switch r {
	case RoutineFuel:
		return layout.LibFuel, true
	case RoutineInterrupt:
		return layout.LibInterrupt, true
	}
	return 0, false
}

// RoutineNamespace is the namespace of the names of routines in IR.
const RoutineNamespace = 3

// Routines are the routines that m has, ascending. The list must not be changed.
func (m *Module) Routines() []Routine { return m.routines }

// findRoutines finds out which routines m has.
func (m *Module) findRoutines() {
	if len(m.Wasm.Memories) > 0 {
		m.routines = append(m.routines, RoutineCopy, RoutineFill)
	}
	if m.Settings.Fuel && len(m.Wasm.Code) > 0 {
		m.routines = append(m.routines, RoutineFuel)
	}
	if m.Settings.Epoch && len(m.Wasm.Code) > 0 {
		m.routines = append(m.routines, RoutineInterrupt)
	}
}

const (
	// inlineBulk is the size up to which a copy or fill of constant size is done
	// in place.
	inlineBulk = 64
	// largeBulk is the size from which the runtime does it: it takes some
	// microseconds, beside which the way there and back does not count.
	largeBulk = 1 << 18
	// repBulk is the size from which one instruction copies forward, where the
	// processor is good at that: it takes its time to begin, but then does not read
	// what it will overwrite, which counts as soon as not all is in the first cache.
	repBulk = 1 << 14
)

// constantSize is the value of n, if it is a constant that is handled in place.
func (t *Translator) constantSize(n ir.Value) (size int64, ok bool) {
	inst, _ := t.f.ValueInst(n)
	if inst == ir.NoInst || t.f.Inst(inst).Op != ir.OpIconst {
		return 0, false
	}
	size = t.f.Inst(inst).Imm
	return size, size > 0 && size <= inlineBulk
}

// pieces calls f for the pieces that make up size bytes, the last one first:
// that it can be written tells that all others can. The last one may overlap the
// one before it.
func pieces(size int64, f func(typ ir.Type, offset int64)) {
	typ := ir.I8X16
	for _, narrower := range []ir.Type{ir.I64, ir.I32, ir.I16, ir.I8} {
		if int64(typ.Bytes()) <= size {
			break
		}
		typ = narrower
	}
	step := int64(typ.Bytes())
	f(typ, size-step)
	for off := int64(0); off < size-step; off += step {
		f(typ, off)
	}
}

func (t *Translator) memoryCopy() {
	n, src, dst := t.pop(), t.pop(), t.pop()
	to, from := t.in.Index, t.in.Index2
	if size, ok := t.constantSize(n); ok {
		t.chargeBytes(size)
		s, off := t.heapAddress(from, src, 0, int8(size))
		t.args = t.args[:0]
		pieces(size, func(typ ir.Type, at int64) {
			t.args = append(t.args, t.load(typ, t.regions.heap, s, off+int32(at)))
		})
		d, off := t.heapAddress(to, dst, 0, int8(size))
		i := 0
		pieces(size, func(_ ir.Type, at int64) {
			t.store(t.regions.heap, t.args[i], d, off+int32(at))
			i++
		})
		return
	}
	t.chargeMemory(to, n)
	if to == 0 && from == 0 {
		t.callRoutine(RoutineCopy, dst, src, n)
		return
	}
	t.libcall(layout.LibMemoryCopy, t.index(to), t.index(from), dst, src, n)
}

func (t *Translator) memoryFill() {
	n, v, dst := t.pop(), t.pop(), t.pop()
	if size, ok := t.constantSize(n); ok {
		t.chargeBytes(size)
		d, off := t.heapAddress(t.in.Index, dst, 0, int8(size))
		var filled ir.Value
		of := ir.Invalid
		pieces(size, func(typ ir.Type, at int64) {
			if typ != of { // all pieces are of one type
				filled, of = t.repeat(v, typ), typ
			}
			t.store(t.regions.heap, filled, d, off+int32(at))
		})
		return
	}
	t.chargeMemory(t.in.Index, n)
	if t.in.Index == 0 {
		t.callRoutine(RoutineFill, dst, v, n)
		return
	}
	t.libcall(layout.LibMemoryFill, t.index(t.in.Index), dst, v, n)
}

// repeat is a value of type typ whose bytes are all the low byte of the i32 v.
func (t *Translator) repeat(v ir.Value, typ ir.Type) ir.Value {
	if typ.IsVector() {
		return t.value(ir.InstData{Op: ir.OpSplat, Type: typ}, t.convert(ir.OpIreduce, ir.I8, v))
	}
	const ones = 0x0101010101010101
	if inst, _ := t.f.ValueInst(v); inst != ir.NoInst && t.f.Inst(inst).Op == ir.OpIconst {
		return t.iconst(typ, ones*(t.f.Inst(inst).Imm&0xff))
	}
	v = t.convert(ir.OpIreduce, ir.I8, v)
	if typ == ir.I8 {
		return v
	}
	v = t.convert(ir.OpUextend, ir.I64, v)
	v = t.binary(ir.OpImul, v, t.iconst(ir.I64, ones))
	if typ == ir.I64 {
		return v
	}
	return t.convert(ir.OpIreduce, typ, v)
}

func (t *Translator) callRoutine(r Routine, args ...ir.Value) {
	t.args = append(append(t.args[:0], t.vmctx), args...)
	t.b.Call(t.routine(r), t.args...)
}

// routine is routine r for the function at hand.
func (t *Translator) routine(r Routine) ir.FuncRef {
	if t.routines[r] == ir.NoFuncRef {
		sig := t.f.AddSig(t.m.routineSignature(r))
		t.routines[r] = t.f.AddExtFunc(ir.ExtFunc{Name: ir.UserName(RoutineNamespace, uint32(r)), Sig: sig, Colocated: true})
	}
	return t.routines[r]
}

func (m *Module) routineSignature(r Routine) ir.Signature {
	if _, asks := r.asks(); asks {
		return ir.Signature{CallConv: ir.PreserveAll}
	}
	addr := ir.Param{Type: Type(m.Wasm.Memories[0].Address())}
	params := []ir.Param{{Type: ir.I64, Purpose: ir.VMContext}, addr, addr, addr}
	if r == RoutineFill {
		params[2] = ir.Param{Type: ir.I32}
	}
	return ir.Signature{Params: params, CallConv: ir.Tail}
}

// Routine makes routine r of m in f, whose former content is lost.
func (t *Translator) Routine(m *Module, r Routine, f *ir.Function) error {
	t.reset(m, f, ir.UserName(RoutineNamespace, uint32(r)), m.routineSignature(r))
	f.Loc = 0
	entry := t.b.CreateBlock()
	t.b.AppendFunctionParams(entry)
	t.b.SwitchTo(entry)
	t.b.Seal(entry)
	if libcall, asks := r.asks(); asks {
		t.askingRoutine(libcall)
		return t.b.Finish()
	}
	p := f.Params(entry)
	t.vmctx = p[0]
	dst, x, n := p[1], p[2], p[3]

	length := t.loadLength(0)
	base := t.loadBase(0)
	size := t.widen(n)
	place := func(index ir.Value) end {
		index = t.widen(index)
		limit := t.rangeEnd(index, size)
		t.trapIf(image.TrapMemoryOutOfBounds, t.compare(ir.UnsignedGreaterThan, limit, length))
		return end{t.binary(ir.OpIadd, base, index), t.binary(ir.OpIadd, base, limit)}
	}
	switch d := place(dst); r {
	case RoutineCopy:
		b := bulk{Translator: t, n: size, d: d, s: place(x)}
		b.emit(func() { t.libcall(layout.LibMemoryCopy, t.index(0), t.index(0), dst, x, n) })
	case RoutineFill:
		b := bulk{Translator: t, n: size, d: d, s: end{ir.NoValue, ir.NoValue}, word: t.repeat(x, ir.I64), vector: t.repeat(x, ir.I8X16)}
		if m.WideVectors {
			b.wide = t.repeat(x, wideType)
		}
		b.emit(func() { t.libcall(layout.LibMemoryFill, t.index(0), dst, x, n) })
	}
	return t.b.Finish()
}

// widen is an address of the first memory as i64.
func (t *Translator) widen(v ir.Value) ir.Value {
	if t.f.ValueType(v) == ir.I64 {
		return v
	}
	return t.convert(ir.OpUextend, ir.I64, v)
}

// rangeEnd is index plus size.
func (t *Translator) rangeEnd(index, size ir.Value) ir.Value {
	if t.m.Wasm.Memories[0].Is64 {
		return t.b.UaddOverflowTrap(index, size, ir.TrapHeapOutOfBounds)
	}
	return t.binary(ir.OpIadd, index, size)
}

// end is the address of the first byte of a range, and that behind its last.
type end struct{ first, last ir.Value }

// bulk emits the body of a routine.
type bulk struct {
	*Translator
	n    ir.Value
	d, s end

	// A fill has, in place of a source, a number and vectors of equal bytes.
	word, vector, wide ir.Value
}

// wideType is a vector of 32 bytes.
var wideType = ir.I8.Vector(32)

// emit emits the choice between the ranges of sizes.
func (b *bulk) emit(large func()) {
	b.when(ir.UnsignedLessThanOrEqual, 16, false, func() {
		b.when(ir.UnsignedGreaterThanOrEqual, 8, false, func() { b.ends(ir.I64, 1) })
		b.when(ir.UnsignedGreaterThanOrEqual, 4, false, func() { b.ends(ir.I32, 1) })
		b.when(ir.Equal, 0, false, func() {})
		// One to three bytes: first, middle, last.
		half := b.binary(ir.OpUshr, b.n, b.iconst(ir.I64, 1))
		at := func(e end) [3]ir.Value {
			return [3]ir.Value{e.first, b.binary(ir.OpIadd, e.first, half), b.offset(e.last, -1)}
		}
		var bytes [3]ir.Value
		if b.s.first != ir.NoValue {
			for i, a := range at(b.s) {
				bytes[i] = b.get(ir.I8, a, 0)
			}
		} else {
			for i := range bytes {
				bytes[i] = b.get(ir.I8, ir.NoValue, 0)
			}
		}
		for i, a := range at(b.d) {
			b.put(bytes[i], a, 0)
		}
	})
	typ := ir.I8X16
	b.when(ir.UnsignedLessThanOrEqual, 32, false, func() { b.ends(typ, 1) })
	if b.m.WideVectors {
		typ = wideType
	}
	for k := int32(1); k <= 4; k *= 2 {
		if size := 2 * k * int32(typ.Bytes()); size > 32 {
			b.when(ir.UnsignedLessThanOrEqual, int64(size), false, func() { b.ends(typ, k) })
		}
	}
	b.when(ir.UnsignedGreaterThanOrEqual, largeBulk, true, large)
	if b.s.first == ir.NoValue {
		b.loop(typ, false)
	} else {
		// Forward, unless the destination begins within the source.
		distance := b.binary(ir.OpIsub, b.d.first, b.s.first)
		backward, forward := b.b.CreateBlock(), b.b.CreateBlock()
		b.b.Brif(b.compare(ir.UnsignedLessThan, distance, b.n), backward, nil, forward, nil)
		b.b.Seal(backward)
		b.b.Seal(forward)
		b.b.SwitchTo(backward)
		b.loop(typ, true)
		b.b.Return()
		b.b.SwitchTo(forward)
		if b.m.RepMovsb {
			b.when(ir.UnsignedGreaterThanOrEqual, repBulk, true, func() {
				b.b.X86RepMovsb(b.d.first, b.s.first, b.n)
			})
		}
		b.loop(typ, false)
	}
	b.b.Return()
}

// when emits what is done, and a return after it, if the size compares with
// bound in the way c.
func (b *bulk) when(c ir.IntCC, bound int64, cold bool, do func()) {
	yes, no := b.b.CreateBlock(), b.b.CreateBlock()
	b.f.SetCold(yes, cold)
	b.b.Brif(b.compare(c, b.n, b.iconst(ir.I64, bound)), yes, nil, no, nil)
	b.b.Seal(yes)
	b.b.Seal(no)
	b.b.SwitchTo(yes)
	do()
	b.b.Return()
	b.b.SwitchTo(no)
}

// bulkFlags are the flags of accesses that have been checked.
func (b *bulk) bulkFlags() ir.MemFlags { return b.regions.heap | ir.MemNotrap }

func (b *bulk) get(typ ir.Type, at ir.Value, offset int32) ir.Value {
	switch {
	case at != ir.NoValue:
		return b.load(typ, b.bulkFlags(), at, offset)
	case typ == wideType:
		return b.wide
	case typ.IsVector():
		return b.vector
	case typ == ir.I64:
		return b.word
	}
	return b.convert(ir.OpIreduce, typ, b.word)
}

func (b *bulk) put(v, at ir.Value, offset int32) { b.store(b.bulkFlags(), v, at, offset) }

// ends moves k values at the beginning and as many at the end.
func (b *bulk) ends(typ ir.Type, k int32) {
	size := int32(typ.Bytes())
	var values [8]ir.Value
	for i := range k {
		values[i] = b.get(typ, b.s.first, i*size)
		values[k+i] = b.get(typ, b.s.last, (i-k)*size)
	}
	for i := range k {
		b.put(values[i], b.d.first, i*size)
		b.put(values[k+i], b.d.last, (i-k)*size)
	}
}

// loop moves four vectors at a time to aligned addresses. What this leaves at the
// two ends is loaded before, and stored after it: one vector where the loop
// begins, four where it stops.
func (b *bulk) loop(typ ir.Type, backward bool) {
	const k = 4
	size := int32(typ.Bytes())
	type pair struct{ s, d ir.Value }
	rest, from := pair{b.s.last, b.d.last}, pair{b.s.first, b.d.first}
	firstOffset, lastOffset, offset := int32(0), int32(-k*size), int32(0)
	if backward {
		rest, from = from, rest
		firstOffset, lastOffset, offset = -size, 0, -k*size
	}
	first := b.get(typ, from.s, firstOffset)
	var last [k]ir.Value
	for i := range last {
		last[i] = b.get(typ, rest.s, lastOffset+int32(i)*size)
	}
	todo := b.offset(b.n, int64(-k*size))
	// How far the loop begins from the end at which it begins.
	skip := from.d
	if !backward {
		skip = b.binary(ir.OpIsub, b.iconst(ir.I64, 0), skip)
	}
	skip = b.binary(ir.OpBand, skip, b.iconst(ir.I64, int64(size-1)))
	loop, done := b.b.CreateBlock(), b.b.CreateBlock()
	i := b.f.AddParam(loop, ir.I64)
	b.b.Jump(loop, skip)
	b.b.SwitchTo(loop)
	index := i
	if backward {
		index = b.binary(ir.OpIsub, b.iconst(ir.I64, 0), i)
	}
	var values [k]ir.Value
	at := ir.NoValue
	if from.s != ir.NoValue {
		at = b.binary(ir.OpIadd, from.s, index)
	}
	for j := range values {
		values[j] = b.get(typ, at, offset+int32(j)*size)
	}
	at = b.binary(ir.OpIadd, from.d, index)
	for j := range values {
		b.put(values[j], at, offset+int32(j)*size)
	}
	next := b.offset(i, int64(k*size))
	b.b.Brif(b.compare(ir.UnsignedLessThan, next, todo), loop, []ir.Value{next}, done, nil)
	b.b.Seal(loop)
	b.b.Seal(done)
	b.b.SwitchTo(done)
	b.put(first, from.d, firstOffset)
	for i := range last {
		b.put(last[i], rest.d, lastOffset+int32(i)*size)
	}
}
