package vfs

import (
	"io"
	"io/fs"
	"iter"
	"os"
	"sync"
	"syscall"
	"time"
)

// MemOptions limit a file system in memory. Where a limit is met, guests see
// ENOSPC.
type MemOptions struct {
	// MaxBytes limits the contents of all files and links together; 0 means
	// 256 MiB.
	MaxBytes int64
	// MaxFiles limits the number of files, directories and links; 0 means 100,000.
	MaxFiles int
	// Now is the clock for the files' times; nil means the system's.
	Now func() time.Time
}

// Mem is a file system in memory. All its methods, and those of its
// directories and files, may be called from several goroutines at a time.
type Mem struct {
	maxBytes int64
	maxFiles int
	now      func() time.Time
	root     *memNode

	mu      sync.Mutex // guards all that follows, and all nodes
	bytes   int64
	files   int
	lastIno uint64
}

// memNode is a file, directory or symbolic link.
type memNode struct {
	mode                fs.FileMode // the type
	ino, nlink          uint64
	atime, mtime, ctime time.Time
	data                []byte              // of a file: its content; of a link: its target
	entries             map[string]*memNode // of a directory
	parent              *memNode            // of a directory that has a name
	opens               int                 // of a file: open values that keep its content
}

// maxName is the length of the longest name.
const maxName = 255

// NewMem makes an empty file system.
func NewMem(o *MemOptions) *Mem {
	m := &Mem{maxBytes: 256 << 20, maxFiles: 100_000, now: time.Now}
	if o != nil {
		if o.MaxBytes > 0 {
			m.maxBytes = o.MaxBytes
		}
		if o.MaxFiles > 0 {
			m.maxFiles = o.MaxFiles
		}
		if o.Now != nil {
			m.now = o.Now
		}
	}
	m.root = m.newNode(fs.ModeDir)
	m.root.parent, m.root.nlink = m.root, 2
	return m
}

// Root is the root directory.
func (m *Mem) Root() Dir { return &memDir{m, m.root} }

// newNode makes a node without a name.
func (m *Mem) newNode(mode fs.FileMode) *memNode {
	m.lastIno++
	m.files++
	t := m.now()
	n := &memNode{mode: mode, ino: m.lastIno, atime: t, mtime: t, ctime: t}
	if mode == fs.ModeDir {
		n.entries = map[string]*memNode{}
	}
	return n
}

// release lets go of a node that has no name and no user any more.
func (m *Mem) release(n *memNode) {
	if n.nlink == 0 && n.opens == 0 {
		m.bytes -= int64(len(n.data))
		m.files--
		n.data = nil
	}
}

func (m *Mem) touch(n *memNode) { n.mtime = m.now(); n.ctime = n.mtime }

func (n *memNode) stat() Stat {
	s := Stat{Mode: n.mode, Size: int64(len(n.data)), Ino: n.ino, Nlink: n.nlink, Atime: n.atime, Mtime: n.mtime, Ctime: n.ctime}
	return s
}

func (m *Mem) setTimes(n *memNode, atime, mtime time.Time) {
	if !atime.IsZero() {
		n.atime = atime
	}
	if !mtime.IsZero() {
		n.mtime = mtime
	}
	n.ctime = m.now()
}

type memDir struct {
	m *Mem
	n *memNode
}

// find finds an entry, or the directory itself. The caller holds m.mu.
func (d *memDir) find(name string) (*memNode, error) {
	if name == "." {
		return d.n, nil
	}
	n := d.n.entries[name]
	switch {
	case n != nil:
		return n, nil
	case len(name) > maxName:
		return nil, syscall.ENAMETOOLONG
	}
	return nil, syscall.ENOENT
}

// add makes a node under a name that must be free. The caller holds m.mu.
func (d *memDir) add(name string, mode fs.FileMode, data string) (*memNode, error) {
	switch {
	case d.n.entries[name] != nil:
		return nil, syscall.EEXIST
	case len(name) > maxName:
		return nil, syscall.ENAMETOOLONG
	case d.n.nlink == 0:
		return nil, syscall.ENOENT // the directory has been removed
	case d.m.files >= d.m.maxFiles || int64(len(data)) > d.m.maxBytes-d.m.bytes:
		return nil, syscall.ENOSPC
	}
	n := d.m.newNode(mode)
	n.data = []byte(data)
	d.m.bytes += int64(len(data))
	d.attach(name, n)
	return n, nil
}

// attach gives n a name, and detach takes it away. The callers hold m.mu.
func (d *memDir) attach(name string, n *memNode) {
	d.n.entries[name] = n
	n.nlink++
	if n.mode == fs.ModeDir {
		n.nlink++ // its own "."
		d.n.nlink++
		n.parent = d.n
	}
	d.m.touch(d.n)
}

func (d *memDir) detach(name string, n *memNode) {
	delete(d.n.entries, name)
	n.nlink--
	if n.mode == fs.ModeDir {
		n.nlink--
		d.n.nlink--
		n.parent = nil
	}
	n.ctime = d.m.now()
	d.m.touch(d.n)
}

func (d *memDir) Stat(name string) (Stat, error) {
	d.m.mu.Lock()
	defer d.m.mu.Unlock()
	n, err := d.find(name)
	if err != nil {
		return Stat{}, err
	}
	return n.stat(), nil
}

func (d *memDir) SetTimes(name string, atime, mtime time.Time) error {
	d.m.mu.Lock()
	defer d.m.mu.Unlock()
	n, err := d.find(name)
	if err == nil {
		d.m.setTimes(n, atime, mtime)
	}
	return err
}

func (d *memDir) Entries() iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		d.m.mu.Lock()
		removed := d.n.nlink == 0
		list := make([]Entry, 0, len(d.n.entries))
		for name, n := range d.n.entries {
			list = append(list, Entry{Name: name, Mode: n.mode, Ino: n.ino})
		}
		d.m.mu.Unlock()
		if removed {
			yield(Entry{}, syscall.ENOENT)
			return
		}
		for _, e := range list {
			if !yield(e, nil) {
				return
			}
		}
	}
}

func (d *memDir) OpenDir(name string) (Dir, error) {
	d.m.mu.Lock()
	defer d.m.mu.Unlock()
	n, err := d.find(name)
	if err != nil {
		return nil, err
	}
	if n.mode != fs.ModeDir {
		return nil, syscall.ENOTDIR
	}
	return &memDir{d.m, n}, nil
}

func (d *memDir) OpenFile(name string, flag int) (File, error) {
	d.m.mu.Lock()
	defer d.m.mu.Unlock()
	n, err := d.find(name)
	switch {
	case err == syscall.ENOENT && flag&os.O_CREATE != 0:
		if n, err = d.add(name, 0, ""); err != nil {
			return nil, err
		}
	case err != nil:
		return nil, err
	case flag&os.O_CREATE != 0 && flag&os.O_EXCL != 0:
		return nil, syscall.EEXIST
	case n.mode == fs.ModeDir:
		return nil, syscall.EISDIR
	case n.mode == fs.ModeSymlink:
		return nil, syscall.ELOOP
	}
	n.opens++
	return &memFile{memHandle{m: d.m, n: n}}, nil
}

func (d *memDir) Mkdir(name string) error {
	d.m.mu.Lock()
	defer d.m.mu.Unlock()
	_, err := d.add(name, fs.ModeDir, "")
	return err
}

func (d *memDir) Symlink(target, name string) error {
	d.m.mu.Lock()
	defer d.m.mu.Unlock()
	_, err := d.add(name, fs.ModeSymlink, target)
	return err
}

func (d *memDir) Readlink(name string) (string, error) {
	d.m.mu.Lock()
	defer d.m.mu.Unlock()
	n, err := d.find(name)
	if err != nil {
		return "", err
	}
	if n.mode != fs.ModeSymlink {
		return "", syscall.EINVAL
	}
	return string(n.data), nil
}

func (d *memDir) Link(name string, to Dir, newName string) error {
	t, ok := to.(*memDir)
	if !ok || t.m != d.m {
		return syscall.EXDEV
	}
	d.m.mu.Lock()
	defer d.m.mu.Unlock()
	n, err := d.find(name)
	switch {
	case err != nil:
		return err
	case t.n.entries[newName] != nil:
		return syscall.EEXIST
	case len(newName) > maxName:
		return syscall.ENAMETOOLONG
	case n.mode == fs.ModeDir:
		return syscall.EPERM
	case t.n.nlink == 0:
		return syscall.ENOENT
	}
	t.attach(newName, n)
	n.ctime = d.m.now()
	return nil
}

func (d *memDir) Rename(name string, to Dir, newName string) error {
	t, ok := to.(*memDir)
	if !ok || t.m != d.m {
		return syscall.EXDEV
	}
	d.m.mu.Lock()
	defer d.m.mu.Unlock()
	n, err := d.find(name)
	if err != nil {
		return err
	}
	if n.mode == fs.ModeDir {
		for p := t.n; p != nil; p = p.parent {
			if p == n {
				return syscall.EINVAL
			}
			if p == p.parent {
				break
			}
		}
	}
	old := t.n.entries[newName]
	switch {
	case len(newName) > maxName:
		return syscall.ENAMETOOLONG
	case t.n.nlink == 0:
		return syscall.ENOENT
	case old == nil:
	case old == n:
		return nil // two names of one file: nothing happens
	case n.mode == fs.ModeDir && old.mode != fs.ModeDir:
		return syscall.ENOTDIR
	case n.mode != fs.ModeDir && old.mode == fs.ModeDir:
		return syscall.EISDIR
	case len(old.entries) > 0:
		return syscall.ENOTEMPTY
	}
	if old != nil {
		t.detach(newName, old)
		d.m.release(old)
	}
	d.detach(name, n)
	t.attach(newName, n)
	return nil
}

func (d *memDir) Unlink(name string) error {
	d.m.mu.Lock()
	defer d.m.mu.Unlock()
	n, err := d.find(name)
	if err != nil {
		return err
	}
	if n.mode == fs.ModeDir {
		return syscall.EISDIR
	}
	d.detach(name, n)
	d.m.release(n)
	return nil
}

func (d *memDir) Rmdir(name string) error {
	d.m.mu.Lock()
	defer d.m.mu.Unlock()
	n, err := d.find(name)
	switch {
	case err != nil:
		return err
	case n.mode != fs.ModeDir:
		return syscall.ENOTDIR
	case len(n.entries) > 0:
		return syscall.ENOTEMPTY
	}
	d.detach(name, n)
	d.m.release(n)
	return nil
}

func (d *memDir) Close() error { return nil }

// memHandle is an open file or directory.
type memHandle struct {
	m      *Mem
	n      *memNode
	closed bool
}

func (h *memHandle) Close() error {
	h.m.mu.Lock()
	defer h.m.mu.Unlock()
	if h.closed {
		return fs.ErrClosed
	}
	h.closed = true
	h.n.opens--
	h.m.release(h.n)
	return nil
}

type memFile struct{ memHandle }

func (f *memFile) ReadAt(b []byte, offset int64) (int, error) {
	f.m.mu.Lock()
	defer f.m.mu.Unlock()
	if offset < 0 {
		return 0, syscall.EINVAL
	}
	if offset >= int64(len(f.n.data)) {
		return 0, io.EOF
	}
	n := copy(b, f.n.data[offset:])
	if n < len(b) {
		return n, io.EOF
	}
	return n, nil
}

func (f *memFile) WriteAt(b []byte, offset int64) (int, error) {
	f.m.mu.Lock()
	defer f.m.mu.Unlock()
	return f.writeAt(b, offset)
}

func (f *memFile) Append(b []byte) (int, int64, error) {
	f.m.mu.Lock()
	defer f.m.mu.Unlock()
	n, err := f.writeAt(b, int64(len(f.n.data)))
	return n, int64(len(f.n.data)), err
}

func (f *memFile) writeAt(b []byte, offset int64) (int, error) {
	if offset < 0 {
		return 0, syscall.EINVAL
	}
	if len(b) == 0 {
		return 0, nil
	}
	end := offset + int64(len(b))
	if end < 0 {
		return 0, syscall.EFBIG
	}
	if end > int64(len(f.n.data)) {
		if err := f.resize(end); err != nil {
			return 0, err
		}
	}
	f.m.touch(f.n)
	return copy(f.n.data[offset:], b), nil
}

// resize changes the length of the content. The caller holds m.mu.
func (f *memFile) resize(size int64) error {
	old := int64(len(f.n.data))
	switch {
	case size < 0:
		return syscall.EINVAL
	case size-old > f.m.maxBytes-f.m.bytes:
		return syscall.ENOSPC
	case size <= old:
		clear(f.n.data[size:]) // so that what grows again is zero
		f.n.data = f.n.data[:size]
	case size <= int64(cap(f.n.data)):
		f.n.data = f.n.data[:size]
	default:
		// Twice the room, so that appending byte by byte is linear.
		data := make([]byte, size, max(size, min(2*old, f.m.maxBytes)))
		copy(data, f.n.data)
		f.n.data = data
	}
	f.m.bytes += size - old
	return nil
}

func (f *memFile) Truncate(size int64) error {
	f.m.mu.Lock()
	defer f.m.mu.Unlock()
	err := f.resize(size)
	if err == nil {
		f.m.touch(f.n)
	}
	return err
}

func (f *memFile) Stat() (Stat, error) {
	f.m.mu.Lock()
	defer f.m.mu.Unlock()
	return f.n.stat(), nil
}

func (f *memFile) SetTimes(atime, mtime time.Time) error {
	f.m.mu.Lock()
	defer f.m.mu.Unlock()
	f.m.setTimes(f.n, atime, mtime)
	return nil
}

func (f *memFile) Sync() error { return nil }
