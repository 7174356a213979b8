package native

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"sync"

	"github.com/davit-wasm/davit/internal/layout"
)

// ErrUnsupported is wrapped by the error of [Supported] on platforms where
// native code can't be run.
var ErrUnsupported = errors.New("native code is not supported")

// codeRange is the size of the address range of all code. Displacements of 32
// bits reach from any code to any other in half of it.
const codeRange = 2 << 30

// tablesRange is the size of the address range of the handlers' tables about
// code, and tableUnit what is allocated of it.
const (
	tablesRange = 1 << 30
	tableUnit   = 4096
)

// process is what the process has once: the stubs, the ranges of code and
// tables, the bitmaps. It is made on first use and never unmade.
var process struct {
	once  sync.Once
	err   error
	stubs uintptr // address of the stubs' text
	state uintptr // address of the handlers' state
	code  codeMemory

	granules uintptr // address of the granule table
	tables   uintptr // address of the range of tables
	memory   bitmap  // where trap sites may fault
	stacks   bitmap  // where native stacks are

	signals bool // the yield signal can be used

	bias      bool // Goroutine and FenceAll can be used
	goroutine func() uintptr
	claim     func(*Lease) bool
}

// Supported returns nil if native code can be run in this process, or an error
// that says why not. The first call sets everything up: it reserves address
// space, installs the signal handlers and checks Go's calling convention.
func Supported() error {
	process.once.Do(func() { process.err = setUp() })
	return process.err
}

func setUp() error {
	if !supportedPlatform {
		return fmt.Errorf("native: %w on %s/%s", ErrUnsupported, runtime.GOOS, runtime.GOARCH)
	}
	p := &process
	setMappingLimit(mappingLimit())
	var err error
	if p.code, err = newCodeMemory(codeRange); err != nil {
		return err
	}
	if p.tables, err = mapAnonymous(tablesRange, protReadWrite); err != nil {
		return err
	}
	if p.granules, err = mapAnonymous(codeRange>>layout.CodeGranuleLog2*8, protReadWrite); err != nil {
		return err
	}
	p.memory.unitLog2 = layout.GuardUnitLog2
	if p.memory.words, err = mapAnonymous(1<<(layout.AddressBits-layout.GuardUnitLog2)/8, protReadWrite); err != nil {
		return err
	}
	p.stacks.unitLog2 = stackRegionLog2
	if p.stacks.words, err = mapAnonymous(1<<(layout.AddressBits-stackRegionLog2)/8, protReadWrite); err != nil {
		return err
	}
	code.units.limit = codeRange >> layout.CodeGranuleLog2
	code.tables.limit = tablesRange / tableUnit
	if err := installStubs(); err != nil {
		return err
	}
	p.goroutine = Func[func() uintptr](p.stubs + stubGoroutine)
	p.claim = Func[func(*Lease) bool](p.stubs + stubClaim)
	registerSyncCores()
	p.bias = !raceDetector && registerFences()
	p.signals = !asyncPreemptOff(os.Getenv("GODEBUG"))
	return installHandlers()
}

// installStubs maps the stubs and the handlers' state behind them.
func installStubs() error {
	p := &process
	base, err := mapAnonymous(2*layout.StubTextSize, protReadWrite)
	if err != nil {
		return err
	}
	copy(bytesAt(base, layout.StubTextSize), stubText[:])
	p.stubs, p.state = base, base+layout.StubTextSize
	store(p.state+layout.HandlerCodeBase, p.code.exec)
	store(p.state+layout.HandlerCodeSize, codeRange)
	store(p.state+layout.HandlerGranules, p.granules)
	store(p.state+layout.HandlerMemory, p.memory.words)
	store(p.state+layout.HandlerStacks, p.stacks.words)
	store(p.state+layout.HandlerFlags, handlerFlags())
	if err := protect(base, layout.StubTextSize, protReadExec); err != nil {
		return err
	}
	return probe()
}

// asyncPreemptOff tells whether a GODEBUG setting switches off the signal by
// which Go asks threads to yield.
func asyncPreemptOff(godebug string) bool {
	off := false
	for _, setting := range strings.Split(godebug, ",") {
		if key, value, _ := strings.Cut(setting, "="); key == "asyncpreemptoff" {
			off = value != "0" && value != ""
		}
	}
	return off
}

// SignalsAvailable tells whether Go's preemption signal can interrupt native
// code. If not, code must check for interruption itself: a loop without checks
// would keep every other goroutine and the collector waiting. It is false when
// native code is not supported.
func SignalsAvailable() bool { return Supported() == nil && process.signals }

// CheckHandlers verifies that the signal handlers are in place, which other
// code in the process could have changed (os/signal.Ignore takes the preemption
// signal away), and puts them back. An engine calls it when it is made and now
// and then.
func CheckHandlers() error {
	if err := Supported(); err != nil {
		return err
	}
	return installHandlers()
}

// Statistics counts what the signal handlers have done in this process.
type Statistics struct {
	Traps, Yields uint64
}

// Stats returns the counts so far.
func Stats() Statistics {
	if Supported() != nil {
		return Statistics{}
	}
	return Statistics{Traps: uint64(load(process.state + layout.HandlerTraps)), Yields: uint64(load(process.state + layout.HandlerYields))}
}

// HandlerState returns the address of the signal handlers' state, laid out as
// package layout says; the stubs lie layout.StubTextSize bytes before it. It is
// for tests and debuggers.
func HandlerState() uintptr {
	if Supported() != nil {
		return 0
	}
	return process.state
}
