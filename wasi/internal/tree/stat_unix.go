//go:build unix && !linux

package tree

import (
	"os"
	"time"

	"golang.org/x/sys/unix"
)

func statTimes(st *unix.Stat_t) (atim, mtim unix.Timespec) { return st.Atim, st.Mtim }

// setFileTimes sets the times of an open file, as finely as the system does it
// for one.
func setFileTimes(f *os.File, atime, mtime time.Time) error {
	return control(f, func(fd int) error {
		var st unix.Stat_t
		if err := unix.Fstat(fd, &st); err != nil {
			return err
		}
		ts := newTimes(&st, atime, mtime)
		return unix.Futimes(fd, []unix.Timeval{unix.NsecToTimeval(ts[0].Nano()), unix.NsecToTimeval(ts[1].Nano())})
	})
}
