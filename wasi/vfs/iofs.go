package vfs

import (
	"errors"
	"hash/fnv"
	"io"
	"io/fs"
	"iter"
	"os"
	"path"
	"sync"
	"syscall"
)

// FromFS is the root directory of fsys, read-only. Symbolic links are seen as
// such if fsys has them ([fs.ReadLinkFS]). Files need not be seekable: one that
// is not is read again from its start where a guest goes back.
func FromFS(fsys fs.FS) Dir { return &fsDir{fsys: fsys, path: "."} }

type fsDir struct {
	ReadOnlyDir
	fsys fs.FS
	path string
}

// fsStat are the attributes of the file at p. An fs.FS has no numbers for
// files, but its paths are names that stay.
func fsStat(p string, info fs.FileInfo) Stat {
	t := info.ModTime()
	return Stat{Mode: info.Mode(), Size: info.Size(), Ino: pathNumber(p), Nlink: 1, Atime: t, Mtime: t, Ctime: t}
}

func pathNumber(p string) uint64 {
	h := fnv.New64a()
	io.WriteString(h, p)
	return h.Sum64()
}

func (d *fsDir) join(name string) string { return path.Join(d.path, name) }

func (d *fsDir) Stat(name string) (Stat, error) {
	p := d.join(name)
	info, err := fs.Lstat(d.fsys, p)
	if err != nil {
		return Stat{}, err
	}
	return fsStat(p, info), nil
}

func (d *fsDir) Entries() iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		f, err := d.fsys.Open(d.path)
		if err != nil {
			yield(Entry{}, err)
			return
		}
		defer f.Close()
		dir, ok := f.(fs.ReadDirFile)
		if !ok {
			yield(Entry{}, syscall.ENOTSUP)
			return
		}
		for {
			list, err := dir.ReadDir(1024)
			for _, e := range list {
				if !yield(Entry{Name: e.Name(), Mode: e.Type(), Ino: pathNumber(d.join(e.Name()))}, nil) {
					return
				}
			}
			switch {
			case errors.Is(err, io.EOF), err == nil && len(list) == 0:
				return
			case err != nil:
				yield(Entry{}, err)
				return
			}
		}
	}
}

func (d *fsDir) OpenDir(name string) (Dir, error) {
	p := d.join(name)
	info, err := fs.Lstat(d.fsys, p)
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		return nil, syscall.ENOTDIR
	}
	return &fsDir{fsys: d.fsys, path: p}, nil
}

func (d *fsDir) OpenFile(name string, flag int) (File, error) {
	if flag&(os.O_CREATE|os.O_WRONLY|os.O_RDWR) != 0 {
		return nil, syscall.EROFS
	}
	p := d.join(name)
	info, err := fs.Lstat(d.fsys, p)
	if err != nil {
		return nil, err
	}
	if info.Mode().Type() == fs.ModeSymlink {
		return nil, syscall.ELOOP
	}
	f, err := d.fsys.Open(p)
	if err != nil {
		return nil, err
	}
	return &fsFile{dir: d, path: p, f: f}, nil
}

func (d *fsDir) Readlink(name string) (string, error) {
	p := d.join(name)
	info, err := fs.Lstat(d.fsys, p)
	if err != nil {
		return "", err
	}
	if info.Mode().Type() != fs.ModeSymlink {
		return "", syscall.EINVAL
	}
	return fs.ReadLink(d.fsys, p)
}

func (d *fsDir) Close() error { return nil }

type fsFile struct {
	ReadOnlyFile
	dir  *fsDir
	path string

	mu sync.Mutex
	f  fs.File
	at int64 // the offset of f, of files without ReadAt
}

func (f *fsFile) ReadAt(b []byte, offset int64) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.f == nil {
		return 0, fs.ErrClosed
	}
	if r, ok := f.f.(io.ReaderAt); ok {
		return r.ReadAt(b, offset)
	}
	if err := f.seek(offset); err != nil {
		return 0, err
	}
	n, err := io.ReadFull(f.f, b)
	f.at += int64(n)
	if err == io.ErrUnexpectedEOF {
		err = io.EOF
	}
	return n, err
}

// seek moves to offset: by reading, if there is no other way.
func (f *fsFile) seek(offset int64) error {
	if f.at == offset {
		return nil
	}
	if s, ok := f.f.(io.Seeker); ok {
		at, err := s.Seek(offset, io.SeekStart)
		if err == nil {
			f.at = at
		}
		return err
	}
	info, err := f.f.Stat()
	if err != nil {
		return err
	}
	if offset >= info.Size() {
		return io.EOF
	}
	if offset < f.at {
		again, err := f.dir.fsys.Open(f.path)
		if err != nil {
			return err
		}
		f.f.Close()
		f.f, f.at = again, 0
	}
	n, err := io.CopyN(io.Discard, f.f, offset-f.at)
	f.at += n
	return err
}

func (f *fsFile) Stat() (Stat, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.f == nil {
		return Stat{}, fs.ErrClosed
	}
	info, err := f.f.Stat()
	if err != nil {
		return Stat{}, err
	}
	return fsStat(f.path, info), nil
}

func (f *fsFile) Close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.f == nil {
		return fs.ErrClosed
	}
	err := f.f.Close()
	f.f = nil
	return err
}
