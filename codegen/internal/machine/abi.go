package machine

import (
	"fmt"

	"github.com/davit-wasm/davit/codegen/internal/regalloc"
	"github.com/davit-wasm/davit/codegen/ir"
)

// Convention describes a calling convention of an instruction set by the
// registers it uses. Where arguments and results go follows from that by rules
// that all conventions share:
//
//   - Each value takes one part, an i128 two. A part goes into the next
//     register of its class, or on the stack when they are used up, 8 bytes
//     each, 16 for vectors. Or the value is passed by reference.
//   - Results that find no register are written to memory by the callee, at an
//     address that the caller passes as a further integer argument, the last.
//   - Parameters for contexts may have registers of their own.
type Convention struct {
	Name                 string
	Args, Rets           [regalloc.NumClasses][]regalloc.PReg
	VMContext            regalloc.PReg // for the first parameter of purpose vmctx, or NoPReg
	CallerContext        regalloc.PReg // for caller_vmctx, or NoPReg
	CalleeSaved          regalloc.PRegSet
	Clobbers             regalloc.PRegSet // registers that a call destroys
	CalleePops           bool             // the callee removes stack arguments
	SharedPositions      bool             // an argument takes the register of its position among all, whatever the classes
	StackArgsAt          int32            // where stack arguments begin; the caller leaves the room below to the callee
	Extends32            bool             // values of 32 bits are passed zero-extended to 64
	WideByReference      bool             // of an argument of more than 64 bits, the caller passes the address of a copy
	WholePairs           bool             // an i128 has both its parts in registers or both, aligned to 16, in memory
	NoStackArgs          bool             // parameters and results must fit registers
	StructReturnInResult bool             // the address in a parameter of purpose sret is returned in the first integer result register
	VariadicCount        regalloc.PReg    // where callers say how many float registers they use, for variadic callees; or NoPReg
}

// ArgLoc is where a part of an argument or result is.
type ArgLoc struct {
	Value uint32        // index of the parameter or result; RetPtr for the address of the result area
	Reg   regalloc.PReg // or NoPReg if it is in memory
	Off   int32         // in memory: offset in the stack arguments or in the result area
	Type  ir.Type       // type of the part
	Ext   ir.Extension
	Size  uint32 // of a struct argument, which is copied to memory
	// ByRef says that the argument, an integer by Type, is the address of a copy
	// of the value, which the caller has at offset Copy of its outgoing arguments.
	ByRef bool
	Copy  int32
}

// RetPtr is the ArgLoc.Value of the address of the result area.
const RetPtr = none

// SigLayout is where a signature's arguments and results are.
type SigLayout struct {
	Args, Rets Range // into ABI.Locs
	StackArgs  uint32
	Outgoing   uint32 // StackArgs, and above them what is passed by reference
	RetArea    uint32 // size of the result area in memory, 0 if there is none
}

// ABI computes and keeps the layouts of signatures.
type ABI struct {
	Locs []ArgLoc
	sigs []SigLayout // by ir.SigRef, then the function's own
	done []bool
}

// Reset forgets all layouts and makes room for the signatures of f.
func (a *ABI) Reset(f *ir.Function) {
	a.Locs = a.Locs[:0]
	a.sigs = zeroed(a.sigs, len(f.Sigs))
	a.done = zeroed(a.done, len(f.Sigs))
}

// Sig is the layout of signature s of f in convention c.
func (a *ABI) Sig(f *ir.Function, s ir.SigRef, c *Convention) (*SigLayout, error) {
	if !a.done[s] {
		l, err := a.Layout(&f.Sigs[s], c)
		if err != nil {
			return nil, err
		}
		a.sigs[s], a.done[s] = l, true
	}
	return &a.sigs[s], nil
}

// Layout computes the layout of a signature in convention c.
func (a *ABI) Layout(sig *ir.Signature, c *Convention) (SigLayout, error) {
	var l SigLayout
	// Results first: whether there is a result area decides about an argument.
	next := [regalloc.NumClasses]int{}
	off := int32(0)
	l.Rets.Start = uint32(len(a.Locs))
	for i := range sig.Returns {
		p := &sig.Returns[i]
		if err := a.parts(uint32(i), p, c, &c.Rets, &next, &off); err != nil {
			return l, err
		}
	}
	copies := int32(0)
	l.Rets.End = uint32(len(a.Locs))
	l.RetArea = uint32(off+15) &^ 15

	next = [regalloc.NumClasses]int{}
	off = c.StackArgsAt
	l.Args.Start = uint32(len(a.Locs))
	for i := range sig.Params {
		p := &sig.Params[i]
		own := regalloc.NoPReg
		switch p.Purpose {
		case ir.VMContext:
			own = c.VMContext
		case ir.CallerContext:
			own = c.CallerContext
		case ir.StructArg:
			if p.Size > maxArgBytes {
				return l, fmt.Errorf("a struct argument of %d bytes", p.Size)
			}
			off = (off + 7) &^ 7
			a.Locs = append(a.Locs, ArgLoc{Value: uint32(i), Reg: regalloc.NoPReg, Off: off, Type: p.Type, Size: p.Size})
			if off += int32(p.Size+7) &^ 7; off > maxArgBytes {
				return l, fmt.Errorf("a signature with more than %d bytes of arguments on the stack", maxArgBytes)
			}
			continue
		}
		if own != regalloc.NoPReg {
			a.Locs = append(a.Locs, ArgLoc{Value: uint32(i), Reg: own, Type: p.Type})
			continue
		}
		if c.WideByReference && p.Type.Bits() > 64 {
			word := ir.Param{Type: ir.I64}
			if err := a.parts(uint32(i), &word, c, &c.Args, &next, &off); err != nil {
				return l, err
			}
			loc := &a.Locs[len(a.Locs)-1]
			loc.ByRef, loc.Copy = true, copies
			copies += 16
			continue
		}
		if err := a.parts(uint32(i), p, c, &c.Args, &next, &off); err != nil {
			return l, err
		}
	}
	if l.RetArea != 0 {
		if err := a.parts(RetPtr, &ir.Param{Type: ir.I64}, c, &c.Args, &next, &off); err != nil {
			return l, err
		}
	}
	l.Args.End = uint32(len(a.Locs))
	l.StackArgs = uint32(off+15) &^ 15
	l.Outgoing = l.StackArgs + uint32(copies)
	for i := range a.Locs[l.Args.Start:l.Args.End] {
		if loc := &a.Locs[l.Args.Start+uint32(i)]; loc.ByRef {
			loc.Copy += int32(l.StackArgs)
		}
	}
	if c.NoStackArgs && (l.StackArgs != 0 || l.RetArea != 0) {
		return l, fmt.Errorf("a signature in convention %s has more parameters or results than registers", c.Name)
	}
	if l.Outgoing > maxArgBytes {
		return l, fmt.Errorf("a signature with %d bytes of arguments on the stack", l.Outgoing)
	}
	return l, nil
}

const maxArgBytes = 1 << 24

func (a *ABI) parts(value uint32, p *ir.Param, c *Convention, regs *[regalloc.NumClasses][]regalloc.PReg, next *[regalloc.NumClasses]int, off *int32) error {
	t, n := p.Type, 1
	if t == ir.I128 {
		t, n = ir.I64, 2
	}
	class := regalloc.Int
	if !t.IsInt() {
		class = regalloc.Float
	}
	if t.IsDynamic() || t.Bits() > 128 || t == ir.Invalid {
		return fmt.Errorf("a parameter or result of type %v: %w", p.Type, ErrUnsupported)
	}
	whole := n == 2 && c.WholePairs
	if whole && next[class]+n > len(regs[class]) {
		*off = (*off + 15) &^ 15
	} else {
		whole = false
	}
	for range n {
		loc := ArgLoc{Value: value, Reg: regalloc.NoPReg, Type: t, Ext: p.Ext}
		k := next[class]
		if c.SharedPositions {
			k = next[regalloc.Int] + next[regalloc.Float]
		}
		if !whole && k < len(regs[class]) {
			loc.Reg = regs[class][k]
			next[class]++
		} else {
			if !whole {
				next[class]++
			}
			size := int32(8)
			if t.Bits() > 64 {
				size = 16
			}
			*off = (*off + size - 1) &^ (size - 1)
			loc.Off = *off
			*off += size
		}
		a.Locs = append(a.Locs, loc)
	}
	return nil
}

// Frame is the layout of a stack frame. From the stack pointer up: outgoing
// arguments, the area for results that callees write to memory, stack slots,
// spill slots, saved registers, and room that tail calls with more stack
// arguments than the function itself need; above the frame pointer the saved
// frame pointer, the return address and the incoming stack arguments.
//
// Spill slots are addressed from the frame pointer, where displacements are
// short; stack slots from the stack pointer, which may be aligned further than
// the frame pointer.
type Frame struct {
	Outgoing uint32 // bytes of outgoing arguments
	RetArea  uint32
	Slots    uint32
	Align    uint32 // alignment of the stack pointer in the body, at least 16
	Spill    uint32 // bytes
	Saved    []regalloc.PReg
	TailRoom uint32
	Size     uint32 // distance from the frame pointer to the stack pointer, before alignment beyond 16
	Incoming uint32 // bytes of incoming stack arguments
}

// maxFrame bounds the size of a frame, so that displacements fit.
const maxFrame = 1 << 30

// Layout computes the frame's size from its other fields.
func (f *Frame) Layout() error {
	f.Align = max(f.Align, 16)
	f.Outgoing = (f.Outgoing + 15) &^ 15
	f.Spill = (f.Spill + 15) &^ 15
	total := uint64(f.Outgoing) + uint64(f.RetArea) + uint64(f.Slots) + uint64(f.Spill) + f.savedSize() + uint64(f.TailRoom) + uint64(f.Align)
	if total > maxFrame {
		return fmt.Errorf("a stack frame of %d bytes is too large", total)
	}
	lower := f.SlotsAt() + f.Slots
	lower = (lower + 15) &^ 15
	f.Size = lower + f.Spill + uint32(f.savedSize()) + f.TailRoom
	f.Size = (f.Size + 15) &^ 15
	return nil
}

// savedSize is the room for saved registers: 8 bytes for an integer register,
// which come first, 16 for others.
func (f *Frame) savedSize() uint64 {
	if len(f.Saved) == 0 {
		return 0
	}
	return uint64(f.SavedAt(len(f.Saved)-1)-f.TailRoom+15) &^ 15
}

// RetAreaAt and SlotsAt are distances from the stack pointer; SpillAt and SavedAt
// distances from the frame pointer down to the lowest byte.
func (f *Frame) RetAreaAt() uint32 { return f.Outgoing }

// SlotsAt is where the stack slots begin, from the stack pointer.
func (f *Frame) SlotsAt() uint32 {
	return (f.Outgoing + f.RetArea + f.Align - 1) &^ (f.Align - 1)
}

// SavedAt is the distance from the frame pointer down to saved register i.
func (f *Frame) SavedAt(i int) uint32 {
	at := f.TailRoom
	for _, p := range f.Saved[:i+1] {
		if p.Class() == regalloc.Int {
			at += 8
		} else {
			at = (at+15)&^15 + 16
		}
	}
	return at
}

// SpillAt is the distance from the frame pointer down to the spill slot that
// begins at unit u, of 8 bytes.
func (f *Frame) SpillAt(u uint32) uint32 {
	return f.TailRoom + uint32(f.savedSize()) + f.Spill - 8*u
}
