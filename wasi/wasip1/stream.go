package wasip1

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"strings"
	"sync"
)

// input is the standard input. Programs wait for it in poll_oneoff, and a read
// must end when the context does, while an io.Reader can do neither. So a read
// that may block runs in a goroutine of its own and leaves what it got in
// the input, for whoever reads next.
type input struct {
	r      io.Reader // nil: at its end
	file   *os.File  // r, if it is one
	prompt bool      // r never blocks

	mu      sync.Mutex
	pending *pendingRead
}

// pendingRead is a read in progress, or its result once done is closed.
type pendingRead struct {
	done chan struct{}
	buf  []byte // what has been read and not been taken yet
	err  error
}

// output is a standard output.
type output struct {
	w    io.Writer // nil: discards
	file *os.File  // w, if it is one
}

func inputDescriptor(r io.Reader) *descriptor {
	in := &input{r: r}
	switch r := r.(type) {
	case *os.File:
		if r == nil {
			in.r = nil
		}
		in.file = r
	case *bytes.Reader, *bytes.Buffer, *strings.Reader:
		in.prompt = true
	}
	if in.file != nil && alwaysReady(in.file) {
		in.prompt = true
	}
	return &descriptor{in: in, base: streamRights | rightFdRead}
}

func outputDescriptor(w io.Writer) *descriptor {
	out := &output{w: w}
	if f, ok := w.(*os.File); ok {
		out.file = f
		if f == nil {
			out.w = nil
		}
	}
	return &descriptor{out: out, base: streamRights | rightFdWrite}
}

// alwaysReady reports whether reads of f never block: it is a regular file.
func alwaysReady(f *os.File) bool {
	info, err := f.Stat()
	return err == nil && info.Mode().IsRegular()
}

// maxPendingRead bounds what a read in progress may buffer.
const maxPendingRead = 64 << 10

func (in *input) read(ctx context.Context, b []byte) (int, error) {
	if in.r == nil || len(b) == 0 {
		return 0, io.EOF
	}
	if in.file != nil {
		if !in.prompt && ctx.Done() != nil {
			if err := waitFiles(ctx, []fileWait{{file: in.file}}, forever, nil); err != nil {
				return 0, err
			}
		}
		return in.file.Read(b)
	}
	in.mu.Lock()
	p := in.pending
	if p == nil && (in.prompt || ctx.Done() == nil) {
		in.mu.Unlock()
		return in.r.Read(b)
	}
	p = in.start(len(b))
	in.mu.Unlock()
	select {
	case <-p.done:
	case <-ctx.Done():
		return 0, context.Cause(ctx)
	}
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.pending != p { // another goroutine took it
		return 0, ErrnoAgain
	}
	n := copy(b, p.buf)
	p.buf = p.buf[n:]
	if len(p.buf) > 0 {
		return n, nil
	}
	in.pending = nil
	if n > 0 && p.err != nil && !errors.Is(p.err, io.EOF) {
		return n, nil // like every reader, it will fail again
	}
	return n, p.err
}

// start returns the read in progress, having started one if there is none. The
// caller holds in.mu.
func (in *input) start(size int) *pendingRead {
	if in.pending != nil {
		return in.pending
	}
	p := &pendingRead{done: make(chan struct{})}
	buf := make([]byte, min(size, maxPendingRead))
	r := in.r
	in.pending = p
	go func() {
		defer close(p.done)
		n, err := r.Read(buf)
		p.buf, p.err = buf[:max(0, min(n, len(buf)))], err
	}()
	return p
}

// awaited returns a channel that is closed once the input can be read without
// blocking, or nil if it always can or is a file.
func (in *input) awaited() <-chan struct{} {
	if in.r == nil || in.prompt || in.file != nil {
		return nil
	}
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.start(maxPendingRead).done
}

func (o *output) write(ctx context.Context, b []byte) (int, error) {
	if o.w == nil {
		return len(b), nil
	}
	return o.w.Write(b)
}
