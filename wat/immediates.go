package wat

import (
	"bytes"
	"encoding/binary"
	"math/bits"

	"github.com/davit-wasm/davit/internal/wattext"
	"github.com/davit-wasm/davit/wasm"
)

// immediates reads the immediates of op and appends their encoding.
func (p *parser) immediates(b []byte, op wasm.Opcode) []byte {
	info := op.Info()
	switch info.Imm {
	case wasm.ImmNone:
		return b
	case wasm.ImmBlockType:
		return p.blockType(b)
	case wasm.ImmTryTable:
		return p.catches(p.blockType(b))
	case wasm.ImmLabel:
		return wasm.AppendU32(b, p.label())
	case wasm.ImmLabels:
		return p.branchTable(b)
	case wasm.ImmFunc:
		return wasm.AppendU32(b, p.index(&p.funcs))
	case wasm.ImmTypeTable:
		t := p.optionalIndex(&p.tables)
		return wasm.AppendU32(wasm.AppendU32(b, p.readTypeUse(false)), t)
	case wasm.ImmType:
		return wasm.AppendU32(b, p.index(&p.types))
	case wasm.ImmLocal:
		return wasm.AppendU32(b, p.local())
	case wasm.ImmGlobal:
		return wasm.AppendU32(b, p.index(&p.globals))
	case wasm.ImmTable:
		return wasm.AppendU32(b, p.optionalIndex(&p.tables))
	case wasm.ImmTag:
		return wasm.AppendU32(b, p.index(&p.tags))
	case wasm.ImmMemArg:
		return p.memArg(b, info, p.optionalIndex(&p.memories))
	case wasm.ImmMemArgLane:
		// A number in front is a memory only if something else follows it.
		memory := uint32(0)
		if p.Kind() == wattext.ID || p.indexAt(1) || isMemArg(p.TextAt(1)) {
			memory = p.optionalIndex(&p.memories)
		}
		return append(p.memArg(b, info, memory), p.lane())
	case wasm.ImmMemory:
		return wasm.AppendU32(b, p.optionalIndex(&p.memories))
	case wasm.ImmI32:
		return wasm.AppendS32(b, int32(p.integer(32)))
	case wasm.ImmI64:
		return wasm.AppendS64(b, int64(p.integer(64)))
	case wasm.ImmF32:
		return binary.LittleEndian.AppendUint32(b, uint32(p.float(32)))
	case wasm.ImmF64:
		return binary.LittleEndian.AppendUint64(b, p.float(64))
	case wasm.ImmV128:
		return p.vector(b)
	case wasm.ImmShuffle:
		for range 16 {
			if k := p.Kind(); k == wattext.RParen || k == wattext.LParen {
				p.Fail("invalid lane length: i8x16.shuffle has 16 lanes")
			}
			b = append(b, p.lane())
		}
		if p.Kind() == wattext.Number {
			p.Fail("invalid lane length: i8x16.shuffle has 16 lanes")
		}
		return b
	case wasm.ImmLane:
		return append(b, p.lane())
	case wasm.ImmHeapType:
		return wasm.AppendHeapType(b, p.heapType())
	case wasm.ImmTypeField:
		return p.typeAndField(b)
	case wasm.ImmTypeCount:
		b = wasm.AppendU32(b, p.index(&p.types))
		return wasm.AppendU32(b, uint32(p.natural(32, "a number of operands")))
	case wasm.ImmTypeData:
		p.usesData = true
		b = wasm.AppendU32(b, p.index(&p.types))
		return wasm.AppendU32(b, p.index(&p.datas))
	case wasm.ImmTypeElem:
		b = wasm.AppendU32(b, p.index(&p.types))
		return wasm.AppendU32(b, p.index(&p.elems))
	case wasm.ImmTypeType:
		b = wasm.AppendU32(b, p.index(&p.types))
		return wasm.AppendU32(b, p.index(&p.types))
	case wasm.ImmCast:
		return p.castBranch(b)
	case wasm.ImmData:
		p.usesData = true
		return wasm.AppendU32(b, p.index(&p.datas))
	case wasm.ImmDataMemory:
		p.usesData = true
		memory := p.leadingIndex(&p.memories)
		return wasm.AppendU32(wasm.AppendU32(b, p.index(&p.datas)), memory)
	case wasm.ImmElem:
		return wasm.AppendU32(b, p.index(&p.elems))
	case wasm.ImmElemTable:
		table := p.leadingIndex(&p.tables)
		return wasm.AppendU32(wasm.AppendU32(b, p.index(&p.elems)), table)
	case wasm.ImmMemoryMemory:
		return p.indexPair(b, &p.memories)
	case wasm.ImmTableTable:
		return p.indexPair(b, &p.tables)
	case wasm.ImmFence:
		return append(b, 0)
	}
	panic("wat: no text syntax for the immediates of " + op.String())
}

// local reads the index of a local.
func (p *parser) local() uint32 {
	if p.Kind() != wattext.ID {
		return uint32(p.natural(32, "an index"))
	}
	pos := p.Pos
	id := p.TakeID()
	i, ok := p.locals[id]
	if !ok {
		p.FailAt(pos, "unknown local $%s", id)
	}
	return i
}

// leadingIndex reads an index into s if another index follows it; otherwise it
// is 0.
func (p *parser) leadingIndex(s *space) uint32 {
	if p.atIndex() && p.indexAt(1) {
		return p.index(s)
	}
	return 0
}

// indexPair appends two indexes into s, which are 0 if both are left out.
func (p *parser) indexPair(b []byte, s *space) []byte {
	if !p.atIndex() {
		return append(b, 0, 0)
	}
	return wasm.AppendU32(wasm.AppendU32(b, p.index(s)), p.index(s))
}

func (p *parser) branchTable(b []byte) []byte {
	n := uint32(0)
	labels := wasm.AppendU32(p.scratch[:0], p.label())
	for p.atIndex() {
		labels = wasm.AppendU32(labels, p.label())
		n++
	}
	p.scratch = labels
	return append(wasm.AppendU32(b, n), labels...)
}

// typeAndField appends a type and a field of it.
func (p *parser) typeAndField(b []byte) []byte {
	t := p.index(&p.types)
	b = wasm.AppendU32(b, t)
	if p.Kind() != wattext.ID {
		return wasm.AppendU32(b, uint32(p.natural(32, "a field")))
	}
	pos := p.Pos
	id := p.TakeID()
	i, ok := p.fieldIDs[t][id]
	if !ok {
		p.FailAt(pos, "unknown field $%s", id)
	}
	return wasm.AppendU32(b, i)
}

// castBranch appends what br_on_cast and br_on_cast_fail have.
func (p *parser) castBranch(b []byte) []byte {
	l := p.label()
	from, to := p.refType(), p.refType()
	var flags byte
	if from.Nullable() {
		flags |= 1
	}
	if to.Nullable() {
		flags |= 2
	}
	b = wasm.AppendU32(append(b, flags), l)
	return wasm.AppendHeapType(wasm.AppendHeapType(b, from.Heap()), to.Heap())
}

var (
	offsetPrefix = []byte("offset=")
	alignPrefix  = []byte("align=")
)

func isMemArg(s []byte) bool {
	return bytes.HasPrefix(s, offsetPrefix) || bytes.HasPrefix(s, alignPrefix)
}

// memArg reads offset and alignment of a memory access.
func (p *parser) memArg(b []byte, info *wasm.OpInfo, memory uint32) []byte {
	const explicitMemory = 0x40 // flag beside the alignment
	offset := uint64(0)
	align := uint32(info.Align)
	number := func(prefix []byte) uint64 {
		text := p.Text()[len(prefix):]
		v, st := wattext.ParseUint(text, 64)
		switch st {
		case wattext.Malformed:
			p.Fail("unknown operator %s", wattext.Shorten(p.Text()))
		case wattext.Range:
			p.Fail("i64 constant out of range: %s", wattext.Shorten(text))
		}
		return v
	}
	if p.Kind() == wattext.Keyword && bytes.HasPrefix(p.Text(), offsetPrefix) {
		offset = number(offsetPrefix)
		p.Next()
	}
	if p.Kind() == wattext.Keyword && bytes.HasPrefix(p.Text(), alignPrefix) {
		v := number(alignPrefix)
		if v == 0 || v&(v-1) != 0 {
			p.Fail("alignment must be a power of two")
			return b
		}
		align = uint32(bits.TrailingZeros64(v))
		p.Next()
	}
	if memory != 0 {
		b = wasm.AppendU32(wasm.AppendU32(b, align|explicitMemory), memory)
	} else {
		b = wasm.AppendU32(b, align)
	}
	return wasm.AppendU64(b, offset)
}

// lane reads a lane number.
func (p *parser) lane() byte { return byte(p.natural(8, "a lane number")) }

// integer reads an integer of so many bits as its two's complement.
func (p *parser) integer(bits int) uint64 {
	if p.Kind() != wattext.Number {
		p.unexpected("an integer")
		return 0
	}
	v, st := wattext.ParseInt(p.Text(), bits)
	p.number(st, "an integer")
	return v
}

// float reads a number of so many bits as its bits.
func (p *parser) float(bits int) uint64 {
	if p.Kind() != wattext.Number && p.Kind() != wattext.Keyword {
		p.unexpected("a number")
		return 0
	}
	v, st := wattext.ParseFloat(p.Text(), bits)
	p.number(st, "a number")
	return v
}

// number steps over the number that is the current token, if reading it went
// well.
func (p *parser) number(st wattext.Status, expected string) {
	switch st {
	case wattext.Malformed:
		if isKeyword(p.Text()) {
			p.Unexpected(expected)
			return
		}
		p.Fail("unknown operator %s, expected %s", wattext.Shorten(p.Text()), expected)
	case wattext.Range:
		p.Fail("constant out of range: %s", wattext.Shorten(p.Text()))
	default:
		p.Next()
	}
}

// vector reads the shape and lanes of a v128.const.
func (p *parser) vector(b []byte) []byte {
	shape, ok := wattext.LookupShape(p.Text())
	if !ok || p.Kind() != wattext.Keyword {
		p.unexpected("a vector shape")
		return b
	}
	p.Next()
	for range shape.Lanes {
		if k := p.Kind(); k != wattext.Number && (k != wattext.Keyword || !shape.Float || !isNumber(p.Text())) {
			if k == wattext.RParen || k == wattext.Keyword && isKeyword(p.Text()) {
				p.Fail("wrong number of lane literals")
			} else {
				p.unexpected("a lane literal")
			}
			return b
		}
		var v uint64
		if shape.Float {
			v = p.float(shape.Bits)
		} else {
			v = p.integer(shape.Bits)
		}
		var lane [8]byte
		binary.LittleEndian.PutUint64(lane[:], v)
		b = append(b, lane[:shape.Bits/8]...)
	}
	if p.Kind() == wattext.Number {
		p.Fail("wrong number of lane literals")
	}
	return b
}
