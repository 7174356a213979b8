package main

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"strings"

	"github.com/bytecodealliance/wasmtime-go/v39"
	"github.com/davit-wasm/davit"
	"github.com/davit-wasm/davit/wat"
	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
)

// apiParams are the numbers of parameters that calls are measured with.
var apiParams = []int{0, 1, 2, 4, 8}

// apiModule has, for each number of parameters n, an export inN that adds them,
// and exports outN and typedN that call a host function of that many parameters
// as often as their own parameter says.
func apiModule() []byte {
	var b strings.Builder
	b.WriteString("(module\n")
	for _, kind := range []string{"raw", "typed"} {
		for _, n := range apiParams {
			fmt.Fprintf(&b, "(import %q \"f%d\" (func $%s%d (param%s) (result i32)))\n", kind, n, kind, n, strings.Repeat(" i32", n))
		}
	}
	b.WriteString(`(import "raw" "string" (func $string (param i32 i32)))
	(memory (export "memory") 1)
	(func (export "alloc") (param i32) (result i32) (i32.const 1024))
	(func (export "echo") (param $p i32) (param $n i32) (result i64)
		(memory.copy (i32.const 4096) (local.get $p) (local.get $n))
		(i64.or (i64.shl (i64.const 4096) (i64.const 32)) (i64.extend_i32_u (local.get $n))))
	(data (i32.const 100) "a string of thirty-two bytes ...")
	(func (export "strings") (param $n i32)
		(loop $l (call $string (i32.const 100) (i32.const 32))
			(br_if $l (local.tee $n (i32.sub (local.get $n) (i32.const 1))))))
`)
	for _, n := range apiParams {
		sum := "(i32.const 0)"
		args := ""
		for i := range n {
			sum = fmt.Sprintf("(i32.add %s (local.get %d))", sum, i)
			args += " (local.get 0)"
		}
		fmt.Fprintf(&b, "(func (export \"in%d\") (param%s) (result i32) %s)\n", n, strings.Repeat(" i32", n), sum)
		for _, kind := range []string{"raw", "typed"} {
			fmt.Fprintf(&b, "(func (export \"%s%d\") (param i32) (loop $l (drop (call $%s%d%s)) (br_if $l (local.tee 0 (i32.sub (local.get 0) (i32.const 1))))))\n", kind, n, kind, n, args)
		}
	}
	b.WriteString(")")
	return compileText(b.String())
}

// dataModule has a memory of 20 pages, of which 1 MiB is initialized.
func dataModule() []byte {
	return compileText(`(module (memory (export "memory") 20)
		(data (i32.const 1024) "` + strings.Repeat("0123456789abcdef", 1<<16) + `")
		(func (export "in0") (result i32) (i32.load (i32.const 500000))))`)
}

// growModule has a memory that it grows page by page, as often as told.
func growModule() []byte {
	return compileText(`(module (memory (export "memory") 0 10000)
		(func (export "grow") (param i32)
			(loop $l (drop (memory.grow (i32.const 1))) (br_if $l (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))))`)
}

func compileText(text string) []byte {
	code, err := wat.Compile([]byte(text), nil)
	if err != nil {
		panic(err) // the text is ours
	}
	return code
}

// apiRow is an operation by the public API of the engines, done n times; nil
// where it is not measured.
type apiRow struct {
	name                    string
	n                       int
	davit, wazero, wasmtime func(n int) error
}

// apiCosts measures what operations of the API cost beside wazero, and some beside
// Wasmtime, which Go reaches by cgo.
func (b *bench) apiCosts() ([]*table, error) {
	ctx := context.Background()
	code := apiModule()
	d, err := newDavitAPI(ctx, code)
	if err != nil {
		return nil, err
	}
	w, err := newWazeroAPI(ctx, code)
	if err != nil {
		return nil, err
	}
	defer w.runtime.Close(ctx)
	wt, err := newWasmtimeAPI(code)
	if err != nil {
		return nil, err
	}
	const calls = 200_000
	var rows []apiRow
	for _, n := range apiParams {
		rows = append(rows,
			apiRow{fmt.Sprintf("Go→wasm, %d parameters, untyped", n), calls, d.callRaw(n), w.callRaw(n), nil},
			apiRow{fmt.Sprintf("Go→wasm, %d parameters, typed", n), calls, d.callTyped(n), nil, nil},
			apiRow{fmt.Sprintf("Go→wasm, %d parameters, values", n), calls, d.callValues(n), w.callValues(n), wt.callValues(n)})
	}
	for _, n := range apiParams {
		rows = append(rows,
			apiRow{fmt.Sprintf("wasm→Go, %d parameters, untyped", n), calls, d.run("raw", n), w.run("raw", n), wt.run("raw", n)},
			apiRow{fmt.Sprintf("wasm→Go, %d parameters, typed", n), calls, d.run("typed", n), w.run("typed", n), nil})
	}
	rows = append(rows,
		apiRow{"string of 32 bytes to wasm and back", calls, d.echo, w.echo, nil},
		apiRow{"string of 32 bytes to Go", calls, d.strings, w.strings, nil},
		apiRow{"instantiate, call, close", 500, d.instantiate(d.pre, 1), w.instantiate(w.module, 1), wt.instantiate(wt.pre, 1)},
		apiRow{"of 1,000 at a time", 1000, d.instantiate(d.pre, 1000), w.instantiate(w.module, 1000), wt.instantiate(wt.pre, 1000)},
		apiRow{"instantiate with 1 MiB of data, call, close", 50, d.instantiate(d.data, 1), w.instantiate(w.data, 1), wt.instantiate(wt.data, 1)},
		apiRow{"memory.grow(1 page)", 5000, d.grow, w.grow, wt.grow},
	)
	t := b.newTable("api", "Calls and instances", "ns", []string{"davit", "wazero", "wasmtime"})
	t.About = "Operations of the embedding API, from Go. Behind the time: allocations on the Go heap, if there are any."
	for _, x := range rows {
		b.progress(t, x.name)
		r := t.add(x.name)
		sides := []func(int) error{x.davit, x.wazero, x.wasmtime}
		allocs := make([][]float64, len(sides))
		for i, do := range sides {
			if do == nil {
				r.Cells[i].Absent = true
			}
		}
		b.sample(r.Cells, b.runs, func(i int) (float64, error) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			c, err := measureCost(func() error { return sides[i](x.n) })
			runtime.ReadMemStats(&after)
			allocs[i] = append(allocs[i], float64(after.Mallocs-before.Mallocs)/float64(x.n))
			return float64(c.wall) / float64(x.n), err
		})
		for i := range r.Cells {
			if c := &r.Cells[i]; c.ok() && median(allocs[i]) >= 0.5 {
				c.Note = fmt.Sprintf("allocates %.0f×", median(allocs[i]))
			}
		}
	}
	return []*table{t}, nil
}

// text is the string that is passed.
const text = "a string of thirty-two bytes ..."

type davitAPI struct {
	ctx    context.Context
	engine *davit.Engine
	pre    *davit.InstancePre
	data   *davit.InstancePre // of dataModule
	grows  *davit.InstancePre // of growModule
	in     *davit.Instance
	memory *davit.Memory
	alloc  func(context.Context, uint32) (uint32, error)
	echoed func(context.Context, uint32, uint32) (uint64, error)
	buffer []byte
}

func newDavitAPI(ctx context.Context, code []byte) (*davitAPI, error) {
	d := &davitAPI{ctx: ctx, buffer: []byte(text)}
	var err error
	if d.engine, err = davit.NewEngine(nil); err != nil {
		return nil, err
	}
	m, err := d.engine.Compile(ctx, code)
	if err != nil {
		return nil, err
	}
	l := davit.NewLinker(d.engine)
	for _, n := range apiParams {
		t := davit.FuncType{Params: slices.Repeat([]davit.ValType{davit.I32}, n), Results: []davit.ValType{davit.I32}}
		err := l.DefineFunc("raw", fmt.Sprintf("f%d", n), t, func(_ context.Context, _ *davit.Caller, stack []uint64) error {
			stack[0] = uint64(n)
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	err = l.DefineFunc("raw", "string", davit.FuncType{Params: []davit.ValType{davit.I32, davit.I32}}, func(_ context.Context, c *davit.Caller, stack []uint64) error {
		b, ok := c.View(uint64(uint32(stack[0])), uint64(uint32(stack[1])))
		if !ok || string(b) != text {
			return fmt.Errorf("the string is %q", b)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	for i, f := range []*davit.GoFunc{
		davit.HostFunc0(func(context.Context, *davit.Caller) (int32, error) { return 0, nil }),
		davit.HostFunc1(func(_ context.Context, _ *davit.Caller, _ int32) (int32, error) { return 0, nil }),
		davit.HostFunc2(func(_ context.Context, _ *davit.Caller, _, _ int32) (int32, error) { return 0, nil }),
		davit.HostFunc4(func(_ context.Context, _ *davit.Caller, _, _, _, _ int32) (int32, error) { return 0, nil }),
		davit.HostFunc8(func(_ context.Context, _ *davit.Caller, _, _, _, _, _, _, _, _ int32) (int32, error) { return 0, nil }),
	} {
		if err := l.Define("typed", fmt.Sprintf("f%d", apiParams[i]), f); err != nil {
			return nil, err
		}
	}
	if d.pre, err = l.InstancePre(m); err != nil {
		return nil, err
	}
	for _, x := range []struct {
		pre  **davit.InstancePre
		code []byte
	}{{&d.data, dataModule()}, {&d.grows, growModule()}} {
		m, err := d.engine.Compile(ctx, x.code)
		if err != nil {
			return nil, err
		}
		if *x.pre, err = l.InstancePre(m); err != nil {
			return nil, err
		}
	}
	s, err := davit.NewStore(d.engine, nil)
	if err != nil {
		return nil, err
	}
	if d.in, err = d.pre.Instantiate(ctx, s); err != nil {
		return nil, err
	}
	d.memory = d.in.Memory("memory")
	if d.alloc, err = davit.Func1[uint32, uint32](d.in.Func("alloc")); err != nil {
		return nil, err
	}
	d.echoed, err = davit.Func2[uint32, uint32, uint64](d.in.Func("echo"))
	return d, err
}

func (d *davitAPI) callRaw(params int) func(int) error {
	f := d.in.Func(fmt.Sprintf("in%d", params))
	stack := make([]uint64, max(params, 1))
	return func(n int) error {
		for range n {
			for i := range stack {
				stack[i] = uint64(i)
			}
			if err := f.CallRaw(d.ctx, stack); err != nil {
				return err
			}
		}
		return nil
	}
}

func (d *davitAPI) callValues(params int) func(int) error {
	f := d.in.Func(fmt.Sprintf("in%d", params))
	args := make([]davit.Value, params)
	return func(n int) error {
		for range n {
			for i := range args {
				args[i] = davit.ValueI32(int32(i))
			}
			if _, err := f.Call(d.ctx, args...); err != nil {
				return err
			}
		}
		return nil
	}
}

func (d *davitAPI) callTyped(params int) func(int) error {
	f := d.in.Func(fmt.Sprintf("in%d", params))
	var call func() (int32, error)
	switch params {
	case 0:
		f, err := davit.Func0[int32](f)
		call = failing(err, func() (int32, error) { return f(d.ctx) })
	case 1:
		f, err := davit.Func1[int32, int32](f)
		call = failing(err, func() (int32, error) { return f(d.ctx, 1) })
	case 2:
		f, err := davit.Func2[int32, int32, int32](f)
		call = failing(err, func() (int32, error) { return f(d.ctx, 1, 2) })
	case 4:
		f, err := davit.Func4[int32, int32, int32, int32, int32](f)
		call = failing(err, func() (int32, error) { return f(d.ctx, 1, 2, 3, 4) })
	case 8:
		f, err := davit.Func8[int32, int32, int32, int32, int32, int32, int32, int32, int32](f)
		call = failing(err, func() (int32, error) { return f(d.ctx, 1, 2, 3, 4, 5, 6, 7, 8) })
	}
	return func(n int) error {
		for range n {
			if _, err := call(); err != nil {
				return err
			}
		}
		return nil
	}
}

// failing is call, or a function that fails if there is an error.
func failing(err error, call func() (int32, error)) func() (int32, error) {
	if err != nil {
		return func() (int32, error) { return 0, err }
	}
	return call
}

func (d *davitAPI) run(kind string, params int) func(int) error {
	f, err := davit.Proc1[int32](d.in.Func(fmt.Sprint(kind, params)))
	return func(n int) error {
		if err != nil {
			return err
		}
		return f(d.ctx, int32(n))
	}
}

func (d *davitAPI) strings(n int) error {
	f, err := davit.Proc1[int32](d.in.Func("strings"))
	if err != nil {
		return err
	}
	return f(d.ctx, int32(n))
}

func (d *davitAPI) echo(n int) error {
	for range n {
		at, err := d.alloc(d.ctx, uint32(len(d.buffer)))
		if err != nil {
			return err
		}
		if _, err := d.memory.WriteAt(d.buffer, int64(at)); err != nil {
			return err
		}
		r, err := d.echoed(d.ctx, at, uint32(len(d.buffer)))
		if err != nil {
			return err
		}
		if _, err := d.memory.ReadAt(d.buffer[:uint32(r)], int64(r>>32)); err != nil {
			return err
		}
	}
	return nil
}

// grow grows the memory of one instance n times.
func (d *davitAPI) grow(n int) error {
	s, err := davit.NewStore(d.engine, nil)
	if err != nil {
		return err
	}
	defer s.Close()
	in, err := d.grows.Instantiate(d.ctx, s)
	if err != nil {
		return err
	}
	return in.Func("grow").CallRaw(d.ctx, []uint64{uint64(n)})
}

func (d *davitAPI) instantiate(pre *davit.InstancePre, at int) func(int) error {
	stores := make([]*davit.Store, 0, at)
	return func(n int) error {
		for n > 0 {
			stores = stores[:0]
			for range min(at, n) {
				s, err := davit.NewStore(d.engine, nil)
				if err != nil {
					return err
				}
				stores = append(stores, s)
				in, err := pre.Instantiate(d.ctx, s)
				if err != nil {
					return err
				}
				if err := in.Func("in0").CallRaw(d.ctx, []uint64{0}); err != nil {
					return err
				}
			}
			for _, s := range stores {
				if err := s.Close(); err != nil {
					return err
				}
			}
			n -= len(stores)
		}
		return nil
	}
}

type wazeroAPI struct {
	ctx     context.Context
	runtime wazero.Runtime
	module  wazero.CompiledModule
	data    wazero.CompiledModule
	grows   wazero.CompiledModule
	in      api.Module
	buffer  []byte
}

func newWazeroAPI(ctx context.Context, code []byte) (*wazeroAPI, error) {
	w := &wazeroAPI{ctx: ctx, buffer: []byte(text)}
	w.runtime = wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfigCompiler())
	raw := w.runtime.NewHostModuleBuilder("raw")
	for _, n := range apiParams {
		f := api.GoFunc(func(_ context.Context, stack []uint64) { stack[0] = uint64(n) })
		raw.NewFunctionBuilder().WithGoFunction(f, slices.Repeat([]api.ValueType{api.ValueTypeI32}, n), []api.ValueType{api.ValueTypeI32}).Export(fmt.Sprintf("f%d", n))
	}
	str := api.GoModuleFunc(func(_ context.Context, m api.Module, stack []uint64) {
		if b, ok := m.Memory().Read(uint32(stack[0]), uint32(stack[1])); !ok || string(b) != text {
			panic("another string")
		}
	})
	raw.NewFunctionBuilder().WithGoModuleFunction(str, []api.ValueType{api.ValueTypeI32, api.ValueTypeI32}, nil).Export("string")
	if _, err := raw.Instantiate(ctx); err != nil {
		return nil, err
	}
	typed := w.runtime.NewHostModuleBuilder("typed")
	for i, f := range []any{
		func(context.Context) int32 { return 0 },
		func(_ context.Context, _ int32) int32 { return 0 },
		func(_ context.Context, _, _ int32) int32 { return 0 },
		func(_ context.Context, _, _, _, _ int32) int32 { return 0 },
		func(_ context.Context, _, _, _, _, _, _, _, _ int32) int32 { return 0 },
	} {
		typed.NewFunctionBuilder().WithFunc(f).Export(fmt.Sprintf("f%d", apiParams[i]))
	}
	if _, err := typed.Instantiate(ctx); err != nil {
		return nil, err
	}
	var err error
	if w.module, err = w.runtime.CompileModule(ctx, code); err != nil {
		return nil, err
	}
	if w.data, err = w.runtime.CompileModule(ctx, dataModule()); err != nil {
		return nil, err
	}
	if w.grows, err = w.runtime.CompileModule(ctx, growModule()); err != nil {
		return nil, err
	}
	w.in, err = w.runtime.InstantiateModule(ctx, w.module, wazero.NewModuleConfig().WithName("api"))
	return w, err
}

func (w *wazeroAPI) callRaw(params int) func(int) error {
	f := w.in.ExportedFunction(fmt.Sprintf("in%d", params))
	stack := make([]uint64, max(params, 1))
	return func(n int) error {
		for range n {
			for i := range stack {
				stack[i] = uint64(i)
			}
			if err := f.CallWithStack(w.ctx, stack); err != nil {
				return err
			}
		}
		return nil
	}
}

func (w *wazeroAPI) callValues(params int) func(int) error {
	f := w.in.ExportedFunction(fmt.Sprintf("in%d", params))
	args := make([]uint64, params)
	return func(n int) error {
		for range n {
			for i := range args {
				args[i] = api.EncodeI32(int32(i))
			}
			if _, err := f.Call(w.ctx, args...); err != nil {
				return err
			}
		}
		return nil
	}
}

func (w *wazeroAPI) run(kind string, params int) func(int) error {
	f := w.in.ExportedFunction(fmt.Sprint(kind, params))
	return func(n int) error { return f.CallWithStack(w.ctx, []uint64{uint64(n)}) }
}

func (w *wazeroAPI) strings(n int) error {
	return w.in.ExportedFunction("strings").CallWithStack(w.ctx, []uint64{uint64(n)})
}

func (w *wazeroAPI) echo(n int) error {
	alloc, echo, memory := w.in.ExportedFunction("alloc"), w.in.ExportedFunction("echo"), w.in.Memory()
	var stack [2]uint64
	for range n {
		stack[0] = uint64(len(w.buffer))
		if err := alloc.CallWithStack(w.ctx, stack[:]); err != nil {
			return err
		}
		if !memory.Write(uint32(stack[0]), w.buffer) {
			return fmt.Errorf("out of bounds")
		}
		stack[1] = uint64(len(w.buffer))
		if err := echo.CallWithStack(w.ctx, stack[:]); err != nil {
			return err
		}
		b, ok := memory.Read(uint32(stack[0]>>32), uint32(stack[0]))
		if !ok {
			return fmt.Errorf("out of bounds")
		}
		copy(w.buffer, b)
	}
	return nil
}

func (w *wazeroAPI) grow(n int) error {
	in, err := w.runtime.InstantiateModule(w.ctx, w.grows, wazero.NewModuleConfig().WithName(""))
	if err != nil {
		return err
	}
	defer in.Close(w.ctx)
	return in.ExportedFunction("grow").CallWithStack(w.ctx, []uint64{uint64(n)})
}

func (w *wazeroAPI) instantiate(module wazero.CompiledModule, at int) func(int) error {
	instances := make([]api.Module, 0, at)
	config := wazero.NewModuleConfig().WithName("")
	return func(n int) error {
		for n > 0 {
			instances = instances[:0]
			for range min(at, n) {
				in, err := w.runtime.InstantiateModule(w.ctx, module, config)
				if err != nil {
					return err
				}
				instances = append(instances, in)
				if err := in.ExportedFunction("in0").CallWithStack(w.ctx, []uint64{0}); err != nil {
					return err
				}
			}
			for _, in := range instances {
				if err := in.Close(w.ctx); err != nil {
					return err
				}
			}
			n -= len(instances)
		}
		return nil
	}
}

// wasmtimeAPI is Wasmtime through its Go package. Each call of it is one of cgo.
type wasmtimeAPI struct {
	engine           *wasmtime.Engine
	linker           *wasmtime.Linker
	pre, data, grows *wasmtime.Module
	store            *wasmtime.Store
	in               *wasmtime.Instance
}

func newWasmtimeAPI(code []byte) (*wasmtimeAPI, error) {
	w := &wasmtimeAPI{engine: wasmtime.NewEngine()}
	w.linker = wasmtime.NewLinker(w.engine)
	i32 := wasmtime.NewValType(wasmtime.KindI32)
	define := func(module, name string, params int, results ...*wasmtime.ValType) error {
		t := wasmtime.NewFuncType(slices.Repeat([]*wasmtime.ValType{i32}, params), results)
		return w.linker.FuncNew(module, name, t, func(*wasmtime.Caller, []wasmtime.Val) ([]wasmtime.Val, *wasmtime.Trap) {
			if len(results) == 0 {
				return nil, nil
			}
			return []wasmtime.Val{wasmtime.ValI32(int32(params))}, nil
		})
	}
	for _, kind := range []string{"raw", "typed"} {
		for _, n := range apiParams {
			if err := define(kind, fmt.Sprintf("f%d", n), n, i32); err != nil {
				return nil, err
			}
		}
	}
	if err := define("raw", "string", 2); err != nil {
		return nil, err
	}
	for _, x := range []struct {
		m    **wasmtime.Module
		code []byte
	}{{&w.pre, code}, {&w.data, dataModule()}, {&w.grows, growModule()}} {
		var err error
		if *x.m, err = wasmtime.NewModule(w.engine, x.code); err != nil {
			return nil, err
		}
	}
	w.store = wasmtime.NewStore(w.engine)
	var err error
	w.in, err = w.linker.Instantiate(w.store, w.pre)
	return w, err
}

func (w *wasmtimeAPI) callValues(params int) func(int) error {
	f := w.in.GetFunc(w.store, fmt.Sprintf("in%d", params))
	args := make([]any, params)
	for i := range args {
		args[i] = int32(i)
	}
	return func(n int) error {
		for range n {
			if _, err := f.Call(w.store, args...); err != nil {
				return err
			}
		}
		return nil
	}
}

func (w *wasmtimeAPI) run(kind string, params int) func(int) error {
	return func(n int) error {
		_, err := w.in.GetFunc(w.store, fmt.Sprint(kind, params)).Call(w.store, int32(n))
		return err
	}
}

func (w *wasmtimeAPI) grow(n int) error {
	s := wasmtime.NewStore(w.engine)
	defer s.Close()
	in, err := w.linker.Instantiate(s, w.grows)
	if err != nil {
		return err
	}
	_, err = in.GetFunc(s, "grow").Call(s, int32(n))
	return err
}

func (w *wasmtimeAPI) instantiate(m *wasmtime.Module, at int) func(int) error {
	stores := make([]*wasmtime.Store, 0, at)
	return func(n int) error {
		for n > 0 {
			stores = stores[:0]
			for range min(at, n) {
				s := wasmtime.NewStore(w.engine)
				stores = append(stores, s)
				in, err := w.linker.Instantiate(s, m)
				if err != nil {
					return err
				}
				if _, err := in.GetFunc(s, "in0").Call(s); err != nil {
					return err
				}
			}
			for _, s := range stores {
				s.Close()
			}
			n -= len(stores)
		}
		return nil
	}
}
