package main

import (
	"fmt"
	"strconv"
	"strings"
)

// pos is a place in the source: a line and a column, both from 1, in one word,
// so that it can be a source location of the code generator as it is.
type pos uint32

const columnBits = 10

func makePos(line, column int) pos {
	return pos(line)<<columnBits | pos(min(column, 1<<columnBits-1))
}

func (p pos) line() int   { return int(p >> columnBits) }
func (p pos) column() int { return int(p & (1<<columnBits - 1)) }

// Error is a mistake in a program, or what went wrong when it ran.
type Error struct {
	File string
	Pos  pos
	Msg  string
	// Incomplete tells that the source ends too early: more might mend it.
	Incomplete bool
}

func (e *Error) Error() string {
	if e.Pos == 0 {
		return fmt.Sprintf("%s: %s", e.File, e.Msg)
	}
	return fmt.Sprintf("%s:%d:%d: %s", e.File, e.Pos.line(), e.Pos.column(), e.Msg)
}

// failure is raised by panic from wherever a mistake is found, and becomes an
// Error in compile.
type failure struct {
	pos        pos
	msg        string
	incomplete bool
}

func fail(p pos, format string, args ...any) {
	panic(failure{pos: p, msg: fmt.Sprintf(format, args...)})
}

type tokenKind uint8

const (
	tokEnd tokenKind = iota
	tokNewline
	tokName
	tokInt
	tokFloat
	tokText
	tokSymbol // and keywords
)

type token struct {
	kind tokenKind
	pos  pos
	text string // as it is written; the value of a text literal
}

func (t token) String() string {
	switch t.kind {
	case tokEnd:
		return "the end"
	case tokNewline:
		return "the end of the line"
	case tokText:
		return strconv.Quote(t.text)
	}
	return t.text
}

var keywords = map[string]bool{
	"fn": true, "var": true, "if": true, "else": true, "while": true, "break": true, "continue": true,
	"return": true, "print": true, "true": true, "false": true,
}

// lex divides the source into tokens. As in Go, the end of a line is a token
// if a statement can end there.
func lex(src string) []token {
	var tokens []token
	line, begin := 1, 0 // of the line
	ends := func() bool {
		if len(tokens) == 0 {
			return false
		}
		switch t := tokens[len(tokens)-1]; t.kind {
		case tokName, tokInt, tokFloat, tokText:
			return true
		case tokSymbol:
			switch t.text {
			case ")", "}", "return", "break", "continue", "true", "false":
				return true
			}
		}
		return false
	}
	i := 0
	span := func(in func(c byte) bool) string {
		start := i
		for i < len(src) && in(src[i]) {
			i++
		}
		return src[start:i]
	}
	for i < len(src) {
		at := makePos(line, i-begin+1)
		add := func(kind tokenKind, text string) { tokens = append(tokens, token{kind, at, text}) }
		switch c := src[i]; {
		case c == '\n':
			if ends() {
				add(tokNewline, "")
			}
			i++
			line, begin = line+1, i
		case c == ' ' || c == '\t' || c == '\r':
			i++
		case strings.HasPrefix(src[i:], "//"):
			span(func(c byte) bool { return c != '\n' })
		case isLetter(c):
			word := span(func(c byte) bool { return isLetter(c) || isDigit(c) })
			if keywords[word] {
				add(tokSymbol, word)
			} else {
				add(tokName, word)
			}
		case isDigit(c):
			inNumber := func(c byte) bool { return isLetter(c) || isDigit(c) || c == '.' }
			number := span(inNumber)
			if e := number[len(number)-1] | 0x20; e == 'e' && !strings.HasPrefix(number, "0x") && i < len(src) && (src[i] == '-' || src[i] == '+') {
				sign := src[i : i+1]
				i++
				number += sign + span(inNumber)
			}
			if _, err := strconv.ParseInt(number, 0, 64); err == nil {
				add(tokInt, number)
			} else if _, err := strconv.ParseFloat(number, 64); err == nil && strings.ContainsAny(number, ".eE") {
				add(tokFloat, number)
			} else {
				fail(at, "%s is not a number, or does not fit", number)
			}
		case c == '"':
			text, err := strconv.QuotedPrefix(src[i:])
			if err != nil {
				fail(at, "the text has no end on its line, or a \\ that Go does not know")
			}
			i += len(text)
			value, err := strconv.Unquote(text)
			if err != nil {
				fail(at, "%s is not a text", text)
			}
			add(tokText, value)
		default:
			n := 1
			if i+2 <= len(src) {
				switch src[i : i+2] {
				case "==", "!=", "<=", ">=", "&&", "||":
					n = 2
				}
			}
			if n == 1 && strings.IndexByte("+-*/%<>=!(){},", c) < 0 {
				fail(at, "unexpected %q", c)
			}
			add(tokSymbol, src[i:i+n])
			i += n
		}
	}
	at := makePos(line, i-begin+1)
	if ends() {
		tokens = append(tokens, token{tokNewline, at, ""})
	}
	return append(tokens, token{tokEnd, at, ""})
}

func isLetter(c byte) bool { return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || c == '_' }
func isDigit(c byte) bool  { return '0' <= c && c <= '9' }
