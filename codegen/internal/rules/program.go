package rules

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// typeKind tells how values of a type are told apart in patterns.
type typeKind uint8

const (
	opaqueType typeKind = iota // any Go type; literals and constants of it compare with ==
	boolType                   // Go's bool
	unitType                   // no value: constructors called for their effect
	enumType                   // a Go type with named constants, written Type.Name
	switchType                 // a type with variants, told apart by a discriminator method
)

// typ is a type of the rule language.
type typ struct {
	name   string
	pos    Pos
	kind   typeKind
	goType string
	enum   map[string]string // constant's name → Go expression
	method string            // discriminator of a switchType
}

// term is a name that stands in patterns (when it has an extractor) or in expressions (when it has a constructor) or both.
type term struct {
	name string
	pos  Pos
	args []*typ
	ret  *typ

	pure    bool // the constructor may be called while matching
	partial bool // the constructor may fail
	multi   bool // several results
	rec     bool // the constructor may call itself
	ordered bool // rules of equal priority are tried in the order of the source

	// The extractor: one of these, or none.
	extractor   string   // Go method
	infallible  bool     // the extractor always matches
	macro       *macro   // an extractor defined by a pattern
	variant     string   // Go expression of the discriminator's value
	fields      []string // Go methods that fetch the fields of a variant
	constructor string   // Go method of an external constructor

	commutative bool // in patterns of multi terms, the last two arguments may be exchanged
	constant    bool // in patterns, it is what a commutative term has as its second argument, if at all

	// disjoint lists the sets it is in, of extractors and constants of which at most one matches the same input.
	disjoint []int

	rules []*rule
	table *matchTable // bindings and sites of the rules
}

type macro struct {
	pos    Pos
	params []string
	body   *node
}

type constant struct {
	typ      *typ
	exp      string
	disjoint []int // see term
}

// rule is a parsed rule; its parts are checked when all declarations are known.
type rule struct {
	pos    Pos
	name   string
	prio   int
	index  int // position in the source order of all rules
	lhs    *node
	guards []*node
	rhs    *node

	m *matcher // what checking made of it
}

// describe names r in an error message.
func (r *rule) describe() string {
	if r.name != "" {
		return fmt.Sprintf("rule %s at %s", r.name, r.pos)
	}
	return "the rule at " + r.pos.String()
}

// Program is a set of rule files, checked and ready to be generated from.
type Program struct {
	pkg      string
	recv     string // receiver's name
	recvType string
	imports  []string

	types     map[string]*typ
	terms     map[string]*term
	consts    map[string]*constant
	constSets map[string]*constant // constants in disjoint sets, by their Go expression
	converts  map[[2]*typ]conversion
	order     []*term // by declaration
	nrules    int
	ndisjoint int
	errs      ErrorList
}

// Source is one rule file.
type Source struct {
	Name string // as it appears in errors and in the generated comments
	Text string
}

// Load parses and checks the files of one program. The error, if any, is an ErrorList.
func Load(srcs []Source) (*Program, error) {
	p := &Program{
		types:    map[string]*typ{},
		terms:    map[string]*term{},
		consts:   map[string]*constant{},
		converts: map[[2]*typ]conversion{},

		constSets: map[string]*constant{},
	}
	p.types["bool"] = &typ{name: "bool", kind: boolType, goType: "bool"}
	p.types["unit"] = &typ{name: "unit", kind: unitType}
	var forms []*node
	for _, s := range srcs {
		nodes, err := read(s.Name, s.Text)
		if err != nil {
			p.errs = append(p.errs, err.(*Error))
			continue
		}
		forms = append(forms, nodes...)
	}
	if len(p.errs) > 0 {
		return nil, p.errs
	}
	p.declare(forms)
	p.commute()
	if len(p.errs) == 0 {
		p.check()
	}
	if len(p.errs) > 0 {
		return nil, p.errs
	}
	return p, nil
}

func (p *Program) errorf(pos Pos, format string, args ...any) {
	p.errs = append(p.errs, &Error{pos, fmt.Sprintf(format, args...)})
}

// declare runs over the top-level forms, types first, so that the order of declarations and of files does not matter.
func (p *Program) declare(forms []*node) {
	passes := []map[string]func(*node){
		{"output": p.declOutput, "type": p.declType},
		{"decl": p.declTerm, "variant": p.declVariant},
		{"extern": p.declExtern, "extractor": p.declMacro, "convert": p.declConvert, "rule": p.declRule},
		{"disjoint": p.declDisjoint, "commutative": p.declCommutative, "constant": p.declConstant},
	}
	for i, pass := range passes {
		for _, f := range forms {
			h := f.head()
			if fn := pass[h]; fn != nil {
				fn(f)
				continue
			}
			if i > 0 {
				continue
			}
			switch h {
			case "output", "type", "decl", "variant", "extern", "extractor", "convert", "disjoint", "rule", "commutative", "constant":
			default:
				p.errorf(f.pos, "expected a declaration or a rule, found %s", f.describe())
			}
		}
	}
}

// symbols checks that all nodes are symbols and returns their text.
func (p *Program) symbols(ns []*node) ([]string, bool) {
	out := make([]string, 0, len(ns))
	for _, n := range ns {
		if n.kind != symbolNode && n.kind != stringNode {
			p.errorf(n.pos, "expected a name, found %s", n.describe())
			return nil, false
		}
		out = append(out, n.text)
	}
	return out, true
}

// (output (package P) (receiver NAME TYPE) (import PATH)*)
func (p *Program) declOutput(f *node) {
	for _, c := range f.list[1:] {
		if c.kind != listNode {
			p.errorf(c.pos, "expected (package …), (receiver …) or (import …)")
			continue
		}
		var args []string
		ok := len(c.list) > 0
		if ok {
			args, ok = p.symbols(c.list[1:])
		}
		switch h := c.head(); {
		case !ok:
			return
		case h == "package" && len(args) == 1:
			p.pkg = args[0]
		case h == "receiver" && len(args) == 2:
			p.recv, p.recvType = args[0], args[1]
		case h == "import" && len(args) == 1:
			p.imports = append(p.imports, args[0])
		default:
			p.errorf(c.pos, "expected (package NAME), (receiver NAME TYPE) or (import PATH)")
		}
	}
}

// (type NAME GOTYPE), (type NAME GOTYPE (enum (NAME GOEXPR)…)), (type NAME GOTYPE (switch METHOD))
func (p *Program) declType(f *node) {
	if len(f.list) < 3 || len(f.list) > 4 || f.list[1].kind != symbolNode || f.list[2].kind == listNode || f.list[2].kind == intNode {
		p.errorf(f.pos, "expected (type NAME GOTYPE [(enum …) | (switch METHOD)])")
		return
	}
	t := &typ{name: f.list[1].text, pos: f.pos, goType: f.list[2].text}
	if old := p.types[t.name]; old != nil {
		p.errorf(f.pos, "type %s is declared twice; the other is at %s", t.name, old.pos)
		return
	}
	p.types[t.name] = t
	if len(f.list) == 3 {
		return
	}
	k := f.list[3]
	switch k.head() {
	case "enum":
		t.kind = enumType
		t.enum = map[string]string{}
		for _, e := range k.list[1:] {
			name, exp := "", ""
			switch {
			case e.kind == symbolNode:
				name, exp = e.text, e.text
			case e.kind == listNode && len(e.list) == 2 && e.list[0].kind == symbolNode && e.list[1].kind != listNode:
				name, exp = e.list[0].text, e.list[1].text
			default:
				p.errorf(e.pos, "expected NAME or (NAME GOEXPR), found %s", e.describe())
				continue
			}
			if _, dup := t.enum[name]; dup {
				p.errorf(e.pos, "%s.%s is declared twice", t.name, name)
			}
			t.enum[name] = exp
		}
	case "switch":
		if len(k.list) != 2 || k.list[1].kind != symbolNode {
			p.errorf(k.pos, "expected (switch METHOD)")
			return
		}
		t.kind = switchType
		t.method = k.list[1].text
	default:
		p.errorf(k.pos, "expected (enum …) or (switch METHOD), found %s", k.describe())
	}
}

func (p *Program) typeOf(n *node) *typ {
	if n.kind != symbolNode {
		p.errorf(n.pos, "expected a type, found %s", n.describe())
		return nil
	}
	t := p.types[n.text]
	if t == nil {
		p.errorf(n.pos, "unknown type %s", n.text)
	}
	return t
}

func (p *Program) addTerm(t *term) bool {
	if old := p.terms[t.name]; old != nil {
		p.errorf(t.pos, "term %s is declared twice; the other is at %s", t.name, old.pos)
		return false
	}
	if t.name == "and" || t.name == "let" || t.name == "if" || t.name == "if-let" || t.name == "_" || t.name == "@" {
		p.errorf(t.pos, "%s is a reserved word", t.name)
		return false
	}
	p.terms[t.name] = t
	p.order = append(p.order, t)
	return true
}

// (decl [pure] [partial] [multi] [rec] [ordered] NAME (TYPE…) TYPE)
func (p *Program) declTerm(f *node) {
	t := &term{pos: f.pos}
	i := 1
flags:
	for ; i < len(f.list)-3; i++ {
		switch f.list[i].text {
		case "pure":
			t.pure = true
		case "partial":
			t.partial = true
		case "multi":
			t.multi = true
		case "rec":
			t.rec = true
		case "ordered":
			t.ordered = true
		default:
			break flags
		}
	}
	if len(f.list) != i+3 || f.list[i].kind != symbolNode || f.list[i+1].kind != listNode {
		p.errorf(f.pos, "expected (decl [pure] [partial] [multi] [rec] [ordered] NAME (TYPE…) TYPE)")
		return
	}
	t.name = f.list[i].text
	ok := true
	for _, a := range f.list[i+1].list {
		at := p.typeOf(a)
		if at != nil && at.kind == unitType {
			p.errorf(a.pos, "an argument can't be a unit")
			at = nil
		}
		ok = ok && at != nil
		t.args = append(t.args, at)
	}
	t.ret = p.typeOf(f.list[i+2])
	if t.multi && t.partial {
		p.errorf(f.pos, "a multi term yields none, one or several results: it can't be partial too")
		ok = false
	}
	if ok && t.ret != nil {
		p.addTerm(t)
	}
}

// (variant SWITCHTYPE NAME GOEXPR (METHOD TYPE)…)
func (p *Program) declVariant(f *node) {
	if len(f.list) < 4 || f.list[2].kind != symbolNode || f.list[3].kind != symbolNode {
		p.errorf(f.pos, "expected (variant TYPE NAME GOEXPR (METHOD TYPE)…)")
		return
	}
	ret := p.typeOf(f.list[1])
	if ret == nil {
		return
	}
	if ret.kind != switchType {
		p.errorf(f.list[1].pos, "%s has no variants: it isn't declared with (switch METHOD)", ret.name)
		return
	}
	t := &term{name: f.list[2].text, pos: f.pos, ret: ret, variant: f.list[3].text}
	for _, a := range f.list[4:] {
		if a.kind != listNode || len(a.list) != 2 || a.list[0].kind != symbolNode {
			p.errorf(a.pos, "expected (METHOD TYPE), found %s", a.describe())
			return
		}
		at := p.typeOf(a.list[1])
		if at == nil {
			return
		}
		t.args = append(t.args, at)
		t.fields = append(t.fields, a.list[0].text)
	}
	p.addTerm(t)
}

func (p *Program) termOf(n *node) *term {
	if n.kind != symbolNode {
		p.errorf(n.pos, "expected the name of a term, found %s", n.describe())
		return nil
	}
	t := p.terms[n.text]
	if t == nil {
		p.errorf(n.pos, "unknown term %s", n.text)
	}
	return t
}

// (extern constructor NAME [METHOD]), (extern extractor [infallible] NAME [METHOD]), (extern const $NAME TYPE GOEXPR)
func (p *Program) declExtern(f *node) {
	bad := func() {
		p.errorf(f.pos, "expected (extern constructor NAME [METHOD]), (extern extractor [infallible] NAME [METHOD]) or (extern const $NAME TYPE GOEXPR)")
	}
	if len(f.list) < 3 {
		bad()
		return
	}
	what, rest := f.list[1].text, f.list[2:]
	infallible := false
	if what == "extractor" && rest[0].isSymbol("infallible") && len(rest) > 1 {
		infallible = true
		rest = rest[1:]
	}
	if what == "const" {
		if len(rest) != 3 || rest[0].kind != symbolNode || !strings.HasPrefix(rest[0].text, "$") || rest[2].kind == listNode {
			bad()
			return
		}
		if t := p.typeOf(rest[1]); t != nil {
			if p.consts[rest[0].text] != nil {
				p.errorf(rest[0].pos, "constant %s is declared twice", rest[0].text)
			}
			p.consts[rest[0].text] = &constant{typ: t, exp: rest[2].text}
		}
		return
	}
	if len(rest) > 2 || len(rest) == 2 && rest[1].kind != symbolNode {
		bad()
		return
	}
	t := p.termOf(rest[0])
	if t == nil {
		return
	}
	method := goName(t.name)
	if len(rest) == 2 {
		method = rest[1].text
	}
	switch what {
	case "constructor":
		if t.constructor != "" {
			p.errorf(f.pos, "term %s has two constructors", t.name)
		}
		t.constructor = method
	case "extractor":
		p.setExtractor(f, t)
		t.extractor = method
		t.infallible = infallible
		if infallible && t.multi {
			p.errorf(f.pos, "term %s is multi: its extractor can't be infallible", t.name)
		}
	default:
		bad()
	}
}

func (p *Program) setExtractor(f *node, t *term) {
	if t.extractor != "" || t.macro != nil || t.variant != "" {
		p.errorf(f.pos, "term %s has two extractors", t.name)
	}
}

// (extractor (NAME PARAM…) PATTERN)
func (p *Program) declMacro(f *node) {
	if len(f.list) != 3 || f.list[1].kind != listNode || len(f.list[1].list) == 0 {
		p.errorf(f.pos, "expected (extractor (NAME PARAM…) PATTERN)")
		return
	}
	t := p.termOf(f.list[1].list[0])
	params, ok := p.symbols(f.list[1].list[1:])
	if t == nil || !ok {
		return
	}
	if len(params) != len(t.args) {
		p.errorf(f.pos, "%s takes %d arguments, found %d", t.name, len(t.args), len(params))
		return
	}
	p.setExtractor(f, t)
	t.macro = &macro{f.pos, params, f.list[2]}
}

// (convert INNER OUTER TERM [CONSTRUCTOR])
func (p *Program) declConvert(f *node) {
	if len(f.list) != 4 && len(f.list) != 5 {
		p.errorf(f.pos, "expected (convert INNER OUTER TERM [CONSTRUCTOR])")
		return
	}
	in, out := p.typeOf(f.list[1]), p.typeOf(f.list[2])
	if in == nil || out == nil {
		return
	}
	var ts []*term
	for _, n := range f.list[3:] {
		t := p.termOf(n)
		if t == nil {
			return
		}
		if len(t.args) != 1 || t.args[0] != in || t.ret != out {
			p.errorf(n.pos, "%s must be declared (%s) %s to convert between them", t.name, in.name, out.name)
			return
		}
		ts = append(ts, t)
	}
	if _, dup := p.converts[[2]*typ{in, out}]; dup {
		p.errorf(f.pos, "a conversion between %s and %s is declared twice", in.name, out.name)
	}
	p.converts[[2]*typ{in, out}] = conversion{extractor: ts[0], constructor: ts[len(ts)-1]}
}

// conversion is what stands for a value of one type where another is wanted, in patterns and in expressions.
type conversion struct{ extractor, constructor *term }

// (commutative TERM…): in the rules of multi terms, patterns of these terms match with their first two arguments in either
// order. A rule is written out once for each combination that differs.
func (p *Program) declCommutative(f *node) {
	for _, n := range f.list[1:] {
		t := p.termOf(n)
		if t == nil {
			return
		}
		if i := t.operands(); i < 0 {
			p.errorf(n.pos, "%s does not end in two arguments of one type", t.name)
			return
		}
		t.commutative = true
	}
}

// operands is where the last two arguments of t begin if they have the same type, else -1.
func (t *term) operands() int {
	n := len(t.args)
	if n < 2 || t.args[n-1] != t.args[n-2] {
		return -1
	}
	return n - 2
}

// (constant TERM…): values that match these are second arguments of commutative terms already.
func (p *Program) declConstant(f *node) {
	for _, n := range f.list[1:] {
		if t := p.termOf(n); t != nil {
			t.constant = true
		}
	}
}

// commute writes out the rules of multi terms for the orders of arguments that commutative terms allow.
func (p *Program) commute() {
	for _, t := range p.order {
		if !t.multi {
			continue
		}
		var all []*rule
		for _, r := range t.rules {
			uses := map[string]int{}
			for _, n := range append([]*node{r.lhs}, r.guards...) {
				n.count(uses)
			}
			forms := p.orders(r.lhs, uses)
			if len(forms) > maxOrders {
				p.errorf(r.pos, "the rule has more than %d orders of arguments", maxOrders)
				continue
			}
			for _, lhs := range forms {
				c := *r
				c.lhs, c.index = lhs, p.nrules
				p.nrules++
				all = append(all, &c)
			}
		}
		t.rules = all
	}
}

// maxOrders is how many rules one may become.
const maxOrders = 16

// count adds up the symbols in n.
func (n *node) count(uses map[string]int) {
	if n.kind == symbolNode {
		uses[n.text]++
	}
	for _, a := range n.list {
		a.count(uses)
	}
}

// orders are the forms of pattern n, in a rule that mentions names so many times.
func (p *Program) orders(n *node, uses map[string]int) []*node {
	if n.kind != listNode || len(n.list) == 0 {
		return []*node{n}
	}
	forms := [][]*node{nil}
	for _, a := range n.list {
		var next [][]*node
		for _, o := range p.orders(a, uses) {
			for _, f := range forms {
				next = append(next, append(f[:len(f):len(f)], o))
			}
		}
		forms = next
	}
	t := p.terms[n.head()]
	var out []*node
	for _, f := range forms {
		c := *n
		c.list = f
		out = append(out, &c)
		if t == nil || !t.commutative || len(f) != len(t.args)+1 {
			continue
		}
		i := t.operands() + 1
		if p.free(f[i], uses) && p.free(f[i+1], uses) || f[i].kind == symbolNode && f[i].text == f[i+1].text || p.constantShape(f[i+1]) {
			continue // the same with other names, or a constant, which is always second
		}
		s := c
		s.list = append([]*node(nil), f...)
		s.list[i], s.list[i+1] = f[i+1], f[i]
		out = append(out, &s)
	}
	return out
}

// free reports whether n matches anything and the rule does not mention it elsewhere.
func (p *Program) free(n *node, uses map[string]int) bool {
	return n.kind == symbolNode && (n.text == "_" || uses[n.text] == 1) && p.consts[n.text] == nil && !strings.Contains(n.text, ".")
}

// constantShape reports whether n matches constants only: a term declared so, or a name of one.
func (p *Program) constantShape(n *node) bool {
	if n.head() == "and" {
		for _, a := range n.list[1:] {
			if p.constantShape(a) {
				return true
			}
		}
	}
	t := p.terms[n.head()]
	return t != nil && t.constant
}

// (disjoint (EXTRACTOR | CONSTANT)…)
func (p *Program) declDisjoint(f *node) {
	if len(f.list) < 3 {
		p.errorf(f.pos, "expected (disjoint X Y…), extractors and constants of one type")
		return
	}
	p.ndisjoint++
	var of *typ
	for _, n := range f.list[1:] {
		var mt *typ
		if k := p.consts[n.text]; n.kind == symbolNode && k != nil {
			mt = k.typ
			k.disjoint = append(k.disjoint, p.ndisjoint)
			p.constSets[k.exp] = k
		} else if t := p.termOf(n); t != nil {
			mt = t.ret
			t.disjoint = append(t.disjoint, p.ndisjoint)
		} else {
			return
		}
		if of == nil {
			of = mt
		}
		if mt != of {
			p.errorf(n.pos, "%s matches a %s, but %s a %s", n.text, mt.name, f.list[1].text, of.name)
		}
	}
}

// (rule [NAME] [PRIORITY] (TERM PATTERN…) GUARD… EXPR)
func (p *Program) declRule(f *node) {
	r := &rule{pos: f.pos, index: p.nrules}
	p.nrules++
	rest := f.list[1:]
	if len(rest) > 0 && rest[0].kind == symbolNode {
		r.name = rest[0].text
		rest = rest[1:]
	}
	if len(rest) > 0 && rest[0].kind == intNode {
		if n, err := fmt.Sscanf(rest[0].text, "%d", &r.prio); n != 1 || err != nil || r.prio > 1000 || r.prio < -1000 {
			p.errorf(rest[0].pos, "priority out of range: %s", rest[0].text)
		}
		rest = rest[1:]
	}
	if len(rest) < 2 || rest[0].head() == "" {
		p.errorf(f.pos, "expected (rule [NAME] [PRIORITY] (TERM PATTERN…) GUARD… EXPR)")
		return
	}
	t := p.termOf(rest[0].list[0])
	if t == nil {
		return
	}
	r.lhs, r.guards, r.rhs = rest[0], rest[1:len(rest)-1], rest[len(rest)-1]
	t.rules = append(t.rules, r)
}

// goName turns a term's name into a Go method's: x64_add_rr → x64AddRr.
func goName(s string) string {
	var b strings.Builder
	up := false
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch {
		case c == '_' || c == '-' || c == '.' || c == '/':
			up = b.Len() > 0
		case up && c >= 'a' && c <= 'z':
			b.WriteByte(c - 'a' + 'A')
			up = false
		case c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9':
			b.WriteByte(c)
			up = false
		default:
			fmt.Fprintf(&b, "%02x", c)
			up = false
		}
	}
	return b.String()
}

// CompileFiles loads the rule files as one program and generates its Go code. In errors and comments files go by their base
// names.
func CompileFiles(files []string) ([]byte, error) {
	var srcs []Source
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			return nil, err
		}
		srcs = append(srcs, Source{filepath.Base(f), string(text)})
	}
	p, err := Load(srcs)
	if err != nil {
		return nil, err
	}
	return p.Generate("rulesc")
}
