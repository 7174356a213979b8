package vm

import (
	"fmt"

	"github.com/davit-wasm/davit/internal/image"
	"github.com/davit-wasm/davit/internal/layout"
)

// chunk sizes: long work on a guest's behalf is done in pieces, with a look at
// cancellation between them.
const (
	copyChunk = 16 << 20 // bytes
	fillChunk = 1 << 20  // elements of a table
)

// libcall does a runtime service for compiled code. The buffer holds its
// arguments, and its result afterwards: see package layout.
func (a *activation) libcall(number uint64, buf []uint64) error {
	if number == layout.LibInterrupt {
		return a.interrupted()
	}
	in := a.store.instances[*word(pointer(buf[0]), layout.InstIndex)]
	arg := buf[1:]
	switch number {
	case layout.LibMemoryGrow:
		old, ok := in.memories[arg[0]].Grow(arg[1])
		buf[0] = sizeOrMinusOne(old, ok)
	case layout.LibMemoryInit:
		if !in.memoryInit(uint32(arg[0]), uint32(arg[1]), arg[2], arg[3], arg[4]) {
			return &Trap{Code: image.TrapMemoryOutOfBounds}
		}
	case layout.LibMemoryCopy:
		return a.memoryCopy(in.memories[arg[0]], in.memories[arg[1]], arg[2], arg[3], arg[4])
	case layout.LibMemoryFill:
		return a.memoryFill(in.memories[arg[0]], arg[1], byte(arg[2]), arg[3])
	case layout.LibDataDrop:
		in.dropped[arg[0]] = true
	case layout.LibTableGrow:
		old, ok := in.tables[arg[0]].Grow(arg[2], arg[1])
		buf[0] = sizeOrMinusOne(old, ok)
	case layout.LibTableInit:
		if !in.tableInit(uint32(arg[0]), uint32(arg[1]), arg[2], arg[3], arg[4]) {
			return &Trap{Code: image.TrapTableOutOfBounds}
		}
	case layout.LibTableCopy:
		dst, src := in.tables[arg[0]], in.tables[arg[1]]
		if !within(arg[2], arg[4], dst.Length()) || !within(arg[3], arg[4], src.Length()) {
			return &Trap{Code: image.TrapTableOutOfBounds}
		}
		copy(dst.elems()[arg[2]:arg[2]+arg[4]], src.elems()[arg[3]:])
	case layout.LibTableFill:
		t := in.tables[arg[0]]
		if !within(arg[1], arg[3], t.Length()) {
			return &Trap{Code: image.TrapTableOutOfBounds}
		}
		for at, n := arg[1], arg[3]; n > 0; {
			k := min(n, fillChunk)
			t.fill(at, k, arg[2])
			at, n = at+k, n-k
			if err := a.pause(n); err != nil {
				return err
			}
		}
	case layout.LibElemDrop:
		in.elements[arg[0]] = nil
	case layout.LibSubtype:
		buf[0] = 0
		if a.store.engine.isSubtype(uint32(arg[0]), uint32(arg[1])) {
			buf[0] = 1
		}
	default:
		return fmt.Errorf("compiled code asks for the unknown service %d", number)
	}
	return nil
}

func sizeOrMinusOne(old uint64, ok bool) uint64 {
	if !ok {
		return ^uint64(0)
	}
	return old
}

// within reports whether n units from at lie below length.
func within(at, n, length uint64) bool { return at <= length && n <= length-at }

func (in *Instance) memoryInit(memory, segment uint32, dst, src, n uint64) bool {
	var data []byte
	if !in.dropped[segment] {
		data = in.module.Image.Module.Datas[segment].Init
	}
	m := in.memories[memory]
	if !within(dst, n, m.Length()) || !within(src, n, uint64(len(data))) {
		return false
	}
	if n > 0 {
		copy(m.Bytes()[dst:dst+n], data[src:])
	}
	return true
}

func (in *Instance) tableInit(table, segment uint32, dst, src, n uint64) bool {
	refs := in.elements[segment]
	t := in.tables[table]
	if !within(dst, n, t.Length()) || !within(src, n, uint64(len(refs))) {
		return false
	}
	copy(t.elems()[dst:dst+n], refs[src:])
	return true
}

// memoryCopy moves bytes; the pieces are ordered so that overlapping ranges
// come out right.
func (a *activation) memoryCopy(dst, src *Memory, to, from, n uint64) error {
	if !within(to, n, dst.Length()) || !within(from, n, src.Length()) {
		return &Trap{Code: image.TrapMemoryOutOfBounds}
	}
	d, s := dst.Bytes(), src.Bytes()
	if dst == src && to > from {
		for n > 0 { // from the end
			k := min(n, copyChunk)
			n -= k
			copy(d[to+n:to+n+k], s[from+n:])
			if err := a.pause(n); err != nil {
				return err
			}
		}
		return nil
	}
	for n > 0 {
		k := min(n, copyChunk)
		copy(d[to:to+k], s[from:])
		to, from, n = to+k, from+k, n-k
		if err := a.pause(n); err != nil {
			return err
		}
	}
	return nil
}

func (a *activation) memoryFill(m *Memory, at uint64, v byte, n uint64) error {
	if !within(at, n, m.Length()) {
		return &Trap{Code: image.TrapMemoryOutOfBounds}
	}
	b := m.Bytes()
	for n > 0 {
		k := min(n, copyChunk)
		piece := b[at : at+k]
		if v == 0 {
			clear(piece)
		} else {
			piece[0] = v
			for done := 1; done < len(piece); done *= 2 {
				copy(piece[done:], piece[:done])
			}
		}
		at, n = at+k, n-k
		if err := a.pause(n); err != nil {
			return err
		}
	}
	return nil
}

// pause looks at cancellation between two pieces of long work.
func (a *activation) pause(left uint64) error {
	if left == 0 {
		return nil
	}
	return a.interrupted()
}
