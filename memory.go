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

// NewMemory makes a memory of the host, which is not shared, of pages of 64 KiB: a
// PageBits of 0 means 16, others are refused.
func NewMemory(s *Store, t MemoryType) (*Memory, error) { return newMemory(s, t, nil) }

// MemoryStorage holds the bytes of a memory of the host, instead of the engine.
type MemoryStorage interface {
	// Grow makes the storage size bytes long, or longer, and returns all its bytes:
	// those that it had before keep their contents, new ones are zero. They must not
	// move or be freed until the next Grow or Close; they may be in the Go heap. It
	// is called when the memory is made and when it grows. An error lets that fail.
	// It must not use the store.
	Grow(size uint64) ([]byte, error)
	// Close is called once, when the store is closed, or, by a goroutine of the
	// runtime, when a store that was forgotten is freed: the bytes are not used any
	// more.
	Close()
}

// NewMemoryWithStorage makes a memory of the host whose bytes are in storage. Only
// modules that check each access in code can import it: those compiled with
// [Config].ExplicitBounds, and for memories with 64-bit addresses or small pages
// all. Others get a [*LinkError].
func NewMemoryWithStorage(s *Store, t MemoryType, storage MemoryStorage) (*Memory, error) {
	if storage == nil {
		return nil, errors.New("davit: no storage for a memory")
	}
	return newMemory(s, t, storage)
}

func newMemory(s *Store, t MemoryType, storage vm.Storage) (*Memory, error) {
	if err := s.open(); err != nil {
		return nil, err
	}
	if t.PageBits == 0 {
		t.PageBits = 16
	}
	if t.PageBits != 16 || t.Shared || t.HasMax && t.Max < t.Min {
		return nil, fmt.Errorf("davit: no such memory: %+v", t)
	}
	m, err := s.vm.NewMemory(t, storage)
	if err != nil {
		return nil, apiError(err)
	}
	return &Memory{s, m}, nil
}

// Store is the store that m belongs to.
func (m *Memory) Store() *Store { return m.store }

func (m *Memory) in(*Store) (vm.Extern, error) {
	return vm.Extern{Kind: wasm.KindMemory, Memory: m.vm}, nil
}

// ExternType is the type of m as an [Extern].
func (m *Memory) ExternType() ExternType {
	t := m.Type()
	return ExternType{Memory: &t}
}

// Type is the type of m, with its present size as the minimum.
func (m *Memory) Type() MemoryType { return m.vm.Type() }

// Size is the present size in bytes. Memories never shrink, but when their store
// is closed: to 0.
func (m *Memory) Size() uint64 { return m.vm.Length() }

// Grow adds delta pages and returns the old number of pages; ok is false if the
// memory cannot grow so far.
func (m *Memory) Grow(delta uint64) (old uint64, ok bool) { return m.vm.Grow(delta) }

// View is the n bytes of the memory from offset, or false if not all of them are
// in bounds. It is the memory itself: what is written to it the guest sees, and
// the other way round. It stays the memory when the memory grows, unless the
// memory has a [MemoryStorage].
//
// A view must not be used after the store is closed. Who does reads zeros, and
// writes to nowhere; it is not a fault as long as no more than 1,000 further
// memories of which there were views have been closed. [Memory.ReadAt] and
// [Memory.WriteAt] copy, and are errors then. A memory of which there were views is
// used for another store only after these: host functions better use [Caller.View].
func (m *Memory) View(offset, n uint64) ([]byte, bool) {
	return m.slice(m.vm.View(), offset, n)
}

// slice is the n bytes from offset of b, the content of m.
func (m *Memory) slice(b []byte, offset, n uint64) ([]byte, bool) {
	if offset > uint64(len(b)) || n > uint64(len(b))-offset || m.store.closed {
		return nil, false
	}
	return b[offset : offset+n : offset+n], true
}

// bytes is the memory's content, or an error if there is none any more.
func (m *Memory) bytes() ([]byte, error) { return m.vm.Bytes(), m.store.open() }

// ReadAt copies bytes out of the memory. It implements [io.ReaderAt].
func (m *Memory) ReadAt(p []byte, offset int64) (int, error) {
	b, err := m.bytes()
	if err != nil {
		return 0, err
	}
	if offset < 0 || offset > int64(len(b)) {
		return 0, fmt.Errorf("%w: offset %d, size %d", ErrOutOfBounds, offset, len(b))
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
	b, err := m.bytes()
	if err != nil {
		return 0, err
	}
	if offset < 0 || offset > int64(len(b)) || int64(len(p)) > int64(len(b))-offset {
		return 0, fmt.Errorf("%w: %d bytes at offset %d, size %d", ErrOutOfBounds, len(p), offset, len(b))
	}
	return copy(b[offset:], p), nil
}

// ReadString copies n bytes at offset out of the memory, as a string; false if not
// all of them are in bounds.
func (m *Memory) ReadString(offset, n uint64) (string, bool) {
	b := m.vm.Bytes()
	if offset > uint64(len(b)) || n > uint64(len(b))-offset {
		return "", false
	}
	return string(b[offset : offset+n]), true
}
