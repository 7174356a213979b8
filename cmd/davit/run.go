package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/ianlancetaylor/demangle"
	"github.com/spf13/cobra"

	"github.com/davit-wasm/davit"
	"github.com/davit-wasm/davit/internal/compile"
	"github.com/davit-wasm/davit/wasi/wasip1"
	"github.com/davit-wasm/davit/wasm"
)

func init() { commands = append(commands, runCommand) }

// errTimeout is the cause of the end of a program that has used up its time.
var errTimeout = errors.New("the program has used up its time")

// runOptions are the flags of `davit run`.
type runOptions struct {
	dirs       []string
	env        []string
	envInherit []string
	invoke     string
	preload    []string
	listen     []string
	timeout    time.Duration
	maxMemory  string
	maxStack   string
	stdin      string
	progress   string
	cpu        string
	quick      bool
	fuel       fuelFlag
	settings   []string
	cache      string
	coredump   string
	json       bool
	profileOptions
}

// all is the value of --env-inherit that stands for all variables; in
// a configuration file it may be true, and false for none.
const all = "*"

func runCommand() *cobra.Command {
	var o runOptions
	cmd := &cobra.Command{
		Use:   "run [flags] FILE [ARG]...",
		Short: "Run a WebAssembly program",
		Long: `Run a module, in the binary or the text format, or compiled by 'davit compile':
its function _start, as a command of WASI 0.1, or the exported function that
--invoke names.

Everything after FILE belongs to the program. It sees the directories given
with --dir and nothing else of the file system, no environment variables but
those given with --env and --env-inherit, and no network but the sockets given
with --tcplisten. FILE may be - for standard input; the program then has none.

The arguments of a function are numbers as in the text format, such as -1, 0x10,
1e3 or nan, null for references, and 0x with 32 digits for vectors.

Exit codes: the program's own; 134 if it trapped, with a backtrace; 124 if it
ran out of its time; 130 if it was interrupted; 1 for errors of the host, such
as a module that is invalid; 2 for a wrong command line.`,
		Example: `  davit run hello.wasm
  davit run --dir .::/work:ro --env LANG=C tool.wasm --verbose /work/file
  davit run --env-inherit=HOME,PATH --timeout 30s --max-memory 512M tool.wasm
  davit run --fuel 1000000000 tool.wasm
  davit run --invoke add math.wat 2 3
  davit run --preload math=math.wat --invoke square user.wat 7
  davit run - < hello.wasm`,
		Args: minArgs(1, "the file to run"),
		RunE: func(cmd *cobra.Command, args []string) error {
			err := o.run(cmd, args)
			if o.json {
				return sessionOf(cmd).asJSON(err)
			}
			return err
		},
	}
	f := cmd.Flags()
	f.SetInterspersed(false)
	f.StringArrayVar(&o.dirs, "dir", nil, "give the program directory `HOST[::GUEST][:ro]`; ro: for reading only")
	f.StringArrayVar(&o.env, "env", nil, "set variable `NAME=VALUE`, or NAME as it is set here")
	f.StringSliceVar(&o.envInherit, "env-inherit", nil, "pass on the variables `NAMES`, with commas between; without =NAMES, all")
	f.Lookup("env-inherit").NoOptDefVal = all
	f.StringVar(&o.invoke, "invoke", "", "call exported function `NAME` with the arguments and print its results")
	f.StringArrayVar(&o.preload, "preload", nil, "let the module import from another: `NAME=FILE`")
	f.StringArrayVar(&o.listen, "tcplisten", nil, "give the program a socket that listens on `HOST:PORT`")
	f.DurationVar(&o.timeout, "timeout", 0, "end the program after `TIME`, such as 30s")
	f.Var(&o.fuel, "fuel", "trap after about `N` instructions of WebAssembly, the same for each run and on all machines")
	f.StringVar(&o.maxMemory, "max-memory", "", "most memory that the program can have: `SIZE` such as 512M (default 4G)")
	f.StringVar(&o.maxStack, "max-stack", "", "size of the program's stack: `SIZE` such as 8M (default 1M)")
	f.StringVar(&o.stdin, "stdin", "", "read standard input from `FILE`")
	f.StringVar(&o.progress, "progress", "auto", "show the progress of long compilations: `WHEN` is auto (on a terminal), always or never")
	f.StringVar(&o.cpu, "cpu", "", "compile for processor `MODEL`, such as x86-64-v2, instead of this machine's")
	f.BoolVar(&o.quick, "quick", false, "compile in less than half the time, to slower code")
	f.StringArrayVar(&o.settings, "set", nil, "change a setting of the code generator: `NAME=VALUE`, such as opt_level=none")
	f.StringVar(&o.cache, "cache", "", "keep compiled modules in folder `DIR`, and find them there; without =DIR, in the user's cache")
	f.Lookup("cache").NoOptDefVal = userCache
	f.StringVar(&o.coredump, "coredump", "", "write a core dump to `FILE` if the program traps")
	o.profileFlags(cmd)
	f.BoolVar(&o.json, "json", false, "print errors, and results of --invoke, as JSON")
	cmd.RegisterFlagCompletionFunc("progress", whenCompletion)
	return cmd
}

// runner is a program on its way.
type runner struct {
	*runOptions
	cmd    *cobra.Command
	engine *davit.Engine
	linker *davit.Linker
	store  *davit.Store
	now    *progress // of the compilation that runs, or nil
	loaded []loaded
	taken  *davit.Profile // or nil
}

// loaded is a module with the name that it gives itself.
type loaded struct {
	name string
	code *module
}

func (o *runOptions) run(cmd *cobra.Command, args []string) (err error) {
	file, guestArgs := args[0], args[1:]
	if o.timeout < 0 {
		return usagef(cmd, "--timeout: %v is no time to run", o.timeout)
	}
	config, closers, err := o.wasi(cmd, file)
	defer closeAll(closers)
	if err != nil {
		return err
	}
	if o.invoke == "" {
		config.Args = append(config.Args, guestArgs...)
	}
	limits, err := o.limits(cmd)
	if err != nil {
		return err
	}
	preload, err := parsePreload(cmd, o.preload)
	if err != nil {
		return err
	}
	code, err := readProgram(cmd, file)
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
	r := &runner{runOptions: o, cmd: cmd}
	defer func() { err = r.trace(err) }()
	if err := checkTarget(cmd, "", o.cpu, "--set", o.settings); err != nil {
		return err
	}
	cache, err := o.openCache()
	if err != nil {
		return err
	}
	perfMap, jitDump, err := o.perfFiles(cmd)
	if err != nil {
		return err
	}
	r.engine, err = davit.NewEngine(&davit.Config{
		PerfMap: perfMap, JITDump: jitDump,
		Fuel: o.fuel.set, QuickCompile: o.quick, CPU: o.cpu, Settings: o.settings, Cache: cache,
		Demangle: func(name string) string { return demangle.Filter(name) }, SourceMap: sourceMapBeside(file),
		CompileProgress: func(done, total int) {
			if r.now != nil {
				r.now.update(done, total)
			}
		},
	})
	if err != nil {
		return err
	}
	if r.store, err = davit.NewStore(r.engine, limits); err != nil {
		return err
	}
	defer r.store.Close()
	defer func() { err = r.dump(err, file) }()
	if o.profile != "" {
		var end func(error) error
		if r.taken, end, err = o.startProfile(cmd); err != nil {
			return err
		}
		defer func() { err = end(err) }()
	}
	r.linker = davit.NewLinker(r.engine)
	process, err := wasip1.New(config)
	if err != nil {
		return withHint(err, missingDirHint(err))
	}
	defer process.Close()
	if err := process.Define(r.linker); err != nil {
		return err
	}
	for _, p := range preload {
		code, err := readProgram(cmd, p.file)
		if err != nil {
			return err
		}
		in, err := r.instantiate(ctx, code)
		if err != nil {
			return err
		}
		if err := initialize(ctx, in); err != nil {
			return err
		}
		if err := r.linker.DefineInstance(p.name, in); err != nil {
			return err
		}
	}
	in, err := r.instantiate(ctx, code)
	if err != nil {
		return err
	}
	if o.invoke != "" {
		return r.call(ctx, in, guestArgs)
	}
	start := in.Func("_start")
	if start == nil {
		return withHint(fmt.Errorf("%s is no command: it exports no function _start", file),
			"call another function with --invoke NAME; "+exportedFuncs(in.Module()))
	}
	_, err = start.Call(ctx)
	return err
}

// dump writes a core dump if err is a trap and one is wanted. The trap remains the error.
func (r *runner) dump(err error, file string) error {
	var trap *davit.Trap
	if r.coredump == "" || !errors.As(err, &trap) {
		return err
	}
	f, cerr := os.Create(r.coredump)
	if cerr == nil {
		cerr = r.store.WriteCoreDump(f, file, trap.Frames)
		if e := f.Close(); cerr == nil {
			cerr = e
		}
	}
	if cerr != nil {
		return fmt.Errorf("%w (and no core dump: %w)", err, cerr)
	}
	return err
}

// maxSourceMap is the size of the largest source map that is read.
const maxSourceMap = 256 << 20

// sourceMapBeside reads source maps that lie in the folder of a module's file, or below it; a
// module says which, and gets no other file read.
func sourceMapBeside(file string) func(string) ([]byte, error) {
	return func(name string) ([]byte, error) {
		root, err := os.OpenRoot(filepath.Dir(file))
		if err != nil {
			return nil, err
		}
		defer root.Close()
		f, err := root.Open(filepath.FromSlash(name))
		if err != nil {
			return nil, err
		}
		defer f.Close()
		return io.ReadAll(io.LimitReader(f, maxSourceMap))
	}
}

// userCache is the value of --cache that stands for the user's folder.
const userCache = "user"

// openCache is the cache that --cache asks for, or nil.
func (o *runOptions) openCache() (*davit.Cache, error) {
	c := &davit.CacheConfig{}
	switch o.cache {
	case "", "false":
		return nil, nil
	case userCache, "true":
	default:
		c.Dir = o.cache
	}
	return davit.NewCache(c)
}

// artifactHint says what helps where an artifact cannot be used.
func artifactHint(err error) string {
	var refused *davit.ArtifactError
	if !errors.As(err, &refused) {
		return ""
	}
	switch refused.Reason {
	case davit.ArtifactSettings:
		return "davit run --fuel wants what davit compile --fuel has made, and nothing else runs that"
	case davit.ArtifactVersion, davit.ArtifactProcessor, davit.ArtifactTarget:
		return "compile the module again: davit compile"
	}
	return "the file is damaged; compile the module again: davit compile"
}

// wasi is the world of the program, and what is to be closed after it.
func (o *runOptions) wasi(cmd *cobra.Command, file string) (c *wasip1.Config, closers []io.Closer, err error) {
	c = &wasip1.Config{Args: []string{file}, Stdout: os.Stdout, Stderr: os.Stderr}
	if c.Mounts, err = parseDirs(cmd, o.dirs); err != nil {
		return nil, nil, err
	}
	if c.Env, err = o.environment(cmd); err != nil {
		return nil, nil, err
	}
	switch {
	case o.stdin != "":
		f, err := os.Open(o.stdin)
		if err != nil {
			return nil, nil, fmt.Errorf("--stdin: %w", err)
		}
		c.Stdin, closers = f, append(closers, f)
	case file != stdinName:
		c.Stdin = os.Stdin
	}
	for _, address := range o.listen {
		l, err := net.Listen("tcp", address)
		if err != nil {
			return nil, closers, withHint(fmt.Errorf("--tcplisten %s: %w", address, err), "the address is HOST:PORT, such as 127.0.0.1:8080")
		}
		c.Listeners, closers = append(c.Listeners, l), append(closers, l)
	}
	return c, closers, nil
}

// fuelFlag is the value of --fuel: a number of units, or none if the flag is not given.
type fuelFlag struct {
	units uint64
	set   bool
}

// Set implements [pflag.Value].
func (f *fuelFlag) Set(s string) error {
	n, err := strconv.ParseUint(s, 10, 64)
	if err != nil {
		return errors.New("want a number of instructions, such as 1000000")
	}
	f.units, f.set = n, true
	return nil
}

// String implements [pflag.Value].
func (f *fuelFlag) String() string {
	if !f.set {
		return ""
	}
	return strconv.FormatUint(f.units, 10)
}

// Type implements [pflag.Value].
func (f *fuelFlag) Type() string { return "count" }

// limits are those of the store.
func (o *runOptions) limits(cmd *cobra.Command) (*davit.StoreConfig, error) {
	c := &davit.StoreConfig{Fuel: o.fuel.units}
	for _, x := range []struct {
		flag, value string
		size        *uint64
	}{{"max-memory", o.maxMemory, &c.MaxMemoryBytes}, {"max-stack", o.maxStack, &c.StackBytes}} {
		if x.value == "" {
			continue
		}
		n, err := parseSize(x.value)
		if err == nil && n == 0 {
			err = errors.New("0 is none at all")
		}
		if err != nil {
			return nil, usagef(cmd, "--%s: %w", x.flag, err)
		}
		*x.size = n
	}
	return c, nil
}

// instantiate compiles a module and makes an instance of it. Errors say what may
// help.
func (r *runner) instantiate(ctx context.Context, code *module) (*davit.Instance, error) {
	var err error
	if r.now, err = newProgress(r.cmd, r.progress, code.file); err != nil {
		return nil, err
	}
	var m *davit.Module
	if code.artifact != nil {
		m, err = code.load(r.engine)
	} else {
		m, err = r.engine.Compile(ctx, code.binary)
	}
	r.now.clear()
	if err != nil {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		if code.artifact != nil {
			return nil, withHint(err, artifactHint(err))
		}
		return nil, inFile(code.file, withHint(code.locate(err), compileHint(code)))
	}
	r.loaded = append(r.loaded, loaded{m.Name(), code})
	if r.taken != nil {
		r.taken.SetFile(m, code.file)
	}
	if err := r.checkImports(m); err != nil {
		return nil, inFile(code.file, err)
	}
	in, err := r.linker.Instantiate(ctx, r.store, m)
	var limit *davit.LimitError
	switch {
	case errors.As(err, &limit) && strings.Contains(limit.What, "memor"):
		err = withHint(err, "give the program more with --max-memory")
	case err == nil:
		return in, nil
	}
	return nil, inFile(code.file, err)
}

// compileHint says what is wrong with a module that cannot be compiled, if it is
// valid but uses what cannot be run yet.
func compileHint(code *module) string {
	used, err := wasm.UsedFeatures(code.binary)
	if missing := used &^ compile.Features; err == nil && missing != 0 {
		return "davit does not run " + missing.String() + " yet; build the program without"
	}
	return ""
}

// initialize calls the function that a library of WASI wants to be called first.
func initialize(ctx context.Context, in *davit.Instance) error {
	f := in.Func("_initialize")
	if f == nil {
		return nil
	}
	_, err := f.Call(ctx)
	return err
}

// named is a NAME=FILE of the command line.
type named struct{ name, file string }

func parsePreload(cmd *cobra.Command, args []string) ([]named, error) {
	var list []named
	for _, a := range args {
		name, file, ok := strings.Cut(a, "=")
		if !ok || file == "" {
			return nil, usagef(cmd, "--preload %q: want NAME=FILE", a)
		}
		list = append(list, named{name, file})
	}
	return list, nil
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

// missingDirHint is about a --dir that cannot be opened.
func missingDirHint(err error) string {
	var path *os.PathError
	if !errors.As(err, &path) {
		return ""
	}
	if host, guest, ok := strings.Cut(path.Path, ":"); ok && errors.Is(err, os.ErrNotExist) && isDir(host) {
		return "two colons separate the names: --dir " + host + "::" + guest
	}
	return orElse(missingFileHint(path.Path, err), "--dir wants a folder that exists")
}

func isDir(name string) bool {
	info, err := os.Stat(name)
	return err == nil && info.IsDir()
}

// environment is the program's environment. A later definition replaces an
// earlier one.
func (o *runOptions) environment(cmd *cobra.Command) ([]string, error) {
	var env []string
	set := func(name, value string) {
		for i := range env {
			if strings.HasPrefix(env[i], name+"=") {
				env = append(env[:i], env[i+1:]...)
				break
			}
		}
		env = append(env, name+"="+value)
	}
	for _, name := range o.envInherit {
		if name != all && name != "true" && name != "false" {
			if v, ok := os.LookupEnv(name); ok {
				set(name, v)
			}
			continue
		}
		for _, e := range os.Environ() {
			// Windows has some that begin with =.
			if n, v, _ := strings.Cut(e, "="); n != "" && name != "false" {
				set(n, v)
			}
		}
	}
	for _, e := range o.env {
		name, value, ok := strings.Cut(e, "=")
		if name == "" {
			return nil, usagef(cmd, "--env %q: want NAME=VALUE or NAME", e)
		}
		if !ok {
			if value, ok = os.LookupEnv(name); !ok {
				continue
			}
		}
		set(name, value)
	}
	return env, nil
}

// parseSize reads a number of bytes, with an optional unit: K, M, G or T, in
// powers of 1024, and behind it an optional B or iB.
func parseSize(s string) (uint64, error) {
	digits := len(s) - len(strings.TrimLeft(s, "0123456789"))
	n, err := strconv.ParseUint(s[:digits], 10, 64)
	shift, known := map[string]int{
		"": 0, "B": 0, "K": 10, "KB": 10, "KIB": 10, "M": 20, "MB": 20, "MIB": 20, "G": 30, "GB": 30, "GIB": 30, "T": 40, "TB": 40, "TIB": 40,
	}[strings.ToUpper(s[digits:])]
	switch {
	case errors.Is(err, strconv.ErrRange), err == nil && known && n > (1<<63)>>shift:
		return 0, fmt.Errorf("%q is too large", s)
	case err != nil || !known:
		return 0, fmt.Errorf("%q is no size such as 65536, 64K, 512M or 2G", s)
	}
	return n << shift, nil
}
