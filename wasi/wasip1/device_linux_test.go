package wasip1

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// TestTerminal: programs can tell terminals from other devices, in the way in
// which libc does.
func TestTerminal(t *testing.T) {
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	terminal, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skip(err)
	}
	defer terminal.Close()
	g := newGuest(t, &Config{Stdin: null, Stdout: terminal, Mounts: []Mount{{Host: "/dev", Guest: "/dev"}}})
	opened, e := g.open("null", 0, allRights, 0)
	if e != 0 {
		t.Fatal(e)
	}
	for fd, want := range map[uint64]bool{0: false, 1: true, 2: false, uint64(opened): false} {
		g.want(0, "fd_fdstat_get", fd, 0x200)
		seekable := rights(g.u64(0x208))&(rightFdSeek|rightFdTell) != 0
		if got := filetype(g.mem[0x200]) == filetypeCharacterDevice && !seekable; got != want {
			t.Errorf("descriptor %d is a terminal: %t", fd, got)
		}
	}
	g.iovec(0x90, 0x1000, 3)
	g.want(ErrnoSPipe, "fd_pread", uint64(opened), 0x90, 1, 0, 0x98)
	g.want(ErrnoSPipe, "fd_seek", uint64(opened), 1, 0, 0x98)
	g.want(0, "fd_write", uint64(opened), 0x90, 1, 0x98)
	g.want(0, "fd_read", uint64(opened), 0x90, 1, 0x98)
	if g.u32(0x98) != 0 {
		t.Error("read something of nothing")
	}
}

// TestFifo: a named pipe below a directory is opened without waiting, and
// waited for like other streams.
func TestFifo(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "p")
	if err := unix.Mkfifo(path, 0o666); err != nil {
		t.Skip(err)
	}
	g := newGuest(t, &Config{Mounts: []Mount{{Host: dir, Guest: "/"}}})
	fd, e := g.open("p", 0, uint64(rightFdRead|rightPollFdReadwrite|rightFdstatSetFlags), 0)
	if e != 0 {
		t.Fatal(e)
	}
	w, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	g.iovec(0x90, 0x1000, 10)
	g.want(0, "fd_fdstat_set_flags", uint64(fd), uint64(fdflagNonblock))
	g.want(ErrnoAgain, "fd_read", uint64(fd), 0x90, 1, 0x98)
	g.want(0, "fd_fdstat_set_flags", uint64(fd), 0)
	fmt.Fprint(w, "hello")
	g.subscribeFd(0x1800, 1, eventFdRead, fd)
	g.want(0, "poll_oneoff", 0x1800, 0x2000, 1, 0x98)
	if got := g.read(fd, 10); got != "hello" {
		t.Errorf("read %q", got)
	}
	ctx, cancel := context.WithCancel(context.Background())
	g.ctx = ctx
	ended := make(chan error)
	go func() { _, err := g.try("fd_read", uint64(fd), 0x90, 1, 0x98); ended <- err }()
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("ended with %v", err)
	}
	g.ctx = context.Background()
	w.Close()
	if got := g.read(fd, 10); got != "" {
		t.Errorf("read %q after the end", got)
	}
}
