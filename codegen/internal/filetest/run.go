package filetest

import (
	"context"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/davit-wasm/davit/codegen"
	"github.com/davit-wasm/davit/codegen/clif"
	"github.com/davit-wasm/davit/codegen/ir"
	"github.com/davit-wasm/davit/codegen/jit"
)

// callTimeout is how long one run line may take.
const callTimeout = 30 * time.Second

// runLine is a run directive and the function it stands by.
type runLine struct {
	fn   *clif.Func
	line int
	run  *clif.Run
	err  error // the directive cannot be read
}

// runLines are the directives of the file. Each calls the function it stands
// by, whatever name it gives; the suite has some that are misspelt.
func (f *file) runLines() (lines []runLine) {
	if f.opt.Invoke != "" {
		return []runLine{f.invocation()}
	}
	for _, fn := range f.Funcs {
		for _, c := range fn.Comments {
			r, ok, err := clif.ParseRun(c.Comment, func(ir.Name) *ir.Signature { return &fn.Sig })
			if !ok && err == nil {
				continue
			}
			l := runLine{fn: fn, line: c.Line, run: r, err: err}
			switch {
			case err != nil:
				l.err = fmt.Errorf("%s:%w", f.Name, err)
			case len(fn.Sig.Params) != len(r.Args):
				l.err = f.errorf(c.Line, "run without arguments of a function that has parameters")
			default:
				r.Func = fn.Function.Name
			}
			lines = append(lines, l)
		}
	}
	return lines
}

// invocation is the call that the options ask for.
func (f *file) invocation() (l runLine) {
	find := func(name ir.Name) *ir.Signature {
		for _, fn := range f.Funcs {
			if fn.Function.Name == name {
				l.fn = fn
				return &fn.Sig
			}
		}
		return nil
	}
	l.run, _, l.err = clif.ParseRun(clif.Comment{Line: 1, Text: "print: " + f.opt.Invoke}, find)
	if l.err != nil {
		l.err = fmt.Errorf("%s: call of %s: %w", f.Name, f.opt.Invoke, l.err)
	}
	if l.fn == nil && len(f.Funcs) > 0 {
		l.fn = f.Funcs[0] // what l.err is told for
	}
	return l
}

// shown adds the results of a `print:` directive to what is printed.
func (f *file) shown(l *runLine, got []clif.Data) {
	if l.run.Print {
		f.res.Printed = append(f.res.Printed, fmt.Sprintf("%v(%s) -> %s", l.run.Func, join(l.run.Args), join(got)))
	}
}

// judge compares results with what the directive wants.
func (l *runLine) judge(got []clif.Data) error {
	r := l.run
	switch {
	case r.Print:
		return nil
	case r.Bare:
		if len(got) != 1 || got[0].Lo|got[0].Hi != 0 {
			return nil
		}
		return fmt.Errorf("%v: got %v, want a result that is not zero", r.Func, got)
	}
	if slices.Equal(got, r.Want) != r.Not {
		return nil
	}
	op := "=="
	if r.Not {
		op = "!="
	}
	return fmt.Errorf("%v(%s): got %s, want %s %s", r.Func, join(r.Args), join(got), op, join(r.Want))
}

func join(list []clif.Data) string {
	var s []string
	for _, d := range list {
		s = append(s, d.String())
	}
	return strings.Join(s, ", ")
}

// run is `test run`: every line for every target that this machine is.
func (f *file) run() {
	lines := f.runLines()
	targets, err := f.targets()
	if err == nil {
		for _, fn := range f.Funcs {
			if err = f.verify(fn, f.pointerType()); err != nil {
				break
			}
		}
	}
	if err != nil {
		for range max(1, len(lines)) {
			f.res.fail("%v", err)
		}
		return
	}
	failed := make([]error, len(lines))
	ran := false
	reason := ""
	for i := range targets {
		t := &targets[i]
		if t.noRun != "" {
			if reason == "" || t.noCode == "" {
				reason = t.noRun
			}
			continue
		}
		if err := jit.Supported(); err != nil {
			reason = err.Error()
			continue
		}
		ran = true
		f.runTarget(t, lines, failed)
	}
	if !ran {
		f.res.skip(len(lines), reason)
		return
	}
	m := f.machine()
	for i, err := range failed {
		if l := &lines[i]; err == nil {
			if err = f.guard(l.fn, func() error { return secondOpinion(m, l) }); err != nil {
				err = f.errorf(l.line, "%v", err)
			}
		}
		f.res.add(err)
	}
}

// runTarget compiles the file for t and runs the lines that have not failed.
func (f *file) runTarget(t *targetISA, lines []runLine, failed []error) {
	// Some files have larger frames than the usual stack.
	m := jit.NewWith(t.isa, jit.Config{StackSize: 8 << 20})
	defer m.Close()
	bad, err := f.build(m)
	if err == nil {
		err = m.Finalize()
	}
	for i := range lines {
		l := &lines[i]
		if failed[i] != nil {
			continue
		}
		switch {
		case err != nil:
			failed[i] = fmt.Errorf("%s: %v: %w", f.Name, t, err)
			continue
		case l.err != nil:
			failed[i] = l.err
			continue
		case bad[l.run.Func] != nil:
			failed[i] = f.errorf(l.line, "%v: %v", t, bad[l.run.Func])
			continue
		}
		got, err := callCompiled(m, l.run)
		if err == nil {
			f.shown(l, got)
			err = l.judge(got)
		}
		if err != nil {
			failed[i] = f.errorf(l.line, "%v: %v", t, err)
		}
	}
}

// build defines all functions of the file, read anew because compiling changes
// them; those that fail are in bad, and calls of them fail when they happen.
func (f *file) build(m *jit.Module) (bad map[ir.Name]error, err error) {
	again, err := clif.ParseFile(f.Name, f.src)
	if err != nil {
		return nil, err
	}
	bad = map[ir.Name]error{}
	called := map[ir.Name]ir.Signature{}
	for k, fn := range again.Funcs {
		name := fn.Function.Name
		for _, e := range fn.ExtFuncs {
			if _, ok := called[e.Name]; !ok {
				called[e.Name] = fn.Sigs[e.Sig]
			}
		}
		if _, err := m.DefineWith(fn.Function, codegen.Options{CheckRegalloc: true, Inline: f.earlier(k)}); err != nil {
			bad[name] = err
		}
	}
	for _, name := range m.Undefined() {
		sig, ok := called[name]
		host := hostFunction(name, &sig)
		if !ok {
			if sig, ok = libcallSignature(name); !ok {
				continue
			}
			host = hostFunction(name, &sig)
		}
		if _, err := m.DefineHost(name, sig, host); err != nil {
			return nil, err
		}
	}
	return bad, nil
}

// hostFunction is the library function of a name; one that fails for others.
func hostFunction(name ir.Name, sig *ir.Signature) jit.HostFunc {
	if f := libcalls[name.Text]; f != nil && name.Kind == ir.NameLibCall {
		return func(_ context.Context, slots []byte) error {
			args := make([]uint64, len(sig.Params))
			for i := range args {
				args[i] = binary.LittleEndian.Uint64(slots[i*jit.SlotSize:])
			}
			r, err := f(args)
			if err == nil && len(sig.Returns) == 1 {
				binary.LittleEndian.PutUint64(slots, r)
			}
			return err
		}
	}
	if wideLibcalls[name.Text] != nil && name.Kind == ir.NameLibCall {
		return wideLibcall(name.Text)
	}
	if name.Text == throwName && len(sig.Params) == 6 {
		return throw
	}
	return func(context.Context, []byte) error { return fmt.Errorf("call of %v, which is not defined", name) }
}

// callCompiled calls a function of m.
func callCompiled(m *jit.Module, r *clif.Run) ([]clif.Data, error) {
	id, ok := m.Lookup(r.Func)
	if !ok {
		return nil, fmt.Errorf("no function %v", r.Func)
	}
	returns := m.Decl(id).Sig.Returns
	buf := make([]byte, jit.SlotSize*max(len(r.Args), len(returns)))
	for i, a := range r.Args {
		binary.LittleEndian.PutUint64(buf[i*jit.SlotSize:], a.Lo)
		binary.LittleEndian.PutUint64(buf[i*jit.SlotSize+8:], a.Hi)
	}
	ctx, cancel := context.WithTimeout(context.Background(), callTimeout)
	defer cancel()
	if err := m.Call(ctx, id, buf); err != nil {
		return nil, fmt.Errorf("%v(%s): %w", r.Func, join(r.Args), err)
	}
	got := make([]clif.Data, len(returns))
	for i, p := range returns {
		lo, hi := binary.LittleEndian.Uint64(buf[i*jit.SlotSize:]), binary.LittleEndian.Uint64(buf[i*jit.SlotSize+8:])
		switch bits := p.Type.Bits(); {
		case bits < 64:
			lo, hi = lo&(1<<bits-1), 0
		case bits == 64:
			hi = 0
		}
		got[i] = clif.Data{Type: p.Type, Lo: lo, Hi: hi}
	}
	return got, nil
}
