package main

import (
	"bytes"
	"debug/elf"
	"fmt"
	"math"
	"os"
	"strings"
	"time"

	"github.com/bytecodealliance/wasmtime-go/v39"
)

// wasmtimeEngine is Wasmtime with a configuration.
type wasmtimeEngine struct {
	label  string
	engine *wasmtime.Engine
	needs  wasmtimeNeeds
}

// newWasmtimeConfig is the configuration for options, which are joined by +: none
// (nothing is optimized), epoch (interruption by epochs) and fuel (it is counted, but
// never used up).
func newWasmtimeConfig(options string) (c *wasmtime.Config, needs wasmtimeNeeds, err error) {
	c = wasmtime.NewConfig()
	c.SetCraneliftOptLevel(wasmtime.OptLevelSpeed)
	for option := range strings.SplitSeq(options, "+") {
		switch option {
		case "":
		case "none":
			c.SetCraneliftOptLevel(wasmtime.OptLevelNone)
		case "epoch":
			needs.epochs = true
			c.SetEpochInterruption(true)
		case "fuel":
			needs.fuel = true
			c.SetConsumeFuel(true)
		default:
			return nil, needs, fmt.Errorf("unknown option %q of wasmtime", option)
		}
	}
	return c, needs, nil
}

// wasmtimeNeeds is what stores need for a configuration.
type wasmtimeNeeds struct{ epochs, fuel bool }

// store makes a store with all the fuel that there can be, and a deadline that is never
// met, if they are needed.
func (n wasmtimeNeeds) store(e *wasmtime.Engine) *wasmtime.Store {
	s := wasmtime.NewStore(e)
	if n.epochs {
		s.SetEpochDeadline(1 << 40)
	}
	if n.fuel {
		if err := s.SetFuel(math.MaxUint64); err != nil {
			panic(err) // the engine counts it
		}
	}
	return s
}

func newWasmtime(option string, threads int) (engine, error) {
	c, needs, err := newWasmtimeConfig(option)
	if err != nil {
		return nil, err
	}
	switch threads {
	case 0:
	case 1:
		c.SetParallelCompilation(false)
	default:
		return nil, fmt.Errorf("wasmtime compiles on one thread or on all")
	}
	return &wasmtimeEngine{label("wasmtime", option), wasmtime.NewEngineWithConfig(c), needs}, nil
}

func (e *wasmtimeEngine) name() string { return e.label }
func (e *wasmtimeEngine) pid() int     { return os.Getpid() }
func (e *wasmtimeEngine) close()       { e.engine.Close() }

func (e *wasmtimeEngine) compile(wasm []byte) (module, cost, error) {
	var m *wasmtime.Module
	c, err := measureCost(func() (err error) {
		m, err = wasmtime.NewModule(e.engine, wasm)
		return err
	})
	return &wasmtimeModule{e, m}, c, err
}

func (e *wasmtimeEngine) textSize(wasm []byte) (int, error) {
	m, err := wasmtime.NewModule(e.engine, wasm)
	if err != nil {
		return 0, err
	}
	defer m.Close()
	data, err := m.Serialize()
	if err != nil {
		return 0, err
	}
	file, err := elf.NewFile(bytes.NewReader(data))
	if err != nil {
		return 0, err
	}
	text := file.Section(".text")
	if text == nil {
		return 0, errNoSize
	}
	return int(text.Size), nil
}

type wasmtimeModule struct {
	engine *wasmtimeEngine
	module *wasmtime.Module
}

func (m *wasmtimeModule) store() *wasmtime.Store { return m.engine.needs.store(m.engine.engine) }

func (m *wasmtimeModule) close() { m.module.Close() }

// linker defines all that modules may import.
func (m *wasmtimeModule) linker(w *stopwatch) (*wasmtime.Linker, error) {
	l := wasmtime.NewLinker(m.engine.engine)
	if err := l.DefineWasi(); err != nil {
		return nil, err
	}
	if err := l.FuncWrap("bench", "start", w.start); err != nil {
		return nil, err
	}
	if err := l.FuncWrap("bench", "end", w.end); err != nil {
		return nil, err
	}
	return l, l.FuncWrap("env", "nop", func(x int32) int32 { return x })
}

func (m *wasmtimeModule) run(dir string, stdout *os.File) (time.Duration, error) {
	s := m.store()
	defer s.Close()
	c := wasmtime.NewWasiConfig()
	c.SetArgv([]string{"benchmark"})
	if err := c.SetStdoutFile(stdout.Name()); err != nil {
		return 0, err
	}
	if err := c.SetStderrFile(os.DevNull); err != nil {
		return 0, err
	}
	if err := c.PreopenDir(dir, ".", wasmtime.DIR_READ, wasmtime.FILE_READ); err != nil {
		return 0, err
	}
	s.SetWasi(c)
	var w stopwatch
	l, err := m.linker(&w)
	if err != nil {
		return 0, err
	}
	defer l.Close()
	in, err := l.Instantiate(s, m.module)
	if err != nil {
		return 0, err
	}
	if _, err := in.GetFunc(s, "_start").Call(s); err != nil {
		if e, ok := err.(*wasmtime.Error); !ok || !exitedWell(e) {
			return 0, err
		}
	}
	return w.took, nil
}

func (m *wasmtimeModule) instantiate(n int) (cost, error) {
	l, err := m.linker(new(stopwatch))
	if err != nil {
		return cost{}, err
	}
	defer l.Close()
	return measureCost(func() error {
		for range n {
			s := m.store()
			s.SetWasi(wasmtime.NewWasiConfig())
			_, err := l.Instantiate(s, m.module)
			s.Close()
			if err != nil {
				return err
			}
		}
		return nil
	})
}

func (m *wasmtimeModule) exports() (exports, error) {
	l, err := m.linker(new(stopwatch))
	if err != nil {
		return nil, err
	}
	defer l.Close()
	s := m.store()
	s.SetWasi(wasmtime.NewWasiConfig())
	in, err := l.Instantiate(s, m.module)
	return &wasmtimeExports{s, in}, err
}

type wasmtimeExports struct {
	store *wasmtime.Store
	in    *wasmtime.Instance
}

func (x *wasmtimeExports) call(export string, arg int32, n int) (int32, time.Duration, error) {
	f := x.in.GetFunc(x.store, export)
	var r any
	start := threadTime()
	for range n {
		var err error
		if r, err = f.Call(x.store, arg); err != nil {
			return 0, 0, err
		}
	}
	return r.(int32), threadTime() - start, nil
}

func (x *wasmtimeExports) close() { x.store.Close() }

func exitedWell(e *wasmtime.Error) bool {
	code, ok := e.ExitStatus()
	return ok && code == 0
}
