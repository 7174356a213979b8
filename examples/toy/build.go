package main

import (
	_ "embed"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/davit-wasm/davit/codegen/ir"
	"github.com/davit-wasm/davit/codegen/object"
)

// runtimeC is what a linked program has of host functions, and its main.
//
//go:embed runtime/runtime.c
var runtimeC []byte

// compileObject compiles a file ahead of time. The statements become the
// function toy_main.
func compileObject(file, src string, settings ...string) ([]byte, error) {
	t, err := target(settings...)
	if err != nil {
		return nil, err
	}
	p, err := newCompiler(t).compile(file, src, funcName("main"), false)
	if err != nil {
		return nil, err
	}
	dir, err := os.Getwd()
	if err != nil {
		return nil, err
	}
	m, err := object.New(t, object.Options{
		Name: file,
		Dir:  dir,
		// So that debuggers show the source.
		Lines: func(l ir.SourceLoc) (string, int, int) { return filepath.ToSlash(file), pos(l).line(), pos(l).column() },
	})
	if err != nil {
		return nil, err
	}
	if _, err := define(m, p, nil); err != nil {
		return nil, err
	}
	if err := m.Finalize(); err != nil {
		return nil, err
	}
	return m.Bytes(), nil
}

// compilerC finds a C compiler, which is needed as a linker and for runtime.c.
func compilerC() (string, error) {
	for _, name := range []string{os.Getenv("CC"), "cc", "gcc", "clang"} {
		if name == "" {
			continue
		}
		if path, err := exec.LookPath(name); err == nil {
			return path, nil
		}
	}
	return "", errors.New("no C compiler (cc, gcc, clang, or what $CC says) to link with; build -c makes an object file")
}

// link makes an executable of an object file.
func link(obj []byte, out string) error {
	cc, err := compilerC()
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "toy")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	objFile, rtFile := filepath.Join(dir, "program.o"), filepath.Join(dir, "runtime.c")
	if err := errors.Join(os.WriteFile(objFile, obj, 0o666), os.WriteFile(rtFile, runtimeC, 0o666)); err != nil {
		return err
	}
	if msg, err := exec.Command(cc, "-O2", "-o", out, rtFile, objFile).CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w\n%s", cc, err, msg)
	}
	return nil
}
