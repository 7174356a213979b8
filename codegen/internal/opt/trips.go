package opt

import "github.com/davit-wasm/davit/codegen/ir"

// trips says how often the way back is taken.
type trips struct {
	known    bool
	constant bool
	back     int64    // how often, if constant
	variable int      // else: the variable that is compared,
	k        int64    // plus k,
	bound    ir.Value // or
	limit    int64    // if that is NoValue
	through  ir.Value // the value compared, next or param of the variable
	distance ir.Value // m, if not constant
	wide     ir.Value // m in 64 bits
}

// countTrips finds out how often the way back is taken.
func (o *Optimizer) countTrips() {
	d, f := &o.ind, o.f
	t := &d.trips
	*t = trips{variable: -1}
	c := f.Arg(d.back.Inst, 0)
	variable := func(v ir.Value) (int, bool) {
		for i := range d.vars {
			if d.vars[i].next == v || d.vars[i].param == v {
				return i, true
			}
		}
		return 0, false
	}
	x, cc, bound, isConst := c, ir.NotEqual, int64(0), true
	i, ok := variable(c)
	if ok {
		if d.back.Dest != 0 {
			return
		}
	} else {
		inst, _ := f.ValueInst(c)
		if inst == ir.NoInst || f.Inst(inst).Op != ir.OpIcmp {
			return
		}
		cc = f.Inst(inst).IntCC()
		if d.back.Dest != 0 {
			cc = cc.Inverse()
		}
		x = f.Arg(inst, 0)
		y := f.Arg(inst, 1)
		if i, ok = variable(x); !ok {
			if i, ok = variable(y); !ok {
				return
			}
			x, y, cc = y, x, cc.Swap()
		}
		bound, isConst = o.signedConstant(y)
		if !isConst && !o.invariant(y) {
			return
		}
		t.bound = y
	}
	v := &d.vars[i]
	if x == v.next {
		t.k = v.step
	}
	t.variable, t.through = i, x
	typ := f.ValueType(x)
	if init, ok := o.signedConstant(v.init); ok && isConst {
		t.back, t.known = countBack(cc, typ, signed(typ, uint64(init+t.k)), v.step, bound)
		t.constant = t.known
		return
	}
	size := max(v.step, -v.step)
	t.known = cc == ir.NotEqual && typ == ir.I32 && size&(size-1) == 0
	if isConst {
		t.bound = ir.NoValue
		t.limit = bound
	}
}

// countBack is how often x, which grows by step, compares with bound in the way
// cc before it first does not.
func countBack(cc ir.IntCC, t ir.Type, x, step, bound int64) (n int64, ok bool) {
	size := max(step, -step)
	if cc == ir.NotEqual {
		m := uint64(bound - x)
		if step < 0 {
			m = -m
		}
		m &= mask(t)
		return int64(m / uint64(size)), m%uint64(size) == 0 && m < 1<<62
	}
	least, most := int64(-1<<31), int64(1<<31-1)
	switch cc {
	case ir.UnsignedLessThan, ir.UnsignedLessThanOrEqual, ir.UnsignedGreaterThan, ir.UnsignedGreaterThanOrEqual:
		least, most = 0, 1<<32-1
		if t == ir.I32 {
			x, bound = int64(uint32(x)), int64(uint32(bound))
		}
	}
	// Of 64 bits the same numbers are taken, and no others.
	if x < least || x > most || bound < least || bound > most {
		return 0, false
	}
	switch cc {
	case ir.UnsignedLessThan, ir.SignedLessThan:
	case ir.UnsignedLessThanOrEqual, ir.SignedLessThanOrEqual:
		bound++
	case ir.UnsignedGreaterThan, ir.SignedGreaterThan:
		x, bound, step = -x, -bound, -step
		least, most = -most, -least
	case ir.UnsignedGreaterThanOrEqual, ir.SignedGreaterThanOrEqual:
		x, bound, step = -x, 1-bound, -step
		least, most = -most, -least
	default:
		return 0, false
	}
	// Now it goes on while x < bound.
	if step < 0 {
		return 0, x >= bound
	}
	n = max(0, (bound-x+size-1)/size)
	return n, x+n*step <= most
}
