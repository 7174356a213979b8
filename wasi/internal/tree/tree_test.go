package tree

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"github.com/davit-wasm/davit/wasi/vfs"
)

// kinds are the same small tree on the host and in memory.
func kinds(t *testing.T) map[string]Dir {
	if runtime.GOOS == "windows" {
		t.Skip("symbolic links need rights that tests do not have")
	}
	dir := t.TempDir()
	mem := vfs.NewMem(nil)
	os.MkdirAll(filepath.Join(dir, "d/e"), 0o777)
	mem.MkdirAll("d/e")
	os.WriteFile(filepath.Join(dir, "d/f"), []byte("content"), 0o666)
	mem.WriteFile("d/f", []byte("content"))
	for name, target := range map[string]string{
		"up": "..", "abs": "/", "loop": "loop", "lf": "d/f", "ld": "d/", "le": "ld/e", "dang": "nothing", "out": "d/../../d", "deep": "ld/../le/../f",
	} {
		os.Symlink(target, filepath.Join(dir, name))
		mem.Root().Symlink(target, name)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	dirs := map[string]Dir{"host": Root(root, false), "memory": Walk(mem.Root(), true)}
	t.Cleanup(func() {
		for _, d := range dirs {
			if err := d.Close(); err != nil {
				t.Error(err)
			}
		}
	})
	return dirs
}

// class is what is wrong, where the kinds have different errors for it.
func class(err error) string {
	switch {
	case err == nil:
		return "ok"
	case errors.Is(err, fs.ErrNotExist):
		return "not there"
	case errors.Is(err, syscall.ELOOP), strings.Contains(err.Error(), "too many"):
		return "loop"
	case errors.Is(err, syscall.EPERM), strings.Contains(err.Error(), "escapes"):
		return "out"
	case errors.Is(err, syscall.ENOTDIR), strings.Contains(err.Error(), "not a directory"):
		return "no directory"
	}
	return err.Error()
}

func TestLookup(t *testing.T) {
	for kind, d := range kinds(t) {
		for _, c := range []struct{ path, followed, itself string }{
			{".", "ok", "ok"}, {"d", "ok", "ok"}, {"d/.", "ok", "ok"}, {"d/e/..", "ok", "ok"}, {"d/../d/f", "ok", "ok"},
			{"..", "out", "out"}, {"d/../..", "out", "out"}, {"up", "out", "ok"}, {"up/x", "out", "out"}, {"abs", "out", "ok"},
			{"abs/etc", "out", "out"}, {"out", "out", "ok"}, {"out/f", "out", "out"}, {"lf", "ok", "ok"}, {"lf/x", "no directory", "no directory"},
			{"ld", "ok", "ok"}, {"ld/f", "ok", "ok"}, {"le/../f", "ok", "ok"}, {"deep", "ok", "ok"}, {"loop", "loop", "ok"}, {"loop/x", "loop", "loop"},
			{"dang", "not there", "ok"}, {"nothing/..", "not there", "not there"}, {"d/f/..", "no directory", "no directory"}, {"d//e", "ok", "ok"},
		} {
			for _, follow := range []bool{false, true} {
				want := c.itself
				if follow {
					want = c.followed
				}
				if _, err := d.Lookup(c.path, follow); class(err) != want {
					t.Errorf("%s: %q, followed %t: %v, want %s", kind, c.path, follow, err, want)
				}
			}
		}
	}
}

// TestBounds: neither long chains of links nor deep paths are walked forever.
func TestBounds(t *testing.T) {
	mem := vfs.NewMem(nil)
	d := Walk(mem.Root(), true)
	mem.WriteFile("l0", nil)
	for i := range maxLinks + 1 {
		d.Symlink(fmt.Sprintf("l%d", i), fmt.Sprintf("l%d", i+1))
	}
	if _, err := d.Lookup(fmt.Sprintf("l%d", maxLinks), true); err != nil {
		t.Error(err)
	}
	if _, err := d.Lookup(fmt.Sprintf("l%d", maxLinks+1), true); err != syscall.ELOOP {
		t.Error(err)
	}
	deep := strings.TrimSuffix(strings.Repeat("d/", maxDepth+2), "/")
	if err := mem.MkdirAll(deep); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Lookup(deep, true); err != syscall.ENAMETOOLONG {
		t.Error(err)
	}
	if _, err := d.Lookup(deep[:2*maxDepth], true); err != nil {
		t.Error(err)
	}
}

// TestNames: what needs a name fails for paths that end in none.
func TestNames(t *testing.T) {
	for kind, d := range kinds(t) {
		for _, path := range []string{".", "d/.", "d/..", "d/e/.."} {
			for what, err := range map[string]error{
				"unlink": d.Unlink(path), "rmdir": d.Rmdir(path), "mkdir": d.Mkdir(path), "rename": d.Rename(path, d, "new"),
				"rename to": d.Rename("d", d, path), "link": d.Link(path, d, "new"), "link to": d.Link("d/f", d, path), "symlink": d.Symlink("d", path),
			} {
				if err == nil {
					t.Errorf("%s: %s %q succeeds", kind, what, path)
				}
			}
		}
	}
}

// TestAppend: two open files append to the same one, and writing at an offset
// goes there also in a file that has appended.
func TestAppend(t *testing.T) {
	for kind, d := range kinds(t) {
		a, err := d.OpenFile("d/f", true, os.O_RDWR)
		if err != nil {
			t.Fatal(err)
		}
		defer a.Close()
		b, err := d.OpenFile("lf", true, os.O_RDWR)
		if err != nil {
			t.Fatal(err)
		}
		defer b.Close()
		for i, f := range []vfs.File{a, b, a} {
			if n, end, err := f.Append([]byte{'0' + byte(i)}); n != 1 || end != int64(8+i) || err != nil {
				t.Errorf("%s: %d, %d, %v", kind, n, end, err)
			}
		}
		if _, err := a.WriteAt([]byte("C"), 0); err != nil {
			t.Error(kind, err)
		}
		got := make([]byte, 20)
		n, _ := b.ReadAt(got, 0)
		if string(got[:n]) != "Content012" {
			t.Errorf("%s: %q", kind, got[:n])
		}
	}
}
