//go:build !linux

package tree

import "os"

// allocate makes a file at least offset + n bytes long. That there is room for
// them on the disk cannot be had here.
func allocate(f *os.File, offset, n int64) error {
	info, err := f.Stat()
	if err != nil || info.Size() >= offset+n {
		return err
	}
	return f.Truncate(offset + n)
}
