package regalloc

import "errors"

// Allocator allocates registers. It owns the Output and all working memory, and reuses both, so that an Allocator that has seen a
// function as large as the next one allocates no memory. The zero value is ready. It is for one goroutine at a time.
type Allocator struct {
	out Output
}

// Allocate finds a location for every operand of f. The error is of f: a broken rule if o.Validate is set, or an instruction that
// needs more registers at once than there are. The result is valid until the next call.
func (a *Allocator) Allocate(f *Function, env *Env, o Options) (*Output, error) {
	return nil, errors.New("regalloc: not there yet")
}
