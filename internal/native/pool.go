package native

import (
	"fmt"
	"sync"
)

// Pool keeps guarded memories that have been freed, to be used again. What a
// memory costs is its system calls and page faults: reserving address space,
// marking it in the bitmap of all guards, changing protections, and the first
// touch of every page. A memory that comes from the pool and fits needs none of
// them. Fitting is having the wanted size and image; what does not fit is changed.
//
// A memory is cleaned before it is kept. The kernel tells which of its pages have
// been written to. The first of these get their first contents again, and stay in
// memory for the next user, also those by which the memory has grown; the kernel
// takes all others back, which then read as zeros, or as the image that is mapped
// there. Taking pages back costs more than a copy of them: all processors must forget
// where they were, and the next user's first touch of each is a fault.
//
// Its methods can be called from any goroutine.
type Pool struct {
	limit int

	mu   sync.Mutex
	free map[poolKey][]Memory
	n    int // memories that are kept, or being cleaned for that
	// resident is the size of their pages that stay in memory.
	resident uintptr
}

// poolKey is what memories that fit have in common.
type poolKey struct {
	size, committed uintptr
	image           *Image
}

const (
	// maxResident is how much of a memory stays in memory, and poolResident of all
	// that a pool keeps.
	maxResident  = 8 << 20
	poolResident = 64 << 20
)

// NewPool makes a pool that keeps up to limit memories.
func NewPool(limit int) *Pool { return &Pool{limit: limit, free: make(map[poolKey][]Memory)} }

// Acquire is a guarded memory with a reservation of so many bytes, of which the
// first size bytes are usable. They begin with an image, if it is not nil, which
// must not be longer; the others are zero.
func (p *Pool) Acquire(reservation, size uint64, image *Image) (*Memory, error) {
	n, err := reservationSize(reservation, true)
	if err != nil {
		return nil, err
	}
	want := (uintptr(size) + pageSize - 1) &^ (pageSize - 1)
	if want > n || image != nil && image.end() > want {
		return nil, fmt.Errorf("native: memory of %d bytes with a reservation of %d", size, reservation)
	}
	m := p.take(poolKey{n, want, image})
	if m == nil {
		if m, err = reserve(n, true); err != nil {
			// Too many mappings, perhaps.
			p.Drain()
			if m, err = reserve(n, true); err != nil {
				return nil, err
			}
		}
	}
	if err := m.fit(want, image); err != nil {
		m.destroy()
		return nil, err
	}
	m.pool = p
	return m, nil
}

// take is a memory that was kept: one that fits, or else one with a reservation
// of the right size. One with another image is left to who wants that, unless the
// pool is more than half full.
func (p *Pool) take(k poolKey) *Memory {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.free[k]) == 0 {
		var best poolKey
		for other, list := range p.free {
			switch {
			case len(list) == 0 || other.size != k.size:
			case other.image == k.image:
				best = other
			case best.size == 0 && (other.image == nil || 2*p.n > p.limit):
				best = other
			}
		}
		if best.size == 0 {
			return nil
		}
		k = best
	}
	list := p.free[k]
	m := list[len(list)-1]
	p.free[k] = list[:len(list)-1] // the room is used again
	p.n--
	p.resident -= m.resident
	return &m
}

// keep takes over a memory that is not used any more, if there is room for it.
func (p *Pool) keep(m *Memory) bool {
	p.mu.Lock()
	if p.n >= p.limit {
		p.mu.Unlock()
		return false
	}
	p.n++
	room := poolResident - p.resident
	p.mu.Unlock()
	err := m.clean(min(maxResident, room))
	p.mu.Lock()
	defer p.mu.Unlock()
	if m.resident > poolResident-p.resident && err == nil { // others were faster
		p.mu.Unlock()
		err = m.clean(0)
		p.mu.Lock()
	}
	if err != nil {
		p.n--
		return false
	}
	p.resident += m.resident
	k := poolKey{m.size, m.committed, m.image}
	p.free[k] = append(p.free[k], *m)
	return true
}

// Drain frees what is kept.
func (p *Pool) Drain() { p.drop(func(poolKey) bool { return true }) }

// Forget frees an image, and what is kept that has it. No memory in use may have
// it.
func (p *Pool) Forget(i *Image) {
	p.drop(func(k poolKey) bool { return k.image == i })
	i.release()
}

// Close makes the pool keep nothing any more.
func (p *Pool) Close() {
	p.mu.Lock()
	p.limit = 0
	p.mu.Unlock()
	p.Drain()
}

func (p *Pool) drop(which func(poolKey) bool) {
	var dropped []Memory
	p.mu.Lock()
	for k, list := range p.free {
		if which(k) {
			dropped = append(dropped, list...)
			delete(p.free, k)
		}
	}
	for i := range dropped {
		p.n--
		p.resident -= dropped[i].resident
	}
	p.mu.Unlock()
	for i := range dropped {
		dropped[i].destroy()
	}
}
