package native

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

// FenceAll makes all threads of the process execute a full memory fence before
// it returns. It costs microseconds.
func FenceAll() { fenceAll() }
