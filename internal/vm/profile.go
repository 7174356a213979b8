package vm

import (
	"context"
	"reflect"
	"runtime"
	"sync"
	"sync/atomic"
	"unsafe"

	"github.com/davit-wasm/davit/internal/layout"
	"github.com/davit-wasm/davit/internal/native"
)

// CPU profiles of guests. Package native tells of ticks in guests' code by
// [activation.Tick], and those in Go code that serves it, host functions, it notes.
// Both become samples here: stacks of program counters of Go and of guests, in the
// order in which they call each other.
//
// On Go's stack, each call into a guest that has left for Go has a frame of
// [Func.Finish]. The guest's frames belong above it. Which activation a frame of
// Finish is of, is known from the watch on the goroutine: it lists the activations
// that have been entered since the profile began, innermost first.

// profiling says that a profile is being taken.
var profiling atomic.Bool

// profiler is the profile that is being taken, or nil.
var profiler atomic.Pointer[Profile]

// Profile is a CPU profile of the guests of all engines of the process.
type Profile struct {
	// Labels are those of the context of a call, in a form that says which are
	// equal; nil means that there are none.
	labels func(ctx context.Context) string

	mu      sync.Mutex
	samples map[string]*Sample // by labels, and the bytes of program counters
	words   int                // program counters in them
	modules map[*Module]bool   // whose code is kept until the end, false if it could not be
	key     []byte
}

// Sample is what a number of ticks have found alike.
type Sample struct {
	// PCs are return addresses, or one more than the address of an instruction,
	// innermost first. [GuestFrames] knows those of guests; the others are Go's.
	PCs    []uintptr
	Labels string
	Ticks  int
}

const (
	// maxSampled is how many program counters a sample has at most: of guests, and
	// of Go.
	maxSampledGuest = 512
	maxSampledGo    = 128
	// maxSampledWords bounds the memory of a profile. Beyond, stacks that are new
	// are cut to their innermost frames.
	maxSampledWords = 4 << 20
	cutStack        = 8
)

// StartProfile begins a profile, with rate ticks for each second of processor time
// of each thread. There can be one at a time.
func StartProfile(rate int, labels func(context.Context) string) (*Profile, error) {
	p := &Profile{labels: labels, samples: make(map[string]*Sample), modules: make(map[*Module]bool)}
	if !profiler.CompareAndSwap(nil, p) {
		return nil, native.ErrProfiling
	}
	if err := native.StartProfile(rate); err != nil {
		profiler.Store(nil)
		return nil, err
	}
	profiling.Store(true)
	return p, nil
}

// Stop ends the profile. The samples are good until [Profile.Close].
func (p *Profile) Stop() (samples []*Sample, between int) {
	profiling.Store(false)
	between = native.StopProfile()
	profiler.CompareAndSwap(p, nil)
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, s := range p.samples {
		samples = append(samples, s)
	}
	p.samples = nil
	return samples, between
}

// Close lets go of the code in the samples.
func (p *Profile) Close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for m, kept := range p.modules {
		if kept {
			m.release()
		}
	}
	p.modules = nil
}

// GuestFrames appends the frames of guests that a program counter of a sample
// belongs to, innermost first. ok is false if it is Go's.
func GuestFrames(frames []Frame, pc uintptr) (list []Frame, ok bool) {
	if _, _, ok := findCode(uint64(pc) - 1); !ok {
		return frames, false
	}
	n := len(frames)
	t := trace{frames: frames}
	t.add(uint64(pc))
	for i := range t.frames[n:] {
		t.frames[n+i].begin()
	}
	return t.frames, true
}

// watchedCalls is what the watch on a goroutine belongs to: its activations that are
// watched.
type watchedCalls struct {
	*native.Watch
	innermost *activation
	level     int // how many there are
}

// watch watches the activation. The goroutine is that which runs it.
func (a *activation) watch() {
	w := native.Watched()
	if w == nil {
		if w = native.NewWatch(); w == nil {
			return
		}
		w.Owner = &watchedCalls{Watch: w}
	}
	calls := w.Owner.(*watchedCalls)
	a.watched, a.below, a.profile, calls.innermost = calls, calls.innermost, profiler.Load(), a
	a.ticks = calls.Count()
	calls.level++
	calls.SetLevel(calls.level)
}

// unwatch ends what watch has begun.
func (a *activation) unwatch() {
	calls := a.watched
	calls.innermost, a.watched, a.ticks, a.below, a.profile = a.below, nil, nil, nil, nil
	calls.level--
	if calls.level == 0 {
		calls.End()
		return
	}
	calls.SetLevel(calls.level)
}

// Tick implements native.Ticker: ticks have interrupted the guest.
func (a *activation) Tick(stack *native.Stack, n int) {
	p := profiler.Load()
	if p == nil {
		return
	}
	if a.watched == nil {
		a.watch() // its call began before the profile did
	}
	b := stackPool.Get().(*sampledStack)
	defer stackPool.Put(b)
	b.pcs = b.pcs[:0]
	b.appendInterrupted(stack)
	b.appendCallers(a)
	p.add(b.pcs, a.ctx, n)
}

// tickedHost makes samples of the ticks that the Go side of a has seen. Native code
// had left with the given status.
func (a *activation) tickedHost(status uintptr) {
	if !a.watched.Pending() {
		return
	}
	p := profiler.Load()
	if p == nil {
		a.watched.SetLevel(a.watched.level - 1) // forgets them
		a.watched.SetLevel(a.watched.level)
		return
	}
	b := stackPool.Get().(*sampledStack)
	defer stackPool.Put(b)
	b.callers()
	finishes := 0
	for _, pc := range b.goPCs {
		if isFinish(pc) {
			finishes++
		}
	}
	a.watched.Ticks(a.watched.level, func(pcs []uintptr, n int) {
		pcs[0]++ // the instruction itself
		b.pcs = append(b.pcs[:0], pcs[:hostPart(pcs, finishes)]...)
		switch status {
		case layout.ExitHost, layout.ExitLibcall:
			b.appendSuspended(a)
		case layout.ExitYield:
			b.appendInterrupted(a.store.stack)
		}
		b.appendCallers(a)
		p.add(b.pcs, a.ctx, n)
	})
}

// hostPart is how many of the program counters of a goroutine's stack are of what
// an activation's Finish has called, which with those of its callers are so many
// calls of Finish.
func hostPart(pcs []uintptr, finishes int) int {
	total := 0
	for _, pc := range pcs {
		if isFinish(pc) {
			total++
		}
	}
	if total < finishes {
		return len(pcs) // the stack was too deep to be noted whole
	}
	skip := total - finishes
	for i, pc := range pcs {
		if isFinish(pc) {
			if skip == 0 {
				return i
			}
			skip--
		}
	}
	return len(pcs)
}

// sampledStack is memory for a sample under way.
type sampledStack struct {
	pcs   []uintptr
	goPCs []uintptr // of the running goroutine
}

var stackPool = sync.Pool{New: func() any {
	return &sampledStack{make([]uintptr, 0, maxSampledGuest+maxSampledGo), make([]uintptr, 0, maxSampledGo)}
}}

// appendInterrupted appends the guest's frames where it was interrupted.
func (b *sampledStack) appendInterrupted(stack *native.Stack) {
	room := maxSampledGuest - 2
	pc, _, _, _ := stack.Interrupted()
	b.pcs = append(b.pcs, pc+1)
	if pc := frameless(stack); pc != 0 {
		b.pcs = append(b.pcs, pc)
	}
	for pc := range stack.InterruptedCallers() {
		if room == 0 {
			break
		}
		room--
		b.pcs = append(b.pcs, pc)
	}
}

// appendSuspended appends the frames of a's guest, which waits for Go.
func (b *sampledStack) appendSuspended(a *activation) {
	room := maxSampledGuest
	for pc := range a.store.stack.SuspendedSince(a.mark) {
		if room == 0 || len(b.pcs) > 8*maxSampledGuest {
			break
		}
		room--
		b.pcs = append(b.pcs, pc)
	}
}

// callers finds the return addresses of the running goroutine, from the innermost
// Finish on.
func (b *sampledStack) callers() {
	n := runtime.Callers(2, b.goPCs[:maxSampledGo])
	b.goPCs = b.goPCs[:n]
	for i, pc := range b.goPCs {
		if isFinish(pc) {
			copy(b.goPCs, b.goPCs[i:])
			b.goPCs = b.goPCs[:n-i]
			break
		}
	}
}

// appendCallers appends the callers of a's guest: Go's, and between those the
// guests that wait.
func (b *sampledStack) appendCallers(a *activation) {
	b.callers()
	first := true
	for _, pc := range b.goPCs {
		if isFinish(pc) {
			if !first && a != nil {
				// Between an activation and one of an earlier profile there may be others.
				if a.below != nil && a.below.profile != a.profile {
					a = nil
				} else {
					a = a.below
				}
				if a != nil && a.caller.stack != nil { // else Go has called a host function
					b.appendSuspended(a)
				}
			}
			first = false
		}
		b.pcs = append(b.pcs, pc)
	}
}

// finishEntry is where the code of [Func.Finish] begins.
var finishEntry uintptr

func init() {
	finishEntry = runtime.FuncForPC(reflect.ValueOf((*Func).Finish).Pointer()).Entry()
}

// isFinish reports whether a return address of Go's is in [Func.Finish].
func isFinish(pc uintptr) bool {
	f := runtime.FuncForPC(pc - 1)
	return f != nil && f.Entry() == finishEntry
}

// add counts a sample.
func (p *Profile) add(pcs []uintptr, ctx context.Context, n int) {
	labels := ""
	if p.labels != nil {
		labels = p.labels(ctx)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.samples == nil {
		return // it has ended
	}
	if p.words > maxSampledWords {
		pcs = pcs[:min(len(pcs), cutStack)]
	}
	bytes := unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(pcs))), len(pcs)*int(unsafe.Sizeof(pcs[0])))
	p.key = append(append(p.key[:0], bytes...), labels...)
	s := p.samples[string(p.key)]
	if s == nil {
		s = &Sample{PCs: append([]uintptr(nil), pcs...), Labels: labels}
		p.samples[string(p.key)] = s
		p.words += len(pcs)
		for _, pc := range pcs {
			// The code stays, so that an address goes on meaning the same.
			if m, _, ok := findCode(uint64(pc) - 1); ok {
				if _, known := p.modules[m]; !known {
					p.modules[m] = m.retain()
				}
			}
		}
	}
	s.Ticks += n
}
