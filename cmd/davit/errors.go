package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/davit-wasm/davit"
	"github.com/davit-wasm/davit/wasm"
	"github.com/davit-wasm/davit/wat"
)

// Exit codes. A program that `davit run` runs to its end has its own.
const (
	exitError     = 1   // the host's fault: a file that cannot be read, a module that is invalid, …
	exitUsage     = 2   // the command line is wrong
	exitTimeout   = 124 // as timeout(1)
	exitInterrupt = 130 // ended by the interrupt key, as shells have it
	exitTrap      = 134 // the program trapped; what a C program's abort gives
)

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

// silentError is the error of a command that has said everything already.
type silentError struct{ code int }

func (e *silentError) Error() string { return fmt.Sprintf("exit code %d", e.code) }

// hintError is an error with what to do about it.
type hintError struct {
	error
	hint string
}

func (e *hintError) Unwrap() error { return e.error }

// withHint adds to err what to do about it, unless hint is empty.
func withHint(err error, hint string) error {
	if err == nil || hint == "" {
		return err
	}
	return &hintError{err, hint}
}

// inFile is err with the name of the file that it is about.
func inFile(file string, err error) error {
	var e *wat.Error
	if errors.As(err, &e) {
		return fmt.Errorf("%s:%w", file, err) // file:line:column
	}
	return fmt.Errorf("%s: %w", file, err)
}

// problem is an error in all its parts, for people and for programs.
type problem struct {
	Kind    string      `json:"kind"` // usage, text, module, link, limit, trap, timeout, interrupt, exit or host
	Message string      `json:"message"`
	Line    int         `json:"line,omitempty"`   // of a text, from 1
	Column  int         `json:"column,omitempty"` // of a text, from 1, in characters
	Offset  *int        `json:"offset,omitempty"` // in the bytes of a module
	Func    *int        `json:"func,omitempty"`   // index of the function
	Trap    string      `json:"trap,omitempty"`
	Frames  []stackItem `json:"backtrace,omitempty"`
	Hint    string      `json:"hint,omitempty"`
	Code    int         `json:"exit_code"`

	excerpt, see string
}

// stackItem is a call in progress.
type stackItem struct {
	Module string `json:"module,omitempty"`
	Func   uint32 `json:"func"`
	Name   string `json:"name,omitempty"`
	Offset int    `json:"offset"`
	Place  string `json:"place,omitempty"` // file:line:column, if the module came from a text

	// Sources are the places in source code, innermost first, if the module says.
	Sources []sourceItem `json:"sources,omitempty"`

	text string
}

// sourceItem is a place in source code.
type sourceItem struct {
	File   string `json:"file,omitempty"`
	Line   int    `json:"line,omitempty"`
	Column int    `json:"column,omitempty"`
	Func   string `json:"inlined,omitempty"` // the function that has been inlined there

	text string
}

// newProblem takes an error apart.
func newProblem(err error) *problem {
	var (
		exit  *davit.ExitError
		trap  *davit.Trap
		link  *davit.LinkError
		limit *davit.LimitError
		usage *usageError
		text  *wat.Error
		bad   *wasm.Error
		hint  *hintError

		traced *tracedError
	)
	p := &problem{Kind: "host", Message: err.Error(), Code: exitError}
	if errors.As(err, &hint) {
		p.Hint = hint.hint
	}
	if errors.As(err, &text) {
		p.Kind, p.Line, p.Column, p.excerpt = "text", text.Line, text.Column, text.Excerpt()
	}
	if errors.As(err, &bad) {
		p.Kind = "module"
		if bad.Offset >= 0 {
			p.Offset = &bad.Offset
		}
		if bad.Func >= 0 {
			p.Func = &bad.Func
		}
	}
	if strings.Contains(p.Message, "legacy exception handling") && p.Hint == "" {
		p.Hint = "build the program with the exceptions of WebAssembly 3.0: -mllvm -wasm-use-legacy-eh=false for clang, -sWASM_LEGACY_EXCEPTIONS=0 for Emscripten"
	}
	if errors.As(err, &link) {
		p.Kind = "link"
	}
	if errors.As(err, &limit) {
		p.Kind = "limit"
	}
	if errors.As(err, &trap) {
		p.Kind, p.Trap, p.Code = "trap", trap.Code.String(), exitTrap
		for i, f := range trap.Frames {
			item := stackItem{Module: f.Module, Func: f.Func, Name: f.FuncName, Offset: f.Offset, text: f.String()}
			if errors.As(err, &traced) && traced.places[i] != "" {
				item.Place = traced.places[i]
				item.text += " (" + item.Place + ")"
			}
			for _, s := range f.Sources() {
				source := sourceItem{s.File, s.Line, s.Column, s.Func, s.String()}
				if s.Func != "" {
					source.text += " (in " + s.Func + ", inlined)"
				}
				item.Sources = append(item.Sources, source)
			}
			p.Frames = append(p.Frames, item)
		}
		if p.Hint == "" && trap.Code == davit.TrapStackOverflow {
			p.Hint = "if this is no endless recursion, give the program more with --max-stack 8M"
		}
	}
	switch {
	case errors.As(err, &exit):
		p.Kind, p.Code = "exit", int(exit.Code&0xff) // all that a parent process sees
	case errors.Is(err, errTimeout):
		p.Kind, p.Code, p.Message = "timeout", exitTimeout, errTimeout.Error()
	case errors.As(err, &usage):
		p.Kind, p.Code, p.see = "usage", exitUsage, usage.cmd.CommandPath()
	case errors.Is(err, context.Canceled):
		p.Kind, p.Code, p.Message, p.Frames = "interrupt", exitInterrupt, "interrupted", nil
	}
	return p
}

// write writes p for people.
func (p *problem) write(t *terminal) {
	fmt.Fprintf(t, "%s %s\n", t.paint(red, "davit:"), p.Message)
	io.WriteString(t, p.excerpt)
	for i, f := range p.Frames {
		fmt.Fprintf(t, "%4d: %s\n", i, f.text)
		for _, s := range f.Sources {
			fmt.Fprintf(t, "        %s\n", s.text)
		}
	}
	if p.Hint != "" {
		fmt.Fprintf(t, "%s %s\n", t.paint(bold, "hint:"), p.Hint)
	}
	if p.see != "" {
		fmt.Fprintf(t, "See '%s --help'.\n", p.see)
	}
}

// exitCode reports err on the standard error stream and returns the exit code
// for it.
func (s *session) exitCode(err error) int {
	var silent *silentError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &silent):
		return silent.code
	}
	p := newProblem(err)
	if p.Kind != "exit" {
		p.write(s.stderr)
	}
	return p.Code
}

// asJSON turns the error of a command that speaks JSON into a line on the
// standard error stream.
func (s *session) asJSON(err error) error {
	if err == nil {
		return nil
	}
	p := newProblem(err)
	if werr := writeJSON(s.stderr, map[string]any{"error": p}); werr != nil {
		return werr
	}
	return &silentError{p.Code}
}

func writeJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	return e.Encode(v)
}

// recover turns a mistake of davit's into a message that asks for a report.
func (s *session) recover(code *int) {
	if r := recover(); r != nil {
		fmt.Fprintf(s.stderr, "%s this is a mistake in davit, please report it with the following:\n%v\n%s",
			s.stderr.paint(red, "davit:"), r, debug.Stack())
		*code = exitError
	}
}

// knownCommand is the check of the arguments of a command that only has
// subcommands.
func knownCommand(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	var names []string
	for _, c := range cmd.Commands() {
		if c.IsAvailableCommand() {
			names = append(names, c.Name())
		}
	}
	hint := didYouMean(near(args[0], names), cmd.CommandPath()+" ")
	if hint == "" && isFile(args[0]) && cmd.Parent() == nil {
		hint = "did you mean 'davit run " + args[0] + "'?"
	}
	return withHint(usagef(cmd, "unknown command %q", args[0]), hint)
}

// noArgs and minArgs are checks of the number of arguments, with usage errors.
func noArgs(cmd *cobra.Command, args []string) error {
	switch {
	case len(args) == 0:
		return nil
	case cmd.HasSubCommands():
		return knownCommand(cmd, args)
	}
	return usagef(cmd, "%s takes no arguments, %q is given", cmd.CommandPath(), args[0])
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

// flagHint says which flag may have been meant.
func flagHint(cmd *cobra.Command, err error) string {
	if strings.Contains(err.Error(), "in duration") {
		return "a time is a number with a unit: 500ms, 30s, 2m"
	}
	name, ok := strings.CutPrefix(err.Error(), "unknown flag: --")
	if !ok {
		return ""
	}
	var names []string
	add := func(f *pflag.Flag) {
		if !f.Hidden {
			names = append(names, f.Name)
		}
	}
	cmd.Flags().VisitAll(add)
	cmd.InheritedFlags().VisitAll(add)
	return didYouMean(near(name, names), "--")
}
