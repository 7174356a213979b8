package jit

import (
	"fmt"
	"os"
	"strings"
	"sync"

	"github.com/davit-wasm/davit/codegen/module"
)

// perfMaps are written one at a time.
var perfMaps sync.Mutex

// perfMapFile is the file where perf looks for the names of code in the memory
// of a process.
func perfMapFile() string { return fmt.Sprintf("/tmp/perf-%d.map", os.Getpid()) }

// perfMap appends the batch's functions: start and size in hexadecimal digits,
// and the name. A file that cannot be written is no reason to fail: it only
// serves a profiler. Nothing is ever taken out of such a file.
func (b *batch) perfMap() {
	if b.code == nil {
		return
	}
	var text strings.Builder
	for i := range b.funcs {
		f := &b.funcs[i]
		fmt.Fprintf(&text, "%x %x %s\n", b.code.Base()+uintptr(f.start), f.end-f.start, module.SymbolName(f.name))
	}
	perfMaps.Lock()
	defer perfMaps.Unlock()
	file, err := os.OpenFile(perfMapFile(), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return
	}
	defer file.Close()
	_, _ = file.WriteString(text.String())
}
