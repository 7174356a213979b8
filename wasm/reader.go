package wasm

import (
	"encoding/binary"
	"unicode/utf8"
)

// reader reads the primitives of the binary format. Its error is sticky: after
// the first one it is at its end and yields zeros, so that callers check once
// in a while, and always before they trust a count.
type reader struct {
	b    []byte
	pos  int
	base int // offset of b[0] in the module
	err  *Error
}

const (
	msgEnd      = "unexpected end of section or function"
	msgLong     = "integer representation too long"
	msgLarge    = "integer too large"
	msgLength   = "length out of bounds"
	msgSizeDiff = "section size mismatch"
)

// offset is the position in the module.
func (r *reader) offset() int { return r.base + r.pos }

func (r *reader) left() int { return len(r.b) - r.pos }

func (r *reader) fail(kind ErrorKind, offset int, format string, args ...any) {
	if r.err == nil {
		r.err = errorf(kind, offset, format, args...)
	}
	r.pos = len(r.b)
}

func (r *reader) byte() byte {
	if r.pos >= len(r.b) {
		r.fail(Malformed, r.offset(), msgEnd)
		return 0
	}
	c := r.b[r.pos]
	r.pos++
	return c
}

func (r *reader) bytes(n int) []byte {
	if n > r.left() {
		r.fail(Malformed, r.offset(), msgEnd)
		return nil
	}
	b := r.b[r.pos : r.pos+n : r.pos+n]
	r.pos += n
	return b
}

func (r *reader) u32() uint32 {
	if r.pos < len(r.b) && r.b[r.pos] < 0x80 {
		r.pos++
		return uint32(r.b[r.pos-1])
	}
	return uint32(r.uleb(32))
}

func (r *reader) u64() uint64 { return r.uleb(64) }

func (r *reader) uleb(bits uint) uint64 {
	start := r.offset()
	var v uint64
	for shift := uint(0); ; shift += 7 {
		if r.pos >= len(r.b) {
			r.fail(Malformed, r.offset(), msgEnd)
			return 0
		}
		c := r.b[r.pos]
		r.pos++
		if shift+7 > bits { // the last byte that may be
			if c&0x80 != 0 {
				r.fail(Malformed, start, msgLong)
				return 0
			}
			if c>>(bits-shift) != 0 {
				r.fail(Malformed, start, msgLarge)
				return 0
			}
		}
		v |= uint64(c&0x7f) << shift
		if c < 0x80 {
			return v
		}
	}
}

func (r *reader) s32() int32 {
	if r.pos < len(r.b) && r.b[r.pos] < 0x80 {
		r.pos++
		return int32(int8(r.b[r.pos-1]<<1) >> 1)
	}
	return int32(r.sleb(32))
}

func (r *reader) s33() int64 { return r.sleb(33) }
func (r *reader) s64() int64 { return r.sleb(64) }

func (r *reader) sleb(bits uint) int64 {
	start := r.offset()
	var v int64
	for shift := uint(0); ; shift += 7 {
		if r.pos >= len(r.b) {
			r.fail(Malformed, r.offset(), msgEnd)
			return 0
		}
		c := r.b[r.pos]
		r.pos++
		if shift+7 > bits {
			if c&0x80 != 0 {
				r.fail(Malformed, start, msgLong)
				return 0
			}
			// What lies above the sign must repeat it.
			if top := int8(c<<1) >> 1 >> (bits - shift - 1); top != 0 && top != -1 {
				r.fail(Malformed, start, msgLarge)
				return 0
			}
		}
		v |= int64(c&0x7f) << shift
		if c < 0x80 {
			if s := shift + 7; s < 64 && c&0x40 != 0 {
				v |= -1 << s
			}
			return v
		}
	}
}

func (r *reader) f32() uint32 {
	if b := r.bytes(4); b != nil {
		return binary.LittleEndian.Uint32(b)
	}
	return 0
}

func (r *reader) f64() uint64 {
	if b := r.bytes(8); b != nil {
		return binary.LittleEndian.Uint64(b)
	}
	return 0
}

// count reads the length of a vector whose elements take at least one byte
// each, so that a claimed length never makes us allocate more than in
// proportion to what is there.
func (r *reader) count(limit int, what string) int {
	start := r.offset()
	n := r.u32()
	if r.err != nil {
		return 0
	}
	if int64(n) > int64(limit) {
		r.fail(LimitExceeded, start, "too many %s: %d, the limit is %d", what, n, limit)
		return 0
	}
	if int64(n) > int64(r.left()) {
		r.fail(Malformed, start, msgEnd)
		return 0
	}
	return int(n)
}

func (r *reader) name() string {
	start := r.offset()
	n := r.u32()
	if r.err != nil {
		return ""
	}
	if int64(n) > int64(r.left()) {
		r.fail(Malformed, start, msgLength)
		return ""
	}
	b := r.bytes(int(n))
	if !utf8.Valid(b) {
		r.fail(Malformed, start, "malformed UTF-8 encoding")
		return ""
	}
	return string(b)
}

// abstractHeap reports whether c is the code of an abstract heap type.
func abstractHeap(c byte) bool { return c >= 0x69 && c <= 0x74 }

func (r *reader) heapType() HeapType {
	start := r.offset()
	if r.pos < len(r.b) && abstractHeap(r.b[r.pos]) {
		r.pos++
		return heapAbstract | HeapType(r.b[r.pos-1])
	}
	v := r.s33()
	switch {
	case r.err != nil:
		return 0
	case v < 0:
		r.fail(Malformed, start, "malformed heap type")
		return 0
	case v >= 1<<23: // beyond any limit; a valid module cannot mean it
		r.fail(Invalid, start, "unknown type %d", v)
		return 0
	}
	return HeapType(v)
}

// valType reads a value type. If it is none, what says which kind of type the
// error is about.
func (r *reader) valType(what string) ValType {
	start := r.offset()
	c := r.byte()
	switch {
	case c >= byte(V128) && c <= byte(I32):
		return ValType(c)
	case c == refNullCode || c == refCode:
		return Ref(c == refNullCode, r.heapType())
	case abstractHeap(c):
		return Ref(true, heapAbstract|HeapType(c))
	}
	r.fail(Malformed, start, "malformed %s type", what)
	return 0
}
