// Command rulesc compiles rule files to Go.
//
//	rulesc -o lower_gen.go prelude.rules lower.rules
//
// All files form one program. With -check nothing is written; the exit status tells whether the output is up to date.
package main

import (
	"bytes"
	"flag"
	"fmt"
	"os"

	"github.com/davit-wasm/davit/codegen/internal/rules"
)

func main() {
	out := flag.String("o", "", "write the Go code to this `file`")
	check := flag.Bool("check", false, "compare with the file instead of writing it")
	flag.Parse()
	if err := run(*out, *check, flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(out string, check bool, files []string) error {
	if out == "" || len(files) == 0 {
		return fmt.Errorf("usage: rulesc [-check] -o FILE RULES…")
	}
	code, err := rules.CompileFiles(files)
	if err != nil {
		if code != nil && !check {
			// Code that doesn't parse is written all the same: one must see it to find the mistake.
			os.WriteFile(out, code, 0o666)
		}
		return err
	}
	if check {
		old, err := os.ReadFile(out)
		if err != nil {
			return err
		}
		if !bytes.Equal(old, code) {
			return fmt.Errorf("%s is not what its rules generate: run go generate", out)
		}
		return nil
	}
	return os.WriteFile(out, code, 0o666)
}
