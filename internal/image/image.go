// Package image describes what compiling a module yields: position-independent
// machine code, tables about it, and the module's own metadata. It is the
// contract between the compiler, which makes images, and the runtime, which
// loads them and knows nothing of compilers.
package image

import (
	"os"
	"sort"
	"sync"

	"github.com/davit-wasm/davit/internal/layout"
	"github.com/davit-wasm/davit/wasm"
)

// Image is a compiled module. It is read-only once made, and may be shared.
//
// Offsets into Text are uint32. All tables about code are sorted by offset.
type Image struct {
	Target   string // the code generator's name of architecture and operating system
	CPU      string // the instruction set extensions that the code uses, canonical
	Settings Settings
	// Features are those that the module was allowed to use.
	Features wasm.Features
	// Hash is the SHA-256 sum of the module's bytes.
	Hash [32]byte

	// Text is the machine code: every function and trampoline of the module. It
	// holds no absolute address and needs no relocation.
	Text []byte
	// Memory is what Text lies in, if that is not Go's memory. It belongs to the image
	// until that has been loaded; then Text is there as long as the module's code is.
	Memory TextMemory

	// Functions lists everything in Text by ascending offset. What lies between
	// them is padding.
	Functions []Function

	// Code is the offset of each function that the module defines (index in the
	// function space minus the number of imported functions): what its function
	// record points at. Bodies is the offset of its body in the module's bytes.
	Code   []uint32
	Bodies []uint32

	// Signatures are the distinct machine-level signatures of the module's
	// function types, with their trampolines. TypeSignatures gives the signature
	// of each type of the module; NoSignature for types that are not functions.
	Signatures     []Signature
	TypeSignatures []uint32

	Traps   []Trap    // trap sites; nil if Sites is set
	AddrMap []Address // where code comes from
	Unwind  []Unwind  // frames
	// Inlined says which code is of bodies that have taken the place of calls,
	// InlineSites of which calls. Of nested ones, the outer one comes first.
	Inlined     []Inlined
	InlineSites []InlineSite

	// Module is the decoded module. Its function bodies are not needed any more;
	// that of a loaded image has none, and its names may be read by [Image.Names]
	// only.
	Module *wasm.Module
	// Layout says where an instance context keeps its parts.
	Layout layout.InstanceLayout

	// Sites are the tables for the signal handlers, if they have been prepared.
	Sites *Sites
	// File holds the text, from offset TextAt, if it can be run where it is mapped
	// from. It is open until the image has been loaded.
	File   *os.File
	TextAt int64
	// Initial is what the module's memory begins with, if that is in File as a whole.
	Initial InitialMemory
	// Release, if it is not nil, ends the use of the image: the tables about code,
	// data segments and custom sections must not be looked at any more.
	Release func()

	names     *wasm.Names
	namesOnce sync.Once
}

// TextMemory is memory for the text of one image, from which it can be run without
// being copied. It is for one goroutine at a time.
type TextMemory interface {
	// Grow makes room for size bytes, or, if there is not enough, for the least of
	// them at any rate, and keeps the first used ones. What it returned before is gone.
	// The result has used bytes, and its capacity is what there is room for.
	Grow(used, least, size int) ([]byte, error)
	// Release gives the memory up.
	Release()
}

// Sites are the tables for the signal handlers, in the form in which they read
// them: see native.PreparedTables.
type Sites struct {
	Offsets, Flags, Bounds []uint32
	InPlace                bool
}

// Names is what the module's name section says, or nil. It is read when it is
// first asked for.
func (m *Image) Names() *wasm.Names {
	m.namesOnce.Do(func() {
		m.names = m.Module.Names
		if m.names != nil {
			return
		}
		for i := range m.Module.Customs {
			if c := &m.Module.Customs[i]; c.Name == "name" {
				m.names = wasm.DecodeNames(c.Data)
				return
			}
		}
	})
	return m.names
}

// TrapSites are the trap sites, by ascending offset.
func (m *Image) TrapSites() []Trap {
	if m.Sites == nil {
		return m.Traps
	}
	traps := make([]Trap, len(m.Sites.Offsets))
	for i, off := range m.Sites.Offsets {
		traps[i] = Trap{off, TrapCode(m.Sites.Flags[i] >> layout.SiteCodeShift)}
	}
	return traps
}

// LayoutOf is the layout of instance contexts of m.
func LayoutOf(m *wasm.Module) layout.InstanceLayout {
	n := func(all, imported int) uint32 { return uint32(all - imported) }
	return layout.InstanceLayout{
		ImportedFuncs:    uint32(m.NumImportedFuncs),
		ImportedTables:   uint32(m.NumImportedTables),
		ImportedMemories: uint32(m.NumImportedMemories),
		ImportedGlobals:  uint32(m.NumImportedGlobals),
		ImportedTags:     uint32(m.NumImportedTags),
		Funcs:            n(len(m.Funcs), m.NumImportedFuncs),
		Tables:           n(len(m.Tables), m.NumImportedTables),
		Memories:         n(len(m.Memories), m.NumImportedMemories),
		Globals:          n(len(m.Globals), m.NumImportedGlobals),
		Tags:             n(len(m.Tags), m.NumImportedTags),
	}
}

// NoSignature marks a type that is not a function type.
const NoSignature = ^uint32(0)

// Settings are the choices that the code was compiled with and that the
// runtime has to follow.
type Settings struct {
	// ExplicitBounds: memory accesses are checked in code, so that a memory needs
	// no guard pages; else every 32-bit memory must reserve
	// layout.MemoryGuardReserve bytes.
	ExplicitBounds bool
	// Epoch: functions and loops compare the epoch with its deadline; else only
	// signals interrupt code.
	Epoch bool
	// DeterministicRelaxedSIMD: relaxed vector instructions give the same results
	// on all machines.
	DeterministicRelaxedSIMD bool
	// Fuel: code counts what it consumes, and ends when nothing is left.
	Fuel bool
}

// FunctionKind is the kind of a function in the text.
type FunctionKind uint8

// Function kinds.
const (
	FunctionWasm    FunctionKind = iota // function Index of the module's function space
	FunctionEntry                       // entry trampoline of signature Index
	FunctionExit                        // exit trampoline of signature Index
	FunctionDirect                      // direct entry trampoline of signature Index
	FunctionRoutine                     // routine Index: stands for an instruction, called by wasm functions
)

// Function is a function in the text.
type Function struct {
	Offset, Size uint32
	Index        uint32
	Kind         FunctionKind
}

// Slot is the kind of a parameter or result at the machine level.
type Slot uint8

// Slot kinds.
const (
	SlotI32 Slot = iota
	SlotI64
	SlotF32
	SlotF64
	SlotV128
	SlotRef // 8 bytes: see layout.TableSize
)

// SlotOf is the slot of a value type.
func SlotOf(t wasm.ValType) Slot {
	switch t {
	case wasm.I32:
		return SlotI32
	case wasm.I64:
		return SlotI64
	case wasm.F32:
		return SlotF32
	case wasm.F64:
		return SlotF64
	case wasm.V128:
		return SlotV128
	}
	return SlotRef
}

// Size is the number of bytes that s takes in an argument buffer.
func (s Slot) Size() int {
	if s == SlotV128 {
		return 16
	}
	return 8
}

// Signature is a signature with its trampolines. Params and Results follow the
// wasm function type, without contexts.
//
// Arguments and results pass through a buffer: the arguments one after the
// other from its start, each in [Slot.Size] bytes, little-endian, upper bytes
// undefined; the results likewise from its start, over the arguments. The
// buffer is 16-byte aligned and lies in memory that davit maps.
//
// Entry is the offset of a function in convention `go`:
//
//	func(exec, code, vmctx, buffer uintptr) (status uintptr)
//
// It enters native code, calls code (from a function record, with the record's
// context as vmctx) and leaves with status layout.ExitDone; caller_vmctx is 0.
//
// Direct, unless it is NoDirect, is the offset of another such function, which takes
// arguments and gives results in registers, as Go does, and claims the store it is to
// run in:
//
//	func(pass *layout.Pass…, params...) (status uintptr, results...)
//
// It leaves with status layout.ExitRefused if the gate in its pass is not open to the
// running goroutine. The results are in the execution context's buffer, too, for calls
// that do not come back this way, because they have left for Go in between.
//
// Exit is the offset of a function in convention `tail` of this signature: the
// code of a host function's record. It stores the arguments into a buffer on
// its stack, fills in the exit record (ExitKind = layout.ExitHost, ExitArg =
// buffer, ExitData = its vmctx, the host function's context, ExitCaller = the
// caller's instance context) and exits; when resumed it returns what the
// buffer then holds.
type Signature struct {
	Params, Results     []Slot
	Entry, Direct, Exit uint32
}

// NoDirect is the Direct of a signature that Go cannot pass in registers.
const NoDirect = ^uint32(0)

// BufferSize is the size of the argument and result buffer of s.
func (s *Signature) BufferSize() int {
	return max(slotsSize(s.Params), slotsSize(s.Results))
}

func slotsSize(slots []Slot) int {
	n := 0
	for _, s := range slots {
		n += s.Size()
	}
	return n
}

// Trap is a trap site: if the instruction at Offset faults, code Code is the
// reason.
type Trap struct {
	Offset uint32
	Code   TrapCode
}

// Address says that the code from Offset on, up to the next entry, comes from
// the instruction at offset Wasm in the bytes of the module; NoAddress if from
// none.
type Address struct {
	Offset, Wasm uint32
}

// NoAddress marks code that comes from no instruction.
const NoAddress = ^uint32(0)

// Inlined says that the code from Offset on, up to the next entry, is of the body
// that was inlined at InlineSites[Site]; NoSite if it is the function's own.
type Inlined struct {
	Offset, Site uint32
}

// InlineSite is a call that the body of a function has taken the place of.
type InlineSite struct {
	Func  uint32 // whose body
	Call  uint32 // offset of the call in the module's bytes, or NoAddress
	Outer uint32 // the site whose body the call was in, NoSite, or Replaced
}

// NoSite is no site. Replaced, as the outer site, stands for a tail call: the body
// is there in place of the function, which is not among the callers any more.
const (
	NoSite   = ^uint32(0)
	Replaced = NoSite - 1
)

// Unwind describes the frame from Offset up to the next entry, in terms of
// where the return address is.
type Unwind struct {
	Offset uint32
	Frame  FrameState
}

// FrameState is how far a frame has been set up. Every function keeps a frame
// pointer, so these are all.
type FrameState uint8

// Frame states. Note that no function has callee-saved registers.
const (
	FrameNone   FrameState = iota // at entry or before the return: the stack pointer is at the return address
	FramePushed                   // the caller's frame pointer has been pushed above it
	FrameReady                    // the frame pointer points at the caller's saved frame pointer
)

// FunctionAt finds the function that holds text offset off.
func (m *Image) FunctionAt(off uint32) (*Function, bool) {
	i := sort.Search(len(m.Functions), func(i int) bool { return m.Functions[i].Offset > off })
	if i == 0 || off >= m.Functions[i-1].Offset+m.Functions[i-1].Size {
		return nil, false
	}
	return &m.Functions[i-1], true
}

// WasmOffset is the offset in the module's bytes of the instruction that the
// code at text offset off comes from. For a return address, ask for the byte
// before it.
func (m *Image) WasmOffset(off uint32) (uint32, bool) {
	i := sort.Search(len(m.AddrMap), func(i int) bool { return m.AddrMap[i].Offset > off })
	if i == 0 || m.AddrMap[i-1].Wasm == NoAddress {
		return 0, false
	}
	return m.AddrMap[i-1].Wasm, true
}

// AddressesFrom is the index of the first entry of AddrMap at text offset off or
// behind it.
func (m *Image) AddressesFrom(off uint32) int {
	return sort.Search(len(m.AddrMap), func(i int) bool { return m.AddrMap[i].Offset >= off })
}

// Position is a place in a function of the module.
type Position struct {
	Func uint32
	Wasm uint32 // offset in the module's bytes, or NoAddress
}

// PositionsAt appends the places in the module that the code at text offset off, in
// fn, comes from, innermost first: the last is in fn itself, each before it in the
// body of a function that has been inlined, whose call is the one after it. For a
// return address, ask for the byte before it.
func (m *Image) PositionsAt(list []Position, fn *Function, off uint32) []Position {
	at, ok := m.WasmOffset(off)
	if !ok {
		at = NoAddress
	}
	if i := sort.Search(len(m.Inlined), func(i int) bool { return m.Inlined[i].Offset > off }); i > 0 {
		// Sites may come from a damaged file.
		end := uint32(len(m.InlineSites))
		for site := m.Inlined[i-1].Site; site < end; {
			s := &m.InlineSites[site]
			if s.Func >= uint32(len(m.Module.Funcs)) {
				break
			}
			if list = append(list, Position{s.Func, at}); s.Outer == Replaced {
				return list
			}
			at, end, site = s.Call, site, s.Outer
		}
	}
	return append(list, Position{fn.Index, at})
}

// FrameAt is how far the frame has been set up at text offset off.
func (m *Image) FrameAt(off uint32) FrameState {
	i := sort.Search(len(m.Unwind), func(i int) bool { return m.Unwind[i].Offset > off })
	if i == 0 {
		return FrameReady
	}
	return m.Unwind[i-1].Frame
}
