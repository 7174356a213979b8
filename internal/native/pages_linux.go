package native

import (
	"sync"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// pageRun is a run of pages, in the form in which the kernel tells of them.
type pageRun struct {
	from, to uintptr
	_        uint64 // what kind of pages they are
}

// pagemap is the file that tells about the pages of this process, or -1.
var pagemap = sync.OnceValue(func() int {
	fd, err := unix.Open("/proc/self/pagemap", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil || unix.Getpagesize() != pageSize {
		return -1
	}
	return fd
})

// cannotScan is set when the kernel turns out not to know scanPages' request.
var cannotScan atomic.Bool

// touchedPages finds pages between two addresses, in private memory, that may have been
// written to: the first ones, up to most bytes of them and as many runs as there is
// room for. It has looked at everything before next. ok is false if the kernel does
// not tell.
func touchedPages(from, to, most uintptr, runs []pageRun) (n int, next uintptr, ok bool) {
	fd := pagemap()
	if fd < 0 {
		return 0, 0, false
	}
	if !cannotScan.Load() {
		if n, next, ok = scanPages(fd, from, to, most, runs); ok {
			return n, next, true
		}
		cannotScan.Store(true)
	}
	return readPages(fd, from, to, most, runs)
}

// scanPages is touchedPages by the request that is made for it (Linux 6.7). Where nothing
// has been touched, it takes no time.
func scanPages(fd int, from, to, most uintptr, runs []pageRun) (n int, next uintptr, ok bool) {
	const (
		request = 0xc0606610 // PAGEMAP_SCAN

		// Categories of pages.
		ofFile  = 1 << 2 // or of shared memory
		present = 1 << 3
		swapped = 1 << 4
		zero    = 1 << 5 // the page of zeros that all share
	)
	arg := struct {
		size, flags                uint64
		start, end, walkEnd        uint64
		runs                       *pageRun
		runsLen, maxPages          uint64
		inverted, all, any, report uint64
	}{
		start: uint64(from), end: uint64(to), runs: &runs[0], runsLen: uint64(len(runs)), maxPages: uint64(most / pageSize),
		inverted: ofFile | zero, all: ofFile | zero, any: present | swapped, report: present,
	}
	arg.size = uint64(unsafe.Sizeof(arg))
	got, _, e := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), request, uintptr(unsafe.Pointer(&arg)))
	if next = uintptr(arg.walkEnd); e != 0 || next <= from || next > to {
		return 0, 0, false
	}
	return int(got), next, true
}

// maxRead is for how much memory reading about each page is cheaper than giving all back.
const maxRead = 16 << 20

// readPages is touchedPages for older kernels. Pages that have been read only count, too.
func readPages(fd int, from, to, most uintptr, runs []pageRun) (n int, next uintptr, ok bool) {
	const (
		present = 1 << 63
		swapped = 1 << 62
		ofFile  = 1 << 61 // or of shared memory
	)
	if to-from > maxRead {
		return 0, 0, false
	}
	var entries [256]uint64
	for next = from; next < to; {
		chunk := entries[:min(uintptr(len(entries)), (to-next)/pageSize)]
		b := unsafe.Slice((*byte)(unsafe.Pointer(&chunk[0])), 8*len(chunk))
		got, err := unix.Pread(fd, b, int64(next/pageSize)*8)
		if err != nil || got != len(b) {
			return 0, 0, false
		}
		for _, e := range chunk {
			if e&(present|swapped) != 0 && e&ofFile == 0 {
				switch {
				case most < pageSize:
					return n, next, true
				case n > 0 && runs[n-1].to == next:
					runs[n-1].to += pageSize
				case n == len(runs):
					return n, next, true
				default:
					runs[n] = pageRun{from: next, to: next + pageSize}
					n++
				}
				most -= pageSize
			}
			next += pageSize
		}
	}
	return n, next, true
}
