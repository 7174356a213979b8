package wasip1

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"sync"
	"time"

	"github.com/davit-wasm/davit/wasi/internal/tree"
	"github.com/davit-wasm/davit/wasi/vfs"
)

// Process is the world of one program: its arguments, variables, descriptors.
// It serves one program at a time; its functions may be called from any
// goroutine.
type Process struct {
	args, env []string
	random    io.Reader
	now       func() time.Time
	monotonic func() time.Duration
	sleep     func(context.Context, time.Duration) error
	realSleep bool // sleep waits for a real timer
	yield     func()
	limits    Limits

	mu     sync.Mutex    // guards what follows, not what a descriptor does
	fds    []*descriptor // by number; nil: free
	closed bool
	calls  sync.Pool // of *call
}

// New makes a process. The caller must close it.
func New(c *Config) (*Process, error) {
	config := Config{}
	if c != nil {
		config = *c
	}
	if err := config.Limits.setDefaults(); err != nil {
		return nil, err
	}
	if err := config.check(); err != nil {
		return nil, err
	}
	p := &Process{
		args: config.Args, env: config.Env, random: config.Random, now: config.Now, monotonic: config.Monotonic,
		sleep: config.Sleep, yield: config.Yield, limits: config.Limits,
	}
	if p.random == nil {
		p.random = rand.Reader
	}
	if p.now == nil {
		p.now = time.Now
	}
	if p.monotonic == nil {
		start := time.Now()
		p.monotonic = func() time.Duration { return time.Since(start) }
	}
	if p.sleep == nil {
		p.sleep, p.realSleep = sleep, true
	}
	if p.yield == nil {
		p.yield = runtime.Gosched
	}
	p.calls.New = func() any { return new(call) }
	p.fds = []*descriptor{
		streamDescriptor(inputStream(config.Stdin), rightFdRead),
		streamDescriptor(outputStream(config.Stdout), rightFdWrite),
		streamDescriptor(outputStream(config.Stderr), rightFdWrite),
	}
	for i := range config.Mounts {
		d, err := preopen(&config.Mounts[i], uint64(i))
		if err != nil {
			return nil, errors.Join(fmt.Errorf("wasip1: mount %d for %q: %w", i, config.Mounts[i].Guest, err), p.Close())
		}
		p.fds = append(p.fds, d)
	}
	for _, l := range config.Listeners {
		p.fds = append(p.fds, socketDescriptor(listenerStream(l)))
	}
	for _, conn := range config.Conns {
		p.fds = append(p.fds, socketDescriptor(connStream(conn, false)))
	}
	return p, nil
}

// Close closes all descriptors. What the configuration held stays open: streams,
// directories, listeners and connections. Calls that are under way, in other
// goroutines, meet closed descriptors.
func (p *Process) Close() error {
	p.mu.Lock()
	fds := p.fds
	p.fds, p.closed = nil, true
	p.mu.Unlock()
	var errs []error
	for _, d := range fds {
		if d != nil {
			errs = append(errs, d.close())
		}
	}
	return errors.Join(errs...)
}

// lookup finds a descriptor, with the rights that it has now.
func (p *Process) lookup(fd uint32) (d *descriptor, base, inheriting rights, e Errno) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if uint64(fd) >= uint64(len(p.fds)) || p.fds[fd] == nil {
		return nil, 0, 0, ErrnoBadF
	}
	d = p.fds[fd]
	return d, d.base, d.inheriting, ErrnoSuccess
}

// get finds a descriptor that has all rights of need.
func (p *Process) get(fd uint32, need rights) (*descriptor, Errno) {
	d, base, _, e := p.lookup(fd)
	if e != ErrnoSuccess {
		return nil, e
	}
	if base&need != need {
		return nil, d.refusal(need)
	}
	return d, ErrnoSuccess
}

// directory finds a descriptor of a directory that has all rights of need.
func (p *Process) directory(fd uint32, need rights) (*descriptor, Errno) {
	d, e := p.get(fd, need)
	if e == ErrnoSuccess && d.dir == nil {
		return nil, ErrnoNotDir
	}
	return d, e
}

// add gives d the lowest free number, or closes it.
func (p *Process) add(d *descriptor) (uint32, Errno) {
	p.mu.Lock()
	for i, old := range p.fds {
		if old == nil {
			p.fds[i] = d
			p.mu.Unlock()
			return uint32(i), ErrnoSuccess
		}
	}
	if n := len(p.fds); n < p.limits.Descriptors && !p.closed {
		p.fds = append(p.fds, d)
		p.mu.Unlock()
		return uint32(n), ErrnoSuccess
	}
	p.mu.Unlock()
	d.close()
	return 0, ErrnoMFile
}

// roomFor1 reports whether one more descriptor may be opened. It is asked before
// the host does anything.
func (p *Process) roomFor1() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.fds) < p.limits.Descriptors {
		return true
	}
	for _, d := range p.fds {
		if d == nil {
			return true
		}
	}
	return false
}

// closeFd frees a number and closes what it named.
func (p *Process) closeFd(fd uint32) Errno {
	p.mu.Lock()
	if uint64(fd) >= uint64(len(p.fds)) || p.fds[fd] == nil {
		p.mu.Unlock()
		return ErrnoBadF
	}
	d := p.fds[fd]
	p.fds[fd] = nil
	p.mu.Unlock()
	return errnoOf(d.close())
}

// renumber moves a descriptor over another one.
func (p *Process) renumber(from, to uint32) Errno {
	p.mu.Lock()
	if uint64(from) >= uint64(len(p.fds)) || p.fds[from] == nil ||
		uint64(to) >= uint64(len(p.fds)) || p.fds[to] == nil {
		p.mu.Unlock()
		return ErrnoBadF
	}
	if from == to {
		p.mu.Unlock()
		return ErrnoSuccess
	}
	old := p.fds[to]
	p.fds[to], p.fds[from] = p.fds[from], nil
	p.mu.Unlock()
	old.close() // as dup2, which does not report it
	return ErrnoSuccess
}

// setRights lets a descriptor keep some of its rights.
func (p *Process) setRights(fd uint32, base, inheriting rights) Errno {
	p.mu.Lock()
	defer p.mu.Unlock()
	if uint64(fd) >= uint64(len(p.fds)) || p.fds[fd] == nil {
		return ErrnoBadF
	}
	d := p.fds[fd]
	if base&^d.base != 0 || inheriting&^d.inheriting != 0 {
		return ErrnoNotCapable // rights can only be given up
	}
	d.base, d.inheriting = base, inheriting
	return ErrnoSuccess
}

// virtualDevice is the device number of the first mount that is not of the
// host's; no device of a host has such a number.
const virtualDevice = 1 << 63

// preopen opens a directory of the configuration.
func preopen(m *Mount, number uint64) (*descriptor, error) {
	var dir tree.Dir
	device := uint64(0)
	switch {
	case m.Root != nil:
		dir = tree.Root(m.Root, true)
	case m.Host != "":
		root, err := os.OpenRoot(m.Host)
		if err != nil {
			return nil, err
		}
		dir = tree.Root(root, false)
	case m.FS != nil:
		dir, device = tree.Walk(vfs.FromFS(m.FS), false), virtualDevice+number
	default:
		dir, device = tree.Walk(m.Dir, true), virtualDevice+number
	}
	mounted := &mount{readOnly: m.ReadOnly || m.FS != nil, device: device}
	d := &descriptor{
		dir: &directory{Dir: dir}, mount: mounted, preopen: m.Guest, isPreopen: true,
		base: directoryRights, inheriting: directoryRights | fileRights,
	}
	if mounted.readOnly {
		d.base &^= writeRights
		d.inheriting &^= writeRights
	}
	return d, nil
}
