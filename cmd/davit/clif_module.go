package main

import (
	"fmt"
	"slices"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/davit-wasm/davit/codegen"
	"github.com/davit-wasm/davit/codegen/clif"
	"github.com/davit-wasm/davit/codegen/ir"
	"github.com/davit-wasm/davit/internal/compile"
	"github.com/davit-wasm/davit/wasm"
)

func clifWasmCommand() *cobra.Command {
	var funcs []string
	cmd := &cobra.Command{
		Use:   "wasm FILE",
		Short: "Print the CLIF that a module's functions are translated to",
		Long: `Print the CLIF that the functions of a WebAssembly module are translated to,
for this machine, before any pass of the compiler. A function is named by its
index, those that are imported counting, or by what the module exports it as.
The source locations in front of instructions are offsets in the module.`,
		Example: "  davit clif wasm add.wat\n  davit clif wasm --func add --func 3 add.wasm",
		Args:    oneArg("a module"),
		RunE: func(cmd *cobra.Command, args []string) error {
			file, err := readModule(cmd, args[0])
			if err != nil {
				return err
			}
			m, err := wasm.Decode(file.binary, &wasm.Config{Features: wasm.FeaturesAll})
			if err != nil {
				return fmt.Errorf("%s: %w", args[0], err)
			}
			want, err := wantedFuncs(m, funcs)
			if err != nil {
				return fmt.Errorf("%s: %w", args[0], err)
			}
			first := true
			err = compile.Functions(file.binary, nil, func(f *ir.Function, _ func(*codegen.InlineCall) *ir.Function) error {
				if len(funcs) > 0 && !slices.Contains(want, f.Name.Index) {
					return nil
				}
				if !first {
					fmt.Fprintln(cmd.OutOrStdout())
				}
				first = false
				for i := range m.Exports {
					if e := &m.Exports[i]; e.Kind == wasm.KindFunc && e.Index == f.Name.Index {
						fmt.Fprintf(cmd.OutOrStdout(), "; exported as %q\n", e.Name)
					}
				}
				_, err := cmd.OutOrStdout().Write(clif.AppendFunction(nil, f))
				return err
			})
			if err != nil {
				return fmt.Errorf("%s: %w", args[0], err)
			}
			return nil
		},
	}
	cmd.Flags().StringArrayVar(&funcs, "func", nil, "print this function, by index or name of an export, and no other (may be repeated)")
	return cmd
}

// wantedFuncs are the indexes of the functions that names stand for.
func wantedFuncs(m *wasm.Module, names []string) (list []uint32, err error) {
	for _, name := range names {
		at := -1
		for i := range m.Exports {
			if e := &m.Exports[i]; e.Kind == wasm.KindFunc && e.Name == name {
				at = int(e.Index)
			}
		}
		if n, err := strconv.ParseUint(name, 10, 32); at < 0 && err == nil {
			at = int(n)
		}
		switch {
		case at < 0:
			return nil, fmt.Errorf("no function is exported as %q", name)
		case at >= len(m.Funcs):
			return nil, fmt.Errorf("there is no function %d", at)
		case at < m.NumImportedFuncs:
			return nil, fmt.Errorf("function %d is imported", at)
		}
		list = append(list, uint32(at))
	}
	return list, nil
}
