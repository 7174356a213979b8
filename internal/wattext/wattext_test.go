package wattext

import (
	"fmt"
	"math"
	"strings"
	"testing"
)

// kinds lists the tokens of a text.
func kinds(src string) string {
	s, err := Lex([]byte(src))
	if err != nil {
		return err.Error()
	}
	var b strings.Builder
	for _, t := range s.Tokens {
		fmt.Fprintf(&b, "%c", "E()sikn?"[t.Kind])
	}
	return b.String()
}

func TestTokens(t *testing.T) {
	for _, c := range []struct{ src, want string }{
		{"", "E"},
		{"(a $b 1 \"c\")", "(kins)E"},
		{"a;;comment\nb", "kkE"},
		{"a;;comment\rb", "kkE"},
		{"a(;x(;y;)z;)b", "kkE"},
		{"(a)(b)", "(k)(k)E"},
		{"$a$b a\"b\" \"a\"\"b\" 0$x $x\"y\"", "i??n?E"},
		{"$\"a b\"", "iE"},
		{"+1 -x nan inf A =", "nnkk??E"},
		{", [ ] { }", "?????E"},
		{"(@x (a) \"b\" [ ] (@ y))z", "kE"},
		{"((@x)a)", "(k)E"},
		{"\"\\t\\n\\r\\\"\\'\\\\\\u{10_ffff}\\fF\"", "sE"},
		{"\"\\u{110000}\"", "1:2: illegal escape"},
		{"\"\\u{d800}\"", "1:2: illegal escape"},
		{"\"\\u{}\"", "1:2: illegal escape"},
		{"\"\\", "1:1: unclosed string"},
		{"\"a\nb\"", "1:1: unclosed string"},
		{"\"a\x01\"", "1:3: illegal character '\\x01'"},
		{"a\n é", "2:2: illegal character 'é'"},
		{"\n\r\n\ré \xff", "4:3: malformed UTF-8 encoding"},
		{"(@)", "1:3: empty annotation id"},
		{"(@x (y)", "1:1: unclosed annotation"},
		{"$", "1:1: empty identifier"},
		{"$\"\"", "1:1: empty identifier"},
		{"$\"\\ff\"", "1:1: malformed UTF-8 encoding"},
		{"(;", "1:1: unclosed comment"},
		{"(;)", "1:1: unclosed comment"},
	} {
		if got := kinds(c.src); got != c.want {
			t.Errorf("%q: %s, want %s", c.src, got, c.want)
		}
	}
}

func TestPairs(t *testing.T) {
	s, err := Lex([]byte("(a (b) (@x (y)) (c (d)))"))
	if err != nil {
		t.Fatal(err)
	}
	for i, tok := range s.Tokens {
		if tok.Kind == LParen && (s.Tokens[tok.Pair].Kind != RParen || s.Tokens[tok.Pair].Pair != uint32(i)) {
			t.Errorf("token %d: its partner %d does not know it", i, tok.Pair)
		}
	}
}

func TestInt(t *testing.T) {
	for _, c := range []struct {
		src  string
		bits int
		want uint64
		st   Status
	}{
		{"0", 32, 0, OK}, {"1_000", 32, 1000, OK}, {"0xFf", 8, 255, OK}, {"256", 8, 0, Range},
		{"-1", 32, math.MaxUint64, OK}, {"-0x80000000", 32, 0xffffffff80000000, OK}, {"-0x80000001", 32, 0, Range},
		{"+5", 32, 5, OK}, {"4294967295", 32, math.MaxUint32, OK}, {"4294967296", 32, 0, Range},
		{"18446744073709551615", 64, math.MaxUint64, OK}, {"18446744073709551616", 64, 0, Range},
		{"-9223372036854775808", 64, 1 << 63, OK}, {"-9223372036854775809", 64, 0, Range},
		{"", 32, 0, Malformed}, {"-", 32, 0, Malformed}, {"_1", 32, 0, Malformed}, {"1_", 32, 0, Malformed},
		{"1__0", 32, 0, Malformed}, {"0x", 32, 0, Malformed}, {"0x_1", 32, 0, Malformed}, {"1a", 32, 0, Malformed},
		{"99999999999999999999x", 64, 0, Malformed}, {"--1", 32, 0, Malformed}, {"0X1", 32, 0, Malformed},
	} {
		if v, st := ParseInt([]byte(c.src), c.bits); v != c.want || st != c.st {
			t.Errorf("%s as i%d: %#x, %d; want %#x, %d", c.src, c.bits, v, st, c.want, c.st)
		}
	}
}

func TestFloat(t *testing.T) {
	for _, c := range []struct {
		src  string
		bits int
		want uint64
		st   Status
	}{
		{"0", 32, 0, OK}, {"-0", 32, 1 << 31, OK}, {"1.", 32, 0x3f800000, OK}, {"1.5e0", 32, 0x3fc00000, OK},
		{"1_0.0_1e+1_0", 64, math.Float64bits(10.01e10), OK}, {"0x1p0", 64, 0x3ff0000000000000, OK},
		{"0x1.8", 32, 0x3fc00000, OK}, {"0xA.p-1", 32, 0x40a00000, OK}, {"0x1.000001p0", 32, 0x3f800000, OK},
		{"0x1.000001000000000001p0", 32, 0x3f800001, OK}, // just above a tie
		{"0x1.00000100000000000p0", 32, 0x3f800000, OK},  // a tie goes to even
		{"0x1p-149", 32, 1, OK}, {"0x1p-150", 32, 0, OK}, {"0x1.8p-150", 32, 1, OK},
		{"340282356779733661637539395458142568448", 32, 0, Range}, {"1e39", 32, 0, Range}, {"1e309", 64, 0, Range},
		{"0x1p1024", 64, 0, Range}, {"1e-9999", 64, 0, OK},
		{"inf", 32, 0x7f800000, OK}, {"-inf", 64, 0xfff0000000000000, OK}, {"nan", 32, 0x7fc00000, OK},
		{"-nan:0x7f_ffff", 32, 0xffffffff, OK}, {"nan:0x0", 32, 0, Range}, {"nan:0x80_0000", 32, 0, Range},
		{"nan:0x4_0000_0000_0000", 64, 0x7ff4000000000000, OK}, {"nan:1", 32, 0, Malformed}, {"nan:0x", 32, 0, Malformed},
		{".5", 32, 0, Malformed}, {"1.e", 32, 0, Malformed}, {"1e", 32, 0, Malformed}, {"0x1p", 32, 0, Malformed},
		{"1._5", 32, 0, Malformed}, {"1_.5", 32, 0, Malformed}, {"0x1pf", 32, 0, Malformed}, {"infinity", 32, 0, Malformed},
		{"1p3", 32, 0, Malformed}, {"0x1e5", 64, math.Float64bits(0x1e5), OK}, {"+-1", 32, 0, Malformed}, {"", 32, 0, Malformed},
	} {
		if v, st := ParseFloat([]byte(c.src), c.bits); v != c.want || st != c.st {
			t.Errorf("%s as f%d: %#x, %d; want %#x, %d", c.src, c.bits, v, st, c.want, c.st)
		}
	}
}

// FuzzLex checks that tokens lie in order inside the text and parentheses
// match, whatever the text.
func FuzzLex(f *testing.F) {
	for _, s := range []string{"", "(a $b \"c\\00\" 1)", "(; (; ;) ;) ;; x", "(@a (b) [,])(c)", "$\"\\u{1f600}\"", "\"\\", "((@a)"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		s, err := Lex(text, "a")
		if err != nil {
			if err.Line < 1 || err.Column < 1 || err.Msg == "" {
				t.Fatalf("error without place or message: %v", err)
			}
			return
		}
		end, depth := uint32(0), 0
		for i, tok := range s.Tokens {
			if tok.Off < end || tok.End < tok.Off || int(tok.End) > len(text) {
				t.Fatalf("token %d lies at %d to %d, after %d", i, tok.Off, tok.End, end)
			}
			end = tok.End
			switch tok.Kind {
			case LParen:
				depth++
				if s.Tokens[tok.Pair].Pair != uint32(i) {
					t.Fatalf("token %d: its partner does not know it", i)
				}
			case RParen:
				depth--
			case String:
				if _, err := s.StringText(tok.Off, tok.End); err != nil {
					t.Fatalf("token %d: %v", i, err)
				}
			}
			if depth < 0 {
				t.Fatalf("token %d closes what is not open", i)
			}
		}
		if n := len(s.Tokens); depth != 0 || n == 0 || s.Tokens[n-1].Kind != EOF {
			t.Fatalf("open parentheses or no end")
		}
	})
}
