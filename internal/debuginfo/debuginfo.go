// Package debuginfo finds the places in source code that instructions of a module
// come from: by DWARF in custom sections, or by a source map.
//
// Nothing is read before the first question, and then only what it needs: an index of
// compilation units by addresses, and of each unit that an address lies in its lines and
// functions. Debug information comes with the module, so that it may be damaged or made
// to confuse: then there is no answer.
package debuginfo

import (
	"sync"
)

// Place is a place in source code.
type Place struct {
	Func   string // function that has been inlined there, as the compiler names it; "" of the outermost
	File   string
	Line   int // from 1; 0 if it is not known
	Column int // from 1; 0 if it is not known
}

// Info answers questions about one module. It may be used by many goroutines.
type Info struct {
	sections func(name string) []byte
	// LoadMap reads a source map that the module refers to by a URL; nil, or an error:
	// there is none. Maps in data URLs are read without it.
	loadMap func(url string) ([]byte, error)

	mu     sync.Mutex
	ready  bool
	dwarf  *dwarfInfo
	source *sourceMap
}

// New is the debug information in a module's custom sections, which sections finds by
// name; it is nil for those that the module does not have. loadMap may be nil.
func New(sections func(name string) []byte, loadMap func(url string) ([]byte, error)) *Info {
	return &Info{sections: sections, loadMap: loadMap}
}

// Places are the places that the instruction at an offset in the module's code section
// comes from, innermost first: the last one is in the function that the instruction is
// in, those before it are in functions that the compiler has inlined there. There are none
// if nothing is known.
//
// fileOffset is the instruction's offset in the bytes of the module, by which source maps go.
func (i *Info) Places(codeOffset, fileOffset uint64) []Place {
	i.mu.Lock()
	defer i.mu.Unlock()
	if !i.ready {
		i.ready = true
		i.dwarf = openDwarf(i.sections)
		if i.dwarf == nil {
			i.source = i.openMap()
		}
	}
	switch {
	case i.dwarf != nil:
		return i.dwarf.places(codeOffset)
	case i.source != nil:
		return i.source.places(fileOffset)
	}
	return nil
}
