package wat

import (
	"github.com/davit-wasm/davit/internal/wattext"
	"github.com/davit-wasm/davit/wasm"
)

// fieldKind is what a module field is.
type fieldKind uint8

const (
	fieldType fieldKind = iota
	fieldRec
	fieldFunc
	fieldTable
	fieldMemory
	fieldGlobal
	fieldTag
	fieldImport // with the keyword `import` in front
	fieldExport
	fieldStart
	fieldElem
	fieldData
)

// field is a field of the module.
type field struct {
	kind     fieldKind
	imported bool      // an inline import
	of       wasm.Kind // fieldImport: what is imported
	index    uint32    // of what is defined
	typeUse  uint32    // functions: token where the type use begins
	pos      uint32    // token after the keyword; after step 3, where the body begins
	end      uint32    // token of the closing parenthesis
}

// module reads the whole source.
func (p *parser) module() {
	p.types.kind, p.funcs.kind, p.tables.kind, p.memories.kind = "type", "func", "table", "memory"
	p.globals.kind, p.tags.kind, p.elems.kind, p.datas.kind = "global", "tag", "elem", "data"
	p.annotationUsed = make([]bool, len(p.Src.Annotations))

	p.moduleEnd = p.End
	if p.TakeHead("module") {
		p.moduleEnd = p.Src.Tokens[p.Pos-2].Pair
		p.moduleID = p.TakeID()
		if p.IsKeyword("binary") || p.IsKeyword("quote") {
			p.Fail("unexpected token %s: only scripts have such modules", p.Text())
			return
		}
	}
	p.survey()
	if p.moduleEnd != p.End {
		p.Close()
		if p.Kind() != wattext.EOF {
			p.unexpected("the end of the text")
		}
	}
	if p.Err != nil {
		return
	}
	p.m.NumImportedFuncs, p.m.NumImportedTables = p.countImports(wasm.KindFunc), p.countImports(wasm.KindTable)
	p.m.NumImportedMemories, p.m.NumImportedGlobals = p.countImports(wasm.KindMemory), p.countImports(wasm.KindGlobal)
	p.m.NumImportedTags = p.countImports(wasm.KindTag)

	for i := range p.fields {
		if f := &p.fields[i]; f.kind == fieldType || f.kind == fieldRec {
			p.Pos = f.pos
			p.typeField(f)
		}
	}
	for i := range p.fields {
		p.Pos = p.fields[i].pos
		p.header(&p.fields[i])
		p.fields[i].pos = p.Pos
	}
	for i := range p.fields {
		p.Pos = p.fields[i].pos
		p.body(&p.fields[i])
	}
	if p.Err != nil {
		return
	}
	if p.usesData {
		p.m.HasDataCount, p.m.DataCount = true, uint32(len(p.m.Datas))
	}
	p.finishProducers()
	p.finishNames()
	p.finishAnnotations()
}

// survey lists the fields of the module from the current token on, and
// collects identifiers.
func (p *parser) survey() {
	p.moduleAnnotations()
	for p.Pos < p.moduleEnd && p.Err == nil {
		p.customs()
		if p.Pos == p.moduleEnd {
			break
		}
		p.surveyField()
	}
	p.customs()
}

func (p *parser) surveyField() {
	if p.Kind() != wattext.LParen {
		p.unexpected("a module field")
		return
	}
	f := field{end: p.Src.Tokens[p.Pos].Pair}
	p.Next()
	keyword := p.Pos
	f.pos = p.Pos + 1
	head := string(p.Text())
	if p.Kind() != wattext.Keyword {
		head = ""
	}
	p.Next()
	switch head {
	case "type":
		f.kind, f.index = fieldType, p.define(&p.types)
	case "rec":
		f.kind = fieldRec
		f.index = p.types.count
		for p.Kind() == wattext.LParen {
			end := p.Src.Tokens[p.Pos].Pair
			if !p.TakeHead("type") {
				p.Next()
				p.unexpected("`type`")
				return
			}
			p.define(&p.types)
			if p.Err == nil {
				p.Pos = end + 1
			}
		}
		if p.Kind() != wattext.RParen {
			p.unexpected("`(type …)` or `)`")
		}
	case "func":
		f.kind = fieldFunc
		p.surveyEntity(&f, &p.funcs)
	case "table":
		f.kind = fieldTable
		p.surveyEntity(&f, &p.tables)
	case "memory":
		f.kind = fieldMemory
		p.surveyEntity(&f, &p.memories)
	case "global":
		f.kind = fieldGlobal
		p.surveyEntity(&f, &p.globals)
	case "tag":
		f.kind = fieldTag
		p.surveyEntity(&f, &p.tags)
	case "import":
		f.kind = fieldImport
		p.surveyImport(&f)
	case "export":
		f.kind = fieldExport
	case "start":
		f.kind = fieldStart
	case "elem":
		f.kind, f.index = fieldElem, p.define(&p.elems)
	case "data":
		f.kind, f.index = fieldData, p.define(&p.datas)
	default:
		p.Pos = keyword
		p.unexpected("a module field")
		return
	}
	if p.Err == nil {
		p.fields = append(p.fields, f)
		p.Pos = f.end + 1
	}
}

// surveyEntity numbers a function, table, memory, global or tag, and finds out
// whether it is imported and whether it has a segment of its own.
func (p *parser) surveyEntity(f *field, s *space) {
	f.index = p.define(s)
	for string(p.Head()) == "export" {
		p.SkipList()
	}
	if string(p.Head()) == "import" {
		f.imported = true
		p.checkImportOrder(f.kind == fieldTag)
		return
	}
	if f.kind == fieldTag {
		p.hasTag = true
	} else if p.hasDefinition == "" {
		p.hasDefinition = s.kind
		if f.kind == fieldFunc {
			p.hasDefinition = "function"
		}
	}
	if f.kind != fieldTable && f.kind != fieldMemory {
		return
	}
	for p.Pos < f.end && p.Err == nil {
		switch head := string(p.Head()); {
		case f.kind == fieldTable && head == "elem":
			p.elems.count++
			return
		case f.kind == fieldMemory && head == "data":
			p.datas.count++
			return
		}
		if p.Kind() == wattext.LParen {
			p.SkipList()
		} else {
			p.Next()
		}
	}
}

// checkImportOrder checks that imports come before definitions. Other tools let
// them follow definitions of tags, as long as it is not tags that are imported.
func (p *parser) checkImportOrder(tag bool) {
	switch {
	case p.hasDefinition != "":
		p.Fail("import after %s", p.hasDefinition)
	case tag && p.hasTag:
		p.Fail("import after tag")
	}
}

func (p *parser) surveyImport(f *field) {
	p.checkImportOrder(false)
	start := p.Pos
	p.TakeName()
	if p.Kind() == wattext.LParen && string(p.Head()) == "item" {
		p.Fail("unexpected token item: compact import sections are not supported")
		return
	}
	p.TakeName()
	p.Open()
	kind := p.Pos
	head := string(p.Text())
	p.Next()
	switch head {
	case "func":
		f.of, f.index = wasm.KindFunc, p.define(&p.funcs)
	case "table":
		f.of, f.index = wasm.KindTable, p.define(&p.tables)
	case "memory":
		f.of, f.index = wasm.KindMemory, p.define(&p.memories)
	case "global":
		f.of, f.index = wasm.KindGlobal, p.define(&p.globals)
	case "tag":
		f.of, f.index = wasm.KindTag, p.define(&p.tags)
		if p.hasTag {
			p.FailAt(start, "import after tag")
		}
	default:
		p.Pos = kind
		p.unexpected("`func`, `table`, `memory`, `global` or `tag`")
	}
}

// importKind is what field f imports.
func (f *field) importKind() (wasm.Kind, bool) {
	switch {
	case f.kind == fieldImport:
		return f.of, true
	case !f.imported:
		return 0, false
	}
	switch f.kind {
	case fieldFunc:
		return wasm.KindFunc, true
	case fieldTable:
		return wasm.KindTable, true
	case fieldMemory:
		return wasm.KindMemory, true
	case fieldGlobal:
		return wasm.KindGlobal, true
	}
	return wasm.KindTag, true
}

func (p *parser) countImports(k wasm.Kind) (n int) {
	for i := range p.fields {
		if of, ok := p.fields[i].importKind(); ok && of == k {
			n++
		}
	}
	return n
}

// header is step 3 for a field.
func (p *parser) header(f *field) {
	switch f.kind {
	case fieldFunc:
		p.entityHeader(f, wasm.KindFunc)
		f.typeUse = p.Pos
		p.funcDecl()
	case fieldTable:
		p.entityHeader(f, wasm.KindTable)
		p.tableDecl(f)
	case fieldMemory:
		p.entityHeader(f, wasm.KindMemory)
		p.memoryDecl(f)
	case fieldGlobal:
		p.entityHeader(f, wasm.KindGlobal)
		p.m.Globals = append(p.m.Globals, wasm.Global{Type: p.globalType()})
	case fieldTag:
		p.entityHeader(f, wasm.KindTag)
		p.tagDecl()
	case fieldImport:
		p.importField(f)
	case fieldExport:
		p.exportField()
	case fieldStart:
		if p.m.HasStart {
			p.Fail("multiple start sections")
		}
		p.m.HasStart, p.m.Start = true, p.index(&p.funcs)
	default:
		return
	}
	if f.imported || f.kind == fieldImport || f.kind == fieldExport || f.kind == fieldStart || f.kind == fieldTag {
		p.Close()
		p.expectEnd(f)
	}
}

// expectEnd checks that field f ends before the current token.
func (p *parser) expectEnd(f *field) {
	if p.Err == nil && p.Pos != f.end+1 {
		p.unexpected("the end of the field")
	}
}

// entityHeader reads what functions, tables, memories, globals and tags have in
// common: identifier, inline exports and inline import.
func (p *parser) entityHeader(f *field, k wasm.Kind) {
	p.TakeID()
	for p.TakeHead("export") {
		p.m.Exports = append(p.m.Exports, wasm.Export{Name: p.TakeName(), Kind: k, Index: f.index})
		p.Close()
	}
	if p.TakeHead("import") {
		p.m.Imports = append(p.m.Imports, wasm.Import{Module: p.TakeName(), Name: p.TakeName(), Kind: k, Index: f.index})
		p.Close()
	}
}

func (p *parser) importField(f *field) {
	p.m.Imports = append(p.m.Imports, wasm.Import{Module: p.TakeName(), Name: p.TakeName(), Kind: f.of, Index: f.index})
	p.Open()
	p.Next() // keyword, known from the survey
	p.TakeID()
	switch f.of {
	case wasm.KindFunc:
		p.funcDecl()
	case wasm.KindTable:
		p.m.Tables = append(p.m.Tables, wasm.Table{Type: p.tableType()})
	case wasm.KindMemory:
		p.m.Memories = append(p.m.Memories, p.memoryType())
	case wasm.KindGlobal:
		p.m.Globals = append(p.m.Globals, wasm.Global{Type: p.globalType()})
	case wasm.KindTag:
		p.tagDecl()
	}
	p.Close()
}

func (p *parser) exportField() {
	x := wasm.Export{Name: p.TakeName()}
	p.Open()
	pos := p.Pos
	head := string(p.Text())
	p.Next()
	var s *space
	switch head {
	case "func":
		x.Kind, s = wasm.KindFunc, &p.funcs
	case "table":
		x.Kind, s = wasm.KindTable, &p.tables
	case "memory":
		x.Kind, s = wasm.KindMemory, &p.memories
	case "global":
		x.Kind, s = wasm.KindGlobal, &p.globals
	case "tag":
		x.Kind, s = wasm.KindTag, &p.tags
	default:
		p.Pos = pos
		p.unexpected("`func`, `table`, `memory`, `global` or `tag`")
		return
	}
	x.Index = p.index(s)
	p.Close()
	p.m.Exports = append(p.m.Exports, x)
}

func (p *parser) funcDecl() {
	t := p.readTypeUse(true)
	p.m.Funcs = append(p.m.Funcs, wasm.Func{Type: t})
}

func (p *parser) tagDecl() {
	p.m.Tags = append(p.m.Tags, wasm.TagType{Type: p.readTypeUse(true)})
}

// tableDecl reads the type of a table. A table with inline elements has as many
// of them as elements follow, which step 4 finds out.
func (p *parser) tableDecl(f *field) {
	var t wasm.TableType
	if !f.imported {
		pos := p.Pos
		p.addressType(&t.Limits)
		if p.Kind() != wattext.Number { // reference type, elements
			t.Elem = p.refType()
			if string(p.Head()) != "elem" {
				p.unexpected("`(elem …)`")
			}
			p.m.Tables = append(p.m.Tables, wasm.Table{Type: t})
			return
		}
		p.Pos = pos
	}
	p.m.Tables = append(p.m.Tables, wasm.Table{Type: p.tableType()})
}

// memoryDecl reads the type of a memory, if it has no inline data: then step 4
// finds it out.
func (p *parser) memoryDecl(f *field) {
	if !f.imported {
		pos := p.Pos
		m := wasm.MemoryType{PageBits: 16}
		p.addressType(&m.Limits)
		p.pageSize(&m)
		if string(p.Head()) == "data" {
			p.m.Memories = append(p.m.Memories, m)
			return
		}
		p.Pos = pos
	}
	p.m.Memories = append(p.m.Memories, p.memoryType())
}

// body is step 4 for a field.
func (p *parser) body(f *field) {
	switch {
	case p.Err != nil || f.imported:
		return
	case f.kind == fieldFunc:
		p.function(f)
	case f.kind == fieldGlobal:
		p.m.Globals[f.index].Init = p.constExpr(false)
	case f.kind == fieldTable:
		p.tableBody(f)
	case f.kind == fieldMemory:
		p.memoryBody(f)
	case f.kind == fieldElem:
		p.elemField()
	case f.kind == fieldData:
		p.dataField()
	default:
		return
	}
	p.Close()
	p.expectEnd(f)
}

// offset is the constant expression for address i.
func offset(l *wasm.Limits, i uint64) wasm.ConstExpr {
	op := wasm.OpI32Const
	if l.Is64 {
		op = wasm.OpI64Const
	}
	b := wasm.AppendOpcode(nil, op)
	return wasm.ConstExpr{Code: append(wasm.AppendS64(b, int64(i)), byte(wasm.OpEnd))}
}

func (p *parser) tableBody(f *field) {
	t := &p.m.Tables[f.index]
	if !p.TakeHead("elem") {
		if p.Kind() != wattext.RParen {
			t.Init = p.constExpr(false)
		}
		return
	}
	e := wasm.Elem{Table: f.index, Offset: offset(&t.Type.Limits, 0), Type: t.Type.Elem}
	if p.atIndex() || p.Kind() == wattext.RParen {
		p.elemFuncs(&e, t.Type.Elem)
	} else {
		p.elemExprs(&e)
	}
	p.Close()
	n := uint64(e.Len())
	t.Type.Min, t.Type.Max, t.Type.HasMax = n, n, true
	p.m.Elems = append(p.m.Elems, e)
}

func (p *parser) memoryBody(f *field) {
	if !p.TakeHead("data") {
		return
	}
	m := &p.m.Memories[f.index]
	d := wasm.Data{Memory: f.index, Offset: offset(&m.Limits, 0), Init: p.dataStrings()}
	p.Close()
	n := uint64(len(d.Init))
	pages := (n + m.PageSize() - 1) >> m.PageBits
	m.Min, m.Max, m.HasMax = pages, pages, true
	p.m.Datas = append(p.m.Datas, d)
}

// elemFuncs reads function indexes as the elements of a segment for tables of
// type t.
func (p *parser) elemFuncs(e *wasm.Elem, t wasm.ValType) {
	e.Type = wasm.Ref(false, wasm.HeapFunc)
	exprs := t != wasm.FuncRef && t != e.Type // then (ref func) would not do
	if exprs {
		e.Type = t
	}
	for p.atIndex() {
		i := p.index(&p.funcs)
		if !exprs {
			e.Funcs = append(e.Funcs, i)
			continue
		}
		b := wasm.AppendU32(wasm.AppendOpcode(nil, wasm.OpRefFunc), i)
		e.Exprs = append(e.Exprs, wasm.ConstExpr{Code: append(b, byte(wasm.OpEnd))})
	}
}

// elemExprs reads expressions as the elements of a segment.
func (p *parser) elemExprs(e *wasm.Elem) {
	for p.Kind() == wattext.LParen {
		if p.TakeHead("item") {
			e.Exprs = append(e.Exprs, p.constExpr(false))
			p.Close()
		} else {
			e.Exprs = append(e.Exprs, p.constExpr(true))
		}
	}
}

// segmentOffset reads the offset of an active segment.
func (p *parser) segmentOffset() wasm.ConstExpr {
	if p.TakeHead("offset") {
		x := p.constExpr(false)
		p.Close()
		return x
	}
	if p.Kind() != wattext.LParen {
		p.unexpected("`(offset …)`")
		return wasm.ConstExpr{}
	}
	return p.constExpr(true)
}

func (p *parser) elemField() {
	p.TakeID()
	e := wasm.Elem{Mode: wasm.SegmentPassive}
	bare := false // indexes without `func` are allowed
	head := string(p.Head())
	switch {
	case p.TakeKeyword("declare"):
		e.Mode = wasm.SegmentDeclarative
	case p.TakeHead("table"):
		e.Mode = wasm.SegmentActive
		e.Table = p.index(&p.tables)
		p.Close()
		e.Offset = p.segmentOffset()
	case p.Kind() == wattext.Number: // the first version's way to name the table
		e.Mode = wasm.SegmentActive
		e.Table = p.index(&p.tables)
		e.Offset = p.segmentOffset()
		bare = true
	case p.Kind() == wattext.LParen && head != "ref" && head != "item":
		e.Mode = wasm.SegmentActive
		e.Offset = p.segmentOffset()
		bare = true
	}
	switch {
	case p.TakeKeyword("func"):
		p.elemFuncs(&e, wasm.FuncRef)
	case bare && (p.atIndex() || p.Kind() == wattext.RParen):
		p.elemFuncs(&e, wasm.FuncRef)
	default:
		e.Type = p.refType()
		p.elemExprs(&e)
	}
	p.m.Elems = append(p.m.Elems, e)
}

func (p *parser) dataField() {
	p.TakeID()
	d := wasm.Data{Mode: wasm.SegmentPassive}
	if p.TakeHead("memory") {
		d.Mode = wasm.SegmentActive
		d.Memory = p.index(&p.memories)
		p.Close()
		d.Offset = p.segmentOffset()
	} else if p.Kind() == wattext.Number { // the first version's way to name the memory
		d.Mode = wasm.SegmentActive
		d.Memory = p.index(&p.memories)
		d.Offset = p.segmentOffset()
	} else if p.Kind() == wattext.LParen {
		d.Mode = wasm.SegmentActive
		d.Offset = p.segmentOffset()
	}
	d.Init = p.dataStrings()
	p.m.Datas = append(p.m.Datas, d)
}

// dataStrings reads strings and joins them.
func (p *parser) dataStrings() []byte {
	if p.KindAt(1) != wattext.String && p.Kind() == wattext.String {
		return p.TakeString()
	}
	var b []byte
	for p.Kind() == wattext.String {
		b = append(b, p.TakeString()...)
	}
	return b
}
