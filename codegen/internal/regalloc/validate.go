package regalloc

import (
	"errors"
	"fmt"
)

// Validate checks f and env against the rules of Function and Env. The error names the first place that breaks one.
func Validate(f *Function, env *Env) error {
	v := validator{f: f, env: env}
	for _, step := range []func() error{v.checkEnv, v.checkShape, v.checkOperands, v.checkEdges, v.checkDominance} {
		if err := step(); err != nil {
			return fmt.Errorf("regalloc: invalid input: %w", err)
		}
	}
	return nil
}

type validator struct {
	f   *Function
	env *Env
	cfg cfg

	allocatable PRegSet
	classOf     []uint8 // by value: 1 + class of the definition
}

func (v *validator) checkEnv() error {
	for c, regs := range v.env.Allocatable {
		for _, p := range regs {
			if !p.Valid() || p.Class() != RegClass(c) {
				return fmt.Errorf("allocatable register %v is not of class %v", p, RegClass(c))
			}
			if v.allocatable.Has(p) {
				return fmt.Errorf("allocatable register %v is listed twice", p)
			}
			v.allocatable.Add(p)
		}
	}
	if s := v.env.Scratch; s.Intersects(v.allocatable) || s.Intersects(v.env.StackPRegs) {
		return fmt.Errorf("scratch registers %v are allocatable or stack locations", s)
	}
	for c, w := range v.env.Scratch {
		if w&(w-1) != 0 {
			return fmt.Errorf("more than one scratch register of class %v", RegClass(c))
		}
	}
	if v.env.StackPRegs.Intersects(v.allocatable) {
		return errors.New("a stack location is allocatable")
	}
	return nil
}

// inside reports whether r is a range into n elements.
func inside(r Range, n int) bool { return r.Start <= r.End && int(r.End) <= n }

func (v *validator) checkShape() error {
	f := v.f
	if f.NumVRegs < 0 || f.NumVRegs > MaxVRegs {
		return fmt.Errorf("%d virtual registers", f.NumVRegs)
	}
	if len(f.Blocks) == 0 {
		return errors.New("no blocks")
	}
	if len(f.Insts) >= MaxInsts || len(f.Operands) >= 1<<31 || len(f.Args) >= 1<<31 || len(f.Params) >= 1<<31 {
		return errors.New("too large")
	}
	next := uint32(0)
	for b, blk := range f.Blocks {
		switch {
		case blk.Insts.Start != next || blk.Insts.End <= blk.Insts.Start || int(blk.Insts.End) > len(f.Insts):
			return fmt.Errorf("block %d: instructions [%d, %d) are empty or do not follow the previous block's", b, blk.Insts.Start, blk.Insts.End)
		case !inside(blk.Succs, len(f.Edges)):
			return fmt.Errorf("block %d: edges out of range", b)
		case !inside(blk.Params, len(f.Params)):
			return fmt.Errorf("block %d: parameters out of range", b)
		}
		next = blk.Insts.End
		for _, e := range f.BlockEdges(b) {
			if int(e.To) >= len(f.Blocks) {
				return fmt.Errorf("block %d: edge to block %d, which does not exist", b, e.To)
			}
			if !inside(e.Args, len(f.Args)) || e.Args.Len() != f.Blocks[e.To].Params.Len() {
				return fmt.Errorf("block %d: edge to block %d has %d arguments for %d parameters", b, e.To, e.Args.Len(), f.Blocks[e.To].Params.Len())
			}
		}
	}
	if int(next) != len(f.Insts) {
		return fmt.Errorf("instructions from %d on are in no block", next)
	}
	for i, inst := range f.Insts {
		if !inside(inst.Operands, len(f.Operands)) {
			return fmt.Errorf("inst %d: operands out of range", i)
		}
		if inst.Clobbers != 0 && int(inst.Clobbers) >= len(f.Clobbers) {
			return fmt.Errorf("inst %d: clobber set %d does not exist", i, inst.Clobbers)
		}
	}
	edges := 0
	for _, blk := range f.Blocks {
		edges += blk.Succs.Len()
	}
	if edges != len(f.Edges) {
		return fmt.Errorf("the blocks have %d edges, Edges has %d", edges, len(f.Edges))
	}
	return nil
}

// checkVReg checks that r is a possible register.
func (v *validator) checkVReg(r VReg) error {
	if r == NoVReg || r.Index() >= v.f.NumVRegs || r.Class() >= NumClasses {
		return fmt.Errorf("%v does not exist", r)
	}
	if len(v.env.Allocatable[r.Class()]) == 0 {
		return fmt.Errorf("%v: no register of its class is allocatable", r)
	}
	return nil
}

func (v *validator) checkOperands() error {
	f := v.f
	v.classOf = make([]uint8, f.NumVRegs)
	define := func(r VReg) error {
		if err := v.checkVReg(r); err != nil {
			return err
		}
		if v.classOf[r.Index()] != 0 {
			return fmt.Errorf("%v is defined twice", r)
		}
		v.classOf[r.Index()] = 1 + uint8(r.Class())
		if f.isRef(r) && r.Class() != Int {
			return fmt.Errorf("%v is a reference, but not of class %v", r, Int)
		}
		return nil
	}
	for b := range f.Blocks {
		for _, p := range f.BlockParams(b) {
			if err := define(p); err != nil {
				return fmt.Errorf("block %d: parameter %w", b, err)
			}
			if f.isRemat(p) {
				return fmt.Errorf("block %d: parameter %v is marked as rematerializable", b, p)
			}
		}
	}
	for i := range f.Insts {
		ops := f.InstOperands(i)
		for k, o := range ops {
			err := v.checkVReg(o.VReg)
			if err == nil && o.Kind == Def {
				err = define(o.VReg)
			}
			if err == nil {
				err = v.checkConstraint(i, ops, o)
			}
			if err != nil {
				return fmt.Errorf("inst %d operand %d: %w", i, k, err)
			}
		}
		if err := v.checkInst(i, ops); err != nil {
			return fmt.Errorf("inst %d: %w", i, err)
		}
	}
	use := func(r VReg) error {
		if err := v.checkVReg(r); err != nil {
			return err
		}
		if v.classOf[r.Index()] != 1+uint8(r.Class()) {
			return fmt.Errorf("%v is not defined", r)
		}
		return nil
	}
	for i := range f.Insts {
		for k, o := range f.InstOperands(i) {
			if err := use(o.VReg); err != nil {
				return fmt.Errorf("inst %d operand %d: %w", i, k, err)
			}
		}
	}
	for b := range f.Blocks {
		for _, e := range f.BlockEdges(b) {
			for k, a := range f.EdgeArgs(e) {
				if err := use(a); err != nil {
					return fmt.Errorf("block %d: edge to block %d: argument %d: %w", b, e.To, k, err)
				}
				p := f.BlockParams(int(e.To))[k]
				if p.Class() != a.Class() || f.spillUnits(p, v.env) != f.spillUnits(a, v.env) {
					return fmt.Errorf("block %d: edge to block %d: argument %v and parameter %v differ in class or size", b, e.To, a, p)
				}
			}
		}
	}
	for i, d := range f.DebugLabels {
		if err := use(d.VReg); err != nil || d.From > d.To || int(d.To) > len(f.Insts) {
			return fmt.Errorf("debug label %d: instructions [%d, %d) or %v do not exist", i, d.From, d.To, d.VReg)
		}
	}
	return nil
}

func (v *validator) checkConstraint(i int, ops []Operand, o Operand) error {
	if o.Kind > Def || o.Pos > Late {
		return fmt.Errorf("%v has no valid kind or position", o)
	}
	switch o.Constraint {
	case Any, Reg, Stack:
	case Fixed:
		p := PReg(o.Arg)
		if !p.Valid() || p.Class() != o.VReg.Class() || !v.allocatable.Has(p) && !v.env.StackPRegs.Has(p) {
			return fmt.Errorf("%v is fixed to a register of another class or one that is not allocatable", o)
		}
	case Reuse:
		if o.Kind != Def || o.Pos != Late {
			return errors.New("reuse by something else than a late definition")
		}
		if int(o.Arg) >= len(ops) {
			return fmt.Errorf("reuse of operand %d, which does not exist", o.Arg)
		}
		in := ops[o.Arg]
		if in.Kind != Use || in.Pos != Early || in.VReg.Class() != o.VReg.Class() || in.Constraint == Stack || in.Constraint == Reuse {
			return fmt.Errorf("reuse of operand %d, which is not an early use in a register of the same class", o.Arg)
		}
		for k, other := range ops {
			if other.Constraint == Reuse && other.Arg == o.Arg && other.VReg != o.VReg {
				return fmt.Errorf("operand %d, too, reuses operand %d", k, o.Arg)
			}
		}
	case Limit:
		for _, p := range v.env.Allocatable[o.VReg.Class()] {
			if p.HW() < o.Arg {
				return nil
			}
		}
		return fmt.Errorf("%v leaves no register", o)
	default:
		return fmt.Errorf("%v is unknown", o)
	}
	return nil
}

// checkInst checks what concerns several operands of an instruction.
func (v *validator) checkInst(i int, ops []Operand) error {
	clobbers := v.f.InstClobbers(i)
	var early, late PRegSet
	var earlyBy, lateBy [NumPRegs]VReg
	claim := func(set *PRegSet, by *[NumPRegs]VReg, p PReg, o Operand) error {
		if set.Has(p) && (by[p] != o.VReg || o.Kind == Def) {
			return fmt.Errorf("%v is fixed to %v at the same moment as %v", by[p], p, o.VReg)
		}
		set.Add(p)
		by[p] = o.VReg
		return nil
	}
	for _, o := range ops {
		p := PReg(o.Arg)
		if o.Constraint == Reuse && ops[o.Arg].Constraint == Fixed {
			p = PReg(ops[o.Arg].Arg)
		} else if o.Constraint != Fixed {
			continue
		}
		if o.Pos == Early {
			if err := claim(&early, &earlyBy, p, o); err != nil {
				return err
			}
		}
		if o.Pos == Late || o.Kind == Def {
			if err := claim(&late, &lateBy, p, o); err != nil {
				return err
			}
			if (o.Kind == Use || o.Pos == Early) && clobbers.Has(p) {
				return fmt.Errorf("%v is clobbered while operand %v is needed there", p, o)
			}
		}
		if o.Pos == Late && o.Kind == Use {
			if err := claim(&early, &earlyBy, p, o); err != nil {
				return err
			}
		}
	}
	for k, o := range ops {
		if o.Kind == Def && v.f.isRemat(o.VReg) && (len(ops) != 1 || o.Constraint != Reg && o.Constraint != Any || v.f.isRef(o.VReg)) {
			return fmt.Errorf("operand %d is rematerializable, but not the only operand, constrained to more than a register, or a reference", k)
		}
	}
	inst := v.f.Insts[i]
	if inst.Flags&Move != 0 {
		if len(ops) != 2 || ops[0].Kind != Use || ops[0].Pos != Early || ops[1].Kind != Def || ops[1].Pos != Late ||
			ops[0].VReg.Class() != ops[1].VReg.Class() {
			return errors.New("marked as a move, but its operands are not an early use and a late definition of one class")
		}
	}
	if inst.Flags&Safepoint != 0 {
		for _, p := range v.env.Allocatable[Int] {
			if !clobbers.Has(p) {
				return fmt.Errorf("safepoint does not clobber %v", p)
			}
		}
	}
	return nil
}

func (v *validator) checkEdges() error {
	f := v.f
	v.cfg.compute(f, coldLast)
	if v.cfg.predStart[1] != 0 || f.Blocks[0].Params.Len() != 0 {
		return errors.New("the entry block has predecessors or parameters")
	}
	for b := range f.Blocks {
		if v.cfg.index[b] == notVisited {
			return fmt.Errorf("block %d cannot be reached", b)
		}
		preds := v.cfg.predEdges(b)
		if len(preds) < 2 {
			continue
		}
		for _, e := range preds {
			p := v.cfg.source[e]
			if f.Blocks[p].Succs.Len() > 1 {
				return fmt.Errorf("the edge from block %d to block %d is critical", p, b)
			}
			if t := f.Insts[f.Blocks[p].Insts.End-1]; t.Operands.Len() != 0 || t.Clobbers != 0 {
				return fmt.Errorf("block %d: the terminator has operands or clobbers, but its target, block %d, has several predecessors", p, b)
			}
		}
	}
	return nil
}

func (v *validator) checkDominance() error {
	f := v.f
	var l liveness
	l.compute(f, &v.cfg)
	for r := range f.NumVRegs {
		if l.defPos[r] == noPos {
			continue
		}
		blk := f.Blocks[l.defBlock[r]]
		for _, u := range l.usesOf(uint32(r)) {
			if u.pos >= 2*blk.Insts.Start && u.pos < 2*blk.Insts.End && l.defOp[r]&edgeUse == 0 && u.pos/2 <= l.defPos[r]/2 && u.op&edgeUse == 0 {
				return fmt.Errorf("inst %d uses v%d before its definition", u.pos/2, r)
			}
		}
		if l.defBlock[r] != 0 && l.rangeAt(uint32(r), 0) != 0 {
			return fmt.Errorf("the definition of v%d, in block %d, does not dominate its uses", r, l.defBlock[r])
		}
	}
	return nil
}
