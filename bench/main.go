// Command bench runs davit beside its peers: the same work in turn, in one
// process, and prints medians and ratios of medians with their spread.
//
//	go run . [-runs 9] [-compile FILE.wasm] [-kernels DIR]
//	go run . -corpus [-runs 9] [-engines davit,wasmtime,wazero,v8] [PATTERN]
//	go run . -api [-runs 9]
//	go run . -health 100
//	go run . -fuzz 1000 [-seed 1] [-save DIR] [-engines davit,davit:bounds,wazero]
//
// The corpus is that of the Sightglass suite: processor time between its start
// and end marks, compilation by all processors together. Engines take an option
// after a colon: wasmtime:none, v8:liftoff; davit takes several, joined by +:
// bounds, epoch, cpu=MODEL, NAME=VALUE for a setting of the code generator.
// -fuzz runs random modules by all engines and compares what they do.
// -kernels names a folder with other kernels: micro.wat, and spec.json, which
// says what to call and how often.
//
// It is a module of its own, so that the peers are no dependencies of davit.
package main

import (
	"context"
	_ "embed"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/davit-wasm/davit/wat"
)

//go:embed kernels.wat
var kernels []byte

// engine is a peer.
type engine interface {
	name() string
	// load compiles and instantiates the kernels.
	load(wasm []byte) (kernelModule, error)
	// compile compiles a module on one thread and forgets it.
	compile(wasm []byte) error
}

// kernelModule is an instance of the kernels, whose exports are (i32) → i32.
type kernelModule interface {
	// call calls an export n times.
	call(export string, arg int32, n int) (int32, error)
	close()
}

// row is a measurement: ops operations by n calls with arg.
type row struct {
	name, export string
	arg          int32
	n, ops       int
	unit         string
	scale        float64 // nanoseconds per unit
}

var rows = []row{
	{"Go→wasm call", "id", 1, 1_000_000, 1_000_000, "ns", 1},
	{"wasm→Go→wasm", "g2h", 1_000_000, 1, 1_000_000, "ns", 1},
	{"memory: i32 sum", "memsum", 200, 1, 200 * 65536, "ns", 1},
	{"fib(35)", "fib", 35, 1, 1, "ms", 1e6},
}

func main() {
	runs := flag.Int("runs", 9, "measurements of each row and engine, of which the median counts")
	module := flag.String("compile", filepath.Join("..", "..", "shared", "real", "esbuild.wasm"), "module whose compilation on one thread is measured; none if empty")
	trials := flag.Int("health", 0, "instead, measure collections and deadlines beside loops, so many times")
	folder := flag.String("kernels", "", "folder with other kernels than the built-in ones")
	costs := flag.Bool("api", false, "instead, print what operations of the embedding API cost beside wazero")
	programs := flag.Bool("corpus", false, "instead, run the programs of the corpus whose names match the argument")
	dir := flag.String("dir", filepath.Join("..", "..", "shared", "bench", "sightglass"), "folder of the corpus")
	engines := flag.String("engines", "davit,wasmtime,wazero,v8", "who runs the corpus")
	modules := flag.Uint64("fuzz", 0, "instead, run so many random modules by all engines, and compare")
	seed := flag.Uint64("seed", 1, "the first random module")
	save := flag.String("save", "", "folder for random modules that engines disagree on")
	flag.Parse()
	var err error
	switch {
	case *modules > 0:
		err = fuzz(*engines, *seed, *modules, *save)
	case *trials > 0:
		err = health(*trials)
	case *costs:
		err = apiCosts(*runs)
	case *programs:
		err = corpus(*dir, *engines, flag.Arg(0), *runs)
	default:
		err = run(*runs, *module, *folder)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// readKernels reads the kernels in a folder.
func readKernels(dir string) (text []byte, rows []row, err error) {
	spec, err := os.ReadFile(filepath.Join(dir, "spec.json"))
	if err != nil {
		return nil, nil, err
	}
	var list []struct {
		Name, Export string
		Arg          int32
		N, Ops       int
		Unit         string
	}
	if err := json.Unmarshal(spec, &list); err != nil {
		return nil, nil, err
	}
	for _, k := range list {
		rows = append(rows, row{k.Name, k.Export, k.Arg, k.N, k.Ops, k.Unit, 1})
	}
	text, err = os.ReadFile(filepath.Join(dir, "micro.wat"))
	return text, rows, err
}

func run(runs int, module, dir string) error {
	text, rows := kernels, rows
	if dir != "" {
		var err error
		if text, rows, err = readKernels(dir); err != nil {
			return err
		}
	}
	wasm, err := wat.Compile(text, nil)
	if err != nil {
		return err
	}
	wasmtime, err := newWasmtime()
	if err != nil {
		return err
	}
	v8, err := newV8()
	if err != nil {
		return err
	}
	defer v8.close()
	engines := []engine{newDavit(), newWazero(context.Background()), wasmtime, v8}
	modules := make([]kernelModule, len(engines))
	for i, e := range engines {
		if modules[i], err = e.load(wasm); err != nil {
			return fmt.Errorf("%s: %w", e.name(), err)
		}
		defer modules[i].close()
	}
	out := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	defer out.Flush()
	fmt.Fprint(out, "\t")
	for _, e := range engines {
		fmt.Fprintf(out, "%s\tspread\t", e.name())
	}
	for _, e := range engines[1:] {
		fmt.Fprintf(out, "/ %s\t", e.name())
	}
	fmt.Fprintln(out)
	for _, r := range rows {
		times := make([][]float64, len(engines))
		var want int32
		for k := range runs + 1 {
			for i := range engines {
				start := time.Now()
				got, err := modules[i].call(r.export, r.arg, r.n)
				d := float64(time.Since(start)) / float64(r.ops) / r.scale
				if err != nil {
					return fmt.Errorf("%s: %s: %w", engines[i].name(), r.name, err)
				}
				if i == 0 {
					want = got
				} else if got != want {
					return fmt.Errorf("%s: %s is %d, elsewhere %d", engines[i].name(), r.name, got, want)
				}
				if k > 0 { // the first warms up
					times[i] = append(times[i], d)
				}
			}
		}
		print(out, r.name, r.unit, times)
	}
	if module == "" {
		return nil
	}
	b, err := os.ReadFile(module)
	if err != nil {
		return err
	}
	times := make([][]float64, len(engines))
	for range min(runs, 3) {
		for i, e := range engines {
			start := time.Now()
			if err := e.compile(b); err != nil {
				return fmt.Errorf("%s: %w", e.name(), err)
			}
			times[i] = append(times[i], time.Since(start).Seconds())
		}
	}
	print(out, "compile "+filepath.Base(module)+", one thread", "s", times)
	return nil
}

// print writes a line: median and range of each engine, ratios of the first
// one's median to those of the others.
func print(out *tabwriter.Writer, name, unit string, times [][]float64) {
	fmt.Fprintf(out, "%s\t", name)
	medians := make([]float64, len(times))
	for i, t := range times {
		slices.Sort(t)
		medians[i] = t[len(t)/2]
		fmt.Fprintf(out, "%.2f %s\t%.2f–%.2f\t", medians[i], unit, t[0], t[len(t)-1])
	}
	for _, m := range medians[1:] {
		fmt.Fprintf(out, "%.2f\t", medians[0]/m)
	}
	fmt.Fprintln(out)
}
