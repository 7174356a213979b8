package oracle

import (
	"encoding/binary"
	"fmt"

	"github.com/davit-wasm/davit/codegen/interp"
	"github.com/davit-wasm/davit/internal/image"
	"github.com/davit-wasm/davit/internal/layout"
)

// leave is the exit stub: it does the service that the exit record asks for.
func (in *Instance) leave([]interp.Value) ([]interp.Value, error) {
	x := in.execution()
	word := func(at int) uint64 { return binary.LittleEndian.Uint64(x[at:]) }
	if kind := word(layout.ExecExitKind); kind != layout.ExitLibcall {
		return nil, fmt.Errorf("%w: an exit of kind %d", ErrUnsupported, kind)
	}
	const slots = 8
	buf := in.machine.Bytes(word(layout.ExecExitArg), 8*slots)
	if buf == nil {
		return nil, fmt.Errorf("the buffer of a service is at %#x, where nothing is", word(layout.ExecExitArg))
	}
	arg := func(i int) uint64 { return binary.LittleEndian.Uint64(buf[8+8*i:]) }
	result := func(v uint64) { binary.LittleEndian.PutUint64(buf, v) }
	switch number := word(layout.ExecExitData); number {
	case layout.LibMemoryGrow:
		result(in.growMemory(int(arg(0)), arg(1)))
	case layout.LibMemoryInit:
		return nil, in.memoryInit(arg(0), arg(1), arg(2), arg(3), arg(4))
	case layout.LibMemoryCopy:
		dst, src, n := in.memories[arg(0)], in.memories[arg(1)], arg(4)
		if !within(arg(2), n, len(dst)) || !within(arg(3), n, len(src)) {
			return nil, &Trap{image.TrapMemoryOutOfBounds}
		}
		copy(dst[arg(2):], src[arg(3):][:n])
	case layout.LibMemoryFill:
		m, n := in.memories[arg(0)], arg(3)
		if !within(arg(1), n, len(m)) {
			return nil, &Trap{image.TrapMemoryOutOfBounds}
		}
		for i := range n {
			m[arg(1)+i] = byte(arg(2))
		}
	case layout.LibDataDrop:
		in.dropped[arg(0)] = true
	case layout.LibTableGrow:
		result(in.growTable(int(arg(0)), arg(1), arg(2)))
	case layout.LibTableInit:
		return nil, in.tableInit(arg(0), arg(1), arg(2), arg(3), arg(4))
	case layout.LibTableCopy:
		dst, src, n := in.tables[arg(0)], in.tables[arg(1)], arg(4)
		if !within(arg(2), n, len(dst)/8) || !within(arg(3), n, len(src)/8) {
			return nil, &Trap{image.TrapTableOutOfBounds}
		}
		copy(dst[8*arg(2):], src[8*arg(3):][:8*n])
	case layout.LibTableFill:
		t, n := in.tables[arg(0)], arg(3)
		if !within(arg(1), n, len(t)/8) {
			return nil, &Trap{image.TrapTableOutOfBounds}
		}
		for i := range n {
			binary.LittleEndian.PutUint64(t[8*(arg(1)+i):], arg(2))
		}
	case layout.LibElemDrop:
		in.elements[arg(0)] = nil
	case layout.LibInterrupt: // nobody interrupts
	case layout.LibFuel:
		return nil, &Trap{image.TrapOutOfFuel}
	default:
		return nil, fmt.Errorf("%w: service %d", ErrUnsupported, number)
	}
	return nil, nil
}

// within reports whether n units from at lie below length.
func within(at, n uint64, length int) bool {
	return at <= uint64(length) && n <= uint64(length)-at
}

func (in *Instance) memoryInit(memory, segment, dst, src, n uint64) error {
	var data []byte
	if !in.dropped[segment] {
		data = in.m.Datas[segment].Init
	}
	m := in.memories[memory]
	if !within(dst, n, len(m)) || !within(src, n, len(data)) {
		return &Trap{image.TrapMemoryOutOfBounds}
	}
	copy(m[dst:], data[src:][:n])
	return nil
}

func (in *Instance) tableInit(table, segment, dst, src, n uint64) error {
	refs, t := in.elements[segment], in.tables[table]
	if !within(dst, n, len(t)/8) || !within(src, n, len(refs)) {
		return &Trap{image.TrapTableOutOfBounds}
	}
	for i := range n {
		binary.LittleEndian.PutUint64(t[8*(dst+i):], refs[src+i])
	}
	return nil
}

// growMemory grows a memory by pages, and is its former size, or -1.
func (in *Instance) growMemory(i int, delta uint64) uint64 {
	t := &in.m.Memories[i]
	most := uint64(memoryMax) >> t.PageBits
	if t.HasMax {
		most = min(most, t.Max)
	}
	old := uint64(len(in.memories[i])) >> t.PageBits
	if delta > most || old+delta > most {
		return ^uint64(0)
	}
	in.resizeMemory(i, (old+delta)<<t.PageBits)
	return old
}

func (in *Instance) resizeMemory(i int, size uint64) {
	grown := make([]byte, size)
	copy(grown, in.memories[i])
	at, desc := uint64(memoryAt+i*spacing), in.layout.Memory(uint32(i))
	in.memories[i] = grown
	in.machine.Map(at, grown)
	in.set(desc+layout.MemoryBase, at)
	in.set(desc+layout.MemoryLength, size)
}

// growTable grows a table by elements, and is its former length, or -1.
func (in *Instance) growTable(i int, init, delta uint64) uint64 {
	t := &in.m.Tables[i].Type
	most := uint64(tablesMax)
	if t.HasMax {
		most = min(most, t.Max)
	}
	old := uint64(len(in.tables[i]) / 8)
	if delta > most || old+delta > most {
		return ^uint64(0)
	}
	in.resizeTable(i, old+delta, init)
	return old
}

func (in *Instance) resizeTable(i int, length, init uint64) {
	old := len(in.tables[i])
	grown := make([]byte, 8*length)
	copy(grown, in.tables[i])
	for at := old; at < len(grown); at += 8 {
		binary.LittleEndian.PutUint64(grown[at:], init)
	}
	at, desc := uint64(tableAt+i*spacing), in.layout.Table(uint32(i))
	in.tables[i] = grown
	in.machine.Map(at, grown)
	in.set(desc+layout.TableBase, at)
	in.set(desc+layout.TableLength, length)
}
