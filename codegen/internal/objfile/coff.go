package objfile

import (
	"debug/pe"
	"encoding/binary"
	"fmt"
	"math"
	"math/bits"
	"strconv"

	"github.com/davit-wasm/davit/codegen/isa"
)

type coffSection struct {
	name  string
	flags uint32
}

const (
	coffCode    = 0x00000020 | 0x20000000 | 0x40000000 // code, executable, readable
	coffConst   = 0x00000040 | 0x40000000              // initialized, readable
	coffData    = coffConst | 0x80000000               // writable
	coffBSS     = 0x00000080 | 0x40000000 | 0x80000000
	coffDebug   = coffConst | 0x02000000 // discardable
	coffManyRel = 0x01000000
)

var coffSections = [numKinds]coffSection{
	Text:          {".text", coffCode},
	ReadOnly:      {".rdata", coffConst},
	ReadOnlyReloc: {".rdata", coffConst},
	Data:          {".data", coffData},
	BSS:           {".bss", coffBSS},
	TLSData:       {".tls$", coffData},
	TLSBSS:        {".tls$", coffData},
	XData:         {".xdata", coffConst},
	PData:         {".pdata", coffConst},
	DebugInfo:     {".debug_info", coffDebug},
	DebugAbbrev:   {".debug_abbrev", coffDebug},
	DebugLine:     {".debug_line", coffDebug},
}

// coffReloc is a relocation type and what is added to the stored addend, for
// fields that are relative to their end.
type coffReloc struct {
	typ  uint16 // 0: there is none
	bias int64
}

var coffRelocs = map[isa.Arch][numRelocKinds]coffReloc{
	isa.X86_64:  {Abs64: {1, 0}, Abs32: {2, 0}, ImageRel32: {3, 0}, PCRel32: {4, 4}, Call32: {4, 4}, SectionRel32: {11, 0}},
	isa.AArch64: {Abs64: {0xe, 0}, Abs32: {1, 0}, ImageRel32: {2, 0}, PCRel32: {0x11, 4}, SectionRel32: {8, 0}},
}

const (
	coffHeaderSize  = 20
	coffSectionSize = 40
	coffRelocSize   = 10
)

// coff makes an object file: header, section headers, contents each with their
// relocations, symbols, strings.
func (f *File) coff() ([]byte, error) {
	o := binary.LittleEndian
	machine := map[isa.Arch]uint16{isa.X86_64: pe.IMAGE_FILE_MACHINE_AMD64, isa.AArch64: pe.IMAGE_FILE_MACHINE_ARM64}[f.Arch]
	if machine == 0 {
		return nil, fmt.Errorf("architecture %v: %w", f.Arch, ErrUnsupported)
	}
	types := coffRelocs[f.Arch]
	if len(f.Sections) > 0xfeff {
		return nil, fmt.Errorf("%d sections: %w", len(f.Sections), ErrUnsupported)
	}
	strs := stringTable{data: make([]byte, 4)} // begins with its size

	symtab, numbers, count, err := f.coffSymbols(&strs)
	if err != nil {
		return nil, err
	}
	out := make([]byte, coffHeaderSize+coffSectionSize*len(f.Sections))
	for i := range f.Sections {
		s := &f.Sections[i]
		d := coffSections[s.Kind]
		if d.name == "" {
			return nil, fmt.Errorf("section kind %d: %w", s.Kind, ErrUnsupported)
		}
		if s.align() > 8192 {
			return nil, fmt.Errorf("section %s: an alignment of %d: %w", d.name, s.align(), ErrUnsupported)
		}
		if s.size() > math.MaxUint32 {
			return nil, fmt.Errorf("section %s: %d bytes: %w", d.name, s.size(), ErrUnsupported)
		}
		var h [coffSectionSize]byte
		if len(d.name) <= 8 {
			copy(h[:8], d.name)
		} else {
			copy(h[:8], "/"+strconv.Itoa(int(strs.add(d.name))))
		}
		flags := d.flags | uint32(bits.TrailingZeros64(s.align())+1)<<20
		o.PutUint32(h[16:], uint32(s.size()))
		if s.Kind != BSS {
			out = pad(out, alignUp(uint64(len(out)), 16))
			begin := len(out)
			o.PutUint32(h[20:], uint32(begin))
			out = append(out, s.Data...)
			out = pad(out, uint64(begin)+s.size()) // thread-local zeros have contents here
			data := out[begin:]
			var relocs []byte
			n := len(s.Relocs)
			if n >= 0xffff {
				// The true number, with this entry, is in the first entry.
				flags |= coffManyRel
				relocs = o.AppendUint32(relocs, uint32(n+1))
				relocs = append(relocs, make([]byte, coffRelocSize-4)...)
				n = 0xffff
			}
			for k := range s.Relocs {
				r := &s.Relocs[k]
				t := types[r.Kind]
				if t.typ == 0 {
					return nil, fmt.Errorf("relocation %v for %v: %w", r.Kind, f.Arch, ErrUnsupported)
				}
				if err := f.addInPlace(data, r, r.Addend+t.bias); err != nil {
					return nil, err
				}
				relocs = o.AppendUint32(relocs, uint32(r.Offset))
				relocs = o.AppendUint32(relocs, numbers[r.Symbol])
				relocs = o.AppendUint16(relocs, t.typ)
			}
			if n > 0 {
				o.PutUint32(h[24:], uint32(len(out)))
				o.PutUint16(h[32:], uint16(n))
				out = append(out, relocs...)
			}
		}
		o.PutUint32(h[36:], flags)
		copy(out[coffHeaderSize+coffSectionSize*i:], h[:])
	}
	o.PutUint16(out[0:], machine)
	o.PutUint16(out[2:], uint16(len(f.Sections)))
	o.PutUint32(out[8:], uint32(len(out)))
	o.PutUint32(out[12:], count)
	out = append(out, symtab...)
	o.PutUint32(strs.data, uint32(len(strs.data)))
	out = append(out, strs.data...)
	if uint64(len(out)) > math.MaxUint32 {
		return nil, fmt.Errorf("a file of %d bytes: %w", len(out), ErrUnsupported)
	}
	return out, nil
}

// coffSymbols makes the symbol table. A weak symbol is an alias, which any other
// definition replaces, of an external symbol with another name.
func (f *File) coffSymbols(strs *stringTable) (table []byte, numbers []uint32, count uint32, err error) {
	o := binary.LittleEndian
	const (
		classExternal, classStatic, classWeak = 2, 3, 105
		typeFunc                              = 0x20
		searchNoLibrary, searchAlias          = 1, 3
	)
	add := func(name string, value uint64, section int, typ uint16, class uint8, aux ...byte) uint32 {
		n := count
		var e [pe.COFFSymbolSize]byte
		if len(name) <= 8 {
			copy(e[:8], name)
		} else {
			o.PutUint32(e[4:], strs.add(name))
		}
		o.PutUint32(e[8:], uint32(value))
		o.PutUint16(e[12:], uint16(section+1))
		o.PutUint16(e[14:], typ)
		e[16], e[17] = class, byte(len(aux)/pe.COFFSymbolSize)
		table = append(append(table, e[:]...), aux...)
		count += 1 + uint32(e[17])
		return n
	}
	numbers = make([]uint32, len(f.Symbols))
	for i := range f.Symbols {
		s := &f.Symbols[i]
		typ := uint16(0)
		if s.Kind == Func {
			typ = typeFunc
		}
		if s.Value > math.MaxUint32 {
			return nil, nil, 0, fmt.Errorf("symbol %q at %#x: %w", s.Name, s.Value, ErrUnsupported)
		}
		switch {
		case s.Kind == SectionStart:
			d := &f.Sections[s.Section]
			var aux [pe.COFFSymbolSize]byte
			o.PutUint32(aux[0:], uint32(d.size()))
			o.PutUint16(aux[4:], uint16(min(len(d.Relocs), 0xffff)))
			o.PutUint16(aux[12:], uint16(s.Section+1))
			numbers[i] = add(coffSections[d.Kind].name, 0, s.Section, 0, classStatic, aux[:]...)
		case s.Binding == Weak:
			var aux [pe.COFFSymbolSize]byte
			if s.Section == Undefined {
				o.PutUint32(aux[0:], add(".weak."+s.Name+".default", 0, -2, 0, classExternal)) // absolute zero
				o.PutUint32(aux[4:], searchNoLibrary)
			} else {
				o.PutUint32(aux[0:], add(".weak."+s.Name+".default", s.Value, s.Section, typ, classExternal))
				o.PutUint32(aux[4:], searchAlias)
			}
			numbers[i] = add(s.Name, 0, Undefined, typ, classWeak, aux[:]...)
		case s.Binding == Local:
			numbers[i] = add(s.Name, s.Value, s.Section, typ, classStatic)
		default:
			numbers[i] = add(s.Name, s.Value, s.Section, typ, classExternal)
		}
	}
	return table, numbers, count, nil
}
