package layout

// What the signal handlers read. The handlers and the other process-wide stubs
// are generated code in one page of text; their state lies in the memory right
// behind it, so that they reach it relative to the instruction pointer.

// StubTextSize is the size of the stubs' text and the distance from its start
// to the state of the handlers.
const StubTextSize = 4096

// State of the signal handlers.
const (
	HandlerCodeBase = 0   // start of the address range that holds all compiled code
	HandlerCodeSize = 8   // its size
	HandlerGranules = 16  // address of the granule table: a code descriptor's address, or 0, for each granule of the range
	HandlerMemory   = 24  // address of a bitmap of the address space, a bit per 1<<GuardUnitLog2 bytes: may a trap site fault there?
	HandlerStacks   = 32  // address of a bitmap of the address space, a bit per StackRegionSize: is there a native stack?
	HandlerActive   = 40  // number of handlers that are running now
	HandlerFlags    = 48  // HandlerAVX
	HandlerTraps    = 56  // number of traps taken
	HandlerYields   = 64  // number of yields taken
	HandlerProfile  = 72  // 1 while a CPU profile is being taken
	HandlerWatched  = 80  // address of the table of watched goroutines, ProfileSlots slots
	HandlerBetween  = 88  // profile: ticks on the way into native code and out of it
	HandlerOld      = 128 // for each signal number below 32: the address of the handler to chain to
	HandlerSize     = 512
)

// A CPU profile: the handler of its timers' signal takes a tick in a function
// body as a yield, which it counts in ExecTicks. When it finds Go code instead,
// run by a goroutine that is watched because it serves native code, it notes Go's
// return addresses in a record of that goroutine's buffer.
const (
	ProfileSlots    = 4096 + ProfileProbes  // of the table of watched goroutines
	ProfileSlotLog2 = 12                    // of the slots that a hash of g can name
	ProfileProbes   = 8                     // so many slots from that one on may have g
	ProfileHash     = 0x9e37_79b9_7f4a_7c15 // times g, of which the upper bits name the slot

	// A slot.
	SlotGoroutine = 0 // g, or 0
	SlotBuffer    = 8 // address of its buffer
	SlotSize      = 16

	// A buffer.
	TicksLevel   = 0  // how many activations of the goroutine are watched
	TicksBusy    = 8  // not 0: the Go side is at the records
	TicksCount   = 16 // number of records
	TicksLost    = 24 // ticks for which there was no record
	TicksRecords = 64 // the records
	TicksMax     = 31 // how many there are at most
	TicksSize    = 16 << 10

	// A record.
	TickLevel  = 0  // TicksLevel
	TickWeight = 8  // how many ticks it is
	TickCount  = 16 // number of program counters
	TickPCs    = 24 // the interrupted instruction, then return addresses, innermost first
	TickMaxPCs = 61
	TickLog2   = 9
)

const _ = uint(TicksSize - TicksRecords - TicksMax<<TickLog2)
const _ = uint(1<<TickLog2 - TickPCs - TickMaxPCs*8)

// HandlerAVX in HandlerFlags: the processor has AVX, whose upper halves must be
// cleared on the way to Go.
const HandlerAVX = 1

// Lease: what a goroutine that uses a lock again and again is let it by; see
// internal/native's Claim. The stub reads the last two at once.
const (
	LeaseOwner   = 0  // the goroutine
	LeaseRevoked = 8  // uint32
	LeaseBusy    = 12 // uint32
)

// Units of the tables that the handlers read.
const (
	CodeGranuleLog2 = 14
	MemoryUnitLog2  = 16
	GuardUnitLog2   = 20 // a memory of 4 GiB takes 512 bytes of the bitmap
	AddressBits     = 47 // of user space
)

// Code descriptor: one per published code object.
const (
	DescBase       = 0  // start of the code
	DescSites      = 8  // address of its trap sites: sorted uint32 offsets, then as many uint32 of flags
	DescBounds     = 16 // address of the bounds of the parts where a yield may be taken: uint32 start, end, start, …, ascending
	DescSiteCount  = 24 // uint32
	DescBoundCount = 28 // uint32
	DescSize       = 32
)

// Flags of a trap site. The bit of a signal number says that this signal makes
// the site trap; bits 16 to 31 hold the trap code.
const (
	SiteNull      = 1 << 0 // a fault in the lowest 64 KiB is a trap too
	SiteCodeShift = 16
)
