package main

import (
	"context"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/imports/wasi_snapshot_preview1"
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
