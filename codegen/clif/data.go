package clif

import (
	"slices"
	"strconv"

	"github.com/davit-wasm/davit/codegen/ir"
)

// Data is a value of a scalar type or a vector of at most 128 bits, as
// directives of test files write them. Lane 0 of a vector is in the low bits.
type Data struct {
	Type   ir.Type
	Lo, Hi uint64
}

func (d Data) String() string {
	v := uint128{d.Hi, d.Lo}
	if !d.Type.IsVector() {
		return string(appendScalar(nil, v, d.Type))
	}
	out := []byte{'['}
	lane := d.Type.Lane()
	for i := range d.Type.Lanes() {
		if i > 0 {
			out = append(out, ' ')
		}
		out = appendScalar(out, v.shr(i*lane.Bits()).shl(128-lane.Bits()).shr(128-lane.Bits()), lane)
	}
	return string(append(out, ']'))
}

func appendScalar(out []byte, v uint128, t ir.Type) []byte {
	switch {
	case t.IsFloat():
		return appendFloat(out, v, t)
	case t.Bits() <= 64:
		return strconv.AppendInt(out, int64(v.lo)<<(64-t.Bits())>>(64-t.Bits()), 10)
	case v.hi == 0:
		return append(out, "0x"+strconv.FormatUint(v.lo, 16)...)
	}
	return appendHex(append(out, "0x"...), v, 1)
}

// Run is a directive such as `run: %f(1, 2) == 3`.
type Run struct {
	Print bool // `print:` shows the results and compares nothing
	Bare  bool // `run` alone: no arguments, and a result that is not zero
	Func  ir.Name
	Args  []Data
	Not   bool // != in place of ==
	Want  []Data
}

// ParseRun reads the text of a comment as a run directive; ok is false if it is
// another comment. sig yields the signature of a function of the file.
func ParseRun(c Comment, sig func(ir.Name) *ir.Signature) (r *Run, ok bool, err error) {
	defer rescue("", &err)
	p := newParser(c.Text)
	p.lex.line = c.Line
	p.f = ir.NewFunction(ir.Name{}, ir.Signature{})
	p.advance()
	r = &Run{}
	switch {
	case p.acceptWord("print"):
		r.Print = true
	case p.tok.kind == tokIdent && p.tok.text == "run":
		p.advance()
		if p.tok.kind == tokEOF {
			r.Bare = true
			return r, true, nil
		}
	default:
		return nil, false, nil
	}
	if !p.accept(":") {
		return nil, false, nil
	}
	ok = true
	at := p.tok
	r.Func = p.name()
	s := sig(r.Func)
	if s == nil {
		p.fail(at, "no function %v", r.Func)
	}
	if p.accept("(") {
		if len(s.Params) > 0 {
			r.Args = p.dataList(s.Params)
		}
		p.expect(")")
	} else if len(s.Params) > 0 {
		p.expected("`(`")
	}
	switch {
	case p.accept("=="):
	case p.accept("!="):
		r.Not = true
	default:
		if p.tok.kind != tokEOF {
			p.expected("`==` or `!=`")
		}
		if !r.Print && len(s.Returns) > 0 {
			r.Bare = true
		}
		return r, ok, nil
	}
	if len(s.Returns) == 1 {
		r.Want = p.dataList(s.Returns)
	} else {
		p.expect("[")
		if len(s.Returns) > 0 {
			r.Want = p.dataList(s.Returns)
		}
		p.expect("]")
	}
	if p.tok.kind != tokEOF {
		p.expected("the end of the directive")
	}
	return r, ok, nil
}

// dataList reads values of the types of params, separated by commas.
func (p *parser) dataList(params []ir.Param) (list []Data) {
	for i, par := range params {
		if i > 0 {
			p.expect(",")
		}
		list = append(list, p.data(par.Type))
	}
	return list
}

func (p *parser) data(t ir.Type) Data {
	if t.IsDynamic() || t.Bytes() > 16 {
		p.fail(p.tok, "values of type %v cannot be written here", t)
	}
	if !t.IsVector() {
		v := p.scalar(t)
		return Data{t, v.lo, v.hi}
	}
	b := slices.Clone(p.constantBytes(t, true))
	d := Data{Type: t}
	for i, x := range b {
		if i < 8 {
			d.Lo |= uint64(x) << (8 * i)
		} else {
			d.Hi |= uint64(x) << (8 * (i - 8))
		}
	}
	return d
}
