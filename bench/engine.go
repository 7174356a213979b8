package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// An engine is a peer with its options.
type engine interface {
	name() string
	// compile compiles a module, and says what that cost.
	compile(wasm []byte) (module, cost, error)
	// textSize is how many bytes of machine code a module becomes, without what
	// lies around it.
	textSize(wasm []byte) (int, error)
	// pid is the process that compiles and runs.
	pid() int
	close()
}

// A module is a compiled module. It may import WASI 0.1, bench.start and
// bench.end, and env.nop, an identity on i32.
type module interface {
	program
	// instantiate makes n instances, one after the other, without calling
	// anything but start functions, and says what that cost.
	instantiate(n int) (cost, error)
	// exports makes an instance whose exports are (i32) → i32.
	exports() (exports, error)
	close()
}

// A program is a command that calls bench.start and bench.end around what is to
// be timed, the convention of the Sightglass suite.
type program interface {
	// run runs the program in a new instance, with dir as its current directory
	// and stdout as its standard output, and returns the processor time between
	// start and end.
	run(dir string, stdout *os.File) (time.Duration, error)
}

// exports is an instance.
type exports interface {
	// call calls an export n times, and returns the last result and the processor
	// time of all.
	call(export string, arg int32, n int) (int32, time.Duration, error)
	close()
}

// A cost is what something takes: time, and processor time of all threads.
type cost struct{ wall, cpu time.Duration }

// errAbsent is that an engine is not on this machine.
var errAbsent = errors.New("not installed")

// errNoSize is that an engine does not tell how large its code is.
var errNoSize = errors.New("the engine does not tell")

// deadlineOption makes programs run under a deadline.
const deadlineOption = "deadline"

// runContext is what programs run under: a context with a deadline that they do not
// come to, or one without.
func runContext(deadline bool) (context.Context, context.CancelFunc) {
	if deadline {
		return context.WithTimeout(context.Background(), time.Hour)
	}
	return context.Background(), func() {}
}

// newEngine is the engine that spec names: davit, wasmtime, wazero or v8, with
// options after a colon. It compiles on so many threads; 0 are all processors.
func newEngine(spec string, threads int) (engine, error) {
	name, option, _ := strings.Cut(spec, ":")
	switch name {
	case "davit":
		return newDavit(option, threads)
	case "wasmtime":
		return newWasmtime(option, threads)
	case "wazero":
		return newWazero(option, threads)
	case "v8":
		return newV8(option, threads)
	}
	return nil, fmt.Errorf("unknown engine %q: davit, wasmtime, wazero and v8 are known", spec)
}

// label is the name of an engine with an option.
func label(name, option string) string {
	if option == "" {
		return name
	}
	return name + ":" + option
}

// measureCost is what do costs in this process.
func measureCost(do func() error) (cost, error) {
	wall, cpu := time.Now(), processTime()
	err := do()
	return cost{time.Since(wall), processTime() - cpu}, err
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
