// Package davit runs WebAssembly in Go programs: modules are compiled to machine
// code by a compiler written in Go and run in the process, without cgo.
//
//	engine, err := davit.NewEngine(nil)
//	module, err := engine.Compile(ctx, wasmBytes)
//	store, err := davit.NewStore(engine, nil)
//	instance, err := davit.NewLinker(engine).Instantiate(ctx, store, module)
//	results, err := instance.Func("add").Call(ctx, davit.ValueI32(2), davit.ValueI32(3))
//
// An [Engine] holds the compiler's settings and the code of all modules. A
// [Module] is compiled once and instantiated as often as wanted, in any number
// of stores. A [Store] holds instances and everything that belongs to them;
// stores know nothing of each other. A [Linker] gives names to what modules
// import.
//
// # Concurrency
//
// Engines, modules and linkers may be used by any number of goroutines. A store
// runs one call at a time: a call into a store that is running waits for
// its turn, unless it comes from a host function of the running call, or from
// another goroutine with the context that the host function was given: then it
// nests.
//
// # Faults and interruption
//
// Whatever a module does, the Go program goes on: a fault is an error that
// holds a [*Trap], with the reason and where it happened. Calls end early
// when their context is cancelled or past its deadline, loops without any call
// included; the error then holds a Trap of code [TrapInterrupt] and the context's cause.
//
// # Memory
//
// Modules, stores and engines hold memory that Go's collector does not see.
// Close gives it back.
package davit
