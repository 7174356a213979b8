package davit

import (
	"iter"
	"sync/atomic"

	"github.com/davit-wasm/davit/internal/vm"
	"github.com/davit-wasm/davit/wasm"
)

// Instance is an instance of a module. It lives as long as its store.
type Instance struct {
	store  *Store
	module *Module
	vm     vm.Instance
	memory atomic.Pointer[Memory] // that it exports as "memory", once a host function has asked for it
}

// Extern is what can be imported and exported: a *Func, *Table, *Memory,
// *Global or *Tag.
type Extern interface {
	Definition
	// Store is the store that it belongs to.
	Store() *Store
	// ExternType is its type, with its present size as the minimum.
	ExternType() ExternType
}

// Store is the store that in belongs to.
func (in *Instance) Store() *Store { return in.store }

// Module is the module that in was made of.
func (in *Instance) Module() *Module { return in.module }

// Export finds an export by name; it is nil if there is none.
func (in *Instance) Export(name string) Extern {
	x, ok := in.vm.Export(name)
	if !ok {
		return nil
	}
	return in.store.wrap(x)
}

// Exports goes through the exports, in the module's order.
func (in *Instance) Exports() iter.Seq2[string, Extern] {
	return func(yield func(string, Extern) bool) {
		for _, e := range in.vm.Module().Image.Module.Exports {
			if !yield(e.Name, in.Export(e.Name)) {
				return
			}
		}
	}
}

// Func is the exported function of that name, or nil if there is none.
func (in *Instance) Func(name string) *Func {
	f, _ := in.Export(name).(*Func)
	return f
}

// Memory is the exported memory of that name, or nil if there is none.
func (in *Instance) Memory(name string) *Memory {
	m, _ := in.Export(name).(*Memory)
	return m
}

// Table is the exported table of that name, or nil if there is none.
func (in *Instance) Table(name string) *Table {
	t, _ := in.Export(name).(*Table)
	return t
}

// Global is the exported global of that name, or nil if there is none.
func (in *Instance) Global(name string) *Global {
	g, _ := in.Export(name).(*Global)
	return g
}

// Tag is the exported tag of that name, or nil if there is none.
func (in *Instance) Tag(name string) *Tag {
	t, _ := in.Export(name).(*Tag)
	return t
}

// wrap is x as a value of this package.
func (s *Store) wrap(x vm.Extern) Extern {
	switch x.Kind {
	case wasm.KindFunc:
		return s.funcOf(x.Func)
	case wasm.KindTable:
		return &Table{s, x.Table}
	case wasm.KindMemory:
		return &Memory{s, x.Memory}
	case wasm.KindGlobal:
		return &Global{s, x.Global}
	}
	return &Tag{s, x.Tag}
}
