package davit

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"sync"

	"github.com/davit-wasm/davit/internal/vm"
	"github.com/davit-wasm/davit/wasm"
)

// Linker holds what modules may import, by its two names. It may be used by
// many goroutines, and for any number of stores; what it holds of a store can be
// given to modules in that store only. For imports of a single instance, define
// them in a [Linker.Clone].
type Linker struct {
	engine *Engine

	mu          sync.RWMutex
	definitions map[importName]Definition
	shadowing   bool
}

// Definition is what a linker can give a name to: a *GoFunc, for modules in all
// stores, or something of a store: an [Extern].
type Definition interface {
	// in is the definition as an import of a module in s.
	in(s *Store) (vm.Extern, error)
}

func (g *GoFunc) in(s *Store) (vm.Extern, error) {
	f, err := s.newHostFunc(g)
	return vm.Extern{Kind: wasm.KindFunc, Func: f}, err
}

type importName struct{ module, name string }

// NewLinker makes an empty linker.
func NewLinker(e *Engine) *Linker {
	return &Linker{engine: e, definitions: make(map[importName]Definition)}
}

// AllowShadowing permits later definitions to replace earlier ones of the same
// names, which is an error else.
func (l *Linker) AllowShadowing(allow bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.shadowing = allow
}

// Clone is a linker with the same definitions, which is independent of l from now
// on. Later definitions may replace those that it was made with.
func (l *Linker) Clone() *Linker {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return &Linker{engine: l.engine, definitions: maps.Clone(l.definitions), shadowing: true}
}

// Define gives x a name: a *GoFunc, or a *Func, *Table, *Memory, *Global or *Tag.
// A nil x is an error, also that of [Instance.Memory] and its like for an export
// that is not there.
func (l *Linker) Define(module, name string, x Definition) error {
	if isNil(x) {
		return fmt.Errorf("davit: nothing to define as %q %q: it is nil, as if there was no export of its name", module, name)
	}
	if g, ok := x.(*GoFunc); ok && g.err != nil {
		return g.err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	key := importName{module, name}
	if _, ok := l.definitions[key]; ok && !l.shadowing {
		return fmt.Errorf("davit: %q %q is defined already", module, name)
	}
	l.definitions[key] = x
	return nil
}

// isNil reports whether x is nil, or a nil pointer of any of its types.
func isNil(x Definition) bool {
	switch x := x.(type) {
	case *GoFunc:
		return x == nil
	case *Func:
		return x == nil
	case *Memory:
		return x == nil
	case *Table:
		return x == nil
	case *Global:
		return x == nil
	case *Tag:
		return x == nil
	}
	return x == nil
}

// DefineFunc defines a function of the host. Reference types in t must be
// abstract. It is short for Define of [NewGoFunc].
func (l *Linker) DefineFunc(module, name string, t FuncType, fn HostFunc) error {
	return l.Define(module, name, NewGoFunc(t, fn))
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

// Lookup finds a definition; ok is false if there is none of that name.
func (l *Linker) Lookup(module, name string) (x Definition, ok bool) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	x, ok = l.definitions[importName{module, name}]
	return x, ok
}

// checkHostType refuses types that mention types of a module.
func checkHostType(t *FuncType) error {
	for _, list := range [...][]ValType{t.Params, t.Results} {
		for _, v := range list {
			if err := checkValType(v); err != nil {
				return err
			}
		}
	}
	return nil
}

// checkValType refuses what is no type of a value outside of modules.
func checkValType(t ValType) error {
	if t.IsRef() && t.Heap().IsIndex() {
		return fmt.Errorf("davit: what the host makes may not mention type %d of a module", t.Heap().Index())
	}
	if !t.IsRef() && !t.IsNum() && t != V128 {
		return fmt.Errorf("davit: %v is no type of a value", t)
	}
	return nil
}

// Instantiate makes an instance of m in s, imports resolved by l, and runs its
// start function. What is not defined is a [*LinkError] with the reason
// "unknown import", what does not fit one with "incompatible import type".
//
// When this fails, what the instance has already written into imported memories
// and tables remains, and what it consists of is freed with the store only.
func (l *Linker) Instantiate(ctx context.Context, s *Store, m *Module) (*Instance, error) {
	pre, err := l.InstancePre(m)
	if err != nil {
		return nil, err
	}
	return pre.Instantiate(ctx, s)
}

// InstancePre looks up the imports of m, for any number of instances.
func (l *Linker) InstancePre(m *Module) (*InstancePre, error) {
	wm := m.vm.Image.Module
	p := &InstancePre{m, make([]Definition, len(wm.Imports)), make([]vm.HostDef, len(wm.Imports))}
	l.mu.RLock()
	defer l.mu.RUnlock()
	for i := range wm.Imports {
		im := &wm.Imports[i]
		d, ok := l.definitions[importName{im.Module, im.Name}]
		if !ok {
			return nil, &LinkError{im.Module, im.Name, unknownImport}
		}
		p.imports[i] = d
		if g, ok := d.(*GoFunc); ok {
			p.hosts[i] = l.engine.vm.DefineHost(g.typ, g.fn)
		}
	}
	return p, nil
}

// InstancePre is a module with all that it imports. It may be used by many
// goroutines, and for any number of stores if all imports are [GoFunc]s. Later
// definitions in the linker that made it do not change it.
type InstancePre struct {
	module  *Module
	imports []Definition
	hosts   []vm.HostDef // those of imports that are GoFuncs
}

// Module is the module that instances are made of.
func (p *InstancePre) Module() *Module { return p.module }

// Instantiate makes an instance in s, as [Linker.Instantiate] does.
func (p *InstancePre) Instantiate(ctx context.Context, s *Store) (_ *Instance, err error) {
	if err := s.acquire(ctx); err != nil {
		return nil, err
	}
	defer s.release()
	if p.module.engine != s.engine {
		return nil, errors.New("davit: module and store belong to different engines")
	}
	imports := make([]vm.Extern, len(p.imports))
	if s.hook == nil {
		if err := s.vm.AddHosts(p.hosts, imports); err != nil {
			return nil, apiError(err)
		}
	}
	for i, d := range p.imports {
		if s.hook == nil && !p.hosts[i].IsZero() {
			continue
		}
		if imports[i], err = d.in(s); err != nil {
			return nil, err
		}
	}
	if s.hook != nil && p.module.vm.Image.Module.HasStart {
		if err := s.hook(ctx, EnterGuest); err != nil {
			return nil, err
		}
		defer func() {
			if e := s.hook(ctx, LeaveGuest); e != nil && err == nil {
				err = e
			}
		}()
	}
	in := &Instance{store: s, module: p.module}
	in.vm.Owner = in
	if err := s.vm.Instantiate(ctx, &in.vm, p.module.vm, imports); err != nil {
		return nil, apiError(err)
	}
	return in, nil
}
