package translate

import (
	"github.com/davit-wasm/davit/codegen/ir"
	"github.com/davit-wasm/davit/internal/image"
	"github.com/davit-wasm/davit/internal/layout"
	"github.com/davit-wasm/davit/wasm"
)

// tableAt is where the descriptor of a table lies: base plus offset.
func (t *Translator) tableAt(table uint32) (base ir.Value, offset int32) {
	if n := t.m.Layout.ImportedTables; table >= n {
		return t.vmctx, t.m.Layout.Table(table - n)
	}
	return t.load(ir.I64, t.fixed(), t.vmctx, t.m.Layout.ImportedTable(table)), 0
}

// sized reports whether a table has one size for all time. Then it does not move
// either.
func (t *Translator) sized(table uint32) bool {
	l := &t.m.Wasm.Tables[table].Type.Limits
	return l.HasMax && l.Max == l.Min
}

// tableLength is the length of a table in elements.
func (t *Translator) tableLength(table uint32) ir.Value {
	if t.sized(table) {
		return t.iconst(ir.I64, int64(t.m.Wasm.Tables[table].Type.Min))
	}
	desc, off := t.tableAt(table)
	return t.load(ir.I64, t.descriptor()|ir.MemGrows, desc, off+layout.TableLength)
}

// element is the address of a table's element, or 0 beyond the table's end,
// where the access then faults and traps: no branch whose misprediction could
// read beyond the table. code is the trap's, for the access to use. With the
// setting enable_table_access_spectre_mitigation off there is that branch. Neither
// is needed for an index that is seen to be below the least length of the table.
func (t *Translator) element(table uint32, index ir.Value, code image.TrapCode) ir.Value {
	inside := t.largest(index) < t.m.Wasm.Tables[table].Type.Min
	if t.f.ValueType(index) == ir.I32 {
		index = t.convert(ir.OpUextend, ir.I64, index)
	}
	desc, off := t.tableAt(table)
	flags := t.descriptor()
	if t.sized(table) {
		flags = t.fixed()
	}
	base := t.load(ir.I64, flags, desc, off+layout.TableBase)
	addr := t.binary(ir.OpIadd, base, t.binary(ir.OpIshl, index, t.iconst(ir.I64, 3)))
	if inside {
		return addr
	}
	beyond := t.compare(ir.UnsignedGreaterThanOrEqual, index, t.tableLength(table))
	if t.m.TableBranches {
		t.trapIf(code, beyond)
		return addr
	}
	return t.value(ir.InstData{Op: ir.OpSelectSpectreGuard, Type: ir.I64}, beyond, t.iconst(ir.I64, 0), addr)
}

func (t *Translator) table() bool {
	tables := t.m.Wasm.Tables
	switch t.in.Op {
	case wasm.OpTableGet:
		flags := t.regions.table | ir.MemAligned.WithTrap(trap(image.TrapTableOutOfBounds))
		t.push(t.load(ir.I64, flags, t.element(t.in.Index, t.pop(), image.TrapTableOutOfBounds), 0))
	case wasm.OpTableSet:
		v := t.pop()
		flags := t.regions.table | ir.MemAligned.WithTrap(trap(image.TrapTableOutOfBounds))
		t.store(flags, v, t.element(t.in.Index, t.pop(), image.TrapTableOutOfBounds), 0)
	case wasm.OpTableSize:
		t.push(t.address(t.tableLength(t.in.Index), tables[t.in.Index].Type.Is64))
	case wasm.OpTableGrow:
		delta := t.pop()
		v := t.pop()
		t.chargeTableGrowth(t.in.Index, delta)
		buf := t.libcall(layout.LibTableGrow, t.index(t.in.Index), v, delta)
		t.push(t.libcallResult(Type(tables[t.in.Index].Type.Address()), buf))
	case wasm.OpTableFill:
		n, v := t.pop(), t.pop()
		t.chargeTable(t.in.Index, n)
		t.libcall(layout.LibTableFill, t.index(t.in.Index), t.pop(), v, n)
	case wasm.OpTableCopy:
		n, src := t.pop(), t.pop()
		t.chargeTable(t.in.Index, n)
		t.libcall(layout.LibTableCopy, t.index(t.in.Index), t.index(t.in.Index2), t.pop(), src, n)
	case wasm.OpTableInit:
		n, src := t.pop(), t.pop()
		t.chargeTable(t.in.Index2, n)
		t.libcall(layout.LibTableInit, t.index(t.in.Index2), t.index(t.in.Index), t.pop(), src, n)
	case wasm.OpElemDrop:
		t.libcall(layout.LibElemDrop, t.index(t.in.Index))
	default:
		return false
	}
	return true
}

// index is an index as a libcall takes it.
func (t *Translator) index(i uint32) ir.Value { return t.iconst(ir.I64, int64(i)) }

// address is a 64-bit size or index as a value of the address type of a memory
// or table.
func (t *Translator) address(v ir.Value, is64 bool) ir.Value {
	if is64 {
		return v
	}
	return t.convert(ir.OpIreduce, ir.I32, v)
}

func (t *Translator) isNull(ref ir.Value) ir.Value {
	return t.compare(ir.Equal, ref, t.iconst(ir.I64, 0))
}

// reference translates globals and references to functions and to what the
// host gave.
func (t *Translator) reference() bool {
	switch t.in.Op {
	case wasm.OpGlobalGet:
		g := t.m.Wasm.Globals[t.in.Index].Type
		base, off := t.globalAt(t.in.Index)
		flags := t.regions.global | ir.MemTrusted | ir.MemCanMove
		if !g.Mutable {
			flags |= ir.MemReadonly
		}
		t.push(t.load(Type(g.Type), flags, base, off))
	case wasm.OpGlobalSet:
		base, off := t.globalAt(t.in.Index)
		t.store(t.regions.global|ir.MemTrusted, t.pop(), base, off)
	case wasm.OpRefNull:
		t.push(t.iconst(ir.I64, 0))
	case wasm.OpRefIsNull:
		t.pushTruth(t.isNull(t.pop()))
	case wasm.OpRefFunc:
		off := t.m.Layout.ImportedFunc(t.in.Index)
		if n := t.m.Layout.ImportedFuncs; t.in.Index >= n {
			off = t.m.Layout.Func(t.in.Index - n)
		}
		t.push(t.offset(t.vmctx, int64(off)))
	case wasm.OpRefAsNonNull:
		t.trapIf(image.TrapNullReference, t.isNull(t.top()))
	default:
		return false
	}
	return true
}

// globalAt is where the cell of a global lies: base plus offset.
func (t *Translator) globalAt(global uint32) (base ir.Value, offset int32) {
	if n := t.m.Layout.ImportedGlobals; global >= n {
		return t.vmctx, t.m.Layout.Global(global - n)
	}
	return t.load(ir.I64, t.fixed(), t.vmctx, t.m.Layout.ImportedGlobal(global)), 0
}
