package tree

import (
	"io/fs"
	"iter"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/davit-wasm/davit/wasi/vfs"
)

// Walk is a directory of a vfs file system. Closing it closes dir, unless it is
// borrowed.
func Walk(dir vfs.Dir, borrowed bool) Dir { return &walkDir{dir: dir, borrowed: borrowed} }

type walkDir struct {
	dir      vfs.Dir
	borrowed bool
}

// Limits of one path: the links that it may lead through, as on Linux, and the
// directories that it may be deep.
const (
	maxLinks = 40
	maxDepth = 1024
)

// walk is the way to the directory that holds the last element of a path: the
// directories that were opened on it, so that `..` leads back the way that the
// path came, wherever those directories have been moved meanwhile.
type walk struct {
	base  vfs.Dir
	stack []vfs.Dir
}

func (w *walk) dir() vfs.Dir {
	if len(w.stack) == 0 {
		return w.base
	}
	return w.stack[len(w.stack)-1]
}

func (w *walk) up() {
	last := len(w.stack) - 1
	w.stack[last].Close()
	w.stack = w.stack[:last]
}

func (w *walk) close() {
	for len(w.stack) > 0 {
		w.up()
	}
}

// lead walks along path up to its last element, and returns that: a name, or
// "." if the path ends in a directory that has been reached already (fixed
// tells so). A link at the end is followed if follow is set, except that what a
// dangling link names need not exist. The caller must close w.
func (w *walk) lead(path string, follow bool) (name string, fixed bool, err error) {
	links := 0
	for rest := path; ; {
		var e string
		e, rest, _ = strings.Cut(rest, "/")
		rest = strings.TrimLeft(rest, "/")
		last := rest == ""
		switch e {
		case "", ".":
			if last {
				return ".", true, nil
			}
			continue
		case "..":
			if len(w.stack) == 0 {
				return "", false, syscall.EPERM
			}
			w.up()
			if last {
				return ".", true, nil
			}
			continue
		}
		if last && !follow {
			return e, false, nil
		}
		s, err := w.dir().Stat(e)
		if err != nil {
			if last {
				return e, false, nil // the caller will see, or make it
			}
			return "", false, err
		}
		if s.Mode.Type() == fs.ModeSymlink {
			if links++; links > maxLinks {
				return "", false, syscall.ELOOP
			}
			target, err := w.dir().Readlink(e)
			if err != nil {
				return "", false, err
			}
			switch {
			case strings.HasPrefix(target, "/"):
				return "", false, syscall.EPERM
			case target == "":
				return "", false, syscall.ENOENT
			}
			// A target that ends in slashes names a directory.
			if trimmed := strings.TrimRight(target, "/"); last && trimmed != target {
				rest = trimmed + "/."
			} else if last {
				rest = target
			} else {
				rest = target + "/" + rest
			}
			continue
		}
		if last {
			return e, false, nil
		}
		if len(w.stack) >= maxDepth {
			return "", false, syscall.ENAMETOOLONG
		}
		next, err := w.dir().OpenDir(e)
		if err != nil {
			return "", false, err
		}
		w.stack = append(w.stack, next)
	}
}

// find calls f with the directory that holds the last element of path, and that
// element.
func (d *walkDir) find(path string, follow bool, f func(dir vfs.Dir, name string, fixed bool) error) error {
	w := walk{base: d.dir}
	defer w.close()
	name, fixed, err := w.lead(path, follow)
	if err != nil {
		return err
	}
	return f(w.dir(), name, fixed)
}

// named is find for what needs a name, of its own or to be made: paths that end
// in "." or ".." fail.
func (d *walkDir) named(path string, f func(dir vfs.Dir, name string) error) error {
	return d.find(path, false, func(dir vfs.Dir, name string, fixed bool) error {
		if fixed {
			return fixedName(path)
		}
		return f(dir, name)
	})
}

// fixedName is the error of operations on names for a path that ends in none.
func fixedName(path string) error {
	if path == ".." || strings.HasSuffix(path, "/..") {
		return syscall.ENOTEMPTY // of every directory there is an entry: the one we came from
	}
	return syscall.EINVAL
}

func (d *walkDir) Lookup(path string, follow bool) (s vfs.Stat, err error) {
	err = d.find(path, follow, func(dir vfs.Dir, name string, _ bool) error {
		s, err = dir.Stat(name)
		return err
	})
	return s, err
}

func (d *walkDir) SetTimes(path string, follow bool, atime, mtime time.Time) error {
	return d.find(path, follow, func(dir vfs.Dir, name string, _ bool) error {
		return dir.SetTimes(name, atime, mtime)
	})
}

func (d *walkDir) Entries() iter.Seq2[vfs.Entry, error] { return d.dir.Entries() }

func (d *walkDir) OpenDir(path string) (Dir, error) {
	var opened vfs.Dir
	err := d.find(path, true, func(dir vfs.Dir, name string, _ bool) (err error) {
		opened, err = dir.OpenDir(name)
		return err
	})
	if err != nil {
		return nil, err
	}
	return Walk(opened, false), nil
}

func (d *walkDir) OpenFile(path string, follow bool, flag int) (f vfs.File, err error) {
	if flag&os.O_CREATE != 0 && flag&os.O_EXCL != 0 {
		follow = false
	}
	err = d.find(path, follow, func(dir vfs.Dir, name string, fixed bool) error {
		if fixed {
			return syscall.EISDIR
		}
		f, err = dir.OpenFile(name, flag)
		return err
	})
	return f, err
}

func (d *walkDir) Mkdir(path string) error {
	return d.find(path, false, func(dir vfs.Dir, name string, fixed bool) error {
		if fixed {
			return syscall.EEXIST
		}
		return dir.Mkdir(name)
	})
}

func (d *walkDir) Symlink(target, path string) error {
	return d.find(path, false, func(dir vfs.Dir, name string, fixed bool) error {
		if fixed {
			return syscall.EEXIST
		}
		return dir.Symlink(target, name)
	})
}

func (d *walkDir) Readlink(path string) (target string, err error) {
	err = d.find(path, false, func(dir vfs.Dir, name string, fixed bool) error {
		if fixed {
			return syscall.EINVAL
		}
		target, err = dir.Readlink(name)
		return err
	})
	return target, err
}

// pair calls f with both places of an operation on two paths.
func (d *walkDir) pair(path string, to Dir, newPath string, f func(dir vfs.Dir, name string, to vfs.Dir, newName string) error) error {
	t, ok := to.(*walkDir)
	if !ok {
		return syscall.EXDEV
	}
	return d.named(path, func(dir vfs.Dir, name string) error {
		return t.named(newPath, func(newDir vfs.Dir, newName string) error {
			return f(dir, name, newDir, newName)
		})
	})
}

func (d *walkDir) Link(path string, to Dir, newPath string) error {
	return d.pair(path, to, newPath, vfs.Dir.Link)
}

func (d *walkDir) Rename(path string, to Dir, newPath string) error {
	return d.pair(path, to, newPath, vfs.Dir.Rename)
}

func (d *walkDir) Unlink(path string) error { return d.named(path, vfs.Dir.Unlink) }
func (d *walkDir) Rmdir(path string) error  { return d.named(path, vfs.Dir.Rmdir) }
func (d *walkDir) Sync() error              { return nil }

func (d *walkDir) Close() error {
	if d.borrowed {
		return nil
	}
	return d.dir.Close()
}
