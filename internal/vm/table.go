package vm

import (
	"fmt"
	"unsafe"

	"github.com/davit-wasm/davit/internal/layout"
	"github.com/davit-wasm/davit/wasm"
)

// Table is a table. Its elements lie in a block of the store's arena, and move to
// a larger one when the table has outgrown it.
type Table struct {
	store *Store
	desc  unsafe.Pointer
	typ   wasm.TableType // type indexes are identities
	room  uint64
}

// NewTable makes a table that does not belong to an instance, with all elements
// init.
func (s *Store) NewTable(t wasm.TableType, init uint64) (*Table, error) {
	desc, err := s.arena.alloc(layout.TableSize)
	if err != nil {
		return nil, err
	}
	return s.newTable(nil, t, desc, init)
}

// newTable makes a table whose descriptor is desc, with all elements init, on behalf of
// an activation or none.
func (s *Store) newTable(a *activation, t wasm.TableType, desc unsafe.Pointer, init uint64) (*Table, error) {
	if s.tables >= s.limits.Tables {
		return nil, &LimitError{"tables", uint64(s.limits.Tables)}
	}
	if t.Min > s.limits.TableElements-s.elements || s.limits.TableGrowing != nil && !s.limits.TableGrowing(t, true, 0, t.Min) {
		return nil, fmt.Errorf("table of %d elements: %w", t.Min, &LimitError{"elements of tables", s.limits.TableElements})
	}
	tab := &Table{store: s, desc: desc, typ: t}
	base, room, used, err := s.arena.allocBlock(t.Min * layout.TableElemSize)
	if err != nil {
		return nil, fmt.Errorf("table of %d elements: %w", t.Min, err)
	}
	if used || init != 0 {
		if err := fill(a, unsafe.Slice((*uint64)(base), t.Min), init); err != nil {
			s.arena.freeBlock(base, room)
			return nil, err
		}
	}
	tab.room = room / layout.TableElemSize
	*word(desc, layout.TableBase) = address(base)
	*word(desc, layout.TableLength) = t.Min
	s.tables++
	s.elements += t.Min
	if keepsExterns(t.Elem) {
		s.externs.tables = append(s.externs.tables, tab)
	}
	return tab, nil
}

// Store is the store that t belongs to.
func (t *Table) Store() *Store { return t.store }

// Type is the type of t with its present size as the minimum.
func (t *Table) Type() wasm.TableType {
	typ := t.typ
	typ.Min = t.Length()
	return typ
}

// Length is the present number of elements; 0 once the store is closed.
func (t *Table) Length() uint64 {
	if t.store.closed {
		return 0
	}
	return *word(t.desc, layout.TableLength)
}

// elems is the elements, until the table grows.
func (t *Table) elems() []uint64 {
	return unsafe.Slice((*uint64)(pointer(*word(t.desc, layout.TableBase))), t.Length())
}

// Get is element i.
func (t *Table) Get(i uint64) (ref uint64, ok bool) {
	if i >= t.Length() {
		return 0, false
	}
	return t.elems()[i], true
}

// Set changes element i. The reference must be of the table's element type.
func (t *Table) Set(i, ref uint64) bool {
	if i >= t.Length() {
		return false
	}
	t.elems()[i] = ref
	return true
}

// Grow adds delta elements with value init and tells the old length; ok is
// false if the table cannot grow so far.
func (t *Table) Grow(delta, init uint64) (old uint64, ok bool) {
	if t.store.closed {
		return 0, false
	}
	old, ok, _ = t.grow(nil, delta, init)
	return old, ok
}

// grow is Grow on behalf of an activation, or none. If that is interrupted, the table is
// as it was: elements without a value may not be seen.
func (t *Table) grow(a *activation, delta, init uint64) (old uint64, ok bool, err error) {
	s := t.store
	old = t.Length()
	limit := uint64(1) << 32
	if t.typ.HasMax {
		limit = min(limit, t.typ.Max)
	}
	if delta > limit || old+delta > limit || delta > s.limits.TableElements-s.elements {
		return old, false, nil
	}
	n := old + delta
	if delta > 0 && s.limits.TableGrowing != nil && !s.limits.TableGrowing(t.typ, false, old, n) {
		return old, false, nil
	}
	base, moves := pointer(*word(t.desc, layout.TableBase)), n > t.room
	room, used := t.room*layout.TableElemSize, true
	if moves {
		if base, room, used, err = s.arena.allocBlock(n * layout.TableElemSize); err != nil {
			return old, false, nil
		}
	}
	elems := unsafe.Slice((*uint64)(base), n)
	if moves {
		err = move(a, elems[:old], t.elems(), fillChunk, false)
		if err == nil && old > 0 {
			err = a.pause(delta)
		}
	}
	if err == nil && (used || init != 0) {
		err = fill(a, elems[old:], init)
	}
	if err != nil {
		if moves {
			s.arena.freeBlock(base, room)
		}
		return old, false, err
	}
	if moves {
		s.arena.freeBlock(pointer(*word(t.desc, layout.TableBase)), t.room*layout.TableElemSize)
		*word(t.desc, layout.TableBase) = address(base)
		t.room = room / layout.TableElemSize
	}
	*word(t.desc, layout.TableLength) = n
	s.elements += delta
	return old, true, nil
}

// Global is a global variable; its cell is in mapped memory.
type Global struct {
	store *Store
	cell  unsafe.Pointer
	typ   wasm.GlobalType // type indexes are identities
}

// NewGlobal makes a global that does not belong to an instance.
func (s *Store) NewGlobal(t wasm.GlobalType, v Value) (*Global, error) {
	cell, err := s.arena.alloc(layout.GlobalSize)
	if err != nil {
		return nil, err
	}
	g := s.newGlobal(t, cell)
	g.Set(v)
	return g, nil
}

func (s *Store) newGlobal(t wasm.GlobalType, cell unsafe.Pointer) *Global {
	g := &Global{s, cell, t}
	if keepsExterns(t.Type) {
		s.externs.globals = append(s.externs.globals, g)
	}
	return g
}

// Store is the store that g belongs to.
func (g *Global) Store() *Store { return g.store }

// Type is the type of g; type indexes in it are identities.
func (g *Global) Type() wasm.GlobalType { return g.typ }

// Get is the value of g; zero once the store is closed.
func (g *Global) Get() Value {
	if g.store.closed {
		return Value{}
	}
	v := Value{Low: *word(g.cell, 0)}
	switch g.typ.Type {
	case wasm.I32, wasm.F32:
		v.Low &= 1<<32 - 1
	case wasm.V128:
		v.High = *word(g.cell, 8)
	}
	return v
}

// Set changes the value of g, also of one that is immutable for guests.
func (g *Global) Set(v Value) {
	if g.store.closed {
		return
	}
	*word(g.cell, 0) = v.Low
	if g.typ.Type == wasm.V128 {
		*word(g.cell, 8) = v.High
	}
}

// Tag identifies a kind of exception.
type Tag struct {
	store *Store
	typ   uint32 // identity
}

// NewTag makes a tag that does not belong to an instance. The type must not
// mention type indexes.
func (s *Store) NewTag(ft wasm.FuncType) *Tag { return &Tag{s, s.engine.InternFunc(ft)} }

// Store is the store that t belongs to.
func (t *Tag) Store() *Store { return t.store }

// Type is the type of t; type indexes in it are identities.
func (t *Tag) Type() *wasm.FuncType { return t.store.engine.funcType(t.typ) }
