package compile

import (
	"encoding/binary"
	"fmt"
	"math"
	"sync"

	"github.com/davit-wasm/davit/codegen/isa"
	"github.com/davit-wasm/davit/internal/image"
)

// Linking goes along with compiling. Items get their places in the order of their
// numbers, each as soon as all before it have theirs, by whichever worker has just
// finished something. As items are also begun in this order, but for large bodies,
// which are begun first, few wait for their turn. So what the workers yield is
// copied while it is still warm, its memory is used again at once, and when the last
// item is compiled the image is complete, but for calls of functions that come
// later in the text than the call.

// parcel is what has become of a few items: their code and tables, one item's after
// the other's. Offsets are from the beginning of the item's code.
type parcel struct {
	pieces []piece // by ascending item
	linked int     // how many have their place

	text   []byte
	traps  []image.Trap
	addrs  []image.Address
	unwind []image.Unwind
	calls  []call
	// inlined and sites are those of the image; sites by their number in the item.
	inlined []image.Inlined
	sites   []image.InlineSite
}

// piece is an item in a parcel, and where its parts end.
type piece struct {
	item, align                                       uint32
	text, traps, addrs, unwind, calls, inlined, sites int
}

// call is a direct call of a function of the same module: a 32-bit field that
// wants the distance from itself to the function, plus an addend.
type call struct {
	offset uint32
	item   uint32
	addend int32
}

// end ends what belongs to an item.
func (p *parcel) end(item, align uint32) {
	p.pieces = append(p.pieces, piece{item, align, len(p.text), len(p.traps), len(p.addrs), len(p.unwind), len(p.calls), len(p.inlined), len(p.sites)})
}

// maxKept is the size of text up to which a parcel's memory is used again: what a
// large body has needed is too much for all others.
const maxKept = 256 << 10

// linker makes an image of what the workers yield.
type linker struct {
	*job
	im     *image.Image
	memory image.TextMemory // what im.Text lies in; nil: Go's

	mu      sync.Mutex
	made    []*parcel // by item: what waits for its turn
	next    int       // the next item to get its place
	linking bool      // somebody is at it
	free    []*parcel

	// Of whoever is linking.
	err    error
	weight uint64 // of the items that have their place
	total  uint64 // of all
	later  []call // of items that have no place yet, by offset in the text
}

// newLinker makes a linker for the items of j.
func newLinker(j *job, memory image.TextMemory) *linker {
	m := j.module.Wasm
	joined := *m.Module
	l := &linker{job: j, memory: memory, made: make([]*parcel, j.items), im: &image.Image{
		Target:         j.target.Triple.String(),
		CPU:            j.target.CPU(),
		Settings:       j.module.Settings,
		Features:       m.Features(),
		Functions:      make([]image.Function, 0, j.items),
		Code:           make([]uint32, j.bodies),
		Bodies:         make([]uint32, j.bodies),
		Signatures:     j.sigs,
		TypeSignatures: j.ofType,
		Module:         &joined,
		Layout:         j.module.Layout,
		Memory:         memory,
	}}
	for i := range j.items {
		l.total += l.weigh(i)
	}
	return l
}

// weigh says how much of the text an item will be about, in bytes of WebAssembly.
func (l *linker) weigh(item int) uint64 {
	if item < l.bodies {
		return uint64(len(l.module.Wasm.Code[item].Body))
	}
	return 64 // trampolines are of this size
}

// parcel is an empty parcel.
func (l *linker) parcel() *parcel {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := len(l.free)
	if n == 0 {
		return &parcel{}
	}
	p := l.free[n-1]
	l.free = l.free[:n-1]
	return p
}

// add has the items of p linked, by the caller or by who is linking already.
func (l *linker) add(p *parcel) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := range p.pieces {
		l.made[p.pieces[i].item] = p
	}
	if l.linking {
		return
	}
	l.linking = true
	for l.next < len(l.made) && l.made[l.next] != nil {
		p := l.made[l.next]
		l.mu.Unlock()
		if l.err == nil {
			l.err = l.link(p)
		}
		p.linked++
		l.mu.Lock()
		l.made[l.next] = nil
		l.next++
		if p.linked == len(p.pieces) && cap(p.text) <= maxKept {
			*p = parcel{
				pieces: p.pieces[:0], text: p.text[:0], traps: p.traps[:0], addrs: p.addrs[:0], unwind: p.unwind[:0],
				calls: p.calls[:0], inlined: p.inlined[:0], sites: p.sites[:0],
			}
			l.free = append(l.free, p)
		}
	}
	l.linking = false
}

// link gives the next item of p its place.
func (l *linker) link(p *parcel) error {
	var from piece
	if p.linked > 0 {
		from = p.pieces[p.linked-1]
	}
	to := &p.pieces[p.linked]
	im := l.im
	l.weight += l.weigh(int(to.item))
	base, err := l.addText(p.text[from.text:to.text], to.align)
	if err != nil {
		return err
	}
	l.addFunction(int(to.item), base, uint32(to.text-from.text))
	for _, c := range p.calls[from.calls:to.calls] {
		c.offset += base
		if int(c.item) < len(im.Functions) {
			l.join(c)
			continue
		}
		l.later = append(roomFor(l, l.later, 1, 150), c)
	}

	traps, addrs := p.traps[from.traps:to.traps], p.addrs[from.addrs:to.addrs]
	im.Traps = roomFor(l, im.Traps, len(traps), 15)
	for _, t := range traps {
		im.Traps = append(im.Traps, image.Trap{Offset: base + t.Offset, Code: t.Code})
	}
	im.AddrMap = addAddresses(roomFor(l, im.AddrMap, len(addrs)+1, 6), base, addrs)
	l.addInlined(base, p.inlined[from.inlined:to.inlined], p.sites[from.sites:to.sites])
	unwind := p.unwind[from.unwind:to.unwind]
	im.Unwind = roomFor(l, im.Unwind, len(unwind), 100)
	for _, u := range unwind {
		im.Unwind = append(im.Unwind, image.Unwind{Offset: base + u.Offset, Frame: u.Frame})
	}
	return nil
}

// addText appends code to the text.
func (l *linker) addText(code []byte, align uint32) (base uint32, err error) {
	text := l.im.Text
	at := uint64(len(text))
	if a := uint64(align); a > 1 {
		at = (at + a - 1) &^ (a - 1)
	}
	size := at + uint64(len(code))
	if size > math.MaxInt32 {
		return 0, fmt.Errorf("the module's code is larger than 2 GiB")
	}
	if size > uint64(cap(text)) {
		if l.memory == nil {
			text = roomFor(l, text, int(size)-len(text), 0.6)
		} else if text, err = l.memory.Grow(len(text), int(size), l.expect(len(text), int(size)-len(text), 0.4)); err != nil {
			return 0, err
		}
	}
	pad := padding(l.target.Triple.Arch)
	for uint64(len(text)) < at {
		text = append(text, pad)
	}
	l.im.Text = append(text, code...)
	return uint32(at), nil
}

// addFunction enters an item into the tables of functions.
func (l *linker) addFunction(item int, base, size uint32) {
	im, m := l.im, l.module.Wasm
	kind, n := l.place(item)
	f := image.Function{Offset: base, Size: size, Index: uint32(n), Kind: kind}
	switch kind {
	case image.FunctionRoutine:
		f.Index = uint32(l.module.Routines()[n])
	case image.FunctionWasm:
		f.Index = uint32(m.NumImportedFuncs + n)
		im.Code[n], im.Bodies[n] = base, uint32(m.Code[n].Offset)
	case image.FunctionEntry:
		im.Signatures[n].Entry = base
	case image.FunctionExit:
		im.Signatures[n].Exit = base
	case image.FunctionDirect:
		im.Signatures[n].Direct = base
	}
	im.Functions = append(im.Functions, f)
}

// join joins a call, by its offset in the text, to a function that has its place.
func (l *linker) join(c call) {
	distance := int64(l.im.Functions[c.item].Offset) + int64(c.addend) - int64(c.offset)
	binary.LittleEndian.PutUint32(l.im.Text[c.offset:], uint32(int32(distance)))
}

// finish completes the image when all items are compiled.
func (l *linker) finish() error {
	if l.err != nil {
		return l.err
	}
	for _, c := range l.later {
		l.join(c)
	}
	return nil
}

// roomFor makes room for n more elements in s, of which there will be about one for
// so many bytes of WebAssembly.
func roomFor[T any](l *linker, s []T, n int, bytes float64) []T {
	if cap(s)-len(s) >= n {
		return s
	}
	size := l.expect(len(s), n, bytes)
	if l.weight <= l.total/16 {
		// Large bodies take most of the memory now; the collector should not think that
		// there is even more.
		size = max(size/8, len(s)+n)
	}
	grown := make([]T, len(s), size) // not append, which touches all of the memory
	copy(grown, s)
	return grown
}

// expect is how many elements there will be in the end, after have and n more. The
// guess is about one for so many bytes of WebAssembly, until enough of the items are
// there to go by.
func (l *linker) expect(have, n int, bytes float64) int {
	want := float64(l.total) / bytes
	if l.weight > l.total/16 {
		want = float64(have+n) * float64(l.total) / float64(l.weight)
		want += want / 32
	}
	return max(int(want), have+n)
}

// addAddresses adds where the code of an item comes from, but for what the entry
// before says already.
func addAddresses(m []image.Address, base uint32, addrs []image.Address) []image.Address {
	if len(addrs) == 0 || addrs[0].Offset != 0 {
		if n := len(m); n == 0 || m[n-1].Wasm != image.NoAddress {
			m = append(m, image.Address{Offset: base, Wasm: image.NoAddress})
		}
	}
	if len(addrs) == 0 {
		return m
	}
	if n := len(m); n == 0 || m[n-1].Wasm != addrs[0].Wasm {
		m = append(m, image.Address{Offset: base + addrs[0].Offset, Wasm: addrs[0].Wasm})
	}
	last := addrs[0].Wasm
	for _, a := range addrs[1:] {
		if a.Wasm != last {
			m = append(m, image.Address{Offset: base + a.Offset, Wasm: a.Wasm})
			last = a.Wasm
		}
	}
	return m
}

// addInlined adds what is known of bodies in an item.
func (l *linker) addInlined(base uint32, inlined []image.Inlined, sites []image.InlineSite) {
	im := l.im
	if n := len(im.Inlined); n > 0 && im.Inlined[n-1].Site != image.NoSite {
		im.Inlined = append(im.Inlined, image.Inlined{Offset: base, Site: image.NoSite})
	}
	im.Inlined, im.InlineSites = roomFor(l, im.Inlined, len(inlined), 400), roomFor(l, im.InlineSites, len(sites), 800)
	first := uint32(len(im.InlineSites))
	from := func(site uint32) uint32 {
		if site >= image.Replaced { // or none
			return site
		}
		return first + site
	}
	for _, x := range inlined {
		im.Inlined = append(im.Inlined, image.Inlined{Offset: base + x.Offset, Site: from(x.Site)})
	}
	for _, s := range sites {
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
