package wasip1

import (
	"os"

	"golang.org/x/sys/windows"
)

// isTerminal reports whether f, a character device, is a console.
func isTerminal(f *os.File) bool {
	var mode uint32
	return windows.GetConsoleMode(windows.Handle(f.Fd()), &mode) == nil
}
