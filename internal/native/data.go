package native

import (
	"fmt"

	"github.com/davit-wasm/davit/internal/layout"
)

// Data is memory in the address range of code that is never executable: for
// data that code reaches by displacements of 32 bits. It lies in granules that
// no code object has, so signal handlers never take it for code.
type Data struct {
	size, unit, n int
}

// mappingsPerData: before it, it, and behind it.
const mappingsPerData = 3

// NewData allocates size bytes of zeros, readable and writable.
func NewData(size int) (*Data, error) {
	if err := Supported(); err != nil {
		return nil, err
	}
	if size <= 0 || size > codeRange/2 {
		return nil, fmt.Errorf("native: %d bytes of data near code", size)
	}
	if err := takeMappings(mappingsPerData); err != nil {
		return nil, err
	}
	d := &Data{size: size, n: (size + 1<<layout.CodeGranuleLog2 - 1) >> layout.CodeGranuleLog2}
	var ok, reused bool
	if d.unit, reused, ok = takeUnits(&code.units, d.n); !ok {
		giveMappings(mappingsPerData)
		return nil, fmt.Errorf("native: no room for %d bytes of data in the range of code", size)
	}
	if err := protect(d.Base(), d.room(), protReadWrite); err != nil {
		d.Free()
		return nil, err
	}
	if reused {
		clear(d.Bytes()) // giving memory back may have failed
	}
	return d, nil
}

func (d *Data) room() uintptr { return uintptr(d.n) << layout.CodeGranuleLog2 }

// Base is the address of byte 0.
func (d *Data) Base() uintptr { return process.code.exec + uintptr(d.unit)<<layout.CodeGranuleLog2 }

// Bytes is the memory. It must not be used after [Data.Free].
func (d *Data) Bytes() []byte { return bytesAt(d.Base(), d.size) }

// Seal makes the memory read-only.
func (d *Data) Seal() error { return protect(d.Base(), d.room(), protRead) }

// Free gives the memory back. No code that knows its address may run any more.
func (d *Data) Free() {
	off := uintptr(d.unit) << layout.CodeGranuleLog2
	if process.code.unwritable(off, d.room()) == nil { // else the memory stays in use
		process.code.release(off, d.room())
		code.Lock()
		code.units.give(d.unit, d.n)
		code.Unlock()
	}
	giveMappings(mappingsPerData)
}

// StoreWord writes a word of memory that running native code may read at the
// same time.
func StoreWord(addr, v uintptr) { store(addr, v) }
