package objfile

import (
	"debug/elf"
	"fmt"
	"math"

	"github.com/davit-wasm/davit/codegen/isa"
)

// elfArch is what ELF needs to know about an architecture.
type elfArch struct {
	machine elf.Machine
	flags   uint32
	relocs  [numRelocKinds]uint32 // 0: there is none
}

var elfArchs = map[isa.Arch]*elfArch{
	isa.X86_64: {machine: elf.EM_X86_64, relocs: [numRelocKinds]uint32{
		Abs64: uint32(elf.R_X86_64_64), Abs32: uint32(elf.R_X86_64_32), PCRel32: uint32(elf.R_X86_64_PC32), PCRel64: uint32(elf.R_X86_64_PC64),
		Call32: uint32(elf.R_X86_64_PLT32), GOTPCRel32: uint32(elf.R_X86_64_GOTPCREL), TLSGD32: uint32(elf.R_X86_64_TLSGD),
		SectionRel32: uint32(elf.R_X86_64_32),
	}},
	isa.AArch64: {machine: elf.EM_AARCH64, relocs: [numRelocKinds]uint32{
		Abs64: uint32(elf.R_AARCH64_ABS64), Abs32: uint32(elf.R_AARCH64_ABS32), PCRel32: uint32(elf.R_AARCH64_PREL32), PCRel64: uint32(elf.R_AARCH64_PREL64),
		SectionRel32: uint32(elf.R_AARCH64_ABS32),
	}},
	isa.S390x: {machine: elf.EM_S390, relocs: [numRelocKinds]uint32{
		Abs64: uint32(elf.R_390_64), Abs32: uint32(elf.R_390_32), PCRel32: uint32(elf.R_390_PC32), PCRel64: uint32(elf.R_390_PC64),
		SectionRel32: uint32(elf.R_390_32),
	}},
	// Flags: compressed instructions, doubles in registers.
	isa.RISCV64: {machine: elf.EM_RISCV, flags: 1 | 4, relocs: [numRelocKinds]uint32{
		Abs64: uint32(elf.R_RISCV_64), Abs32: uint32(elf.R_RISCV_32), PCRel32: uint32(elf.R_RISCV_32_PCREL),
		SectionRel32: uint32(elf.R_RISCV_32),
	}},
}

// elfSection is a section as ELF names and marks it.
type elfSection struct {
	name  string
	typ   elf.SectionType
	flags elf.SectionFlag
}

var elfSections = [numKinds]elfSection{
	Text:          {".text", elf.SHT_PROGBITS, elf.SHF_ALLOC | elf.SHF_EXECINSTR},
	ReadOnly:      {".rodata", elf.SHT_PROGBITS, elf.SHF_ALLOC},
	ReadOnlyReloc: {".data.rel.ro", elf.SHT_PROGBITS, elf.SHF_ALLOC | elf.SHF_WRITE},
	Data:          {".data", elf.SHT_PROGBITS, elf.SHF_ALLOC | elf.SHF_WRITE},
	BSS:           {".bss", elf.SHT_NOBITS, elf.SHF_ALLOC | elf.SHF_WRITE},
	TLSData:       {".tdata", elf.SHT_PROGBITS, elf.SHF_ALLOC | elf.SHF_WRITE | elf.SHF_TLS},
	TLSBSS:        {".tbss", elf.SHT_NOBITS, elf.SHF_ALLOC | elf.SHF_WRITE | elf.SHF_TLS},
	EHFrame:       {".eh_frame", elf.SHT_PROGBITS, elf.SHF_ALLOC},
	DebugInfo:     {".debug_info", elf.SHT_PROGBITS, 0},
	DebugAbbrev:   {".debug_abbrev", elf.SHT_PROGBITS, 0},
	DebugLine:     {".debug_line", elf.SHT_PROGBITS, 0},
	DebugFrame:    {".debug_frame", elf.SHT_PROGBITS, 0},
}

const (
	elfHeaderSize  = 64
	elfSymbolSize  = 24
	elfRelaSize    = 24
	elfSectionSize = 64
)

type elfHeader struct {
	name               uint32
	typ                elf.SectionType
	flags              elf.SectionFlag
	addr, off, size    uint64
	link, info         uint32
	addralign, entsize uint64
	data               []byte
}

// elf makes a relocatable file, or an image.
//
// Section headers are in this order: null, the file's sections, their
// relocations, .symtab, .strtab, .shstrtab, .note.GNU-stack.
func (f *File) elf(image bool) ([]byte, error) {
	arch := elfArchs[f.Arch]
	if arch == nil {
		return nil, fmt.Errorf("architecture %v: %w", f.Arch, ErrUnsupported)
	}
	o := ByteOrder(f.Arch)
	var names stringTable
	names.add("")
	headers := []elfHeader{{}}
	if len(f.Sections) > int(elf.SHN_LORESERVE)/2-8 {
		return nil, fmt.Errorf("%d sections", len(f.Sections))
	}
	for i := range f.Sections {
		s := &f.Sections[i]
		d := elfSections[s.Kind]
		if d.name == "" {
			return nil, fmt.Errorf("section kind %d: %w", s.Kind, ErrUnsupported)
		}
		h := elfHeader{name: names.add(d.name), typ: d.typ, flags: d.flags, addralign: s.align(), size: s.size(), data: s.Data}
		if s.Kind == EHFrame && f.Arch == isa.X86_64 {
			h.typ = 0x70000001 // SHT_X86_64_UNWIND
		}
		if image {
			h.addr = s.Addr
			if s.Data == nil {
				h.typ = elf.SHT_NOBITS
			}
		}
		headers = append(headers, h)
	}

	// Symbols: local ones first.
	var strs stringTable
	strs.add("")
	symtab := make([]byte, elfSymbolSize, elfSymbolSize*(len(f.Symbols)+1))
	numbers := make([]uint32, len(f.Symbols))
	count, locals := uint32(1), uint32(1)
	for _, local := range [...]bool{true, false} {
		for i := range f.Symbols {
			s := &f.Symbols[i]
			if (s.Binding == Local) != local {
				continue
			}
			numbers[i] = count
			count++
			var e [elfSymbolSize]byte
			shndx := uint16(0)
			if s.Section != Undefined {
				shndx = uint16(s.Section + 1)
			}
			o.PutUint32(e[0:], strs.add(s.Name))
			e[4] = elf.ST_INFO([...]elf.SymBind{elf.STB_LOCAL, elf.STB_GLOBAL, elf.STB_WEAK}[s.Binding],
				[...]elf.SymType{elf.STT_NOTYPE, elf.STT_FUNC, elf.STT_OBJECT, elf.STT_TLS, elf.STT_SECTION}[s.Kind])
			if s.Hidden {
				e[5] = byte(elf.STV_HIDDEN)
			}
			o.PutUint16(e[6:], shndx)
			o.PutUint64(e[8:], s.Value)
			o.PutUint64(e[16:], s.Size)
			symtab = append(symtab, e[:]...)
		}
		if local {
			locals = count
		}
	}
	symtabAt := len(headers)
	for i := range f.Sections {
		if len(f.Sections[i].Relocs) > 0 {
			symtabAt++
		}
	}
	for i := range f.Sections {
		s := &f.Sections[i]
		if len(s.Relocs) == 0 {
			continue
		}
		if image {
			return nil, fmt.Errorf("section %s of an image has relocations", elfSections[s.Kind].name)
		}
		rela := make([]byte, 0, elfRelaSize*len(s.Relocs))
		for _, r := range s.Relocs {
			t := arch.relocs[r.Kind]
			if t == 0 {
				return nil, fmt.Errorf("relocation %v for %v: %w", r.Kind, f.Arch, ErrUnsupported)
			}
			rela = o.AppendUint64(rela, r.Offset)
			rela = o.AppendUint64(rela, elf.R_INFO(numbers[r.Symbol], t))
			rela = o.AppendUint64(rela, uint64(r.Addend))
		}
		headers = append(headers, elfHeader{
			name: names.add(".rela" + elfSections[s.Kind].name), typ: elf.SHT_RELA, flags: elf.SHF_INFO_LINK,
			size: uint64(len(rela)), link: uint32(symtabAt), info: uint32(i + 1), addralign: 8, entsize: elfRelaSize, data: rela,
		})
	}
	headers = append(headers,
		elfHeader{name: names.add(".symtab"), typ: elf.SHT_SYMTAB, size: uint64(len(symtab)), link: uint32(symtabAt + 1), info: locals, addralign: 8, entsize: elfSymbolSize, data: symtab},
		elfHeader{name: names.add(".strtab"), typ: elf.SHT_STRTAB, size: uint64(len(strs.data)), addralign: 1, data: strs.data})
	shstrtab := len(headers)
	headers = append(headers, elfHeader{name: names.add(".shstrtab"), typ: elf.SHT_STRTAB, addralign: 1})
	if !image {
		// Its presence says that the code needs no executable stack.
		headers = append(headers, elfHeader{name: names.add(".note.GNU-stack"), typ: elf.SHT_PROGBITS, addralign: 1})
	}
	headers[shstrtab].data, headers[shstrtab].size = names.data, uint64(len(names.data))

	out := make([]byte, elfHeaderSize)
	for i := range headers {
		h := &headers[i]
		if i == 0 {
			continue
		}
		out = pad(out, alignUp(uint64(len(out)), max(h.addralign, 1)))
		h.off = uint64(len(out))
		if h.typ != elf.SHT_NOBITS {
			out = append(out, h.data...)
		}
	}
	out = pad(out, alignUp(uint64(len(out)), 8))
	shoff := uint64(len(out))
	if len(strs.data) > math.MaxUint32 || count == math.MaxUint32 {
		return nil, fmt.Errorf("too many symbols: %d", count)
	}
	for i := range headers {
		h := &headers[i]
		var b [elfSectionSize]byte
		o.PutUint32(b[0:], h.name)
		o.PutUint32(b[4:], uint32(h.typ))
		o.PutUint64(b[8:], uint64(h.flags))
		o.PutUint64(b[16:], h.addr)
		o.PutUint64(b[24:], h.off)
		o.PutUint64(b[32:], h.size)
		o.PutUint32(b[40:], h.link)
		o.PutUint32(b[44:], h.info)
		o.PutUint64(b[48:], h.addralign)
		o.PutUint64(b[56:], h.entsize)
		out = append(out, b[:]...)
	}
	copy(out, elf.ELFMAG)
	out[elf.EI_CLASS], out[elf.EI_VERSION] = byte(elf.ELFCLASS64), byte(elf.EV_CURRENT)
	out[elf.EI_DATA] = byte(elf.ELFDATA2LSB)
	if f.Arch == isa.S390x {
		out[elf.EI_DATA] = byte(elf.ELFDATA2MSB)
	}
	typ := elf.ET_REL
	if image {
		typ = elf.ET_EXEC
	}
	o.PutUint16(out[16:], uint16(typ))
	o.PutUint16(out[18:], uint16(arch.machine))
	o.PutUint32(out[20:], uint32(elf.EV_CURRENT))
	o.PutUint64(out[40:], shoff)
	o.PutUint32(out[48:], arch.flags)
	o.PutUint16(out[52:], elfHeaderSize)
	o.PutUint16(out[58:], elfSectionSize)
	o.PutUint16(out[60:], uint16(len(headers)))
	o.PutUint16(out[62:], uint16(shstrtab))
	return out, nil
}
