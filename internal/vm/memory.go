package vm

import (
	"fmt"
	"unsafe"

	"github.com/davit-wasm/davit/internal/layout"
	"github.com/davit-wasm/davit/internal/native"
	"github.com/davit-wasm/davit/wasm"
)

// Memory is a linear memory. Its base and length are in its descriptor, which
// compiled code reads.
type Memory struct {
	store *Store
	desc  unsafe.Pointer
	typ   wasm.MemoryType
	*region
}

// region is what holds a memory's bytes: a reservation of address space, or the
// embedder's storage. The memory's store frees it.
type region struct {
	mem     *native.Memory
	storage Storage // if mem is nil
	bytes   []byte  // of storage
	viewed  bool    // Go code may have slices of the bytes
}

// free gives the bytes back. Slices of a reservation stay readable for a while:
// see [native.Memory.Retire].
func (r *region) free() {
	switch {
	case r.mem == nil:
		r.storage.Close()
	case r.viewed:
		r.mem.Retire()
	default:
		r.mem.Free()
	}
}

// Storage holds the bytes of a memory for the embedder.
type Storage interface {
	// Grow makes the storage size bytes long, or longer, and returns its bytes, of
	// which those that it had before keep their contents, and the others are zero.
	// They must not move until the next Grow or Close.
	Grow(size uint64) ([]byte, error)
	// Close ends the use of the bytes.
	Close()
}

// maxMemory is the size that no 32-bit memory passes.
const maxMemory = 4 << 30

// maxMemory64 bounds 64-bit memories, whose address space is reserved as a
// whole if they have a maximum below it.
const maxMemory64 = 64 << 30

// NewMemory makes a memory that does not belong to an instance. Its bytes are in
// storage, unless that is nil.
func (s *Store) NewMemory(t wasm.MemoryType, storage Storage) (*Memory, error) {
	desc, err := s.arena.alloc(layout.MemorySize)
	if err != nil {
		return nil, err
	}
	return s.newMemory(t, desc, storage, nil)
}

// newMemory makes a memory whose descriptor is desc, and which begins with an
// image, if that is not nil.
func (s *Store) newMemory(t wasm.MemoryType, desc unsafe.Pointer, storage Storage, image *native.Image) (*Memory, error) {
	if len(s.regions) >= s.limits.Memories {
		return nil, &LimitError{"memories", uint64(s.limits.Memories)}
	}
	limit := uint64(maxMemory)
	reserve := uint64(layout.MemoryGuardReserve)
	if t.Is64 {
		limit = maxMemory64
		if t.HasMax && t.Max < limit>>t.PageBits {
			limit = t.Max << t.PageBits
		}
		reserve = limit + 1<<16
	}
	if t.Min > limit>>t.PageBits {
		return nil, fmt.Errorf("memory of %d pages: %w", t.Min, &LimitError{"bytes of a memory", limit})
	}
	size := t.Min << t.PageBits
	if size > s.limits.MemoryBytes-s.memBytes || s.limits.MemoryGrowing != nil && !s.limits.MemoryGrowing(t, true, 0, size) {
		return nil, fmt.Errorf("memory of %d pages: %w", t.Min, &LimitError{"bytes of memories", s.limits.MemoryBytes})
	}
	m := &Memory{store: s, desc: desc, typ: t}
	if storage != nil {
		m.region = &region{storage: storage}
		if !m.growStorage(size) {
			return nil, fmt.Errorf("memory of %d pages: the storage of the host does not hold them", t.Min)
		}
	} else {
		mem, err := s.engine.memories.Acquire(reserve, size, image)
		if err != nil {
			return nil, fmt.Errorf("memory of %d pages: %w", t.Min, err)
		}
		m.region = &region{mem: mem}
		*word(desc, layout.MemoryBase) = uint64(mem.Base())
	}
	*word(desc, layout.MemoryLength) = size
	s.memBytes += size
	s.regions = append(s.regions, m.region)
	return m, nil
}

// growStorage makes the embedder's storage hold size bytes.
func (m *Memory) growStorage(size uint64) bool {
	b, err := m.storage.Grow(size)
	if err != nil || uint64(len(b)) < size {
		return false
	}
	m.bytes = b
	*word(m.desc, layout.MemoryBase) = address(unsafe.Pointer(unsafe.SliceData(b)))
	return true
}

// Store is the store that m belongs to.
func (m *Memory) Store() *Store { return m.store }

// Type is the type of m with its present size as the minimum.
func (m *Memory) Type() wasm.MemoryType {
	t := m.typ
	t.Min = m.Pages()
	return t
}

// Length is the present size in bytes; 0 once the store is closed.
func (m *Memory) Length() uint64 {
	if m.store.closed {
		return 0
	}
	return *word(m.desc, layout.MemoryLength)
}

// Pages is the present size in pages.
func (m *Memory) Pages() uint64 { return m.Length() >> m.typ.PageBits }

// Bytes is the memory's present content, nil once the store is closed. It must
// not be kept; a memory that has grown is seen by a new call only.
func (m *Memory) Bytes() []byte {
	n := m.Length()
	if m.mem == nil {
		return m.bytes[:n]
	}
	return m.mem.Bytes(0, n)
}

// View is Bytes for those who may keep it. It may be looked at after the store
// has been closed, as package native says of retired memory.
func (m *Memory) View() []byte {
	m.viewed = true
	return m.Bytes()
}

// guarded reports whether accesses beyond the memory's end fault.
func (m *Memory) guarded() bool { return m.mem != nil }

// Grow makes m larger by delta pages and tells its old size; ok is false if it
// cannot grow so far.
func (m *Memory) Grow(delta uint64) (old uint64, ok bool) {
	s := m.store
	if s.closed {
		return 0, false
	}
	old = m.Pages()
	limit := uint64(maxMemory) >> m.typ.PageBits
	if m.typ.Is64 {
		limit = maxMemory64 >> m.typ.PageBits
	}
	if m.typ.HasMax {
		limit = min(limit, m.typ.Max)
	}
	if delta > limit || old+delta > limit {
		return old, false
	}
	bytes, from := delta<<m.typ.PageBits, m.Length()
	if bytes > s.limits.MemoryBytes-s.memBytes {
		return old, false
	}
	if delta > 0 && s.limits.MemoryGrowing != nil && !s.limits.MemoryGrowing(m.typ, false, from, from+bytes) {
		return old, false
	}
	if m.mem == nil {
		if !m.growStorage(from + bytes) {
			return old, false
		}
	} else if m.mem.Commit(from&^4095, from+bytes) != nil {
		return old, false
	}
	s.memBytes += bytes
	*word(m.desc, layout.MemoryLength) += bytes
	return old, true
}
