package wasip1

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"net"
	"os"
	"strings"
	"time"

	"github.com/davit-wasm/davit/wasi/vfs"
)

// Config says what a program gets. The zero value is a program without
// arguments, variables, input, files and network, whose output is discarded.
//
// Files, directories, listeners and connections that are handed in stay the
// caller's: a process closes what it has opened itself, and nothing else.
type Config struct {
	// Args are the arguments; by custom the first one is the program's name.
	Args []string
	// Env are the environment variables, each as NAME=VALUE.
	Env []string

	// Standard streams. A nil reader is at its end, a nil writer discards. An
	// *os.File is recognised: programs see whether it is a terminal.
	//
	// Programs wait for streams, and contexts end such waits. So a reader or
	// writer that may block (any but files and the buffers of packages bytes and
	// strings) is called from a goroutine of its own, one call at a time, if the
	// context of the program's call can end. A call that a context has
	// cut short goes on there: what it read is kept for the next read.
	Stdin          io.Reader
	Stdout, Stderr io.Writer

	// Mounts are the directories that the program may use. Their descriptors are
	// 3, 4, … in this order.
	Mounts []Mount
	// Listeners and Conns are sockets that the program may use: it can accept
	// connections, and receive and send. Their descriptors follow those of the
	// mounts, listeners first. A program cannot open others. Of a Listener that is
	// none of package net's, one connection is accepted ahead as soon as the program
	// waits for one; if the program does not take it, it is closed.
	Listeners []net.Listener
	Conns     []net.Conn

	// Random is the source of random numbers; nil means the system's
	// cryptographic one.
	Random io.Reader
	// Now and Monotonic are the clocks; nil means the system's. Monotonic is the
	// time since an arbitrary moment.
	Now       func() time.Time
	Monotonic func() time.Duration
	// Sleep waits for d, or until ctx ends, and returns what ended it; nil means
	// a real timer. A program that waits for streams too makes it run in
	// a goroutine, and ends ctx when one of them is ready.
	Sleep func(ctx context.Context, d time.Duration) error
	// Yield is what sched_yield does; nil means runtime.Gosched.
	Yield func()

	Limits Limits
}

// Limits bound what a program can make its host do. A zero field is the stated
// default.
type Limits struct {
	// Descriptors is the number of descriptors open at a time, the given ones
	// included (1024). More are EMFILE.
	Descriptors int
	// DirEntries is the number of entries of a directory that is listed (100,000).
	// A larger directory is EOVERFLOW.
	DirEntries int
	// Iovecs is the number of buffers of one read or write (1024, as POSIX
	// systems have it). More are EINVAL.
	Iovecs int
	// TransferBytes is how much one read or write moves, and random_get fills,
	// (1 GiB). A longer read or write is cut short, a longer random_get is EINVAL.
	TransferBytes int
	// PathBytes is the length of a path (4096). A longer one is ENAMETOOLONG.
	PathBytes int
	// Subscriptions is the number of events that one poll_oneoff waits for
	// (16,384). More are EINVAL.
	Subscriptions int
	// StringBytes is the size of the arguments, and that of the environment, with
	// the zero byte that ends each string (16 MiB). New fails if there is more.
	StringBytes int
}

func (l *Limits) setDefaults() error {
	for _, f := range []struct {
		name         string
		value        *int
		normal, most int
	}{
		{"Descriptors", &l.Descriptors, 1024, 1 << 20},
		{"DirEntries", &l.DirEntries, 100_000, math.MaxInt32},
		{"Iovecs", &l.Iovecs, 1024, 1 << 20},
		{"TransferBytes", &l.TransferBytes, 1 << 30, math.MaxInt32},
		{"PathBytes", &l.PathBytes, 4096, 1 << 20},
		{"Subscriptions", &l.Subscriptions, 16 << 10, 32 << 10},
		{"StringBytes", &l.StringBytes, 16 << 20, math.MaxInt32},
	} {
		if *f.value < 0 || *f.value > f.most {
			return fmt.Errorf("wasip1: Limits.%s is %d, want 1 to %d, or 0 for %d", f.name, *f.value, f.most, f.normal)
		}
		if *f.value == 0 {
			*f.value = f.normal
		}
	}
	return nil
}

// Mount is a directory that a program may use, with everything below it and
// nothing else. Exactly one of Host, Root, FS and Dir says what it is. Files
// cannot be moved or linked from one mount to another, even if they are on the
// same disk.
type Mount struct {
	// Guest is the name of the directory for the program, such as "/" or "/data".
	Guest string

	// Host is the path of a directory of the host. It is opened when the process
	// is made, and confined as an [os.Root] is.
	Host string
	// Root is a directory of the host.
	Root *os.Root
	// FS is a file system that can only be read, such as [embed.FS].
	FS fs.FS
	// Dir is a directory of a file system of the embedder's, such as [vfs.Mem].
	Dir vfs.Dir

	// ReadOnly refuses every operation that changes anything.
	ReadOnly bool
}

func (c *Config) check() error {
	for _, list := range [...]struct {
		what    string
		strings []string
	}{{"arguments", c.Args}, {"environment", c.Env}} {
		for i, s := range list.strings {
			if strings.IndexByte(s, 0) >= 0 {
				return fmt.Errorf("wasip1: %s: string %d, %q, contains a zero byte", list.what, i, s)
			}
		}
		if n := stringsSize(list.strings); n > uint64(c.Limits.StringBytes) {
			return fmt.Errorf("wasip1: %s: %d bytes exceed the limit of %d", list.what, n, c.Limits.StringBytes)
		}
	}
	for _, s := range c.Env {
		if strings.IndexByte(s, '=') <= 0 {
			return fmt.Errorf("wasip1: environment variable %q is not of the form NAME=VALUE", s)
		}
	}
	for i := range c.Mounts {
		m := &c.Mounts[i]
		var err error
		sources := 0
		for _, given := range []bool{m.Host != "", m.Root != nil, m.FS != nil, m.Dir != nil} {
			if given {
				sources++
			}
		}
		switch {
		case sources != 1:
			err = errors.New("exactly one of Host, Root, FS and Dir must be set")
		case m.Guest == "":
			err = errors.New("Guest is missing")
		case strings.IndexByte(m.Guest, 0) >= 0:
			err = errors.New("Guest contains a zero byte")
		case len(m.Guest) > c.Limits.PathBytes:
			err = errors.New("Guest is too long")
		}
		if err != nil {
			return fmt.Errorf("wasip1: mount %d for %q: %w", i, m.Guest, err)
		}
	}
	for i, l := range c.Listeners {
		if l == nil {
			return fmt.Errorf("wasip1: listener %d is nil", i)
		}
	}
	for i, conn := range c.Conns {
		if conn == nil {
			return fmt.Errorf("wasip1: connection %d is nil", i)
		}
	}
	if n := 3 + len(c.Mounts) + len(c.Listeners) + len(c.Conns); n > c.Limits.Descriptors {
		return fmt.Errorf("wasip1: the %d descriptors given exceed the limit of %d", n, c.Limits.Descriptors)
	}
	return nil
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
