package wasip1

import (
	"os"

	"golang.org/x/sys/windows"
)

// setFileTimes sets the times of an open file.
func setFileTimes(f *os.File, t fileTimes) error {
	var a, m *windows.Filetime
	if !t.atim.IsZero() {
		ft := windows.NsecToFiletime(t.atim.UnixNano())
		a = &ft
	}
	if !t.mtim.IsZero() {
		ft := windows.NsecToFiletime(t.mtim.UnixNano())
		m = &ft
	}
	return windows.SetFileTime(windows.Handle(f.Fd()), nil, a, m)
}
