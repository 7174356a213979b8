package wat

import (
	"encoding/binary"
	"fmt"
	"math"
	"strconv"

	"github.com/davit-wasm/davit/wasm"
)

// codePrinter is the state of printing instructions.
type codePrinter struct {
	reader wasm.InstrReader
	in     wasm.Instr
	config wasm.Config

	locals   identifiers
	labels   []label
	labelTop map[string]int32
	blocks   uint32 // how many labels were seen
	names    wasm.NameMap
	hints    []branchHint // of the instructions to come
	hintBase int          // what their offsets count from
}

// maxIndent limits indentation, so that the text stays linear in the code.
const maxIndent = 64

// constExpr writes a constant expression, each instruction in parentheses.
func (p *printer) constExpr(x wasm.ConstExpr) {
	if len(x.Code) == 0 || p.err != nil {
		return
	}
	c := &p.code
	c.start(x.Code, x.Offset)
	for p.next() {
		if c.in.Op == wasm.OpEnd && len(c.labels) == 0 {
			break
		}
		p.b = append(p.b, ' ')
		p.instr()
		p.trackLabel()
	}
}

// start begins to read code.
func (c *codePrinter) start(code []byte, offset int) {
	c.config.Features = wasm.FeaturesAll
	c.reader.Reset(code, offset, &c.config)
	c.labels = c.labels[:0]
	if c.labelTop == nil {
		c.labelTop = make(map[string]int32)
	}
	clear(c.labelTop)
	c.locals, c.names, c.blocks = identifiers{}, nil, 0
}

// next reads an instruction.
func (p *printer) next() bool {
	if p.err != nil {
		return false
	}
	more, err := p.code.reader.Next(&p.code.in)
	if err != nil {
		p.err = fmt.Errorf("printing: %w", err)
	}
	return more && err == nil
}

// function writes the function of code entry i.
func (p *printer) function(i int) {
	m := p.m
	index := m.NumImportedFuncs + i
	body := &m.Code[i]
	if index >= len(m.Funcs) {
		p.err = fmt.Errorf("printing: body %d belongs to no function", i)
		return
	}
	var params []wasm.ValType
	if t := m.Funcs[index].Type; int(t) < len(m.Types) && m.Types[t].Kind == wasm.CompositeFunc {
		params = m.Types[t].Func.Params
	}
	var locals []wasm.ValType
	for _, g := range body.Locals {
		if uint64(len(locals))+uint64(g.Count) > 1<<24 {
			p.err = fmt.Errorf("printing: function %d has too many locals", index)
			return
		}
		for range g.Count {
			locals = append(locals, g.Type)
		}
	}
	c := &p.code
	c.start(body.Body, body.Offset)
	c.locals = newIdentifiers(indirectNames(p.names.Locals, uint32(index)), len(params)+len(locals))
	c.names = indirectNames(p.names.Labels, uint32(index))
	p.entity("func", &p.funcs, index)
	p.typeUse(m.Funcs[index].Type, &c.locals)
	if len(locals) > 0 {
		p.str("\n   ")
		p.locals("local", locals, &c.locals, uint32(len(params)))
	}
	c.labels = append(c.labels, label{shadowed: -1})
	switch p.startHints(index, body); {
	case p.opts.Skeleton:
		p.elided(len(body.Body), "bytes")
	case p.opts.Folded:
		p.folded()
	default:
		p.plain()
	}
	p.b = append(p.b, ')')
}

// newline begins a line for an instruction inside depth blocks.
func (p *printer) newline(depth int) {
	p.b = append(p.b, '\n')
	for range min(depth+1, maxIndent) {
		p.str("  ")
	}
}

// plain writes instructions one in a line.
func (p *printer) plain() {
	c := &p.code
	for p.next() {
		depth := len(c.labels)
		if c.in.Op == wasm.OpEnd || c.in.Op == wasm.OpElse {
			depth--
		}
		if depth == 0 {
			if c.in.Op == wasm.OpElse {
				p.err = fmt.Errorf("printing: else without if at offset %#x", c.in.Offset)
			}
			if p.next() {
				p.err = fmt.Errorf("printing: code after the end of the function at offset %#x", c.in.Offset)
			}
			return
		}
		p.newline(depth)
		if p.opts.Offsets {
			p.b = fmt.Appendf(p.b, "(;@%x;) ", c.in.Offset)
		}
		p.hint()
		p.instr()
		p.trackLabel()
	}
}

// trackLabel opens and closes labels as the instruction says that was written.
func (p *printer) trackLabel() {
	c := &p.code
	switch c.in.Op {
	case wasm.OpBlock, wasm.OpLoop, wasm.OpIf, wasm.OpTryTable:
		c.pushLabel(c.blockName())
	case wasm.OpEnd:
		c.popLabel()
	}
}

// blockName is the name of the label of the block that begins, or "".
func (c *codePrinter) blockName() string { return c.names.Find(c.blocks) }

func (c *codePrinter) pushLabel(name string) {
	c.blocks++
	l := label{name: name, shadowed: -1}
	if name != "" {
		if outer, ok := c.labelTop[name]; ok {
			l.shadowed = outer
		}
		c.labelTop[name] = int32(len(c.labels))
	}
	c.labels = append(c.labels, l)
}

func (c *codePrinter) popLabel() {
	l := c.labels[len(c.labels)-1]
	c.labels = c.labels[:len(c.labels)-1]
	switch {
	case l.name == "":
	case l.shadowed < 0:
		delete(c.labelTop, l.name)
	default:
		c.labelTop[l.name] = l.shadowed
	}
}

// label writes a label, by its name if that means the same.
func (p *printer) label(depth uint32) {
	c := &p.code
	if uint64(depth) < uint64(len(c.labels)) {
		i := len(c.labels) - 1 - int(depth)
		if name := c.labels[i].name; name != "" && c.labelTop[name] == int32(i) {
			p.b = appendID(p.b, name)
			return
		}
	}
	p.uint(uint64(depth))
}

// instr writes the instruction that was read.
func (p *printer) instr() {
	c := &p.code
	p.str(c.in.Op.Info().Name)
	p.immediates()
}

// ref writes a reference to an entity after a space.
func (p *printer) ref(ids *identifiers, i uint32) {
	p.b = ids.appendRef(append(p.b, ' '), i)
}

// refUnlessZero is ref for what may be left out if it is 0.
func (p *printer) refUnlessZero(ids *identifiers, i uint32) {
	if i != 0 {
		p.ref(ids, i)
	}
}

func (p *printer) space() { p.b = append(p.b, ' ') }

// immediates writes the immediates of the instruction that was read, each after
// a space.
func (p *printer) immediates() {
	in := &p.code.in
	info := in.Op.Info()
	switch info.Imm {
	case wasm.ImmNone, wasm.ImmFence:
	case wasm.ImmBlockType:
		p.blockType()
	case wasm.ImmTryTable:
		p.blockType()
		p.catches()
	case wasm.ImmLabel:
		p.space()
		p.label(in.Index)
	case wasm.ImmLabels:
		for _, l := range in.Labels {
			p.space()
			p.label(l)
		}
	case wasm.ImmFunc:
		p.ref(&p.funcs, in.Index)
	case wasm.ImmTypeTable:
		p.refUnlessZero(&p.tables, in.Index2)
		p.str(" (type")
		p.ref(&p.types, in.Index)
		p.str(")")
	case wasm.ImmType:
		p.ref(&p.types, in.Index)
	case wasm.ImmTypes:
		p.str(" (result")
		for _, t := range in.Types {
			p.space()
			p.valType(t)
		}
		p.str(")")
	case wasm.ImmLocal:
		p.ref(&p.code.locals, in.Index)
	case wasm.ImmGlobal:
		p.ref(&p.globals, in.Index)
	case wasm.ImmTable:
		p.refUnlessZero(&p.tables, in.Index)
	case wasm.ImmTag:
		p.ref(&p.tags, in.Index)
	case wasm.ImmMemArg, wasm.ImmMemArgLane:
		p.memArg(info)
	case wasm.ImmMemory:
		p.refUnlessZero(&p.memories, in.Index)
	case wasm.ImmI32, wasm.ImmI64:
		p.b = strconv.AppendInt(append(p.b, ' '), int64(in.Imm), 10)
	case wasm.ImmF32:
		p.b = appendFloat(append(p.b, ' '), in.Imm, 32)
	case wasm.ImmF64:
		p.b = appendFloat(append(p.b, ' '), in.Imm, 64)
	case wasm.ImmV128:
		p.b = fmt.Appendf(p.b, " i32x4 0x%08x 0x%08x 0x%08x 0x%08x",
			uint32(in.Imm), in.Imm>>32, uint32(in.Imm2), in.Imm2>>32)
	case wasm.ImmShuffle:
		var lanes [16]byte
		binary.LittleEndian.PutUint64(lanes[:], in.Imm)
		binary.LittleEndian.PutUint64(lanes[8:], in.Imm2)
		for _, l := range lanes {
			p.space()
			p.uint(uint64(l))
		}
	case wasm.ImmLane:
		p.space()
		p.uint(uint64(in.Lane))
	case wasm.ImmHeapType:
		p.space()
		switch in.Op {
		case wasm.OpRefTest, wasm.OpRefCast:
			p.valType(wasm.Ref(false, in.Heap))
		case wasm.OpRefTestNull, wasm.OpRefCastNull:
			p.valType(wasm.Ref(true, in.Heap))
		default:
			p.heapType(in.Heap)
		}
	case wasm.ImmTypeField:
		p.ref(&p.types, in.Index)
		p.ref(p.fieldNames(in.Index), in.Index2)
	case wasm.ImmTypeCount:
		p.ref(&p.types, in.Index)
		p.space()
		p.uint(uint64(in.Index2))
	case wasm.ImmTypeData:
		p.ref(&p.types, in.Index)
		p.ref(&p.datas, in.Index2)
	case wasm.ImmTypeElem:
		p.ref(&p.types, in.Index)
		p.ref(&p.elems, in.Index2)
	case wasm.ImmTypeType:
		p.ref(&p.types, in.Index)
		p.ref(&p.types, in.Index2)
	case wasm.ImmCast:
		p.space()
		p.label(in.Index)
		p.space()
		p.valType(wasm.Ref(in.Cast&1 != 0, in.Heap))
		p.space()
		p.valType(wasm.Ref(in.Cast&2 != 0, in.Heap2))
	case wasm.ImmData:
		p.ref(&p.datas, in.Index)
	case wasm.ImmDataMemory:
		p.refUnlessZero(&p.memories, in.Index2)
		p.ref(&p.datas, in.Index)
	case wasm.ImmElem:
		p.ref(&p.elems, in.Index)
	case wasm.ImmElemTable:
		p.refUnlessZero(&p.tables, in.Index2)
		p.ref(&p.elems, in.Index)
	case wasm.ImmMemoryMemory:
		if in.Index != 0 || in.Index2 != 0 {
			p.ref(&p.memories, in.Index)
			p.ref(&p.memories, in.Index2)
		}
	case wasm.ImmTableTable:
		if in.Index != 0 || in.Index2 != 0 {
			p.ref(&p.tables, in.Index)
			p.ref(&p.tables, in.Index2)
		}
	default:
		panic("wat: no text syntax for the immediates of " + in.Op.String())
	}
}

// blockType writes label and type of a block.
func (p *printer) blockType() {
	in := &p.code.in
	if name := p.code.blockName(); name != "" {
		p.b = appendID(append(p.b, ' '), name)
	}
	switch {
	case in.Block.IsIndex:
		p.typeUse(in.Block.Index, nil)
	case in.Block.Result != 0:
		p.valTypes("result", []wasm.ValType{in.Block.Result})
	}
}

func (p *printer) catches() {
	for _, c := range p.code.in.Catches {
		p.str([...]string{wasm.CatchTag: " (catch", wasm.CatchTagRef: " (catch_ref",
			wasm.CatchAll: " (catch_all", wasm.CatchAllRef: " (catch_all_ref"}[c.Kind])
		if c.Kind == wasm.CatchTag || c.Kind == wasm.CatchTagRef {
			p.ref(&p.tags, c.Tag)
		}
		p.space()
		p.label(c.Label)
		p.str(")")
	}
}

func (p *printer) memArg(info *wasm.OpInfo) {
	in := &p.code.in
	p.refUnlessZero(&p.memories, in.Index)
	if in.Imm != 0 {
		p.str(" offset=")
		p.uint(in.Imm)
	}
	if in.Align != info.Align {
		p.str(" align=")
		p.uint(1 << (in.Align & 63))
	}
	if info.Imm == wasm.ImmMemArgLane {
		p.space()
		p.uint(uint64(in.Lane))
	}
}

// appendFloat appends the shortest number that has the given bits.
func appendFloat(b []byte, bits uint64, size int) []byte {
	sign, mantissa := bits>>63, uint64(1)<<52-1
	f := math.Float64frombits(bits)
	quiet := uint64(1) << 51
	if size == 32 {
		sign, mantissa, quiet = bits>>31&1, 1<<23-1, 1<<22
		f = float64(math.Float32frombits(uint32(bits)))
	}
	switch {
	case math.IsInf(f, 0) || f != f:
		if sign != 0 {
			b = append(b, '-')
		}
		switch payload := bits & mantissa; payload {
		case 0:
			return append(b, "inf"...)
		case quiet:
			return append(b, "nan"...)
		default:
			return strconv.AppendUint(append(b, "nan:0x"...), payload, 16)
		}
	}
	return strconv.AppendFloat(b, f, 'g', -1, size)
}
