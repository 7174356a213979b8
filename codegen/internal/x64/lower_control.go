package x64

import (
	"github.com/davit-wasm/davit/codegen/internal/machine"
	"github.com/davit-wasm/davit/codegen/internal/regalloc"
	"github.com/davit-wasm/davit/codegen/internal/x64/asm"
	"github.com/davit-wasm/davit/codegen/ir"
)

// This file has the external constructors of lower_control.rules, lower_wide.rules and lower_atomic.rules.

func (c *lower) jumpTo() out {
	in := New(OpJmp, 0, 0)
	in.Aux = c.l.Target(0)
	c.l.Emit(in)
	return out{}
}

func (c *lower) branchOn(k cond) out {
	c.branch(k, c.l.Target(0), c.l.Target(1))
	return out{}
}

// tableLength is the index of the last entry of the jump table, which leads to the default block.
func (c *lower) tableLength() machine.Reg {
	return c.immConst(ir.I32, int64(len(c.f.Dests(c.l.Inst()))-1))
}

// tableBranches reports whether speculation may pass the check of a jump table's index.
func (c *lower) tableBranches() bool { return !c.backend().isa.Shared.TableSpectre }

func (c *lower) noJumpTables() bool { return !c.backend().isa.Shared.JumpTables }

// jumpTree is jumpTable for any index, without a table.
func (c *lower) jumpTree(i machine.Reg) out {
	c.jumpTableOp(OpJmpTree, i)
	return out{}
}

// checkedJumpTable is jumpTable for an index that may be out of range.
func (c *lower) checkedJumpTable(i machine.Reg) out {
	c.jumpTableOp(OpJmpTableChk, i)
	return out{}
}

// jumpTable jumps to entry i, which is in range: the table's blocks in order, then the default block.
func (c *lower) jumpTable(i machine.Reg) out {
	c.jumpTableOp(OpJmpTable, i)
	return out{}
}

func (c *lower) jumpTableOp(op Op, i machine.Reg) {
	vc := c.l.VC
	start := uint32(len(vc.TableBlocks))
	for k := 1; k < len(c.f.Dests(c.l.Inst())); k++ {
		vc.TableBlocks = append(vc.TableBlocks, c.l.Target(k))
	}
	vc.TableBlocks = append(vc.TableBlocks, c.l.Target(0))
	in := New(op, 0, asm.S32, i)
	if op != OpJmpTree {
		in.R[1], in.R[2] = c.newGpr(), c.newGpr()
	}
	in.Aux = uint32(len(vc.JumpTables))
	vc.JumpTables = append(vc.JumpTables, machine.Range{Start: start, End: uint32(len(vc.TableBlocks))})
	c.l.Emit(in)
}

func (c *lower) ud2(code ir.TrapCode) out {
	in := New(OpUd2, 0, 0)
	in.Trap = uint8(code)
	c.l.Emit(in)
	return out{}
}

func (c *lower) plain(op Op) { c.l.Emit(New(op, 0, 0)) }

func (c *lower) repMovs(to, from, n machine.Reg) {
	b := c.backend()
	b.clobbered = b.clobbered.Union(Table[OpRepMovs].Clobbers) // some conventions want these back
	c.l.Emit(New(OpRepMovs, 0, asm.S64, to, from, n))
}

func (c *lower) physical(r machine.Reg) machine.Reg {
	d := c.newGpr()
	c.l.Emit(New(OpMovP, 0, asm.S64, d, r))
	return d
}

func (c *lower) setPhysical(r, v machine.Reg) { c.l.Emit(New(OpMovToP, 0, asm.S64, r, v)) }

func (c *lower) frameMem(disp int32) Amode { return MemAt(RBP, disp) }

// ---- 128 bits

func (c *lower) low(v ir.Value) machine.Reg { lo, _ := c.l.UsePair(v); return lo }

func (c *lower) high(v ir.Value) machine.Reg { _, hi := c.l.UsePair(v); return hi }

func (c *lower) outPair(p pair) out                { return c.out2(p.a, p.b) }
func (c *lower) outWide(p pair, r machine.Reg) out { return c.out3(p.a, p.b, r) }
func (c *lower) makePair(a, b machine.Reg) pair    { return pair{a, b} }
func (c *lower) halfBits(t ir.Type) uint8          { return uint8(t.Bits() / 2) }
func (c *lower) cmpWide(cc asm.Cond, a, b, p, q machine.Reg) cond {
	return cond{kind: condWide, cc: cc, lo: [2]machine.Reg{a, p}, a: b, b: operand{reg: q}}
}

func (c *lower) shiftDouble(op asm.Op, a, from, n machine.Reg) machine.Reg {
	d := c.newGpr()
	c.l.Emit(New(OpShldCL, uint16(op), asm.S64, d, a, from, n))
	return d
}

// wideDiv is a division of 128 bits.
type wideDiv uint8

const (
	wideUdiv wideDiv = iota
	wideSdiv
	wideUrem
	wideSrem
)

var wideDivNames = [...]string{wideUdiv: "UdivI128", wideSdiv: "SdivI128", wideUrem: "UremI128", wideSrem: "SremI128"}

func (c *lower) divideWide(op wideDiv, x, y ir.Value) pair {
	p := pair{c.newGpr(), c.newGpr()}
	c.backend().libcallTo(c.l, ir.LibCallName(wideDivNames[op]), [2]machine.Reg{p.a, p.b}, c.low(x), c.high(x), c.low(y), c.high(y))
	return p
}

// ---- Atomics

func (c *lower) exchange(size asm.Size, m Amode, v machine.Reg) machine.Reg {
	d := c.newGpr()
	c.l.Emit(NewMem(OpXchg, uint16(asm.XCHG), size, m, d, v))
	return d
}

func (c *lower) exchangeAdd(size asm.Size, m Amode, v machine.Reg) machine.Reg {
	d := c.newGpr()
	c.l.Emit(NewMem(OpXadd, uint16(asm.XADD), size, m, d, v))
	return d
}

func (c *lower) compareExchange(size asm.Size, m Amode, expected, v machine.Reg) machine.Reg {
	d := c.newGpr()
	c.l.Emit(NewMem(OpCmpxchg, uint16(asm.CMPXCHG), size, m, d, expected, v))
	return d
}

func (c *lower) rmwLoop(size asm.Size, op ir.AtomicOp, m Amode, v machine.Reg) machine.Reg {
	d := c.newGpr()
	in := NewMem(OpRmwLoop, 0, size, m, d, c.newGpr(), v)
	in.Imm = int64(op)
	c.l.Emit(in)
	return d
}

func (c *lower) hasCmpxchg16b() bool { return c.backend().isa.X64.HasCMPXCHG16B }

// baseOnly is the address m as a register and a displacement.
func (c *lower) baseOnly(m Amode) (machine.Reg, int32) {
	if m.Kind == machine.MemReg && m.Index == machine.NoReg {
		return m.Base, m.Disp
	}
	m.Trap = 0
	return c.lea(asm.S64, m), 0
}

func (c *lower) rmw16(op ir.AtomicOp, m Amode, v pair) pair {
	c.backend().clobbered.Add(pRBX) // which most conventions want back
	p := pair{c.newGpr(), c.newGpr()}
	base, disp := c.baseOnly(m)
	in := NewImm(OpRmw16, 0, asm.S64, int64(op), p.a, p.b, v.a, v.b, base)
	in.Disp, in.Trap = disp, m.Trap
	c.l.Emit(in)
	return p
}

func (c *lower) compareExchange16(m Amode, expected, v pair) pair {
	p := pair{c.newGpr(), c.newGpr()}
	base, disp := c.baseOnly(m)
	vc := c.l.VC
	in := New(OpCmpxchg16, 0, asm.S64, p.a, p.b, expected.a, expected.b, base)
	in.Disp, in.Trap = disp, m.Trap
	in.Aux = uint32(len(vc.Calls))
	start := uint32(len(vc.CallOperands))
	vc.CallOperands = append(vc.CallOperands, regalloc.UseFixed(v.a.VReg(), pRBX), regalloc.UseFixed(v.b.VReg(), pRCX))
	vc.Calls = append(vc.Calls, machine.CallInfo{Operands: machine.Range{Start: start, End: start + 2}, Label: machine.NoLabel})
	c.l.Emit(in)
	return p
}
