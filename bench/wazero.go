package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"
	"github.com/tetratelabs/wazero/imports/wasi_snapshot_preview1"
	"github.com/tetratelabs/wazero/sys"
)

// wazeroEngine is wazero's compiler.
type wazeroEngine struct {
	ctx context.Context
	r   wazero.Runtime
	// deadline is that programs run under one.
	deadline bool
	// w times the one program that runs.
	w stopwatch
}

func newWazero(option string, threads int) (engine, error) {
	if option != "" && option != deadlineOption {
		return nil, fmt.Errorf("unknown option %q of wazero", option)
	}
	if threads == 0 {
		threads = runtime.GOMAXPROCS(0)
	}
	ctx := experimental.WithCompilationWorkers(context.Background(), threads)
	deadline := option == deadlineOption
	c := wazero.NewRuntimeConfigCompiler().WithCloseOnContextDone(deadline)
	e := &wazeroEngine{ctx: ctx, r: wazero.NewRuntimeWithConfig(ctx, c), deadline: deadline}
	if _, err := wasi_snapshot_preview1.Instantiate(ctx, e.r); err != nil {
		return nil, err
	}
	_, err := e.r.NewHostModuleBuilder("bench").
		NewFunctionBuilder().WithFunc(func() { e.w.start() }).Export("start").
		NewFunctionBuilder().WithFunc(func() { e.w.end() }).Export("end").Instantiate(ctx)
	if err != nil {
		return nil, err
	}
	nop := api.GoFunc(func(context.Context, []uint64) {})
	_, err = e.r.NewHostModuleBuilder("env").NewFunctionBuilder().
		WithGoFunction(nop, []api.ValueType{api.ValueTypeI32}, []api.ValueType{api.ValueTypeI32}).Export("nop").Instantiate(ctx)
	return e, err
}

func (e *wazeroEngine) name() string {
	if e.deadline {
		return label("wazero", deadlineOption)
	}
	return "wazero"
}

func (e *wazeroEngine) pid() int { return os.Getpid() }
func (e *wazeroEngine) close()   { e.r.Close(e.ctx) }

func (e *wazeroEngine) compile(wasm []byte) (module, cost, error) {
	var m wazero.CompiledModule
	c, err := measureCost(func() (err error) {
		m, err = e.r.CompileModule(e.ctx, wasm)
		return err
	})
	return &wazeroModule{e, m}, c, err
}

// textSize reads the size of the code from wazero's cache: six bytes of magic,
// the version with its length before it, the number of functions in 4 bytes,
// their offsets in 8 each, and then, in 8, the size.
func (e *wazeroEngine) textSize(wasm []byte) (int, error) {
	dir, err := os.MkdirTemp("", "bench")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(dir)
	cache, err := wazero.NewCompilationCacheWithDir(dir)
	if err != nil {
		return 0, err
	}
	defer cache.Close(e.ctx)
	r := wazero.NewRuntimeWithConfig(e.ctx, wazero.NewRuntimeConfigCompiler().WithCompilationCache(cache))
	defer r.Close(e.ctx)
	if _, err := r.CompileModule(e.ctx, wasm); err != nil {
		return 0, err
	}
	size := 0
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		const magic = "WAZEVO"
		if !bytes.HasPrefix(data, []byte(magic)) || len(data) < len(magic)+1+int(data[len(magic)])+4 {
			return errNoSize
		}
		data = data[len(magic)+1+int(data[len(magic)]):]
		at := 4 + 8*int(binary.LittleEndian.Uint32(data))
		if len(data) < at+8 {
			return errNoSize
		}
		size = int(binary.LittleEndian.Uint64(data[at:]))
		return nil
	})
	if err == nil && size == 0 {
		err = errNoSize
	}
	return size, err
}

type wazeroModule struct {
	engine *wazeroEngine
	module wazero.CompiledModule
}

func (m *wazeroModule) close() { m.module.Close(m.engine.ctx) }

func (m *wazeroModule) run(dir string, stdout *os.File) (time.Duration, error) {
	e := m.engine
	e.w = stopwatch{}
	ctx, cancel := runContext(e.deadline)
	defer cancel()
	in, err := e.r.InstantiateModule(ctx, m.module, wazero.NewModuleConfig().WithName("").WithArgs("benchmark").
		WithStdout(stdout).WithSysWalltime().WithSysNanotime().
		WithFSConfig(wazero.NewFSConfig().WithReadOnlyDirMount(dir, ".")))
	if exit, ok := errors.AsType[*sys.ExitError](err); ok && exit.ExitCode() == 0 {
		err = nil
	}
	if err != nil {
		return 0, err
	}
	if in != nil {
		err = in.Close(e.ctx)
	}
	return e.w.took, err
}

// instance makes an instance without calling _start.
func (m *wazeroModule) instance() (api.Module, error) {
	return m.engine.r.InstantiateModule(m.engine.ctx, m.module, wazero.NewModuleConfig().WithName("").WithStartFunctions())
}

func (m *wazeroModule) instantiate(n int) (cost, error) {
	return measureCost(func() error {
		for range n {
			in, err := m.instance()
			if err != nil {
				return err
			}
			if err := in.Close(m.engine.ctx); err != nil {
				return err
			}
		}
		return nil
	})
}

func (m *wazeroModule) exports() (exports, error) {
	in, err := m.instance()
	return &wazeroExports{m.engine.ctx, in}, err
}

type wazeroExports struct {
	ctx context.Context
	in  api.Module
}

func (x *wazeroExports) call(export string, arg int32, n int) (int32, time.Duration, error) {
	f := x.in.ExportedFunction(export)
	var stack [1]uint64
	start := threadTime()
	for range n {
		stack[0] = uint64(uint32(arg))
		if err := f.CallWithStack(x.ctx, stack[:]); err != nil {
			return 0, 0, err
		}
	}
	return int32(stack[0]), threadTime() - start, nil
}

func (x *wazeroExports) close() { x.in.Close(x.ctx) }
