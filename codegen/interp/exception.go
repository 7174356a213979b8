package interp

import (
	"errors"
	"fmt"

	"github.com/davit-wasm/davit/codegen/ir"
)

// Exception is an error that a [HostFunc] returns to throw: the calls that lead
// to the host function are given up, from the innermost, up to a try_call with a
// handler for it, where the program goes on. If there is none, [Machine.Call]
// returns it.
type Exception struct {
	Tag uint32
	// Payload is what exn0 and exn1 stand for in the handlers' block calls.
	Payload [2]Value
	// Match decides whether a handler for a tag takes the exception, given the
	// value of the handler's context, or zero if it has none. If it is nil, a
	// handler with the exception's tag does.
	Match func(tag uint32, context Value) bool
}

func (e *Exception) Error() string { return fmt.Sprintf("exception with tag %d", e.Tag) }

// throw continues at the innermost handler for an exception, and drops the
// frames inside of it. It returns err if that is no exception, or has none.
func (m *Machine) throw(err error) error {
	var e *Exception
	if !errors.As(err, &e) {
		return err
	}
	for n := len(m.frames) - 1; n >= 0; n-- {
		fr := m.frames[n]
		dest, ok := m.handler(&fr, e)
		if !ok {
			continue
		}
		m.frames = m.frames[:n+1]
		m.values = m.values[:fr.base+fr.f.NumValues()]
		m.exn = e.Payload
		m.frames[n].callee = false
		m.frames[n].at = m.branch(&fr, fr.at, dest)
		return nil
	}
	return err
}

// handler is the block call of the call that fr is at which takes e.
func (m *Machine) handler(fr *frame, e *Exception) (dest int, ok bool) {
	d := fr.f.Inst(fr.at)
	switch d.Op.Format() {
	case ir.FormatTryCall, ir.FormatTryCallIndirect:
	default:
		return 0, false
	}
	context := Value{}
	for _, h := range fr.f.ExceptionTables[d.Imm].Handlers {
		switch h.Kind {
		case ir.HandlerContext:
			context = m.get(fr, h.Context)
			continue
		case ir.HandlerTag:
			ok = e.Match == nil && h.Tag == e.Tag || e.Match != nil && e.Match(h.Tag, context)
		case ir.HandlerDefault:
			ok = true
		}
		dest++ // block call 0 is the normal return
		if ok {
			return dest, true
		}
	}
	return 0, false
}
