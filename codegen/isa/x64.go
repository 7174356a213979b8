package isa

import (
	"fmt"
	"strconv"

	"golang.org/x/sys/cpu"
)

// X64 are the instruction set extensions of x86-64. SSE4.2 and POPCNT are
// always there.
type X64 struct {
	HasSSE3, HasSSSE3, HasSSE41, HasSSE42, HasPOPCNT, HasCMPXCHG16B bool

	HasAVX, HasAVX2, HasFMA, HasF16C, HasBMI1, HasBMI2, HasLZCNT bool

	HasERMS bool // rep movsb is the fastest way to copy much

	HasAVXVNNI, HasAVX512F, HasAVX512DQ, HasAVX512BW, HasAVX512VL, HasAVX512VBMI, HasAVX512BITALG, HasAVX512VNNI bool
}

func baselineX64() X64 {
	return X64{HasSSE3: true, HasSSSE3: true, HasSSE41: true, HasSSE42: true, HasPOPCNT: true, HasCMPXCHG16B: true}
}

type x64Flag struct {
	name  string
	field func(*X64) *bool
}

var x64Flags = []x64Flag{
	{"has_sse3", func(x *X64) *bool { return &x.HasSSE3 }},
	{"has_ssse3", func(x *X64) *bool { return &x.HasSSSE3 }},
	{"has_cmpxchg16b", func(x *X64) *bool { return &x.HasCMPXCHG16B }},
	{"has_sse41", func(x *X64) *bool { return &x.HasSSE41 }},
	{"has_sse42", func(x *X64) *bool { return &x.HasSSE42 }},
	{"has_popcnt", func(x *X64) *bool { return &x.HasPOPCNT }},
	{"has_avx", func(x *X64) *bool { return &x.HasAVX }},
	{"has_avx2", func(x *X64) *bool { return &x.HasAVX2 }},
	{"has_fma", func(x *X64) *bool { return &x.HasFMA }},
	{"has_f16c", func(x *X64) *bool { return &x.HasF16C }},
	{"has_bmi1", func(x *X64) *bool { return &x.HasBMI1 }},
	{"has_bmi2", func(x *X64) *bool { return &x.HasBMI2 }},
	{"has_lzcnt", func(x *X64) *bool { return &x.HasLZCNT }},
	{"has_erms", func(x *X64) *bool { return &x.HasERMS }},
	{"has_avx512f", func(x *X64) *bool { return &x.HasAVX512F }},
	{"has_avx512dq", func(x *X64) *bool { return &x.HasAVX512DQ }},
	{"has_avx512bw", func(x *X64) *bool { return &x.HasAVX512BW }},
	{"has_avx512vl", func(x *X64) *bool { return &x.HasAVX512VL }},
	{"has_avx512vbmi", func(x *X64) *bool { return &x.HasAVX512VBMI }},
	{"has_avx512bitalg", func(x *X64) *bool { return &x.HasAVX512BITALG }},
	{"has_avx512vnni", func(x *X64) *bool { return &x.HasAVX512VNNI }},
	{"has_avx_vnni", func(x *X64) *bool { return &x.HasAVXVNNI }},
}

// level is what groups of processors have in common.
type level uint8

const (
	level1      level = iota // SSE2
	levelSSE3                // Core 2 and its time
	levelSSSE3               //
	levelSSE41               // Penryn
	level2                   // Nehalem: SSE4.2, POPCNT
	levelAVX                 // Sandy Bridge
	levelAVXF                // Ivy Bridge: F16C
	level3                   // Haswell: AVX2, BMI, FMA, LZCNT
	level4                   // Skylake server: AVX-512 F, DQ, BW, VL
	levelVBMI                // Cannon Lake
	levelBITALG              // Ice Lake, Zen 4
)

var x64Presets = []struct {
	name string
	is   level
}{
	{"baseline", level1}, {"x86-64", level1}, {"k8", level1}, {"opteron", level1}, {"athlon64", level1}, {"athlon-fx", level1},
	{"k8-sse3", levelSSE3}, {"opteron-sse3", levelSSE3}, {"athlon64-sse3", levelSSE3}, {"amdfam10", levelSSE3}, {"barcelona", levelSSE3}, {"nocona", levelSSE3},
	{"core2", levelSSSE3}, {"bonnell", levelSSSE3}, {"atom", levelSSSE3}, {"penryn", levelSSE41},
	{"nehalem", level2}, {"corei7", level2}, {"westmere", level2}, {"silvermont", level2}, {"slm", level2}, {"goldmont", level2},
	{"goldmont-plus", level2}, {"tremont", level2}, {"x86-64-v2", level2},
	{"sandybridge", levelAVX}, {"corei7-avx", levelAVX}, {"bdver1", levelAVX}, {"ivybridge", levelAVXF}, {"core-avx-i", levelAVXF}, {"bdver2", levelAVXF},
	{"haswell", level3}, {"core-avx2", level3}, {"broadwell", level3}, {"skylake", level3}, {"alderlake", level3}, {"raptorlake", level3}, {"meteorlake", level3}, {"gracemont", level3},
	{"znver1", level3}, {"znver2", level3}, {"znver3", level3}, {"bdver4", level3}, {"x86-64-v3", level3},
	{"skylake-avx512", level4}, {"skx", level4}, {"cascadelake", level4}, {"cooperlake", level4}, {"x86-64-v4", level4}, {"knightslanding", level3}, {"knightsmill", level3},
	{"cannonlake", levelVBMI}, {"icelake-client", levelBITALG}, {"icelake-server", levelBITALG}, {"icelake", levelBITALG}, {"tigerlake", levelBITALG},
	{"rocketlake", levelBITALG}, {"sapphirerapids", levelBITALG}, {"emeraldrapids", levelBITALG}, {"graniterapids", levelBITALG}, {"znver4", levelBITALG}, {"znver5", levelBITALG},
}

// add gives x all that processors of level l have.
func (x *X64) add(l level) {
	set := func(from level, fields ...*bool) {
		if l >= from {
			for _, f := range fields {
				*f = true
			}
		}
	}
	set(levelSSE3, &x.HasSSE3, &x.HasCMPXCHG16B)
	set(levelSSSE3, &x.HasSSSE3)
	set(levelSSE41, &x.HasSSE41)
	set(level2, &x.HasSSE42, &x.HasPOPCNT)
	set(levelAVX, &x.HasAVX)
	set(levelAVXF, &x.HasF16C)
	set(level3, &x.HasAVX2, &x.HasFMA, &x.HasBMI1, &x.HasBMI2, &x.HasLZCNT)
	set(level4, &x.HasERMS, &x.HasAVX512F, &x.HasAVX512DQ, &x.HasAVX512BW, &x.HasAVX512VL)
	set(levelVBMI, &x.HasAVX512VBMI)
	set(levelBITALG, &x.HasAVX512BITALG, &x.HasAVX512VNNI)
}

func (b *Builder) setX64(name, value string, given bool) error {
	for i := range x64Flags {
		if f := &x64Flags[i]; f.name == name {
			return setBool(f.field(&b.isa.X64), name, value, given)
		}
	}
	for i := range x64Presets {
		if p := &x64Presets[i]; p.name == name && !given {
			b.isa.X64.add(p.is)
			return nil
		}
	}
	// A level by the name of the extension that it begins with.
	switch name {
	case "sse3", "ssse3", "sse41", "sse42", "popcnt", "avx", "avx2", "fma", "bmi1", "bmi2", "lzcnt":
		if !given {
			return b.setX64("has_"+name, "", false)
		}
	}
	return fmt.Errorf("setting %q is unknown for target %v", name, b.isa.Triple)
}

// hostX64 asks the processor. The operating system's part in AVX and AVX-512 is
// included in the answers.
func hostX64() X64 {
	c := &cpu.X86
	return X64{
		HasSSE3: c.HasSSE3, HasSSSE3: c.HasSSSE3, HasSSE41: c.HasSSE41, HasSSE42: c.HasSSE42, HasPOPCNT: c.HasPOPCNT, HasCMPXCHG16B: c.HasCX16,
		HasAVX: c.HasAVX, HasAVX2: c.HasAVX2, HasFMA: c.HasFMA, HasBMI1: c.HasBMI1, HasBMI2: c.HasBMI2,
		HasERMS: c.HasERMS,
		// BMI2 came with Haswell, which has LZCNT, and to AMD processors, which
		// had it before. (The feature has no field of its own.)
		HasLZCNT: c.HasBMI2,
		// All processors with FMA have had F16C before it. (Likewise.)
		HasF16C:    c.HasFMA,
		HasAVX512F: c.HasAVX512F, HasAVX512DQ: c.HasAVX512DQ, HasAVX512BW: c.HasAVX512BW, HasAVX512VL: c.HasAVX512VL, HasAVX512VBMI: c.HasAVX512VBMI, HasAVX512BITALG: c.HasAVX512BITALG,
		HasAVXVNNI: c.HasAVXVNNI, HasAVX512VNNI: c.HasAVX512VNNI,
	}
}

// MissingOnHost are the names of the extensions that code for t may use and
// that this machine does not have.
func (t *TargetISA) MissingOnHost() (names []string) {
	host := hostX64()
	for i := range x64Flags {
		if f := &x64Flags[i]; *f.field(&t.X64) && !*f.field(&host) {
			names = append(names, f.name)
		}
	}
	return names
}

// HasBaseline reports whether the processor that this program runs on has what
// all code for x86-64 needs.
func (x *X64) HasBaseline() bool {
	return x.HasSSE3 && x.HasSSSE3 && x.HasSSE41 && x.HasSSE42 && x.HasPOPCNT && x.HasCMPXCHG16B
}

// X64Settings lists the settings of x86-64, for extensions of the instruction
// set, and X64Presets the names that stand for all that a processor has.
func X64Settings() []Setting {
	x := baselineX64()
	list := make([]Setting, len(x64Flags))
	for i := range x64Flags {
		list[i] = Setting{Name: x64Flags[i].name, Values: "true, false", Default: strconv.FormatBool(*x64Flags[i].field(&x))}
	}
	return list
}

// X64Presets lists the presets of x86-64.
func X64Presets() []string {
	list := make([]string, len(x64Presets))
	for i := range x64Presets {
		list[i] = x64Presets[i].name
	}
	return list
}
