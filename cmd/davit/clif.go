package main

import (
	"bufio"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"

	"github.com/spf13/cobra"
	"golang.org/x/arch/x86/x86asm"

	"github.com/davit-wasm/davit/codegen"
	"github.com/davit-wasm/davit/codegen/clif"
	"github.com/davit-wasm/davit/codegen/filetest"
	"github.com/davit-wasm/davit/codegen/isa"
	"github.com/davit-wasm/davit/codegen/verifier"
)

func init() { commands = append(commands, clifCommand) }

func clifCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "clif",
		Short: "Work with CLIF, the code generator's intermediate representation",
		Args:  noArgs,
		RunE:  func(cmd *cobra.Command, args []string) error { return cmd.Help() },
	}
	cmd.AddCommand(clifTestCommand(), clifCatCommand(), clifVerifyCommand(), clifCompileCommand())
	return cmd
}

// clifFiles lists the .clif files that paths name: files, and what is in folders.
func clifFiles(paths []string) (files []string, err error) {
	for _, path := range paths {
		err := filepath.WalkDir(path, func(file string, d fs.DirEntry, err error) error {
			if err == nil && !d.IsDir() && (file == path || filepath.Ext(file) == ".clif") {
				files = append(files, file)
			}
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	return files, nil
}

// clifTest is what `davit clif test` was told.
type clifTest struct {
	exact, verbose, inProcess bool
	only, settings            []string
	jobs                      int
}

func clifTestCommand() *cobra.Command {
	var t clifTest
	var worker bool
	cmd := &cobra.Command{
		Use:   "test FILE...",
		Short: "Run .clif test files",
		Long: `Run .clif test files. Of a folder, all files in it and below it are run.

A file that fails is named, with its first failure. The last line counts what
passed, failed and was skipped: run lines of test run and test interpret, and
functions of the other commands. The exit code is 1 if anything failed.

Files are run in processes of their own, which compiled code may end without
ending the others.`,
		Example: "  davit clif test add.clif\n  davit clif test --only run,interpret runtests/",
		RunE: func(cmd *cobra.Command, args []string) error {
			if worker {
				return t.work(cmd.InOrStdin(), cmd.OutOrStdout())
			}
			if len(args) == 0 {
				return usagef(cmd, "a test file is missing")
			}
			files, err := clifFiles(args)
			if err != nil {
				return err
			}
			return t.run(cmd, files)
		},
	}
	cmd.Flags().BoolVar(&t.exact, "exact", false, "compare precise-output")
	cmd.Flags().BoolVarP(&t.verbose, "verbose", "v", false, "print every failure, and why checks were skipped")
	cmd.Flags().BoolVar(&t.inProcess, "in-process", false, "run the files in this process")
	cmd.Flags().StringSliceVar(&t.only, "only", nil, "run these test commands only")
	cmd.Flags().StringArrayVar(&t.settings, "set", nil, "a setting on top of the files' own, as NAME or NAME=VALUE")
	cmd.Flags().IntVarP(&t.jobs, "jobs", "j", runtime.GOMAXPROCS(0), "how many files are run at the same time")
	cmd.Flags().BoolVar(&worker, "worker", false, "read files' names from the standard input, write their results")
	_ = cmd.Flags().MarkHidden("worker")
	return cmd
}

func (t *clifTest) options() filetest.Options {
	o := filetest.Options{Exact: t.exact, Settings: t.settings, Disassemble: disassemble}
	for _, c := range t.only {
		if o.Commands == nil {
			o.Commands = map[string]bool{}
		}
		o.Commands[c] = true
	}
	return o
}

// work is the worker's side: a name on a line in, a result on a line out.
func (t *clifTest) work(in io.Reader, out io.Writer) error {
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, 1<<20)
	enc := json.NewEncoder(out)
	for lines.Scan() {
		if err := enc.Encode(t.file(lines.Text())); err != nil {
			return err
		}
	}
	return lines.Err()
}

// file runs a file in this process.
func (t *clifTest) file(path string) filetest.Result {
	r, err := filetest.File(path, t.options())
	if err != nil {
		r.Failed++
		r.Failures = append(r.Failures, err.Error())
	}
	return r
}

func (t *clifTest) run(cmd *cobra.Command, files []string) error {
	results := make([]filetest.Result, len(files))
	next := make(chan int)
	var wg sync.WaitGroup
	for range max(1, min(t.jobs, len(files))) {
		wg.Go(func() {
			w := clifWorker{test: t}
			defer w.stop()
			for i := range next {
				if t.inProcess {
					results[i] = t.file(files[i])
				} else {
					results[i] = w.file(files[i])
				}
			}
		})
	}
	for i := range files {
		if cmd.Context().Err() != nil {
			break
		}
		next <- i
	}
	close(next)
	wg.Wait()
	if err := cmd.Context().Err(); err != nil {
		return err
	}
	out := cmd.OutOrStdout()
	var total filetest.Result
	for i, r := range results {
		total.Passed += r.Passed
		total.Failed += r.Failed
		total.Skipped += r.Skipped
		if r.Failed > 0 {
			first := r.Failures[0]
			if !t.verbose {
				first, _, _ = strings.Cut(first, "\n")
			}
			if !strings.HasPrefix(first, files[i]) {
				first = files[i] + ": " + first
			}
			fmt.Fprintf(out, "FAIL %s (%d of %d failed)\n", first, r.Failed, r.Passed+r.Failed)
		}
		if t.verbose {
			for _, f := range r.Failures[min(1, len(r.Failures)):] {
				fmt.Fprintf(out, "    %s\n", f)
			}
			for _, s := range r.Skips {
				fmt.Fprintf(out, "SKIP %s: %s\n", files[i], s)
			}
		}
	}
	fmt.Fprintf(out, "%d passed, %d failed, %d skipped\n", total.Passed, total.Failed, total.Skipped)
	if total.Failed > 0 {
		return &silentError{exitError}
	}
	return nil
}

// clifWorker is a process that runs files, started when there is one to run.
type clifWorker struct {
	test   *clifTest
	cmd    *exec.Cmd
	in     io.WriteCloser
	out    *bufio.Reader
	stderr strings.Builder
}

func (w *clifWorker) start() error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	args := []string{"clif", "test", "--worker"}
	if w.test.exact {
		args = append(args, "--exact")
	}
	if len(w.test.only) > 0 {
		args = append(args, "--only", strings.Join(w.test.only, ","))
	}
	for _, s := range w.test.settings {
		args = append(args, "--set", s)
	}
	c := exec.Command(self, args...)
	w.stderr.Reset()
	c.Stderr = &w.stderr
	in, err := c.StdinPipe()
	if err != nil {
		return err
	}
	out, err := c.StdoutPipe()
	if err != nil {
		return err
	}
	if err := c.Start(); err != nil {
		return err
	}
	w.cmd, w.in, w.out = c, in, bufio.NewReader(out)
	return nil
}

// file runs a file in the worker. If that ends the worker, the file has failed.
func (w *clifWorker) file(path string) (r filetest.Result) {
	fail := func(err error) filetest.Result {
		return filetest.Result{Failed: 1, Failures: []string{fmt.Sprintf("%s: %v", path, err)}}
	}
	if w.cmd == nil {
		if err := w.start(); err != nil {
			return fail(err)
		}
	}
	_, err := fmt.Fprintln(w.in, path)
	var line []byte
	if err == nil {
		line, err = w.out.ReadBytes('\n')
	}
	if err == nil {
		err = json.Unmarshal(line, &r)
	}
	if err != nil {
		w.stop()
		why, _, _ := strings.Cut(strings.TrimSpace(w.stderr.String()), "\n")
		return fail(fmt.Errorf("the process that ran it ended: %s", why))
	}
	return r
}

// stop ends the worker and waits for it.
func (w *clifWorker) stop() {
	if w.cmd != nil {
		w.in.Close()
		_ = w.cmd.Wait() // how it ended was reported, if it matters
		w.cmd = nil
	}
}

func clifCatCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "cat FILE...",
		Short:   "Parse functions and print them",
		Example: "  davit clif cat f.clif",
		Args:    minArgs(1, "a file"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return eachFunction(args, func(i int, path string, f *clif.Func) error {
				if i > 0 {
					fmt.Fprintln(cmd.OutOrStdout())
				}
				_, err := cmd.OutOrStdout().Write(clif.AppendFunction(nil, f.Function))
				return err
			})
		},
	}
}

func clifVerifyCommand() *cobra.Command {
	var target string
	cmd := &cobra.Command{
		Use:     "verify FILE...",
		Short:   "Check functions against the rules of CLIF",
		Example: "  davit clif verify f.clif",
		Args:    minArgs(1, "a file"),
		RunE: func(cmd *cobra.Command, args []string) error {
			t, err := clifTarget(target, nil)
			if err != nil {
				return err
			}
			bad := false
			var v verifier.Verifier
			err = eachFunction(args, func(_ int, path string, f *clif.Func) error {
				var list verifier.Errors
				if err := v.Verify(f.Function, verifier.Options{PointerType: t.PointerType()}); errors.As(err, &list) {
					bad = true
					for _, e := range list {
						fmt.Fprintf(cmd.OutOrStdout(), "%s:%d: %v\n", path, f.InstLine(e.Inst), e)
					}
				}
				return nil
			})
			if err == nil && bad {
				return &silentError{exitError}
			}
			return err
		},
	}
	cmd.Flags().StringVar(&target, "target", "", "the target's name (default: this machine)")
	return cmd
}

func clifCompileCommand() *cobra.Command {
	var (
		target, emit, after string
		settings            []string
	)
	cmd := &cobra.Command{
		Use:   "compile FILE...",
		Short: "Compile functions and print what comes out",
		Long: `Compile functions and print what comes out: asm, the disassembled machine code;
hex, its bytes; vcode, the machine instructions with their registers.

--after prints what a pass has made instead: the function before the pass lower,
machine instructions from there on.`,
		Example: "  davit clif compile --emit asm f.clif\n  davit clif compile --set opt_level=speed --after regalloc f.clif",
		Args:    minArgs(1, "a file"),
		RunE: func(cmd *cobra.Command, args []string) error {
			t, err := clifTarget(target, settings)
			if err != nil {
				return err
			}
			if emit != "asm" && emit != "hex" && emit != "vcode" {
				return usagef(cmd, "--emit: %q is none of asm, hex, vcode", emit)
			}
			if after != "" && !knownPass(after) {
				return usagef(cmd, "--after: %q is none of %s", after, strings.Join(codegen.Passes(), ", "))
			}
			var ctx codegen.Context
			out := cmd.OutOrStdout()
			return eachFunction(args, func(_ int, path string, f *clif.Func) error {
				name := f.Function.Name
				o := codegen.Options{}
				if after != "" {
					lowered := false
					o.After = func(pass string, c *codegen.Context) {
						lowered = lowered || pass == "lower"
						switch {
						case pass != after:
						case lowered:
							fmt.Fprintf(out, "%v after %s:\n%s\n", name, pass, c.VCode())
						default:
							fmt.Fprintf(out, "%v after %s:\n%s\n", name, pass, clif.Format(f.Function))
						}
					}
				}
				code, err := ctx.Compile(f.Function, t, o)
				if err != nil {
					return fmt.Errorf("%s:%d: %w", path, f.Line, err)
				}
				if after != "" {
					return nil
				}
				fmt.Fprintf(out, "%v: %d bytes\n", name, len(code.Text))
				switch emit {
				case "hex":
					fmt.Fprintln(out, hex.EncodeToString(code.Text))
				case "vcode":
					fmt.Fprintln(out, ctx.VCode())
				default:
					fmt.Fprint(out, disassemble(code.Text[:code.CodeSize]))
				}
				for _, r := range code.Relocs {
					fmt.Fprintf(out, "%5x:  reloc %v %v%+d\n", r.Offset, r.Kind, r.Name, r.Addend)
				}
				for _, t := range code.Traps {
					fmt.Fprintf(out, "%5x:  trap %v\n", t.Offset, t.Code)
				}
				return nil
			})
		},
	}
	cmd.Flags().StringVar(&target, "target", "", "the target's name (default: this machine)")
	cmd.Flags().StringArrayVar(&settings, "set", nil, "a setting, as NAME or NAME=VALUE")
	cmd.Flags().StringVar(&emit, "emit", "asm", "what to print: asm, hex or vcode")
	cmd.Flags().StringVarP(&after, "after", "d", "", "print what a pass has made: "+strings.Join(codegen.Passes(), ", "))
	return cmd
}

func knownPass(name string) bool {
	for _, p := range codegen.Passes() {
		if p == name {
			return true
		}
	}
	return false
}

// clifTarget is the target of a name, or this machine, with settings.
func clifTarget(name string, settings []string) (*isa.TargetISA, error) {
	b, err := isa.Host()
	if name != "" {
		b, err = isa.Lookup(name)
	}
	if err != nil {
		return nil, err
	}
	for _, s := range settings {
		if err := b.Set(s); err != nil {
			return nil, err
		}
	}
	return b.Finish()
}

// eachFunction reads files and calls do for each function with its number.
func eachFunction(paths []string, do func(i int, path string, f *clif.Func) error) error {
	n := 0
	for _, path := range paths {
		src, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		file, err := clif.ParseFile(path, string(src))
		if err != nil {
			return err
		}
		for _, f := range file.Funcs {
			if err := do(n, path, f); err != nil {
				return err
			}
			n++
		}
	}
	return nil
}

// disassemble is x86-64 machine code as text, an instruction on a line.
func disassemble(code []byte) string {
	var out strings.Builder
	for at := 0; at < len(code); {
		n, text := 1, fmt.Sprintf(".byte 0x%02x", code[at])
		if in, err := x86asm.Decode(code[at:], 64); err == nil {
			n, text = in.Len, strings.TrimSpace(x86asm.GNUSyntax(in, uint64(at), nil))
		}
		fmt.Fprintf(&out, "%5x:  %s\n", at, text)
		at += n
	}
	return out.String()
}
