package machine

import (
	"errors"
	"fmt"

	"github.com/davit-wasm/davit/codegen/internal/regalloc"
	"github.com/davit-wasm/davit/codegen/ir"
)

// Backend is the instruction set's part of lowering and emission.
type Backend interface {
	// Prepare is called before the first instruction is lowered, when l.F and
	// l.Order are known.
	Prepare(l *Lower)
	// LowerInst selects instructions for inst, which is l.Inst(), with
	// [Lower.Emit], in forward order, and says with [Lower.Define] where the
	// results are. It is called for terminators too; these emit exactly one
	// instruction that ends a block, whose targets are [Lower.Target].
	LowerInst(l *Lower, inst ir.Inst) error
	// LowerArgs emits the instruction that defines the function's arguments,
	// and what else brings them into the registers of the entry block's
	// parameters. It is called last, and what it emits comes first.
	LowerArgs(l *Lower) error
	// LowerJump emits the jump at the end of a split edge.
	LowerJump(l *Lower, to uint32)
	// TryArg is the registers of v, a block-call argument of try_call inst, at
	// the end of IR block b, that stands for a result or a payload.
	TryArg(l *Lower, b ir.Block, inst ir.Inst, v ir.Value) (lo, hi Reg)
	// LowerTryReturn emits what comes first on the edge by which try_call inst,
	// at the end of IR block b, returns results.
	LowerTryReturn(l *Lower, b ir.Block, inst ir.Inst)
	// Constant emits instructions that make an integer constant without
	// touching the flags.
	Constant(l *Lower, t ir.Type, value int64) Reg
	// Class is the register class and the spill size of a type that fits one register.
	Class(t ir.Type) (regalloc.RegClass, uint8)
	// Table is the operand table.
	Table() []OpInfo
}

// Lower drives instruction selection.
//
// It goes backward over blocks and instructions. So when an instruction is
// reached, everything that uses its results has been lowered: if nothing asked
// for them ([Lower.Use]), because there is no use or because the users took the
// instruction into themselves, it is skipped unless it has effects. A pattern
// that covers several IR instructions therefore costs nothing to set up; a user
// looks at the definition of its operand ([Lower.Def]) and, where that is pure,
// may compute it again in its own way.
//
// A load may only be taken into its user when it is the load's only one and
// when it may move there. To tell, a forward pass gives every instruction a
// colour, which changes at each instruction that memory accesses can't be moved
// across: stores, calls, other effects, and traps that could be told from the
// load's. Two instructions with one colour are in one block with nothing of that
// kind between them. [Lower.SinkableLoad] asks all that; [Lower.Sink] then takes
// the load.
//
// Results are defined under names of their own: the backend says with
// [Lower.Define] which register holds a result, and the virtual register that
// users have been told becomes an alias of it. No move is needed.
//
// Integer constants get a new register and a new instruction for every use,
// so that they occupy no register in between.
type Lower struct {
	F     *ir.Function
	VC    *VCode
	Order Order
	B     Backend
	// KeepLayout says that blocks come in the order of the layout: see [Order.Keep].
	KeepLayout bool

	inst      ir.Inst // being lowered
	block     int     // number of the block being lowered
	values    []lowerValue
	insts     []lowerInst
	tmp       []Inst // instructions of the IR instruction being lowered
	work      []ir.Value
	valueArgs []regalloc.VReg
	slotOff   []uint32

	StackSlotSize  uint32 // size of all stack slots together
	StackSlotAlign uint32
}

// lowerValue is what is known of an IR value.
type lowerValue struct {
	reg      Reg   // the first register, or NoReg
	uses     uint8 // 0, 1, 2 for more
	multiple bool  // used more than once, or by something whose value is
	used     bool  // a register of it has been asked for
}

// lowerInst is what is known of an IR instruction.
type lowerInst struct {
	colour uint32
	effect bool // it must stay even if nothing uses its results
	sunk   bool
}

// ErrUnsupported is wrapped by the error for an instruction that the
// instruction set has no code for.
var ErrUnsupported = errors.New("not supported on this target")

// Run lowers f into vc.
func (l *Lower) Run(f *ir.Function, vc *VCode, b Backend) error {
	l.F, l.VC, l.B = f, vc, b
	vc.Reset()
	vc.reserve(f.NumInsts())
	if l.KeepLayout {
		l.Order.Keep(f)
	} else {
		l.Order.Compute(f)
	}
	l.layoutSlots()
	l.scan()
	b.Prepare(l)

	n := len(l.Order.Blocks)
	vc.Blocks = vc.Blocks[:0]
	for range n {
		vc.Blocks = append(vc.Blocks, Block{})
		vc.RA.Blocks = append(vc.RA.Blocks, regalloc.Block{})
	}
	for i := n - 1; i >= 0; i-- {
		after := vc.length()
		if err := l.lowerBlock(i); err != nil {
			return err
		}
		vc.Blocks[i].Insts = Range{Start: vc.length(), End: after}
	}
	// So far counted from the end.
	total := vc.length()
	for i := range vc.Blocks {
		r := &vc.Blocks[i].Insts
		r.Start, r.End = total-r.Start, total-r.End
	}
	vc.Finish(b.Table())
	return nil
}

func (l *Lower) lowerBlock(i int) error {
	f, vc := l.F, l.VC
	ob := &l.Order.Blocks[i]
	l.block = i
	b := &vc.Blocks[i]
	rb := &vc.RA.Blocks[i]
	rb.LoopDepth, rb.Cold = ob.Depth, ob.Cold
	b.IR = uint32(ob.IR)

	// Edges, with their arguments unless a split edge of its own carries them.
	last := f.LastInst(ob.IR)
	l.inst = last
	l.tmp = l.tmp[:0]
	succs, calls := l.Order.Succs(i), l.Order.Calls(i)
	rb.Succs.Start = uint32(len(vc.RA.Edges))
	for k, to := range succs {
		args := Range{Start: uint32(len(vc.RA.Args))}
		if target := &l.Order.Blocks[to]; target.Dest < 0 {
			l.valueArgs = l.valueArgs[:0]
			for _, v := range f.DestArgs(last, int(calls[k])) {
				lo, hi := NoReg, NoReg
				if v.IsPlain() {
					lo, hi = l.UsePair(v)
				} else {
					lo, hi = l.B.TryArg(l, ob.IR, last, v)
				}
				l.valueArgs = append(l.valueArgs, lo.VReg())
				if hi != NoReg {
					l.valueArgs = append(l.valueArgs, hi.VReg())
				}
			}
			vc.RA.Args = append(vc.RA.Args, l.valueArgs...)
		}
		args.End = uint32(len(vc.RA.Args))
		vc.RA.Edges = append(vc.RA.Edges, regalloc.Edge{To: to, Args: args})
	}
	rb.Succs.End = uint32(len(vc.RA.Edges))

	if ob.Dest >= 0 {
		b.IR = ir.None
		if ob.Dest == 0 && returnsValues(f, last) {
			l.B.LowerTryReturn(l, ob.IR, last)
		}
		l.B.LowerJump(l, succs[0])
		l.flush(uint32(f.SourceLoc(last)))
		return nil
	}
	for inst := last; inst != ir.NoInst; inst = f.PrevInst(inst) {
		if inst != last {
			l.tmp = l.tmp[:0]
			if !l.needed(inst) {
				continue
			}
		}
		l.inst = inst
		if err := l.B.LowerInst(l, inst); err != nil {
			return fmt.Errorf("%v, %v: %v: %w", ob.IR, inst, f.Inst(inst).Op, err)
		}
		l.flush(uint32(f.SourceLoc(inst)))
	}
	l.inst = ir.NoInst
	if i == 0 {
		l.tmp = l.tmp[:0]
		if err := l.B.LowerArgs(l); err != nil {
			return err
		}
		l.flush(0)
		return nil
	}
	rb.Params.Start = uint32(len(vc.RA.Params))
	for _, v := range f.Params(ob.IR) {
		lo, hi := l.pair(v)
		vc.RA.Params = append(vc.RA.Params, lo.VReg())
		if hi != NoReg {
			vc.RA.Params = append(vc.RA.Params, hi.VReg())
		}
	}
	rb.Params.End = uint32(len(vc.RA.Params))
	return nil
}

// needed reports whether inst must be lowered where it stands.
func (l *Lower) needed(inst ir.Inst) bool {
	if x := &l.insts[inst]; x.sunk || x.effect {
		return !x.sunk
	}
	if l.F.NumResults(inst) == 1 {
		return l.values[l.F.Result(inst)].used
	}
	for _, v := range l.F.Results(inst) {
		if l.values[v].used {
			return true
		}
	}
	return false
}

func (l *Lower) flush(loc uint32) {
	l.VC.prepend(l.tmp, loc)
	l.tmp = l.tmp[:0]
}

// scan counts uses and colours instructions.
func (l *Lower) scan() {
	f := l.F
	l.values = filled(l.values, f.NumValues(), lowerValue{reg: NoReg})
	l.insts = zeroed(l.insts, f.NumInsts())
	l.work = l.work[:0]
	colour := uint32(1)
	for i := range l.Order.Blocks {
		ob := &l.Order.Blocks[i]
		if ob.Dest >= 0 {
			continue
		}
		trap := uint8(0) // trap code of the loads of this colour
		colour++
		for inst := f.FirstInst(ob.IR); inst != ir.NoInst; inst = f.NextInst(inst) {
			d := f.Inst(inst)
			flags := d.Op.Flags()
			x := &l.insts[inst]
			switch {
			case flags&ir.FlagLoad != 0 && flags&(ir.FlagStore|ir.FlagEffect|ir.FlagCall) == 0:
				// Loads with one trap code may be swapped: whichever faults
				// first, the same is seen.
				code, traps := d.Flags.TrapCode()
				if traps {
					if trap != 0 && trap != uint8(code) {
						colour++
					}
					trap = uint8(code)
				}
				x.colour, x.effect = colour, traps
			case flags&(ir.FlagTerminator|ir.FlagStore|ir.FlagCall|ir.FlagEffect|ir.FlagTrap) != 0:
				// The instruction itself may take in a load before it.
				x.colour, x.effect = colour, true
				colour++
				trap = 0
			default:
				x.colour = colour
			}
			for _, v := range f.Args(inst) {
				l.countUse(v)
			}
			if flags&ir.FlagBranch == 0 {
				continue
			}
			if d.Op == ir.OpTryCall || d.Op == ir.OpTryCallIndirect {
				for _, h := range f.ExceptionTables[d.Imm].Handlers {
					if h.Kind == ir.HandlerContext {
						l.countUse(h.Context)
					}
				}
			}
			for k := range f.Dests(inst) {
				for _, v := range f.DestArgs(inst, k) {
					if v.IsPlain() {
						l.countUse(v)
					}
				}
			}
		}
	}
	// Something that computes a value with several uses may be duplicated into
	// all of them, so what it uses counts as used several times. Loads and what
	// has effects happen once, whoever uses them.
	for len(l.work) > 0 {
		v := l.work[len(l.work)-1]
		l.work = l.work[:len(l.work)-1]
		if inst, _ := f.ValueInst(v); inst != ir.NoInst && f.Inst(inst).Op.Flags()&ir.FlagLoad == 0 && !l.insts[inst].effect {
			for _, a := range f.Args(inst) {
				if x := &l.values[f.Resolve(a)]; !x.multiple {
					x.multiple = true
					l.work = append(l.work, f.Resolve(a))
				}
			}
		}
	}
}

// countUse counts a use of v or what v stands for.
func (l *Lower) countUse(v ir.Value) {
	v = l.F.Resolve(v)
	x := &l.values[v]
	if x.uses < 2 {
		x.uses++
		if x.uses == 2 && !x.multiple {
			x.multiple = true
			l.work = append(l.work, v)
		}
	}
}

// layoutSlots gives every stack slot its place.
func (l *Lower) layoutSlots() {
	l.slotOff = l.slotOff[:0]
	off, align := uint32(0), uint32(1)
	for i := range l.F.StackSlots {
		s := &l.F.StackSlots[i]
		a := max(uint32(1)<<s.AlignLog2, naturalAlign(s.Size))
		off = (off + a - 1) &^ (a - 1)
		align = max(align, a)
		l.slotOff = append(l.slotOff, off)
		off += s.Size
	}
	l.StackSlotSize, l.StackSlotAlign = off, align
}

// naturalAlign is the alignment that a slot of some size gets unasked.
func naturalAlign(size uint32) uint32 {
	switch {
	case size >= 16:
		return 16
	case size >= 8:
		return 8
	case size >= 4:
		return 4
	case size >= 2:
		return 2
	}
	return 1
}

// Inst is the IR instruction being lowered.
func (l *Lower) Inst() ir.Inst { return l.inst }

// Emit appends a machine instruction for the IR instruction being lowered.
func (l *Lower) Emit(in Inst) { l.tmp = append(l.tmp, in) }

// Target is the number of the block that block call dest of the terminator
// being lowered leads to.
func (l *Lower) Target(dest int) uint32 { return l.Order.Target(l.block, dest) }

// StackSlotOffset is where stack slot s begins in the area of stack slots
// ([MemStackSlot]).
func (l *Lower) StackSlotOffset(s ir.StackSlot) int32 { return int32(l.slotOff[s]) }

// NewReg makes a register for a value of type t, which fits one.
func (l *Lower) NewReg(t ir.Type) Reg {
	class, units := l.B.Class(t)
	return l.VC.NewReg(class, units)
}

// pair is the registers of v, made when first asked for. hi is NoReg unless v is
// an i128.
func (l *Lower) pair(v ir.Value) (lo, hi Reg) {
	t := l.F.ValueType(v)
	x := &l.values[v]
	if t == ir.I128 {
		if x.reg == NoReg {
			x.reg = l.NewReg(ir.I64)
			l.NewReg(ir.I64) // the next index
		}
		lo = x.reg
		return lo, VReg(regalloc.MakeVReg(lo.Class(), lo.VReg().Index()+1))
	}
	if x.reg == NoReg {
		x.reg = l.NewReg(t)
	}
	return x.reg, NoReg
}

// Use is the register of v, which must not be an i128.
func (l *Lower) Use(v ir.Value) Reg {
	lo, hi := l.UsePair(v)
	if hi != NoReg {
		panic("machine: " + v.String() + " needs two registers")
	}
	return lo
}

// UsePair is the registers of v: hi is NoReg unless v is an i128.
func (l *Lower) UsePair(v ir.Value) (lo, hi Reg) {
	v = l.F.Resolve(v)
	if inst, _ := l.F.ValueInst(v); inst != ir.NoInst {
		if d := l.F.Inst(inst); d.Op == ir.OpIconst && d.Type.IsInt() && d.Type != ir.I128 {
			return l.B.Constant(l, d.Type, d.Imm), NoReg
		}
	}
	l.values[v].used = true
	return l.pair(v)
}

// Used reports whether anything lowered so far needs v in a register.
func (l *Lower) Used(v ir.Value) bool { return l.values[l.F.Resolve(v)].used }

// Define says that result i of the instruction being lowered is in r: a new
// register, or that of another value.
func (l *Lower) Define(i int, r Reg) { l.DefinePair(i, r, NoReg) }

// DefinePair is Define for an i128.
func (l *Lower) DefinePair(i int, lo, hi Reg) {
	v := l.F.Results(l.inst)[i]
	if !l.values[v].used {
		return
	}
	vlo, vhi := l.pair(v)
	if (hi == NoReg) != (vhi == NoReg) || lo.Class() != vlo.Class() {
		panic(fmt.Sprintf("machine: %v of type %v defined by %v, %v", v, l.F.ValueType(v), lo, hi))
	}
	l.VC.SetAlias(vlo, lo)
	if hi != NoReg {
		l.VC.SetAlias(vhi, hi)
	}
}

// ParamRegs are the registers of parameter v of the entry block, for
// [Backend.LowerArgs]; ok is false if nothing needs it.
func (l *Lower) ParamRegs(v ir.Value) (lo, hi Reg, ok bool) {
	if !l.values[v].used {
		return NoReg, NoReg, false
	}
	lo, hi = l.pair(v)
	return lo, hi, true
}

// Def is the instruction that v is the result of, and which result;
// [ir.NoInst] if v is a block parameter. A user may do the work of a pure
// instruction itself, using its arguments in its stead. For loads see
// [Lower.SinkableLoad].
func (l *Lower) Def(v ir.Value) (inst ir.Inst, result int) {
	return l.F.ValueInst(l.F.Resolve(v))
}

// Const is the value of v if it is an integer constant, sign-extended from its
// type.
func (l *Lower) Const(v ir.Value) (int64, bool) {
	inst, _ := l.Def(v)
	if inst == ir.NoInst {
		return 0, false
	}
	d := l.F.Inst(inst)
	if d.Op != ir.OpIconst || !d.Type.IsInt() || d.Type == ir.I128 {
		return 0, false
	}
	shift := 64 - d.Type.Bits()
	return d.Imm << shift >> shift, true
}

// SingleUse reports whether the use of v at hand is its only one, so that what
// computes it is not done twice if it is done in its user.
func (l *Lower) SingleUse(v ir.Value) bool { return l.values[l.F.Resolve(v)].uses == 1 }

// SinkableLoad is the instruction that v is the result of if it is a load that
// the instruction being lowered may do itself: nothing else needs the value
// and the load may be moved here. Having decided, call [Lower.Sink].
func (l *Lower) SinkableLoad(v ir.Value) (inst ir.Inst, ok bool) {
	v = l.F.Resolve(v)
	inst, _ = l.F.ValueInst(v)
	if inst == ir.NoInst || l.inst == ir.NoInst {
		return inst, false
	}
	flags := l.F.Inst(inst).Op.Flags()
	if flags&ir.FlagLoad == 0 || flags&(ir.FlagStore|ir.FlagEffect|ir.FlagCall) != 0 {
		return inst, false
	}
	if l.values[v].uses != 1 || l.values[v].used || l.insts[inst].sunk || l.insts[inst].colour != l.insts[l.inst].colour {
		return inst, false
	}
	if l.values[v].multiple {
		// What uses the load has several users. If that is the instruction being
		// lowered, it is done once, here; else some pattern is looking through it.
		direct := false
		for _, a := range l.F.Args(l.inst) {
			direct = direct || l.uncast(a) == v
		}
		if !direct {
			return inst, false
		}
	}
	return inst, true
}

// uncast is the value that v is, by any number of bitcasts that nothing else
// uses, and which therefore are not done twice either.
func (l *Lower) uncast(v ir.Value) ir.Value {
	for {
		v = l.F.Resolve(v)
		inst, _ := l.F.ValueInst(v)
		if inst == ir.NoInst || l.F.Inst(inst).Op != ir.OpBitcast || l.values[v].uses != 1 {
			return v
		}
		v = l.F.Arg(inst, 0)
	}
}

// Sink says that the instruction being lowered does the load inst itself.
func (l *Lower) Sink(inst ir.Inst) { l.insts[inst].sunk = true }

// ReadModifyWrite reports whether the store being lowered may be joined with
// load, the load of v from the same address, into an operation on memory: v
// is used once, by value's definition, which is used once, by the store.
func (l *Lower) ReadModifyWrite(load ir.Inst, value ir.Value) bool {
	v := l.F.Result(load)
	value = l.F.Resolve(value)
	return l.values[v].uses == 1 && !l.values[v].used && !l.insts[load].sunk && l.values[value].uses == 1 && !l.values[value].used &&
		l.insts[load].colour == l.insts[l.inst].colour
}

// Block is the number of the block being lowered.
func (l *Lower) Block() int { return l.block }
