package jit

import (
	"context"
	"encoding/binary"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/davit-wasm/davit/codegen/ir"
)

// defineThrow makes %throw(tag, payload, payload) throw.
func defineThrow(t *testing.T, m *Module, conv ir.CallConv, match func(tag uint32, context uint64) bool) {
	t.Helper()
	i64 := ir.Param{Type: ir.I64}
	_, err := m.DefineHost(ir.TestName("throw"), ir.Signature{Params: []ir.Param{i64, i64, i64}, CallConv: conv}, func(_ context.Context, slots []byte) error {
		word := func(i int) uint64 { return binary.LittleEndian.Uint64(slots[i*SlotSize:]) }
		return &Exception{Tag: uint32(word(0)), Payload: [2]uint64{word(1), word(2)}, Match: match}
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Finalize(); err != nil {
		t.Fatal(err)
	}
}

const tryPrograms = `
function %middle(i64, i64, i64) system_v {
    fn0 = %throw(i64, i64, i64) CONV
block0(v0: i64, v1: i64, v2: i64):
    call fn0(v0, v1, v2)
    return
}
; Everything that lives over the call is in registers that callees save, if the convention has any.
function %catch(i64, i64) -> i64 system_v {
    sig0 = (i64, i64, i64) system_v
    fn0 = %middle(i64, i64, i64) system_v
block0(v0: i64, v1: i64):
    v101 = iconst.i64 1
    v2 = iadd v1, v101
    v102 = iconst.i64 2
    v3 = iadd v1, v102
    v103 = iconst.i64 3
    v4 = iadd v1, v103
    v104 = iconst.i64 4
    v5 = iadd v1, v104
    try_call fn0(v0, v2, v3), sig0, block1, [ tag1: block2(exn0, exn1), tag2: block3(exn1), default: block4 ]
block1:
    return v1
block2(v6: i64, v7: i64):
    v8 = imul v6, v7
    v9 = iadd v4, v5
    v10 = iadd v8, v9
    return v10
block3(v11: i64):
    return v11
block4:
    v12 = iadd v4, v5
    return v12
}
; The registers that this function's caller wants back come back after a landing in %catch.
function %caller(i64, i64) -> i64 tail {
    fn0 = %catch(i64, i64) -> i64 system_v
block0(v0: i64, v1: i64):
    v2 = imul v1, v1
    v3 = imul v2, v1
    v4 = imul v3, v1
    v5 = imul v4, v1
    v6 = call fn0(v0, v1)
    v7 = iadd v2, v3
    v8 = iadd v4, v5
    v9 = iadd v7, v8
    v10 = iadd v9, v6
    return v10
}
; Stack arguments that the callee removes, and a frame aligned to 64.
function %tail_callee(i64, i64, i64, i64, i64, i64, i64, i64, i64, i64, i64, i64) tail {
    fn0 = %throw(i64, i64, i64) CONV
block0(v0: i64, v1: i64, v2: i64, v3: i64, v4: i64, v5: i64, v6: i64, v7: i64, v8: i64, v9: i64, v10: i64, v11: i64):
    call fn0(v0, v10, v11)
    return
}
function %aligned(i64, i64) -> i64 tail {
    ss0 = explicit_slot 64, align=64
    sig0 = (i64, i64, i64, i64, i64, i64, i64, i64, i64, i64, i64, i64) tail
    fn1 = %nothing(i64) system_v
    fn0 = %tail_callee(i64, i64, i64, i64, i64, i64, i64, i64, i64, i64, i64, i64) tail
block0(v0: i64, v1: i64):
    v50 = stack_addr.i64 ss0
    store.i64 v1, v50+8
    try_call fn0(v0, v1, v1, v1, v1, v1, v1, v1, v1, v1, v0, v1), sig0, block1, [ default: block2(exn0, exn1) ]
block1:
    v2 = iconst.i64 1
    return v2
block2(v3: i64, v4: i64):
    v6 = stack_addr.i64 ss0
    v5 = load.i64 v6+8
    v105 = iconst.i64 63
    v7 = band v6, v105
    v8 = iadd v3, v4
    v9 = iadd v8, v5
    v10 = iadd v9, v7
    ; The stack pointer is where it was: another call works.
    call fn1(v10)
    return v10
}
function %nothing(i64) system_v {
block0(v0: i64):
    return
}
; Contexts, constant and not; the second handler takes it.
function %contexts(i64, i64) -> i64 {
    sig0 = (i64, i64, i64) system_v
    fn0 = %middle(i64, i64, i64) system_v
block0(v0: i64, v1: i64):
    v2 = iconst.i64 4711
    try_call fn0(v0, v1, v1), sig0, block1, [ tag1: block2(v1), context v1, tag1: block3(exn0), context v2, tag1: block4(exn0), tag2: block5 ]
block1:
    return v1
block2(v3: i64):
    return v3
block3(v4: i64):
    v106 = iconst.i64 1000
    v5 = iadd v4, v106
    return v5
block4(v6: i64):
    v107 = iconst.i64 2000
    v7 = iadd v6, v107
    return v7
block5:
    v8 = iconst.i64 5
    return v8
}
; A handler throws again, to the one around it.
function %rethrow(i64, i64) -> i64 {
    sig0 = (i64, i64) -> i64 tail
    fn0 = %again(i64, i64) -> i64 tail
block0(v0: i64, v1: i64):
    try_call fn0(v0, v1), sig0, block1(ret0), [ tag9: block2(exn1) ]
block1(v2: i64):
    return v2
block2(v3: i64):
    v108 = iconst.i64 100
    v4 = iadd v3, v108
    return v4
}
function %again(i64, i64) -> i64 tail {
    sig0 = (i64, i64, i64) system_v
    fn0 = %middle(i64, i64, i64) system_v
    fn1 = %throw(i64, i64, i64) CONV
block0(v0: i64, v1: i64):
    try_call fn0(v0, v1, v1), sig0, block1, [ default: block2(exn0) ]
block1:
    return v1
block2(v2: i64):
    v3 = iconst.i64 9
    call fn1(v3, v2, v2)
    return v2
}
`

func TestExceptions(t *testing.T) {
	for _, conv := range []ir.CallConv{ir.SystemV, ir.Tail} {
		t.Run(conv.String(), func(t *testing.T) {
			m := newModule(t, strings.ReplaceAll(tryPrograms, "CONV", conv.String()))
			defineThrow(t, m, conv, nil)
			for _, c := range []struct {
				name      string
				arg, want uint64
				tag       uint64
			}{
				{"catch", 10, 11*12 + 13 + 14, 1},
				{"catch", 10, 12, 2},
				{"catch", 10, 13 + 14, 3},
				{"caller", 10, 100 + 1000 + 10000 + 100000 + 11*12 + 13 + 14, 1},
				{"aligned", 10, 7 + 10 + 10, 7},
				{"contexts", 10, 10, 1},
				{"contexts", 10, 5, 2},
				{"rethrow", 10, 110, 1},
			} {
				if got, err := call(t, m, context.Background(), c.name, c.tag, c.arg); err != nil || got != c.want {
					t.Errorf("%%%s with tag %d: %d, %v, want %d", c.name, c.tag, got, err, c.want)
				}
			}
			_, err := call(t, m, context.Background(), "contexts", 77, 1)
			var x *Exception
			if !errors.As(err, &x) || x.Tag != 77 || x.Payload != [2]uint64{1, 1} {
				t.Errorf("exception that nothing takes: error %v", err)
			}
		})
	}
}

// TestExceptionContexts looks at what handlers' contexts hold.
func TestExceptionContexts(t *testing.T) {
	m := newModule(t, strings.ReplaceAll(tryPrograms, "CONV", "tail"))
	var seen []uint64
	take := uint64(0)
	defineThrow(t, m, ir.Tail, func(tag uint32, context uint64) bool {
		if tag == 1 {
			seen = append(seen, context)
		}
		return context == take
	})
	for _, c := range []struct{ take, want uint64 }{{0, 10}, {10, 1010}, {4711, 2010}} {
		take, seen = c.take, nil
		if got, err := call(t, m, context.Background(), "contexts", 1, 10); err != nil || got != c.want {
			t.Errorf("context %d: %d, %v, want %d", take, got, err, c.want)
		}
		if want := []uint64{0, 10, 4711}; !slices.Equal(seen, want[:len(seen)]) || len(seen) == 0 {
			t.Errorf("contexts %v, want %v", seen, want)
		}
	}
}

// TestExceptionAfterNesting throws from a host function that has called
// compiled code, which has thrown and caught.
func TestExceptionAfterNesting(t *testing.T) {
	m := newModule(t, `
function %outer(i64, i64) -> i64 {
    sig0 = (i64, i64) system_v
    fn0 = %host(i64, i64) system_v
block0(v0: i64, v1: i64):
    try_call fn0(v0, v1), sig0, block1, [ tag3: block2(exn0, exn1) ]
block1:
    return v1
block2(v2: i64, v3: i64):
    v4 = iadd v2, v3
    v5 = iadd v4, v1
    return v5
}`)
	i64 := ir.Param{Type: ir.I64}
	_, err := m.DefineHost(ir.TestName("host"), ir.Signature{Params: []ir.Param{i64, i64}, CallConv: ir.SystemV}, func(ctx context.Context, slots []byte) error {
		depth := binary.LittleEndian.Uint64(slots)
		inner := uint64(0)
		if depth > 0 {
			var err error
			if inner, err = call(t, m, ctx, "outer", depth-1, 1000); err != nil {
				return err
			}
		}
		return &Exception{Tag: 3, Payload: [2]uint64{depth, inner}}
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Finalize(); err != nil {
		t.Fatal(err)
	}
	// outer(d) = d + outer(d-1) + 1000 inside.
	if got, err := call(t, m, context.Background(), "outer", 3, 5); err != nil || got != 3+2+1+0+3*1000+5 {
		t.Errorf("%d, %v", got, err)
	}
}
