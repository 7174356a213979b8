package artifact

import (
	"unsafe"

	"github.com/davit-wasm/davit/internal/image"
	"github.com/davit-wasm/davit/wasm"
)

// Records are used where they lie if this machine's memory has them as the file
// does: little-endian and aligned. Else they are copied. This file alone knows.

var littleEndian = func() bool {
	x := uint16(1)
	return *(*byte)(unsafe.Pointer(&x)) == 1
}()

// The records of the file are those of package image.
var (
	_ = [1]struct{}{}[unsafe.Sizeof(image.Function{})-16]
	_ = [1]struct{}{}[unsafe.Offsetof(image.Function{}.Size)-4]
	_ = [1]struct{}{}[unsafe.Offsetof(image.Function{}.Index)-8]
	_ = [1]struct{}{}[unsafe.Offsetof(image.Function{}.Kind)-12]
	_ = [1]struct{}{}[unsafe.Sizeof(image.Address{})-8]
	_ = [1]struct{}{}[unsafe.Offsetof(image.Address{}.Wasm)-4]
	_ = [1]struct{}{}[unsafe.Sizeof(image.Inlined{})-8]
	_ = [1]struct{}{}[unsafe.Offsetof(image.Inlined{}.Site)-4]
	_ = [1]struct{}{}[unsafe.Sizeof(image.InlineSite{})-12]
	_ = [1]struct{}{}[unsafe.Offsetof(image.InlineSite{}.Call)-4]
	_ = [1]struct{}{}[unsafe.Offsetof(image.InlineSite{}.Outer)-8]
	_ = [1]struct{}{}[unsafe.Sizeof(image.Unwind{})-8]
	_ = [1]struct{}{}[unsafe.Offsetof(image.Unwind{}.Frame)-4]
	_ = [1]struct{}{}[unsafe.Sizeof(wasm.Func{})-4]
)

// records are the records of size bytes that b holds; get reads one.
func records[T any](b []byte, size int, get func(b []byte) T) []T {
	n := len(b) / size
	if n == 0 {
		return nil
	}
	p := unsafe.Pointer(unsafe.SliceData(b))
	if littleEndian && uintptr(p)%4 == 0 {
		return unsafe.Slice((*T)(p), n)
	}
	list := make([]T, n)
	for i := range list {
		list[i] = get(b[i*size:])
	}
	return list
}

func uint32s(b []byte) []uint32 { return records(b, 4, le.Uint32) }

func funcs(b []byte) []wasm.Func {
	return records(b, 4, func(b []byte) wasm.Func { return wasm.Func{Type: le.Uint32(b)} })
}

func functions(b []byte) []image.Function {
	return records(b, 16, func(b []byte) image.Function {
		return image.Function{Offset: le.Uint32(b), Size: le.Uint32(b[4:]), Index: le.Uint32(b[8:]), Kind: image.FunctionKind(b[12])}
	})
}

func addresses(b []byte) []image.Address {
	return records(b, 8, func(b []byte) image.Address {
		return image.Address{Offset: le.Uint32(b), Wasm: le.Uint32(b[4:])}
	})
}

func inlined(b []byte) []image.Inlined {
	return records(b, 8, func(b []byte) image.Inlined {
		return image.Inlined{Offset: le.Uint32(b), Site: le.Uint32(b[4:])}
	})
}

func inlineSites(b []byte) []image.InlineSite {
	return records(b, 12, func(b []byte) image.InlineSite {
		return image.InlineSite{Func: le.Uint32(b), Call: le.Uint32(b[4:]), Outer: le.Uint32(b[8:])}
	})
}

func unwinds(b []byte) []image.Unwind {
	return records(b, 8, func(b []byte) image.Unwind {
		return image.Unwind{Offset: le.Uint32(b), Frame: image.FrameState(b[4])}
	})
}

// aligned is a copy of b whose records are aligned.
func aligned(b []byte) []byte {
	words := make([]uint64, (len(b)+7)/8)
	c := unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(words))), len(b))
	copy(c, b)
	return c
}
