package x64

import (
	"github.com/davit-wasm/davit/codegen/internal/machine"
	"github.com/davit-wasm/davit/codegen/internal/regalloc"
	"github.com/davit-wasm/davit/codegen/internal/x64/asm"
)

// Op is the shape of a machine instruction ([machine.Inst].Op): which operands
// it has and how it is emitted. Which operation of that shape it is stands in
// Inst.Sub, an asm.Op, asm.VecOp or asm.BMIOp. So there are few shapes, and the
// encoder's whole repertoire is at hand through them.
//
// In the comments: R0… are register slots, mem the memory operand (base in
// slot 4, index in slot 5), size Inst.Size as asm.Size. "=R1" means that the
// result takes the place of slot 1. Slots written x take a register or a spill
// slot. Defs that nobody needs still get a register of their own: give them a
// fresh one.
type Op = uint16

// Shapes.
const (
	OpNone Op = iota

	// Moves and constants.
	OpMov      // R0 = R1, any class; the allocator may remove it
	OpMovP     // R0 = physical register R1 (rsp, rbp, pinned)
	OpMovToP   // physical register R0 = R1
	OpMovImm   // R0 = Imm at size (zero-extended below 64 bits); leaves the flags alone
	OpXmmZero  // R0 = 0
	OpXmmConst // R0 = constant Aux of the pool; Size is S32 or S64 for scalars (movss, movsd), else 16 bytes (movups)
	OpMovsx    // R0 = Sub(R1x): MOVZX8 … MOVSX32, POPCNT, LZCNT, TZCNT, BSF, BSR, MOV (zero-extends at S32)

	// Integer arithmetic. Sub is an asm.Op.
	OpAluRR     // R0=R1 Sub R2x: ADD OR ADC SBB AND SUB XOR IMUL BTS …
	OpAluRI     // R0=R1 Sub Imm; also shifts and rotations
	OpAluRM     // R0=R1 Sub mem
	OpAluMR     // mem Sub R0
	OpAluMI     // mem Sub Imm; also shifts and rotations
	OpUnaryR    // R0=R1: NOT NEG INC DEC
	OpUnaryM    // mem: NOT NEG INC DEC
	OpShiftCL   // R0=R1 by R2 (rcx)
	OpShiftMC   // mem by R0 (rcx)
	OpShldRI    // R0=R1, R2, Imm: SHLD SHRD
	OpShldCL    // R0=R1, R2, by R3 (rcx)
	OpImulRI    // R0 = R1x * Imm
	OpImulMI    // R0 = mem * Imm
	OpBswap     // R0=R1
	OpLoad      // R0 = Sub(mem): MOV (zero-extends at S32), MOVZX8 …, LEA, POPCNT …, MOVBE
	OpStore     // mem = R0: MOV, MOVBE, MOVNTI
	OpStoreI    // mem = Imm
	OpMul       // R0 (rax), R1 (rdx) = R2 (rax) * R3x: MUL, IMUL1; size S16 and up
	OpMulM      // R0 (rax), R1 (rdx) = R2 (rax) * mem
	OpMul8      // R0 (rax: ax) = R1 (rax: al) * R2x: MUL, IMUL1
	OpDiv       // R0 (rax), R1 (rdx) = R2 (rax) : R3 (rdx) / R4x: DIV, IDIV; may trap
	OpDiv8      // R0 (rax: al quotient, ah remainder) = R1 (rax: ax) / R2x; may trap
	OpSrem      // R1 (rdx) = remainder as OpDiv with IDIV, and 0 for a divisor of −1; R0 (rax) is destroyed; R4 a register
	OpSignA     // R0 (rdx) = sign of R1 (rax): cwd, cdq, cqo
	OpSignA8    // R0 (rax: ax) = sign extension of R1 (rax: al)
	OpBMI       // R0 = R1 Sub R2, an asm.BMIOp; R1 may be absent; size S32, S64
	OpBMIM      // R0 = R1 Sub mem
	OpMulx      // R0 high, R1 low = R2 (rdx) * R3
	OpRorx      // R0 = R1 rotated right by Imm; flags are undefined
	OpLock      // lock mem Sub R0: ADD AND OR XOR SUB …
	OpXadd      // R0=R1; lock xadd mem, R0
	OpXchg      // R0=R1; xchg mem, R0
	OpCmpxchg   // R0 (rax) old; R1 (rax) expected, R2 replacement; lock cmpxchg mem
	OpRmwLoop   // R0 (rax) old, R1 temporary; R2 operand; mem; Imm is the ir.AtomicOp: compare-and-swap loop
	OpRmw16     // R0 (rax), R1 (rdx) old; R2, R3 operand; base R4; Imm is the ir.AtomicOp; rbx and rcx are destroyed
	OpCmpxchg16 // R0 (rax), R1 (rdx) old; R2 (rax), R3 (rdx) expected; base R4; replacement in rbx, rcx through Calls[Aux]
	OpFence     // mfence

	// Flags. A comparison and what reads its flags must be emitted with
	// nothing but flag-preserving instructions between them.
	OpCmpRR   // R0 Sub R1x: CMP TEST BT
	OpCmpRI   // R0x Sub Imm
	OpCmpRM   // R0 Sub mem
	OpBitTest // BT R0, R1: the carry flag is the bit
	OpBitOp   // R0=R1 Sub R2: BTS BTR BTC
	OpCmpMR   // mem Sub R0
	OpCmpMI   // mem Sub Imm
	OpZero    // R0 = 0, and flags are changed: what OpSetccIn begins with
	OpSetcc   // R0 = low byte 0 or 1, the rest undefined
	OpSetccIn // R0=R1 with 0 or 1 as its low byte
	OpCmov    // R0=R1, R2x if Cond; size S16 and up
	OpCmovM   // R0=R1, mem if Cond
	OpCmovX   // R0=R1, R2 if Cond, for xmm registers: a short branch
	OpTrapIf  // trap with Trap if Cond
	OpTrapIf2 // trap with Trap if Cond or the condition in Sub

	// Vector registers. Sub is an asm.VecOp.
	OpXmmRR      // R0=R1 Sub R2; Flags&FlagImm: Imm byte
	OpXmmRM      // R0=R1 Sub mem; likewise
	OpXmmUn      // R0 = Sub(R1), either may be an integer register; Flags&FlagImm, FlagBreak
	OpXmmLoad    // R0 = Sub(mem): MOVSS, MOVSD, MOVUPS, CVT…, SQRTSS, ROUNDSS …; Flags as above
	OpXmmShift   // R0=R1, all lanes shifted by Imm: PSLLW_I …
	OpXmmStore   // mem = R0
	OpXmmCmp     // R0 Sub R1: UCOMISS, UCOMISD, PTEST
	OpXmmCmpM    // R0 Sub mem
	OpVexRR      // R0 = R1 Sub R2; R2 a register; FlagImm. VEX, or EVEX where there is no VEX encoding, here and below
	OpVexRM      // R0 = R1 Sub mem; FlagImm
	OpVexUn      // R0 = Sub(R1); FlagImm
	OpVexLoad    // R0 = Sub(mem); FlagImm
	OpVexStore   // mem = R0; FlagWide only
	OpVexShift   // R0 = R1, all lanes shifted by Imm
	OpVexBlend   // R0 = R2 where the top bits of R3 are set, else R1
	OpTernary    // R0=R1 Sub R2, R3, EVEX: VPTERNLOGD with Imm, VPERMI2B, W and D
	OpTernaryM   // R0=R1 Sub R2, mem
	OpFma        // R0=R1 Sub R2, R3, VEX: VFMADD213SS …: R1*R2+R3
	OpFmaM       // R0=R1 Sub R2, mem
	OpXmmMinMax  // R0=R1, R2: fmin or fmax as CLIF has them; Cond 0 min, 1 max; size S32, S64
	OpCvtU64ToF  // R0 = R1 as float of size; R2, R3 integer temporaries
	OpCvtFToS    // R0 = trunc R1; R2 an xmm temporary; float of size Cond to signed of Size, traps
	OpCvtFToU    // R0 = trunc R1; R2 an xmm, R3 an integer temporary; to unsigned, traps
	OpCvtFToSSat // R0 = trunc R1, saturating; R2 an xmm temporary
	OpCvtFToUSat // R0 = trunc R1, saturating; R2 an xmm, R3 an integer temporary

	// Control.
	OpJmp         // to block Aux
	OpJcc         // to block Aux if Cond, else to block Imm
	OpJcc2        // to block Aux if Cond or the condition in Sub, else to block Imm
	OpJmpTable    // to block of index R0 (64 bits) in jump table Aux; R1, R2 temporaries
	OpJmpTableChk // likewise, to the last entry's block if R0 is no index
	OpJmpTree     // the same by comparisons, without temporaries
	OpUd2         // trap with Trap; ends a block
	OpDebug       // int3
	OpCall        // direct, Calls[Aux]
	OpCallR       // through R0x
	OpCallM       // through mem
	OpTryCall     // as OpCall, and then to block Calls[Aux].Return
	OpTryCallR    // as OpCallR, likewise
	OpTailCall    // direct tail call
	OpTailCallR   // tail call through R0
	OpRet
	OpArgs      // defines the function's arguments that come in registers
	OpSymbol    // R0 = address of Calls[Aux].Dest
	OpRetAddr   // R0 = address after the next call: Aux is its label
	OpBlockAddr // R0 = address of block Aux
	OpTLSCall   // rax = address of thread-local variable Calls[Aux].Dest, from a function of the system; Flags is the model
	OpTLSCOFF   // R0 = the same as an offset in the module's block; R1 a temporary
	OpRepMovs   // copies R2 (rcx) bytes to [R0] (rdi) from [R1] (rsi)
	OpSwitch    // to another stack: R0 = payload, R1 where to save, R2 where to load from, R3 payload
	OpNop       // nothing
	numOps
)

// Flags of an instruction.
const (
	FlagImm   = 1 << iota // an immediate byte follows
	FlagBreak             // the result's register is cleared first, to break a false dependency
	FlagLock              // with a LOCK prefix
	FlagWide              // on 256 bits; VEX only
)

// Table describes the shapes for what back ends share.
var Table = func() []machine.OpInfo {
	type slots = [machine.NumSlots]machine.Slot
	var (
		u, x, d, de, d1 = machine.U, machine.UAny, machine.D, machine.DE, machine.D1
		ul              = machine.UL
		none            machine.Slot
		uA, uC, uD      = machine.UFix(pRAX), machine.UFix(pRCX), machine.UFix(pRDX)
		dA, dD          = machine.DFix(pRAX), machine.DFix(pRDX)
	)
	mem := func(s ...machine.Slot) (r slots) {
		copy(r[:], s)
		r[machine.SlotBase], r[machine.SlotIndex] = u, u
		return r
	}
	memLate := func(s ...machine.Slot) (r slots) {
		copy(r[:], s)
		r[machine.SlotBase], r[machine.SlotIndex] = ul, ul
		return r
	}
	const m = machine.OpMem
	t := [numOps]machine.OpInfo{
		OpNone:     {Name: "none"},
		OpMov:      {Name: "mov", Slots: slots{d, u}, Flags: machine.OpMove},
		OpMovP:     {Name: "mov", Slots: slots{d, none}},
		OpMovToP:   {Name: "mov", Slots: slots{none, u}},
		OpMovImm:   {Name: "mov", Slots: slots{d}, Flags: machine.OpRemat},
		OpXmmZero:  {Name: "zero", Slots: slots{d}, Flags: machine.OpRemat},
		OpXmmConst: {Name: "const", Slots: slots{d}, Flags: machine.OpRemat},
		OpMovsx:    {Name: "ext", Slots: slots{d, x}},

		OpAluRR:     {Name: "alu", Slots: slots{d1, u, x}},
		OpAluRI:     {Name: "alu", Slots: slots{d1, u}},
		OpAluRM:     {Name: "alu", Slots: mem(d1, u), Flags: m},
		OpAluMR:     {Name: "alu", Slots: mem(u), Flags: m},
		OpAluMI:     {Name: "alu", Slots: mem(), Flags: m},
		OpUnaryR:    {Name: "unary", Slots: slots{d1, u}},
		OpUnaryM:    {Name: "unary", Slots: mem(), Flags: m},
		OpShiftCL:   {Name: "shift", Slots: slots{d1, u, uC}},
		OpShiftMC:   {Name: "shift", Slots: mem(uC), Flags: m},
		OpShldRI:    {Name: "shld", Slots: slots{d1, u, u}},
		OpShldCL:    {Name: "shld", Slots: slots{d1, u, u, uC}},
		OpImulRI:    {Name: "imul", Slots: slots{d, x}},
		OpImulMI:    {Name: "imul", Slots: mem(d), Flags: m},
		OpBswap:     {Name: "bswap", Slots: slots{d1, u}},
		OpLoad:      {Name: "load", Slots: mem(d), Flags: m},
		OpStore:     {Name: "store", Slots: mem(u), Flags: m},
		OpStoreI:    {Name: "store", Slots: mem(), Flags: m},
		OpMul:       {Name: "mul", Slots: slots{dA, dD, uA, x}},
		OpMulM:      {Name: "mul", Slots: mem(dA, dD, uA), Flags: m},
		OpMul8:      {Name: "mul", Slots: slots{dA, uA, x}},
		OpDiv:       {Name: "div", Slots: slots{dA, dD, uA, uD, x}},
		OpDiv8:      {Name: "div", Slots: slots{dA, uA, x}},
		OpSrem:      {Name: "srem", Slots: slots{dA, dD, uA, uD, u}},
		OpSignA:     {Name: "sign", Slots: slots{dD, uA}},
		OpSignA8:    {Name: "sign", Slots: slots{dA, uA}},
		OpBMI:       {Name: "bmi", Slots: slots{d, u, u}},
		OpBMIM:      {Name: "bmi", Slots: mem(d, u), Flags: m},
		OpMulx:      {Name: "mulx", Slots: slots{d, d, uD, u}},
		OpRorx:      {Name: "rorx", Slots: slots{d, u}},
		OpLock:      {Name: "lock", Slots: mem(u), Flags: m},
		OpXadd:      {Name: "xadd", Slots: memLate(d1, u), Flags: m},
		OpXchg:      {Name: "xchg", Slots: memLate(d1, u), Flags: m},
		OpCmpxchg:   {Name: "cmpxchg", Slots: mem(dA, uA, u), Flags: m},
		OpRmwLoop:   {Name: "rmw", Slots: memLate(dA, de, ul), Flags: m},
		OpRmw16:     {Name: "rmw16", Slots: slots{dA, dD, ul, ul, ul}, Clobbers: regalloc.MakePRegSet(pRBX, pRCX)},
		OpCmpxchg16: {Name: "cmpxchg16b", Slots: slots{dA, dD, uA, uD, ul}, Flags: machine.OpCall},
		OpFence:     {Name: "mfence"},

		OpCmpRR:   {Name: "cmp", Slots: slots{u, x}},
		OpCmpRI:   {Name: "cmp", Slots: slots{x}},
		OpBitTest: {Name: "bt", Slots: slots{u, u}},
		OpBitOp:   {Name: "bit", Slots: slots{d1, u, u}},
		OpCmpRM:   {Name: "cmp", Slots: mem(u), Flags: m},
		OpCmpMR:   {Name: "cmp", Slots: mem(u), Flags: m},
		OpCmpMI:   {Name: "cmp", Slots: mem(), Flags: m},
		OpZero:    {Name: "zero", Slots: slots{d}},
		OpSetcc:   {Name: "set", Slots: slots{d}},
		OpSetccIn: {Name: "set", Slots: slots{d1, u}},
		OpCmov:    {Name: "cmov", Slots: slots{d1, u, x}},
		OpCmovM:   {Name: "cmov", Slots: mem(d1, u), Flags: m},
		OpCmovX:   {Name: "cmov", Slots: slots{d1, u, ul}},
		OpTrapIf:  {Name: "trap_if"},
		OpTrapIf2: {Name: "trap_if"},

		OpXmmRR:      {Name: "xmm", Slots: slots{d1, u, u}},
		OpXmmRM:      {Name: "xmm", Slots: mem(d1, u), Flags: m},
		OpXmmUn:      {Name: "xmm", Slots: slots{d, u}},
		OpXmmLoad:    {Name: "xmm", Slots: mem(d), Flags: m},
		OpXmmShift:   {Name: "xmm", Slots: slots{d1, u}},
		OpXmmStore:   {Name: "xmm", Slots: mem(u), Flags: m},
		OpXmmCmp:     {Name: "xmm", Slots: slots{u, u}},
		OpXmmCmpM:    {Name: "xmm", Slots: mem(u), Flags: m},
		OpVexRR:      {Name: "vex", Slots: slots{d, u, u}},
		OpVexRM:      {Name: "vex", Slots: mem(d, u), Flags: m},
		OpVexUn:      {Name: "vex", Slots: slots{d, u}},
		OpVexLoad:    {Name: "vex", Slots: mem(d), Flags: m},
		OpVexStore:   {Name: "vex", Slots: mem(u), Flags: m},
		OpVexShift:   {Name: "vex", Slots: slots{d, u}},
		OpVexBlend:   {Name: "vex", Slots: slots{d, u, u, u}},
		OpTernary:    {Name: "evex", Slots: slots{d1, u, u, u}},
		OpTernaryM:   {Name: "evex", Slots: mem(d1, u, u), Flags: m},
		OpFma:        {Name: "fma", Slots: slots{d1, u, u, u}},
		OpFmaM:       {Name: "fma", Slots: mem(d1, u, u), Flags: m},
		OpXmmMinMax:  {Name: "minmax", Slots: slots{d1, u, ul}},
		OpCvtU64ToF:  {Name: "cvt_u64_to_f", Slots: slots{de, ul, de, de}},
		OpCvtFToS:    {Name: "cvt_f_to_s", Slots: slots{de, ul, de}},
		OpCvtFToU:    {Name: "cvt_f_to_u", Slots: slots{de, ul, de, de}},
		OpCvtFToSSat: {Name: "cvt_f_to_s_sat", Slots: slots{de, ul, de}},
		OpCvtFToUSat: {Name: "cvt_f_to_u_sat", Slots: slots{de, ul, de, de}},

		OpJmp:         {Name: "jmp", Flags: machine.OpTerm | machine.OpJump},
		OpJcc:         {Name: "jcc", Flags: machine.OpTerm},
		OpJcc2:        {Name: "jcc", Flags: machine.OpTerm},
		OpJmpTable:    {Name: "jmp_table", Slots: slots{u, de, d}, Flags: machine.OpTerm},
		OpJmpTableChk: {Name: "jmp_table", Slots: slots{u, de, d}, Flags: machine.OpTerm},
		OpJmpTree:     {Name: "jmp_tree", Slots: slots{u}, Flags: machine.OpTerm},
		OpUd2:         {Name: "ud2", Flags: machine.OpTerm},
		OpDebug:       {Name: "int3"},
		OpCall:        {Name: "call", Flags: machine.OpCall},
		OpCallR:       {Name: "call", Slots: slots{u}, Flags: machine.OpCall},
		OpCallM:       {Name: "call", Slots: mem(), Flags: machine.OpCall | m},
		OpTryCall:     {Name: "try_call", Flags: machine.OpCall | machine.OpTerm},
		OpTryCallR:    {Name: "try_call", Slots: slots{u}, Flags: machine.OpCall | machine.OpTerm},
		OpTailCall:    {Name: "tail_call", Flags: machine.OpCall | machine.OpTerm | machine.OpRet},
		OpTailCallR:   {Name: "tail_call", Slots: slots{u}, Flags: machine.OpCall | machine.OpTerm | machine.OpRet},
		OpRet:         {Name: "ret", Flags: machine.OpCall | machine.OpTerm | machine.OpRet},
		OpArgs:        {Name: "args", Flags: machine.OpCall},
		OpSymbol:      {Name: "symbol", Slots: slots{d}},
		OpRetAddr:     {Name: "return_address", Slots: slots{d}},
		OpBlockAddr:   {Name: "block_address", Slots: slots{d}},
		OpTLSCall:     {Name: "tls_call", Flags: machine.OpCall},
		OpTLSCOFF:     {Name: "tls_index", Slots: slots{de, de}},
		OpRepMovs:     {Name: "rep_movsb", Slots: slots{machine.UFix(pRDI), machine.UFix(pRSI), uC}, Clobbers: regalloc.MakePRegSet(pRDI, pRSI, pRCX)},
		OpSwitch:      {Name: "stack_switch", Slots: slots{machine.DFix(pRDI), machine.UFix(pRSI), uD, machine.UFix(pRDI)}, Clobbers: allRegs},
		OpNop:         {Name: "nop"},
	}
	return t[:]
}()

// An inst has no operands yet.
func inst(op Op) machine.Inst {
	const no = machine.NoReg
	return machine.Inst{Op: op, R: [machine.NumSlots]machine.Reg{no, no, no, no, no, no}}
}

// Amode is an addressing mode.
type Amode struct {
	Kind        machine.MemKind
	Scale       uint8
	Trap        uint8 // trap code of the access, 0 if it cannot fault
	Base, Index machine.Reg
	Disp        int32
	Aux         uint32 // constant or label
}

// MemAt is the address base+disp.
func MemAt(base machine.Reg, disp int32) Amode {
	return Amode{Kind: machine.MemReg, Base: base, Index: machine.NoReg, Disp: disp}
}

// MemIndexed is the address base + index<<scale + disp.
func MemIndexed(base, index machine.Reg, scale uint8, disp int32) Amode {
	return Amode{Kind: machine.MemReg, Scale: scale, Base: base, Index: index, Disp: disp}
}

// MemOf is byte disp of one of the frame's areas.
func MemOf(kind machine.MemKind, disp int32) Amode {
	return Amode{Kind: kind, Base: machine.NoReg, Index: machine.NoReg, Disp: disp}
}

// MemConstant is entry c of the constant pool.
func MemConstant(c uint32) Amode {
	return Amode{Kind: machine.MemConst, Base: machine.NoReg, Index: machine.NoReg, Aux: c}
}

// New makes an instruction of shape op from its registers in slot order; a slot
// that stays empty is machine.NoReg. The other fields are the caller's to set.
func New(op Op, sub uint16, size asm.Size, regs ...machine.Reg) machine.Inst {
	in := inst(op)
	in.Sub, in.Size = sub, uint8(size)
	copy(in.R[:], regs)
	return in
}

// NewImm is New with an immediate.
func NewImm(op Op, sub uint16, size asm.Size, imm int64, regs ...machine.Reg) machine.Inst {
	in := New(op, sub, size, regs...)
	in.Imm = imm
	return in
}

// NewMem is New with a memory operand.
func NewMem(op Op, sub uint16, size asm.Size, m Amode, regs ...machine.Reg) machine.Inst {
	in := New(op, sub, size, regs...)
	setMem(&in, m)
	return in
}

func setMem(in *machine.Inst, m Amode) {
	in.Mem, in.Scale, in.Trap, in.Disp, in.Aux = m.Kind, m.Scale, m.Trap, m.Disp, m.Aux
	in.R[machine.SlotBase], in.R[machine.SlotIndex] = m.Base, m.Index
}
