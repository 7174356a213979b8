package tree

import (
	"os"
	"time"

	"golang.org/x/sys/windows"
)

// setFileTimes sets the times of an open file.
func setFileTimes(f *os.File, atime, mtime time.Time) error {
	var a, m *windows.Filetime
	if !atime.IsZero() {
		ft := windows.NsecToFiletime(atime.UnixNano())
		a = &ft
	}
	if !mtime.IsZero() {
		ft := windows.NsecToFiletime(mtime.UnixNano())
		m = &ft
	}
	return windows.SetFileTime(windows.Handle(f.Fd()), nil, a, m)
}
