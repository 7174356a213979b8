package native

import (
	"fmt"
	"sync"
)

// Image is what memories begin with that are made again and again: bytes in a
// memory file, which each of them maps for itself. The pages are shared until
// they are written to. Images lie in one file, so that they take no file
// descriptors.
type Image struct {
	unit, n int    // units of the file
	data    []byte // mapped, for reading
}

// imageUnit is the unit in which the file is given out, and imageRange the most
// that it may become. It takes the memory of what is in it only.
const (
	imageUnit  = 1 << 16
	imageRange = 64 << 30
)

// images is the memory file with all images. It is made when it is first needed.
var images struct {
	sync.Mutex
	file  imageFile
	units spans
	size  uintptr // of the file
}

// NewImage makes an image of size bytes, rounded up to [MemoryUnit]; fill gets its
// bytes, which are zero. Give it up with [Pool.Forget].
func NewImage(size uint64, fill func([]byte)) (*Image, error) {
	if err := Supported(); err != nil {
		return nil, err
	}
	if size == 0 || size > imageRange {
		return nil, fmt.Errorf("native: image of %d bytes", size)
	}
	i := &Image{n: int((size + imageUnit - 1) / imageUnit)}
	images.Lock()
	defer images.Unlock()
	images.units.limit = imageRange / imageUnit
	unit, _, ok := images.units.take(i.n)
	if !ok {
		return nil, fmt.Errorf("native: no room for an image of %d bytes", size)
	}
	i.unit = unit
	if end := i.offset() + i.size(); end > images.size {
		if err := images.file.resize(end); err != nil {
			images.units.give(i.unit, i.n)
			return nil, err
		}
		images.size = end
	}
	var err error
	if i.data, err = images.file.write(i.offset(), i.size(), fill); err != nil {
		images.units.give(i.unit, i.n)
		return nil, err
	}
	return i, nil
}

func (i *Image) offset() uintptr { return uintptr(i.unit) * imageUnit }
func (i *Image) size() uintptr   { return uintptr(i.n) * imageUnit }

// release gives the image's memory back. No memory may have it any more.
func (i *Image) release() {
	images.Lock()
	defer images.Unlock()
	unmapBytes(i.data)
	if images.file.punch(i.offset(), i.size()) == nil { // else the range stays unused
		images.units.give(i.unit, i.n)
	}
}
