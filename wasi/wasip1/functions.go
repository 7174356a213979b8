package wasip1

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"math"

	"github.com/davit-wasm/davit"
)

// memory is the memory of the calling program.
type memory interface {
	// View returns the n bytes at offset, for as long as the call lasts, and
	// false if not all of them are in bounds.
	View(offset, n uint64) ([]byte, bool)
}

// function is a function of the interface.
type function struct {
	name string
	// params are the types of the parameters, 'i' for i32, 'I' for i64. Every
	// function but proc_exit has one result, an i32.
	params    string
	hasResult bool
	call      func(c *call, a []uint64) Errno
}

// functions are the functions of wasi_snapshot_preview1. All but sock_accept are
// in wasi_unstable too, with the same parameters.
var functions = [...]function{
	{"args_get", "ii", true, (*call).argsGet},
	{"args_sizes_get", "ii", true, (*call).argsSizesGet},
	{"environ_get", "ii", true, (*call).environGet},
	{"environ_sizes_get", "ii", true, (*call).environSizesGet},
	{"clock_res_get", "ii", true, (*call).clockResGet},
	{"clock_time_get", "iIi", true, (*call).clockTimeGet},
	{"fd_advise", "iIIi", true, (*call).fdAdvise},
	{"fd_allocate", "iII", true, (*call).fdAllocate},
	{"fd_close", "i", true, (*call).fdClose},
	{"fd_datasync", "i", true, (*call).fdDatasync},
	{"fd_fdstat_get", "ii", true, (*call).fdFdstatGet},
	{"fd_fdstat_set_flags", "ii", true, (*call).fdFdstatSetFlags},
	{"fd_fdstat_set_rights", "iII", true, (*call).fdFdstatSetRights},
	{"fd_filestat_get", "ii", true, (*call).fdFilestatGet},
	{"fd_filestat_set_size", "iI", true, (*call).fdFilestatSetSize},
	{"fd_filestat_set_times", "iIIi", true, (*call).fdFilestatSetTimes},
	{"fd_pread", "iiiIi", true, (*call).fdPread},
	{"fd_prestat_get", "ii", true, (*call).fdPrestatGet},
	{"fd_prestat_dir_name", "iii", true, (*call).fdPrestatDirName},
	{"fd_pwrite", "iiiIi", true, (*call).fdPwrite},
	{"fd_read", "iiii", true, (*call).fdRead},
	{"fd_readdir", "iiiIi", true, (*call).fdReaddir},
	{"fd_renumber", "ii", true, (*call).fdRenumber},
	{"fd_seek", "iIii", true, (*call).fdSeek},
	{"fd_sync", "i", true, (*call).fdSync},
	{"fd_tell", "ii", true, (*call).fdTell},
	{"fd_write", "iiii", true, (*call).fdWrite},
	{"path_create_directory", "iii", true, (*call).pathCreateDirectory},
	{"path_filestat_get", "iiiii", true, (*call).pathFilestatGet},
	{"path_filestat_set_times", "iiiiIIi", true, (*call).pathFilestatSetTimes},
	{"path_link", "iiiiiii", true, (*call).pathLink},
	{"path_open", "iiiiiIIii", true, (*call).pathOpen},
	{"path_readlink", "iiiiii", true, (*call).pathReadlink},
	{"path_remove_directory", "iii", true, (*call).pathRemoveDirectory},
	{"path_rename", "iiiiii", true, (*call).pathRename},
	{"path_symlink", "iiiii", true, (*call).pathSymlink},
	{"path_unlink_file", "iii", true, (*call).pathUnlinkFile},
	{"poll_oneoff", "iiii", true, (*call).pollOneoff},
	{"proc_exit", "i", false, (*call).procExit},
	{"proc_raise", "i", true, (*call).procRaise},
	{"sched_yield", "", true, (*call).schedYield},
	{"random_get", "ii", true, (*call).randomGet},
	{"sock_accept", "iii", true, (*call).sockAccept},
	{"sock_recv", "iiiiii", true, (*call).sockRecv},
	{"sock_send", "iiiii", true, (*call).sockSend},
	{"sock_shutdown", "ii", true, (*call).sockShutdown},
}

// call is a call of one of the functions. The arguments are 8-byte slots; of
// an i32 the upper half is undefined.
type call struct {
	*Process
	ctx    context.Context
	mem    memory
	layout *layout
	end    error // why the program ends here, instead of getting a result

	scratch []byte // kept for the next call
}

// invoke calls a function. args holds the arguments; the result, if there is one,
// is written to its first element. An error ends the program: an [*davit.ExitError]
// of proc_exit, or what ended ctx during a wait.
func (p *Process) invoke(ctx context.Context, f *function, l *layout, mem memory, args []uint64) error {
	c := p.calls.Get().(*call)
	c.Process, c.ctx, c.mem, c.layout = p, ctx, mem, l
	e := f.call(c, args)
	end := c.end
	*c = call{scratch: c.scratch[:0]}
	p.calls.Put(c)
	if f.hasResult {
		args[0] = uint64(e)
	}
	return end
}

// fail is the result of a function that met err: a number for the program, or
// the end of the program if its context has ended.
func (c *call) fail(err error) Errno {
	if err == nil {
		return ErrnoSuccess
	}
	if cause := context.Cause(c.ctx); cause != nil && (errors.Is(err, cause) || errors.Is(err, c.ctx.Err())) {
		c.end = err
	}
	return errnoOf(err)
}

func (c *call) view(offset, n uint64) ([]byte, Errno) {
	b, ok := c.mem.View(uint64(uint32(offset)), n)
	if !ok {
		return nil, ErrnoFault
	}
	return b, ErrnoSuccess
}

func (c *call) putU16(offset uint64, v uint16) Errno {
	b, e := c.view(offset, 2)
	if e == ErrnoSuccess {
		binary.LittleEndian.PutUint16(b, v)
	}
	return e
}

func (c *call) putU32(offset uint64, v uint32) Errno {
	b, e := c.view(offset, 4)
	if e == ErrnoSuccess {
		binary.LittleEndian.PutUint32(b, v)
	}
	return e
}

func (c *call) putU64(offset, v uint64) Errno {
	b, e := c.view(offset, 8)
	if e == ErrnoSuccess {
		binary.LittleEndian.PutUint64(b, v)
	}
	return e
}

func (c *call) putFilestat(offset uint64, s *filestat) Errno {
	b, e := c.view(offset, c.layout.filestatSize)
	if e == ErrnoSuccess {
		c.layout.putFilestat(b, s)
	}
	return e
}

// iovecs calls f for each buffer in an array of buffers, until f returns false.
func (c *call) iovecs(array, n uint64, f func(b []byte) bool) Errno {
	n = uint64(uint32(n))
	if n > uint64(c.limits.Iovecs) {
		return ErrnoInval
	}
	list, e := c.view(array, n*iovecSize)
	if e != ErrnoSuccess {
		return e
	}
	for ; len(list) > 0; list = list[iovecSize:] {
		b, e := c.view(uint64(binary.LittleEndian.Uint32(list)), uint64(binary.LittleEndian.Uint32(list[4:])))
		if e != ErrnoSuccess {
			return e
		}
		if len(b) > 0 && !f(b) {
			return ErrnoSuccess
		}
	}
	return ErrnoSuccess
}

// Arguments and environment.

func (c *call) argsSizesGet(a []uint64) Errno    { return c.stringsSizes(c.args, a) }
func (c *call) argsGet(a []uint64) Errno         { return c.strings(c.args, a) }
func (c *call) environSizesGet(a []uint64) Errno { return c.stringsSizes(c.env, a) }
func (c *call) environGet(a []uint64) Errno      { return c.strings(c.env, a) }

func stringsSize(list []string) (n uint64) {
	for _, s := range list {
		n += uint64(len(s)) + 1
	}
	return n
}

func (c *call) stringsSizes(list []string, a []uint64) Errno {
	size := stringsSize(list)
	if size > math.MaxUint32 {
		return ErrnoOverflow
	}
	if e := c.putU32(a[0], uint32(len(list))); e != ErrnoSuccess {
		return e
	}
	return c.putU32(a[1], uint32(size))
}

// strings writes the addresses of the strings to a[0] and the strings, each
// with a zero byte at its end, to a[1].
func (c *call) strings(list []string, a []uint64) Errno {
	table, e := c.view(a[0], uint64(len(list))*4)
	if e != ErrnoSuccess {
		return e
	}
	text, e := c.view(a[1], stringsSize(list))
	if e != ErrnoSuccess {
		return e
	}
	at := uint32(a[1])
	for i, s := range list {
		binary.LittleEndian.PutUint32(table[4*i:], at)
		copy(text, s)
		text[len(s)] = 0
		text = text[len(s)+1:]
		at += uint32(len(s)) + 1
	}
	return ErrnoSuccess
}

// Random numbers.

// randomChunk is how much random_get fetches between looks at the context.
const randomChunk = 1 << 20

func (c *call) randomGet(a []uint64) Errno {
	n := uint64(uint32(a[1]))
	if n > uint64(c.limits.TransferBytes) {
		return ErrnoInval
	}
	b, e := c.view(a[0], n)
	if e != ErrnoSuccess {
		return e
	}
	for len(b) > 0 {
		n := min(len(b), randomChunk)
		if _, err := io.ReadFull(c.random, b[:n]); err != nil {
			return ErrnoIO
		}
		b = b[n:]
		if c.ctx.Err() != nil {
			return c.fail(context.Cause(c.ctx))
		}
	}
	return ErrnoSuccess
}

// The process.

func (c *call) procExit(a []uint64) Errno {
	c.end = &davit.ExitError{Code: uint32(a[0])}
	return ErrnoSuccess
}

// Signals whose default is not to end the process.
const (
	signalNone  = 0
	signalChld  = 16
	signalCont  = 17
	signalStop  = 18
	signalTtou  = 21
	signalUrg   = 22
	signalWinch = 27
	signalLast  = 30
)

// procRaise does what a signal does by default, as nothing else can be asked
// for: it ends the program, with the exit code that shells have for that.
func (c *call) procRaise(a []uint64) Errno {
	switch s := uint32(a[0]); {
	case s > signalLast:
		return ErrnoInval
	case s == signalNone, s == signalChld, s == signalCont, s == signalUrg, s == signalWinch:
		return ErrnoSuccess
	case s >= signalStop && s <= signalTtou:
		return ErrnoNotSup // there is nobody who would let it go on
	default:
		c.end = &davit.ExitError{Code: 128 + s}
		return ErrnoSuccess
	}
}

func (c *call) schedYield(a []uint64) Errno {
	c.yield()
	return ErrnoSuccess
}
