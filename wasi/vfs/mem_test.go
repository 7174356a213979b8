package vfs

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"strings"
	"syscall"
	"testing"
	"testing/fstest"
	"time"
)

// TestMemAsFS: what Go sees of a file system in memory is a proper fs.FS.
func TestMemAsFS(t *testing.T) {
	m := NewMem(nil)
	for name, content := range map[string]string{"a": "", "d/b": "hello", "d/e/c": strings.Repeat("x", 100_000)} {
		if err := m.WriteFile(name, []byte(content)); err != nil {
			t.Fatal(err)
		}
	}
	d, err := m.Root().OpenDir("d")
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Symlink("../a", "l"); err != nil {
		t.Fatal(err)
	}
	if err := fstest.TestFS(m, "a", "d/b", "d/e/c", "d/l"); err != nil {
		t.Error(err)
	}
	if err := m.WriteFile("d/l", []byte("through a link")); err != nil {
		t.Error(err)
	}
	if b, err := m.ReadFile("a"); string(b) != "through a link" || err != nil {
		t.Errorf("%q, %v", b, err)
	}
	if err := m.WriteFile("a/b", nil); !errors.Is(err, syscall.ENOTDIR) {
		t.Error(err)
	}
	for _, name := range []string{"", "/a", "..", "d/../a", "."} {
		if err := m.WriteFile(name, nil); !errors.Is(err, fs.ErrInvalid) {
			t.Errorf("%q: %v", name, err)
		}
	}
}

// TestMemLimits: limits hold, and what is removed can be used again, once
// nobody has it open any more.
func TestMemLimits(t *testing.T) {
	m := NewMem(&MemOptions{MaxBytes: 1000, MaxFiles: 4})
	root := m.Root()
	f, err := root.OpenFile("f", os.O_RDWR|os.O_CREATE)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt(make([]byte, 600), 400); err != nil {
		t.Fatal(err)
	}
	for _, err := range []error{
		f.Truncate(1001),
		f.Truncate(1 << 62),
		func() error { _, err := f.WriteAt([]byte{1}, 1<<40); return err }(),
		func() error { _, _, err := f.Append([]byte{1}); return err }(),
		m.WriteFile("g", []byte{1}),
		root.Symlink("target", "l"),
	} {
		if !errors.Is(err, syscall.ENOSPC) {
			t.Error(err)
		}
	}
	if _, err := f.WriteAt([]byte{1}, 1<<63-1); !errors.Is(err, syscall.EFBIG) {
		t.Error(err)
	}
	if err := root.Unlink("f"); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 1000)
	if n, err := f.ReadAt(b, 0); n != 1000 || err != nil {
		t.Errorf("an open file has lost its content: %d, %v", n, err)
	}
	if err := m.WriteFile("g", []byte{1}); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("content that is still in use was given away: %v", err)
	}
	if err := f.Close(); err != nil {
		t.Error(err)
	}
	if err := f.Close(); !errors.Is(err, fs.ErrClosed) {
		t.Error(err)
	}
	if err := m.WriteFile("g", make([]byte, 1000)); err != nil {
		t.Error(err)
	}
	for _, name := range []string{"a", "b"} { // with the root and g, four files
		if err := root.Mkdir(name); err != nil {
			t.Error(err)
		}
	}
	if err := root.Mkdir("c"); !errors.Is(err, syscall.ENOSPC) {
		t.Error(err)
	}
	if err := root.Rmdir("a"); err != nil {
		t.Error(err)
	}
	if err := root.Rename("b", root, "c"); err != nil {
		t.Error(err)
	}
	if err := root.Mkdir("d"); err != nil {
		t.Error(err)
	}
}

// TestMemShrink: what was cut off does not come back.
func TestMemShrink(t *testing.T) {
	m := NewMem(nil)
	f, err := m.Root().OpenFile("f", os.O_RDWR|os.O_CREATE)
	if err != nil {
		t.Fatal(err)
	}
	f.WriteAt([]byte("secret"), 0)
	f.Truncate(1)
	f.Truncate(6)
	b, err := m.ReadFile("f")
	if err != nil || !bytes.Equal(b, []byte("s\x00\x00\x00\x00\x00")) {
		t.Errorf("%q, %v", b, err)
	}
}

// TestMemTimes: times come from the given clock, and can be set.
func TestMemTimes(t *testing.T) {
	now := time.Unix(100, 0)
	m := NewMem(&MemOptions{Now: func() time.Time { return now }})
	m.WriteFile("f", nil)
	now = time.Unix(200, 0)
	root := m.Root()
	if err := root.SetTimes("f", time.Time{}, time.Unix(50, 7)); err != nil {
		t.Fatal(err)
	}
	s, err := root.Stat("f")
	if err != nil || s.Atime != time.Unix(100, 0) || s.Mtime != time.Unix(50, 7) || s.Ctime != now {
		t.Errorf("%+v, %v", s, err)
	}
	if s, _ := root.Stat("."); s.Mtime != time.Unix(100, 0) {
		t.Errorf("%+v", s)
	}
}

// stream is a file that can only be read from its start on.
type stream struct{ fs.File }

type streamFS struct{ fs.FS }

func (s streamFS) Open(name string) (fs.File, error) {
	f, err := s.FS.Open(name)
	if err != nil {
		return nil, err
	}
	if info, err := f.Stat(); err != nil || info.IsDir() {
		return f, err
	}
	return stream{f}, nil
}

// TestFromFS reads files of an fs.FS at any offset, whatever they can do.
func TestFromFS(t *testing.T) {
	m := NewMem(nil)
	m.WriteFile("d/f", []byte("0123456789"))
	for _, fsys := range []fs.FS{m, streamFS{m}} {
		root := FromFS(fsys)
		d, err := root.OpenDir("d")
		if err != nil {
			t.Fatal(err)
		}
		f, err := d.OpenFile("f", os.O_RDONLY)
		if err != nil {
			t.Fatal(err)
		}
		for _, at := range []int64{5, 0, 3, 6, 2, 9} {
			b := make([]byte, 3)
			n, err := f.ReadAt(b, at)
			want := "0123456789"[at:min(at+3, 10)]
			if string(b[:n]) != want || n < 3 && err != io.EOF {
				t.Errorf("%T: at %d: %q, %v", fsys, at, b[:n], err)
			}
		}
		if n, err := f.ReadAt(make([]byte, 1), 100); n != 0 || err != io.EOF {
			t.Errorf("%T: after the end: %d, %v", fsys, n, err)
		}
		if _, err := f.WriteAt([]byte{1}, 0); !errors.Is(err, syscall.EROFS) {
			t.Error(err)
		}
		if err := f.Close(); err != nil {
			t.Error(err)
		}
		if _, err := d.OpenFile("new", os.O_RDWR|os.O_CREATE); !errors.Is(err, syscall.EROFS) {
			t.Error(err)
		}
		if _, err := root.OpenDir("nothing"); !errors.Is(err, fs.ErrNotExist) {
			t.Error(err)
		}
		a, _ := root.Stat("d")
		b, _ := d.Stat(".")
		if a.Ino == 0 || a.Ino != b.Ino {
			t.Errorf("numbers %d and %d", a.Ino, b.Ino)
		}
		var names []string
		for e, err := range d.Entries() {
			if err != nil {
				t.Error(err)
			}
			names = append(names, e.Name)
		}
		if len(names) != 1 || names[0] != "f" {
			t.Error(names)
		}
	}
}
