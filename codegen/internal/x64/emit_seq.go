package x64

import (
	"fmt"
	"math"

	"github.com/davit-wasm/davit/codegen/internal/machine"
	"github.com/davit-wasm/davit/codegen/internal/x64/asm"
	"github.com/davit-wasm/davit/codegen/ir"
)

// This file emits the shapes that are sequences with branches of their own. What
// is seldom needed of them lies behind the function ([coldPart]), so that the rest is
// straight and jumps nowhere.

// coldPart is the part of an instruction that lies behind the function.
type coldPart struct {
	in          machine.Inst
	enter, back machine.Label
	loc         uint32
}

// unlikely jumps to the cold part of in ([Backend.emitCold]), if
// the condition holds. The caller binds the label, to which that jumps back.
func (b *Backend) unlikely(e *machine.Emitter, in *machine.Inst, cc asm.Cond) (back machine.Label) {
	t := coldPart{*in, e.Buf.NewLabel(), e.Buf.NewLabel(), b.loc}
	b.cold = append(b.cold, t)
	b.jcc(e, cc, t.enter)
	return t.back
}

// emitCold emits the unlikely part of an instruction.
func (b *Backend) emitCold(e *machine.Emitter, t *coldPart) {
	b.bind(e, t.enter)
	e.Buf.Source(len(b.asm.Buf), t.loc)
	in := &t.in
	switch in.Op {
	case OpSrem:
		b.asm.Zero(asm.RDX)
	case OpXmmMinMax:
		b.minMaxCold(e, in, t.back)
	case OpCvtU64ToF:
		b.cvtU64ToFCold(in)
	case OpCvtFToS:
		b.cvtFToSCold(e, in)
	case OpCvtFToSSat:
		b.cvtFToSSatCold(e, in, t.back)
	case OpCvtFToU:
		b.cvtFToUCold(e, in, t.back)
		return
	case OpCvtFToUSat:
		b.cvtFToUSatCold(e, in, t.back)
	default:
		panic("x64: no cold part of " + Table[in.Op].Name)
	}
	b.jmp(e, t.back)
}

// srem is a division whose remainder is wanted: the least number divided by −1
// faults in idiv, but its remainder is 0.
func (b *Backend) srem(e *machine.Emitter, in *machine.Inst) {
	a := &b.asm
	size := asm.Size(in.Size)
	d := hw(in.R[4])
	a.RI(asm.CMP, size, d, -1)
	back := b.unlikely(e, in, asm.E)
	b.trapHere(e, in)
	a.R(asm.IDIV, size, d)
	b.bind(e, back)
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
	ucomis, add, sub, min, max asm.VecOp
	mov                        asm.VecOp // the bits in an integer register
	fromInt, toUint            asm.VecOp // 64 bits, signed; unsigned
	size                       asm.Size
}

var floats = [2]floatOps{
	{asm.UCOMISS, asm.ADDSS, asm.SUBSS, asm.MINSS, asm.MAXSS, asm.MOVD, asm.CVTSI2SS_64, asm.VCVTTSS2USI_64, asm.S32},
	{asm.UCOMISD, asm.ADDSD, asm.SUBSD, asm.MINSD, asm.MAXSD, asm.MOVQ, asm.CVTSI2SD_64, asm.VCVTTSD2USI_64, asm.S64},
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
	op := [2][2]asm.VecOp{{asm.CVTTSS2SI_32, asm.CVTTSS2SI_64}, {asm.CVTTSD2SI_32, asm.CVTTSD2SI_64}}[f.size-asm.S32][to-asm.S32]
	b.asm.SSE(op, dst, src)
}

// minMax is fmin or fmax. Both of x86's instructions return the second operand
// for equal operands and for NaN. Both of that the zero flag tells after ucomis;
// then equal ones, which may be zeros with different signs, are joined by or (min)
// and and (max), and a NaN is made from unordered ones by adding them.
func (b *Backend) minMax(e *machine.Emitter, in *machine.Inst) {
	f := floatOf(asm.Size(in.Size))
	d, x := hw(in.R[0]), hw(in.R[2])
	b.asm.SSE(f.ucomis, d, x)
	back := b.unlikely(e, in, asm.E)
	op := f.min
	if in.Cond == 1 {
		op = f.max
	}
	b.asm.SSE(op, d, x)
	b.bind(e, back)
}

func (b *Backend) minMaxCold(e *machine.Emitter, in *machine.Inst, back machine.Label) {
	a := &b.asm
	f := floatOf(asm.Size(in.Size))
	d, x := hw(in.R[0]), hw(in.R[2])
	nan := e.Buf.NewLabel()
	b.jcc(e, asm.P, nan)
	join := asm.ORPS
	if in.Cond == 1 {
		join = asm.ANDPS
	}
	a.SSE(join, d, x)
	b.jmp(e, back)
	b.bind(e, nan)
	a.SSE(f.add, d, x)
}

// cvtU64ToF converts an unsigned integer with the signed instruction. One with
// its top bit set is halved first, the bit that falls out or-ed back in so that
// rounding comes out the same, and the result doubled.
func (b *Backend) cvtU64ToF(e *machine.Emitter, in *machine.Inst) {
	a := &b.asm
	d, x := hw(in.R[0]), hw(in.R[1])
	a.SSE(asm.XORPS, d, d)
	a.RR(asm.TEST, asm.S64, x, x)
	back := b.unlikely(e, in, asm.S)
	a.SSE(floatOf(asm.Size(in.Size)).fromInt, d, x)
	b.bind(e, back)
}

func (b *Backend) cvtU64ToFCold(in *machine.Inst) {
	a := &b.asm
	f := floatOf(asm.Size(in.Size))
	d, x, t, u := hw(in.R[0]), hw(in.R[1]), hw(in.R[2]), hw(in.R[3])
	a.RR(asm.MOV, asm.S64, t, x)
	a.RI(asm.SHR, asm.S64, t, 1)
	a.RR(asm.MOV, asm.S64, u, x)
	a.RI(asm.AND, asm.S32, u, 1)
	a.RR(asm.OR, asm.S64, t, u)
	a.SSE(f.fromInt, d, t)
	a.SSE(f.add, d, d)
}

// cvtFToS converts to a signed integer. The instruction returns the least
// integer for whatever does not fit; only then is there more to find out.
func (b *Backend) cvtFToS(e *machine.Emitter, in *machine.Inst) {
	to := asm.Size(in.Size)
	d, x := hw(in.R[0]), hw(in.R[1])
	b.truncate(floatOf(asm.Size(in.Cond)), to, d, x)
	b.asm.RI(asm.CMP, to, d, 1) // overflows for the least integer
	b.bind(e, b.unlikely(e, in, asm.O))
}

func (b *Backend) cvtFToSSatCold(e *machine.Emitter, in *machine.Inst, back machine.Label) {
	a := &b.asm
	f := floatOf(asm.Size(in.Cond))
	to := asm.Size(in.Size)
	d, x, t := hw(in.R[0]), hw(in.R[1]), hw(in.R[2])
	ordered := e.Buf.NewLabel()
	a.SSE(f.ucomis, x, x)
	b.jcc(e, asm.NP, ordered)
	a.Zero(d)
	b.jmp(e, back)
	b.bind(e, ordered)
	a.SSE(asm.XORPS, t, t)
	a.SSE(f.ucomis, t, x)
	b.jcc(e, asm.AE, back) // negative: the least integer it is
	a.MovRI(to, d, int64(uint64(math.MaxInt64)>>(64-to.Bits())))
}

func (b *Backend) cvtFToSCold(e *machine.Emitter, in *machine.Inst) {
	a := &b.asm
	f := floatOf(asm.Size(in.Cond))
	to := asm.Size(in.Size)
	d, x, t := hw(in.R[0]), hw(in.R[1]), hw(in.R[2])
	a.SSE(f.ucomis, x, x)
	ordered := e.Buf.NewLabel()
	b.jcc(e, asm.NP, ordered)
	b.ud2(e, ir.TrapBadConversionToInt)
	b.bind(e, ordered)
	// The least integer is right for numbers above the limit: for f64 to i32
	// that minus 1, and else, as there is nothing in between, from itself on.
	limit, bad := -math.Exp2(float64(to.Bits()-1)), asm.B
	if f.size == asm.S64 && to == asm.S32 {
		limit, bad = limit-1, asm.BE
	}
	bits := int64(math.Float64bits(limit))
	if f.size == asm.S32 {
		bits = int64(math.Float32bits(float32(limit)))
	}
	overflow, again := e.Buf.NewLabel(), e.Buf.NewLabel()
	a.MovRI(f.size, d, bits)
	a.SSE(f.mov, t, d)
	a.SSE(f.ucomis, x, t)
	b.jcc(e, bad, overflow)
	a.SSE(asm.XORPS, t, t)
	a.SSE(f.ucomis, t, x)
	b.jcc(e, asm.AE, again)
	b.bind(e, overflow)
	b.ud2(e, ir.TrapIntegerOverflow)
	b.bind(e, again)
	b.truncate(f, to, d, x)
}

// exp2Bits is 2**n in the format.
func (f *floatOps) exp2Bits(n int) int64 {
	if f.size == asm.S32 {
		return int64(math.Float32bits(float32(math.Exp2(float64(n)))))
	}
	return int64(math.Float64bits(math.Exp2(float64(n))))
}

// cvtFToU converts to an unsigned integer, with a trap or saturating. To 32 bits
// that is a conversion to a signed one of 64 bits, of which the upper half must
// come out as zero. To 64 bits, AVX-512 has an instruction, which returns the most
// for what does not fit (a number that no float is), and else the signed
// conversion does for what is less than 2⁶³; anything else comes out negative.
func (b *Backend) cvtFToU(e *machine.Emitter, in *machine.Inst) {
	a := &b.asm
	f := floatOf(asm.Size(in.Cond))
	d, x, u := hw(in.R[0]), hw(in.R[1]), hw(in.R[3])
	cc := asm.S
	switch {
	case asm.Size(in.Size) == asm.S32:
		b.truncate(f, asm.S64, d, x)
		a.RR(asm.MOV, asm.S32, u, d)
		a.RR(asm.CMP, asm.S64, u, d)
		cc = asm.NE
	case b.isa.X64.HasAVX512F:
		a.EVEX(f.toUint, asm.EVEX{}, d, asm.NoReg, x)
		a.RI(asm.CMP, asm.S64, d, -1)
		cc = asm.E
	default:
		b.truncate(f, asm.S64, d, x)
		a.RR(asm.TEST, asm.S64, d, d)
	}
	b.bind(e, b.unlikely(e, in, cc))
}

// upperHalf converts x, a number not below 2⁶³, which is brought below by a
// subtraction: that is exact. It goes to bad if x is 2⁶⁴ or more.
func (b *Backend) upperHalf(e *machine.Emitter, f *floatOps, d, x, t, u asm.Reg, bad machine.Label) {
	a := &b.asm
	a.SSE(f.sub, t, x) // −(x − 2⁶³)
	b.truncate(f, asm.S64, d, t)
	a.R(asm.NEG, asm.S64, d)
	b.jcc(e, asm.S, bad)
	a.MovRI(asm.S64, u, math.MinInt64)
	a.RR(asm.OR, asm.S64, d, u)
}

func (b *Backend) cvtFToUCold(e *machine.Emitter, in *machine.Inst, back machine.Label) {
	a := &b.asm
	f := floatOf(asm.Size(in.Cond))
	d, x, t, u := hw(in.R[0]), hw(in.R[1]), hw(in.R[2]), hw(in.R[3])
	bad, ordered := e.Buf.NewLabel(), e.Buf.NewLabel()
	if asm.Size(in.Size) == asm.S64 && !b.isa.X64.HasAVX512F {
		a.MovRI(f.size, u, f.exp2Bits(63))
		a.SSE(f.mov, t, u)
		a.SSE(f.ucomis, x, t)
		b.jcc(e, asm.B, bad) // below or unordered
		b.upperHalf(e, f, d, x, t, u, bad)
		b.jmp(e, back)
	}
	b.bind(e, bad)
	a.SSE(f.ucomis, x, x)
	b.jcc(e, asm.NP, ordered)
	b.ud2(e, ir.TrapBadConversionToInt)
	b.bind(e, ordered)
	b.ud2(e, ir.TrapIntegerOverflow)
}

// cvtFToUSatCold has what is not in range: negative numbers and NaN become 0.
func (b *Backend) cvtFToUSatCold(e *machine.Emitter, in *machine.Inst, back machine.Label) {
	a := &b.asm
	f := floatOf(asm.Size(in.Cond))
	to := asm.Size(in.Size)
	d, x, t, u := hw(in.R[0]), hw(in.R[1]), hw(in.R[2]), hw(in.R[3])
	positive, most := e.Buf.NewLabel(), e.Buf.NewLabel()
	a.SSE(asm.XORPS, t, t)
	a.SSE(f.ucomis, x, t)
	b.jcc(e, asm.AE, positive) // neither below nor unordered
	a.Zero(d)
	b.jmp(e, back)
	b.bind(e, positive)
	if to == asm.S64 && !b.isa.X64.HasAVX512F {
		a.MovRI(f.size, u, f.exp2Bits(63))
		a.SSE(f.mov, t, u)
		b.upperHalf(e, f, d, x, t, u, most)
		b.jmp(e, back)
	}
	b.bind(e, most)
	a.MovRI(to, d, -1)
}

// smallTable is how many entries a table of jumps in the code has at most, the
// default block's included: two cache lines.
const smallTable = 16

// jumpTable goes to the block of entry R0 of a jump table, which it has. A small
// table is made of jumps behind the one that leads to them: where it was
// predicted wrongly, this is known sooner by a load and an addition. A large one
// is made of distances, which take half the room.
func (b *Backend) jumpTable(e *machine.Emitter, in *machine.Inst) {
	a := &b.asm
	index, t, u := hw(in.R[0]), hw(in.R[1]), hw(in.R[2])
	a.RM(asm.LEA, asm.S64, t, asm.RIPRel(0))
	r := e.VC.JumpTables[in.Aux]
	if r.End-r.Start > smallTable {
		b.relative(e, e.JumpTable(in.Aux))
		a.RM(asm.MOVSX32, asm.S64, u, asm.Indexed(t, index, 2, 0))
		a.RR(asm.ADD, asm.S64, t, u)
		a.JmpR(t)
		return
	}
	jumps := e.Buf.NewLabel()
	b.relative(e, jumps)
	a.RM(asm.LEA, asm.S64, t, asm.Indexed(t, index, 3, 0))
	a.JmpR(t)
	b.bind(e, jumps)
	for _, to := range e.VC.TableBlocks[r.Start:r.End] {
		e.Buf.Fixup(len(a.Buf)+1, fixRel32, machine.Label(e.Dest(to)), -4)
		a.Jmp32()
		a.Buf = append(a.Buf, Padding, Padding, Padding) // to 8 bytes
	}
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
