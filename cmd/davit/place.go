package main

import (
	"errors"
	"fmt"
	"sort"

	"github.com/davit-wasm/davit"
	"github.com/davit-wasm/davit/internal/compile"
	"github.com/davit-wasm/davit/wasm"
	"github.com/davit-wasm/davit/wat"
)

// placedError is an error about a module that came from a text, with its place
// there.
type placedError struct {
	place *wat.Error
	err   error
}

func (e *placedError) Error() string   { return e.place.Error() }
func (e *placedError) Unwrap() []error { return []error{e.place, e.err} }

// locate adds to an error that names an offset in the binary form of code the
// place in the text that it came from, if it came from one.
func (code *module) locate(err error) error {
	var bad *wasm.Error
	var unsupported *compile.UnsupportedError
	offset := -1
	switch {
	case errors.As(err, &bad):
		offset = bad.Offset
	case errors.As(err, &unsupported):
		offset = unsupported.Offset
	}
	if place := code.place(offset, err); place != nil {
		return &placedError{place, err}
	}
	return err
}

// place is an error about the instruction at an offset of the binary form, with
// its place in the text; nil if there is no such instruction or no text.
func (code *module) place(offset int, err error) *wat.Error {
	if code.text == nil || offset < 0 {
		return nil
	}
	if code.decoded == nil {
		m, derr := wasm.Decode(code.binary, &wasm.Config{Features: wasm.FeaturesAll})
		if derr != nil {
			return nil
		}
		code.decoded = m
		wat.Parse(code.text, &wat.Options{Positions: &code.positions}) // it was parsed before
	}
	bodies := code.decoded.Code
	fn := sort.Search(len(bodies), func(i int) bool { return bodies[i].Offset > offset }) - 1
	if fn < 0 || offset >= bodies[fn].Offset+len(bodies[fn].Body) {
		return nil
	}
	return code.positions.Error(fn, offset-bodies[fn].Offset, err.Error())
}

// tracedError is a trap with the places in texts of the calls in progress.
type tracedError struct {
	error
	places []string // of the trap's frames: file:line:column, or ""
}

func (e *tracedError) Unwrap() error { return e.error }

// trace adds places to a trap. Frames know the names of their modules only, so
// that there are none of modules that share one.
func (r *runner) trace(err error) error {
	var trap *davit.Trap
	if !errors.As(err, &trap) {
		return err
	}
	places := make([]string, len(trap.Frames))
	for i, f := range trap.Frames {
		var code *module
		n := 0
		for _, m := range r.loaded {
			if m.name == f.Module {
				code, n = m.code, n+1
			}
		}
		if n == 1 {
			if place := code.place(f.Offset, err); place != nil {
				places[i] = fmt.Sprintf("%s:%d:%d", code.file, place.Line, place.Column)
			}
		}
	}
	return &tracedError{err, places}
}
