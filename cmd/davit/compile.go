package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/davit-wasm/davit"
)

func init() { commands = append(commands, compileCommand) }

func compileCommand() *cobra.Command {
	var (
		out, target, when, interruption string
		config                          davit.Config
	)
	cmd := &cobra.Command{
		Use:   "compile [flags] FILE",
		Short: "Compile a module to machine code, to be run later",
		Long: `Compile a module, in the binary or the text format, to an artifact: a file with
its machine code that 'davit run' and Go programs load in next to no time. It is
for this version of davit, and for this machine and its like, unless --target or
--cpu say something else.

An artifact is machine code: run none that you would not run as a program.`,
		Example: "  davit compile hello.wasm\n  davit compile -o hello.cwasm --target x86_64-linux --cpu x86-64-v3 hello.wasm",
		Args:    oneArg("a module"),
		RunE: func(cmd *cobra.Command, args []string) error {
			file := args[0]
			switch interruption {
			case "signal":
				config.Interruption = davit.InterruptionSignal
			case "epoch":
				config.Interruption = davit.InterruptionEpoch
			default:
				return usagef(cmd, "--interruption %q: want signal or epoch", interruption)
			}
			if out == "" {
				if file == stdinName {
					return usagef(cmd, "the name of the artifact is missing: -o FILE")
				}
				out = strings.TrimSuffix(filepath.Base(file), filepath.Ext(file)) + ".cwasm"
			}
			if err := checkTarget(cmd, target, config.CPU, "--set", config.Settings); err != nil {
				return err
			}
			code, err := readModule(cmd, file)
			if err != nil {
				return err
			}
			now, err := newProgress(cmd, when, file)
			if err != nil {
				return err
			}
			if now != nil {
				config.CompileProgress = now.update
			}
			data, err := davit.Precompile(cmd.Context(), &config, target, code.binary)
			now.clear()
			if err != nil {
				return inFile(file, withHint(code.locate(err), compileHint(code)))
			}
			return replaceFile(cmd, out, data)
		},
	}
	f := cmd.Flags()
	f.StringVarP(&out, "output", "o", "", "write to `FILE` instead of FILE.cwasm in this folder; - is standard output")
	f.StringVar(&target, "target", "", "compile for `TARGET`, such as x86_64-linux, and the oldest processors of it, instead of this machine")
	f.StringVar(&config.CPU, "cpu", "", "compile for processor `MODEL`, such as x86-64-v3")
	f.BoolVar(&config.QuickCompile, "quick", false, "compile in less than half the time, to slower code")
	f.StringArrayVar(&config.Settings, "set", nil, "change a setting of the code generator: `NAME=VALUE`, such as opt_level=none")
	f.BoolVar(&config.ExplicitBounds, "explicit-bounds", false, "check every memory access in code")
	f.StringVar(&interruption, "interruption", "signal", "`HOW` running code can be stopped: by a signal, or by comparing an epoch")
	f.BoolVar(&config.Fuel, "fuel", false, "count the instructions that run, for davit run --fuel")
	f.BoolVar(&config.DeterministicRelaxedSIMD, "deterministic", false, "give relaxed vector instructions the same results on all machines")
	f.StringVar(&when, "progress", "auto", "show the progress of long compilations: `WHEN` is auto (on a terminal), always or never")
	cmd.RegisterFlagCompletionFunc("progress", whenCompletion)
	cmd.RegisterFlagCompletionFunc("interruption", cobra.FixedCompletions([]string{"signal", "epoch"}, cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

// replaceFile writes a file beside the one of that name and gives it its name:
// artifacts that processes are running must not be written to.
func replaceFile(cmd *cobra.Command, name string, data []byte) error {
	if info, err := os.Stat(name); name == stdinName || err == nil && !info.Mode().IsRegular() {
		return writeOutput(cmd, name, data, true)
	}
	f, err := os.CreateTemp(filepath.Dir(name), "."+filepath.Base(name)+"-*")
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Chmod(0o644)
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = os.Rename(f.Name(), name)
	}
	if err != nil {
		os.Remove(f.Name())
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}
