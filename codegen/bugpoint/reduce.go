// Package bugpoint makes functions smaller that show a bug: what remains is
// what the bug needs.
//
// Reduction is a search for a smaller function for which a predicate still
// holds. Each mutation, such as putting a constant in the place of an
// instruction, can be done at many sites of a function. It is tried at all sites
// at once, then at halves, quarters and so on down to single ones, so that a
// function of n instructions most of which do not matter needs far fewer than n
// trials. Whatever is accepted must weigh less than what was there, which bounds
// the search; it ends when no mutation at any site helps. Candidates are
// verified before the predicate sees them: a reducer that makes incorrect
// functions finds bugs of its own making.
package bugpoint

import (
	"context"
	"errors"

	"github.com/davit-wasm/davit/codegen/ir"
	"github.com/davit-wasm/davit/codegen/verifier"
)

// DefaultTrials is how many candidates are tried unless [Options.Trials] says
// otherwise.
const DefaultTrials = 20_000

// ErrNoBug is the error for a function for which the predicate does not hold in
// the first place.
var ErrNoBug = errors.New("bugpoint: the function does not show the bug")

// Options say what to look for.
type Options struct {
	// Fails tells whether a function shows the bug. It may change the function.
	Fails func(*ir.Function) bool
	// AnyIR: functions need not verify, because the bug is that this one does not.
	AnyIR bool
	// PointerType is the type of addresses for the verifier.
	PointerType ir.Type
	// Trials limits the calls of Fails; 0 means DefaultTrials.
	Trials int
	// Progress, if not nil, is called with the number of trials so far and the size
	// of the smallest function found, when that changes.
	Progress func(trials, blocks, insts int)
}

// Reduce returns a function with as little as possible of what f has for which
// o.Fails holds. It has numbers of its own and does without what f has but does
// not use. f is not changed. When ctx ends, the result is the smallest function
// found so far.
func Reduce(ctx context.Context, f *ir.Function, o Options) (*ir.Function, error) {
	r := reducer{ctx: ctx, o: o, left: o.Trials}
	if r.left <= 0 {
		r.left = DefaultTrials
	}
	best, ok := rebuild(f, o.AnyIR)
	if !ok || !r.shows(best) {
		// The bug may be in what rebuilding leaves out.
		if best, ok = rebuild(f, true); !ok || !r.shows(best) {
			return nil, ErrNoBug
		}
	}
	r.best, r.weight = best, weigh(best)
	for again := true; again; {
		again = false
		for i := range mutations {
			again = r.try(&mutations[i]) || again
		}
	}
	return r.best, nil
}

type reducer struct {
	ctx    context.Context
	o      Options
	left   int // trials
	trials int
	best   *ir.Function
	weight int
	verify verifier.Verifier
}

// try applies a mutation wherever it helps, and reports whether it did anywhere.
func (r *reducer) try(m *mutation) (helped bool) {
	n := m.sites(r.best)
	for size := n; size > 0; size /= 2 {
		for at := 0; at < n; {
			if r.left == 0 || r.ctx.Err() != nil {
				return helped
			}
			if r.accept(m, at, min(at+size, n)) {
				helped = true
				n = m.sites(r.best) // those that are left; others have moved to at
			} else {
				at += size
			}
		}
	}
	return helped
}

// accept tries a mutation at the sites from lo up to hi.
func (r *reducer) accept(m *mutation, lo, hi int) bool {
	f, ok := rebuild(r.best, true)
	if !ok {
		panic("bugpoint: a function cannot be copied")
	}
	// From the last site to the first, so that the numbers of those to come stay.
	for i := hi - 1; i >= lo; i-- {
		m.apply(f, i)
	}
	if f, ok = rebuild(f, r.o.AnyIR); !ok {
		return false
	}
	w := weigh(f)
	if w >= r.weight || !r.shows(f) {
		return false
	}
	r.best, r.weight = f, w
	if r.o.Progress != nil {
		blocks, insts := size(f)
		r.o.Progress(r.trials, blocks, insts)
	}
	return true
}

// shows tells whether f is correct, where it must be, and shows the bug.
func (r *reducer) shows(f *ir.Function) bool {
	if !r.o.AnyIR && r.verify.Verify(f, verifier.Options{PointerType: r.o.PointerType}) != nil {
		return false
	}
	copy, ok := rebuild(f, true)
	if !ok {
		return false
	}
	r.left--
	r.trials++
	return r.o.Fails(copy)
}

func size(f *ir.Function) (blocks, insts int) {
	for b := range f.NumBlocks() {
		if !f.InLayout(ir.Block(b)) {
			continue
		}
		blocks++
		for i := f.FirstInst(ir.Block(b)); i != ir.NoInst; i = f.NextInst(i) {
			insts++
		}
	}
	return blocks, insts
}

// weigh is what reduction lowers. A constant zero is the lightest instruction,
// and what puts an i128 together weighs less than any other way to get one.
func weigh(f *ir.Function) (w int) {
	w = len(f.Sigs) + len(f.ExtFuncs) + len(f.StackSlots) + len(f.Globals) + len(f.Sig.Params) + len(f.Sig.Returns)
	for i := range f.Sigs {
		w += len(f.Sigs[i].Params) + len(f.Sigs[i].Returns)
	}
	for b := f.Entry(); b != ir.NoBlock; b = f.NextBlock(b) {
		w += 2 + 2*len(f.Params(b))
		for i := f.FirstInst(b); i != ir.NoInst; i = f.NextInst(i) {
			d := f.Inst(i)
			if isZero(f, d) {
				w++
				continue
			}
			w += 2 + len(f.Args(i))
			if d.Flags != 0 {
				w++
			}
			for k := range f.Dests(i) {
				w += 1 + len(f.DestArgs(i, k))
			}
			for _, v := range f.Results(i) {
				if f.ValueType(v) == ir.I128 && d.Op != ir.OpUextend {
					w += 3
				}
			}
		}
	}
	return w
}

// isZero tells whether d is a constant zero.
func isZero(f *ir.Function, d *ir.InstData) bool {
	switch d.Op {
	case ir.OpIconst, ir.OpF16const, ir.OpF32const, ir.OpF64const:
		return d.Imm == 0
	case ir.OpF128const, ir.OpVconst:
		for _, x := range f.Constant(ir.Constant(d.Ref)) {
			if x != 0 {
				return false
			}
		}
		return true
	}
	return false
}
