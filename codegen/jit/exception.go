package jit

import (
	"encoding/binary"
	"fmt"
	"sort"

	"github.com/davit-wasm/davit/codegen"
	"github.com/davit-wasm/davit/codegen/ir"
	"github.com/davit-wasm/davit/internal/native"
)

// Exception is an error that a host function returns to throw: the frames of
// compiled code that lead to the host function are given up, from the
// innermost, up to a try_call with a handler for it, where it goes on. If there is none,
// [Module.Call] returns it.
type Exception struct {
	Tag uint32
	// Payload is what exn0 and exn1 stand for in the handlers' block calls.
	Payload [2]uint64
	// Match decides whether a handler for a tag takes the exception, given the
	// value of the handler's context, or 0 if it has none. If it is nil, a
	// handler with the exception's tag does.
	Match func(tag uint32, context uint64) bool
}

func (e *Exception) Error() string { return fmt.Sprintf("exception with tag %d", e.Tag) }

// exceptionTable is what a function's landing places need.
type exceptionTable struct {
	calls    []codegen.CallSite // those that have handlers
	handlers []codegen.Handler
	size     uintptr // of the frame
	align    uintptr
}

// exceptions copies what is needed of a function's handlers.
func exceptions(c *codegen.CompiledCode) (t exceptionTable) {
	if len(c.Handlers) == 0 {
		return t
	}
	t = exceptionTable{size: uintptr(c.FrameSize), align: uintptr(c.FrameAlign)}
	for _, s := range c.Calls {
		if s.NumHandlers == 0 {
			continue
		}
		handlers := c.CallHandlers(s)
		s.FirstHandler = uint32(len(t.handlers))
		t.handlers = append(t.handlers, handlers...)
		t.calls = append(t.calls, s)
	}
	return t
}

// find is the landing place for e of the call that returns to ret, in the frame
// with frame pointer fp.
func (t *exceptionTable) find(ret uint32, fp uintptr, e *Exception) (landing uint32, ok bool) {
	i := sort.Search(len(t.calls), func(i int) bool { return t.calls[i].ReturnAddress >= ret })
	if i == len(t.calls) || t.calls[i].ReturnAddress != ret {
		return 0, false
	}
	context := uint64(0)
	for _, h := range t.handlers[t.calls[i].FirstHandler:][:t.calls[i].NumHandlers] {
		switch h.Kind {
		case ir.HandlerContext:
			context = binary.NativeEndian.Uint64(native.Bytes(fp+uintptr(h.Context), 8))
		case ir.HandlerDefault:
			return h.Landing, true
		case ir.HandlerTag:
			if e.Match == nil && h.Tag == e.Tag || e.Match != nil && e.Match(h.Tag, context) {
				return h.Landing, true
			}
		}
	}
	return 0, false
}

// throw makes the suspended code continue at the innermost handler for e.
func throw(s *native.Stack, e *Exception) bool {
	for f := range s.Frames() {
		fn, start, ok := functionAt(f.PC - 1)
		if !ok {
			continue
		}
		t := &fn.exceptions
		if landing, ok := t.find(uint32(f.PC-start), f.FP, e); ok {
			sp := (f.FP - t.size) &^ (t.align - 1)
			s.Land(start+uintptr(landing), sp, f.FP, [2]uintptr{uintptr(e.Payload[0]), uintptr(e.Payload[1])})
			return true
		}
	}
	return false
}
