package object

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/davit-wasm/davit/codegen/internal/dwarf"
	"github.com/davit-wasm/davit/codegen/internal/objfile"
	"github.com/davit-wasm/davit/codegen/internal/unwind"
	"github.com/davit-wasm/davit/codegen/module"
)

// builder makes the file's description of a module's contents.
type builder struct {
	m        *Module
	f        objfile.File
	sections map[objfile.SectionKind]int    // index by kind
	starts   map[objfile.SectionKind]uint32 // symbol of a section's start
	symbols  []uint32                       // by ID; noSymbol
	// Of Mach-O: the initial contents of thread-local variables have symbols of
	// their own, the variables' symbols are those of descriptors.
	names map[string]module.ID
}

const noSymbol = ^uint32(0)

// Finalize makes the file. What is imported stays open for the linker.
func (m *Module) Finalize() error {
	if m.file != nil {
		return ErrFinalized
	}
	if err := m.table.Missing(); err != nil {
		return fmt.Errorf("object: %w", err)
	}
	b := builder{m: m, f: objfile.File{Arch: m.target.Triple.Arch}, sections: map[objfile.SectionKind]int{}, starts: map[objfile.SectionKind]uint32{}, names: map[string]module.ID{}}
	for kind := range m.parts {
		p := &m.parts[kind]
		if p.align != 0 {
			b.section(objfile.SectionKind(kind), objfile.Section{Align: p.align, Data: slices.Clone(p.data), Size: p.size})
		}
	}
	if err := b.declare(); err != nil {
		return fmt.Errorf("object: %w", err)
	}
	for kind := range m.parts {
		for _, r := range m.parts[kind].refs {
			b.reloc(objfile.SectionKind(kind), objfile.Reloc{Offset: r.off, Kind: r.kind, Symbol: b.symbol(r.id), Addend: r.addend})
		}
	}
	if m.format == objfile.COFF {
		b.windowsUnwind()
	} else {
		b.frames()
	}
	b.debug()
	file, err := b.f.Write(m.format)
	if err != nil {
		return fmt.Errorf("object: %w", err)
	}
	m.file = file
	return nil
}

func (b *builder) section(kind objfile.SectionKind, s objfile.Section) int {
	s.Kind = kind
	b.sections[kind] = len(b.f.Sections)
	b.f.Sections = append(b.f.Sections, s)
	return b.sections[kind]
}

func (b *builder) reloc(kind objfile.SectionKind, r objfile.Reloc) {
	s := &b.f.Sections[b.sections[kind]]
	s.Relocs = append(s.Relocs, r)
}

// start is the symbol of a section.
func (b *builder) start(kind objfile.SectionKind) uint32 {
	n, ok := b.starts[kind]
	if !ok {
		n = uint32(len(b.f.Symbols))
		b.starts[kind] = n
		b.f.Symbols = append(b.f.Symbols, objfile.Symbol{Kind: objfile.SectionStart, Section: b.sections[kind]})
	}
	return n
}

// declare makes symbols of all definitions.
func (b *builder) declare() error {
	m := b.m
	b.symbols = make([]uint32, m.table.Len())
	for i := range b.symbols {
		id := module.ID(i)
		b.symbols[i] = noSymbol
		d := m.table.At(id)
		name := m.opts.Symbol(d.Name)
		if other, ok := b.names[name]; ok {
			return fmt.Errorf("%v and %v have the same symbol %q: %w", m.table.At(other).Name, d.Name, name, module.ErrConflict)
		}
		b.names[name] = id
		if !d.Defined {
			continue
		}
		p := m.places[id]
		s := objfile.Symbol{Name: name, Kind: objfile.Object, Section: b.sections[p.part], Value: p.off, Size: p.size}
		switch d.Linkage {
		case module.Hidden:
			s.Binding, s.Hidden = objfile.Global, true
		case module.Export:
			s.Binding = objfile.Global
		case module.Preemptible:
			s.Binding = objfile.Weak
		}
		switch {
		case d.Kind == module.Func:
			s.Kind = objfile.Func
		case d.Data.TLS && m.format == objfile.MachO:
			b.threadVariable(&s)
		case d.Data.TLS:
			s.Kind = objfile.ThreadLocal
		}
		b.symbols[i] = uint32(len(b.f.Symbols))
		b.f.Symbols = append(b.f.Symbols, s)
	}
	return nil
}

// threadVariable makes the descriptor of a thread-local variable in Mach-O, and
// lets its symbol s stand for that: a function of the dynamic linker, a key for
// it, and the address of the initial contents.
func (b *builder) threadVariable(s *objfile.Symbol) {
	const tlsVars, size = objfile.TLSVars, 24
	if _, ok := b.sections[tlsVars]; !ok {
		b.section(tlsVars, objfile.Section{Align: 8})
		b.f.Symbols = append(b.f.Symbols, objfile.Symbol{Name: "_tlv_bootstrap", Section: objfile.Undefined, Binding: objfile.Global})
		b.starts[tlsVars] = uint32(len(b.f.Symbols) - 1)
	}
	initial := uint32(len(b.f.Symbols))
	b.f.Symbols = append(b.f.Symbols, objfile.Symbol{Name: s.Name + "$tlv$init", Section: s.Section, Value: s.Value, Size: s.Size})
	vars := &b.f.Sections[b.sections[tlsVars]]
	at := uint64(len(vars.Data))
	vars.Data = append(vars.Data, make([]byte, size)...)
	vars.Relocs = append(vars.Relocs,
		objfile.Reloc{Offset: at, Kind: objfile.Abs64, Symbol: b.starts[tlsVars]},
		objfile.Reloc{Offset: at + 16, Kind: objfile.Abs64, Symbol: initial})
	s.Section, s.Value, s.Size = b.sections[tlsVars], at, size
}

// symbol is the symbol of a declaration; of an import it is made when it is
// first used.
func (b *builder) symbol(id module.ID) uint32 {
	if b.symbols[id] == noSymbol {
		d := b.m.table.At(id)
		s := objfile.Symbol{Name: b.m.opts.Symbol(d.Name), Binding: objfile.Global, Section: objfile.Undefined}
		if d.Data.TLS {
			s.Kind = objfile.ThreadLocal
		}
		b.symbols[id] = uint32(len(b.f.Symbols))
		b.f.Symbols = append(b.f.Symbols, s)
	}
	return b.symbols[id]
}

// frames writes .eh_frame.
func (b *builder) frames() {
	f := unwind.Frames{Form: unwind.EHFrame}
	kind := objfile.PCRel32
	if b.m.format == objfile.MachO {
		f.Form, kind = unwind.EHFrame64, objfile.PCRel64
	}
	var relocs []objfile.Reloc
	for i := range b.m.funcs {
		fn := &b.m.funcs[i]
		if !fn.hasFrame {
			continue
		}
		f.Add(fn.size, fn.program)
		relocs = append(relocs, objfile.Reloc{Offset: uint64(f.Starts[len(f.Starts)-1]), Kind: kind, Symbol: b.start(objfile.Text), Addend: int64(fn.off)})
	}
	if relocs != nil {
		b.section(objfile.EHFrame, objfile.Section{Align: 8, Data: f.Data, Relocs: relocs})
	}
}

// windowsUnwind writes .xdata, and .pdata: begin, end and unwind information of
// every function.
func (b *builder) windowsUnwind() {
	var xdata, pdata objfile.Section
	xdata.Align, pdata.Align = 4, 4
	var at []uint64
	for i := range b.m.funcs {
		fn := &b.m.funcs[i]
		if fn.hasFrame {
			at = append(at, uint64(len(xdata.Data)))
			xdata.Data = append(xdata.Data, fn.program...)
		}
	}
	if at == nil {
		return
	}
	b.section(objfile.XData, xdata)
	text, info := b.start(objfile.Text), b.start(objfile.XData)
	for i := range b.m.funcs {
		fn := &b.m.funcs[i]
		if !fn.hasFrame {
			continue
		}
		off := uint64(len(pdata.Data))
		pdata.Data = append(pdata.Data, make([]byte, 12)...)
		pdata.Relocs = append(pdata.Relocs,
			objfile.Reloc{Offset: off, Kind: objfile.ImageRel32, Symbol: text, Addend: int64(fn.off)},
			objfile.Reloc{Offset: off + 4, Kind: objfile.ImageRel32, Symbol: text, Addend: int64(fn.off + fn.size)},
			objfile.Reloc{Offset: off + 8, Kind: objfile.ImageRel32, Symbol: info, Addend: int64(at[0])})
		at = at[1:]
	}
	b.section(objfile.PData, pdata)
}

// debug writes the DWARF sections.
func (b *builder) debug() {
	m := b.m
	if m.opts.Lines == nil || len(m.funcs) == 0 {
		return
	}
	u := dwarf.Unit{Name: m.opts.Name, Dir: m.opts.Dir, Producer: "davit", Size: m.parts[objfile.Text].size}
	for i := range m.funcs {
		fn := &m.funcs[i]
		d := m.table.At(fn.id)
		u.Funcs = append(u.Funcs, dwarf.Func{Name: m.opts.Symbol(d.Name), External: d.Linkage != module.Local, Offset: fn.off, Size: fn.size, Lines: fn.lines})
	}
	slices.SortFunc(u.Funcs, func(x, y dwarf.Func) int { return cmp.Compare(x.Offset, y.Offset) })
	s := dwarf.Write(&u, objfile.ByteOrder(m.target.Triple.Arch))
	for _, d := range [...]struct {
		kind objfile.SectionKind
		s    *dwarf.Section
	}{{objfile.DebugAbbrev, &s.Abbrev}, {objfile.DebugLine, &s.Line}, {objfile.DebugInfo, &s.Info}} {
		b.section(d.kind, objfile.Section{Data: d.s.Data})
		for _, x := range d.s.Fixups {
			r := objfile.Reloc{Offset: uint64(x.Offset), Addend: int64(x.Addend)}
			switch x.Kind {
			case dwarf.TextAddress:
				r.Kind, r.Symbol = objfile.Abs64, b.start(objfile.Text)
			case dwarf.AbbrevOffset:
				r.Kind, r.Symbol = objfile.SectionRel32, b.start(objfile.DebugAbbrev)
			case dwarf.LineOffset:
				r.Kind, r.Symbol = objfile.SectionRel32, b.start(objfile.DebugLine)
			}
			b.reloc(d.kind, r)
		}
	}
}
