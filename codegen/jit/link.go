package jit

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"sort"
	"sync/atomic"

	"github.com/davit-wasm/davit/codegen"
	"github.com/davit-wasm/davit/codegen/ir"
	"github.com/davit-wasm/davit/codegen/module"
	"github.com/davit-wasm/davit/internal/native"
)

// batch is what is linked, and later freed, together: code, writable and
// read-only data.
type batch struct {
	code *native.Code
	data [2]*native.Data // read-only, writable
	// funcs are in the order of their places; they do not change once the code is
	// published, and are found through it.
	funcs []placed
	live  int // objects that are neither freed nor replaced
	debug *debugImage
}

// placed is a function in its place.
type placed struct {
	name       ir.Name
	start, end uint32 // offsets in the code
	id         module.ID
	code       uint32
	sources    []codegen.SourceRange
	exceptions exceptionTable
}

// release gives the memory back.
func (b *batch) release() {
	b.debug.unregister()
	if b.code != nil {
		b.code.Release()
	}
	for _, d := range b.data {
		if d != nil {
			d.Free()
		}
	}
}

// find is the function at an offset in the code.
func (b *batch) find(off uint32) (*placed, bool) {
	i := sort.Search(len(b.funcs), func(i int) bool { return b.funcs[i].end > off })
	if i == len(b.funcs) || off < b.funcs[i].start {
		return nil, false
	}
	return &b.funcs[i], true
}

// functionAt is the function, of any module, whose code holds pc, and the
// address where it begins.
func functionAt(pc uintptr) (f *placed, start uintptr, ok bool) {
	c, off := native.FindCode(pc)
	if c == nil {
		return nil, 0, false
	}
	b, ok := c.Owner.(*batch)
	if !ok {
		return nil, 0, false
	}
	if f, ok = b.find(off); !ok {
		return nil, 0, false
	}
	return f, c.Base() + uintptr(f.start), true
}

// target0 is the address by which others refer to an ID, 0 if it has none.
func (m *Module) target0(id module.ID) uintptr {
	o, d := m.object(id), m.table.At(id)
	if a, ok := m.symbols[d.Name]; ok && (d.Linkage == module.Preemptible || !d.Defined) {
		return a
	}
	if o.thunk != 0 {
		return o.thunk
	}
	return o.addr
}

// linker places and links what is pending.
type linker struct {
	m      *Module
	batch  *batch
	addrs  map[module.ID]uintptr // of what is being linked
	cells  map[module.ID]int     // offsets of cells that hold addresses
	stubs  map[module.ID]int     // offsets of jumps by way of the cells
	thunks []thunkOf             // new ones
}

type thunkOf struct {
	id module.ID
	at thunk
}

// Finalize implements [module.Module]: it gives everything that was defined
// since the last time its place, links it, and makes it callable.
func (m *Module) Finalize() error {
	if m.closed.Load() {
		return ErrClosed
	}
	if err := m.table.Missing(); err != nil {
		return fmt.Errorf("jit: %w", err)
	}
	// Trampolines are never freed, so they are apart from functions.
	// They stay even if the functions cannot be linked.
	var tramps, funcs []*blob
	for i := range m.pending {
		if b := &m.pending[i]; b.tramp >= 0 {
			tramps = append(tramps, b)
		} else {
			funcs = append(funcs, b)
		}
	}
	if len(tramps) > 0 {
		if err := m.link(tramps, nil); err != nil {
			return err
		}
	}
	var err error
	if len(funcs) > 0 || len(m.pendingData) > 0 {
		err = m.link(funcs, m.pendingData)
	}
	if err != nil {
		m.pending = slices.DeleteFunc(m.pending, func(b blob) bool { return b.tramp >= 0 })
		return err
	}
	m.pending, m.pendingData = nil, nil
	m.publish()
	return nil
}

func (m *Module) link(blobs []*blob, data []dataBlob) (err error) {
	l := &linker{m: m, batch: &batch{}, addrs: map[module.ID]uintptr{}, cells: map[module.ID]int{}, stubs: map[module.ID]int{}}
	defer func() {
		if err != nil {
			l.batch.release()
			for _, t := range l.thunks {
				m.thunks.give(t.at)
			}
		}
	}()
	if err := l.placeData(data); err != nil {
		return err
	}
	if err := l.placeCode(blobs); err != nil {
		return err
	}
	if err := l.makeThunks(blobs); err != nil {
		return err
	}
	if err := l.linkData(data); err != nil {
		return err
	}
	if len(blobs) > 0 {
		if err := l.linkCode(blobs); err != nil {
			return err
		}
	}
	l.commit(blobs, data)
	return nil
}

// placeData allocates data, constants first.
func (l *linker) placeData(data []dataBlob) error {
	var sizes [2]int
	for i := range data {
		d := &data[i]
		k := 0
		if d.writable {
			k = 1
		}
		d.at = (sizes[k] + d.align - 1) &^ (d.align - 1)
		sizes[k] = d.at + max(d.size, 1)
	}
	for k, n := range sizes {
		if n == 0 {
			continue
		}
		var err error
		if l.batch.data[k], err = native.NewData(n); err != nil {
			return err
		}
	}
	for i := range data {
		l.addrs[data[i].id] = l.memory(&data[i]).Base() + uintptr(data[i].at)
	}
	return nil
}

func (l *linker) memory(d *dataBlob) *native.Data {
	if d.writable {
		return l.batch.data[1]
	}
	return l.batch.data[0]
}

// placeCode allocates code: functions, then jumps to what may be far away, then
// cells.
func (l *linker) placeCode(blobs []*blob) error {
	size := 0
	for _, b := range blobs {
		size = (size + int(b.align) - 1) &^ (int(b.align) - 1)
		b.at = size
		size += len(b.text)
	}
	size = (size + stubSize - 1) &^ (stubSize - 1)
	var order []module.ID
	for _, b := range blobs {
		for _, r := range b.relocs {
			_, symbol := l.m.symbols[l.m.table.At(r.id).Name]
			if _, ok := l.stubs[r.id]; r.kind == codegen.RelocCall32 && symbol && !ok {
				l.stubs[r.id] = size
				size += stubSize
			}
			if _, ok := l.cells[r.id]; !ok && (r.kind == codegen.RelocGOTPCRel32 || r.kind == codegen.RelocCall32 && symbol) {
				l.cells[r.id] = 0
				order = append(order, r.id)
			}
		}
	}
	for _, id := range order {
		l.cells[id] = size
		size += 8
	}
	if size == 0 {
		return nil
	}
	code, err := native.NewCode(size)
	if err != nil {
		return err
	}
	l.batch.code = code
	code.Owner, code.Debuggable, code.Anonymous = l.batch, l.m.cfg.Debugger, l.m.cfg.PerfMap
	for _, b := range blobs {
		if b.id != noID && !b.replace {
			l.addrs[b.id] = code.Base() + uintptr(b.at)
		}
	}
	return nil
}

// makeThunks gives functions that are to be replaceable an address that stays.
func (l *linker) makeThunks(blobs []*blob) error {
	for _, b := range blobs {
		if b.id == noID || b.replace || !l.m.object(b.id).replaceable || !b.body {
			continue
		}
		t, err := l.m.thunks.take()
		if err != nil {
			return err
		}
		t.set(l.addrs[b.id])
		l.thunks = append(l.thunks, thunkOf{b.id, t})
		l.addrs[b.id] = t.addr
	}
	return nil
}

// address is where references to an ID lead.
func (l *linker) address(id module.ID) (uintptr, error) {
	d := l.m.table.At(id)
	if a, ok := l.addrs[id]; ok {
		if _, symbol := l.m.symbols[d.Name]; !symbol || d.Linkage != module.Preemptible {
			return a, nil
		}
	}
	if a := l.m.target0(id); a != 0 {
		return a, nil
	}
	if a, ok := l.m.symbols[d.Name]; ok {
		return a, nil // it is 0
	}
	return 0, fmt.Errorf("jit: %v: %w", d.Name, ErrUndefined)
}

func (l *linker) linkData(data []dataBlob) error {
	for i := range data {
		d := &data[i]
		bytes := l.memory(d).Bytes()[d.at:]
		copy(bytes, d.bytes)
		for _, r := range d.relocs {
			a, err := l.address(l.m.table.Mention(r.Name))
			if err != nil {
				return err
			}
			binary.LittleEndian.PutUint64(bytes[r.Offset:], uint64(int64(a)+r.Addend))
		}
	}
	if d := l.batch.data[0]; d != nil {
		return d.Seal()
	}
	return nil
}

// linkCode writes the code and its relocations, and publishes it.
func (l *linker) linkCode(blobs []*blob) error {
	code := l.batch.code
	base := code.Base()
	out := code.Writable()
	var tables native.Tables
	for _, b := range blobs {
		copy(out[b.at:], b.text)
		for _, r := range b.relocs {
			if err := l.relocate(out, base, b, &r); err != nil {
				return err
			}
		}
		for _, t := range b.traps {
			off := uint32(b.at) + t.Offset
			if n := len(tables.Traps); n > 0 && tables.Traps[n-1].Offset == off {
				continue
			}
			tables.Traps = append(tables.Traps, native.TrapSite{Offset: off, Code: uint16(t.Code), Null: t.Code == ir.TrapHeapOutOfBounds})
		}
		if b.body {
			tables.Bodies = append(tables.Bodies, native.Range{Start: uint32(b.at), End: uint32(b.at + len(b.text))})
		}
		l.batch.funcs = append(l.batch.funcs, placed{
			name: b.name, start: uint32(b.at), end: uint32(b.at + len(b.text)), id: b.id, code: b.code, sources: b.sources, exceptions: b.table,
		})
	}
	// All names have been found by now, so nothing depends on the order of maps.
	for id, at := range l.cells {
		a, err := l.address(id)
		if err != nil {
			return err
		}
		binary.LittleEndian.PutUint64(out[at:], uint64(a))
	}
	for id, at := range l.stubs {
		putStub(out[at:], int64(l.cells[id])-int64(at))
	}
	return code.Publish(tables)
}

func (l *linker) relocate(out []byte, base uintptr, b *blob, r *reloc) error {
	s, err := l.address(r.id)
	if err != nil {
		return fmt.Errorf("%w, used by %v", err, b.name)
	}
	at := b.at + int(r.offset)
	place := int64(base) + int64(at)
	v := int64(s) + r.addend
	switch r.kind {
	case codegen.RelocAbs64:
		binary.LittleEndian.PutUint64(out[at:], uint64(v))
		return nil
	case codegen.RelocAbs32:
		if uint64(v) > math.MaxUint32 {
			return fmt.Errorf("jit: %v: the address of %v does not fit 32 bits", b.name, l.m.table.At(r.id).Name)
		}
		binary.LittleEndian.PutUint32(out[at:], uint32(v))
		return nil
	case codegen.RelocGOTPCRel32:
		v = int64(base) + int64(l.cells[r.id]) + r.addend
	case codegen.RelocCall32:
		if stub, ok := l.stubs[r.id]; ok && v-place != int64(int32(v-place)) {
			v = int64(base) + int64(stub) + r.addend
		}
	}
	if v -= place; v != int64(int32(v)) {
		return fmt.Errorf("jit: %v: %v is out of reach of relocation %v; it should not be declared colocated", b.name, l.m.table.At(r.id).Name, r.kind)
	}
	binary.LittleEndian.PutUint32(out[at:], uint32(v))
	return nil
}

// commit makes the linked batch part of the module. Nothing fails any more.
func (l *linker) commit(blobs []*blob, data []dataBlob) {
	m := l.m
	for _, t := range l.thunks {
		m.object(t.id).thunk = t.at.addr
	}
	var old []*batch
	for _, b := range blobs {
		addr := l.batch.code.Base() + uintptr(b.at)
		if b.id == noID {
			m.tramps[b.tramp].entry = native.Func[native.Entry](addr)
			l.batch.live++
			continue
		}
		var refs []module.ID
		for _, r := range b.relocs {
			refs = append(refs, r.id)
		}
		if b.replace {
			m.thunks.at(m.object(b.id).thunk).set(addr)
			if o := m.drop(b.id); o != nil {
				old = append(old, o)
			}
		}
		m.place(b.id, l.batch, addr, len(b.text), refs)
	}
	for i := range data {
		d := &data[i]
		var refs []module.ID
		for _, r := range d.relocs {
			refs = append(refs, m.table.Mention(r.Name))
		}
		m.place(d.id, l.batch, l.memory(d).Base()+uintptr(d.at), d.size, refs)
	}
	m.batches[l.batch] = true
	if m.cfg.PerfMap {
		l.batch.perfMap()
	}
	if m.cfg.Debugger {
		l.batch.debug = m.debugImage(l.batch, blobs)
	}
	m.eras.retire(old...)
}

// place notes where an object is, and what it refers to.
func (m *Module) place(id module.ID, b *batch, addr uintptr, size int, refs []module.ID) {
	slices.Sort(refs)
	refs = slices.Compact(refs)
	o := m.object(id)
	o.addr, o.size, o.batch, o.refs = addr, size, b, refs
	for _, r := range refs {
		if r != id {
			m.object(r).users++
		}
	}
	b.live++
	m.fresh = append(m.fresh, id)
}

// drop takes a definition's place away, and returns its batch if nothing in that
// is left.
func (m *Module) drop(id module.ID) *batch {
	o := m.object(id)
	for _, r := range o.refs {
		if r != id {
			m.object(r).users--
		}
	}
	b := o.batch
	o.addr, o.size, o.batch, o.refs = 0, 0, nil, nil
	if b.live--; b.live > 0 {
		return nil
	}
	delete(m.batches, b)
	return b
}

// publish lets calls see the functions that have become callable.
func (m *Module) publish() {
	list := *m.callees.Load()
	if len(list) < len(m.objects) {
		grown := make([]atomic.Pointer[callee], max(len(m.objects), 2*len(list)))
		for i := range list {
			grown[i].Store(list[i].Load())
		}
		list = grown
		m.callees.Store(&list)
	}
	for _, i := range m.fresh {
		d := m.table.At(i)
		if d.Kind != module.Func || list[i].Load() != nil {
			continue
		}
		t := -1
		if d.Sig.CallConv != ir.Go && callable(&d.Sig) {
			t = m.entries[signatureKey(&d.Sig)]
		}
		if t >= 0 {
			list[i].Store(&callee{d.Name, m.target0(i), m.tramps[t].entry, slots(&d.Sig)})
		}
	}
	m.fresh = m.fresh[:0]
}

// Free takes definitions away: functions and data, which no other code or data
// may refer to, save what is freed with them. The names can be defined anew, with
// other signatures. Calls that are running go on to their end. Code that has
// an address of what is freed must not use it any more.
func (m *Module) Free(ids ...module.ID) error {
	if m.closed.Load() {
		return ErrClosed
	}
	within := map[module.ID]int{} // users among ids
	for _, id := range ids {
		within[id] = 0
	}
	for id := range within {
		if int(id) >= m.table.Len() || m.object(id).addr == 0 {
			return fmt.Errorf("jit: free of %d, which is not finalized: %w", id, ErrUndefined)
		}
		for _, r := range m.object(id).refs {
			if _, ok := within[r]; ok && r != id {
				within[r]++
			}
		}
	}
	for _, id := range ids {
		if m.object(id).users > within[id] {
			return fmt.Errorf("jit: %v is used by %v: %w", m.table.At(id).Name, m.user(id, within), ErrInUse)
		}
		for i := range m.pending {
			if m.pending[i].id == id {
				return fmt.Errorf("jit: %v has a replacement that is not finalized: %w", m.table.At(id).Name, ErrInUse)
			}
		}
	}
	list := *m.callees.Load()
	var old []*batch
	for id := range within {
		o := m.object(id)
		if int(id) < len(list) {
			list[id].Store(nil)
		}
		if o.thunk != 0 {
			m.eras.giveThunk(&m.thunks, m.thunks.at(o.thunk))
			o.thunk = 0
		}
		if b := m.drop(id); b != nil {
			old = append(old, b)
		}
		o.replaceable = m.cfg.Replaceable
		m.table.Forget(id)
	}
	m.eras.retire(old...)
	return nil
}

// user is one of the users of an ID that are not in a set.
func (m *Module) user(id module.ID, except map[module.ID]int) ir.Name {
	for i := range m.objects {
		if _, skip := except[module.ID(i)]; !skip && slices.Contains(m.objects[i].refs, id) {
			return m.table.At(module.ID(i)).Name
		}
	}
	return ir.Name{}
}
