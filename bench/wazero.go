package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/imports/wasi_snapshot_preview1"
	"github.com/tetratelabs/wazero/sys"
)

type wazeroEngine struct{ ctx context.Context }

func newWazero(ctx context.Context) engine { return wazeroEngine{ctx} }

func (wazeroEngine) name() string { return "wazero" }

func (w wazeroEngine) load(wasm []byte) (kernelModule, error) {
	r := wazero.NewRuntimeWithConfig(w.ctx, wazero.NewRuntimeConfigCompiler())
	nop := api.GoFunc(func(_ context.Context, stack []uint64) {})
	_, err := r.NewHostModuleBuilder("env").NewFunctionBuilder().
		WithGoFunction(nop, []api.ValueType{api.ValueTypeI32}, []api.ValueType{api.ValueTypeI32}).Export("nop").Instantiate(w.ctx)
	if err != nil {
		return nil, err
	}
	m, err := r.Instantiate(w.ctx, wasm)
	if err != nil {
		return nil, err
	}
	return &wazeroModule{w.ctx, r, m}, nil
}

func (w wazeroEngine) compile(wasm []byte) error {
	r := wazero.NewRuntimeWithConfig(w.ctx, wazero.NewRuntimeConfigCompiler())
	defer r.Close(w.ctx)
	wasi_snapshot_preview1.MustInstantiate(w.ctx, r)
	_, err := r.CompileModule(w.ctx, wasm)
	return err
}

type wazeroModule struct {
	ctx context.Context
	r   wazero.Runtime
	m   api.Module
}

func (m *wazeroModule) call(export string, arg int32, n int) (int32, error) {
	f := m.m.ExportedFunction(export)
	var stack [1]uint64
	for range n {
		stack[0] = uint64(uint32(arg))
		if err := f.CallWithStack(m.ctx, stack[:]); err != nil {
			return 0, err
		}
	}
	return int32(stack[0]), nil
}

func (m *wazeroModule) close() { m.r.Close(m.ctx) }

type wazeroCorpus struct {
	ctx context.Context
	r   wazero.Runtime
	// w times the one program that runs.
	w stopwatch
}

func newWazeroCorpus(option string) (corpusEngine, error) {
	if option != "" {
		return nil, fmt.Errorf("unknown option %q of wazero", option)
	}
	ctx := context.Background()
	e := &wazeroCorpus{ctx: ctx, r: wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfigCompiler())}
	if _, err := wasi_snapshot_preview1.Instantiate(ctx, e.r); err != nil {
		return nil, err
	}
	_, err := e.r.NewHostModuleBuilder("bench").
		NewFunctionBuilder().WithFunc(func() { e.w.start() }).Export("start").
		NewFunctionBuilder().WithFunc(func() { e.w.end() }).Export("end").Instantiate(ctx)
	return e, err
}

func (e *wazeroCorpus) name() string { return "wazero" }
func (e *wazeroCorpus) close()       { e.r.Close(e.ctx) }

func (e *wazeroCorpus) program(wasm []byte) (program, time.Duration, error) {
	start := processTime()
	m, err := e.r.CompileModule(e.ctx, wasm)
	if err != nil {
		return nil, 0, err
	}
	return &wazeroProgram{e, m}, processTime() - start, nil
}

type wazeroProgram struct {
	engine *wazeroCorpus
	module wazero.CompiledModule
}

func (p *wazeroProgram) close() { p.module.Close(p.engine.ctx) }

func (p *wazeroProgram) run(dir string, stdout *os.File) (time.Duration, error) {
	e := p.engine
	e.w = stopwatch{}
	m, err := e.r.InstantiateModule(e.ctx, p.module, wazero.NewModuleConfig().WithName("").WithArgs("benchmark").
		WithStdout(stdout).WithSysWalltime().WithSysNanotime().
		WithFSConfig(wazero.NewFSConfig().WithReadOnlyDirMount(dir, ".")))
	if exit, ok := errors.AsType[*sys.ExitError](err); ok && exit.ExitCode() == 0 {
		err = nil
	}
	if err != nil {
		return 0, err
	}
	if m != nil {
		err = m.Close(e.ctx)
	}
	return e.w.took, err
}
