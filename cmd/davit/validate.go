package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/davit-wasm/davit/wasm"
)

func init() { commands = append(commands, validateCommand) }

func validateCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "validate FILE...",
		Short: "Check modules without running them",
		Long: `Check that modules, in the binary or the text format, are well formed and
valid. Nothing is printed for those that are; the exit code is 1 if one is not.`,
		Example: "  davit validate hello.wasm lib/*.wat",
		Args:    minArgs(1, "the file to validate"),
		RunE: func(cmd *cobra.Command, args []string) error {
			bad := false
			for _, file := range args {
				if err := validate(file); err != nil {
					fmt.Fprintln(os.Stderr, err)
					bad = true
				}
			}
			if bad {
				return &silentError{exitError}
			}
			return nil
		},
	}
}

func validate(file string) error {
	code, err := readModule(file)
	if err != nil {
		return err
	}
	m, err := wasm.Decode(code, nil)
	if err == nil {
		err = wasm.Validate(m, nil)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	return nil
}
