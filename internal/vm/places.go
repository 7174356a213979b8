package vm

import (
	"github.com/davit-wasm/davit/internal/coredump"
	"github.com/davit-wasm/davit/internal/debuginfo"
)

// Engine is the engine that m was loaded by.
func (m *Module) Engine() *Engine { return m.engine }

// Places are the places in source code that the instruction at an offset in the module's bytes
// comes from, as its debug information has it: see [debuginfo.Info.Places]. Debug information
// is read when it is first asked for, and kept.
func (m *Module) Places(offset int) []debuginfo.Place {
	m.debugOnce.Do(func() {
		m.debug = debuginfo.New(func(name string) []byte {
			for i := range m.Image.Module.Customs {
				if m.Image.Module.Customs[i].Name == name {
					data, _ := m.Custom(i)
					return data
				}
			}
			return nil
		}, m.engine.LoadSourceMap)
	})
	if offset < m.Image.Module.CodeOffset {
		return nil
	}
	return m.debug.Places(uint64(offset-m.Image.Module.CodeOffset), uint64(offset))
}

// CoreDump is the state of the store, with calls in progress. Frames whose instance is not known
// are of one more instance of their module, which has nothing. The dump refers to the store's
// memories.
func (s *Store) CoreDump(name string, frames []Frame) *coredump.Dump {
	d := &coredump.Dump{Name: name}
	modules, memories, globals, unknown := map[*Module]uint32{}, map[*Memory]uint32{}, map[*Global]uint32{}, map[*Module]uint32{}
	for _, in := range s.instances {
		module, ok := modules[in.module]
		if !ok {
			module = uint32(len(d.Modules))
			modules[in.module] = module
			d.Modules = append(d.Modules, in.module.Name())
		}
		x := coredump.Instance{Module: module}
		for _, m := range in.memories {
			i, ok := memories[m]
			if !ok {
				i = uint32(len(d.Memories))
				memories[m] = i
				t := m.Type()
				t.Min = m.Length() >> t.PageBits
				d.Memories = append(d.Memories, coredump.Memory{Type: t, Data: m.Bytes()})
			}
			x.Memories = append(x.Memories, i)
		}
		for _, g := range in.globals {
			i, ok := globals[g]
			if !ok {
				i = uint32(len(d.Globals))
				globals[g] = i
				v := g.Get()
				d.Globals = append(d.Globals, coredump.Global(g.typ.Type, v.Low, v.High))
			}
			x.Globals = append(x.Globals, i)
		}
		d.Instances = append(d.Instances, x)
	}
	t := coredump.Thread{Name: "main"}
	whose := whose{store: s}
	for i := range frames {
		f := &frames[i]
		in, ok := whose.instance(f.Call, f.Module)
		if !ok {
			continue // of another store
		}
		instance := uint32(0)
		if in != nil {
			instance = uint32(in.index)
		} else if instance, ok = unknown[f.Module]; !ok {
			instance = uint32(len(d.Instances))
			unknown[f.Module] = instance
			d.Instances = append(d.Instances, coredump.Instance{Module: modules[f.Module]})
		}
		x := coredump.Frame{Instance: instance, Func: f.Func, Locals: len(f.Module.FuncType(f.Func).Params)}
		img := f.Module.Image
		if k := int(f.Func) - img.Module.NumImportedFuncs; f.Offset >= 0 && k >= 0 && k < len(img.Bodies) {
			start := int(img.Bodies[k])
			if k < len(img.Module.Code) {
				c := &img.Module.Code[k]
				start = c.EntryOffset
				for _, g := range c.Locals {
					x.Locals += int(min(g.Count, maxDumpedLocals))
				}
			}
			x.Offset = uint32(max(0, f.Offset-start))
		}
		t.Frames = append(t.Frames, x)
	}
	d.Threads = []coredump.Thread{t}
	return d
}

// maxDumpedLocals bounds how many locals of a group a core dump lists as unknown.
const maxDumpedLocals = 1000
