package codegen_test

import (
	"slices"
	"testing"

	"github.com/davit-wasm/davit/codegen"
	"github.com/davit-wasm/davit/codegen/clif"
)

// TestUnwindRows compares the rows of a function with saved registers and two
// returns with its instructions, whose sizes are known.
func TestUnwindRows(t *testing.T) {
	f, err := clif.ParseFunction(`function %f(i64, i64) -> i64 system_v {
    fn0 = colocated %g() system_v
block0(v0: i64, v1: i64):
    call fn0()
    brif v0, block1, block2
block1:
    return v0
block2:
    return v1
}`)
	if err != nil {
		t.Fatal(err)
	}
	var c codegen.Context
	code, err := c.Compile(f, target(t), codegen.Options{CheckRegalloc: true, KeepPanics: true})
	if err != nil {
		t.Fatal(err)
	}
	if len(code.Saved) != 2 {
		t.Fatalf("saved registers %v, want two", code.Saved)
	}
	var states []codegen.FrameState
	for _, r := range code.Unwind {
		states = append(states, r.State)
	}
	want := []codegen.FrameState{
		codegen.FrameNone, codegen.FramePushed, codegen.FrameReady, codegen.FrameMade, codegen.FrameSaved, // prologue
		codegen.FrameReady, codegen.FrameNone, // a return
		codegen.FrameSaved, codegen.FrameReady, codegen.FrameNone, // the other
		codegen.FrameSaved, // behind it
	}
	if !slices.Equal(states, want) {
		t.Fatalf("states %v, want %v", states, want)
	}
	// push rbp; mov rbp, rsp; sub rsp, 16; two stores of 4 bytes.
	for i, off := range []uint32{0, 1, 4, 4 + 4, 4 + 4 + 8} {
		if code.Unwind[i].Offset != off {
			t.Errorf("row %d is at %d, want %d", i, code.Unwind[i].Offset, off)
		}
	}
	// A return is the last byte of a row in which nothing is on the stack.
	for i, r := range code.Unwind[:len(code.Unwind)-1] {
		if i > 0 && r.State == codegen.FrameNone {
			if end := code.Unwind[i+1].Offset; end != r.Offset+1 || code.Text[r.Offset] != 0xc3 {
				t.Errorf("row %d: %x is not a return", i, code.Text[r.Offset:end])
			}
		}
	}
	for i, s := range code.Saved {
		if s.Float || s.Offset != int32(-8*(i+1)) {
			t.Errorf("saved register %+v", s)
		}
	}
	if code.FrameSize != 16 || code.FrameAlign != 16 {
		t.Errorf("frame of %d bytes, aligned to %d", code.FrameSize, code.FrameAlign)
	}
}
