package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/spf13/cobra"

	"github.com/davit-wasm/davit/codegen/clif"
	"github.com/davit-wasm/davit/codegen/isa"
	"github.com/davit-wasm/davit/codegen/verifier"
)

func init() { commands = append(commands, clifCommand) }

func clifCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "clif",
		Short: "Work with CLIF, the code generator's intermediate representation",
		Args:  noArgs,
		RunE:  func(cmd *cobra.Command, args []string) error { return cmd.Help() },
	}
	cmd.AddCommand(clifTestCommand(), clifRunCommand(), clifInterpretCommand(), clifCompileCommand(), clifCatCommand(), clifVerifyCommand(),
		clifWasmCommand(), clifBugpointCommand())
	return cmd
}

// testLine is a line of a file's header that says what to test.
var testLine = regexp.MustCompile(`(?m)^test\s`)

// clifFiles lists the test files that paths name: files, and the .clif files in
// folders that have a test command.
func clifFiles(paths []string) (files []string, err error) {
	for _, path := range paths {
		err := filepath.WalkDir(path, func(file string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			if file != path {
				if filepath.Ext(file) != ".clif" {
					return nil
				}
				src, err := os.ReadFile(file)
				if err != nil || !testLine.Match(src) {
					return err
				}
			}
			files = append(files, file)
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return files, nil
}

func clifCatCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "cat FILE...",
		Short:   "Parse functions and print them",
		Example: "  davit clif cat f.clif",
		Args:    minArgs(1, "a file"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return eachFunction(args, func(i int, path string, f *clif.Func) error {
				if i > 0 {
					fmt.Fprintln(cmd.OutOrStdout())
				}
				_, err := cmd.OutOrStdout().Write(clif.AppendFunction(nil, f.Function))
				return err
			})
		},
	}
}

func clifVerifyCommand() *cobra.Command {
	var target string
	cmd := &cobra.Command{
		Use:     "verify FILE...",
		Short:   "Check functions against the rules of CLIF",
		Example: "  davit clif verify f.clif",
		Args:    minArgs(1, "a file"),
		RunE: func(cmd *cobra.Command, args []string) error {
			t, err := clifTarget(target, nil)
			if err != nil {
				return err
			}
			bad := false
			var v verifier.Verifier
			err = eachFunction(args, func(_ int, path string, f *clif.Func) error {
				var list verifier.Errors
				if err := v.Verify(f.Function, verifier.Options{PointerType: t.PointerType()}); errors.As(err, &list) {
					bad = true
					for _, e := range list {
						fmt.Fprintf(cmd.OutOrStdout(), "%s:%d: %v\n", path, f.InstLine(e.Inst), e)
					}
				}
				return nil
			})
			if err == nil && bad {
				return &silentError{exitError}
			}
			return err
		},
	}
	cmd.Flags().StringVar(&target, "target", "", "the target's name (default: this machine)")
	return cmd
}

// clifTarget is the target of a name, or this machine, with settings.
func clifTarget(name string, settings []string) (*isa.TargetISA, error) {
	b, err := isa.Host()
	if name != "" {
		b, err = isa.Lookup(name)
	}
	if err != nil {
		return nil, err
	}
	for _, s := range settings {
		if err := b.Set(s); err != nil {
			return nil, err
		}
	}
	return b.Finish()
}

// eachFunction reads files and calls do for each function with its number.
func eachFunction(paths []string, do func(i int, path string, f *clif.Func) error) error {
	n := 0
	for _, path := range paths {
		src, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		file, err := clif.ParseFile(path, string(src))
		if err != nil {
			return err
		}
		for _, f := range file.Funcs {
			if err := do(n, path, f); err != nil {
				return err
			}
			n++
		}
	}
	return nil
}

// disassemble is x86-64 machine code as text, an instruction on a line.
func disassemble(code []byte) string {
	var out strings.Builder
	for at := 0; at < len(code); {
		n, text := instruction(code[at:], uint64(at), nil)
		fmt.Fprintf(&out, "%5x:  %s\n", at, text)
		at += n
	}
	return out.String()
}
