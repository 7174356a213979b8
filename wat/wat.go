// Package wat is the text format of WebAssembly modules: all of WebAssembly
// 3.0 and the threads, wide-arithmetic and custom-page-sizes proposals, with
// the annotations @name, @custom, @producers and @metadata.code.branch_hint.
//
// Parsing goes over the tokens of a module in four steps, since a text may use
// names before it defines them:
//
//  1. survey: list the fields, number what they define, collect identifiers;
//  2. types: read the type definitions;
//  3. headers: read the types of functions, tables, memories, globals and tags,
//     and exports; type uses that define a function type append it here;
//  4. bodies: encode instructions, initializers and segments, with all indexes
//     known.
//
// No step is recursive over the nesting of the text. Printing, the other way, is
// not recursive over the nesting of the code either.
package wat

import (
	"fmt"

	"github.com/davit-wasm/davit/internal/wattext"
	"github.com/davit-wasm/davit/wasm"
)

// Options adjust [Parse] and [Compile]. The zero value is useful.
type Options struct {
	// NoNames leaves identifiers out of the module: by default they become the
	// names of the name section, which backtraces show.
	NoNames bool
	// Positions, if not nil, is told where the instructions of functions come from.
	Positions *Positions
}

// Error says what is wrong with a text, and where. Its message begins with the
// words that the specification's tests use for the case.
type Error struct {
	Offset       int // in the text, in bytes
	Line, Column int // counted from one; columns count characters
	Msg          string

	excerpt wattext.Excerpt
}

// Error returns "line:column: message".
func (e *Error) Error() string {
	return fmt.Sprintf("%d:%d: %s", e.Line, e.Column, e.Msg)
}

// Excerpt shows the line that e lies in, with its number and a caret under the
// place, in three lines for a terminal. Of a long line it shows a part.
func (e *Error) Excerpt() string { return e.excerpt.Lines(e.Line) }

// In is e as an error of a longer text, of which the text that was parsed is the
// part that begins at offset start.
func (e *Error) In(text []byte, start int) *Error {
	return fromText(wattext.NewError(text, start+e.Offset, e.Msg))
}

func fromText(e *wattext.Error) *Error {
	return &Error{e.Offset, e.Line, e.Column, e.Msg, e.Excerpt}
}

// Parse reads a module: either `(module …)` or its fields alone. The module is
// well-formed, not validated. opts may be nil. The module may refer to src,
// which must not change while the module is used. An error is an [*Error].
func Parse(src []byte, opts *Options) (*wasm.Module, error) {
	if opts != nil && opts.Positions != nil {
		*opts.Positions = Positions{text: src}
	}
	text, err := wattext.Lex(src, annotationName, annotationCustom, annotationBranchHint, annotationProducers)
	if err != nil {
		return nil, fromText(err)
	}
	p := parser{
		Cursor:     wattext.NewCursor(text),
		m:          &wasm.Module{},
		signatures: make(map[string]uint32),
		locals:     make(map[string]uint32),
		labelTop:   make(map[string]int32),
	}
	if opts != nil {
		p.opts = *opts
	}
	p.module()
	if p.Err != nil {
		return nil, fromText(p.Err)
	}
	return p.m, nil
}

// Compile turns a text into the binary format. opts may be nil. An error is an
// [*Error].
func Compile(src []byte, opts *Options) ([]byte, error) {
	m, err := Parse(src, opts)
	if err != nil {
		return nil, err
	}
	return wasm.Encode(m), nil
}

// parser reads one module.
type parser struct {
	wattext.Cursor
	opts Options
	m    *wasm.Module

	fields        []field
	types         space
	funcs         space
	tables        space
	memories      space
	globals       space
	tags          space
	elems         space
	datas         space
	fieldIDs      map[uint32]map[string]uint32 // of struct types
	hasDefinition string                       // kind of the first definition that is no import, but of tags
	hasTag        bool                         // a tag was defined
	usesData      bool                         // an instruction names a data segment

	signatures map[string]uint32 // function types that type uses can find, by signatureKey
	key        []byte

	annotationUsed []bool // for Src.Annotations
	lastAnnotation int    // the one that was used last
	hints          []funcHints

	hasProducers     bool // there is a @producers annotation
	producersSection int  // its section in m.Customs
	producers        []wasm.ProducersField

	typeUse typeUse
	names   wasm.Names
	moduleName

	// Of the function being read:
	locals   map[string]uint32
	labels   []label
	labelTop map[string]int32 // innermost label of a name: index into labels
	frames   []frame
	code     []byte // instructions
	pending  []byte // instructions of folded operators that wait for their operands
	scratch  []byte // vectors of immediates, whose length comes first
	blocks   uint32 // how many labels were seen
	funcHint funcHints
	labelIDs wasm.NameMap
}

type moduleName struct {
	moduleID  string
	moduleEnd uint32 // token that closes the module or its last field
}

// space is an index space: how many entries it has and their identifiers.
type space struct {
	kind  string // for messages
	count uint32
	ids   map[string]uint32
	names wasm.NameMap
}

// define adds an entry whose identifier, if any, is the current token.
func (p *parser) define(s *space) uint32 {
	i := s.count
	s.count++
	pos := p.Pos
	id := p.TakeID()
	if id != "" {
		if _, dup := s.ids[id]; dup {
			p.FailAt(pos, "duplicate %s $%s", s.kind, id)
			return i
		}
		if s.ids == nil {
			s.ids = make(map[string]uint32)
		}
		s.ids[id] = i
	}
	if name := p.nameOf(id); name != "" {
		s.names = append(s.names, wasm.Name{Index: i, Name: name})
	}
	return i
}

// atIndex reports whether the current token is an index: a number or an
// identifier.
func (p *parser) atIndex() bool { return p.indexAt(0) }

func (p *parser) indexAt(n uint32) bool {
	k := p.KindAt(n)
	return k == wattext.ID || k == wattext.Number
}

// index reads an index into s.
func (p *parser) index(s *space) uint32 {
	if p.Kind() != wattext.ID {
		return uint32(p.natural(32, "an index"))
	}
	pos := p.Pos
	id := p.TakeID()
	i, ok := s.ids[id]
	if !ok {
		p.FailAt(pos, "unknown %s $%s", s.kind, id)
	}
	return i
}

// optionalIndex reads an index into s if there is one; otherwise it is 0.
func (p *parser) optionalIndex(s *space) uint32 {
	if !p.atIndex() {
		return 0
	}
	return p.index(s)
}

// natural reads a number below 1<<bits.
func (p *parser) natural(bits int, expected string) uint64 {
	if p.Kind() != wattext.Number {
		p.unexpected(expected)
		return 0
	}
	text := p.Text()
	if text[0] == '+' || text[0] == '-' {
		p.unexpected(expected)
		return 0
	}
	v, st := wattext.ParseUint(text, bits)
	switch st {
	case wattext.Malformed:
		p.unexpected(expected)
	case wattext.Range:
		p.Fail("i%d constant out of range: %s", bits, wattext.Shorten(text))
	default:
		p.Next()
	}
	return v
}

// unexpected fails because the current token is not what was expected. Words
// that the text format does not have at all are unknown operators.
func (p *parser) unexpected(expected string) {
	if p.Kind() == wattext.Keyword && !isKeyword(p.Text()) || p.Kind() == wattext.Number && !isNumber(p.Text()) {
		p.Fail("unknown operator %s, expected %s", wattext.Shorten(p.Text()), expected)
		return
	}
	p.Unexpected(expected)
}

func isNumber(s []byte) bool {
	_, st := wattext.ParseFloat(s, 64)
	return st != wattext.Malformed
}

// keywords are the words of the text format besides operators and types.
var keywords = map[string]bool{
	"module": true, "type": true, "rec": true, "sub": true, "final": true, "import": true, "func": true,
	"table": true, "memory": true, "global": true, "tag": true, "export": true, "start": true, "elem": true,
	"data": true, "param": true, "result": true, "local": true, "offset": true, "item": true, "declare": true,
	"then": true, "mut": true, "field": true, "struct": true, "array": true, "ref": true, "null": true,
	"catch": true, "catch_ref": true, "catch_all": true, "catch_all_ref": true, "shared": true,
	"pagesize": true, "binary": true, "quote": true, "definition": true, "instance": true,
	"i8x16": true, "i16x8": true, "i32x4": true, "i64x2": true, "f32x4": true, "f64x2": true,
	"inf": true, "nan": true, "nan:canonical": true, "nan:arithmetic": true,
}

func isKeyword(s []byte) bool {
	if keywords[string(s)] {
		return true
	}
	if _, ok := wasm.LookupOp(string(s)); ok {
		return true
	}
	if _, ok := plainTypes[string(s)]; ok {
		return true
	}
	if _, ok := heapTypes[string(s)]; ok {
		return true
	}
	const offset, align, payload = "offset=", "align=", "nan:0x"
	has := func(prefix string) bool { return len(s) > len(prefix) && string(s[:len(prefix)]) == prefix }
	return has(offset) || has(align) || has(payload)
}
