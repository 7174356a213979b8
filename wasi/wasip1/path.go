package wasip1

import (
	"strings"
	"unicode/utf8"

	"github.com/davit-wasm/davit/wasi/vfs"
)

// path reads a path from the program's memory. It is relative and not empty;
// it is confined to a directory only when it is used with one.
func (c *call) path(addr, n uint64) (string, Errno) {
	n = uint64(uint32(n))
	if n > uint64(c.limits.PathBytes) {
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

// place is a path below a directory that the program has rights to.
type place struct {
	*descriptor
	path  string // without slashes at its end
	slash bool   // there were some: what is there must be a directory
}

// place decodes a directory and a path in it.
func (c *call) place(fd, addr, n uint64, need rights) (p place, e Errno) {
	if p.descriptor, e = c.directory(uint32(fd), need); e != ErrnoSuccess {
		return p, e
	}
	path, e := c.path(addr, n)
	if e != ErrnoSuccess {
		return p, e
	}
	p.path = strings.TrimRight(path, "/")
	p.slash = len(p.path) < len(path)
	return p, ErrnoSuccess
}

// lookup are the attributes of what is at p: of a symbolic link at its end only
// if follow is false.
func (p *place) lookup(follow bool) (vfs.Stat, error) {
	s, err := p.dir.Lookup(p.path, follow || p.slash)
	if err == nil && p.slash && !s.Mode.IsDir() {
		return s, ErrnoNotDir
	}
	return s, err
}

func (c *call) pathCreateDirectory(a []uint64) Errno {
	p, e := c.place(a[0], a[1], a[2], rightPathCreateDirectory)
	if e != ErrnoSuccess {
		return e
	}
	return errnoOf(p.dir.Mkdir(p.path))
}

func (c *call) pathFilestatGet(a []uint64) Errno {
	p, e := c.place(a[0], a[2], a[3], rightPathFilestatGet)
	if e != ErrnoSuccess {
		return e
	}
	s, err := p.lookup(a[1]&lookupSymlinkFollow != 0)
	if err != nil {
		return errnoOf(err)
	}
	st := p.filestat(s)
	return c.putFilestat(a[4], &st)
}

func (c *call) pathFilestatSetTimes(a []uint64) Errno {
	p, e := c.place(a[0], a[2], a[3], rightPathFilestatSetTimes)
	if e != ErrnoSuccess {
		return e
	}
	t, e := timesOf(a[4], a[5], uint32(a[6]), c.now)
	if e != ErrnoSuccess {
		return e
	}
	follow := a[1]&lookupSymlinkFollow != 0
	if _, err := p.lookup(follow); err != nil {
		return errnoOf(err)
	}
	return errnoOf(p.dir.SetTimes(p.path, follow || p.slash, t.atim, t.mtim))
}

// twoPlaces decodes the places of pathLink and pathRename.
func (c *call) twoPlaces(from, to []uint64, source, target rights) (old, new place, e Errno) {
	if old, e = c.place(from[0], from[1], from[2], source); e != ErrnoSuccess {
		return old, new, e
	}
	if new, e = c.place(to[0], to[1], to[2], target); e != ErrnoSuccess {
		return old, new, e
	}
	if old.mount != new.mount {
		return old, new, ErrnoXDev // even if the host could do it: a mount is a file system of its own
	}
	return old, new, ErrnoSuccess
}

func (c *call) pathLink(a []uint64) Errno {
	old, new, e := c.twoPlaces([]uint64{a[0], a[2], a[3]}, a[4:7], rightPathLinkSource, rightPathLinkTarget)
	switch {
	case e != ErrnoSuccess:
		return e
	case a[1]&lookupSymlinkFollow != 0:
		return ErrnoInval // links to what a link points at cannot be made safely
	case old.slash:
		return ErrnoNotDir // only directories may be named so, and they cannot be linked
	case new.slash:
		return ErrnoNoEnt
	}
	return errnoOf(old.dir.Link(old.path, new.dir.Dir, new.path))
}

func (c *call) pathRename(a []uint64) Errno {
	old, new, e := c.twoPlaces(a[0:3], a[3:6], rightPathRenameSource, rightPathRenameTarget)
	if e != ErrnoSuccess {
		return e
	}
	if old.slash || new.slash {
		// Only directories may be named with slashes at the end.
		s, err := old.dir.Lookup(old.path, false)
		if err != nil {
			return errnoOf(err)
		}
		if !s.Mode.IsDir() {
			return ErrnoNotDir
		}
	}
	return errnoOf(old.dir.Rename(old.path, new.dir.Dir, new.path))
}

func (c *call) pathSymlink(a []uint64) Errno {
	// The target is checked when the link is followed, so it may be anything
	// relative.
	target, e := c.path(a[0], a[1])
	if e != ErrnoSuccess {
		return e
	}
	p, e := c.place(a[2], a[3], a[4], rightPathSymlink)
	if e != ErrnoSuccess {
		return e
	}
	if p.slash {
		if _, err := p.dir.Lookup(p.path, false); err == nil {
			return ErrnoExist
		}
		return ErrnoNoEnt
	}
	return errnoOf(p.dir.Symlink(target, p.path))
}

func (c *call) pathReadlink(a []uint64) Errno {
	p, e := c.place(a[0], a[1], a[2], rightPathReadlink)
	if e != ErrnoSuccess {
		return e
	}
	b, e := c.view(a[3], uint64(uint32(a[4])))
	if e != ErrnoSuccess {
		return e
	}
	if p.slash {
		// It names what the link points at, which is a directory if it is anything.
		if _, err := p.lookup(true); err != nil {
			return errnoOf(err)
		}
		return ErrnoInval
	}
	target, err := p.dir.Readlink(p.path)
	if err != nil {
		return errnoOf(err)
	}
	// As readlink(2): what does not fit is cut off.
	return c.putU32(a[5], uint32(copy(b, target)))
}

func (c *call) pathRemoveDirectory(a []uint64) Errno {
	p, e := c.place(a[0], a[1], a[2], rightPathRemoveDirectory)
	if e != ErrnoSuccess {
		return e
	}
	return errnoOf(p.dir.Rmdir(p.path))
}

func (c *call) pathUnlinkFile(a []uint64) Errno {
	p, e := c.place(a[0], a[1], a[2], rightPathUnlinkFile)
	if e != ErrnoSuccess {
		return e
	}
	if p.slash {
		s, err := p.dir.Lookup(p.path, false)
		switch {
		case err != nil:
			return errnoOf(err)
		case s.Mode.IsDir():
			return ErrnoIsDir
		}
		return ErrnoNotDir
	}
	return errnoOf(p.dir.Unlink(p.path))
}
