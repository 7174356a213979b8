package vm

import (
	"github.com/davit-wasm/davit/internal/image"
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

// appendFrames appends the guest's frames that a return address belongs to, if it
// belongs to some and there is room: a function's, before it those of functions that
// have been inlined into it. Trampolines are left out.
func appendFrames(frames []Frame, returnAddress uint64) []Frame {
	if len(frames) >= MaxFrames {
		return frames
	}
	m, off, ok := findCode(returnAddress - 1) // in the call before it
	if !ok {
		return frames
	}
	fn, ok := m.Image.FunctionAt(off)
	if !ok || fn.Kind != image.FunctionWasm {
		return frames
	}
	var room [8]image.Position
	for _, s := range m.Image.PositionsAt(room[:0], fn, off) {
		if len(frames) == MaxFrames {
			break
		}
		f := Frame{Module: m, Func: s.Func, Offset: -1, FuncName: m.funcName(s.Func)}
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
func trapOf(n *native.Trap) *Trap {
	t := &Trap{Code: image.TrapCode(n.Code)}
	t.Frames = appendFrames(t.Frames, uint64(n.PC)+1)
	if len(t.Frames) > 0 {
		t.Frames[0].begin() // it may have come in the check of the stack
	}
	if m, off, ok := findCode(uint64(n.PC)); ok {
		switch m.Image.FrameAt(off) {
		case image.FrameNone:
			t.Frames = appendFrames(t.Frames, uint64(n.Words[0]))
		case image.FramePushed:
			t.Frames = appendFrames(t.Frames, uint64(n.Words[1]))
		}
	}
	for _, pc := range n.Callers {
		t.Frames = appendFrames(t.Frames, uint64(pc))
	}
	return t
}
