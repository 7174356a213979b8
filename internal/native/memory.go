package native

import (
	"bytes"
	"fmt"
	"sync"
	"unsafe"

	"github.com/davit-wasm/davit/internal/layout"
)

// MemoryUnit is the unit of reservations and their alignment, and guardUnit that of
// those that are guarded.
const (
	MemoryUnit = 1 << layout.MemoryUnitLog2
	guardUnit  = 1 << layout.GuardUnitLog2
)

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
	huge       bool // the kernel may use huge pages for it

	// Of memories from a pool:
	pool     *Pool
	image    *Image  // what it begins with, or nil
	initial  uintptr // what was usable at first
	resident uintptr // size of the pages that stay in memory while it is kept
	backed   uintptr // beyond this and what is usable, there are no pages
}

// ReserveMemory reserves size bytes, rounded up to MemoryUnit, or to 1 MiB if guarded
// is set, none of them usable. If it is, faults in the reservation are traps.
func ReserveMemory(size uint64, guarded bool) (*Memory, error) {
	n, err := reservationSize(size, guarded)
	if err != nil {
		return nil, err
	}
	return reserve(n, guarded)
}

// reservationSize is the size of a reservation for size bytes.
func reservationSize(size uint64, guarded bool) (uintptr, error) {
	if err := Supported(); err != nil {
		return 0, err
	}
	if size > 1<<(layout.AddressBits-1) {
		return 0, fmt.Errorf("native: reservation of %d bytes", size)
	}
	unit := reservationUnit(guarded)
	return (uintptr(max(size, 1)) + unit - 1) &^ (unit - 1), nil
}

// reservationUnit is the unit of reservations that are guarded or not.
func reservationUnit(guarded bool) uintptr {
	if guarded {
		return guardUnit
	}
	return MemoryUnit
}

func reserve(n uintptr, guarded bool) (*Memory, error) {
	if err := takeMappings(mappingsPerMemory); err != nil {
		return nil, err
	}
	align := reservationUnit(guarded)
	if n >= 4*hugePage {
		align = max(align, hugePage)
	}
	base, err := mapAligned(n, align, protNone)
	if err != nil {
		giveMappings(mappingsPerMemory)
		return nil, err
	}
	if guarded {
		process.memory.set(base, base+n, true)
	}
	return &Memory{base: base, size: n, guarded: guarded}, nil
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

// pageSize is what multiples are needed of, whatever the size of pages is.
const pageSize = 4096

func (m *Memory) pages(from, to uint64) (addr, size uintptr, err error) {
	if from > to || to > uint64(m.size) || from%pageSize != 0 {
		return 0, 0, fmt.Errorf("native: bytes %#x to %#x of a memory of %#x", from, to, m.size)
	}
	return m.base + uintptr(from), uintptr((to - from + pageSize - 1) &^ (pageSize - 1)), nil
}

// Commit makes bytes from…to usable, which are zero if they were not usable
// before. from is a multiple of 4096; to is rounded up.
func (m *Memory) Commit(from, to uint64) error {
	addr, size, err := m.pages(from, to)
	if err != nil || size == 0 {
		return err
	}
	m.committed = max(m.committed, addr+size-m.base)
	if from > 0 && size >= hugeGrowth && !m.huge {
		m.huge = adviseHuge(m.base, m.size, true)
	}
	return protect(addr, size, protReadWrite)
}

// Populate gives n bytes of mapped memory from p on, which are usable and will be written
// to soon, their pages, if the kernel can do that.
func Populate(p unsafe.Pointer, n uintptr) {
	first, last := uintptr(p)&^(pageSize-1), (uintptr(p)+n+pageSize-1)&^(pageSize-1)
	populate(first, last-first)
}

const (
	hugePage = 2 << 20

	// hugeGrowth is how much a memory has to grow at once for the kernel to be told
	// that huge pages are welcome in it. Who asks for that much uses it: one fault takes
	// the place of 512. What a memory begins with, and what is added bit by bit, may be
	// used here and there only, and would cost far more room than it needs.
	hugeGrowth = hugePage
)

// Zero gives the contents of bytes from…to back; they read as zeros.
func (m *Memory) Zero(from, to uint64) error {
	addr, size, err := m.pages(from, to)
	if err != nil || size == 0 {
		return err
	}
	return discard(addr, size)
}

// Clean makes all that is usable zero again. The first pages that have been touched stay
// in memory: see [Memory.Resident].
func (m *Memory) Clean() error { return m.restore(cleanResident) }

// cleanResident is how much of what [Memory.Clean] cleans stays in memory.
const cleanResident = 256 << 10

// Resident returns how many bytes [Memory.Clean] has left in memory.
func (m *Memory) Resident() uint64 { return uint64(m.resident) }

// Free ends the use of the memory. Native code that knows its address must not
// run any more.
func (m *Memory) Free() {
	if m.base == 0 {
		return
	}
	if m.pool != nil && m.pool.keep(m) {
		m.base, m.size = 0, 0
		return
	}
	m.destroy()
}

// destroy ends the reservation.
func (m *Memory) destroy() {
	if m.guarded {
		process.memory.set(m.base, m.base+m.size, false)
	}
	unmap(m.base, m.size)
	giveMappings(mappingsPerMemory)
	m.base, m.size = 0, 0
}

// fit makes a clean memory one whose first size bytes are usable and begin with
// an image.
func (m *Memory) fit(size uintptr, image *Image) error {
	if m.image != image {
		if m.image != nil {
			if err := mapZeros(m.base+m.image.start, m.image.size, protNone); err != nil {
				return err
			}
			// What is around the image may be usable still.
			if m.image.start > 0 || m.committed > m.image.end() {
				if err := protect(m.base, m.committed, protNone); err != nil {
					return err
				}
			}
			m.image, m.committed = nil, 0
		}
		if image != nil {
			if m.committed < image.start {
				if err := protect(m.base+m.committed, image.start-m.committed, protReadWrite); err != nil {
					return err
				}
			}
			if err := image.mapInto(m.base); err != nil {
				return err
			}
			m.image, m.committed = image, max(m.committed, image.end())
		}
	}
	switch {
	case m.committed < size:
		if err := protect(m.base+m.committed, size-m.committed, protReadWrite); err != nil {
			return err
		}
	case m.committed > size:
		if err := protect(m.base+size, m.committed-size, protNone); err != nil {
			return err
		}
	}
	m.committed, m.initial = size, size
	return nil
}

// clean makes a memory that was used as it was when [Pool.Acquire] returned it.
// Up to room bytes of it stay in memory, even if they are not usable then.
func (m *Memory) clean(room uintptr) error {
	if err := m.restore(room); err != nil {
		return err
	}
	if m.committed > m.initial {
		if err := protect(m.base+m.initial, m.committed-m.initial, protNone); err != nil {
			return err
		}
		m.committed = m.initial
	}
	if m.huge {
		m.huge = false
		adviseHuge(m.base, m.size, false)
	}
	return nil
}

// restore gives all usable bytes their first contents. Up to room bytes stay in
// memory, the first ones that were touched.
func (m *Memory) restore(room uintptr) error {
	var runs [32]pageRun
	next, usable := m.base, m.base+m.committed
	end := m.base + max(m.committed, m.backed)
	m.resident = 0
	for next < end && m.resident < room {
		n, looked, ok := touchedPages(next, end, room-m.resident, runs[:])
		if !ok {
			break
		}
		for _, r := range runs[:n] {
			for page := r.from; page < min(r.to, usable); page += pageSize {
				m.restorePage(page)
			}
			m.resident += r.to - r.from
		}
		next = looked
	}
	if next < end {
		if m.huge { // not a part of a huge page, which would stay in memory as a whole
			next &^= hugePage - 1
			m.resident = min(m.resident, next-m.base)
		}
		if err := discard(next, end-next); err != nil {
			return err
		}
	}
	m.backed = next - m.base
	return nil
}

// zeros are what most pages begin with.
var zeros [pageSize]byte

// restorePage gives a page its first contents.
func (m *Memory) restorePage(page uintptr) {
	b := bytesAt(page, pageSize)
	if i, at := m.image, page-m.base; i != nil && at >= i.start && at < i.end() {
		copy(b, i.data[at-i.start:])
	} else if !bytes.Equal(b, zeros[:]) { // else it was only read, and may be a page that all share
		clear(b)
	}
}

// Retire is Free for a memory of which Go code may still hold slices. Using one
// is a mistake, but one that must not end the process: the bytes are zeroed and
// stay accessible until retiredMemories more memories have been retired.
func (m *Memory) Retire() {
	if m.base == 0 {
		return
	}
	var err error
	if m.image != nil {
		// Zeros, rather than the image, which may be gone soon.
		if err = mapZeros(m.base+m.image.start, m.image.size, protReadWrite); err == nil {
			m.image = nil
		}
	}
	if err == nil {
		err = m.restore(retiredResident)
	}
	if err != nil {
		m.Free()
		return
	}
	retired.Lock()
	old := retired.list[retired.next%retiredMemories]
	retired.list[retired.next%retiredMemories] = *m
	retired.next++
	retired.Unlock()
	m.base, m.size = 0, 0
	old.Free()
}

// retiredMemories is how many retired memories stay accessible, and retiredResident
// how much of each stays in memory.
const (
	retiredMemories = 1024
	retiredResident = 64 << 10
)

// retired is a ring of retired memories.
var retired struct {
	sync.Mutex
	list [retiredMemories]Memory
	next uint
}
