//go:build !unix

package tree

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"strings"
	"syscall"
	"time"
)

func openFile(root *os.Root, path string, follow bool, flag int) (*os.File, error) {
	if follow || flag&os.O_EXCL != 0 {
		return root.OpenFile(path, flag, 0o666)
	}
	// What is there is compared with what gets opened: a link that takes its place
	// meanwhile is found out. It would not have led out of root.
	seen, err := root.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist) && flag&os.O_CREATE != 0:
		return root.OpenFile(path, flag|os.O_EXCL, 0o666)
	case err != nil:
		return nil, err
	case seen.Mode().Type() == fs.ModeSymlink:
		return nil, syscall.ELOOP
	}
	f, err := root.OpenFile(path, flag, 0o666)
	if err != nil {
		return nil, err
	}
	if info, err := f.Stat(); err != nil || !os.SameFile(seen, info) {
		f.Close()
		return nil, syscall.ELOOP
	}
	return f, nil
}

// setAppend: there is no such mode here, so appendTo looks for the end itself.
func setAppend(*os.File, bool) error { return nil }

func appendTo(f *os.File, b []byte) (n int, end int64, err error) {
	end, err = f.Seek(0, io.SeekEnd)
	if err != nil {
		return 0, 0, err
	}
	n, err = f.Write(b)
	return n, end + int64(n), err
}

// hasName fails for a path that ends in "." or "..", where a name is needed.
func hasName(path string) error {
	if path == "." || path == ".." || strings.HasSuffix(path, "/.") || strings.HasSuffix(path, "/..") {
		return fixedName(path)
	}
	return nil
}

func removeDirectory(root *os.Root, path string) error {
	if err := hasName(path); err != nil {
		return err
	}
	info, err := root.Lstat(path)
	if err != nil {
		return err
	}
	if !info.IsDir() {
		return syscall.ENOTDIR
	}
	return root.Remove(path)
}

func unlinkFile(root *os.Root, path string) error {
	if err := hasName(path); err != nil {
		return err
	}
	info, err := root.Lstat(path)
	if err != nil {
		return err
	}
	if info.IsDir() {
		return syscall.EISDIR
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
	if err := errors.Join(hasName(oldPath), hasName(newPath)); err != nil {
		return err
	}
	if !sameRoot(from, to) {
		return syscall.EXDEV
	}
	return from.Rename(oldPath, newPath)
}

func link(from *os.Root, oldPath string, to *os.Root, newPath string) error {
	if err := errors.Join(hasName(oldPath), hasName(newPath)); err != nil {
		return err
	}
	if !sameRoot(from, to) {
		return syscall.EXDEV
	}
	return from.Link(oldPath, newPath)
}

func setLinkTimes(*os.Root, string, time.Time, time.Time) error { return syscall.ENOTSUP }

func syncDir(*os.Root) error { return nil }
