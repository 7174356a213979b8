package machine

import (
	"slices"

	"github.com/davit-wasm/davit/codegen/ir"
)

// Order is the order of a function's blocks in machine code.
//
// It begins with reverse post order, in which a block follows its predecessors
// except along back edges. Within that, the blocks of a loop are brought
// together: every block gets as its key the headers of the loops around it,
// from the outside in, and blocks are put in order of these keys, headers
// compared by their own place in reverse post order. For
//
//	a → h; h → b, exit; b → h        (rpo a h exit b, say)
//
// the keys are a: (a), h: (h), exit: (exit), b: (h b), and the order becomes
// a h b exit. A loop's header dominates the loop, so a forward edge never comes
// to point backward by this. Cold blocks go last.
//
// A block is put on every critical edge, from a block that ends in anything but
// a jump (it has several successors, or operands that its one successor's moves
// could get in the way of) to one with several predecessors, because the moves
// for the target's parameters have no other place. Destinations of a br_table
// that name the same block with the same arguments are one edge. The edge by
// which a try_call returns results always has a block, where results that come in
// memory are loaded.
//
// Cost: linear but for the sorting, which is of blocks in loops by depth.
//
// Where compiling is to be quick, the layout of the function stands in for all
// that; see [Order.Keep]. Front ends of languages with structure lay blocks out in
// much the same order.
type Order struct {
	Blocks []OrderBlock
	succs  []uint32 // by OrderBlock.succs: the numbers of the targets of distinct edges
	calls  []uint32 // likewise: the first block call that is this edge
	dests  []uint32 // by block call: which of its block's distinct edges it is

	rpo     []uint32 // by ir.Block: place in reverse post order + 1, 0 if unreachable
	blocks  []ir.Block
	number  []uint32 // by ir.Block: number in Blocks
	loop    []uint32 // by rpo place: rpo place of the innermost loop header around it, self for headers; none if not in a loop
	parent  []uint32 // by rpo place of a header: the header of the loop around it
	depth   []uint8
	preds   []uint32 // by ir.Block: number of incoming edges
	warm    []bool   // by ir.Block: a block that is not cold leads there
	seen    []uint32 // by ir.Block: destination last seen for it, + 1
	seenBy  []uint32 // by ir.Block: block + 1 that saw it
	work    []uint32
	next    []uint32
	head    []uint32
	scratch []OrderBlock
	walk    ir.Walk
	cfg     ir.CFG
	dom     ir.DomTree
}

// OrderBlock is a block of machine code: an IR block or a split edge.
type OrderBlock struct {
	IR    ir.Block // the block; of a split edge the one it leaves
	Dest  int32    // of a split edge: the block call; -1 for a block
	Depth uint8    // number of loops around
	Cold  bool
	succs Range  // into Order.succs
	dests uint32 // where its block calls begin in Order.dests
	edge  uint32 // of a split edge: its place in Order.succs
}

const none = ^uint32(0)

// cold reports whether b is rarely run: because it is marked so, or because it
// only traps.
func cold(f *ir.Function, b ir.Block) bool {
	return f.Cold(b) || f.Inst(f.LastInst(b)).Op == ir.OpTrap
}

// appendBlock puts b, which follows one of its predecessors, behind the blocks that
// are there. It is cold if it is rarely run itself or if only cold blocks before it
// lead there: it would else come before them, which dominate it. The entry is run
// whenever anything is.
func (o *Order) appendBlock(f *ir.Function, b ir.Block, depth uint8) {
	isCold := len(o.Blocks) > 0 && (cold(f, b) || !o.warm[b])
	if !isCold {
		for _, d := range f.Dests(f.LastInst(b)) {
			o.warm[d.Block] = true
		}
	}
	o.Blocks = append(o.Blocks, OrderBlock{IR: b, Dest: -1, Depth: depth, Cold: isCold})
}

// Compute finds the order of f's blocks.
func (o *Order) Compute(f *ir.Function) {
	n := f.NumBlocks()
	post := f.PostOrder(&o.walk)
	o.blocks = append(o.blocks[:0], post...)
	slices.Reverse(o.blocks)
	o.rpo = zeroed(o.rpo, n)
	for i, b := range o.blocks {
		o.rpo[b] = uint32(i + 1)
	}
	o.cfg.Compute(f)
	o.dom.Compute(f, &o.cfg)
	o.loops(f)
	o.sort(f)
	o.edges(f)
}

// Keep makes the layout of f the order of its blocks, but for critical edges and
// cold blocks. Every block but the first must follow one of its predecessors in
// the layout ([ir.Function.InOrder]): then it also follows the blocks that dominate
// it. A loop is taken to reach from the target of a branch back to the last block
// with such a branch.
func (o *Order) Keep(f *ir.Function) {
	o.rpo = zeroed(o.rpo, f.NumBlocks())
	o.blocks = o.blocks[:0]
	for b := f.Entry(); b != ir.NoBlock; b = f.NextBlock(b) {
		o.blocks = append(o.blocks, b)
		o.rpo[b] = uint32(len(o.blocks))
	}
	n := len(o.blocks)
	o.next = filled(o.next, n, none) // by header: the last block of its loop
	for i, b := range o.blocks {
		for _, d := range f.Dests(f.LastInst(b)) {
			if h := o.rpo[d.Block] - 1; h <= uint32(i) {
				o.next[h] = uint32(i)
			}
		}
	}
	o.depth = slices.Grow(o.depth[:0], n)[:n]
	o.head = zeroed(o.head, n) // how many loops end with a block
	o.Blocks, o.warm = o.Blocks[:0], zeroed(o.warm, f.NumBlocks())
	depth := 0
	for i, b := range o.blocks {
		if end := o.next[i]; end != none {
			o.head[end]++
			depth++
		}
		o.depth[i] = uint8(min(depth, 255))
		depth -= int(o.head[i])
		o.appendBlock(f, b, o.depth[i])
	}
	o.edges(f)
}

// loops finds the innermost loop of every block. Headers are the targets of
// back edges whose source they dominate; they are handled from the last to
// the first, so that inner loops come before outer ones. A walk from the back
// edges against the edges finds the loop's blocks; a block that has been given
// a loop stands for that whole loop, through its outermost header so far, so
// that each block is entered once per loop nest level at most through its
// representative.
func (o *Order) loops(f *ir.Function) {
	n := len(o.blocks)
	o.loop = filled(o.loop, n, none)
	o.parent = filled(o.parent, n, none)
	o.head = filled(o.head, n, none) // by rpo place: outermost header found so far around it, with path compression
	for h := n - 1; h >= 0; h-- {
		hb := o.blocks[h]
		o.work = o.work[:0]
		for _, e := range o.cfg.Preds(hb) {
			if p := o.rpo[e.From]; p != 0 && o.dom.Dominates(hb, e.From) {
				o.work = append(o.work, p-1)
			}
		}
		if len(o.work) == 0 {
			continue
		}
		o.loop[h] = uint32(h)
		for len(o.work) > 0 {
			b := o.work[len(o.work)-1]
			o.work = o.work[:len(o.work)-1]
			// b's outermost loop so far, or b itself.
			for o.head[b] != none {
				if g := o.head[o.head[b]]; g != none {
					o.head[b] = g
					b = g
				} else {
					b = o.head[b]
				}
			}
			if b == uint32(h) {
				continue
			}
			o.head[b] = uint32(h)
			if o.loop[b] == b {
				o.parent[b] = uint32(h)
			} else {
				o.loop[b] = uint32(h)
			}
			for _, e := range o.cfg.Preds(o.blocks[b]) {
				if p := o.rpo[e.From]; p > uint32(h)+1 {
					o.work = append(o.work, p-1)
				}
			}
		}
	}
	o.depth = slices.Grow(o.depth[:0], n)[:n]
	for b := range n {
		d := uint8(0)
		for l := o.loop[b]; l != none && d < 255; l = o.parent[l] {
			d++
			if l < uint32(b) { // an outer header's depth is known
				d += o.depth[l] - 1
				break
			}
		}
		o.depth[b] = d
	}
}

// sort puts o.blocks into final order. Blocks and loops form a forest; a child
// list per header, filled from the back, holds its members in reverse post
// order, and a walk with an explicit stack writes them out.
func (o *Order) sort(f *ir.Function) {
	n := len(o.blocks)
	o.head = filled(o.head, n+1, none) // first child; n is the root
	o.next = filled(o.next, n, none)
	for b := n - 1; b >= 0; b-- {
		p := o.loop[b]
		if p == uint32(b) {
			p = o.parent[b]
		}
		if p == none {
			p = uint32(n)
		}
		o.next[b] = o.head[p]
		o.head[p] = uint32(b)
	}
	o.Blocks, o.warm = o.Blocks[:0], zeroed(o.warm, f.NumBlocks())
	o.work = append(o.work[:0], o.head[n])
	for len(o.work) > 0 {
		b := o.work[len(o.work)-1]
		if b == none {
			o.work = o.work[:len(o.work)-1]
			continue
		}
		o.work[len(o.work)-1] = o.next[b]
		o.appendBlock(f, o.blocks[b], o.depth[b])
		if o.head[b] != none {
			o.work = append(o.work, o.head[b])
		}
	}
}

// edges finds distinct edges, splits the critical ones, sinks cold blocks and
// numbers everything.
func (o *Order) edges(f *ir.Function) {
	n := f.NumBlocks()
	o.preds = zeroed(o.preds, n)
	o.seen = zeroed(o.seen, n)
	o.seenBy = zeroed(o.seenBy, n)
	o.dests = o.dests[:0]
	o.succs = o.succs[:0]
	o.calls = o.calls[:0]
	for i := range o.Blocks {
		b := &o.Blocks[i]
		last := f.LastInst(b.IR)
		b.dests = uint32(len(o.dests))
		b.succs.Start = uint32(len(o.succs))
		dests := f.Dests(last)
		table := f.Inst(last).Op == ir.OpBrTable
		for d := range dests {
			to := dests[d].Block
			if table && o.seenBy[to] == uint32(i+1) {
				if first := o.seen[to] - 1; slices.Equal(f.DestArgs(last, int(first)), f.DestArgs(last, d)) {
					o.dests = append(o.dests, o.dests[b.dests+first])
					continue
				}
			}
			o.seenBy[to], o.seen[to] = uint32(i+1), uint32(d+1)
			o.dests = append(o.dests, uint32(len(o.succs))-b.succs.Start)
			o.succs = append(o.succs, none)
			o.calls = append(o.calls, uint32(d))
			o.preds[to]++
		}
		b.succs.End = uint32(len(o.succs))
	}
	// Insert split edges behind the block they leave, if they stay in its loop or
	// leave it by falling out of it; a cold target makes a cold edge.
	blocks := len(o.Blocks)
	for i := range blocks {
		last := f.LastInst(o.Blocks[i].IR)
		if f.Inst(last).Op == ir.OpJump {
			continue // moves can go before it
		}
		b := o.Blocks[i]
		for k := b.succs.Start; k < b.succs.End; k++ {
			to := f.Dests(last)[o.calls[k]].Block
			if o.preds[to] > 1 || k == b.succs.Start && returnsValues(f, last) {
				t := o.rpo[to] - 1
				o.Blocks = append(o.Blocks, OrderBlock{IR: b.IR, Dest: int32(o.calls[k]), Depth: min(b.Depth, o.depth[t]), Cold: b.Cold || cold(f, to), edge: k})
			}
		}
	}
	o.merge(blocks, o.Blocks[blocks:])
	o.number = filled(o.number, n, none)
	for i := range o.Blocks {
		if b := &o.Blocks[i]; b.Dest < 0 {
			o.number[b.IR] = uint32(i)
		}
	}
	for i := range o.Blocks {
		b := &o.Blocks[i]
		if b.Dest < 0 && b.succs.Start == b.succs.End {
			continue
		}
		dests := f.Dests(f.LastInst(b.IR))
		if b.Dest >= 0 {
			o.succs[b.edge] = uint32(i)
			b.succs = Range{Start: uint32(len(o.succs)), End: uint32(len(o.succs) + 1)}
			o.succs = append(o.succs, o.number[dests[b.Dest].Block])
			o.calls = append(o.calls, uint32(b.Dest))
			continue
		}
		for k := b.succs.Start; k < b.succs.End; k++ {
			if o.succs[k] == none { // not split
				o.succs[k] = o.number[dests[o.calls[k]].Block]
			}
		}
	}
}

// returnsValues reports whether inst is a try_call that passes results to the
// block it returns to.
func returnsValues(f *ir.Function, inst ir.Inst) bool {
	if op := f.Inst(inst).Op; op != ir.OpTryCall && op != ir.OpTryCallIndirect {
		return false
	}
	for _, v := range f.DestArgs(inst, 0) {
		if !v.IsPlain() {
			return true
		}
	}
	return false
}

// merge places the split edges: hot ones behind the block they leave, cold
// blocks of either kind at the end.
func (o *Order) merge(blocks int, split []OrderBlock) {
	out := o.scratch[:0]
	k := 0
	for i := range blocks {
		b := &o.Blocks[i]
		if !b.Cold {
			out = append(out, *b)
		}
		for k < len(split) && split[k].IR == b.IR {
			if !split[k].Cold {
				out = append(out, split[k])
			}
			k++
		}
	}
	k = 0
	for i := range blocks {
		b := &o.Blocks[i]
		if b.Cold {
			out = append(out, *b)
		}
		for k < len(split) && split[k].IR == b.IR {
			if split[k].Cold {
				out = append(out, split[k])
			}
			k++
		}
	}
	o.Blocks, o.scratch = out, o.Blocks
}

// Succs are the numbers of the blocks that distinct edges of block i lead to.
func (o *Order) Succs(i int) []uint32 {
	r := o.Blocks[i].succs
	return o.succs[r.Start:r.End:r.End]
}

// Target is the number of the block that block call dest of block i leads to:
// a split edge or the destination itself.
func (o *Order) Target(i, dest int) uint32 {
	b := &o.Blocks[i]
	return o.succs[b.succs.Start+o.dests[b.dests+uint32(dest)]]
}

// TargetOf is Target for the block call dest of IR block b; ok is false if
// nothing leads to b.
func (o *Order) TargetOf(b ir.Block, dest int) (n uint32, ok bool) {
	if int(b) >= len(o.number) || o.number[b] == none {
		return 0, false
	}
	return o.Target(int(o.number[b]), dest), true
}

// Calls are, for each distinct edge of block i, the first block call of its IR
// terminator that is this edge.
func (o *Order) Calls(i int) []uint32 {
	r := o.Blocks[i].succs
	return o.calls[r.Start:r.End:r.End]
}

func zeroed[T any](s []T, n int) []T {
	s = slices.Grow(s[:0], n)[:n]
	clear(s)
	return s
}

func filled[T any](s []T, n int, v T) []T {
	s = slices.Grow(s[:0], n)[:n]
	for i := range s {
		s[i] = v
	}
	return s
}
