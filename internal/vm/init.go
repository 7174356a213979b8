package vm

import (
	"os"
	"sync"
	"sync/atomic"

	"github.com/davit-wasm/davit/internal/image"
	"github.com/davit-wasm/davit/internal/native"
	"github.com/davit-wasm/davit/wasm"
)

// initialMemory is what a module's first own memory begins with, as an image that
// instances map instead of copying the data segments: they share the pages that
// they do not write to, and those that nothing touches cost nothing. It is made
// when a second instance is wanted, as for a single one it would be one more copy,
// unless it is in the file that the module was loaded from.
type initialMemory struct {
	instances atomic.Int64 // that were begun, up to 2
	once      sync.Once
	image     *native.Image // nil: the segments are copied
	segments  int           // those that are in the image: the first so many
}

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

// mapped makes what the module's file holds the image.
func (i *initialMemory) mapped(x *image.InitialMemory, f *os.File) error {
	var err error
	i.once.Do(func() {
		if i.image, err = native.FileImage(f, x.FileAt, x.Start, x.Data); err == nil {
			i.segments = x.Segments
			i.instances.Store(2)
		}
	})
	return err
}

// makeImage makes the image of the segments that come first and cannot fail.
func (m *Module) makeImage() (*native.Image, int) {
	wm := m.Image.Module
	x := image.InitialMemoryOf(wm, func(i int) int { return len(wm.Datas[i].Init) })
	// What lies between the data is in the file as soon as an instance reads it.
	if !x.Sparse() {
		return nil, 0
	}
	image, err := native.NewImage(x.End, func(b []byte) {
		for i := range wm.Datas[:x.Segments] {
			if d := &wm.Datas[i]; d.Mode == wasm.SegmentActive {
				at, _ := d.Offset.Integer()
				copy(b[min(at, uint64(len(b))):], d.Init)
			}
		}
	})
	if err != nil {
		return nil, 0 // as by systems without memory files
	}
	return image, x.Segments
}
