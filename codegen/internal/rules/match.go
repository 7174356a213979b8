package rules

import (
	"fmt"
	"strconv"
	"strings"
)

// How a rule's pattern becomes something that can be merged with the patterns of other rules.
//
// Matching computes a set of values, the bindings: the arguments of the term, the fields of a variant, what an extractor
// yields, what a pure constructor called by a guard returns. It needs some of them to pass a test: a switch type's tag or a
// plain value must be a certain constant, a partial call must succeed, two bindings must be equal. Bindings and the sites of
// tests are numbered per term, and equal ones in different rules of the term share their number. So for
//
//	(rule 1 (lower (iadd x (iconst k))) …)
//	(rule   (lower (iadd x y)) …)
//
// there are the bindings b0 = argument, b1 = tag(b0), b2 = field(b0, iadd, 0), b3 = field(b0, iadd, 1), b4 = def_inst(b3), …
// the first rule has the tests b1 = iadd, b4 succeeds, tag(b4) = iconst; the second only b1 = iadd. Everything asked about
// rules (do two overlap, does one shadow another, what should be tested first) is a question about these small sets.

type bindKind uint8

const (
	bindArg    bindKind = iota // argument number field of the term
	bindConst                  // the Go expression text
	bindTag                    // the discriminator of src
	bindField                  // field number field of src, which is the variant term
	bindCall                   // a call of term: an extractor of src, or a constructor of args
	bindResult                 // result number field of the call src
)

type binding struct {
	kind      bindKind
	src       int
	field     int
	term      *term
	construct bool // the call is of a constructor
	args      []int
	text      string
	typ       *typ
	guards    []cond // what must hold for the binding to exist
}

type siteKind uint8

const (
	siteValue siteKind = iota // which constant is b?
	siteOK                    // does the partial call b succeed?
	siteIter                  // each of the results of the multi call b
	siteEqual                 // is b equal to b2?
)

// site is a place where rules can be told apart.
type site struct {
	kind   siteKind
	b, b2  int
	guards []cond // what must hold for the site to be reachable
}

// cond is a test: the site must have the value (of siteValue; empty otherwise).
type cond struct {
	site  int
	value string
}

// matchTable holds the bindings and sites of the rules of one term.
type matchTable struct {
	p       *Program
	term    *term
	binds   []binding
	bindIDs map[string]int
	sites   []site
	siteIDs map[siteKey]int
}

type siteKey struct {
	kind  siteKind
	b, b2 int
}

func newMatchTable(p *Program, t *term) *matchTable {
	mt := &matchTable{p: p, term: t, bindIDs: map[string]int{}, siteIDs: map[siteKey]int{}}
	for i, a := range t.args {
		mt.bind(binding{kind: bindArg, field: i, typ: a})
	}
	return mt
}

func mergeConds(a []cond, b ...cond) []cond {
	out := append([]cond(nil), a...)
next:
	for _, c := range b {
		for _, o := range out {
			if o == c {
				continue next
			}
		}
		out = append(out, c)
	}
	return out
}

// bind numbers b. The guards given in b are added to those of its sources.
func (mt *matchTable) bind(b binding) int {
	name := ""
	if b.term != nil {
		name = b.term.name
	}
	key := fmt.Sprint(b.kind, b.src, b.field, name, b.construct, b.args, b.text)
	if id, ok := mt.bindIDs[key]; ok {
		return id
	}
	for _, s := range mt.sources(&b) {
		b.guards = mergeConds(mt.binds[s].guards, b.guards...)
	}
	id := len(mt.binds)
	mt.binds = append(mt.binds, b)
	mt.bindIDs[key] = id
	return id
}

// sources lists the bindings that b is computed from.
func (mt *matchTable) sources(b *binding) []int {
	switch b.kind {
	case bindTag, bindField, bindResult:
		return []int{b.src}
	case bindCall:
		if b.construct {
			return b.args
		}
		return []int{b.src}
	}
	return nil
}

func (mt *matchTable) site(kind siteKind, b, b2 int) int {
	key := siteKey{kind, b, b2}
	if id, ok := mt.siteIDs[key]; ok {
		return id
	}
	g := mt.binds[b].guards
	if kind == siteEqual {
		g = mergeConds(g, mt.binds[b2].guards...)
	}
	id := len(mt.sites)
	mt.sites = append(mt.sites, site{kind, b, b2, g})
	mt.siteIDs[key] = id
	return id
}

type exprKind uint8

const (
	exprBinding exprKind = iota // a value of the match
	exprLocal                   // a let variable
	exprConst                   // a Go expression
	exprCall                    // a call of a constructor
	exprLet
)

// expr is a checked expression.
type expr struct {
	kind  exprKind
	typ   *typ
	bind  int
	text  string // Go expression of a constant
	local *local
	term  *term
	args  []*expr
	lets  []*local
	body  *expr
}

// local is a let variable.
type local struct {
	name string
	val  *expr
	used bool
}

// variable is a name bound by a pattern.
type variable struct {
	pos  Pos
	bind int
	used bool
}

// scope is the names that an expression or pattern sees. Macro bodies see only their parameters.
type scope struct {
	vars   map[string]*variable
	params map[string]macroArg
}

type macroArg struct {
	n  *node
	sc *scope
}

// matcher is a checked rule.
type matcher struct {
	r     *rule
	conds []cond
	has   map[int]string // conds by site
	rhs   *expr
	needs map[int]bool // every binding that a test or the result uses, with their sources
}

// checker checks one rule.
type checker struct {
	p     *Program
	mt    *matchTable
	t     *term
	m     *matcher
	order []string // variables in the order of their binding
	depth int      // of macro expansion
	steps int      // patterns seen, with those of expanded macros
	ok    bool
}

func (c *checker) errorf(pos Pos, format string, args ...any) {
	c.p.errorf(pos, format, args...)
	c.ok = false
}

// check checks all rules and then what only holds of all of them together.
func (p *Program) check() {
	if p.pkg == "" || p.recv == "" {
		p.errorf(Pos{"", 1, 1}, "no (output (package NAME) (receiver NAME TYPE)) in any file")
	}
	for _, t := range p.order {
		p.checkTerm(t)
		if len(t.rules) == 0 {
			continue
		}
		mt := newMatchTable(p, t)
		good := true
		for _, r := range t.rules {
			c := &checker{p: p, mt: mt, t: t, m: &matcher{r: r, has: map[int]string{}}, ok: true}
			c.rule()
			r.m = c.m
			good = good && c.ok
		}
		if good {
			for _, r := range t.rules {
				r.m.findNeeds(mt)
			}
			p.checkOverlap(mt)
		}
		t.table = mt
	}
	p.checkRecursion()
}

// checkTerm checks what a declaration says against what defines it.
func (p *Program) checkTerm(t *term) {
	switch {
	case len(t.rules) > 0 && t.constructor != "":
		p.errorf(t.rules[0].pos, "%s has an external constructor: it can't have rules too", t.name)
	case len(t.rules) > 0 && t.variant != "":
		p.errorf(t.rules[0].pos, "%s is a variant of %s: it can't have rules", t.name, t.ret.name)
	case len(t.rules) == 0 && t.constructor == "" && t.extractor == "" && t.macro == nil && t.variant == "":
		p.errorf(t.pos, "%s has neither rules nor an extractor nor an external constructor", t.name)
	}
	if t.ret.kind == unitType && t.partial && t.extractor != "" {
		p.errorf(t.pos, "%s: an extractor can't match a unit", t.name)
	}
	if t.multi && t.ret.kind == unitType {
		p.errorf(t.pos, "%s: a multi term needs a result", t.name)
	}
}

func (c *checker) rule() {
	r := c.m.r
	sc := &scope{vars: map[string]*variable{}}
	if len(r.lhs.list)-1 != len(c.t.args) {
		c.errorf(r.lhs.pos, "%s takes %d arguments, found %d", c.t.name, len(c.t.args), len(r.lhs.list)-1)
		return
	}
	for i, n := range r.lhs.list[1:] {
		c.pattern(n, i, sc)
	}
	for _, g := range r.guards {
		c.guard(g, sc)
	}
	if !c.ok {
		return
	}
	c.m.rhs = c.expr(r.rhs, c.t.ret, sc, nil, true)
	if c.m.rhs == nil {
		return
	}
	for _, name := range c.order {
		if v := sc.vars[name]; !v.used && !strings.HasPrefix(name, "_") {
			c.errorf(v.pos, "%s is bound but not used (write _ or _%s)", name, name)
		}
	}
}

// guard checks (if EXPR) or (if-let PATTERN EXPR).
func (c *checker) guard(g *node, sc *scope) {
	switch {
	case g.head() == "if" && len(g.list) == 2:
		e := c.expr(g.list[1], nil, sc, nil, false)
		if e == nil {
			return
		}
		b := c.bindExpr(g.list[1].pos, e)
		if b >= 0 && e.typ.kind == boolType {
			c.require(g.pos, siteValue, b, 0, "true")
		}
	case g.head() == "if-let" && len(g.list) == 3:
		var want *typ
		if pt := c.patternType(g.list[1]); pt != nil {
			want = pt
		}
		e := c.expr(g.list[2], want, sc, nil, false)
		if e == nil {
			return
		}
		if b := c.bindExpr(g.list[2].pos, e); b >= 0 {
			c.pattern(g.list[1], b, sc)
		}
	default:
		c.errorf(g.pos, "expected (if EXPR) or (if-let PATTERN EXPR), found %s", g.describe())
	}
}

// patternType returns the type that a constant pattern has by itself, so that a guard's literal expression can take it.
func (c *checker) patternType(n *node) *typ {
	if n.kind != symbolNode {
		return nil
	}
	if k := c.p.consts[n.text]; k != nil {
		return k.typ
	}
	if t, _ := c.p.enumConst(n.text); t != nil {
		return t
	}
	if n.text == "true" || n.text == "false" {
		return c.p.types["bool"]
	}
	return nil
}

// require adds a test.
func (c *checker) require(pos Pos, kind siteKind, b, b2 int, value string) {
	s := c.mt.site(kind, b, b2)
	if old, dup := c.m.has[s]; dup {
		if old != value {
			c.errorf(pos, "never matches: the same value must be both %s and %s", old, value)
		}
		return
	}
	if kind == siteValue && c.mt.binds[b].kind == bindConst {
		if c.mt.binds[b].text != value {
			c.errorf(pos, "never matches: %s isn't %s", c.mt.binds[b].text, value)
		}
		return
	}
	c.m.has[s] = value
	c.m.conds = append(c.m.conds, cond{s, value})
}

// enumConst resolves Type.Name.
func (p *Program) enumConst(s string) (*typ, string) {
	dot := strings.IndexByte(s, '.')
	if dot <= 0 {
		return nil, ""
	}
	t := p.types[s[:dot]]
	if t == nil || t.kind != enumType {
		return nil, ""
	}
	return t, t.enum[s[dot+1:]]
}

// literal resolves a constant of type want (or of its own type, when want is nil) to a Go expression.
func (c *checker) literal(n *node, want *typ) (exp string, t *typ, is bool) {
	switch n.kind {
	case stringNode:
		return strconv.Quote(n.text), want, true
	case intNode:
		return canonicalInt(n.text), want, true
	case symbolNode:
		if n.text == "true" || n.text == "false" {
			return n.text, c.p.types["bool"], true
		}
		if strings.HasPrefix(n.text, "$") {
			k := c.p.consts[n.text]
			if k == nil {
				c.errorf(n.pos, "unknown constant %s", n.text)
				return "", nil, true
			}
			return k.exp, k.typ, true
		}
		if t, exp := c.p.enumConst(n.text); t != nil {
			if exp == "" {
				c.errorf(n.pos, "unknown constant %s", n.text)
				return "", nil, true
			}
			return exp, t, true
		}
	}
	return "", nil, false
}

// canonicalInt gives equal integers equal text.
func canonicalInt(s string) string {
	neg := strings.HasPrefix(s, "-")
	v, err := strconv.ParseUint(strings.TrimPrefix(s, "-"), 0, 64)
	if err != nil {
		panic("rules: integer " + s + " passed the reader: " + err.Error())
	}
	out := strconv.FormatUint(v, 10)
	if neg && v != 0 {
		out = "-" + out
	}
	return out
}

// maxPatterns bounds what the patterns of one rule may grow to when the extractors in them are expanded.
const maxPatterns = 1000

// pattern adds to the rule what it takes for binding b to match n.
func (c *checker) pattern(n *node, b int, sc *scope) {
	if !c.ok {
		return
	}
	if c.steps++; c.steps > maxPatterns {
		c.errorf(n.pos, "the pattern has more than %d parts", maxPatterns)
		return
	}
	t := c.mt.binds[b].typ
	if exp, lt, is := c.literal(n, t); is {
		if !c.ok {
			return
		}
		if lt != t {
			c.errorf(n.pos, "expected a %s, found %s of type %s", t.name, n.text, lt.name)
			return
		}
		if t.kind == boolType || t.kind == enumType {
			if n.kind == intNode || n.kind == stringNode {
				c.errorf(n.pos, "expected a %s, found %s", t.name, n.describe())
				return
			}
		}
		c.require(n.pos, siteValue, b, 0, exp)
		return
	}
	if n.kind == symbolNode {
		c.bindName(n, b, sc)
		return
	}
	if len(n.list) == 3 && n.list[1].isSymbol("@") {
		if n.list[0].kind != symbolNode {
			c.errorf(n.pos, "expected (NAME @ PATTERN)")
			return
		}
		c.bindName(n.list[0], b, sc)
		c.pattern(n.list[2], b, sc)
		return
	}
	if n.head() == "" {
		c.errorf(n.pos, "expected a pattern, found %s", n.describe())
		return
	}
	if n.head() == "and" {
		for _, a := range n.list[1:] {
			c.pattern(a, b, sc)
		}
		return
	}
	pt := c.p.terms[n.head()]
	if pt == nil {
		c.errorf(n.pos, "unknown term %s", n.head())
		return
	}
	if pt.ret != t {
		conv := c.p.converts[[2]*typ{pt.ret, t}].extractor
		if conv == nil {
			c.errorf(n.pos, "expected a pattern of type %s, found %s of type %s", t.name, pt.name, pt.ret.name)
			return
		}
		out := c.extract(n.pos, conv, b)
		if out == nil {
			return
		}
		b = out[0]
	}
	if len(n.list)-1 != len(pt.args) {
		c.errorf(n.pos, "%s takes %d arguments, found %d", pt.name, len(pt.args), len(n.list)-1)
		return
	}
	if pt.macro != nil {
		if c.depth == 50 {
			c.errorf(n.pos, "extractor %s expands to itself", pt.name)
			return
		}
		inner := &scope{params: map[string]macroArg{}}
		for i, name := range pt.macro.params {
			inner.params[name] = macroArg{n.list[i+1], sc}
		}
		c.depth++
		c.pattern(pt.macro.body, b, inner)
		c.depth--
		return
	}
	for i, ob := range c.extract(n.pos, pt, b) {
		c.pattern(n.list[i+1], ob, sc)
	}
}

// bindName matches b with a name: a wildcard, a macro's parameter, a new variable, or one bound before.
func (c *checker) bindName(n *node, b int, sc *scope) {
	if n.text == "_" {
		return
	}
	if sc.params != nil {
		arg, ok := sc.params[n.text]
		if !ok {
			c.errorf(n.pos, "%s isn't a parameter of the extractor", n.text)
			return
		}
		c.pattern(arg.n, b, arg.sc)
		return
	}
	if n.text == "@" {
		c.errorf(n.pos, "misplaced @: write (NAME @ PATTERN)")
		return
	}
	v := sc.vars[n.text]
	if v == nil {
		sc.vars[n.text] = &variable{pos: n.pos, bind: b}
		c.order = append(c.order, n.text)
		return
	}
	v.used = true
	if v.bind == b {
		return
	}
	if vt, bt := c.mt.binds[v.bind].typ, c.mt.binds[b].typ; vt != bt {
		c.errorf(n.pos, "%s is a %s here and was a %s at %s", n.text, bt.name, vt.name, v.pos)
		return
	}
	c.require(n.pos, siteEqual, min(b, v.bind), max(b, v.bind), "")
}

// extract applies the extractor of t to b and returns the bindings of what it yields.
func (c *checker) extract(pos Pos, t *term, b int) []int {
	out := make([]int, len(t.args))
	switch {
	case t.variant != "":
		tag := c.mt.bind(binding{kind: bindTag, src: b, typ: t.ret})
		c.require(pos, siteValue, tag, 0, t.variant)
		if !c.ok {
			return nil
		}
		g := cond{c.mt.site(siteValue, tag, 0), t.variant}
		for i, a := range t.args {
			out[i] = c.mt.bind(binding{kind: bindField, src: b, term: t, field: i, typ: a, guards: []cond{g}})
		}
	case t.extractor != "":
		call := c.mt.bind(binding{kind: bindCall, src: b, term: t})
		var g []cond
		if !t.infallible {
			kind := siteOK
			if t.multi {
				kind = siteIter
				c.needMulti(pos, t)
			}
			c.require(pos, kind, call, 0, "")
			g = []cond{{c.mt.site(kind, call, 0), ""}}
		}
		for i, a := range t.args {
			out[i] = c.mt.bind(binding{kind: bindResult, src: call, field: i, typ: a, guards: g})
		}
	default:
		c.errorf(pos, "%s has no extractor: it can't stand in a pattern", t.name)
		return nil
	}
	return out
}

func (c *checker) needMulti(pos Pos, t *term) {
	if !c.t.multi {
		c.errorf(pos, "%s yields several results: only rules of a multi term can use it", t.name)
	}
}

// bindExpr turns the expression of a guard into a binding.
func (c *checker) bindExpr(pos Pos, e *expr) int {
	switch e.kind {
	case exprBinding:
		return e.bind
	case exprConst:
		return c.mt.bind(binding{kind: bindConst, text: e.text, typ: e.typ})
	case exprCall:
		if !e.term.pure {
			c.errorf(pos, "%s isn't pure: a guard can't call it", e.term.name)
			return -1
		}
		var args []int
		for _, a := range e.args {
			b := c.bindExpr(pos, a)
			if b < 0 {
				return -1
			}
			args = append(args, b)
		}
		call := c.mt.bind(binding{kind: bindCall, term: e.term, construct: true, args: args})
		var g []cond
		switch {
		case e.term.multi:
			c.needMulti(pos, e.term)
			if e.term.constructor == "" {
				c.errorf(pos, "%s is an internal multi term: a guard can't call it", e.term.name)
				return -1
			}
			c.require(pos, siteIter, call, 0, "")
			g = []cond{{c.mt.site(siteIter, call, 0), ""}}
		case e.term.partial:
			c.require(pos, siteOK, call, 0, "")
			g = []cond{{c.mt.site(siteOK, call, 0), ""}}
		}
		return c.mt.bind(binding{kind: bindResult, src: call, typ: e.typ, guards: g})
	}
	c.errorf(pos, "a guard can't use let")
	return -1
}

// expr checks an expression that must have type want (nil: any). In the result of a rule (result is true) calls may have
// effects but can't fail; in a guard it is the other way round.
func (c *checker) expr(n *node, want *typ, sc *scope, locals []*local, result bool) *expr {
	if exp, t, is := c.literal(n, want); is {
		if !c.ok {
			return nil
		}
		if t == nil {
			c.errorf(n.pos, "the type of %s isn't known here", n.describe())
			return nil
		}
		return c.convert(n, &expr{kind: exprConst, typ: t, text: exp}, want)
	}
	if n.kind == symbolNode {
		for i := len(locals) - 1; i >= 0; i-- {
			if locals[i].name == n.text {
				locals[i].used = true
				return c.convert(n, &expr{kind: exprLocal, typ: locals[i].val.typ, local: locals[i]}, want)
			}
		}
		v := sc.vars[n.text]
		if v == nil {
			c.errorf(n.pos, "unknown variable %s", n.text)
			return nil
		}
		v.used = true
		return c.convert(n, &expr{kind: exprBinding, typ: c.mt.binds[v.bind].typ, bind: v.bind}, want)
	}
	if n.head() == "let" {
		return c.let(n, want, sc, locals, result)
	}
	t := c.p.terms[n.head()]
	if t == nil {
		c.errorf(n.pos, "unknown term %s", n.describe())
		return nil
	}
	if t.constructor == "" && len(t.rules) == 0 {
		c.errorf(n.pos, "%s has no constructor: it can't stand in an expression", t.name)
		return nil
	}
	if len(n.list)-1 != len(t.args) {
		c.errorf(n.pos, "%s takes %d arguments, found %d", t.name, len(t.args), len(n.list)-1)
		return nil
	}
	if result && t.partial {
		c.errorf(n.pos, "%s may fail: call it in an if-let, before the rule has matched", t.name)
		return nil
	}
	if result && t.multi && (n != c.m.r.rhs || !c.t.multi) {
		c.errorf(n.pos, "%s is multi: it can only be the whole result of a rule of another multi term", t.name)
		return nil
	}
	e := &expr{kind: exprCall, typ: t.ret, term: t}
	for i, a := range n.list[1:] {
		x := c.expr(a, t.args[i], sc, locals, result)
		if x == nil {
			return nil
		}
		e.args = append(e.args, x)
	}
	return c.convert(n, e, want)
}

// let checks (let ((NAME [TYPE] EXPR)…) EXPR).
func (c *checker) let(n *node, want *typ, sc *scope, locals []*local, result bool) *expr {
	if len(n.list) != 3 || n.list[1].kind != listNode {
		c.errorf(n.pos, "expected (let ((NAME [TYPE] EXPR)…) EXPR)")
		return nil
	}
	e := &expr{kind: exprLet}
	inner := append([]*local(nil), locals...)
	for _, d := range n.list[1].list {
		if d.kind != listNode || len(d.list) < 2 || len(d.list) > 3 || d.list[0].kind != symbolNode {
			c.errorf(d.pos, "expected (NAME [TYPE] EXPR), found %s", d.describe())
			return nil
		}
		var dt *typ
		if len(d.list) == 3 {
			if dt = c.p.typeOf(d.list[1]); dt == nil {
				c.ok = false
				return nil
			}
		}
		v := c.expr(d.list[len(d.list)-1], dt, sc, inner, result)
		if v == nil {
			return nil
		}
		l := &local{name: d.list[0].text, val: v}
		if v.typ.kind == unitType && l.name != "_" {
			c.errorf(d.pos, "%s has no value: bind it to _", d.list[len(d.list)-1].describe())
			return nil
		}
		e.lets = append(e.lets, l)
		if l.name != "_" {
			inner = append(inner, l)
		}
	}
	e.body = c.expr(n.list[2], want, sc, inner, result)
	if e.body == nil {
		return nil
	}
	for i, l := range e.lets {
		if !l.used && !strings.HasPrefix(l.name, "_") {
			c.errorf(n.list[1].list[i].pos, "%s is bound but not used (write _ to call for the effect alone)", l.name)
		}
	}
	e.typ = e.body.typ
	return e
}

// convert makes e have type want, through a declared conversion if need be.
func (c *checker) convert(n *node, e *expr, want *typ) *expr {
	if want == nil || e.typ == want {
		return e
	}
	conv := c.p.converts[[2]*typ{e.typ, want}].constructor
	if conv == nil || conv.constructor == "" && len(conv.rules) == 0 {
		c.errorf(n.pos, "expected a %s, found %s of type %s", want.name, n.describe(), e.typ.name)
		return nil
	}
	if conv.partial {
		c.errorf(n.pos, "the conversion %s may fail: it can't be implicit in an expression", conv.name)
		return nil
	}
	return &expr{kind: exprCall, typ: want, term: conv, args: []*expr{e}}
}

// findNeeds collects every binding that the rule computes.
func (m *matcher) findNeeds(mt *matchTable) {
	m.needs = map[int]bool{}
	for _, c := range m.conds {
		s := &mt.sites[c.site]
		m.need(mt, s.b)
		if s.kind == siteEqual {
			m.need(mt, s.b2)
		}
	}
	m.needExpr(mt, m.rhs)
}

func (m *matcher) need(mt *matchTable, b int) {
	if m.needs[b] {
		return
	}
	m.needs[b] = true
	for _, s := range mt.sources(&mt.binds[b]) {
		m.need(mt, s)
	}
}

func (m *matcher) needExpr(mt *matchTable, e *expr) {
	switch e.kind {
	case exprBinding:
		m.need(mt, e.bind)
	case exprCall:
		for _, a := range e.args {
			m.needExpr(mt, a)
		}
	case exprLet:
		for _, l := range e.lets {
			m.needExpr(mt, l.val)
		}
		m.needExpr(mt, e.body)
	}
}
