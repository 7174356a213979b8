package jit

import (
	"sync"
	"sync/atomic"
)

// Old code must stay until no call is in it. To know that without a lock in
// every call, time is cut into eras. A call counts in the era in which it
// begins. Code is retired into the current era, and a new one begins; who comes
// later cannot find the code any more. The code is released when the counts of
// its era and of all before it are zero.
//
// A call that has read the current era just before it ended may add itself to
// an era whose count somebody has seen to be zero. So it looks again, and if the
// era has changed it takes itself out and starts over; it has not looked for any
// code yet.

// era counts calls, and holds what is released when they have ended.
type era struct {
	calls  atomic.Int64
	old    []*batch
	thunks []thunk
}

// eras are the eras of a module that have not ended yet.
type eras struct {
	now atomic.Pointer[era]

	mu   sync.Mutex
	list []*era // oldest first, the last is now
	pool *thunks
}

func (s *eras) init() {
	e := &era{}
	s.list = []*era{e}
	s.now.Store(e)
}

// enter begins a call.
func (s *eras) enter() *era {
	for {
		e := s.now.Load()
		e.calls.Add(1)
		if s.now.Load() == e {
			return e
		}
		s.leave(e)
	}
}

// leave ends a call that began in e.
func (s *eras) leave(e *era) {
	if e.calls.Add(-1) == 0 && s.now.Load() != e {
		s.mu.Lock()
		s.drain()
		s.mu.Unlock()
	}
}

// retire releases batches that later calls cannot find when earlier calls have
// ended.
func (s *eras) retire(list ...*batch) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.list[len(s.list)-1]
	if now.old = append(now.old, list...); len(now.old) == 0 && len(now.thunks) == 0 {
		return
	}
	next := &era{}
	s.list = append(s.list, next)
	s.now.Store(next)
	s.drain()
}

// giveThunk gives a thunk back with the next batches that are retired.
func (s *eras) giveThunk(pool *thunks, t thunk) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pool = pool
	now := s.list[len(s.list)-1]
	now.thunks = append(now.thunks, t)
}

// drain releases what the oldest eras hold, as long as they have no calls.
func (s *eras) drain() {
	for len(s.list) > 1 && s.list[0].calls.Load() == 0 {
		e := s.list[0]
		s.list[0] = nil
		s.list = s.list[1:]
		for _, b := range e.old {
			b.release()
		}
		for _, t := range e.thunks {
			s.pool.give(t)
		}
	}
}
