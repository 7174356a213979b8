package wasm

// Config says what modules may use. The zero value, like a nil *Config, means
// WebAssembly 3.0 and the default limits.
type Config struct {
	Features Features     // 0 means Features3
	Limits   ModuleLimits // zero fields mean the default
}

// ModuleLimits bound modules. The defaults are the limits of the WebAssembly
// JavaScript interface, so that what runs in browsers runs here.
type ModuleLimits struct {
	ModuleSize   int // bytes
	Types        int
	Funcs        int
	Imports      int
	Exports      int
	Globals      int
	Tags         int
	Tables       int
	Memories     int
	DataSegments int
	ElemSegments int
	ElemLength   int // elements of one segment
	Params       int // of a function or block
	Results      int // of a function or block
	BodySize     int // bytes, with the declarations of locals
	Locals       int // of a function, with its parameters
	Fields       int // of a struct
	NewFixed     int // operands of array.new_fixed
	SubtypeDepth int
	BrTable      int // labels of a br_table
}

// DefaultLimits are the limits in the absence of others.
var DefaultLimits = ModuleLimits{
	ModuleSize:   1 << 30,
	Types:        1_000_000,
	Funcs:        1_000_000,
	Imports:      1_000_000,
	Exports:      1_000_000,
	Globals:      1_000_000,
	Tags:         1_000_000,
	Tables:       100_000,
	Memories:     100,
	DataSegments: 100_000,
	ElemSegments: 10_000_000,
	ElemLength:   10_000_000,
	Params:       1_000,
	Results:      1_000,
	BodySize:     7_654_321,
	Locals:       50_000,
	Fields:       10_000,
	NewFixed:     10_000,
	SubtypeDepth: 63,
	BrTable:      65_520,
}

// settings are a Config with its defaults filled in.
type settings struct {
	features Features
	limits   ModuleLimits
}

func (c *Config) settings() settings {
	s := settings{Features3, DefaultLimits}
	if c == nil {
		return s
	}
	if c.Features != 0 {
		s.features = c.Features
	}
	l, d := c.Limits, &s.limits
	for _, f := range [...]struct {
		given int
		limit *int
	}{
		{l.ModuleSize, &d.ModuleSize}, {l.Types, &d.Types}, {l.Funcs, &d.Funcs}, {l.Imports, &d.Imports},
		{l.Exports, &d.Exports}, {l.Globals, &d.Globals}, {l.Tags, &d.Tags}, {l.Tables, &d.Tables},
		{l.Memories, &d.Memories}, {l.DataSegments, &d.DataSegments}, {l.ElemSegments, &d.ElemSegments},
		{l.ElemLength, &d.ElemLength}, {l.Params, &d.Params}, {l.Results, &d.Results}, {l.BodySize, &d.BodySize},
		{l.Locals, &d.Locals}, {l.Fields, &d.Fields}, {l.NewFixed, &d.NewFixed}, {l.SubtypeDepth, &d.SubtypeDepth},
		{l.BrTable, &d.BrTable},
	} {
		if f.given != 0 {
			*f.limit = f.given
		}
	}
	return s
}
