// Package jit compiles functions in CLIF into the memory of this process, links
// them with each other, with data and with Go functions, and calls them from Go.
//
//	m, err := jit.NewHost(jit.Config{}) // or New, for a target made with package isa
//	defer m.Close()
//	id, err := m.Define(f)   // compiles; any number of functions, in any order
//	err = m.Finalize()       // links what was defined since the last time
//	add, err := jit.Func2[int64, int64, int64](m, id)
//	sum, err := add(ctx, 2, 40)
//
// Declarations, linkage and data are those of package module, whose interface
// [Module] implements; what that finalizes into an object file runs here as it
// is, except for thread-local data.
//
// # Calls
//
// Compiled code runs on native stacks, entered through trampolines that are
// compiled here too, one for each signature. [Func0] to [Func6] make typed Go
// functions of compiled ones; [Module.Call] takes arguments in a buffer. Neither
// allocates. Go functions get names by [Host0] to [Host6], or by
// [Module.DefineHost], and compiled code calls them by these names. No Go function runs on top of a native frame: code
// that calls one leaves the native stack for as long. So a Go function may
// block, grow its stack, panic, end its goroutine, or call compiled code again, and
// neither the collector nor the scheduler waits for compiled code, which can be
// stopped at any instruction.
//
// Pointers can be passed as [unsafe.Pointer]. What they point to is kept alive
// during the call. Compiled code must not keep them longer, and must not store
// pointers to the Go heap anywhere.
//
// # Replacing and freeing
//
// Calls of a function that was declared replaceable ([Module.Replaceable],
// [Config.Replaceable]) go through a jump by way of a cell. [Module.Replace]
// compiles another definition, and the next [Module.Finalize] changes the cell:
// code that runs in the old definition goes on there, every call from then on is
// one of the new. [Module.Free] takes definitions away that no other code refers
// to. Memory of old code is given back when all calls from Go that began before
// have ended, and everything that was finalized together with it is old too:
// a function that is finalized alone is freed alone.
//
// # Protection
//
// No memory is writable and executable at once. Code is written through another
// address than the one it runs at; constants are read-only once linked.
//
// # Debuggers and profilers
//
// [Config.PerfMap] names functions for perf. [Config.Debugger] registers code with
// gdb and lldb by their interface for compilers in the process, which needs two symbols in the
// executable; they are Go symbols here, so that `go build -ldflags=-s` removes
// them, and build tag davit_nodebugger leaves them out for programs that link a C
// library that has them too. See [Config] for lines.
//
// Where [Supported] returns an error, code can be compiled but not called.
package jit
