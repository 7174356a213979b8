package wasip1

import (
	"context"
	"io"
	"io/fs"
	"os"
	"sync"
)

// descriptor is what a descriptor number names: exactly one of dir, file, in
// and out is set.
type descriptor struct {
	base, inheriting rights
	readOnly         bool // the mount that it belongs to
	isPreopen        bool
	preopen          string // the name of the preopened directory

	dir  *directory
	file *os.File
	in   *input
	out  *output

	regular bool // file is a regular file, so that it has an offset and never blocks

	mu    sync.Mutex // guards flags, and the file's offset between the steps of an append
	flags uint16
}

// isStream reports whether d has no offset.
func (d *descriptor) isStream() bool {
	return d.in != nil || d.out != nil || d.file != nil && !d.regular
}

func (d *descriptor) close() error {
	switch {
	case d.dir != nil:
		return d.dir.close()
	case d.file != nil:
		return d.file.Close()
	}
	return nil
}

// filetype is the kind of what d names.
func (d *descriptor) filetype() filetype {
	switch {
	case d.dir != nil:
		return filetypeDirectory
	case d.regular:
		return filetypeRegularFile
	}
	s, _ := d.stat()
	return s.filetype
}

// stat are the attributes of what d names.
func (d *descriptor) stat() (filestat, Errno) {
	var info fs.FileInfo
	var err error
	switch {
	case d.dir != nil:
		info, err = d.dir.root.Stat(".")
	case d.file != nil:
		info, err = d.file.Stat()
	case d.in != nil && d.in.file != nil:
		info, err = d.in.file.Stat()
	case d.out != nil && d.out.file != nil:
		info, err = d.out.file.Stat()
	default:
		return filestat{filetype: filetypeUnknown, nlink: 1}, ErrnoSuccess
	}
	if err != nil {
		return filestat{}, errnoOf(err)
	}
	return filestatOf(info), ErrnoSuccess
}

// read reads into b at the descriptor's offset.
func (d *descriptor) read(ctx context.Context, b []byte) (int, error) {
	switch {
	case d.in != nil:
		return d.in.read(ctx, b)
	case d.file == nil:
		return 0, ErrnoBadF
	}
	if !d.regular {
		if err := d.awaitFile(ctx, false); err != nil {
			return 0, err
		}
	}
	return d.file.Read(b)
}

// write writes b at the descriptor's offset, or at the end when it appends.
func (d *descriptor) write(ctx context.Context, b []byte) (int, error) {
	switch {
	case d.out != nil:
		return d.out.write(ctx, b)
	case d.file == nil:
		return 0, ErrnoBadF
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.regular && d.flags&fdflagAppend != 0 {
		if _, err := d.file.Seek(0, io.SeekEnd); err != nil {
			return 0, err
		}
	}
	n, err := d.file.Write(b)
	if err == nil && d.flags&(fdflagSync|fdflagDsync) != 0 {
		err = d.file.Sync()
	}
	return n, err
}

// awaitFile waits until a file that may block can be read or written: a wait
// that ctx can end, as a read in progress cannot be ended.
func (d *descriptor) awaitFile(ctx context.Context, write bool) error {
	d.mu.Lock()
	nonblock := d.flags&fdflagNonblock != 0
	d.mu.Unlock()
	if nonblock {
		w := []fileWait{{file: d.file, write: write}}
		if err := waitFiles(ctx, w, 0, nil); err != nil {
			return err
		}
		if !w[0].ready {
			return ErrnoAgain
		}
		return nil
	}
	if ctx.Done() == nil {
		return nil
	}
	return waitFiles(ctx, []fileWait{{file: d.file, write: write}}, forever, nil)
}

// directory is an open directory.
type directory struct {
	root     *os.Root
	borrowed bool // root is the embedder's

	mu      sync.Mutex
	listing []dirEntry // as of the last fd_readdir from the start
}

func (d *directory) close() error {
	if d.borrowed {
		return nil
	}
	return d.root.Close()
}
