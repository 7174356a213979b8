// Package jit compiles functions in CLIF into the memory of this process, links
// them with each other and with Go functions, and calls them from Go.
//
//	m := jit.New(target)
//	defer m.Close()
//	id, err := m.Define(f)         // compiles; any number of functions, in any order
//	err = m.Finalize()             // links what was defined since the last time
//	err = m.Call(ctx, id, buffer)  // arguments in, results out
//
// Compiled code runs on native stacks, entered through trampolines that are
// compiled here too. Where [Supported] returns an error, code can be compiled
// but not called.
package jit

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/davit-wasm/davit/codegen"
	"github.com/davit-wasm/davit/codegen/frontend"
	"github.com/davit-wasm/davit/codegen/ir"
	"github.com/davit-wasm/davit/codegen/isa"
	"github.com/davit-wasm/davit/internal/native"
)

// FuncID is a function of a [Module].
type FuncID uint32

// ErrUndefined is wrapped by the error of [Module.Finalize] for a name that is
// used but not defined.
var ErrUndefined = errors.New("undefined symbol")

// Supported returns an error if compiled code cannot run in this process.
func Supported() error { return native.Supported() }

// Module is a set of functions that know each other by name. Defining and
// finalizing belong to one goroutine at a time; calls can come from any, once
// the function is finalized.
type Module struct {
	target  *isa.TargetISA
	ctx     codegen.Context
	builder frontend.Builder

	funcs   []function
	names   map[ir.Name]FuncID
	symbols map[ir.Name]uintptr
	hosts   []host
	// Entry trampolines by signature.
	entries map[string]int // index into trampolines
	tramps  []trampoline
	pending []blob // compiled since the last Finalize
	codes   []*native.Code
	closed  bool
}

// function is what is known of a FuncID.
type function struct {
	name    ir.Name
	sig     ir.Signature
	addr    uintptr // 0 until finalized
	size    uint32
	entry   int // trampoline, or -1 if the signature has none
	defined bool

	exceptions exceptionTable
}

type trampoline struct {
	addr  uintptr
	entry native.Entry
}

// blob is compiled code that has no place yet.
type blob struct {
	fn     FuncID // or noFunc
	tramp  int    // trampoline, or -1
	text   []byte
	align  uint32
	relocs []codegen.Reloc
	traps  []codegen.Trap
	at     int
}

const noFunc = FuncID(ir.None)

// New makes an empty module for a target, which should be this machine.
func New(target *isa.TargetISA) *Module {
	return &Module{target: target, names: map[ir.Name]FuncID{}, symbols: map[ir.Name]uintptr{}, entries: map[string]int{}}
}

// Options are those of [Module.DefineWith].
type Options = codegen.Options

// Define compiles f under its name. The passes change f, which the module does
// not keep. It is an error to define a name twice.
func (m *Module) Define(f *ir.Function) (FuncID, error) { return m.DefineWith(f, Options{}) }

// DefineWith is Define with options for the compiler.
func (m *Module) DefineWith(f *ir.Function, o Options) (FuncID, error) {
	name, sig := f.Name, f.Sig
	if id, ok := m.names[name]; ok && m.funcs[id].defined {
		return 0, fmt.Errorf("jit: %v is defined twice", name)
	}
	code, err := m.ctx.Compile(f, m.target, o)
	if err != nil {
		return 0, err
	}
	id := m.declare(name)
	fn := &m.funcs[id]
	fn.sig, fn.defined, fn.exceptions = cloneSignature(sig), true, exceptions(code)
	if m.pend(code, id, -1); sig.CallConv != ir.Go {
		if fn.entry, err = m.entry(&fn.sig); err != nil {
			return 0, err
		}
	}
	return id, nil
}

func (m *Module) declare(name ir.Name) FuncID {
	id, ok := m.names[name]
	if !ok {
		id = FuncID(len(m.funcs))
		m.funcs = append(m.funcs, function{name: name, entry: -1})
		m.names[name] = id
	}
	return id
}

// DefineSymbol gives an address outside the module a name, for symbol_value,
// func_addr and calls.
func (m *Module) DefineSymbol(name ir.Name, addr uintptr) { m.symbols[name] = addr }

// Lookup finds a function by its name.
func (m *Module) Lookup(name ir.Name) (FuncID, bool) {
	id, ok := m.names[name]
	return id, ok && m.funcs[id].defined
}

// Address is where a finalized function begins; 0 before that.
func (m *Module) Address(id FuncID) uintptr { return m.funcs[id].addr }

// Size is the size of a finalized function's code and constants in bytes.
func (m *Module) Size(id FuncID) int { return int(m.funcs[id].size) }

// Undefined lists the names that are used by what the next Finalize links, and
// that nothing defines, in the order of their first use.
func (m *Module) Undefined() (names []ir.Name) {
	for i := range m.pending {
		for _, r := range m.pending[i].relocs {
			id, ok := m.names[r.Name]
			_, symbol := m.symbols[r.Name]
			if !symbol && !(ok && m.funcs[id].defined) && !slices.Contains(names, r.Name) {
				names = append(names, r.Name)
			}
		}
	}
	return names
}

// pend keeps a copy of code until Finalize.
func (m *Module) pend(code *codegen.CompiledCode, fn FuncID, tramp int) {
	m.pending = append(m.pending, blob{
		fn: fn, tramp: tramp, text: slices.Clone(code.Text), align: max(code.Alignment, 16),
		relocs: slices.Clone(code.Relocs), traps: slices.Clone(code.Traps),
	})
}

// Finalize gives everything that was defined since the last time its place,
// links it, and makes it callable.
func (m *Module) Finalize() error {
	if len(m.pending) == 0 {
		return nil
	}
	// Text first, then cells that hold addresses for the relocations that want one.
	size := 0
	for i := range m.pending {
		b := &m.pending[i]
		size = (size + int(b.align) - 1) &^ (int(b.align) - 1)
		b.at = size
		size += len(b.text)
	}
	cells := map[ir.Name]int{}
	size = (size + 7) &^ 7
	for i := range m.pending {
		for _, r := range m.pending[i].relocs {
			if _, ok := cells[r.Name]; r.Kind == codegen.RelocGOTPCRel32 && !ok {
				cells[r.Name] = size
				size += 8
			}
		}
	}
	code, err := native.NewCode(size)
	if err != nil {
		return err
	}
	if err := m.link(code, cells); err != nil {
		code.Release()
		return err
	}
	m.codes = append(m.codes, code)
	for i := range m.pending {
		b := &m.pending[i]
		addr := code.Base() + uintptr(b.at)
		if b.fn != noFunc {
			m.funcs[b.fn].addr, m.funcs[b.fn].size = addr, uint32(len(b.text))
		}
		if b.tramp >= 0 {
			m.tramps[b.tramp] = trampoline{addr, native.Func[native.Entry](addr)}
		}
	}
	m.pending = m.pending[:0]
	return nil
}

// link writes the pending code and its relocations, and publishes it.
func (m *Module) link(code *native.Code, cells map[ir.Name]int) error {
	base := code.Base()
	places := map[ir.Name]uintptr{}
	for i := range m.pending {
		if b := &m.pending[i]; b.fn != noFunc {
			places[m.funcs[b.fn].name] = base + uintptr(b.at)
		}
	}
	address := func(n ir.Name) (uintptr, error) {
		if a, ok := places[n]; ok {
			return a, nil
		}
		if id, ok := m.names[n]; ok && m.funcs[id].addr != 0 {
			return m.funcs[id].addr, nil
		}
		if a, ok := m.symbols[n]; ok {
			return a, nil
		}
		return 0, fmt.Errorf("jit: %v: %w", n, ErrUndefined)
	}
	out := code.Writable()
	for n, at := range cells {
		a, err := address(n)
		if err != nil {
			return err
		}
		binary.LittleEndian.PutUint64(out[at:], uint64(a))
	}
	var tables native.Tables
	for i := range m.pending {
		b := &m.pending[i]
		copy(out[b.at:], b.text)
		for _, r := range b.relocs {
			s, err := address(r.Name)
			if err != nil {
				return err
			}
			at := b.at + int(r.Offset)
			place := int64(base) + int64(at)
			v := int64(s) + r.Addend
			switch r.Kind {
			case codegen.RelocAbs64:
				binary.LittleEndian.PutUint64(out[at:], uint64(v))
				continue
			case codegen.RelocAbs32:
				if uint64(v) > math.MaxUint32 {
					return fmt.Errorf("jit: the address of %v does not fit 32 bits", r.Name)
				}
				binary.LittleEndian.PutUint32(out[at:], uint32(v))
				continue
			case codegen.RelocGOTPCRel32:
				v = int64(base) + int64(cells[r.Name]) + r.Addend
			}
			if v -= place; v != int64(int32(v)) {
				return fmt.Errorf("jit: %v is out of reach of relocation %v", r.Name, r.Kind)
			}
			binary.LittleEndian.PutUint32(out[at:], uint32(v))
		}
		for _, t := range b.traps {
			off := uint32(b.at) + t.Offset
			if n := len(tables.Traps); n > 0 && tables.Traps[n-1].Offset == off {
				continue
			}
			tables.Traps = append(tables.Traps, native.TrapSite{Offset: off, Code: uint16(t.Code), Null: t.Code == ir.TrapHeapOutOfBounds})
		}
		if b.tramp < 0 && (b.fn == noFunc || m.funcs[b.fn].sig.CallConv != ir.Go) {
			tables.Bodies = append(tables.Bodies, native.Range{Start: uint32(b.at), End: uint32(b.at + len(b.text))})
		}
	}
	return code.Publish(tables)
}

// Close frees the module's code. Nothing of it may run or be called any more.
func (m *Module) Close() {
	if m.closed {
		return
	}
	m.closed = true
	for _, c := range m.codes {
		c.Release()
	}
}

func cloneSignature(s ir.Signature) ir.Signature {
	return ir.Signature{Params: slices.Clone(s.Params), Returns: slices.Clone(s.Returns), CallConv: s.CallConv}
}

// Signature is the signature of a defined function, not to be changed.
func (m *Module) Signature(id FuncID) *ir.Signature { return &m.funcs[id].sig }
