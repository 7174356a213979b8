package wattext

import "unicode/utf8"

// Cursor walks over the tokens of a source. The first error is kept and moves
// the cursor to the end, where nothing matches any more: so a parser needs to
// look at Err only once, provided that its loops go on only while they see what
// they want.
type Cursor struct {
	Src *Source
	Pos uint32 // index of the current token
	End uint32 // index of the token that the cursor takes for the end
	Err *Error
}

// NewCursor returns a cursor at the first token of src.
func NewCursor(src *Source) Cursor {
	return Cursor{Src: src, End: uint32(len(src.Tokens) - 1)}
}

// Kind is the kind of the current token.
func (c *Cursor) Kind() Kind { return c.KindAt(0) }

// KindAt is the kind of the token n after the current one.
func (c *Cursor) KindAt(n uint32) Kind {
	if c.Pos+n >= c.End {
		return EOF
	}
	return c.Src.Tokens[c.Pos+n].Kind
}

// Text is the text of the current token; at the end it is empty.
func (c *Cursor) Text() []byte { return c.TextAt(0) }

// TextAt is the text of the token n after the current one.
func (c *Cursor) TextAt(n uint32) []byte {
	if c.Pos+n >= c.End {
		return nil
	}
	t := &c.Src.Tokens[c.Pos+n]
	return c.Src.Text[t.Off:t.End]
}

// Next moves on to the next token.
func (c *Cursor) Next() {
	if c.Pos < c.End {
		c.Pos++
	}
}

// Fail keeps the error, at the current token, unless there is one already.
func (c *Cursor) Fail(format string, args ...any) { c.FailAt(c.Pos, format, args...) }

// FailAt keeps the error, at the token of index pos, unless there is one
// already.
func (c *Cursor) FailAt(pos uint32, format string, args ...any) {
	if c.Err == nil {
		if pos > c.End {
			pos = c.End
		}
		c.Err = c.Src.Errorf(c.Src.Tokens[pos].Off, format, args...)
	}
	c.Pos = c.End
}

// Unexpected fails because the current token is not what was expected.
func (c *Cursor) Unexpected(expected string) {
	switch c.Kind() {
	case EOF:
		c.Fail("unexpected token: end of text, expected %s", expected)
	case Reserved:
		c.Fail("unknown operator %s, expected %s", Shorten(c.Text()), expected)
	default:
		c.Fail("unexpected token %s, expected %s", Shorten(c.Text()), expected)
	}
}

// Shorten returns text for a message, cut if it is long.
func Shorten(text []byte) string {
	const limit = 60
	if len(text) <= limit {
		return string(text)
	}
	n := limit
	for n > 0 && !utf8.RuneStart(text[n]) {
		n--
	}
	return string(text[:n]) + "…"
}

// IsKeyword reports whether the current token is the keyword k.
func (c *Cursor) IsKeyword(k string) bool {
	return c.Kind() == Keyword && string(c.Text()) == k
}

// TakeKeyword steps over the keyword k if it is the current token.
func (c *Cursor) TakeKeyword(k string) bool {
	if !c.IsKeyword(k) {
		return false
	}
	c.Pos++
	return true
}

// Head is the keyword after the current parenthesis, or nil if there is none.
func (c *Cursor) Head() []byte {
	if c.Kind() != LParen || c.KindAt(1) != Keyword {
		return nil
	}
	return c.TextAt(1)
}

// TakeHead steps over `(k` if it comes next.
func (c *Cursor) TakeHead(k string) bool {
	if c.Kind() != LParen || c.KindAt(1) != Keyword || string(c.TextAt(1)) != k {
		return false
	}
	c.Pos += 2
	return true
}

// Close steps over a closing parenthesis, or fails.
func (c *Cursor) Close() {
	if c.Kind() != RParen {
		c.Unexpected("`)`")
		return
	}
	c.Pos++
}

// Open steps over an opening parenthesis, or fails.
func (c *Cursor) Open() {
	if c.Kind() != LParen {
		c.Unexpected("`(`")
		return
	}
	c.Pos++
}

// SkipList steps over the list whose parenthesis is the current token.
func (c *Cursor) SkipList() {
	if c.Kind() != LParen {
		c.Unexpected("`(`")
		return
	}
	c.Pos = c.Src.Tokens[c.Pos].Pair + 1
}

// TakeString reads a string of any bytes.
func (c *Cursor) TakeString() []byte {
	if c.Kind() != String {
		c.Unexpected("a string")
		return nil
	}
	t := &c.Src.Tokens[c.Pos]
	s, err := c.Src.StringText(t.Off, t.End)
	if err != nil {
		if c.Err == nil {
			c.Err = err
		}
		c.Pos = c.End
		return nil
	}
	c.Pos++
	return s
}

// TakeName reads a string that must be UTF-8.
func (c *Cursor) TakeName() string {
	pos := c.Pos
	s := c.TakeString()
	if !utf8.Valid(s) {
		c.FailAt(pos, "malformed UTF-8 encoding")
		return ""
	}
	return string(s)
}

// TakeID reads an identifier, without its `$`, if it is the current token. An
// identifier is never empty: "" means that there is none.
func (c *Cursor) TakeID() string {
	if c.Kind() != ID {
		return ""
	}
	id := c.Src.IDText(c.Src.Tokens[c.Pos])
	c.Pos++
	return id
}

// IDText is the name that an ID token stands for.
func (s *Source) IDText(t Token) string {
	if s.Text[t.Off+1] != '"' {
		return string(s.Text[t.Off+1 : t.End])
	}
	name, _ := s.StringText(t.Off+1, t.End) // checked by the lexer
	return string(name)
}
