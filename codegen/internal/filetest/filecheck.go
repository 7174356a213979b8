package filetest

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/davit-wasm/davit/codegen/clif"
)

// Filecheck directives describe text by patterns that must be found in it in
// order:
//
//	check: P      after the previous match
//	sameln: P     after the previous match, on the same line
//	nextln: P     on the line after the previous match
//	unordered: P  somewhere between the checks around it, in any order with its like
//	not: P        nowhere between the checks around it
//	regex: V=R    defines variable V for use as $V in regular expressions
//
// A pattern is literal text in which $(V=REGEX) matches and defines a
// variable, $V or $(V) is the text it matched, $(=REGEX) matches only, and
// $$ is a dollar. Where a pattern begins or ends with a letter or digit, so
// must a word.

type check struct {
	kind string
	line int
	text string
}

var directiveRE = regexp.MustCompile(`^\s*(check|sameln|nextln|unordered|not|regex):(.*)$`)

// filecheck checks the directives of fn, and those before all functions.
func (f *file) filecheck(fn *clif.Func, text string) error {
	var checks []check
	collect := func(c clif.Comment) {
		if m := directiveRE.FindStringSubmatch(c.Text); m != nil {
			checks = append(checks, check{m[1], c.Line, strings.TrimSpace(m[2])})
		}
	}
	for _, c := range f.Comments {
		collect(c)
	}
	for _, c := range fn.Comments {
		collect(c.Comment)
	}
	if line, err := runChecks(checks, text); err != nil {
		return f.errorf(line, "%v\nin:\n%s", err, text)
	}
	return nil
}

// span is a part of the text.
type span struct{ start, end int }

// checker is the state of a run of checks.
type checker struct {
	text string
	vars map[string]string // variables: regular expressions that match their values
	pos  int               // the end of the last ordered match
	held []check           // unordered: and not: since then
}

// runChecks matches checks in order; line is that of the one that failed.
func runChecks(checks []check, text string) (line int, err error) {
	c := &checker{text: text, vars: map[string]string{}}
	for _, ck := range checks {
		switch ck.kind {
		case "regex":
			name, re, ok := strings.Cut(ck.text, "=")
			if !ok {
				return ck.line, fmt.Errorf("regex: wants NAME=REGEX")
			}
			if _, err := regexp.Compile(re); err != nil {
				return ck.line, err
			}
			c.vars[strings.TrimSpace(name)] = "(?:" + re + ")"
		case "unordered", "not":
			c.held = append(c.held, ck)
		default:
			from, to := c.window(ck.kind)
			m, ok, err := c.match(ck.text, from, to)
			if err != nil {
				return ck.line, err
			}
			if !ok {
				return ck.line, fmt.Errorf("%s: %s: not found", ck.kind, ck.text)
			}
			if line, err := c.release(m.start); err != nil {
				return line, err
			}
			c.pos = m.end
		}
	}
	return c.release(len(text))
}

// window is where the pattern of an ordered check may match.
func (c *checker) window(kind string) (from, to int) {
	eol := func(at int) int {
		if i := strings.IndexByte(c.text[at:], '\n'); i >= 0 {
			return at + i
		}
		return len(c.text)
	}
	switch kind {
	case "sameln":
		return c.pos, eol(c.pos)
	case "nextln":
		next := min(eol(c.pos)+1, len(c.text))
		return next, eol(next)
	}
	return c.pos, len(c.text)
}

// release checks what was held back, on the text up to end.
func (c *checker) release(end int) (line int, err error) {
	var used []span
	for _, ck := range c.held {
		from := min(c.pos, end)
		for {
			m, ok, err := c.match(ck.text, from, end)
			if err != nil {
				return ck.line, err
			}
			if ck.kind == "not" {
				if ok {
					return ck.line, fmt.Errorf("not: %s: found %q", ck.text, c.text[m.start:m.end])
				}
				break
			}
			if !ok {
				return ck.line, fmt.Errorf("unordered: %s: not found", ck.text)
			}
			free := true
			for _, u := range used {
				free = free && (m.end <= u.start || m.start >= u.end)
			}
			if free {
				used = append(used, m)
				break
			}
			from = m.start + 1
		}
	}
	c.held = c.held[:0]
	return 0, nil
}

var variableRE = regexp.MustCompile(`\$(\$|\w+|\((\w*)(=([^()]*(?:\([^()]*\)[^()]*)*))?\))`)

func wordByte(b byte) bool {
	return b == '_' || '0' <= b && b <= '9' || 'a' <= b && b <= 'z' || 'A' <= b && b <= 'Z'
}

// match looks for a pattern in text[from:to], and defines its variables.
func (c *checker) match(pattern string, from, to int) (m span, ok bool, err error) {
	var re strings.Builder
	var defs []string
	re.WriteString("(?s)")
	if pattern != "" && wordByte(pattern[0]) {
		re.WriteString(`\b`)
	}
	last := 0
	for _, g := range variableRE.FindAllStringSubmatchIndex(pattern, -1) {
		re.WriteString(regexp.QuoteMeta(pattern[last:g[0]]))
		last = g[1]
		word := pattern[g[2]:g[3]]
		switch {
		case word == "$":
			re.WriteString(`\$`)
		case word[0] != '(':
			v, ok := c.vars[word]
			if !ok {
				return m, false, fmt.Errorf("variable $%s is not defined", word)
			}
			re.WriteString(v)
		default:
			name := pattern[g[4]:g[5]]
			if g[6] < 0 {
				if name != "" {
					v, ok := c.vars[name]
					if !ok {
						return m, false, fmt.Errorf("variable $%s is not defined", name)
					}
					re.WriteString(v)
				}
				break
			}
			body := pattern[g[8]:g[9]]
			if v, ok := strings.CutPrefix(body, "$"); ok { // $(V=$R): a defined expression
				if body, ok = c.vars[v]; !ok {
					return m, false, fmt.Errorf("variable $%s is not defined", v)
				}
			}
			if name == "" {
				re.WriteString("(?:" + body + ")")
			} else {
				defs = append(defs, name)
				re.WriteString("(?P<" + name + ">" + body + ")")
			}
		}
	}
	re.WriteString(regexp.QuoteMeta(pattern[last:]))
	if n := len(pattern); n > last && wordByte(pattern[n-1]) {
		re.WriteString(`\b`)
	}
	r, err := regexp.Compile(re.String())
	if err != nil {
		return m, false, err
	}
	g := r.FindStringSubmatchIndex(c.text[from:to])
	if g == nil {
		return m, false, nil
	}
	for _, d := range defs {
		i := r.SubexpIndex(d)
		c.vars[d] = literal(c.text[from+g[2*i] : from+g[2*i+1]])
	}
	return span{from + g[0], from + g[1]}, true, nil
}

// literal is an expression that matches s, and not a part of a longer word.
func literal(s string) string {
	re := regexp.QuoteMeta(s)
	if s != "" && wordByte(s[0]) {
		re = `\b` + re
	}
	if s != "" && wordByte(s[len(s)-1]) {
		re += `\b`
	}
	return re
}
