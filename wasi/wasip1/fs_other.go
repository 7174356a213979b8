//go:build !unix

package wasip1

import (
	"os"
)

const openNonblock = 0

func removeDirectory(root *os.Root, path string) error {
	info, err := root.Lstat(path)
	if err != nil {
		return err
	}
	if !info.IsDir() {
		return ErrnoNotDir
	}
	return root.Remove(path)
}

func unlinkFile(root *os.Root, path string) error {
	info, err := root.Lstat(path)
	if err != nil {
		return err
	}
	if info.IsDir() {
		return ErrnoIsDir
	}
	return root.Remove(path)
}

// sameRoot reports whether two roots are the same directory. Paths in
// different ones cannot be renamed or linked here.
func sameRoot(a, b *os.Root) bool {
	if a == b {
		return true
	}
	x, err := a.Stat(".")
	if err != nil {
		return false
	}
	y, err := b.Stat(".")
	return err == nil && os.SameFile(x, y)
}

func rename(from *os.Root, oldPath string, to *os.Root, newPath string) error {
	if !sameRoot(from, to) {
		return ErrnoXDev
	}
	return from.Rename(oldPath, newPath)
}

func link(from *os.Root, oldPath string, to *os.Root, newPath string) error {
	if !sameRoot(from, to) {
		return ErrnoXDev
	}
	return from.Link(oldPath, newPath)
}

func setLinkTimes(*os.Root, string, fileTimes) error { return ErrnoNotSup }

func syncDir(*os.Root) error { return nil }
