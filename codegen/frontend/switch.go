package frontend

import (
	"cmp"
	"slices"

	"github.com/davit-wasm/davit/codegen/ir"
)

// Case is one destination of a switch.
type Case struct {
	Value uint64
	Block ir.Block
}

// switchRange is a run of sorted cases: a table, or one case alone.
type switchRange struct {
	lo, hi int // cases[lo:hi]
	table  bool
}

// switchNode is a part of the search tree that is still to be emitted in block.
type switchNode struct {
	block  ir.Block
	lo, hi int // ranges[lo:hi]
}

// minTable is how many cases make a table worth its load and indirect jump.
const minTable = 4

// Switch ends the current block with a branch to the block of the case that
// equals v, an integer of at most 64 bits, or else to otherwise. Cases may come
// in any order; no value may appear twice.
//
// Neighbouring cases share a jump table if at least half of its entries are
// used, and a binary search on unsigned comparisons finds the table or case.
// The blocks of the search are made and sealed here.
func (b *Builder) Switch(v ir.Value, otherwise ir.Block, cases []Case) {
	t := b.fn.ValueType(v)
	if !t.IsInt() || t.Bits() > 64 {
		panic("frontend: switch on " + v.String() + " of type " + t.String())
	}
	b.cases = append(b.cases[:0], cases...)
	slices.SortFunc(b.cases, func(x, y Case) int { return cmp.Compare(x.Value, y.Value) })
	for i := range b.cases {
		if i > 0 && b.cases[i].Value == b.cases[i-1].Value {
			panic("frontend: a switch has two cases of the same value")
		}
		if uint64(truncate(t, int64(b.cases[i].Value))) != b.cases[i].Value {
			panic("frontend: a case of a switch does not fit " + t.String())
		}
	}
	b.switchRanges()
	b.work = append(b.work[:0], switchNode{b.block, 0, len(b.ranges)})
	for len(b.work) > 0 {
		n := b.work[len(b.work)-1]
		b.work = b.work[:len(b.work)-1]
		if b.block != n.block {
			b.SwitchTo(n.block)
		}
		if n.hi-n.lo <= 3 {
			b.switchLeaf(v, t, otherwise, n)
			continue
		}
		mid := (n.lo + n.hi) / 2
		pivot := b.cases[b.ranges[mid].lo].Value
		left, right := b.CreateBlock(), b.CreateBlock()
		c := b.Icmp(ir.UnsignedGreaterThanOrEqual, v, b.Iconst(t, int64(pivot)))
		b.Brif(c, right, nil, left, nil)
		b.Seal(left)
		b.Seal(right)
		b.work = append(b.work, switchNode{right, mid, n.hi}, switchNode{left, n.lo, mid})
	}
}

// switchRanges divides the sorted cases into tables and single cases.
func (b *Builder) switchRanges() {
	b.ranges = b.ranges[:0]
	for lo := 0; lo < len(b.cases); {
		hi := lo + 1
		for hi < len(b.cases) {
			if span := b.cases[hi].Value - b.cases[lo].Value; span/2 >= uint64(hi-lo+1) || span >= 1<<31 {
				break
			}
			hi++
		}
		if hi-lo >= minTable {
			b.ranges = append(b.ranges, switchRange{lo, hi, true})
		} else {
			hi = lo + 1
			b.ranges = append(b.ranges, switchRange{lo, hi, false})
		}
		lo = hi
	}
}

// switchLeaf tests a few ranges one after the other.
func (b *Builder) switchLeaf(v ir.Value, t ir.Type, otherwise ir.Block, n switchNode) {
	if n.lo == n.hi {
		b.Jump(otherwise)
		return
	}
	for i := n.lo; i < n.hi; i++ {
		next, last := otherwise, i == n.hi-1
		if !last {
			next = b.CreateBlock()
		}
		r := b.ranges[i]
		if r.table {
			b.switchTable(v, t, next, r)
		} else {
			c := b.cases[r.lo]
			eq := b.Icmp(ir.Equal, v, b.Iconst(t, int64(c.Value)))
			b.Brif(eq, c.Block, nil, next, nil)
		}
		if !last {
			b.Seal(next)
			b.SwitchTo(next)
		}
	}
}

func (b *Builder) switchTable(v ir.Value, t ir.Type, next ir.Block, r switchRange) {
	first, last := b.cases[r.lo].Value, b.cases[r.hi-1].Value
	if first != 0 {
		v = b.Isub(v, b.Iconst(t, int64(first)))
	}
	switch {
	case t.Bits() < 32:
		v = b.Uextend(ir.I32, v)
	case t.Bits() > 32:
		// The index of a table has 32 bits.
		low := b.CreateBlock()
		out := b.Icmp(ir.UnsignedGreaterThan, v, b.Iconst(t, int64(last-first)))
		b.Brif(out, next, nil, low, nil)
		b.Seal(low)
		b.SwitchTo(low)
		v = b.Ireduce(ir.I32, v)
	}
	inst := b.emit(&ir.InstData{Op: ir.OpBrTable}, v)
	b.to(inst, next, nil)
	k := r.lo
	for x := first; ; x++ {
		if b.cases[k].Value == x {
			b.to(inst, b.cases[k].Block, nil)
			k++
		} else {
			b.to(inst, next, nil)
		}
		if x == last {
			break
		}
	}
}
