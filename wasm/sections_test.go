package wasm_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/davit-wasm/davit/wasm"
)

func TestSections(t *testing.T) {
	const head = "\x00asm\x01\x00\x00\x00"
	got, err := wasm.Sections([]byte(head + "\x01\x01\x00" + "\x00\x03\x01xy" + "\x0c\x01\x00"))
	want := []wasm.SectionRange{
		{ID: wasm.SectionType, Offset: 10, Size: 1},
		{ID: wasm.SectionCustom, Name: "x", Offset: 13, Size: 3},
		{ID: wasm.SectionDataCount, Offset: 18, Size: 1},
	}
	if d := cmp.Diff(want, got); d != "" || err != nil {
		t.Error(err, d)
	}
	for _, bad := range []string{"", "\x00asm\x0d\x00\x01\x00", head + "\x01", head + "\x01\x02\x00", head + "\x00\x01\x05"} {
		if _, err := wasm.Sections([]byte(bad)); err == nil {
			t.Errorf("%q is accepted", bad)
		}
	}
}

func TestUsedFeatures(t *testing.T) {
	i32 := wasm.FuncType{Results: []wasm.ValType{wasm.I32, wasm.I32}}
	m := &wasm.Module{
		Types:     []wasm.SubType{{Final: true, CompositeType: wasm.CompositeType{Func: i32}}},
		RecGroups: []wasm.RecGroup{{Len: 1}},
		Funcs:     []wasm.Func{{}},
		Code:      []wasm.Code{{Body: []byte{0x41, 1, 0xc0, 0x41, 1, 0x0b}}}, // i32.const 1, i32.extend8_s, i32.const 1
		Memories:  []wasm.MemoryType{{PageBits: 16}, {PageBits: 16, Limits: wasm.Limits{Is64: true}}},
	}
	got, err := wasm.UsedFeatures(wasm.Encode(m))
	want := wasm.FeatureMultiValue | wasm.FeatureSignExtension | wasm.FeatureMultiMemory | wasm.FeatureMemory64
	if got != want || err != nil {
		t.Errorf("%v, %v, want %v", got, err, want)
	}
	if got, err := wasm.UsedFeatures([]byte("\x00asm\x01\x00\x00\x00")); got != 0 || err != nil {
		t.Errorf("an empty module needs %v, %v", got, err)
	}
	m.Code[0].Body = []byte{0x0b}
	if _, err := wasm.UsedFeatures(wasm.Encode(m)); err == nil {
		t.Error("what is invalid has features")
	}
}

func TestProducers(t *testing.T) {
	fields := []wasm.ProducersField{{"language", []wasm.Producer{{"Go", "1.26"}, {"C", ""}}}, {"sdk", nil}}
	b := wasm.AppendProducers(nil, fields)
	got, err := wasm.DecodeProducers(b)
	if d := cmp.Diff(fields, got); d != "" || err != nil {
		t.Error(err, d)
	}
	for n := range b {
		if _, err := wasm.DecodeProducers(b[:n]); err == nil {
			t.Errorf("the first %d bytes are accepted", n)
		}
	}
	if _, err := wasm.DecodeProducers(append(b, 0)); err == nil {
		t.Error("bytes behind the end are accepted")
	}
	if _, err := wasm.DecodeProducers([]byte{0xff, 0xff, 0xff, 0xff, 0x0f}); err == nil {
		t.Error("a count without entries is accepted")
	}
}

// FuzzSections checks that the frames of a module are found or refused, and lie
// in it, as do the producers that any section may say there are.
func FuzzSections(f *testing.F) {
	f.Add([]byte("\x00asm\x01\x00\x00\x00\x01\x01\x00\x00\x03\x01xy\x0c\x01\x00"))
	f.Add([]byte("\x00asm\x01\x00\x00\x00\x00\x10\x09producers\x01\x03sdk\x01\x00\x00"))
	f.Fuzz(func(t *testing.T, b []byte) {
		list, _ := wasm.Sections(b)
		end := 8
		for _, s := range list {
			if s.Offset < end+2 || s.Size < 0 || s.Offset+s.Size > len(b) {
				t.Fatalf("section %v of a module of %d bytes, after %d", s, len(b), end)
			}
			end = s.Offset + s.Size
			if s.ID == wasm.SectionCustom {
				wasm.DecodeProducers(b[s.Offset:end])
			}
		}
	})
}
