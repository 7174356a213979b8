package x64

import (
	"fmt"
	"math"

	"github.com/davit-wasm/davit/codegen/internal/machine"
	"github.com/davit-wasm/davit/codegen/internal/x64/asm"
	"github.com/davit-wasm/davit/codegen/ir"
)

// This file emits the shapes that are sequences with branches of their own.

// srem is a division whose remainder is wanted: the least number divided by −1
// faults in idiv, but its remainder is 0.
func (b *Backend) srem(e *machine.Emitter, in *machine.Inst) {
	a := &b.asm
	size := asm.Size(in.Size)
	d := hw(in.R[4])
	divide, done := e.Buf.NewLabel(), e.Buf.NewLabel()
	a.RI(asm.CMP, size, d, -1)
	b.jcc(e, asm.NE, divide)
	a.Zero(asm.RDX)
	b.jmp(e, done)
	b.bind(e, divide)
	b.trapHere(e, in)
	a.R(asm.IDIV, size, d)
	b.bind(e, done)
}

// rmwLoop is an atomic read-modify-write for which there is no instruction.
func (b *Backend) rmwLoop(e *machine.Emitter, in *machine.Inst) {
	a := &b.asm
	size := asm.Size(in.Size)
	wide := max(size, asm.S32)
	m := mem(e, in)
	t, x := hw(in.R[1]), hw(in.R[2])
	b.trapHere(e, in)
	switch size {
	case asm.S8:
		a.RM(asm.MOVZX8, asm.S32, asm.RAX, m)
	case asm.S16:
		a.RM(asm.MOVZX16, asm.S32, asm.RAX, m)
	default:
		a.RM(asm.MOV, size, asm.RAX, m)
	}
	again := e.Buf.NewLabel()
	b.bind(e, again)
	choose := func(c asm.Cond) {
		a.RR(asm.CMP, size, x, t)
		a.Cmov(c, wide, t, x)
	}
	a.RR(asm.MOV, asm.S64, t, asm.RAX)
	switch op := ir.AtomicOp(in.Imm); op {
	case ir.AtomicAdd:
		a.RR(asm.ADD, wide, t, x)
	case ir.AtomicSub:
		a.RR(asm.SUB, wide, t, x)
	case ir.AtomicAnd:
		a.RR(asm.AND, wide, t, x)
	case ir.AtomicOr:
		a.RR(asm.OR, wide, t, x)
	case ir.AtomicXor:
		a.RR(asm.XOR, wide, t, x)
	case ir.AtomicNand:
		a.RR(asm.AND, wide, t, x)
		a.R(asm.NOT, wide, t)
	case ir.AtomicXchg:
		a.RR(asm.MOV, asm.S64, t, x)
	case ir.AtomicUmin:
		choose(asm.B)
	case ir.AtomicUmax:
		choose(asm.A)
	case ir.AtomicSmin:
		choose(asm.L)
	case ir.AtomicSmax:
		choose(asm.G)
	default:
		panic(fmt.Sprintf("x64: atomic operation %v", op))
	}
	b.trapHere(e, in)
	a.Lock()
	a.MR(asm.CMPXCHG, size, m, t)
	b.jcc(e, asm.NE, again)
}

// floatOps are the scalar operations of one format.
type floatOps struct {
	ucomis, add, sub, min, max, mov asm.VecOp // mov: integer register to xmm
	size                            asm.Size
}

var floats = [2]floatOps{
	{asm.UCOMISS, asm.ADDSS, asm.SUBSS, asm.MINSS, asm.MAXSS, asm.MOVD, asm.S32},
	{asm.UCOMISD, asm.ADDSD, asm.SUBSD, asm.MINSD, asm.MAXSD, asm.MOVQ, asm.S64},
}

func floatOf(size asm.Size) *floatOps {
	switch size {
	case asm.S32:
		return &floats[0]
	case asm.S64:
		return &floats[1]
	}
	panic(fmt.Sprintf("x64: a float of %d bits", size.Bits()))
}

// truncate emits cvttss2si or cvttsd2si to 32 or 64 bits.
func (b *Backend) truncate(f *floatOps, to asm.Size, dst, src asm.Reg) {
	op := [2][2]asm.VecOp{{asm.CVTTSS2SI_32, asm.CVTTSS2SI_64}, {asm.CVTTSD2SI_32, asm.CVTTSD2SI_64}}[f.size-asm.S32][max(to, asm.S32)-asm.S32]
	b.asm.SSE(op, dst, src)
}

// minMax is fmin or fmax. Both of x86's instructions return the second operand
// for equal operands and for NaN; so equal ones, which may be zeros with
// different signs, are joined by or (min) and and (max), and a NaN is made from
// unordered ones by adding them.
func (b *Backend) minMax(e *machine.Emitter, in *machine.Inst) {
	a := &b.asm
	f := floatOf(asm.Size(in.Size))
	d, x := hw(in.R[0]), hw(in.R[2])
	differ, done, nan := e.Buf.NewLabel(), e.Buf.NewLabel(), e.Buf.NewLabel()
	a.SSE(f.ucomis, d, x)
	b.jcc(e, asm.NE, differ)
	b.jcc(e, asm.P, nan)
	op, join := f.min, asm.ORPS
	if in.Cond == 1 {
		op, join = f.max, asm.ANDPS
	}
	a.SSE(join, d, x)
	b.jmp(e, done)
	b.bind(e, nan)
	a.SSE(f.add, d, x)
	b.jmp(e, done)
	b.bind(e, differ)
	a.SSE(op, d, x)
	b.bind(e, done)
}

// cvtU64ToF converts an unsigned integer with the signed instruction. One with
// its top bit set is halved first, the bit that falls out or-ed back in so that
// rounding comes out the same, and the result doubled.
func (b *Backend) cvtU64ToF(e *machine.Emitter, in *machine.Inst) {
	a := &b.asm
	f := floatOf(asm.Size(in.Size))
	cvt := asm.CVTSI2SS_64
	if f.size == asm.S64 {
		cvt = asm.CVTSI2SD_64
	}
	d, x, t, u := hw(in.R[0]), hw(in.R[1]), hw(in.R[2]), hw(in.R[3])
	top, done := e.Buf.NewLabel(), e.Buf.NewLabel()
	a.SSE(asm.XORPS, d, d)
	a.RR(asm.TEST, asm.S64, x, x)
	b.jcc(e, asm.S, top)
	a.SSE(cvt, d, x)
	b.jmp(e, done)
	b.bind(e, top)
	a.RR(asm.MOV, asm.S64, t, x)
	a.RI(asm.SHR, asm.S64, t, 1)
	a.RR(asm.MOV, asm.S64, u, x)
	a.RI(asm.AND, asm.S32, u, 1)
	a.RR(asm.OR, asm.S64, t, u)
	a.SSE(cvt, d, t)
	a.SSE(f.add, d, d)
	b.bind(e, done)
}

// cvtFToS converts to a signed integer. The instruction returns the least
// integer for whatever does not fit; only then is there more to find out.
func (b *Backend) cvtFToS(e *machine.Emitter, in *machine.Inst, saturate bool) {
	a := &b.asm
	f := floatOf(asm.Size(in.Cond))
	to := asm.Size(in.Size)
	wide := max(to, asm.S32)
	d, x, t := hw(in.R[0]), hw(in.R[1]), hw(in.R[2])
	done := e.Buf.NewLabel()
	b.truncate(f, wide, d, x)
	a.RI(asm.CMP, wide, d, 1)
	b.jcc(e, asm.NO, done)
	a.SSE(f.ucomis, x, x)
	if saturate {
		ordered := e.Buf.NewLabel()
		b.jcc(e, asm.NP, ordered)
		a.Zero(d)
		b.jmp(e, done)
		b.bind(e, ordered)
		a.SSE(asm.XORPS, t, t)
		a.SSE(f.ucomis, t, x)
		b.jcc(e, asm.AE, done) // negative: the least integer it is
		most := int64(math.MaxInt32)
		if wide == asm.S64 {
			most = math.MaxInt64
		}
		a.MovRI(wide, d, most)
		b.bind(e, done)
		if to < asm.S32 {
			b.clamp(e, d, to)
		}
		return
	}
	ordered := e.Buf.NewLabel()
	b.jcc(e, asm.NP, ordered)
	b.ud2(e, ir.TrapBadConversionToInt)
	b.bind(e, ordered)
	// The least integer is right for numbers above the limit: for f64 to i32
	// that minus 1, and else, as there is nothing in between, from itself on.
	limit, bad := -math.Exp2(float64(wide.Bits()-1)), asm.B
	if f.size == asm.S64 && wide == asm.S32 {
		limit, bad = limit-1, asm.BE
	}
	bits := int64(math.Float64bits(limit))
	if f.size == asm.S32 {
		bits = int64(math.Float32bits(float32(limit)))
	}
	overflow := e.Buf.NewLabel()
	a.MovRI(f.size, d, bits)
	a.SSE(f.mov, t, d)
	a.SSE(f.ucomis, x, t)
	b.jcc(e, bad, overflow)
	a.SSE(asm.XORPS, t, t)
	a.SSE(f.ucomis, t, x)
	again := e.Buf.NewLabel()
	b.jcc(e, asm.AE, again)
	b.bind(e, overflow)
	b.ud2(e, ir.TrapIntegerOverflow)
	b.bind(e, again)
	b.truncate(f, wide, d, x)
	b.bind(e, done)
	if to < asm.S32 {
		least, most := int32(-1)<<(to.Bits()-1), int32(1)<<(to.Bits()-1)-1
		l := b.trapLabel(e, uint8(ir.TrapIntegerOverflow), b.loc)
		a.RI(asm.CMP, asm.S32, d, most)
		b.jcc(e, asm.G, l)
		a.RI(asm.CMP, asm.S32, d, least)
		b.jcc(e, asm.L, l)
	}
}

// clamp brings a signed 32-bit integer into the range of a narrower type.
func (b *Backend) clamp(e *machine.Emitter, d asm.Reg, to asm.Size) {
	a := &b.asm
	least, most := int32(-1)<<(to.Bits()-1), int32(1)<<(to.Bits()-1)-1
	low, done := e.Buf.NewLabel(), e.Buf.NewLabel()
	a.RI(asm.CMP, asm.S32, d, most)
	b.jcc(e, asm.LE, low)
	a.MovRI(asm.S32, d, int64(most))
	b.jmp(e, done)
	b.bind(e, low)
	a.RI(asm.CMP, asm.S32, d, least)
	b.jcc(e, asm.GE, done)
	a.MovRI(asm.S32, d, int64(least))
	b.bind(e, done)
}

// exp2Bits is 2**n in the format.
func (f *floatOps) exp2Bits(n int) int64 {
	if f.size == asm.S32 {
		return int64(math.Float32bits(float32(math.Exp2(float64(n)))))
	}
	return int64(math.Float64bits(math.Exp2(float64(n))))
}

// cvtFToU converts to an unsigned integer. Up to 32 bits that is a conversion to
// a signed one of 64 bits with a look at the result. For 64 bits, what is 2⁶³ or
// more is brought below by a subtraction, which is exact.
func (b *Backend) cvtFToU(e *machine.Emitter, in *machine.Inst) {
	a := &b.asm
	f := floatOf(asm.Size(in.Cond))
	to := asm.Size(in.Size)
	d, x, t, u := hw(in.R[0]), hw(in.R[1]), hw(in.R[2]), hw(in.R[3])
	done, bad := e.Buf.NewLabel(), e.Buf.NewLabel()
	if to < asm.S64 {
		b.truncate(f, asm.S64, d, x)
		a.MovRI(asm.S64, u, 1<<to.Bits()-1)
		a.RR(asm.CMP, asm.S64, d, u)
		b.jcc(e, asm.BE, done)
	} else {
		large := e.Buf.NewLabel()
		a.MovRI(f.size, u, f.exp2Bits(63))
		a.SSE(f.mov, t, u)
		a.SSE(f.ucomis, x, t)
		b.jcc(e, asm.P, bad)
		b.jcc(e, asm.AE, large)
		b.truncate(f, asm.S64, d, x)
		a.RR(asm.TEST, asm.S64, d, d)
		b.jcc(e, asm.NS, done)
		b.jmp(e, bad)
		b.bind(e, large)
		a.SSE(f.sub, t, x) // −(x − 2⁶³)
		b.truncate(f, asm.S64, d, t)
		a.R(asm.NEG, asm.S64, d)
		b.jcc(e, asm.S, bad)
		a.MovRI(asm.S64, u, math.MinInt64)
		a.RR(asm.OR, asm.S64, d, u)
		b.jmp(e, done)
	}
	b.bind(e, bad)
	ordered := e.Buf.NewLabel()
	a.SSE(f.ucomis, x, x)
	b.jcc(e, asm.NP, ordered)
	b.ud2(e, ir.TrapBadConversionToInt)
	b.bind(e, ordered)
	b.ud2(e, ir.TrapIntegerOverflow)
	b.bind(e, done)
}

// cvtFToUSat is cvtFToU with saturation: negative numbers and NaN become 0.
func (b *Backend) cvtFToUSat(e *machine.Emitter, in *machine.Inst) {
	a := &b.asm
	f := floatOf(asm.Size(in.Cond))
	to := asm.Size(in.Size)
	d, x, t, u := hw(in.R[0]), hw(in.R[1]), hw(in.R[2]), hw(in.R[3])
	done, positive := e.Buf.NewLabel(), e.Buf.NewLabel()
	a.SSE(asm.XORPS, t, t)
	a.SSE(f.ucomis, x, t)
	b.jcc(e, asm.AE, positive) // neither below nor unordered
	a.Zero(d)
	b.jmp(e, done)
	b.bind(e, positive)
	if to < asm.S64 {
		b.truncate(f, asm.S64, d, x)
		a.MovRI(asm.S64, u, 1<<to.Bits()-1)
		a.RR(asm.CMP, asm.S64, d, u)
		a.Cmov(asm.A, asm.S64, d, u) // what does not fit 64 bits either has the top bit set
		b.bind(e, done)
		return
	}
	large, most := e.Buf.NewLabel(), e.Buf.NewLabel()
	a.MovRI(f.size, u, f.exp2Bits(63))
	a.SSE(f.mov, t, u)
	a.SSE(f.ucomis, x, t)
	b.jcc(e, asm.AE, large)
	b.truncate(f, asm.S64, d, x)
	b.jmp(e, done)
	b.bind(e, large)
	a.SSE(f.sub, t, x)
	b.truncate(f, asm.S64, d, t)
	a.R(asm.NEG, asm.S64, d)
	b.jcc(e, asm.S, most)
	a.MovRI(asm.S64, u, math.MinInt64)
	a.RR(asm.OR, asm.S64, d, u)
	b.jmp(e, done)
	b.bind(e, most)
	a.MovRI(asm.S64, d, -1)
	b.bind(e, done)
}

// jumpTree goes to the block of entry R0 of a jump table, or the last if there are
// fewer, by a binary search with comparisons. Ranges of entries with one block
// are not searched further.
func (b *Backend) jumpTree(e *machine.Emitter, in *machine.Inst) {
	a := &b.asm
	r := e.VC.JumpTables[in.Aux]
	entries := e.VC.TableBlocks[r.Start:r.End]
	// same[i] is where the run of equal entries that i is in ends.
	same := b.runs[:0]
	for range entries {
		same = append(same, 0)
	}
	for i := len(entries) - 1; i >= 0; i-- {
		if same[i] = uint32(i + 1); i+1 < len(entries) && entries[i] == entries[i+1] {
			same[i] = same[i+1]
		}
	}
	b.runs = same
	type part struct {
		from, to uint32
		label    machine.Label
	}
	var room [64]part // one for each bit of the number of entries
	parts := append(room[:0], part{0, uint32(len(entries)), e.Buf.NewLabel()})
	for len(parts) > 0 {
		p := parts[len(parts)-1]
		parts = parts[:len(parts)-1]
		b.bind(e, p.label)
		for same[p.from] < p.to {
			// Lower entries are for later.
			mid := p.from + (p.to-p.from)/2
			lower := e.Buf.NewLabel()
			a.RI(asm.CMP, asm.S32, hw(in.R[0]), int32(mid))
			b.jcc(e, asm.B, lower)
			parts = append(parts, part{p.from, mid, lower})
			p.from = mid
		}
		if to := e.Dest(entries[p.from]); len(parts) > 0 || !e.Falls(to) {
			b.jmp(e, machine.Label(to))
		}
	}
}
