package x64

import (
	"slices"

	"github.com/davit-wasm/davit/codegen/internal/machine"
	"github.com/davit-wasm/davit/codegen/ir"
)

// This file finds the i32 values whose register has zeros in its upper half, so
// that extending them to 64 bits takes nothing. WebAssembly extends an index
// for every access to memory.
//
// An instruction that writes a 32-bit register clears the upper half. So what
// such an instruction computes is extended already; what merely passes values
// on (a block parameter, select) is if all of those are. Parameters are taken to
// be extended until an argument is found that is not, which is done over until
// nothing changes: loops carry the property that way. The convention tail passes
// i32 values extended.
//
// The value stays in one register all the time: moves, spills and reloads are
// of 64 bits.

// zextRounds bounds the passes over the function. Without a result by then, no
// block parameter counts as extended.
const zextRounds = 10

// Prepare implements machine.Backend.
func (b *Backend) Prepare(l *machine.Lower) {
	f := b.f
	b.zext = slices.Grow(b.zext[:0], f.NumValues())[:f.NumValues()]
	clear(b.zext)
	some := false
	for i := range l.Order.Blocks {
		ob := &l.Order.Blocks[i]
		if ob.Dest >= 0 {
			continue
		}
		entry := ob.IR == f.Entry()
		for _, v := range f.Params(ob.IR) {
			if f.ValueType(v) == ir.I32 {
				b.zext[v] = !entry || b.conv.Extends32
				some = some || !entry
			}
		}
	}
	for round := 0; ; round++ {
		changed := b.zextRound(l, round == zextRounds)
		if !changed || !some {
			return
		}
		if round == zextRounds {
			// The last round took all parameters for unknown, and cleared them;
			// what was computed before from them has to be computed again.
			b.zextRound(l, false)
			return
		}
	}
}

// zextRound computes all values from what is known of block parameters, and
// takes back what is not so for these, or everything if giveUp is set. It
// reports whether it took anything back.
func (b *Backend) zextRound(l *machine.Lower, giveUp bool) (changed bool) {
	f := b.f
	for i := range l.Order.Blocks {
		ob := &l.Order.Blocks[i]
		if ob.Dest >= 0 {
			continue
		}
		if giveUp && ob.IR != f.Entry() {
			for _, v := range f.Params(ob.IR) {
				changed = changed || b.zext[v]
				b.zext[v] = false
			}
		}
		last := f.LastInst(ob.IR)
		for inst := f.FirstInst(ob.IR); inst != ir.NoInst; inst = f.NextInst(inst) {
			for k, v := range f.Results(inst) {
				if f.ValueType(v) == ir.I32 {
					b.zext[v] = b.clearsUpper(inst, k)
				}
			}
		}
		for d, call := range f.Dests(last) {
			params := f.Params(call.Block)
			for k, v := range f.DestArgs(last, d) {
				if p := params[k]; b.zext[p] && !(v.IsPlain() && b.zext[f.Resolve(v)]) {
					b.zext[p] = false
					changed = true
				}
			}
		}
	}
	return changed
}

// clearsUpper reports whether result k of inst, an i32, comes with a clear
// upper half.
func (b *Backend) clearsUpper(inst ir.Inst, k int) bool {
	f := b.f
	switch op := f.Inst(inst).Op; op {
	case ir.OpIconst, ir.OpLoad, ir.OpUload8, ir.OpUload16, ir.OpSload8, ir.OpSload16, ir.OpUextend, ir.OpPopcnt:
		return true
	case ir.OpIadd, ir.OpIsub, ir.OpIneg, ir.OpImul, ir.OpBand, ir.OpBor, ir.OpBxor, ir.OpBnot, ir.OpIshl, ir.OpUshr, ir.OpSshr,
		ir.OpRotl, ir.OpRotr, ir.OpUdiv, ir.OpUrem:
		// With a neutral element, or the same value twice, the result may simply be
		// the other operand.
		args := f.Args(inst)
		x := f.Resolve(args[0])
		if len(args) == 1 {
			return true
		}
		y := f.Resolve(args[1])
		if x != y && !b.neutral(x) && !b.neutral(y) {
			return true
		}
		return b.extended32(x) && b.extended32(y)
	case ir.OpSelect, ir.OpSelectSpectreGuard:
		return b.extended32(f.Arg(inst, 1)) && b.extended32(f.Arg(inst, 2))
	case ir.OpCall, ir.OpCallIndirect:
		conv, err := b.convention(f.Sigs[f.CallSignature(inst)].CallConv)
		return err == nil && conv.Extends32
	}
	return false
}

// extended32 reports whether v has a clear upper half, if it is an i32; shift
// amounts of other types don't matter.
func (b *Backend) extended32(v ir.Value) bool {
	return b.f.ValueType(v) != ir.I32 || b.zext[v]
}

// neutral reports whether v is a constant that some operation has as a neutral
// or absorbing element.
func (b *Backend) neutral(v ir.Value) bool {
	inst, _ := b.f.ValueInst(v)
	if inst == ir.NoInst {
		return false
	}
	d := b.f.Inst(inst)
	k := int32(d.Imm)
	return d.Op == ir.OpIconst && (k == 0 || k == 1 || k == -1 || k&31 == 0)
}
