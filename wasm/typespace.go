package wasm

import "encoding/binary"

// Types are compared by structure, up to the recursion group: two groups are
// the same if they are written the same, once references to types outside the
// group have been replaced by what they stand for and references within it by
// their place in it. A TypeSpace gives every type of a module the index of the
// first type that is the same, its canonical index, so that comparing two types
// is comparing two numbers and a supertype is found by following canonical
// links.

// TypeSpace answers questions about the types of one module.
type TypeSpace struct {
	types []SubType
	canon []uint32 // by type index
	super []uint32 // by type index: canonical supertype, or noType
}

const noType = ^uint32(0)

// AppendGroupKey appends a key of recursion group g of m: groups have the same
// key exactly if they are the same. id names the types before the group; it
// must give the same types the same number. The engine uses it to compare types
// of different modules.
func AppendGroupKey(b []byte, m *Module, g RecGroup, id func(typeIndex uint32) uint32) []byte {
	return appendGroupKey(b, m.Types, g, id)
}

func appendGroupKey(b []byte, types []SubType, g RecGroup, id func(uint32) uint32) []byte {
	// Fixed-width fields keep the key unambiguous.
	u32 := func(v uint32) { b = binary.LittleEndian.AppendUint32(b, v) }
	index := func(i uint32) {
		if i >= g.Start {
			b = append(b, 1)
			u32(i - g.Start)
			return
		}
		b = append(b, 0)
		u32(id(i))
	}
	val := func(t ValType) {
		if t.IsRef() && t.Heap().IsIndex() {
			b = append(b, byte(t))
			index(t.Heap().Index())
			return
		}
		b = append(b, 2)
		u32(uint32(t))
	}
	vals := func(ts []ValType) {
		u32(uint32(len(ts)))
		for _, t := range ts {
			val(t)
		}
	}
	flag := func(f bool) {
		if f {
			b = append(b, 1)
		} else {
			b = append(b, 0)
		}
	}
	u32(g.Len)
	for i := g.Start; i < g.Start+g.Len; i++ {
		t := &types[i]
		flag(t.Final)
		u32(uint32(len(t.Supers)))
		for _, s := range t.Supers {
			index(s)
		}
		b = append(b, byte(t.Kind))
		if t.Kind == CompositeFunc {
			vals(t.Func.Params)
			vals(t.Func.Results)
			continue
		}
		u32(uint32(len(t.Fields)))
		for _, f := range t.Fields {
			val(f.Type)
			flag(f.Mutable)
		}
	}
	return b
}

// Canon is the canonical index of type i.
func (s *TypeSpace) Canon(i uint32) uint32 { return s.canon[i] }

// IsSubtypeIndex reports whether type a is type b or derived from it.
func (s *TypeSpace) IsSubtypeIndex(a, b uint32) bool {
	b = s.canon[b]
	for a = s.canon[a]; a != b; a = s.super[a] {
		if s.super[a] == noType {
			return false
		}
	}
	return true
}

// IsSubHeap reports whether a is a subtype of b.
func (s *TypeSpace) IsSubHeap(a, b HeapType) bool {
	if a == b || a == HeapBottom {
		return true
	}
	if a.IsIndex() {
		if b.IsIndex() {
			return s.IsSubtypeIndex(a.Index(), b.Index())
		}
		switch s.types[a.Index()].Kind {
		case CompositeFunc:
			return b == HeapFunc
		case CompositeStruct:
			return b == HeapStruct || b == HeapEq || b == HeapAny
		default:
			return b == HeapArray || b == HeapEq || b == HeapAny
		}
	}
	if b.IsIndex() {
		if a == HeapNoFunc {
			return s.types[b.Index()].Kind == CompositeFunc
		}
		return a == HeapNone && s.types[b.Index()].Kind != CompositeFunc
	}
	switch a {
	case HeapNone:
		return b == HeapI31 || b == HeapStruct || b == HeapArray || b == HeapEq || b == HeapAny
	case HeapI31, HeapStruct, HeapArray:
		return b == HeapEq || b == HeapAny
	case HeapEq:
		return b == HeapAny
	case HeapNoFunc:
		return b == HeapFunc
	case HeapNoExtern:
		return b == HeapExtern
	case HeapNoExn:
		return b == HeapExn
	}
	return false
}

// IsSub reports whether a is a subtype of b.
func (s *TypeSpace) IsSub(a, b ValType) bool {
	if a == b || a == Bottom {
		return true
	}
	if !a.IsRef() || !b.IsRef() || a.Nullable() && !b.Nullable() {
		return false
	}
	return s.IsSubHeap(a.Heap(), b.Heap())
}

// top is the top of the hierarchy that h belongs to.
func (s *TypeSpace) top(h HeapType) HeapType {
	if h.IsIndex() {
		if s.types[h.Index()].Kind == CompositeFunc {
			return HeapFunc
		}
		return HeapAny
	}
	switch h {
	case HeapFunc, HeapNoFunc:
		return HeapFunc
	case HeapExtern, HeapNoExtern:
		return HeapExtern
	case HeapExn, HeapNoExn:
		return HeapExn
	}
	return HeapAny
}

func (s *TypeSpace) isSubTypes(a, b []ValType) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if !s.IsSub(a[i], b[i]) {
			return false
		}
	}
	return true
}

func (s *TypeSpace) isSubField(a, b FieldType) bool {
	if a.Mutable != b.Mutable || !s.IsSub(a.Type, b.Type) {
		return false
	}
	return !a.Mutable || s.IsSub(b.Type, a.Type)
}

// isSubComposite reports whether a may be declared a subtype of b.
func (s *TypeSpace) isSubComposite(a, b *CompositeType) bool {
	if a.Kind != b.Kind {
		return false
	}
	if a.Kind == CompositeFunc {
		return s.isSubTypes(b.Func.Params, a.Func.Params) && s.isSubTypes(a.Func.Results, b.Func.Results)
	}
	if len(a.Fields) < len(b.Fields) || a.Kind == CompositeArray && len(a.Fields) != len(b.Fields) {
		return false
	}
	for i := range b.Fields {
		if !s.isSubField(a.Fields[i], b.Fields[i]) {
			return false
		}
	}
	return true
}

// check validates the types of m and fills in s.
func (s *TypeSpace) check(m *Module, maxDepth int) *Error {
	s.types = m.Types
	s.canon = make([]uint32, len(m.Types))
	s.super = make([]uint32, len(m.Types))
	groups := make(map[string]uint32, len(m.RecGroups))
	depth := make([]uint8, len(m.Types))
	var key []byte
	for _, g := range m.RecGroups {
		end := g.Start + g.Len
		for i := g.Start; i < end; i++ {
			if err := checkTypeRefs(&m.Types[i], i, end); err != nil {
				return err
			}
		}
		key = appendGroupKey(key[:0], m.Types, g, s.Canon)
		first, ok := groups[string(key)]
		if !ok {
			first = g.Start
			groups[string(key)] = first
		}
		for i := g.Start; i < end; i++ {
			s.canon[i] = first + (i - g.Start)
			s.super[i] = noType
		}
		for i := g.Start; i < end; i++ {
			if t := &m.Types[i]; len(t.Supers) == 1 {
				// A supertype lies before its subtype, so its depth is known.
				s.super[i] = s.canon[t.Supers[0]]
				if d := int(depth[t.Supers[0]]) + 1; d > min(maxDepth, 255) {
					return errorf(LimitExceeded, -1, "sub type: type %d is nested deeper than the limit of %d", i, maxDepth)
				} else {
					depth[i] = uint8(d)
				}
			}
		}
		for i := g.Start; i < end; i++ {
			t := &m.Types[i]
			if len(t.Supers) == 0 {
				continue
			}
			super := &m.Types[t.Supers[0]]
			if super.Final {
				return errorf(Invalid, -1, "sub type: type %d is derived from type %d, which is final", i, t.Supers[0])
			}
			if !s.isSubComposite(&t.CompositeType, &super.CompositeType) {
				return errorf(Invalid, -1, "sub type: type %d does not match its supertype %d", i, t.Supers[0])
			}
		}
	}
	return nil
}

// checkTypeRefs checks that type i refers only to types before end, and has
// at most one supertype, which lies before it.
func checkTypeRefs(t *SubType, i, end uint32) *Error {
	if len(t.Supers) > 1 {
		return errorf(Invalid, -1, "sub type: type %d has %d supertypes", i, len(t.Supers))
	}
	for _, x := range t.Supers {
		if x >= i {
			return errorf(Invalid, -1, "unknown type %d: supertype of type %d", x, i)
		}
	}
	check := func(v ValType) *Error {
		if v.IsRef() && v.Heap().IsIndex() && v.Heap().Index() >= end {
			return errorf(Invalid, -1, "unknown type %d: in type %d", v.Heap().Index(), i)
		}
		return nil
	}
	for _, list := range [...][]ValType{t.Func.Params, t.Func.Results} {
		for _, v := range list {
			if err := check(v); err != nil {
				return err
			}
		}
	}
	for _, f := range t.Fields {
		if err := check(f.Type); err != nil {
			return err
		}
	}
	return nil
}
