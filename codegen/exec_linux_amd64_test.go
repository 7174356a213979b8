package codegen_test

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/davit-wasm/davit/codegen"
	"github.com/davit-wasm/davit/codegen/clif"
	"github.com/davit-wasm/davit/codegen/ir"
	"github.com/davit-wasm/davit/codegen/isa"
	"github.com/davit-wasm/davit/internal/layout"
)

// machineCode is a set of compiled functions that tests call. They run on a
// native stack of their own, entered through a trampoline in convention go.
type machineCode struct {
	t     *testing.T
	mem   []byte
	used  int
	addr  map[string]uintptr
	exec  uintptr
	stack []byte
	funcs map[string]*ir.Function
	codes map[string]*codegen.CompiledCode
	ctx   codegen.Context
	isa   *isa.TargetISA
}

// build compiles all functions of a CLIF text and links them by name.
func build(t *testing.T, text string, settings ...string) *machineCode {
	t.Helper()
	m := &machineCode{t: t, addr: map[string]uintptr{}, funcs: map[string]*ir.Function{}, codes: map[string]*codegen.CompiledCode{}, isa: target(t, settings...)}
	var err error
	if m.mem, err = unix.Mmap(-1, 0, 4<<20, unix.PROT_READ|unix.PROT_WRITE|unix.PROT_EXEC, unix.MAP_PRIVATE|unix.MAP_ANON); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Munmap(m.mem) })
	if m.stack, err = unix.Mmap(-1, 0, 2*layout.StackRegionSize, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON|unix.MAP_NORESERVE); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Munmap(m.stack) })
	base := uintptr(unsafe.Pointer(&m.stack[0]))
	region := (base + layout.StackRegionSize - 1) &^ (layout.StackRegionSize - 1)
	header := m.stack[region-base:]
	binary.LittleEndian.PutUint64(header[layout.ExecStackLimit:], uint64(region)+8192)
	binary.LittleEndian.PutUint64(header[layout.ExecEntrySP:], uint64(region)+layout.ExecBase)
	m.exec = region

	funcs, err := clif.ParseFunctions(text)
	if err != nil {
		t.Fatal(err)
	}
	type patch struct {
		at   int
		kind codegen.RelocKind
		name string
		add  int64
	}
	var patches []patch
	for _, f := range funcs {
		code := m.compile(f.Function)
		at := m.place(code)
		kept := *code
		kept.Traps = slices.Clone(code.Traps)
		m.codes[f.Function.Name.Text] = &kept
		m.addr[f.Function.Name.Text] = uintptr(unsafe.Pointer(&m.mem[at]))
		for _, r := range code.Relocs {
			patches = append(patches, patch{at + int(r.Offset), r.Kind, r.Name.Text, r.Addend})
		}
	}
	for _, p := range patches {
		to, ok := m.addr[p.name]
		if !ok {
			t.Fatalf("no function %%%s", p.name)
		}
		place := uintptr(unsafe.Pointer(&m.mem[p.at]))
		switch p.kind {
		case codegen.RelocAbs64:
			binary.LittleEndian.PutUint64(m.mem[p.at:], uint64(int64(to)+p.add))
		case codegen.RelocCall32, codegen.RelocPCRel32:
			binary.LittleEndian.PutUint32(m.mem[p.at:], uint32(int64(to)+p.add-int64(place)))
		default:
			t.Fatalf("relocation %v", p.kind)
		}
	}
	for _, f := range funcs {
		m.trampoline(f.Function)
	}
	return m
}

func (m *machineCode) compile(f *ir.Function) *codegen.CompiledCode {
	m.t.Helper()
	var log strings.Builder
	code, err := m.ctx.Compile(f, m.isa, codegen.Options{CheckRegalloc: true, KeepPanics: true, After: func(pass string, c *codegen.Context) {
		if pass == "lower" || pass == "regalloc" {
			fmt.Fprintf(&log, "after %s: %s\n", pass, c.VCode())
		}
	}})
	if err != nil {
		m.t.Fatalf("%v\n%s", err, log.String())
	}
	if testing.Verbose() {
		m.t.Logf("%s\n% x", log.String(), code.Text)
	}
	return code
}

func (m *machineCode) place(code *codegen.CompiledCode) int {
	at := (m.used + int(code.Alignment) - 1) &^ (int(code.Alignment) - 1)
	m.used = at + copy(m.mem[at:], code.Text)
	return at
}

// trampoline makes %entry_NAME, which takes arguments from a buffer and puts
// results there, 16 bytes each.
func (m *machineCode) trampoline(f *ir.Function) {
	var w strings.Builder
	fmt.Fprintf(&w, "function %%entry_%s(i64, i64, i64) go {\n  sig0 = (", f.Name.Text)
	list := func(params []ir.Param) {
		for i, p := range params {
			if i > 0 {
				w.WriteString(", ")
			}
			fmt.Fprintf(&w, "%v", p.Type)
		}
	}
	list(f.Sig.Params)
	w.WriteString(")")
	if len(f.Sig.Returns) > 0 {
		w.WriteString(" -> ")
		list(f.Sig.Returns)
	}
	fmt.Fprintf(&w, " %v\nblock0(v0: i64, v1: i64, v2: i64):\n", f.Sig.CallConv)
	for i, p := range f.Sig.Params {
		fmt.Fprintf(&w, "  v%d = load.%v v2+%d\n", 100+i, p.Type, 16*i)
	}
	w.WriteString("  ")
	for i := range f.Sig.Returns {
		if i > 0 {
			w.WriteString(", ")
		}
		fmt.Fprintf(&w, "v%d", 1000+i)
	}
	if len(f.Sig.Returns) > 0 {
		w.WriteString(" = ")
	}
	w.WriteString("call_indirect sig0, v1(")
	for i := range f.Sig.Params {
		if i > 0 {
			w.WriteString(", ")
		}
		fmt.Fprintf(&w, "v%d", 100+i)
	}
	w.WriteString(")\n")
	for i := range f.Sig.Returns {
		fmt.Fprintf(&w, "  store v%d, v2+%d\n", 1000+i, 16*i)
	}
	w.WriteString("  return\n}\n")
	g, err := clif.ParseFunction(w.String())
	if err != nil {
		m.t.Fatalf("%v\n%s", err, w.String())
	}
	at := m.place(m.compile(g))
	m.addr["entry "+f.Name.Text] = uintptr(unsafe.Pointer(&m.mem[at]))
}

// call calls a function. Arguments and results are the bits of values of up to
// 64 bits.
func (m *machineCode) call(name string, results int, args ...uint64) []uint64 {
	m.t.Helper()
	entry, code := m.addr["entry "+name], m.addr[name]
	if code == 0 {
		m.t.Fatalf("no function %%%s", name)
	}
	n := max(len(args), results)
	if 16*n > 4096 {
		m.t.Fatal("too many arguments for the buffer")
	}
	buf := m.mem[len(m.mem)-4096:]
	for i, a := range args {
		binary.LittleEndian.PutUint64(buf[16*i:], a)
	}
	type native struct{ code uintptr }
	value := &native{entry}
	f := *(*func(exec, code, buf uintptr) uintptr)(unsafe.Pointer(&value))
	if status := f(m.exec, code, uintptr(unsafe.Pointer(&buf[0]))); status != layout.ExitDone {
		m.t.Fatalf("status %d", status)
	}
	out := make([]uint64, results)
	for i := range out {
		out[i] = binary.LittleEndian.Uint64(buf[16*i:])
	}
	return out
}

// call1 is call for one result.
func (m *machineCode) call1(name string, args ...uint64) uint64 { return m.call(name, 1, args...)[0] }
