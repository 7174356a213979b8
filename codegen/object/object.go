// Package object compiles functions in CLIF into object files: ELF, Mach-O or
// COFF, for a linker to make programs and libraries of.
//
//	m, err := object.New(target, object.Options{Name: "calc"})
//	id, err := m.Define(f)   // and so on: see package module
//	err = m.Finalize()
//	_, err = m.WriteTo(file)
//
// What is known of the functions goes into the file with them: unwind
// information (.eh_frame, or .pdata and .xdata on Windows), by which exceptions
// of other languages pass through, and, with [Options.Lines], the lines of the
// source that debuggers show.
//
// Code is compiled to be independent of its position, whatever the target's
// setting is_pic says, and reaches thread-local variables as the format has it,
// unless tls_model names another way. Symbols get their names from [module.SymbolName]; a C
// program calls %add as add. The same input gives the same bytes.
package object

import (
	"errors"
	"fmt"
	"io"
	"math"

	"github.com/davit-wasm/davit/codegen"
	"github.com/davit-wasm/davit/codegen/internal/dwarf"
	"github.com/davit-wasm/davit/codegen/internal/objfile"
	"github.com/davit-wasm/davit/codegen/internal/unwind"
	"github.com/davit-wasm/davit/codegen/ir"
	"github.com/davit-wasm/davit/codegen/isa"
	"github.com/davit-wasm/davit/codegen/module"
)

// Format is a format of object files.
type Format uint8

// Formats.
const (
	Native Format = iota // what the target's operating system uses; ELF if that is not known
	ELF
	MachO
	COFF
)

// ErrUnsupported is wrapped by the error for what a format or an architecture
// cannot express.
var ErrUnsupported = objfile.ErrUnsupported

// ErrFinalized is the error of definitions after [Module.Finalize].
var ErrFinalized = errors.New("object: the file is finished")

// Options are choices for one file. The zero value is useful.
type Options struct {
	Format Format
	// Symbol gives names their symbols, in place of [module.SymbolName].
	// On Mach-O an underscore comes before them.
	Symbol func(ir.Name) string
	// NoUnwind leaves out unwind information. The target's setting unwind_info
	// does the same.
	NoUnwind bool
	// Inline is [codegen.Options].Inline for definitions that come without one.
	Inline func(*codegen.InlineCall) *ir.Function
	// Lines says where in the source a location is, for debuggers. Line 0 stands
	// for nowhere. Paths are with slashes, and relative to Dir. No line table is
	// written if Lines is nil.
	Lines func(ir.SourceLoc) (file string, line, column int)
	// Name and Dir are the name of the source as a whole, and the directory it
	// was compiled in, for debuggers.
	Name, Dir string
}

// Module collects functions and data and makes an object file of them. It
// implements [module.Module].
type Module struct {
	target *isa.TargetISA
	opts   Options
	format objfile.Format
	ctx    codegen.Context
	table  module.Table

	parts  [objfile.PData + 1]part // sections by kind
	places []place                 // by ID
	funcs  []function              // in the order of their places
	file   []byte
}

var _ module.Module = (*Module)(nil)

// part is a section as it grows.
type part struct {
	align uint64
	data  []byte
	size  uint64 // of what has no contents
	refs  []ref
}

// ref is a relocation against a declaration.
type ref struct {
	off    uint64
	kind   objfile.RelocKind
	id     module.ID
	addend int64
}

type place struct {
	part      objfile.SectionKind
	off, size uint64
}

type function struct {
	id        module.ID
	off, size uint64 // in the text; size is that of the code, without constants
	hasFrame  bool
	program   []byte // call frame instructions, or Windows unwind codes
	lines     []dwarf.Line
}

// New makes an empty module for a target.
func New(target *isa.TargetISA, o Options) (*Module, error) {
	t := *target
	t.Shared.PIC = true
	m := &Module{target: &t, opts: o}
	switch {
	case o.Format == ELF:
	case o.Format == MachO, o.Format == Native && t.Triple.OS == "darwin":
		m.format = objfile.MachO
	case o.Format == COFF, o.Format == Native && t.Triple.OS == "windows":
		m.format = objfile.COFF
	case o.Format != Native:
		return nil, fmt.Errorf("object: format %d", o.Format)
	}
	if m.opts.Symbol == nil {
		m.opts.Symbol = module.SymbolName
	}
	if t.Shared.TLSModel == isa.TLSNone {
		t.Shared.TLSModel = [...]isa.TLSModel{objfile.ELF: isa.TLSElfGD, objfile.MachO: isa.TLSMachO, objfile.COFF: isa.TLSCOFF}[m.format]
	}
	m.opts.NoUnwind = o.NoUnwind || !t.Shared.UnwindInfo
	return m, nil
}

// Target implements [module.Module].
func (m *Module) Target() *isa.TargetISA { return m.target }

// DeclareFunc implements [module.Module].
func (m *Module) DeclareFunc(name ir.Name, l module.Linkage, s ir.Signature) (module.ID, error) {
	return m.table.DeclareFunc(name, l, s)
}

// DeclareData implements [module.Module].
func (m *Module) DeclareData(name ir.Name, l module.Linkage, a module.DataAttr) (module.ID, error) {
	return m.table.DeclareData(name, l, a)
}

// Lookup implements [module.Module].
func (m *Module) Lookup(name ir.Name) (module.ID, bool) { return m.table.Lookup(name) }

// Decl implements [module.Module].
func (m *Module) Decl(id module.ID) module.Decl { return m.table.Decl(id) }

// Define implements [module.Module].
func (m *Module) Define(f *ir.Function) (module.ID, error) {
	return m.DefineWith(f, codegen.Options{})
}

// DefineWith implements [module.Module].
func (m *Module) DefineWith(f *ir.Function, o codegen.Options) (module.ID, error) {
	if m.file != nil {
		return 0, ErrFinalized
	}
	id, err := m.table.BeginFunc(f)
	if err != nil {
		return 0, fmt.Errorf("object: %w", err)
	}
	if o.Inline == nil {
		o.Inline = m.opts.Inline
	}
	sig := f.Sig // as its callers know it
	code, err := m.ctx.Compile(f, m.target, o)
	if err != nil {
		return 0, err
	}
	if _, err := m.table.DeclareFunc(f.Name, module.Import, sig); err != nil {
		return 0, fmt.Errorf("object: %w", err)
	}
	return id, m.define(id, f, code)
}

// DefineCode implements [module.Module]. Code without Unwind rows gets no unwind
// information: exceptions cannot pass through it.
func (m *Module) DefineCode(id module.ID, code *codegen.CompiledCode) error {
	if m.file != nil {
		return ErrFinalized
	}
	if err := m.table.BeginCode(id); err != nil {
		return fmt.Errorf("object: %w", err)
	}
	return m.define(id, nil, code)
}

func (m *Module) define(id module.ID, f *ir.Function, code *codegen.CompiledCode) error {
	name := m.table.At(id).Name
	if err := m.checkRelocs(code); err != nil {
		return fmt.Errorf("object: function %v: %w", name, err)
	}
	if err := m.table.CheckUses(f, code); err != nil {
		return fmt.Errorf("object: function %v: %w", name, err)
	}
	fn := function{id: id, size: uint64(code.CodeSize)}
	if fn.size == 0 || fn.size > uint64(len(code.Text)) {
		fn.size = uint64(len(code.Text))
	}
	if !m.opts.NoUnwind && m.target.Triple.Arch == isa.X86_64 && len(code.Unwind) > 0 {
		fn.hasFrame = true
		if m.format == objfile.COFF {
			var err error
			if fn.program, err = unwind.Windows(nil, code); err != nil {
				return fmt.Errorf("object: function %v: %w", name, err)
			}
		} else {
			fn.program = unwind.Program(nil, code)
		}
	}
	if m.opts.Lines != nil {
		fn.lines = m.lines(code)
	}
	fill := byte(0)
	if m.target.Triple.Arch == isa.X86_64 {
		fill = 0xcc // breakpoints
	}
	fn.off = m.place(id, objfile.Text, code.Text, 0, max(uint64(code.Alignment), 16), fill)
	text := &m.parts[objfile.Text]
	for _, r := range code.Relocs {
		kind, _ := relocKind(r.Kind)
		target := m.table.Mention(r.Name)
		addend := r.Addend
		if kind == objfile.GOTPCRel32 && m.format == objfile.COFF {
			// There are no cells that linkers make; a cell of ours stands in.
			text.refs = append(text.refs, ref{fn.off + uint64(r.Offset), objfile.PCRel32, m.cell(target), addend})
			continue
		}
		text.refs = append(text.refs, ref{fn.off + uint64(r.Offset), kind, target, addend})
	}
	m.funcs = append(m.funcs, fn)
	m.table.SetDefined(id)
	return nil
}

// cell is a constant of this file that holds the address of what id names.
func (m *Module) cell(id module.ID) module.ID {
	name := ir.TestName(".refptr." + m.opts.Symbol(m.table.At(id).Name))
	if c, ok := m.table.Lookup(name); ok {
		return c
	}
	c, err := m.table.DeclareData(name, module.Local, module.DataAttr{})
	if err != nil {
		panic(fmt.Sprintf("object: cell %v: %v", name, err)) // the name is new
	}
	off := m.place(c, objfile.ReadOnlyReloc, make([]byte, 8), 0, 8, 0)
	p := &m.parts[objfile.ReadOnlyReloc]
	p.refs = append(p.refs, ref{off, objfile.Abs64, id, 0})
	m.table.SetDefined(c)
	return c
}

// relocKind is k as object files have it.
func relocKind(k codegen.RelocKind) (objfile.RelocKind, bool) {
	switch k {
	case codegen.RelocAbs64:
		return objfile.Abs64, true
	case codegen.RelocAbs32:
		return objfile.Abs32, true
	case codegen.RelocPCRel32:
		return objfile.PCRel32, true
	case codegen.RelocCall32:
		return objfile.Call32, true
	case codegen.RelocGOTPCRel32:
		return objfile.GOTPCRel32, true
	case codegen.RelocTLSGD32:
		return objfile.TLSGD32, true
	case codegen.RelocTLV32:
		return objfile.TLV32, true
	case codegen.RelocSecRel32:
		return objfile.SectionRel32, true
	}
	return 0, false
}

func (m *Module) checkRelocs(code *codegen.CompiledCode) error {
	if a := code.Alignment; a&(a-1) != 0 || a > module.MaxAlign {
		return fmt.Errorf("an alignment of %d", a)
	}
	if uint64(len(m.parts[objfile.Text].data))+uint64(len(code.Text)) > math.MaxInt32-module.MaxAlign {
		return fmt.Errorf("more than 2 GiB of code in a file: %w", ErrUnsupported)
	}
	for _, r := range code.Relocs {
		if _, ok := relocKind(r.Kind); !ok {
			return fmt.Errorf("relocation %v at %#x: %w", r.Kind, r.Offset, ErrUnsupported)
		}
		if n := uint64(len(code.Text)); uint64(r.Offset) > n || n-uint64(r.Offset) < uint64(r.Kind.Size()) {
			return fmt.Errorf("relocation %v of %v at %#x is outside of the %d bytes of code", r.Kind, r.Name, r.Offset, n)
		}
	}
	return nil
}

// lines is the line table of a function.
func (m *Module) lines(code *codegen.CompiledCode) []dwarf.Line {
	var out []dwarf.Line
	for _, s := range code.Sources {
		l := dwarf.Line{Offset: uint64(s.Offset)}
		if s.Loc != 0 {
			l.File, l.Line, l.Column = m.opts.Lines(s.Loc)
			l.Line, l.Column = max(l.Line, 0), max(l.Column, 0)
		}
		out = append(out, l)
	}
	return out
}

// DefineData implements [module.Module].
func (m *Module) DefineData(id module.ID, d *module.Data) error {
	if m.file != nil {
		return ErrFinalized
	}
	if err := m.table.BeginData(id); err != nil {
		return fmt.Errorf("object: %w", err)
	}
	decl := *m.table.At(id)
	if err := d.Check(); err != nil {
		return fmt.Errorf("object: %v: %w", decl.Name, err)
	}
	kind := objfile.ReadOnly
	zeros := len(d.Bytes) == 0 && len(d.Relocs) == 0
	switch {
	case decl.Data.TLS && zeros:
		kind = objfile.TLSBSS
	case decl.Data.TLS:
		kind = objfile.TLSData
	case decl.Data.Writable && zeros:
		kind = objfile.BSS
	case decl.Data.Writable:
		kind = objfile.Data
	case len(d.Relocs) > 0:
		kind = objfile.ReadOnlyReloc
	}
	off := m.place(id, kind, d.Bytes, d.Total(), d.Alignment(), 0)
	for _, r := range d.Relocs {
		m.parts[kind].refs = append(m.parts[kind].refs, ref{off + r.Offset, objfile.Abs64, m.table.Mention(r.Name), r.Addend})
	}
	m.table.SetDefined(id)
	return nil
}

// place appends contents to a section, or zeros up to size.
func (m *Module) place(id module.ID, kind objfile.SectionKind, data []byte, size, align uint64, fill byte) uint64 {
	p := &m.parts[kind]
	p.align = max(p.align, align)
	size = max(size, uint64(len(data)))
	at := p.size
	if kind == objfile.BSS || kind == objfile.TLSBSS {
		at = (at + align - 1) &^ (align - 1)
		p.size = at + size
	} else {
		at = (at + align - 1) &^ (align - 1)
		for uint64(len(p.data)) < at {
			p.data = append(p.data, fill)
		}
		p.data = append(p.data, data...)
		p.data = append(p.data, make([]byte, size-uint64(len(data)))...)
		p.size = uint64(len(p.data))
	}
	for int(id) >= len(m.places) {
		m.places = append(m.places, place{})
	}
	m.places[id] = place{kind, at, size}
	return at
}

// Bytes is the finished file, not to be changed; nil before [Module.Finalize].
func (m *Module) Bytes() []byte { return m.file }

// WriteTo writes the finished file.
func (m *Module) WriteTo(w io.Writer) (int64, error) {
	if m.file == nil {
		return 0, errors.New("object: the file is not finalized")
	}
	n, err := w.Write(m.file)
	return int64(n), err
}
