// Package coredump writes the state of a store as a core dump, the format of WebAssembly's
// tool conventions for debuggers that look at what is left of a program:
// https://github.com/WebAssembly/tool-conventions/blob/main/Coredump.md
//
// A dump is a module that is not meant to be instantiated: memories and globals of all
// instances, and custom sections on modules, instances and the calls in progress. The values
// of locals and operands are not known, as compiled code keeps no record of them.
package coredump

import (
	"github.com/davit-wasm/davit/internal/segments"
	"github.com/davit-wasm/davit/wasm"
)

// Dump is a core dump.
type Dump struct {
	Name      string   // of the program
	Modules   []string // names of modules
	Instances []Instance
	Memories  []Memory
	Globals   []wasm.Global // their initializers are their values
	Threads   []Thread
}

// Instance is an instance: its module, memories and globals, as indexes in the dump.
type Instance struct {
	Module            uint32
	Memories, Globals []uint32
}

// Memory is a memory; its type's minimum must be its size.
type Memory struct {
	Type wasm.MemoryType
	Data []byte
}

// Thread is a list of calls in progress, innermost first.
type Thread struct {
	Name   string
	Frames []Frame
}

// Frame is a call in progress of a function of an instance.
type Frame struct {
	Instance uint32
	Func     uint32
	Offset   uint32 // of the instruction, from the beginning of the function's entry in the code section
	Locals   int    // number of locals, parameters included
}

// Global is a global with a value as bits; references are null.
func Global(t wasm.ValType, low, high uint64) wasm.Global {
	if t.IsRef() {
		t = wasm.ExternRef // types of modules mean nothing in a dump
	}
	return wasm.Global{Type: wasm.GlobalType{Type: t}, Init: wasm.ConstOf(t, low, high)}
}

// missing stands for a value that is not known.
const missing = 0x01

// Encode is the dump in the binary format.
func Encode(d *Dump) []byte {
	m := &wasm.Module{Globals: d.Globals}
	budget := segments.Max
	for i := range d.Memories {
		mem := &d.Memories[i]
		m.Memories = append(m.Memories, mem.Type)
		list := segments.Of(mem.Data, uint32(i), mem.Type.Is64, budget/(len(d.Memories)-i))
		budget = max(0, budget-len(list))
		m.Datas = append(m.Datas, list...)
	}
	custom := func(name string, data []byte) {
		m.Customs = append(m.Customs, wasm.Custom{Name: name, Data: data})
	}
	custom("core", wasm.AppendName([]byte{0}, d.Name))

	b := wasm.AppendU32(nil, uint32(len(d.Modules)))
	for _, name := range d.Modules {
		b = wasm.AppendName(append(b, 0), name)
	}
	custom("coremodules", b)

	b = wasm.AppendU32(nil, uint32(len(d.Instances)))
	for i := range d.Instances {
		in := &d.Instances[i]
		b = wasm.AppendU32(append(b, 0), in.Module)
		b = indexes(b, in.Memories)
		b = indexes(b, in.Globals)
	}
	custom("coreinstances", b)

	for i := range d.Threads {
		t := &d.Threads[i]
		b := wasm.AppendName([]byte{0}, t.Name)
		b = wasm.AppendU32(b, uint32(len(t.Frames)))
		for _, f := range t.Frames {
			b = append(b, 0)
			for _, v := range []uint32{f.Instance, f.Func, f.Offset, uint32(f.Locals)} {
				b = wasm.AppendU32(b, v)
			}
			for range f.Locals {
				b = append(b, missing)
			}
			b = wasm.AppendU32(b, 0) // operands
		}
		custom("corestack", b)
	}
	return wasm.Encode(m)
}

func indexes(b []byte, list []uint32) []byte {
	b = wasm.AppendU32(b, uint32(len(list)))
	for _, v := range list {
		b = wasm.AppendU32(b, v)
	}
	return b
}
