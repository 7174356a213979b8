package image

import "github.com/davit-wasm/davit/wasm"

// InitialMemory is what the first memory that a module defines begins with, as far as
// that follows from the module alone: its first data segments. Bytes between them are
// zero.
type InitialMemory struct {
	Segments   int    // the first so many data segments; those of them that are active are in it
	Start, End uint64 // where it lies: whole pages, of 4 KiB
	Bytes      int    // of data
	ascending  bool   // no segment begins before the end of one that comes before it

	// Data is all of it, from Start to End, and FileAt where that is in the image's
	// File; nil if it is not there as a whole.
	Data   []byte
	FileAt int64
}

const initialPage = 4096

// InitialMemoryOf finds the initial memory of m; size is that of data segment i. If
// none of it can be known, Segments is 0.
func InitialMemoryOf(m *wasm.Module, size func(i int) int) InitialMemory {
	own := m.NumImportedMemories
	if own >= len(m.Memories) || m.Memories[own].PageBits != 16 {
		return InitialMemory{} // the memory need not be of whole units
	}
	for i := range m.Elems {
		// If this one trapped, functions that an earlier one has put into the table
		// would see the memory without data.
		if e := &m.Elems[i]; e.Mode == wasm.SegmentActive && int(e.Table) < m.NumImportedTables {
			return InitialMemory{}
		}
	}
	length := m.Memories[own].Min << 16
	x := InitialMemory{Start: length, ascending: true}
	// Those behind one that may trap would not be seen if it did.
	for i := range m.Datas {
		d := &m.Datas[i]
		if d.Mode == wasm.SegmentActive {
			n := uint64(size(i))
			at, ok := d.Offset.Integer()
			if !ok || int(d.Memory) != own || at > length || n > length-at {
				break
			}
			if n > 0 {
				x.ascending = x.ascending && at >= x.End
				x.Start, x.End = min(x.Start, at), max(x.End, at+n)
				x.Bytes += int(n)
			}
		}
		x.Segments = i + 1
	}
	if x.Bytes == 0 {
		return InitialMemory{}
	}
	x.Start &^= initialPage - 1
	x.End = (x.End + initialPage - 1) &^ (initialPage - 1)
	return x
}

// minMapped is the least size of data that is worth mapping. A copy of less costs
// less than the faults on the pages.
const minMapped = 16 << 10

// Sparse reports whether x is worth being mapped from a file in which the zeros
// between the data take no room.
func (x *InitialMemory) Sparse() bool { return x.Bytes >= minMapped && x.End/64 <= uint64(x.Bytes) }

// Dense reports whether x is worth being in a file as a whole, of which the segments
// are parts then.
func (x *InitialMemory) Dense() bool {
	return x.Bytes >= minMapped && x.ascending && x.End-x.Start <= 2*uint64(x.Bytes)+1<<16
}
