// Command davit runs WebAssembly programs and holds the tools of the project.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
)

// commands make the subcommands. Each file that has one adds it here in its
// init function.
var commands []func() *cobra.Command

func main() { os.Exit(run(os.Args[1:])) }

// run runs the command line and returns the exit code.
func run(args []string) (code int) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	s := &session{stderr: newTerminal(os.Stderr)}
	defer s.recover(&code)
	root := rootCommand(s)
	root.SetArgs(args)
	return s.exitCode(root.ExecuteContext(context.WithValue(ctx, sessionKey{}, s)))
}

// session is what all commands of a command line share.
type session struct {
	stderr *terminal
	config string // the flag --config
	color  string // the flag --color
}

type sessionKey struct{}

// sessionOf is the session that cmd belongs to.
func sessionOf(cmd *cobra.Command) *session { return cmd.Context().Value(sessionKey{}).(*session) }

func rootCommand(s *session) *cobra.Command {
	root := &cobra.Command{
		Use:   "davit",
		Short: "Run WebAssembly programs with a compiler written in Go",
		Long: `davit compiles WebAssembly modules to machine code and runs them.

Exit codes: the program's own; 134 if it trapped; 124 if it ran out of its
time; 130 if it was interrupted; 1 for errors of the host; 2 for a wrong
command line.

Modules may be in the binary or the text format, which is told by what is in
the file; the file - is standard input. Colours are used on terminals only, and
not if the variable NO_COLOR is set.`,
		Example:       "  davit run hello.wasm\n  davit run --dir .::/ tool.wasm --help\n  davit inspect hello.wasm",
		SilenceUsage:  true,
		SilenceErrors: true,
		Args:          knownCommand,
		RunE:          func(cmd *cobra.Command, args []string) error { return cmd.Help() },
		PersistentPreRunE: func(cmd *cobra.Command, args []string) error {
			if err := s.applyConfig(cmd); err != nil {
				return err
			}
			return s.stderr.setColor(cmd, s.color)
		},
	}
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return withHint(&usageError{cmd, err}, flagHint(cmd, err))
	})
	f := root.PersistentFlags()
	f.StringVar(&s.config, "config", "", "read settings from `FILE` instead of the user's (see davit config)")
	f.StringVar(&s.color, "color", "auto", "use colours: `WHEN` is auto (on a terminal), always or never")
	root.RegisterFlagCompletionFunc("color", whenCompletion)
	for _, c := range commands {
		root.AddCommand(c())
	}
	root.SetHelpCommand(helpCommand())
	root.InitDefaultCompletionCmd("completion")
	for _, c := range root.Commands() {
		if c.Name() != "completion" {
			continue
		}
		c.Example = "  davit completion bash"
		c.Args = knownCommand
		c.RunE = func(cmd *cobra.Command, args []string) error { return cmd.Help() }
		for _, shell := range c.Commands() {
			shell.Example = "  davit completion " + shell.Name()
		}
	}
	return root
}

// helpCommand is davit help, which knows what it is asked about or says so.
func helpCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "help [COMMAND]...",
		Short:   "Help about any command",
		Example: "  davit help run\n  davit help config new",
		RunE: func(cmd *cobra.Command, args []string) error {
			about, rest, err := cmd.Root().Find(args)
			if err != nil || len(rest) > 0 {
				if about == nil || err != nil {
					about, rest = cmd.Root(), args
				}
				return knownCommand(about, rest)
			}
			about.InitDefaultHelpFlag()
			return about.Help()
		},
	}
}

// whenCompletion offers the values of flags such as --color to shells.
var whenCompletion = cobra.FixedCompletions([]string{"auto", "always", "never"}, cobra.ShellCompDirectiveNoFileComp)
