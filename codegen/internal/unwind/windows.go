package unwind

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/davit-wasm/davit/codegen"
)

// ErrWindows is wrapped by the error for a function whose frame Windows' unwind
// codes cannot describe.
var ErrWindows = errors.New("the frame has no description in Windows unwind codes")

// Windows unwind operations.
const (
	winPushNonVolatile = 0
	winAllocLarge      = 1
	winAllocSmall      = 2
	winSetFramePointer = 3
	winSaveNonVolatile = 4 // then 5 with 32 bits
	winSaveXMM128      = 8 // then 9 with 32 bits
	winRBP             = 5
)

// Windows appends the unwind information of a function, as it is in .xdata, to
// dst.
//
// A frame without saved registers is described from the frame pointer. With
// saved registers it is described from the stack pointer, which stands still in
// the body: the codes can place saved registers only above the base that they
// count from, and ours lie below the frame pointer. That excludes saved registers
// in a frame that is aligned further than that of its caller. The codes are in
// the reverse order of the prologue.
func Windows(dst []byte, code *codegen.CompiledCode) ([]byte, error) {
	// The prologue's rows: entry, pushed, ready.
	rows := code.Unwind
	for len(rows) > 0 && rows[0].State == codegen.FrameNone {
		rows = rows[1:]
	}
	if len(rows) == 0 {
		return append(dst, 1, 0, 0, 0), nil // a leaf without a frame
	}
	if len(rows) < 2 || rows[0].State != codegen.FramePushed || rows[1].State != codegen.FrameReady {
		return dst, fmt.Errorf("a prologue of another kind: %w", ErrWindows)
	}
	pushed, ready := rows[0].Offset, rows[1].Offset
	var codes []uint16 // in the order of the prologue, each with its operands in front of it
	var err error
	prologue := uint32(0)
	op := func(at uint32, operation, info uint16, operands ...uint16) {
		if at > 0xff {
			err = fmt.Errorf("a prologue of %d bytes: %w", at, ErrWindows)
		}
		prologue = max(prologue, at)
		for i := len(operands) - 1; i >= 0; i-- {
			codes = append(codes, operands[i])
		}
		codes = append(codes, uint16(at)|operation<<8|info<<12)
	}
	op(pushed, winPushNonVolatile, winRBP)
	frame := byte(0)
	if len(code.Saved) == 0 {
		op(ready, winSetFramePointer, 0)
		frame = winRBP
	} else {
		if code.FrameAlign > 16 {
			return dst, fmt.Errorf("a stack aligned to %d bytes with saved registers: %w", code.FrameAlign, ErrWindows)
		}
		if len(rows) < 4 || rows[2].State != codegen.FrameMade || rows[3].State != codegen.FrameSaved {
			return dst, fmt.Errorf("a prologue of another kind: %w", ErrWindows)
		}
		made, saved := rows[2].Offset, rows[3].Offset
		switch size := code.FrameSize; {
		case size == 0 || size%8 != 0:
			return dst, fmt.Errorf("a frame of %d bytes with saved registers: %w", size, ErrWindows)
		case size <= 128:
			op(made, winAllocSmall, uint16(size/8-1))
		case size/8 <= 0xffff:
			op(made, winAllocLarge, 0, uint16(size/8))
		default:
			op(made, winAllocLarge, 1, uint16(size), uint16(size>>16))
		}
		for i := range code.Saved {
			s := &code.Saved[i]
			at := uint32(int32(code.FrameSize) + s.Offset)
			if at >= code.FrameSize {
				return dst, fmt.Errorf("a saved register outside of the frame: %w", ErrWindows)
			}
			operation, unit := uint16(winSaveNonVolatile), uint32(8)
			if s.Float {
				operation, unit = winSaveXMM128, 16
			}
			if at/unit <= 0xffff && at%unit == 0 {
				op(saved, operation, uint16(s.Number), uint16(at/unit))
			} else {
				op(saved, operation+1, uint16(s.Number), uint16(at), uint16(at>>16))
			}
		}
	}
	if err == nil && len(codes) > 0xff {
		err = fmt.Errorf("%d unwind codes: %w", len(codes), ErrWindows)
	}
	if err != nil {
		return dst, err
	}
	dst = append(dst, 1, byte(prologue), byte(len(codes)), frame)
	for i := len(codes) - 1; i >= 0; i-- {
		dst = binary.LittleEndian.AppendUint16(dst, codes[i])
	}
	if len(codes)%2 != 0 {
		dst = append(dst, 0, 0)
	}
	return dst, nil
}
