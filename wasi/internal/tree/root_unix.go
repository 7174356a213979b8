//go:build unix

package tree

import (
	"io"
	"os"
	"runtime"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Operations that package os has only for paths in one root, or only for files
// and directories alike, are done here on the last element of a path, in its
// directory: a system call on a name without slashes that follows no links
// cannot leave the directory.

// inParent calls f with the directory that holds the last element of path, and
// that element.
func inParent(root *os.Root, path string, f func(dir int, name string) error) error {
	parent, name := ".", path
	if i := strings.LastIndexByte(path, '/'); i >= 0 {
		parent, name = path[:i], path[i+1:]
	}
	if name == "." || name == ".." {
		return fixedName(path)
	}
	dir, err := root.OpenFile(parent, os.O_RDONLY|syscall.O_DIRECTORY, 0)
	if err != nil {
		return err
	}
	defer dir.Close()
	return control(dir, func(fd int) error { return f(fd, name) })
}

// control calls do with the descriptor of f, again for as long as signals
// interrupt it.
func control(f *os.File, do func(fd int) error) error {
	conn, err := f.SyscallConn()
	if err != nil {
		return err
	}
	var inner error
	err = conn.Control(func(fd uintptr) {
		for {
			if inner = do(int(fd)); inner != unix.EINTR {
				return
			}
		}
	})
	if err != nil {
		return err
	}
	return inner
}

// openFile opens what may be a pipe, without waiting for its other end.
func openFile(root *os.Root, path string, follow bool, flag int) (*os.File, error) {
	flag |= syscall.O_NONBLOCK | syscall.O_NOCTTY
	if follow {
		return root.OpenFile(path, flag, 0o666)
	}
	var f *os.File
	err := inParent(root, path, func(dir int, name string) error {
		fd, err := unix.Openat(dir, name, flag|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o666)
		if err == unix.EMLINK {
			return unix.ELOOP // as FreeBSD says that it met a link
		}
		if err == nil {
			f = os.NewFile(uintptr(fd), path)
		}
		return err
	})
	return f, err
}

// setAppend says whether every write goes to the end of the file.
func setAppend(f *os.File, on bool) error {
	return control(f, func(fd int) error {
		flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0)
		if err != nil {
			return err
		}
		flags &^= unix.O_APPEND
		if on {
			flags |= unix.O_APPEND
		}
		_, err = unix.FcntlInt(uintptr(fd), unix.F_SETFL, flags)
		return err
	})
}

// appendTo writes at the end of a file that appends.
func appendTo(f *os.File, b []byte) (n int, end int64, err error) {
	n, err = f.Write(b)
	if err != nil {
		return n, 0, err
	}
	end, err = f.Seek(0, io.SeekCurrent)
	return n, end, err
}

func removeDirectory(root *os.Root, path string) error {
	return inParent(root, path, func(dir int, name string) error {
		return unix.Unlinkat(dir, name, unix.AT_REMOVEDIR)
	})
}

func unlinkFile(root *os.Root, path string) error {
	return inParent(root, path, func(dir int, name string) error {
		err := unix.Unlinkat(dir, name, 0)
		if err == unix.EPERM && runtime.GOOS != "linux" {
			// What POSIX wants for directories; Linux says EISDIR.
			var st unix.Stat_t
			if unix.Fstatat(dir, name, &st, unix.AT_SYMLINK_NOFOLLOW) == nil && st.Mode&unix.S_IFMT == unix.S_IFDIR {
				return syscall.EISDIR
			}
		}
		return err
	})
}

func rename(from *os.Root, oldPath string, to *os.Root, newPath string) error {
	return inParent(from, oldPath, func(oldDir int, oldName string) error {
		return inParent(to, newPath, func(newDir int, newName string) error {
			return unix.Renameat(oldDir, oldName, newDir, newName)
		})
	})
}

func link(from *os.Root, oldPath string, to *os.Root, newPath string) error {
	return inParent(from, oldPath, func(oldDir int, oldName string) error {
		return inParent(to, newPath, func(newDir int, newName string) error {
			return unix.Linkat(oldDir, oldName, newDir, newName, 0)
		})
	})
}

func setLinkTimes(root *os.Root, path string, atime, mtime time.Time) error {
	return inParent(root, path, func(dir int, name string) error {
		var st unix.Stat_t
		if err := unix.Fstatat(dir, name, &st, unix.AT_SYMLINK_NOFOLLOW); err != nil {
			return err
		}
		ts := newTimes(&st, atime, mtime)
		return unix.UtimesNanoAt(dir, name, ts[:], unix.AT_SYMLINK_NOFOLLOW)
	})
}

// newTimes are the times to set where zero times stay as they are in st.
func newTimes(st *unix.Stat_t, atime, mtime time.Time) (ts [2]unix.Timespec) {
	ts[0], ts[1] = statTimes(st)
	if !atime.IsZero() {
		ts[0] = unix.NsecToTimespec(atime.UnixNano())
	}
	if !mtime.IsZero() {
		ts[1] = unix.NsecToTimespec(mtime.UnixNano())
	}
	return ts
}

// syncDir makes changes of a directory lasting.
func syncDir(root *os.Root) error {
	f, err := root.Open(".")
	if err != nil {
		return err
	}
	defer f.Close()
	return f.Sync()
}
