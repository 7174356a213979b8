package snapshot

import (
	"encoding/binary"
	"fmt"
	"math"

	"github.com/davit-wasm/davit"
	"github.com/davit-wasm/davit/internal/segments"
	"github.com/davit-wasm/davit/wasm"
)

// write is the module with the state of an instance, as which it has been
// instantiated and initialized. Sections that the state has no influence on are
// copied as they are.
func write(module []byte, m *wasm.Module, exports []wasm.Export, in *davit.Instance, names watched) ([]byte, error) {
	w := *m
	w.Exports, w.HasStart = exports, false
	w.Globals = append([]wasm.Global(nil), m.Globals...)
	for i, name := range names.globals {
		if name == "" {
			continue
		}
		init, err := constant(in.Global(name).Get())
		if err != nil {
			return nil, fmt.Errorf("global %d: %w", i, err)
		}
		w.Globals[i].Init = init
	}
	w.Memories = append([]wasm.MemoryType(nil), m.Memories...)
	w.Datas = remaining(m)
	budget := max(0, segments.Max-len(w.Datas))
	for i, name := range names.memories {
		memory := in.Memory(name)
		w.Memories[i].Min = memory.Size() >> m.Memories[i].PageBits
		data, ok := memory.View(0, memory.Size())
		if !ok {
			return nil, fmt.Errorf("memory %d cannot be read", i)
		}
		list := segments.Of(data, uint32(i), m.Memories[i].Is64, budget/(len(m.Memories)-i))
		w.Datas = append(w.Datas, list...)
		budget -= len(list)
	}
	w.DataCount = uint32(len(w.Datas))
	return assemble(module, &w)
}

// remaining are the segments that instructions may refer to: passive ones, and in
// place of active ones, which have been dropped, empty ones.
func remaining(m *wasm.Module) []wasm.Data {
	if !m.HasDataCount {
		return nil
	}
	list := make([]wasm.Data, len(m.Datas))
	for i := range m.Datas {
		list[i] = wasm.Data{Mode: wasm.SegmentPassive}
		if m.Datas[i].Mode == wasm.SegmentPassive {
			list[i] = m.Datas[i]
		}
	}
	return list
}

// constant is the expression for a value.
func constant(v davit.Value) (wasm.ConstExpr, error) {
	t := v.Type()
	if t.IsRef() {
		if !v.IsNull() {
			return wasm.ConstExpr{}, fmt.Errorf("%w: it holds a reference", ErrUnsupported)
		}
		return wasm.ConstOf(t, 0, 0), nil
	}
	if t == wasm.V128 {
		low, high := v.V128()
		return wasm.ConstOf(t, low, high), nil
	}
	return wasm.ConstOf(t, v.Bits(), 0), nil
}

// changed are the sections that depend on the state; the others are copied.
func changed(s wasm.Section) bool {
	switch s {
	case wasm.SectionMemory, wasm.SectionGlobal, wasm.SectionExport, wasm.SectionStart, wasm.SectionDataCount, wasm.SectionData:
		return true
	}
	return false
}

// order is that of sections in a module.
var order = []wasm.Section{wasm.SectionType, wasm.SectionImport, wasm.SectionFunction, wasm.SectionTable, wasm.SectionMemory, wasm.SectionTag,
	wasm.SectionGlobal, wasm.SectionExport, wasm.SectionStart, wasm.SectionElement, wasm.SectionDataCount, wasm.SectionCode, wasm.SectionData}

// assemble is w, made of the sections of module, which it has been decoded from,
// but for those that have changed.
func assemble(module []byte, w *wasm.Module) ([]byte, error) {
	plain := *w
	plain.Customs = nil // they are copied
	plain.Names = nil
	encoded := wasm.Encode(&plain)
	before, err := wasm.Sections(module)
	if err != nil {
		return nil, err
	}
	after, err := wasm.Sections(encoded)
	if err != nil {
		return nil, err
	}
	out := append([]byte(nil), module[:8]...)
	section := func(id wasm.Section, content []byte) error {
		if len(content) > math.MaxUint32 {
			return fmt.Errorf("the %v section is larger than 4 GiB", id)
		}
		out = append(wasm.AppendU32(append(out, byte(id)), uint32(len(content))), content...)
		return nil
	}
	// customs copies the custom sections that follow section id.
	customs := func(id wasm.Section) error {
		at := wasm.SectionCustom
		for _, s := range before {
			if s.ID != wasm.SectionCustom {
				at = s.ID
				continue
			}
			content := module[s.Offset:][:s.Size]
			if at != id {
				continue
			}
			if s.Name == "name" {
				content = withoutDataNames(content)
			}
			if err := section(wasm.SectionCustom, content); err != nil {
				return err
			}
		}
		return nil
	}
	// Those that follow the last section stay behind all, data that is new included:
	// that is where names have to be.
	last := wasm.SectionCustom
	for _, s := range before {
		if s.ID != wasm.SectionCustom {
			last = s.ID
		}
	}
	if last != wasm.SectionCustom {
		if err := customs(wasm.SectionCustom); err != nil {
			return nil, err
		}
	}
	for _, id := range order {
		from, list := module, before
		if changed(id) {
			from, list = encoded, after
		}
		for _, s := range list {
			if s.ID == id {
				if err := section(id, from[s.Offset:][:s.Size]); err != nil {
					return nil, err
				}
			}
		}
		if id == last {
			continue
		}
		if err := customs(id); err != nil {
			return nil, err
		}
	}
	if err := customs(last); err != nil {
		return nil, err
	}
	return out, nil
}

// withoutDataNames is the content of a name section without the names of data
// segments, which are others now. One that cannot be understood is left as it is.
func withoutDataNames(content []byte) []byte {
	const dataNames = 9
	n, size := binary.Uvarint(content)
	if size <= 0 || n > uint64(len(content)-size) {
		return content
	}
	at := size + int(n)
	out := append([]byte(nil), content[:at]...)
	for at < len(content) {
		n, size := binary.Uvarint(content[at+1:])
		if size <= 0 || n > uint64(len(content)-at-1-size) {
			return content
		}
		end := at + 1 + size + int(n)
		if content[at] != dataNames {
			out = append(out, content[at:end]...)
		}
		at = end
	}
	return out
}
