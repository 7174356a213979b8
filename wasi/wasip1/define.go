package wasip1

import (
	"context"

	"github.com/davit-wasm/davit"
)

// Names that programs import the interface by. The functions of the older one
// are the same but for the layout of some records.
const (
	ModuleName         = "wasi_snapshot_preview1"
	UnstableModuleName = "wasi_unstable"
)

// Define defines the functions in a linker, under [ModuleName] and
// [UnstableModuleName]. They use the memory that the calling instance exports as
// "memory".
func (p *Process) Define(l *davit.Linker) error {
	for i := range functions {
		f := &functions[i]
		if err := p.define(l, ModuleName, f, &preview1); err != nil {
			return err
		}
		if f.name == "sock_accept" {
			continue // newer than the older interface
		}
		if err := p.define(l, UnstableModuleName, f, &unstable); err != nil {
			return err
		}
	}
	return nil
}

func (p *Process) define(l *davit.Linker, module string, f *function, version *layout) error {
	t := davit.FuncType{Params: make([]davit.ValType, len(f.params))}
	for k, c := range f.params {
		t.Params[k] = davit.I32
		if c == 'I' {
			t.Params[k] = davit.I64
		}
	}
	if f.hasResult {
		t.Results = []davit.ValType{davit.I32}
	}
	return l.DefineFunc(module, f.name, t, func(ctx context.Context, c *davit.Caller, stack []uint64) error {
		if c.Memory() == nil {
			return p.invoke(ctx, f, version, noMemory{}, stack)
		}
		return p.invoke(ctx, f, version, c, stack)
	})
}

// noMemory is the memory of a program without one.
type noMemory struct{}

func (noMemory) View(offset, n uint64) ([]byte, bool) { return nil, offset == 0 && n == 0 }
