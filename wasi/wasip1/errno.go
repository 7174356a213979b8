package wasip1

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"net"
	"os"
	"strconv"
	"syscall"
)

// Errno is an error number of WASI 0.1, as its functions return it to the
// program. 0 is success.
type Errno uint16

// Error numbers, in the words of the interface's description.
const (
	ErrnoSuccess Errno = iota
	Errno2Big
	ErrnoAcces
	ErrnoAddrInUse
	ErrnoAddrNotAvail
	ErrnoAFNoSupport
	ErrnoAgain
	ErrnoAlready
	ErrnoBadF
	ErrnoBadMsg
	ErrnoBusy
	ErrnoCanceled
	ErrnoChild
	ErrnoConnAborted
	ErrnoConnRefused
	ErrnoConnReset
	ErrnoDeadlk
	ErrnoDestAddrReq
	ErrnoDom
	ErrnoDQuot
	ErrnoExist
	ErrnoFault
	ErrnoFBig
	ErrnoHostUnreach
	ErrnoIdRm
	ErrnoIlSeq
	ErrnoInProgress
	ErrnoIntr
	ErrnoInval
	ErrnoIO
	ErrnoIsConn
	ErrnoIsDir
	ErrnoLoop
	ErrnoMFile
	ErrnoMLink
	ErrnoMsgSize
	ErrnoMultiHop
	ErrnoNameTooLong
	ErrnoNetDown
	ErrnoNetReset
	ErrnoNetUnreach
	ErrnoNFile
	ErrnoNoBufs
	ErrnoNoDev
	ErrnoNoEnt
	ErrnoNoExec
	ErrnoNoLck
	ErrnoNoLink
	ErrnoNoMem
	ErrnoNoMsg
	ErrnoNoProtoOpt
	ErrnoNoSpc
	ErrnoNoSys
	ErrnoNotConn
	ErrnoNotDir
	ErrnoNotEmpty
	ErrnoNotRecoverable
	ErrnoNotSock
	ErrnoNotSup
	ErrnoNoTTY
	ErrnoNXIO
	ErrnoOverflow
	ErrnoOwnerDead
	ErrnoPerm
	ErrnoPipe
	ErrnoProto
	ErrnoProtoNoSupport
	ErrnoPrototype
	ErrnoRange
	ErrnoROFS
	ErrnoSPipe
	ErrnoSrch
	ErrnoStale
	ErrnoTimedOut
	ErrnoTxtBsy
	ErrnoXDev
	ErrnoNotCapable
	numErrnos
)

var errnoNames = [numErrnos]string{
	"success", "2big", "acces", "addrinuse", "addrnotavail", "afnosupport", "again", "already", "badf", "badmsg",
	"busy", "canceled", "child", "connaborted", "connrefused", "connreset", "deadlk", "destaddrreq", "dom", "dquot",
	"exist", "fault", "fbig", "hostunreach", "idrm", "ilseq", "inprogress", "intr", "inval", "io", "isconn", "isdir",
	"loop", "mfile", "mlink", "msgsize", "multihop", "nametoolong", "netdown", "netreset", "netunreach", "nfile",
	"nobufs", "nodev", "noent", "noexec", "nolck", "nolink", "nomem", "nomsg", "noprotoopt", "nospc", "nosys",
	"notconn", "notdir", "notempty", "notrecoverable", "notsock", "notsup", "notty", "nxio", "overflow", "ownerdead",
	"perm", "pipe", "proto", "protonosupport", "prototype", "range", "rofs", "spipe", "srch", "stale", "timedout",
	"txtbsy", "xdev", "notcapable",
}

// Error returns the name of e in the interface's description.
func (e Errno) Error() string {
	if e < numErrnos {
		return "wasi errno " + errnoNames[e]
	}
	return "wasi errno " + strconv.Itoa(int(e))
}

// hostErrnos maps the error numbers that package syscall has on every system;
// it invents those that the system lacks.
var hostErrnos = map[syscall.Errno]Errno{
	syscall.E2BIG: Errno2Big, syscall.EACCES: ErrnoAcces, syscall.EAGAIN: ErrnoAgain, syscall.EBADF: ErrnoBadF,
	syscall.EBUSY: ErrnoBusy, syscall.ECANCELED: ErrnoCanceled, syscall.ECONNABORTED: ErrnoConnAborted,
	syscall.ECONNREFUSED: ErrnoConnRefused, syscall.ECONNRESET: ErrnoConnReset, syscall.EDEADLK: ErrnoDeadlk,
	syscall.EDOM: ErrnoDom, syscall.EDQUOT: ErrnoDQuot, syscall.EEXIST: ErrnoExist, syscall.EFAULT: ErrnoFault,
	syscall.EFBIG: ErrnoFBig, syscall.EILSEQ: ErrnoIlSeq, syscall.EINTR: ErrnoIntr, syscall.EINVAL: ErrnoInval,
	syscall.EIO: ErrnoIO, syscall.EISDIR: ErrnoIsDir, syscall.ELOOP: ErrnoLoop, syscall.EMFILE: ErrnoMFile,
	syscall.EMLINK: ErrnoMLink, syscall.ENAMETOOLONG: ErrnoNameTooLong, syscall.ENFILE: ErrnoNFile,
	syscall.ENODEV: ErrnoNoDev, syscall.ENOENT: ErrnoNoEnt, syscall.ENOLCK: ErrnoNoLck, syscall.ENOMEM: ErrnoNoMem,
	syscall.ENOSPC: ErrnoNoSpc, syscall.ENOSYS: ErrnoNoSys, syscall.ENOTDIR: ErrnoNotDir,
	syscall.ENOTEMPTY: ErrnoNotEmpty, syscall.ENOTSUP: ErrnoNotSup, syscall.ENOTTY: ErrnoNoTTY,
	syscall.ENXIO: ErrnoNXIO, syscall.EOVERFLOW: ErrnoOverflow, syscall.EPERM: ErrnoPerm, syscall.EPIPE: ErrnoPipe,
	syscall.ERANGE: ErrnoRange, syscall.EROFS: ErrnoROFS, syscall.ESPIPE: ErrnoSPipe, syscall.ESTALE: ErrnoStale,
	syscall.ETIMEDOUT: ErrnoTimedOut, syscall.ETXTBSY: ErrnoTxtBsy, syscall.EXDEV: ErrnoXDev,

	syscall.EADDRINUSE: ErrnoAddrInUse, syscall.EADDRNOTAVAIL: ErrnoAddrNotAvail, syscall.EALREADY: ErrnoAlready,
	syscall.EDESTADDRREQ: ErrnoDestAddrReq, syscall.EHOSTUNREACH: ErrnoHostUnreach,
	syscall.EINPROGRESS: ErrnoInProgress, syscall.EISCONN: ErrnoIsConn, syscall.EMSGSIZE: ErrnoMsgSize,
	syscall.ENETDOWN: ErrnoNetDown, syscall.ENETRESET: ErrnoNetReset, syscall.ENETUNREACH: ErrnoNetUnreach,
	syscall.ENOBUFS: ErrnoNoBufs, syscall.ENOTCONN: ErrnoNotConn, syscall.ENOTSOCK: ErrnoNotSock, syscall.EPROTO: ErrnoProto,
}

// errnoOf translates an error of the host.
func errnoOf(err error) Errno {
	if err == nil {
		return ErrnoSuccess
	}
	var e Errno
	if errors.As(err, &e) {
		return e
	}
	var se syscall.Errno
	if errors.As(err, &se) {
		if n, ok := hostErrnos[se]; ok {
			return n
		}
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return ErrnoNoEnt
	case errors.Is(err, fs.ErrExist):
		return ErrnoExist
	case errors.Is(err, fs.ErrPermission):
		return ErrnoAcces
	case errors.Is(err, fs.ErrClosed), errors.Is(err, net.ErrClosed):
		return ErrnoBadF
	case errors.Is(err, fs.ErrInvalid):
		return ErrnoInval
	case errors.Is(err, os.ErrDeadlineExceeded):
		return ErrnoAgain
	case errors.Is(err, errors.ErrUnsupported):
		return ErrnoNotSup
	case errors.Is(err, io.ErrClosedPipe):
		return ErrnoPipe
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return ErrnoCanceled
	}
	// Package os keeps its errors for these to itself.
	cause := err
	for u := errors.Unwrap(cause); u != nil; u = errors.Unwrap(cause) {
		cause = u
	}
	switch cause.Error() {
	case "path escapes from parent":
		return ErrnoPerm
	case "not a directory":
		return ErrnoNotDir
	case "too many symlinks", "too many steps in path":
		return ErrnoLoop
	}
	return ErrnoIO
}
