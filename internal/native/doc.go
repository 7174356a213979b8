// Package native is where Go meets native code: executable memory, native
// stacks, entering and leaving, traps, and yields. The runtime of WebAssembly
// instances and the JIT of the code generator both stand on it.
//
// # How native code is called
//
// A Go func value is a pointer to a word that holds a code address. [Func]
// makes such a value for an entry trampoline: generated code that takes its
// arguments as Go passes them, notes Go's stack pointer and g in the execution
// context, switches to a native [Stack] and runs there. When the entered
// function returns, the trampoline switches back and returns to its Go caller
// with the status layout.ExitDone.
//
// Native code never calls Go. When it needs a service of the Go side (a host
// function, growing a memory), it fills in the exit record of the execution
// context and calls the exit stub, which switches to Go's stack and returns to
// Go as if the trampoline had returned, with another status. The Go side does
// what was asked for and calls the resume stub, which continues the native
// code. So there is never a native frame below a Go frame, and Go's collector
// and its growing of stacks have nothing to know about. [Stack.Call] is the
// loop that does this.
//
// # Traps and yields
//
// A fault at a recorded trap site is a trap: the signal handler notes where, and
// makes the thread continue in the trap stub, which returns to Go with the
// status layout.ExitTrap. The frames of the native code are given up.
//
// Go asks a thread to yield by a signal. When that finds native code in a
// function body, the handler copies the kernel's signal frame to the native
// stack and the thread returns to Go with the status layout.ExitYield. The Go
// side lets others run, looks at deadlines, and resumes; the kernel restores
// the state from the copied frame. This costs native code nothing until it
// happens, and lets the collector stop the world however long native code runs.
//
// A CPU profile has signals of its own, which make native code yield in the same
// way: see [StartProfile].
//
// # Memory
//
// Nothing that native code reads or writes is in the Go heap, and no pointer to
// the Go heap is stored in memory that native code sees, save Go's g while
// native code runs. Code, stacks and the tables of the signal handlers are in
// address ranges that are reserved once and never given back, so that a stale
// address never means something else.
//
// Everything that depends on the operating system and the architecture is in
// files named for them. Where there is no support, [Supported] says so and
// every other function returns that error.
package native

//go:generate go run ../../codegen/internal/stubs -os linux -arch amd64 -o stubs_linux_amd64_gen.go
