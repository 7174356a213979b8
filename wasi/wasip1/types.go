package wasip1

import (
	"encoding/binary"
	"io/fs"
	"time"
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
	// streamRights are what can be done with a standard stream. Without seek and
	// tell, libc takes a character device for a terminal.
	streamRights = rightFdstatSetFlags | rightFdSync | rightFdDatasync | rightFdFilestatGet | rightPollFdReadwrite

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

// Values of whence.
const (
	whenceSet = iota
	whenceCur
	whenceEnd
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

// Sizes of records in the program's memory.
const (
	filestatSize     = 64
	fdstatSize       = 24
	prestatSize      = 8
	direntSize       = 24
	iovecSize        = 8
	subscriptionSize = 48
	eventSize        = 32
)

// filestat are the attributes of a file.
type filestat struct {
	dev, ino         uint64
	filetype         filetype
	nlink, size      uint64
	atim, mtim, ctim int64 // ns since 1970
}

func (s *filestat) put(b []byte) {
	le := binary.LittleEndian
	clear(b[:filestatSize])
	le.PutUint64(b[0:], s.dev)
	le.PutUint64(b[8:], s.ino)
	b[16] = byte(s.filetype)
	le.PutUint64(b[24:], s.nlink)
	le.PutUint64(b[32:], s.size)
	le.PutUint64(b[40:], uint64(s.atim))
	le.PutUint64(b[48:], uint64(s.mtim))
	le.PutUint64(b[56:], uint64(s.ctim))
}

// filestatOf is the filestat of info; what the system does not tell is 0, or
// the time of modification.
func filestatOf(info fs.FileInfo) filestat {
	mtim := max(info.ModTime().UnixNano(), 0)
	s := filestat{filetype: filetypeOf(info.Mode()), nlink: 1, size: uint64(info.Size()), atim: mtim, mtim: mtim, ctim: mtim}
	systemStat(info, &s)
	return s
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
		t.atim = time.Unix(0, int64(atim))
	case f&fstAtimNow != 0:
		t.atim = now()
	}
	switch {
	case f&fstMtim != 0:
		t.mtim = time.Unix(0, int64(mtim))
	case f&fstMtimNow != 0:
		t.mtim = now()
	}
	return t, ErrnoSuccess
}
