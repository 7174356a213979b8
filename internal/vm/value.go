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
