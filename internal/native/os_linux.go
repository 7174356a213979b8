package native

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Protections of mapped memory.
const (
	protNone      = unix.PROT_NONE
	protRead      = unix.PROT_READ
	protReadWrite = unix.PROT_READ | unix.PROT_WRITE
	protReadExec  = unix.PROT_READ | unix.PROT_EXEC
)

// mapAnonymous maps size bytes of zeros, without reserving room for them.
func mapAnonymous(size uintptr, prot int) (uintptr, error) {
	p, err := unix.MmapPtr(-1, 0, nil, size, prot, unix.MAP_PRIVATE|unix.MAP_ANON|unix.MAP_NORESERVE)
	if err != nil {
		return 0, mapError("reserving address space", size, err)
	}
	return uintptr(p), nil
}

// mapAligned is mapAnonymous at a multiple of align.
func mapAligned(size, align uintptr, prot int) (uintptr, error) {
	base, err := mapAnonymous(size+align, prot)
	if err != nil {
		return 0, err
	}
	start := (base + align - 1) &^ (align - 1)
	if start > base {
		unmap(base, start-base)
	}
	if end := base + size + align; end > start+size {
		unmap(start+size, end-start-size)
	}
	return start, nil
}

// mapFile maps size bytes of a file, from its start, anywhere if addr is 0, or
// else in place of what is at addr.
func mapFile(fd int, addr, size uintptr, prot int) (uintptr, error) {
	flags := unix.MAP_SHARED | unix.MAP_NORESERVE
	if addr != 0 {
		flags |= unix.MAP_FIXED
	}
	p, err := unix.MmapPtr(fd, 0, pointer(addr), size, prot, flags)
	if err != nil {
		return 0, mapError("mapping code memory", size, err)
	}
	return uintptr(p), nil
}

func unmap(addr, size uintptr) {
	if err := unix.MunmapPtr(pointer(addr), size); err != nil {
		panic(fmt.Sprintf("native: unmapping %#x bytes at %#x: %v", size, addr, err))
	}
}

func protect(addr, size uintptr, prot int) error {
	if _, _, e := unix.RawSyscall(unix.SYS_MPROTECT, addr, size, uintptr(prot)); e != 0 {
		return mapError("changing the protection of memory", size, e)
	}
	return nil
}

// discard gives memory's contents back; it reads as zeros afterwards.
func discard(addr, size uintptr) error {
	if _, _, e := unix.Syscall(unix.SYS_MADVISE, addr, size, unix.MADV_DONTNEED); e != 0 {
		return mapError("giving memory back", size, e)
	}
	return nil
}

// adviseHuge says whether the kernel should use huge pages where it can, that is,
// where all of one is usable. It reports whether it has been said. It is good advice,
// not more: kernels may be built or set up to ignore it.
func adviseHuge(addr, size uintptr, huge bool) bool {
	advice := unix.MADV_NOHUGEPAGE
	if huge {
		advice = unix.MADV_HUGEPAGE
	}
	_, _, e := unix.Syscall(unix.SYS_MADVISE, addr, size, uintptr(advice))
	return e == 0
}

// populate puts pages into memory that will be written to soon, if the kernel can
// (Linux 5.14).
func populate(addr, size uintptr) {
	if size > 0 {
		_, _, _ = unix.Syscall(unix.SYS_MADVISE, addr, size, unix.MADV_POPULATE_WRITE)
	}
}

func mapError(what string, size uintptr, err error) error {
	return fmt.Errorf("native: %s (%d bytes): %w", what, size, err)
}

// mappingLimit returns how many mappings a process may have, 0 if unknown.
func mappingLimit() int {
	text, err := os.ReadFile("/proc/sys/vm/max_map_count")
	if err != nil {
		return 0
	}
	limit, _ := strconv.Atoi(strings.TrimSpace(string(text)))
	return limit
}

// codeMemory is the address range of all code: executable at exec, writable at
// write. They are two views of one memory file; without such files they are the
// same, and pages are made executable before their first use.
type codeMemory struct {
	exec, write uintptr
	fd          int // -1 without memory files
}

// memfdCreate is changed by tests.
var memfdCreate = unix.MemfdCreate

func newCodeMemory(size uintptr) (codeMemory, error) {
	exec, err := mapAligned(size, 1<<21, protNone)
	if err != nil {
		return codeMemory{}, err
	}
	fallback := codeMemory{exec: exec, write: exec, fd: -1}
	fd, err := memfdCreate("davit-code", unix.MFD_CLOEXEC|unix.MFD_EXEC)
	if err != nil {
		// Kernels before 6.3 do not know MFD_EXEC.
		if fd, err = memfdCreate("davit-code", unix.MFD_CLOEXEC); err != nil {
			return fallback, nil
		}
	}
	if err := unix.Ftruncate(fd, int64(size)); err != nil {
		unix.Close(fd)
		return fallback, nil
	}
	write, err := mapFile(fd, 0, size, protReadWrite)
	if err != nil {
		unix.Close(fd)
		return fallback, nil
	}
	if _, err := mapFile(fd, exec, size, protReadExec); err != nil {
		// A policy may forbid it. The failed call may have removed what was there.
		unmap(write, size)
		unix.Close(fd)
		if exec, err = mapAligned(size, 1<<21, protNone); err != nil {
			return codeMemory{}, err
		}
		return codeMemory{exec: exec, write: exec, fd: -1}, nil
	}
	return codeMemory{exec: exec, write: write, fd: fd}, nil
}

// writable prepares size bytes at offset off for being filled in.
func (m *codeMemory) writable(off, size uintptr) error {
	if m.fd >= 0 {
		return nil
	}
	return protect(m.exec+off, size, protReadWrite)
}

// executable makes them executable, and not writable through that address.
func (m *codeMemory) executable(off, size uintptr) error {
	if m.fd >= 0 {
		return nil
	}
	return protect(m.exec+off, size, protReadExec)
}

// unwritable takes back what writing through the executable address needs.
func (m *codeMemory) unwritable(off, size uintptr) error {
	if m.fd < 0 {
		return nil // release does it
	}
	return protect(m.exec+off, size, protReadExec)
}

// private makes the executable view of size bytes at off one that a debugger can
// put breakpoints into: the kernel lets it write to private mappings only.
func (m *codeMemory) private(off, size uintptr) error { return m.remap(off, size, unix.MAP_PRIVATE) }

// anonymous is private with memory that belongs to no file, which a debugger can
// write to as well.
func (m *codeMemory) anonymous(off, size uintptr) error {
	if m.fd < 0 {
		return nil // it is
	}
	if err := mapZeros(m.exec+off, size, protReadWrite); err != nil {
		return err
	}
	copy(bytesAt(m.exec+off, int(size)), bytesAt(m.write+off, int(size)))
	return protect(m.exec+off, size, protReadExec)
}

// shared takes that back.
func (m *codeMemory) shared(off, size uintptr) error { return m.remap(off, size, unix.MAP_SHARED) }

func (m *codeMemory) remap(off, size uintptr, flags int) error {
	if m.fd < 0 {
		return nil
	}
	if _, err := unix.MmapPtr(m.fd, int64(off), pointer(m.exec+off), size, protReadExec, flags|unix.MAP_FIXED|unix.MAP_NORESERVE); err != nil {
		return mapError("mapping code memory", size, err)
	}
	return nil
}

// mapFile maps size bytes of a file, from offset at, in place of those at off.
// They are private, so that a debugger can put breakpoints into them.
func (m *codeMemory) mapFile(fd uintptr, at int64, off, size uintptr) error {
	if _, err := unix.MmapPtr(int(fd), at, pointer(m.exec+off), size, protReadExec, unix.MAP_PRIVATE|unix.MAP_FIXED); err != nil {
		return mapError("mapping a file's code", size, err)
	}
	return nil
}

// unmapFile takes that back.
func (m *codeMemory) unmapFile(off, size uintptr) error {
	if m.fd >= 0 {
		return m.shared(off, size)
	}
	if _, err := unix.MmapPtr(-1, 0, pointer(m.exec+off), size, protNone, unix.MAP_PRIVATE|unix.MAP_ANON|unix.MAP_FIXED|unix.MAP_NORESERVE); err != nil {
		return mapError("mapping code memory", size, err)
	}
	return nil
}

// MapFile maps the first size bytes of a file for reading. They are there until
// unmap is called. The file must not change meanwhile: reading what has been cut
// off ends the process. If all says that all of it will be read soon, that takes no
// page faults.
func MapFile(f *os.File, size int, all bool) (data []byte, unmap func(), err error) {
	data, err = unix.Mmap(int(f.Fd()), 0, size, protRead, unix.MAP_SHARED)
	if err != nil {
		return nil, nil, mapError("mapping a file", uintptr(size), err)
	}
	if all {
		_ = unix.Madvise(data, unix.MADV_POPULATE_READ) // since Linux 5.14
	}
	return data, func() { _ = unix.Munmap(data) }, nil
}

// release gives the contents back.
func (m *codeMemory) release(off, size uintptr) {
	if m.fd >= 0 {
		// Failure leaves the memory in use, to be written again later.
		_ = unix.Fallocate(m.fd, unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, int64(off), int64(size))
		return
	}
	if protect(m.exec+off, size, protNone) == nil {
		_ = discard(m.exec+off, size)
	}
}

// imageFile is a memory file that private mappings are made of. The zero
// imageFile is none yet.
type imageFile struct {
	fd   int
	made bool
}

// resize makes the file, if it is not there yet, and makes it size bytes long.
func (f *imageFile) resize(size uintptr) error {
	if !f.made {
		fd, err := memfdCreate("davit-images", unix.MFD_CLOEXEC)
		if err != nil {
			return mapError("making a memory file", size, err)
		}
		f.fd, f.made = fd, true
	}
	if err := unix.Ftruncate(f.fd, int64(size)); err != nil {
		return mapError("making a memory file longer", size, err)
	}
	return nil
}

// write lets fill write to size bytes at off, and returns them, for reading.
func (f *imageFile) write(off, size uintptr, fill func([]byte)) ([]byte, error) {
	b, err := unix.Mmap(f.fd, int64(off), int(size), protReadWrite, unix.MAP_SHARED)
	if err != nil {
		return nil, mapError("mapping a memory file", size, err)
	}
	fill(b)
	if err := unix.Mprotect(b, protRead); err != nil {
		unmapBytes(b)
		return nil, mapError("changing the protection of a memory file", size, err)
	}
	return b, nil
}

// unmapBytes ends the use of what write has returned.
func unmapBytes(b []byte) { _ = unix.Munmap(b) }

// mapPrivate maps size bytes at off in place of those at addr, readable and
// writable. What is written stays out of the file.
func (f *imageFile) mapPrivate(off, addr, size uintptr) error {
	if _, err := unix.MmapPtr(f.fd, int64(off), pointer(addr), size, protReadWrite, unix.MAP_PRIVATE|unix.MAP_FIXED|unix.MAP_NORESERVE); err != nil {
		return mapError("mapping a memory file", size, err)
	}
	return nil
}

// mapPrivateFile is mapPrivate for any file.
func mapPrivateFile(f *os.File, off int64, addr, size uintptr) error {
	return (&imageFile{fd: int(f.Fd())}).mapPrivate(uintptr(off), addr, size)
}

// punch gives the memory of size bytes at off back, which then are zero.
func (f *imageFile) punch(off, size uintptr) error {
	return unix.Fallocate(f.fd, unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, int64(off), int64(size))
}

// mapZeros maps zeros in place of what is at addr.
func mapZeros(addr, size uintptr, prot int) error {
	if _, err := unix.MmapPtr(-1, 0, pointer(addr), size, prot, unix.MAP_PRIVATE|unix.MAP_ANON|unix.MAP_FIXED|unix.MAP_NORESERVE); err != nil {
		return mapError("mapping memory", size, err)
	}
	return nil
}

// Commands of membarrier(2).
const (
	membarrierExpedited         = 1 << 3
	membarrierRegisterExpedited = 1 << 4
	membarrierSyncCore          = 1 << 5
	membarrierRegisterSyncCore  = 1 << 6
)

// registerFences tells whether fenceAll can be used, and prepares for it.
func registerFences() bool {
	_, _, e := unix.RawSyscall(unix.SYS_MEMBARRIER, membarrierRegisterExpedited, 0, 0)
	return e == 0
}

// fenceAll makes every running thread of the process execute a full memory
// fence.
func fenceAll() {
	if _, _, e := unix.RawSyscall(unix.SYS_MEMBARRIER, membarrierExpedited, 0, 0); e != 0 {
		panic("native: membarrier: " + e.Error())
	}
}

// registerSyncCores prepares for syncCores.
func registerSyncCores() {
	_, _, _ = unix.RawSyscall(unix.SYS_MEMBARRIER, membarrierRegisterSyncCore, 0, 0)
}

// syncCores makes all cores forget instructions they may have fetched from
// addresses whose contents have changed. A kernel that lacks the call still
// synchronizes cores whenever it switches threads.
func syncCores() { _, _, _ = unix.RawSyscall(unix.SYS_MEMBARRIER, membarrierSyncCore, 0, 0) }

// sigaction is the kernel's struct sigaction.
type sigaction struct {
	handler  uintptr
	flags    uint64
	restorer uintptr
	mask     uint64
}

// rtSigaction reads and sets the action of a signal without Go's runtime
// taking part.
func rtSigaction(sig int, set, old *sigaction) error {
	if _, _, e := unix.RawSyscall6(unix.SYS_RT_SIGACTION, uintptr(sig), uintptr(unsafe.Pointer(set)), uintptr(unsafe.Pointer(old)), 8, 0, 0); e != 0 {
		return fmt.Errorf("native: rt_sigaction(%d): %w", sig, e)
	}
	return nil
}
