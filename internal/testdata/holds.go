package testdata

import (
	"bytes"
	"os"
	"runtime"
	"testing"
)

// Held is what a process holds of the system.
type Held struct {
	Mappings, Descriptors, Goroutines int
	Resident                          int // bytes
}

// Holds is what this process holds after two collections: the first one runs
// cleanups, the second frees what they held. It skips t on systems without /proc.
func Holds(t testing.TB) Held {
	t.Helper()
	runtime.GC()
	runtime.GC()
	maps, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		t.Skip("needs /proc: ", err)
	}
	fds, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	statm, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		t.Fatal(err)
	}
	pages := 0
	for _, c := range bytes.Fields(statm)[1] {
		pages = 10*pages + int(c-'0')
	}
	return Held{bytes.Count(maps, []byte("\n")), len(fds), runtime.NumGoroutine(), pages * os.Getpagesize()}
}
