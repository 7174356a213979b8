package wasip1

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"
)

// Process is the world of one program: its arguments, variables, descriptors.
// It serves one program at a time; its functions may be called from any
// goroutine.
type Process struct {
	args, env      []string
	random         io.Reader
	now            func() time.Time
	monotonic      func() time.Duration
	sleep          func(context.Context, time.Duration) error
	maxDescriptors int
	maxDirEntries  int

	mu    sync.Mutex    // guards the table, not what a descriptor does
	fds   []*descriptor // by number; nil: free
	calls sync.Pool     // of *call
}

// New makes a process. The caller must close it.
func New(c *Config) (*Process, error) {
	if c == nil {
		c = &Config{}
	}
	for _, list := range [...][]string{c.Args, c.Env} {
		for _, s := range list {
			if strings.IndexByte(s, 0) >= 0 {
				return nil, fmt.Errorf("wasip1: argument or variable %q contains a zero byte", s)
			}
		}
	}
	for _, s := range c.Env {
		if strings.IndexByte(s, '=') <= 0 {
			return nil, fmt.Errorf("wasip1: environment variable %q is not of the form NAME=VALUE", s)
		}
	}
	p := &Process{
		args: c.Args, env: c.Env, random: c.Random, now: c.Now, monotonic: c.Monotonic, sleep: c.Sleep,
		maxDescriptors: c.MaxDescriptors, maxDirEntries: c.MaxDirEntries,
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
		p.sleep = sleep
	}
	if p.maxDescriptors == 0 {
		p.maxDescriptors = 1024
	}
	if p.maxDirEntries == 0 {
		p.maxDirEntries = 1_000_000
	}
	p.calls.New = func() any { return new(call) }
	p.fds = []*descriptor{inputDescriptor(c.Stdin), outputDescriptor(c.Stdout), outputDescriptor(c.Stderr)}
	for i := range c.Dirs {
		d, err := preopen(&c.Dirs[i])
		if err != nil {
			return nil, errors.Join(fmt.Errorf("wasip1: directory for %q: %w", c.Dirs[i].Guest, err), p.Close())
		}
		p.fds = append(p.fds, d)
	}
	return p, nil
}

// Close closes all descriptors. The standard streams and roots that the
// configuration held stay open.
func (p *Process) Close() error {
	p.mu.Lock()
	fds := p.fds
	p.fds = nil
	p.mu.Unlock()
	var errs []error
	for _, d := range fds {
		if d != nil {
			errs = append(errs, d.close())
		}
	}
	return errors.Join(errs...)
}

// get finds a descriptor that has all rights of need.
func (p *Process) get(fd uint32, need rights) (*descriptor, Errno) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if uint64(fd) >= uint64(len(p.fds)) || p.fds[fd] == nil {
		return nil, ErrnoBadF
	}
	d := p.fds[fd]
	if d.base&need != need {
		switch {
		case d.readOnly && need&writeRights != 0:
			return nil, ErrnoROFS
		case need&(rightFdSeek|rightFdTell) != 0 && d.isStream():
			return nil, ErrnoSPipe
		case d.dir != nil && need&(fileRights&^directoryRights) != 0:
			return nil, ErrnoBadF
		case d.dir == nil && need&(directoryRights&^fileRights) != 0:
			return nil, ErrnoNotDir
		case need&(rightFdRead|rightFdWrite) != 0:
			return nil, ErrnoBadF // as read(2) and write(2) have it
		}
		return nil, ErrnoNotCapable
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

// add gives d the lowest free number.
func (p *Process) add(d *descriptor) (uint32, Errno) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i, old := range p.fds {
		if old == nil {
			p.fds[i] = d
			return uint32(i), ErrnoSuccess
		}
	}
	if len(p.fds) >= p.maxDescriptors || p.fds == nil {
		return 0, ErrnoMFile
	}
	p.fds = append(p.fds, d)
	return uint32(len(p.fds) - 1), ErrnoSuccess
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

// preopen opens a directory of the configuration.
func preopen(c *Dir) (*descriptor, error) {
	root := c.Root
	if root == nil {
		var err error
		if root, err = os.OpenRoot(c.Host); err != nil {
			return nil, err
		}
	}
	d := &descriptor{
		dir: &directory{root: root, borrowed: c.Root != nil}, preopen: c.Guest, isPreopen: true, readOnly: c.ReadOnly,
		base: directoryRights, inheriting: directoryRights | fileRights,
	}
	if c.ReadOnly {
		d.base &^= writeRights
		d.inheriting &^= writeRights
	}
	return d, nil
}
