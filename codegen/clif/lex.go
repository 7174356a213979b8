package clif

import (
	"fmt"
	"strings"
)

// Error is a mistake in CLIF text.
type Error struct {
	File      string
	Line, Col int
	Message   string
}

func (e *Error) Error() string {
	if e.File == "" {
		return fmt.Sprintf("%d:%d: %s", e.Line, e.Col, e.Message)
	}
	return fmt.Sprintf("%s:%d:%d: %s", e.File, e.Line, e.Col, e.Message)
}

type tokenKind uint8

const (
	tokEOF       tokenKind = iota
	tokIdent               // word, also an entity such as v12 or block3
	tokNumber              // integer or floating-point literal, with sign
	tokName                // %name; text without the %
	tokString              // "text"; text without the quotes
	tokSourceLoc           // @1f; text without the @
	tokArrow               // ->
	tokPunct               // one character, or ==, !=
	tokBad                 // a character that begins nothing
)

type token struct {
	kind      tokenKind
	text      string
	line, col int
}

// is reports whether t is the punctuation s.
func (t token) is(s string) bool { return t.kind == tokPunct && t.text == s }

func (t token) String() string {
	switch t.kind {
	case tokEOF:
		return "the end"
	case tokName:
		return "%" + t.text
	case tokSourceLoc:
		return "@" + t.text
	case tokString:
		return "a string"
	case tokBad:
		return fmt.Sprintf("the character %q", t.text)
	}
	return "`" + t.text + "`"
}

// lexer cuts text into tokens. Comments are kept aside.
type lexer struct {
	src       string
	pos       int
	line      int
	lineStart int
	comments  []Comment
}

// Comment is a comment in CLIF text, without its semicolon and with the spaces
// after that.
type Comment struct {
	Line int
	Text string
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }
func isWord(c byte) bool {
	return isDigit(c) || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || c == '_'
}

func isHex(c byte) bool { return isDigit(c) || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F' }

func (l *lexer) next() token {
	l.skip()
	t := token{line: l.line, col: l.pos - l.lineStart + 1}
	if l.pos >= len(l.src) {
		return t
	}
	start := l.pos
	c := l.src[l.pos]
	switch {
	case isDigit(c):
		return l.number(t, start)
	case isWord(c):
		l.word()
		if w := l.src[start:l.pos]; isFloatWord(w) {
			return l.floatWord(t, start)
		}
		t.kind = tokIdent
	case c == '-' && l.at(1) == '>':
		l.pos += 2
		t.kind = tokArrow
	case (c == '-' || c == '+') && isDigit(l.at(1)):
		l.pos++
		return l.number(t, start)
	case (c == '-' || c == '+') && (l.at(1) == 'N' || l.at(1) == 'I' || l.at(1) == 's'):
		l.pos++
		l.word()
		if isFloatWord(l.src[start+1 : l.pos]) {
			return l.floatWord(t, start)
		}
		t.kind = tokBad
	case c == '%':
		l.pos++
		l.word()
		t.kind, t.text = tokName, l.src[start+1:l.pos]
		return t
	case c == '"':
		end := strings.IndexAny(l.src[start+1:], "\"\n")
		if end < 0 || l.src[start+1+end] == '\n' {
			t.kind, t.text = tokBad, `"`
			l.pos++
			return t
		}
		l.pos = start + end + 2
		t.kind, t.text = tokString, l.src[start+1:l.pos-1]
		return t
	case c == '@' && isHex(l.at(1)):
		l.pos++
		l.word()
		t.kind, t.text = tokSourceLoc, l.src[start+1:l.pos]
		return t
	case (c == '=' || c == '!') && l.at(1) == '=':
		l.pos += 2
		t.kind = tokPunct
	case strings.IndexByte("(){}[]<>,.:=*@+-", c) >= 0:
		l.pos++
		t.kind = tokPunct
	default:
		l.pos++
		for l.pos < len(l.src) && l.src[l.pos]&0xc0 == 0x80 { // the rest of a UTF-8 character
			l.pos++
		}
		t.kind = tokBad
	}
	t.text = l.src[start:l.pos]
	return t
}

// skip passes over space and comments.
func (l *lexer) skip() {
	for l.pos < len(l.src) {
		switch l.src[l.pos] {
		case '\n':
			l.pos++
			l.line++
			l.lineStart = l.pos
		case ' ', '\t', '\r':
			l.pos++
		case ';':
			end := strings.IndexByte(l.src[l.pos:], '\n')
			if end < 0 {
				end = len(l.src) - l.pos
			}
			l.comments = append(l.comments, Comment{l.line, strings.TrimSuffix(l.src[l.pos+1:l.pos+end], "\r")})
			l.pos += end
		default:
			return
		}
	}
}

func (l *lexer) at(n int) byte {
	if l.pos+n < len(l.src) {
		return l.src[l.pos+n]
	}
	return 0
}

func (l *lexer) word() {
	for l.pos < len(l.src) && isWord(l.src[l.pos]) {
		l.pos++
	}
}

// number lexes what follows an optional sign: digits, letters, a point, and a
// sign after the p of a hexadecimal exponent (or the e of a decimal one).
func (l *lexer) number(t token, start int) token {
	hex := l.at(0) == '0' && (l.at(1) == 'x' || l.at(1) == 'X')
	for l.pos < len(l.src) {
		c := l.src[l.pos]
		if c == '.' || isWord(c) {
			l.pos++
			continue
		}
		if last := l.src[l.pos-1]; (c == '-' || c == '+') && (hex && last == 'p' || !hex && last == 'e') {
			l.pos++
			continue
		}
		break
	}
	t.kind, t.text = tokNumber, l.src[start:l.pos]
	return t
}

func isFloatWord(w string) bool { return w == "NaN" || w == "sNaN" || w == "Inf" }

// floatWord ends a literal that begins with NaN, sNaN or Inf.
func (l *lexer) floatWord(t token, start int) token {
	if l.at(0) == ':' && l.at(1) == '0' && l.at(2) == 'x' {
		l.pos++
		l.word()
	}
	t.kind, t.text = tokNumber, l.src[start:l.pos]
	return t
}
