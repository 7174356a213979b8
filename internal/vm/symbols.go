package vm

import (
	"github.com/davit-wasm/davit/internal/artifact"
	"github.com/davit-wasm/davit/internal/image"
	"github.com/davit-wasm/davit/internal/perf"
)

// Symbols are the functions of m where they are in memory, with their places in
// source code if those are wanted and known. They refer to the code, which the
// caller keeps.
func (m *Module) Symbols(places bool) []perf.Symbol {
	img := m.Image
	list := make([]perf.Symbol, len(img.Functions))
	name, prefix := artifact.Namer(img), m.Name()
	if prefix != "" {
		prefix += "!"
	}
	for i := range img.Functions {
		f := &img.Functions[i]
		s := &list[i]
		s.Name = name(f)
		if f.Kind == image.FunctionWasm && m.engine.Demangle != nil {
			s.Name = m.engine.Demangle(s.Name)
		}
		s.Name = prefix + s.Name
		s.Address, s.Size, s.Code = m.base+uint64(f.Offset), uint64(f.Size), img.Text[f.Offset:f.Offset+f.Size]
		if places && f.Kind == image.FunctionWasm {
			s.Places = m.places(f)
		}
	}
	return list
}

// places are those of a function's code. Where functions have been inlined, by the
// guest's compiler or by davit, they are in those.
func (m *Module) places(f *image.Function) (list []perf.Place) {
	addresses := m.Image.AddrMap
	for _, a := range addresses[m.Image.AddressesFrom(f.Offset):] {
		if a.Offset >= f.Offset+f.Size {
			break
		}
		if a.Wasm == image.NoAddress {
			continue
		}
		places := m.Places(int(a.Wasm))
		if len(places) == 0 || places[0].Line == 0 {
			continue
		}
		p := perf.Place{Address: m.base + uint64(a.Offset), File: places[0].File, Line: places[0].Line}
		if n := len(list); n > 0 && list[n-1].File == p.File && list[n-1].Line == p.Line {
			continue
		}
		list = append(list, p)
	}
	return list
}
