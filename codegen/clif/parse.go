// Package clif reads and writes CLIF text: the syntax of Cranelift's .clif
// files, functions and test files alike.
//
// # Numbers
//
// Text numbers its values, blocks and preamble entities freely; the numbers
// are kept, so that what is printed names what was read. Numbers beyond what
// the text's own size could need are refused, which bounds the memory that a
// few bytes of hostile text can ask for.
//
// # Types
//
// An instruction whose controlling type follows from an operand that was
// defined before in the text need not name it: `iadd v1, v2`. The printer
// leaves the type away where the operand is defined in the same block.
package clif

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/davit-wasm/davit/codegen/ir"
)

// File is a .clif file: a header, and functions.
type File struct {
	Name   string
	Header []HeaderLine
	// Comments are those before the first function; they belong to all.
	Comments []Comment
	Funcs    []*Func
}

// HeaderLine is a line `test …`, `set …`, `target …` or `feature …`.
type HeaderLine struct {
	Line int
	Word string
	Args []string
}

// Func is a function with what its text has beside it.
type Func struct {
	*ir.Function
	Line     int            // of the word function
	Comments []FuncComment  // those in the function and after it, in order
	lines    []int32        // by instruction
	Entities map[string]int // lines of preamble entities such as "sig0", of "block1" and of function parameters
}

// InstLine is the line of inst in the text.
func (f *Func) InstLine(inst ir.Inst) int {
	if int(inst) < len(f.lines) {
		return int(f.lines[inst])
	}
	return f.Line
}

// FuncComment is a comment with the instruction it is on the line of, or
// follows; [ir.NoInst] before the first instruction and after the function.
type FuncComment struct {
	Comment
	Inst ir.Inst
}

// ParseFile reads a .clif file. Its name is for errors only.
func ParseFile(name, src string) (file *File, err error) {
	defer rescue(name, &err)
	file = &File{Name: name}
	pos, line := 0, 1
	for pos < len(src) {
		end := strings.IndexByte(src[pos:], '\n')
		next := pos + end + 1
		if end < 0 {
			end, next = len(src)-pos, len(src)
		}
		text := strings.TrimSpace(src[pos : pos+end])
		if text != "" && text[0] != ';' {
			if comment := strings.IndexByte(text, ';'); comment >= 0 {
				text = text[:comment]
			}
			words := strings.Fields(text)
			if words[0] != "test" && words[0] != "set" && words[0] != "target" && words[0] != "feature" {
				break
			}
			file.Header = append(file.Header, HeaderLine{line, words[0], words[1:]})
		} else if text != "" {
			file.Comments = append(file.Comments, Comment{line, text[1:]})
		}
		pos, line = next, line+1
	}
	p := newParser(src)
	p.lex.pos, p.lex.lineStart, p.lex.line = pos, pos, line
	p.advance()
	p.lex.comments = p.lex.comments[:0] // collected above
	for p.tok.kind != tokEOF {
		file.Funcs = append(file.Funcs, p.function())
	}
	return file, nil
}

// ParseFunctions reads functions without a file's header.
func ParseFunctions(src string) (funcs []*Func, err error) {
	defer rescue("", &err)
	p := newParser(src)
	p.advance()
	for p.tok.kind != tokEOF {
		funcs = append(funcs, p.function())
	}
	return funcs, nil
}

// ParseFunction reads one function.
func ParseFunction(src string) (*ir.Function, error) {
	fs, err := ParseFunctions(src)
	if err != nil {
		return nil, err
	}
	if len(fs) != 1 {
		return nil, &Error{Line: 1, Col: 1, Message: fmt.Sprintf("expected one function, found %d", len(fs))}
	}
	return fs[0].Function, nil
}

// rescue turns a parser's *Error panic into an error.
func rescue(name string, err *error) {
	switch r := recover().(type) {
	case nil:
	case *Error:
		r.File = name
		*err = r
	default:
		panic(r)
	}
}

// parser is a recursive-descent parser of bounded depth with one token of
// lookahead. It gives up at the first error, by a panic with an *Error that
// the exported functions recover.
type parser struct {
	lex lexer
	tok token
	f   *ir.Function
	fn  *Func

	budget   int               // what numbers may still ask for; see [parser.charge]
	values   uint32            // value numbers below this were paid for
	blocks   uint32            // the same of blocks
	highest  map[string]uint32 // the same of preamble entities, by kind
	declared map[string]bool
	sigUses  []token // references to signatures, checked at the end of the preamble
	inlined  []inlineSig
	args     []ir.Value
	uses     []use
	tags     []ir.DebugTag
}

// inlineSig is the signature in a declaration such as fn0 = %f(i32).
type inlineSig struct {
	fn  ir.FuncRef
	sig ir.Signature
}

// use is a value that was named before it was defined.
type use struct {
	v   ir.Value
	tok token
}

func newParser(src string) *parser {
	return &parser{lex: lexer{src: src, line: 1}, budget: 1<<20 + 4*len(src)}
}

func (p *parser) fail(t token, format string, args ...any) {
	panic(&Error{Line: t.line, Col: t.col, Message: fmt.Sprintf(format, args...)})
}

func (p *parser) expected(what string) { p.fail(p.tok, "expected %s, found %v", what, p.tok) }

func (p *parser) advance() token {
	t := p.tok
	p.tok = p.lex.next()
	return t
}

// accept passes over the punctuation s if it is next.
func (p *parser) accept(s string) bool {
	if p.tok.is(s) {
		p.advance()
		return true
	}
	return false
}

func (p *parser) expect(s string) {
	if !p.accept(s) {
		p.expected("`" + s + "`")
	}
}

func (p *parser) acceptWord(s string) bool {
	if p.tok.kind == tokIdent && p.tok.text == s {
		p.advance()
		return true
	}
	return false
}

// entityNumber is the number in a word such as v12.
func entityNumber(s, prefix string) (uint32, bool) {
	if len(s) <= len(prefix) || s[:len(prefix)] != prefix || !isDigit(s[len(prefix)]) {
		return 0, false
	}
	d := s[len(prefix):]
	if d[0] == '0' && len(d) > 1 {
		return 0, false
	}
	n, err := strconv.ParseUint(d, 10, 32)
	return uint32(n), err == nil && n < 1<<30
}

// charge pays for the room that tables need to reach number n, of which have
// were paid for before. What all functions of a text can ask for is about 64
// bytes for each of its bytes, and 16 MB.
func (p *parser) charge(t token, n, have uint32, price int) uint32 {
	if n < have {
		return have
	}
	p.budget -= int(n+1-have) * price
	if p.budget < 0 {
		p.fail(t, "the number of %s is too large for a text of this size", t.text)
	}
	return n + 1
}

// isEntity reports whether the next token is an entity such as v12.
func (p *parser) isEntity(prefix string) bool {
	if p.tok.kind != tokIdent {
		return false
	}
	_, ok := entityNumber(p.tok.text, prefix)
	return ok
}

func (p *parser) entity(prefix, what string) uint32 {
	if p.tok.kind == tokIdent {
		if n, ok := entityNumber(p.tok.text, prefix); ok {
			p.advance()
			return n
		}
	}
	p.expected(what)
	return 0
}

func (p *parser) value() ir.Value {
	t := p.tok
	v := ir.Value(p.entity("v", "a value such as v1"))
	p.values = p.charge(t, uint32(v), p.values, 1)
	return v
}

// use reads a value that must be defined somewhere in the function.
func (p *parser) use() ir.Value {
	t := p.tok
	v := p.value()
	if !p.f.ValueExists(v) {
		p.uses = append(p.uses, use{v, t})
	}
	return v
}

func (p *parser) block() ir.Block {
	t := p.tok
	b := p.entity("block", "a block such as block1")
	p.blocks = p.charge(t, b, p.blocks, 4)
	p.f.EnsureBlock(ir.Block(b))
	return ir.Block(b)
}

func (p *parser) typ() ir.Type {
	if p.tok.kind == tokIdent {
		if t, ok := ir.ParseType(p.tok.text); ok {
			p.advance()
			return t
		}
		if n, ok := entityNumber(p.tok.text, "dt"); ok && int(n) < len(p.f.DynamicTypes) {
			p.advance()
			return p.f.DynamicTypes[n].Base.Dynamic()
		}
	}
	p.expected("a type")
	return ir.Invalid
}

// integer reads an integer literal of at most the given number of bits, signed
// or unsigned.
func (p *parser) integer(bits int, what string) uint64 {
	if p.tok.kind == tokNumber {
		if v, ok := parseIntBits(p.tok.text, bits); ok {
			p.advance()
			return v.lo
		}
		p.fail(p.tok, "%s is not %s", p.tok, what)
	}
	p.expected(what)
	return 0
}

func (p *parser) uint32(what string) uint32 {
	if p.tok.kind == tokNumber && p.tok.text[0] != '-' {
		return uint32(p.integer(32, what))
	}
	p.expected(what)
	return 0
}

// offset reads an optional offset such as +8 behind an address.
func (p *parser) offset() int64 {
	if p.tok.kind != tokNumber || p.tok.text[0] != '+' && p.tok.text[0] != '-' {
		return 0
	}
	return int64(int32(p.integer(32, "an offset of 32 bits")))
}

func (p *parser) name() ir.Name {
	t := p.tok
	switch {
	case t.kind == tokName:
		p.advance()
		return namedBy(t.text)
	case t.kind == tokIdent && t.text[0] == 'u':
		ns, ok := entityNumber(t.text, "u")
		if !ok {
			break
		}
		p.advance()
		p.expect(":")
		return ir.UserName(ns, p.uint32("a number"))
	}
	p.expected("a name such as %f or u0:1")
	return ir.Name{}
}

var knownNames = map[string]bool{"ElfGlobalOffsetTable": true, "CoffTlsIndex": true}

var libCalls = map[string]bool{
	"Probestack": true, "CeilF32": true, "CeilF64": true, "FloorF32": true, "FloorF64": true, "TruncF32": true, "TruncF64": true,
	"NearestF32": true, "NearestF64": true, "FmaF32": true, "FmaF64": true, "Memcpy": true, "Memset": true, "Memmove": true,
	"Memcmp": true, "ElfTlsGetAddr": true, "ElfTlsGetOffset": true, "X86Pshufb": true,
}

// namedBy is the name that %text means.
func namedBy(text string) ir.Name {
	switch {
	case libCalls[text]:
		return ir.LibCallName(text)
	case knownNames[text]:
		return ir.Name{Kind: ir.NameKnown, Text: text}
	}
	return ir.TestName(text)
}

func (p *parser) signature() ir.Signature {
	var s ir.Signature
	p.expect("(")
	if !p.tok.is(")") {
		s.Params = p.params()
	}
	p.expect(")")
	if p.tok.kind == tokArrow {
		p.advance()
		s.Returns = p.params()
	}
	if p.tok.kind == tokIdent {
		if c, ok := ir.ParseCallConv(p.tok.text); ok {
			p.advance()
			s.CallConv = c
		}
	}
	return s
}

func (p *parser) params() (list []ir.Param) {
	for {
		par := ir.Param{Type: p.typ()}
		for p.tok.kind == tokIdent {
			done := false
			switch p.tok.text {
			case "uext":
				par.Ext = ir.ZeroExtend
			case "sext":
				par.Ext = ir.SignExtend
			case "sret":
				par.Purpose = ir.StructReturn
			case "vmctx":
				par.Purpose = ir.VMContext
			case "caller_vmctx":
				par.Purpose = ir.CallerContext
			case "pass":
				par.Purpose = ir.Pass
			case "sarg":
				p.advance()
				if !p.tok.is("(") {
					p.expected("`(`")
				}
				p.advance()
				par.Purpose, par.Size = ir.StructArg, p.uint32("a size")
				if !p.tok.is(")") {
					p.expected("`)`")
				}
			default:
				done = true
			}
			if done {
				break
			}
			p.advance()
		}
		list = append(list, par)
		if !p.accept(",") {
			return list
		}
	}
}

// function reads `function NAME SIGNATURE { PREAMBLE BODY }`.
func (p *parser) function() *Func {
	if p.tok.kind != tokIdent || p.tok.text != "function" {
		p.expected("`function`")
	}
	start := p.advance()
	p.lex.comments = p.lex.comments[:0]
	p.f = ir.NewFunction(ir.Name{}, ir.Signature{})
	p.fn = &Func{Function: p.f, Line: start.line, Entities: map[string]int{}}
	p.declared = map[string]bool{}
	p.values, p.blocks = 0, 0
	p.sigUses, p.inlined, p.uses = p.sigUses[:0], p.inlined[:0], p.uses[:0]
	p.f.Name = p.name()
	p.f.Sig = p.signature()
	p.expect("{")
	p.preamble()
	p.claim(ir.NoInst)
	p.body()
	if !p.tok.is("}") {
		p.expected("a block or `}`")
	}
	p.claim(ir.NoInst)
	p.advance()
	p.claim(ir.NoInst)
	for _, u := range p.uses {
		if !p.f.ValueExists(u.v) {
			p.fail(u.tok, "%v is not defined", u.v)
		}
	}
	return p.fn
}

// claim gives the comments read since the last call to inst.
func (p *parser) claim(inst ir.Inst) {
	for _, c := range p.lex.comments {
		p.fn.Comments = append(p.fn.Comments, FuncComment{c, inst})
	}
	p.lex.comments = p.lex.comments[:0]
}

func (p *parser) body() {
	for p.isEntity("block") {
		t := p.tok
		b := p.block()
		if p.f.InLayout(b) {
			p.fail(t, "%v is defined twice", b)
		}
		p.f.AppendBlock(b)
		p.fn.Entities[b.String()] = t.line
		if p.accept("(") {
			for !p.accept(")") {
				t := p.tok
				v := p.value()
				if p.f.ValueExists(v) {
					p.fail(t, "%v is defined twice", v)
				}
				p.expect(":")
				p.f.AddParamAs(b, p.typ(), v)
				if !p.tok.is(")") {
					p.expect(",")
				}
			}
		}
		if p.acceptWord("cold") {
			p.f.SetCold(b, true)
		}
		p.expect(":")
		p.claim(ir.NoInst)
		for !p.isEntity("block") && !p.tok.is("}") {
			p.instruction(b)
		}
	}
}
