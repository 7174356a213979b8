package x64

import (
	"math"
	"slices"

	"github.com/davit-wasm/davit/codegen/internal/machine"
	"github.com/davit-wasm/davit/codegen/ir"
)

// This file finds the i32 values whose register has zeros in its upper half, so
// that extending them to 64 bits takes nothing. WebAssembly extends an index
// for every access to memory.
//
// An instruction that writes a 32-bit register clears the upper half. So what
// such an instruction computes is extended already, and selection sees to it that
// it computes all results of 32 bits so; a block parameter, which merely passes
// values on, is extended if all of those are. Parameters are taken to
// be extended until an argument is found that is not, which is done over until
// nothing changes: loops carry the property that way. The convention tail passes
// i32 values extended.
//
// The value stays in one register all the time: moves, spills and reloads are
// of 64 bits.

// zextRounds bounds the passes over the edges. Without a result by then, no
// block parameter counts as extended.
const zextRounds = 10

// Prepare implements machine.Backend: it finds which block parameters are extended.
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
	for round := 0; some && b.zextRound(l, round == zextRounds); round++ {
	}
}

// zextRound takes back what is not so of block parameters, or everything if giveUp
// is set, and reports whether it took back anything that others may depend on.
func (b *Backend) zextRound(l *machine.Lower, giveUp bool) (changed bool) {
	f := b.f
	for i := range l.Order.Blocks {
		ob := &l.Order.Blocks[i]
		if ob.Dest >= 0 {
			continue
		}
		if giveUp {
			if ob.IR != f.Entry() {
				for _, v := range f.Params(ob.IR) {
					b.zext[v] = false
				}
			}
			continue
		}
		last := f.LastInst(ob.IR)
		for d, call := range f.Dests(last) {
			params := f.Params(call.Block)
			for k, v := range f.DestArgs(last, d) {
				if p := params[k]; b.zext[p] && !(v.IsPlain() && b.zeroUpper(f.Resolve(v))) {
					b.zext[p] = false
					changed = true
				}
			}
		}
	}
	return changed
}

// zeroUpper reports whether the register of v, no alias, is known to have a clear
// upper half. It is so for values of type i32 only.
func (b *Backend) zeroUpper(v ir.Value) bool {
	inst, k := b.f.ValueInst(v)
	if inst == ir.NoInst {
		return b.zext[v]
	}
	return b.f.ValueType(v) == ir.I32 && b.clearsUpper(inst, k)
}

// clearsUpper reports whether result k of inst, an i32, comes with a clear
// upper half.
func (b *Backend) clearsUpper(inst ir.Inst, k int) bool {
	f := b.f
	switch op := f.Inst(inst).Op; op {
	case ir.OpIconst, ir.OpLoad, ir.OpUload8, ir.OpUload16, ir.OpSload8, ir.OpSload16, ir.OpUextend, ir.OpSextend,
		ir.OpIadd, ir.OpIsub, ir.OpIneg, ir.OpIabs, ir.OpImul, ir.OpUmulhi, ir.OpSmulhi, ir.OpUdiv, ir.OpSdiv, ir.OpUrem, ir.OpSrem,
		ir.OpBand, ir.OpBor, ir.OpBxor, ir.OpBnot, ir.OpBandNot, ir.OpBorNot, ir.OpBxorNot, ir.OpBitselect,
		ir.OpIshl, ir.OpUshr, ir.OpSshr, ir.OpRotl, ir.OpRotr, ir.OpSmin, ir.OpSmax, ir.OpUmin, ir.OpUmax,
		ir.OpPopcnt, ir.OpClz, ir.OpCtz, ir.OpCls, ir.OpBswap, ir.OpBitrev,
		ir.OpFcvtToSint, ir.OpFcvtToUint, ir.OpFcvtToSintSat, ir.OpFcvtToUintSat:
		return true
	case ir.OpSelect, ir.OpSelectSpectreGuard:
		// A conditional move of 32 bits clears the upper half even if it does not move.
		// Intel SDM, volume 2, CMOVcc.
		return true
	case ir.OpIreduce:
		return b.fits32(f.Resolve(f.Arg(inst, 0)))
	case ir.OpCall, ir.OpCallIndirect:
		conv, err := b.convention(f.Sigs[f.CallSignature(inst)].CallConv)
		return err == nil && conv.Extends32
	}
	return false
}

// fits32 reports whether v, of 64 bits, has a clear upper half because of what makes it.
func (b *Backend) fits32(v ir.Value) bool {
	f := b.f
	inst, _ := f.ValueInst(v)
	if inst == ir.NoInst || f.ValueType(v) != ir.I64 {
		return false
	}
	switch f.Inst(inst).Op {
	case ir.OpUload8, ir.OpUload16, ir.OpUload32, ir.OpUextend:
		return true
	case ir.OpUshr:
		k, ok := b.constant(f.Arg(inst, 1))
		return ok && k&63 >= 32
	case ir.OpBand:
		for _, v := range f.Args(inst) {
			if k, ok := b.constant(v); ok && uint64(k) <= math.MaxUint32 {
				return true
			}
		}
	}
	return false
}

// constant is the value of v if it is made by iconst.
func (b *Backend) constant(v ir.Value) (int64, bool) {
	inst, _ := b.f.ValueInst(b.f.Resolve(v))
	if inst == ir.NoInst || b.f.Inst(inst).Op != ir.OpIconst {
		return 0, false
	}
	return b.f.Inst(inst).Imm, true
}
