// Package snapshot makes modules that begin where their initialization ends.
//
// A language runtime that reads its configuration, fills its tables and compiles
// its scripts does that again in each new instance. [Take] runs such an
// initialization once, and writes the module anew with what has come of it:
// memories are data segments, mutable globals have their values as initializers.
// An instance of the new module needs no more than a copy of its memory.
//
// The code of a module stays as it is, byte for byte, so that debug information goes on
// to be right.
//
// What is outside of the module is not in the snapshot: descriptors, environment,
// clocks and random numbers that the initialization has seen are remembered by the
// guest only, and do not exist for the new module. An initialization that opens
// files should close them.
package snapshot

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/davit-wasm/davit"
	"github.com/davit-wasm/davit/wasm"
)

// DefaultInit is the name of the export that initializes, unless Config says
// otherwise.
const DefaultInit = "wizer-initialize"

// Config says how a snapshot is taken. The zero value is useful.
type Config struct {
	// Init is the exported function, without parameters and results, that
	// initializes; "" means [DefaultInit]. It is not exported by the new module,
	// unless KeepInit is set. A module that exports _initialize, as reactors of WASI
	// do, has that called first.
	Init     string
	KeepInit bool
	// Rename gives exports of the new module other names: for each name, the
	// export that gets it. One that has the name is dropped.
	Rename map[string]string
	// Store limits the initialization; nil means the defaults.
	Store *davit.StoreConfig
}

// ErrUnsupported is wrapped by the error for a module whose state cannot be
// written as a module.
var ErrUnsupported = errors.New("no snapshot can be taken")

// reactorStart is what a host calls before anything else in a reactor.
const reactorStart = "_initialize"

// Take runs the initialization of a module, and is a module with the state after
// it. The module's imports, functions only, come from the linker; one that is missing there
// is no error unless the initialization calls it. ctx ends the initialization.
//
// No snapshot can be taken of tables that instructions change, of references in
// mutable globals, of shared memories, and of passive data segments that may have
// been dropped: [ErrUnsupported].
func Take(ctx context.Context, l *davit.Linker, engine *davit.Engine, module []byte, c *Config) ([]byte, error) {
	if c == nil {
		c = &Config{}
	}
	config := &wasm.Config{Features: wasm.FeaturesAll} // the engine says which
	m, err := wasm.Decode(module, config)
	if err != nil {
		return nil, err
	}
	if err := wasm.Validate(m, config); err != nil {
		return nil, err
	}
	init := c.Init
	if init == "" {
		init = DefaultInit
	}
	if err := check(m, config, init); err != nil {
		return nil, err
	}
	exports, err := rename(m, c, init)
	if err != nil {
		return nil, err
	}

	watched, names := watch(m)
	compiled, err := engine.Compile(ctx, wasm.Encode(watched))
	if err != nil {
		return nil, err
	}
	defer compiled.Close()
	store, err := davit.NewStore(engine, c.Store)
	if err != nil {
		return nil, err
	}
	defer store.Close()
	l, err = complete(l, compiled)
	if err != nil {
		return nil, err
	}
	in, err := l.Instantiate(ctx, store, compiled)
	if err != nil {
		return nil, err
	}
	for _, name := range []string{reactorStart, init} {
		f := in.Func(name)
		if f == nil { // only _initialize may be missing
			continue
		}
		if _, err := f.Call(ctx); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	return write(module, m, exports, in, names)
}

// check refuses modules whose state after the initialization cannot be written.
func check(m *wasm.Module, config *wasm.Config, init string) error {
	unsupported := func(format string, args ...any) error {
		return fmt.Errorf("%w: %s", ErrUnsupported, fmt.Sprintf(format, args...))
	}
	x, ok := m.FindExport(init)
	if !ok || x.Kind != wasm.KindFunc {
		return fmt.Errorf("no function is exported as %q to initialize the module", init)
	}
	if t := m.FuncTypeOf(x.Index); len(t.Params)+len(t.Results) > 0 {
		return fmt.Errorf("the function %q has the type %v: one without parameters and results is wanted", init, t)
	}
	for _, im := range m.Imports {
		if im.Kind != wasm.KindFunc {
			return unsupported("the %v %q %q is imported, and would not be a part of it", im.Kind, im.Module, im.Name)
		}
	}
	for i := range m.Memories {
		if m.Memories[i].Shared {
			return unsupported("memory %d is shared", i)
		}
	}
	passive := slices.ContainsFunc(m.Datas, func(d wasm.Data) bool { return d.Mode == wasm.SegmentPassive })
	var r wasm.InstrReader
	var in wasm.Instr
	for i := range m.Code {
		r.Reset(m.Code[i].Body, m.Code[i].Offset, config)
		for {
			more, err := r.Next(&in)
			if err != nil {
				return err
			}
			if !more {
				break
			}
			switch in.Op {
			case wasm.OpTableSet, wasm.OpTableGrow, wasm.OpTableFill, wasm.OpTableCopy, wasm.OpTableInit:
				return unsupported("the instruction %v at offset %#x may have changed a table", in.Op, in.Offset)
			case wasm.OpDataDrop:
				if passive {
					return unsupported("the instruction %v at offset %#x may have dropped a segment", in.Op, in.Offset)
				}
			}
		}
	}
	return nil
}

// rename is the exports of the new module.
func rename(m *wasm.Module, c *Config, init string) ([]wasm.Export, error) {
	exports := make([]wasm.Export, 0, len(m.Exports))
	from := map[string]bool{}
	for to, name := range c.Rename {
		if _, ok := m.FindExport(name); !ok {
			return nil, fmt.Errorf("nothing is exported as %q, to be named %q", name, to)
		}
		if from[name] {
			return nil, fmt.Errorf("the export %q is given two names", name)
		}
		from[name] = true
	}
	for _, x := range m.Exports {
		name := x.Name
		renamed := false
		for to, old := range c.Rename {
			if old == name {
				x.Name, renamed = to, true
			}
		}
		_, replaced := c.Rename[name]
		switch {
		case !renamed && replaced:
			continue
		case !renamed && (name == init && !c.KeepInit || name == reactorStart):
			continue
		}
		exports = append(exports, x)
	}
	return exports, nil
}

// watched are the names by which the state can be looked at.
type watched struct {
	memories []string
	globals  []string // "" of those that cannot change
}

// watch is a module that exports its state.
func watch(m *wasm.Module) (*wasm.Module, watched) {
	w := *m
	w.Exports = slices.Clone(m.Exports)
	var names watched
	add := func(kind wasm.Kind, i int) string {
		name := fmt.Sprintf("snapshot %v %d", kind, i)
		for {
			if _, taken := w.FindExport(name); !taken {
				break
			}
			name += "'"
		}
		w.Exports = append(w.Exports, wasm.Export{Name: name, Kind: kind, Index: uint32(i)})
		return name
	}
	for i := range m.Memories {
		names.memories = append(names.memories, add(wasm.KindMemory, i))
	}
	for i := range m.Globals {
		name := ""
		if m.Globals[i].Type.Mutable {
			name = add(wasm.KindGlobal, i)
		}
		names.globals = append(names.globals, name)
	}
	return &w, names
}

// complete is l with functions in place of missing imports, which fail if they are
// called.
func complete(l *davit.Linker, m *davit.Module) (*davit.Linker, error) {
	l = l.Clone()
	for _, im := range m.Imports() {
		if _, defined := l.Lookup(im.Module, im.Name); defined {
			continue
		}
		err := l.DefineFunc(im.Module, im.Name, *im.Type.Func, func(context.Context, *davit.Caller, []uint64) error {
			return fmt.Errorf("the import %q %q is not defined, and the initialization calls it", im.Module, im.Name)
		})
		if err != nil {
			return nil, err
		}
	}
	return l, nil
}
