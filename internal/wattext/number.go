package wattext

import (
	"math"
	"strconv"
)

// Status says how reading a number went.
type Status uint8

// Outcomes of reading a number.
const (
	OK        Status = iota
	Malformed        // not a number of this kind
	Range            // a number that the type cannot hold
)

// ParseUint reads a natural number below 1<<bits.
func ParseUint(s []byte, bits int) (uint64, Status) {
	base := uint64(10)
	if len(s) > 2 && s[0] == '0' && s[1] == 'x' {
		base, s = 16, s[2:]
	}
	var v uint64
	overflow, underscore := false, true
	for _, c := range s {
		if c == '_' {
			if underscore {
				return 0, Malformed
			}
			underscore = true
			continue
		}
		underscore = false
		d := uint64(hexValue(c))
		if d >= base {
			return 0, Malformed
		}
		if v > (math.MaxUint64-d)/base {
			overflow = true
			continue // what follows must still be digits
		}
		v = v*base + d
	}
	switch {
	case underscore:
		return 0, Malformed
	case overflow || bits < 64 && v>>bits != 0:
		return 0, Range
	}
	return v, OK
}

// ParseInt reads an integer of so many bits, signed or unsigned, and returns
// its two's complement, extended with its sign if it was written with a minus.
func ParseInt(s []byte, bits int) (uint64, Status) {
	if len(s) > 0 && (s[0] == '+' || s[0] == '-') {
		v, st := ParseUint(s[1:], 64)
		if st == Malformed {
			return 0, st
		}
		limit := uint64(1) << (bits - 1)
		if s[0] == '+' {
			if st == Range || v >= limit { // a sign makes the number signed
				return 0, Range
			}
			return v, OK
		}
		if st == Range || v > limit {
			return 0, Range
		}
		return -v, OK
	}
	return ParseUint(s, bits)
}

// ParseFloat reads a number as f32 or f64 and returns its bits. Besides
// decimal and hexadecimal numbers there are inf, nan and nan:0xPAYLOAD.
func ParseFloat(s []byte, bits int) (uint64, Status) {
	exponent, mantissa := uint64(0x7ff)<<52, uint(52)
	if bits == 32 {
		exponent, mantissa = 0xff<<23, 23
	}
	var sign uint64
	digits := s
	if len(s) > 0 && (s[0] == '+' || s[0] == '-') {
		if s[0] == '-' {
			sign = 1 << (bits - 1)
		}
		digits = s[1:]
	}
	switch {
	case string(digits) == "inf":
		return sign | exponent, OK
	case string(digits) == "nan":
		return sign | exponent | 1<<(mantissa-1), OK
	case len(digits) > 6 && string(digits[:6]) == "nan:0x":
		v, st := ParseUint(digits[4:], 64)
		switch {
		case st == Malformed:
			return 0, Malformed
		case st == Range || v == 0 || v>>mantissa != 0:
			return 0, Range
		}
		return sign | exponent | v, OK
	}
	text, ok := goFloat(digits)
	if !ok {
		return 0, Malformed
	}
	v, err := strconv.ParseFloat(text, bits)
	switch {
	case err == nil:
	case math.IsInf(v, 0):
		return 0, Range
	default:
		return 0, Malformed
	}
	if bits == 32 {
		return sign | uint64(math.Float32bits(float32(v))), OK
	}
	return sign | math.Float64bits(v), OK
}

// goFloat checks a number without sign against the grammar of floats and
// rewrites it as strconv understands it: without underscores, and hexadecimal
// numbers with an exponent.
func goFloat(s []byte) (string, bool) {
	hex := len(s) > 2 && s[0] == '0' && s[1] == 'x'
	b := make([]byte, 0, 32)
	base, exp := byte(10), byte('e')
	if hex {
		b = append(b, "0x"...)
		s, base, exp = s[2:], 16, 'p'
	}
	i := 0
	run := func(base byte) bool { // one or more digits with single underscores between them
		start, underscore := i, true
		for ; i < len(s); i++ {
			if s[i] == '_' {
				if underscore {
					return false
				}
				underscore = true
				continue
			}
			if hexValue(s[i]) >= base {
				break
			}
			underscore = false
			b = append(b, s[i])
		}
		return i > start && !underscore
	}
	if !run(base) {
		return "", false
	}
	if i < len(s) && s[i] == '.' {
		b = append(b, '.')
		i++
		if i < len(s) && hexValue(s[i]) < base && !run(base) {
			return "", false
		}
	}
	if i < len(s) && s[i]|0x20 == exp {
		b = append(b, exp)
		i++
		if i < len(s) && (s[i] == '+' || s[i] == '-') {
			b = append(b, s[i])
			i++
		}
		if !run(10) {
			return "", false
		}
	} else if hex {
		b = append(b, 'p', '0')
	}
	return string(b), i == len(s)
}
