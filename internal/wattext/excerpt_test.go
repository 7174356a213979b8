package wattext

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func TestExcerpt(t *testing.T) {
	long := strings.Repeat("0123456789", 30)
	for _, test := range []struct {
		src, at, want string // the place is where at begins
	}{
		{"(module\n  (func i32.cnst 1))\n", "i32.cnst", "  |\n2 |   (func i32.cnst 1))\n  |         ^\n"},
		{"a\r\n\tb\tc\r\nd", "c", "  |\n2 |     b   c\n  |         ^\n"},
		{"\"日本語é\" x", "x", "  |\n1 | \"日本語é\" x\n  |           ^\n"},
		{"\"e\u0301🎉\" x", "x", "  |\n1 | \"e\u0301🎉\" x\n  |       ^\n"},
		{"a\x00\u202eb", "b", "  |\n1 | a\ufffd\ufffdb\n  |    ^\n"},
		{"a\xffb", "b", "  |\n1 | a\ufffdb\n  |   ^\n"},
		{"(", "", "  |\n1 | (\n  |  ^\n"},
		{"", "", "  |\n1 |\n  | ^\n"},
		{"a\n", "", "  |\n2 |\n  | ^\n"},
		{long + "x" + long, "x", "  |\n1 | …" + long[:60] + "x" + long[:39] + "…\n  | " + strings.Repeat(" ", 61) + "^\n"},
		{strings.Repeat("\n", 99) + "x y", "y", "    |\n100 | x y\n    |   ^\n"},
	} {
		off := len(test.src)
		if test.at != "" {
			off = strings.Index(test.src, test.at)
		}
		e := NewError([]byte(test.src), off, "")
		if got := e.Excerpt.Lines(e.Line); got != test.want {
			t.Errorf("%.40q at %q:\n%s\nwant\n%s", test.src, test.at, got, test.want)
		}
	}
}

// FuzzExcerpt checks that a place anywhere in any text can be shown, in a line
// of bounded width.
func FuzzExcerpt(f *testing.F) {
	f.Add([]byte("(module\n\t(func \"日本\" \xff))\r\n"), uint(9))
	f.Add([]byte(strings.Repeat("日\t", 500)), uint(1000))
	f.Add([]byte(strings.Repeat("\u0301", 500)), uint(700))
	f.Add([]byte{0xff, 0xfe, 0x80, 0x80, 0x80, 0x80, 0x80}, uint(3))
	f.Fuzz(func(t *testing.T, src []byte, off uint) {
		x := NewError(src, int(off%uint(len(src)+1)), "").Excerpt
		if !utf8.ValidString(x.Text) || strings.ContainsAny(x.Text, "\n\r\t") {
			t.Fatalf("%q cannot be shown", x.Text)
		}
		width := 0
		for _, r := range x.Text {
			width += runeWidth(r)
		}
		if x.Caret < 0 || x.Caret > width || width > excerptBefore+excerptAfter+2*2+tabStop {
			t.Fatalf("caret %d in a line of %d columns", x.Caret, width)
		}
	})
}
