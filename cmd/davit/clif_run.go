package main

import (
	"fmt"

	"github.com/spf13/cobra"
)

func clifRunCommand() *cobra.Command {
	return clifCallCommand(&cobra.Command{
		Use:   "run FILE",
		Short: "Compile functions and run them",
		Long: `Compile the functions of a file for this machine and make the calls that its
run lines say:

  ; run: %f(1, 2) == 3     an error if the result is another
  ; print: %f(1, 2)        print the result

The results are also compared with those of the interpreter.`,
		Example: "  davit clif run add.clif\n  davit clif run --invoke '%add(1, 2)' add.clif",
	}, "run")
}

func clifInterpretCommand() *cobra.Command {
	return clifCallCommand(&cobra.Command{
		Use:   "interpret FILE",
		Short: "Interpret functions",
		Long: `Make the calls that the run lines of a file say, in an interpreter, which
runs functions of any target on any machine. See davit clif run.`,
		Example: "  davit clif interpret add.clif\n  davit clif interpret --invoke '%add(1, 2)' add.clif",
	}, "interpret")
}

// clifCallCommand completes a command that makes the calls of a file.
func clifCallCommand(cmd *cobra.Command, as string) *cobra.Command {
	t := clifTest{as: as}
	cmd.Args = oneArg("a file")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		w := clifWorker{test: &t}
		defer w.stop()
		r := w.file(args[0])
		for _, s := range r.Printed {
			fmt.Fprintln(cmd.OutOrStdout(), s)
		}
		switch {
		case r.Failed > 0:
			for _, s := range r.Failures[1:] {
				fmt.Fprintln(cmd.ErrOrStderr(), "davit:", s)
			}
			return fmt.Errorf("%s", r.Failures[0])
		case r.Skipped > 0:
			return fmt.Errorf("%s: not run here: %s", args[0], r.Skips[0])
		case t.invoke == "" && r.Passed == 0:
			return fmt.Errorf("%s has no run lines; --invoke says what to call", args[0])
		case t.invoke == "":
			fmt.Fprintf(cmd.OutOrStdout(), "%d calls as they should be\n", r.Passed)
		}
		return nil
	}
	cmd.Flags().StringVar(&t.invoke, "invoke", "", "the call to make in place of the run lines, such as '%f(1, 2)'")
	cmd.Flags().StringArrayVar(&t.settings, "set", nil, "a setting on top of the file's own, as NAME or NAME=VALUE")
	return cmd
}
