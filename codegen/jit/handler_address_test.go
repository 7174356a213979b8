package jit

import (
	"context"
	"testing"

	"github.com/davit-wasm/davit/codegen"
	"github.com/davit-wasm/davit/codegen/ir"
	"github.com/davit-wasm/davit/codegen/isa"
)

// TestHandlerAddress compares what get_exception_handler_address is at run time
// with the landing places of the exception table. The call's block has one
// predecessor, with which optimization may join it, and a handler that does
// nothing but jump.
func TestHandlerAddress(t *testing.T) {
	const text = `function %f(i64) -> i64, i64, i64 tail {
    sig0 = () tail
    fn0 = colocated %g() tail
block0(v0: i64):
    v1 = get_exception_handler_address.i64 block1, 0
    v2 = get_exception_handler_address.i64 block1, 1
    jump block1
block1:
    try_call fn0(), sig0, block2, [ tag1: block3(exn0), context v0, default: block4 ]
block2:
    v3 = iconst.i64 0
    jump block5(v3)
block3(v4: i64):
    jump block5(v4)
block4:
    jump block5(v0)
block5(v5: i64):
    return v1, v2, v5
}`
	for _, settings := range [][]string{{"opt_level=none"}, {"opt_level=speed"}, {"opt_level=speed_and_size"}, {"regalloc_algorithm=single_pass"}} {
		if err := Supported(); err != nil {
			t.Skip(err)
		}
		b, err := isa.Host()
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range settings {
			if err := b.Set(s); err != nil {
				t.Fatal(err)
			}
		}
		target, err := b.Finish()
		if err != nil {
			t.Fatal(err)
		}
		m := New(target)
		define(t, m, "function %g() tail {\nblock0:\n return\n}")
		fn := parse(t, text)
		var c codegen.Context
		code, err := c.Compile(fn, m.Target(), codegen.Options{})
		if err != nil {
			t.Fatal(err)
		}
		id := define(t, m, text)[0]
		type results struct{ First, Second, Zero uint64 }
		f, err := Func1[int64, results](m, id)
		if err != nil {
			t.Fatal(err)
		}
		r, err := f(context.Background(), 1)
		if err != nil {
			t.Fatal(err)
		}
		var landings []uint64
		for _, h := range code.Handlers {
			if h.Kind != ir.HandlerContext {
				landings = append(landings, uint64(m.Address(id))+uint64(h.Landing))
			}
		}
		if len(landings) != 2 || r != (results{landings[0], landings[1], 0}) {
			t.Errorf("%v: %#x, landing places %#x", settings, r, landings)
		}
		// A call that cannot be reached has no handlers.
		none, err := Func0[int64](m, define(t, m, `function %gone() -> i64 tail {
    sig0 = () tail
    fn0 = colocated %g() tail
block0:
    v0 = get_exception_handler_address.i64 block1, 0
    return v0
block1:
    try_call fn0(), sig0, block2, [ default: block2 ]
block2:
    v1 = iconst.i64 1
    return v1
}`)[0])
		if err != nil {
			t.Fatal(err)
		}
		if r, err := none(context.Background()); err != nil || r != 0 {
			t.Errorf("%v: handler of a call that cannot be reached: %#x, %v", settings, r, err)
		}
		m.Close()
	}
}
