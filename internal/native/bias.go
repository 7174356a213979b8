package native

import (
	"sync/atomic"
	"unsafe"

	"github.com/davit-wasm/davit/internal/layout"
)

// What a lock needs that one goroutine takes again and again: to know which
// goroutine runs, and a fence that costs only the one who asks for it.
//
// A goroutine that has such a lock to itself announces itself by a plain store
// and then looks whether anyone has objected by a plain load. Alone that would
// be no exclusion, for the processor may do the load first. But who objects
// makes every thread execute a fence after objecting: a goroutine whose load
// came too early has its store visible by then, and one that stores later sees
// the objection.

// CanBias reports whether [Goroutine] and [FenceAll] can be used. It is false
// where native code is not supported.
func CanBias() bool { return Supported() == nil && process.bias }

// Goroutine identifies the running goroutine. When one has ended, another may
// get its number.
func Goroutine() uintptr { return process.goroutine() }

// Lease is the right of a goroutine to such a lock.
type Lease struct {
	Owner   atomic.Uintptr // 0 until it is first used
	Revoked atomic.Uint32  // 1: by who has objected
	Busy    uint32         // 1: the owner has the lock; written by the owner only
}

const (
	_ = uint(unsafe.Offsetof(Lease{}.Revoked)-layout.LeaseRevoked) + uint(layout.LeaseRevoked-unsafe.Offsetof(Lease{}.Revoked))
	_ = uint(unsafe.Offsetof(Lease{}.Busy)-layout.LeaseBusy) + uint(layout.LeaseBusy-unsafe.Offsetof(Lease{}.Busy))
)

// Claim makes a lease busy. It fails if the lease is another goroutine's, is busy,
// or is revoked, perhaps just then: whoever has revoked it may have seen it busy.
func Claim(l *Lease) bool { return process.claim(l) }

// FenceAll makes all threads of the process execute a full memory fence before
// it returns. It costs microseconds.
func FenceAll() { fenceAll() }
