package vm

import (
	"context"
	"sync/atomic"

	"github.com/davit-wasm/davit/internal/native"
)

// Turn is the lock on a store, which is waited for as long as a context lasts.
// A call into WebAssembly may take a few nanoseconds, and an atomic operation
// takes as long as the whole of it. Most stores are used by one goroutine all
// their life. So a turn is biased: the first goroutine to take it, its owner,
// takes it and gives it back with plain stores, as package native's bias.go
// explains. When another goroutine wants it, the bias is revoked for good, and
// the turn becomes an ordinary lock.
//
//   - Biased, and taken by its owner: busy is set.
//   - Not biased, and taken: taken is set. What the owner took before the bias
//     was revoked must have been given back too: busy is not set.
type Turn struct {
	owner atomic.Uintptr // 0 until first taken
	bias  atomic.Uint32
	busy  uint32 // written by the owner only; see [Turn.loadBusy]

	// unbiased says that whoever has the turn took it with taken. It belongs to
	// whoever has the turn.
	unbiased bool
	taken    atomic.Bool
	waiters  atomic.Int32
	free     chan struct{} // capacity 1: something for one waiter to look at
}

// States of the bias.
const (
	biased   = iota
	revoking // the owner may not have seen it yet
	revoked
)

// NewTurn makes a turn that nobody has taken.
func NewTurn() *Turn {
	t := &Turn{free: make(chan struct{}, 1)}
	if !native.CanBias() {
		t.bias.Store(revoked)
	}
	return t
}

// Try takes the turn if it is free.
func (t *Turn) Try() bool {
	if t.bias.Load() == biased {
		g := native.Goroutine()
		if t.owner.Load() == g {
			if t.busy != 0 {
				return false // a call within a call
			}
			t.busy = 1
			if t.bias.Load() == biased {
				return true
			}
			t.busy = 0
			t.wake()
		} else if t.owner.Load() == 0 && t.owner.CompareAndSwap(0, g) {
			return t.Try()
		}
	}
	return t.tryUnbiased()
}

func (t *Turn) tryUnbiased() bool {
	if t.bias.Load() != revoked {
		t.bias.CompareAndSwap(biased, revoking)
		native.FenceAll()
		t.bias.Store(revoked)
	}
	if !t.taken.CompareAndSwap(false, true) {
		return false
	}
	if t.loadBusy() {
		// The owner wakes who waits when it gives the turn back. If it has just done
		// so, whoever it woke may have found the turn taken by this look at it.
		t.taken.Store(false)
		if !t.loadBusy() {
			t.wake()
		}
		return false
	}
	t.unbiased = true
	return true
}

// loadBusy reports whether the owner has the turn by its bias. Once it is false,
// after a fence that followed the revocation, it stays so, but for an owner that
// is about to see the revocation.
func (t *Turn) loadBusy() bool { return atomic.LoadUint32(&t.busy) != 0 }

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
	if !t.unbiased {
		t.busy = 0
		if t.bias.Load() != biased {
			t.wake()
		}
		return
	}
	t.unbiased = false
	t.taken.Store(false)
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
