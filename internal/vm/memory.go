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
	mem   *native.Memory
}

// maxMemory is the size that no 32-bit memory passes.
const maxMemory = 4 << 30

// maxMemory64 bounds 64-bit memories, whose address space is reserved as a
// whole if they have a maximum below it.
const maxMemory64 = 64 << 30

// NewMemory makes a memory that does not belong to an instance.
func (s *Store) NewMemory(t wasm.MemoryType) (*Memory, error) {
	desc, err := s.arena.alloc(layout.MemorySize)
	if err != nil {
		return nil, err
	}
	return s.newMemory(t, desc)
}

func (s *Store) newMemory(t wasm.MemoryType, desc unsafe.Pointer) (*Memory, error) {
	if len(s.memories) >= s.limits.Memories {
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
	if s.memBytes+size > s.limits.MemoryBytes {
		return nil, &LimitError{"bytes of memories", s.limits.MemoryBytes}
	}
	mem, err := native.ReserveMemory(reserve, true)
	if err != nil {
		return nil, fmt.Errorf("memory of %d pages: %w", t.Min, err)
	}
	if err := mem.Commit(0, size); err != nil {
		mem.Free()
		return nil, fmt.Errorf("memory of %d pages: %w", t.Min, err)
	}
	m := &Memory{store: s, desc: desc, typ: t, mem: mem}
	*word(desc, layout.MemoryBase) = uint64(mem.Base())
	*word(desc, layout.MemoryLength) = size
	s.memBytes += size
	s.memories = append(s.memories, mem)
	return m, nil
}

// Store is the store that m belongs to.
func (m *Memory) Store() *Store { return m.store }

// Type is the type of m with its present size as the minimum.
func (m *Memory) Type() wasm.MemoryType {
	t := m.typ
	t.Min = m.Pages()
	return t
}

// Length is the present size in bytes.
func (m *Memory) Length() uint64 { return *word(m.desc, layout.MemoryLength) }

// Pages is the present size in pages.
func (m *Memory) Pages() uint64 { return m.Length() >> m.typ.PageBits }

// Bytes is the memory's present content. It stays valid until the store is
// closed; a memory that has grown is seen by a new call only.
func (m *Memory) Bytes() []byte { return m.mem.Bytes(0, m.Length()) }

// Grow makes m larger by delta pages and tells its old size; ok is false if it
// cannot grow so far.
func (m *Memory) Grow(delta uint64) (old uint64, ok bool) {
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
	bytes := delta << m.typ.PageBits
	if m.store.memBytes+bytes > m.store.limits.MemoryBytes {
		return old, false
	}
	if m.mem.Commit(m.Length()&^4095, m.Length()+bytes) != nil {
		return old, false
	}
	m.store.memBytes += bytes
	*word(m.desc, layout.MemoryLength) += bytes
	return old, true
}
