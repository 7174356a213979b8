package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/davit-wasm/davit/internal/oracle"
	"github.com/davit-wasm/davit/wasm"
	"github.com/davit-wasm/davit/wat"
)

// A reducer makes a module on which two engines differ smaller, as long as they differ
// in the same way: it leaves out lines of the text, or puts in their place what has
// the same type, until no line can go.
type reducer struct {
	a, b    fuzzEngine
	calls   []fuzzCall
	globals []string
	want    string   // in which way they differ
	lines   []string // of the smallest module so far
}

// reduceSteps is how many instructions of the IR a call of a smaller module may run in
// davit's interpreter, which comes first: what has been left out may be what ended a loop.
const reduceSteps = 1 << 20

// longSpan is from how many lines on nothing is tried that takes operands and computes something:
// spans that long are statements, if anything.
const longSpan = 8

// replacements are what can take the place of lines, with | between instructions: values for
// what has been computed, with up to two operands dropped, or an end.
var replacements = func() (list []string) {
	list = []string{"", "drop", "drop|drop", "unreachable"}
	for _, value := range []string{"i32.const 0", "i32.const 1", "i64.const 0", "f32.const 0", "f64.const 0", "v128.const i32x4 0 0 0 0"} {
		list = append(list, value, "drop|"+value, "drop|drop|"+value)
	}
	return list
}()

// reduce is the text of a smaller module on which a and b differ, and the calls that
// show it.
func reduce(code []byte, calls []fuzzCall, globals []string, a, b fuzzEngine) (text string, needed []fuzzCall, err error) {
	m, err := wasm.Decode(code, nil)
	if err != nil {
		return "", nil, err
	}
	whole, err := wat.Print(m, nil)
	if err != nil {
		return "", nil, err
	}
	r := &reducer{a: a, b: b, calls: calls, globals: globals}
	lines := textLines(string(whole))
	if r.want = r.way(lines); r.want == "" {
		return "", nil, fmt.Errorf("%s and %s do not differ on the text of the module", a.name(), b.name())
	}
	r.lines = lines
	for i := len(calls) - 1; i >= 0; i-- {
		all := r.calls
		if r.calls = slices.Delete(slices.Clone(all), i, i+1); r.way(lines) != r.want {
			r.calls = all
		}
	}
	for r.pass() {
	}
	return strings.Join(r.lines, "\n") + "\n", r.calls, nil
}

// textLines is the lines of a printed module, with each parenthesis that closes one of another line
// on a line of its own.
func textLines(text string) (lines []string) {
	text, _ = strings.CutSuffix(strings.TrimSpace(text), ")")
	for line := range strings.SplitSeq(text, "\n") {
		before, found := strings.CutSuffix(line, ")")
		if found = found && nesting(line) < 0; found {
			line = before
		}
		if lines = append(lines, line); found {
			lines = append(lines, "  )")
		}
	}
	return append(lines, ")")
}

// nesting is how many more parentheses a line opens than it closes.
func nesting(line string) int {
	if strings.HasPrefix(line, "  (data") {
		return 0 // some may be in its string
	}
	return strings.Count(line, "(") - strings.Count(line, ")")
}

// pass tries all spans of lines, the longest first, and reports whether any could be
// replaced.
func (r *reducer) pass() (smaller bool) {
	for n := 256; n > 0; n -= max(1, n/4) {
		for i := len(r.lines) - n - 1; i > 0; i-- {
			i = min(i, len(r.lines)-n-1)
			smaller = i > 0 && r.replace(i, n) || smaller
		}
	}
	return smaller
}

// replace puts something smaller in the place of n lines from line i on.
func (r *reducer) replace(i, n int) bool {
	old := r.lines[i : i+n]
	open := 0
	for _, l := range old {
		if open += nesting(l); open < 0 || strings.HasPrefix(l, "  (export") {
			return false
		}
	}
	if open != 0 {
		return false
	}
	indent := old[0][:len(old[0])-len(strings.TrimLeft(old[0], " "))]
	for _, text := range replacements {
		var lines []string
		if text != "" {
			lines = strings.Split(indent+strings.ReplaceAll(text, "|", "|"+indent), "|")
		}
		if !lighter(lines, old) || n > longSpan && len(lines) > 1 {
			continue
		}
		try := slices.Concat(r.lines[:i], lines, r.lines[i+n:])
		if r.way(try) == r.want {
			r.lines = try
			return true
		}
	}
	return false
}

// lighter reports whether lines are fewer than old, or one that does less than the old one,
// so that reduction comes to an end.
func lighter(lines, old []string) bool {
	if len(lines) != len(old) || len(lines) != 1 {
		return len(lines) < len(old)
	}
	weight := func(line string) int {
		for w, word := range []string{"unreachable", "const", "drop"} {
			if strings.Contains(line, word) {
				return w
			}
		}
		return 3
	}
	return weight(lines[0]) < weight(old[0])
}

// way is in which way a and b differ on a module, "" if they do not or it is none.
func (r *reducer) way(lines []string) string {
	code, err := wat.Compile([]byte(strings.Join(lines, "\n")), nil)
	if err != nil {
		return ""
	}
	judge := oracleFuzz{opts: oracle.Options{Fuel: reduceSteps}}
	if _, err := judge.run(code, r.calls, r.globals); err != nil {
		return ""
	}
	a, err := r.a.run(code, r.calls, r.globals)
	if err != nil {
		return ""
	}
	b, err := r.b.run(code, r.calls, r.globals)
	if err != nil {
		return ""
	}
	for i := range a {
		switch {
		case a[i] == b[i]:
		case i < len(r.calls):
			return fmt.Sprintf("%s: %s, %s", r.calls[i].Name, outcome(a[i]), outcome(b[i]))
		default:
			return "state"
		}
	}
	return ""
}

// outcome is a line about a call without the values in it.
func outcome(line string) string {
	if strings.HasPrefix(line, "trap") {
		return line
	}
	return "results"
}
