package main

import (
	"fmt"
	"strings"

	"github.com/davit-wasm/davit"
	"github.com/davit-wasm/davit/wasi/wasip1"
)

// importsError says what a module imports that is not there.
type importsError struct {
	link    davit.LinkError // the first
	missing []davit.ImportType
}

func (e *importsError) Error() string {
	if len(e.missing) == 1 {
		return fmt.Sprintf("%v (%v)", &e.link, e.missing[0].Type)
	}
	const most = 10
	var b strings.Builder
	fmt.Fprintf(&b, "%d unknown imports:", len(e.missing))
	for i, im := range e.missing {
		if i == most {
			fmt.Fprintf(&b, "\n  … and %d more", len(e.missing)-most)
			break
		}
		fmt.Fprintf(&b, "\n  %q %q (%v)", im.Module, im.Name, im.Type)
	}
	return b.String()
}

func (e *importsError) Unwrap() error { return &e.link }

// checkImports looks for imports that nothing defines, and says all of them and
// where they may come from.
func (r *runner) checkImports(m *davit.Module) error {
	var missing []davit.ImportType
	for _, im := range m.Imports() {
		if _, ok := r.linker.Lookup(im.Module, im.Name); !ok {
			missing = append(missing, im)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	err := &importsError{davit.LinkError{Module: missing[0].Module, Name: missing[0].Name, Reason: "unknown import"}, missing}
	return withHint(err, importHint(missing[0], r.preload))
}

// importHint says where an import may come from, by the name that a tool gives
// to what it imports from.
func importHint(im davit.ImportType, preload []string) string {
	switch name := im.Module; {
	case name == wasip1.ModuleName || name == wasip1.UnstableModuleName:
		return "WASI 0.1 has no such " + im.Type.Kind()
	case strings.HasPrefix(name, "wasi:"):
		return "it is of a later WASI than 0.1; build the program for WASI 0.1: wasm32-wasip1 as the target in Rust and C"
	case name == "wasi":
		return "it is of a proposal for threads, which davit does not run yet"
	case name == "go" || name == "gojs":
		return "the program was built for JavaScript; build it with GOOS=wasip1 GOARCH=wasm"
	case strings.HasPrefix(name, "__wbindgen") || name == "wbg" || strings.HasPrefix(name, "./"):
		return "the module was built for JavaScript; build it for the target wasm32-wasip1"
	case name == "spectest":
		return "it is of the specification's test scripts, which 'davit wast' runs"
	case isLoaded(name, preload):
		return fmt.Sprintf("the module that --preload gives the name %s does not export it", name)
	case name == "env":
		return "a module that has it can be given with --preload env=FILE; if a C or C++ compiler made this, it is a function that was declared but not linked, or one for JavaScript (Emscripten: -sSTANDALONE_WASM)"
	}
	return fmt.Sprintf("a module that has it can be given with --preload %s=FILE", im.Module)
}

func isLoaded(name string, preload []string) bool {
	for _, p := range preload {
		if strings.HasPrefix(p, name+"=") {
			return true
		}
	}
	return false
}
