//go:build linux && amd64

package davit_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"runtime/pprof"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"unsafe"

	"github.com/google/pprof/profile"
	"golang.org/x/sys/unix"

	"github.com/davit-wasm/davit"
	"github.com/davit-wasm/davit/internal/native"
)

// ticks sends ticks of a profile's timer to all threads, as fast as it can, until
// the function that it returns is called, which tells how many there were.
func ticks(t testing.TB) (stop func() int) {
	t.Helper()
	var info struct {
		signal, errno, code, _ int32
		timer, overrun         int32
		value                  uintptr
		_                      [96]byte
	}
	info.signal, info.code, info.value = int32(unix.SIGPROF), -2, native.HandlerState() // SI_TIMER
	var done atomic.Bool
	sent := make(chan int)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		n := 0
		for !done.Load() {
			threads, err := os.ReadDir("/proc/self/task")
			if err != nil {
				t.Error(err)
				break
			}
			for range 100 {
				for _, thread := range threads {
					id, _ := strconv.Atoi(thread.Name())
					if id == unix.Gettid() {
						continue
					}
					if _, _, e := unix.RawSyscall6(unix.SYS_RT_TGSIGQUEUEINFO, uintptr(os.Getpid()), uintptr(id), uintptr(unix.SIGPROF), uintptr(unsafe.Pointer(&info)), 0, 0); e == 0 {
						n++
					}
				}
				runtime.Gosched()
			}
		}
		sent <- n
	}()
	return func() int {
		done.Store(true)
		return <-sent
	}
}

// profiled is the profile of what f does.
func profiled(t testing.TB, rate int, f func(p *davit.Profile)) *profile.Profile {
	t.Helper()
	var b bytes.Buffer
	p, err := davit.StartProfile(&b, &davit.ProfileOptions{Rate: rate})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Stop()
	f(p)
	if err := p.Stop(); err != nil {
		t.Fatal(err)
	}
	parsed, err := profile.ParseData(b.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	if err := parsed.CheckValid(); err != nil {
		t.Fatal(err)
	}
	return parsed
}

// stackOf is the functions of a sample, innermost first: guests' with their module
// before them.
func stackOf(s *profile.Sample) (list []string) {
	for _, l := range s.Location {
		for _, line := range l.Line {
			name := line.Function.Name
			if l.Mapping != nil {
				name = l.Mapping.File + "!" + name
			}
			list = append(list, name)
		}
	}
	return list
}

// callers has functions that call each other and do little else, so that many ticks
// fall where frames are set up and given up.
const callers = `(module $callers
	(type $t (func (param i32) (result i32)))
	(import "go" "host" (func $host (param i32) (result i32)))
	(memory 1 4)
	(table funcref (elem $a $b $c $h $g))
	(func $main (export "main") (param $n i32) (result i32) (local $x i32)
		(loop $l
			(local.set $x (i32.add (local.get $x) (call_indirect (type $t) (local.get $n) (i32.const 0))))
			(br_if $l (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
		(local.get $x))
	(func $a (type $t) (i32.add (call_indirect (type $t) (local.get 0) (i32.const 1)) (call_indirect (type $t) (local.get 0) (i32.const 1))))
	(func $b (type $t) (i32.add
		(call_indirect (type $t) (local.get 0) (i32.const 2))
		(if (result i32) (i32.and (local.get 0) (i32.const 63)) (then (i32.const 1)) (else (i32.add
			(call_indirect (type $t) (local.get 0) (i32.const 3))
			(call_indirect (type $t) (local.get 0) (i32.const 4)))))))
	(func $c (type $t) (i32.add (local.get 0) (i32.const 1)))
	(func $h (type $t) (call $host (local.get 0)))
	(func $g (type $t) (memory.grow (i32.and (local.get 0) (i32.const 0)))))`

// callersWant is what main of callers gives, host functions adding host.
func callersWant(n, host int32) (x int32) {
	for ; n > 0; n-- {
		b := n + 1 + 1
		if n&63 == 0 {
			b = n + 1 + host + 1
		}
		x += 2 * b
	}
	return x
}

// TestProfileStacks: under a storm of ticks, the stack of every sample is whole: the
// guest's functions as they call each other, the host function in Go above, the Go
// callers below.
func TestProfileStacks(t *testing.T) {
	w := newWorld(t, nil, nil)
	host := davit.HostFunc1(func(ctx context.Context, c *davit.Caller, n int32) (int32, error) { return hash(n), nil })
	if err := w.linker.Define("go", "host", host); err != nil {
		t.Fatal(err)
	}
	in, err := w.linker.Instantiate(ctx, w.store, w.compile(callers))
	if err != nil {
		t.Fatal(err)
	}
	main, err := davit.Func1[int32, int32](in.Func("main"))
	if err != nil {
		t.Fatal(err)
	}
	calls := map[string]string{"callers!a": "callers!main", "callers!b": "callers!a", "callers!c": "callers!b", "callers!h": "callers!b", "callers!g": "callers!b"}
	seen := map[string]int{}
	check := func(s *profile.Sample) {
		stack := stackOf(s)
		if len(stack) == 1 && strings.HasPrefix(stack[0], "davit.entering") {
			return
		}
		i := slices.IndexFunc(stack, func(f string) bool { return strings.HasPrefix(f, "callers!") })
		if i < 0 {
			t.Fatalf("no guest in %q", stack)
		}
		inner := stack[i]
		if i > 0 {
			inner += " in Go"
			if slices.ContainsFunc(stack[:i], func(f string) bool { return strings.HasSuffix(f, "davit_test.hash") }) {
				inner = "hash"
			}
		}
		seen[inner] += int(s.Value[0])
		for ; stack[i] != "callers!main"; i++ {
			if want := calls[stack[i]]; want == "" || i+1 == len(stack) || stack[i+1] != want {
				t.Fatalf("%q is not called by %q: %q", stack[i], stack[i+1:], stack)
			}
		}
		if rest := stack[i+1:]; len(rest) == 0 || !strings.HasSuffix(rest[0], "vm.(*Func).Finish") || !slices.Contains(rest, "testing.tRunner") {
			t.Fatalf("the guest's callers are %q", rest)
		}
		if s.Value[0] <= 0 || s.Value[1] != s.Value[0]*10_000_000 {
			t.Errorf("values %v", s.Value)
		}
	}
	samples := 0
	everywhere(t, seen, []string{"callers!main", "callers!a", "callers!b", "callers!c", "callers!g in Go", "hash"}, func() {
		p := profiled(t, 100, func(*davit.Profile) {
			stop := ticks(t)
			defer stop()
			for range 20 {
				if x, err := main(ctx, 50_000); err != nil || x != callersWant(50_000, 1) {
					t.Fatal(x, err)
				}
			}
		})
		for _, s := range p.Sample {
			check(s)
			samples++
		}
	})
	t.Logf("%d samples: %v", samples, seen)
}

// everywhere repeats f until ticks have fallen in all places that are wanted.
func everywhere(t *testing.T, seen map[string]int, want []string, f func()) {
	t.Helper()
	missing := func(place string) bool { return seen[place] == 0 }
	for range 200 {
		f()
		if !slices.ContainsFunc(want, missing) {
			return
		}
	}
	t.Errorf("of %q, ticks have fallen in %v only", want, seen)
}

// hash works a little, and gives 1.
//
//go:noinline
func hash(n int32) int32 {
	x := uint32(n)
	for range 500 {
		x = x*1664525 + 1013904223
	}
	return int32(x>>31) | 1
}

// TestProfileNested: guests that are called by host functions of guests of another
// store have their own stacks between the Go functions; so has one of the same
// store.
func TestProfileNested(t *testing.T) {
	outer, inner := newWorld(t, nil, nil), newWorld(t, nil, nil)
	text := func(name string) string {
		return `(module $` + name + ` (import "go" "next" (func $next (param i32) (result i32)))
			(func $work (param $n i32) (result i32)
				(loop $l (br_if $l (local.tee $n (i32.sub (local.get $n) (i32.const 1))))) (local.get $n))
			(func $run (export "run") (param $depth i32) (result i32)
				(if (result i32) (local.get $depth) (then (call $next (i32.sub (local.get $depth) (i32.const 1)))) (else (call $work (i32.const 30000000))))))`
	}
	var runs [2]func(context.Context, int32) (int32, error)
	for i, w := range []*world{outer, inner} {
		err := w.linker.Define("go", "next", davit.HostFunc1(func(ctx context.Context, c *davit.Caller, depth int32) (int32, error) {
			return runs[depth%2](context.Background(), depth)
		}))
		if err != nil {
			t.Fatal(err)
		}
		in, err := w.linker.Instantiate(ctx, w.store, w.compile(text([]string{"even", "odd"}[i])))
		if err != nil {
			t.Fatal(err)
		}
		if runs[i], err = davit.Func1[int32, int32](in.Func("run")); err != nil {
			t.Fatal(err)
		}
	}
	seen := map[string]int{}
	const nested, labelled = "even!work even!run odd!run even!run odd!run even!run", "even!work even!run"
	everywhere(t, seen, []string{nested, labelled}, func() { profileNested(t, runs[0], seen) })
}

func profileNested(t *testing.T, run func(context.Context, int32) (int32, error), seen map[string]int) {
	p := profiled(t, 1000, func(p *davit.Profile) {
		pprof.Do(ctx, pprof.Labels("tenant", "one", "color", "blue"), func(ctx context.Context) {
			// The innermost call has the background for a context, and no labels.
			if _, err := run(ctx, 4); err != nil {
				t.Fatal(err)
			}
			if _, err := run(ctx, 0); err != nil {
				t.Fatal(err)
			}
		})
	})
	for _, s := range p.Sample {
		var guests []string
		for _, f := range stackOf(s) {
			if strings.Contains(f, "!") {
				guests = append(guests, f)
			}
		}
		got := strings.Join(guests, " ")
		seen[got]++
		if got == "even!work even!run" && fmt.Sprint(s.Label) != "map[color:[blue] tenant:[one]]" {
			t.Errorf("labels %v", s.Label)
		}
	}
}

// TestProfileStorm: whatever ends calls, ticks change nothing about it.
func TestProfileStorm(t *testing.T) {
	e := newEngine(t, nil)
	w := &world{t: t, engine: e}
	m := w.compile(callers)
	deepModule := w.compile(`(module $deep (func $f (export "f") (param i32) (result i32)
		(if (result i32) (local.get 0) (then (i32.add (call $f (i32.sub (local.get 0) (i32.const 1))) (i32.const 1))) (else (unreachable)))))`)
	cancelled := errors.New("enough")
	before := runtime.NumGoroutine()
	p := profiled(t, 1000, func(*davit.Profile) {
		stop := ticks(t)
		var wg sync.WaitGroup
		for g := range 8 {
			wg.Go(func() {
				s, err := davit.NewStore(e, nil)
				if err != nil {
					t.Error(err)
					return
				}
				defer s.Close()
				linker := davit.NewLinker(e)
				var cancel context.CancelCauseFunc
				calls, fate := 0, ""
				err = linker.Define("go", "host", davit.HostFunc1(func(ctx context.Context, c *davit.Caller, n int32) (int32, error) {
					if calls++; calls%20 == 0 {
						switch fate {
						case "panic":
							panic("host")
						case "error":
							return 0, cancelled
						case "cancel":
							cancel(cancelled)
						case "goexit":
							runtime.Goexit()
						case "nest":
							if calls < 5000 {
								main, _ := davit.Func1[int32, int32](c.Instance().Func("main"))
								if x, err := main(ctx, 100); err != nil || x == 0 {
									return x, fmt.Errorf("nested: %d, %w", x, err)
								}
							}
						}
					}
					return hash(n), nil
				}))
				if err != nil {
					t.Error(err)
					return
				}
				in, err := linker.Instantiate(ctx, s, m)
				if err != nil {
					t.Error(err)
					return
				}
				deep, err := linker.Instantiate(ctx, s, deepModule)
				if err != nil {
					t.Error(err)
					return
				}
				main, _ := davit.Func1[int32, int32](in.Func("main"))
				f, _ := davit.Func1[int32, int32](deep.Func("f"))
				for round := range 40 {
					ctx, c := context.WithCancelCause(ctx)
					cancel = c
					fate = []string{"panic", "error", "cancel", "nest", "goexit", ""}[(g+round)%6]
					calls = 0
					var x int32
					var err error
					var recovered any
					ended := make(chan bool)
					go func() {
						defer close(ended)
						defer func() { recovered = recover() }()
						x, err = main(ctx, 5000)
					}()
					<-ended
					panicked, _ := recovered.(*davit.HostPanic)
					ok := false
					switch fate {
					case "panic":
						ok = panicked != nil && panicked.Value == "host" && panicked.Frames[len(panicked.Frames)-1].FuncName == "main"
					case "error":
						ok = err == cancelled
					case "cancel":
						ok = errors.Is(err, davit.TrapInterrupt) && errors.Is(err, cancelled)
					case "goexit":
						ok = err == nil && x == 0
					default:
						ok = err == nil && x == callersWant(5000, 1)
					}
					if !ok {
						t.Errorf("%s: %v, %v, %v", fate, x, err, recovered)
					}
					c(nil)
					_, err = f(context.Background(), 200)
					if trap, _ := errors.AsType[*davit.Trap](err); trap == nil || trap.Code != davit.TrapUnreachable || len(trap.Frames) != 100 {
						t.Errorf("trap: %v", err)
					}
				}
			})
		}
		wg.Wait()
		stop()
	})
	if len(p.Sample) == 0 {
		t.Error("no samples")
	}
	for range 1000 {
		if runtime.NumGoroutine() <= before {
			break
		}
		runtime.Gosched()
	}
	if n := runtime.NumGoroutine(); n > before {
		t.Errorf("%d goroutines, %d before", n, before)
	}
}

// TestProfileOfRunningCall: a call that began before the profile is in it, host
// functions included, and code that has been closed meanwhile.
func TestProfileOfRunningCall(t *testing.T) {
	w := newWorld(t, nil, nil)
	seen := map[string]int{}
	everywhere(t, seen, []string{"/src/main.wasm!b", "/src/main.wasm!main", "github.com/davit-wasm/davit_test.hash"}, func() {
		for _, s := range profileOfRunningCall(t, w.engine).Sample {
			for _, f := range stackOf(s) {
				seen[f]++
			}
		}
	})
}

func profileOfRunningCall(t *testing.T, e *davit.Engine) *profile.Profile {
	w := &world{t: t, engine: e, linker: davit.NewLinker(e)}
	var own, goes, none bytes.Buffer
	var p *davit.Profile
	stop := func() int { return 0 }
	defer func() { stop() }()
	host := davit.HostFunc1(func(ctx context.Context, c *davit.Caller, n int32) (int32, error) {
		if p == nil {
			var err error
			if p, err = davit.StartProfile(&own, &davit.ProfileOptions{Rate: 1000}); err != nil {
				return 0, err
			}
			if _, err := davit.StartProfile(&none, nil); err != davit.ErrProfiling {
				t.Error(err)
			}
			if err := pprof.StartCPUProfile(&goes); err != nil { // Go's own, at the same time
				t.Error(err)
			}
			stop = ticks(t)
		}
		return hash(n), nil
	})
	if err := w.linker.Define("go", "host", host); err != nil {
		t.Fatal(err)
	}
	m := w.compile(callers)
	s, err := davit.NewStore(e, nil)
	if err != nil {
		t.Fatal(err)
	}
	in, err := w.linker.Instantiate(ctx, s, m)
	if err != nil {
		t.Fatal(err)
	}
	if x, err := in.Func("main").Call(ctx, davit.ValueI32(100_000)); err != nil || x[0].I32() != callersWant(100_000, 1) {
		t.Fatal(x, err)
	}
	p.SetFile(m, "/src/main.wasm")
	s.Close()
	m.Close()
	again := w.compile(`(module $other (func (export "f")))`) // where the code was, if it were free
	defer again.Close()
	pprof.StopCPUProfile()
	for range 2 {
		if err := p.Stop(); err != nil {
			t.Fatal(err)
		}
	}
	parsed, err := profile.ParseData(own.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	if len(parsed.Mapping) > 1 || len(parsed.Mapping) == 1 && parsed.Mapping[0].File != "/src/main.wasm" {
		t.Errorf("mappings %v", parsed.Mapping)
	}
	if _, err := profile.ParseData(goes.Bytes()); err != nil {
		t.Error(err)
	}
	return parsed
}

// TestProfilePlaces: samples have the places in source code, with functions that
// have been inlined.
func TestProfilePlaces(t *testing.T) {
	w := newWorld(t, &davit.Config{Demangle: func(name string) string { return "<" + name + ">" }}, nil)
	m, err := w.engine.Compile(ctx, deep(t))
	if err != nil {
		t.Fatal(err)
	}
	in, err := w.linker.Instantiate(ctx, w.store, m)
	if err != nil {
		t.Fatal(err)
	}
	run := in.Func("run")
	seen := map[string]int{}
	everywhere(t, seen, []string{"placed"}, func() {
		p := profiled(t, 1000, func(*davit.Profile) {
			stop := ticks(t)
			defer stop()
			for range 1000 {
				if _, err := run.Call(ctx, davit.ValueI32(5000)); !errors.Is(err, davit.TrapIntegerDivideByZero) {
					t.Fatal(err)
				}
			}
		})
		for _, l := range p.Location {
			for _, line := range l.Line {
				if l.Mapping == nil {
					continue
				}
				if !strings.HasSuffix(line.Function.Filename, "deep.cpp") || line.Line == 0 || !strings.HasPrefix(line.Function.Name, "<") {
					t.Errorf("a frame is at %+v, line %d", *line.Function, line.Line)
				}
				seen["placed"]++
			}
		}
	})
}

// TestProfileOptions: what cannot be is refused.
func TestProfileOptions(t *testing.T) {
	newEngine(t, nil)
	for _, rate := range []int{-1, 10_001} {
		if _, err := davit.StartProfile(&bytes.Buffer{}, &davit.ProfileOptions{Rate: rate}); err == nil {
			t.Error(rate)
		}
	}
	if p := profiled(t, 0, func(*davit.Profile) {}); len(p.Sample) != 0 || p.Period != 10_000_000 || p.DefaultSampleType != "cpu" {
		t.Errorf("%v", p)
	}
	p, err := davit.StartProfile(failing{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Stop(); !errors.Is(err, os.ErrClosed) {
		t.Error(err)
	}
}

type failing struct{}

func (failing) Write([]byte) (int, error) { return 0, os.ErrClosed }
