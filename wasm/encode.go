package wasm

// Encode encodes a module. It writes what the model says, valid or not, in the
// shortest form, and custom sections where they were.
//
// Names are encoded into a name section if no custom section of that name is
// there already.
func Encode(m *Module) []byte {
	e := encoder{m: m, b: append(make([]byte, 0, 4096), "\x00asm\x01\x00\x00\x00"...)}
	e.customs(SectionCustom)
	if n := len(m.RecGroups); n > 0 {
		e.section(SectionType, n, func() {
			for _, g := range m.RecGroups {
				e.recGroup(g)
			}
		})
	}
	e.customs(SectionType)
	if n := len(m.Imports); n > 0 {
		e.section(SectionImport, n, e.imports)
	}
	e.customs(SectionImport)
	if own := m.Funcs[m.NumImportedFuncs:]; len(own) > 0 {
		e.section(SectionFunction, len(own), func() {
			for _, f := range own {
				e.u32(f.Type)
			}
		})
	}
	e.customs(SectionFunction)
	if own := m.Tables[m.NumImportedTables:]; len(own) > 0 {
		e.section(SectionTable, len(own), func() {
			for i := range own {
				if t := &own[i]; len(t.Init.Code) > 0 {
					e.b = append(e.b, 0x40, 0)
					e.tableType(&t.Type)
					e.expr(t.Init)
				} else {
					e.tableType(&t.Type)
				}
			}
		})
	}
	e.customs(SectionTable)
	if own := m.Memories[m.NumImportedMemories:]; len(own) > 0 {
		e.section(SectionMemory, len(own), func() {
			for i := range own {
				e.memoryType(&own[i])
			}
		})
	}
	e.customs(SectionMemory)
	if own := m.Tags[m.NumImportedTags:]; len(own) > 0 {
		e.section(SectionTag, len(own), func() {
			for _, t := range own {
				e.b = append(e.b, 0)
				e.u32(t.Type)
			}
		})
	}
	e.customs(SectionTag)
	if own := m.Globals[m.NumImportedGlobals:]; len(own) > 0 {
		e.section(SectionGlobal, len(own), func() {
			for _, g := range own {
				e.globalType(g.Type)
				e.expr(g.Init)
			}
		})
	}
	e.customs(SectionGlobal)
	if n := len(m.Exports); n > 0 {
		e.section(SectionExport, n, func() {
			for _, x := range m.Exports {
				e.b = append(AppendName(e.b, x.Name), byte(x.Kind))
				e.u32(x.Index)
			}
		})
	}
	e.customs(SectionExport)
	if m.HasStart {
		start := e.begin(SectionStart)
		e.u32(m.Start)
		e.end(start)
	}
	e.customs(SectionStart)
	if n := len(m.Elems); n > 0 {
		e.section(SectionElement, n, func() {
			for i := range m.Elems {
				e.elem(&m.Elems[i])
			}
		})
	}
	e.customs(SectionElement)
	if m.HasDataCount {
		start := e.begin(SectionDataCount)
		e.u32(m.DataCount)
		e.end(start)
	}
	e.customs(SectionDataCount)
	if n := len(m.Code); n > 0 {
		e.section(SectionCode, n, func() {
			for i := range m.Code {
				e.code(&m.Code[i])
			}
		})
	}
	e.customs(SectionCode)
	if n := len(m.Datas); n > 0 {
		e.section(SectionData, n, func() {
			for i := range m.Datas {
				e.data(&m.Datas[i])
			}
		})
	}
	e.customs(SectionData)
	if m.Names != nil && !e.hasNames {
		e.names(m.Names)
	}
	return e.b
}

type encoder struct {
	m        *Module
	b        []byte
	hasNames bool
}

func (e *encoder) u32(v uint32) { e.b = AppendU32(e.b, v) }

// begin starts a section; what follows up to end becomes its content. The
// size is inserted by end, which moves the content by its length: sections and
// bodies are moved once each, so encoding stays linear.
func (e *encoder) begin(id Section) int {
	e.b = append(e.b, byte(id))
	return len(e.b)
}

func (e *encoder) end(start int) {
	n := len(e.b) - start
	var size [5]byte
	s := AppendU32(size[:0], uint32(n))
	e.b = append(e.b, s...)
	copy(e.b[start+len(s):], e.b[start:start+n])
	copy(e.b[start:], s)
}

func (e *encoder) section(id Section, n int, content func()) {
	start := e.begin(id)
	e.u32(uint32(n))
	content()
	e.end(start)
}

func (e *encoder) customs(after Section) {
	for i := range e.m.Customs {
		c := &e.m.Customs[i]
		if c.After != after {
			continue
		}
		start := e.begin(SectionCustom)
		e.b = append(AppendName(e.b, c.Name), c.Data...)
		e.end(start)
		e.hasNames = e.hasNames || c.Name == "name"
	}
}

func (e *encoder) recGroup(g RecGroup) {
	if g.Len != 1 {
		e.b = append(e.b, 0x4e)
		e.u32(g.Len)
	}
	for i := g.Start; i < g.Start+g.Len; i++ {
		t := &e.m.Types[i]
		if !t.Final || len(t.Supers) > 0 {
			c := byte(0x50)
			if t.Final {
				c = 0x4f
			}
			e.b = append(e.b, c)
			e.u32(uint32(len(t.Supers)))
			for _, s := range t.Supers {
				e.u32(s)
			}
		}
		switch t.Kind {
		case CompositeFunc:
			e.b = append(e.b, 0x60)
			e.valTypes(t.Func.Params)
			e.valTypes(t.Func.Results)
		case CompositeStruct:
			e.b = append(e.b, 0x5f)
			e.u32(uint32(len(t.Fields)))
			for _, f := range t.Fields {
				e.fieldType(f)
			}
		case CompositeArray:
			e.b = append(e.b, 0x5e)
			e.fieldType(t.Fields[0])
		}
	}
}

func (e *encoder) valTypes(ts []ValType) {
	e.u32(uint32(len(ts)))
	for _, t := range ts {
		e.b = AppendValType(e.b, t)
	}
}

func (e *encoder) flag(v bool) {
	if v {
		e.b = append(e.b, 1)
	} else {
		e.b = append(e.b, 0)
	}
}

func (e *encoder) fieldType(f FieldType) {
	e.b = AppendValType(e.b, f.Type)
	e.flag(f.Mutable)
}

func (e *encoder) globalType(g GlobalType) {
	e.b = AppendValType(e.b, g.Type)
	e.flag(g.Mutable)
}

func (e *encoder) limits(l *Limits, flags byte) {
	if l.HasMax {
		flags |= limitMax
	}
	if l.Is64 {
		flags |= limit64
	}
	e.b = AppendU64(append(e.b, flags), l.Min)
	if l.HasMax {
		e.b = AppendU64(e.b, l.Max)
	}
}

func (e *encoder) tableType(t *TableType) {
	e.b = AppendValType(e.b, t.Elem)
	e.limits(&t.Limits, 0)
}

func (e *encoder) memoryType(m *MemoryType) {
	var flags byte
	if m.Shared {
		flags |= limitShared
	}
	if m.PageBits != 16 {
		flags |= limitPageSize
	}
	e.limits(&m.Limits, flags)
	if m.PageBits != 16 {
		e.u32(uint32(m.PageBits))
	}
}

func (e *encoder) imports() {
	m := e.m
	for _, i := range m.Imports {
		e.b = append(AppendName(AppendName(e.b, i.Module), i.Name), byte(i.Kind))
		switch i.Kind {
		case KindFunc:
			e.u32(m.Funcs[i.Index].Type)
		case KindTable:
			e.tableType(&m.Tables[i.Index].Type)
		case KindMemory:
			e.memoryType(&m.Memories[i.Index])
		case KindGlobal:
			e.globalType(m.Globals[i.Index].Type)
		case KindTag:
			e.b = append(e.b, 0)
			e.u32(m.Tags[i.Index].Type)
		}
	}
}

func (e *encoder) expr(x ConstExpr) { e.b = append(e.b, x.Code...) }

func (e *encoder) elem(s *Elem) {
	// Elements are indexes unless they are given as expressions, or there are
	// none and the type is not the one that indexes have.
	var flags byte
	if len(s.Exprs) > 0 || len(s.Funcs) == 0 && s.Type != Ref(false, HeapFunc) {
		flags = elemExprs
	}
	switch s.Mode {
	case SegmentPassive:
		flags |= elemInactive
	case SegmentDeclarative:
		flags |= elemInactive | elemExplicit
	default:
		// The short form means table 0 and, for expressions, funcref.
		if s.Table != 0 || flags&elemExprs != 0 && s.Type != FuncRef {
			flags |= elemExplicit
		}
	}
	e.b = append(e.b, flags)
	if s.Mode == SegmentActive {
		if flags&elemExplicit != 0 {
			e.u32(s.Table)
		}
		e.expr(s.Offset)
	}
	if flags&(elemInactive|elemExplicit) != 0 {
		if flags&elemExprs != 0 {
			e.b = AppendValType(e.b, s.Type)
		} else {
			e.b = append(e.b, 0)
		}
	}
	if flags&elemExprs != 0 {
		e.u32(uint32(len(s.Exprs)))
		for _, x := range s.Exprs {
			e.expr(x)
		}
		return
	}
	e.u32(uint32(len(s.Funcs)))
	for _, f := range s.Funcs {
		e.u32(f)
	}
}

func (e *encoder) code(c *Code) {
	start := len(e.b)
	e.u32(uint32(len(c.Locals)))
	for _, g := range c.Locals {
		e.u32(g.Count)
		e.b = AppendValType(e.b, g.Type)
	}
	e.b = append(e.b, c.Body...)
	e.end(start)
}

func (e *encoder) data(s *Data) {
	switch {
	case s.Mode == SegmentPassive:
		e.b = append(e.b, 1)
	case s.Memory != 0:
		e.u32(2)
		e.u32(s.Memory)
		e.expr(s.Offset)
	default:
		e.b = append(e.b, 0)
		e.expr(s.Offset)
	}
	e.u32(uint32(len(s.Init)))
	e.b = append(e.b, s.Init...)
}

func (e *encoder) names(n *Names) {
	start := e.begin(SectionCustom)
	e.b = AppendName(e.b, "name")
	sub := func(id byte, present bool, content func()) {
		if present {
			e.b = append(e.b, id)
			at := len(e.b)
			content()
			e.end(at)
		}
	}
	direct := func(id byte, m NameMap) {
		sub(id, len(m) > 0, func() { e.nameMap(m) })
	}
	indirect := func(id byte, m []IndirectName) {
		sub(id, len(m) > 0, func() {
			e.u32(uint32(len(m)))
			for _, x := range m {
				e.u32(x.Index)
				e.nameMap(x.Names)
			}
		})
	}
	sub(namesModule, n.Module != "", func() { e.b = AppendName(e.b, n.Module) })
	direct(namesFuncs, n.Funcs)
	indirect(namesLocals, n.Locals)
	indirect(namesLabels, n.Labels)
	direct(namesTypes, n.Types)
	direct(namesTables, n.Tables)
	direct(namesMemories, n.Memories)
	direct(namesGlobals, n.Globals)
	direct(namesElems, n.Elems)
	direct(namesDatas, n.Datas)
	indirect(namesFields, n.Fields)
	direct(namesTags, n.Tags)
	e.end(start)
}

func (e *encoder) nameMap(m NameMap) {
	e.u32(uint32(len(m)))
	for _, x := range m {
		e.u32(x.Index)
		e.b = AppendName(e.b, x.Name)
	}
}
