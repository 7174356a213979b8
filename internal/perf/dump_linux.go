package perf

import (
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"sync"

	"golang.org/x/sys/unix"
)

// Dump is a dump of code.
type Dump struct {
	mu    sync.Mutex
	file  *os.File
	name  string
	index uint64
	buf   []byte
}

var dumps struct {
	sync.Mutex
	byDir map[string]*Dump
}

// Of the format.
const (
	dumpMagic   = 0x4A695444 // as a number of the machine that writes it
	dumpVersion = 1
	headerSize  = 40

	recordLoad      = 0
	recordDebugInfo = 2
	prefixSize      = 16 // of every record
)

// machines are ELF's numbers of architectures.
var machines = map[string]uint32{"amd64": 62, "arm64": 183, "riscv64": 243, "s390x": 22}

// OpenDump opens the dump of the process in a folder, jit-PID.dump. The folder must
// be on a file system from which code may be run: perf learns of the file because
// a page of it is mapped that way.
func OpenDump(dir string) (*Dump, error) {
	dumps.Lock()
	defer dumps.Unlock()
	name, err := filepath.Abs(filepath.Join(dir, fmt.Sprintf("jit-%d.dump", os.Getpid())))
	if err != nil {
		return nil, err
	}
	if d := dumps.byDir[name]; d != nil {
		return d, nil
	}
	f, err := create(name)
	if err != nil {
		return nil, fmt.Errorf("dump of code for perf: %w", err)
	}
	d := &Dump{file: f, name: name}
	if err := d.begin(); err != nil {
		f.Close()
		os.Remove(name)
		return nil, err
	}
	if dumps.byDir == nil {
		dumps.byDir = make(map[string]*Dump)
	}
	dumps.byDir[name] = d
	return d, nil
}

// begin writes the header and maps a page of the file, which stays.
func (d *Dump) begin() error {
	now, err := clock()
	if err != nil {
		return err
	}
	d.buf = d.buf[:0]
	d.u32(dumpMagic, dumpVersion, headerSize, machines[runtime.GOARCH], 0, uint32(os.Getpid()))
	d.u64(now, 0)
	if _, err := d.file.Write(d.buf); err != nil {
		return fmt.Errorf("dump of code for perf: %w", err)
	}
	if _, err := unix.Mmap(int(d.file.Fd()), 0, os.Getpagesize(), unix.PROT_READ|unix.PROT_EXEC, unix.MAP_PRIVATE); err != nil {
		return fmt.Errorf("dump of code for perf: mapping %s, to be found: %w", d.name, err)
	}
	return nil
}

// clock is the time in nanoseconds by perf's clock, as perf record -k mono uses it.
func clock() (uint64, error) {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &t); err != nil {
		return 0, fmt.Errorf("dump of code for perf: %w", err)
	}
	return uint64(t.Nano()), nil
}

// Add adds symbols. Code that lies where other code was before is known from then
// on.
func (d *Dump) Add(symbols []Symbol) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	now, err := clock()
	if err != nil {
		return err
	}
	d.buf = d.buf[:0]
	for i := range symbols {
		s := &symbols[i]
		if len(s.Places) > 0 {
			start := d.record(recordDebugInfo, now)
			d.u64(s.Address, uint64(len(s.Places)))
			for _, p := range s.Places {
				d.u64(p.Address)
				d.u32(uint32(max(p.Line, 0)), 0)
				d.string(p.File)
			}
			d.end(start)
		}
		start := d.record(recordLoad, now)
		d.u32(uint32(os.Getpid()), uint32(unix.Gettid()))
		d.u64(s.Address, s.Address, uint64(len(s.Code)), d.index)
		d.string(s.Name)
		d.buf = append(d.buf, s.Code...)
		d.end(start)
		d.index++
	}
	if _, err := d.file.Write(d.buf); err != nil {
		return fmt.Errorf("dump of code for perf: %w", err)
	}
	return nil
}

// record begins a record and tells where.
func (d *Dump) record(id uint32, now uint64) (start int) {
	start = len(d.buf)
	d.u32(id, 0)
	d.u64(now)
	return start
}

// end gives a record its size.
func (d *Dump) end(start int) {
	binary.NativeEndian.PutUint32(d.buf[start+4:], uint32(len(d.buf)-start))
}

func (d *Dump) u32(list ...uint32) {
	for _, v := range list {
		d.buf = binary.NativeEndian.AppendUint32(d.buf, v)
	}
}

func (d *Dump) u64(list ...uint64) {
	for _, v := range list {
		d.buf = binary.NativeEndian.AppendUint64(d.buf, v)
	}
}

func (d *Dump) string(s string) { d.buf = append(append(d.buf, oneLine(s)...), 0) }
