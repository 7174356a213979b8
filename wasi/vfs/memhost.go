package vfs

import (
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"
	"syscall"
	"time"
)

// What Go code does with a file system in memory: put files in before a guest
// runs, look at them afterwards. Paths are those of package io/fs.

// WriteFile makes or replaces a file, and the directories above it that are
// missing.
func (m *Mem) WriteFile(name string, data []byte) error {
	fail := func(err error) error { return &fs.PathError{Op: "write", Path: name, Err: err} }
	if !fs.ValidPath(name) || name == "." {
		return fail(fs.ErrInvalid)
	}
	dir, base := path.Split(name)
	if err := m.MkdirAll(path.Clean(dir)); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	parent, err := m.resolve(path.Clean(dir), true)
	if err != nil {
		return fail(err)
	}
	d := &memDir{m, parent}
	n, err := m.resolve(name, true)
	if err == syscall.ENOENT {
		n, err = d.add(base, 0, "")
	}
	switch {
	case err != nil:
		return fail(err)
	case n.mode == fs.ModeDir:
		return fail(syscall.EISDIR)
	}
	f := &memFile{memHandle{m: m, n: n}}
	if err := f.resize(int64(len(data))); err != nil {
		return fail(err)
	}
	copy(n.data, data)
	m.touch(n)
	return nil
}

// MkdirAll makes a directory, and those above it, where they are missing.
func (m *Mem) MkdirAll(name string) error {
	fail := func(err error) error { return &fs.PathError{Op: "mkdir", Path: name, Err: err} }
	if !fs.ValidPath(name) {
		return fail(fs.ErrInvalid)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for i := 0; i < len(name); i++ {
		end := len(name)
		if k := strings.IndexByte(name[i:], '/'); k >= 0 {
			end = i + k
		}
		parent, err := m.resolve(path.Dir(name[:end]), true)
		if err != nil {
			return fail(err)
		}
		n, err := m.resolve(name[:end], true)
		if err == syscall.ENOENT {
			n, err = (&memDir{m, parent}).add(name[i:end], fs.ModeDir, "")
		}
		switch {
		case err != nil:
			return fail(err)
		case n.mode != fs.ModeDir:
			return fail(syscall.ENOTDIR)
		}
		i = end
	}
	return nil
}

// maxLinks is the number of symbolic links that one path may lead through.
const maxLinks = 40

// resolve finds a node by its path; a link at its end is followed if follow is
// set. The caller holds m.mu.
func (m *Mem) resolve(name string, follow bool) (*memNode, error) {
	n := m.root
	links := 0
	for rest := name; rest != ""; {
		var e string
		e, rest, _ = strings.Cut(rest, "/")
		if n.mode != fs.ModeDir {
			return nil, syscall.ENOTDIR
		}
		switch e {
		case "", ".":
			continue
		case "..":
			if n == m.root {
				return nil, syscall.EPERM
			}
			if n = n.parent; n == nil {
				return nil, syscall.ENOENT
			}
			continue
		}
		next := n.entries[e]
		if next == nil {
			return nil, syscall.ENOENT
		}
		if next.mode != fs.ModeSymlink || rest == "" && !follow {
			n = next
			continue
		}
		if links++; links > maxLinks {
			return nil, syscall.ELOOP
		}
		target := string(next.data)
		if strings.HasPrefix(target, "/") {
			return nil, syscall.EPERM
		}
		rest = strings.TrimSuffix(target+"/"+rest, "/")
	}
	return n, nil
}

func (m *Mem) at(op, name string, follow bool) (*memNode, error) {
	if !fs.ValidPath(name) {
		return nil, &fs.PathError{Op: op, Path: name, Err: fs.ErrInvalid}
	}
	n, err := m.resolve(name, follow)
	if err != nil {
		return nil, &fs.PathError{Op: op, Path: name, Err: err}
	}
	return n, nil
}

// Open opens a file or directory for reading: a Mem is an [fs.FS].
func (m *Mem) Open(name string) (fs.File, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	n, err := m.at("open", name, true)
	if err != nil {
		return nil, err
	}
	f := &openNode{memHandle: memHandle{m: m, n: n}, name: path.Base(name)}
	for name, e := range n.entries {
		f.list = append(f.list, fs.FileInfoToDirEntry(&memInfo{name, e.stat()}))
	}
	slices.SortFunc(f.list, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	n.opens++
	return f, nil
}

// ReadFile is the content of a file.
func (m *Mem) ReadFile(name string) ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	n, err := m.at("read", name, true)
	if err != nil {
		return nil, err
	}
	if n.mode == fs.ModeDir {
		return nil, &fs.PathError{Op: "read", Path: name, Err: syscall.EISDIR}
	}
	return slices.Clone(n.data), nil
}

// Lstat are the attributes of a file, or of a symbolic link itself.
func (m *Mem) Lstat(name string) (fs.FileInfo, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	n, err := m.at("lstat", name, false)
	if err != nil {
		return nil, err
	}
	return &memInfo{path.Base(name), n.stat()}, nil
}

// ReadLink is what a symbolic link holds.
func (m *Mem) ReadLink(name string) (string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	n, err := m.at("readlink", name, false)
	if err != nil {
		return "", err
	}
	if n.mode != fs.ModeSymlink {
		return "", &fs.PathError{Op: "readlink", Path: name, Err: syscall.EINVAL}
	}
	return string(n.data), nil
}

// memInfo is a Stat with a name, as package io/fs has it.
type memInfo struct {
	name string
	stat Stat
}

func (i *memInfo) Name() string { return i.name }
func (i *memInfo) Size() int64  { return i.stat.Size }
func (i *memInfo) Mode() fs.FileMode {
	if i.stat.Mode == fs.ModeDir {
		return fs.ModeDir | 0o755
	}
	return i.stat.Mode | 0o644
}
func (i *memInfo) ModTime() time.Time { return i.stat.Mtime }
func (i *memInfo) IsDir() bool        { return i.stat.Mode == fs.ModeDir }
func (i *memInfo) Sys() any           { return i.stat }

// openNode is a file or directory that Open has opened.
type openNode struct {
	memHandle
	name string
	at   int64
	list []fs.DirEntry // what is left of a directory
}

func (f *openNode) Stat() (fs.FileInfo, error) {
	f.m.mu.Lock()
	defer f.m.mu.Unlock()
	return &memInfo{f.name, f.n.stat()}, nil
}

func (f *openNode) Read(b []byte) (int, error) {
	if f.n.mode == fs.ModeDir {
		return 0, &fs.PathError{Op: "read", Path: f.name, Err: syscall.EISDIR}
	}
	n, err := f.ReadAt(b, f.at)
	f.at += int64(n)
	if n > 0 || len(b) == 0 {
		err = nil
	}
	return n, err
}

func (f *openNode) ReadAt(b []byte, offset int64) (int, error) {
	return (&memFile{memHandle{m: f.m, n: f.n}}).ReadAt(b, offset)
}

func (f *openNode) ReadDir(n int) ([]fs.DirEntry, error) {
	if f.n.mode != fs.ModeDir {
		return nil, &fs.PathError{Op: "readdir", Path: f.name, Err: syscall.ENOTDIR}
	}
	if n > 0 && len(f.list) == 0 {
		return nil, io.EOF
	}
	if n <= 0 || n > len(f.list) {
		n = len(f.list)
	}
	list := f.list[:n]
	f.list = f.list[n:]
	return list, nil
}
