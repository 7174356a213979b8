package x64

import (
	"encoding/binary"

	"github.com/davit-wasm/davit/codegen/internal/machine"
	"github.com/davit-wasm/davit/codegen/internal/x64/asm"
	"github.com/davit-wasm/davit/codegen/ir"
)

// Shuffles by a constant. There is an instruction for any choice of bytes of one vector (pshufb, which takes a constant from
// memory); for two it is needed twice. Many constants are what a single instruction without a constant does: lanes in another
// order, interleaved, shifted out of two vectors, or each taken from the one or the other. These are tried from the cheapest
// on. An index of a byte is 0 to 15 in the first vector, 16 to 31 in the second, anything above is a zero.

const zeroByte = 0x80

func (c *lower) shuffleBytes(x, y ir.Value, k ir.Constant) machine.Reg {
	var m [16]byte
	copy(m[:], c.f.Constant(k))
	same := c.source(x) == c.source(y)
	xZero, yZero := c.isZero(x), c.isZero(y)
	first, second := false, false // which vectors have a part in the result
	for i, b := range m {
		switch {
		case b >= 32 || b < 16 && xZero || b >= 16 && yZero && !same:
			m[i] = zeroByte
		case same:
			m[i] = b & 15
			first = true
		case b < 16:
			first = true
		default:
			second = true
		}
	}
	if !first && second { // only the second: as if it were the first
		for i, b := range m {
			if b != zeroByte {
				m[i] = b - 16
			}
		}
		x, first, second = y, true, false
	}
	switch {
	case !first:
		return c.vecZero()
	case !second:
		return c.permute(c.xmm(x), &m)
	}
	if r, ok := c.merge(x, y, &m); ok {
		return r
	}
	swapped := m
	for i, b := range m {
		if b != zeroByte {
			swapped[i] = b ^ 16
		}
	}
	if r, ok := c.merge(y, x, &swapped); ok {
		return r
	}
	zeros := false
	for _, b := range m {
		zeros = zeros || b == zeroByte
	}
	if op, indexes, ok := c.permute2(&m); ok && !zeros {
		return c.ternaryOp(op, c.bytes(&indexes), c.xmm(x), operand{reg: c.xmm(y)}, 0, 0)
	}
	if c.hasAvx() {
		if mask, ok := blendMask(&m); ok {
			return c.blend(asm.VPBLENDVB, c.bytes(&mask), c.xmm(y), c.xmm(x))
		}
	}
	a, b := m, swapped
	for i := range m {
		if a[i] >= 16 {
			a[i] = zeroByte
		}
		if b[i] >= 16 {
			b[i] = zeroByte
		}
	}
	left := c.vop(asm.PSHUFB, c.xmm(x), c.bytesInPool(&a))
	return c.vop(asm.POR, left, operand{reg: c.vop(asm.PSHUFB, c.xmm(y), c.bytesInPool(&b))})
}

// permute2 is the instruction of AVX-512 that picks from two vectors what m says, in lanes as wide as possible (those of 4
// bytes take one step where narrow ones take three), and what it takes as indexes.
func (c *lower) permute2(m *[16]byte) (op asm.VecOp, indexes [16]byte, ok bool) {
	if l, ok := lanes(m, 4); ok && c.hasAvx512() {
		for i := range 4 {
			indexes[4*i] = l[i]
		}
		return asm.VPERMI2D, indexes, true
	}
	if l, ok := lanes(m, 2); ok && c.hasAvx512bw() {
		for i := range 8 {
			indexes[2*i] = l[i]
		}
		return asm.VPERMI2W, indexes, true
	}
	return asm.VPERMI2B, *m, c.hasAvx512vbmi()
}

func (c *lower) isZero(v ir.Value) bool {
	lo, hi, ok := c.vectorConst(v)
	return ok && lo|hi == 0
}

func (c *lower) bytes(m *[16]byte) machine.Reg {
	return c.vecConst(binary.LittleEndian.Uint64(m[:]), binary.LittleEndian.Uint64(m[8:]))
}

func (c *lower) bytesInPool(m *[16]byte) operand {
	return operand{kind: operandInMem, mem: c.constPool128(binary.LittleEndian.Uint64(m[:]), binary.LittleEndian.Uint64(m[8:]))}
}

// lanes reads m as indexes of lanes of size bytes.
func lanes(m *[16]byte, size int) (l [16]byte, ok bool) {
	for i := 0; i < 16; i += size {
		if m[i] == zeroByte || int(m[i])%size != 0 {
			return l, false
		}
		for k := 1; k < size; k++ {
			if m[i+k] != m[i]+byte(k) {
				return l, false
			}
		}
		l[i/size] = m[i] / byte(size)
	}
	return l, true
}

// four is four indexes in a byte, as pshufd and its like take them.
func four(l []byte) uint8 { return l[0]&3 | l[1]&3<<2 | l[2]&3<<4 | l[3]&3<<6 }

// permute shuffles the bytes of one vector.
func (c *lower) permute(x machine.Reg, m *[16]byte) machine.Reg {
	if l, ok := lanes(m, 4); ok {
		switch order := four(l[:4]); {
		case order == 0xe4:
			return x
		case order == 0x44 && c.hasAvx2():
			return c.splatReg(ir.I64X2, x)
		default:
			return c.vecImm(asm.PSHUFD, x, order)
		}
	}
	if l, ok := lanes(m, 2); ok {
		low := l[0]|l[1]|l[2]|l[3] < 4
		high := l[4] >= 4 && l[5] >= 4 && l[6] >= 4 && l[7] >= 4
		lowSame := l[0] == 0 && l[1] == 1 && l[2] == 2 && l[3] == 3
		highSame := l[4] == 4 && l[5] == 5 && l[6] == 6 && l[7] == 7
		switch {
		case low && highSame:
			return c.vecImm(asm.PSHUFLW, x, four(l[:4]))
		case high && lowSame:
			return c.vecImm(asm.PSHUFHW, x, four(l[4:8]))
		case c.hasAvx2() && all(l[:8], 0):
			return c.splatReg(ir.I16X8, x)
		}
	}
	if c.hasAvx2() && all(m[:], 0) {
		return c.splatReg(ir.I8X16, x)
	}
	for log, op := range [...]asm.VecOp{asm.PMOVZXBW, asm.PMOVZXWD, asm.PMOVZXDQ} {
		if zeroExtends(m, 1<<log) {
			return c.vec(op, operand{reg: x})
		}
	}
	if n, ok := rotated(m, 16); ok {
		return c.sseImm(asm.PALIGNR, x, x, n)
	}
	return c.vop(asm.PSHUFB, x, c.bytesInPool(m))
}

func all(l []byte, k byte) bool {
	for _, b := range l {
		if b != k {
			return false
		}
	}
	return true
}

// zeroExtends reports whether m takes the low lanes of size bytes to twice their width.
func zeroExtends(m *[16]byte, size int) bool {
	for i, b := range m {
		want := byte(zeroByte)
		if i%(2*size) < size {
			want = byte(i/(2*size)*size + i%size)
		}
		if b != want {
			return false
		}
	}
	return true
}

// rotated finds bytes in a row from n on, modulo the given number.
func rotated(m *[16]byte, modulo byte) (n uint8, ok bool) {
	for i, b := range m {
		if b == zeroByte || b != (m[0]+byte(i))%modulo {
			return 0, false
		}
	}
	return m[0], true
}

// interleaved are the instructions that interleave the low, or high, lanes of two vectors, by the logarithm of the lanes' size.
var interleaved = [4][2]asm.VecOp{
	{asm.PUNPCKLBW, asm.PUNPCKHBW}, {asm.PUNPCKLWD, asm.PUNPCKHWD}, {asm.PUNPCKLDQ, asm.PUNPCKHDQ}, {asm.PUNPCKLQDQ, asm.PUNPCKHQDQ},
}

// merge shuffles two vectors if a single instruction on them in this order does.
func (c *lower) merge(x, y ir.Value, m *[16]byte) (machine.Reg, bool) {
	for log, ops := range interleaved {
		size := 1 << log
		for half, op := range ops {
			if interleaves(m, size, byte(half*8)) {
				return c.vop(op, c.xmm(x), c.vectorOperand(y)), true
			}
		}
	}
	if n, ok := rotated(m, 32); ok && n < 16 {
		// palignr shifts its second operand out, and its first one in.
		return c.sseImm(asm.PALIGNR, c.xmm(y), c.xmm(x), n), true
	}
	if l, ok := lanes(m, 2); ok {
		mask, inPlace := uint8(0), true
		for i, w := range l[:8] {
			switch int(w) {
			case i:
			case i + 8:
				mask |= 1 << i
			default:
				inPlace = false
			}
		}
		if inPlace {
			return c.sseImm(asm.PBLENDW, c.xmm(x), c.xmm(y), mask), true
		}
	}
	if l, ok := lanes(m, 4); ok && l[0] < 4 && l[1] < 4 && l[2] >= 4 && l[3] >= 4 {
		return c.sseImm(asm.SHUFPS, c.xmm(x), c.xmm(y), four(l[:4])), true
	}
	return machine.NoReg, false
}

// interleaves reports whether m interleaves lanes of size bytes, from byte from of each vector on.
func interleaves(m *[16]byte, size int, from byte) bool {
	for i, b := range m {
		pair := i / (2 * size)
		want := from + byte(pair*size+i%size)
		if i/size%2 == 1 {
			want += 16
		}
		if b != want {
			return false
		}
	}
	return true
}

// blendMask is the mask that selects the bytes of the second vector, if every byte stays at its place.
func blendMask(m *[16]byte) (mask [16]byte, ok bool) {
	for i, b := range m {
		switch int(b) {
		case i:
		case i + 16:
			mask[i] = 0xff
		default:
			return mask, false
		}
	}
	return mask, true
}
