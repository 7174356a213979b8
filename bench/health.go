package main

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"text/tabwriter"
	"time"
)

// health shows how Go fares while goroutines are in loops: how long a
// collection takes, and how late a deadline of 20 ms fires. Plain Go loops are
// the measure; loops in compiled WebAssembly should be no worse than 1.5 times
// that.
func health(trials int) error {
	const goroutines = 4
	plain, err := measureHealth(trials, goroutines, func(_ context.Context, stop *atomic.Bool) error {
		x := uint32(1)
		for !stop.Load() {
			for range 1 << 20 {
				x = x*1664525 + 1013904223
			}
		}
		sink.Store(x)
		return nil
	})
	if err != nil {
		return err
	}
	spin, closeSpin, err := newSpinner()
	if err != nil {
		return err
	}
	defer closeSpin()
	native, err := measureHealth(trials, goroutines, spin)
	if err != nil {
		return err
	}
	out := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(out, "\tplain Go\twasm\tratio")
	for i, what := range []string{"runtime.GC(), median", "runtime.GC(), p90", "20 ms deadline late, median", "20 ms deadline late, p90"} {
		fmt.Fprintf(out, "%s\t%v\t%v\t%.2f\n", what, plain[i].Round(10*time.Microsecond), native[i].Round(10*time.Microsecond), float64(native[i])/float64(plain[i]))
	}
	return out.Flush()
}

// sink keeps the loops' results alive.
var sink atomic.Uint32

// measureHealth runs loops in n goroutines and measures beside them: median and
// 90th percentile of a collection's time and of a deadline's lateness.
func measureHealth(trials, n int, loop func(ctx context.Context, stop *atomic.Bool) error) ([4]time.Duration, error) {
	var stop atomic.Bool
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var wg sync.WaitGroup
	errs := make(chan error, n)
	for range n {
		wg.Go(func() {
			if err := loop(ctx, &stop); err != nil {
				errs <- err
			}
		})
	}
	time.Sleep(100 * time.Millisecond) // the loops are under way
	gc := make([]time.Duration, trials)
	late := make([]time.Duration, trials)
	for i := range trials {
		start := time.Now()
		runtime.GC()
		gc[i] = time.Since(start)

		deadline, done := context.WithTimeout(context.Background(), 20*time.Millisecond)
		start = time.Now()
		<-deadline.Done()
		late[i] = time.Since(start) - 20*time.Millisecond
		done()
	}
	stop.Store(true)
	cancel()
	wg.Wait()
	select {
	case err := <-errs:
		return [4]time.Duration{}, err
	default:
	}
	slices.Sort(gc)
	slices.Sort(late)
	return [4]time.Duration{gc[trials/2], gc[trials*9/10], late[trials/2], late[trials*9/10]}, nil
}
