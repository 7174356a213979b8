package ir

// DomTree is the dominator tree of a function.
//
// Immediate dominators are found by the simple variant of Lengauer and Tarjan's
// algorithm (A Fast Algorithm for Finding Dominators in a Flowgraph, 1979):
// O(edges × log blocks) for every graph, deep nests of loops included. A walk of
// the tree then numbers each block on the way in and out, so that a dominance
// query is two comparisons.
type DomTree struct {
	walk     Walk
	order    []Block  // reverse post order
	rpo      []uint32 // by block: place in order plus one; 0 if unreachable
	idom     []Block
	pre, end []uint32
	child    []Block // first child
	sibling  []Block // next sibling
	lt       dominators
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
		d.lt.compute(f, c, d.idom)
	}
	d.number(n)
}

// dominators is the working memory of Lengauer and Tarjan's algorithm. Nodes are
// numbered in the order in which a depth-first walk enters them.
type dominators struct {
	nodes []domNode
	num   []uint32 // by block: its node plus one; 0 if not entered
	stack []walkItem
	path  []uint32
}

type domNode struct {
	block    Block
	parent   uint32 // in the walk's tree
	semi     uint32 // semidominator
	label    uint32 // node with the least semidominator between here and ancestor
	ancestor uint32 // in the forest of nodes that are done
	dom      uint32
	bucket   uint32 // first node whose semidominator this is
	next     uint32 // next in the same bucket
}

func (l *dominators) compute(f *Function, c *CFG, idom []Block) {
	l.number(f)
	for i := uint32(len(l.nodes) - 1); i > 0; i-- {
		w := &l.nodes[i]
		for _, e := range c.Preds(w.block) {
			if p := l.num[e.From]; p != 0 {
				w.semi = min(w.semi, l.nodes[l.eval(p-1)].semi)
			}
		}
		s := &l.nodes[w.semi]
		w.next, s.bucket = s.bucket, i
		w.ancestor = w.parent
		p := &l.nodes[w.parent]
		for v := p.bucket; v != None; v = l.nodes[v].next {
			l.nodes[v].dom = w.parent
			if u := l.eval(v); l.nodes[u].semi < l.nodes[v].semi {
				l.nodes[v].dom = u
			}
		}
		p.bucket = None
	}
	for i := 1; i < len(l.nodes); i++ {
		w := &l.nodes[i]
		if w.dom != w.semi {
			w.dom = l.nodes[w.dom].dom
		}
		idom[w.block] = l.nodes[w.dom].block
	}
}

// number walks the graph.
func (l *dominators) number(f *Function) {
	l.nodes, l.stack = l.nodes[:0], l.stack[:0]
	l.num = append(l.num[:0], make([]uint32, f.NumBlocks())...)
	enter := func(b Block, parent uint32) {
		i := uint32(len(l.nodes))
		l.nodes = append(l.nodes, domNode{b, parent, i, i, None, None, None, None})
		l.num[b] = i + 1
		n := 0
		if last := f.LastInst(b); last != NoInst {
			n = len(f.Dests(last))
		}
		l.stack = append(l.stack, walkItem{b, uint32(n)})
	}
	enter(f.Entry(), None)
	for len(l.stack) > 0 {
		top := &l.stack[len(l.stack)-1]
		if top.left == 0 {
			l.stack = l.stack[:len(l.stack)-1]
			continue
		}
		top.left--
		if to := f.Dests(f.LastInst(top.block))[top.left].Block; l.num[to] == 0 {
			enter(to, l.num[top.block]-1)
		}
	}
}

// eval is the node with the least semidominator on the way from v up to, but
// without, the root of its tree in the forest; v itself if it is a root. The way
// is shortened for the next time.
func (l *dominators) eval(v uint32) uint32 {
	if l.nodes[v].ancestor == None {
		return v
	}
	l.path = l.path[:0]
	for x := v; l.nodes[l.nodes[x].ancestor].ancestor != None; x = l.nodes[x].ancestor {
		l.path = append(l.path, x)
	}
	for i := len(l.path) - 1; i >= 0; i-- {
		x := &l.nodes[l.path[i]]
		a := &l.nodes[x.ancestor]
		if l.nodes[a.label].semi < l.nodes[x.label].semi {
			x.label = a.label
		}
		x.ancestor = a.ancestor
	}
	return l.nodes[v].label
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
