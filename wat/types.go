package wat

import (
	"encoding/binary"
	"math/bits"
	"slices"

	"github.com/davit-wasm/davit/internal/wattext"
	"github.com/davit-wasm/davit/wasm"
)

// plainTypes are the value types that are one word.
var plainTypes = map[string]wasm.ValType{
	"i32": wasm.I32, "i64": wasm.I64, "f32": wasm.F32, "f64": wasm.F64, "v128": wasm.V128,
	"funcref": wasm.FuncRef, "externref": wasm.ExternRef, "anyref": wasm.AnyRef, "eqref": wasm.EqRef,
	"i31ref": wasm.I31Ref, "exnref": wasm.ExnRef,
	"structref":     wasm.Ref(true, wasm.HeapStruct),
	"arrayref":      wasm.Ref(true, wasm.HeapArray),
	"nullref":       wasm.Ref(true, wasm.HeapNone),
	"nullfuncref":   wasm.Ref(true, wasm.HeapNoFunc),
	"nullexternref": wasm.Ref(true, wasm.HeapNoExtern),
	"nullexnref":    wasm.Ref(true, wasm.HeapNoExn),
}

// heapTypes are the abstract heap types.
var heapTypes = map[string]wasm.HeapType{
	"func": wasm.HeapFunc, "extern": wasm.HeapExtern, "any": wasm.HeapAny, "eq": wasm.HeapEq,
	"i31": wasm.HeapI31, "struct": wasm.HeapStruct, "array": wasm.HeapArray, "exn": wasm.HeapExn,
	"none": wasm.HeapNone, "nofunc": wasm.HeapNoFunc, "noextern": wasm.HeapNoExtern, "noexn": wasm.HeapNoExn,
}

// maxTypeIndex is the largest type index that a value type can hold, far above
// any limit.
const maxTypeIndex = 1<<23 - 1

// heapType reads a heap type.
func (p *parser) heapType() wasm.HeapType {
	switch p.Kind() {
	case wattext.Keyword:
		if h, ok := heapTypes[string(p.Text())]; ok {
			p.Next()
			return h
		}
	case wattext.ID, wattext.Number:
		pos := p.Pos
		i := p.index(&p.types)
		if i > maxTypeIndex {
			p.FailAt(pos, "unknown type %d", i)
			return wasm.HeapFunc
		}
		return wasm.HeapIndex(i)
	case wattext.LParen:
		if head := p.Head(); string(head) == "shared" || string(head) == "exact" {
			p.Fail("unexpected token: %s heap types are not supported", head)
			return wasm.HeapFunc
		}
	}
	p.unexpected("a heap type")
	return wasm.HeapFunc
}

// tryValType reads a value type if one comes next.
func (p *parser) tryValType() (wasm.ValType, bool) {
	switch p.Kind() {
	case wattext.Keyword:
		if t, ok := plainTypes[string(p.Text())]; ok {
			p.Next()
			return t, true
		}
	case wattext.LParen:
		if p.TakeHead("ref") {
			null := p.TakeKeyword("null")
			t := wasm.Ref(null, p.heapType())
			p.Close()
			return t, true
		}
	}
	return 0, false
}

func (p *parser) valType() wasm.ValType {
	t, ok := p.tryValType()
	if !ok {
		p.unexpected("a value type")
		return wasm.I32
	}
	return t
}

func (p *parser) refType() wasm.ValType {
	pos := p.Pos
	t, ok := p.tryValType()
	if ok && t.IsRef() {
		return t
	}
	if p.Err == nil {
		p.Pos = pos
		p.unexpected("a reference type")
	}
	return wasm.FuncRef
}

// typeList reads value types up to and with a closing parenthesis.
func (p *parser) typeList(ts []wasm.ValType) []wasm.ValType {
	for p.Kind() != wattext.RParen && p.Err == nil {
		ts = append(ts, p.valType())
	}
	p.Close()
	return ts
}

// addressType reads the address type that may stand before limits.
func (p *parser) addressType(l *wasm.Limits) {
	if !p.TakeKeyword("i32") {
		l.Is64 = p.TakeKeyword("i64")
	}
}

func (p *parser) limits(l *wasm.Limits) {
	p.addressType(l)
	l.Min = p.natural(64, "a size") // what an address can reach is for validation
	if p.Kind() == wattext.Number {
		l.Max, l.HasMax = p.natural(64, "a size"), true
	}
}

func (p *parser) tableType() wasm.TableType {
	var t wasm.TableType
	p.limits(&t.Limits)
	t.Elem = p.refType()
	return t
}

func (p *parser) memoryType() wasm.MemoryType {
	m := wasm.MemoryType{PageBits: 16}
	p.limits(&m.Limits)
	m.Shared = p.TakeKeyword("shared")
	p.pageSize(&m)
	return m
}

func (p *parser) pageSize(m *wasm.MemoryType) {
	if !p.TakeHead("pagesize") {
		return
	}
	pos := p.Pos
	n := p.natural(32, "a page size")
	if n == 0 || n&(n-1) != 0 {
		p.FailAt(pos, "invalid custom page size %d: it must be a power of two", n)
		return
	}
	m.PageBits = uint8(bits.TrailingZeros64(n))
	p.Close()
}

func (p *parser) globalType() wasm.GlobalType {
	if p.TakeHead("mut") {
		t := wasm.GlobalType{Type: p.valType(), Mutable: true}
		p.Close()
		return t
	}
	return wasm.GlobalType{Type: p.valType()}
}

// typeField reads a type definition or a recursive group of them.
func (p *parser) typeField(f *field) {
	start := uint32(len(p.m.Types))
	if f.kind == fieldType {
		p.typeDef()
		p.m.RecGroups = append(p.m.RecGroups, wasm.RecGroup{Start: start, Len: 1})
	} else {
		for p.TakeHead("type") {
			p.typeDef()
			p.Close()
		}
		n := uint32(len(p.m.Types)) - start
		p.m.RecGroups = append(p.m.RecGroups, wasm.RecGroup{Start: start, Len: n})
	}
	p.Close()
	p.expectEnd(f)
	if g := p.m.RecGroups[len(p.m.RecGroups)-1]; g.Len == 1 && p.Err == nil {
		t := &p.m.Types[start]
		if t.Kind == wasm.CompositeFunc && t.Final && len(t.Supers) == 0 {
			p.signatureKey(t.Func.Params, t.Func.Results)
			if _, ok := p.signatures[string(p.key)]; !ok {
				p.signatures[string(p.key)] = start
			}
		}
	}
}

// typeDef reads a definition after its keyword, without the last parenthesis.
func (p *parser) typeDef() {
	p.TakeID()
	t := wasm.SubType{Final: true}
	sub := p.TakeHead("sub")
	if sub {
		t.Final = p.TakeKeyword("final")
		for p.atIndex() {
			t.Supers = append(t.Supers, p.index(&p.types))
		}
	}
	p.compositeType(&t.CompositeType)
	if sub {
		p.Close()
	}
	p.m.Types = append(p.m.Types, t)
}

func (p *parser) compositeType(t *wasm.CompositeType) {
	switch {
	case p.TakeHead("func"):
		t.Kind = wasm.CompositeFunc
		p.signature(true)
		t.Func.Params, t.Func.Results = slices.Clone(p.typeUse.params), slices.Clone(p.typeUse.results)
	case p.TakeHead("struct"):
		t.Kind = wasm.CompositeStruct
		for p.TakeHead("field") {
			p.structField(t)
		}
	case p.TakeHead("array"):
		t.Kind = wasm.CompositeArray
		t.Fields = []wasm.FieldType{p.fieldType()}
	default:
		if p.Kind() == wattext.LParen {
			p.Next()
		}
		if head := string(p.Text()); head == "descriptor" || head == "describes" || head == "shared" || head == "cont" {
			p.Fail("unexpected token: %s types are not supported", head)
			return
		}
		p.unexpected("`func`, `struct` or `array`")
		return
	}
	p.Close()
}

// structField reads the fields of one `(field …)`, after the keyword.
func (p *parser) structField(t *wasm.CompositeType) {
	pos := p.Pos
	if id := p.TakeID(); id != "" {
		of := uint32(len(p.m.Types))
		if p.fieldIDs == nil {
			p.fieldIDs = make(map[uint32]map[string]uint32)
		}
		if p.fieldIDs[of] == nil {
			p.fieldIDs[of] = make(map[string]uint32)
		}
		if _, dup := p.fieldIDs[of][id]; dup {
			p.FailAt(pos, "duplicate field $%s", id)
			return
		}
		i := uint32(len(t.Fields))
		p.fieldIDs[of][id] = i
		if n := len(p.names.Fields); n == 0 || p.names.Fields[n-1].Index != of {
			p.names.Fields = append(p.names.Fields, wasm.IndirectName{Index: of})
		}
		last := &p.names.Fields[len(p.names.Fields)-1]
		last.Names = append(last.Names, wasm.Name{Index: i, Name: id})
		t.Fields = append(t.Fields, p.fieldType())
		p.Close()
		return
	}
	for p.Kind() != wattext.RParen && p.Err == nil {
		t.Fields = append(t.Fields, p.fieldType())
	}
	p.Close()
}

func (p *parser) fieldType() wasm.FieldType {
	if p.TakeHead("mut") {
		t := wasm.FieldType{Type: p.storageType(), Mutable: true}
		p.Close()
		return t
	}
	return wasm.FieldType{Type: p.storageType()}
}

func (p *parser) storageType() wasm.ValType {
	switch {
	case p.TakeKeyword("i8"):
		return wasm.I8
	case p.TakeKeyword("i16"):
		return wasm.I16
	}
	return p.valType()
}

// typeUse holds what a type use or a function type said.
type typeUse struct {
	pos             uint32 // its first token
	explicit        bool   // with (type x)
	index           uint32 // x
	inline          bool   // with parameters or results
	params, results []wasm.ValType
}

// signature reads parameters and results into p.typeUse. Identifiers of
// parameters are for functions only, which look for them later.
func (p *parser) signature(named bool) {
	u := &p.typeUse
	u.params, u.results, u.inline = u.params[:0], u.results[:0], false
	for p.TakeHead("param") {
		u.inline = true
		if p.Kind() == wattext.ID {
			if !named {
				p.unexpected("a value type: parameters have no names here")
				return
			}
			p.TakeID()
			u.params = append(u.params, p.valType())
			p.Close()
			continue
		}
		u.params = p.typeList(u.params)
	}
	for p.TakeHead("result") {
		u.inline = true
		u.results = p.typeList(u.results)
	}
}

// scanTypeUse reads (type x)? and a signature into p.typeUse.
func (p *parser) scanTypeUse(named bool) {
	u := &p.typeUse
	u.pos = p.Pos
	u.explicit = p.TakeHead("type")
	if u.explicit {
		u.index = p.index(&p.types)
		p.Close()
	}
	p.signature(named)
}

// readTypeUse reads a type use and returns its type, which it appends to the
// module if there is none of this signature.
func (p *parser) readTypeUse(named bool) uint32 {
	p.scanTypeUse(named)
	return p.typeOfUse()
}

// typeOfUse is the type of p.typeUse.
func (p *parser) typeOfUse() uint32 {
	u := &p.typeUse
	if p.Err != nil {
		return 0
	}
	if !u.explicit {
		return p.findSignature(u.params, u.results)
	}
	if !u.inline {
		return u.index
	}
	if int(u.index) >= len(p.m.Types) {
		p.FailAt(u.pos, "unknown type %d", u.index)
		return 0
	}
	t := &p.m.Types[u.index]
	if t.Kind != wasm.CompositeFunc || !t.Func.Equal(&wasm.FuncType{Params: u.params, Results: u.results}) {
		switch string(p.Head()) {
		case "type", "param", "result":
			p.unexpected("parameters before results, and both after the type")
		}
		p.FailAt(u.pos, "inline function type differs from type %d", u.index)
	}
	return u.index
}

// signatureKey makes p.key the key of a signature in p.signatures.
func (p *parser) signatureKey(params, results []wasm.ValType) {
	k := binary.LittleEndian.AppendUint32(p.key[:0], uint32(len(params)))
	for _, t := range params {
		k = binary.LittleEndian.AppendUint32(k, uint32(t))
	}
	for _, t := range results {
		k = binary.LittleEndian.AppendUint32(k, uint32(t))
	}
	p.key = k
}

// findSignature returns the first function type of a signature; it is appended
// if there is none.
func (p *parser) findSignature(params, results []wasm.ValType) uint32 {
	p.signatureKey(params, results)
	if i, ok := p.signatures[string(p.key)]; ok {
		return i
	}
	i := uint32(len(p.m.Types))
	p.signatures[string(p.key)] = i
	t := wasm.SubType{Final: true}
	t.Func = wasm.FuncType{Params: slices.Clone(params), Results: slices.Clone(results)}
	p.m.Types = append(p.m.Types, t)
	p.m.RecGroups = append(p.m.RecGroups, wasm.RecGroup{Start: i, Len: 1})
	return i
}
