package opt

import (
	"math"
	"math/bits"
	"slices"

	"github.com/davit-wasm/davit/codegen/ir"
)

// numbering is the table of value numbering: instructions by opcode, immediates
// and operands. It is a hash table with open addressing that is never cleaned: the
// walk goes over the dominator tree, so that an entry whose block does not dominate the block at
// hand belongs to a part of the tree that is done, and its place may be taken.
type numbering struct {
	table []numbered
	old   []numbered // while the table grows, what it was
	mask  uint32
	used  int
	epoch uint32
}

type numbered struct {
	hash  uint32
	epoch uint32 // of the function: other entries are free
	inst  ir.Inst
	block ir.Block
}

// reset makes the table empty, with room for a function of n instructions.
func (t *numbering) reset(n int) {
	size := 1 << bits.Len(uint(2*n+16))
	if len(t.table) < size {
		t.table = make([]numbered, size)
		t.epoch = 0
	}
	t.mask = uint32(size - 1)
	t.used = 0
	t.epoch++
	if t.epoch == 0 { // after 2³² functions
		clear(t.table)
		t.epoch = 1
	}
}

// operands are the representatives of the arguments of inst.
func (o *Optimizer) operands(inst ir.Inst) (a [3]ir.Value, n int) {
	args := o.f.Args(inst)
	for i, v := range args {
		a[i] = o.rep(v)
	}
	return a, len(args)
}

// commutes reports whether the first two operands of op may be exchanged.
func commutes(d *ir.InstData) bool {
	switch d.Op {
	case ir.OpIadd, ir.OpImul, ir.OpUmulhi, ir.OpSmulhi, ir.OpBand, ir.OpBor, ir.OpBxor, ir.OpBxorNot,
		ir.OpSmin, ir.OpUmin, ir.OpSmax, ir.OpUmax, ir.OpAvgRound, ir.OpUaddSat, ir.OpSaddSat, ir.OpSqmulRoundSat,
		ir.OpUaddOverflow, ir.OpSaddOverflow, ir.OpUmulOverflow, ir.OpSmulOverflow, ir.OpUaddOverflowTrap,
		ir.OpFadd, ir.OpFmul, ir.OpFmin, ir.OpFmax:
		return true
	case ir.OpIcmp:
		return d.IntCC() <= ir.NotEqual
	}
	return false
}

// canonicalOrder puts a constant second where the order does not matter, or can
// be made not to.
func (o *Optimizer) canonicalOrder(inst ir.Inst) {
	f := o.f
	d := f.Inst(inst)
	args := f.Args(inst)
	if len(args) != 2 || !o.isConst(o.rep(args[0])) || o.isConst(o.rep(args[1])) {
		return
	}
	switch {
	case commutes(d):
		if d.Op.Info().Set.Contains(ir.F32) && d.Type.IsFloatLane() && !o.isNumber(o.rep(args[0])) {
			return // which of two NaNs comes out may depend on the order
		}
	case d.Op == ir.OpIcmp:
		d.Cond = uint8(d.IntCC().Swap())
	default:
		return
	}
	args[0], args[1] = args[1], args[0]
}

// isNumber reports whether v is a floating-point constant other than a NaN.
func (o *Optimizer) isNumber(v ir.Value) bool {
	inst, _ := o.f.ValueInst(v)
	if inst == ir.NoInst {
		return false
	}
	switch d := o.f.Inst(inst); d.Op {
	case ir.OpF32const:
		return !math.IsNaN(float64(math.Float32frombits(uint32(d.Imm))))
	case ir.OpF64const:
		return !math.IsNaN(math.Float64frombits(uint64(d.Imm)))
	}
	return false
}

// lookup finds an instruction that computes the same as inst and dominates it. If
// there is none, inst is entered.
func (t *numbering) lookup(o *Optimizer, inst ir.Inst) ir.Inst {
	f := o.f
	d := f.Inst(inst)
	a, n := o.operands(inst)
	if n >= 2 && a[0] > a[1] && commutes(d) && !d.Type.IsFloatLane() {
		a[0], a[1] = a[1], a[0]
	}
	h := uint64(d.Op)<<56 ^ uint64(d.Cond)<<48 ^ uint64(d.Trap)<<40 ^ uint64(d.Type)<<24 ^ uint64(d.Flags) ^ uint64(d.Ref)<<17 ^ uint64(d.Imm)*0x9e3779b97f4a7c15
	for _, v := range a[:n] {
		h = (h ^ uint64(v)) * 0x9e3779b97f4a7c15
		h ^= h >> 29
	}
	h *= 0xd6e8feb86659fd93
	hash := uint32(h >> 32)
	free := -1
	for i := hash & t.mask; ; i = (i + 1) & t.mask {
		e := &t.table[i]
		if e.epoch != t.epoch {
			if free < 0 {
				free = int(i)
			}
			break
		}
		if !o.dom.Dominates(e.block, o.block) {
			if free < 0 {
				free = int(i)
			}
			continue
		}
		if e.hash == hash && o.same(e.inst, d, a[:n]) {
			return e.inst
		}
	}
	e := &t.table[free]
	if e.epoch != t.epoch {
		t.used++
	}
	*e = numbered{hash, t.epoch, inst, o.block}
	if 2*t.used > int(t.mask)+1 {
		t.enlarge(o)
	}
	return ir.NoInst
}

// enlarge doubles the table.
func (t *numbering) enlarge(o *Optimizer) {
	t.old = append(t.old[:0], t.table[:t.mask+1]...)
	size := 2 * (int(t.mask) + 1)
	if len(t.table) < size {
		t.table = make([]numbered, size)
	} else {
		clear(t.table[:size])
	}
	t.mask, t.used = uint32(size-1), 0
	for _, e := range t.old {
		if e.epoch != t.epoch || !o.dom.Dominates(e.block, o.block) {
			continue
		}
		i := e.hash & t.mask
		for t.table[i].epoch == t.epoch {
			i = (i + 1) & t.mask
		}
		t.table[i] = e
		t.used++
	}
}

// same reports whether other computes what d does of operands a.
func (o *Optimizer) same(other ir.Inst, d *ir.InstData, a []ir.Value) bool {
	e := o.f.Inst(other)
	if e.Op != d.Op || e.Cond != d.Cond || e.Trap != d.Trap || e.Type != d.Type || e.Flags != d.Flags || e.Ref != d.Ref || e.Imm != d.Imm {
		return false
	}
	b, n := o.operands(other)
	if n != len(a) {
		return false
	}
	if n >= 2 && b[0] > b[1] && commutes(e) && !e.Type.IsFloatLane() {
		b[0], b[1] = b[1], b[0]
	}
	return slices.Equal(a, b[:n])
}
