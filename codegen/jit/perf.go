package jit

import (
	"github.com/davit-wasm/davit/codegen/module"
	"github.com/davit-wasm/davit/internal/perf"
)

// perfMap adds the batch's functions to the map for perf. A file that cannot be
// written is no reason to fail: it only serves a profiler.
func (b *batch) perfMap() {
	if b.code == nil {
		return
	}
	m, err := perf.OpenMap()
	if err != nil {
		return
	}
	list := make([]perf.Symbol, len(b.funcs))
	for i := range b.funcs {
		f := &b.funcs[i]
		list[i] = perf.Symbol{Name: module.SymbolName(f.name), Address: uint64(b.code.Base()) + uint64(f.start), Size: uint64(f.end - f.start)}
	}
	_ = m.Add(list)
}
