//go:build unix && !linux

package wasip1

import "golang.org/x/sys/unix"

const getTermios = unix.TIOCGETA
