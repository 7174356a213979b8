package jit

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/davit-wasm/davit/codegen"
	"github.com/davit-wasm/davit/codegen/frontend"
	"github.com/davit-wasm/davit/codegen/internal/dwarf"
	"github.com/davit-wasm/davit/codegen/internal/unwind"
	"github.com/davit-wasm/davit/codegen/ir"
	"github.com/davit-wasm/davit/codegen/isa"
	"github.com/davit-wasm/davit/codegen/module"
	"github.com/davit-wasm/davit/internal/native"
)

// ErrUndefined is wrapped by the error of [Module.Finalize] for a name that is
// used but not defined.
var ErrUndefined = module.ErrUndefined

// ErrInUse is wrapped by the error of [Module.Free] for what other code refers to.
var ErrInUse = errors.New("still in use")

// ErrClosed is the error of calls and definitions after [Module.Close].
var ErrClosed = errors.New("jit: the module is closed")

// Supported returns an error if compiled code cannot run in this process.
func Supported() error { return native.Supported() }

// Config is choices for a module. The zero value is useful.
type Config struct {
	// Replaceable makes all functions replaceable, which costs calls a jump.
	Replaceable bool
	// StackSize is how much of its stack, in bytes, a call from Go can use; 0
	// stands for 1 MiB. Functions trap before they use more: they are compiled
	// with the setting enable_native_stack_check, unless the target has
	// enable_probestack. Without the check, as in conventions preserve_all and
	// probestack and in code made elsewhere, the end of the stack is the end of the
	// program.
	StackSize int
	// PerfMap appends functions to /tmp/perf-PID.map, where Linux' perf looks for
	// names of code that no file has.
	PerfMap bool
	// Debugger registers functions with a debugger that is attached to the
	// process, or comes later.
	Debugger bool
	// Inline is [codegen.Options].Inline for definitions that come without one. What
	// is replaceable had better not be inlined: its callers would keep the body.
	Inline func(*codegen.InlineCall) *ir.Function
	// Lines says where in the source a location is, for debuggers. Line 0 stands
	// for nowhere. Name and Dir are the name of the source as a whole, and the
	// directory that paths are relative to.
	Lines     func(ir.SourceLoc) (file string, line, column int)
	Name, Dir string
}

// Module is a set of functions and data that know each other by name. It
// implements [module.Module]. Declaring, defining, finalizing, replacing and freeing belong to
// one goroutine at a time; calls can come from any at any time, once the
// function is finalized.
type Module struct {
	target  *isa.TargetISA
	cfg     Config
	ctx     codegen.Context
	builder frontend.Builder

	table   module.Table
	objects []object // by ID
	symbols map[ir.Name]uintptr
	// Entry trampolines by signature.
	entries map[string]int // index into tramps
	tramps  []*trampoline
	thunks  thunks

	pending     []blob // compiled since the last Finalize
	pendingData []dataBlob
	fresh       []module.ID     // linked since calls have been told
	batches     map[*batch]bool // that have been finalized and not freed

	// What calls look at.
	callees atomic.Pointer[[]atomic.Pointer[callee]] // by ID
	hosts   atomic.Pointer[[]host]
	calls   sync.Pool                  // of *activation, without stacks
	idle    atomic.Pointer[activation] // with a stack, for the next call
	eras    eras
	closed  atomic.Bool
}

var _ module.Module = (*Module)(nil)

// object is what is known of an ID beside its declaration.
type object struct {
	addr        uintptr // of its code or data; 0 until finalized
	thunk       uintptr // by which others refer to it, if it is replaceable
	replaceable bool
	size        int
	batch       *batch
	refs        []module.ID // what the finalized definition refers to, once each
	users       int         // how many other finalized definitions refer to it
}

// trampoline enters functions of a signature.
type trampoline struct{ entry native.Entry }

// callee is a function as calls from Go need it. It does not change.
type callee struct {
	name  ir.Name
	addr  uintptr
	entry native.Entry
	slots int
}

// host is a Go function.
type host struct {
	name  ir.Name
	slots int
	call  HostFunc
}

// blob is compiled code that has no place yet.
type blob struct {
	id      module.ID // or noID, of a trampoline
	tramp   int       // index, or -1
	replace bool      // it replaces a definition
	name    ir.Name
	text    []byte
	code    uint32 // size without constants
	align   uint32
	relocs  []reloc
	traps   []codegen.Trap
	body    bool // it runs on a native stack from its first to its last instruction
	sources []codegen.SourceRange
	frames  []byte // call frame instructions, with Config.Debugger
	lines   []dwarf.Line
	table   exceptionTable
	at      int
}

const noID = ^module.ID(0)

// reloc is a relocation against an ID.
type reloc struct {
	offset uint32
	kind   codegen.RelocKind
	id     module.ID
	addend int64
}

// dataBlob is a data object that has no place yet.
type dataBlob struct {
	id       module.ID
	bytes    []byte
	size     int
	align    int
	writable bool
	relocs   []module.DataReloc
	at       int
}

// New makes an empty module for a target, which should be this machine.
func New(target *isa.TargetISA) *Module { return NewWith(target, Config{}) }

// NewWith is New with choices.
func NewWith(target *isa.TargetISA, cfg Config) *Module {
	if !target.Shared.NativeStackCheck && !target.Shared.Probestack {
		t := *target
		t.Shared.NativeStackCheck = true
		target = &t
	}
	m := &Module{target: target, cfg: cfg, symbols: map[ir.Name]uintptr{}, entries: map[string]int{}, batches: map[*batch]bool{}}
	m.callees.Store(&[]atomic.Pointer[callee]{})
	m.hosts.Store(&[]host{})
	m.calls.New = func() any { return new(activation) }
	m.eras.init()
	return m
}

// NewHost makes an empty module for the machine and the processor that this
// program runs on, with optimization for speed. Settings change the target after
// that, in the form of [isa.Builder.Set], such as "opt_level=none". It fails
// where [Supported] does.
func NewHost(cfg Config, settings ...string) (*Module, error) {
	if err := Supported(); err != nil {
		return nil, err
	}
	b, err := isa.Host()
	if err != nil {
		return nil, err
	}
	for _, s := range append([]string{"opt_level=speed"}, settings...) {
		if err := b.Set(s); err != nil {
			return nil, err
		}
	}
	target, err := b.Finish()
	if err != nil {
		return nil, err
	}
	return NewWith(target, cfg), nil
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

// Options are those of [Module.DefineWith].
type Options = codegen.Options

// Define implements [module.Module].
func (m *Module) Define(f *ir.Function) (module.ID, error) { return m.DefineWith(f, Options{}) }

// DefineWith implements [module.Module].
func (m *Module) DefineWith(f *ir.Function, o Options) (module.ID, error) {
	if m.closed.Load() {
		return 0, ErrClosed
	}
	id, err := m.table.BeginFunc(f)
	if err != nil {
		return 0, fmt.Errorf("jit: %w", err)
	}
	sig := f.Sig // as its callers know it
	code, err := m.compile(f, o)
	if err != nil {
		return 0, err
	}
	if _, err := m.table.DeclareFunc(f.Name, module.Import, sig); err != nil {
		return 0, fmt.Errorf("jit: %w", err)
	}
	return id, m.define(id, f, code)
}

// compile compiles f, with the module's choices where o has none.
func (m *Module) compile(f *ir.Function, o Options) (*codegen.CompiledCode, error) {
	if o.Inline == nil {
		o.Inline = m.cfg.Inline
	}
	return m.ctx.Compile(f, m.target, o)
}

// DefineCode implements [module.Module].
func (m *Module) DefineCode(id module.ID, code *codegen.CompiledCode) error {
	if m.closed.Load() {
		return ErrClosed
	}
	if err := m.table.BeginCode(id); err != nil {
		return fmt.Errorf("jit: %w", err)
	}
	return m.define(id, nil, code)
}

func (m *Module) define(id module.ID, f *ir.Function, code *codegen.CompiledCode) error {
	b, err := m.blob(id, f, code)
	if err != nil {
		return err
	}
	if err := m.needEntry(id); err != nil {
		return err
	}
	m.pending = append(m.pending, b)
	m.table.SetDefined(id)
	return nil
}

// Replaceable makes a function replaceable. It must not have been finalized.
func (m *Module) Replaceable(id module.ID) error {
	o := m.object(id)
	if o.addr != 0 && o.thunk == 0 {
		return fmt.Errorf("jit: %v is finalized, and code refers to where it is", m.table.At(id).Name)
	}
	o.replaceable = true
	return nil
}

// Replace compiles f to take the place of the definition that its name has, from
// the next [Module.Finalize] on. The function must be replaceable, finalized,
// and have the same signature.
func (m *Module) Replace(f *ir.Function, o Options) error {
	id, ok := m.table.Lookup(f.Name)
	if m.closed.Load() {
		return ErrClosed
	}
	if !ok || m.object(id).addr == 0 {
		return fmt.Errorf("jit: %v cannot be replaced: %w", f.Name, ErrUndefined)
	}
	if m.object(id).thunk == 0 {
		return fmt.Errorf("jit: %v was not declared replaceable", f.Name)
	}
	if _, err := m.table.DeclareFunc(f.Name, module.Import, f.Sig); err != nil {
		return fmt.Errorf("jit: %w", err)
	}
	code, err := m.compile(f, o)
	if err != nil {
		return err
	}
	b, err := m.blob(id, f, code)
	if err != nil {
		return err
	}
	b.replace = true
	m.pending = slices.DeleteFunc(m.pending, func(p blob) bool { return p.id == id }) // an earlier replacement
	m.pending = append(m.pending, b)
	return nil
}

// object is the object of an ID, good until the next one is made.
func (m *Module) object(id module.ID) *object {
	for len(m.objects) < m.table.Len() {
		m.objects = append(m.objects, object{replaceable: m.cfg.Replaceable})
	}
	return &m.objects[id]
}

// blob is a copy of code, with what it refers to declared.
func (m *Module) blob(id module.ID, f *ir.Function, code *codegen.CompiledCode) (blob, error) {
	b := blob{id: id, tramp: -1, body: true}
	if id == noID {
		b.name = f.Name
	} else {
		d := m.table.At(id)
		b.name, b.body = d.Name, d.Sig.CallConv != ir.Go
	}
	if err := checkCode(code); err != nil {
		return b, fmt.Errorf("jit: function %v: %w", b.name, err)
	}
	if err := m.table.CheckUses(f, code); err != nil {
		return b, fmt.Errorf("jit: function %v: %w", b.name, err)
	}
	b.text, b.code, b.align = slices.Clone(code.Text), code.CodeSize, max(code.Alignment, 16)
	if b.code == 0 || int(b.code) > len(b.text) {
		b.code = uint32(len(b.text))
	}
	b.traps = slices.Clone(code.Traps)
	b.sources = slices.Clone(code.Sources)
	b.table = exceptions(code)
	for _, r := range code.Relocs {
		b.relocs = append(b.relocs, reloc{r.Offset, r.Kind, m.table.Mention(r.Name), r.Addend})
	}
	if m.cfg.Debugger {
		b.frames = unwind.Program(nil, code)
		if m.cfg.Lines != nil {
			for _, s := range code.Sources {
				l := dwarf.Line{Offset: uint64(s.Offset)}
				if s.Loc != 0 {
					l.File, l.Line, l.Column = m.cfg.Lines(s.Loc)
				}
				b.lines = append(b.lines, l)
			}
		}
	}
	return b, nil
}

// checkCode returns an error for code that cannot be linked here, which is then
// not from our compiler, or for another kind of program.
func checkCode(code *codegen.CompiledCode) error {
	if len(code.Text) == 0 {
		return errors.New("no code")
	}
	if a := code.Alignment; a&(a-1) != 0 || a > module.MaxAlign {
		return fmt.Errorf("an alignment of %d", a)
	}
	for _, r := range code.Relocs {
		switch r.Kind {
		case codegen.RelocTLSGD32, codegen.RelocTLV32, codegen.RelocSecRel32:
			return fmt.Errorf("%v: thread-local variables need an object file: %w", r.Name, codegen.ErrUnsupported)
		case codegen.RelocAbs64, codegen.RelocAbs32, codegen.RelocPCRel32, codegen.RelocCall32, codegen.RelocGOTPCRel32:
		default:
			return fmt.Errorf("relocation %v of %v: %w", r.Kind, r.Name, codegen.ErrUnsupported)
		}
		if n := len(code.Text); int(r.Offset) > n || n-int(r.Offset) < r.Kind.Size() {
			return fmt.Errorf("relocation %v of %v at %#x is outside of the %d bytes of code", r.Kind, r.Name, r.Offset, n)
		}
	}
	for i, t := range code.Traps {
		if int(t.Offset) >= len(code.Text) || i > 0 && code.Traps[i-1].Offset > t.Offset {
			return fmt.Errorf("trap site at %#x is out of range or out of order", t.Offset)
		}
	}
	return nil
}

// DefineData implements [module.Module]. Data that are not writable are
// read-only when they are finalized.
func (m *Module) DefineData(id module.ID, d *module.Data) error {
	if m.closed.Load() {
		return ErrClosed
	}
	if err := m.table.BeginData(id); err != nil {
		return fmt.Errorf("jit: %w", err)
	}
	decl := m.table.At(id)
	if decl.Data.TLS {
		return fmt.Errorf("jit: %v: thread-local data need an object file: %w", decl.Name, codegen.ErrUnsupported)
	}
	if err := d.Check(); err != nil {
		return fmt.Errorf("jit: %v: %w", decl.Name, err)
	}
	b := dataBlob{id: id, bytes: slices.Clone(d.Bytes), size: int(d.Total()), align: int(d.Alignment()), writable: decl.Data.Writable, relocs: slices.Clone(d.Relocs)}
	for _, r := range d.Relocs {
		m.table.Mention(r.Name)
	}
	m.pendingData = append(m.pendingData, b)
	m.table.SetDefined(id)
	return nil
}

// DefineSymbol gives an address outside the module a name, for symbol_value,
// func_addr and calls. It takes the place of a preemptible definition.
func (m *Module) DefineSymbol(name ir.Name, addr uintptr) { m.symbols[name] = addr }

// Address is where a finalized function or data object is; 0 before that. Of a
// replaceable function it is the address that stays the same.
func (m *Module) Address(id module.ID) uintptr { return m.target0(id) }

// Size is the size of a finalized function's code and constants, or of data,
// in bytes.
func (m *Module) Size(id module.ID) int { return m.object(id).size }

// Bytes is the memory of a finalized data object. It is good until that is
// freed. Compiled code may read and write it at the same time; data that are
// not writable must not be written.
func (m *Module) Bytes(id module.ID) []byte {
	o := m.object(id)
	if o.addr == 0 || m.table.At(id).Kind != module.DataObject || o.size == 0 {
		return nil
	}
	return native.Bytes(o.addr, o.size)
}

// Undefined lists the names that are used by what the next Finalize links, and
// that nothing defines, in the order of their first use.
func (m *Module) Undefined() (names []ir.Name) {
	add := func(id module.ID) {
		d := m.table.At(id)
		if _, symbol := m.symbols[d.Name]; !symbol && !d.Defined && !slices.Contains(names, d.Name) {
			names = append(names, d.Name)
		}
	}
	for i := range m.pending {
		for _, r := range m.pending[i].relocs {
			add(r.id)
		}
	}
	for i := range m.pendingData {
		for _, r := range m.pendingData[i].relocs {
			add(m.table.Mention(r.Name))
		}
	}
	return names
}

// Close frees the module. Calls that are running go on to their end; calls that
// come later return [ErrClosed]. Addresses of the module must not be used any
// more.
func (m *Module) Close() {
	if m.closed.Swap(true) {
		return
	}
	m.callees.Store(&[]atomic.Pointer[callee]{})
	m.dropIdle()
	list := make([]*batch, 0, len(m.batches)+1)
	for b := range m.batches {
		list = append(list, b)
	}
	m.batches = nil
	m.eras.retire(append(list, m.thunks.close()...)...)
}
