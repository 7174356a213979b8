package main

import (
	"bytes"
	"context"
	"debug/elf"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"

	"github.com/davit-wasm/davit/codegen/jit"
)

var (
	wantOut   = regexp.MustCompile(`(?m)// out:(?: (.*))?$`)
	wantError = regexp.MustCompile(`(?m)// error: (.*)$`)
)

// expectations are written in comments of a program.
func expectations(src string) (out, failure string) {
	for _, m := range wantOut.FindAllStringSubmatch(src, -1) {
		out += m[1] + "\n"
	}
	if m := wantError.FindStringSubmatch(src); m != nil {
		failure = m[1]
	}
	return out, failure
}

// TestPrograms runs the programs of testdata, here and linked.
func TestPrograms(t *testing.T) {
	if err := jit.Supported(); err != nil {
		t.Skip(err)
	}
	files, err := filepath.Glob("testdata/*.toy")
	if err != nil || len(files) == 0 {
		t.Fatal(err)
	}
	for _, file := range files {
		src, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		want, failure := expectations(string(src))
		check := func(t *testing.T, got, message string) {
			t.Helper()
			if got != want {
				t.Errorf("printed:\n%swant:\n%s", got, want)
			}
			if !strings.HasSuffix(strings.TrimSpace(message), failure) || (message == "") != (failure == "") {
				t.Errorf("error %q, want %q", message, failure)
			}
		}
		for _, level := range []string{"none", "speed"} {
			t.Run(filepath.Base(file)+"/"+level, func(t *testing.T) {
				var out strings.Builder
				s, err := newSession(&out, "opt_level="+level, "regalloc_checker=true")
				if err != nil {
					t.Fatal(err)
				}
				defer s.close()
				message := ""
				if err := s.run(context.Background(), file, string(src), false); err != nil {
					message = err.Error()
				}
				check(t, out.String(), message)
			})
		}
		t.Run(filepath.Base(file)+"/linked", func(t *testing.T) {
			if _, err := compilerC(); err != nil || runtime.GOOS == "windows" {
				t.Skip("no C compiler: ", err)
			}
			program := filepath.Join(t.TempDir(), "program")
			if err := command([]string{"build", "-o", program, file}, nil, nil, false); err != nil {
				t.Fatal(err)
			}
			var out, message bytes.Buffer
			cmd := exec.Command(program)
			cmd.Stdout, cmd.Stderr = &out, &message
			if err := cmd.Run(); (err != nil) != (failure != "") {
				t.Error(err)
			}
			check(t, out.String(), message.String())
		})
	}
}

// TestREPL types in what follows the prompts of testdata/repl.txt.
func TestREPL(t *testing.T) {
	if err := jit.Supported(); err != nil {
		t.Skip(err)
	}
	want, err := os.ReadFile("testdata/repl.txt")
	if err != nil {
		t.Fatal(err)
	}
	var in strings.Builder
	for line := range strings.Lines(string(want)) {
		if strings.HasPrefix(line, "> ") || strings.HasPrefix(line, "| ") {
			in.WriteString(line[2:])
		}
	}
	var out strings.Builder
	if err := command(nil, strings.NewReader(in.String()), &out, true); err != nil {
		t.Fatal(err)
	}
	_, got, _ := strings.Cut(out.String(), "\n") // the greeting
	// What is typed in is not echoed by a terminal that is none.
	var typed strings.Builder
	for line := range strings.Lines(string(want)) {
		if strings.HasPrefix(line, "> ") || strings.HasPrefix(line, "| ") {
			typed.WriteString(line[:2])
		} else {
			typed.WriteString(line)
		}
	}
	if got != typed.String()+"> \n" {
		t.Errorf("got:\n%s\nwant:\n%s", got, typed.String())
	}
}

func TestErrors(t *testing.T) {
	tgt, err := target()
	if err != nil {
		t.Skip(err)
	}
	for _, test := range []struct{ src, want string }{
		{"var x 1", "1:7: unexpected 1, want ="},
		{"x = 1", "1:1: x is not declared; write var x = …"},
		{"var x = 1\nx = 1.5", "2:1: x is of type int, and cannot hold float"},
		{"var x = 1 + 1.5", "1:11: + between int and float; write int(…) or float(…)"},
		{"print(true < false)", "1:12: < does not go with bool"},
		{"print(1.5 % 1.0)", "1:11: % does not go with float"},
		{"print(-true)", "1:7: - does not go with bool"},
		{"print(!1)", "1:7: ! does not go with int"},
		{"print(1 && true)", "1:7: a condition is a bool, not int"},
		{"if 1 { }", "1:4: a condition is a bool, not int"},
		{"1 + 2", "1:3: the value is not used"},
		{"fn f() { }\nvar x = f()", "2:9: f returns nothing"},
		{"fn f(a int) { }\nf(1, 2)", "2:1: f is a fn(int), and gets 2 values"},
		{"fn f(a int) { }\nf(true)", "2:3: f is a fn(int); value 1 is of type bool"},
		{"fn f() int { }", "1:14: the function can end here without returning its int"},
		{"fn f() int { if true { return 1 } }", "1:35: the function can end here without returning its int"},
		{"fn f() int { while true { break } }", "1:35: the function can end here without returning its int"},
		{"fn f() int { return }", "1:14: the function returns int"},
		{"fn f() { return 1 }", "1:10: the function returns nothing, not int"},
		{"fn f(a int, a int) { }", "1:13: a is declared twice"},
		{"fn f() { }\nfn f() { }", "2:4: f is declared twice"},
		{"fn int() { }", "1:4: int is taken"},
		{"fn f() { fn g() { } }", "1:10: functions are not declared inside of others"},
		{"fn f(a string) { }", "1:8: string is not a type; there are int, float and bool"},
		{"fn f() { var a = 1\nvar a = 2 }", "2:1: a is declared twice"},
		{"break", "1:1: break and continue belong in loops"},
		{"g()", "1:1: there is no function g"},
		{"print(int(1, 2))", "1:7: int takes one value"},
		{"print(float(true))", "1:7: float of bool"},
		{"var s = \"text\"", "1:9: texts can only be printed"},
		{"print(\"text)", "1:7: the text has no end on its line"},
		{"print(9223372036854775808)", "1:7: 9223372036854775808 is not a number, or does not fit"},
		{"print(1.2.3)", "1:7: 1.2.3 is not a number, or does not fit"},
		{"print(1 # 2)", "1:9: unexpected '#'"},
		{"print(1", "1:8: unexpected the end of the line, want ,"},
		{"fn f() {", "unexpected the end, want }"},
		{"print(1) print(2)", "1:10: unexpected print, want the end of the line"},
		{"var x = " + strings.Repeat("(", 300) + "1", "1:209: more than 200 levels of nesting"},
		{"var x = " + strings.Repeat("-", 300) + "1", "more than 200 levels of nesting"},
		{strings.Repeat("{\n", 300), "more than 200 levels of nesting"},
		{"if true { }" + strings.Repeat(" else if true { }", 300), "more than 200 levels of nesting"},
		{"var x = 1" + strings.Repeat("+1", 2000), "an expression more than 1000 levels deep"},
		{strings.Repeat(" ", maxSource+1), "the source has 1048577 bytes; 1048576 are allowed"},
	} {
		_, err := newCompiler(tgt).compile("x.toy", test.src, funcName("main"), false)
		var e *Error
		if !errors.As(err, &e) || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%.40q: %v; want %s", test.src, err, test.want)
		}
	}
}

// TestInterrupt: a program that does not end is ended.
func TestInterrupt(t *testing.T) {
	if err := jit.Supported(); err != nil {
		t.Skip(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	s, err := newSession(writer(func([]byte) { cancel() }))
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	if err := s.run(ctx, "x", "print(1)\nwhile true { }", false); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

type writer func([]byte)

func (w writer) Write(b []byte) (int, error) { w(b); return len(b), nil }

func TestObject(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("the file is read as ELF")
	}
	if _, err := target(); err != nil {
		t.Skip(err)
	}
	out := filepath.Join(t.TempDir(), "primes.o")
	if err := command([]string{"build", "-c", "-o", out, "primes.toy"}, nil, nil, false); err != nil {
		t.Fatal(err)
	}
	f, err := elf.Open(out)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	symbols, err := f.Symbols()
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]bool{}
	for _, s := range symbols {
		found[s.Name] = true
	}
	for _, name := range []string{"toy_main", "toy_isPrime", "toyvar_sum", "rt_print_int"} {
		if !found[name] {
			t.Errorf("no symbol %s", name)
		}
	}
	// The lines of the source are there.
	data, err := f.DWARF()
	if err != nil {
		t.Fatal(err)
	}
	unit, err := data.Reader().Next()
	if err != nil {
		t.Fatal(err)
	}
	lines, err := data.LineReader(unit)
	if err != nil || lines == nil {
		t.Errorf("no lines: %v", err)
	}
}

func TestCommandErrors(t *testing.T) {
	for _, args := range [][]string{{"-x"}, {"ir"}, {"build"}, {"build", "-x", "f"}, {"missing.toy"}, {"a.toy", "b.toy"}} {
		if err := command(args, strings.NewReader(""), new(strings.Builder), false); err == nil {
			t.Errorf("%q: no error", args)
		}
	}
	var out strings.Builder
	if err := command([]string{"ir", "primes.toy"}, nil, &out, false); err != nil {
		t.Skip(err)
	}
	if !strings.Contains(out.String(), "function %toy_isPrime(i64) -> i8") {
		t.Error(out.String())
	}
}

// FuzzCompile compiles what parses. Only programs can be at fault.
func FuzzCompile(f *testing.F) {
	if _, err := target(); err != nil {
		f.Skip(err)
	}
	files, err := filepath.Glob("testdata/*.toy")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range files {
		src, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(src))
	}
	f.Add("var x = 1.5\nfn f(a bool) { while a { if a { continue } else if !a { break } return } }")
	f.Fuzz(func(t *testing.T, src string) {
		_, err := compileObject("fuzz.toy", src, "regalloc_checker=true")
		var e *Error
		if err != nil && !errors.As(err, &e) {
			t.Error(err)
		}
	})
}
