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
	lease   atomic.Pointer[lease]
	taken   atomic.Uintptr // the goroutine, or 0
	waiters atomic.Int32
	free    chan struct{} // capacity 1: something for one waiter to look at

	// The following belongs to whoever has the turn.
	leased   bool    // it was taken under the lease, which stays as long as that is so
	last     uintptr // the goroutine that took it last without a lease
	streak   uint32  // how many times in a row
	patience uint32  // length of a streak that makes a lease; doubles with each

	first lease
}

// lease is the right of one goroutine.
type lease struct {
	owner   atomic.Uintptr // 0 until it is first used
	revoked atomic.Bool
	busy    uint32 // written by the owner only; see [lease.taken]
}

// Lengths of streaks. A revocation costs microseconds, the lock about 15 ns more
// than the lease.
const (
	firstPatience = 500
	maxPatience   = 1 << 20
)

// NewTurn makes a turn that nobody has taken.
func NewTurn() *Turn {
	t := &Turn{free: make(chan struct{}, 1), patience: firstPatience}
	t.lease.Store(&t.first)
	if !native.CanBias() {
		t.first.revoked.Store(true)
		t.patience = 0 // none
	}
	return t
}

// Try takes the turn if it is free.
func (t *Turn) Try() bool {
	l := t.lease.Load()
	g := native.Goroutine()
	if l.owner.Load() == g && !l.revoked.Load() {
		if l.busy != 0 {
			return false // a call within a call
		}
		l.busy = 1
		if !l.revoked.Load() {
			t.leased = true
			return true
		}
		l.busy = 0
		t.wake()
	} else if l.owner.Load() == 0 && !l.revoked.Load() && l.owner.CompareAndSwap(0, g) {
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
	if !l.revoked.Load() {
		l.revoked.Store(true)
		native.FenceAll()
	}
	if l.taken() {
		// The owner wakes who waits when it gives the turn back. If it has just done
		// so, whoever it woke may have found the turn taken by this look at it.
		t.taken.Store(0)
		if !l.taken() {
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

// taken reports whether the owner of a revoked lease still has the turn. Once it
// is false, after the fence that followed the revocation, it stays so, but for
// an owner that is about to see the revocation.
func (l *lease) taken() bool { return atomic.LoadUint32(&l.busy) != 0 }

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
	l := &lease{busy: 1}
	l.owner.Store(g)
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
	return t.taken.Load() == g || l.owner.Load() == g && l.taken()
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
	if !t.leased {
		t.giveTaken()
		return
	}
	l := t.lease.Load()
	l.busy = 0
	if l.revoked.Load() {
		t.wake()
	}
}

func (t *Turn) giveTaken() {
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
