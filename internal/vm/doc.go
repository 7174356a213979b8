// Package vm is the runtime of compiled modules: it loads images, builds
// instances, links them, runs their functions and tells what went wrong.
//
// # Where things live
//
// Whatever compiled code touches lies in memory mapped for the purpose, laid
// out by package layout: instance contexts, function records, tables and host
// function contexts in the arena of their store, linear memories in mappings of
// their own. The Go objects of this package ([Instance], [Memory], …) describe
// these and hold no state that compiled code could change behind their back;
// what both sides change (a memory's length) is in mapped memory only.
// Compiled code knows Go objects by index: a host function, an external
// reference, an instance.
//
// # Ownership and concurrency
//
// An [Engine] and the [Module]s loaded into it may be shared by goroutines. A
// [Store] and everything in it is used by one goroutine at a time, which package
// davit sees to; a host function may use the store that called it, on any
// goroutine as long as it waits for that one. Everything in a store lives until
// [Store.Close].
//
// # References
//
// A function reference is the address of a function record, an external
// reference one more than an index into the store's list of host values; 0 is
// null.
package vm
