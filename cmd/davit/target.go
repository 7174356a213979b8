package main

import (
	"github.com/davit-wasm/davit/codegen/isa"
	"github.com/spf13/cobra"
)

// checkTarget is the usage error of flags that say what code is compiled for: --target and
// --cpu, which may be "", and setting, which is named for its own error.
func checkTarget(cmd *cobra.Command, target, cpu, setting string, settings []string) error {
	here := target == ""
	if here {
		target = isa.HostTriple().String()
	}
	b, err := isa.Lookup(target)
	switch {
	case err != nil && here:
		return nil // not the command line's fault
	case err != nil:
		return usagef(cmd, "--target: %w", err)
	case cpu != "" && b.Set(cpu) != nil:
		return usagef(cmd, "--cpu: no processor %q is known for %s", cpu, target)
	}
	for _, s := range settings {
		if err := b.Set(s); err != nil {
			return usagef(cmd, "%s: %w", setting, err)
		}
	}
	return nil
}
