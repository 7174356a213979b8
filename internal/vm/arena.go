package vm

import (
	"fmt"
	"math/bits"
	"sync"
	"unsafe"

	"github.com/davit-wasm/davit/internal/native"
)

// arena gives out zeroed mapped memory that is given back all at once. Chunks
// are few and large, because the number of mappings of a process is limited.
type arena struct {
	chunks []*native.Memory
	next   unsafe.Pointer
	left   uint64
	blocks [blockClasses][]unsafe.Pointer // free ones, by the logarithm of their size
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
	if size == firstChunk {
		if m := chunks.take(); m != nil {
			a.chunks = append(a.chunks, m)
			return m.Pointer(), nil
		}
	}
	m, err := native.MapMemory(size)
	if err != nil {
		return nil, err
	}
	a.chunks = append(a.chunks, m)
	return m.Pointer(), nil
}

// Blocks are pieces of memory whose size is a power of two, and which can be
// given back one by one, to be used as blocks again.
const (
	minBlockLog2 = 6
	blockClasses = 48
)

// allocBlock is a block of at least n bytes and its size. The contents of a
// used one are zeroed up to n.
func (a *arena) allocBlock(n uint64) (p unsafe.Pointer, size uint64, err error) {
	class := max(bits.Len64(max(n, 1)-1), minBlockLog2)
	if class >= blockClasses {
		return nil, 0, fmt.Errorf("%d bytes are more than can be had", n)
	}
	size = 1 << class
	if list := a.blocks[class]; len(list) > 0 {
		p = list[len(list)-1]
		a.blocks[class] = list[:len(list)-1]
		clear(unsafe.Slice((*byte)(p), n))
		return p, size, nil
	}
	p, err = a.alloc(size)
	return p, size, err
}

// freeBlock gives a block back.
func (a *arena) freeBlock(p unsafe.Pointer, size uint64) {
	class := bits.Len64(size) - 1
	a.blocks[class] = append(a.blocks[class], p)
}

// free gives everything back.
func (a *arena) free() {
	for i, c := range a.chunks {
		used := uint64(firstChunk)
		if i == 0 && len(a.chunks) == 1 {
			used -= a.left
		}
		if c.Size() != firstChunk || !chunks.keep(c, used) {
			c.Free()
		}
	}
	*a = arena{}
}

// chunks are first chunks of arenas that were freed. Most stores need no more
// than one chunk, and most of it stays untouched.
var chunks chunkPool

// chunkPool holds zeroed chunks of size firstChunk.
type chunkPool struct {
	sync.Mutex
	list []*native.Memory
}

// keptChunks is how many chunks are kept; they hold memory.
const keptChunks = 128

func (p *chunkPool) take() *native.Memory {
	p.Lock()
	defer p.Unlock()
	n := len(p.list)
	if n == 0 {
		return nil
	}
	m := p.list[n-1]
	p.list = p.list[:n-1]
	return m
}

// keep takes m over, of which the first used bytes may be other than zero; false
// if there is no room for it.
func (p *chunkPool) keep(m *native.Memory, used uint64) bool {
	clear(m.Bytes(0, used))
	p.Lock()
	defer p.Unlock()
	if len(p.list) >= keptChunks {
		return false
	}
	p.list = append(p.list, m)
	return true
}
