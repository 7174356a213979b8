package translate

import (
	"github.com/davit-wasm/davit/codegen/ir"
	"github.com/davit-wasm/davit/internal/image"
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

// guarded reports whether accesses to a memory are confined by guard pages: then
// its base never changes either.
func (t *Translator) guarded(memory uint32) bool {
	mt := &t.m.Wasm.Memories[memory]
	return !t.m.Settings.ExplicitBounds && !mt.Is64 && mt.PageBits == 16
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
	t.base0 = ir.NoValue
	if len(t.m.Wasm.Memories) > 0 && t.guarded(0) {
		t.base0 = t.loadBase(0)
	}
}

func (t *Translator) loadBase(memory uint32) ir.Value {
	flags := t.descriptor()
	if t.guarded(memory) {
		flags = t.fixed()
	}
	desc, off := t.memoryAt(memory)
	return t.load(ir.I64, flags, desc, off+layout.MemoryBase)
}

// heapAddress is the address, and the offset to be added to it, of an access of
// size bytes at a memory's index plus a static offset.
func (t *Translator) heapAddress(memory uint32, index ir.Value, static uint64, size int8) (addr ir.Value, offset int32) {
	if t.f.ValueType(index) == ir.I32 {
		index = t.convert(ir.OpUextend, ir.I64, index)
	}
	if t.guarded(memory) && static+uint64(size) <= layout.MemoryOffsetGuard {
		base := t.base0
		if memory != 0 {
			base = t.loadBase(memory)
		}
		return t.binary(ir.OpIadd, base, index), int32(static)
	}
	// index + static + size must not be beyond the length; the sum may overflow
	// only if one of the two is 64 bits wide.
	desc, off := t.memoryAt(memory)
	length := t.load(ir.I64, t.descriptor(), desc, off+layout.MemoryLength)
	end, carry := static+uint64(size), uint64(0)
	if end < static {
		carry = 1 // no index is small enough
	}
	var beyond ir.Value
	switch {
	case carry != 0:
		beyond = t.iconst(ir.I8, 1)
	case t.m.Wasm.Memories[memory].Is64:
		sum := t.b.UaddOverflowTrap(index, t.iconst(ir.I64, int64(end)), ir.TrapHeapOutOfBounds)
		beyond = t.compare(ir.UnsignedGreaterThan, sum, length)
	default:
		sum := t.binary(ir.OpIadd, index, t.iconst(ir.I64, int64(end)))
		beyond = t.compare(ir.UnsignedGreaterThan, sum, length)
	}
	if t.m.HeapBranches {
		t.trapIf(image.TrapMemoryOutOfBounds, beyond)
		return t.offset(t.binary(ir.OpIadd, t.loadBase(memory), index), int64(static)), 0
	}
	addr = t.offset(t.binary(ir.OpIadd, t.loadBase(memory), index), int64(static))
	return t.value(ir.InstData{Op: ir.OpSelectSpectreGuard, Type: ir.I64}, beyond, t.iconst(ir.I64, 0), addr), 0
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
		desc, off := t.memoryAt(t.in.Index)
		length := t.load(ir.I64, t.descriptor(), desc, off+layout.MemoryLength)
		pages := t.binary(ir.OpUshr, length, t.iconst(ir.I64, int64(mt.PageBits)))
		t.push(t.address(pages, mt.Is64))
	case wasm.OpMemoryGrow:
		buf := t.libcall(layout.LibMemoryGrow, t.index(t.in.Index), t.pop())
		t.push(t.libcallResult(Type(memories[t.in.Index].Address()), buf))
	case wasm.OpMemoryCopy:
		t.memoryCopy()
	case wasm.OpMemoryFill:
		t.memoryFill()
	case wasm.OpMemoryInit:
		n, src := t.pop(), t.pop()
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
