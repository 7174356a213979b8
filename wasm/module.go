// Package wasm is the binary format of WebAssembly: a model of modules, a
// decoder, an encoder and a validator. It covers WebAssembly 3.0 and the
// threads, wide-arithmetic and custom-page-sizes proposals; which of it a
// module may use is a set of [Features].
package wasm

// Kind is the kind of an import or export.
type Kind uint8

// Kinds of imports and exports; their values are their binary codes.
const (
	KindFunc Kind = iota
	KindTable
	KindMemory
	KindGlobal
	KindTag
)

// String returns the keyword of k.
func (k Kind) String() string {
	switch k {
	case KindFunc:
		return "func"
	case KindTable:
		return "table"
	case KindMemory:
		return "memory"
	case KindGlobal:
		return "global"
	case KindTag:
		return "tag"
	}
	return "unknown"
}

// Module is a module as the binary format has it. Index spaces are complete:
// Funcs, Tables, Memories, Globals and Tags begin with what is imported, in the
// order of Imports.
//
// A decoded module refers to the bytes it was decoded from, which must not
// change while it is used. Its slices must not be written to.
type Module struct {
	Types     []SubType  // all type definitions
	RecGroups []RecGroup // partition of Types, in order

	Imports []Import

	Funcs    []Func
	Tables   []Table
	Memories []MemoryType
	Globals  []Global
	Tags     []TagType

	// How many entries of the index spaces are imported.
	NumImportedFuncs, NumImportedTables, NumImportedMemories, NumImportedGlobals, NumImportedTags int

	Exports  []Export
	HasStart bool
	Start    uint32 // function, if HasStart

	Elems        []Elem
	HasDataCount bool
	DataCount    uint32 // if HasDataCount
	Datas        []Data

	// Code holds the bodies of the functions that are not imported: the body of
	// function i is Code[i-NumImportedFuncs].
	Code []Code

	Customs []Custom // custom sections, in order
	Names   *Names   // what the name section says; nil without one or if it cannot be understood

	// CodeOffset and CodeSize locate the content of the code section in the
	// bytes of the module.
	CodeOffset, CodeSize int
}

// Import is an import.
type Import struct {
	Module, Name string
	Kind         Kind
	Index        uint32 // in the index space of Kind
}

// Func declares a function.
type Func struct {
	Type uint32 // index of a function type
}

// Table is a table with its optional initializer.
type Table struct {
	Type TableType
	Init ConstExpr // value of all elements; no code: null
}

// Global is a global; imported ones have no initializer.
type Global struct {
	Type GlobalType
	Init ConstExpr
}

// ConstExpr is a constant expression: instructions up to and with the final
// `end`, in the binary format.
type ConstExpr struct {
	Code   []byte
	Offset int // of Code in the bytes of the module
}

// Export is an export.
type Export struct {
	Name  string
	Kind  Kind
	Index uint32
}

// SegmentMode says when a segment is used.
type SegmentMode uint8

// Modes of segments.
const (
	SegmentActive      SegmentMode = iota // copied at instantiation
	SegmentPassive                        // copied by instructions
	SegmentDeclarative                    // element segments: only declares references to functions
)

// Elem is an element segment.
type Elem struct {
	Mode   SegmentMode
	Table  uint32    // active
	Offset ConstExpr // active
	// Type is the type of the elements: (ref func) if they are given as Funcs.
	Type ValType
	// The elements are either function indexes or constant expressions. If both
	// are empty Type alone decides how the segment is encoded.
	Funcs []uint32
	Exprs []ConstExpr
}

// Len is the number of elements.
func (e *Elem) Len() int { return len(e.Funcs) + len(e.Exprs) }

// Data is a data segment.
type Data struct {
	Mode       SegmentMode
	Memory     uint32    // active
	Offset     ConstExpr // active
	Init       []byte
	InitOffset int // of Init in the bytes of the module
}

// Code is the body of a function.
type Code struct {
	Locals []LocalGroup // declared locals, without parameters
	Body   []byte       // instructions up to and with the final `end`
	Offset int          // of Body in the bytes of the module
	// EntryOffset is the offset of the entry itself (its locals) in the bytes of
	// the module: what tools call the function's offset.
	EntryOffset int
}

// LocalGroup declares Count locals of one type.
type LocalGroup struct {
	Count uint32
	Type  ValType
}

// Section identifies a section; its values are the binary codes.
type Section uint8

// Sections.
const (
	SectionCustom Section = iota
	SectionType
	SectionImport
	SectionFunction
	SectionTable
	SectionMemory
	SectionGlobal
	SectionExport
	SectionStart
	SectionElement
	SectionCode
	SectionData
	SectionDataCount
	SectionTag
)

// Custom is a custom section.
type Custom struct {
	Name   string
	Data   []byte
	After  Section // the last other section before it, or SectionCustom
	Offset int     // of Data in the bytes of the module
}

// FuncTypeOf is the type of function i of the index space. The module must be
// valid, or i and its type checked.
func (m *Module) FuncTypeOf(i uint32) *FuncType {
	return &m.Types[m.Funcs[i].Type].Func
}

// Body is the code of function i of the index space, or nil if it is imported.
func (m *Module) Body(i uint32) *Code {
	if int(i) < m.NumImportedFuncs {
		return nil
	}
	return &m.Code[int(i)-m.NumImportedFuncs]
}

// FindExport finds an export by name.
func (m *Module) FindExport(name string) (*Export, bool) {
	for i := range m.Exports {
		if m.Exports[i].Name == name {
			return &m.Exports[i], true
		}
	}
	return nil, false
}
