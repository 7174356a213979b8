// Package artifacttest damages artifacts, for tests of those who read them. It knows
// of their form what debug/elf tells and where the checksums are, which the tests of
// package artifact compare with what that writes.
package artifacttest

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math/rand/v2"
	"slices"
)

// The seal at the end of an artifact.
const (
	sealSize    = 128
	sealMagic   = "davitEND"
	sealFile    = 8
	sealHead    = 16
	sealHeadSum = 24
	sealBulkSum = 28
	sealSum     = 124
)

var le = binary.LittleEndian

// Reseal makes the checksums and sizes in the seal of data right, in place, as who
// wants to deceive the reader would. Data that has no room for a seal, or names a
// head that is not there, stays as it is.
func Reseal(data []byte) []byte {
	if len(data) < 2*sealSize {
		return data
	}
	sum := func(b []byte) uint32 { return crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli)) }
	body, s := data[:len(data)-sealSize], data[len(data)-sealSize:]
	head := le.Uint64(s[sealHead:])
	if head > uint64(len(body)) {
		return data
	}
	copy(s, sealMagic)
	le.PutUint64(s[sealFile:], uint64(len(data)))
	le.PutUint32(s[sealHeadSum:], sum(body[:head]))
	var sums []byte
	for block := range slices.Chunk(body[head:], 1<<20) {
		sums = le.AppendUint32(sums, crc32.ChecksumIEEE(block))
	}
	le.PutUint32(s[sealBulkSum:], crc32.ChecksumIEEE(sums))
	le.PutUint32(s[sealSum:], sum(s[:sealSum]))
	return data
}

// A Mutator damages one artifact.
type Mutator struct {
	Rand     *rand.Rand
	data     []byte
	other    []byte
	sections []*elf.Section
	headers  int // where the section headers are
}

// New is a mutator of data. Parts of other, an artifact too, get into mutants.
func New(seed uint64, data, other []byte) (*Mutator, error) {
	f, err := elf.NewFile(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	return &Mutator{rand.New(rand.NewPCG(seed, 1)), data, other, f.Sections[1:], int(le.Uint64(data[40:]))}, nil
}

// Of is a mutator that goes on with other data, whose form it knows nothing of: [Mutator.Any]
// changes bytes anywhere.
func (m *Mutator) Of(data []byte) *Mutator {
	other := *m
	other.data, other.sections = data, nil
	return &other
}

// value is a number that means trouble.
func (m *Mutator) value(near uint64) uint64 {
	switch m.Rand.IntN(4) {
	case 0:
		return near + uint64(m.Rand.IntN(17)) - 8
	case 1:
		return m.Rand.Uint64() >> m.Rand.IntN(64)
	}
	return []uint64{0, 1, 0x7f, 0x80, 0xff, 1 << 12, 1<<31 - 1, 1 << 31, 1<<32 - 1, 1 << 32, 1<<63 - 1, 1 << 63, 1<<64 - 1, uint64(len(m.data))}[m.Rand.IntN(14)]
}

// Any is a mutant by a change of any kind anywhere, whose checksums are mostly wrong,
// and what the change was. It may happen to be no change.
func (m *Mutator) Any() (mutant []byte, what string) {
	d, r := bytes.Clone(m.data), m.Rand
	kind := r.IntN(8)
	if m.sections == nil && (kind == 3 || kind == 7) {
		kind = 0
	}
	switch kind {
	case 0:
		at, bit := r.IntN(len(d)), r.IntN(8)
		d[at] ^= 1 << bit
		return d, fmt.Sprintf("bit %d of byte %#x", bit, at)
	case 1:
		n := r.IntN(len(d))
		return d[:n], fmt.Sprintf("cut at %#x", n)
	case 2:
		n := 1 + r.IntN(5000)
		return append(d, m.other[:min(n, len(m.other))]...), fmt.Sprintf("%d bytes more", n)
	case 3:
		a, b := m.sections[r.IntN(len(m.sections))], m.sections[r.IntN(len(m.sections))]
		n := min(a.Size, b.Size)
		copy(d[a.Offset:a.Offset+n], m.data[b.Offset:])
		copy(d[b.Offset:b.Offset+n], m.data[a.Offset:])
		return d, fmt.Sprintf("sections %s and %s swapped", a.Name, b.Name)
	case 4:
		at := r.IntN(min(len(d), len(m.other)))
		return append(d[:at], m.other[at:]...), fmt.Sprintf("another artifact from %#x on", at)
	case 5:
		at, n := r.IntN(min(len(d), len(m.other))), r.IntN(4096)
		copy(d[at:], m.other[at:min(at+n, len(m.other))])
		return d, fmt.Sprintf("%d bytes of another artifact at %#x", n, at)
	case 6:
		at, n := r.IntN(len(d)), r.IntN(4096)
		clear(d[at:min(at+n, len(d))])
		return d, fmt.Sprintf("%d zeros at %#x", n, at)
	}
	return m.header(d)
}

// header changes a field of a header or of the seal.
func (m *Mutator) header(d []byte) ([]byte, string) {
	var at, size int
	switch m.Rand.IntN(4) {
	case 0: // of the file
		at, size = 4*m.Rand.IntN(16), 4
	case 1: // of segments
		at, size = 64+8*m.Rand.IntN(28), 8
	case 2: // of sections
		at, size = m.headers+64*m.Rand.IntN(len(m.sections)+1)+8*m.Rand.IntN(8), 8
	default:
		at, size = len(d)-sealSize+4*m.Rand.IntN(sealSize/4), 4
	}
	if size == 4 {
		v := uint32(m.value(uint64(le.Uint32(d[at:]))))
		le.PutUint32(d[at:], v)
		return d, fmt.Sprintf("header field at %#x is %#x", at, v)
	}
	v := m.value(le.Uint64(d[at:]))
	le.PutUint64(d[at:], v)
	return d, fmt.Sprintf("header field at %#x is %#x", at, v)
}

// Sealed is a mutant with changes in its headers, or, given names, in one of these
// sections, whose checksums are right.
func (m *Mutator) Sealed(names ...string) (mutant []byte, what string) {
	d, r := bytes.Clone(m.data), m.Rand
	if len(names) == 0 {
		d, what = m.header(d)
		return Reseal(d), what
	}
	var candidates []*elf.Section
	for _, s := range m.sections {
		if s.Size > 0 && slices.Contains(names, s.Name) {
			candidates = append(candidates, s)
		}
	}
	s := candidates[r.IntN(len(candidates))]
	b := d[s.Offset : s.Offset+s.Size]
	what = s.Name
	for range 1 + r.IntN(3) {
		at := r.IntN(len(b))
		n := min(1+r.IntN(64), len(b)-at)
		switch r.IntN(6) {
		case 0:
			b[at] ^= 1 << r.IntN(8)
			what += fmt.Sprintf(", bit of %#x", at)
		case 1:
			b[at] = byte(m.value(uint64(b[at])))
			what += fmt.Sprintf(", byte %#x", at)
		case 2:
			if at &^= 3; at+4 <= len(b) {
				le.PutUint32(b[at:], uint32(m.value(uint64(le.Uint32(b[at:])))))
			}
			what += fmt.Sprintf(", word %#x", at)
		case 3:
			copy(b[r.IntN(len(b)-n+1):], bytes.Clone(b[at:at+n]))
			what += fmt.Sprintf(", copy of %d at %#x", n, at)
		case 4:
			clear(b[at : at+n])
			what += fmt.Sprintf(", %d zeros at %#x", n, at)
		default:
			for i := range b[at : at+n] {
				b[at+i] = byte(r.Uint32())
			}
			what += fmt.Sprintf(", %d random bytes at %#x", n, at)
		}
	}
	return Reseal(d), what
}
