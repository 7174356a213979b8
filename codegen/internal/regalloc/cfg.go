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

	freq []uint32 // by block: estimated executions, filled by estimate

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

// blockOrder is how cfg.order treats cold blocks.
type blockOrder bool

const (
	coldLast blockOrder = false // after all others
	inOrder  blockOrder = true  // like others: a reverse post order of the whole graph
)

// compute fills c for f.
func (c *cfg) compute(f *Function, o blockOrder) {
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
	c.walk(f, 0, o == inOrder)
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

// The estimated number of executions of the entry block, of a loop's body for each time that it is entered, and of a hot successor for
// each time that a cold one next to it is executed.
const (
	entryFreq  = 1 << 12
	loopShift  = 3
	coldShift  = 6
	maxFreq    = 1 << 31
	maxLoopGap = 7 // levels entered or left at once that count
)

// estimate computes c.freq. Branches are taken as often to each side, but for cold blocks and for edges out of loops. Each block
// hands its share to those that come later in the order, when it has got all of its own.
func (c *cfg) estimate(f *Function) {
	c.freq = resized(c.freq, len(f.Blocks))
	c.freq[0] = entryFreq
	for k, b := range c.order {
		c.freq[b] = max(c.freq[b], 1)
		from := &f.Blocks[b]
		inside, cold, n := uint64(0), uint64(0), uint64(0)
		for _, e := range f.BlockEdges(int(b)) {
			n++
			switch to := &f.Blocks[e.To]; {
			case to.Cold && !from.Cold:
				cold++
			case to.LoopDepth >= from.LoopDepth:
				inside++
			}
		}
		for _, e := range f.BlockEdges(int(b)) {
			if c.index[e.To] <= uint32(k) {
				continue // back
			}
			to := &f.Blocks[e.To]
			w := uint64(c.freq[b])
			switch {
			case to.Cold && !from.Cold && cold < n:
				w = w >> coldShift / cold
			case to.LoopDepth >= from.LoopDepth && inside > 0:
				w /= inside
			case inside == 0:
				w /= n
			}
			if to.LoopDepth > from.LoopDepth {
				w <<= loopShift * min(to.LoopDepth-from.LoopDepth, maxLoopGap)
			} else {
				w >>= loopShift * min(from.LoopDepth-to.LoopDepth, maxLoopGap)
			}
			c.freq[e.To] = uint32(min(w+uint64(c.freq[e.To]), maxFreq))
		}
	}
}
