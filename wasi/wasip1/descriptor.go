package wasip1

import (
	"context"
	"io"
	"sync"

	"github.com/davit-wasm/davit/wasi/internal/tree"
	"github.com/davit-wasm/davit/wasi/vfs"
)

// descriptor is what a descriptor number names: exactly one of dir, file and
// stream is set.
type descriptor struct {
	base, inheriting rights // guarded by the process's mutex
	mount            *mount // that it belongs to; nil: it is a stream that was given
	isPreopen        bool
	preopen          string // the name of the preopened directory

	dir    *directory
	file   vfs.File // a regular file
	stream *stream

	mu     sync.Mutex // guards what follows, and reads and writes at the offset
	flags  uint16
	offset int64 // of file
}

// mount is what the descriptors below a mounted directory have in common.
type mount struct {
	readOnly bool
	device   uint64 // the device number of files that have none
}

// directory is an open directory.
type directory struct {
	tree.Dir

	mu      sync.Mutex
	listing []vfs.Entry // as of the last fd_readdir from the start
}

func (d *descriptor) close() error {
	switch {
	case d.dir != nil:
		return d.dir.Close()
	case d.file != nil:
		return d.file.Close()
	}
	return d.stream.close()
}

// refusal is the error for a descriptor that lacks rights of need: the one that
// tells most.
func (d *descriptor) refusal(need rights) Errno {
	switch {
	case d.mount != nil && d.mount.readOnly && need&writeRights != 0:
		return ErrnoROFS
	case need&(rightFdSeek|rightFdTell) != 0 && d.stream != nil:
		return ErrnoSPipe
	case need&socketRights != 0 && !d.isSocket():
		return ErrnoNotSock
	case d.dir != nil && need&(fileRights&^directoryRights) != 0:
		return ErrnoBadF
	case d.dir == nil && need&(directoryRights&^fileRights) != 0:
		return ErrnoNotDir
	case need&(rightFdRead|rightFdWrite) != 0:
		return ErrnoBadF // as read(2) and write(2) have it
	}
	return ErrnoNotCapable
}

func (d *descriptor) isSocket() bool { return d.stream != nil && d.stream.isSocket() }

func (d *descriptor) fdflags() uint16 {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.flags
}

func (d *descriptor) nonblock() bool { return d.fdflags()&fdflagNonblock != 0 }

// filetype is the kind of what d names.
func (d *descriptor) filetype() filetype {
	switch {
	case d.dir != nil:
		return filetypeDirectory
	case d.file != nil:
		return filetypeRegularFile
	}
	return d.stream.filetype()
}

// stat are the attributes of what d names.
func (d *descriptor) stat() (filestat, Errno) {
	var s vfs.Stat
	var err error
	switch {
	case d.dir != nil:
		s, err = d.dir.Lookup(".", false)
	case d.file != nil:
		s, err = d.file.Stat()
	default:
		return d.stream.stat()
	}
	if err != nil {
		return filestat{}, errnoOf(err)
	}
	return d.filestat(s), ErrnoSuccess
}

// filestat is the form in which programs see s, of a file below d.
func (d *descriptor) filestat(s vfs.Stat) filestat {
	if s.Dev == 0 {
		s.Dev = d.mount.device
	}
	return filestatOf(&s)
}

// read reads into b at the descriptor's offset.
func (d *descriptor) read(ctx context.Context, b []byte) (int, error) {
	if d.stream != nil {
		return d.stream.read(ctx, b, d.nonblock())
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	n, err := d.file.ReadAt(b, d.offset)
	d.offset += int64(n)
	return n, err
}

// write writes b at the offset of a file, or at the end when it appends.
func (d *descriptor) write(b []byte) (int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	var n int
	var err error
	if d.flags&fdflagAppend != 0 {
		var end int64
		if n, end, err = d.file.Append(b); n > 0 {
			d.offset = end
		}
	} else {
		n, err = d.file.WriteAt(b, d.offset)
		d.offset += int64(n)
	}
	return n, d.synced(err)
}

// synced makes lasting what has been written without an error, if that is
// wanted. The caller holds d.mu.
func (d *descriptor) synced(err error) error {
	if err == nil && d.flags&(fdflagSync|fdflagDsync) != 0 {
		err = d.file.Sync()
	}
	return err
}

// seek moves the offset.
func (d *descriptor) seek(offset int64, whence int) (int64, Errno) {
	d.mu.Lock()
	defer d.mu.Unlock()
	base := int64(0)
	switch whence {
	case io.SeekCurrent:
		base = d.offset
	case io.SeekEnd:
		s, err := d.file.Stat()
		if err != nil {
			return 0, errnoOf(err)
		}
		base = s.Size
	}
	switch at := base + offset; {
	case offset > 0 && at < base:
		return 0, ErrnoOverflow
	case at < 0:
		return 0, ErrnoInval
	default:
		d.offset = at
		return at, ErrnoSuccess
	}
}

// bytesLeft is the number of bytes from the offset of a file to its end.
func (d *descriptor) bytesLeft() uint64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	s, err := d.file.Stat()
	if err != nil {
		return 0
	}
	return uint64(max(s.Size-d.offset, 0))
}
