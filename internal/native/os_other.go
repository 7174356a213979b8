//go:build !linux

package native

import (
	"fmt"
	"os"
)

// Nothing here is reached: Supported fails first.

const (
	protNone = iota
	protRead
	protReadWrite
	protReadExec
)

func unsupported() error { return fmt.Errorf("native: %w", ErrUnsupported) }

func mapAnonymous(size uintptr, prot int) (uintptr, error) { return 0, unsupported() }

func mapAligned(size, align uintptr, prot int) (uintptr, error) { return 0, unsupported() }

func unmap(addr, size uintptr) {}

func protect(addr, size uintptr, prot int) error { return unsupported() }

func discard(addr, size uintptr) error { return unsupported() }

func populate(addr, size uintptr) {}

func adviseHuge(addr, size uintptr, huge bool) bool { return false }

type codeMemory struct{ exec, write uintptr }

func newCodeMemory(size uintptr) (codeMemory, error) { return codeMemory{}, unsupported() }

func (m *codeMemory) writable(off, size uintptr) error   { return unsupported() }
func (m *codeMemory) executable(off, size uintptr) error { return unsupported() }
func (m *codeMemory) unwritable(off, size uintptr) error { return unsupported() }
func (m *codeMemory) private(off, size uintptr) error    { return unsupported() }
func (m *codeMemory) anonymous(off, size uintptr) error  { return unsupported() }
func (m *codeMemory) shared(off, size uintptr) error     { return unsupported() }
func (m *codeMemory) mapFile(fd uintptr, at int64, off, size uintptr) error {
	return unsupported()
}
func (m *codeMemory) unmapFile(off, size uintptr) error { return unsupported() }
func (m *codeMemory) release(off, size uintptr)         {}

type imageFile struct{}

func (f *imageFile) resize(size uintptr) error { return unsupported() }
func (f *imageFile) write(off, size uintptr, fill func([]byte)) ([]byte, error) {
	return nil, unsupported()
}
func (f *imageFile) mapPrivate(off, addr, size uintptr) error        { return unsupported() }
func mapPrivateFile(f *os.File, off int64, addr, size uintptr) error { return unsupported() }
func (f *imageFile) punch(off, size uintptr) error                   { return unsupported() }

func unmapBytes([]byte) {}

type pageRun struct{ from, to uintptr }

func touchedPages(from, to, most uintptr, runs []pageRun) (n int, next uintptr, ok bool) {
	return 0, 0, false
}

func mapZeros(addr, size uintptr, prot int) error { return unsupported() }

func registerSyncCores() {}

func syncCores() {}

func mappingLimit() int { return 0 }

func registerFences() bool { return false }

func fenceAll() {}

// MapFile maps a file, where that is supported.
func MapFile(f *os.File, size int, all bool) (data []byte, unmap func(), err error) {
	return nil, nil, unsupported()
}
