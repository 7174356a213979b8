package wat_test

import (
	"fmt"
	"testing"

	"github.com/davit-wasm/davit/wasm"
	"github.com/davit-wasm/davit/wat"
)

// TestPositions checks that each instruction is found where it stands in the
// text: flat and folded ones, and those that have no word of their own.
func TestPositions(t *testing.T) {
	src := []byte(`(module
  (import "a" "b" (func))
  (func (result i32)
    i32.const 1
    (if (i32.eqz)
      (then nop)
      (else (block (drop (i32.add (i32.const 1) (i32.const 2))))))
    block $b
      br $b
    end $b
    i32.const 3
    if nop else end
    i32.const 300000
  )
  (func nop))
`)
	var ps wat.Positions
	m, err := wat.Parse(src, &wat.Options{Positions: &ps})
	if err != nil {
		t.Fatal(err)
	}
	want := [][]string{
		{"4:5 i32.const", "5:10 i32.eqz", "5:6 if", "6:13 nop", "7:8 else", "7:14 block", "7:36 i32.const", "7:50 i32.const",
			"7:27 i32.add", "7:21 drop", "7:64 end", "7:66 end", "8:5 block", "9:7 br", "10:5 end", "11:5 i32.const",
			"12:5 if", "12:8 nop", "12:12 else", "12:17 end", "13:5 i32.const", "14:3 end"},
		{"15:9 nop", "15:12 end"},
	}
	for fn, lines := range want {
		var r wasm.InstrReader
		var in wasm.Instr
		r.Reset(m.Code[fn].Body, 0, nil)
		for _, line := range lines {
			if more, err := r.Next(&in); !more || err != nil {
				t.Fatalf("function %d ends before %s: %v", fn, line, err)
			}
			e := ps.Error(fn, in.Offset, in.Op.String())
			if e == nil || fmt.Sprintf("%d:%d %s", e.Line, e.Column, e.Msg) != line {
				t.Errorf("function %d: %v, want %s", fn, e, line)
			}
		}
	}
	for _, bad := range [][2]int{{-1, 0}, {2, 0}, {0, -1}} {
		if e := ps.Error(bad[0], bad[1], ""); e != nil {
			t.Errorf("function %d, offset %d: %v", bad[0], bad[1], e)
		}
	}
	if _, err := wat.Parse([]byte("(func"), &wat.Options{Positions: &ps}); err == nil || ps.Error(0, 0, "") != nil {
		t.Error("places are left of a text that could not be read")
	}
}
