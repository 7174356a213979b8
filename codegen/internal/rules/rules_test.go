package rules

import (
	"strings"
	"testing"
)

const prelude = `(output (package p) (receiver c *T))
(type N N (switch op)) (type V V) (type I int) (type E E (enum A B))
(variant N add opAdd (x V) (y V))
(variant N k opK (imm I))
(decl def (N) V) (extern extractor def) (convert N V def)
(decl reg (V) I) (extern constructor reg) (convert V I reg)
(decl fit (I) I) (extern extractor fit)
(decl wide (I) I) (extern extractor wide)
(decl f (I) I) (extern constructor f)
(decl pure pf (I) I) (extern constructor pf)
(decl pure partial pp (I) I) (extern constructor pp)
(decl multi each (N) V) (extern extractor each)
(decl partial t (N) I)
(decl e (E) I) (extern constructor e)
`

func TestErrors(t *testing.T) {
	for _, tt := range []struct{ src, want string }{
		{"(rule (t (add a _)) a", "r.rules:1:1: list without its closing parenthesis"},
		{"\n )", "r.rules:2:2: unexpected )"},
		{`(type "x`, "r.rules:1:7: string without its closing quote"},
		{"(rule (t (k 0x)) 1)", "r.rules:1:13: bad integer 0x"},
		{"(rule (t (k 99999999999999999999)) 1)", "r.rules:1:13: integer too large: 99999999999999999999"},
		{"(rule (t (k 012)) 1)", "r.rules:1:13: leading zero in 012"},
		{strings.Repeat("(", 300), "r.rules:1:201: lists nested more than 200 deep"},
		{"(foo)", "r.rules:1:1: expected a declaration or a rule, found (foo …)"},
		{"(rule (t (mul a b)) 1)", "r.rules:1:10: unknown term mul"},
		{"(rule (t (add a)) 1)", "r.rules:1:10: add takes 2 arguments, found 1"},
		{"(rule (t) 1)", "r.rules:1:7: t takes 1 arguments, found 0"},
		{"(rule (t (add a b)) a)", "r.rules:1:17: b is bound but not used (write _ or _b)"},
		{"(rule (t (add a _)) (let ((x (f a))) 1))", "r.rules:1:27: x is bound but not used (write _ to call for the effect alone)"},
		{"(rule (t (add a _)) q)", "r.rules:1:21: unknown variable q"},
		{"(rule (t (k E.A)) 1)", "r.rules:1:13: expected a I, found E.A of type E"},
		{"(rule (t (k E.C)) 1)", "r.rules:1:13: unknown constant E.C"},
		{"(rule (t (k a)) (e a))", "r.rules:1:20: expected a E, found a of type I"},
		{"(rule (t (k (add _ _))) 1)", "r.rules:1:13: expected a pattern of type I, found add of type N"},
		{"(rule (t (k a)) (pp a))", "r.rules:1:17: pp may fail: call it in an if-let, before the rule has matched"},
		{"(rule (t (k a)) (if-let b (f a)) b)", "r.rules:1:27: f isn't pure: a guard can't call it"},
		{"(rule (t (k a)) (unless a) 1)", "r.rules:1:17: expected (if EXPR) or (if-let PATTERN EXPR), found (unless …)"},
		{"(rule (t (k a)) (fit a))", "r.rules:1:17: fit has no constructor: it can't stand in an expression"},
		{"(rule (t (k (f a))) 1)", "r.rules:1:13: f has no extractor: it can't stand in a pattern"},
		{"(rule (t (add (each a) _)) 1)", "r.rules:1:15: each yields several results: only rules of a multi term can use it"},
		{"(rule (t (and (k _) (add _ _))) 1)", "r.rules:1:21: never matches: the same value must be both opK and opAdd"},
		{"(rule (t (add a _)) a)\n(rule (t (add _ b)) b)", "r.rules:2:1: matches some of what the rule at r.rules:1:1 matches, at the same priority"},
		{"(rule (t (k (fit a))) a)\n(rule (t (k (wide a))) a)", "r.rules:2:1: matches some of what the rule at r.rules:1:1 matches, at the same priority"},
		{"(disjoint fit wide)(rule (t (k (fit a))) a)\n(rule (t (k (wide a))) a)", ""},
		{"(extern const $Z I zero)(disjoint $Z wide)(disjoint fit wide)(rule (t (k $Z)) 1)\n(rule (t (k (wide a))) a)", ""},
		{"(extern const $Z I zero)(disjoint $Z wide)(disjoint fit wide)(rule (t (k $Z)) 1)\n(rule (t (k (fit a))) a)", "r.rules:2:1: matches some of what the rule at r.rules:1:62 matches, at the same priority"},
		{"(rule (t (k 1)) 2)\n(rule (t (k 2)) 3)", ""},
		{"(rule low (t (add a (k 1))) a)\n(rule 1 (t (add a _)) a)", "r.rules:1:1: never reached: the rule at r.rules:2:1 is tried before and matches all of it"},
		{"(rule 1 (t (add a (k 1))) a)\n(rule (t (add a _)) a)", ""},
		{"(decl loop (I) I) (rule (loop a) (loop2 a)) (decl loop2 (I) I) (rule (loop2 a) (loop a))", "r.rules:1:1: loop can call itself but isn't declared rec"},
		{"(decl rec loop (I) I) (rule (loop a) (loop2 a)) (decl loop2 (I) I) (rule (loop2 a) (loop a))", ""},
		{"(decl m (V) V) (extractor (m a) (m a)) (rule (t (add (m _) _)) 1)", "r.rules:1:33: extractor m expands to itself"},
		{"(decl m (V) V) (extractor (m a) (and a a)) (rule (t (add " + strings.Repeat("(m ", 12) + "_" + strings.Repeat(")", 12) + " _)) 1)", "r.rules:1:94: the pattern has more than 1000 parts"},
		{"(decl nothing (I) I)", "r.rules:1:1: nothing has neither rules nor an extractor nor an external constructor"},
		{"(rule (f a) a)", "r.rules:1:1: f has an external constructor: it can't have rules too"},
		{"(type V V)", "r.rules:1:1: type V is declared twice; the other is at prelude:2:24"},
		{"(decl fit (I) I)", "r.rules:1:1: term fit is declared twice; the other is at prelude:7:1"},
		{"(decl and (I) I)", "r.rules:1:1: and is a reserved word"},
		{"(decl x (Q) I)", "r.rules:1:10: unknown type Q"},
		{"(convert V E reg)", "r.rules:1:14: reg must be declared (V) E to convert between them"},
		{"(rule 5000 (t (k a)) a)", "r.rules:1:7: priority out of range: 5000"},
		{"(rule (t (k a @ 1)) a)", "r.rules:1:10: k takes 1 arguments, found 3"},
		{"(rule (t (k (a @ 1))) a)", ""},
	} {
		_, err := Load([]Source{{"prelude", prelude}, {"r.rules", tt.src + "\n(rule -9 (t _) 0)"}})
		got := ""
		if err != nil {
			got = err.(ErrorList)[0].Error()
		}
		// A file that ends inside a list swallows the rule added to it.
		if got != tt.want {
			t.Errorf("%s\n got %s\nwant %s", tt.src, got, tt.want)
		}
	}
}

// FuzzLoad holds that no text makes the compiler panic, and that what it accepts generates code that parses.
func FuzzLoad(f *testing.F) {
	f.Add("(rule (t (add a (k 1))) (if-let (fit b) (pf 2)) (let ((x (f b)) (y (f a))) (f x)))")
	f.Add("(decl multi m (N) I) (rule (m (each (k x))) x) (rule (m (each (add a a))) a)")
	f.Add("(decl m (V I) V) (extractor (m a b) (add (def (add a a)) (k b))) (rule (t (add (m x 1) x)) 1)")
	f.Add("(disjoint fit wide) (extern const $X I \"1\") (rule 1 (t (k (and (fit a) $X))) (let ((b a)) b))")
	f.Fuzz(func(t *testing.T, src string) {
		p, err := Load([]Source{{"prelude", prelude}, {"r.rules", src}})
		if err != nil {
			return
		}
		// Go names and expressions are copied from the rules: only those of the prelude are known to be good.
		for _, w := range []string{"type", "extern", "variant", "output", "decl", "\""} {
			if strings.Contains(src, w) {
				return
			}
		}
		if _, err := p.Generate("rulesc"); err != nil {
			t.Fatal(err)
		}
	})
}
