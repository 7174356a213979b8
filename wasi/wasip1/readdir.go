package wasip1

import (
	"context"
	"encoding/binary"
	"io/fs"
	"slices"
	"strings"

	"github.com/davit-wasm/davit/wasi/vfs"
)

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
		dir.listing = nil
		list, err := c.list(dir)
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
		binary.LittleEndian.PutUint64(head[8:], entry.Ino)
		binary.LittleEndian.PutUint32(head[16:], uint32(len(entry.Name)))
		binary.LittleEndian.PutUint32(head[20:], uint32(filetypeOf(entry.Mode)))
		// What does not fit is cut off; a full buffer says that there is more.
		used += copy(buf[used:], head[:])
		used += copy(buf[used:], entry.Name)
	}
	return c.putU32(a[4], uint32(used))
}

// list lists a directory, itself and its parent first, the rest by name.
func (c *call) list(dir *directory) ([]vfs.Entry, error) {
	self, err := dir.Lookup(".", false)
	if err != nil {
		return nil, err
	}
	// The parent of a directory that a program got is none of its business.
	list := []vfs.Entry{{Name: ".", Mode: fs.ModeDir, Ino: self.Ino}, {Name: "..", Mode: fs.ModeDir, Ino: self.Ino}}
	for entry, err := range dir.Entries() {
		if err != nil {
			return nil, err
		}
		if len(list) >= c.limits.DirEntries+2 {
			return nil, ErrnoOverflow
		}
		list = append(list, entry)
		if len(list)%1024 == 0 && c.ctx.Err() != nil {
			return nil, context.Cause(c.ctx)
		}
	}
	slices.SortFunc(list[2:], func(a, b vfs.Entry) int { return strings.Compare(a.Name, b.Name) })
	return list, nil
}
