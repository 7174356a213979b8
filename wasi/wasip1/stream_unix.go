//go:build unix

package wasip1

import (
	"context"
	"io"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

// rawConn is what poll(2) can wait for in c, and whether reads and writes of it
// may wait themselves.
func rawConn(c syscall.Conn) (raw syscall.RawConn, blocking bool) {
	raw, err := c.SyscallConn()
	if err != nil {
		return nil, false
	}
	blocking = true
	raw.Control(func(fd uintptr) {
		if flags, err := unix.FcntlInt(fd, unix.F_GETFL, 0); err == nil {
			blocking = flags&unix.O_NONBLOCK == 0
		}
	})
	return raw, blocking
}

// pipeBuf is how much can be written without waiting to a pipe that is ready:
// PIPE_BUF.
func pipeBuf() int {
	if runtime.GOOS == "linux" {
		return 4096 // pipe(7)
	}
	return 512 // what POSIX demands of all systems
}

// rawRead reads with one system call, after having waited until that does not
// wait.
func (s *stream) rawRead(ctx context.Context, b []byte, nonblock bool) (int, error) {
	return s.rawDo(ctx, false, nonblock, func(fd int) (int, error) {
		n, err := unix.Read(fd, b)
		if n == 0 && err == nil {
			err = io.EOF
		}
		return max(n, 0), err
	})
}

func (s *stream) rawWrite(ctx context.Context, b []byte, nonblock bool) (int, error) {
	if s.blocking && (nonblock || ctx.Done() != nil) {
		b = b[:min(len(b), pipeBuf())]
	}
	return s.rawDo(ctx, true, nonblock, func(fd int) (int, error) {
		n, err := unix.Write(fd, b)
		return max(n, 0), err
	})
}

func (s *stream) rawDo(ctx context.Context, write, nonblock bool, do func(fd int) (int, error)) (int, error) {
	for {
		// A descriptor that waits by itself must be ready first, unless nothing could
		// end the wait anyway.
		if s.blocking && (nonblock || ctx.Done() != nil) {
			if err := s.await(ctx, write, nonblock); err != nil {
				return 0, err
			}
		}
		var n int
		var err error
		attempt := func(fd uintptr) bool {
			n, err = do(int(fd))
			return true
		}
		var failed error
		if write {
			failed = s.raw.Write(attempt)
		} else {
			failed = s.raw.Read(attempt)
		}
		switch {
		case failed != nil:
			return 0, failed
		case err == unix.EINTR:
		case err == unix.EAGAIN:
			if err := s.await(ctx, write, nonblock); err != nil {
				return 0, err
			}
		default:
			return n, err
		}
	}
}

// await waits until the system says that s is ready.
func (s *stream) await(ctx context.Context, write, nonblock bool) error {
	timeout := forever
	if nonblock {
		timeout = 0
	}
	w := []rawWait{{raw: s.raw, write: write}}
	if err := waitRaw(ctx, w, timeout, nil); err != nil {
		return err
	}
	if !w[0].ready {
		return ErrnoAgain
	}
	return nil
}
