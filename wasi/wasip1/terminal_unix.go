//go:build unix

package wasip1

import (
	"os"

	"golang.org/x/sys/unix"
)

// isTerminal reports whether f, a character device, is a terminal.
func isTerminal(f *os.File) bool {
	conn, err := f.SyscallConn()
	if err != nil {
		return false
	}
	terminal := false
	conn.Control(func(fd uintptr) {
		_, err := unix.IoctlGetTermios(int(fd), getTermios)
		terminal = err == nil
	})
	return terminal
}
