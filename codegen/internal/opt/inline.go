package opt

import (
	"slices"

	"github.com/davit-wasm/davit/codegen/ir"
)

// Inlining puts the body of a function in the place of a call of it.
//
// # The idea
//
// Which calls are replaced is not decided here: for every direct call somebody is
// asked, who answers with a body or not. The calls in the bodies are asked about in
// turn, so that the work goes by levels: first the function's own calls, then
// those that came in with their bodies, and so on.
//
//	block0:                  block0:                     v1 = iadd a, b
//	    v1 = call f(a, b)        brif a, block1, block2      …
//	    …                    block1:
//	                             jump block3(b)          a body of one block
//	                         block2:
//	                             jump block3(a)
//	                         block3(v9):  ; v1 is v9
//	                             …
//
// The body's first block goes on in the block of the call; what followed the call
// becomes a block of its own, the continuation. A body that returns in one place
// needs no parameters there: the results are what it returns. A body of one block
// needs no continuation.
//
// What becomes of the ways out of a body depends on the call that it replaces:
//
//	             call                try_call                  return_call
//	return       jump continuation   jump to the call's        return
//	                                 normal destination
//	return_call  call, then jump     try_call with the         return_call
//	             continuation        call's destinations
//	call         call                try_call with the         call
//	                                 call's handlers
//	try_call     try_call            its own handlers, then    try_call
//	                                 the call's
//
// Entities of the preamble are copied with each body, but for what can be shared
// (functions, signatures, alias regions, constants).
//
// # Invariants
//
// Instructions of the body are made in an order in which definitions come before
// uses, and so are numbered in ascending order, as tags and stack maps want it. A
// location in the body becomes one that remembers the call (ir.InlineSite), so that
// whoever runs the code can tell the callers that there would be without inlining.
//
// # Cost
//
// Every level moves an instruction of the function at most once, because calls of a
// block are replaced from its end to its beginning; and copies every body once. All
// that is bounded by maxInlined.

// InlineCall is a direct call that could be replaced.
type InlineCall struct {
	Callee ir.Name
	Caller *ir.Function // the function that is compiled
	// Body and Inst are where the call was written: in the caller itself, or in a
	// body that was inlined.
	Body *ir.Function
	Inst ir.Inst
	// Site is the number of the inline site that the call becomes if it is
	// replaced. Outer is that which it is within, or [ir.NoInlineSite], and Depth how
	// many those are.
	Site, Outer uint32
	Depth       int
}

// maxInlined is how many instructions are copied into one function.
const maxInlined = 1 << 18

// Inliner inlines into one function after the other. The zero value is ready. It is
// for one goroutine at a time.
type Inliner struct {
	f    *ir.Function
	left int // instructions that may still be copied

	// calls are those of a level; of two in the same block, the later one is first.
	// next are those of the level after it.
	calls, next []inlineCall

	sigs    map[sigKey]ir.SigRef
	funcs   map[funcKey]ir.FuncRef
	regions map[uint32]ir.AliasRegion // by the user's number
	known   bool                      // the tables above have what the function itself has

	query InlineCall
	walk  ir.Walk
	body  bodyCopy
	args  []ir.Value
	tags  []ir.DebugTag
	locOf struct{ from, to ir.SourceLoc }
}

// inlineCall is a call of the function, and its answer.
type inlineCall struct {
	inst   ir.Inst
	body   *ir.Function
	orig   ir.Inst // in body
	outer  uint32
	depth  uint32
	site   uint32
	callee *ir.Function
}

// bodyCopy is a body that is being copied.
type bodyCopy struct {
	g     *ir.Function
	call  *inlineCall
	op    ir.Opcode // of the call
	cold  bool
	order []ir.Block // those that can be reached, definitions before uses
	seen  []bool

	// From entities of the body to those of the function.
	values   []ir.Value
	blocks   []ir.Block
	sigs     []ir.SigRef
	funcs    []ir.FuncRef
	regions  []ir.AliasRegion
	slots    ir.StackSlot // the first of those that are consecutive
	dynSlots ir.DynamicStackSlot
	globals  ir.GlobalValue

	returns  int
	at       ir.Block   // where instructions are put: at its end,
	before   ir.Inst    // unless this is one
	next     ir.Block   // the continuation, if it is a call
	results  []ir.Value // of the call
	tags     []ir.DebugTag
	maps     []ir.StackMapEntry
	handlers []ir.Handler // of the call
}

// Signatures and functions are the same if they are made of the same lists.
type sigKey struct {
	params, returns *ir.Param
	np, nr          int
	conv            ir.CallConv
}

type funcKey struct {
	name                 ir.Name
	sig                  sigKey
	colocated, patchable bool
}

func keyOfSig(s *ir.Signature) sigKey {
	k := sigKey{np: len(s.Params), nr: len(s.Returns), conv: s.CallConv}
	if k.np > 0 {
		k.params = &s.Params[0]
	}
	if k.nr > 0 {
		k.returns = &s.Returns[0]
	}
	return k
}

func keyOfFunc(f *ir.Function, e *ir.ExtFunc) funcKey {
	return funcKey{e.Name, keyOfSig(&f.Sigs[e.Sig]), e.Colocated, e.Patchable}
}

// Run replaces calls of f. inline answers with the body, or nil; bodies must be
// valid and stay as they are until Run returns. A body that cannot take the place
// of the call is not used: one of another signature; one that asks for its return
// address; one with the address of an exception handler.
func (n *Inliner) Run(f *ir.Function, inline func(*InlineCall) *ir.Function) {
	n.f, n.left, n.known = f, maxInlined, false
	n.ownCalls()
	q := &n.query
	q.Caller = f
	for len(n.calls) > 0 {
		// Ask in the order of the code.
		for i := len(n.calls) - 1; i >= 0; i-- {
			c := &n.calls[i]
			q.Callee = f.ExtFuncs[f.Inst(c.inst).Ref].Name
			q.Body, q.Inst, q.Outer, q.Depth, q.Site = c.body, c.orig, c.outer, int(c.depth), uint32(len(f.InlineSites()))
			if c.callee = inline(q); c.callee == nil || !n.fits(c) {
				c.callee = nil
				continue
			}
			site := ir.InlineSite{Callee: q.Callee, Tail: f.Inst(c.inst).Op == ir.OpReturnCall}
			if site.Call, site.Outer = f.Locate(f.SourceLoc(c.inst)); site.Tail {
				site.Outer = ir.NoInlineSite
			}
			c.site = f.AddInlineSite(site)
		}
		n.next = n.next[:0]
		for i := range n.calls {
			if n.calls[i].callee != nil {
				n.replace(&n.calls[i])
			}
		}
		n.calls, n.next = n.next, n.calls
	}
	for _, list := range [][]inlineCall{n.calls[:cap(n.calls)], n.next[:cap(n.next)]} {
		clear(list) // hold no bodies
	}
	n.f, n.body.g, n.body.call, n.query = nil, nil, nil, InlineCall{}
	clear(n.sigs)
	clear(n.funcs)
	clear(n.regions)
	f.Loc = 0
}

// ownCalls finds the direct calls of the function that can be reached.
func (n *Inliner) ownCalls() {
	f := n.f
	n.calls = n.calls[:0]
	tries := !takesHandlerAddress(f)
	for _, b := range f.PostOrder(&n.walk) {
		from, waiting := len(n.calls), false
		for inst := f.FirstInst(b); inst != ir.NoInst; inst = f.NextInst(inst) {
			op := f.Inst(inst).Op
			if direct(op) && !waiting && (tries || op != ir.OpTryCall) {
				n.calls = append(n.calls, inlineCall{inst: inst, body: f, orig: inst, outer: ir.NoInlineSite})
			}
			waiting = op == ir.OpGetCallReturnAddress || waiting && !op.IsCall()
		}
		slices.Reverse(n.calls[from:])
	}
}

// direct reports whether op calls a function by its name.
func direct(op ir.Opcode) bool {
	return op == ir.OpCall || op == ir.OpReturnCall || op == ir.OpTryCall
}

// takesHandlerAddress reports whether f has the address of a handler, which names
// the block of a call.
func takesHandlerAddress(f *ir.Function) bool {
	if len(f.ExceptionTables) == 0 {
		return false
	}
	for b := f.Entry(); b != ir.NoBlock; b = f.NextBlock(b) {
		for inst := f.FirstInst(b); inst != ir.NoInst; inst = f.NextInst(inst) {
			if f.Inst(inst).Op == ir.OpGetExceptionHandlerAddress {
				return true
			}
		}
	}
	return false
}

// fits reports whether the answer can take the place of the call, and counts it.
func (n *Inliner) fits(c *inlineCall) bool {
	f, g := n.f, c.callee
	sig := &f.Sigs[f.CallSignature(c.inst)]
	if g.Entry() == ir.NoBlock || g.Sig.CallConv == ir.Go || !slices.Equal(sig.Params, g.Sig.Params) || !slices.Equal(sig.Returns, g.Sig.Returns) {
		return false
	}
	for _, p := range g.Sig.Params {
		if p.Purpose == ir.StructArg { // the callee has a copy of its own
			return false
		}
	}
	// A tag of the call must not be looked up in a context of the body's.
	bare := false
	if d := f.Inst(c.inst); d.Op == ir.OpTryCall {
		h := f.ExceptionTables[d.Imm].Handlers
		bare = firstOf(h, ir.HandlerTag) < firstOf(h, ir.HandlerContext)
	}
	size := 1
	for b := g.Entry(); b != ir.NoBlock; b = g.NextBlock(b) {
		for inst := g.FirstInst(b); inst != ir.NoInst; inst = g.NextInst(inst) {
			size++
			switch d := g.Inst(inst); d.Op {
			case ir.OpGetReturnAddress, ir.OpGetExceptionHandlerAddress:
				return false
			case ir.OpTryCall, ir.OpTryCallIndirect:
				h := g.ExceptionTables[d.Imm].Handlers
				if bare && firstOf(h, ir.HandlerContext) < len(h) {
					return false
				}
			}
		}
	}
	if size > n.left {
		return false
	}
	n.left -= size
	return true
}

// firstOf is the first handler of a kind, or how many there are.
func firstOf(list []ir.Handler, k ir.HandlerKind) int {
	for i := range list {
		if list[i].Kind == k {
			return i
		}
	}
	return len(list)
}

// replace puts the body of c's callee in the place of the call.
func (n *Inliner) replace(c *inlineCall) {
	f, b := n.f, &n.body
	n.begin(c)
	block := f.InstBlock(c.inst)
	args := f.Args(c.inst)
	next := f.NextInst(c.inst)
	f.RemoveInst(c.inst)
	b.at, b.before, b.next = block, ir.NoInst, ir.NoBlock
	switch {
	case b.op == ir.OpCall && len(b.order) == 1 && b.returns == 1:
		b.before = next
	case b.op == ir.OpCall:
		b.next = f.AddBlock()
		f.SetCold(b.next, b.cold)
		f.InsertBlockAfter(b.next, block)
		f.SplitBlock(next, b.next)
		if b.returns != 1 {
			for _, r := range b.results {
				p := f.AddParam(b.next, f.ValueType(r))
				f.SetAlias(r, p)
			}
		}
	}
	last := block
	for x := b.g.Entry(); x != ir.NoBlock; x = b.g.NextBlock(x) {
		switch {
		case !b.seen[x]:
		case x == b.g.Entry():
			b.blocks[x] = block
			for i, p := range b.g.Params(x) {
				b.values[p] = f.Resolve(args[i])
			}
		default:
			y := f.AddBlock()
			f.SetCold(y, b.cold || b.g.Cold(x))
			f.InsertBlockAfter(y, last)
			b.blocks[x], last = y, y
			for _, p := range b.g.Params(x) {
				b.values[p] = f.AddParam(y, b.g.ValueType(p))
			}
		}
	}
	from := len(n.next)
	for _, x := range b.order {
		b.at = b.blocks[x]
		n.copyBlock(x)
	}
	slices.Reverse(n.next[from:])
}

// begin reads the call and the body, and copies the body's preamble.
func (n *Inliner) begin(c *inlineCall) {
	f, g, b := n.f, c.callee, &n.body
	if !n.known {
		n.known = true
		if n.sigs == nil {
			n.sigs, n.funcs, n.regions = make(map[sigKey]ir.SigRef), make(map[funcKey]ir.FuncRef), make(map[uint32]ir.AliasRegion)
		}
		for i := range f.Sigs {
			n.sigs[keyOfSig(&f.Sigs[i])] = ir.SigRef(i)
		}
		for i := range f.ExtFuncs {
			n.funcs[keyOfFunc(f, &f.ExtFuncs[i])] = ir.FuncRef(i)
		}
		for i := range f.Regions {
			n.regions[f.Regions[i].ID] = ir.AliasRegion(i)
		}
	}
	b.g, b.call, b.op = g, c, f.Inst(c.inst).Op
	b.cold = f.Cold(f.InstBlock(c.inst))
	n.locOf.from, n.locOf.to = 0, 0
	b.order = append(b.order[:0], g.PostOrder(&n.walk)...)
	slices.Reverse(b.order)
	b.seen = zeroed(b.seen, g.NumBlocks())
	b.returns = 0
	for _, x := range b.order {
		b.seen[x] = true
		if g.Inst(g.LastInst(x)).Op.Flags()&ir.FlagReturn != 0 {
			b.returns++
		}
	}
	b.values = filled(b.values, g.NumValues(), ir.NoValue)
	b.blocks = filled(b.blocks, g.NumBlocks(), ir.NoBlock)
	b.sigs = filled(b.sigs, len(g.Sigs), ir.NoSig)
	b.funcs = filled(b.funcs, len(g.ExtFuncs), ir.NoFuncRef)

	b.results = append(b.results[:0], f.Results(c.inst)...)
	f.DetachResults(c.inst)
	b.tags = append(b.tags[:0], f.DebugTags(c.inst)...)
	b.maps = append(b.maps[:0], f.StackMap(c.inst)...)
	b.handlers = b.handlers[:0]
	if b.op == ir.OpTryCall {
		b.handlers = append(b.handlers, f.ExceptionTables[f.Inst(c.inst).Imm].Handlers...)
	}
	n.preamble()
}

// preamble copies what every copy of the body has for itself, and finds its alias
// regions, which have their users' numbers.
func (n *Inliner) preamble() {
	f, b := n.f, &n.body
	g := b.g
	b.slots, b.dynSlots, b.globals = ir.StackSlot(len(f.StackSlots)), ir.DynamicStackSlot(len(f.DynamicSlots)), ir.GlobalValue(len(f.Globals))
	f.StackSlots = append(f.StackSlots, g.StackSlots...)
	for _, d := range g.Globals {
		if d.Kind == ir.GlobalLoad || d.Kind == ir.GlobalIAddImm {
			d.Base += b.globals
		}
		f.Globals = append(f.Globals, d)
	}
	types := ir.DynamicType(len(f.DynamicTypes))
	for _, d := range g.DynamicTypes {
		d.Scale += b.globals
		f.DynamicTypes = append(f.DynamicTypes, d)
	}
	for _, d := range g.DynamicSlots {
		d.Type += types
		f.DynamicSlots = append(f.DynamicSlots, d)
	}
	b.regions = b.regions[:0]
	for i := range g.Regions {
		b.regions = append(b.regions, n.region(&g.Regions[i]))
	}
	for i := int(b.globals); i < len(f.Globals); i++ {
		if d := &f.Globals[i]; d.Kind == ir.GlobalLoad {
			d.Flags = b.flags(d.Flags)
		}
	}
}

// region is the function's region with the number that the user gave r.
func (n *Inliner) region(r *ir.RegionData) ir.AliasRegion {
	reg, ok := n.regions[r.ID]
	if !ok {
		if reg, ok = n.f.AddRegion(*r); !ok {
			return ir.AliasRegion(ir.None) // there is no room: accesses name none
		}
		n.regions[r.ID] = reg
	}
	return reg
}

// flags are those of an access of the body.
func (b *bodyCopy) flags(m ir.MemFlags) ir.MemFlags {
	r, ok := m.Region()
	if !ok || b.regions[r] == r {
		return m
	}
	return m.WithRegion(b.regions[r])
}

// sig is a signature of the body in the function.
func (n *Inliner) sig(s ir.SigRef) ir.SigRef {
	b := &n.body
	if b.sigs[s] == ir.NoSig {
		k := keyOfSig(&b.g.Sigs[s])
		r, ok := n.sigs[k]
		if !ok {
			r = n.f.AddSig(b.g.Sigs[s])
			n.sigs[k] = r
		}
		b.sigs[s] = r
	}
	return b.sigs[s]
}

// fn is a function that the body names.
func (n *Inliner) fn(x ir.FuncRef) ir.FuncRef {
	b := &n.body
	if b.funcs[x] == ir.NoFuncRef {
		e := b.g.ExtFuncs[x]
		k := keyOfFunc(b.g, &e)
		r, ok := n.funcs[k]
		if !ok {
			e.Sig = n.sig(e.Sig)
			r = n.f.AddExtFunc(e)
			n.funcs[k] = r
		}
		b.funcs[x] = r
	}
	return b.funcs[x]
}

// value is a value of the body in the function.
func (b *bodyCopy) value(v ir.Value) ir.Value {
	if !v.IsPlain() {
		return v // a result or payload of a try_call
	}
	return b.values[b.g.Resolve(v)]
}

// list is n.args with values of the body.
func (n *Inliner) list(vs []ir.Value) []ir.Value {
	n.args = n.args[:0]
	for _, v := range vs {
		n.args = append(n.args, n.body.value(v))
	}
	return n.args
}

// loc is the location of an instruction of the body. Neighbours often have the same.
func (n *Inliner) loc(l ir.SourceLoc) ir.SourceLoc {
	if n.locOf.to == 0 || n.locOf.from != l {
		n.locOf.from, n.locOf.to = l, n.f.InlinedLoc(n.body.call.site, l)
	}
	return n.locOf.to
}

// put makes an instruction at the place that has been reached.
func (n *Inliner) put(d ir.InstData, args []ir.Value) ir.Inst {
	f, b := n.f, &n.body
	inst := f.AddInst(d, args...)
	if b.before != ir.NoInst {
		f.InsertBefore(inst, b.before)
	} else {
		f.AppendInst(inst, b.at)
	}
	return inst
}

func (n *Inliner) jump(to ir.Block, args []ir.Value) {
	n.f.AddDest(n.put(ir.InstData{Op: ir.OpJump}, nil), to, args...)
}

// copyBlock copies the instructions of a block.
func (n *Inliner) copyBlock(x ir.Block) {
	f, b := n.f, &n.body
	g := b.g
	waiting := false // a get_call_return_address, for its call
	for inst := g.FirstInst(x); inst != ir.NoInst; inst = g.NextInst(inst) {
		f.Loc = n.loc(g.SourceLoc(inst))
		d := n.data(inst)
		args := n.list(g.Args(inst))
		switch op := d.Op; {
		case op == ir.OpReturn:
			n.leave(args)
		case op.IsCall() && op != ir.OpStackSwitch:
			made := n.call(inst, d, args)
			if direct(f.Inst(made).Op) && !waiting {
				n.next = append(n.next, inlineCall{inst: made, body: g, orig: inst, outer: b.call.site, depth: b.call.depth + 1})
			}
		default:
			made := n.put(d, args)
			n.results(inst, made)
			n.dests(inst, made)
			n.tag(inst, made)
		}
		waiting = d.Op == ir.OpGetCallReturnAddress || waiting && !d.Op.IsCall()
	}
}

// data is the data of an instruction of the body, in terms of the function.
func (n *Inliner) data(inst ir.Inst) ir.InstData {
	f, b := n.f, &n.body
	d := *b.g.Inst(inst)
	d.Flags = b.flags(d.Flags)
	switch d.Op.Format() {
	case ir.FormatUnaryConst, ir.FormatShuffle:
		d.Ref = uint32(f.AddConstant(b.g.Constant(ir.Constant(d.Ref))))
	case ir.FormatUnaryGlobalValue:
		d.Ref += uint32(b.globals)
	case ir.FormatStackAddr:
		d.Ref += uint32(b.slots)
	case ir.FormatDynamicStackAddr:
		d.Ref += uint32(b.dynSlots)
	case ir.FormatCall, ir.FormatTryCall, ir.FormatFuncAddr:
		d.Ref = uint32(n.fn(ir.FuncRef(d.Ref)))
	case ir.FormatCallIndirect, ir.FormatTryCallIndirect:
		d.Ref = uint32(n.sig(ir.SigRef(d.Ref)))
	}
	return d
}

// results makes the results of an instruction of the body those of its copy.
func (n *Inliner) results(inst, made ir.Inst) {
	f, g := n.f, n.body.g
	for _, r := range g.Results(inst) {
		n.body.values[r] = f.AddResult(made, g.ValueType(r))
	}
}

// dests copies the block calls of an instruction of the body.
func (n *Inliner) dests(inst, made ir.Inst) {
	f, g := n.f, n.body.g
	for i := range g.Dests(inst) {
		f.AddDest(made, n.body.blocks[g.Dests(inst)[i].Block], n.list(g.DestArgs(inst, i))...)
	}
}

// tag gives the copy the debug tags of the call, and its own.
func (n *Inliner) tag(inst, made ir.Inst) {
	own := n.body.g.DebugTags(inst)
	if len(own) == 0 {
		return
	}
	n.tags = append(n.tags[:0], n.body.tags...)
	for _, t := range own {
		if t.Kind == ir.DebugStackSlot {
			t.Value += uint32(n.body.slots)
		}
		n.tags = append(n.tags, t)
	}
	n.f.SetDebugTags(made, n.tags)
}

// stackMap gives the copy of a call what is live around the call that is replaced,
// and its own.
func (n *Inliner) stackMap(inst, made ir.Inst) {
	for _, e := range n.body.maps {
		n.f.AddStackMapEntry(made, e)
	}
	for _, e := range n.body.g.StackMap(inst) {
		e.Slot += n.body.slots
		n.f.AddStackMapEntry(made, e)
	}
}

// leave is a return of the body, with the values that it returns.
func (n *Inliner) leave(values []ir.Value) {
	f, b := n.f, &n.body
	switch b.op {
	case ir.OpReturnCall:
		n.put(ir.InstData{Op: ir.OpReturn}, values)
	case ir.OpTryCall:
		n.leaveTry(values)
	default:
		if b.returns == 1 {
			for i, r := range b.results {
				f.SetAlias(r, values[i])
			}
			values = nil
		}
		if b.before == ir.NoInst {
			n.jump(b.next, values)
		}
	}
}

// leaveTry jumps to the normal destination of the try_call that is replaced.
func (n *Inliner) leaveTry(values []ir.Value) {
	f, call := n.f, n.body.call.inst
	jump := n.put(ir.InstData{Op: ir.OpJump}, nil)
	f.AddDest(jump, f.Dests(call)[0].Block, f.DestArgs(call, 0)...)
	for i, v := range f.DestArgs(jump, 0) {
		if r, ok := v.IsRetArg(); ok {
			f.DestArgs(jump, 0)[i] = values[r]
		}
	}
}

// call copies a call of the body.
func (n *Inliner) call(inst ir.Inst, d ir.InstData, args []ir.Value) (made ir.Inst) {
	f, b := n.f, &n.body
	op := d.Op
	own := op == ir.OpTryCall || op == ir.OpTryCallIndirect
	tail := op == ir.OpReturnCall || op == ir.OpReturnCallIndirect
	indirect := d.Op.Format() == ir.FormatCallIndirect || d.Op.Format() == ir.FormatTryCallIndirect
	switch {
	case own || b.op == ir.OpTryCall:
		d.Op = ir.OpTryCall
		if indirect {
			d.Op = ir.OpTryCallIndirect
		}
	case tail && b.op != ir.OpReturnCall:
		d.Op = ir.OpCall
		if indirect {
			d.Op = ir.OpCallIndirect
		}
	}
	if d.Op == ir.OpTryCall || d.Op == ir.OpTryCallIndirect {
		d.Imm = int64(n.exceptionTable(inst, own))
	}
	if tail && b.op != ir.OpReturnCall {
		f.Loc = f.SourceLoc(b.call.inst) // the body's function would be gone
	}
	made = n.put(d, args)
	n.tag(inst, made)
	if d.Op != ir.OpReturnCall && d.Op != ir.OpReturnCallIndirect {
		n.stackMap(inst, made)
	}
	call := b.call.inst
	switch {
	case d.Op == op && !own: // as it was
		n.results(inst, made)
	case own:
		n.dests(inst, made)
		n.handlers(made)
	case d.Op == ir.OpCall || d.Op == ir.OpCallIndirect: // it was a tail call
		f.AddResults(made)
		n.args = append(n.args[:0], f.Results(made)...)
		n.leave(n.args)
	case tail:
		f.AddDest(made, f.Dests(call)[0].Block, f.DestArgs(call, 0)...)
		n.handlers(made)
	default:
		// The block goes on in another one, which gets the results.
		next := f.AddBlock()
		f.SetCold(next, f.Cold(b.at))
		f.InsertBlockAfter(next, b.at)
		n.args = n.args[:0]
		for i, r := range b.g.Results(inst) {
			b.values[r] = f.AddParam(next, b.g.ValueType(r))
			n.args = append(n.args, ir.RetArg(i))
		}
		f.AddDest(made, next, n.args...)
		n.handlers(made)
		b.at = next
	}
	return made
}

// handlers appends the destinations of the handlers of the try_call that is
// replaced, if it is one.
func (n *Inliner) handlers(made ir.Inst) {
	if n.body.op != ir.OpTryCall {
		return
	}
	f, call := n.f, n.body.call.inst
	for i := 1; i < len(f.Dests(call)); i++ {
		f.AddDest(made, f.Dests(call)[i].Block, f.DestArgs(call, i)...)
	}
}

// exceptionTable is a table with the body's own handlers of a call, if it has some,
// and those of the call that is replaced.
func (n *Inliner) exceptionTable(inst ir.Inst, own bool) ir.ExceptionTable {
	b := &n.body
	t := ir.ExceptionTableData{Sig: n.sig(b.g.CallSignature(inst))}
	if own {
		for _, h := range b.g.ExceptionTables[b.g.Inst(inst).Imm].Handlers {
			if h.Kind == ir.HandlerContext {
				h.Context = b.value(h.Context)
			}
			t.Handlers = append(t.Handlers, h)
		}
	}
	t.Handlers = append(t.Handlers, b.handlers...)
	return n.f.AddExceptionTable(t)
}
