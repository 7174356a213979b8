package translate

import (
	"math"

	"github.com/davit-wasm/davit/codegen/ir"
	"github.com/davit-wasm/davit/internal/layout"
	"github.com/davit-wasm/davit/wasm"
)

// access describes a load or store.
type access struct {
	op   ir.Opcode
	typ  ir.Type // controlling type in IR; Invalid if the opcode has a result of its own
	size int8    // bytes
}

func accessOf(op wasm.Opcode) (a access, store, ok bool) {
	switch op {
	case wasm.OpI32Load:
		return access{ir.OpLoad, ir.I32, 4}, false, true
	case wasm.OpI64Load:
		return access{ir.OpLoad, ir.I64, 8}, false, true
	case wasm.OpF32Load:
		return access{ir.OpLoad, ir.F32, 4}, false, true
	case wasm.OpF64Load:
		return access{ir.OpLoad, ir.F64, 8}, false, true
	case wasm.OpI32Load8S:
		return access{ir.OpSload8, ir.I32, 1}, false, true
	case wasm.OpI32Load8U:
		return access{ir.OpUload8, ir.I32, 1}, false, true
	case wasm.OpI32Load16S:
		return access{ir.OpSload16, ir.I32, 2}, false, true
	case wasm.OpI32Load16U:
		return access{ir.OpUload16, ir.I32, 2}, false, true
	case wasm.OpI64Load8S:
		return access{ir.OpSload8, ir.I64, 1}, false, true
	case wasm.OpI64Load8U:
		return access{ir.OpUload8, ir.I64, 1}, false, true
	case wasm.OpI64Load16S:
		return access{ir.OpSload16, ir.I64, 2}, false, true
	case wasm.OpI64Load16U:
		return access{ir.OpUload16, ir.I64, 2}, false, true
	case wasm.OpI64Load32S:
		return access{ir.OpSload32, ir.I64, 4}, false, true
	case wasm.OpI64Load32U:
		return access{ir.OpUload32, ir.I64, 4}, false, true
	case wasm.OpI32Store:
		return access{ir.OpStore, ir.I32, 4}, true, true
	case wasm.OpI64Store:
		return access{ir.OpStore, ir.I64, 8}, true, true
	case wasm.OpF32Store:
		return access{ir.OpStore, ir.F32, 4}, true, true
	case wasm.OpF64Store:
		return access{ir.OpStore, ir.F64, 8}, true, true
	case wasm.OpI32Store8:
		return access{ir.OpIstore8, ir.I32, 1}, true, true
	case wasm.OpI32Store16:
		return access{ir.OpIstore16, ir.I32, 2}, true, true
	case wasm.OpI64Store8:
		return access{ir.OpIstore8, ir.I64, 1}, true, true
	case wasm.OpI64Store16:
		return access{ir.OpIstore16, ir.I64, 2}, true, true
	case wasm.OpI64Store32:
		return access{ir.OpIstore32, ir.I64, 4}, true, true
	}
	return access{}, false, false
}

// guarded reports whether accesses to a memory are confined by guard pages.
func (t *Translator) guarded(memory uint32) bool {
	mt := &t.m.Wasm.Memories[memory]
	return !t.m.Settings.ExplicitBounds && !mt.Is64 && mt.PageBits == 16
}

// moves reports whether the base of a memory may change: its bytes are in the
// embedder's storage, as those of the module's own memories never are.
func (t *Translator) moves(memory uint32) bool {
	return !t.guarded(memory) && memory < t.m.Layout.ImportedMemories
}

// memoryAt is where the descriptor of a memory lies: base plus offset.
func (t *Translator) memoryAt(memory uint32) (base ir.Value, offset int32) {
	if n := t.m.Layout.ImportedMemories; memory >= n {
		return t.vmctx, t.m.Layout.Memory(memory - n)
	}
	return t.load(ir.I64, t.fixed(), t.vmctx, t.m.Layout.ImportedMemory(memory)), 0
}

// loadBases loads the base of the first memory where a function begins, if it
// never changes. A load that turns out not to be used costs nothing.
func (t *Translator) loadBases() {
	t.base0, t.away0 = ir.NoValue, ir.NoValue
	if len(t.m.Wasm.Memories) == 0 || t.moves(0) {
		return
	}
	t.base0 = t.loadBase(0)
	if !t.m.HeapBranches && !t.guarded(0) {
		t.away0 = t.negative(t.base0)
	}
}

// away is the index of address 0 in a memory with the given base.
func (t *Translator) away(memory uint32, base ir.Value) ir.Value {
	if memory == 0 && t.away0 != ir.NoValue {
		return t.away0
	}
	return t.negative(base)
}

func (t *Translator) negative(v ir.Value) ir.Value {
	return t.value(ir.InstData{Op: ir.OpIneg, Type: ir.I64}, v)
}

func (t *Translator) loadBase(memory uint32) ir.Value {
	flags := t.fixed()
	if t.moves(memory) {
		flags = t.descriptor()
	}
	desc, off := t.memoryAt(memory)
	return t.load(ir.I64, flags, desc, off+layout.MemoryBase)
}

// base is the base of a memory in a function's body.
func (t *Translator) base(memory uint32) ir.Value {
	if memory == 0 && t.base0 != ir.NoValue {
		return t.base0
	}
	return t.loadBase(memory)
}

// loadLength is the length of a memory in bytes.
func (t *Translator) loadLength(memory uint32) ir.Value {
	if mt := &t.m.Wasm.Memories[memory]; mt.HasMax && mt.Max == mt.Min {
		return t.iconst(ir.I64, int64(mt.Min<<mt.PageBits))
	}
	desc, off := t.memoryAt(memory)
	return t.load(ir.I64, t.descriptor()|ir.MemGrows, desc, off+layout.MemoryLength)
}

// heapAddress is the address, and the offset to be added to it, of an access of
// size bytes at a memory's index plus a static offset.
//
// Where guard pages do not confine the memory, it is checked that index+end is
// not beyond the length, where end is the offset plus the size. Length and end
// are below 1<<63, so that the sum overflows only for 64-bit indexes. No check is needed
// where index and offset are seen to be below the least size of the memory.
//
// With HeapBranches the check is a conditional trap. Otherwise it chooses between
// the index and one that together with the base is address 0, where accesses
// fault: speculation does not pass that. The static offset is not part of the
// choice, unless it is so large that 0 with it need not fault. So the accesses to
// one object choose alike, and the optimizer has only one of them do it.
func (t *Translator) heapAddress(memory uint32, index ir.Value, static uint64, size int8) (addr ir.Value, offset int32) {
	largest := t.largest(index)
	if t.f.ValueType(index) == ir.I32 {
		index = t.convert(ir.OpUextend, ir.I64, index)
	}
	if t.guarded(memory) && static+uint64(size) <= layout.MemoryOffsetGuard {
		return t.binary(ir.OpIadd, t.base(memory), index), int32(static)
	}
	mt := &t.m.Wasm.Memories[memory]
	least := mt.Min << mt.PageBits
	end := static + uint64(size)
	var beyond ir.Value
	switch {
	case end < static || end > maxMemory:
		beyond = t.iconst(ir.I8, 1)
	case largest <= least && largest+end <= least:
		addr := t.binary(ir.OpIadd, t.base(memory), index)
		return t.reach(addr, static, math.MaxInt32)
	case !mt.Is64:
		// Not below the length is the last byte, which for a byte without an offset is
		// the index itself.
		last := t.offset(index, int64(end-1))
		beyond = t.compare(ir.UnsignedGreaterThanOrEqual, last, t.loadLength(memory))
	case end <= least:
		limit := t.binary(ir.OpIsub, t.loadLength(memory), t.iconst(ir.I64, int64(end)))
		beyond = t.compare(ir.UnsignedGreaterThan, index, limit)
	default:
		sum := t.b.UaddOverflowTrap(index, t.iconst(ir.I64, int64(end)), ir.TrapHeapOutOfBounds)
		beyond = t.compare(ir.UnsignedGreaterThan, sum, t.loadLength(memory))
	}
	if t.m.HeapBranches {
		t.trapIfCode(ir.TrapHeapOutOfBounds, beyond) // the code of the accesses themselves
		return t.reach(t.binary(ir.OpIadd, t.base(memory), index), static, math.MaxInt32)
	}
	base := t.base(memory)
	index, offset = t.reach(index, static, nullPages-uint64(size))
	index = t.value(ir.InstData{Op: ir.OpSelectSpectreGuard, Type: ir.I64}, beyond, t.away(memory, base), index)
	return t.binary(ir.OpIadd, base, index), offset
}

const (
	// maxMemory is larger than any memory, and leaves room for sums of sizes.
	maxMemory = 1 << 62
	// nullPages is the size of the part of the address space, from 0, where nothing
	// is mapped: faults there are traps.
	nullPages = 64 << 10
)

// reach is an address plus static as an address and an offset of at most most.
func (t *Translator) reach(addr ir.Value, static, most uint64) (ir.Value, int32) {
	if static <= most {
		return addr, int32(static)
	}
	return t.offset(addr, int64(static)), 0
}

// largest bounds an integer from above, by the operations that made it.
func (t *Translator) largest(v ir.Value) uint64 { return t.largestOf(v, 4) }

// largestOf looks through so many operations.
func (t *Translator) largestOf(v ir.Value, depth int) uint64 {
	v = t.f.Resolve(v)
	all := ^uint64(0) >> (64 - t.f.ValueType(v).Bits())
	inst, _ := t.f.ValueInst(v)
	if inst == ir.NoInst || depth == 0 {
		return all
	}
	d := t.f.Inst(inst)
	arg := func(i int) uint64 { return t.largestOf(t.f.Args(inst)[i], depth-1) }
	switch d.Op {
	case ir.OpIconst:
		return uint64(d.Imm) & all
	case ir.OpBand:
		return min(arg(0), arg(1))
	case ir.OpUextend:
		return arg(0)
	case ir.OpUload8:
		return math.MaxUint8
	case ir.OpUload16:
		return math.MaxUint16
	case ir.OpUload32:
		return math.MaxUint32
	case ir.OpIcmp, ir.OpFcmp:
		return 1
	case ir.OpUshr:
		if k := t.f.Args(inst)[1]; t.isConst(k) {
			return arg(0) >> (t.largest(k) & uint64(d.Type.Bits()-1))
		}
	case ir.OpIshl:
		k := t.f.Args(inst)[1]
		if !t.isConst(k) {
			break
		}
		shift := t.largest(k) & uint64(d.Type.Bits()-1)
		if x := arg(0); x <= all>>shift {
			return x << shift
		}
	case ir.OpIadd:
		if x, y := arg(0), arg(1); x <= all && y <= all-x {
			return x + y
		}
	}
	return all
}

func (t *Translator) isConst(v ir.Value) bool {
	inst, _ := t.f.ValueInst(t.f.Resolve(v))
	return inst != ir.NoInst && t.f.Inst(inst).Op == ir.OpIconst
}

func (t *Translator) memory() bool {
	if a, store, ok := accessOf(t.in.Op); ok {
		t.accessMemory(a, store)
		return true
	}
	memories := t.m.Wasm.Memories
	switch t.in.Op {
	case wasm.OpMemorySize:
		mt := &memories[t.in.Index]
		pages := t.binary(ir.OpUshr, t.loadLength(t.in.Index), t.iconst(ir.I64, int64(mt.PageBits)))
		t.push(t.address(pages, mt.Is64))
	case wasm.OpMemoryGrow:
		delta := t.pop()
		t.chargeMemoryGrowth(t.in.Index, delta)
		buf := t.libcall(layout.LibMemoryGrow, t.index(t.in.Index), delta)
		t.push(t.libcallResult(Type(memories[t.in.Index].Address()), buf))
	case wasm.OpMemoryCopy:
		t.memoryCopy()
	case wasm.OpMemoryFill:
		t.memoryFill()
	case wasm.OpMemoryInit:
		n, src := t.pop(), t.pop()
		t.chargeMemory(t.in.Index2, n)
		t.libcall(layout.LibMemoryInit, t.index(t.in.Index2), t.index(t.in.Index), t.pop(), src, n)
	case wasm.OpDataDrop:
		t.libcall(layout.LibDataDrop, t.index(t.in.Index))
	default:
		return false
	}
	return true
}

func (t *Translator) accessMemory(a access, store bool) {
	var v ir.Value
	if store {
		v = t.pop()
	}
	addr, off := t.heapAddress(t.in.Index, t.pop(), t.in.Imm, a.size)
	d := ir.InstData{Op: a.op, Type: a.typ, Flags: t.regions.heap, Imm: int64(off)}
	if store {
		t.emit(d, v, addr)
		return
	}
	if a.op == ir.OpUload32 || a.op == ir.OpSload32 { // their controlling type is the address's
		d.Type = ir.I64
	}
	t.push(t.value(d, addr))
}
