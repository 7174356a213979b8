package compile

import "github.com/davit-wasm/davit/wasm"

// Some linkers cut data into very many active segments to leave out zeros: one of
// ours has 70,000 of them. Joined again to a few, they make instances and
// artifacts quicker.

// joinGap is how many zeros between two segments are stored to join them.
const joinGap = 256

// joinData is the data segments of m, with neighbours joined where nobody can tell
// the difference: if all are active, lie within the initial size of the module's
// own memories, in ascending order, so that none fails and none overwrites
// another; and if no instruction refers to segments.
func joinData(m *wasm.Module) []wasm.Data {
	if m.HasDataCount || len(m.Datas) < 2 {
		return m.Datas
	}
	type group struct {
		last int    // segment
		size uint64 // of all together, with what is between them
	}
	groups := make([]group, 0, 16)
	end, memory := uint64(0), uint32(0)  // of the segment before
	gaps := make([]uint16, len(m.Datas)) // before the segments
	for i := range m.Datas {
		d := &m.Datas[i]
		at, ok := d.Offset.Integer()
		if d.Mode != wasm.SegmentActive || int(d.Memory) < m.NumImportedMemories || !ok || d.Memory < memory {
			return m.Datas
		}
		t := &m.Memories[d.Memory]
		n := uint64(len(d.Init))
		if size := t.Min << t.PageBits; size>>t.PageBits != t.Min || at > size || n > size-at {
			return m.Datas
		}
		first := i == 0
		if d.Memory > memory {
			end, memory, first = 0, d.Memory, true
		}
		if at < end {
			return m.Datas
		}
		if first || at-end > joinGap {
			groups = append(groups, group{})
		} else {
			gaps[i] = uint16(at - end)
		}
		g := &groups[len(groups)-1]
		g.last, g.size = i, g.size+uint64(gaps[i])+n
		end = at + n
	}
	joined := make([]wasm.Data, len(groups))
	i := 0
	for k, g := range groups {
		joined[k] = m.Datas[i]
		if i == g.last {
			i++
			continue
		}
		init := make([]byte, 0, g.size) // the module's bytes are not ours to write to
		for ; i <= g.last; i++ {
			init = append(init, zeros[:gaps[i]]...)
			init = append(init, m.Datas[i].Init...)
		}
		joined[k].Init = init
	}
	return joined
}

var zeros [joinGap]byte
