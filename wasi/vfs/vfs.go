// Package vfs lets a Go program give guests file systems of its own: one in
// memory ([Mem]), any [fs.FS] ([FromFS]), or whatever implements [Dir] and
// [File].
//
// A file system has very little to know of paths. Its methods get names, which
// are single elements of a path: never empty, never "..", without slashes and
// zero bytes, and "." only where that is said. Paths, with the symbolic links
// and `..` in them, are walked by the host, one directory after the other, so that a
// guest cannot leave the directory that it was given.
//
// Errors are those of packages syscall and io/fs ([syscall.ENOENT] or
// [fs.ErrNotExist], [syscall.ENOTEMPTY], …); guests see them as errors of their
// own interface, and any other one as an input/output error.
package vfs

import (
	"io"
	"io/fs"
	"iter"
	"syscall"
	"time"
)

// Stat are the attributes of a file.
type Stat struct {
	// Mode has the type of the file. Its permissions mean nothing to guests.
	Mode fs.FileMode
	// Size is the length of a file's content, or of a symbolic link's target.
	Size int64
	// Dev and Ino tell files apart. With Dev 0 the host numbers the mount.
	Dev, Ino uint64
	// Nlink is the number of names that the file has, 1 where that is not known.
	Nlink uint64
	// Times of the last access, change of content and change of attributes. Zero
	// times are unknown.
	Atime, Mtime, Ctime time.Time
}

// Entry is an entry of a directory.
type Entry struct {
	Name string
	Mode fs.FileMode // the type
	Ino  uint64
}

// Dir is an open directory. It stays the same directory if it gets another
// name, or none. No method follows a symbolic link at name: where a file or
// directory is needed, such a link is an error (ELOOP or ENOTDIR).
//
// Methods may be called from several goroutines at a time.
type Dir interface {
	// Stat are the attributes of name, or of the directory itself for ".".
	Stat(name string) (Stat, error)
	// SetTimes sets times of name, or of the directory itself for ".". A zero time
	// stays as it was.
	SetTimes(name string, atime, mtime time.Time) error
	// Entries are the entries, without "." and "..", in any order. Nothing is said
	// of entries that come or go during the iteration. An error is the last thing
	// that is yielded.
	Entries() iter.Seq2[Entry, error]

	// OpenDir opens a directory.
	OpenDir(name string) (Dir, error)
	// OpenFile opens a file. Flag is one of os.O_RDONLY, os.O_WRONLY and
	// os.O_RDWR, with os.O_CREATE and os.O_EXCL where they are asked for.
	OpenFile(name string, flag int) (File, error)

	// Mkdir makes a directory.
	Mkdir(name string) error
	// Symlink makes a symbolic link that holds target.
	Symlink(target, name string) error
	// Readlink is what a symbolic link holds.
	Readlink(name string) (string, error)
	// Link gives file name the further name newName in directory to. If to
	// is of another file system, the error is EXDEV.
	Link(name string, to Dir, newName string) error
	// Rename moves name to newName in directory to, where it replaces a file, or
	// as a directory an empty directory. If to is of another file system, the
	// error is EXDEV. A directory cannot be moved below itself (EINVAL).
	Rename(name string, to Dir, newName string) error
	// Unlink removes anything but a directory (EISDIR).
	Unlink(name string) error
	// Rmdir removes an empty directory.
	Rmdir(name string) error

	// Close ends the use of this value, not of others for the same directory.
	Close() error
}

// File is an open file. It has no offset: the host keeps that. Its content
// stays as long as it is open, whatever becomes of its names.
//
// Methods may be called from several goroutines at a time.
type File interface {
	// ReadAt and WriteAt are called only as the file's flag allows. Writing after
	// the end fills the gap with zeros.
	io.ReaderAt
	io.WriterAt
	// Append writes b at the end, wherever that is by then, and returns where the
	// written bytes end.
	Append(b []byte) (n int, end int64, err error)
	// Truncate makes the content size bytes long, with zeros if it grows.
	Truncate(size int64) error
	// Stat are the attributes.
	Stat() (Stat, error)
	// SetTimes sets times. A zero time stays as it was.
	SetTimes(atime, mtime time.Time) error
	// Sync makes lasting what was written, as far as the file system can.
	Sync() error
	// Close ends the use of this value.
	Close() error
}

// ReadOnlyDir is for embedding into a [Dir] that nothing can be changed in: its
// methods refuse every change with EROFS.
type ReadOnlyDir struct{}

// SetTimes fails with EROFS.
func (ReadOnlyDir) SetTimes(string, time.Time, time.Time) error { return syscall.EROFS }

// Mkdir fails with EROFS.
func (ReadOnlyDir) Mkdir(string) error { return syscall.EROFS }

// Symlink fails with EROFS.
func (ReadOnlyDir) Symlink(string, string) error { return syscall.EROFS }

// Link fails with EROFS.
func (ReadOnlyDir) Link(string, Dir, string) error { return syscall.EROFS }

// Rename fails with EROFS.
func (ReadOnlyDir) Rename(string, Dir, string) error { return syscall.EROFS }

// Unlink fails with EROFS.
func (ReadOnlyDir) Unlink(string) error { return syscall.EROFS }

// Rmdir fails with EROFS.
func (ReadOnlyDir) Rmdir(string) error { return syscall.EROFS }

// ReadOnlyFile is for embedding into a [File] that cannot be changed.
type ReadOnlyFile struct{}

// WriteAt fails with EROFS.
func (ReadOnlyFile) WriteAt([]byte, int64) (int, error) { return 0, syscall.EROFS }

// Append fails with EROFS.
func (ReadOnlyFile) Append([]byte) (int, int64, error) { return 0, 0, syscall.EROFS }

// Truncate fails with EROFS.
func (ReadOnlyFile) Truncate(int64) error { return syscall.EROFS }

// SetTimes fails with EROFS.
func (ReadOnlyFile) SetTimes(time.Time, time.Time) error { return syscall.EROFS }

// Sync has nothing to do.
func (ReadOnlyFile) Sync() error { return nil }
