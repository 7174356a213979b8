package compile

import (
	"bytes"
	"slices"
	"testing"
	"time"

	"github.com/davit-wasm/davit/internal/image"
	"github.com/davit-wasm/davit/wasm"
)

// TestHostile compiles functions that are made to take long: something in them
// is as many as a body can hold. The time each takes is in the log; what is not
// near-linear in the size shows.
func TestHostile(t *testing.T) {
	op := func(ops ...any) []byte {
		var b []byte
		for _, o := range ops {
			switch o := o.(type) {
			case wasm.Opcode:
				b = wasm.AppendOpcode(b, o)
			case int:
				b = wasm.AppendU32(b, uint32(o))
			case []byte:
				b = append(b, o...)
			}
		}
		return b
	}
	const empty = 0x40
	repeat := func(n int, ops ...any) []byte { return bytes.Repeat(op(ops...), n) }
	ends := func(n int) []byte { return bytes.Repeat([]byte{byte(wasm.OpEnd)}, n) }
	i32s := slices.Repeat([]wasm.ValType{wasm.I32}, 1000)

	// In each of n loops, every local is read and written.
	locals := func(loops, n int) []byte {
		var b []byte
		for range loops {
			b = append(b, op(wasm.OpLoop, empty)...)
		}
		for i := range n {
			b = append(b, op(wasm.OpLocalGet, i, wasm.OpI32Const, 1, wasm.OpI32Add, wasm.OpLocalSet, i)...)
		}
		for range loops {
			b = append(b, op(wasm.OpLocalGet, 0, wasm.OpBrIf, 0, wasm.OpEnd)...)
		}
		return b
	}
	table := func(n, labels int) []byte {
		b := op(wasm.OpLocalGet, 0, wasm.OpBrTable, n)
		for i := range n + 1 {
			b = wasm.AppendU32(b, uint32(i%labels))
		}
		return b
	}
	for _, c := range []struct {
		name   string
		typ    wasm.FuncType
		locals uint32
		body   []byte
	}{
		{"nested blocks", wasm.FuncType{}, 1, op(repeat(30_000, wasm.OpBlock, empty), wasm.OpLocalGet, 0, wasm.OpBrIf, 29_999, ends(30_000))},
		{"nested loops", wasm.FuncType{}, 1, op(repeat(4_000, wasm.OpLoop, empty), repeat(4_000, wasm.OpLocalGet, 0, wasm.OpBrIf, 0, wasm.OpEnd))},
		{"nested ifs", wasm.FuncType{}, 1, op(repeat(20_000, wasm.OpLocalGet, 0, wasm.OpIf, empty), ends(20_000))},
		{"sequence of ifs", wasm.FuncType{}, 1, repeat(30_000, wasm.OpLocalGet, 0, wasm.OpIf, empty, wasm.OpI32Const, 1, wasm.OpLocalSet, 0, wasm.OpEnd)},
		{"a long block", wasm.FuncType{}, 1, repeat(200_000, wasm.OpLocalGet, 0, wasm.OpI32Const, 3, wasm.OpI32Mul, wasm.OpLocalSet, 0)},
		{"deep operand stack", wasm.FuncType{}, 1, op(repeat(20_000, wasm.OpLocalGet, 0), repeat(20_000, wasm.OpDrop))},
		{"deep live operand stack", wasm.FuncType{}, 1, op(repeat(20_000, wasm.OpLocalGet, 0, wasm.OpI32Clz), repeat(19_999, wasm.OpI32Add), wasm.OpDrop)},
		{"many locals in loops", wasm.FuncType{}, 1000, locals(100, 1000)},
		{"many locals", wasm.FuncType{}, 50_000, locals(2, 10_000)},
		{"long br_table", wasm.FuncType{}, 1, op(repeat(1000, wasm.OpBlock, empty), table(65_000, 1000), ends(1000))},
		{"many br_tables", wasm.FuncType{}, 1, op(repeat(100, wasm.OpBlock, empty), repeat(300, wasm.OpBlock, empty, table(300, 100), wasm.OpEnd), ends(100))},
		{"calls with many arguments", wasm.FuncType{Params: i32s, Results: i32s[:500]}, 0, op(repeat(20, func() []byte {
			var b []byte
			for i := range 1000 {
				b = append(b, op(wasm.OpLocalGet, i)...)
			}
			b = append(b, op(wasm.OpCall, 0)...)
			return append(b, repeat(500, wasm.OpDrop)...)
		}()), wasm.OpUnreachable)},
	} {
		body := append(c.body, byte(wasm.OpEnd))
		m := &wasm.Module{
			Types:     []wasm.SubType{{Final: true, CompositeType: wasm.CompositeType{Func: c.typ}}},
			RecGroups: []wasm.RecGroup{{Start: 0, Len: 1}},
			Funcs:     []wasm.Func{{Type: 0}},
			Code:      []wasm.Code{{Locals: []wasm.LocalGroup{{Count: c.locals, Type: wasm.I32}}, Body: body}},
		}
		target, err := Target()
		if err != nil {
			t.Skip(err)
		}
		start := time.Now()
		im, err := Module(wasm.Encode(m), &Options{Target: target, Workers: 1, Settings: image.Settings{}})
		took := time.Since(start)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		t.Logf("%-26s %7d bytes of wasm, %8d of code, %v", c.name, len(body), len(im.Text), took.Round(time.Millisecond))
	}
}
