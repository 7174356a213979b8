package wasm

// TypeRegistry is a type space that grows: it holds the types of any number of
// modules, each distinct one once. A type's index in it is its identity there:
// equal numbers mean equal types. Neither modules nor types are ever removed.
// Concurrent use must be serialized.
type TypeRegistry struct {
	TypeSpace
	groups map[string]uint32
	key    []byte
}

// Intern adds the types of m, which must be valid, and tells their indexes in
// the registry by index in m.
func (r *TypeRegistry) Intern(m *Module) []uint32 {
	if r.groups == nil {
		r.groups = make(map[string]uint32)
	}
	ids := make([]uint32, len(m.Types))
	for _, g := range m.RecGroups {
		r.key = appendGroupKey(r.key[:0], m.Types, g, func(i uint32) uint32 { return ids[i] })
		first, known := r.groups[string(r.key)]
		if !known {
			first = uint32(len(r.types))
			r.groups[string(r.key)] = first
		}
		for i := range g.Len {
			ids[g.Start+i] = first + i
		}
		if !known {
			for i := g.Start; i < g.Start+g.Len; i++ {
				r.add(&m.Types[i], ids)
			}
		}
	}
	return ids
}

func (r *TypeRegistry) add(t *SubType, ids []uint32) {
	id := uint32(len(r.types))
	n := SubType{Final: t.Final, CompositeType: CompositeType{Kind: t.Kind}}
	super := noType
	for _, s := range t.Supers {
		super = ids[s]
		n.Supers = append(n.Supers, super)
	}
	for _, p := range t.Func.Params {
		n.Func.Params = append(n.Func.Params, Renumber(p, ids))
	}
	for _, p := range t.Func.Results {
		n.Func.Results = append(n.Func.Results, Renumber(p, ids))
	}
	for _, f := range t.Fields {
		n.Fields = append(n.Fields, FieldType{Renumber(f.Type, ids), f.Mutable})
	}
	r.types = append(r.types, n)
	r.canon = append(r.canon, id)
	r.super = append(r.super, super)
}

// InternFunc adds a function type without type indexes, which is final and a
// group of its own, and tells its index.
func (r *TypeRegistry) InternFunc(f FuncType) uint32 {
	m := Module{Types: []SubType{{Final: true, CompositeType: CompositeType{Kind: CompositeFunc, Func: f}}}, RecGroups: []RecGroup{{0, 1}}}
	return r.Intern(&m)[0]
}

// FuncType is the function type with index id in the registry; type indexes in
// it are the registry's too. It must not be changed.
func (r *TypeRegistry) FuncType(id uint32) *FuncType { return &r.types[id].Func }

// Renumber is t with a type index i replaced by ids[i].
func Renumber(t ValType, ids []uint32) ValType {
	if t.IsRef() && t.Heap().IsIndex() {
		return Ref(t.Nullable(), HeapIndex(ids[t.Heap().Index()]))
	}
	return t
}
