package opt

import "github.com/davit-wasm/davit/codegen/ir"

// Bounds checks.
//
// A bounds check is a comparison of x + k with a limit, where k is a constant: it
// holds if x + reach is at most the limit. `icmp ult (iadd x, 7), limit` is the
// check of x with reach 8, as an access of eight bytes at x wants it. Whoever has
// passed a check of x has passed every check of x that reaches no further against the
// same limit. Two limits are the same if they are one value, or if both have been
// loaded from the same place, which only grows (the flag grows), the one at hand
// later than the one of the check that was passed.
//
//	v4 = iadd v0, 7                          v4 = iadd v0, 7
//	v5 = icmp uge v4, v1                     v5 = icmp uge v4, v1
//	trapnz v5, heap_oob                      trapnz v5, heap_oob
//	v6 = load.i32 v3                    →    v6 = load.i32 v3
//	v7 = iadd v0, 3
//	v8 = icmp uge v7, v1
//	trapnz v8, heap_oob
//
// What has been passed is kept by x, in lists whose first elements are the
// youngest. The walk goes over the dominator tree, so that an element that does not
// dominate the block at hand, and is first in its list, will never be asked for
// again, and can go; then all others in the list dominate the block.
//
// If the later of two checks reaches further, the first may be made to reach as
// far, and the later one goes, as long as nobody can tell: only loads, and checks
// with the same trap, may come between, as what comes before a trap is done and
// nothing behind it.
//
// Some addresses are chosen by a check instead: select_spectre_guard makes them 0,
// where accesses trap, if it does not hold. An access by such an address that has
// not trapped has passed the check. After it another choice of the same address by
// a check that reaches no further is the first one again; and as it is the chosen
// address itself that is used again, speculation sees 0 there too.

// bounds is the state of the walk.
type bounds struct {
	limits []limit
	ids    []uint32 // by value: 1 + its index in limits, or 0
	passed []passed
	heads  []uint32 // by value x: 1 + index of the first of its list in passed, or 0
	open   []check  // of the block at hand, which may be made to reach further
}

// limit is the place of a limit that only grows.
type limit struct {
	addr   ir.Value
	offset int64
}

// check is `x + reach ≤ limit`.
type check struct {
	x, limit ir.Value
	reach    uint64
	trap     ir.Inst // that is taken if it does not hold
}

// passed is a check that holds in the blocks that block dominates.
type passed struct {
	limit ir.Value
	reach uint64
	block ir.Block
	next  uint32
	// guarded is the address that has been chosen, and addr the one of which;
	// NoValue if none has.
	guarded, addr ir.Value
}

const (
	// maxReach bounds reaches: their sums with what is below 1<<61 don't overflow.
	maxReach = 1 << 61
	// maxPassed is how many checks of a value are looked at, and maxOpen how many of
	// a block may still be changed.
	maxPassed = 8
	maxOpen   = 8
	// nullPages is the size of the part of the address space, from 0, where every
	// access traps.
	nullPages = 64 << 10
)

func (o *Optimizer) startBounds() {
	c, n := &o.bounds, o.f.NumValues()
	c.ids = zeroed(c.ids, n)
	c.heads = zeroed(c.heads, n)
	c.limits, c.passed, c.open = c.limits[:0], c.passed[:0], c.open[:0]
}

// addLimit notes a load from a place that only grows, when the walk comes to it.
func (o *Optimizer) addLimit(v, addr ir.Value, offset int64) {
	c := &o.bounds
	c.limits = append(c.limits, limit{addr, offset})
	c.ids[v] = uint32(len(c.limits))
}

// atLeast reports whether limit b is at least limit a.
func (o *Optimizer) atLeast(b, a ir.Value) bool {
	c := &o.bounds
	if a == b {
		return true
	}
	if int(a) >= len(c.ids) || int(b) >= len(c.ids) {
		return false
	}
	// Both are available here, and the walk came to a before b.
	i, k := c.ids[a], c.ids[b]
	return i != 0 && i < k && c.limits[i-1] == c.limits[k-1]
}

// checkOf is the check that holds if v is zero, or is not.
func (o *Optimizer) checkOf(v ir.Value, zero bool) (k check, ok bool) {
	f := o.f
	inst, _ := f.ValueInst(v)
	if inst == ir.NoInst || f.Inst(inst).Op != ir.OpIcmp || f.Inst(inst).Type != ir.I64 {
		return k, false
	}
	cc := f.Inst(inst).IntCC()
	a, b := o.rep(f.Args(inst)[0]), o.rep(f.Args(inst)[1])
	if zero {
		cc = cc.Inverse()
	}
	if cc == ir.UnsignedGreaterThan || cc == ir.UnsignedGreaterThanOrEqual {
		cc, a, b = cc.Swap(), b, a
	}
	x, offset := o.address(a, 0)
	switch cc {
	case ir.UnsignedLessThan:
		k.reach = uint64(offset) + 1
	case ir.UnsignedLessThanOrEqual:
		k.reach = uint64(offset)
	default:
		return k, false
	}
	if o.isConst(x) || offset < 0 || offset >= maxReach || offset > 0 && o.maxBits(x) > 61 {
		return k, false
	}
	k.x, k.limit = x, b
	return k, true
}

// list removes what is stale from the list of checks of x, and is its first.
func (o *Optimizer) list(x ir.Value) uint32 {
	c := &o.bounds
	if int(x) >= len(c.heads) {
		return 0
	}
	i := c.heads[x]
	for i != 0 && !o.dom.Dominates(c.passed[i-1].block, o.block) {
		i = c.passed[i-1].next
	}
	c.heads[x] = i
	return i
}

// pass notes that a check holds from here on.
func (o *Optimizer) pass(k *check, guarded, addr ir.Value) {
	c := &o.bounds
	if int(k.x) < len(c.heads) {
		c.passed = append(c.passed, passed{k.limit, k.reach, o.block, o.list(k.x), guarded, addr})
		c.heads[k.x] = uint32(len(c.passed))
	}
}

// holds reports whether a check has been passed.
func (o *Optimizer) holds(k *check) bool {
	c := &o.bounds
	i := o.list(k.x)
	for n := 0; i != 0 && n < maxPassed; n++ {
		p := &c.passed[i-1]
		if k.reach <= p.reach && o.atLeast(k.limit, p.limit) {
			return true
		}
		i = p.next
	}
	return false
}

// outcome reports whether condition v is known to be zero or not, from conditions
// or from checks.
func (o *Optimizer) outcome(v ir.Value) (zero, ok bool) {
	if zero, ok = o.known(v); ok {
		return zero, true
	}
	for _, zero := range [...]bool{true, false} {
		if k, ok := o.checkOf(v, zero); ok && o.holds(&k) {
			return zero, true
		}
	}
	return false, false
}

// learnBound notes what follows for bounds from v's being zero, or not.
func (o *Optimizer) learnBound(v ir.Value, zero bool) {
	if k, ok := o.checkOf(v, zero); ok {
		o.pass(&k, ir.NoValue, ir.NoValue)
	}
}

// joinBound has an earlier check of the block do what a conditional trap does. It
// reports whether that was possible.
func (o *Optimizer) joinBound(inst ir.Inst) bool {
	f, c := o.f, &o.bounds
	d := *f.Inst(inst)
	k, ok := o.checkOf(f.Args(inst)[0], d.Op == ir.OpTrapnz)
	if !ok || len(c.open) != 0 && f.Inst(c.open[0].trap).Trap != d.Trap {
		c.open = c.open[:0]
	}
	if !ok {
		return false
	}
	for i := range c.open {
		if e := &c.open[i]; e.x == k.x && e.limit == k.limit {
			o.extend(e, k.reach)
			return true
		}
	}
	if len(c.open) < maxOpen {
		k.trap = inst
		c.open = append(c.open, k)
	}
	return false
}

// extend makes a check of the block at hand reach further.
func (o *Optimizer) extend(e *check, reach uint64) {
	f := o.f
	loc := f.Loc
	f.Loc = f.SourceLoc(e.trap)
	before := func(d ir.InstData, args ...ir.Value) ir.Value {
		i := f.AddInst(d, args...)
		v := f.AddResult(i, d.Op.ResultType(0, d.Type))
		f.InsertBefore(i, e.trap)
		o.grow()
		return v
	}
	k := before(ir.InstData{Op: ir.OpIconst, Type: ir.I64, Imm: int64(reach - 1)})
	last := before(ir.InstData{Op: ir.OpIadd, Type: ir.I64}, e.x, k)
	cc := ir.UnsignedGreaterThanOrEqual
	if f.Inst(e.trap).Op == ir.OpTrapz {
		cc = cc.Inverse()
	}
	c := before(ir.InstData{Op: ir.OpIcmp, Type: ir.I64, Cond: uint8(cc)}, last, e.limit)
	f.Args(e.trap)[0] = c
	e.reach = reach
	f.Loc = loc
}

// closeBounds ends what joinBound may change if an instruction has an effect, or
// traps in another way.
func (o *Optimizer) closeBounds(inst ir.Inst) {
	f, c := o.f, &o.bounds
	if len(c.open) == 0 {
		return
	}
	d := f.Inst(inst)
	flags := d.Op.Flags()
	if flags&ir.FlagLoad != 0 {
		if code, traps := d.Flags.TrapCode(); !traps || code == f.Inst(c.open[0].trap).Trap {
			flags &^= ir.FlagTrap
		}
	}
	if flags&^ir.FlagLoad != 0 {
		c.open = c.open[:0]
	}
}

// guard is the check that select_spectre_guard inst makes, and the address that it
// chooses; ok is false if it chooses otherwise.
func (o *Optimizer) guard(inst ir.Inst) (k check, addr ir.Value, ok bool) {
	args := o.f.Args(inst)
	if zero, ok := o.constant(o.rep(args[1])); !ok || zero != 0 || o.f.Inst(inst).Type != ir.I64 {
		return k, ir.NoValue, false
	}
	addr = o.rep(args[2])
	k, ok = o.checkOf(o.truth(o.rep(args[0])), true)
	return k, addr, ok
}

// guarded is an address that serves as well as the one that a select_spectre_guard
// chooses, if there is one.
func (o *Optimizer) guarded(inst ir.Inst) (ir.Value, bool) {
	k, addr, ok := o.guard(inst)
	if !ok {
		return ir.NoValue, false
	}
	return o.guardedAs(&k, addr)
}

// guardedAs is an address that has been chosen of addr by a check that implies k.
func (o *Optimizer) guardedAs(k *check, addr ir.Value) (ir.Value, bool) {
	c := &o.bounds
	i := o.list(k.x)
	for n := 0; i != 0 && n < maxPassed; n++ {
		p := &c.passed[i-1]
		if p.guarded != ir.NoValue && p.addr == addr && k.reach <= p.reach && o.atLeast(k.limit, p.limit) {
			return p.guarded, true
		}
		i = p.next
	}
	return ir.NoValue, false
}

// passGuard notes what has been passed by an access at v+offset that may trap.
func (o *Optimizer) passGuard(v ir.Value, offset, size int64) {
	inst, _ := o.f.ValueInst(v)
	if inst == ir.NoInst || o.f.Inst(inst).Op != ir.OpSelectSpectreGuard || offset < 0 || offset+size > nullPages {
		return
	}
	k, addr, ok := o.guard(inst)
	if !ok {
		return
	}
	if _, ok := o.guardedAs(&k, addr); !ok {
		o.pass(&k, v, addr)
	}
}
