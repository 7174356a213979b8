// Package objfile writes relocatable object files: ELF, Mach-O and COFF, of one
// description. It is also used for the ELF images by which debuggers learn of
// code in memory.
//
// A [File] is sections with relocations, and symbols. Relocations are described
// as ELF has them: the value of a field is computed from the address of a
// symbol, S, an addend, A, and the address of the field, P. Formats that keep
// addends in the fields get them there.
//
// Sources: System V gABI and the psABI supplements of the architectures; Apple's
// mach-o/loader.h, mach-o/nlist.h, mach-o/reloc.h as documented; Microsoft's PE
// Format specification.
package objfile

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/davit-wasm/davit/codegen/isa"
)

// Format is a format of object files.
type Format uint8

// Formats.
const (
	ELF Format = iota
	MachO
	COFF
)

func (f Format) String() string { return [...]string{"ELF", "Mach-O", "COFF"}[f] }

// ErrUnsupported is wrapped by the error for what a format cannot express.
var ErrUnsupported = errors.New("not supported by the object format")

// SectionKind says what is in a section. The format gives it its name.
type SectionKind uint8

// Kinds of sections.
const (
	Text          SectionKind = iota
	ReadOnly                  // constants
	ReadOnlyReloc             // constants that hold addresses
	Data
	BSS       // zeros
	TLSData   // initial contents of thread-local variables
	TLSBSS    // thread-local zeros
	TLSVars   // Mach-O: descriptors of thread-local variables
	EHFrame   // System V unwind information
	XData     // Windows unwind information
	PData     // Windows table of functions
	DebugInfo // DWARF
	DebugAbbrev
	DebugLine
	DebugFrame
	numKinds
)

// zeros tells whether a section of kind k has no contents in the file.
func (k SectionKind) zeros() bool { return k == BSS || k == TLSBSS }

// Section is a part of the file that the linker places as a whole.
type Section struct {
	Kind   SectionKind
	Align  uint64 // a power of two; 0 stands for 1
	Data   []byte
	Size   uint64 // instead of Data for kinds without contents, and for text without contents of an image
	Addr   uint64 // only in images
	Relocs []Reloc
}

// size is the size in memory.
func (s *Section) size() uint64 { return max(uint64(len(s.Data)), s.Size) }

func (s *Section) align() uint64 { return max(s.Align, 1) }

// Binding says how far a symbol is seen.
type Binding uint8

// Bindings.
const (
	Local Binding = iota
	Global
	Weak
)

// SymbolKind says what a symbol names.
type SymbolKind uint8

// Kinds of symbols.
const (
	NoKind SymbolKind = iota
	Func
	Object
	ThreadLocal
	SectionStart // the section itself; it has no name
)

// Undefined is the section of a symbol that is defined elsewhere.
const Undefined = -1

// Symbol is a named address.
type Symbol struct {
	Name    string
	Kind    SymbolKind
	Binding Binding
	Hidden  bool // not seen outside of the image that the file is linked into
	Section int  // index, or Undefined
	Value   uint64
	Size    uint64
}

// RelocKind says how a field is computed.
type RelocKind uint8

// Kinds of relocations.
const (
	Abs64        RelocKind = iota
	Abs32                  // S + A
	PCRel32                // S + A − P
	PCRel64                // S + A − P
	Call32                 // S + A − P, of a call or jump, by way of the linkage table if needed
	GOTPCRel32             // address of a cell that holds S, + A − P
	TLSGD32                // ELF: address of the general dynamic descriptor of S, + A − P
	TLV32                  // Mach-O: address of the descriptor of S, through a cell, + A − P
	SectionRel32           // S + A − start of S's section
	ImageRel32             // COFF: S + A − start of the image
	numRelocKinds
)

// size is the size of the field.
func (k RelocKind) size() uint64 {
	if k == Abs64 || k == PCRel64 {
		return 8
	}
	return 4
}

var relocNames = [numRelocKinds]string{"abs64", "abs32", "pcrel32", "pcrel64", "call32", "gotpcrel32", "tlsgd32", "tlv32", "secrel32", "imagerel32"}

func (k RelocKind) String() string { return relocNames[k] }

// Reloc is a field that the linker computes.
type Reloc struct {
	Offset uint64
	Kind   RelocKind
	Symbol uint32 // index
	Addend int64
}

// File is what an object file holds.
type File struct {
	Arch     isa.Arch
	Sections []Section
	Symbols  []Symbol
}

// ByteOrder is the byte order of an architecture's data.
func ByteOrder(a isa.Arch) interface {
	binary.ByteOrder
	binary.AppendByteOrder
} {
	if a == isa.S390x {
		return binary.BigEndian
	}
	return binary.LittleEndian
}

// Write makes the file.
func (f *File) Write(format Format) ([]byte, error) {
	if err := f.check(format); err != nil {
		return nil, fmt.Errorf("%v object: %w", format, err)
	}
	var out []byte
	var err error
	switch format {
	case ELF:
		out, err = f.elf(false)
	case MachO:
		out, err = f.macho()
	default:
		out, err = f.coff()
	}
	if err != nil {
		return nil, fmt.Errorf("%v object: %w", format, err)
	}
	return out, nil
}

// Image makes an ELF image of what is in memory already, for debuggers: the
// sections lie at their addresses, and symbols have addresses as values. There
// are no relocations.
func (f *File) Image() ([]byte, error) {
	if err := f.check(ELF); err != nil {
		return nil, fmt.Errorf("ELF image: %w", err)
	}
	return f.elf(true)
}

func (f *File) check(format Format) error {
	for i := range f.Sections {
		s := &f.Sections[i]
		if a := s.align(); a&(a-1) != 0 {
			return fmt.Errorf("section %d: an alignment of %d", i, a)
		}
		for _, r := range s.Relocs {
			if n := uint64(len(s.Data)); r.Offset > n || n-r.Offset < r.Kind.size() {
				return fmt.Errorf("section %d: relocation %v at %#x is outside of the section, which has %#x bytes", i, r.Kind, r.Offset, n)
			}
			if uint64(r.Symbol) >= uint64(len(f.Symbols)) {
				return fmt.Errorf("section %d: relocation %v at %#x: no symbol %d", i, r.Kind, r.Offset, r.Symbol)
			}
		}
	}
	for i := range f.Symbols {
		s := &f.Symbols[i]
		if s.Section != Undefined && uint(s.Section) >= uint(len(f.Sections)) {
			return fmt.Errorf("symbol %q: no section %d", s.Name, s.Section)
		}
		for _, c := range []byte(s.Name) {
			if c == 0 {
				return fmt.Errorf("symbol %q: a zero byte in the name", s.Name)
			}
		}
		if s.Name == "" && s.Kind != SectionStart {
			return fmt.Errorf("symbol %d has no name", i)
		}
	}
	return nil
}

// addInPlace adds v to the field of a relocation in data, for formats that keep
// addends there.
func (f *File) addInPlace(data []byte, r *Reloc, v int64) error {
	o := ByteOrder(f.Arch)
	field := data[r.Offset:]
	if r.Kind.size() == 8 {
		o.PutUint64(field, o.Uint64(field)+uint64(v))
		return nil
	}
	v += int64(int32(o.Uint32(field)))
	if v != int64(int32(v)) && (r.Kind != Abs32 || v>>32 != 0) {
		return fmt.Errorf("relocation %v against %q: the addend %d does not fit the field", r.Kind, f.Symbols[r.Symbol].Name, v)
	}
	o.PutUint32(field, uint32(v))
	return nil
}

// strings is a table of strings that end in a zero byte.
type stringTable struct {
	data []byte
	at   map[string]uint32
}

func (t *stringTable) add(s string) uint32 {
	if at, ok := t.at[s]; ok {
		return at
	}
	if t.at == nil {
		t.at = map[string]uint32{}
	}
	at := uint32(len(t.data))
	t.data = append(append(t.data, s...), 0)
	t.at[s] = at
	return at
}

func alignUp(n, a uint64) uint64 { return (n + a - 1) &^ (a - 1) }

// pad appends zeros up to offset n.
func pad(b []byte, n uint64) []byte {
	if uint64(len(b)) < n {
		b = append(b, make([]byte, n-uint64(len(b)))...)
	}
	return b
}
