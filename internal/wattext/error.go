package wattext

import (
	"fmt"
	"unicode/utf8"
)

// Error says what is wrong with a text, and where.
type Error struct {
	Line, Column int // counted from one; columns count characters
	Msg          string
}

// Error returns "line:column: message".
func (e *Error) Error() string {
	return fmt.Sprintf("%d:%d: %s", e.Line, e.Column, e.Msg)
}

// Position returns line and column, counted from one, of an offset in src. A
// line ends with a line feed, a carriage return, or both in this order.
func Position(src []byte, off int) (line, column int) {
	line, start := 1, 0
	for i := 0; i < off && i < len(src); i++ {
		if src[i] == '\n' || src[i] == '\r' && (i+1 == len(src) || src[i+1] != '\n') {
			line++
			start = i + 1
		}
	}
	if off > len(src) {
		off = len(src)
	}
	return line, 1 + utf8.RuneCount(src[start:off])
}

// errorAt makes an error that names the place off in src.
func errorAt(src []byte, off int, format string, args ...any) *Error {
	e := &Error{Msg: fmt.Sprintf(format, args...)}
	e.Line, e.Column = Position(src, off)
	return e
}
