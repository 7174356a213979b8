//go:build unix && !linux

package wasip1

import (
	"os"

	"golang.org/x/sys/unix"
)

func statTimes(st *unix.Stat_t) (atim, mtim unix.Timespec) { return st.Atim, st.Mtim }

// setFileTimes sets the times of an open file, as finely as the system does it
// for one.
func setFileTimes(f *os.File, t fileTimes) error {
	conn, err := f.SyscallConn()
	if err != nil {
		return err
	}
	var inner error
	err = conn.Control(func(fd uintptr) {
		var st unix.Stat_t
		if inner = unix.Fstat(int(fd), &st); inner != nil {
			return
		}
		a, m := statTimes(&st)
		if !t.atim.IsZero() {
			a = unix.NsecToTimespec(t.atim.UnixNano())
		}
		if !t.mtim.IsZero() {
			m = unix.NsecToTimespec(t.mtim.UnixNano())
		}
		inner = unix.Futimes(int(fd), []unix.Timeval{unix.NsecToTimeval(a.Nano()), unix.NsecToTimeval(m.Nano())})
	})
	if err != nil {
		return err
	}
	return inner
}
