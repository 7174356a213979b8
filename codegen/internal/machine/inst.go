package machine

import (
	"github.com/davit-wasm/davit/codegen/internal/regalloc"
	"github.com/davit-wasm/davit/codegen/ir"
)

// NumSlots is how many register operands an [Inst] holds itself. What needs
// more (calls, returns) lists them in a [CallInfo].
const NumSlots = 6

// Memory operands of all instruction sets have their base and their index in
// the last two slots.
const (
	SlotBase  = 4
	SlotIndex = 5
)

// Inst is a machine instruction, or a short fixed sequence of them, of any
// instruction set. What its fields mean is told by the set's table of
// [OpInfo], indexed by Op; the fields that an opcode doesn't use are zero, and
// its unused register slots NoReg.
//
// One struct of one size serves all, so that a function's code is a flat slice
// that is read in order; nothing is allocated and nothing is called through an
// interface per operand.
type Inst struct {
	Op   uint16 // shape of the operation: which operands, how it is emitted
	Sub  uint16 // which operation of that shape
	Size uint8  // operand size, as the instruction set counts
	Cond uint8
	Mem  MemKind
	Trap uint8 // trap code (ir.TrapCode) if the instruction can trap, or 0
	R    [NumSlots]Reg
	// Scale is the binary logarithm of the factor of the memory operand's index.
	Scale uint8
	Flags uint8 // of the instruction set
	_     uint16
	Disp  int32 // displacement of the memory operand
	Aux   uint32
	Imm   int64
}

// MemKind says what the memory operand of an instruction is relative to.
type MemKind uint8

// Kinds of memory operands. Index registers may be added to all but the last
// two.
const (
	MemNone      MemKind = iota
	MemReg               // base register + index<<scale + Disp
	MemStackSlot         // byte Disp of the function's stack slots; Lower.StackSlotOffset tells where one begins
	MemOutgoing          // byte Disp of the outgoing argument area
	MemIncoming          // byte Disp of the incoming stack arguments
	MemReturn            // byte Disp of the area for results that callees return in memory
	MemConst             // entry Aux of the constant pool
	MemLabel             // label Aux
)

// SlotKind says what an instruction does with a register slot.
type SlotKind uint8

// Kinds of slots.
const (
	SlotNone SlotKind = iota
	SlotUse
	SlotDef
)

// Slot describes a register operand of an opcode for the register allocator.
type Slot struct {
	Kind       SlotKind
	Pos        regalloc.OperandPos
	Constraint regalloc.Constraint
	Arg        uint8 // Fixed: the PReg; Reuse: the slot whose location is reused
}

// Slots, as tables write them.
var (
	U    = Slot{Kind: SlotUse, Constraint: regalloc.Reg}                               // use in a register
	UAny = Slot{Kind: SlotUse, Constraint: regalloc.Any}                               // use in a register or spill slot
	UL   = Slot{Kind: SlotUse, Pos: regalloc.Late, Constraint: regalloc.Reg}           // use that no result shares
	D    = Slot{Kind: SlotDef, Pos: regalloc.Late, Constraint: regalloc.Reg}           // result
	DE   = Slot{Kind: SlotDef, Pos: regalloc.Early, Constraint: regalloc.Reg}          // result or temporary that no operand shares
	D0   = Slot{Kind: SlotDef, Pos: regalloc.Late, Constraint: regalloc.Reuse, Arg: 0} // result where slot 0 was
	D1   = Slot{Kind: SlotDef, Pos: regalloc.Late, Constraint: regalloc.Reuse, Arg: 1} // result where slot 1 was
)

// UFix is a use in register p.
func UFix(p regalloc.PReg) Slot {
	return Slot{Kind: SlotUse, Constraint: regalloc.Fixed, Arg: uint8(p)}
}

// DFix is a result in register p.
func DFix(p regalloc.PReg) Slot {
	return Slot{Kind: SlotDef, Pos: regalloc.Late, Constraint: regalloc.Fixed, Arg: uint8(p)}
}

// OpFlags are properties of an opcode.
type OpFlags uint8

// Opcode flags.
const (
	OpMove  OpFlags = 1 << iota // slot 0 becomes a copy of slot 1, nothing else
	OpCall                      // Aux indexes VCode.Calls, which has more operands and the clobbers
	OpTerm                      // ends a block
	OpRemat                     // has a result in slot 0 and no operands, and may be executed again anywhere
	OpMem                       // slots SlotBase and SlotIndex are a memory operand
	OpRet                       // leaves the function
	OpJump                      // ends a block by going to block Aux and nothing else
)

// OpInfo describes an opcode of an instruction set.
type OpInfo struct {
	Name  string
	Slots [NumSlots]Slot
	Flags OpFlags
	// Clobbers are registers that the instruction destroys besides its results.
	Clobbers regalloc.PRegSet
}

// Range is the half-open interval [Start, End) of indexes into a pool.
type Range = regalloc.Range

// CallInfo is what a call, a tail call, a return, or the instruction that
// defines the function's own arguments has more than fits an Inst.
type CallInfo struct {
	Operands Range  // into VCode.CallOperands
	Clobbers uint16 // into VCode.Clobbers
	// Label is bound to the return address, if not NoLabel.
	Label Label
	// Dest is the callee of a direct call.
	Dest RelocTarget
	// Pop is the number of argument bytes that the callee removes from the
	// stack. Of a tail call, the bytes of stack arguments that the new callee has.
	Pop uint32
	// StackBytes is how much of the outgoing argument area the call uses.
	StackBytes uint32
	// Return is, of a try_call, the block where it returns to, and Handlers its
	// exception table, in VCode.Handlers.
	Return   uint32
	Handlers Range
}

// Handler is an item of the exception table of a try_call.
type Handler struct {
	Kind  ir.HandlerKind
	Tag   uint32
	Block uint32 // where it continues; the operand in VCode.CallOperands of a context
}

// RelocTarget names what a relocation refers to: an entity of the IR function
// or a library function.
type RelocTarget struct {
	Kind  TargetKind
	Index uint32
}

// TargetKind is the kind of a relocation's target.
type TargetKind uint8

// Kinds of relocation targets.
const (
	TargetNone    TargetKind = iota
	TargetFunc               // Index is an ir.FuncRef
	TargetGlobal             // Index is an ir.GlobalValue
	TargetLibcall            // Index is into VCode.Libcalls
)
