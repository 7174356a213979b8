// Package davit runs WebAssembly in Go programs: modules are compiled to machine
// code by a compiler written in Go and run in the process, without cgo.
//
//	engine, err := davit.NewEngine(nil)
//	module, err := engine.Compile(ctx, wasmBytes)
//	store, err := davit.NewStore(engine, nil)
//	instance, err := davit.NewLinker(engine).Instantiate(ctx, store, module)
//	add, err := davit.Func2[int32, int32, int32](instance.Func("add"))
//	sum, err := add(ctx, 40, 2)
//
// An [Engine] holds the compiler's settings and the code of all modules. A
// [Module] is compiled once and instantiated as often as wanted, in any number
// of stores. A [Store] holds instances and everything that belongs to them;
// stores know nothing of each other. A [Linker] gives names to what modules
// import; [InstancePre] is a module with its imports looked up, for many
// instances.
//
// # Calls
//
// Functions with types known to the Go program are best called as plain Go
// functions: [Func2] and its like make them of a *[Func], and [HostFunc2] and its
// like make host functions of Go functions. [GoType] tells which Go types stand
// for which value types. [Func.Call] takes and gives [Value]s, for types that are
// known at run time only; [Func.CallRaw] and [HostFunc] pass bare words. None of
// these but Func.Call allocates.
//
// Calls nest: a host function may call back into the store.
//
// # Names that are not there
//
// [Instance.Func], [Instance.Memory] and so on give nil for an export that does
// not exist or is of another kind; functions that take what they give say so in
// their error. Where a zero value means something, there is a second result ok.
//
// # Concurrency
//
// Engines, modules, linkers and prepared instances may be used by any number of
// goroutines. A store runs one call at a time: a call into a store that is
// running waits for its turn, as long as its context lasts, unless it comes from a
// host function of the running call, or from another goroutine with the context
// that the host function was given: then it nests. Memories, tables and globals
// may be used between calls and in host functions, by one goroutine at a time;
// they do not wait.
//
// # Faults and interruption
//
// Whatever a module does, the Go program goes on: a fault is an error that
// holds a [*Trap], with the reason and where it happened; errors.Is finds the
// reason too, as [TrapCode]. Calls end early when their context is cancelled or
// past its deadline, loops without any call included; the error then holds a Trap
// of code [TrapInterrupt] and the context's cause. An error of a host function is
// the error of the call into the guest that led to it; its panic goes on in the
// Go function that called the guest, as a [*HostPanic] with the guest's
// backtrace. After any of these, the store can be used on.
//
// # Limits
//
// What a store may hold is limited by its [StoreConfig], with defaults; so is what
// a module may contain, by [Config]. Time is limited by contexts.
//
// # Memory
//
// Modules and stores hold memory that Go's collector does not see. Close gives it
// back at once. What is used after Close is an error, [ErrClosed], or empty, never
// a fault. What is forgotten without Close is freed some time after the collector
// has found it.
package davit
