package clif

import (
	"math"
	"math/bits"
	"strconv"
	"strings"

	"github.com/davit-wasm/davit/codegen/ir"
)

// uint128 is a 128-bit number, for i128 and for the fractions of f128.
type uint128 struct{ hi, lo uint64 }

func (u uint128) shl(n int) uint128 {
	switch {
	case n >= 128:
		return uint128{}
	case n >= 64:
		return uint128{u.lo << (n - 64), 0}
	case n == 0:
		return u
	}
	return uint128{u.hi<<n | u.lo>>(64-n), u.lo << n}
}

func (u uint128) shr(n int) uint128 {
	switch {
	case n >= 128:
		return uint128{}
	case n >= 64:
		return uint128{0, u.hi >> (n - 64)}
	case n == 0:
		return u
	}
	return uint128{u.hi >> n, u.lo>>n | u.hi<<(64-n)}
}

func (u uint128) len() int {
	if u.hi != 0 {
		return 64 + bits.Len64(u.hi)
	}
	return bits.Len64(u.lo)
}

func (u uint128) zero() bool { return u.hi|u.lo == 0 }

func (u uint128) neg() uint128 {
	lo, borrow := bits.Sub64(0, u.lo, 0)
	hi, _ := bits.Sub64(0, u.hi, borrow)
	return uint128{hi, lo}
}

// mulAdd is u*m+a; ok is false if that does not fit.
func (u uint128) mulAdd(m, a uint64) (r uint128, ok bool) {
	c, lo := bits.Mul64(u.lo, m)
	over, hi := bits.Mul64(u.hi, m)
	hi, c1 := bits.Add64(hi, c, 0)
	lo, c2 := bits.Add64(lo, a, 0)
	hi, c3 := bits.Add64(hi, 0, c2)
	return uint128{hi, lo}, over == 0 && c1 == 0 && c3 == 0
}

// parseInt reads an integer literal with optional sign, prefix 0x and
// underscores between digits. neg tells that it had a minus sign, and mag is
// its magnitude.
func parseInt(s string) (mag uint128, neg, ok bool) {
	if s != "" && (s[0] == '-' || s[0] == '+') {
		neg = s[0] == '-'
		s = s[1:]
	}
	base := uint64(10)
	if len(s) > 2 && s[0] == '0' && (s[1] == 'x' || s[1] == 'X') {
		base, s = 16, s[2:]
	}
	digits := false
	for i := range len(s) {
		c := s[i]
		if c == '_' {
			if i == 0 {
				return mag, neg, false
			}
			continue
		}
		d, isDigit := digit(c)
		if !isDigit || d >= base {
			return mag, neg, false
		}
		digits = true
		if mag, ok = mag.mulAdd(base, d); !ok {
			return mag, neg, false
		}
	}
	return mag, neg, digits
}

func digit(c byte) (uint64, bool) {
	switch {
	case isDigit(c):
		return uint64(c - '0'), true
	case 'a' <= c && c <= 'f':
		return uint64(c - 'a' + 10), true
	case 'A' <= c && c <= 'F':
		return uint64(c - 'A' + 10), true
	}
	return 0, false
}

// parseIntBits reads an integer literal as the bits of a number of the given
// width. It may be signed or unsigned, but must fit.
func parseIntBits(s string, width int) (uint128, bool) {
	mag, neg, ok := parseInt(s)
	if !ok {
		return mag, false
	}
	if !neg {
		return mag, mag.len() <= width
	}
	if mag.len() > width || mag.len() == width && mag != (uint128{0, 1}).shl(width-1) {
		return mag, false
	}
	mag = mag.neg()
	return mag.shl(128 - width).shr(128 - width), true
}

// floatFormat is an IEEE 754 interchange format: bits of exponent and of
// fraction.
type floatFormat struct{ exp, frac int }

func formatOf(t ir.Type) floatFormat {
	switch t {
	case ir.F16:
		return floatFormat{5, 10}
	case ir.F32:
		return floatFormat{8, 23}
	case ir.F64:
		return floatFormat{11, 52}
	}
	return floatFormat{15, 112}
}

func (f floatFormat) bias() int { return 1<<(f.exp-1) - 1 }

// assemble makes the bits of a number of sign, biased exponent and fraction.
func (f floatFormat) assemble(neg bool, exp int, frac uint128) uint128 {
	e := uint128{0, uint64(exp)}.shl(f.frac)
	if neg {
		s := uint128{0, 1}.shl(f.exp + f.frac)
		e.hi |= s.hi
		e.lo |= s.lo
	}
	return uint128{e.hi | frac.hi, e.lo | frac.lo}
}

// parseFloat reads a floating-point literal: hexadecimal and exactly
// representable, decimal (rounded; for f16 and f128 only zero), Inf, NaN,
// NaN:0xPAYLOAD or sNaN:0xPAYLOAD.
func parseFloat(s string, t ir.Type) (uint128, bool) {
	f := formatOf(t)
	neg := false
	if s != "" && (s[0] == '-' || s[0] == '+') {
		neg = s[0] == '-'
		s = s[1:]
	}
	special := 1<<f.exp - 1
	quiet := uint128{0, 1}.shl(f.frac - 1)
	switch word, payload, has := strings.Cut(s, ":"); word {
	case "Inf":
		return f.assemble(neg, special, uint128{}), !has
	case "NaN", "sNaN":
		p := uint128{}
		if has {
			var minus, ok bool
			if p, minus, ok = parseInt(payload); !ok || minus || p.len() >= f.frac {
				return p, false
			}
		}
		if word == "sNaN" {
			return f.assemble(neg, special, p), !p.zero()
		}
		return f.assemble(neg, special, uint128{p.hi | quiet.hi, p.lo | quiet.lo}), true
	}
	if len(s) > 2 && s[0] == '0' && (s[1] == 'x' || s[1] == 'X') {
		return f.parseHex(s[2:], neg)
	}
	if s == "" || !isDigit(s[0]) || !strings.Contains(s, ".") || strings.Contains(s, "_") {
		return uint128{}, false
	}
	x, err := strconv.ParseFloat(s, t.Bits())
	if t == ir.F16 || t == ir.F128 {
		x, err = strconv.ParseFloat(s, 64)
		return f.assemble(neg, 0, uint128{}), err == nil && x == 0
	}
	if err != nil {
		return uint128{}, false
	}
	if neg {
		x = -x
	}
	if t == ir.F32 {
		return uint128{0, uint64(math.Float32bits(float32(x)))}, true
	}
	return uint128{0, math.Float64bits(x)}, true
}

// parseHex reads the digits after 0x.
func (f floatFormat) parseHex(s string, neg bool) (uint128, bool) {
	m := uint128{}
	exp, point, digits := 0, false, false
	i := 0
	for ; i < len(s) && s[i] != 'p' && s[i] != 'P'; i++ {
		switch d, ok := digit(s[i]); {
		case s[i] == '.' && !point:
			point = true
		case s[i] == '_':
		case !ok:
			return m, false
		default:
			digits = true
			if m, ok = m.mulAdd(16, d); !ok {
				return m, false
			}
			if point {
				exp -= 4
			}
		}
	}
	if !digits || !point && i == len(s) {
		return m, false
	}
	if i < len(s) {
		e, err := strconv.ParseInt(s[i+1:], 10, 32)
		if err != nil || e > 1<<20 || e < -1<<20 {
			return m, false
		}
		exp += int(e)
	}
	if m.zero() {
		return f.assemble(neg, 0, m), true
	}
	// The value is m * 2^exp; bring the leading one to the place of the
	// fraction's hidden bit, or lower if the number is subnormal.
	n := m.len() - 1
	e := exp + n
	shift := f.frac - n
	biased := e + f.bias()
	if biased >= 1<<f.exp-1 {
		return m, false
	}
	if biased <= 0 {
		shift -= 1 - biased
		biased = 0
	}
	var frac uint128
	if shift >= 0 {
		frac = m.shl(shift)
	} else {
		frac = m.shr(-shift)
		if frac.shl(-shift) != m {
			return m, false
		}
	}
	if biased > 0 {
		hidden := uint128{0, 1}.shl(f.frac)
		frac.hi &^= hidden.hi
		frac.lo &^= hidden.lo
	}
	return f.assemble(neg, biased, frac), true
}

// appendFloat writes the bits of a number of type t so that parseFloat reads
// them again.
func appendFloat(out []byte, v uint128, t ir.Type) []byte {
	f := formatOf(t)
	if !v.shr(f.exp + f.frac).zero() {
		out = append(out, '-')
	}
	frac := v.shl(128 - f.frac).shr(128 - f.frac)
	exp := int(v.shr(f.frac).lo) & (1<<f.exp - 1)
	sign := len(out) > 0 && out[len(out)-1] == '-'
	switch {
	case exp == 1<<f.exp-1:
		if !sign {
			out = append(out, '+')
		}
		if frac.zero() {
			return append(out, "Inf"...)
		}
		quiet := uint128{0, 1}.shl(f.frac - 1)
		payload := uint128{frac.hi &^ quiet.hi, frac.lo &^ quiet.lo}
		if payload == frac {
			out = append(out, 's')
		}
		out = append(out, "NaN"...)
		if payload.zero() {
			return out
		}
		return appendHex(append(out, ":0x"...), payload, 1)
	case exp == 0 && frac.zero():
		return append(out, "0.0"...)
	}
	lead, e := byte('1'), exp-f.bias()
	if exp == 0 {
		lead, e = '0', 1-f.bias()
	}
	digits := (f.frac + 3) / 4
	out = append(out, '0', 'x', lead, '.')
	out = appendHex(out, frac.shl(4*digits-f.frac), digits)
	out = append(out, 'p')
	return strconv.AppendInt(out, int64(e), 10)
}

// appendHex writes v with at least n hexadecimal digits.
func appendHex(out []byte, v uint128, n int) []byte {
	n = max(n, (v.len()+3)/4)
	for i := n - 1; i >= 0; i-- {
		out = append(out, "0123456789abcdef"[v.shr(4*i).lo&15])
	}
	return out
}

// appendImm writes an integer: small and negative ones in decimal, others in
// hexadecimal with the digits in groups of four.
func appendImm(out []byte, v int64) []byte {
	if v < 10_000 {
		return strconv.AppendInt(out, v, 10)
	}
	return appendGroups(out, uint64(v))
}

func appendGroups(out []byte, v uint64) []byte {
	out = append(out, "0x"...)
	groups := max(1, (bits.Len64(v)+15)/16)
	for i := groups - 1; i >= 0; i-- {
		out = appendHex(out, uint128{0, v >> (16 * i) & 0xffff}, 4)
		if i > 0 {
			out = append(out, '_')
		}
	}
	return out
}

// appendOffset writes an offset after an address: nothing for zero.
func appendOffset(out []byte, v int64) []byte {
	if v == 0 {
		return out
	}
	mag := uint64(v)
	if v < 0 {
		out, mag = append(out, '-'), -mag
	} else {
		out = append(out, '+')
	}
	if mag < 10_000 {
		return strconv.AppendUint(out, mag, 10)
	}
	return appendGroups(out, mag)
}
