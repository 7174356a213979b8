package vm

import (
	"context"
	"fmt"
	"slices"
	"unsafe"

	"github.com/davit-wasm/davit/internal/image"
	"github.com/davit-wasm/davit/internal/layout"
	"github.com/davit-wasm/davit/internal/native"
	"github.com/davit-wasm/davit/wasm"
)

// Extern is what is imported or exported; the field of its kind is set.
type Extern struct {
	Kind   wasm.Kind
	Func   Func
	Table  *Table
	Memory *Memory
	Global *Global
	Tag    *Tag
}

// Instance is an instantiated module.
type Instance struct {
	Owner any // the embedder's instance

	store  *Store
	module *Module
	layout *layout.InstanceLayout
	index  int
	ctx    unsafe.Pointer // instance context

	// By index space, imported ones first.
	tables   []*Table
	memories []*Memory
	globals  []*Global
	tags     []*Tag
	imported []Func

	lent bool // Go has given references of its functions to somebody

	dropped  []bool     // data segments
	mapped   int        // the first so many data segments came with the memory's image
	elements [][]uint64 // element segments; nil once dropped
}

// LinkError says why imports do not fit.
type LinkError struct {
	Module, Name string // of the import
	Reason       string // begins as the specification's tests have it
}

func (e *LinkError) Error() string {
	return fmt.Sprintf("%s: %q %q", e.Reason, e.Module, e.Name)
}

// Instantiate makes an instance of m in s with the given imports, in the order
// of the module's, and runs its start function. If that or an active segment
// traps, what the instance wrote into imported tables and memories remains. The
// instance is made in place, and may have its owner already.
func (s *Store) Instantiate(ctx context.Context, in *Instance, m *Module, imports []Extern) error {
	if s.closed {
		return errStoreClosed
	}
	// What takes long can be interrupted, as calls can.
	a := activation{store: s, ctx: ctx, done: ctx.Done()}
	if a.done != nil {
		a.deadline, _ = ctx.Deadline()
	}
	if s.depth > 0 {
		a.outer = s.activations[s.depth-1]
	}
	if err := s.instantiate(&a, in, m, imports); err != nil {
		return err
	}
	if err := in.initialize(&a); err != nil {
		return err
	}
	if wm := m.Image.Module; wm.HasStart {
		start := in.Func(wm.Start)
		return s.call(ctx, &start, make([]uint64, start.words))
	}
	return nil
}

func (s *Store) instantiate(a *activation, in *Instance, m *Module, imports []Extern) error {
	wm := m.Image.Module
	if m.engine != s.engine {
		return fmt.Errorf("module and store belong to different engines")
	}
	if len(s.instances) >= s.limits.Instances {
		return &LimitError{"instances", uint64(s.limits.Instances)}
	}
	if len(imports) != len(wm.Imports) {
		return fmt.Errorf("%d imports given, the module has %d", len(imports), len(wm.Imports))
	}
	for i := range imports {
		if err := s.checkImport(m, &wm.Imports[i], &imports[i]); err != nil {
			return err
		}
	}
	if m.closed.Load() || !m.retain() {
		return fmt.Errorf("module: %w", ErrClosed)
	}
	s.use(m)
	if len(s.unreachable) > 0 {
		s.reach()
	}
	s.epochs = s.epochs || m.Image.Settings.Epoch
	s.setReady()

	in.store, in.module, in.layout, in.index = s, m, &m.Image.Layout, len(s.instances)
	// One piece of the arena holds the context and the type ids behind it.
	size := uint64(in.layout.Size())
	p, err := s.arena.alloc(size + 4*uint64(len(wm.Types)))
	if err != nil {
		return err
	}
	in.ctx = p
	*word(p, layout.InstMagic) = layout.InstanceMagic
	*word(p, layout.InstStore) = address(s.ctx)
	*word(p, layout.InstIndex) = uint64(in.index)
	if len(wm.Types) > 0 {
		ids := unsafe.Add(p, in.layout.TypeID(0))
		copy(unsafe.Slice((*uint32)(ids), len(wm.Types)), m.types)
	}
	s.instances = append(s.instances, in)
	in.tables = room[*Table](len(wm.Tables))
	in.memories = room[*Memory](len(wm.Memories))
	in.globals = room[*Global](len(wm.Globals))
	in.tags = room[*Tag](len(wm.Tags))
	in.imported = room[Func](wm.NumImportedFuncs)

	for i := range imports {
		if err := in.setImport(&wm.Imports[i], &imports[i]); err != nil {
			return err
		}
	}
	for i := range wm.Exports {
		if e := &wm.Exports[i]; e.Kind == wasm.KindFunc {
			in.ref(e.Index)
		}
	}
	for i := wm.NumImportedMemories; i < len(wm.Memories); i++ {
		var image *native.Image
		if i == wm.NumImportedMemories {
			image, in.mapped = m.memoryImage()
		}
		mem, err := s.newMemory(wm.Memories[i], unsafe.Add(p, in.layout.Memory(uint32(i-wm.NumImportedMemories))), nil, image)
		if err != nil {
			return err
		}
		in.memories = append(in.memories, mem)
	}
	for i := wm.NumImportedTags; i < len(wm.Tags); i++ {
		in.tags = append(in.tags, &Tag{s, m.types[wm.Tags[i].Type]})
	}
	for i := wm.NumImportedGlobals; i < len(wm.Globals); i++ {
		g := &wm.Globals[i]
		v, err := in.eval(g.Init)
		if err != nil {
			return err
		}
		glob := s.newGlobal(wasm.GlobalType{Type: m.renumber(g.Type.Type), Mutable: g.Type.Mutable}, unsafe.Add(p, in.layout.Global(uint32(i-wm.NumImportedGlobals))))
		glob.Set(v)
		in.globals = append(in.globals, glob)
	}
	for i := wm.NumImportedTables; i < len(wm.Tables); i++ {
		t := wm.Tables[i].Type
		t.Elem = m.renumber(t.Elem)
		init := uint64(0)
		if len(wm.Tables[i].Init.Code) > 0 {
			v, err := in.eval(wm.Tables[i].Init)
			if err != nil {
				return err
			}
			init = v.Low
		}
		tab, err := s.newTable(a, t, unsafe.Add(p, in.layout.Table(uint32(i-wm.NumImportedTables))), init)
		if err != nil {
			return err
		}
		in.tables = append(in.tables, tab)
	}
	return nil
}

// room is an empty list with room for n, or nil.
func room[T any](n int) []T {
	if n == 0 {
		return nil
	}
	return make([]T, 0, n)
}

// initialize applies the segments.
func (in *Instance) initialize(a *activation) error {
	wm := in.module.Image.Module
	if len(wm.Datas) > 0 {
		in.dropped = make([]bool, len(wm.Datas))
	}
	if len(wm.Elems) > 0 {
		in.elements = make([][]uint64, len(wm.Elems))
	}
	for i := range wm.Elems {
		e := &wm.Elems[i]
		if e.Mode == wasm.SegmentActive {
			continue
		}
		if err := a.pauseAt(i); err != nil {
			return err
		}
		// One that only declares references makes their records: compiled code knows where
		// these are, and refers to them.
		refs := make([]uint64, e.Len())
		if err := in.evalElem(a, e, refs); err != nil {
			return err
		}
		if e.Mode == wasm.SegmentPassive {
			in.elements[i] = refs
		}
	}
	for i := range wm.Elems {
		e := &wm.Elems[i]
		if e.Mode != wasm.SegmentActive {
			continue
		}
		if err := a.pauseAt(i); err != nil {
			return err
		}
		at, err := in.evalAddress(e.Offset, wm.Tables[e.Table].Type.Is64)
		if err != nil {
			return err
		}
		t := in.tables[e.Table]
		if !within(at, uint64(e.Len()), t.Length()) {
			return &Trap{Code: image.TrapTableOutOfBounds}
		}
		if err := in.evalElem(a, e, t.elems()[at:at+uint64(e.Len())]); err != nil {
			return err
		}
	}
	for i := range wm.Datas {
		d := &wm.Datas[i]
		if d.Mode != wasm.SegmentActive {
			continue
		}
		if i < in.mapped {
			in.dropped[i] = true
			continue
		}
		if err := a.pauseAt(i); err != nil {
			return err
		}
		at, err := in.evalAddress(d.Offset, wm.Memories[d.Memory].Is64)
		if err != nil {
			return err
		}
		to, from, ok := in.memoryInit(d.Memory, uint32(i), at, 0, uint64(len(d.Init)))
		if !ok {
			return &Trap{Code: image.TrapMemoryOutOfBounds}
		}
		if err := move(a, to, from, copyChunk, false); err != nil {
			return err
		}
		in.dropped[i] = true
	}
	return nil
}

// evalElem puts the elements of a segment into refs.
func (in *Instance) evalElem(a *activation, e *wasm.Elem, refs []uint64) error {
	in.populateRecords(e.Funcs)
	for i := range refs {
		if err := a.pauseAt(i); err != nil {
			return err
		}
		if i < len(e.Funcs) {
			refs[i] = address(in.ref(e.Funcs[i]))
			continue
		}
		v, err := in.eval(e.Exprs[i-len(e.Funcs)])
		if err != nil {
			return err
		}
		refs[i] = v.Low
	}
	return nil
}

// checkImport checks that x may be imported as im.
func (s *Store) checkImport(m *Module, im *wasm.Import, x *Extern) error {
	wm := m.Image.Module
	bad := func(format string, args ...any) error {
		return &LinkError{im.Module, im.Name, "incompatible import type: " + fmt.Sprintf(format, args...)}
	}
	if x.Kind != im.Kind {
		return bad("a %v is wanted, a %v given", im.Kind, x.Kind)
	}
	var owner *Store
	switch im.Kind {
	case wasm.KindFunc:
		owner = x.Func.store
		if want := m.types[wm.Funcs[im.Index].Type]; owner != nil && !s.engine.isSubtype(x.Func.typ, want) {
			return bad("function of type %v is wanted, %v given", s.engine.funcType(want), x.Func.Type())
		}
	case wasm.KindTable:
		owner = x.Table.store
		want, have := wm.Tables[im.Index].Type, x.Table.Type()
		want.Elem = m.renumber(want.Elem)
		if want.Is64 != have.Is64 || !s.engine.isSub(want.Elem, have.Elem) || !s.engine.isSub(have.Elem, want.Elem) {
			return bad("table of %v is wanted, of %v given", want.Elem, have.Elem)
		}
		if err := matchLimits(&have.Limits, &want.Limits); err != "" {
			return bad("%s", err)
		}
	case wasm.KindMemory:
		owner = x.Memory.store
		want, have := wm.Memories[im.Index], x.Memory.Type()
		if want.Is64 != have.Is64 || want.Shared != have.Shared || want.PageBits != have.PageBits {
			return bad("memories differ in address type, sharing or page size")
		}
		if !x.Memory.guarded() && !m.Image.Settings.ExplicitBounds && !want.Is64 && want.PageBits == 16 {
			return bad("the memory is in storage of the host; the module must be compiled with Config.ExplicitBounds")
		}
		if err := matchLimits(&have.Limits, &want.Limits); err != "" {
			return bad("%s", err)
		}
	case wasm.KindGlobal:
		owner = x.Global.store
		want, have := wm.Globals[im.Index].Type, x.Global.typ
		want.Type = m.renumber(want.Type)
		if want.Mutable != have.Mutable || !s.engine.isSub(have.Type, want.Type) || want.Mutable && !s.engine.isSub(want.Type, have.Type) {
			return bad("global of type %v is wanted, of type %v given", want.Type, have.Type)
		}
	case wasm.KindTag:
		owner = x.Tag.store
		if want := m.types[wm.Tags[im.Index].Type]; x.Tag.typ != want {
			return bad("tag of type %v is wanted, %v given", s.engine.funcType(want), x.Tag.Type())
		}
	}
	if owner != s {
		return &LinkError{im.Module, im.Name, "the import belongs to another store"}
	}
	return nil
}

func matchLimits(have, want *wasm.Limits) string {
	if have.Min < want.Min {
		return fmt.Sprintf("a size of at least %d is wanted, it is %d", want.Min, have.Min)
	}
	if want.HasMax && (!have.HasMax || have.Max > want.Max) {
		return fmt.Sprintf("a maximum of at most %d is wanted", want.Max)
	}
	return ""
}

// setImport puts an import into the instance context.
func (in *Instance) setImport(im *wasm.Import, x *Extern) error {
	at := func(offset int32) *uint64 { return word(in.ctx, offset) }
	switch im.Kind {
	case wasm.KindFunc:
		k := uint32(len(in.imported))
		r := unsafe.Add(in.ctx, in.layout.ImportedFunc(k))
		if h := x.Func.host; h != nil {
			// The module has the way into Go for its type itself.
			sig := in.module.Image.TypeSignatures[in.module.Image.Module.Funcs[im.Index].Type]
			fillRecord(r, in.module.base+uint64(in.module.Image.Signatures[sig].Exit), address(h.ctx), h.typ)
		} else {
			from := x.Func.record
			fillRecord(r, *word(from, layout.FuncRecordCode), *word(from, layout.FuncRecordVMCtx), x.Func.typ)
		}
		in.imported = append(in.imported, x.Func)
	case wasm.KindTable:
		*at(in.layout.ImportedTable(uint32(len(in.tables)))) = address(x.Table.desc)
		in.tables = append(in.tables, x.Table)
	case wasm.KindMemory:
		*at(in.layout.ImportedMemory(uint32(len(in.memories)))) = address(x.Memory.desc)
		in.memories = append(in.memories, x.Memory)
	case wasm.KindGlobal:
		*at(in.layout.ImportedGlobal(uint32(len(in.globals)))) = address(x.Global.cell)
		in.globals = append(in.globals, x.Global)
	case wasm.KindTag:
		in.tags = append(in.tags, x.Tag)
	}
	return nil
}

// Store is the store that in belongs to.
func (in *Instance) Store() *Store { return in.store }

// Module is the module that in was made of.
func (in *Instance) Module() *Module { return in.module }

// record is the function record of function i of the index space.
func (in *Instance) record(i uint32) unsafe.Pointer {
	if n := in.layout.ImportedFuncs; i >= n {
		return unsafe.Add(in.ctx, in.layout.Func(i-n))
	}
	return unsafe.Add(in.ctx, in.layout.ImportedFunc(i))
}

// manyRecords is from which number on records are given their pages at once.
const manyRecords = 1024

// populateRecords gives the records of funcs, which are about to be made, their pages,
// if they are many and lie close together: a fault for each costs more than making
// what lies in it.
func (in *Instance) populateRecords(funcs []uint32) {
	if len(funcs) < manyRecords {
		return
	}
	first, last := slices.Min(funcs), slices.Max(funcs)
	if first = max(first, in.layout.ImportedFuncs); last >= first && int(last-first)/2 <= len(funcs) {
		native.Populate(in.record(first), uintptr(last-first+1)*layout.FuncRecordSize)
	}
}

// ref is what a reference to function i of the index space refers to: its record, made
// when it is needed. Most functions are never referred to. Compiled code may refer to
// those that are exported, and that a segment or the initial value of a global or table
// mentions: the records of all these are made when an instance is.
func (in *Instance) ref(i uint32) unsafe.Pointer {
	r := in.record(i)
	if m := in.module; *word(r, layout.FuncRecordCode) == 0 && i >= in.layout.ImportedFuncs {
		fillRecord(r, m.codeOf(i), address(in.ctx), m.types[m.Image.Module.Funcs[i].Type])
	}
	return r
}

// Func is function i of the index space.
func (in *Instance) Func(i uint32) Func {
	if int(i) < len(in.imported) {
		return in.imported[i]
	}
	img := in.module.Image
	typ := img.Module.Funcs[i].Type
	sig := img.TypeSignatures[typ]
	words := img.Signatures[sig].BufferSize() / 8
	direct := uintptr(0)
	if at := img.Signatures[sig].Direct; at != image.NoDirect {
		direct = in.module.code.Base() + uintptr(at)
	}
	return Func{
		store: in.store, record: in.ref(i), typ: in.module.types[typ],
		words: words, simple: words <= layout.ScratchWords, entry: &in.module.entries[sig], direct: direct,
		pass: Pass{&in.store.Turn.gate, uintptr(in.module.codeOf(i)), uintptr(in.ctx)},
	}
}

// Export finds an export by name.
func (in *Instance) Export(name string) (Extern, bool) {
	e, ok := in.module.Export(name)
	if !ok {
		return Extern{}, false
	}
	return in.extern(e.Kind, e.Index), true
}

func (in *Instance) extern(k wasm.Kind, i uint32) Extern {
	x := Extern{Kind: k}
	switch k {
	case wasm.KindFunc:
		x.Func = in.Func(i)
	case wasm.KindTable:
		x.Table = in.tables[i]
	case wasm.KindMemory:
		x.Memory = in.memories[i]
	case wasm.KindGlobal:
		x.Global = in.globals[i]
	case wasm.KindTag:
		x.Tag = in.tags[i]
	}
	return x
}

// Memory is memory i of the index space.
func (in *Instance) Memory(i int) (*Memory, bool) {
	if i >= len(in.memories) {
		return nil, false
	}
	return in.memories[i], true
}
