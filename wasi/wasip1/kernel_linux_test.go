package wasip1

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path"
	"path/filepath"
	"slices"
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

// kernelWorld is the oracle.
type kernelWorld struct {
	top   string
	dirs  [dirSlots]int
	files [fileSlots]int
}

func newKernelWorld(top string) (*kernelWorld, error) {
	w := &kernelWorld{top: top, dirs: [dirSlots]int{-1, -1, -1, -1}, files: [fileSlots]int{-1, -1, -1}}
	var err error
	w.dirs[0], err = unix.Open(filepath.Join(top, "inside"), unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	return w, err
}

func (w *kernelWorld) beneath(dir int, path string, flags, mode uint64) (int, error) {
	if w.dirs[dir] < 0 {
		return -1, ErrnoBadF
	}
	if strings.HasPrefix(path, "/") {
		return -1, unix.EPERM
	}
	fd, err := unix.Openat2(w.dirs[dir], path, &unix.OpenHow{Flags: flags | unix.O_CLOEXEC, Mode: mode, Resolve: unix.RESOLVE_BENEATH})
	if err == unix.EXDEV {
		err = unix.EPERM
	}
	return fd, err
}

// in calls f with the directory that holds the last element of path, and that
// element with the slashes after it.
func (w *kernelWorld) in(dir int, path string, f func(fd int, name string) error) error {
	trimmed := strings.TrimRight(path, "/")
	if trimmed == "" {
		return unix.EPERM
	}
	i := strings.LastIndexByte(trimmed, '/') + 1
	fd, err := w.beneath(dir, path[:i]+".", unix.O_PATH|unix.O_DIRECTORY, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if name := trimmed[i:]; name == "." || name == ".." {
		// Nothing can be done to such a name. It must not lead out, either.
		fd, err := w.beneath(dir, path, unix.O_PATH, 0)
		if err != nil {
			return err
		}
		unix.Close(fd)
		return unix.EINVAL
	}
	return f(fd, path[i:])
}

func (w *kernelWorld) open(slot, dir int, path string, o openFlags) (string, error) {
	flags := uint64(unix.O_RDONLY)
	if o.write {
		flags = unix.O_RDWR
	}
	for _, f := range []struct {
		on   bool
		flag uint64
	}{
		{!o.follow, unix.O_NOFOLLOW}, {o.creat, unix.O_CREAT}, {o.creat && o.excl, unix.O_EXCL}, {o.trunc, unix.O_TRUNC},
		{o.directory, unix.O_DIRECTORY}, {o.append, unix.O_APPEND},
	} {
		if f.on {
			flags |= f.flag
		}
	}
	mode := uint64(0)
	if o.creat {
		mode = 0o666
	}
	fd, err := w.beneath(dir, path, flags, mode)
	if err != nil {
		if err == unix.EISDIR && o.creat {
			// A link that ends in a slash, where there is no directory: the kernel says
			// what it will not make, others what there is.
			if found, e := w.find(dir, path, true); e != nil {
				err = e
			} else {
				unix.Close(found)
			}
		}
		return "", err
	}
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return "", err
	}
	p := &w.files[slot%fileSlots]
	kind := "file"
	if st.Mode&unix.S_IFMT == unix.S_IFDIR {
		p, kind = &w.dirs[1+slot%(dirSlots-1)], "directory"
	}
	if *p >= 0 {
		unix.Close(*p)
	}
	*p = fd
	return kind, nil
}

func (w *kernelWorld) pread(slot int, offset, n int64) (string, error) {
	b := make([]byte, n)
	k, err := unix.Pread(w.files[slot], b, offset)
	return string(b[:max(k, 0)]), err
}

func (w *kernelWorld) pwrite(slot int, offset int64, s string) (string, error) {
	// Linux appends where POSIX, and the interface, write at the offset.
	flags, err := unix.FcntlInt(uintptr(w.files[slot]), unix.F_GETFL, 0)
	if err != nil {
		return "", err
	}
	unix.FcntlInt(uintptr(w.files[slot]), unix.F_SETFL, flags&^unix.O_APPEND)
	n, err := unix.Pwrite(w.files[slot], []byte(s), offset)
	unix.FcntlInt(uintptr(w.files[slot]), unix.F_SETFL, flags)
	return fmt.Sprint(n), err
}

func (w *kernelWorld) write(slot int, s string) (string, error) {
	n, err := unix.Write(w.files[slot], []byte(s))
	if err != nil {
		return "", err
	}
	at, err := unix.Seek(w.files[slot], 0, unix.SEEK_CUR)
	return fmt.Sprint(n, " to ", at), err
}

func (w *kernelWorld) resize(slot int, size int64) (string, error) {
	err := unix.Ftruncate(w.files[slot], size)
	if err == unix.EINVAL && w.files[slot] >= 0 {
		err = unix.EBADF // not open for writing
	}
	return "", err
}

func statText(mode fs.FileMode, size, nlink uint64) string {
	if mode.IsDir() {
		return "directory"
	}
	return fmt.Sprint(mode.Type(), " size ", size, " links ", nlink)
}

func kernelStatText(st *unix.Stat_t) string {
	mode := fs.FileMode(0)
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFDIR:
		mode = fs.ModeDir
	case unix.S_IFLNK:
		mode = fs.ModeSymlink
	}
	return statText(mode, uint64(st.Size), uint64(st.Nlink))
}

func (w *kernelWorld) fstat(slot int) (string, error) {
	var st unix.Stat_t
	err := unix.Fstat(w.files[slot], &st)
	return kernelStatText(&st), err
}

// find opens what is at path, for its attributes.
func (w *kernelWorld) find(dir int, path string, follow bool) (int, error) {
	flags := uint64(unix.O_PATH)
	if !follow {
		flags |= unix.O_NOFOLLOW
	}
	return w.beneath(dir, path, flags, 0)
}

func (w *kernelWorld) stat(dir int, path string, follow bool) (string, error) {
	fd, err := w.find(dir, path, follow)
	if err != nil {
		return "", err
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	err = unix.Fstat(fd, &st)
	return kernelStatText(&st), err
}

func (w *kernelWorld) setTimes(dir int, path string, follow bool, mtime int64) (string, error) {
	fd, err := w.find(dir, path, follow)
	if err != nil {
		return "", err
	}
	defer unix.Close(fd)
	ts := []unix.Timespec{{Nsec: unix.UTIME_OMIT}, unix.NsecToTimespec(mtime)}
	if err := unix.UtimesNanoAt(fd, "", ts, unix.AT_EMPTY_PATH); err != nil {
		return "", err
	}
	var st unix.Stat_t
	err = unix.Fstat(fd, &st)
	return fmt.Sprint(st.Mtim.Nano()), err
}

func (w *kernelWorld) list(dir int) (string, error) {
	fd, err := w.beneath(dir, ".", unix.O_DIRECTORY, 0)
	if err != nil {
		return "", err
	}
	f := os.NewFile(uintptr(fd), "")
	defer f.Close()
	entries, err := f.ReadDir(-1)
	if err != nil {
		return "", err
	}
	names := []string{". d", ".. d"}
	for _, e := range entries {
		names = append(names, e.Name()+" "+kindLetter(e.Type()))
	}
	slices.Sort(names[2:])
	return strings.Join(names, ","), nil
}

func kindLetter(m fs.FileMode) string {
	switch m.Type() {
	case fs.ModeDir:
		return "d"
	case fs.ModeSymlink:
		return "l"
	}
	return "f"
}

func (w *kernelWorld) mkdir(dir int, path string) (string, error) {
	return "", w.in(dir, path, func(fd int, name string) error { return unix.Mkdirat(fd, name, 0o777) })
}

func (w *kernelWorld) rmdir(dir int, path string) (string, error) {
	return "", w.in(dir, path, func(fd int, name string) error { return unix.Unlinkat(fd, name, unix.AT_REMOVEDIR) })
}

func (w *kernelWorld) unlink(dir int, path string) (string, error) {
	return "", w.in(dir, path, func(fd int, name string) error { return unix.Unlinkat(fd, name, 0) })
}

func (w *kernelWorld) symlink(target string, dir int, path string) (string, error) {
	if strings.HasPrefix(target, "/") {
		return "", unix.EPERM // the interface's rule
	}
	return "", w.in(dir, path, func(fd int, name string) error { return unix.Symlinkat(target, fd, name) })
}

func (w *kernelWorld) readlink(dir int, path string) (target string, err error) {
	err = w.in(dir, path, func(fd int, name string) error {
		b := make([]byte, 4096)
		n, err := unix.Readlinkat(fd, name, b)
		target = string(b[:max(n, 0)])
		return err
	})
	return target, err
}

func (w *kernelWorld) link(dir int, path string, to int, newPath string) (string, error) {
	return "", w.in(dir, path, func(fd int, name string) error {
		return w.in(to, newPath, func(newFd int, newName string) error { return unix.Linkat(fd, name, newFd, newName, 0) })
	})
}

func (w *kernelWorld) rename(dir int, path string, to int, newPath string) (string, error) {
	return "", w.in(dir, path, func(fd int, name string) error {
		return w.in(to, newPath, func(newFd int, newName string) error { return unix.Renameat(fd, name, newFd, newName) })
	})
}

func (w *kernelWorld) tree() string { return hostTree(filepath.Join(w.top, "inside")) }

func (w *kernelWorld) finish() error {
	for _, fd := range append(w.dirs[:], w.files[:]...) {
		if fd >= 0 {
			unix.Close(fd)
		}
	}
	return checkCanaries(w.top)
}

func hostTree(root string) string {
	var b strings.Builder
	filepath.WalkDir(root, func(p string, e fs.DirEntry, err error) error {
		rel, _ := filepath.Rel(root, p)
		content := ""
		switch {
		case err != nil:
			content = err.Error()
		case e.Type() == fs.ModeSymlink:
			content, _ = os.Readlink(p)
		case e.Type().IsRegular():
			data, _ := os.ReadFile(p)
			content = string(data)
		}
		fmt.Fprintf(&b, "%s %s %q\n", rel, kindLetter(e.Type()), content)
		return nil
	})
	return b.String()
}

// makeTop makes the directory for a sequence, with what must not be touched
// around it.
func makeTop(top string) error {
	return errors.Join(os.MkdirAll(filepath.Join(top, "inside"), 0o777), os.Mkdir(filepath.Join(top, "canary"), 0o777),
		os.WriteFile(filepath.Join(top, "canary", "f"), []byte("canary"), 0o666), os.WriteFile(filepath.Join(top, "f"), []byte("top"), 0o666))
}

func checkCanaries(top string) error {
	tree := hostTree(top)
	var outside strings.Builder
	for line := range strings.Lines(tree) {
		if !strings.HasPrefix(line, "inside") {
			outside.WriteString(line)
		}
	}
	if want := ". d \"\"\ncanary d \"\"\ncanary/f f \"canary\"\nf f \"top\"\n"; outside.String() != want {
		return fmt.Errorf("outside the directory there is now\n%s", outside.String())
	}
	return nil
}

// guestWorld is a program with one mount.
type guestWorld struct {
	*guest
	dirs  [dirSlots]uint64
	files [fileSlots]uint64
	top   string   // of a directory of the host
	mem   *vfs.Mem // or this
}

const noFd = 1 << 20

func newGuestWorld(t testing.TB, mount Mount, top string, mem *vfs.Mem) *guestWorld {
	mount.Guest = "/"
	p, err := New(&Config{Mounts: []Mount{mount}})
	if err != nil {
		t.Fatal(err)
	}
	w := &guestWorld{
		guest: &guest{t: t, p: p, mem: make(testMemory, 1<<14), ctx: context.Background()}, dirs: [dirSlots]uint64{3, noFd, noFd, noFd},
		files: [fileSlots]uint64{noFd, noFd, noFd}, top: top, mem: mem,
	}
	return w
}

func (w *guestWorld) do(name string, args ...uint64) error {
	e, err := w.try(name, args...)
	if err != nil {
		return err
	}
	if e != ErrnoSuccess {
		return e
	}
	return nil
}

const (
	resultAt  = 0x80
	pathAt    = 0x100
	newPathAt = 0x800
	dataAt    = 0x2000
)

func followFlag(follow bool) uint64 {
	if follow {
		return lookupSymlinkFollow
	}
	return 0
}

func (w *guestWorld) open(slot, dir int, path string, o openFlags) (string, error) {
	a, n := w.str(pathAt, path)
	oflags := uint64(0)
	for i, on := range []bool{o.creat, o.directory, o.creat && o.excl, o.trunc} {
		if on {
			oflags |= 1 << i
		}
	}
	base := allRights &^ uint64(contentWriteRights)
	if o.write {
		base = allRights
	}
	fdflags := uint64(0)
	if o.append {
		fdflags = uint64(fdflagAppend)
	}
	if err := w.do("path_open", w.dirs[dir], followFlag(o.follow), a, n, oflags, base, allRights, fdflags, resultAt); err != nil {
		return "", err
	}
	fd := uint64(w.u32(resultAt))
	if err := w.do("fd_fdstat_get", fd, dataAt); err != nil {
		return "", err
	}
	p, kind := &w.files[slot%fileSlots], "file"
	if filetype(w.guest.mem[dataAt]) == filetypeDirectory {
		p, kind = &w.dirs[1+slot%(dirSlots-1)], "directory"
	}
	if *p != noFd {
		if err := w.do("fd_close", *p); err != nil {
			return "", err
		}
	}
	*p = fd
	return kind, nil
}

func (w *guestWorld) pread(slot int, offset, n int64) (string, error) {
	w.iovec(0x90, dataAt, uint64(n))
	if err := w.do("fd_pread", w.files[slot], 0x90, 1, uint64(offset), resultAt); err != nil {
		return "", err
	}
	return string(w.guest.mem[dataAt:][:w.u32(resultAt)]), nil
}

func (w *guestWorld) pwrite(slot int, offset int64, s string) (string, error) {
	b, n := w.str(dataAt, s)
	w.iovec(0x90, b, n)
	err := w.do("fd_pwrite", w.files[slot], 0x90, 1, uint64(offset), resultAt)
	return fmt.Sprint(w.u32(resultAt)), err
}

func (w *guestWorld) write(slot int, s string) (string, error) {
	b, n := w.str(dataAt, s)
	w.iovec(0x90, b, n)
	if err := w.do("fd_write", w.files[slot], 0x90, 1, resultAt); err != nil {
		return "", err
	}
	written := w.u32(resultAt)
	err := w.do("fd_tell", w.files[slot], resultAt)
	return fmt.Sprint(written, " to ", w.u64(resultAt)), err
}

func (w *guestWorld) resize(slot int, size int64) (string, error) {
	err := w.do("fd_filestat_set_size", w.files[slot], uint64(size))
	if err == ErrnoNotCapable {
		err = ErrnoBadF // not open for writing
	}
	return "", err
}

func (w *guestWorld) statText() string {
	b := w.guest.mem[dataAt:]
	mode := fs.FileMode(0)
	switch filetype(b[16]) {
	case filetypeDirectory:
		mode = fs.ModeDir
	case filetypeSymbolicLink:
		mode = fs.ModeSymlink
	}
	return statText(mode, binary.LittleEndian.Uint64(b[32:]), binary.LittleEndian.Uint64(b[24:]))
}

func (w *guestWorld) fstat(slot int) (string, error) {
	err := w.do("fd_filestat_get", w.files[slot], dataAt)
	return w.statText(), err
}

func (w *guestWorld) stat(dir int, path string, follow bool) (string, error) {
	a, n := w.str(pathAt, path)
	err := w.do("path_filestat_get", w.dirs[dir], followFlag(follow), a, n, dataAt)
	return w.statText(), err
}

func (w *guestWorld) setTimes(dir int, path string, follow bool, mtime int64) (string, error) {
	a, n := w.str(pathAt, path)
	if err := w.do("path_filestat_set_times", w.dirs[dir], followFlag(follow), a, n, 0, uint64(mtime), uint64(fstMtim)); err != nil {
		return "", err
	}
	err := w.do("path_filestat_get", w.dirs[dir], followFlag(follow), a, n, dataAt)
	return fmt.Sprint(w.u64(dataAt + 48)), err
}

func (w *guestWorld) list(dir int) (string, error) {
	var names []string
	cookie := uint64(0)
	for {
		const size = 200 // so that a listing takes several calls
		if err := w.do("fd_readdir", w.dirs[dir], dataAt, size, cookie, resultAt); err != nil {
			return "", err
		}
		used := w.u32(resultAt)
		b := w.guest.mem[dataAt:][:used]
		for len(b) >= direntSize {
			n := int(binary.LittleEndian.Uint32(b[16:]))
			if len(b) < direntSize+n {
				break
			}
			cookie = binary.LittleEndian.Uint64(b)
			letter := map[filetype]string{filetypeDirectory: "d", filetypeSymbolicLink: "l", filetypeRegularFile: "f"}[filetype(b[20])]
			names = append(names, string(b[direntSize:direntSize+n])+" "+letter)
			b = b[direntSize+n:]
		}
		if used < size {
			return strings.Join(names, ","), nil
		}
	}
}

func (w *guestWorld) onPath(name string, dir int, path string) (string, error) {
	a, n := w.str(pathAt, path)
	return "", w.do(name, w.dirs[dir], a, n)
}

func (w *guestWorld) mkdir(dir int, path string) (string, error) {
	return w.onPath("path_create_directory", dir, path)
}

func (w *guestWorld) rmdir(dir int, path string) (string, error) {
	return w.onPath("path_remove_directory", dir, path)
}

func (w *guestWorld) unlink(dir int, path string) (string, error) {
	return w.onPath("path_unlink_file", dir, path)
}

func (w *guestWorld) symlink(target string, dir int, path string) (string, error) {
	t, tn := w.str(newPathAt, target)
	a, n := w.str(pathAt, path)
	return "", w.do("path_symlink", t, tn, w.dirs[dir], a, n)
}

func (w *guestWorld) readlink(dir int, path string) (string, error) {
	a, n := w.str(pathAt, path)
	err := w.do("path_readlink", w.dirs[dir], a, n, dataAt, 4096, resultAt)
	if err != nil {
		return "", err
	}
	return string(w.guest.mem[dataAt:][:w.u32(resultAt)]), nil
}

func (w *guestWorld) link(dir int, path string, to int, newPath string) (string, error) {
	a, n := w.str(pathAt, path)
	b, bn := w.str(newPathAt, newPath)
	return "", w.do("path_link", w.dirs[dir], 0, a, n, w.dirs[to], b, bn)
}

func (w *guestWorld) rename(dir int, path string, to int, newPath string) (string, error) {
	a, n := w.str(pathAt, path)
	b, bn := w.str(newPathAt, newPath)
	return "", w.do("path_rename", w.dirs[dir], a, n, w.dirs[to], b, bn)
}

func (w *guestWorld) tree() string {
	if w.mem == nil {
		return hostTree(filepath.Join(w.top, "inside"))
	}
	var b strings.Builder
	fs.WalkDir(w.mem, ".", func(p string, e fs.DirEntry, err error) error {
		content := ""
		switch {
		case err != nil:
			content = err.Error()
		case e.Type() == fs.ModeSymlink:
			content, _ = w.mem.ReadLink(p)
		case e.Type().IsRegular():
			data, _ := w.mem.ReadFile(p)
			content = string(data)
		}
		fmt.Fprintf(&b, "%s %s %q\n", p, kindLetter(e.Type()), content)
		return nil
	})
	return b.String()
}

func (w *guestWorld) finish() error {
	err := w.p.Close()
	if w.mem == nil {
		err = errors.Join(err, checkCanaries(w.top))
	}
	return err
}

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

func (s *sequence) bool() bool { return s.next(2) == 1 }

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
		n = 60
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
