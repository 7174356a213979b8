package opt

import "github.com/davit-wasm/davit/codegen/ir"

// fact is what branches and traps have decided of a value: in the blocks that
// block dominates it is zero, or not.
type fact struct {
	block ir.Block
	zero  bool
	span  uint32 // index + 1 in Optimizer.spans of its latest span
}

// learn records that v is zero, or not, from here on. What holds already is not
// replaced.
func (o *Optimizer) learn(v ir.Value, zero bool) {
	f := &o.facts[v]
	if f.block == ir.NoBlock || !o.dom.Dominates(f.block, o.block) {
		f.block, f.zero = o.block, zero
	}
}

// learnAll is learn, and what follows for the operands of a condition.
func (o *Optimizer) learnAll(v ir.Value, zero bool) {
	o.learn(v, zero)
	o.learnCondition(v, zero, maxSpanDepth)
}

// known reports whether v is known to be zero or not.
func (o *Optimizer) known(v ir.Value) (zero, ok bool) {
	if k, is := o.constant(v); is {
		return k == 0, true
	}
	f := &o.facts[v]
	if f.block != ir.NoBlock && o.dom.Dominates(f.block, o.block) {
		return f.zero, true
	}
	if o.bits[v].one != 0 {
		return false, true
	}
	if s := o.spanFact(v); s != nil && (s.lo > 0 || s.hi == 0) {
		return s.hi == 0, true
	}
	return false, false
}

// enterFacts learns from the branch that leads to b, if it is the only way there.
func (o *Optimizer) enterFacts(b ir.Block) {
	preds := o.cfg.Preds(b)
	if len(preds) != 1 || o.f.Inst(preds[0].Inst).Op != ir.OpBrif {
		return
	}
	c, zero := o.rep(o.f.Args(preds[0].Inst)[0]), preds[0].Dest == 1
	o.learnAll(c, zero)
	o.learnBound(c, zero)
}

// numberTrap handles conditional traps.
func (o *Optimizer) numberTrap(inst ir.Inst) {
	f := o.f
	d := f.Inst(inst)
	c := o.truth(o.rep(f.Args(inst)[0]))
	f.Args(inst)[0] = c
	d = f.Inst(inst) // instructions may have been added
	d.Type = f.ValueType(c)
	if k, ok := o.constant(c); ok && (k == 0) == (d.Op == ir.OpTrapz) {
		o.looked()
		return // It traps for sure. What follows stays: nothing relies on its being gone.
	}
	if zero, ok := o.outcome(c); ok && zero != (d.Op == ir.OpTrapz) {
		f.RemoveInst(inst)
		return
	}
	zero := d.Op == ir.OpTrapnz
	o.learnAll(c, zero)
	o.learnBound(c, zero)
	if o.joinBound(inst) {
		f.RemoveInst(inst)
		return
	}
	o.looked()
}

// numberBranch handles terminators.
func (o *Optimizer) numberBranch(inst ir.Inst) {
	f := o.f
	d := f.Inst(inst)
	switch d.Op {
	case ir.OpBrif:
		c := o.truth(o.rep(f.Args(inst)[0]))
		f.Args(inst)[0] = c
		f.Inst(inst).Type = f.ValueType(c)
		if zero, ok := o.outcome(c); ok {
			dest := 0
			if zero {
				dest = 1
			}
			o.jump(inst, dest)
		}
	case ir.OpBrTable:
		if k, ok := o.constant(o.rep(f.Args(inst)[0])); ok {
			dest := 0
			if n := len(f.Dests(inst)) - 1; uint64(uint32(k)) < uint64(n) {
				dest = int(uint32(k)) + 1
			}
			o.jump(inst, dest)
		}
	default:
		if d.Op.Flags()&(ir.FlagLoad|ir.FlagStore|ir.FlagCall) != 0 {
			o.numberMemory(inst)
		}
	}
}

// jump makes inst a jump to one of its destinations.
func (o *Optimizer) jump(inst ir.Inst, dest int) {
	makeJump(o.f, inst, dest)
	o.changed = true
}

func makeJump(f *ir.Function, inst ir.Inst, dest int) {
	f.KeepDest(inst, dest)
	d := f.Inst(inst)
	d.Op, d.Type = ir.OpJump, ir.Invalid
	f.SetArgs(inst, nil)
}

// truth is a simpler value that is zero just when v is.
func (o *Optimizer) truth(v ir.Value) ir.Value {
	for range maxDepth {
		w := o.simplerTruth(v)
		if w == v {
			break
		}
		v = w
	}
	return v
}

// simplerTruth is one step of truth, on any form of v.
func (o *Optimizer) simplerTruth(v ir.Value) ir.Value {
	f := o.f
	for w, next, ok := o.defInst(v, 0); ok; w, next, ok = o.defInst(v, next) {
		inst, _ := f.ValueInst(w)
		d := f.Inst(inst)
		if len(f.Args(inst)) == 0 || !f.ValueType(w).IsInt() || f.ValueType(w) == ir.I128 {
			continue
		}
		x := o.rep(f.Args(inst)[0])
		if !f.ValueType(x).IsInt() || f.ValueType(x) == ir.I128 {
			continue
		}
		switch d.Op {
		case ir.OpUextend, ir.OpSextend, ir.OpBmask, ir.OpIneg, ir.OpIabs, ir.OpBswap, ir.OpBitrev, ir.OpPopcnt, ir.OpRotl, ir.OpRotr:
			return x
		case ir.OpIreduce:
			if o.maxBits(x) <= f.ValueType(w).Bits() {
				return x
			}
		case ir.OpIcmp:
			if k, ok := o.constant(o.rep(f.Args(inst)[1])); ok && k == 0 && (d.IntCC() == ir.NotEqual || d.IntCC() == ir.UnsignedGreaterThan) {
				return x
			}
		case ir.OpSelect:
			yes, ok1 := o.constant(o.rep(f.Args(inst)[1]))
			no, ok2 := o.constant(o.rep(f.Args(inst)[2]))
			if ok1 && ok2 && yes != 0 && no == 0 {
				return x
			}
		}
	}
	return v
}
