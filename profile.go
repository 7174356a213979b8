package davit

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"runtime/pprof"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/davit-wasm/davit/internal/native"
	encoder "github.com/davit-wasm/davit/internal/pprof"
	"github.com/davit-wasm/davit/internal/vm"
)

// DefaultProfileRate is how many samples a profile takes of each second of
// processor time, unless told otherwise; Go's own profiles take as many.
const DefaultProfileRate = 100

// ProfileOptions configures a profile. The zero value is a good choice.
type ProfileOptions struct {
	// Rate is how many samples are taken of each second of processor time that a
	// thread uses; 0 means [DefaultProfileRate], the most is 10,000. The kernel may look at its clocks
	// less often, mostly 250 or 1,000 times in a second: then a sample counts as
	// several.
	Rate int
}

// Profile is a CPU profile that is being taken.
type Profile struct {
	w     io.Writer
	rate  int
	start time.Time
	vm    *vm.Profile

	mu      sync.Mutex
	files   map[*vm.Module]string
	stopped bool
}

// maxProfileRate is the highest rate of a profile.
const maxProfileRate = 10_000

// ErrProfiling is the error of [StartProfile] while another profile is taken.
var ErrProfiling = errors.New("davit: a profile is being taken already")

// StartProfile begins a CPU profile of the guests of all engines of the process,
// which [Profile.Stop] writes to w in the format of the pprof tool (go tool pprof).
// Nil options mean the zero ones. It fails with [ErrProfiling] while another profile
// is taken.
//
// Samples are taken where guests run, and in the host functions that they call.
// Their stacks are whole: host functions in Go, the guests that call them, the Go
// functions that call the guests, and so on. Guests' functions have the names that
// backtraces have (Config.Demangle), with files and lines where the module has
// debug information. A sample has the pprof labels of the context of the guest's
// call ([runtime/pprof.Do]), if there are any.
//
// What a Go program does besides is for [runtime/pprof.StartCPUProfile]. Both
// kinds may be taken at once; Go's shows the time in guests as external code.
//
// Code keeps its full speed, but for the time to take a sample, some microseconds.
// The code of modules that are in the profile is not given back before Stop.
func StartProfile(w io.Writer, o *ProfileOptions) (*Profile, error) {
	rate := DefaultProfileRate
	if o != nil && o.Rate != 0 {
		rate = o.Rate
	}
	if rate < 0 || rate > maxProfileRate {
		return nil, fmt.Errorf("davit: %d samples in a second are asked for; at most %d are possible", rate, maxProfileRate)
	}
	p := &Profile{w: w, rate: rate, start: time.Now(), files: make(map[*vm.Module]string)}
	var err error
	if p.vm, err = vm.StartProfile(rate, labelsOf); err != nil {
		if errors.Is(err, native.ErrProfiling) {
			return nil, ErrProfiling
		}
		return nil, fmt.Errorf("davit: profile: %w", err)
	}
	return p, nil
}

// SetFile gives a module the name of the file that it comes from. It is that of the
// module's mapping in the profile; without, it is the name that the module gives
// itself.
func (p *Profile) SetFile(m *Module, file string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.files[m.vm] = file
}

// Stop ends the profile and writes it. Further calls do nothing.
func (p *Profile) Stop() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.stopped {
		return nil
	}
	p.stopped = true
	samples, between := p.vm.Stop()
	defer p.vm.Close()
	period := int64(time.Second) / int64(p.rate)
	e := &profileEncoder{
		files: p.files, mappings: make(map[*vm.Module]uint64), guests: make(map[uintptr]uint64), places: make(map[string]uint64),
		hosts: make(map[hostPlace]uint64),
		out: encoder.Profile{
			Types: []encoder.Type{{Type: "samples", Unit: "count"}, {Type: "cpu", Unit: "nanoseconds"}}, Default: "cpu",
			PeriodOf: encoder.Type{Type: "cpu", Unit: "nanoseconds"}, Period: period,
			Start: p.start, Duration: time.Since(p.start),
		},
	}
	slices.SortFunc(samples, func(a, b *vm.Sample) int {
		return cmp.Or(b.Ticks-a.Ticks, slices.Compare(a.PCs, b.PCs), strings.Compare(a.Labels, b.Labels))
	})
	for _, s := range samples {
		e.out.Sample(e.stack(s.PCs), []int64{int64(s.Ticks), int64(s.Ticks) * period}, labels(s.Labels))
	}
	if between > 0 {
		at := e.out.Location(0, 0, []encoder.Line{{Function: encoder.Function{Name: betweenName, System: betweenName}}})
		e.out.Sample([]uint64{at}, []int64{int64(between), int64(between) * period}, nil)
	}
	if err := e.out.Write(p.w); err != nil {
		return fmt.Errorf("davit: writing a profile: %w", err)
	}
	return nil
}

// betweenName is the function that samples count for that fell on the way from Go to
// guests and back.
const betweenName = "davit.entering and leaving guests"

// labelsOf is the labels of a context: keys and values, each ending with a zero byte.
func labelsOf(ctx context.Context) string {
	var b strings.Builder
	pprof.ForLabels(ctx, func(key, value string) bool {
		for _, s := range [...]string{key, value} {
			b.WriteString(strings.ReplaceAll(s, "\x00", " "))
			b.WriteByte(0)
		}
		return true
	})
	return b.String()
}

func labels(s string) (list []encoder.Label) {
	for s != "" {
		var l encoder.Label
		l.Key, s, _ = strings.Cut(s, "\x00")
		l.Value, s, _ = strings.Cut(s, "\x00")
		list = append(list, l)
	}
	return list
}

// profileEncoder gives names to the program counters of samples.
type profileEncoder struct {
	files    map[*vm.Module]string
	out      encoder.Profile
	mappings map[*vm.Module]uint64
	guests   map[uintptr]uint64   // locations by program counter; 0: none
	places   map[string]uint64    // locations by what is there
	hosts    map[hostPlace]uint64 // locations of Go's
}

type hostPlace struct {
	pc         uintptr
	name, file string
	line       int
}

// stack is the locations of a sample.
func (e *profileEncoder) stack(pcs []uintptr) (list []uint64) {
	for len(pcs) > 0 {
		frames, ok := vm.GuestFrames(nil, pcs[0])
		if ok {
			if at := e.guest(pcs[0], frames); at != 0 {
				list = append(list, at)
			}
			pcs = pcs[1:]
			continue
		}
		n := 1
		for n < len(pcs) {
			if _, ok := vm.GuestFrames(nil, pcs[n]); ok {
				break
			}
			n++
		}
		list = e.host(list, pcs[:n])
		pcs = pcs[n:]
	}
	return list
}

// host appends the locations of Go's program counters, each of one line, as Go
// gives them: functions that have been inlined are among them.
func (e *profileEncoder) host(list []uint64, pcs []uintptr) []uint64 {
	frames := runtime.CallersFrames(pcs)
	for {
		f, more := frames.Next()
		if f.Function != "" {
			key := hostPlace{f.PC, f.Function, f.File, f.Line}
			at, ok := e.hosts[key]
			if !ok {
				at = e.out.Location(0, uint64(f.PC), []encoder.Line{{
					Function: encoder.Function{Name: f.Function, System: f.Function, File: f.File}, Line: int64(f.Line),
				}})
				e.hosts[key] = at
			}
			list = append(list, at)
		}
		if !more {
			return list
		}
	}
}

// guest is the location of a guest's program counter, whose frames are given; 0 if
// there are none.
func (e *profileEncoder) guest(pc uintptr, frames []vm.Frame) uint64 {
	if len(frames) == 0 {
		return 0
	}
	at, ok := e.guests[pc]
	if ok {
		return at
	}
	m := frames[0].Module
	mapping, ok := e.mappings[m]
	if !ok {
		mapping = e.out.Mapping(e.file(m), 0, 1<<32) // offsets in the module
		e.mappings[m] = mapping
	}
	key := fmt.Sprint(mapping)
	for _, f := range frames {
		key += fmt.Sprint(" ", f.Func, " ", f.Offset)
	}
	if at, ok = e.places[key]; !ok {
		at = e.out.Location(mapping, uint64(max(frames[0].Offset, 0)), e.lines(frames))
		e.places[key] = at
	}
	e.guests[pc] = at
	return at
}

// file is the name of a module's mapping.
func (e *profileEncoder) file(m *vm.Module) string {
	return cmp.Or(e.files[m], m.Name(), "wasm")
}

// lines are the places of frames in source code, or else just their functions.
func (e *profileEncoder) lines(frames []vm.Frame) (list []encoder.Line) {
	for i, f := range apiFrames(frames) {
		function := encoder.Function{Name: f.name(), System: cmp.Or(f.FuncName, f.name()), File: e.file(frames[i].Module)}
		sources := f.Sources()
		for k, s := range sources {
			l := encoder.Line{Function: function, Line: int64(s.Line), Column: int64(s.Column)}
			if s.File != "" {
				l.Function.File = s.File
			}
			if k < len(sources)-1 && s.Func != "" {
				l.Function.Name, l.Function.System = s.Func, s.Func
			}
			list = append(list, l)
		}
		if len(sources) == 0 {
			list = append(list, encoder.Line{Function: function})
		}
	}
	return list
}
