package davit

import (
	"fmt"
	"math"

	"github.com/davit-wasm/davit/internal/vm"
	"github.com/davit-wasm/davit/wasm"
)

// Table is a table of references. It may be used between calls and in host
// functions.
type Table struct {
	store *Store
	vm    *vm.Table
}

// NewTable makes a table of the host, with all elements init.
func NewTable(s *Store, t TableType, init Value) (*Table, error) {
	if err := s.open(); err != nil {
		return nil, err
	}
	if err := checkValType(t.Elem); err != nil {
		return nil, err
	}
	if !t.Elem.IsRef() || t.HasMax && t.Max < t.Min || !t.Is64 && t.Min > math.MaxUint32 {
		return nil, fmt.Errorf("davit: no such table: %+v", t)
	}
	raw, err := s.lower(t.Elem, init)
	if err != nil {
		return nil, err
	}
	tab, err := s.vm.NewTable(t, raw.Low)
	if err != nil {
		return nil, apiError(err)
	}
	return &Table{s, tab}, nil
}

// Store is the store that t belongs to.
func (t *Table) Store() *Store { return t.store }

func (t *Table) in(*Store) (vm.Extern, error) {
	return vm.Extern{Kind: wasm.KindTable, Table: t.vm}, nil
}

// ExternType is the type of t as an [Extern].
func (t *Table) ExternType() ExternType {
	typ := t.Type()
	return ExternType{Table: &typ}
}

// Type is the type of t, with its present length as the minimum.
func (t *Table) Type() TableType { return t.vm.Type() }

// Len is the present number of elements.
func (t *Table) Len() uint64 { return t.vm.Length() }

// Get is element i; ok is false beyond the end.
func (t *Table) Get(i uint64) (v Value, ok bool) {
	ref, ok := t.vm.Get(i)
	if !ok {
		return Value{}, false
	}
	return t.store.lift(t.vm.Type().Elem, vm.Value{Low: ref}), true
}

// Set changes element i.
func (t *Table) Set(i uint64, v Value) error {
	if err := t.store.open(); err != nil {
		return err
	}
	raw, err := t.store.lower(t.vm.Type().Elem, v)
	if err != nil {
		return err
	}
	if !t.vm.Set(i, raw.Low) {
		return fmt.Errorf("%w: element %d of a table of %d", ErrOutOfBounds, i, t.Len())
	}
	return nil
}

// Grow adds delta elements with value init and returns the old length; ok is
// false if the table cannot grow so far or init does not fit.
func (t *Table) Grow(delta uint64, init Value) (old uint64, ok bool) {
	if t.store.closed {
		return 0, false
	}
	raw, err := t.store.lower(t.vm.Type().Elem, init)
	if err != nil {
		return t.Len(), false
	}
	return t.vm.Grow(delta, raw.Low)
}

// Global is a global variable. It may be used between calls and in host
// functions.
type Global struct {
	store *Store
	vm    *vm.Global
}

// NewGlobal makes a global of the host.
func NewGlobal(s *Store, t GlobalType, v Value) (*Global, error) {
	if err := s.open(); err != nil {
		return nil, err
	}
	if err := checkValType(t.Type); err != nil {
		return nil, err
	}
	raw, err := s.lower(t.Type, v)
	if err != nil {
		return nil, err
	}
	g, err := s.vm.NewGlobal(t, raw)
	if err != nil {
		return nil, apiError(err)
	}
	return &Global{s, g}, nil
}

// Store is the store that g belongs to.
func (g *Global) Store() *Store { return g.store }

func (g *Global) in(*Store) (vm.Extern, error) {
	return vm.Extern{Kind: wasm.KindGlobal, Global: g.vm}, nil
}

// ExternType is the type of g as an [Extern].
func (g *Global) ExternType() ExternType {
	t := g.Type()
	return ExternType{Global: &t}
}

// Type is the type of g.
func (g *Global) Type() GlobalType { return g.vm.Type() }

// Get is the value of g; the zero value of its type once the store is closed.
func (g *Global) Get() Value { return g.store.lift(g.vm.Type().Type, g.vm.Get()) }

// Set changes the value of g, which must be mutable.
func (g *Global) Set(v Value) error {
	if err := g.store.open(); err != nil {
		return err
	}
	t := g.vm.Type()
	if !t.Mutable {
		return fmt.Errorf("davit: the global is immutable")
	}
	raw, err := g.store.lower(t.Type, v)
	if err != nil {
		return err
	}
	g.vm.Set(raw)
	return nil
}

// Tag is the identity of a kind of exceptions.
type Tag struct {
	store *Store
	vm    *vm.Tag
}

// NewTag makes a tag of the host; params are the types of its exceptions'
// values.
func NewTag(s *Store, params ...ValType) *Tag {
	return &Tag{s, s.vm.NewTag(FuncType{Params: params})}
}

// Store is the store that t belongs to.
func (t *Tag) Store() *Store { return t.store }

func (t *Tag) in(*Store) (vm.Extern, error) {
	return vm.Extern{Kind: wasm.KindTag, Tag: t.vm}, nil
}

// ExternType is the type of t as an [Extern].
func (t *Tag) ExternType() ExternType { return ExternType{Tag: t.Type()} }

// Type is the type of the values of t's exceptions, as parameters.
func (t *Tag) Type() *FuncType { return t.vm.Type() }
