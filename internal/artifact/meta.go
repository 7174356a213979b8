package artifact

import (
	"math"

	"github.com/davit-wasm/davit/internal/image"
	"github.com/davit-wasm/davit/wasm"
)

// The metadata is a module in WebAssembly's own binary format that has only what
// is small: types, imports, tables, memories, globals, tags, exports, start.
// So the decoder and the validator of package wasm read it. Behind it come the
// signatures, and the segments and custom sections, whose contents are in sections
// of their own.

const maxUint32 = math.MaxUint32

// limits are no limits: the compiler has applied those that there were.
var everything = &wasm.Config{Features: wasm.FeaturesAll, Limits: wasm.ModuleLimits{
	ModuleSize: math.MaxInt32, Types: math.MaxInt32, Funcs: math.MaxInt32, Imports: math.MaxInt32, Exports: math.MaxInt32,
	Globals: math.MaxInt32, Tags: math.MaxInt32, Tables: math.MaxInt32, Memories: math.MaxInt32, DataSegments: math.MaxInt32,
	ElemSegments: math.MaxInt32, ElemLength: math.MaxInt32, Params: math.MaxInt32, Results: math.MaxInt32, BodySize: math.MaxInt32,
	Locals: math.MaxInt32, Fields: math.MaxInt32, NewFixed: math.MaxInt32, SubtypeDepth: 1 << 20, BrTable: math.MaxInt32,
}}

// dataAlign is the alignment of data segments and custom sections.
const dataAlign = 16

func align(n, to uint64) uint64 { return (n + to - 1) &^ (to - 1) }

// metadata is the metadata section of im.
func metadata(im *image.Image) []byte {
	m := im.Module
	w := writer{}
	w.bytes(wasm.Encode(&wasm.Module{
		Types: m.Types, RecGroups: m.RecGroups, Imports: m.Imports, Funcs: m.Funcs[:m.NumImportedFuncs], Tables: m.Tables,
		Memories: m.Memories, Globals: m.Globals, Tags: m.Tags, NumImportedFuncs: m.NumImportedFuncs,
		NumImportedTables: m.NumImportedTables, NumImportedMemories: m.NumImportedMemories,
		NumImportedGlobals: m.NumImportedGlobals, NumImportedTags: m.NumImportedTags,
		Exports: m.Exports, HasStart: m.HasStart, Start: m.Start,
	}))
	w.number(uint64(len(im.Signatures)))
	for i := range im.Signatures {
		s := &im.Signatures[i]
		for _, slots := range [][]image.Slot{s.Params, s.Results} {
			w.number(uint64(len(slots)))
			for _, slot := range slots {
				w.b = append(w.b, byte(slot))
			}
		}
		w.number(uint64(s.Entry))
		w.number(uint64(s.Exit))
		w.number(uint64(s.Direct + 1)) // 0: none
	}
	for _, s := range im.TypeSignatures { // as many as there are types
		w.number(uint64(s + 1)) // 0: none
	}
	w.number(uint64(len(m.Elems)))
	for i := range m.Elems {
		e := &m.Elems[i]
		w.number(uint64(e.Mode))
		w.number(uint64(e.Table))
		w.expr(e.Offset)
		w.number(uint64(e.Type))
		w.number(uint64(len(e.Funcs)))
		w.number(uint64(len(e.Exprs)))
		for _, x := range e.Exprs {
			w.expr(x)
		}
	}
	dense := uint64(0)
	if x := initialMemory(m); x.Dense() {
		dense = 1
	}
	w.number(dense)
	w.number(uint64(len(m.Datas)))
	for i := range m.Datas {
		d := &m.Datas[i]
		w.number(uint64(d.Mode))
		w.number(uint64(d.Memory))
		w.expr(d.Offset)
		w.number(uint64(len(d.Init)))
		w.number(uint64(d.InitOffset))
	}
	w.number(uint64(len(m.Customs)))
	for i := range m.Customs {
		c := &m.Customs[i]
		w.string(c.Name)
		w.number(uint64(c.After))
		w.number(uint64(len(c.Data)))
		w.number(uint64(c.Offset))
	}
	w.number(uint64(m.CodeOffset))
	return w.b
}

func (w *writer) expr(x wasm.ConstExpr) {
	w.bytes(x.Code)
	w.number(uint64(x.Offset))
}

func (r *reader) expr() wasm.ConstExpr {
	code := r.bytes(r.number())
	return wasm.ConstExpr{Code: code, Offset: int(r.below(math.MaxInt32))}
}

// readMetadata makes the module of im, and its signatures, of the metadata, the
// types of the functions, the elements, and the contents of data segments and
// custom sections. Everything that it refers to is there when it returns nil.
func readMetadata(im *image.Image, meta []byte, types []wasm.Func, elements []uint32, data, customs []byte) error {
	r := reader{b: meta}
	m, err := wasm.Decode(r.bytes(r.number()), everything)
	if err != nil {
		return corrupt("the metadata's module: %v", err)
	}
	im.Module = m
	if len(m.Funcs) != m.NumImportedFuncs || len(types) < len(m.Funcs) {
		return corrupt("the metadata's module has %d functions, %d of them imported; there are %d types of functions", len(m.Funcs), m.NumImportedFuncs, len(types))
	}
	for i, f := range m.Funcs {
		if types[i] != f {
			return corrupt("the type of imported function %d", i)
		}
	}
	m.Funcs = types
	readSignatures(im, &r)

	m.Elems = make([]wasm.Elem, r.count())
	for i := range m.Elems {
		e := &m.Elems[i]
		e.Mode = wasm.SegmentMode(r.below(3))
		e.Table = uint32(r.below(maxUint32))
		e.Offset = r.expr()
		e.Type = wasm.ValType(r.below(maxUint32))
		n := r.below(uint64(len(elements)) + 1)
		e.Funcs, elements = elements[:n:n], elements[n:]
		e.Exprs = make([]wasm.ConstExpr, r.count())
		for k := range e.Exprs {
			e.Exprs[k] = r.expr()
		}
	}
	dense := r.below(2) == 1
	m.Datas = make([]wasm.Data, r.count())
	sizes := make([]uint64, len(m.Datas))
	for i := range m.Datas {
		d := &m.Datas[i]
		d.Mode = wasm.SegmentMode(r.below(3))
		d.Memory = uint32(r.below(maxUint32))
		d.Offset = r.expr()
		sizes[i] = r.below(uint64(len(data)) + 1)
		d.InitOffset = int(r.below(math.MaxInt32))
	}
	r.datas(im, sizes, data, dense)
	m.Customs = make([]wasm.Custom, r.count())
	for i := range m.Customs {
		c := &m.Customs[i]
		c.Name = r.string()
		c.After = wasm.Section(r.below(uint64(wasm.SectionTag) + 1))
		c.Data, customs = r.content(customs)
		c.Offset = int(r.below(math.MaxInt32))
	}
	m.CodeOffset = int(r.below(math.MaxInt32)) // by which debug information goes
	if r.bad || len(r.b) > 0 || len(elements) > 0 {
		return corrupt("the metadata cannot be read")
	}
	if _, err := wasm.NewBodilessEnv(m, everything); err != nil {
		return corrupt("the metadata's module: %v", err)
	}
	im.Layout = image.LayoutOf(m)
	return checkSignatures(im)
}

// content reads the size of a content, and cuts it from the front of all.
func (r *reader) content(all []byte) (content, rest []byte) {
	return cut(all, r.below(uint64(len(all))+1))
}

// cut cuts n bytes, which must be there, from the front of all.
func cut(all []byte, n uint64) (content, rest []byte) {
	return all[:n:n], all[min(align(n, dataAlign), uint64(len(all))):]
}

// initialMemory is that of a module that has its data segments.
func initialMemory(m *wasm.Module) image.InitialMemory {
	return image.InitialMemoryOf(m, func(i int) int { return len(m.Datas[i].Init) })
}

// datas gives the data segments of im their contents, of which dense says how they lie
// in data: see [encoder.datas].
func (r *reader) datas(im *image.Image, sizes []uint64, data []byte, dense bool) {
	m := im.Module
	var x image.InitialMemory
	if dense {
		x = image.InitialMemoryOf(m, func(i int) int { return int(sizes[i]) })
		if !x.Dense() || x.End-x.Start > uint64(len(data)) {
			r.fail()
			return
		}
		x.Data, data = data[:x.End-x.Start:x.End-x.Start], data[x.End-x.Start:]
		im.Initial = x
	}
	for i := range m.Datas {
		d := &m.Datas[i]
		if i < x.Segments && d.Mode == wasm.SegmentActive {
			if n := sizes[i]; n > 0 {
				at, _ := d.Offset.Integer()
				d.Init = x.Data[at-x.Start:][:n:n]
			}
			continue
		}
		if sizes[i] > uint64(len(data)) {
			r.fail()
			return
		}
		d.Init, data = cut(data, sizes[i])
	}
}

func readSignatures(im *image.Image, r *reader) {
	im.Signatures = make([]image.Signature, r.count())
	for i := range im.Signatures {
		s := &im.Signatures[i]
		for _, slots := range []*[]image.Slot{&s.Params, &s.Results} {
			b := r.bytes(r.number())
			*slots = make([]image.Slot, len(b))
			for k := range b {
				(*slots)[k] = image.Slot(b[k])
			}
		}
		s.Entry, s.Exit = uint32(r.below(maxUint32)), uint32(r.below(maxUint32))
		s.Direct = uint32(r.below(maxUint32)) - 1
	}
	im.TypeSignatures = make([]uint32, len(im.Module.Types))
	for i := range im.TypeSignatures {
		im.TypeSignatures[i] = uint32(r.below(uint64(len(im.Signatures))+1)) - 1
	}
}

// checkSignatures checks that every function type has its signature.
func checkSignatures(im *image.Image) error {
	for i := range im.Module.Types {
		t := &im.Module.Types[i]
		sig := im.TypeSignatures[i]
		if t.Kind != wasm.CompositeFunc {
			if sig != image.NoSignature {
				return corrupt("type %d has a signature", i)
			}
			continue
		}
		if sig == image.NoSignature || !fits(im.Signatures[sig].Params, t.Func.Params) || !fits(im.Signatures[sig].Results, t.Func.Results) {
			return corrupt("the signature of type %d", i)
		}
	}
	return nil
}

func fits(slots []image.Slot, types []wasm.ValType) bool {
	if len(slots) != len(types) {
		return false
	}
	for i, t := range types {
		if image.SlotOf(t) != slots[i] {
			return false
		}
	}
	return true
}
