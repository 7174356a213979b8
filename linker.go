package davit

import (
	"context"
	"fmt"
	"sync"

	"github.com/davit-wasm/davit/internal/vm"
	"github.com/davit-wasm/davit/wasm"
)

// Linker holds what modules may import, by its two names. It may be used by
// many goroutines, and for any number of stores; what it holds of a store can be
// given to modules in that store only.
type Linker struct {
	engine *Engine

	mu          sync.RWMutex
	definitions map[importName]definition
	shadowing   bool
}

type importName struct{ module, name string }

// definition is a host function, or something of a store.
type definition struct {
	host   *hostFunc
	extern Extern
}

// hostFunc is a function of a linker; every store that needs it makes its own
// of it.
type hostFunc struct {
	typ FuncType
	fn  HostFunc
}

// NewLinker makes an empty linker.
func NewLinker(e *Engine) *Linker {
	return &Linker{engine: e, definitions: make(map[importName]definition)}
}

// AllowShadowing permits later definitions to replace earlier ones of the same
// names, which is an error else.
func (l *Linker) AllowShadowing(allow bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.shadowing = allow
}

func (l *Linker) define(module, name string, d definition) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	key := importName{module, name}
	if _, ok := l.definitions[key]; ok && !l.shadowing {
		return fmt.Errorf("davit: %q %q is defined already", module, name)
	}
	l.definitions[key] = d
	return nil
}

// DefineFunc defines a function of the host. Reference types in t must be
// abstract.
func (l *Linker) DefineFunc(module, name string, t FuncType, fn HostFunc) error {
	if err := checkHostType(&t); err != nil {
		return err
	}
	return l.define(module, name, definition{host: &hostFunc{t, fn}})
}

// Define defines something of a store: a *Func, *Table, *Memory, *Global or
// *Tag.
func (l *Linker) Define(module, name string, x Extern) error {
	return l.define(module, name, definition{extern: x})
}

// DefineInstance defines all exports of an instance.
func (l *Linker) DefineInstance(module string, in *Instance) error {
	for name, x := range in.Exports() {
		if err := l.Define(module, name, x); err != nil {
			return err
		}
	}
	return nil
}

// checkHostType refuses types that mention types of a module.
func checkHostType(t *FuncType) error {
	for _, list := range [...][]ValType{t.Params, t.Results} {
		for _, v := range list {
			if v.IsRef() && v.Heap().IsIndex() {
				return fmt.Errorf("davit: the type of a host function may not mention type %d of a module", v.Heap().Index())
			}
			if !v.IsRef() && !v.IsNum() && v != V128 {
				return fmt.Errorf("davit: %v is no type of a value", v)
			}
		}
	}
	return nil
}

// Instantiate makes an instance of m in s, imports resolved by l, and runs its
// start function. What is not defined is a [*LinkError] with the reason
// "unknown import", what does not fit one with "incompatible import type".
func (l *Linker) Instantiate(ctx context.Context, s *Store, m *Module) (*Instance, error) {
	if err := s.acquire(ctx); err != nil {
		return nil, err
	}
	defer s.release()
	wm := m.vm.Image.Module
	imports := make([]vm.Extern, len(wm.Imports))
	for i := range wm.Imports {
		im := &wm.Imports[i]
		l.mu.RLock()
		d, ok := l.definitions[importName{im.Module, im.Name}]
		l.mu.RUnlock()
		if !ok {
			return nil, &LinkError{im.Module, im.Name, "unknown import"}
		}
		if d.host != nil {
			f, err := s.hostFunc(d.host)
			if err != nil {
				return nil, err
			}
			imports[i] = vm.Extern{Kind: wasm.KindFunc, Func: f}
		} else {
			imports[i] = d.extern.extern()
		}
	}
	in, err := s.vm.Instantiate(ctx, m.vm, imports)
	if err != nil {
		return nil, apiError(err)
	}
	return &Instance{store: s, module: m, vm: in}, nil
}
