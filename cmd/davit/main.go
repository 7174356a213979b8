// Command davit runs WebAssembly programs and holds the tools of the project.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/davit-wasm/davit"
)

// Exit codes. A program that `davit run` runs to its end has its own.
const (
	exitError     = 1   // the host's fault: a file that cannot be read, a module that is invalid, …
	exitUsage     = 2   // the command line is wrong
	exitTimeout   = 124 // as timeout(1)
	exitInterrupt = 130 // ended by the interrupt key, as shells have it
	exitTrap      = 134 // the program trapped; what a C program's abort gives
)

// commands make the subcommands. Each file that has one adds it here in its
// init function.
var commands []func() *cobra.Command

func main() { os.Exit(run(os.Args[1:])) }

// run runs the command line and returns the exit code.
func run(args []string) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	root := rootCommand()
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	return exitCode(err)
}

func rootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:   "davit",
		Short: "Run WebAssembly programs with a compiler written in Go",
		Long: `davit compiles WebAssembly modules to machine code and runs them.

Exit codes: the program's own; 134 if it trapped; 124 if it ran out of its
time; 130 if it was interrupted; 1 for errors of the host; 2 for a wrong
command line.`,
		Example:       "  davit run hello.wasm\n  davit run --dir .::/ tool.wasm --help",
		SilenceUsage:  true,
		SilenceErrors: true,
		Args:          noArgs,
		RunE:          func(cmd *cobra.Command, args []string) error { return cmd.Help() },
	}
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error { return &usageError{cmd, err} })
	for _, c := range commands {
		root.AddCommand(c())
	}
	return root
}

// usageError is the error of a wrong command line.
type usageError struct {
	cmd *cobra.Command
	err error
}

func (e *usageError) Error() string { return e.err.Error() }
func (e *usageError) Unwrap() error { return e.err }

// usagef is a [usageError].
func usagef(cmd *cobra.Command, format string, args ...any) error {
	return &usageError{cmd, fmt.Errorf(format, args...)}
}

// noArgs and minArgs are checks of the number of arguments, with usage errors.
func noArgs(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usagef(cmd, "unknown command %q", args[0])
	}
	return nil
}

func minArgs(n int, what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) < n {
			return usagef(cmd, "%s is missing", what)
		}
		return nil
	}
}

// oneArg is minArgs for a command that takes just one argument.
func oneArg(what string) cobra.PositionalArgs {
	atLeast := minArgs(1, what)
	return func(cmd *cobra.Command, args []string) error {
		if len(args) > 1 {
			return usagef(cmd, "there are more arguments than %s", what)
		}
		return atLeast(cmd, args)
	}
}

// silentError is the error of a command that has said everything already.
type silentError struct{ code int }

func (e *silentError) Error() string { return fmt.Sprintf("exit code %d", e.code) }

// exitCode reports err on the standard error stream and returns the exit code
// for it.
func exitCode(err error) int {
	var (
		exit   *davit.ExitError
		trap   *davit.Trap
		usage  *usageError
		silent *silentError
	)
	switch {
	case err == nil:
		return 0
	case errors.As(err, &exit):
		return int(exit.Code & 0xff) // all that a parent process sees
	case errors.As(err, &silent):
		return silent.code
	case errors.Is(err, errTimeout):
		fmt.Fprintln(os.Stderr, "davit:", err)
		return exitTimeout
	case errors.As(err, &usage):
		fmt.Fprintf(os.Stderr, "davit: %v\nSee '%s --help'.\n", err, usage.cmd.CommandPath())
		return exitUsage
	case errors.Is(err, context.Canceled):
		fmt.Fprintln(os.Stderr, "davit: interrupted")
		return exitInterrupt
	case errors.As(err, &trap):
		fmt.Fprintf(os.Stderr, "davit: %v\n%s", err, trap.Backtrace())
		return exitTrap
	}
	fmt.Fprintln(os.Stderr, "davit:", err)
	return exitError
}
