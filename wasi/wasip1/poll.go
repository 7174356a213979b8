package wasip1

import (
	"context"
	"encoding/binary"
	"math"
	"os"
	"time"
)

// Kinds of subscriptions and events.
const (
	eventClock = iota
	eventFdRead
	eventFdWrite
)

// forever is the time that a wait without limit lasts.
const forever = time.Duration(-1)

// fileWait is a file that is waited for.
type fileWait struct {
	file   *os.File
	write  bool
	ready  bool // result
	hangup bool // result
}

// maxSubscriptions bounds the work of one poll_oneoff.
const maxSubscriptions = 16 << 10

// subscription is a decoded subscription with what became of it.
type subscription struct {
	userdata uint64
	kind     byte
	ready    bool
	err      Errno
	nbytes   uint64
	hangup   bool
	wait     int           // index of the file waited for, plus one
	due      time.Duration // eventClock: time from the start of the call
}

// pollOneoff waits until at least one of the subscribed events has happened,
// and reports all that have.
func (c *call) pollOneoff(a []uint64) Errno {
	n := uint64(uint32(a[2]))
	if n == 0 || n > maxSubscriptions {
		return ErrnoInval
	}
	in, e := c.view(a[0], n*subscriptionSize)
	if e != ErrnoSuccess {
		return e
	}
	out, e := c.view(a[1], n*eventSize)
	if e != ErrnoSuccess {
		return e
	}

	start := c.monotonic()
	subs := make([]subscription, n)
	var files []fileWait
	var stdin <-chan struct{} // there is at most one input that is no file
	anyReady, timeout := false, forever
	for i := range subs {
		s := &subs[i]
		b := in[i*subscriptionSize:]
		s.userdata = binary.LittleEndian.Uint64(b)
		s.kind = b[8]
		switch s.kind {
		case eventClock:
			s.due, s.err = c.dueTime(b[16:])
			if s.err == ErrnoSuccess && (timeout < 0 || s.due < timeout) {
				timeout = s.due
			}
		case eventFdRead, eventFdWrite:
			c.subscribe(s, binary.LittleEndian.Uint32(b[16:]), &files, &stdin)
		default:
			return ErrnoInval
		}
		s.ready = s.ready || s.err != ErrnoSuccess
		anyReady = anyReady || s.ready
	}

	var err error
	inputReady := false
	if anyReady {
		timeout = 0
	}
	switch {
	case len(files) > 0:
		err = waitFiles(c.ctx, files, timeout, stdin)
	case stdin != nil:
		err = waitChannel(c.ctx, stdin, timeout)
	case timeout > 0:
		err = c.sleep(c.ctx, timeout)
	case timeout < 0:
		<-c.ctx.Done() // every subscription is ready or timed; so this cannot be
	}
	if err != nil {
		return c.fail(err)
	}
	if stdin != nil {
		select {
		case <-stdin:
			inputReady = true
		default:
		}
	}

	elapsed := c.monotonic() - start
	if len(files) == 0 && stdin == nil && !anyReady {
		elapsed = max(elapsed, timeout) // whatever clock Sleep went by
	}
	events := 0
	for i := range subs {
		s := &subs[i]
		switch {
		case s.ready:
		case s.kind == eventClock:
			s.ready = s.due <= elapsed
		case s.wait > 0:
			w := &files[s.wait-1]
			s.ready, s.hangup = w.ready, w.hangup
		default:
			s.ready = inputReady
		}
		if !s.ready {
			continue
		}
		b := out[events*eventSize:][:eventSize]
		events++
		clear(b)
		binary.LittleEndian.PutUint64(b, s.userdata)
		binary.LittleEndian.PutUint16(b[8:], uint16(s.err))
		b[10] = s.kind
		binary.LittleEndian.PutUint64(b[16:], s.nbytes)
		if s.hangup {
			b[24] = 1
		}
	}
	return c.putU32(a[3], uint32(events))
}

// dueTime decodes a subscription of a clock: how long to wait from now.
func (c *call) dueTime(b []byte) (time.Duration, Errno) {
	id, timeout := binary.LittleEndian.Uint32(b), binary.LittleEndian.Uint64(b[8:])
	flags := binary.LittleEndian.Uint16(b[24:])
	now, e := c.clock(id)
	if e != ErrnoSuccess {
		return 0, e
	}
	if flags&^1 != 0 {
		return 0, ErrnoInval
	}
	if flags&1 != 0 { // absolute
		if timeout <= now {
			return 0, ErrnoSuccess
		}
		timeout -= now
	}
	return time.Duration(min(timeout, math.MaxInt64)), ErrnoSuccess
}

// subscribe finds out whether a descriptor is ready, and else what to wait for.
func (c *call) subscribe(s *subscription, fd uint32, files *[]fileWait, stdin *<-chan struct{}) {
	need := rightPollFdReadwrite | rightFdRead
	if s.kind == eventFdWrite {
		need = rightPollFdReadwrite | rightFdWrite
	}
	d, e := c.get(fd, need)
	if e != ErrnoSuccess {
		s.err = e
		return
	}
	file := d.file
	switch {
	case d.regular:
		if s.kind == eventFdRead {
			s.nbytes = bytesLeft(d)
		}
		s.ready = true
		return
	case d.in != nil && d.in.file != nil && !d.in.prompt:
		file = d.in.file
	case d.out != nil && d.out.file != nil && !alwaysReady(d.out.file):
		file = d.out.file
	case d.in != nil:
		ch := d.in.awaited()
		if ch == nil {
			s.ready = true
			return
		}
		*stdin = ch
		return
	}
	if file == nil {
		s.ready = true
		return
	}
	*files = append(*files, fileWait{file: file, write: s.kind == eventFdWrite})
	s.wait = len(*files)
}

// bytesLeft is the number of bytes from a file's offset to its end.
func bytesLeft(d *descriptor) uint64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	at, err := d.file.Seek(0, whenceCur)
	if err != nil {
		return 0
	}
	info, err := d.file.Stat()
	if err != nil {
		return 0
	}
	return uint64(max(info.Size()-at, 0))
}

// waitChannel waits until ch is closed, timeout has passed or ctx ends.
func waitChannel(ctx context.Context, ch <-chan struct{}, timeout time.Duration) error {
	var timer <-chan time.Time
	switch {
	case timeout == 0:
		return nil
	case timeout > 0:
		t := time.NewTimer(timeout)
		defer t.Stop()
		timer = t.C
	}
	select {
	case <-ch:
		return nil
	case <-timer:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
