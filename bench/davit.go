package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"github.com/davit-wasm/davit"
	"github.com/davit-wasm/davit/wasi/wasip1"
	"github.com/davit-wasm/davit/wat"
)

type davitEngine struct{}

func newDavit() engine { return davitEngine{} }

func (davitEngine) name() string { return "davit" }

func (davitEngine) load(wasm []byte) (kernelModule, error) {
	e, err := davit.NewEngine(nil)
	if err != nil {
		return nil, err
	}
	m, err := e.Compile(context.Background(), wasm)
	if err != nil {
		return nil, err
	}
	s, err := davit.NewStore(e, nil)
	if err != nil {
		return nil, err
	}
	l := davit.NewLinker(e)
	t := davit.FuncType{Params: []davit.ValType{davit.I32}, Results: []davit.ValType{davit.I32}}
	if err := l.DefineFunc("env", "nop", t, func(context.Context, *davit.Caller, []uint64) error { return nil }); err != nil {
		return nil, err
	}
	in, err := l.Instantiate(context.Background(), s, m)
	if err != nil {
		return nil, err
	}
	return &davitModule{s, in}, nil
}

func (davitEngine) compile(wasm []byte) error {
	e, err := davit.NewEngine(&davit.Config{CompileWorkers: 1})
	if err != nil {
		return err
	}
	m, err := e.Compile(context.Background(), wasm)
	if err != nil {
		return err
	}
	m.Close()
	return nil
}

type davitModule struct {
	s  *davit.Store
	in *davit.Instance
}

func (m *davitModule) call(export string, arg int32, n int) (int32, error) {
	f := m.in.Func(export)
	ctx := context.Background()
	var stack [1]uint64
	for range n {
		stack[0] = uint64(uint32(arg))
		if err := f.CallRaw(ctx, stack[:]); err != nil {
			return 0, err
		}
	}
	return int32(stack[0]), nil
}

func (m *davitModule) close() { m.s.Close() }

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

type davitCorpus struct {
	label  string
	engine *davit.Engine
}

// davitConfig is the configuration for options, which are joined by +: bounds,
// epoch, cpu=MODEL, and NAME=VALUE for a setting of the code generator.
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

func newDavitCorpus(option string) (corpusEngine, error) {
	c, err := davitConfig(option)
	if err != nil {
		return nil, err
	}
	e, err := davit.NewEngine(&c)
	return &davitCorpus{label("davit", option), e}, err
}

func (e *davitCorpus) name() string { return e.label }
func (e *davitCorpus) close()       {}

func (e *davitCorpus) program(wasm []byte) (program, time.Duration, error) {
	start := processTime()
	m, err := e.engine.Compile(context.Background(), wasm)
	if err != nil {
		return nil, 0, err
	}
	return &davitProgram{e.engine, m}, processTime() - start, nil
}

type davitProgram struct {
	engine *davit.Engine
	module *davit.Module
}

func (p *davitProgram) close() { p.module.Close() }

func (p *davitProgram) run(dir string, stdout *os.File) (time.Duration, error) {
	ctx := context.Background()
	process, err := wasip1.New(&wasip1.Config{
		Args:   []string{"benchmark"},
		Stdout: stdout,
		Mounts: []wasip1.Mount{{Host: dir, Guest: ".", ReadOnly: true}},
	})
	if err != nil {
		return 0, err
	}
	defer process.Close()
	s, err := davit.NewStore(p.engine, nil)
	if err != nil {
		return 0, err
	}
	defer s.Close()
	l := davit.NewLinker(p.engine)
	if err := process.Define(l); err != nil {
		return 0, err
	}
	var w stopwatch
	for name, f := range map[string]func(){"start": w.start, "end": w.end} {
		err := l.DefineFunc("bench", name, davit.FuncType{}, func(context.Context, *davit.Caller, []uint64) error {
			f()
			return nil
		})
		if err != nil {
			return 0, err
		}
	}
	in, err := l.Instantiate(ctx, s, p.module)
	if err != nil {
		return 0, err
	}
	err = in.Func("_start").CallRaw(ctx, nil)
	if exit, ok := errors.AsType[*davit.ExitError](err); ok && exit.Code == 0 {
		err = nil
	}
	return w.took, err
}
