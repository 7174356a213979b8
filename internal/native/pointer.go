package native

import (
	"math/bits"
	"sync/atomic"
	"unsafe"
)

// Addresses of memory outside the Go heap are kept as uintptr and turned into
// pointers here only, when they are used. The memory meant must be mapped then.

func pointer(addr uintptr) unsafe.Pointer { return unsafe.Add(unsafe.Pointer(nil), addr) }

// bytesAt is not inlined because Go 1.26's compiler fails on a copy of constant
// size to an address that it knows to come from an integer.
//
//go:noinline
func bytesAt(addr uintptr, n int) []byte { return unsafe.Slice((*byte)(pointer(addr)), n) }

func uint32sAt(addr uintptr, n int) []uint32 { return unsafe.Slice((*uint32)(pointer(addr)), n) }

// uint32sAddr is the address of a slice outside the Go heap.
func uint32sAddr(s []uint32) uintptr { return uintptr(unsafe.Pointer(unsafe.SliceData(s))) }

func wordAt(addr uintptr) *uintptr { return (*uintptr)(pointer(addr)) }

func load(addr uintptr) uintptr     { return atomic.LoadUintptr(wordAt(addr)) }
func store(addr uintptr, v uintptr) { atomic.StoreUintptr(wordAt(addr), v) }

// Func returns the code at addr as a Go function of type F, which must be a
// func type. What that code may do and must keep is Go's internal calling
// convention, which [Supported] has verified.
func Func[F any](addr uintptr) F {
	fv := &addr
	return *(*F)(unsafe.Pointer(&fv))
}

// bitmap is a set of units of the address space, which signal handlers read.
type bitmap struct {
	words    uintptr // address of its words
	unitLog2 uint
}

// set adds or removes the units that begin in [from, to).
func (b bitmap) set(from, to uintptr, on bool) {
	first, last := from>>b.unitLog2, (to-1)>>b.unitLog2
	for i := first; i <= last; {
		word := b.words + i>>6<<3
		n := min(64-i&63, last-i+1)
		mask := ^uintptr(0) >> (bits.UintSize - n) << (i & 63)
		if mask == ^uintptr(0) {
			// The word is the caller's alone. Between this store and the first use of what
			// it says, or the last, there is a system call or a lock.
			if on {
				*wordAt(word) = mask
			} else {
				*wordAt(word) = 0
			}
		} else if on {
			atomic.OrUintptr(wordAt(word), mask)
		} else {
			atomic.AndUintptr(wordAt(word), ^mask)
		}
		i += n
	}
}
