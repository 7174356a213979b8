package wat_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/davit-wasm/davit/internal/testdata"
	"github.com/davit-wasm/davit/internal/wast"
	"github.com/davit-wasm/davit/wasm"
	"github.com/davit-wasm/davit/wat"
)

// unsupported are parts of the suites that use proposals the text format does
// not know.
var unsupported = []string{
	"/legacy-exceptions/", "/custom-descriptors/", "/stack-switching/", "/compact-import-section/",
	"/component-model", "/shared-everything-threads/",
}

// notSpec are files whose modules are not as the specification has them: plain
// instructions inside a folded one.
var notSpec = "gc/anyref_that_is_i31_barriers.wast"

// older are assertions of proposals' suites that version 3.0 has changed: sizes
// beyond 32 bits are malformed there, and invalid now.
var older = "threads/memory.wast"

// scripts calls f for every script of the suites, except those of unsupported
// proposals.
func scripts(t *testing.T, f func(t *testing.T, path string, s *wast.Script)) {
	root := testdata.Conformance(t)
	for _, dir := range []string{"core/spec", "core/custom", "core/proposals", "wasmtime/misc_testsuite"} {
		err := filepath.WalkDir(filepath.Join(root, dir), func(path string, d fs.DirEntry, err error) error {
			if err != nil || filepath.Ext(path) != ".wast" {
				return err
			}
			if strings.HasSuffix(path, notSpec) {
				return nil
			}
			for _, u := range unsupported {
				if strings.Contains(path, u) {
					return nil
				}
			}
			src, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			rel, _ := filepath.Rel(root, path)
			s, err := wast.Parse(src)
			if err != nil {
				t.Errorf("%s: %v", rel, err)
				return nil
			}
			f(t, rel, s)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

// TestSuiteModules parses every module of the suites: all but those that must
// be malformed become binaries that decode to what was encoded.
func TestSuiteModules(t *testing.T) {
	var good, refused, wording int
	scripts(t, func(t *testing.T, path string, s *wast.Script) {
		var walk func(cmds []wast.Command)
		walk = func(cmds []wast.Command) {
			for i := range cmds {
				c := &cmds[i]
				walk(c.Commands)
				if c.Module == nil || c.Module.Form == wast.FormBinary || c.Kind == wast.KindUnsupported {
					continue
				}
				b, err := c.Module.Binary()
				switch c.Kind {
				case wast.KindMalformed, wast.KindMalformedCustom, wast.KindInvalidCustom:
					var e *wat.Error
					switch {
					case err == nil:
						if strings.HasSuffix(path, older) && c.Message == "i32 constant out of range" {
							continue
						}
						if c.Module.Form == wast.FormText {
							continue // well-formed in the text, not in the binary
						}
						t.Errorf("%s:%d: accepted, want %q", path, c.Line, c.Message)
					case !errors.As(err, &e):
						t.Errorf("%s:%d: error without position: %v", path, c.Line, err)
					default:
						refused++
						if strings.HasPrefix(e.Msg, c.Message) {
							wording++
						} else if testing.Verbose() {
							t.Logf("%s:%d: %q, want %q", path, c.Line, e.Msg, c.Message)
						}
					}
				default:
					if err != nil {
						t.Errorf("%s:%d: %v", path, c.Line, err)
						continue
					}
					good++
					_, err := wasm.Decode(b, &wasm.Config{Features: wasm.FeaturesAll})
					var we *wasm.Error
					if err != nil && !(errors.As(err, &we) && (c.Kind == wast.KindInvalid || c.Kind == wast.KindMalformed)) {
						t.Errorf("%s:%d: result does not decode: %v", path, c.Line, err)
					}
				}
			}
		}
		walk(s.Commands)
	})
	t.Logf("%d modules accepted, %d refused, %d of them in the suite's words", good, refused, wording)
}

// TestTextFiles parses the modules that lie in files of their own: all are
// valid, but those that use what is not supported and say so.
func TestTextFiles(t *testing.T) {
	root := testdata.Conformance(t)
	config := &wasm.Config{Features: wasm.FeaturesAll}
	parsed := 0
	for _, dir := range []string{"core/fuzzcases-wazero", "wasmtime/disas", "wasmtime/misc_testsuite"} {
		err := filepath.WalkDir(filepath.Join(root, dir), func(path string, d fs.DirEntry, err error) error {
			if err != nil || filepath.Ext(path) != ".wat" {
				return err
			}
			src, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			rel, _ := filepath.Rel(root, path)
			b, err := wat.Compile(src, nil)
			if err != nil {
				if reason := notText[rel]; reason != "" {
					return nil
				}
				if !notModule(src, err) {
					t.Errorf("%s: %v", rel, err)
				}
				return nil
			}
			m, err := wasm.Decode(b, config)
			if err == nil {
				err = wasm.Validate(m, config)
			}
			if err != nil {
				t.Errorf("%s: %v", rel, err)
			}
			parsed++
			theirs, err := os.ReadFile(strings.TrimSuffix(path, ".wat") + ".wasm")
			if err != nil {
				return nil
			}
			other, err := wasm.Decode(theirs, config)
			if err != nil {
				t.Errorf("%s: its binary: %v", rel, err)
				return nil
			}
			ids := make(map[string]int)
			if x, y := describe(t, m, ids), describe(t, other, ids); x != y {
				t.Errorf("%s differs from the binary beside it:\n%.2000s\n---\n%.2000s", rel, x, y)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("%d files", parsed)
}

// notModule reports whether a file is refused because it is a component, or
// uses a proposal that is refused by name.
func notModule(src []byte, err error) bool {
	return strings.Contains(string(src), "(component") || strings.Contains(err.Error(), "not supported")
}

// TestParseFail parses texts that another parser refuses. That one refuses
// characters that change the direction of text, too, by a rule of its own: the
// specification allows them in comments and strings.
func TestParseFail(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(testdata.Conformance(t), "wasm-tools/wast-parse-fail/*.wat"))
	if err != nil {
		t.Fatal(err)
	}
	var refused, direction, samePlace int
	for _, file := range files {
		name := filepath.Base(file)
		src, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		theirs, err := os.ReadFile(file + ".err")
		if err != nil {
			t.Fatal(err)
		}
		_, err = wat.Parse(src, nil)
		if strings.Contains(string(theirs), "likely-confusing unicode character") {
			direction++
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		var e *wat.Error
		if !errors.As(err, &e) {
			t.Errorf("%s: error %v, want one with a place", name, err)
			continue
		}
		refused++
		if strings.Contains(string(theirs), fmt.Sprintf(".wat:%d:", e.Line)) {
			samePlace++
		} else if !strings.Contains(string(src), "(component") {
			t.Errorf("%s: %v; the other parser says:\n%s", name, err, theirs)
		}
	}
	t.Logf("%d refused, %d of them in the same line; %d only direct the text", refused, samePlace, direction)
	if refused < 20 {
		t.Errorf("only %d were refused", refused)
	}
}
