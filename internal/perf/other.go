//go:build !linux

package perf

import "errors"

var errNoPerf = errors.New("perf is a profiler of Linux")

// Map is the map of symbols of the process.
type Map struct{}

// OpenMap fails: there is no perf.
func OpenMap() (*Map, error) { return nil, errNoPerf }

// Add does nothing.
func (m *Map) Add([]Symbol) error { return nil }

// Dump is a dump of code.
type Dump struct{}

// OpenDump fails: there is no perf.
func OpenDump(string) (*Dump, error) { return nil, errNoPerf }

// Add does nothing.
func (d *Dump) Add([]Symbol) error { return nil }
