//go:build wasip1

// Command guest is a filter plugin: it turns texts around. Build it with
//
//	GOOS=wasip1 GOARCH=wasm go build -buildmode=c-shared -o plugin.wasm
package main

import (
	"slices"
	"unsafe"
)

func main() {} // not called: the module is a library

// in holds what the host wrote, out what it may read until the next call.
var in, out []byte

// result says where out is.
func result() uint64 {
	if len(out) == 0 {
		return 0
	}
	return uint64(uintptr(unsafe.Pointer(&out[0])))<<32 | uint64(len(out))
}

//go:wasmexport name
func name() uint64 {
	out = []byte("reverse")
	return result()
}

//go:wasmexport buffer
func buffer(size uint32) uint32 {
	if in = slices.Grow(in[:0], int(size)+1)[:size]; size == 0 {
		return 0
	}
	return uint32(uintptr(unsafe.Pointer(&in[0])))
}

//go:wasmexport apply
func apply(size uint32) uint64 {
	text := []rune(string(in[:size]))
	slices.Reverse(text)
	out = []byte(string(text))
	return result()
}
