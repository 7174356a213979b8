package wast

import (
	"bytes"
	"math"
	"strings"

	"github.com/davit-wasm/davit/internal/wattext"
	"github.com/davit-wasm/davit/wasm"
)

func float32FromBits(b uint64) float32 { return math.Float32frombits(uint32(b)) }
func float64FromBits(b uint64) float64 { return math.Float64frombits(b) }

// Parse reads a script. An error is a [*wattext.Error].
func Parse(src []byte) (*Script, error) {
	text, err := wattext.Lex(src)
	if err != nil {
		return nil, err
	}
	p := parser{Cursor: wattext.NewCursor(text), line: 1}
	s := &Script{Header: header(src)}
	s.Commands = p.commands(0)
	if p.Err == nil && p.Kind() != wattext.EOF {
		p.Unexpected("a command")
	}
	if p.Err != nil {
		return nil, p.Err
	}
	return s, nil
}

// header reads the `;;!` lines that a script may begin with.
func header(src []byte) (options []Option) {
	for i, line := range strings.Split(string(src[:min(len(src), 16<<10)]), "\n") {
		line = strings.TrimSpace(line)
		rest, ok := strings.CutPrefix(line, ";;!")
		if !ok {
			if line == "" || strings.HasPrefix(line, ";;") {
				continue
			}
			break
		}
		key, value, _ := strings.Cut(rest, "=")
		options = append(options, Option{strings.TrimSpace(key), strings.TrimSpace(value), i + 1})
	}
	return options
}

// lineOf is the line of the token at index pos.
func (p *parser) lineOf(pos uint32) int {
	if pos > p.End {
		pos = p.End
	}
	off := int(p.Src.Tokens[pos].Off)
	if off < p.lineOff {
		p.line, p.lineOff = 1, 0
	}
	p.line += bytes.Count(p.Src.Text[p.lineOff:off], []byte("\n"))
	p.lineOff = off
	return p.line
}

// maxThreadDepth limits how deep threads may be nested in threads.
const maxThreadDepth = 8

// commands reads commands up to the end or to a closing parenthesis.
func (p *parser) commands(depth int) (cmds []Command) {
	for p.Kind() == wattext.LParen {
		cmds = append(cmds, p.command(depth))
	}
	return cmds
}

// moduleFields are the words that begin a module field: fields at top level
// form a module.
func isModuleField(head []byte) bool {
	switch string(head) {
	case "type", "rec", "import", "func", "table", "memory", "global", "tag", "export", "start", "elem", "data":
		return true
	}
	return false
}

func (p *parser) command(depth int) Command {
	start := p.Pos
	c := Command{Line: p.lineOf(start)}
	head := p.Head()
	if isModuleField(head) {
		m := &Module{Line: c.Line}
		for isModuleField(p.Head()) {
			p.SkipList()
		}
		m.Offset = int(p.Src.Tokens[start].Off)
		m.Source, m.Script = p.Src.Text[m.Offset:p.Src.Tokens[p.Pos-1].End], p.Src.Text
		c.Module = m
		return c
	}
	end := p.Src.Tokens[start].Pair
	p.Next()
	p.Next()
	switch string(head) {
	case "module":
		p.Pos = start
		p.moduleCommand(&c)
		return c
	case "register":
		c.Kind, c.Name, c.Instance = KindRegister, string(p.TakeString()), p.TakeID()
	case "invoke", "get":
		p.Pos = start
		c.Kind, c.Action = KindAction, p.action()
		if p.unsupported != "" {
			c.Kind, c.Message = KindUnsupported, p.unsupported+" is not supported"
			p.unsupported = ""
		}
		return c
	case "assert_return":
		c.Kind, c.Action = KindReturn, p.action()
		for p.Kind() == wattext.LParen {
			c.Results = append(c.Results, p.result(false))
		}
	case "assert_trap":
		c.Kind = KindTrap
		if head := string(p.Head()); head == "module" || head == "component" {
			c.Module = p.module()
		} else {
			c.Action = p.action()
		}
		c.Message = p.message()
	case "assert_exhaustion":
		c.Kind, c.Action = KindExhaustion, p.action()
		c.Message = p.message()
	case "assert_exception":
		c.Kind, c.Action = KindException, p.action()
	case "assert_suspension":
		c.Kind, c.Action = KindSuspension, p.action()
		c.Message = p.message()
	case "assert_invalid", "assert_malformed", "assert_unlinkable", "assert_invalid_custom", "assert_malformed_custom":
		c.Kind = map[string]Kind{"assert_invalid": KindInvalid, "assert_malformed": KindMalformed,
			"assert_unlinkable": KindUnlinkable, "assert_invalid_custom": KindInvalidCustom,
			"assert_malformed_custom": KindMalformedCustom}[string(head)]
		c.Module = p.module()
		c.Message = p.message()
	case "thread":
		p.thread(&c, depth)
	case "wait":
		c.Kind, c.Name = KindWait, p.TakeID()
	case "component", "script", "input", "output":
		p.unsupported = string(head)
		p.Pos = end
	default:
		p.Pos = start + 1
		p.Unexpected("a command")
		return c
	}
	if p.unsupported != "" {
		c.Kind, c.Message = KindUnsupported, p.unsupported+" is not supported"
		p.unsupported = ""
	}
	p.Close()
	return c
}

// message reads the message of an assertion.
func (p *parser) message() string {
	if p.Kind() != wattext.String {
		return "" // some scripts leave it out
	}
	return string(p.TakeString())
}

// moduleCommand reads a module, a definition or an instantiation.
func (p *parser) moduleCommand(c *Command) {
	if p.KindAt(2) == wattext.Keyword && string(p.TextAt(2)) == "instance" {
		p.Pos += 3
		c.Kind, c.Instance, c.Of = KindInstance, p.TakeID(), p.TakeID()
		p.Close()
		return
	}
	c.Kind = KindModule
	c.Module = p.module()
}

// module reads `(module …)` of any form, or steps over a component.
func (p *parser) module() *Module {
	start := p.Pos
	m := &Module{Line: p.lineOf(start)}
	if string(p.Head()) != "module" {
		if p.Kind() == wattext.LParen {
			p.unsupported = "component"
			p.SkipList()
		} else {
			p.Unexpected("a module")
		}
		return m
	}
	end := p.Src.Tokens[start].Pair
	p.Pos += 2
	m.Definition = p.TakeKeyword("definition")
	m.ID = p.TakeID()
	switch {
	case p.TakeKeyword("binary"):
		m.Form, m.Source = FormBinary, p.strings()
		p.Close()
	case p.TakeKeyword("quote"):
		m.Form, m.Source = FormQuote, p.strings()
		p.Close()
	default:
		from, to := p.Src.Tokens[start].Off, p.Src.Tokens[end].End
		if m.Definition { // the text format does not know the word
			from, to = p.Src.Tokens[p.Pos-1].End, p.Src.Tokens[end].Off
			m.Line = p.lineOf(p.Pos - 1)
		}
		m.Source, m.Script, m.Offset = p.Src.Text[from:to], p.Src.Text, int(from)
		p.Pos = end + 1
	}
	return m
}

// strings reads strings and joins them.
func (p *parser) strings() []byte {
	b := []byte{}
	for p.Kind() == wattext.String {
		b = append(b, p.TakeString()...)
	}
	return b
}

func (p *parser) thread(c *Command, depth int) {
	c.Kind = KindThread
	if depth == maxThreadDepth {
		p.Fail("more than %d threads in each other", maxThreadDepth)
		return
	}
	c.Name = p.TakeID()
	if p.TakeHead("shared") {
		p.Open()
		if !p.TakeKeyword("module") {
			p.Unexpected("`module`")
		}
		c.Shared = p.TakeID()
		p.Close()
		p.Close()
	}
	c.Commands = p.commands(depth + 1)
}

func (p *parser) action() *Action {
	a := &Action{Line: p.lineOf(p.Pos)}
	switch {
	case p.TakeHead("get"):
		a.Get = true
	case p.TakeHead("invoke"):
	default:
		p.Unexpected("`(invoke …)` or `(get …)`")
		return a
	}
	a.Instance = p.TakeID()
	a.Name = string(p.TakeString())
	for p.Kind() == wattext.LParen {
		a.Args = append(a.Args, p.result(true).Value)
	}
	p.Close()
	return a
}

// result reads the pattern of a result, or an argument: then only exact values
// are right.
func (p *parser) result(exact bool) (r Result) {
	start := p.Pos
	head := string(p.Head())
	if isComponentValue(head) {
		p.unsupported = head
		p.SkipList()
		return r
	}
	p.Next()
	p.Next()
	switch head {
	case "i32.const":
		r.Value = Value{Type: wasm.I32, Lo: p.integer(32)}
	case "i64.const":
		r.Value = Value{Type: wasm.I64, Lo: p.integer(64)}
	case "f32.const":
		r = p.float(32, exact)
	case "f64.const":
		r = p.float(64, exact)
	case "v128.const":
		r = p.vector(exact)
	case "ref.null":
		r.Value = Value{Type: wasm.AnyRef, Ref: RefNull}
		if t, ok := heapTypes[string(p.Text())]; ok {
			r.Value.Type = wasm.Ref(true, t)
			p.Next()
		} else if p.Kind() != wattext.RParen {
			p.Next() // a type of a module, whose null is all the same
		} else if exact {
			p.Unexpected("a heap type")
		} else {
			r.Value.Type = 0 // any null
		}
		r.Kind = ResultRefNull
	case "ref.extern":
		r = p.hostRef(wasm.ExternRef, RefExtern, exact)
	case "ref.host":
		r = p.hostRef(wasm.AnyRef, RefHost, exact)
	default:
		if exact || !p.refResult(&r, head) {
			p.Pos = start + 1
			if exact {
				p.Unexpected("a constant")
			} else {
				p.Unexpected("a result")
			}
			return r
		}
	}
	p.Close()
	return r
}

// isComponentValue reports whether head begins a value of a component's type.
func isComponentValue(head string) bool {
	switch head {
	case "bool.const", "u8.const", "s8.const", "u16.const", "s16.const", "u32.const", "s32.const", "u64.const",
		"s64.const", "char.const", "str.const", "list.const", "record.const", "tuple.const", "variant.const",
		"enum.const", "option.some", "option.none", "result.ok", "result.err", "flags.const":
		return true
	}
	return false
}

// heapTypes are the heap types that constants may have.
var heapTypes = map[string]wasm.HeapType{
	"func": wasm.HeapFunc, "extern": wasm.HeapExtern, "any": wasm.HeapAny, "eq": wasm.HeapEq,
	"i31": wasm.HeapI31, "struct": wasm.HeapStruct, "array": wasm.HeapArray, "exn": wasm.HeapExn,
	"none": wasm.HeapNone, "nofunc": wasm.HeapNoFunc, "noextern": wasm.HeapNoExtern, "noexn": wasm.HeapNoExn,
}

// hostRef reads the number of a host's reference, which a result may leave out.
func (p *parser) hostRef(t wasm.ValType, k RefKind, exact bool) Result {
	r := Result{Value: Value{Type: t, Ref: k}}
	if !exact && p.Kind() == wattext.RParen {
		r.Kind = ResultRefKind
		return r
	}
	r.Value.Lo = p.integer(32)
	return r
}

// refResult reads what is allowed as a result only, after its keyword.
func (p *parser) refResult(r *Result, head string) bool {
	r.Kind = ResultRefKind
	switch head {
	case "either":
		r.Kind = ResultEither
		for p.Kind() == wattext.LParen {
			if string(p.Head()) == "either" {
				p.Unexpected("a result that is not an alternative itself")
				return true
			}
			r.Alternatives = append(r.Alternatives, p.result(false))
		}
	case "ref":
		r.Kind = ResultRef
	case "ref.func":
		r.Value.Ref = RefFunc
		if p.Kind() == wattext.Number { // a function's index, which nothing outside can see
			p.Next()
		}
	case "ref.i31", "ref.i31_shared":
		r.Value.Ref = RefI31
	case "ref.struct":
		r.Value.Ref = RefStruct
	case "ref.array":
		r.Value.Ref = RefArray
	case "ref.exn":
		r.Value.Ref = RefExn
	case "ref.any":
		r.Kind = ResultRefAny
	case "ref.eq":
		r.Kind = ResultRefEq
	default:
		return false
	}
	return true
}

func (p *parser) integer(bits int) uint64 {
	v, st := wattext.ParseInt(p.Text(), bits)
	if p.Kind() != wattext.Number || st != wattext.OK {
		p.Unexpected("an integer")
		return 0
	}
	p.Next()
	if bits < 64 {
		v &= 1<<bits - 1
	}
	return v
}

func (p *parser) float(bits int, exact bool) Result {
	r := Result{Value: Value{Type: wasm.F32}}
	if bits == 64 {
		r.Value.Type = wasm.F64
	}
	switch {
	case !exact && p.TakeKeyword("nan:canonical"):
		r.Kind = ResultNaNCanonical
		return r
	case !exact && p.TakeKeyword("nan:arithmetic"):
		r.Kind = ResultNaNArithmetic
		return r
	}
	v, st := wattext.ParseFloat(p.Text(), bits)
	if st != wattext.OK {
		p.Unexpected("a number")
		return r
	}
	p.Next()
	r.Value.Lo = v
	return r
}

func (p *parser) vector(exact bool) Result {
	r := Result{Kind: ResultVector, Value: Value{Type: wasm.V128}}
	shape, ok := wattext.LookupShape(p.Text())
	if !ok {
		p.Unexpected("a vector shape")
		return r
	}
	p.Next()
	r.LaneBits = shape.Bits
	nans := false
	for i := range shape.Lanes {
		var lane Result
		if shape.Float {
			lane = p.float(shape.Bits, exact)
		} else {
			lane.Value = Value{Type: wasm.I64, Lo: p.integer(shape.Bits)}
		}
		nans = nans || lane.Kind != ResultExact
		r.Lanes = append(r.Lanes, lane)
		if at := i * shape.Bits; at < 64 {
			r.Value.Lo |= lane.Value.Lo << at
		} else {
			r.Value.Hi |= lane.Value.Lo << (at - 64)
		}
	}
	if !nans {
		r.Kind, r.Lanes = ResultExact, nil
	}
	return r
}
