package native

import (
	"errors"
	"fmt"
	"iter"
	"sync"
	"sync/atomic"

	"github.com/davit-wasm/davit/internal/layout"
)

// CPU profiles. Every thread gets a timer that counts the processor time it uses
// and sends it a signal, a tick, which the handler in the stubs takes:
//
//   - In a function body the code yields, as by Go's preemption signal, and the Go
//     side, in [Stack.Serve], tells who serves the code by [Ticker]. All frames are
//     there to be looked at.
//   - In Go code that serves native code (host functions) the handler notes the
//     return addresses on Go's stack, if the goroutine is watched: see [Watch]. The
//     native frames are still the same when the host function has ended.
//   - On the way in and out, in trampolines and stubs, it is counted.
//   - Anywhere else it is nothing: that is for Go's own profiles, with which this
//     one shares nothing, so that both may be taken at once.
//
// Nothing of this costs anything as long as no profile is taken.

// ErrProfiling is the error of [StartProfile] while a profile is taken.
var ErrProfiling = errors.New("a CPU profile is being taken already")

// Ticker is implemented by a [Host] that wants to know of ticks of the profile's
// timers.
type Ticker interface {
	// Tick is called when n ticks have interrupted native code. [Stack.Interrupted]
	// tells where. It must not call native code on s.
	Tick(s *Stack, n int)
}

// profile is the state of the profile that is being taken.
var profile struct {
	sync.Mutex
	timers *timers // nil if there is none
	table  uintptr // of watched goroutines, the one that the handler reads
	free   []*Watch
}

// watched says which goroutines have slots of the table, and what is in them for
// the Go side. Slots are taken and given up by the goroutines themselves.
var watched [layout.ProfileSlots]struct {
	goroutine atomic.Uintptr
	watch     *Watch
}

// StartProfile begins to send ticks, rate for each second of processor time that a
// thread uses. The kernel may take several at once; it tells how many.
func StartProfile(rate int) error {
	if err := Supported(); err != nil {
		return err
	}
	profile.Lock()
	defer profile.Unlock()
	if profile.timers != nil {
		return ErrProfiling
	}
	if profile.table == 0 {
		table, err := mapAnonymous(layout.ProfileSlots*layout.SlotSize, protReadWrite)
		if err != nil {
			return err
		}
		profile.table = table
		store(process.state+layout.HandlerWatched, table)
	}
	if err := checkGoroutine(); err != nil {
		return err
	}
	if err := installProfileHandler(); err != nil {
		return err
	}
	store(process.state+layout.HandlerBetween, 0)
	store(process.state+layout.HandlerProfile, 1)
	t, err := startTimers(rate, process.state)
	if err != nil {
		store(process.state+layout.HandlerProfile, 0)
		return err
	}
	profile.timers = t
	return nil
}

// StopProfile ends what StartProfile began, and tells how many ticks there were in
// trampolines and stubs. Ticks that are on their way may still be told of.
func StopProfile() (between int) {
	profile.Lock()
	defer profile.Unlock()
	if profile.timers == nil {
		return 0
	}
	profile.timers.stop()
	profile.timers = nil
	store(process.state+layout.HandlerProfile, 0)
	return int(load(process.state + layout.HandlerBetween))
}

// checkGoroutine checks that g begins with the bounds of its stack, as the handler
// takes it to.
func checkGoroutine() error {
	low, high, sp := Func[func() (low, high, sp uintptr)](process.stubs + stubBounds)()
	if sp < low || sp >= high {
		return fmt.Errorf("native: profiles: %w by this Go release: it keeps the bounds of a goroutine's stack elsewhere", ErrUnsupported)
	}
	return nil
}

// Watch is what ticks find out about a goroutine while it runs Go code. It belongs
// to that goroutine.
type Watch struct {
	slot   int
	buffer uintptr
	// Owner is the caller's.
	Owner any
}

// Watched is the watch of the running goroutine; nil if it has none.
func Watched() *Watch {
	g := process.goroutine()
	first := slotOf(g)
	for i := first; i < first+layout.ProfileProbes; i++ {
		if watched[i].goroutine.Load() == g {
			return watched[i].watch
		}
	}
	return nil
}

func slotOf(g uintptr) int {
	return int(uint64(g) * layout.ProfileHash >> (64 - layout.ProfileSlotLog2))
}

// NewWatch watches the running goroutine, which must not be watched yet, until
// [Watch.End]. It returns nil if that is not possible: too many are watched.
func NewWatch() *Watch {
	profile.Lock()
	var w *Watch
	if n := len(profile.free); n > 0 {
		w = profile.free[n-1]
		profile.free = profile.free[:n-1]
	}
	profile.Unlock()
	if w == nil {
		buffer, err := mapAnonymous(layout.TicksSize, protReadWrite)
		if err != nil {
			return nil
		}
		w = &Watch{buffer: buffer}
	}
	for _, field := range [...]uintptr{layout.TicksLevel, layout.TicksBusy, layout.TicksCount, layout.TicksLost} {
		store(w.buffer+field, 0)
	}
	g := process.goroutine()
	first := slotOf(g)
	for i := first; i < first+layout.ProfileProbes; i++ {
		if watched[i].goroutine.CompareAndSwap(0, g) {
			w.slot, watched[i].watch = i, w
			at := profile.table + uintptr(i)*layout.SlotSize
			store(at+layout.SlotBuffer, w.buffer)
			store(at+layout.SlotGoroutine, g)
			return w
		}
	}
	w.recycle()
	return nil
}

// End ends the watch. It is called by the goroutine that is watched.
func (w *Watch) End() {
	store(profile.table+uintptr(w.slot)*layout.SlotSize+layout.SlotGoroutine, 0)
	watched[w.slot].watch = nil
	watched[w.slot].goroutine.Store(0)
	w.recycle()
}

func (w *Watch) recycle() {
	w.Owner = nil
	profile.Lock()
	profile.free = append(profile.free, w)
	profile.Unlock()
}

// SetLevel gives the ticks to come a level, by which [Watch.Ticks] finds them, and
// forgets those of higher levels.
func (w *Watch) SetLevel(level int) {
	store(w.buffer+layout.TicksLevel, uintptr(level))
	if w.Pending() {
		w.take(func(l int) bool { return l > level }, nil)
	}
}

// Pending reports whether there are ticks.
func (w *Watch) Pending() bool { return *w.Count() != 0 }

// Count is where the number of the ticks that are noted can be read.
func (w *Watch) Count() *uintptr { return wordAt(w.buffer + layout.TicksCount) }

// Ticks calls f for the ticks of a level, and forgets them. The program counters
// are the interrupted instruction's and return addresses, innermost first; where
// frames are just being set up, the second may be missing. There are at most
// layout.TickMaxPCs, which f must not keep.
func (w *Watch) Ticks(level int, f func(pcs []uintptr, n int)) {
	w.take(func(l int) bool { return l == level }, f)
}

// take removes the records of levels that are wanted, and calls f with them if it
// is not nil. Ticks that come meanwhile are only counted.
func (w *Watch) take(want func(level int) bool, f func(pcs []uintptr, n int)) {
	store(w.buffer+layout.TicksBusy, 1)
	defer store(w.buffer+layout.TicksBusy, 0)
	count, wanted, kept := int(load(w.buffer+layout.TicksCount)), 0, 0
	for i := range count {
		if want(int(*wordAt(w.record(i) + layout.TickLevel))) {
			wanted++
		}
	}
	if wanted == 0 {
		return
	}
	lost := int(load(w.buffer + layout.TicksLost))
	store(w.buffer+layout.TicksLost, 0)
	for i := range count {
		r := w.record(i)
		if !want(int(*wordAt(r + layout.TickLevel))) {
			copy(bytesAt(w.record(kept), 1<<layout.TickLog2), bytesAt(r, 1<<layout.TickLog2))
			kept++
			continue
		}
		// What there was no room for is likely to have been as the rest is.
		share := lost / wanted
		lost, wanted = lost-share, wanted-1
		if f == nil {
			continue
		}
		var pcs [layout.TickMaxPCs]uintptr
		n := min(int(*wordAt(r + layout.TickCount)), len(pcs))
		for k := range n {
			pcs[k] = *wordAt(r + layout.TickPCs + uintptr(k)*8)
		}
		f(pcs[:n], int(*wordAt(r + layout.TickWeight))+share)
	}
	store(w.buffer+layout.TicksCount, uintptr(kept))
}

func (w *Watch) record(i int) uintptr {
	return w.buffer + layout.TicksRecords + uintptr(i)<<layout.TickLog2
}

// tick tells the host of ticks that have made native code yield. It returns false
// if there were none.
func (s *Stack) tick(h Host) bool {
	n := *s.word(layout.ExecTicks)
	if n == 0 {
		return false
	}
	*s.word(layout.ExecTicks) = 0
	if t, ok := h.(Ticker); ok {
		t.Tick(s, int(n))
	}
	return true
}

// Interrupted is where native code was interrupted: the registers, and the two
// words at the stack pointer. The return address is among them as long as the
// function has not set up its frame. It is for use in [Host.Yield] and
// [Ticker.Tick].
func (s *Stack) Interrupted() (pc, sp, fp uintptr, words [2]uintptr) {
	pc, sp, fp = *s.word(layout.ExecYieldPC), *s.word(layout.ExecYieldSP), *s.word(layout.ExecYieldFP)
	if s.holds(sp) {
		words = [2]uintptr{*wordAt(sp), *wordAt(sp + 8)}
	}
	return pc, sp, fp, words
}

// InterruptedCallers yields the return addresses of the interrupted native code
// back to where Go has entered it, innermost first, but for a function's own that
// has not set up its frame. It is for use where [Stack.Interrupted] is.
func (s *Stack) InterruptedCallers() iter.Seq[uintptr] {
	return func(yield func(uintptr) bool) {
		s.walk(*s.word(layout.ExecYieldFP), *s.word(layout.ExecEntryFP), yield)
	}
}

// SuspendedSince yields the return addresses of the native code that was entered
// when [Stack.Mark] was mark, and that waits for Go, back to where Go has entered
// it, innermost first.
func (s *Stack) SuspendedSince(mark int) iter.Seq[uintptr] {
	return func(yield func(uintptr) bool) {
		sus := s.current()
		if mark < len(s.suspended) {
			sus = s.suspended[mark]
		}
		if yield(sus.exitPC) {
			s.walk(sus.exitFP, sus.entryFP, yield)
		}
	}
}
