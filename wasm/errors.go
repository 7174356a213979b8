package wasm

import (
	"fmt"
	"strings"
)

// ErrorKind says why a module was refused.
type ErrorKind uint8

// Kinds of errors.
const (
	Malformed     ErrorKind = iota // the bytes do not follow the binary format
	Invalid                        // the module does not validate
	Unsupported                    // it uses a feature that is not enabled
	LimitExceeded                  // it exceeds a limit of [Limits]
)

// String names k.
func (k ErrorKind) String() string {
	switch k {
	case Malformed:
		return "malformed module"
	case Invalid:
		return "invalid module"
	case Unsupported:
		return "unsupported feature"
	}
	return "limit exceeded"
}

// Error is why and where a module was refused. Msg begins with the words that
// the specification's tests use for the case.
type Error struct {
	Kind   ErrorKind
	Offset int    // in the bytes of the module; -1 if it has none
	Func   int    // index of the function, or -1
	Name   string // of the function, from the name section, or ""
	Instr  string // text name of the instruction, or ""
	Msg    string
}

// Error describes e with everything known about the place.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(e.Msg)
	sep := " ("
	part := func(format string, args ...any) {
		b.WriteString(sep)
		fmt.Fprintf(&b, format, args...)
		sep = ", "
	}
	if e.Instr != "" {
		part("%s", e.Instr)
	}
	if e.Func >= 0 {
		part("function %d", e.Func)
		if e.Name != "" {
			fmt.Fprintf(&b, " %q", e.Name)
		}
	}
	if e.Offset >= 0 {
		part("offset %#x", e.Offset)
	}
	if sep != " (" {
		b.WriteByte(')')
	}
	return b.String()
}

func errorf(kind ErrorKind, offset int, format string, args ...any) *Error {
	return &Error{Kind: kind, Offset: offset, Func: -1, Msg: fmt.Sprintf(format, args...)}
}
