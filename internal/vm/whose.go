package vm

import (
	"slices"

	"github.com/davit-wasm/davit/internal/layout"
	"github.com/davit-wasm/davit/wasm"
)

// Which instance is a frame one of? Compiled code keeps the instance context in
// a register as long as it needs it, and nowhere else: a place for it in each frame
// would be an instruction in each function, for a question that is asked of programs
// that have ended. So the answer is derived, when somebody wants it, from what the store
// knows anyway:
//
//   - with which instance the activation of the frame began;
//   - where code can go to from there: to instances that it has imported functions of,
//     or shares tables or globals with, or which have imported functions of it that take
//     or give references; and on from these. No instruction, tail calls included, goes
//     anywhere else, but by a reference that Go has brought: then to an instance of
//     which Go was given one, or could have been.
//
// If just one of these instances is of the frame's module, it is that. If there are
// several, it is not known. The example, of a store with two programs that are linked with
// libraries, one of which they share, has an answer for each frame, however they call:
//
//	library 1 <── program 1 ──> shared <── program 2 ──> library 2

// Call is what is known of the instance of a frame's function: see [Store.InstanceOf].
// The zero Call is nothing.
type Call struct {
	store     uint64 // its serial
	entered   uint32 // the instance that the activation began with
	instances uint32 // how many there were
}

// whose answers of which instances the calls in a store are.
type whose struct {
	store   *Store
	links   map[uint32]*links
	reached map[Call][]bool
}

// instance is the only instance of m that a call can be one of. ok is false if the call
// is another store's.
func (w *whose) instance(c Call, m *Module) (in *Instance, ok bool) {
	s := w.store
	n := len(s.instances)
	var reached []bool
	if c != (Call{}) {
		if c.store != s.serial {
			return nil, false
		}
		n, reached = int(c.instances), w.reach(c)
	}
	for i, x := range s.instances[:n] {
		if x.module != m {
			continue
		}
		ok = true
		if reached != nil && !reached[i] {
			continue
		}
		if in != nil {
			return nil, true
		}
		in = x
	}
	return in, ok
}

// reach tells of each instance whether code that a call began with can have come to it.
func (w *whose) reach(c Call) []bool {
	if r := w.reached[c]; r != nil {
		return r
	}
	l := w.links[c.instances]
	if l == nil {
		l = w.store.linksOf(int(c.instances))
		if w.links == nil {
			w.links, w.reached = map[uint32]*links{}, map[Call][]bool{}
		}
		w.links[c.instances] = l
	}
	r := make([]bool, len(l.to))
	todo := append([]int32{int32(c.entered)}, l.lent...)
	for len(todo) > 0 {
		i := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if !r[i] {
			r[i] = true
			todo = append(todo, l.to[i]...)
		}
	}
	w.reached[c] = r
	return r
}

// links say where code can go to.
type links struct {
	to   [][]int32 // from each instance, and what instances share
	lent []int32   // from everywhere
}

// linksOf are the links of the first n instances.
func (s *Store) linksOf(n int) *links {
	l := &links{to: make([][]int32, n)}
	shared := map[any]int32{} // tables and globals
	share := func(x any, i int32) {
		k, ok := shared[x]
		if !ok {
			k = int32(len(l.to))
			shared[x] = k
			l.to = append(l.to, nil)
		}
		l.to[i] = append(l.to[i], k)
		l.to[k] = append(l.to[k], i)
	}
	for k, in := range s.instances[:n] {
		i := int32(k)
		if in.lent || in.module.lends() {
			l.lent = append(l.lent, i)
		}
		for k := range in.imported {
			f := &in.imported[k]
			if f.host != nil {
				continue
			}
			other := int32(*word(pointer(uint64(f.pass.vmctx)), layout.InstIndex))
			l.to[i] = append(l.to[i], other)
			if mentionsFuncs(f.Type()) {
				l.to[other] = append(l.to[other], i)
			}
		}
		for _, t := range in.tables {
			if keepsFuncs(t.typ.Elem) {
				share(t, i)
			}
		}
		for _, x := range in.globals {
			if keepsFuncs(x.typ.Type) {
				share(x, i)
			}
		}
	}
	return l
}

// lends reports whether functions can come and go between instances of m and Go without
// notice, as bare words: as arguments or results of what m exports, or imports.
func (m *Module) lends() bool {
	m.lendsOnce.Do(func() {
		wm := m.Image.Module
		for i := range uint32(wm.NumImportedFuncs) {
			m.lendsFuncs = m.lendsFuncs || mentionsFuncs(wm.FuncTypeOf(i))
		}
		for i := range wm.Exports {
			if x := &wm.Exports[i]; x.Kind == wasm.KindFunc {
				m.lendsFuncs = m.lendsFuncs || mentionsFuncs(wm.FuncTypeOf(x.Index))
			}
		}
	})
	return m.lendsFuncs
}

// mentionsFuncs reports whether functions of type ft take or give references of functions.
func mentionsFuncs(ft *wasm.FuncType) bool {
	return slices.ContainsFunc(ft.Params, keepsFuncs) || slices.ContainsFunc(ft.Results, keepsFuncs)
}

// keepsFuncs reports whether values of type t may refer to functions.
func keepsFuncs(t wasm.ValType) bool { return t.IsRef() && !keepsExterns(t) }
