package artifact

import (
	"crypto"
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/sha512"
	"fmt"
	"math"
	"strings"

	"github.com/davit-wasm/davit/internal/image"
	"github.com/davit-wasm/davit/internal/native"
	"github.com/davit-wasm/davit/wasm"
)

// Options say how to encode an image.
type Options struct {
	// Key signs the artifact, if it is not nil.
	Key ed25519.PrivateKey
	// Secret authenticates it instead, if it is not nil.
	Secret []byte
}

// Sites are the tables for the signal handlers of an image's target, in memory that
// tables gives, unless the image has them.
func Sites(im *image.Image, tables func(sites, bounds int) (*native.PreparedTables, error)) (*native.PreparedTables, error) {
	if s := im.Sites; s != nil {
		return &native.PreparedTables{Offsets: s.Offsets, Flags: s.Flags, Bounds: s.Bounds, InPlace: s.InPlace}, nil
	}
	t, ok := targets[im.Target]
	if !ok {
		return nil, fmt.Errorf("code for target %s can be compiled, but there is no runtime for it", im.Target)
	}
	// Trampolines may not be interrupted: they write the records that an interruption
	// relies on.
	var bodies []native.Range
	for i := range im.Functions {
		if f := &im.Functions[i]; f.Kind == image.FunctionWasm || f.Kind == image.FunctionRoutine {
			bodies = append(bodies, native.Range{Start: f.Offset, End: f.Offset + f.Size})
		}
	}
	bounds := native.Bounds(bodies)
	p, err := tables(len(im.Traps), len(bounds))
	if err != nil {
		return nil, err
	}
	copy(p.Bounds, bounds)
	for i, trap := range im.Traps {
		p.Offsets[i] = trap.Offset
		site := native.TrapSite{Offset: trap.Offset, Code: uint16(trap.Code), Null: trap.Code.AllowsNullPage()}
		p.Flags[i], ok = native.SiteFlags(t.goos, t.goarch, site, im.Text[trap.Offset:])
		if !ok {
			return nil, fmt.Errorf("trap sites of target %s are not known", im.Target)
		}
	}
	return p, nil
}

// newTables are tables in Go's memory.
func newTables(sites, bounds int) (*native.PreparedTables, error) {
	both := make([]uint32, 2*sites)
	return &native.PreparedTables{Offsets: both[:sites:sites], Flags: both[sites:], Bounds: make([]uint32, bounds)}, nil
}

// Encode is the artifact of an image. The same image gives the same bytes, but
// for the signature's sake only if it is signed with the same key or secret.
func Encode(im *image.Image, o *Options) ([]byte, error) {
	t, ok := targets[im.Target]
	if !ok {
		return nil, fmt.Errorf("there is no runtime for target %s, so there are no artifacts for it", im.Target)
	}
	sites, err := Sites(im, newTables)
	if err != nil {
		return nil, err
	}
	e := encoder{im: im, target: t, sites: sites}
	e.note = infoOf(im).append(nil)
	e.meta = metadata(im)
	if x := initialMemory(im.Module); x.Dense() {
		e.initial = x
	}
	e.nameStrings()
	if err := e.place(); err != nil {
		return nil, err
	}
	e.fill()
	e.seal(o)
	return e.out, nil
}

type encoder struct {
	im         *image.Image
	target     target
	sites      *native.PreparedTables
	note, meta []byte
	initial    image.InitialMemory // if it is dense
	strings    []byte
	nameAt     []uint32 // of functions, in strings
	sectionAt  [numSections]uint32
	names      []byte // of sections

	offset, size [numSections]uint64
	headEnd      uint64
	out          []byte
}

// Namer names the functions in the text of im: those of the module by the name
// section, else by an export, else by their index.
func Namer(im *image.Image) func(f *image.Function) string {
	names := im.Names()
	exported := make(map[uint32]string)
	for _, x := range im.Module.Exports {
		if _, ok := exported[x.Index]; !ok && x.Kind == wasm.KindFunc {
			exported[x.Index] = x.Name
		}
	}
	return func(f *image.Function) string {
		switch f.Kind {
		case image.FunctionWasm:
			name := names.FuncName(f.Index)
			if name == "" {
				name = exported[f.Index]
			}
			if name == "" {
				name = fmt.Sprintf("func[%d]", f.Index)
			}
			return name
		case image.FunctionEntry:
			return fmt.Sprintf("entry[%d]", f.Index)
		case image.FunctionExit:
			return fmt.Sprintf("exit[%d]", f.Index)
		case image.FunctionDirect:
			return fmt.Sprintf("direct[%d]", f.Index)
		}
		return fmt.Sprintf("routine[%d]", f.Index)
	}
}

// nameStrings makes the names for the symbol table.
func (e *encoder) nameStrings() {
	name := Namer(e.im)
	e.strings = append(e.strings, 0)
	e.nameAt = make([]uint32, len(e.im.Functions))
	for i := range e.im.Functions {
		e.nameAt[i] = uint32(len(e.strings))
		e.strings = append(append(e.strings, strings.ReplaceAll(name(&e.im.Functions[i]), "\x00", "?")...), 0)
	}
	for i := range sections {
		e.sectionAt[i] = uint32(len(e.names))
		e.names = append(append(e.names, sections[i].name...), 0)
	}
}

// place gives every section its place.
func (e *encoder) place() error {
	im := e.im
	elements := 0
	for i := range im.Module.Elems {
		elements += len(im.Module.Elems[i].Funcs)
	}
	data, customs := uint64(0), uint64(0)
	e.datas(func(at uint64, init []byte) { data = max(data, at+align(uint64(len(init)), dataAlign)) })
	if e.initial.Segments > 0 {
		data = max(data, e.initial.End-e.initial.Start)
	}
	for i := range im.Module.Customs {
		customs += align(uint64(len(im.Module.Customs[i].Data)), dataAlign)
	}
	e.size = [numSections]uint64{
		secNote: noteHeader + align(uint64(len(e.note)), 4), secMeta: uint64(len(e.meta)), secFunctions: 16 * uint64(len(im.Functions)),
		secTypes: 4 * uint64(len(im.Module.Funcs)), secBodies: 4 * uint64(len(im.Bodies)), secElements: 4 * uint64(elements),
		secSectionNames: uint64(len(e.names)), secText: uint64(len(im.Text)), secTraps: 8 * uint64(len(e.sites.Offsets)),
		secBounds: 4 * uint64(len(e.sites.Bounds)), secAddresses: 8 * uint64(len(im.AddrMap)), secUnwind: 8 * uint64(len(im.Unwind)),
		secInlined: 8 * uint64(len(im.Inlined)), secInlineSites: 12 * uint64(len(im.InlineSites)),
		secData: data, secCustoms: customs, secSymbols: symbolSize * uint64(1+len(im.Functions)), secStrings: uint64(len(e.strings)),
		secSeal: sealSize,
	}
	at := uint64(noteAt)
	for i := 1; i < numSections; i++ {
		to := sections[i].align
		if to == 0 {
			to = e.target.page
		}
		at = align(at, to)
		e.offset[i] = at
		if i == secText {
			e.headEnd = at
		}
		at += e.size[i]
		if i == secNote {
			at = align(at, 8) + numSections*sectionHeaderSize
		}
	}
	if at > math.MaxInt32 {
		return fmt.Errorf("the artifact would take %d bytes, more than 2 GiB", at)
	}
	e.out = make([]byte, at)
	return nil
}

// datas calls put with the place in the section for data segments of each of these.
// What the memory begins with comes first, as it is there, if it is dense, so that it
// can be mapped from the file; then, one behind the other, come all others.
func (e *encoder) datas(put func(at uint64, init []byte)) {
	m, x := e.im.Module, &e.initial
	next := x.End - x.Start
	for i := range m.Datas {
		d := &m.Datas[i]
		n := uint64(len(d.Init))
		if i < x.Segments && d.Mode == wasm.SegmentActive {
			if at, _ := d.Offset.Integer(); n > 0 {
				put(at-x.Start, d.Init)
			}
			continue
		}
		put(next, d.Init)
		next += align(n, dataAlign)
	}
}

func (e *encoder) section(i int) []byte { return e.out[e.offset[i]:][:e.size[i]] }

func (e *encoder) fill() {
	im := e.im
	e.headers()
	note := e.section(secNote)
	le.PutUint32(note, uint32(len(strings.TrimRight(noteName, "\x00"))+1))
	le.PutUint32(note[4:], uint32(len(e.note)))
	le.PutUint32(note[8:], 1)
	copy(note[12:], noteName)
	copy(note[noteHeader:], e.note)
	copy(e.section(secMeta), e.meta)
	b := e.section(secFunctions)
	for i := range im.Functions {
		f := &im.Functions[i]
		le.PutUint32(b[16*i:], f.Offset)
		le.PutUint32(b[16*i+4:], f.Size)
		le.PutUint32(b[16*i+8:], f.Index)
		le.PutUint32(b[16*i+12:], uint32(f.Kind))
	}
	b = e.section(secTypes)
	for i := range im.Module.Funcs {
		le.PutUint32(b[4*i:], im.Module.Funcs[i].Type)
	}
	putUint32s(e.section(secBodies), im.Bodies)
	b = e.section(secElements)
	for i := range im.Module.Elems {
		b = putUint32s(b, im.Module.Elems[i].Funcs)
	}
	copy(e.section(secSectionNames), e.names)
	copy(e.section(secText), im.Text)
	for i := e.offset[secText] + e.size[secText]; i < e.offset[secTraps]; i++ {
		e.out[i] = e.target.pad
	}
	putUint32s(putUint32s(e.section(secTraps), e.sites.Offsets), e.sites.Flags)
	putUint32s(e.section(secBounds), e.sites.Bounds)
	b = e.section(secAddresses)
	for i, a := range im.AddrMap {
		le.PutUint32(b[8*i:], a.Offset)
		le.PutUint32(b[8*i+4:], a.Wasm)
	}
	b = e.section(secUnwind)
	for i, u := range im.Unwind {
		le.PutUint32(b[8*i:], u.Offset)
		le.PutUint32(b[8*i+4:], uint32(u.Frame))
	}
	b = e.section(secInlined)
	for i, x := range im.Inlined {
		le.PutUint32(b[8*i:], x.Offset)
		le.PutUint32(b[8*i+4:], x.Site)
	}
	b = e.section(secInlineSites)
	for i, s := range im.InlineSites {
		le.PutUint32(b[12*i:], s.Func)
		le.PutUint32(b[12*i+4:], s.Call)
		le.PutUint32(b[12*i+8:], s.Outer)
	}
	b = e.section(secData)
	e.datas(func(at uint64, init []byte) { copy(b[at:], init) })
	b = e.section(secCustoms)
	for i := range im.Module.Customs {
		data := im.Module.Customs[i].Data
		copy(b, data)
		b = b[align(uint64(len(data)), dataAlign):]
	}
	b = e.section(secSymbols)
	for i := range im.Functions {
		s := b[symbolSize*(i+1):]
		le.PutUint32(s, e.nameAt[i])
		s[4] = 2 // a local function
		le.PutUint16(s[6:], secText)
		le.PutUint64(s[8:], e.offset[secText]+uint64(im.Functions[i].Offset))
		le.PutUint64(s[16:], uint64(im.Functions[i].Size))
	}
	copy(e.section(secStrings), e.strings)
}

func putUint32s(b []byte, list []uint32) (rest []byte) {
	for i, v := range list {
		le.PutUint32(b[4*i:], v)
	}
	return b[4*len(list):]
}

// headers writes the headers of file, segments and sections. Addresses are
// offsets in the file.
func (e *encoder) headers() {
	sectionHeaders := align(e.offset[secNote]+e.size[secNote], 8)
	h := e.out
	copy(h, "\x7fELF\x02\x01\x01")
	le.PutUint16(h[16:], 3) // ET_DYN
	le.PutUint16(h[18:], e.target.machine)
	le.PutUint32(h[20:], 1)
	le.PutUint64(h[32:], elfHeaderSize)
	le.PutUint64(h[40:], sectionHeaders)
	le.PutUint32(h[48:], kindModule)
	le.PutUint16(h[52:], elfHeaderSize)
	le.PutUint16(h[54:], programHeaderSize)
	le.PutUint16(h[56:], numSegments)
	le.PutUint16(h[58:], sectionHeaderSize)
	le.PutUint16(h[60:], numSections)
	le.PutUint16(h[62:], secSectionNames)

	const load, note, readable, executable = 1, 4, 4, 1
	end := e.offset[secCustoms] + e.size[secCustoms]
	for i, s := range [numSegments]struct {
		typ, flags       uint32
		start, end, page uint64
	}{
		{load, readable, 0, e.headEnd, e.target.page},
		{load, readable | executable, e.headEnd, e.headEnd + e.size[secText], e.target.page},
		{load, readable, e.offset[secTraps], end, e.target.page},
		{note, readable, e.offset[secNote], e.offset[secNote] + e.size[secNote], 4},
	} {
		p := e.out[elfHeaderSize+i*programHeaderSize:]
		le.PutUint32(p, s.typ)
		le.PutUint32(p[4:], s.flags)
		le.PutUint64(p[8:], s.start)
		le.PutUint64(p[16:], s.start)
		le.PutUint64(p[24:], s.start)
		le.PutUint64(p[32:], s.end-s.start)
		le.PutUint64(p[40:], s.end-s.start)
		le.PutUint64(p[48:], s.page)
	}

	for i := 1; i < numSections; i++ {
		s := &sections[i]
		b := e.out[sectionHeaders+uint64(i)*sectionHeaderSize:]
		le.PutUint32(b, e.sectionAt[i])
		le.PutUint32(b[4:], s.typ)
		le.PutUint64(b[8:], uint64(s.flags))
		if s.flags&shfAlloc != 0 {
			le.PutUint64(b[16:], e.offset[i])
		}
		le.PutUint64(b[24:], e.offset[i])
		le.PutUint64(b[32:], e.size[i])
		if i == secSymbols {
			le.PutUint32(b[40:], secStrings)
			le.PutUint32(b[44:], uint32(1+len(e.im.Functions))) // all are local
		}
		to := s.align
		if to == 0 {
			to = e.target.page
		}
		le.PutUint64(b[48:], to)
		le.PutUint64(b[56:], s.entrySize)
	}
}

// seal writes the seal, when everything else is written.
func (e *encoder) seal(o *Options) {
	s := e.section(secSeal)
	copy(s, sealMagic)
	le.PutUint64(s[sealFile:], uint64(len(e.out)))
	le.PutUint64(s[sealHead:], e.headEnd)
	le.PutUint32(s[sealHeadSum:], checksum(e.out[:e.headEnd]))
	le.PutUint32(s[sealBulkSum:], bulkSum(e.out[e.headEnd:len(e.out)-sealSize]))
	switch {
	case o == nil:
	case o.Secret != nil:
		le.PutUint32(s[sealKind:], signatureHMAC)
		copy(s[sealSignature:], authentication(o.Secret, e.out))
	case o.Key != nil:
		le.PutUint32(s[sealKind:], signatureEd25519)
		signature, err := o.Key.Sign(nil, digest(e.out), signing)
		if err != nil {
			panic("artifact: signing: " + err.Error()) // only wrong options make it fail
		}
		copy(s[sealSignature:], signature)
	}
	le.PutUint32(s[sealSum:], checksum(s[:sealSum]))
}

// signing is how artifacts are signed: Ed25519ph, in a context of our own, so that
// the same key can be used for other things.
var signing = &ed25519.Options{Hash: crypto.SHA512, Context: "davit artifact 1"}

// digest is what is signed: all of the file but the signature.
func digest(file []byte) []byte {
	h := sha512.New()
	h.Write(signed(file))
	return h.Sum(nil)
}

func signed(file []byte) []byte { return file[:len(file)-sealSize+sealSignature] }

// authentication is the code that shows that who made a file has the secret.
func authentication(secret, file []byte) []byte {
	h := hmac.New(sha256.New, secret)
	h.Write([]byte(signing.Context))
	h.Write(signed(file))
	return h.Sum(nil)
}
