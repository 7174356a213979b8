package main

import (
	"fmt"
	"io/fs"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/davit-wasm/davit/internal/wast"
	"github.com/davit-wasm/davit/internal/wast/engine"
)

func init() { commands = append(commands, wastCommand) }

func wastCommand() *cobra.Command {
	var (
		verbose bool
		timeout time.Duration
	)
	cmd := &cobra.Command{
		Use:   "wast FILE...",
		Short: "Run test scripts of WebAssembly",
		Long: `Run test scripts (.wast): modules and assertions about them. Of a folder, all
scripts in it and below it are run.

A script that fails is named, with its first failure. The last line counts the
commands that passed, failed and were skipped. The exit code is 1 if any failed.`,
		Example: "  davit wast i32.wast\n  davit wast -v spec/",
		Args:    minArgs(1, "a script"),
		RunE: func(cmd *cobra.Command, args []string) error {
			files, err := scripts(args)
			if err != nil {
				return err
			}
			engines := engine.Engines{Timeout: timeout}
			r := wast.Runner{NewEngine: engines.New, Out: cmd.OutOrStdout(), Verbose: verbose}
			for _, f := range files {
				if cmd.Context().Err() != nil {
					return cmd.Context().Err()
				}
				r.RunFile(f)
			}
			fmt.Fprintln(cmd.OutOrStdout(), r.Summary())
			if r.Failed > 0 {
				return &silentError{exitError}
			}
			return nil
		},
	}
	cmd.Flags().BoolVarP(&verbose, "verbose", "v", false, "print every failure")
	cmd.Flags().DurationVar(&timeout, "timeout", time.Minute, "how long an action may run")
	return cmd
}

// scripts lists the scripts that paths name: files, and what is in folders.
func scripts(paths []string) (files []string, err error) {
	for _, path := range paths {
		err := filepath.WalkDir(path, func(file string, d fs.DirEntry, err error) error {
			if err == nil && !d.IsDir() && (file == path || filepath.Ext(file) == ".wast") {
				files = append(files, file)
			}
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("there are no scripts in %v", paths)
	}
	return files, nil
}
