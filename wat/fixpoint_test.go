package wat_test

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/davit-wasm/davit/internal/testdata"
	"github.com/davit-wasm/davit/internal/wast"
	"github.com/davit-wasm/davit/wasm"
	"github.com/davit-wasm/davit/wat"
)

// fixedPoint checks that text → binary → text → binary comes back to the same
// bytes, custom sections and names included. It takes the first binary, which
// must be as Compile makes it: with all numbers in short form.
func fixedPoint(name string, b []byte) error {
	m, err := wasm.Decode(b, &wasm.Config{Features: wasm.FeaturesAll})
	if err != nil {
		return err
	}
	for _, opts := range []*wat.PrintOptions{nil, {Folded: true}} {
		text, err := wat.Print(m, opts)
		if err != nil {
			return err
		}
		again, err := wat.Compile(text, nil)
		if err != nil {
			return fmt.Errorf("parsing what was printed: %v\n%.500s", err, text)
		}
		if !bytes.Equal(b, again) {
			return fmt.Errorf("another binary comes back: %q, want %q (folded: %v)\n%.500s",
				first(again, b), first(b, again), opts != nil, text)
		}
	}
	return nil
}

// shortForm is the binary that the text of a valid binary stands for. The second
// result is false if there is none, since the module uses a proposal that the
// text format refuses by name, or is not valid.
func shortForm(t *testing.T, name string, b []byte) ([]byte, bool) {
	config := &wasm.Config{Features: wasm.FeaturesAll}
	m, err := wasm.Decode(b, config)
	if err == nil {
		err = wasm.Validate(m, config)
	}
	if err != nil {
		return nil, false
	}
	text, err := wat.Print(m, nil)
	if err != nil {
		t.Errorf("%s: %v", name, err)
		return nil, false
	}
	short, err := wat.Parse(text, nil)
	if err != nil {
		t.Errorf("%s: parsing what was printed: %v", name, err)
		return nil, false
	}
	for i := range m.Funcs {
		if x, y := m.Names.FuncName(uint32(i)), short.Names.FuncName(uint32(i)); x != y {
			t.Errorf("%s: function %d is named %q, was %q", name, i, y, x)
		}
	}
	if len(b) > 1<<19 {
		return wasm.Encode(short), true // describing it would take long
	}
	original := *m
	original.HasDataCount, original.DataCount = short.HasDataCount, short.DataCount // only there if needed
	ids := make(map[string]int)
	if x, y := []byte(describe(t, &original, ids)), []byte(describe(t, short, ids)); !bytes.Equal(x, y) {
		t.Errorf("%s: what was printed says something else: %s", name, cmp.Diff(first(x, y), first(y, x)))
	}
	return wasm.Encode(short), true
}

// notText are files of the suites with modules that the text format does not have.
var notText = map[string]string{
	"wasmtime/misc_testsuite/gc/anyref_that_is_i31_barriers.wast": "a plain instruction inside a folded one",
	"wasm-tools/cli/gc/gc-ref.wast":                               "a plain instruction inside a folded one",
	"wasmtime/misc_testsuite/issue11563.wat":                      "two modules",
	"wasmtime/disas/multi-17.wat":                                 "(type 0) stands for a type that only a later type use defines",
	"wasm-tools/cli/compact-imports/compact-imports.wast":         "compact import sections",
	"wasm-tools/cli/custom-descriptors-ops.wast":                  "custom descriptors",
	"wasm-tools/cli/custom-descriptors.wast":                      "custom descriptors",
	"wasm-tools/cli/folding/fold-stack-switching.wast":            "stack switching",
	"wasm-tools/cli/memory-discard.wast":                          "memory.discard",
	"wasm-tools/cli/wat-numerics.wast":                            "numbers in data segments",
	"wasm-tools/cli/shared_global.wat":                            "shared globals",
	"wasm-tools/cli/print-deprecated-exceptions2.wat":             "legacy exceptions",
	"wasm-tools/cli/failure-at-very-large-column.wat":             "the parenthesis is never closed",
	"wasm-tools/cli/dangling_if.wat":                              "an if without end",
	"wasm-tools/cli/print-no-panic-dangling-else.wat":             "else without if",
	"wasm-tools/cli/print-no-panic-double-end.wat":                "more ends than blocks",
	"wasm-tools/cli/print-with-too-many-ends.wat":                 "more ends than blocks",
	"wasm-tools/cli/dump-invalid-name-section.wat":                "(module binary …), which only scripts have",
	"wasm-tools/cli/dump-invalid-name-section2.wat":               "(module binary …), which only scripts have",
	"wasm-tools/cli/dump-invalid-name-section3.wat":               "(module binary …), which only scripts have",
	"wasm-tools/cli/print-code-section-overflow.wat":              "(module binary …), which only scripts have",
	"wasm-tools/cli/print-dont-reserve-the-world.wat":             "(module binary …), which only scripts have",
	"wasm-tools/cli/print-locals-overflow.wat":                    "(module binary …), which only scripts have",
	"wasm-tools/cli/print-memarg-too-big.wat":                     "(module binary …), which only scripts have",
}

// TestFixedPoint takes every module of the suites from text to binary to text to
// binary, flat and folded. A binary is printed first.
func TestFixedPoint(t *testing.T) {
	root := testdata.Conformance(t)
	counts := make(map[string]int)
	check := func(suite, name string, isText bool, b []byte) {
		if !isText {
			var ok bool
			if b, ok = shortForm(t, name, b); !ok {
				return
			}
		}
		if err := fixedPoint(name, b); err != nil {
			t.Errorf("%s: %v", name, err)
			return
		}
		counts[suite]++
	}
	for _, suite := range []string{
		"core/spec", "core/custom", "core/proposals", "core/prebuilt-json-wasm", "core/fuzzcases-wazero",
		"wasmtime/misc_testsuite", "wasmtime/disas", "wasm-tools/cli",
	} {
		err := filepath.WalkDir(filepath.Join(root, suite), func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			name, _ := filepath.Rel(root, path)
			for _, u := range unsupported {
				if strings.Contains(path, u) {
					return nil
				}
			}
			src, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			switch filepath.Ext(path) {
			case ".wasm":
				check(suite, name, false, src)
			case ".wat":
				b, err := wat.Compile(src, nil)
				if err == nil {
					check(suite, name, true, b)
				} else if notText[name] == "" && suite != "core/prebuilt-json-wasm" && !bytes.Contains(src, []byte("(component")) {
					t.Errorf("%s: %v", name, err)
				}
			case ".wast":
				script, err := wast.Parse(src)
				if err != nil {
					t.Errorf("%s: %v", name, err)
					return nil
				}
				scriptModules(script.Commands, func(c *wast.Command) {
					b, err := c.Module.Binary()
					if err == nil {
						check(suite, fmt.Sprintf("%s:%d", name, c.Line), c.Module.Form != wast.FormBinary, b)
					} else if c.Kind == wast.KindModule && notText[name] == "" {
						t.Errorf("%s:%d: %v", name, c.Line, err)
					}
				})
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	total := 0
	for _, n := range counts {
		total += n
	}
	t.Logf("%d modules: %v", total, counts)
	if total < 10_500 {
		t.Errorf("only %d modules came back", total)
	}
}

// scriptModules calls f for the commands of a script that have a module.
func scriptModules(cmds []wast.Command, f func(c *wast.Command)) {
	for i := range cmds {
		c := &cmds[i]
		scriptModules(c.Commands, f)
		if c.Module != nil && c.Kind != wast.KindUnsupported {
			f(c)
		}
	}
}

// TestFixedPointReal does the same for modules that compilers made.
func TestFixedPointReal(t *testing.T) {
	dir := testdata.Real(t)
	n := 0
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || filepath.Ext(path) != ".wasm" {
			return err
		}
		if info, err := d.Info(); err != nil || testing.Short() && info.Size() > 2<<20 {
			return err
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		name, _ := filepath.Rel(dir, path)
		b, ok := shortForm(t, name, b)
		if !ok {
			return nil
		}
		if err := fixedPoint(name, b); err != nil {
			t.Errorf("%s: %v", name, err)
			return nil
		}
		n++
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d modules", n)
}
