package wasip1

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"math"

	"github.com/davit-wasm/davit/wasi/internal/tree"
)

func (c *call) fdClose(a []uint64) Errno    { return c.closeFd(uint32(a[0])) }
func (c *call) fdRenumber(a []uint64) Errno { return c.renumber(uint32(a[0]), uint32(a[1])) }

func (c *call) fdAdvise(a []uint64) Errno {
	d, e := c.get(uint32(a[0]), rightFdAdvise)
	if e != ErrnoSuccess {
		return e
	}
	if uint32(a[3]) > 5 || int64(a[2]) < 0 {
		return ErrnoInval
	}
	if d.dir != nil {
		return ErrnoBadF
	}
	return ErrnoSuccess // advice may be ignored
}

func (c *call) fdAllocate(a []uint64) Errno {
	d, e := c.get(uint32(a[0]), rightFdAllocate)
	if e != ErrnoSuccess {
		return e
	}
	offset, n := int64(a[1]), int64(a[2])
	if offset < 0 || n <= 0 {
		return ErrnoInval
	}
	if offset > math.MaxInt64-n {
		return ErrnoFBig
	}
	if f, ok := d.file.(*tree.HostFile); ok {
		return errnoOf(f.Allocate(offset, n))
	}
	s, err := d.file.Stat()
	if err == nil && s.Size < offset+n {
		err = d.file.Truncate(offset + n)
	}
	return errnoOf(err)
}

func (c *call) fdSync(a []uint64) Errno     { return c.sync(a, rightFdSync) }
func (c *call) fdDatasync(a []uint64) Errno { return c.sync(a, rightFdDatasync) }

func (c *call) sync(a []uint64, need rights) Errno {
	d, e := c.get(uint32(a[0]), need)
	if e != ErrnoSuccess {
		return e
	}
	switch {
	case d.dir != nil:
		return errnoOf(d.dir.Sync())
	case d.file != nil:
		return errnoOf(d.file.Sync())
	}
	return ErrnoSuccess // streams hold nothing back
}

func (c *call) fdFdstatGet(a []uint64) Errno {
	d, base, inheriting, e := c.lookup(uint32(a[0]))
	if e != ErrnoSuccess {
		return e
	}
	b, e := c.view(a[1], fdstatSize)
	if e != ErrnoSuccess {
		return e
	}
	clear(b)
	b[0] = byte(d.filetype())
	binary.LittleEndian.PutUint16(b[2:], d.fdflags())
	binary.LittleEndian.PutUint64(b[8:], uint64(base))
	binary.LittleEndian.PutUint64(b[16:], uint64(inheriting))
	return ErrnoSuccess
}

func (c *call) fdFdstatSetFlags(a []uint64) Errno {
	d, e := c.get(uint32(a[0]), rightFdstatSetFlags)
	if e != ErrnoSuccess {
		return e
	}
	f := uint32(a[1])
	if f&^uint32(fdflagsAll) != 0 {
		return ErrnoInval
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	const settable = fdflagAppend | fdflagNonblock
	if (uint16(f)^d.flags)&^settable != 0 {
		return ErrnoNotSup // as with fcntl, synchronous writing is chosen on opening
	}
	d.flags = uint16(f)
	return ErrnoSuccess
}

func (c *call) fdFdstatSetRights(a []uint64) Errno {
	return c.setRights(uint32(a[0]), rights(a[1]), rights(a[2]))
}

func (c *call) fdFilestatGet(a []uint64) Errno {
	d, e := c.get(uint32(a[0]), rightFdFilestatGet)
	if e != ErrnoSuccess {
		return e
	}
	s, e := d.stat()
	if e != ErrnoSuccess {
		return e
	}
	return c.putFilestat(a[1], &s)
}

func (c *call) fdFilestatSetSize(a []uint64) Errno {
	d, e := c.get(uint32(a[0]), rightFdFilestatSetSize)
	if e != ErrnoSuccess {
		return e
	}
	if int64(a[1]) < 0 {
		return ErrnoInval
	}
	return errnoOf(d.file.Truncate(int64(a[1])))
}

func (c *call) fdFilestatSetTimes(a []uint64) Errno {
	d, e := c.get(uint32(a[0]), rightFdFilestatSetTimes)
	if e != ErrnoSuccess {
		return e
	}
	t, e := timesOf(a[1], a[2], uint32(a[3]), c.now)
	if e != ErrnoSuccess {
		return e
	}
	if d.dir != nil {
		return errnoOf(d.dir.SetTimes(".", false, t.atim, t.mtim))
	}
	return errnoOf(d.file.SetTimes(t.atim, t.mtim))
}

func (c *call) fdPrestatGet(a []uint64) Errno {
	d, e := c.get(uint32(a[0]), 0)
	if e != ErrnoSuccess {
		return e
	}
	if !d.isPreopen {
		return ErrnoBadF
	}
	b, e := c.view(a[1], prestatSize)
	if e == ErrnoSuccess {
		clear(b) // tag 0: a directory
		binary.LittleEndian.PutUint32(b[4:], uint32(len(d.preopen)))
	}
	return e
}

func (c *call) fdPrestatDirName(a []uint64) Errno {
	d, e := c.get(uint32(a[0]), 0)
	if e != ErrnoSuccess {
		return e
	}
	if !d.isPreopen {
		return ErrnoBadF
	}
	if uint64(uint32(a[2])) < uint64(len(d.preopen)) {
		return ErrnoNameTooLong
	}
	b, e := c.view(a[1], uint64(len(d.preopen)))
	if e == ErrnoSuccess {
		copy(b, d.preopen)
	}
	return e
}

// Reading and writing. A call that has moved some bytes reports them; what
// went wrong after that shows in the next call.

func (c *call) fdRead(a []uint64) Errno {
	d, e := c.get(uint32(a[0]), rightFdRead)
	if e != ErrnoSuccess {
		return e
	}
	return c.transfer(a[1], a[2], a[3], func(b []byte, done uint32) (int, error) {
		if done > 0 && d.stream != nil {
			return 0, io.EOF // more might block
		}
		return d.read(c.ctx, b)
	})
}

func (c *call) fdWrite(a []uint64) Errno {
	d, e := c.get(uint32(a[0]), rightFdWrite)
	if e != ErrnoSuccess {
		return e
	}
	if d.stream != nil {
		return c.send(d, a[1], a[2], a[3])
	}
	return c.transfer(a[1], a[2], a[3], func(b []byte, done uint32) (int, error) { return d.write(b) })
}

// send writes the buffers of an array to a stream, at once: writers see a line, or
// a datagram, as one write even if the program has it in pieces.
func (c *call) send(d *descriptor, array, n, result uint64) Errno {
	var whole []byte
	pieces := 0
	e := c.iovecs(array, n, func(b []byte) bool {
		b = b[:min(len(b), c.limits.TransferBytes-len(whole))]
		switch pieces++; pieces {
		case 1:
			whole = b
			return true
		case 2:
			c.scratch = append(c.scratch[:0], whole[:min(len(whole), maxOperation)]...)
		}
		c.scratch = append(c.scratch, b[:min(len(b), maxOperation-len(c.scratch))]...)
		whole = c.scratch
		return len(whole) < maxOperation
	})
	if e != ErrnoSuccess {
		return e
	}
	k, err := d.stream.write(c.ctx, whole, d.nonblock())
	if err != nil && k == 0 {
		return c.fail(err)
	}
	return c.putU32(result, uint32(k))
}

func (c *call) fdPread(a []uint64) Errno {
	return c.transferAt(a, rightFdRead, func(d *descriptor, b []byte, offset int64) (int, error) {
		return d.file.ReadAt(b, offset)
	})
}

func (c *call) fdPwrite(a []uint64) Errno {
	return c.transferAt(a, rightFdWrite, func(d *descriptor, b []byte, offset int64) (int, error) {
		n, err := d.file.WriteAt(b, offset)
		d.mu.Lock()
		defer d.mu.Unlock()
		return n, d.synced(err)
	})
}

// transferAt is fd_pread and fd_pwrite.
func (c *call) transferAt(a []uint64, need rights, f func(d *descriptor, b []byte, offset int64) (int, error)) Errno {
	d, e := c.get(uint32(a[0]), need|rightFdSeek)
	if e != ErrnoSuccess {
		return e
	}
	if d.file == nil {
		return ErrnoSPipe
	}
	offset := int64(a[3])
	if offset < 0 {
		return ErrnoInval
	}
	return c.transfer(a[1], a[2], a[4], func(b []byte, done uint32) (int, error) {
		at := offset + int64(done)
		if at < 0 {
			return 0, ErrnoFBig
		}
		return f(d, b, at)
	})
}

// transferChunk is how much is moved between looks at the context.
const transferChunk = 16 << 20

// transfer moves bytes between the buffers of an array and f, which gets the
// number of bytes moved so far, until f moves less than it was asked to. It
// writes the sum to address result.
func (c *call) transfer(array, n, result uint64, f func(b []byte, done uint32) (int, error)) Errno {
	var done uint32
	var failed error
	e := c.iovecs(array, n, func(b []byte) bool {
		for len(b) > 0 {
			part := b[:min(len(b), transferChunk, c.limits.TransferBytes-int(done))]
			if len(part) == 0 {
				return false
			}
			n, err := f(part, done)
			done += uint32(n)
			if err != nil {
				failed = err
			}
			if err != nil || n < len(part) {
				return false
			}
			b = b[n:]
			if len(b) > 0 && c.ctx.Err() != nil {
				failed = context.Cause(c.ctx)
				return false
			}
		}
		return true
	})
	if e != ErrnoSuccess && done == 0 {
		return e
	}
	if failed != nil && !errors.Is(failed, io.EOF) && done == 0 {
		return c.fail(failed)
	}
	return c.putU32(result, done)
}

func (c *call) fdSeek(a []uint64) Errno {
	whence, ok := c.layout.whence(uint32(a[2]))
	if !ok {
		whence = -1
	}
	return c.seek(a[0], int64(a[1]), whence, a[3])
}

func (c *call) fdTell(a []uint64) Errno { return c.seek(a[0], 0, io.SeekCurrent, a[1]) }

// seek moves the offset of a file and writes where it is to address result.
// The right to seek implies that to ask.
func (c *call) seek(fd uint64, offset int64, whence int, result uint64) Errno {
	d, base, _, e := c.lookup(uint32(fd))
	if e != ErrnoSuccess {
		return e
	}
	need := rightFdSeek
	if offset == 0 && whence == io.SeekCurrent && base&rightFdSeek == 0 {
		need = rightFdTell
	}
	switch {
	case base&need == 0:
		return d.refusal(need)
	case d.file == nil:
		return ErrnoSPipe
	case whence < 0:
		return ErrnoInval
	}
	at, e := d.seek(offset, whence)
	if e != ErrnoSuccess {
		return e
	}
	return c.putU64(result, uint64(at))
}
