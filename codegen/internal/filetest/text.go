package filetest

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/davit-wasm/davit/codegen/clif"
	"github.com/davit-wasm/davit/codegen/ir"
	"github.com/davit-wasm/davit/codegen/verifier"
)

// catTest prints the function, holds that the text reads again, and checks the
// directives on it.
func catTest(f *file, fn *clif.Func) error {
	text := clif.Format(fn.Function)
	if _, err := clif.ParseFunction(text); err != nil {
		return f.errorf(fn.Line, "printed function does not parse: %v", err)
	}
	return f.filecheck(fn, text)
}

// verifierTest holds that the verifier reports exactly what the `error:`
// directives say, on the instructions they stand on.
func verifierTest(f *file, fn *clif.Func) error {
	type expected struct {
		line int
		inst ir.Inst
		text string
	}
	var want []expected
	for _, c := range fn.Comments {
		if text, ok := directive(c.Text, "error"); ok {
			want = append(want, expected{c.Line, c.Inst, text})
		}
	}
	err := verifier.Verify(fn.Function, verifier.Options{PointerType: f.pointerType()})
	var got verifier.Errors
	if err != nil && !errors.As(err, &got) {
		return f.errorf(fn.Line, "%v", err)
	}
	for _, w := range want {
		i := slices.IndexFunc(got, func(e *verifier.Error) bool { return e.Inst == w.inst && strings.Contains(e.Rule, w.text) })
		if i < 0 {
			return f.errorf(w.line, "the verifier does not say %q; it says: %v", w.text, err)
		}
		got = slices.Delete(got, i, i+1)
	}
	if len(got) > 0 {
		return f.errorf(fn.Line, "unexpected error: %v", got)
	}
	return nil
}

// domtreeTest checks the `dominates:` directives: on a branch, the blocks whose
// immediate dominator is the branch's block. All blocks but the entry must be
// named somewhere.
func domtreeTest(f *file, fn *clif.Func) error {
	var cfg ir.CFG
	var dom ir.DomTree
	cfg.Compute(fn.Function)
	dom.Compute(fn.Function, &cfg)
	named := map[string]bool{}
	for _, c := range fn.Comments {
		text, ok := directive(c.Text, "dominates")
		if !ok {
			continue
		}
		if c.Inst == ir.NoInst {
			return f.errorf(c.Line, "no instruction to dominate by")
		}
		for _, name := range strings.Fields(text) {
			named[name] = true
			found := false
			for b := fn.Entry(); b != ir.NoBlock; b = fn.NextBlock(b) {
				if b.String() == name {
					found = true
					if got := dom.Idom(b); got != fn.InstBlock(c.Inst) {
						return f.errorf(c.Line, "the immediate dominator of %v is %v, not %v", b, got, fn.InstBlock(c.Inst))
					}
				}
			}
			if !found {
				return f.errorf(c.Line, "no block %s", name)
			}
		}
	}
	for b := fn.Entry(); b != ir.NoBlock; b = fn.NextBlock(b) {
		if b != fn.Entry() && dom.Reachable(b) && !named[b.String()] {
			return f.errorf(fn.Line, "%v is immediately dominated by %v, which no directive says", b, dom.Idom(b))
		}
	}
	return f.filecheck(fn, domtreeText(fn.Function, &dom))
}

// domtreeText is the post order of a depth-first walk that takes destinations
// in their order, and the dominator tree in pre-order with children in the
// reverse of that order.
func domtreeText(f *ir.Function, dom *ir.DomTree) string {
	type item struct {
		b    ir.Block
		next int
	}
	var stack []item
	var post []ir.Block
	seen := make([]bool, f.NumBlocks())
	if e := f.Entry(); e != ir.NoBlock {
		stack, seen[e] = append(stack, item{e, 0}), true
	}
	for len(stack) > 0 {
		top := &stack[len(stack)-1]
		var dests []ir.BlockCall
		if last := f.LastInst(top.b); last != ir.NoInst {
			dests = f.Dests(last)
		}
		if top.next == len(dests) {
			post = append(post, top.b)
			stack = stack[:len(stack)-1]
			continue
		}
		top.next++
		if to := dests[top.next-1].Block; !seen[to] {
			seen[to] = true
			stack = append(stack, item{to, 0})
		}
	}
	var out strings.Builder
	out.WriteString("cfg_postorder:\n")
	for _, b := range post {
		fmt.Fprintf(&out, "    %v\n", b)
	}
	text := strings.Join(strings.Fields(out.String()), " ")
	out.Reset()
	out.WriteString(text + "\ndomtree_preorder {\n")
	slices.Reverse(post)
	var walk []ir.Block
	if len(post) > 0 {
		walk = append(walk, post[0])
	}
	for len(walk) > 0 {
		b := walk[len(walk)-1]
		walk = walk[:len(walk)-1]
		fmt.Fprintf(&out, "%v:", b)
		n := len(walk)
		for _, c := range post {
			if c != post[0] && dom.Idom(c) == b {
				fmt.Fprintf(&out, " %v", c)
				walk = append(walk, c)
			}
		}
		slices.Reverse(walk[n:])
		out.WriteByte('\n')
	}
	out.WriteString("}\n")
	return out.String()
}

// cfgTest checks directives on the control-flow graph in Graphviz' language.
func cfgTest(f *file, fn *clif.Func) error {
	var out strings.Builder
	fmt.Fprintf(&out, "digraph \"%v\" {\n", fn.Function.Name)
	for b := fn.Entry(); b != ir.NoBlock; b = fn.NextBlock(b) {
		fmt.Fprintf(&out, "    %v [shape=record, label=\"{%v", b, b)
		for i, p := range fn.Params(b) {
			sep := ", "
			if i == 0 {
				sep = "("
			}
			fmt.Fprintf(&out, "%s%v: %v", sep, p, fn.ValueType(p))
		}
		if len(fn.Params(b)) > 0 {
			out.WriteByte(')')
		}
		out.WriteString(":\n")
		if last := fn.LastInst(b); last != ir.NoInst {
			fmt.Fprintf(&out, " | <%v>%s\n", last, clif.FormatInst(fn.Function, last))
		}
		out.WriteString("}\"]\n")
	}
	for b := fn.Entry(); b != ir.NoBlock; b = fn.NextBlock(b) {
		if last := fn.LastInst(b); last != ir.NoInst {
			for _, d := range fn.Dests(last) {
				fmt.Fprintf(&out, "    %v:%v -> %v\n", b, last, d.Block)
			}
		}
	}
	out.WriteString("}\n")
	return f.filecheck(fn, out.String())
}
