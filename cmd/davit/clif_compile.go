package main

import (
	"encoding/hex"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/davit-wasm/davit/codegen"
	"github.com/davit-wasm/davit/codegen/clif"
	"github.com/davit-wasm/davit/codegen/isa"
	"github.com/davit-wasm/davit/codegen/object"
)

func clifCompileCommand() *cobra.Command {
	var (
		target, emit, after, output string
		settings                    []string
		timing, verbose             bool
	)
	cmd := &cobra.Command{
		Use:   "compile FILE...",
		Short: "Compile functions and print what comes out",
		Long: `Compile functions and print what comes out: asm, the disassembled machine code;
hex, its bytes; vcode, the machine instructions with their registers; obj, an
object file for a linker, which --output must name.

--after prints what a pass has made instead: the function before the pass lower,
machine instructions from there on. --timing says how long each pass took.`,
		Example: "  davit clif compile --emit asm f.clif\n  davit clif compile --set opt_level=speed --after regalloc f.clif\n  davit clif compile --emit obj -o f.o f.clif",
		Args:    minArgs(1, "a file"),
		RunE: func(cmd *cobra.Command, args []string) error {
			t, err := clifTarget(target, settings)
			if err != nil {
				return err
			}
			switch {
			case emit == "obj" && output == "":
				return usagef(cmd, "--emit obj needs --output")
			case emit != "obj" && output != "":
				return usagef(cmd, "--output is for --emit obj")
			case emit != "asm" && emit != "hex" && emit != "vcode" && emit != "obj":
				return usagef(cmd, "--emit: %q is none of asm, hex, vcode, obj", emit)
			}
			if after != "" && !knownPass(after) {
				return usagef(cmd, "--after: %q is none of %s", after, strings.Join(codegen.Passes(), ", "))
			}
			var ctx codegen.Context
			out := cmd.OutOrStdout()
			options := codegen.Options{}
			if timing {
				options.Times = make([]time.Duration, len(codegen.Passes()))
				defer func() { printTimes(cmd.ErrOrStderr(), options.Times) }()
			}
			if verbose {
				options.Logger = slog.New(slog.NewTextHandler(cmd.ErrOrStderr(), &slog.HandlerOptions{Level: slog.LevelDebug}))
			}
			if emit == "obj" {
				return compileObject(args, t, options, output)
			}
			return eachFunction(args, func(_ int, path string, f *clif.Func) error {
				name := f.Function.Name
				o := options
				if after != "" {
					lowered := false
					o.After = func(pass string, c *codegen.Context) {
						lowered = lowered || pass == "lower"
						switch {
						case pass != after:
						case lowered:
							fmt.Fprintf(out, "%v after %s:\n%s\n", name, pass, c.VCode())
						default:
							fmt.Fprintf(out, "%v after %s:\n%s\n", name, pass, clif.Format(f.Function))
						}
					}
				}
				code, err := ctx.Compile(f.Function, t, o)
				if err != nil {
					return fmt.Errorf("%s:%d: %w", path, f.Line, err)
				}
				if after != "" {
					return nil
				}
				fmt.Fprintf(out, "%v: %d bytes\n", name, len(code.Text))
				switch emit {
				case "hex":
					fmt.Fprintln(out, hex.EncodeToString(code.Text))
				case "vcode":
					fmt.Fprintln(out, ctx.VCode())
				default:
					fmt.Fprint(out, disassemble(code.Text[:code.CodeSize]))
				}
				for _, r := range code.Relocs {
					fmt.Fprintf(out, "%5x:  reloc %v %v%+d\n", r.Offset, r.Kind, r.Name, r.Addend)
				}
				for _, t := range code.Traps {
					fmt.Fprintf(out, "%5x:  trap %v\n", t.Offset, t.Code)
				}
				return nil
			})
		},
	}
	cmd.Flags().StringVar(&target, "target", "", "the target's name (default: this machine)")
	cmd.Flags().StringArrayVar(&settings, "set", nil, "a setting, as NAME or NAME=VALUE")
	cmd.Flags().StringVar(&emit, "emit", "asm", "what to make: asm, hex, vcode or obj")
	cmd.Flags().StringVarP(&output, "output", "o", "", "the object file to write")
	cmd.Flags().BoolVar(&timing, "timing", false, "say on the standard error stream how long each pass took")
	cmd.Flags().BoolVar(&verbose, "log", false, "log what the compiler does on the standard error stream")
	cmd.Flags().StringVarP(&after, "after", "d", "", "print what a pass has made: "+strings.Join(codegen.Passes(), ", "))
	return cmd
}

// compileObject makes an object file of the functions of files.
func compileObject(paths []string, t *isa.TargetISA, o codegen.Options, output string) error {
	m, err := object.New(t, object.Options{Name: filepath.Base(paths[0])})
	if err != nil {
		return err
	}
	err = eachFunction(paths, func(_ int, path string, f *clif.Func) error {
		if _, err := m.DefineWith(f.Function, o); err != nil {
			return fmt.Errorf("%s:%d: %w", path, f.Line, err)
		}
		return nil
	})
	if err != nil {
		return err
	}
	if err := m.Finalize(); err != nil {
		return err
	}
	return os.WriteFile(output, m.Bytes(), 0o666)
}

// printTimes prints the times of all passes.
func printTimes(out io.Writer, times []time.Duration) {
	var total time.Duration
	for _, d := range times {
		total += d
	}
	for i, name := range codegen.Passes() {
		fmt.Fprintf(out, "%-12s %12v %5.1f %%\n", name, times[i], 100*float64(times[i])/float64(max(total, 1)))
	}
	fmt.Fprintf(out, "%-12s %12v\n", "total", total)
}

func knownPass(name string) bool {
	return slices.Contains(codegen.Passes(), name)
}
