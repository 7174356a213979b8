package wasm

import "sort"

// Names is what the name section says of a module: names for humans, without
// any effect.
type Names struct {
	Module   string
	Funcs    NameMap
	Locals   []IndirectName // of functions
	Labels   []IndirectName // of functions
	Types    NameMap
	Tables   NameMap
	Memories NameMap
	Globals  NameMap
	Elems    NameMap
	Datas    NameMap
	Fields   []IndirectName // of struct types
	Tags     NameMap
}

// NameMap names entities; its entries have ascending indexes.
type NameMap []Name

// Name names one entity.
type Name struct {
	Index uint32
	Name  string
}

// IndirectName names what belongs to an entity: the locals of a function.
type IndirectName struct {
	Index uint32
	Names NameMap
}

// Find returns the name of entity i, or "".
func (m NameMap) Find(i uint32) string {
	k := sort.Search(len(m), func(k int) bool { return m[k].Index >= i })
	if k < len(m) && m[k].Index == i {
		return m[k].Name
	}
	return ""
}

// FuncName is the name of function i, or "". It may be called on nil.
func (n *Names) FuncName(i uint32) string {
	if n == nil {
		return ""
	}
	return n.Funcs.Find(i)
}
