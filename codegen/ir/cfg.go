package ir

// Edge is a branch destination: block call Dest of instruction Inst, the
// terminator of block From.
type Edge struct {
	From Block
	Inst Inst
	Dest uint32
}

// CFG is the control-flow graph of a function at the time of [CFG.Compute].
// Successors are read from the terminators; predecessors are kept here.
type CFG struct {
	start []uint32 // by block: where its predecessors begin in preds; one more at the end
	preds []Edge
}

// Compute reads the graph of f.
func (c *CFG) Compute(f *Function) {
	n := f.NumBlocks()
	c.start = append(c.start[:0], make([]uint32, n+1)...)
	total := 0
	for b := f.Entry(); b != NoBlock; b = f.NextBlock(b) {
		if last := f.LastInst(b); last != NoInst {
			for _, d := range f.Dests(last) {
				c.start[d.Block]++
				total++
			}
		}
	}
	// Turn counts into ends, then fill from the back, so that ends become starts.
	sum := uint32(0)
	for i := range c.start {
		sum += c.start[i]
		c.start[i] = sum
	}
	if cap(c.preds) < total {
		c.preds = make([]Edge, total)
	}
	c.preds = c.preds[:total]
	for b := f.LastBlock(); b != NoBlock; b = f.PrevBlock(b) {
		last := f.LastInst(b)
		if last == NoInst {
			continue
		}
		dests := f.Dests(last)
		for i := len(dests) - 1; i >= 0; i-- {
			to := dests[i].Block
			c.start[to]--
			c.preds[c.start[to]] = Edge{b, last, uint32(i)}
		}
	}
}

// Preds are the edges into b in the order of the layout.
func (c *CFG) Preds(b Block) []Edge { return c.preds[c.start[b]:c.start[b+1]] }

// PostOrder appends the blocks that can be reached from the entry to out[:0]:
// each after its successors, except along back edges. It is the order of a
// depth-first walk that visits later destinations first, so that in reverse
// the first destination of a branch follows closely.
func (f *Function) PostOrder(w *Walk) []Block {
	w.out = w.out[:0]
	w.stack = w.stack[:0]
	w.seen = append(w.seen[:0], make([]bool, f.NumBlocks())...)
	if f.Entry() == NoBlock {
		return w.out
	}
	enter := func(b Block) {
		w.seen[b] = true
		n := 0
		if last := f.LastInst(b); last != NoInst {
			n = len(f.Dests(last))
		}
		w.stack = append(w.stack, walkItem{b, uint32(n)})
	}
	enter(f.Entry())
	for len(w.stack) > 0 {
		top := &w.stack[len(w.stack)-1]
		if top.left == 0 {
			w.out = append(w.out, top.block)
			w.stack = w.stack[:len(w.stack)-1]
			continue
		}
		top.left--
		if to := f.Dests(f.LastInst(top.block))[top.left].Block; !w.seen[to] {
			enter(to)
		}
	}
	return w.out
}

// InOrder reports whether every block in the layout but the entry comes after one
// of its predecessors. Then all blocks can be reached from the entry, and each
// comes after those that dominate it.
func (f *Function) InOrder(w *Walk) bool {
	w.seen = append(w.seen[:0], make([]bool, f.NumBlocks())...)
	for b := f.Entry(); b != NoBlock; b = f.NextBlock(b) {
		if !w.seen[b] && b != f.Entry() {
			return false
		}
		if last := f.LastInst(b); last != NoInst {
			for _, d := range f.Dests(last) {
				w.seen[d.Block] = true
			}
		}
	}
	return true
}

// BranchesTo reports whether any branch in the layout leads to block to.
func (f *Function) BranchesTo(to Block) bool {
	for b := f.Entry(); b != NoBlock; b = f.NextBlock(b) {
		if last := f.LastInst(b); last != NoInst {
			for _, d := range f.Dests(last) {
				if d.Block == to {
					return true
				}
			}
		}
	}
	return false
}

// Walk is the working memory of [Function.PostOrder], whose result lives in it, and
// of [Function.InOrder].
type Walk struct {
	out   []Block
	stack []walkItem
	seen  []bool
}

type walkItem struct {
	block Block
	left  uint32
}
