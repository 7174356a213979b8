package main

import (
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/davit-wasm/davit/internal/wast"
	"github.com/davit-wasm/davit/internal/wast/engine"
)

func init() { commands = append(commands, wastCommand) }

func wastCommand() *cobra.Command {
	var (
		verbose, asJSON bool
		timeout         time.Duration
	)
	cmd := &cobra.Command{
		Use:   "wast FILE...",
		Short: "Run test scripts of WebAssembly",
		Long: `Run test scripts (.wast): modules and assertions about them. Of a folder, all
scripts in it and below it are run.

A script that fails is named, with its first failure. The last line counts the
commands that passed, failed and were skipped. The exit code is 1 if any failed.
Where a text cannot be read, its line is shown on the standard error stream.`,
		Example: "  davit wast i32.wast\n  davit wast -v spec/\n  davit wast --json spec/",
		Args:    minArgs(1, "a script"),
		RunE: func(cmd *cobra.Command, args []string) error {
			files, err := scripts(args)
			if err != nil {
				return err
			}
			engines := engine.Engines{Timeout: timeout}
			r := wast.Runner{NewEngine: engines.New, Out: cmd.OutOrStdout(), Verbose: verbose}
			if asJSON {
				r.Out = nil
			}
			report := wastReport{Files: []wastFile{}}
			for _, f := range files {
				if cmd.Context().Err() != nil {
					return cmd.Context().Err()
				}
				result := r.RunFile(f)
				if asJSON {
					report.add(f, &result)
				} else {
					writeExcerpts(sessionOf(cmd).stderr, f, &result, verbose)
				}
			}
			if asJSON {
				report.Passed, report.Failed, report.Skipped = r.Passed, r.Failed, r.Skipped
				if err := writeJSON(cmd.OutOrStdout(), &report); err != nil {
					return err
				}
			} else {
				fmt.Fprintln(cmd.OutOrStdout(), r.Summary())
			}
			if r.Failed > 0 {
				return &silentError{exitError}
			}
			return nil
		},
	}
	cmd.Flags().BoolVarP(&verbose, "verbose", "v", false, "print every failure")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the results of all scripts as JSON")
	cmd.Flags().DurationVar(&timeout, "timeout", time.Minute, "how long an action may run: `TIME` such as 30s")
	return cmd
}

// wastReport is what --json prints.
type wastReport struct {
	Files   []wastFile `json:"files"`
	Passed  int        `json:"passed"`
	Failed  int        `json:"failed"`
	Skipped int        `json:"skipped"`
}

type wastFile struct {
	File     string        `json:"file"`
	Passed   int           `json:"passed"`
	Failed   int           `json:"failed"`
	Failures []wastFailure `json:"failures,omitempty"`
}

type wastFailure struct {
	Line    int    `json:"line,omitempty"` // of the command
	Message string `json:"message"`
}

func (r *wastReport) add(file string, result *wast.FileResult) {
	f := wastFile{File: file, Passed: result.Passed, Failed: len(result.Failures)}
	for _, x := range result.Failures {
		f.Failures = append(f.Failures, wastFailure{x.Line, x.Msg})
	}
	r.Files = append(r.Files, f)
}

// writeExcerpts shows the texts that cannot be read: the first one of a script,
// or all.
func writeExcerpts(t *terminal, file string, result *wast.FileResult, all bool) {
	for _, x := range result.Failures {
		if x.Excerpt == "" {
			continue
		}
		fmt.Fprintf(t, "%s: %s\n%s", file, x.Msg, x.Excerpt)
		if !all {
			return
		}
	}
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
			return nil, withHint(err, missingFileHint(path, err))
		}
	}
	if len(files) == 0 {
		return nil, withHint(fmt.Errorf("there are no scripts in %s", strings.Join(paths, ", ")), "scripts are files whose names end in .wast")
	}
	return files, nil
}
