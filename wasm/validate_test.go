package wasm_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/davit-wasm/davit/internal/testdata"
	"github.com/davit-wasm/davit/wasm"
)

// function is a module with one function of the given type and body.
func function(t wasm.FuncType, body ...byte) *wasm.Module {
	return &wasm.Module{
		Types:     []wasm.SubType{{Final: true, CompositeType: wasm.CompositeType{Func: t}}},
		RecGroups: []wasm.RecGroup{{Start: 0, Len: 1}},
		Funcs:     []wasm.Func{{Type: 0}},
		Code:      []wasm.Code{{Body: body}},
	}
}

func refuse(t *testing.T, data []byte, c *wasm.Config, kind wasm.ErrorKind, words string) *wasm.Error {
	t.Helper()
	_, err := load(data, c)
	e, ok := err.(*wasm.Error)
	if !ok {
		t.Fatalf("error %v, want one with %q", err, words)
	}
	if e.Kind != kind || !strings.Contains(e.Error(), words) {
		t.Fatalf("error %q (%v), want %v with %q", e, e.Kind, kind, words)
	}
	return e
}

// TestErrorPlace: an error names offset, function and instruction.
func TestErrorPlace(t *testing.T) {
	m := function(wasm.FuncType{Results: []wasm.ValType{wasm.I32}}, 0x41, 0x01, 0x43, 0, 0, 0, 0, byte(wasm.OpI32Add), byte(wasm.OpEnd))
	m.Names = &wasm.Names{Funcs: wasm.NameMap{{Index: 0, Name: "sum"}}}
	data := wasm.Encode(m)
	e := refuse(t, data, nil, wasm.Invalid, `type mismatch: instruction requires [i32 i32] but stack has [i32 f32] (i32.add, function 0 "sum", offset `)
	if data[e.Offset] != byte(wasm.OpI32Add) {
		t.Errorf("offset %#x is not the instruction's", e.Offset)
	}
}

// TestNoAllocs: a validator that has warmed up allocates nothing.
func TestNoAllocs(t *testing.T) {
	data, err := os.ReadFile(filepath.Join(testdata.Real(t), "hello-c.wasm"))
	if err != nil {
		t.Fatal(err)
	}
	m, err := wasm.Decode(data, nil)
	if err != nil {
		t.Fatal(err)
	}
	env, err := wasm.NewEnv(m, nil)
	if err != nil {
		t.Fatal(err)
	}
	var v wasm.FuncValidator
	var in wasm.Instr
	instrs := 0
	run := func() {
		for i := m.NumImportedFuncs; i < len(m.Funcs); i++ {
			if err := v.Reset(env, uint32(i)); err != nil {
				t.Fatal(err)
			}
			for {
				more, err := v.Next(&in)
				if err != nil {
					t.Fatal(err)
				}
				if !more {
					break
				}
				instrs++
			}
		}
	}
	run()
	if n := testing.AllocsPerRun(3, run); n != 0 {
		t.Errorf("%v allocations", n)
	}
	if instrs < 1000 {
		t.Errorf("only %d instructions read", instrs)
	}
}

// TestHostile: input that claims or nests much is refused or accepted quickly,
// and costs memory in proportion to its size.
func TestHostile(t *testing.T) {
	const deep = 1_000_000
	blocks := bytes.Repeat([]byte{byte(wasm.OpBlock), 0x40}, deep)
	nested := append(blocks, bytes.Repeat([]byte{byte(wasm.OpEnd)}, deep+1)...)
	if _, err := load(wasm.Encode(function(wasm.FuncType{}, nested...)), nil); err != nil {
		t.Errorf("%d nested blocks: %v", deep, err)
	}
	refuse(t, wasm.Encode(function(wasm.FuncType{}, blocks...)), nil, wasm.Malformed, "unexpected end")

	header := "\x00asm\x01\x00\x00\x00"
	const huge = "\xff\xff\xff\xff\x0f"
	for name, section := range map[string]string{
		"types": "\x01\x05" + huge, "imports": "\x02\x05" + huge, "functions": "\x03\x05" + huge, "tables": "\x04\x05" + huge,
		"memories": "\x05\x05" + huge, "globals": "\x06\x05" + huge, "exports": "\x07\x05" + huge, "elements": "\x09\x05" + huge,
		"code": "\x0a\x05" + huge, "data": "\x0b\x05" + huge, "tags": "\x0d\x05" + huge,
		"parameters": "\x01\x07\x01\x60" + huge, "a section": "\x01" + huge, "a name": "\x00\x05" + huge,
		"types within the limit": "\x01\x04\xc0\x84\x3d\x60",
	} {
		if _, err := load([]byte(header+section), nil); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}

	table := []byte{byte(wasm.OpI32Const), 0, byte(wasm.OpBrTable)}
	table = wasm.AppendU32(table, 65_520)
	table = append(table, make([]byte, 65_521)...)
	if _, err := load(wasm.Encode(function(wasm.FuncType{}, append(table, byte(wasm.OpEnd))...)), nil); err != nil {
		t.Errorf("long br_table: %v", err)
	}
}

func TestLimits(t *testing.T) {
	i32s := func(n int) []wasm.ValType {
		ts := make([]wasm.ValType, n)
		for i := range ts {
			ts[i] = wasm.I32
		}
		return ts
	}
	locals := function(wasm.FuncType{Params: i32s(1000)}, byte(wasm.OpEnd))
	locals.Code[0].Locals = []wasm.LocalGroup{{Count: 49_001, Type: wasm.I32}}
	refuse(t, wasm.Encode(locals), nil, wasm.LimitExceeded, "too many locals")
	locals.Code[0].Locals[0].Count--
	if _, err := load(wasm.Encode(locals), nil); err != nil {
		t.Error(err)
	}
	refuse(t, wasm.Encode(function(wasm.FuncType{Params: i32s(1001)}, byte(wasm.OpEnd))), nil, wasm.LimitExceeded, "too many parameters")
	body := append(make([]byte, 7_654_320), byte(wasm.OpEnd))
	for i := range len(body) - 1 {
		body[i] = byte(wasm.OpNop)
	}
	refuse(t, wasm.Encode(function(wasm.FuncType{}, body...)), nil, wasm.LimitExceeded, "function body too large")
	small := &wasm.Config{Limits: wasm.ModuleLimits{Funcs: 1, ModuleSize: 100}}
	one := function(wasm.FuncType{}, byte(wasm.OpEnd))
	if _, err := load(wasm.Encode(one), small); err != nil {
		t.Error(err)
	}
	one.Funcs = append(one.Funcs, one.Funcs[0])
	one.Code = append(one.Code, one.Code[0])
	refuse(t, wasm.Encode(one), small, wasm.LimitExceeded, "too many functions")
	refuse(t, make([]byte, 101), small, wasm.LimitExceeded, "module too large")
}

// TestFeatures: what is not enabled is refused by name.
func TestFeatures(t *testing.T) {
	instr := func(op wasm.Opcode, imm ...byte) []byte {
		return append(append(wasm.AppendOpcode(nil, op), imm...), byte(wasm.OpEnd))
	}
	for _, c := range []struct {
		feature wasm.Features
		m       *wasm.Module
		words   string
	}{
		{wasm.FeatureSignExtension, function(wasm.FuncType{}, instr(wasm.OpI32Extend8S)...), "sign-extension"},
		{wasm.FeatureSaturatingFloatToInt, function(wasm.FuncType{}, instr(wasm.OpI32TruncSatF32S)...), "saturating-float-to-int"},
		{wasm.FeatureBulkMemory, function(wasm.FuncType{}, instr(wasm.OpMemoryFill, 0)...), "bulk-memory"},
		{wasm.FeatureReferenceTypes, function(wasm.FuncType{}, instr(wasm.OpRefNull, 0x70)...), "reference-types"},
		{wasm.FeatureSIMD, function(wasm.FuncType{}, instr(wasm.OpV128Not)...), "simd"},
		{wasm.FeatureSIMD, function(wasm.FuncType{Params: []wasm.ValType{wasm.V128}}, byte(wasm.OpEnd)), "simd"},
		{wasm.FeatureRelaxedSIMD, function(wasm.FuncType{}, instr(wasm.OpF32x4RelaxedMadd)...), "relaxed-simd"},
		{wasm.FeatureTailCall, function(wasm.FuncType{}, instr(wasm.OpReturnCall, 0)...), "tail-call"},
		{wasm.FeatureFunctionReferences, function(wasm.FuncType{}, instr(wasm.OpCallRef, 0)...), "function-references"},
		{wasm.FeatureGC, function(wasm.FuncType{Params: []wasm.ValType{wasm.AnyRef}}, byte(wasm.OpEnd)), "gc"},
		{wasm.FeatureExceptions, function(wasm.FuncType{}, instr(wasm.OpThrowRef)...), "exceptions"},
		{wasm.FeatureThreads, function(wasm.FuncType{}, instr(wasm.OpAtomicFence, 0)...), "threads"},
		{wasm.FeatureWideArithmetic, function(wasm.FuncType{}, instr(wasm.OpI64Add128)...), "wide-arithmetic"},
		{wasm.FeatureMultiValue, function(wasm.FuncType{Results: []wasm.ValType{wasm.I32, wasm.I32}}, byte(wasm.OpUnreachable), byte(wasm.OpEnd)), "multi-value"},
	} {
		data := wasm.Encode(c.m)
		refuse(t, data, &wasm.Config{Features: wasm.FeaturesAll &^ c.feature}, wasm.Unsupported, c.words)
		if _, err := load(data, &wasm.Config{Features: wasm.FeaturesAll}); err != nil {
			if e := err.(*wasm.Error); e.Kind != wasm.Invalid { // some bodies are not well typed
				t.Errorf("%s: %v", c.words, err)
			}
		}
	}
}

// TestOpcodes checks the properties of the table that readers rely on.
func TestOpcodes(t *testing.T) {
	n := 0
	for op := range wasm.Opcode(wasm.NumOpcodes) {
		info := op.Info()
		if info.Name == "" {
			continue
		}
		n++
		enc := wasm.AppendOpcode(nil, op)
		var r wasm.InstrReader
		var in wasm.Instr
		r.Reset(append(enc, make([]byte, 40)...), 0, &wasm.Config{Features: wasm.FeaturesAll})
		if _, err := r.Next(&in); err != nil || in.Op != op {
			t.Errorf("%v is encoded as % x, which reads as %v (%v)", op, enc, in.Op, err)
		}
		if found, ok := wasm.LookupOp(info.Name); !ok || found.Info().Name != info.Name {
			t.Errorf("LookupOp(%q) = %v, %v", info.Name, found, ok)
		}
	}
	if n != 570 {
		t.Errorf("%d instructions", n)
	}
}
