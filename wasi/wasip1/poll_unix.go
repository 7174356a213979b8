//go:build unix

package wasip1

import (
	"context"
	"math"
	"os"
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

// waitFiles waits until one of the files is ready, wake is closed, timeout has
// passed, or ctx ends; only the last is an error. It uses poll(2), which
// nothing but a descriptor can end: so a pipe is waited for too, and whatever
// else may end the wait writes to it.
func waitFiles(ctx context.Context, files []fileWait, timeout time.Duration, wake <-chan struct{}) error {
	fds := make([]unix.PollFd, len(files), len(files)+1)
	for i := range files {
		conn, err := files[i].file.SyscallConn()
		if err != nil {
			return err
		}
		if err := conn.Control(func(fd uintptr) { fds[i].Fd = int32(fd) }); err != nil {
			return err
		}
		fds[i].Events = unix.POLLIN
		if files[i].write {
			fds[i].Events = unix.POLLOUT
		}
	}
	defer runtime.KeepAlive(files)
	n, err := pollFds(fds, 0)
	if err != nil {
		return err
	}
	if n > 0 || timeout == 0 {
		setReady(files, fds)
		return nil
	}
	if ctx.Done() != nil || wake != nil {
		r, w, err := os.Pipe()
		if err != nil {
			return err
		}
		defer r.Close()
		defer w.Close()
		fds = append(fds, unix.PollFd{Fd: int32(r.Fd()), Events: unix.POLLIN})
		stop := make(chan struct{})
		stopped := make(chan struct{})
		go func() {
			defer close(stopped)
			select {
			case <-ctx.Done():
			case <-wake:
			case <-stop:
				return
			}
			w.Write([]byte{0})
		}()
		defer func() { close(stop); <-stopped }()
	}
	if _, err := pollFds(fds, timeout); err != nil {
		return err
	}
	setReady(files, fds)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return nil
}

func setReady(files []fileWait, fds []unix.PollFd) {
	for i := range files {
		files[i].ready = fds[i].Revents != 0
		files[i].hangup = fds[i].Revents&(unix.POLLHUP|unix.POLLERR) != 0
	}
}

// pollFds is poll(2) with a timeout that may exceed its range, started again
// when a signal interrupts it.
func pollFds(fds []unix.PollFd, timeout time.Duration) (int, error) {
	var end time.Time
	if timeout > 0 {
		end = time.Now().Add(timeout)
	}
	for {
		ms := -1
		if timeout >= 0 {
			ms = 0
			if timeout > 0 {
				left := time.Until(end)
				// Rounded up, so that the time has passed when poll returns.
				ms = int(min((max(left, 0)+time.Millisecond-1)/time.Millisecond, math.MaxInt32))
			}
		}
		n, err := unix.Poll(fds, ms)
		if err == unix.EINTR {
			continue
		}
		if err == nil && n == 0 && timeout > 0 && time.Now().Before(end) {
			continue
		}
		return n, err
	}
}
