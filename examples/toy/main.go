// Command toy runs and compiles programs in a small language:
//
//	go run ./examples/toy                            # what is typed in, line by line
//	go run ./examples/toy examples/toy/primes.toy    # a file
//	go run ./examples/toy build -o primes examples/toy/primes.toy
//	go run ./examples/toy ir examples/toy/primes.toy # its functions in CLIF
package main

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strings"

	"github.com/davit-wasm/davit/codegen/clif"
	"github.com/davit-wasm/davit/codegen/ir"
)

const usage = `usage: toy                         run what is typed in
       toy FILE                    run a program
       toy build [-c] [-o OUT] FILE  make an executable, or with -c an object file
       toy ir FILE                 show the functions of a program in CLIF`

func main() {
	terminal := false
	if info, err := os.Stdin.Stat(); err == nil {
		terminal = info.Mode()&os.ModeCharDevice != 0
	}
	if err := command(os.Args[1:], os.Stdin, os.Stdout, terminal); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func command(args []string, in io.Reader, out io.Writer, terminal bool) error {
	switch {
	case len(args) == 0:
		return repl(in, out, terminal)
	case args[0] == "build":
		return build(args[1:])
	case args[0] == "ir" && len(args) == 2:
		return showIR(out, args[1])
	case len(args) == 1 && !strings.HasPrefix(args[0], "-"):
		src, err := os.ReadFile(args[0])
		if err != nil {
			return err
		}
		buffered := bufio.NewWriter(out)
		s, err := newSession(buffered)
		if err != nil {
			return err
		}
		defer s.close()
		return errors.Join(s.interruptible(args[0], string(src), false), buffered.Flush())
	}
	return errors.New(usage)
}

// interruptible is run until the user interrupts it.
func (s *session) interruptible(file, src string, echo bool) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	err := s.run(ctx, file, src, echo)
	if errors.Is(err, context.Canceled) {
		return &Error{File: file, Msg: "interrupted"}
	}
	return err
}

func build(args []string) error {
	flags := flag.NewFlagSet("toy build", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	objectOnly := flags.Bool("c", false, "")
	out := flags.String("o", "", "")
	if err := flags.Parse(args); err != nil {
		return fmt.Errorf("%w\n%s", err, usage)
	}
	if flags.NArg() != 1 {
		return errors.New(usage)
	}
	file := flags.Arg(0)
	src, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	obj, err := compileObject(file, string(src))
	if err != nil {
		return err
	}
	if *out == "" {
		*out = strings.TrimSuffix(filepath.Base(file), ".toy")
		if *objectOnly {
			*out += ".o"
		}
	}
	if *objectOnly {
		return os.WriteFile(*out, obj, 0o666)
	}
	return link(obj, *out)
}

func showIR(out io.Writer, file string) error {
	src, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	t, err := target()
	if err != nil {
		return err
	}
	p, err := newCompiler(t).compile(file, string(src), funcName("main"), false)
	if err != nil {
		return err
	}
	for _, f := range append([]*ir.Function{p.main}, p.funcs...) {
		fmt.Fprintln(out, clif.Format(f))
	}
	return nil
}

// repl runs what comes in, as soon as it is complete. Mistakes do not end it.
func repl(in io.Reader, out io.Writer, terminal bool) error {
	s, err := newSession(out)
	if err != nil {
		return err
	}
	defer s.close()
	prompt := func(text string) {
		if terminal {
			fmt.Fprint(out, text)
		}
	}
	if terminal {
		fmt.Fprintln(out, "toy: fn, var, if, while, print; the end of input ends it")
	}
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, maxSource)
	pending := ""
	prompt("> ")
	for lines.Scan() {
		pending += lines.Text() + "\n"
		err := s.interruptible("input", pending, true)
		var e *Error
		if errors.As(err, &e) && e.Incomplete && strings.TrimSpace(lines.Text()) != "" {
			prompt("| ") // an empty line gives up
			continue
		}
		if err != nil {
			fmt.Fprintln(out, err)
		}
		pending = ""
		prompt("> ")
	}
	if terminal {
		fmt.Fprintln(out)
	}
	return lines.Err()
}
