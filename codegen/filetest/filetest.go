// Package filetest runs .clif test files: functions in CLIF with comments that
// say what must come out when they are run, interpreted, compiled, printed or
// verified. `davit clif test` is its command.
package filetest

import "github.com/davit-wasm/davit/codegen/internal/filetest"

// Options says how files are run. The zero value runs all commands.
type Options = filetest.Options

// Counts are numbers of checks.
type Counts = filetest.Counts

// Result is what came out of a file: counts, and what the failures are.
type Result = filetest.Result

// File runs a test file in this process. A file that cannot be read is an
// error, one that cannot be parsed a failure in the Result.
//
// A compiled function that accesses memory which it should not can end the
// process; callers that want to survive that run files in a process of their
// own.
func File(path string, o Options) (Result, error) { return filetest.File(path, o) }
