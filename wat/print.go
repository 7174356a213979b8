package wat

import (
	"fmt"
	"strconv"

	"github.com/davit-wasm/davit/wasm"
)

// PrintOptions adjust [Print]. The zero value is useful.
type PrintOptions struct {
	// Folded writes instructions behind the parenthesis of the operator that
	// uses them, where it is known that it does.
	Folded bool
	// NoNames writes indexes instead of the names of the name section.
	NoNames bool
	// Skeleton leaves out code and the contents of segments and custom sections,
	// and writes "…" for them in comments. The text is for reading only.
	Skeleton bool
	// Offsets writes a comment with its offset in the module's bytes, (;@1f;), in
	// front of each instruction of a function that is not folded.
	Offsets bool
}

// Print writes a module as text, which [Parse] turns into the same module:
// only what no part of the format can tell is lost, such as longer encodings of
// numbers. The module need not be valid; the error says which instruction could
// not be read. opts may be nil.
func Print(m *wasm.Module, opts *PrintOptions) ([]byte, error) {
	p := printer{m: m}
	if opts != nil {
		p.opts = *opts
	}
	if m.Names != nil && !p.opts.NoNames {
		p.names = *m.Names
	}
	n := &p.names
	p.types = newIdentifiers(n.Types, len(m.Types))
	p.funcs = newIdentifiers(n.Funcs, len(m.Funcs))
	p.tables = newIdentifiers(n.Tables, len(m.Tables))
	p.memories = newIdentifiers(n.Memories, len(m.Memories))
	p.globals = newIdentifiers(n.Globals, len(m.Globals))
	p.tags = newIdentifiers(n.Tags, len(m.Tags))
	p.elems = newIdentifiers(n.Elems, len(m.Elems))
	p.datas = newIdentifiers(n.Datas, len(m.Datas))
	p.fieldIDs = make([]identifiers, 0, len(n.Fields))
	p.module()
	if p.err != nil {
		return nil, p.err
	}
	return p.b, nil
}

// printer writes one module.
type printer struct {
	m     *wasm.Module
	opts  PrintOptions
	names wasm.Names
	b     []byte
	err   error

	types    identifiers
	funcs    identifiers
	tables   identifiers
	memories identifiers
	globals  identifiers
	tags     identifiers
	elems    identifiers
	datas    identifiers
	fieldIDs []identifiers // parallel to names.Fields

	hasProducers bool // a @producers annotation was written
	hints        []funcHints
	hintSection  *wasm.Custom // what hints says; nil if there are none

	code   codePrinter
	folder folder
}

func (p *printer) str(s string) { p.b = append(p.b, s...) }
func (p *printer) uint(v uint64) {
	p.b = strconv.AppendUint(p.b, v, 10)
}

// comment writes the index of an entity.
func (p *printer) comment(i int) {
	p.str(" (;")
	p.uint(uint64(i))
	p.str(";)")
}

func (p *printer) module() {
	m := p.m
	if !p.opts.Skeleton {
		p.findBranchHints()
	}
	p.str("(module")
	if p.names.Module != "" {
		p.b = appendID(append(p.b, ' '), p.names.Module)
	}
	for _, f := range p.names.Fields {
		n := 0
		if int(f.Index) < len(m.Types) {
			n = len(m.Types[f.Index].Fields)
		}
		ids := newIdentifiers(f.Names, n)
		for i := range ids.names {
			if !ids.names[i].unique { // fields have no annotations
				ids.names[i] = entityName{}
			}
		}
		p.fieldIDs = append(p.fieldIDs, ids)
	}
	for _, g := range m.RecGroups {
		if uint64(g.Start)+uint64(g.Len) > uint64(len(m.Types)) {
			p.err = fmt.Errorf("recursive group of types %d to %d: there are %d types", g.Start, g.Start+g.Len, len(m.Types))
			return
		}
		if g.Len == 1 {
			p.str("\n  ")
			p.typeDef(g.Start)
			continue
		}
		p.str("\n  (rec")
		for i := g.Start; i < g.Start+g.Len; i++ {
			p.str("\n    ")
			p.typeDef(i)
		}
		p.b = append(p.b, ')')
	}
	for i := range m.Imports {
		p.imported(&m.Imports[i])
	}
	for i := m.NumImportedTables; i < len(m.Tables); i++ {
		t := &m.Tables[i]
		p.entity("table", &p.tables, i)
		p.tableType(&t.Type)
		p.constExpr(t.Init)
		p.b = append(p.b, ')')
	}
	for i := m.NumImportedMemories; i < len(m.Memories); i++ {
		p.entity("memory", &p.memories, i)
		p.memoryType(&m.Memories[i])
		p.b = append(p.b, ')')
	}
	for i := m.NumImportedTags; i < len(m.Tags); i++ {
		p.entity("tag", &p.tags, i)
		p.typeUse(m.Tags[i].Type, nil)
		p.b = append(p.b, ')')
	}
	for i := m.NumImportedGlobals; i < len(m.Globals); i++ {
		g := &m.Globals[i]
		p.entity("global", &p.globals, i)
		p.globalType(g.Type)
		p.constExpr(g.Init)
		p.b = append(p.b, ')')
	}
	for i := range m.Exports {
		p.export(&m.Exports[i])
	}
	if m.HasStart {
		p.str("\n  (start ")
		p.b = append(p.funcs.appendRef(p.b, m.Start), ')')
	}
	for i := range m.Elems {
		p.elem(i)
	}
	for i := range m.Code {
		p.function(i)
	}
	for i := range m.Datas {
		p.data(i)
	}
	for i := range m.Customs {
		p.custom(&m.Customs[i])
	}
	p.str(")\n")
}

// entity begins the field that defines entity i of a space.
func (p *printer) entity(keyword string, ids *identifiers, i int) {
	p.str("\n  (")
	p.str(keyword)
	p.b = ids.appendDef(p.b, uint32(i))
	p.comment(i)
}

func (p *printer) typeDef(i uint32) {
	t := &p.m.Types[i]
	p.str("(type")
	p.b = p.types.appendDef(p.b, i)
	p.comment(int(i))
	sub := !t.Final || len(t.Supers) > 0
	if sub {
		p.str(" (sub")
		if t.Final {
			p.str(" final")
		}
		for _, s := range t.Supers {
			p.b = p.types.appendRef(append(p.b, ' '), s)
		}
	}
	switch t.Kind {
	case wasm.CompositeFunc:
		p.str(" (func")
		p.valTypes("param", t.Func.Params)
		p.valTypes("result", t.Func.Results)
	case wasm.CompositeStruct:
		p.str(" (struct")
		ids := p.fieldNames(i)
		for f, field := range t.Fields {
			p.str(" (field")
			p.b = ids.appendDef(p.b, uint32(f))
			p.b = append(p.b, ' ')
			p.fieldType(field)
			p.b = append(p.b, ')')
		}
	case wasm.CompositeArray:
		p.str(" (array ")
		p.fieldType(t.Fields[0])
	}
	p.b = append(p.b, ')')
	if sub {
		p.b = append(p.b, ')')
	}
	p.b = append(p.b, ')')
}

// fieldNames are the identifiers of the fields of type i.
func (p *printer) fieldNames(i uint32) *identifiers {
	for k := range p.names.Fields { // few types have names for their fields
		if p.names.Fields[k].Index == i {
			return &p.fieldIDs[k]
		}
	}
	return &identifiers{}
}

func (p *printer) fieldType(f wasm.FieldType) {
	if f.Mutable {
		p.str("(mut ")
	}
	p.valType(f.Type)
	if f.Mutable {
		p.b = append(p.b, ')')
	}
}

func (p *printer) valType(t wasm.ValType) {
	if !t.IsRef() || !t.Heap().IsIndex() {
		p.str(t.String())
		return
	}
	p.str("(ref ")
	if t.Nullable() {
		p.str("null ")
	}
	p.b = append(p.types.appendRef(p.b, t.Heap().Index()), ')')
}

func (p *printer) valTypes(keyword string, ts []wasm.ValType) {
	if len(ts) == 0 {
		return
	}
	p.str(" (")
	p.str(keyword)
	for _, t := range ts {
		p.b = append(p.b, ' ')
		p.valType(t)
	}
	p.b = append(p.b, ')')
}

func (p *printer) heapType(h wasm.HeapType) {
	if h.IsIndex() {
		p.b = p.types.appendRef(p.b, h.Index())
	} else {
		p.str(h.String())
	}
}

func (p *printer) limits(l *wasm.Limits) {
	if l.Is64 {
		p.str(" i64")
	}
	p.b = append(p.b, ' ')
	p.uint(l.Min)
	if l.HasMax {
		p.b = append(p.b, ' ')
		p.uint(l.Max)
	}
}

func (p *printer) tableType(t *wasm.TableType) {
	p.limits(&t.Limits)
	p.b = append(p.b, ' ')
	p.valType(t.Elem)
}

func (p *printer) memoryType(m *wasm.MemoryType) {
	p.limits(&m.Limits)
	if m.Shared {
		p.str(" shared")
	}
	if m.PageBits != 16 {
		p.str(" (pagesize ")
		p.uint(m.PageSize())
		p.b = append(p.b, ')')
	}
}

func (p *printer) globalType(g wasm.GlobalType) {
	p.b = append(p.b, ' ')
	p.fieldType(wasm.FieldType{Type: g.Type, Mutable: g.Mutable})
}

// typeUse writes a reference to a function type and what it says; locals name
// the parameters, if they have names here.
func (p *printer) typeUse(i uint32, locals *identifiers) {
	p.str(" (type ")
	p.b = append(p.types.appendRef(p.b, i), ')')
	if int(i) >= len(p.m.Types) || p.m.Types[i].Kind != wasm.CompositeFunc {
		return
	}
	f := &p.m.Types[i].Func
	if locals == nil {
		locals = &identifiers{}
	}
	p.locals("param", f.Params, locals, 0)
	p.valTypes("result", f.Results)
}

// locals writes parameters or locals, those without a name together.
func (p *printer) locals(keyword string, ts []wasm.ValType, ids *identifiers, first uint32) {
	open := false
	for i, t := range ts {
		index := first + uint32(i)
		named := int(index) < len(ids.names) && ids.names[index].name != ""
		if open && named {
			p.b = append(p.b, ')')
			open = false
		}
		if !open {
			p.str(" (")
			p.str(keyword)
			p.b = ids.appendDef(p.b, index)
			open = true
		}
		p.b = append(p.b, ' ')
		p.valType(t)
		if named {
			p.b = append(p.b, ')')
			open = false
		}
	}
	if open {
		p.b = append(p.b, ')')
	}
}

func (p *printer) imported(im *wasm.Import) {
	m := p.m
	p.str("\n  (import ")
	p.b = appendString(p.b, im.Module)
	p.b = appendString(append(p.b, ' '), im.Name)
	p.str(" (")
	p.str(im.Kind.String())
	i := im.Index
	switch im.Kind {
	case wasm.KindFunc:
		p.b = p.funcs.appendDef(p.b, i)
		p.comment(int(i))
		p.typeUse(m.Funcs[i].Type, nil)
	case wasm.KindTable:
		p.b = p.tables.appendDef(p.b, i)
		p.comment(int(i))
		p.tableType(&m.Tables[i].Type)
	case wasm.KindMemory:
		p.b = p.memories.appendDef(p.b, i)
		p.comment(int(i))
		p.memoryType(&m.Memories[i])
	case wasm.KindGlobal:
		p.b = p.globals.appendDef(p.b, i)
		p.comment(int(i))
		p.globalType(m.Globals[i].Type)
	case wasm.KindTag:
		p.b = p.tags.appendDef(p.b, i)
		p.comment(int(i))
		p.typeUse(m.Tags[i].Type, nil)
	}
	p.str("))")
}

func (p *printer) export(x *wasm.Export) {
	p.str("\n  (export ")
	p.b = appendString(p.b, x.Name)
	p.str(" (")
	p.str(x.Kind.String())
	p.b = append(p.b, ' ')
	ids := [...]*identifiers{wasm.KindFunc: &p.funcs, wasm.KindTable: &p.tables, wasm.KindMemory: &p.memories,
		wasm.KindGlobal: &p.globals, wasm.KindTag: &p.tags}[x.Kind]
	p.b = ids.appendRef(p.b, x.Index)
	p.str("))")
}

// offset writes the offset of an active segment.
func (p *printer) offset(x wasm.ConstExpr) {
	p.str(" (offset")
	p.constExpr(x)
	p.b = append(p.b, ')')
}

func (p *printer) elem(i int) {
	e := &p.m.Elems[i]
	p.entity("elem", &p.elems, i)
	switch e.Mode {
	case wasm.SegmentDeclarative:
		p.str(" declare")
	case wasm.SegmentActive:
		if e.Table != 0 {
			p.str(" (table ")
			p.b = append(p.tables.appendRef(p.b, e.Table), ')')
		}
		p.offset(e.Offset)
	}
	switch funcs := len(e.Exprs) == 0 && e.Type == wasm.Ref(false, wasm.HeapFunc); {
	case p.opts.Skeleton:
		p.b = append(p.b, ' ')
		if p.valType(e.Type); e.Len() > 0 {
			p.elided(e.Len(), "elements")
		}
	case funcs:
		p.str(" func")
		for _, f := range e.Funcs {
			p.b = p.funcs.appendRef(append(p.b, ' '), f)
		}
	default:
		p.b = append(p.b, ' ')
		p.valType(e.Type)
		for _, x := range e.Exprs {
			p.str(" (item")
			p.constExpr(x)
			p.b = append(p.b, ')')
		}
	}
	p.b = append(p.b, ')')
}

func (p *printer) data(i int) {
	d := &p.m.Datas[i]
	p.entity("data", &p.datas, i)
	if d.Mode == wasm.SegmentActive {
		if d.Memory != 0 {
			p.str(" (memory ")
			p.b = append(p.memories.appendRef(p.b, d.Memory), ')')
		}
		p.offset(d.Offset)
	}
	if p.opts.Skeleton {
		p.elided(len(d.Init), "bytes")
	} else {
		p.b = appendString(append(p.b, ' '), string(d.Init))
	}
	p.b = append(p.b, ')')
}

// following is the first section of the module after one that a custom section
// lies behind, or SectionCustom if there is none.
func (p *printer) following(after wasm.Section) wasm.Section {
	m := p.m
	passed := false
	for _, s := range sectionOrder[:len(sectionOrder)-1] {
		there := false
		switch s.section {
		case wasm.SectionType:
			there = len(m.Types) > 0
		case wasm.SectionImport:
			there = len(m.Imports) > 0
		case wasm.SectionFunction:
			there = len(m.Funcs) > m.NumImportedFuncs
		case wasm.SectionTable:
			there = len(m.Tables) > m.NumImportedTables
		case wasm.SectionMemory:
			there = len(m.Memories) > m.NumImportedMemories
		case wasm.SectionTag:
			there = len(m.Tags) > m.NumImportedTags
		case wasm.SectionGlobal:
			there = len(m.Globals) > m.NumImportedGlobals
		case wasm.SectionExport:
			there = len(m.Exports) > 0
		case wasm.SectionStart:
			there = m.HasStart
		case wasm.SectionElement:
			there = len(m.Elems) > 0
		case wasm.SectionDataCount:
			there = m.HasDataCount
		case wasm.SectionCode:
			there = len(m.Code) > 0
		case wasm.SectionData:
			there = len(m.Datas) > 0
		}
		if passed && there {
			return s.section
		}
		passed = passed || s.section == after
	}
	return wasm.SectionCustom
}

// elided writes how much was left out.
func (p *printer) elided(n int, what string) {
	p.b = fmt.Appendf(p.b, " (; … %d %s ;)", n, what)
}

// custom writes a custom section as an annotation. The name section has been
// written as identifiers, branch hints with their instructions.
func (p *printer) custom(c *wasm.Custom) {
	if c.Name == "name" && p.m.Names != nil || c == p.hintSection || p.producers(c) {
		return
	}
	p.str("\n  (@custom ")
	p.b = appendString(p.b, c.Name)
	switch {
	case p.following(c.After) == wasm.SectionCustom: // the last place is where they go
	case c.After == wasm.SectionCustom:
		p.str(" (before first)")
	default:
		for _, s := range sectionOrder {
			if s.section == c.After {
				p.str(" (after ")
				p.str(s.keyword)
				p.b = append(p.b, ')')
				break
			}
		}
	}
	if len(c.Data) > 0 && p.opts.Skeleton {
		p.elided(len(c.Data), "bytes")
	} else if len(c.Data) > 0 {
		p.b = appendString(append(p.b, ' '), string(c.Data))
	}
	p.b = append(p.b, ')')
}
