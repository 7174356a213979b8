package regalloc

import (
	"fmt"
	"math/bits"
	"strings"
)

// RegClass is a register file. Registers of different classes never alias; a target whose scalar floating-point registers
// are the low parts of its vector registers uses the Float class for both and tells the widths apart by Function.SpillUnits.
type RegClass uint8

// The register classes.
const (
	Int RegClass = iota
	Float
	Vector

	// NumClasses is the number of register classes.
	NumClasses = 3
)

// String returns "i", "f" or "v".
func (c RegClass) String() string {
	if c < NumClasses {
		return "ifv"[c : c+1]
	}
	return fmt.Sprintf("class%d", uint8(c))
}

// PReg is a physical register: a class and a hardware number below MaxHW. A PReg listed in Env.StackPRegs is a stack location
// with a fixed place, such as an incoming argument, that can be named in Fixed constraints like a register.
type PReg uint8

const (
	// MaxHW is the number of hardware registers a class may have.
	MaxHW = 64
	// NumPRegs is one more than the largest PReg.
	NumPRegs = NumClasses * MaxHW
	// NoPReg is the absence of a physical register.
	NoPReg PReg = 0xff
)

// MakePReg returns register hw of class c. hw is below MaxHW.
func MakePReg(c RegClass, hw uint8) PReg { return PReg(c)<<6 | PReg(hw&(MaxHW-1)) }

// Class returns the register's class.
func (p PReg) Class() RegClass { return RegClass(p >> 6) }

// HW returns the register's hardware number.
func (p PReg) HW() uint8 { return uint8(p) & (MaxHW - 1) }

// Valid reports whether p names a register, which NoPReg does not.
func (p PReg) Valid() bool { return p < NumPRegs }

// String returns the class and the hardware number, such as "p3i".
func (p PReg) String() string {
	if !p.Valid() {
		return "p-none"
	}
	return fmt.Sprintf("p%d%s", p.HW(), p.Class())
}

// PRegSet is a set of physical registers. The zero value is empty.
type PRegSet [NumClasses]uint64

// MakePRegSet returns the set of the given registers.
func MakePRegSet(regs ...PReg) PRegSet {
	var s PRegSet
	for _, r := range regs {
		s.Add(r)
	}
	return s
}

// Add puts p into the set.
func (s *PRegSet) Add(p PReg) { s[p>>6] |= 1 << (p & 63) }

// Remove takes p out of the set.
func (s *PRegSet) Remove(p PReg) { s[p>>6] &^= 1 << (p & 63) }

// Has reports whether p is in the set.
func (s PRegSet) Has(p PReg) bool { return p.Valid() && s[p>>6]>>(p&63)&1 != 0 }

// Union returns the registers in either set.
func (s PRegSet) Union(t PRegSet) PRegSet {
	return PRegSet{s[0] | t[0], s[1] | t[1], s[2] | t[2]}
}

// Minus returns the registers of s that are not in t.
func (s PRegSet) Minus(t PRegSet) PRegSet {
	return PRegSet{s[0] &^ t[0], s[1] &^ t[1], s[2] &^ t[2]}
}

// Intersects reports whether the sets have a register in common.
func (s PRegSet) Intersects(t PRegSet) bool { return s[0]&t[0]|s[1]&t[1]|s[2]&t[2] != 0 }

// Empty reports whether the set has no registers.
func (s PRegSet) Empty() bool { return s[0]|s[1]|s[2] == 0 }

// Len returns the number of registers in the set.
func (s PRegSet) Len() int {
	return bits.OnesCount64(s[0]) + bits.OnesCount64(s[1]) + bits.OnesCount64(s[2])
}

// All calls yield for every register in ascending order.
func (s PRegSet) All(yield func(PReg) bool) {
	for c, w := range s {
		for ; w != 0; w &= w - 1 {
			if !yield(MakePReg(RegClass(c), uint8(bits.TrailingZeros64(w)))) {
				return
			}
		}
	}
}

// String lists the registers between braces.
func (s PRegSet) String() string {
	var b strings.Builder
	b.WriteByte('{')
	for p := range s.All {
		if b.Len() > 1 {
			b.WriteByte(' ')
		}
		b.WriteString(p.String())
	}
	b.WriteByte('}')
	return b.String()
}

// VReg is a virtual register: an index below Function.NumVRegs and a class. Each has exactly one definition (SSA).
type VReg uint32

const (
	// NoVReg is the absence of a virtual register.
	NoVReg VReg = 0xffffffff
	// MaxVRegs bounds Function.NumVRegs.
	MaxVRegs = 1 << 28
	// MaxInsts bounds the number of Function.Insts.
	MaxInsts = 1 << 28
)

// MakeVReg returns virtual register index of class c.
func MakeVReg(c RegClass, index int) VReg { return VReg(index)<<2 | VReg(c) }

// Index returns the register's index.
func (v VReg) Index() int { return int(v >> 2) }

// Class returns the register's class.
func (v VReg) Class() RegClass { return RegClass(v & 3) }

// String returns the index and the class, such as "v12i".
func (v VReg) String() string {
	if v == NoVReg {
		return "v-none"
	}
	return fmt.Sprintf("v%d%s", v.Index(), v.Class())
}

// OperandKind tells whether an instruction reads or writes an operand.
type OperandKind uint8

// The operand kinds. There is no modify: a two-address instruction has a Use and a Def whose constraint is Reuse.
const (
	Use OperandKind = iota
	Def
)

// OperandPos is the moment, within an instruction, from or to which an operand needs its location.
//
// An instruction has two moments. Inputs are there at Early, outputs at Late; an input and an output may share a location
// unless one of them says that it reaches over the other: a Use at Late is still needed when outputs are written, a Def at
// Early is written while inputs are still needed (a temporary is a Def at Early that nothing uses).
type OperandPos uint8

// The operand positions.
const (
	Early OperandPos = iota
	Late
)

// Constraint restricts where an operand may be.
type Constraint uint8

const (
	// Any is a register or a spill slot.
	Any Constraint = iota
	// Reg is any allocatable register of the operand's class.
	Reg
	// Stack is any spill slot.
	Stack
	// Fixed is the physical register PReg(Operand.Arg).
	Fixed
	// Reuse is, for a Def at Late, the location of the instruction's operand number Operand.Arg, which is a Use at Early with
	// constraint Reg, Any, Limit or Fixed and of the same class.
	Reuse
	// Limit is an allocatable register whose hardware number is below Operand.Arg.
	Limit
)

// Operand is a virtual register used or defined by an instruction.
type Operand struct {
	VReg       VReg
	Kind       OperandKind
	Pos        OperandPos
	Constraint Constraint
	Arg        uint8 // Fixed: the PReg; Reuse: index of the input among the instruction's operands; Limit: the bound
}

// UseAny returns a use at Early in a register or spill slot.
func UseAny(v VReg) Operand { return Operand{VReg: v} }

// UseReg returns a use at Early in any register.
func UseReg(v VReg) Operand { return Operand{VReg: v, Constraint: Reg} }

// UseFixed returns a use at Early in register p.
func UseFixed(v VReg, p PReg) Operand { return Operand{VReg: v, Constraint: Fixed, Arg: uint8(p)} }

// DefReg returns a definition at Late in any register.
func DefReg(v VReg) Operand { return Operand{VReg: v, Kind: Def, Pos: Late, Constraint: Reg} }

// DefAny returns a definition at Late in a register or spill slot.
func DefAny(v VReg) Operand { return Operand{VReg: v, Kind: Def, Pos: Late} }

// DefFixed returns a definition at Late in register p.
func DefFixed(v VReg, p PReg) Operand {
	return Operand{VReg: v, Kind: Def, Pos: Late, Constraint: Fixed, Arg: uint8(p)}
}

// DefReuse returns a definition at Late in the location of the instruction's operand number input.
func DefReuse(v VReg, input int) Operand {
	return Operand{VReg: v, Kind: Def, Pos: Late, Constraint: Reuse, Arg: uint8(input)}
}

// String returns the operand in the form "use@early v3i reg".
func (o Operand) String() string {
	kind, pos := "use", "early"
	if o.Kind == Def {
		kind = "def"
	}
	if o.Pos == Late {
		pos = "late"
	}
	c := "any"
	switch o.Constraint {
	case Any:
	case Reg:
		c = "reg"
	case Stack:
		c = "stack"
	case Fixed:
		c = "fixed(" + PReg(o.Arg).String() + ")"
	case Reuse:
		c = fmt.Sprintf("reuse(%d)", o.Arg)
	case Limit:
		c = fmt.Sprintf("limit(%d)", o.Arg)
	default:
		c = fmt.Sprintf("constraint%d", uint8(o.Constraint))
	}
	return kind + "@" + pos + " " + o.VReg.String() + " " + c
}

// Range is the half-open interval [Start, End) of indices into one of Function's slices.
type Range struct{ Start, End uint32 }

// Len returns the number of elements in the range.
func (r Range) Len() int { return int(r.End - r.Start) }

// InstFlags are properties of an instruction.
type InstFlags uint8

const (
	// Move marks a copy: exactly two operands of one class, the Use at Early first, then the Def at Late, at least one of them
	// with constraint Reg or Fixed to a register. The allocator tries to give both the same location; when it succeeds, the
	// client emits nothing.
	Move InstFlags = 1 << iota
	// Safepoint marks an instruction at which a collector may look at, and change, every reference (Function.Refs) that is live
	// across it. The instruction clobbers all allocatable registers of class Int; so the references are in spill slots, listed by
	// Output.Safepoints.
	Safepoint
)

// Inst is an instruction as the allocator sees it. The last instruction of a block is its terminator.
type Inst struct {
	Operands Range // into Function.Operands
	Clobbers uint16
	Flags    InstFlags
}

// Edge is the way from a block to a successor, with the values for the successor's parameters.
type Edge struct {
	To   uint32 // index of the successor block
	Args Range  // into Function.Args; as many as the successor has parameters
}

// Block is a basic block. Blocks are in code order, so that Insts of block n+1 begins where that of block n ends.
type Block struct {
	Insts     Range // into Function.Insts; never empty
	Succs     Range // into Function.Edges
	Params    Range // into Function.Params
	LoopDepth uint8 // number of loops around the block; weighs the cost of spill code
	Cold      bool  // rarely executed, such as a trap or a slow path
}

// Function is the input of the allocator: the shape of a function's machine code and nothing else.
//
// It is a struct of slices rather than an interface that the client implements. The allocator reads each operand several
// times; a call through an interface per read would cost more than the work done with it. The client fills the slices while it
// lowers, in order, appending to storage that it keeps from function to function.
//
// Rules (Validate tells the first that is broken):
//
//   - SSA: every VReg that occurs is defined once, by a Def operand or as a block parameter, and its definition dominates its
//     uses. Edge arguments are uses at the end of the edge's source, after its terminator.
//   - Block 0 is the entry. It has no predecessors and no parameters: a function's own arguments are Fixed definitions of a
//     first instruction. Every block can be reached from it.
//   - Critical edges are split: a block with several outgoing edges has only successors with a single incoming edge.
//     (Two edges to the same block count as two.)
//   - Where a block has several incoming edges, their sources' terminators have no operands and clobber nothing (they are plain
//     jumps, and moves go before them). A terminator that defines values, such as a call with exceptional edges, therefore has only
//     successors with a single incoming edge, where moves go at the start. Its definitions exist on all its edges; values that
//     arrive in one register on different edges are a single VReg.
//   - At one moment of one instruction, a register is the Fixed location of at most one operand. (The same VReg may be used
//     in several places by one instruction.) Only at Late can a definition be Fixed to a register that the instruction clobbers; the
//     definition wins. No other operand that is needed at Late is put into a clobbered register.
//   - Fixed constraints name registers that are allocatable or in Env.StackPRegs.
type Function struct {
	NumVRegs int
	Blocks   []Block
	Insts    []Inst
	Operands []Operand
	Edges    []Edge
	Args     []VReg
	Params   []VReg

	// Clobbers holds the distinct sets that Inst.Clobbers indexes; index 0 stands for the empty set even when the slice is empty.
	Clobbers []PRegSet

	// SpillUnits holds, by VReg index, the size of the register's spill slot in units. When nil, or 0 for a register,
	// Env.SpillUnits of its class holds.
	SpillUnits []uint8

	// Remat tells, by VReg index, that the register's defining instruction has no operands but this Reg definition and no
	// effects, and may be executed again, into any register of the class, at any point of the function, changing nothing else
	// (condition flags included). Nil means none. The edits then hold "moves" from the allocation Remat.
	Remat []bool

	// Refs tells, by VReg index, that the register, of class Int, holds a reference that Safepoint instructions must find. Nil means
	// none.
	Refs []bool

	// Hints holds, by VReg index, a register that would be good to have, or NoPReg. Nil means none. Fixed constraints and moves need
	// no hint.
	Hints []PReg

	// DebugLabels asks where labelled values are.
	DebugLabels []DebugLabel
}

// DebugLabel asks for the locations of VReg, known to the client by Label, for instructions in [From, To).
type DebugLabel struct {
	Label    uint32
	VReg     VReg
	From, To uint32
}

// NewInst appends an instruction whose operands are those appended to f.Operands since the previous one, and returns its index.
func (f *Function) NewInst(clobbers uint16, flags InstFlags) int {
	start := uint32(0)
	if n := len(f.Insts); n > 0 {
		start = f.Insts[n-1].Operands.End
	}
	f.Insts = append(f.Insts, Inst{Range{start, uint32(len(f.Operands))}, clobbers, flags})
	return len(f.Insts) - 1
}

// Reset empties the function, keeping its storage.
func (f *Function) Reset() {
	*f = Function{
		Blocks: f.Blocks[:0], Insts: f.Insts[:0], Operands: f.Operands[:0], Edges: f.Edges[:0], Args: f.Args[:0],
		Params: f.Params[:0], Clobbers: f.Clobbers[:0], SpillUnits: f.SpillUnits[:0], Remat: f.Remat[:0], Refs: f.Refs[:0],
		Hints: f.Hints[:0], DebugLabels: f.DebugLabels[:0],
	}
}

// InstOperands returns instruction i's operands.
func (f *Function) InstOperands(i int) []Operand {
	r := f.Insts[i].Operands
	return f.Operands[r.Start:r.End:r.End]
}

// InstClobbers returns the registers that instruction i clobbers.
func (f *Function) InstClobbers(i int) PRegSet {
	if c := f.Insts[i].Clobbers; c != 0 {
		return f.Clobbers[c]
	}
	return PRegSet{}
}

// BlockEdges returns block b's outgoing edges.
func (f *Function) BlockEdges(b int) []Edge {
	r := f.Blocks[b].Succs
	return f.Edges[r.Start:r.End:r.End]
}

// BlockParams returns block b's parameters.
func (f *Function) BlockParams(b int) []VReg {
	r := f.Blocks[b].Params
	return f.Params[r.Start:r.End:r.End]
}

// EdgeArgs returns the values for the parameters of e's target.
func (f *Function) EdgeArgs(e Edge) []VReg { return f.Args[e.Args.Start:e.Args.End:e.Args.End] }

// isRemat reports whether v's definition can be executed again.
func (f *Function) isRemat(v VReg) bool { return v.Index() < len(f.Remat) && f.Remat[v.Index()] }

// isRef reports whether safepoints must find v.
func (f *Function) isRef(v VReg) bool { return v.Index() < len(f.Refs) && f.Refs[v.Index()] }

// hint returns the register v would like to have, or NoPReg.
func (f *Function) hint(v VReg) PReg {
	if v.Index() < len(f.Hints) {
		return f.Hints[v.Index()]
	}
	return NoPReg
}

// spillUnits returns the size of v's spill slot.
func (f *Function) spillUnits(v VReg, env *Env) uint8 {
	if i := v.Index(); i < len(f.SpillUnits) && f.SpillUnits[i] != 0 {
		return f.SpillUnits[i]
	}
	return max(env.SpillUnits[v.Class()], 1)
}

// Env describes the target: which registers there are and how large spilled values are. It does not change during an allocation
// and may be shared.
type Env struct {
	// Allocatable lists the registers of each class that may be used, in the order of preference: registers that cost nothing
	// first, then those that the prologue has to save.
	Allocatable [NumClasses][]PReg

	// Scratch holds at most one register per class that is not allocatable and that edits may overwrite at any point. Without one,
	// edits that need a temporary use a register that is free at the point, or save one around the move.
	Scratch PRegSet

	// StackPRegs are the PRegs that are stack locations. They occur in Fixed constraints only.
	StackPRegs PRegSet

	// SpillUnits is the size of a spill slot per class, in units of the client's choice (a word, usually). 0 means 1. A slot of n
	// units is aligned to the next power of two from n.
	SpillUnits [NumClasses]uint8
}

// Allocation is a location given to an operand, or the source or destination of an edit.
type Allocation uint32

// AllocKind is the kind of an Allocation.
type AllocKind uint8

// The kinds of allocations.
const (
	// AllocNone is no location at all. It is the zero Allocation. A Def of a Remat register gets it when nothing needs the value
	// there; the client then leaves the instruction out.
	AllocNone AllocKind = iota
	// AllocReg is a physical register, or a stack location of Env.StackPRegs.
	AllocReg
	// AllocSlot is a spill slot.
	AllocSlot
	// AllocRemat, only as the source of an edit, is the result of the VReg's defining instruction executed again.
	AllocRemat
)

// RegAlloc returns the allocation of register p.
func RegAlloc(p PReg) Allocation { return Allocation(AllocReg)<<30 | Allocation(p) }

// SlotAlloc returns the allocation of the spill slot that begins at the given unit.
func SlotAlloc(unit uint32) Allocation { return Allocation(AllocSlot)<<30 | Allocation(unit) }

// RematAlloc returns the source of a rematerializing edit.
func RematAlloc() Allocation { return Allocation(AllocRemat) << 30 }

// Kind returns what kind of location a is.
func (a Allocation) Kind() AllocKind { return AllocKind(a >> 30) }

// IsReg reports whether a is a PReg.
func (a Allocation) IsReg() bool { return a.Kind() == AllocReg }

// IsSlot reports whether a is a spill slot.
func (a Allocation) IsSlot() bool { return a.Kind() == AllocSlot }

// PReg returns the register, or NoPReg if a is none.
func (a Allocation) PReg() PReg {
	if a.IsReg() {
		return PReg(a)
	}
	return NoPReg
}

// Slot returns the first unit of a spill slot.
func (a Allocation) Slot() uint32 { return uint32(a) & (1<<30 - 1) }

// String returns "none", the register, "slotN" or "remat".
func (a Allocation) String() string {
	switch a.Kind() {
	case AllocReg:
		return a.PReg().String()
	case AllocSlot:
		return fmt.Sprintf("slot%d", a.Slot())
	case AllocRemat:
		return "remat"
	default:
		return "none"
	}
}

// ProgPoint is a place between instructions: before or after one.
type ProgPoint uint32

// Before returns the point before instruction inst.
func Before(inst int) ProgPoint { return ProgPoint(inst) << 1 }

// After returns the point after instruction inst.
func After(inst int) ProgPoint { return ProgPoint(inst)<<1 | 1 }

// Inst returns the instruction that the point is before or after.
func (p ProgPoint) Inst() int { return int(p >> 1) }

// IsAfter reports whether the point is after its instruction.
func (p ProgPoint) IsAfter() bool { return p&1 != 0 }

// String returns "before inst3" or "after inst3".
func (p ProgPoint) String() string {
	if p.IsAfter() {
		return fmt.Sprintf("after inst%d", p.Inst())
	}
	return fmt.Sprintf("before inst%d", p.Inst())
}

// Edit is a move to insert. At least one of From and To is a register; if From is Remat, To is a register. A move without VReg
// saves or restores a register whose contents are not known: all of it, as Env.SpillUnits of its class says.
type Edit struct {
	At       ProgPoint
	VReg     VReg // what is moved: the width, and what to execute again if From is Remat; NoVReg moves the whole register
	From, To Allocation
}

// String returns the edit in the form "before inst3: slot1 -> p0i (v7i)".
func (e Edit) String() string {
	return fmt.Sprintf("%v: %v -> %v (%v)", e.At, e.From, e.To, e.VReg)
}

// SafepointSlot says that, at safepoint instruction Inst, the spill slot that begins at unit Slot holds reference VReg.
type SafepointSlot struct {
	Inst uint32
	VReg VReg
	Slot uint32
}

// DebugLoc says that, when each of the instructions [From, To) begins, the value labelled Label is at Alloc. Instructions that no
// DebugLoc covers do not have the value, or are jumps before which it may have been overwritten by block parameters.
type DebugLoc struct {
	Label    uint32
	From, To uint32
	Alloc    Allocation
}

// Output is the result of an allocation. It belongs to the Allocator and is valid until its next use.
type Output struct {
	// Allocs holds the location of each of Function.Operands.
	Allocs []Allocation

	// Edits are the moves to insert, sorted by point; those at one point are executed in order, one after the other.
	Edits []Edit

	// SpillUnits is the size of the spill area in units.
	SpillUnits uint32

	// Used are the allocatable registers that some operand or edit writes.
	Used PRegSet

	// Safepoints lists the slots that hold references, sorted by instruction, then slot.
	Safepoints []SafepointSlot

	// DebugLocs answers Function.DebugLabels, sorted by label, then From.
	DebugLocs []DebugLoc

	Stats Stats
}

// Stats are counters of one allocation.
type Stats struct {
	Spilled   int // virtual registers that were given a spill slot
	Evictions int // times that a value had to leave a register while it was live
	Moves     int // register to register edits
	Loads     int
	Stores    int
	Remats    int
}

// Algorithm chooses the allocator.
type Algorithm uint8

const (
	// Global is the allocator of optimized code.
	Global Algorithm = iota
	// Fast allocates block by block in one backward pass.
	Fast
)

// Options are the parameters of an allocation. The zero value is useful.
type Options struct {
	Algorithm Algorithm
	// Validate checks the input against the rules of Function first.
	Validate bool
	// Check runs Check on the output and returns its error.
	Check bool
}
