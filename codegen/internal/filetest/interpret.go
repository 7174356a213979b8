package filetest

import (
	"errors"
	"fmt"
	"slices"

	"github.com/davit-wasm/davit/codegen/clif"
	"github.com/davit-wasm/davit/codegen/interp"
	"github.com/davit-wasm/davit/codegen/ir"
)

// interpret is `test interpret`: every line in the IR interpreter.
func (f *file) interpret() {
	m := f.machine()
	lines := f.runLines()
	for i := range lines {
		l := &lines[i]
		if l.err != nil {
			f.res.add(l.err)
			continue
		}
		f.res.add(f.guard(l.fn, func() error {
			if err := f.verify(l.fn, ir.Invalid); err != nil { // the interpreter takes addresses of any width
				return err
			}
			got, err := callInterpreted(m, l)
			if err == nil {
				f.shown(l, got)
				err = l.judge(got)
			}
			if err != nil {
				return f.errorf(l.line, "%v", err)
			}
			return nil
		}))
	}
}

// machine is an interpreter with the file's functions and the library.
func (f *file) machine() *interp.Machine {
	m := &interp.Machine{Resolve: func(name ir.Name, _ *ir.Signature) interp.HostFunc {
		if name.Text == throwName {
			return func(args []interp.Value) ([]interp.Value, error) {
				if len(args) != 6 {
					return nil, fmt.Errorf("%s takes 6 arguments, not %d", throwName, len(args))
				}
				return nil, &interp.Exception{Tag: uint32(args[3].Lo), Payload: [2]interp.Value{args[4], args[5]}}
			}
		}
		call := libcalls[name.Text]
		if name.Kind != ir.NameLibCall || call == nil {
			return nil
		}
		return func(args []interp.Value) ([]interp.Value, error) {
			words := make([]uint64, len(args))
			for i, a := range args {
				words[i] = a.Lo
			}
			r, err := call(words)
			return []interp.Value{{Lo: r}}, err
		}
	}}
	for _, fn := range f.Funcs {
		m.Define(fn.Function)
	}
	return m
}

func callInterpreted(m *interp.Machine, l *runLine) ([]clif.Data, error) {
	args := make([]interp.Value, len(l.run.Args))
	for i, a := range l.run.Args {
		args[i] = interp.Value{Lo: a.Lo, Hi: a.Hi}
	}
	out, err := m.Call(l.run.Func, args...)
	if err != nil {
		return nil, fmt.Errorf("%v(%s): %w", l.run.Func, join(l.run.Args), err)
	}
	returns := l.fn.Sig.Returns
	got := make([]clif.Data, len(returns))
	for i, r := range returns {
		if i < len(out) {
			got[i] = clif.Data{Type: r.Type, Lo: out[i].Lo, Hi: out[i].Hi}
		}
	}
	return got, nil
}

// secondOpinion interprets a line whose compiled function was right. It is an
// error if the interpreter comes to another result; that it cannot run the
// function is none. Which NaN an operation yields is not for it to say.
func secondOpinion(m *interp.Machine, l *runLine) error {
	got, err := callInterpreted(m, l)
	if err != nil {
		var trap *interp.Trap
		if errors.As(err, &trap) {
			return fmt.Errorf("the interpreter disagrees: %w", err)
		}
		return nil
	}
	loose := *l.run
	loose.Want = anyNaN(loose.Want)
	if err := (&runLine{run: &loose}).judge(anyNaN(got)); err != nil {
		return fmt.Errorf("the interpreter disagrees: %w", err)
	}
	return nil
}

// anyNaN is list with every NaN replaced by the same one.
func anyNaN(list []clif.Data) []clif.Data {
	list = slices.Clone(list)
	for i := range list {
		d := &list[i]
		switch d.Type.Lane() {
		case ir.F32:
			for _, w := range [...]*uint64{&d.Lo, &d.Hi} {
				for shift := 0; shift < 64; shift += 32 {
					if bits := uint32(*w >> shift); bits&0x7fff_ffff > 0x7f80_0000 {
						*w = *w&^(0xffff_ffff<<shift) | 0x7fc0_0000<<shift
					}
				}
			}
		case ir.F64:
			for _, w := range [...]*uint64{&d.Lo, &d.Hi} {
				if *w&^(1<<63) > 0x7ff0<<48 {
					*w = 0x7ff8 << 48
				}
			}
		}
	}
	return list
}
