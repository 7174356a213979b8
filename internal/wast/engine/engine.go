// Package engine runs test scripts on package davit.
package engine

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/davit-wasm/davit"
	"github.com/davit-wasm/davit/internal/wast"
	"github.com/davit-wasm/davit/wasm"
)

// Engines makes engines that run scripts on package davit: those of the same
// features share a [davit.Engine], and every script has a store of its own.
type Engines struct {
	Config  davit.Config  // Features are those of the script
	Timeout time.Duration // of one action; 0 means a minute
	// Artifacts makes modules go through artifacts, which are loaded from files in
	// this folder and from memory by turns, unless it is "".
	Artifacts string

	serial   atomic.Int64
	consumed atomic.Uint64
	mu       sync.Mutex
	engines  map[wasm.Features]*davit.Engine
}

// New makes an engine for a script; it fits [wast.Runner.NewEngine].
func (x *Engines) New(features wasm.Features) (wast.Engine, error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	engine := x.engines[features]
	if engine == nil {
		config := x.Config
		config.Features = features
		var err error
		if engine, err = davit.NewEngine(&config); err != nil {
			return nil, err
		}
		if x.engines == nil {
			x.engines = make(map[wasm.Features]*davit.Engine)
		}
		x.engines[features] = engine
	}
	stores := &davit.StoreConfig{MaxMemoryBytes: 1 << 40} // scripts make memories beyond the default
	if x.Config.Fuel {
		stores.Fuel = math.MaxUint64
	}
	store, err := davit.NewStore(engine, stores)
	if err != nil {
		return nil, err
	}
	timeout := x.Timeout
	if timeout == 0 {
		timeout = time.Minute
	}
	return &davitEngine{engines: x, engine: engine, store: store, timeout: timeout}, nil
}

// FuelConsumed is how much fuel the scripts that have ended have consumed, if
// Config.Fuel is set.
func (x *Engines) FuelConsumed() uint64 { return x.consumed.Load() }

type davitEngine struct {
	engines *Engines
	engine  *davit.Engine
	store   *davit.Store
	modules []*davit.Module
	timeout time.Duration
}

func (e *davitEngine) context() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), e.timeout)
}

// Compile implements [wast.Engine].
func (e *davitEngine) Compile(binary []byte) (wast.Compiled, error) {
	ctx, cancel := e.context()
	defer cancel()
	m, err := e.engine.Compile(ctx, binary)
	if err != nil {
		return nil, davitError(err)
	}
	if e.engines.Artifacts != "" {
		if m, err = e.reload(m); err != nil {
			return nil, err
		}
	}
	e.modules = append(e.modules, m)
	return m, nil
}

// reload is what comes of m by way of an artifact. It closes m.
func (e *davitEngine) reload(m *davit.Module) (*davit.Module, error) {
	data, err := m.Serialize()
	if err != nil {
		return nil, err
	}
	if err := m.Close(); err != nil {
		return nil, err
	}
	n := e.engines.serial.Add(1)
	if n%2 == 0 {
		return e.engine.LoadModule(data)
	}
	name := filepath.Join(e.engines.Artifacts, fmt.Sprintf("%d.cwasm", n))
	if err := os.WriteFile(name, data, 0o600); err != nil {
		return nil, err
	}
	defer os.Remove(name)
	return e.engine.LoadModuleFile(name)
}

// HostFunc implements [wast.Engine].
func (e *davitEngine) HostFunc(t wasm.FuncType, f func(args []wast.Value)) wast.Extern {
	fn, err := davit.NewFunc(e.store, t, func(_ context.Context, _ *davit.Caller, stack []uint64) error {
		args := make([]wast.Value, len(t.Params))
		for i, p := range t.Params { // one slot each: there are no vectors among them
			args[i] = wast.Value{Type: p, Lo: stack[i]}
			if p == wasm.I32 || p == wasm.F32 {
				args[i].Lo &= 1<<32 - 1
			}
		}
		f(args)
		clear(stack[:len(t.Results)])
		return nil
	})
	if err != nil {
		panic("engine: a host function: " + err.Error())
	}
	return fn
}

// Instantiate implements [wast.Engine].
func (e *davitEngine) Instantiate(m wast.Compiled, resolve func(module, name string) (wast.Extern, bool)) (wast.Instance, error) {
	ctx, cancel := e.context()
	defer cancel()
	module := m.(*davit.Module)
	linker := davit.NewLinker(e.engine)
	linker.AllowShadowing(true) // a module may import the same twice
	for _, im := range module.Imports() {
		if x, ok := resolve(im.Module, im.Name); ok {
			if err := linker.Define(im.Module, im.Name, x.(davit.Extern)); err != nil {
				return nil, err
			}
		}
	}
	in, err := linker.Instantiate(ctx, e.store, module)
	if err != nil {
		return nil, davitError(err)
	}
	return &davitInstance{e, in}, nil
}

// Close implements [wast.Engine].
func (e *davitEngine) Close() error {
	e.engines.consumed.Add(e.store.FuelConsumed())
	for _, m := range e.modules {
		if err := m.Close(); err != nil {
			return err
		}
	}
	return e.store.Close()
}

type davitInstance struct {
	engine   *davitEngine
	instance *davit.Instance
}

// Export implements [wast.Instance].
func (in *davitInstance) Export(name string) (wast.Extern, bool) {
	x := in.instance.Export(name)
	return x, x != nil
}

// Call implements [wast.Instance].
func (in *davitInstance) Call(name string, args []wast.Value) ([]wast.Value, error) {
	f := in.instance.Func(name)
	if f == nil {
		return nil, fmt.Errorf("no function is exported as %q", name)
	}
	params := f.Type().Params
	if len(args) != len(params) {
		return nil, fmt.Errorf("%d arguments for %q, which has %d parameters", len(args), name, len(params))
	}
	in1 := make([]davit.Value, len(args))
	for i, a := range args {
		v, err := toDavit(a, params[i])
		if err != nil {
			return nil, err
		}
		in1[i] = v
	}
	ctx, cancel := in.engine.context()
	defer cancel()
	results, err := f.Call(ctx, in1...)
	if err != nil {
		return nil, davitError(err)
	}
	out := make([]wast.Value, len(results))
	for i, v := range results {
		out[i] = fromDavit(v)
	}
	return out, nil
}

// Global implements [wast.Instance].
func (in *davitInstance) Global(name string) (wast.Value, error) {
	g := in.instance.Global(name)
	if g == nil {
		return wast.Value{}, fmt.Errorf("no global is exported as %q", name)
	}
	return fromDavit(g.Get()), nil
}

// toDavit is v as an argument for a parameter of type t.
func toDavit(v wast.Value, t wasm.ValType) (davit.Value, error) {
	switch v.Type {
	case wasm.I32:
		return davit.ValueI32(int32(v.Lo)), nil
	case wasm.I64:
		return davit.ValueI64(int64(v.Lo)), nil
	case wasm.F32:
		return davit.ValueF32Bits(uint32(v.Lo)), nil
	case wasm.F64:
		return davit.ValueF64Bits(v.Lo), nil
	case wasm.V128:
		return davit.ValueV128(v.Lo, v.Hi), nil
	}
	switch v.Ref {
	case wast.RefNull:
		if t.IsRef() {
			return davit.ValueNull(t), nil
		}
		return davit.ValueNull(v.Type), nil
	case wast.RefExtern:
		return davit.ValueExtern(uint32(v.Lo)), nil
	}
	return davit.Value{}, errors.New("internal references of the host are not supported")
}

// fromDavit describes v.
func fromDavit(v davit.Value) wast.Value {
	t := v.Type()
	out := wast.Value{Type: t}
	switch {
	case t == wasm.V128:
		out.Lo, out.Hi = v.V128()
	case !t.IsRef():
		out.Lo = v.Bits()
	case v.IsNull():
		out.Ref = wast.RefNull
	case v.Func() != nil:
		out.Ref = wast.RefFunc
	default:
		out.Ref = wast.RefOther
		if n, ok := v.Extern().(uint32); ok {
			out.Ref, out.Lo = wast.RefExtern, uint64(n)
		}
	}
	return out
}

// davitError gives an error of package davit its class.
func davitError(err error) error {
	var (
		trap *davit.Trap
		link *davit.LinkError
	)
	switch {
	case errors.As(err, &trap):
		switch trap.Code {
		case davit.TrapStackOverflow:
			return &wast.Error{Class: wast.ClassExhaustion, Msg: trap.Code.String()}
		case davit.TrapInterrupt:
			return &wast.Error{Class: wast.ClassOther, Msg: trap.Error()}
		}
		return &wast.Error{Class: wast.ClassTrap, Msg: trap.Code.String()}
	case errors.As(err, &link):
		return &wast.Error{Class: wast.ClassUnlinkable, Msg: link.Error()}
	}
	return err // those of package wasm have classes of their own
}
