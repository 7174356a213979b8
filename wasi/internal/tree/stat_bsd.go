//go:build darwin || freebsd

package tree

import (
	"io/fs"
	"syscall"
	"time"

	"github.com/davit-wasm/davit/wasi/vfs"
)

func systemStat(info fs.FileInfo, s *vfs.Stat) {
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		s.Dev, s.Ino, s.Nlink = uint64(st.Dev), uint64(st.Ino), uint64(st.Nlink)
		s.Atime, s.Ctime = time.Unix(st.Atimespec.Unix()), time.Unix(st.Ctimespec.Unix())
	}
}
