package wat

import (
	"fmt"

	"github.com/davit-wasm/davit/wasm"
)

// Folding only changes how a sequence of instructions is written: operands that
// stand in front of an operator in the code stand behind it in the text, and
// reading moves them back. So any run of instructions directly before an
// operator may be folded into it without a change of meaning, and what follows
// needs no knowledge of types: an operator takes as many of the expressions
// before it as it has operands, if each of them gives one value. Where that is
// not known, it takes none.

// exprNode is an instruction with what was folded into it, or a part of an if.
type exprNode struct {
	hint          uint32 // in folder.text up to text: annotations in front of it
	text, textEnd uint32 // in folder.text, without parentheses
	first, next   int32  // first child, next sibling; noNode if there is none
	single        bool   // it gives one value
	flat          bool   // children can stand in one line
}

const noNode = -1

// openBlock is a block whose end has not been read.
type openBlock struct {
	node  int32 // the block; of an if, its part
	whole int32 // the if, or the block
	base  int   // where its expressions begin in folder.items
}

// folder builds the expressions of a function.
type folder struct {
	text  []byte
	nodes []exprNode
	items []int32 // expressions of the open blocks, outer ones first
	open  []openBlock
	stack []int32 // for printing
}

// node makes a node of its text, behind that of an annotation.
func (f *folder) node(hint, text []byte) int32 {
	n := exprNode{hint: uint32(len(f.text)), first: noNode, next: noNode}
	f.text = append(f.text, hint...)
	n.text = uint32(len(f.text))
	f.text = append(f.text, text...)
	n.textEnd = uint32(len(f.text))
	f.nodes = append(f.nodes, n)
	return int32(len(f.nodes) - 1)
}

// adopt makes the expressions from index base on children of node n, behind
// those that it has.
func (f *folder) adopt(n int32, base int) {
	last := &f.nodes[n].first
	for *last != noNode {
		last = &f.nodes[*last].next
	}
	for _, child := range f.items[base:] {
		*last = child
		last = &f.nodes[child].next
	}
	f.items = f.items[:base]
}

// operands is how many expressions at the end of the current block an operator
// with n operands takes: n or none.
func (f *folder) operands(n int) int {
	base := 0
	if len(f.open) > 0 {
		base = f.open[len(f.open)-1].base
	}
	if n > len(f.items)-base {
		return 0
	}
	for _, item := range f.items[len(f.items)-n:] {
		if !f.nodes[item].single {
			return 0
		}
	}
	return n
}

// folded writes the instructions of a function folded.
func (p *printer) folded() {
	c := &p.code
	f := &p.folder
	f.text, f.nodes, f.items, f.open = f.text[:0], f.nodes[:0], f.items[:0], f.open[:0]
	for p.next() {
		op := c.in.Op
		switch {
		case op == wasm.OpEnd && len(f.open) == 0:
			if p.next() {
				p.err = fmt.Errorf("printing: code after the end of the function at offset %#x", c.in.Offset)
			}
			p.writeItems()
			return
		case op == wasm.OpEnd:
			b := f.open[len(f.open)-1]
			f.open = f.open[:len(f.open)-1]
			f.adopt(b.node, b.base)
			f.items = append(f.items, b.whole)
			p.trackLabel()
			continue
		case op == wasm.OpElse:
			if len(f.open) == 0 || f.open[len(f.open)-1].node == f.open[len(f.open)-1].whole {
				p.err = fmt.Errorf("printing: else without if at offset %#x", c.in.Offset)
				return
			}
			b := &f.open[len(f.open)-1]
			f.adopt(b.node, b.base)
			part := f.node(nil, []byte("else"))
			f.nodes[b.node].next = part
			b.node = part
			continue
		}
		start := len(p.b)
		p.hint()
		middle := len(p.b)
		p.instr()
		n := f.node(p.b[start:middle], p.b[middle:])
		p.b = p.b[:start]
		switch op {
		case wasm.OpBlock, wasm.OpLoop, wasm.OpTryTable:
			f.nodes[n].single = p.blockResults() == 1
			f.open = append(f.open, openBlock{node: n, whole: n, base: len(f.items)})
		case wasm.OpIf:
			f.nodes[n].single = p.blockResults() == 1
			f.adopt(n, len(f.items)-f.operands(1))
			then := f.node(nil, []byte("then"))
			f.items = append(f.items, then)
			f.adopt(n, len(f.items)-1)
			f.open = append(f.open, openBlock{node: then, whole: n, base: len(f.items)})
		default:
			params, results := p.arity()
			taken := f.operands(params)
			flat := taken <= 3
			for _, child := range f.items[len(f.items)-taken:] {
				flat = flat && f.nodes[child].first == noNode
			}
			f.adopt(n, len(f.items)-taken)
			f.nodes[n].single, f.nodes[n].flat = results == 1, flat
			f.items = append(f.items, n)
		}
		p.trackLabel()
	}
}

// writeItems writes all expressions, each in a line of its own unless it fits
// into that of its operator.
func (p *printer) writeItems() {
	f := &p.folder
	f.stack = f.stack[:0]
	for _, item := range f.items {
		p.writeItem(item)
	}
}

func (p *printer) writeItem(root int32) {
	f := &p.folder
	for n := root; ; {
		if n == noNode {
			p.b = append(p.b, ')')
			parent := f.stack[len(f.stack)-1]
			f.stack = f.stack[:len(f.stack)-1]
			if len(f.stack) == 0 {
				return
			}
			n = f.nodes[parent].next
			continue
		}
		if depth := len(f.stack); depth > 0 && f.nodes[f.stack[depth-1]].flat {
			p.space()
		} else {
			p.newline(depth + 1)
		}
		x := &f.nodes[n]
		p.b = append(p.b, f.text[x.hint:x.text]...)
		p.b = append(append(p.b, '('), f.text[x.text:x.textEnd]...)
		f.stack = append(f.stack, n)
		n = f.nodes[n].first
	}
}

// blockResults is how many values the block that begins gives.
func (p *printer) blockResults() int {
	b := &p.code.in.Block
	switch {
	case !b.IsIndex && b.Result == 0:
		return 0
	case !b.IsIndex:
		return 1
	}
	_, results := p.signature(b.Index)
	return results
}

// signature is how many parameters and results function type i has.
func (p *printer) signature(i uint32) (params, results int) {
	if int(i) >= len(p.m.Types) || p.m.Types[i].Kind != wasm.CompositeFunc {
		return 0, 0
	}
	f := &p.m.Types[i].Func
	return len(f.Params), len(f.Results)
}

// arity is how many operands and results the instruction that was read has, as
// far as that is easily known.
func (p *printer) arity() (params, results int) {
	in := &p.code.in
	m := p.m
	if s := &in.Op.Info().Sig; s.Fixed {
		return int(s.NumParams), int(s.NumResults)
	}
	switch in.Op {
	case wasm.OpLocalGet, wasm.OpGlobalGet, wasm.OpRefNull, wasm.OpRefFunc, wasm.OpMemorySize, wasm.OpTableSize:
		return 0, 1
	case wasm.OpLocalSet, wasm.OpGlobalSet, wasm.OpDrop, wasm.OpBrIf, wasm.OpBrTable, wasm.OpThrowRef:
		return 1, 0
	case wasm.OpLocalTee, wasm.OpRefIsNull, wasm.OpTableGet, wasm.OpMemoryGrow, wasm.OpRefAsNonNull,
		wasm.OpRefTest, wasm.OpRefTestNull, wasm.OpRefCast, wasm.OpRefCastNull, wasm.OpStructGet, wasm.OpStructGetS,
		wasm.OpStructGetU, wasm.OpArrayNewDefault, wasm.OpArrayLen, wasm.OpRefI31, wasm.OpI31GetS, wasm.OpI31GetU,
		wasm.OpAnyConvertExtern, wasm.OpExternConvertAny:
		return 1, 1
	case wasm.OpSelect, wasm.OpSelectTyped:
		return 3, 1
	case wasm.OpTableSet, wasm.OpStructSet:
		return 2, 0
	case wasm.OpTableGrow, wasm.OpArrayNew, wasm.OpArrayNewData, wasm.OpArrayNewElem, wasm.OpArrayGet,
		wasm.OpArrayGetS, wasm.OpArrayGetU, wasm.OpRefEq:
		return 2, 1
	case wasm.OpMemoryFill, wasm.OpMemoryCopy, wasm.OpMemoryInit, wasm.OpTableFill, wasm.OpTableCopy, wasm.OpTableInit,
		wasm.OpArraySet:
		return 3, 0
	case wasm.OpArrayNewFixed:
		return int(in.Index2), 1
	case wasm.OpStructNewDefault:
		return 0, 1
	case wasm.OpStructNew:
		if int(in.Index) < len(m.Types) {
			return len(m.Types[in.Index].Fields), 1
		}
	case wasm.OpCall, wasm.OpReturnCall:
		if int(in.Index) < len(m.Funcs) {
			params, results = p.signature(m.Funcs[in.Index].Type)
		}
	case wasm.OpCallIndirect, wasm.OpReturnCallIndirect, wasm.OpCallRef, wasm.OpReturnCallRef:
		params, results = p.signature(in.Index)
		params++
	case wasm.OpThrow:
		if int(in.Index) < len(m.Tags) {
			params, _ = p.signature(m.Tags[in.Index].Type)
		}
	}
	return params, results
}
