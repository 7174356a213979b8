package perf

import (
	"fmt"
	"os"
	"strconv"
	"sync"

	"golang.org/x/sys/unix"
)

// Map is the map of symbols of the process.
type Map struct {
	mu   sync.Mutex
	made bool
}

var processMap Map

// MapName is the name of the map's file.
func MapName() string { return fmt.Sprintf("/tmp/perf-%d.map", os.Getpid()) }

// OpenMap makes the map of the process, unless it is there already.
func OpenMap() (*Map, error) {
	m := &processMap
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.made {
		return m, nil
	}
	f, err := create(MapName())
	if err != nil {
		return nil, fmt.Errorf("map for perf: %w", err)
	}
	m.made = true
	return m, f.Close()
}

// create makes a new file, in place of one that an earlier process of the same
// number has left. What is in a folder for all must not be somebody else's link.
func create(name string) (*os.File, error) {
	if err := os.Remove(name); err != nil && !os.IsNotExist(err) {
		return nil, err
	}
	return os.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
}

// Add adds symbols. Nothing is ever taken out: of code that lies where other code was,
// both names are there.
func (m *Map) Add(symbols []Symbol) error {
	var b []byte
	for _, s := range symbols {
		b = strconv.AppendUint(b, s.Address, 16)
		b = append(b, ' ')
		b = strconv.AppendUint(b, s.Size, 16)
		b = append(b, ' ')
		b = append(b, oneLine(s.Name)...)
		b = append(b, '\n')
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	f, err := os.OpenFile(MapName(), os.O_WRONLY|os.O_CREATE|os.O_APPEND|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return fmt.Errorf("map for perf: %w", err)
	}
	_, err = f.Write(b)
	if e := f.Close(); err == nil {
		err = e
	}
	if err != nil {
		return fmt.Errorf("map for perf: %w", err)
	}
	return nil
}
