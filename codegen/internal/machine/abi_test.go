package machine

import (
	"fmt"
	"strings"
	"testing"

	"github.com/davit-wasm/davit/codegen/internal/regalloc"
	"github.com/davit-wasm/davit/codegen/ir"
)

// testConvention has three integer and two float registers for arguments, and
// one of each for results.
func testConvention() *Convention {
	p := func(c regalloc.RegClass, from, n int) (list []regalloc.PReg) {
		for i := range n {
			list = append(list, regalloc.MakePReg(c, uint8(from+i)))
		}
		return list
	}
	c := &Convention{Name: "test", VMContext: regalloc.MakePReg(regalloc.Int, 40), CallerContext: regalloc.MakePReg(regalloc.Int, 41)}
	c.Args[regalloc.Int], c.Args[regalloc.Float] = p(regalloc.Int, 0, 3), p(regalloc.Float, 0, 2)
	c.Rets[regalloc.Int], c.Rets[regalloc.Float] = p(regalloc.Int, 0, 1), p(regalloc.Float, 0, 1)
	return c
}

func TestSignatureLayout(t *testing.T) {
	params := func(types ...ir.Type) (list []ir.Param) {
		for _, x := range types {
			list = append(list, ir.Param{Type: x})
		}
		return list
	}
	shared, noStack := testConvention(), testConvention()
	shared.SharedPositions, shared.StackArgsAt, shared.WideByReference = true, 32, true
	pairs := testConvention()
	pairs.WholePairs = true
	noStack.NoStackArgs = true
	context := params(ir.I64, ir.I64, ir.I64)
	context[0].Purpose, context[2].Purpose = ir.VMContext, ir.CallerContext
	structArg := params(ir.I64, ir.I64)
	structArg[0].Purpose, structArg[0].Size = ir.StructArg, 20
	for _, c := range []struct {
		conv    *Convention
		params  []ir.Param
		returns []ir.Param
		want    string // arguments; results; bytes of stack arguments; bytes of result area
	}{
		{testConvention(), params(ir.I32, ir.F64, ir.I64), nil, "p0i p0f p1i;; 0 0"},
		{testConvention(), params(ir.I64, ir.I64, ir.I64, ir.I8, ir.I64), params(ir.I32), "p0i p1i p2i +0 +8; p0i; 16 0"},
		{testConvention(), params(ir.F32, ir.F32, ir.F32, ir.I64X2, ir.F32), nil, "p0f p1f +0 +16 +32;; 48 0"},
		{testConvention(), params(ir.I128, ir.I128), params(ir.I128), "p0i p1i p2i +0 ret:+8; p0i +0; 16 16"},
		{testConvention(), params(ir.I64), params(ir.F64, ir.I64, ir.F32, ir.I8), "p0i ret:p1i; p0f p0i +0 +8; 0 16"},
		{testConvention(), context, nil, "p40i p0i p41i;; 0 0"},
		{testConvention(), structArg, nil, "+0 p0i;; 32 0"},
		{shared, params(ir.I64, ir.F64, ir.I64, ir.F64), nil, "p0i p1f p2i +32;; 48 0"},
		{shared, params(ir.I128, ir.I64, ir.F64, ir.I8X16), nil, "p0i@48 p1i +32 +40@64;; 48 0"},
		{pairs, params(ir.I64, ir.I64, ir.I128, ir.I64, ir.I64, ir.I128), params(ir.I128), "p0i p1i +0 +8 p2i +16 +32 +40 ret:+48; +0 +8; 64 16"},
		{pairs, params(ir.I128, ir.I64), nil, "p0i p1i p2i;; 0 0"},
		{noStack, params(ir.I64, ir.I64, ir.I64), params(ir.I64), "p0i p1i p2i; p0i; 0 0"},
		{noStack, params(ir.I64, ir.I64, ir.I64, ir.I64), nil, "error"},
		{noStack, nil, params(ir.I64, ir.I64), "error"},
	} {
		var a ABI
		l, err := a.Layout(&ir.Signature{Params: c.params, Returns: c.returns}, c.conv)
		got := "error"
		if err == nil {
			list := func(r Range) string {
				var s []string
				for _, loc := range a.Locs[r.Start:r.End] {
					at := fmt.Sprintf("+%d", loc.Off)
					if loc.Reg != regalloc.NoPReg {
						at = loc.Reg.String()
					}
					if loc.ByRef {
						at += fmt.Sprintf("@%d", loc.Copy)
					}
					if loc.Value == RetPtr {
						at = "ret:" + at
					}
					s = append(s, at)
				}
				return strings.Join(s, " ")
			}
			got = strings.TrimSpace(list(l.Args)) + "; " + list(l.Rets) + fmt.Sprintf("; %d %d", l.StackArgs, l.RetArea)
			got = strings.ReplaceAll(got, "; ;", ";;")
		}
		if got != c.want {
			t.Errorf("%v -> %v: %s, want %s", c.params, c.returns, got, c.want)
		}
	}
}

// TestFrameLayout checks that no two areas of a frame overlap and that each is
// aligned.
func TestFrameLayout(t *testing.T) {
	i, x := regalloc.MakePReg(regalloc.Int, 3), regalloc.MakePReg(regalloc.Float, 6)
	for _, f := range []Frame{
		{},
		{Outgoing: 24, RetArea: 16, Slots: 40, Align: 8, Spill: 24},
		{Slots: 3, Align: 64, Spill: 8, Saved: []regalloc.PReg{i}},
		{Spill: 16, Saved: []regalloc.PReg{i, i, i, x, x}, TailRoom: 32},
		{Outgoing: 8, Saved: []regalloc.PReg{x}, TailRoom: 16},
	} {
		units := f.Spill / 8
		if err := f.Layout(); err != nil {
			t.Fatal(err)
		}
		if f.Size%16 != 0 {
			t.Errorf("%+v: size", f)
		}
		// Distances from the frame pointer down to each byte that is taken.
		taken := map[int]string{}
		take := func(what string, low, size int) {
			for b := low - size + 1; b <= low; b++ {
				if b <= 0 || b > int(f.Size) || taken[b] != "" {
					t.Errorf("%+v: %s at -%d, where there is %q", f, what, b, taken[b])
				}
				taken[b] = what
			}
		}
		take("tail room", int(f.TailRoom), int(f.TailRoom))
		for k, p := range f.Saved {
			size := 8
			if p.Class() != regalloc.Int {
				size = 16
				if f.SavedAt(k)%16 != 0 {
					t.Errorf("%+v: saved register %d is not aligned", f, k)
				}
			}
			take("saved", int(f.SavedAt(k)), size)
		}
		for u := range units {
			if u%2 == 0 && f.SpillAt(u)%16 != 0 {
				t.Errorf("%+v: spill slot %d is not aligned", f, u)
			}
			take("spill", int(f.SpillAt(u)), 8)
		}
		if f.Align == 16 {
			take("slots", int(f.Size-f.SlotsAt()), int(f.Slots))
			take("results", int(f.Size-f.RetAreaAt()), int(f.RetArea))
			take("outgoing", int(f.Size), int(f.Outgoing))
		}
	}
	huge := Frame{Slots: 1 << 31}
	if huge.Layout() == nil {
		t.Error("a frame of 2 GiB is accepted")
	}
}
