package wasip1

import (
	"io/fs"
	"os"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

func systemStat(info fs.FileInfo, s *filestat) {
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		s.dev, s.ino, s.nlink = uint64(st.Dev), st.Ino, uint64(st.Nlink)
		s.atim, s.mtim, s.ctim = max(st.Atim.Nano(), 0), max(st.Mtim.Nano(), 0), max(st.Ctim.Nano(), 0)
	}
}

func statTimes(st *unix.Stat_t) (atim, mtim unix.Timespec) { return st.Atim, st.Mtim }

func control(f *os.File, do func(fd int) error) error {
	conn, err := f.SyscallConn()
	if err != nil {
		return err
	}
	var inner error
	if err := conn.Control(func(fd uintptr) { inner = do(int(fd)) }); err != nil {
		return err
	}
	return inner
}

// setFileTimes sets the times of an open file: utimensat without a path.
func setFileTimes(f *os.File, t fileTimes) error {
	spec := func(t time.Time) unix.Timespec {
		if t.IsZero() {
			return unix.Timespec{Nsec: unix.UTIME_OMIT}
		}
		return unix.NsecToTimespec(t.UnixNano())
	}
	ts := [2]unix.Timespec{spec(t.atim), spec(t.mtim)}
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
		for {
			if err := unix.Fallocate(fd, 0, offset, n); err != unix.EINTR {
				return err
			}
		}
	})
}
