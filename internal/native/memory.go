package native

import (
	"fmt"
	"slices"
	"sync"
	"unsafe"

	"github.com/davit-wasm/davit/internal/layout"
)

// MemoryUnit is the unit of reservations and their alignment.
const MemoryUnit = 1 << layout.MemoryUnitLog2

// Memory is reserved address space, of which a part can be used. It takes three
// mappings of the process at most, usually two.
//
// Accesses of compiled code at trap sites outside the usable part, but inside
// the reservation, trap; this is how linear memories check their bounds. A
// Memory is not freed by the collector. Its methods are not safe for concurrent
// use, but native code may access it meanwhile.
type Memory struct {
	base, size uintptr
	committed  uintptr // end of what has been made usable
	guarded    bool
}

// ReserveMemory reserves size bytes, rounded up to MemoryUnit, none of them
// usable. If guarded is set, faults in the reservation are traps.
func ReserveMemory(size uint64, guarded bool) (*Memory, error) {
	if err := Supported(); err != nil {
		return nil, err
	}
	if size == 0 {
		size = 1
	}
	if size > 1<<(layout.AddressBits-1) {
		return nil, fmt.Errorf("native: reservation of %d bytes", size)
	}
	n := (uintptr(size) + MemoryUnit - 1) &^ (MemoryUnit - 1)
	if guarded {
		if m := takeReservation(n); m != nil {
			return m, nil
		}
	}
	if err := takeMappings(mappingsPerMemory); err != nil {
		return nil, err
	}
	base, err := mapAligned(n, MemoryUnit, protNone)
	if err != nil {
		giveMappings(mappingsPerMemory)
		return nil, err
	}
	m := &Memory{base: base, size: n, guarded: guarded}
	if guarded {
		process.memory.set(base, base+n, true)
	}
	return m, nil
}

// MapMemory returns size bytes of zeroed memory, rounded up to MemoryUnit, all
// usable, outside the Go heap: for contexts and tables.
func MapMemory(size uint64) (*Memory, error) {
	m, err := ReserveMemory(size, false)
	if err != nil {
		return nil, err
	}
	if err := m.Commit(0, uint64(m.size)); err != nil {
		m.Free()
		return nil, err
	}
	return m, nil
}

// Base returns the address of byte 0.
func (m *Memory) Base() uintptr { return m.base }

// Pointer returns a pointer to byte 0. It must not outlive the Memory: once
// that is freed, the Go heap may come to use the same addresses.
func (m *Memory) Pointer() unsafe.Pointer { return pointer(m.base) }

// Size returns the size of the reservation.
func (m *Memory) Size() uint64 { return uint64(m.size) }

// Bytes returns n bytes from offset off, which must be usable as long as the
// slice is used.
func (m *Memory) Bytes(off, n uint64) []byte {
	if off > uint64(m.size) || n > uint64(m.size)-off {
		panic("native: bytes outside a memory")
	}
	return bytesAt(m.base+uintptr(off), int(n))
}

func (m *Memory) pages(from, to uint64) (addr, size uintptr, err error) {
	const page = 4096 // multiples of it are needed, whatever the page size
	if from > to || to > uint64(m.size) || from%page != 0 {
		return 0, 0, fmt.Errorf("native: bytes %#x to %#x of a memory of %#x", from, to, m.size)
	}
	return m.base + uintptr(from), uintptr((to - from + page - 1) &^ (page - 1)), nil
}

// Commit makes bytes from…to usable, which are zero if they were not usable
// before. from is a multiple of 4096; to is rounded up.
func (m *Memory) Commit(from, to uint64) error {
	addr, size, err := m.pages(from, to)
	if err != nil || size == 0 {
		return err
	}
	m.committed = max(m.committed, addr+size-m.base)
	return protect(addr, size, protReadWrite)
}

// Decommit makes bytes from…to unusable and gives their contents back.
func (m *Memory) Decommit(from, to uint64) error {
	addr, size, err := m.pages(from, to)
	if err != nil || size == 0 {
		return err
	}
	if err := discard(addr, size); err != nil {
		return err
	}
	return protect(addr, size, protNone)
}

// Zero gives the contents of bytes from…to back; they read as zeros.
func (m *Memory) Zero(from, to uint64) error {
	addr, size, err := m.pages(from, to)
	if err != nil || size == 0 {
		return err
	}
	return discard(addr, size)
}

// Free ends the reservation. Native code that knows its address must not run
// any more.
func (m *Memory) Free() {
	if m.base == 0 {
		return
	}
	if m.guarded {
		if m.keepReservation() {
			return
		}
		process.memory.set(m.base, m.base+m.size, false)
	}
	unmap(m.base, m.size)
	giveMappings(mappingsPerMemory)
	m.base, m.size = 0, 0
}

// reservations are guarded ones that were freed, to be used again: making one, with
// its marks in the bitmap of all guards, costs more than anything else that an
// instance needs.
var reservations struct {
	sync.Mutex
	list []*Memory
}

// keptReservations is how many reservations are kept. They hold no memory.
const keptReservations = 64

// keepReservation takes m over, if there is room for it.
func (m *Memory) keepReservation() bool {
	reservations.Lock()
	defer reservations.Unlock()
	if len(reservations.list) >= keptReservations || m.Decommit(0, uint64(m.committed)) != nil {
		return false
	}
	reservations.list = append(reservations.list, &Memory{base: m.base, size: m.size, guarded: true})
	m.base, m.size = 0, 0
	return true
}

// takeReservation is a reservation of size bytes that was kept, or nil.
func takeReservation(size uintptr) *Memory {
	reservations.Lock()
	defer reservations.Unlock()
	for i := len(reservations.list) - 1; i >= 0; i-- {
		if m := reservations.list[i]; m.size == size {
			reservations.list = slices.Delete(reservations.list, i, i+1)
			return m
		}
	}
	return nil
}

// Retire is Free for a memory of which Go code may still hold slices of the
// first n bytes. Using one is a mistake, but one that must not end the process:
// these bytes are zeroed and stay accessible until retiredMemories more of them
// have been retired.
func (m *Memory) Retire(n uint64) {
	if n == 0 || m.base == 0 {
		m.Free()
		return
	}
	kept := min((uintptr(n)+MemoryUnit-1)&^(MemoryUnit-1), m.size)
	if m.guarded {
		process.memory.set(m.base, m.base+m.size, false)
	}
	if kept < m.size {
		unmap(m.base+kept, m.size-kept)
	}
	_ = discard(m.base, kept) // else they are zeros later, and the memory is in use until then
	giveMappings(mappingsPerMemory - 1)
	retired.Lock()
	defer retired.Unlock()
	old := &retired.list[retired.next%retiredMemories]
	retired.next++
	if old.size > 0 {
		unmap(old.base, old.size)
		giveMappings(1)
	}
	*old = retiredMemory{m.base, kept}
	m.base, m.size = 0, 0
}

// retiredMemories is how many retired memories stay accessible.
const retiredMemories = 1024

type retiredMemory struct{ base, size uintptr }

// retired is a ring of retired memories.
var retired struct {
	sync.Mutex
	list [retiredMemories]retiredMemory
	next uint
}
