package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/davit-wasm/davit"
	"github.com/davit-wasm/davit/internal/artifact"
	"github.com/davit-wasm/davit/wasi/wasip1"
	"github.com/davit-wasm/davit/wat"
)

// davitEngine is davit with a configuration.
type davitEngine struct {
	label    string
	engine   *davit.Engine
	stores   *davit.StoreConfig
	deadline bool // programs run under one
}

func newDavit(options string, threads int) (engine, error) {
	all := strings.Split(options, "+")
	deadline := slices.Contains(all, deadlineOption)
	c, err := davitConfig(strings.Join(slices.DeleteFunc(all, func(s string) bool { return s == deadlineOption }), "+"))
	if err != nil {
		return nil, err
	}
	c.CompileWorkers = threads
	e, err := davit.NewEngine(&c)
	return &davitEngine{label("davit", options), e, davitStores(&c), deadline}, err
}

func (e *davitEngine) name() string { return e.label }
func (e *davitEngine) pid() int     { return os.Getpid() }
func (e *davitEngine) close()       {}

func (e *davitEngine) compile(wasm []byte) (module, cost, error) {
	var m *davit.Module
	c, err := measureCost(func() (err error) {
		m, err = e.engine.Compile(context.Background(), wasm)
		return err
	})
	return &davitModule{e.engine, m, e.stores, e.deadline}, c, err
}

func (e *davitEngine) textSize(wasm []byte) (int, error) {
	m, err := e.engine.Compile(context.Background(), wasm)
	if err != nil {
		return 0, err
	}
	defer m.Close()
	data, err := m.Serialize()
	if err != nil {
		return 0, err
	}
	_, _, im, err := artifact.Inspect(data)
	if err != nil {
		return 0, err
	}
	return len(im.Text), nil
}

type davitModule struct {
	engine   *davit.Engine
	module   *davit.Module
	stores   *davit.StoreConfig
	deadline bool
}

func (m *davitModule) close() { m.module.Close() }

// linker defines all that modules may import, for one instance.
func (m *davitModule) linker(process *wasip1.Process, w *stopwatch) (*davit.Linker, error) {
	l := davit.NewLinker(m.engine)
	if err := process.Define(l); err != nil {
		return nil, err
	}
	for name, f := range map[string]func(){"start": w.start, "end": w.end} {
		err := l.DefineFunc("bench", name, davit.FuncType{}, func(context.Context, *davit.Caller, []uint64) error {
			f()
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	t := davit.FuncType{Params: []davit.ValType{davit.I32}, Results: []davit.ValType{davit.I32}}
	return l, l.DefineFunc("env", "nop", t, func(context.Context, *davit.Caller, []uint64) error { return nil })
}

func (m *davitModule) run(dir string, stdout *os.File) (time.Duration, error) {
	ctx, cancel := runContext(m.deadline)
	defer cancel()
	process, err := wasip1.New(&wasip1.Config{
		Args:   []string{"benchmark"},
		Stdout: stdout,
		Mounts: []wasip1.Mount{{Host: dir, Guest: ".", ReadOnly: true}},
	})
	if err != nil {
		return 0, err
	}
	defer process.Close()
	s, err := davit.NewStore(m.engine, m.stores)
	if err != nil {
		return 0, err
	}
	defer s.Close()
	var w stopwatch
	l, err := m.linker(process, &w)
	if err != nil {
		return 0, err
	}
	in, err := l.Instantiate(ctx, s, m.module)
	if err != nil {
		return 0, err
	}
	err = in.Func("_start").CallRaw(ctx, nil)
	if exit, ok := errors.AsType[*davit.ExitError](err); ok && exit.Code == 0 {
		err = nil
	}
	return w.took, err
}

func (m *davitModule) instantiate(n int) (cost, error) {
	process, err := wasip1.New(nil)
	if err != nil {
		return cost{}, err
	}
	defer process.Close()
	l, err := m.linker(process, new(stopwatch))
	if err != nil {
		return cost{}, err
	}
	pre, err := l.InstancePre(m.module)
	if err != nil {
		return cost{}, err
	}
	return measureCost(func() error {
		for range n {
			s, err := davit.NewStore(m.engine, m.stores)
			if err != nil {
				return err
			}
			_, err = pre.Instantiate(context.Background(), s)
			if err := errors.Join(err, s.Close()); err != nil {
				return err
			}
		}
		return nil
	})
}

func (m *davitModule) exports() (exports, error) {
	process, err := wasip1.New(nil)
	if err != nil {
		return nil, err
	}
	l, err := m.linker(process, new(stopwatch))
	if err != nil {
		return nil, err
	}
	s, err := davit.NewStore(m.engine, m.stores)
	if err != nil {
		return nil, err
	}
	in, err := l.Instantiate(context.Background(), s, m.module)
	return &davitExports{process, s, in}, err
}

type davitExports struct {
	process *wasip1.Process
	store   *davit.Store
	in      *davit.Instance
}

func (x *davitExports) call(export string, arg int32, n int) (int32, time.Duration, error) {
	f := x.in.Func(export)
	ctx := context.Background()
	var stack [1]uint64
	start := threadTime()
	for range n {
		stack[0] = uint64(uint32(arg))
		if err := f.CallRaw(ctx, stack[:]); err != nil {
			return 0, 0, err
		}
	}
	return int32(stack[0]), threadTime() - start, nil
}

func (x *davitExports) close() {
	x.store.Close()
	x.process.Close()
}

// davitConfig is the configuration for options, which are joined by +: bounds,
// epoch, fuel, quick (what compiles fastest), cpu=MODEL, and NAME=VALUE for a setting
// of the code generator.
func davitConfig(options string) (c davit.Config, err error) {
	if options == "" {
		return c, nil
	}
	for option := range strings.SplitSeq(options, "+") {
		name, value, ok := strings.Cut(option, "=")
		switch {
		case option == "bounds":
			c.ExplicitBounds = true
		case option == "epoch":
			c.Interruption = davit.InterruptionEpoch
		case option == "fuel":
			c.Fuel = true
		case option == "quick":
			c.Settings = append(c.Settings, "opt_level=none", "regalloc_algorithm=single_pass")
		case ok && name == "cpu":
			c.CPU = value
		case ok:
			c.Settings = append(c.Settings, option)
		default:
			return c, fmt.Errorf("unknown option %q of davit", option)
		}
	}
	return c, nil
}

// davitStores is the configuration of stores for a configuration: fuel is counted, but
// never used up.
func davitStores(c *davit.Config) *davit.StoreConfig {
	if !c.Fuel {
		return nil
	}
	return &davit.StoreConfig{Fuel: math.MaxUint64}
}

// newSpinner is a loop in WebAssembly that runs until stop is set, for each
// goroutine that calls it.
func newSpinner() (spin func(ctx context.Context, stop *atomic.Bool) error, closeAll func(), err error) {
	wasm, err := wat.Compile([]byte(`(module (func (export "spin") (local i32)
	  (loop $l (local.set 0 (i32.add (i32.mul (local.get 0) (i32.const 1664525)) (i32.const 1013904223))) (br $l))))`), nil)
	if err != nil {
		return nil, nil, err
	}
	e, err := davit.NewEngine(nil)
	if err != nil {
		return nil, nil, err
	}
	m, err := e.Compile(context.Background(), wasm)
	if err != nil {
		return nil, nil, err
	}
	spin = func(ctx context.Context, _ *atomic.Bool) error {
		s, err := davit.NewStore(e, nil)
		if err != nil {
			return err
		}
		defer s.Close()
		in, err := davit.NewLinker(e).Instantiate(context.Background(), s, m)
		if err != nil {
			return err
		}
		err = in.Func("spin").CallRaw(ctx, nil)
		if errors.Is(err, context.Canceled) {
			return nil
		}
		return err
	}
	return spin, func() { m.Close() }, nil
}
