package machine

import (
	"encoding/binary"
	"fmt"
	"slices"
)

// Label is a place in the code that is named before it is known. The first
// labels are the blocks of the function in order.
type Label uint32

// NoLabel is the absence of a label.
const NoLabel = Label(none)

// FixupKind indexes the instruction set's table of [FixupInfo].
type FixupKind uint8

// FixupInfo describes a kind of place in the code that depends on where a label
// ends up.
type FixupInfo struct {
	Name string
	// Size is the size in bytes of the instruction, for kinds that have a short
	// form, counted from the fixup's offset; 0 otherwise.
	Size uint8
	// Short is the size of the short form, 0 if there is none, and ShortMin,
	// ShortMax the distances that it reaches, counted from its end.
	Short              uint8
	ShortMin, ShortMax int64
	// Min and Max are the distances from the fixup's offset that the long form
	// reaches.
	Min, Max int64
	// Patch writes the distance from the fixup's offset to the label, plus the
	// addend, into code, which begins at that offset. short says that the
	// short form stands there; then the bytes of the long form have been cut to
	// it, and Patch writes all of it.
	Patch func(code []byte, distance int64, short bool)
}

// Fixup is a place in the code that depends on a label.
type Fixup struct {
	Off    uint32
	Label  Label
	Addend int32
	Kind   FixupKind
	short  bool
}

// Reloc is a place in the code that depends on something outside of it.
type Reloc struct {
	Off    uint32
	Kind   RelocKind
	Target RelocTarget
	Addend int64
}

// RelocKind says how a relocated field is computed.
type RelocKind uint8

// Kinds of relocations: S is the address of the target, A the addend, P the
// address of the field.
const (
	RelocAbs64      RelocKind = iota // 64 bits: S + A
	RelocAbs32                       // 32 bits: S + A
	RelocPCRel32                     // 32 bits: S + A − P
	RelocCall32                      // likewise, of a call or jump, which may go by way of a stub
	RelocGOTPCRel32                  // 32 bits: address of a cell that holds S, + A − P
	RelocTLSGD32                     // 32 bits: ELF, address of the general dynamic descriptor of S, + A − P
	RelocTLV32                       // 32 bits: Mach-O, address of a cell that holds the address of the descriptor of S, + A − P
	RelocSecRel32                    // 32 bits: COFF, S + A − start of the section that holds S
)

// TrapSite says that the instruction at Off traps with Code if it faults.
type TrapSite struct {
	Off  uint32
	Code uint8
}

// SourceRange says that the code from Off on, up to the next entry, comes from
// Loc.
type SourceRange struct {
	Off uint32
	Loc uint32
}

// CallSite is a call.
type CallSite struct {
	RetAddr uint32 // offset of the instruction after it
	Inst    uint32 // index of the machine instruction
}

// UnwindState is how far a frame has been set up.
type UnwindState uint8

// Unwind states: where a debugger finds the caller.
const (
	UnwindEntry  UnwindState = iota // the stack pointer is at the return address
	UnwindPushed                    // the caller's frame pointer is at the stack pointer, the return address above it
	UnwindFrame                     // the caller's frame pointer is at the frame pointer, the return address above it
	UnwindSaved                     // likewise, and Frame.Saved are in their places
	UnwindMade                      // as UnwindFrame, and the stack pointer is where it stays in the body; only before UnwindSaved
)

// UnwindRow says what the frame looks like from Off on, up to the next row.
type UnwindRow struct {
	Off   uint32
	State UnwindState
}

// Buffer collects all that is to be known about offsets into the code while
// code is appended to a byte slice that someone else holds; [Buffer.Finish]
// then gives branches their final form.
//
// Branches are appended in their long form. Finish finds those that reach their
// label in the short form and cuts them. Every cut brings other labels closer
// and so can only let more branches become short, never fewer; it looks again
// until nothing changes or a fixed number of times, after which what has been
// found so far is right too. Then code and records move together in one pass.
// All records are in ascending order of their offsets by construction.
//
// Short loops have room before them. It is filled with instructions that do nothing
// if the loop lies in one line of memory then and would lie in two, and is cut like
// the branches if not: see [Buffer.BeginLoop].
//
// Which jumps there are at all (to the next block, over a jump, to a jump) is
// decided before, from blocks: see [Emitter].
//
// Data (constants, jump tables) follows the code, aligned from the beginning of
// the function. Labels in data are bound with [Buffer.BindData].
type Buffer struct {
	Relocs  []Reloc
	Traps   []TrapSite
	Sources []SourceRange
	Calls   []CallSite
	Unwind  []UnwindRow

	Data      []byte
	DataAlign uint32
	CodeSize  uint32 // of the code without the data, set by Finish
	CodeAlign uint32 // what the place of the code must be a multiple of, set by Finish

	labels     []uint32 // offset, with dataMark in Data
	fixups     []Fixup
	dataFixups []dataFixup
	cuts       []uint32 // fixups that have a short form
	loops      []shortLoop
	ends       []cutEnd
}

// shortLoop is a loop that begins behind room at off.
type shortLoop struct{ off, end uint32 }

const (
	// LoopRoom is the size of the room before a loop: all that may be needed to move
	// the loop to the next line.
	LoopRoom = line - 1
	// line is how much code a processor looks up at once in its cache of decoded
	// instructions.
	line = 64
)

type dataFixup struct {
	off         uint32
	label, base Label
}

const dataMark = 1 << 31

// MaxCode is the largest size of a function's code.
const MaxCode = 1 << 30

// Reset makes b empty, with n unbound labels.
func (b *Buffer) Reset(n int) {
	*b = Buffer{
		Relocs: b.Relocs[:0], Traps: b.Traps[:0], Sources: b.Sources[:0], Calls: b.Calls[:0], Unwind: b.Unwind[:0],
		Data: b.Data[:0], DataAlign: 1, labels: filled(b.labels, n, none), fixups: b.fixups[:0], dataFixups: b.dataFixups[:0], cuts: b.cuts[:0], loops: b.loops[:0], ends: b.ends[:0],
	}
}

// NewLabel makes a label.
func (b *Buffer) NewLabel() Label {
	b.labels = append(b.labels, none)
	return Label(len(b.labels) - 1)
}

// Bind says that l is at offset off of the code, its end so far.
func (b *Buffer) Bind(l Label, off int) {
	if b.labels[l] != none {
		panic(fmt.Sprintf("machine: label %d bound twice", l))
	}
	b.labels[l] = uint32(off)
}

// Bound reports whether l has been bound.
func (b *Buffer) Bound(l Label) bool { return b.labels[l] != none }

// BindData says that l is at the end of the data so far, aligned to align.
func (b *Buffer) BindData(l Label, align uint32) {
	for uint32(len(b.Data))&(align-1) != 0 {
		b.Data = append(b.Data, 0)
	}
	b.DataAlign = max(b.DataAlign, align)
	b.labels[l] = uint32(len(b.Data)) | dataMark
}

// Fixup records that the code at off, which follows that of all fixups before,
// depends on l.
func (b *Buffer) Fixup(off int, kind FixupKind, l Label, addend int32) {
	b.fixups = append(b.fixups, Fixup{Off: uint32(off), Label: l, Addend: addend, Kind: kind})
}

// DataDistance appends to the data the 32-bit distance from base to l.
func (b *Buffer) DataDistance(l, base Label) {
	b.dataFixups = append(b.dataFixups, dataFixup{uint32(len(b.Data)), l, base})
	b.Data = append(b.Data, 0, 0, 0, 0)
}

// Reloc records a relocation of the field at off.
func (b *Buffer) Reloc(off int, kind RelocKind, t RelocTarget, addend int64) {
	b.Relocs = append(b.Relocs, Reloc{uint32(off), kind, t, addend})
}

// Trap records that the instruction that begins at off traps with code.
func (b *Buffer) Trap(off int, code uint8) { b.Traps = append(b.Traps, TrapSite{uint32(off), code}) }

// Source records that code from off on comes from loc.
func (b *Buffer) Source(off int, loc uint32) {
	if n := len(b.Sources); n > 0 {
		switch s := &b.Sources[n-1]; {
		case s.Loc == loc:
			return
		case s.Off == uint32(off):
			s.Loc = loc
			return
		}
	} else if loc == 0 {
		return
	}
	b.Sources = append(b.Sources, SourceRange{uint32(off), loc})
}

// Call records a call that returns to off.
func (b *Buffer) Call(off int, inst uint32) { b.Calls = append(b.Calls, CallSite{uint32(off), inst}) }

// Frame records that the frame is in state s from off on.
func (b *Buffer) Frame(off int, s UnwindState) {
	if n := len(b.Unwind); n > 0 && b.Unwind[n-1].Off == uint32(off) {
		b.Unwind[n-1].State = s
		return
	}
	b.Unwind = append(b.Unwind, UnwindRow{uint32(off), s})
}

// BeginLoop says that LoopRoom bytes at off are room, which a loop follows that may turn out
// to be short. It has no such loop in it.
func (b *Buffer) BeginLoop(off int) {
	b.loops = append(b.loops, shortLoop{off: uint32(off)})
	// A source of which there is no code must not come to lie where the loop's first is.
	if n := len(b.Sources); n > 0 && b.Sources[n-1].Off == uint32(off) {
		b.Sources[n-1].Off += LoopRoom
	}
}

// EndLoop says that the loop that was begun last ends at off.
func (b *Buffer) EndLoop(off int) { b.loops[len(b.loops)-1].end = uint32(off) }

// relaxRounds bounds how often Finish looks for branches to shorten.
const relaxRounds = 8

// Finish shortens branches, places loops, for which nops fills code with instructions
// that do nothing, appends the data to code, padded with pad, resolves all fixups,
// and returns the code. It fails if a label is out of reach.
func (b *Buffer) Finish(code []byte, kinds []FixupInfo, nops func(code []byte), pad byte) ([]byte, error) {
	if len(code) > MaxCode {
		return nil, fmt.Errorf("machine: %d bytes of code are more than a function can have", len(code))
	}
	b.CodeAlign = 1
	b.relax(kinds)
	if len(b.cuts) != 0 || len(b.loops) != 0 {
		code = b.cut(code, kinds, nops)
	}
	b.CodeSize = uint32(len(code))
	for uint32(len(code))&(b.DataAlign-1) != 0 {
		code = append(code, pad)
	}
	data := uint32(len(code))
	code = append(code, b.Data...)
	for i := range b.labels {
		if l := b.labels[i]; l != none && l&dataMark != 0 {
			b.labels[i] = data + l&^dataMark
		}
	}
	for i := range b.fixups {
		x := &b.fixups[i]
		k := &kinds[x.Kind]
		to := b.labels[x.Label]
		if to == none {
			panic(fmt.Sprintf("machine: label %d is not bound", x.Label))
		}
		d := int64(to) - int64(x.Off)
		if x.short {
			d -= int64(k.Short)
		} else if d < k.Min || d > k.Max {
			return nil, fmt.Errorf("machine: a %s reaches over %d bytes, too far", k.Name, d)
		}
		k.Patch(code[x.Off:], d+int64(x.Addend), x.short)
	}
	for _, x := range b.dataFixups {
		binary.LittleEndian.PutUint32(code[data+x.off:], b.labels[x.label]-b.labels[x.base])
	}
	return code, nil
}

// relax finds the branches that can have their short form. The room of loops counts
// as if all of it stayed.
func (b *Buffer) relax(kinds []FixupInfo) {
	b.cuts = b.cuts[:0]
	for i := range b.fixups {
		x := &b.fixups[i]
		if k := &kinds[x.Kind]; k.Short != 0 && b.labels[x.Label]&dataMark == 0 {
			b.cuts = append(b.cuts, uint32(i))
		}
	}
	if len(b.cuts) == 0 {
		return
	}
	// saved[j] is what the candidates before j give up so far. What lies between
	// a branch and its label is then found by a binary search, which branches
	// that could not become short in any case do without.
	saved := b.saved(len(b.cuts) + 1)
	for range relaxRounds {
		changed := false
		saved[0] = 0
		for j, i := range b.cuts {
			x := &b.fixups[i]
			k := &kinds[x.Kind]
			s := uint32(0)
			if x.short {
				s = uint32(k.Size - k.Short)
			}
			saved[j+1] = saved[j] + s
		}
		for j, i := range b.cuts {
			x := &b.fixups[i]
			if x.short {
				continue
			}
			k := &kinds[x.Kind]
			to := b.labels[x.Label]
			// Places after this branch keep their distance to its end, so the
			// distance from the short form's end is that from the long form's
			// for forward branches, and shorter by the cut for backward ones.
			end := x.Off + uint32(k.Size)
			raw := int64(to) - int64(end)
			if raw < 0 {
				raw += int64(k.Size - k.Short)
			}
			if raw > 4*k.ShortMax || raw < 4*k.ShortMin {
				continue // more than cutting every branch between would help
			}
			if to >= end {
				m := b.cutsBefore(j+1, to, kinds)
				raw -= int64(saved[m] - saved[j+1])
			} else {
				m := b.cutsBefore(0, to, kinds)
				raw += int64(saved[j] - saved[m])
			}
			if raw >= k.ShortMin && raw <= k.ShortMax {
				x.short, changed = true, true
			}
		}
		if !changed {
			break
		}
	}
}

// cutsBefore is the number of candidates that end at or before off; those below
// from are known to.
func (b *Buffer) cutsBefore(from int, off uint32, kinds []FixupInfo) int {
	lo, hi := from, len(b.cuts)
	for lo < hi {
		m := (lo + hi) / 2
		x := &b.fixups[b.cuts[m]]
		if x.Off+uint32(kinds[x.Kind].Size) <= off {
			lo = m + 1
		} else {
			hi = m
		}
	}
	return lo
}

// saved borrows room for n prefix sums behind the candidates.
func (b *Buffer) saved(n int) []uint32 {
	b.cuts = slices.Grow(b.cuts, n)
	return b.cuts[len(b.cuts) : len(b.cuts)+n]
}

// cut removes the ends of the branches that have become short and the room that loops do
// not need, and moves code and records.
func (b *Buffer) cut(code []byte, kinds []FixupInfo, nops func([]byte)) []byte {
	b.findEnds(code, kinds, nops)
	// Records, each kind in one sweep over the ends.
	m := mover{ends: b.ends, next: 1}
	for i := range b.Relocs {
		b.Relocs[i].Off = m.move(b.Relocs[i].Off)
	}
	m.next = 1
	for i := range b.Traps {
		b.Traps[i].Off = m.move(b.Traps[i].Off)
	}
	m.next = 1
	for i := range b.Sources {
		b.Sources[i].Off = m.move(b.Sources[i].Off)
	}
	m.next = 1
	for i := range b.Calls {
		b.Calls[i].RetAddr = m.move(b.Calls[i].RetAddr)
	}
	m.next = 1
	for i := range b.Unwind {
		b.Unwind[i].Off = m.move(b.Unwind[i].Off)
	}
	m.next = 1
	for i := range b.fixups {
		b.fixups[i].Off = m.move(b.fixups[i].Off)
	}
	// Labels are not in order, but mostly.
	m.next = 1
	for i, l := range b.labels {
		if l&dataMark != 0 { // unbound ones too
			continue
		}
		b.labels[i] = m.move(l)
	}
	// Code.
	out, in := uint32(0), uint32(0)
	for k, end := range b.ends[1:] {
		keep := end.off - (end.gone - b.ends[k].gone)
		copy(code[out:], code[in:keep])
		out += keep - in
		in = end.off
	}
	copy(code[out:], code[in:])
	return code[:out+uint32(len(code))-in]
}

// findEnds finds what goes: it fills b.ends.
func (b *Buffer) findEnds(code []byte, kinds []FixupInfo, nops func([]byte)) {
	gone := uint32(0)
	b.ends = append(b.ends[:0], cutEnd{})
	loops := b.loops
	for j, i := range b.cuts {
		x := &b.fixups[i]
		for len(loops) > 0 && loops[0].off <= x.Off {
			gone += LoopRoom - b.place(loops[0], gone, b.cuts[j:], kinds, code, nops)
			b.ends = append(b.ends, cutEnd{loops[0].off + LoopRoom, gone})
			loops = loops[1:]
		}
		if x.short {
			k := &kinds[x.Kind]
			gone += uint32(k.Size - k.Short)
			b.ends = append(b.ends, cutEnd{x.Off + uint32(k.Size), gone})
		}
	}
	for _, l := range loops { // whose branches have no short form
		gone += LoopRoom - b.place(l, gone, nil, kinds, code, nops)
		b.ends = append(b.ends, cutEnd{l.off + LoopRoom, gone})
	}
}

// place is how much of its room a loop needs to lie in one line; there, code becomes nops.
// gone is what goes of the code before it, and cuts are the candidates behind that.
func (b *Buffer) place(l shortLoop, gone uint32, cuts []uint32, kinds []FixupInfo, code []byte, nops func([]byte)) uint32 {
	size := l.end - l.off - LoopRoom
	for _, i := range cuts {
		x := &b.fixups[i]
		if x.Off >= l.end {
			break
		}
		if x.short {
			size -= uint32(kinds[x.Kind].Size - kinds[x.Kind].Short)
		}
	}
	if size > line {
		return 0
	}
	b.CodeAlign = line
	start := (l.off - gone) % line
	if start+size <= line {
		return 0
	}
	nops(code[l.off : l.off+line-start])
	return line - start
}

// mover maps offsets to what they become; the closer an offset is to the one
// before, the faster.
type mover struct {
	ends []cutEnd
	next int // the first of ends that the last offset was before
}

// cutEnd says that places from offset off on, up to the next cutEnd, move forward
// by gone.
type cutEnd struct{ off, gone uint32 }

func (m *mover) move(off uint32) uint32 {
	k := m.next
	for k < len(m.ends) && m.ends[k].off <= off {
		k++
	}
	for m.ends[k-1].off > off {
		k--
	}
	m.next = k
	return off - m.ends[k-1].gone
}
