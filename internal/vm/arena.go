package vm

import (
	"unsafe"

	"github.com/davit-wasm/davit/internal/native"
)

// arena gives out zeroed mapped memory that is given back all at once. Chunks
// are few and large, because the number of mappings of a process is limited.
type arena struct {
	chunks []*native.Memory
	next   unsafe.Pointer
	left   uint64
}

// firstChunk is the size of the first chunk; each is twice as large as the one
// before it, up to maxChunk.
const (
	firstChunk = 64 << 10
	maxChunk   = 4 << 20
)

// alloc is n bytes, aligned to 32.
func (a *arena) alloc(n uint64) (unsafe.Pointer, error) {
	n = (n + 31) &^ 31
	if n > a.left {
		size := uint64(firstChunk) << min(len(a.chunks), 6)
		size = min(size, maxChunk)
		if n > size/2 {
			// Large: a chunk of its own; the current one stays in use.
			return a.chunk(n)
		}
		p, err := a.chunk(size)
		if err != nil {
			return nil, err
		}
		a.next, a.left = p, size
	}
	p := a.next
	a.left -= n
	if a.left > 0 {
		a.next = unsafe.Add(a.next, n)
	}
	return p, nil
}

func (a *arena) chunk(size uint64) (unsafe.Pointer, error) {
	m, err := native.MapMemory(size)
	if err != nil {
		return nil, err
	}
	a.chunks = append(a.chunks, m)
	return m.Pointer(), nil
}

// free gives everything back.
func (a *arena) free() {
	for _, c := range a.chunks {
		c.Free()
	}
	*a = arena{}
}
