package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"regexp"
	"slices"
	"sort"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/arch/x86/x86asm"

	"github.com/davit-wasm/davit"
	"github.com/davit-wasm/davit/internal/artifact"
	"github.com/davit-wasm/davit/internal/image"
)

func init() { commands = append(commands, objdumpCommand) }

func objdumpCommand() *cobra.Command {
	var (
		headers  bool
		funcs    []string
		settings []string
		cpu      string
		fuel     bool
	)
	cmd := &cobra.Command{
		Use:   "objdump [flags] FILE",
		Short: "Show the machine code of a compiled module",
		Long: `Print what is in an artifact: what it is for, its sections, its functions, and
their machine code. Behind an instruction stands where in the module it comes
from, if that changes with it, and why it may trap. A module that is not compiled
yet is compiled first.

Artifacts are ELF files: objdump -d, readelf and gdb read them too.`,
		Example: "  davit objdump add.wat\n  davit objdump --headers add.wat\n  davit objdump --func add add.wasm",
		Args:    oneArg("an artifact or a module"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := checkTarget(cmd, "", cpu, "--set", settings); err != nil {
				return err
			}
			data, err := readFile(cmd, args[0])
			if err != nil {
				return err
			}
			if !davit.IsArtifact(data) {
				code, err := moduleOf(args[0], data)
				if err != nil {
					return err
				}
				config := &davit.Config{CPU: cpu, Settings: settings, Fuel: fuel}
				if data, err = davit.Precompile(context.Background(), config, "", code.binary); err != nil {
					return inFile(args[0], withHint(code.locate(err), compileHint(code)))
				}
			}
			info, sections, im, err := artifact.Inspect(data)
			if err != nil {
				return inFile(args[0], err)
			}
			d := dump{im: im, traps: im.TrapSites(), name: artifact.Namer(im)}
			shown, err := d.wanted(funcs)
			if err != nil {
				return inFile(args[0], err)
			}
			w := bufio.NewWriter(cmd.OutOrStdout())
			if len(funcs) == 0 {
				d.headers(w, info, sections)
			}
			if !headers {
				for _, f := range shown {
					d.function(w, f)
				}
			}
			return w.Flush()
		},
	}
	f := cmd.Flags()
	f.BoolVarP(&headers, "headers", "x", false, "print no code")
	f.StringArrayVar(&funcs, "func", nil, "show this function, by `NAME` or index, and nothing else (may be repeated)")
	f.StringVar(&cpu, "cpu", "", "compile for processor `MODEL`")
	f.BoolVar(&fuel, "fuel", false, "compile to code that counts the instructions that run")
	f.StringArrayVar(&settings, "set", nil, "change a setting of the code generator: `NAME=VALUE`")
	return cmd
}

// dump prints an image.
type dump struct {
	im    *image.Image
	traps []image.Trap
	name  func(f *image.Function) string
}

// wanted are the functions of those names or indexes in the module; all if there
// are none.
func (d *dump) wanted(names []string) (list []*image.Function, err error) {
	found := make([]bool, len(names))
	var all []string
	for i := range d.im.Functions {
		f := &d.im.Functions[i]
		name := d.name(f)
		all = append(all, name)
		index := ""
		if f.Kind == image.FunctionWasm {
			index = strconv.Itoa(int(f.Index))
		}
		for k, want := range names {
			if want == name || want == index {
				found[k] = true
				list = append(list, f)
				break
			}
		}
		if len(names) == 0 {
			list = append(list, f)
		}
	}
	if i := slices.Index(found, false); i >= 0 {
		return nil, withHint(fmt.Errorf("it has no function %q", names[i]), didYouMean(near(names[i], all), ""))
	}
	return list, nil
}

func (d *dump) headers(w io.Writer, info *artifact.Info, sections []artifact.Section) {
	fmt.Fprint(w, info)
	fmt.Fprint(w, "relocations: none\n\nsections:\n")
	for _, s := range sections {
		fmt.Fprintf(w, "  %-18s %8x  %d\n", s.Name, s.Offset, s.Size)
	}
	fmt.Fprint(w, "\nfunctions:\n")
	for i := range d.im.Functions {
		f := &d.im.Functions[i]
		fmt.Fprintf(w, "  %8x  %6d  %s\n", f.Offset, f.Size, d.name(f))
	}
}

// function prints the code of a function.
func (d *dump) function(w io.Writer, f *image.Function) {
	im := d.im
	what := ""
	if f.Kind == image.FunctionWasm {
		what = fmt.Sprintf(" ; function %d at %#x in the module", f.Index, im.Bodies[int(f.Index)-im.Module.NumImportedFuncs])
	}
	fmt.Fprintf(w, "\n%08x <%s>:%s\n", f.Offset, d.name(f), what)
	for at := f.Offset; at < f.Offset+f.Size; {
		code := im.Text[at : f.Offset+f.Size]
		n, text := instruction(code, uint64(at), d.symbol)
		var notes []string
		if i := sort.Search(len(im.AddrMap), func(i int) bool { return im.AddrMap[i].Offset >= at }); i < len(im.AddrMap) && im.AddrMap[i].Offset < at+uint32(n) {
			if x := im.AddrMap[i].Wasm; x != image.NoAddress {
				note := fmt.Sprintf("%#x", x)
				if p := im.PositionsAt(nil, f, im.AddrMap[i].Offset)[0]; p.Func != f.Index {
					note += " in " + d.name(&image.Function{Kind: image.FunctionWasm, Index: p.Func})
				}
				notes = append(notes, note)
			}
		}
		if i := sort.Search(len(d.traps), func(i int) bool { return d.traps[i].Offset >= at }); i < len(d.traps) && d.traps[i].Offset == at {
			notes = append(notes, "trap: "+d.traps[i].Code.String())
		}
		line := fmt.Sprintf("%8x:  %s", at, text)
		if notes != nil {
			line = fmt.Sprintf("%-52s ; %s", line, strings.Join(notes, ", "))
		}
		fmt.Fprintln(w, line)
		at += uint32(n)
	}
}

// instruction is the length and the text of the instruction that code begins
// with; symbol names the targets of calls.
func instruction(code []byte, at uint64, symbol x86asm.SymLookup) (n int, text string) {
	in, err := x86asm.Decode(code, 64)
	if size := vexLen(code); size > 0 && (err != nil || in.Len != size) {
		// The disassembler does not know all vector instructions.
		if size == 3 && code[2] == 0x77 {
			return size, "vzeroupper"
		}
		return size, fmt.Sprintf(".byte % x", code[:size])
	}
	if err != nil {
		return 1, fmt.Sprintf(".byte %02x", code[0])
	}
	if in.Op != x86asm.CALL {
		symbol = nil // else numbers would be taken for addresses
	}
	text = strings.TrimSpace(x86asm.GNUSyntax(in, at, symbol))
	return in.Len, displacement.ReplaceAllStringFunc(text, func(s string) string {
		v, err := strconv.ParseUint(s[2:len(s)-1], 16, 32)
		if err != nil {
			return s
		}
		return fmt.Sprintf("-%#x(", -int64(int32(v)))
	})
}

// displacement matches negative ones, which the disassembler takes for positive.
var displacement = regexp.MustCompile(`0x[89a-f][0-9a-f]{7}\(`)

// symbol is the function at an address, for the disassembler.
func (d *dump) symbol(at uint64) (string, uint64) {
	if at < uint64(len(d.im.Text)) {
		if f, ok := d.im.FunctionAt(uint32(at)); ok {
			return d.name(f), uint64(f.Offset)
		}
	}
	return "", 0
}

// vexLen is the length of an instruction with a VEX or EVEX prefix; 0 if code
// begins with another one, or ends before it does.
func vexLen(code []byte) int {
	n, opcodes := 0, byte(1) // the table that the opcode is in
	switch {
	case len(code) > 2 && code[0] == 0xc5:
		n = 2
	case len(code) > 3 && code[0] == 0xc4:
		n, opcodes = 3, code[1]&31
	case len(code) > 4 && code[0] == 0x62:
		n, opcodes = 4, code[1]&7
	default:
		return 0
	}
	op := code[n]
	n++
	if opcodes == 1 && op == 0x77 {
		return n // vzeroupper has no operands
	}
	if n >= len(code) {
		return 0
	}
	modrm := code[n]
	n++
	mod, rm := modrm>>6, modrm&7
	base := rm
	if mod != 3 && rm == 4 && n < len(code) {
		base = code[n] & 7
		n++
	}
	switch {
	case mod == 1:
		n++
	case mod == 2, mod == 0 && base == 5:
		n += 4
	}
	if opcodes == 3 || opcodes == 1 && (op >= 0x70 && op <= 0x73 || op == 0xc2 || op >= 0xc4 && op <= 0xc6) {
		n++ // an immediate byte
	}
	if n > len(code) {
		return 0
	}
	return n
}
