package ir

import "strconv"

// Type is the type of a value: a scalar ("lane") type, or a vector of a power
// of two of them. Bits 0–3 hold the lane type, bits 4–7 the binary logarithm
// of the number of lanes, bit 8 is set for dynamic vectors, whose number of
// lanes is a multiple of that minimum.
type Type uint16

// Scalar types. Addresses are i64 (i32 on 32-bit targets).
const (
	Invalid Type = iota
	I8
	I16
	I32
	I64
	I128
	F16
	F32
	F64
	F128
)

const (
	laneMask    = 0xf
	dynamicFlag = 0x100
)

// Vector types that fill a 128-bit register.
const (
	I8X16 = I8 | 4<<4
	I16X8 = I16 | 3<<4
	I32X4 = I32 | 2<<4
	I64X2 = I64 | 1<<4
	F32X4 = F32 | 2<<4
	F64X2 = F64 | 1<<4
)

var laneBits = [16]uint16{I8: 8, I16: 16, I32: 32, I64: 64, I128: 128, F16: 16, F32: 32, F64: 64, F128: 128}
var laneNames = [16]string{Invalid: "invalid", I8: "i8", I16: "i16", I32: "i32", I64: "i64", I128: "i128", F16: "f16", F32: "f32", F64: "f64", F128: "f128"}

// IntType is the integer type of the given width, or Invalid.
func IntType(bits int) Type {
	switch bits {
	case 8:
		return I8
	case 16:
		return I16
	case 32:
		return I32
	case 64:
		return I64
	case 128:
		return I128
	}
	return Invalid
}

// Lane is the type of one lane; of a scalar, the type itself.
func (t Type) Lane() Type { return t & laneMask }

// Lanes is the number of lanes; 1 for a scalar, the minimum for a dynamic vector.
func (t Type) Lanes() int { return 1 << (t >> 4 & 0xf) }

// LaneBits is the width of one lane in bits.
func (t Type) LaneBits() int { return int(laneBits[t&laneMask]) }

// Bits is the width in bits; of a dynamic vector, the minimum.
func (t Type) Bits() int { return int(laneBits[t&laneMask]) << (t >> 4 & 0xf) }

// Bytes is the size in memory in bytes.
func (t Type) Bytes() int { return t.Bits() / 8 }

// IsVector reports whether t has more than one lane, or is dynamic.
func (t Type) IsVector() bool { return t&^laneMask != 0 }

// IsDynamic reports whether t is a dynamic vector type.
func (t Type) IsDynamic() bool { return t&dynamicFlag != 0 }

// IsInt reports whether t is a scalar integer type.
func (t Type) IsInt() bool { return t >= I8 && t <= I128 }

// IsFloat reports whether t is a scalar floating-point type.
func (t Type) IsFloat() bool { return t >= F16 && t <= F128 }

// IsIntLane reports whether the lanes of t are integers.
func (t Type) IsIntLane() bool { return t.Lane().IsInt() }

// IsFloatLane reports whether the lanes of t are floating-point numbers.
func (t Type) IsFloatLane() bool { return t.Lane().IsFloat() }

// Vector is the type of n lanes of scalar t; Invalid unless n is a power of
// two and the vector at most 2,048 bits wide.
func (t Type) Vector(n int) Type {
	if n <= 0 || n&(n-1) != 0 || t.IsVector() || t == Invalid || t.Bits()*n > 2048 {
		return Invalid
	}
	for n > 1 {
		n >>= 1
		t += 1 << 4
	}
	return t
}

// Dynamic is the dynamic vector type with t's lanes as the minimum.
func (t Type) Dynamic() Type { return t | dynamicFlag }

// WithLane is t with its lanes replaced by lane.
func (t Type) WithLane(lane Type) Type { return t&^laneMask | lane }

// AsInt is t with its lanes replaced by integers of the same width.
func (t Type) AsInt() Type { return t.WithLane(IntType(t.LaneBits())) }

// AsTruthy is the type of a comparison of values of type t: i8 for scalars, a
// vector of integers as wide as the lanes for vectors.
func (t Type) AsTruthy() Type {
	if !t.IsVector() {
		return I8
	}
	return t.AsInt()
}

// HalfWidth is t with lanes of half the width, or Invalid.
func (t Type) HalfWidth() Type {
	switch l := t.Lane(); l {
	case I16, I32, I64, I128, F32, F64, F128:
		return t.WithLane(l - 1)
	}
	return Invalid
}

// DoubleWidth is t with lanes of twice the width, or Invalid.
func (t Type) DoubleWidth() Type {
	switch l := t.Lane(); l {
	case I8, I16, I32, I64, F16, F32, F64:
		return t.WithLane(l + 1)
	}
	return Invalid
}

// HalfLanes is the vector with half as many lanes; a scalar if one is left.
func (t Type) HalfLanes() Type {
	if t>>4&0xf == 0 {
		return Invalid
	}
	return t - 1<<4
}

// DoubleLanes is the vector with twice as many lanes.
func (t Type) DoubleLanes() Type {
	if t.Bits()*2 > 2048 {
		return Invalid
	}
	return t + 1<<4
}

// Split is the vector of the same width with lanes of half the width.
func (t Type) Split() Type {
	h := t.HalfWidth()
	if h == Invalid {
		return Invalid
	}
	return h.DoubleLanes()
}

// Merge is the vector of the same width with lanes of twice the width.
func (t Type) Merge() Type {
	d := t.DoubleWidth()
	if d == Invalid || !t.IsVector() {
		return Invalid
	}
	return d.HalfLanes()
}

func (t Type) String() string {
	s := laneNames[t&laneMask]
	if t.IsVector() {
		s += "x" + strconv.Itoa(t.Lanes())
	}
	if t.IsDynamic() {
		s += "xN"
	}
	return s
}

// ParseType reads a type as String writes it.
func ParseType(s string) (Type, bool) {
	dyn := Type(0)
	if n := len(s); n > 2 && s[n-2:] == "xN" {
		dyn, s = dynamicFlag, s[:n-2]
	}
	for l := I8; l <= F128; l++ {
		nm := laneNames[l]
		if s == nm {
			return l | dyn, true
		}
		if len(s) > len(nm)+1 && s[:len(nm)] == nm && s[len(nm)] == 'x' {
			n, err := strconv.ParseUint(s[len(nm)+1:], 10, 16)
			if err != nil || s[len(nm)+1] == '0' {
				return Invalid, false
			}
			v := l.Vector(int(n))
			return v | dyn, v != Invalid && n > 1
		}
	}
	return Invalid, false
}
