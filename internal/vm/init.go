package vm

import (
	"sync"
	"sync/atomic"

	"github.com/davit-wasm/davit/internal/native"
	"github.com/davit-wasm/davit/wasm"
)

// initialMemory is what a module's first own memory begins with, as an image that
// instances map instead of copying the data segments: they share the pages that
// they do not write to, and those that nothing touches cost nothing. It is made
// when a second instance is wanted, as for a single one it would be one more copy.
type initialMemory struct {
	instances atomic.Int64 // that were begun, up to 2
	once      sync.Once
	image     *native.Image // nil: the segments are copied
	segments  int           // those that are in the image: the first so many
}

// minImage is the least size of data that an image is made for. A copy of less
// costs less than the faults on the pages of an image.
const minImage = 16 << 10

// memoryImage is the image for own memory number 0 of m's next instance, and the
// number of data segments that are in it; nil if they must be copied.
func (m *Module) memoryImage() (*native.Image, int) {
	i := &m.initial
	if i.instances.Load() < 2 && i.instances.Add(1) < 2 {
		return nil, 0
	}
	i.once.Do(func() { i.image, i.segments = m.makeImage() })
	return i.image, i.segments
}

// makeImage makes the image of the segments that come first and cannot fail.
// Those behind one that may trap would not be seen if it did.
func (m *Module) makeImage() (*native.Image, int) {
	wm := m.Image.Module
	own := wm.NumImportedMemories
	if wm.Memories[own].PageBits != 16 {
		return nil, 0 // the memory need not be of whole units
	}
	for i := range wm.Elems {
		// If this one trapped, functions that an earlier one has put into the table
		// would see the memory without data.
		if e := &wm.Elems[i]; e.Mode == wasm.SegmentActive && int(e.Table) < wm.NumImportedTables {
			return nil, 0
		}
	}
	n, size, bytes := 0, uint64(0), 0
	for i := range wm.Datas {
		d := &wm.Datas[i]
		if d.Mode == wasm.SegmentActive {
			at, ok := d.Offset.Integer()
			if !ok || int(d.Memory) != own || !within(at, uint64(len(d.Init)), wm.Memories[own].Min<<wm.Memories[own].PageBits) {
				break
			}
			size = max(size, at+uint64(len(d.Init)))
			bytes += len(d.Init)
		}
		n = i + 1
	}
	// What lies between the data is in the file as soon as an instance reads it.
	if bytes < minImage || size/64 > uint64(bytes) {
		return nil, 0
	}
	image, err := native.NewImage(size, func(b []byte) {
		for i := range wm.Datas[:n] {
			if d := &wm.Datas[i]; d.Mode == wasm.SegmentActive {
				at, _ := d.Offset.Integer()
				copy(b[at:], d.Init)
			}
		}
	})
	if err != nil {
		return nil, 0 // as by systems without memory files
	}
	return image, n
}
