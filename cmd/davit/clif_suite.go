package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"

	"github.com/spf13/cobra"

	"github.com/davit-wasm/davit/codegen/filetest"
)

// clifTest is what `davit clif test` was told.
type clifTest struct {
	exact, verbose, inProcess bool
	only, settings            []string
	as, invoke                string // of run, interpret and bugpoint; see [filetest.Options]
	jobs                      int
}

func clifTestCommand() *cobra.Command {
	var t clifTest
	var worker bool
	cmd := &cobra.Command{
		Use:   "test FILE...",
		Short: "Run .clif test files",
		Long: `Run .clif test files. Of a folder, all files in it and below it are run.

A file that fails is named, with its first failure. Then what passed, failed and
was skipped is counted, for each test command and in total: run lines of test
run, test interpret and test agree, and functions of the other commands. The
exit code is 1 if anything failed.

Files are run in processes of their own, which compiled code may end without
ending the others.`,
		Example: "  davit clif test add.clif\n  davit clif test --only run,interpret runtests/\n  davit clif test --as agree add.clif",
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
	cmd.Flags().StringVar(&t.as, "as", "", "run the files with this command in place of their own")
	cmd.Flags().StringVar(&t.invoke, "invoke", "", "the call to make in place of the run lines")
	for _, name := range []string{"worker", "invoke"} {
		_ = cmd.Flags().MarkHidden(name) // there are such flags
	}
	return cmd
}

func (t *clifTest) options() filetest.Options {
	o := filetest.Options{Exact: t.exact, Settings: t.settings, As: t.as, Invoke: t.invoke, Disassemble: disassemble}
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
	var total filetest.Counts
	byCommand := map[string]filetest.Counts{}
	for i, r := range results {
		total.Add(r.Counts)
		for c, n := range r.Commands {
			sum := byCommand[c]
			sum.Add(n)
			byCommand[c] = sum
		}
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
	if len(byCommand) > 1 {
		for _, c := range slices.Sorted(maps.Keys(byCommand)) {
			n := byCommand[c]
			fmt.Fprintf(out, "%-14s %6d passed, %5d failed, %5d skipped\n", c, n.Passed, n.Failed, n.Skipped)
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
	stderr bytes.Buffer
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
	if w.test.as != "" {
		args = append(args, "--as", w.test.as)
	}
	if w.test.invoke != "" {
		args = append(args, "--invoke", w.test.invoke)
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

// faulted finds in what the Go runtime says of its end that the processor stopped it.
var faulted = regexp.MustCompile(`\b(SIGSEGV|SIGBUS|SIGILL|SIGFPE|SIGTRAP|sigpanic|fault address)\b`)

// file runs a file in the worker. If that ends the worker, the file has failed.
func (w *clifWorker) file(path string) (r filetest.Result) {
	fail := func(err error) filetest.Result {
		return filetest.Result{Counts: filetest.Counts{Failed: 1}, Failures: []string{fmt.Sprintf("%s: %v", path, err)}}
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
		how := ""
		if faulted.Match(w.stderr.Bytes()) {
			how = " by a fault"
		}
		return fail(fmt.Errorf("the process that ran it ended%s: %s", how, why))
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
