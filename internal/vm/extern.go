package vm

import (
	"reflect"
	"unsafe"

	"github.com/davit-wasm/davit/wasm"
)

// External references. Compiled code knows a Go value by a handle, an index into
// a list of its store. Guests cannot tell when they drop a handle, so the list
// is swept now and then: all places where a guest may keep one are looked at,
// and what is found in none of them is forgotten. These places are tables,
// globals and element segments of external references, and the native stack, of
// which every word that looks like a handle is taken for one (handles have a
// mark in their upper half, so that few other words do). Who gives guests another
// place to keep references in must have it looked at in sweepExterns.
//
// Sweeping happens only where all handles in use are in these places: before a
// call from Go, whose arguments have not been lowered yet or are given, and
// before a host function runs, whose arguments are on the native stack. The list
// may double between two sweeps, so that these cost a constant per handle.

// externMark is the upper half of handles.
const externMark = 0x6472_6566_0000_0000

// minSweep is the number of handles below which none are looked for.
const minSweep = 1024

type externs struct {
	values  []any // nil: free
	marks   []bool
	free    []uint32 // indexes
	of      map[any]uint64
	sweepAt int
	limit   int

	// Where handles may be kept.
	tables  []*Table
	globals []*Global
}

// due reports whether it is time to sweep.
func (x *externs) due() bool { return len(x.values)-len(x.free) >= x.sweepAt }

// ExternRef is the reference of a host value; nil is null. Equal numbers,
// strings and pointers have the same reference.
func (s *Store) ExternRef(v any) (uint64, error) {
	if v == nil {
		return 0, nil
	}
	x := &s.externs
	same := hasIdentity(v)
	if same {
		if ref, ok := x.of[v]; ok {
			return ref, nil
		}
	}
	var i uint32
	if n := len(x.free); n > 0 {
		i = x.free[n-1]
		x.free = x.free[:n-1]
		x.values[i] = v
	} else {
		if len(x.values) >= x.limit {
			return 0, &LimitError{"external references", uint64(x.limit)}
		}
		i = uint32(len(x.values))
		x.values = append(x.values, v)
		x.marks = append(x.marks, false)
	}
	ref := externMark | uint64(i+1)
	if same {
		if x.of == nil {
			x.of = make(map[any]uint64)
		}
		x.of[v] = ref
	}
	if x.due() {
		s.Turn.exec = nil
		for _, a := range s.activations[:s.depth] {
			a.data = 0
		}
	}
	return ref, nil
}

// hasIdentity reports whether v can be compared with anything.
func hasIdentity(v any) bool {
	switch k := reflect.TypeOf(v).Kind(); k {
	case reflect.Pointer, reflect.String, reflect.Chan, reflect.UnsafePointer:
		return true
	default:
		return k >= reflect.Bool && k <= reflect.Complex128
	}
}

// index is the index of a handle; ok is false for null and what is no handle.
func (x *externs) index(ref uint64) (i uint32, ok bool) {
	i = uint32(ref) - 1
	return i, ref&^(1<<32-1) == externMark && uint64(i) < uint64(len(x.values))
}

// Extern is the host value of a reference; nil for null.
func (s *Store) Extern(ref uint64) any {
	i, ok := s.externs.index(ref)
	if !ok {
		return nil
	}
	return s.externs.values[i]
}

// ExternRefs is how many host values the store holds for guests.
func (s *Store) ExternRefs() int { return len(s.externs.values) - len(s.externs.free) }

// mark marks the values that any of words may refer to.
func (x *externs) mark(words []uint64) {
	for _, w := range words {
		if i, ok := x.index(w); ok {
			x.marks[i] = true
		}
	}
}

// sweepExterns forgets the host values that no reference is left of. Raw is
// arguments of a call that is about to begin.
func (s *Store) sweepExterns(raw []uint64) {
	x := &s.externs
	x.mark(raw)
	for _, t := range x.tables {
		x.mark(t.elems())
	}
	for _, g := range x.globals {
		x.mark(unsafe.Slice(word(g.cell, 0), 1))
	}
	for _, in := range s.instances {
		for _, e := range in.elements {
			x.mark(e)
		}
	}
	if s.stack != nil && s.depth > 0 {
		low, n := s.stack.Live()
		x.mark(unsafe.Slice((*uint64)(pointer(uint64(low))), n/8))
	}
	for i, v := range x.values {
		if v != nil && !x.marks[i] {
			if hasIdentity(v) {
				delete(x.of, v)
			}
			x.values[i] = nil
			x.free = append(x.free, uint32(i))
		}
	}
	clear(x.marks)
	live := s.ExternRefs()
	x.sweepAt = min(max(2*live, minSweep), x.limit)
	if x.sweepAt <= live { // at the limit: not every time
		x.sweepAt = live + live/4 + 1
	}
}

// keepsExterns reports whether values of type t may be handles.
func keepsExterns(t wasm.ValType) bool {
	if !t.IsRef() {
		return false
	}
	h := t.Heap()
	return h == wasm.HeapExtern || h == wasm.HeapNoExtern
}
