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
// Some addresses are chosen by a check instead: if it does not hold,
// select_spectre_guard makes them 0, where accesses trap, or chooses -p to be added
// to p. An access by such an address that has not trapped has passed the check. After
// it another choice between the same values by a check that reaches no further is
// the first one again; and as it is what has been chosen that is used again,
// speculation sees 0 there too.

// bounds is the state of the walk.
type bounds struct {
	limits []limit
	ids    []uint32 // by value: 1 + its index in limits, or 0
	passed []passed
	heads  []uint32    // by value x: 1 + index of the first of its list in passed, or 0
	open   []open      // checks of the block at hand that may be made to reach further
	code   ir.TrapCode // that the open ones trap with, or NoTrap if none has been seen to
}

// limit is the place of a limit that only grows.
type limit struct {
	addr   ir.Value
	offset int64
}

// choice are the values that a guard chooses of: one if a check holds, and else one
// by which no access comes to anything.
type choice struct{ then, other ir.Value }

// check is `x + reach ≤ limit`.
type check struct {
	x, limit ir.Value
	reach    uint64
}

// open is a check that a conditional trap makes, or a select_spectre_guard.
type open struct {
	check
	inst ir.Inst
	from choice // of a guard
	done bool   // it has been passed: a guard's check is when there is an access
}

// passed is a check that holds in the blocks that block dominates.
type passed struct {
	limit ir.Value
	reach uint64
	block ir.Block
	next  uint32
	// guarded is what has been chosen, of else, if the check does not hold, and then;
	// NoValue if nothing has.
	guarded ir.Value
	from    choice
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
func (o *Optimizer) pass(k *check, guarded ir.Value, from choice) {
	c := &o.bounds
	for int(k.x) >= len(c.heads) { // a rule has made it
		c.heads = append(c.heads, 0)
	}
	c.passed = append(c.passed, passed{k.limit, k.reach, o.block, o.list(k.x), guarded, from})
	c.heads[k.x] = uint32(len(c.passed))
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
		o.pass(&k, ir.NoValue, choice{})
	}
}

// closeBounds ends what may be made to reach further.
func (o *Optimizer) closeBounds() {
	o.bounds.open, o.bounds.code = o.bounds.open[:0], ir.NoTrap
}

// seeBounds ends it if an instruction has an effect, or traps in another way.
func (o *Optimizer) seeBounds(inst ir.Inst) {
	c := &o.bounds
	if len(c.open) == 0 {
		return
	}
	d := o.f.Inst(inst)
	flags := d.Op.Flags()
	switch {
	case d.Op == ir.OpSelectSpectreGuard:
		return
	case flags&ir.FlagLoad != 0:
		code, traps := d.Flags.TrapCode()
		if traps && c.code == ir.NoTrap {
			c.code = code
		}
		if !traps || code == c.code {
			flags &^= ir.FlagTrap
		}
	}
	if flags&^ir.FlagLoad != 0 {
		o.closeBounds()
	}
}

// openBound adds a check to those that may be made to reach further.
func (o *Optimizer) openBound(e open) {
	if c := &o.bounds; len(c.open) < maxOpen {
		c.open = append(c.open, e)
	}
}

// earlier is an open check that a later one may be joined to, or nil.
func (o *Optimizer) earlier(k *check, from choice) *open {
	for i := range o.bounds.open {
		if e := &o.bounds.open[i]; e.done && e.x == k.x && e.limit == k.limit && e.from == from {
			return e
		}
	}
	return nil
}

// joinBound has an earlier check of the block do what a conditional trap does. It
// reports whether that was possible.
func (o *Optimizer) joinBound(inst ir.Inst) bool {
	f, c := o.f, &o.bounds
	d := *f.Inst(inst)
	k, ok := o.checkOf(f.Args(inst)[0], d.Op == ir.OpTrapnz)
	if !ok || c.code != d.Trap && c.code != ir.NoTrap {
		o.closeBounds()
	}
	if !ok {
		return false
	}
	if e := o.earlier(&k, choice{}); e != nil {
		o.extend(e, k.reach)
		return true
	}
	c.code = d.Trap
	o.openBound(open{check: k, inst: inst, done: true})
	return false
}

// extend makes a check of the block at hand reach further.
func (o *Optimizer) extend(e *open, reach uint64) {
	f := o.f
	loc := f.Loc
	f.Loc = f.SourceLoc(e.inst)
	before := func(d ir.InstData, args ...ir.Value) ir.Value {
		i := f.AddInst(d, args...)
		v := f.AddResult(i, d.Op.ResultType(0, d.Type))
		f.InsertBefore(i, e.inst)
		o.grow()
		return v
	}
	k := before(ir.InstData{Op: ir.OpIconst, Type: ir.I64, Imm: int64(reach - 1)})
	last := before(ir.InstData{Op: ir.OpIadd, Type: ir.I64}, e.x, k)
	cc := ir.UnsignedGreaterThanOrEqual
	if f.Inst(e.inst).Op == ir.OpTrapz {
		cc = cc.Inverse()
	}
	c := before(ir.InstData{Op: ir.OpIcmp, Type: ir.I64, Cond: uint8(cc)}, last, e.limit)
	f.Args(e.inst)[0] = c
	e.reach = reach
	f.Loc = loc
}

// guard is the check by which select_spectre_guard inst chooses, and of what; ok is
// false if it is no bounds check.
func (o *Optimizer) guard(inst ir.Inst) (k check, from choice, ok bool) {
	args := o.f.Args(inst)
	from = choice{o.rep(args[2]), o.rep(args[1])}
	k, ok = o.checkOf(o.truth(o.rep(args[0])), true)
	return k, from, ok
}

// guarded is a value that serves as well as what a select_spectre_guard chooses, if
// there is one.
func (o *Optimizer) guarded(inst ir.Inst) (ir.Value, bool) {
	k, from, ok := o.guard(inst)
	if !ok {
		return ir.NoValue, false
	}
	if v, ok := o.guardedAs(&k, from); ok {
		return v, true
	}
	o.openBound(open{check: k, inst: inst, from: from})
	return ir.NoValue, false
}

// guardedAs is what has been chosen of the same by a check that implies k.
func (o *Optimizer) guardedAs(k *check, from choice) (ir.Value, bool) {
	c := &o.bounds
	i := o.list(k.x)
	for n := 0; i != 0 && n < maxPassed; n++ {
		p := &c.passed[i-1]
		if p.guarded != ir.NoValue && p.from == from && k.reach <= p.reach && o.atLeast(k.limit, p.limit) {
			return p.guarded, true
		}
		i = p.next
	}
	return ir.NoValue, false
}

// accessBounds notes what has been passed if a load or store has not trapped.
func (o *Optimizer) accessBounds(access ir.Inst) {
	f, c := o.f, &o.bounds
	d := *f.Inst(access)
	code, traps := d.Flags.TrapCode()
	args := f.Args(access)
	if !traps || len(args) == 0 {
		return
	}
	v, offset := o.address(o.rep(args[len(args)-1]), d.Imm)
	if offset < 0 || offset+accessSize(f, access) > nullPages {
		return
	}
	inst, _ := f.ValueInst(v)
	if inst == ir.NoInst {
		return
	}
	to := ir.NoValue // what has been chosen is added to
	if f.Inst(inst).Op == ir.OpIadd {
		args := f.Args(inst)
		to, v = o.rep(args[0]), o.rep(args[1])
		if inst, _ = f.ValueInst(v); inst == ir.NoInst {
			return
		}
	}
	if f.Inst(inst).Op != ir.OpSelectSpectreGuard {
		return
	}
	k, from, ok := o.guard(inst)
	if !ok || !o.cancels(from.other, to) {
		return
	}
	if _, ok := o.guardedAs(&k, from); ok {
		return
	}
	if e := o.earlier(&k, from); e != nil && e.inst != inst && c.code == code {
		o.extend(e, k.reach)
		o.values[v].rep = f.Result(e.inst)
		f.RemoveInst(inst)
		o.pass(&k, f.Result(e.inst), from)
		return
	}
	o.pass(&k, v, from)
	for i := range c.open {
		if e := &c.open[i]; e.inst == inst {
			e.done = true
		}
	}
}

// cancels reports whether v is 0, or added to p is, if there is p.
func (o *Optimizer) cancels(v, p ir.Value) bool {
	if p == ir.NoValue {
		k, ok := o.constant(v)
		return ok && k == 0
	}
	inst, _ := o.f.ValueInst(v)
	return inst != ir.NoInst && o.f.Inst(inst).Op == ir.OpIneg && o.rep(o.f.Args(inst)[0]) == p
}
