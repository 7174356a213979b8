// Package layout fixes the shapes of the structures that compiled code and the
// Go side share: the execution context above every native stack, the
// store context, the instance context and what hangs off it. It holds
// constants only and imports nothing, so that the code generator, the stub
// generator, the translator and the runtime agree by construction.
//
// All offsets are in bytes; every field is 8 bytes wide unless it says
// otherwise. Everything here lives in memory that davit maps itself, never in
// the Go heap. Pointers in it are machine addresses of such memory; Go objects
// are named by index only.
package layout

// StackRegionSize is the size and the alignment of the region that holds one
// native stack. Compiled code finds the region's base by masking its stack pointer with
// -StackRegionSize, and the execution context at a fixed distance from that. The region
// is reserved address space; how much of it is usable stack is the runtime's choice.
const StackRegionSize = 16 << 20

// StackSlack is how far below ExecStackLimit code may reach without asking.
// Functions whose frame is at most half of it compare their stack pointer as it
// is at entry, and those of them that call nothing, or functions of convention
// preserve_all only, which take little, don't compare at all. Below that there is still
// room for a signal frame and for stubs.
const StackSlack = 8 << 10

// ExecBase is where the execution context lies in the region: at its end, right above
// the top of the stack, so that both are in one page as long as the stack is not deep, and in one
// page of the page tables.
const ExecBase = StackRegionSize - 1<<10

// Execution context: one per native stack. Offsets are from the base of its region, which
// is what its address is said to be.
const (
	ExecGoSP       = ExecBase + 0  // Go's stack pointer while native code runs; points at the saved frame pointer
	ExecGoG        = ExecBase + 8  // Go's g while native code runs
	ExecEntrySP    = ExecBase + 24 // where the next entry starts its frame
	ExecEntryFP    = ExecBase + 32 // entry record: frame pointer of the newest entry frame; backtraces of the activation end there
	ExecExitFP     = ExecBase + 40 // exit record: frame pointer of the frame that made the exiting call
	ExecExitPC     = ExecBase + 48 // exit record: return address of the exiting call in that frame
	ExecResumeSP   = ExecBase + 56 // where a resume continues: the frame pointer to restore lies there, and above it the address to return to; written by the exit stub
	ExecExitKind   = ExecBase + 64 // exit record: why the Go loop got control (Exit* constants)
	ExecExitArg    = ExecBase + 72 // exit record: address of the argument and result buffer
	ExecExitData   = ExecBase + 80 // exit record: libcall number, or address of the host function's context
	ExecExitStub   = ExecBase + 88 // address of the exit stub, constant; reached by `call [context+ExecExitStub]`
	ExecTrapPC     = ExecBase + 96
	ExecTrapSP     = ExecBase + 104
	ExecTrapFP     = ExecBase + 112
	ExecTrapAddr   = ExecBase + 120 // faulting address
	ExecTrapSignal = ExecBase + 128
	ExecYieldPC    = ExecBase + 136
	ExecYieldFrame = ExecBase + 144 // address of the saved signal frame
	ExecYieldFP    = ExecBase + 152
	ExecStore      = ExecBase + 160 // address of the store context of the running activation
	ExecTicks      = ExecBase + 168 // ticks of a profile's timer that made the code yield, until the Go side takes them
	ExecExitCaller = ExecBase + 176 // exit record: instance context of the caller of a host function, or 0
	ExecStackLow   = ExecBase + 184 // lowest usable byte of the stack
	ExecYieldSP    = ExecBase + 192
	ExecScratch    = ExecBase + 256 // the buffer for arguments and results of calls that are not nested

	// The lowest stack pointer a prologue accepts. It lies so close to the last byte of
	// the region, which is where the stack pointer's lowest bits all set lead, that a byte
	// holds the distance.
	ExecStackLimit = StackRegionSize - 16
)

// It lies in the region, before the limit.
const _ = uint(ExecStackLimit - ExecScratch - 8*ScratchWords)

// ScratchWords is how many 8-byte words of arguments or results fit into ExecScratch.
const ScratchWords = 48

// Gate: what says that the running goroutine may enter native code at once, and how. It
// lies in the Go heap, as leases do: code reads it before it leaves Go's stack.
const (
	GateLease = 0 // address of the Lease that the lock is let by
	GateExec  = 8 // address of the execution context; 0: calls need the Go side to begin
)

// Pass: what a direct entry trampoline is called with. It lies in the Go heap; code that
// runs on a native stack must not read it after a call, for Go may have run.
const (
	PassGate  = 0  // address of the Gate
	PassCode  = 8  // code of the function
	PassVMCtx = 16 // its context
)

// Exit kinds: what the native side returns to the Go loop (in the first result
// register of the entry and resume trampolines, and in ExecExitKind).
const (
	ExitRefused = -1 // nothing was entered: the gate is not open to the running goroutine
	ExitDone    = 0  // the entered function has returned
	ExitHost    = 1  // a host function call: ExecExitData is the host function's context
	ExitLibcall = 2  // a runtime service: ExecExitData is the libcall's number
	ExitTrap    = 3  // the trap record is filled in
	ExitYield   = 4  // the yield record is filled in
)

// Store context: one per store.
const (
	StoreEpoch = 8  // checks for interruption that epoch-checked code goes on after: a signed number
	StoreFuel  = 24 // fuel that is left: a signed number
	StoreSize  = 64
)

// Function record: what a funcref points at, and what an import is.
const (
	FuncRecordCode   = 0  // code address
	FuncRecordVMCtx  = 8  // context to pass as vmctx: an instance context or a host function's context
	FuncRecordTypeID = 16 // uint32: canonical type id in the engine
	FuncRecordSize   = 32
)

// Host function context: the vmctx of a host function.
const (
	HostContextMagic = 0 // HostMagic
	HostContextIndex = 8 // index of the Go function in its store
	HostContextSize  = 16
)

// InstanceMagic and HostMagic are the first word of an instance context and of
// a host function's context.
const (
	InstanceMagic = 0x7473_6e69_7469_7664 // "dvitinst"
	HostMagic     = 0x7473_6f68_7469_7664 // "dvithost"
)

// Memory descriptor.
const (
	MemoryBase   = 0  // address of byte 0
	MemoryLength = 8  // current length in bytes
	MemorySize   = 16 // size of a descriptor
)

// MemoryGuardReserve is the address space that a guard-page memory with 32-bit
// indexes reserves from its base: any 32-bit index plus a static offset below
// MemoryOffsetGuard faults instead of reaching anything else. Larger static
// offsets are checked in code.
const (
	MemoryGuardReserve = 4<<30 + MemoryOffsetGuard
	MemoryOffsetGuard  = 64 << 20
)

// Table descriptor. Elements are 8 bytes: an address of a function record, or
// an index of an external reference plus one; 0 is null.
const (
	TableBase   = 0
	TableLength = 8 // current length in elements
	TableSize   = 16
)

// TableElemSize is the size of a table element in bytes.
const TableElemSize = 8

// GlobalSize is the size of a global's cell; 16 so that a vector fits.
const GlobalSize = 16

// Instance context: a fixed header, then arrays whose places depend on the
// module and are computed by [InstanceLayout].
const (
	InstMagic  = 0
	InstStore  = 8  // address of the store context
	InstIndex  = 16 // index of the instance in its store
	InstHeader = 64
)

// InstanceLayout computes where an instance context keeps its arrays. Imported
// entities are reached through pointers, own ones are inline, so that an
// access to an own memory or global is one load shorter.
type InstanceLayout struct {
	ImportedFuncs, ImportedTables, ImportedMemories, ImportedGlobals, ImportedTags uint32
	Funcs, Tables, Memories, Globals, Tags                                         uint32 // own (defined) entities
}

// The arrays follow each other in this order after the header; each method
// returns the offset of element i of its array.

// ImportedFunc is the offset of the copy of the function record of import i:
// FuncRecordSize bytes, so that a call through it takes two loads.
func (l *InstanceLayout) ImportedFunc(i uint32) int32 {
	return InstHeader + int32(i)*FuncRecordSize
}

// ImportedTable is the offset of a pointer to the table descriptor of import i.
func (l *InstanceLayout) ImportedTable(i uint32) int32 {
	return l.ImportedFunc(l.ImportedFuncs) + int32(i)*8
}

// ImportedMemory is the offset of a pointer to the memory descriptor of import i.
func (l *InstanceLayout) ImportedMemory(i uint32) int32 {
	return l.ImportedTable(l.ImportedTables) + int32(i)*8
}

// ImportedGlobal is the offset of a pointer to the cell of imported global i.
func (l *InstanceLayout) ImportedGlobal(i uint32) int32 {
	return l.ImportedMemory(l.ImportedMemories) + int32(i)*8
}

// ImportedTag is the offset of a pointer identifying imported tag i.
func (l *InstanceLayout) ImportedTag(i uint32) int32 {
	return l.ImportedGlobal(l.ImportedGlobals) + int32(i)*8
}

// Memory is the offset of the descriptor of own memory i.
func (l *InstanceLayout) Memory(i uint32) int32 {
	return (l.ImportedTag(l.ImportedTags)+15)&^15 + int32(i)*MemorySize
}

// Table is the offset of the descriptor of own table i.
func (l *InstanceLayout) Table(i uint32) int32 {
	return l.Memory(l.Memories) + int32(i)*TableSize
}

// Global is the offset of the cell of own global i.
func (l *InstanceLayout) Global(i uint32) int32 {
	return l.Table(l.Tables) + int32(i)*GlobalSize
}

// Tag is the offset of the identity cell of own tag i.
func (l *InstanceLayout) Tag(i uint32) int32 {
	return l.Global(l.Globals) + int32(i)*8
}

// Func is the offset of the function record of own function i.
func (l *InstanceLayout) Func(i uint32) int32 {
	return (l.Tag(l.Tags)+31)&^31 + int32(i)*FuncRecordSize
}

// Size is the size of the instance context, without the type ids.
func (l *InstanceLayout) Size() int32 { return l.Func(l.Funcs) }

// TypeID is the offset of the canonical type id of type i of the module: uint32,
// behind everything else.
func (l *InstanceLayout) TypeID(i uint32) int32 { return l.Size() + 4*int32(i) }

// Libcall numbers: runtime services that compiled code reaches by an exit.
// Arguments and results are 8-byte little-endian slots in the buffer, in the
// order given; results overwrite the slots from 0.
const (
	LibMemoryGrow = 1 // (vmctx, memory index, delta pages) → old size in pages, or -1
	LibMemoryInit = 2 // (vmctx, memory index, segment, dst, src, n); traps
	LibMemoryCopy = 3 // (vmctx, dst memory, src memory, dst, src, n); traps
	LibMemoryFill = 4 // (vmctx, memory index, dst, byte, n); traps
	LibDataDrop   = 5 // (vmctx, segment)
	LibTableGrow  = 6 // (vmctx, table index, init, delta) → old length, or -1
	LibTableInit  = 7 // (vmctx, table index, segment, dst, src, n); traps
	LibTableCopy  = 8 // (vmctx, dst table, src table, dst, src, n); traps
	LibTableFill  = 9 // (vmctx, table index, dst, value, n); traps
	LibElemDrop   = 10
	LibInterrupt  = 11 // (): the epoch has ended; returns to continue with what StoreEpoch says then, or the activation is cancelled
	LibFuel       = 12 // (): no fuel is left; returns to continue with what StoreFuel says then, or the activation ends
	LibSubtype    = 13 // (vmctx, type id, type id) → 1 if the first type is derived from the second, else 0
)
