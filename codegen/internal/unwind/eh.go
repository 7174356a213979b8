// Package unwind writes down how to find the caller of a function at each of its
// instructions, in the forms that unwinders read: DWARF call frame information
// (.eh_frame, .debug_frame) and Windows x64 unwind codes (.xdata, .pdata).
//
// All functions of the code generator have the same frame: a return address,
// the caller's frame pointer below it, and the frame pointer points there. So
// the description of a function is where that is set up and taken down
// (codegen.UnwindRow) and where the registers lie that it saves for its caller
// (codegen.SavedReg).
//
// Sources: DWARF 4, section 6.4; System V ABI, AMD64 supplement, sections 3.6
// and 3.7; LSB Core, "Exception Frames"; Microsoft, "x64 exception handling".
package unwind

import (
	"encoding/binary"

	"github.com/davit-wasm/davit/codegen"
)

// dwarfInt are the DWARF numbers of the integer registers, by their hardware
// numbers. Vector register n is number 17 + n.
var dwarfInt = [16]byte{0, 2, 1, 3, 7, 6, 4, 5, 8, 9, 10, 11, 12, 13, 14, 15}

const (
	dwarfRSP    = 7
	dwarfRBP    = 6
	dwarfReturn = 16
	dwarfVector = 17
)

func dwarfReg(s *codegen.SavedReg) uint64 {
	if s.Float {
		return dwarfVector + uint64(s.Number)
	}
	return uint64(dwarfInt[s.Number&15])
}

// Call frame instructions.
const (
	cfaAdvance      = 0x40 // | delta
	cfaOffset       = 0x80 // | register; factored offset
	cfaRestore      = 0xc0 // | register
	cfaAdvance1     = 0x02
	cfaAdvance2     = 0x03
	cfaAdvance4     = 0x04
	cfaDef          = 0x0c
	dataAlign       = 8
	pointerAbs      = 0x00
	pointerPCRel    = 0x10
	pointerPCRel32  = 0x1b // with four signed bytes
	callerCFA       = 16   // distance from the frame pointer to the CFA
	returnCFA       = 8    // distance from the stack pointer to the CFA at entry
	ehFrameVersion  = 1
	debugFrameCIEID = 0xffffffff
)

// Program appends the call frame instructions of a function to dst.
//
// Registers that the prologue saves are their callers' own until the row that
// says that all of them are in the frame, and again where an epilogue has loaded
// them back.
func Program(dst []byte, code *codegen.CompiledCode) []byte {
	at := uint32(0)
	offset := func(reg, distance uint64) { // at CFA − distance
		dst = binary.AppendUvarint(append(dst, cfaOffset|byte(reg)), distance/dataAlign)
	}
	state := codegen.FrameNone
	for _, row := range code.Unwind {
		if row.State == codegen.FrameMade {
			row.State = codegen.FrameReady
		}
		if row.State == state {
			continue
		}
		switch d := row.Offset - at; {
		case d == 0:
		case d < 0x40:
			dst = append(dst, cfaAdvance|byte(d))
		case d <= 0xff:
			dst = append(dst, cfaAdvance1, byte(d))
		case d <= 0xffff:
			dst = binary.LittleEndian.AppendUint16(append(dst, cfaAdvance2), uint16(d))
		default:
			dst = binary.LittleEndian.AppendUint32(append(dst, cfaAdvance4), d)
		}
		at = row.Offset
		ready := row.State == codegen.FrameReady || row.State == codegen.FrameSaved
		switch {
		case row.State == codegen.FrameNone:
			dst = append(dst, cfaDef, dwarfRSP, returnCFA, cfaRestore|dwarfRBP)
		case row.State == codegen.FramePushed:
			dst = append(dst, cfaDef, dwarfRSP, callerCFA)
			offset(dwarfRBP, callerCFA)
		case ready && state != codegen.FrameReady && state != codegen.FrameSaved:
			dst = append(dst, cfaDef, dwarfRBP, callerCFA)
			offset(dwarfRBP, callerCFA)
		}
		for i := range code.Saved {
			s := &code.Saved[i]
			switch {
			case row.State == codegen.FrameSaved:
				offset(dwarfReg(s), uint64(callerCFA-int64(s.Offset)))
			case state == codegen.FrameSaved:
				dst = append(dst, cfaRestore|byte(dwarfReg(s)))
			}
		}
		state = row.State
	}
	return dst
}

// Form is the form of call frame information.
type Form uint8

// Forms.
const (
	EHFrame   Form = iota // .eh_frame with distances of 32 bits, as ELF has it
	EHFrame64             // .eh_frame with distances of 64 bits, as Mach-O has it
	Debug                 // .debug_frame, with absolute addresses
)

// Frames collects call frame information of many functions.
type Frames struct {
	Form Form
	Data []byte
	// Starts are the offsets of the fields that hold functions' addresses, in the
	// order of the calls of Add: 32 or 64 bits relative to the field, or absolute.
	Starts []uint32
}

// Add appends the record of a function of a size, whose call frame instructions
// are program.
func (f *Frames) Add(size uint64, program []byte) {
	o := binary.LittleEndian
	if len(f.Data) == 0 {
		f.header()
	}
	begin := len(f.Data)
	f.Data = append(f.Data, 0, 0, 0, 0) // length
	if f.Form == Debug {
		f.Data = o.AppendUint32(f.Data, 0)
	} else {
		f.Data = o.AppendUint32(f.Data, uint32(begin+4)) // distance back to the header, which is at 0
	}
	f.Starts = append(f.Starts, uint32(len(f.Data)))
	if f.Form == EHFrame {
		f.Data = append(f.Data, 0, 0, 0, 0)
		f.Data = o.AppendUint32(f.Data, uint32(size))
	} else {
		f.Data = append(f.Data, 0, 0, 0, 0, 0, 0, 0, 0)
		f.Data = o.AppendUint64(f.Data, size)
	}
	if f.Form != Debug {
		f.Data = append(f.Data, 0) // no augmentation data
	}
	f.Data = append(f.Data, program...)
	f.finish(begin)
}

// header writes the common information entry.
func (f *Frames) header() {
	o := binary.LittleEndian
	id, augmentation, encoding := uint32(0), "zR\x00", []byte{1, pointerPCRel32}
	switch f.Form {
	case EHFrame64:
		encoding[1] = pointerPCRel | pointerAbs
	case Debug:
		id, augmentation, encoding = debugFrameCIEID, "\x00", nil
	}
	f.Data = append(f.Data, 0, 0, 0, 0)
	f.Data = o.AppendUint32(f.Data, id)
	f.Data = append(f.Data, ehFrameVersion)
	f.Data = append(f.Data, augmentation...)
	f.Data = append(f.Data, 1, 0x80-dataAlign, dwarfReturn) // code alignment, data alignment −8, return address
	f.Data = append(f.Data, encoding...)
	f.Data = append(f.Data, cfaDef, dwarfRSP, returnCFA, cfaOffset|dwarfReturn, returnCFA/dataAlign)
	f.finish(0)
}

// finish pads the record that begins at begin, and writes its length.
func (f *Frames) finish(begin int) {
	for len(f.Data)%8 != 0 {
		f.Data = append(f.Data, 0) // a call frame instruction that does nothing
	}
	binary.LittleEndian.PutUint32(f.Data[begin:], uint32(len(f.Data)-begin-4))
}
