package clif

import (
	"strconv"

	"github.com/davit-wasm/davit/codegen/ir"
)

// instruction reads one instruction or value alias into block b.
func (p *parser) instruction(b ir.Block) {
	f := p.f
	line := p.tok.line
	loc, tags := ir.SourceLoc(0), p.tags[:0]
	for {
		if p.tok.kind == tokSourceLoc {
			n, err := strconv.ParseUint(p.tok.text, 16, 32)
			if err != nil {
				p.fail(p.tok, "%v is not a source location of 32 bits", p.tok)
			}
			loc = ir.SourceLoc(n)
			p.advance()
		} else if p.tok.is("<") {
			tags = p.debugTags(tags)
		} else {
			break
		}
	}
	p.tags = tags

	// Results, or an alias.
	var results []ir.Value
	first := p.tok
	if p.isEntity("v") {
		for {
			results = append(results, p.value())
			if !p.accept(",") {
				break
			}
		}
		if p.tok.kind == tokArrow && len(results) == 1 {
			p.alias(results[0], first)
			p.claim(f.LastInst(b))
			return
		}
		p.expect("=")
	}

	opTok := p.tok
	if opTok.kind != tokIdent {
		p.expected("an instruction")
	}
	op, ok := ir.ParseOpcode(opTok.text)
	if !ok {
		p.fail(opTok, "%v is not an instruction", opTok)
	}
	p.advance()
	d := ir.InstData{Op: op}
	if p.accept(".") {
		d.Type = p.typ()
	}
	f.Loc = loc
	dests := p.operands(&d, opTok.line)
	info := op.Info()
	switch {
	case info.Ctrl == ir.CtrlNone:
		if d.Type != ir.Invalid {
			p.fail(opTok, "%v takes no type", op)
		}
	case info.Ctrl == ir.CtrlExplicit:
		if d.Type == ir.Invalid {
			p.fail(opTok, "%v needs its type: %v.TYPE", op, op)
		}
	case d.Type == ir.Invalid:
		if int(info.Ctrl) >= len(p.args) {
			p.fail(opTok, "%v has too few operands", op)
		}
		v := p.args[info.Ctrl]
		if d.Type = f.ValueType(v); d.Type == ir.Invalid {
			p.fail(opTok, "the type of %v is not known here; write %v.TYPE", v, op)
		}
	}
	if d.Type != ir.Invalid && !info.Set.Contains(d.Type) {
		p.fail(opTok, "%v is not a type for %v, which needs %v", d.Type, op, info.Set)
	}
	if op == ir.OpIconst && d.Type.Bits() < 64 {
		d.Imm &= 1<<d.Type.Bits() - 1
	}
	inst := f.AddInst(d, p.args...)
	f.AppendInst(inst, b)
	for len(p.fn.lines) <= int(inst) {
		p.fn.lines = append(p.fn.lines, int32(line))
	}
	if len(p.tags) > 0 {
		f.SetDebugTags(inst, p.tags)
	}
	for _, d := range dests {
		f.AddDest(inst, d.block, d.args...)
	}
	p.stackMap(inst)
	p.results(inst, results, first, opTok)
	p.claim(inst)
}

// results makes the results of inst with the given numbers.
func (p *parser) results(inst ir.Inst, results []ir.Value, at, opTok token) {
	f, d := p.f, p.f.Inst(inst)
	var types []ir.Type
	if n, more := d.Op.FixedResults(); !more {
		for i := range n {
			t := d.Op.ResultType(i, d.Type)
			if t == ir.Invalid {
				p.fail(opTok, "%v has no result of a valid type with %v", d.Op, d.Type)
			}
			types = append(types, t)
		}
	} else if sig := f.CallSignature(inst); sig != ir.NoSig {
		for _, r := range f.Sigs[sig].Returns {
			types = append(types, r.Type)
		}
	}
	if len(results) != len(types) {
		p.fail(at, "%v has %d results, not %d", d.Op, len(types), len(results))
	}
	for i, v := range results {
		if f.ValueExists(v) {
			p.fail(at, "%v is defined twice", v)
		}
		f.AddResultAs(inst, types[i], v)
	}
}

// alias reads the rest of `v1 -> v2`.
func (p *parser) alias(v ir.Value, at token) {
	p.advance()
	t := p.tok
	of := p.value()
	if !p.f.ValueExists(of) {
		p.fail(t, "%v is not defined", of)
	}
	// An alias of an alias becomes one of the value itself, so that no text
	// makes long chains.
	of = p.f.Resolve(of)
	if p.f.ValueExists(v) {
		if was, ok := p.f.Alias(v); !ok || was != of {
			p.fail(at, "%v is defined twice", v)
		}
		return
	}
	p.f.SetAlias(v, of)
}

func (p *parser) debugTags(tags []ir.DebugTag) []ir.DebugTag {
	p.expect("<")
	for !p.accept(">") {
		if p.isEntity("ss") {
			tags = append(tags, ir.DebugTag{Kind: ir.DebugStackSlot, Value: p.entity("ss", "a stack slot")})
		} else {
			tags = append(tags, ir.DebugTag{Kind: ir.DebugUser, Value: p.uint32("a number or a stack slot")})
		}
		if !p.tok.is(">") {
			p.expect(",")
		}
	}
	return tags
}

// stackMap reads an optional `, stack_map=[i32 @ ss0+0, …]` behind a call.
func (p *parser) stackMap(inst ir.Inst) {
	if !p.f.Inst(inst).Op.IsCall() || !p.accept(",") {
		return
	}
	if !p.acceptWord("stack_map") {
		p.expected("`stack_map`")
	}
	p.expect("=")
	p.expect("[")
	for !p.accept("]") {
		e := ir.StackMapEntry{Type: p.typ()}
		p.expect("@")
		e.Slot = ir.StackSlot(p.declaredEntity("ss", "a stack slot such as ss0"))
		t := p.tok
		off := p.offset()
		if off < 0 {
			p.fail(t, "the offset %d is negative", off)
		}
		e.Offset = uint32(off)
		p.f.AddStackMapEntry(inst, e)
		if !p.tok.is("]") {
			p.expect(",")
		}
	}
}

// dest is a block call that was read.
type dest struct {
	block ir.Block
	args  []ir.Value
}

// blockCall reads `block1` or `block1(v1, v2)`. In those of a try_call,
// arguments may be ret0 or exn0.
func (p *parser) blockCall(try bool) dest {
	d := dest{block: p.block()}
	if !p.accept("(") {
		return d
	}
	for !p.accept(")") {
		switch {
		case try && p.isEntity("ret"):
			d.args = append(d.args, ir.RetArg(p.callArg("ret")))
		case try && p.isEntity("exn"):
			d.args = append(d.args, ir.ExnArg(p.callArg("exn")))
		default:
			d.args = append(d.args, p.use())
		}
		if !p.tok.is(")") {
			p.expect(",")
		}
	}
	return d
}

func (p *parser) callArg(prefix string) int {
	t := p.tok
	n := p.entity(prefix, "an argument")
	if n >= maxEntities {
		p.fail(t, "the number of %s is too large", t.text)
	}
	return int(n)
}

// valueList reads zero or more values separated by commas.
func (p *parser) valueList() {
	if !p.isEntity("v") {
		return
	}
	for {
		p.arg()
		if !p.accept(",") {
			return
		}
	}
}

// arg reads a value argument.
func (p *parser) arg() {
	if len(p.args) >= ir.MaxArgs {
		p.fail(p.tok, "the instruction has too many arguments")
	}
	p.args = append(p.args, p.use())
}

func (p *parser) argList(n int) {
	for i := range n {
		if i > 0 {
			p.expect(",")
		}
		p.arg()
	}
}

func (p *parser) parenthesized() {
	p.expect("(")
	p.valueList()
	p.expect(")")
}

func (p *parser) trapCode() ir.TrapCode {
	if p.tok.kind == tokIdent {
		if c, ok := ir.ParseTrapCode(p.tok.text); ok {
			p.advance()
			return c
		}
	}
	p.expected("a trap code such as user1 or heap_oob")
	return ir.NoTrap
}

func (p *parser) lane() int64 {
	p.expect(",")
	if p.tok.kind == tokNumber && p.tok.text[0] != '-' {
		return int64(p.integer(8, "a lane number"))
	}
	p.expected("a lane number")
	return 0
}

// constant reads const0 or a literal as a constant of type t.
func (p *parser) constant(t ir.Type) ir.Constant {
	if p.isEntity("const") {
		return ir.Constant(p.declaredEntity("const", "a constant"))
	}
	return p.f.AddConstant(p.constantBytes(t, true))
}

// operands reads what follows the opcode into d, p.args and block calls.
func (p *parser) operands(d *ir.InstData, line int) (dests []dest) {
	p.args = p.args[:0]
	switch d.Op.Format() {
	case ir.FormatNullary:
	case ir.FormatUnary, ir.FormatBinary, ir.FormatTernary:
		n, _ := d.Op.FixedOperands()
		p.argList(n)
	case ir.FormatUnaryImm:
		bits := 64
		if d.Type.IsInt() && d.Type.Bits() < 64 {
			bits = d.Type.Bits()
		}
		d.Imm = int64(p.integer(bits, "an integer of "+strconv.Itoa(bits)+" bits"))
	case ir.FormatUnaryIeee16:
		d.Imm = int64(p.scalar(ir.F16).lo)
	case ir.FormatUnaryIeee32:
		d.Imm = int64(p.scalar(ir.F32).lo)
	case ir.FormatUnaryIeee64:
		d.Imm = int64(p.scalar(ir.F64).lo)
	case ir.FormatUnaryConst:
		p.unaryConst(d)
	case ir.FormatUnaryGlobalValue:
		d.Ref = p.declaredEntity("gv", "a global value such as gv0")
	case ir.FormatBitCast, ir.FormatLoadNoOffset:
		d.Flags = p.memFlags()
		p.argList(1)
	case ir.FormatStoreNoOffset:
		d.Flags = p.memFlags()
		p.argList(2)
	case ir.FormatBinaryImm8:
		p.argList(1)
		d.Imm = p.lane()
	case ir.FormatTernaryImm8:
		p.argList(2)
		d.Imm = p.lane()
	case ir.FormatShuffle:
		p.argList(2)
		p.expect(",")
		d.Ref = uint32(p.constant(ir.I8X16))
	case ir.FormatMultiAry:
		if p.tok.line == line { // what the next line begins with is no operand
			p.valueList()
		}
	case ir.FormatIntCompare:
		c, ok := ir.ParseIntCC(p.tok.text)
		if p.tok.kind != tokIdent || !ok {
			p.expected("a condition such as eq")
		}
		p.advance()
		d.Cond = uint8(c)
		p.argList(2)
	case ir.FormatFloatCompare:
		c, ok := ir.ParseFloatCC(p.tok.text)
		if p.tok.kind != tokIdent || !ok {
			p.expected("a condition such as eq")
		}
		p.advance()
		d.Cond = uint8(c)
		p.argList(2)
	case ir.FormatJump:
		return []dest{p.blockCall(false)}
	case ir.FormatBrif:
		p.argList(1)
		p.expect(",")
		then := p.blockCall(false)
		p.expect(",")
		return []dest{then, p.blockCall(false)}
	case ir.FormatBranchTable:
		p.argList(1)
		p.expect(",")
		dests = append(dests, p.blockCall(false))
		p.expect(",")
		p.expect("[")
		for !p.accept("]") {
			dests = append(dests, p.blockCall(false))
			if !p.tok.is("]") {
				p.expect(",")
			}
		}
	case ir.FormatCall:
		d.Ref = p.declaredEntity("fn", "a function such as fn0")
		p.parenthesized()
	case ir.FormatCallIndirect:
		d.Ref = p.declaredSig()
		p.expect(",")
		p.argList(1)
		p.parenthesized()
	case ir.FormatTryCall:
		d.Ref = p.declaredEntity("fn", "a function such as fn0")
		p.parenthesized()
		return p.exceptionTable(d)
	case ir.FormatTryCallIndirect:
		p.argList(1)
		p.parenthesized()
		return p.exceptionTable(d)
	case ir.FormatFuncAddr:
		d.Ref = p.declaredEntity("fn", "a function such as fn0")
	case ir.FormatLoad:
		d.Flags = p.memFlags()
		p.argList(1)
		d.Imm = p.offset()
	case ir.FormatStore:
		d.Flags = p.memFlags()
		p.argList(2)
		d.Imm = p.offset()
	case ir.FormatAtomicRmw:
		d.Flags = p.memFlags()
		op, ok := ir.ParseAtomicOp(p.tok.text)
		if p.tok.kind != tokIdent || !ok {
			p.expected("an operation such as add")
		}
		p.advance()
		d.Cond = uint8(op)
		p.argList(2)
	case ir.FormatAtomicCas:
		d.Flags = p.memFlags()
		p.argList(3)
	case ir.FormatStackAddr:
		d.Ref = p.declaredEntity("ss", "a stack slot such as ss0")
		d.Imm = p.offset()
	case ir.FormatDynamicStackAddr:
		d.Ref = p.declaredEntity("dss", "a dynamic stack slot such as dss0")
	case ir.FormatTrap:
		d.Trap = p.trapCode()
	case ir.FormatCondTrap:
		p.argList(1)
		p.expect(",")
		d.Trap = p.trapCode()
	case ir.FormatIntAddTrap:
		p.argList(2)
		p.expect(",")
		d.Trap = p.trapCode()
	case ir.FormatExceptionHandlerAddress:
		d.Ref = p.entity("block", "a block such as block1")
		p.expect(",")
		d.Imm = int64(p.integer(64, "a handler's index"))
	default:
		panic("clif: no syntax for " + d.Op.String())
	}
	return dests
}

// declaredSig is a signature named in the body.
func (p *parser) declaredSig() uint32 {
	t := p.tok
	n := p.entity("sig", "a signature such as sig0")
	if int(n) >= len(p.f.Sigs) {
		p.fail(t, "%s is not declared", t.text)
	}
	return n
}

func (p *parser) unaryConst(d *ir.InstData) {
	if d.Op == ir.OpF128const {
		if p.isEntity("const") {
			d.Ref = p.declaredEntity("const", "a constant")
			return
		}
		v := p.scalar(ir.F128)
		var b [16]byte
		for i := range b {
			b[i] = byte(v.shr(8 * i).lo)
		}
		d.Ref = uint32(p.f.AddConstant(b[:]))
		return
	}
	if d.Type == ir.Invalid {
		p.fail(p.tok, "%v needs its type: %v.TYPE", d.Op, d.Op)
	}
	d.Ref = uint32(p.constant(d.Type))
}

// exceptionTable reads `, sig0, block1(…), [ context v1, tag0: block2(…),
// default: block3(…) ]` behind the arguments of a try_call.
func (p *parser) exceptionTable(d *ir.InstData) (dests []dest) {
	p.expect(",")
	var t ir.ExceptionTableData
	t.Sig = ir.SigRef(p.declaredSig())
	if d.Op.Format() == ir.FormatTryCallIndirect {
		d.Ref = uint32(t.Sig)
	}
	p.expect(",")
	dests = append(dests, p.blockCall(true))
	p.expect(",")
	p.expect("[")
	for !p.accept("]") {
		var h ir.Handler
		switch {
		case p.acceptWord("context"):
			h.Kind, h.Context = ir.HandlerContext, p.use()
		case p.acceptWord("default"):
			h.Kind = ir.HandlerDefault
		default:
			h.Kind, h.Tag = ir.HandlerTag, p.entity("tag", "a handler: tag0, default or context")
		}
		t.Handlers = append(t.Handlers, h)
		if h.Kind != ir.HandlerContext {
			p.expect(":")
			dests = append(dests, p.blockCall(true))
		}
		if !p.tok.is("]") {
			p.expect(",")
		}
	}
	d.Imm = int64(p.f.AddExceptionTable(t))
	return dests
}
