package wasip1

import (
	"encoding/binary"
	"errors"
	"io/fs"
	"os"

	"github.com/davit-wasm/davit/wasi/internal/tree"
	"github.com/davit-wasm/davit/wasi/vfs"
)

// opening is a path_open in progress.
type opening struct {
	place
	follow           bool
	oflags, fdflags  uint16
	base, inheriting rights
}

func (c *call) pathOpen(a []uint64) Errno {
	p, e := c.place(a[0], a[2], a[3], rightPathOpen)
	if e != ErrnoSuccess {
		return e
	}
	result, e := c.view(a[8], 4)
	if e != ErrnoSuccess {
		return e
	}
	if uint32(a[4])&^uint32(oflagsAll) != 0 || uint32(a[7])&^uint32(fdflagsAll) != 0 {
		return ErrnoInval
	}
	o := &opening{
		place: p, follow: a[1]&lookupSymlinkFollow != 0, oflags: uint16(a[4]), fdflags: uint16(a[7]),
		base: rights(a[5]), inheriting: rights(a[6]),
	}
	if o.oflags&(oflagCreat|oflagDirectory) == oflagCreat|oflagDirectory {
		return ErrnoInval
	}
	_, base, inheriting, e := c.lookup(uint32(a[0]))
	if e != ErrnoSuccess {
		return e
	}
	if e := o.check(base); e != ErrnoSuccess {
		return e
	}
	if !c.roomFor1() {
		return ErrnoMFile // before a file is made or emptied
	}
	n, e := o.open(base, inheriting)
	if e != ErrnoSuccess {
		return e
	}
	fd, e := c.add(n)
	if e == ErrnoSuccess {
		binary.LittleEndian.PutUint32(result, fd)
	}
	return e
}

// check decides whether a directory with the given rights may open what o asks
// for.
func (o *opening) check(dir rights) Errno {
	if o.mount.readOnly && (o.oflags&(oflagCreat|oflagTrunc) != 0 || o.base&rightFdWrite != 0 && o.oflags&oflagDirectory == 0) {
		return ErrnoROFS
	}
	need := rightPathOpen
	if o.oflags&oflagCreat != 0 {
		need |= rightPathCreateFile
	}
	if o.oflags&oflagTrunc != 0 {
		need |= rightPathFilestatSetSize
	}
	if o.fdflags&fdflagDsync != 0 {
		need |= rightFdDatasync
	}
	if o.fdflags&(fdflagSync|fdflagRsync) != 0 {
		need |= rightFdSync
	}
	if dir&need != need {
		return ErrnoNotCapable
	}
	return ErrnoSuccess
}

// open opens a file or directory. What is there is looked at first, because links
// must sometimes not be followed and because directories and files are opened
// differently; a path that changes in between is an error at worst, as the
// directory confines all of this.
//
// A descriptor gets the rights that were asked for, as far as the directory
// passes them on. Programs ask for everything that a libc knows of, so only the
// absence of what a program surely needs, reading or writing, is an error.
func (o *opening) open(dir, inheriting rights) (*descriptor, Errno) {
	mustDir := o.slash || o.oflags&oflagDirectory != 0
	exclusive := o.oflags&(oflagCreat|oflagExcl) == oflagCreat|oflagExcl
	s, err := o.dir.Lookup(o.path, false)
	if err == nil && s.Mode.Type() == fs.ModeSymlink {
		switch {
		case exclusive:
			return nil, ErrnoExist
		case !o.follow && !o.slash:
			return nil, ErrnoLoop
		}
		s, err = o.dir.Lookup(o.path, true)
	}
	switch {
	case err != nil && (!errors.Is(err, fs.ErrNotExist) || o.oflags&oflagCreat == 0):
		return nil, errnoOf(err)
	case err != nil && o.slash:
		return nil, ErrnoIsDir // no file can be made by that name
	case err == nil && exclusive:
		return nil, ErrnoExist
	case err == nil && mustDir && !s.Mode.IsDir():
		return nil, ErrnoNotDir
	case err == nil && s.Mode.IsDir():
		return o.openDirectory(dir, inheriting)
	}
	return o.openFile(inheriting)
}

func (o *opening) openDirectory(dir, inheriting rights) (*descriptor, Errno) {
	// A directory cannot be written to, and programs that ask for it are told.
	// Whatever else they ask for, they get what applies.
	if o.oflags&(oflagTrunc|oflagCreat) != 0 || o.base&rightFdWrite != 0 {
		return nil, ErrnoIsDir
	}
	opened, err := o.dir.OpenDir(o.path)
	if err != nil {
		return nil, errnoOf(err)
	}
	base := o.base & inheriting & directoryRights
	if base&rightPathOpen != 0 {
		// Go's port asks for directories without this right, which is among those
		// that it takes for writing, and then truncates files below them.
		base |= dir & inheriting & rightPathFilestatSetSize
	}
	return &descriptor{
		dir: &directory{Dir: opened}, mount: o.mount, flags: o.fdflags,
		base: base, inheriting: o.inheriting & inheriting,
	}, ErrnoSuccess
}

func (o *opening) openFile(inheriting rights) (*descriptor, Errno) {
	if o.base&(rightFdRead|rightFdWrite)&^inheriting != 0 {
		return nil, ErrnoNotCapable
	}
	base := o.base & inheriting & fileRights
	write := base&contentWriteRights != 0
	flag := os.O_RDONLY
	switch {
	case write && base&rightFdRead == 0:
		flag = os.O_WRONLY
	case write, o.oflags&oflagTrunc != 0: // truncating needs a file that can be written
		flag = os.O_RDWR
	}
	if o.oflags&oflagCreat != 0 {
		flag |= os.O_CREATE
		if o.oflags&oflagExcl != 0 {
			flag |= os.O_EXCL
		}
	}
	f, err := o.dir.OpenFile(o.path, o.follow || o.slash, flag)
	if err != nil {
		return nil, errnoOf(err)
	}
	d := &descriptor{
		file: f, mount: o.mount, flags: o.fdflags, base: base, inheriting: o.inheriting & inheriting & fileRights,
	}
	if e := o.finish(d, f); e != ErrnoSuccess {
		f.Close()
		return nil, e
	}
	return d, ErrnoSuccess
}

// finish empties a file, and makes a stream of what is not regular.
func (o *opening) finish(d *descriptor, f vfs.File) Errno {
	if host, ok := f.(*tree.HostFile); ok {
		s, err := host.Stat()
		if err != nil {
			return errnoOf(err)
		}
		if !s.Mode.IsRegular() {
			d.file, d.stream = nil, fileStream(host.F)
			d.base &= streamRights | rightFdRead | rightFdWrite | d.stream.seekRights()
			return ErrnoSuccess
		}
	}
	if o.oflags&oflagTrunc != 0 {
		return errnoOf(f.Truncate(0))
	}
	return ErrnoSuccess
}
