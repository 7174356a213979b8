package davit_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"runtime/pprof"
	"runtime/trace"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/davit-wasm/davit"
)

// working is a module that computes, goes through memory, and calls the host.
const working = `(module
	(import "go" "host" (func $host (param i32) (result i32)))
	(memory (export "memory") 4)
	(func (export "forever") (param i32) (loop $l
		(i32.store (i32.const 8) (i32.add (i32.load (i32.const 8)) (i32.const 1)))
		(br $l)))
	;; A number that depends on every step: bytes written, read back and mixed,
	;; with a call of the host every 1024 steps.
	(func (export "work") (param $n i32) (result i64) (local $i i32) (local $h i64) (local $f f64)
		(local.set $h (i64.const 14695981039346656037))
		(loop $l
			(i32.store (i32.and (i32.mul (local.get $i) (i32.const 2654435761)) (i32.const 0x3fffc)) (local.get $i))
			(local.set $h (i64.mul (i64.xor (local.get $h)
				(i64.extend_i32_u (i32.load (i32.and (i32.mul (local.get $i) (i32.const 40503)) (i32.const 0x3fffc)))))
				(i64.const 1099511628211)))
			(local.set $f (f64.add (local.get $f) (f64.sqrt (f64.convert_i32_u (local.get $i)))))
			(if (i32.eqz (i32.and (local.get $i) (i32.const 1023)))
				(then (local.set $h (i64.add (local.get $h) (i64.extend_i32_u (call $host (local.get $i)))))))
			(br_if $l (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (local.get $n))))
		(i64.add (local.get $h) (i64.reinterpret_f64 (local.get $f)))))`

// garbage keeps the collector busy.
var garbage atomic.Pointer[[]byte]

func newWorking(t testing.TB, e *davit.Engine) *davit.Instance {
	t.Helper()
	w := &world{t: t, engine: e, linker: davit.NewLinker(e)}
	s, err := davit.NewStore(e, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	w.store = s
	w.define("go", "host", types(davit.I32), types(davit.I32), func(_ context.Context, _ *davit.Caller, stack []uint64) error {
		b := make([]byte, 1000+uint32(stack[0])%1000)
		garbage.Store(&b)
		stack[0] = uint64(len(b))
		return nil
	})
	return w.instantiate(working)
}

// TestStress runs code in four goroutines while everything in the Go runtime
// that interrupts goroutines is at work: the collector all the time, the CPU
// profiler, the execution tracer. Its results must be those of a quiet run.
func TestStress(t *testing.T) {
	eachInterruption(t, func(t *testing.T, c *davit.Config) {
		e := newEngine(t, c)
		n := int32(2_000_000)
		if testing.Short() {
			n = 300_000
		}
		run := func(in *davit.Instance) int64 {
			memory, _ := in.Memory("memory").View(0, 4<<16)
			clear(memory) // what an earlier run has left would count
			r, err := in.Func("work").Call(ctx, davit.ValueI32(n))
			if err != nil {
				t.Error(err)
				return 0
			}
			return r[0].I64()
		}
		want := run(newWorking(t, e))

		defer debug.SetGCPercent(debug.SetGCPercent(1))
		var profile, events bytes.Buffer
		if err := pprof.StartCPUProfile(&profile); err == nil { // the test itself may be profiled
			defer pprof.StopCPUProfile()
		}
		if err := trace.Start(&events); err == nil {
			defer trace.Stop()
		}
		stop := make(chan bool)
		var collecting sync.WaitGroup
		collecting.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
					runtime.GC()
				}
			}
		})
		var wg sync.WaitGroup
		for range 4 {
			in := newWorking(t, e)
			wg.Go(func() {
				for range 3 {
					if got := run(in); got != want {
						t.Errorf("result %d, want %d", got, want)
					}
				}
			})
		}
		wg.Wait()
		close(stop)
		collecting.Wait()
	})
}

// TestWithoutPreemption: where Go's preemption by signals is switched off,
// engines use epochs, and refuse to be told otherwise.
func TestWithoutPreemption(t *testing.T) {
	const inner = "DAVIT_TEST_WITHOUT_PREEMPTION"
	if os.Getenv(inner) == "" {
		newEngine(t, nil) // skips without native code
		cmd := exec.Command(os.Args[0], "-test.run=^TestWithoutPreemption$", "-test.v")
		cmd.Env = append(os.Environ(), inner+"=1", "GODEBUG=asyncpreemptoff=1")
		out, err := cmd.CombinedOutput()
		if err != nil || !strings.Contains(string(out), "--- PASS: TestWithoutPreemption") {
			t.Fatalf("%v\n%s", err, out)
		}
		return
	}
	if _, err := davit.NewEngine(&davit.Config{Interruption: davit.InterruptionSignal}); err == nil {
		t.Error("an engine with signals was made")
	}
	in := newWorking(t, newEngine(t, nil))
	limited, cancel := context.WithTimeout(ctx, 20*time.Millisecond)
	defer cancel()
	_, err := in.Func("forever").Call(limited, davit.ValueI32(0))
	wantTrap(t, err, davit.TrapInterrupt)
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
	runtime.GC() // ends although code runs elsewhere
	done := make(chan bool)
	cancellable, stop := context.WithCancel(ctx)
	go func() { defer close(done); in.Func("forever").Call(cancellable, davit.ValueI32(0)) }()
	for range 3 {
		runtime.GC()
	}
	stop()
	<-done
}

// BenchmarkHealth measures how long a collection takes and how late a deadline
// of 20 ms is while four goroutines compute: in Go, in WebAssembly interrupted by
// signals, and in WebAssembly that checks epochs. Medians and 90th percentiles
// of 100 trials, in milliseconds.
func BenchmarkHealth(b *testing.B) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(2))
	for _, kind := range []string{"go", "signal", "epoch"} {
		b.Run(kind, func(b *testing.B) {
			cancellable, cancel := context.WithCancel(ctx)
			defer cancel()
			var wg sync.WaitGroup
			for range 4 {
				if kind == "go" {
					wg.Go(func() {
						for n := 0; cancellable.Err() == nil; n++ {
							for range 1_000_000 {
								spin++
							}
						}
					})
					continue
				}
				i := davit.InterruptionSignal
				if kind == "epoch" {
					i = davit.InterruptionEpoch
				}
				in := newWorking(b, newEngine(b, &davit.Config{Interruption: i}))
				wg.Go(func() { in.Func("forever").Call(cancellable, davit.ValueI32(0)) })
			}
			const trials = 100
			var collections, lateness []float64
			for b.Loop() {
				for range trials {
					start := time.Now()
					runtime.GC()
					collections = append(collections, float64(time.Since(start))/1e6)

					limited, stop := context.WithTimeout(ctx, 20*time.Millisecond)
					deadline, _ := limited.Deadline()
					<-limited.Done()
					lateness = append(lateness, float64(time.Since(deadline))/1e6)
					stop()
				}
			}
			cancel()
			wg.Wait()
			for name, list := range map[string][]float64{"gc": collections, "late": lateness} {
				slices.Sort(list)
				b.ReportMetric(list[len(list)/2], name+"-median-ms")
				b.ReportMetric(list[len(list)*9/10], name+"-p90-ms")
			}
			b.ReportMetric(0, "ns/op")
		})
	}
}

var spin int

// BenchmarkCalls measures calls into WebAssembly and out of it. Each store is
// used by one goroutine, as most are.
func BenchmarkCalls(b *testing.B) {
	prepare := func(b *testing.B) *davit.Instance {
		b.ReportAllocs()
		w := newWorld(b, nil, nil)
		w.define("go", "f", types(davit.I32), types(davit.I32), func(context.Context, *davit.Caller, []uint64) error { return nil })
		return w.instantiate(`(module
			(import "go" "f" (func $f (param i32) (result i32)))
			(func (export "in") (param i32) (result i32) (local.get 0))
			(func (export "out") (param $n i32) (result i32)
				(loop $l
					(drop (call $f (local.get $n)))
					(br_if $l (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
				(local.get $n)))`)
	}
	b.Run("in", func(b *testing.B) {
		f := prepare(b).Func("in")
		stack := make([]uint64, 1)
		for b.Loop() {
			f.CallRaw(ctx, stack)
		}
	})
	b.Run("in-values", func(b *testing.B) {
		f := prepare(b).Func("in")
		for b.Loop() {
			f.Call(ctx, davit.ValueI32(1))
		}
	})
	b.Run("out", func(b *testing.B) {
		f := prepare(b).Func("out")
		stack := make([]uint64, 1)
		const calls = 1000
		for b.Loop() {
			stack[0] = calls
			f.CallRaw(ctx, stack)
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/calls, "ns/call")
	})
}
