package vm

import (
	"unsafe"

	"github.com/davit-wasm/davit/internal/image"
	"github.com/davit-wasm/davit/wasm"
)

// Value is a WebAssembly value: numbers in the low bits (floats as their bits),
// references as package doc says. High is the upper half of a v128.
type Value struct{ Low, High uint64 }

// word is the 8-byte word at an address in mapped memory.
func word(p unsafe.Pointer, offset int32) *uint64 {
	return (*uint64)(unsafe.Add(p, offset))
}

// pointer turns an address that was read from mapped memory back into a
// pointer. Addresses of mapped memory are no Go pointers, so the collector does
// not mind either form.
func pointer(address uint64) unsafe.Pointer {
	return *(*unsafe.Pointer)(unsafe.Pointer(&address))
}

func address(p unsafe.Pointer) uint64 { return uint64(uintptr(p)) }

// bytesAt is n bytes of mapped memory.
func bytesAt(p unsafe.Pointer, n uint64) []byte {
	if n == 0 {
		return nil
	}
	return unsafe.Slice((*byte)(p), n)
}

// slots are the slot kinds of value types.
func slots(types []wasm.ValType) []image.Slot {
	s := make([]image.Slot, len(types))
	for i, t := range types {
		s[i] = image.SlotOf(t)
	}
	return s
}

// words is the number of 8-byte words that values of the given types take in
// a buffer.
func words(types []wasm.ValType) int {
	n := len(types)
	for _, t := range types {
		if t == wasm.V128 {
			n++
		}
	}
	return n
}

// PutValues writes values of the given types to a buffer.
func PutValues(buffer []uint64, types []wasm.ValType, values []Value) {
	i := 0
	for k, t := range types {
		buffer[i] = values[k].Low
		i++
		if t == wasm.V128 {
			buffer[i] = values[k].High
			i++
		}
	}
}

// TakeValues reads values of the given types from a buffer.
func TakeValues(buffer []uint64, types []wasm.ValType, values []Value) {
	i := 0
	for k, t := range types {
		v := Value{Low: buffer[i]}
		i++
		switch t {
		case wasm.I32, wasm.F32:
			v.Low &= 1<<32 - 1
		case wasm.V128:
			v.High = buffer[i]
			i++
		}
		values[k] = v
	}
}
