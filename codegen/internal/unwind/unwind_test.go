package unwind

import (
	"bytes"
	"errors"
	"testing"

	"github.com/davit-wasm/davit/codegen"
)

// frame is a function that saves rbx (3) and r12 with a frame of size bytes,
// and returns at the end.
func frame(size uint32) *codegen.CompiledCode {
	return &codegen.CompiledCode{
		FrameSize: size, FrameAlign: 16,
		Unwind: []codegen.UnwindRow{
			{Offset: 0, State: codegen.FrameNone}, {Offset: 1, State: codegen.FramePushed}, {Offset: 4, State: codegen.FrameReady},
			{Offset: 8, State: codegen.FrameMade}, {Offset: 16, State: codegen.FrameSaved},
			{Offset: 100, State: codegen.FrameReady}, {Offset: 104, State: codegen.FrameNone}, {Offset: 105, State: codegen.FrameSaved},
		},
		Saved: []codegen.SavedReg{{Number: 3, Offset: -8}, {Number: 12, Offset: -16}},
	}
}

func TestProgram(t *testing.T) {
	want := []byte{
		0x41, 0x0c, 7, 16, 0x86, 2, // 1: CFA rsp+16, rbp at −16
		0x43, 0x0c, 6, 16, 0x86, 2, // 4: CFA rbp+16
		0x4c, 0x83, 3, 0x8c, 4, // 16: rbx at −24, r12 at −32
		0x02, 84, 0xc3, 0xcc, // 100: restored
		0x44, 0x0c, 7, 8, 0xc6, // 104: CFA rsp+8, rbp restored
		0x41, 0x0c, 6, 16, 0x86, 2, 0x83, 3, 0x8c, 4, // 105: all again
	}
	if got := Program(nil, frame(32)); !bytes.Equal(got, want) {
		t.Errorf("% x\nwant % x", got, want)
	}
}

func TestWindows(t *testing.T) {
	for size, want := range map[uint32][]byte{
		// Backwards: r12 at rsp+16, rbx at rsp+24, the frame, push rbp.
		32: {1, 16, 6, 0, 16, 0xc4, 2, 0, 16, 0x34, 3, 0, 8, 0x32, 1, 0x50},
		// Sizes and distances with more bits.
		0x1000:   {1, 16, 7, 0, 16, 0xc4, 0xfe, 1, 16, 0x34, 0xff, 1, 8, 0x01, 0, 2, 1, 0x50, 0, 0},
		0x100000: {1, 16, 10, 0, 16, 0xc5, 0xf0, 0xff, 0x0f, 0, 16, 0x35, 0xf8, 0xff, 0x0f, 0, 8, 0x11, 0, 0, 0x10, 0, 1, 0x50},
	} {
		if got, err := Windows(nil, frame(size)); err != nil || !bytes.Equal(got, want) {
			t.Errorf("frame of %#x bytes: % x, %v, want % x", size, got, err, want)
		}
	}
	// Without saved registers the frame pointer tells all.
	plain := frame(1 << 20)
	plain.Saved = nil
	plain.FrameAlign = 64
	plain.Unwind = plain.Unwind[:3]
	if got, err := Windows(nil, plain); err != nil || !bytes.Equal(got, []byte{1, 4, 2, 5, 4, 3, 1, 0x50}) {
		t.Errorf("plain frame: % x, %v", got, err)
	}
	aligned := frame(32)
	aligned.FrameAlign = 32
	if _, err := Windows(nil, aligned); !errors.Is(err, ErrWindows) {
		t.Errorf("aligned frame: %v", err)
	}
	far := frame(32)
	far.Unwind[4].Offset = 300
	if _, err := Windows(nil, far); !errors.Is(err, ErrWindows) {
		t.Errorf("long prologue: %v", err)
	}
}
