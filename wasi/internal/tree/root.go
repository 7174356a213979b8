package tree

import (
	"io"
	"io/fs"
	"iter"
	"os"
	"syscall"
	"time"

	"github.com/davit-wasm/davit/wasi/vfs"
)

// Root is a directory of the host. Closing it closes root, unless it is
// borrowed.
func Root(root *os.Root, borrowed bool) Dir { return &rootDir{root: root, borrowed: borrowed} }

type rootDir struct {
	root     *os.Root
	borrowed bool
}

// statOf are the attributes in info; a time that the system does not tell is
// that of the last modification.
func statOf(info fs.FileInfo) vfs.Stat {
	t := info.ModTime()
	s := vfs.Stat{Mode: info.Mode(), Size: info.Size(), Nlink: 1, Atime: t, Mtime: t, Ctime: t}
	systemStat(info, &s)
	return s
}

func (d *rootDir) info(path string, follow bool) (fs.FileInfo, error) {
	if follow {
		return d.root.Stat(path)
	}
	return d.root.Lstat(path)
}

func (d *rootDir) Lookup(path string, follow bool) (vfs.Stat, error) {
	info, err := d.info(path, follow)
	if err != nil {
		return vfs.Stat{}, err
	}
	return statOf(info), nil
}

func (d *rootDir) SetTimes(path string, follow bool, atime, mtime time.Time) error {
	if !follow {
		info, err := d.root.Lstat(path)
		if err != nil {
			return err
		}
		if info.Mode().Type() == fs.ModeSymlink {
			return setLinkTimes(d.root, path, atime, mtime)
		}
	}
	return d.root.Chtimes(path, atime, mtime)
}

func (d *rootDir) Entries() iter.Seq2[vfs.Entry, error] {
	return func(yield func(vfs.Entry, error) bool) {
		f, err := d.root.Open(".")
		if err != nil {
			yield(vfs.Entry{}, err)
			return
		}
		defer f.Close()
		for {
			list, err := f.ReadDir(1024)
			for _, e := range list {
				entry := vfs.Entry{Name: e.Name(), Mode: e.Type()}
				// An entry that has vanished since it was listed has no number.
				if info, err := e.Info(); err == nil {
					entry.Ino = statOf(info).Ino
				}
				if !yield(entry, nil) {
					return
				}
			}
			if err == io.EOF {
				return
			}
			if err != nil {
				yield(vfs.Entry{}, err)
				return
			}
		}
	}
}

func (d *rootDir) OpenDir(path string) (Dir, error) {
	root, err := d.root.OpenRoot(path)
	if err != nil {
		return nil, err
	}
	return Root(root, false), nil
}

func (d *rootDir) OpenFile(path string, follow bool, flag int) (vfs.File, error) {
	f, err := openFile(d.root, path, follow, flag)
	if err != nil {
		return nil, err
	}
	return newHostFile(f)
}

func (d *rootDir) Mkdir(path string) error              { return d.root.Mkdir(path, 0o777) }
func (d *rootDir) Symlink(target, path string) error    { return d.root.Symlink(target, path) }
func (d *rootDir) Readlink(path string) (string, error) { return d.root.Readlink(path) }
func (d *rootDir) Unlink(path string) error             { return unlinkFile(d.root, path) }
func (d *rootDir) Rmdir(path string) error              { return removeDirectory(d.root, path) }
func (d *rootDir) Sync() error                          { return syncDir(d.root) }

func (d *rootDir) Link(path string, to Dir, newPath string) error {
	t, ok := to.(*rootDir)
	if !ok {
		return syscall.EXDEV
	}
	return link(d.root, path, t.root, newPath)
}

func (d *rootDir) Rename(path string, to Dir, newPath string) error {
	t, ok := to.(*rootDir)
	if !ok {
		return syscall.EXDEV
	}
	return rename(d.root, path, t.root, newPath)
}

func (d *rootDir) Close() error {
	if d.borrowed {
		return nil
	}
	return d.root.Close()
}
