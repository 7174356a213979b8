package davit

import (
	"fmt"
	"math"
	"strconv"
)

// Value is a WebAssembly value with its type. The zero Value is no value.
type Value struct {
	typ       ValType
	low, high uint64
	ref       any // *Func, or the Go value of an external reference
}

// ValueI32 is an i32; the type is neither signed nor unsigned.
func ValueI32(v int32) Value { return Value{typ: I32, low: uint64(uint32(v))} }

// ValueI64 is an i64; the type is neither signed nor unsigned.
func ValueI64(v int64) Value { return Value{typ: I64, low: uint64(v)} }

// ValueF32 is an f32. The bits of a NaN may change on the way through a Go
// float; use [ValueF32Bits] where they matter.
func ValueF32(v float32) Value { return Value{typ: F32, low: uint64(math.Float32bits(v))} }

// ValueF64 is an f64.
func ValueF64(v float64) Value { return Value{typ: F64, low: math.Float64bits(v)} }

// ValueF32Bits is the f32 with the given bits.
func ValueF32Bits(v uint32) Value { return Value{typ: F32, low: uint64(v)} }

// ValueF64Bits is the f64 with the given bits.
func ValueF64Bits(v uint64) Value { return Value{typ: F64, low: v} }

// ValueV128 is a v128 with the given halves, byte 0 being the lowest of low.
func ValueV128(low, high uint64) Value { return Value{typ: V128, low: low, high: high} }

// ValueFunc is a funcref: a function, or null if f is nil.
func ValueFunc(f *Func) Value {
	v := Value{typ: FuncRef}
	if f != nil {
		v.ref = f
	}
	return v
}

// ValueExtern is an externref that holds x: null if x is nil. Modules can keep
// it and hand it back, nothing else. It stays reachable until its store is
// closed.
func ValueExtern(x any) Value { return Value{typ: ExternRef, ref: x} }

// ValueNull is the null reference of type t.
func ValueNull(t ValType) Value { return Value{typ: t} }

// Type is the type of v.
func (v Value) Type() ValType { return v.typ }

// I32 is the value of an i32.
func (v Value) I32() int32 { v.check(I32); return int32(v.low) }

// U32 is the value of an i32, taken as unsigned.
func (v Value) U32() uint32 { v.check(I32); return uint32(v.low) }

// I64 is the value of an i64.
func (v Value) I64() int64 { v.check(I64); return int64(v.low) }

// U64 is the value of an i64, taken as unsigned.
func (v Value) U64() uint64 { v.check(I64); return v.low }

// F32 is the value of an f32.
func (v Value) F32() float32 { v.check(F32); return math.Float32frombits(uint32(v.low)) }

// F64 is the value of an f64.
func (v Value) F64() float64 { v.check(F64); return math.Float64frombits(v.low) }

// V128 is the value of a v128.
func (v Value) V128() (low, high uint64) { v.check(V128); return v.low, v.high }

// Bits are the bits of a number, extended with zeros.
func (v Value) Bits() uint64 {
	if !v.typ.IsNum() {
		panic("davit: Bits of a Value of type " + v.typ.String())
	}
	return v.low
}

// IsNull reports whether v is a null reference.
func (v Value) IsNull() bool { return v.typ.IsRef() && v.ref == nil }

// Func is the function that a funcref refers to, or nil if it is null.
func (v Value) Func() *Func {
	if !v.typ.IsRef() {
		panic("davit: Func of a Value of type " + v.typ.String())
	}
	f, _ := v.ref.(*Func)
	return f
}

// Extern is the Go value that an externref holds, or nil if it is null.
func (v Value) Extern() any {
	if !v.typ.IsRef() {
		panic("davit: Extern of a Value of type " + v.typ.String())
	}
	return v.ref
}

// check panics if v is not of type t: asking for another type is a mistake in
// the program, not in its data.
func (v Value) check(t ValType) {
	if v.typ != t {
		panic("davit: " + t.String() + " of a Value of type " + v.typ.String())
	}
}

// String formats v for humans: numbers in decimal.
func (v Value) String() string {
	switch v.typ {
	case 0:
		return "no value"
	case I32:
		return strconv.FormatInt(int64(int32(v.low)), 10)
	case I64:
		return strconv.FormatInt(int64(v.low), 10)
	case F32:
		return strconv.FormatFloat(float64(math.Float32frombits(uint32(v.low))), 'g', -1, 32)
	case F64:
		return strconv.FormatFloat(math.Float64frombits(v.low), 'g', -1, 64)
	case V128:
		return fmt.Sprintf("0x%016x%016x", v.high, v.low)
	}
	if v.ref == nil {
		return "null"
	}
	if _, ok := v.ref.(*Func); ok {
		return "func"
	}
	return fmt.Sprint(v.ref)
}
