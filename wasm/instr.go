package wasm

import "encoding/binary"

// Instr is an instruction with its immediates. Which fields mean something
// depends on [OpInfo.Imm]; the others keep what an earlier instruction left.
type Instr struct {
	Op     Opcode
	Offset int // in the bytes of the module

	// Index is the first index of the immediates in the order of the binary
	// format (label, function, type, local, global, table, tag, memory, data or
	// element segment; of a memory argument the memory), Index2 the second one:
	// table of call_indirect and table.init, source of copies, field, count,
	// memory of memory.init, segment of array.new_data.
	Index, Index2 uint32

	// Imm is the value of a constant (floats: bits; i32: sign-extended), the low
	// half of a v128 or of the lanes of a shuffle, or the offset of a memory
	// argument. Imm2 is the high half.
	Imm, Imm2 uint64

	Align uint8 // logarithm of the alignment in a memory argument
	Lane  uint8
	Cast  uint8 // flags of br_on_cast

	Block BlockType // of block, loop, if, try_table

	Heap, Heap2 HeapType // ref.null, ref.test, ref.cast; br_on_cast: source and target

	// The slices are valid until the next instruction is read.
	Labels  []uint32  // br_table; the default is the last
	Types   []ValType // select with types
	Catches []Catch   // try_table
}

// BlockType is the type of a block: a function type of the module, or at most
// one result.
type BlockType struct {
	IsIndex bool
	Index   uint32  // type, if IsIndex
	Result  ValType // the result, or 0 for none
}

// Catch is a clause of try_table.
type Catch struct {
	Kind  CatchKind
	Tag   uint32 // CatchTag, CatchTagRef
	Label uint32
}

// CatchKind is the kind of a catch clause; values are the binary codes.
type CatchKind uint8

// Catch clauses.
const (
	CatchTag    CatchKind = iota // catch
	CatchTagRef                  // catch_ref
	CatchAll                     // catch_all
	CatchAllRef                  // catch_all_ref
)

// InstrReader reads instructions without validating them: for constant
// expressions of a valid module, and for tools.
type InstrReader struct {
	r reader
	s settings
}

// Reset makes r read code, which lies at offset in the bytes of the module.
func (r *InstrReader) Reset(code []byte, offset int, c *Config) {
	r.r = reader{b: code, base: offset}
	r.s = c.settings()
}

// Next reads an instruction into in; more is false at the end of the code.
func (r *InstrReader) Next(in *Instr) (more bool, err error) {
	if r.r.left() == 0 {
		return false, nil
	}
	r.r.instr(in, &r.s)
	if r.r.err != nil {
		return false, r.r.err
	}
	return true, nil
}

// instr reads one instruction. Instructions of a feature that is not enabled
// are refused here.
func (r *reader) instr(in *Instr, s *settings) *OpInfo {
	start := r.pos
	in.Offset = r.base + start
	if start < len(r.b) && r.b[start] < 0xfb {
		info := &opcodes[r.b[start]]
		if info.Name != "" && s.features.Has(info.Features) {
			r.pos++
			in.Op = Opcode(r.b[start])
			switch info.Imm {
			case ImmNone:
			case ImmLocal, ImmGlobal, ImmLabel, ImmFunc:
				in.Index = r.u32()
			default:
				r.immediates(in, info, s)
			}
			return info
		}
	}
	return r.rareInstr(in, s, start)
}

// rareInstr reads an instruction with a prefix, or reports one that is none.
func (r *reader) rareInstr(in *Instr, s *settings, start int) *OpInfo {
	c := r.byte()
	op := Opcode(c)
	if c >= 0xfb && r.err == nil {
		op = r.prefixedOp(c, r.base+start)
	}
	info := &opcodes[op]
	if info.Name == "" && r.err == nil {
		r.unknownOp(c, r.base+start)
	}
	if !s.features.Has(info.Features) && r.err == nil {
		r.fail(Unsupported, r.base+start, "instruction %s needs the feature %v, which is not enabled", info.Name, info.Features&^s.features)
	}
	in.Op = op
	if r.err == nil {
		r.immediates(in, info, s)
	}
	return info
}

func (r *reader) immediates(in *Instr, info *OpInfo, s *settings) {
	switch info.Imm {
	case ImmNone:
	case ImmLocal, ImmGlobal, ImmLabel, ImmFunc, ImmType, ImmTable, ImmTag, ImmData, ImmElem:
		in.Index = r.u32()
	case ImmI32:
		in.Imm = uint64(int64(r.s32()))
	case ImmI64:
		in.Imm = uint64(r.s64())
	case ImmF32:
		in.Imm = uint64(r.f32())
	case ImmF64:
		in.Imm = r.f64()
	case ImmMemArg:
		r.memArg(in, s)
	case ImmBlockType:
		in.Block = r.blockType(s)
	case ImmTypeTable, ImmTypeField, ImmTypeCount, ImmTypeData, ImmTypeElem, ImmTypeType, ImmTableTable, ImmElemTable:
		in.Index = r.u32()
		in.Index2 = r.u32()
	case ImmMemory:
		in.Index = r.memoryIndex(s)
	case ImmDataMemory:
		in.Index = r.u32()
		in.Index2 = r.memoryIndex(s)
	case ImmMemoryMemory:
		in.Index = r.memoryIndex(s)
		in.Index2 = r.memoryIndex(s)
	case ImmHeapType:
		in.Heap = r.heapType()
	default:
		r.longImmediates(in, info, s)
	}
}

func (r *reader) prefixedOp(prefix byte, start int) Opcode {
	if prefix == 0xff {
		r.fail(Malformed, start, "illegal opcode ff")
		return 0xff
	}
	n := r.u32()
	op, ok := prefixed(prefix, n)
	if !ok && r.err == nil {
		r.fail(Malformed, start, "illegal opcode %02x %d", prefix, n)
		return 0xff
	}
	return op
}

func (r *reader) unknownOp(c byte, start int) {
	switch c {
	case 0x06, 0x07, 0x09, 0x18, 0x19:
		name := map[byte]string{0x06: "try", 0x07: "catch", 0x09: "rethrow", 0x18: "delegate", 0x19: "catch_all"}[c]
		r.fail(Unsupported, start, "illegal opcode %02x: %s of the legacy exception handling proposal is not supported", c, name)
	default:
		r.fail(Malformed, start, "illegal opcode %02x", c)
	}
}

// longImmediates reads the immediates of rarer or longer kinds.
func (r *reader) longImmediates(in *Instr, info *OpInfo, s *settings) {
	switch info.Imm {
	case ImmLabels:
		n := r.count(s.limits.BrTable, "labels of a br_table")
		in.Labels = in.Labels[:0]
		for i := 0; i <= n && r.err == nil; i++ {
			in.Labels = append(in.Labels, r.u32())
		}
	case ImmTypes:
		n := r.count(s.limits.Results, "types of a select")
		in.Types = in.Types[:0]
		for i := 0; i < n && r.err == nil; i++ {
			in.Types = append(in.Types, r.valType("value"))
		}
	case ImmTryTable:
		in.Block = r.blockType(s)
		n := r.count(s.limits.BrTable, "catch clauses")
		in.Catches = in.Catches[:0]
		for i := 0; i < n && r.err == nil; i++ {
			start := r.offset()
			c := Catch{Kind: CatchKind(r.byte())}
			switch c.Kind {
			case CatchTag, CatchTagRef:
				c.Tag = r.u32()
			case CatchAll, CatchAllRef:
			default:
				r.fail(Malformed, start, "malformed catch clause")
			}
			c.Label = r.u32()
			in.Catches = append(in.Catches, c)
		}
	case ImmV128, ImmShuffle:
		if b := r.bytes(16); b != nil {
			in.Imm, in.Imm2 = binary.LittleEndian.Uint64(b), binary.LittleEndian.Uint64(b[8:])
		}
	case ImmLane:
		in.Lane = r.byte()
	case ImmMemArgLane:
		r.memArg(in, s)
		in.Lane = r.byte()
	case ImmCast:
		start := r.offset()
		in.Cast = r.byte()
		if in.Cast > 3 {
			r.fail(Malformed, start, "malformed br_on_cast flags")
		}
		in.Index = r.u32()
		in.Heap = r.heapType()
		in.Heap2 = r.heapType()
	case ImmFence:
		start := r.offset()
		if r.byte() != 0 {
			r.fail(Malformed, start, "zero byte expected")
		}
	}
}

func (r *reader) blockType(s *settings) BlockType {
	if r.pos < len(r.b) {
		switch c := r.b[r.pos]; {
		case c == 0x40:
			r.pos++
			return BlockType{}
		case c >= byte(V128) && c <= byte(I32), abstractHeap(c), c == refCode, c == refNullCode:
			return BlockType{Result: r.valType("block")}
		}
	}
	start := r.offset()
	v := r.s33()
	if r.err == nil && v < 0 {
		r.fail(Malformed, start, "malformed block type")
	}
	if r.err == nil && !s.features.Has(FeatureMultiValue) {
		r.fail(Unsupported, start, "block type by index needs the feature multi-value, which is not enabled")
	}
	return BlockType{IsIndex: true, Index: uint32(v)}
}

func (r *reader) memArg(in *Instr, s *settings) {
	start := r.offset()
	flags := r.u32()
	in.Index = 0
	if flags >= 1<<6 && r.err == nil {
		if flags >= 1<<7 {
			r.fail(Malformed, start, "malformed memop flags")
			return
		}
		if !s.features.Has(FeatureMultiMemory) {
			r.fail(Malformed, start, "malformed memop flags: a memory index needs the feature multi-memory, which is not enabled")
			return
		}
		flags -= 1 << 6
		in.Index = r.u32()
	}
	in.Align = uint8(flags)
	if s.features.Has(FeatureMemory64) {
		in.Imm = r.u64()
	} else {
		in.Imm = uint64(r.u32())
	}
}

func (r *reader) memoryIndex(s *settings) uint32 {
	if s.features.Has(FeatureMultiMemory) {
		return r.u32()
	}
	start := r.offset()
	if r.byte() != 0 {
		r.fail(Malformed, start, "zero byte expected")
	}
	return 0
}
