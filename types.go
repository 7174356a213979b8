package davit

import (
	"fmt"

	"github.com/davit-wasm/davit/wasm"
)

// The types of WebAssembly are those of package wasm. A reference type to a type
// that a module defines holds the type's index in that module.
type (
	ValType    = wasm.ValType
	FuncType   = wasm.FuncType
	TableType  = wasm.TableType
	MemoryType = wasm.MemoryType
	GlobalType = wasm.GlobalType
	TagType    = wasm.TagType
	Limits     = wasm.Limits
)

// Value types.
const (
	I32       = wasm.I32
	I64       = wasm.I64
	F32       = wasm.F32
	F64       = wasm.F64
	V128      = wasm.V128
	FuncRef   = wasm.FuncRef
	ExternRef = wasm.ExternRef
)

// ImportType is an import of a module: its two names and its type.
type ImportType struct {
	Module, Name string
	Type         ExternType
}

// ExportType is an export of a module: its name and its type.
type ExportType struct {
	Name string
	Type ExternType
}

// ExternType is the type of an import or export: exactly one of its pointers is
// set.
type ExternType struct {
	Func   *FuncType
	Table  *TableType
	Memory *MemoryType
	Global *GlobalType
	Tag    *FuncType // the type of the tag's values, without results
}

// Kind is the keyword for t: func, table, memory, global or tag.
func (t ExternType) Kind() string {
	switch {
	case t.Func != nil:
		return "func"
	case t.Table != nil:
		return "table"
	case t.Memory != nil:
		return "memory"
	case t.Global != nil:
		return "global"
	}
	return "tag"
}

// String describes t, as "memory 1 10" does: its kind, and its type much as in the
// text format.
func (t ExternType) String() string {
	limits := func(l *Limits) string {
		s := fmt.Sprint(l.Min)
		if l.HasMax {
			s += fmt.Sprint(" ", l.Max)
		}
		if l.Is64 {
			s = "i64 " + s
		}
		return s
	}
	switch {
	case t.Func != nil:
		return fmt.Sprint("func ", t.Func)
	case t.Table != nil:
		return fmt.Sprintf("table %s %v", limits(&t.Table.Limits), t.Table.Elem)
	case t.Memory != nil:
		s := "memory " + limits(&t.Memory.Limits)
		if t.Memory.Shared {
			s += " shared"
		}
		if t.Memory.PageBits != 16 {
			s += fmt.Sprintf(" (pagesize %d)", 1<<t.Memory.PageBits)
		}
		return s
	case t.Global != nil && t.Global.Mutable:
		return fmt.Sprintf("global (mut %v)", t.Global.Type)
	case t.Global != nil:
		return fmt.Sprintf("global %v", t.Global.Type)
	case t.Tag != nil:
		return fmt.Sprint("tag ", t.Tag.String())
	}
	return "nothing"
}

// externTypeOf is the type of entity i of the given kind.
func externTypeOf(m *wasm.Module, kind wasm.Kind, i uint32) ExternType {
	switch kind {
	case wasm.KindFunc:
		return ExternType{Func: m.FuncTypeOf(i)}
	case wasm.KindTable:
		return ExternType{Table: &m.Tables[i].Type}
	case wasm.KindMemory:
		return ExternType{Memory: &m.Memories[i]}
	case wasm.KindGlobal:
		return ExternType{Global: &m.Globals[i].Type}
	}
	return ExternType{Tag: &m.Types[m.Tags[i].Type].Func}
}
