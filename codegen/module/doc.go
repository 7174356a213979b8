// Package module is what a program in this process ([jit]) and an object file
// ([object]) have in common: functions and data objects that know each other by
// name, are declared, defined, and linked.
//
//	id, err := m.DeclareFunc(name, module.Export, sig) // may be left out
//	id, err = m.Define(f)                              // compiles f, whose name is in f.Name
//	data, err := m.DeclareData(table, module.Local, module.DataAttr{})
//	err = m.DefineData(data, &module.Data{Bytes: …})
//	err = m.Finalize()
//
// A [Module] is implemented by jit.Module and object.Module, and code that makes
// functions should ask for this interface, so that both can be had.
//
// # Names and linkage
//
// Functions and data share one space of names. What a function refers to, by
// its external functions and its symbols, need not be declared: it then counts
// as imported. A declaration can be repeated. Declaring an imported name with
// another linkage makes the module define it; any other change of linkage, a
// change of the signature, or of what kind of thing the name stands for, is an
// error that wraps [ErrConflict]. A second definition wraps [ErrDefined]. What is
// declared with a linkage other than [Import], and is not defined when the module
// is finalized, is an error that wraps [ErrUndefined].
//
// This package stands below jit and object rather than in package codegen because
// a compiled function knows nothing of its neighbours: the back end needs no
// names but to pass them on.
//
// [jit]: https://pkg.go.dev/github.com/davit-wasm/davit/codegen/jit
// [object]: https://pkg.go.dev/github.com/davit-wasm/davit/codegen/object
package module
