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
