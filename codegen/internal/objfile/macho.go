package objfile

import (
	"debug/macho"
	"encoding/binary"
	"fmt"
	"math/bits"

	"github.com/davit-wasm/davit/codegen/isa"
)

// Mach-O relocation types of x86-64 and arm64.
const (
	machoX86Unsigned   = 0
	machoX86Signed     = 1
	machoX86Branch     = 2
	machoX86GOTLoad    = 3
	machoX86Subtractor = 5
	machoX86TLV        = 9

	machoARMUnsigned   = 0
	machoARMSubtractor = 1
)

// machoSection is a section as Mach-O names and marks it.
type machoSection struct {
	segment, name string
	flags         uint32
}

const (
	machoZeroFill       = 0x1
	machoCoalesced      = 0xb
	machoTLSRegular     = 0x11
	machoTLSZeroFill    = 0x12
	machoTLSVars        = 0x13
	machoInstructions   = 0x80000400 // pure and some instructions
	machoDebug          = 0x02000000
	machoNoTOC          = 0x40000000
	machoLiveSupport    = 0x08000000
	machoStripStaticSym = 0x20000000
)

var machoSections = [numKinds]machoSection{
	Text:          {"__TEXT", "__text", machoInstructions},
	ReadOnly:      {"__TEXT", "__const", 0},
	ReadOnlyReloc: {"__DATA", "__const", 0},
	Data:          {"__DATA", "__data", 0},
	BSS:           {"__DATA", "__bss", machoZeroFill},
	TLSData:       {"__DATA", "__thread_data", machoTLSRegular},
	TLSBSS:        {"__DATA", "__thread_bss", machoTLSZeroFill},
	TLSVars:       {"__DATA", "__thread_vars", machoTLSVars},
	EHFrame:       {"__TEXT", "__eh_frame", machoCoalesced | machoNoTOC | machoLiveSupport | machoStripStaticSym},
	DebugInfo:     {"__DWARF", "__debug_info", machoDebug},
	DebugAbbrev:   {"__DWARF", "__debug_abbrev", machoDebug},
	DebugLine:     {"__DWARF", "__debug_line", machoDebug},
}

const (
	machoHeaderSize   = 32
	machoSegmentSize  = 72
	machoSectionSize  = 80
	machoSymtabSize   = 24
	machoDysymtabSize = 80
	machoVersionSize  = 24
	machoNlistSize    = 16
)

// macho makes a relocatable file: one segment without a name with all sections,
// then relocations, symbols and strings. Symbols are sorted into local, defined
// and undefined ones. Sections' own symbols get names that the linker drops.
func (f *File) macho() ([]byte, error) {
	o := binary.LittleEndian
	var cpu macho.Cpu
	subtype := uint32(0)
	switch f.Arch {
	case isa.X86_64:
		cpu, subtype = macho.CpuAmd64, 3
	case isa.AArch64:
		cpu = macho.CpuArm64
	default:
		return nil, fmt.Errorf("architecture %v: %w", f.Arch, ErrUnsupported)
	}
	if len(f.Sections) > 255 {
		return nil, fmt.Errorf("%d sections: %w", len(f.Sections), ErrUnsupported)
	}

	// Addresses in the file: contents first, zeros behind them.
	addrs, offs := make([]uint64, len(f.Sections)), make([]uint64, len(f.Sections))
	commands := uint64(machoSegmentSize + machoSectionSize*len(f.Sections) + machoVersionSize + machoSymtabSize + machoDysymtabSize)
	start := alignUp(machoHeaderSize+commands, 16)
	at := uint64(0)
	fileSize := uint64(0)
	for _, zeros := range [...]bool{false, true} {
		for i := range f.Sections {
			s := &f.Sections[i]
			if machoSections[s.Kind].name == "" {
				return nil, fmt.Errorf("section kind %d: %w", s.Kind, ErrUnsupported)
			}
			if s.Kind.zeros() != zeros {
				continue
			}
			at = alignUp(at, s.align())
			addrs[i], offs[i] = at, start+at
			at += s.size()
		}
		if !zeros {
			fileSize = at
		}
	}
	vmSize := at

	// Symbols.
	var strs stringTable
	strs.add(" ")
	strs.data[0] = 0
	numbers := make([]uint32, len(f.Symbols))
	var nlist []byte
	var counts [3]uint32
	sectionSymbol := make([]uint32, len(f.Sections))
	const noSymbol = ^uint32(0)
	for i := range sectionSymbol {
		sectionSymbol[i] = noSymbol
	}
	needsSection := make([]bool, len(f.Sections))
	for i := range f.Sections {
		for _, r := range f.Sections[i].Relocs {
			if r.Kind == PCRel64 {
				needsSection[i] = true // it is the difference to its own section
			}
		}
	}
	add := func(group int, name string, typ, sect uint8, desc uint16, value uint64) uint32 {
		var e [machoNlistSize]byte
		o.PutUint32(e[0:], strs.add(name))
		e[4], e[5] = typ, sect
		o.PutUint16(e[6:], desc)
		o.PutUint64(e[8:], value)
		nlist = append(nlist, e[:]...)
		counts[group]++
		return counts[0] + counts[1] + counts[2] - 1
	}
	const (
		nExt, nPrivate, nSect = 0x01, 0x10, 0x0e
		weakRef, weakDef      = 0x0040, 0x0080
	)
	for group := range counts {
		for i := range f.Symbols {
			s := &f.Symbols[i]
			g := 1
			if s.Binding == Local {
				g = 0
			} else if s.Section == Undefined {
				g = 2
			}
			if g != group {
				continue
			}
			if s.Section == Undefined {
				desc := uint16(0)
				if s.Binding == Weak {
					desc = weakRef
				}
				numbers[i] = add(group, "_"+s.Name, nExt, 0, desc, 0)
				continue
			}
			if s.Kind == SectionStart {
				needsSection[s.Section] = true
				continue
			}
			typ, desc := uint8(nSect), uint16(0)
			if s.Binding != Local {
				typ |= nExt
				if s.Hidden {
					typ |= nPrivate
				}
			}
			if s.Binding == Weak {
				desc = weakDef
			}
			numbers[i] = add(group, "_"+s.Name, typ, uint8(s.Section+1), desc, addrs[s.Section]+s.Value)
		}
		if group == 0 {
			for i := range f.Sections {
				if needsSection[i] {
					sectionSymbol[i] = add(0, fmt.Sprintf("ltmp%d", i), nSect, uint8(i+1), 0, addrs[i])
				}
			}
		}
	}
	for i := range f.Symbols {
		if s := &f.Symbols[i]; s.Kind == SectionStart && s.Section != Undefined {
			numbers[i] = sectionSymbol[s.Section]
		}
	}

	// Contents and relocations.
	out := make([]byte, start)
	var relocs []byte
	relocOff, relocCount := make([]uint64, len(f.Sections)), make([]uint32, len(f.Sections))
	for i := range f.Sections {
		s := &f.Sections[i]
		if s.Kind.zeros() {
			continue
		}
		out = pad(out, offs[i])
		begin := len(out)
		out = append(out, s.Data...)
		data := out[begin:]
		relocOff[i] = uint64(len(relocs))
		entry := func(off uint64, symbol uint32, pcrel bool, length, typ uint32) {
			word := symbol | length<<25 | 1<<27 | typ<<28
			if pcrel {
				word |= 1 << 24
			}
			relocs = o.AppendUint32(relocs, uint32(off))
			relocs = o.AppendUint32(relocs, word)
			relocCount[i]++
		}
		for k := range s.Relocs {
			r := &s.Relocs[k]
			if numbers[r.Symbol] >= 1<<24 {
				return nil, fmt.Errorf("too many symbols: %w", ErrUnsupported)
			}
			if r.Offset > 1<<31-1 {
				return nil, fmt.Errorf("a relocation at offset %#x: %w", r.Offset, ErrUnsupported)
			}
			n := numbers[r.Symbol]
			x86 := f.Arch == isa.X86_64
			bias := int64(0) // of the stored addend
			switch {
			case r.Kind == SectionRel32:
				// There is one unit in the file, and debug sections are not
				// joined by linkers: the offset stays as it is.
				bias = int64(f.Symbols[r.Symbol].Value)
			case r.Kind == Abs64:
				entry(r.Offset, n, false, 3, machoX86Unsigned)
			case r.Kind == PCRel64:
				// The difference of two symbols: the target and this section.
				sub := uint32(machoX86Subtractor)
				if !x86 {
					sub = machoARMSubtractor
				}
				entry(r.Offset, sectionSymbol[i], false, 3, sub)
				entry(r.Offset, n, false, 3, machoX86Unsigned)
				bias = -int64(r.Offset)
			case x86 && r.Kind == PCRel32:
				entry(r.Offset, n, true, 2, machoX86Signed)
				bias = 4
			case x86 && r.Kind == Call32:
				entry(r.Offset, n, true, 2, machoX86Branch)
				bias = 4
			case x86 && r.Kind == GOTPCRel32:
				entry(r.Offset, n, true, 2, machoX86GOTLoad)
				bias = 4
			case x86 && r.Kind == TLV32:
				entry(r.Offset, n, true, 2, machoX86TLV)
				bias = 4
			default:
				return nil, fmt.Errorf("relocation %v for %v: %w", r.Kind, f.Arch, ErrUnsupported)
			}
			if err := f.addInPlace(data, r, r.Addend+bias); err != nil {
				return nil, err
			}
		}
	}
	out = pad(out, alignUp(uint64(len(out)), 8))
	relocsAt := uint64(len(out))
	out = append(out, relocs...)
	out = pad(out, alignUp(uint64(len(out)), 8))
	symAt := uint64(len(out))
	out = append(out, nlist...)
	strAt := uint64(len(out))
	out = append(out, strs.data...)
	out = pad(out, alignUp(uint64(len(out)), 8))
	if uint64(len(out)) > 1<<32-1 || vmSize > 1<<32-1 {
		return nil, fmt.Errorf("a file of %d bytes: %w", len(out), ErrUnsupported)
	}

	// Header and load commands.
	h := make([]byte, 0, start)
	u32 := func(v ...uint32) {
		for _, x := range v {
			h = o.AppendUint32(h, x)
		}
	}
	u64 := func(v ...uint64) {
		for _, x := range v {
			h = o.AppendUint64(h, x)
		}
	}
	name := func(s string) {
		var b [16]byte
		copy(b[:], s)
		h = append(h, b[:]...)
	}
	u32(macho.Magic64, uint32(cpu), subtype, uint32(macho.TypeObj), 4, uint32(commands), 0, 0)
	u32(uint32(macho.LoadCmdSegment64), uint32(machoSegmentSize+machoSectionSize*len(f.Sections)))
	name("")
	u64(0, vmSize, start, fileSize)
	u32(7, 7, uint32(len(f.Sections)), 0)
	for i := range f.Sections {
		s := &f.Sections[i]
		d := machoSections[s.Kind]
		name(d.name)
		name(d.segment)
		u64(addrs[i], s.size())
		off, rel := uint32(offs[i]), uint32(0)
		if s.Kind.zeros() {
			off = 0
		}
		if relocCount[i] > 0 {
			rel = uint32(relocsAt + relocOff[i])
		}
		u32(off, uint32(bits.TrailingZeros64(s.align())), rel, relocCount[i], d.flags, 0, 0, 0)
	}
	const buildVersion, platformMacOS, macOS11 = 0x32, 1, 11 << 16
	u32(buildVersion, machoVersionSize, platformMacOS, macOS11, macOS11, 0)
	u32(uint32(macho.LoadCmdSymtab), machoSymtabSize, uint32(symAt), uint32(len(nlist)/machoNlistSize), uint32(strAt), uint32(len(strs.data)))
	u32(uint32(macho.LoadCmdDysymtab), machoDysymtabSize, 0, counts[0], counts[0], counts[1], counts[0]+counts[1], counts[2])
	for range 12 {
		u32(0)
	}
	copy(out, h)
	return out, nil
}
