package wattext

import (
	"math"
	"unicode/utf8"
)

// Kind is the kind of a token.
type Kind uint8

// Kinds of tokens.
const (
	EOF      Kind = iota
	LParen        // (
	RParen        // )
	String        // "…"
	ID            // $name or $"name"
	Keyword       // begins with a lower-case letter; also inf and nan
	Number        // begins with a digit or a sign; whether it is a number is seen when it is read
	Reserved      // a token that the grammar reserves: it is never right outside annotations
)

// Token is a token of a source. It holds no text, only where the text lies.
type Token struct {
	Kind     Kind
	Off, End uint32 // extent in the source
	Pair     uint32 // LParen and RParen: index of the partner
}

// Annotation is an annotation: (@id …). Annotations are no tokens, since they
// may stand anywhere; a parser that knows an annotation asks for it where it
// may stand.
type Annotation struct {
	Off, End uint32
	ID       string
	Token    uint32  // index of the token that follows
	Content  []Token // between the identifier and the closing parenthesis; Pair refers to Content
}

// Source is a text cut into tokens.
type Source struct {
	Text        []byte
	Tokens      []Token // the last is EOF
	Annotations []Annotation
}

// Errorf makes an error at offset off of the text.
func (s *Source) Errorf(off uint32, format string, args ...any) *Error {
	return errorAt(s.Text, int(off), format, args...)
}

// Lex cuts text into tokens. Annotations whose identifier is not one of keep
// are checked and dropped.
func Lex(text []byte, keep ...string) (*Source, *Error) {
	if len(text) >= math.MaxUint32 {
		return nil, &Error{Line: 1, Column: 1, Msg: "source of 4 GiB or more"}
	}
	if !utf8.Valid(text) {
		off := 0
		for off < len(text) {
			r, n := utf8.DecodeRune(text[off:])
			if r == utf8.RuneError && n == 1 {
				break
			}
			off += n
		}
		return nil, errorAt(text, off, "malformed UTF-8 encoding")
	}
	l := lexer{
		src:  Source{Text: text, Tokens: make([]Token, 0, len(text)/5+1)},
		keep: keep,
	}
	if err := l.run(); err != nil {
		return nil, err
	}
	return &l.src, nil
}

type lexer struct {
	src  Source
	off  int
	keep []string
	open []uint32 // LParen tokens without a partner yet
}

func (l *lexer) errorf(off int, format string, args ...any) *Error {
	return errorAt(l.src.Text, off, format, args...)
}

func (l *lexer) run() *Error {
	for {
		t, err := l.next()
		if err != nil {
			return err
		}
		if t.Kind == LParen && l.annotationFollows() {
			if err := l.annotation(int(t.Off)); err != nil {
				return err
			}
			continue
		}
		if err := l.append(&l.src.Tokens, &l.open, t, "unexpected token: `(` is never closed"); err != nil {
			return err
		}
		if t.Kind == EOF {
			return nil
		}
	}
}

// append appends t to tokens and joins parentheses; open holds the open ones.
func (l *lexer) append(tokens *[]Token, open *[]uint32, t Token, unclosed string) *Error {
	i := uint32(len(*tokens))
	switch t.Kind {
	case LParen:
		*open = append(*open, i)
	case RParen:
		n := len(*open)
		if n == 0 {
			return l.errorf(int(t.Off), "unexpected token: `)` without `(`")
		}
		t.Pair = (*open)[n-1]
		(*tokens)[t.Pair].Pair = i
		*open = (*open)[:n-1]
	case EOF:
		if n := len(*open); n > 0 {
			return l.errorf(int((*tokens)[(*open)[n-1]].Off), "%s", unclosed)
		}
	}
	*tokens = append(*tokens, t)
	return nil
}

// class says what a byte may be part of.
var class [256]uint8

const (
	classID     = 1 << iota // characters of identifiers, keywords and numbers
	classSpace              // space, tab and line ends
	classSingle             // reserved tokens of one character
)

func init() {
	for c := '!'; c <= '~'; c++ {
		class[c] = classID
	}
	for _, c := range "\"();,[]{}" {
		class[c] = 0
	}
	for _, c := range ";,[]{}" {
		class[c] = classSingle
	}
	for _, c := range " \t\n\r" {
		class[c] = classSpace
	}
}

// next returns the next token, taking `(` of an annotation for one too.
func (l *lexer) next() (Token, *Error) {
	text := l.src.Text
	for l.off < len(text) {
		c := text[l.off]
		switch {
		case class[c]&classSpace != 0:
			l.off++
		case c == ';' && l.off+1 < len(text) && text[l.off+1] == ';':
			for l.off < len(text) && text[l.off] != '\n' && text[l.off] != '\r' {
				l.off++
			}
		case c == '(' && l.off+1 < len(text) && text[l.off+1] == ';':
			if err := l.blockComment(); err != nil {
				return Token{}, err
			}
		case c == '(' || c == ')':
			k := LParen
			if c == ')' {
				k = RParen
			}
			l.off++
			return Token{Kind: k, Off: uint32(l.off - 1), End: uint32(l.off)}, nil
		case c == '"' || class[c]&classID != 0:
			return l.word()
		case class[c]&classSingle != 0:
			l.off++
			return Token{Kind: Reserved, Off: uint32(l.off - 1), End: uint32(l.off)}, nil
		default:
			r, _ := utf8.DecodeRune(text[l.off:])
			return Token{}, l.errorf(l.off, "illegal character %q", r)
		}
	}
	return Token{Kind: EOF, Off: uint32(len(text)), End: uint32(len(text))}, nil
}

// blockComment steps over a block comment, which may hold others.
func (l *lexer) blockComment() *Error {
	text := l.src.Text
	start, depth := l.off, 0
	for i := l.off; i+1 < len(text); i++ {
		switch {
		case text[i] == '(' && text[i+1] == ';':
			depth++
			i++
		case text[i] == ';' && text[i+1] == ')':
			depth--
			i++
			if depth == 0 {
				l.off = i + 1
				return nil
			}
		}
	}
	return l.errorf(start, "unclosed comment")
}

// word reads the longest run of identifier characters and strings.
func (l *lexer) word() (Token, *Error) {
	text := l.src.Text
	start, strings, chars := l.off, 0, 0
	for l.off < len(text) {
		switch c := text[l.off]; {
		case c == '"':
			if err := l.skipString(); err != nil {
				return Token{}, err
			}
			strings++
			continue
		case class[c]&classID != 0:
			l.off++
			chars++
			continue
		}
		break
	}
	t := Token{Kind: Reserved, Off: uint32(start), End: uint32(l.off)}
	switch c := text[start]; {
	case strings == 1 && chars == 0:
		t.Kind = String
	case c == '$' && l.off == start+1:
		return t, l.errorf(start, "empty identifier")
	case c == '$' && (strings == 0 || strings == 1 && chars == 1):
		t.Kind = ID
		if strings == 1 {
			name, err := l.src.StringText(t.Off+1, t.End)
			switch {
			case err != nil:
				return t, err
			case len(name) == 0:
				return t, l.errorf(start, "empty identifier")
			case !utf8.Valid(name):
				return t, l.errorf(start, "malformed UTF-8 encoding")
			}
		}
	case strings > 0:
	case c >= 'a' && c <= 'z':
		t.Kind = Keyword
	case c >= '0' && c <= '9' || c == '+' || c == '-':
		t.Kind = Number
	}
	return t, nil
}

// skipString steps over a string and checks its characters and escapes.
func (l *lexer) skipString() *Error {
	text := l.src.Text
	start := l.off
	for i := start + 1; i < len(text); {
		switch c := text[i]; {
		case c == '"':
			l.off = i + 1
			return nil
		case c == '\n' || c == '\r':
			return l.errorf(start, "unclosed string")
		case c < ' ' || c == 0x7f:
			return l.errorf(i, "illegal character %q", c)
		case c == '\\':
			n, ok := escapeLen(text[i:])
			if !ok {
				if i+1 == len(text) {
					return l.errorf(start, "unclosed string")
				}
				return l.errorf(i, "illegal escape")
			}
			i += n
		default:
			i++
		}
	}
	return l.errorf(start, "unclosed string")
}

// annotationFollows reports whether the parenthesis just read begins an
// annotation.
func (l *lexer) annotationFollows() bool {
	return l.off < len(l.src.Text) && l.src.Text[l.off] == '@'
}

// annotation reads an annotation that begins at start; its parenthesis has been
// read. Annotations inside it are part of its content like any other list.
func (l *lexer) annotation(start int) *Error {
	id, err := l.annotationID()
	if err != nil {
		return err
	}
	var content []Token
	var open []uint32
	for {
		t, err := l.next()
		if err != nil {
			return err
		}
		switch {
		case t.Kind == EOF:
			return l.errorf(start, "unclosed annotation")
		case t.Kind == RParen && len(open) == 0:
			for _, k := range l.keep {
				if k == id {
					l.src.Annotations = append(l.src.Annotations, Annotation{
						Off: uint32(start), End: uint32(l.off), ID: id,
						Token: uint32(len(l.src.Tokens)), Content: content,
					})
				}
			}
			return nil
		}
		if err := l.append(&content, &open, t, ""); err != nil {
			return err
		}
	}
}

// annotationID reads the identifier of an annotation: what follows `(@`.
func (l *lexer) annotationID() (string, *Error) {
	text := l.src.Text
	l.off++
	start := l.off
	if start < len(text) && text[start] == '"' {
		if err := l.skipString(); err != nil {
			return "", err
		}
		id, err := l.src.StringText(uint32(start), uint32(l.off))
		switch {
		case err != nil:
			return "", err
		case len(id) == 0:
			return "", l.errorf(start, "empty annotation id")
		case !utf8.Valid(id):
			return "", l.errorf(start, "malformed UTF-8 encoding")
		}
		return string(id), nil
	}
	for l.off < len(text) && class[text[l.off]]&classID != 0 {
		l.off++
	}
	if l.off == start {
		return "", l.errorf(start, "empty annotation id")
	}
	return string(text[start:l.off]), nil
}
