package main

import (
	"context"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/davit-wasm/davit/internal/native"
)

// BenchmarkLateness measures how late a 20 ms deadline is noticed, and how long
// a collection takes, while twice as many goroutines as there are processors run
// loops: plain Go loops for comparison, and native ones.
func BenchmarkLateness(b *testing.B) {
	if !native.SignalsAvailable() {
		b.Skip("no preemption signal")
	}
	l := sumProgram().load(b)
	defer l.code.Release()
	var sink atomic.Uint64
	goLoop := func(stop *atomic.Bool) {
		x := uint64(1)
		for !stop.Load() {
			for range 100_000_000 {
				x = x*6364136223846793005 + 1
			}
		}
		sink.Add(x)
	}
	nativeLoop := func(stop *atomic.Bool) {
		s := newStack(b)
		defer s.Release()
		for !stop.Load() {
			if _, err := l.call(s, "spin", nop{}, 100_000_000); err != nil {
				b.Error(err)
			}
		}
	}
	for _, kind := range []struct {
		name string
		loop func(*atomic.Bool)
	}{{"go", goLoop}, {"native", nativeLoop}} {
		b.Run(kind.name, func(b *testing.B) {
			var stop atomic.Bool
			var wg sync.WaitGroup
			for range 2 * runtime.GOMAXPROCS(0) {
				wg.Go(func() { kind.loop(&stop) })
			}
			var late, collections []time.Duration
			for range b.N {
				ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
				deadline, _ := ctx.Deadline()
				<-ctx.Done()
				late = append(late, time.Since(deadline))
				cancel()
				start := time.Now()
				runtime.GC()
				collections = append(collections, time.Since(start))
			}
			stop.Store(true)
			wg.Wait()
			slices.Sort(late)
			slices.Sort(collections)
			ms := func(d []time.Duration, percent int) float64 {
				return d[len(d)*percent/100].Seconds() * 1000
			}
			b.ReportMetric(ms(late, 50), "late-p50-ms")
			b.ReportMetric(ms(late, 90), "late-p90-ms")
			b.ReportMetric(ms(collections, 50), "gc-p50-ms")
			b.ReportMetric(ms(collections, 90), "gc-p90-ms")
		})
	}
}
