package wasip1

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"syscall"

	"github.com/davit-wasm/davit/wasi/internal/tree"
)

// stream is a descriptor without an offset: a standard stream, a pipe or device
// that was opened below a directory, a connection, or a listener.
//
// A program may wait for it, without end or beside other things, and whatever
// it waits for must end when the context does. There are three ways to that:
//
//   - prompt streams never block, and are used directly;
//   - what the system can wait for (raw) is waited for with poll(2), and then
//     used with single system calls that do not block;
//   - any other reader, writer or listener is used in a goroutine, one operation
//     at a time in each direction. An operation that its caller no
//     longer waits for goes on, and what it gets is kept for the next caller.
type stream struct {
	r    io.Reader    // nil: at its end, or not for reading
	w    io.Writer    // nil: discards, or not for writing
	ln   net.Listener // nil: not for accepting
	conn net.Conn     // r and w, of a connection
	file *os.File     // r or w, if that is a file of the host

	prompt   bool
	raw      syscall.RawConn
	blocking bool // raw waits by itself where it is not ready

	owned io.Closer // what close closes: nothing that was handed in

	mu      sync.Mutex // guards what follows
	closed  bool
	ahead   []byte // read already, and not taken yet
	reading *operation
	writing *operation
}

// operation is a read, accept or write in a goroutine. Its results are there
// once done is closed.
type operation struct {
	done   chan struct{}
	buf    []byte
	n      int
	conn   net.Conn
	err    error
	caught any // a panic
}

func inputStream(r io.Reader) *stream {
	s := &stream{}
	switch r := r.(type) {
	case nil:
	case *os.File:
		if r != nil {
			s.r = r
			s.useFile(r)
		}
	case *bytes.Reader, *bytes.Buffer, *strings.Reader:
		s.r, s.prompt = r, true
	default:
		s.r = r
	}
	s.prompt = s.prompt || s.r == nil
	return s
}

func outputStream(w io.Writer) *stream {
	s := &stream{}
	switch w := w.(type) {
	case nil:
	case *os.File:
		if w != nil {
			s.w = w
			s.useFile(w)
		}
	case *bytes.Buffer, *strings.Builder:
		s.w, s.prompt = w, true
	default:
		s.w, s.prompt = w, w == io.Discard
	}
	s.prompt = s.prompt || s.w == nil
	return s
}

func (s *stream) useFile(f *os.File) {
	s.file = f
	if info, err := f.Stat(); err == nil && info.Mode().IsRegular() {
		s.prompt = true
		return
	}
	s.raw, s.blocking = rawConn(f)
}

// fileStream is a file below a directory that is no regular file.
func fileStream(f *os.File) *stream {
	s := &stream{r: f, w: f, owned: f}
	s.useFile(f)
	return s
}

// connStream is a connection. Only connections of package net itself are used
// below their methods: others may wrap one, and do something to what they read.
func connStream(c net.Conn, owned bool) *stream {
	s := &stream{r: c, w: c, conn: c}
	if owned {
		s.owned = c
	}
	switch c := c.(type) {
	case *net.TCPConn:
		s.raw, s.blocking = rawConn(c)
	case *net.UnixConn:
		s.raw, s.blocking = rawConn(c)
	case *net.UDPConn:
		s.raw, s.blocking = rawConn(c)
	}
	return s
}

// listenerStream is a listener. Where the system can wait for it, a connection
// is accepted only when there is one: so that none is that the program does not
// ask for.
func listenerStream(l net.Listener) *stream {
	s := &stream{ln: l}
	switch l := l.(type) {
	case *net.TCPListener:
		s.raw, _ = rawConn(l)
	case *net.UnixListener:
		s.raw, _ = rawConn(l)
	}
	return s
}

func streamDescriptor(s *stream, r rights) *descriptor {
	return &descriptor{stream: s, base: r | streamRights | s.seekRights()}
}

// seekRights are the rights to seek in a character device that is no terminal.
// Nothing comes of it; but from their absence libc concludes that it is one.
func (s *stream) seekRights() rights {
	if s.file != nil && s.filetype() == filetypeCharacterDevice && !isTerminal(s.file) {
		return rightFdSeek | rightFdTell
	}
	return 0
}

func socketDescriptor(s *stream) *descriptor {
	if s.ln != nil {
		return &descriptor{
			stream: s, base: rightFdstatSetFlags | rightFdFilestatGet | rightPollFdReadwrite | rightFdRead | rightSockAccept,
			inheriting: connRights,
		}
	}
	return &descriptor{stream: s, base: connRights}
}

func (s *stream) isSocket() bool { return s.conn != nil || s.ln != nil }

func (s *stream) filetype() filetype {
	switch {
	case s.conn != nil && strings.HasPrefix(s.conn.LocalAddr().Network(), "udp"),
		s.conn != nil && s.conn.LocalAddr().Network() == "unixgram":
		return filetypeSocketDgram
	case s.isSocket():
		return filetypeSocketStream
	}
	st, _ := s.stat()
	return st.filetype
}

func (s *stream) stat() (filestat, Errno) {
	switch {
	case s.isSocket():
		return filestat{filetype: s.filetype(), nlink: 1}, ErrnoSuccess
	case s.file == nil:
		return filestat{filetype: filetypeUnknown, nlink: 1}, ErrnoSuccess
	}
	st, err := (&tree.HostFile{F: s.file}).Stat()
	if err != nil {
		return filestat{}, errnoOf(err)
	}
	return filestatOf(&st), ErrnoSuccess
}

// close closes what belongs to the stream, and a connection that is accepted
// too late.
func (s *stream) close() error {
	s.mu.Lock()
	s.closed = true
	op := s.reading
	s.mu.Unlock()
	if op != nil {
		select {
		case <-op.done:
			if op.conn != nil {
				op.conn.Close()
			}
		default: // its goroutine will see
		}
	}
	if s.owned != nil {
		return s.owned.Close()
	}
	return nil
}

// maxOperation is how much an operation in a goroutine reads or writes.
const maxOperation = 64 << 10

// start runs f in a goroutine. The caller holds s.mu.
func (s *stream) start(op *operation, f func(op *operation)) *operation {
	op.done = make(chan struct{})
	go func() {
		defer func() {
			op.caught = recover()
			s.mu.Lock()
			defer s.mu.Unlock()
			if s.closed && op.conn != nil {
				op.conn.Close()
			}
			close(op.done)
		}()
		f(op)
	}()
	return op
}

// startRead returns the read or accept under way, having started one if there is
// none. The caller holds s.mu.
func (s *stream) startRead(size int) *operation {
	switch {
	case s.reading != nil:
	case s.ln != nil:
		s.reading = s.start(&operation{}, func(op *operation) { op.conn, op.err = s.ln.Accept() })
	default:
		op := &operation{buf: make([]byte, min(max(size, 1), maxOperation))}
		s.reading = s.start(op, func(op *operation) {
			n, err := s.r.Read(op.buf)
			op.n, op.err = max(0, min(n, len(op.buf))), err
		})
	}
	return s.reading
}

// wait waits for an operation, or reports that it is not done.
func (op *operation) wait(ctx context.Context, nonblock bool) error {
	if !nonblock {
		select {
		case <-op.done:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	select {
	case <-op.done:
	default:
		return ErrnoAgain
	}
	if op.caught != nil {
		panic(op.caught)
	}
	return nil
}

// takeAhead moves bytes that have been read before.
func (s *stream) takeAhead(b []byte) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := copy(b, s.ahead)
	if s.ahead = s.ahead[n:]; len(s.ahead) == 0 {
		s.ahead = nil
	}
	return n
}

// read reads what there is, at least a byte.
func (s *stream) read(ctx context.Context, b []byte, nonblock bool) (int, error) {
	if len(b) == 0 {
		return 0, nil
	}
	if s.ln != nil {
		return 0, ErrnoNotConn
	}
	if n := s.takeAhead(b); n > 0 {
		return n, nil
	}
	s.mu.Lock()
	under := s.reading
	s.mu.Unlock()
	switch {
	case s.r == nil:
		return 0, io.EOF
	case under == nil && s.raw != nil:
		return s.rawRead(ctx, b, nonblock)
	case under == nil && (s.prompt || ctx.Done() == nil && !nonblock):
		n, err := s.r.Read(b)
		return max(0, min(n, len(b))), err
	}
	s.mu.Lock()
	op := s.startRead(len(b))
	s.mu.Unlock()
	if err := op.wait(ctx, nonblock); err != nil {
		return 0, err
	}
	s.mu.Lock()
	if s.reading != op { // another goroutine has taken it
		s.mu.Unlock()
		return 0, ErrnoAgain
	}
	s.reading = nil
	s.ahead = op.buf[:op.n]
	s.mu.Unlock()
	n := s.takeAhead(b)
	if n > 0 && !errors.Is(op.err, io.EOF) {
		return n, nil // like every reader, it will fail again
	}
	return n, op.err
}

// peek is read, but leaves the bytes for the next read.
func (s *stream) peek(ctx context.Context, b []byte, nonblock bool) (int, error) {
	n, err := s.read(ctx, b, nonblock)
	if n > 0 {
		s.mu.Lock()
		s.ahead = append(bytes.Clone(b[:n]), s.ahead...)
		s.mu.Unlock()
		return n, nil
	}
	return n, err
}

// accept waits for a connection.
func (s *stream) accept(ctx context.Context, nonblock bool) (net.Conn, error) {
	s.mu.Lock()
	under := s.reading
	s.mu.Unlock()
	if under == nil && s.raw != nil {
		if err := s.await(ctx, false, nonblock); err != nil {
			return nil, err
		}
		nonblock = false // there is one
	}
	s.mu.Lock()
	op := s.startRead(0)
	s.mu.Unlock()
	if err := op.wait(ctx, nonblock); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.reading != op {
		return nil, ErrnoAgain
	}
	s.reading = nil
	return op.conn, op.err
}

// write writes b: all of it, unless it must not block.
func (s *stream) write(ctx context.Context, b []byte, nonblock bool) (n int, err error) {
	for {
		k, err := s.writeSome(ctx, b[n:], nonblock)
		n += k
		if err != nil || n == len(b) || nonblock || k == 0 {
			return n, err
		}
	}
}

func (s *stream) writeSome(ctx context.Context, b []byte, nonblock bool) (int, error) {
	s.mu.Lock()
	under := s.writing
	s.mu.Unlock()
	switch {
	case s.w == nil && !s.isSocket():
		return len(b), nil
	case s.w == nil:
		return 0, ErrnoNotConn
	case under == nil && s.raw != nil:
		return s.rawWrite(ctx, b, nonblock)
	case under == nil && (s.prompt || ctx.Done() == nil && !nonblock):
		n, err := s.w.Write(b)
		return max(0, min(n, len(b))), err
	}
	if under != nil {
		// What an earlier call began must be written first, and what went wrong with
		// it is told now.
		if err := under.wait(ctx, nonblock); err != nil {
			return 0, err
		}
		s.mu.Lock()
		if s.writing == under {
			s.writing = nil
		}
		s.mu.Unlock()
		if under.err != nil {
			return 0, under.err
		}
	}
	b = b[:min(len(b), maxOperation)]
	s.mu.Lock()
	if s.writing != nil {
		s.mu.Unlock()
		return 0, ErrnoAgain
	}
	op := s.start(&operation{buf: bytes.Clone(b)}, func(op *operation) {
		n, err := s.w.Write(op.buf)
		op.n, op.err = max(0, min(n, len(op.buf))), err
	})
	s.writing = op
	s.mu.Unlock()
	if nonblock && s.conn != nil {
		return len(b), nil // buffered, as sockets do; of other writers, output must be there when the program ends
	}
	if err := op.wait(ctx, false); err != nil {
		return 0, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.writing == op {
		s.writing = nil
	}
	return op.n, op.err
}

// readiness says how to find out whether a read (or a write) would wait: it
// would not; once the channel is closed; or once the system says so of s.raw.
func (s *stream) readiness(write bool) (ready bool, done <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.prompt:
		return true, nil
	case write && s.w == nil:
		return true, nil // it fails at once
	case write && s.writing != nil:
		return false, s.writing.done
	case write:
		return s.raw == nil, nil
	case len(s.ahead) > 0 || s.r == nil && s.ln == nil:
		return true, nil
	case s.raw != nil && s.reading == nil:
		return false, nil
	}
	return false, s.startRead(maxOperation).done
}

// available is the number of bytes that are known to be there, and whether
// there will be no more.
func (s *stream) available() (n int, end bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.ahead) > 0 {
		return len(s.ahead), false
	}
	if op := s.reading; op != nil {
		select {
		case <-op.done:
			return op.n, op.n == 0 && op.conn == nil
		default:
			return 0, false
		}
	}
	if p, ok := s.r.(interface{ Len() int }); ok && s.prompt {
		return p.Len(), p.Len() == 0
	}
	return 0, s.r == nil
}
