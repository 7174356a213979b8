package vm

import (
	"context"
	"sync/atomic"

	"github.com/davit-wasm/davit/internal/native"
)

// Turn is the lock on a store, which is waited for as long as a context lasts.
// A call into WebAssembly may take a few nanoseconds, and an atomic operation
// takes as long as the whole of it. Most stores are used by one goroutine for a
// long time. So a turn is let to a goroutine, which then takes it and gives it
// back with plain stores, as package native's bias.go explains. When another
// goroutine wants it, the lease is revoked, and the turn becomes an ordinary
// lock, until one goroutine has taken it so many times in a row, nobody waiting,
// that a new lease pays.
//
//   - Taken under a lease: the lease's busy is set.
//   - Taken otherwise: taken is set, the lease is revoked, its busy is not set.
//
// A lease ends for good when it is revoked: a goroutine that has slept since it
// looked at its lease touches nothing but that. Only who has set taken revokes a
// lease or makes a new one.
type Turn struct {
	lease   atomic.Pointer[native.Lease]
	taken   atomic.Uintptr // the goroutine, or 0
	waiters atomic.Int32
	free    chan struct{} // capacity 1: something for one waiter to look at

	// The following belongs to whoever has the turn.
	leased   bool    // it was taken under the lease, which stays as long as that is so
	last     uintptr // the goroutine that took it last without a lease
	streak   uint32  // how many times in a row
	patience uint32  // length of a streak that makes a lease; doubles with each

	first native.Lease
}

// Lengths of streaks. A revocation costs microseconds, the lock about 15 ns more
// than the lease.
const (
	firstPatience = 500
	maxPatience   = 1 << 20
)

// NewTurn makes a turn that nobody has taken.
func NewTurn() *Turn {
	t := &Turn{}
	t.init()
	return t
}

// init makes a turn that nobody has taken of a zero Turn.
func (t *Turn) init() {
	t.free, t.patience = make(chan struct{}, 1), firstPatience
	t.lease.Store(&t.first)
	if !native.CanBias() {
		t.first.Revoked.Store(1)
		t.patience = 0 // none
	}
}

// Try takes the turn if it is free.
func (t *Turn) Try() bool {
	l := t.lease.Load()
	status := native.Claim(l)
	if status == native.Claimed {
		t.leased = true
		return true
	}
	return t.try(l, native.Goroutine(), status)
}

// Retake takes the turn again, when it is free, for goroutine g, which runs this.
// It has given the turn back before, and does not have it already.
func (t *Turn) Retake(g uintptr) {
	l := t.lease.Load()
	status := uintptr(native.Refused)
	if l.Owner.Load() == g && l.Revoked.Load() == 0 {
		l.Busy = 1
		if l.Revoked.Load() == 0 {
			t.leased = true
			return
		}
		status = native.Raced
	}
	if !t.try(l, g, status) {
		t.Wait(context.Background())
	}
}

// try is the rest of Try, after goroutine g has claimed a lease with an outcome
// other than success.
//
//go:noinline
func (t *Turn) try(l *native.Lease, g, status uintptr) bool {
	switch {
	case status == native.Raced:
		l.Busy = 0
		t.wake()
	case l.Revoked.Load() != 0:
	case l.Owner.Load() == g:
		return false // a call within a call
	case l.Owner.Load() == 0 && l.Owner.CompareAndSwap(0, g):
		return t.Try()
	}
	return t.tryTaken(g)
}

// tryTaken is Try without a lease.
func (t *Turn) tryTaken(g uintptr) bool {
	if !t.taken.CompareAndSwap(0, g) {
		return false
	}
	l := t.lease.Load()
	if l.Revoked.Load() == 0 {
		l.Revoked.Store(1)
		native.FenceAll()
	}
	if busy(l) {
		// The owner wakes who waits when it gives the turn back. If it has just done
		// so, whoever it woke may have found the turn taken by this look at it.
		t.taken.Store(0)
		if !busy(l) {
			t.wake()
		}
		return false
	}
	t.leased = false
	if t.patience > 0 {
		t.renew(g)
	}
	return true
}

// busy reports whether the owner of a revoked lease still has the turn. Once it
// is false, after the fence that followed the revocation, it stays so, but for
// an owner that is about to see the revocation.
func busy(l *native.Lease) bool { return atomic.LoadUint32(&l.Busy) != 0 }

// renew makes a lease for whoever has just taken the turn, if it has often done
// so.
func (t *Turn) renew(g uintptr) {
	if g != t.last {
		t.last, t.streak = g, 0
	}
	if t.streak++; t.streak < t.patience || t.waiters.Load() > 0 {
		return
	}
	t.streak = 0
	t.patience = min(2*t.patience, maxPatience)
	l := &native.Lease{Busy: 1}
	l.Owner.Store(g)
	t.leased = true
	t.lease.Store(l)
	t.taken.Store(0)
	if t.waiters.Load() > 0 {
		t.wake()
	}
}

// Mine reports whether the running goroutine has the turn. It is meant for one
// that has failed to take it.
func (t *Turn) Mine() bool {
	g := native.Goroutine()
	l := t.lease.Load()
	return t.taken.Load() == g || l.Owner.Load() == g && busy(l)
}

// Wait takes the turn when it is free; false if ctx ends before. The goroutine
// must not have the turn already.
func (t *Turn) Wait(ctx context.Context) bool {
	// A waiter counts itself before it looks, and who gives the turn back frees it
	// before counting waiters: so none is overlooked.
	t.waiters.Add(1)
	defer t.waiters.Add(-1)
	for !t.Try() {
		select {
		case <-t.free:
		case <-ctx.Done():
			t.wake() // it may have been this waiter's to look
			return false
		}
	}
	return true
}

// Give gives the turn back.
func (t *Turn) Give() {
	if t.leased {
		l := t.lease.Load()
		l.Busy = 0
		if l.Revoked.Load() == 0 {
			return
		}
	}
	t.give()
}

// give is the rest of Give, unless all is done.
//
//go:noinline
func (t *Turn) give() {
	if t.leased {
		t.wake()
		return
	}
	t.taken.Store(0)
	if t.waiters.Load() > 0 {
		t.wake()
	}
}

func (t *Turn) wake() {
	select {
	case t.free <- struct{}{}:
	default:
	}
}

// Goroutine identifies the running goroutine as long as it lives.
func Goroutine() uintptr { return native.Goroutine() }
