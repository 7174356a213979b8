package main

import "strconv"

// typ is the type of a value. Programs are typed when code is made for them.
type typ uint8

const (
	tVoid typ = iota // of calls without a result
	tInt
	tFloat
	tBool
)

func (t typ) String() string { return [...]string{"nothing", "int", "float", "bool"}[t] }

// unit is what is compiled at once: a file, or what was typed in.
type unit struct {
	funcs []*function
	stmts []*stmt // outside of functions, to be run in their order
}

type function struct {
	pos    pos
	name   string
	params []param
	result typ
	body   []*stmt
	end    pos // of the closing brace
}

type param struct {
	pos  pos
	name string
	typ  typ
}

type stmtKind uint8

const (
	sVar stmtKind = iota
	sAssign
	sExpr
	sPrint
	sIf
	sWhile
	sBreak
	sContinue
	sReturn
	sBlock
)

type stmt struct {
	kind      stmtKind
	pos       pos
	name      string
	x         *expr   // value or condition, nil if there is none
	args      []*expr // sPrint
	body, alt []*stmt
}

type exprKind uint8

const (
	eInt exprKind = iota
	eFloat
	eBool
	eText // in print only
	eName
	eCall
	eUnary
	eBinary
)

type expr struct {
	kind  exprKind
	pos   pos
	depth int
	name  string // also operators
	i     int64
	f     float64
	a, b  *expr
	args  []*expr
}

// Limits that bound the recursion of all that walks programs.
const (
	maxNesting = 200 // of blocks, parentheses and unary operators
	maxDepth   = 1000
	maxSource  = 1 << 20
)

type parser struct {
	tokens []token
	i      int
	depth  int
}

func parse(src string) *unit {
	if len(src) > maxSource {
		fail(0, "the source has %d bytes; %d are allowed", len(src), maxSource)
	}
	p := &parser{tokens: lex(src)}
	u := &unit{}
	for p.tok().kind != tokEnd {
		if p.is("fn") {
			u.funcs = append(u.funcs, p.function())
			p.endLine()
		} else {
			u.stmts = append(u.stmts, p.statement())
		}
	}
	return u
}

func (p *parser) tok() token       { return p.tokens[p.i] }
func (p *parser) is(s string) bool { t := p.tok(); return t.kind == tokSymbol && t.text == s }

func (p *parser) next() token {
	t := p.tok()
	if t.kind != tokEnd {
		p.i++
	}
	return t
}

func (p *parser) unexpected(want string) {
	t := p.tok()
	// The end of the last line is a token before the end.
	end := t.kind == tokEnd || t.kind == tokNewline && p.tokens[p.i+1].kind == tokEnd
	panic(failure{pos: t.pos, msg: "unexpected " + t.String() + ", want " + want, incomplete: end})
}

func (p *parser) accept(s string) bool {
	if p.is(s) {
		p.i++
		return true
	}
	return false
}

func (p *parser) expect(s string) token {
	if !p.is(s) {
		p.unexpected(s)
	}
	return p.next()
}

func (p *parser) name() token {
	if p.tok().kind != tokName {
		p.unexpected("a name")
	}
	return p.next()
}

// endLine is the end of a statement.
func (p *parser) endLine() {
	if p.tok().kind == tokNewline {
		p.i++
	} else if !p.is("}") && p.tok().kind != tokEnd {
		p.unexpected("the end of the line")
	}
}

func (p *parser) deeper() {
	if p.depth++; p.depth > maxNesting {
		fail(p.tok().pos, "more than %d levels of nesting", maxNesting)
	}
}

func (p *parser) typ() typ {
	t := p.name()
	for _, v := range []typ{tInt, tFloat, tBool} {
		if t.text == v.String() {
			return v
		}
	}
	fail(t.pos, "%s is not a type; there are int, float and bool", t.text)
	return 0
}

func (p *parser) function() *function {
	p.next()
	t := p.name()
	f := &function{pos: t.pos, name: t.text}
	p.expect("(")
	for !p.accept(")") {
		n := p.name()
		f.params = append(f.params, param{n.pos, n.text, p.typ()})
		if !p.is(")") {
			p.expect(",")
		}
	}
	if !p.is("{") {
		f.result = p.typ()
	}
	f.body, f.end = p.block()
	return f
}

func (p *parser) block() (list []*stmt, end pos) {
	p.expect("{")
	p.deeper()
	for !p.is("}") {
		if p.tok().kind == tokEnd {
			p.unexpected("}")
		}
		list = append(list, p.statement())
	}
	p.depth--
	return list, p.next().pos
}

func (p *parser) statement() *stmt {
	t := p.tok()
	s := &stmt{pos: t.pos}
	if t.kind == tokSymbol {
		switch t.text {
		case "if":
			return p.ifStatement()
		case "while":
			p.next()
			s.kind = sWhile
			s.x = p.expression()
			s.body, _ = p.block()
			p.endLine()
			return s
		case "{":
			s.kind = sBlock
			s.body, _ = p.block()
			p.endLine()
			return s
		case "fn":
			fail(t.pos, "functions are not declared inside of others")
		case "var":
			p.next()
			s.kind, s.name = sVar, p.name().text
			p.expect("=")
			s.x = p.expression()
		case "print":
			p.next()
			s.kind = sPrint
			s.args = p.arguments(true)
		case "return":
			p.next()
			s.kind = sReturn
			if p.tok().kind != tokNewline && !p.is("}") {
				s.x = p.expression()
			}
		case "break", "continue":
			p.next()
			if s.kind = sBreak; t.text == "continue" {
				s.kind = sContinue
			}
		default:
			s.kind, s.x = sExpr, p.expression()
		}
	} else if next := p.tokens[min(p.i+1, len(p.tokens)-1)]; t.kind == tokName && next.kind == tokSymbol && next.text == "=" {
		p.next()
		p.next()
		s.kind, s.name, s.x = sAssign, t.text, p.expression()
	} else {
		s.kind, s.x = sExpr, p.expression()
	}
	p.endLine()
	return s
}

func (p *parser) ifStatement() *stmt {
	s := &stmt{kind: sIf, pos: p.next().pos}
	s.x = p.expression()
	s.body, _ = p.block()
	if !p.accept("else") {
		p.endLine()
		return s
	}
	if p.is("if") {
		p.deeper()
		s.alt = []*stmt{p.ifStatement()}
		p.depth--
		return s
	}
	s.alt, _ = p.block()
	p.endLine()
	return s
}

// arguments are expressions in parentheses, and texts among them where they are
// allowed.
func (p *parser) arguments(texts bool) (list []*expr) {
	p.expect("(")
	for !p.accept(")") {
		if t := p.tok(); texts && t.kind == tokText {
			p.next()
			list = append(list, &expr{kind: eText, pos: t.pos, name: t.text})
		} else {
			list = append(list, p.expression())
		}
		if !p.is(")") {
			p.expect(",")
		}
	}
	return list
}

// levels of binary operators; the higher bind more.
var levels = map[string]int{
	"||": 1, "&&": 2, "==": 3, "!=": 3, "<": 3, "<=": 3, ">": 3, ">=": 3, "+": 4, "-": 4, "*": 5, "/": 5, "%": 5,
}

func (p *parser) expression() *expr { return p.binary(1) }

func (p *parser) binary(level int) *expr {
	a := p.unary()
	for {
		t := p.tok()
		l := levels[t.text]
		if t.kind != tokSymbol || l == 0 || l < level {
			return a
		}
		p.next()
		b := p.binary(l + 1)
		a = &expr{kind: eBinary, pos: t.pos, name: t.text, a: a, b: b, depth: max(a.depth, b.depth) + 1}
		if a.depth > maxDepth {
			fail(t.pos, "an expression more than %d levels deep", maxDepth)
		}
	}
}

func (p *parser) unary() *expr {
	p.deeper()
	defer func() { p.depth-- }()
	t := p.tok()
	switch t.kind {
	case tokInt:
		p.next()
		i, _ := strconv.ParseInt(t.text, 0, 64) // the lexer has checked it
		return &expr{kind: eInt, pos: t.pos, i: i}
	case tokFloat:
		p.next()
		f, _ := strconv.ParseFloat(t.text, 64)
		return &expr{kind: eFloat, pos: t.pos, f: f}
	case tokText:
		fail(t.pos, "texts can only be printed")
	case tokName:
		p.next()
		if p.is("(") {
			return &expr{kind: eCall, pos: t.pos, name: t.text, args: p.arguments(false)}
		}
		return &expr{kind: eName, pos: t.pos, name: t.text}
	case tokSymbol:
		switch t.text {
		case "(":
			p.next()
			x := p.expression()
			p.expect(")")
			return x
		case "-", "!":
			p.next()
			x := p.unary()
			return &expr{kind: eUnary, pos: t.pos, name: t.text, a: x, depth: x.depth + 1}
		case "true", "false":
			p.next()
			x := &expr{kind: eBool, pos: t.pos}
			if t.text == "true" {
				x.i = 1
			}
			return x
		}
	}
	p.unexpected("an expression")
	return nil
}
