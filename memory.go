package davit

import (
	"errors"
	"fmt"
	"io"

	"github.com/davit-wasm/davit/internal/vm"
	"github.com/davit-wasm/davit/wasm"
)

// Memory is a linear memory. It may be used between calls and in host
// functions, but not while WebAssembly code that uses it runs in another
// goroutine.
type Memory struct {
	store *Store
	vm    *vm.Memory
}

// NewMemory makes a memory of the host. A PageBits of 0 means 16: pages of
// 64 KiB.
func NewMemory(s *Store, t MemoryType) (*Memory, error) {
	if t.PageBits == 0 {
		t.PageBits = 16
	}
	m, err := s.vm.NewMemory(t)
	if err != nil {
		return nil, apiError(err)
	}
	return &Memory{s, m}, nil
}

// Store is the store that m belongs to.
func (m *Memory) Store() *Store { return m.store }

func (m *Memory) extern() vm.Extern { return vm.Extern{Kind: wasm.KindMemory, Memory: m.vm} }

// Type is the type of m, with its present size as the minimum.
func (m *Memory) Type() MemoryType { return m.vm.Type() }

// Size is the present size in bytes. Memories never shrink.
func (m *Memory) Size() uint64 { return m.vm.Length() }

// Grow adds delta pages and returns the old number of pages; ok is false if the
// memory cannot grow so far.
func (m *Memory) Grow(delta uint64) (old uint64, ok bool) { return m.vm.Grow(delta) }

// errOutOfBounds is the error of accesses that the memory is too small for.
var errOutOfBounds = errors.New("davit: out of bounds of the memory")

// View is the n bytes of the memory from offset, or false if not all of them are
// in bounds. It is the memory itself: what is written to it the guest sees, and
// the other way round. It must not be used after the store is closed.
func (m *Memory) View(offset, n uint64) ([]byte, bool) {
	b := m.vm.Bytes()
	if offset > uint64(len(b)) || n > uint64(len(b))-offset {
		return nil, false
	}
	return b[offset : offset+n : offset+n], true
}

// ReadAt copies bytes out of the memory. It implements [io.ReaderAt].
func (m *Memory) ReadAt(p []byte, offset int64) (int, error) {
	b := m.vm.Bytes()
	if offset < 0 || offset > int64(len(b)) {
		return 0, fmt.Errorf("%w: offset %d, size %d", errOutOfBounds, offset, len(b))
	}
	n := copy(p, b[offset:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// WriteAt copies p into the memory, all of it or nothing. It implements
// [io.WriterAt].
func (m *Memory) WriteAt(p []byte, offset int64) (int, error) {
	if offset < 0 {
		return 0, fmt.Errorf("%w: offset %d", errOutOfBounds, offset)
	}
	b, ok := m.View(uint64(offset), uint64(len(p)))
	if !ok {
		return 0, fmt.Errorf("%w: %d bytes at offset %d, size %d", errOutOfBounds, len(p), offset, m.Size())
	}
	return copy(b, p), nil
}
