package main

import (
	"strings"

	"github.com/spf13/cobra"

	"github.com/davit-wasm/davit/wasm"
)

func init() { commands = append(commands, validateCommand) }

func validateCommand() *cobra.Command {
	var names []string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "validate FILE...",
		Short: "Check modules without running them",
		Long: `Check that modules, in the binary or the text format, are well formed and
valid. Nothing is printed for those that are; the exit code is 1 if one is not.

What modules may use are the features of WebAssembly 3.0, or those that
--features lists: names, 1.0, 2.0, 3.0 or all, and names with - in front to
leave out.`,
		Example: "  davit validate hello.wasm lib/*.wat\n  davit validate --features 2.0,tail-call hello.wasm\n  davit validate --json hello.wasm",
		Args:    minArgs(1, "the file to validate"),
		RunE: func(cmd *cobra.Command, args []string) error {
			features, err := parseFeatures(cmd, names)
			if err != nil {
				return err
			}
			s := sessionOf(cmd)
			bad := false
			for _, file := range args {
				err := validate(cmd, file, features)
				if err != nil {
					bad = true
				}
				switch {
				case asJSON:
					result := struct {
						File  string   `json:"file"`
						Valid bool     `json:"valid"`
						Error *problem `json:"error,omitempty"`
					}{File: file, Valid: err == nil}
					if err != nil {
						result.Error = newProblem(err)
					}
					if err := writeJSON(cmd.OutOrStdout(), result); err != nil {
						return err
					}
				case err != nil:
					newProblem(err).write(s.stderr)
				}
			}
			if bad {
				return &silentError{exitError}
			}
			return nil
		},
	}
	cmd.Flags().StringSliceVar(&names, "features", []string{"3.0"}, "the `FEATURES` that modules may use")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print a line of JSON for each file")
	return cmd
}

func validate(cmd *cobra.Command, file string, features wasm.Features) error {
	code, err := readModule(cmd, file)
	if err != nil {
		return err
	}
	c := &wasm.Config{Features: features}
	m, err := wasm.Decode(code.binary, c)
	if err == nil {
		err = wasm.Validate(m, c)
	}
	if err != nil {
		return inFile(file, withHint(code.locate(err), featureHint(code.binary, features)))
	}
	return nil
}

// featureHint says what would make a module valid that lacks features.
func featureHint(module []byte, features wasm.Features) string {
	used, err := wasm.UsedFeatures(module)
	if err != nil || features.Has(used) {
		return ""
	}
	return "it needs --features with " + (used &^ features).String()
}

// parseFeatures reads a list of features.
func parseFeatures(cmd *cobra.Command, names []string) (wasm.Features, error) {
	sets := map[string]wasm.Features{"1.0": wasm.Features1, "2.0": wasm.Features2, "3.0": wasm.Features3, "all": wasm.FeaturesAll}
	var f wasm.Features
	for _, n := range names {
		name, without := strings.CutPrefix(n, "-")
		x, ok := sets[name]
		if !ok {
			x, ok = wasm.LookupFeature(name)
		}
		if !ok {
			known := strings.Split(wasm.FeaturesAll.String(), ",")
			return 0, withHint(usagef(cmd, "--features: there is no feature %q", name),
				orElse(didYouMean(near(name, known), ""), "there are "+strings.Join(known, ", ")))
		}
		if without {
			f &^= x
		} else {
			f |= x
		}
	}
	if f == 0 {
		return 0, usagef(cmd, "--features leaves none; 1.0 is the least")
	}
	return f, nil
}
