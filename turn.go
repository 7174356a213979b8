package davit

import (
	"context"
	"sync/atomic"
)

// turn is a lock that is waited for as long as a context lasts. Taking and
// giving it back costs two atomic operations while nobody waits, which a call
// of a few nanoseconds can bear and a channel's locking cannot.
type turn struct {
	taken   atomic.Bool
	waiters atomic.Int32
	free    chan struct{} // capacity 1: something for one waiter to look at
}

func newTurn() turn { return turn{free: make(chan struct{}, 1)} }

// try takes the turn if it is free.
func (t *turn) try() bool { return t.taken.CompareAndSwap(false, true) }

// wait takes the turn when it is free; false if ctx ends before.
func (t *turn) wait(ctx context.Context) bool {
	// A waiter counts itself before it looks, and who gives the turn back frees
	// it before counting waiters: so none is overlooked.
	t.waiters.Add(1)
	defer t.waiters.Add(-1)
	for !t.try() {
		select {
		case <-t.free:
		case <-ctx.Done():
			t.wake() // it may have been this waiter's to look
			return false
		}
	}
	return true
}

// give gives the turn back.
func (t *turn) give() {
	t.taken.Store(false)
	if t.waiters.Load() > 0 {
		t.wake()
	}
}

func (t *turn) wake() {
	select {
	case t.free <- struct{}{}:
	default:
	}
}
