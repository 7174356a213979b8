package module

import (
	"errors"
	"fmt"
	"slices"

	"github.com/davit-wasm/davit/codegen"
	"github.com/davit-wasm/davit/codegen/clif"
	"github.com/davit-wasm/davit/codegen/ir"
	"github.com/davit-wasm/davit/codegen/isa"
)

// ID is a function or a data object of a [Module], numbered from 0 in the order
// of first mention.
type ID uint32

// Errors of modules, wrapped by errors that name what they are about.
var (
	ErrConflict  = errors.New("conflicting declarations")
	ErrDefined   = errors.New("defined twice")
	ErrUndefined = errors.New("undefined symbol")
)

// Linkage says where a name is defined and who can see the definition.
type Linkage uint8

// Linkages.
const (
	Import      Linkage = iota // defined elsewhere
	Local                      // seen in this module only
	Hidden                     // seen by everything that is linked into the same executable or library
	Export                     // seen by all
	Preemptible                // likewise, and a definition elsewhere takes its place (a weak symbol)
)

var linkageNames = [...]string{"import", "local", "hidden", "export", "preemptible"}

func (l Linkage) String() string { return linkageNames[l] }

// Kind says what a name stands for.
type Kind uint8

// Kinds of declarations.
const (
	Unknown Kind = iota // only mentioned, by something that does not tell
	Func
	DataObject
)

var kindNames = [...]string{"symbol", "function", "data object"}

func (k Kind) String() string { return kindNames[k] }

// DataAttr is what users of a data object must know of it.
type DataAttr struct {
	Writable bool
	// TLS makes every thread have its own, initialized from the definition. Such
	// data are always writable. Only object files can hold them.
	TLS bool
}

// Decl is a declaration.
type Decl struct {
	Name    ir.Name
	Kind    Kind
	Linkage Linkage
	Defined bool
	HasSig  bool
	Sig     ir.Signature // of functions, with HasSig; not to be changed
	Data    DataAttr     // of data objects
}

// Data is the definition of a data object.
type Data struct {
	// Bytes is how the object begins. It is not kept.
	Bytes []byte
	// Size is the size of the object if it is larger than Bytes; the rest is
	// zeros, which take no room in an object file if there are no Bytes at all.
	Size uint64
	// Align is the alignment in bytes, a power of two; 0 stands for 8.
	Align uint64
	// Relocs are 64-bit fields that hold addresses.
	Relocs []DataReloc
}

// DataReloc says that a data object holds, from Offset on, the 64-bit address
// of what Name names, plus Addend.
type DataReloc struct {
	Offset uint64
	Name   ir.Name
	Addend int64
}

// MaxData is the largest size of a data object in bytes.
const MaxData = 1 << 30

// MaxAlign is the largest alignment of a data object.
const MaxAlign = 4096

// Total is the size of the object in bytes.
func (d *Data) Total() uint64 { return max(d.Size, uint64(len(d.Bytes))) }

// Alignment is Align, or what it stands for.
func (d *Data) Alignment() uint64 {
	if d.Align == 0 {
		return 8
	}
	return d.Align
}

// Check returns an error if d makes no sense. Implementations of
// [Module.DefineData] call it.
func (d *Data) Check() error {
	switch a := d.Alignment(); {
	case a&(a-1) != 0 || a > MaxAlign:
		return fmt.Errorf("an alignment of %d, which is no power of two up to %d", a, MaxAlign)
	case d.Total() > MaxData:
		return fmt.Errorf("%d bytes of data; at most %d are possible", d.Total(), MaxData)
	}
	for _, r := range d.Relocs {
		if r.Offset > d.Total() || d.Total()-r.Offset < 8 {
			return fmt.Errorf("the address of %v at offset %#x is outside of the %d bytes of data", r.Name, r.Offset, d.Total())
		}
	}
	return nil
}

// Module is a set of functions and data that is compiled for one target and
// linked together. All methods are for one goroutine at a time.
type Module interface {
	// Target is what code is compiled for.
	Target() *isa.TargetISA
	// DeclareFunc declares a function.
	DeclareFunc(ir.Name, Linkage, ir.Signature) (ID, error)
	// DeclareData declares a data object.
	DeclareData(ir.Name, Linkage, DataAttr) (ID, error)
	// Lookup finds what was declared, defined or mentioned under a name.
	Lookup(ir.Name) (ID, bool)
	// Decl is what is known of an ID that this module has returned.
	Decl(ID) Decl
	// Define compiles f and defines the function f.Name, which is exported if it
	// was not declared. The passes change f, which is not kept.
	Define(f *ir.Function) (ID, error)
	// DefineWith is Define with options for the compiler.
	DefineWith(f *ir.Function, o codegen.Options) (ID, error)
	// DefineCode defines a declared function by code that was compiled with
	// another Context, or made by other means: only Text is necessary. The code is
	// copied.
	DefineCode(ID, *codegen.CompiledCode) error
	// DefineData defines a declared data object.
	DefineData(ID, *Data) error
	// Finalize links everything that has been defined. After an error the module
	// is as it was before.
	Finalize() error
}

// Table holds the declarations of a module. It is for implementations of
// [Module]. The zero value is ready.
type Table struct {
	decls []Decl
	ids   map[ir.Name]ID
	open  int // declarations that need a definition and have none
}

// Len is the number of declarations.
func (t *Table) Len() int { return len(t.decls) }

// At is a declaration. It is good until the next one is added, and not to be
// changed.
func (t *Table) At(id ID) *Decl { return &t.decls[id] }

// Lookup implements [Module.Lookup].
func (t *Table) Lookup(name ir.Name) (ID, bool) {
	id, ok := t.ids[name]
	return id, ok
}

// Decl implements [Module.Decl].
func (t *Table) Decl(id ID) Decl { return t.decls[id] }

// Mention returns the ID of a name; a new one is an import of unknown kind.
func (t *Table) Mention(name ir.Name) ID {
	id, ok := t.ids[name]
	if !ok {
		if t.ids == nil {
			t.ids = map[ir.Name]ID{}
		}
		id = ID(len(t.decls))
		t.decls = append(t.decls, Decl{Name: name})
		t.ids[name] = id
	}
	return id
}

// DeclareFunc implements [Module.DeclareFunc].
func (t *Table) DeclareFunc(name ir.Name, l Linkage, s ir.Signature) (ID, error) {
	return t.declare(Decl{Name: name, Kind: Func, Linkage: l, HasSig: true, Sig: s})
}

// DeclareData implements [Module.DeclareData].
func (t *Table) DeclareData(name ir.Name, l Linkage, a DataAttr) (ID, error) {
	a.Writable = a.Writable || a.TLS
	return t.declare(Decl{Name: name, Kind: DataObject, Linkage: l, Data: a})
}

func (t *Table) declare(d Decl) (ID, error) {
	if int(d.Linkage) >= len(linkageNames) {
		return 0, fmt.Errorf("%v: linkage %d", d.Name, d.Linkage)
	}
	id := t.Mention(d.Name)
	if err := t.agree(id, &d); err != nil {
		return 0, err
	}
	old := &t.decls[id]
	if d.Linkage != Import && old.Linkage == Import {
		old.Linkage = d.Linkage
		t.open++
	}
	if d.HasSig && !old.HasSig {
		old.Sig, old.HasSig = CloneSignature(&d.Sig), true
	}
	old.Kind, old.Data = d.Kind, d.Data
	return id, nil
}

// agree returns an error if d contradicts what is known of an ID.
func (t *Table) agree(id ID, d *Decl) error {
	old := &t.decls[id]
	switch {
	case old.Kind != Unknown && old.Kind != d.Kind:
		return fmt.Errorf("%v: a %v, was declared as a %v: %w", d.Name, d.Kind, old.Kind, ErrConflict)
	case old.HasSig && d.HasSig && !SameSignature(&old.Sig, &d.Sig):
		return fmt.Errorf("%v: its signature %v does not match the one it was declared with, %v: %w", d.Name, clif.FormatSignature(&d.Sig), clif.FormatSignature(&old.Sig), ErrConflict)
	case old.Kind == DataObject && old.Data != d.Data:
		return fmt.Errorf("%v: attributes %+v, were declared as %+v: %w", d.Name, d.Data, old.Data, ErrConflict)
	case d.Linkage != Import && old.Linkage != Import && old.Linkage != d.Linkage:
		return fmt.Errorf("%v: linkage %v, was declared as %v: %w", d.Name, d.Linkage, old.Linkage, ErrConflict)
	}
	return nil
}

// BeginFunc is what a definition of f begins with: it checks that there can be
// one. When f is compiled the caller declares it, as an import, and calls
// [Table.SetDefined] when nothing can fail any more.
func (t *Table) BeginFunc(f *ir.Function) (ID, error) {
	id := t.Mention(f.Name)
	if t.decls[id].Defined {
		return 0, fmt.Errorf("%v: %w", f.Name, ErrDefined)
	}
	return id, t.agree(id, &Decl{Name: f.Name, Kind: Func, HasSig: true, Sig: f.Sig})
}

// BeginCode is [Table.BeginFunc] for a function that has been declared.
func (t *Table) BeginCode(id ID) error { return t.begin(id, Func) }

// BeginData is [Table.BeginCode] for data.
func (t *Table) BeginData(id ID) error { return t.begin(id, DataObject) }

func (t *Table) begin(id ID, k Kind) error {
	if int(id) >= len(t.decls) {
		return fmt.Errorf("a definition of %v %d, which the module does not have", k, id)
	}
	switch d := &t.decls[id]; {
	case d.Kind != k:
		return fmt.Errorf("%v: defined as a %v, was declared as a %v: %w", d.Name, k, d.Kind, ErrConflict)
	case d.Defined:
		return fmt.Errorf("%v: %w", d.Name, ErrDefined)
	case d.Linkage == Import:
		return fmt.Errorf("%v: defined, was declared with linkage import: %w", d.Name, ErrConflict)
	}
	return nil
}

// SetDefined says that an ID has a definition now. What was imported becomes
// exported.
func (t *Table) SetDefined(id ID) {
	d := &t.decls[id]
	d.Defined = true
	if d.Linkage == Import {
		d.Linkage = Export
		return
	}
	t.open--
}

// Forget takes back the declaration and the definition of an ID, which keeps its
// name.
func (t *Table) Forget(id ID) {
	d := &t.decls[id]
	if !d.Defined && d.Linkage != Import {
		t.open--
	}
	*d = Decl{Name: d.Name}
}

// CheckUses compares what a function says of the functions and data that its
// code refers to with what has been declared, and declares what was not. f may
// be nil.
func (t *Table) CheckUses(f *ir.Function, code *codegen.CompiledCode) error {
	for _, r := range code.Relocs {
		switch {
		case f != nil && r.Func != ir.NoFuncRef && int(r.Func) < len(f.ExtFuncs) && f.ExtFuncs[r.Func].Name == r.Name:
			if _, err := t.DeclareFunc(r.Name, Import, f.Sigs[f.ExtFuncs[r.Func].Sig]); err != nil {
				return err
			}
		default:
			t.Mention(r.Name)
		}
	}
	return nil
}

// Missing returns an error for the first name that was to be defined here and
// is not.
func (t *Table) Missing() error {
	for i := 0; t.open > 0 && i < len(t.decls); i++ {
		if d := &t.decls[i]; !d.Defined && d.Linkage != Import {
			return fmt.Errorf("%v, a %v with linkage %v, was declared and not defined: %w", d.Name, d.Kind, d.Linkage, ErrUndefined)
		}
	}
	return nil
}

// SameSignature tells whether two signatures agree in all that matters to a
// call.
func SameSignature(a, b *ir.Signature) bool {
	return a.CallConv == b.CallConv && slices.Equal(a.Params, b.Params) && slices.Equal(a.Returns, b.Returns)
}

// CloneSignature is a copy that shares nothing with s.
func CloneSignature(s *ir.Signature) ir.Signature {
	return ir.Signature{Params: slices.Clone(s.Params), Returns: slices.Clone(s.Returns), CallConv: s.CallConv}
}
