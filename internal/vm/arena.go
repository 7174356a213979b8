package vm

import (
	"fmt"
	"math/bits"
	"sync"
	"unsafe"

	"github.com/davit-wasm/davit/internal/native"
)

// arena gives out zeroed mapped memory that is given back all at once. Its first
// chunk, which is all that most stores need, is from a pool; further ones are few
// and large, because the number of mappings of a process is limited, and are kept
// for others too.
type arena struct {
	first  chunk   // from the pool, when it is needed
	chunks []piece // the others
	next   unsafe.Pointer
	left   uint64             // of what is at next
	only   bool               // which is in the first chunk
	blocks [][]unsafe.Pointer // free ones, by the logarithm of their size
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
		size := min(uint64(firstChunk)<<min(len(a.chunks)+1, 6), maxChunk)
		if a.first.slab == nil {
			size = firstChunk
		}
		switch {
		case n > size/2:
			// Large: a chunk of its own; the current one stays in use.
			return a.chunk(n)
		case a.first.slab == nil:
			c, err := chunks.take()
			if err != nil {
				return nil, err
			}
			a.first, a.next, a.left, a.only = c, unsafe.Add(c.slab.Pointer(), c.at), size, true
		default:
			p, err := a.chunk(size)
			if err != nil {
				return nil, err
			}
			a.next, a.left, a.only = p, size, false
		}
	}
	p := a.next
	a.left -= n
	if a.left > 0 {
		a.next = unsafe.Add(a.next, n)
	}
	return p, nil
}

func (a *arena) chunk(size uint64) (unsafe.Pointer, error) {
	m, err := pieces.take(size)
	if err != nil {
		return nil, err
	}
	a.chunks = append(a.chunks, piece{m, size})
	return m.Pointer(), nil
}

// Blocks are pieces of memory whose size is a power of two, and which can be
// given back one by one, to be used as blocks again.
const (
	minBlockLog2 = 6
	blockClasses = 48
)

// allocBlock is a block of at least n bytes and its size. It is zero unless it has been
// used before.
func (a *arena) allocBlock(n uint64) (p unsafe.Pointer, size uint64, used bool, err error) {
	class := max(bits.Len64(max(n, 1)-1), minBlockLog2)
	if class >= blockClasses {
		return nil, 0, false, fmt.Errorf("%d bytes are more than can be had", n)
	}
	size = 1 << class
	if a.blocks != nil && len(a.blocks[class]) > 0 {
		list := a.blocks[class]
		p = list[len(list)-1]
		a.blocks[class] = list[:len(list)-1]
		return p, size, true, nil
	}
	p, err = a.alloc(size)
	return p, size, false, err
}

// freeBlock gives a block back.
func (a *arena) freeBlock(p unsafe.Pointer, size uint64) {
	class := bits.Len64(size) - 1
	if a.blocks == nil {
		a.blocks = make([][]unsafe.Pointer, blockClasses)
	}
	a.blocks[class] = append(a.blocks[class], p)
}

// free gives everything back.
func (a *arena) free() {
	if a.first.slab != nil {
		used := uint64(firstChunk)
		if a.only {
			used -= a.left
		}
		chunks.give(a.first, used)
	}
	for _, c := range a.chunks {
		pieces.give(c)
	}
	*a = arena{}
}

// piece is a further chunk of an arena. What is behind the first used bytes is zero.
type piece struct {
	*native.Memory
	used uint64
}

// pieces are those of arenas that were freed.
var pieces piecePool

// piecePool keeps zeroed pieces, by the logarithm of their size. Their pages stay in
// memory; of large ones only those that were touched, if they are not many: the
// context of an instance with many thousand functions is used here and there.
type piecePool struct {
	sync.Mutex
	free     [maxPieceLog2 + 1][]piece // used is what stays in memory
	resident uint64
}

const (
	minPieceLog2 = 16
	maxPieceLog2 = 22
	// smallPiece is up to which size a piece is zeroed as far as it was used.
	smallPiece = 256 << 10
	// piecesResident is how much of what waits may stay in memory.
	piecesResident = 64 << 20
	// piecesKept is how many of each size may wait.
	piecesKept = 256
)

// take is a piece of at least size bytes.
func (p *piecePool) take(size uint64) (*native.Memory, error) {
	class := max(bits.Len64(max(size, 1)-1), minPieceLog2)
	if class > maxPieceLog2 {
		return native.MapMemory(size)
	}
	p.Lock()
	if list := p.free[class]; len(list) > 0 {
		x := list[len(list)-1]
		p.free[class] = list[:len(list)-1]
		p.resident -= x.used
		p.Unlock()
		return x.Memory, nil
	}
	p.Unlock()
	return native.MapMemory(1 << class)
}

func (p *piecePool) give(x piece) {
	class := bits.Len64(x.Size()) - 1
	ok := class <= maxPieceLog2
	switch {
	case !ok:
	case x.used <= smallPiece:
		clear(x.Bytes(0, x.used))
	default:
		ok = x.Clean() == nil
		x.used = x.Resident()
	}
	p.Lock()
	ok = ok && len(p.free[class]) < piecesKept && p.resident+x.used <= piecesResident
	if ok {
		p.free[class] = append(p.free[class], x)
		p.resident += x.used
	}
	p.Unlock()
	if !ok {
		x.Free()
	}
}

// chunks are the first chunks of arenas that were freed.
var chunks chunkPool

// chunkPool holds zeroed chunks of size firstChunk, cut from slabs that are never
// given back: their addresses stay good, and they take few mappings. Up to
// hotChunks of those that wait stay in memory, as far as they were used; the
// memory of others is given back.
type chunkPool struct {
	sync.Mutex
	hot, cold []chunk
	slab      *native.Memory
	left      uint64 // of the slab, at its end
}

// chunk is a chunk and the slab that it is in.
type chunk struct {
	slab *native.Memory
	at   uint64
}

const (
	slabSize  = 64 * firstChunk
	hotChunks = 1000
)

func (p *chunkPool) take() (chunk, error) {
	p.Lock()
	defer p.Unlock()
	for _, list := range [...]*[]chunk{&p.hot, &p.cold} {
		if n := len(*list); n > 0 {
			c := (*list)[n-1]
			*list = (*list)[:n-1]
			return c, nil
		}
	}
	if p.left == 0 {
		slab, err := native.MapMemory(slabSize)
		if err != nil {
			return chunk{}, err
		}
		p.slab, p.left = slab, slabSize
	}
	p.left -= firstChunk
	return chunk{p.slab, p.left}, nil
}

// give takes a chunk back, of which the first used bytes may be other than zero.
func (p *chunkPool) give(c chunk, used uint64) {
	p.Lock()
	hot := len(p.hot) < hotChunks
	p.Unlock()
	if !hot {
		hot = c.slab.Zero(c.at, c.at+used) != nil
	}
	if hot {
		clear(c.slab.Bytes(c.at, used))
	}
	p.Lock()
	defer p.Unlock()
	list := &p.cold
	if hot {
		list = &p.hot
	}
	*list = append(*list, c)
}
