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
	joined := make([]wasm.Data, 0, 16)
	end, memory := uint64(0), uint32(0) // of the segment before
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
		if d.Memory > memory {
			end, memory = 0, d.Memory
		}
		if at < end {
			return m.Datas
		}
		if k := len(joined) - 1; k >= 0 && joined[k].Memory == memory && at-end <= joinGap {
			last := &joined[k]
			last.Init = append(last.Init, make([]byte, at-end)...)
			last.Init = append(last.Init, d.Init...)
		} else {
			joined = append(joined, *d)
			last := &joined[len(joined)-1]
			last.Init = append(make([]byte, 0, 2*n), d.Init...) // the module's bytes are not ours to write to
		}
		end = at + n
	}
	return joined
}
