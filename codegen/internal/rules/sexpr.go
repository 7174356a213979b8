package rules

import (
	"fmt"
	"strings"
)

// Pos is a place in a rule file. Line and column count from 1; the column counts bytes.
type Pos struct {
	File      string
	Line, Col int
}

// String formats p as file:line:col.
func (p Pos) String() string { return fmt.Sprintf("%s:%d:%d", p.File, p.Line, p.Col) }

// Error is a mistake in a rule file.
type Error struct {
	Pos Pos
	Msg string
}

// Error formats e as file:line:col: message.
func (e *Error) Error() string { return e.Pos.String() + ": " + e.Msg }

// ErrorList is every mistake found, in the order of the source.
type ErrorList []*Error

// Error puts each mistake on a line of its own.
func (l ErrorList) Error() string {
	var b strings.Builder
	for i, e := range l {
		if i > 0 {
			b.WriteByte('\n')
		}
		b.WriteString(e.Error())
	}
	return b.String()
}

// maxDepth bounds the nesting of lists. Everything after the reader recurses over lists, so this bound is what keeps hostile
// text from exhausting the stack; rules written by people nest less than twenty deep.
const maxDepth = 200

type nodeKind uint8

const (
	listNode   nodeKind = iota
	symbolNode          // iadd, $I32, _, @, Size.S32, *ir.Function
	intNode             // 42, -1, 0xff
	stringNode          // "text"
)

// node is an S-expression.
type node struct {
	pos  Pos
	kind nodeKind
	text string // of a symbol or a string (unquoted) or an integer
	list []*node
}

// head returns the symbol that opens the list n, or "".
func (n *node) head() string {
	if n.kind == listNode && len(n.list) > 0 && n.list[0].kind == symbolNode {
		return n.list[0].text
	}
	return ""
}

func (n *node) isSymbol(s string) bool { return n.kind == symbolNode && n.text == s }

// describe names n for an error message.
func (n *node) describe() string {
	switch n.kind {
	case listNode:
		if h := n.head(); h != "" {
			return "(" + h + " …)"
		}
		return "a list"
	case stringNode:
		return fmt.Sprintf("%q", n.text)
	}
	return n.text
}

// reader turns text into S-expressions.
type reader struct {
	file      string
	src       string
	off       int
	line      int
	lineStart int
}

func (r *reader) pos() Pos { return Pos{r.file, r.line, r.off - r.lineStart + 1} }

func (r *reader) newline() {
	r.line++
	r.lineStart = r.off
}

// skipSpace moves past white space and comments, which run from ';' to the end of the line.
func (r *reader) skipSpace() {
	for r.off < len(r.src) {
		switch r.src[r.off] {
		case '\n':
			r.off++
			r.newline()
		case ' ', '\t', '\r':
			r.off++
		case ';':
			for r.off < len(r.src) && r.src[r.off] != '\n' {
				r.off++
			}
		default:
			return
		}
	}
}

func isDelim(c byte) bool {
	return c == '(' || c == ')' || c == ';' || c == '"' || c == ' ' || c == '\t' || c == '\r' || c == '\n'
}

// atom reads a symbol, an integer or a string.
func (r *reader) atom() (*node, error) {
	pos := r.pos()
	start := r.off
	if r.src[r.off] == '"' {
		r.off++
		for r.off < len(r.src) && r.src[r.off] != '"' && r.src[r.off] != '\n' {
			r.off++
		}
		if r.off >= len(r.src) || r.src[r.off] != '"' {
			return nil, &Error{pos, "string without its closing quote"}
		}
		r.off++
		return &node{pos: pos, kind: stringNode, text: r.src[start+1 : r.off-1]}, nil
	}
	for r.off < len(r.src) && !isDelim(r.src[r.off]) {
		c := r.src[r.off]
		if c < ' ' || c > '~' {
			return nil, &Error{r.pos(), fmt.Sprintf("unexpected character %q", c)}
		}
		r.off++
	}
	text := r.src[start:r.off]
	n := &node{pos: pos, kind: symbolNode, text: text}
	digits := strings.TrimPrefix(text, "-")
	if digits != "" && digits[0] >= '0' && digits[0] <= '9' {
		n.kind = intNode
		if err := checkInt(digits); err != "" {
			return nil, &Error{pos, err + " " + text}
		}
	}
	return n, nil
}

// checkInt says what is wrong with the unsigned integer literal s, or "".
func checkInt(s string) string {
	base, rest := uint64(10), s
	if strings.HasPrefix(s, "0x") {
		base, rest = 16, s[2:]
	} else if len(s) > 1 && s[0] == '0' {
		return "leading zero in"
	}
	if rest == "" {
		return "bad integer"
	}
	var v uint64
	for i := 0; i < len(rest); i++ {
		c := rest[i] | 0x20
		var d uint64
		switch {
		case c >= '0' && c <= '9':
			d = uint64(c - '0')
		case base == 16 && c >= 'a' && c <= 'f':
			d = uint64(c-'a') + 10
		default:
			return "bad integer"
		}
		if v > (^uint64(0)-d)/base {
			return "integer too large:"
		}
		v = v*base + d
	}
	return ""
}

// read returns all S-expressions of a file. Nested lists are kept on an explicit stack.
func read(file, src string) ([]*node, error) {
	r := &reader{file: file, src: src, line: 1}
	var top []*node
	var open []*node
	add := func(n *node) {
		if len(open) == 0 {
			top = append(top, n)
		} else {
			l := open[len(open)-1]
			l.list = append(l.list, n)
		}
	}
	for {
		r.skipSpace()
		if r.off >= len(r.src) {
			break
		}
		switch r.src[r.off] {
		case '(':
			if len(open) == maxDepth {
				return nil, &Error{r.pos(), fmt.Sprintf("lists nested more than %d deep", maxDepth)}
			}
			n := &node{pos: r.pos(), kind: listNode}
			add(n)
			open = append(open, n)
			r.off++
		case ')':
			if len(open) == 0 {
				return nil, &Error{r.pos(), "unexpected )"}
			}
			open = open[:len(open)-1]
			r.off++
		default:
			n, err := r.atom()
			if err != nil {
				return nil, err
			}
			add(n)
		}
	}
	if len(open) > 0 {
		return nil, &Error{open[len(open)-1].pos, "list without its closing parenthesis"}
	}
	return top, nil
}
