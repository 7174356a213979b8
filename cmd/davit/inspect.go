package main

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/davit-wasm/davit"
	"github.com/davit-wasm/davit/internal/compile"
	"github.com/davit-wasm/davit/wasm"
)

func init() { commands = append(commands, inspectCommand) }

func inspectCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "inspect FILE",
		Short: "Show what a module imports, exports, uses and consists of",
		Long: `Show what a module imports and exports, which features of WebAssembly it uses
and whether davit can run them, what tools made it, the sizes of its sections
and its largest functions.`,
		Example: "  davit inspect hello.wasm\n  davit inspect --json hello.wasm",
		Args:    oneArg("the file to inspect"),
		RunE: func(cmd *cobra.Command, args []string) error {
			code, err := readModule(cmd, args[0])
			if err != nil {
				return err
			}
			r, err := inspect(code)
			if err != nil {
				return inFile(args[0], code.locate(err))
			}
			if asJSON {
				return writeJSON(cmd.OutOrStdout(), r)
			}
			return r.write(cmd.OutOrStdout())
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// inspection is what `davit inspect` says of a module. Sizes are in bytes.
type inspection struct {
	File        string           `json:"file"`
	Format      string           `json:"format"` // binary or text
	Size        int              `json:"size"`   // in the binary format
	Name        string           `json:"name,omitempty"`
	Features    []string         `json:"features"`
	Unsupported []string         `json:"unsupported_features,omitempty"` // of them, those that davit cannot run
	Imports     []inspectImport  `json:"imports"`
	Exports     []inspectExport  `json:"exports"`
	Sections    []inspectSection `json:"sections"`
	Functions   int              `json:"functions"` // without imported ones
	CodeSize    int              `json:"code_size"`
	Largest     []inspectFunc    `json:"largest_functions,omitempty"`
	Memories    []string         `json:"memories,omitempty"` // without imported ones, as the text format has them
	Tables      []string         `json:"tables,omitempty"`
	Globals     int              `json:"globals"`
	DataSize    int              `json:"data_size"`
	Start       *uint32          `json:"start,omitempty"`
	Producers   []inspectTool    `json:"producers,omitempty"`
	Target      []string         `json:"target_features,omitempty"` // what the compiler was told that it may use
	Names       map[string]int   `json:"names,omitempty"`           // how many entities of a kind have names
}

type inspectImport struct {
	Module string `json:"module"`
	Name   string `json:"name"`
	Type   string `json:"type"`
}

type inspectExport struct {
	Name string `json:"name"`
	Type string `json:"type"`
}

type inspectSection struct {
	Section string `json:"section"`
	Name    string `json:"name,omitempty"`
	Offset  int    `json:"offset"`
	Size    int    `json:"size"`
}

type inspectFunc struct {
	Index int    `json:"index"`
	Name  string `json:"name,omitempty"`
	Size  int    `json:"size"`
}

type inspectTool struct {
	Kind    string `json:"kind"`
	Name    string `json:"name"`
	Version string `json:"version,omitempty"`
}

// inspect looks at a module, which must be valid.
func inspect(code *module) (*inspection, error) {
	used, err := wasm.UsedFeatures(code.binary)
	if err != nil {
		return nil, err
	}
	m, err := wasm.Decode(code.binary, &wasm.Config{Features: wasm.FeaturesAll})
	if err != nil {
		return nil, err
	}
	r := &inspection{
		File: code.file, Format: "binary", Size: len(code.binary), Functions: len(m.Code), CodeSize: m.CodeSize,
		Globals: len(m.Globals) - m.NumImportedGlobals, Imports: []inspectImport{}, Exports: []inspectExport{}, Features: []string{},
	}
	if code.text != nil {
		r.Format = "text"
	}
	r.Features = append(r.Features, featureList(used)...)
	r.Unsupported = featureList(used &^ compile.Features)
	for i := range m.Imports {
		im := &m.Imports[i]
		r.Imports = append(r.Imports, inspectImport{im.Module, im.Name, entityType(m, im.Kind, im.Index)})
	}
	for _, x := range m.Exports {
		r.Exports = append(r.Exports, inspectExport{x.Name, entityType(m, x.Kind, x.Index)})
	}
	sections, err := wasm.Sections(code.binary)
	if err != nil {
		return nil, err
	}
	for _, s := range sections {
		r.Sections = append(r.Sections, inspectSection{s.ID.String(), s.Name, s.Offset, s.Size})
	}
	for i := range m.Code {
		index := m.NumImportedFuncs + i
		r.Largest = append(r.Largest, inspectFunc{index, m.Names.FuncName(uint32(index)), len(m.Code[i].Body)})
	}
	slices.SortStableFunc(r.Largest, func(a, b inspectFunc) int { return cmp.Compare(b.Size, a.Size) })
	r.Largest = r.Largest[:min(len(r.Largest), 5)]
	for i := m.NumImportedMemories; i < len(m.Memories); i++ {
		r.Memories = append(r.Memories, entityType(m, wasm.KindMemory, uint32(i)))
	}
	for i := m.NumImportedTables; i < len(m.Tables); i++ {
		r.Tables = append(r.Tables, entityType(m, wasm.KindTable, uint32(i)))
	}
	for i := range m.Datas {
		r.DataSize += len(m.Datas[i].Init)
	}
	if m.HasStart {
		r.Start = &m.Start
	}
	for _, c := range m.Customs {
		switch c.Name {
		case wasm.ProducersName:
			fields, _ := wasm.DecodeProducers(c.Data) // what cannot be read says nothing
			for _, f := range fields {
				for _, t := range f.Tools {
					r.Producers = append(r.Producers, inspectTool{f.Name, t.Name, t.Version})
				}
			}
		case "target_features":
			r.Target = targetFeatures(c.Data)
		}
	}
	if n := m.Names; n != nil {
		r.Name = n.Module
		r.Names = map[string]int{}
		for _, x := range []struct {
			kind string
			n    int
		}{
			{"functions", len(n.Funcs)}, {"locals", countNames(n.Locals)}, {"labels", countNames(n.Labels)},
			{"types", len(n.Types)}, {"tables", len(n.Tables)}, {"memories", len(n.Memories)}, {"globals", len(n.Globals)},
			{"elements", len(n.Elems)}, {"data", len(n.Datas)}, {"fields", countNames(n.Fields)}, {"tags", len(n.Tags)},
		} {
			if x.n > 0 {
				r.Names[x.kind] = x.n
			}
		}
	}
	return r, nil
}

func featureList(f wasm.Features) []string {
	if f == 0 {
		return nil
	}
	return strings.Split(f.String(), ",")
}

func countNames(list []wasm.IndirectName) (n int) {
	for i := range list {
		n += len(list[i].Names)
	}
	return n
}

// targetFeatures reads the section in which LLVM says what features a module was
// compiled for, each with a sign: a count and so many signs with names.
func targetFeatures(data []byte) (list []string) {
	// All sizes of the tool's are below 128: one byte each.
	for i := 1; i+1 < len(data) && data[0] < 0x80; {
		sign, n := data[i], int(data[i+1])
		if n >= 0x80 || i+2+n > len(data) {
			break
		}
		list = append(list, string(sign)+string(data[i+2:i+2+n]))
		i += 2 + n
	}
	return list
}

// entityType is the type of entity i of a kind, after the kind's keyword.
func entityType(m *wasm.Module, kind wasm.Kind, i uint32) string {
	var t davit.ExternType
	switch kind {
	case wasm.KindFunc:
		t.Func = m.FuncTypeOf(i)
	case wasm.KindTable:
		t.Table = &m.Tables[i].Type
	case wasm.KindMemory:
		t.Memory = &m.Memories[i]
	case wasm.KindGlobal:
		t.Global = &m.Globals[i].Type
	case wasm.KindTag:
		t.Tag = &m.Types[m.Tags[i].Type].Func
	}
	return t.String()
}

// write writes r for people.
func (r *inspection) write(out io.Writer) error {
	w := tabwriter.NewWriter(out, 0, 8, 2, ' ', 0)
	fmt.Fprintf(w, "module\t%s\n", r.File)
	if r.Name != "" {
		fmt.Fprintf(w, "name\t%s\n", r.Name)
	}
	size := formatSize(r.Size)
	if r.Format == "text" {
		size += " in the binary format"
	}
	fmt.Fprintf(w, "size\t%s\n", size)
	features := strings.Join(r.Features, ", ")
	if len(r.Features) == 0 {
		features = "those of the first version"
	}
	fmt.Fprintf(w, "features\t%s\n", features)
	if len(r.Unsupported) > 0 {
		fmt.Fprintf(w, "\tnot supported here: %s\n", strings.Join(r.Unsupported, ", "))
	}
	fmt.Fprintf(w, "functions\t%d, %s of code\n", r.Functions, formatSize(r.CodeSize))
	for _, m := range append(r.Memories, r.Tables...) {
		kind, t, _ := strings.Cut(m, " ")
		fmt.Fprintf(w, "%s\t%s\n", kind, t)
	}
	fmt.Fprintf(w, "globals\t%d\n", r.Globals)
	fmt.Fprintf(w, "data\t%s\n", formatSize(r.DataSize))
	if r.Start != nil {
		fmt.Fprintf(w, "start\tfunction %d\n", *r.Start)
	}
	for _, t := range r.Producers {
		fmt.Fprintf(w, "%s\t%s %s\n", t.Kind, t.Name, t.Version)
	}
	if len(r.Target) > 0 {
		fmt.Fprintf(w, "compiled for\t%s\n", strings.Join(r.Target, " "))
	}
	var names []string
	for kind, n := range r.Names {
		names = append(names, fmt.Sprint(n, " ", kind))
	}
	slices.SortFunc(names, func(a, b string) int {
		return cmp.Compare(a[strings.IndexByte(a, ' '):], b[strings.IndexByte(b, ' '):])
	})
	if len(names) > 0 {
		fmt.Fprintf(w, "names of\t%s\n", strings.Join(names, ", "))
	}
	table := func(title string, n int, line func(i int) string) {
		fmt.Fprintf(w, "\n%s\n", title)
		for i := range n {
			fmt.Fprintf(w, "  %s\n", line(i))
		}
	}
	if len(r.Imports) > 0 {
		table("imports", len(r.Imports), func(i int) string {
			return fmt.Sprintf("%q %q\t%s", r.Imports[i].Module, r.Imports[i].Name, r.Imports[i].Type)
		})
	}
	if len(r.Exports) > 0 {
		table("exports", len(r.Exports), func(i int) string { return fmt.Sprintf("%q\t%s", r.Exports[i].Name, r.Exports[i].Type) })
	}
	if len(r.Sections) > 0 {
		table("sections", len(r.Sections), func(i int) string {
			s := &r.Sections[i]
			name := s.Section
			if s.Section == "custom" {
				name = fmt.Sprintf("custom %q", s.Name)
			}
			return fmt.Sprintf("%s\tat %#x\t%s", name, s.Offset, formatSize(s.Size))
		})
	}
	if len(r.Largest) > 0 {
		table("largest functions", len(r.Largest), func(i int) string {
			f := &r.Largest[i]
			return fmt.Sprintf("%d\t%s\t%s", f.Index, orElse(f.Name, "-"), formatSize(f.Size))
		})
	}
	return w.Flush()
}

// formatSize writes a number of bytes, long ones in a larger unit too.
func formatSize(n int) string {
	switch {
	case n == 1:
		return "1 byte"
	case n >= 1<<20:
		return fmt.Sprintf("%d bytes (%.1f MiB)", n, float64(n)/(1<<20))
	case n >= 10<<10:
		return fmt.Sprintf("%d bytes (%d KiB)", n, n>>10)
	}
	return fmt.Sprintf("%d bytes", n)
}
