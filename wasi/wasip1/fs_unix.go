//go:build unix

package wasip1

import (
	"os"
	"runtime"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// openNonblock keeps the opening of a pipe from waiting for its other end.
const openNonblock = syscall.O_NONBLOCK

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
	switch name {
	case "..", "":
		return ErrnoNotEmpty // of every directory there is an entry: the one we came from
	case ".":
		return ErrnoInval
	}
	dir, err := root.OpenFile(parent, os.O_RDONLY|syscall.O_DIRECTORY, 0)
	if err != nil {
		return err
	}
	defer dir.Close()
	conn, err := dir.SyscallConn()
	if err != nil {
		return err
	}
	var inner error
	err = conn.Control(func(fd uintptr) {
		for {
			if inner = f(int(fd), name); inner != unix.EINTR {
				return
			}
		}
	})
	if err != nil {
		return err
	}
	return inner
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
				return ErrnoIsDir
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

func setLinkTimes(root *os.Root, path string, t fileTimes) error {
	return inParent(root, path, func(dir int, name string) error {
		var ts [2]unix.Timespec
		var st unix.Stat_t
		if t.atim.IsZero() || t.mtim.IsZero() {
			if err := unix.Fstatat(dir, name, &st, unix.AT_SYMLINK_NOFOLLOW); err != nil {
				return err
			}
			ts[0], ts[1] = statTimes(&st)
		}
		if !t.atim.IsZero() {
			ts[0] = unix.NsecToTimespec(t.atim.UnixNano())
		}
		if !t.mtim.IsZero() {
			ts[1] = unix.NsecToTimespec(t.mtim.UnixNano())
		}
		return unix.UtimesNanoAt(dir, name, ts[:], unix.AT_SYMLINK_NOFOLLOW)
	})
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
