package main

import (
	"context"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/davit-wasm/davit"
	"github.com/davit-wasm/davit/snapshot"
	"github.com/davit-wasm/davit/wasi/wasip1"
)

func init() { commands = append(commands, wizerCommand) }

func wizerCommand() *cobra.Command {
	var (
		o       runOptions
		c       snapshot.Config
		out     string
		renames []string
		noWASI  bool
	)
	cmd := &cobra.Command{
		Use:   "wizer [flags] FILE",
		Short: "Run a module's initialization, and write the module with what came of it",
		Long: `Run the function of a module that initializes it, and write the module anew, such
that its instances begin with the state after that: memories and global variables
are in the module, and nothing is initialized again.

The function is an export without parameters and results; _initialize, which
reactors of WASI have, is called before it. It sees what the flags give it, as a program does
that 'davit run' runs. What it has read of that stays in the module; open files
do not.`,
		Example: "  davit wizer -o ready.wasm app.wat\n  davit wizer --init setup --rename _start=serve --dir ./lib::/etc:ro -o ready.wasm app.wat",
		Args:    oneArg("a module"),
		RunE: func(cmd *cobra.Command, args []string) error {
			file := args[0]
			if o.timeout < 0 {
				return usagef(cmd, "--timeout: %v is no time to run", o.timeout)
			}
			c.Rename = map[string]string{}
			for _, r := range renames {
				to, from, ok := strings.Cut(r, "=")
				if _, twice := c.Rename[to]; !ok || to == "" || from == "" || twice {
					return usagef(cmd, "--rename %q: want NEW=OLD, each NEW once", r)
				}
				c.Rename[to] = from
			}
			limits, err := o.limits(cmd)
			if err != nil {
				return err
			}
			c.Store = limits
			code, err := readModule(cmd, file)
			if err != nil {
				return err
			}
			ctx := cmd.Context()
			if o.timeout > 0 {
				var cancel context.CancelFunc
				ctx, cancel = context.WithTimeoutCause(ctx, o.timeout, errTimeout)
				defer cancel()
			}
			data, err := o.snapshot(ctx, cmd, code, &c, noWASI)
			if err != nil {
				if ctx.Err() != nil {
					return context.Cause(ctx)
				}
				return inFile(file, code.locate(err))
			}
			return writeOutput(cmd, out, data, true)
		},
	}
	f := cmd.Flags()
	f.StringVarP(&out, "output", "o", "", "write to `FILE` instead of standard output")
	f.StringVar(&c.Init, "init", snapshot.DefaultInit, "exported function `NAME` that initializes the module")
	f.BoolVar(&c.KeepInit, "keep-init", false, "go on exporting that function")
	f.StringArrayVar(&renames, "rename", nil, "give the export OLD the name NEW: `NEW=OLD` (may be repeated)")
	f.BoolVar(&noWASI, "no-wasi", false, "let the initialization call no functions of WASI")
	f.StringArrayVar(&o.dirs, "dir", nil, "give the initialization directory `HOST[::GUEST][:ro]`")
	f.StringArrayVar(&o.env, "env", nil, "set variable `NAME=VALUE`, or NAME as it is set here")
	f.DurationVar(&o.timeout, "timeout", time.Minute, "give up after `TIME`; 0: never")
	f.StringVar(&o.maxMemory, "max-memory", "", "most memory that the module can have: `SIZE` such as 512M (default 4G)")
	return cmd
}

// snapshot is the module after its initialization, in the world of the flags.
func (o *runOptions) snapshot(ctx context.Context, cmd *cobra.Command, code *module, c *snapshot.Config, noWASI bool) ([]byte, error) {
	engine, err := davit.NewEngine(nil)
	if err != nil {
		return nil, err
	}
	linker := davit.NewLinker(engine)
	if !noWASI {
		config, closers, err := o.wasi(cmd, code.file)
		defer closeAll(closers)
		if err != nil {
			return nil, err
		}
		config.Stdout = os.Stderr // the module may go to standard output
		process, err := wasip1.New(config)
		if err != nil {
			return nil, withHint(err, missingDirHint(err))
		}
		defer process.Close()
		if err := process.Define(linker); err != nil {
			return nil, err
		}
	}
	return snapshot.Take(ctx, linker, engine, code.binary, c)
}

func closeAll(list []io.Closer) {
	for _, c := range list {
		c.Close()
	}
}
