package wasip1

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/davit-wasm/davit/wasi/vfs"
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
