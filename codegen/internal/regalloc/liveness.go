package regalloc

import "math/bits"

// Positions number the moments of all instructions in code order: instruction i's Early is 2i and its Late 2i+1. A value passed
// along an edge is used at the Late of the terminator, and block parameters are defined at the Early of the first instruction.
//
// Live ranges are half-open intervals of positions, in which holes are where a value is dead for a while: mostly other arms of
// a branch.
//
// Values that live in one block only are the great majority, and one pass over the instructions finds their ranges. For the
// others the usual backward data flow over bit sets is needed. A bit matrix of blocks by values would be quadratic in memory, so
// the values are done in batches of a few words per block: memory is linear in the number of blocks, and the time for each batch
// is that of the blocks it touches. The ranges come out of one sweep over the blocks, in which only the bits that change from one
// block to the next cost anything.

// liveRange is the interval of positions [from, to).
type liveRange struct{ from, to uint32 }

// useRef is a use of a value. op is the index of the operand, or, with edgeUse set, of the edge argument.
type useRef struct{ pos, op uint32 }

const edgeUse = 1 << 31

func latePos(inst uint32) uint32 { return 2*inst + 1 }

// liveness holds definitions, uses and live ranges of all values. Its slices are reused.
type liveness struct {
	useStart []uint32 // by value, into uses; one more than there are values
	uses     []useRef // grouped by value, in code order
	defPos   []uint32 // by value; noPos if the value does not occur
	defBlock []uint32 // by value
	defOp    []uint32 // by value: the index of its Def operand, or of its parameter in Function.Params with edgeUse set

	rangeStart []uint32 // by value, into ranges
	rangeCount []uint32
	ranges     []liveRange

	globals   []uint32
	deadParam []bool // by index in Function.Params: nothing uses it

	// Working memory of a batch.
	in, out, def []uint64
	dirty        []bool
	events       []rangeEvent
	open         []uint32
	cursor       []uint32
	counts       []uint32
}

type rangeEvent struct {
	index uint32 // of the value in the batch
	r     liveRange
}

const (
	noPos = ^uint32(0)
	// batchWords bounds the words of live bits per block and batch.
	batchWords = 8
)

// compute fills l for f. The blocks are those of c.
func (l *liveness) compute(f *Function, c *cfg) {
	n := f.NumVRegs
	l.useStart = resized(l.useStart, n+1)
	l.defPos = resized(l.defPos, n)
	l.defBlock = resized(l.defBlock, n)
	l.defOp = resized(l.defOp, n)
	l.rangeStart = resized(l.rangeStart, n)
	l.rangeCount = resized(l.rangeCount, n)
	l.ranges = l.ranges[:0]
	l.globals = l.globals[:0]
	for v := range l.defPos {
		l.defPos[v] = noPos
	}
	l.collect(f)

	for v := range n {
		if l.defPos[v] == noPos {
			continue
		}
		uses := l.usesOf(uint32(v))
		blk := &f.Blocks[l.defBlock[v]]
		end := 2 * blk.Insts.End
		if len(uses) > 0 && (uses[len(uses)-1].pos >= end || uses[0].pos < 2*blk.Insts.Start) {
			l.globals = append(l.globals, uint32(v))
			continue
		}
		l.rangeStart[v] = uint32(len(l.ranges))
		l.rangeCount[v] = 1
		to := l.defEnd(f, uint32(v))
		if len(uses) > 0 {
			to = max(to, uses[len(uses)-1].pos+1)
		}
		l.ranges = append(l.ranges, liveRange{l.defPos[v], to})
	}
	for start := 0; start < len(l.globals); start += batchWords * 64 {
		l.batch(f, c, l.globals[start:min(start+batchWords*64, len(l.globals))])
	}
}

// defEnd returns the end of v's range if nothing used it: a definition at Early holds its location over the instruction.
func (l *liveness) defEnd(f *Function, v uint32) uint32 {
	if l.defOp[v]&edgeUse != 0 {
		return l.defPos[v] + 1
	}
	return (l.defPos[v] | 1) + 1
}

// collect finds definitions and uses.
func (l *liveness) collect(f *Function) {
	for _, o := range f.Operands {
		if o.Kind == Use {
			l.useStart[o.VReg.Index()]++
		}
	}
	for b := range f.Blocks {
		for _, e := range f.BlockEdges(b) {
			for _, v := range f.EdgeArgs(e) {
				l.useStart[v.Index()]++
			}
		}
	}
	// What is passed for a parameter that nothing uses is not used by that.
	l.deadParam = resized(l.deadParam, len(f.Params))
	anyDead := false
	for i, p := range f.Params {
		l.deadParam[i] = l.useStart[p.Index()] == 0
		anyDead = anyDead || l.deadParam[i]
	}
	for b := range f.Blocks {
		if !anyDead {
			break
		}
		for _, e := range f.BlockEdges(b) {
			first := f.Blocks[e.To].Params.Start
			for k, v := range f.EdgeArgs(e) {
				if l.deadParam[int(first)+k] {
					l.useStart[v.Index()]--
				}
			}
		}
	}
	sum := uint32(0)
	for v := range l.useStart {
		sum += l.useStart[v]
		l.useStart[v] = sum
	}
	l.uses = resized(l.uses, int(sum))
	// Filling from the last to the first leaves the starts where they belong.
	put := func(v VReg, u useRef) {
		l.useStart[v.Index()]--
		l.uses[l.useStart[v.Index()]] = u
	}
	for b := len(f.Blocks) - 1; b >= 0; b-- {
		blk := &f.Blocks[b]
		for e := blk.Succs.End; e > blk.Succs.Start; e-- {
			args := f.Edges[e-1].Args
			params := f.Blocks[f.Edges[e-1].To].Params
			for a := args.End; a > args.Start; a-- {
				if l.deadParam[params.Start+(a-1-args.Start)] {
					continue
				}
				put(f.Args[a-1], useRef{2*blk.Insts.End - 1, (a - 1) | edgeUse})
			}
		}
		for i := blk.Insts.End; i > blk.Insts.Start; i-- {
			ops := f.Insts[i-1].Operands
			// Late uses of an instruction come after the early ones.
			for pos := int(Late); pos >= int(Early); pos-- {
				for o := ops.End; o > ops.Start; o-- {
					op := &f.Operands[o-1]
					if int(op.Pos) != pos {
						continue
					}
					v := op.VReg
					if op.Kind == Use {
						put(v, useRef{2*(i-1) + uint32(pos), o - 1})
					} else {
						l.defPos[v.Index()] = 2*(i-1) + uint32(pos)
						l.defBlock[v.Index()] = uint32(b)
						l.defOp[v.Index()] = o - 1
					}
				}
			}
		}
		for p := blk.Params.Start; p < blk.Params.End; p++ {
			v := f.Params[p].Index()
			l.defPos[v] = 2 * blk.Insts.Start
			l.defBlock[v] = uint32(b)
			l.defOp[v] = p | edgeUse
		}
	}
}

// batch computes the ranges of a few values that live in several blocks.
func (l *liveness) batch(f *Function, c *cfg, vs []uint32) {
	w := (len(vs) + 63) / 64
	nb := len(f.Blocks)
	l.in = resized(l.in, nb*w)
	l.out = resized(l.out, nb*w)
	l.def = resized(l.def, nb*w)
	l.dirty = resized(l.dirty, nb)
	last := uint32(0)                    // last position in order of a dirty block
	low, high := uint32(nb-1), uint32(0) // the blocks, in code order, that anything is live in or defined in
	for i, v := range vs {
		word, bit := i/64, uint64(1)<<(i%64)
		db := l.defBlock[v]
		low, high = min(low, db), max(high, db)
		l.def[int(db)*w+word] |= bit
		b := uint32(0) // uses are in code order, so one walk finds their blocks
		blocks := f.Blocks
		for _, u := range l.usesOf(v) {
			if end := 2 * blocks[b].Insts.End; u.pos >= end {
				b = blockAt(blocks, b, u.pos)
			}
			if b != db {
				l.in[int(b)*w+word] |= bit
				l.dirty[b] = true
				last = max(last, c.index[b])
				low, high = min(low, b), max(high, b)
			}
		}
	}
	for again := true; again; {
		again = false
		end := int(last)
		last = 0
		for i := end; i >= 0; i-- {
			b := int(c.order[i])
			if !l.dirty[b] {
				continue
			}
			l.dirty[b] = false
			in := l.in[b*w : b*w+w]
			for _, e := range c.predEdges(b) {
				p := int(c.source[e])
				changed := uint64(0)
				for k, x := range in {
					l.out[p*w+k] |= x
					more := x &^ l.def[p*w+k] &^ l.in[p*w+k]
					l.in[p*w+k] |= more
					changed |= more
				}
				if changed != 0 {
					l.dirty[p] = true
					low, high = min(low, uint32(p)), max(high, uint32(p))
					if pi := c.index[p]; int(pi) >= i {
						again = true
						last = max(last, pi)
					}
				}
			}
		}
	}
	l.sweep(f, vs, w, int(low), int(high))
}

// blockAt returns the block that holds position pos, at or after block b.
func blockAt(blocks []Block, b, pos uint32) uint32 {
	// Gallop, then search by halves: uses are mostly near each other.
	step := uint32(1)
	lo := b
	for lo+step < uint32(len(blocks)) && 2*blocks[lo+step].Insts.Start <= pos {
		lo += step
		step *= 2
	}
	hi := min(lo+step, uint32(len(blocks)))
	for hi-lo > 1 {
		if m := (lo + hi) / 2; 2*blocks[m].Insts.Start <= pos {
			lo = m
		} else {
			hi = m
		}
	}
	return lo
}

// sweep turns the live bits of a batch, in blocks low to high, into ranges.
func (l *liveness) sweep(f *Function, vs []uint32, w, low, high int) {
	l.open = resized(l.open, len(vs))
	l.cursor = resized(l.cursor, len(vs))
	for i, v := range vs {
		l.cursor[i] = l.useStart[v]
	}
	l.events = l.events[:0]
	l.counts = resized(l.counts, len(vs)+1)
	closeRange := func(i, to uint32) {
		l.events = append(l.events, rangeEvent{i, liveRange{l.open[i], to}})
		l.counts[i]++
	}
	var prev [batchWords]uint64
	for b := low; b <= high; b++ {
		start, end := 2*f.Blocks[b].Insts.Start, 2*f.Blocks[b].Insts.End
		for k := range w {
			in, out := l.in[b*w+k], l.out[b*w+k]
			for x := prev[k] &^ in; x != 0; x &= x - 1 {
				closeRange(uint32(k*64+bits.TrailingZeros64(x)), start)
			}
			for x := in &^ prev[k]; x != 0; x &= x - 1 {
				l.open[k*64+bits.TrailingZeros64(x)] = start
			}
			for x := in &^ out; x != 0; x &= x - 1 {
				i := uint32(k*64 + bits.TrailingZeros64(x))
				v := vs[i]
				cur := l.cursor[i]
				for cur < l.useStart[v+1] && l.uses[cur].pos < end {
					cur++
				}
				l.cursor[i] = cur
				closeRange(i, l.uses[cur-1].pos+1)
			}
			for x := out &^ in; x != 0; x &= x - 1 {
				i := k*64 + bits.TrailingZeros64(x)
				l.open[i] = l.defPos[vs[i]]
			}
			prev[k] = out
		}
	}
	end := 2 * f.Blocks[high].Insts.End
	for k := range w {
		for x := prev[k]; x != 0; x &= x - 1 {
			closeRange(uint32(k*64+bits.TrailingZeros64(x)), end)
		}
	}
	// Group the ranges by value; within one they come in order.
	base := uint32(len(l.ranges))
	sum := base
	for i, v := range vs {
		l.rangeStart[v] = sum
		l.rangeCount[v] = 0
		sum += l.counts[i]
	}
	for uint32(len(l.ranges)) < sum {
		l.ranges = append(l.ranges, liveRange{})
	}
	for _, e := range l.events {
		v := vs[e.index]
		at := l.rangeStart[v] + l.rangeCount[v]
		if l.rangeCount[v] > 0 && l.ranges[at-1].to == e.r.from {
			l.ranges[at-1].to = e.r.to // a use at the end of a block and a live-in of the next meet
			continue
		}
		l.ranges[at] = e.r
		l.rangeCount[v]++
	}
}

// usesOf returns v's uses in code order.
func (l *liveness) usesOf(v uint32) []useRef { return l.uses[l.useStart[v]:l.useStart[v+1]] }

// rangesOf returns v's live ranges in code order.
func (l *liveness) rangesOf(v uint32) []liveRange {
	s := l.rangeStart[v]
	return l.ranges[s : s+l.rangeCount[v]]
}

// rangeAt returns the end of v's live range that holds pos, or 0 if v is dead there.
func (l *liveness) rangeAt(v, pos uint32) uint32 {
	rs := l.rangesOf(v)
	lo, hi := 0, len(rs)
	for lo < hi {
		if m := (lo + hi) / 2; rs[m].to <= pos {
			lo = m + 1
		} else {
			hi = m
		}
	}
	if lo < len(rs) && rs[lo].from <= pos {
		return rs[lo].to
	}
	return 0
}
