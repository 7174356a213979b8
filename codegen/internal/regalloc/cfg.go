package regalloc

// cfg is what the allocators want to know about the shape of a function. Its slices are reused.
type cfg struct {
	preds     []uint32 // incoming edges, as indices into Function.Edges, grouped by target
	predStart []uint32 // by block, into preds; one more than there are blocks
	source    []uint32 // by edge: the block it leaves

	// order lists the reachable blocks so that every block but the entry comes after at least one of its predecessors, a loop's
	// header before the rest of it, and cold blocks after hot ones: the hot part is a reverse post order of the graph without
	// cold blocks. What is decided first is decided for the hot path's good; cold code conforms.
	order []uint32
	index []uint32 // by block: position in order, or notVisited

	stack []cfgFrame
}

type cfgFrame struct{ block, edge uint32 }

const notVisited = ^uint32(0)

// resized returns s with length n, all elements zero, reusing its storage.
func resized[T any](s []T, n int) []T {
	if cap(s) < n {
		return make([]T, n, n+n/4)
	}
	s = s[:n]
	clear(s)
	return s
}

// compute fills c for f.
func (c *cfg) compute(f *Function) {
	nb := len(f.Blocks)
	c.predStart = resized(c.predStart, nb+1)
	c.preds = resized(c.preds, len(f.Edges))
	c.source = resized(c.source, len(f.Edges))
	for b := range f.Blocks {
		s := f.Blocks[b].Succs
		for e := s.Start; e < s.End; e++ {
			c.source[e] = uint32(b)
			c.predStart[f.Edges[e].To]++
		}
	}
	sum := uint32(0)
	for b := range c.predStart {
		sum += c.predStart[b]
		c.predStart[b] = sum
	}
	for b := nb - 1; b >= 0; b-- {
		s := f.Blocks[b].Succs
		for e := s.End; e > s.Start; e-- {
			t := f.Edges[e-1].To
			c.predStart[t]--
			c.preds[c.predStart[t]] = e - 1
		}
	}

	c.order = resized(c.order, nb)[:0]
	c.index = resized(c.index, nb)
	for b := range c.index {
		c.index[b] = notVisited
	}
	c.walk(f, 0, false)
	// The cold rest. Walking from every cold successor in turn keeps each after a predecessor.
	for i := 0; i < len(c.order); i++ {
		for _, e := range f.BlockEdges(int(c.order[i])) {
			if c.index[e.To] == notVisited {
				c.walk(f, e.To, true)
			}
		}
	}
}

// walk appends the reverse post order of what can be reached from root, over cold blocks or not, to c.order.
func (c *cfg) walk(f *Function, root uint32, cold bool) {
	start := len(c.order)
	const onStack = notVisited - 1
	c.index[root] = onStack
	c.stack = append(c.stack[:0], cfgFrame{root, f.Blocks[root].Succs.End})
	for len(c.stack) > 0 {
		top := &c.stack[len(c.stack)-1]
		// Successors are walked from the last to the first, which puts the first right after its predecessor.
		if top.edge > f.Blocks[top.block].Succs.Start {
			top.edge--
			to := f.Edges[top.edge].To
			if c.index[to] == notVisited && (cold || !f.Blocks[to].Cold) {
				c.index[to] = onStack
				c.stack = append(c.stack, cfgFrame{to, f.Blocks[to].Succs.End})
			}
			continue
		}
		c.order = append(c.order, top.block)
		c.stack = c.stack[:len(c.stack)-1]
	}
	for i, j := start, len(c.order)-1; i < j; i, j = i+1, j-1 {
		c.order[i], c.order[j] = c.order[j], c.order[i]
	}
	for i := start; i < len(c.order); i++ {
		c.index[c.order[i]] = uint32(i)
	}
}

// predEdges returns the edges into block b.
func (c *cfg) predEdges(b int) []uint32 { return c.preds[c.predStart[b]:c.predStart[b+1]] }

// weight is the estimated number of executions of block b, relative to those of the coldest block.
func weight(f *Function, b int) uint32 {
	blk := &f.Blocks[b]
	w := uint32(64) << (3 * min(blk.LoopDepth, 7))
	if blk.Cold {
		w >>= 6
	}
	return w
}
