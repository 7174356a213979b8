package vm

import (
	"github.com/davit-wasm/davit/internal/image"
	"github.com/davit-wasm/davit/internal/layout"
	"github.com/davit-wasm/davit/internal/native"
	"github.com/davit-wasm/davit/wasm"
)

// Trap is the error of a call that WebAssembly code ended abnormally.
type Trap struct {
	Code image.TrapCode
	// Frames are the guest's frames, innermost first, across nested calls of the
	// same goroutine's activations. The list is cut at MaxFrames.
	Frames []Frame
	// Cause is what an interruption is due to: the cause of the context's end.
	Cause error
}

// MaxFrames is how many frames a backtrace has at most.
const MaxFrames = 100

// Frame is a frame of a guest function.
type Frame struct {
	Module   *Module
	Func     uint32 // index in the module
	Offset   int    // in the module's bytes, of the instruction or call under way; -1 if unknown
	FuncName string // from the name section, or an export; may be empty
	Call     Call
}

func (t *Trap) Error() string {
	s := "wasm trap: " + t.Code.String()
	if t.Cause != nil {
		s += ": " + t.Cause.Error()
	}
	return s
}

// Unwrap is what the trap is due to, if that is an error.
func (t *Trap) Unwrap() error { return t.Cause }

// trace is a backtrace that is being made, from the innermost frame outwards.
type trace struct {
	frames []Frame
	store  *Store // nil: nobody asks for instances
	level  int    // of the activation that the next frames are of
	call   Call
}

// trace begins a backtrace of the calls under way in s.
func (s *Store) trace() trace {
	t := trace{store: s, level: s.depth + 1}
	t.next()
	return t
}

// next goes on to the next activation of native code.
func (t *trace) next() {
	t.call = Call{}
	for s := t.store; s != nil && t.level > 1; {
		t.level--
		if entered := s.activations[t.level-1].entered; entered != 0 {
			t.call = Call{store: s.serial, entered: uint32(*word(pointer(uint64(entered)), layout.InstIndex)), instances: uint32(len(s.instances))}
			return
		}
	}
}

// add appends the guest's frames that a return address belongs to, if it belongs to
// some and there is room: a function's, before it those of functions that have been
// inlined into it. Trampolines are left out.
func (t *trace) add(returnAddress uint64) {
	m, off, ok := findCode(returnAddress - 1) // in the call before it
	if !ok {
		return
	}
	if fn, ok := m.Image.FunctionAt(off); ok {
		switch fn.Kind {
		case image.FunctionWasm:
			t.frames = appendFrames(t.frames, m, fn, off, t.call)
		case image.FunctionEntry, image.FunctionDirect:
			t.next() // behind every activation's last frame
		}
	}
}

// appendFrames appends the frames of a place in a function, as far as there is room.
func appendFrames(frames []Frame, m *Module, fn *image.Function, off uint32, call Call) []Frame {
	var room [8]image.Position
	for _, s := range m.Image.PositionsAt(room[:0], fn, off) {
		if len(frames) == MaxFrames {
			break
		}
		f := Frame{Module: m, Func: s.Func, Offset: -1, FuncName: m.funcName(s.Func), Call: call}
		if s.Wasm != image.NoAddress {
			f.Offset = int(s.Wasm)
		}
		frames = append(frames, f)
	}
	return frames
}

// begin gives a frame that is before the first instruction of its function the
// offset of the function's body.
func (f *Frame) begin() {
	img := f.Module.Image
	if f.Offset < 0 {
		f.Offset = int(img.Bodies[int(f.Func)-img.Module.NumImportedFuncs])
	}
}

// funcName is what the module calls a function: in its name section, else in
// its exports.
func (m *Module) funcName(i uint32) string {
	if n := m.Image.Names().FuncName(i); n != "" {
		return n
	}
	exports := m.Image.Module.Exports
	for k := range exports {
		if exports[k].Kind == wasm.KindFunc && exports[k].Index == i {
			return exports[k].Name
		}
	}
	return ""
}

// trapOf is the trap that package native saw. The function that trapped may not
// have set up its frame yet; then its return address is still on top of the
// stack.
func (s *Store) trapOf(n *native.Trap) *Trap {
	t := s.trace()
	t.add(uint64(n.PC) + 1)
	if len(t.frames) > 0 {
		t.frames[0].begin() // it may have come in the check of the stack
	}
	if m, off, ok := findCode(uint64(n.PC)); ok {
		switch m.Image.FrameAt(off) {
		case image.FrameNone:
			t.add(uint64(n.Words[0]))
		case image.FramePushed:
			t.add(uint64(n.Words[1]))
		}
	}
	for _, pc := range n.Callers {
		t.add(uint64(pc))
	}
	return &Trap{Code: image.TrapCode(n.Code), Frames: t.frames}
}
