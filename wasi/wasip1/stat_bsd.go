//go:build darwin || freebsd

package wasip1

import (
	"io/fs"
	"syscall"
)

func systemStat(info fs.FileInfo, s *filestat) {
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		s.dev, s.ino, s.nlink = uint64(st.Dev), uint64(st.Ino), uint64(st.Nlink)
		s.atim, s.mtim, s.ctim = max(st.Atimespec.Nano(), 0), max(st.Mtimespec.Nano(), 0), max(st.Ctimespec.Nano(), 0)
	}
}
