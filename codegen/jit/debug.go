package jit

import (
	"sync"
	"unsafe"

	"github.com/davit-wasm/davit/codegen/internal/dwarf"
	"github.com/davit-wasm/davit/codegen/internal/objfile"
	"github.com/davit-wasm/davit/codegen/internal/unwind"
	"github.com/davit-wasm/davit/codegen/module"
)

// Debuggers learn of code in memory by an interface that gdb has defined ("JIT
// Compilation Interface" in its manual) and lldb follows: a variable, known by
// its symbol, is the head of a list of ELF images, and a function, known by its
// symbol, is called whenever that list changes; the debugger has a breakpoint
// there. Both symbols are in debugger_symbols.go.
//
// The images describe the code where it is: symbols, .debug_frame, and lines if
// the user has told what they are. They, and the list, are Go objects that the
// variable keeps alive; the collector does not move them.

// debugEntry is a node of the list, as the debugger reads it.
type debugEntry struct {
	next, prev *debugEntry
	image      unsafe.Pointer
	size       uint64
}

// debugDescriptor is the head of the list.
type debugDescriptor struct {
	version  uint32
	action   uint32
	relevant *debugEntry
	first    *debugEntry
}

// Actions.
const (
	debugNoAction = iota
	debugRegister
	debugUnregister
)

var debugMutex sync.Mutex

// debugImage is the image of a batch.
type debugImage struct {
	entry debugEntry
	data  []byte
}

// debugImage makes and registers the image of a batch, whose functions blobs
// describe further.
func (m *Module) debugImage(b *batch, blobs []*blob) *debugImage {
	if b.code == nil {
		return nil
	}
	base := b.code.Base()
	order := objfile.ByteOrder(m.target.Triple.Arch)
	f := objfile.File{Arch: m.target.Triple.Arch, Sections: []objfile.Section{
		{Kind: objfile.Text, Align: 16, Addr: uint64(base), Size: uint64(b.code.Len())},
	}}
	frames := unwind.Frames{Form: unwind.Debug}
	unit := dwarf.Unit{Name: m.cfg.Name, Dir: m.cfg.Dir, Producer: "davit", Size: uint64(b.code.Len())}
	for i, x := range blobs {
		p := &b.funcs[i]
		addr := uint64(base) + uint64(p.start)
		external := x.id == noID || m.table.At(x.id).Linkage != module.Local
		binding := objfile.Local
		if external {
			binding = objfile.Global
		}
		name := module.SymbolName(p.name)
		f.Symbols = append(f.Symbols, objfile.Symbol{Name: name, Kind: objfile.Func, Binding: binding, Section: 0, Value: addr, Size: uint64(p.code)})
		frames.Add(uint64(p.code), x.frames)
		order.PutUint64(frames.Data[frames.Starts[len(frames.Starts)-1]:], addr)
		unit.Funcs = append(unit.Funcs, dwarf.Func{Name: name, External: external, Offset: uint64(p.start), Size: uint64(p.code), Lines: x.lines})
	}
	f.Sections = append(f.Sections, objfile.Section{Kind: objfile.DebugFrame, Align: 8, Data: frames.Data})
	if m.cfg.Lines != nil {
		s := dwarf.Write(&unit, order)
		for _, d := range [...]struct {
			kind objfile.SectionKind
			s    *dwarf.Section
		}{{objfile.DebugAbbrev, &s.Abbrev}, {objfile.DebugLine, &s.Line}, {objfile.DebugInfo, &s.Info}} {
			for _, x := range d.s.Fixups {
				if x.Kind == dwarf.TextAddress { // offsets in sections are 0
					order.PutUint64(d.s.Data[x.Offset:], uint64(base)+x.Addend)
				}
			}
			f.Sections = append(f.Sections, objfile.Section{Kind: d.kind, Data: d.s.Data})
		}
	}
	data, err := f.Image()
	if err != nil {
		return nil // a name that symbols cannot have; debuggers do without
	}
	d := &debugImage{data: data}
	d.entry.image, d.entry.size = unsafe.Pointer(unsafe.SliceData(data)), uint64(len(data))
	d.register()
	return d
}

func (d *debugImage) register() {
	debugMutex.Lock()
	defer debugMutex.Unlock()
	e := &d.entry
	if e.next = debugList.first; e.next != nil {
		e.next.prev = e
	}
	debugList.first = e
	announce(e, debugRegister)
}

// unregister takes the image off the list. d may be nil.
func (d *debugImage) unregister() {
	if d == nil {
		return
	}
	debugMutex.Lock()
	defer debugMutex.Unlock()
	e := &d.entry
	if e.prev != nil {
		e.prev.next = e.next
	} else {
		debugList.first = e.next
	}
	if e.next != nil {
		e.next.prev = e.prev
	}
	announce(e, debugUnregister)
}

func announce(e *debugEntry, action uint32) {
	debugList.relevant, debugList.action = e, action
	debugChanged()
	debugList.relevant, debugList.action = nil, debugNoAction
}
