package filetest

import (
	"errors"
	"slices"
	"strings"

	"github.com/davit-wasm/davit/codegen"
	"github.com/davit-wasm/davit/codegen/clif"
)

// compiled is a function that has been compiled.
type compiled struct {
	fn   *clif.Func
	t    *targetISA
	code *codegen.CompiledCode
	// ir is what the last pass on the IR left, vcode the machine instructions.
	ir, vcode string
	// precise: the comments behind the function are the whole output.
	precise bool
}

// compile is `test compile` and its relatives: every function for every target
// there is code for. check looks at what came out. With anyTarget, targets that
// there is no code for are replaced by x86_64 with the same settings: the passes
// on the IR are nearly the same for all.
func (f *file) compile(args []string, anyTarget bool, check func(*compiled) error) {
	expectFail := slices.Contains(args, "expect-fail")
	precise := slices.Contains(args, "precise-output")
	targets, err := f.targets()
	if err != nil {
		f.res.fail("%v", err)
		return
	}
	failed := make([]error, len(f.Funcs))
	ran, reason := false, ""
	for i := range targets {
		t := &targets[i]
		if t.noCode != "" && anyTarget {
			other, err := f.target(clif.HeaderLine{Line: t.line.Line, Word: "target", Args: []string{"x86_64"}}, t.settings)
			if err != nil {
				f.res.fail("%v", err)
				return
			}
			*t = other
		}
		if t.noCode != "" {
			reason = t.noCode
			continue
		}
		ran = true
		again, err := clif.ParseFile(f.Name, f.src)
		if err != nil {
			f.res.fail("%v", err)
			return
		}
		for k, fn := range again.Funcs {
			if failed[k] != nil {
				continue
			}
			failed[k] = f.guard(fn, func() error {
				c, err := f.compileOne(fn, t, args, f.earlier(k))
				if err != nil || expectFail {
					return err
				}
				c.precise = precise
				return check(c)
			})
		}
	}
	if !ran {
		f.res.skip(len(f.Funcs), reason)
		return
	}
	for _, err := range failed {
		f.res.add(err)
	}
}

func (f *file) compileOne(fn *clif.Func, t *targetISA, args []string, inline inlineFunc) (*compiled, error) {
	expectFail := slices.Contains(args, "expect-fail")
	var ctx codegen.Context
	o := codegen.Options{CheckRegalloc: true, Inline: inline}
	out := &compiled{fn: fn, t: t}
	if f.opt.Exact {
		end := "lower"
		if inline != nil && !slices.Contains(args, "optimize") {
			end = "legalize"
		}
		ended := false
		o.After = func(pass string, c *codegen.Context) {
			if ended = ended || pass == end; !ended {
				out.ir = clif.Format(fn.Function)
			}
		}
	}
	code, err := ctx.Compile(fn.Function, t.isa, o)
	switch {
	case expectFail && err == nil:
		return nil, f.errorf(fn.Line, "%v: compiles, and should not", t)
	case expectFail && !errors.Is(err, codegen.ErrBug):
		return nil, nil
	case err != nil:
		return nil, f.errorf(fn.Line, "%v: %v", t, err)
	}
	out.code, out.vcode = code, ctx.VCode()
	return out, nil
}

// checkCode compares machine code with the directives: its instructions, and
// the disassembly.
func (f *file) checkCode(c *compiled) error {
	text := c.vcode
	if f.opt.Disassemble != nil {
		text += "\nDisassembled:\n" + f.opt.Disassemble(c.code.Text[:c.code.CodeSize])
	}
	switch {
	case !c.precise:
		return f.filecheck(c.fn, text)
	case f.opt.Exact:
		return f.same(c, text)
	}
	return nil
}

// checkIR compares what the passes on the IR have made, if that is asked for:
// the suite has the text that another compiler makes.
func (f *file) checkIR(c *compiled) error {
	switch {
	case !f.opt.Exact:
		return nil
	case c.precise:
		return f.same(c, c.ir)
	}
	return f.filecheck(c.fn, c.ir)
}

// same holds that a text is that of the comments behind the function.
func (f *file) same(c *compiled, got string) error {
	var want []string
	for _, x := range c.fn.Comments {
		if _, run := directive(x.Text, "run"); x.Line > c.fn.Line && !strings.HasPrefix(x.Text, ";") && !run {
			want = append(want, strings.TrimPrefix(x.Text, " "))
		}
	}
	got = strings.TrimSpace(got)
	if want := strings.TrimSpace(strings.Join(want, "\n")); got != want {
		return f.errorf(c.fn.Line, "%v: output is\n%s\nwant\n%s", c.t, got, want)
	}
	return nil
}
