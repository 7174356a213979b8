package wasm

import (
	"fmt"
	"math"
	"strings"
)

// Decode decodes a module. It checks everything about its form but the
// instructions of function bodies, which validation reads (once). Errors are of
// type [*Error].
//
// The module refers to data, which must not change while it is in use.
func Decode(data []byte, c *Config) (*Module, error) {
	d := decoder{settings: c.settings(), m: &Module{}}
	d.module(data)
	if d.err != nil {
		return nil, d.err
	}
	return d.m, nil
}

type decoder struct {
	reader // of the current section
	settings
	m       *Module
	numCode int // entries of the code section
	numFunc int // entries of the function section
	numData int
}

// sectionOrder is the place of each section in a module; custom sections may
// be anywhere.
var sectionOrder = [...]uint8{
	SectionType: 1, SectionImport: 2, SectionFunction: 3, SectionTable: 4, SectionMemory: 5, SectionTag: 6,
	SectionGlobal: 7, SectionExport: 8, SectionStart: 9, SectionElement: 10, SectionDataCount: 11,
	SectionCode: 12, SectionData: 13,
}

const (
	magic   = "\x00asm"
	version = "\x01\x00\x00\x00"
)

func (d *decoder) module(data []byte) {
	d.b = data
	if len(data) > d.limits.ModuleSize {
		d.fail(LimitExceeded, 0, "module too large: %d bytes, the limit is %d", len(data), d.limits.ModuleSize)
		return
	}
	if v := string(d.bytesUpTo(4)); v != magic {
		if strings.HasPrefix(magic, v) {
			d.fail(Malformed, len(v), "unexpected end of the magic header")
		}
		d.fail(Malformed, 0, "magic header not detected")
		return
	}
	if v := string(d.bytesUpTo(4)); v != version {
		if strings.HasPrefix(version, v) {
			d.fail(Malformed, 4+len(v), "unexpected end of the version")
		}
		what := ""
		if len(v) == 4 && v[2] == 1 {
			what = ": this is a component, not a core module"
		}
		d.fail(Malformed, 4, "unknown binary version%s", what)
		return
	}
	var last Section
	for d.err == nil && d.left() > 0 {
		start := d.pos
		id := Section(d.byte())
		if int(id) >= len(sectionOrder) {
			d.fail(Malformed, start, "malformed section id %d", id)
			return
		}
		sizeAt := d.pos
		size := d.u32()
		if d.err != nil {
			return
		}
		if int64(size) > int64(d.left()) {
			d.fail(Malformed, sizeAt, msgLength)
			return
		}
		if id != SectionCustom {
			if last != SectionCustom && sectionOrder[id] <= sectionOrder[last] {
				d.fail(Malformed, start, "unexpected content after last section: section %d after section %d", id, last)
				return
			}
			last = id
		}
		end := d.pos + int(size)
		d.b = data[:end]
		d.section(id, last)
		if d.err == nil && d.pos != end {
			d.fail(Malformed, d.pos, msgSizeDiff)
		}
		d.b = data
	}
	if d.err != nil {
		return
	}
	if d.numFunc != d.numCode {
		d.fail(Malformed, len(data), "function and code section have inconsistent lengths: %d and %d", d.numFunc, d.numCode)
	}
	if d.m.HasDataCount && int64(d.m.DataCount) != int64(d.numData) {
		d.fail(Malformed, len(data), "data count and data section have inconsistent lengths: %d and %d", d.m.DataCount, d.numData)
	}
}

func (d *decoder) bytesUpTo(n int) []byte { return d.bytes(min(n, d.left())) }

func (d *decoder) section(id, last Section) {
	switch id {
	case SectionCustom:
		d.custom(last)
	case SectionType:
		d.types()
	case SectionImport:
		d.imports()
	case SectionFunction:
		d.numFunc = d.count(d.limits.Funcs, "functions")
		d.m.Funcs = append(d.m.Funcs, make([]Func, d.numFunc)...)
		own := d.m.Funcs[d.m.NumImportedFuncs:]
		for i := 0; i < len(own) && d.err == nil; i++ {
			own[i].Type = d.u32()
		}
	case SectionTable:
		n := d.count(d.limits.Tables, "tables")
		for i := 0; i < n && d.err == nil; i++ {
			d.m.Tables = append(d.m.Tables, d.table())
		}
	case SectionMemory:
		n := d.count(d.limits.Memories, "memories")
		for i := 0; i < n && d.err == nil; i++ {
			d.m.Memories = append(d.m.Memories, d.memoryType())
		}
	case SectionTag:
		if !d.features.Has(FeatureExceptions) {
			d.fail(Unsupported, d.pos, "malformed section id %d: the tag section needs the feature exceptions, which is not enabled", id)
			return
		}
		n := d.count(d.limits.Tags, "tags")
		for i := 0; i < n && d.err == nil; i++ {
			d.m.Tags = append(d.m.Tags, d.tagType())
		}
	case SectionGlobal:
		n := d.count(d.limits.Globals, "globals")
		for i := 0; i < n && d.err == nil; i++ {
			g := Global{Type: d.globalType()}
			g.Init = d.constExpr()
			d.m.Globals = append(d.m.Globals, g)
		}
	case SectionExport:
		d.exports()
	case SectionStart:
		d.m.HasStart, d.m.Start = true, d.u32()
	case SectionElement:
		d.elems()
	case SectionDataCount:
		if !d.features.Has(FeatureBulkMemory) {
			d.fail(Unsupported, d.pos, "malformed section id %d: the data count section needs the feature bulk-memory, which is not enabled", id)
			return
		}
		d.m.HasDataCount, d.m.DataCount = true, d.u32()
	case SectionCode:
		d.m.CodeOffset, d.m.CodeSize = d.pos, d.left()
		d.code()
	case SectionData:
		d.datas()
	}
}

func (d *decoder) custom(last Section) {
	name := d.name()
	at := d.pos
	data := d.bytes(d.left())
	if d.err != nil {
		return
	}
	d.m.Customs = append(d.m.Customs, Custom{Name: name, Data: data, After: last, Offset: at})
	if name == "name" && d.m.Names == nil {
		d.m.Names = DecodeNames(data)
	}
}

func (d *decoder) types() {
	n := d.count(d.limits.Types, "types")
	d.m.RecGroups = make([]RecGroup, 0, n)
	d.m.Types = make([]SubType, 0, n)
	for i := 0; i < n && d.err == nil; i++ {
		start := len(d.m.Types)
		size := 1
		if d.left() > 0 && d.b[d.pos] == 0x4e {
			if !d.features.Has(FeatureGC) {
				d.fail(Unsupported, d.pos, "malformed type definition: recursive types need the feature gc, which is not enabled")
				return
			}
			d.pos++
			size = d.count(d.limits.Types, "types in a group")
		}
		if start+size > d.limits.Types {
			d.fail(LimitExceeded, d.pos, "too many types: the limit is %d", d.limits.Types)
			return
		}
		for j := 0; j < size && d.err == nil; j++ {
			d.m.Types = append(d.m.Types, d.subType())
		}
		d.m.RecGroups = append(d.m.RecGroups, RecGroup{uint32(start), uint32(size)})
	}
}

func (d *decoder) subType() SubType {
	t := SubType{Final: true}
	start := d.pos
	c := d.byte()
	if c == 0x50 || c == 0x4f {
		t.Final = c == 0x4f
		n := d.count(d.limits.Types, "supertypes")
		for i := 0; i < n && d.err == nil; i++ {
			t.Supers = append(t.Supers, d.u32())
		}
		start = d.pos
		c = d.byte()
		if d.err == nil && !d.features.Has(FeatureGC) {
			d.fail(Unsupported, start, "malformed type definition: subtypes need the feature gc, which is not enabled")
		}
	}
	if d.err != nil {
		return t
	}
	switch c {
	case 0x60:
		t.Func.Params = d.valTypes(d.limits.Params, "parameters")
		t.Func.Results = d.valTypes(d.limits.Results, "results")
		if len(t.Func.Results) > 1 && !d.features.Has(FeatureMultiValue) {
			d.fail(Unsupported, start, "invalid result arity: several results need the feature multi-value, which is not enabled")
		}
	case 0x5f:
		t.Kind = CompositeStruct
		n := d.count(d.limits.Fields, "fields")
		t.Fields = make([]FieldType, 0, n)
		for i := 0; i < n && d.err == nil; i++ {
			t.Fields = append(t.Fields, d.fieldType())
		}
	case 0x5e:
		t.Kind = CompositeArray
		t.Fields = []FieldType{d.fieldType()}
	default:
		d.fail(Malformed, start, "malformed type definition: form %#x", c)
		return t
	}
	if t.Kind != CompositeFunc && !d.features.Has(FeatureGC) {
		d.fail(Unsupported, start, "malformed type definition: structs and arrays need the feature gc, which is not enabled")
	}
	return t
}

func (d *decoder) valTypes(limit int, what string) []ValType {
	n := d.count(limit, what)
	if n == 0 {
		return nil
	}
	ts := make([]ValType, 0, n)
	for i := 0; i < n && d.err == nil; i++ {
		ts = append(ts, d.valType("value"))
	}
	return ts
}

// valType reads a value type that the enabled features have.
func (d *decoder) valType(what string) ValType {
	start := d.pos
	t := d.reader.valType(what)
	if d.err == nil {
		if f := typeFeatures(t); !d.features.Has(f) {
			d.fail(Unsupported, start, "malformed %s type: %v needs the feature %v, which is not enabled", what, t, f&^d.features)
		}
	}
	return t
}

func (d *decoder) refType() ValType {
	start := d.pos
	t := d.valType("reference")
	if d.err == nil && !t.IsRef() {
		d.fail(Malformed, start, "malformed reference type")
	}
	return t
}

// typeFeatures is what a module must have to mention t.
func typeFeatures(t ValType) Features {
	if t == V128 {
		return FeatureSIMD
	}
	if !t.IsRef() || t == FuncRef {
		return 0
	}
	switch t {
	case ExternRef:
		return FeatureReferenceTypes
	case ExnRef:
		return FeatureExceptions
	}
	switch h := t.Heap(); {
	case h.IsIndex(), h == HeapFunc, h == HeapExtern:
		return FeatureFunctionReferences
	case h == HeapExn, h == HeapNoExn:
		return FeatureExceptions
	}
	return FeatureGC
}

func (d *decoder) fieldType() FieldType {
	var f FieldType
	if d.left() > 0 && (d.b[d.pos] == byte(I8) || d.b[d.pos] == byte(I16)) {
		f.Type = ValType(d.byte())
	} else {
		f.Type = d.valType("storage")
	}
	f.Mutable = d.mutability()
	return f
}

func (d *decoder) mutability() bool {
	start := d.pos
	c := d.byte()
	if c > 1 {
		d.fail(Malformed, start, "malformed mutability")
	}
	return c == 1
}

// limitFlags are the bits of the byte before limits.
const (
	limitMax = 1 << iota
	limitShared
	limit64
	limitPageSize
)

// limitsFeature says which feature flags that are not allowed belong to.
func limitsFeature(flags byte) string {
	var f Features
	switch {
	case flags&limitShared != 0:
		f = FeatureThreads
	case flags&limit64 != 0:
		f = FeatureMemory64
	case flags&limitPageSize != 0:
		f = FeatureCustomPageSizes
	default:
		return ""
	}
	return fmt.Sprintf(" (the feature %v is not enabled here)", f)
}

// readLimits reads limits whose flags may have the bits of allowed.
func (d *decoder) readLimits(allowed byte) (l Limits, flags byte) {
	start := d.pos
	flags = d.byte()
	if flags&^allowed != 0 {
		d.fail(Malformed, start, "malformed limits flags %#02x%s", flags, limitsFeature(flags&^allowed))
		return l, 0
	}
	l.HasMax = flags&limitMax != 0
	l.Is64 = flags&limit64 != 0
	// With 64-bit memories all sizes are written as 64-bit numbers, and whether
	// they are in range is for validation to say.
	size := func() uint64 { return uint64(d.u32()) }
	l.Max = math.MaxUint32
	if d.features.Has(FeatureMemory64) {
		size = d.u64
	}
	if l.Is64 {
		l.Max = math.MaxUint64
	}
	l.Min = size()
	if l.HasMax {
		l.Max = size()
	}
	return l, flags
}

func (d *decoder) tableType() TableType {
	t := TableType{Elem: d.refType()}
	allowed := byte(limitMax)
	if d.features.Has(FeatureMemory64) {
		allowed |= limit64
	}
	t.Limits, _ = d.readLimits(allowed)
	return t
}

func (d *decoder) table() Table {
	if d.left() > 0 && d.b[d.pos] == 0x40 {
		start := d.pos
		d.pos++
		if d.byte() != 0 {
			d.fail(Malformed, start, "zero byte expected")
		}
		if d.err == nil && !d.features.Has(FeatureFunctionReferences) {
			d.fail(Unsupported, start, "malformed table: an initializer needs the feature function-references, which is not enabled")
		}
		t := Table{Type: d.tableType()}
		t.Init = d.constExpr()
		return t
	}
	return Table{Type: d.tableType()}
}

func (d *decoder) memoryType() MemoryType {
	allowed := byte(limitMax)
	if d.features.Has(FeatureThreads) {
		allowed |= limitShared
	}
	if d.features.Has(FeatureMemory64) {
		allowed |= limit64
	}
	if d.features.Has(FeatureCustomPageSizes) {
		allowed |= limitPageSize
	}
	m := MemoryType{PageBits: 16}
	var flags byte
	m.Limits, flags = d.readLimits(allowed)
	m.Shared = flags&limitShared != 0
	if flags&limitPageSize != 0 {
		start := d.pos
		bits := d.u32()
		if bits >= 64 {
			d.fail(Malformed, start, "invalid custom page size: 2^%d", bits)
			return m
		}
		m.PageBits = uint8(bits)
	}
	return m
}

func (d *decoder) globalType() GlobalType {
	t := d.valType("value")
	return GlobalType{Type: t, Mutable: d.mutability()}
}

func (d *decoder) tagType() TagType {
	start := d.pos
	if d.byte() != 0 {
		d.fail(Malformed, start, "malformed tag attribute")
	}
	return TagType{Type: d.u32()}
}

func (d *decoder) imports() {
	n := d.count(d.limits.Imports, "imports")
	d.m.Imports = make([]Import, 0, n)
	m := d.m
	for i := 0; i < n && d.err == nil; i++ {
		imp := Import{Module: d.name(), Name: d.name()}
		start := d.pos
		imp.Kind = Kind(d.byte())
		switch imp.Kind {
		case KindFunc:
			imp.Index = uint32(len(m.Funcs))
			m.Funcs = append(m.Funcs, Func{Type: d.u32()})
		case KindTable:
			imp.Index = uint32(len(m.Tables))
			m.Tables = append(m.Tables, Table{Type: d.tableType()})
		case KindMemory:
			imp.Index = uint32(len(m.Memories))
			m.Memories = append(m.Memories, d.memoryType())
		case KindGlobal:
			imp.Index = uint32(len(m.Globals))
			m.Globals = append(m.Globals, Global{Type: d.globalType()})
		case KindTag:
			if !d.features.Has(FeatureExceptions) {
				d.fail(Unsupported, start, "malformed import kind: tags need the feature exceptions, which is not enabled")
			}
			imp.Index = uint32(len(m.Tags))
			m.Tags = append(m.Tags, d.tagType())
		default:
			d.fail(Malformed, start, "malformed import kind")
		}
		m.Imports = append(m.Imports, imp)
	}
	m.NumImportedFuncs, m.NumImportedTables = len(m.Funcs), len(m.Tables)
	m.NumImportedMemories, m.NumImportedGlobals, m.NumImportedTags = len(m.Memories), len(m.Globals), len(m.Tags)
}

func (d *decoder) exports() {
	n := d.count(d.limits.Exports, "exports")
	d.m.Exports = make([]Export, 0, n)
	for i := 0; i < n && d.err == nil; i++ {
		e := Export{Name: d.name()}
		start := d.pos
		e.Kind = Kind(d.byte())
		if e.Kind > KindTag || e.Kind == KindTag && !d.features.Has(FeatureExceptions) {
			d.fail(Malformed, start, "malformed export kind")
		}
		e.Index = d.u32()
		d.m.Exports = append(d.m.Exports, e)
	}
}

// constExpr finds the extent of a constant expression. Whether its
// instructions are constant is for validation to say.
func (d *decoder) constExpr() ConstExpr {
	start := d.pos
	var in Instr
	for depth := 1; depth > 0 && d.err == nil; {
		d.instr(&in, &d.settings)
		switch in.Op {
		case OpEnd:
			depth--
		case OpBlock, OpLoop, OpIf, OpTryTable:
			depth++
		}
	}
	if d.err != nil {
		return ConstExpr{}
	}
	return ConstExpr{Code: d.b[start:d.pos:d.pos], Offset: start}
}

func (d *decoder) elems() {
	n := d.count(d.limits.ElemSegments, "element segments")
	for i := 0; i < n && d.err == nil; i++ {
		d.m.Elems = append(d.m.Elems, d.elem())
	}
}

// Bits of the flags of an element segment: not active; explicit table or, if
// not active, declarative; elements are expressions.
const (
	elemInactive = 1 << iota
	elemExplicit
	elemExprs
)

func (d *decoder) elem() Elem {
	start := d.pos
	flags := d.u32()
	e := Elem{Type: Ref(false, HeapFunc)}
	if flags > 7 {
		d.fail(Malformed, start, "malformed elements segment kind")
		return e
	}
	if flags != 0 && d.err == nil && !d.features.Has(FeatureBulkMemory) && !d.features.Has(FeatureReferenceTypes) {
		d.fail(Unsupported, start, "malformed elements segment kind: %d needs the feature bulk-memory, which is not enabled", flags)
	}
	if flags&elemExprs != 0 {
		e.Type = FuncRef
	}
	switch flags & (elemInactive | elemExplicit) {
	case elemInactive:
		e.Mode = SegmentPassive
	case elemInactive | elemExplicit:
		e.Mode = SegmentDeclarative
	case elemExplicit:
		e.Table = d.u32()
		fallthrough
	default:
		e.Offset = d.constExpr()
	}
	if flags&(elemInactive|elemExplicit) != 0 {
		if flags&elemExprs != 0 {
			e.Type = d.refType()
		} else {
			at := d.pos
			if d.byte() != 0 {
				d.fail(Malformed, at, "malformed element kind")
			}
		}
	}
	n := d.count(d.limits.ElemLength, "elements of a segment")
	if flags&elemExprs != 0 {
		e.Exprs = make([]ConstExpr, 0, min(n, d.left()/2+1))
		for i := 0; i < n && d.err == nil; i++ {
			e.Exprs = append(e.Exprs, d.constExpr())
		}
		return e
	}
	e.Funcs = make([]uint32, 0, n)
	for i := 0; i < n && d.err == nil; i++ {
		e.Funcs = append(e.Funcs, d.u32())
	}
	return e
}

func (d *decoder) code() {
	n := d.count(d.limits.Funcs, "functions")
	d.numCode = n
	if n != d.numFunc {
		d.fail(Malformed, d.pos, "function and code section have inconsistent lengths: %d and %d", d.numFunc, n)
		return
	}
	d.m.Code = make([]Code, n)
	var groups []LocalGroup // slab from which the bodies' lists are cut
	for i := range d.m.Code {
		start := d.pos
		size := d.u32()
		switch {
		case d.err != nil:
		case int64(size) > int64(d.left()):
			d.fail(Malformed, start, msgEnd)
		case int64(size) > int64(d.limits.BodySize):
			d.fail(LimitExceeded, start, "function body too large: %d bytes, the limit is %d", size, d.limits.BodySize)
		default:
			groups = d.body(&d.m.Code[i], int(size), groups)
		}
		if d.err != nil {
			d.err.Func = d.m.NumImportedFuncs + i
			d.err.Name = d.m.Names.FuncName(uint32(d.err.Func))
			return
		}
	}
}

func (d *decoder) body(c *Code, size int, groups []LocalGroup) []LocalGroup {
	section := d.b
	d.b = d.b[:d.pos+size]
	c.EntryOffset = d.pos
	n := d.count(len(d.b), "groups of locals")
	first := len(groups)
	if cap(groups)-first < n {
		groups = make([]LocalGroup, 0, max(n, 1024))
		first = 0
	}
	total := uint64(0)
	for i := 0; i < n && d.err == nil; i++ {
		at := d.pos
		g := LocalGroup{Count: d.u32()}
		g.Type = d.valType("value")
		if total += uint64(g.Count); total > math.MaxUint32 {
			d.fail(Malformed, at, "too many locals")
		}
		groups = append(groups, g)
	}
	if total > uint64(d.limits.Locals) {
		d.fail(LimitExceeded, c.EntryOffset, "too many locals: %d, the limit is %d", total, d.limits.Locals)
	}
	c.Locals = groups[first:len(groups):len(groups)]
	c.Offset = d.pos
	c.Body = d.bytes(d.left())
	if d.err == nil {
		d.b = section
	}
	return groups
}

func (d *decoder) datas() {
	n := d.count(d.limits.DataSegments, "data segments")
	d.numData = n
	d.m.Datas = make([]Data, 0, n)
	for i := 0; i < n && d.err == nil; i++ {
		start := d.pos
		var s Data
		switch flags := d.u32(); flags {
		case 2:
			s.Memory = d.u32()
			fallthrough
		case 0:
			s.Offset = d.constExpr()
		case 1:
			s.Mode = SegmentPassive
		default:
			d.fail(Malformed, start, "malformed data segment kind")
			return
		}
		if s.Mode == SegmentPassive && !d.features.Has(FeatureBulkMemory) {
			d.fail(Unsupported, start, "malformed data segment kind: passive segments need the feature bulk-memory, which is not enabled")
		}
		size := d.u32()
		s.InitOffset = d.pos
		s.Init = d.bytes(int(size))
		d.m.Datas = append(d.m.Datas, s)
	}
}
