package ir

// blockData is a block's parameters and its place in the layout.
type blockData struct {
	params      valueList
	prev, next  Block
	first, last Inst
	inLayout    bool
	cold        bool
	numbered    bool // the instructions' order numbers are right
}

type instLinks struct {
	prev, next Inst
	block      Block
	order      uint32
}

// AddBlock makes a new block, which is not in the layout yet.
func (f *Function) AddBlock() Block {
	f.blocks = append(f.blocks, blockData{prev: NoBlock, next: NoBlock, first: NoInst, last: NoInst})
	return Block(len(f.blocks) - 1)
}

// EnsureBlock makes blocks until b exists; text may name them in any order.
func (f *Function) EnsureBlock(b Block) {
	for int(b) >= len(f.blocks) {
		f.AddBlock()
	}
}

// NumBlocks is the number of blocks ever made, in the layout or not.
func (f *Function) NumBlocks() int { return len(f.blocks) }

// Entry is the first block in the layout, or [NoBlock].
func (f *Function) Entry() Block { return f.firstBlock }

// LastBlock is the last block in the layout, or [NoBlock].
func (f *Function) LastBlock() Block { return f.lastBlock }

// NextBlock is the block after b in the layout, or [NoBlock]. For
//
//	for b := f.Entry(); b != ir.NoBlock; b = f.NextBlock(b)
func (f *Function) NextBlock(b Block) Block { return f.blocks[b].next }

// PrevBlock is the block before b in the layout, or [NoBlock].
func (f *Function) PrevBlock(b Block) Block { return f.blocks[b].prev }

// InLayout reports whether b is in the layout.
func (f *Function) InLayout(b Block) bool {
	return int(b) < len(f.blocks) && f.blocks[b].inLayout
}

// Cold reports whether b is marked as rarely run.
func (f *Function) Cold(b Block) bool { return f.blocks[b].cold }

// SetCold marks b as rarely run.
func (f *Function) SetCold(b Block, cold bool) { f.blocks[b].cold = cold }

// AppendBlock puts b at the end of the layout.
func (f *Function) AppendBlock(b Block) { f.InsertBlockAfter(b, f.lastBlock) }

// InsertBlockAfter puts b behind another block in the layout, or first if that
// is [NoBlock].
func (f *Function) InsertBlockAfter(b, after Block) {
	d := &f.blocks[b]
	if d.inLayout {
		panic("ir: " + b.String() + " is in the layout already")
	}
	d.inLayout = true
	next := f.firstBlock
	if after != NoBlock {
		next = f.blocks[after].next
		f.blocks[after].next = b
	} else {
		f.firstBlock = b
	}
	if next != NoBlock {
		f.blocks[next].prev = b
	} else {
		f.lastBlock = b
	}
	d.prev, d.next = after, next
}

// RemoveBlock takes b and its instructions out of the layout. The instructions
// stay linked to b.
func (f *Function) RemoveBlock(b Block) {
	d := &f.blocks[b]
	if d.prev != NoBlock {
		f.blocks[d.prev].next = d.next
	} else {
		f.firstBlock = d.next
	}
	if d.next != NoBlock {
		f.blocks[d.next].prev = d.prev
	} else {
		f.lastBlock = d.prev
	}
	d.prev, d.next, d.inLayout = NoBlock, NoBlock, false
}

// FirstInst is the first instruction of b, or [NoInst].
func (f *Function) FirstInst(b Block) Inst { return f.blocks[b].first }

// LastInst is the last instruction of b, its terminator, or [NoInst].
func (f *Function) LastInst(b Block) Inst { return f.blocks[b].last }

// NextInst is the instruction after inst in its block, or [NoInst].
func (f *Function) NextInst(inst Inst) Inst { return f.links[inst].next }

// PrevInst is the instruction before inst in its block, or [NoInst].
func (f *Function) PrevInst(inst Inst) Inst { return f.links[inst].prev }

// InstBlock is the block that inst is in, or [NoBlock].
func (f *Function) InstBlock(inst Inst) Block { return f.links[inst].block }

// AppendInst puts inst at the end of b.
func (f *Function) AppendInst(inst Inst, b Block) {
	last := f.blocks[b].last
	f.insert(inst, b, last, NoInst)
	if f.blocks[b].numbered && last != NoInst {
		f.links[inst].order = f.links[last].order + 1
	}
}

// AppendNew makes an instruction as [Function.AddInst] does, at the end of b, with
// the results that [Function.AddResults] gives it: what building a function
// consists of.
func (f *Function) AppendNew(d *InstData, b Block, args ...Value) Inst {
	if len(f.insts) == cap(f.insts) {
		f.growInsts(max(len(f.insts), 64))
	}
	inst := Inst(len(f.insts))
	f.insts = append(f.insts, *d)
	data := &f.insts[inst]
	data.dests, data.ndests = 0, 0
	if len(args) <= len(data.args) {
		data.nargs = uint16(len(args))
		for k, v := range args {
			data.args[k] = v
		}
	} else {
		f.SetArgs(inst, args)
	}
	f.locs = append(f.locs, f.Loc)

	block := &f.blocks[b]
	link := instLinks{prev: block.last, next: NoInst, block: b}
	if link.prev != NoInst {
		last := &f.links[link.prev]
		last.next = inst
		if block.numbered {
			link.order = last.order + 1
		}
	} else {
		block.first = inst
	}
	block.last = inst
	f.links = append(f.links, link)

	if r := &opRules[d.Op]; len(r.results) == 1 && !r.moreResults {
		f.results = append(f.results, valueList{uint32(len(f.pool)), 1, 1})
		f.pool = append(f.pool, Value(len(f.values)))
		f.values = append(f.values, valueData{valueResult, r.results[0].derive(d.Type), 0, uint32(inst)})
		return inst
	}
	f.results = append(f.results, valueList{})
	if !d.Op.IsTerminator() {
		f.AddResults(inst)
	}
	return inst
}

// Reserve makes room for n instructions and as many values, for a function that will
// have about as many in the end: a large one is not copied then while it is built.
func (f *Function) Reserve(n int) {
	if n > cap(f.insts) {
		f.growInsts(n - len(f.insts))
	}
}

// growInsts makes room for n more instructions. Twice as many is a good choice: append
// makes room for a quarter more, and then copies a large function many times while it
// is built, and writes zeros to all of the room.
func (f *Function) growInsts(n int) {
	f.insts, f.results, f.links, f.locs = roomFor(f.insts, n), roomFor(f.results, n), roomFor(f.links, n), roomFor(f.locs, n)
	f.values, f.pool = roomFor(f.values, n), roomFor(f.pool, n)
}

func roomFor[T any](s []T, n int) []T {
	if cap(s)-len(s) >= n {
		return s
	}
	grown := make([]T, len(s), len(s)+n)
	copy(grown, s)
	return grown
}

// InsertBefore puts inst before another instruction.
func (f *Function) InsertBefore(inst, before Inst) {
	b := f.links[before].block
	f.blocks[b].numbered = false
	f.insert(inst, b, f.links[before].prev, before)
}

// InsertAfter puts inst after another instruction.
func (f *Function) InsertAfter(inst, after Inst) {
	b := f.links[after].block
	f.blocks[b].numbered = false
	f.insert(inst, b, after, f.links[after].next)
}

func (f *Function) insert(inst Inst, b Block, prev, next Inst) {
	if f.links[inst].block != NoBlock {
		panic("ir: " + inst.String() + " is in a block already")
	}
	f.links[inst] = instLinks{prev: prev, next: next, block: b}
	if prev != NoInst {
		f.links[prev].next = inst
	} else {
		f.blocks[b].first = inst
	}
	if next != NoInst {
		f.links[next].prev = inst
	} else {
		f.blocks[b].last = inst
	}
}

// RemoveInst takes inst out of its block.
func (f *Function) RemoveInst(inst Inst) {
	l := f.links[inst]
	if l.prev != NoInst {
		f.links[l.prev].next = l.next
	} else {
		f.blocks[l.block].first = l.next
	}
	if l.next != NoInst {
		f.links[l.next].prev = l.prev
	} else {
		f.blocks[l.block].last = l.prev
	}
	f.links[inst] = instLinks{NoInst, NoInst, NoBlock, 0}
}

// SplitBlock moves inst and all after it from their block to the end of b,
// which must be empty.
func (f *Function) SplitBlock(inst Inst, b Block) {
	old := f.links[inst].block
	f.blocks[b].first, f.blocks[b].last = inst, f.blocks[old].last
	f.blocks[b].numbered = f.blocks[old].numbered
	f.blocks[old].last = f.links[inst].prev
	if prev := f.links[inst].prev; prev != NoInst {
		f.links[prev].next = NoInst
	} else {
		f.blocks[old].first = NoInst
	}
	f.links[inst].prev = NoInst
	for i := inst; i != NoInst; i = f.links[i].next {
		f.links[i].block = b
	}
}

// Before reports whether instruction a comes before b in the same block.
func (f *Function) Before(a, b Inst) bool {
	blk := f.links[a].block
	if !f.blocks[blk].numbered {
		n := uint32(0)
		for i := f.blocks[blk].first; i != NoInst; i = f.links[i].next {
			f.links[i].order = n
			n++
		}
		f.blocks[blk].numbered = true
	}
	return f.links[a].order < f.links[b].order
}

// MergeBlock moves all instructions of b to the end of a, whose terminator must
// have been removed, and takes b out of the layout.
func (f *Function) MergeBlock(a, b Block) {
	from, to := &f.blocks[b], &f.blocks[a]
	first, last := from.first, from.last
	f.RemoveBlock(b)
	from.first, from.last = NoInst, NoInst
	if first == NoInst {
		return
	}
	for i := first; i != NoInst; i = f.links[i].next {
		f.links[i].block = a
	}
	if f.links[first].prev = to.last; to.last != NoInst {
		f.links[to.last].next = first
	} else {
		to.first = first
	}
	to.last, to.numbered = last, false
}
