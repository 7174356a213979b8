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

// waitRaw waits until one of the waits is ready, wake is closed, timeout has
// passed, or ctx ends; only the last is an error. It uses poll(2), which
// nothing but a descriptor can end: so a pipe is waited for too, and whatever
// else may end the wait writes to it.
func waitRaw(ctx context.Context, waits []rawWait, timeout time.Duration, wake <-chan struct{}) error {
	fds := make([]unix.PollFd, len(waits), len(waits)+1)
	for i := range waits {
		if err := waits[i].raw.Control(func(fd uintptr) { fds[i].Fd = int32(fd) }); err != nil {
			return err
		}
		fds[i].Events = unix.POLLIN
		if waits[i].write {
			fds[i].Events = unix.POLLOUT
		}
	}
	defer runtime.KeepAlive(waits)
	n, err := pollFds(fds, 0)
	if err != nil {
		return err
	}
	if n > 0 || timeout == 0 {
		setReady(waits, fds)
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
	setReady(waits, fds)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return nil
}

func setReady(waits []rawWait, fds []unix.PollFd) {
	for i := range waits {
		w, got := &waits[i], fds[i].Revents
		w.ready = got != 0
		w.some = got&(unix.POLLIN|unix.POLLOUT) != 0
		w.hangup = got&(unix.POLLHUP|unix.POLLERR) != 0
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
