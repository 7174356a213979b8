package machine

import (
	"encoding/binary"
	"math/bits"

	"github.com/davit-wasm/davit/codegen/internal/regalloc"
	"github.com/davit-wasm/davit/codegen/ir"
)

// VCode is a function as machine instructions in final order, first with
// virtual registers, then with allocations.
//
// Virtual registers, block parameters and edges live in RA, the allocator's
// view of the function; its Insts and Operands are derived from Insts by
// [VCode.Finish].
type VCode struct {
	Insts  []Inst
	Locs   []uint32 // source location of each instruction, 0 for none
	Blocks []Block

	Calls        []CallInfo
	CallOperands []regalloc.Operand
	Handlers     []Handler

	JumpTables  []Range // into TableBlocks
	TableBlocks []uint32

	Consts    []ConstInfo
	ConstData []byte

	RA regalloc.Function
	// RematInst is, by virtual register, the instruction that can be executed
	// again for it, where RA.Remat says so.
	RematInst []uint32

	Libcalls []ir.Name // library functions that code refers to

	NumLabels uint32 // labels beyond those of the blocks that instructions use

	// Lowering goes backward: instructions begin at index first of these, and Insts
	// and Locs are what is there in the end.
	allInsts []Inst
	allLocs  []uint32
	first    int

	slots   []uint8 // by opcode of slotsOf: a bit for each slot that it uses
	slotsOf *OpInfo

	alias    []Reg // by virtual register: what it stands for, or itself
	constMap map[constKey]uint32
}

// Block is a block of VCode. The number of a block is its place in the code.
type Block struct {
	Insts Range
	// Loc is for display: the IR block, or ir.None for a split edge.
	IR uint32
}

// ConstInfo is an entry of the constant pool.
type ConstInfo struct {
	Off   uint32 // in ConstData
	Size  uint8
	Align uint8
}

type constKey struct {
	lo, hi uint64
	size   uint8
}

// Reset makes c empty, keeping its memory.
func (c *VCode) Reset() {
	c.RA.Reset()
	clear(c.constMap)
	*c = VCode{
		allInsts: c.allInsts, allLocs: c.allLocs, first: len(c.allInsts), slots: c.slots, slotsOf: c.slotsOf, Blocks: c.Blocks[:0], Calls: c.Calls[:0], CallOperands: c.CallOperands[:0], Handlers: c.Handlers[:0],
		JumpTables: c.JumpTables[:0], TableBlocks: c.TableBlocks[:0], Consts: c.Consts[:0], ConstData: c.ConstData[:0],
		Libcalls: c.Libcalls[:0], RA: c.RA, RematInst: c.RematInst[:0], alias: c.alias[:0], constMap: c.constMap,
	}
	c.RA.Clobbers = append(c.RA.Clobbers, regalloc.PRegSet{})
}

// reserve makes room for size instructions, unless there is.
func (c *VCode) reserve(size int) {
	more := size - len(c.allInsts)
	if more <= 0 {
		return
	}
	allInsts, allLocs := make([]Inst, size), make([]uint32, size)
	copy(allInsts[c.first+more:], c.allInsts[c.first:])
	copy(allLocs[c.first+more:], c.allLocs[c.first:])
	c.allInsts, c.allLocs, c.first = allInsts, allLocs, c.first+more
}

// prepend puts instructions, all with the same source location, before those that
// are there.
func (c *VCode) prepend(insts []Inst, loc uint32) {
	if len(insts) > c.first {
		c.reserve(max(2*len(c.allInsts), len(c.allInsts)+len(insts), 256))
	}
	c.first -= len(insts)
	to, locs := c.allInsts[c.first:][:len(insts)], c.allLocs[c.first:][:len(insts)]
	for i := range insts {
		to[i], locs[i] = insts[i], loc
	}
}

// length is the number of instructions so far.
func (c *VCode) length() uint32 { return uint32(len(c.allInsts) - c.first) }

// slotMasks tells which slots the opcodes of table use.
func (c *VCode) slotMasks(table []OpInfo) []uint8 {
	if c.slotsOf != &table[0] {
		c.slotsOf, c.slots = &table[0], make([]uint8, len(table))
		for op := range table {
			for s := range table[op].Slots {
				if table[op].Slots[s].Kind != SlotNone {
					c.slots[op] |= 1 << s
				}
			}
		}
	}
	return c.slots
}

// NewReg makes a virtual register whose spill slot has the given number of
// units.
func (c *VCode) NewReg(class regalloc.RegClass, units uint8) Reg {
	r := VReg(regalloc.MakeVReg(class, c.RA.NumVRegs))
	c.RA.NumVRegs++
	c.RA.SpillUnits = append(c.RA.SpillUnits, units)
	c.alias = append(c.alias, r)
	return r
}

// SetAlias makes virtual register r stand for another, which may be an alias
// itself but not of r. r must have no definition. What r stands for needs a
// spill slot as large as r's: the register of a vector may have been made for a
// scalar.
func (c *VCode) SetAlias(r, of Reg) {
	c.alias[r.VReg().Index()] = of
	if of = c.Resolve(of); of.IsVirtual() {
		have, want := &c.RA.SpillUnits[of.VReg().Index()], c.RA.SpillUnits[r.VReg().Index()]
		*have = max(*have, want)
	}
}

// Resolve follows aliases.
func (c *VCode) Resolve(r Reg) Reg {
	if !r.IsVirtual() {
		return r
	}
	for {
		i := r.VReg().Index()
		a := c.alias[i]
		if a == r {
			return r
		}
		if b := c.alias[a.VReg().Index()]; b != a {
			c.alias[i] = b // halve the path for the next time
		}
		r = a
	}
}

func (c *VCode) resolve(v regalloc.VReg) regalloc.VReg { return c.Resolve(VReg(v)).VReg() }

// Clobbers is the number of a clobber set in RA.Clobbers.
func (c *VCode) Clobbers(s regalloc.PRegSet) uint16 {
	for i, t := range c.RA.Clobbers {
		if s == t {
			return uint16(i)
		}
	}
	c.RA.Clobbers = append(c.RA.Clobbers, s)
	return uint16(len(c.RA.Clobbers) - 1)
}

// AddConst puts 4, 8 or 16 bytes, given as two little-endian words, into the
// constant pool, once each. Every entry is aligned to its size.
func (c *VCode) AddConst(lo, hi uint64, size uint8) uint32 {
	k := constKey{lo, hi, size}
	if i, ok := c.constMap[k]; ok {
		return i
	}
	if c.constMap == nil {
		c.constMap = make(map[constKey]uint32)
	}
	i := uint32(len(c.Consts))
	c.constMap[k] = i
	c.Consts = append(c.Consts, ConstInfo{uint32(len(c.ConstData)), size, size})
	c.ConstData = binary.LittleEndian.AppendUint64(c.ConstData, lo)
	c.ConstData = binary.LittleEndian.AppendUint64(c.ConstData, hi)
	c.ConstData = c.ConstData[:c.Consts[i].Off+uint32(size)]
	return i
}

// Libcall is the number of a library function in Libcalls.
func (c *VCode) Libcall(name ir.Name) uint32 {
	for i := range c.Libcalls {
		if c.Libcalls[i] == name {
			return uint32(i)
		}
	}
	c.Libcalls = append(c.Libcalls, name)
	return uint32(len(c.Libcalls) - 1)
}

// NewLabel makes a label for use by instructions.
func (c *VCode) NewLabel() Label {
	c.NumLabels++
	return Label(c.NumLabels - 1)
}

// Finish resolves aliases and derives the allocator's instructions and operands
// from Insts. The operands of an instruction are those of its register slots
// in slot order, without absent and physical ones, then those of its
// [CallInfo].
func (c *VCode) Finish(table []OpInfo) {
	ra := &c.RA
	for i := range ra.Args {
		ra.Args[i] = c.resolve(ra.Args[i])
	}
	for i := range c.CallOperands {
		c.CallOperands[i].VReg = c.resolve(c.CallOperands[i].VReg)
	}
	ra.Remat = zeroed(ra.Remat, ra.NumVRegs)
	c.RematInst = zeroed(c.RematInst, ra.NumVRegs)
	c.Insts, c.Locs = c.allInsts[c.first:], c.allLocs[c.first:]
	if n := len(c.Insts); n > cap(ra.Insts) {
		ra.Insts, ra.Operands = make([]regalloc.Inst, 0, n+n/8), append(make([]regalloc.Operand, 0, 2*n), ra.Operands...)
	}
	ops, alias, masks := ra.Operands, c.alias, c.slotMasks(table)
	for n := range c.Insts {
		in := &c.Insts[n]
		info := &table[in.Op]
		start := len(ops)
		reuses := false
		for mask := masks[in.Op]; mask != 0; mask &= mask - 1 {
			s := bits.TrailingZeros8(mask)
			r := in.R[s]
			if !r.IsVirtual() {
				continue
			}
			slot := &info.Slots[s]
			if alias[r.VReg().Index()] != r {
				r = c.Resolve(r)
				in.R[s] = r
			}
			reuses = reuses || slot.Constraint == regalloc.Reuse
			ops = append(ops, regalloc.Operand{
				VReg: r.VReg(), Kind: regalloc.OperandKind(slot.Kind - SlotUse), Pos: slot.Pos, Constraint: slot.Constraint, Arg: slot.Arg,
			})
		}
		if reuses {
			in.numberReused(info, ops[start:])
		}
		clobbers := uint16(0)
		if !info.Clobbers.Empty() {
			clobbers = c.Clobbers(info.Clobbers)
		}
		flags := regalloc.InstFlags(0)
		if f := info.Flags & (OpCall | OpMove | OpRemat); f != 0 {
			if f&OpCall != 0 {
				call := &c.Calls[in.callIndex()]
				ops = append(ops, c.CallOperands[call.Operands.Start:call.Operands.End]...)
				clobbers = call.Clobbers
			}
			if f&OpMove != 0 {
				flags = regalloc.Move
			}
			if f&OpRemat != 0 && in.R[0].IsVirtual() {
				v := in.R[0].VReg().Index()
				ra.Remat[v], c.RematInst[v] = true, uint32(n)
			}
		}
		ra.Insts = append(ra.Insts, regalloc.Inst{Operands: Range{Start: uint32(start), End: uint32(len(ops))}, Clobbers: clobbers, Flags: flags})
	}
	ra.Operands = ops
	for i := range c.Blocks {
		ra.Blocks[i].Insts = c.Blocks[i].Insts
	}
}

// numberReused makes the operands of in that reuse another's location name that by
// its number among them, instead of its slot. A reused slot may come after the one
// that reuses it, but must hold a virtual register.
func (in *Inst) numberReused(info *OpInfo, ops []regalloc.Operand) {
	for i := range ops {
		op := &ops[i]
		if op.Constraint != regalloc.Reuse {
			continue
		}
		if !in.R[op.Arg].IsVirtual() {
			panic("machine: " + info.Name + " reuses a slot without a virtual register")
		}
		k := uint8(0)
		for _, r := range in.R[:op.Arg] {
			if r.IsVirtual() {
				k++
			}
		}
		op.Arg = k
	}
}

// callIndex is the index of the instruction's CallInfo. Where the memory operand
// takes Aux, it is in Imm.
func (in *Inst) callIndex() uint32 {
	if in.Mem != MemNone {
		return uint32(in.Imm)
	}
	return in.Aux
}

// CallIndex is the index into VCode.Calls of an instruction whose opcode has
// the flag OpCall.
func (in *Inst) CallIndex() uint32 { return in.callIndex() }

// Apply puts the allocations into the instructions.
func (c *VCode) Apply(table []OpInfo, out *regalloc.Output) {
	masks := c.slotMasks(table)
	for n := range c.Insts {
		in := &c.Insts[n]
		r := c.RA.Insts[n].Operands
		if r.Start == r.End {
			continue
		}
		k := r.Start
		for mask := masks[in.Op]; mask != 0; mask &= mask - 1 {
			if s := bits.TrailingZeros8(mask); in.R[s].IsVirtual() {
				in.R[s] = AllocReg(out.Allocs[k])
				k++
			}
		}
	}
}
