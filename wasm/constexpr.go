package wasm

import "encoding/binary"

// Integer is the value of an expression that is a single constant i32, zero-extended, or i64; ok
// is false for others.
func (x ConstExpr) Integer() (v uint64, ok bool) {
	var r InstrReader
	var in Instr
	r.Reset(x.Code, x.Offset, &Config{Features: FeaturesAll})
	if more, err := r.Next(&in); err != nil || !more {
		return 0, false
	}
	switch in.Op {
	case OpI32Const:
		v = uint64(uint32(in.Imm))
	case OpI64Const:
		v = in.Imm
	default:
		return 0, false
	}
	more, err := r.Next(&in)
	return v, err == nil && more && in.Op == OpEnd
}

// ConstOf is the expression for a number or vector of type t with these bits, of which high are
// those of vectors beyond the 64th; of a reference type it is null, whatever they are.
func ConstOf(t ValType, low, high uint64) ConstExpr {
	var b []byte
	switch t {
	case I32:
		b = AppendS32(AppendOpcode(nil, OpI32Const), int32(low))
	case I64:
		b = AppendS64(AppendOpcode(nil, OpI64Const), int64(low))
	case F32:
		b = binary.LittleEndian.AppendUint32(AppendOpcode(nil, OpF32Const), uint32(low))
	case F64:
		b = binary.LittleEndian.AppendUint64(AppendOpcode(nil, OpF64Const), low)
	case V128:
		b = binary.LittleEndian.AppendUint64(AppendOpcode(nil, OpV128Const), low)
		b = binary.LittleEndian.AppendUint64(b, high)
	default:
		b = AppendHeapType(AppendOpcode(nil, OpRefNull), t.Heap())
	}
	return ConstExpr{Code: append(b, byte(OpEnd))}
}
