package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/spf13/cobra"

	"github.com/davit-wasm/davit/codegen/bugpoint"
	"github.com/davit-wasm/davit/codegen/clif"
	"github.com/davit-wasm/davit/codegen/ir"
)

func clifBugpointCommand() *cobra.Command {
	var b clifBugpoint
	var output string
	cmd := &cobra.Command{
		Use:   "bugpoint FILE",
		Short: "Make functions smaller that show a bug",
		Long: `Make the functions of a file smaller for as long as they show the same bug: the
verifier refuses them, the compiler fails or crashes, a call crashes, or a call
has another result compiled than interpreted (the calls are those of the run
lines). What is left is printed.

With --command another program says what a bug is: it is run with the name of a
file with the candidate, and its exit code is 0 if the candidate shows the bug.`,
		Example: "  davit clif bugpoint crash.clif -o small.clif\n  davit clif bugpoint --command ./is-slow.sh big.clif",
		Args:    oneArg("a file"),
		RunE: func(cmd *cobra.Command, args []string) error {
			text, err := b.run(cmd, args[0])
			if err != nil {
				return err
			}
			return writeOutput(cmd, output, []byte(text), false)
		},
	}
	cmd.Flags().StringVarP(&output, "output", "o", "", "file to write to (default: standard output)")
	cmd.Flags().StringVar(&b.command, "command", "", "the program that says whether a file shows the bug")
	cmd.Flags().StringArrayVar(&b.test.settings, "set", nil, "a setting on top of the file's own, as NAME or NAME=VALUE")
	cmd.Flags().IntVar(&b.trials, "trials", bugpoint.DefaultTrials, "how many candidates to try for each function")
	return cmd
}

// clifBugpoint reduces a file.
type clifBugpoint struct {
	test    clifTest
	command string
	trials  int

	ctx    context.Context
	worker clifWorker
	header string   // set and target lines
	funcs  []string // texts of the functions, with their run lines
	runs   []string // the run lines
	dir    string
	bug    string // what kind of bug it is
}

func (b *clifBugpoint) run(cmd *cobra.Command, path string) (string, error) {
	src, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	file, err := clif.ParseFile(path, string(src))
	if err != nil {
		return "", err
	}
	b.ctx = cmd.Context()
	b.test.as = "agree"
	b.worker.test = &b.test
	defer b.worker.stop()
	if b.dir, err = os.MkdirTemp("", "davit-bugpoint"); err != nil {
		return "", err
	}
	defer os.RemoveAll(b.dir)
	for _, h := range file.Header {
		if h.Word == "set" || h.Word == "target" {
			b.header += h.Word + " " + strings.Join(h.Args, " ") + "\n"
		}
	}
	for _, f := range file.Funcs {
		runs := ""
		for _, c := range f.Comments {
			if _, ok, _ := clif.ParseRun(c.Comment, func(ir.Name) *ir.Signature { return &f.Sig }); ok {
				runs += ";" + c.Text + "\n"
			}
		}
		b.runs = append(b.runs, runs)
		b.funcs = append(b.funcs, clif.Format(f.Function)+runs)
	}
	if b.bug, err = b.kind(b.text()); err != nil {
		return "", err
	}
	if b.bug == "" {
		return "", fmt.Errorf("%s shows no bug", path)
	}
	fmt.Fprintf(cmd.ErrOrStderr(), "bug: %s\n", b.bug)
	for i := range file.Funcs {
		if err := b.reduce(cmd, i, file.Funcs[i].Function); err != nil {
			return "", err
		}
	}
	return b.text(), nil
}

// text is the file as it is.
func (b *clifBugpoint) text() string {
	var parts []string
	for _, f := range b.funcs {
		if f != "" {
			parts = append(parts, f)
		}
	}
	text := strings.Join(parts, "\n")
	if b.header != "" {
		text = b.header + "\n" + text
	}
	return text
}

// reduce drops function i, or its run lines, or makes it smaller.
func (b *clifBugpoint) reduce(cmd *cobra.Command, i int, f *ir.Function) error {
	same := func(text string) bool {
		was := b.funcs[i]
		b.funcs[i] = text
		kind, err := b.kind(b.text())
		b.funcs[i] = was
		return err == nil && kind == b.bug
	}
	if len(b.funcs) > 1 && same("") {
		b.funcs[i] = ""
		return nil
	}
	lines := strings.SplitAfter(b.runs[i], "\n")
	for k := len(lines) - 1; k >= 0; k-- {
		fewer := strings.Join(append(append([]string(nil), lines[:k]...), lines[k+1:]...), "")
		if lines[k] != "" && same(clif.Format(f)+fewer) {
			lines = append(lines[:k:k], lines[k+1:]...)
		}
	}
	runs := strings.Join(lines, "")
	small, err := bugpoint.Reduce(b.ctx, f, bugpoint.Options{
		Fails:       func(g *ir.Function) bool { return same(clif.Format(g) + runs) },
		AnyIR:       strings.HasPrefix(b.bug, refused),
		PointerType: ir.I64,
		Trials:      b.trials,
		Progress: func(trials, blocks, insts int) {
			fmt.Fprintf(cmd.ErrOrStderr(), "%v: %d blocks, %d instructions after %d trials\n", f.Name, blocks, insts, trials)
		},
	})
	if err != nil {
		return fmt.Errorf("%v: %w", f.Name, err)
	}
	b.funcs[i] = clif.Format(small) + runs
	return nil
}

// refused begins the kinds of bugs that the verifier finds.
const refused = "does not verify"

// kinds find in what is said of a failure what kind it is. What the first of
// them that matches has in parentheses is the kind, without numbers. What the Go
// runtime says of a fault in compiled code depends on where its own stack was: all
// faults are one kind.
var kinds = []*regexp.Regexp{
	regexp.MustCompile(`(the process that ran it ended by a fault)`),
	regexp.MustCompile(`(the process that ran it ended: [^\n]*)`),
	regexp.MustCompile(`(bug in the code generator[^\n]*)`),
	regexp.MustCompile(`(` + refused + `)[^\n]*(: [^:\n]*)$`),
	regexp.MustCompile(`(compiled and interpreted code disagree)`),
	regexp.MustCompile(`(panic: [^\n]*)`),
}

var (
	numbers   = regexp.MustCompile(`\b(0x)?[0-9a-f]*[0-9][0-9a-f]*\b`)
	entityNum = regexp.MustCompile(`\b([a-z]+)[0-9]+\b`)
)

// kind is the kind of bug that a file shows; empty if it shows none.
func (b *clifBugpoint) kind(text string) (string, error) {
	path := filepath.Join(b.dir, "candidate.clif")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		return "", err
	}
	if b.command != "" {
		err := exec.CommandContext(b.ctx, b.command, path).Run()
		if _, ok := err.(*exec.ExitError); err != nil && !ok {
			return "", err
		}
		if err != nil {
			return "", nil
		}
		return "what " + b.command + " looks for", nil
	}
	r := b.worker.file(path)
	for _, failure := range r.Failures {
		for _, re := range kinds {
			if m := re.FindStringSubmatch(failure); m != nil {
				kind := strings.Join(m[1:], "")
				return numbers.ReplaceAllString(entityNum.ReplaceAllString(kind, "$1"), "N"), nil
			}
		}
	}
	return "", nil
}
