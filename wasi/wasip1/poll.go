package wasip1

import (
	"context"
	"encoding/binary"
	"math"
	"reflect"
	"slices"
	"syscall"
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

// rawWait is a wait for something that the system can wait for.
type rawWait struct {
	raw    syscall.RawConn
	write  bool
	ready  bool // result
	some   bool // result: there is something to read, or room to write
	hangup bool // result
}

// subscription is a decoded subscription with what became of it.
type subscription struct {
	userdata uint64
	kind     byte
	ready    bool
	err      Errno
	nbytes   uint64
	hangup   bool
	stream   *stream         // eventFdRead, eventFdWrite, unless ready at once
	done     <-chan struct{} // its operation, if that is waited for
	wait     int             // index of the rawWait, plus one
	due      time.Duration   // eventClock: time from the start of the call
}

// pollOneoff waits until at least one of the subscribed events has happened,
// and reports all that have.
func (c *call) pollOneoff(a []uint64) Errno {
	n := uint64(uint32(a[2]))
	if n == 0 || n > uint64(c.limits.Subscriptions) {
		return ErrnoInval
	}
	in, e := c.view(a[0], n*c.layout.subscriptionSize)
	if e != ErrnoSuccess {
		return e
	}
	out, e := c.view(a[1], n*eventSize)
	if e != ErrnoSuccess {
		return e
	}

	p := poll{call: c, subs: make([]subscription, n), start: c.monotonic()}
	if e := p.decode(in); e != ErrnoSuccess {
		return e
	}
	if err := p.wait(); err != nil {
		return c.fail(err)
	}
	return c.putU32(a[3], p.report(out))
}

// poll is a poll_oneoff in progress.
type poll struct {
	*call
	subs    []subscription
	start   time.Duration
	ready   bool          // something is ready already
	timeout time.Duration // till the first clock, or forever
	slept   bool          // nothing happened until the timeout passed
	waits   []rawWait
	done    []<-chan struct{}
}

// decode reads the subscriptions and finds out what is ready at once, and what
// else to wait for.
func (p *poll) decode(in []byte) Errno {
	p.timeout = forever
	for i := range p.subs {
		s := &p.subs[i]
		b := in[uint64(i)*p.layout.subscriptionSize:]
		s.userdata = binary.LittleEndian.Uint64(b)
		s.kind = b[8]
		switch s.kind {
		case eventClock:
			s.due, s.err = p.dueTime(b[p.layout.clockAt:])
			if s.err == ErrnoSuccess && (p.timeout < 0 || s.due < p.timeout) {
				p.timeout = s.due
			}
		case eventFdRead, eventFdWrite:
			p.subscribe(s, binary.LittleEndian.Uint32(b[16:]))
		default:
			return ErrnoInval
		}
		s.ready = s.ready || s.err != ErrnoSuccess
		p.ready = p.ready || s.ready
	}
	return ErrnoSuccess
}

// subscribe finds out whether a descriptor is ready, and else what to wait for.
func (p *poll) subscribe(s *subscription, fd uint32) {
	write := s.kind == eventFdWrite
	need := rightPollFdReadwrite | rightFdRead
	if write {
		need = rightPollFdReadwrite | rightFdWrite
	}
	d, e := p.get(fd, need)
	switch {
	case e != ErrnoSuccess:
		s.err = e
		return
	case d.stream == nil:
		s.ready = true
		if !write && d.file != nil {
			s.nbytes = d.bytesLeft()
		}
		return
	}
	s.stream = d.stream
	if s.ready, s.done = d.stream.readiness(write); s.ready {
		return
	}
	if s.done != nil {
		p.done = append(p.done, s.done)
		return
	}
	p.waits = append(p.waits, rawWait{raw: d.stream.raw, write: write})
	s.wait = len(p.waits)
}

// wait waits until something has happened.
func (p *poll) wait() error {
	timeout := p.timeout
	if p.ready {
		timeout = 0
	}
	if len(p.waits) == 0 && len(p.done) == 0 {
		if timeout > 0 {
			p.slept = true
			return p.sleep(p.ctx, timeout)
		}
		return nil
	}
	stop := make(chan struct{})
	defer close(stop)
	done := p.done
	if timeout > 0 && !p.realSleep {
		ctx, cancel := context.WithCancel(p.ctx)
		defer cancel()
		slept := make(chan struct{})
		go func(d time.Duration) {
			defer close(slept)
			p.sleep(ctx, d)
		}(timeout)
		done = append(slices.Clone(done), slept)
		timeout = forever
	}
	wake := anyOf(done, stop)
	var err error
	if len(p.waits) > 0 {
		err = waitRaw(p.ctx, p.waits, timeout, wake)
	} else {
		err = waitChannel(p.ctx, wake, timeout)
	}
	p.slept = timeout != 0 && !p.anyReady()
	return err
}

// anyReady reports whether something other than time has ended a wait.
func (p *poll) anyReady() bool {
	return slices.ContainsFunc(p.done, isClosed) || slices.ContainsFunc(p.waits, func(w rawWait) bool { return w.ready })
}

// anyOf is a channel that is closed once one of the channels is; nil if there
// are none. It gives up when stop is closed.
func anyOf(channels []<-chan struct{}, stop <-chan struct{}) <-chan struct{} {
	switch len(channels) {
	case 0:
		return nil
	case 1:
		return channels[0]
	}
	for _, ch := range channels {
		if isClosed(ch) {
			return ch
		}
	}
	cases := make([]reflect.SelectCase, 0, len(channels)+1)
	for _, ch := range append(slices.Clone(channels), stop) {
		cases = append(cases, reflect.SelectCase{Dir: reflect.SelectRecv, Chan: reflect.ValueOf(ch)})
	}
	wake := make(chan struct{})
	go func() {
		reflect.Select(cases)
		close(wake)
	}()
	return wake
}

func isClosed(ch <-chan struct{}) bool {
	select {
	case <-ch:
		return true
	default:
		return false
	}
}

// report writes the events that have happened, and returns their number.
func (p *poll) report(out []byte) uint32 {
	elapsed := p.monotonic() - p.start
	if p.slept {
		elapsed = max(elapsed, p.timeout) // whatever clock Sleep went by
	}
	events := uint32(0)
	for i := range p.subs {
		s := &p.subs[i]
		switch {
		case s.ready:
		case s.kind == eventClock:
			s.ready = s.due <= elapsed
		case s.done != nil:
			s.ready = isClosed(s.done)
		default:
			w := &p.waits[s.wait-1]
			s.ready, s.hangup = w.ready, w.hangup
			if w.some {
				s.nbytes = 1 // at least
			}
		}
		if !s.ready {
			continue
		}
		if s.stream != nil && s.wait == 0 && s.kind == eventFdRead {
			n, end := s.stream.available()
			s.nbytes, s.hangup = uint64(n), end
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
	return events
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
