package main

import (
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"io"
	"regexp"
	"slices"
	"sort"
	"strconv"
	"strings"

	"github.com/ianlancetaylor/demangle"
	"github.com/spf13/cobra"

	"github.com/davit-wasm/davit/codegen"
	"github.com/davit-wasm/davit/codegen/clif"
	"github.com/davit-wasm/davit/codegen/ir"
	"github.com/davit-wasm/davit/internal/compile"
	"github.com/davit-wasm/davit/internal/image"
	"github.com/davit-wasm/davit/wasm"
	"github.com/davit-wasm/davit/wat"
)

func init() { commands = append(commands, exploreCommand) }

//go:embed explore.html
var explorePage string

var exploreTemplate = template.Must(template.New("explore").Parse(explorePage))

func exploreCommand() *cobra.Command {
	var (
		out, cpu, profileFile    string
		funcs, settings, compare []string
		limit                    int
		fuel                     bool
	)
	cmd := &cobra.Command{
		Use:   "explore FILE",
		Short: "Show in a web page what becomes of a module's functions",
		Long: `Write a web page that shows what becomes of a module's functions on the way to
machine code: their text, the CLIF they are translated to, what the optimizer
makes of it, and the machine code, side by side. A line that the mouse is over
lights up what belongs to the same instruction; a click brings it into sight
everywhere. The page needs nothing but itself.

Of large modules only the largest functions are shown, or, with a profile, the
hottest: see --max.

--compare compiles a second time, with other settings on top of those of --set,
and shows both: lines are marked where the code for the same instruction is not
the same, whatever the names of values and places of jumps. --compare fuel compares
with code that counts fuel.

--profile colours lines by samples. A profile in pprof's format has offsets in
the module as addresses, and the module as their mapping's file. In one in text,
each line is an offset in the module in hexadecimal and a number of samples, or
a function's name, an offset in its machine code and a number, which may be
missing, as in the output of perf script -G -F sym,symoff:

  0x1a2f 17
  quicksort+0x4c 3`,
		Example: `  davit explore -o add.html add.wat
  davit explore --func add --set opt_level=none -o add.html add.wat
  davit explore --compare opt_level=none -o add.html add.wat
  davit explore --compare fuel -o add.html add.wat
  davit explore --profile add.samples -o add.html add.wat`,
		Args: oneArg("a module"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := checkTarget(cmd, "", cpu, "--set", settings); err != nil {
				return err
			}
			others := slices.DeleteFunc(slices.Clone(compare), func(s string) bool { return s == compareFuel })
			if err := checkTarget(cmd, "", cpu, "--compare", others); err != nil {
				return err
			}
			code, err := readModule(cmd, args[0])
			if err != nil {
				return err
			}
			m, err := wasm.Decode(code.binary, &wasm.Config{Features: wasm.FeaturesAll})
			if err != nil {
				return inFile(args[0], err)
			}
			e := explorer{module: m, cpu: cpu, settings: settings, fuel: fuel, compare: compare}
			if profileFile != "" {
				data, err := readFile(cmd, profileFile)
				if err != nil {
					return err
				}
				if e.profile, err = readProfile(data, args[0]); err != nil {
					return inFile(profileFile, err)
				}
				e.renameSamples()
			}
			want, err := wantedFuncs(m, funcs)
			if err != nil {
				return inFile(args[0], err)
			}
			slices.Sort(want)
			if len(funcs) == 0 {
				want = e.mostInteresting(limit)
			}
			page, err := e.explore(code.binary, slices.Compact(want))
			if err != nil {
				return inFile(args[0], code.locate(err))
			}
			page.File = args[0]
			var text strings.Builder
			if err := page.write(&text); err != nil {
				return err
			}
			return writeOutput(cmd, out, []byte(text.String()), false)
		},
	}
	f := cmd.Flags()
	f.StringVarP(&out, "output", "o", "", "write to `FILE` instead of standard output")
	f.StringArrayVar(&funcs, "func", nil, "show this function, by index or name of an export, and no other (may be repeated)")
	f.IntVar(&limit, "max", 200, "show no more than so many functions, the hottest and largest ones")
	f.StringVar(&cpu, "cpu", "", "compile for this model of processor")
	f.StringArrayVar(&settings, "set", nil, "a setting of the code generator, as NAME=VALUE")
	f.BoolVar(&fuel, "fuel", false, "show code that counts the instructions that run")
	f.StringArrayVar(&compare, "compare", nil, "compare with the code made with this setting, as NAME=VALUE, or fuel (may be repeated)")
	f.StringVar(&profileFile, "profile", "", "colour lines by the samples in `FILE`")
	return cmd
}

// exploredPage is what the page shows.
type exploredPage struct {
	File      string         `json:"file"`
	Target    string         `json:"target"`
	Variants  []string       `json:"variants"` // what the code was made with, if there are two
	Unit      string         `json:"unit"`     // of samples; "" if there is no profile
	Total     int64          `json:"total"`    // of all samples, in functions that are not shown too
	Elsewhere int64          `json:"elsewhere"`
	Left      int            `json:"left"` // functions that are not shown
	Functions []exploredFunc `json:"functions"`
}

type exploredFunc struct {
	Index   uint32           `json:"index"`
	Name    string           `json:"name"`
	Sizes   []int            `json:"sizes"` // of the code that it becomes, in bytes, by variants
	Samples int64            `json:"samples"`
	Columns []exploredColumn `json:"-"` // left to right
}

// Kinds of columns.
const (
	columnText = "wat"
	columnCLIF = "clif"
	columnCode = "code"
)

type exploredColumn struct {
	Title  string         `json:"title"`
	Kind   string         `json:"kind"`
	Hidden bool           `json:"hidden,omitempty"` // at first
	Lines  []exploredLine `json:"lines"`
}

// exploredLine is a line of text with the offset in the module of the
// instruction that it belongs to, or -1.
type exploredLine struct {
	Offset  int
	Text    string
	Samples int64
	Differs bool // from the other variant
}

// MarshalJSON writes a line as a list, whose end is left out where it is zero.
func (l exploredLine) MarshalJSON() ([]byte, error) {
	list := []any{l.Offset, l.Text}
	if l.Samples != 0 || l.Differs {
		list = append(list, l.Samples)
	}
	if l.Differs {
		list = append(list, 1)
	}
	return json.Marshal(list)
}

// at is the line of machine code that an offset is in; -1 if there is none.
func (c *exploredColumn) at(offset uint32) int {
	return sort.Search(len(c.Lines), func(i int) bool { at, _ := codeOffset(c.Lines[i].Text); return at > offset }) - 1
}

// write writes the page. The columns of each function are an element of their
// own, which is not read before the function is shown.
func (p *exploredPage) write(w io.Writer) error {
	encode := func(v any) template.JS {
		data, err := json.Marshal(v)
		if err != nil {
			panic(err) // there are strings and numbers only
		}
		return template.JS(data)
	}
	columns := make([]template.JS, len(p.Functions))
	for i := range p.Functions {
		columns[i] = encode(p.Functions[i].Columns)
	}
	return exploreTemplate.Execute(w, struct {
		File    string
		Data    template.JS
		Columns []template.JS
	}{p.File, encode(p), columns})
}

type explorer struct {
	module   *wasm.Module
	cpu      string
	settings []string
	fuel     bool
	compare  []string       // settings of a second variant, or compareFuel; nil if there is none
	profile  *moduleProfile // may be nil
	exports  map[uint32]string
}

// compareFuel among the settings of a second variant makes it count fuel.
const compareFuel = "fuel"

// renameSamples gives samples by functions in machine code the names that the
// explorer uses: davit run --perf tells perf others, readable ones with the module's
// name before them.
func (e *explorer) renameSamples() {
	code := e.profile.code
	if len(code) == 0 {
		return
	}
	prefix := ""
	if e.module.Names != nil && e.module.Names.Module != "" {
		prefix = e.module.Names.Module + "!"
	}
	for i := range e.module.Code {
		name := e.name(uint32(e.module.NumImportedFuncs + i))
		for _, other := range []string{prefix + name, demangle.Filter(name), prefix + demangle.Filter(name)} {
			samples, ok := code[other]
			if !ok || other == name {
				continue
			}
			delete(code, other)
			if code[name] == nil {
				code[name] = map[uint32]int64{}
			}
			for at, n := range samples {
				code[name][at] += n
			}
		}
	}
}

// mostInteresting are the indexes of the n hottest functions, of those as hot as
// each other the largest, in order.
func (e *explorer) mostInteresting(n int) []uint32 {
	list := make([]uint32, len(e.module.Code))
	samples := make([]int64, len(list))
	for i := range list {
		list[i] = uint32(i)
		if e.profile != nil {
			samples[i] = e.samples(uint32(e.module.NumImportedFuncs + i))
		}
	}
	size := func(i uint32) int { return len(e.module.Code[i].Body) }
	slices.SortStableFunc(list, func(a, b uint32) int {
		if samples[a] != samples[b] {
			return int(min(max(samples[b]-samples[a], -1), 1))
		}
		return size(b) - size(a)
	})
	list = list[:min(max(n, 0), len(list))]
	for i := range list {
		list[i] += uint32(e.module.NumImportedFuncs)
	}
	slices.Sort(list)
	return list
}

// samples are those of a function.
func (e *explorer) samples(index uint32) int64 {
	body := e.module.Body(index)
	return e.profile.inBody(body.Offset, len(body.Body)) + e.profile.inCode(e.name(index))
}

// errEnough ends the translation when all functions wanted have been seen.
var errEnough = errors.New("enough")

// explore compiles the functions wanted, whose indexes are in order.
func (e *explorer) explore(binary []byte, want []uint32) (*exploredPage, error) {
	page := &exploredPage{Left: len(e.module.Code) - len(want), Functions: make([]exploredFunc, len(want))}
	texts, err := e.texts()
	if err != nil {
		return nil, err
	}
	for i, index := range want {
		f := &page.Functions[i]
		f.Index, f.Name = index, e.name(index)
		f.Columns = []exploredColumn{{Title: "WebAssembly", Kind: columnText, Lines: texts[int(index)-e.module.NumImportedFuncs]}}
	}
	if err := e.variant(page, binary, e.settings, e.fuel, ""); err != nil {
		return nil, err
	}
	if e.compare != nil {
		page.Variants = []string{strings.Join(e.settings, " "), strings.Join(e.compare, " ")}
		if page.Variants[0] == "" {
			page.Variants[0] = "default"
		}
		settings, fuel := slices.Clone(e.settings), e.fuel
		for _, s := range e.compare {
			if s == compareFuel {
				fuel = true
			} else {
				settings = append(settings, s)
			}
		}
		if err := e.variant(page, binary, settings, fuel, page.Variants[1]); err != nil {
			return nil, err
		}
		for i := range page.Functions {
			page.Functions[i].arrange(page.Variants)
		}
	}
	if e.profile == nil {
		return page, nil
	}
	page.Unit, page.Elsewhere = e.profile.unit, e.profile.other
	for i := range e.module.Code {
		page.Total += e.samples(uint32(e.module.NumImportedFuncs + i))
	}
	for i := range page.Functions {
		f := &page.Functions[i]
		f.Samples = e.samples(f.Index)
		e.profile.heat(f.Name, f.Columns)
	}
	return page, nil
}

// variant adds columns to the functions of the page, made with settings.
func (e *explorer) variant(page *exploredPage, binary []byte, settings []string, fuel bool, label string) error {
	target, err := compile.TargetOf("", e.cpu, settings...)
	if err != nil {
		return err
	}
	page.Target = target.Triple.String()
	var ctx codegen.Context
	next := 0
	err = compile.Functions(binary, &compile.Options{Target: target, Settings: image.Settings{Fuel: fuel}}, func(f *ir.Function, inline func(*codegen.InlineCall) *ir.Function) error {
		if next == len(page.Functions) {
			return errEnough
		}
		x := &page.Functions[next]
		if f.Name.Index != x.Index {
			return nil
		}
		next++
		column := func(title, kind string, lines []exploredLine) {
			x.Columns = append(x.Columns, exploredColumn{Title: title, Kind: kind, Lines: lines})
		}
		column("CLIF", columnCLIF, clifLines(clif.Format(f)))
		code, err := ctx.Compile(f, target, codegen.Options{Inline: inline, After: func(pass string, c *codegen.Context) {
			if pass == "optimize" {
				column("optimized", columnCLIF, clifLines(clif.Format(f)))
			}
		}})
		if err != nil {
			return err
		}
		x.Sizes = append(x.Sizes, len(code.Text))
		column("machine code", columnCode, machineLines(code))
		return nil
	})
	if errors.Is(err, errEnough) {
		return nil
	}
	if err != nil && label != "" {
		return fmt.Errorf("with %s: %w", label, err)
	}
	return err
}

// arrange puts the columns of two variants side by side, and marks what differs.
func (f *exploredFunc) arrange(variants []string) {
	// WebAssembly; CLIF, optimized and machine code of one, and of the other.
	c := f.Columns
	text, clif, first, second := c[0], c[1], c[2:4], c[5:7]
	for i := range first {
		first[i].Title += " · " + variants[0]
		second[i].Title += " · " + variants[1]
		markDifferences(first[i].Lines, second[i].Lines)
	}
	clif.Hidden = true
	f.Columns = []exploredColumn{text, clif, first[0], second[0], first[1], second[1]}
}

// markDifferences marks the lines that the other side does not have for the same
// instruction of WebAssembly, as often, whatever the names of values and the
// places of code. Order within an instruction does not count: scheduling is no
// difference.
func markDifferences(a, b []exploredLine) {
	type key struct {
		offset int
		text   string
	}
	keys := [2][]key{}
	counts := map[key][2]int{}
	for side, lines := range [][]exploredLine{a, b} {
		keys[side] = make([]key, len(lines))
		for i, l := range lines {
			k := key{l.Offset, plain(l.Text)}
			keys[side][i] = k
			n := counts[k]
			n[side]++
			counts[k] = n
		}
	}
	for side, lines := range [][]exploredLine{a, b} {
		for i, k := range keys[side] {
			n := counts[k]
			if n[side] <= n[1-side] {
				continue
			}
			lines[i].Differs = true
			n[side]-- // the rest has a counterpart
			counts[k] = n
		}
	}
}

// meaningless are the parts of lines that differ without meaning: values and blocks of
// CLIF, the offset before an instruction of machine code, the target of a jump.
var meaningless = regexp.MustCompile(`^ *[0-9a-f]+:|\b(v|block|inst|ss|sig|fn|gv)[0-9]+\b|\b(j[a-z]+|callq?) +0x[0-9a-f]+|; .*$`)

func plain(line string) string {
	return strings.TrimSpace(meaningless.ReplaceAllString(line, "$1$2"))
}

// name is that of the name section, else of an export, else the index.
func (e *explorer) name(index uint32) string {
	if n := e.module.Names.FuncName(index); n != "" {
		return n
	}
	if e.exports == nil {
		e.exports = map[uint32]string{}
		for i := range e.module.Exports {
			if x := &e.module.Exports[i]; x.Kind == wasm.KindFunc && e.exports[x.Index] == "" {
				e.exports[x.Index] = x.Name
			}
		}
	}
	if n := e.exports[index]; n != "" {
		return n
	}
	return fmt.Sprintf("func[%d]", index)
}

// texts are the functions in the text format.
func (e *explorer) texts() ([][]exploredLine, error) {
	text, err := wat.Print(e.module, &wat.PrintOptions{Offsets: true})
	if err != nil {
		return nil, err
	}
	list := make([][]exploredLine, 0, len(e.module.Code))
	for line := range strings.Lines(string(text)) {
		line = strings.TrimRight(line, "\n")
		switch {
		case strings.HasPrefix(line, "  (func "):
			list = append(list, nil)
		case !strings.HasPrefix(line, "    ") || len(list) == 0:
			continue
		}
		l := exploredLine{Offset: -1, Text: strings.TrimPrefix(line, "  ")}
		if before, rest, ok := strings.Cut(l.Text, "(;@"); ok {
			if number, rest, ok := strings.Cut(rest, ";) "); ok {
				if v, err := strconv.ParseInt(number, 16, 0); err == nil {
					l = exploredLine{Offset: int(v), Text: before + rest}
				}
			}
		}
		list[len(list)-1] = append(list[len(list)-1], l)
	}
	if len(list) != len(e.module.Code) {
		return nil, fmt.Errorf("%d functions are printed of %d", len(list), len(e.module.Code))
	}
	return list, nil
}

// clifLines are the lines of a function in CLIF.
func clifLines(text string) []exploredLine {
	var list []exploredLine
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\n")
		l := exploredLine{Offset: -1, Text: line}
		if rest, ok := strings.CutPrefix(line, "@"); ok {
			number, rest, _ := strings.Cut(rest, " ")
			if v, err := strconv.ParseInt(number, 16, 0); err == nil {
				l.Offset = int(v)
			}
			line = "    " + strings.TrimLeft(rest, " ")
		} else if body := strings.TrimLeft(line, " "); strings.HasPrefix(body, "block") {
			line = body
		} else if len(line) > 36 && strings.HasPrefix(line, strings.Repeat(" ", 36)) {
			line = "    " + body
		}
		l.Text = line
		list = append(list, l)
	}
	return withoutAliases(list)
}

// value matches the values of CLIF, alias a line that gives one another name.
var (
	value = regexp.MustCompile(`\bv[0-9]+\b`)
	alias = regexp.MustCompile(`^ +(v[0-9]+) -> (v[0-9]+)$`)
)

// withoutAliases leaves out the names of values that nothing uses: the optimizer
// makes many.
func withoutAliases(lines []exploredLine) []exploredLine {
	used := map[string]bool{}
	for _, l := range lines {
		if !alias.MatchString(l.Text) {
			for _, v := range value.FindAllString(l.Text, -1) {
				used[v] = true
			}
		}
	}
	// A name may be that of another name, whose line is before.
	kept := make([]exploredLine, 0, len(lines))
	for _, l := range slices.Backward(lines) {
		m := alias.FindStringSubmatch(l.Text)
		if m != nil && !used[m[1]] {
			continue
		}
		if m != nil {
			used[m[2]] = true
		}
		kept = append(kept, l)
	}
	slices.Reverse(kept)
	return kept
}

// machineLines are the lines of a function's machine code.
func machineLines(code *codegen.CompiledCode) []exploredLine {
	var list []exploredLine
	source := 0
	for line := range strings.Lines(disassemble(code.Text[:code.CodeSize])) {
		l := exploredLine{Offset: -1, Text: strings.TrimRight(line, "\n")}
		offset, ok := codeOffset(line)
		for ok && source+1 < len(code.Sources) && code.Sources[source+1].Offset <= offset {
			source++
		}
		if source < len(code.Sources) && code.Sources[source].Loc != 0 && code.Sources[source].Offset <= offset {
			l.Offset = int(code.Sources[source].Loc)
		}
		list = append(list, l)
	}
	return list
}

// codeOffset is the offset that a line of disassembled code begins with.
func codeOffset(line string) (uint32, bool) {
	at, _, _ := strings.Cut(strings.TrimLeft(line, " "), ":")
	offset, err := strconv.ParseUint(at, 16, 32)
	return uint32(offset), err == nil
}
