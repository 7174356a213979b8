package tree

import (
	"io/fs"
	"os"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/davit-wasm/davit/wasi/vfs"
)

func systemStat(info fs.FileInfo, s *vfs.Stat) {
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		s.Dev, s.Ino, s.Nlink = uint64(st.Dev), st.Ino, uint64(st.Nlink)
		s.Atime, s.Ctime = time.Unix(st.Atim.Unix()), time.Unix(st.Ctim.Unix())
	}
}

func statTimes(st *unix.Stat_t) (atim, mtim unix.Timespec) { return st.Atim, st.Mtim }

// setFileTimes sets the times of an open file: utimensat without a path.
func setFileTimes(f *os.File, atime, mtime time.Time) error {
	spec := func(t time.Time) unix.Timespec {
		if t.IsZero() {
			return unix.Timespec{Nsec: unix.UTIME_OMIT}
		}
		return unix.NsecToTimespec(t.UnixNano())
	}
	ts := [2]unix.Timespec{spec(atime), spec(mtime)}
	return control(f, func(fd int) error {
		_, _, e := unix.Syscall6(unix.SYS_UTIMENSAT, uintptr(fd), 0, uintptr(unsafe.Pointer(&ts)), 0, 0, 0)
		if e != 0 {
			return e
		}
		return nil
	})
}

// allocate makes sure that the n bytes from offset on have room on the disk.
func allocate(f *os.File, offset, n int64) error {
	return control(f, func(fd int) error {
		return unix.Fallocate(fd, 0, offset, n)
	})
}
