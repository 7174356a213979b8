package vm

import (
	"fmt"
	"runtime"

	"github.com/davit-wasm/davit/internal/image"
	"github.com/davit-wasm/davit/internal/layout"
)

// Long work on a guest's behalf is done in pieces, with a look at cancellation between
// them. A piece takes a tenth of a millisecond, or a few if all its pages are touched for
// the first time.
const (
	copyChunk = 1 << 20                          // bytes
	fillChunk = copyChunk / layout.TableElemSize // elements of tables
)

// libcall does a runtime service for compiled code. The buffer holds its
// arguments, and its result afterwards: see package layout.
func (a *activation) libcall(number uint64, buf []uint64) error {
	switch number {
	case layout.LibInterrupt:
		return a.interrupted()
	case layout.LibFuel:
		return a.outOfFuel()
	}
	in := a.store.instances[*word(pointer(buf[0]), layout.InstIndex)]
	arg := buf[1:]
	switch number {
	case layout.LibMemoryGrow:
		old, ok := in.memories[arg[0]].Grow(arg[1])
		buf[0] = sizeOrMinusOne(old, ok)
	case layout.LibMemoryInit:
		dst, src, ok := in.memoryInit(uint32(arg[0]), uint32(arg[1]), arg[2], arg[3], arg[4])
		if !ok {
			return &Trap{Code: image.TrapMemoryOutOfBounds}
		}
		return move(a, dst, src, copyChunk, false)
	case layout.LibMemoryCopy:
		return a.memoryCopy(in.memories[arg[0]], in.memories[arg[1]], arg[2], arg[3], arg[4])
	case layout.LibMemoryFill:
		return a.memoryFill(in.memories[arg[0]], arg[1], byte(arg[2]), arg[3])
	case layout.LibDataDrop:
		in.dropped[arg[0]] = true
	case layout.LibTableGrow:
		old, ok, err := in.tables[arg[0]].grow(a, arg[2], arg[1])
		if err != nil {
			return err
		}
		buf[0] = sizeOrMinusOne(old, ok)
	case layout.LibTableInit:
		refs, t := in.elements[arg[1]], in.tables[arg[0]]
		if !within(arg[2], arg[4], t.Length()) || !within(arg[3], arg[4], uint64(len(refs))) {
			return &Trap{Code: image.TrapTableOutOfBounds}
		}
		return move(a, t.elems()[arg[2]:][:arg[4]], refs[arg[3]:][:arg[4]], fillChunk, false)
	case layout.LibTableCopy:
		dst, src := in.tables[arg[0]], in.tables[arg[1]]
		if !within(arg[2], arg[4], dst.Length()) || !within(arg[3], arg[4], src.Length()) {
			return &Trap{Code: image.TrapTableOutOfBounds}
		}
		backwards := dst == src && arg[2] > arg[3]
		return move(a, dst.elems()[arg[2]:][:arg[4]], src.elems()[arg[3]:][:arg[4]], fillChunk, backwards)
	case layout.LibTableFill:
		t := in.tables[arg[0]]
		if !within(arg[1], arg[3], t.Length()) {
			return &Trap{Code: image.TrapTableOutOfBounds}
		}
		return fill(a, t.elems()[arg[1]:][:arg[3]], arg[2])
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

// memoryInit finds what n bytes of a data segment are copied to, and from; false if
// one of them is out of bounds.
func (in *Instance) memoryInit(memory, segment uint32, dst, src, n uint64) (to, from []byte, ok bool) {
	var data []byte
	if !in.dropped[segment] {
		data = in.module.Image.Module.Datas[segment].Init
	}
	m := in.memories[memory]
	if !within(dst, n, m.Length()) || !within(src, n, uint64(len(data))) {
		return nil, nil, false
	}
	if n > 0 {
		to, from = m.Bytes()[dst:][:n], data[src:][:n]
	}
	return to, from, true
}

// memoryCopy moves bytes.
func (a *activation) memoryCopy(dst, src *Memory, to, from, n uint64) error {
	if !within(to, n, dst.Length()) || !within(from, n, src.Length()) {
		return &Trap{Code: image.TrapMemoryOutOfBounds}
	}
	return move(a, dst.Bytes()[to:][:n], src.Bytes()[from:][:n], copyChunk, dst == src && to > from)
}

// move copies src to dst, which is as long, in pieces of so many elements, with a
// look at cancellation between them. Where they overlap, backwards says that dst is
// the one that lies behind.
func move[T any](a *activation, dst, src []T, piece int, backwards bool) error {
	for left := len(src); left > 0; {
		k := min(left, piece)
		left -= k
		if backwards {
			copy(dst[left:left+k], src[left:])
		} else {
			copy(dst, src[:k])
			dst, src = dst[k:], src[k:]
		}
		if err := a.pause(uint64(left)); err != nil {
			return err
		}
	}
	return nil
}

// fill makes all elements v, with a look at cancellation now and then.
func fill(a *activation, elems []uint64, v uint64) error {
	for len(elems) > 0 {
		k := min(len(elems), fillChunk)
		piece := elems[:k]
		for i := range piece {
			piece[i] = v
		}
		elems = elems[k:]
		if err := a.pause(uint64(len(elems))); err != nil {
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

// pauseAt looks at cancellation before some of the steps of long work that consists of
// short ones, given the number of the next.
func (a *activation) pauseAt(step int) error {
	const every = 1 << 12
	if step%every != every-1 {
		return nil
	}
	return a.pause(1)
}

// pause looks at cancellation between two pieces of long work. Without an activation,
// the work is Go's own.
func (a *activation) pause(left uint64) error {
	if left == 0 || a == nil {
		return nil
	}
	if a.store.epochs { // perhaps because nothing preempts goroutines
		runtime.Gosched()
	}
	return a.overdue()
}
