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
	cmd := &cobra.Command{
		Use:   "parse FILE",
		Short: "Turn a module from the text format into the binary format",
		Long: `Turn a module from the text format into the binary format. Identifiers go into
the name section. The module is not validated: see davit validate.`,
		Example: "  davit parse hello.wat -o hello.wasm",
		Args:    oneArg("the file to parse"),
		RunE: func(cmd *cobra.Command, args []string) error {
			text, err := os.ReadFile(args[0])
			if err != nil {
				return err
			}
			code, err := wat.Compile(text, nil)
			if err != nil {
				return fmt.Errorf("%s: %w", args[0], err)
			}
			return writeOutput(out, code)
		},
	}
	cmd.Flags().StringVarP(&out, "output", "o", "", "file to write to (default: standard output)")
	return cmd
}

func printCommand() *cobra.Command {
	var out string
	var opts wat.PrintOptions
	cmd := &cobra.Command{
		Use:   "print FILE",
		Short: "Turn a module from the binary format into the text format",
		Long: `Turn a module from the binary format into the text format, with the names of
its name section. What is printed parses to the same module.`,
		Example: "  davit print hello.wasm\n  davit print --folded hello.wasm -o hello.wat",
		Args:    oneArg("the file to print"),
		RunE: func(cmd *cobra.Command, args []string) error {
			code, err := readModule(args[0])
			if err != nil {
				return err
			}
			m, err := wasm.Decode(code, &wasm.Config{Features: wasm.FeaturesAll})
			if err != nil {
				return fmt.Errorf("%s: %w", args[0], err)
			}
			text, err := wat.Print(m, &opts)
			if err != nil {
				return fmt.Errorf("%s: %w", args[0], err)
			}
			return writeOutput(out, text)
		},
	}
	cmd.Flags().StringVarP(&out, "output", "o", "", "file to write to (default: standard output)")
	cmd.Flags().BoolVar(&opts.Folded, "folded", false, "write instructions behind their operators' parentheses")
	cmd.Flags().BoolVar(&opts.NoNames, "no-names", false, "write indexes instead of names")
	return cmd
}

// writeOutput writes data to a file, or to standard output if none is named.
func writeOutput(file string, data []byte) error {
	if file == "" {
		_, err := os.Stdout.Write(data)
		return err
	}
	return os.WriteFile(file, data, 0o666)
}
