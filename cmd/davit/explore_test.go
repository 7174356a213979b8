package main

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/google/pprof/profile"
)

// TestPprof: samples are those of the mapping that is the module, by their
// innermost location.
func TestPprof(t *testing.T) {
	module := &profile.Mapping{ID: 1, File: "/elsewhere/m.wasm"}
	host := &profile.Mapping{ID: 2, File: "host"}
	at := func(id, address uint64, m *profile.Mapping) *profile.Location {
		return &profile.Location{ID: id, Address: address, Mapping: m}
	}
	inner, outer, outside := at(1, 0x30, module), at(2, 0x40, module), at(3, 0x30, host)
	p := &profile.Profile{
		SampleType: []*profile.ValueType{{Type: "samples", Unit: "count"}, {Type: "cpu", Unit: "nanoseconds"}},
		Sample: []*profile.Sample{
			{Location: []*profile.Location{inner, outer}, Value: []int64{1, 100}},
			{Location: []*profile.Location{outer}, Value: []int64{2, 200}},
			{Location: []*profile.Location{outside, inner}, Value: []int64{4, 400}},
			{Value: []int64{8, 800}},
		},
		Mapping:  []*profile.Mapping{module, host},
		Location: []*profile.Location{inner, outer, outside},
	}
	write := func(uncompressed bool) []byte {
		t.Helper()
		var b bytes.Buffer
		do := p.Write
		if uncompressed {
			do = p.WriteUncompressed
		}
		if err := do(&b); err != nil {
			t.Fatal(err)
		}
		return b.Bytes()
	}
	for _, uncompressed := range []bool{false, true} {
		got, err := readProfile(write(uncompressed), "m.wasm")
		if err != nil {
			t.Fatal(err)
		}
		if s := fmt.Sprint(got.unit, got.offsets, got.other, got.inBody(0x31, 0x10), got.inBody(0x30, 1)); s != "cpu, nanosecondsmap[48:100 64:200] 1200 200 100" {
			t.Error(s)
		}
	}
	p.DefaultSampleType = "samples"
	if got, err := readProfile(write(false), "m.wasm"); err != nil || got.unit != "samples" || got.other != 12 {
		t.Errorf("%+v, %v", got, err)
	}
	if _, err := readProfile(write(false), "n.wasm"); err == nil || !strings.Contains(err.Error(), `"/elsewhere/m.wasm", "host"`) {
		t.Error(err)
	}
}

// FuzzProfile: whatever is in a file is a profile or an error.
func FuzzProfile(f *testing.F) {
	f.Add([]byte("0x10 3\nf+0x1\n# x\n\n[unknown]\nff f+0x2 (/tmp/x) 4"))
	f.Add([]byte("\x1f\x8b"))
	f.Add([]byte("\x00"))
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := readProfile(data, "m.wasm")
		if err != nil {
			return
		}
		p.inBody(0, 1<<20)
		p.inCode("f")
		p.heat("f", []exploredColumn{{Kind: columnText}, {Kind: columnCode, Lines: []exploredLine{{Offset: 1, Text: "    0:  retq"}}}})
	})
}

// TestDifferences: names of values, places and targets of jumps, and the order
// within an instruction do not count.
func TestDifferences(t *testing.T) {
	lines := func(list ...string) (lines []exploredLine) {
		for i, text := range list {
			lines = append(lines, exploredLine{Offset: i / 3, Text: text})
		}
		return lines
	}
	a := lines("    v1 = iadd v2, v3", "   10:  jne 0x20", "   12:  mov %rax,%rcx", "  v5 = iconst.i32 1", "  v5 = iconst.i32 1", "  v9 = iadd v1, v2")
	b := lines("   1f:  mov %rax,%rcx", "    v7 = iadd v8, v9", "   21:  jne 0x44", "  v6 = iconst.i32 1", "  v6 = iconst.i32 2", "  v9 = isub v1, v2")
	markDifferences(a, b)
	got := ""
	for _, side := range [][]exploredLine{a, b} {
		for _, l := range side {
			if l.Differs {
				got += "!"
			} else {
				got += "."
			}
		}
		got += " "
	}
	if want := "...!.! ....!! "; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

// TestAliases: names that nothing uses are left out.
func TestAliases(t *testing.T) {
	text := "function %f() {\nblock0(v0: i32):\n    v1 -> v0\n    v2 -> v1\n    v3 -> v0\n    v4 = iadd v2, v0\n    v5 -> v3\n"
	got := ""
	for _, l := range clifLines(text) {
		got += l.Text + "\n"
	}
	if want := strings.NewReplacer("    v3 -> v0\n", "", "    v5 -> v3\n", "").Replace(text); got != want {
		t.Errorf("%s", got)
	}
}

// TestInstruction: displacements have signs.
func TestInstruction(t *testing.T) {
	for _, test := range []struct{ code, want string }{
		{"\x48\x89\x85\xb8\xfe\xff\xff", "mov %rax,-0x148(%rbp)"},
		{"\x48\x89\x85\xb8\x0e\x00\x00", "mov %rax,0xeb8(%rbp)"},
		{"\x81\xe1\x00\x00\x00\xff", "and $-0x1000000,%ecx"},
		{"\x06", ".byte 06"},
	} {
		if n, got := instruction([]byte(test.code), 0, nil); got != test.want || n != len(test.code) {
			t.Errorf("%x: %d bytes %q, want %q", test.code, n, got, test.want)
		}
	}
}
