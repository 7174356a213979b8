package wast

import "github.com/davit-wasm/davit/wasm"

// matchResults reports whether values are as a script expects.
func matchResults(want []Result, got []Value) bool {
	if len(want) != len(got) {
		return false
	}
	for i := range want {
		if !want[i].match(got[i]) {
			return false
		}
	}
	return true
}

// match reports whether v is as r says.
func (r *Result) match(v Value) bool {
	if r.Kind == ResultEither {
		for i := range r.Alternatives {
			if r.Alternatives[i].match(v) {
				return true
			}
		}
		return false
	}
	if r.Value.Type != 0 && !r.Value.Type.IsRef() && r.Value.Type != v.Type {
		return false
	}
	switch r.Kind {
	case ResultExact:
		if r.Value.Type.IsRef() {
			return v.Type.IsRef() && v.Ref == r.Value.Ref && v.Lo == r.Value.Lo
		}
		return v.Lo == r.Value.Lo && v.Hi == r.Value.Hi
	case ResultNaNCanonical, ResultNaNArithmetic:
		bits := 32
		if v.Type == wasm.F64 {
			bits = 64
		}
		return matchNaN(r.Kind, v.Lo, bits)
	case ResultVector:
		for i := range r.Lanes {
			lane, at := v.Lo, i*r.LaneBits
			if at >= 64 {
				lane, at = v.Hi, at-64
			}
			lane >>= at
			if r.LaneBits < 64 {
				lane &= 1<<r.LaneBits - 1
			}
			l := &r.Lanes[i]
			if l.Kind == ResultExact && lane != l.Value.Lo || l.Kind != ResultExact && !matchNaN(l.Kind, lane, r.LaneBits) {
				return false
			}
		}
		return true
	}
	if !v.Type.IsRef() {
		return false
	}
	switch r.Kind {
	case ResultRef:
		return v.Ref != RefNull
	case ResultRefNull:
		return v.Ref == RefNull && (r.Value.Type == 0 || sameHierarchy(r.Value.Type, v.Type))
	case ResultRefKind:
		return v.Ref == r.Value.Ref
	case ResultRefAny:
		return v.Ref == RefHost || v.Ref == RefI31 || v.Ref == RefStruct || v.Ref == RefArray
	}
	return v.Ref == RefI31 || v.Ref == RefStruct || v.Ref == RefArray // ResultRefEq
}

// matchNaN reports whether the bits of a float are a NaN of kind k.
func matchNaN(k ResultKind, bits uint64, size int) bool {
	quiet, sign := uint64(0x7fc0_0000), uint64(1)<<31
	if size == 64 {
		quiet, sign = 0x7ff8_0000_0000_0000, 1<<63
	}
	if k == ResultNaNCanonical {
		return bits&^sign == quiet
	}
	return bits&quiet == quiet
}

// sameHierarchy reports whether null references of types a and b can be the
// same value. Types of a module, which a script cannot name, fit all.
func sameHierarchy(a, b wasm.ValType) bool {
	x, y := a.Heap(), b.Heap()
	return x.IsIndex() || y.IsIndex() || hierarchy(x) == hierarchy(y)
}

// hierarchy is the top type above h.
func hierarchy(h wasm.HeapType) wasm.HeapType {
	switch h {
	case wasm.HeapFunc, wasm.HeapNoFunc:
		return wasm.HeapFunc
	case wasm.HeapExtern, wasm.HeapNoExtern:
		return wasm.HeapExtern
	case wasm.HeapExn, wasm.HeapNoExn:
		return wasm.HeapExn
	}
	return wasm.HeapAny
}
