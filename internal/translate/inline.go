package translate

import "github.com/davit-wasm/davit/codegen/ir"

// Call is a direct call that a translated function makes.
type Call struct {
	Inst  ir.Inst
	Func  uint32
	Loops uint32 // how many loops of the function it is in
}

// Calls are the direct calls of functions of the same module that the function
// which was translated last makes, by ascending Inst. They are valid until the
// next translation.
func (t *Translator) Calls() []Call { return t.calls }

// Looping reports whether the function that was translated last has a loop.
func (t *Translator) Looping() bool { return t.looping }

func (t *Translator) noteCall(index uint32) {
	t.calls = append(t.calls, Call{ir.Inst(t.f.NumInsts() - 1), index, t.loops})
}

// Body is [Translator.Function] for a body that takes the place of calls. It does
// not ask whether it is to be interrupted when it begins: it ends, but for its
// loops and its calls, which ask.
func (t *Translator) Body(m *Module, index uint32, f *ir.Function) error {
	t.inlined = true
	return t.function(m, index, f)
}
