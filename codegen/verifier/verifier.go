// Package verifier checks that a function in CLIF obeys the rules of the IR:
// that entities exist, types fit, values dominate their uses, blocks end in
// one terminator, branches and calls pass what their targets take.
//
// Code that verifies can be compiled and interpreted without further checks;
// passes may assume all of it. Function text and front ends are what it guards
// against, so it never panics on a function that was built through package ir
// or read by package clif.
package verifier

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/davit-wasm/davit/codegen/ir"
)

// Options says what the function is verified for.
type Options struct {
	// PointerType is the type of addresses. If it is Invalid, the target is not
	// known, and what depends on it is not checked.
	PointerType ir.Type
}

// Error is a broken rule.
type Error struct {
	Func   ir.Name
	Inst   ir.Inst // the instruction, or NoInst
	Entity string  // where it is not an instruction: "block1", "sig0", "gv2", "function", …
	Text   string  // the instruction's opcode, for a reader
	Rule   string  // what is wrong
}

func (e *Error) Error() string {
	if e.Inst == ir.NoInst {
		return fmt.Sprintf("%v: %s: %s", e.Func, e.Entity, e.Rule)
	}
	return fmt.Sprintf("%v: %v (%s): %s", e.Func, e.Inst, e.Text, e.Rule)
}

// Errors are all broken rules that were found, at least one.
type Errors []*Error

func (e Errors) Error() string {
	const most = 10
	var s strings.Builder
	for i, x := range e {
		if i > 0 {
			s.WriteByte('\n')
		}
		if i == most {
			fmt.Fprintf(&s, "and %d more", len(e)-most)
			break
		}
		s.WriteString(x.Error())
	}
	return s.String()
}

// Verify checks f. The error, if any, is of type [Errors].
func Verify(f *ir.Function, o Options) error {
	var v Verifier
	return v.Verify(f, o)
}

// Verifier keeps memory from one function to the next. The zero value is ready.
// It belongs to one goroutine at a time.
type Verifier struct {
	f    *ir.Function
	o    Options
	cfg  ir.CFG
	dom  ir.DomTree
	errs Errors
	seen []uint8 // by global value, for cycles
	path []ir.GlobalValue
	ids  []uint32 // of alias regions

	waiting ir.Inst // a get_call_return_address whose call has not come yet
}

// place names what an error is about, once there is one: the name of an entity
// is its prefix and number.
type place struct {
	prefix string
	n      uint32 // ir.None: there is no number
}

func (p place) String() string {
	if p.n == ir.None {
		return p.prefix
	}
	return p.prefix + strconv.FormatUint(uint64(p.n), 10)
}

// maxErrors is where looking for more errors ends.
const maxErrors = 1000

// Verify checks f. The error, if any, is of type [Errors].
func (v *Verifier) Verify(f *ir.Function, o Options) error {
	v.f, v.o, v.errs, v.waiting = f, o, nil, ir.NoInst
	v.signature(place{"function", ir.None}, &f.Sig)
	for i := range f.Sigs {
		v.signature(place{"sig", uint32(i)}, &f.Sigs[i])
	}
	v.preamble()
	v.blocks()
	// What follows relies on what was checked so far.
	if len(v.errs) == 0 {
		v.cfg.Compute(f)
		v.dom.Compute(f, &v.cfg)
		v.entry()
		for b := f.Entry(); b != ir.NoBlock; b = f.NextBlock(b) {
			for i := f.FirstInst(b); i != ir.NoInst && len(v.errs) < maxErrors; i = f.NextInst(i) {
				v.inst(b, i)
			}
		}
	}
	v.f = nil
	if len(v.errs) == 0 {
		return nil
	}
	return v.errs
}

func (v *Verifier) fail(at place, format string, args ...any) {
	v.errs = append(v.errs, &Error{Func: v.f.Name, Inst: ir.NoInst, Entity: at.String(), Rule: fmt.Sprintf(format, args...)})
}

func (v *Verifier) failInst(inst ir.Inst, format string, args ...any) {
	v.errs = append(v.errs, &Error{Func: v.f.Name, Inst: inst, Text: v.f.Inst(inst).Op.String(), Rule: fmt.Sprintf(format, args...)})
}

// signature checks the rules that hold for the function's own signature and
// all that it refers to.
func (v *Verifier) signature(at place, s *ir.Signature) {
	for i, p := range s.Params {
		v.param(at, "Parameter", i, p)
		if p.Purpose == ir.StructArg && v.o.PointerType != ir.Invalid && p.Type != v.o.PointerType {
			v.fail(at, "Parameter at position %d is a struct argument of type %v, which is not the pointer type %v", i, p.Type, v.o.PointerType)
		}
		if p.Purpose == ir.Pass && (i > 0 || s.CallConv != ir.Go || p.Type != ir.I64) {
			v.fail(at, "Parameter at position %d is a pass, which only an i64 as the first parameter in convention `go` can be", i)
		}
	}
	for i, p := range s.Returns {
		v.param(at, "Return value", i, p)
		if p.Purpose == ir.StructArg || p.Purpose == ir.VMContext || p.Purpose == ir.CallerContext || p.Purpose == ir.Pass {
			v.fail(at, "Return value at position %d has a purpose that only parameters have", i)
		}
	}
	if s.CallConv == ir.PreserveAll && len(s.Returns) > 0 {
		v.fail(at, "Signature with `preserve_all` ABI cannot have return values")
	}
}

func (v *Verifier) param(at place, kind string, i int, p ir.Param) {
	if p.Type.Lane() == ir.Invalid || p.Type.Lane() > ir.F128 {
		v.fail(at, "%s at position %d has an invalid type", kind, i)
		return
	}
	if p.Ext != ir.NoExtension && !p.Type.IsInt() {
		ext := "Uext"
		if p.Ext == ir.SignExtend {
			ext = "Sext"
		}
		v.fail(at, "%s at position %d has invalid extension %s", kind, i, ext)
	}
}

func (v *Verifier) preamble() {
	f := v.f
	for i, e := range f.ExtFuncs {
		if int(e.Sig) >= len(f.Sigs) {
			v.fail(place{"fn", uint32(i)}, "undeclared signature %v", e.Sig)
		}
	}
	v.regions()
	v.globals()
	for i, t := range f.DynamicTypes {
		if int(t.Scale) >= len(f.Globals) {
			v.fail(place{"dt", uint32(i)}, "undeclared global value %v", t.Scale)
		}
		if !t.Base.IsVector() || t.Base.IsDynamic() {
			v.fail(place{"dt", uint32(i)}, "base type %v is not a fixed vector", t.Base)
		}
	}
	for i, s := range f.DynamicSlots {
		if int(s.Type) >= len(f.DynamicTypes) {
			v.fail(place{"dss", uint32(i)}, "undeclared dynamic type %v", s.Type)
		}
	}
	if l := f.StackLimit; l != ir.NoGlobal && int(l) >= len(f.Globals) {
		v.fail(place{"stack_limit", ir.None}, "undeclared global value %v", l)
	}
}

// regions checks that no two alias regions are the same.
func (v *Verifier) regions() {
	v.ids = v.ids[:0]
	for _, r := range v.f.Regions {
		v.ids = append(v.ids, r.ID)
	}
	slices.Sort(v.ids)
	for i := range v.ids {
		if len(v.errs) >= maxErrors {
			break
		}
		if i > 0 && v.ids[i] == v.ids[i-1] && (i < 2 || v.ids[i] != v.ids[i-2]) {
			at := ir.None
			for k, r := range v.f.Regions {
				if r.ID == v.ids[i] {
					at = uint32(k)
				}
			}
			v.fail(place{"region", at}, "duplicate alias region user_id %d", v.ids[i])
		}
	}
}

// globals checks global values: that bases exist and have the right type, and
// that none is its own base.
func (v *Verifier) globals() {
	f := v.f
	const (
		unknown = iota
		onPath
		fine
	)
	v.seen = append(v.seen[:0], make([]uint8, len(f.Globals))...)
	for i := range f.Globals {
		at := place{"gv", uint32(i)}
		g := &f.Globals[i]
		switch g.Kind {
		case ir.GlobalVMContext:
			if !hasVMContext(&f.Sig) {
				v.fail(at, "undeclared vmctx reference %v", at)
			}
		case ir.GlobalLoad, ir.GlobalIAddImm:
			if int(g.Base) >= len(f.Globals) {
				v.fail(at, "undeclared global value %v", g.Base)
				continue
			}
			base := v.globalType(g.Base)
			if g.Kind == ir.GlobalLoad && v.o.PointerType != ir.Invalid && base != v.o.PointerType {
				v.fail(at, "base %v has type %v, which is not the pointer type %v", g.Base, base, v.o.PointerType)
			}
			if g.Kind == ir.GlobalIAddImm && v.o.PointerType != ir.Invalid && base != g.Type {
				v.fail(at, "iadd_imm type %v does not match the type %v of its base %v", g.Type, base, g.Base)
			}
			if g.Kind == ir.GlobalIAddImm && !g.Type.IsInt() {
				v.fail(at, "iadd_imm with non-int type %v", g.Type)
			}
		case ir.GlobalDynScale:
			if !g.Type.IsVector() || g.Type.IsDynamic() {
				v.fail(at, "%v is not a fixed vector type", g.Type)
			}
		}
	}
	for i := range f.Globals {
		path := v.path[:0]
		at := ir.GlobalValue(i)
		for int(at) < len(f.Globals) && v.seen[at] == unknown {
			v.seen[at] = onPath
			path = append(path, at)
			g := &f.Globals[at]
			if g.Kind != ir.GlobalLoad && g.Kind != ir.GlobalIAddImm {
				break
			}
			at = g.Base
			if int(at) < len(f.Globals) && v.seen[at] == onPath {
				v.fail(place{"gv", uint32(at)}, "global value cycle: %v", cycle(path[slices.Index(path, at):]))
				break
			}
		}
		for _, p := range path {
			v.seen[p] = fine
		}
		v.path = path
	}
}

func cycle(path []ir.GlobalValue) string {
	var s []string
	for _, g := range path {
		s = append(s, g.String())
	}
	return "[" + strings.Join(s, ", ") + "]"
}

func hasVMContext(s *ir.Signature) bool {
	for i := range s.Params {
		if s.Params[i].Purpose == ir.VMContext {
			return true
		}
	}
	return false
}

// globalType is the type of a global value; the pointer type for symbols and
// the context.
func (v *Verifier) globalType(g ir.GlobalValue) ir.Type {
	switch d := &v.f.Globals[g]; d.Kind {
	case ir.GlobalLoad, ir.GlobalIAddImm:
		return d.Type
	}
	return v.o.PointerType
}

// blocks checks that every block ends in a terminator, and has no other.
func (v *Verifier) blocks() {
	f := v.f
	for b := f.Entry(); b != ir.NoBlock; b = f.NextBlock(b) {
		last := f.LastInst(b)
		if last == ir.NoInst {
			v.fail(place{"block", uint32(b)}, "block is empty: it needs a terminator")
			continue
		}
		for i := f.FirstInst(b); i != ir.NoInst; i = f.NextInst(i) {
			if f.InstBlock(i) != b {
				v.failInst(i, "instruction is listed in %v but belongs to %v", b, f.InstBlock(i))
			}
			if i != last && f.Inst(i).Op.IsTerminator() {
				v.failInst(i, "a terminator instruction was encountered before the end of %v", b)
			}
		}
		if !f.Inst(last).Op.IsTerminator() {
			v.failInst(last, "%v does not end in a terminator instruction", b)
		}
	}
}

// entry checks the entry block's parameters.
func (v *Verifier) entry() {
	f := v.f
	b := f.Entry()
	if b == ir.NoBlock {
		return
	}
	params := f.Params(b)
	if len(params) != len(f.Sig.Params) {
		v.fail(place{"block", uint32(b)}, "entry block parameters (%d) must match function signature (%d)", len(params), len(f.Sig.Params))
		return
	}
	for i, p := range params {
		if got, want := f.ValueType(p), f.Sig.Params[i].Type; got != want {
			v.fail(place{"block", uint32(b)}, "entry block parameter %d expected to have type %v, got %v", i, want, got)
		}
	}
	if preds := v.cfg.Preds(b); len(preds) > 0 {
		v.failInst(preds[0].Inst, "the entry block %v is a branch destination", b)
	}
}
