package compile

import (
	"encoding/binary"
	"fmt"
	"math"
	"sync"

	"github.com/davit-wasm/davit/codegen/isa"
	"github.com/davit-wasm/davit/internal/image"
)

// link gives every item its place and makes the image.
func (j *job) link() (*image.Image, error) {
	m := j.module.Wasm
	joined := *m.Module
	joined.Datas = joinData(m.Module)
	im := &image.Image{
		Target:         j.target.Triple.String(),
		CPU:            j.target.CPU(),
		Settings:       j.module.Settings,
		Features:       m.Features(),
		Functions:      make([]image.Function, len(j.items)),
		Code:           make([]uint32, j.bodies),
		Bodies:         make([]uint32, j.bodies),
		Signatures:     j.sigs,
		TypeSignatures: j.ofType,
		Module:         &joined,
		Layout:         j.module.Layout,
	}
	size := uint64(0)
	var traps, addrs, unwind, inlined, sites int
	for i := range j.items {
		o := &j.items[i]
		if a := uint64(o.align); a > 1 {
			size = (size + a - 1) &^ (a - 1)
		}
		f := &im.Functions[i]
		f.Offset, f.Size = uint32(size), uint32(len(o.text))
		kind, n := j.place(i)
		f.Kind, f.Index = kind, uint32(n)
		switch kind {
		case image.FunctionRoutine:
			f.Index = uint32(j.module.Routines()[n])
		case image.FunctionWasm:
			f.Index = uint32(m.NumImportedFuncs + n)
			im.Code[n], im.Bodies[n] = f.Offset, uint32(m.Code[n].Offset)
		case image.FunctionEntry:
			im.Signatures[n].Entry = f.Offset
		case image.FunctionExit:
			im.Signatures[n].Exit = f.Offset
		case image.FunctionDirect:
			im.Signatures[n].Direct = f.Offset
		}
		size += uint64(len(o.text))
		if size > math.MaxInt32 {
			return nil, fmt.Errorf("the module's code is larger than 2 GiB")
		}
		traps += len(o.traps)
		addrs += len(o.addrs) + 1
		unwind += len(o.unwind)
		inlined += len(o.inlined) + 1
		sites += len(o.sites)
	}

	var tables sync.WaitGroup
	tables.Go(func() {
		im.Traps = make([]image.Trap, 0, traps)
		im.AddrMap = make([]image.Address, 0, addrs)
		im.Unwind = make([]image.Unwind, 0, unwind)
		if sites > 0 {
			im.Inlined = make([]image.Inlined, 0, inlined)
			im.InlineSites = make([]image.InlineSite, 0, sites)
		}
		for i := range j.items {
			j.items[i].addTo(im, im.Functions[i].Offset)
		}
	})
	im.Text = j.text(im, size)
	tables.Wait()
	return im, nil
}

// text puts the functions' code in its places in im, and joins their calls.
func (j *job) text(im *image.Image, size uint64) []byte {
	text := make([]byte, size)
	pad := padding(j.target.Triple.Arch)
	end := uint32(0)
	for i := range j.items {
		o, base := &j.items[i], im.Functions[i].Offset
		for ; end < base; end++ {
			text[end] = pad
		}
		end = base + uint32(copy(text[base:], o.text))
		for _, c := range o.calls {
			at := base + c.offset
			distance := int64(im.Functions[c.item].Offset) + int64(c.addend) - int64(at)
			binary.LittleEndian.PutUint32(text[at:], uint32(int32(distance)))
		}
	}
	return text
}

// addTo adds what is known of o, which is at base, to the tables of im.
func (o *object) addTo(im *image.Image, base uint32) {
	for _, t := range o.traps {
		im.Traps = append(im.Traps, image.Trap{Offset: base + t.Offset, Code: t.Code})
	}
	if len(o.addrs) == 0 || o.addrs[0].Offset != 0 {
		im.AddrMap = appendAddress(im.AddrMap, image.Address{Offset: base, Wasm: image.NoAddress})
	}
	for _, a := range o.addrs {
		im.AddrMap = appendAddress(im.AddrMap, image.Address{Offset: base + a.Offset, Wasm: a.Wasm})
	}
	o.addInlined(im, base)
	for _, u := range o.unwind {
		im.Unwind = append(im.Unwind, image.Unwind{Offset: base + u.Offset, Frame: u.Frame})
	}
}

// appendAddress appends an entry, unless it says what the last one does.
func appendAddress(m []image.Address, a image.Address) []image.Address {
	if n := len(m); n > 0 && m[n-1].Wasm == a.Wasm {
		return m
	}
	return append(m, a)
}

// addInlined adds what is known of bodies in o.
func (o *object) addInlined(im *image.Image, base uint32) {
	if n := len(im.Inlined); n > 0 && im.Inlined[n-1].Site != image.NoSite {
		im.Inlined = append(im.Inlined, image.Inlined{Offset: base, Site: image.NoSite})
	}
	first := uint32(len(im.InlineSites))
	from := func(site uint32) uint32 {
		if site >= image.Replaced { // or none
			return site
		}
		return first + site
	}
	for _, x := range o.inlined {
		im.Inlined = append(im.Inlined, image.Inlined{Offset: base + x.Offset, Site: from(x.Site)})
	}
	for _, s := range o.sites {
		s.Outer = from(s.Outer)
		im.InlineSites = append(im.InlineSites, s)
	}
}

// padding fills the space between functions with something that traps if it is
// ever run.
func padding(a isa.Arch) byte {
	if a == isa.X86_64 {
		return 0xcc // int3
	}
	return 0 // an undefined instruction
}
