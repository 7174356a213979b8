package wattext

import (
	"bytes"
	"unicode/utf8"
)

// escapeLen is the length of the escape sequence that b begins with.
func escapeLen(b []byte) (int, bool) {
	if len(b) < 2 {
		return 0, false
	}
	switch c := b[1]; c {
	case 't', 'n', 'r', '"', '\'', '\\':
		return 2, true
	case 'u':
		_, n, ok := unicodeEscape(b)
		return n, ok
	default:
		return 3, len(b) > 2 && hexValue(c) < 16 && hexValue(b[2]) < 16
	}
}

// unicodeEscape reads \u{…} with hexadecimal digits and single underscores
// between them.
func unicodeEscape(b []byte) (r rune, n int, ok bool) {
	if len(b) < 5 || b[2] != '{' {
		return 0, 0, false
	}
	underscore := true // one may not stand here
	for i := 3; i < len(b); i++ {
		switch c := b[i]; {
		case c == '}':
			return r, i + 1, !underscore && utf8.ValidRune(r)
		case c == '_':
			if underscore {
				return 0, 0, false
			}
			underscore = true
		case hexValue(c) < 16:
			underscore = false
			if r = r<<4 | rune(hexValue(c)); r > utf8.MaxRune {
				return 0, 0, false
			}
		default:
			return 0, 0, false
		}
	}
	return 0, 0, false
}

// hexValue is the value of a hexadecimal digit, or 16.
func hexValue(c byte) byte {
	switch {
	case c >= '0' && c <= '9':
		return c - '0'
	case c >= 'a' && c <= 'f':
		return c - 'a' + 10
	case c >= 'A' && c <= 'F':
		return c - 'A' + 10
	}
	return 16
}

// StringText returns the bytes that the string from off to end (with its
// quotes) stands for. They may be a part of the source.
func (s *Source) StringText(off, end uint32) ([]byte, *Error) {
	raw := s.Text[off+1 : end-1]
	if bytes.IndexByte(raw, '\\') < 0 {
		return raw, nil
	}
	return s.AppendString(make([]byte, 0, len(raw)), off, end)
}

// AppendString appends the bytes that the string from off to end (with its
// quotes) stands for.
func (s *Source) AppendString(b []byte, off, end uint32) ([]byte, *Error) {
	raw := s.Text[off+1 : end-1]
	for i := 0; i < len(raw); {
		c := raw[i]
		if c != '\\' {
			b = append(b, c)
			i++
			continue
		}
		n, ok := escapeLen(raw[i:])
		if !ok {
			return b, s.Errorf(off+1+uint32(i), "illegal escape")
		}
		switch raw[i+1] {
		case 't':
			b = append(b, '\t')
		case 'n':
			b = append(b, '\n')
		case 'r':
			b = append(b, '\r')
		case '"', '\'', '\\':
			b = append(b, raw[i+1])
		case 'u':
			r, _, _ := unicodeEscape(raw[i:])
			b = utf8.AppendRune(b, r)
		default:
			b = append(b, hexValue(raw[i+1])<<4|hexValue(raw[i+2]))
		}
		i += n
	}
	return b, nil
}
