package wasip1

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/davit-wasm/davit/wasi/vfs"
)

// Sequences of operations on paths are done three times, and must go the same
// way each time: by a program in a directory of the host, by a program in a
// file system in memory, and by the kernel in a copy of the directory, where
// openat2(2) confines the walk (RESOLVE_BENEATH). The trees must be the same
// afterwards, and what lies around the directories untouched.

// world is where operations are done. Each returns an error, and what there is
// to compare of its result.
type world interface {
	// open opens a path below directory dir into a slot.
	open(slot, dir int, path string, o openFlags) (string, error)
	// Operations on open files.
	pread(slot int, offset, n int64) (string, error)
	pwrite(slot int, offset int64, s string) (string, error)
	write(slot int, s string) (string, error)
	resize(slot int, size int64) (string, error)
	fstat(slot int) (string, error)

	stat(dir int, path string, follow bool) (string, error)
	setTimes(dir int, path string, follow bool, mtime int64) (string, error)
	list(dir int) (string, error)
	mkdir(dir int, path string) (string, error)
	rmdir(dir int, path string) (string, error)
	unlink(dir int, path string) (string, error)
	symlink(target string, dir int, path string) (string, error)
	readlink(dir int, path string) (string, error)
	link(dir int, path string, to int, newPath string) (string, error)
	rename(dir int, path string, to int, newPath string) (string, error)

	// tree describes everything below the directory.
	tree() string
	// finish says what else is wrong.
	finish() error
}

type openFlags struct{ follow, creat, excl, trunc, directory, write, append bool }

const (
	dirSlots  = 4 // directories 1 to 3 are opened by operations
	fileSlots = 3
)

// sequence reads operations out of bytes.
type sequence struct{ data []byte }

func (s *sequence) next(n int) int {
	if len(s.data) == 0 {
		return 0
	}
	b := int(s.data[0])
	s.data = s.data[1:]
	return b % n
}

var plainPaths = [...]string{"a", "b", "a/b", "b/a", "d", "d/a", "e", "d/e", "d/e/a", "f"}

var elements = [...]string{"a", "b", "a", "d", "d", "e", "f", "lf", "ld", "up", "out", "abs", "dang", "loop", "..", "..", ".", ""}

func (s *sequence) path() string {
	// Most paths are plain, so that much succeeds.
	if k := s.next(32); k < 20 {
		return plainPaths[k%len(plainPaths)]
	}
	var parts []string
	for range 1 + s.next(8)/2%4 {
		parts = append(parts, elements[s.next(len(elements))])
	}
	p := strings.Join(parts, "/")
	switch s.next(8) {
	case 0:
		p += "/"
	case 1:
		p = path.Clean(p)
	}
	if p == "" {
		p = "a"
	}
	return p
}

// step does one operation in a world. It is decoded again for each of them.
func (s *sequence) step() (what string, do func(w world) (string, error), paths []string) {
	p, q := s.path(), s.path()
	dir, to := max(0, s.next(2*dirSlots)-dirSlots), max(0, s.next(2*dirSlots)-dirSlots)
	slot := s.next(fileSlots)
	flags, size := s.next(256), int64(s.next(60))
	o := openFlags{flags&1 != 0, flags&6 != 0, flags&24 == 24, flags&8 != 0, flags&254 == 0, flags&96 != 0, flags&128 != 0}
	one, two := []string{p}, []string{p, q}
	text := strings.Repeat(string(rune('A'+size%26)), int(size%20))
	switch s.next(22) {
	case 0, 1, 2:
		return fmt.Sprintf("open %d %q %+v into %d", dir, p, o, slot), func(w world) (string, error) { return w.open(slot, dir, p, o) }, one
	case 3, 4:
		o = openFlags{follow: flags&1 != 0, directory: true}
		return fmt.Sprintf("open directory %d %q %+v into %d", dir, p, o, slot), func(w world) (string, error) { return w.open(slot, dir, p, o) }, one
	case 5:
		return fmt.Sprintf("pread %d", slot), func(w world) (string, error) { return w.pread(slot, size/2, size) }, nil
	case 6:
		return fmt.Sprintf("pwrite %d %d %q", slot, size, text), func(w world) (string, error) { return w.pwrite(slot, size, text) }, nil
	case 7:
		return fmt.Sprintf("write %d %q", slot, text), func(w world) (string, error) { return w.write(slot, text) }, nil
	case 8:
		return fmt.Sprintf("resize %d %d", slot, size), func(w world) (string, error) { return w.resize(slot, size) }, nil
	case 9:
		return fmt.Sprintf("fstat %d", slot), func(w world) (string, error) { return w.fstat(slot) }, nil
	case 10:
		return fmt.Sprintf("stat %d %q %t", dir, p, o.follow), func(w world) (string, error) { return w.stat(dir, p, o.follow) }, one
	case 11:
		return fmt.Sprintf("set times %d %q %t", dir, p, o.follow), func(w world) (string, error) {
			return w.setTimes(dir, p, o.follow, 1e9+size)
		}, one
	case 12:
		return fmt.Sprintf("list %d", dir), func(w world) (string, error) { return w.list(dir) }, nil
	case 13, 14:
		return fmt.Sprintf("mkdir %d %q", dir, p), func(w world) (string, error) { return w.mkdir(dir, p) }, one
	case 15:
		return fmt.Sprintf("rmdir %d %q", dir, p), func(w world) (string, error) { return w.rmdir(dir, p) }, one
	case 16:
		return fmt.Sprintf("unlink %d %q", dir, p), func(w world) (string, error) { return w.unlink(dir, p) }, one
	case 17:
		if flags < 16 {
			q = "/" + q
		}
		return fmt.Sprintf("symlink %q %d %q", q, dir, p), func(w world) (string, error) { return w.symlink(q, dir, p) }, one
	case 18:
		return fmt.Sprintf("readlink %d %q", dir, p), func(w world) (string, error) { return w.readlink(dir, p) }, one
	case 19:
		return fmt.Sprintf("link %d %q %d %q", dir, p, to, q), func(w world) (string, error) { return w.link(dir, p, to, q) }, two
	}
	return fmt.Sprintf("rename %d %q %d %q", dir, p, to, q), func(w world) (string, error) { return w.rename(dir, p, to, q) }, two
}

// outcome is what is compared of an operation. Which of several errors an
// operation on several paths meets first is not: nor what exactly is wrong
// with a path that ends in slashes, "." or "..".
func outcome(result string, err error, paths []string) string {
	if err == nil {
		return "ok " + result
	}
	if len(paths) > 1 {
		return "fails"
	}
	for _, p := range paths {
		if p == "." || p == ".." || strings.HasSuffix(p, "/") || strings.HasSuffix(p, "/.") || strings.HasSuffix(p, "/..") {
			return "fails"
		}
	}
	e := errnoOf(err)
	if e == ErrnoNameTooLong || e == ErrnoNotDir {
		e = ErrnoLoop // how many links are too many differs; a link where none may be followed is either
	}
	return e.Error()
}

// tryWorlds runs a sequence and returns how the worlds differ. It sets in done
// which kinds of operations there were, and whether one has succeeded.
func tryWorlds(t testing.TB, scratch string, data []byte, done map[string]bool) (err error) {
	var tops [2]string
	for i := range tops {
		tops[i] = filepath.Join(scratch, fmt.Sprint(i))
		if err := makeTop(tops[i]); err != nil {
			return err
		}
		defer os.RemoveAll(tops[i])
	}
	mem := vfs.NewMem(nil)
	kernel, err := newKernelWorld(tops[0])
	if err != nil {
		return err
	}
	worlds := []world{kernel, newGuestWorld(t, Mount{Host: filepath.Join(tops[1], "inside")}, tops[1], nil), newGuestWorld(t, Mount{Dir: mem.Root()}, "", mem)}
	defer func() {
		for _, w := range worlds {
			err = errors.Join(err, w.finish())
		}
	}()
	links := [][2]string{{"d/f", "lf"}, {"d/", "ld"}, {"..", "up"}, {"../f", "out"}, {"/", "abs"}, {"nothing", "dang"}, {"loop", "loop"}, {"../d/e", "d/up"}}
	for i := range tops {
		in := filepath.Join(tops[i], "inside")
		os.MkdirAll(filepath.Join(in, "d/e"), 0o777)
		os.WriteFile(filepath.Join(in, "d/f"), []byte("content"), 0o666)
		for _, l := range links {
			os.Symlink(l[0], filepath.Join(in, l[1]))
		}
	}
	mem.MkdirAll("d/e")
	mem.WriteFile("d/f", []byte("content"))
	d, _ := mem.Root().OpenDir("d")
	for _, l := range links {
		if name, ok := strings.CutPrefix(l[1], "d/"); ok {
			d.Symlink(l[0], name)
		} else {
			mem.Root().Symlink(l[0], l[1])
		}
	}

	var log []string
	s := &sequence{data}
	for len(s.data) > 0 {
		what, do, paths := s.step()
		var results [3]string
		for i, w := range worlds {
			r, err := do(w)
			results[i] = outcome(r, err, paths)
		}
		kind, _, _ := strings.Cut(what, " ")
		done[kind] = done[kind] || strings.HasPrefix(results[0], "ok")
		log = append(log, what+": "+results[0])
		if results[0] != results[1] || results[0] != results[2] {
			return fmt.Errorf("%s\nkernel %s, host directory %s, memory %s", strings.Join(log, "\n"), results[0], results[1], results[2])
		}
	}
	want := worlds[0].tree()
	for i, w := range worlds[1:] {
		if got := w.tree(); got != want {
			return fmt.Errorf("%s\ntree %d is\n%swant\n%s", strings.Join(log, "\n"), i+1, got, want)
		}
	}
	return nil
}

func needOpenat2(t testing.TB) {
	fd, err := unix.Openat2(unix.AT_FDCWD, ".", &unix.OpenHow{Flags: unix.O_PATH, Resolve: unix.RESOLVE_BENEATH})
	if err != nil {
		t.Skipf("openat2: %v", err)
	}
	unix.Close(fd)
}

// TestPathsAgainstKernel tries random sequences, always the same.
func TestPathsAgainstKernel(t *testing.T) {
	needOpenat2(t)
	n := 250
	if testing.Short() {
		n = 25
	}
	scratch := t.TempDir()
	random := rand.New(rand.NewPCG(1, 2))
	data := make([]byte, 1500) // some 80 operations
	done := map[string]bool{}
	for i := range n {
		for k := range data {
			data[k] = byte(random.Uint32())
		}
		if err := tryWorlds(t, scratch, data, done); err != nil {
			t.Fatalf("sequence %d:\n%v", i, err)
		}
	}
	for kind, ok := range done {
		if !ok {
			t.Errorf("%s never succeeds: the sequences are no test of it", kind)
		}
	}
}

// FuzzPaths looks for a sequence that goes different ways.
func FuzzPaths(f *testing.F) {
	needOpenat2(f)
	f.Add([]byte{0})
	f.Add(bytes.Repeat([]byte{3, 12, 7, 2, 5, 20, 1, 9, 0, 255, 17}, 20))
	f.Add(bytes.Repeat([]byte{2, 6, 13, 4, 1, 2, 8, 3, 2, 1, 195, 31, 21}, 20))
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > 2000 {
			return
		}
		if err := tryWorlds(t, t.TempDir(), data, map[string]bool{}); err != nil {
			t.Fatal(err)
		}
	})
}
