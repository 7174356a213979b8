package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/davit-wasm/davit"
	"github.com/davit-wasm/davit/wasi/wasip1"
)

func init() { commands = append(commands, runCommand) }

// errTimeout is the cause of the end of a program that has used up its time.
var errTimeout = errors.New("the program has used up its time")

// runOptions are the flags of `davit run`.
type runOptions struct {
	dirs       []string
	env        []string
	envInherit bool
	invoke     string
	timeout    time.Duration
	maxMemory  string
	stdin      string
}

func runCommand() *cobra.Command {
	var o runOptions
	cmd := &cobra.Command{
		Use:   "run [flags] FILE [ARG]...",
		Short: "Run a WebAssembly program",
		Long: `Run a module, in the binary or the text format: its function _start, as a
command of WASI 0.1, or the exported function that --invoke names.

Everything after FILE belongs to the program. It sees the directories given
with --dir and nothing else of the file system, and no environment variables
but those given with --env.`,
		Example: `  davit run hello.wasm
  davit run --dir .::/work:ro --env LANG=C tool.wasm --verbose /work/file
  davit run --invoke add math.wat 2 3`,
		Args: minArgs(1, "the file to run"),
		RunE: func(cmd *cobra.Command, args []string) error { return o.run(cmd, args) },
	}
	f := cmd.Flags()
	f.SetInterspersed(false)
	f.StringArrayVar(&o.dirs, "dir", nil, "give the program directory `HOST[::GUEST][:ro]`; ro: for reading only")
	f.StringArrayVar(&o.env, "env", nil, "set variable `NAME=VALUE`, or NAME as it is set here")
	f.BoolVar(&o.envInherit, "env-inherit", false, "pass on all environment variables")
	f.StringVar(&o.invoke, "invoke", "", "call exported function `NAME` with the arguments")
	f.DurationVar(&o.timeout, "timeout", 0, "end the program after this time, such as 30s")
	f.StringVar(&o.maxMemory, "max-memory", "", "most memory that the program can have, such as 512M")
	f.StringVar(&o.stdin, "stdin", "", "read standard input from `FILE`")
	return cmd
}

func (o *runOptions) run(cmd *cobra.Command, args []string) error {
	file, guestArgs := args[0], args[1:]
	dirs, err := parseDirs(cmd, o.dirs)
	if err != nil {
		return err
	}
	env, err := o.environment(cmd)
	if err != nil {
		return err
	}
	store := &davit.StoreConfig{}
	if o.maxMemory != "" {
		if store.MaxMemoryBytes, err = parseSize(o.maxMemory); err != nil {
			return usagef(cmd, "--max-memory: %w", err)
		}
	}
	stdin := os.Stdin
	if o.stdin != "" {
		if stdin, err = os.Open(o.stdin); err != nil {
			return err
		}
		defer stdin.Close()
	}
	code, err := readModule(file)
	if err != nil {
		return err
	}

	// The time counts from here, so that a limit covers compilation too.
	ctx := cmd.Context()
	if o.timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, o.timeout, errTimeout)
		defer cancel()
	}
	engine, err := davit.NewEngine(nil)
	if err != nil {
		return err
	}
	module, err := engine.Compile(ctx, code)
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	defer module.Close()
	s, err := davit.NewStore(engine, store)
	if err != nil {
		return err
	}
	defer s.Close()
	linker := davit.NewLinker(engine)
	config := &wasip1.Config{
		Args: []string{file}, Env: env, Mounts: dirs, Stdin: stdin, Stdout: os.Stdout, Stderr: os.Stderr,
	}
	if o.invoke == "" {
		config.Args = append(config.Args, guestArgs...)
	}
	process, err := wasip1.New(config)
	if err != nil {
		return err
	}
	defer process.Close()
	if err := process.Define(linker); err != nil {
		return err
	}
	instance, err := linker.Instantiate(ctx, s, module)
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	if o.invoke != "" {
		return invoke(ctx, cmd, instance, o.invoke, guestArgs)
	}
	start := instance.Func("_start")
	if start == nil {
		return fmt.Errorf("%s is no command: it exports no function _start; name a function with --invoke (%s)", file, exportedFuncs(module))
	}
	_, err = start.Call(ctx)
	return err
}

// exportedFuncs lists what --invoke could call.
func exportedFuncs(m *davit.Module) string {
	var names []string
	for _, e := range m.Exports() {
		if e.Type.Func != nil {
			names = append(names, e.Name)
		}
	}
	if len(names) == 0 {
		return "it exports none"
	}
	if len(names) > 10 {
		names = append(names[:10], "…")
	}
	return "it exports " + strings.Join(names, ", ")
}

// invoke calls a function with arguments given as text and prints its results,
// one in a line.
func invoke(ctx context.Context, cmd *cobra.Command, in *davit.Instance, name string, args []string) error {
	f := in.Func(name)
	if f == nil {
		return usagef(cmd, "the module exports no function %q (%s)", name, exportedFuncs(in.Module()))
	}
	t := f.Type()
	if len(args) != len(t.Params) {
		return usagef(cmd, "function %q of type %v takes %d arguments, %d are given", name, t, len(t.Params), len(args))
	}
	values := make([]davit.Value, len(args))
	for i, a := range args {
		v, err := parseValue(t.Params[i], a)
		if err != nil {
			return usagef(cmd, "argument %d of %q: %w", i+1, name, err)
		}
		values[i] = v
	}
	if init := in.Func("_initialize"); init != nil {
		if _, err := init.Call(ctx); err != nil {
			return err
		}
	}
	results, err := f.Call(ctx, values...)
	if err != nil {
		return err
	}
	for _, r := range results {
		fmt.Fprintln(cmd.OutOrStdout(), r)
	}
	return nil
}

// parseValue reads a value of type t; integers may be given as signed or
// unsigned numbers, in any base of Go's.
func parseValue(t davit.ValType, s string) (davit.Value, error) {
	switch t {
	case davit.I32:
		n, err := parseInt(s, 32)
		return davit.ValueI32(int32(n)), err
	case davit.I64:
		n, err := parseInt(s, 64)
		return davit.ValueI64(int64(n)), err
	case davit.F32:
		x, err := strconv.ParseFloat(s, 32)
		return davit.ValueF32(float32(x)), err
	case davit.F64:
		x, err := strconv.ParseFloat(s, 64)
		return davit.ValueF64(x), err
	}
	if t.IsRef() && t.Nullable() && s == "null" {
		return davit.ValueNull(t), nil
	}
	return davit.Value{}, fmt.Errorf("a value of type %v cannot be given here", t)
}

func parseInt(s string, bits int) (uint64, error) {
	if strings.HasPrefix(s, "-") {
		n, err := strconv.ParseInt(s, 0, bits)
		return uint64(n), err
	}
	return strconv.ParseUint(s, 0, bits)
}

// parseDirs reads the values of --dir.
func parseDirs(cmd *cobra.Command, args []string) ([]wasip1.Mount, error) {
	var dirs []wasip1.Mount
	for _, a := range args {
		d := wasip1.Mount{Host: a}
		if host, ok := strings.CutSuffix(d.Host, ":ro"); ok {
			d.Host, d.ReadOnly = host, true
		}
		host, guest, ok := strings.Cut(d.Host, "::")
		if !ok {
			guest = host
		}
		if host == "" || guest == "" {
			return nil, usagef(cmd, "--dir %q: want HOST[::GUEST][:ro]", a)
		}
		d.Host, d.Guest = host, guest
		dirs = append(dirs, d)
	}
	return dirs, nil
}

// environment is the program's environment.
func (o *runOptions) environment(cmd *cobra.Command) ([]string, error) {
	var env []string
	if o.envInherit {
		for _, e := range os.Environ() {
			if strings.IndexByte(e, '=') > 0 { // Windows has some that begin with =
				env = append(env, e)
			}
		}
	}
	for _, e := range o.env {
		name, _, ok := strings.Cut(e, "=")
		if name == "" {
			return nil, usagef(cmd, "--env %q: want NAME=VALUE or NAME", e)
		}
		if !ok {
			v, set := os.LookupEnv(name)
			if !set {
				continue
			}
			e = name + "=" + v
		}
		// A later definition replaces an earlier one.
		for i := range env {
			if strings.HasPrefix(env[i], name+"=") {
				env = append(env[:i], env[i+1:]...)
				break
			}
		}
		env = append(env, e)
	}
	return env, nil
}

// parseSize reads a number of bytes, with an optional unit: K, M, G or T, in
// powers of 1024.
func parseSize(s string) (uint64, error) {
	digits := strings.TrimRight(strings.TrimSuffix(strings.ToUpper(s), "B"), "KMGTI")
	n, err := strconv.ParseUint(digits, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("%q is no size such as 512M", s)
	}
	shift := 0
	switch strings.TrimSuffix(strings.TrimSuffix(strings.ToUpper(s[len(digits):]), "B"), "I") {
	case "":
	case "K":
		shift = 10
	case "M":
		shift = 20
	case "G":
		shift = 30
	case "T":
		shift = 40
	default:
		return 0, fmt.Errorf("%q is no size such as 512M", s)
	}
	if n > (1<<63)>>shift {
		return 0, fmt.Errorf("%q is too large", s)
	}
	return n << shift, nil
}
