package translate

import (
	"github.com/davit-wasm/davit/codegen/frontend"
	"github.com/davit-wasm/davit/codegen/ir"
	"github.com/davit-wasm/davit/internal/image"
	"github.com/davit-wasm/davit/wasm"
)

// frame is an open block, loop, if, or the function itself.
//
// Values that cross the frame's borders are block parameters: target has one
// for each value that a branch to the frame's label carries, exit one for each
// result. They are the same block but for loops, whose label is at the start
// and whose end has no block of its own: it is reached by falling through only.
type frame struct {
	kind      frameKind
	target    ir.Block
	exit      ir.Block // NoBlock for loops
	otherwise ir.Block // frameIf: the block of else
	results   []wasm.ValType
	params    []wasm.ValType
	height    int // of the operand stack below the parameters
	used      bool
	// Whether memory may be behind the counters: at the exit, and at the block of else.
	ahead, elseAhead ahead
}

type frameKind uint8

const (
	frameFunction frameKind = iota
	frameBlock
	frameLoop
	frameIf
	frameElse
)

// blockTypes are the parameters and results of a block type. A single result
// is kept in one.
func (t *Translator) blockTypes(b wasm.BlockType) (params, results []wasm.ValType) {
	if b.IsIndex {
		ft := &t.m.Wasm.Types[b.Index].Func
		return ft.Params, ft.Results
	}
	if b.Result != 0 {
		return nil, singleResult(b.Result)
	}
	return nil, nil
}

// singles holds one-element lists of the common types, so that blocks with one
// result cost no allocation.
var singles = map[wasm.ValType][]wasm.ValType{
	wasm.I32: {wasm.I32}, wasm.I64: {wasm.I64}, wasm.F32: {wasm.F32}, wasm.F64: {wasm.F64}, wasm.V128: {wasm.V128}, wasm.FuncRef: {wasm.FuncRef}, wasm.ExternRef: {wasm.ExternRef},
}

func singleResult(typ wasm.ValType) []wasm.ValType {
	if s, ok := singles[typ]; ok {
		return s
	}
	return []wasm.ValType{typ}
}

// block makes a block with a parameter for each type.
func (t *Translator) block(types []wasm.ValType) ir.Block {
	b := t.b.CreateBlock()
	for _, typ := range types {
		t.b.AppendParam(b, Type(typ))
	}
	return b
}

func (t *Translator) control() bool {
	switch t.in.Op {
	case wasm.OpUnreachable:
		t.b.Trap(trap(image.TrapUnreachable))
		t.dead = 1
	case wasm.OpBlock:
		params, results := t.blockTypes(t.in.Block)
		exit := t.block(results)
		t.b.SetDominator(exit, t.b.Current())
		t.frames = append(t.frames, frame{kind: frameBlock, target: exit, exit: exit, results: results, height: len(t.stack) - len(params)})
	case wasm.OpLoop:
		params, results := t.blockTypes(t.in.Block)
		header := t.block(params)
		t.b.SetDominator(header, t.b.Current())
		t.b.Jump(header, t.popN(len(params))...)
		t.b.SwitchTo(header)
		t.loops++
		t.looping = true
		t.frames = append(t.frames, frame{kind: frameLoop, target: header, exit: ir.NoBlock, params: params, results: results, height: len(t.stack)})
		t.stack = append(t.stack, t.f.Params(header)...)
		if t.fuel.on {
			t.turnFuel()
		}
		if t.epoch.on {
			t.checkEpoch()
		}
	case wasm.OpIf:
		c := t.popCond()
		params, results := t.blockTypes(t.in.Block)
		exit := t.block(results)
		t.b.SetDominator(exit, t.b.Current())
		then, otherwise := t.block(params), t.block(params)
		args := t.popN(len(params))
		t.b.Brif(c, then, args, otherwise, args)
		t.b.Seal(then)
		t.b.Seal(otherwise)
		t.b.SwitchTo(then)
		t.frames = append(t.frames, frame{kind: frameIf, target: exit, exit: exit, otherwise: otherwise, params: params, results: results, height: len(t.stack), elseAhead: t.ahead()})
		t.newSegment()
		t.stack = append(t.stack, t.f.Params(then)...)
	case wasm.OpElse:
		t.leave()
		t.startElse()
	case wasm.OpEnd:
		t.end()
	case wasm.OpBr:
		t.branch(t.in.Index)
		t.dead = 1
	case wasm.OpBrIf:
		t.branchIf(t.popCond(), t.in.Index)
	case wasm.OpBrTable:
		t.branchTable()
		t.dead = 1
	case wasm.OpReturn:
		t.suspendToReturn()
		t.b.Return(t.popN(len(t.frames[0].results))...)
		t.dead = 1
	case wasm.OpBrOnNull:
		ref := t.pop()
		t.branchIf(t.isNull(ref), t.in.Index)
		t.push(ref)
	case wasm.OpBrOnNonNull:
		// The branch carries the reference; falling through drops it.
		ref := t.top()
		t.branchIf(t.compare(ir.NotEqual, ref, t.iconst(ir.I64, 0)), t.in.Index)
		t.pop()
	default:
		return false
	}
	return true
}

// skip follows the nesting of code that cannot be reached.
func (t *Translator) skip() {
	switch t.in.Op {
	case wasm.OpBlock, wasm.OpLoop, wasm.OpIf, wasm.OpTryTable:
		t.dead++
	case wasm.OpElse:
		if t.dead == 1 {
			t.dead = 0
			t.startElse()
		}
	case wasm.OpEnd:
		t.dead--
		if t.dead == 0 {
			t.endUnreached()
		}
	}
}

// leave jumps from the end of the innermost frame's code to its exit.
func (t *Translator) leave() {
	fr := &t.frames[len(t.frames)-1]
	t.b.Jump(fr.exit, t.topN(len(fr.results))...)
	fr.used = true
	fr.ahead.add(t.ahead())
}

// startElse begins the second half of an if.
func (t *Translator) startElse() {
	fr := &t.frames[len(t.frames)-1]
	fr.kind = frameElse
	t.stack = append(t.stack[:fr.height], t.f.Params(fr.otherwise)...)
	t.b.SwitchTo(fr.otherwise)
	t.newSegment()
	t.setAhead(fr.elseAhead)
}

// end closes the innermost frame, whose end is reached.
func (t *Translator) end() {
	fr := &t.frames[len(t.frames)-1]
	switch fr.kind {
	case frameLoop:
		// The results stay where they are.
		t.b.Seal(fr.target)
		t.loops--
		t.frames = t.frames[:len(t.frames)-1]
		return
	case frameFunction:
		if !fr.used {
			t.suspendToReturn()
			t.b.Return(t.topN(len(fr.results))...)
			t.b.Seal(fr.exit)
			return
		}
	}
	t.leave()
	t.close()
}

// endUnreached closes the innermost frame, whose end is not reached.
func (t *Translator) endUnreached() {
	fr := &t.frames[len(t.frames)-1]
	if fr.kind == frameLoop {
		t.b.Seal(fr.target)
		t.loops--
		t.dead = 1
		t.stack = t.stack[:fr.height]
		t.frames = t.frames[:len(t.frames)-1]
		return
	}
	t.close()
}

// close ends the innermost frame, which is no loop, and goes on at its exit, if
// anything leads there.
func (t *Translator) close() {
	if t.frames[len(t.frames)-1].kind == frameIf {
		// There is no else: the condition's other way leads to the end.
		t.startElse()
		t.leave()
	}
	fr := &t.frames[len(t.frames)-1]
	t.b.Seal(fr.exit)
	t.stack = t.stack[:fr.height]
	if fr.used {
		t.b.SwitchTo(fr.exit)
		t.newSegment()
		t.setAhead(fr.ahead)
		t.stack = append(t.stack, t.f.Params(fr.exit)...)
		if fr.kind == frameFunction {
			t.suspendToReturn()
			t.b.Return(t.stack...)
		}
	} else if fr.kind != frameFunction {
		t.dead = 1
	}
	t.frames = t.frames[:len(t.frames)-1]
}

// label is the frame that a label refers to.
func (t *Translator) label(depth uint32) *frame {
	fr := &t.frames[len(t.frames)-1-int(depth)]
	fr.used = true
	fr.ahead.add(t.ahead())
	return fr
}

// carried is how many values a branch to fr carries.
func (fr *frame) carried() int {
	if fr.kind == frameLoop {
		return len(fr.params)
	}
	return len(fr.results)
}

func (t *Translator) branch(depth uint32) {
	fr := t.label(depth)
	t.b.Jump(fr.target, t.topN(fr.carried())...)
}

func (t *Translator) branchIf(c ir.Value, depth uint32) {
	fr := t.label(depth)
	next := t.b.CreateBlock()
	t.b.Brif(c, fr.target, t.topN(fr.carried()), next, nil)
	t.b.Seal(next)
	t.b.SwitchTo(next)
	t.newSegment()
}

func (t *Translator) branchTable() {
	index := t.pop()
	labels := t.in.Labels
	dest := func(depth uint32) frontend.Dest {
		fr := t.label(depth)
		return frontend.Dest{Block: fr.target, Args: t.topN(fr.carried())}
	}
	t.dests = t.dests[:0]
	for _, l := range labels[:len(labels)-1] {
		t.dests = append(t.dests, dest(l))
	}
	t.b.BrTable(index, dest(labels[len(labels)-1]), t.dests)
}

// seldom emits what is done if c holds, which is seldom, out of the way of what
// comes after it.
func (t *Translator) seldom(c ir.Value, do func()) {
	then, next := t.b.CreateBlock(), t.b.CreateBlock()
	t.f.SetCold(then, true)
	t.b.SetDominator(next, t.b.Current())
	t.b.Brif(c, then, nil, next, nil)
	t.b.Seal(then)
	t.b.SwitchTo(then)
	do()
	t.b.Jump(next)
	t.b.Seal(next)
	t.b.SwitchTo(next)
}
