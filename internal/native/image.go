package native

import (
	"fmt"
	"os"
	"sync"
)

// Image is what memories begin with that are made again and again: bytes in a
// memory file, which each of them maps for itself. The pages are shared until
// they are written to. Images lie in one file, so that they take no file
// descriptors, but for those that are in a file already.
type Image struct {
	start, size uintptr // the part of a memory that it is for
	data        []byte  // mapped, for reading

	unit, n int      // units of the file with all images, or
	file    *os.File // a file of its own
	at      int64    // where it is in that
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
	i.size = uintptr(i.n) * imageUnit
	if end := i.offset() + i.size; end > images.size {
		if err := images.file.resize(end); err != nil {
			images.units.give(i.unit, i.n)
			return nil, err
		}
		images.size = end
	}
	var err error
	if i.data, err = images.file.write(i.offset(), i.size, fill); err != nil {
		images.units.give(i.unit, i.n)
		return nil, err
	}
	return i, nil
}

// FileImage is an image of what is in a file from offset at on, for the part of memories
// that begins at start; both are multiples of the page size, as is the length of data,
// which is the same bytes, mapped. They must stay what they are as long as the image
// is used. It takes the file over, unless there is an error.
func FileImage(f *os.File, at int64, start uint64, data []byte) (*Image, error) {
	if err := Supported(); err != nil {
		return nil, err
	}
	if at%pageSize != 0 || start%pageSize != 0 || len(data)%pageSize != 0 || len(data) == 0 || start > imageRange || uint64(len(data)) > imageRange {
		return nil, fmt.Errorf("native: image of %d bytes at %#x of a file, for %#x", len(data), at, start)
	}
	return &Image{start: uintptr(start), size: uintptr(len(data)), data: data, file: f, at: at}, nil
}

func (i *Image) offset() uintptr { return uintptr(i.unit) * imageUnit }

// end is the end of the part of a memory that i is for.
func (i *Image) end() uintptr { return i.start + i.size }

// mapInto maps i into the memory at base.
func (i *Image) mapInto(base uintptr) error {
	if i.file != nil {
		return mapPrivateFile(i.file, i.at, base+i.start, i.size)
	}
	return images.file.mapPrivate(i.offset(), base+i.start, i.size)
}

// release gives the image's memory back. No memory may have it any more.
func (i *Image) release() {
	if i.file != nil {
		i.file.Close()
		return
	}
	images.Lock()
	defer images.Unlock()
	unmapBytes(i.data)
	if images.file.punch(i.offset(), i.size) == nil { // else the range stays unused
		images.units.give(i.unit, i.n)
	}
}
