package main

import (
	"encoding/binary"

	. "github.com/davit-wasm/davit/codegen/internal/x64/asm"
	"github.com/davit-wasm/davit/internal/layout"
)

// Offsets in Linux's signal frame for x86-64 (struct ucontext, struct
// siginfo, the extended state's software-reserved bytes).
const (
	ucStackFlags = 24
	ucR14        = 88
	ucRBP        = 120
	ucRSP        = 160
	ucRIP        = 168
	ucFPRegs     = 224
	ucSize       = 304 // through the signal mask

	siCode    = 8
	siAddr    = 16
	siOverrun = 20 // of timers: how often the timer has expired since the signal was sent
	siValue   = 24 // of timers: what the timer was made with

	siTimer = -2 // siCode of timers

	fpMagic        = 464
	fpExtendedSize = 468
	fpMagic1       = 0x46505853
	fpLegacySize   = 512

	sigBus  = 7
	sigSegv = 11

	sysRtSigreturn = 15

	// invalidStackFlags in a signal frame keeps rt_sigreturn from changing the
	// alternate signal stack, which belongs to whatever thread resumes.
	invalidStackFlags = 0x7fff

	// frameGap is between the copied frame and the copied vector state: what is
	// left of 320 bytes keeps the latter's alignment.
	frameDistance = 320

	// Go's g begins with the bounds of its stack.
	goStackLow  = 0
	goStackHigh = 8

	// resumeSlots is what lies below a copied frame: a frame pointer, which
	// rt_sigreturn overwrites, and the address of the sigreturn stub.
	resumeSlots = 16
)

// builder adds labels to the assembler.
type builder struct {
	Assembler
	stubs  []stub
	labels map[string]int
	fixups []fixup
}

type stub struct {
	name, doc string
	at        int
}

type fixup struct {
	label string
	at    int // of the rel32 field, which ends its instruction
}

func (b *builder) begin(name, doc string) {
	for len(b.Buf)%16 != 0 {
		b.Emit(INT3)
	}
	b.stubs = append(b.stubs, stub{name, doc, len(b.Buf)})
	b.label(name)
}

func (b *builder) label(name string) {
	if b.labels == nil {
		b.labels = map[string]int{}
	}
	if _, ok := b.labels[name]; ok {
		panic("stubs: label " + name + " twice")
	}
	b.labels[name] = len(b.Buf)
}

func (b *builder) ref(label string) { b.fixups = append(b.fixups, fixup{label, len(b.Buf) - 4}) }

func (b *builder) jcc(c Cond, label string) { b.Jcc32(c); b.ref(label) }
func (b *builder) jmp(label string)         { b.Jmp32(); b.ref(label) }

// leaLabel loads the address of a label.
func (b *builder) leaLabel(dst Reg, label string) { b.RM(LEA, S64, dst, RIPRel(0)); b.ref(label) }

// leaState loads the address of the handlers' state.
func (b *builder) leaState(dst Reg) {
	b.RM(LEA, S64, dst, RIPRel(0))
	binary.LittleEndian.PutUint32(b.Buf[b.DispAt:], uint32(layout.StubTextSize-len(b.Buf)))
}

func (b *builder) finish() {
	for _, f := range b.fixups {
		target, ok := b.labels[f.label]
		if !ok {
			panic("stubs: no label " + f.label)
		}
		binary.LittleEndian.PutUint32(b.Buf[f.at:], uint32(target-f.at-4))
	}
	if len(b.Buf) > layout.StubTextSize {
		panic("stubs: text too large")
	}
}

// linuxAMD64 assembles the stubs for Linux on x86-64.
func linuxAMD64() *builder {
	b := new(builder)

	b.begin("probe", "Checks Go's calling convention: func(a, b, c, d uintptr) (status, b, c, d uintptr) returns a plus the sum of the others plus whether the closure register is set.")
	b.RR(ADD, S64, RAX, RBX)
	b.RR(ADD, S64, RAX, RCX)
	b.RR(ADD, S64, RAX, RDI)
	b.RR(TEST, S64, RDX, RDX)
	b.Setcc(NE, RDX)
	b.RR(MOVZX8, S32, RDX, RDX)
	b.RR(ADD, S64, RAX, RDX)
	b.Ret(0)

	b.begin("goroutine", "Tells which goroutine runs: func() (g uintptr).")
	b.RR(MOV, S64, RAX, R14)
	b.Ret(0)

	b.begin("bounds", "Tells what g says of its stack, and the stack pointer: func() (low, high, sp uintptr).")
	b.RM(MOV, S64, RAX, At(R14, goStackLow))
	b.RM(MOV, S64, RBX, At(R14, goStackHigh))
	b.RR(MOV, S64, RCX, RSP)
	b.Ret(0)

	b.begin("claim", "Claims a lease: func(lease *Lease) (claimed bool).")
	b.RR(MOV, S64, RCX, RAX)
	b.MovRI(S32, RAX, 0)
	b.MR(CMP, S64, At(RCX, layout.LeaseOwner), R14)
	b.jcc(NE, "claim.done")
	b.MI(CMP, S32, At(RCX, layout.LeaseRevoked), 0)
	b.jcc(NE, "claim.done")
	b.MI(CMP, S32, At(RCX, layout.LeaseBusy), 0)
	b.jcc(NE, "claim.done")
	b.MI(MOV, S32, At(RCX, layout.LeaseBusy), 1)
	b.MI(CMP, S32, At(RCX, layout.LeaseRevoked), 0)
	b.jcc(NE, "claim.undo")
	b.MovRI(S32, RAX, 1)
	b.label("claim.done")
	b.Ret(0)
	b.label("claim.undo")
	b.MI(MOV, S32, At(RCX, layout.LeaseBusy), 0)
	b.Ret(0)

	// The processor predicts a return by the last call it saw. Switching stacks
	// breaks the pairs, so a return would be mispredicted on the way out and again
	// on the way in; indirect jumps are predicted by where they went before, which
	// for the Go loop and for a host call in a loop is right nearly always.

	// Stack pointers go through memory on both ways. In a loop they are the same again and
	// again, and then they are compared instead of stored: the comparison is predicted, so
	// that loading them needs to wait neither for the store nor for what it stored.

	// A resume is called as func(exec unsafe.Pointer) (status uintptr, …): the
	// results are those of the entry trampoline, which is what returns in the
	// end.
	b.begin("resume", "Continues native code: func(exec) (status, results of the entry …).")
	b.Push(RBP)
	b.MR(CMP, S64, At(RAX, layout.ExecGoSP), RSP)
	b.jcc(NE, "resume.moved")
	b.MR(CMP, S64, At(RAX, layout.ExecGoG), R14)
	b.jcc(NE, "resume.moved")
	b.label("resume.noted")
	b.RM(MOV, S64, RSP, At(RAX, layout.ExecResumeSP))
	b.Pop(RBP)
	b.Pop(RCX)
	b.JmpR(RCX)
	b.label("resume.moved")
	b.MR(MOV, S64, At(RAX, layout.ExecGoSP), RSP)
	b.MR(MOV, S64, At(RAX, layout.ExecGoG), R14)
	b.jmp("resume.noted")

	b.begin("land", "Continues at a landing place: the resume stub comes here when Stack.Land has put payload and address below the stack pointer.")
	b.Pop(RAX)
	b.Pop(RDX)
	b.Pop(RCX)
	b.JmpR(RCX)

	b.begin("exit", "Leaves native code for a service of the Go side; called by compiled code, with the exit record filled in.")
	b.Push(RBP)
	b.exec(RCX)
	b.MR(CMP, S64, At(RCX, layout.ExecResumeSP), RSP)
	b.jcc(NE, "exit.moved")
	b.label("exit.noted")
	b.RM(MOV, S64, RAX, At(RCX, layout.ExecExitKind))
	b.label("leave")
	b.leaState(RDX)
	b.MI(TEST, S8, At(RDX, layout.HandlerFlags), layout.HandlerAVX)
	b.jcc(E, "leave.sse")
	b.VZeroUpper()
	b.label("leave.sse")
	b.RM(MOV, S64, RSP, At(RCX, layout.ExecGoSP))
	b.RM(MOV, S64, R14, At(RCX, layout.ExecGoG))
	b.SSE(XORPS, X15, X15)
	b.Pop(RBP)
	b.Pop(RCX)
	b.JmpR(RCX)

	b.label("exit.moved")
	b.MR(MOV, S64, At(RCX, layout.ExecResumeSP), RSP)
	b.jmp("exit.noted")

	b.begin("trap", "Leaves native code after a trap; the fault handler continues here.")
	b.exec(RCX)
	b.MovRI(S32, RAX, layout.ExitTrap)
	b.jmp("leave")

	b.begin("yield", "Leaves native code that has been interrupted; the yield handler continues here.")
	b.exec(RCX)
	b.MovRI(S32, RAX, layout.ExitYield)
	b.jmp("leave")

	b.begin("sigreturn", "Restores the interrupted state in the signal frame at the stack pointer; a resume after a yield returns here.")
	b.MovRI(S32, RAX, sysRtSigreturn)
	b.Emit(SYSCALL)
	b.Emit(UD2)

	b.faultHandler()
	b.yieldHandler()
	b.profileHandler()
	b.finish()
	return b
}

// exec loads the address of the execution context of the current stack.
func (b *builder) exec(dst Reg) {
	b.RR(MOV, S64, dst, RSP)
	b.RI(AND, S64, dst, -layout.StackRegionSize)
}

// Signal handlers are called with the signal number in rdi, the siginfo in rsi
// and the ucontext in rdx. They use caller-saved registers only and jump to
// the handler that was there before them with those three, and the stack, as
// they got them.

// enterHandler loads the handlers' state into r11, counts the handler as
// active, and finds the descriptor of the code that was interrupted (r8) and
// the offset in it (r10d), or goes to the label none.
func (b *builder) enterHandler(none string) {
	b.leaState(R11)
	b.Lock()
	b.M(INC, S64, At(R11, layout.HandlerActive))
	b.RM(MOV, S64, R10, At(RDX, ucRIP))
	b.RR(MOV, S64, RAX, R10)
	b.RM(SUB, S64, RAX, At(R11, layout.HandlerCodeBase))
	b.RM(CMP, S64, RAX, At(R11, layout.HandlerCodeSize))
	b.jcc(AE, none)
	b.RI(SHR, S64, RAX, layout.CodeGranuleLog2)
	b.RM(MOV, S64, R8, At(R11, layout.HandlerGranules))
	b.RM(MOV, S64, R8, Indexed(R8, RAX, 3, 0))
	b.RR(TEST, S64, R8, R8)
	b.jcc(E, none)
	b.RM(SUB, S64, R10, At(R8, layout.DescBase))
}

// chain ends a handler by going on to the one before it.
func (b *builder) chain() {
	b.Lock()
	b.M(DEC, S64, At(R11, layout.HandlerActive))
	b.JmpM(Indexed(R11, RDI, 3, layout.HandlerOld))
}

// checkBit goes to the label none unless the bit of address addr is set in the
// bitmap that field points to. It changes scratch and bits.
func (b *builder) checkBit(addr, bits, scratch Reg, field int32, unitLog2 int32, none string) {
	b.RR(MOV, S64, scratch, addr)
	b.RI(SHR, S64, scratch, layout.AddressBits)
	b.jcc(NE, none) // not user space
	b.RR(MOV, S64, scratch, addr)
	b.RI(SHR, S64, scratch, unitLog2)
	b.RM(MOV, S64, bits, At(R11, field))
	b.MR(BT, S64, At(bits, 0), scratch)
	b.jcc(AE, none)
}

// faultHandler takes SIGSEGV, SIGBUS, SIGILL and SIGFPE. A fault is a trap if
// the kernel says the instruction caused it, at a recorded trap site for this
// signal, on a native stack, and (for the first two) on an address in known
// memory. Everything else is for the handler before.
func (b *builder) faultHandler() {
	b.begin("fault", "Signal handler for faults.")
	b.enterHandler("fault.chain")
	b.MI(CMP, S32, At(RSI, siCode), 0)
	b.jcc(LE, "fault.chain") // sent by a process, not caused by the instruction

	// Binary search of offset r10d among ecx sites from r9.
	b.RM(MOV, S64, R9, At(R8, layout.DescSites))
	b.RM(MOV, S32, RCX, At(R8, layout.DescSiteCount))
	b.label("fault.search")
	b.RR(TEST, S32, RCX, RCX)
	b.jcc(E, "fault.chain")
	b.RR(MOV, S32, RAX, RCX)
	b.RI(SHR, S32, RAX, 1)
	b.RM(CMP, S32, R10, Indexed(R9, RAX, 2, 0))
	b.jcc(E, "fault.found")
	b.jcc(B, "fault.below")
	b.RM(LEA, S64, R9, Indexed(R9, RAX, 2, 4))
	b.RI(ADD, S32, RAX, 1)
	b.RR(SUB, S32, RCX, RAX)
	b.jmp("fault.search")
	b.label("fault.below")
	b.RR(MOV, S32, RCX, RAX)
	b.jmp("fault.search")

	b.label("fault.found")
	b.RM(LEA, S64, R9, Indexed(R9, RAX, 2, 0))
	b.RM(MOV, S32, RCX, At(R8, layout.DescSiteCount))
	b.RM(MOV, S32, RAX, Indexed(R9, RCX, 2, 0)) // the site's flags
	b.RR(BT, S32, RAX, RDI)
	b.jcc(AE, "fault.chain")

	b.RI(CMP, S32, RDI, sigSegv)
	b.jcc(E, "fault.address")
	b.RI(CMP, S32, RDI, sigBus)
	b.jcc(NE, "fault.stack")
	b.label("fault.address")
	b.RM(MOV, S64, R9, At(RSI, siAddr))
	b.RI(TEST, S8, RAX, layout.SiteNull)
	b.jcc(E, "fault.memory")
	b.RI(CMP, S64, R9, 1<<layout.MemoryUnitLog2)
	b.jcc(B, "fault.stack")
	b.label("fault.memory")
	b.checkBit(R9, RAX, RCX, layout.HandlerMemory, layout.GuardUnitLog2, "fault.chain")

	b.label("fault.stack")
	b.RM(MOV, S64, R9, At(RDX, ucRSP))
	b.checkBit(R9, RAX, RCX, layout.HandlerStacks, 24, "fault.chain")
	b.RR(MOV, S64, RCX, R9)
	b.RI(AND, S64, RCX, -layout.StackRegionSize)
	b.RM(MOV, S64, RAX, At(RDX, ucRIP))
	b.MR(MOV, S64, At(RCX, layout.ExecTrapPC), RAX)
	b.MR(MOV, S64, At(RCX, layout.ExecTrapSP), R9)
	b.RM(MOV, S64, RAX, At(RDX, ucRBP))
	b.MR(MOV, S64, At(RCX, layout.ExecTrapFP), RAX)
	b.RM(MOV, S64, RAX, At(RSI, siAddr))
	b.MR(MOV, S64, At(RCX, layout.ExecTrapAddr), RAX)
	b.RR(MOV, S32, RAX, RDI)
	b.MR(MOV, S64, At(RCX, layout.ExecTrapSignal), RAX)
	b.leaLabel(RAX, "trap")
	b.MR(MOV, S64, At(RDX, ucRIP), RAX)
	b.Lock()
	b.M(INC, S64, At(R11, layout.HandlerTraps))
	b.Lock()
	b.M(DEC, S64, At(R11, layout.HandlerActive))
	b.Ret(0)

	b.label("fault.chain")
	b.chain()
}

// yieldHandler takes the signal by which Go asks a thread to yield. In a
// function body it copies the kernel's signal frame to the native stack, makes
// the thread continue in the yield stub, and then still goes on to Go's
// handler, which must see the signal or would send no other.
func (b *builder) yieldHandler() {
	b.begin("interrupt", "Signal handler for Go's preemption signal.")
	b.enterHandler("interrupt.chain")
	b.yieldIn("interrupt", "interrupt.chain", "interrupt.chain")
	b.label("interrupt.chain")
	b.chain()
}

// yieldIn makes native code that enterHandler has found yield if it is in a
// function body, and goes on behind itself with the execution context in r10. It
// goes to the label outside if the code is in no body, and to none if there is
// something wrong with its stack. Labels begin with prefix.
func (b *builder) yieldIn(prefix, outside, none string) {
	// The offset is in a body if an odd number of bounds is not above it: count
	// them (r9) by a binary search over ecx bounds.
	b.RM(MOV, S64, R9, At(R8, layout.DescBounds))
	b.RM(MOV, S32, RCX, At(R8, layout.DescBoundCount))
	b.label(prefix + ".search")
	b.RR(TEST, S32, RCX, RCX)
	b.jcc(E, prefix+".searched")
	b.RR(MOV, S32, RAX, RCX)
	b.RI(SHR, S32, RAX, 1)
	b.RM(CMP, S32, R10, Indexed(R9, RAX, 2, 0))
	b.jcc(B, prefix+".below")
	b.RM(LEA, S64, R9, Indexed(R9, RAX, 2, 4))
	b.RI(ADD, S32, RAX, 1)
	b.RR(SUB, S32, RCX, RAX)
	b.jmp(prefix + ".search")
	b.label(prefix + ".below")
	b.RR(MOV, S32, RCX, RAX)
	b.jmp(prefix + ".search")
	b.label(prefix + ".searched")
	b.RM(SUB, S64, R9, At(R8, layout.DescBounds))
	b.RI(TEST, S8, R9, 4)
	b.jcc(E, outside)

	b.RM(MOV, S64, R10, At(RDX, ucRSP))
	b.checkBit(R10, RAX, RCX, layout.HandlerStacks, 24, none)
	b.RM(MOV, S64, R9, At(RDX, ucFPRegs))
	b.RR(TEST, S64, R9, R9)
	b.jcc(E, none)
	b.MovRI(S32, RCX, fpLegacySize)
	b.MI(CMP, S32, At(R9, fpMagic), fpMagic1)
	b.jcc(NE, prefix+".legacy")
	b.RM(MOV, S32, RCX, At(R9, fpExtendedSize))
	b.label(prefix + ".legacy")

	// r8: the vector state's copy, 64-byte aligned; below it the frame.
	b.RR(MOV, S64, R8, R10)
	b.RR(SUB, S64, R8, RCX)
	b.RI(AND, S64, R8, -64)
	b.RI(AND, S64, R10, -layout.StackRegionSize)
	b.RM(LEA, S64, RAX, At(R8, -frameDistance-resumeSlots))
	b.RM(CMP, S64, RAX, At(R10, layout.ExecStackLow))
	b.jcc(B, none) // no room; the next signal will find some

	b.Push(RDI)
	b.Push(RSI)
	b.RR(MOV, S64, RDI, R8)
	b.RR(MOV, S64, RSI, R9)
	b.Emit(REPMOVSB)
	b.RR(MOV, S64, RAX, R8)
	b.RI(SUB, S64, R8, frameDistance)
	b.RR(MOV, S64, RDI, R8)
	b.RR(MOV, S64, RSI, RDX)
	b.MovRI(S32, RCX, ucSize/8)
	b.Emit(REPMOVSQ)
	b.Pop(RSI)
	b.Pop(RDI)
	b.MR(MOV, S64, At(R8, ucFPRegs), RAX)
	b.MI(MOV, S32, At(R8, ucStackFlags), invalidStackFlags)
	b.leaLabel(RAX, "sigreturn")
	b.MR(MOV, S64, At(R8, -8), RAX)
	b.MI(MOV, S64, At(R8, -resumeSlots), 0)

	b.RM(MOV, S64, RAX, At(RDX, ucRIP))
	b.MR(MOV, S64, At(R10, layout.ExecYieldPC), RAX)
	b.MR(MOV, S64, At(R10, layout.ExecYieldFrame), R8)
	b.RM(MOV, S64, RAX, At(RDX, ucRBP))
	b.MR(MOV, S64, At(R10, layout.ExecYieldFP), RAX)
	b.RM(MOV, S64, RAX, At(RDX, ucRSP))
	b.MR(MOV, S64, At(R10, layout.ExecYieldSP), RAX)
	b.RM(LEA, S64, RAX, At(R8, -resumeSlots))
	b.MR(MOV, S64, At(RDX, ucRSP), RAX)
	b.leaLabel(RAX, "yield")
	b.MR(MOV, S64, At(RDX, ucRIP), RAX)
	b.Lock()
	b.M(INC, S64, At(R11, layout.HandlerYields))
}

// weight loads how many ticks a signal of a profile's timer stands for.
func (b *builder) weight(dst Reg) {
	b.RM(MOV, S32, dst, At(RSI, siOverrun))
	b.RI(ADD, S64, dst, 1)
}

// profileHandler takes SIGPROF. A signal of another sender than a timer that was
// made with the address of the handlers' state is for the handler before: Go's own
// profiles go on as ever. Ours does not get there.
//
// Of Go it reads g, the bounds of its stack, and on that stack, above the stack
// pointer, the chain of frame pointers: what a goroutine that runs on this very
// thread has there does not change meanwhile.
func (b *builder) profileHandler() {
	b.begin("profile", "Signal handler for the timers of CPU profiles.")
	b.leaState(R11)
	b.MI(CMP, S32, At(RSI, siCode), siTimer)
	b.jcc(NE, "profile.other")
	b.RM(CMP, S64, R11, At(RSI, siValue))
	b.jcc(NE, "profile.other")
	b.enterHandler("profile.go")
	b.MI(CMP, S64, At(R11, layout.HandlerProfile), 0)
	b.jcc(E, "profile.done") // a late signal
	b.yieldIn("profile", "profile.between", "profile.between")
	b.label("profile.yielded")
	b.weight(RAX)
	b.MR(ADD, S64, At(R10, layout.ExecTicks), RAX)
	b.label("profile.done")
	b.Lock()
	b.M(DEC, S64, At(R11, layout.HandlerActive))
	b.Ret(0)

	b.label("profile.between")
	b.weight(RAX)
	b.Lock()
	b.MR(ADD, S64, At(R11, layout.HandlerBetween), RAX)
	b.jmp("profile.done")

	// r10 is the program counter. In the stubs, the registers mean nothing.
	b.label("profile.go")
	b.MI(CMP, S64, At(R11, layout.HandlerProfile), 0)
	b.jcc(E, "profile.done")
	b.RM(LEA, S64, RAX, At(R11, -layout.StubTextSize))
	b.RR(MOV, S64, RCX, R10)
	b.RR(SUB, S64, RCX, RAX)
	b.RI(CMP, S64, RCX, layout.StubTextSize)
	b.jcc(AE, "profile.find")

	// When both signals have come at once, the other handler has made the code yield
	// just now: that does for this one as well.
	b.leaLabel(RAX, "yield")
	b.RR(CMP, S64, RAX, R10)
	b.jcc(NE, "profile.between")
	b.RM(MOV, S64, R10, At(RDX, ucRSP))
	b.RI(AND, S64, R10, -layout.StackRegionSize)
	b.jmp("profile.yielded")

	// Find g, which Go code has in r14, in the table: r9 is a slot, ecx how many are
	// left to look at. Only the goroutine itself enters its g and its buffer.
	b.label("profile.find")
	b.RM(MOV, S64, R8, At(RDX, ucR14))
	b.RR(TEST, S64, R8, R8)
	b.jcc(E, "profile.done")
	hash := uint64(layout.ProfileHash)
	b.MovRI64(R9, hash)
	b.RR(IMUL, S64, R9, R8)
	b.RI(SHR, S64, R9, 64-layout.ProfileSlotLog2)
	b.RI(SHL, S64, R9, 4) // the size of a slot
	b.RM(ADD, S64, R9, At(R11, layout.HandlerWatched))
	b.MovRI(S32, RCX, layout.ProfileProbes)
	b.label("profile.probe")
	b.MR(CMP, S64, At(R9, layout.SlotGoroutine), R8)
	b.jcc(E, "profile.found")
	b.RI(ADD, S64, R9, layout.SlotSize)
	b.RI(SUB, S32, RCX, 1)
	b.jcc(NE, "profile.probe")
	b.jmp("profile.done")
	b.label("profile.found")
	b.RM(MOV, S64, RCX, At(R9, layout.SlotBuffer))

	// g begins with the bounds of its stack: r9 becomes the upper one. On another
	// stack, such as the one that Go's scheduler has, r14 is not what runs.
	b.RM(MOV, S64, RAX, At(RDX, ucRSP))
	b.RM(CMP, S64, RAX, At(R8, goStackLow))
	b.jcc(B, "profile.done")
	b.RM(MOV, S64, R9, At(R8, goStackHigh))
	b.RR(CMP, S64, RAX, R9)
	b.jcc(AE, "profile.done")

	// rcx: the buffer; r8: the record.
	b.MI(CMP, S64, At(RCX, layout.TicksBusy), 0)
	b.jcc(NE, "profile.lost")
	b.RM(MOV, S64, R8, At(RCX, layout.TicksCount))
	b.RI(CMP, S64, R8, layout.TicksMax)
	b.jcc(AE, "profile.lost")
	b.RI(SHL, S64, R8, layout.TickLog2)
	b.RM(LEA, S64, R8, Indexed(RCX, R8, 0, layout.TicksRecords))
	b.weight(RDI)
	b.MR(MOV, S64, At(R8, layout.TickWeight), RDI)
	b.RM(MOV, S64, RDI, At(RCX, layout.TicksLevel))
	b.MR(MOV, S64, At(R8, layout.TickLevel), RDI)
	b.MR(MOV, S64, At(R8, layout.TickPCs), R10)

	// Follow the frame pointers: rdi is one, rax where it must not lie below, esi
	// how many program counters there are.
	b.RM(MOV, S64, RDI, At(RDX, ucRBP))
	b.MovRI(S32, RSI, 1)
	b.label("profile.walk")
	b.RR(CMP, S64, RDI, RAX)
	b.jcc(B, "profile.walked")
	b.RI(TEST, S8, RDI, 7)
	b.jcc(NE, "profile.walked")
	b.RM(LEA, S64, RAX, At(RDI, 16))
	b.RR(CMP, S64, RAX, R9)
	b.jcc(A, "profile.walked")
	b.RM(MOV, S64, R10, At(RDI, 8))
	b.RR(TEST, S64, R10, R10)
	b.jcc(E, "profile.walked")
	b.MR(MOV, S64, Indexed(R8, RSI, 3, layout.TickPCs), R10)
	b.RM(MOV, S64, RDI, At(RDI, 0))
	b.RI(ADD, S32, RSI, 1)
	b.RI(CMP, S32, RSI, layout.TickMaxPCs)
	b.jcc(B, "profile.walk")
	b.label("profile.walked")
	b.MR(MOV, S64, At(R8, layout.TickCount), RSI)
	b.M(INC, S64, At(RCX, layout.TicksCount))
	b.jmp("profile.done")

	b.label("profile.lost")
	b.weight(RAX)
	b.MR(ADD, S64, At(RCX, layout.TicksLost), RAX)
	b.jmp("profile.done")

	b.label("profile.other")
	b.JmpM(Indexed(R11, RDI, 3, layout.HandlerOld))
}
