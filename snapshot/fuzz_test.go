package snapshot

import (
	"bytes"
	"testing"

	"github.com/davit-wasm/davit/wasm"
)

// FuzzNames: name sections, of whatever kind, lose the names of data segments and
// nothing else.
func FuzzNames(f *testing.F) {
	section := func(subsections ...byte) []byte { return append(wasm.AppendName(nil, "name"), subsections...) }
	f.Add(section())
	f.Add(section(0, 2, 1, 'm', 9, 4, 1, 0, 1, 'd', 7, 1, 0))
	f.Add(section(9, 0x80))
	f.Add(section(9, 200, 1))
	f.Fuzz(func(t *testing.T, content []byte) {
		out := withoutDataNames(content)
		if len(out) > len(content) {
			t.Fatalf("%x becomes %x", content, out)
		}
		if again := withoutDataNames(out); !bytes.Equal(again, out) {
			t.Fatalf("%x becomes %x, and that %x", content, out, again)
		}
	})
}

// FuzzRuns: the parts of a memory and the zeros between them make it up.
func FuzzRuns(f *testing.F) {
	f.Add([]byte{}, 16)
	f.Add(append(make([]byte, 20), 1, 0, 0, 2), 2)
	f.Add(append([]byte{1}, make([]byte, 40)...), 16)
	f.Fuzz(func(t *testing.T, data []byte, gap int) {
		if gap < 1 || gap > 1<<20 {
			return
		}
		again := make([]byte, len(data))
		end := -gap
		for _, s := range runs(data, gap) {
			if s.start-end < gap || s.end <= s.start || data[s.start] == 0 || data[s.end-1] == 0 {
				t.Fatalf("part %v after %d", s, end)
			}
			end = s.end
			copy(again[s.start:s.end], data[s.start:s.end])
		}
		if !bytes.Equal(again, data) {
			t.Fatalf("%x becomes %x", data, again)
		}
	})
}
