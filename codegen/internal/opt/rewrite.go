package opt

import (
	"math"
	"math/bits"

	"github.com/davit-wasm/davit/codegen/interp"
	"github.com/davit-wasm/davit/codegen/ir"
)

//go:generate go run ../rules/cmd/irops -make ../rules/lib/make_gen.rules -go make_gen.go -package opt -receiver *Optimizer
//go:generate go run ../rules/cmd/rulesc -o rules_gen.go ../rules/lib/ir_gen.rules ../rules/lib/ir.rules ../rules/lib/make_gen.rules opt.rules arithmetic.rules bits.rules compare.rules convert.rules divide.rules float.rules vector.rules

// rewriter is the state of rewriting.
type rewriter struct {
	// classes are the forms of values, one list after the other; see value.class.
	classes []ir.Value
	// results of the rules, by depth.
	out   [maxDepth + 1][]ir.Value
	depth int
	fuel  int      // how many instructions rules may still make
	fresh int      // values from here on have been made for the value being rewritten
	root  ir.Value // that value
}

const (
	// maxDepth is how deep rules may apply to what rules have made.
	maxDepth = 5
	// maxForms is how many forms of a value are kept.
	maxForms = 4
	// maxLevels is how many loops around a block are looked at.
	maxLevels = 64
	// maxCost is where costs saturate.
	maxCost = 1 << 24
)

func (r *rewriter) reset(insts int) {
	r.classes = r.classes[:0]
	r.depth, r.root = 0, ir.NoValue
	r.fuel = 2*insts + 200
}

// costs of instructions, roughly in half cycles. What is cheaper than 2 is as good
// as free: it becomes part of the instruction that uses it.
var costs = func() (c [ir.NumOpcodes]uint8) {
	for op := range c {
		c[op] = 6
	}
	for op, n := range map[ir.Opcode]uint8{
		ir.OpIconst: 1, ir.OpF16const: 2, ir.OpF32const: 2, ir.OpF64const: 2, ir.OpF128const: 2, ir.OpVconst: 2,
		ir.OpUextend: 1, ir.OpSextend: 2, ir.OpIreduce: 1, ir.OpIconcat: 1, ir.OpIsplit: 1, ir.OpStackAddr: 1,
		ir.OpIadd: 3, ir.OpIsub: 3, ir.OpBand: 3, ir.OpBor: 3, ir.OpBxor: 3, ir.OpBnot: 3, ir.OpIneg: 3,
		ir.OpBandNot: 5, ir.OpBorNot: 5, ir.OpBxorNot: 5,
		ir.OpIshl: 3, ir.OpUshr: 3, ir.OpSshr: 3, ir.OpRotl: 3, ir.OpRotr: 3, ir.OpBswap: 3,
		ir.OpIcmp: 4, ir.OpFcmp: 5, ir.OpSelect: 5, ir.OpBmask: 5, ir.OpSmin: 5, ir.OpSmax: 5, ir.OpUmin: 5, ir.OpUmax: 5, ir.OpIabs: 5,
		ir.OpImul: 8, ir.OpUmulhi: 9, ir.OpSmulhi: 9, ir.OpUdiv: 60, ir.OpSdiv: 60, ir.OpUrem: 80, ir.OpSrem: 80,
		ir.OpFneg: 3, ir.OpFabs: 3, ir.OpBitcast: 2, ir.OpFdiv: 25, ir.OpSqrt: 30, ir.OpFma: 9, ir.OpFcvtFromUint: 10,
	} {
		c[op] = n
	}
	return c
}()

// constant is the value of v if it is an integer constant of at most 64 bits,
// zero-extended.
func (o *Optimizer) constant(v ir.Value) (uint64, bool) {
	inst, _ := o.f.ValueInst(v)
	if inst == ir.NoInst {
		return 0, false
	}
	d := o.f.Inst(inst)
	if d.Op != ir.OpIconst || d.Type < ir.I8 || d.Type > ir.I64 {
		return 0, false
	}
	return uint64(d.Imm) & mask(d.Type), true
}

// mask has ones where an integer type has bits.
func mask(t ir.Type) uint64 { return ^uint64(0) >> (64 - min(64, t.Bits())) }

// isConst reports whether v is a constant of any kind.
func (o *Optimizer) isConst(v ir.Value) bool {
	inst, _ := o.f.ValueInst(v)
	return inst != ir.NoInst && constOp(o.f.Inst(inst).Op)
}

func constOp(op ir.Opcode) bool {
	return op >= ir.OpIconst && op <= ir.OpVconst
}

// make is the value of a pure instruction, in its best form, new or not.
func (o *Optimizer) make(d ir.InstData, args ...ir.Value) ir.Value {
	f := o.f
	if d.Op == ir.OpIconst {
		d.Imm &= int64(mask(d.Type))
	}
	inst := f.AddInst(d, args...)
	v := f.AddResult(inst, d.Op.ResultType(0, d.Type))
	o.grow()
	o.values[v].new = true
	o.rw.fuel--
	o.canonicalOrder(inst)
	r := o.form(inst, v)
	o.values[v].rep = r
	return r
}

// form is what stands for v, the result of pure instruction inst: a value that has
// been computed already, or the cheapest form of v that the rules find.
func (o *Optimizer) form(inst ir.Inst, v ir.Value) ir.Value {
	f := o.f
	if o.rw.depth == 0 {
		o.rw.root = v
	}
	if f.Inst(inst).Op == ir.OpIcmp {
		if w, ok := o.decided(inst); ok {
			return w
		}
	}
	if same := o.nums.lookup(o, inst); same != ir.NoInst {
		r := o.values[f.Result(same)].rep
		if o.rw.depth == 0 { // else it is a form that may not be taken
			o.values[r].uses = 2
		}
		return r
	}
	if w, ok := o.fold(inst, v); ok {
		return w
	}
	o.learnBits(inst)
	d := f.Inst(inst)
	if t := f.ValueType(v); narrow(t) && d.Op != ir.OpIconst {
		if k := o.bits[v]; k.zero|k.one == mask(t) {
			return o.makeConst(t, k.one)
		}
	}
	cost := uint32(costs[d.Op])
	if f.ValueType(v).IsVector() {
		cost++ // the same of one lane is less
	}
	switch d.Op {
	case ir.OpIcmp:
		if d.IntCC() <= ir.NotEqual {
			cost-- // other rules know more of these
		}
		if k, ok := o.constant(o.rep(f.Args(inst)[1])); ok && k == 0 {
			cost-- // takes no constant, and no comparison if the flags are there
		}
	case ir.OpIsub:
		if o.isConst(o.rep(f.Args(inst)[0])) {
			cost++ // processors have no such operation, and need the constant in a register
		}
	}
	for _, a := range f.Args(inst) {
		cost += o.argCost(o.rep(a))
	}
	cost -= o.sharedCost(f.Args(inst))
	o.values[v].cost = min(cost, maxCost)
	if constOp(d.Op) || o.rw.depth >= maxDepth || o.rw.fuel <= 0 {
		return v
	}
	outer := o.rw.fresh
	if o.rw.depth == 0 {
		o.rw.fresh = f.NumValues()
	}
	o.rw.depth++
	out := o.simplify(v, o.rw.out[o.rw.depth][:0])
	o.rw.out[o.rw.depth] = out[:0]
	o.rw.depth--
	if len(out) == 0 {
		return v
	}
	// The cheapest wins; among equals what was there first.
	best := v
	for _, w := range out {
		if w = o.rep(w); o.isConst(w) || o.values[w].cost < o.values[best].cost && !o.outlives(w) {
			best = w
		}
	}
	// All others are its forms. But a value that others may have used already can't
	// have new forms: these could be made of its users.
	if best == v || int(best) >= o.rw.fresh {
		o.bits[best].zero |= o.bits[v].zero
		o.bits[best].one |= o.bits[v].one
		o.joinClass(best, v, out)
	}
	o.rw.fresh = outer
	return best
}

// decided is the outcome of a comparison of integers that is known where it is.
func (o *Optimizer) decided(inst ir.Inst) (ir.Value, bool) {
	f := o.f
	x, y := o.rep(f.Args(inst)[0]), o.rep(f.Args(inst)[1])
	if !narrow(f.ValueType(x)) || o.isConst(x) && o.isConst(y) {
		return ir.NoValue, false
	}
	holds, ok := o.decide(f.Inst(inst).IntCC(), x, y)
	switch {
	case !ok:
		return ir.NoValue, false
	case holds:
		return o.makeConst(ir.I8, 1), true
	}
	return o.makeConst(ir.I8, 0), true
}

// argCost is what an operand adds to the cost of its user. What has other users
// is computed anyway; going back behind it would only keep more values alive. But
// for the value being rewritten: what is made of it is no cheaper way to it.
func (o *Optimizer) argCost(v ir.Value) uint32 {
	x := &o.values[v]
	if x.uses > 1 && !x.new && v != o.rw.root {
		inst, _ := o.f.ValueInst(v)
		if inst == ir.NoInst {
			return 0
		}
		switch op := o.f.Inst(inst).Op; op {
		case ir.OpUextend, ir.OpSextend, ir.OpIreduce, ir.OpIconcat, ir.OpIcmp, ir.OpFcmp:
			// These become part of their users, who had better see what is behind.
		default:
			if !constOp(op) {
				return 0
			}
		}
	}
	return x.cost
}

// sharedCost is what the operands of an instruction cost both: one of them, if the
// other has been made of it. A remainder by a constant, x - x/k*k, needs x once.
func (o *Optimizer) sharedCost(args []ir.Value) uint32 {
	if len(args) != 2 {
		return 0
	}
	x, y := o.rep(args[0]), o.rep(args[1])
	if o.values[x].new {
		x, y = y, x
	}
	if o.values[x].new || !o.values[y].new {
		return 0
	}
	if c := o.argCost(x); c > 0 && o.madeOf(y, x, madeOfDepth) {
		return c
	}
	return 0
}

// madeOfDepth is how many instructions sharedCost looks through.
const madeOfDepth = 5

// madeOf reports whether y is x, or has been made of it by up to depth instructions.
func (o *Optimizer) madeOf(y, x ir.Value, depth int) bool {
	if y == x {
		return true
	}
	if depth == 0 || !o.values[y].new {
		return false
	}
	inst, _ := o.f.ValueInst(y)
	for _, a := range o.f.Args(inst) {
		if o.madeOf(o.rep(a), x, depth-1) {
			return true
		}
	}
	return false
}

// outlives reports whether computing v in the block at hand would keep alive a
// parameter of a loop that has been left. Such a parameter is mostly an induction
// variable, whose next value takes over its register in the loop: it is better to
// compute things from that one.
func (o *Optimizer) outlives(v ir.Value) bool {
	f := o.f
	left := func(v ir.Value) bool {
		b, _ := f.ValueBlock(v)
		if b == ir.NoBlock {
			return false
		}
		l := o.loops.Innermost(b)
		if l == ir.NoLoop || o.loops.Header(l) != b {
			return false
		}
		in := o.loops.Innermost(o.block)
		for range maxLevels {
			if in == l {
				return false
			}
			if in == ir.NoLoop || in > l {
				break
			}
			in = o.loops.Parent(in)
		}
		return true
	}
	if left(v) {
		return true
	}
	if inst, _ := f.ValueInst(v); inst != ir.NoInst && o.values[v].new {
		for _, a := range f.Args(inst) {
			if left(o.rep(a)) {
				return true
			}
		}
	}
	return false
}

// joinClass makes v and out forms of best, beside those that it has.
func (o *Optimizer) joinClass(best, v ir.Value, out []ir.Value) {
	r := &o.rw
	start := len(r.classes)
	add := func(w ir.Value) {
		if len(r.classes)-start >= maxForms {
			return
		}
		for _, x := range r.classes[start:] {
			if x == w {
				return
			}
		}
		r.classes = append(r.classes, w)
	}
	forms := func(w ir.Value) {
		add(w)
		x := &o.values[w]
		for i := range uint32(x.forms) {
			add(r.classes[x.class+i])
		}
	}
	forms(best)
	if v != best {
		add(v)
	}
	for _, w := range out {
		if w = o.rep(w); w != best {
			forms(w)
		}
	}
	if n := len(r.classes) - start; n > 1 {
		o.values[best].class, o.values[best].forms = uint32(start), uint8(n)
	} else {
		r.classes = r.classes[:start]
	}
}

// defInst steps through the forms of v that are the only results of
// instructions, for rules to look at.
func (o *Optimizer) defInst(v ir.Value, cursor int) (ir.Value, int, bool) {
	x := &o.values[v]
	if x.forms == 0 {
		if cursor > 0 || !o.visible(v) {
			return v, 0, false
		}
		return v, 1, true
	}
	for cursor < int(x.forms) {
		w := o.rw.classes[x.class+uint32(cursor)]
		cursor++
		if o.visible(w) {
			return w, cursor, true
		}
	}
	return v, 0, false
}

func (o *Optimizer) visible(v ir.Value) bool {
	inst, _ := o.f.ValueInst(v)
	return inst != ir.NoInst && o.f.Inst(inst).Op.Flags()&ir.FlagCall == 0 && len(o.f.Results(inst)) == 1
}

// fold computes the result of an instruction whose operands are all constants.
func (o *Optimizer) fold(inst ir.Inst, v ir.Value) (ir.Value, bool) {
	f := o.f
	args := f.Args(inst)
	if len(args) == 0 || len(args) > 3 {
		return v, false
	}
	var in [3]interp.Value
	for i, a := range args {
		var ok bool
		if in[i], ok = o.constantBits(o.rep(a)); !ok {
			return v, false
		}
	}
	d := f.Inst(inst)
	op := d.Op
	from, to := f.ValueType(o.rep(args[0])), f.ValueType(v)
	var r interp.Value
	ok := false
	switch d.Op {
	case ir.OpUdiv, ir.OpUrem, ir.OpSdiv, ir.OpSrem:
		if from.Bits() <= 64 {
			r.Lo, ok = divide(d.Op, from, in[0].Lo, in[1].Lo)
		}
	default:
		if d.Op.Flags() == 0 {
			r, ok = interp.Evaluate(f, d, from, to, in)
		}
	}
	if !ok {
		return v, false
	}
	if to.IsFloatLane() && !movesBits(op) && hasNaN(to, r) {
		return v, false // which NaN it is, is the processor's choice
	}
	return o.constantOf(to, r)
}

// movesBits reports whether the bits of NaNs are those of an operand.
func movesBits(op ir.Opcode) bool {
	switch op {
	case ir.OpFneg, ir.OpFabs, ir.OpFcopysign, ir.OpBitcast, ir.OpSelect, ir.OpBitselect, ir.OpBand, ir.OpBor, ir.OpBxor, ir.OpBnot, ir.OpBandNot,
		ir.OpSplat, ir.OpScalarToVector, ir.OpInsertlane, ir.OpExtractlane, ir.OpShuffle, ir.OpSwizzle:
		return true
	}
	return false
}

// hasNaN reports whether a number, or a lane of a vector, is NaN.
func hasNaN(t ir.Type, b interp.Value) bool {
	switch t.LaneBits() {
	case 16:
		for i := range 8 {
			w := b.Lo
			if i >= 4 {
				w = b.Hi
			}
			if uint16(w>>(i%4*16))<<1 > 0x1f<<11 {
				return true
			}
		}
		return false
	case 32:
		for _, w := range [...]uint64{b.Lo, b.Lo >> 32, b.Hi, b.Hi >> 32} {
			if uint32(w)<<1 > 0xff<<24 {
				return true
			}
		}
		return false
	case 64:
		return b.Lo<<1 > 0x7ff<<53 || b.Hi<<1 > 0x7ff<<53
	}
	return true
}

// divide is a quotient or remainder; ok is false if the division would trap.
func divide(op ir.Opcode, t ir.Type, x, y uint64) (r uint64, ok bool) {
	shift := 64 - t.Bits()
	sx, sy := int64(x<<shift)>>shift, int64(y<<shift)>>shift
	switch {
	case y == 0:
		return 0, false
	case op == ir.OpUdiv:
		return x / y, true
	case op == ir.OpUrem:
		return x % y, true
	case op == ir.OpSrem:
		if sy == -1 {
			return 0, true
		}
		return uint64(sx%sy) & mask(t), true
	case sy == -1 && sx == math.MinInt64>>shift:
		return 0, false
	case sy == -1:
		return uint64(-sx) & mask(t), true
	}
	return uint64(sx/sy) & mask(t), true
}

// constantBits is the bits of v if it is a constant.
func (o *Optimizer) constantBits(v ir.Value) (b interp.Value, ok bool) {
	inst, _ := o.f.ValueInst(v)
	if inst == ir.NoInst {
		return b, false
	}
	d := o.f.Inst(inst)
	switch d.Op {
	case ir.OpIconst, ir.OpF16const, ir.OpF32const, ir.OpF64const:
		if d.Op == ir.OpIconst && !d.Type.IsInt() || d.Type == ir.I128 {
			return b, false
		}
		return interp.Value{Lo: uint64(d.Imm) & mask(o.f.ValueType(v))}, true
	case ir.OpVconst, ir.OpF128const:
		k := o.f.Constant(ir.Constant(d.Ref))
		if len(k) > 16 {
			return b, false
		}
		for i, x := range k {
			if i < 8 {
				b.Lo |= uint64(x) << (8 * i)
			} else {
				b.Hi |= uint64(x) << (8 * (i - 8))
			}
		}
		return b, true
	}
	return b, false
}

// constantOf makes a constant; ok is false for types that have none.
func (o *Optimizer) constantOf(t ir.Type, b interp.Value) (v ir.Value, ok bool) {
	switch {
	case t.IsInt() && t.Bits() <= 64:
		return o.make(ir.InstData{Op: ir.OpIconst, Type: t, Imm: int64(b.Lo)}), true
	case t == ir.F16:
		return o.make(ir.InstData{Op: ir.OpF16const, Imm: int64(b.Lo)}), true
	case t == ir.F32:
		return o.make(ir.InstData{Op: ir.OpF32const, Imm: int64(b.Lo)}), true
	case t == ir.F64:
		return o.make(ir.InstData{Op: ir.OpF64const, Imm: int64(b.Lo)}), true
	case t == ir.F128:
		return o.make(ir.InstData{Op: ir.OpF128const, Ref: o.addConstant(b, 16)}), true
	case t.IsVector() && !t.IsDynamic() && t.Bits() <= 128:
		return o.make(ir.InstData{Op: ir.OpVconst, Type: t, Ref: o.addConstant(b, t.Bits()/8)}), true
	}
	return ir.NoValue, false
}

// addConstant makes the low n bytes of b a constant of the function's pool.
func (o *Optimizer) addConstant(b interp.Value, n int) uint32 {
	var k [16]byte
	for i := range 8 {
		k[i], k[8+i] = byte(b.Lo>>(8*i)), byte(b.Hi>>(8*i))
	}
	return uint32(o.f.AddConstant(k[:n]))
}

// trapsNever reports whether an instruction that can trap is seen not to.
func (o *Optimizer) trapsNever(inst ir.Inst) bool {
	f := o.f
	d := f.Inst(inst)
	args := f.Args(inst)
	switch d.Op {
	case ir.OpUdiv, ir.OpUrem, ir.OpSrem, ir.OpSdiv:
		t := d.Type
		if !narrow(t) || !o.notZero(o.rep(args[1])) {
			return false
		}
		if d.Op != ir.OpSdiv {
			return true // srem by -1 is 0, sdiv may overflow
		}
		x, y := o.spanOf(o.rep(args[0])), o.spanOf(o.rep(args[1]))
		return x.slo > fullSpan(t).slo || y.slo > -1 || y.shi < -1
	case ir.OpUaddOverflowTrap:
		x, y := o.maxBits(o.rep(args[0])), o.maxBits(o.rep(args[1]))
		return max(x, y) < f.ValueType(args[0]).Bits()
	}
	return false
}

// notZero reports whether a narrow integer is seen not to be zero where it is used.
func (o *Optimizer) notZero(v ir.Value) bool {
	if zero, ok := o.known(v); ok {
		return !zero
	}
	if s := o.spanOf(v); s.lo > 0 {
		return true
	}
	for w, next, ok := o.defInst(v, 0); ok; w, next, ok = o.defInst(v, next) {
		if o.opcode(w) == ir.OpIshl {
			if k, ok := o.constant(o.arg0(w)); ok && k&1 != 0 {
				return true
			}
		}
	}
	return false
}

// splitResults looks through pure instructions with two results.
func (o *Optimizer) splitResults(inst ir.Inst) {
	f := o.f
	res := f.Results(inst)
	o.learnBits(inst)
	d := f.Inst(inst)
	cost := uint32(costs[d.Op])
	for _, a := range f.Args(inst) {
		cost += o.argCost(o.rep(a))
	}
	for _, v := range res {
		o.values[v].cost = min(cost, maxCost)
	}
	if d.Op != ir.OpIsplit {
		o.splitOverflow(inst)
		return
	}
	x := o.rep(f.Args(inst)[0])
	for w, next, ok := o.defInst(x, 0); ok; w, next, ok = o.defInst(x, next) {
		def, _ := f.ValueInst(w)
		if f.Inst(def).Op == ir.OpIconcat {
			args := f.Args(def)
			o.values[res[0]].rep, o.values[res[1]].rep = o.rep(args[0]), o.rep(args[1])
			return
		}
		if op := f.Inst(def).Op; (op == ir.OpUextend || op == ir.OpSextend) && f.ValueType(x) == ir.I128 {
			lo := o.rep(f.Args(def)[0])
			if f.ValueType(lo) != ir.I64 {
				lo = o.make(ir.InstData{Op: op, Type: ir.I64}, lo)
			}
			hi := ir.NoValue
			if op == ir.OpUextend {
				hi = o.makeConst(ir.I64, 0)
			} else {
				hi = o.shiftSigned(lo, 63)
			}
			o.values[res[0]].rep, o.values[res[1]].rep = lo, hi
			return
		}
	}
}

// splitOverflow makes a plain operation of one with overflow, if there is none.
func (o *Optimizer) splitOverflow(inst ir.Inst) {
	f := o.f
	d := f.Inst(inst)
	t := d.Type
	if !narrow(t) {
		return
	}
	args := f.Args(inst)
	x, y := o.rep(args[0]), o.rep(args[1])
	a, b, full := o.spanOf(x), o.spanOf(y), fullSpan(t)
	op := ir.OpNop
	switch d.Op {
	case ir.OpUaddOverflow:
		if sum := a.hi + b.hi; sum >= a.hi && sum <= full.hi {
			op = ir.OpIadd
		}
	case ir.OpUsubOverflow:
		if a.lo >= b.hi {
			op = ir.OpIsub
		}
	case ir.OpSaddOverflow:
		if t != ir.I64 && a.slo+b.slo >= full.slo && a.shi+b.shi <= full.shi {
			op = ir.OpIadd
		}
	case ir.OpSsubOverflow:
		if t != ir.I64 && a.slo-b.shi >= full.slo && a.shi-b.slo <= full.shi {
			op = ir.OpIsub
		}
	case ir.OpUmulOverflow:
		if hi, lo := bits.Mul64(a.hi, b.hi); hi == 0 && lo <= full.hi {
			op = ir.OpImul
		}
	}
	if op == ir.OpNop {
		return
	}
	r, none := o.make(ir.InstData{Op: op, Type: t}, x, y), o.makeConst(ir.I8, 0)
	res := f.Results(inst)
	o.values[res[0]].rep, o.values[res[1]].rep = r, none
}
