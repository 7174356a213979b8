package main

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// The grammar, from what binds least to what binds most:
//
//	or      = and { "||" and }
//	and     = compare { "&&" compare }
//	compare = sum [ ("==" | "!=" | "<" | "<=" | ">" | ">=" | "startsWith" | "endsWith") sum ]
//	sum     = product { ("+" | "-") product }
//	product = unary { ("*" | "/" | "%") unary }
//	unary   = ("!" | "-") unary | "(" or ")" | literal | field
//
// The binary operators are parsed by precedence climbing.

// maxDepth is how deep an expression can be nested, chains of one operator
// included. It bounds the recursion of all that walks the tree.
const maxDepth = 500

// maxSource is the longest filter, in bytes.
const maxSource = 1 << 16

type operator struct {
	level int // 1 binds least
	op    op
}

var operators = map[string]operator{
	"||": {1, opOr}, "&&": {2, opAnd},
	"==": {3, opEq}, "!=": {3, opNe}, "<": {3, opLt}, "<=": {3, opLe}, ">": {3, opGt}, ">=": {3, opGe},
	"startsWith": {3, opPrefix}, "endsWith": {3, opSuffix},
	"+": {4, opAdd}, "-": {4, opSub}, "*": {5, opMul}, "/": {5, opDiv}, "%": {5, opRem},
}

// syntaxError is raised by panic inside of parse, and caught there.
type syntaxError struct {
	pos int
	msg string
}

type parser struct {
	src    string
	fields map[string]*field
	pos    int    // behind the current token
	start  int    // of the current token
	tok    string // the current token; "" at the end
	depth  int    // of unary and parentheses
}

func parse(src string, all map[string]*field) (root *node, err error) {
	if len(src) > maxSource {
		return nil, fmt.Errorf("a filter of %d bytes; %d are allowed", len(src), maxSource)
	}
	p := &parser{src: src, fields: all}
	defer func() {
		if e := recover(); e != nil {
			bad, ok := e.(syntaxError)
			if !ok {
				panic(e)
			}
			err = fmt.Errorf("column %d: %s", bad.pos+1, bad.msg)
		}
	}()
	p.next()
	root = p.binary(1)
	if p.tok != "" {
		p.fail(p.start, "unexpected %s", p.tok)
	}
	if root.typ != tBool {
		p.fail(0, "a filter is a condition, not of type %v", root.typ)
	}
	return root, nil
}

func (p *parser) fail(pos int, format string, args ...any) {
	panic(syntaxError{pos, fmt.Sprintf(format, args...)})
}

func isLetter(c byte) bool { return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || c == '_' }
func isDigit(c byte) bool  { return '0' <= c && c <= '9' }

// next reads a token.
func (p *parser) next() {
	for p.pos < len(p.src) && strings.IndexByte(" \t\r\n", p.src[p.pos]) >= 0 {
		p.pos++
	}
	p.start = p.pos
	if p.pos == len(p.src) {
		p.tok = ""
		return
	}
	span := func(in func(byte) bool) {
		for p.pos < len(p.src) && in(p.src[p.pos]) {
			p.pos++
		}
	}
	switch c := p.src[p.pos]; {
	case isLetter(c):
		span(func(c byte) bool { return isLetter(c) || isDigit(c) })
	case isDigit(c):
		inNumber := func(c byte) bool { return isDigit(c) || isLetter(c) || c == '.' }
		span(inNumber)
		// The sign of an exponent belongs to it.
		if e := p.src[p.pos-1] | 0x20; e == 'e' && !strings.HasPrefix(p.src[p.start:], "0x") && p.pos < len(p.src) && (p.src[p.pos] == '-' || p.src[p.pos] == '+') {
			p.pos++
			span(inNumber)
		}
	case c == '"':
		end := p.pos + 1
		for end < len(p.src) && p.src[end] != '"' {
			if p.src[end] == '\\' {
				end++
			}
			end++
		}
		if end >= len(p.src) {
			p.fail(p.start, "a string without an end")
		}
		p.pos = end + 1
	default:
		p.pos++
		if two := p.src[p.start:min(p.pos+1, len(p.src))]; two == "!=" || operators[two].level > 0 && len(two) == 2 {
			p.pos++
		} else if strings.IndexByte("<>+-*/%!()", c) < 0 {
			p.fail(p.start, "unexpected %q", c)
		}
	}
	p.tok = p.src[p.start:p.pos]
}

// make checks the depth of a new node.
func (p *parser) make(pos int, n node) *node {
	if n.a != nil {
		n.depth = n.a.depth + 1
	}
	if n.b != nil {
		n.depth = max(n.depth, n.b.depth+1)
	}
	if n.depth > maxDepth {
		p.fail(pos, "the expression is more than %d levels deep", maxDepth)
	}
	return &n
}

func (p *parser) binary(level int) *node {
	a := p.unary()
	for {
		o, pos, word := operators[p.tok], p.start, p.tok
		if o.level == 0 || o.level < level {
			return a
		}
		p.next()
		b := p.binary(o.level + 1)
		a = p.apply(pos, word, o.op, a, b)
		if o.level == 3 && operators[p.tok].level == 3 {
			p.fail(p.start, "comparisons cannot be chained; use &&")
		}
	}
}

// apply is the node of a binary operator, with its types checked.
func (p *parser) apply(pos int, word string, o op, a, b *node) *node {
	mismatch := func(want string) {
		p.fail(pos, "%s needs %s, not %v and %v", word, want, a.typ, b.typ)
	}
	if a.typ == tInt && b.typ == tFloat {
		a = p.make(pos, node{op: opToFloat, typ: tFloat, a: a})
	} else if a.typ == tFloat && b.typ == tInt {
		b = p.make(pos, node{op: opToFloat, typ: tFloat, a: b})
	}
	number := a.typ == b.typ && (a.typ == tInt || a.typ == tFloat)
	t := tBool
	switch o {
	case opAnd, opOr:
		if a.typ != tBool || b.typ != tBool {
			mismatch("two conditions")
		}
	case opEq, opNe:
		if a.typ != b.typ {
			mismatch("two values of one type")
		}
	case opPrefix, opSuffix:
		if a.typ != tString || b.typ != tString {
			mismatch("two strings")
		}
		if b.op != opConst {
			p.fail(pos, "what comes after %s must be a literal", word)
		}
		if a.op == opConst {
			known := o == opPrefix && strings.HasPrefix(a.s, b.s) || o == opSuffix && strings.HasSuffix(a.s, b.s)
			return p.make(pos, node{op: opConst, typ: tBool, i: bit(known)})
		}
	case opRem:
		if t = tInt; a.typ != tInt || b.typ != tInt {
			mismatch("two ints")
		}
	default:
		if !number {
			mismatch("two numbers")
		}
		if o >= opAdd {
			t = a.typ
		}
	}
	return p.make(pos, node{op: o, typ: t, a: a, b: b})
}

func (p *parser) unary() *node {
	pos, tok := p.start, p.tok
	if tok == "" {
		p.fail(pos, "the expression ends too early")
	}
	p.next()
	switch c := tok[0]; {
	case tok == "!" || tok == "-" || tok == "(":
		if p.depth++; p.depth > maxDepth {
			p.fail(pos, "the expression is more than %d levels deep", maxDepth)
		}
		defer func() { p.depth-- }()
		if tok == "(" {
			n := p.binary(1)
			if p.tok != ")" {
				p.fail(p.start, "the parenthesis of column %d is not closed", pos+1)
			}
			p.next()
			return n
		}
		n := p.unary()
		if tok == "!" {
			if n.typ != tBool {
				p.fail(pos, "! needs a condition, not %v", n.typ)
			}
			return p.make(pos, node{op: opNot, typ: tBool, a: n})
		}
		if n.typ != tInt && n.typ != tFloat {
			p.fail(pos, "- needs a number, not %v", n.typ)
		}
		return p.make(pos, node{op: opNeg, typ: n.typ, a: n})
	case isDigit(c):
		if i, err := strconv.ParseInt(tok, 0, 64); err == nil {
			return p.make(pos, node{op: opConst, typ: tInt, i: i})
		}
		f, err := strconv.ParseFloat(tok, 64)
		if err != nil {
			p.fail(pos, "%s is not a number that fits", tok)
		}
		return p.make(pos, node{op: opConst, typ: tFloat, f: f})
	case c == '"':
		s, err := strconv.Unquote(tok)
		if err != nil {
			p.fail(pos, "%s is not a string as Go writes them", tok)
		}
		return p.make(pos, node{op: opConst, typ: tString, s: s})
	case tok == "true":
		return p.make(pos, node{op: opConst, typ: tBool, i: 1})
	case tok == "false":
		return p.make(pos, node{op: opConst, typ: tBool})
	case isLetter(c) && operators[tok].level == 0:
		f := p.fields[tok]
		if f == nil {
			p.fail(pos, "no field %q; there are %s", tok, strings.Join(slices.Sorted(maps.Keys(p.fields)), ", "))
		}
		return p.make(pos, node{op: opField, typ: f.typ, field: f})
	}
	p.fail(pos, "unexpected %s", tok)
	return nil
}
