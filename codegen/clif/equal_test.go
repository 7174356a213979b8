package clif

import (
	"fmt"
	"reflect"
	"slices"

	"github.com/davit-wasm/davit/codegen/ir"
)

// difference says in what two functions differ besides the numbers of their
// instructions; it is empty if they are equal. Text keeps the numbers of
// everything else.
func difference(a, b *ir.Function) string {
	for _, x := range []struct {
		what string
		a, b any
	}{
		{"name", a.Name, b.Name}, {"signature", a.Sig, b.Sig}, {"signatures", a.Sigs, b.Sigs}, {"functions", a.ExtFuncs, b.ExtFuncs},
		{"stack slots", a.StackSlots, b.StackSlots}, {"dynamic slots", a.DynamicSlots, b.DynamicSlots}, {"dynamic types", a.DynamicTypes, b.DynamicTypes},
		{"global values", a.Globals, b.Globals}, {"regions", a.Regions, b.Regions}, {"stack limit", a.StackLimit, b.StackLimit},
	} {
		if reflect.ValueOf(x.a).Kind() == reflect.Slice && reflect.ValueOf(x.a).Len() == 0 && reflect.ValueOf(x.b).Len() == 0 {
			continue
		}
		if fmt.Sprintf("%+v", x.a) != fmt.Sprintf("%+v", x.b) {
			return fmt.Sprintf("%s: %+v and %+v", x.what, x.a, x.b)
		}
	}
	p, q := a.Entry(), b.Entry()
	for ; p == q && p != ir.NoBlock; p, q = a.NextBlock(p), b.NextBlock(q) {
		if a.Cold(p) != b.Cold(q) || !sameValues(a, b, a.Params(p), b.Params(q)) {
			return p.String()
		}
		i, k := a.FirstInst(p), b.FirstInst(q)
		for ; i != ir.NoInst && k != ir.NoInst; i, k = a.NextInst(i), b.NextInst(k) {
			if why := instDifference(a, b, i, k); why != "" {
				return fmt.Sprintf("%v: `%s` and `%s`: %s", p, FormatInst(a, i), FormatInst(b, k), why)
			}
		}
		if i != k && (i == ir.NoInst || k == ir.NoInst) {
			return p.String() + ": number of instructions"
		}
	}
	if p != q {
		return fmt.Sprintf("layout: %v and %v", p, q)
	}
	return ""
}

func sameValues(a, b *ir.Function, x, y []ir.Value) bool {
	return slices.EqualFunc(x, y, func(v, w ir.Value) bool {
		return v == w && (!v.IsPlain() || a.ValueType(v) == b.ValueType(w) && a.Resolve(v) == b.Resolve(w))
	})
}

func instDifference(a, b *ir.Function, i, k ir.Inst) string {
	d, e := a.Inst(i), b.Inst(k)
	switch {
	case d.Op != e.Op, d.Type != e.Type, d.Cond != e.Cond, d.Trap != e.Trap, d.Flags != e.Flags:
		return "opcode, type, condition, trap code or flags"
	case !sameValues(a, b, a.Args(i), b.Args(k)):
		return "operands"
	case !sameValues(a, b, a.Results(i), b.Results(k)):
		return "results"
	case len(a.Dests(i)) != len(b.Dests(k)):
		return "number of destinations"
	case a.SourceLoc(i) != b.SourceLoc(k):
		return "source location"
	case !slices.Equal(a.DebugTags(i), b.DebugTags(k)):
		return "debug tags"
	case !slices.Equal(a.StackMap(i), b.StackMap(k)):
		return "stack map"
	}
	for n := range a.Dests(i) {
		if a.Dests(i)[n].Block != b.Dests(k)[n].Block || !sameValues(a, b, a.DestArgs(i, n), b.DestArgs(k, n)) {
			return "destination"
		}
	}
	switch d.Op.Format() {
	case ir.FormatUnaryConst, ir.FormatShuffle:
		if !slices.Equal(a.Constant(ir.Constant(d.Ref)), b.Constant(ir.Constant(e.Ref))) {
			return "constant"
		}
	case ir.FormatTryCall, ir.FormatTryCallIndirect:
		x, y := &a.ExceptionTables[d.Imm], &b.ExceptionTables[e.Imm]
		if d.Ref != e.Ref || x.Sig != y.Sig || !slices.Equal(x.Handlers, y.Handlers) {
			return "exception table"
		}
	default:
		if d.Ref != e.Ref || d.Imm != e.Imm {
			return "immediate"
		}
	}
	return ""
}
