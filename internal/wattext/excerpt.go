package wattext

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Excerpt is the line of a text that an error lies in, ready to be shown in
// a terminal: tabs are spaces, what cannot be seen is a replacement character,
// and of a long line there is only the part around the place.
type Excerpt struct {
	Text  string
	Caret int // columns of the terminal to the left of the place
}

// Of a line, this many columns are shown on both sides of the place.
const (
	excerptBefore = 60
	excerptAfter  = 40
	tabStop       = 4
)

// newExcerpt is the line of offset off in src.
func newExcerpt(src []byte, off int) Excerpt {
	off = min(off, len(src))
	_, start := lineOf(src, off)
	// What lies further away cannot be shown: lines may be megabytes long. No
	// character takes more than four bytes.
	if far := off - 4*excerptBefore; start < far {
		for start = far; start < off && !utf8.RuneStart(src[start]); start++ {
		}
	}
	end := off
	for end < len(src) && end < off+4*excerptAfter && src[end] != '\n' && src[end] != '\r' {
		end++
	}
	if end < len(src) { // whole characters only
		for n := 0; n < utf8.UTFMax && end > off && !utf8.RuneStart(src[end]); n++ {
			end--
		}
	}
	var b strings.Builder
	var columns []int // of each byte of b, its column
	column, caret, caretByte := 0, 0, 0
	put := func(s string) {
		for range len(s) {
			columns = append(columns, column)
		}
		b.WriteString(s)
	}
	for i := start; ; {
		if i == off {
			caret, caretByte = column, b.Len()
		}
		if i >= end {
			break
		}
		r, n := utf8.DecodeRune(src[i:end])
		switch w := runeWidth(r); {
		case r == '\t':
			w = tabStop - column%tabStop
			put(strings.Repeat(" ", w))
			column += w
		case r == utf8.RuneError && n == 1 || unicode.IsControl(r) || unicode.Is(unicode.Cf, r):
			put("\ufffd")
			column++
		default:
			put(string(src[i : i+n]))
			column += w
		}
		i += n
	}
	text := b.String()
	from, to := 0, len(text)
	for from < caretByte && caret-columns[from] > excerptBefore {
		from++
	}
	for k := caretByte; k < to; k++ {
		if columns[k]-caret >= excerptAfter {
			to = k
		}
	}
	for from > 0 && from < len(text) && !utf8.RuneStart(text[from]) {
		from++
	}
	for to < len(text) && !utf8.RuneStart(text[to]) {
		to--
	}
	if from > 0 || cutBefore(src, start) {
		if from < len(columns) {
			caret -= columns[from]
		}
		return Excerpt{"…" + text[from:to] + dots(to < len(text) || cutAfter(src, end)), caret + 1}
	}
	return Excerpt{text[:to] + dots(to < len(text) || cutAfter(src, end)), caret}
}

func cutBefore(src []byte, start int) bool {
	return start > 0 && src[start-1] != '\n' && src[start-1] != '\r'
}

func cutAfter(src []byte, end int) bool {
	return end < len(src) && src[end] != '\n' && src[end] != '\r'
}

func dots(cut bool) string {
	if cut {
		return "…"
	}
	return ""
}

// Lines shows the line under its number, with a caret under the place:
//
//	  |
//	7 |   i32.cnst 1
//	  |   ^
func (e Excerpt) Lines(line int) string {
	number := strconv.Itoa(line)
	margin := strings.Repeat(" ", len(number)+1) + "|"
	text := strings.TrimRight(e.Text, " ")
	if text != "" {
		text = " " + text
	}
	return margin + "\n" + number + " |" + text + "\n" + margin + " " + strings.Repeat(" ", e.Caret) + "^\n"
}

// runeWidth is how many columns a terminal gives to a character: none to marks
// that combine with the character before, two to the wide ones of East Asia and
// to pictures, one to all others.
func runeWidth(r rune) int {
	switch {
	case r < 0x300:
		return 1
	case unicode.In(r, unicode.Mn, unicode.Me):
		return 0
	}
	for _, w := range wide {
		if r >= w[0] && r <= w[1] {
			return 2
		}
	}
	return 1
}

// wide are the ranges of wide characters, as Unicode's EastAsianWidth.txt has
// them, without gaps of unassigned characters.
var wide = [...][2]rune{
	{0x1100, 0x115f}, {0x231a, 0x231b}, {0x2329, 0x232a}, {0x23e9, 0x23ec}, {0x23f0, 0x23f0}, {0x23f3, 0x23f3},
	{0x25fd, 0x25fe}, {0x2614, 0x2615}, {0x2648, 0x2653}, {0x267f, 0x267f}, {0x2693, 0x2693}, {0x26a1, 0x26a1},
	{0x26aa, 0x26ab}, {0x26bd, 0x26be}, {0x26c4, 0x26c5}, {0x26ce, 0x26ce}, {0x26d4, 0x26d4}, {0x26ea, 0x26ea},
	{0x26f2, 0x26f3}, {0x26f5, 0x26f5}, {0x26fa, 0x26fa}, {0x26fd, 0x26fd}, {0x2705, 0x2705}, {0x270a, 0x270b},
	{0x2728, 0x2728}, {0x274c, 0x274c}, {0x274e, 0x274e}, {0x2753, 0x2755}, {0x2757, 0x2757}, {0x2795, 0x2797},
	{0x27b0, 0x27b0}, {0x27bf, 0x27bf}, {0x2b1b, 0x2b1c}, {0x2b50, 0x2b50}, {0x2b55, 0x2b55}, {0x2e80, 0x303e},
	{0x3041, 0x33ff}, {0x3400, 0x4dbf}, {0x4e00, 0xa4cf}, {0xa960, 0xa97f}, {0xac00, 0xd7a3}, {0xf900, 0xfaff},
	{0xfe10, 0xfe19}, {0xfe30, 0xfe6f}, {0xff00, 0xff60}, {0xffe0, 0xffe6}, {0x16fe0, 0x18aff}, {0x1b000, 0x1b2ff},
	{0x1f004, 0x1f004}, {0x1f0cf, 0x1f0cf}, {0x1f18e, 0x1f18e}, {0x1f191, 0x1f19a}, {0x1f200, 0x1f320},
	{0x1f32d, 0x1f335}, {0x1f337, 0x1f37c}, {0x1f37e, 0x1f393}, {0x1f3a0, 0x1f3ca}, {0x1f3cf, 0x1f3d3},
	{0x1f3e0, 0x1f3f0}, {0x1f3f4, 0x1f3f4}, {0x1f3f8, 0x1f43e}, {0x1f440, 0x1f440}, {0x1f442, 0x1f4fc},
	{0x1f4ff, 0x1f53d}, {0x1f54b, 0x1f54e}, {0x1f550, 0x1f567}, {0x1f57a, 0x1f57a}, {0x1f595, 0x1f596},
	{0x1f5a4, 0x1f5a4}, {0x1f5fb, 0x1f64f}, {0x1f680, 0x1f6c5}, {0x1f6cc, 0x1f6cc}, {0x1f6d0, 0x1f6d2},
	{0x1f6d5, 0x1f6df}, {0x1f6eb, 0x1f6ec}, {0x1f6f4, 0x1f6fc}, {0x1f7e0, 0x1f7eb}, {0x1f90c, 0x1f93a},
	{0x1f93c, 0x1f945}, {0x1f947, 0x1f9ff}, {0x1fa70, 0x1faff}, {0x20000, 0x2fffd}, {0x30000, 0x3fffd},
}
