package codegen

// pass is a step of compilation. It works on what the steps before left in the
// Context and replaces or changes that.
type pass struct {
	name string
	run  func(*Context) error
}

// passes are all steps in order. Options.After names them.
var passes = [...]pass{
	{"verify", (*Context).verify},           // the rules of the IR
	{"inline", (*Context).inline},           // bodies in the place of calls, if somebody has them
	{"legalize", (*Context).legalize},       // what back ends don't want to see
	{"nan", (*Context).canonicalizeNaN},     // one NaN instead of many, if wanted
	{"optimize", (*Context).optimize},       // the mid-end, if the level is not none
	{"unreachable", (*Context).unreachable}, // blocks that nothing leads to
	{"lower", (*Context).lower},             // machine instructions with virtual registers
	{"regalloc", (*Context).regalloc},       // a place for every virtual register
	{"emit", (*Context).emit},               // bytes, and what is to be known about them
}

// Passes lists the names of the passes in order.
func Passes() []string {
	names := make([]string, len(passes))
	for i, p := range passes {
		names[i] = p.name
	}
	return names
}
