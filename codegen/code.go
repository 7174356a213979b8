package codegen

import (
	"fmt"
	"slices"

	"github.com/davit-wasm/davit/codegen/internal/machine"
	"github.com/davit-wasm/davit/codegen/internal/regalloc"
	"github.com/davit-wasm/davit/codegen/ir"
)

// CompiledCode is a function's machine code. Offsets are in bytes from the
// beginning of Text; all lists are sorted by offset. It belongs to the
// [Context] that made it.
type CompiledCode struct {
	// Text is the code, followed by the constants and jump tables it refers to.
	// Its place must be a multiple of Alignment.
	Text      []byte
	Alignment uint32
	// CodeSize is how much of Text is instructions.
	CodeSize uint32

	Relocs  []Reloc
	Traps   []Trap
	Sources []SourceRange
	Calls   []CallSite
	Unwind  []UnwindRow
	// InlineSites are the calls that were replaced by bodies.
	InlineSites []ir.InlineSite

	// Saved are the registers of the caller that the prologue saves, from the
	// frame pointer down.
	Saved []SavedReg
	// Handlers are the exception tables of the calls, one after the other; see
	// [CompiledCode.CallHandlers].
	Handlers []Handler

	// Blocks are the offsets of the basic blocks, and Edges the ways between
	// them, if the setting machine_code_cfg_info asks for it.
	Blocks []uint32
	Edges  []Edge

	// FrameSize is the distance from the frame pointer down to the stack pointer
	// in the function's body, before the stack pointer is aligned to FrameAlign:
	// it is (FP − FrameSize) &^ (FrameAlign − 1).
	FrameSize  uint32
	FrameAlign uint32
	// OutgoingSize is how much of the frame's lower end is for outgoing stack
	// arguments.
	OutgoingSize uint32
	// SlotsAt is the distance from the stack pointer to the stack slots.
	SlotsAt uint32
}

// Edge is a way from one basic block to another, by their offsets.
type Edge struct{ From, To uint32 }

// Reloc is a field of the text that depends on the address of something else.
type Reloc struct {
	Offset uint32
	Kind   RelocKind
	Name   ir.Name
	Func   ir.FuncRef // what Name is in the function: one of these, or neither for a library function
	Global ir.GlobalValue
	Addend int64
}

// RelocKind says how a field is computed. S is the address of what it names, A
// the addend, P the address of the field.
type RelocKind uint8

// Kinds of relocations.
const (
	RelocAbs64      = RelocKind(machine.RelocAbs64)      // 64 bits: S + A
	RelocAbs32      = RelocKind(machine.RelocAbs32)      // 32 bits: S + A
	RelocPCRel32    = RelocKind(machine.RelocPCRel32)    // 32 bits: S + A − P
	RelocCall32     = RelocKind(machine.RelocCall32)     // the same, of a call or jump
	RelocGOTPCRel32 = RelocKind(machine.RelocGOTPCRel32) // 32 bits: address of a cell that holds S, + A − P

	// Of thread-local variables.
	RelocTLSGD32  = RelocKind(machine.RelocTLSGD32)  // 32 bits: ELF, address of the general dynamic descriptor of S, + A − P
	RelocTLV32    = RelocKind(machine.RelocTLV32)    // 32 bits: Mach-O, address of a cell that holds the address of the descriptor of S, + A − P
	RelocSecRel32 = RelocKind(machine.RelocSecRel32) // 32 bits: COFF, S + A − start of the section that holds S
)

var relocNames = [...]string{"abs64", "abs32", "pcrel32", "call32", "gotpcrel32", "tlsgd32", "tlv32", "secrel32"}

func (k RelocKind) String() string {
	if int(k) < len(relocNames) {
		return relocNames[k]
	}
	return fmt.Sprintf("reloc%d", uint8(k))
}

// Size is the size of the field in bytes.
func (k RelocKind) Size() int {
	if k == RelocAbs64 {
		return 8
	}
	return 4
}

// Trap says that the instruction at Offset traps with Code if it faults.
type Trap struct {
	Offset uint32
	Code   ir.TrapCode
}

// SourceRange says that the code from Offset on, up to the next entry, comes
// from Loc, in the body that was inlined at Site, an index of
// CompiledCode.InlineSites, or in the function itself ([ir.NoInlineSite]).
type SourceRange struct {
	Offset uint32
	Loc    ir.SourceLoc
	Site   uint32
}

// CallSite is a call, by the offset of the instruction after it.
type CallSite struct {
	ReturnAddress uint32
	// FirstHandler and NumHandlers are its exception table in Handlers.
	FirstHandler, NumHandlers uint32
}

// CallHandlers is the exception table of a call: the first handler that takes
// an exception gets it. The unwinder restores the frame pointer of the
// function, computes the stack pointer from it (FrameSize, FrameAlign), puts the
// exception's two payload words where the convention wants them, and continues
// at the handler's landing place. Payloads are in rax and rdx on x86-64. No other
// register is expected to hold anything, whatever the callee's convention.
func (c *CompiledCode) CallHandlers(s CallSite) []Handler {
	end := s.FirstHandler + s.NumHandlers
	return c.Handlers[s.FirstHandler:end:end]
}

// Handler is an item of a call's exception table.
type Handler struct {
	Kind ir.HandlerKind
	// Tag is what an [ir.HandlerTag] takes. It is looked up in the context of the
	// nearest item [ir.HandlerContext] before it, if there is one.
	Tag uint32
	// Landing is where an [ir.HandlerTag] or [ir.HandlerDefault] continues.
	Landing uint32
	// Context is where an [ir.HandlerContext] is: the distance in bytes from the
	// frame pointer, negative, of a word that holds the value during the call.
	Context int32
}

// FrameState is how far a frame has been set up, which tells where the caller's
// registers are. The canonical frame address (CFA) is the stack pointer of the
// caller before it pushed the return address, which is in the word below it.
type FrameState uint8

// Frame states.
const (
	FrameNone   = FrameState(machine.UnwindEntry)  // CFA = SP + 8: the stack pointer is at the return address
	FramePushed = FrameState(machine.UnwindPushed) // CFA = SP + 16: the caller's frame pointer is at the stack pointer, the return address above it
	FrameReady  = FrameState(machine.UnwindFrame)  // CFA = FP + 16: the same at the frame pointer
	FrameSaved  = FrameState(machine.UnwindSaved)  // as FrameReady, and CompiledCode.Saved are in their places
	FrameMade   = FrameState(machine.UnwindMade)   // as FrameReady, and the stack pointer is where it stays in the body; only in prologues, before FrameSaved
)

// UnwindRow says what the frame looks like from Offset on, up to the next row.
// The first row is at offset 0. In the prologue a row begins behind each
// instruction that changes the state: the push of the frame pointer, the move
// of the stack pointer to it, the last of the stores of saved registers.
type UnwindRow struct {
	Offset uint32
	State  FrameState
}

// SavedReg is a register of the caller in the frame.
type SavedReg struct {
	Float  bool  // a vector register, all 16 bytes of it, rather than an integer one of 8
	Number uint8 // as the instruction set numbers it, such as 3 for rbx or 6 for xmm6
	Offset int32 // of its lowest byte from the frame pointer, negative
}

// collect fills c.code from what the emitter has found.
func (c *Context) collect() {
	e, out := &c.emitter, &c.code
	buf := &e.Buf
	*out = CompiledCode{
		Text: c.text, Alignment: max(c.x64.Alignment(), buf.CodeAlign, buf.DataAlign), CodeSize: buf.CodeSize,
		Relocs: out.Relocs[:0], Traps: out.Traps[:0], Sources: out.Sources[:0], Calls: out.Calls[:0], Unwind: out.Unwind[:0],
		Saved: out.Saved[:0], Handlers: out.Handlers[:0], Blocks: out.Blocks[:0], Edges: out.Edges[:0],
		InlineSites: c.f.InlineSites(), FrameSize: e.Frame.Size, FrameAlign: e.Frame.Align, OutgoingSize: e.Frame.Outgoing, SlotsAt: e.Frame.SlotsAt(),
	}
	for _, r := range buf.Relocs {
		x := Reloc{Offset: r.Off, Kind: RelocKind(r.Kind), Addend: r.Addend, Func: ir.NoFuncRef, Global: ir.NoGlobal}
		switch r.Target.Kind {
		case machine.TargetFunc:
			x.Func = ir.FuncRef(r.Target.Index)
			x.Name = c.f.ExtFuncs[x.Func].Name
		case machine.TargetGlobal:
			x.Global = ir.GlobalValue(r.Target.Index)
			x.Name = c.f.Globals[x.Global].Name
		case machine.TargetLibcall:
			x.Name = c.vcode.Libcalls[r.Target.Index]
		default:
			panic("codegen: relocation without a target")
		}
		out.Relocs = append(out.Relocs, x)
	}
	out.Traps, out.Sources = slices.Grow(out.Traps, len(buf.Traps)), slices.Grow(out.Sources, len(buf.Sources))
	for _, t := range buf.Traps {
		out.Traps = append(out.Traps, Trap{t.Off, ir.TrapCode(t.Code)})
	}
	for _, s := range buf.Sources {
		x := SourceRange{Offset: s.Off}
		x.Loc, x.Site = c.f.Locate(ir.SourceLoc(s.Loc))
		if n := len(out.Sources); n > 0 && out.Sources[n-1].Loc == x.Loc && out.Sources[n-1].Site == x.Site {
			continue
		}
		out.Sources = append(out.Sources, x)
	}
	for _, s := range buf.Calls {
		site := CallSite{ReturnAddress: s.RetAddr, FirstHandler: uint32(len(out.Handlers))}
		info := &c.vcode.Calls[c.vcode.Insts[s.Inst].CallIndex()]
		for _, h := range c.vcode.Handlers[info.Handlers.Start:info.Handlers.End] {
			x := Handler{Kind: h.Kind, Tag: h.Tag}
			if h.Kind == ir.HandlerContext {
				x.Context = -int32(e.Frame.SpillAt(e.CallOperand(s.Inst, h.Block).Slot()))
			} else {
				x.Landing = e.Offset(h.Block)
			}
			out.Handlers = append(out.Handlers, x)
		}
		site.NumHandlers = uint32(len(out.Handlers)) - site.FirstHandler
		out.Calls = append(out.Calls, site)
	}
	for _, u := range buf.Unwind {
		out.Unwind = append(out.Unwind, UnwindRow{u.Off, FrameState(u.State)})
	}
	for i, p := range e.Frame.Saved {
		out.Saved = append(out.Saved, SavedReg{Float: p.Class() != regalloc.Int, Number: p.HW(), Offset: -int32(e.Frame.SavedAt(i))})
	}
	if c.target.Shared.CFGInfo {
		e.CFG(
			func(off uint32) { out.Blocks = append(out.Blocks, off) },
			func(from, to uint32) { out.Edges = append(out.Edges, Edge{from, to}) },
		)
	}
}
