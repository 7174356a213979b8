package wasip1

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/davit-wasm/davit"
	"github.com/davit-wasm/davit/wasi/vfs"
)

// stuckWriter blocks until it is released.
type stuckWriter struct {
	release chan struct{}
	mu      sync.Mutex
	got     bytes.Buffer
}

func (w *stuckWriter) Write(b []byte) (int, error) {
	<-w.release
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.got.Write(b)
}

// abandon begins to write to a descriptor that is stuck, and gives up.
func (g *guest) abandon(fd uint64, s string) {
	g.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	g.ctx = ctx
	b, n := g.str(0x1000, s)
	g.iovec(0x90, b, n)
	if _, err := g.try("fd_write", fd, 0x90, 1, 0x98); !errors.Is(err, context.Canceled) {
		g.t.Fatal(err)
	}
	g.ctx = context.Background()
}

// TestWritesEndWithContext: a writer that blocks does not hold a program, and
// what it has begun to write is written.
func TestWritesEndWithContext(t *testing.T) {
	w := &stuckWriter{release: make(chan struct{})}
	pipeIn, pipeOut, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer pipeIn.Close()
	defer pipeOut.Close()
	reason := errors.New("enough")
	for _, out := range []io.Writer{w, pipeOut} {
		g := newGuest(t, &Config{Stdout: out})
		ctx, cancel := context.WithCancelCause(context.Background())
		g.ctx = ctx
		g.iovec(0x90, 0x1000, 0x8000)
		ended := make(chan error)
		go func() {
			for {
				if _, err := g.try("fd_write", 1, 0x90, 1, 0x98); err != nil {
					ended <- err
					return
				}
			}
		}()
		cancel(reason)
		if err := <-ended; !errors.Is(err, reason) {
			t.Errorf("%T: ended with %v", out, err)
		}
	}
	close(w.release)
}

// TestNonblock: descriptors that must not block say so.
func TestNonblock(t *testing.T) {
	r, w := io.Pipe()
	defer w.Close()
	out := &stuckWriter{release: make(chan struct{})}
	g := newGuest(t, &Config{Stdin: r, Stdout: out})
	g.iovec(0x90, 0x1000, 3)
	g.want(0, "fd_fdstat_set_flags", 0, uint64(fdflagNonblock))
	g.want(ErrnoAgain, "fd_read", 0, 0x90, 1, 0x98)
	g.want(0, "fd_fdstat_set_flags", 1, uint64(fdflagNonblock))
	g.abandon(1, "abc")
	g.want(ErrnoAgain, "fd_write", 1, 0x90, 1, 0x98)
	close(out.release)
	g.subscribeFd(0x1800, 1, eventFdWrite, 1)
	g.want(0, "poll_oneoff", 0x1800, 0x2000, 1, 0x90+16)
	g.write(1, "def")
	if got := out.got.String(); got != "abcdef" {
		t.Errorf("written: %q", got)
	}
}

type panicky struct{}

func (panicky) Read([]byte) (int, error)  { panic("reader") }
func (panicky) Write([]byte) (int, error) { panic("writer") }

// TestPanics: a panic of the embedder's reader or writer reaches whoever called
// the program, though it happens in another goroutine.
func TestPanics(t *testing.T) {
	for i, name := range []string{"fd_read", "fd_write"} {
		func() {
			g := newGuest(t, &Config{Stdin: panicky{}, Stdout: panicky{}})
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			g.ctx = ctx
			defer func() {
				if got, want := recover(), []string{"reader", "writer"}[i]; got != want {
					t.Errorf("%s: panic %v, want %v", name, got, want)
				}
			}()
			g.iovec(0x90, 0x1000, 3)
			g.try(name, uint64(i), 0x90, 1, 0x98)
		}()
	}
}

// TestClocks: all time comes from the configuration.
func TestClocks(t *testing.T) {
	now := time.Unix(1_000_000, 5)
	var mono time.Duration
	var slept []time.Duration
	yields := 0
	in, w := io.Pipe()
	defer w.Close()
	g := newGuest(t, &Config{
		Stdin: in, Now: func() time.Time { return now }, Monotonic: func() time.Duration { return mono },
		Sleep: func(ctx context.Context, d time.Duration) error { slept = append(slept, d); mono += d; return nil },
		Yield: func() { yields++ },
	})
	g.want(0, "clock_time_get", clockRealtime, 0, 0x80)
	if got := g.u64(0x80); got != 1_000_000_000_000_005 {
		t.Errorf("realtime %d", got)
	}
	g.want(0, "sched_yield")
	clear(g.mem[0x1000:0x1100])
	g.subscribeClock(0x1000, 1, clockMonotonic, 5000)
	g.subscribeClock(0x1030, 2, clockRealtime, uint64(now.UnixNano())+3000)
	binary.LittleEndian.PutUint16(g.mem[0x1030+40:], 1) // absolute
	g.want(0, "poll_oneoff", 0x1000, 0x2000, 2, 0x90)
	if g.u32(0x90) != 1 || g.u64(0x2000) != 2 {
		t.Errorf("%d events, first %d", g.u32(0x90), g.u64(0x2000))
	}
	// The configuration's Sleep also ends waits for streams.
	g.subscribeFd(0x1030, 3, eventFdRead, 0)
	g.want(0, "poll_oneoff", 0x1000, 0x2000, 2, 0x90)
	if g.u32(0x90) != 1 || g.u64(0x2000) != 1 {
		t.Errorf("%d events, first %d", g.u32(0x90), g.u64(0x2000))
	}
	if len(slept) != 2 || slept[0] != 3000 || slept[1] != 5000 || yields != 1 {
		t.Errorf("slept %v, yielded %d times", slept, yields)
	}
	// Of an absolute time that is past, the event is there at once.
	g.subscribeClock(0x1000, 4, clockMonotonic, 1)
	binary.LittleEndian.PutUint16(g.mem[0x1000+40:], 1)
	g.want(0, "poll_oneoff", 0x1000, 0x2000, 1, 0x90)
	if g.u32(0x90) != 1 || len(slept) != 2 {
		t.Errorf("%d events, slept %v", g.u32(0x90), slept)
	}
}

// TestManyWaits: several streams are waited for together.
func TestManyWaits(t *testing.T) {
	in, w := io.Pipe()
	defer w.Close()
	fileIn, fileOut, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer fileIn.Close()
	defer fileOut.Close()
	out := &stuckWriter{release: make(chan struct{})}
	defer close(out.release)
	for _, wake := range []func(){func() { w.Write([]byte("x")) }, func() { fileOut.Write([]byte("x")) }} {
		g := newGuest(t, &Config{Stdin: in, Stdout: out, Stderr: fileOut})
		g.p.fds[2] = streamDescriptor(inputStream(fileIn), rightFdRead)
		g.abandon(1, "abc")
		g.subscribeFd(0x1800, 0, eventFdRead, 0)
		g.subscribeFd(0x1830, 1, eventFdWrite, 1)
		g.subscribeFd(0x1860, 2, eventFdRead, 2)
		go wake()
		g.want(0, "poll_oneoff", 0x1800, 0x2000, 3, 0x98)
		if g.u32(0x98) != 1 {
			t.Fatalf("%d events", g.u32(0x98))
		}
		g.read(uint32(g.u64(0x2000)), 1)
	}
}

func TestRaise(t *testing.T) {
	g := newGuest(t, nil)
	for signal, want := range map[uint64]uint32{6: 134, 9: 137, 15: 143, 30: 158} {
		_, err := g.try("proc_raise", signal)
		var exit *davit.ExitError
		if !errors.As(err, &exit) || exit.Code != want {
			t.Errorf("signal %d: %v", signal, err)
		}
	}
	for signal, want := range map[uint64]Errno{0: 0, 16: 0, 17: 0, 18: ErrnoNotSup, 31: ErrnoInval, 1 << 31: ErrnoInval} {
		g.want(want, "proc_raise", signal)
	}
}

// TestLimits: each limit is met with its error.
func TestLimits(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"a", "b", "c"} {
		os.WriteFile(filepath.Join(dir, name), []byte("0123456789"), 0o666)
	}
	l := Limits{DirEntries: 2, Iovecs: 2, TransferBytes: 5, PathBytes: 10, Subscriptions: 1, StringBytes: 8}
	g := newGuest(t, &Config{Args: []string{"1234567"}, Mounts: []Mount{{Host: dir, Guest: "/"}}, Limits: l})
	fd, _ := g.open("a", 0, allRights, 0)
	g.want(ErrnoOverflow, "fd_readdir", 3, 0x1000, 500, 0, 0x90)
	g.want(ErrnoInval, "fd_read", uint64(fd), 0x100, 3, 0x90)
	if got := g.read(fd, 10); got != "01234" {
		t.Errorf("read %q", got)
	}
	g.want(ErrnoInval, "random_get", 0, 6)
	g.want(0, "random_get", 0, 5)
	if _, e := g.open("long/long/long", 0, allRights, 0); e != ErrnoNameTooLong {
		t.Error(e)
	}
	g.want(ErrnoInval, "poll_oneoff", 0x1000, 0x2000, 2, 0x90)
	for _, c := range []*Config{
		{Args: []string{"12345678"}, Limits: l}, {Env: []string{"A=1", "B=2", "C="}, Limits: l},
		{Mounts: []Mount{{Dir: vfs.NewMem(nil).Root(), Guest: "12345678901"}}, Limits: l},
		{Mounts: []Mount{{Dir: vfs.NewMem(nil).Root(), Guest: "a"}}, Limits: Limits{Descriptors: 3}}, {Limits: Limits{Iovecs: -1}},
	} {
		if p, err := New(c); err == nil {
			p.Close()
			t.Errorf("%+v was accepted", c)
		}
	}
}

// TestMounts: several mounts in order; links and renames do not cross from one
// kind to another.
func TestMounts(t *testing.T) {
	mem, other := vfs.NewMem(nil), vfs.NewMem(nil)
	mem.WriteFile("f", []byte("in memory"))
	mem.WriteFile("d/g", nil)
	dir := t.TempDir()
	os.WriteFile(filepath.Join(dir, "f"), nil, 0o666)
	g := newGuest(t, &Config{Mounts: []Mount{
		{Dir: mem.Root(), Guest: "/m"}, {Host: dir, Guest: "/h"}, {Dir: other.Root(), Guest: "/o"}, {FS: mem, Guest: "/r"},
		{Dir: mem.Root(), Guest: "/n"}, {Host: dir, Guest: "/i"},
	}})
	for i, want := range []string{"/m", "/h", "/o", "/r", "/n", "/i"} {
		g.want(0, "fd_prestat_dir_name", 3+uint64(i), 0x100, 2)
		if got := string(g.mem[0x100:0x102]); got != want {
			t.Errorf("mount %d is %q", i, got)
		}
	}
	a, n := g.str(0x100, "f")
	b, bn := g.str(0x200, "d/moved")
	for _, pair := range [][2]uint64{{3, 4}, {3, 5}, {4, 3}, {3, 7}, {4, 8}} {
		g.want(ErrnoXDev, "path_rename", pair[0], a, n, pair[1], a, n)
		g.want(ErrnoXDev, "path_link", pair[0], 0, a, n, pair[1], a, n)
	}
	g.want(0, "path_filestat_get", 3, 0, a, n, 0x300)
	dev, ino := g.u64(0x300), g.u64(0x308)
	g.want(0, "path_rename", 3, a, n, 3, b, bn)
	g.want(0, "path_filestat_get", 3, 0, b, bn, 0x300)
	if dev != g.u64(0x300) || ino != g.u64(0x308) {
		t.Error("a renamed file has another number")
	}
	g.want(0, "path_filestat_get", 6, 0, b, bn, 0x300) // seen through the other mount
	if dev == g.u64(0x300) {
		t.Error("mounts have the same device number")
	}
	if got, err := mem.ReadFile("d/moved"); string(got) != "in memory" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	// A directory that was opened stays itself when it is renamed or removed.
	d, dn := g.str(0x100, "d")
	g.want(0, "path_open", 3, 0, d, dn, 2, uint64(directoryRights), allRights, 0, 0x80)
	fd := uint64(g.u32(0x80))
	e, en := g.str(0x140, "e")
	g.want(0, "path_rename", 3, d, dn, 3, e, en)
	c, cn := g.str(0x200, "moved")
	g.want(0, "path_unlink_file", fd, c, cn)
	c, cn = g.str(0x200, "g")
	g.want(0, "path_unlink_file", fd, c, cn)
	g.want(0, "path_remove_directory", 3, e, en)
	g.want(ErrnoNoEnt, "path_create_directory", fd, c, cn)
}
