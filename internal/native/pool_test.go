package native

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/davit-wasm/davit/internal/layout"
)

// TestPool: memories of all sizes, with images and without, are written to all
// over, grow, are freed, and taken again. Nothing is in them but their image, and
// nothing behind them is usable.
func TestPool(t *testing.T) {
	supported(t)
	p := NewPool(4)
	defer p.Close()
	text := func(n uint64, seed uint64) []byte {
		b := make([]byte, n)
		r := rand.New(rand.NewPCG(seed, 0))
		for i := range b {
			b[i] = byte(r.Uint32())
		}
		return b
	}
	type content struct {
		image *Image
		bytes []byte
	}
	contents := []content{{}}
	for i, n := range []uint64{1, 1 << 16, 5<<16 + 10} {
		b := text(n, uint64(i))
		image, err := NewImage(n, func(to []byte) { copy(to, b) })
		if err != nil {
			t.Fatal(err)
		}
		contents = append(contents, content{image, b})
	}
	// One that is in a file already, behind something else, for the middle of memories.
	const at, start = 3 * 4096, 5 * 4096
	b := text(9*4096, 7)
	file, err := os.Create(filepath.Join(t.TempDir(), "image"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := file.WriteAt(b, at); err != nil {
		t.Fatal(err)
	}
	image, err := FileImage(file, at, start, b)
	if err != nil {
		t.Fatal(err)
	}
	contents = append(contents, content{image, append(make([]byte, start), b...)})
	for _, bad := range []struct{ at, start, n int }{{1, 0, 4096}, {0, 1, 4096}, {0, 0, 4095}, {0, 0, 0}} {
		if _, err := FileImage(file, int64(bad.at), uint64(bad.start), b[:bad.n]); err == nil {
			t.Errorf("an image of %+v", bad)
		}
	}
	rnd := rand.New(rand.NewPCG(1, 2))
	var used []*Memory
	for range 400 {
		c := contents[rnd.IntN(len(contents))]
		size := max(uint64(rnd.IntN(8))<<16, (uint64(len(c.bytes))+1<<16-1)&^(1<<16-1))
		m, err := p.Acquire(layout.MemoryGuardReserve, size, c.image)
		if err != nil {
			t.Fatal(err)
		}
		b := m.Bytes(0, size)
		if !bytes.Equal(b[:len(c.bytes)], c.bytes) || bytes.Count(b[len(c.bytes):], []byte{0}) != len(b)-len(c.bytes) {
			t.Fatalf("a memory of %d bytes, %d of which are from an image, has other contents", size, len(c.bytes))
		}
		if got := usable(t, m); got != size {
			t.Fatalf("of a memory of %d bytes, %d can be used", size, got)
		}
		if size > 0 && rnd.IntN(3) > 0 {
			for range rnd.IntN(200) {
				b[rnd.IntN(len(b))] = 0xa5
			}
		}
		if rnd.IntN(3) == 0 {
			grown := uint64(1+rnd.IntN(8)) << 16
			if rnd.IntN(8) == 0 {
				grown <<= 4 // by so much that huge pages are welcome
			}
			if err := m.Commit(size, size+grown); err != nil {
				t.Fatal(err)
			}
			b := m.Bytes(size, grown)
			if bytes.Count(b, []byte{0}) != len(b) {
				t.Fatalf("what a memory of %d bytes has grown by is not zero", size)
			}
			for range rnd.IntN(100) {
				b[rnd.IntN(len(b))] = 0xa5
			}
		}
		if used = append(used, m); len(used) > 5 {
			i := rnd.IntN(len(used))
			if rnd.IntN(4) > 0 {
				used[i].Free()
			} else {
				b := used[i].Bytes(0, uint64(used[i].committed))
				used[i].Retire()
				for i := range b {
					if b[i] != 0 {
						t.Fatal("a retired memory is not zero")
					}
					b[i] = 1
				}
			}
			used[i] = used[len(used)-1]
			used = used[:len(used)-1]
		}
	}
	for _, m := range used {
		m.Free()
	}
	if p.n == 0 || p.n > 4 || p.resident > 4*maxResident {
		t.Errorf("%d memories are kept, with %d bytes", p.n, p.resident)
	}
	for _, c := range contents[1:] {
		p.Forget(c.image)
	}
	for k, list := range p.free {
		if len(list) > 0 && k.image != nil {
			t.Error("a memory with a forgotten image is kept")
		}
	}
	p.Drain()
	if p.n != 0 || p.resident != 0 {
		t.Errorf("%d memories with %d bytes are left", p.n, p.resident)
	}
}

// usable is how many bytes from the start of a memory are readable and writable,
// according to the list of mappings.
func usable(t *testing.T, m *Memory) uint64 {
	end := m.base
	for _, r := range mappingsOf(t) {
		if r.from <= end && end < r.to && r.writable {
			end = r.to
		}
	}
	return uint64(end - m.base)
}

type mappedRange struct {
	from, to uintptr
	writable bool
}

func mappingsOf(t *testing.T) (list []mappedRange) {
	t.Helper()
	maps, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		t.Skip(err)
	}
	for _, line := range strings.Split(strings.TrimSpace(string(maps)), "\n") {
		var r mappedRange
		var flags string
		if _, err := fmt.Sscanf(line, "%x-%x %s", &r.from, &r.to, &flags); err != nil {
			t.Fatal(err)
		}
		r.writable = strings.HasPrefix(flags, "rw")
		list = append(list, r)
	}
	return list
}
