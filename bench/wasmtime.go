package main

import (
	"fmt"
	"os"
	"time"

	"github.com/bytecodealliance/wasmtime-go/v39"
)

type wasmtimeEngine struct{ engine *wasmtime.Engine }

func newWasmtimeConfig(option string) (*wasmtime.Config, error) {
	c := wasmtime.NewConfig()
	c.SetCraneliftOptLevel(wasmtime.OptLevelSpeed)
	switch option {
	case "":
	case "none":
		c.SetCraneliftOptLevel(wasmtime.OptLevelNone)
	default:
		return nil, fmt.Errorf("unknown option %q of wasmtime", option)
	}
	return c, nil
}

func newWasmtime() (engine, error) {
	c, err := newWasmtimeConfig("")
	if err != nil {
		return nil, err
	}
	c.SetParallelCompilation(false)
	return wasmtimeEngine{wasmtime.NewEngineWithConfig(c)}, nil
}

func (wasmtimeEngine) name() string { return "wasmtime" }

func (e wasmtimeEngine) load(wasm []byte) (kernelModule, error) {
	m, err := wasmtime.NewModule(e.engine, wasm)
	if err != nil {
		return nil, err
	}
	s := wasmtime.NewStore(e.engine)
	l := wasmtime.NewLinker(e.engine)
	if err := l.FuncWrap("env", "nop", func(x int32) int32 { return x }); err != nil {
		return nil, err
	}
	in, err := l.Instantiate(s, m)
	if err != nil {
		return nil, err
	}
	return &wasmtimeModule{s, in}, nil
}

func (e wasmtimeEngine) compile(wasm []byte) error {
	m, err := wasmtime.NewModule(e.engine, wasm)
	if err == nil {
		m.Close()
	}
	return err
}

type wasmtimeModule struct {
	s  *wasmtime.Store
	in *wasmtime.Instance
}

func (m *wasmtimeModule) call(export string, arg int32, n int) (int32, error) {
	f := m.in.GetFunc(m.s, export)
	var r any
	for range n {
		var err error
		if r, err = f.Call(m.s, arg); err != nil {
			return 0, err
		}
	}
	return r.(int32), nil
}

func (m *wasmtimeModule) close() { m.s.Close() }

type wasmtimeCorpus struct {
	label  string
	engine *wasmtime.Engine
}

func newWasmtimeCorpus(option string) (corpusEngine, error) {
	c, err := newWasmtimeConfig(option)
	if err != nil {
		return nil, err
	}
	return &wasmtimeCorpus{label("wasmtime", option), wasmtime.NewEngineWithConfig(c)}, nil
}

func (e *wasmtimeCorpus) name() string { return e.label }
func (e *wasmtimeCorpus) close()       { e.engine.Close() }

func (e *wasmtimeCorpus) program(wasm []byte) (program, time.Duration, error) {
	start := processTime()
	m, err := wasmtime.NewModule(e.engine, wasm)
	if err != nil {
		return nil, 0, err
	}
	return &wasmtimeProgram{e.engine, m}, processTime() - start, nil
}

type wasmtimeProgram struct {
	engine *wasmtime.Engine
	module *wasmtime.Module
}

func (p *wasmtimeProgram) close() { p.module.Close() }

func (p *wasmtimeProgram) run(dir string, stdout *os.File) (time.Duration, error) {
	s := wasmtime.NewStore(p.engine)
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
	l := wasmtime.NewLinker(p.engine)
	defer l.Close()
	if err := l.DefineWasi(); err != nil {
		return 0, err
	}
	var w stopwatch
	if err := l.FuncWrap("bench", "start", w.start); err != nil {
		return 0, err
	}
	if err := l.FuncWrap("bench", "end", w.end); err != nil {
		return 0, err
	}
	in, err := l.Instantiate(s, p.module)
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

func exitedWell(e *wasmtime.Error) bool {
	code, ok := e.ExitStatus()
	return ok && code == 0
}

// label is the name of an engine with an option.
func label(name, option string) string {
	if option == "" {
		return name
	}
	return name + ":" + option
}
