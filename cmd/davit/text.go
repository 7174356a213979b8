package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/davit-wasm/davit/wasm"
	"github.com/davit-wasm/davit/wat"
)

func init() { commands = append(commands, parseCommand, printCommand) }

func parseCommand() *cobra.Command {
	var out string
	var opts wat.Options
	cmd := &cobra.Command{
		Use:   "parse FILE",
		Short: "Turn a module from the text format into the binary format",
		Long: `Turn a module from the text format into the binary format. Identifiers go into
the name section. The module is not validated: see davit validate.`,
		Example: "  davit parse hello.wat -o hello.wasm\n  davit parse - < hello.wat > hello.wasm",
		Args:    oneArg("the file to parse"),
		RunE: func(cmd *cobra.Command, args []string) error {
			text, err := readFile(cmd, args[0])
			if err != nil {
				return err
			}
			code, err := wat.Compile(text, &opts)
			if err != nil {
				return textError(args[0], text, err)
			}
			return writeOutput(cmd, out, code, true)
		},
	}
	cmd.Flags().StringVarP(&out, "output", "o", "", "write to `FILE` instead of standard output")
	cmd.Flags().BoolVar(&opts.NoNames, "no-names", false, "leave out the name section")
	return cmd
}

func printCommand() *cobra.Command {
	var out string
	var opts wat.PrintOptions
	cmd := &cobra.Command{
		Use:   "print FILE",
		Short: "Turn a module from the binary format into the text format",
		Long: `Turn a module from the binary format into the text format, with the names of
its name section. What is printed parses to the same module, unless --skeleton
leaves something out.`,
		Example: "  davit print hello.wasm\n  davit print --folded hello.wasm -o hello.wat\n  davit print --skeleton hello.wasm",
		Args:    oneArg("the file to print"),
		RunE: func(cmd *cobra.Command, args []string) error {
			code, err := readModule(cmd, args[0])
			if err != nil {
				return err
			}
			m, err := wasm.Decode(code.binary, &wasm.Config{Features: wasm.FeaturesAll})
			if err != nil {
				return inFile(args[0], err)
			}
			text, err := wat.Print(m, &opts)
			if err != nil {
				return inFile(args[0], err)
			}
			return writeOutput(cmd, out, text, false)
		},
	}
	f := cmd.Flags()
	f.StringVarP(&out, "output", "o", "", "write to `FILE` instead of standard output")
	f.BoolVar(&opts.Folded, "folded", false, "write instructions behind their operators' parentheses")
	f.BoolVar(&opts.Offsets, "offsets", false, "write the offset of each instruction in front of it")
	f.BoolVar(&opts.NoNames, "no-names", false, "write indexes instead of names")
	f.BoolVar(&opts.Skeleton, "skeleton", false, "leave out code and the contents of segments and custom sections")
	return cmd
}

// writeOutput writes data to a file, or to standard output if none is named;
// bytes that are no text are not written to a terminal.
func writeOutput(cmd *cobra.Command, file string, data []byte, binary bool) error {
	if file != "" && file != stdinName {
		return os.WriteFile(file, data, 0o666)
	}
	if binary && file == "" && terminalWidth(os.Stdout) > 0 {
		return withHint(fmt.Errorf("the binary format is not for terminals"), "write it to a file with -o FILE, or -o - if you want to see it")
	}
	_, err := cmd.OutOrStdout().Write(data)
	return err
}
