package wasip1

import (
	"net"
	"os"
	"path/filepath"
	"testing"

	"github.com/davit-wasm/davit/wasi/vfs"
)

// rightsCase is a call that succeeds, and the rights that it needs.
type rightsCase struct {
	name string
	args []uint64
	need map[uint64]rights // of each descriptor
}

const (
	aPort = 4
	aConn = 5
	aFile = 6 // opened for the cases
)

func rightsCases(g *guest) []rightsCase {
	f, fn := g.str(0x100, "f")
	n, nn := g.str(0x140, "new")
	d, dn := g.str(0x180, "d")
	l, ln := g.str(0x1c0, "l")
	g.iovec(0x90, 0x1000, 4)
	g.subscribeFd(0x1800, 1, eventFdRead, aFile)
	g.subscribeFd(0x1830, 1, eventFdWrite, aFile)
	all := allRights &^ uint64(contentWriteRights)
	dir := func(r rights) map[uint64]rights { return map[uint64]rights{3: r} }
	file := func(r rights) map[uint64]rights { return map[uint64]rights{aFile: r} }
	open := func(oflags, fdflags uint64, extra rights) rightsCase {
		return rightsCase{"path_open", []uint64{3, 0, f, fn, oflags, all, all, fdflags, 0x80}, dir(rightPathOpen | extra)}
	}
	return []rightsCase{
		{"fd_advise", []uint64{aFile, 0, 1, 0}, file(rightFdAdvise)},
		{"fd_allocate", []uint64{aFile, 0, 1}, file(rightFdAllocate)},
		{"fd_datasync", []uint64{aFile}, file(rightFdDatasync)},
		{"fd_sync", []uint64{aFile}, file(rightFdSync)},
		{"fd_fdstat_set_flags", []uint64{aFile, 1}, file(rightFdstatSetFlags)},
		{"fd_filestat_get", []uint64{aFile, 0x300}, file(rightFdFilestatGet)},
		{"fd_filestat_set_size", []uint64{aFile, 9}, file(rightFdFilestatSetSize)},
		{"fd_filestat_set_times", []uint64{aFile, 1, 1, 5}, file(rightFdFilestatSetTimes)},
		{"fd_read", []uint64{aFile, 0x90, 1, 0x98}, file(rightFdRead)},
		{"fd_pread", []uint64{aFile, 0x90, 1, 0, 0x98}, file(rightFdRead | rightFdSeek)},
		{"fd_write", []uint64{aFile, 0x90, 1, 0x98}, file(rightFdWrite)},
		{"fd_pwrite", []uint64{aFile, 0x90, 1, 0, 0x98}, file(rightFdWrite | rightFdSeek)},
		{"fd_seek", []uint64{aFile, 1, 0, 0x98}, file(rightFdSeek)},
		{"fd_readdir", []uint64{3, 0x3000, 500, 0, 0x98}, dir(rightFdReaddir)},
		{"path_create_directory", []uint64{3, n, nn}, dir(rightPathCreateDirectory)},
		{"path_filestat_get", []uint64{3, 0, f, fn, 0x300}, dir(rightPathFilestatGet)},
		{"path_filestat_set_times", []uint64{3, 0, f, fn, 1, 1, 5}, dir(rightPathFilestatSetTimes)},
		{"path_link", []uint64{3, 0, f, fn, 3, n, nn}, dir(rightPathLinkSource | rightPathLinkTarget)},
		{"path_readlink", []uint64{3, l, ln, 0x1000, 100, 0x98}, dir(rightPathReadlink)},
		{"path_remove_directory", []uint64{3, d, dn}, dir(rightPathRemoveDirectory)},
		{"path_rename", []uint64{3, f, fn, 3, n, nn}, dir(rightPathRenameSource | rightPathRenameTarget)},
		{"path_symlink", []uint64{f, fn, 3, n, nn}, dir(rightPathSymlink)},
		{"path_unlink_file", []uint64{3, f, fn}, dir(rightPathUnlinkFile)},
		open(0, 0, 0),
		open(1, 0, rightPathCreateFile),
		open(8, 0, rightPathFilestatSetSize),
		open(0, 2, rightFdDatasync),
		open(0, 16, rightFdSync),
		{"sock_accept", []uint64{aPort, 0, 0x80}, map[uint64]rights{aPort: rightSockAccept}},
		{"sock_recv", []uint64{aConn, 0x90, 1, 0, 0x98, 0x9c}, map[uint64]rights{aConn: rightFdRead}},
		{"sock_send", []uint64{aConn, 0x90, 1, 0, 0x98}, map[uint64]rights{aConn: rightFdWrite}},
		{"sock_shutdown", []uint64{aConn, 2}, map[uint64]rights{aConn: rightSockShutdown}},
	}
}

// TestRights: each function succeeds with all rights, and fails if the descriptor
// lacks one of those that it needs.
func TestRights(t *testing.T) {
	dir := t.TempDir()
	setup := func() *guest {
		sub, err := os.MkdirTemp(dir, "")
		if err != nil {
			t.Fatal(err)
		}
		os.WriteFile(filepath.Join(sub, "f"), []byte("content"), 0o666)
		os.Symlink("f", filepath.Join(sub, "l"))
		os.Mkdir(filepath.Join(sub, "d"), 0o777)
		port, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Skip(err)
		}
		t.Cleanup(func() { port.Close() })
		client, err := net.Dial("tcp", port.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { client.Close() })
		conn, err := port.Accept()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		client.Write([]byte("data"))
		second, err := net.Dial("tcp", port.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { second.Close() })
		g := newGuest(t, &Config{Mounts: []Mount{{Host: sub, Guest: "/"}}, Listeners: []net.Listener{port}, Conns: []net.Conn{conn}})
		if fd, e := g.open("f", 0, allRights, 0); e != 0 || fd != aFile {
			t.Fatal(fd, e)
		}
		return g
	}
	for i := range rightsCases(setup()) {
		g := setup()
		c := rightsCases(g)[i]
		g.want(0, c.name, c.args...)
		for fd, need := range c.need {
			for bit := rights(1); bit <= rightSockAccept; bit <<= 1 {
				if need&bit == 0 {
					continue
				}
				g := setup()
				c := rightsCases(g)[i]
				g.want(0, "fd_fdstat_get", fd, 0x700)
				base, inheriting := g.u64(0x708), g.u64(0x710)
				g.want(0, "fd_fdstat_set_rights", fd, base&^uint64(bit), inheriting)
				if e, err := g.try(c.name, c.args...); e == 0 || err != nil {
					t.Errorf("%s%v succeeds without right %#x: %v", c.name, c.args, bit, err)
				}
				g.want(ErrnoNotCapable, "fd_fdstat_set_rights", fd, base, inheriting)
				// Other rights are not needed.
				g = setup()
				c = rightsCases(g)[i]
				g.want(0, "fd_fdstat_set_rights", fd, base&uint64(need), inheriting)
				g.want(0, c.name, c.args...)
			}
		}
	}
}

// TestInheritedRights: what is opened has no rights that its directory does not
// pass on.
func TestInheritedRights(t *testing.T) {
	dir := t.TempDir()
	os.Mkdir(filepath.Join(dir, "d"), 0o777)
	os.WriteFile(filepath.Join(dir, "d/f"), []byte("content"), 0o666)
	g := newGuest(t, &Config{Mounts: []Mount{{Host: dir, Guest: "/"}}})
	a, n := g.str(0x100, "d")
	pass := uint64(rightFdRead | rightPathOpen | rightFdFilestatGet)
	g.want(0, "path_open", 3, 0, a, n, 2, uint64(directoryRights), pass, 0, 0x80)
	d := uint64(g.u32(0x80))
	f, fn := g.str(0x100, "f")
	g.want(ErrnoNotCapable, "path_open", d, 0, f, fn, 0, uint64(rightFdRead|rightFdWrite), 0, 0, 0x80)
	g.want(0, "path_open", d, 0, f, fn, 0, uint64(rightFdRead|rightFdSeek|rightFdFilestatGet), allRights, 0, 0x80)
	fd := uint64(g.u32(0x80))
	g.want(0, "fd_fdstat_get", fd, 0x200)
	if got := rights(g.u64(0x208)); got != rightFdRead|rightFdFilestatGet {
		t.Errorf("a file has rights %#x", got)
	}
	g.want(ErrnoNotCapable, "fd_seek", fd, 1, 0, 0x300)
	// A mount that is read-only passes nothing on that writes, at any depth.
	g = newGuest(t, &Config{Mounts: []Mount{{Host: dir, Guest: "/", ReadOnly: true}}})
	a, n = g.str(0x100, "d")
	g.want(0, "path_open", 3, 0, a, n, 2, uint64(directoryRights), allRights, 0, 0x80)
	g.want(0, "fd_fdstat_get", uint64(g.u32(0x80)), 0x200)
	if got := rights(g.u64(0x208) | g.u64(0x210)); got&writeRights != 0 {
		t.Errorf("a directory below a read-only mount has rights %#x", got&writeRights)
	}
}

// TestReadOnlyKinds: mounts of every kind refuse changes if they are read-only.
func TestReadOnlyKinds(t *testing.T) {
	dir := t.TempDir()
	os.WriteFile(filepath.Join(dir, "f"), []byte("content"), 0o666)
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	mem := vfs.NewMem(nil)
	mem.WriteFile("f", []byte("content"))
	for name, m := range map[string]Mount{
		"host": {Host: dir, ReadOnly: true}, "root": {Root: root, ReadOnly: true}, "fs": {FS: mem},
		"read-only fs": {FS: mem, ReadOnly: true}, "dir": {Dir: mem.Root(), ReadOnly: true},
	} {
		m.Guest = "/"
		g := newGuest(t, &Config{Mounts: []Mount{m}})
		a, n := g.str(0x100, "f")
		b, bn := g.str(0x200, "new")
		for _, c := range []rightsCase{
			{name: "path_open", args: []uint64{3, 0, b, bn, 1, allRights, 0, 0, 0x80}},
			{name: "path_open", args: []uint64{3, 0, a, n, 8, uint64(rightFdRead), 0, 0, 0x80}},
			{name: "path_open", args: []uint64{3, 0, a, n, 0, allRights, 0, 0, 0x80}},
			{name: "path_unlink_file", args: []uint64{3, a, n}},
			{name: "path_create_directory", args: []uint64{3, b, bn}},
			{name: "path_rename", args: []uint64{3, a, n, 3, b, bn}},
			{name: "path_link", args: []uint64{3, 0, a, n, 3, b, bn}},
			{name: "path_symlink", args: []uint64{a, n, 3, b, bn}},
			{name: "path_filestat_set_times", args: []uint64{3, 0, a, n, 1, 1, 5}},
			{name: "fd_filestat_set_times", args: []uint64{3, 1, 1, 5}},
		} {
			if e, err := g.try(c.name, c.args...); e != ErrnoROFS || err != nil {
				t.Errorf("%s: %s%v: %v, %v", name, c.name, c.args, e, err)
			}
		}
		fd, e := g.open("f", 0, uint64(rightFdRead|rightFdSeek), 0)
		if e != 0 {
			t.Fatal(name, e)
		}
		if got := g.read(fd, 100); got != "content" {
			t.Errorf("%s: read %q", name, got)
		}
	}
	if _, err := New(&Config{Mounts: []Mount{{Guest: "/", Host: dir, FS: mem}}}); err == nil {
		t.Error("a mount with two sources was accepted")
	}
}
