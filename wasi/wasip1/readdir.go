package wasip1

import (
	"encoding/binary"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
)

// dirEntry is an entry of a listed directory.
type dirEntry struct {
	name string
	ino  uint64
	kind filetype
}

// fdReaddir writes entries from number `cookie` on. A listing that starts at
// the beginning is made anew and kept, so that a program that reads it in
// pieces, and removes what it has read, sees every entry once.
func (c *call) fdReaddir(a []uint64) Errno {
	d, e := c.directory(uint32(a[0]), rightFdReaddir)
	if e != ErrnoSuccess {
		return e
	}
	buf, e := c.view(a[1], uint64(uint32(a[2])))
	if e != ErrnoSuccess {
		return e
	}
	dir, cookie := d.dir, a[3]
	dir.mu.Lock()
	defer dir.mu.Unlock()
	if cookie == 0 || dir.listing == nil {
		list, err := c.list(dir.root)
		if err != nil {
			return c.fail(err)
		}
		dir.listing = list
	}
	if cookie > uint64(len(dir.listing)) {
		return ErrnoInval
	}
	used := 0
	var head [direntSize]byte
	for i := cookie; i < uint64(len(dir.listing)) && used < len(buf); i++ {
		entry := &dir.listing[i]
		binary.LittleEndian.PutUint64(head[0:], i+1)
		binary.LittleEndian.PutUint64(head[8:], entry.ino)
		binary.LittleEndian.PutUint32(head[16:], uint32(len(entry.name)))
		binary.LittleEndian.PutUint32(head[20:], uint32(entry.kind))
		// What does not fit is cut off; a full buffer says that there is more.
		used += copy(buf[used:], head[:])
		used += copy(buf[used:], entry.name)
	}
	return c.putU32(a[4], uint32(used))
}

// list lists a directory, itself and its parent first, the rest by name.
func (c *call) list(root *os.Root) ([]dirEntry, error) {
	f, err := root.Open(".")
	if err != nil {
		return nil, err
	}
	defer f.Close()
	self, err := f.Stat()
	if err != nil {
		return nil, err
	}
	ino := filestatOf(self).ino
	// The parent of a directory that a program got is none of its business.
	list := []dirEntry{{".", ino, filetypeDirectory}, {"..", ino, filetypeDirectory}}
	for {
		entries, err := f.ReadDir(1024)
		for _, entry := range entries {
			if len(list) >= c.maxDirEntries+2 {
				return nil, ErrnoNoMem
			}
			list = append(list, entryOf(entry))
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, err
		}
		if err := c.ctx.Err(); err != nil {
			return nil, err
		}
	}
	slices.SortFunc(list[2:], func(a, b dirEntry) int { return strings.Compare(a.name, b.name) })
	return list, nil
}

// entryOf is the entry of e. An entry that has vanished since it was listed has
// no inode.
func entryOf(e fs.DirEntry) dirEntry {
	d := dirEntry{name: e.Name(), kind: filetypeOf(e.Type())}
	if info, err := e.Info(); err == nil {
		d.ino = filestatOf(info).ino
	}
	return d
}
