package machine

import (
	"slices"

	"github.com/davit-wasm/davit/codegen/internal/regalloc"
)

// Rotation of loops.
//
// In the order of blocks a loop begins with its header, and its last block often
// ends in a jump back to the header: where the loop is left from the header or
// from its middle, or where moves have to be made on the way back. That jump is
// executed in every iteration. Going round a ring, one may begin anywhere: if
// the part behind a block that can leave the loop comes first, the loop ends with
// that block, whose branch does both, going back and leaving, and what was last
// falls into the header. With x the exit,
//
//	h: … je x; b: … jmp h; x:     becomes    jmp h; b: … h: … jne b; x:
//
// One jump on the way in buys one in each iteration. This happens after registers
// have been allocated: it is known then which blocks are empty, and the allocator
// sees blocks in an order in which, but for the ways back, each follows its
// predecessors.
//
// The blocks of a loop are contiguous. Of nested loops the inner ones are rotated
// first; an outer one is opened only between blocks that are in no inner one.
// Cost: linear, but for moving blocks, which happens once per loop around them.

// rotate fills e.order with the blocks that have code, in the order of the code.
func (e *Emitter) rotate() {
	n := len(e.VC.Blocks)
	e.order = e.order[:0]
	e.at = filled(e.at, n, none)
	e.back = filled(e.back, n, none)
	for i := range n {
		if e.thread[i] != uint32(i) {
			continue
		}
		e.at[i] = uint32(len(e.order))
		e.order = append(e.order, uint32(i))
	}
	// The last block that leads back to each header.
	for _, i := range e.order {
		for _, x := range e.VC.RA.BlockEdges(int(i)) {
			if to := e.thread[x.To]; to <= i && to != 0 {
				e.back[to] = i
			}
		}
	}
	if e.Padding != 0 {
		return // nothing falls through
	}
	// Inner headers come after outer ones.
	for h := n - 1; h > 0; h-- {
		if j := e.back[h]; j != none && j != uint32(h) && e.jumps(j) {
			e.rotateLoop(uint32(h), j)
		}
	}
}

// jumps reports whether block i ends in a jump.
func (e *Emitter) jumps(i uint32) bool {
	last := &e.VC.Insts[e.VC.Blocks[i].Insts.End-1]
	return e.table[last.Op].Flags&OpJump != 0
}

// rotateLoop rotates the loop from h to j, whose places in the order are those
// that they have without rotation, as all loops that contain only one of them are
// inner ones.
func (e *Emitter) rotateLoop(h, j uint32) {
	blocks := e.VC.RA.Blocks
	loop := e.order[e.at[h] : e.at[j]+1]
	if loop[0] != h || loop[len(loop)-1] != j || blocks[h].Cold != blocks[j].Cold {
		return // an inner loop has the same header
	}
	last := -1
	for k, b := range loop {
		if blocks[b].LoopDepth < blocks[h].LoopDepth {
			return // not a loop
		}
		if k < len(loop)-1 && blocks[b].LoopDepth == blocks[h].LoopDepth && e.leaves(b, h, j, loop[k+1]) {
			last = k
		}
	}
	if last < 0 {
		return
	}
	e.turned = append(e.turned[:0], loop[:last+1]...)
	copy(loop, loop[last+1:])
	copy(loop[len(loop)-last-1:], e.turned)
}

// leaves reports whether block b ends in a branch that goes on to the block that
// follows, or leaves the loop from h to j.
func (e *Emitter) leaves(b, h, j, follows uint32) bool {
	edges := e.VC.RA.BlockEdges(int(b))
	if len(edges) != 2 {
		return false
	}
	x, y := e.thread[edges[0].To], e.thread[edges[1].To]
	if x != follows {
		x, y = y, x
	}
	return x == follows && (y < h || y > j)
}

// editsFrom is the moves from instruction n on.
func (e *Emitter) editsFrom(n uint32) int {
	i, _ := slices.BinarySearchFunc(e.Out.Edits, int(n), func(x regalloc.Edit, n int) int { return x.At.Inst() - n })
	return i
}

// maxLoopInsts is how many machine instructions a loop may have to be looked at: more
// do not fit in a line.
const maxLoopInsts = 24

// findShortLoops fills e.loop with the innermost loops of few instructions. Such a loop is the
// blocks from its header to the last one that leads back to it, but for cold ones.
func (e *Emitter) findShortLoops() {
	n := len(e.VC.Blocks)
	e.loop = filled(e.loop, n, none)
	if !e.PlaceLoops || e.Padding != 0 {
		return
	}
	blocks := e.VC.RA.Blocks
	back := filled(e.back, n, none)
	for _, i := range e.order {
		if blocks[i].Cold {
			continue
		}
		for _, x := range e.VC.RA.BlockEdges(int(i)) {
			if to := e.thread[x.To]; to <= i && to != 0 && (back[to] == none || back[to] < i) {
				back[to] = i
			}
		}
	}
	inner := uint32(n) // the last header that was looked at
	for h := uint32(n) - 1; h > 0; h-- {
		j := back[h]
		if j == none || blocks[h].Cold {
			continue
		}
		if j < inner && e.short(h, j) {
			for b := h; b <= j; b++ {
				e.loop[b] = h
			}
		}
		inner = h
	}
}

// short reports whether the blocks from h to j are a short loop.
func (e *Emitter) short(h, j uint32) bool {
	if e.VC.Blocks[j].Insts.End-e.VC.Blocks[h].Insts.Start > maxLoopInsts {
		return false
	}
	for b := h; b <= j; b++ {
		if e.thread[b] == b && e.VC.RA.Blocks[b].LoopDepth < e.VC.RA.Blocks[h].LoopDepth {
			return false // not a loop
		}
	}
	return true
}
