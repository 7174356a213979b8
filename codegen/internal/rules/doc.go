// Package rules compiles the rule language of davit's code generator to Go.
//
// Instruction selection and rewriting are written as rules, "this pattern becomes that expression", in files that people
// read and tools can prove. This package reads them, checks their types, reports rules that overlap or are never reached, and
// merges all rules of a term into one Go method that decides between them without trying one after the other. The generated
// Go is checked in beside the rules. docs/codegen/rules.md describes the language.
//
//   - sexpr.go reads the text,
//   - program.go collects declarations,
//   - match.go checks rules and reduces their patterns to numbered bindings and tests,
//   - overlap.go compares the rules of a term,
//   - generate.go writes the Go methods.
package rules
