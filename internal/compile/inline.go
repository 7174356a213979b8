package compile

import (
	"sort"

	"github.com/davit-wasm/davit/codegen"
	"github.com/davit-wasm/davit/codegen/ir"
	"github.com/davit-wasm/davit/codegen/isa"
	"github.com/davit-wasm/davit/internal/translate"
)

// Which calls are replaced by the bodies of what they call.
//
// Compilers that make WebAssembly have inlined what they found worth it, so what is
// left is little and well chosen: functions that are small, called from loops, or
// that call themselves. A body costs its size, in instructions of the IR; a call
// saves what passing arguments, keeping values over it, and the frame cost. The
// answer depends on the module and the function only, never on what the worker has
// done before.
//
// Bodies are translated anew, from WebAssembly, and kept by each worker for other
// calls. A body that cannot be translated is not inlined; its error comes up when
// its own turn comes.

// Limits, in instructions of the IR that may become code, unless they say
// otherwise. They are tuned with the corpus of module bench: larger ones make code
// grow without making it faster.
const (
	// smallBody is the largest body that is inlined where it is not in a loop,
	// hotBody in loops; tinyBody if code is to be small, too.
	tinyBody  = 8
	smallBody = 10
	hotBody   = 20
	// constArg is what an argument that is known makes of a body, in instructions
	// that go away.
	constArg = 2
	// callCost is what a call takes, beside an instruction for each argument.
	callCost = 3
	// recursiveBody is the largest body of a function that is inlined into itself,
	// recursiveDepth how often along one chain of calls.
	recursiveBody  = 24
	recursiveDepth = 3
	// maxDepth is how deep bodies are inlined into bodies.
	maxDepth = 6
	// A function grows by at most leastGrowth, or its own size over growthShare,
	// what it has of itself aside.
	leastGrowth = 40
	growthShare = 10
	// Bodies of more than maxBytes of WebAssembly are not even translated to be looked
	// at: they are hardly ever small enough.
	maxBytes = 128
	// everyBody and everyGrowth are the limits if everything is inlined, for tests.
	everyBody   = 1000
	everyGrowth = 1500
	// cacheSize is how much a worker keeps of bodies, in instructions of any kind.
	cacheSize = 1 << 18
)

// inliner answers the code generator's questions for one function after the other.
type inliner struct {
	*job
	f     *ir.Function
	index uint32
	calls []translate.Call
	left  int // how much the function may still grow
	sites []site

	ask    func(*codegen.InlineCall) *ir.Function // answer
	tr     translate.Translator
	bodies map[uint32]*body
	free   []*body
	kept   int
}

// site is an inline site of the function, by its number.
type site struct {
	body  *body
	outer uint32
	loops uint32
}

// body is a translated body.
type body struct {
	index uint32
	f     *ir.Function
	calls []translate.Call
	size  int  // see sizeOf
	bad   bool // it cannot be translated
	// A body that has a loop, or calls itself, had better stay by itself: calls of it
	// are few beside its turns, and it wants the registers.
	looping, recursive bool
}

// begin is the answerer for a function that has been translated to f, or nil if
// nothing is to be inlined.
func (n *inliner) begin(j *job, index uint32, f *ir.Function, calls []translate.Call) func(*codegen.InlineCall) *ir.Function {
	if len(calls) == 0 || j.target.Shared.OptLevel == isa.OptNone || !j.target.Shared.Inlining {
		return nil
	}
	n.job, n.f, n.index, n.calls = j, f, index, calls
	n.left = max(leastGrowth, f.NumInsts()/growthShare)
	if n.everything {
		n.left = everyGrowth
	}
	n.sites = n.sites[:0]
	if n.kept > cacheSize {
		n.forget()
	}
	if n.ask == nil {
		n.ask = n.answer
	}
	return n.ask
}

// release forgets the module.
func (n *inliner) release() {
	n.forget()
	n.tr.Release()
	n.job, n.f, n.calls = nil, nil, nil
}

// forget makes the bodies free.
func (n *inliner) forget() {
	for _, b := range n.bodies {
		n.free = append(n.free, b)
	}
	clear(n.bodies)
	n.kept = 0
}

// answer is the body to take the place of a call, or nil.
func (n *inliner) answer(c *codegen.InlineCall) *ir.Function {
	if c.Callee.Namespace != translate.FunctionNamespace || c.Depth >= maxDepth || n.left <= 0 {
		return nil
	}
	index := c.Callee.Index
	if len(n.module.Wasm.Body(index).Body) > maxBytes && !n.everything || endsInTrap(c.Body, c.Inst) {
		return nil
	}
	calls, loops := n.calls, uint32(0)
	again := 0
	if index == n.index {
		again++
	}
	if c.Outer != ir.NoInlineSite {
		calls, loops = n.sites[c.Outer].body.calls, n.sites[c.Outer].loops
		for s := c.Outer; s != ir.NoInlineSite; s = n.sites[s].outer {
			if n.sites[s].body.index == index {
				again++
			}
		}
	}
	i := sort.Search(len(calls), func(i int) bool { return calls[i].Inst >= c.Inst })
	if i < len(calls) && calls[i].Inst == c.Inst {
		loops += calls[i].Loops
	}
	b := n.body(index)
	if b.bad {
		return nil
	}
	limit := smallBody
	switch {
	case n.everything:
		limit = everyBody
	case n.target.Shared.OptLevel == isa.OptSpeedAndSize:
		limit = tinyBody
	case again > recursiveDepth, index != n.index && (again > 0 || b.looping || b.recursive):
		limit = 0
	case again > 0:
		limit = recursiveBody
	case loops > 0:
		limit = hotBody
	}
	if limit > 0 && again == 0 {
		for _, a := range c.Body.Args(c.Inst)[1:] {
			if isConst(c.Body, a) {
				limit += constArg
			}
		}
	}
	cost := b.size - len(c.Body.Args(c.Inst)) - callCost
	if b.size > limit || cost > n.left {
		return nil
	}
	if again > 0 {
		cost = 0
	}
	n.left -= max(cost, 0)
	for len(n.sites) <= int(c.Site) {
		n.sites = append(n.sites, site{})
	}
	n.sites[c.Site] = site{b, c.Outer, loops}
	return b.f
}

func isConst(f *ir.Function, v ir.Value) bool {
	inst, _ := f.ValueInst(f.Resolve(v))
	if inst == ir.NoInst {
		return false
	}
	switch f.Inst(inst).Op {
	case ir.OpIconst, ir.OpF32const, ir.OpF64const:
		return true
	}
	return false
}

// endsInTrap reports whether a trap follows a call: it reports an error, and is
// rarely made.
func endsInTrap(f *ir.Function, call ir.Inst) bool {
	next := f.NextInst(call)
	for next != ir.NoInst && f.Inst(next).Op == ir.OpLoad { // of fuel
		next = f.NextInst(next)
	}
	return next != ir.NoInst && f.Inst(next).Op == ir.OpTrap
}

// body is the body of a function of the module.
func (n *inliner) body(index uint32) *body {
	if b := n.bodies[index]; b != nil {
		return b
	}
	var b *body
	if k := len(n.free); k > 0 {
		b, n.free = n.free[k-1], n.free[:k-1]
	} else {
		b = &body{f: ir.NewFunction(ir.Name{}, ir.Signature{})}
	}
	b.index = index
	if b.bad = n.tr.Body(n.module, index, b.f) != nil; !b.bad {
		b.calls = append(b.calls[:0], n.tr.Calls()...)
		b.size, b.looping, b.recursive = sizeOf(b.f)-n.tr.CountingSize(), n.tr.Looping(), false
		for _, c := range b.calls {
			b.recursive = b.recursive || c.Func == index
		}
	}
	if n.bodies == nil {
		n.bodies = make(map[uint32]*body)
	}
	n.bodies[index] = b
	n.kept += b.f.NumInsts()
	return b
}

// sizeOf is the number of instructions of f that may become code.
func sizeOf(f *ir.Function) int {
	size := 0
	for b := f.Entry(); b != ir.NoBlock; b = f.NextBlock(b) {
		for inst := f.FirstInst(b); inst != ir.NoInst; inst = f.NextInst(inst) {
			switch f.Inst(inst).Op {
			case ir.OpIconst, ir.OpF32const, ir.OpF64const, ir.OpJump, ir.OpReturn, ir.OpUextend, ir.OpNop:
			default:
				size++
			}
		}
	}
	return size
}
