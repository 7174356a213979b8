package bugpoint

import (
	"slices"

	"github.com/davit-wasm/davit/codegen/ir"
)

// mutation makes a function smaller at one of its sites, which are numbered in
// the order of the layout. Sites where there is nothing to do are left alone.
type mutation struct {
	sites func(*ir.Function) int
	apply func(f *ir.Function, site int)
}

// mutations are tried in order: first what removes most.
var mutations = [...]mutation{
	{blocks, cutBlock},
	{ways, takeWay},
	{insts, dropInst},
	{insts, forward},
	{blocks, cutEnd},
	{params, dropParam},
	{blocks, merge},
	{callParams, dropCallParam},
	{callResults, dropCallResult},
	{results, dropResult},
	{insts, plain},
}

func blocks(f *ir.Function) (n int) {
	for b := f.Entry(); b != ir.NoBlock; b = f.NextBlock(b) {
		n++
	}
	return n
}

func blockAt(f *ir.Function, site int) ir.Block {
	b := f.Entry()
	for ; site > 0 && b != ir.NoBlock; site-- {
		b = f.NextBlock(b)
	}
	return b
}

func insts(f *ir.Function) int { _, n := size(f); return n }

// instAt is instruction site; copies have their instructions numbered in the
// order of the layout.
func instAt(f *ir.Function, site int) ir.Inst { return ir.Inst(site) }

// cutBlock replaces a block's body by a trap.
func cutBlock(f *ir.Function, site int) {
	b := blockAt(f, site)
	for i := f.FirstInst(b); i != ir.NoInst; i = f.FirstInst(b) {
		f.RemoveInst(i)
	}
	f.AppendInst(f.AddInst(ir.InstData{Op: ir.OpTrap, Trap: 1}), b)
}

// cutEnd replaces a block's terminator by a trap.
func cutEnd(f *ir.Function, site int) {
	b := blockAt(f, site)
	if last := f.LastInst(b); last != ir.NoInst {
		f.RemoveInst(last)
		f.AppendInst(f.AddInst(ir.InstData{Op: ir.OpTrap, Trap: 1}), b)
	}
}

// A way is a destination of a branch that has several.

func ways(f *ir.Function) (n int) {
	for b := f.Entry(); b != ir.NoBlock; b = f.NextBlock(b) {
		if last := f.LastInst(b); last != ir.NoInst && len(f.Dests(last)) > 1 {
			n += len(f.Dests(last))
		}
	}
	return n
}

// takeWay replaces a branch by a jump to one of its destinations.
func takeWay(f *ir.Function, site int) {
	for b := f.Entry(); b != ir.NoBlock; b = f.NextBlock(b) {
		last := f.LastInst(b)
		if last == ir.NoInst || len(f.Dests(last)) < 2 {
			continue
		}
		if n := len(f.Dests(last)); site >= n {
			site -= n
			continue
		}
		to := f.Dests(last)[site].Block
		args := slices.Clone(f.DestArgs(last, site))
		for k, v := range args {
			if !v.IsPlain() && k < len(f.Params(to)) { // a result of the call, which goes
				args[k] = zeroBefore(f, f.ValueType(f.Params(to)[k]), last)
			}
		}
		f.RemoveInst(last)
		jump := f.AddInst(ir.InstData{Op: ir.OpJump})
		f.AddDest(jump, to, args...)
		f.AppendInst(jump, b)
		return
	}
}

// nearZero is a constant zero not far in front of an instruction, or NoValue.
func nearZero(f *ir.Function, t ir.Type, before ir.Inst) ir.Value {
	const near = 16
	i := f.PrevInst(before)
	for n := 0; n < near && i != ir.NoInst; n++ {
		if isZero(f, f.Inst(i)) && len(f.Results(i)) == 1 && f.ValueType(f.Result(i)) == t {
			return f.Result(i)
		}
		i = f.PrevInst(i)
	}
	return ir.NoValue
}

// zeroBefore is a constant zero in front of an instruction, a new one if there
// is none near.
func zeroBefore(f *ir.Function, t ir.Type, before ir.Inst) ir.Value {
	if v := nearZero(f, t, before); v != ir.NoValue {
		return v
	}
	d := ir.InstData{}
	switch {
	case t == ir.I128:
		low := zeroBefore(f, ir.I64, before)
		return insert(f, ir.InstData{Op: ir.OpUextend, Type: ir.I128}, before, low)
	case t.IsInt():
		d = ir.InstData{Op: ir.OpIconst, Type: t}
	case t == ir.F16:
		d.Op = ir.OpF16const
	case t == ir.F32:
		d.Op = ir.OpF32const
	case t == ir.F64:
		d.Op = ir.OpF64const
	case t == ir.F128:
		d = ir.InstData{Op: ir.OpF128const, Ref: uint32(f.AddConstant(make([]byte, 16)))}
	default:
		d = ir.InstData{Op: ir.OpVconst, Type: t, Ref: uint32(f.AddConstant(make([]byte, t.Bytes())))}
	}
	return insert(f, d, before)
}

func insert(f *ir.Function, d ir.InstData, before ir.Inst, args ...ir.Value) ir.Value {
	inst := f.AddInst(d, args...)
	f.InsertBefore(inst, before)
	f.AddResults(inst)
	return f.Result(inst)
}

// dropInst replaces an instruction by constants; if it is one, by zero.
func dropInst(f *ir.Function, site int) {
	i := instAt(f, site)
	if f.InstBlock(i) == ir.NoBlock || f.Inst(i).Op.IsTerminator() || isZero(f, f.Inst(i)) {
		return
	}
	for _, v := range f.Results(i) {
		if f.ValueType(v).IsDynamic() {
			return // they have no constants
		}
	}
	results := slices.Clone(f.Results(i))
	f.DetachResults(i)
	for _, v := range results {
		if t := f.ValueType(v); inUse(f, v) {
			f.SetAlias(v, zeroBefore(f, t, i))
		}
	}
	f.RemoveInst(i)
}

// inUse tells whether anything takes v as an argument.
func inUse(f *ir.Function, v ir.Value) bool {
	is := func(list []ir.Value) bool {
		return slices.ContainsFunc(list, func(x ir.Value) bool { return x.IsPlain() && f.Resolve(x) == v })
	}
	for b := f.Entry(); b != ir.NoBlock; b = f.NextBlock(b) {
		for i := f.FirstInst(b); i != ir.NoInst; i = f.NextInst(i) {
			if is(f.Args(i)) {
				return true
			}
			for k := range f.Dests(i) {
				if is(f.DestArgs(i, k)) {
					return true
				}
			}
		}
	}
	for _, t := range f.ExceptionTables {
		for _, h := range t.Handlers {
			if h.Kind == ir.HandlerContext && f.Resolve(h.Context) == v {
				return true
			}
		}
	}
	return false
}

// forward replaces an instruction by its first operand that has the result's
// type, and a zero by another.
func forward(f *ir.Function, site int) {
	i := instAt(f, site)
	if f.InstBlock(i) == ir.NoBlock || f.Inst(i).Op.IsTerminator() || len(f.Results(i)) != 1 {
		return
	}
	r := f.Result(i)
	by := ir.NoValue
	if isZero(f, f.Inst(i)) {
		by = nearZero(f, f.ValueType(r), i)
	}
	for k := range f.Args(i) {
		if v := f.Arg(i, k); by == ir.NoValue && v != r && f.ValueType(v) == f.ValueType(r) {
			by = v
		}
	}
	if by != ir.NoValue {
		f.DetachResults(i)
		f.SetAlias(r, by)
		f.RemoveInst(i)
	}
}

// plain takes the flags from a memory access.
func plain(f *ir.Function, site int) { f.Inst(instAt(f, site)).Flags = 0 }

func params(f *ir.Function) (n int) {
	for b := f.Entry(); b != ir.NoBlock; b = f.NextBlock(b) {
		n += len(f.Params(b))
	}
	return n
}

// dropParam replaces a parameter of a block, or of the function, by zero.
func dropParam(f *ir.Function, site int) {
	b := f.Entry()
	for ; site >= len(f.Params(b)); b = f.NextBlock(b) {
		site -= len(f.Params(b))
	}
	v := f.Params(b)[site]
	t := f.ValueType(v)
	if t.IsDynamic() || f.FirstInst(b) == ir.NoInst {
		return
	}
	f.RemoveParam(b, site)
	f.SetAlias(v, zeroBefore(f, t, f.FirstInst(b)))
	if b == f.Entry() && site < len(f.Sig.Params) {
		f.Sig.Params = slices.Delete(slices.Clone(f.Sig.Params), site, site+1)
	}
	for p := f.Entry(); p != ir.NoBlock; p = f.NextBlock(p) {
		last := f.LastInst(p)
		if last == ir.NoInst {
			continue
		}
		for k := range f.Dests(last) {
			if f.Dests(last)[k].Block == b && site < len(f.DestArgs(last, k)) {
				f.RemoveDestArg(last, k, site)
			}
		}
	}
}

// merge appends a block to the one that alone leads to it, by a jump.
func merge(f *ir.Function, site int) {
	b := blockAt(f, site)
	if b == ir.NoBlock { // merged already
		return
	}
	last := f.LastInst(b)
	if last == ir.NoInst || f.Inst(last).Op != ir.OpJump {
		return
	}
	to := f.Dests(last)[0].Block
	if to == b || to == f.Entry() {
		return
	}
	n := 0
	for p := f.Entry(); p != ir.NoBlock; p = f.NextBlock(p) {
		if l := f.LastInst(p); l != ir.NoInst {
			for _, d := range f.Dests(l) {
				if d.Block == to {
					n++
				}
			}
		}
		for i := f.FirstInst(p); i != ir.NoInst; i = f.NextInst(i) {
			if d := f.Inst(i); d.Op == ir.OpGetExceptionHandlerAddress && d.Ref == uint32(to) {
				return
			}
		}
	}
	args := slices.Clone(f.DestArgs(last, 0))
	if n != 1 || len(args) != len(f.Params(to)) {
		return
	}
	for k, v := range args {
		if f.Resolve(v) == f.Params(to)[k] {
			return // unreachable
		}
	}
	f.RemoveInst(last)
	for k := len(args) - 1; k >= 0; k-- {
		v := f.Params(to)[k]
		f.RemoveParam(to, k)
		f.SetAlias(v, args[k])
	}
	for i := f.FirstInst(to); i != ir.NoInst; i = f.FirstInst(to) {
		f.RemoveInst(i)
		f.AppendInst(i, b)
	}
	f.RemoveBlock(to)
}

func callParams(f *ir.Function) (n int) {
	for i := range f.Sigs {
		n += len(f.Sigs[i].Params)
	}
	return n
}

// dropCallParam removes a parameter of a signature, and its argument in all
// calls.
func dropCallParam(f *ir.Function, site int) {
	s := 0
	for ; site >= len(f.Sigs[s].Params); s++ {
		site -= len(f.Sigs[s].Params)
	}
	f.Sigs[s].Params = slices.Delete(slices.Clone(f.Sigs[s].Params), site, site+1)
	for b := f.Entry(); b != ir.NoBlock; b = f.NextBlock(b) {
		for i := f.FirstInst(b); i != ir.NoInst; i = f.NextInst(i) {
			if !f.Inst(i).Op.IsCall() || f.CallSignature(i) != ir.SigRef(s) {
				continue
			}
			at := site
			if fixed, _ := f.Inst(i).Op.FixedOperands(); fixed > 0 { // the callee comes first
				at += fixed
			}
			if args := f.Args(i); at < len(args) {
				f.SetArgs(i, slices.Delete(slices.Clone(args), at, at+1))
			}
		}
	}
}

func callResults(f *ir.Function) (n int) {
	for i := range f.Sigs {
		n += len(f.Sigs[i].Returns)
	}
	return n
}

// dropCallResult removes a result of a signature, and of all calls.
func dropCallResult(f *ir.Function, site int) {
	s := 0
	for ; site >= len(f.Sigs[s].Returns); s++ {
		site -= len(f.Sigs[s].Returns)
	}
	f.Sigs[s].Returns = slices.Delete(slices.Clone(f.Sigs[s].Returns), site, site+1)
	for b := f.Entry(); b != ir.NoBlock; b = f.NextBlock(b) {
		for i := f.FirstInst(b); i != ir.NoInst; i = f.NextInst(i) {
			if !f.Inst(i).Op.IsCall() || f.CallSignature(i) != ir.SigRef(s) || site >= len(f.Results(i)) {
				continue
			}
			results := slices.Clone(f.Results(i))
			f.DetachResults(i)
			for k, v := range results {
				if k != site {
					f.AddResultAs(i, f.ValueType(v), v)
				} else if inUse(f, v) {
					f.SetAlias(v, zeroBefore(f, f.ValueType(v), i))
				}
			}
		}
	}
}

func results(f *ir.Function) int { return len(f.Sig.Returns) }

// dropResult removes a result of the function.
func dropResult(f *ir.Function, site int) {
	f.Sig.Returns = slices.Delete(slices.Clone(f.Sig.Returns), site, site+1)
	for b := f.Entry(); b != ir.NoBlock; b = f.NextBlock(b) {
		if i := f.LastInst(b); i != ir.NoInst && f.Inst(i).Op == ir.OpReturn && site < len(f.Args(i)) {
			f.SetArgs(i, slices.Delete(slices.Clone(f.Args(i)), site, site+1))
		}
	}
}
