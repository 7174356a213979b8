package wasm_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/davit-wasm/davit/internal/testdata"
	"github.com/davit-wasm/davit/wasm"
)

type command struct {
	Type       string
	Line       int
	Filename   string
	Text       string
	ModuleType string `json:"module_type"`
}

// load decodes and validates.
func load(data []byte, c *wasm.Config) (*wasm.Module, error) {
	m, err := wasm.Decode(data, c)
	if err != nil {
		return nil, err
	}
	return m, wasm.Validate(m, c)
}

// suiteConfig is what the modules of a prebuilt suite may use.
func suiteConfig(suite string) *wasm.Config {
	if suite == "threads" {
		// That suite extends an older version of the specification, with one memory.
		return &wasm.Config{Features: wasm.FeaturesAll &^ wasm.FeatureMultiMemory}
	}
	return &wasm.Config{Features: wasm.Features3}
}

// TestSpec decodes and validates every binary of the specification's suites.
func TestSpec(t *testing.T) {
	root := filepath.Join(testdata.Conformance(t), "core", "prebuilt-json-wasm")
	files, err := filepath.Glob(filepath.Join(root, "*", "*", "*.json"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no scripts in %s (%v)", root, err)
	}
	var valid, invalid, malformed, worded int
	for _, file := range files {
		src, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var script struct{ Commands []command }
		if err := json.Unmarshal(src, &script); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		rel, _ := filepath.Rel(root, file)
		suite, _, _ := strings.Cut(rel, string(filepath.Separator))
		config := suiteConfig(suite)
		for _, c := range script.Commands {
			if c.Filename == "" || c.ModuleType == "text" {
				continue
			}
			data, err := os.ReadFile(filepath.Join(filepath.Dir(file), c.Filename))
			if err != nil {
				t.Fatal(err)
			}
			m, err := load(data, config)
			var e *wasm.Error
			if err != nil && !errors.As(err, &e) {
				t.Errorf("%s:%d: error is a %T", rel, c.Line, err)
				continue
			}
			switch c.Type {
			case "assert_invalid", "assert_malformed":
				want := wasm.Invalid
				if c.Type == "assert_malformed" {
					want = wasm.Malformed
				}
				switch {
				case e == nil:
					t.Errorf("%s:%d: %s accepted, want %s: %s", rel, c.Line, c.Filename, c.Type, c.Text)
				case e.Kind != want:
					t.Errorf("%s:%d: %s: %v (%v), want %s: %s", rel, c.Line, c.Filename, err, e.Kind, c.Type, c.Text)
				default:
					if want == wasm.Invalid {
						invalid++
					} else {
						malformed++
					}
					if strings.HasPrefix(e.Msg, c.Text) {
						worded++
					} else {
						t.Logf("%s:%d: %s: message %q, script has %q", rel, c.Line, c.Filename, e.Msg, c.Text)
					}
				}
			default: // module, assert_unlinkable, assert_trap of a module, …
				if err != nil {
					t.Errorf("%s:%d: %s: %v", rel, c.Line, c.Filename, err)
					continue
				}
				valid++
				roundTrip(t, rel+"/"+c.Filename, m, config)
			}
		}
	}
	t.Logf("%d valid, %d invalid, %d malformed; wording as expected: %d of %d", valid, invalid, malformed, worded, invalid+malformed)
	if valid < 2000 || invalid < 2600 || malformed < 690 {
		t.Errorf("suites are incomplete")
	}
	if worded*100 < (invalid+malformed)*99 {
		t.Errorf("wording differs from the scripts in more than 1%%")
	}
}

// roundTrip checks that encoding m and decoding the result is a fixpoint.
func roundTrip(t *testing.T, name string, m *wasm.Module, c *wasm.Config) {
	t.Helper()
	once := wasm.Encode(m)
	m2, err := wasm.Decode(once, c)
	if err != nil {
		t.Errorf("%s: encoded module: %v", name, err)
		return
	}
	if d := diff(m, m2); d != "" {
		t.Errorf("%s: decode, encode, decode changes the module:\n%s", name, d)
		return
	}
	if twice := wasm.Encode(m2); !bytes.Equal(once, twice) {
		t.Errorf("%s: encoding is no fixpoint", name)
	}
}
