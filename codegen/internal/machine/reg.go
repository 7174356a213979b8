package machine

import (
	"strconv"

	"github.com/davit-wasm/davit/codegen/internal/regalloc"
)

// Reg is a register operand of an [Inst]: nothing ([NoReg]), a virtual
// register before allocation, and a physical register or a spill slot after
// it. An instruction may name a physical register from the start; that must be
// one that the allocator does not hand out, such as the stack pointer.
//
// The two top bits tell the kinds apart, the rest is the index.
type Reg uint32

const (
	regKindMask = 3 << 30
	regPhysical = 1 << 30
	regSlot     = 2 << 30
)

// NoReg is the absence of an operand.
const NoReg Reg = 0xffffffff

// VReg is the operand for virtual register v.
func VReg(v regalloc.VReg) Reg { return Reg(v) }

// PReg is the operand for physical register p.
func PReg(p regalloc.PReg) Reg { return regPhysical | Reg(p) }

// SlotReg is the operand for the spill slot that begins at unit.
func SlotReg(unit uint32) Reg { return regSlot | Reg(unit) }

// AllocReg is the operand for allocation a.
func AllocReg(a regalloc.Allocation) Reg {
	switch a.Kind() {
	case regalloc.AllocReg:
		return PReg(a.PReg())
	case regalloc.AllocSlot:
		return SlotReg(a.Slot())
	}
	return NoReg
}

// IsVirtual reports whether r is a virtual register.
func (r Reg) IsVirtual() bool { return r&regKindMask == 0 }

// IsPhysical reports whether r is a physical register.
func (r Reg) IsPhysical() bool { return r&regKindMask == regPhysical }

// IsSlot reports whether r is a spill slot.
func (r Reg) IsSlot() bool { return r&regKindMask == regSlot }

// VReg is the virtual register of r.
func (r Reg) VReg() regalloc.VReg { return regalloc.VReg(r) }

// PReg is the physical register of r.
func (r Reg) PReg() regalloc.PReg {
	if !r.IsPhysical() {
		panic("machine: " + r.String() + " is not a physical register")
	}
	return regalloc.PReg(r)
}

// HW is the hardware number of physical register r.
func (r Reg) HW() uint8 { return r.PReg().HW() }

// Slot is the first unit of spill slot r.
func (r Reg) Slot() uint32 { return uint32(r &^ regKindMask) }

// Class is the register class of a virtual or physical register.
func (r Reg) Class() regalloc.RegClass {
	if r.IsPhysical() {
		return regalloc.PReg(r).Class()
	}
	return r.VReg().Class()
}

func (r Reg) String() string {
	switch {
	case r == NoReg:
		return "_"
	case r.IsPhysical():
		return regalloc.PReg(r).String()
	case r.IsSlot():
		return "slot" + strconv.Itoa(int(r.Slot()))
	}
	return r.VReg().String()
}
