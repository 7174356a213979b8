package wasip1

import (
	"context"
	"io"
	"os"
	"time"
)

// Config says what a program gets. The zero value is a program without
// arguments, variables, input and files, whose output is discarded.
type Config struct {
	// Args are the arguments; by custom the first one is the program's name.
	Args []string
	// Env are the environment variables, each as NAME=VALUE.
	Env []string

	// Standard streams. A nil reader is at its end, a nil writer discards. An
	// *os.File is recognised: programs see whether it is a terminal, and waiting
	// for it can be interrupted.
	Stdin          io.Reader
	Stdout, Stderr io.Writer

	// Dirs are the directories that the program may use, in the order of their
	// descriptors, from 3 on.
	Dirs []Dir

	// Random is the source of random numbers; nil means the system's.
	Random io.Reader
	// Now and Monotonic are the clocks; nil means the system's. Monotonic is the
	// time since an arbitrary moment.
	Now       func() time.Time
	Monotonic func() time.Duration
	// Sleep waits for d, or until ctx ends, and returns what ended it; nil means
	// a real timer. It serves programs that wait for nothing but time.
	Sleep func(ctx context.Context, d time.Duration) error

	// MaxDescriptors limits the descriptors open at a time; 0 means 1024.
	MaxDescriptors int
	// MaxDirEntries limits the entries of a directory that is listed; 0 means
	// 1,000,000.
	MaxDirEntries int
}

// Dir is a directory that a program may use, with everything below it and
// nothing else.
type Dir struct {
	// Host is the path of the directory on the host. It is opened when the
	// process is made.
	Host string
	// Root is used instead of Host if it is not nil. It stays the caller's, who
	// closes it after the process.
	Root *os.Root
	// Guest is the name of the directory for the program, such as "/" or "/data".
	Guest string
	// ReadOnly refuses every operation that changes anything.
	ReadOnly bool
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
