package main

import (
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/davit-wasm/davit/codegen"
	"github.com/davit-wasm/davit/codegen/clif"
	"github.com/davit-wasm/davit/codegen/ir"
	"github.com/davit-wasm/davit/internal/compile"
	"github.com/davit-wasm/davit/wasm"
	"github.com/davit-wasm/davit/wat"
)

func init() { commands = append(commands, exploreCommand) }

//go:embed explore.html
var explorePage string

var exploreTemplate = template.Must(template.New("explore").Parse(explorePage))

func exploreCommand() *cobra.Command {
	var (
		out, cpu        string
		funcs, settings []string
		limit           int
	)
	cmd := &cobra.Command{
		Use:   "explore FILE",
		Short: "Show in a web page what becomes of a module's functions",
		Long: `Write a web page that shows what becomes of a module's functions on the way to
machine code: their text, the CLIF they are translated to, what the optimizer
makes of it, and the machine code, side by side. A line that the mouse is over
lights up what belongs to the same instruction. The page needs nothing but
itself.

Of large modules only the largest functions are shown: see --max.`,
		Example: "  davit explore -o add.html add.wat\n  davit explore --func add --set opt_level=none -o add.html add.wat",
		Args:    oneArg("a module"),
		RunE: func(cmd *cobra.Command, args []string) error {
			code, err := readModule(cmd, args[0])
			if err != nil {
				return err
			}
			m, err := wasm.Decode(code.binary, &wasm.Config{Features: wasm.FeaturesAll})
			if err != nil {
				return inFile(args[0], err)
			}
			want, err := wantedFuncs(m, funcs)
			if err != nil {
				return inFile(args[0], err)
			}
			if len(funcs) == 0 {
				want = largestFuncs(m, limit)
			}
			e := explorer{module: m, cpu: cpu, settings: settings}
			page, err := e.explore(code.binary, want)
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
	f.IntVar(&limit, "max", 200, "show no more than so many functions, the largest ones")
	f.StringVar(&cpu, "cpu", "", "compile for this model of processor")
	f.StringArrayVar(&settings, "set", nil, "a setting of the code generator, as NAME=VALUE")
	return cmd
}

// largestFuncs are the indexes of the n largest functions of m, in order.
func largestFuncs(m *wasm.Module, n int) []uint32 {
	list := make([]uint32, len(m.Code))
	for i := range list {
		list[i] = uint32(m.NumImportedFuncs + i)
	}
	slices.SortStableFunc(list, func(a, b uint32) int { return len(m.Body(b).Body) - len(m.Body(a).Body) })
	list = list[:min(max(n, 0), len(list))]
	slices.Sort(list)
	return list
}

// exploredPage is what the page shows.
type exploredPage struct {
	File      string         `json:"file"`
	Target    string         `json:"target"`
	Left      int            `json:"left"` // functions that are not shown
	Functions []exploredFunc `json:"functions"`
}

type exploredFunc struct {
	Index   uint32           `json:"index"`
	Name    string           `json:"name"`
	Size    int              `json:"size"`    // of the code that it becomes, in bytes
	Columns []exploredColumn `json:"columns"` // left to right
}

type exploredColumn struct {
	Title string         `json:"title"`
	Lines []exploredLine `json:"lines"`
}

// exploredLine is a line of text with the offset in the module of the
// instruction that it belongs to, or -1.
type exploredLine struct {
	Offset int
	Text   string
}

// MarshalJSON writes a line as a pair.
func (l exploredLine) MarshalJSON() ([]byte, error) {
	return json.Marshal([]any{l.Offset, l.Text})
}

func (p *exploredPage) write(w io.Writer) error {
	data, err := json.Marshal(p)
	if err != nil {
		return err
	}
	return exploreTemplate.Execute(w, struct {
		File string
		Data template.JS
	}{p.File, template.JS(data)})
}

type explorer struct {
	module   *wasm.Module
	cpu      string
	settings []string
}

// errEnough ends the translation when all functions wanted have been seen.
var errEnough = errors.New("enough")

// explore compiles the functions wanted, whose indexes are in order.
func (e *explorer) explore(binary []byte, want []uint32) (*exploredPage, error) {
	target, err := compile.TargetOf("", e.cpu, e.settings...)
	if err != nil {
		return nil, err
	}
	page := &exploredPage{Target: target.Triple.String(), Left: len(e.module.Code) - len(want), Functions: []exploredFunc{}}
	texts, err := e.texts()
	if err != nil {
		return nil, err
	}
	var ctx codegen.Context
	err = compile.Functions(binary, &compile.Options{Target: target}, func(f *ir.Function) error {
		if len(page.Functions) == len(want) {
			return errEnough
		}
		index := f.Name.Index
		if !slices.Contains(want, index) {
			return nil
		}
		x := exploredFunc{Index: index, Name: e.name(index)}
		column := func(title string, lines []exploredLine) {
			x.Columns = append(x.Columns, exploredColumn{title, lines})
		}
		column("WebAssembly", texts[int(index)-e.module.NumImportedFuncs])
		column("CLIF", clifLines(clif.Format(f)))
		code, err := ctx.Compile(f, target, codegen.Options{After: func(pass string, c *codegen.Context) {
			if pass == "optimize" {
				column("optimized", clifLines(clif.Format(f)))
			}
		}})
		if err != nil {
			return err
		}
		x.Size = len(code.Text)
		column("machine code", machineLines(code))
		page.Functions = append(page.Functions, x)
		return nil
	})
	if err != nil && !errors.Is(err, errEnough) {
		return nil, err
	}
	return page, nil
}

func (e *explorer) name(index uint32) string {
	if n := e.module.Names.FuncName(index); n != "" {
		return n
	}
	for i := range e.module.Exports {
		if x := &e.module.Exports[i]; x.Kind == wasm.KindFunc && x.Index == index {
			return x.Name
		}
	}
	return fmt.Sprint("function ", index)
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
		l := exploredLine{-1, strings.TrimPrefix(line, "  ")}
		if before, rest, ok := strings.Cut(l.Text, "(;@"); ok {
			if number, rest, ok := strings.Cut(rest, ";) "); ok {
				if v, err := strconv.ParseInt(number, 16, 0); err == nil {
					l = exploredLine{int(v), before + rest}
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
		l := exploredLine{-1, line}
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
	return list
}

// machineLines are the lines of a function's machine code.
func machineLines(code *codegen.CompiledCode) []exploredLine {
	var list []exploredLine
	source := 0
	for line := range strings.Lines(disassemble(code.Text[:code.CodeSize])) {
		l := exploredLine{-1, strings.TrimRight(line, "\n")}
		at, _, _ := strings.Cut(strings.TrimLeft(line, " "), ":")
		offset, err := strconv.ParseUint(at, 16, 32)
		for err == nil && source+1 < len(code.Sources) && uint64(code.Sources[source+1].Offset) <= offset {
			source++
		}
		if source < len(code.Sources) && code.Sources[source].Loc != 0 && uint64(code.Sources[source].Offset) <= offset {
			l.Offset = int(code.Sources[source].Loc)
		}
		list = append(list, l)
	}
	return list
}
