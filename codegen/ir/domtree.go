package ir

// DomTree is the dominator tree of a function.
//
// Immediate dominators are found by iterating over the blocks in reverse post
// order until nothing changes (Cooper, Harvey, Kennedy: A Simple, Fast
// Dominance Algorithm, 2001): two passes for reducible graphs. A walk of the
// tree then numbers each block on the way in and out, so that a dominance
// query is two comparisons.
type DomTree struct {
	walk     Walk
	order    []Block  // reverse post order
	rpo      []uint32 // by block: place in order plus one; 0 if unreachable
	idom     []Block
	pre, end []uint32
	child    []Block // first child
	sibling  []Block // next sibling
}

// Compute builds the tree of f, whose graph is c.
func (d *DomTree) Compute(f *Function, c *CFG) {
	n := f.NumBlocks()
	post := f.PostOrder(&d.walk)
	d.order = d.order[:0]
	d.rpo = append(d.rpo[:0], make([]uint32, n)...)
	for i := len(post) - 1; i >= 0; i-- {
		d.order = append(d.order, post[i])
		d.rpo[post[i]] = uint32(len(d.order))
	}
	d.idom = d.idom[:0]
	for range n {
		d.idom = append(d.idom, NoBlock)
	}
	if len(d.order) > 0 {
		entry := d.order[0]
		d.idom[entry] = entry
		for changed := true; changed; {
			changed = false
			for _, b := range d.order[1:] {
				dom := NoBlock
				for _, e := range c.Preds(b) {
					if d.rpo[e.From] == 0 || d.idom[e.From] == NoBlock {
						continue
					}
					if dom == NoBlock {
						dom = e.From
					} else {
						dom = d.meet(dom, e.From)
					}
				}
				if d.idom[b] != dom {
					d.idom[b] = dom
					changed = true
				}
			}
		}
		d.idom[entry] = NoBlock
	}
	d.number(n)
}

func (d *DomTree) meet(a, b Block) Block {
	for a != b {
		for d.rpo[a] > d.rpo[b] {
			a = d.idom[a]
		}
		for d.rpo[b] > d.rpo[a] {
			b = d.idom[b]
		}
	}
	return a
}

// number links children in reverse post order and numbers the tree.
func (d *DomTree) number(n int) {
	d.child, d.sibling = d.child[:0], d.sibling[:0]
	for range n {
		d.child = append(d.child, NoBlock)
		d.sibling = append(d.sibling, NoBlock)
	}
	for i := len(d.order) - 1; i > 0; i-- {
		b := d.order[i]
		d.sibling[b] = d.child[d.idom[b]]
		d.child[d.idom[b]] = b
	}
	d.pre = append(d.pre[:0], make([]uint32, n)...)
	d.end = append(d.end[:0], make([]uint32, n)...)
	if len(d.order) == 0 {
		return
	}
	count := uint32(1)
	b := d.order[0]
	d.pre[b] = count
	for {
		if c := d.child[b]; c != NoBlock {
			b = c
			count++
			d.pre[b] = count
			continue
		}
		d.end[b] = count
		for d.sibling[b] == NoBlock {
			b = d.idom[b]
			if b == NoBlock {
				return
			}
			d.end[b] = count
		}
		b = d.sibling[b]
		count++
		d.pre[b] = count
	}
}

// ReversePostOrder is every reachable block, dominators first.
func (d *DomTree) ReversePostOrder() []Block { return d.order }

// Reachable reports whether b can be reached from the entry.
func (d *DomTree) Reachable(b Block) bool { return d.rpo[b] != 0 }

// Idom is the immediate dominator of b; [NoBlock] for the entry and for
// unreachable blocks.
func (d *DomTree) Idom(b Block) Block { return d.idom[b] }

// FirstChild and NextSibling walk the tree; children are in reverse post order.
func (d *DomTree) FirstChild(b Block) Block { return d.child[b] }

// NextSibling is the next block with the same immediate dominator, or [NoBlock].
func (d *DomTree) NextSibling(b Block) Block { return d.sibling[b] }

// Dominates reports whether every path from the entry to b goes through a; a
// block dominates itself. It is false for unreachable blocks.
func (d *DomTree) Dominates(a, b Block) bool {
	return d.pre[a] != 0 && d.pre[b] != 0 && d.pre[a] <= d.pre[b] && d.pre[b] <= d.end[a]
}

// Loop is an index into a [LoopForest].
type Loop uint32

// NoLoop is no loop.
const NoLoop = Loop(None)

// LoopForest is the natural loops of a function, nested.
type LoopForest struct {
	loops []loopData
	of    []Loop // by block: innermost loop
	stack []Block
}

type loopData struct {
	header Block
	parent Loop
	depth  uint32
}

// Compute finds the loops of f. Edges into a block that does not dominate
// their source (irreducible loops) make no loop.
func (l *LoopForest) Compute(f *Function, c *CFG, d *DomTree) {
	l.loops = l.loops[:0]
	l.of = l.of[:0]
	for range f.NumBlocks() {
		l.of = append(l.of, NoLoop)
	}
	// Inner loops have headers later in reverse post order than the loops
	// around them: going backwards, a block without a loop belongs to the loop
	// at hand, and a block with one stands for the outermost loop found so far.
	order := d.ReversePostOrder()
	for i := len(order) - 1; i >= 0; i-- {
		h := order[i]
		l.stack = l.stack[:0]
		for _, e := range c.Preds(h) {
			if d.Dominates(h, e.From) {
				l.stack = append(l.stack, e.From)
			}
		}
		if len(l.stack) == 0 {
			continue
		}
		loop := Loop(len(l.loops))
		l.loops = append(l.loops, loopData{header: h, parent: NoLoop})
		for len(l.stack) > 0 {
			b := l.stack[len(l.stack)-1]
			l.stack = l.stack[:len(l.stack)-1]
			if l.of[b] == NoLoop {
				l.of[b] = loop
				if b == h {
					continue
				}
			} else {
				inner := l.of[b]
				for l.loops[inner].parent != NoLoop {
					inner = l.loops[inner].parent
				}
				if inner == loop {
					continue
				}
				l.loops[inner].parent = loop
				b = l.loops[inner].header
			}
			for _, e := range c.Preds(b) {
				if d.Reachable(e.From) {
					l.stack = append(l.stack, e.From)
				}
			}
		}
	}
	for i := len(l.loops) - 1; i >= 0; i-- { // parents come after their children
		p := l.loops[i].parent
		l.loops[i].depth = 1
		if p != NoLoop {
			l.loops[i].depth = l.loops[p].depth + 1
		}
	}
}

// NumLoops is the number of loops; inner ones have smaller indexes.
func (l *LoopForest) NumLoops() int { return len(l.loops) }

// Innermost is the innermost loop that b is in, or [NoLoop].
func (l *LoopForest) Innermost(b Block) Loop { return l.of[b] }

// Header is the block through which the loop is entered.
func (l *LoopForest) Header(i Loop) Block { return l.loops[i].header }

// Parent is the loop around i, or [NoLoop].
func (l *LoopForest) Parent(i Loop) Loop { return l.loops[i].parent }

// Depth is how many loops b is in.
func (l *LoopForest) Depth(b Block) int {
	if l.of[b] == NoLoop {
		return 0
	}
	return int(l.loops[l.of[b]].depth)
}
