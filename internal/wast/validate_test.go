package wast

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/davit-wasm/davit/internal/testdata"
	"github.com/davit-wasm/davit/wasm"
)

// older are assertions of the threads proposal that WebAssembly 3.0, on which
// the suite otherwise runs here, has changed.
var older = map[string]bool{
	"multiple tables": true, "multiple memories": true, "i32 constant out of range": true,
}

// TestValidation decodes and validates every module of the suites: all must be
// valid but those that are asserted not to be, and those must be refused with
// the right class.
func TestValidation(t *testing.T) {
	root := testdata.Conformance(t)
	var valid, refused, messages int
	for _, dir := range []string{"core/spec", "core/custom", "core/proposals/threads", "core/proposals/threads-litmus",
		"core/proposals/custom-page-sizes", "core/proposals/wide-arithmetic", "wasmtime/misc_testsuite"} {
		err := filepath.WalkDir(filepath.Join(root, dir), func(path string, d fs.DirEntry, err error) error {
			if err != nil || filepath.Ext(path) != ".wast" || strings.Contains(path, "/component-model") {
				return err
			}
			for _, u := range []string{"/stack-switching/", "/shared-everything-threads/", "/anyref_that_is_i31_barriers.wast"} {
				if strings.Contains(path, u) {
					return nil
				}
			}
			src, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			rel, _ := filepath.Rel(root, path)
			s, err := Parse(src)
			if err != nil {
				t.Errorf("%s: %v", rel, err)
				return nil
			}
			config := &wasm.Config{Features: Features(path, s)}
			var walk func([]Command)
			walk = func(cmds []Command) {
				for i := range cmds {
					c := &cmds[i]
					walk(c.Commands)
					if c.Module == nil || c.Kind == KindUnsupported {
						continue
					}
					if older[c.Message] && strings.HasPrefix(rel, "core/proposals/threads/") {
						continue
					}
					class, msg := validate(c.Module, config)
					want := Class(ClassOther)
					switch c.Kind {
					case KindInvalid:
						want = ClassInvalid
					case KindMalformed, KindMalformedCustom, KindInvalidCustom:
						want = ClassMalformed
					}
					if class != want {
						t.Errorf("%s:%d: %s: want %s %q, got %s: %s", rel, c.Line, c.Kind, want, c.Message, class, msg)
						continue
					}
					if want == ClassOther {
						valid++
						continue
					}
					refused++
					if strings.HasPrefix(msg, c.Message) {
						messages++
					} else if testing.Verbose() {
						t.Logf("%s:%d: %q, want %q", rel, c.Line, msg, c.Message)
					}
				}
			}
			walk(s.Commands)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("%d modules valid, %d refused with the right class, %d of them in the suite's words", valid, refused, messages)
}

// validate returns class and message of what is wrong with m, or ClassOther.
func validate(m *Module, c *wasm.Config) (Class, string) {
	binary, err := m.Binary()
	if err != nil {
		return ClassMalformed, textMessage(err)
	}
	decoded, err := wasm.Decode(binary, c)
	if err == nil {
		err = wasm.Validate(decoded, c)
	}
	if err != nil {
		return classOf(err)
	}
	return ClassOther, ""
}
