package filetest

import (
	"errors"
	"slices"

	"github.com/davit-wasm/davit/codegen"
	"github.com/davit-wasm/davit/codegen/interp"
	"github.com/davit-wasm/davit/codegen/jit"
)

// ErrDisagree begins what is said of a call that has one result when it is
// compiled, and another when it is interpreted.
const ErrDisagree = "compiled and interpreted code disagree"

// agree is `test agree`: every line, compiled for the file's targets and
// interpreted. A function that does not compile fails, unless the target has no
// code for it; a line that the interpreter cannot run is skipped.
func (f *file) agree() {
	targets, err := f.targets()
	if err != nil {
		f.res.fail("%v", err)
		return
	}
	for _, fn := range f.Funcs {
		if err := f.verify(fn, f.pointerType()); err != nil {
			f.res.add(err)
			return
		}
	}
	for i := range targets {
		t := &targets[i]
		if t.noRun != "" {
			f.res.skip(1, t.noRun)
			continue
		}
		f.agreeOn(t)
	}
}

func (f *file) agreeOn(t *targetISA) {
	m := jit.New(t.isa)
	defer m.Close()
	bad, err := f.build(m)
	if err == nil {
		err = m.Finalize()
	}
	if err != nil {
		f.res.fail("%s: %v: %v", f.Name, t, err)
		return
	}
	for _, fn := range f.Funcs {
		switch err := bad[fn.Function.Name]; {
		case errors.Is(err, codegen.ErrUnsupported):
			f.res.skip(1, err.Error())
		case err != nil:
			f.res.add(f.errorf(fn.Line, "%v: %v", t, err))
		default:
			f.res.Passed++
		}
	}
	im := f.machine()
	lines := f.runLines()
	for i := range lines {
		l := &lines[i]
		if l.err != nil {
			f.res.add(l.err)
			continue
		}
		if bad[l.run.Func] != nil {
			continue
		}
		f.res.add(f.guard(l.fn, func() error {
			want, err := callInterpreted(im, l)
			var it *interp.Trap
			if err != nil && !errors.As(err, &it) {
				f.res.skip(1, err.Error())
				return nil
			}
			got, err := callCompiled(m, l.run)
			var ct *jit.Trap
			switch {
			case it != nil && (!errors.As(err, &ct) || ct.Code != it.Code):
				return f.errorf(l.line, "%s: %v(%s): compiled %s %v, interpreted %v", ErrDisagree, l.run.Func, join(l.run.Args), join(got), err, it)
			case it == nil && (err != nil || !slices.Equal(anyNaN(got), anyNaN(want))):
				return f.errorf(l.line, "%s: %v(%s): compiled %s %v, interpreted %s", ErrDisagree, l.run.Func, join(l.run.Args), join(got), err, join(want))
			}
			return nil
		}))
	}
}
