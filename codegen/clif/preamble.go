package clif

import (
	"strings"

	"github.com/davit-wasm/davit/codegen/ir"
)

// maxEntities bounds the numbers of preamble entities, which are tables of
// their own each.
const maxEntities = 1 << 16

// preamble reads declarations up to the first block or the closing brace.
func (p *parser) preamble() {
	p.highest = map[string]uint32{}
	for p.tok.kind == tokIdent && !p.isEntity("block") {
		t := p.tok
		n := uint32(0)
		kind := strings.TrimRight(t.text, "0123456789")
		if kind != "stack_limit" {
			var ok bool
			if n, ok = entityNumber(t.text, kind); !ok {
				p.expected("a declaration or a block")
			}
			if n >= maxEntities-2 {
				p.fail(t, "the number of %s is too large", t.text)
			}
			p.highest[kind] = p.charge(t, n, p.highest[kind], 8)
		}
		if p.declared[t.text] {
			p.fail(t, "%s is declared twice", t.text)
		}
		p.declared[t.text] = true
		p.fn.Entities[t.text] = t.line
		p.advance()
		p.expect("=")
		switch kind {
		case "sig":
			fill(&p.f.Sigs, n, ir.Signature{})
			p.f.Sigs[n] = p.signature()
		case "fn":
			p.extFunc(n)
		case "ss":
			p.stackSlot(n)
		case "dss":
			if !p.acceptWord("explicit_dynamic_slot") {
				p.expected("`explicit_dynamic_slot`")
			}
			p.inOrder(t, n, len(p.f.DynamicSlots))
			p.f.DynamicSlots = append(p.f.DynamicSlots, ir.DynamicSlotData{Type: ir.DynamicType(p.declaredEntity("dt", "a dynamic type such as dt0"))})
		case "dt":
			base := p.typ()
			p.expect("*")
			p.inOrder(t, n, len(p.f.DynamicTypes))
			p.f.DynamicTypes = append(p.f.DynamicTypes, ir.DynamicTypeData{Base: base, Scale: ir.GlobalValue(p.declaredEntity("gv", "a global value such as gv0"))})
		case "gv":
			fill(&p.f.Globals, n, ir.GlobalData{Kind: ir.GlobalSymbol, Base: ir.NoGlobal, Name: ir.TestName("")})
			p.f.Globals[n] = p.global()
		case "region":
			id := p.uint32("a number")
			if p.tok.kind != tokString {
				p.expected("a description in quotes")
			}
			fill(&p.f.Regions, n, ir.RegionData{})
			p.f.Regions[n] = ir.RegionData{ID: id, Description: p.advance().text}
		case "const":
			p.f.AddConstantAs(ir.Constant(n), p.constantBytes(ir.I8X16, false))
		case "stack_limit":
			p.f.StackLimit = ir.GlobalValue(p.entity("gv", "a global value such as gv0"))
		default:
			p.fail(t, "expected a declaration or a block, found %v", t)
		}
	}
	if len(p.f.ExtFuncs) > 0 && len(p.f.Sigs) == 0 && len(p.inlined) < len(p.f.ExtFuncs) {
		p.f.AddSig(ir.Signature{}) // that of numbers left out
	}
	for _, s := range p.inlined {
		p.f.ExtFuncs[s.fn].Sig = p.f.AddSig(s.sig)
	}
	for _, t := range p.sigUses {
		if !p.declared[t.text] {
			p.fail(t, "%s is not declared", t.text)
		}
	}
	for i := range p.f.Globals {
		g := &p.f.Globals[i]
		if (g.Kind == ir.GlobalLoad || g.Kind == ir.GlobalIAddImm) && int(g.Base) >= len(p.f.Globals) {
			p.fail(p.tok, "%v of %v is not declared", g.Base, ir.GlobalValue(i))
		}
	}
	if l := p.f.StackLimit; l != ir.NoGlobal && int(l) >= len(p.f.Globals) {
		p.fail(p.tok, "%v of the stack limit is not declared", l)
	}
}

func (p *parser) inOrder(t token, n uint32, have int) {
	if int(n) != have {
		p.fail(t, "%s is declared out of order", t.text)
	}
}

// fill makes list long enough for index n.
func fill[T any](list *[]T, n uint32, zero T) {
	for uint32(len(*list)) <= n {
		*list = append(*list, zero)
	}
}

// declaredEntity reads a preamble entity that was declared before.
func (p *parser) declaredEntity(prefix, what string) uint32 {
	t := p.tok
	n := p.entity(prefix, what)
	if !p.declared[t.text] {
		p.fail(t, "%s is not declared", t.text)
	}
	return n
}

func (p *parser) sigRef() ir.SigRef {
	p.sigUses = append(p.sigUses, p.tok)
	return ir.SigRef(p.entity("sig", "a signature such as sig0"))
}

func (p *parser) extFunc(n uint32) {
	var e ir.ExtFunc
	e.Colocated = p.acceptWord("colocated")
	e.Patchable = p.acceptWord("patchable")
	e.Name = p.name()
	inline := p.tok.is("(")
	if inline {
		p.inlined = append(p.inlined, inlineSig{ir.FuncRef(n), p.signature()})
	} else {
		e.Sig = p.sigRef()
	}
	fill(&p.f.ExtFuncs, n, ir.ExtFunc{})
	p.f.ExtFuncs[n] = e
}

func (p *parser) stackSlot(n uint32) {
	if !p.acceptWord("explicit_slot") {
		p.expected("`explicit_slot`")
	}
	s := ir.StackSlotData{Size: p.uint32("a size in bytes")}
	for p.accept(",") {
		switch {
		case p.acceptWord("align"):
			p.expect("=")
			t := p.tok
			a := p.uint32("an alignment")
			if a == 0 || a&(a-1) != 0 {
				p.fail(t, "the alignment %d is not a power of two", a)
			}
			for a > 1<<s.AlignLog2 {
				s.AlignLog2++
			}
		case p.acceptWord("key"):
			p.expect("=")
			s.HasKey, s.Key = true, p.integer(64, "a number of 64 bits")
		default:
			p.expected("`align` or `key`")
		}
	}
	fill(&p.f.StackSlots, n, ir.StackSlotData{})
	p.f.StackSlots[n] = s
}

func (p *parser) global() ir.GlobalData {
	g := ir.GlobalData{Base: ir.NoGlobal}
	t := p.tok
	switch {
	case p.acceptWord("vmctx"):
		g.Kind = ir.GlobalVMContext
	case p.acceptWord("load"):
		g.Kind = ir.GlobalLoad
		p.expect(".")
		g.Type = p.typ()
		g.Flags = p.memFlags()
		g.Base = ir.GlobalValue(p.entity("gv", "a global value such as gv0"))
		g.Offset = p.offset()
	case p.acceptWord("iadd_imm"):
		g.Kind = ir.GlobalIAddImm
		p.expect(".")
		g.Type = p.typ()
		g.Base = ir.GlobalValue(p.entity("gv", "a global value such as gv0"))
		p.expect(",")
		g.Offset = int64(p.integer(64, "an integer of 64 bits"))
	case p.acceptWord("symbol"):
		g.Kind = ir.GlobalSymbol
		g.Colocated = p.acceptWord("colocated")
		g.TLS = p.acceptWord("tls")
		g.Name = p.name()
		if p.tok.kind == tokNumber && (p.tok.text[0] == '+' || p.tok.text[0] == '-') {
			g.Offset = int64(p.integer(64, "an offset of 64 bits"))
		}
	case p.acceptWord("dyn_scale_target_const"):
		g.Kind = ir.GlobalDynScale
		p.expect(".")
		g.Type = p.typ()
	default:
		p.fail(t, "expected a global value, found %v", t)
	}
	return g
}

// constantBytes reads the bytes of a constant: 0x and hexadecimal digits, the
// most significant first, or the lanes of t in brackets. With pad, fewer
// digits than t has bytes mean zeros before them.
func (p *parser) constantBytes(t ir.Type, pad bool) []byte {
	if p.tok.is("[") {
		return p.lanes(t)
	}
	if p.tok.kind != tokNumber || !strings.HasPrefix(p.tok.text, "0x") {
		p.expected("a constant: 0x and hexadecimal digits, or [ and numbers")
	}
	tok := p.advance()
	digits := strings.ReplaceAll(tok.text[2:], "_", "")
	if len(digits)%2 != 0 {
		digits = "0" + digits
	}
	out := make([]byte, 0, len(digits)/2)
	for i := len(digits); i > 0; i -= 2 {
		hi, ok1 := digit(digits[i-2])
		lo, ok2 := digit(digits[i-1])
		if !ok1 || !ok2 {
			p.fail(tok, "%v is not a hexadecimal number", tok)
		}
		out = append(out, byte(hi<<4|lo))
	}
	if len(out) == 0 {
		p.fail(tok, "%v has no digits", tok)
	}
	if pad {
		if len(out) > t.Bytes() {
			p.fail(tok, "%v has %d bytes, and %v only %d", tok, len(out), t, t.Bytes())
		}
		for len(out) < t.Bytes() {
			out = append(out, 0)
		}
	}
	return out
}

// lanes reads `[1 2 3 4]` as the bytes of a vector of type t. Commas between
// the numbers are allowed.
func (p *parser) lanes(t ir.Type) []byte {
	open := p.tok
	p.expect("[")
	lane := t.Lane()
	var out []byte
	n := 0
	for !p.accept("]") {
		v := p.scalar(lane)
		for i := range lane.Bytes() {
			out = append(out, byte(v.shr(8*i).lo))
		}
		if n++; n > 1<<16 {
			p.fail(open, "the constant is too long")
		}
		p.accept(",")
	}
	if len(out) != t.Bytes() {
		p.fail(open, "expected %d numbers for %v, found %d", t.Lanes(), t, n)
	}
	return out
}

// scalar reads a literal of scalar type t as its bits.
func (p *parser) scalar(t ir.Type) uint128 {
	if p.tok.kind != tokNumber {
		p.expected("a number of type " + t.String())
	}
	var v uint128
	var ok bool
	if t.IsInt() {
		v, ok = parseIntBits(p.tok.text, t.Bits())
	} else {
		v, ok = parseFloat(p.tok.text, t)
	}
	if !ok {
		p.fail(p.tok, "%v is not a number of type %v", p.tok, t)
	}
	p.advance()
	return v
}

func (p *parser) memFlags() ir.MemFlags {
	var m ir.MemFlags
	for p.tok.kind == tokIdent {
		t := p.tok
		switch t.text {
		case "notrap":
			m |= ir.MemNotrap
		case "aligned":
			m |= ir.MemAligned
		case "readonly":
			m |= ir.MemReadonly
		case "can_move":
			m |= ir.MemCanMove
		case "grows":
			m |= ir.MemGrows
		case "little":
			m |= ir.MemLittle
		case "big":
			m |= ir.MemBig
		default:
			if n, ok := entityNumber(t.text, "region"); ok {
				if n >= ir.MaxAliasRegions {
					p.fail(t, "the number of %s is too large", t.text)
				}
				m = m.WithRegion(ir.AliasRegion(n))
			} else if c, ok := ir.ParseTrapCode(t.text); ok {
				m = m.WithTrap(c)
			} else {
				return m
			}
		}
		if m&ir.MemLittle != 0 && m&ir.MemBig != 0 {
			p.fail(t, "a memory access cannot be both little and big")
		}
		p.advance()
	}
	return m
}
