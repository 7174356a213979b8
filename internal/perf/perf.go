// Package perf tells Linux's profiler perf about code that is made at run time: by a
// map of symbols (tools/perf/Documentation/jit-interface.txt of the kernel), or by a
// dump of the code with its places in source code (jitdump-specification.txt there).
//
// Both are files of the process: there is one of each, whatever the number of
// engines, and it stays when the process ends, for perf to read. They are written by
// any number of goroutines.
package perf

import "strings"

// Symbol is a function in memory.
type Symbol struct {
	Name    string
	Address uint64
	Size    uint64
	Code    []byte // for dumps
	// Places are where in source code the instructions come from, by ascending
	// address: each holds up to the next.
	Places []Place
}

// Place is a place in source code.
type Place struct {
	Address uint64
	File    string
	Line    int
}

// oneLine is a name without what ends it in the files.
func oneLine(name string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' {
			return '?'
		}
		return r
	}, name)
}
