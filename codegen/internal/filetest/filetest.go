// Package filetest runs .clif test files: text that says which command to
// test, for which targets, and in comments what must come out.
//
// A file begins with lines `test COMMAND`, `set FLAG=VALUE` and `target ARCH
// FLAGS…`. Then functions follow, with directives in comments in and after
// each:
//
//	run        ; run: %f(1, 2) == 3    compile the file's functions for this machine, and call
//	interpret  ; run: %f(1, 2) == 3    the same in the IR interpreter
//	agree      ; run: %f(1, 2) == 3    both: results and traps must be the same, whatever the line says
//	compile    filecheck directives on the machine code; precise-output only with [Options].Exact
//	optimize   every function compiles, for x86_64 if not for its target; what the passes on the IR make of it is compared with [Options].Exact
//	inline     the same, with calls of the functions before each one replaced by their bodies; run lines as for agree
//	alias-analysis
//	           the same
//	verifier   ; error: TEXT           on the line of the instruction that must be refused
//	cat        filecheck directives on the printed function
//	domtree    ; dominates: block1 …   on branches
//	print-cfg  filecheck directives on a Graphviz graph
//
// Results are counted: one for each run line of `run` and `interpret`, one for
// each function of the other commands.
package filetest

import (
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"strings"

	"github.com/davit-wasm/davit/codegen/clif"
	"github.com/davit-wasm/davit/codegen/ir"
	"github.com/davit-wasm/davit/codegen/verifier"
)

// Options says how files are run.
type Options struct {
	// Exact compares `precise-output` text; without it such functions pass when
	// they compile.
	Exact bool
	// Commands limits the commands that are run; nil runs all.
	Commands map[string]bool
	// Settings are applied to every target on top of the file's own.
	Settings []string
	// Disassemble writes machine code as text, for directives of `test compile`
	// on it; nil leaves it out.
	Disassemble func(code []byte) string
	// As, if not empty, is the one command that files are run with, whatever
	// their headers say.
	As string
	// Invoke, if not empty, is a call such as "%f(1, 2)" that `run` and
	// `interpret` make in place of those that the file lists.
	Invoke string
}

// Counts are numbers of checks.
type Counts struct{ Passed, Failed, Skipped int }

// Add adds b.
func (c *Counts) Add(b Counts) {
	c.Passed += b.Passed
	c.Failed += b.Failed
	c.Skipped += b.Skipped
}

// Result is what came out of a file.
type Result struct {
	Counts
	// Commands are the counts by test command.
	Commands map[string]Counts
	// Failures are the failed checks, at most [MaxFailures]; Skips says why
	// checks were skipped, each reason once.
	Failures []string
	Skips    []string
	// Printed are the results of `print:` directives, and of Options.Invoke.
	Printed []string
}

// MaxFailures is how many failures a Result describes.
const MaxFailures = 20

func (r *Result) fail(format string, args ...any) {
	r.Failed++
	if len(r.Failures) < MaxFailures {
		r.Failures = append(r.Failures, fmt.Sprintf(format, args...))
	}
}

func (r *Result) skip(n int, reason string) {
	r.Skipped += n
	for _, s := range r.Skips {
		if s == reason {
			return
		}
	}
	r.Skips = append(r.Skips, reason)
}

// add counts one check that passed if err is nil.
func (r *Result) add(err error) {
	if err == nil {
		r.Passed++
		return
	}
	r.fail("%v", err)
}

// errUnsupported is wrapped by the failures of commands that there is no
// implementation of.
var errUnsupported = errors.New("not supported")

// File runs a test file. A file that cannot be read is an error, one that
// cannot be parsed a failure.
func File(path string, o Options) (Result, error) {
	src, err := os.ReadFile(path)
	if err != nil {
		return Result{}, err
	}
	return Source(path, string(src), o), nil
}

// file is a test file as it is run.
type file struct {
	*clif.File
	src string
	opt Options
	res *Result

	inlining bool // calls are replaced by bodies
}

// Source runs the text of a test file; name is for messages.
func Source(name, src string, o Options) (res Result) {
	parsed, err := clif.ParseFile(name, src)
	if err != nil {
		res.fail("%v", err)
		return res
	}
	f := &file{File: parsed, src: src, opt: o, res: &res}
	if o.As != "" {
		f.command(clif.HeaderLine{Word: "test", Args: []string{o.As}})
		return res
	}
	n := 0
	for _, h := range parsed.Header {
		if h.Word != "test" {
			continue
		}
		n++
		if len(h.Args) == 0 {
			res.fail("%s:%d: test without a command", name, h.Line)
			continue
		}
		if o.Commands == nil || o.Commands[h.Args[0]] {
			f.command(h)
		}
	}
	if n == 0 {
		res.fail("%s: no test command", name)
	}
	return res
}

func (f *file) command(h clif.HeaderLine) {
	cmd, args := h.Args[0], h.Args[1:]
	before := f.res.Counts
	defer func() {
		n, was := f.res.Counts, f.res.Commands[cmd]
		was.Add(Counts{n.Passed - before.Passed, n.Failed - before.Failed, n.Skipped - before.Skipped})
		if f.res.Commands == nil {
			f.res.Commands = map[string]Counts{}
		}
		f.res.Commands[cmd] = was
	}()
	switch cmd {
	case "run":
		f.run()
	case "interpret":
		f.interpret()
	case "agree":
		f.agree()
	case "compile":
		f.compile(args, false, f.checkCode)
	case "inline":
		f.inline(args)
	case "optimize", "alias-analysis":
		f.compile(args, true, f.checkIR)
	case "verifier":
		f.each(verifierTest)
	case "cat":
		f.each(catTest)
	case "domtree":
		f.each(domtreeTest)
	case "print-cfg":
		f.each(cfgTest)
	default:
		f.each(func(f *file, fn *clif.Func) error {
			return fmt.Errorf("%s:%d: test %s: %w", f.Name, fn.Line, cmd, errUnsupported)
		})
	}
}

// each runs a test for every function, and counts.
func (f *file) each(test func(*file, *clif.Func) error) {
	for _, fn := range f.Funcs {
		f.res.add(f.guard(fn, func() error { return test(f, fn) }))
	}
}

// guard turns a panic of the code under test into a failure.
func (f *file) guard(fn *clif.Func, test func() error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("%s:%d: %v: panic: %v\n%s", f.Name, fn.Line, fn.Function.Name, r, debug.Stack())
		}
	}()
	return test()
}

func (f *file) errorf(line int, format string, args ...any) error {
	return fmt.Errorf("%s:%d: %s", f.Name, line, fmt.Sprintf(format, args...))
}

// pointerType is the type of addresses of the file's targets; Invalid if it
// names none, or they differ.
func (f *file) pointerType() ir.Type {
	t := ir.Invalid
	for _, h := range f.Header {
		if h.Word == "target" && len(h.Args) > 0 {
			p := ir.I64
			if arch, _, _ := strings.Cut(h.Args[0], "-"); strings.HasPrefix(arch, "pulley32") || arch == "riscv32" || arch == "i686" {
				p = ir.I32
			}
			if t != ir.Invalid && t != p {
				return ir.Invalid
			}
			t = p
		}
	}
	return t
}

// verify checks fn before a test that needs a correct function, with addresses
// of type ptr.
func (f *file) verify(fn *clif.Func, ptr ir.Type) error {
	if err := verifier.Verify(fn.Function, verifier.Options{PointerType: ptr}); err != nil {
		return f.errorf(fn.Line, "does not verify: %v", err)
	}
	return nil
}

// directive is the text behind `NAME:` in a comment; ok is false if it is
// another comment.
func directive(text, name string) (rest string, ok bool) {
	rest, ok = strings.CutPrefix(strings.TrimSpace(text), name+":")
	return strings.TrimSpace(rest), ok
}
