package vm

import (
	"context"
	"sync/atomic"
	"unsafe"

	"github.com/davit-wasm/davit/internal/layout"
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
	gate
	taken   atomic.Uintptr // the goroutine, or 0
	waiters atomic.Int32
	free    atomic.Pointer[chan struct{}] // capacity 1: something for one waiter to look at; made by the first

	// The following belongs to whoever has the turn.
	current  *native.Lease // that it was taken under, which stays as long as that is so, or none
	last     uintptr       // the goroutine that took it last without a lease
	streak   uint32        // how many times in a row
	patience uint32        // length of a streak that makes a lease; doubles with each

	first native.Lease
	none  native.Lease // revoked, so that giving a turn back that was taken without a lease goes the long way
}

// gate is what direct entry trampolines go through: see [layout.GateLease].
type gate struct {
	lease atomic.Pointer[native.Lease]
	// exec is the execution context of the stack that the next call runs on if it may
	// need nothing else to begin, or nil: see [Store.setReady]. It belongs to whoever has
	// the turn.
	exec unsafe.Pointer
}

const (
	_ = uint(unsafe.Offsetof(Turn{}.gate)) + uint(-unsafe.Offsetof(Turn{}.gate))
	_ = uint(unsafe.Offsetof(gate{}.lease)-layout.GateLease) + uint(layout.GateLease-unsafe.Offsetof(gate{}.lease))
	_ = uint(unsafe.Offsetof(gate{}.exec)-layout.GateExec) + uint(layout.GateExec-unsafe.Offsetof(gate{}.exec))
)

// Lengths of streaks. A revocation costs microseconds, the lock about 15 ns more
// than the lease.
const (
	firstPatience = 500
	maxPatience   = 1 << 20
)

// Init makes a turn that nobody has taken of a zero Turn.
func (t *Turn) Init() {
	t.patience = firstPatience
	t.none.Revoked.Store(1)
	t.current = &t.first
	t.lease.Store(&t.first)
	if !native.CanBias() {
		t.first.Revoked.Store(1)
		t.patience = 0 // none
	}
}

// Try takes the turn if it is free.
func (t *Turn) Try() bool { return t.Claim() || t.try() }

// Claim is Try for the goroutine that the turn is let to; others it may refuse. It
// is small enough to be inlined. The lease is the current one then: others revoke
// it before they take the turn without it.
func (t *Turn) Claim() bool { return native.Claim(t.lease.Load()) }

// try is the rest of Try, when the lease could not be claimed.
//
//go:noinline
func (t *Turn) try() bool {
	g, l := native.Goroutine(), t.lease.Load()
	switch owner := l.Owner.Load(); {
	case l.Revoked.Load() != 0:
		if owner == g {
			t.wake() // who has revoked it may have seen it busy for a moment
		}
	case owner == g:
		return false // a call within a call
	case owner == 0 && l.Owner.CompareAndSwap(0, g):
		return t.Try()
	}
	return t.tryTaken(g)
}

// Back takes the turn again, when it is free, that the running goroutine had under
// lease l, or none, until it gave it back.
func (t *Turn) Back(l *native.Lease) {
	if !t.reclaim(l) {
		t.back(l)
	}
}

// reclaim is the short way of Back, or false. A lease is as good as before unless
// it has been revoked: who took the turn meanwhile either has the same lease or has
// revoked it.
func (t *Turn) reclaim(l *native.Lease) bool {
	if l == &t.none {
		return false
	}
	l.Busy = 1
	return l.Revoked.Load() == 0
}

// back is the rest of Back.
//
//go:noinline
func (t *Turn) back(l *native.Lease) {
	if l != &t.none {
		l.Busy = 0
		t.wake()
	}
	if !t.Try() {
		t.Wait(context.Background())
	}
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
	t.current = &t.none
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
	t.current = l
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
	// A waiter makes the channel and counts itself before it looks, and who gives the
	// turn back frees it before counting waiters: so none is overlooked.
	if t.free.Load() == nil {
		free := make(chan struct{}, 1)
		t.free.CompareAndSwap(nil, &free)
	}
	free := *t.free.Load()
	t.waiters.Add(1)
	defer t.waiters.Add(-1)
	for !t.Try() {
		select {
		case <-free:
		case <-ctx.Done():
			t.wake() // it may have been this waiter's to look
			return false
		}
	}
	return true
}

// Give gives the turn back.
func (t *Turn) Give() {
	l := t.current
	l.Busy = 0
	if l.Revoked.Load() != 0 {
		t.give()
	}
}

// give is the rest of Give, unless all is done.
//
//go:noinline
func (t *Turn) give() {
	if t.current != &t.none {
		t.wake()
		return
	}
	t.taken.Store(0)
	if t.waiters.Load() > 0 {
		t.wake()
	}
}

func (t *Turn) wake() {
	free := t.free.Load()
	if free == nil {
		return // nobody has ever waited
	}
	select {
	case *free <- struct{}{}:
	default:
	}
}

// Goroutine identifies the running goroutine as long as it lives.
func Goroutine() uintptr { return native.Goroutine() }
