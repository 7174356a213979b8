package wasip1

import (
	"encoding/binary"
	"errors"
	"io"
	"net"
)

// Flags of sock_recv, and its result's.
const (
	recvPeek uint32 = 1 << iota
	recvWaitall

	recvDataTruncated = 1
)

// Ways of sock_shutdown.
const (
	shutdownRead uint32 = 1 << iota
	shutdownWrite
)

// socket finds a descriptor of a connection that has all rights of need.
func (c *call) socket(fd uint64, need rights) (*descriptor, Errno) {
	d, base, _, e := c.lookup(uint32(fd))
	switch {
	case e != ErrnoSuccess:
		return nil, e
	case !d.isSocket():
		return nil, ErrnoNotSock
	case base&need != need:
		return nil, d.refusal(need)
	case d.stream.conn == nil:
		return nil, ErrnoNotConn
	}
	return d, ErrnoSuccess
}

func (c *call) sockAccept(a []uint64) Errno {
	d, base, inheriting, e := c.lookup(uint32(a[0]))
	switch {
	case e != ErrnoSuccess:
		return e
	case !d.isSocket():
		return ErrnoNotSock
	case d.stream.ln == nil:
		return ErrnoInval
	case base&rightSockAccept == 0:
		return ErrnoNotCapable
	}
	flags := uint32(a[1])
	if flags&^uint32(fdflagNonblock) != 0 {
		return ErrnoInval
	}
	result, e := c.view(a[2], 4)
	if e != ErrnoSuccess {
		return e
	}
	if !c.roomFor1() {
		return ErrnoMFile
	}
	conn, err := d.stream.accept(c.ctx, d.nonblock())
	if err != nil {
		return c.fail(err)
	}
	n := socketDescriptor(connStream(conn, true))
	n.base &= inheriting
	n.flags = uint16(flags)
	fd, e := c.add(n)
	if e == ErrnoSuccess {
		binary.LittleEndian.PutUint32(result, fd)
	}
	return e
}

func (c *call) sockRecv(a []uint64) Errno {
	d, e := c.socket(a[0], rightFdRead)
	if e != ErrnoSuccess {
		return e
	}
	flags := uint32(a[3])
	if flags&^(recvPeek|recvWaitall) != 0 {
		return ErrnoInval
	}
	if e := c.putU16(a[5], 0); e != ErrnoSuccess {
		return e
	}
	if d.filetype() == filetypeSocketDgram {
		return c.recvDatagram(d, a, flags&recvPeek != 0)
	}
	return c.transfer(a[1], a[2], a[4], func(b []byte, done uint32) (int, error) {
		switch {
		case flags&recvPeek != 0:
			if done > 0 {
				return 0, io.EOF // one buffer is peeked into
			}
			return d.stream.peek(c.ctx, b, d.nonblock())
		case flags&recvWaitall != 0:
			return io.ReadFull(readerFunc(func(b []byte) (int, error) {
				return d.stream.read(c.ctx, b, d.nonblock())
			}), b)
		case done > 0:
			return 0, io.EOF // more might block
		}
		return d.read(c.ctx, b)
	})
}

// recvDatagram receives one datagram into all the buffers. What does not fit is
// lost, as it is with recv(2); it is marked as truncated, if it is known to be.
func (c *call) recvDatagram(d *descriptor, a []uint64, peek bool) Errno {
	if cap(c.scratch) < maxOperation {
		c.scratch = make([]byte, 0, maxOperation)
	}
	b := c.scratch[:maxOperation] // no datagram is longer
	read := d.stream.read
	if peek {
		read = d.stream.peek
	}
	n, err := read(c.ctx, b, d.nonblock())
	if err != nil && !errors.Is(err, io.EOF) { // an empty datagram ends nothing
		return c.fail(err)
	}
	b = b[:n]
	e := c.iovecs(a[1], a[2], func(part []byte) bool {
		b = b[copy(part, b):]
		return len(b) > 0
	})
	if e != ErrnoSuccess {
		return e
	}
	if len(b) > 0 {
		if e := c.putU16(a[5], recvDataTruncated); e != ErrnoSuccess {
			return e
		}
	}
	return c.putU32(a[4], uint32(n-len(b)))
}

type readerFunc func(b []byte) (int, error)

func (f readerFunc) Read(b []byte) (int, error) { return f(b) }

func (c *call) sockSend(a []uint64) Errno {
	d, e := c.socket(a[0], rightFdWrite)
	if e != ErrnoSuccess {
		return e
	}
	if uint32(a[3]) != 0 {
		return ErrnoInval // no flags are defined
	}
	return c.send(d, a[1], a[2], a[4])
}

func (c *call) sockShutdown(a []uint64) Errno {
	d, e := c.socket(a[0], rightSockShutdown)
	if e != ErrnoSuccess {
		return e
	}
	how := uint32(a[1])
	if how == 0 || how&^(shutdownRead|shutdownWrite) != 0 {
		return ErrnoInval
	}
	return errnoOf(shutdown(d.stream.conn, how))
}

// shutdown ends one direction of a connection, or both.
func shutdown(conn net.Conn, how uint32) error {
	var errs []error
	if how&shutdownRead != 0 {
		r, ok := conn.(interface{ CloseRead() error })
		if !ok {
			return ErrnoNotSup
		}
		errs = append(errs, r.CloseRead())
	}
	if how&shutdownWrite != 0 {
		w, ok := conn.(interface{ CloseWrite() error })
		if !ok {
			return ErrnoNotSup
		}
		errs = append(errs, w.CloseWrite())
	}
	return errors.Join(errs...)
}
