package tree

import (
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/davit-wasm/davit/wasi/vfs"
)

// HostFile is a file of the host. Of anything but a regular file only F, Stat
// and Close are of use.
type HostFile struct {
	F *os.File

	mu        sync.Mutex // guards appending, from a change of the mode to the write that needs it
	appending bool       // the system writes at the end
}

// newHostFile takes over f, which must not be a directory.
func newHostFile(f *os.File) (*HostFile, error) {
	info, err := f.Stat()
	if err == nil && info.IsDir() {
		err = syscall.EISDIR
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return &HostFile{F: f}, nil
}

func (f *HostFile) ReadAt(b []byte, offset int64) (int, error) { return f.F.ReadAt(b, offset) }

func (f *HostFile) WriteAt(b []byte, offset int64) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.appending {
		if err := setAppend(f.F, false); err != nil {
			return 0, err
		}
		f.appending = false
	}
	return f.F.WriteAt(b, offset)
}

// Append leaves the file in the mode in which the system itself finds the end:
// other processes may append to the same file.
func (f *HostFile) Append(b []byte) (n int, end int64, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.appending {
		if err := setAppend(f.F, true); err != nil {
			return 0, 0, err
		}
		f.appending = true
	}
	n, end, err = appendTo(f.F, b)
	return n, end, err
}

func (f *HostFile) Truncate(size int64) error { return f.F.Truncate(size) }

func (f *HostFile) Stat() (vfs.Stat, error) {
	info, err := f.F.Stat()
	if err != nil {
		return vfs.Stat{}, err
	}
	return statOf(info), nil
}

func (f *HostFile) SetTimes(atime, mtime time.Time) error { return setFileTimes(f.F, atime, mtime) }
func (f *HostFile) Sync() error                           { return f.F.Sync() }
func (f *HostFile) Close() error                          { return f.F.Close() }

// Allocate makes the file at least offset + n bytes long, and finds room on the
// disk for them where the system can do that.
func (f *HostFile) Allocate(offset, n int64) error { return allocate(f.F, offset, n) }
