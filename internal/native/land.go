package native

import (
	"fmt"
	"iter"

	"github.com/davit-wasm/davit/internal/layout"
)

// Frame is a frame of suspended native code: PC is where a call in it returns
// to, FP its frame pointer.
type Frame struct{ PC, FP uintptr }

// Frames yields the frames of the native code that called the host function
// being served, innermost first, up to and with the entry trampoline's: those
// that [Stack.Land] can continue in. It is for use in [Host.Exit].
func (s *Stack) Frames() iter.Seq[Frame] {
	return func(yield func(Frame) bool) {
		sus := s.innermost()
		f := Frame{sus.exitPC, sus.exitFP}
		for yield(f) && f.FP != sus.entryFP && s.holds(f.FP) {
			next := Frame{*wordAt(f.FP + 8), *wordAt(f.FP)}
			if next.FP <= f.FP {
				return // not a chain; frames of callers lie above
			}
			f = next
		}
	}
}

// Land makes the native code that called the host function being served
// continue at pc with the given stack pointer and frame pointer, in a frame that
// [Stack.Frames] has yielded, rather than return from the call. What is called
// from that frame is given up. The payload is in the registers where landing
// places expect that of an exception. It is for use in [Host.Exit], which then
// returns nil.
func (s *Stack) Land(pc, sp, fp uintptr, payload [2]uintptr) {
	if !s.holds(fp) || !s.holds(sp) || sp > fp {
		panic(fmt.Sprintf("native: landing with stack pointer %#x, frame pointer %#x", sp, fp))
	}
	// What a resume pops, and then the stub.
	at := sp - 40
	for i, w := range [...]uintptr{fp, process.stubs + stubLand, payload[0], payload[1], pc} {
		*wordAt(at + uintptr(i)*8) = w
	}
	if s.inHost {
		*s.word(layout.ExecResumeSP) = at
	} else {
		s.suspended[len(s.suspended)-1].resumeSP = at
	}
}

// innermost is what the records say, or said before nested calls, of the code
// that called the host function being served.
func (s *Stack) innermost() suspension {
	if s.inHost {
		return s.current()
	}
	return s.suspended[len(s.suspended)-1]
}
