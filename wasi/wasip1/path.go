package wasip1

import (
	"errors"
	"io/fs"
	"os"
	"strings"
	"unicode/utf8"
)

// maxPath is the length of the longest path.
const maxPath = 4096

// path reads a path from the program's memory. It is relative and not empty;
// it is confined to a directory only when it is used with one.
func (c *call) path(addr, n uint64) (string, Errno) {
	n = uint64(uint32(n))
	if n > maxPath {
		return "", ErrnoNameTooLong
	}
	b, e := c.view(addr, n)
	if e != ErrnoSuccess {
		return "", e
	}
	s := string(b)
	switch {
	case s == "":
		return "", ErrnoNoEnt
	case strings.IndexByte(s, 0) >= 0:
		return "", ErrnoInval
	case !utf8.ValidString(s):
		return "", ErrnoIlSeq
	case s[0] == '/':
		return "", ErrnoPerm
	}
	return s, ErrnoSuccess
}

// trimSlashes removes slashes from the end of a path; found tells that there
// were some, which says that the path must name a directory.
func trimSlashes(s string) (trimmed string, found bool) {
	trimmed = strings.TrimRight(s, "/")
	return trimmed, trimmed != s
}

func (c *call) pathCreateDirectory(a []uint64) Errno {
	d, e := c.directory(uint32(a[0]), rightPathCreateDirectory)
	if e != ErrnoSuccess {
		return e
	}
	path, e := c.path(a[1], a[2])
	if e != ErrnoSuccess {
		return e
	}
	path, _ = trimSlashes(path)
	return errnoOf(d.dir.root.Mkdir(path, 0o777))
}

// lookup are the attributes of what path names: of a symbolic link at its end
// only if follow is false.
func lookup(root *os.Root, path string, follow bool) (fs.FileInfo, error) {
	trimmed, slash := trimSlashes(path)
	var info fs.FileInfo
	var err error
	if follow || slash {
		info, err = root.Stat(trimmed)
	} else {
		info, err = root.Lstat(trimmed)
	}
	if err == nil && slash && !info.IsDir() {
		return nil, ErrnoNotDir
	}
	return info, err
}

func (c *call) pathFilestatGet(a []uint64) Errno {
	d, e := c.directory(uint32(a[0]), rightPathFilestatGet)
	if e != ErrnoSuccess {
		return e
	}
	path, e := c.path(a[2], a[3])
	if e != ErrnoSuccess {
		return e
	}
	b, e := c.view(a[4], filestatSize)
	if e != ErrnoSuccess {
		return e
	}
	info, err := lookup(d.dir.root, path, a[1]&lookupSymlinkFollow != 0)
	if err != nil {
		return errnoOf(err)
	}
	s := filestatOf(info)
	s.put(b)
	return ErrnoSuccess
}

func (c *call) pathFilestatSetTimes(a []uint64) Errno {
	d, e := c.directory(uint32(a[0]), rightPathFilestatSetTimes)
	if e != ErrnoSuccess {
		return e
	}
	path, e := c.path(a[2], a[3])
	if e != ErrnoSuccess {
		return e
	}
	t, e := timesOf(a[4], a[5], uint32(a[6]), c.now)
	if e != ErrnoSuccess {
		return e
	}
	follow := a[1]&lookupSymlinkFollow != 0
	info, err := lookup(d.dir.root, path, follow)
	if err != nil {
		return errnoOf(err)
	}
	path, _ = trimSlashes(path)
	if !follow && info.Mode().Type() == fs.ModeSymlink {
		return errnoOf(setLinkTimes(d.dir.root, path, t))
	}
	return errnoOf(d.dir.root.Chtimes(path, t.atim, t.mtim))
}

func (c *call) pathLink(a []uint64) Errno {
	from, e := c.directory(uint32(a[0]), rightPathLinkSource)
	if e != ErrnoSuccess {
		return e
	}
	oldPath, e := c.path(a[2], a[3])
	if e != ErrnoSuccess {
		return e
	}
	to, e := c.directory(uint32(a[4]), rightPathLinkTarget)
	if e != ErrnoSuccess {
		return e
	}
	newPath, e := c.path(a[5], a[6])
	if e != ErrnoSuccess {
		return e
	}
	if a[1]&lookupSymlinkFollow != 0 {
		return ErrnoInval // links to what a link points at cannot be made safely
	}
	if _, slash := trimSlashes(oldPath); slash {
		return ErrnoNotDir // only directories may be named so, and they cannot be linked
	}
	if _, slash := trimSlashes(newPath); slash {
		return ErrnoNoEnt
	}
	return errnoOf(link(from.dir.root, oldPath, to.dir.root, newPath))
}

func (c *call) pathSymlink(a []uint64) Errno {
	// The target is checked when the link is followed, so it may be anything
	// relative.
	target, e := c.path(a[0], a[1])
	if e != ErrnoSuccess {
		return e
	}
	d, e := c.directory(uint32(a[2]), rightPathSymlink)
	if e != ErrnoSuccess {
		return e
	}
	path, e := c.path(a[3], a[4])
	if e != ErrnoSuccess {
		return e
	}
	if trimmed, slash := trimSlashes(path); slash {
		if _, err := d.dir.root.Lstat(trimmed); err == nil {
			return ErrnoExist
		}
		return ErrnoNoEnt
	}
	return errnoOf(d.dir.root.Symlink(target, path))
}

func (c *call) pathReadlink(a []uint64) Errno {
	d, e := c.directory(uint32(a[0]), rightPathReadlink)
	if e != ErrnoSuccess {
		return e
	}
	path, e := c.path(a[1], a[2])
	if e != ErrnoSuccess {
		return e
	}
	b, e := c.view(a[3], uint64(uint32(a[4])))
	if e != ErrnoSuccess {
		return e
	}
	target, err := d.dir.root.Readlink(path)
	if err != nil {
		return errnoOf(err)
	}
	// As readlink(2): what does not fit is cut off.
	return c.putU32(a[5], uint32(copy(b, target)))
}

func (c *call) pathRemoveDirectory(a []uint64) Errno {
	d, e := c.directory(uint32(a[0]), rightPathRemoveDirectory)
	if e != ErrnoSuccess {
		return e
	}
	path, e := c.path(a[1], a[2])
	if e != ErrnoSuccess {
		return e
	}
	path, _ = trimSlashes(path)
	return errnoOf(removeDirectory(d.dir.root, path))
}

func (c *call) pathUnlinkFile(a []uint64) Errno {
	d, e := c.directory(uint32(a[0]), rightPathUnlinkFile)
	if e != ErrnoSuccess {
		return e
	}
	path, e := c.path(a[1], a[2])
	if e != ErrnoSuccess {
		return e
	}
	if trimmed, slash := trimSlashes(path); slash {
		info, err := d.dir.root.Lstat(trimmed)
		switch {
		case err != nil:
			return errnoOf(err)
		case info.IsDir():
			return ErrnoIsDir
		}
		return ErrnoNotDir
	}
	return errnoOf(unlinkFile(d.dir.root, path))
}

func (c *call) pathRename(a []uint64) Errno {
	from, e := c.directory(uint32(a[0]), rightPathRenameSource)
	if e != ErrnoSuccess {
		return e
	}
	oldPath, e := c.path(a[1], a[2])
	if e != ErrnoSuccess {
		return e
	}
	to, e := c.directory(uint32(a[3]), rightPathRenameTarget)
	if e != ErrnoSuccess {
		return e
	}
	newPath, e := c.path(a[4], a[5])
	if e != ErrnoSuccess {
		return e
	}
	oldTrimmed, oldSlash := trimSlashes(oldPath)
	newTrimmed, newSlash := trimSlashes(newPath)
	if oldSlash || newSlash {
		// Only directories may be named with slashes at the end.
		info, err := from.dir.root.Lstat(oldTrimmed)
		if err != nil {
			return errnoOf(err)
		}
		if !info.IsDir() {
			return ErrnoNotDir
		}
	}
	return errnoOf(rename(from.dir.root, oldTrimmed, to.dir.root, newTrimmed))
}

func (c *call) pathOpen(a []uint64) Errno {
	d, e := c.directory(uint32(a[0]), rightPathOpen)
	if e != ErrnoSuccess {
		return e
	}
	path, e := c.path(a[2], a[3])
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
		path: path, follow: a[1]&lookupSymlinkFollow != 0, oflags: uint16(a[4]), fdflags: uint16(a[7]),
		base: rights(a[5]), inheriting: rights(a[6]),
	}
	if o.oflags&(oflagCreat|oflagDirectory) == oflagCreat|oflagDirectory {
		return ErrnoInval
	}
	if e := o.check(d); e != ErrnoSuccess {
		return e
	}
	n, e := o.open(d)
	if e != ErrnoSuccess {
		return e
	}
	fd, e := c.add(n)
	if e != ErrnoSuccess {
		n.close()
		return e
	}
	result[0], result[1], result[2], result[3] = byte(fd), byte(fd>>8), byte(fd>>16), byte(fd>>24)
	return ErrnoSuccess
}

// opening is a path_open in progress.
type opening struct {
	path             string
	follow           bool
	oflags, fdflags  uint16
	base, inheriting rights
}

// check decides whether d may open what o asks for.
func (o *opening) check(d *descriptor) Errno {
	if d.readOnly && (o.oflags&(oflagCreat|oflagTrunc) != 0 || o.base&rightFdWrite != 0 && o.oflags&oflagDirectory == 0) {
		return ErrnoROFS
	}
	if o.oflags&oflagCreat != 0 && d.base&rightPathCreateFile == 0 ||
		o.oflags&oflagTrunc != 0 && d.base&rightPathFilestatSetSize == 0 {
		return ErrnoNotCapable
	}
	// Fewer rights are given than were asked for, where the directory does not
	// pass them on. Programs ask for everything that a libc knows of.
	o.base &= d.inheriting
	o.inheriting &= d.inheriting
	return ErrnoSuccess
}

// open opens a file or directory below d. What is there is looked at first, and
// the result compared with it, because links must sometimes not be followed
// and because directories and files are opened differently; a path that changes
// in between is an error at worst, as the root confines all of this.
func (o *opening) open(d *descriptor) (*descriptor, Errno) {
	root := d.dir.root
	path, slash := trimSlashes(o.path)
	mustDir := slash || o.oflags&oflagDirectory != 0
	info, err := root.Lstat(path)
	if err == nil && info.Mode().Type() == fs.ModeSymlink {
		switch {
		case o.oflags&(oflagCreat|oflagExcl) == oflagCreat|oflagExcl:
			return nil, ErrnoExist
		case !o.follow && !slash:
			return nil, ErrnoLoop
		}
		info, err = root.Stat(path)
	}
	switch {
	case err != nil && (!errors.Is(err, fs.ErrNotExist) || o.oflags&oflagCreat == 0):
		return nil, errnoOf(err)
	case err != nil && slash:
		return nil, ErrnoIsDir // no file can be made by that name
	case err == nil && o.oflags&(oflagCreat|oflagExcl) == oflagCreat|oflagExcl:
		return nil, ErrnoExist
	case err == nil && mustDir && !info.IsDir():
		return nil, ErrnoNotDir
	case err == nil && info.IsDir():
		return o.openDirectory(d, path)
	}
	return o.openFile(d, path, info)
}

func (o *opening) openDirectory(d *descriptor, path string) (*descriptor, Errno) {
	if o.oflags&(oflagTrunc|oflagCreat) != 0 && o.oflags&oflagDirectory == 0 {
		return nil, ErrnoIsDir
	}
	// A directory cannot be written to, and programs that ask for it are told.
	// Whatever else they ask for, they get what applies.
	if o.base&rightFdWrite != 0 {
		return nil, ErrnoIsDir
	}
	root, err := d.dir.root.OpenRoot(path)
	if err != nil {
		return nil, errnoOf(err)
	}
	base := o.base & directoryRights
	if base&rightPathOpen != 0 {
		// Go's port asks for directories without this right, which is among those
		// that it takes for writing, and then truncates files below them.
		base |= d.base & d.inheriting & rightPathFilestatSetSize
	}
	return &descriptor{
		dir: &directory{root: root}, readOnly: d.readOnly, flags: o.fdflags, base: base, inheriting: o.inheriting,
	}, ErrnoSuccess
}

func (o *opening) openFile(d *descriptor, path string, seen fs.FileInfo) (*descriptor, Errno) {
	write := o.base&contentWriteRights != 0
	read := o.base&rightFdRead != 0 || !write
	flags := os.O_RDONLY
	switch {
	case write && read:
		flags = os.O_RDWR
	case write:
		flags = os.O_WRONLY
	}
	trunc := o.oflags&oflagTrunc != 0
	if trunc && !write {
		flags = os.O_RDWR // truncating needs a file that can be written
	}
	if o.oflags&oflagCreat != 0 {
		flags |= os.O_CREATE
	}
	if o.oflags&oflagExcl != 0 && o.oflags&oflagCreat != 0 {
		flags |= os.O_EXCL
	}
	if o.fdflags&(fdflagSync|fdflagDsync|fdflagRsync) != 0 {
		flags |= os.O_SYNC
	}
	f, err := d.dir.root.OpenFile(path, flags|openNonblock, 0o666)
	if err != nil {
		return nil, errnoOf(err)
	}
	info, err := f.Stat()
	switch {
	case err != nil:
	case info.IsDir():
		err = ErrnoIsDir
	case seen != nil && !os.SameFile(seen, info):
		err = ErrnoAgain // it was replaced meanwhile
	case trunc && info.Mode().IsRegular():
		err = f.Truncate(0)
	}
	if err != nil {
		f.Close()
		return nil, errnoOf(err)
	}
	n := &descriptor{
		file: f, readOnly: d.readOnly, flags: o.fdflags, regular: info.Mode().IsRegular(),
		base: o.base & fileRights, inheriting: o.inheriting & fileRights,
	}
	if !n.regular {
		n.base &^= rightFdSeek | rightFdTell
	}
	return n, ErrnoSuccess
}
