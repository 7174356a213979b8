package object

import (
	"bytes"
	"debug/dwarf"
	"debug/elf"
	"debug/macho"
	"debug/pe"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/davit-wasm/davit/codegen"
	"github.com/davit-wasm/davit/codegen/clif"
	"github.com/davit-wasm/davit/codegen/ir"
	"github.com/davit-wasm/davit/codegen/isa"
	"github.com/davit-wasm/davit/codegen/module"
)

func target(t testing.TB, triple string) *isa.TargetISA {
	t.Helper()
	b, err := isa.Lookup(triple)
	if err != nil {
		t.Fatal(err)
	}
	x, err := b.Finish()
	if err != nil {
		t.Fatal(err)
	}
	return x
}

func newModule(t testing.TB, triple string, o Options) *Module {
	t.Helper()
	m, err := New(target(t, triple), o)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// define compiles functions written as text.
func define(t testing.TB, m *Module, text string) {
	t.Helper()
	funcs, err := clif.ParseFunctions(text)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range funcs {
		if _, err := m.Define(f.Function); err != nil {
			t.Fatal(err)
		}
	}
}

func data(t testing.TB, m *Module, name string, l module.Linkage, a module.DataAttr, d *module.Data) {
	t.Helper()
	id, err := m.DeclareData(ir.TestName(name), l, a)
	if err == nil {
		err = m.DefineData(id, d)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func finalize(t testing.TB, m *Module) []byte {
	t.Helper()
	if err := m.Finalize(); err != nil {
		t.Fatal(err)
	}
	return m.Bytes()
}

// sample has one of everything.
const sample = `
function %add(i64, i64) -> i64 CONV {
block0(v0: i64, v1: i64):
    v2 = iadd v0, v1
    return v2
}
function %sum(i64) -> i64 CONV {
    gv0 = symbol colocated %table
    gv1 = symbol %counter
    fn0 = colocated %add(i64, i64) -> i64 CONV
    fn1 = %abs(i64) -> i64 CONV
block0(v0: i64):
    v1 = symbol_value.i64 gv0
    v2 = load.i64 v1
    v3 = call fn0(v0, v2)
    v4 = symbol_value.i64 gv1
    store v3, v4
    v5 = call fn1(v3)
    v6 = iadd v5, v0
    return v6
}
function %own() -> i64 CONV {
    gv0 = symbol tls %tls
block0:
    v0 = tls_value.i64 gv0
    return v0
}`

func buildSample(t testing.TB, m *Module) {
	conv := "system_v"
	if m.target.Triple.OS == "windows" {
		conv = "windows_fastcall"
	}
	if _, err := m.DeclareFunc(ir.TestName("add"), module.Hidden, ir.Signature{
		Params: []ir.Param{{Type: ir.I64}, {Type: ir.I64}}, Returns: []ir.Param{{Type: ir.I64}}, CallConv: m.target.DefaultCallConv(),
	}); err != nil {
		t.Fatal(err)
	}
	define(t, m, strings.ReplaceAll(sample, "CONV", conv))
	data(t, m, "table", module.Local, module.DataAttr{}, &module.Data{Bytes: []byte{1, 2, 3, 4, 5, 6, 7, 8}, Align: 64})
	data(t, m, "counter", module.Export, module.DataAttr{Writable: true}, &module.Data{Size: 8})
	data(t, m, "initial", module.Preemptible, module.DataAttr{Writable: true}, &module.Data{Bytes: []byte("hello, world")})
	data(t, m, "pointers", module.Export, module.DataAttr{}, &module.Data{Size: 24, Relocs: []module.DataReloc{
		{Offset: 0, Name: ir.TestName("add")}, {Offset: 8, Name: ir.TestName("initial"), Addend: 7}, {Offset: 16, Name: ir.TestName("elsewhere")},
	}})
	data(t, m, "tls", module.Export, module.DataAttr{TLS: true}, &module.Data{Bytes: []byte{42, 0, 0, 0, 0, 0, 0, 0}})
	data(t, m, "tlszero", module.Local, module.DataAttr{TLS: true}, &module.Data{Size: 16})
}

func lines(l ir.SourceLoc) (string, int, int) { return "src/calc.toy", int(l), 3 }

func TestELF(t *testing.T) {
	m := newModule(t, "x86_64-linux", Options{})
	buildSample(t, m)
	file := finalize(t, m)
	f, err := elf.NewFile(bytes.NewReader(file))
	if err != nil {
		t.Fatal(err)
	}
	if f.Type != elf.ET_REL || f.Machine != elf.EM_X86_64 {
		t.Errorf("%v for %v", f.Type, f.Machine)
	}
	syms, err := f.Symbols()
	if err != nil {
		t.Fatal(err)
	}
	type symbol struct {
		section string
		bind    elf.SymBind
		typ     elf.SymType
		vis     elf.SymVis
		size    uint64
	}
	got := map[string]symbol{}
	for _, s := range syms {
		x := symbol{bind: elf.ST_BIND(s.Info), typ: elf.ST_TYPE(s.Info), vis: elf.ST_VISIBILITY(s.Other), size: s.Size}
		if s.Section != elf.SHN_UNDEF {
			x.section = f.Sections[s.Section].Name
		}
		if x.typ == elf.STT_FUNC {
			x.size = 0
		}
		got[s.Name] = x
	}
	for name, want := range map[string]symbol{
		"add":       {".text", elf.STB_GLOBAL, elf.STT_FUNC, elf.STV_HIDDEN, 0},
		"sum":       {".text", elf.STB_GLOBAL, elf.STT_FUNC, elf.STV_DEFAULT, 0},
		"abs":       {"", elf.STB_GLOBAL, elf.STT_NOTYPE, elf.STV_DEFAULT, 0},
		"elsewhere": {"", elf.STB_GLOBAL, elf.STT_NOTYPE, elf.STV_DEFAULT, 0},
		"table":     {".rodata", elf.STB_LOCAL, elf.STT_OBJECT, elf.STV_DEFAULT, 8},
		"counter":   {".bss", elf.STB_GLOBAL, elf.STT_OBJECT, elf.STV_DEFAULT, 8},
		"initial":   {".data", elf.STB_WEAK, elf.STT_OBJECT, elf.STV_DEFAULT, 12},
		"pointers":  {".data.rel.ro", elf.STB_GLOBAL, elf.STT_OBJECT, elf.STV_DEFAULT, 24},
		"tls":       {".tdata", elf.STB_GLOBAL, elf.STT_TLS, elf.STV_DEFAULT, 8},
		"tlszero":   {".tbss", elf.STB_LOCAL, elf.STT_TLS, elf.STV_DEFAULT, 16},
	} {
		if got[name] != want {
			t.Errorf("symbol %s: %+v, want %+v", name, got[name], want)
		}
	}
	if s := f.Section(".rodata"); s.Addralign != 64 {
		t.Errorf(".rodata is aligned to %d", s.Addralign)
	}
	if f.Section(".note.GNU-stack") == nil || f.Section(".eh_frame") == nil {
		t.Error("a section is missing")
	}
	if again := newModule(t, "x86_64-linux", Options{}); true {
		buildSample(t, again)
		if !bytes.Equal(finalize(t, again), file) {
			t.Error("two files of the same input differ")
		}
	}
	var out bytes.Buffer
	if n, err := m.WriteTo(&out); err != nil || n != int64(len(file)) || !bytes.Equal(out.Bytes(), file) {
		t.Errorf("WriteTo: %d, %v", n, err)
	}
}

func TestMachO(t *testing.T) {
	m := newModule(t, "x86_64-apple-darwin", Options{Lines: lines})
	buildSample(t, m)
	f, err := macho.NewFile(bytes.NewReader(finalize(t, m)))
	if err != nil {
		t.Fatal(err)
	}
	if f.Type != macho.TypeObj || f.Cpu != macho.CpuAmd64 {
		t.Errorf("%v for %v", f.Type, f.Cpu)
	}
	sections := map[string]string{}
	for _, s := range f.Symtab.Syms {
		sections[s.Name] = ""
		if s.Sect > 0 {
			sections[s.Name] = f.Sections[s.Sect-1].Seg + "," + f.Sections[s.Sect-1].Name
		}
	}
	for name, want := range map[string]string{
		"_add": "__TEXT,__text", "_abs": "", "_table": "__TEXT,__const", "_counter": "__DATA,__bss", "_initial": "__DATA,__data",
		"_pointers": "__DATA,__const", "_tls": "__DATA,__thread_vars", "_tls$tlv$init": "__DATA,__thread_data", "__tlv_bootstrap": "",
		"_tlszero$tlv$init": "__DATA,__thread_bss",
	} {
		if got, ok := sections[name]; !ok || got != want {
			t.Errorf("symbol %s is in %q, %v, want %q", name, got, ok, want)
		}
	}
	// Symbols are in the order that the table's command says.
	d := f.Dysymtab
	for i, s := range f.Symtab.Syms {
		group := s.Type&1 == 0 == (uint32(i) < d.Nlocalsym) && (s.Sect == 0) == (uint32(i) >= d.Iundefsym)
		if !group {
			t.Errorf("symbol %d, %s, is in the wrong group", i, s.Name)
		}
	}
	// The call of %add: its field holds no addend, its type is that of branches.
	branches := 0
	for _, r := range f.Section("__text").Relocs {
		if r.Type == 2 {
			branches++
			if !r.Pcrel || !r.Extern || f.Symtab.Syms[r.Value].Name != "_add" {
				t.Errorf("branch %+v", r)
			}
		}
	}
	if branches != 1 {
		t.Errorf("%d branches", branches)
	}
	// Every function has a record in __eh_frame, which takes two relocations.
	if n := len(f.Section("__eh_frame").Relocs); n != 6 {
		t.Errorf("%d relocations in __eh_frame", n)
	}
	if _, err := f.DWARF(); err != nil {
		t.Error(err)
	}
}

func TestCOFF(t *testing.T) {
	m := newModule(t, "x86_64-pc-windows-msvc", Options{Lines: lines})
	buildSample(t, m)
	f, err := pe.NewFile(bytes.NewReader(finalize(t, m)))
	if err != nil {
		t.Fatal(err)
	}
	if f.Machine != pe.IMAGE_FILE_MACHINE_AMD64 {
		t.Errorf("machine %#x", f.Machine)
	}
	sections := map[string]string{}
	for _, s := range f.Symbols {
		if s.SectionNumber > 0 {
			sections[s.Name] = f.Sections[s.SectionNumber-1].Name
		} else {
			sections[s.Name] = ""
		}
	}
	for name, want := range map[string]string{
		"add": ".text", "abs": "", "table": ".rdata", "counter": ".bss", "initial": "", ".weak.initial.default": ".data",
		"pointers": ".rdata", ".refptr.counter": ".rdata", "tls": ".tls$", "_tls_index": "",
	} {
		if got, ok := sections[name]; !ok || got != want {
			t.Errorf("symbol %s is in %q, %v, want %q", name, got, ok, want)
		}
	}
	if s := f.Section(".pdata"); s == nil || s.Size != 36 || len(s.Relocs) != 9 || s.Relocs[0].Type != 3 {
		t.Errorf(".pdata: %+v", s)
	}
	if _, err := f.DWARF(); err != nil {
		t.Error(err)
	}
}

// TestArchitectures writes code that was made elsewhere for every architecture.
func TestArchitectures(t *testing.T) {
	for _, c := range []struct {
		arch    isa.Arch
		os      string
		machine any
	}{
		{isa.AArch64, "linux", elf.EM_AARCH64}, {isa.S390x, "linux", elf.EM_S390}, {isa.RISCV64, "linux", elf.EM_RISCV},
		{isa.AArch64, "darwin", macho.CpuArm64}, {isa.AArch64, "windows", uint16(pe.IMAGE_FILE_MACHINE_ARM64)},
		{isa.S390x, "darwin", nil}, {isa.RISCV64, "windows", nil},
	} {
		m, err := New(&isa.TargetISA{Triple: isa.Triple{Arch: c.arch, OS: c.os}}, Options{})
		if err != nil {
			t.Fatal(err)
		}
		id, err := m.DeclareFunc(ir.TestName("raw"), module.Export, ir.Signature{})
		if err != nil {
			t.Fatal(err)
		}
		err = m.DefineCode(id, &codegen.CompiledCode{Text: make([]byte, 16), Relocs: []codegen.Reloc{
			{Offset: 8, Kind: codegen.RelocAbs64, Name: ir.TestName("other"), Addend: 5},
		}})
		if err != nil {
			t.Fatal(err)
		}
		err = m.Finalize()
		if c.machine == nil {
			if !errors.Is(err, ErrUnsupported) {
				t.Errorf("%v-%s: error %v", c.arch, c.os, err)
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		var got any
		r := bytes.NewReader(m.Bytes())
		switch c.os {
		case "linux":
			f, err := elf.NewFile(r)
			if err != nil {
				t.Fatal(err)
			}
			got = f.Machine
			rela, err := f.Section(".rela.text").Data()
			if err != nil || f.ByteOrder.Uint64(rela) != 8 || f.ByteOrder.Uint64(rela[16:]) != 5 {
				t.Errorf("%v: relocation %x, %v", c.arch, rela, err)
			}
		case "darwin":
			f, err := macho.NewFile(r)
			if err != nil {
				t.Fatal(err)
			}
			got = f.Cpu
		case "windows":
			f, err := pe.NewFile(r)
			if err != nil {
				t.Fatal(err)
			}
			got = f.Machine
		}
		if got != c.machine {
			t.Errorf("%v-%s: machine %v, want %v", c.arch, c.os, got, c.machine)
		}
	}
}

func TestLines(t *testing.T) {
	m := newModule(t, "x86_64-linux", Options{Lines: lines, Name: "calc.toy", Dir: "/work"})
	define(t, m, `
function %f(i64) -> i64 {
    fn0 = %g(i64) -> i64
block0(v0: i64):
@0007  v1 = imul v0, v0
@0009  v2 = call fn0(v1)
@012c  return v2
}
function %h() {
block0:
@0003  return
}`)
	f, err := elf.NewFile(bytes.NewReader(finalize(t, m)))
	if err != nil {
		t.Fatal(err)
	}
	d, err := f.DWARF()
	if err != nil {
		t.Fatal(err)
	}
	r := d.Reader()
	cu, err := r.Next()
	if err != nil {
		t.Fatal(err)
	}
	if cu.Val(dwarf.AttrName) != "calc.toy" || cu.Val(dwarf.AttrCompDir) != "/work" {
		t.Errorf("unit %v", cu)
	}
	var names []string
	for {
		e, err := r.Next()
		if err != nil {
			t.Fatal(err)
		}
		if e == nil || e.Tag == 0 {
			break
		}
		names = append(names, e.Val(dwarf.AttrName).(string))
		if e.Val(dwarf.AttrName) == "f" && e.Val(dwarf.AttrDeclLine) != int64(7) {
			t.Errorf("declared in line %v", e.Val(dwarf.AttrDeclLine))
		}
	}
	if strings.Join(names, " ") != "f h" {
		t.Errorf("functions %v", names)
	}
	lr, err := d.LineReader(cu)
	if err != nil {
		t.Fatal(err)
	}
	var seen []int
	last := uint64(0)
	for {
		var e dwarf.LineEntry
		if err := lr.Next(&e); err == io.EOF {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		if e.Address < last {
			t.Errorf("line %d goes back to %#x", e.Line, e.Address)
		}
		last = e.Address
		if e.EndSequence {
			continue
		}
		if n := len(seen); e.Line != 0 && (n == 0 || seen[n-1] != e.Line) {
			if e.File.Name != "/work/src/calc.toy" || e.Column != 3 {
				t.Errorf("file %q, column %d", e.File.Name, e.Column)
			}
			seen = append(seen, e.Line)
		}
	}
	if len(seen) != 4 || seen[0] != 7 || seen[1] != 9 || seen[2] != 300 || seen[3] != 3 {
		t.Errorf("lines %v", seen)
	}
}

func TestErrors(t *testing.T) {
	sig := ir.Signature{Params: []ir.Param{{Type: ir.I32}}, CallConv: ir.SystemV}
	name := ir.TestName("f")
	parse := func(text string) *ir.Function {
		f, err := clif.ParseFunction(text)
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	const plain = "function %f(i32) system_v {\nblock0(v0: i32):\n return\n}"
	for _, c := range []struct {
		what string
		do   func(m *Module) error
		want error
		text string
	}{
		{"twice", func(m *Module) error {
			if _, err := m.Define(parse(plain)); err != nil {
				return err
			}
			_, err := m.Define(parse(plain))
			return err
		}, module.ErrDefined, "%f"},
		{"missing", func(m *Module) error {
			if _, err := m.DeclareFunc(name, module.Local, sig); err != nil {
				return err
			}
			return m.Finalize()
		}, module.ErrUndefined, "%f, a function with linkage local"},
		{"signature", func(m *Module) error {
			if _, err := m.DeclareFunc(name, module.Local, ir.Signature{CallConv: ir.SystemV}); err != nil {
				return err
			}
			_, err := m.Define(parse(plain))
			return err
		}, module.ErrConflict, "(i32) system_v does not match"},
		{"signature of a call", func(m *Module) error {
			if _, err := m.Define(parse(plain)); err != nil {
				return err
			}
			_, err := m.Define(parse("function %g() system_v {\n fn0 = %f(i64) system_v\nblock0:\n v0 = iconst.i64 0\n call fn0(v0)\n return\n}"))
			return err
		}, module.ErrConflict, "function %g: %f"},
		{"linkage", func(m *Module) error {
			if _, err := m.DeclareFunc(name, module.Local, sig); err != nil {
				return err
			}
			_, err := m.DeclareFunc(name, module.Export, sig)
			return err
		}, module.ErrConflict, "linkage export"},
		{"kind", func(m *Module) error {
			if _, err := m.DeclareFunc(name, module.Local, sig); err != nil {
				return err
			}
			_, err := m.DeclareData(name, module.Local, module.DataAttr{})
			return err
		}, module.ErrConflict, "data object"},
		{"define an import", func(m *Module) error {
			id, err := m.DeclareData(name, module.Import, module.DataAttr{})
			if err != nil {
				return err
			}
			return m.DefineData(id, &module.Data{})
		}, module.ErrConflict, "import"},
		{"unknown ID", func(m *Module) error { return m.DefineData(7, &module.Data{}) }, nil, "does not have"},
		{"alignment", func(m *Module) error {
			id, _ := m.DeclareData(name, module.Local, module.DataAttr{})
			return m.DefineData(id, &module.Data{Align: 24})
		}, nil, "alignment of 24"},
		{"relocation outside", func(m *Module) error {
			id, _ := m.DeclareData(name, module.Local, module.DataAttr{})
			return m.DefineData(id, &module.Data{Size: 12, Relocs: []module.DataReloc{{Offset: 8, Name: name}}})
		}, nil, "outside of the 12 bytes"},
		{"huge data", func(m *Module) error {
			id, _ := m.DeclareData(name, module.Local, module.DataAttr{Writable: true})
			return m.DefineData(id, &module.Data{Size: 1 << 40})
		}, nil, "at most"},
		{"raw relocation outside", func(m *Module) error {
			id, _ := m.DeclareFunc(name, module.Local, sig)
			return m.DefineCode(id, &codegen.CompiledCode{Text: make([]byte, 6), Relocs: []codegen.Reloc{{Offset: 3, Kind: codegen.RelocCall32, Name: name}}})
		}, nil, "outside of the 6 bytes"},
		{"unknown relocation", func(m *Module) error {
			id, _ := m.DeclareFunc(name, module.Local, sig)
			return m.DefineCode(id, &codegen.CompiledCode{Text: make([]byte, 6), Relocs: []codegen.Reloc{{Kind: 99, Name: name}}})
		}, ErrUnsupported, "reloc99"},
		{"finished", func(m *Module) error {
			if err := m.Finalize(); err != nil {
				return err
			}
			_, err := m.Define(parse(plain))
			return err
		}, ErrFinalized, ""},
		{"symbols collide", func(m *Module) error {
			for _, n := range []ir.Name{ir.UserName(0, 1), ir.TestName("u0_1")} {
				id, err := m.DeclareData(n, module.Local, module.DataAttr{})
				if err != nil {
					return err
				}
				if err := m.DefineData(id, &module.Data{Size: 1}); err != nil {
					return err
				}
			}
			return m.Finalize()
		}, module.ErrConflict, `"u0_1"`},
		{"TLS in Mach-O code for COFF", func(m *Module) error {
			id, _ := m.DeclareFunc(name, module.Local, sig)
			if err := m.DefineCode(id, &codegen.CompiledCode{Text: make([]byte, 6), Relocs: []codegen.Reloc{{Kind: codegen.RelocTLV32, Name: ir.TestName("x")}}}); err != nil {
				return err
			}
			return m.Finalize()
		}, ErrUnsupported, "tlv32"},
	} {
		err := c.do(newModule(t, "x86_64-linux", Options{}))
		if err == nil || c.want != nil && !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.text) {
			t.Errorf("%s: error %v", c.what, err)
		}
	}
}
