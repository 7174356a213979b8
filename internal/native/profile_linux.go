package native

import (
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"runtime"
	"strconv"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// timers are the timers of a profile, one for each thread of the process.
type timers struct {
	period  time.Duration
	value   uintptr // in the signals, by which the handler knows them
	threads map[int]*threadTimer
	dir     *os.File // /proc/self/task
	links   uint64   // of dir at the last scan: they tell how many threads there are
	looks   int      // since then
	quit    chan struct{}
	done    chan struct{}
}

type threadTimer struct {
	id   int32
	seen bool
}

// scanTime is how often the timers look whether the number of threads has changed,
// and maxLooks after how many times they look at all threads in any case. A thread
// that begins in between goes without ticks until then.
const (
	scanTime = 10 * time.Millisecond
	maxLooks = 20
)

// sigevent is the kernel's struct sigevent.
type sigevent struct {
	value  uintptr
	signal int32
	notify int32
	thread int32
	_      [44]byte
}

const (
	sigevThreadID = 4
	// threadClock and the complement of a thread's number make the clock of its
	// processor time.
	threadClock = 6
)

func startTimers(rate int, value uintptr) (*timers, error) {
	if rate < 1 || rate > 1_000_000 {
		return nil, fmt.Errorf("native: %d ticks in a second", rate)
	}
	t := &timers{
		period: time.Second / time.Duration(rate), value: value, threads: map[int]*threadTimer{},
		quit: make(chan struct{}), done: make(chan struct{}),
	}
	var err error
	if t.dir, err = os.Open("/proc/self/task"); err != nil {
		return nil, fmt.Errorf("native: looking for the threads of the process: %w", err)
	}
	if err := t.scan(); err != nil {
		t.deleteAll()
		return nil, err
	}
	go t.run()
	return t, nil
}

// run looks for threads until the timers are stopped.
func (t *timers) run() {
	defer close(t.done)
	tick := time.NewTicker(scanTime)
	defer tick.Stop()
	for {
		select {
		case <-t.quit:
			return
		case <-tick.C:
			var now unix.Stat_t
			if t.looks++; t.looks < maxLooks && unix.Fstat(int(t.dir.Fd()), &now) == nil && uint64(now.Nlink) == t.links {
				continue
			}
			_ = t.scan() // a thread goes without a timer
		}
	}
}

// stop deletes all timers. Signals may still be on their way.
func (t *timers) stop() {
	close(t.quit)
	<-t.done
	t.deleteAll()
}

func (t *timers) deleteAll() {
	for _, x := range t.threads {
		deleteTimer(x.id)
	}
	t.threads = nil
	t.dir.Close()
}

// scan makes timers for threads that have none, and deletes those of threads that
// are not there any more.
func (t *timers) scan() error {
	t.looks = 0
	var now unix.Stat_t
	if unix.Fstat(int(t.dir.Fd()), &now) == nil {
		t.links = uint64(now.Nlink)
	}
	_, err := t.dir.Seek(0, io.SeekStart)
	var names []string
	if err == nil {
		names, err = t.dir.Readdirnames(-1)
	}
	if err != nil {
		return fmt.Errorf("native: looking for the threads of the process: %w", err)
	}
	for _, x := range t.threads {
		x.seen = false
	}
	var first error
	for _, name := range names {
		thread, err := strconv.Atoi(name)
		if err != nil {
			continue
		}
		if x := t.threads[thread]; x != nil {
			x.seen = true
			continue
		}
		id, err := t.create(thread)
		if err == nil {
			t.threads[thread] = &threadTimer{id, true}
		} else if err != unix.EINVAL && first == nil { // EINVAL: the thread has just ended
			first = fmt.Errorf("native: making a timer for a thread: %w", err)
		}
	}
	for thread, x := range t.threads {
		if !x.seen {
			deleteTimer(x.id)
			delete(t.threads, thread)
		}
	}
	return first
}

// create makes a timer for a thread and starts it, at a random time of its period
// so that threads that do the same do not tick together.
func (t *timers) create(thread int) (id int32, err error) {
	event := sigevent{value: t.value, signal: int32(unix.SIGPROF), notify: sigevThreadID, thread: int32(thread)}
	clock := ^uintptr(thread)<<3 | threadClock
	if _, _, e := unix.RawSyscall(unix.SYS_TIMER_CREATE, clock, uintptr(unsafe.Pointer(&event)), uintptr(unsafe.Pointer(&id))); e != 0 {
		return 0, e
	}
	spec := unix.ItimerSpec{
		Interval: unix.NsecToTimespec(int64(t.period)),
		Value:    unix.NsecToTimespec(1 + rand.Int64N(int64(t.period))),
	}
	if _, _, e := unix.RawSyscall6(unix.SYS_TIMER_SETTIME, uintptr(id), 0, uintptr(unsafe.Pointer(&spec)), 0, 0, 0); e != 0 {
		deleteTimer(id)
		return 0, e
	}
	runtime.KeepAlive(&event)
	return id, nil
}

func deleteTimer(id int32) { _, _, _ = unix.RawSyscall(unix.SYS_TIMER_DELETE, uintptr(id), 0, 0) }
