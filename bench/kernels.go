package main

import (
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"time"

	"github.com/davit-wasm/davit/wat"
)

//go:embed kernels.wat
var kernelText []byte

// A kernel is an export of type (i32) → i32: N calls with Arg do Ops operations.
// It is the form of spec.json in a folder of kernels.
type kernel struct {
	Name, Export string
	Arg          int32
	N, Ops       int
}

// kernelSpec is about kernels.wat.
var kernelSpec = []kernel{
	{"host->guest call", "id", 1, 1_000_000, 1_000_000},
	{"guest->host call", "g2h", 1_000_000, 1, 1_000_000},
	{"memory: i32 sum", "memsum", 200, 1, 200 * 65536},
	{"fib(35)", "fib", 35, 1, 1},
}

// quickKernels are those of a quick run.
var quickKernels = regexp.MustCompile(`->|call_indirect|br_table|memory.copy 16|rmw|simd|fib`)

// readKernels reads the kernels of a folder, micro.wat and spec.json, or the
// built-in ones if it is "".
func readKernels(dir string) (code []byte, list []kernel, err error) {
	text, list := kernelText, kernelSpec
	if dir != "" {
		if text, err = os.ReadFile(filepath.Join(dir, "micro.wat")); err != nil {
			return nil, nil, err
		}
		spec, err := os.ReadFile(filepath.Join(dir, "spec.json"))
		if err != nil {
			return nil, nil, err
		}
		list = nil
		if err := json.Unmarshal(spec, &list); err != nil {
			return nil, nil, fmt.Errorf("%s: %w", filepath.Join(dir, "spec.json"), err)
		}
	}
	code, err = wat.Compile(text, nil)
	return code, list, err
}

// callsPerSample is how long calls from the host are made for a sample.
const callsPerSample = 50 * time.Millisecond

// microKernels measures calls and single operations.
func (b *bench) microKernels() ([]*table, error) {
	code, list, err := readKernels(b.kernels)
	if err != nil {
		return nil, err
	}
	engines, err := b.engines(b.specs, 0)
	if err != nil {
		return nil, err
	}
	defer closeAll(engines)
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	t := b.newTable("kernels", "Calls and single operations", "ns", names(engines))
	t.About = "Processor time for one operation, in loops of many. The host is Go, for Wasmtime by way of cgo; for V8 it is JavaScript."
	modules := make([]module, len(engines))
	failed := make([]error, len(engines))
	for i, e := range engines {
		if modules[i], _, failed[i] = e.compile(code); failed[i] == nil {
			defer modules[i].close()
		}
	}
	for _, k := range list {
		if !b.match.MatchString(k.Name) || b.quick && !quickKernels.MatchString(k.Name) {
			continue
		}
		b.progress(t, k.Name)
		r := t.add(k.Name)
		want, known := int32(0), false
		counts := make([]int, len(engines))
		b.sample(r.Cells, b.runs, func(i int) (float64, error) {
			if failed[i] != nil {
				return 0, failed[i]
			}
			if counts[i] == 0 {
				trial := min(k.N, 1000)
				_, d, err := callAnew(modules[i], k, trial)
				if err != nil {
					return 0, err
				}
				counts[i] = min(k.N, trial*int(1+callsPerSample/max(d, time.Microsecond)))
			}
			got, d, err := callAnew(modules[i], k, counts[i])
			if err != nil {
				return 0, err
			}
			if known && got != want {
				return 0, fmt.Errorf("the result is %d, elsewhere %d", got, want)
			}
			want, known = got, true
			ops := float64(k.Ops) * float64(counts[i]) / float64(k.N)
			return float64(d) / ops, nil
		})
	}
	if len(t.Rows) == 0 {
		return nil, errors.New("no kernel matches")
	}
	return []*table{t}, nil
}

// callAnew calls a kernel n times in a new instance, as kernels grow memories.
func callAnew(m module, k kernel, n int) (int32, time.Duration, error) {
	x, err := m.exports()
	if err != nil {
		return 0, 0, err
	}
	defer x.close()
	return x.call(k.Export, k.Arg, n)
}
