package interp

import (
	"errors"
	"testing"

	"github.com/davit-wasm/davit/codegen/ir"
)

const throwing = `
function %throw(i32, i64) tail {
    fn0 = %host(i32, i64)
block0(v0: i32, v1: i64):
    call fn0(v0, v1)
    return
}
function %middle(i32, i64) -> i64 tail {
    sig0 = (i32, i64) tail
    fn0 = %throw sig0
block0(v0: i32, v1: i64):
    try_call fn0(v0, v1), sig0, block1, [ tag1: block2(exn0) ]
block1:
    v2 = iconst.i64 -1
    return v2
block2(v3: i64):
    v4 = iadd v3, v1
    return v4
}
function %outer(i32, i64, i64) -> i64 tail {
    sig0 = (i32, i64) -> i64 tail
    fn0 = %middle sig0
block0(v0: i32, v1: i64, v2: i64):
    try_call fn0(v0, v1), sig0, block1(ret0), [ context v2, tag2: block2(exn1, v1), tag3: block3 ]
block1(v3: i64):
    return v3
block2(v4: i64, v5: i64):
    v6 = isub v4, v5
    return v6
block3:
    v7 = iconst.i64 33
    return v7
}
function %any(i32, i64, i64) -> i64 tail {
    sig0 = (i32, i64, i64) -> i64 tail
    fn0 = %outer sig0
block0(v0: i32, v1: i64, v2: i64):
    v3 = func_addr.i64 fn0
    try_call_indirect v3(v0, v1, v2), sig0, block1(ret0), [ default: block2 ]
block1(v4: i64):
    return v4
block2:
    v5 = iconst.i64 99
    return v5
}
function %tail(i32, i64) tail {
    fn0 = %host(i32, i64) tail
block0(v0: i32, v1: i64):
    return_call fn0(v0, v1)
}
function %trytail(i32, i64) -> i64 tail {
    sig0 = (i32, i64) tail
    fn0 = %tail sig0
block0(v0: i32, v1: i64):
    try_call fn0(v0, v1), sig0, block1, [ tag1: block2(exn0, exn1) ]
block1:
    v2 = iconst.i64 -1
    return v2
block2(v3: i64, v4: i64):
    v5 = imul v3, v4
    return v5
}
`

// TestExceptions: the innermost handler that takes the tag, with payloads,
// contexts, and values of the frame as they were at the call.
func TestExceptions(t *testing.T) {
	m := machine(t, throwing)
	var match func(uint32, Value) bool
	boom := errors.New("boom")
	m.DefineHost(ir.TestName("host"), func(args []Value) ([]Value, error) {
		switch args[0].Lo {
		case 0:
			return nil, nil
		case 1000:
			return nil, boom
		}
		return nil, &Exception{Tag: uint32(args[0].Lo), Payload: [2]Value{{Lo: 5}, {Lo: 70}}, Match: match}
	})
	for _, c := range []struct {
		f     string
		args  []uint64
		match func(uint32, Value) bool
		want  uint64
	}{
		{"middle", []uint64{0, 10}, nil, ^uint64(0)},
		{"middle", []uint64{1, 10}, nil, 15},
		{"outer", []uint64{1, 10, 0}, nil, 15},
		{"outer", []uint64{2, 10, 0}, nil, 60},
		{"outer", []uint64{3, 10, 0}, nil, 33},
		{"any", []uint64{3, 10, 0}, nil, 33},
		{"any", []uint64{4, 10, 0}, nil, 99},
		{"trytail", []uint64{1, 0}, nil, 350},
		{"outer", []uint64{7, 10, 1234}, func(tag uint32, ctx Value) bool { return tag == 3 && ctx.Lo == 1234 }, 33},
	} {
		match = c.match
		var args []Value
		for _, a := range c.args {
			args = append(args, Value{Lo: a})
		}
		got, err := m.Call(ir.TestName(c.f), args...)
		if err != nil || len(got) != 1 || got[0].Lo != c.want {
			t.Errorf("%s(%v) = %v, %v, want %d", c.f, c.args, got, err, c.want)
		}
	}
	match = nil
	var e *Exception
	if _, err := m.Call(ir.TestName("outer"), Value{Lo: 9}, Value{}, Value{}); !errors.As(err, &e) || e.Tag != 9 {
		t.Errorf("an exception that nothing takes: %v", err)
	}
	if _, err := m.Call(ir.TestName("any"), Value{Lo: 1000}, Value{}, Value{}); !errors.Is(err, boom) {
		t.Errorf("another error: %v", err)
	}
}
