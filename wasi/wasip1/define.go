package wasip1

import (
	"context"

	"github.com/davit-wasm/davit"
)

// ModuleName is the name that programs import the interface by.
const ModuleName = "wasi_snapshot_preview1"

// Define defines the functions in a linker, under [ModuleName]. They use the
// memory that the calling instance exports as "memory".
func (p *Process) Define(l *davit.Linker) error {
	for i := range functions {
		f := &functions[i]
		t := davit.FuncType{Params: make([]davit.ValType, len(f.Params))}
		for k, c := range f.Params {
			t.Params[k] = davit.I32
			if c == 'I' {
				t.Params[k] = davit.I64
			}
		}
		if f.HasResult {
			t.Results = []davit.ValType{davit.I32}
		}
		err := l.DefineFunc(ModuleName, f.Name, t, func(ctx context.Context, c *davit.Caller, stack []uint64) error {
			mem := c.Memory()
			if mem == nil {
				return p.Call(ctx, f, noMemory{}, stack)
			}
			return p.Call(ctx, f, mem, stack)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// noMemory is the memory of a program without one.
type noMemory struct{}

func (noMemory) View(offset, n uint64) ([]byte, bool) { return nil, offset == 0 && n == 0 }
