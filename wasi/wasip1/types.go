package wasip1

import (
	"encoding/binary"
	"io"
	"io/fs"
	"math"
	"time"

	"github.com/davit-wasm/davit/wasi/vfs"
)

// rights say what may be done with a descriptor.
type rights uint64

const (
	rightFdDatasync rights = 1 << iota
	rightFdRead
	rightFdSeek
	rightFdstatSetFlags
	rightFdSync
	rightFdTell
	rightFdWrite
	rightFdAdvise
	rightFdAllocate
	rightPathCreateDirectory
	rightPathCreateFile
	rightPathLinkSource
	rightPathLinkTarget
	rightPathOpen
	rightFdReaddir
	rightPathReadlink
	rightPathRenameSource
	rightPathRenameTarget
	rightPathFilestatGet
	rightPathFilestatSetSize
	rightPathFilestatSetTimes
	rightFdFilestatGet
	rightFdFilestatSetSize
	rightFdFilestatSetTimes
	rightPathSymlink
	rightPathRemoveDirectory
	rightPathUnlinkFile
	rightPollFdReadwrite
	rightSockShutdown
	rightSockAccept
)

const (
	// directoryRights are what can be done with a directory itself.
	directoryRights = rightFdstatSetFlags | rightFdSync | rightFdDatasync | rightFdAdvise | rightPathCreateDirectory |
		rightPathCreateFile | rightPathLinkSource | rightPathLinkTarget | rightPathOpen | rightFdReaddir |
		rightPathReadlink | rightPathRenameSource | rightPathRenameTarget | rightPathFilestatGet |
		rightPathFilestatSetSize | rightPathFilestatSetTimes | rightFdFilestatGet | rightFdFilestatSetTimes |
		rightPathSymlink | rightPathRemoveDirectory | rightPathUnlinkFile | rightPollFdReadwrite
	// fileRights are what can be done with a file.
	fileRights = rightFdDatasync | rightFdRead | rightFdSeek | rightFdstatSetFlags | rightFdSync | rightFdTell |
		rightFdWrite | rightFdAdvise | rightFdAllocate | rightFdFilestatGet | rightFdFilestatSetSize |
		rightFdFilestatSetTimes | rightPollFdReadwrite
	// streamRights are what can be done with a stream, beside reading or writing.
	streamRights = rightFdstatSetFlags | rightFdSync | rightFdDatasync | rightFdFilestatGet | rightPollFdReadwrite
	// connRights are what can be done with a connection.
	connRights = rightFdRead | rightFdWrite | rightFdstatSetFlags | rightFdFilestatGet | rightPollFdReadwrite |
		rightSockShutdown
	socketRights = rightSockShutdown | rightSockAccept

	// contentWriteRights need a file that is open for writing.
	contentWriteRights = rightFdWrite | rightFdAllocate | rightFdFilestatSetSize
	// writeRights change something; a read-only mount grants none of them.
	writeRights = contentWriteRights | rightPathCreateDirectory | rightPathCreateFile | rightPathLinkSource |
		rightPathLinkTarget | rightPathRenameSource | rightPathRenameTarget | rightPathFilestatSetSize |
		rightPathFilestatSetTimes | rightFdFilestatSetTimes | rightPathSymlink | rightPathRemoveDirectory |
		rightPathUnlinkFile
)

// Descriptor flags.
const (
	fdflagAppend uint16 = 1 << iota
	fdflagDsync
	fdflagNonblock
	fdflagRsync
	fdflagSync
	fdflagsAll = 1<<iota - 1
)

// Flags of path_open.
const (
	oflagCreat uint16 = 1 << iota
	oflagDirectory
	oflagExcl
	oflagTrunc
	oflagsAll = 1<<iota - 1
)

const lookupSymlinkFollow = 1

// Flags of fd_filestat_set_times and path_filestat_set_times.
const (
	fstAtim uint16 = 1 << iota
	fstAtimNow
	fstMtim
	fstMtimNow
	fstAll = 1<<iota - 1
)

// filetype is the kind of a file.
type filetype uint8

const (
	filetypeUnknown filetype = iota
	filetypeBlockDevice
	filetypeCharacterDevice
	filetypeDirectory
	filetypeRegularFile
	filetypeSocketDgram
	filetypeSocketStream
	filetypeSymbolicLink
)

func filetypeOf(m fs.FileMode) filetype {
	switch m.Type() {
	case 0:
		return filetypeRegularFile
	case fs.ModeDir:
		return filetypeDirectory
	case fs.ModeSymlink:
		return filetypeSymbolicLink
	case fs.ModeSocket:
		return filetypeSocketStream
	case fs.ModeDevice:
		return filetypeBlockDevice
	case fs.ModeDevice | fs.ModeCharDevice, fs.ModeCharDevice:
		return filetypeCharacterDevice
	}
	return filetypeUnknown
}

// Sizes of records in the program's memory. Those of subscriptions and
// filestats differ between the versions of the interface.
const (
	fdstatSize  = 24
	prestatSize = 8
	direntSize  = 24
	iovecSize   = 8
	eventSize   = 32
)

// layout is where the versions of the interface differ: their records, and the
// numbers of whence.
type layout struct {
	filestatSize                    uint64
	wideNlink                       bool // the number of links has 64 bits
	subscriptionSize                uint64
	clockAt                         int // offset of a clock's record in a subscription
	whenceSet, whenceCur, whenceEnd uint32
}

var (
	preview1 = layout{filestatSize: 64, wideNlink: true, subscriptionSize: 48, clockAt: 16, whenceSet: 0, whenceCur: 1, whenceEnd: 2}
	// unstable has 32-bit numbers of links, and an identifier before the clock
	// of a subscription.
	unstable = layout{filestatSize: 56, subscriptionSize: 56, clockAt: 24, whenceCur: 0, whenceEnd: 1, whenceSet: 2}
)

// whence is a value of whence as package io has it.
func (l *layout) whence(w uint32) (int, bool) {
	switch w {
	case l.whenceSet:
		return io.SeekStart, true
	case l.whenceCur:
		return io.SeekCurrent, true
	case l.whenceEnd:
		return io.SeekEnd, true
	}
	return 0, false
}

// filestat are the attributes of a file.
type filestat struct {
	dev, ino         uint64
	filetype         filetype
	nlink, size      uint64
	atim, mtim, ctim uint64 // ns since 1970
}

func (l *layout) putFilestat(b []byte, s *filestat) {
	le := binary.LittleEndian
	clear(b[:l.filestatSize])
	le.PutUint64(b[0:], s.dev)
	le.PutUint64(b[8:], s.ino)
	b[16] = byte(s.filetype)
	if l.wideNlink {
		le.PutUint64(b[24:], s.nlink)
		b = b[32:]
	} else {
		le.PutUint32(b[20:], uint32(min(s.nlink, math.MaxUint32)))
		b = b[24:]
	}
	le.PutUint64(b[0:], s.size)
	le.PutUint64(b[8:], s.atim)
	le.PutUint64(b[16:], s.mtim)
	le.PutUint64(b[24:], s.ctim)
}

// filestatOf is s in the form of the interface: it has no times before 1970.
func filestatOf(s *vfs.Stat) filestat {
	return filestat{
		dev: s.Dev, ino: s.Ino, filetype: filetypeOf(s.Mode), nlink: s.Nlink, size: uint64(max(s.Size, 0)),
		atim: timestamp(s.Atime), mtim: timestamp(s.Mtime), ctim: timestamp(s.Ctime),
	}
}

func timestamp(t time.Time) uint64 {
	if t.Unix() <= 0 { // also the zero time, of which UnixNano is undefined
		return 0
	}
	return uint64(t.UnixNano())
}

// fileTimes are the times to set; a zero time means: leave it.
type fileTimes struct{ atim, mtim time.Time }

// timesOf decodes the arguments of the functions that set times.
func timesOf(atim, mtim uint64, flags uint32, now func() time.Time) (t fileTimes, e Errno) {
	if flags&^uint32(fstAll) != 0 {
		return t, ErrnoInval
	}
	f := uint16(flags)
	if f&fstAtim != 0 && f&fstAtimNow != 0 || f&fstMtim != 0 && f&fstMtimNow != 0 {
		return t, ErrnoInval
	}
	switch {
	case f&fstAtim != 0:
		t.atim = timeOf(atim)
	case f&fstAtimNow != 0:
		t.atim = now()
	}
	switch {
	case f&fstMtim != 0:
		t.mtim = timeOf(mtim)
	case f&fstMtimNow != 0:
		t.mtim = now()
	}
	return t, ErrnoSuccess
}

// timeOf is the time of a timestamp.
func timeOf(ns uint64) time.Time { return time.Unix(int64(ns/1e9), int64(ns%1e9)) }
