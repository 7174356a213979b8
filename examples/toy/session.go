package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"unsafe"

	"github.com/davit-wasm/davit/codegen/ir"
	"github.com/davit-wasm/davit/codegen/jit"
	"github.com/davit-wasm/davit/codegen/module"
)

// session runs units in this process, each of which can use what the earlier
// ones have declared. It is for one goroutine at a time.
type session struct {
	c     *compiler
	m     *jit.Module
	out   io.Writer
	units int
	file  string // of the unit that runs
}

func newSession(out io.Writer, settings ...string) (*session, error) {
	// Replaceable: a function that is declared again takes the place of the old one.
	m, err := jit.NewHost(jit.Config{Replaceable: true}, settings...)
	if err != nil {
		return nil, err
	}
	t := m.Target()
	s := &session{c: newCompiler(t), m: m, out: out}
	host := func(r rtFunc, call func(slots []byte) error) {
		_, e := s.m.DefineHost(ir.TestName(r.name), r.signature(t.DefaultCallConv()), func(_ context.Context, slots []byte) error {
			return call(slots)
		})
		err = errors.Join(err, e)
	}
	// Arguments come in slots of jit.SlotSize bytes.
	word := func(slots []byte, i int) uint64 { return binary.NativeEndian.Uint64(slots[i*jit.SlotSize:]) }
	small := func(slots []byte, i int) uint32 { return binary.NativeEndian.Uint32(slots[i*jit.SlotSize:]) }
	write := func(text string) error {
		_, err := io.WriteString(s.out, text)
		return err
	}
	host(rt.printInt, func(slots []byte) error { return write(strconv.FormatInt(int64(word(slots, 0)), 10)) })
	host(rt.printFloat, func(slots []byte) error { return write(formatFloat(math.Float64frombits(word(slots, 0)))) })
	host(rt.printBool, func(slots []byte) error { return write(strconv.FormatBool(slots[0] != 0)) })
	host(rt.printText, func(slots []byte) error {
		// The address is one of the module's data, which the collector does not move.
		text := unsafe.String(*(**byte)(unsafe.Pointer(&slots[0])), word(slots, 1))
		return write(text)
	})
	host(rt.fail, func(slots []byte) error {
		return &Error{File: s.file, Pos: makePos(int(small(slots, 0)), int(small(slots, 1))), Msg: "division by zero"}
	})
	if err != nil {
		return nil, err
	}
	return s, nil
}

// formatFloat is how floats are printed, here and by runtime.c: 17 digits or
// fewer say all of them.
func formatFloat(f float64) string {
	switch {
	case math.IsNaN(f):
		return "nan"
	case math.IsInf(f, 1):
		return "inf"
	case math.IsInf(f, -1):
		return "-inf"
	}
	return fmt.Sprintf("%.10g", f)
}

func (s *session) close() { s.m.Close() }

// run compiles a unit and runs its statements. In a unit that is echoed, values
// of expressions are printed. The error is an *Error if the program is at
// fault, or ctx's.
func (s *session) run(ctx context.Context, file, src string, echo bool) error {
	s.units++
	p, err := s.c.compile(file, src, ir.UserName(0, uint32(s.units)), echo)
	if err != nil {
		return err
	}
	main, err := define(s.m, p, func(f *ir.Function) (bool, error) {
		id, ok := s.m.Lookup(f.Name)
		if !ok || !s.m.Decl(id).Defined {
			return false, nil
		}
		return true, s.m.Replace(f, jit.Options{})
	})
	if err != nil {
		return err
	}
	if err := s.m.Finalize(); err != nil {
		return err
	}
	s.file = file
	err = errors.Join(s.call(ctx, main), s.m.Free(main))
	var trap *jit.Trap
	if errors.As(err, &trap) {
		// Places are the positions that instructions got from the generator. A stack overflows
		// before the function's first one: then it is where the call is.
		e := &Error{File: file, Pos: pos(trap.Loc), Msg: fmt.Sprintf("the program fails: %v", trap.Code)}
		if trap.Code == ir.TrapStackOverflow {
			e.Msg = "the calls are nested too deep"
			if len(trap.Callers) > 0 {
				e.Pos = pos(trap.Callers[0].Loc)
			}
		}
		return e
	}
	return err
}

func (s *session) call(ctx context.Context, main module.ID) error {
	call, err := jit.Func0[struct{}](s.m, main)
	if err != nil {
		return err
	}
	_, err = call(ctx)
	return err
}
