package filetest

import (
	"strings"
	"testing"
)

func TestFilecheck(t *testing.T) {
	const text = "alpha v1\nbeta v12, v3\ngamma v12\ndelta [x] $5\nbeta again\n"
	for _, c := range []struct {
		name, directives string
		line             int // of the directive that fails, from 1; 0: none does
		want             string
	}{
		{"in order", "check: alpha\ncheck: gamma\ncheck: beta again", 0, ""},
		{"out of order", "check: gamma\ncheck: alpha", 2, "not found"},
		{"same line", "check: beta\nsameln: v3\nnextln: gamma", 0, ""},
		{"not on the same line", "check: alpha\nsameln: beta", 2, "not found"},
		{"not on the next line", "check: alpha\nnextln: gamma", 2, "not found"},
		{"first line", "sameln: alpha", 0, ""},
		{"words", "check: v1\ncheck: v12", 0, ""},
		{"part of a word", "check: bet", 1, "not found"},
		{"not between", "check: alpha\nnot: delta\ncheck: gamma", 0, ""},
		{"not, but there", "check: alpha\nnot: beta\ncheck: gamma", 2, `found "beta"`},
		{"not to the end", "check: gamma\nnot: again", 2, "found"},
		{"unordered", "check: alpha\nunordered: gamma\nunordered: beta\ncheck: delta", 0, ""},
		{"unordered twice", "unordered: beta\nunordered: beta", 0, ""},
		{"unordered too often", "unordered: gamma\nunordered: gamma", 2, "not found"},
		{"variable", "check: beta $(V=v\\d+)\ncheck: gamma $V", 0, ""},
		{"variable of another value", "check: alpha $(V=v\\d+)\ncheck: gamma $V", 2, "not found"},
		{"defined expression", "regex: R=v\\d+\ncheck: gamma $R\ncheck: delta", 0, ""},
		{"undefined variable", "check: $X", 1, "not defined"},
		{"literal", "check: [x] $$5", 0, ""},
		{"expression only", "check: $(=[ab]+lpha)", 0, ""},
		{"bad expression", "check: $(V=[)", 1, "missing"},
	} {
		var checks []check
		for i, d := range strings.Split(c.directives, "\n") {
			m := directiveRE.FindStringSubmatch(d)
			if m == nil {
				t.Fatalf("%s: %q is no directive", c.name, d)
			}
			checks = append(checks, check{m[1], i + 1, strings.TrimSpace(m[2])})
		}
		line, err := runChecks(checks, text)
		switch {
		case c.line == 0 && err != nil:
			t.Errorf("%s: %v", c.name, err)
		case c.line > 0 && (err == nil || line != c.line || !strings.Contains(err.Error(), c.want)):
			t.Errorf("%s: line %d: %v, want line %d: %s", c.name, line, err, c.line, c.want)
		}
	}
}

// TestFailuresCount holds that every kind of wrong expectation is a failure.
func TestFailuresCount(t *testing.T) {
	for _, c := range []struct{ src, want string }{
		{"test interpret\nfunction %f() -> i32 {\nblock0:\n v0 = iconst.i32 1\n return v0\n}\n; run: %f() == 2\n", "got 1, want == 2"},
		{"test interpret\nfunction %f() -> i32 {\nblock0:\n v0 = iconst.i32 1\n return v0\n}\n; run: %f() != 1\n", "got 1, want != 1"},
		{"test interpret\nfunction %f() -> i32 {\nblock0:\n v0 = iconst.i32 0\n return v0\n}\n; run\n", "not zero"},
		{"test interpret\nfunction %f(i8) -> i32 {\nblock0(v0: i8):\n trap user3\n}\n; run: %f(1) == 2\n", "trap: user3"},
		{"test interpret\nfunction %f(i8) -> i32 {\nblock0(v0: i8):\n trap user3\n}\n; run: %f(300) == 2\n", "`300` is not a number of type i8"},
		{"test verifier\nfunction %f() -> i32 {\nblock0:\n trap user1 ; error: something\n}\n", `does not say "something"`},
		{"test verifier\nfunction %f() -> i32 {\nblock0:\n return\n}\n", "unexpected error"},
		{"test cat\nfunction %f() {\nblock0:\n return\n}\n; check: jump\n", "not found"},
		{"test domtree\nfunction %f() {\nblock0:\n jump block1\nblock1:\n return\n}\n", "which no directive says"},
		{"test domtree\nfunction %f() {\nblock0:\n jump block1\nblock1:\n jump block2 ; dominates: block1\nblock2:\n return\n}\n", "the immediate dominator of block1 is block0, not block1"},
		{"test frob\nfunction %f() {\nblock0:\n return\n}\n", "test frob: not supported"},
		{"test compile\ntarget x86_64 has_frob\nfunction %f() {\nblock0:\n return\n}\n", "has_frob"},
		{"function %f() {\nblock0:\n return\n}\n", "no test command"},
		{"test cat\nfunction %f() {", "expected"},
	} {
		r := Source("f.clif", c.src, Options{})
		if r.Failed != 1 || r.Passed != 0 || !strings.Contains(r.Failures[0], c.want) {
			t.Errorf("%q: %+v, want a failure with %s", c.src, r, c.want)
		}
	}
}
