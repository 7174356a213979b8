package main

import (
	"fmt"
	"math"

	"github.com/davit-wasm/davit/codegen/frontend"
	"github.com/davit-wasm/davit/codegen/ir"
)

// The code of a unit is made in one walk over its tree, which checks the types
// as it goes: the value of an expression and its type are found together.

// scope is what names mean. The one of a session lasts as long as that; the
// changes of a unit are kept only if all of it is right.
type scope struct {
	funcs   map[string]*signature
	globals map[string]typ
}

type signature struct {
	params []typ
	result typ
}

func (s *signature) String() string {
	text := "fn("
	for i, p := range s.params {
		if i > 0 {
			text += ", "
		}
		text += p.String()
	}
	if s.result == tVoid {
		return text + ")"
	}
	return text + ") " + s.result.String()
}

// program is a unit as IR.
type program struct {
	main    *ir.Function
	funcs   []*ir.Function
	globals []string // new ones, 8 bytes each
	texts   []text   // new literals
}

// text is a literal, a data object.
type text struct {
	name  ir.Name
	value string
}

// Names of things in the object file. A prefix keeps them apart from the names
// of the C library.
func funcName(name string) ir.Name   { return ir.TestName("toy_" + name) }
func globalName(name string) ir.Name { return ir.TestName("toyvar_" + name) }
func textName(i int) ir.Name         { return ir.TestName(fmt.Sprintf("toytext_%d", i)) }

// rtFunc is a function of the runtime: runtime/runtime.c for programs that are
// linked, host.go for those that run here.
type rtFunc struct {
	name   string
	params []ir.Type
}

var rt = struct{ printInt, printFloat, printBool, printText, fail rtFunc }{
	rtFunc{"rt_print_int", []ir.Type{ir.I64}},
	rtFunc{"rt_print_float", []ir.Type{ir.F64}},
	rtFunc{"rt_print_bool", []ir.Type{ir.I8}},
	rtFunc{"rt_print_text", []ir.Type{ir.I64, ir.I64}},
	rtFunc{"rt_fail", []ir.Type{ir.I32, ir.I32}}, // line and column of a division by zero
}

func (r rtFunc) signature(cc ir.CallConv) ir.Signature {
	s := ir.Signature{CallConv: cc}
	for _, t := range r.params {
		s.Params = append(s.Params, ir.Param{Type: t})
	}
	// C callers and callees extend narrow integers differently; ask for it.
	if r.params[0] == ir.I8 {
		s.Params[0].Ext = ir.ZeroExtend
	}
	return s
}

// irType is how values of a type are held.
func irType(t typ) ir.Type {
	switch t {
	case tInt:
		return ir.I64
	case tFloat:
		return ir.F64
	}
	return ir.I8 // 0 or 1
}

type generator struct {
	scope   *scope
	texts   map[string]int // numbers of literals, of the whole session
	out     *program
	cc      ir.CallConv
	echo    bool // print the values of statements that are expressions
	b       frontend.Builder
	f       *ir.Function
	funcs   map[string]ir.FuncRef // of f
	globals map[ir.Name]ir.GlobalValue
	result  typ
	locals  []map[string]local // innermost last
	loops   []loop
}

type local struct {
	v frontend.Variable
	t typ
}

type loop struct{ again, out ir.Block }

// generate makes the IR of a unit. Mistakes are raised as failures; the scope
// may have been added to by then.
func (g *generator) generate(u *unit, mainName ir.Name) *program {
	g.out = &program{}
	for _, f := range u.funcs {
		s := &signature{result: f.result}
		for _, p := range f.params {
			s.params = append(s.params, p.typ)
		}
		if f.name == "int" || f.name == "float" || f.name == "main" {
			fail(f.pos, "%s is taken", f.name)
		}
		if old := g.scope.funcs[f.name]; old != nil && old.String() != s.String() {
			fail(f.pos, "%s is a %v already, and cannot become a %v", f.name, old, s)
		}
		for _, other := range u.funcs {
			if other != f && other.name == f.name && other.pos < f.pos {
				fail(f.pos, "%s is declared twice", f.name)
			}
		}
		g.scope.funcs[f.name] = s
	}

	g.begin(mainName, nil, tVoid)
	g.locals = nil // names outside of functions are global
	for _, s := range u.stmts {
		g.statement(s)
	}
	g.out.main = g.end(pos(0))

	for _, f := range u.funcs {
		g.begin(funcName(f.name), f.params, f.result)
		g.statements(f.body)
		g.out.funcs = append(g.out.funcs, g.end(f.end))
	}
	return g.out
}

// begin starts a function, whose parameters become variables.
func (g *generator) begin(name ir.Name, params []param, result typ) {
	sig := ir.Signature{CallConv: g.cc}
	for _, p := range params {
		sig.Params = append(sig.Params, ir.Param{Type: irType(p.typ)})
	}
	if result != tVoid {
		sig.Returns = []ir.Param{{Type: irType(result)}}
	}
	g.f = ir.NewFunction(name, sig)
	g.funcs = map[string]ir.FuncRef{}
	g.globals = map[ir.Name]ir.GlobalValue{}
	g.result = result
	g.loops = nil
	g.b.Begin(g.f)
	entry := g.b.CreateBlock()
	g.b.AppendFunctionParams(entry)
	g.b.SwitchTo(entry)
	g.b.Seal(entry)
	g.locals = []map[string]local{{}}
	for i, p := range params {
		g.declare(p.pos, p.name, p.typ, g.f.Params(entry)[i])
	}
}

// end ends the function with a return, if it needs one.
func (g *generator) end(at pos) *ir.Function {
	switch {
	case g.b.Filled():
	case g.result == tVoid:
		g.b.Return()
	case g.b.Unreachable():
		g.b.Trap(1)
	default:
		fail(at, "the function can end here without returning its %v", g.result)
	}
	if err := g.b.Finish(); err != nil {
		fail(at, "%v", err)
	}
	return g.f
}

// declare makes a local variable.
func (g *generator) declare(at pos, name string, t typ, v ir.Value) {
	inner := g.locals[len(g.locals)-1]
	if _, ok := inner[name]; ok {
		fail(at, "%s is declared twice", name)
	}
	l := local{g.b.DeclareVar(irType(t)), t}
	g.b.DefVar(l.v, v)
	inner[name] = l
}

func (g *generator) find(name string) (local, bool) {
	for i := len(g.locals) - 1; i >= 0; i-- {
		if l, ok := g.locals[i][name]; ok {
			return l, true
		}
	}
	return local{}, false
}

// address is the address of a data object.
func (g *generator) address(name ir.Name) ir.Value {
	gv, ok := g.globals[name]
	if !ok {
		gv = g.f.AddGlobal(ir.GlobalData{Kind: ir.GlobalSymbol, Name: name})
		g.globals[name] = gv
	}
	return g.b.SymbolValue(ir.I64, gv)
}

// callee is a function that f calls.
func (g *generator) callee(name ir.Name, sig func() ir.Signature) ir.FuncRef {
	ref, ok := g.funcs[name.Text]
	if !ok {
		ref = g.f.AddExtFunc(ir.ExtFunc{Name: name, Sig: g.f.AddSig(sig())})
		g.funcs[name.Text] = ref
	}
	return ref
}

func (g *generator) runtime(r rtFunc, args ...ir.Value) {
	g.b.Call(g.callee(ir.TestName(r.name), func() ir.Signature { return r.signature(g.cc) }), args...)
}

// statements are those of a block, with a scope of their own.
func (g *generator) statements(list []*stmt) {
	g.locals = append(g.locals, map[string]local{})
	for _, s := range list {
		g.statement(s)
	}
	g.locals = g.locals[:len(g.locals)-1]
}

func (g *generator) statement(s *stmt) {
	b := &g.b
	if b.Filled() { // after a return, break or continue: never run, but checked
		dead := b.CreateBlock()
		b.Seal(dead)
		b.SwitchTo(dead)
	}
	b.SetSourceLoc(ir.SourceLoc(s.pos))
	switch s.kind {
	case sVar:
		v, t := g.value(s.x)
		if len(g.locals) > 0 {
			g.declare(s.pos, s.name, t, v)
			return
		}
		if old, ok := g.scope.globals[s.name]; !ok {
			g.out.globals = append(g.out.globals, s.name)
			g.scope.globals[s.name] = t
		} else if old != t {
			fail(s.pos, "%s is of type %v already, and cannot become %v", s.name, old, t)
		}
		b.Store(ir.MemTrusted, v, g.address(globalName(s.name)), 0)
	case sAssign:
		v, t := g.value(s.x)
		l, ok := g.find(s.name)
		want := l.t
		if !ok {
			if want, ok = g.scope.globals[s.name]; !ok {
				fail(s.pos, "%s is not declared; write var %s = …", s.name, s.name)
			}
			if t == want {
				b.Store(ir.MemTrusted, v, g.address(globalName(s.name)), 0)
			}
		} else if t == want {
			b.DefVar(l.v, v)
		}
		if t != want {
			fail(s.pos, "%s is of type %v, and cannot hold %v", s.name, want, t)
		}
	case sExpr:
		v, t := g.expr(s.x)
		switch {
		case g.echo && t != tVoid:
			g.print(v, t)
			g.printText("\n")
		case s.x.kind != eCall && !g.echo:
			fail(s.x.pos, "the value is not used")
		}
	case sPrint:
		for i, x := range s.args {
			if i > 0 {
				g.printText(" ")
			}
			if x.kind == eText {
				g.printText(x.name)
			} else {
				g.print(g.value(x))
			}
		}
		g.printText("\n")
	case sIf:
		then, join := b.CreateBlock(), b.CreateBlock()
		otherwise := join
		if s.alt != nil {
			otherwise = b.CreateBlock()
		}
		b.Brif(g.condition(s.x), then, nil, otherwise, nil)
		arm := func(blk ir.Block, list []*stmt) {
			b.Seal(blk)
			b.SwitchTo(blk)
			g.statements(list)
			g.goOn(join)
		}
		arm(then, s.body)
		if s.alt != nil {
			arm(otherwise, s.alt)
		}
		b.Seal(join)
		b.SwitchTo(join)
	case sWhile:
		again, body, out := b.CreateBlock(), b.CreateBlock(), b.CreateBlock()
		b.Jump(again)
		b.SwitchTo(again)
		if s.x.kind == eBool && s.x.i == 1 {
			b.Jump(body) // so that it is known that nothing follows a while true
		} else {
			b.Brif(g.condition(s.x), body, nil, out, nil)
		}
		b.Seal(body)
		b.SwitchTo(body)
		g.loops = append(g.loops, loop{again, out})
		g.statements(s.body)
		g.loops = g.loops[:len(g.loops)-1]
		g.goOn(again)
		b.Seal(again) // only now are all branches to it made
		b.Seal(out)
		b.SwitchTo(out)
	case sBreak, sContinue:
		if len(g.loops) == 0 {
			fail(s.pos, "break and continue belong in loops")
		}
		to := g.loops[len(g.loops)-1]
		if s.kind == sBreak {
			b.Jump(to.out)
		} else {
			b.Jump(to.again)
		}
	case sReturn:
		if s.x == nil {
			if g.result != tVoid {
				fail(s.pos, "the function returns %v", g.result)
			}
			b.Return()
			return
		}
		v, t := g.value(s.x)
		if t != g.result {
			fail(s.pos, "the function returns %v, not %v", g.result, t)
		}
		b.Return(v)
	case sBlock:
		g.statements(s.body)
	}
}

// goOn ends the current block, unless it has ended, with a jump. Where nothing
// leads to it, none is made: the block it goes to might be reached by nothing
// else.
func (g *generator) goOn(to ir.Block) {
	switch {
	case g.b.Filled():
	case g.b.Unreachable():
		g.b.Trap(1)
	default:
		g.b.Jump(to)
	}
}

func (g *generator) print(v ir.Value, t typ) {
	switch t {
	case tInt:
		g.runtime(rt.printInt, v)
	case tFloat:
		g.runtime(rt.printFloat, v)
	case tBool:
		g.runtime(rt.printBool, v)
	}
}

func (g *generator) printText(s string) {
	i, ok := g.texts[s]
	if !ok {
		i = len(g.texts)
		g.texts[s] = i
		g.out.texts = append(g.out.texts, text{textName(i), s})
	}
	g.runtime(rt.printText, g.address(textName(i)), g.b.Iconst(ir.I64, int64(len(s))))
}

// value is an expression that has a value.
func (g *generator) value(e *expr) (ir.Value, typ) {
	v, t := g.expr(e)
	if t == tVoid {
		fail(e.pos, "%s returns nothing", e.name)
	}
	return v, t
}

func (g *generator) condition(e *expr) ir.Value {
	v, t := g.value(e)
	if t != tBool {
		fail(e.pos, "a condition is a bool, not %v", t)
	}
	return v
}

func (g *generator) expr(e *expr) (ir.Value, typ) {
	b := &g.b
	switch e.kind {
	case eInt:
		return b.Iconst(ir.I64, e.i), tInt
	case eFloat:
		return b.F64const(math.Float64bits(e.f)), tFloat
	case eBool:
		return b.Iconst(ir.I8, e.i), tBool
	case eName:
		if l, ok := g.find(e.name); ok {
			return b.UseVar(l.v), l.t
		}
		t, ok := g.scope.globals[e.name]
		if !ok {
			fail(e.pos, "%s is not declared", e.name)
		}
		return b.Load(irType(t), ir.MemTrusted, g.address(globalName(e.name)), 0), t
	case eCall:
		return g.call(e)
	case eUnary:
		v, t := g.value(e.a)
		switch {
		case e.name == "!" && t == tBool:
			return b.Bxor(v, b.Iconst(ir.I8, 1)), tBool
		case e.name == "-" && t == tInt:
			return b.Ineg(v), tInt
		case e.name == "-" && t == tFloat:
			return b.Fneg(v), tFloat
		}
		fail(e.pos, "%s does not go with %v", e.name, t)
	}
	if e.name == "&&" || e.name == "||" {
		return g.logic(e), tBool
	}
	x, t := g.value(e.a)
	y, u := g.value(e.b)
	if t != u {
		fail(e.pos, "%s between %v and %v; write int(…) or float(…)", e.name, t, u)
	}
	b.SetSourceLoc(ir.SourceLoc(e.pos))
	v, result := ir.NoValue, t
	switch t {
	case tInt:
		v, result = g.integers(e, x, y)
	case tFloat:
		v, result = g.floats(e.name, x, y)
	case tBool:
		if cc, ok := intCC[e.name]; ok && levels[e.name] == 3 && cc <= ir.NotEqual {
			v = b.Icmp(cc, x, y)
		}
	}
	if v == ir.NoValue {
		fail(e.pos, "%s does not go with %v", e.name, t)
	}
	return v, result
}

var intCC = map[string]ir.IntCC{
	"==": ir.Equal, "!=": ir.NotEqual, "<": ir.SignedLessThan, "<=": ir.SignedLessThanOrEqual,
	">": ir.SignedGreaterThan, ">=": ir.SignedGreaterThanOrEqual,
}

var floatCC = map[string]ir.FloatCC{
	"==": ir.FloatEqual, "!=": ir.FloatNotEqual, "<": ir.LessThan, "<=": ir.LessThanOrEqual,
	">": ir.GreaterThan, ">=": ir.GreaterThanOrEqual,
}

func (g *generator) integers(e *expr, x, y ir.Value) (ir.Value, typ) {
	b := &g.b
	switch e.name {
	case "+":
		return b.Iadd(x, y), tInt
	case "-":
		return b.Isub(x, y), tInt
	case "*":
		return b.Imul(x, y), tInt
	case "/", "%":
		return g.divide(e, x, y), tInt
	}
	return b.Icmp(intCC[e.name], x, y), tBool
}

func (g *generator) floats(op string, x, y ir.Value) (ir.Value, typ) {
	b := &g.b
	switch op {
	case "+":
		return b.Fadd(x, y), tFloat
	case "-":
		return b.Fsub(x, y), tFloat
	case "*":
		return b.Fmul(x, y), tFloat
	case "/":
		return b.Fdiv(x, y), tFloat
	case "%":
		return ir.NoValue, tVoid
	}
	return b.Fcmp(floatCC[op], x, y), tBool
}

// divide is x / y or x % y as Go has them. A divisor of zero ends the program
// with the place; the least int divided by -1, for which sdiv traps, is itself.
func (g *generator) divide(e *expr, x, y ir.Value) ir.Value {
	b := &g.b
	op := b.Sdiv
	if e.name == "%" {
		op = b.Srem
	}
	if e.b.kind == eInt && e.b.i != 0 { // a literal is never negative
		return op(x, y)
	}
	zero, ok := b.CreateBlock(), b.CreateBlock()
	g.f.SetCold(zero, true)
	b.Brif(y, ok, nil, zero, nil)
	b.Seal(ok)
	b.Seal(zero)
	b.SwitchTo(zero)
	g.runtime(rt.fail, b.Iconst(ir.I32, int64(e.pos.line())), b.Iconst(ir.I32, int64(e.pos.column())))
	b.Trap(1) // it does not return
	b.SwitchTo(ok)
	minus := b.Icmp(ir.Equal, y, b.Iconst(ir.I64, -1))
	q := op(x, b.Select(minus, b.Iconst(ir.I64, 1), y))
	if e.name == "%" {
		return q // by 1 and by -1 it is 0
	}
	return b.Select(minus, b.Ineg(x), q)
}

// logic is && or ||, whose right side is computed only if it is needed.
func (g *generator) logic(e *expr) ir.Value {
	b := &g.b
	x := g.condition(e.a)
	more, join := b.CreateBlock(), b.CreateBlock()
	result := b.AppendParam(join, ir.I8)
	if e.name == "&&" {
		b.Brif(x, more, nil, join, []ir.Value{x})
	} else {
		b.Brif(x, join, []ir.Value{x}, more, nil)
	}
	b.Seal(more)
	b.SwitchTo(more)
	b.Jump(join, g.condition(e.b))
	b.Seal(join)
	b.SwitchTo(join)
	return result
}

func (g *generator) call(e *expr) (ir.Value, typ) {
	b := &g.b
	if e.name == "int" || e.name == "float" {
		if len(e.args) != 1 {
			fail(e.pos, "%s takes one value", e.name)
		}
		v, t := g.value(e.args[0])
		switch {
		case t.String() == e.name:
			return v, t
		case t == tInt:
			return b.FcvtFromSint(ir.F64, v), tFloat
		case t == tFloat:
			return b.FcvtToSintSat(ir.I64, v), tInt
		case e.name == "int": // of a bool
			return b.Uextend(ir.I64, v), tInt
		}
		fail(e.pos, "%s of %v", e.name, t)
	}
	s := g.scope.funcs[e.name]
	if s == nil {
		fail(e.pos, "there is no function %s", e.name)
	}
	if len(e.args) != len(s.params) {
		fail(e.pos, "%s is a %v, and gets %d values", e.name, s, len(e.args))
	}
	args := make([]ir.Value, len(e.args))
	for i, a := range e.args {
		var t typ
		if args[i], t = g.value(a); t != s.params[i] {
			fail(a.pos, "%s is a %v; value %d is of type %v", e.name, s, i+1, t)
		}
	}
	b.SetSourceLoc(ir.SourceLoc(e.pos))
	ref := g.callee(funcName(e.name), func() ir.Signature {
		sig := ir.Signature{CallConv: g.cc}
		for _, t := range s.params {
			sig.Params = append(sig.Params, ir.Param{Type: irType(t)})
		}
		if s.result != tVoid {
			sig.Returns = []ir.Param{{Type: irType(s.result)}}
		}
		return sig
	})
	return g.f.Result(b.Call(ref, args...)), s.result
}
