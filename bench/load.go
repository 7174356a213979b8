package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/bytecodealliance/wasmtime-go/v39"
	"github.com/davit-wasm/davit"
	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
)

// A loader brings a program that was compiled before from a file into memory, makes
// an instance, and calls _start.
type loader interface {
	// load returns the time from before the file is looked at to when the program
	// first calls the host, which is where it ends.
	load() (time.Duration, error)
	close()
}

// errEnough ends a program that has called the host.
var errEnough = errors.New("the program has begun")

// loading measures the way from a compiled program in a file to its first call.
func (b *bench) loading() ([]*table, error) {
	programs := []bigModule{{"sqlite3", filepath.Join(b.corpus, "sqlite3", "sqlite3.wasm")}}
	if !b.quick {
		programs = append(programs, bigModule{"esbuild", filepath.Join(b.real, "esbuild.wasm")})
	}
	kinds := []struct {
		name string
		make func(code []byte, dir string) (loader, error)
	}{
		{"davit", func(code []byte, dir string) (loader, error) { return newDavitLoader(code, dir, false) }},
		{"davit:unchecked", func(code []byte, dir string) (loader, error) { return newDavitLoader(code, dir, true) }},
		{"wazero", newWazeroLoader},
		{"wasmtime", newWasmtimeLoader},
	}
	var cols []string
	for _, k := range kinds {
		cols = append(cols, k.name)
	}
	t := b.newTable("load", "Loading a compiled program", "µs", cols)
	t.About = "Time that passes from opening the file of a compiled program, which is in the system's cache, to the first call of the host by its _start: davit's artifact with and without the checksum of code and tables (Config.UncheckedFiles), Wasmtime's deserialize_file, wazero's compilation cache with the module's bytes in memory. Engines and definitions for imports are made before."
	for _, p := range programs {
		code, err := os.ReadFile(p.path)
		if errors.Is(err, os.ErrNotExist) {
			b.skip(fmt.Sprintf("%s is left out: it is not there", p.path))
			continue
		}
		if err != nil {
			return nil, err
		}
		b.progress(t, p.name)
		r := t.add(p.name)
		loaders := make([]loader, len(kinds))
		for i, k := range kinds {
			dir, err := os.MkdirTemp(b.temp, "load")
			if err == nil {
				loaders[i], err = k.make(code, dir)
			}
			if err != nil {
				r.Cells[i].fail(err)
				continue
			}
			defer loaders[i].close()
		}
		b.sample(r.Cells, b.runs, func(i int) (float64, error) {
			d, err := loaders[i].load()
			return float64(d) / 1e3, err
		})
	}
	if len(t.Rows) == 0 {
		return nil, os.ErrNotExist
	}
	return []*table{t}, nil
}

type davitLoader struct {
	engine *davit.Engine
	linker *davit.Linker
	file   string
	began  time.Time
}

func newDavitLoader(code []byte, dir string, unchecked bool) (loader, error) {
	ctx := context.Background()
	data, err := davit.Precompile(ctx, nil, "", code)
	if err != nil {
		return nil, err
	}
	l := &davitLoader{file: filepath.Join(dir, "program.cwasm")}
	if err := os.WriteFile(l.file, data, 0o600); err != nil {
		return nil, err
	}
	if l.engine, err = davit.NewEngine(&davit.Config{UncheckedFiles: unchecked}); err != nil {
		return nil, err
	}
	m, err := l.engine.LoadModuleFile(l.file)
	if err != nil {
		return nil, err
	}
	defer m.Close()
	l.linker = davit.NewLinker(l.engine)
	l.linker.AllowShadowing(true) // some are imported twice
	for _, im := range m.Imports() {
		if im.Type.Func == nil {
			return nil, fmt.Errorf("it imports %s.%s, which is no function", im.Module, im.Name)
		}
		err := l.linker.DefineFunc(im.Module, im.Name, *im.Type.Func, func(context.Context, *davit.Caller, []uint64) error {
			l.began = time.Now()
			return errEnough
		})
		if err != nil {
			return nil, err
		}
	}
	return l, nil
}

func (l *davitLoader) load() (time.Duration, error) {
	ctx := context.Background()
	start := time.Now()
	m, err := l.engine.LoadModuleFile(l.file)
	if err != nil {
		return 0, err
	}
	defer m.Close()
	s, err := davit.NewStore(l.engine, nil)
	if err != nil {
		return 0, err
	}
	defer s.Close()
	in, err := l.linker.Instantiate(ctx, s, m)
	if err != nil {
		return 0, err
	}
	if err := in.Func("_start").CallRaw(ctx, nil); !errors.Is(err, errEnough) {
		return 0, fmt.Errorf("it ended with %v", err)
	}
	return l.began.Sub(start), nil
}

func (l *davitLoader) close() {}

type wasmtimeLoader struct {
	engine *wasmtime.Engine
	linker *wasmtime.Linker
	file   string
	began  time.Time
}

func newWasmtimeLoader(code []byte, dir string) (loader, error) {
	c, _, err := newWasmtimeConfig("")
	if err != nil {
		return nil, err
	}
	l := &wasmtimeLoader{engine: wasmtime.NewEngineWithConfig(c), file: filepath.Join(dir, "program.cwasm")}
	m, err := wasmtime.NewModule(l.engine, code)
	if err != nil {
		return nil, err
	}
	defer m.Close()
	data, err := m.Serialize()
	if err != nil {
		return nil, err
	}
	if err := os.WriteFile(l.file, data, 0o600); err != nil {
		return nil, err
	}
	l.linker = wasmtime.NewLinker(l.engine)
	l.linker.AllowShadowing(true)
	for _, im := range m.Imports() {
		t := im.Type().FuncType()
		if t == nil || im.Name() == nil {
			return nil, fmt.Errorf("it imports from %s what is no function", im.Module())
		}
		err := l.linker.FuncNew(im.Module(), *im.Name(), t, func(*wasmtime.Caller, []wasmtime.Val) ([]wasmtime.Val, *wasmtime.Trap) {
			l.began = time.Now()
			return nil, wasmtime.NewTrap(errEnough.Error())
		})
		if err != nil {
			return nil, err
		}
	}
	return l, nil
}

func (l *wasmtimeLoader) load() (time.Duration, error) {
	l.began = time.Time{}
	start := time.Now()
	m, err := wasmtime.NewModuleDeserializeFile(l.engine, l.file)
	if err != nil {
		return 0, err
	}
	defer m.Close()
	s := wasmtime.NewStore(l.engine)
	defer s.Close()
	in, err := l.linker.Instantiate(s, m)
	if err != nil {
		return 0, err
	}
	if _, err := in.GetFunc(s, "_start").Call(s); err == nil || l.began.IsZero() {
		return 0, fmt.Errorf("it ended with %v", err)
	}
	return l.began.Sub(start), nil
}

func (l *wasmtimeLoader) close() {
	l.linker.Close()
	l.engine.Close()
}

type wazeroLoader struct {
	ctx   context.Context
	code  []byte
	dir   string
	began time.Time
}

func newWazeroLoader(code []byte, dir string) (loader, error) {
	l := &wazeroLoader{ctx: context.Background(), code: code, dir: dir}
	_, err := l.load() // compiles
	return l, err
}

// imports makes the modules that a program imports from.
func (l *wazeroLoader) imports(r wazero.Runtime, m wazero.CompiledModule) error {
	builders := map[string]wazero.HostModuleBuilder{}
	seen := map[[2]string]bool{}
	for _, f := range m.ImportedFunctions() {
		module, name, _ := f.Import()
		if seen[[2]string{module, name}] {
			continue
		}
		seen[[2]string{module, name}] = true
		if builders[module] == nil {
			builders[module] = r.NewHostModuleBuilder(module)
		}
		stop := api.GoFunc(func(context.Context, []uint64) {
			l.began = time.Now()
			panic(errEnough)
		})
		builders[module].NewFunctionBuilder().WithGoFunction(stop, slices.Clone(f.ParamTypes()), slices.Clone(f.ResultTypes())).Export(name)
	}
	for _, builder := range builders {
		if _, err := builder.Instantiate(l.ctx); err != nil {
			return err
		}
	}
	return nil
}

// load makes a runtime with a cache each time, because one remembers in memory what
// it has compiled. The modules for imports need the types of the program's: it is
// loaded once more before, by another runtime.
func (l *wazeroLoader) load() (time.Duration, error) {
	open := func() (wazero.Runtime, func(), error) {
		cache, err := wazero.NewCompilationCacheWithDir(l.dir)
		if err != nil {
			return nil, nil, err
		}
		r := wazero.NewRuntimeWithConfig(l.ctx, wazero.NewRuntimeConfigCompiler().WithCompilationCache(cache))
		return r, func() { r.Close(l.ctx); cache.Close(l.ctx) }, nil
	}
	first, closeFirst, err := open()
	if err != nil {
		return 0, err
	}
	defer closeFirst()
	types, err := first.CompileModule(l.ctx, l.code)
	if err != nil {
		return 0, err
	}
	r, closeAll, err := open()
	if err != nil {
		return 0, err
	}
	defer closeAll()
	if err := l.imports(r, types); err != nil {
		return 0, err
	}
	start := time.Now()
	m, err := r.CompileModule(l.ctx, l.code)
	if err != nil {
		return 0, err
	}
	in, err := r.InstantiateModule(l.ctx, m, wazero.NewModuleConfig().WithName("").WithStartFunctions())
	if err != nil {
		return 0, err
	}
	if err := in.ExportedFunction("_start").CallWithStack(l.ctx, nil); !errors.Is(err, errEnough) {
		return 0, fmt.Errorf("it ended with %v", err)
	}
	return l.began.Sub(start), nil
}

func (l *wazeroLoader) close() {}
