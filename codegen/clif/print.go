package clif

import (
	"strconv"

	"github.com/davit-wasm/davit/codegen/ir"
)

// Format is the text of f.
func Format(f *ir.Function) string { return string(AppendFunction(nil, f)) }

// FormatInst is the text of one instruction, with its results, as it stands in
// the function's text.
func FormatInst(f *ir.Function, inst ir.Inst) string {
	p := printer{f: f}
	p.inst(inst)
	return string(p.out)
}

// AppendFunction appends the text of f to out. It parses back into the same
// function. Numbers of constants among the operands are repeated in a comment.
func AppendFunction(out []byte, f *ir.Function) []byte {
	p := printer{out: out, f: f}
	p.out = append(append(p.out, "function "...), f.Name.String()...)
	p.signature(&f.Sig)
	p.str(" {\n")
	if start := len(p.out); f.Entry() != ir.NoBlock {
		p.preamble()
		if len(p.out) > start {
			p.byte('\n')
		}
	} else {
		p.preamble()
	}
	p.collectAliases()
	indent := 4
	for i := range f.NumInsts() {
		if l, _ := f.Locate(f.SourceLoc(ir.Inst(i))); l != 0 || len(f.DebugTags(ir.Inst(i))) > 0 {
			indent = 36
			break
		}
	}
	for b := f.Entry(); b != ir.NoBlock; b = f.NextBlock(b) {
		if b != f.Entry() {
			p.byte('\n')
		}
		p.block(b, indent)
	}
	p.str("}\n")
	return p.out
}

type printer struct {
	out []byte
	f   *ir.Function
	// The aliases of each value, as lists: first alias of a value, next alias of
	// the same value.
	first, next []ir.Value
	stack       []ir.Value
}

func (p *printer) str(s string)  { p.out = append(p.out, s...) }
func (p *printer) byte(c byte)   { p.out = append(p.out, c) }
func (p *printer) uint(n uint64) { p.out = strconv.AppendUint(p.out, n, 10) }
func (p *printer) num(n uint32)  { p.uint(uint64(n)) }
func (p *printer) value(v ir.Value) {
	if v.IsPlain() {
		p.byte('v')
		p.num(uint32(v))
		return
	}
	p.str(v.String())
}

func (p *printer) spaces(n int) {
	for range n {
		p.byte(' ')
	}
}

func (p *printer) entity(prefix string, n uint32) {
	p.str(prefix)
	if n == ir.None {
		p.byte('?')
		return
	}
	p.num(n)
}

func (p *printer) values(vs []ir.Value) {
	for i, v := range vs {
		if i > 0 {
			p.str(", ")
		}
		p.value(v)
	}
}

// FormatSignature is the text of a signature.
func FormatSignature(s *ir.Signature) string {
	var p printer
	p.signature(s)
	return string(p.out)
}

func (p *printer) signature(s *ir.Signature) {
	p.byte('(')
	p.params(s.Params)
	p.byte(')')
	if len(s.Returns) > 0 {
		p.str(" -> ")
		p.params(s.Returns)
	}
	p.byte(' ')
	p.str(s.CallConv.String())
}

func (p *printer) params(list []ir.Param) {
	for i, par := range list {
		if i > 0 {
			p.str(", ")
		}
		p.str(par.Type.String())
		switch par.Ext {
		case ir.ZeroExtend:
			p.str(" uext")
		case ir.SignExtend:
			p.str(" sext")
		}
		switch par.Purpose {
		case ir.StructArg:
			p.str(" sarg(")
			p.num(par.Size)
			p.byte(')')
		case ir.StructReturn:
			p.str(" sret")
		case ir.VMContext:
			p.str(" vmctx")
		case ir.CallerContext:
			p.str(" caller_vmctx")
		case ir.Pass:
			p.str(" pass")
		}
	}
}

// declare begins a line of the preamble.
func (p *printer) declare(prefix string, n int) {
	p.str("    ")
	p.str(prefix)
	p.uint(uint64(n))
	p.str(" = ")
}

func (p *printer) preamble() {
	f := p.f
	for i, s := range f.StackSlots {
		p.declare("ss", i)
		p.str("explicit_slot ")
		p.num(s.Size)
		if s.AlignLog2 != 0 {
			p.str(", align = ")
			p.uint(1 << s.AlignLog2)
		}
		if s.HasKey {
			p.str(", key = ")
			p.uint(s.Key)
		}
		p.byte('\n')
	}
	for i, r := range f.Regions {
		p.declare("region", i)
		p.num(r.ID)
		p.str(` "`)
		p.str(r.Description)
		p.str("\"\n")
	}
	for i := range f.Globals {
		p.declare("gv", i)
		p.global(&f.Globals[i])
		p.byte('\n')
	}
	for i, d := range f.DynamicTypes {
		p.declare("dt", i)
		p.str(d.Base.String())
		p.byte('*')
		p.entity("gv", uint32(d.Scale))
		p.byte('\n')
	}
	for i, d := range f.DynamicSlots {
		p.declare("dss", i)
		p.str("explicit_dynamic_slot ")
		p.entity("dt", uint32(d.Type))
		p.byte('\n')
	}
	for i := range f.Sigs {
		p.declare("sig", i)
		p.signature(&f.Sigs[i])
		p.byte('\n')
	}
	for i, e := range f.ExtFuncs {
		p.declare("fn", i)
		if e.Colocated {
			p.str("colocated ")
		}
		if e.Patchable {
			p.str("patchable ")
		}
		p.str(e.Name.String())
		p.byte(' ')
		p.entity("sig", uint32(e.Sig))
		p.byte('\n')
	}
	for i := range f.NumConstants() {
		c := f.Constant(ir.Constant(i))
		if len(c) == 0 {
			continue // a number that the text left out
		}
		p.declare("const", i)
		p.str("0x")
		for k := len(c) - 1; k >= 0; k-- {
			p.out = appendHex(p.out, uint128{0, uint64(c[k])}, 2)
		}
		p.byte('\n')
	}
	if f.StackLimit != ir.NoGlobal {
		p.str("    stack_limit = ")
		p.entity("gv", uint32(f.StackLimit))
		p.byte('\n')
	}
}

func (p *printer) global(g *ir.GlobalData) {
	switch g.Kind {
	case ir.GlobalVMContext:
		p.str("vmctx")
	case ir.GlobalLoad:
		p.str("load.")
		p.str(g.Type.String())
		p.memFlags(g.Flags)
		p.byte(' ')
		p.entity("gv", uint32(g.Base))
		p.out = appendOffset(p.out, g.Offset)
	case ir.GlobalIAddImm:
		p.str("iadd_imm.")
		p.str(g.Type.String())
		p.byte(' ')
		p.entity("gv", uint32(g.Base))
		p.str(", ")
		p.out = appendImm(p.out, g.Offset)
	case ir.GlobalSymbol:
		p.str("symbol ")
		if g.Colocated {
			p.str("colocated ")
		}
		if g.TLS {
			p.str("tls ")
		}
		p.str(g.Name.String())
		p.out = appendOffset(p.out, g.Offset)
	case ir.GlobalDynScale:
		p.str("dyn_scale_target_const.")
		p.str(g.Type.String())
	}
}

func (p *printer) memFlags(m ir.MemFlags) {
	if c, ok := m.TrapCode(); !ok {
		p.str(" notrap")
	} else if c != ir.TrapHeapOutOfBounds {
		p.byte(' ')
		p.str(c.String())
	}
	for _, fl := range [...]struct {
		bit  ir.MemFlags
		name string
	}{{ir.MemAligned, " aligned"}, {ir.MemReadonly, " readonly"}, {ir.MemCanMove, " can_move"}, {ir.MemGrows, " grows"}, {ir.MemBig, " big"}, {ir.MemLittle, " little"}} {
		if m&fl.bit != 0 {
			p.str(fl.name)
		}
	}
	if r, ok := m.Region(); ok {
		p.byte(' ')
		p.entity("region", uint32(r))
	}
}

// collectAliases lists every value's direct aliases in ascending order.
func (p *printer) collectAliases() {
	f := p.f
	for i := f.NumValues() - 1; i >= 0; i-- {
		v := ir.Value(i)
		of, ok := f.Alias(v)
		if !ok {
			continue
		}
		if p.first == nil {
			n := f.NumValues()
			p.first, p.next = make([]ir.Value, n), make([]ir.Value, n)
			for k := range p.first {
				p.first[k], p.next[k] = ir.NoValue, ir.NoValue
			}
		}
		p.next[v] = p.first[of]
		p.first[of] = v
	}
}

// aliases writes the aliases of v, and theirs.
func (p *printer) aliases(v ir.Value, indent int) {
	if p.first == nil {
		return
	}
	p.stack = append(p.stack[:0], v)
	for len(p.stack) > 0 {
		of := p.stack[len(p.stack)-1]
		p.stack = p.stack[:len(p.stack)-1]
		for a := p.first[of]; a != ir.NoValue; a = p.next[a] {
			p.spaces(indent)
			p.value(a)
			p.str(" -> ")
			p.value(of)
			p.byte('\n')
			p.stack = append(p.stack, a)
		}
	}
}

func (p *printer) block(b ir.Block, indent int) {
	f := p.f
	p.spaces(indent - 4)
	p.entity("block", uint32(b))
	params := f.Params(b)
	if len(params) > 0 {
		p.byte('(')
		for i, v := range params {
			if i > 0 {
				p.str(", ")
			}
			p.value(v)
			p.str(": ")
			p.str(f.ValueType(v).String())
		}
		p.byte(')')
	}
	if f.Cold(b) {
		p.str(" cold")
	}
	p.str(":\n")
	for _, v := range params {
		p.aliases(v, indent)
	}
	for i := f.FirstInst(b); i != ir.NoInst; i = f.NextInst(i) {
		start := len(p.out)
		p.prefix(i)
		p.spaces(indent - (len(p.out) - start))
		p.inst(i)
		p.constants(i)
		p.byte('\n')
		for _, v := range f.Results(i) {
			p.aliases(v, indent)
		}
	}
}

// prefix writes the source location and debug tags of inst.
func (p *printer) prefix(inst ir.Inst) {
	if l, _ := p.f.Locate(p.f.SourceLoc(inst)); l != 0 {
		p.byte('@')
		p.out = appendHex(p.out, uint128{0, uint64(l)}, 4)
		p.byte(' ')
	}
	if tags := p.f.DebugTags(inst); len(tags) > 0 {
		p.byte('<')
		for i, t := range tags {
			if i > 0 {
				p.str(", ")
			}
			if t.Kind == ir.DebugStackSlot {
				p.str("ss")
			}
			p.num(t.Value)
		}
		p.str("> ")
	}
}

func (p *printer) inst(inst ir.Inst) {
	f := p.f
	if r := f.Results(inst); len(r) > 0 {
		p.values(r)
		p.str(" = ")
	}
	d := f.Inst(inst)
	p.str(d.Op.String())
	if p.writesType(inst, d) {
		p.byte('.')
		p.str(d.Type.String())
	}
	p.operands(inst, d)
}

// writesType tells whether the type must be written: always where it follows
// from no operand, else where the operand is not defined in the same block.
func (p *printer) writesType(inst ir.Inst, d *ir.InstData) bool {
	f := p.f
	ctrl := d.Op.Info().Ctrl
	if ctrl == ir.CtrlNone {
		return false
	}
	args := f.Args(inst)
	if ctrl == ir.CtrlExplicit || int(ctrl) >= len(args) {
		return true
	}
	v := args[ctrl]
	if !f.ValueExists(v) {
		return true
	}
	v = f.Resolve(v)
	if f.ValueType(v) != d.Type { // incorrect, and to be shown
		return true
	}
	if b, _ := f.ValueBlock(v); b != ir.NoBlock {
		return b != f.InstBlock(inst)
	}
	def, _ := f.ValueInst(v)
	return def == ir.NoInst || f.InstBlock(def) != f.InstBlock(inst) || !f.Before(def, inst)
}

func (p *printer) blockCall(inst ir.Inst, i int) {
	p.entity("block", uint32(p.f.Dests(inst)[i].Block))
	if args := p.f.DestArgs(inst, i); len(args) > 0 {
		p.byte('(')
		p.values(args)
		p.byte(')')
	}
}

func (p *printer) operands(inst ir.Inst, d *ir.InstData) {
	f := p.f
	args := f.Args(inst)
	format := d.Op.Format()
	switch format {
	case ir.FormatLoad, ir.FormatStore, ir.FormatLoadNoOffset, ir.FormatStoreNoOffset, ir.FormatAtomicRmw, ir.FormatAtomicCas:
		p.memFlags(d.Flags)
	case ir.FormatBitCast:
		p.memFlags(d.Flags)
	case ir.FormatNullary:
		return
	case ir.FormatMultiAry:
		if len(args) == 0 {
			return
		}
	}
	p.byte(' ')
	switch format {
	case ir.FormatUnaryImm:
		v := d.Imm
		if n := d.Type.Bits(); n < 64 && n > 0 {
			v = v << (64 - n) >> (64 - n)
		}
		p.out = appendImm(p.out, v)
	case ir.FormatUnaryIeee16:
		p.out = appendFloat(p.out, uint128{0, uint64(d.Imm)}, ir.F16)
	case ir.FormatUnaryIeee32:
		p.out = appendFloat(p.out, uint128{0, uint64(uint32(d.Imm))}, ir.F32)
	case ir.FormatUnaryIeee64:
		p.out = appendFloat(p.out, uint128{0, uint64(d.Imm)}, ir.F64)
	case ir.FormatUnaryConst:
		p.entity("const", d.Ref)
	case ir.FormatUnaryGlobalValue:
		p.entity("gv", d.Ref)
	case ir.FormatBinaryImm8, ir.FormatTernaryImm8:
		p.values(args)
		p.str(", ")
		p.uint(uint64(d.Imm))
	case ir.FormatShuffle:
		p.values(args)
		p.str(", ")
		p.entity("const", d.Ref)
	case ir.FormatIntCompare:
		p.str(d.IntCC().String())
		p.byte(' ')
		p.values(args)
	case ir.FormatFloatCompare:
		p.str(d.FloatCC().String())
		p.byte(' ')
		p.values(args)
	case ir.FormatJump:
		p.blockCall(inst, 0)
	case ir.FormatBrif:
		p.values(args)
		for i := range f.Dests(inst) {
			p.str(", ")
			p.blockCall(inst, i)
		}
	case ir.FormatBranchTable:
		p.values(args)
		p.str(", ")
		p.blockCall(inst, 0)
		p.str(", [")
		for i := 1; i < len(f.Dests(inst)); i++ {
			if i > 1 {
				p.str(", ")
			}
			p.blockCall(inst, i)
		}
		p.byte(']')
	case ir.FormatCall:
		p.entity("fn", d.Ref)
		p.callArgs(args)
		p.stackMap(inst)
	case ir.FormatCallIndirect:
		p.entity("sig", d.Ref)
		p.str(", ")
		p.values(args[:1])
		p.callArgs(args[1:])
		p.stackMap(inst)
	case ir.FormatTryCall:
		p.entity("fn", d.Ref)
		p.callArgs(args)
		p.exceptionTable(inst, d)
	case ir.FormatTryCallIndirect:
		p.values(args[:1])
		p.callArgs(args[1:])
		p.exceptionTable(inst, d)
	case ir.FormatFuncAddr:
		p.entity("fn", d.Ref)
	case ir.FormatLoad, ir.FormatStore:
		p.values(args)
		p.out = appendOffset(p.out, d.Imm)
	case ir.FormatAtomicRmw:
		p.str(d.AtomicOp().String())
		p.byte(' ')
		p.values(args)
	case ir.FormatStackAddr:
		p.entity("ss", d.Ref)
		p.out = appendOffset(p.out, d.Imm)
	case ir.FormatDynamicStackAddr:
		p.entity("dss", d.Ref)
	case ir.FormatTrap:
		p.str(d.Trap.String())
	case ir.FormatCondTrap, ir.FormatIntAddTrap:
		p.values(args)
		p.str(", ")
		p.str(d.Trap.String())
	case ir.FormatExceptionHandlerAddress:
		p.entity("block", d.Ref)
		p.str(", ")
		p.out = strconv.AppendInt(p.out, d.Imm, 10)
	default:
		p.values(args)
	}
}

func (p *printer) callArgs(args []ir.Value) {
	p.byte('(')
	p.values(args)
	p.byte(')')
}

func (p *printer) stackMap(inst ir.Inst) {
	m := p.f.StackMap(inst)
	if len(m) == 0 {
		return
	}
	p.str(", stack_map=[")
	for i, e := range m {
		if i > 0 {
			p.str(", ")
		}
		p.str(e.Type.String())
		p.str(" @ ")
		p.entity("ss", uint32(e.Slot))
		p.byte('+')
		p.num(e.Offset)
	}
	p.byte(']')
}

func (p *printer) exceptionTable(inst ir.Inst, d *ir.InstData) {
	t := &p.f.ExceptionTables[d.Imm]
	p.str(", ")
	p.entity("sig", uint32(t.Sig))
	p.str(", ")
	p.blockCall(inst, 0)
	p.str(", [")
	dest := 1
	for i, h := range t.Handlers {
		if i > 0 {
			p.byte(',')
		}
		p.byte(' ')
		switch h.Kind {
		case ir.HandlerContext:
			p.str("context ")
			p.value(h.Context)
			continue
		case ir.HandlerDefault:
			p.str("default: ")
		default:
			p.entity("tag", h.Tag)
			p.str(": ")
		}
		p.blockCall(inst, dest)
		dest++
	}
	p.str(" ]")
	p.stackMap(inst)
}

// constants writes a comment with the operands of inst that are constants.
func (p *printer) constants(inst ir.Inst) {
	f := p.f
	sep := "  ; "
	note := func(v ir.Value) {
		if !f.ValueExists(v) {
			return
		}
		def, _ := f.ValueInst(f.Resolve(v))
		if def == ir.NoInst {
			return
		}
		d := f.Inst(def)
		switch d.Op {
		case ir.OpIconst, ir.OpF16const, ir.OpF32const, ir.OpF64const, ir.OpVconst, ir.OpF128const:
			p.str(sep)
			sep = ", "
			p.value(v)
			p.str(" =")
			p.operands(def, d)
		}
	}
	for _, v := range f.Args(inst) {
		note(v)
	}
}
