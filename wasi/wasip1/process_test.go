package wasip1

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/davit-wasm/davit"
	"github.com/davit-wasm/davit/internal/testdata"
	"github.com/davit-wasm/davit/wasi/vfs"
)

// testMemory is a program's memory.
type testMemory []byte

func (m testMemory) View(offset, n uint64) ([]byte, bool) {
	if offset > uint64(len(m)) || n > uint64(len(m))-offset {
		return nil, false
	}
	return m[offset : offset+n : offset+n], true
}

// guest calls functions as a program would.
type guest struct {
	t   testing.TB
	p   *Process
	mem testMemory
	ctx context.Context

	layout *layout // of the version of the interface; nil: preview1
}

func newGuest(t testing.TB, c *Config) *guest {
	t.Helper()
	p, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
	return &guest{t: t, p: p, mem: make(testMemory, 1<<16), ctx: context.Background()}
}

// try calls a function by name and returns its result and what ended the
// program.
func (g *guest) try(name string, args ...uint64) (Errno, error) {
	g.t.Helper()
	for i := range functions {
		if f := &functions[i]; f.name == name {
			if len(args) != len(f.params) {
				g.t.Fatalf("%s takes %d arguments", name, len(f.params))
			}
			a := append(slices.Clone(args), 0)
			l := g.layout
			if l == nil {
				l = &preview1
			}
			err := g.p.invoke(g.ctx, f, l, g.mem, a)
			return Errno(a[0]), err
		}
	}
	g.t.Fatalf("no function %s", name)
	return 0, nil
}

// want calls a function that must have the given result.
func (g *guest) want(e Errno, name string, args ...uint64) {
	g.t.Helper()
	got, err := g.try(name, args...)
	if err != nil {
		g.t.Fatalf("%s: ended with %v", name, err)
	}
	if got != e {
		g.t.Fatalf("%s%v = %v, want %v", name, args, got, e)
	}
}

// str puts a string into the program's memory.
func (g *guest) str(at uint64, s string) (uint64, uint64) {
	copy(g.mem[at:], s)
	return at, uint64(len(s))
}

func (g *guest) u32(at uint64) uint32 { return binary.LittleEndian.Uint32(g.mem[at:]) }
func (g *guest) u64(at uint64) uint64 { return binary.LittleEndian.Uint64(g.mem[at:]) }

// iovec describes one buffer at address at.
func (g *guest) iovec(at, buf, n uint64) {
	binary.LittleEndian.PutUint32(g.mem[at:], uint32(buf))
	binary.LittleEndian.PutUint32(g.mem[at+4:], uint32(n))
}

const allRights = uint64(1<<30 - 1)

// open opens a path below descriptor 3.
func (g *guest) open(path string, oflags, base uint64, fdflags uint64) (uint32, Errno) {
	g.t.Helper()
	a, n := g.str(0x100, path)
	e, err := g.try("path_open", 3, 0, a, n, oflags, base, allRights, fdflags, 0x80)
	if err != nil {
		g.t.Fatal(err)
	}
	return g.u32(0x80), e
}

func (g *guest) write(fd uint32, s string) {
	g.t.Helper()
	b, n := g.str(0x1000, s)
	g.iovec(0x90, b, n)
	g.want(0, "fd_write", uint64(fd), 0x90, 1, 0x98)
	if got := g.u32(0x98); got != uint32(n) {
		g.t.Fatalf("wrote %d bytes of %d", got, n)
	}
}

func (g *guest) read(fd uint32, n uint64) string {
	g.t.Helper()
	g.iovec(0x90, 0x1000, n)
	g.want(0, "fd_read", uint64(fd), 0x90, 1, 0x98)
	return string(g.mem[0x1000 : 0x1000+uint64(g.u32(0x98))])
}

// TestSignatures: the functions are those that the interface's description
// has, with its parameters.
func TestSignatures(t *testing.T) {
	path := filepath.Join(testdata.Conformance(t), "wit/wasi-0.1/preview1/witx/wasi_snapshot_preview1.witx")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	source := regexp.MustCompile(`;;.*`).ReplaceAllString(string(text), "")
	// Types of parameters that take an i64; a string takes an address and a length,
	// an array likewise.
	wide := map[string]bool{"$filesize": true, "$filedelta": true, "$timestamp": true, "$rights": true, "$dircookie": true}
	want := map[string]string{}
	for _, part := range strings.Split(source, "(@interface func")[1:] {
		name := regexp.MustCompile(`\(export "(\w+)"\)`).FindStringSubmatch(part)[1]
		sig := ""
		for _, m := range regexp.MustCompile(`\(param \$\w+ (\$?\w+|\(@witx)`).FindAllStringSubmatch(part, -1) {
			switch {
			case wide[m[1]]:
				sig += "I"
			case m[1] == "string" || strings.HasSuffix(m[1], "_array"):
				sig += "ii"
			default:
				sig += "i"
			}
		}
		// Results but the error are written to memory, each at an address.
		for range regexp.MustCompile(`\(expected \$|\(expected \(tuple`).FindAllString(part, -1) {
			sig += "i"
		}
		if strings.Contains(part, "(expected (tuple") {
			sig += "i"
		}
		want[name] = sig
	}
	if len(want) < 45 {
		t.Fatalf("found only %d functions in %s", len(want), path)
	}
	for _, f := range functions {
		if sig, ok := want[f.name]; !ok {
			t.Errorf("%s is not in the description", f.name)
		} else if sig != f.params {
			t.Errorf("%s has parameters %s, want %s", f.name, f.params, sig)
		}
		delete(want, f.name)
	}
	for name := range want {
		t.Errorf("%s is missing", name)
	}
}

func TestStrings(t *testing.T) {
	g := newGuest(t, &Config{Args: []string{"prog", "", "x y"}, Env: []string{"A=1"}})
	g.want(0, "args_sizes_get", 0, 4)
	if g.u32(0) != 3 || g.u32(4) != 10 {
		t.Fatalf("sizes %d, %d", g.u32(0), g.u32(4))
	}
	g.want(0, "args_get", 16, 64)
	if got := string(g.mem[64:74]); got != "prog\x00\x00x y\x00" {
		t.Fatalf("%q", got)
	}
	if g.u32(16) != 64 || g.u32(20) != 69 || g.u32(24) != 70 {
		t.Fatal("wrong addresses")
	}
	g.want(0, "environ_get", 16, 64)
	if got := string(g.mem[64:68]); got != "A=1\x00" {
		t.Fatalf("%q", got)
	}
	g.want(ErrnoFault, "args_get", 1<<16-8, 0)
	if _, err := New(&Config{Env: []string{"novalue"}}); err == nil {
		t.Error("a variable without = was accepted")
	}
	if _, err := New(&Config{Args: []string{"a\x00b"}}); err == nil {
		t.Error("a zero byte was accepted")
	}
}

func TestExit(t *testing.T) {
	g := newGuest(t, nil)
	_, err := g.try("proc_exit", 7)
	var exit *davit.ExitError
	if !errors.As(err, &exit) || exit.Code != 7 {
		t.Fatal(err)
	}
}

func TestFiles(t *testing.T) {
	dir := t.TempDir()
	g := newGuest(t, &Config{Mounts: []Mount{{Host: dir, Guest: "/d"}}})
	g.want(0, "fd_prestat_get", 3, 0)
	if g.u32(4) != 2 {
		t.Fatal("wrong length of name")
	}
	g.want(ErrnoBadF, "fd_prestat_get", 4, 0)
	g.want(ErrnoBadF, "fd_prestat_get", 0, 0)

	fd, e := g.open("f", 1|4, allRights, 0) // creat, excl
	if e != 0 {
		t.Fatal(e)
	}
	if _, e := g.open("f", 1|4, allRights, 0); e != ErrnoExist {
		t.Fatal(e)
	}
	g.write(fd, "hello world")
	g.want(0, "fd_seek", uint64(fd), 6, 0, 0x200)
	if got := g.read(fd, 100); got != "world" {
		t.Fatalf("%q", got)
	}
	if got := g.read(fd, 100); got != "" {
		t.Fatalf("%q after the end", got)
	}
	g.iovec(0x90, 0x1000, 3)
	g.want(0, "fd_pread", uint64(fd), 0x90, 1, 1, 0x98)
	if got := string(g.mem[0x1000:0x1003]); got != "ell" {
		t.Fatalf("%q", got)
	}
	g.want(ErrnoInval, "fd_seek", uint64(fd), ^uint64(0), 0, 0x200)
	g.want(ErrnoInval, "fd_seek", uint64(fd), 0, 3, 0x200)
	g.want(0, "fd_filestat_get", uint64(fd), 0x300)
	if g.u64(0x300+32) != 11 || g.mem[0x310] != byte(filetypeRegularFile) {
		t.Fatal("wrong attributes")
	}
	g.want(0, "fd_filestat_set_times", uint64(fd), 1_000_000_007, 2_000_000_009, 1|4)
	g.want(0, "fd_filestat_get", uint64(fd), 0x300)
	if g.u64(0x300+40) != 1_000_000_007 || g.u64(0x300+48) != 2_000_000_009 {
		t.Fatal("times were not set")
	}
	g.want(ErrnoInval, "fd_filestat_set_times", uint64(fd), 0, 0, 3)

	// Appending goes to the end, wherever the offset is.
	g.want(0, "fd_fdstat_set_flags", uint64(fd), 1)
	g.want(0, "fd_seek", uint64(fd), 0, 0, 0x200)
	g.write(fd, "!")
	g.want(0, "fd_tell", uint64(fd), 0x200)
	if g.u64(0x200) != 12 {
		t.Fatal("not appended")
	}

	// Rights can be given up, and not taken back.
	g.want(0, "fd_fdstat_set_rights", uint64(fd), uint64(rightFdRead|rightFdSeek), 0)
	g.want(ErrnoNotCapable, "fd_fdstat_set_rights", uint64(fd), uint64(rightFdRead|rightFdWrite), 0)
	g.want(ErrnoBadF, "fd_write", uint64(fd), 0x90, 1, 0x98)
	g.want(0, "fd_tell", uint64(fd), 0x200) // seek implies tell

	// Numbers: the lowest free one is used; renumbering closes its target.
	fd2, _ := g.open("f", 0, uint64(rightFdRead), 0)
	g.want(0, "fd_renumber", uint64(fd2), uint64(fd))
	g.want(ErrnoBadF, "fd_close", uint64(fd2))
	g.want(0, "fd_close", uint64(fd))
	g.want(ErrnoBadF, "fd_renumber", 3, uint64(fd))
	if fd3, _ := g.open("f", 0, uint64(rightFdRead), 0); fd3 != 4 {
		t.Fatalf("descriptor %d, want the lowest free one", fd3)
	}
	g.want(ErrnoBadF, "fd_read", 77, 0x90, 1, 0x98)
}

func TestDescriptorLimit(t *testing.T) {
	dir := t.TempDir()
	os.WriteFile(filepath.Join(dir, "f"), nil, 0o666)
	g := newGuest(t, &Config{Mounts: []Mount{{Host: dir, Guest: "/"}}, Limits: Limits{Descriptors: 6}})
	for range 2 {
		if _, e := g.open("f", 0, uint64(rightFdRead), 0); e != 0 {
			t.Fatal(e)
		}
	}
	if _, e := g.open("f", 0, uint64(rightFdRead), 0); e != ErrnoMFile {
		t.Fatal(e)
	}
}

// TestConfinement: nothing outside a preopened directory can be reached.
func TestConfinement(t *testing.T) {
	top := t.TempDir()
	dir := filepath.Join(top, "inside")
	os.MkdirAll(filepath.Join(dir, "sub"), 0o777)
	os.WriteFile(filepath.Join(top, "secret"), []byte("x"), 0o666)
	os.Symlink("../secret", filepath.Join(dir, "link"))
	os.Symlink("..", filepath.Join(dir, "up"))
	os.Symlink(filepath.Join(top, "secret"), filepath.Join(dir, "abs"))
	g := newGuest(t, &Config{Mounts: []Mount{{Host: dir, Guest: "/"}}})
	follow := uint64(lookupSymlinkFollow)
	for _, path := range []string{"../secret", "link", "up/secret", "abs", "sub/../../secret", "/etc/passwd", "sub/../up/secret", "..", "up", "up/"} {
		a, n := g.str(0x100, path)
		for _, oflags := range []uint64{0, 1, 2, 8, 9} {
			if e, _ := g.try("path_open", 3, follow, a, n, oflags, allRights, allRights, 0, 0x80); e == 0 {
				t.Errorf("path_open %q with flags %d got out", path, oflags)
			}
		}
		if e, _ := g.try("path_filestat_get", 3, follow, a, n, 0x300); e == 0 {
			t.Errorf("path_filestat_get %q got out", path)
		}
		if e, _ := g.try("path_filestat_set_times", 3, follow, a, n, 1, 1, 5); e == 0 {
			t.Errorf("path_filestat_set_times %q got out", path)
		}
	}
	b, bn := g.str(0x400, "new")
	for _, path := range []string{"../secret", "up/secret", "sub/../../secret", "sub/../up/secret"} {
		a, n := g.str(0x100, path)
		for _, c := range []struct {
			name string
			args []uint64
		}{
			{"path_unlink_file", []uint64{3, a, n}},
			{"path_remove_directory", []uint64{3, a, n}},
			{"path_create_directory", []uint64{3, a, n}},
			{"path_readlink", []uint64{3, a, n, 0x800, 100, 0x90}},
			{"path_rename", []uint64{3, a, n, 3, b, bn}},
			{"path_rename", []uint64{3, b, bn, 3, a, n}},
			{"path_link", []uint64{3, 0, a, n, 3, b, bn}},
			{"path_symlink", []uint64{b, bn, 3, a, n}},
		} {
			if e, _ := g.try(c.name, c.args...); e == 0 {
				t.Errorf("%s %q got out", c.name, path)
			}
		}
	}
	// Opened directories confine too.
	fd, e := g.open("sub", 2, allRights&^uint64(rightFdWrite), 0)
	if e != 0 {
		t.Fatal(e)
	}
	a, n := g.str(0x100, "../link")
	g.want(ErrnoPerm, "path_filestat_get", uint64(fd), 0, a, n, 0x300)
	if s, err := os.ReadFile(filepath.Join(top, "secret")); err != nil || string(s) != "x" {
		t.Fatalf("the secret is now %q, %v", s, err)
	}
}

// TestReadOnly: a read-only mount refuses every function that changes anything,
// and opened directories pass that on.
func TestReadOnly(t *testing.T) {
	dir := t.TempDir()
	os.MkdirAll(filepath.Join(dir, "sub/empty"), 0o777)
	os.WriteFile(filepath.Join(dir, "sub/f"), []byte("data"), 0o666)
	g := newGuest(t, &Config{Mounts: []Mount{{Host: dir, Guest: "/", ReadOnly: true}}})
	fd, e := g.open("sub", 2, allRights&^uint64(rightFdWrite), 0)
	if e != 0 {
		t.Fatal(e)
	}
	f, e := g.open("sub/f", 0, uint64(rightFdRead|rightFdSeek), 0)
	if e != 0 {
		t.Fatal(e)
	}
	if got := g.read(f, 10); got != "data" {
		t.Fatalf("%q", got)
	}
	if _, e := g.open("sub/f", 0, allRights, 0); e != ErrnoROFS {
		t.Fatalf("opened for writing: %v", e)
	}
	d := uint64(fd)
	a, n := g.str(0x100, "f")
	b, bn := g.str(0x200, "new")
	m, mn := g.str(0x300, "empty")
	for _, c := range []struct {
		name string
		args []uint64
	}{
		{"path_open", []uint64{d, 0, b, bn, 1, allRights, 0, 0, 0x80}},
		{"path_open", []uint64{d, 0, a, n, 8, uint64(rightFdRead), 0, 0, 0x80}},
		{"path_unlink_file", []uint64{d, a, n}},
		{"path_remove_directory", []uint64{d, m, mn}},
		{"path_create_directory", []uint64{d, b, bn}},
		{"path_rename", []uint64{d, a, n, d, b, bn}},
		{"path_link", []uint64{d, 0, a, n, d, b, bn}},
		{"path_symlink", []uint64{a, n, d, b, bn}},
		{"path_filestat_set_times", []uint64{d, 0, a, n, 1, 1, 5}},
		{"fd_filestat_set_times", []uint64{d, 1, 1, 5}},
		{"fd_filestat_set_times", []uint64{uint64(f), 1, 1, 5}},
		{"fd_filestat_set_size", []uint64{uint64(f), 0}},
		{"fd_allocate", []uint64{uint64(f), 0, 100}},
		{"fd_write", []uint64{uint64(f), 0x90, 1, 0x98}},
		{"fd_pwrite", []uint64{uint64(f), 0x90, 1, 0, 0x98}},
	} {
		g.want(ErrnoROFS, c.name, c.args...)
	}
	if s, err := os.ReadFile(filepath.Join(dir, "sub/f")); err != nil || string(s) != "data" {
		t.Fatalf("%q, %v", s, err)
	}
}

func TestReaddir(t *testing.T) {
	dir := t.TempDir()
	want := []string{".", ".."}
	for i := range 40 {
		name := strings.Repeat(string(rune('a'+i%26)), 1+i)
		os.WriteFile(filepath.Join(dir, name), nil, 0o666)
		want = append(want, name)
	}
	slices.Sort(want[2:])
	g := newGuest(t, &Config{Mounts: []Mount{{Host: dir, Guest: "/"}}})
	for _, size := range []uint64{100, 1000, 30000} {
		var got []string
		cookie := uint64(0)
		for {
			g.want(0, "fd_readdir", 3, 0x1000, size, cookie, 0x90)
			used := uint64(g.u32(0x90))
			b := g.mem[0x1000 : 0x1000+used]
			for len(b) >= direntSize {
				n := int(binary.LittleEndian.Uint32(b[16:]))
				if len(b) < direntSize+n {
					break
				}
				cookie = binary.LittleEndian.Uint64(b)
				got = append(got, string(b[direntSize:direntSize+n]))
				b = b[direntSize+n:]
			}
			if used < size {
				break
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("with a buffer of %d bytes: %q", size, got)
		}
	}
	g.want(ErrnoInval, "fd_readdir", 3, 0x1000, 100, 1000, 0x90)
}

// subscribeClock puts a subscription of a clock at address at.
func (g *guest) subscribeClock(at, userdata uint64, id uint32, timeout uint64) {
	binary.LittleEndian.PutUint64(g.mem[at:], userdata)
	g.mem[at+8] = eventClock
	binary.LittleEndian.PutUint32(g.mem[at+16:], id)
	binary.LittleEndian.PutUint64(g.mem[at+24:], timeout)
}

func (g *guest) subscribeFd(at, userdata uint64, kind byte, fd uint32) {
	binary.LittleEndian.PutUint64(g.mem[at:], userdata)
	g.mem[at+8] = kind
	binary.LittleEndian.PutUint32(g.mem[at+16:], fd)
}

func TestPoll(t *testing.T) {
	r, w := io.Pipe()
	defer w.Close()
	g := newGuest(t, &Config{Stdin: r, Stdout: &bytes.Buffer{}})
	g.want(ErrnoInval, "poll_oneoff", 0x1000, 0x2000, 0, 0x90)

	g.subscribeClock(0x1000, 11, clockMonotonic, 1_000_000)
	g.subscribeFd(0x1030, 12, eventFdRead, 0)
	g.want(0, "poll_oneoff", 0x1000, 0x2000, 2, 0x90)
	if g.u32(0x90) != 1 || g.u64(0x2000) != 11 {
		t.Fatalf("%d events, first %d", g.u32(0x90), g.u64(0x2000))
	}

	// Input that arrives ends the wait, and is still there for the read.
	g.subscribeClock(0x1000, 11, clockMonotonic, uint64(time.Hour))
	go w.Write([]byte("abc"))
	g.want(0, "poll_oneoff", 0x1000, 0x2000, 2, 0x90)
	if g.u32(0x90) != 1 || g.u64(0x2000) != 12 || g.mem[0x200a] != eventFdRead {
		t.Fatalf("%d events, first %d", g.u32(0x90), g.u64(0x2000))
	}
	if got := g.read(0, 2) + g.read(0, 10); got != "abc" {
		t.Fatalf("%q", got)
	}

	// Errors are events of their own; output is always ready.
	g.subscribeFd(0x1000, 13, eventFdRead, 99)
	g.subscribeFd(0x1030, 14, eventFdWrite, 1)
	g.subscribeClock(0x1060, 15, 9, 0)
	g.want(0, "poll_oneoff", 0x1000, 0x2000, 3, 0x90)
	if g.u32(0x90) != 3 || Errno(g.mem[0x2008]) != ErrnoBadF || g.mem[0x2028] != 0 || Errno(g.mem[0x2048]) != ErrnoInval {
		t.Fatalf("%d events: % x", g.u32(0x90), g.mem[0x2000:0x2060])
	}
}

// TestWaitsEndWithContext: cancelling ends every wait.
func TestWaitsEndWithContext(t *testing.T) {
	stdin, w := io.Pipe()
	defer w.Close()
	fileIn, fileOut, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer fileIn.Close()
	defer fileOut.Close()
	reason := errors.New("enough")
	for _, in := range []io.Reader{stdin, fileIn} {
		for _, call := range []struct {
			name string
			args []uint64
		}{
			{"fd_read", []uint64{0, 0x90, 1, 0x98}},
			{"poll_oneoff", []uint64{0x1000, 0x2000, 1, 0x90}},
			{"poll_oneoff", []uint64{0x1030, 0x2000, 1, 0x90}},
		} {
			g := newGuest(t, &Config{Stdin: in})
			g.iovec(0x90, 0x4000, 10)
			g.subscribeFd(0x1000, 1, eventFdRead, 0)
			g.subscribeClock(0x1030, 2, clockMonotonic, uint64(time.Hour))
			ctx, cancel := context.WithCancelCause(context.Background())
			g.ctx = ctx
			ended := make(chan error)
			go func() { _, err := g.try(call.name, call.args...); ended <- err }()
			cancel(reason)
			if err := <-ended; !errors.Is(err, reason) {
				t.Errorf("%T %s ended with %v", in, call.name, err)
			}
		}
	}
}

// callAnything calls functions with arguments, and a memory, made of data.
func callAnything(t testing.TB, data []byte) {
	here, there := net.Pipe()
	here.Close() // so that no read waits
	there.Close()
	mem := vfs.NewMem(&vfs.MemOptions{MaxBytes: 1 << 16, MaxFiles: 20})
	mem.WriteFile("a/b", []byte("content"))
	p, err := New(&Config{
		Args: []string{"a"}, Env: []string{"A=b"}, Mounts: []Mount{{Dir: mem.Root(), Guest: "/"}, {FS: mem, Guest: "/a"}},
		Conns: []net.Conn{here}, Random: zeros{}, Limits: Limits{Descriptors: 20}, Stdin: strings.NewReader("input"),
		Sleep: func(context.Context, time.Duration) error { return nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	values := []uint64{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 64, 0x100, 1 << 13, 1<<14 - 4, 1 << 14, 1<<31 - 1, 1 << 31, 1<<32 - 1, 1 << 63, ^uint64(0)}
	memory := make(testMemory, 1<<14)
	copy(memory[0x100:], "a/b/../c\x00/..")
	copy(memory[0x400:], data)
	next := func() int {
		if len(data) == 0 {
			return 0
		}
		b := data[0]
		data = data[1:]
		return int(b)
	}
	l := [...]*layout{&preview1, &unstable}[next()%2]
	for len(data) > 0 {
		f := &functions[next()%len(functions)]
		args := make([]uint64, len(f.params)+1)
		for i := range f.params {
			args[i] = values[next()%len(values)]
		}
		if err := p.invoke(context.Background(), f, l, memory, args); err != nil && f.name != "proc_exit" && f.name != "proc_raise" {
			t.Fatalf("%s%v ends the program: %v", f.name, args, err)
		}
	}
}

// TestArguments: no arguments make a function panic or hang, or end the
// program.
func TestArguments(t *testing.T) {
	random := rand.New(rand.NewPCG(5, 6))
	for range 200 {
		data := make([]byte, 2000)
		for i := range data {
			data[i] = byte(random.Uint32())
		}
		callAnything(t, data)
	}
}

func FuzzCalls(f *testing.F) {
	f.Add([]byte{0, 1, 2, 3})
	f.Fuzz(func(t *testing.T, data []byte) { callAnything(t, data) })
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) { clear(b); return len(b), nil }
