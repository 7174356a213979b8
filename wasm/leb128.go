package wasm

// AppendU32 appends v as unsigned LEB128.
func AppendU32(b []byte, v uint32) []byte { return AppendU64(b, uint64(v)) }

// AppendU64 appends v as unsigned LEB128.
func AppendU64(b []byte, v uint64) []byte {
	for v >= 0x80 {
		b = append(b, byte(v)|0x80)
		v >>= 7
	}
	return append(b, byte(v))
}

// AppendS32 appends v as signed LEB128.
func AppendS32(b []byte, v int32) []byte { return AppendS64(b, int64(v)) }

// AppendS64 appends v as signed LEB128.
func AppendS64(b []byte, v int64) []byte {
	for {
		c := byte(v) & 0x7f
		v >>= 7
		if v == 0 && c&0x40 == 0 || v == -1 && c&0x40 != 0 {
			return append(b, c)
		}
		b = append(b, c|0x80)
	}
}

// AppendName appends a string with its length.
func AppendName(b []byte, s string) []byte {
	return append(AppendU32(b, uint32(len(s))), s...)
}

// AppendHeapType appends the encoding of h.
func AppendHeapType(b []byte, h HeapType) []byte {
	if h.IsIndex() {
		return AppendS64(b, int64(h.Index()))
	}
	return append(b, h.Code())
}

// AppendValType appends the encoding of a value or storage type, in its
// shortest form.
func AppendValType(b []byte, t ValType) []byte {
	if !t.IsRef() {
		return append(b, byte(t))
	}
	if h := t.Heap(); t.Nullable() && !h.IsIndex() {
		return append(b, h.Code())
	}
	return AppendHeapType(append(b, byte(t)), t.Heap())
}
