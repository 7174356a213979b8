package wattext

import (
	"fmt"
	"unicode/utf8"
)

// Error says what is wrong with a text, and where.
type Error struct {
	Offset       int // in the text, in bytes
	Line, Column int // counted from one; columns count characters
	Msg          string
	Excerpt      Excerpt
}

// Error returns "line:column: message".
func (e *Error) Error() string {
	return fmt.Sprintf("%d:%d: %s", e.Line, e.Column, e.Msg)
}

// Position returns line and column, counted from one, of an offset in src. A
// line ends with a line feed, a carriage return, or both in this order.
func Position(src []byte, off int) (line, column int) {
	line, start := lineOf(src, off)
	return line, 1 + utf8.RuneCount(src[start:min(off, len(src))])
}

// lineOf is the line of an offset, counted from one, and where it starts.
func lineOf(src []byte, off int) (line, start int) {
	line = 1
	for i := 0; i < off && i < len(src); i++ {
		if src[i] == '\n' || src[i] == '\r' && (i+1 == len(src) || src[i+1] != '\n') {
			line++
			start = i + 1
		}
	}
	return line, min(start, len(src))
}

// NewError makes an error that names the place off in src.
func NewError(src []byte, off int, msg string) *Error {
	e := &Error{Offset: off, Msg: msg, Excerpt: newExcerpt(src, off)}
	e.Line, e.Column = Position(src, off)
	return e
}

// errorAt is NewError with a format.
func errorAt(src []byte, off int, format string, args ...any) *Error {
	return NewError(src, off, fmt.Sprintf(format, args...))
}
