// Package codegen compiles functions in CLIF ([ir.Function]) to machine code.
//
//	var ctx codegen.Context
//	code, err := ctx.Compile(f, target, codegen.Options{})
//
// A [Context] is used for function after function and then allocates nothing.
// The passes a function goes through are listed in passes.go.
package codegen
