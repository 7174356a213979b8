// Package tree has directories as guests use them: by paths with several
// elements, symbolic links and `..`, none of which leads out of the directory.
//
// There are two kinds. A directory of the host is an [os.Root], which knows how
// to walk a path without being led astray; a directory of package vfs is walked
// here.
package tree

import (
	"iter"
	"time"

	"github.com/davit-wasm/davit/wasi/vfs"
)

// Dir is an open directory. Paths are relative, not empty, and do not end in
// slashes; one that leads out of the directory is an error ([syscall.EPERM], or
// that of [os.Root]). Follow says whether a symbolic link at the end of
// a path is followed; links before the end always are. Methods may be called from
// several goroutines at a time.
type Dir interface {
	// Lookup are the attributes of what is at path; "." is the directory itself.
	Lookup(path string, follow bool) (vfs.Stat, error)
	// SetTimes sets times of what is at path; a zero time stays as it was.
	SetTimes(path string, follow bool, atime, mtime time.Time) error
	// Entries are the entries of the directory itself, as in [vfs.Dir].
	Entries() iter.Seq2[vfs.Entry, error]

	// OpenDir opens a directory; a link at the end of path is followed.
	OpenDir(path string) (Dir, error)
	// OpenFile opens a file with flags as in [vfs.Dir].
	OpenFile(path string, follow bool, flag int) (vfs.File, error)

	Mkdir(path string) error
	Symlink(target, path string) error
	Readlink(path string) (string, error)
	Link(path string, to Dir, newPath string) error
	Rename(path string, to Dir, newPath string) error
	Unlink(path string) error
	Rmdir(path string) error

	// Sync makes lasting what was changed in the directory, as far as possible.
	Sync() error
	Close() error
}
