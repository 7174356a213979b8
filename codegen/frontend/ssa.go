package frontend

import "github.com/davit-wasm/davit/codegen/ir"

// Variables become SSA values while the function is being built (Braun,
// Buchwald, Hack, Leißa, Mallon, Zwinkau: Simple and Efficient Construction of
// Static Single Assignment Form, 2013).
//
// A read of a variable looks for its definition in the block, and then upwards
// through predecessors for as long as there is exactly one and none can be
// added. Where that ends without a definition:
//
//   - in a block that is not sealed, a parameter is added; what its arguments
//     are is decided when the block is sealed;
//   - in a sealed block with several predecessors, a parameter is added, and
//     its arguments are read in the predecessors at once;
//   - in a block without predecessors, the variable was never assigned (or the
//     code never runs): it is zero.
//
// When the arguments of such a parameter turn out to be one value and the
// parameter itself, the parameter is removed and becomes an alias of the
// value. The parameter counts as the definition while its arguments are being
// read, which is what ends the search in loops.
//
// # Dominators
//
// Most such parameters would turn out to be needless: where ways meet, few of the
// variables have been assigned since they parted. If the front end has said where
// that was ([Builder.SetDominator]), a variable that no block filled since then
// assigns needs no parameter: the search goes on there at once.
//
// # Traces
//
// A block whose only predecessor is the block filled right before it changes
// nothing about what is known of variables: it continues the trace of that block.
// The first block of a trace is its head. Blocks are numbered in the order in
// which they are filled, so the blocks of a trace have consecutive numbers:
//
//	block    a   b   c   d   e
//	number   1   2   3   4   5
//	         a → b, d; b → c, d; c → d; d → e
//	trace    ───────────  ───────
//
// A variable keeps its definitions by these numbers. The definition that is seen
// at the end of b is the latest up to 2, unless it is before 1, where the trace
// begins: then nothing in the trace up to b assigns the variable, and its value is
// the one at the trace's head. Only there does the search go on to predecessors
// and does a parameter help, and only there are values kept that a search has
// found. In code with structure, most blocks continue a trace.
//
// Reading arguments may add parameters in other blocks. They are kept on a
// stack of our own, not on Go's: a function of a million blocks is read in the
// same way as one of ten.

// maxWork bounds how many parameters and definitions reading variables may
// add. Deeply nested loops that all use many variables need as many parameters
// as the product of both numbers: a kilobyte of source text could otherwise ask
// for gigabytes. The largest functions of real programs stay a hundred times
// below it.
const maxWork = 1 << 22

// Variable is a variable of the source language.
type Variable uint32

type edge struct {
	from ir.Block
	inst ir.Inst
	dest uint32
}

type predLink struct {
	edge
	next uint32 // index + 1 into ssa.preds
}

type pendingParam struct {
	v     Variable
	param ir.Value
	next  uint32 // index + 1 into ssa.pending
}

type ssaBlock struct {
	preds, lastPred      uint32 // list in ssa.preds, indexes + 1
	npreds               uint32
	pending, lastPending uint32   // list in ssa.pending, indexes + 1
	number               uint32   // place in the order of filling, from 1 on; 0 if it has none yet
	head                 ir.Block // the first block of its trace, once it has a number
	dominator            ir.Block // a block that all ways here lead through; those between were filled after it and up to sealedAt; or NoBlock
	sealedAt             uint32   // the last number when it was sealed
	sealed, filled       bool
	varParams            bool // has parameters that stand for variables
	mark                 uint32
}

type variable struct {
	typ ir.Type
	// The latest definition, and the number of its block, 0 if there is none.
	val    ir.Value
	number uint32
	older  uint32 // the definition before it, in ssa.older
	// A block that is the head of a trace and the value at its start. Other blocks'
	// are in the table.
	head  ir.Block
	atTop ir.Value
}

// olderDef is a definition that a block with a higher number has followed. The
// definitions of a variable are a list, latest first, with a second link that
// leads further back by lengths that let any definition be found in logarithmic
// time (Myers: An Applicative Random-Access Stack, 1983).
type olderDef struct {
	val    ir.Value
	number uint32
	next   uint32 // the definition before it, in ssa.older
	skip   uint32 // one further back
	length uint32 // of the list from here on
}

// frame is a block parameter whose arguments are being read.
type frame struct {
	v     Variable
	block ir.Block
	param ir.Value
	pred  uint32 // next predecessor, index + 1
	args  uint32 // where its arguments begin in ssa.args
}

type ssa struct {
	fn      *ir.Function
	vars    []variable
	blocks  []ssaBlock
	preds   []predLink
	pending []pendingParam
	older   []olderDef // the first is the end of all lists: of no block, before all
	atTop   valueTable // values at heads of traces
	last    ir.Block   // the block that is being filled: it has got its number last; or NoBlock
	number  uint32     // its number
	first   uint32     // that of the head of its trace
	defined bool       // a variable has been assigned in it
	frames  []frame
	args    []ir.Value
	chain   []ir.Block
	mark    uint32
	aliases bool // some parameter has become an alias
	work    int  // parameters and definitions that reads have added
}

func (s *ssa) begin(f *ir.Function) {
	s.fn = f
	s.vars = s.vars[:0]
	s.blocks = s.blocks[:0]
	s.preds = s.preds[:0]
	s.pending = s.pending[:0]
	s.mark = 0
	s.work = 0
	s.aliases = false
	s.frames, s.args = s.frames[:0], s.args[:0]
	s.older = append(s.older[:0], olderDef{})
	s.last, s.number, s.first, s.defined = ir.NoBlock, 0, 0, false
	s.atTop.clear()
}

func (s *ssa) declareBlock(b ir.Block) {
	for int(b) >= len(s.blocks) {
		s.blocks = append(s.blocks, ssaBlock{dominator: ir.NoBlock})
	}
}

func (s *ssa) declareVar(t ir.Type) Variable {
	s.vars = append(s.vars, variable{typ: t, head: ir.NoBlock})
	return Variable(len(s.vars) - 1)
}

// enter gives b the next number: it is filled from now on.
func (s *ssa) enter(b ir.Block) {
	blk := &s.blocks[b]
	s.number++
	blk.number = s.number
	if blk.sealed && blk.npreds == 1 && s.preds[blk.preds-1].from == s.last {
		blk.head = s.blocks[s.last].head
	} else {
		blk.head, s.first = b, s.number
	}
	s.last, s.defined = b, false
}

// define records the definition of v in the block being filled.
func (s *ssa) define(v Variable, val ir.Value) {
	d := &s.vars[v]
	s.defined = true
	if d.number != s.number {
		if d.number != 0 {
			next := &s.older[d.older]
			e := olderDef{val: d.val, number: d.number, next: d.older, skip: d.older, length: next.length + 1}
			if far := &s.older[next.skip]; next.length-far.length == far.length-s.older[far.skip].length {
				e.skip = far.skip
			}
			d.older = uint32(len(s.older))
			s.older = append(s.older, e)
		}
		d.number = s.number
	}
	d.val = val
}

// definition is the value that the trace of b gives to v up to the end of b.
func (s *ssa) definition(v Variable, b ir.Block) (ir.Value, bool) {
	d := &s.vars[v]
	blk := &s.blocks[b]
	first := s.blocks[blk.head].number
	if d.number < first {
		return ir.NoValue, false
	}
	if d.number <= blk.number {
		// Values replaced since are aliases now; keep chains of them short.
		d.val = s.fn.Resolve(d.val)
		return d.val, true
	}
	e := s.latest(d, blk.number)
	if e.number < first {
		return ir.NoValue, false
	}
	e.val = s.fn.Resolve(e.val)
	return e.val, true
}

// latest is the latest of the older definitions of d up to a number.
func (s *ssa) latest(d *variable, number uint32) *olderDef {
	e := &s.older[d.older]
	for e.number > number {
		if skip := &s.older[e.skip]; skip.number > number {
			e = skip
		} else {
			e = &s.older[e.next]
		}
	}
	return e
}

// assigned reports whether v is assigned on any way from the dominator of b, which
// is sealed, to b.
func (s *ssa) assigned(v Variable, b *ssaBlock) bool {
	d := &s.vars[v]
	from := s.blocks[b.dominator].number
	if d.number <= b.sealedAt {
		return d.number > from
	}
	return s.latest(d, b.sealedAt).number > from
}

// valueAtTop is the value that v is known to have at the start of b, the head of a trace.
func (s *ssa) valueAtTop(v Variable, b ir.Block) (ir.Value, bool) {
	d := &s.vars[v]
	if d.head == b {
		d.atTop = s.fn.Resolve(d.atTop)
		return d.atTop, true
	}
	if val, ok := s.atTop.get(v, b); ok {
		return s.fn.Resolve(val), true
	}
	return ir.NoValue, false
}

func (s *ssa) setValueAtTop(v Variable, b ir.Block, val ir.Value) {
	d := &s.vars[v]
	if d.head != b {
		if d.head != ir.NoBlock {
			s.atTop.put(v, d.head, d.atTop)
		}
		d.head = b
	}
	d.atTop = val
}

func (s *ssa) addPred(b ir.Block, e edge) {
	blk := &s.blocks[b]
	if blk.sealed {
		panic("frontend: a branch to " + b.String() + ", which is sealed")
	}
	s.preds = append(s.preds, predLink{edge: e})
	n := uint32(len(s.preds))
	if blk.lastPred == 0 {
		blk.preds = n
	} else {
		s.preds[blk.lastPred-1].next = n
	}
	blk.lastPred = n
	blk.npreds++
}

// use is the value of v at the end of the block being filled.
func (s *ssa) use(v Variable) ir.Value {
	if d := &s.vars[v]; d.number >= s.first {
		return s.fn.Resolve(d.val)
	}
	b := s.last
	if s.work > maxWork {
		// The function is given up; Finish says so. Until then any value will do.
		val := s.zero(v, b)
		s.define(v, val)
		return val
	}
	val := s.find(v, b)
	s.solve()
	return s.fn.Resolve(val)
}

// find is the value of v at the end of b. If that is a new parameter whose
// arguments have to be read, it pushes a frame for it.
func (s *ssa) find(v Variable, b ir.Block) ir.Value {
	if val, ok := s.definition(v, b); ok {
		return val
	}
	b = s.blocks[b].head
	if val, ok := s.valueAtTop(v, b); ok {
		return val
	}
	s.chain = s.chain[:0]
	s.mark++
	val := ir.NoValue
	for {
		blk := &s.blocks[b]
		s.chain = append(s.chain, b)
		if !blk.sealed {
			val = s.addParam(v, b)
			s.pending = append(s.pending, pendingParam{v: v, param: val})
			n := uint32(len(s.pending))
			if blk.lastPending == 0 {
				blk.pending = n
			} else {
				s.pending[blk.lastPending-1].next = n
			}
			blk.lastPending = n
			break
		}
		// A block met twice is in a cycle that nothing leads into.
		if blk.npreds == 0 || blk.mark == s.mark {
			val = s.zero(v, b)
			break
		}
		blk.mark = s.mark
		if blk.npreds == 1 {
			b = s.preds[blk.preds-1].from
		} else if blk.dominator != ir.NoBlock && !s.assigned(v, blk) {
			b = blk.dominator
		} else {
			val = s.addParam(v, b)
			s.push(v, b, val)
			break
		}
		var ok bool
		if val, ok = s.definition(v, b); ok {
			break
		}
		b = s.blocks[b].head
		if val, ok = s.valueAtTop(v, b); ok {
			break
		}
	}
	// From the top down, so that the latest value kept is that of the block
	// asked for.
	s.work += len(s.chain)
	for i := len(s.chain) - 1; i >= 0; i-- {
		s.setValueAtTop(v, s.chain[i], val)
	}
	return val
}

func (s *ssa) addParam(v Variable, b ir.Block) ir.Value {
	s.blocks[b].varParams = true
	return s.fn.AddParam(b, s.vars[v].typ)
}

func (s *ssa) push(v Variable, b ir.Block, param ir.Value) {
	s.frames = append(s.frames, frame{v, b, param, s.blocks[b].preds, uint32(len(s.args))})
}

// solve reads the arguments of every parameter on the stack.
func (s *ssa) solve() {
	for len(s.frames) > 0 {
		if s.work > maxWork {
			s.frames, s.args = s.frames[:0], s.args[:0]
			return
		}
		fr := &s.frames[len(s.frames)-1]
		if fr.pred != 0 {
			p := &s.preds[fr.pred-1]
			fr.pred = p.next
			// This may push a frame, which is then solved first. Its arguments
			// come after the one that it yields.
			n := len(s.frames)
			s.args = append(s.args, s.find(fr.v, p.from))
			if len(s.frames) > n {
				s.frames[n].args = uint32(len(s.args))
			}
			continue
		}
		done := *fr
		s.frames = s.frames[:len(s.frames)-1]
		s.decide(done)
		s.args = s.args[:done.args]
	}
}

// decide makes the parameter of fr an alias, or passes it its arguments.
func (s *ssa) decide(fr frame) {
	f := s.fn
	only, several := ir.NoValue, false
	args := s.args[fr.args:]
	for i, a := range args {
		a = f.Resolve(a)
		args[i] = a
		if a == fr.param || a == only {
			continue
		}
		if only != ir.NoValue {
			several = true
		}
		only = a
	}
	if !several {
		if only == ir.NoValue { // nothing but itself: the block cannot be reached
			only = s.zero(fr.v, fr.block)
		}
		s.replace(fr.block, fr.param, only)
		return
	}
	i := 0
	for p := s.blocks[fr.block].preds; p != 0; p = s.preds[p-1].next {
		e := s.preds[p-1].edge
		f.AddDestArg(e.inst, int(e.dest), args[i])
		i++
	}
}

func (s *ssa) seal(b ir.Block) {
	blk := &s.blocks[b]
	if blk.sealed {
		panic("frontend: " + b.String() + " is sealed already")
	}
	blk.sealed, blk.sealedAt = true, s.number
	for p := blk.pending; p != 0; p = s.pending[p-1].next {
		v, param := s.pending[p-1].v, s.pending[p-1].param
		if blk = &s.blocks[b]; blk.npreds > 1 && blk.dominator != ir.NoBlock && !s.assigned(v, blk) {
			val := s.find(v, blk.dominator)
			s.solve()
			if val = s.fn.Resolve(val); val == param { // the block cannot be reached
				val = s.zero(v, b)
			}
			s.replace(b, param, val)
			continue
		}
		s.push(v, b, param)
		s.solve()
	}
}

// replace makes param, a parameter of b, an alias of val.
func (s *ssa) replace(b ir.Block, param, val ir.Value) {
	_, num := s.fn.ValueBlock(param)
	s.fn.RemoveParam(b, num)
	s.fn.SetAlias(param, val)
	s.aliases = true
}

// zero makes the value of a variable that nothing was assigned to, at the
// beginning of b.
func (s *ssa) zero(v Variable, b ir.Block) ir.Value {
	f := s.fn
	if !f.InLayout(b) {
		f.AppendBlock(b)
	}
	at := f.FirstInst(b)
	t := s.vars[v].typ
	add := func(d ir.InstData, args ...ir.Value) ir.Value {
		i := f.AddInst(d, args...)
		if at == ir.NoInst {
			f.AppendInst(i, b)
		} else {
			f.InsertBefore(i, at)
		}
		f.AddResults(i)
		return f.Result(i)
	}
	var zeros [256]byte
	switch {
	case t == ir.I128:
		lo := add(ir.InstData{Op: ir.OpIconst, Type: ir.I64})
		return add(ir.InstData{Op: ir.OpUextend, Type: ir.I128}, lo)
	case t.IsInt():
		return add(ir.InstData{Op: ir.OpIconst, Type: t})
	case t == ir.F16:
		return add(ir.InstData{Op: ir.OpF16const})
	case t == ir.F32:
		return add(ir.InstData{Op: ir.OpF32const})
	case t == ir.F64:
		return add(ir.InstData{Op: ir.OpF64const})
	case t == ir.F128:
		return add(ir.InstData{Op: ir.OpF128const, Ref: uint32(f.AddConstant(zeros[:16]))})
	case t.IsVector() && !t.IsDynamic():
		return add(ir.InstData{Op: ir.OpVconst, Type: t, Ref: uint32(f.AddConstant(zeros[:t.Bytes()]))})
	}
	panic("frontend: a variable of type " + t.String() + " is read before it is assigned")
}

// valueTable maps (variable, block) to a value: open addressing with linear
// probing, emptied in constant time by moving on to a new generation.
//
// It is as large as the function needs: a small one that comes after a large one
// would otherwise scatter its few entries over memory that no cache holds.
// Sizes are powers of two, and the table moves between two buffers when it
// doubles: one for the even powers, one for the odd.
type valueTable struct {
	slots   []valueSlot
	buffers [2][]valueSlot
	log     int // binary logarithm of len(slots)
	n       int
	gen     uint32
}

type valueSlot struct {
	v   Variable
	b   ir.Block
	val ir.Value
	gen uint32
}

func (t *valueTable) clear() {
	const least = 9 // 8 KiB: small enough for any cache, and rarely doubled
	t.n = 0
	t.resize(least)
}

// resize makes the table an empty one of 2^log slots.
func (t *valueTable) resize(log int) {
	t.gen++
	if t.gen == 0 { // after 2³² tables
		t.gen = 1
		clear(t.buffers[0])
		clear(t.buffers[1])
	}
	buf := &t.buffers[log&1]
	if len(*buf) < 1<<log {
		*buf = make([]valueSlot, 1<<log)
	}
	t.log, t.slots = log, (*buf)[:1<<log]
}

// slot is the index of the entry for (v, b), or of the free one where it belongs.
func (t *valueTable) slot(v Variable, b ir.Block) int {
	h := (uint64(v)<<32 | uint64(b)) * 0x9e3779b97f4a7c15
	slots := t.slots
	mask := len(slots) - 1
	i := int(h>>32) & mask
	for {
		if e := &slots[i]; e.gen != t.gen || e.v == v && e.b == b {
			return i
		}
		i = (i + 1) & mask
	}
}

func (t *valueTable) get(v Variable, b ir.Block) (ir.Value, bool) {
	if t.n == 0 {
		return ir.NoValue, false
	}
	e := &t.slots[t.slot(v, b)]
	return e.val, e.gen == t.gen
}

func (t *valueTable) put(v Variable, b ir.Block, val ir.Value) {
	if 2*(t.n+1) > len(t.slots) {
		old, gen := t.slots, t.gen
		t.resize(t.log + 1)
		for i := range old {
			if e := &old[i]; e.gen == gen {
				t.slots[t.slot(e.v, e.b)] = valueSlot{e.v, e.b, e.val, t.gen}
			}
		}
	}
	e := &t.slots[t.slot(v, b)]
	if e.gen != t.gen {
		t.n++
	}
	*e = valueSlot{v, b, val, t.gen}
}
