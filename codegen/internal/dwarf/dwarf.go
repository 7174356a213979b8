// Package dwarf writes the debugging information of compiled code: one
// compilation unit with its functions, and the table that maps instructions to
// lines. It is DWARF 4, which all tools read.
//
// Source: DWARF Debugging Information Format, version 4, sections 2, 3.1, 3.3,
// 6.2 and 7.
package dwarf

import (
	"encoding/binary"
	"path"
)

// Line says that the code from Offset on, up to the next one, comes from a line
// of a file. Line 0 is no line.
type Line struct {
	Offset       uint64 // in the function
	File         string
	Line, Column int
}

// Func is a function. Functions are in ascending order of their offsets.
type Func struct {
	Name     string
	External bool
	Offset   uint64 // in the text
	Size     uint64
	Lines    []Line
}

// Unit describes a text.
type Unit struct {
	Name, Dir, Producer string
	Size                uint64 // of the text
	Funcs               []Func
}

// FixupKind says what a [Fixup] needs.
type FixupKind uint8

// Kinds of fixups.
const (
	TextAddress  FixupKind = iota // 64 bits: an address in the text
	AbbrevOffset                  // 32 bits: an offset in .debug_abbrev
	LineOffset                    // 32 bits: an offset in .debug_line
)

// Fixup is a field to be filled in or relocated; Addend is what to add to the
// start of the text or of the section.
type Fixup struct {
	Offset uint32
	Kind   FixupKind
	Addend uint64
}

// Section is the contents of a section.
type Section struct {
	Data   []byte
	Fixups []Fixup
}

// Sections are the sections of a unit.
type Sections struct{ Info, Abbrev, Line Section }

// DWARF codes.
const (
	tagCompileUnit, tagSubprogram                 = 0x11, 0x2e
	atName, atStmtList, atLowPC, atHighPC         = 0x03, 0x10, 0x11, 0x12
	atLanguage, atCompDir, atProducer             = 0x13, 0x1b, 0x25
	atDeclFile, atDeclLine, atExternal, atFrame   = 0x3a, 0x3b, 0x3f, 0x40
	formAddr, formData8, formString, formUdata    = 0x01, 0x07, 0x08, 0x0f
	formFlag, formData2, formSecOffset, formExprl = 0x0c, 0x05, 0x17, 0x18

	// Debuggers treat code in a language that they do not know as assembly. What
	// is said about functions here means the same as in C.
	langC99 = 0x0c

	opCallFrameCFA = 0x9c
)

var abbrevs = [][]uint64{
	{1, tagCompileUnit, 1, atProducer, formString, atLanguage, formData2, atName, formString, atCompDir, formString,
		atStmtList, formSecOffset, atLowPC, formAddr, atHighPC, formData8, 0, 0},
	{2, tagSubprogram, 0, atName, formString, atExternal, formFlag, atLowPC, formAddr, atHighPC, formData8, atFrame, formExprl, 0, 0},
	{3, tagSubprogram, 0, atName, formString, atExternal, formFlag, atLowPC, formAddr, atHighPC, formData8, atFrame, formExprl,
		atDeclFile, formUdata, atDeclLine, formUdata, 0, 0},
	{0},
}

// Order is the target's byte order.
type Order interface {
	binary.ByteOrder
	binary.AppendByteOrder
}

// Write makes the sections of u. Fields that need fixing hold zero.
func Write(u *Unit, o Order) *Sections {
	s := &Sections{}
	for _, a := range abbrevs {
		for _, v := range a {
			s.Abbrev.Data = binary.AppendUvarint(s.Abbrev.Data, v)
		}
	}
	files := s.Line.lines(u, o)
	info := &s.Info
	str := func(x string) { info.Data = append(append(info.Data, x...), 0) }
	info.Data = append(o.AppendUint16(info.Data, 0), 0, 0) // length
	info.Data = o.AppendUint16(info.Data, 4)               // version
	info.offset(AbbrevOffset)
	info.Data = append(info.Data, 8, 1) // address size; the unit:
	str(u.Producer)
	info.Data = o.AppendUint16(info.Data, langC99)
	str(u.Name)
	str(u.Dir)
	info.offset(LineOffset)
	info.address(0)
	info.Data = o.AppendUint64(info.Data, u.Size)
	for i := range u.Funcs {
		f := &u.Funcs[i]
		var decl *Line
		for k := range f.Lines {
			if f.Lines[k].Line > 0 {
				decl = &f.Lines[k]
				break
			}
		}
		abbrev := byte(2)
		if decl != nil {
			abbrev = 3
		}
		info.Data = append(info.Data, abbrev)
		str(f.Name)
		external := byte(0)
		if f.External {
			external = 1
		}
		info.Data = append(info.Data, external)
		info.address(f.Offset)
		info.Data = o.AppendUint64(info.Data, f.Size)
		info.Data = append(info.Data, 1, opCallFrameCFA)
		if decl != nil {
			info.Data = binary.AppendUvarint(info.Data, files[decl.File])
			info.Data = binary.AppendUvarint(info.Data, uint64(decl.Line))
		}
	}
	info.Data = append(info.Data, 0) // end of the children
	o.PutUint32(info.Data, uint32(len(info.Data)-4))
	return s
}

func (s *Section) offset(k FixupKind) {
	s.Fixups = append(s.Fixups, Fixup{uint32(len(s.Data)), k, 0})
	s.Data = append(s.Data, 0, 0, 0, 0)
}

func (s *Section) address(at uint64) {
	s.Fixups = append(s.Fixups, Fixup{uint32(len(s.Data)), TextAddress, at})
	s.Data = append(s.Data, 0, 0, 0, 0, 0, 0, 0, 0)
}

// The line program's parameters: a special opcode advances the line by
// lineBase … lineBase+lineRange−1, and the address by what is left.
const (
	lineBase   = -5
	lineRange  = 14
	opcodeBase = 13

	lnsAdvancePC, lnsAdvanceLine, lnsSetFile, lnsSetColumn = 2, 3, 4, 5

	lneEndSequence, lneSetAddress = 1, 2
)

// lines writes the line table, a sequence for each function, and returns the
// numbers of the files.
func (s *Section) lines(u *Unit, o Order) map[string]uint64 {
	var paths []string
	files, dirs := map[string]uint64{}, map[string]uint64{}
	var dirNames []string
	for i := range u.Funcs {
		for _, l := range u.Funcs[i].Lines {
			if _, ok := files[l.File]; !ok && l.Line > 0 {
				paths = append(paths, l.File)
				files[l.File] = uint64(len(paths))
				d := path.Dir(l.File)
				if _, ok := dirs[d]; !ok && d != "." {
					dirNames = append(dirNames, d)
					dirs[d] = uint64(len(dirNames))
				}
			}
		}
	}
	d := append(o.AppendUint16(nil, 0), 0, 0) // length
	d = o.AppendUint16(d, 4)                  // version
	headerLength := len(d)
	d = append(d, 0, 0, 0, 0)
	base := int8(lineBase)
	d = append(d, 1, 1, 1, byte(base), lineRange, opcodeBase)
	d = append(d, 0, 1, 1, 1, 1, 0, 0, 0, 1, 0, 0, 1) // operands of the standard opcodes
	for _, n := range dirNames {
		d = append(append(d, n...), 0)
	}
	d = append(d, 0)
	for _, p := range paths {
		d = append(append(d, path.Base(p)...), 0)
		d = binary.AppendUvarint(d, dirs[path.Dir(p)]) // 0 is the unit's directory
		d = append(d, 0, 0)                            // time and size are not known
	}
	d = append(d, 0)
	o.PutUint32(d[headerLength:], uint32(len(d)-headerLength-4))
	for i := range u.Funcs {
		f := &u.Funcs[i]
		if len(f.Lines) == 0 || f.Size == 0 {
			continue
		}
		d = append(d, 0, 9, lneSetAddress)
		s.Fixups = append(s.Fixups, Fixup{uint32(len(d)), TextAddress, f.Offset})
		d = append(d, 0, 0, 0, 0, 0, 0, 0, 0)
		at, line, file, column := uint64(0), 1, uint64(1), 0
		for k := range f.Lines {
			l := &f.Lines[k]
			if l.Offset >= f.Size {
				break
			}
			if n := files[l.File]; n != file && l.Line > 0 {
				d = binary.AppendUvarint(append(d, lnsSetFile), n)
				file = n
			}
			if l.Column != column {
				d = binary.AppendUvarint(append(d, lnsSetColumn), uint64(l.Column))
				column = l.Column
			}
			step, delta := l.Offset-at, l.Line-line
			if delta < lineBase || delta >= lineBase+lineRange {
				d = appendSigned(append(d, lnsAdvanceLine), int64(delta))
				delta = 0
			}
			if special := uint64(delta-lineBase) + lineRange*step + opcodeBase; step <= 255 && special <= 255 {
				d = append(d, byte(special))
			} else {
				d = binary.AppendUvarint(append(d, lnsAdvancePC), step)
				d = append(d, byte(delta-lineBase+opcodeBase))
			}
			at, line = l.Offset, l.Line
		}
		d = binary.AppendUvarint(append(d, lnsAdvancePC), f.Size-at)
		d = append(d, 0, 1, lneEndSequence)
	}
	o.PutUint32(d, uint32(len(d)-4))
	s.Data = d
	return files
}

// appendSigned appends v in signed LEB128.
func appendSigned(b []byte, v int64) []byte {
	for {
		c := byte(v & 0x7f)
		v >>= 7
		if v == 0 && c&0x40 == 0 || v == -1 && c&0x40 != 0 {
			return append(b, c)
		}
		b = append(b, c|0x80)
	}
}
