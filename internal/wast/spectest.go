package wast

import (
	"fmt"
	"io"
	"strings"

	"github.com/davit-wasm/davit/wasm"
	"github.com/davit-wasm/davit/wat"
)

// The host modules that scripts import from: spectest, which every suite has,
// and what Wasmtime's suite adds. What is no function is made by modules, so
// that an engine needs to offer host functions only; each part is left out if
// the engine refuses the module that makes it.

// hostModules lists sources of modules and the name that scripts know their
// exports by.
var hostModules = []struct{ name, source string }{
	{"spectest", `(module
		(global (export "global_i32") i32 (i32.const 666))
		(global (export "global_i64") i64 (i64.const 666))
		(global (export "global_f32") f32 (f32.const 666.6))
		(global (export "global_f64") f64 (f64.const 666.6))
		(table (export "table") 10 20 funcref)
		(memory (export "memory") 1 2))`},
	{"spectest", `(module (table (export "table64") i64 10 20 funcref))`},
	{"spectest", `(module (memory (export "shared_memory") 1 1 shared))`},
}

// hostFuncs lists functions with letters for their parameters.
var hostFuncs = []struct{ module, name, params string }{
	{"spectest", "print", ""},
	{"spectest", "print_i32", "i"},
	{"spectest", "print_i64", "l"},
	{"spectest", "print_f32", "f"},
	{"spectest", "print_f64", "d"},
	{"spectest", "print_i32_f32", "if"},
	{"spectest", "print_f64_f64", "dd"},
	{"wasmtime", "gc", ""},
}

// defineHost makes the host modules. Functions print their arguments to out
// unless it is nil.
func defineHost(e Engine, modules map[string]exports, out io.Writer) error {
	add := func(module, name string, x Extern) {
		if modules[module] == nil {
			modules[module] = make(externMap)
		}
		modules[module].(externMap)[name] = x
	}
	for _, f := range hostFuncs {
		var t wasm.FuncType
		for _, c := range f.params {
			t.Params = append(t.Params, map[rune]wasm.ValType{'i': wasm.I32, 'l': wasm.I64, 'f': wasm.F32, 'd': wasm.F64}[c])
		}
		name := f.name
		add(f.module, f.name, e.HostFunc(t, func(args []Value) {
			if out == nil || name == "gc" {
				return
			}
			var words []string
			for _, a := range args {
				words = append(words, a.String())
			}
			fmt.Fprintln(out, strings.Join(words, " "))
		}))
	}
	for i, h := range hostModules {
		binary, err := wat.Compile([]byte(h.source), nil)
		if err != nil {
			panic("wast: host module: " + err.Error())
		}
		m, err := e.Compile(binary)
		var instance Instance
		if err == nil {
			instance, err = e.Instantiate(m, func(string, string) (Extern, bool) { return nil, false })
		}
		if err != nil {
			if i == 0 {
				return fmt.Errorf("the host module %s: %w", h.name, err)
			}
			continue
		}
		parsed, err := wasm.Decode(binary, &wasm.Config{Features: wasm.FeaturesAll})
		if err != nil {
			panic("wast: host module: " + err.Error())
		}
		for _, x := range parsed.Exports {
			if extern, ok := instance.Export(x.Name); ok {
				add(h.name, x.Name, extern)
			}
		}
	}
	return nil
}

// exports is what a module name stands for in a script.
type exports interface {
	Export(name string) (Extern, bool)
}

// externMap holds the exports of a host module.
type externMap map[string]Extern

// Export finds what is exported under a name.
func (m externMap) Export(name string) (Extern, bool) {
	x, ok := m[name]
	return x, ok
}
