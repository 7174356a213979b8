package wasm

import (
	"fmt"
	"strings"
)

// HeapType is the type of what a reference refers to: the index of a type of
// the module, or an abstract heap type.
type HeapType uint32

const heapAbstract HeapType = 1 << 24 // set in abstract heap types; type indexes lie below

// The abstract heap types; their low byte is their binary code.
const (
	HeapNoExn    = heapAbstract | 0x74
	HeapNoFunc   = heapAbstract | 0x73
	HeapNoExtern = heapAbstract | 0x72
	HeapNone     = heapAbstract | 0x71
	HeapFunc     = heapAbstract | 0x70
	HeapExtern   = heapAbstract | 0x6f
	HeapAny      = heapAbstract | 0x6e
	HeapEq       = heapAbstract | 0x6d
	HeapI31      = heapAbstract | 0x6c
	HeapStruct   = heapAbstract | 0x6b
	HeapArray    = heapAbstract | 0x6a
	HeapExn      = heapAbstract | 0x69
	// HeapBottom is the subtype of every heap type. It occurs only during
	// validation, as the type of what unreachable code produces.
	HeapBottom = heapAbstract | 0x01
)

// HeapIndex is the heap type of type index i, which must be below 1<<24.
func HeapIndex(i uint32) HeapType {
	if i >= uint32(heapAbstract) {
		panic(fmt.Sprintf("wasm: type index %d does not fit into a heap type", i))
	}
	return HeapType(i)
}

// IsIndex reports whether h is a type of the module.
func (h HeapType) IsIndex() bool { return h < heapAbstract }

// Index is the type index of h, which must be one.
func (h HeapType) Index() uint32 { return uint32(h) }

// Code is the binary code of the abstract heap type h.
func (h HeapType) Code() byte { return byte(h) }

// String returns h as the text format has it.
func (h HeapType) String() string {
	if h.IsIndex() {
		return fmt.Sprint(uint32(h))
	}
	switch h {
	case HeapNoExn:
		return "noexn"
	case HeapNoFunc:
		return "nofunc"
	case HeapNoExtern:
		return "noextern"
	case HeapNone:
		return "none"
	case HeapFunc:
		return "func"
	case HeapExtern:
		return "extern"
	case HeapAny:
		return "any"
	case HeapEq:
		return "eq"
	case HeapI31:
		return "i31"
	case HeapStruct:
		return "struct"
	case HeapArray:
		return "array"
	case HeapExn:
		return "exn"
	case HeapBottom:
		return "bottom"
	}
	return fmt.Sprintf("heap(%#x)", uint32(h))
}

// ValType is a value type or a storage type. It is comparable; equal type
// indexes of equal types are the caller's concern (see [TypeSpace]).
//
// The low byte is the type's binary code: of a number, vector or packed type
// that is all; of a reference type it is 0x63 (nullable) or 0x64 (not), and the
// heap type lies above. Short forms such as funcref exist in the binary format
// only.
type ValType uint32

// Value types and storage types without parameters.
const (
	I32  ValType = 0x7f
	I64  ValType = 0x7e
	F32  ValType = 0x7d
	F64  ValType = 0x7c
	V128 ValType = 0x7b
	I8   ValType = 0x78 // storage only
	I16  ValType = 0x77 // storage only
	// Bottom is the type of an operand that unreachable code produces: a
	// subtype of every type. It is the zero ValType.
	Bottom ValType = 0

	refNullCode = 0x63
	refCode     = 0x64
)

// heapShift is where the heap type lies in a ValType: it has 25 bits, of which
// the abstract flag is the highest, and 24 bits are left above the code. So the
// flag is moved to bit 31 and indexes keep 23 bits, far beyond any limit.
const heapShift = 8

// Reference types in common use.
const (
	FuncRef   = ValType(refNullCode | 1<<31 | 0x70<<heapShift)
	ExternRef = ValType(refNullCode | 1<<31 | 0x6f<<heapShift)
	AnyRef    = ValType(refNullCode | 1<<31 | 0x6e<<heapShift)
	EqRef     = ValType(refNullCode | 1<<31 | 0x6d<<heapShift)
	I31Ref    = ValType(refNullCode | 1<<31 | 0x6c<<heapShift)
	ExnRef    = ValType(refNullCode | 1<<31 | 0x69<<heapShift)
)

// Ref is the reference type over h.
func Ref(nullable bool, h HeapType) ValType {
	code := ValType(refCode)
	if nullable {
		code = refNullCode
	}
	if h.IsIndex() {
		if h >= 1<<23 {
			panic(fmt.Sprintf("wasm: type index %d does not fit into a value type", uint32(h)))
		}
		return code | ValType(h)<<heapShift
	}
	return code | 1<<31 | ValType(h&0xff)<<heapShift
}

// IsRef reports whether t is a reference type.
func (t ValType) IsRef() bool { return t&0xff == refNullCode || t&0xff == refCode }

// IsNum reports whether t is a number type.
func (t ValType) IsNum() bool { return t >= F64 && t <= I32 }

// IsPacked reports whether t is a packed storage type.
func (t ValType) IsPacked() bool { return t == I8 || t == I16 }

// Nullable reports whether t is a reference type with a null.
func (t ValType) Nullable() bool { return t&0xff == refNullCode }

// Heap is the heap type of the reference type t.
func (t ValType) Heap() HeapType {
	if t>>31 != 0 {
		return heapAbstract | HeapType(t>>heapShift&0xff)
	}
	return HeapType(t >> heapShift)
}

// Defaultable reports whether t has a default value: every type but that of
// references that cannot be null.
func (t ValType) Defaultable() bool { return t&0xff != refCode }

// Unpacked is the type of a value of storage type t on the operand stack.
func (t ValType) Unpacked() ValType {
	if t.IsPacked() {
		return I32
	}
	return t
}

// String returns t as the text format has it.
func (t ValType) String() string {
	switch t {
	case I32:
		return "i32"
	case I64:
		return "i64"
	case F32:
		return "f32"
	case F64:
		return "f64"
	case V128:
		return "v128"
	case I8:
		return "i8"
	case I16:
		return "i16"
	case Bottom:
		return "bottom"
	}
	if !t.IsRef() {
		return fmt.Sprintf("type(%#x)", uint32(t))
	}
	h := t.Heap()
	switch {
	case !t.Nullable():
		return "(ref " + h.String() + ")"
	case h.IsIndex():
		return "(ref null " + h.String() + ")"
	}
	switch h {
	case HeapNone:
		return "nullref"
	case HeapNoFunc:
		return "nullfuncref"
	case HeapNoExtern:
		return "nullexternref"
	case HeapNoExn:
		return "nullexnref"
	}
	return h.String() + "ref"
}

// FuncType is the type of a function.
type FuncType struct {
	Params, Results []ValType
}

// Equal reports whether f and g are written the same.
func (f *FuncType) Equal(g *FuncType) bool {
	return equalTypes(f.Params, g.Params) && equalTypes(f.Results, g.Results)
}

func equalTypes(a, b []ValType) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}

// String returns f in the manner of the specification: [i32 i32] -> [i64].
func (f *FuncType) String() string {
	return typeList(f.Params) + " -> " + typeList(f.Results)
}

func typeList(ts []ValType) string {
	var b strings.Builder
	b.WriteByte('[')
	for i, t := range ts {
		if i > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(t.String())
	}
	b.WriteByte(']')
	return b.String()
}

// FieldType is the type of a struct's field or of an array's elements.
type FieldType struct {
	Type    ValType // value or packed type
	Mutable bool
}

// CompositeKind tells functions, structs and arrays apart.
type CompositeKind uint8

// Kinds of composite types.
const (
	CompositeFunc CompositeKind = iota
	CompositeStruct
	CompositeArray
)

// CompositeType is a function, struct or array type.
type CompositeType struct {
	Kind   CompositeKind
	Func   FuncType    // CompositeFunc
	Fields []FieldType // CompositeStruct: the fields; CompositeArray: exactly one
}

// SubType is a type definition: a composite type with its place in the
// hierarchy. What MVP modules write is final and has no supertype.
type SubType struct {
	Final  bool
	Supers []uint32 // at most one in a valid module
	CompositeType
}

// RecGroup is a group of types that may refer to each other: Len types from
// Start in [Module.Types]. A single type is a group of its own.
type RecGroup struct {
	Start, Len uint32
}

// Limits are the bounds of a memory's or table's size.
type Limits struct {
	Min, Max uint64 // in pages or elements
	HasMax   bool
	Is64     bool // addresses are i64
}

// Address is the type of an address: i64 or i32.
func (l *Limits) Address() ValType {
	if l.Is64 {
		return I64
	}
	return I32
}

// TableType is the type of a table.
type TableType struct {
	Elem ValType // a reference type
	Limits
}

// MemoryType is the type of a memory.
type MemoryType struct {
	Limits
	Shared   bool
	PageBits uint8 // logarithm of the page size: 16, unless custom page sizes are used
}

// PageSize is the size of a page in bytes.
func (m *MemoryType) PageSize() uint64 { return 1 << m.PageBits }

// GlobalType is the type of a global.
type GlobalType struct {
	Type    ValType
	Mutable bool
}

// TagType is the type of a tag: the index of a function type without results.
type TagType struct {
	Type uint32
}
