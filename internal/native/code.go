package native

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"os"
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/davit-wasm/davit/internal/layout"
)

// TrapSite is an instruction whose fault is a trap.
type TrapSite struct {
	Offset uint32 // of the instruction, from the start of the code
	Code   uint16 // what the trap means; this package does not look at it
	// Null says that the instruction reads through a pointer that may be null: a
	// fault in the lowest 64 KiB of the address space is a trap, too.
	Null bool
}

// Range is a part of the code: offsets from Start up to End.
type Range struct{ Start, End uint32 }

// Tables is what the signal handlers must know about code.
type Tables struct {
	// Traps lists the trap sites by ascending offset.
	Traps []TrapSite
	// Bodies lists by ascending offset where native code may be interrupted:
	// functions that run on a native stack from their first instruction to their
	// last. Entry trampolines are not among them.
	Bodies []Range
	// Prepared replaces both, if it is not nil.
	Prepared *PreparedTables
}

// PreparedTables are [Tables] in the form that the signal handlers read.
type PreparedTables struct {
	// Offsets are the trap sites by ascending offset, and Flags, of the same
	// length, what [SiteFlags] says of them.
	Offsets, Flags []uint32
	// Bounds are the bodies: start, end, start, end, …, ascending.
	Bounds []uint32
	// InPlace says that they lie in memory outside the Go heap that stays there
	// until the code is released, so that they are not copied.
	InPlace bool

	of *Code // NewTables has made them for it
}

// Code is a piece of executable memory. Its life: [NewCode], the text is
// written to [Code.Writable], [Code.Publish], use, and [Code.Release] of the
// last reference. Whoever may call into it, or has an activation in it, must
// hold a reference. Its methods can be called from any goroutine.
type Code struct {
	// Owner is for the creator, who finds it again through [FindCode]. It is set
	// before Publish and not changed later.
	Owner any
	// Debuggable lets debuggers put breakpoints into the code. It is set before
	// Publish and not changed later. It takes two more mappings of the process.
	Debuggable bool
	// Anonymous puts the code into memory that belongs to no file, where Linux's perf
	// looks up names in the map of the process. It is set before Publish and not
	// changed later. It takes two more mappings of the process.
	Anonymous bool
	// Freed, if it is not nil, is called when the code has been freed and no signal
	// handler can be looking at it or its tables any more. It must not use this
	// package. It is set before Publish and not changed later.
	Freed func()

	size      int
	unit, n   int // granules of the code range
	table, tn int // units of the tables range
	desc      uintptr
	offsets   uintptr // address of the trap sites' offsets
	flags     uintptr // address of their flags
	sites     int
	published bool
	private   bool // mapped anew when published
	reused    bool // some of its memory has held other code before
	mapped    bool // mapped from a file
	refs      atomic.Int32
}

// code is the allocation of the code and tables ranges.
var code struct {
	sync.Mutex
	units, tables spans
	retired       []*Code // not published any more; a handler may still be looking
	lookup        sync.RWMutex
	byDesc        map[uintptr]*Code
}

// NewCode allocates memory for size bytes of code. The caller holds the only
// reference.
func NewCode(size int) (*Code, error) {
	if err := Supported(); err != nil {
		return nil, err
	}
	if size <= 0 || size > codeRange/2 {
		return nil, fmt.Errorf("native: code of %d bytes", size)
	}
	c := &Code{size: size, n: (size + 1<<layout.CodeGranuleLog2 - 1) >> layout.CodeGranuleLog2}
	unit, reused, ok := takeUnits(&code.units, c.n)
	if !ok {
		return nil, fmt.Errorf("native: no room for %d bytes of code in the range of %d", size, codeRange)
	}
	c.unit, c.reused = unit, reused
	c.refs.Store(1)
	if err := process.code.writable(c.offset(), c.room()); err != nil {
		c.Release()
		return nil, err
	}
	if reused {
		syncCores()
	}
	return c, nil
}

// MapCode is NewCode for size bytes of code that are in a file already, at
// offset off, which must be a multiple of the page size; they run where the file
// is mapped. The file must not change as long as the code is used; it may be
// closed. What is behind the code up to the end of the page should be
// instructions that trap. The error may be one of a file system that does not
// let files be executed.
func MapCode(f *os.File, off int64, size int) (*Code, error) {
	if err := Supported(); err != nil {
		return nil, err
	}
	if size <= 0 || size > codeRange/2 {
		return nil, fmt.Errorf("native: code of %d bytes", size)
	}
	if err := takeMappings(mappingsPerFile); err != nil {
		return nil, err
	}
	c := &Code{size: size, n: (size + 1<<layout.CodeGranuleLog2 - 1) >> layout.CodeGranuleLog2, mapped: true}
	unit, reused, ok := takeUnits(&code.units, c.n)
	if !ok {
		giveMappings(mappingsPerFile)
		return nil, fmt.Errorf("native: no room for %d bytes of code in the range of %d", size, codeRange)
	}
	c.unit = unit
	c.refs.Store(1)
	if err := process.code.mapFile(f.Fd(), off, c.offset(), uintptr(size)); err != nil {
		c.Release()
		return nil, err
	}
	if reused {
		syncCores()
	}
	return c, nil
}

// takeUnits allocates n units of s, which is one of code's, after what handlers
// let go has been put back.
func takeUnits(s *spans, n int) (first int, reused, ok bool) {
	for range 1000 {
		code.Lock()
		reclaim()
		first, reused, ok = s.take(n)
		waiting := len(code.retired) > 0
		code.Unlock()
		if ok || !waiting {
			break
		}
		runtime.Gosched() // a handler is running right now
	}
	return first, reused, ok
}

// reclaim frees the retired code objects if no signal handler is running: those
// that start later can't find them any more. The caller holds code's lock.
func reclaim() {
	if len(code.retired) == 0 || load(process.state+layout.HandlerActive) != 0 {
		return
	}
	for i, c := range code.retired {
		code.retired[i] = nil
		if c.Freed != nil {
			c.Freed()
		}
		var err error
		switch {
		case c.mapped:
			giveMappings(mappingsPerFile)
			err = process.code.unmapFile(c.offset(), c.room())
		case c.private:
			giveMappings(mappingsPerPrivate)
			err = process.code.shared(c.offset(), c.room())
		}
		if err != nil {
			continue // its range stays unused
		}
		process.code.release(c.offset(), c.room())
		code.units.give(c.unit, c.n)
		if c.tn > 0 {
			code.tables.give(c.table, c.tn)
		}
	}
	code.retired = code.retired[:0]
}

func (c *Code) offset() uintptr { return uintptr(c.unit) << layout.CodeGranuleLog2 }
func (c *Code) room() uintptr   { return uintptr(c.n) << layout.CodeGranuleLog2 }

// Base returns the address where the code runs.
func (c *Code) Base() uintptr { return process.code.exec + c.offset() }

// Len returns the size of the code in bytes.
func (c *Code) Len() int { return c.size }

// Writable returns the memory to write the code to, before it is published.
// The code will run at [Code.Base], not where this slice lies.
func (c *Code) Writable() []byte {
	if c.published || c.mapped {
		panic("native: writing to published code")
	}
	return bytesAt(process.code.write+c.offset(), c.size)
}

// Shrink gives back the memory behind the first size bytes, which are all of the
// code, before it is published.
func (c *Code) Shrink(size int) {
	if c.published || c.mapped || size <= 0 || size > c.size {
		panic("native: shrinking published code, or to more than there is")
	}
	n := (size + 1<<layout.CodeGranuleLog2 - 1) >> layout.CodeGranuleLog2
	c.size = size
	if n == c.n {
		return
	}
	rest := c.n - n
	c.n = n
	process.code.release(c.offset()+c.room(), uintptr(rest)<<layout.CodeGranuleLog2)
	code.Lock()
	defer code.Unlock()
	if c.reused || !code.units.untake(c.unit+n, rest) {
		code.units.give(c.unit+n, rest)
	}
}

// Publish makes the code executable and known to the signal handlers.
func (c *Code) Publish(t Tables) error {
	if c.published {
		panic("native: code published twice")
	}
	if err := checkTables(t, c.size); err != nil {
		return err
	}
	text := bytesAt(c.Base(), c.size)
	if !c.mapped {
		text = bytesAt(process.code.write+c.offset(), int(c.room()))
		// Whatever runs off the end hits a breakpoint, as far as the page goes.
		for i := c.size; i%4096 != 0; i++ {
			text[i] = 0xCC
		}
	}
	if err := c.writeTables(t, text[:c.size]); err != nil {
		return err
	}
	if !c.mapped {
		if err := process.code.executable(c.offset(), c.room()); err != nil {
			return err
		}
	}
	if (c.Debuggable || c.Anonymous) && !c.mapped {
		if err := takeMappings(mappingsPerPrivate); err != nil {
			return err
		}
		c.private = true
		private := process.code.private
		if c.Anonymous {
			private = process.code.anonymous
		}
		if err := private(c.offset(), c.room()); err != nil {
			return err
		}
	}
	code.lookup.Lock()
	if code.byDesc == nil {
		code.byDesc = map[uintptr]*Code{}
	}
	code.byDesc[c.desc] = c
	code.lookup.Unlock()
	for i := range c.n {
		store(granule(c.unit+i), c.desc)
	}
	c.published = true
	return nil
}

// Mappings of code that is mapped by itself: the code, and what is behind it; and,
// if it is mapped from a file, the tables in it.
const (
	mappingsPerPrivate = 2
	mappingsPerFile    = 3
)

// granule returns the address of an entry of the granule table.
func granule(i int) uintptr { return process.granules + uintptr(i)*8 }

func checkTables(t Tables, size int) error {
	if p := t.Prepared; p != nil {
		if len(p.Flags) != len(p.Offsets) || len(p.Bounds)%2 != 0 || len(p.Offsets) > math.MaxInt32/8 || len(p.Bounds) > math.MaxInt32/8 {
			return fmt.Errorf("native: prepared tables of %d sites, %d flags, %d bounds", len(p.Offsets), len(p.Flags), len(p.Bounds))
		}
		return nil
	}
	for i, s := range t.Traps {
		if int64(s.Offset) >= int64(size) || i > 0 && t.Traps[i-1].Offset >= s.Offset {
			return fmt.Errorf("native: trap site %d at %#x is out of range or out of order", i, s.Offset)
		}
	}
	for i, b := range t.Bodies {
		if b.End < b.Start || int64(b.End) > int64(size) || i > 0 && t.Bodies[i-1].End > b.Start {
			return fmt.Errorf("native: body %d at %#x is out of range or out of order", i, b.Start)
		}
	}
	if len(t.Traps) > math.MaxInt32/8 || len(t.Bodies) > math.MaxInt32/8 {
		return errors.New("native: too many trap sites or bodies")
	}
	return nil
}

// NewTables is memory for tables about c of so many sites and bounds, for its Publish
// to take over as they are. It is filled in before that.
func (c *Code) NewTables(sites, bounds int) (*PreparedTables, error) {
	if c.published || c.tn > 0 {
		panic("native: tables of code that has some")
	}
	if sites > math.MaxInt32/8 || bounds > math.MaxInt32/8 {
		return nil, errors.New("native: too many trap sites or bodies")
	}
	bytes := layout.DescSize + 8*sites + 4*bounds
	if err := c.takeTables(bytes); err != nil {
		return nil, err
	}
	words := uint32sAt(c.offsets, 2*sites+bounds)
	return &PreparedTables{of: c, Offsets: words[:sites:sites], Flags: words[sites : 2*sites : 2*sites], Bounds: words[2*sites:]}, nil
}

// takeTables allocates memory for tables of so many bytes, with the descriptor.
func (c *Code) takeTables(bytes int) error {
	tn := (bytes + tableUnit - 1) / tableUnit
	first, _, ok := takeUnits(&code.tables, tn)
	if !ok {
		return fmt.Errorf("native: no room for tables of %d bytes in the range of %d", bytes, tablesRange)
	}
	c.table, c.tn = first, tn
	c.desc = process.tables + uintptr(first)*tableUnit
	c.offsets = c.desc + layout.DescSize
	return nil
}

// writeTables writes the code's descriptor, and the tables unless they are there
// already.
func (c *Code) writeTables(t Tables, text []byte) error {
	p := t.Prepared
	sites, bounds := len(t.Traps), 2*len(t.Bodies)
	if p != nil {
		sites, bounds = len(p.Offsets), len(p.Bounds)
	}
	inPlace := p != nil && p.InPlace
	taken := p != nil && p.of == c
	if !taken {
		if c.tn > 0 {
			panic("native: tables of code that has others")
		}
		bytes := layout.DescSize
		if !inPlace {
			bytes += 8*sites + 4*bounds
		}
		if err := c.takeTables(bytes); err != nil {
			return err
		}
	}
	c.sites = sites
	c.flags = c.offsets + uintptr(4*sites)
	edges := c.flags + uintptr(4*sites)
	switch {
	case inPlace:
		c.offsets, c.flags, edges = uint32sAddr(p.Offsets), uint32sAddr(p.Flags), uint32sAddr(p.Bounds)
		if sites > 0 && c.flags != c.offsets+uintptr(4*sites) {
			return errors.New("native: the flags of trap sites in place do not follow their offsets")
		}
	case taken:
	case p != nil:
		copy(uint32sAt(c.offsets, sites), p.Offsets)
		copy(uint32sAt(c.flags, sites), p.Flags)
		copy(uint32sAt(edges, bounds), p.Bounds)
	default:
		offsets, flags := uint32sAt(c.offsets, sites), uint32sAt(c.flags, sites)
		for i, s := range t.Traps {
			offsets[i] = s.Offset
			flags[i] = siteFlags(s, siteSignals(text[s.Offset:]))
		}
		bounds = len(appendBounds(uint32sAt(edges, bounds)[:0], t.Bodies))
	}

	desc := bytesAt(c.desc, layout.DescSize)
	binary.LittleEndian.PutUint64(desc[layout.DescBase:], uint64(c.Base()))
	binary.LittleEndian.PutUint64(desc[layout.DescSites:], uint64(c.offsets))
	binary.LittleEndian.PutUint64(desc[layout.DescBounds:], uint64(edges))
	binary.LittleEndian.PutUint32(desc[layout.DescSiteCount:], uint32(sites))
	binary.LittleEndian.PutUint32(desc[layout.DescBoundCount:], uint32(bounds))
	return nil
}

// TrapAt returns the code of the trap site at an offset.
func (c *Code) TrapAt(offset uint32) (trapCode uint16, ok bool) {
	offsets := uint32sAt(c.offsets, c.sites)
	lo, hi := 0, len(offsets)
	for lo < hi {
		mid := int(uint(lo+hi) / 2)
		if offsets[mid] < offset {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	if lo == len(offsets) || offsets[lo] != offset {
		return 0, false
	}
	return uint16(uint32sAt(c.flags, c.sites)[lo] >> layout.SiteCodeShift), true
}

// Acquire adds a reference.
func (c *Code) Acquire() {
	if c.refs.Add(1) <= 1 {
		panic("native: reference to freed code")
	}
}

// Release drops a reference. When it was the last one the memory is given back;
// it is used again once no signal handler can be looking at it.
func (c *Code) Release() {
	switch n := c.refs.Add(-1); {
	case n > 0:
		return
	case n < 0:
		panic("native: code released too often")
	}
	if c.published {
		for i := range c.n {
			store(granule(c.unit+i), 0)
		}
		code.lookup.Lock()
		delete(code.byDesc, c.desc)
		code.lookup.Unlock()
	}
	code.Lock()
	defer code.Unlock()
	code.retired = append(code.retired, c)
	reclaim()
}

// FindCode returns the published code that holds an address, and the address's
// offset in it; nil if there is none.
func FindCode(pc uintptr) (c *Code, offset uint32) {
	if Supported() != nil || pc-process.code.exec >= codeRange {
		return nil, 0
	}
	desc := load(granule(int((pc - process.code.exec) >> layout.CodeGranuleLog2)))
	if desc == 0 {
		return nil, 0
	}
	code.lookup.RLock()
	c = code.byDesc[desc]
	code.lookup.RUnlock()
	if c == nil || pc-c.Base() >= uintptr(c.size) {
		return nil, 0
	}
	return c, uint32(pc - c.Base())
}
