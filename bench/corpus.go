package main

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"golang.org/x/sys/unix"
)

// A program is a compiled WASI 0.1 command that calls bench.start and bench.end
// around what is to be timed, the convention of the Sightglass suite.
type program interface {
	// run runs the program in a new instance, with dir as its current directory
	// and stdout as its standard output, and returns the time between start and
	// end.
	run(dir string, stdout *os.File) (time.Duration, error)
	close()
}

// corpusEngine is a peer that runs programs.
type corpusEngine interface {
	name() string
	// program compiles a module; the time is what the compilation took, on all
	// processors together.
	program(wasm []byte) (program, time.Duration, error)
	close()
}

// benchmark is a program of the corpus with what it must print.
type benchmark struct {
	name, path string
	want       []byte
}

// findCorpus is the benchmarks below dir whose names match.
func findCorpus(dir string, match *regexp.Regexp) (list []benchmark, err error) {
	paths, err := filepath.Glob(filepath.Join(dir, "*", "*.wasm"))
	for _, p := range paths {
		folder, base := filepath.Split(p)
		base = strings.TrimSuffix(base, ".wasm")
		b := benchmark{name: base, path: p}
		if base == "benchmark" {
			b.name = filepath.Base(folder)
		}
		if !match.MatchString(b.name) {
			continue
		}
		for _, stem := range []string{base, "default"} {
			if b.want, err = os.ReadFile(folder + stem + ".stdout.expected"); err == nil || !errors.Is(err, os.ErrNotExist) {
				break
			}
		}
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return nil, err
		}
		list = append(list, b)
	}
	slices.SortFunc(list, func(a, b benchmark) int { return strings.Compare(a.name, b.name) })
	return list, nil
}

// engines are the peers that names lists.
func newCorpusEngines(names string) (list []corpusEngine, err error) {
	for name := range strings.SplitSeq(names, ",") {
		var e corpusEngine
		switch name, option, _ := strings.Cut(name, ":"); name {
		case "davit":
			e, err = newDavitCorpus(option)
		case "wasmtime":
			e, err = newWasmtimeCorpus(option)
		case "wazero":
			e, err = newWazeroCorpus(option)
		case "v8":
			e, err = newV8Corpus(option)
		default:
			err = fmt.Errorf("unknown engine %q: davit, wasmtime, wazero and v8 are known", name)
		}
		if err != nil {
			return nil, err
		}
		list = append(list, e)
	}
	return list, nil
}

// corpus runs the benchmarks by each engine in turn, and prints medians and
// their ratios to those of the first engine after davit.
func corpus(dir, engines, pattern string, runs int) error {
	match, err := regexp.Compile(pattern)
	if err != nil {
		return err
	}
	list, err := findCorpus(dir, match)
	if err != nil {
		return err
	}
	if len(list) == 0 {
		return fmt.Errorf("no benchmark in %s matches %q", dir, pattern)
	}
	peers, err := newCorpusEngines(engines)
	if err != nil {
		return err
	}
	for _, e := range peers {
		defer e.close()
	}
	// Times are those of the thread that runs the program.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()

	out := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprint(out, "ms\t")
	for _, e := range peers {
		fmt.Fprintf(out, "%s\tspread\tcompile\t", e.name())
	}
	for _, e := range peers[1:] {
		fmt.Fprintf(out, "/ %s\tcompile\t", e.name())
	}
	fmt.Fprintln(out)
	sums := make([]ratioMean, 2*len(peers))
	failures := 0
	for _, b := range list {
		times, compile, errs := measure(peers, b, runs)
		fmt.Fprintf(out, "%s\t", b.name)
		for i := range peers {
			if errs[i] != nil {
				fmt.Fprint(out, "failed\t\t\t")
				continue
			}
			fmt.Fprintf(out, "%.3f\t%.0f%%\t%.1f\t", median(times[i]), spread(times[i]), compile[i])
		}
		for i := range peers[1:] {
			if errs[0] != nil || errs[i+1] != nil {
				fmt.Fprint(out, "\t\t")
				continue
			}
			run, comp := median(times[0])/median(times[i+1]), compile[0]/compile[i+1]
			sums[2*i].add(run)
			sums[2*i+1].add(comp)
			fmt.Fprintf(out, "%.2f\t%.2f\t", run, comp)
		}
		fmt.Fprintln(out)
		for i, err := range errs {
			if err != nil {
				failures++
				fmt.Fprintf(os.Stderr, "%s: %s: %v\n", peers[i].name(), b.name, err)
			}
		}
	}
	fmt.Fprint(out, "geometric mean\t", strings.Repeat("\t", 3*len(peers)))
	for i := range peers[1:] {
		fmt.Fprintf(out, "%.3f\t%.3f\t", sums[2*i].mean(), sums[2*i+1].mean())
	}
	fmt.Fprintln(out)
	out.Flush()
	if failures > 0 {
		return fmt.Errorf("%d failures", failures)
	}
	return nil
}

// measure runs b by each engine in turn, runs times after one to warm up, and
// is the times in milliseconds.
func measure(peers []corpusEngine, b benchmark, runs int) (times [][]float64, compile []float64, errs []error) {
	times, compile, errs = make([][]float64, len(peers)), make([]float64, len(peers)), make([]error, len(peers))
	wasm, err := os.ReadFile(b.path)
	programs := make([]program, len(peers))
	for i, e := range peers {
		if err != nil {
			errs[i] = err
			continue
		}
		var d time.Duration
		programs[i], d, errs[i] = e.program(wasm)
		compile[i] = d.Seconds() * 1e3
		if errs[i] == nil {
			defer programs[i].close()
		}
	}
	for k := range runs + 1 {
		for i, p := range programs {
			if errs[i] != nil {
				continue
			}
			d, err := runOnce(p, b)
			if err != nil {
				errs[i] = err
			} else if k > 0 {
				times[i] = append(times[i], d.Seconds()*1e3)
			}
		}
	}
	return times, compile, errs
}

func runOnce(p program, b benchmark) (time.Duration, error) {
	stdout, err := os.CreateTemp("", "bench")
	if err != nil {
		return 0, err
	}
	defer os.Remove(stdout.Name())
	defer stdout.Close()
	d, err := p.run(filepath.Dir(b.path), stdout)
	if err != nil {
		return 0, err
	}
	got, err := os.ReadFile(stdout.Name())
	if err != nil {
		return 0, err
	}
	if b.want != nil && !bytes.Equal(got, b.want) {
		return 0, fmt.Errorf("prints %.60q, expected is %.60q", got, b.want)
	}
	if d <= 0 {
		return 0, errors.New("bench.start and bench.end were not called")
	}
	return d, nil
}

// threadTime is the processor time of the calling thread.
func threadTime() time.Duration { return cpuClock(unix.CLOCK_THREAD_CPUTIME_ID) }

// processTime is the processor time of all threads.
func processTime() time.Duration { return cpuClock(unix.CLOCK_PROCESS_CPUTIME_ID) }

func cpuClock(id int32) time.Duration {
	var t unix.Timespec
	if err := unix.ClockGettime(id, &t); err != nil {
		panic(err)
	}
	return time.Duration(t.Nano())
}

// stopwatch times what is between bench.start and bench.end.
type stopwatch struct{ started, took time.Duration }

func (w *stopwatch) start() { w.started = threadTime() }
func (w *stopwatch) end()   { w.took += threadTime() - w.started }

// ratioMean is a geometric mean.
type ratioMean struct {
	logs float64
	n    int
}

func (m *ratioMean) add(x float64) { m.logs += math.Log(x); m.n++ }

func (m *ratioMean) mean() float64 { return math.Exp(m.logs / float64(max(m.n, 1))) }

// median sorts t.
func median(t []float64) float64 {
	slices.Sort(t)
	return t[len(t)/2]
}

// spread is the range of the sorted t without its ends, in percent of the
// median.
func spread(t []float64) float64 {
	cut := len(t) / 5
	return 100 * (t[len(t)-1-cut] - t[cut]) / median(t)
}
